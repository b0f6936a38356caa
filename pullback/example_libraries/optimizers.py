"""First-order optimizers as triples of functions: init, update, get_params.

Each is written for one array; the decorator `optimizer` makes it one for pytrees.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from .. import numpy as jnp
from ..core.errors import error
from ..core.pytree import flatten
from ..tree_util import register_pytree_node, tree_map

Params = Any
State = Any
Updates = Any
Step = Any
Schedule = Callable[[Step], Any]


class OptimizerState(NamedTuple):
    """States of all arrays, flat; the structure of the parameters; the structure of each state."""

    packed_state: Any
    tree_def: Any
    subtree_defs: Any


register_pytree_node(
    OptimizerState,
    lambda s: ((s.packed_state,), (s.tree_def, s.subtree_defs)),
    lambda rest, parts: OptimizerState(parts[0], *rest),
)

InitFn = Callable[[Params], OptimizerState]
UpdateFn = Callable[[Step, Updates, OptimizerState], OptimizerState]
ParamsFn = Callable[[OptimizerState], Params]


class Optimizer(NamedTuple):
    """init(params) -> state; update(step, gradients, state) -> state; params(state) -> params."""

    init_fn: InitFn
    update_fn: UpdateFn
    params_fn: ParamsFn


def optimizer(opt_maker: Callable[..., Any]) -> Callable[..., Optimizer]:
    """A decorator: what makes an optimizer of arrays makes one of pytrees.

    Args:
      opt_maker: gives ``(init, update, get_params)`` for single arrays: ``init(x)`` is a state,
        which is any pytree, ``update(step, gradient, state)`` the next one, ``get_params(state)``
        the array.

    Example:
      >>> import pullback
      >>> from pullback.example_libraries import optimizers
      >>> init, update, get_params = optimizers.sgd(0.1)
      >>> state = init({"w": 1.0})
      >>> for i in range(20):
      ...     gradient = pullback.grad(lambda p: (p["w"] - 3) ** 2)(get_params(state))
      ...     state = update(i, gradient, state)
      >>> print(get_params(state)["w"])
      2.976941
    """

    @functools.wraps(opt_maker)
    def tree_opt_maker(*args: Any, **kwargs: Any) -> Optimizer:
        init, update, get_params = opt_maker(*args, **kwargs)

        @functools.wraps(init)
        def tree_init(params: Params) -> OptimizerState:
            leaves, tree = flatten(params)
            return _packed([init(x) for x in leaves], tree)

        @functools.wraps(update)
        def tree_update(i: Step, gradients: Updates, state: OptimizerState) -> OptimizerState:
            leaves, tree = flatten(gradients)
            if tree != state.tree_def:
                raise error(
                    TypeError,
                    "optimizer update function was passed a gradient tree that did not match the "
                    "parameter tree structure with which it was initialized.",
                    got=f"parameter tree {state.tree_def} and grad tree {tree}",
                    fix="give gradients of the structure of the parameters.",
                )
            new = [update(i, g, s) for g, s in zip(leaves, _unpacked(state), strict=True)]
            packed = _packed(new, tree)
            for before, after in zip(state.subtree_defs, packed.subtree_defs, strict=True):
                if before != after:
                    raise error(
                        TypeError,
                        "optimizer update function produced an output structure that did not match "
                        "its input structure.",
                        got=f"input {before} and output {after}",
                        fix="let update give a state like the one it gets.",
                    )
            return packed

        @functools.wraps(get_params)
        def tree_get_params(state: OptimizerState) -> Params:
            return state.tree_def.unflatten([get_params(s) for s in _unpacked(state)])

        return Optimizer(tree_init, tree_update, tree_get_params)

    return tree_opt_maker


def _packed(states: list[Any], tree: Any) -> OptimizerState:
    pairs = [flatten(s) for s in states]
    return OptimizerState(tuple(p for p, _ in pairs), tree, tuple(d for _, d in pairs))


def _unpacked(state: OptimizerState) -> list[Any]:
    pairs = zip(state.subtree_defs, state.packed_state, strict=True)
    return [d.unflatten(leaves) for d, leaves in pairs]


def _with_slots(
    n: int, update: Callable[[Any, Any, Any, tuple[Any, ...]], tuple[Any, ...]]
) -> Optimizer:
    """The optimizer whose state is the array and `n` further arrays, which are zero at first.

    `update(step, gradient, array, others)` gives all of them anew.
    """

    def init(x: Any) -> Any:
        return (x, *(jnp.zeros_like(x) for _ in range(n)))

    def updated(i: Any, g: Any, state: Any) -> Any:
        return update(i, g, state[0], tuple(state[1:]))

    return Optimizer(init, updated, lambda state: state[0])


@optimizer
def sgd(step_size: float | Schedule) -> Any:
    """Gradient descent: ``x - step_size * g``.

    Args:
      step_size: a positive number, or a function from the step's number to one.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.example_libraries.optimizers import sgd
      >>> init, update, get = sgd(0.5)
      >>> print(get(update(0, jnp.ones(2), init(jnp.zeros(2)))))
      [-0.5 -0.5]
    """
    rate = make_schedule(step_size)
    return Optimizer(lambda x: x, lambda i, g, x: x - rate(i) * g, lambda x: x)


@optimizer
def momentum(step_size: float | Schedule, mass: float) -> Any:
    """Gradient descent with momentum: the velocity keeps the part `mass` of itself."""
    rate = make_schedule(step_size)

    def update(i: Any, g: Any, x: Any, others: Any) -> Any:
        velocity = mass * others[0] + g
        return x - rate(i) * velocity, velocity

    return _with_slots(1, update)


@optimizer
def nesterov(step_size: float | Schedule, mass: float) -> Any:
    """Gradient descent with Nesterov's momentum: the step looks ahead along the velocity."""
    rate = make_schedule(step_size)

    def update(i: Any, g: Any, x: Any, others: Any) -> Any:
        velocity = mass * others[0] + g
        return x - rate(i) * (mass * velocity + g), velocity

    return _with_slots(1, update)


@optimizer
def adagrad(step_size: float | Schedule, momentum: float = 0.9) -> Any:
    """Adagrad (Duchi, Hazan, Singer 2011), with momentum: steps shrink with all past gradients."""
    rate = make_schedule(step_size)

    def update(i: Any, g: Any, x: Any, others: Any) -> Any:
        squares, m = others
        squares = squares + jnp.square(g)
        m = (1.0 - momentum) * (g * _inverse_root(squares)) + momentum * m
        return x - rate(i) * m, squares, m

    return _with_slots(2, update)


def _inverse_root(x: Any) -> Any:
    """``1 / sqrt(x)``, and 0 where x is 0."""
    positive = x > 0
    return jnp.where(positive, 1.0 / jnp.sqrt(jnp.where(positive, x, 1)), 0.0)


@optimizer
def rmsprop(step_size: float | Schedule, gamma: float = 0.9, eps: float = 1e-8) -> Any:
    """RMSProp: steps in units of the root of a running mean of squared gradients."""
    rate = make_schedule(step_size)

    def update(i: Any, g: Any, x: Any, others: Any) -> Any:
        squares = others[0] * gamma + jnp.square(g) * (1.0 - gamma)
        return x - rate(i) * g / jnp.sqrt(squares + eps), squares

    return _with_slots(1, update)


@optimizer
def rmsprop_momentum(
    step_size: float | Schedule, gamma: float = 0.9, eps: float = 1e-8, momentum: float = 0.9
) -> Any:
    """RMSProp with momentum."""
    rate = make_schedule(step_size)

    def update(i: Any, g: Any, x: Any, others: Any) -> Any:
        squares, m = others
        squares = squares * gamma + jnp.square(g) * (1.0 - gamma)
        m = momentum * m + rate(i) * g / jnp.sqrt(squares + eps)
        return x - m, squares, m

    return _with_slots(2, update)


@optimizer
def adam(step_size: float | Schedule, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8) -> Any:
    """Adam (Kingma, Ba 2015).

    Args:
      step_size: a positive number, or a function from the step's number to one.
      b1, b2: what the running means of gradients and of their squares keep of themselves.
      eps: is added to the root of the mean square.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.example_libraries.optimizers import adam
      >>> init, update, get = adam(0.5)
      >>> print(get(update(0, jnp.ones(2), init(jnp.zeros(2)))).round(3))
      [-0.5 -0.5]
    """
    rate = make_schedule(step_size)

    def update(i: Any, g: Any, x: Any, others: Any) -> Any:
        m, v = others
        m = (1 - b1) * g + b1 * m
        v = (1 - b2) * jnp.square(g) + b2 * v
        m_hat = m / _bias(b1, i, m)
        v_hat = v / _bias(b2, i, m)
        return x - rate(i) * m_hat / (jnp.sqrt(v_hat) + eps), m, v

    return _with_slots(2, update)


def _bias(b: float, i: Any, like: Any) -> Any:
    """How far a running mean that began at zero has come."""
    return 1 - jnp.asarray(b, like.dtype) ** (i + 1)


@optimizer
def adamax(
    step_size: float | Schedule, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8
) -> Any:
    """AdaMax: Adam with the largest gradient in the place of the mean square."""
    rate = make_schedule(step_size)

    def update(i: Any, g: Any, x: Any, others: Any) -> Any:
        m, u = others
        m = (1 - b1) * g + b1 * m
        u = jnp.maximum(b2 * u, jnp.abs(g))
        return x - (rate(i) / _bias(b1, i, m)) * m / (u + eps), m, u

    return _with_slots(2, update)


@optimizer
def sm3(step_size: float | Schedule, momentum: float = 0.9) -> Any:
    """SM3 (Anil, Gupta, Koren, Singer 2019): Adagrad with one number for each row of each axis."""
    rate = make_schedule(step_size)

    def init(x: Any) -> Any:
        whole = jnp.atleast_1d(x)
        return whole, jnp.zeros_like(whole), [jnp.zeros(d, whole.dtype) for d in whole.shape]

    def update(i: Any, g: Any, state: Any) -> Any:
        x, m, rows = state
        g = jnp.reshape(g, x.shape)
        axes = range(x.ndim)
        spread = [
            r.reshape([x.shape[k] if k == axis else 1 for k in axes]) for axis, r in enumerate(rows)
        ]
        squares = functools.reduce(jnp.minimum, spread) + jnp.square(g)
        m = (1.0 - momentum) * (g * _inverse_root(squares)) + momentum * m
        rows = [jnp.max(squares, axis=tuple(k for k in axes if k != axis)) for axis in axes]
        return x - rate(i) * m, m, rows

    # A scalar is kept as an array of one element.
    def init_with_shape(x: Any) -> Any:
        scalar = () if jnp.ndim(x) else (jnp.zeros((), jnp.result_type(x)),)
        return init(x), scalar

    def update_with_shape(i: Any, g: Any, state: Any) -> Any:
        return update(i, g, state[0]), state[1]

    def get_params(state: Any) -> Any:
        (x, _, _), scalar = state
        return jnp.reshape(x, ()) if scalar else x

    return Optimizer(init_with_shape, update_with_shape, get_params)


# ---- schedules


def constant(step_size: Any) -> Schedule:
    """The same step size for all steps."""
    return lambda i: step_size


def exponential_decay(step_size: Any, decay_steps: Any, decay_rate: Any) -> Schedule:
    """``step_size * decay_rate ** (i / decay_steps)``"""
    return lambda i: step_size * decay_rate ** (i / decay_steps)


def inverse_time_decay(
    step_size: Any, decay_steps: Any, decay_rate: Any, staircase: bool = False
) -> Schedule:
    """``step_size / (1 + decay_rate * i / decay_steps)``; with `staircase` in whole periods."""
    if staircase:
        return lambda i: step_size / (1 + decay_rate * jnp.floor(i / decay_steps))
    return lambda i: step_size / (1 + decay_rate * i / decay_steps)


def polynomial_decay(
    step_size: Any, decay_steps: Any, final_step_size: Any, power: float = 1.0
) -> Schedule:
    """From `step_size` to `final_step_size` in `decay_steps` steps, by a power of what is left."""

    def schedule(i: Any) -> Any:
        left = (1 - jnp.minimum(i, decay_steps) / decay_steps) ** power
        return left * (step_size - final_step_size) + final_step_size

    return schedule


def piecewise_constant(boundaries: Any, values: Any) -> Schedule:
    """``values[k]`` for steps beyond `k` of the `boundaries`.

    Raises:
      ValueError: these are not sequences, or `boundaries` is not one shorter than `values`.

    Example:
      >>> from pullback.example_libraries.optimizers import piecewise_constant
      >>> step = piecewise_constant([10], [1.0, 0.1])
      >>> print(step(5), step(10))
      1.0 1.0
    """
    boundaries, values = jnp.array(boundaries), jnp.array(values)
    if not boundaries.ndim == values.ndim == 1:
        raise error(
            ValueError,
            "boundaries and values must be sequences.",
            got=f"shapes {boundaries.shape} and {values.shape}",
            fix="give two lists of numbers.",
        )
    if boundaries.shape[0] != values.shape[0] - 1:
        raise error(
            ValueError,
            "boundaries length must be one shorter than values length.",
            got=f"{boundaries.shape[0]} boundaries and {values.shape[0]} values",
            fix="give a value for the steps before the first boundary too.",
        )
    return lambda i: values[jnp.sum(i > boundaries)]


def make_schedule(scalar_or_schedule: float | Schedule) -> Schedule:
    """The schedule itself, or a constant one of a number. Raises TypeError for an array."""
    if callable(scalar_or_schedule):
        return scalar_or_schedule
    if jnp.ndim(scalar_or_schedule) == 0:
        return constant(scalar_or_schedule)
    raise error(
        TypeError,
        "a step size must be a number or a function of the step's number.",
        got=f"{type(scalar_or_schedule).__name__}",
        fix="give one number; piecewise_constant takes several.",
    )


# ---- norms, and states as pytrees


def l2_norm(tree: Any) -> Any:
    """The root of the sum of squares of all elements of a pytree."""
    return jnp.sqrt(sum(jnp.vdot(x, x) for x in flatten(tree)[0]))


def clip_grads(grad_tree: Any, max_norm: Any) -> Any:
    """The gradients, scaled down to `max_norm` if their `l2_norm` is larger.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.example_libraries.optimizers import clip_grads
      >>> print(clip_grads(jnp.array([3.0, 4.0]), 1.0).round(3))
      [0.6 0.8]
    """
    norm = l2_norm(grad_tree)

    def clipped(g: Any) -> Any:
        return jnp.where(norm < max_norm, g, g * (max_norm / norm))

    return tree_map(clipped, grad_tree)


class JoinPoint:
    """A leaf of the parameters' tree that holds the state of this parameter: a tree of its own."""

    def __init__(self, subtree: Any) -> None:
        self.subtree = subtree

    def __iter__(self) -> Iterator[Any]:
        yield self.subtree


def unpack_optimizer_state(opt_state: OptimizerState) -> Any:
    """The state as a pytree of the parameters' structure, with JoinPoints for leaves."""
    return opt_state.tree_def.unflatten([JoinPoint(s) for s in _unpacked(opt_state)])


def pack_optimizer_state(marked_pytree: Any) -> OptimizerState:
    """The state of a pytree that `unpack_optimizer_state` has given.

    Raises:
      TypeError: a leaf is no JoinPoint.
    """
    leaves, tree = flatten(marked_pytree)
    wrong = [x for x in leaves if not isinstance(x, JoinPoint)]
    if wrong:
        raise error(
            TypeError,
            "pack_optimizer_state needs a pytree whose leaves are JoinPoints.",
            got=f"{type(wrong[0]).__name__}",
            fix="give what unpack_optimizer_state has given.",
        )
    return _packed([x.subtree for x in leaves], tree)
