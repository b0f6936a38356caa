"""Order and uniqueness of a BCOO's coordinates: sort_indices, sum_duplicates, eliminate_zeros."""

from __future__ import annotations

from typing import Any

import numpy as np

from .... import numpy as jnp
from ....core.array import Tracer
from ....core.errors import error
from ..base import concrete_size
from .array import BCOO, added, batch_grid, beyond, where_stored, with_batch
from .dense import out_of_bounds_to_shape, sorted_rows


def bcoo_sort_indices(mat: BCOO) -> BCOO:
    """The same array with its coordinates in lexicographic order; nothing is added up.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.experimental import sparse
      >>> m = sparse.BCOO.fromdense(jnp.array([[0.0, 2.0], [1.0, 0.0]]))
      >>> print(sparse.bcoo_sort_indices(m).indices_sorted)
      True
    """
    if not mat.n_sparse:
        return mat
    rows, order, _ = sorted_rows(mat.indices)
    batch = np.broadcast_shapes(mat.indices.shape[: mat.n_batch], mat.data.shape[: mat.n_batch])
    data = with_batch(mat.data, batch)[(*batch_grid(batch), order)]
    return BCOO((data, rows), **{**mat._info._asdict(), "indices_sorted": True})


def bcoo_sum_duplicates(mat: BCOO, nse: int | None = None) -> BCOO:
    """The same array with each place stored once, in lexicographic order.

    Args:
      mat: a sparse array.
      nse: how many elements to store: padded with zeros outside the shape, or cut off. Needed under
        `jit`, `vmap` and the like; by default as many as the fullest batch needs.

    Raises:
      ValueError: `nse` is not given and the coordinates' values are not known.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.experimental import sparse
      >>> m = sparse.BCOO((jnp.array([1, 2, 3]), jnp.array([[1], [0], [1]])), shape=(2,))
      >>> print(sparse.bcoo_sum_duplicates(m).data)
      [2 4]
    """
    if nse is not None:
        nse = concrete_size(nse, "bcoo_sum_duplicates")
    data, indices = summed(mat, nse)
    return BCOO((data, indices), shape=mat.shape, indices_sorted=True, unique_indices=True)


def summed(mat: BCOO, nse: int | None) -> tuple[Any, Any]:
    """The buffers of `bcoo_sum_duplicates`."""
    n_batch, n_sparse, n_dense, _ = mat.layout
    if not n_sparse:
        return _one_place(mat, 1 if nse is None else nse)
    sparse_shape = mat.parts[1]
    indices, stored = out_of_bounds_to_shape(mat.indices, sparse_shape)
    rows, order, new = sorted_rows(indices)
    place = jnp.cumsum(new, axis=-1, dtype=np.int32) - 1
    if nse is None:
        nse = _needed(rows, new, sparse_shape)
    grid = batch_grid(indices.shape[:n_batch])
    fill = beyond(sparse_shape, indices.dtype)
    out_indices = jnp.broadcast_to(fill, (*indices.shape[:n_batch], nse, n_sparse))
    if out_indices.size and rows.size:
        out_indices = out_indices.at[(*grid, place)].set(rows, mode="drop")
    # Where each element goes, in the order in which it came.
    goes_to = added(jnp.zeros(indices.shape[:-1], np.int32), (*grid, order), place)
    batch = np.broadcast_shapes(indices.shape[:n_batch], mat.data.shape[:n_batch])
    data = with_batch(where_stored(stored, mat.data, n_dense), batch)
    out_shape = (*batch, nse, *mat.data.shape[n_batch + 1 :])
    where = (*batch_grid(batch), goes_to)
    return added(jnp.zeros(out_shape, data.dtype), where, data), out_indices


def _needed(rows: Any, new: Any, sparse_shape: tuple[int, ...]) -> int:
    inside = jnp.all(rows < beyond(sparse_shape, rows.dtype), axis=-1)
    count = jnp.max(jnp.sum(new & inside, axis=-1, dtype=np.int32), initial=0)
    if isinstance(count, Tracer) and count.known() is None:
        raise error(
            ValueError,
            "bcoo_sum_duplicates: nse must be specified when using the function within jit, vmap, "
            "and other transformations requiring abstract evaluation.",
            got=count.describe(),
            fix="pass nse=, the number of elements to store: at most mat.nse are needed.",
        )
    return concrete_size(count, "bcoo_sum_duplicates")


def _one_place(mat: BCOO, nse: int) -> tuple[Any, Any]:
    n = mat.n_batch
    total = jnp.sum(mat.data, axis=n, keepdims=True, dtype=mat.dtype)
    batch = np.broadcast_shapes(mat.indices.shape[:n], mat.data.shape[:n])
    total = with_batch(total, batch)
    rest = jnp.zeros((*batch, max(nse - 1, 0), *total.shape[n + 1 :]), mat.dtype)
    data = jnp.concatenate([total, rest], axis=n)[(slice(None),) * n + (slice(nse),)]
    return data, jnp.zeros((*mat.indices.shape[:n], nse, 0), mat.indices.dtype)


def bcoo_eliminate_zeros(mat: BCOO, nse: int | None = None) -> BCOO:
    """`bcoo_sum_duplicates` without the stored elements that are zero.

    The result's places depend on the values, so its derivatives are those of the places that
    remain.
    """
    n_batch = mat.n_batch
    zero = jnp.all(mat.data == 0, axis=tuple(range(n_batch + 1, mat.data.ndim)))
    shared = tuple(i for i, d in enumerate(mat.indices.shape[:n_batch]) if d == 1)
    zero = jnp.all(zero, axis=shared, keepdims=True)  # one set of places for several batches
    fill = beyond(mat.parts[1], mat.indices.dtype)
    indices = jnp.where(zero[..., None], fill, mat.indices)
    return bcoo_sum_duplicates(BCOO((mat.data, indices), shape=mat.shape), nse=nse)


def set_nse(mat: BCOO, nse: int) -> BCOO:
    """The same array with `nse` elements stored: padded, or cut off."""
    n = mat.n_batch
    if nse <= mat.nse:
        data = mat.data[(slice(None),) * n + (slice(nse),)]
        indices = mat.indices[..., :nse, :]
    else:
        extra = (*mat.data.shape[:n], nse - mat.nse, *mat.data.shape[n + 1 :])
        data = jnp.concatenate([mat.data, jnp.zeros(extra, mat.dtype)], axis=n)
        fill = beyond(mat.parts[1], mat.indices.dtype)
        filled = (*mat.indices.shape[:n], nse - mat.nse, mat.n_sparse)
        indices = jnp.concatenate([mat.indices, jnp.broadcast_to(fill, filled)], axis=n)
    return BCOO((data, indices), **mat._info._asdict())


__all__ = [
    "bcoo_eliminate_zeros",
    "bcoo_sort_indices",
    "bcoo_sum_duplicates",
    "set_nse",
    "summed",
]
