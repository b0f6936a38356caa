"""Reductions, running totals, sorting: what works along axes."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import checks
from ..control.reducing import on_all, reduce_p
from ..core import dtypes
from ..core.array import Array
from ..core.errors import error
from ..core.program import ClosedProgram
from ..core.pytree import flatten
from ..core.trace import type_of
from ..ops import approximate, cumulative, reduction, sorting, structural
from ..ops.reduction import monoid_of, reduce_by_tree
from ..transforms.stage import trace_body
from .arguments import apply, as_array, axis_of, integers, requested
from .conversion import convert_element_type


def reduce(
    operands: Any,
    init_values: Any,
    computation: Callable[[Any, Any], Any],
    dimensions: Sequence[int],
    out_sharding: Any = None,
) -> Any:
    """`operands` combined along axes with any associative function of two elements.

    Args:
      operands: a pytree of arrays of one shape.
      init_values: a pytree of the same structure: where to begin, which must not change an element
        that it is combined with.
      computation: a function of two such trees of scalars that gives one.
      dimensions: the axes.

    Example:
      >>> from pullback import lax
      >>> print(lax.reduce(lax.iota(int, 5), 0, lax.max, (0,)))
      4
    """
    xs, tree = flatten(operands)
    starts, start_tree = flatten(init_values)
    checks.structure(
        "the initial values of lax.reduce", start_tree, tree, "the operands", ValueError
    )
    xs = [as_array(x, "reduce") for x in xs]
    starts = [start_of(v, x, "reduce") for v, x in zip(starts, xs, strict=True)]
    axes = integers(dimensions, "reduce")
    if not axes:
        return tree.unflatten(xs)

    def scalar(*pair: Any) -> list[Any]:
        return combined(pair, computation, tree, "reduce")

    program = element_program(scalar, xs)
    if program is None:
        return tree.unflatten(reduce_by_tree(on_all(scalar), xs, starts, axes))
    known = monoid_of(program.program) if len(xs) == 1 else None
    if known is not None:
        total = apply(known, xs[0], axes=axes)
        return tree.unflatten(scalar(starts[0], total))
    return tree.unflatten(apply(reduce_p, *xs, *starts, jaxpr=program, dimensions=axes))


def combined(pair: Sequence[Any], computation: Any, tree: Any, name: str) -> list[Any]:
    """The leaves of a user's function of two elements that are trees."""
    n = len(pair) // 2
    outs, out_tree = flatten(computation(tree.unflatten(pair[:n]), tree.unflatten(pair[n:])))
    what = f"the result of lax.{name}'s computation"
    checks.structure(what, out_tree, tree, "the operands", ValueError)
    outs = [as_array(y, name) for y in outs]
    for y, a, b in zip(outs, pair[:n], pair[n:], strict=True):
        if len(y.shape) > max(len(np.shape(a)), len(np.shape(b))):
            raise error(
                ValueError,
                f"{what} must be a scalar for two scalars.",
                got=type_of(y).str_short(),
                fix="give a function of two elements, such as lax.add.",
            )
    return outs


def element_program(scalar: Any, xs: list[Any]) -> ClosedProgram | None:
    """The program of a function of two elements; None if it closes over values that are traced."""
    elements = [type_of(x).update(shape=()) for x in xs]
    program, traced = trace_body(scalar, elements * 2, scalar, "reduce")
    return None if traced else program


def start_of(value: Any, x: Any, name: str) -> Any:
    """The initial value for an operand, of its dtype."""
    start, t = as_array(value, name), type_of(x)
    if start.weak_type and not start.shape and start.dtype != t.dtype:
        pair = ((start.dtype, True), (t.dtype, False))
        if dtypes.promoted(pair, name)[0] == t.dtype:
            start = convert_element_type(start, t.dtype)
    if start.shape or start.dtype != t.dtype:
        raise error(
            TypeError,
            f"the initial values of lax.{name} must be scalars of the dtypes of the operands.",
            got=f"{type_of(start).str_short()} for {t.str_short()}",
            fix="convert them, e.g. np.float32(0).",
        )
    return start


def reduce_sum(operand: Any, axes: Sequence[int], *, out_sharding: Any = None) -> Array:
    """The sum along axes."""
    return apply(structural.reduce_sum, operand, axes=integers(axes, "reduce_sum"))


def reduce_prod(operand: Any, axes: Sequence[int]) -> Array:
    """The product along axes."""
    return apply(reduction.reduce_prod, operand, axes=integers(axes, "reduce_prod"))


def reduce_max(operand: Any, axes: Sequence[int]) -> Array:
    """The largest along axes; nan if there is one."""
    return apply(reduction.reduce_max, operand, axes=integers(axes, "reduce_max"))


def reduce_min(operand: Any, axes: Sequence[int]) -> Array:
    """The smallest along axes; nan if there is one."""
    return apply(reduction.reduce_min, operand, axes=integers(axes, "reduce_min"))


def reduce_and(operand: Any, axes: Sequence[int]) -> Array:
    """Whether all are true along axes; of integers, the bits that all have."""
    return apply(reduction.reduce_and, operand, axes=integers(axes, "reduce_and"))


def reduce_or(operand: Any, axes: Sequence[int]) -> Array:
    """Whether any is true along axes; of integers, the bits that any has."""
    return apply(reduction.reduce_or, operand, axes=integers(axes, "reduce_or"))


def reduce_xor(operand: Any, axes: Sequence[int]) -> Array:
    """Whether an odd number is true along axes; of integers, bit by bit."""
    return apply(reduction.reduce_xor, operand, axes=integers(axes, "reduce_xor"))


def argmax(operand: Any, axis: int, index_dtype: Any) -> Array:
    """The index of the first largest along an axis; of a nan before all."""
    dtype = requested(index_dtype, "argmax")
    return apply(reduction.argmax, operand, axes=(operator.index(axis),), index_dtype=dtype)


def argmin(operand: Any, axis: int, index_dtype: Any) -> Array:
    """The index of the first smallest along an axis; of a nan before all."""
    dtype = requested(index_dtype, "argmin")
    return apply(reduction.argmin, operand, axes=(operator.index(axis),), index_dtype=dtype)


# ---- running totals


def cumsum(operand: Any, axis: int = 0, reverse: bool = False) -> Array:
    """The sums of the elements up to each, along an axis; with `reverse`, from the end."""
    return _cumulative(cumulative.cumsum, operand, axis, reverse)


def cumprod(operand: Any, axis: int = 0, reverse: bool = False) -> Array:
    """The products of the elements up to each, along an axis."""
    return _cumulative(cumulative.cumprod, operand, axis, reverse)


def cummax(operand: Any, axis: int = 0, reverse: bool = False) -> Array:
    """The largest of the elements up to each, along an axis."""
    return _cumulative(cumulative.cummax, operand, axis, reverse)


def cummin(operand: Any, axis: int = 0, reverse: bool = False) -> Array:
    """The smallest of the elements up to each, along an axis."""
    return _cumulative(cumulative.cummin, operand, axis, reverse)


def cumlogsumexp(operand: Any, axis: int = 0, reverse: bool = False) -> Array:
    """log(sum(exp(x))) of the elements up to each, along an axis."""
    return _cumulative(cumulative.cumlogsumexp, operand, axis, reverse)


def _cumulative(op: Any, operand: Any, axis: Any, reverse: Any) -> Array:
    return apply(op, operand, axis=operator.index(axis), reverse=bool(reverse))


# ---- sorting


def sort(operand: Any, dimension: int = -1, is_stable: bool = True, num_keys: int = 1) -> Any:
    """The elements in ascending order along an axis.

    Of a tuple of arrays, all are put in the order of the first `num_keys` of them.

    Example:
      >>> from pullback import lax
      >>> import pullback.numpy as jnp
      >>> print(lax.sort(jnp.array([3, 1, 2])))
      [1 2 3]
    """
    several = isinstance(operand, (tuple, list))
    arrays = [as_array(x, "sort") for x in (operand if several else [operand])]
    rank = len(arrays[0].shape) if arrays else 0
    axis = axis_of(dimension, rank, "sort")
    params = {"dimension": axis, "is_stable": bool(is_stable), "num_keys": operator.index(num_keys)}
    outs = apply(sorting.sort, *arrays, **params)
    return tuple(outs) if several else outs[0]


def sort_key_val(
    keys: Any, values: Any, dimension: int = -1, is_stable: bool = True
) -> tuple[Array, Array]:
    """`keys` in ascending order, and `values` in the order of their keys."""
    return sort((keys, values), dimension, is_stable, 1)  # type: ignore[no-any-return]


def top_k(operand: Any, k: int, *, axis: int = -1) -> list[Array]:
    """The `k` largest along an axis, largest first, and their indices."""
    x = as_array(operand, "top_k")
    at = axis_of(axis, len(x.shape), "top_k")
    return list(apply(sorting.top_k, x, k=operator.index(k), axis=at))


def approx_max_k(
    operand: Any,
    k: int,
    reduction_dimension: int = -1,
    recall_target: float = 0.95,
    reduction_input_size_override: int = -1,
    aggregate_to_topk: bool = True,
) -> list[Array]:
    """As `top_k`: this engine always finds the exact ones."""
    return _approximate(
        operand,
        k,
        reduction_dimension,
        recall_target,
        True,
        reduction_input_size_override,
        aggregate_to_topk,
    )


def approx_min_k(
    operand: Any,
    k: int,
    reduction_dimension: int = -1,
    recall_target: float = 0.95,
    reduction_input_size_override: int = -1,
    aggregate_to_topk: bool = True,
) -> list[Array]:
    """The `k` smallest along an axis, smallest first, and their indices; always the exact ones."""
    return _approximate(
        operand,
        k,
        reduction_dimension,
        recall_target,
        False,
        reduction_input_size_override,
        aggregate_to_topk,
    )


def _approximate(
    operand: Any, k: Any, axis: Any, recall: Any, largest: bool, size: Any, aggregate: Any
) -> list[Array]:
    outs = apply(
        approximate.approx_top_k,
        operand,
        k=operator.index(k),
        reduction_dimension=operator.index(axis),
        recall_target=float(recall),
        is_max_k=largest,
        reduction_input_size_override=operator.index(size),
        aggregate_to_topk=bool(aggregate),
    )
    return list(outs)
