"""Eliminations row by row: systems with tridiagonal matrices, and the Cholesky factor of a matrix
to which a product is added.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ....control.scan import scan_p
from ....core.program import Equation, trace_program
from ....core.types import array_type
from ....ops.comparison import gt, lt, max_, ne
from ....ops.dynamic import dynamic_slice, dynamic_update_slice
from ....ops.elementwise import add, div, mul, select_n, sub
from ....ops.functions import sqrt
from ....ops.linalg import for_rows, triu
from ....ops.reduction import reduce_max
from ....ops.rounding import abs_
from ....ops.slicing import concatenate, slice_along
from ....ops.structural import broadcast_in_dim, reshape, transpose
from ....ops.tridiagonal import tridiagonal_solve
from ....ops.updates import cholesky_update
from ..lowering import Lowering, Rule
from ..text import Word
from .linalg import call
from .matrices import (
    PLATFORMS,
    as_dtype,
    counted,
    everywhere,
    is_zero,
    place,
    where,
    where_done,
    written,
)

# ---- tridiagonal matrices


def _tridiagonal_solve(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    _, d, _, b = args
    perturbed = eq.params["perturb_singular"]
    if low.platform not in PLATFORMS:
        return low.by_definition(eq, args)
    if perturbed:
        return low.traced(lambda *xs: [_eliminated(*xs)], [a.aval for a in eq.invars], args)
    if d.shape[-1] == 1:
        return written(low, lambda d, b: [div(b, for_rows(d, b))], d, b)
    if low.platform != "cpu":
        return low.by_definition(eq, args)
    outs = [(w.shape, w.dtype) for w in args] + [(d.shape[:-1], np.dtype(np.int32))]
    aliases = ", ".join(
        "#stablehlo.output_operand_alias<output_tuple_indices = "
        f"[{i}], operand_index = {i}, operand_tuple_indices = []>"
        for i in range(4)
    )
    found = call(low, "gtsv_ffi", args, outs, "", b.rank, f", output_operand_aliases = [{aliases}]")
    return [where_done(low, found[4], found[3])]


def _scan(function: Any, carry: Sequence[Any], xs: Sequence[Any], reverse: bool) -> list[Any]:
    """The last carry, and the results of `function(*carry, *rows)` that come after the carry."""
    rows = [array_type(x.shape[1:], x.dtype) for x in xs]
    types = [*[array_type(c.shape, c.dtype) for c in carry], *rows]
    return scan_p(  # type: ignore[no-any-return]
        *carry,
        *xs,
        jaxpr=trace_program(function, types),
        length=xs[0].shape[0],
        num_carry=len(carry),
        num_consts=0,
        reverse=reverse,
        unroll=1,
    )


def _first_axis(x: Any, axis: int) -> Any:
    return transpose(x, permutation=(axis, *[i for i in range(len(x.shape)) if i != axis]))


def _last_axes(x: Any, axis: int) -> Any:
    order = list(range(1, len(x.shape)))
    order.insert(axis, 0)
    return transpose(x, permutation=tuple(order))


def _eliminated(dl: Any, d: Any, du: Any, b: Any) -> Any:
    """By elimination with swaps of rows, tiny pivots made larger.

    Row i is left with three numbers, from its diagonal on: these are `u`, and `x` its right side.
    """
    at, n = len(d.shape) - 1, d.shape[-1]
    size = _largest(d)
    if n > 1:
        size = max_(size, _largest(slice_along(dl, at, 1, n)))
        size = max_(size, _largest(slice_along(du, at, 0, n - 1)))
        du = concatenate(
            slice_along(du, at, 0, n - 1), everywhere(slice_along(du, at, 0, 1), 0), dimension=at
        )
    else:
        du = everywhere(du, 0)
    size = where(is_zero(size), everywhere(size, 1), size)
    least = mul(size, everywhere(size, np.finfo(size.dtype).eps))
    dl, d, du = (_first_axis(x, at) for x in (dl, d, du))
    x = _first_axis(b, at)

    def raised(pivot: Any, least: Any) -> Any:
        return select_n(lt(abs_(pivot), least), pivot, as_dtype(least, pivot.dtype))

    def forward(least: Any, p: Any, q: Any, x: Any, *row: Any) -> list[Any]:
        dl, d, du, b = row
        swapped = gt(abs_(dl), abs_(p))
        u0, u1, u2 = (where(swapped, y, z) for y, z in ((dl, p), (d, q), (du, everywhere(q, 0))))
        v0, v1, v2 = (where(swapped, y, z) for y, z in ((p, dl), (q, d), (everywhere(q, 0), du)))
        wide = _over(swapped, x)
        upper, lower = where(wide, b, x), where(wide, x, b)
        u0 = raised(u0, least)
        factor = div(v0, u0)
        lower = sub(lower, mul(_over(factor, x), upper))
        rest = [sub(v1, mul(factor, u1)), sub(v2, mul(factor, u2))]
        return [least, *rest, lower, u0, u1, u2, upper]

    def backward(first: Any, second: Any, u0: Any, u1: Any, u2: Any, x: Any) -> list[Any]:
        left = sub(sub(x, mul(_over(u1, x), first)), mul(_over(u2, x), second))
        found = div(left, _over(u0, x))
        return [found, first, found]

    def row(y: Any, i: int) -> Any:
        return reshape(slice_along(y, 0, i, i + 1), new_sizes=y.shape[1:])

    state = [least, row(d, 0), row(du, 0), row(x, 0)]
    rows = [slice_along(y, 0, 1, n) for y in (dl, d, du, x)]
    _, p, _, last, *found = _scan(forward, state, rows, reverse=False)
    last = div(last, _over(raised(p, least), last))
    _, _, inner = _scan(backward, [last, everywhere(last, 0)], found, reverse=True)
    last = reshape(last, new_sizes=(1, *last.shape))
    return _last_axes(concatenate(inner, last, dimension=0), at)


def _largest(x: Any) -> Any:
    return reduce_max(abs_(x), axes=(len(x.shape) - 1,))


def _over(v: Any, x: Any) -> Any:
    """A number for each row of right sides."""
    return broadcast_in_dim(v, shape=x.shape, broadcast_dimensions=tuple(range(len(v.shape))))


# ---- Cholesky factors


def _cholesky_update(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    """A rotation for each row, which brings the number of w beneath its diagonal to 0."""
    if low.platform not in PLATFORMS:
        return low.by_definition(eq, args)

    def begin(r: Any, w: Any) -> list[Any]:
        return [triu(r), reshape(w, new_sizes=(*w.shape[:-1], 1, w.shape[-1]))]

    def step(k: Any, r: Any, z: Any) -> list[Any]:
        none = [place(0)] * (len(r.shape) - 2)
        one = (*z.shape[:-1], 1)
        row = dynamic_slice(r, *none, k, place(0), slice_sizes=z.shape)
        x = dynamic_slice(row, *none, place(0), k, slice_sizes=one)
        y = dynamic_slice(z, *none, place(0), k, slice_sizes=one)
        turned = ne(y, everywhere(y, 0))
        most = where(turned, max_(abs_(x), abs_(y)), 1)
        a, b = div(x, most), div(y, most)
        size = mul(most, sqrt(add(mul(a, a), mul(b, b))))
        c = where(turned, div(x, size), 1)
        s = where(turned, div(y, size), 0)
        c, s = (
            broadcast_in_dim(
                reshape(v, new_sizes=v.shape[:-2]),
                shape=z.shape,
                broadcast_dimensions=tuple(range(len(none))),
            )
            for v in (c, s)
        )
        r = dynamic_update_slice(r, add(mul(c, row), mul(s, z)), *none, k, place(0))
        return [r, sub(mul(c, z), mul(s, row))]

    r, w = args
    state = written(low, begin, r, w)
    steps = low.code.constant(np.int32(r.shape[-1]))
    r = counted(low, steps, step, state)[0]
    return written(low, lambda r: [triu(r)], r)


RULES: dict[Any, Rule] = {
    tridiagonal_solve: _tridiagonal_solve,
    cholesky_update: _cholesky_update,
}

__all__ = ["RULES"]
