"""The same elements in another shape or order: broadcast, reshape, transpose, join."""

from __future__ import annotations

import builtins
import math
import operator
from collections.abc import Sequence
from typing import Any

from .. import checks
from ..core.array import Array
from ..core.errors import error
from ..core.trace import type_of
from ..ops import slicing, stacking, structural
from .arguments import apply, as_array, axes_of, axis_of, integers, shape_of


def broadcast(operand: Any, sizes: Sequence[int], *, out_sharding: Any = None) -> Array:
    """`operand` repeated along new axes of these lengths, in front of its own."""
    x = as_array(operand, "broadcast")
    front = shape_of(sizes, "broadcast")
    dims = tuple(range(len(front), len(front) + len(x.shape)))
    return broadcast_in_dim(x, (*front, *x.shape), dims)


def broadcast_in_dim(
    operand: Any, shape: Any, broadcast_dimensions: Sequence[int], *, out_sharding: Any = None
) -> Array:
    """`operand` in a larger shape; its axis i becomes axis `broadcast_dimensions[i]`.

    Example:
      >>> from pullback import lax
      >>> print(lax.broadcast_in_dim(lax.iota(int, 2), (2, 3), (0,)))
      [[0 0 0]
       [1 1 1]]
    """
    x = as_array(operand, "broadcast_in_dim")
    sizes = shape_of(shape, "broadcast_in_dim")
    dims = integers(broadcast_dimensions, "broadcast_in_dim")
    if tuple(x.shape) == sizes and dims == tuple(range(len(sizes))):
        return x  # type: ignore[no-any-return]
    return apply(structural.broadcast_in_dim, x, shape=sizes, broadcast_dimensions=dims)


def broadcast_shapes(*shapes: Any) -> tuple[int, ...]:
    """The shape to which arrays of these shapes broadcast, by NumPy's rules."""
    sizes = [shape_of(s, "broadcast_shapes") for s in shapes]
    rank = max((len(s) for s in sizes), default=0)
    aligned = [(1,) * (rank - len(s)) + s for s in sizes]
    out = []
    for column in zip(*aligned, strict=True):
        longer = {n for n in column if n != 1}
        if len(longer) > 1:
            raise error(
                ValueError,
                f"Incompatible shapes for broadcasting: shapes={sizes}",
                got=", ".join(map(str, sizes)),
                fix="axes, counted from the last, must be equal or of length 1.",
            )
        out.append(longer.pop() if longer else 1)
    return tuple(out)


def broadcast_to_rank(x: Any, rank: int) -> Array:
    """`x` with axes of length 1 in front, so that it has `rank` axes."""
    x = as_array(x, "broadcast_to_rank")
    missing = operator.index(rank) - len(x.shape)
    return expand_dims(x, range(missing)) if missing > 0 else x


def broadcast_like(arr: Any, like_arr: Any) -> Array:
    """`arr` broadcast to the shape of `like_arr`, by NumPy's rules."""
    x = as_array(arr, "broadcast_like")
    shape = checks.shaped(like_arr, "broadcast_like").shape
    dims = tuple(range(len(shape) - len(x.shape), len(shape)))
    return broadcast_in_dim(x, shape, dims)


def reshape(
    operand: Any,
    new_sizes: Any,
    dimensions: Sequence[int] | None = None,
    *,
    out_sharding: Any = None,
) -> Array:
    """The elements of `operand`, with its axes in the order `dimensions`, in a new shape."""
    x = as_array(operand, "reshape")
    if dimensions is not None:
        x = transpose(x, dimensions)
    sizes = shape_of(new_sizes, "reshape")
    if any(n < 0 for n in sizes):
        raise error(
            TypeError,
            f"reshape new_sizes must all be positive, got {sizes}.",
            got=f"{type_of(x).str_short()} to {sizes}",
            fix="use jnp.reshape, which finds out a size of -1.",
        )
    return x if tuple(x.shape) == sizes else apply(structural.reshape, x, new_sizes=sizes)


def collapse(operand: Any, start_dimension: int, stop_dimension: int | None = None) -> Array:
    """The axes from `start_dimension` up to `stop_dimension` merged into one."""
    x = as_array(operand, "collapse")
    first, last, _ = builtins.slice(start_dimension, stop_dimension).indices(len(x.shape))
    if last < first:
        raise error(
            ValueError,
            "collapse needs axes in order.",
            got=f"axes {start_dimension} to {stop_dimension} of {type_of(x).str_short()}",
            fix="give a first axis that is not behind the last.",
        )
    shape = (*x.shape[:first], math.prod(x.shape[first:last]), *x.shape[last:])
    return reshape(x, shape)


def expand_dims(array: Any, dimensions: Any) -> Array:
    """`array` with new axes of length 1, at these places of the result."""
    x = as_array(array, "expand_dims")
    new = shape_of(dimensions, "expand_dims")
    rank = len(x.shape) + len(new)
    at = set(axes_of(new, rank, "expand_dims"))
    if len(at) != len(new):
        raise error(
            ValueError,
            "expand_dims needs different axes.",
            got=f"dimensions {new}",
            fix="name each new axis once.",
        )
    kept = tuple(i for i in range(rank) if i not in at)
    sizes = [1] * rank
    for i, n in zip(kept, x.shape, strict=True):
        sizes[i] = n
    return broadcast_in_dim(x, sizes, kept)


def squeeze(array: Any, dimensions: Any) -> Array:
    """`array` without these axes, which have length 1."""
    x = as_array(array, "squeeze")
    dims = axes_of(shape_of(dimensions, "squeeze"), len(x.shape), "squeeze")
    return apply(structural.squeeze, x, dimensions=dims) if dims else x


def transpose(operand: Any, permutation: Sequence[int]) -> Array:
    """`operand` with its axes in another order: axis i is what was axis `permutation[i]`."""
    x = as_array(operand, "transpose")
    order = integers(permutation, "transpose")
    if order == tuple(range(len(x.shape))):
        return x  # type: ignore[no-any-return]
    return apply(structural.transpose, x, permutation=order)


def rev(operand: Any, dimensions: Sequence[int]) -> Array:
    """`operand` with the order along these axes reversed."""
    return apply(structural.rev, operand, dimensions=integers(dimensions, "rev"))


def pad(operand: Any, padding_value: Any, padding_config: Sequence[tuple[int, int, int]]) -> Array:
    """`operand` with `padding_value` around and between its elements.

    Each axis has (low, high, interior); a negative low or high cuts elements off.

    Example:
      >>> from pullback import lax
      >>> print(lax.pad(lax.iota(int, 2), 9, [(1, 0, 1)]))
      [9 0 9 1]
    """
    config = tuple(integers(triple, "pad") for triple in padding_config)
    return apply(slicing.pad, operand, padding_value, padding_config=config)


def concatenate(operands: Any, dimension: int) -> Array:
    """The operands, of one dtype, one after the other along an axis."""
    arrays = [as_array(x, "concatenate") for x in operands]
    if not arrays:
        raise error(
            ValueError,
            "concatenate requires a non-empty sequence of arrays.",
            got="no arrays",
            fix="give at least one.",
        )
    axis = axis_of(dimension, len(arrays[0].shape), "concatenate") if arrays[0].shape else 0
    if len(arrays) == 1 and arrays[0].shape:
        return arrays[0]  # type: ignore[no-any-return]
    return apply(slicing.concatenate, *arrays, dimension=axis)


def stack(operands: Sequence[Any], axis: int = 0) -> Array:
    """The operands, of one shape and dtype, along a new axis."""
    arrays = [as_array(x, "stack") for x in operands]
    rank = len(arrays[0].shape) + 1 if arrays else 1
    return apply(stacking.stack, *arrays, axis=axis_of(axis, rank, "stack"))


def unstack(x: Any, axis: int = 0) -> tuple[Array, ...]:
    """The elements of `x` along an axis, each without it."""
    x = as_array(x, "unstack")
    return tuple(apply(stacking.unstack, x, axis=axis_of(axis, len(x.shape), "unstack")))


def tile(operand: Any, reps: Sequence[int]) -> Array:
    """`operand` repeated: `reps[i]` times along axis i."""
    return apply(stacking.tile, operand, reps=integers(reps, "tile"))


def split(operand: Any, sizes: Sequence[int], axis: int = 0) -> list[Array]:
    """Consecutive parts of these sizes along an axis."""
    x = as_array(operand, "split")
    at = axis_of(axis, len(x.shape), "split")
    return list(apply(slicing.split, x, sizes=integers(sizes, "split"), axis=at))
