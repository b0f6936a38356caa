"""Schur's and Hessenberg's forms of a square matrix."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.errors import error
from ..core.primitive import Absent
from ..core.types import ArrayType
from .factorizations import check_wide
from .lapack import each, routine
from .linalg import OfMatrices, check_square


class Schur(OfMatrices):
    """T, and with `compute_schur_vectors` the unitary Z, with x = Z T Z^H.

    T of a complex matrix is upper triangular. That of a real matrix is real, and has a block of
    two rows on its diagonal for each pair of complex eigenvalues.
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

    jvp = Absent(
        "LAPACK's order of eigenvalues and its choice of vectors are not smooth; sqrtm, expm and "
        "solve_sylvester have derivatives"
    )


schur = Schur()


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
