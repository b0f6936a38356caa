"""Factorisations and solutions of linear systems, on stacks of matrices: LAPACK, one by one.

A matrix that has no factorisation, or a system without a solution, gives NaN or infinity, as in
XLA, not an exception: others in the same stack may be sound.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from ..core import dtypes
from ..core.array import HostArray
from ..core.errors import error
from ..core.primitive import CORE, NOT_LINEAR, Linear, Primitive
from ..core.trace import type_of
from ..core.types import ArrayType, array_type
from .contraction import matmul
from .elementwise import (
    add,
    add_any,
    conj,
    convert_element_type,
    like,
    mul,
    neg,
    select_n,
    sub,
)
from .indexing import PROMISE_IN_BOUNDS, gather
from .lapack import each, routine
from .slicing import pad, slice_along
from .structural import (
    broadcast_in_dim,
    move_axis,
    reshape,
    to_front,
    transpose,
    zero_like,
    zeros,
    zeros_of,
)
from .windows import GatherDimensionNumbers


class OfMatrices(Primitive, family=True):
    """On the last two axes of each operand; the axes before are stacks."""

    def vmap(self, size: int, args: Any, axes: Any, **params: Any) -> Any:
        moved = [to_front(x, at, size) for x, at in zip(args, axes, strict=True)]
        out = self(*moved, **params)
        return out, [0] * len(out) if self.multiple_results else 0

    transpose: Any = NOT_LINEAR
    lower: Any = CORE


def check_inexact(op: Primitive, *types: Any) -> None:
    """Raise unless all have one float or complex dtype."""
    first = types[0].dtype
    if dtypes.kind(first) in "fc" and all(t.dtype == first for t in types):
        return
    raise error(
        TypeError,
        f"{op.name} takes float or complex matrices, all of one dtype.",
        got=", ".join(t.str_short() for t in types),
        fix="convert with .astype(jnp.float32).",
    )


def check_matrices(op: Primitive, x: Any) -> None:
    """Raise unless `x` is a matrix or a stack of them."""
    if len(x.shape) < 2:
        raise error(
            ValueError,
            f"{op.name} takes a matrix, or a stack of them.",
            got=x.str_short(),
            fix="give an array with at least two axes.",
        )


def check_square(op: Primitive, x: Any) -> None:
    """Raise unless `x` is a square matrix or a stack of them."""
    if len(x.shape) < 2 or x.shape[-1] != x.shape[-2]:
        raise error(
            ValueError,
            f"{op.name} takes a square matrix, or a stack of them: shape (..., n, n).",
            got=x.str_short(),
            fix="check the last two axes.",
        )


# ---- Cholesky


class Cholesky(OfMatrices):
    """The lower triangular L with L L^H = x, for Hermitian positive definite x."""

    def typing(self, x: Any) -> ArrayType:
        check_square(self, x)
        check_inexact(self, x)
        return x

    def eval(self, x: Any) -> Any:
        return each(_cholesky, x)[0]

    def jvp(self, primals: Any, tangents: Any, out: Any) -> Any:
        # Murray, Differentiation of the Cholesky decomposition, arXiv:1602.07527, eq. 8:
        # dL = L phi(L^-1 dA L^-H), phi: the lower triangle, the diagonal halved.
        (dx,) = tangents
        rest = solved(out, dx, left=False, lower=True, turned=True, conjugate=True)
        rest = solved(out, rest, lower=True)
        return matmul(
            out, mul(rest, constant_matrix(half_diagonal(out.shape[-1], out.dtype), out.shape))
        )


cholesky = Cholesky()


def _cholesky(a: Any) -> list[Any]:
    if a.size == 0:
        return [a]
    # Rows of a are LAPACK's columns: U^H U of the transpose of a, so that L = U^T.
    u, info = routine("potrf", a.dtype)(a.T)
    return [u.T if info == 0 else np.tril(np.full_like(a, np.nan))]


@lru_cache(maxsize=64)
def half_diagonal(n: int, dtype: np.dtype) -> HostArray:
    """Ones below the diagonal and halves on it."""
    return HostArray(np.tril(np.full((n, n), 1.0), -1).astype(dtype) + np.eye(n, dtype=dtype) / 2)


def constant_matrix(matrix: HostArray, shape: tuple[int, ...]) -> Any:
    """One matrix, repeated for a stack of them."""
    n = len(shape)
    if n == 2:
        return matrix
    return broadcast_in_dim(matrix, shape=shape, broadcast_dimensions=(n - 2, n - 1))


# ---- triangular systems


class TriangularSolve(OfMatrices):
    """x with op(a) x = b, or x op(a) = b unless `left_side`, for triangular `a`.

    op transposes and conjugates as the parameters say. Only the named triangle of `a` is read, and
    with `unit_diagonal` not its diagonal, which is taken to be 1.
    """

    def typing(self, a: Any, b: Any, *, left_side: bool, **params: Any) -> ArrayType:
        check_square(self, a)
        check_inexact(self, a, b)
        rank = len(a.shape)
        fits = len(b.shape) == rank and b.shape[:-2] == a.shape[:-2]
        if not fits or b.shape[-2 if left_side else -1] != a.shape[-1]:
            side = "(..., n, k)" if left_side else "(..., k, n)"
            raise error(
                ValueError,
                f"triangular_solve takes a of shape (..., n, n) and b of shape {side}, the axes "
                "before the last two equal.",
                got=f"a: {a.str_short()}, b: {b.str_short()}",
                fix="give b a last axis of its own if it is a vector: b[:, None].",
            )
        return array_type(b.shape, b.dtype, a.weak_type and b.weak_type)

    def eval(
        self,
        a: Any,
        b: Any,
        *,
        left_side: bool,
        lower: bool,
        transpose_a: bool,
        conjugate_a: bool,
        unit_diagonal: bool,
    ) -> Any:
        if conjugate_a and not transpose_a and a.dtype.kind == "c":
            a = np.conjugate(a)
        # Rows are BLAS's columns: it is given, and solves, the transposed equation.
        options = (left_side, not lower, transpose_a * (1 + conjugate_a), unit_diagonal)

        def solve(a: Any, b: Any) -> list[Any]:
            if b.size == 0:
                return [b]
            return [routine("trsm", b.dtype)(1.0, a.T, b.T, *options).T]

        return each(solve, a, b)[0]

    def jvp(self, primals: Any, tangents: Any, out: Any, **params: Any) -> Any:
        # op(a) x = b  =>  op(a) dx = db - op(da) x
        (a, _), (da, db) = primals, tangents
        if da is not None:
            da = _op(_triangle_read(da, **params), **params)
            change = matmul(da, out) if params["left_side"] else matmul(out, da)
            db = neg(change) if db is None else sub(db, change)
        return triangular_solve(a, db, **params)

    def transpose(self, ct: Any, a: Any, b: Any, *, transpose_a: bool, **params: Any) -> list[Any]:
        if type(a) is Linear:
            return NOT_LINEAR(ct, a, b)
        return [None, triangular_solve(a, ct, transpose_a=not transpose_a, **params)]

    def vmap(  # type: ignore[override]
        self, size: int, args: Any, axes: Any, *, left_side: bool, **params: Any
    ) -> Any:
        (a, b), (a_at, b_at) = args, axes
        if a_at is None:
            # One matrix for all: further columns, or rows, of one right-hand side.
            return as_more_sides(
                b, b_at, left_side, lambda b: triangular_solve(a, b, left_side=left_side, **params)
            )
        return super().vmap(size, args, axes, left_side=left_side, **params)


triangular_solve = TriangularSolve()


def solved(
    a: Any,
    b: Any,
    *,
    lower: bool,
    left: bool = True,
    turned: bool = False,
    conjugate: bool = False,
    unit: bool = False,
) -> Any:
    """`triangular_solve`, with the usual choices."""
    return triangular_solve(
        a,
        b,
        left_side=left,
        lower=lower,
        transpose_a=turned,
        conjugate_a=conjugate,
        unit_diagonal=unit,
    )


def as_more_sides(b: Any, at: int, columns: bool, solve: Any) -> Any:
    """`solve` of right-hand sides mapped over axis `at`, all put into one matrix."""
    place = len(b.shape) - (1 if columns else 2)
    moved = move_axis(b, at, place)
    shape = moved.shape
    if columns:
        merged = (*shape[:-2], shape[-2] * shape[-1])
    else:
        merged = (*shape[:-3], shape[-3] * shape[-2], shape[-1])
    return reshape(solve(reshape(moved, new_sizes=merged)), new_sizes=shape), place


def _triangle_read(da: Any, *, lower: bool, unit_diagonal: bool, **params: Any) -> Any:
    """The part of a tangent of the matrix that a triangular solve reads."""
    if lower:
        return tril(da, -1 if unit_diagonal else 0)
    return triu(da, 1 if unit_diagonal else 0)


def _op(a: Any, *, transpose_a: bool, conjugate_a: bool, **params: Any) -> Any:
    if transpose_a:
        a = flip(a)
    return conjugated(a) if conjugate_a else a


def flip(x: Any) -> Any:
    """The transposed matrices."""
    rank = len(x.shape)
    return transpose(x, permutation=(*range(rank - 2), rank - 1, rank - 2))


def conjugated(x: Any) -> Any:
    """The complex conjugate; of real numbers, the same."""
    return conj(x, input_dtype=x.dtype) if x.dtype.kind == "c" else x


def adjoint(x: Any) -> Any:
    """The transposed and conjugated matrices."""
    return conjugated(flip(x))


def typed(x: Any, other: Any) -> Any:
    """`x` in the dtype of `other`, which may be complex where that of `x` is real."""
    if x.dtype == other.dtype:
        return x
    return convert_element_type(x, new_dtype=other.dtype, weak_type=other.weak_type)


def for_columns(v: Any, other: Any) -> Any:
    """One number for each column of the matrices `other`, repeated down the column."""
    rank = len(other.shape)
    dims = (*range(rank - 2), rank - 1)
    return typed(broadcast_in_dim(v, shape=other.shape, broadcast_dimensions=dims), other)


def for_rows(v: Any, other: Any) -> Any:
    """One number for each row of the matrices `other`, repeated along the row."""
    dims = tuple(range(len(other.shape) - 1))
    return typed(broadcast_in_dim(v, shape=other.shape, broadcast_dimensions=dims), other)


def identity_like(x: Any) -> Any:
    """Identity matrices in the shape of the square matrices `x`."""
    return constant_matrix(eye_matrix(x.shape[-1], x.dtype), x.shape)


def skew_diagonal(x: Any) -> Any:
    """The imaginary parts of the diagonals of complex matrices, all else zero."""
    half = mul(sub(x, adjoint(x)), like(x, 0.5))
    return mul(half, identity_like(x))


def tril(x: Any, k: int = 0) -> Any:
    """The matrices with zeros above diagonal `k`."""
    m, n = x.shape[-2:]
    return select_n(constant_matrix(_below(m, n, k), x.shape), zeros_of(x), x)


def triu(x: Any, k: int = 0) -> Any:
    """The matrices with zeros below diagonal `k`."""
    m, n = x.shape[-2:]
    return select_n(constant_matrix(_below(m, n, k - 1), x.shape), x, zeros_of(x))


def diagonal(x: Any, offset: int = 0) -> Any:
    """The diagonals of the matrices: no numbers are gathered, every (n+1)-th is read."""
    *stack, m, n = x.shape
    length = max(0, min(m + min(offset, 0), n - max(offset, 0)))
    if length == 0:
        return zeros(type_of(x).update(shape=(*stack, 0)))
    start = offset if offset >= 0 else -offset * n
    flat = reshape(x, new_sizes=(*stack, m * n))
    return slice_along(flat, len(stack), start, start + (length - 1) * (n + 1) + 1, n + 1)


@lru_cache(maxsize=64)
def eye_matrix(n: int, dtype: np.dtype) -> HostArray:
    """The identity matrix."""
    return HostArray(np.eye(n, dtype=dtype))


@lru_cache(maxsize=64)
def _below(m: int, n: int, k: int) -> HostArray:
    return HostArray(np.tri(m, n, k, dtype=bool))


# ---- LU


class Lu(OfMatrices):
    """x[permutation] = L U with unit diagonal in L; L and U in one matrix; the swaps of rows."""

    multiple_results = True

    def typing(self, x: Any) -> list[ArrayType]:
        check_matrices(self, x)
        check_inexact(self, x)
        *stack, m, n = x.shape
        return [
            x,
            array_type((*stack, min(m, n)), dtypes.int32),
            array_type((*stack, m), dtypes.int32),
        ]

    def eval(self, x: Any) -> Any:
        return each(_lu, x)

    def jvp(self, primals: Any, tangents: Any, out: Any) -> list[Any]:
        lu_, _, permutation = out
        return [_lu_tangent(lu_, permutation, tangents[0]), None, None]


lu = Lu()


def _lu(a: Any) -> list[Any]:
    m, n = a.shape
    if a.size == 0:
        return [a, np.zeros(min(m, n), np.int32), np.arange(m, dtype=np.int32)]
    factors, pivots, _ = routine("getrf", a.dtype)(a)
    return [np.ascontiguousarray(factors), pivots.astype(np.int32), _permutation(pivots, m)]


def _permutation(pivots: Any, size: int) -> Any:
    order = list(range(size))
    for i, j in enumerate(pivots.tolist()):
        order[i], order[j] = order[j], order[i]
    return np.array(order, np.int32)


def _lu_tangent(lu_: Any, permutation: Any, dx: Any) -> Any:
    # De Hoog, Anderssen and Lukas: with F = L^-1 P dA U^-1,
    # dL = L tril(F, -1) and dU = triu(F) U. L and U are made square.
    *_, m, n = lu_.shape
    k = min(m, n)
    low = padded(tril(first_columns(lu_, k), -1), 0, m - k)
    up = padded(triu(first_rows(lu_, k)), n - k, 0)
    if n > k:
        up = add(up, _unit_tail(lu_))
    f = solved(low, permute_rows(dx, permutation), lower=True, unit=True)
    f = solved(up, f, left=False, lower=False)
    below = tril(f, -1)
    dl = add_any(below, matmul(low, below))
    return add_any(dl, matmul(triu(f), up))


def first_columns(x: Any, k: int) -> Any:
    """The first `k` columns of the matrices."""
    return x if k == x.shape[-1] else slice_along(x, len(x.shape) - 1, 0, k)


def first_rows(x: Any, k: int) -> Any:
    """The first `k` rows of the matrices."""
    return x if k == x.shape[-2] else slice_along(x, len(x.shape) - 2, 0, k)


def padded(x: Any, rows: int, columns: int) -> Any:
    """The matrices with this many rows and columns of zeros more."""
    if rows == columns == 0:
        return x
    config = ((0, 0, 0),) * (len(x.shape) - 2) + ((0, rows, 0), (0, columns, 0))
    return pad(x, zero_like(x), padding_config=config)


def _unit_tail(x: Any) -> Any:
    """Ones on the diagonal of U's rows that a matrix with more columns than rows does not have."""
    m, n = x.shape[-2:]
    tail = np.diag(np.arange(n) >= m).astype(x.dtype)
    return constant_matrix(HostArray(tail), (*x.shape[:-2], n, n))


def permute_rows(x: Any, permutation: Any) -> Any:
    """`x[permutation]` for each matrix of a stack."""
    rank = len(x.shape)
    stacks = tuple(range(rank - 2))
    return gather(
        x,
        reshape(permutation, new_sizes=(*permutation.shape, 1)),
        dimension_numbers=GatherDimensionNumbers(
            (rank - 1,), (rank - 2,), (rank - 2,), stacks, stacks
        ),
        slice_sizes=(1,) * (rank - 1) + x.shape[-1:],
        mode=PROMISE_IN_BOUNDS,
        fill_value=None,
        unique_indices=True,
        indices_are_sorted=False,
    )


class LuPivotsToPermutation(OfMatrices):
    """The order of rows that swapping row i with row `pivots[i]`, for each i in turn, gives."""

    weak_from = ()

    def typing(self, pivots: Any, *, permutation_size: int) -> ArrayType:
        if dtypes.kind(pivots.dtype) not in "iu" or not pivots.shape:
            raise error(
                TypeError,
                "lu_pivots_to_permutation takes an array of integers.",
                got=pivots.str_short(),
                fix="give the second result of lax.linalg.lu.",
            )
        if permutation_size < pivots.shape[-1]:
            raise error(
                ValueError,
                "a permutation has at least as many places as there are pivots.",
                got=f"permutation_size={permutation_size} for {pivots.str_short()}",
                fix="give the number of rows of the matrix.",
            )
        return array_type((*pivots.shape[:-1], permutation_size), dtypes.int32)

    def eval(self, pivots: Any, *, permutation_size: int) -> Any:
        out = np.empty((*pivots.shape[:-1], permutation_size), np.int32)
        for place in np.ndindex(pivots.shape[:-1]):
            out[place] = _permutation(pivots[place], permutation_size)
        return out

    def jvp(self, primals: Any, tangents: Any, out: Any, **params: Any) -> None:
        return None


lu_pivots_to_permutation = LuPivotsToPermutation()


# ---- square systems


class LuFactors(Lu):
    """`lu` with a derivative of zero: the factors for `lu_solve`, which has the derivative."""

    def jvp(self, primals: Any, tangents: Any, out: Any) -> list[Any]:
        return [None, None, None]

    def lower(self, x: Any) -> list[Any]:
        return lu(x)


lu_factors = LuFactors()


class LuSolve(OfMatrices):
    """x with a x = b, where `lu_` and `permutation` are the factors of `a`, taken as constants.

    `trans` is 0, or 1 for the transposed `a`. Values come from the factors, derivatives with
    respect to `a` from the equation, so that each matrix is factorised once for all derivatives.
    """

    def typing(self, a: Any, lu_: Any, permutation: Any, b: Any, *, trans: int) -> ArrayType:
        check_square(self, a)
        check_inexact(self, a, b)
        if b.shape[:-1] != a.shape[:-1] or len(b.shape) != len(a.shape):
            raise error(
                ValueError,
                "solve takes a of shape (..., n, n) and b of shape (..., n, k).",
                got=f"a: {a.str_short()}, b: {b.str_short()}",
                fix="give b a last axis of its own if it is a vector: b[:, None].",
            )
        return array_type(b.shape, b.dtype, a.weak_type and b.weak_type)

    def eval(self, a: Any, lu_: Any, permutation: Any, b: Any, *, trans: int) -> Any:
        low = {"left_side": True, "lower": True, "unit_diagonal": True, "conjugate_a": False}
        up = {"left_side": True, "lower": False, "unit_diagonal": False, "conjugate_a": False}
        solve = triangular_solve.eval
        if trans == 0:
            b = _rows_in_order(b, permutation)
            return solve(lu_, solve(lu_, b, transpose_a=False, **low), transpose_a=False, **up)
        b = solve(lu_, solve(lu_, b, transpose_a=True, **up), transpose_a=True, **low)
        return _rows_in_order(b, np.argsort(permutation, -1))

    def jvp(self, primals: Any, tangents: Any, out: Any, *, trans: int) -> Any:
        (a, lu_, permutation, _), (da, _, _, db) = primals, tangents
        if da is not None:
            change = matmul(flip(da) if trans else da, out)
            db = neg(change) if db is None else sub(db, change)
        return None if db is None else lu_solve(a, lu_, permutation, db, trans=trans)

    def transpose(self, ct: Any, a: Any, lu_: Any, permutation: Any, b: Any, *, trans: int) -> Any:
        if type(a) is Linear or type(lu_) is Linear:
            return NOT_LINEAR(ct, a, lu_, permutation, b)
        return [None, None, None, lu_solve(a, lu_, permutation, ct, trans=1 - trans)]

    def vmap(  # type: ignore[override]
        self, size: int, args: Any, axes: Any, *, trans: int
    ) -> Any:
        a, lu_, permutation, b = args
        if all(at is None for at in axes[:3]):
            return as_more_sides(
                b, axes[3], True, lambda b: lu_solve(a, lu_, permutation, b, trans=trans)
            )
        return super().vmap(size, args, axes, trans=trans)


lu_solve = LuSolve()


def _rows_in_order(x: Any, order: Any) -> Any:
    return x[order] if x.ndim == 2 else np.take_along_axis(x, order[..., None], -2)
