"""Products of vectors with Hessians, Gauss-Newton and Fisher matrices, from one linearization."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .. import checks
from .. import numpy as jnp
from ..api import grad, linearize, vjp
from ..core.errors import error
from ..core.pytree import PyTreeDef, flatten, register
from ..core.trace import type_of
from ..core.types import ArrayType
from ..flatten_util import ravel_pytree
from ..jit import ShapeDtypeStruct
from ..linear import JVP, VJP
from ..mapping import vmap
from ..nn import sigmoid, softmax


class Operator:
    """A symmetric matrix that is known by its products: `operator(v)`, or `operator @ v`.

    A vector has the structure, shapes and dtypes of the argument that was differentiated with
    respect to, and so has the product. The point is behind it: products only run the linear part.
    An operator is a pytree of what it keeps, so it can be passed to and returned from jitted and
    vmapped functions.
    """

    def __init__(
        self,
        apply: Callable[[Any, Any], Any],
        parts: Any,
        types: Sequence[ArrayType],
        tree: PyTreeDef,
    ) -> None:
        self._apply, self._parts = apply, parts
        self._types, self._tree = tuple(types), tree

    @property
    def like(self) -> Any:
        """Shapes and dtypes of a vector, in its structure."""
        return self._tree.unflatten([ShapeDtypeStruct(t.shape, t.dtype) for t in self._types])

    @property
    def size(self) -> int:
        """The number of rows, and of columns."""
        return sum(t.size for t in self._types)

    def __call__(self, vector: Any) -> Any:
        """The product with `vector`.

        Raises:
          TypeError, ValueError: the vector has not the structure, shapes and dtypes of the
            argument.
        """
        leaves, tree = flatten(vector)
        checks.structure("the vector", tree, self._tree, "the argument")
        leaves = [
            checks.tangent_array(t, x, "vector", "argument")
            for t, x in zip(self._types, leaves, strict=True)
        ]
        return self._apply(self._parts, self._tree.unflatten(leaves))

    __matmul__ = __call__

    def dense(self) -> Any:
        """The matrix itself, of shape ``(size, size)``: one product for each column, together."""
        zero = self._tree.unflatten([jnp.zeros(t.shape, t.dtype) for t in self._types])
        flat, unravel = ravel_pytree(zero)
        eye = jnp.eye(self.size, dtype=flat.dtype)
        return vmap(lambda v: ravel_pytree(self(unravel(v)))[0], out_axes=1)(eye)


register(
    Operator,
    lambda o: ((o._parts,), (o._apply, o._types, o._tree)),
    lambda rest, parts: Operator(rest[0], parts[0], rest[1], rest[2]),
)


def hvp(
    fun: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """The Hessian of scalar-valued `fun` as an operator: forward mode over reverse mode.

    Args:
      fun: a function whose result is a scalar, or with `has_aux` a pair of it and anything else.
      argnums: the positional argument, or the several, to differentiate with respect to. Each may
        be a pytree of arrays; of several, vectors are tuples.
      has_aux: whether `fun` returns ``(value, auxiliary data)``.

    Returns:
      A function of the same arguments. It gives an `Operator` H, or with `has_aux` ``(H, aux)``.
      ``H(v)`` is the derivative of the gradient along v (Pearlmutter, Fast exact multiplication by
      the Hessian, 1994), for the cost of a gradient or two; the gradient itself is linearized once,
      however many products follow.

    Raises:
      TypeError: the output is not a real scalar, or an input has no derivative.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback import curvature
      >>> H = curvature.hvp(lambda x: x[0] ** 2 * x[1])(jnp.array([1.0, 3.0]))
      >>> print(H(jnp.array([1.0, 0.0])))
      [6. 2.]
    """
    checks.callable_(fun, "hvp")
    positions = checks.positions(argnums)

    def operator_at(*args: Any, **kwargs: Any) -> Any:
        chosen, of_chosen = _chosen(fun, positions, argnums, args, kwargs, "hvp")
        gradient = grad(of_chosen, has_aux=has_aux)
        _, derivative, *aux = linearize(gradient, chosen, has_aux=has_aux)
        return _operator(_hessian_product, derivative, chosen, aux)

    return checks.named_like(operator_at, fun, "hvp")  # type: ignore[no-any-return]


def gnvp(
    model: Callable[..., Any],
    loss: Callable[[Any], Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
) -> Callable[..., Any]:
    """The Gauss-Newton matrix of ``loss(model(...))`` as an operator.

    Args:
      model: a function whose result is a pytree of arrays, the outputs.
      loss: a function of the outputs that gives a scalar. Where it is convex, the matrix is
        positive semidefinite.
      argnums, has_aux: as for `hvp`; with `has_aux`, `model` returns ``(outputs, aux)``.

    Returns:
      A function of the arguments of `model`. It gives an `Operator` G, or ``(G, aux)``:
      ``G v = J^T (H (J v))``, with J the Jacobian of the model and H the Hessian of the loss at its
      outputs (Schraudolph, Fast curvature matrix-vector products for second-order gradient descent,
      2002). Model and loss are linearized once; J and its transpose share one tape.

    Raises:
      TypeError: the loss is not a real scalar.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback import curvature
      >>> model = lambda w: jnp.sin(w) * jnp.array([1.0, 2.0])
      >>> G = curvature.gnvp(model, lambda y: 0.5 * jnp.sum(y ** 2))(jnp.zeros(2))
      >>> print(G(jnp.ones(2)))  # J is diagonal: its squares
      [1. 4.]
    """
    checks.callable_(model, "gnvp")
    checks.callable_(loss, "gnvp")
    positions = checks.positions(argnums)

    def operator_at(*args: Any, **kwargs: Any) -> Any:
        chosen, of_chosen = _chosen(model, positions, argnums, args, kwargs, "gnvp")
        outputs, back, *aux = vjp(of_chosen, chosen, has_aux=has_aux)
        _, head = linearize(grad(loss), outputs)
        return _operator(_gauss_newton_product, (back, head), chosen, aux)

    return checks.named_like(operator_at, model, "gnvp")  # type: ignore[no-any-return]


def fisher_vp(
    model: Callable[..., Any],
    head: str | Callable[[Any, Any], Any] = "softmax",
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    *,
    samples: Any = None,
) -> Callable[..., Any]:
    """The Fisher information matrix of a model with a distribution at its outputs, as an operator.

    Args:
      model: a function whose outputs are the parameters of a distribution; all leaves alike.
      head: the distribution. ``'softmax'``: the outputs are logits of classes on the last axis;
        ``'bernoulli'``: logits; ``'poisson'``: logarithms of rates; ``'gaussian'``: means, of
        variance 1 (divide by another). Or a function ``log_likelihood(outputs, sample)`` that
        gives a scalar.
      argnums, has_aux: as for `gnvp`.
      samples: with a function as head, observations: a pytree with an axis in front. Drawn from
        the model's own distribution, they give an unbiased estimate of the matrix; data in their
        place give the empirical Fisher matrix.

    Returns:
      A function of the arguments of `model`. It gives an `Operator` F, or ``(F, aux)``:
      ``F v = J^T (I (J v))``, with I the information matrix of the distribution in its parameters,
      summed over all axes in front of the outputs (divide by the size of the batch for a mean). For
      a function as head, I is the mean over samples of g g^T, with g the gradient of the log
      likelihood in the outputs. (Amari, Natural gradient works efficiently in learning, 1998;
      Martens, New insights and perspectives on the natural gradient method, 2020: for the heads
      named here it is the Gauss-Newton matrix of the negative log likelihood.)

    Raises:
      ValueError: an unknown head, or a function as head without samples.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback import curvature
      >>> F = curvature.fisher_vp(lambda w: 2.0 * w, 'bernoulli')(jnp.zeros(1))
      >>> print(F(jnp.ones(1)))  # 2 * p (1 - p) * 2
      [1.]
    """
    checks.callable_(model, "fisher_vp")
    positions = checks.positions(argnums)
    _check_head(head, samples)

    def operator_at(*args: Any, **kwargs: Any) -> Any:
        chosen, of_chosen = _chosen(model, positions, argnums, args, kwargs, "fisher_vp")
        outputs, back, *aux = vjp(of_chosen, chosen, has_aux=has_aux)
        if isinstance(head, str):
            prepare, product = _HEADS[head]
            leaves, tree = flatten(outputs)
            parts = back, tree.unflatten([prepare(y) for y in leaves])
            return _operator(product, parts, chosen, aux)
        gradients = vmap(grad(lambda y, s: head(y, s)), (None, 0))(outputs, samples)
        return _operator(_sampled_product, (back, gradients), chosen, aux)

    return checks.named_like(operator_at, model, "fisher_vp")  # type: ignore[no-any-return]


# ---- what operators do


def _hessian_product(derivative: JVP, vector: Any) -> Any:
    return derivative(vector)


def _pushed(back: VJP, vector: Any) -> Any:
    """The Jacobian times `vector`, on the tape of its transpose."""
    b = back
    return JVP(b.tape, b.places, b.in_types, b.in_tree, b.out_types, b.out_tree)(vector)


def _gauss_newton_product(parts: Any, vector: Any) -> Any:
    back, head = parts
    return back(head(_pushed(back, vector)))[0]


def _weighted(parts: Any, vector: Any, weigh: Callable[[Any, Any], Any]) -> Any:
    back, states = parts
    pushed, tree = flatten(_pushed(back, vector))
    weighed = [weigh(s, u) for s, u in zip(flatten(states)[0], pushed, strict=True)]
    return back(tree.unflatten(weighed))[0]


def _softmax_product(parts: Any, vector: Any) -> Any:
    return _weighted(parts, vector, lambda p, u: p * (u - jnp.sum(p * u, -1, keepdims=True)))


def _scaled_product(parts: Any, vector: Any) -> Any:
    return _weighted(parts, vector, lambda s, u: s * u)


def _sampled_product(parts: Any, vector: Any) -> Any:
    back, gradients = parts
    pushed, tree = flatten(_pushed(back, vector))
    rows = flatten(gradients)[0]
    count = rows[0].shape[0]
    sums = [jnp.sum((g * u).reshape(count, -1), 1) for g, u in zip(rows, pushed, strict=True)]
    along = sum(sums[1:], sums[0]) / count
    mean = [jnp.tensordot(along.astype(g.dtype), g, 1) for g in rows]
    return back(tree.unflatten(mean))[0]


def _bernoulli_variance(logits: Any) -> Any:
    return sigmoid(logits) * sigmoid(-logits)


_HEADS: dict[str, tuple[Callable[[Any], Any], Callable[[Any, Any], Any]]] = {
    "softmax": (softmax, _softmax_product),
    "bernoulli": (_bernoulli_variance, _scaled_product),
    "poisson": (jnp.exp, _scaled_product),
    "gaussian": (jnp.ones_like, _scaled_product),
}


def _check_head(head: Any, samples: Any) -> None:
    if isinstance(head, str):
        if head not in _HEADS:
            raise error(
                ValueError,
                "fisher_vp does not know this head.",
                got=f"head={head!r}",
                fix=f"choose one of {', '.join(map(repr, _HEADS))}, or give a function "
                "log_likelihood(outputs, sample) with samples=.",
            )
        if samples is not None:
            raise error(
                ValueError,
                "fisher_vp takes samples only with a function as head.",
                got=f"head={head!r} and samples",
                fix="leave samples out: the information of a named head is known.",
            )
        return
    checks.callable_(head, "fisher_vp")
    if samples is None:
        raise error(
            ValueError,
            "fisher_vp needs samples where the head is a function: it cannot take an expectation "
            "over a distribution that it can only evaluate.",
            got="samples=None",
            fix="give samples=, observations with an axis in front.",
        )


def _chosen(fun: Any, positions: Any, argnums: Any, args: Any, kwargs: Any, name: str) -> Any:
    """The arguments that `argnums` names, and `fun` as a function of them alone."""
    chosen = checks.chosen_arguments(args, positions, argnums, name)

    def of_chosen(value: Any) -> Any:
        return fun(*checks.replaced_arguments(args, positions, argnums, value), **kwargs)

    return chosen, of_chosen


def _operator(apply: Any, parts: Any, chosen: Any, aux: list[Any]) -> Any:
    leaves, tree = flatten(chosen)
    types = [type_of(x).update(weak_type=False) for x in leaves]
    operator = Operator(apply, parts, types, tree)
    return (operator, *aux) if aux else operator


__all__ = ["Operator", "fisher_vp", "gnvp", "hvp"]
