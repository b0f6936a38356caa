"""Making arrays, and changing their dtype."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from .. import checks
from ..core import dtypes
from ..core.array import Array, HostArray
from ..core.errors import error
from ..core.trace import type_of
from ..ops import elementwise, structural
from ..ops.comparison import bitcast_convert_type as _bitcast
from ..ops.spreading import place_of, put_where
from .arguments import apply, as_array, requested, shape_of


def convert_element_type(operand: Any, new_dtype: Any) -> Array:
    """`operand` in another dtype; out of range integers saturate, complex numbers lose a part.

    Example:
      >>> from pullback import lax
      >>> print(lax.convert_element_type(2.7, int))
      2
    """
    x = as_array(operand, "convert_element_type")
    dtype = requested(new_dtype, "convert_element_type")
    if x.dtype == dtype and not x.weak_type:
        return x  # type: ignore[no-any-return]
    return apply(elementwise.convert_element_type, x, new_dtype=dtype, weak_type=False)


def bitcast_convert_type(operand: Any, new_dtype: Any) -> Array:
    """The bits of `operand` read as another dtype; between widths, a last axis holds the parts."""
    return apply(_bitcast, operand, new_dtype=requested(new_dtype, "bitcast_convert_type"))


def full(shape: Any, fill_value: Any, dtype: Any = None, *, sharding: Any = None) -> Array:
    """An array of this shape, all of whose elements are `fill_value`.

    `sharding`, a Sharding or a Device, says where it is put.

    Example:
      >>> from pullback import lax
      >>> print(lax.full((2, 2), 7))
      [[7 7]
       [7 7]]
    """
    value = as_array(fill_value, "full")
    if value.shape:
        raise error(
            TypeError,
            f"full must be called with scalar fill_value, got fill_value.shape {value.shape}.",
            got=type_of(value).str_short(),
            fix="broadcast an array with lax.broadcast_in_dim.",
        )
    if dtype is not None:
        value = convert_element_type(value, dtype)
    sizes = shape_of(shape, "full")
    if sizes:
        value = structural.broadcast_in_dim(value, shape=sizes, broadcast_dimensions=())
    return put_where(value, sharding)


def full_like(
    x: Any, fill_value: Any, dtype: Any = None, shape: Any = None, sharding: Any = None
) -> Array:
    """As `full`, with the shape, dtype and place of `x` where they are not given."""
    t = checks.shaped(x, "full_like")
    sizes = t.shape if shape is None else shape_of(shape, "full_like")
    value = as_array(fill_value, "full_like")
    if sharding is None and type(x) is not HostArray:
        sharding = place_of(x, sizes)
    if dtype is not None:
        return full(sizes, value, dtype, sharding=sharding)
    weak = t.weak_type and value.weak_type
    if value.dtype != t.dtype or value.weak_type != weak:
        value = elementwise.convert_element_type(value, new_dtype=t.dtype, weak_type=weak)
    return full(sizes, value, sharding=sharding)


def zeros_like_array(x: Any) -> Array:
    """Zeros of the shape and dtype of `x`."""
    return full_like(x, 0)


def empty(shape: Any, dtype: Any, *, out_sharding: Any = None) -> Array:
    """An array whose elements do not matter: here zeros."""
    return full(shape, 0, dtype, sharding=out_sharding)


def iota(dtype: Any, size: int) -> Array:
    """0, 1, ..., size - 1"""
    return broadcasted_iota(dtype, (operator.index(size),), 0)


def broadcasted_iota(dtype: Any, shape: Any, dimension: int, *, out_sharding: Any = None) -> Array:
    """0, 1, 2, ... along the axis `dimension` of an array of this shape."""
    kept = requested(dtype, "iota")
    if dtypes.kind(kept) not in "iufc":
        raise error(
            TypeError,
            f"iota does not accept dtype {dtypes.long_name(kept)}.",
            got=f"dtype={dtype!r}",
            fix="give a dtype of numbers.",
        )
    sizes = shape_of(shape, "broadcasted_iota")
    out = apply(structural.iota, dtype=kept, shape=sizes, dimension=operator.index(dimension))
    return put_where(out, out_sharding)


def dtype(x: Any) -> np.dtype:
    """The dtype of an array or number."""
    return checks.shaped(x, "dtype").dtype


def shape_as_value(shape: Any) -> Array:
    """A shape as an array of integers."""
    return HostArray(np.array(shape_of(shape, "shape_as_value"), dtypes.default_int()))
