"""Linear algebra on NVIDIA's devices: by XLA's own operations, and by cuSOLVER.

jaxlib's packages for CUDA call cuSOLVER by the names used here. Rules of other platforms stand in
`linalg`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ....core.program import Equation
from ....ops.eigen import eigh
from ....ops.factorizations import geqrf, householder_product
from ....ops.linalg import cholesky, lu, lu_pivots_to_permutation, triangular_solve
from ....ops.spectral import svd
from ..lowering import Lowering, Rule
from ..text import Result, Word
from ..types import ints
from . import decompositions, linalg
from .elementwise import compare, like
from .linalg import alias, foreign, identity, part, singular_part, triangle
from .matrices import sound, where_done
from .structural import broadcast

_JACOBI = 1024
"""Up to this size the Jacobi method is quicker than the QR method: it has more to do at once."""
_TOGETHER = 32
"""Up to this size cuSOLVER does many matrices in one call, and makes all vectors."""


def _cholesky(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    (x,) = args
    results = [(x.shape, x.dtype), (x.shape[:-2], np.int32)]
    options = "lower = true"
    found, info = foreign(low, "cusolver_potrf_ffi", [x], results, options, x.rank, alias(0, 0))
    return [triangle(low, where_done(low, info, found), lower=True)]


def _triangular_solve(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    """By XLA, which calls cuBLAS."""
    (a, b), p = args, eq.params
    turned = "NO_TRANSPOSE"
    if p["transpose_a"]:
        turned = "ADJOINT" if p["conjugate_a"] else "TRANSPOSE"
    elif p["conjugate_a"] and a.dtype.kind == "c":
        a = low.code.op("conj", [a], a.shape, a.dtype, dialect="chlo")
    flags = _flags(left_side=p["left_side"], lower=p["lower"], unit_diagonal=p["unit_diagonal"])
    options = f"{flags}, transpose_a = #stablehlo<transpose {turned}>"
    return [low.code.op("triangular_solve", [a, b], b.shape, b.dtype, options)]


def _lu(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    (x,), code = args, low.code
    *stack, m, n = x.shape
    results = [(x.shape, x.dtype), ((*stack, min(m, n)), np.int32), (tuple(stack), np.int32)]
    found, swaps, info = foreign(low, "cusolver_getrf_ffi", [x], results, "", x.rank, alias(0, 0))
    swaps = code.op("subtract", [swaps, like(code, swaps, 1)], swaps.shape, np.int32)
    # A pivot of 0 is no failure; a negative code would be.
    done = broadcast(
        code, compare(code, "GE", info, like(code, info, 0)), x.shape, range(info.rank)
    )
    found = code.op("select", [done, found, like(code, found, np.nan)], x.shape, x.dtype)
    return [found, swaps, _order(low, swaps, m)]


def _order(low: Lowering, swaps: Word, size: int) -> Word:
    """The permutation that swaps of rows make."""
    result = ((*swaps.shape[:-1], size), np.int32)
    (found,) = foreign(low, "cu_lu_pivots_to_permutation", [swaps], [result], "", rank=-1)
    return found


def _lu_pivots_to_permutation(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    return [_order(low, args[0], eq.params["permutation_size"])]


def _eigh(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    (x,), p = args, eq.params
    values = (x.shape[:-1], low.result(eq, 1)[1])
    results = [(x.shape, x.dtype), values, (x.shape[:-2], np.int32)]
    # 0: cuSOLVER's own choice between the QR and the Jacobi method.
    options = f"lower = {'true' if p['lower'] else 'false'}, algorithm = 0 : ui8"
    safe, finite = sound(low, x)
    v, w, info = foreign(low, "cusolver_syevd_ffi", [safe], results, options, x.rank, alias(0, 0))
    outs = [where_done(low, info, y, finite) for y in (v, w)]
    return [part(low, y, -1, p["subset_by_index"]) for y in outs]


def _svd(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    (x,), p = args, eq.params
    method = _by_jacobi if max(x.shape[-2:]) <= _JACOBI else _by_qr
    safe, finite = sound(low, x)
    info, *found = method(low, eq, safe)
    outs = [where_done(low, info, w, finite) for w in (found if p["compute_uv"] else found[:1])]
    return singular_part(low, eq, outs)


def _by_jacobi(low: Lowering, eq: Equation, x: Word) -> list[Word]:
    """Info, the values, the left vectors and the right ones as rows."""
    code, p = low.code, eq.params
    *stack, m, n = x.shape
    k = min(m, n)
    full = p["full_matrices"] or k <= _TOGETHER
    rows, columns = (m, n) if full else (k, k)
    results = [
        (x.shape, x.dtype),
        ((*stack, k), low.result(eq)[1]),
        ((*stack, m, rows), x.dtype),
        ((*stack, n, columns), x.dtype),
        (tuple(stack), np.int32),
    ]
    options = _flags(full_matrices=full, compute_uv=p["compute_uv"])
    _, s, u, v, info = foreign(
        low, "cusolver_gesvdj_ffi", [x], results, options, x.rank, alias(0, 0)
    )
    if not p["compute_uv"]:
        return [info, s]
    turn = [*range(len(stack)), x.rank - 1, x.rank - 2]
    vh = code.op("transpose", [v], (*stack, columns, n), v.dtype, f"permutation = {ints(turn)}")
    if x.dtype.kind == "c":
        vh = code.op("conj", [vh], vh.shape, vh.dtype, dialect="chlo")
    (u_shape, _), (v_shape, _) = _vectors(eq, x)
    return [info, s, _first(low, u, u_shape), _first(low, vh, v_shape)]


def _vectors(eq: Equation, x: Word) -> tuple[Result, Result]:
    """What the left and the right singular vectors are."""
    *stack, m, n = x.shape
    rows, columns = (m, n) if eq.params["full_matrices"] else (min(m, n), min(m, n))
    return ((*stack, m, rows), x.dtype), ((*stack, columns, n), x.dtype)


def _by_qr(low: Lowering, eq: Equation, x: Word) -> list[Word]:
    """As `_by_jacobi`. cuSOLVER takes tall matrices: a wide one is given as rows, and is then its
    own transpose."""
    p = eq.params
    *stack, m, n = x.shape
    wide = m < n
    u: Result = ((), x.dtype)
    v: Result = ((), x.dtype)
    if p["compute_uv"]:
        u, v = _vectors(eq, x)
    vectors = [v, u] if wide else [u, v]
    values = ((*stack, min(m, n)), low.result(eq)[1])
    results = [(x.shape, x.dtype), values, *vectors, (tuple(stack), np.int32)]
    options = _flags(full_matrices=p["full_matrices"], compute_uv=p["compute_uv"], transposed=wide)
    rank = -1 if wide else x.rank
    _, s, first, second, info = foreign(
        low, "cusolver_gesvd_ffi", [x], results, options, rank, alias(0, 0)
    )
    return [info, s, second, first] if wide else [info, s, first, second]


def _flags(**options: Any) -> str:
    return ", ".join(f"{k} = {'true' if v else 'false'}" for k, v in options.items())


def _first(low: Lowering, x: Word, shape: Sequence[int]) -> Word:
    """The first rows and columns of matrices."""
    if x.shape == tuple(shape):
        return x
    options = (
        f"start_indices = {ints([0] * x.rank)}, limit_indices = {ints(shape)}, "
        f"strides = {ints([1] * x.rank)}"
    )
    return low.code.op("slice", [x], shape, x.dtype, options)


def _geqrf(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    (x,) = args
    results = [(x.shape, x.dtype), low.result(eq, 1)]
    return foreign(low, "cusolver_geqrf_ffi", [x], results, "", x.rank, alias(0, 0))


def _householder_product(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    a, taus = args
    if not taus.size:
        return identity(low, a)
    results = [(a.shape, a.dtype)]
    aliases = alias(0, 0, many=False)
    return foreign(low, "cusolver_orgqr_ffi", [a, taus], results, "", a.rank, aliases)


_OWN: dict[Any, Rule] = {
    cholesky: _cholesky,
    triangular_solve: _triangular_solve,
    eigh: _eigh,
    svd: _svd,
    lu: _lu,
    geqrf: _geqrf,
    householder_product: _householder_product,
    lu_pivots_to_permutation: _lu_pivots_to_permutation,
}


def _by_platform(primitive: Any, own: Rule) -> Rule:
    """The rule here for NVIDIA's devices; else that of `linalg` or `decompositions`."""
    others = {**linalg.RULES, **decompositions.RULES}
    other = others.get(primitive, Lowering.by_definition)

    def rule(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
        return (own if low.platform == "cuda" else other)(low, eq, args)

    return rule


RULES: dict[Any, Rule] = {p: _by_platform(p, own) for p, own in _OWN.items()}

__all__ = ["RULES"]
