"""Operations of linear algebra that are made of others, all of them in XLA: no call of Python.

Elements are of LAPACK's four dtypes, and there are some: `matrices.guarded` sees to that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ....control.reducing import reduce_p, reduce_window_p
from ....core.program import Equation
from ....ops.comparison import and_, ge, gt, ne
from ....ops.contraction import matmul
from ....ops.determinants import cofactors, det
from ....ops.eigen import eigh
from ....ops.elementwise import add, convert_element_type, div, mul, neg, select_n, sub
from ....ops.factorizations import compact, geqrf, householder_product, ormqr, qr
from ....ops.hermitian import hermitian_part
from ....ops.linalg import (
    adjoint,
    conjugated,
    diagonal,
    first_columns,
    first_rows,
    flip,
    for_columns,
    for_rows,
    lu,
    lu_pivots_to_permutation,
    lu_solve,
    padded,
    permute_rows,
    triangular_solve,
    triu,
)
from ....ops.matrix_functions import polar
from ....ops.reduction import reduce_max, reduce_prod
from ....ops.rounding import abs_
from ....ops.spectral import lstsq, pinv, svd
from ....ops.structural import broadcast_in_dim, iota, reduce_sum
from ....ops.updates import symmetric_product
from ..lowering import Lowering, Rule
from ..text import Word
from ..types import ints
from .elementwise import compare, convert, like
from .linalg import alias, call
from .matrices import as_dtype, everywhere, made, on_diagonal, written
from .reductions import op, reduced
from .structural import broadcast, counting, reshaped


def _hermitian_part(x: Any) -> Any:
    return mul(add(x, adjoint(x)), everywhere(x, 0.5))


def _symmetric_product(a: Any, c: Any, *, alpha: float, beta: float) -> Any:
    product = matmul(a, flip(a))
    return add(mul(product, everywhere(product, alpha)), mul(c, everywhere(c, beta)))


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
    return reduce_sum(select_n(same, place, everywhere(place, 0)), axes=(rank - 1,))


def _qr(x: Any, *, pivoting: bool, full_matrices: bool) -> Any:
    packed, taus = geqrf(x)
    return _unpacked(packed, taus, full_matrices)


def _unpacked(packed: Any, taus: Any, full_matrices: bool) -> tuple[Any, Any]:
    m, n = packed.shape[-2:]
    k = min(m, n)
    columns = first_columns(packed, k)
    if full_matrices:
        columns = padded(columns, 0, m - k)
    r = triu(packed) if full_matrices else first_rows(triu(packed), k)
    return householder_product(columns, taus), r


def _ormqr(a: Any, taus: Any, c: Any, *, left: bool, transpose: bool) -> Any:
    """By the product of all reflections, I - v t v^H: see `ops.factorizations`."""
    v, t = compact(first_columns(a, taus.shape[-1]), taus)
    t = adjoint(t) if transpose else t
    if left:
        return sub(c, matmul(v, matmul(t, matmul(adjoint(v), c))))
    return sub(c, matmul(matmul(matmul(c, v), t), adjoint(v)))


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
    inverse = select_n(kept, everywhere(s, 0), div(everywhere(s, 1), s))
    v = adjoint(vh)
    return matmul(mul(v, _columns(inverse, v)), adjoint(u))


def _columns(numbers: Any, x: Any) -> Any:
    """A number for each column."""
    rank = len(x.shape)
    wide = convert_element_type(numbers, new_dtype=x.dtype, weak_type=False)
    return broadcast_in_dim(wide, shape=x.shape, broadcast_dimensions=(*range(rank - 2), rank - 1))


def _lstsq(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    whole = low.result(eq, 1)[1]
    if not args[0].size:  # x is zero, and the rank too
        return [low.constant_array(np.zeros(*low.result(eq, k))) for k in range(3)]

    def function(a: Any, b: Any, rcond: Any) -> Any:
        last = len(a.shape) - 2
        s, u, vh = svd(a, full_matrices=False, compute_uv=True, subset_by_index=None)
        least = mul(as_dtype(rcond, s.dtype), reduce_max(s, axes=(last,)))
        least = broadcast_in_dim(least, shape=s.shape, broadcast_dimensions=tuple(range(last)))
        kept = and_(gt(s, everywhere(s, 0)), ge(s, least))
        inverse = select_n(kept, everywhere(s, 0), div(everywhere(s, 1), s))
        inner = matmul(adjoint(u), b)
        x = matmul(adjoint(vh), mul(inner, for_rows(inverse, inner)))
        return x, reduce_sum(as_dtype(kept, whole), axes=(last,)), s

    return made(function)(low, eq, args)


def _cofactors(x: Any) -> Any:
    """cof(u s v) = cof(u) cof(s) cof(v), and cof(u) = det(u) conj(u) for a unitary u."""
    s, u, v = svd(x, full_matrices=True, compute_uv=True, subset_by_index=None)
    rank = len(x.shape)
    rows = broadcast_in_dim(s, shape=x.shape, broadcast_dimensions=(*range(rank - 2), rank - 1))
    own = on_diagonal(rows)
    others = reduce_prod(select_n(own, rows, everywhere(rows, 1)), axes=(rank - 1,))
    found = matmul(mul(conjugated(u), for_columns(others, u)), conjugated(v))
    factor = mul(det(u), det(v))
    return mul(
        found, broadcast_in_dim(factor, shape=x.shape, broadcast_dimensions=tuple(range(rank - 2)))
    )


def _polar(x: Any) -> Any:
    _, u, vh = svd(x, full_matrices=False, compute_uv=True, subset_by_index=None)
    return matmul(u, vh)


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

    def swapped(i: Word, order: Word) -> Sequence[Word]:
        """One list: two numbers are read, and two written."""
        one = f"slice_sizes = {ints([1])}"
        j = code.op("dynamic_slice", [pivots, i], (1,), dtype, one)
        j = reshaped(code, j, ())
        a, b = (code.op("dynamic_slice", [order, k], (1,), dtype, one) for k in (i, j))
        for number, k in ((b, i), (a, j)):
            order = code.op("dynamic_update_slice", [order, number, k], shape, dtype)
        return [code.op("add", [i, like(code, i, 1)], (), np.int32), order]

    def step(i: Word, order: Word) -> Sequence[Word]:
        if len(shape) == 1:
            return swapped(i, order)
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


def _lowered(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    """The program that the primitive makes of its function."""
    types = [a.aval for a in eq.invars]
    return low.closed(eq.primitive.lowered_program(types, eq.params), args)  # type: ignore[attr-defined]


def _qr_rule(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    (x,), p = args, eq.params
    if not p["pivoting"]:
        return made(_qr)(low, eq, args)
    if low.platform != "cpu":
        return low.by_definition(eq, args)
    code, (*stack, m, n) = low.code, x.shape
    order = ((*stack, n), np.dtype(np.int32))
    free = code.constant(np.zeros(*order))
    results = [(x.shape, x.dtype), order, ((*stack, min(m, n)), x.dtype)]
    packed, places, taus = call(low, "geqp3_ffi", [x, free], results, "", x.rank, alias(0, 0))
    places = code.op("subtract", [places, like(code, places, 1)], places.shape, np.int32)

    def factors(packed: Any, taus: Any) -> list[Any]:
        return list(_unpacked(packed, taus, p["full_matrices"]))

    return [*written(low, factors, packed, taus), places]


def _ormqr_rule(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    (a, taus, c), p = args, eq.params
    if not taus.size:
        return [c]
    if low.platform != "cpu":
        return made(_ormqr)(low, eq, args)
    (a,) = written(low, lambda a: [first_columns(a, taus.shape[-1])], a)
    name = "unmqr_ffi" if c.dtype.kind == "c" else "ormqr_ffi"
    options = ", ".join(f"{k} = {'true' if p[k] else 'false'}" for k in ("left", "transpose"))
    results = [(c.shape, c.dtype)]
    return call(low, name, [a, taus, c], results, options, c.rank, alias(0, 2, many=False))


RULES: dict[Any, Rule] = {
    symmetric_product: made(_symmetric_product),
    lu_solve: made(_lu_solve),
    lu_pivots_to_permutation: _permutation,
    qr: _qr_rule,
    det: made(_det),
    pinv: made(_pinv),
    ormqr: _ormqr_rule,
    lstsq: _lstsq,
    cofactors: made(_cofactors),
    polar: made(_polar),
}
ELEMENTWISE: dict[Any, Rule] = {
    hermitian_part: made(_hermitian_part),
    reduce_p: _lowered,
    reduce_window_p: _lowered,
}
"""These take any elements."""

__all__ = ["RULES", "ELEMENTWISE"]
