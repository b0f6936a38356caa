"""COO: matrices by the row and column of each stored element. BCOO does the work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ... import lax
from ... import numpy as jnp
from ...core.errors import error
from ...tree_util import register_pytree_node_class
from .base import JAXSparse, missing_method
from .bcoo.array import BCOO
from .bcoo.dense import bcoo_fromdense, bcoo_todense
from .bcoo.products import bcoo_dot_general


class COOInfo(NamedTuple):
    """What is known of a COO matrix besides its buffers."""

    shape: tuple[int, ...]
    rows_sorted: bool = False
    cols_sorted: bool = False


def matrix_shape(name: str, shape: Sequence[int]) -> tuple[int, int]:
    """`shape`, which must have two entries."""
    if len(shape) != 2:
        raise error(
            ValueError,
            f"{name} must have ndim=2.",
            got=f"shape={tuple(shape)}",
            fix="use BCOO for arrays with other numbers of axes.",
        )
    return (int(shape[0]), int(shape[1]))


def product(name: str, mat: BCOO, other: Any, ndim: int | None = None) -> Any:
    """The product of a matrix and a dense vector or matrix."""
    other = jnp.asarray(other)
    if other.ndim not in (1, 2) or (ndim is not None and other.ndim != ndim):
        raise error(
            NotImplementedError if ndim is None else TypeError,
            f"{name}: matmul with object of shape {other.shape}.",
            got=f"{mat} and {other.shape}",
            fix=f"give an array with {ndim or '1 or 2'} axes.",
        )
    dtype = jnp.result_type(mat.data, other)
    mat = BCOO((mat.data.astype(dtype), mat.indices), shape=mat.shape)
    return bcoo_dot_general(mat, other.astype(dtype), dimension_numbers=(([1], [0]), ([], [])))


@register_pytree_node_class
class COO(JAXSparse):
    """A sparse matrix: stored elements, and the row and column of each.

    Args:
      args: ``(data, row, col)``, each of the shape ``(nse,)``.
      shape: the shape of the matrix.
      rows_sorted, cols_sorted: whether rows (columns) are known to be in order.

    BCOO has more operations.
    """

    row: Any
    col: Any

    def __init__(
        self,
        args: tuple[Any, Any, Any],
        *,
        shape: Sequence[int],
        rows_sorted: bool = False,
        cols_sorted: bool = False,
    ) -> None:
        super().__init__(args, shape=shape)
        self.data, self.row, self.col = (jnp.asarray(x) for x in args)
        self._rows_sorted, self._cols_sorted = rows_sorted, cols_sorted

    @property
    def _info(self) -> COOInfo:
        return COOInfo(self.shape, self._rows_sorted, self._cols_sorted)

    @property
    def _bufs(self) -> tuple[Any, Any, Any]:
        return (self.data, self.row, self.col)

    @property
    def nse(self) -> int:
        """The number of stored elements."""
        return self.data.size  # type: ignore[no-any-return]

    def tree_flatten(self) -> tuple[tuple[Any, Any, Any], COOInfo]:
        """The buffers, and what is static."""
        return (self.data, self.row, self.col), self._info

    @classmethod
    def tree_unflatten(cls, aux_data: Any, children: Any) -> COO:
        """The matrix of these buffers."""
        self = object.__new__(cls)
        self.data, self.row, self.col = children
        self.shape, self._rows_sorted, self._cols_sorted = aux_data
        return self

    def to_bcoo(self) -> BCOO:
        """The same matrix as BCOO."""
        return BCOO((self.data, jnp.stack([self.row, self.col], axis=-1)), shape=self.shape)

    @classmethod
    def fromdense(cls, mat: Any, *, nse: int | None = None, index_dtype: Any = np.int32) -> COO:
        """The elements of a dense matrix that are not zero."""
        return coo_fromdense(mat, nse=nse, index_dtype=index_dtype)

    def _sort_indices(self) -> COO:
        if self._rows_sorted:
            return self
        row, col, data = lax.sort((self.row, self.col, self.data), num_keys=2)
        return COO((data, row, col), shape=self.shape, rows_sorted=True)

    @classmethod
    def _empty(cls, shape: Any, *, dtype: Any = None, index_dtype: Any = "int32") -> COO:
        shape = matrix_shape("COO", shape)
        none = jnp.zeros(0, index_dtype)
        return cls(
            (jnp.zeros(0, dtype), none, none), shape=shape, rows_sorted=True, cols_sorted=True
        )

    @classmethod
    def _eye(cls, N: int, M: int, k: int, *, dtype: Any = None, index_dtype: Any = "int32") -> COO:
        n = min(N, M - k) if k > 0 else min(N + k, M)
        places = np.arange(max(n, 0), dtype=np.dtype(index_dtype))
        row, col = ((places + max(s, 0)).astype(places.dtype) for s in (-k, k))
        data = jnp.ones(max(n, 0), dtype)
        return cls((data, row, col), shape=(N, M), rows_sorted=True, cols_sorted=True)

    def todense(self) -> Any:
        """The dense matrix."""
        return coo_todense(self)

    def transpose(self, axes: Sequence[int] | None = None) -> COO:
        """The transposed matrix."""
        if axes is not None:
            raise missing_method(COO, "transpose with axes")
        return COO(
            (self.data, self.col, self.row),
            shape=self.shape[::-1],
            rows_sorted=self._cols_sorted,
            cols_sorted=self._rows_sorted,
        )

    def __matmul__(self, other: Any) -> Any:
        if isinstance(other, JAXSparse):
            raise missing_method(COO, "matmul between two sparse objects")
        return product("COO", self.to_bcoo(), other)


def coo_todense(mat: COO) -> Any:
    """The dense matrix."""
    return bcoo_todense(mat.to_bcoo())


def coo_fromdense(mat: Any, *, nse: int | None = None, index_dtype: Any = np.int32) -> COO:
    """The elements of a dense matrix that are not zero; `nse` of them, which `jit` needs."""
    mat = jnp.asarray(mat)
    shape = matrix_shape("COO", mat.shape)
    found = bcoo_fromdense(mat, nse=nse, index_dtype=index_dtype)
    row, col = found.indices[:, 0], found.indices[:, 1]
    return COO((found.data, row, col), shape=shape, rows_sorted=True)


def coo_matvec(mat: COO, v: Any, transpose: bool = False) -> Any:
    """The product of a matrix, or of its transpose, and a vector."""
    return product("coo_matvec", (mat.T if transpose else mat).to_bcoo(), v, 1)


def coo_matmat(mat: COO, B: Any, *, transpose: bool = False) -> Any:
    """The product of a matrix, or of its transpose, and a dense matrix."""
    return product("coo_matmat", (mat.T if transpose else mat).to_bcoo(), B, 2)
