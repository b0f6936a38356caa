"""Arrays as sets: unique elements, unions, intersections, differences, membership."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..core import dtypes
from ..core.array import Array, HostArray
from ..core.errors import error
from ..ops import cumulative, sorting
from ..ops.comparison import and_, clamp, eq, lt, ne, not_
from ..ops.elementwise import convert_element_type, like, select_n, sub
from ..ops.searching import searchsorted
from ..ops.slicing import concatenate, slice_along
from ..ops.structural import iota, reshape
from .arguments import concrete, expand, from_host, integer, masked, strong
from .nan_reductions import nan_mask
from .promotion import as_array, as_arrays, astype, axis_number, broadcast_to, promote_dtypes
from .reductions import any as any_of
from .reductions import filled_like, sum
from .selecting import first_true
from .shaping import moveaxis, ravel
from .taking import taken

_HINT = "give size=, the number of elements of the result, or compute it outside of jit."


def unique(
    ar: Any,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    *,
    equal_nan: bool = True,
    size: int | None = None,
    fill_value: Any = None,
    sorted: bool = True,
) -> Any:
    """The different elements of `ar` in ascending order, or its different slices along `axis`.

    Args:
      ar: an array.
      return_index: also give where each occurs first.
      return_inverse: also give, for each element of `ar`, the place of its equal in the result.
      return_counts: also give how often each occurs.
      axis: the axis; None: `ar` is flattened.
      equal_nan: whether all NaNs count as one.
      size: how many to give; needed under jit, where the number is not known.
      fill_value: what fills up to `size`; by default the smallest element.
      sorted: accepted for compatibility: the result always is.

    Example:
      >>> import pullback.numpy as jnp
      >>> print(jnp.unique(jnp.array([3, 1, 3])))
      [1 3]
    """
    x = as_array(ar, "unique")
    shape = x.shape
    x, i = (ravel(x), 0) if axis is None else (x, axis_number(axis, x.ndim))
    rows = moveaxis(x, i, 0)
    if size is not None:
        size = integer(size, "`size` of jnp.unique")
    ordered, new, order = _ordered(rows, equal_nan)
    places, count = _places_of_new(new, size)
    values = taken(ordered, places, 0) if ordered.shape[0] else ordered
    if size is not None:
        values = _filled_up(values, size, fill_value, count, ordered)
    found = [moveaxis(values, 0, i)]
    if return_index:
        found.append(taken(order, places, 0) if ordered.shape[0] else order)
    if return_inverse:
        inverse = _inverse(new, order)
        found.append(reshape(inverse, new_sizes=shape) if axis is None else inverse)
    if return_counts:
        found.append(_counts(places, count, new.shape[0], size))
    return found[0] if len(found) == 1 else tuple(found)


def _ordered(rows: Any, equal_nan: bool) -> tuple[Any, Any, Any]:
    """The rows in ascending order, whether each differs from the one before, and where it was."""
    n, index = rows.shape[0], dtypes.default_int()
    width = rows.size // n if n else 0
    order = iota(dtype=index, shape=(n,), dimension=0)
    if not n or not width:
        # Rows without elements are all equal.
        new = HostArray(np.arange(n) == 0)
        return rows, new, order
    flat = reshape(rows, new_sizes=(n, width))
    keys = [reshape(slice_along(flat, 1, k, k + 1), new_sizes=(n,)) for k in range(width)]
    if dtypes.kind(rows.dtype) == "c" and equal_nan:
        one_nan = HostArray(rows.dtype.type(complex(np.nan, np.nan)))
        keys = [masked(not_(nan_mask(k)), k, one_nan) for k in keys]
    *_, order = sorting.sort(*keys, order, dimension=0, is_stable=True, num_keys=width)
    ordered = taken(rows, order, 0)
    flat = reshape(ordered, new_sizes=(n, width))
    now, before = slice_along(flat, 0, 1, n), slice_along(flat, 0, 0, n - 1)
    differs = ne(now, before)
    if equal_nan and dtypes.is_inexact(rows.dtype):
        differs = and_(differs, not_(and_(nan_mask(now), nan_mask(before))))
    differs = any_of(differs, axis=1)
    return ordered, concatenate(HostArray(np.ones(1, bool)), differs, dimension=0), order


def _places_of_new(new: Any, size: int | None) -> tuple[Any, Any]:
    """Where the first of each kind stands, and how many kinds there are."""
    if size is None:
        value = concrete(new, "the array of jnp.unique", _HINT)
        places = np.flatnonzero(value)
        return from_host(places, dtypes.int32), HostArray(np.int32(len(places)))
    places, _ = first_true(new, size)
    count = sum(new, dtype=dtypes.int32)
    # Beyond the last kind: the first one again.
    here = lt(places, HostArray(np.int32(max(1, new.shape[0])), True))
    return masked(here, places, HostArray(np.int32(0))), count


def _filled_up(values: Any, size: int, fill_value: Any, count: Any, ordered: Any) -> Any:
    if ordered.shape[0] == 0:
        if size and fill_value is None:
            raise error(
                ValueError,
                "jnp.unique: for zero-sized input with nonzero size argument, fill_value must be "
                "specified.",
                got=f"{ordered.aval.str_short()}, size={size}",
                fix="give fill_value=.",
            )
        fill = astype(as_array(0 if fill_value is None else fill_value, "unique"), values.dtype)
        return filled_like((size, *ordered.shape[1:]), fill)
    if fill_value is None:
        return values
    fill = astype(as_array(fill_value, "unique"), values.dtype)
    here = lt(HostArray(np.arange(size, dtype=np.int32)), broadcast_to(count, (size,)))
    here = broadcast_to(expand(here, tuple(range(1, values.ndim))), values.shape)
    return masked(here, values, fill)


def _inverse(new: Any, order: Any) -> Any:
    n = new.shape[0]
    if not n:
        return order
    number = convert_element_type(new, new_dtype=order.dtype, weak_type=False)
    number = cumulative.cumsum(number, axis=0, reverse=False)
    number = sub(number, like(number, 1))
    # Element order[k] has number k's: sort by where they were.
    return sorting.sort(order, number, dimension=0, is_stable=True, num_keys=1)[1]


def _counts(places: Any, count: Any, n: int, size: int | None) -> Any:
    index = dtypes.default_int()
    places = convert_element_type(places, new_dtype=index, weak_type=False)
    k = places.shape[0]
    if not k:
        return places
    end = HostArray(np.full(1, n, index))
    after = concatenate(slice_along(places, 0, 1, k), end, dimension=0)
    if size is None:
        return sub(after, places)
    # The last kind ends at n; what only fills up occurs 0 times.
    at = HostArray(np.arange(k, dtype=np.int32))
    total = broadcast_to(count, (k,))
    last = eq(at, sub(total, like(total, 1)))
    after = masked(not_(last), after, HostArray(index.type(n)))
    return masked(lt(at, total), sub(after, places), HostArray(index.type(0)))


class UniqueAllResult(NamedTuple):
    """What `unique_all` gives."""

    values: Array
    indices: Array
    inverse_indices: Array
    counts: Array


class UniqueCountsResult(NamedTuple):
    """What `unique_counts` gives."""

    values: Array
    counts: Array


class UniqueInverseResult(NamedTuple):
    """What `unique_inverse` gives."""

    values: Array
    inverse_indices: Array


def unique_all(x: Any, /, *, size: int | None = None, fill_value: Any = None) -> UniqueAllResult:
    """The different elements, where they are first, the inverse, how often; NaNs all differ."""
    return UniqueAllResult(
        *unique(x, True, True, True, equal_nan=False, size=size, fill_value=fill_value)
    )


def unique_counts(
    x: Any, /, *, size: int | None = None, fill_value: Any = None
) -> UniqueCountsResult:
    """The different elements and how often they occur; NaNs all differ."""
    return UniqueCountsResult(
        *unique(x, return_counts=True, equal_nan=False, size=size, fill_value=fill_value)
    )


def unique_inverse(
    x: Any, /, *, size: int | None = None, fill_value: Any = None
) -> UniqueInverseResult:
    """The different elements and the inverse; NaNs all differ."""
    return UniqueInverseResult(
        *unique(x, return_inverse=True, equal_nan=False, size=size, fill_value=fill_value)
    )


def unique_values(x: Any, /, *, size: int | None = None, fill_value: Any = None) -> Array:
    """The different elements; NaNs all differ."""
    return unique(x, equal_nan=False, size=size, fill_value=fill_value)


# ---- two sets


def isin(
    element: Any,
    test_elements: Any,
    assume_unique: bool = False,
    invert: bool = False,
    *,
    method: str = "auto",
) -> Array:
    """Whether each element of `element` is one of `test_elements`; with `invert`, whether not.

    Example:
      >>> import pullback.numpy as jnp
      >>> print(jnp.isin(jnp.array([1, 2, 3]), jnp.array([3, 1])))
      [ True False  True]
    """
    if method not in ("auto", "compare_all", "binary_search", "sort"):
        raise error(
            ValueError,
            f"isin has no method {method!r}.",
            got=f"method={method!r}",
            fix="use 'auto', 'compare_all', 'binary_search' or 'sort'.",
        )
    x, of = promote_dtypes("isin", element, test_elements)
    n = of.size
    if not x.size or not n:
        return filled_like(x.shape, HostArray(np.bool_(invert)))
    (of,) = sorting.sort(ravel(of), dimension=0, is_stable=False, num_keys=1)
    at = searchsorted(of, x, side="left")
    at = select_n(lt(at, HostArray(np.int32(n), True)), broadcast_to(like(at, 0), at.shape), at)
    found = taken(of, at, 0)
    return strong(ne(x, found) if invert else eq(x, found))


def union1d(ar1: Any, ar2: Any, *, size: int | None = None, fill_value: Any = None) -> Array:
    """The different elements of both arrays in ascending order; `size` as for `unique`."""
    return unique(_together("union1d", ar1, ar2), size=size, fill_value=fill_value)


def _together(name: str, ar1: Any, ar2: Any) -> Any:
    x, y = promote_dtypes(name, *[ravel(a) for a in as_arrays(name, ar1, ar2)])
    return concatenate(x, y, dimension=0)


def setdiff1d(
    ar1: Any,
    ar2: Any,
    assume_unique: bool = False,
    *,
    size: int | None = None,
    fill_value: Any = None,
) -> Array:
    """The elements of `ar1` that are not in `ar2`; `size` as for `unique`, filled up with 0."""
    x, y = (ravel(a) for a in as_arrays("setdiff1d", ar1, ar2))
    own = HostArray(np.ones(x.shape, bool))
    if not assume_unique:
        x, own = _once(x)
    keep = and_(own, isin(x, y, invert=True))
    return _kept("setdiff1d", x, keep, size, 0 if fill_value is None else fill_value)


def _once(x: Any) -> tuple[Any, Any]:
    """`x` in order, and whether each is the first of its kind."""
    if not x.size:
        return x, HostArray(np.zeros(0, bool))
    ordered, new, _ = _ordered(x, True)
    return ordered, new


def _kept(name: str, x: Any, keep: Any, size: int | None, fill_value: Any) -> Any:
    """The elements to keep; if fewer than `size`, filled up, by default with the first."""
    if size is None:
        value = concrete(keep, f"the arrays of jnp.{name}", _HINT)
        return taken(x, from_host(np.flatnonzero(value), dtypes.int32), 0)
    size = integer(size, f"`size` of jnp.{name}")
    if not x.size or not size:
        return filled_like((size,), astype(as_array(fill_value or 0, name), x.dtype))
    places, _ = first_true(keep, size)
    here = lt(places, HostArray(np.int32(x.size), True))
    found = taken(x, masked(here, places, HostArray(np.int32(0))), 0)
    if fill_value is None:
        found = masked(here, found, HostArray(x.dtype.type(0)))
        fill = broadcast_to(slice_along(found, 0, 0, 1), found.shape)
        return select_n(here, fill, found)
    return masked(here, found, astype(as_array(fill_value, name), x.dtype))


def setxor1d(
    ar1: Any,
    ar2: Any,
    assume_unique: bool = False,
    *,
    size: int | None = None,
    fill_value: Any = None,
) -> Array:
    """The different elements that are in only one of both arrays; `size` as for `unique`."""
    x, y = promote_dtypes("setxor1d", *[ravel(a) for a in as_arrays("setxor1d", ar1, ar2)])
    sides = []
    for own, other in ((x, y), (y, x)):
        values, new = (own, HostArray(np.ones(own.shape, bool))) if assume_unique else _once(own)
        sides.append((values, and_(new, isin(values, other, invert=True))))
    values, keep = (concatenate(*pair, dimension=0) for pair in zip(*sides, strict=True))
    values, keep = sorting.sort(values, keep, dimension=0, is_stable=True, num_keys=1)
    return _kept("setxor1d", values, keep, size, fill_value)


def intersect1d(
    ar1: Any,
    ar2: Any,
    assume_unique: bool = False,
    return_indices: bool = False,
    *,
    size: int | None = None,
    fill_value: Any = None,
) -> Any:
    """The different elements that are in both arrays, in ascending order.

    Args:
      ar1: an array.
      ar2: an array.
      assume_unique: a promise that no element occurs twice in one array.
      return_indices: also give where each stands first in `ar1` and in `ar2`.
      size: how many to give, as for `unique`. Indices are filled up with the arrays' lengths.
      fill_value: what fills up.
    """
    x, y = promote_dtypes("intersect1d", *[ravel(a) for a in as_arrays("intersect1d", ar1, ar2)])
    x_sorted, new, x_order = _ordered(x, True)
    y_sorted, _, y_order = _ordered(y, True)
    keep = and_(new, isin(x_sorted, y))
    values = _kept("intersect1d", x_sorted, keep, size, fill_value)
    if not return_indices:
        return values
    first = _kept("intersect1d", x_order, keep, size, x.size)
    if not y.size or not values.size:
        return values, first, filled_like(first.shape, like(first, y.size))
    at = clamp(HostArray(np.int32(0)), searchsorted(y_sorted, values, side="left"), _last_place(y))
    second = taken(y_order, at, 0)
    if size is not None:
        here = lt(first, like(first, x.size))
        second = masked(here, second, HostArray(second.dtype.type(y.size)))
    return values, first, second


def _last_place(x: Any) -> HostArray:
    return HostArray(np.int32(x.size - 1))
