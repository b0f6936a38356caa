"""Equations that come down to triangular matrices, column by column: Sylvester's, square roots,
the derivative of Schur's form. And the complex Schur form from the real one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ....core.array import HostArray
from ....core.program import Equation
from ....ops.comparison import and_, ge, gt, le, max_, ne, not_, or_
from ....ops.contraction import matmul
from ....ops.dynamic import dynamic_slice, dynamic_update_slice
from ....ops.elementwise import add, div, like, mul, real, sub
from ....ops.functions import sqrt
from ....ops.linalg import (
    adjoint,
    conjugated,
    constant_matrix,
    diagonal,
    flip,
    for_columns,
    for_rows,
    solved,
    triu,
)
from ....ops.matrix_functions import rsf2csf, sqrtm, sylvester
from ....ops.reduction import reduce_and, reduce_max, reduce_or
from ....ops.rounding import abs_
from ....ops.schur import commutator_solve
from ....ops.slicing import concatenate, pad, slice_along
from ....ops.structural import broadcast_in_dim, iota, reduce_sum, reshape
from ..lowering import Lowering, Rule
from ..text import Word
from .eigenvalues import schur_form
from .linalg import call
from .matrices import (
    PLATFORMS,
    as_dtype,
    counted,
    diagonal_matrix,
    everywhere,
    for_matrices,
    is_zero,
    on_diagonal,
    place,
    where,
    where_matrices,
    written,
)


def _column(x: Any, j: Any) -> Any:
    """Column j of matrices, as matrices of one column."""
    at = [place(0)] * (len(x.shape) - 1)
    return dynamic_slice(x, *at, j, slice_sizes=(*x.shape[:-1], 1))


def _row(x: Any, j: Any) -> Any:
    at = [place(0)] * (len(x.shape) - 2)
    return dynamic_slice(x, *at, j, place(0), slice_sizes=(*x.shape[:-2], 1, x.shape[-1]))


def _with_column(x: Any, column: Any, j: Any) -> Any:
    return dynamic_update_slice(x, column, *[place(0)] * (len(x.shape) - 1), j)


def _after(x: Any, j: Any, axis: int) -> Any:
    """Where a row (axis -2) or a column of matrices comes after number j."""
    number = iota(dtype=np.dtype(np.int32), shape=x.shape, dimension=len(x.shape) + axis)
    return gt(number, broadcast_in_dim(j, shape=x.shape, broadcast_dimensions=()))


def _spread(x: Any, other: Any) -> Any:
    """Matrices of one element, repeated in the shape of others."""
    rank = len(x.shape)
    number = reshape(x, new_sizes=x.shape[:-2])
    return broadcast_in_dim(number, shape=other.shape, broadcast_dimensions=tuple(range(rank - 2)))


# ---- Sylvester's equation


def _sylvester(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    """In the complex Schur forms r of a and s of b: column k of the solution is known from those
    before it, by (r + s_kk) y_k = right_k - y s_k."""
    if low.platform != "cpu":
        return low.by_definition(eq, args)
    tol, dtype = eq.params["tol"], low.result(eq)[1]
    a, b, c = written(low, lambda *xs: [_as_complex(x) for x in xs], *args)
    r, u = schur_form(low, a)
    s, v = schur_form(low, b)
    right, y = written(low, _turned, u, v, c)

    def step(k: Any, y: Any, r: Any, s: Any, right: Any, least: Any) -> list[Any]:
        column = _column(s, k)
        known = matmul(y, column)  # the columns from k on are still zero
        shift = _spread(_row(column, k), r)
        left = add(r, diagonal_matrix(r, shift))
        left = _with_pivots(left, least)
        found = solved(left, sub(_column(right, k), known), lower=False)
        return [_with_column(y, found, k)]

    (least,) = written(low, _least_pivot, r, s)
    steps = low.code.constant(np.int32(b.shape[-1]))
    (y,) = counted(low, steps, step, [y], [r, s, right, least])

    def finished(r: Any, s: Any, u: Any, v: Any, y: Any) -> list[Any]:
        x = matmul(u, matmul(y, adjoint(v)))
        sums = add(for_rows(diagonal(r), y), for_columns(diagonal(s), y))
        size = abs_(sums)
        rank = len(y.shape)
        apart = reduce_and(ge(size, everywhere(size, tol)), axes=(rank - 2, rank - 1))
        x = x if dtype.kind == "c" else real(x)
        return [where_matrices(apart, x, np.nan)]

    return written(low, finished, r, s, u, v, y)


def _as_complex(x: Any) -> Any:
    return as_dtype(x, np.result_type(x.dtype, np.complex64))


def _turned(u: Any, v: Any, c: Any) -> list[Any]:
    right = matmul(adjoint(u), matmul(c, v))
    return [right, everywhere(right, 0)]


def _least_pivot(r: Any, s: Any) -> list[Any]:
    """What LAPACK's trsyl takes smaller pivots for."""
    rank = len(r.shape)
    sizes = [reduce_max(abs_(x), axes=(rank - 2, rank - 1)) for x in (r, s)]
    info = np.finfo(sizes[0].dtype)
    size = max_(*sizes)
    least = mul(size, everywhere(size, info.eps / 2))
    return [max_(least, everywhere(least, info.tiny / info.eps))]


def _with_pivots(x: Any, least: Any) -> Any:
    """Triangular matrices without smaller elements on their diagonals."""
    limit = for_matrices(least, x.shape)
    small = and_(le(abs_(x), limit), on_diagonal(x))
    return where(small, as_dtype(limit, x.dtype), x)


# ---- the derivative of Schur's form


def _commutator_solve(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    if low.platform not in PLATFORMS:
        return low.by_definition(eq, args)
    turned, n = eq.params["transposed"], args[0].shape[-1]

    def step(i: Any, x: Any, t: Any, m: Any) -> list[Any]:
        j = sub(place(n - 2), i) if turned else i
        known = matmul(x, flip(_row(t, j)) if turned else _column(t, j))
        own = _spread(_row(_column(t, j), j), t)
        inner = and_(_after(t, j, -2), _after(t, j, -1))
        left = where(inner, sub(diagonal_matrix(t, own), t), diagonal_matrix(t, 1))
        right = sub(_column(m, j), known)
        right = where(_after(right, j, -2), right, 0)
        return [_with_column(x, solved(left, right, lower=False, turned=turned), j)]

    def begin(m: Any) -> list[Any]:
        return [everywhere(m, 0)]

    def finished(t: Any, x: Any) -> list[Any]:
        below = diagonal(t, -1)
        none = reduce_and(is_zero(below), axes=(len(below.shape) - 1,))
        return [where_matrices(none, x, np.nan)]

    t, m = args
    steps = low.code.constant(np.int32(n - 1))
    found = counted(low, steps, step, written(low, begin, m), [t, m])
    return written(low, finished, t, *found)


# ---- square roots


def _sqrtm(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    """Bjorck and Hammarling (1983): of column j of the triangular root r, (r' + r_jj) x = t_j,
    where r' is the part of r before it."""
    if low.platform != "cpu":
        return low.by_definition(eq, args)
    n = args[0].shape[-1]
    t, z = schur_form(low, written(low, lambda x: [_as_complex(x)], *args)[0])

    def begin(t: Any) -> list[Any]:
        roots = diagonal_matrix(t, for_rows(sqrt(diagonal(t)), t))
        return [roots, reduce_or(ne(diagonal(t), diagonal(t)), axes=(len(t.shape) - 2,))]

    def step(i: Any, r: Any, none: Any, t: Any) -> list[Any]:
        j = add(i, place(1))
        old = _column(r, j)
        left = add(r, diagonal_matrix(r, _spread(_row(old, j), r)))
        own = on_diagonal(r)
        before = not_(_after(r, i, -2))  # the rows before j
        zero = and_(own, and_(before, is_zero(left)))
        # Where the sum of two roots is 0, so must be what is left; rows from j on are solved for 0.
        unit = where(before, zero, own)
        left = where(unit, everywhere(left, 1), left)
        right = _column(t, j)
        first = not_(_after(right, i, -2))
        found = solved(left, where(first, right, 0), lower=False)
        rank = len(r.shape)
        missing = and_(reduce_or(zero, axes=(rank - 1,)), _is_not_zero(found))
        none = or_(none, reduce_or(missing, axes=(rank - 2,)))
        return [_with_column(r, where(first, found, old), j), none]

    def finished(z: Any, r: Any, none: Any) -> list[Any]:
        return [where_matrices(not_(none), matmul(z, matmul(r, adjoint(z))), np.nan)]

    steps = low.code.constant(np.int32(n - 1))
    state = counted(low, steps, step, written(low, begin, t), [t])
    return written(low, finished, z, *state)


def _is_not_zero(x: Any) -> Any:
    """Which of the elements of a column are not 0, as a list."""
    return reshape(ne(x, everywhere(x, 0)), new_sizes=x.shape[:-1])


# ---- from the real to the complex Schur form


def _rsf2csf(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    """A rotation for each block of two rows; blocks have no row in common, so all turn at once."""
    if low.platform != "cpu":
        return low.by_definition(eq, args)
    t, z = written(low, lambda *xs: [_as_complex(x) for x in xs], *args)
    if t.shape[-1] == 1:
        return [t, z]
    (blocks,) = written(low, _blocks, t)
    values, info = (blocks.shape[:-1], t.dtype), (blocks.shape[:-2], np.dtype(np.int32))
    options = f"compute_left = {ord('N')} : ui8, compute_right = {ord('N')} : ui8"
    vectors = (blocks.shape, t.dtype)
    w, *_ = call(low, "geev_ffi", [blocks], [values, vectors, vectors, info], options, blocks.rank)
    return written(low, _turned_blocks, t, z, w)


def _blocks(t: Any) -> list[Any]:
    """The matrices of two rows along the diagonals."""
    last = len(t.shape) - 1
    n = t.shape[-1]
    d = diagonal(t)
    upper = [slice_along(d, last - 1, 0, n - 1), diagonal(t, 1)]
    lower = [diagonal(t, -1), slice_along(d, last - 1, 1, n)]
    flat = [reshape(x, new_sizes=(*x.shape, 1)) for x in (*upper, *lower)]
    return [reshape(concatenate(*flat, dimension=last), new_sizes=(*t.shape[:-2], n - 1, 2, 2))]


def _turned_blocks(t: Any, z: Any, w: Any) -> list[Any]:
    # With the first eigenvalue of a block, mu = w - t_22 and t_21 make a rotation, as in SciPy.
    rank, n = len(t.shape), t.shape[-1]
    below, d = diagonal(t, -1), diagonal(t)
    first, second = (slice_along(d, rank - 2, i, n - 1 + i) for i in (0, 1))
    mu = sub(reduce_sum(slice_along(w, rank - 1, 0, 1), axes=(rank - 1,)), second)
    size = add(abs_(first), abs_(second))
    turns = gt(abs_(below), mul(size, everywhere(size, np.finfo(np.float64).eps)))
    parts = [abs_(mu), abs_(below)]
    norm = sqrt(add(mul(parts[0], parts[0]), mul(parts[1], parts[1])))
    norm = as_dtype(where(turns, norm, 0), t.dtype)
    safe = where(turns, norm, 1)
    c = where(turns, div(mu, safe), 1)
    s = where(turns, div(below, safe), 0)
    g = diagonal_matrix(t, for_rows(mul(_longer(conjugated(c), 0, 1), _longer(c, 1, 1)), t))
    g = add(g, mul(_beside(t, 1), for_rows(_longer(s, 0, 0), t)))
    g = sub(g, mul(_beside(t, -1), for_rows(_longer(s, 1, 0), t)))
    back = adjoint(g)
    return [triu(matmul(matmul(g, t), back)), matmul(z, back)]


def _longer(x: Any, before: int, value: int) -> Any:
    """Numbers with one more, before them or after."""
    config = (*[(0, 0, 0)] * (len(x.shape) - 1), (before, 1 - before, 0))
    return pad(x, like(x, value), padding_config=config)


def _beside(x: Any, k: int) -> Any:
    """Ones on diagonal k of matrices."""
    n = x.shape[-1]
    return constant_matrix(HostArray(np.eye(n, k=k, dtype=x.dtype)), x.shape)


RULES: dict[Any, Rule] = {
    sylvester: _sylvester,
    commutator_solve: _commutator_solve,
    sqrtm: _sqrtm,
    rsf2csf: _rsf2csf,
}

__all__ = ["RULES"]
