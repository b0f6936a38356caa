"""BCSR: matrices by rows, with batch axes in front and dense axes behind. BCOO does the work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ... import numpy as jnp
from ...core import dtypes
from ...core.array import Array
from ...core.errors import error
from ...lax import dot_general
from ...tree_util import register_pytree_node_class
from .base import JAXSparse, SparseInfo, missing_method
from .bcoo.array import BCOO, added, batch_grid, mapped_shape
from .bcoo.dense import bcoo_fromdense, bcoo_todense, extract
from .bcoo.duplicates import bcoo_eliminate_zeros, bcoo_sort_indices, bcoo_sum_duplicates
from .bcoo.layout import bcoo_broadcast_in_dim, bcoo_concatenate
from .bcoo.products import bcoo_dot_general
from .bcoo.slicing import bcoo_getitem


def rows_of(indptr: Any, nse: int) -> Any:
    """The row of each stored element; the number of rows for what is stored beyond the last."""
    batch = indptr.shape[:-1]
    where = (*batch_grid(batch), indptr)
    ones = jnp.ones(indptr.shape, indptr.dtype)
    starts = added(jnp.zeros((*batch, nse + 1), indptr.dtype), where, ones)
    return jnp.cumsum(starts, axis=-1, dtype=indptr.dtype)[..., :nse] - 1


def indptr_of(rows: Any, n: int) -> Any:
    """Where each of `n` rows begins and the last one ends, for sorted rows."""
    batch = rows.shape[:-1]
    where = (*batch_grid(batch), rows + 1)
    ones = jnp.ones(rows.shape, rows.dtype)
    counts = added(jnp.zeros((*batch, n + 1), rows.dtype), where, ones)
    return jnp.cumsum(counts, axis=-1, dtype=rows.dtype)


@register_pytree_node_class
class BCSR(JAXSparse):
    """A sparse matrix by rows: stored elements, their columns, and where each row begins.

    Args:
      args: ``(data, indices, indptr)`` of shapes ``[*batch, nse, *dense]``, ``[*batch, nse]`` and
        ``[*batch, rows + 1]``. What is stored beyond the last entry of `indptr` does not count.
      shape: the shape ``[*batch, rows, columns, *dense]``.
      indices_sorted: whether columns are known to be in order in each row.
      unique_indices: whether no place is known to be stored twice.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.experimental import sparse
      >>> m = sparse.BCSR.fromdense(jnp.array([[0.0, 2.0], [1.0, 0.0]]))
      >>> print(m, m.indptr, m @ jnp.array([1.0, 3.0]))
      BCSR(float32[2, 2], nse=2) [0 1 2] [6. 1.]
    """

    indices: Any
    indptr: Any

    def __init__(
        self,
        args: tuple[Any, Any, Any],
        *,
        shape: Sequence[int],
        indices_sorted: bool = False,
        unique_indices: bool = False,
    ) -> None:
        super().__init__(args, shape=shape)
        self.data, self.indices, self.indptr = (jnp.asarray(x) for x in args)
        self.indices_sorted, self.unique_indices = indices_sorted, unique_indices
        _check(self.data, self.indices, self.indptr, self.shape)

    @property
    def _info(self) -> SparseInfo:
        return SparseInfo(self.shape, self.indices_sorted, self.unique_indices)

    @property
    def _bufs(self) -> tuple[Any, Any, Any]:
        return (self.data, self.indices, self.indptr)

    @property
    def nse(self) -> int:
        """The number of stored elements, of each batch."""
        return self.indices.shape[-1]  # type: ignore[no-any-return]

    @property
    def n_batch(self) -> int:
        """The number of batch axes."""
        return self.indices.ndim - 1  # type: ignore[no-any-return]

    @property
    def n_sparse(self) -> int:
        """The number of axes that have coordinates: rows and columns."""
        return 2

    @property
    def n_dense(self) -> int:
        """The number of dense axes."""
        return self.data.ndim - self.indices.ndim  # type: ignore[no-any-return]

    def describe(self) -> str:
        """What stands in the brackets of the repr."""
        extra = f", n_batch={self.n_batch}" if self.n_batch else ""
        return super().describe() + extra + (f", n_dense={self.n_dense}" if self.n_dense else "")

    def tree_flatten(self) -> tuple[tuple[Any, Any, Any], SparseInfo]:
        """The buffers, and what is static."""
        return (self.data, self.indices, self.indptr), self._info

    @classmethod
    def tree_unflatten(cls, aux_data: Any, children: Any) -> BCSR:
        """The array of these buffers. Under vmap they have a batch axis less, or one more."""
        self = object.__new__(cls)
        self.data, self.indices, self.indptr = children
        shape, self.indices_sorted, self.unique_indices = aux_data
        self.shape = shape
        ndim = getattr(self.indices, "ndim", None)
        if ndim:
            rows = np.broadcast_to(np.zeros((), np.int8), (*self.indices.shape, 2))
            self.shape = mapped_shape(self.data, rows, shape)
        return self

    def transpose(self, axes: Sequence[int] | None = None) -> Any:
        """Not there: by rows, a transposed matrix is another format."""
        raise missing_method(BCSR, "transpose")

    @classmethod
    def fromdense(
        cls,
        mat: Any,
        *,
        nse: int | None = None,
        index_dtype: Any = np.int32,
        n_dense: int = 0,
        n_batch: int = 0,
    ) -> BCSR:
        """The elements of a dense array that are not zero: `bcsr_fromdense`."""
        return bcsr_fromdense(
            mat, nse=nse, index_dtype=index_dtype, n_dense=n_dense, n_batch=n_batch
        )

    def todense(self) -> Any:
        """The dense array."""
        return bcsr_todense(self)

    def to_bcoo(self) -> BCOO:
        """The same array as BCOO."""
        rows = rows_of(self.indptr, self.nse).astype(self.indices.dtype)
        indices = jnp.stack([rows, self.indices], axis=-1)
        return BCOO((self.data, indices), **self._info._asdict())

    @classmethod
    def from_bcoo(cls, arr: BCOO) -> BCSR:
        """The array of a BCOO array with two sparse axes."""
        if arr.n_sparse != 2:
            raise error(
                NotImplementedError,
                f"BCSR.from_bcoo requires n_sparse=2; got arr.n_sparse={arr.n_sparse}.",
                got=repr(arr),
                fix="use .update_layout(n_batch=..., n_dense=...).",
            )
        arr = arr if arr.indices_sorted else bcoo_sort_indices(arr)
        rows, cols = arr.indices[..., 0], arr.indices[..., 1]
        info = {**arr._info._asdict(), "indices_sorted": True}
        return cls((arr.data, cols, indptr_of(rows, arr.parts[1][0])), **info)

    @classmethod
    def from_scipy_sparse(
        cls, mat: Any, *, index_dtype: Any = None, n_dense: int = 0, n_batch: int = 0
    ) -> BCSR:
        """The array of a `scipy.sparse` matrix."""
        if n_dense or n_batch or mat.ndim != 2:
            raise error(
                NotImplementedError if mat.ndim == 2 else ValueError,
                "BCSR.from_scipy_sparse requires a matrix, and n_dense = n_batch = 0.",
                got=f"{mat.ndim} axes, n_dense={n_dense}, n_batch={n_batch}",
                fix="give a scipy.sparse array with two axes.",
            )
        mat = mat.tocsr()
        kind = index_dtype or np.int32
        return cls((mat.data, mat.indices.astype(kind), mat.indptr.astype(kind)), shape=mat.shape)

    @classmethod
    def _empty(
        cls,
        shape: Sequence[int],
        *,
        dtype: Any = None,
        index_dtype: Any = "int32",
        n_dense: int = 0,
        n_batch: int = 0,
        nse: int = 0,
    ) -> BCSR:
        shape = tuple(shape)
        if min(n_dense, n_batch, nse) < 0 or len(shape) - n_dense - n_batch != 2:
            raise error(
                ValueError,
                "BCSR sparse.empty: must have 2 sparse dimensions.",
                got=f"shape={shape}, n_dense={n_dense}, n_batch={n_batch}, nse={nse}",
                fix="let n_batch + n_dense be two less than the number of axes.",
            )
        batch, (rows, cols) = shape[:n_batch], shape[n_batch : n_batch + 2]
        data = jnp.zeros((*batch, nse, *shape[n_batch + 2 :]), dtype)
        indices = jnp.full((*batch, nse), cols, index_dtype)
        return cls((data, indices, jnp.zeros((*batch, rows + 1), index_dtype)), shape=shape)

    @classmethod
    def _eye(
        cls,
        N: int,
        M: int,
        k: int,
        *,
        dtype: Any = None,
        index_dtype: Any = "int32",
    ) -> BCSR:
        return bcsr_fromdense(jnp.eye(N, M, k, dtype=dtype), index_dtype=index_dtype)

    def sum_duplicates(self, nse: int | None = None, remove_zeros: bool = True) -> BCSR:
        """The same array with each place stored once, in order, as `BCOO.sum_duplicates`."""
        if remove_zeros:
            return bcsr_eliminate_zeros(self, nse=nse)
        return bcsr_sum_duplicates(self, nse=nse)

    def __matmul__(self, other: Any) -> Any:
        if isinstance(other, JAXSparse):
            return NotImplemented
        other = jnp.asarray(other)
        dtype = jnp.result_type(self.data, other)
        a = self.to_bcoo()
        a = BCOO((a.data.astype(dtype), a.indices), shape=self.shape)
        return a @ other.astype(dtype)

    def __rmatmul__(self, other: Any) -> Any:
        if isinstance(other, JAXSparse):
            return NotImplemented
        return jnp.asarray(other) @ self.to_bcoo()

    def __getitem__(self, index: Any) -> BCSR:
        return BCSR.from_bcoo(bcoo_getitem(self.to_bcoo(), index))


def _check(data: Any, indices: Any, indptr: Any, shape: tuple[int, ...]) -> None:
    n_batch = indices.ndim - 1
    tail = shape[n_batch + 2 :]
    integers = all(dtypes.kind(x.dtype) in "iu" for x in (indices, indptr))
    fits = integers and 0 <= n_batch <= len(shape) - 2 and indptr.ndim == n_batch + 1
    fits = fits and data.shape[n_batch:] == (indices.shape[-1], *tail)
    fits = fits and indptr.shape[-1] == shape[n_batch] + 1
    for x in (data, indices, indptr):
        batch = zip(x.shape[:n_batch], shape[:n_batch], strict=False)
        fits = fits and all(a in (1, b) for a, b in batch)
    if not fits:
        raise error(
            ValueError,
            "the buffers of a BCSR array do not fit its shape.",
            got=f"data {data.shape}, indices {indices.shape}, indptr {indptr.shape}, shape {shape}",
            fix="data is [*batch, nse, *dense], indices [*batch, nse], indptr [*batch, rows + 1], "
            "the last two of integers.",
        )


def bcsr_fromdense(
    mat: Any,
    *,
    nse: int | None = None,
    n_batch: int = 0,
    n_dense: int = 0,
    index_dtype: Any = np.int32,
) -> BCSR:
    """The elements of a dense array that are not zero, by rows; arguments as `bcoo_fromdense`.

    Raises:
      ValueError: there are not two sparse axes.
    """
    mat = jnp.asarray(mat)
    if mat.ndim - n_batch - n_dense != 2:
        raise error(
            ValueError,
            "bcsr_fromdense: must have 2 sparse dimensions.",
            got=f"shape={mat.shape}, n_batch={n_batch}, n_dense={n_dense}",
            fix="let n_batch + n_dense be two less than the number of axes.",
        )
    return BCSR.from_bcoo(
        bcoo_fromdense(mat, nse=nse, n_batch=n_batch, n_dense=n_dense, index_dtype=index_dtype)
    )


def bcsr_todense(mat: BCSR) -> Any:
    """The dense array."""
    return bcoo_todense(mat.to_bcoo())


def bcsr_extract(indices: Any, indptr: Any, mat: Any) -> Any:
    """The elements of a dense array at these places, zero outside: data for a BCSR array."""
    indices, indptr = jnp.asarray(indices), jnp.asarray(indptr)
    rows = rows_of(indptr, indices.shape[-1]).astype(indices.dtype)
    return extract(jnp.stack([rows, indices], axis=-1), jnp.asarray(mat))


def bcsr_eliminate_zeros(mat: BCSR, nse: int | None = None) -> BCSR:
    """`bcoo_eliminate_zeros` for BCSR."""
    return BCSR.from_bcoo(bcoo_eliminate_zeros(mat.to_bcoo(), nse=nse))


def bcsr_sum_duplicates(mat: BCSR, nse: int | None = None) -> BCSR:
    """`bcoo_sum_duplicates` for BCSR."""
    return BCSR.from_bcoo(bcoo_sum_duplicates(mat.to_bcoo(), nse=nse))


def bcsr_dot_general(
    lhs: Any,
    rhs: Any,
    *,
    dimension_numbers: Any,
    precision: Any = None,
    preferred_element_type: Any = None,
    out_sharding: Any = None,
) -> Any:
    """`lax.dot_general` of a BCSR array and a dense one; other arguments as `bcoo_dot_general`.

    Raises:
      NotImplementedError: an operand is sparse that is not a BCSR on the left.
    """
    if isinstance(rhs, (np.ndarray, Array)):
        if isinstance(lhs, BCSR):
            return bcoo_dot_general(
                lhs.to_bcoo(),
                rhs,
                dimension_numbers=dimension_numbers,
                preferred_element_type=preferred_element_type,
            )
        if isinstance(lhs, (np.ndarray, Array)):
            return dot_general(
                lhs, rhs, dimension_numbers, preferred_element_type=preferred_element_type
            )
    raise error(
        NotImplementedError,
        "bcsr_dot_general currently implemented for BCSR lhs and ndarray rhs.",
        got=f"{type(lhs).__name__} and {type(rhs).__name__}",
        fix="use BCOO arrays: .to_bcoo().",
    )


def bcsr_broadcast_in_dim(
    mat: BCSR, *, shape: Sequence[int], broadcast_dimensions: Sequence[int], sharding: Any = None
) -> BCSR:
    """`bcoo_broadcast_in_dim` for BCSR."""
    return BCSR.from_bcoo(
        bcoo_broadcast_in_dim(mat.to_bcoo(), shape=shape, broadcast_dimensions=broadcast_dimensions)
    )


def bcsr_concatenate(operands: Sequence[BCSR], *, dimension: int) -> BCSR:
    """`bcoo_concatenate` for BCSR."""
    return BCSR.from_bcoo(
        bcoo_concatenate([mat.to_bcoo() for mat in operands], dimension=dimension)
    )


def _rule_dot_general(x: Any, y: Any, **params: Any) -> Any:
    x, y = (a.to_bcoo() if isinstance(a, BCSR) else a for a in (x, y))
    return bcoo_dot_general(x, y, **params)


def _rule_integer_pow(x: BCSR, *, y: int) -> BCSR:
    out = bcsr_sum_duplicates(x, nse=x.nse)
    return BCSR((out.data**y, out.indices, out.indptr), shape=x.shape)


BCSR_RULES: dict[str, Any] = {
    "broadcast_in_dim": bcsr_broadcast_in_dim,
    "concatenate": lambda *xs, dimension: bcsr_concatenate(xs, dimension=dimension),
    "dot_general": _rule_dot_general,
    "integer_pow": _rule_integer_pow,
}
"""What sparsify does with BCSR arrays, by the name of the primitive."""
