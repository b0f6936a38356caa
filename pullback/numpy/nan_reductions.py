"""The reductions that leave NaNs out."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import dtypes
from ..core.array import Array, HostArray
from ..ops.comparison import and_, le, ne, not_
from ..ops.elementwise import div, sub
from ..ops.functions import sqrt
from . import reductions
from .arguments import half_to_single, masked, no_out, where_mask
from .averages import inexact_only, squared_distance, variance_dtypes
from .averages import mean as mean_of_all
from .promotion import as_array, astype, broadcast_to, inexact_dtype, requested_dtype
from .reductions import (
    MAX,
    MIN,
    PROD,
    SUM,
    Axis,
    Kind,
    reduce,
)

NANSUM, NANPROD = SUM._replace(name="nansum"), PROD._replace(name="nanprod")
NANMAX, NANMIN = MAX._replace(name="nanmax"), MIN._replace(name="nanmin")


def nan_mask(x: Any) -> Any:
    """Whether each element of an inexact Array is NaN: not equal to itself."""
    return ne(x, x)


def nansum(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    out: None = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = None,
) -> Array:
    """The sum over `axis` of what is not NaN; 0 where there is nothing else.

    Example:
      >>> import pullback.numpy as jnp
      >>> print(jnp.nansum(jnp.array([1.0, jnp.nan, 3.0])))
      4.0
    """
    return _without_nans(NANSUM, a, axis, dtype, out, keepdims, initial, where)


def nanprod(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    out: None = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = None,
) -> Array:
    """The product over `axis` of what is not NaN; 1 where there is nothing else."""
    return _without_nans(NANPROD, a, axis, dtype, out, keepdims, initial, where)


def nanmax(
    a: Any,
    axis: Axis = None,
    out: None = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = None,
) -> Array:
    """The largest element over `axis` that is not NaN; NaN where there is nothing else."""
    return _without_nans(NANMAX, a, axis, None, out, keepdims, initial, where)


def nanmin(
    a: Any,
    axis: Axis = None,
    out: None = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = None,
) -> Array:
    """The smallest element over `axis` that is not NaN; NaN where there is nothing else."""
    return _without_nans(NANMIN, a, axis, None, out, keepdims, initial, where)


def _without_nans(
    kind: Kind,
    a: Any,
    axis: Axis,
    dtype: Any,
    out: Any,
    keepdims: bool,
    initial: Any,
    where: Any,
) -> Any:
    no_out(kind.name, out)
    x = as_array(a, kind.name)
    if not dtypes.is_inexact(x.dtype):
        return reduce(kind, x, axis, dtype, None, keepdims, initial, where, True)
    nan = nan_mask(x)
    filled = masked(not_(nan), x, kind.identity_in(x.dtype))
    found = reduce(kind, filled, axis, dtype, None, keepdims, initial, where, True)
    if kind.has_identity or initial is not None:
        return found
    nothing = reductions.all(nan, axis, keepdims=keepdims)
    return masked(not_(nothing), found, HostArray(x.dtype.type(np.nan)))


def nanmean(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    out: None = None,
    keepdims: bool = False,
    where: Any = None,
) -> Array:
    """The mean over `axis` of what is not NaN; NaN where there is nothing else."""
    no_out("nanmean", out)
    x = as_array(a, "nanmean")
    where = where_mask("nanmean", where)
    if not dtypes.is_inexact(x.dtype):
        return mean_of_all(x, axis, dtype, None, keepdims, where=where)
    result = inexact_dtype(x.dtype) if dtype is None else requested_dtype(dtype, "jnp.nanmean")
    inner = half_to_single(result) if dtype is None else result
    n = reductions.sum(not_(nan_mask(x)), axis, dtype=inner, keepdims=keepdims, where=where)
    total = nansum(x, axis, dtype=inner, keepdims=keepdims, where=where)
    return astype(div(total, n), result)


def nanvar(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    out: None = None,
    ddof: int = 0,
    keepdims: bool = False,
    where: Any = None,
    mean: Any = None,
) -> Array:
    """The variance over `axis` of what is not NaN. Arguments as those of `var`."""
    no_out("nanvar", out)
    x = as_array(a, "nanvar")
    where = where_mask("nanvar", where)
    inner, result = variance_dtypes("nanvar", x.dtype, dtype)
    x = astype(x, inner)
    if mean is None:
        center = nanmean(x, axis, dtype=inner, keepdims=True, where=where)
    else:
        center = astype(as_array(mean, "nanvar"), inner)
    here = not_(nan_mask(x))
    here = here if where is None else and_(here, broadcast_to(where, x.shape))
    squares = squared_distance(x, center, here)
    n = reductions.sum(here, axis, dtype=squares.dtype, keepdims=keepdims)
    n = sub(n, astype(as_array(ddof, "nanvar"), squares.dtype))
    none = le(n, HostArray(n.dtype.type(0), True))
    total = reductions.sum(squares, axis, dtype=squares.dtype, keepdims=keepdims)
    found = div(total, masked(not_(none), n, HostArray(n.dtype.type(1))))
    return astype(masked(not_(none), found, HostArray(n.dtype.type(np.nan))), result)


def nanstd(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    out: None = None,
    ddof: int = 0,
    keepdims: bool = False,
    where: Any = None,
    mean: Any = None,
) -> Array:
    """The standard deviation over `axis` of what is not NaN. Arguments as those of `var`."""
    no_out("nanstd", out)
    inexact_only("nanstd", dtype)
    return sqrt(nanvar(a, axis, dtype, None, ddof, keepdims, where, mean))


def nanargmax(
    a: Any, axis: int | None = None, out: None = None, keepdims: bool | None = None
) -> Array:
    """The index of the first largest element that is not NaN; -1 where there is nothing else."""
    return _nan_place("nanargmax", reductions.argmax, "min", a, axis, out, keepdims)


def nanargmin(
    a: Any, axis: int | None = None, out: None = None, keepdims: bool | None = None
) -> Array:
    """The index of the first smallest element that is not NaN; -1 where there is nothing else."""
    return _nan_place("nanargmin", reductions.argmin, "max", a, axis, out, keepdims)


def _nan_place(name: str, find: Any, limit: str, a: Any, axis: Any, out: Any, keepdims: Any) -> Any:
    no_out(name, out)
    x = as_array(a, name)
    if not dtypes.is_inexact(x.dtype):
        return find(x, axis, keepdims=keepdims)
    kind = MAX if limit == "min" else MIN
    nan = nan_mask(x)
    found = find(masked(not_(nan), x, kind.identity_in(x.dtype)), axis, keepdims=keepdims)
    nothing = reductions.all(nan, axis, keepdims=bool(keepdims))
    return masked(not_(nothing), found, HostArray(found.dtype.type(-1)))
