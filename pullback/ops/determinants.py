"""Determinants, with derivatives that hold for singular matrices too."""

from __future__ import annotations

import itertools
from functools import lru_cache
from typing import Any

import numpy as np

from ..core import dtypes
from ..core.array import HostArray
from ..core.types import ArrayType, array_type
from .comparison import ne
from .contraction import dot_general, matmul
from .elementwise import complex_, div, imag, mul, neg, real, select_n, sub
from .functions import log
from .lapack import lapack_dtype
from .linalg import (
    OfMatrices,
    check_inexact,
    check_square,
    constant_matrix,
    eye_matrix,
    flip,
    lu_solve,
)
from .linalg import diagonal as diagonal_of
from .reduction import reduce_prod
from .rounding import abs_
from .rounding import sign as sign_of
from .structural import broadcast_in_dim, iota, reduce_sum, reshape, zeros_of


class Det(OfMatrices):
    """The determinant"""

    def typing(self, x: Any) -> ArrayType:
        check_square(self, x)
        check_inexact(self, x)
        return array_type(x.shape[:-2], x.dtype, x.weak_type)

    def eval(self, x: Any) -> Any:
        out = np.linalg.det(x.astype(lapack_dtype(x.dtype), copy=False))
        return out.astype(x.dtype, copy=False)

    def jvp(self, primals: Any, tangents: Any, out: Any) -> Any:
        return _pairing(cofactors(primals[0]), tangents[0])


det = Det()


def _pairing(x: Any, y: Any) -> Any:
    """The sum of products of the elements of each matrix."""
    rank = len(x.shape)
    return reduce_sum(mul(x, y), axes=(rank - 2, rank - 1))


class Slogdet(OfMatrices):
    """The sign of the determinant of `a`, and the logarithm of its absolute value.

    As in `lu_solve`, values come from the factors, derivatives from `a`.
    """

    multiple_results = True

    def typing(self, a: Any, lu_: Any, pivots: Any, permutation: Any) -> list[ArrayType]:
        check_square(self, a)
        check_inexact(self, a, lu_)
        shape, dtype = a.shape[:-2], a.dtype
        real_ = dtypes.real_dtype(dtype)
        return [array_type(shape, dtype, a.weak_type), array_type(shape, real_, a.weak_type)]

    def eval(self, a: Any, lu_: Any, pivots: Any, permutation: Any) -> list[Any]:
        diagonal = np.diagonal(lu_, 0, -2, -1)
        swaps = np.count_nonzero(pivots != np.arange(pivots.shape[-1]), -1)
        size = np.abs(diagonal)
        signs = np.where(size == 0, 0, diagonal / size)
        sign = np.prod(signs, -1) * np.where(swaps % 2, -1, 1)
        log = np.log(size).sum(-1)
        return [sign.astype(lu_.dtype), log.astype(dtypes.real_dtype(a.dtype), copy=False)]

    def jvp(self, primals: Any, tangents: Any, out: Any) -> list[Any]:
        # d log det(a) = <inv(a)^T, da>; its imaginary part turns the sign.
        (a, lu_, _, permutation), (da, *_) = primals, tangents
        if da is None:
            return [None, None]
        eye = constant_matrix(eye_matrix(a.shape[-1], a.dtype), a.shape)
        change = _pairing(flip(lu_solve(a, lu_, permutation, eye, trans=0)), da)
        if a.dtype.kind != "c":
            return [None, change]
        turn = complex_(zeros_of(out[1]), imag(change))
        return [mul(turn, out[0]), real(change)]

    def lower(self, a: Any, lu_: Any, pivots: Any, permutation: Any) -> list[Any]:
        steps = diagonal_of(lu_)
        last = len(steps.shape) - 1
        swapped = ne(pivots, iota(dtype=pivots.dtype, shape=pivots.shape, dimension=last))
        signs = sign_of(steps)
        signs = reduce_prod(select_n(swapped, signs, neg(signs)), axes=(last,))
        return [signs, reduce_sum(log(abs_(steps)), axes=(last,))]


slogdet = Slogdet()


class Cofactors(OfMatrices):
    """The derivatives of the determinant: det(x) inv(x)^T where x is not singular."""

    def typing(self, x: Any) -> ArrayType:
        check_square(self, x)
        check_inexact(self, x)
        return x

    def eval(self, x: Any) -> Any:
        # cof(U S V) = cof(U) cof(S) cof(V), and cof(U) = det(U) conj(U) for a unitary U.
        n = x.shape[-1]
        if x.size == 0:
            return x.copy()
        whole = np.isfinite(x).all((-2, -1))
        safe = np.where(whole[..., None, None], x, 0).astype(lapack_dtype(x.dtype))
        u, s, v = np.linalg.svd(safe)
        others = np.stack([np.prod(np.delete(s, i, -1), -1) for i in range(n)], -1)
        factor = (np.linalg.det(u) * np.linalg.det(v))[..., None, None]
        out = factor * np.matmul(np.conj(u) * others[..., None, :], np.conj(v))
        out[~whole] = np.nan
        return out.astype(x.dtype, copy=False)

    def jvp(self, primals: Any, tangents: Any, out: Any) -> Any:
        (x,), (dx,) = primals, tangents
        n = x.shape[-1]
        if n <= 1:
            return None
        if n <= 3:
            return _change_of_small(x, dx)
        # d(det inv^T) with inv^T = C / det: (<C, dx> C - C dx^T C) / det.
        kept = tuple(range(len(x.shape) - 2))
        share = div(_pairing(out, dx), det(x))
        share = broadcast_in_dim(share, shape=x.shape, broadcast_dimensions=kept)
        scale = broadcast_in_dim(det(x), shape=x.shape, broadcast_dimensions=kept)
        return sub(mul(share, out), div(matmul(out, matmul(flip(dx), out)), scale))


cofactors = Cofactors()


def _change_of_small(x: Any, dx: Any) -> Any:
    # With the sign e of permutations: C_ij = e_ia e_jb x_ab for n = 2, and for n = 3
    # C_ij = e_iab e_jcd x_ac x_bd / 2. No division, so it holds for singular matrices.
    *stack, n, _ = x.shape
    flat = (*stack, n * n)
    dx = reshape(dx, new_sizes=flat)
    signs = _signs(n, x.dtype)
    last = len(flat) - 1
    if n == 3:  # e_iab e_jcd summed with x_ac: a matrix for the pairs (i, j) and (b, d)
        signs = _contract(reshape(x, new_sizes=flat), last, signs, 0)
        signs = reshape(signs, new_sizes=(*stack, n * n, n * n))
        batch = tuple(range(len(stack)))
        numbers = (((last + 1,), (last,)), (batch, batch))
        out = dot_general(
            signs, dx, dimension_numbers=numbers, precision=None, preferred_element_type=None
        )
    else:
        out = _contract(dx, last, signs, 1)
    return reshape(out, new_sizes=x.shape)


def _contract(x: Any, i: int, y: Any, j: int) -> Any:
    return dot_general(
        x,
        y,
        dimension_numbers=(((i,), (j,)), ((), ())),
        precision=None,
        preferred_element_type=None,
    )


@lru_cache(maxsize=16)
def _signs(n: int, dtype: np.dtype) -> HostArray:
    """For n = 2, e_ia e_jb as [ij, ab]; for n = 3, e_iab e_jcd as [ac, ij bd]."""
    e = np.zeros((n,) * n)
    for p in itertools.permutations(range(n)):
        e[p] = np.linalg.det(np.eye(n)[list(p)])
    if n == 2:
        table = np.einsum("ia,jb->ijab", e, e).reshape(4, 4)
    else:
        table = np.einsum("iab,jcd->acijbd", e, e).reshape(9, 81)
    return HostArray(table.astype(dtype))
