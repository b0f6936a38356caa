"""Reductions over segments: the elements that share a number are reduced together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .core import dtypes
from .core.array import Array, Tracer
from .core.errors import ConcretizationTypeError, error
from .core.trace import type_of
from .numpy.arguments import integer
from .numpy.conversion import asarray
from .numpy.creation import arange, full
from .numpy.reductions import max as max_
from .numpy.reductions import min as min_
from .numpy.reductions import prod, sum


def segment_sum(
    data: Any,
    segment_ids: Any,
    num_segments: int | None = None,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    bucket_size: int | None = None,
    mode: Any = None,
    out_sharding: Any = None,
) -> Array:
    """The sum of the rows of `data` in each segment; 0 for a segment without rows.

    Args:
      data: an array; one row, or a scalar, stands for as many as there are numbers.
      segment_ids: the segment of each row, integers of shape `(len(data),)`. What is not in
        0 to num_segments - 1 takes no part.
      num_segments: the length of the result; by default the largest number plus 1, which must then
        be known while tracing.
      indices_are_sorted: a promise that the numbers never decrease.
      unique_indices: a promise that no number occurs twice.
      bucket_size: reduce this many rows at a time, then their results: long sums lose fewer digits.
      mode: what happens to numbers out of range, as in `x.at[...].add`: "drop", or "clip".
      out_sharding: accepted for compatibility.

    Raises:
      ValueError: num_segments is negative, or there is not one number for each row.
      ConcretizationTypeError: num_segments is needed, as `segment_ids` is traced.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.segments import segment_sum
      >>> print(segment_sum(jnp.array([1.0, 2.0, 4.0]), jnp.array([0, 0, 2])))
      [3. 0. 4.]
    """
    options = (indices_are_sorted, unique_indices, bucket_size, mode)
    return _reduced("add", sum, lambda dtype: 0, data, segment_ids, num_segments, *options)


def segment_prod(
    data: Any,
    segment_ids: Any,
    num_segments: int | None = None,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    bucket_size: int | None = None,
    mode: Any = None,
    out_sharding: Any = None,
) -> Array:
    """The product of the rows of `data` in each segment, 1 for one without: see `segment_sum`.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.segments import segment_prod
      >>> print(segment_prod(jnp.array([3, 2, 4]), jnp.array([0, 0, 2])))
      [6 1 4]
    """
    options = (indices_are_sorted, unique_indices, bucket_size, mode)
    return _reduced("mul", prod, lambda dtype: 1, data, segment_ids, num_segments, *options)


def segment_max(
    data: Any,
    segment_ids: Any,
    num_segments: int | None = None,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    bucket_size: int | None = None,
    mode: Any = None,
    out_sharding: Any = None,
) -> Array:
    """The largest of the rows of `data` in each segment: see `segment_sum`.

    A segment without rows gets -inf, or the least number of an integer dtype.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.segments import segment_max
      >>> print(segment_max(jnp.array([1.0, 2.0, 4.0]), jnp.array([0, 0, 2])))
      [  2. -inf   4.]
    """
    options = (indices_are_sorted, unique_indices, bucket_size, mode)
    return _reduced("max", max_, _least, data, segment_ids, num_segments, *options)


def segment_min(
    data: Any,
    segment_ids: Any,
    num_segments: int | None = None,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    bucket_size: int | None = None,
    mode: Any = None,
    out_sharding: Any = None,
) -> Array:
    """The smallest of the rows of `data` in each segment: see `segment_sum`.

    A segment without rows gets inf, or the largest number of an integer dtype.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.segments import segment_min
      >>> print(segment_min(jnp.array([1.0, 2.0, 4.0]), jnp.array([0, 0, 2])))
      [ 1. inf  4.]
    """
    options = (indices_are_sorted, unique_indices, bucket_size, mode)
    return _reduced("min", min_, _largest, data, segment_ids, num_segments, *options)


def _least(dtype: Any) -> Any:
    kind = dtypes.kind(dtype)
    return False if kind == "b" else float("-inf") if kind in "fc" else int(dtypes.iinfo(dtype).min)


def _largest(dtype: Any) -> Any:
    kind = dtypes.kind(dtype)
    return True if kind == "b" else float("inf") if kind in "fc" else int(dtypes.iinfo(dtype).max)


def _reduced(
    update: str,
    reduction: Callable[..., Any],
    start: Callable[[Any], Any],
    data: Any,
    segment_ids: Any,
    num_segments: int | None,
    indices_are_sorted: bool,
    unique_indices: bool,
    bucket_size: int | None,
    mode: Any,
) -> Any:
    """Rows of `data` combined by the method `update` of `.at`, buckets by `reduction`."""
    data, ids = asarray(data), asarray(segment_ids)
    _check(update, data, ids)
    count = _number_of_segments(ids, num_segments)
    options = {"mode": mode, "unique_indices": unique_indices, "wrap_negative_indices": False}
    shape, first = data.shape[1:], start(data.dtype)
    if bucket_size is None or bucket_size >= ids.size:
        out = full((count, *shape), first, data.dtype)
        return getattr(out.at[ids], update)(data, indices_are_sorted=indices_are_sorted, **options)
    if ids.ndim != 1:
        raise error(
            ValueError,
            "segments are added up in buckets only if segment_ids has one axis.",
            got=f"segment_ids {type_of(ids).str_short()} and bucket_size={bucket_size}",
            fix="leave bucket_size out, or flatten segment_ids and data.",
        )
    if bucket_size < 1:
        raise error(
            ValueError,
            "a bucket holds at least one row.",
            got=f"bucket_size={bucket_size}",
            fix="give a positive number, or None.",
        )
    out = full((-(-len(ids) // bucket_size), count, *shape), first, data.dtype)
    bucket = arange(len(ids), dtype=ids.dtype) // bucket_size
    out = getattr(out.at[bucket, ids], update)(data, **options)
    return reduction(out, axis=0).astype(data.dtype)


def _check(update: str, data: Any, ids: Any) -> None:
    wanted = ids.shape + data.shape[1:]
    pairs = zip(reversed(data.shape), reversed(wanted))  # as indexed updates, they are broadcast
    if data.ndim > len(wanted) or any(n not in (1, m) for n, m in pairs):
        raise error(
            ValueError,
            "there must be one segment number for each row of the data.",
            got=f"{type_of(data).str_short()} with numbers {type_of(ids).str_short()}",
            fix="give segment_ids of shape (len(data),).",
        )
    if dtypes.kind(ids.dtype) not in "iu":
        raise error(
            TypeError,
            "segment_ids must be integers.",
            got=type_of(ids).str_short(),
            fix="convert with .astype(int).",
        )


def _number_of_segments(ids: Any, given: Any) -> int:
    if given is None:
        if isinstance(ids, Tracer) and ids.known() is None:
            raise error(
                ConcretizationTypeError,
                "the number of segments depends on traced values.",
                got=f"segment_ids {ids.describe()}",
                fix="give num_segments.",
            )
        largest: Any = max_(ids) if ids.size else -1
        return int(largest) + 1
    count = integer(given, "`num_segments` of a segment operation")
    if count < 0:
        raise error(
            ValueError,
            "num_segments must be non-negative.",
            got=f"num_segments={count}",
            fix="give the number of segments, or None for as many as the numbers name.",
        )
    return int(count)
