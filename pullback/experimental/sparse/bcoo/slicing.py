"""Parts of BCOO arrays: slice, dynamic_slice, gather, and `mat[index]`."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from .... import lax
from .... import numpy as jnp
from ....core import dtypes
from ....core.array import Array, Tracer
from ....core.errors import error
from ....mapping import vmap
from .array import BCOO, beyond, where_stored
from .duplicates import summed
from .layout import (
    bcoo_broadcast_in_dim,
    bcoo_reshape,
    bcoo_rev,
    bcoo_squeeze,
    bcoo_transpose,
    bcoo_update_layout,
)


def bcoo_slice(
    mat: BCOO,
    *,
    start_indices: Sequence[int],
    limit_indices: Sequence[int],
    strides: Sequence[int] | None = None,
) -> BCOO:
    """`lax.slice` of a sparse array.

    Raises:
      TypeError: `mat` is no BCOO.
      ValueError: the indices do not fit the shape.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.experimental import sparse
      >>> m = sparse.BCOO.fromdense(jnp.array([[0.0, 2.0], [1.0, 0.0]]))
      >>> print(sparse.bcoo_slice(m, start_indices=(0, 0), limit_indices=(1, 2)).todense())
      [[0. 2.]]
    """
    if not isinstance(mat, BCOO):
        raise error(
            TypeError,
            "bcoo_slice: input should be a BCOO array.",
            got=type(mat).__name__,
            fix="use lax.slice for dense arrays.",
        )
    starts = [operator.index(i) for i in start_indices]
    limits = [operator.index(i) for i in limit_indices]
    steps = [1] * mat.ndim if strides is None else [operator.index(i) for i in strides]
    lengths = {len(starts), len(limits), len(steps), mat.ndim}
    if (
        len(lengths) != 1
        or any(s <= 0 for s in steps)
        or not all(0 <= a <= b <= d for a, b, d in zip(starts, limits, mat.shape, strict=True))
    ):
        raise error(
            ValueError,
            f"bcoo_slice: invalid indices. Got start_indices={starts}, limit_indices={limits}, "
            f"strides={steps} and shape={mat.shape}.",
            got=repr(mat),
            fix="give one start, limit and positive stride for each axis, inside the shape.",
        )
    cuts = [slice(a, b, s) for a, b, s in zip(starts, limits, steps, strict=True)]
    shape = tuple(len(range(d)[c]) for c, d in zip(cuts, mat.shape, strict=True))
    a, n_sparse = mat.n_batch, mat.n_sparse
    data, indices = (
        x[tuple(c if x.shape[i] == mat.shape[i] else slice(None) for i, c in enumerate(cuts[:a]))]
        for x in (mat.data, mat.indices)
    )
    data = data[(*(slice(None),) * (a + 1), *cuts[a + n_sparse :])]
    if not n_sparse:
        return BCOO((data, indices), shape=shape)
    kind = indices.dtype
    first, last, step = (np.array(x[a : a + n_sparse], kind) for x in (starts, limits, steps))
    keep = (indices >= first) & (indices < last) & ((indices - first) % step == 0)
    new = np.asarray(shape[a : a + n_sparse], kind)
    return _kept(data, keep, (indices - first) // step, new, shape, mat)


def _kept(data: Any, keep: Any, indices: Any, sparse: Any, shape: Any, mat: BCOO) -> BCOO:
    """The elements whose coordinates are all kept, and no more than there are places for."""
    keep = jnp.all(keep, axis=-1)
    out = BCOO(
        (
            where_stored(keep, data, mat.n_dense),
            jnp.where(keep[..., None], indices, sparse).astype(mat.indices.dtype),
        ),
        shape=shape,
    )
    most = math.prod(out.parts[1])
    return out if out.nse <= most else BCOO(summed(out, most), shape=shape)


def bcoo_dynamic_slice(mat: BCOO, start_indices: Sequence[Any], slice_sizes: Sequence[int]) -> BCOO:
    """`lax.dynamic_slice` of a sparse array: a slice of fixed size at starts that may be traced.

    Raises:
      TypeError: `mat` is no BCOO, the starts are no integers, or a size is larger than its axis.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.experimental import sparse
      >>> m = sparse.BCOO.fromdense(jnp.array([[0.0, 2.0], [1.0, 0.0]]))
      >>> print(sparse.bcoo_dynamic_slice(m, (0, 1), (2, 1)).todense())
      [[2.]
       [0.]]
    """
    if not isinstance(mat, BCOO):
        raise error(
            TypeError,
            "bcoo_dynamic_slice: input should be a BCOO array.",
            got=type(mat).__name__,
            fix="use lax.dynamic_slice for dense arrays.",
        )
    sizes = tuple(map(operator.index, slice_sizes))
    starts = [jnp.asarray(i) for i in start_indices]
    if len(starts) != mat.ndim or any(i.ndim or dtypes.kind(i.dtype) not in "iu" for i in starts):
        raise error(
            TypeError,
            "bcoo_dynamic_slice: one scalar integer start index is needed for each axis.",
            got=f"{len(starts)} start indices for {mat}",
            fix="give one for each axis.",
        )
    if len(sizes) != mat.ndim or any(
        not 0 <= n <= d for n, d in zip(sizes, mat.shape, strict=False)
    ):
        raise error(
            TypeError,
            "slice_sizes must be less than or equal to operand shape.",
            got=f"slice_sizes {sizes} for operand shape {mat.shape}",
            fix="give one size for each axis.",
        )
    a, b = mat.n_batch, mat.n_batch + mat.n_sparse
    found = []
    for x, behind in (
        (mat.data, [(starts[i], sizes[i]) for i in range(b, mat.ndim)]),
        (mat.indices, [(0, mat.n_sparse)]),
    ):
        full = [x.shape[i] == mat.shape[i] for i in range(a)]
        pairs = [(starts[i], sizes[i]) if full[i] else (0, 1) for i in range(a)]
        pairs += [(0, mat.nse), *behind]
        found.append(lax.dynamic_slice(x, [p[0] for p in pairs], [p[1] for p in pairs]))
    data, indices = found
    if not mat.n_sparse:
        return BCOO((data, indices), shape=sizes)
    kind = indices.dtype
    whole, part = beyond(mat.shape[a:b], kind), beyond(sizes[a:b], kind)
    first = jnp.stack([i.astype(kind) for i in starts[a:b]])
    first = jnp.clip(jnp.where(first < 0, first + whole, first), 0, whole - part)
    keep = (indices >= first) & (indices < first + part)
    return _kept(data, keep, indices - first, part, sizes, mat)


def bcoo_gather(
    operand: BCOO,
    start_indices: Any,
    dimension_numbers: Any,
    slice_sizes: Sequence[int],
    *,
    unique_indices: bool = False,
    indices_are_sorted: bool = False,
    mode: Any = None,
    fill_value: Any = None,
) -> BCOO:
    """`lax.gather` of a sparse array, for indices that lie inside it.

    Raises:
      NotImplementedError: `mode` is not "promise_in_bounds", or there are batching dimensions.
    """
    chosen = lax.GatherScatterMode.from_any("promise_in_bounds" if mode is None else mode)
    d = dimension_numbers
    if chosen != lax.GatherScatterMode.PROMISE_IN_BOUNDS or d.operand_batching_dims:
        raise error(
            NotImplementedError,
            f"bcoo_gather: mode={mode} not yet supported.",
            got=f"mode={mode}, {d}",
            fix="index inside the array, with mode='promise_in_bounds'.",
        )
    start_indices = jnp.asarray(start_indices)
    sizes = list(operand.shape)
    for j in d.start_index_map:
        sizes[j] = slice_sizes[j]
    zero = jnp.zeros((), start_indices.dtype)

    def one(row: Any) -> BCOO:
        starts = [zero] * operand.ndim
        for i, j in enumerate(d.start_index_map):
            starts[j] = row[i]
        part = bcoo_dynamic_slice(operand, starts, sizes)
        return bcoo_squeeze(part, dimensions=d.collapsed_slice_dims)

    batch = start_indices.shape[:-1]
    rows = start_indices.reshape((math.prod(batch), start_indices.shape[-1]))
    out = vmap(one)(rows)
    out = bcoo_reshape(out, new_sizes=(*batch, *out.shape[1:]))
    if not out.ndim:
        return out
    offsets = list(d.offset_dims)
    order = [0] * out.ndim
    places = [i for i in range(out.ndim) if i not in offsets]
    for i, place in enumerate([*places, *offsets]):
        order[place] = i
    if sorted(order[: out.n_batch]) != list(range(out.n_batch)):
        out = bcoo_update_layout(out, n_batch=0)
    return bcoo_transpose(out, permutation=tuple(order))


# ---- mat[index]


def bcoo_getitem(mat: BCOO, index: Any) -> BCOO:
    """The part of `mat` at an index of integers, slices, None, `...` and one array of integers.

    Integers may be traced. Raises IndexError where an index is out of bounds or of another kind.
    """
    items = _with_ellipsis(mat, index if isinstance(index, tuple) else (index,))
    of_axes = [x for x in items if x is not None]
    arrays = [i for i, x in enumerate(of_axes) if _is_array(x)]
    if arrays and (len(arrays) > 1 or len(of_axes) < len(items) or np.ndim(of_axes[arrays[0]]) > 1):
        raise _bad_index(mat, index, "one array of indices with one axis, without new axes, is all")
    out, gone = _cut(mat, index, of_axes)
    kept = [i for i in range(mat.ndim) if i not in gone]
    if arrays:
        return _take(out, of_axes[arrays[0]], kept.index(arrays[0]))
    if len(of_axes) == len(items):
        return out
    # Where the axes that are left stand among the new ones.
    axes = iter(range(mat.ndim))
    numbered = [None if x is None else next(axes) for x in items]
    final = [i for i in numbered if i is None or i in kept]
    places = [i for i, x in enumerate(final) if x is not None]
    shape = [1] * len(final)
    for i, d in zip(places, out.shape, strict=True):
        shape[i] = d
    return bcoo_broadcast_in_dim(out, shape=shape, broadcast_dimensions=places)


def _cut(mat: BCOO, index: Any, of_axes: list[Any]) -> tuple[BCOO, list[int]]:
    """The array with slices and integers done, and the axes that integers have taken away."""
    cuts, back, gone = [], [], []
    dynamic: dict[int, Any] = {}
    for axis, (x, size) in enumerate(zip(of_axes, mat.shape, strict=True)):
        whole = slice(0, size, 1)
        if isinstance(x, slice):
            whole, turned = _forward(x, size)
            back += [axis] if turned else []
        elif _is_array(x):
            pass  # comes last
        elif _is_integer(x):
            gone.append(axis)
            if isinstance(x, Tracer) and x.known() is None:
                dynamic[axis] = x
            else:
                at = operator.index(x)
                if not -size <= at < size:
                    raise _bad_index(mat, index, f"{at} is out of bounds for an axis of {size}")
                whole = slice(at % size, at % size + 1, 1)
        else:
            raise _bad_index(mat, index, f"{x!r:.60} is no index of a sparse array")
        cuts.append(whole)
    out = mat
    if any(c != slice(0, d, 1) for c, d in zip(cuts, mat.shape, strict=True)):
        starts, limits, steps = zip(*((c.start, c.stop, c.step) for c in cuts), strict=True)
        out = bcoo_slice(mat, start_indices=starts, limit_indices=limits, strides=steps)
    out = bcoo_rev(out, back) if back else out
    if dynamic:
        begin = [dynamic.get(i, np.int32(0)) for i in range(mat.ndim)]
        sizes = [1 if i in dynamic else d for i, d in enumerate(out.shape)]
        out = bcoo_dynamic_slice(out, begin, sizes)
    return (bcoo_squeeze(out, dimensions=gone) if gone else out), gone


def _take(mat: BCOO, at: Any, axis: int) -> BCOO:
    at = jnp.asarray(at)
    size = mat.shape[axis]
    at = jnp.where(at < 0, at + size, at).astype(mat.indices.dtype)
    offsets = tuple(i for i in range(mat.ndim) if i != axis)
    numbers = lax.GatherDimensionNumbers(offsets, (axis,), (axis,))
    sizes = [1 if i == axis else d for i, d in enumerate(mat.shape)]
    return bcoo_gather(mat, at[:, None], numbers, sizes, mode="promise_in_bounds")


def _with_ellipsis(mat: BCOO, items: tuple[Any, ...]) -> list[Any]:
    """The index with slices for all axes that it does not name."""
    dots = [i for i, x in enumerate(items) if x is Ellipsis]
    missing = mat.ndim - sum(x is not None and x is not Ellipsis for x in items)
    if missing < 0 or len(dots) > 1:
        raise _bad_index(mat, items, "too many indices")
    at = dots[0] if dots else len(items)
    return [*items[:at], *[slice(None)] * missing, *items[at + len(dots) :]]


def _forward(cut: slice, size: int) -> tuple[slice, bool]:
    """The same elements as a slice with a positive step, and whether they are to be reversed."""
    r = range(size)[cut]
    if not len(r):
        return slice(0, 0, 1), False
    if r.step > 0:
        return slice(r.start, min(r.stop, size), r.step), False
    return slice(r[-1], r[0] + 1, -r.step), True


def _is_array(x: Any) -> bool:
    return isinstance(x, list) or (isinstance(x, (np.ndarray, Array)) and x.ndim > 0)


def _is_integer(x: Any) -> bool:
    if isinstance(x, (bool, np.bool_)):
        return False
    kind = getattr(x, "dtype", None)
    return isinstance(x, int) or (kind is not None and dtypes.kind(kind) in "iu")


def _bad_index(mat: BCOO, index: Any, why: str) -> IndexError:
    return error(
        IndexError,
        f"a sparse array cannot be indexed so: {why}.",
        got=f"{index!r:.120} of {mat}",
        fix="use integers, slices, None, `...` and at most one array of integers, or .todense().",
    )


__all__ = ["bcoo_dynamic_slice", "bcoo_gather", "bcoo_getitem", "bcoo_slice"]
