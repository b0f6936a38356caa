"""Systems with tridiagonal matrices, and the reduction of symmetric matrices to them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import dtypes
from ..core.errors import error
from ..core.primitive import NOT_LINEAR, Absent, Linear
from ..core.types import ArrayType, array_type
from .elementwise import add_any, mul, neg, sub
from .factorizations import check_wide
from .lapack import each, routine
from .linalg import OfMatrices, as_more_sides, check_square, for_rows
from .slicing import pad
from .structural import zero_like


class TridiagonalSolve(OfMatrices):
    """x with A x = b for the tridiagonal A with `dl` below the diagonal, `d` on it, `du` above.

    All three have one number for each row: row i of A has dl[i], d[i] and du[i]. So dl[0] and
    du[-1] are not in the matrix, and are not read. A singular matrix gives nan; with
    `perturb_singular`, a tiny pivot is replaced by eps times the largest one.
    """

    def typing(self, dl: Any, d: Any, du: Any, b: Any, *, perturb_singular: bool) -> ArrayType:
        check_wide(self, dl, d, du, b)
        same = dl.shape == d.shape == du.shape and d.shape
        if not same or len(b.shape) < 2 or b.shape[:-1] != d.shape:
            raise error(
                TypeError,
                "tridiagonal_solve takes three diagonals of shape (..., m) and b of shape "
                "(..., m, n).",
                got=", ".join(t.str_short() for t in (dl, d, du, b)),
                fix="begin dl and end du with a 0; give b[:, None] for a vector.",
            )
        weak = all(t.weak_type for t in (dl, d, du, b))
        return array_type(b.shape, b.dtype, weak)

    def eval(self, dl: Any, d: Any, du: Any, b: Any, *, perturb_singular: bool) -> Any:
        def solve(dl: Any, d: Any, du: Any, b: Any) -> list[Any]:
            if b.size == 0:
                return [b.copy()]
            if perturb_singular:
                return [_eliminated(dl, d, du, b)]
            if d.shape[0] == 1:
                with np.errstate(all="ignore"):
                    return [b / d[:, None]]
            *_, x, info = routine("gtsv", b.dtype)(dl[1:], d, du[:-1], b)
            return [np.full_like(b, np.nan) if info else np.ascontiguousarray(x)]

        return each(solve, dl, d, du, b, ranks=(1, 1, 1, 2))[0]

    def jvp(self, primals: Any, tangents: Any, out: Any, **params: Any) -> Any:
        (dl, d, du, _), (t_dl, t_d, t_du, right) = primals, tangents
        terms = []
        if t_d is not None:
            terms.append(mul(for_rows(t_d, out), out))
        if t_dl is not None:
            above = _shifted(out, 1)
            terms.append(mul(for_rows(t_dl, above), above))
        if t_du is not None:
            below = _shifted(out, -1)
            terms.append(mul(for_rows(t_du, below), below))
        change: Any = None
        for term in terms:
            change = term if change is None else add_any(change, term)
        if change is not None:
            right = neg(change) if right is None else sub(right, change)
        return tridiagonal_solve(dl, d, du, right, **params)

    def transpose(self, ct: Any, dl: Any, d: Any, du: Any, b: Any, **params: Any) -> list[Any]:
        if any(type(x) is Linear for x in (dl, d, du)):
            return NOT_LINEAR(ct, dl, d, du, b)
        turned = tridiagonal_solve(_along(du, 1), d, _along(dl, -1), ct, **params)
        return [None, None, None, turned]

    def vmap(self, size: int, args: Any, axes: Any, **params: Any) -> Any:
        *diagonals, b = args
        if all(at is None for at in axes[:3]):
            # One matrix for all: further columns of one right-hand side.
            return as_more_sides(
                b, axes[3], True, lambda b: tridiagonal_solve(*diagonals, b, **params)
            )
        return super().vmap(size, args, axes, **params)


tridiagonal_solve = TridiagonalSolve()


def _shifted(x: Any, by: int) -> Any:
    """The rows of matrices moved down by `by`; zeros come in, and rows at the end go."""
    config = ((0, 0, 0),) * (len(x.shape) - 2) + ((by, -by, 0), (0, 0, 0))
    return pad(x, zero_like(x), padding_config=config)


def _along(v: Any, by: int) -> Any:
    """The numbers of vectors moved by `by` places; zeros come in."""
    config = ((0, 0, 0),) * (len(v.shape) - 1) + ((by, -by, 0),)
    return pad(v, zero_like(v), padding_config=config)


def _eliminated(dl: Any, d: Any, du: Any, b: Any) -> Any:
    """The solution by elimination with row swaps, tiny pivots made larger.

    Of a singular matrix it is a vector in which its null space stands out, as inverse iteration
    wants it.
    """
    n = d.shape[0]
    rows = np.zeros((n, 3), d.dtype)  # row i of U from its diagonal on
    x = b.copy()
    rows[:, 0], rows[:-1, 1] = d, du[:-1]
    size = max(np.abs(d).max(), np.abs(dl[1:]).max(initial=0), np.abs(du[:-1]).max(initial=0))
    least = np.finfo(d.dtype).eps * (size or 1)
    for i in range(n - 1):
        below = np.array([dl[i + 1], rows[i + 1, 0], rows[i + 1, 1]])
        if abs(below[0]) > abs(rows[i, 0]):
            rows[i], below = below, rows[i].copy()
            x[[i, i + 1]] = x[[i + 1, i]]
        if abs(rows[i, 0]) < least:
            rows[i, 0] = least
        factor = below[0] / rows[i, 0]
        rows[i + 1, :2] = below[1:] - factor * rows[i, 1:]
        x[i + 1] -= factor * x[i]
    if abs(rows[-1, 0]) < least:
        rows[-1, 0] = least
    for i in reversed(range(n)):
        for j in range(i + 1, min(i + 3, n)):
            x[i] -= rows[i, j - i] * x[j]
        x[i] /= rows[i, 0]
    return x


class Tridiagonal(OfMatrices):
    """The symmetric or Hermitian `x` as Q T Q^H with a real tridiagonal T, as LAPACK stores it.

    The results are T with the reflections that make Q, T's diagonal, the numbers beside it, and
    taus. Only one triangle is read.
    """

    multiple_results = True

    def typing(self, x: Any, *, lower: bool) -> list[ArrayType]:
        check_square(self, x)
        check_wide(self, x)
        *stack, n, _ = x.shape
        if n == 0:
            raise error(
                ValueError,
                "tridiagonal takes matrices that have rows.",
                got=x.str_short(),
                fix="leave out the call for empty matrices.",
            )
        real = dtypes.real_dtype(x.dtype)
        beside = (*stack, n - 1)
        return [
            x,
            array_type((*stack, n), real, x.weak_type),
            array_type(beside, real, x.weak_type),
            array_type(beside, x.dtype, x.weak_type),
        ]

    def eval(self, x: Any, *, lower: bool) -> Any:
        def reduce(a: Any) -> list[Any]:
            n = a.shape[0]
            if n == 1:
                nothing = np.zeros(0, a.dtype)
                return [a.copy(), np.diagonal(a).real.copy(), nothing.real, nothing]
            packed, d, e, taus, info = routine("sytrd", a.dtype)(a, lower=lower, lwork=32 * n)
            out = [np.ascontiguousarray(packed), d, e, taus]
            return [np.full_like(y, np.nan) for y in out] if info else out

        return each(reduce, x)

    jvp = Absent("the reflections have no derivative that is worth its cost; use eigh")


tridiagonal = Tridiagonal()
