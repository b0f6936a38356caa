"""Schur's and Hessenberg's forms of a square matrix."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.errors import error
from ..core.primitive import NOT_LINEAR, Absent, Linear
from ..core.types import ArrayType
from .contraction import matmul
from .elementwise import sub
from .factorizations import check_wide
from .lapack import each, routine
from .linalg import OfMatrices, adjoint, check_square, flip, triu
from .structural import zeros_of


class Schur(OfMatrices):
    """T, and with `compute_schur_vectors` the unitary Z, with x = Z T Z^H.

    T of a complex matrix is upper triangular. That of a real matrix is real, and has a block of
    two rows on its diagonal for each pair of complex eigenvalues.

    Columns of Z have any phase, or sign: it is taken to stay as it is. So what does not depend on
    it has the right derivative where all eigenvalues differ and T is triangular; elsewhere
    derivatives are infinite or nan.
    """

    multiple_results = True

    def typing(
        self, x: Any, *, compute_schur_vectors: bool, sort_eig_vals: bool, select_callable: Any
    ) -> list[ArrayType]:
        check_square(self, x)
        check_wide(self, x)
        if sort_eig_vals:
            raise error(
                NotImplementedError,
                "schur does not sort eigenvalues.",
                got="sort_eig_vals=True",
                fix="leave it out.",
            )
        return [x, x] if compute_schur_vectors else [x]

    def eval(
        self, x: Any, *, compute_schur_vectors: bool, sort_eig_vals: bool, select_callable: Any
    ) -> Any:
        def factor(a: Any) -> list[Any]:
            t, z = schur_form(a)
            return [t, z] if compute_schur_vectors else [t]

        return each(factor, x)

    def jvp(
        self, primals: Any, tangents: Any, out: Any, *, compute_schur_vectors: bool, **params: Any
    ) -> list[Any]:
        # With the skew-Hermitian X = Z^H dZ: Z^H dx Z = dT + X T - T X. Below the diagonal there is
        # no dT, and only the part of X below the diagonal.
        (x,), (dx,) = primals, tangents
        t, z = out if compute_schur_vectors else schur(x, compute_schur_vectors=True, **params)
        change = matmul(adjoint(z), matmul(dx, z))
        below = commutator_solve(t, change, transposed=False)
        turn = sub(below, adjoint(below))
        dt = triu(sub(change, sub(matmul(turn, t), matmul(t, turn))))
        return [dt, matmul(z, turn)] if compute_schur_vectors else [dt]


schur = Schur()


class CommutatorSolve(OfMatrices):
    """The strictly lower triangular x for which x t - t x has the part of `m` below the diagonal.

    `t` is upper triangular; where it is not, x is nan. With `transposed`, it is the solution of
    the transposed system, x t^T - t^T x.
    """

    def typing(self, t: Any, m: Any, *, transposed: bool) -> ArrayType:
        check_square(self, t)
        check_wide(self, t, m)
        return m.update(weak_type=t.weak_type and m.weak_type)

    def eval(self, t: Any, m: Any, *, transposed: bool) -> Any:
        def solve(t: Any, m: Any) -> list[Any]:
            n = len(t)
            x = np.zeros_like(m)
            if np.diagonal(t, -1).any():
                return [np.full_like(m, np.nan)]
            trsm: Any = routine("trsm", t.dtype)
            # Column by column: (t_jj - t') x_j is known from the columns before, or after.
            for j in reversed(range(n - 1)) if transposed else range(n - 1):
                known = x[j + 1 :] @ t[j] if transposed else x[j + 1 :] @ t[:, j]
                left = t[j, j] * np.eye(n - 1 - j, dtype=t.dtype) - t[j + 1 :, j + 1 :]
                right = (m[j + 1 :, j] - known)[:, None]
                x[j + 1 :, j] = trsm(1.0, left, right, trans_a=int(transposed))[:, 0]
            return [x]

        return each(solve, t, m)[0]

    def jvp(self, primals: Any, tangents: Any, out: Any, *, transposed: bool) -> Any:
        (t, _), (dt, right) = primals, tangents
        if dt is not None:
            dt = flip(dt) if transposed else dt
            change = sub(matmul(out, dt), matmul(dt, out))
            right = sub(zeros_of(change) if right is None else right, change)
        return commutator_solve(t, right, transposed=transposed)

    def transpose(self, ct: Any, t: Any, m: Any, *, transposed: bool) -> list[Any]:
        if type(t) is Linear:
            return NOT_LINEAR(ct, t, m)
        return [None, commutator_solve(t, ct, transposed=not transposed)]


commutator_solve = CommutatorSolve()


def schur_form(a: Any) -> tuple[Any, Any]:
    """T and Z of one matrix; nan where LAPACK finds none."""
    if a.size == 0:
        return a.copy(), a.copy()
    if not np.isfinite(a).all():
        return np.full_like(a, np.nan), np.full_like(a, np.nan)
    t, *_, z, _, info = routine("gees", a.dtype)(_no_order, a, lwork=max(1, 8 * a.shape[0]))
    if info:
        return np.full_like(a, np.nan), np.full_like(a, np.nan)
    return np.ascontiguousarray(t), np.ascontiguousarray(z)


def _no_order(*eigenvalue: Any) -> None:
    """Which eigenvalues come first: LAPACK asks for it, and does not call it."""


class Hessenberg(OfMatrices):
    """x as Q H Q^H, with zeros below the diagonal that is below the main one of H.

    The results are H, with the reflections that make Q in place of these zeros, and taus.
    """

    multiple_results = True

    def typing(self, x: Any) -> list[ArrayType]:
        check_square(self, x)
        check_wide(self, x)
        *stack, n, _ = x.shape
        return [x, x.update(shape=(*stack, max(n - 1, 0)))]

    def eval(self, x: Any) -> Any:
        def reduce(a: Any) -> list[Any]:
            n = a.shape[0]
            if n <= 1:
                return [a.copy(), np.zeros(0, a.dtype)]
            packed, taus, info = routine("gehrd", a.dtype)(a, lwork=32 * n)
            out = [np.ascontiguousarray(packed), taus]
            return [np.full_like(y, np.nan) for y in out] if info else out

        return each(reduce, x)

    jvp = Absent("the reflections have no derivative that is worth its cost")


hessenberg = Hessenberg()
