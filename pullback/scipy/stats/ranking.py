"""Statistics of arrays: the most frequent number, ranks, the standard error of the mean."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ... import numpy as jnp
from ...core import dtypes
from ...core.array import Array
from ...core.errors import error
from ...mapping import vmap
from ...numpy.promotion import as_array, axis_number, promote_inexact

_METHODS = ("average", "min", "max", "dense", "ordinal")


class ModeResult(NamedTuple):
    """The most frequent numbers, and how often they occur."""

    mode: Array
    count: Array  # type: ignore[assignment]  # tuple has a method of this name


def mode(
    a: Any, axis: int | None = 0, nan_policy: str = "propagate", keepdims: bool = False
) -> ModeResult:
    """The most frequent number along `axis`, the smallest of several, and how often it occurs.

    Args:
      a: an array.
      axis: an axis, or None for all numbers together.
      nan_policy: must be "propagate": a nan is a number like others.
      keepdims: whether the axis is kept, with length 1.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.scipy.stats import mode
      >>> most = mode(jnp.array([3, 1, 3, 2]))
      >>> print(most.mode, most.count)
      3 2
    """
    x = jnp.atleast_1d(as_array(a, "mode"))
    _check_policy("mode", nan_policy)
    shape = x.shape
    if axis is None:
        x, kept = x.reshape(-1), (1,) * len(shape) if keepdims else ()
        axis = 0
    else:
        axis = axis_number(axis, x.ndim)
        kept = tuple(1 if i == axis else n for i, n in enumerate(shape) if keepdims or i != axis)
    if x.shape[axis] == 0:
        dtype = dtypes.default_float()
        return ModeResult(jnp.full(kept, np.nan, dtype), jnp.zeros(kept, dtype))
    rows = jnp.moveaxis(x, axis, -1).reshape(-1, x.shape[axis])
    ordered = jnp.sort(rows, axis=-1)
    # How often each number occurs: where it ends in the ordered row, less where it begins.
    ends = vmap(lambda row: jnp.searchsorted(row, row, side="right"))(ordered)
    starts = vmap(lambda row: jnp.searchsorted(row, row, side="left"))(ordered)
    counts = (ends - starts).astype(dtypes.default_int())
    best = jnp.argmax(counts, axis=-1)[:, None]
    found = jnp.take_along_axis(ordered, best, axis=-1)
    count = jnp.take_along_axis(counts, best, axis=-1)
    return ModeResult(found.reshape(kept), count.reshape(kept))


def rankdata(
    a: Any, method: str = "average", *, axis: int | None = None, nan_policy: str = "propagate"
) -> Array:
    """The rank of each number, from 1, as floats; all are nan if there is a nan.

    Args:
      a: an array.
      method: what equal numbers get: the "average", "min" or "max" of their ranks, "dense" ranks
        without gaps, or "ordinal" ones in the order in which they come.
      axis: along which they are ranked, or None: all together, as a vector.
      nan_policy: must be "propagate".

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.scipy.stats import rankdata
      >>> print(rankdata(jnp.array([10., 30., 20., 20.])))
      [1.  4.  2.5 2.5]
    """
    x = as_array(a, "rankdata")
    _check_policy("rankdata", nan_policy)
    if method not in _METHODS:
        raise error(
            ValueError,
            f"unknown method {method!r}.",
            got=f"method={method!r}",
            fix=f"use one of {', '.join(map(repr, _METHODS))}.",
        )
    if axis is None:
        return _ranks(x.reshape(1, -1), method).reshape(-1)
    axis = axis_number(axis, x.ndim)
    moved = jnp.moveaxis(x, axis, -1)
    ranks = _ranks(moved.reshape(-1, moved.shape[-1]), method)
    return jnp.moveaxis(ranks.reshape(moved.shape), -1, axis)


def _ranks(rows: Any, method: str) -> Any:
    """The ranks in each row of a matrix."""
    dtype, n = dtypes.default_float(), rows.shape[-1]
    if rows.size == 0:
        return jnp.zeros(rows.shape, dtype)
    order = jnp.argsort(rows, axis=-1, stable=True)
    ordered = jnp.take_along_axis(rows, order, axis=-1)
    place = jnp.argsort(order, axis=-1)
    if method == "ordinal":
        ranks = jnp.broadcast_to(jnp.arange(1, n + 1), rows.shape)
    elif method == "dense":
        new = ordered[:, 1:] != ordered[:, :-1]
        ranks = jnp.cumsum(jnp.pad(new, ((0, 0), (1, 0))), axis=-1) + 1
    else:
        low = vmap(lambda row: jnp.searchsorted(row, row, side="left"))(ordered) + 1
        high = vmap(lambda row: jnp.searchsorted(row, row, side="right"))(ordered)
        mean = 0.5 * (low + high).astype(dtype)
        ranks = {"min": low, "max": high, "average": mean}[method]
    ranks = jnp.take_along_axis(ranks.astype(dtype), place, axis=-1)
    nans = jnp.any(jnp.isnan(rows), axis=-1, keepdims=True)
    return jnp.where(nans, np.nan, ranks)


def sem(
    a: Any,
    axis: int | None = 0,
    ddof: int = 1,
    nan_policy: str = "propagate",
    *,
    keepdims: bool = False,
) -> Array:
    """The standard error of the mean: the standard deviation over the root of how many there are.

    Args:
      a: an array.
      axis: an axis, or None for all numbers together.
      ddof: the standard deviation divides by the number of them less `ddof`.
      nan_policy: "propagate", or "omit" to leave nan out.
      keepdims: whether the axis is kept, with length 1.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.scipy.stats import sem
      >>> print(sem(jnp.array([1.0, 2.0, 3.0])))
      0.57735026
    """
    (x,) = promote_inexact("sem", a)
    if nan_policy == "propagate":
        size = x.size if axis is None else x.shape[axis]
        return jnp.std(x, axis, ddof=ddof, keepdims=keepdims) / math.sqrt(size)
    if nan_policy == "omit":
        count = jnp.sum(~jnp.isnan(x), axis=axis, keepdims=keepdims)
        spread = jnp.nanstd(x, axis, ddof=ddof, keepdims=keepdims)
        return spread / jnp.sqrt(count).astype(spread.dtype)
    raise error(
        ValueError,
        f"sem does not support nan_policy {nan_policy!r}.",
        got=f"nan_policy={nan_policy!r}",
        fix='use "propagate" or "omit".',
    )


def _check_policy(name: str, policy: str) -> None:
    if policy == "propagate":
        return
    known = policy in ("omit", "raise")
    raise error(
        NotImplementedError if known else ValueError,
        f"{name} does not implement nan_policy {policy!r}."
        if known
        else f"Illegal nan_policy value {policy!r}; expected one of 'propagate', 'omit', 'raise'.",
        got=f"nan_policy={policy!r}",
        fix='use "propagate", and remove nan beforehand.',
    )
