"""Index sets through scan and while_loop.

Where a counter is known, as that of `fori_loop`, the loop is unrolled, so that its indices are
known in each round. Otherwise one round is a boolean matrix: rounds are products with it, and a
number of rounds that is not known, or large, is its closure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from ..core.lazy import lazy
from ..core.program import ClosedProgram, Program, sub_programs
from .combining import MOST_PAIRS
from .index_sets import (
    MOST,
    IndexSets,
    gathered,
    joined,
    one_table,
    reduced,
    singletons,
    through,
    union,
)
from .moving import dense
from .values import Call, Value

scipy_sparse = lazy("scipy.sparse")

Propagate = Callable[[ClosedProgram, Sequence[Value]], list[Value]]

MOST_EQUATIONS = 100_000
"""Equations that a loop may be unrolled to."""

MOST_ROUNDS = 2_000
"""Rounds that are multiplied one by one."""


# ---- scan


def scanned(call: Call, propagate: Propagate) -> list[Value]:
    """The last carry, then the stacked results."""
    params = call.params
    nc, nk, n = params["num_consts"], params["num_carry"], params["length"]
    consts, carry, xs = call.ins[:nc], call.ins[nc : nc + nk], call.ins[nc + nk :]
    if n == 0:
        rest = [Value(t) for t in call.outs[nk:]]
        return [*carry, *rest]
    counts = any(v.is_known for v in (*carry, *xs))
    if counts and n * equations(params["jaxpr"].program) <= MOST_EQUATIONS:
        return _unrolled(call, propagate, consts, carry, xs)
    if all(v.sets is None for v in call.ins):
        return [Value(t) for t in call.outs]
    once = _round(params["jaxpr"], consts, carry, xs, propagate)
    if once is None:
        return _as_values(call, dense(call))
    if any(once.carry) and n <= MOST_ROUNDS:
        return _multiplied(call, once, consts, carry, xs)
    return _any_rounds(call, once, consts, carry, xs)


def counted(call: Call, propagate: Propagate) -> list[Value]:
    """A scan of which some number of steps is done, which its first operand says."""
    params = call.params
    nc, nk = params["num_consts"], params["num_carry"]
    _, *ins = call.ins
    consts, carry, xs = ins[:nc], ins[nc : nc + nk], ins[nc + nk :]
    once = _round(params["jaxpr"], consts, carry, xs, propagate)
    if once is None:
        return _as_values(call, dense(call))
    return _any_rounds(call, once, consts, carry, xs)


def _any_rounds(
    call: Call, once: Round, consts: list[Value], carry: list[Value], xs: list[Value]
) -> list[Value]:
    """The results of a scan of which only the matrix of a step is known."""
    last = _closed(once, consts, carry, [_any_of(x) for x in xs]) if any(once.carry) else carry
    if last is None:
        return _as_values(call, dense(call))
    ys = [_stacked(once, i, call, consts, last, xs) for i in range(len(carry), len(call.outs))]
    if any(y is _TOO_MANY for y in ys):
        return _as_values(call, dense(call))
    kept = [s.sets if a else None for s, a in zip(last, once.carry, strict=True)]
    return _as_values(call, [*kept, *ys])


def equations(program: Program) -> int:
    """How many equations a run of the program does, loops of unknown length counted once."""
    return sum(
        1 + eq.params.get("length", 1) * sum(equations(p) for p in sub_programs(eq.params))
        for eq in program.eqns
    )


def _as_values(call: Call, sets: Sequence[Any]) -> list[Value]:
    return [Value(t, s) for t, s in zip(call.outs, sets, strict=True)]


def _unrolled(
    call: Call, propagate: Propagate, consts: list[Value], carry: list[Value], xs: list[Value]
) -> list[Value]:
    body, n = call.params["jaxpr"], call.params["length"]
    rows: list[Any] = [None] * n
    for i in range(n - 1, -1, -1) if call.params["reverse"] else range(n):
        outs = propagate(body, [*consts, *carry, *(_element(x, i) for x in xs)])
        carry, rows[i] = outs[: len(carry)], outs[len(carry) :]
        for v in carry:
            _ = v.number  # now, so that no chain of functions grows
    ys = [_stack(column) for column in zip(*rows, strict=True)]
    return [*carry, *ys]


def _element(x: Value, i: int) -> Value:
    sets = None if x.sets is None else x.sets.moved(x.sets.ids[i])
    return Value(x.aval.without_axis(0), sets, x.number[i] if x.is_known else None)


def _stack(parts: Sequence[Value]) -> Value:
    aval = parts[0].aval.with_axis(0, len(parts))
    if all(p.sets is None for p in parts):
        known = all(p.is_known for p in parts)
        return Value(aval, None, (lambda: np.stack([p.number for p in parts])) if known else None)
    sets = one_table([p.sets for p in parts], [p.shape for p in parts])
    return Value(aval, sets[0].moved(np.stack([s.ids for s in sets])))


# ---- one round as a matrix


@dataclass
class Round:
    """A body: the elements of its results by the elements of those inputs that have index sets.

    The inputs stand in the order constants, carry, elements of xs.
    """

    given: list[bool]
    """Which inputs have sets."""
    carry: list[bool]
    """Which parts of the carry have."""
    patterns: list[Any]
    """A CSR matrix for each result; None for one without sets."""


def _round(
    body: ClosedProgram,
    consts: Sequence[Value],
    carry: Sequence[Value],
    xs: Sequence[Value],
    propagate: Propagate,
) -> Round | None:
    """The round when each part of the carry has sets that ever gets any; None if it is dense."""
    types = body.in_avals
    active = [v.sets is not None for v in carry]
    while True:
        given = [v.sets is not None for v in consts] + active + [v.sets is not None for v in xs]
        total = sum(t.size for t, g in zip(types, given, strict=True) if g)
        inputs, start = [], 0
        for i, (t, g) in enumerate(zip(types, given, strict=True)):
            if g:
                inputs.append(Value(t, singletons(t.shape, start, total)))
                start += t.size
            else:
                known = i < len(consts) and consts[i].is_known
                inputs.append(consts[i] if known else Value(t))
        outs = propagate(body, inputs)
        found = [v.sets is not None for v in outs[: len(carry)]]
        if all(a or not f for a, f in zip(active, found, strict=True)):
            break
        active = [a or f for a, f in zip(active, found, strict=True)]
    if sum(v.sets.total() for v in outs if v.sets is not None) > MOST:
        return None
    patterns = [None if v.sets is None else v.sets.matrix() for v in outs]
    return Round(given, active, patterns)


def _flat_inputs(once: Round, values: Sequence[Value]) -> IndexSets | None:
    """The sets of those inputs that have them, as one flat array."""
    chosen = [v for v, g in zip(values, once.given, strict=True) if g]
    return joined([v.sets for v in chosen], [v.aval.size for v in chosen])


def _multiplied(
    call: Call, once: Round, consts: list[Value], carry: list[Value], xs: list[Value]
) -> list[Value]:
    """Round after round."""
    n, nk = call.params["length"], len(carry)
    rows: list[Any] = [None] * n
    for i in range(n - 1, -1, -1) if call.params["reverse"] else range(n):
        inputs = [*consts, *carry, *(_element(x, i) for x in xs)]
        flat = _flat_inputs(once, inputs)
        types = call.params["jaxpr"].out_avals
        outs = [
            Value(t, None if p is None or flat is None else through(p, flat, t.shape))
            for t, p in zip(types, once.patterns, strict=True)
        ]
        carry, rows[i] = outs[:nk], outs[nk:]
    return [*carry, *(_stack(column) for column in zip(*rows, strict=True))]


_TOO_MANY: Any = object()


def _stacked(
    once: Round, i: int, call: Call, consts: Any, carry: Sequence[Value], xs: Sequence[Value]
) -> Any:
    """The sets of a stacked result, of all rounds at once: the carry is the same in all."""
    pattern, n, t = once.patterns[i], call.params["length"], call.outs[i]
    if pattern is None or not t.size:
        return None
    if n * pattern.nnz > MOST_PAIRS:
        return _TOO_MANY
    fixed = [*consts, *carry]
    chosen = [v for v, g in zip([*fixed, *xs], once.given, strict=True) if g]
    sets = one_table([v.sets for v in chosen], [v.shape for v in chosen])
    columns = []
    count = sum(once.given[: len(fixed)])
    for place, s in enumerate(sets):
        flat = s.ids.reshape(n, -1) if place >= count else s.flat[None]
        columns.append(np.broadcast_to(flat, (n, flat.shape[1])))
    every = np.concatenate(columns, 1)
    alike = bool((every == every[0]).all())  # then one round says it for all
    each = every[:1] if alike else every
    rows = np.repeat(np.arange(pattern.shape[0]), np.diff(pattern.indptr))
    groups = np.arange(len(each))[:, None] * prod(t.shape[1:]) + rows
    found = gathered(groups, each[:, pattern.indices], sets[0].rows, (len(each), *t.shape[1:]))
    return found.moved(np.broadcast_to(found.ids, t.shape))


def _any_of(x: Value) -> Value:
    """An element of `x`, it is not known which."""
    sets = None if x.sets is None else reduced(x.sets, (0,))
    return Value(x.aval.without_axis(0), sets)


def _closed(
    once: Round, consts: Sequence[Value], carry: Sequence[Value], xs: Sequence[Value]
) -> list[Value] | None:
    """The carry after any number of rounds, none included; None if it is dense.

    With C the part of a round from carry to carry and B the rest, the carry after k rounds is
    within K (carry + B rest), K = (I + C)^m for m so large that it does not grow any more.
    """
    first = sum(v.aval.size for v, g in zip(consts, once.given, strict=False) if g)
    active = [v for v, a in zip(carry, once.carry, strict=True) if a]
    size = sum(v.aval.size for v in active)
    width = first + size + sum(v.aval.size for v in xs if v.sets is not None)
    patterns = zip(carry, once.carry, once.patterns, strict=False)
    parts = [
        scipy_sparse.csr_array((v.aval.size, width), dtype=bool) if p is None else p
        for v, a, p in patterns
        if a
    ]
    whole = scipy_sparse.vstack(parts, format="csr")
    same = scipy_sparse.eye_array(size, dtype=bool, format="csr")
    closure = (same + whole[:, first : first + size]).tocsr()
    while True:
        if _products(closure) > 10 * MOST:
            return None
        wider = closure @ closure
        if wider.nnz == closure.nnz:
            break
        closure = wider.tocsr()
    rest = [Value(v.aval) for v in carry]  # the other inputs alone
    inputs = _flat_inputs(once, [*consts, *rest, *xs])
    start = joined([v.sets for v in active], [v.aval.size for v in active])
    given = None if inputs is None else through(whole, inputs, (size,))
    total = union([start, given], (size,))
    if total is None:
        return list(carry)
    final = through(closure, total, (size,))
    found, at = [], 0
    for v, a in zip(carry, once.carry, strict=True):
        if not a:
            found.append(Value(v.aval))
            continue
        ids = final.flat[at : at + v.aval.size].reshape(v.shape)
        found.append(Value(v.aval, final.moved(ids)))
        at += v.aval.size
    return found


def _products(a: Any) -> int:
    """The pairs that the square of a CSR matrix looks at."""
    return int(np.diff(a.indptr)[a.indices].sum())


# ---- while_loop


def repeated(call: Call, propagate: Propagate) -> list[Value]:
    """The carry when the condition fails: round by round where it is known, else any number."""
    params = call.params
    nc, nb = params["cond_nconsts"], params["body_nconsts"]
    of_cond, consts, carry = call.ins[:nc], call.ins[nc : nc + nb], call.ins[nc + nb :]
    found = _followed(params, of_cond, consts, carry, propagate)
    if found is not None:
        return found
    once = _round(params["body_jaxpr"], consts, carry, [], propagate)
    last = None if once is None else _closed(once, consts, carry, [])
    if last is None:
        return _as_values(call, dense(call))
    return [Value(v.aval, v.sets) for v in last]


def _followed(
    params: Any,
    of_cond: Sequence[Value],
    consts: Sequence[Value],
    carry: list[Value],
    propagate: Propagate,
) -> list[Value] | None:
    body, condition = params["body_jaxpr"], params["cond_jaxpr"]
    rounds = MOST_EQUATIONS // (1 + equations(body.program))
    for _ in range(rounds):
        (going,) = propagate(condition, [*of_cond, *carry])
        if not going.is_known:
            return None
        if not going.number:
            return carry
        carry = propagate(body, [*consts, *carry])
        for v in carry:
            _ = v.number
    return None


__all__ = ["counted", "equations", "repeated", "scanned"]
