"""Products of BCOO arrays: dot_general with a dense or a sparse array, elementwise products."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .... import lax
from .... import numpy as jnp
from ....core import dtypes
from ....core.errors import error
from ....core.types import array_type
from ....ops.contraction import dot_general as dot_general_p
from .array import (
    BCOO,
    added,
    beyond,
    check_indices,
    columns,
    coordinates,
    is_stored,
    where_stored,
    with_batch,
)
from .array import found as elements
from .dense import extract
from .duplicates import summed
from .layout import bcoo_update_layout
from .matrix_product import coo_matmul

Dims = Any


def bcoo_dot_general(
    lhs: Any,
    rhs: Any,
    *,
    dimension_numbers: Dims,
    precision: Any = None,
    preferred_element_type: Any = None,
    out_sharding: Any = None,
) -> Any:
    """`lax.dot_general` where one operand or both are BCOO arrays.

    Args:
      lhs, rhs: arrays, of which BCOO ones may contract batch and sparse axes, but no dense ones.
      dimension_numbers: ``((lhs_contracting, rhs_contracting), (lhs_batch, rhs_batch))``; the batch
        axes of a sparse array are among its n_batch first.
      precision, out_sharding: not used.
      preferred_element_type: the dtype of the result.

    Returns:
      A dense array; a BCOO array if both are sparse.

    Raises:
      NotImplementedError: dense axes are contracted, or a batch axis is not one of the array's.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.experimental import sparse
      >>> m = sparse.BCOO.fromdense(jnp.array([[0.0, 2.0], [1.0, 0.0]]))
      >>> print(sparse.bcoo_dot_general(
      ...     m, jnp.array([1.0, 3.0]), dimension_numbers=(([1], [0]), ([], []))))
      [6. 1.]
    """
    (lc, rc), (lb, rb) = dimension_numbers
    dims: Dims = ((_axes(lc), _axes(rc)), (_axes(lb), _axes(rb)))
    if isinstance(lhs, BCOO) and isinstance(rhs, BCOO):
        return _sparse_sparse(lhs, rhs, dims, preferred_element_type)
    if isinstance(lhs, BCOO):
        return _sparse_dense(lhs, jnp.asarray(rhs), dims, preferred_element_type)
    if isinstance(rhs, BCOO):
        return _dense_sparse(jnp.asarray(lhs), rhs, dims, preferred_element_type)
    return lax.dot_general(lhs, rhs, dims, preferred_element_type=preferred_element_type)


def _axes(dims: Any) -> tuple[int, ...]:
    return tuple(int(d) for d in (dims if np.ndim(dims) else (dims,)))


def _typed(lhs: Any, rhs: Any, dims: Dims, preferred: Any) -> Any:
    """The type of the dense product; raises its errors."""
    types = [array_type(tuple(x.shape), np.dtype(x.dtype)) for x in (lhs, rhs)]
    wanted = None if preferred is None else np.dtype(preferred)
    return dot_general_p.typing(*types, dimension_numbers=dims, preferred_element_type=wanted)


def _rest(n: int, *used: Sequence[int]) -> list[int]:
    return [d for d in range(n) if not any(d in u for u in used)]


def _sparse_dense(lhs: BCOO, rhs: Any, dims: Dims, preferred: Any) -> Any:
    out = _typed(lhs, rhs, dims, preferred)
    (lc, rc), (lb, rb) = dims
    n_batch, n_sparse, n_dense, _ = lhs.layout
    if any(d >= n_batch for d in lb):
        raise error(
            NotImplementedError,
            "bcoo_dot_general: batch dimensions must be among the batch dimensions of the sparse "
            "array.",
            got=f"lhs_batch={lb} for {lhs}",
            fix="give the array such batch axes with .update_layout(n_batch=...).",
        )
    if any(d >= n_batch + n_sparse for d in lc):
        raise _dense_axes("bcoo_dot_general", lhs)
    r_free = _rest(rhs.ndim, rb, rc)
    if not (n_batch or n_dense) and _fits_a_matrix(lhs, lc, out):
        return _as_matrices(lhs, rhs, dims, r_free, out)
    # Each stored element has a coordinate on each axis of lhs that is not dense. Those of axes that
    # rhs shares find a row of rhs; those of axes that the result has say where the product goes.
    where = coordinates(lhs.indices, lhs.shape)
    rows = lax.transpose(rhs, [*rb, *rc, *r_free])
    found = tuple(where[d] for d in (*lb, *lc))
    data = _block(lhs.data, len(r_free), n_batch + 1 + n_dense)
    if found:
        rows = elements(rows, found)
    shared = np.broadcast_shapes(*(np.shape(c) for c in found)) if found else ()
    rows = rows.reshape((*shared, *(1,) * n_dense, *rows.shape[len(shared) :]))
    product = data.astype(out.dtype) * rows.astype(out.dtype)
    kept = _rest(n_batch + n_sparse, lb, lc)
    goes_to = tuple(where[d] for d in (*lb, *kept))
    full = (*lhs.shape[:n_batch], lhs.nse)
    n = len(full)
    product = jnp.broadcast_to(product, (*full, *product.shape[n:]))
    if not goes_to:
        return jnp.sum(product, axis=tuple(range(n)), dtype=out.dtype)
    return added(jnp.zeros(out.shape, out.dtype), goes_to, product)


def _fits_a_matrix(lhs: BCOO, lc: Sequence[int], out: Any) -> bool:
    """Whether SciPy can do it: the numbers of rows and columns must be ones of 32 bits."""
    rows, cols = (math.prod(lhs.shape[d] for d in a) for a in (_rest(lhs.ndim, lc), lc))
    return dtypes.kind(out.dtype) in "iufc" and max(rows, cols) <= np.iinfo(np.int32).max


def _as_matrices(lhs: BCOO, rhs: Any, dims: Dims, r_free: Sequence[int], out: Any) -> Any:
    (lc, rc), _ = dims
    free = _rest(lhs.ndim, lc)
    cols = columns(lhs.indices)

    def flat(axes: Sequence[int]) -> Any:
        """One coordinate for several axes; beyond the last for what is not stored."""
        if len(axes) == 1:
            return cols[axes[0]].astype(np.int32)
        at = jnp.zeros(lhs.nse, np.int32)
        for d in axes:
            at = at * np.int32(lhs.shape[d]) + cols[d].astype(np.int32)
        stored = is_stored(lhs.indices, lhs.shape)
        return jnp.where(stored, at, np.int32(math.prod(lhs.shape[d] for d in axes)))

    n, k = (math.prod(lhs.shape[d] for d in a) for a in (free, lc))
    x = lax.transpose(rhs, [*rc, *r_free])
    x = x.reshape((k, math.prod(x.shape[len(rc) :]))).astype(out.dtype)
    y = coo_matmul(lhs.data.astype(out.dtype), flat(free), flat(lc), x, size=n)
    return y.reshape(out.shape)


def _block(data: Any, n_free: int, n: int) -> Any:
    return data.reshape((*data.shape[:n], *(1,) * n_free))


def _dense_axes(name: str, mat: BCOO) -> NotImplementedError:
    return error(
        NotImplementedError,
        f"{name}: contracting over dense dimensions.",
        got=repr(mat),
        fix="make these axes sparse with .update_layout(n_dense=...).",
    )


def _dense_sparse(lhs: Any, rhs: BCOO, dims: Dims, preferred: Any) -> Any:
    (lc, rc), (lb, rb) = dims
    out = _sparse_dense(rhs, lhs, ((rc, lc), (rb, lb)), preferred)
    n_batch, n_rhs = len(lb), rhs.ndim - len(rc)
    order = [*range(n_batch), *range(n_rhs, out.ndim), *range(n_batch, n_rhs)]
    return lax.transpose(out, order)


def bcoo_dot_general_sampled(A: Any, B: Any, indices: Any, *, dimension_numbers: Dims) -> Any:
    """The product of two dense arrays at these coordinates only: data for a BCOO of `indices`.

    Args:
      A, B: dense arrays.
      indices: coordinates in the product, ``[*batch, nse, n_sparse]``.
      dimension_numbers: as for `lax.dot_general`.

    Returns:
      The elements, of shape ``[*batch, nse, *dense]``; zero for coordinates outside.
    """
    A, B, indices = jnp.asarray(A), jnp.asarray(B), jnp.asarray(indices)
    (lc, rc), (lb, rb) = dimension_numbers
    dims: Dims = ((_axes(lc), _axes(rc)), (_axes(lb), _axes(rb)))
    out = _typed(A, B, dims, None)
    layout = check_indices(indices, out.shape)
    (lc, rc), (lb, rb) = dims
    a_free, b_free = _rest(A.ndim, lb, lc), _rest(B.ndim, rb, rc)
    n_found = layout.n_batch + layout.n_sparse
    if layout.n_dense or not n_found:
        return extract(indices, lax.dot_general(A, B, dims))
    # Rows of A and of B are found for each element, and contracted: the product is never made.
    where = coordinates(indices, out.shape)
    nb, na = len(lb), len(a_free)
    rows_a = lax.transpose(A, [*lb, *a_free, *lc])
    rows_b = lax.transpose(B, [*rb, *b_free, *rc])
    stored = is_stored(indices, out.shape[layout.n_batch :])
    found_a = elements(rows_a, where[: nb + na]) if nb + na else rows_a
    index_b = (*where[:nb], *where[nb + na :])
    found_b = elements(rows_b, index_b) if index_b else rows_b
    n = len(lc)
    product = found_a * found_b
    data = jnp.sum(product, axis=tuple(range(product.ndim - n, product.ndim)), dtype=out.dtype)
    full = (*out.shape[: layout.n_batch], layout.nse)
    return where_stored(stored, jnp.broadcast_to(data, full), 0)


# ---- both sparse


def _sparse_sparse(lhs: BCOO, rhs: BCOO, dims: Dims, preferred: Any) -> BCOO:
    out = _typed(lhs, rhs, dims, preferred)
    (lc, rc), (lb, rb) = dims
    _check_sparse_sparse(lhs, rhs, dims)
    left, right = lhs.layout, rhs.layout
    l_kept, r_kept = _rest(left.n_batch, lb), _rest(right.n_batch, rb)
    ls = _rest(left.n_sparse, [d - left.n_batch for d in lc])
    rs = _rest(right.n_sparse, [d - right.n_batch for d in rc])
    most = (left.nse if ls else 1) * (right.nse if rs else 1)
    n_batch = left.n_batch + len(r_kept)
    out_nse = min(most, math.prod(out.shape[n_batch:]))
    # Batches: the shared ones, those of lhs, those of rhs.
    a, ai = _batches(lhs, [*lb, *l_kept], len(lb), 0, len(r_kept))
    b, bi = _batches(rhs, [*rb, *r_kept], len(rb), len(l_kept), 0)
    a, ai = jnp.expand_dims(a, n_batch + 1), jnp.expand_dims(ai, n_batch + 1)
    b, bi = jnp.expand_dims(b, n_batch), jnp.expand_dims(bi, n_batch)
    a_shared, b_shared = ai[..., _ints(lc, left.n_batch)], bi[..., _ints(rc, right.n_batch)]
    meet = jnp.all(a_shared == b_shared, axis=-1)
    meet &= is_stored(a_shared, [lhs.shape[d] for d in lc])
    meet &= is_stored(b_shared, [rhs.shape[d] for d in rc])
    data = where_stored(meet, a.astype(out.dtype) * b.astype(out.dtype), 0)
    index_dtype = jnp.promote_types(ai.dtype, bi.dtype)
    rows = (*np.broadcast_shapes(ai.shape[:-1], bi.shape[:-1]),)
    spread = [
        jnp.broadcast_to(x[..., list(keep)], (*rows, len(keep))).astype(index_dtype)
        for x, keep in ((ai, ls), (bi, rs))
    ]
    indices = jnp.concatenate(spread, axis=-1)
    pairs = left.nse * right.nse
    indices = indices.reshape((*rows[:n_batch], pairs, len(ls) + len(rs)))
    data = jnp.broadcast_to(data, (*data.shape[:n_batch], left.nse, right.nse))
    data = data.reshape((*data.shape[:n_batch], pairs))
    # Zeros stay stored: which they are depends on values, and derivatives need their places.
    return BCOO(summed(BCOO((data, indices), shape=out.shape), out_nse), shape=out.shape)


def _ints(dims: Sequence[int], n_batch: int) -> list[int]:
    return [d - n_batch for d in dims]


def _batches(mat: BCOO, order: list[int], n_shared: int, before: int, behind: int) -> Any:
    """The buffers with batch axes in this order, and axes of length 1 for the other's."""
    n = len(order)
    found = []
    for x in (mat.data, mat.indices):
        x = lax.transpose(x, [*order, *range(n, x.ndim)])
        shape = (*x.shape[:n_shared], *(1,) * before, *x.shape[n_shared:n])
        found.append(x.reshape((*shape, *(1,) * behind, *x.shape[n:])))
    return found


def _check_sparse_sparse(lhs: BCOO, rhs: BCOO, dims: Dims) -> None:
    (lc, rc), (lb, rb) = dims
    if lhs.n_dense or rhs.n_dense:
        raise _dense_axes("bcoo_spdot_general with dense dimensions", lhs)
    for mat, contracted, batch in ((lhs, lc, lb), (rhs, rc, rb)):
        if any(d >= mat.n_batch for d in batch):
            raise error(
                NotImplementedError,
                "bcoo_spdot_general: batch_dims must correspond to batch dimensions of the sparse "
                "representation.",
                got=f"batch dimensions {batch} of {mat}",
                fix="use .update_layout(n_batch=...).",
            )
        if any(d < mat.n_batch for d in contracted):
            raise error(
                NotImplementedError,
                "bcoo_spdot_general only supports contraction of sparse indices.",
                got=f"contracting dimensions {contracted} of {mat}",
                fix="make these axes sparse with .update_layout(n_batch=...).",
            )
    if rhs.n_batch > len(rb) and lhs.n_sparse > len(lc):
        raise error(
            ValueError,
            "bcoo_spdot_general: cannot have unused batch dims on rhs with unused sparse dims on "
            "lhs.",
            got=f"{lhs} and {rhs} with dimension_numbers={dims}",
            fix="make these axes of rhs sparse with .update_layout(n_batch=...).",
        )


# ---- elementwise


def bcoo_multiply_dense(sp_mat: BCOO, v: Any) -> Any:
    """The elementwise product of a sparse and a dense array: data for the places of `sp_mat`.

    Raises:
      NotImplementedError: the product would be larger than the sparse array.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.experimental import sparse
      >>> m = sparse.BCOO.fromdense(jnp.array([[0.0, 2.0], [1.0, 0.0]]))
      >>> print(sparse.bcoo_multiply_dense(m, jnp.array([1.0, 10.0])))
      [20.  1.]
    """
    v = jnp.asarray(v)
    shape = sp_mat.shape
    if not v.ndim:
        return sp_mat.data * v
    if v.ndim > len(shape) or any(
        a not in (1, b) for a, b in zip(v.shape, shape[len(shape) - v.ndim :], strict=True)
    ):
        raise error(
            NotImplementedError,
            "multiplication between sparse and dense is only implemented for cases where the "
            f"output shape matches the sparse matrix shape: shape={shape}, v.shape={v.shape}.",
            got=f"{sp_mat} and {v.shape}",
            fix="broadcast the sparse array first, or multiply .todense().",
        )
    v = v.reshape((*(1,) * (len(shape) - v.ndim), *v.shape))
    n = sp_mat.n_batch + sp_mat.n_sparse
    where = coordinates(sp_mat.indices, shape)
    if all(d == 1 for d in v.shape[:n]):
        return sp_mat.data * v.reshape((*(1,) * (sp_mat.n_batch + 1), *v.shape[n:]))
    zero = np.zeros((), np.int32)
    index = tuple(c if d != 1 else zero for c, d in zip(where, v.shape, strict=False))
    return sp_mat.data * elements(v, index)


def bcoo_multiply_sparse(lhs: BCOO, rhs: BCOO) -> BCOO:
    """The elementwise product of two sparse arrays, with as many elements as there are pairs.

    Raises:
      TypeError: the arrays have different numbers of axes.
      NotImplementedError: they have different numbers of dense axes.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.experimental import sparse
      >>> m = sparse.BCOO.fromdense(jnp.array([[0.0, 2.0], [1.0, 0.0]]))
      >>> print(sparse.bcoo_multiply_sparse(m, m).todense())
      [[0. 4.]
       [1. 0.]]
    """
    if lhs.ndim != rhs.ndim:
        raise error(
            TypeError,
            "bcoo_multiply_sparse: arrays must have same number of dimensions, got "
            f"{lhs.shape}, {rhs.shape}.",
            got=f"{lhs} and {rhs}",
            fix="give both the same number of axes with .reshape().",
        )
    if lhs.n_dense != rhs.n_dense:
        raise error(
            NotImplementedError,
            "bcoo_multiply_sparse: arrays with differing numbers of dense dimensions.",
            got=f"{lhs} and {rhs}",
            fix="use .update_layout(n_dense=...).",
        )
    n_batch = min(lhs.n_batch, rhs.n_batch)
    lhs, rhs = (bcoo_update_layout(m, n_batch=n_batch) for m in (lhs, rhs))
    n_sparse, n_dense = lhs.n_sparse, lhs.n_dense
    shape = np.broadcast_shapes(lhs.shape, rhs.shape)
    a, ai = jnp.expand_dims(lhs.data, n_batch + 1), jnp.expand_dims(lhs.indices, n_batch + 1)
    b, bi = jnp.expand_dims(rhs.data, n_batch), jnp.expand_dims(rhs.indices, n_batch)
    sparse_l, sparse_r = lhs.parts[1], rhs.parts[1]
    both = [i for i in range(n_sparse) if sparse_l[i] != 1 and sparse_r[i] != 1]
    meet = jnp.all(ai[..., both] == bi[..., both], axis=-1)
    meet &= is_stored(ai, sparse_l) & is_stored(bi, sparse_r)
    data = where_stored(meet, a * b, n_dense)
    pairs = lhs.nse * rhs.nse
    data = data.reshape((*data.shape[:n_batch], pairs, *data.shape[n_batch + 2 :]))
    fill = beyond(shape[n_batch : n_batch + n_sparse], ai.dtype)
    # The coordinate of an axis of length 1 is 0, so the larger one is that of the other array.
    indices = jnp.where(meet[..., None], jnp.maximum(ai, bi), fill)
    indices = indices.reshape((*indices.shape[:n_batch], pairs, n_sparse))
    return BCOO((data, indices), shape=shape)


# ---- sums


def bcoo_reduce_sum(mat: BCOO, *, axes: Sequence[int]) -> BCOO:
    """The sum over `axes`, of any kind, as a BCOO array; equal places are left as they are.

    Raises:
      ValueError: an axis is out of bounds.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.experimental import sparse
      >>> m = sparse.BCOO.fromdense(jnp.array([[0.0, 2.0], [1.0, 0.0]]))
      >>> print(sparse.bcoo_reduce_sum(m, axes=(0,)).todense())
      [1. 2.]
    """
    n_batch, n_sparse, n_dense, _ = mat.layout
    if any(not 0 <= a < mat.ndim for a in axes):
        raise error(
            ValueError,
            "bcoo_reduce_sum: an axis is out of bounds.",
            got=f"axes={tuple(axes)} of {mat}",
            fix="count axes from 0.",
        )
    axes = sorted(set(axes))
    data, indices = mat.data, mat.indices
    dense = tuple(a - n_sparse + 1 for a in axes if a >= n_batch + n_sparse)
    data = jnp.sum(data, axis=dense, dtype=data.dtype) if dense else data
    n_dense -= len(dense)
    kept = [i for i in range(n_sparse) if i + n_batch not in axes]
    if len(kept) != n_sparse:
        data = where_stored(is_stored(indices, mat.parts[1]), data, n_dense)
        indices = indices[..., kept]
    summed_batch = [a for a in axes if a < n_batch]
    if summed_batch:
        batch = mat.shape[:n_batch]
        rest = [i for i in range(n_batch) if i not in summed_batch]
        data, indices = (_into_nse(x, batch, rest, summed_batch) for x in (data, indices))
    shape = tuple(d for i, d in enumerate(mat.shape) if i not in axes)
    return BCOO((data, indices), shape=shape)


def _into_nse(x: Any, batch: Sequence[int], rest: list[int], summed: list[int]) -> Any:
    """`x` with batch axes `summed` made part of the axis of stored elements."""
    n = len(batch)
    length = [batch[i] if i in summed else x.shape[i] for i in range(n)]
    x = with_batch(x, length)
    x = lax.transpose(x, [*rest, *summed, *range(n, x.ndim)])
    m = len(rest)
    return x.reshape((*x.shape[:m], math.prod(x.shape[m : n + 1]), *x.shape[n + 1 :]))


__all__ = [
    "bcoo_dot_general",
    "bcoo_dot_general_sampled",
    "bcoo_multiply_dense",
    "bcoo_multiply_sparse",
    "bcoo_reduce_sum",
]
