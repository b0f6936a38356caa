"""Arrays in order: sort, argsort, lexsort, partition; searching in them, and interpolation."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import dtypes
from ..core.array import Array, HostArray
from ..core.errors import error
from ..ops import searching, sorting
from ..ops.comparison import clamp, gt, le, lt
from ..ops.elementwise import add, convert_element_type, div, like, mul, select_n, sub
from ..ops.rounding import abs_
from ..ops.slicing import concatenate, slice_along
from ..ops.structural import iota, reshape, rev
from .arguments import are_values, integer
from .joining import array_sequence
from .logic import less_equal
from .promotion import (
    as_array,
    as_arrays,
    astype,
    axis_number,
    broadcast_to,
    inexact_dtype,
    promote_dtypes,
    promote_inexact,
    requested_dtype,
)
from .shaping import ravel
from .taking import taken


def sort(
    a: Any,
    axis: int | None = -1,
    *,
    kind: None = None,
    order: None = None,
    stable: bool = True,
    descending: bool = False,
) -> Array:
    """`a` in ascending order along `axis`; flattened first if it is None. NaN comes last.

    Args:
      a: an array. Complex numbers are ordered by their real and then their imaginary part.
      axis: the axis.
      kind: must be None.
      order: must be None.
      stable: whether equal elements keep their order.
      descending: whether to turn the order round.

    Example:
      >>> import pullback.numpy as jnp
      >>> print(jnp.sort(jnp.array([3, 1, 2])))
      [1 2 3]
    """
    x, i = _along("sort", a, axis, kind, order)
    if not descending and x.dtype.kind in "iub" and are_values(x):
        return HostArray(np.sort(x._value, i, kind="stable"), x._weak)
    (found,) = sorting.sort(x, dimension=i, is_stable=stable, num_keys=1)
    return rev(found, dimensions=(i,)) if descending else found


def argsort(
    a: Any,
    axis: int | None = -1,
    *,
    kind: None = None,
    order: None = None,
    stable: bool = True,
    descending: bool = False,
    dtype: Any = None,
) -> Array:
    """The indices along `axis` that put `a` in ascending order; arguments as those of `sort`.

    Example:
      >>> import pullback.numpy as jnp
      >>> print(jnp.argsort(jnp.array([3, 1, 2])))
      [1 2 0]
    """
    x, i = _along("argsort", a, axis, kind, order)
    index = dtypes.default_int() if dtype is None else requested_dtype(dtype, "argsort")
    if not descending and x.dtype.kind in "fiub" and are_values(x):
        # NumPy too puts NaN last, and takes 0 and -0 for equal.
        return HostArray(np.argsort(x._value, i, kind="stable").astype(index))
    places = iota(dtype=index, shape=x.shape, dimension=i)
    if descending and stable:
        x, places = rev(x, dimensions=(i,)), rev(places, dimensions=(i,))
    found = sorting.sort(x, places, dimension=i, is_stable=stable, num_keys=1)[1]
    return rev(found, dimensions=(i,)) if descending else found


def _along(name: str, a: Any, axis: Any, kind: Any, order: Any) -> tuple[Any, int]:
    if kind is not None or order is not None:
        argument, value = ("kind", kind) if kind is not None else ("order", order)
        raise error(
            TypeError,
            f"{argument!r} argument to {name} is not supported.",
            got=f"{argument}={value!r}",
            fix="use stable=True or stable=False to specify sort stability."
            if argument == "kind"
            else "there are no record arrays: sort by keys with jnp.lexsort.",
        )
    x = as_array(a, name)
    if axis is None:
        return ravel(x), 0
    if type(axis) is not int:
        axis = integer(axis, f"`axis` of jnp.{name}")
    return x, axis_number(axis, len(x.shape))


def lexsort(keys: Any, axis: int = -1) -> Array:
    """The indices that sort by the last of `keys`, then by the one before it, and so on."""
    arrays = array_sequence("lexsort", keys)
    if not arrays:
        raise error(
            TypeError,
            "need sequence of keys with len > 0 in lexsort.",
            got="no keys",
            fix="give at least one array.",
        )
    if any(x.shape != arrays[0].shape for x in arrays):
        raise error(
            ValueError,
            "all keys need to be the same shape.",
            got=", ".join(x.aval.str_short() for x in arrays),
            fix="broadcast the keys to one shape.",
        )
    shape = arrays[0].shape
    if not shape:
        return HostArray(dtypes.default_int().type(0))
    i = axis_number(axis, len(shape))
    places = iota(dtype=dtypes.default_int(), shape=shape, dimension=i)
    found = sorting.sort(
        *reversed(arrays), places, dimension=i, is_stable=True, num_keys=len(arrays)
    )
    return found[-1]


def sort_complex(a: Any) -> Array:
    """`a` as complex numbers in ascending order along the last axis."""
    found = sort(a)
    if found.dtype.kind == "c":
        return astype(found, found.dtype)
    return astype(found, dtypes.complex_dtype(inexact_dtype(found.dtype)))


def partition(a: Any, kth: int, axis: int = -1) -> Array:
    """`a` so that along `axis` the element at `kth` is the one of a sort, smaller ones before it.

    Both parts are in ascending order here.
    """
    x, i = _partitioned("partition", a, kth, axis)
    return sort(x, axis=i)


def argpartition(a: Any, kth: int, axis: int = -1) -> Array:
    """The indices along `axis` that put `a` in the order of `partition`."""
    x, i = _partitioned("argpartition", a, kth, axis)
    return argsort(x, axis=i)


def _partitioned(name: str, a: Any, kth: int, axis: int) -> tuple[Any, int]:
    x = as_array(a, name)
    if dtypes.kind(x.dtype) == "c":
        raise error(
            NotImplementedError,
            f"jnp.{name} for complex dtype is not implemented.",
            got=x.aval.str_short(),
            fix="use jnp.sort or jnp.argsort.",
        )
    i = axis_number(axis, x.ndim)
    axis_number(integer(kth, f"`kth` of jnp.{name}"), x.shape[i], "kth")
    return x, i


# ---- in what is sorted


def searchsorted(
    a: Any, v: Any, side: str = "left", sorter: Any = None, *, method: str = "scan"
) -> Array:
    """For each of `v` the first index at which it could be put into `a` and keep the order.

    Args:
      a: a sorted 1-d array.
      v: an array.
      side: "left": before elements equal to it; "right": after them.
      sorter: indices that sort `a`, if it is not sorted.
      method: accepted for compatibility.

    Example:
      >>> import pullback.numpy as jnp
      >>> print(jnp.searchsorted(jnp.array([1, 3, 5]), jnp.array([3, 4])))
      [1 2]
    """
    if side not in ("left", "right") or method not in (
        "scan",
        "scan_unrolled",
        "sort",
        "compare_all",
    ):
        raise error(
            ValueError,
            "searchsorted has the sides 'left' and 'right', and the methods 'scan', "
            "'scan_unrolled', 'sort' and 'compare_all'.",
            got=f"side={side!r}, method={method!r}",
            fix="use one of them.",
        )
    x, v = promote_dtypes("searchsorted", a, v)
    if x.ndim != 1:
        raise error(
            ValueError,
            "a should be 1-dimensional.",
            got=x.aval.str_short(),
            fix="use vmap to search in several arrays.",
        )
    if sorter is not None:
        x = taken(x, as_array(sorter, "searchsorted"), 0)
    return searching.searchsorted(x, v, side=side)


def digitize(x: Any, bins: Any, right: bool = False, *, method: str | None = None) -> Array:
    """The number of the bin that each element of `x` falls into.

    Args:
      x: an array.
      bins: the edges, ascending or descending.
      right: whether a bin contains its right edge instead of its left one.
      method: accepted for compatibility.
    """
    x, edges = as_arrays("digitize", x, bins)
    if edges.ndim != 1:
        raise error(
            ValueError,
            "digitize: bins must be a 1-dimensional array.",
            got=edges.aval.str_short(),
            fix="give the edges along one axis.",
        )
    n = edges.shape[0]
    if n == 0:
        return broadcast_to(HostArray(np.int32(0)), x.shape)
    x, edges = promote_dtypes("digitize", x, edges)
    side = "left" if right else "right"
    up = searching.searchsorted(edges, x, side=side)
    down = searching.searchsorted(rev(edges, dimensions=(0,)), x, side=side)
    down = sub(broadcast_to(like(down, n), down.shape), down)
    ascending = less_equal(_first(edges), _last(edges))
    return select_n(ascending, down, up)


def _first(x: Any) -> Any:
    return reshape(slice_along(x, 0, 0, 1), new_sizes=())


def _last(x: Any) -> Any:
    n = x.shape[0]
    return reshape(slice_along(x, 0, n - 1, n), new_sizes=())


# ---- interpolation


def interp(
    x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None
) -> Array:
    """The value at `x` of the function that joins the points (xp, fp) by straight lines.

    Args:
      x: where to evaluate.
      xp: the points' coordinates, ascending (unless there is a `period`).
      fp: the values there; they may be complex.
      left: the value below the first point, by default the one there; "extrapolate" goes on.
      right: the value above the last point, in the same way.
      period: the period of the function; then there is no outside.

    Example:
      >>> import pullback.numpy as jnp
      >>> print(jnp.interp(0.5, jnp.array([0.0, 1.0]), jnp.array([10.0, 20.0])))
      15.0
    """
    x, xp, fp = as_arrays("interp", x, xp, fp)
    if xp.shape != fp.shape or xp.ndim != 1:
        raise error(
            ValueError,
            "xp and fp must be one-dimensional arrays of equal size.",
            got=f"xp of shape {xp.shape}, fp of shape {fp.shape}",
            fix="give one value for each coordinate.",
        )
    x, xp = promote_inexact("interp", x, xp)
    (fp,) = promote_inexact("interp", fp)
    _check_interp(x, left, right, period)
    if period is not None:
        x, xp, fp = _periodic(x, xp, fp, period)
    n = xp.shape[0]
    at = searching.searchsorted(xp, x, side="right")
    at = clamp(like(at, 1), at, like(at, n - 1))
    before = sub(at, like(at, 1))
    x0, f0 = taken(xp, before, 0), taken(fp, before, 0)
    dx, df = sub(taken(xp, at, 0), x0), sub(taken(fp, at, 0), f0)
    # Two points at one place: the function jumps there.
    tiny = (
        float(np.spacing(np.finfo(dtypes.real_dtype(xp.dtype)).eps)) if xp.dtype.kind == "f" else 0
    )
    jump = le(abs_(dx), like(dx, tiny))
    share = div(sub(x, x0), select_n(jump, dx, broadcast_to(like(dx, 1), dx.shape)))
    dtype = _value_dtype(share, fp)
    slope = mul(astype(share, dtype), astype(df, dtype))
    f0 = astype(f0, dtype)
    found = select_n(jump, add(f0, slope), f0)
    if period is None:
        found = _outside(found, lt(x, _first(xp)), left, _first(fp))
        found = _outside(found, gt(x, _last(xp)), right, _last(fp))
    return found


def _value_dtype(share: Any, fp: Any) -> np.dtype:
    pairs = tuple((y.dtype, y.weak_type) for y in (share, fp))
    return dtypes.promoted(pairs, "interp")[0]


def _check_interp(x: Any, left: Any, right: Any, period: Any) -> None:
    for name, value in (("left", left), ("right", right)):
        if isinstance(value, str) and value != "extrapolate":
            raise error(
                ValueError,
                f"the only valid string value of `{name}` is 'extrapolate'.",
                got=f"{name}={value!r}",
                fix="give a number, 'extrapolate' or None.",
            )
    if dtypes.kind(x.dtype) == "c":
        raise error(
            ValueError,
            "jnp.interp: complex x values not supported.",
            got=x.aval.str_short(),
            fix="interpolate over a real coordinate.",
        )
    if period is not None and np.ndim(period) != 0:
        raise error(
            ValueError,
            "interp: period must be a scalar.",
            got=f"period of shape {np.shape(period)}",
            fix="give one number.",
        )


def _periodic(x: Any, xp: Any, fp: Any, period: Any) -> tuple[Any, Any, Any]:
    period = abs_(astype(as_array(period, "interp"), xp.dtype))
    x, xp = x % period, xp % period
    xp, fp = sorting.sort(xp, fp, dimension=0, is_stable=True, num_keys=1)
    n = xp.shape[0]
    first, last = slice_along(xp, 0, 0, 1), slice_along(xp, 0, n - 1, n)
    period = broadcast_to(period, (1,))
    xp = concatenate(sub(last, period), xp, add(first, period), dimension=0)
    fp = concatenate(slice_along(fp, 0, n - 1, n), fp, slice_along(fp, 0, 0, 1), dimension=0)
    return x, xp, fp


def _outside(found: Any, where: Any, value: Any, edge: Any) -> Any:
    if isinstance(value, str):
        return found
    value = edge if value is None else as_array(value, "interp")
    value = convert_element_type(value, new_dtype=found.dtype, weak_type=found.weak_type)
    return select_n(where, found, broadcast_to(value, found.shape))
