"""Sums and products of all elements so far, and what undoes them: differences and gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import dtypes
from ..core.array import Array, HostArray
from ..core.errors import error
from ..ops import cumulative
from ..ops.comparison import ne, not_
from ..ops.elementwise import add, div, mul, neg, sub
from ..ops.rounding import abs_
from ..ops.slicing import concatenate, slice_along
from ..ops.structural import reshape, zero_like
from .arguments import integer, masked, no_out
from .nan_reductions import nan_mask
from .promotion import (
    as_array,
    astype,
    axis_number,
    broadcast_to,
    promote,
    promote_dtypes,
    promote_inexact,
    requested_dtype,
)
from .reductions import filled_like, promoted_integer, sum, truth


def cumsum(a: Any, axis: int | None = None, dtype: Any = None, out: None = None) -> Array:
    """The sums of all elements so far along `axis`; of the flattened array if it is None.

    Example:
      >>> import pullback.numpy as jnp
      >>> print(jnp.cumsum(jnp.array([1, 2, 3])))
      [1 3 6]
    """
    return _cumulated("cumsum", cumulative.cumsum, a, axis, dtype, out)


def cumprod(a: Any, axis: int | None = None, dtype: Any = None, out: None = None) -> Array:
    """The products of all elements so far along `axis`; of the flattened array if it is None."""
    return _cumulated("cumprod", cumulative.cumprod, a, axis, dtype, out)


def nancumsum(a: Any, axis: int | None = None, dtype: Any = None, out: None = None) -> Array:
    """`cumsum` with NaN counted as 0."""
    return _cumulated("nancumsum", cumulative.cumsum, a, axis, dtype, out, nan_is=0)


def nancumprod(a: Any, axis: int | None = None, dtype: Any = None, out: None = None) -> Array:
    """`cumprod` with NaN counted as 1."""
    return _cumulated("nancumprod", cumulative.cumprod, a, axis, dtype, out, nan_is=1)


def _cumulated(
    name: str,
    op: Any,
    a: Any,
    axis: Any,
    dtype: Any,
    out: Any,
    nan_is: int | None = None,
    promote_integers: bool = False,
) -> Any:
    no_out(name, out)
    x = as_array(a, name)
    if len(x.shape) != 1 and (axis is None or not x.shape):
        x = reshape(x, new_sizes=(x.size,))
    if type(axis) is not int and axis is not None:
        axis = integer(axis, f"`axis` of jnp.{name}")
    i = 0 if axis is None else axis_number(axis, len(x.shape))
    if nan_is is not None and dtypes.is_inexact(x.dtype):
        x = masked(not_(nan_mask(x)), x, HostArray(x.dtype.type(nan_is)))
    if dtype is not None:
        result = inner = requested_dtype(dtype, f"jnp.{name}")
        if result == dtypes.bool_:
            x, inner = truth(x), dtypes.default_int()
    elif promote_integers or x.dtype == dtypes.bool_:
        result = inner = promoted_integer(x.dtype)
    else:
        result = inner = x.dtype
    found = op(astype(x, inner), axis=i, reverse=False)
    return truth(found) if result == dtypes.bool_ else astype(found, result)


def cumulative_sum(
    x: Any, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False
) -> Array:
    """`cumsum` as the array API standard has it: integers are widened, `axis` is needed beyond 1-d.

    With `include_initial` the result starts with 0 and is one longer.
    """
    initial = 0 if include_initial else None
    return _standard("cumulative_sum", cumulative.cumsum, x, axis, dtype, initial)


def cumulative_prod(
    x: Any, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False
) -> Array:
    """`cumprod` as the array API standard has it, but integers keep their width, as in JAX.

    `axis` is needed beyond 1-d. With `include_initial` the result starts with 1, and is one longer.
    """
    initial = 1 if include_initial else None
    return _standard("cumulative_prod", cumulative.cumprod, x, axis, dtype, initial)


def _standard(name: str, op: Any, x: Any, axis: Any, dtype: Any, initial: int | None) -> Any:
    x = as_array(x, name)
    if x.ndim == 0:
        raise error(
            ValueError,
            f"the input of jnp.{name} must be non-scalar.",
            got=x.aval.str_short(),
            fix="give an array with an axis.",
        )
    if axis is None and x.ndim > 1:
        raise error(
            ValueError,
            f"jnp.{name} needs an axis for an array with more than one.",
            got=f"{x.aval.str_short()} and axis=None",
            fix="name the axis.",
        )
    i = axis_number(0 if axis is None else axis, x.ndim)
    found = _cumulated(name, op, x, i, dtype, None, promote_integers=name == "cumulative_sum")
    if initial is None:
        return found
    shape = (*x.shape[:i], 1, *x.shape[i + 1 :])
    first = filled_like(shape, HostArray(found.dtype.type(initial)))
    return concatenate(first, found, dimension=i)


# ---- differences


def diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Array:
    """The differences of neighbours along `axis`, taken `n` times; of bools: whether they differ.

    Args:
      a: an array.
      n: how many times.
      axis: the axis.
      prepend: a number or array put before `a` first.
      append: a number or array put after `a` first.

    Example:
      >>> import pullback.numpy as jnp
      >>> print(jnp.diff(jnp.array([1, 4, 9])))
      [3 5]
    """
    x = as_array(a, "diff")
    n = integer(n, "`n` of jnp.diff")
    if n < 0:
        raise error(
            ValueError,
            f"order must be non-negative but got {n}.",
            got=f"n={n}",
            fix="give the number of times to take differences, 0 or more.",
        )
    if n == 0:
        return x
    if x.ndim == 0:
        raise error(
            ValueError,
            "diff requires input that is at least one dimensional.",
            got=x.aval.str_short(),
            fix="give an array with an axis.",
        )
    i = axis_number(integer(axis, "`axis` of jnp.diff"), x.ndim)
    if prepend is not None or append is not None:
        parts = [p if p is x else _end(p, x, i) for p in (prepend, x, append) if p is not None]
        x = concatenate(*promote_dtypes("diff", *parts), dimension=i)
    for _ in range(n):
        x = _difference(x, i)
    return x


def _end(value: Any, x: Any, axis: int) -> Any:
    value = as_array(value, "diff")
    if value.ndim:
        return value
    return broadcast_to(value, (*x.shape[:axis], 1, *x.shape[axis + 1 :]))


def _difference(x: Any, axis: int) -> Any:
    n = x.shape[axis]
    later = slice_along(x, axis, min(1, n), n)
    earlier = slice_along(x, axis, 0, max(0, n - 1))
    return ne(later, earlier) if x.dtype == dtypes.bool_ else sub(later, earlier)


def ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Array:
    """The differences of neighbours in the flattened array, between `to_begin` and `to_end`."""
    x = as_array(ary, "ediff1d")
    x = reshape(x, new_sizes=(x.size,))
    parts = [_difference(x, 0)]
    if to_begin is not None:
        parts.insert(0, _flat_in(to_begin, x.dtype))
    if to_end is not None:
        parts.append(_flat_in(to_end, x.dtype))
    return concatenate(*parts, dimension=0) if len(parts) > 1 else parts[0]


def _flat_in(value: Any, dtype: np.dtype) -> Any:
    value = astype(as_array(value, "ediff1d"), dtype)
    return reshape(value, new_sizes=(value.size,))


def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int | None = None) -> Any:
    """The derivatives of samples along each axis by central differences, one-sided at the ends.

    Args:
      f: the samples.
      *varargs: the spacing: nothing for 1, one number for all axes, or for each axis a number or
        an array of the coordinates.
      axis: an integer, a tuple of integers, or None for all axes.
      edge_order: must be None.

    Returns:
      An array; a list of arrays if there are several axes.
    """
    if edge_order is not None:
        raise error(
            NotImplementedError,
            "The 'edge_order' argument to jnp.gradient is not supported.",
            got=f"edge_order={edge_order}",
            fix="leave it away: differences at the ends are of first order.",
        )
    x, *spacing = promote_inexact("gradient", f, *varargs)
    if axis is None:
        axes = tuple(range(x.ndim))
    else:
        many = axis if isinstance(axis, (tuple, list)) else (axis,)
        axes = tuple(axis_number(i, x.ndim) for i in many)
    if not axes:
        return []
    if min(x.shape[i] for i in axes) < 2:
        raise error(
            ValueError,
            "the array is too small to calculate a numerical gradient: at least 2 elements are "
            "required along each axis.",
            got=f"{x.aval.str_short()} along axes {axes}",
            fix="give more samples, or name the axes with axis=.",
        )
    if len(spacing) == 1:
        spacing *= len(axes)
    if spacing and len(spacing) != len(axes):
        raise error(
            TypeError,
            "jnp.gradient takes no spacing, one, or one for each axis.",
            got=f"{len(spacing)} spacings for {len(axes)} axes",
            fix="give as many as there are axes.",
        )
    found = [_gradient_along(x, spacing[k] if spacing else None, i) for k, i in enumerate(axes)]
    return found[0] if len(found) == 1 else found


def _gradient_along(x: Any, h: Any, axis: int) -> Any:
    n = x.shape[axis]
    first = sub(slice_along(x, axis, 1, 2), slice_along(x, axis, 0, 1))
    last = sub(slice_along(x, axis, n - 1, n), slice_along(x, axis, n - 2, n - 1))
    if h is not None and h.ndim:
        inner, first, last = _uneven(x, _coordinates(h, x, axis), axis, first, last)
    else:
        inner = sub(slice_along(x, axis, 2, n), slice_along(x, axis, 0, n - 2))
        inner = mul(inner, HostArray(x.dtype.type(0.5), True))
        if h is not None:
            inner, first, last = div(inner, h), div(first, h), div(last, h)
    return concatenate(first, inner, last, dimension=axis)


def _coordinates(h: Any, x: Any, axis: int) -> Any:
    n = x.shape[axis]
    if h.ndim != 1 or h.shape[0] != n:
        raise error(
            ValueError,
            "a spacing of jnp.gradient is a number, or a 1-d array of as many coordinates as the "
            "axis is long.",
            got=f"spacing of shape {h.shape} for an axis of length {n}",
            fix="give the coordinates of the samples along that axis.",
        )
    return reshape(h, new_sizes=tuple(n if i == axis else 1 for i in range(x.ndim)))


def _uneven(x: Any, h: Any, axis: int, first: Any, last: Any) -> tuple[Any, Any, Any]:
    # f'(x) = (d1^2 f(x + d2) + (d2^2 - d1^2) f(x) - d2^2 f(x - d1)) / (d1 d2 (d1 + d2)),
    # where d1 and d2 are the distances to the neighbours.
    n = x.shape[axis]
    step = _difference(h, axis)

    def scaled(part: Any, factor: Any) -> Any:
        return mul(part, broadcast_to(factor, part.shape))

    d1, d2 = slice_along(step, axis, 0, n - 2), slice_along(step, axis, 1, n - 1)
    both = add(d1, d2)
    inner = add(
        add(
            scaled(slice_along(x, axis, 0, n - 2), div(neg(d2), mul(d1, both))),
            scaled(slice_along(x, axis, 1, n - 1), div(sub(d2, d1), mul(d1, d2))),
        ),
        scaled(slice_along(x, axis, 2, n), div(d1, mul(d2, both))),
    )
    first = div(first, broadcast_to(slice_along(step, axis, 0, 1), first.shape))
    last = div(last, broadcast_to(slice_along(step, axis, n - 2, n - 1), last.shape))
    return inner, first, last


def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Array:
    """The integral of samples `y` along `axis` by the trapezoidal rule.

    Args:
      y: the samples.
      x: their coordinates: a 1-d array, or an array that broadcasts with `y`; None: `dx` apart.
      dx: the distance of neighbours, a number or an array of distances.
      axis: the axis.
    """
    if x is None:
        (y,) = promote_inexact("trapezoid", y)
        i = axis_number(axis, y.ndim)
        distance = as_array(dx, "trapezoid")
    else:
        y, x = promote_inexact("trapezoid", y, x)
        i = axis_number(axis, y.ndim)
        distance = _difference(x, 0 if x.ndim == 1 else axis_number(axis, x.ndim))
        if distance.ndim == 1 and y.ndim > 1:
            shape = tuple(distance.size if k == i else 1 for k in range(y.ndim))
            distance = reshape(distance, new_sizes=shape)
    n = y.shape[i]
    pairs = add(slice_along(y, i, min(1, n), n), slice_along(y, i, 0, max(0, n - 1)))
    areas = mul(*promote("trapezoid", distance, pairs))
    return sum(mul(areas, HostArray(areas.dtype.type(0.5), True)), axis=i)


def unwrap(p: Any, discont: Any = None, axis: int = -1, period: Any = 2 * np.pi) -> Array:
    """`p` with multiples of `period` added so that neighbours differ by at most half of it.

    Args:
      p: angles, or anything of that period.
      discont: jumps up to this size are kept; by default, and at least, half the period.
      axis: the axis to go along.
      period: the period.
    """
    p, period = promote_dtypes("unwrap", p, period)
    if dtypes.kind(p.dtype) == "c":
        raise error(
            ValueError,
            "jnp.unwrap does not support complex inputs.",
            got=p.aval.str_short(),
            fix="give angles, e.g. jnp.unwrap(jnp.angle(z)).",
        )
    i = axis_number(axis, p.ndim)
    n = p.shape[i]
    if n == 0:
        return p
    half = period // 2 if dtypes.kind(p.dtype) in "iu" else period / 2
    jumps = _difference(p, i)
    short = (jumps + half) % period - half
    short = masked(not_((short == -half) & (jumps > 0)), short, half)
    large = abs_(jumps) >= (period / 2 if discont is None else discont)
    correction = masked(large, short - jumps, zero_like(jumps))
    rest = slice_along(p, i, 1, n) + cumsum(correction, axis=i)
    return concatenate(slice_along(p, i, 0, 1), rest, dimension=i)
