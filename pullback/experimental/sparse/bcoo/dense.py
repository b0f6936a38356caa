"""Between BCOO and dense arrays: fromdense, todense, extract."""

from __future__ import annotations

from typing import Any

import numpy as np

from .... import lax
from .... import numpy as jnp
from ....core.errors import error
from ....numpy.arguments import integer
from ..base import concrete_size
from .array import (
    BCOO,
    added,
    batch_grid,
    beyond,
    check_indices,
    columns,
    coordinates,
    found,
    where_stored,
    with_batch,
)


def bcoo_todense(mat: BCOO) -> Any:
    """The dense array: elements stored for one place are added, those outside are left out.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.experimental import sparse
      >>> m = sparse.BCOO.fromdense(jnp.array([[0.0, 2.0], [1.0, 0.0]]))
      >>> print(sparse.bcoo_todense(m))
      [[0. 2.]
       [1. 0.]]
    """
    data, n_batch = mat.data, mat.n_batch
    where = coordinates(mat.indices, mat.shape)
    if not mat.n_sparse:
        data = jnp.sum(data, axis=n_batch, dtype=data.dtype, keepdims=bool(n_batch))
    data = with_batch(data, mat.shape[:n_batch])
    return added(jnp.zeros(mat.shape, data.dtype), where, data)


def bcoo_fromdense(
    mat: Any,
    *,
    nse: int | None = None,
    n_batch: int = 0,
    n_dense: int = 0,
    index_dtype: Any = np.int32,
) -> BCOO:
    """The elements of a dense array that are not zero, in order.

    Args:
      mat: a dense array.
      nse: how many elements to store in each batch: where there are fewer, padding is stored that
        lies outside, and where there are more, the rest is dropped. Needed under `jit`, `vmap` and
        the like; by default as many as the fullest batch has.
      n_batch: how many axes in front are batches.
      n_dense: how many axes behind are blocks, stored whole if any number in them is not zero.
      index_dtype: the dtype of the coordinates.

    Raises:
      ConcretizationTypeError: `nse` is not given and the array's values are not known.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.experimental.sparse import bcoo_fromdense
      >>> m = bcoo_fromdense(jnp.array([[0.0, 2.0], [1.0, 0.0]]))
      >>> print(m.data, m.indices.tolist())
      [2. 1.] [[0, 1], [1, 0]]
    """
    mat = jnp.asarray(mat)
    n_sparse = mat.ndim - n_batch - n_dense
    if n_sparse < 0 or n_batch < 0 or n_dense < 0:
        raise error(
            ValueError,
            "n_batch and n_dense are more axes than the array has.",
            got=f"n_batch={n_batch}, n_dense={n_dense} for shape {mat.shape}",
            fix="let n_batch + n_dense be at most mat.ndim.",
        )
    if nse is not None and integer(nse, "`nse` of bcoo_fromdense") < 0:
        raise error(
            ValueError,
            "nse is how many elements are stored: 0 or more.",
            got=f"nse={nse}",
            fix="leave it out to store all that are not zero.",
        )
    mask = mat != 0
    if n_dense:
        mask = jnp.any(mask, axis=tuple(range(mat.ndim - n_dense, mat.ndim)))
    batch, sparse = mat.shape[:n_batch], mat.shape[n_batch : n_batch + n_sparse]
    flat = mask.reshape((*batch, -1) if mask.size else (*batch, int(np.prod(sparse))))
    count = jnp.sum(flat, axis=-1, keepdims=True, dtype=np.int32)
    if nse is None:
        nse = concrete_size(jnp.max(count, initial=0), "bcoo_fromdense")
    nse = concrete_size(nse, "bcoo_fromdense")
    if not n_sparse:
        return _one_block(mat, mask, n_batch, n_dense, nse, index_dtype)
    # The places of what is stored come first, each kind in its own order.
    order = jnp.argsort(jnp.logical_not(flat), axis=-1, stable=True)[..., :nse]
    order = _padded(order, nse)
    stored = np.arange(nse, dtype=np.int32) < count
    where = [jnp.where(stored, c, d) for c, d in zip(_unravel(order, sparse), sparse, strict=True)]
    indices = jnp.stack(where, axis=-1).astype(index_dtype)
    data = extract(indices, mat)
    return BCOO((data, indices), shape=mat.shape, indices_sorted=True, unique_indices=True)


def _one_block(mat: Any, mask: Any, n_batch: int, n_dense: int, nse: int, dtype: Any) -> BCOO:
    # Without sparse axes there is one place: what is stored beyond it is zero.
    data = jnp.expand_dims(mat, n_batch)
    if nse != 1:
        shape = (*mat.shape[:n_batch], max(nse - 1, 0), *mat.shape[n_batch:])
        data = jnp.concatenate([data, jnp.zeros(shape, mat.dtype)], axis=n_batch)
        data = data[(slice(None),) * n_batch + (slice(nse),)]
    indices = jnp.zeros((*mat.shape[:n_batch], nse, 0), dtype)
    return BCOO((data, indices), shape=mat.shape, indices_sorted=True, unique_indices=True)


def _padded(order: Any, n: int) -> Any:
    missing = n - order.shape[-1]
    if missing <= 0:
        return order
    return jnp.pad(order, [(0, 0)] * (order.ndim - 1) + [(0, missing)])


def _unravel(flat: Any, shape: tuple[int, ...]) -> list[Any]:
    # As jnp.unravel_index, for shapes with axes of length 0 too.
    parts = []
    for d in reversed(shape):
        parts.append(flat % max(d, 1))
        flat = flat // max(d, 1)
    return parts[::-1]


def bcoo_extract(sparr: BCOO, arr: Any, *, assume_unique: bool | None = None) -> BCOO:
    """The elements of a dense array at the places that `sparr` stores.

    Args:
      sparr: a sparse array, whose places the result has.
      arr: a dense array of the same shape.
      assume_unique: whether every stored place gets its element. If not, of places stored more than
        once only the first does, and the others get zero. By default `sparr.unique_indices`.

    Raises:
      TypeError: `sparr` is no BCOO.
      ValueError: the shapes differ.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.experimental import sparse
      >>> m = sparse.BCOO.fromdense(jnp.array([[0.0, 2.0], [1.0, 0.0]]))
      >>> print(sparse.bcoo_extract(m, jnp.array([[5.0, 6.0], [7.0, 8.0]])).todense())
      [[0. 6.]
       [7. 0.]]
    """
    if not isinstance(sparr, BCOO):
        raise error(
            TypeError,
            "bcoo_extract: the first argument must be a BCOO array.",
            got=f"{type(sparr).__name__}",
            fix="give the sparse array first, then the dense one.",
        )
    arr = jnp.asarray(arr)
    if arr.shape != sparr.shape:
        raise error(
            ValueError,
            f"shape mismatch: sparr.shape={sparr.shape}, arr.shape={arr.shape}.",
            got=f"{sparr} and {arr.shape}",
            fix="give a dense array of the shape of the sparse one.",
        )
    unique = sparr.unique_indices if assume_unique is None else assume_unique
    data = extract(sparr.indices, arr, unique)
    return BCOO((data, sparr.indices), **sparr._info._asdict())


def extract(indices: Any, arr: Any, assume_unique: bool = True) -> Any:
    """The elements of `arr` at these coordinates, zero outside: data for them."""
    layout = check_indices(indices, arr.shape)
    batch = arr.shape[: layout.n_batch]
    wanted = (*batch, layout.nse, *arr.shape[layout.n_batch + layout.n_sparse :])
    if layout.n_sparse:
        data = jnp.broadcast_to(found(arr, coordinates(indices, arr.shape)), wanted)
    else:
        data = jnp.broadcast_to(jnp.expand_dims(arr, layout.n_batch), wanted)
    if assume_unique:
        return data
    return where_stored(_is_first(indices), data, layout.n_dense)


def _is_first(indices: Any) -> Any:
    """Whether no earlier row of coordinates is the same."""
    if not indices.shape[-1] or not indices.size:
        first = jnp.arange(indices.shape[-2]) == 0
        return jnp.broadcast_to(first, indices.shape[:-1])
    _, order, new = sorted_rows(indices)
    where = (*batch_grid(indices.shape[:-2]), order)
    return jnp.zeros(indices.shape[:-1], bool).at[where].set(new)


def sorted_rows(indices: Any) -> tuple[Any, Any, Any]:
    """The rows in lexicographic order, the places they come from, and whether each is new."""
    shape = indices.shape[:-1]
    places = jnp.broadcast_to(jnp.arange(shape[-1], dtype=np.int32), shape)
    cols = columns(indices)
    *keys, order = lax.sort((*cols, places), dimension=len(shape) - 1, num_keys=len(cols))
    rows = jnp.stack(keys, axis=-1)
    changed = jnp.any(rows[..., 1:, :] != rows[..., :-1, :], axis=-1)
    first = jnp.ones((*shape[:-1], min(1, shape[-1])), bool)
    return rows, order, jnp.concatenate([first, changed], axis=-1)


def out_of_bounds_to_shape(indices: Any, sparse_shape: tuple[int, ...]) -> tuple[Any, Any]:
    """The coordinates with all that lie outside in one place; and which lie inside."""
    fill = beyond(sparse_shape, indices.dtype)
    stored = jnp.all(indices < fill, axis=-1)
    return jnp.where(stored[..., None], indices, fill), stored
