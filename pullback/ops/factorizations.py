"""QR and what it is made of: Householder's reflections, stored as LAPACK stores them.

Reflection i is I - tau_i v_i v_i^H, where v_i is column i of the matrix `a` with zeros above the
diagonal and 1 on it. Their product is I - V T V^H with an upper triangular T (the "compact WY"
form of Schreiber and Van Loan, 1989): T = D (I + S D)^-1, where D = diag(tau) and S is the part of
V^H V above the diagonal. This holds for tau_i = 0 too, and gives the derivatives.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import dtypes
from ..core.errors import error
from ..core.primitive import NOT_LINEAR, Linear
from ..core.types import ArrayType, array_type
from .comparison import eq
from .contraction import matmul
from .elementwise import add, add_any, like, mul, neg, select_n, sub
from .lapack import each, routine
from .linalg import (
    OfMatrices,
    adjoint,
    check_inexact,
    check_matrices,
    conjugated,
    diagonal,
    first_columns,
    first_rows,
    flip,
    for_columns,
    identity_like,
    lu_factors,
    lu_solve,
    padded,
    permute_rows,
    skew_diagonal,
    solved,
    tril,
    triu,
)
from .reduction import reduce_or
from .slicing import concatenate, slice_along
from .structural import broadcast_in_dim


def check_wide(op: Any, *types: Any) -> None:
    """Raise unless all have one of the dtypes that LAPACK knows."""
    check_inexact(op, *types)
    if types[0].dtype.char not in "fdFD":
        raise error(
            NotImplementedError,
            f"{op.name} is not implemented for floats of half width: LAPACK has no such numbers.",
            got=", ".join(t.str_short() for t in types),
            fix="convert with .astype(jnp.float32), and the result back.",
        )


# ---- QR


class Qr(OfMatrices):
    """q and r with q r = x, q with orthonormal columns, r upper triangular.

    With `full_matrices`, q is square; else it has min(m, n) columns. With `pivoting`, q r is
    x[:, p], where p, the third result, is chosen so that the diagonal of r falls.

    Derivatives hold where the first min(m, n) columns (of x[:, p]) are linearly independent;
    elsewhere q is not a smooth function, and they are nan or infinite. The columns that complete
    a basis have the derivative of LAPACK's choice.
    """

    multiple_results = True

    def typing(self, x: Any, *, pivoting: bool, full_matrices: bool) -> list[ArrayType]:
        check_matrices(self, x)
        check_wide(self, x)
        *stack, m, n = x.shape
        k = m if full_matrices else min(m, n)
        found = [x.update(shape=(*stack, m, k)), x.update(shape=(*stack, k, n))]
        return [*found, array_type((*stack, n), dtypes.int32)] if pivoting else found

    def eval(self, x: Any, *, pivoting: bool, full_matrices: bool) -> Any:
        if x.ndim > 2 and x.dtype.char in "dD" and not pivoting and x.size:
            # NumPy's loop over the stack is in C: 0.3 us a matrix, not 12. It has no 32 bits.
            return list(np.linalg.qr(x, "complete" if full_matrices else "reduced"))

        def factor(a: Any) -> list[Any]:
            m, n = a.shape
            k = m if full_matrices else min(m, n)
            if pivoting:
                packed, order, taus = _geqp3(a)
            else:
                packed, taus = _geqrf(a)
            q = np.zeros((m, k), a.dtype)
            width = min(k, n)
            q[:, :width] = packed[:, :width]
            out = [_orgqr(q, taus), packed[:k]]
            return [*out, order] if pivoting else out

        q, r, *order = each(factor, x)
        return [q, np.triu(r), *order]

    def jvp(
        self, primals: Any, tangents: Any, out: Any, *, pivoting: bool, full_matrices: bool
    ) -> list[Any]:
        (dx,) = tangents
        q, r, *order = out
        if pivoting:
            dx = flip(permute_rows(flip(dx), order[0]))
        m, n = dx.shape[-2:]
        k = min(m, n)
        first = first_columns(q, k)
        dq, turn = _basis_tangent(first, first_columns(first_rows(r, k), k), first_columns(dx, k))
        # q^H q r = r, so dr = q^H dx - (q^H dq) r, where all r of the thin form is meant.
        dr = triu(sub(matmul(adjoint(first), dx), matmul(turn, first_rows(r, k))))
        if q.shape[-1] > k:
            rest = _completion_tangent(first, dq, slice_along(q, len(q.shape) - 1, k, m))
            dq = concatenate(dq, rest, dimension=len(q.shape) - 1)
            dr = padded(dr, m - k, 0)
        return [dq, dr, None] if pivoting else [dq, dr]


qr = Qr()


def _basis_tangent(q: Any, r: Any, dx: Any) -> tuple[Any, Any]:
    """The tangent of q, and q^H dq, for x = q r with a square r."""
    # Walter, Lehmann and Lamour, On evaluating higher-order derivatives of the QR decomposition
    # (2012): with c = dx r^-1, the part of q^H c below the diagonal decides q^H dq, which is
    # skew-Hermitian; LAPACK's r has a real diagonal, so that of q^H dq is the imaginary one of c.
    change = solved(r, dx, left=False, lower=False)
    inner = matmul(adjoint(q), change)
    low = tril(inner, -1)
    turn = sub(low, adjoint(low))
    if q.dtype.kind == "c":
        turn = add_any(turn, skew_diagonal(inner))
    outer = sub(change, matmul(q, inner))
    return add_any(outer, matmul(q, turn)), turn


def _completion_tangent(q: Any, dq: Any, rest: Any) -> Any:
    """The tangent of the columns `rest` that LAPACK completes the columns `q` with."""
    # Of q = [q1; q2] (q1 square) and w = I - q1 = V1 T V1^H, the product of reflections has the
    # columns [w y; I - q2 y] with y = w^-H q2^H. Where w is singular (a column was already zero
    # below the diagonal), LAPACK's choice jumps; any smooth choice is as good: rest^H drest = 0.
    n = q.shape[-1]
    axis = len(q.shape) - 2
    q1, dq1 = first_rows(q, n), first_rows(dq, n)
    q2 = slice_along(q, axis, n, q.shape[-2])
    dq2 = slice_along(dq, axis, n, q.shape[-2])
    w = sub(identity_like(q1), q1)
    pivots = diagonal(lu_factors(w)[0])
    singular = reduce_or(eq(pivots, like(pivots, 0)), axes=(len(pivots.shape) - 1,))
    w = select_n(_spread(singular, w), w, identity_like(w))
    wh = adjoint(w)
    factors, _, order = lu_factors(wh)
    y = lu_solve(wh, factors, order, adjoint(q2), trans=0)
    right = add_any(adjoint(dq2), matmul(adjoint(dq1), y))
    dy = lu_solve(wh, factors, order, right, trans=0)
    upper = sub(matmul(w, dy), matmul(dq1, y))
    lower = neg(add_any(matmul(dq2, y), matmul(q2, dy)))
    smooth = neg(matmul(q, matmul(adjoint(dq), rest)))
    exact = concatenate(upper, lower, dimension=axis)
    return select_n(_spread(singular, rest), exact, smooth)


def _spread(mask: Any, x: Any) -> Any:
    """A mask of matrices for all of their elements."""
    dims = tuple(range(len(x.shape) - 2))
    return broadcast_in_dim(mask, shape=x.shape, broadcast_dimensions=dims)


def _geqrf(a: Any) -> list[Any]:
    m, n = a.shape
    if min(m, n) == 0:
        return [a.copy(), np.zeros(0, a.dtype)]
    packed, taus, _, _ = routine("geqrf", a.dtype)(a, lwork=_work(n))
    return [np.ascontiguousarray(packed), taus]


def _geqp3(a: Any) -> list[Any]:
    m, n = a.shape
    if min(m, n) == 0:
        return [a.copy(), np.arange(n, dtype=np.int32), np.zeros(0, a.dtype)]
    packed, order, taus, _, _ = routine("geqp3", a.dtype)(a, lwork=2 * n + 32 * (n + 1))
    return [np.ascontiguousarray(packed), (order - 1).astype(np.int32), taus]


def _orgqr(a: Any, taus: Any) -> Any:
    m, n = a.shape
    if n == 0 or m == 0:
        return a.copy()
    if taus.size == 0:
        return np.eye(m, n, dtype=a.dtype)
    return np.ascontiguousarray(routine("orgqr", a.dtype)(a, taus, lwork=_work(n))[0])


def _work(n: int) -> int:
    """The length of the workspace with which LAPACK works on blocks of 32 columns."""
    return max(1, 32 * n)


# ---- reflections


class Geqrf(OfMatrices):
    """The QR decomposition as LAPACK stores it: r and the reflections in one matrix, and taus."""

    multiple_results = True

    def typing(self, x: Any) -> list[ArrayType]:
        check_matrices(self, x)
        check_wide(self, x)
        *stack, m, n = x.shape
        return [x, x.update(shape=(*stack, min(m, n)))]

    def eval(self, x: Any) -> Any:
        return each(_geqrf, x)

    def jvp(self, primals: Any, tangents: Any, out: Any) -> list[Any]:
        (packed, taus), (dx,) = out, tangents
        m, n = dx.shape[-2:]
        k = min(m, n)
        v, t = compact(first_columns(packed, k), taus)
        q = sub(_eye_columns(v), matmul(v, matmul(t, adjoint(first_rows(v, k)))))
        r = triu(first_rows(packed, k))
        dq, turn = _basis_tangent(q, first_columns(r, k), first_columns(dx, k))
        dr = triu(sub(matmul(adjoint(q), dx), matmul(turn, r)))
        dv, dtaus = _reflection_tangents(v, t, dq)
        return [add_any(padded(dr, m - k, 0), padded(dv, 0, n - k)), dtaus]


geqrf = Geqrf()


def _reflection_tangents(v: Any, t: Any, dq: Any) -> tuple[Any, Any]:
    """Tangents of the reflections and of taus, from that of the first columns of their product."""
    # E - q = V (T V1^H), where E is the first columns of the identity matrix and V1 the first rows
    # of V: these are its factors L and U, and taus are the diagonal of U.
    k = v.shape[-1]
    axis = len(v.shape) - 2
    v1, f = first_rows(v, k), neg(dq)
    u = matmul(t, adjoint(v1))
    zero = eq(u, like(u, 0))
    u = triu(select_n(zero, u, identity_like(u)))  # tau = 0: no reflection, and no derivative
    inner = solved(v1, first_rows(f, k), lower=True, unit=True)
    below = tril(solved(u, inner, left=False, lower=False), -1)
    du = triu(sub(inner, matmul(below, u)))
    dv = matmul(v1, below)
    if v.shape[-2] > k:
        v2 = slice_along(v, axis, k, v.shape[-2])
        rest = sub(slice_along(f, axis, k, v.shape[-2]), matmul(v2, du))
        dv = concatenate(dv, solved(u, rest, left=False, lower=False), dimension=axis)
    return tril(dv, -1), diagonal(du)


def _eye_columns(v: Any) -> Any:
    """The first columns of the identity matrix, in the shape of `v`."""
    m, k = v.shape[-2:]
    return padded(identity_like(first_rows(v, k)), m - k, 0)


def compact(a: Any, taus: Any) -> tuple[Any, Any]:
    """V and T of the reflections stored in `a`, which has as many columns as there are taus."""
    v = add(tril(a, -1), _eye_columns(a))
    s = triu(matmul(adjoint(v), v), 1)
    m = add(identity_like(s), mul(s, for_columns(taus, s)))
    d = mul(identity_like(s), for_columns(taus, s))
    return v, solved(m, d, left=False, lower=False, unit=True)


def _compact_tangents(v: Any, t: Any, taus: Any, da: Any, dtaus: Any) -> tuple[Any, Any]:
    """The tangents of V and T; those of `a` and `taus` may be None, but not both."""
    dv = None if da is None else tril(da, -1)
    eye = identity_like(t)
    change: Any = None
    if dtaus is not None:
        s = triu(matmul(adjoint(v), v), 1)
        spread = for_columns(dtaus, s)
        change = sub(mul(eye, spread), matmul(t, mul(s, spread)))
    if dv is not None:
        pair = matmul(adjoint(v), dv)
        ds = triu(add_any(pair, adjoint(pair)), 1)
        part = neg(matmul(t, mul(ds, for_columns(taus, ds))))
        change = part if change is None else add_any(change, part)
    s = triu(matmul(adjoint(v), v), 1)
    m = add(eye, mul(s, for_columns(taus, s)))
    return dv, solved(m, change, left=False, lower=False, unit=True)


def _check_taus(op: Any, a: Any, taus: Any) -> None:
    fits = len(taus.shape) == len(a.shape) - 1 and taus.shape[:-1] == a.shape[:-2]
    if not fits or taus.shape[-1] > min(a.shape[-2:]):
        raise error(
            ValueError,
            f"{op.name} takes reflections of shape (..., m, n) and taus of shape (..., k), where k "
            "is at most m and n.",
            got=f"a: {a.str_short()}, taus: {taus.str_short()}",
            fix="give both as geqrf, or qr with mode='raw' (which transposes a), gives them.",
        )


class HouseholderProduct(OfMatrices):
    """The first columns of the product of the reflections, as many as `a` has."""

    def typing(self, a: Any, taus: Any) -> ArrayType:
        check_matrices(self, a)
        check_wide(self, a, taus)
        if a.shape[-2] < a.shape[-1]:
            raise error(
                ValueError,
                "householder_product takes a matrix with at least as many rows as columns.",
                got=a.str_short(),
                fix="give the first columns: a[..., :a.shape[-2]].",
            )
        _check_taus(self, a, taus)
        return a.update(weak_type=a.weak_type and taus.weak_type)

    def eval(self, a: Any, taus: Any) -> Any:
        return each(lambda a, taus: [_orgqr(a, taus)], a, taus, ranks=(2, 1))[0]

    def jvp(self, primals: Any, tangents: Any, out: Any) -> Any:
        (a, taus), (da, dtaus) = primals, tangents
        k, n = taus.shape[-1], a.shape[-1]
        da = None if da is None else first_columns(da, k)
        v, t = compact(first_columns(a, k), taus)
        dv, dt = _compact_tangents(v, t, taus, da, dtaus)
        ends = adjoint(first_rows(v, n))
        total = matmul(v, matmul(dt, ends))
        if dv is not None:
            total = add_any(total, matmul(dv, matmul(t, ends)))
            total = add_any(total, matmul(v, matmul(t, adjoint(first_rows(dv, n)))))
        return neg(total)


householder_product = HouseholderProduct()


class Ormqr(OfMatrices):
    """q c, or c q unless `left`, where q is the whole product of reflections; q^H if `transpose`.

    q is never made.
    """

    def typing(self, a: Any, taus: Any, c: Any, *, left: bool, transpose: bool) -> ArrayType:
        check_matrices(self, a)
        check_matrices(self, c)
        check_wide(self, a, taus, c)
        _check_taus(self, a, taus)
        same_stack = c.shape[:-2] == a.shape[:-2]
        if not same_stack or c.shape[-2 if left else -1] != a.shape[-2]:
            raise error(
                ValueError,
                f"ormqr takes c with as many {'rows' if left else 'columns'} as the matrix of "
                "reflections has rows.",
                got=f"a: {a.str_short()}, c: {c.str_short()}, left={left}",
                fix="with left=False c stands on the left: c @ q.",
            )
        return array_type(c.shape, c.dtype, a.weak_type and taus.weak_type and c.weak_type)

    def eval(self, a: Any, taus: Any, c: Any, *, left: bool, transpose: bool) -> Any:
        trans = ("C" if a.dtype.kind == "c" else "T") if transpose else "N"

        def multiply(a: Any, taus: Any, c: Any) -> list[Any]:
            k = taus.shape[0]
            if c.size == 0 or k == 0:
                return [c.copy()]
            size = 32 * max(c.shape[1] if left else c.shape[0], 1) + 65 * 64
            call = routine("ormqr", a.dtype)
            return [np.ascontiguousarray(call("RL"[left], trans, a[:, :k], taus, c, size)[0])]

        return each(multiply, a, taus, c, ranks=(2, 1, 2))[0]

    def jvp(self, primals: Any, tangents: Any, out: Any, *, left: bool, transpose: bool) -> Any:
        (a, taus, c), (da, dtaus, dc) = primals, tangents
        found = None if dc is None else ormqr(a, taus, dc, left=left, transpose=transpose)
        if da is None and dtaus is None:
            return found
        k = taus.shape[-1]
        v, t = compact(first_columns(a, k), taus)
        da = None if da is None else first_columns(da, k)
        dv, dt = _compact_tangents(v, t, taus, da, dtaus)
        if transpose:
            t, dt = adjoint(t), adjoint(dt)

        def product(x: Any, y: Any, z: Any) -> Any:
            """x y z^H times c, or c times it, with narrow matrices first."""
            zh = adjoint(z)
            if left:
                return matmul(x, matmul(y, matmul(zh, c)))
            return matmul(matmul(matmul(c, x), y), zh)

        change = product(v, dt, v)
        if dv is not None:
            change = add_any(change, add_any(product(dv, t, v), product(v, t, dv)))
        return sub(found, change) if found is not None else neg(change)

    def transpose(  # type: ignore[override]
        self, ct: Any, a: Any, taus: Any, c: Any, *, left: bool, transpose: bool
    ) -> list[Any]:
        if type(a) is Linear or type(taus) is Linear:
            return NOT_LINEAR(ct, a, taus, c)
        # The transpose of q is the conjugated q^H.
        back = ormqr(a, taus, conjugated(ct), left=left, transpose=not transpose)
        return [None, None, conjugated(back)]


ormqr = Ormqr()
