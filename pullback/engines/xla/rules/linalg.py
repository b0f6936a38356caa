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
from .structural import broadcast, counting

LETTER = {"float32": "s", "float64": "d", "complex64": "c", "complex128": "z"}
"""Of the elements that LAPACK knows."""


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


def is_ready(low: Lowering, x: Word) -> bool:
    """Whether there is a function for these elements on this device, and something to do."""
    return low.platform == "cpu" and x.dtype.name in LETTER and x.size > 0


def where_done(low: Lowering, info: Word, x: Word) -> Word:
    """x, or NaN in the matrices where the function failed."""
    code = low.code
    done = compare(code, "EQ", info, like(code, info, 0))
    done = broadcast(code, done, x.shape, range(info.rank))
    return code.op("select", [done, x, like(code, x, np.nan)], x.shape, x.dtype)


def triangle(low: Lowering, x: Word, lower: bool) -> Word:
    """The part of matrices below the diagonal, or above, and the diagonal."""
    code = low.code
    rows, columns = (counting(code, x.shape, np.int32, x.rank - k) for k in (2, 1))
    kept = compare(code, "GE" if lower else "LE", rows, columns)
    return code.op("select", [kept, x, like(code, x, 0)], x.shape, x.dtype)


def _cholesky(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    (x,) = args
    if not is_ready(low, x):
        return low.by_definition(eq, args)
    results = [(x.shape, x.dtype), (x.shape[:-2], np.int32)]
    found, info = call(
        low, "potrf_ffi", [x], results, f"uplo = {ord('L')} : ui8", x.rank, alias(0, 0)
    )
    return [triangle(low, where_done(low, info, found), lower=True)]


def _triangular_solve(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    (a, b), p = args, eq.params
    conjugate_only = p["conjugate_a"] and not p["transpose_a"] and a.dtype.kind == "c"
    if not is_ready(low, b) or conjugate_only:
        return low.by_definition(eq, args)
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
    if not is_ready(low, x):
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
    if not is_ready(low, x) or p["subset_by_index"] is not None:
        return low.by_definition(eq, args)
    (vectors, values) = low.result(eq, 0), low.result(eq, 1)
    name = "heevd_ffi" if x.dtype.kind == "c" else "syevd_ffi"
    options = f"mode = {ord('V')} : ui8, uplo = {ord('L' if p['lower'] else 'U')} : ui8"
    results = [vectors, values, (x.shape[:-2], np.int32)]
    v, w, info = call(low, name, [x], results, options, x.rank, alias(0, 0))
    return [where_done(low, info, v), where_done(low, info, w)]


def _svd(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    (x,), p = args, eq.params
    if not is_ready(low, x) or p.get("subset_by_index") is not None:
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
    _, s, u, v, info = call(low, "gesdd_ffi", [x], results, options, x.rank, alias(0, 0))
    outs = [s, u, v] if p["compute_uv"] else [s]
    return [where_done(low, info, w) for w in outs]


def _geqrf(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    (x,) = args
    if not is_ready(low, x):
        return low.by_definition(eq, args)
    results = [(x.shape, x.dtype), low.result(eq, 1)]
    return call(low, "geqrf_ffi", [x], results, "", x.rank, alias(0, 0))


def _householder_product(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    a, taus = args
    if not is_ready(low, a) or not taus.size:
        return low.by_definition(eq, args)
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

__all__ = ["LETTER", "RULES", "alias", "foreign", "triangle", "where_done"]
