"""Triangles and diagonals of matrices: eye, tri, tril, triu, diag; and vander."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import dtypes
from ..core.array import Array, HostArray
from ..core.errors import error
from ..core.trace import type_of
from ..ops.comparison import eq, ge
from ..ops.elementwise import add, like, select_n, sub
from ..ops.slicing import pad, slice_along
from ..ops.spreading import put_where
from ..ops.structural import broadcast_in_dim, iota, reshape, transpose, zero_like, zeros
from .arguments import are_values, expand, integer, strong
from .arithmetic import power
from .promotion import as_array, astype, axis_number, broadcast_to, requested_dtype


def eye(N: Any, M: Any = None, k: Any = 0, dtype: Any = None, *, device: Any = None) -> Array:
    """The N x M matrix with ones on diagonal `k`, counted upward, and zeros elsewhere.

    `device`, a Device or a Sharding, says where it is put.

    Example:
      >>> import pullback.numpy as jnp
      >>> print(jnp.eye(2, 3, k=1))
      [[0. 1. 0.]
       [0. 0. 1.]]
    """
    if device is not None:
        return put_where(eye(N, M, k, dtype), device)
    kind = dtypes.default_float() if dtype is None else requested_dtype(dtype, "eye")
    if type(N) is int and type(k) is int and N >= 0 and M is None and are_values():
        return HostArray(np.eye(N, k=k, dtype=kind))
    row, column = _coordinates("eye", N, M)
    if type(k) is int:
        k = like(row, k)
    k = as_array(k, "eye")
    if k.shape or dtypes.kind(k.dtype) not in "iu":
        raise error(
            ValueError,
            "k must be a scalar integer.",
            got=f"k of type {type_of(k).str_short()}",
            fix="give the number of a diagonal: 0 is the main one, 1 the one above.",
        )
    return astype(eq(add(row, astype(k, row.dtype, weak_type=True)), column), kind)


def identity(n: Any, dtype: Any = None) -> Array:
    """The n x n matrix with ones on the main diagonal."""
    return eye(n, dtype=dtype)


def tri(N: Any, M: Any = None, k: Any = 0, dtype: Any = None) -> Array:
    """The N x M matrix with ones on and below diagonal `k`, and zeros above."""
    kind = dtypes.float32 if dtype is None else requested_dtype(dtype, "tri")
    return astype(_lower(_coordinates("tri", N, M), integer(k, "`k` of jnp.tri")), kind)


def tril(m: Any, k: int = 0) -> Array:
    """`m` with zeros above diagonal `k`; of stacked matrices each one."""
    m = _matrices("tril", m)
    if type(k) is int and are_values(m):
        return HostArray(np.tril(m._value, k), m._weak)
    mask = _lower(_coordinates("tril", *m.shape[-2:]), integer(k, "`k` of jnp.tril"))
    return select_n(broadcast_to(mask, m.shape), zeros(type_of(m)), m)


def triu(m: Any, k: int = 0) -> Array:
    """`m` with zeros below diagonal `k`; of stacked matrices each one."""
    m = _matrices("triu", m)
    if type(k) is int and are_values(m):
        return HostArray(np.triu(m._value, k), m._weak)
    mask = _lower(_coordinates("triu", *m.shape[-2:]), integer(k, "`k` of jnp.triu") - 1)
    return select_n(broadcast_to(mask, m.shape), m, zeros(type_of(m)))


def _coordinates(name: str, rows: Any, columns: Any = None) -> tuple[Any, Any]:
    """The row and the column of each element of a matrix."""
    n = integer(rows, f"`N` of jnp.{name}")
    m = n if columns is None else integer(columns, f"`M` of jnp.{name}")
    if n < 0 or m < 0:
        raise error(
            ValueError,
            f"negative dimensions are not allowed, got {rows} and {columns}.",
            got=f"jnp.{name}({rows}, {columns})",
            fix="give 0 or more.",
        )
    kind = dtypes.default_int()
    return (
        iota(dtype=kind, shape=(n, m), dimension=0),
        iota(dtype=kind, shape=(n, m), dimension=1),
    )


def _lower(coordinates: tuple[Any, Any], k: int) -> Any:
    row, column = coordinates
    return ge(add(row, like(row, k)), column)


def _matrices(name: str, m: Any) -> Any:
    m = as_array(m, name)
    if len(m.shape) < 2:
        raise error(
            ValueError,
            f"Argument to jax.numpy.{name} must be at least 2D.",
            got=type_of(m).str_short(),
            fix="add axes with x[None, :].",
        )
    return m


# ---- diagonals


def diag(v: Any, k: int = 0) -> Array:
    """Diagonal `k` of a matrix, or the matrix that has the vector `v` there and zeros elsewhere.

    Example:
      >>> import pullback.numpy as jnp
      >>> print(jnp.diag(jnp.array([1, 2])))
      [[1 0]
       [0 2]]
    """
    v = as_array(v, "diag")
    k = integer(k, "`k` of jnp.diag")
    if len(v.shape) == 2:
        return diagonal(v, offset=k)
    if len(v.shape) != 1:
        raise error(
            ValueError,
            "diag input must be 1d or 2d.",
            got=type_of(v).str_short(),
            fix="use jnp.diagonal for stacked matrices, jnp.diagflat to flatten.",
        )
    if are_values(v):
        return HostArray(np.diag(v._value, k), v._weak)
    n = v.shape[0] + abs(k)
    zero = zero_like(v)
    wide = pad(v, zero, padding_config=((max(0, -k), max(0, k), 0),))
    wide = broadcast_in_dim(wide, shape=(n, n), broadcast_dimensions=(0,))
    nothing = broadcast_in_dim(zero, shape=(n, n), broadcast_dimensions=())
    return select_n(eye(n, k=k, dtype=bool), nothing, wide)


def diagflat(v: Any, k: int = 0) -> Array:
    """The matrix that has the elements of `v`, flattened, on diagonal `k`."""
    v = as_array(v, "diagflat")
    return diag(reshape(strong(v), new_sizes=(v.size,)), k)


def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Array:
    """The diagonal `offset` of the matrices in axes `axis1` and `axis2`; it is the last axis.

    Example:
      >>> import pullback.numpy as jnp
      >>> print(jnp.diagonal(jnp.array([[1, 2], [3, 4]])))
      [1 4]
    """
    x = as_array(a, "diagonal")
    rank = len(x.shape)
    if rank < 2:
        raise error(
            ValueError,
            "diagonal requires an array of at least two dimensions.",
            got=type_of(x).str_short(),
            fix="jnp.diag makes a matrix from a vector.",
        )
    offset = integer(offset, "`offset` of jnp.diagonal")
    first, second = axis_number(axis1, rank), axis_number(axis2, rank)
    if first == second:
        raise error(
            ValueError,
            "axis1 and axis2 cannot be the same.",
            got=f"axis1={axis1}, axis2={axis2}",
            fix="name two axes.",
        )
    order = [i for i in range(rank) if i not in (first, second)] + [first, second]
    return _diagonal(transpose(x, permutation=tuple(order)) if rank > 2 or first else x, offset)


def _diagonal(x: Any, offset: int) -> Any:
    """Of the last two axes: in rows of m numbers, put together, every (m + 1)th number."""
    *outer, n, m = x.shape
    flat = reshape(x, new_sizes=(*outer, n * m))
    size = max(0, min(n + min(offset, 0), m - max(offset, 0)))
    if size == 0:
        return slice_along(flat, len(outer), 0, 0)
    start = offset if offset >= 0 else -offset * m
    return slice_along(flat, len(outer), start, start + (size - 1) * (m + 1) + 1, m + 1)


# ---- powers


def vander(x: Any, N: Any = None, increasing: bool = False) -> Array:
    """The matrix whose columns are powers of the vector `x`, from N - 1 down to 0.

    Args:
      x: a vector.
      N: the number of columns; without it, as many as rows.
      increasing: whether the powers ascend.
    """
    x = as_array(x, "vander")
    if len(x.shape) != 1:
        raise error(
            ValueError,
            "x must be a one-dimensional array.",
            got=type_of(x).str_short(),
            fix="flatten it with x.ravel().",
        )
    n = x.shape[0] if N is None else integer(N, "`N` of jnp.vander")
    if n < 0:
        raise error(ValueError, "N must be nonnegative.", got=f"N={n}", fix="give 0 or more.")
    powers = iota(dtype=x.dtype, shape=(n,), dimension=0)
    if not increasing:
        powers = sub(like(powers, n - 1), powers)
    return power(expand(x, (1,)), expand(powers, (0,)))
