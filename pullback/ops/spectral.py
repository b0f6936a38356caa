"""The singular value decomposition."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import dtypes
from ..core.primitive import Absent
from ..core.types import ArrayType, array_type
from .comparison import eq
from .contraction import matmul
from .elementwise import add, add_any, convert_element_type, div, like, mul, real, select_n, sub
from .lapack import lapack_dtype
from .linalg import (
    OfMatrices,
    check_inexact,
    check_matrices,
    conjugated,
    constant_matrix,
    diagonal,
    eye_matrix,
    flip,
)
from .structural import broadcast_in_dim, zeros_of


class Svd(OfMatrices):
    """s, and with `compute_uv` U and V^H too, with x = U diag(s) V^H; s is not negative and falls.

    With `full_matrices`, U and V are square; else they have as many columns as s has elements.
    """

    multiple_results = True

    def typing(self, x: Any, *, full_matrices: bool, compute_uv: bool) -> list[ArrayType]:
        check_matrices(self, x)
        check_inexact(self, x)
        *stack, m, n = x.shape
        k, weak = min(m, n), x.weak_type
        s = array_type((*stack, k), dtypes.real_dtype(x.dtype), weak)
        if not compute_uv:
            return [s]
        rows, columns = (m, n) if full_matrices else (k, k)
        u = array_type((*stack, m, rows), x.dtype, weak)
        return [s, u, array_type((*stack, columns, n), x.dtype, weak)]

    def eval(self, x: Any, *, full_matrices: bool, compute_uv: bool) -> Any:
        # LAPACK does not converge where there is a NaN, and then NumPy raises for the whole stack.
        whole = np.isfinite(x).all((-2, -1))
        safe = np.where(whole[..., None, None], x, 0).astype(lapack_dtype(x.dtype), copy=False)
        if compute_uv:
            u, s, v = np.linalg.svd(safe, full_matrices)
            found = [s, u, v]
        else:
            found = [np.linalg.svd(safe, compute_uv=False)]
        types = [dtypes.real_dtype(x.dtype), x.dtype, x.dtype]
        found = [y.astype(t, copy=False) for y, t in zip(found, types, strict=False)]
        for y in found:
            y[~whole] = np.nan
        return found

    def jvp(
        self, primals: Any, tangents: Any, out: Any, *, full_matrices: bool, compute_uv: bool
    ) -> list[Any]:
        (x,), (dx,) = primals, tangents
        *_, m, n = x.shape
        if compute_uv and full_matrices and m != n:
            return _NOT_UNIQUE(x)
        if compute_uv and not full_matrices:
            s, u, vh = out
        else:
            s, u, vh = svd(x, full_matrices=False, compute_uv=True)
        uh, v = conjugated(flip(u)), conjugated(flip(vh))
        change = matmul(matmul(uh, dx), v)
        ds = diagonal(change)
        ds = real(ds) if x.dtype.kind == "c" else ds
        if not compute_uv:
            return [ds]
        du, dv = _rotations(s, change)
        du, dv = matmul(u, du), matmul(v, dv)
        if m > n:
            du = add_any(du, _outside(u, uh, matmul(dx, v), s))
        if n > m:
            dv = add_any(dv, _outside(v, vh, matmul(conjugated(flip(dx)), u), s))
        return [ds, du, conjugated(flip(dv))]


svd = Svd()

_NOT_UNIQUE = Absent(
    "with full_matrices, the columns of U or V that complete a basis are not unique; "
    "use full_matrices=False"
)


def _rotations(s: Any, change: Any) -> tuple[Any, Any]:
    # Townsend, Differentiating the singular value decomposition (2016), eq. 17 and 18: with
    # P = U^H dA V and F_ij = 1 / (s_j^2 - s_i^2), 0 where they are equal,
    # U^H dU = F o (P S + S P^H) and V^H dV = F o (S P + P^H S). The phases of complex columns turn
    # by the imaginary part of the diagonal of P over s, all of it in U.
    shape, rank = change.shape, len(change.shape)
    stack = tuple(range(rank - 2))
    columns = broadcast_in_dim(s, shape=shape, broadcast_dimensions=(*stack, rank - 1))
    rows = broadcast_in_dim(s, shape=shape, broadcast_dimensions=(*stack, rank - 2))
    gaps = mul(add(columns, rows), sub(columns, rows))
    factor = _typed(_inverse(gaps), change)
    columns, rows = _typed(columns, change), _typed(rows, change)
    turned = conjugated(flip(change))
    du = mul(factor, add_any(mul(change, columns), mul(rows, turned)))
    dv = mul(factor, add_any(mul(rows, change), mul(turned, columns)))
    if change.dtype.kind == "c":
        half = mul(sub(change, turned), like(change, 0.5))
        eye = constant_matrix(eye_matrix(shape[-1], change.dtype), shape)
        du = add_any(du, mul(mul(half, eye), _typed(_inverse(real(columns)), change)))
    return du, dv


def _inverse(x: Any) -> Any:
    """1 / x, and 0 where x is 0."""
    zero = eq(x, like(x, 0))
    one = broadcast_in_dim(like(x, 1), shape=x.shape, broadcast_dimensions=())
    nothing = zeros_of(x)
    return select_n(zero, div(one, select_n(zero, x, one)), nothing)


def _outside(u: Any, uh: Any, change: Any, s: Any) -> Any:
    """The part of a change of the columns of `u` that leaves the space they span."""
    rank = len(change.shape)
    rest = sub(change, matmul(u, matmul(uh, change)))
    inverse = broadcast_in_dim(
        _inverse(s), shape=change.shape, broadcast_dimensions=(*range(rank - 2), rank - 1)
    )
    return mul(rest, _typed(inverse, change))


def _typed(x: Any, other: Any) -> Any:
    if x.dtype == other.dtype:
        return x
    return convert_element_type(x, new_dtype=other.dtype, weak_type=other.weak_type)
