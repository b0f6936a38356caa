"""CSR and CSC: matrices by rows and by columns. BCOO does the work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ... import numpy as jnp
from ...tree_util import register_pytree_node_class
from .base import JAXSparse, missing_method
from .bcoo.array import BCOO
from .bcoo.dense import bcoo_fromdense, bcoo_todense
from .bcsr import indptr_of, rows_of
from .coo import matrix_shape, product


class _Compressed(JAXSparse):
    """What both formats have in common."""

    indices: Any
    indptr: Any

    def __init__(self, args: tuple[Any, Any, Any], *, shape: Sequence[int]) -> None:
        super().__init__(args, shape=shape)
        self.data, self.indices, self.indptr = (jnp.asarray(x) for x in args)

    @property
    def _bufs(self) -> tuple[Any, Any, Any]:
        return (self.data, self.indices, self.indptr)

    @property
    def nse(self) -> int:
        """The number of stored elements."""
        return self.data.size  # type: ignore[no-any-return]

    def tree_flatten(self) -> tuple[tuple[Any, Any, Any], Any]:
        """The buffers, and what is static."""
        return (self.data, self.indices, self.indptr), self.shape

    @classmethod
    def tree_unflatten(cls, aux_data: Any, children: Any) -> Any:
        """The matrix of these buffers."""
        self = object.__new__(cls)
        self.data, self.indices, self.indptr = children
        self.shape = aux_data
        return self

    def to_bcoo(self) -> BCOO:
        """The same matrix as BCOO."""
        raise NotImplementedError

    def todense(self) -> Any:
        """The dense matrix."""
        return bcoo_todense(self.to_bcoo())

    def __matmul__(self, other: Any) -> Any:
        if isinstance(other, JAXSparse):
            raise missing_method(type(self), "matmul between two sparse objects")
        return product(type(self).__name__, self.to_bcoo(), other)


@register_pytree_node_class
class CSR(_Compressed):
    """A sparse matrix by rows.

    Args:
      args: ``(data, indices, indptr)``: stored elements, their columns, and where each row begins.
      shape: the shape of the matrix.

    BCSR and BCOO have more operations.
    """

    @classmethod
    def fromdense(cls, mat: Any, *, nse: int | None = None, index_dtype: Any = np.int32) -> CSR:
        """The elements of a dense matrix that are not zero."""
        return csr_fromdense(mat, nse=nse, index_dtype=index_dtype)

    @classmethod
    def _empty(cls, shape: Any, *, dtype: Any = None, index_dtype: Any = "int32") -> CSR:
        rows, cols = matrix_shape("CSR", shape)
        none, starts = jnp.zeros(0, index_dtype), jnp.zeros(rows + 1, index_dtype)
        return cls((jnp.zeros(0, dtype), none, starts), shape=(rows, cols))

    @classmethod
    def _eye(cls, N: int, M: int, k: int, *, dtype: Any = None, index_dtype: Any = "int32") -> CSR:
        n = max(min(N, M - k) if k > 0 else min(N + k, M), 0)
        places = np.arange(n, dtype=np.dtype(index_dtype))
        first = max(-k, 0)
        starts = np.clip(np.arange(N + 1) - first, 0, n).astype(places.dtype)
        indices = (places + max(k, 0)).astype(places.dtype)
        return cls((jnp.ones(n, dtype), indices, starts), shape=(N, M))

    def to_bcoo(self) -> BCOO:
        """The same matrix as BCOO."""
        rows = rows_of(self.indptr, self.nse).astype(self.indices.dtype)
        return BCOO((self.data, jnp.stack([rows, self.indices], axis=-1)), shape=self.shape)

    def transpose(self, axes: Sequence[int] | None = None) -> CSC:
        """The transposed matrix, by columns."""
        if axes is not None:
            raise missing_method(CSR, "transpose with axes")
        return CSC((self.data, self.indices, self.indptr), shape=self.shape[::-1])


@register_pytree_node_class
class CSC(_Compressed):
    """A sparse matrix by columns.

    Args:
      args: ``(data, indices, indptr)``: stored elements, their rows, and where each column begins.
      shape: the shape of the matrix.
    """

    @classmethod
    def fromdense(cls, mat: Any, *, nse: int | None = None, index_dtype: Any = np.int32) -> CSC:
        """The elements of a dense matrix that are not zero."""
        mat = jnp.asarray(mat)
        matrix_shape("CSC", mat.shape)
        return csr_fromdense(mat.T, nse=nse, index_dtype=index_dtype).T  # type: ignore[no-any-return]

    @classmethod
    def _empty(cls, shape: Any, *, dtype: Any = None, index_dtype: Any = "int32") -> CSC:
        shape = matrix_shape("CSC", shape)
        return CSR._empty(shape[::-1], dtype=dtype, index_dtype=index_dtype).T  # type: ignore[no-any-return]

    @classmethod
    def _eye(cls, N: int, M: int, k: int, *, dtype: Any = None, index_dtype: Any = "int32") -> CSC:
        return CSR._eye(M, N, -k, dtype=dtype, index_dtype=index_dtype).T  # type: ignore[no-any-return]

    def to_bcoo(self) -> BCOO:
        """The same matrix as BCOO."""
        cols = rows_of(self.indptr, self.nse).astype(self.indices.dtype)
        return BCOO((self.data, jnp.stack([self.indices, cols], axis=-1)), shape=self.shape)

    def transpose(self, axes: Sequence[int] | None = None) -> CSR:
        """The transposed matrix, by rows."""
        if axes is not None:
            raise missing_method(CSC, "transpose with axes")
        return CSR((self.data, self.indices, self.indptr), shape=self.shape[::-1])


def csr_todense(mat: CSR) -> Any:
    """The dense matrix."""
    return mat.todense()


def csr_fromdense(mat: Any, *, nse: int | None = None, index_dtype: Any = np.int32) -> CSR:
    """The elements of a dense matrix that are not zero; `nse` of them, which `jit` needs."""
    mat = jnp.asarray(mat)
    shape = matrix_shape("CSR", mat.shape)
    found = bcoo_fromdense(mat, nse=nse, index_dtype=index_dtype)
    starts = indptr_of(found.indices[:, 0], shape[0])
    return CSR((found.data, found.indices[:, 1], starts), shape=shape)


def csr_matvec(mat: CSR, v: Any, transpose: bool = False) -> Any:
    """The product of a matrix, or of its transpose, and a vector."""
    return product("csr_matvec", (mat.T if transpose else mat).to_bcoo(), v, 1)


def csr_matmat(mat: CSR, B: Any, *, transpose: bool = False) -> Any:
    """The product of a matrix, or of its transpose, and a dense matrix."""
    return product("csr_matmat", (mat.T if transpose else mat).to_bcoo(), B, 2)
