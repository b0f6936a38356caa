"""The singular value decomposition, and the pseudo-inverse."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import dtypes
from ..core.array import HostArray
from ..core.errors import error
from ..core.types import ArrayType, array_type
from .contraction import matmul
from .elementwise import add, add_any, div, like, mul, real, select_n, sub
from .lapack import lapack_dtype, without_nan
from .linalg import (
    OfMatrices,
    adjoint,
    check_inexact,
    check_matrices,
    diagonal,
    first_columns,
    first_rows,
    for_columns,
    for_rows,
    skew_diagonal,
)
from .slicing import concatenate, slice_along
from .structural import broadcast_in_dim, zeros_of


def check_subset(op: Any, subset: tuple[int, int] | None, size: int) -> None:
    """Raise unless `subset` is None or the first and the end of a part of `size` values."""
    if subset is not None and not 0 <= subset[0] <= subset[1] <= size:
        raise error(
            ValueError,
            f"{op.name}: subset_by_index is a pair (start, end) with 0 <= start <= end <= {size}.",
            got=f"subset_by_index={subset}",
            fix="leave it out for all values.",
        )


class Svd(OfMatrices):
    """s, and with `compute_uv` U and V^H too, with x = U diag(s) V^H; s is not negative and falls.

    With `full_matrices`, U and V are square; else they have as many columns as s has elements.
    `subset_by_index` leaves only the values and vectors of these places.

    Derivatives: those of s always exist, where values are equal or zero as those of one choice of
    vectors. U and V are not unique: columns of equal values may turn among themselves, complex
    columns have a free phase, and the columns that complete a basis are any. The phase and the turn
    of what completes a basis are taken to be zero (of phases, all of the difference between U and V
    is put into U). The turn of columns of equal values is infinite: whatever it were taken to be,
    U f(s) V^H would have a wrong derivative for some f, and nobody would see it. So it is with the
    change of vectors of a value 0 that leaves the space of all of them.
    """

    multiple_results = True

    def typing(
        self,
        x: Any,
        *,
        full_matrices: bool,
        compute_uv: bool,
        subset_by_index: tuple[int, int] | None = None,
    ) -> list[ArrayType]:
        check_matrices(self, x)
        check_inexact(self, x)
        *stack, m, n = x.shape
        k, weak = min(m, n), x.weak_type
        check_subset(self, subset_by_index, k)
        if subset_by_index is not None:
            if full_matrices and subset_by_index != (0, k):
                raise error(
                    ValueError,
                    "svd: full_matrices and subset_by_index cannot both be set.",
                    got=f"subset_by_index={subset_by_index}",
                    fix="give full_matrices=False.",
                )
            k = subset_by_index[1] - subset_by_index[0]
        s = array_type((*stack, k), dtypes.real_dtype(x.dtype), weak)
        if not compute_uv:
            return [s]
        rows, columns = (m, n) if full_matrices else (k, k)
        u = array_type((*stack, m, rows), x.dtype, weak)
        return [s, u, array_type((*stack, columns, n), x.dtype, weak)]

    def eval(
        self,
        x: Any,
        *,
        full_matrices: bool,
        compute_uv: bool,
        subset_by_index: tuple[int, int] | None = None,
    ) -> Any:
        safe, broken = without_nan(x.astype(lapack_dtype(x.dtype), copy=False))
        if compute_uv:
            u, s, v = np.linalg.svd(safe, full_matrices)
            found = [s, u, v]
        else:
            found = [np.linalg.svd(safe, compute_uv=False)]
        if safe.dtype != x.dtype:
            types = [dtypes.real_dtype(x.dtype), x.dtype, x.dtype]
            found = [y.astype(t) for y, t in zip(found, types, strict=False)]
        if broken is not None:
            for y in found:
                y[broken] = np.nan
        if subset_by_index is None or full_matrices:
            return found
        part = slice(*subset_by_index)
        places = [(..., part), (..., part), (..., part, slice(None))]
        return [y[at] for y, at in zip(found, places, strict=False)]

    def jvp(
        self,
        primals: Any,
        tangents: Any,
        out: Any,
        *,
        full_matrices: bool,
        compute_uv: bool,
        subset_by_index: tuple[int, int] | None = None,
    ) -> list[Any]:
        (x,), (dx,) = primals, tangents
        m, n = x.shape[-2:]
        k = min(m, n)
        if compute_uv and (full_matrices or subset_by_index is None):
            s, u, vh = out[0], first_columns(out[1], k), first_rows(out[2], k)
        else:
            s, u, vh = svd(x, full_matrices=False, compute_uv=True)
        change = matmul(matmul(adjoint(u), dx), adjoint(vh))
        ds = diagonal(change)
        ds = real(ds) if x.dtype.kind == "c" else ds
        if not compute_uv:
            return [_part(ds, 1, subset_by_index)]
        du, dv = _vector_tangents(s, u, adjoint(vh), dx, change)
        if full_matrices:
            du = _with_completion(u, du, out[1])
            dv = _with_completion(adjoint(vh), dv, adjoint(out[2]))
            return [ds, du, adjoint(dv)]
        found = [_part(y, 1, subset_by_index) for y in (ds, du, dv)]
        return [*found[:2], adjoint(found[2])]


svd = Svd()


def _part(x: Any, axis_from_end: int, subset: tuple[int, int] | None) -> Any:
    return x if subset is None else slice_along(x, len(x.shape) - axis_from_end, *subset)


def _vector_tangents(s: Any, u: Any, v: Any, dx: Any, change: Any) -> tuple[Any, Any]:
    """The tangents of the thin U and V, where `change` is P = U^H dx V."""
    # P = X S + dS - S Y with X = U^H dU and Y = V^H dV skew-Hermitian. So at i, j
    # (X - Y) (s_i + s_j) = P - P^H, and off the diagonal (X + Y) (s_j - s_i) = P + P^H.
    # Townsend (2016) has the same with s_j^2 - s_i^2 alone, which loses digits.
    m, n = dx.shape[-2:]
    columns, rows = for_columns(s, change), for_rows(s, change)
    turned = adjoint(change)
    half = like(change, 0.5)
    # On the diagonal P - P^H is the phase between U and V, which real vectors do not have.
    total = add(columns, rows)
    over_total = reciprocal(total) if change.dtype.kind == "c" else inverse_gaps(total)
    apart = mul(mul(sub(change, turned), over_total), half)
    together = mul(mul(add_any(change, turned), inverse_gaps(sub(columns, rows))), half)
    x, y = add_any(together, apart), sub(together, apart)
    if change.dtype.kind == "c":
        phase = skew_diagonal(apart)
        x, y = add_any(x, phase), add_any(y, phase)
    du, dv = matmul(u, x), matmul(v, y)
    if m > n:
        du = add_any(du, _outside(u, matmul(dx, v), s))
    if n > m:
        dv = add_any(dv, _outside(v, matmul(adjoint(dx), u), s))
    return du, dv


def reciprocal(x: Any) -> Any:
    """1 / x"""
    return div(broadcast_in_dim(like(x, 1), shape=x.shape, broadcast_dimensions=()), x)


def inverse_gaps(x: Any, start: int = 0) -> Any:
    """1 / x off the diagonal that starts `start` rows below the corner, infinite where x is 0."""
    rows, columns = x.shape[-2:]
    own = HostArray(np.eye(rows, columns, -start, dtype=bool))
    axes = (len(x.shape) - 2, len(x.shape) - 1)
    own = broadcast_in_dim(own, shape=x.shape, broadcast_dimensions=axes)
    one = broadcast_in_dim(like(x, 1), shape=x.shape, broadcast_dimensions=())
    return select_n(own, reciprocal(select_n(own, x, one)), zeros_of(x))


def _outside(u: Any, change: Any, s: Any) -> Any:
    """The part of a change of the columns of `u` that leaves the space they span."""
    rest = sub(change, matmul(u, matmul(adjoint(u), change)))
    return mul(rest, for_columns(reciprocal(s), change))


def _with_completion(u: Any, du: Any, full: Any) -> Any:
    """The tangent of all columns of `full`, of which `u` is the first."""
    k, size = u.shape[-1], full.shape[-1]
    if k == size:
        return du
    last = len(u.shape) - 1
    rest = slice_along(full, last, k, size)
    # They stay orthogonal to the first columns, and do not turn among themselves.
    turned = matmul(u, matmul(adjoint(du), rest))
    return concatenate(du, sub(zeros_of(turned), turned), dimension=last)


# ---- the pseudo-inverse


class Pinv(OfMatrices):
    """The pseudo-inverse, with singular values of at most `rtol` times the largest taken as 0.

    `rtol` has a number for each matrix, and no derivative.
    """

    def typing(self, x: Any, rtol: Any, *, hermitian: bool) -> ArrayType:
        check_matrices(self, x)
        check_inexact(self, x)
        *stack, m, n = x.shape
        if tuple(stack) != rtol.shape:
            raise error(
                ValueError,
                "pinv takes one rtol for each matrix.",
                got=f"x: {x.str_short()}, rtol: {rtol.str_short()}",
                fix="broadcast it to the axes before the last two.",
            )
        return x.update(shape=(*stack, n, m))

    weak_from = (0,)

    def eval(self, x: Any, rtol: Any, *, hermitian: bool) -> Any:
        if x.size == 0:
            return np.swapaxes(x, -1, -2).copy()
        safe, broken = without_nan(x.astype(lapack_dtype(x.dtype), copy=False))
        if hermitian:
            w, u = np.linalg.eigh((safe + np.conj(np.swapaxes(safe, -1, -2))) / 2)
            s, vh = np.abs(w), np.conj(np.swapaxes(u, -1, -2))
            kept = s > rtol[..., None] * s.max(-1, keepdims=True)
            s = w
        else:
            u, s, vh = np.linalg.svd(safe, full_matrices=False)
            kept = s > rtol[..., None] * s[..., :1]
        inverse = np.where(kept, 1, 0) / np.where(kept, s, 1)
        scaled = np.conj(np.swapaxes(vh, -1, -2)) * inverse[..., None, :].astype(s.dtype)
        out = np.matmul(scaled, np.conj(np.swapaxes(u, -1, -2)))
        if broken is not None:
            out[broken] = np.nan
        return out.astype(x.dtype, copy=False)

    def jvp(self, primals: Any, tangents: Any, out: Any, *, hermitian: bool) -> Any:
        # Golub and Pereyra (1973), theorem 4.3, for matrices of constant rank:
        # dP = -P dx P + P P^H dx^H (I - x P) + (I - P x) dx^H P^H P.
        (x, _), (dx, _) = primals, tangents
        if dx is None:
            return None
        if hermitian:
            half = like(x, 0.5)
            x, dx = mul(add(x, adjoint(x)), half), mul(add_any(dx, adjoint(dx)), half)
        p, ph, dxh = out, adjoint(out), adjoint(dx)
        left = matmul(matmul(p, ph), dxh)
        right = matmul(dxh, matmul(ph, p))
        left = sub(left, matmul(matmul(left, x), p))
        right = sub(right, matmul(p, matmul(x, right)))
        return sub(add_any(left, right), matmul(p, matmul(dx, p)))


pinv = Pinv()


class Lstsq(OfMatrices):
    """x for which a x is nearest to b, the shortest of these; the rank of `a`; its singular values.

    Singular values below `rcond` times the largest count as zero.
    """

    multiple_results = True

    def typing(self, a: Any, b: Any, rcond: Any) -> list[ArrayType]:
        check_matrices(self, a)
        check_inexact(self, a, b)
        *stack, m, n = a.shape
        k = b.shape[-1]
        weak = a.weak_type and b.weak_type
        return [
            array_type((*stack, n, k), a.dtype, weak),
            array_type(tuple(stack), dtypes.default_int()),
            array_type((*stack, min(m, n)), dtypes.real_dtype(a.dtype), a.weak_type),
        ]

    def eval(self, a: Any, b: Any, rcond: Any) -> Any:
        safe, broken = without_nan(a.astype(lapack_dtype(a.dtype), copy=False))
        u, s, vh = np.linalg.svd(safe, full_matrices=False)
        kept = (s > 0) & (s >= rcond[..., None] * s[..., :1])
        scale = np.where(kept, 1, 0) / np.where(kept, s, 1)
        inner = np.matmul(np.conj(np.swapaxes(u, -1, -2)), b) * scale[..., None].astype(s.dtype)
        x = np.matmul(np.conj(np.swapaxes(vh, -1, -2)), inner).astype(a.dtype, copy=False)
        if broken is not None:
            x[broken] = np.nan
            s[broken] = np.nan
        rank = np.asarray(kept.sum(-1), dtypes.default_int())
        return [x, rank, s.astype(dtypes.real_dtype(a.dtype), copy=False)]

    def jvp(self, primals: Any, tangents: Any, out: Any) -> list[Any]:
        # x = P b, with the derivative of the pseudo-inverse P as in `pinv`.
        (a, b, rcond), (da, db, _), (x, *_) = primals, tangents, out
        p = pinv(a, rcond, hermitian=False)
        if da is None:
            return [None if db is None else matmul(p, db), None, None]
        ph, dah = adjoint(p), adjoint(da)
        rest = sub(b, matmul(a, x))
        change = matmul(p, matmul(ph, matmul(dah, rest)))
        beyond = matmul(dah, matmul(ph, x))
        change = add_any(change, sub(beyond, matmul(p, matmul(a, beyond))))
        right = matmul(da, x)
        right = sub(zeros_of(right) if db is None else db, right)
        _, u, vh = svd(a, full_matrices=False, compute_uv=True)
        ds = diagonal(matmul(matmul(adjoint(u), da), adjoint(vh)))
        ds = real(ds) if a.dtype.kind == "c" else ds
        return [add_any(change, matmul(p, right)), None, ds]


lstsq = Lstsq()
