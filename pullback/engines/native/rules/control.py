"""Loops, branches, and programs that are computed again.

Of what loops carry, small arrays are in registers, large ones in two buffers that change places.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ....control.branches import cond_p
from ....control.checkpoint import checkpoint_p
from ....control.counted import counted_scan_p
from ....control.scan import scan_p
from ....control.while_loop import while_p
from ....core.program import ClosedProgram, Equation
from ....core.types import ArrayType
from ....transforms.simplify import simplify
from ..buffers import Buffer, OneOf
from ..kinds import Kind, kind_of
from ..lowering import SCALARS, Lowering, Rule, Value
from ..nodes import InMemory
from ..registers import Lanes
from .updating import updated_in_place

ROUNDS = 100
"""Of a while loop, as a guess of its work."""


def simplified(closed: ClosedProgram) -> ClosedProgram:
    """`simplify`, once for each program."""
    found = closed.cache.get("simplified")
    if found is None:
        found = closed.cache["simplified"] = simplify(closed)
    return found  # type: ignore[no-any-return]


# ---- what goes around a loop


class Carried:
    """One array that a loop carries: `first` are the LLVM types and values it starts with."""

    first: list[tuple[str, str]]

    def value(self, names: Sequence[str]) -> Value:
        """The array in a round, from what the loop carries."""
        raise NotImplementedError

    def target(self, names: Sequence[str]) -> Buffer | None:
        """Where the array of the next round goes, if it is to be written somewhere."""
        return None

    def next(self, low: Lowering, new: Value, names: Sequence[str]) -> list[str]:
        """What the loop carries into the next round, once all has been written."""
        raise NotImplementedError

    def result(self, names: Sequence[str], sure: bool) -> Value:
        """The array after the loop; `sure`: there was a round."""
        return self.value(names)


class InRegisters(Carried):
    """A small array: a vector, or a few scalars."""

    def __init__(self, low: Lowering, value: Value) -> None:
        self.kind, self.shape, self.size = value.kind, value.shape, value.size
        self.first = [(self._type(), word) for word in self._words(low, value)]

    def _type(self) -> str:
        return self.kind.typed(0 if self.size <= SCALARS else self.size)

    def _words(self, low: Lowering, value: Value) -> list[str]:
        if self.size > SCALARS:
            return _parts(low.word(value))
        return [p for i in range(self.size) for p in _parts(low.scalar(value, i))]

    def value(self, names: Sequence[str]) -> Value:
        if self.size > SCALARS:
            word = tuple(names) if len(names) == 2 else names[0]
            lanes = Lanes.of_word(self.kind, self.shape, word)
            return Value(self.kind, self.shape, lanes=lanes)
        n = self.kind.parts
        pieces = [
            Lanes.of_word(self.kind, (), tuple(names[i : i + n]) if n == 2 else names[i])
            for i in range(0, len(names), n)
        ]
        if not pieces:
            return Value(self.kind, self.shape, lanes=Lanes(self.kind, self.shape, [[]] * n))
        joined = Lanes.joined(pieces)
        lanes = Lanes(self.kind, self.shape, joined.parts)
        return Value(self.kind, self.shape, lanes=lanes)

    def next(self, low: Lowering, new: Value, names: Sequence[str]) -> list[str]:
        return self._words(low, new)


class Alternating(Carried):
    """A large array: read from one buffer while the next one is written to another."""

    def __init__(self, low: Lowering, value: Value) -> None:
        self.kind, self.shape = value.kind, value.shape
        self.start = start = low.contiguous(value)
        self.one, self.other = (low.new_buffer(value.kind, value.shape) for _ in range(2))
        self.first = [("ptr", b.pointer) for b in (start, self.one, self.other)]

    def _buffer(self, name: str) -> Buffer:
        return Buffer(name, self.kind, self.shape, storage=None)

    def value(self, names: Sequence[str]) -> Value:
        return Value(self.kind, self.shape, node=InMemory(self._buffer(names[0])))

    def target(self, names: Sequence[str]) -> Buffer | None:
        return self._buffer(names[1])

    def next(self, low: Lowering, new: Value, names: Sequence[str]) -> list[str]:
        return [names[1], names[2], names[1]]

    def result(self, names: Sequence[str], sure: bool) -> Value:
        held = OneOf([self.one, self.other] if sure else [self.start, self.one, self.other])
        buffer = Buffer(names[0], self.kind, self.shape, storage=held)
        return Value(self.kind, self.shape, node=InMemory(buffer))


class InPlace(Carried):
    """A large array of which each round changes a part."""

    def __init__(self, low: Lowering, value: Value) -> None:
        self.buffer = low.new_buffer(value.kind, value.shape)
        low.write(value, self.buffer)
        self.first = []

    def value(self, names: Sequence[str]) -> Value:
        return Value(self.buffer.kind, self.buffer.shape, node=InMemory(self.buffer))

    def next(self, low: Lowering, new: Value, names: Sequence[str]) -> list[str]:
        return []


def _parts(word: Any) -> list[str]:
    return list(word) if isinstance(word, tuple) else [word]


@dataclass
class Body:
    """The program of a loop, and how each array it carries goes around."""

    program: ClosedProgram
    constants: list[Value]
    carried: list[Carried]
    updates: dict[int, int]
    """Equations (by id) that change a carried array in place, and which."""

    def grouped(self, names: Sequence[str]) -> list[list[str]]:
        """What the loop carries, by array."""
        groups, start = [], 0
        for c in self.carried:
            groups.append(list(names[start : start + len(c.first)]))
            start += len(c.first)
        return groups

    @property
    def first(self) -> list[tuple[str, str]]:
        """What the loop begins with."""
        return [f for c in self.carried for f in c.first]


def _body(low: Lowering, closed: ClosedProgram, skip: int, init: Sequence[Value]) -> Body:
    program = simplified(closed)
    constants = [low.constant_array(c._value) for c in program.consts]
    updates = updated_in_place(program.program, skip, len(init))
    changed = set(updates.values())
    carried: list[Carried] = []
    for k, value in enumerate(init):
        if value.small:
            carried.append(InRegisters(low, value))
        elif k in changed:
            carried.append(InPlace(low, value))
        else:
            carried.append(Alternating(low, value))
    return Body(program, constants, carried, updates)


def _run_body(
    low: Lowering,
    body: Body,
    consts: Sequence[Value],
    names: Sequence[str],
    xs: Sequence[Value],
    ys: Sequence[Buffer],
) -> list[str]:
    """One round: what is carried into the next."""
    groups = body.grouped(names)
    carry = [c.value(g) for c, g in zip(body.carried, groups, strict=True)]
    program, n = body.program.program, len(carry)
    for id_, k in body.updates.items():
        low.in_place[id_] = body.carried[k].buffer  # type: ignore[attr-defined]
    targets = [*(c.target(g) for c, g in zip(body.carried, groups, strict=True)), *ys]
    with low.destined(program, targets):
        outs = low.program(program, body.constants, [*consts, *carry, *xs])
    for id_ in body.updates:
        del low.in_place[id_]  # another equation may come to have this id
    written = zip(outs, targets, strict=True)
    sinks = [low.put(out, target) for out, target in written if target is not None]
    for sink in sinks:
        if sink is not None:
            low.fusion.finish(sink)
    new = [c.next(low, out, g) for c, out, g in zip(body.carried, outs[:n], groups, strict=True)]
    return [name for group in new for name in group]


# ---- scan


def _scan(low: Lowering, eq: Equation, args: list[Value]) -> list[Value]:
    p = eq.params
    nc, nk, length = p["num_consts"], p["num_carry"], p["length"]
    ys = [low.result_buffer(eq, nk + k) for k in range(len(eq.outvars) - nk)]
    if length == 0:
        return [*args[nc : nc + nk], *(low.memory_value(y) for y in ys)]
    for a in args:
        low.settle(a)
    consts, init, xs = args[:nc], args[nc : nc + nk], args[nc + nk :]
    body = _body(low, p["jaxpr"], nc, init)
    sources = [low.buffer(x) if x.size else None for x in xs]
    code = low.code

    def round_(i: str, names: list[str]) -> list[str]:
        at = code.op(f"sub nsw i64 {length - 1}, {i}") if p["reverse"] else i
        elements = [_element(low, x, b, at) for x, b in zip(xs, sources, strict=True)]
        slots = [b.view(code, b.shape[1:], b.strides[1:], code.times(at, b.strides[0])) for b in ys]
        with low.scope([*consts, *body.constants], loop=True):
            return _run_body(low, body, consts, names, elements, slots)

    with low.report.repeated(f"scan of {length} rounds", length):
        last = body.grouped(code.loop(length, round_, body.first))
    carry = [c.result(g, True) for c, g in zip(body.carried, last, strict=True)]
    return [*carry, *(low.memory_value(y) for y in ys)]


def _counted_scan(low: Lowering, eq: Equation, args: list[Value]) -> list[Value]:
    p = eq.params
    nc, nk = p["num_consts"], p["num_carry"]
    ys = [low.result_buffer(eq, nk + k) for k in range(len(eq.outvars) - nk)]
    for a in args:
        low.settle(a)
    count, args = low.index(args[0]), args[1:]
    consts, init, xs = args[:nc], args[nc : nc + nk], args[nc + nk :]
    body = _body(low, p["jaxpr"], nc, init)
    sources = [low.buffer(x) if x.size else None for x in xs]
    code = low.code
    for y in [] if p["tape"] else ys:
        low.write(low.constant_value(0, y.kind, y.shape), y)

    def goes_on(names: list[str]) -> str:
        return code.op(f"icmp slt i64 {names[0]}, {count}")

    def round_(names: list[str]) -> list[str]:
        i, *names = names
        after = code.op(f"add nuw nsw i64 {i}, 1")
        at = code.op(f"sub nsw i64 {count}, {after}") if p["reverse"] else i
        elements = [_element(low, x, b, at) for x, b in zip(xs, sources, strict=True)]
        slots = [b.view(code, b.shape[1:], b.strides[1:], code.times(at, b.strides[0])) for b in ys]
        with low.scope([*consts, *body.constants], loop=True):
            return [after, *_run_body(low, body, consts, names, elements, slots)]

    with low.report.repeated("counted scan", ROUNDS):
        last = code.while_loop(goes_on, round_, [("i64", "0"), *body.first])[1:]
    groups = body.grouped(last)
    carry = [c.result(g, False) for c, g in zip(body.carried, groups, strict=True)]
    return [*carry, *(low.memory_value(y) for y in ys)]


def _element(low: Lowering, x: Value, buffer: Buffer | None, at: str) -> Value:
    if buffer is None:
        return low.constant_value(0, x.kind, x.shape[1:])
    code = low.code
    view = buffer.view(
        code, buffer.shape[1:], buffer.strides[1:], code.times(at, buffer.strides[0])
    )
    return low.memory_value(view)


# ---- while


def _while(low: Lowering, eq: Equation, args: list[Value]) -> list[Value]:
    p = eq.params
    nc, nb = p["cond_nconsts"], p["body_nconsts"]
    for a in args:
        low.settle(a)
    cond_consts, body_consts, init = args[:nc], args[nc : nc + nb], args[nc + nb :]
    body = _body(low, p["body_jaxpr"], nb, init)
    condition = simplified(p["cond_jaxpr"])
    cond_constants = [low.constant_array(c._value) for c in condition.consts]
    outer = [*cond_consts, *body_consts, *body.constants, *cond_constants]

    def goes_on(names: list[str]) -> str:
        carry = [c.value(g) for c, g in zip(body.carried, body.grouped(names), strict=True)]
        with low.scope(outer, loop=True):
            (out,) = low.program(condition.program, cond_constants, [*cond_consts, *carry])
            return str(low.scalar(out))

    def round_(names: list[str]) -> list[str]:
        with low.scope(outer, loop=True):
            return _run_body(low, body, body_consts, names, [], [])

    with low.report.repeated("while loop", ROUNDS):
        last = body.grouped(low.code.while_loop(goes_on, round_, body.first))
    return [c.result(g, False) for c, g in zip(body.carried, last, strict=True)]


# ---- cond


def _cond(low: Lowering, eq: Equation, args: list[Value]) -> list[Value]:
    index, *operands = args
    branches = [simplified(b) for b in eq.params["branches"]]
    for a in operands:
        low.settle(a)
    number = low.index(index)
    if len(branches) == 1:
        return low.closed(branches[0], operands)
    types = [v.aval for v in eq.outvars]
    buffers = [None if t.size <= 32 else low.result_buffer(eq, k) for k, t in enumerate(types)]

    def branch(closed: ClosedProgram) -> Callable[[], list[str]]:
        def write() -> list[str]:
            consts = [low.constant_array(c._value) for c in closed.consts]
            with low.scope([*operands, *consts]):
                outs = low.program(closed.program, consts, operands)
                sinks = [
                    low.put(out, b) for out, b in zip(outs, buffers, strict=True) if b is not None
                ]
                for sink in sinks:
                    if sink is not None:
                        low.fusion.finish(sink)
                small = [out for out, b in zip(outs, buffers, strict=True) if b is None]
                return [w for out in small if out.size for w in _parts(low.word(out))]

        return write

    kinds = [part for t in types if 0 < t.size <= 32 for part in _phi_types(t)]
    names = iter(low.code.switch(number, [branch(b) for b in branches], kinds))
    low.report.spend(f"one of {len(branches)} branches", 1)
    return [_joined(low, t, b, names) for t, b in zip(types, buffers, strict=True)]


def _phi_types(t: ArrayType) -> list[str]:
    kind = kind_of(t.dtype)
    return [kind.typed(t.size if t.size > 1 else 0)] * kind.parts


def _joined(low: Lowering, t: ArrayType, buffer: Buffer | None, names: Any) -> Value:
    if buffer is not None:
        return low.memory_value(buffer)
    kind: Kind = kind_of(t.dtype)
    if not t.size:
        return low.constant_value(0, kind, t.shape)
    parts = [next(names) for _ in range(kind.parts)]
    return low.word_value(kind, t.shape, tuple(parts) if len(parts) == 2 else parts[0])


def _checkpoint(low: Lowering, eq: Equation, args: list[Value]) -> list[Value]:
    """Its program in this place. Not opened before, where what the forward pass computed would be
    found again, and so be kept from there to here."""
    return low.in_place_of(eq, simplified(eq.params["jaxpr"]), args)


RULES: dict[Any, Rule] = {
    checkpoint_p: _checkpoint,
    scan_p: _scan,
    counted_scan_p: _counted_scan,
    while_p: _while,
    cond_p: _cond,
}
