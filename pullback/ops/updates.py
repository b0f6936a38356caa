"""A matrix changed by a product of low rank: its Cholesky factor, and the product itself."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.errors import error
from ..core.types import ArrayType
from .contraction import matmul
from .elementwise import add_any, like, mul
from .lapack import lapack_dtype
from .linalg import (
    OfMatrices,
    check_inexact,
    check_square,
    constant_matrix,
    flip,
    half_diagonal,
    solved,
    triu,
)
from .structural import reshape


class CholeskyUpdate(OfMatrices):
    """The upper triangular R1 with R1^T R1 = R^T R + w w^T, for upper triangular R."""

    def typing(self, r: Any, w: Any) -> ArrayType:
        check_square(self, r)
        check_inexact(self, r, w)
        _check_real(self, r)
        if w.shape != r.shape[:-1]:
            raise error(
                ValueError,
                "cholesky_update takes R of shape (..., n, n) and w of shape (..., n).",
                got=f"R: {r.str_short()}, w: {w.str_short()}",
                fix="call it once for each vector.",
            )
        return r.update(weak_type=r.weak_type and w.weak_type)

    def eval(self, r: Any, w: Any) -> Any:
        # A Givens rotation for each row, all matrices of the stack at once.
        wide = lapack_dtype(r.dtype)
        out, z = np.triu(r).astype(wide), w.astype(wide)
        for k in range(r.shape[-1]):
            x, y = out[..., k, k], z[..., k]
            size = np.hypot(x, y)
            turned = y != 0
            safe = np.where(turned, size, 1)
            c = np.where(turned, x / safe, 1)[..., None]
            s = np.where(turned, y / safe, 0)[..., None]
            row = out[..., k, :].copy()
            out[..., k, :] = c * row + s * z
            z = c * z - s * row
        return np.triu(out).astype(r.dtype, copy=False)

    def jvp(self, primals: Any, tangents: Any, out: Any) -> Any:
        # With L = R1^T: dL = L phi(L^-1 dA L^-T), as for the Cholesky factor of A.
        (r, w), (dr, dw) = primals, tangents
        change: Any = None
        if dr is not None:
            change = matmul(flip(triu(dr)), triu(r))
        if dw is not None:
            n = w.shape[-1]
            row, column = (*w.shape[:-1], 1, n), (*w.shape[:-1], n, 1)
            part = matmul(reshape(dw, new_sizes=column), reshape(w, new_sizes=row))
            change = part if change is None else add_any(change, part)
        change = add_any(change, flip(change))
        inner = solved(out, change, lower=False, turned=True)
        inner = solved(out, inner, left=False, lower=False)
        phi = constant_matrix(half_diagonal(out.shape[-1], out.dtype), out.shape)
        return matmul(flip(mul(inner, phi)), out)


cholesky_update = CholeskyUpdate()


def _check_real(op: Any, x: Any) -> None:
    if x.dtype.kind == "c":
        raise error(
            TypeError,
            f"{op.name} takes real matrices.",
            got=x.str_short(),
            fix="use cholesky(a + w w^H), or a @ a.conj().T, for complex ones.",
        )


class SymmetricProduct(OfMatrices):
    """alpha a a^T + beta c"""

    def typing(self, a: Any, c: Any, *, alpha: float, beta: float) -> ArrayType:
        check_square(self, c)
        check_inexact(self, a, c)
        _check_real(self, a)
        if len(a.shape) != len(c.shape) or a.shape[:-1] != c.shape[:-1]:
            raise error(
                ValueError,
                "symmetric_product takes a of shape (..., m, n) and c of shape (..., m, m).",
                got=f"a: {a.str_short()}, c: {c.str_short()}",
                fix="transpose a, or check its rows.",
            )
        return c.update(weak_type=a.weak_type and c.weak_type)

    def eval(self, a: Any, c: Any, *, alpha: float, beta: float) -> Any:
        wide = lapack_dtype(a.dtype)
        x = a.astype(wide, copy=False)
        out = alpha * np.matmul(x, np.swapaxes(x, -1, -2)) + beta * c.astype(wide, copy=False)
        return out.astype(a.dtype, copy=False)

    def jvp(self, primals: Any, tangents: Any, out: Any, *, alpha: float, beta: float) -> Any:
        (a, _), (da, dc) = primals, tangents
        found = None if dc is None else mul(dc, like(dc, beta))
        if da is not None:
            half = matmul(mul(da, like(da, alpha)), flip(a))
            part = add_any(half, flip(half))
            found = part if found is None else add_any(found, part)
        return found


symmetric_product = SymmetricProduct()
