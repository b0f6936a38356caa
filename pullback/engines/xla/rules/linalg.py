"""Linear algebra by LAPACK and BLAS, which jaxlib calls by their names.

Matrices are columns there: each call says so in its layouts, and the compiler turns what is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ....core.program import Equation
from ....core.types import array_type
from ....ops.eigen import eigh
from ....ops.factorizations import geqrf, householder_product
from ....ops.linalg import cholesky, lu, lu_pivots_to_permutation, triangular_solve
from ....ops.spectral import svd
from ..lowering import Lowering, Rule
from ..text import Result, Word
from .elementwise import compare, like
from .matrices import LETTER, sound, where_done
from .structural import broadcast, counting, cut


def _order(rank: int, matrix: bool = True) -> str:
    """The axes from the quickest to the slowest: of matrices the rows first."""
    axes = list(range(rank - 1, -1, -1))
    if matrix:
        axes[0], axes[1] = axes[1], axes[0]
    shown = f"dense<[{', '.join(map(str, axes))}]>" if axes else "dense<>"
    return f"{shown} : tensor<{rank}xindex>"


def foreign(
    low: Lowering,
    target: str,
    args: Sequence[Word],
    results: Sequence[Result],
    options: str,
    rank: int,
    aliases: str = "",
) -> list[Word]:
    """A function by its name; arrays of this rank are matrices, of which columns lie together."""
    operands = ", ".join(_order(w.rank, w.rank == rank) for w in args)
    outs = ", ".join(_order(len(s), len(s) == rank) for s, _ in results)
    attributes = (
        f'call_target_name = "{target}", '
        f"backend_config = {{{options}}}, api_version = 4 : i32, "
        f"operand_layouts = [{operands}], result_layouts = [{outs}]{aliases}"
    )
    return low.code.ops("custom_call", args, results, attributes)


def call(
    low: Lowering,
    name: str,
    args: Sequence[Word],
    results: Sequence[Result],
    options: str,
    rank: int,
    aliases: str = "",
) -> list[Word]:
    """A function of LAPACK; arrays of this rank are matrices."""
    target = f"lapack_{LETTER[args[0].dtype.name]}{name}"
    return foreign(low, target, args, results, options, rank, aliases)


def alias(result: int, operand: int, many: bool = True) -> str:
    """That a result takes the memory of an operand; `many`: there are several results."""
    where = f"[{result}]" if many else "[]"
    return (
        ", output_operand_aliases = [#stablehlo.output_operand_alias<output_tuple_indices = "
        f"{where}, operand_index = {operand}, operand_tuple_indices = []>]"
    )


def triangle(low: Lowering, x: Word, lower: bool) -> Word:
    """The part of matrices below the diagonal, or above, and the diagonal."""
    code = low.code
    rows, columns = (counting(code, x.shape, np.int32, x.rank - k) for k in (2, 1))
    kept = compare(code, "GE" if lower else "LE", rows, columns)
    return code.op("select", [kept, x, like(code, x, 0)], x.shape, x.dtype)


def _cholesky(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    (x,) = args
    if low.platform != "cpu":
        return low.by_definition(eq, args)
    results = [(x.shape, x.dtype), (x.shape[:-2], np.int32)]
    found, info = call(
        low, "potrf_ffi", [x], results, f"uplo = {ord('L')} : ui8", x.rank, alias(0, 0)
    )
    return [triangle(low, where_done(low, info, found), lower=True)]


def _triangular_solve(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    (a, b), p = args, eq.params
    if low.platform != "cpu":
        return low.by_definition(eq, args)
    if p["conjugate_a"] and not p["transpose_a"] and a.dtype.kind == "c":
        a = low.code.op("conj", [a], a.shape, a.dtype, dialect="chlo")
    turned = "N" if not p["transpose_a"] else "C" if p["conjugate_a"] else "T"
    letters = {
        "diag": "U" if p["unit_diagonal"] else "N",
        "side": "L" if p["left_side"] else "R",
        "trans_x": turned,
        "uplo": "L" if p["lower"] else "U",
    }
    options = ", ".join(f"{k} = {ord(v)} : ui8" for k, v in letters.items())
    return call(
        low, "trsm_ffi", [a, b], [(b.shape, b.dtype)], options, a.rank, alias(0, 1, many=False)
    )


def _lu(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    (x,), code = args, low.code
    if low.platform != "cpu":
        return low.by_definition(eq, args)
    *stack, m, n = x.shape
    k = min(m, n)
    pivots = ((*stack, k), np.int32)
    results = [(x.shape, x.dtype), pivots, (tuple(stack), np.int32)]
    found, swaps, info = call(low, "getrf_ffi", [x], results, "", x.rank, alias(0, 0))
    swaps = code.op("subtract", [swaps, like(code, swaps, 1)], swaps.shape, np.int32)
    # A pivot of 0 is no failure; a negative code would be.
    done = compare(code, "GE", info, like(code, info, 0))
    done = broadcast(code, done, x.shape, range(len(stack)))
    found = code.op("select", [done, found, like(code, found, np.nan)], x.shape, x.dtype)
    (order,) = low.traced(
        lambda s: [lu_pivots_to_permutation(s, permutation_size=m)],
        [array_type(swaps.shape, swaps.dtype)],
        [swaps],
    )
    return [found, swaps, order]


def _eigh(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    (x,), p = args, eq.params
    if low.platform != "cpu":
        return low.by_definition(eq, args)
    values = (x.shape[:-1], low.result(eq, 1)[1])
    name = "heevd_ffi" if x.dtype.kind == "c" else "syevd_ffi"
    options = f"mode = {ord('V')} : ui8, uplo = {ord('L' if p['lower'] else 'U')} : ui8"
    results = [(x.shape, x.dtype), values, (x.shape[:-2], np.int32)]
    safe, finite = sound(low, x)
    v, w, info = call(low, name, [safe], results, options, x.rank, alias(0, 0))
    outs = [where_done(low, info, y, finite) for y in (v, w)]
    return [part(low, y, -1, p["subset_by_index"]) for y in outs]


def _svd(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    (x,), p = args, eq.params
    if low.platform != "cpu":
        return low.by_definition(eq, args)
    *stack, m, n = x.shape
    k = min(m, n)
    rows, columns = (m, n) if p["full_matrices"] else (k, k)
    mode = "N" if not p["compute_uv"] else "A" if p["full_matrices"] else "S"
    values = ((*stack, k), low.result(eq)[1])
    results = [
        (x.shape, x.dtype),
        values,
        ((*stack, m, rows), x.dtype),
        ((*stack, columns, n), x.dtype),
        (tuple(stack), np.int32),
    ]
    options = f"mode = {ord(mode)} : ui8"
    safe, finite = sound(low, x)
    _, s, u, v, info = call(low, "gesdd_ffi", [safe], results, options, x.rank, alias(0, 0))
    outs = [where_done(low, info, w, finite) for w in ([s, u, v] if p["compute_uv"] else [s])]
    return singular_part(low, eq, outs)


def part(low: Lowering, x: Word, axis: int, subset: tuple[int, int] | None) -> Word:
    """The values, or the vectors, of these places along an axis."""
    if subset is None:
        return x
    starts, limits = [0] * x.rank, list(x.shape)
    starts[axis], limits[axis] = subset
    return cut(low.code, x, starts, limits)


def singular_part(low: Lowering, eq: Equation, outs: Sequence[Word]) -> list[Word]:
    """The results of `svd` for the places that are asked for."""
    p = eq.params
    subset = None if p["full_matrices"] else p.get("subset_by_index")
    return [part(low, y, at, subset) for y, at in zip(outs, (-1, -1, -2), strict=False)]


def _geqrf(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    (x,) = args
    if low.platform != "cpu":
        return low.by_definition(eq, args)
    results = [(x.shape, x.dtype), low.result(eq, 1)]
    return call(low, "geqrf_ffi", [x], results, "", x.rank, alias(0, 0))


def identity(low: Lowering, a: Word) -> Sequence[Word]:
    """The product of no reflections."""
    code = low.code
    rows, columns = (counting(code, a.shape, np.int32, a.rank - k) for k in (2, 1))
    same = compare(code, "EQ", rows, columns)
    return [code.op("select", [same, like(code, a, 1), like(code, a, 0)], a.shape, a.dtype)]


def _householder_product(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    a, taus = args
    if low.platform != "cpu":
        return low.by_definition(eq, args)
    if not taus.size:
        return identity(low, a)
    name = "ungqr_ffi" if a.dtype.kind == "c" else "orgqr_ffi"
    return call(low, name, [a, taus], [(a.shape, a.dtype)], "", a.rank, alias(0, 0, many=False))


RULES: dict[Any, Rule] = {
    cholesky: _cholesky,
    triangular_solve: _triangular_solve,
    eigh: _eigh,
    svd: _svd,
    lu: _lu,
    geqrf: _geqrf,
    householder_product: _householder_product,
}

__all__ = ["RULES", "alias", "call", "foreign", "identity", "part", "singular_part", "triangle"]
