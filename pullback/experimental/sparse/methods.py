"""The operators and methods of BCOO, installed on the class, which knows no operation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ... import numpy as jnp
from ...core.array import Array
from ...core.errors import error
from ...numpy.promotion import requested_dtype
from .base import JAXSparse, missing_method
from .bcoo.array import BCOO, beyond
from .bcoo.dense import bcoo_fromdense, bcoo_todense
from .bcoo.duplicates import bcoo_eliminate_zeros, bcoo_sort_indices, bcoo_sum_duplicates
from .bcoo.layout import bcoo_transpose, bcoo_update_layout
from .bcoo.products import bcoo_dot_general
from .bcoo.slicing import bcoo_getitem
from .rules import add, div, integer_pow, mul, nonlinear, sub
from .transform import sparsify

_OPERANDS = (Array, np.ndarray, np.generic, int, float, complex, JAXSparse)


def _promoted(x: Any, y: Any) -> tuple[Any, Any]:
    """Both in the dtype that an operation of the two has."""
    dtype = jnp.result_type(*(a.data if isinstance(a, JAXSparse) else a for a in (x, y)))
    return tuple(  # type: ignore[return-value]
        astype(a, dtype) if isinstance(a, BCOO) else jnp.asarray(a, dtype) for a in (x, y)
    )


def astype(mat: BCOO, dtype: Any) -> BCOO:
    """The array with elements of another dtype; equal places are added up before."""
    if requested_dtype(dtype, "BCOO.astype") == mat.dtype:
        return mat
    return nonlinear(mat, lambda data: data.astype(dtype))


def _binary(function: Any, turned: bool = False) -> Any:
    def method(self: BCOO, other: Any) -> Any:
        if not isinstance(other, _OPERANDS):
            return NotImplemented
        x, y = _promoted(self, other)
        return function(y, x) if turned else function(x, y)

    return method


def _divided(x: Any, y: Any) -> Any:
    dtype = jnp.promote_types(jnp.result_type(x.dtype, y.dtype), jnp.float_(0).dtype)
    if jnp.issubdtype(x.dtype, jnp.inexact):
        dtype = x.dtype
    return div(*(a.astype(dtype) if not isinstance(a, BCOO) else astype(a, dtype) for a in (x, y)))


def _matmul(x: Any, y: Any) -> Any:
    x, y = _promoted(x, y)
    if 0 < x.ndim <= 2 and 0 < y.ndim <= 2:
        return bcoo_dot_general(x, y, dimension_numbers=(([x.ndim - 1], [0]), ([], [])))
    return sparsify(jnp.matmul)(x, y)


def _absent(name: str) -> Any:
    def method(self: BCOO, other: Any) -> Any:
        raise missing_method(BCOO, name)

    return method


class Methods:
    """What is installed on BCOO."""

    __neg__ = sparsify(jnp.negative)
    __abs__ = sparsify(jnp.abs)
    __add__ = _binary(add)
    __radd__ = _binary(add, True)
    __sub__ = _binary(sub)
    __rsub__ = _binary(sub, True)
    __mul__ = _binary(mul)
    __rmul__ = _binary(mul, True)
    __truediv__ = _binary(_divided)
    __rtruediv__ = _binary(_divided, True)
    __eq__ = _absent("__eq__")
    __ne__ = _absent("__ne__")
    __lt__ = _absent("__lt__")
    __le__ = _absent("__le__")
    __gt__ = _absent("__gt__")
    __ge__ = _absent("__ge__")

    def __pos__(self: Any) -> BCOO:
        return self  # type: ignore[no-any-return]

    def __matmul__(self: Any, other: Any) -> Any:
        return _matmul(self, other) if isinstance(other, _OPERANDS) else NotImplemented

    def __rmatmul__(self: Any, other: Any) -> Any:
        return _matmul(other, self) if isinstance(other, _OPERANDS) else NotImplemented

    def __pow__(self: Any, exponent: Any) -> BCOO:
        if isinstance(exponent, (int, np.integer)) and not isinstance(exponent, bool):
            return integer_pow(self, y=int(exponent))
        if isinstance(exponent, (float, np.floating)) and exponent > 0:
            return nonlinear(self, lambda data: data**exponent)
        raise missing_method(BCOO, "__pow__ with an exponent that is not a positive number")

    def __getitem__(self: Any, index: Any) -> BCOO:
        return bcoo_getitem(self, index)

    def __iter__(self: Any) -> Iterator[BCOO]:
        return iter([self[i] for i in range(self.shape[0])])

    def astype(self: Any, dtype: Any) -> BCOO:
        """The array with elements of another dtype."""
        return astype(self, dtype)

    def reshape(self: Any, *shape: Any, order: str = "C") -> BCOO:
        """The array in another shape, which must not mix batch, sparse and dense axes."""
        return sparsify(lambda x: x.reshape(*shape, order=order))(self)  # type: ignore[no-any-return]

    def sum(self: Any, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Any:
        """The sum over some axes, or over all as a dense scalar."""
        return sparsify(lambda x: x.sum(axis, dtype, keepdims=keepdims))(self)

    def transpose(self: Any, axes: Sequence[int] | None = None) -> BCOO:
        """The array with its axes in another order: reversed, or as `axes` says."""
        order = range(self.ndim)[::-1] if axes is None else axes
        return bcoo_transpose(self, permutation=tuple(order))

    def todense(self: Any) -> Any:
        """The dense array."""
        return bcoo_todense(self)

    def sort_indices(self: Any) -> BCOO:
        """The same array with its coordinates in lexicographic order."""
        return bcoo_sort_indices(self)

    def sum_duplicates(self: Any, nse: int | None = None, remove_zeros: bool = True) -> BCOO:
        """The same array with each place stored once, in order.

        Args:
          nse: how many elements to store; needed under `jit` and the like.
          remove_zeros: whether stored zeros are left out.
        """
        function = bcoo_eliminate_zeros if remove_zeros else bcoo_sum_duplicates
        return function(self, nse=nse)

    def update_layout(
        self: Any,
        *,
        n_batch: int | None = None,
        n_dense: int | None = None,
        on_inefficient: str = "error",
    ) -> BCOO:
        """The same array with other numbers of batch and dense axes: `bcoo_update_layout`."""
        return bcoo_update_layout(
            self, n_batch=n_batch, n_dense=n_dense, on_inefficient=on_inefficient
        )


def _fromdense(
    cls: type[BCOO],
    mat: Any,
    *,
    nse: int | None = None,
    index_dtype: Any = np.int32,
    n_dense: int = 0,
    n_batch: int = 0,
) -> BCOO:
    """The elements of a dense array that are not zero: `bcoo_fromdense`."""
    return bcoo_fromdense(mat, nse=nse, index_dtype=index_dtype, n_dense=n_dense, n_batch=n_batch)


def _from_scipy_sparse(
    cls: type[BCOO], mat: Any, *, index_dtype: Any = None, n_dense: int = 0, n_batch: int = 0
) -> BCOO:
    """The array of a `scipy.sparse` array."""
    if n_dense or n_batch:
        raise error(
            NotImplementedError,
            "BCOO.from_scipy_sparse with nonzero n_dense/n_batch.",
            got=f"n_dense={n_dense}, n_batch={n_batch}",
            fix="use .update_layout on the result.",
        )
    if not hasattr(mat, "tocoo"):
        raise error(
            TypeError,
            "BCOO.from_scipy_sparse takes an array of scipy.sparse.",
            got=f"{mat!r:.80} of type {type(mat).__name__}",
            fix="use BCOO.fromdense for dense arrays.",
        )
    mat = mat.tocoo()
    indices = np.column_stack([mat.row, mat.col]).astype(index_dtype or np.int32)
    return cls((jnp.asarray(mat.data), jnp.asarray(indices)), shape=mat.shape)


def _empty(
    cls: type[BCOO],
    shape: Sequence[int],
    *,
    dtype: Any = None,
    index_dtype: Any = "int32",
    n_dense: int = 0,
    n_batch: int = 0,
    nse: int = 0,
) -> BCOO:
    """An array of zeros: the public function is `sparse.empty`."""
    shape = tuple(shape)
    n_sparse = len(shape) - n_dense - n_batch
    if min(n_sparse, n_dense, n_batch, nse) < 0:
        raise error(
            ValueError,
            "sparse.empty: invalid inputs.",
            got=f"shape={shape}, n_dense={n_dense}, n_batch={n_batch}, nse={nse}",
            fix="let n_batch + n_dense be at most the number of axes.",
        )
    batch, tail = shape[:n_batch], shape[n_batch + n_sparse :]
    data = jnp.zeros((*batch, nse, *tail), dtype)
    fill = beyond(shape[n_batch : n_batch + n_sparse], np.dtype(index_dtype))
    indices = jnp.broadcast_to(fill, (*batch, nse, n_sparse))
    return cls((data, indices), shape=shape, indices_sorted=True, unique_indices=True)


def _eye(
    cls: type[BCOO],
    N: int,
    M: int,
    k: int,
    *,
    dtype: Any = None,
    index_dtype: Any = "int32",
    n_batch: int = 0,
    n_dense: int = 0,
) -> BCOO:
    """Ones on a diagonal: the public function is `sparse.eye`."""
    if n_batch + n_dense > 2 or min(n_batch, n_dense) < 0:
        raise error(
            ValueError,
            "sparse.eye: invalid inputs.",
            got=f"shape={(N, M)}, n_dense={n_dense}, n_batch={n_batch}",
            fix="let n_batch + n_dense be at most 2.",
        )
    n = min(N, M - k) if k > 0 else min(N + k, M)
    if n <= 0:
        return _empty(
            cls, (N, M), dtype=dtype, index_dtype=index_dtype, n_batch=n_batch, n_dense=n_dense
        )
    if n_batch or n_dense:
        return bcoo_fromdense(
            jnp.eye(N, M, k, dtype=dtype),
            n_batch=n_batch,
            n_dense=n_dense,
            index_dtype=index_dtype,
        )
    places = np.arange(n, dtype=np.dtype(index_dtype))
    indices = np.column_stack([places + max(-k, 0), places + max(k, 0)])
    return cls(
        (jnp.ones(n, dtype), jnp.asarray(indices.astype(places.dtype))),
        shape=(N, M),
        indices_sorted=True,
        unique_indices=True,
    )


def install(source: type) -> None:
    """Make all that the class `source` defines an attribute of BCOO."""
    for name, member in vars(source).items():
        if name not in ("__module__", "__dict__", "__weakref__", "__doc__", "__hash__"):
            setattr(BCOO, name, member)


install(Methods)
for _name, _function in (
    ("fromdense", _fromdense),
    ("from_scipy_sparse", _from_scipy_sparse),
    ("_empty", _empty),
    ("_eye", _eye),
):
    setattr(BCOO, _name, classmethod(_function))
