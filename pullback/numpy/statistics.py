"""Order statistics and second moments: median, quantile, percentile, cov, corrcoef."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..core import dtypes
from ..core.array import Array, HostArray
from ..core.errors import error
from ..core.types import Shape
from ..ops import cumulative, structural
from ..ops.comparison import and_, clamp, eq, le, lt, ne, not_, or_
from ..ops.contraction import dot_general
from ..ops.elementwise import add, complex_, conj, div, imag, like, mul, real, select_n, sub
from ..ops.functions import sqrt
from ..ops.indexing import take_along
from ..ops.rounding import abs_, ceil, floor
from ..ops.searching import searchsorted
from ..ops.slicing import slice_along
from ..ops.sorting import sort
from ..ops.structural import reshape
from .arguments import expand, masked
from .averages import average, inexact_only
from .joining import concatenate
from .nan_reductions import nan_mask
from .promotion import (
    as_array,
    as_arrays,
    astype,
    broadcast_to,
    promote,
    promote_inexact,
    requested_dtype,
)
from .reductions import any as any_of
from .reductions import filled_like, reduced_axes, sum
from .shaping import atleast_2d, squeeze
from .taking import taken

# Between the elements around place (n + 1 - a - b) q + a - 1, for each method its a and b.
_BETWEEN: dict[str, tuple[float, float]] = {
    "linear": (1, 1),
    "weibull": (0, 0),
    "hazen": (1 / 2, 1 / 2),
    "median_unbiased": (1 / 3, 1 / 3),
    "normal_unbiased": (3 / 8, 3 / 8),
    "interpolated_inverted_cdf": (0, 1),
}
_METHODS = (
    *_BETWEEN,
    "lower",
    "higher",
    "midpoint",
    "nearest",
    "inverted_cdf",
    "averaged_inverted_cdf",
    "closest_observation",
)


def quantile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: None = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
    *,
    weights: Any = None,
) -> Array:
    """The value that the share `q` of the elements over `axis` lies below; NaN where there is one.

    Args:
      a: real numbers.
      q: a number between 0 and 1, or a 1-d array of them, which then is the result's first axis.
      axis: an integer, a tuple of integers, or None for all axes.
      out: must be None.
      overwrite_input: must be False.
      method: how to choose between two elements: "linear", "lower", "higher", "midpoint", "nearest"
        or another of NumPy's methods.
      keepdims: keep the reduced axes, with length 1.
      weights: how much each element counts, for the method "inverted_cdf".

    Example:
      >>> import pullback.numpy as jnp
      >>> print(jnp.quantile(jnp.array([1.0, 2.0, 3.0, 4.0]), 0.25))
      1.75
    """
    _no_out("quantile", out, overwrite_input)
    return _quantile("quantile", a, q, axis, method, keepdims, weights, False)


def nanquantile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: None = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
    *,
    weights: Any = None,
) -> Array:
    """`quantile` of what is not NaN; NaN where there is nothing else."""
    _no_out("nanquantile", out, overwrite_input)
    return _quantile("nanquantile", a, q, axis, method, keepdims, weights, True)


def percentile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: None = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
    *,
    weights: Any = None,
    out_sharding: Any = None,
) -> Array:
    """`quantile` with `q` in percent, between 0 and 100."""
    _no_out("percentile", out, overwrite_input)
    share = _hundredth("percentile", q)
    return _quantile("percentile", a, share, axis, method, keepdims, weights, False)


def nanpercentile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: None = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
    *,
    weights: Any = None,
) -> Array:
    """`nanquantile` with `q` in percent, between 0 and 100."""
    _no_out("nanpercentile", out, overwrite_input)
    share = _hundredth("nanpercentile", q)
    return _quantile("nanpercentile", a, share, axis, method, keepdims, weights, True)


def median(
    a: Any,
    axis: Any = None,
    out: None = None,
    overwrite_input: bool = False,
    keepdims: bool = False,
) -> Array:
    """The middle element over `axis`, or the mean of the two in the middle; NaN where there is one.

    Example:
      >>> import pullback.numpy as jnp
      >>> print(jnp.median(jnp.array([3.0, 1.0, 10.0])))
      3.0
    """
    _no_out("median", out, overwrite_input)
    (x,) = promote_inexact("median", a)
    axes = reduced_axes(axis, x.ndim)
    _check_reals("median", x)
    rows = _rows(x, axes)
    n, last = rows.shape[-1], rows.ndim - 1
    if not n:
        return filled_like(_left(x.shape, axes, keepdims), HostArray(x.dtype.type(np.nan)))
    (rows,) = sort(rows, dimension=last, is_stable=True, num_keys=1)

    def read(i: int) -> Any:
        return structural.squeeze(slice_along(rows, last, i, i + 1), dimensions=(last,))

    low, high, largest = read((n - 1) // 2), read(n // 2), read(n - 1)
    found = mul(add(low, high), like(low, 0.5)) if n % 2 == 0 else low
    found = masked(eq(largest, largest), found, like(found, np.nan))  # NaN is last
    return reshape(astype(found, x.dtype), new_sizes=_left(x.shape, axes, keepdims))


def _left(shape: Shape, axes: tuple[int, ...], keepdims: bool) -> Shape:
    """The shape of a reduction over `axes`."""
    if keepdims:
        return tuple(1 if i in axes else n for i, n in enumerate(shape))
    return tuple(n for i, n in enumerate(shape) if i not in axes)


def nanmedian(
    a: Any,
    axis: Any = None,
    out: None = None,
    overwrite_input: bool = False,
    keepdims: bool = False,
) -> Array:
    """`median` of what is not NaN; NaN where there is nothing else."""
    _no_out("nanmedian", out, overwrite_input)
    return _quantile("nanmedian", a, 0.5, axis, "midpoint", keepdims, None, True)


def _no_out(name: str, out: Any, overwrite_input: bool) -> None:
    if out is not None or overwrite_input:
        raise error(
            ValueError,
            f"jax.numpy.{name} does not support overwrite_input=True or out != None.",
            got=f"out={out!r:.40}, overwrite_input={overwrite_input}",
            fix="leave both away and use the result: arrays are immutable.",
        )


def _hundredth(name: str, q: Any) -> Any:
    (q,) = promote_inexact(name, q)
    return div(q, like(q, 100))


# ---- one function for all of these


def _quantile(
    name: str, a: Any, q: Any, axis: Any, method: str, keepdims: bool, weights: Any, skip_nan: bool
) -> Any:
    if method not in _METHODS:
        raise error(
            ValueError,
            f"jnp.{name} has no method {method!r}.",
            got=f"method={method!r}",
            fix="use one of " + ", ".join(map(repr, _METHODS)) + ".",
        )
    x, q = as_arrays(name, a, q)
    axes = reduced_axes(axis, x.ndim)
    if weights is None:
        (x,) = promote_inexact(name, x)
    else:
        x, weights = _weighted(name, x, weights, axis, axes, method)
    (q,) = promote_inexact(name, q)
    _check_reals(name, x, q)
    if q.ndim > 1:
        raise error(
            ValueError,
            "q must have rank <= 1.",
            got=f"q of shape {q.shape}",
            fix="flatten q with q.ravel().",
        )
    rows = _rows(x, axes)
    many = q if q.ndim else reshape(q, new_sizes=(1,))
    if rows.shape[-1] == 0:
        found = filled_like((*rows.shape[:-1], many.size), HostArray(x.dtype.type(np.nan)))
    elif weights is not None:
        found = _of_weighted(rows, _rows(weights, axes), many, skip_nan)
    else:
        found = _of_rows(rows, many, method, skip_nan)
    found = astype(found, x.dtype)
    shape = _left(x.shape, axes, keepdims)
    if q.ndim:
        last = found.ndim - 1
        found = structural.transpose(found, permutation=(last, *range(last)))
    return reshape(found, new_sizes=(*q.shape, *shape))


def _check_reals(name: str, *xs: Any) -> None:
    if any(dtypes.kind(x.dtype) == "c" for x in xs):
        raise error(
            ValueError,
            f"{name} does not support complex input: complex numbers have no order.",
            got=", ".join(x.aval.str_short() for x in xs),
            fix="take the real part or the absolute value first.",
        )


def _rows(x: Any, axes: tuple[int, ...]) -> Any:
    """`x` with `axes` merged into one, the last."""
    kept = tuple(i for i in range(x.ndim) if i not in axes)
    order = (*kept, *axes)
    moved = x if order == tuple(range(x.ndim)) else structural.transpose(x, permutation=order)
    n = math.prod(x.shape[i] for i in axes)
    return reshape(moved, new_sizes=(*(x.shape[i] for i in kept), n))


def _of_rows(rows: Any, q: Any, method: str, skip_nan: bool) -> Any:
    """The quantiles along the last axis of `rows`, which becomes that of `q`."""
    (rows,) = sort(rows, dimension=rows.ndim - 1, is_stable=True, num_keys=1)
    size = rows.shape[-1]
    kept = (*rows.shape[:-1], q.size)
    n: Any = HostArray(q.dtype.type(size))
    if skip_nan:
        # NaN is last, so the others are the first n of a row.
        here = not_(nan_mask(rows))
        n = sum(here, axis=-1, dtype=q.dtype, keepdims=True)
        n, q = broadcast_to(n, kept), broadcast_to(q, kept)
    low, high, share = _places(q, n, method)

    def read(place: Any) -> Any:
        last = sub(n, like(n, 1))
        if last.shape != place.shape:
            last = broadcast_to(last, place.shape)
        place = clamp(like(place, 0), _smaller(place, last), HostArray(place.dtype.type(size - 1)))
        place = astype(place, dtypes.int32)
        axis = rows.ndim - 1
        return take_along(rows, place, axis) if skip_nan else taken(rows, place, axis)

    found = _between(read(low), read(high), share, method) if high is not None else read(low)
    if skip_nan:
        return found
    last = slice_along(rows, rows.ndim - 1, size - 1, size)
    return masked(broadcast_to(not_(nan_mask(last)), found.shape), found, like(found, np.nan))


def _smaller(x: Any, y: Any) -> Any:
    return select_n(lt(y, x), x, y)


def _places(q: Any, n: Any, method: str) -> tuple[Any, Any, Any]:
    """The two places to read at, and the share of the second one; None: only the first."""
    if n.shape != q.shape:
        n = broadcast_to(n, q.shape)
    zero, half, one = like(q, 0), like(q, 0.5), like(q, 1)
    if method in ("inverted_cdf", "averaged_inverted_cdf", "closest_observation"):
        at = mul(q, n)
        place = sub(ceil(at), one)
        if method == "inverted_cdf":
            return place, None, None
        if method == "averaged_inverted_cdf":
            whole = eq(floor(at), at)
            return place, select_n(whole, place, add(place, one)), _filled(half, q)
        # The nearest of the places 1, 2 ... n; where two are as near, the even one.
        below = floor(sub(at, half))
        tie = eq(below, sub(at, half))
        odd = ne(mul(floor(mul(below, half)), like(q, 2)), below)
        stay = and_(tie, not_(odd))
        return sub(select_n(stay, add(below, one), below), one), None, None
    a, b = _BETWEEN.get(method, (1, 1))
    if (a, b) == (1, 1):
        at = mul(q, sub(n, one))
    else:
        at = add(mul(q, add(n, like(q, 1 - a - b))), like(q, a - 1))
        at = clamp(zero, _smaller(at, sub(n, one)), like(q, np.inf))
    low, high = floor(at), ceil(at)
    share = sub(at, low)
    if method == "lower":
        return low, None, None
    if method == "higher":
        return high, None, None
    if method == "nearest":
        return select_n(le(share, half), high, low), None, None
    return low, high, _filled(half, q) if method == "midpoint" else share


def _filled(value: Any, x: Any) -> Any:
    return broadcast_to(value, x.shape)


def _between(low: Any, high: Any, share: Any, method: str) -> Any:
    if share.shape != low.shape:
        share = broadcast_to(share, low.shape)
    if method in ("midpoint", "averaged_inverted_cdf"):
        return mul(add(low, high), like(low, 0.5))
    dtype = share.dtype
    low, high = astype(low, dtype), astype(high, dtype)
    mixed = add(mul(low, sub(like(share, 1), share)), mul(high, share))
    # At a place exactly there is nothing to mix, and 0 times infinity would be NaN.
    return select_n(eq(share, like(share, 0)), mixed, low)


def _weighted(
    name: str, x: Any, weights: Any, axis: Any, axes: tuple[int, ...], method: str
) -> tuple[Any, Any]:
    if method != "inverted_cdf":
        raise error(
            NotImplementedError,
            f"{method} doesn't support weights. Only method 'inverted_cdf' supports weights.",
            got=f"jnp.{name} with weights, method={method!r}",
            fix="pass method='inverted_cdf'.",
        )
    x, w = promote_inexact(name, x, weights)
    if dtypes.kind(w.dtype) == "c":
        raise error(
            ValueError,
            "Weights cannot be complex types.",
            got=w.aval.str_short(),
            fix="give real weights.",
        )
    if w.shape == x.shape:
        return x, w
    if axis is None or w.shape != tuple(x.shape[i] for i in axes):
        raise error(
            ValueError,
            f"{name}: the weights must have the shape of the array, or its shape along axis.",
            got=f"weights of shape {w.shape}, an array of shape {x.shape}, axis={axis}",
            fix="give one weight for each element.",
        )
    order = sorted(range(len(axes)), key=axes.__getitem__)
    w = structural.transpose(w, permutation=tuple(order))
    return x, broadcast_to(_expanded_to(w, x.ndim, sorted(axes)), x.shape)


def _expanded_to(x: Any, rank: int, dims: list[int]) -> Any:
    """`x` with its axes at `dims` of `rank` axes; the others have length 1."""
    return expand(x, tuple(i for i in range(rank) if i not in dims))


def _of_weighted(rows: Any, weights: Any, q: Any, skip_nan: bool) -> Any:
    # The first element at which the sum of the weights reaches the share q of all of them.
    axis, n = rows.ndim - 1, rows.shape[-1]
    rows, weights = sort(rows, weights, dimension=axis, is_stable=True, num_keys=1)
    zero, nan = like(weights, 0), nan_mask(rows)
    bad = or_(lt(weights, zero), nan_mask(weights))
    sums = cumulative.cumsum(masked(not_(or_(bad, nan)), weights, zero), axis=axis, reverse=False)
    kept = (*rows.shape[:-1], q.size)
    total = slice_along(sums, axis, n - 1, n)
    wanted = mul(broadcast_to(astype(q, sums.dtype), kept), broadcast_to(total, kept))
    places = searchsorted(sums, wanted, side="left")
    count = sum(not_(nan), axis=-1, dtype=dtypes.int32, keepdims=True) if skip_nan else None
    last = like(places, n - 1) if count is None else sub(count, like(count, 1))
    last = broadcast_to(last, kept)
    places = clamp(like(places, 0), _smaller(places, last), like(places, n - 1))
    found = take_along(rows, places, axis)
    wrong = any_of(bad, axis=-1, keepdims=True)
    if not skip_nan:
        wrong = or_(wrong, any_of(nan, axis=-1, keepdims=True))
    return masked(broadcast_to(not_(wrong), kept), found, like(found, np.nan))


# ---- second moments


def cov(
    m: Any,
    y: Any = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: int | None = None,
    fweights: Any = None,
    aweights: Any = None,
    dtype: Any = None,
) -> Array:
    """The covariance matrix of variables from observations of them.

    Args:
      m: a row for each variable, a column for each observation; 1-d: one variable.
      y: more variables, in the same form.
      rowvar: False if the columns of `m` are the variables.
      bias: divide by n instead of n - 1.
      ddof: divide by n - ddof, whatever `bias` says.
      fweights: how often each observation occurs: integers.
      aweights: how much each observation counts.
      dtype: the dtype to compute in.

    Example:
      >>> import pullback.numpy as jnp
      >>> print(jnp.cov(jnp.array([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]])))
      [[ 1. -1.]
       [-1.  1.]]
    """
    inexact_only("cov", dtype)
    x = _variables(m, y, rowvar)
    if dtype is not None:
        x = astype(x, requested_dtype(dtype, "cov"))
    variables, n = x.shape
    if variables == 0:
        return HostArray(np.zeros((0, 0), dtypes.default_float()))
    if n == 0:
        shape = () if variables == 1 else (variables, variables)
        return filled_like(shape, HostArray(x.dtype.type(np.nan)))
    if ddof is None:
        ddof = 0 if bias else 1
    frequency = _observation_weights("fweights", fweights, n)
    share = _observation_weights("aweights", aweights, n)
    w = frequency if share is None else share
    if frequency is not None and share is not None:
        w = mul(*promote("cov", frequency, share))
    if w is not None:
        w = astype(w, dtypes.real_dtype(x.dtype))
    mean, total = average(x, axis=1, weights=w, returned=True)
    norm = _divisor(n, total, w, share, ddof)
    x = sub(x, broadcast_to(expand(mean, (1,)), x.shape))
    other = conj(x, input_dtype=x.dtype) if x.dtype.kind == "c" else x
    if w is not None:
        other = mul(other, broadcast_to(astype(w, x.dtype), x.shape))
    product = dot_general(
        x,
        other,
        dimension_numbers=(((1,), (1,)), ((), ())),
        precision=None,
        preferred_element_type=x.dtype,
    )
    return squeeze(div(*promote("cov", product, norm)))


def _variables(m: Any, y: Any, rowvar: bool) -> Any:
    given = promote_inexact("cov", m) if y is None else promote_inexact("cov", m, y)
    rows = []
    for i, x in enumerate(given):
        if x.ndim > 2:
            raise error(
                ValueError,
                f"{'my'[i]} has more than 2 dimensions.",
                got=x.aval.str_short(),
                fix="give a row for each variable and a column for each observation.",
            )
        wide = atleast_2d(x)
        turned = not rowvar and (x.ndim != 1 if i == 0 else wide.shape[0] != 1)
        rows.append(structural.transpose(wide, permutation=(1, 0)) if turned else wide)
    return concatenate(rows, axis=0) if len(rows) > 1 else rows[0]


def _observation_weights(name: str, weights: Any, n: int) -> Any:
    if weights is None:
        return None
    w = as_array(weights, "cov")
    if w.ndim > 1 or w.shape != (n,):
        raise error(
            RuntimeError,
            f"cannot handle multidimensional {name}"
            if w.ndim > 1
            else f"incompatible numbers of samples and {name}",
            got=f"{name} of shape {w.shape} for {n} observations",
            fix="give one weight for each observation.",
        )
    if name == "fweights" and dtypes.kind(w.dtype) not in "iu":
        raise error(
            TypeError,
            "fweights must be integer.",
            got=w.aval.str_short(),
            fix="give counts, or use aweights for other weights.",
        )
    return w if dtypes.kind(w.dtype) == "u" else abs_(w)


def _divisor(n: int, total: Any, w: Any, share: Any, ddof: int) -> Any:
    if w is None:
        return HostArray(_real_type(total)(n - ddof), True)
    total = reshape(slice_along(total, 0, 0, 1), new_sizes=())
    total = real(total) if total.dtype.kind == "c" else total
    if ddof == 0:
        return total
    if share is None:
        return sub(total, like(total, ddof))
    squares = sum(mul(w, astype(share, w.dtype)))
    return sub(total, div(mul(like(total, ddof), squares), total))


def _real_type(x: Any) -> Any:
    """The scalar type of the real part of `x`."""
    return dtypes.real_dtype(x.dtype).type


def corrcoef(x: Any, y: Any = None, rowvar: bool = True, dtype: Any = None) -> Array:
    """The matrix of correlation coefficients of variables; `x` and `y` as for `cov`."""
    inexact_only("corrcoef", dtype)
    c = cov(x, y, rowvar, dtype=dtype)
    if not c.shape:
        return div(c, c)
    n = c.shape[0]
    diagonal = take_along(c, HostArray(np.arange(n, dtype=np.int32).reshape(n, 1)), 1)
    variance = real(diagonal) if c.dtype.kind == "c" else diagonal
    deviation = astype(sqrt(variance), c.dtype)
    row = broadcast_to(structural.transpose(deviation, permutation=(1, 0)), c.shape)
    c = div(div(c, broadcast_to(deviation, c.shape)), row)
    if c.dtype.kind == "c":
        return complex_(_to_unit(real(c)), _to_unit(imag(c)))
    return _to_unit(c)


def _to_unit(x: Any) -> Any:
    return clamp(like(x, -1), x, like(x, 1))
