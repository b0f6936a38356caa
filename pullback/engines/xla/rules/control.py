"""Loops and branches as regions; programs that are computed again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ....control.branches import cond_p
from ....control.checkpoint import checkpoint_p
from ....control.counted import counted_scan_p
from ....control.scan import scan_p
from ....control.while_loop import while_p
from ....core.program import ClosedProgram, Equation
from ..lowering import Lowering, Rule, types_of
from ..text import Result, Word
from ..types import ints
from .elementwise import compare, convert, like
from .structural import behind_barrier, broadcast, reshaped


def _results(words: list[Word]) -> list[Any]:
    return [(w.shape, w.dtype) for w in words]


def _cond(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    (index, *operands), branches = args, eq.params["branches"]
    code = low.code
    last = code.constant(np.int32(len(branches) - 1))
    index = code.op("clamp", [code.constant(np.int32(0)), index, last], (), np.int32)
    order = _order(low, *branches)
    regions = [
        low.region([], lambda b=b: low.in_order(order, lambda: low.closed(b, operands))).text
        for b in branches
    ]
    results = [low.result(eq, k) for k in range(len(eq.outvars))]
    outs = code.ops("case", [index], [*results, *_types(order)], "", ", ".join(regions))
    return _with_order(low, order, outs)


def _order(low: Lowering, *programs: ClosedProgram) -> Word | None:
    """The order that regions of these programs must carry on, if they must."""
    return low.current_order() if any(map(low.is_ordered, programs)) else None


def _types(order: Word | None) -> list[Result]:
    return [] if order is None else [(order.shape, order.dtype)]


def _with_order(low: Lowering, order: Word | None, outs: Sequence[Word]) -> list[Word]:
    """The results, of which the last may be the order."""
    if order is None:
        return list(outs)
    *rest, low.order = outs
    return rest


def _while(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    p = eq.params
    nc, nb = p["cond_nconsts"], p["body_nconsts"]
    cond_consts, body_consts, carry = args[:nc], args[nc : nc + nb], args[nc + nb :]
    order = _order(low, p["cond_jaxpr"], p["body_jaxpr"])
    n, state = len(carry), carry if order is None else [*carry, order]
    types = _results(state)

    def goes_on(*c: Word) -> Sequence[Word]:
        at = None if order is None else c[n]
        return low.in_order(at, lambda: low.closed(p["cond_jaxpr"], [*cond_consts, *c[:n]]))[:1]

    def step(*c: Word) -> Sequence[Word]:
        at = None if order is None else c[n]
        return low.in_order(at, lambda: low.closed(p["body_jaxpr"], [*body_consts, *c[:n]]))

    regions = f"{low.region(types, goes_on).text}, {low.region(types, step).text}"
    return _with_order(low, order, low.code.ops("while", state, types, "", regions))


def _scan(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    """A while loop with a counter; outputs are written row by row."""
    steps = low.code.constant(np.int64(eq.params["length"]))
    return _steps(low, eq, steps, args)


def _counted_scan(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    """A scan of as many steps as the first argument says."""
    return _steps(low, eq, convert(low.code, args[0], np.int64), args[1:])


def _steps(low: Lowering, eq: Equation, steps: Word, args: Sequence[Word]) -> Sequence[Word]:
    code, p = low.code, eq.params
    nc, nk, length = p["num_consts"], p["num_carry"], p["length"]
    consts, carry, xs = args[:nc], args[nc : nc + nk], args[nc + nk :]
    body = p["jaxpr"]
    if not length:
        empty = [code.constant(np.zeros(*low.result(eq, k))) for k in range(nk, len(eq.outvars))]
        return [*carry, *empty]
    rows = types_of(body.out_avals[nk:])
    ys = [
        broadcast(code, code.constant(np.zeros((), dtype)), (length, *shape), ())
        for shape, dtype in rows
    ]
    order = _order(low, body)
    state = [code.constant(np.int64(0)), *carry, *ys, *([] if order is None else [order])]

    def goes_on(i: Word, *rest: Word) -> Sequence[Word]:
        return [compare(code, "LT", i, steps)]

    def step(i: Word, *rest: Word) -> Sequence[Word]:
        k = i
        one = like(code, i, 1)
        if p["reverse"]:
            left = code.op("subtract", [steps, i], (), np.int64)
            k = code.op("subtract", [left, one], (), np.int64)
        elements = [_row(low, x, k) for x in xs]
        end = nk + len(ys)
        at = None if order is None else rest[end]
        outs = low.in_order(at, lambda: low.closed(body, [*consts, *rest[:nk], *elements]))
        rows = zip(rest[nk:end], outs[nk:end], strict=True)
        written = [_with_row(low, y, row, k) for y, row in rows]
        after = code.op("add", [i, one], (), np.int64)
        return [after, *outs[:nk], *written, *outs[end:]]

    types = _results(state)
    regions = f"{low.region(types, goes_on).text}, {low.region(types, step).text}"
    return _with_order(low, order, code.ops("while", state, types, "", regions)[1:])


def _row(low: Lowering, x: Word, k: Word) -> Word:
    zero = low.code.constant(np.int64(0))
    at = [k, *[zero] * (x.rank - 1)]
    sizes = (1, *x.shape[1:])
    row = low.code.op("dynamic_slice", [x, *at], sizes, x.dtype, f"slice_sizes = {ints(sizes)}")
    return reshaped(low.code, row, x.shape[1:])


def _with_row(low: Lowering, y: Word, row: Word, k: Word) -> Word:
    zero = low.code.constant(np.int64(0))
    at = [k, *[zero] * (y.rank - 1)]
    wide = reshaped(low.code, row, (1, *row.shape))
    return low.code.op("dynamic_update_slice", [y, wide, *at], y.shape, y.dtype)


def _checkpoint(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    """The program behind a barrier: without it the compiler would find that the forward pass
    computes the same, and keep that."""
    return low.closed(eq.params["jaxpr"], behind_barrier(low, args))


RULES: dict[Any, Rule] = {
    checkpoint_p: _checkpoint,
    cond_p: _cond,
    while_p: _while,
    scan_p: _scan,
    counted_scan_p: _counted_scan,
}

__all__ = ["RULES"]
