"""Windows of arrays: at places that are known, and at places that are computed."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core import dtypes
from ..core.array import Array, HostArray
from ..core.errors import error
from ..core.trace import host_array, type_of
from ..ops import dynamic, slicing
from ..ops.comparison import lt
from ..ops.elementwise import add, convert_element_type, like, select_n
from ..ops.structural import squeeze
from .arguments import apply, as_array, axis_of, integers
from .shaping import expand_dims


def slice(
    operand: Any,
    start_indices: Sequence[int],
    limit_indices: Sequence[int],
    strides: Sequence[int] | None = None,
) -> Array:
    """`operand[start:limit:stride]` along all axes, for integers that are known.

    Example:
      >>> from pullback import lax
      >>> print(lax.slice(lax.iota(int, 10), (1,), (8,), (3,)))
      [1 4 7]
    """
    return apply(
        slicing.slice_,
        operand,
        start_indices=integers(start_indices, "slice"),
        limit_indices=integers(limit_indices, "slice"),
        strides=None if strides is None else integers(strides, "slice"),
    )


def slice_in_dim(
    operand: Any,
    start_index: int | None,
    limit_index: int | None,
    stride: int = 1,
    axis: int = 0,
) -> Array:
    """`operand[start:limit:stride]` along one axis; negative indices count from the end."""
    x = as_array(operand, "slice_in_dim")
    at = axis_of(axis, len(x.shape), "slice_in_dim")
    n = x.shape[at]
    start = 0 if start_index is None else _from_front(operator.index(start_index), n)
    limit = n if limit_index is None else _from_front(operator.index(limit_index), n)
    starts, limits, strides = [0] * len(x.shape), list(x.shape), [1] * len(x.shape)
    starts[at], limits[at], strides[at] = start, limit, operator.index(stride)
    return slice(x, starts, limits, strides)


def _from_front(index: int, n: int) -> int:
    return index + n if index < 0 else index


def index_in_dim(operand: Any, index: int, axis: int = 0, keepdims: bool = True) -> Array:
    """`operand[index]` along one axis, which stays with length 1 if `keepdims`."""
    x = as_array(operand, "index_in_dim")
    at = axis_of(axis, len(x.shape), "index_in_dim")
    i, n = operator.index(index), x.shape[at]
    if not -n <= i < n:
        raise error(
            IndexError,
            f"index {i} is out of bounds for axis {at} with size {n}.",
            got=type_of(x).str_short(),
            fix=f"use {-n} to {n - 1}." if n else "the axis has no elements.",
        )
    out = slice_in_dim(x, i % n, i % n + 1, 1, at)
    return out if keepdims else squeeze(out, dimensions=(at,))


# ---- at places that are computed


def dynamic_slice(
    operand: Any,
    start_indices: Any,
    slice_sizes: Sequence[int],
    *,
    allow_negative_indices: bool | Sequence[bool] = True,
) -> Array:
    """The window of `slice_sizes` whose corner is at `start_indices`, one integer for each axis.

    Negative starts count from the end. A window that does not lie inside the array is moved inside.

    Example:
      >>> from pullback import lax
      >>> print(lax.dynamic_slice(lax.iota(int, 10), (4,), (3,)))
      [4 5 6]
    """
    x = as_array(operand, "dynamic_slice")
    starts = _starts(x, start_indices, allow_negative_indices, "dynamic_slice")
    return apply(
        dynamic.dynamic_slice, x, *starts, slice_sizes=integers(slice_sizes, "dynamic_slice")
    )


def dynamic_slice_in_dim(
    operand: Any,
    start_index: Any,
    slice_size: int,
    axis: int = 0,
    *,
    allow_negative_indices: bool = True,
) -> Array:
    """`slice_size` elements from `start_index` on, along one axis."""
    x = as_array(operand, "dynamic_slice_in_dim")
    at = axis_of(axis, len(x.shape), "dynamic_slice_in_dim")
    sizes = list(x.shape)
    sizes[at] = operator.index(slice_size)
    starts = _along(x, at, start_index)
    return dynamic_slice(x, starts, sizes, allow_negative_indices=allow_negative_indices)


def dynamic_index_in_dim(
    operand: Any,
    index: Any,
    axis: int = 0,
    keepdims: bool = True,
    *,
    allow_negative_indices: bool = True,
) -> Array:
    """The element at `index` along one axis, which stays with length 1 if `keepdims`."""
    x = as_array(operand, "dynamic_index_in_dim")
    at = axis_of(axis, len(x.shape), "dynamic_index_in_dim")
    out = dynamic_slice_in_dim(x, index, 1, at, allow_negative_indices=allow_negative_indices)
    return out if keepdims else squeeze(out, dimensions=(at,))


def dynamic_update_slice(
    operand: Any,
    update: Any,
    start_indices: Any,
    *,
    allow_negative_indices: bool | Sequence[bool] = True,
) -> Array:
    """`operand` with the window whose corner is at `start_indices` replaced by `update`.

    Negative starts count from the end. A window that does not lie inside the array is moved inside.
    """
    x = as_array(operand, "dynamic_update_slice")
    new = as_array(update, "dynamic_update_slice")
    starts = _starts(x, start_indices, allow_negative_indices, "dynamic_update_slice")
    return apply(dynamic.dynamic_update_slice, x, new, *starts)


def dynamic_update_slice_in_dim(
    operand: Any,
    update: Any,
    start_index: Any,
    axis: int,
    *,
    allow_negative_indices: bool = True,
) -> Array:
    """`operand` with elements from `start_index` on, along one axis, replaced by `update`."""
    x = as_array(operand, "dynamic_update_slice_in_dim")
    at = axis_of(axis, len(x.shape), "dynamic_update_slice_in_dim")
    starts = _along(x, at, start_index)
    return dynamic_update_slice(x, update, starts, allow_negative_indices=allow_negative_indices)


def dynamic_update_index_in_dim(
    operand: Any, update: Any, index: Any, axis: int, *, allow_negative_indices: bool = True
) -> Array:
    """`operand` with the element at `index` along an axis replaced; `update` may lack that axis."""
    x = as_array(operand, "dynamic_update_index_in_dim")
    new = as_array(update, "dynamic_update_index_in_dim")
    at = axis_of(axis, len(x.shape), "dynamic_update_index_in_dim")
    if len(new.shape) != len(x.shape):
        new = expand_dims(new, (at,))
    return dynamic_update_slice_in_dim(
        x, new, index, at, allow_negative_indices=allow_negative_indices
    )


def _along(x: Any, axis: int, start: Any) -> list[Any]:
    # On the other axes the start is 0: a Python integer, which takes the dtype of the one given.
    starts: list[Any] = [0] * len(x.shape)
    starts[axis] = start
    return starts


def _starts(x: Any, given: Any, negative: Any, name: str) -> list[Any]:
    """The starts as scalars of one integer dtype, counted from the front."""
    if isinstance(given, (Array, np.ndarray)):
        vector = as_array(given, name)
        if len(vector.shape) != 1:
            raise error(
                ValueError,
                f"Slice indices must be a 1D sequence, got {tuple(vector.shape)}.",
                got=type_of(vector).str_short(),
                fix="give one integer for each axis.",
            )
        given = [
            squeeze(slicing.slice_along(vector, 0, i, i + 1), dimensions=(0,))
            for i in range(vector.shape[0])
        ]
    rank = len(x.shape)
    if len(given) != rank:
        raise error(
            ValueError,
            f"Length of slice indices must match number of operand dimensions ({len(given)} vs "
            f"{rank}).",
            got=f"{len(given)} starts for {type_of(x).str_short()}",
            fix="give one integer for each axis.",
        )
    allowed = [negative] * rank if isinstance(negative, bool) else list(negative)
    each = zip(given, x.shape, allowed, strict=True)
    return _of_one_dtype([_counted(start, n, wraps, name) for start, n, wraps in each])


def _counted(start: Any, n: int, wraps: bool, name: str) -> Any:
    if isinstance(start, (int, np.integer)) and not isinstance(start, bool):
        if start < 0 and not wraps:
            raise error(
                ValueError,
                f"Index {start} is out of bounds if allow_negative_indices=False.",
                got=f"start {start} in {name}, on an axis of length {n}",
                fix="give 0 or more.",
            )
        return host_array(int(start) + n if start < 0 else int(start))
    i = as_array(start, name)
    if dtypes.kind(i.dtype) not in "iu" or i.shape:
        raise error(
            TypeError,
            f"index arguments to {name} must be integer scalars.",
            got=type_of(i).str_short(),
            fix="convert with .astype(int).",
        )
    if not wraps or dtypes.kind(i.dtype) == "u":
        return i
    if n > dtypes.iinfo(i.dtype).max:
        i = convert_element_type(i, new_dtype=dtypes.int32, weak_type=False)
    length = HostArray(i.dtype.type(n), True)
    return select_n(lt(i, like(i, 0)), i, add(i, length))


def _of_one_dtype(starts: list[Any]) -> list[Any]:
    """Python integers take the dtype of the others."""
    strong = [s.dtype for s in starts if not s.weak_type]
    if not strong or all(s.dtype == strong[0] for s in starts):
        return starts
    return [
        convert_element_type(s, new_dtype=strong[0], weak_type=False) if s.weak_type else s
        for s in starts
    ]
