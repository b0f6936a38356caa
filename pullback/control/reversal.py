"""The reversal of a loop that keeps few of its states: reverse mode of `while_loop`, and of `scan`
with checkpoints.

The backward pass knows how many rounds there were. It goes back in units of some rounds. What is
kept is a stack of states, each before some unit; to reverse the last unit that is left, the state
before it is computed from the top of the stack, keeping more states on the way where there is room:
those of the optimal schedule (`revolve.py`). One unit is reversed by doing its rounds once more,
with their residuals stacked, and then the transposed rounds.

All of this is an ordinary program, whose size depends neither on the number of rounds nor on that
of checkpoints: loops, and arrays that hold the stack. So every engine runs it, and it can be
differentiated, mapped and compiled as any other.

Griewank & Walther, "Algorithm 799: Revolve", ACM Transactions on Mathematical Software 26 (2000).
Where the length of a chain is known only when it ends, Stumm & Walther, "New algorithms for optimal
online checkpointing", SIAM Journal on Scientific Computing 32 (2010), and Wang, Moin & Iaccarino,
"Minimal repetition dynamic checkpointing algorithm for unsteady adjoint calculation", SIAM Journal
on Scientific Computing 31 (2009), choose states while it goes on. Here the forward pass keeps
nothing but its inputs and the number of rounds, so that the schedule can be the best for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.array import HostArray
from ..core.program import ClosedProgram, Program, run_closed
from ..core.trace import type_of
from ..core.types import ArrayType, array_type
from ..ops.comparison import and_, eq, gt, le, lt, max_, min_, or_
from ..ops.dynamic import dynamic_slice, dynamic_update_slice
from ..ops.elementwise import add, convert_element_type, div, mul, select_n, sub
from ..ops.structural import reshape, squeeze, zeros
from ..transforms.simplify import dead_code
from ..transforms.stage import Mask, derived
from .branches import cond_p
from .counted import INTEGER, NUMBER, counted_loop, counted_scan_p, integer
from .loop_split import LoopParts
from .scan_bodies import backward_body

WIDE = np.dtype(np.int64)
"""Of binomial coefficients."""

TAPE_BYTES, TAPE_ROUNDS = 1 << 24, 1 << 12
SLOT_BYTES, MOST_SLOTS, LEAST_SLOTS = 1 << 26, 32, 4
"""How much a loop whose user says nothing may keep: residuals of the rounds of one unit, states."""

Loop = Callable[..., list[Any]]
"""The function of the primitive `while`, which this module is written for."""


@dataclass
class Rows:
    """What a scan has besides a carry: arrays to run over, and results for each step."""

    length: int
    reverse: bool
    linear: Mask
    """Which of the inputs of each step of the linear body (residuals, then xs) are linear."""
    given: Mask
    """Which unknown results of the steps have a cotangent."""


@dataclass
class Reversal:
    """The backward pass of a loop: its split body and how much it may keep."""

    loop: Loop
    parts: LoopParts
    sums: tuple[ArrayType, ...]
    """Types of the unknown constants."""
    slots: int
    unit: int
    rows: Rows | None = None

    def __post_init__(self) -> None:
        known, n_same = self.parts.known, len(self.parts.before.out_avals)
        self.n_consts = len(self.parts.before.in_avals)
        self.n_state = sum(not u for u in self.parts.unknown_carry)
        self.state = known.in_avals[self.n_consts : self.n_consts + self.n_state]
        self.n_same, self.n_cts = n_same, sum(self.parts.unknown_carry)
        self.cts = self.parts.linear.out_avals[: self.n_cts]
        linear = self.parts.linear.in_avals[n_same + len(self.sums) + self.n_cts :]
        each = self.rows.linear if self.rows else (False,) * len(linear)
        self.each = each
        self.ct_xs = [t for t, u in zip(linear, each, strict=True) if u]
        self.given = self.rows.given if self.rows else ()
        consts = (False,) * n_same + (True,) * len(self.sums)
        self.back = backward_body(self.parts.linear, self.n_cts, consts, each, self.given)
        p = known.program
        short = dead_code(
            Program(p.constvars, p.invars, p.outvars[: self.n_state], p.eqns, name=p.name)
        )
        self.step = ClosedProgram(short, known.consts)

    # ---- pieces of the program

    def advance(self, given: Given, state: Sequence[Any], first: Any, units: Any) -> list[Any]:
        """The state after so many units from the one before unit `first`."""
        count = mul(units, integer(self.unit))
        if self.rows is None:
            counted = counted_loop(self.step, len(given.consts))
            return self.loop(count, *given.consts, integer(0), *state, **counted)[1:]
        rows, length, back = given.xs, self.rows.length, self.rows.reverse
        n = len(given.consts)
        step = self.step

        def body(*args: Any) -> list[Any]:
            consts, xs, (i, *carry) = _cut(args, n, len(rows))
            at = sub(integer(length - 1), i) if back else i
            found = run_closed(step, [*consts, *carry, *(_row(x, at) for x in xs)])
            return [add(i, integer(1)), *found]

        fixed = [*given.consts, *rows]
        types = [*map(type_of, fixed), NUMBER, *self.state]
        jaxpr = derived(body, types, "checkpoints")
        counted = counted_loop(jaxpr, len(fixed))
        return self.loop(count, *fixed, integer(0), first, *state, **counted)[2:]

    def unit_back(
        self, given: Given, state: Sequence[Any], at: Any, count: Any, sums: Any, cts: Any
    ) -> tuple[list[Any], list[Any], list[Any]]:
        """The first `count` rounds of a unit, forward with residuals and back. `at`: its number."""
        length = self.unit
        xs, ct_ys = ([_row_alone(x, at) for x in rows] for rows in (given.xs, given.ct_ys))
        found = counted_scan_p(
            count,
            *given.consts,
            *state,
            *xs,
            jaxpr=self.parts.known,
            **_steps(length, len(state), given.consts),
        )
        first = len(found) - self.parts.stacked_count
        stacked = self.parts.sequences(xs, found[len(state) : first], found[first:])
        new = _steps(length, len(sums) + len(cts), given.same)
        outs = counted_scan_p(
            count,
            *given.same,
            *sums,
            *cts,
            *ct_ys,
            *stacked,
            jaxpr=self.back,
            **{**new, "reverse": True},
        )
        sums, cts, ct_xs = _cut(outs, len(sums), len(cts))
        return sums, cts, ct_xs

    def go_back(
        self, given: Given, state: Sequence[Any], totals: tuple[Any, Any], last: int, back: Any
    ) -> list[Any]:
        """Reverse all units from the end but the `last` ones to come."""
        rounds, units = totals
        fixed = [rounds, *given.consts, *given.same, *given.xs, *given.ct_ys]
        counts = (len(given.consts), len(given.same), len(given.xs))
        n, k, n_back = len(state), self.slots, len(back)

        def goes_on(left: Any, *_: Any) -> list[Any]:
            return [gt(left, integer(last))]

        def body(*args: Any) -> list[Any]:
            (rounds,), rest = args[:1], args[1:]
            consts, same, xs, rest = _cut(rest, *counts)
            ct_ys, rest = rest[: len(given.ct_ys)], rest[len(given.ct_ys) :]
            now = Given(consts, same, xs, ct_ys)
            (left, used, places), held, so_far = _cut(rest, 3, n)
            top = sub(used, integer(1))
            place = _row(places, top)
            ahead = sub(left, place)
            here = self._is_next(ahead, used)
            stretch = select_n(here, self._stretch(ahead, used), sub(ahead, integer(1)))
            state = self.advance(now, [_row(h, top) for h in held], place, stretch)
            slot = min_(used, integer(k - 1))
            # What is only passed through is not kept: its slot gets what it holds, or is free.
            keep = [select_n(here, x, _row(h, slot)) for h, x in zip(held, state, strict=True)]
            held = [_with_row(h, x, slot) for h, x in zip(held, keep, strict=True)]
            after = select_n(here, add(place, stretch), _row(places, slot))
            places = _with_row(places, after, slot)
            at = sub(left, integer(1))
            so_far = self._unit_or_not(now, state, at, here, rounds, so_far)
            left = select_n(here, left, at)
            done = and_(here, eq(place, at))
            used = select_n(here, add(used, integer(1)), select_n(done, used, top))
            return [left, used, places, *held, *so_far]

        held = [
            _with_row(zeros(t.with_axis(0, k)), x, integer(0))
            for t, x in zip(self.state, state, strict=True)
        ]
        start = [units, integer(1), zeros(array_type((k,), INTEGER)), *held, *back]
        types = [type_of(x) for x in start]
        outs = self.loop(
            *fixed,
            *start,
            cond_jaxpr=derived(goes_on, types, "checkpoints"),
            body_jaxpr=derived(body, [*map(type_of, fixed), *types], "checkpoints"),
            cond_nconsts=0,
            body_nconsts=len(fixed),
        )
        return outs[len(outs) - n_back :]

    def _is_next(self, ahead: Any, used: Any) -> Any:
        """Whether a unit is reversed now: one is ahead, or no slot is free."""
        return or_(le(integer(self.slots), used), le(ahead, integer(1)))

    def _stretch(self, ahead: Any, used: Any) -> Any:
        """`revolve.first_stretch`, of numbers that are known when the program runs."""
        steps = convert_element_type(ahead, new_dtype=WIDE, weak_type=False)
        free = sub(integer(self.slots + 1), used)
        slots = max_(convert_element_type(free, new_dtype=WIDE, weak_type=False), _wide(2))

        def goes_on(steps: Any, slots: Any, r: Any, before: Any, reach: Any) -> list[Any]:
            return [lt(reach, steps)]

        def body(steps: Any, slots: Any, r: Any, before: Any, reach: Any) -> list[Any]:
            r = add(r, _wide(1))
            return [steps, slots, r, reach, div(mul(reach, add(slots, r)), r)]

        types = [array_type((), WIDE)] * 5
        _, _, r, before, _ = self.loop(
            steps,
            slots,
            _wide(0),
            _wide(1),
            _wide(1),
            cond_jaxpr=derived(goes_on, types, "checkpoints"),
            body_jaxpr=derived(body, types, "checkpoints"),
            cond_nconsts=0,
            body_nconsts=0,
        )
        lower = max_(sub(add(slots, r), _wide(1)), _wide(1))
        stretch = min_(before, sub(steps, div(mul(before, slots), lower)))
        return convert_element_type(stretch, new_dtype=INTEGER, weak_type=False)

    def _unit_or_not(
        self, given: Given, state: Any, at: Any, here: Any, rounds: Any, so_far: Any
    ) -> list[Any]:
        left = sub(rounds, mul(at, integer(self.unit)))
        count = select_n(here, integer(0), min_(left, integer(self.unit)))
        sums, cts, ct_xs = _cut(so_far, len(self.sums), self.n_cts)
        place = at
        if self.rows is not None and self.rows.reverse:
            place = sub(integer(self.rows.length - 1), at)
        sums, cts, found = self.unit_back(given, state, place, count, sums, cts)
        ct_xs = [
            dynamic_update_slice(x, row, *_corner(x, place))
            for x, row in zip(ct_xs, found, strict=True)
        ]
        return [*sums, *cts, *ct_xs]

    def backward(self, rounds: Any, given: Given, state: Any, cts: Sequence[Any]) -> list[Any]:
        """Cotangents of the unknown constants, of the unknown carry and of the unknown xs."""
        back = [*(zeros(t) for t in self.sums), *cts]
        if self.unit == 1:
            length = self.rows.length if self.rows else 0
            back += [zeros(t.with_axis(0, length)) for t in self.ct_xs]
            return self.go_back(given, state, (rounds, rounds), 0, back)
        unit = integer(self.unit)
        units = add(div(sub(rounds, integer(1)), unit), integer(1))
        more = convert_element_type(gt(rounds, unit), new_dtype=INTEGER, weak_type=False)
        back = self._only_if(more, given, state, (rounds, units), back)
        first = min_(rounds, unit)
        n = len(self.sums)
        sums, cts, _ = self.unit_back(given, state, integer(0), first, back[:n], back[n:])
        return [*sums, *cts]

    def _only_if(self, more: Any, given: Given, state: Any, totals: Any, back: Any) -> list[Any]:
        """What is beyond the first unit: mostly nothing, and then no slots are needed."""
        args = [*totals, *given.consts, *given.same, *state, *back]
        counts = (2, len(given.consts), len(given.same), len(state))

        def nothing(*args: Any) -> Any:
            return args[len(args) - len(back) :]

        def rest(*args: Any) -> list[Any]:
            (rounds, units), consts, same, state, back = _cut(args, *counts)
            return self.go_back(Given(consts, same), state, (rounds, units), 1, back)

        types = [type_of(x) for x in args]
        branches = tuple(derived(f, types, "checkpoints") for f in (nothing, rest))
        return cond_p(more, *args, branches=branches)  # type: ignore[no-any-return]


@dataclass
class Given:
    """What a backward pass has at hand all the time."""

    consts: Sequence[Any]
    same: Sequence[Any]
    """The residuals that are the same in all rounds."""
    xs: Sequence[Any] = ()
    ct_ys: Sequence[Any] = ()


def default_sizes(parts: LoopParts) -> tuple[int, int]:
    """Slots, and the rounds of a unit, for a loop whose user says nothing."""
    n = sum(not u for u in parts.unknown_carry)
    outs = parts.known.out_avals
    residuals = sum(_bytes(t) for t in outs[len(outs) - parts.stacked_count :])
    state = sum(_bytes(t) for t in outs[:n])
    unit = max(2, min(TAPE_ROUNDS, TAPE_BYTES // max(residuals, 1)))
    return max(LEAST_SLOTS, min(MOST_SLOTS, SLOT_BYTES // max(state, 1))), unit


def _bytes(t: ArrayType) -> int:
    return int(t.size) * int(t.dtype.itemsize)


def _wide(i: int) -> HostArray:
    return HostArray(np.int64(i))


def _steps(length: int, carried: int, consts: Sequence[Any]) -> dict[str, Any]:
    return {
        "length": length,
        "num_carry": carried,
        "num_consts": len(consts),
        "reverse": False,
        "tape": length > 1,
    }


def _cut(xs: Sequence[Any], *counts: int) -> list[Any]:
    """`xs` in groups of these lengths, and one of what is left."""
    groups, start = [], 0
    for n in counts:
        groups.append(list(xs[start : start + n]))
        start += n
    return [*groups, list(xs[start:])]


def _corner(x: Any, row: Any) -> list[Any]:
    return [row, *[integer(0)] * (len(type_of(x).shape) - 1)]


def _row_alone(x: Any, i: Any) -> Any:
    """`x[i : i + 1]`."""
    return dynamic_slice(x, *_corner(x, i), slice_sizes=(1, *type_of(x).shape[1:]))


def _row(x: Any, i: Any) -> Any:
    return squeeze(_row_alone(x, i), dimensions=(0,))


def _with_row(x: Any, row: Any, i: Any) -> Any:
    shape = (1, *type_of(row).shape)
    return dynamic_update_slice(x, reshape(row, new_sizes=shape), *_corner(x, i))


__all__ = ["Given", "Reversal", "Rows", "default_sizes"]
