"""counted_scan: a scan of which only the first `count` steps are done, a number known when it runs.

Programs have arrays of fixed shapes. A tape of a loop whose rounds are counted only when it runs is
a stack of rows for the most there may be, and this number. It is what the reversal of `while_loop`
is made of (`reversal.py`).
"""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

import numpy as np

from ..core.array import HostArray
from ..core.program import ClosedProgram, run_closed
from ..core.trace import inside, type_of
from ..core.types import ArrayType, array_type
from ..engines import numpy as numpy_engine
from ..ops.comparison import lt
from ..ops.elementwise import add, sub
from ..ops.reduction import reduce_max
from ..ops.structural import broadcast_in_dim, move_axis, to_front, zeros
from ..transforms.stage import Mask, derived, kept
from .lanes import AT_REST, at_rest, chosen_rows
from .scan_bodies import batched_body, in_parts
from .scan_rules import ScanLike

INTEGER = np.dtype(np.int32)
"""Of numbers of rounds."""


NUMBER = array_type((), INTEGER)

COUNTED = "so many rounds"
"""In the cache of a condition: it says only that the rounds are fewer than its first argument."""


def integer(i: int) -> HostArray:
    """A number of rounds."""
    return HostArray(np.int32(i))


class CountedScan(ScanLike):
    """Arguments: how many steps, then those of scan. Steps are those below the count, in either
    direction. Rows of ys that belong to no step are zeros; with `tape` nobody reads them, and they
    may hold anything.
    """

    leading: ClassVar[int] = 1

    def typing(
        self,
        count: Any,
        *types: Any,
        jaxpr: Any,
        length: int,
        num_carry: int,
        num_consts: int,
        reverse: bool,
        tape: bool,
    ) -> list[ArrayType]:
        assert not count.shape and count.dtype == INTEGER, count
        return self.row_types(types, jaxpr, length, num_consts, num_carry)

    def eval(
        self,
        count: Any,
        *args: Any,
        jaxpr: Any,
        length: int,
        num_carry: int,
        num_consts: int,
        reverse: bool,
        tape: bool,
    ) -> Any:
        body = numpy_engine.compiled(jaxpr)
        consts, carry, xs = in_parts(args, num_consts, num_carry)
        ys = [np.zeros((length, *t.shape), t.dtype) for t in jaxpr.out_avals[num_carry:]]
        n = int(count)
        for i in range(n - 1, -1, -1) if reverse else range(n):
            outs = body(*consts, *carry, *[x[i] for x in xs])
            carry = outs[:num_carry]
            for y, out in zip(ys, outs[num_carry:], strict=True):
                y[i] = out
        return [*carry, *ys]

    def forward(self, trace: Any, primals: Any, tangents: Any, params: Any) -> Any:
        body = params["jaxpr"]
        new = {**params, "jaxpr": body.cache.get(AT_REST, body)}
        return super().forward(trace, primals, tangents, new)

    def batch(self, trace: Any, values: Any, axes: Any, params: Any) -> Any:
        if axes[0] is None:
            return super().batch(trace, values, axes, params)
        nc, nk, size = params["num_consts"], params["num_carry"], trace.size
        at_consts, at_carry, at_xs = in_parts(tuple(axes[1:]), nc, nk)
        # At the front, where elements that are done are given the row of another.
        in_front = tuple(None if a is None else 0 for a in at_consts)
        at = (in_front, (0,) * nk, at_xs)
        body = batched_body(params["jaxpr"], size, *at, trace.axis_name)
        ys_at = tuple(body.outs[nk:])
        on_axis = tuple(a is not None for group in at for a in group)
        masked = _masked_body(body.closed, size, nc, nk, on_axis, ys_at, params["reverse"])
        count, args = values[0], values[1:]
        consts, carry, xs = in_parts(args, nc, nk)
        with inside(trace.parent):
            count = move_axis(count, axes[0], 0)
            consts = [
                x if a is None else move_axis(x, a, 0)
                for x, a in zip(consts, at_consts, strict=True)
            ]
            most = reduce_max(count, axes=(0,))
            carry = [to_front(x, a, size) for x, a in zip(carry, at_carry, strict=True)]
            xs = [x if a is None else move_axis(x, a, 1) for x, a in zip(xs, at_xs, strict=True)]
            first = sub(most, integer(1)) if params["reverse"] else integer(0)
            new = {**params, "jaxpr": masked, "num_consts": nc + 1, "num_carry": nk + 1}
            outs = self(most, count, *consts, first, *carry, *xs, **new)
        return outs[1:], [*(0,) * nk, *(1 if m else None for m in ys_at)]


counted_scan_p = CountedScan()


@kept
def _masked_body(
    body: ClosedProgram, size: int, nc: int, nk: int, at: Mask, ys_at: Mask, reverse: bool
) -> ClosedProgram:
    """A step of many elements, of which those stand still whose count does not reach it.

    It takes their counts before its constants, and the number of the step before its carry.
    """

    def step(inputs: Any, counts: Any, *args: Any) -> list[Any]:
        consts, (i, *carry), xs = in_parts(args, nc, nk + 1)
        goes = lt(broadcast_in_dim(i, shape=(size,), broadcast_dimensions=()), counts)
        outs = run_closed(body, inputs(goes, [*consts, *carry, *xs]))
        new = [chosen_rows(goes, y, x) for x, y in zip(carry, outs[:nk], strict=True)]
        ys = [
            chosen_rows(goes, y, zeros(type_of(y))) if m else y
            for y, m in zip(outs[nk:], ys_at, strict=True)
        ]
        after = sub(i, integer(1)) if reverse else add(i, integer(1))
        return [after, *new, *ys]

    types = body.in_avals
    types = [array_type((size,), INTEGER), *types[:nc], NUMBER, *types[nc:]]
    masked = derived(partial(step, lambda _, xs: xs), types, "vmap")
    if size:
        resting = derived(partial(step, lambda goes, xs: at_rest(goes, xs, at)), types, "vmap")
        masked.cache[AT_REST] = resting
    return masked


# ---- loops of a known number of rounds, without a tape


@kept
def counted_loop(body: ClosedProgram, nb: int) -> dict[str, Any]:
    """A loop of as many rounds as its first argument says; it carries first how many there were."""

    def goes_on(rounds: Any, i: Any, *carry: Any) -> list[Any]:
        return [lt(i, rounds)]

    cond = derived(goes_on, [NUMBER, NUMBER, *body.in_avals[nb:]], "grad")
    cond.cache[COUNTED] = True
    return {
        "cond_jaxpr": cond,
        "body_jaxpr": one_more(body, nb),
        "cond_nconsts": 1,
        "body_nconsts": nb,
    }


@kept
def one_more(body: ClosedProgram, nb: int) -> ClosedProgram:
    """The body of a loop that carries the number of its rounds first."""

    def step(*xs: Any) -> list[Any]:
        consts, i, carry = xs[:nb], xs[nb], xs[nb + 1 :]
        return [add(i, integer(1)), *run_closed(body, [*consts, *carry])]

    return derived(step, [*body.in_avals[:nb], NUMBER, *body.in_avals[nb:]], "grad")


__all__ = [
    "COUNTED",
    "INTEGER",
    "NUMBER",
    "counted_loop",
    "counted_scan_p",
    "integer",
    "one_more",
]
