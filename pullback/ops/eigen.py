"""Eigenvalues and eigenvectors."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import dtypes
from ..core.errors import error
from ..core.types import ArrayType, array_type
from .comparison import eq
from .contraction import matmul
from .elementwise import (
    add_any,
    complex_,
    convert_element_type,
    div,
    imag,
    mul,
    real,
    select_n,
    sub,
)
from .factorizations import check_wide
from .lapack import each, routine, without_nan
from .linalg import (
    OfMatrices,
    adjoint,
    check_square,
    conjugated,
    diagonal,
    for_columns,
    for_rows,
    lu_factors,
    lu_solve,
)
from .reduction import argmax
from .rounding import abs_
from .slicing import pad, slice_along
from .spectral import check_subset, inverse_gaps
from .structural import iota, reduce_sum, zero_like, zeros_of


class Eigh(OfMatrices):
    """Vectors v and values w with x v = v diag(w), for Hermitian x; w does not fall.

    Only one triangle of x is read, the lower one if `lower`; its tangents are taken to be Hermitian
    too, so that a gradient is spread over both triangles. `subset_by_index` leaves only the values
    and vectors of these places.

    Derivatives of the values always exist: of equal ones they are those of one choice of vectors,
    so that symmetric functions of them, such as their sum, have the right derivative. Vectors have
    a free sign or phase, which is taken not to change. Vectors of equal values may turn among
    themselves, and their derivative is infinite or nan: whatever the turn were taken to be,
    v f(w) v^H would have a wrong derivative for some f, and nobody would see it.
    """

    multiple_results = True

    def typing(
        self,
        x: Any,
        *,
        lower: bool,
        sort_eigenvalues: bool,
        subset_by_index: tuple[int, int] | None,
    ) -> list[ArrayType]:
        check_square(self, x)
        check_wide(self, x)
        *stack, n, _ = x.shape
        check_subset(self, subset_by_index, n)
        k = n if subset_by_index is None else subset_by_index[1] - subset_by_index[0]
        values = array_type((*stack, k), dtypes.real_dtype(x.dtype), x.weak_type)
        return [x.update(shape=(*stack, n, k)), values]

    def eval(
        self,
        x: Any,
        *,
        lower: bool,
        sort_eigenvalues: bool,
        subset_by_index: tuple[int, int] | None,
    ) -> Any:
        safe, broken = without_nan(x)
        w, v = np.linalg.eigh(safe, "L" if lower else "U")
        if broken is not None:
            v[broken] = np.nan
            w[broken] = np.nan
        if subset_by_index is None:
            return [v, w]
        part = slice(*subset_by_index)
        return [v[..., part], w[..., part]]

    def jvp(
        self,
        primals: Any,
        tangents: Any,
        out: Any,
        *,
        subset_by_index: tuple[int, int] | None,
        **params: Any,
    ) -> list[Any]:
        (x,), (dx,), (some_v, some_w) = primals, tangents, out
        v, w, start = some_v, some_w, 0
        if subset_by_index is not None and v.shape[-1] != v.shape[-2]:
            v, w = eigh(x, subset_by_index=None, **params)
            start = subset_by_index[0]
        dw, dv = _hermitian_tangents(v, w, matmul(dx, some_v), some_w, start)
        return [dv, dw]


eigh = Eigh()


def _hermitian_tangents(v: Any, w: Any, moved: Any, some_w: Any, start: int) -> tuple[Any, Any]:
    """Tangents of a part of all values and vectors: of `some_w`, which are w[start:].

    `moved` is the product of the matrix' tangent with the vectors of this part.
    """
    # x v = v w gives, at i, j of v^H dx v = P: dw = P where i = j, else (v^H dv) = P / (w_j - w_i).
    change = matmul(adjoint(v), moved)
    gaps = sub(for_columns(some_w, change), for_rows(w, change))
    dw = diagonal(change, -start)
    dw = real(dw) if dw.dtype.kind == "c" else dw
    return dw, matmul(v, mul(change, inverse_gaps(gaps, start)))


# ---- tridiagonal matrices


class EighTridiagonal(OfMatrices):
    """Values and vectors of the real symmetric matrix with diagonal `d` and `e` beside it.

    The values do not fall. Where two are equal, which takes a zero in `e`, derivatives are those
    that `eigh` has.
    """

    multiple_results = True

    def typing(self, d: Any, e: Any) -> list[ArrayType]:
        check_wide(self, d, e)
        n = d.shape[-1] if d.shape else 0
        if d.dtype.kind == "c" or not d.shape or e.shape != (*d.shape[:-1], max(n - 1, 0)):
            raise error(
                ValueError if d.dtype.kind != "c" else TypeError,
                "eigh_tridiagonal takes a real diagonal of shape (..., n), and n - 1 numbers "
                "beside it.",
                got=f"d: {d.str_short()}, e: {e.str_short()}",
                fix="check the lengths; make complex numbers beside the diagonal real.",
            )
        weak = d.weak_type and e.weak_type
        values = array_type(d.shape, d.dtype, weak)
        return [values, array_type((*d.shape, n), d.dtype, weak)]

    def eval(self, d: Any, e: Any) -> Any:
        def solve(d: Any, e: Any) -> list[Any]:
            n = d.shape[0]
            bad = not (np.isfinite(d).all() and np.isfinite(e).all())
            if n <= 1 or bad:
                fill = d.dtype.type(np.nan if bad else 1)
                return [d + (fill if bad else 0), np.full((n, n), fill)]
            # stevd asks for the off-diagonal in an array of any length from n - 1 on.
            w, v, _ = routine("stevd", d.dtype)(d, e)
            return [w, np.ascontiguousarray(v)]

        return each(solve, d, e, ranks=(1, 1))

    def jvp(self, primals: Any, tangents: Any, out: Any) -> list[Any]:
        (dd, de), (w, v) = tangents, out
        n, last = w.shape[-1], len(v.shape) - 2
        change = zeros_of(v) if dd is None else mul(for_rows(dd, v), v)
        if de is not None and n > 1:
            above = slice_along(v, last, 0, n - 1)
            below = slice_along(v, last, 1, n)
            change = add_any(change, _with_rows(mul(for_rows(de, below), below), 0, 1))
            change = add_any(change, _with_rows(mul(for_rows(de, above), above), 1, 0))
        return list(_hermitian_tangents(v, w, change, w, 0))


eigh_tridiagonal = EighTridiagonal()


def _with_rows(x: Any, before: int, after: int) -> Any:
    """Matrices with rows of zeros more."""
    config = ((0, 0, 0),) * (len(x.shape) - 2) + ((before, after, 0), (0, 0, 0))
    return pad(x, zero_like(x), padding_config=config)


# ---- general matrices


class Eig(OfMatrices):
    """Values w and, as asked for, the left and the right vectors of any square matrix.

    x v = v diag(w), and u^H x = diag(w) u^H for the left vectors u. All are complex. Columns have
    norm 1, and their largest component is real. Derivatives of vectors keep that; where two
    components are equally large, they are those of one possible choice. Where two values are
    equal, derivatives of vectors are infinite or nan; and all, where there are fewer than n
    independent vectors.
    """

    multiple_results = True

    def typing(
        self, x: Any, *, compute_left_eigenvectors: bool, compute_right_eigenvectors: bool
    ) -> list[ArrayType]:
        check_square(self, x)
        check_wide(self, x)
        dtype = np.result_type(x.dtype, np.complex64)
        vectors = array_type(x.shape, dtype, x.weak_type)
        count = compute_left_eigenvectors + compute_right_eigenvectors
        return [array_type(x.shape[:-1], dtype, x.weak_type), *[vectors] * count]

    def eval(
        self, x: Any, *, compute_left_eigenvectors: bool, compute_right_eigenvectors: bool
    ) -> Any:
        left, right = compute_left_eigenvectors, compute_right_eigenvectors
        kind = np.result_type(x.dtype, np.complex64)
        if x.ndim > 2 and x.dtype.char in "dD" and not left and x.size:
            # NumPy's loop over the stack is in C: 2 us a matrix, not 15. It has no 32 bits.
            safe, broken = without_nan(x)
            out = list(np.linalg.eig(safe)) if right else [np.linalg.eigvals(safe)]
            out = [y.astype(kind, copy=False) for y in out]
            if broken is not None:
                for y in out:
                    y[broken] = np.nan
            return out

        def solve(a: Any) -> list[Any]:
            count = 1 + left + right
            if not np.isfinite(a).all():
                whole = np.full_like(a, np.nan, kind)
                return [whole[0] * np.nan if a.size else whole[:0, 0], *[whole] * (count - 1)]
            if a.size == 0:
                return [np.zeros(0, kind), *[np.zeros((0, 0), kind)] * (count - 1)]
            geev = routine("geev", a.dtype)
            if a.dtype.kind == "c":
                w, vl, vr, info = geev(a, left, right)
            else:
                wr, wi, vl, vr, info = geev(a, left, right)
                w = (wr + 1j * wi).astype(kind)
                vl, vr = (_paired(v, wi, kind) if on else v for v, on in ((vl, left), (vr, right)))
            out = [w, *([vl] if left else []), *([vr] if right else [])]
            if info:
                return [np.full_like(y, np.nan) for y in out]
            return [np.ascontiguousarray(y) for y in out]

        return each(solve, x)

    def jvp(
        self,
        primals: Any,
        tangents: Any,
        out: Any,
        *,
        compute_left_eigenvectors: bool,
        compute_right_eigenvectors: bool,
    ) -> list[Any]:
        (x,), (dx,), (w, *vectors) = primals, tangents, out
        if compute_right_eigenvectors:
            right = vectors[-1]
        else:
            _, right = eig(x, compute_left_eigenvectors=False, compute_right_eigenvectors=True)
        dx = _as_complex(dx, w.dtype)
        change = _in_basis(right, matmul(dx, right))
        found = [diagonal(change)]
        if compute_left_eigenvectors:
            left = vectors[0]
            turned = _in_basis(left, matmul(adjoint(dx), left))
            found.append(_vectors_tangent(left, conjugated(w), turned))
        if compute_right_eigenvectors:
            found.append(_vectors_tangent(right, w, change))
        return found


eig = Eig()


def _paired(v: Any, imaginary: Any, kind: np.dtype) -> Any:
    """The complex vectors that LAPACK returns as pairs of real columns."""
    out = v.astype(kind)
    (first,) = np.nonzero(imaginary > 0)
    out[:, first] = v[:, first] + 1j * v[:, first + 1]
    out[:, first + 1] = np.conj(out[:, first])
    return out


def _as_complex(x: Any, dtype: np.dtype) -> Any:
    if x.dtype == dtype:
        return x
    return convert_element_type(x, new_dtype=dtype, weak_type=x.weak_type)


def _in_basis(v: Any, x: Any) -> Any:
    """v^-1 x"""
    factors, _, order = lu_factors(v)
    return lu_solve(v, factors, order, x, trans=0)


def _vectors_tangent(v: Any, w: Any, change: Any) -> Any:
    """The tangent of vectors of norm 1 whose largest component is real."""
    # x v = v w gives (v^-1 dv) = P / (w_j - w_i) off the diagonal, for P = v^-1 dx v. Then a
    # multiple of each column is taken away, so that its norm stays 1 and the component real.
    if v.shape[-1] == 0:
        return zeros_of(v)
    gaps = sub(for_columns(w, change), for_rows(w, change))
    free = matmul(v, mul(change, inverse_gaps(gaps)))
    axis = len(v.shape) - 2
    along = real(reduce_sum(mul(conjugated(v), free), axes=(axis,)))
    size = abs_(v)
    place = argmax(size, axes=(axis,), index_dtype=dtypes.int32)
    rows = iota(dtype=dtypes.int32, shape=v.shape, dimension=axis)
    chosen = eq(rows, for_columns(place, rows))
    here = reduce_sum(select_n(chosen, zeros_of(v), v), axes=(axis,))
    moved = reduce_sum(select_n(chosen, zeros_of(free), free), axes=(axis,))
    turn = div(imag(moved), real(here))
    return sub(free, mul(v, for_columns(complex_(along, turn), v)))
