"""Counts of elements in bins: bincount, histogram and its kin in several dimensions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..core import dtypes
from ..core.array import Array, HostArray
from ..core.errors import error
from ..ops.comparison import clamp, eq
from ..ops.elementwise import add, div, like, mul, select_n, sub
from ..ops.indexing import FILL_OR_DROP, scatter_add
from ..ops.searching import searchsorted
from ..ops.slicing import slice_along
from ..ops.structural import reshape
from ..ops.windows import ScatterDimensionNumbers
from . import reductions
from .arguments import concrete, expand, integer
from .cumulative import diff
from .promotion import (
    as_array,
    as_arrays,
    astype,
    broadcast_to,
    inexact_dtype,
    promote,
    promote_inexact,
)
from .reductions import filled_like, sum


def bincount(
    x: Any,
    weights: Any = None,
    minlength: int = 0,
    *,
    length: int | None = None,
    out_sharding: Any = None,
) -> Array:
    """How often each of the integers 0, 1, 2 ... occurs in `x`.

    Args:
      x: integers along one axis; negative ones count as 0.
      weights: how much each counts; by default 1.
      minlength: the least length of the result.
      length: the length of the result, needed under jit; larger integers are left out.

    Example:
      >>> import pullback.numpy as jnp
      >>> print(jnp.bincount(jnp.array([1, 1, 3])))
      [0 2 0 1]
    """
    x = as_array(x, "bincount")
    if x.dtype == dtypes.bool_:
        x = astype(x, dtypes.int32)
    if dtypes.kind(x.dtype) not in "iu":
        raise error(
            TypeError,
            f"x argument to bincount must have an integer type; got {dtypes.long_name(x.dtype)}.",
            got=x.aval.str_short(),
            fix="convert it with .astype(int), or use jnp.histogram.",
        )
    if x.ndim != 1:
        raise error(
            ValueError,
            "only 1-dimensional input supported.",
            got=x.aval.str_short(),
            fix="flatten it with .ravel().",
        )
    minlength = integer(minlength, "`minlength` of jnp.bincount")
    if length is None:
        value = concrete(x, "`x` of jnp.bincount", "give length=, the length of the result.")
        length = max(minlength, int(value.max(initial=-1)) + 1)
    else:
        length = integer(length, "`length` of jnp.bincount")
    if weights is None:
        each = filled_like(x.shape, HostArray(dtypes.default_int().type(1)))
    else:
        each = as_array(weights, "bincount")
        if each.shape != x.shape:
            raise error(
                ValueError,
                "the shape of weights must match the shape of x.",
                got=f"weights of shape {each.shape}, x of shape {x.shape}",
                fix="give one weight for each element.",
            )
    at = x if x.dtype.kind == "u" else clamp(like(x, 0), x, like(x, np.iinfo(x.dtype).max))
    return counted_at(at, each, length)


def counted_at(places: Any, each: Any, length: int) -> Any:
    """`length` zeros to which `each` is added at `places`; those outside are left out."""
    nothing = filled_like((length,), HostArray(each.dtype.type(0)))
    return scatter_add(
        nothing,
        reshape(places, new_sizes=(places.size, 1)),
        each,
        dimension_numbers=ScatterDimensionNumbers((), (0,), (0,)),
        mode=FILL_OR_DROP,
        unique_indices=False,
        indices_are_sorted=False,
    )


# ---- histograms


def histogram_bin_edges(a: Any, bins: Any = 10, range: Any = None, weights: Any = None) -> Array:
    """The edges of `bins` equally wide bins over the range of `a`.

    Args:
      a: an array.
      bins: how many, or the edges themselves.
      range: the first and last edge; by default the smallest and largest element.
      weights: not used.
    """
    if isinstance(bins, str):
        raise error(
            NotImplementedError,
            "string values for `bins` not implemented.",
            got=f"bins={bins!r}",
            fix="give a number or the edges; np.histogram_bin_edges knows these rules.",
        )
    x, bins = as_arrays("histogram_bin_edges", a, bins)
    dtype = inexact_dtype(x.dtype)
    if bins.ndim == 1:
        return astype(bins, dtype)
    n = integer(bins, "`bins` of jnp.histogram_bin_edges")
    if n < 1:
        raise error(
            ValueError,
            "`bins` must be positive, when an integer.",
            got=f"bins={n}",
            fix="give 1 or more.",
        )
    if range is None:
        first: Any = like(x, 0)
        last: Any = like(x, 1)
        if x.size:
            first, last = reductions.min(x), reductions.max(x)
    else:
        first, last = _two(range)
    first, last = astype(first, dtype), astype(last, dtype)
    half, equal = like(first, 0.5), eq(first, last)
    first = select_n(equal, first, sub(first, half))
    last = select_n(equal, last, add(last, half))
    share = HostArray((np.arange(n + 1) / n).astype(dtype))
    rest = HostArray((1 - np.arange(n + 1) / n).astype(dtype))
    return add(mul(first, rest), mul(last, share))


def _two(range: Any) -> tuple[Any, Any]:
    shape = np.shape(range) if not isinstance(range, Array) else range.shape
    if shape != (2,):
        raise error(
            ValueError,
            "`range` must be either None or a sequence of two scalars.",
            got=f"range={range!r:.80}",
            fix="give the first and the last edge.",
        )
    return as_array(range[0], "histogram"), as_array(range[1], "histogram")


def histogram(
    a: Any,
    bins: Any = 10,
    range: Any = None,
    weights: Any = None,
    density: bool | None = None,
) -> tuple[Array, Array]:
    """How many elements of `a` lie in each bin, and the edges of the bins.

    Args:
      a: an array.
      bins: how many, or the edges themselves.
      range: the first and last edge; by default the smallest and largest element.
      weights: how much each element counts.
      density: whether to divide by the total and the widths of the bins.

    Example:
      >>> import pullback.numpy as jnp
      >>> counts, edges = jnp.histogram(jnp.array([0.0, 1.0, 1.5, 4.0]), bins=2)
      >>> print(counts, edges)
      [3. 1.] [0. 2. 4.]
    """
    if weights is None:
        (x,) = promote_inexact("histogram", a)
        each = filled_like(x.shape, HostArray(x.dtype.type(1)))
    else:
        x, each = as_arrays("histogram", a, weights)
        if x.shape != each.shape:
            raise error(
                ValueError,
                "weights should have the same shape as a.",
                got=f"weights of shape {each.shape}, a of shape {x.shape}",
                fix="give one weight for each element.",
            )
        x, each = promote_inexact("histogram", x, each)
    x = reshape(x, new_sizes=(x.size,))
    edges = histogram_bin_edges(x, bins, range)
    n = edges.shape[0]
    at = _bin(x, edges)
    counts = counted_at(at, reshape(each, new_sizes=(each.size,)), n)
    counts = slice_along(counts, 0, 1, n)
    if density:
        total = broadcast_to(sum(counts), counts.shape)
        counts = div(div(*promote("histogram", counts, diff(edges))), total)
    return counts, edges


def _bin(x: Any, edges: Any) -> Any:
    """The number of the bin of each element, from 1; 0 and the number of edges lie outside."""
    n = edges.shape[0]
    edges, x = promote_inexact("histogram", edges, x)
    at = searchsorted(edges, x, side="right")
    last = reshape(slice_along(edges, 0, n - 1, n), new_sizes=())
    # The last bin contains its right edge.
    return select_n(eq(x, last), at, broadcast_to(HostArray(np.int32(n - 1)), at.shape))


def histogram2d(
    x: Any,
    y: Any,
    bins: Any = 10,
    range: Any = None,
    weights: Any = None,
    density: bool | None = None,
) -> tuple[Array, Array, Array]:
    """How many points (x, y) lie in each bin, and the edges on both axes; see `histogramdd`."""
    x, y = as_arrays("histogram2d", x, y)
    if not isinstance(bins, (int, np.integer)) and len(bins) not in (1, 2):
        bins = [as_array(bins, "histogram2d")] * 2
    x, y = promote_inexact("histogram2d", x, y)
    columns = [expand(c, (1,)) for c in (x, y)]
    hist, edges = _histogram(columns, bins, range, weights, density)
    return hist, edges[0], edges[1]


def histogramdd(
    sample: Any,
    bins: Any = 10,
    range: Any = None,
    weights: Any = None,
    density: bool | None = None,
) -> tuple[Array, list[Array]]:
    """How many points lie in each bin, and the edges on each axis.

    Args:
      sample: a row for each point.
      bins: how many on every axis, or for each axis how many or the edges.
      range: for each axis the first and last edge, or None.
      weights: how much each point counts.
      density: whether to divide by the total and the sizes of the bins.
    """
    (x,) = promote_inexact("histogramdd", sample)
    if x.ndim != 2:
        raise error(
            ValueError,
            "histogramdd needs a row for each point.",
            got=x.aval.str_short(),
            fix="stack the coordinates with jnp.stack([x, y], axis=1).",
        )
    columns = [slice_along(x, 1, k, k + 1) for k in _numbers(x.shape[1])]
    return _histogram(columns, bins, range, weights, density)


def _numbers(n: int) -> list[int]:
    return list(np.arange(n).tolist())


def _histogram(
    columns: list[Any],
    bins: Any,
    range: Any,
    weights: Any,
    density: Any,
) -> tuple[Any, list[Any]]:
    points, rank = columns[0].shape[0], len(columns)
    each_bins = _for_each_axis(bins, rank, "bins")
    ranges = [None] * rank if range is None else _for_each_axis(range, rank, "range")
    dtype = columns[0].dtype
    if weights is None:
        each = filled_like((points,), HostArray(dtypes.default_int().type(1)))
    else:
        each, _ = promote_inexact("histogramdd", weights, like(columns[0], 0))
        if each.shape != (points,):
            raise error(
                ValueError,
                "should have one weight for each sample.",
                got=f"weights of shape {each.shape} for {points} points",
                fix="give one weight for each point.",
            )
    edges, place, lengths = [], None, []
    for column, count, limits in zip(columns, each_bins, ranges):
        x = reshape(column, new_sizes=(points,))
        own = histogram_bin_edges(x, count, limits)
        at, n = _bin(x, own), own.shape[0] + 1
        edges.append(own)
        lengths.append(n)
        place = at if place is None else add(mul(place, like(place, n)), at)
    hist = reshape(counted_at(place, each, math.prod(lengths)), new_sizes=tuple(lengths))
    for axis, n in enumerate(lengths):
        hist = slice_along(hist, axis, 1, n - 1)
    if density:
        hist = astype(hist, dtype)
        hist = div(hist, broadcast_to(sum(hist), hist.shape))
        for axis, own in enumerate(edges):
            width = diff(own)
            shape = tuple(width.size if i == axis else 1 for i in _numbers(rank))
            width = reshape(width, new_sizes=shape)
            hist = div(hist, broadcast_to(width, hist.shape))
    return hist, edges


def _for_each_axis(value: Any, rank: int, name: str) -> list[Any]:
    if not isinstance(value, (list, tuple)) and np.ndim(value) == 0:
        return [value] * rank
    if len(value) != rank:
        raise error(
            ValueError,
            f"histogramdd: there should be {name} for each dimension.",
            got=f"{len(value)} for {rank} dimensions",
            fix=f"give {rank}, or one for all.",
        )
    return list(value)
