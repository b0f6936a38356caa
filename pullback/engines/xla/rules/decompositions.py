"""Operations of linear algebra that are made of others, all of them in XLA: no call of Python.

Arrays of other than LAPACK's four dtypes, and empty ones, are left to NumPy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ....control.reducing import reduce_p, reduce_window_p
from ....core.program import Equation
from ....ops.comparison import gt, ne
from ....ops.contraction import matmul
from ....ops.determinants import det
from ....ops.eigen import eigh
from ....ops.elementwise import add, convert_element_type, div, mul, neg, select_n
from ....ops.factorizations import geqrf, householder_product, qr
from ....ops.hermitian import hermitian_part
from ....ops.linalg import (
    adjoint,
    diagonal,
    first_columns,
    first_rows,
    flip,
    lu,
    lu_pivots_to_permutation,
    lu_solve,
    padded,
    permute_rows,
    triangular_solve,
    triu,
)
from ....ops.reduction import reduce_max, reduce_prod
from ....ops.rounding import abs_
from ....ops.spectral import pinv, svd
from ....ops.structural import broadcast_in_dim, iota, reduce_sum
from ....ops.tridiagonal import tridiagonal_solve
from ....ops.updates import symmetric_product
from ..lowering import Lowering, Rule
from ..text import Word
from ..types import ints
from .elementwise import compare, convert, like
from .linalg import call, is_ready
from .reductions import op, reduced
from .structural import broadcast, counting, reshaped


def _made(function: Callable[..., Any]) -> Rule:
    """A rule from what the operation is in terms of others; its first argument is a matrix."""

    def rule(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
        if not all(is_ready(low, w) or w.dtype.kind in "iu" for w in args):
            return low.by_definition(eq, args)

        def whole(*xs: Any) -> list[Any]:
            found = function(*xs, **eq.params)
            return list(found) if eq.primitive.multiple_results else [found]

        return low.traced(whole, [a.aval for a in eq.invars], args)

    return rule


def _number(x: Any, value: Any) -> Any:
    return np.asarray(value).astype(x.dtype)


def _filled(x: Any, value: Any) -> Any:
    return broadcast_in_dim(_number(x, value), shape=x.shape, broadcast_dimensions=())


def _hermitian_part(x: Any) -> Any:
    return mul(add(x, adjoint(x)), _filled(x, 0.5))


def _symmetric_product(a: Any, c: Any, *, alpha: float, beta: float) -> Any:
    product = matmul(a, flip(a))
    return add(mul(product, _filled(product, alpha)), mul(c, _filled(c, beta)))


def _lu_solve(a: Any, lu_: Any, permutation: Any, b: Any, *, trans: int) -> Any:
    def solve(b: Any, lower: bool) -> Any:
        return triangular_solve(
            lu_,
            b,
            left_side=True,
            lower=lower,
            transpose_a=bool(trans),
            conjugate_a=False,
            unit_diagonal=lower,
        )

    if not trans:
        return solve(solve(permute_rows(b, permutation), True), False)
    x = solve(solve(b, False), True)
    return permute_rows(x, _inverse(permutation))


def _inverse(permutation: Any) -> Any:
    """The place of each number: where a row of a table of truth is true."""
    *stack, n = permutation.shape
    shape = (*stack, n, n)
    rank = len(shape)
    rows = broadcast_in_dim(
        permutation, shape=shape, broadcast_dimensions=(*range(rank - 2), rank - 1)
    )
    number = iota(dtype=permutation.dtype, shape=shape, dimension=rank - 2)
    place = iota(dtype=permutation.dtype, shape=shape, dimension=rank - 1)
    same = ne(rows, number)
    return reduce_sum(select_n(same, place, _filled(place, 0)), axes=(rank - 1,))


def _qr(x: Any, *, pivoting: bool, full_matrices: bool) -> Any:
    m, n = x.shape[-2:]
    k = min(m, n)
    packed, taus = geqrf(x)
    columns = first_columns(packed, k)
    if full_matrices:
        columns = padded(columns, 0, m - k)
    r = triu(packed) if full_matrices else first_rows(triu(packed), k)
    return householder_product(columns, taus), r


def _det(x: Any) -> Any:
    packed, pivots, _ = lu(x)
    last = len(pivots.shape) - 1
    steps = diagonal(packed)
    swapped = ne(pivots, iota(dtype=pivots.dtype, shape=pivots.shape, dimension=last))
    return reduce_prod(select_n(swapped, steps, neg(steps)), axes=(last,))


def _pinv(x: Any, rtol: Any, *, hermitian: bool) -> Any:
    stack = tuple(range(len(x.shape) - 2))
    if hermitian:
        u, s = eigh(hermitian_part(x), lower=True, sort_eigenvalues=True, subset_by_index=None)
        vh, sizes = adjoint(u), abs_(s)
    else:
        s, u, vh = svd(x, full_matrices=False, compute_uv=True, subset_by_index=None)
        sizes = s
    most = reduce_max(sizes, axes=(len(stack),))
    least = broadcast_in_dim(mul(rtol, most), shape=s.shape, broadcast_dimensions=stack)
    kept = gt(sizes, least)
    inverse = select_n(kept, _filled(s, 0), div(_filled(s, 1), s))
    v = adjoint(vh)
    return matmul(mul(v, _columns(inverse, v)), adjoint(u))


def _columns(numbers: Any, x: Any) -> Any:
    """A number for each column."""
    rank = len(x.shape)
    wide = convert_element_type(numbers, new_dtype=x.dtype, weak_type=False)
    return broadcast_in_dim(wide, shape=x.shape, broadcast_dimensions=(*range(rank - 2), rank - 1))


# ---- what takes a loop, or a function of LAPACK


def _permutation(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    """Swap places 0, 1, ... of a list with others: both are found in a table of truth."""
    code, (pivots,) = low.code, args
    shape, dtype = low.result(eq)
    steps = pivots.shape[-1]
    order = counting(code, shape, dtype, len(shape) - 1)
    if not steps or 0 in shape:
        return [order]
    pivots = convert(code, pivots, np.int32)
    line = (*pivots.shape[:-1], 1)
    axes = range(len(shape))
    zero, last = code.constant(np.int32(0)), code.constant(np.int32(steps))
    types = [((), np.dtype(np.int32)), (shape, dtype)]

    def goes_on(i: Word, order: Word) -> Sequence[Word]:
        return [compare(code, "LT", i, last)]

    def step(i: Word, order: Word) -> Sequence[Word]:
        at = [*[zero] * (len(shape) - 1), i]
        j = code.op("dynamic_slice", [pivots, *at], line, dtype, f"slice_sizes = {ints(line)}")
        j = reshaped(code, j, pivots.shape[:-1])
        place = counting(code, shape, dtype, len(shape) - 1)
        other = broadcast(code, j, shape, list(axes)[:-1])
        here = broadcast(code, i, shape, [])
        first, second = compare(code, "EQ", place, here), compare(code, "EQ", place, other)
        a, b = (_entry(low, order, where) for where in (first, second))
        found = code.op("select", [second, a, order], shape, dtype)
        found = code.op("select", [first, b, found], shape, dtype)
        return [code.op("add", [i, like(code, i, 1)], (), np.int32), found]

    regions = f"{low.region(types, goes_on).text}, {low.region(types, step).text}"
    return code.ops("while", [zero, order], types, "", regions)[1:]


def _entry(low: Lowering, order: Word, where: Word) -> Word:
    """The entry of each list where a table is true, everywhere in the list."""
    code = low.code
    kept = code.op("select", [where, order, like(code, order, 0)], order.shape, order.dtype)
    total = reduced(low, kept, [order.rank - 1], 0, op("add"))
    return broadcast(code, total, order.shape, range(order.rank - 1))


def _tridiagonal_solve(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    _, d, _, b = args
    code, n = low.code, d.shape[-1]
    if eq.params["perturb_singular"] or n < 2 or not is_ready(low, b):
        return low.by_definition(eq, args)
    outs = [(w.shape, w.dtype) for w in args] + [(d.shape[:-1], np.dtype(np.int32))]
    aliases = ", ".join(
        "#stablehlo.output_operand_alias<output_tuple_indices = "
        f"[{i}], operand_index = {i}, operand_tuple_indices = []>"
        for i in range(4)
    )
    found = call(low, "gtsv_ffi", args, outs, "", b.rank, f", output_operand_aliases = [{aliases}]")
    x, info = found[3:]
    done = compare(code, "EQ", info, like(code, info, 0))
    done = broadcast(code, done, x.shape, range(info.rank))
    return [code.op("select", [done, x, like(code, x, np.nan)], x.shape, x.dtype)]


def _lowered(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    """The program that the primitive makes of its function."""
    types = [a.aval for a in eq.invars]
    return low.closed(eq.primitive.lowered_program(types, eq.params), args)  # type: ignore[attr-defined]


def _qr_rule(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    if eq.params["pivoting"]:
        return low.by_definition(eq, args)
    return _made(_qr)(low, eq, args)


RULES: dict[Any, Rule] = {
    hermitian_part: _made(_hermitian_part),
    symmetric_product: _made(_symmetric_product),
    lu_solve: _made(_lu_solve),
    lu_pivots_to_permutation: _permutation,
    qr: _qr_rule,
    det: _made(_det),
    pinv: _made(_pinv),
    tridiagonal_solve: _tridiagonal_solve,
    reduce_p: _lowered,
    reduce_window_p: _lowered,
}

__all__ = ["RULES"]
