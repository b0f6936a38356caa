"""Elements put in and taken out: delete, insert, resize, trim_zeros; bits packed and unpacked."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..core import dtypes
from ..core.array import Array, HostArray
from ..core.errors import error
from ..ops.comparison import and_, clamp, ge, lt, shift_left, shift_right_logical
from ..ops.elementwise import add, convert_element_type, like, select_n, sub
from ..ops.slicing import concatenate, pad, slice_along
from ..ops.structural import move_axis, reduce_sum, reshape
from .arguments import concrete, expand, from_host, integer, integers, known, shape_argument
from .ordering import argsort, sort
from .promotion import as_array, as_arrays, axis_number, axis_numbers, broadcast_to
from .reductions import filled_like, truth
from .shaping import moveaxis, ravel
from .taking import sized, taken


def resize(a: Any, new_shape: Any) -> Array:
    """An array of `new_shape` filled with the elements of `a`, again and again."""
    x = as_array(a, "resize")
    shape = shape_argument("resize", new_shape)
    if not x.size or not math.prod(shape):
        return filled_like(shape, HostArray(x.dtype.type(0)))
    return reshape(sized(x, math.prod(shape)), new_sizes=shape)


def delete(
    arr: Any, obj: Any, axis: int | None = None, *, assume_unique_indices: bool = False
) -> Array:
    """`arr` without the slices at `obj` along `axis`; without elements if it is None.

    Args:
      arr: an array.
      obj: an integer, a slice, an array of integers or of bools.
      axis: the axis; None: `arr` is flattened.
      assume_unique_indices: a promise that no index occurs twice; then they may be traced.

    Example:
      >>> import pullback.numpy as jnp
      >>> print(jnp.delete(jnp.array([5, 6, 7]), 1))
      [5 7]
    """
    x = as_array(arr, "delete")
    x, i = (ravel(x), 0) if axis is None else (x, axis_number(axis, x.ndim))
    n = x.shape[i]
    if isinstance(obj, slice):
        obj = np.arange(n)[obj]
    if isinstance(obj, (list, tuple)):
        obj = np.asarray(obj, None if len(obj) else np.int32)
    at = as_array(obj, "delete")
    if known(at) is None and assume_unique_indices and dtypes.kind(at.dtype) in "iu":
        return taken(x, _others(ravel(at), n), i)
    value = concrete(at, "`obj` of jnp.delete", "pass assume_unique_indices=True for indices.")
    return taken(x, from_host(np.flatnonzero(_mask_of_rest(value, n)), dtypes.int32), i)


def _mask_of_rest(obj: np.ndarray, n: int) -> np.ndarray:
    if obj.dtype == bool:
        if obj.shape != (n,):
            raise error(
                ValueError,
                "delete: boolean indices must be one-dimensional with length matching the axis.",
                got=f"bools of shape {obj.shape} for an axis of length {n}",
                fix="give one bool for each element along the axis.",
            )
        return ~obj
    if obj.dtype.kind not in "iu":
        raise error(
            ValueError,
            "delete: the indices must be integer or bool.",
            got=f"obj of dtype {obj.dtype}",
            fix="convert them with .astype(int).",
        )
    outside = obj[(obj < -n) | (obj >= n)]
    if outside.size:
        raise error(
            IndexError,
            f"index {int(outside.flat[0])} is out of bounds for axis with size {n}.",
            got=f"obj={obj.tolist()!r:.60}",
            fix=f"use {-n} to {n - 1}." if n else "the axis has no elements.",
        )
    mask = np.ones(n, bool)
    mask[obj] = False
    return mask


def _others(at: Any, n: int) -> Any:
    """The places 0 to n - 1 that are not among `at`, which are all different."""
    at = select_n(lt(at, like(at, 0)), at, add(at, like(at, n)))
    at = sort(convert_element_type(at, new_dtype=dtypes.int32, weak_type=False))
    k = at.shape[0]
    # The j-th of the others is j plus the number of those before it.
    before = sub(at, HostArray(np.arange(k, dtype=np.int32)))
    rest = np.arange(max(0, n - k), dtype=np.int32)
    wide = (k, len(rest))
    later = broadcast_to(HostArray(rest), wide)
    skipped = ge(later, broadcast_to(expand(before, (1,)), wide))
    skipped = convert_element_type(skipped, new_dtype=dtypes.int32, weak_type=False)
    count = reduce_sum(skipped, axes=(0,))
    return add(HostArray(rest), count)


def insert(arr: Any, obj: Any, values: Any, axis: int | None = None) -> Array:
    """`arr` with `values` put in before the indices `obj` along `axis`; flattened if it is None.

    Args:
      arr: an array.
      obj: an integer, a slice or an array of integers, all of them indices of `arr`.
      values: what to put in; broadcast to the shape that is needed.
      axis: the axis.

    Example:
      >>> import pullback.numpy as jnp
      >>> print(jnp.insert(jnp.array([5, 6, 7]), 1, 9))
      [5 9 6 7]
    """
    x, new = as_arrays("insert", arr, values)
    x, i = (ravel(x), 0) if axis is None else (x, axis_number(axis, x.ndim))
    n = x.shape[i]
    at = _insert_places(obj, n)
    new = convert_element_type(new, new_dtype=x.dtype, weak_type=x.weak_type)
    new = expand(new, tuple(range(x.ndim - new.ndim))) if new.ndim < x.ndim else new
    if at.size == 1:
        if at.ndim == 0:
            new = moveaxis(new, 0, i)
        count = new.shape[i]
        at = broadcast_to(reshape(at, new_sizes=(1,)), (count,))
    count = at.shape[0]
    new = broadcast_to(new, (*x.shape[:i], count, *x.shape[i + 1 :]))
    if not count:
        return x
    # Each old element is told its place by a stable sort of all places, new ones first.
    at = select_n(lt(at, like(at, 0)), at, add(at, like(at, n)))
    at = clamp(like(at, 0), at, like(at, n))
    own = HostArray(np.arange(n, dtype=at.dtype))
    order = argsort(concatenate(at, own, dimension=0))
    return taken(concatenate(new, x, dimension=i), order, i)


def _insert_places(obj: Any, n: int) -> Any:
    if isinstance(obj, slice):
        return from_host(np.arange(n)[obj], dtypes.default_int())
    if isinstance(obj, (list, tuple)):
        obj = np.asarray(obj, None if len(obj) else np.int32)
    at = as_array(obj, "insert")
    if at.ndim > 1 or dtypes.kind(at.dtype) not in "iu":
        raise error(
            ValueError,
            "jnp.insert(): obj must be a slice, an integer, or integers along one axis.",
            got=at.aval.str_short(),
            fix="convert masks with jnp.flatnonzero, and others with .astype(int).",
        )
    return at


def trim_zeros(filt: Any, trim: str = "fb", axis: Any = None) -> Array:
    """`filt` without zeros at its ends: in front if "f" is in `trim`, behind if "b" is.

    Args:
      filt: an array whose values are known (not under jit).
      trim: "f", "b" or "fb".
      axis: the axes to trim along; None for all.
    """
    x = as_array(filt, "trim_zeros")
    value = concrete(truth(x), "`filt` of jnp.trim_zeros", "trim outside of jit.")
    trim = trim.lower()
    axes = axis_numbers(None if axis is None else integers(axis, "`axis`"), x.ndim)
    for i in axes:
        here = np.flatnonzero(value.any(axis=tuple(k for k in range(x.ndim) if k != i)))
        n = x.shape[i]
        first = (int(here[0]) if len(here) else 0) if "f" in trim else 0
        last = (int(here[-1]) + 1 if len(here) else 0) if "b" in trim else n
        if not len(here) and "f" in trim and "b" not in trim:
            first = n
        x = slice_along(x, i, first, last)
    return x


# ---- bits


def packbits(a: Any, axis: int | None = None, bitorder: str = "big") -> Array:
    """Eight bools or integers (0 or not) along `axis` as the bits of one uint8."""
    x = as_array(a, "packbits")
    if dtypes.kind(x.dtype) not in "biu":
        raise error(
            TypeError,
            "Expected an input array of integer or boolean data type.",
            got=x.aval.str_short(),
            fix="compare to get bools.",
        )
    x, i, shifts = _with_bits(x, axis, bitorder)
    x = move_axis(truth(x), i, x.ndim - 1)
    rest = -x.shape[-1] % 8
    if rest:
        config = ((0, 0, 0),) * (x.ndim - 1) + ((0, rest, 0),)
        x = pad(x, HostArray(np.bool_(False)), padding_config=config)
    x = reshape(x, new_sizes=(*x.shape[:-1], x.shape[-1] // 8, 8))
    bits = convert_element_type(x, new_dtype=np.dtype(np.uint8), weak_type=False)
    bits = shift_left(bits, broadcast_to(shifts, bits.shape))
    return move_axis(reduce_sum(bits, axes=(x.ndim - 1,)), x.ndim - 2, i)


def unpackbits(
    a: Any, axis: int | None = None, count: int | None = None, bitorder: str = "big"
) -> Array:
    """The bits of each uint8 along `axis`, as uint8 of 0 or 1.

    Args:
      a: an array of uint8.
      axis: the axis; None: `a` is flattened.
      count: how many bits to give: the rest is cut off, or zeros are added; if negative, so many
        are cut off.
      bitorder: "big": the highest bit first; "little": the lowest.
    """
    x = as_array(a, "unpackbits")
    if x.dtype != np.uint8:
        raise error(
            TypeError,
            "Expected an input array of unsigned byte data type.",
            got=x.aval.str_short(),
            fix="convert it with .astype(jnp.uint8).",
        )
    x, i, shifts = _with_bits(x, axis, bitorder)
    x = expand(move_axis(x, i, x.ndim - 1), (x.ndim,))
    shape = (*x.shape[:-1], 8)
    bits = shift_right_logical(broadcast_to(x, shape), broadcast_to(shifts, shape))
    bits = and_(bits, like(bits, 1))
    bits = reshape(bits, new_sizes=(*shape[:-2], shape[-2] * 8))
    if count is not None:
        count = integer(count, "`count` of jnp.unpackbits")
        n, last = bits.shape[-1], bits.ndim - 1
        count = n + count if count < 0 else count
        config = ((0, 0, 0),) * last + ((0, count - n, 0),)
        bits = pad(bits, HostArray(np.uint8(0)), padding_config=config)
    return move_axis(bits, bits.ndim - 1, i)


def _with_bits(x: Any, axis: int | None, bitorder: str) -> tuple[Any, int, Any]:
    if bitorder not in ("big", "little"):
        raise error(
            ValueError,
            "'order' must be either 'little' or 'big'.",
            got=f"bitorder={bitorder!r}",
            fix='use "big" or "little".',
        )
    order = range(7, -1, -1) if bitorder == "big" else range(8)
    shifts = HostArray(np.array(order, np.uint8))
    if axis is None:
        return ravel(x), 0, shifts
    return x, axis_number(axis, x.ndim), shifts
