"""Eigenvalues of general matrices, and the forms that lead to them, by LAPACK on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ....core.array import HostArray
from ....core.program import Equation
from ....ops.eigen import eig, eigh, eigh_tridiagonal
from ....ops.elementwise import add, mul, real
from ....ops.linalg import constant_matrix, diagonal, for_rows
from ....ops.schur import hessenberg, schur
from ....ops.slicing import pad
from ....ops.structural import broadcast_in_dim, zero_like
from ....ops.tridiagonal import tridiagonal
from ..lowering import Lowering, Rule
from ..text import Result, Word
from .linalg import alias, call
from .matrices import diagonal_matrix, made, sound, where_done, written

_INT = np.dtype(np.int32)


def _letter(on: bool) -> str:
    return f"{ord('V' if on else 'N')} : ui8"


def _eig(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    (x,), p = args, eq.params
    if low.platform != "cpu":
        return low.by_definition(eq, args)
    left, right = p["compute_left_eigenvectors"], p["compute_right_eigenvectors"]
    shape, kind = low.result(eq)
    safe, finite = sound(low, x)
    values = [(shape, x.dtype)] * (1 if x.dtype.kind == "c" else 2)
    results: list[Result] = [*values, (x.shape, kind), (x.shape, kind), (x.shape[:-2], _INT)]
    options = f"compute_left = {_letter(left)}, compute_right = {_letter(right)}"
    *w, u, v, info = call(low, "geev_ffi", [safe], results, options, x.rank)
    if len(w) == 2:
        w = [low.code.op("complex", w, shape, kind)]
    outs = [*w, *([u] if left else []), *([v] if right else [])]
    return [where_done(low, info, y, finite) for y in outs]


def schur_form(low: Lowering, x: Word, vectors: bool = True) -> list[Word]:
    """T, and Z if `vectors`, of x = Z T Z^H; NaN where LAPACK finds none."""
    values = [(x.shape[:-1], x.dtype)] * (1 if x.dtype.kind == "c" else 2)
    count = (x.shape[:-2], _INT)
    safe, finite = sound(low, x)
    results = [(x.shape, x.dtype), (x.shape, x.dtype), *values, count, count]
    options = f"mode = {_letter(vectors)}, sort = {_letter(False)}"
    t, z, *_, info = call(low, "gees_ffi", [safe], results, options, x.rank, alias(0, 0))
    return [where_done(low, info, y, finite) for y in ([t, z] if vectors else [t])]


def _schur(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    if low.platform != "cpu":
        return low.by_definition(eq, args)
    return schur_form(low, args[0], eq.params["compute_schur_vectors"])


def _hessenberg(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    (x,), n = args, args[0].shape[-1]
    if low.platform != "cpu":
        return low.by_definition(eq, args)
    if n == 1:
        return [x, low.code.constant(np.zeros(*low.result(eq, 1)))]
    results = [(x.shape, x.dtype), low.result(eq, 1), (x.shape[:-2], _INT)]
    options = f"low = 1 : i32, high = {n} : i32"
    *outs, info = call(low, "gehrd_ffi", [x], results, options, x.rank, alias(0, 0))
    return [where_done(low, info, y) for y in outs]


def _tridiagonal(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    (x,), n = args, args[0].shape[-1]
    if low.platform != "cpu":
        return low.by_definition(eq, args)
    if n == 1:
        (d,) = written(low, lambda x: [_real(diagonal(x))], x)
        return [x, d, *[low.code.constant(np.zeros(*low.result(eq, k))) for k in (2, 3)]]
    results = [*[low.result(eq, k) for k in range(4)], (x.shape[:-2], _INT)]
    name = "hetrd_ffi" if x.dtype.kind == "c" else "sytrd_ffi"
    options = f"uplo = {ord('L' if eq.params['lower'] else 'U')} : ui8"
    *outs, info = call(low, name, [x], results, options, x.rank, alias(0, 0))
    return [where_done(low, info, y) for y in outs]


def _real(x: Any) -> Any:
    return real(x) if x.dtype.kind == "c" else x


def _eigh_tridiagonal(d: Any, e: Any) -> Any:
    """By the whole matrix: no reflection is needed, so LAPACK does what it does for diagonals."""
    *stack, n = d.shape
    beside = pad(e, zero_like(e), padding_config=(*[(0, 0, 0)] * len(stack), (1, 0, 0)))
    square = broadcast_in_dim(d, shape=(*d.shape, n), broadcast_dimensions=tuple(range(d.ndim)))
    below = constant_matrix(HostArray(np.eye(n, k=-1, dtype=d.dtype)), square.shape)
    whole = add(diagonal_matrix(square, square), mul(below, for_rows(beside, square)))
    v, w = eigh(whole, lower=True, sort_eigenvalues=True, subset_by_index=None)
    return w, v


RULES: dict[Any, Rule] = {
    eig: _eig,
    schur: _schur,
    hessenberg: _hessenberg,
    tridiagonal: _tridiagonal,
    eigh_tridiagonal: made(_eigh_tridiagonal),
}

__all__ = ["RULES", "schur_form"]
