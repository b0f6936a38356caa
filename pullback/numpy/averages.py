"""Means and variances: mean, average, var, std."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import dtypes
from ..core.array import Array, HostArray
from ..core.errors import error
from ..core.trace import quiet
from ..core.types import Shape
from ..ops.comparison import gt
from ..ops.elementwise import conj, convert_element_type, div, mul, real, sub
from ..ops.functions import sqrt, square
from ..ops.structural import broadcast_in_dim, reduce_sum, reshape, transpose
from ..ops.summing import SMALL, add_up
from .arguments import are_values, half_to_single, masked, no_out, where_mask
from .promotion import (
    as_array,
    astype,
    broadcast_to,
    inexact_dtype,
    promote_inexact,
    requested_dtype,
)
from .reductions import Axis, filled_like, plain, reduced_axes, sum


def mean(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    out: None = None,
    keepdims: bool = False,
    *,
    where: Any = None,
) -> Array:
    """The mean over `axis`, all axes if None. Integers give floats; half floats sum in float32.

    Args:
      a: an array.
      axis: an integer, a tuple of integers or None.
      dtype: the dtype to compute in.
      out: must be None.
      keepdims: keep the reduced axes, with length 1.
      where: bools that broadcast with `a`; elements where it is False are left out.

    Example:
      >>> import pullback.numpy as jnp
      >>> print(jnp.mean(jnp.array([1, 2, 4])))
      2.3333333
    """
    no_out("mean", out)
    x = a if isinstance(a, Array) else as_array(a, "mean")
    if where is None and x.dtype.char in "fdFD" and (dtype is None or dtype is x.dtype):
        total = plain(reduce_sum, x, axis, keepdims)
        n = x.size if axis is None else _count_along(x.shape, axis)
        return div(total, _number(n, x.dtype))
    result = inexact_dtype(x.dtype) if dtype is None else requested_dtype(dtype, "jnp.mean")
    inner = half_to_single(result) if dtype is None else result
    n = counted(x, axis, keepdims, where_mask("mean", where), inner)
    total = sum(x, axis, dtype=inner, keepdims=keepdims, where=where)
    return astype(_divided(total, n), result)


def _number(n: Any, dtype: np.dtype) -> Any:
    """A number of elements as an array; for `export` it may be an expression."""
    if isinstance(n, int | np.integer):
        return HostArray(dtype.type(n))
    ones = broadcast_in_dim(HostArray(np.int32(1)), shape=(n,), broadcast_dimensions=())
    return convert_element_type(reduce_sum(ones, axes=(0,)), new_dtype=dtype, weak_type=False)


def _count_along(shape: Shape, axis: Axis) -> int:
    n = 1
    for i in reduced_axes(axis, len(shape)):
        n *= shape[i]
    return n


def counted(x: Any, axis: Axis, keepdims: bool, where: Any, dtype: np.dtype) -> Any:
    """The number of elements of `x` over `axis`, of those that `where` leaves, in `dtype`."""
    if where is None:
        return _number(_count_along(x.shape, axis), dtype)
    return sum(broadcast_to(where, x.shape), axis, dtype=dtype, keepdims=keepdims)


def _divided(total: Any, n: Any) -> Any:
    if n.shape != total.shape and n.shape:
        n = broadcast_to(n, total.shape)
    return div(total, n)


def average(
    a: Any, axis: Axis = None, weights: Any = None, returned: bool = False, keepdims: bool = False
) -> Any:
    """The mean over `axis` weighted by `weights`; with `returned` also the sum of the weights.

    Args:
      a: an array.
      axis: an integer, a tuple of integers or None.
      weights: an array of the shape of `a`, or of its shape along `axis`. None: all are 1.
      returned: whether the result is ``(average, sum of weights)``.
      keepdims: keep the reduced axes, with length 1.
    """
    axes = reduced_axes(axis, len(as_array(a, "average").shape))
    if weights is None:
        (x,) = promote_inexact("average", a)
        found: Any = mean(x, axis, keepdims=keepdims)
        total: Any = _number(_count_along(x.shape, axis), found.dtype)
    else:
        x, w = promote_inexact("average", a, weights)
        w = _weights_along(x, w, axis, axes)
        total = sum(w, axis, keepdims=keepdims)
        found = _divided(sum(mul(x, broadcast_to(w, x.shape)), axis, keepdims=keepdims), total)
    if not returned:
        return found
    return found, total if total.shape == found.shape else broadcast_to(total, found.shape)


def _weights_along(x: Any, w: Any, axis: Axis, axes: tuple[int, ...]) -> Any:
    if x.shape == w.shape:
        return w
    if axis is None:
        raise error(
            ValueError,
            "average: axis must be specified when the shapes of a and weights differ.",
            got=f"a of shape {x.shape}, weights of shape {w.shape}",
            fix="name the axis that the weights belong to.",
        )
    if w.shape != tuple(x.shape[i] for i in axes):
        raise error(
            ValueError,
            "average: the shape of weights must be that of a along the specified axis.",
            got=f"weights of shape {w.shape}, a of shape {x.shape}, axis={axis}",
            fix="give one weight for each element along the axis.",
        )
    order = sorted(range(len(axes)), key=axes.__getitem__)
    if order != list(range(len(axes))):
        w = transpose(w, permutation=tuple(order))
    shape = tuple(n if i in axes else 1 for i, n in enumerate(x.shape))
    return reshape(w, new_sizes=shape)


def var(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    out: None = None,
    ddof: int = 0,
    keepdims: bool = False,
    *,
    where: Any = None,
    mean: Any = None,
    correction: float | None = None,
) -> Array:
    """The variance over `axis`: the sum of squared distances from the mean, divided by n - ddof.

    Args:
      a: an array. Of complex numbers it is the mean of squared absolute distances, which is real.
      axis: an integer, a tuple of integers or None.
      dtype: the dtype to compute in.
      out: must be None.
      ddof: what is subtracted from the number of elements.
      keepdims: keep the reduced axes, with length 1.
      where: bools that broadcast with `a`; elements where it is False are left out.
      mean: the mean, where it is known, as with `keepdims=True`.
      correction: another name for `ddof`.

    Returns:
      NaN where n - ddof is not positive.
    """
    no_out("var", out)
    ddof = one_correction("var", ddof, correction)
    x = as_array(a, "var")
    where = where_mask("var", where)
    inner, result = variance_dtypes("var", x.dtype, dtype)
    x = astype(x, inner)
    plain = where is None and mean is None and (axis is None or type(axis) is int)
    if plain and type(ddof) is int and inner.kind == "f" and are_values(x):
        n = _count_along(x.shape, axis) - ddof
        if n > 0:
            return HostArray(_variance(x._value, axis, n, keepdims).astype(result))
    center = _mean(x, axis, inner, where) if mean is None else astype(as_array(mean, "var"), inner)
    squares = squared_distance(x, center, where)
    total = sum(squares, axis, dtype=squares.dtype, keepdims=keepdims, where=where)
    if where is None and isinstance(ddof, (int, float)):
        n = _count_along(x.shape, axis) - ddof
        if n > 0:
            return astype(div(total, _number(n, total.dtype)), result)
        return filled_like(total.shape, HostArray(result.type(np.nan)))
    n = counted(x, axis, keepdims, where, squares.dtype)
    n = sub(n, astype(as_array(ddof, "var"), squares.dtype))
    positive = gt(n, HostArray(n.dtype.type(0), True))
    found = astype(_divided(total, masked(positive, n, HostArray(n.dtype.type(1)))), result)
    return masked(positive, found, HostArray(result.type(np.nan)))


def _variance(x: Any, axis: int | None, n: int, keepdims: bool) -> Any:
    """`var` of values, by NumPy at once: its operations cost 15 us, this 8 us."""
    count = x.size if axis is None else x.shape[axis]
    total: Any = np.add.reduce if x.size < SMALL else _total
    with quiet():
        center = total(x, axis, keepdims=True) / x.dtype.type(count)
        return total(np.square(x - center), axis, keepdims=keepdims) / x.dtype.type(n)


def _total(x: Any, axis: int | None, keepdims: bool) -> Any:
    axes = tuple(range(x.ndim)) if axis is None else (axis % x.ndim,)
    out = add_up(x, axes)
    return np.expand_dims(out, axes) if keepdims else out


def _mean(x: Any, axis: Axis, dtype: np.dtype, where: Any) -> Any:
    # A scalar stands for any shape, so that of all elements need not be repeated.
    return mean(x, axis, dtype=dtype, keepdims=axis is not None, where=where)


def squared_distance(x: Any, center: Any, here: Any = None) -> Any:
    """The squares of the absolute values of `x - center`; zero where `here` is False."""
    centered = sub(x, center if not center.shape else broadcast_to(center, x.shape))
    if here is not None:
        # Masked before it is squared: the derivative of the square of a NaN is NaN, also times 0.
        centered = masked(here, centered, HostArray(centered.dtype.type(0)))
    if dtypes.kind(centered.dtype) == "c":
        return real(mul(centered, conj(centered, input_dtype=centered.dtype)))
    return square(centered)


def one_correction(name: str, ddof: Any, correction: Any) -> Any:
    """The one of `ddof` and `correction` that is given."""
    if correction is None:
        return ddof
    if not isinstance(ddof, int) or ddof != 0:
        raise error(
            ValueError,
            f"jnp.{name}: ddof and correction can't be provided simultaneously.",
            got=f"ddof={ddof}, correction={correction}",
            fix="give one of them: they mean the same.",
        )
    return correction


def variance_dtypes(name: str, dtype: np.dtype, asked: Any) -> tuple[np.dtype, np.dtype]:
    """The dtype to compute a variance in, and that of the result."""
    if asked is not None:
        result = requested_dtype(asked, f"jnp.{name}")
        if dtypes.kind(dtype) == "c" and dtypes.kind(result) != "c":
            raise error(
                ValueError,
                f"jnp.{name} of complex numbers cannot be computed in a real dtype.",
                got=f"dtype={dtypes.long_name(result)} for {dtypes.long_name(dtype)} elements",
                fix="leave dtype away (the result is real), or take the real part first.",
            )
        return half_to_single(result), result
    if not dtypes.is_inexact(dtype):
        result = inexact_dtype(dtype)
        return result, result
    return half_to_single(dtype), dtypes.real_dtype(dtype)


def std(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    out: None = None,
    ddof: int = 0,
    keepdims: bool = False,
    *,
    where: Any = None,
    mean: Any = None,
    correction: float | None = None,
) -> Array:
    """The standard deviation over `axis`, the square root of `var`; the arguments are the same."""
    no_out("std", out)
    ddof = one_correction("std", ddof, correction)
    inexact_only("std", dtype)
    return sqrt(var(a, axis, dtype, None, ddof, keepdims, where=where, mean=mean))


def inexact_only(name: str, dtype: Any) -> None:
    """An argument `dtype` must name a float or complex dtype."""
    if dtype is not None and not dtypes.is_inexact(dtypes.canonical(dtype)):
        raise error(
            ValueError,
            f"dtype argument to jnp.{name} must be inexact.",
            got=f"dtype={dtypes.long_name(dtypes.canonical(dtype))}",
            fix="use a float or complex dtype, or convert the result.",
        )
