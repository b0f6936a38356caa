"""Elements read and written at computed places: take, put and what goes along an axis."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from ..core import dtypes
from ..core.array import Array, HostArray
from ..core.errors import error
from ..core.trace import EVAL, state
from ..core.types import Shape
from ..ops.comparison import clamp, lt
from ..ops.elementwise import add, like, select_n
from ..ops.indexing import CLIP, FILL_OR_DROP, PROMISE_IN_BOUNDS, gather, scatter
from ..ops.structural import reshape
from ..ops.windows import GatherDimensionNumbers, ScatterDimensionNumbers
from .arguments import integer, known, no_out
from .promotion import as_arrays, astype, axis_number, broadcast_shapes, broadcast_to
from .reductions import filled_like


def take(
    a: Any,
    indices: Any,
    axis: int | None = None,
    out: None = None,
    mode: str | None = None,
    unique_indices: bool = False,
    indices_are_sorted: bool = False,
    fill_value: Any = None,
) -> Array:
    """The elements of `a` at `indices` along `axis`; in the flattened array if it is None.

    Args:
      a: an array.
      indices: integers of any shape; negative ones count from the end.
      axis: the axis.
      out: must be None.
      mode: what an index outside the array gives: "fill" (NaN, or `fill_value`; the default),
        "clip" (the first or last element; negative indices do not count from the end), "wrap".
      unique_indices: a promise that no index occurs twice.
      indices_are_sorted: a promise that they ascend.
      fill_value: what "fill" fills with.

    Example:
      >>> import pullback.numpy as jnp
      >>> print(jnp.take(jnp.array([5, 6, 7]), jnp.array([2, 0])))
      [7 5]
    """
    no_out("take", out)
    x, at = as_arrays("take", a, indices)
    if axis is None:
        x, i = reshape(x, new_sizes=(x.size,)) if len(x.shape) != 1 else x, 0
    else:
        i = axis_number(integer(axis, "`axis` of jnp.take"), len(x.shape))
    check_integers("take", at)
    n = x.shape[i]
    if n == 0 and at.size:
        raise error(
            IndexError,
            "cannot do a non-empty jnp.take() from an empty axis.",
            got=f"{x.aval.str_short()}, axis {i}, {at.size} indices",
            fix="take from an axis that has elements.",
        )
    if not at.size:
        return taken(x, at, i)
    at, how = _with_mode("take", at, n, mode)
    if how is PROMISE_IN_BOUNDS and state.trace is EVAL and type(x) is type(at) is HostArray:
        # The same at once: a gather, which must find out what to do, costs 3 us more.
        return HostArray(x._value.take(at._value, i), x._weak)
    numbers, sizes = _along(x.shape, i, len(at.shape))
    return gather(
        x,
        as_vectors(at),
        dimension_numbers=numbers,
        slice_sizes=sizes,
        mode=how,
        fill_value=fill_value,
        unique_indices=unique_indices,
        indices_are_sorted=indices_are_sorted,
    )


def taken(x: Any, places: Any, axis: int, mode: Any = PROMISE_IN_BOUNDS) -> Any:
    """The elements of `x` along `axis` at `places`, which lie inside the array."""
    if not places.size:
        shape = (*x.shape[:axis], *places.shape, *x.shape[axis + 1 :])
        return filled_like(shape, HostArray(x.dtype.type(0)))
    numbers, sizes = _along(x.shape, axis, len(places.shape))
    return gather(
        x,
        as_vectors(places),
        dimension_numbers=numbers,
        slice_sizes=sizes,
        mode=mode,
        fill_value=None,
        unique_indices=False,
        indices_are_sorted=False,
    )


@lru_cache(maxsize=4096)
def _along(shape: Shape, axis: int, index_rank: int) -> tuple[GatherDimensionNumbers, Shape]:
    """The dimension numbers and window sizes that read along one axis."""
    offset = (*range(axis), *range(axis + index_rank, len(shape) + index_rank - 1))
    sizes = (*shape[:axis], min(1, shape[axis]), *shape[axis + 1 :])
    return GatherDimensionNumbers(offset, (axis,), (axis,)), sizes


def as_vectors(at: Any) -> Any:
    """Indices as vectors of one number: with an axis of length 1 more."""
    if type(at) is HostArray:
        return HostArray(at._value.reshape((*at._value.shape, 1)))
    return reshape(at, new_sizes=(*at.shape, 1))


def check_integers(name: str, indices: Any) -> None:
    """Indices must be integers."""
    if dtypes.kind(indices.dtype) not in "iu":
        raise error(
            TypeError,
            f"{name} requires integer indices.",
            got=indices.aval.str_short(),
            fix="convert them with .astype(int), or use a mask with jnp.where or jnp.compress.",
        )


def _with_mode(name: str, at: Any, n: int, mode: Any) -> tuple[Any, Any]:
    """Indices and the gather mode that together do what `mode` says."""
    if mode is None or mode == "fill":
        if type(at) is HostArray and at.dtype.kind in "iu" and _all_inside(at._value, n):
            return at, PROMISE_IN_BOUNDS
        return from_front(at, n), FILL_OR_DROP
    if mode == "wrap":
        return at % like(at, n) if n else at, PROMISE_IN_BOUNDS
    if mode == "clip":
        return at, CLIP
    if mode == "raise":
        raise error(
            NotImplementedError,
            f"The 'raise' mode to jnp.{name} is not supported.",
            got="mode='raise'",
            fix='use "fill", "clip" or "wrap": values cannot raise errors under jit.',
        )
    raise error(
        ValueError,
        f"invalid mode {mode!r} for jnp.{name}.",
        got=f"mode={mode!r}",
        fix='use "fill", "clip" or "wrap".',
    )


def _all_inside(at: Any, n: int) -> bool:
    # Seen as unsigned numbers, negative ones are large.
    return not at.size or bool(
        np.maximum.reduce(at.view(_UNSIGNED.get(at.dtype, at.dtype)), None) < n
    )


_UNSIGNED = {np.dtype(f"i{size}"): np.dtype(f"u{size}") for size in (1, 2, 4, 8)}


def from_front(at: Any, n: int) -> Any:
    """Indices that count from the front: `n` is added to negative ones."""
    if at.dtype.kind == "u":
        return at
    value = known(at)
    if value is not None:
        if not value.size or value.min() >= 0:
            return at
        return HostArray(np.where(value < 0, value + value.dtype.type(n), value))
    shape = at.shape
    zero, length = like(at, 0), like(at, n)
    return select_n(lt(at, zero), at, add(at, length)) if shape or n else at


def take_along_axis(
    arr: Any,
    indices: Any,
    axis: int | None = -1,
    mode: Any = None,
    fill_value: Any = None,
    *,
    wrap_negative_indices: bool | None = None,
) -> Array:
    """`arr` at `indices`, which have its number of axes, along `axis`: what `argsort` is read with.

    Args:
      arr: an array.
      indices: integers that broadcast with `arr` on all other axes.
      axis: the axis; None: both are flattened.
      mode: what an index outside gives: "fill" (NaN or `fill_value`, the default), "clip", or
        "promise_in_bounds".
      fill_value: what "fill" fills with.
      wrap_negative_indices: whether negative indices count from the end.

    Example:
      >>> import pullback.numpy as jnp
      >>> x = jnp.array([[3, 1, 2]])
      >>> print(jnp.take_along_axis(x, jnp.argsort(x, axis=1), axis=1))
      [[1 2 3]]
    """
    x, at = as_arrays("take_along_axis", arr, indices)
    check_integers("take_along_axis", at)
    x, at, i = _on_axis("take_along_axis", x, at, axis)
    shape, n = _shape_along("take_along_axis", x, at, i), x.shape[i]
    if n == 0:
        return filled_like(shape, HostArray(x.dtype.type(0)))
    wrap = wrap_negative_indices or (wrap_negative_indices is None and mode != "promise_in_bounds")
    if state.trace is EVAL and type(x) is type(at) is HostArray:
        places = at._value
        if places.size and places.max() < n and places.min() >= (-n if wrap else 0):
            return HostArray(np.take_along_axis(x._value, places, i), x._weak)
    if wrap:
        at = from_front(at, n)
    at = broadcast_to(at, (*shape[:i], at.shape[i], *shape[i + 1 :]))
    x = broadcast_to(x, (*shape[:i], n, *shape[i + 1 :]))
    others = tuple(d for d in range(x.ndim) if d != i)
    return gather(
        x,
        as_vectors(at),
        dimension_numbers=GatherDimensionNumbers((), (i,), (i,), others, others),
        slice_sizes=tuple(1 if d == i else min(1, k) for d, k in enumerate(x.shape)),
        mode=scatter_gather_mode("take_along_axis", mode),
        fill_value=fill_value,
        unique_indices=False,
        indices_are_sorted=False,
    )


def scatter_gather_mode(name: str, mode: Any) -> Any:
    """The mode of gather or scatter that a user names."""
    modes = {
        None: FILL_OR_DROP,
        "fill": FILL_OR_DROP,
        "drop": FILL_OR_DROP,
        "clip": CLIP,
        "promise_in_bounds": PROMISE_IN_BOUNDS,
    }
    if isinstance(mode, type(CLIP)):
        return mode
    if mode not in modes:
        raise error(
            ValueError,
            f"invalid mode {mode!r} for jnp.{name}.",
            got=f"mode={mode!r}",
            fix='use "fill", "drop", "clip" or "promise_in_bounds".',
        )
    return modes[mode]


def _on_axis(name: str, x: Any, at: Any, axis: int | None) -> tuple[Any, Any, int]:
    if axis is None:
        if at.ndim != 1:
            raise error(
                ValueError,
                f"{name} indices must be 1D if axis=None.",
                got=f"indices of shape {at.shape}",
                fix="flatten the indices, or name the axis.",
            )
        return reshape(x, new_sizes=(x.size,)), at, 0
    if x.ndim != at.ndim:
        raise error(
            ValueError,
            f"{name}: indices and the array must have the same number of dimensions.",
            got=f"indices of shape {at.shape}, an array of shape {x.shape}",
            fix="add axes to the indices, e.g. with jnp.expand_dims(indices, axis).",
        )
    return x, at, axis_number(axis, x.ndim)


def _shape_along(name: str, x: Any, at: Any, axis: int) -> Shape:
    rest = (*x.shape[:axis], 1, *x.shape[axis + 1 :])
    shape = broadcast_shapes(name, (*at.shape[:axis], 1, *at.shape[axis + 1 :]), rest)
    return (*shape[:axis], at.shape[axis], *shape[axis + 1 :])


# ---- writing


def put(a: Any, ind: Any, v: Any, mode: str | None = None, *, inplace: bool = True) -> Array:
    """The array `a` with `v` at the places `ind` of the flattened array. Pass `inplace=False`.

    Args:
      a: an array.
      ind: integers; negative ones count from the end.
      v: the values, repeated if they are fewer than the indices.
      mode: what an index outside does: it writes to the first or last element (None, and "clip", in
        which negative indices do not count from the end), or "wrap".
      inplace: must be False: arrays are immutable, the new array is returned.
    """
    _not_in_place("put", inplace)
    x, at, values = as_arrays("put", a, ind, v)
    check_integers("put", at)
    at = reshape(at, new_sizes=(at.size,))
    if not x.size or not at.size or not values.size:
        return x
    if mode is None:
        at, mode = from_front(at, x.size), "clip"
    elif mode == "fill":
        mode = "fill (put has none)"
    at, _ = _with_mode("put", at, x.size, mode)
    at = clamp(like(at, 0), at, like(at, x.size - 1))
    values = sized(values, at.size)
    return _written(x, at, values, PROMISE_IN_BOUNDS)


def sized(values: Any, n: int) -> Any:
    """The flattened `values`, repeated or cut to length `n`."""
    size = values.size
    flat = reshape(values, new_sizes=(size,))
    return flat if size == n else taken(flat, HostArray(np.arange(n, dtype=np.int32) % size), 0)


def _written(x: Any, at: Any, values: Any, mode: Any) -> Any:
    """`x` with the elements at `at`, places in the flattened array, replaced by `values`."""
    flat = scatter(
        reshape(x, new_sizes=(x.size,)),
        reshape(at, new_sizes=(at.size, 1)),
        astype(values, x.dtype),
        dimension_numbers=ScatterDimensionNumbers((), (0,), (0,)),
        mode=mode,
        unique_indices=False,
        indices_are_sorted=False,
    )
    return reshape(flat, new_sizes=x.shape)


def put_along_axis(
    arr: Any,
    indices: Any,
    values: Any,
    axis: int | None,
    inplace: bool = True,
    *,
    mode: Any = None,
) -> Array:
    """The array `arr` with `values` at `indices` along `axis`. Pass `inplace=False`."""
    _not_in_place("put_along_axis", inplace)
    x, at, values = as_arrays("put_along_axis", arr, indices, values)
    check_integers("put_along_axis", at)
    shape = x.shape
    x, at, i = _on_axis("put_along_axis", x, at, axis)
    if broadcast_shapes("put_along_axis", values.shape, at.shape) != at.shape:
        raise error(
            ValueError,
            "put_along_axis: the values must be broadcastable to the indices.",
            got=f"values of shape {values.shape}, indices of shape {at.shape}",
            fix="give one value for each index, or one for all.",
        )
    values = broadcast_to(values, at.shape)
    wide = _shape_along("put_along_axis", x, at, i)
    at, values = broadcast_to(from_front(at, x.shape[i]), wide), broadcast_to(values, wide)
    others = tuple(d for d in range(x.ndim) if d != i)
    out = scatter(
        x,
        as_vectors(at),
        astype(values, x.dtype),
        dimension_numbers=ScatterDimensionNumbers((), (i,), (i,), others, others),
        mode=scatter_gather_mode("put_along_axis", mode),
        unique_indices=False,
        indices_are_sorted=False,
    )
    return reshape(out, new_sizes=shape) if out.shape != shape else out


def _not_in_place(name: str, inplace: bool) -> None:
    if inplace:
        raise error(
            NotImplementedError if name == "fill_diagonal" else ValueError,
            f"jnp.{name} cannot modify arrays in-place, because arrays are immutable.",
            got="inplace=True",
            fix="pass inplace=False and use the array that is returned.",
        )


def fill_diagonal(a: Any, val: Any, wrap: bool = False, *, inplace: bool = True) -> Array:
    """The array `a` with `val` on its diagonal. Pass `inplace=False`."""
    _not_in_place("fill_diagonal", inplace)
    if wrap:
        raise error(
            NotImplementedError,
            "fill_diagonal with wrap=True is not implemented.",
            got="wrap=True",
            fix="use wrap=False.",
        )
    x, values = as_arrays("fill_diagonal", a, val)
    if x.ndim < 2 or (x.ndim > 2 and len(set(x.shape)) > 1):
        raise error(
            ValueError,
            "fill_diagonal needs an array with at least two axes; more than two must be equally "
            "long.",
            got=x.aval.str_short(),
            fix="give a matrix.",
        )
    n = min(x.shape)
    if not n:
        return x
    step = sum(int(np.prod(x.shape[i + 1 :])) for i in range(x.ndim))
    at = HostArray(np.arange(n, dtype=np.int32) * np.int32(step))
    return _written(x, at, sized(values, n), PROMISE_IN_BOUNDS)
