"""One mode of differentiation made from the other: forward_from_reverse, reverse_from_forward.

A derivative is a linear map; forward mode applies it, reverse mode its transpose. Where only one of
the two is known, the other follows: the transpose of the transpose is the map itself, and a map on
few numbers is known from its values on a basis.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from . import checks, lax
from . import numpy as jnp
from .api import jvp, vjp
from .control.identity import fingerprint
from .core import dtypes
from .core.array import Tracer
from .core.errors import ConcretizationTypeError, error
from .core.pytree import PyTreeDef, flatten
from .core.trace import EVAL, state, type_of
from .core.types import ArrayType
from .custom import closure_convert, custom_jvp
from .custom_derivatives import linear_call
from .mapping import vmap

Leaves = list[Any]
Flat = Callable[..., Leaves]


def forward_from_reverse(fun: Callable[..., Any]) -> Callable[..., Any]:
    """`fun`, with forward mode made from its reverse mode.

    A `custom_vjp` function has a backward rule only, so that `jvp`, `jacfwd` and `linearize`
    refuse it. This is the same function with both modes: reverse mode is as before, and the
    derivative in a direction is the transpose of the backward pass.

    Args:
      fun: a function of pytrees of arrays that reverse mode can differentiate. It may close over
        traced values. Its backward pass must itself be differentiable in reverse mode, with
        respect to the cotangent.

    Returns:
      A function of the same arguments and results.

    Raises:
      TypeError: `fun` is not callable.

    The backward pass ``ct -> ct J`` is linear in `ct`, so that its own pullback is ``dx -> J dx``:
    the product of the Jacobian and a tangent, for the price of two backward passes. A backward
    rule that is not linear, such as one that clips gradients, is taken at a cotangent of zero;
    reverse mode still applies the rule itself. The construction is that of J. Townsend, "A new
    trick for calculating Jacobian vector products" (2017).

    Example:
      >>> import pullback
      >>> @pullback.custom_vjp
      ... def cube(x):
      ...     return x**3
      >>> cube.defvjp(lambda x: (x**3, x), lambda x, ct: (3 * x**2 * ct,))
      >>> y, dy = pullback.jvp(pullback.forward_from_reverse(cube), (2.0,), (1.0,))
      >>> print(y, dy)
      8.0 12.0
    """
    checks.callable_(fun, "forward_from_reverse")

    def rule(flat: Flat, again: Flat, primals: Leaves, tangents: Leaves) -> tuple[Any, Any]:
        def pulled(xs: Leaves, cts: Leaves) -> Leaves:
            return backward(vjp(lambda *xs: flat(*xs), *xs)[1], cts)

        def pushed(xs: Leaves, dots: Leaves) -> Leaves:
            return forward(vjp(lambda *xs: flat(*xs), *xs)[1], dots)

        def backward(pull: Any, cts: Leaves) -> Leaves:
            given = _filled(cts, which, avals)
            return [ct for ct in pull(given) if ct.dtype != dtypes.float0]

        def forward(pull: Any, dots: Leaves) -> Leaves:
            zero = [jnp.zeros(t.shape, t.dtype) for t, w in zip(avals, which, strict=True) if w]
            _, transposed = vjp(lambda cts: backward(pull, cts), zero)
            found: Leaves = transposed(dots)[0]
            return found

        if any(isinstance(x, Tracer) for x in primals):
            # Others may push this forward once more, so that its parts have both modes too.
            outs = again(*primals)
            which, avals = _floats(outs)
            both = forward_from_reverse(pushed), forward_from_reverse(pulled)
            return outs, _filled(linear_call(*both, primals, tangents), which, avals)
        outs, pull = vjp(lambda *xs: flat(*xs), *primals)
        which, avals = _floats(outs)
        return outs, _filled(linear_call(forward, backward, pull, tangents), which, avals)

    return _with_rule(fun, rule, "forward_from_reverse")


def reverse_from_forward(
    fun: Callable[..., Any], *, one_by_one: bool = False, limit: int = 1024
) -> Callable[..., Any]:
    """`fun`, with reverse mode made from its forward mode: for few inputs.

    Some functions can be pushed forward only: the rule of a `custom_jvp` function uses an operation
    without transpose, such as a callback to Python. This is the same function with both modes.
    Forward mode is as before. Reverse mode pushes a basis of the inputs forward, all vectors at
    once, and contracts the columns of the Jacobian with the cotangent.

    Args:
      fun: a function of pytrees of arrays that forward mode can differentiate. It may close over
        traced values.
      one_by_one: push the vectors of the basis one after the other, which needs the memory of one
        and no batching rules, in place of all at once.
      limit: the most numbers that the inputs may have together: the price of one gradient is that
        many products.

    Returns:
      A function of the same arguments and results.

    Raises:
      TypeError: `fun` is not callable.
      ValueError: there are more numbers in the inputs than `limit`.

    For real inputs ``(ct J)_i = ct . (J e_i)``. For complex ones the derivative is linear over the
    reals only, and 1 and i are both pushed: the cotangent is ``Re(ct J e) - i Re(ct J ie)``.

    Example:
      >>> import pullback
      >>> import numpy as np
      >>> def host_sin(x):
      ...     return pullback.pure_callback(np.sin, x, x, vmap_method="expand_dims")
      >>> def host_cos(x):
      ...     return pullback.pure_callback(np.cos, x, x, vmap_method="expand_dims")
      >>> @pullback.custom_jvp
      ... def sin(x):
      ...     return host_sin(x)
      >>> @sin.defjvp
      ... def rule(primals, tangents):
      ...     product = lambda a, b: np.asarray(a * b)
      ...     (x,), (dx,) = primals, tangents
      ...     return sin(x), pullback.pure_callback(
      ...         product, x, host_cos(x), dx, vmap_method="broadcast_all")
      >>> print(pullback.grad(pullback.reverse_from_forward(sin))(0.0))
      1.0
    """
    checks.callable_(fun, "reverse_from_forward")
    again_reversed = partial(reverse_from_forward, one_by_one=one_by_one, limit=sys.maxsize)

    def rule(flat: Flat, again: Flat, primals: Leaves, tangents: Leaves) -> tuple[Any, Any]:
        outs = again(*primals)
        which, avals = _floats(outs)
        moves, in_avals = _floats(primals)
        given = [t for t, m in zip(in_avals, moves, strict=True) if m]
        _check_few(given, limit)

        def forward(primals: Leaves, dots: Leaves) -> Leaves:
            dys = jvp(flat, primals, _filled(dots, moves, in_avals))[1]
            return [dy for dy, w in zip(dys, which, strict=True) if w]

        def backward(primals: Leaves, cts: Leaves) -> Leaves:
            def paired(dots: Leaves) -> Any:
                terms = zip(cts, forward(primals, dots), strict=True)
                return sum((jnp.real(jnp.sum(ct * dy)) for ct, dy in terms), jnp.zeros(()))

            return _contracted(paired, given, one_by_one)

        both: tuple[Any, Any] = (forward, backward)
        if any(isinstance(x, Tracer) for x in primals):
            # Others may pull this back once more, so that its parts have both modes too.
            both = again_reversed(forward), again_reversed(backward)
        return outs, _filled(linear_call(*both, primals, tangents), which, avals)

    return _with_rule(fun, rule, "reverse_from_forward")


# ---- what both have in common


def _with_rule(fun: Callable[..., Any], rule: Any, name: str) -> Callable[..., Any]:
    """`fun` as a custom_jvp function; `rule(flat, again, primals, tangents)` works on leaves.

    `flat` is the function of leaves, and `again` the same with the rule.
    """

    def switched(*args: Any, **kwargs: Any) -> Any:
        leaves, in_tree = flatten(args)
        leaves = [checks.input_array(x, name) for x in leaves]
        trees: list[PyTreeDef] = []

        def flat(*xs: Any) -> Leaves:
            outs, tree = flatten(fun(*in_tree.unflatten(xs), **kwargs))
            trees.append(tree)
            return [checks.output_array(y, name) for y in outs]

        body, consts = _without_closure(partial(fun, **kwargs), flat, leaves)
        function = custom_jvp(lambda *xs: body(*xs))

        @function.defjvp
        def derivative(primals: Any, tangents: Any) -> Any:
            dots = [t for t in tangents if t.dtype != dtypes.float0]
            return rule(body, function, list(primals), dots)

        outs = function(*leaves, *consts)
        return trees[0].unflatten(outs)

    return checks.named_like(switched, fun, name)  # type: ignore[no-any-return]


def _without_closure(fun: Any, flat: Any, leaves: Leaves) -> tuple[Callable[..., Any], Leaves]:
    """`flat`, and the traced values that `fun` closes over, which become arguments of it."""
    if state.trace is EVAL:
        return flat, []
    depends_on = fingerprint(fun)
    if depends_on is not None and not depends_on.traced:
        return flat, []
    try:
        return closure_convert(flat, *leaves)
    except ConcretizationTypeError:
        if depends_on is not None:
            raise
        return flat, []  # it looks at values, and nobody knows of a closure over traced ones


def _floats(xs: Leaves) -> tuple[list[bool], list[ArrayType]]:
    """Which of these have derivatives, and the types of all."""
    avals = [type_of(x) for x in xs]
    return [dtypes.is_inexact(t.dtype) for t in avals], avals


def _filled(given: Leaves, which: list[bool], avals: list[ArrayType]) -> Leaves:
    """One derivative for each: those given, and float0 for what has none."""
    rest = iter(given)
    return [
        next(rest) if w else np.zeros(t.shape, dtypes.float0)
        for w, t in zip(which, avals, strict=True)
    ]


# ---- a Jacobian from a basis


def _check_few(given: list[ArrayType], limit: int) -> None:
    numbers = sum(t.size for t in given)
    if numbers > limit:
        raise error(
            ValueError,
            "reverse_from_forward is for few inputs: it pushes each number of them forward.",
            got=f"{numbers} numbers in the inputs, with limit={limit}",
            fix="make only the part with few inputs a reverse_from_forward function, or raise "
            "limit= if that many products are acceptable.",
        )


def _contracted(paired: Callable[[Leaves], Any], given: list[ArrayType], slow: bool) -> Leaves:
    """The cotangents of the inputs, from ``Re(ct . J dx)`` for each vector of a basis."""
    numbers = sum(t.size for t in given)

    def along(unit: Any) -> Any:
        return paired(_cut(unit, given, 1))

    basis = jnp.eye(numbers)
    real = lax.map(along, basis) if slow else vmap(along)(basis)
    if all(dtypes.kind(t.dtype) != "c" for t in given):
        return _cut(real, given, 1)

    def along_imaginary(unit: Any) -> Any:
        return paired(_cut(unit, given, 1j))

    imag = lax.map(along_imaginary, basis) if slow else vmap(along_imaginary)(basis)
    parts = zip(_cut(real, given, 1), _cut(imag, given, 1), strict=True)
    return [p - 1j * q if dtypes.kind(p.dtype) == "c" else p for p, q in parts]


def _cut(flat: Any, given: list[ArrayType], scale: complex) -> Leaves:
    """A flat vector as arrays of these types, those that are complex times `scale`."""
    parts, start = [], 0
    for t in given:
        part = flat[start : start + t.size].reshape(t.shape).astype(t.dtype)
        if scale != 1:
            part = part * scale if dtypes.kind(t.dtype) == "c" else jnp.zeros_like(part)
        parts.append(part)
        start += t.size
    return parts


__all__ = ["forward_from_reverse", "reverse_from_forward"]
