"""A program becomes code: equations in order, small arrays in registers, large ones in fused loops.

Whatever is large is put off (`nodes`) until something needs it in memory. The rules of primitives
are in `rules/`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from ...core.program import Atom, ClosedProgram, Equation, Literal, Program, Var
from ...core.types import ArrayType
from .buffers import Arena, Buffer, Storage, address
from .fusion import Fusion
from .kinds import Kind, Unsupported, Word, constant, kind_of, load, splat, store
from .nest import gather_lanes
from .nodes import Applied, Counting, InMemory, Node, Reduce, Scalar, Sink, Store, Total
from .registers import MOST, Lanes, Registers
from .report import Report
from .site import Operation, Site
from .text import Code, Index, Module, Section
from .unfolding import decomposed

SCALARS = 4
"""Elements up to which operations on single elements are better kept apart than put in vectors."""

Rule = Callable[["Lowering", Equation, list["Value"]], list["Value"]]


class Value:
    """An array of the program: in registers (`lanes`), or as a node.

    Small arrays (up to `MOST` elements) may be both: what is in memory is loaded when needed.
    """

    __slots__ = ("kind", "lanes", "node", "shape")

    def __init__(
        self, kind: Kind, shape: Sequence[int], lanes: Lanes | None = None, node: Node | None = None
    ) -> None:
        self.kind, self.shape = kind, tuple(shape)
        self.lanes, self.node = lanes, node

    @property
    def size(self) -> int:
        """The number of elements."""
        return prod(self.shape)

    @property
    def small(self) -> bool:
        """Whether registers can hold it."""
        return self.size <= MOST


@dataclass
class Scope:
    """A loop body or branch that is being written.

    Attributes:
      section: before the loop; None for a branch.
      pointers: addresses of arrays that do not change in it.
      memos: how many memos of `Registers` are those of code around it.
    """

    section: Section | None
    pointers: set[str]
    memos: int


class Lowering:
    """Writes one kernel.

    Attributes:
      code: where instructions go.
      module: what they refer to.
      rules: by primitive.
      destinations: memory that a variable's value should be written to, if it is large.
    """

    def __init__(self, operations: dict[Any, Operation], rules: dict[Any, Rule]) -> None:
        self.module = Module()
        self.code = Code(self.module)
        self.entry = self.code.open_section()
        """Code that comes before all other: addresses and small inputs."""
        self.arena = Arena()
        self.registers = Registers(self.code)
        self.operations, self.rules = operations, rules
        self.destinations: dict[Var, Buffer] = {}
        self.uses: Counter[Any] = Counter()
        """How often what the present equation gives is used, as its rule begins."""
        self.fallback: Rule | None = None
        """For primitives without a rule and without a program of others."""
        self.host_calls: list[Any] = []
        """Functions of this process that the code calls: they live as long as it."""
        self.calls_outside_loops = 0
        self.errors: dict[int, str] = {}
        """What the codes mean that the kernel gives; host calls fill it in when they fail."""
        self.scopes: list[Scope] = []
        self.in_place: dict[int, Buffer] = {}
        """Equations (by id) that update an array where it is."""
        self.report = Report()
        self.fusion = self._new_fusion()

    def _new_fusion(self) -> Fusion:
        return Fusion(self.code, self.registers, self.new_buffer, self.report)

    # ---- values

    def small_value(self, lanes: Lanes) -> Value:
        """A value in registers."""
        return Value(lanes.kind, lanes.shape, lanes=lanes)

    def word_value(self, kind: Kind, shape: Sequence[int], word: Word) -> Value:
        """A value of at most `MOST` elements from the vector (or scalar) of them."""
        return self.small_value(Lanes.of_word(kind, shape, word))

    def memory_value(self, buffer: Buffer, sink: Sink | None = None) -> Value:
        """A value in memory."""
        return Value(buffer.kind, buffer.shape, node=InMemory(buffer, sink))

    def constant_value(self, number: Any, kind: Kind, shape: Sequence[int] = ()) -> Value:
        """One number everywhere."""
        lanes = Lanes.of_word(kind, (), constant(number, kind, 0))
        if not shape:
            return self.small_value(lanes)
        size = prod(shape)
        if size <= MOST:
            return self.small_value(lanes.taken(np.zeros(shape, int)))
        return Value(kind, shape, node=Scalar(lanes))

    def lanes(self, value: Value) -> Lanes:
        """The elements in registers; `value` is small."""
        if value.lanes is not None:
            return value.lanes
        assert value.small and value.node is not None, value.shape
        if isinstance(value.node, Scalar):
            return value.node.lanes.taken(np.zeros(value.shape, int))
        if isinstance(value.node, Total):
            self.fusion.finish(value.node.sink)
            assert value.node.sink.result is not None
            return value.node.sink.result
        node = value.node
        key: Any = node.mark if isinstance(node, InMemory) else (node, "lanes")
        found = self.registers.known(key)
        if found is None:
            found = self._loaded(self.buffer(value))
            self.registers.keep(key, found)
        return found  # type: ignore[no-any-return]

    def _loaded(self, buffer: Buffer) -> Lanes:
        code, size = self.code, buffer.size
        if size <= 1:
            words = [load(code, buffer.kind, buffer.pointer, 0)] if size else []
            return Lanes.of_word(buffer.kind, buffer.shape, words[0]) if words else _empty(buffer)
        if buffer.contiguous:
            pieces, at = [], 0
            for width in _piece_widths(buffer.kind, size):
                start = address(code, buffer.kind, buffer.pointer, at)
                word = load(code, buffer.kind, start, width if width > 1 else 0)
                pieces.append(Lanes.of_word(buffer.kind, (width,), word))
                at += width
            return Lanes(buffer.kind, buffer.shape, Lanes.joined(pieces).parts)
        pieces = []
        for position in np.ndindex(*buffer.shape):
            here = address(code, buffer.kind, buffer.pointer, buffer.offset(code, position))
            pieces.append(Lanes.of_word(buffer.kind, (), load(code, buffer.kind, here, 0)))
        return Lanes.joined(pieces).taken(np.arange(size).reshape(buffer.shape))

    def word(self, value: Value) -> Word:
        """All elements of a small value: a vector, or a scalar if there is one element."""
        return self.registers.word(self.lanes(value))

    def scalar(self, value: Value, i: int = 0) -> Word:
        """One element of a small value, at a flat position."""
        return self.registers.scalar(self.lanes(value), i)

    def node(self, value: Value) -> Node:
        """The value as loops see it: without axes, it stands for any shape."""
        if not value.shape:
            return Scalar(self.lanes(value))
        if value.node is not None:
            return value.node
        return InMemory(self.buffer(value))

    # ---- memory

    def new_buffer(self, kind: Kind, shape: Sequence[int]) -> Buffer:
        """Scratch memory, taken as long as the buffer is referred to."""
        storage = Storage(self.arena, prod(shape) * kind.size)
        with self.code.writing_in(self.entry):
            # A name of its own also where the range has been used before: copies are kept by it.
            pointer = self.code.op(f"getelementptr i8, ptr %arena, i64 {storage.at}")
        return Buffer(pointer, kind, shape, storage=storage)

    def renamed(self, buffer: Buffer) -> Buffer:
        """`buffer` after it was written to: copies of what it held are known by the old name."""
        pointer = self.code.op(f"getelementptr i8, ptr {buffer.pointer}, i64 0")
        return Buffer(pointer, buffer.kind, buffer.shape, buffer.strides, buffer.storage)

    def result_buffer(self, eq: Equation, k: int = 0) -> Buffer:
        """Where output `k` of an equation goes: its destination, if it has one, or scratch."""
        var = eq.outvars[k]
        found = self.destinations.get(var)
        return self.new_buffer(kind_of(var.aval.dtype), var.aval.shape) if found is None else found

    def buffer(self, value: Value) -> Buffer:
        """The value in memory, with any strides."""
        node = value.node
        if node is None or isinstance(node, Total):
            return self._spilled(self.lanes(value))
        if isinstance(node, InMemory):
            if node.sink is not None:
                self.fusion.finish(node.sink)
            return node.buffer
        if isinstance(node, Applied) and node.sink is not None:
            self.fusion.finish(node.sink)
            return node.sink.buffer
        key = (node, value.shape, "buffer")
        found = self.registers.known(key)
        if found is not None:
            return found  # type: ignore[no-any-return]
        buffer = self.new_buffer(value.kind, value.shape)
        sink = Store(node, buffer)
        if isinstance(node, Applied):
            node.sink = sink
        self.fusion.finish(sink)
        if not isinstance(node, Applied):
            if self.scopes:  # the value may be from outside, where this code need not have run
                self.registers.keep(key, buffer)
            else:
                value.node = InMemory(buffer)
        return buffer

    def contiguous(self, value: Value) -> Buffer:
        """The value in memory, in C order without gaps."""
        buffer = self.buffer(value)
        if buffer.contiguous:
            return buffer
        copy = self.new_buffer(value.kind, value.shape)
        self.write(value, copy)
        return copy

    def _spilled(self, lanes: Lanes) -> Buffer:
        key = (lanes, "buffer")
        found = self.registers.known(key)
        if found is None:
            found = self.new_buffer(lanes.kind, lanes.shape)
            self.store_lanes(lanes, found)
            self.registers.keep(key, found)
        return found  # type: ignore[no-any-return]

    def store_lanes(self, lanes: Lanes, buffer: Buffer) -> None:
        """Write a small array to memory."""
        code, size = self.code, lanes.size
        if size == 0:
            return
        if size == 1 or buffer.contiguous:
            word = self.registers.word(lanes)
            store(code, lanes.kind, word, buffer.pointer, size if size > 1 else 0)
            return
        for i, position in enumerate(np.ndindex(*buffer.shape)):
            at = address(code, lanes.kind, buffer.pointer, buffer.offset(code, position))
            store(code, lanes.kind, self.registers.scalar(lanes, i), at, 0)

    def write(self, value: Value, into: Buffer) -> None:
        """Have the elements in `into`, now. What is there may change later."""
        sink = self._store(value, into)
        if sink is not None:
            self.fusion.finish(sink)

    def put(self, value: Value, into: Buffer) -> Sink | None:
        """Have the elements in `into` when the sink that comes back, if one does, is done.

        They stay there, so that whoever needs the value later reads it there.
        """
        sink = self._store(value, into)
        if isinstance(sink, Store):
            node = value.node
            if isinstance(node, Applied) and node.sink is None:
                node.sink = sink
            self.fusion.add(sink)
        return sink

    def _store(self, value: Value, into: Buffer) -> Sink | None:
        if value.size == 0:
            return None
        if value.node is None or isinstance(value.node, Total):
            self.store_lanes(self.lanes(value), into)
            return None
        node = value.node
        if isinstance(node, InMemory) and node.buffer is into:
            return node.sink
        if isinstance(node, InMemory) and value.small:
            self.store_lanes(self.lanes(value), into)
            return None
        return Store(node, into)

    # ---- programs

    def closed(self, closed: ClosedProgram, args: Sequence[Value]) -> list[Value]:
        """Write a program that is called by this one; its constants become this one's."""
        consts = [self.constant_array(c._value) for c in closed.consts]
        return self.program(closed.program, consts, args)

    def in_place_of(
        self, eq: Equation, closed: ClosedProgram, args: Sequence[Value]
    ) -> list[Value]:
        """Write a program that does what an equation does, and puts its results where those go."""
        with self.destined(closed.program, [self.destinations.get(v) for v in eq.outvars]):
            return self.closed(closed, args)

    @contextmanager
    def destined(self, program: Program, targets: Sequence[Buffer | None]) -> Iterator[None]:
        """Large results of a program go to these places, where they can, if it is written now."""
        found: dict[Var, Buffer] = {}
        for atom, target in zip(program.outvars, targets, strict=True):
            if type(atom) is not Var or target is None or atom.aval.size <= MOST:
                continue
            if program.outvars.count(atom) == 1 and atom not in program.invars:
                found[atom] = target
        self.destinations.update(found)
        try:
            yield
        finally:
            for var in found:
                del self.destinations[var]  # the program may come again, elsewhere

    def program(
        self, program: Program, consts: Sequence[Value], args: Sequence[Value]
    ) -> list[Value]:
        """Write the equations of a program for these arguments; its results."""
        env: dict[Var, Value] = dict(zip(program.constvars, consts, strict=True))
        env.update(zip(program.invars, args, strict=True))
        uses: Counter[Atom] = Counter(a for eq in program.eqns for a in eq.invars)
        uses.update(program.outvars)
        last = _last_uses(program)
        for i, eq in enumerate(program.eqns):
            values = [self.read(a, env) for a in eq.invars]
            if id(eq) in self.in_place:
                self._settle_readers(self.in_place[id(eq)], eq.invars[0], env)
            outs = self.equation(eq, values, uses)
            env.update(zip(eq.outvars, outs, strict=True))
            for var in last.get(i, ()):
                env.pop(var, None)
        return [self.read(a, env) for a in program.outvars]

    def _settle_readers(self, buffer: Buffer, updated: Atom, env: dict[Var, Value]) -> None:
        """Before `buffer` is written to: whatever was put off that reads it is done now.

        `updated` is the array itself, which nothing reads later; other variables may be it as well.
        """
        for sink in list(self.fusion.waiting):
            self.fusion.finish(sink)
        for var, value in env.items():
            node = value.node
            if isinstance(node, Applied) and node.sink is None:
                self.buffer(value)
            elif isinstance(node, InMemory) and var is not updated and node.buffer.shares(buffer):
                if value.small:
                    env[var] = self.small_value(self.lanes(value))
                else:
                    copy = self.new_buffer(value.kind, value.shape)
                    self.write(value, copy)
                    env[var] = self.memory_value(copy)

    def read(self, atom: Atom, env: dict[Var, Value]) -> Value:
        """The value of a variable or literal."""
        if type(atom) is Literal:
            return self.constant_value(atom.val, kind_of(atom.aval.dtype))
        return env[atom]  # type: ignore[index]

    def equation(self, eq: Equation, args: list[Value], uses: Counter[Any]) -> list[Value]:
        """Write one equation."""
        primitive = eq.primitive
        aval = eq.outvars[0].aval if len(eq.outvars) == 1 else None
        if aval is not None and aval.size == 0:
            return [empty_value(aval)]
        operation = self.operations.get(primitive)
        if operation is not None:
            assert aval is not None
            if any(a.shape not in ((), aval.shape) for a in args):
                raise Unsupported(f"{primitive.name} between shapes")  # a bitcast between widths
            return [self.elementwise(operation, args, eq.params, aval, uses[eq.outvars[0]])]
        rule = self.rules.get(primitive)
        if rule is not None:
            self.uses = uses
            return rule(self, eq, args)
        try:
            program = decomposed(eq)
        except Unsupported:
            if self.fallback is None:
                raise
            return self.fallback(self, eq, args)
        return self.in_place_of(eq, program, args)

    def elementwise(
        self,
        operation: Operation,
        args: Sequence[Value],
        params: dict[str, Any],
        aval: ArrayType,
        uses: int = 1,
    ) -> Value:
        """An elementwise operation; operands without axes stand for any shape."""
        kind = kind_of(aval.dtype)
        if aval.size > MOST:
            nodes = [self.node(a) for a in args]
            made = Applied(operation, params, nodes, kind, aval.shape, uses)
            return Value(kind, aval.shape, node=made)
        width = aval.size if aval.size > 1 else 0
        if 1 < width <= SCALARS and operation.cost < 10 and self._apart(args):
            return self._one_by_one(operation, args, params, kind, aval.shape)
        words = []
        for a in args:
            word = self.word(a)
            words.append(splat(self.code, a.kind, word, width) if a.size == 1 else word)
        site = Site(self.code, tuple(a.kind for a in args), kind, width)
        return self.word_value(kind, aval.shape, operation.emit(site, *words, **params))

    def _apart(self, args: Sequence[Value]) -> bool:
        """Whether an operand is a few scalars: then more scalars cost less than a vector."""
        found = [self.lanes(a) for a in args if a.size > 1]
        return any(not source.width for lanes in found for source, _ in lanes.parts[0])

    def _one_by_one(
        self,
        operation: Operation,
        args: Sequence[Value],
        params: dict[str, Any],
        kind: Kind,
        shape: Sequence[int],
    ) -> Value:
        site = Site(self.code, tuple(a.kind for a in args), kind, 0)
        pieces = []
        for i in range(prod(shape)):
            words = [self.scalar(a, i if a.size > 1 else 0) for a in args]
            word = operation.emit(site, *words, **params)
            pieces.append(Lanes.of_word(kind, (), word))
        return self.small_value(Lanes(kind, shape, Lanes.joined(pieces).parts))

    def constant_array(self, array: Any) -> Value:
        """A constant of the program: in memory, at an address that is bound when code is loaded."""
        array = np.asarray(array)
        kind = kind_of(array.dtype)
        if array.ndim == 0:
            return self.constant_value(array[()], kind)
        if array.size == 0:
            return Value(kind, array.shape, lanes=Lanes(kind, array.shape, [[]] * kind.parts))
        name = self.module.constant(np.ascontiguousarray(array))
        return self.memory_value(Buffer(name, kind, array.shape))

    # ---- scopes

    @contextmanager
    def writing_to(self, code: Code) -> Iterator[None]:
        """Write instructions into another function: no arrays, nothing that is put off."""
        before, self.code = self.code, code
        try:
            yield
        finally:
            self.code = before

    @contextmanager
    def scope(self, outer: Sequence[Value] = (), loop: bool = False) -> Iterator[None]:
        """Code in a loop or branch: nothing computed in it is used after it, but what it stores.

        `outer`: values from outside that it uses (settled). `loop`: it is the body of the loop that
        is being written, so that code may be put before it (`hoisted`).
        """
        pointers = {v.node.buffer.pointer for v in outer if isinstance(v.node, InMemory)}
        section = self.code.before_loops[-1] if loop else None
        before, self.fusion = self.fusion, self._new_fusion()
        self.scopes.append(Scope(section, pointers, len(self.registers.memos)))
        self.registers.enter()
        try:
            yield
        finally:
            self.registers.leave()
            self.scopes.pop()
            self.fusion = before

    def hoisted(self, buffer: Buffer, key: Any, make: Callable[[], Any]) -> Any:
        """What `make` writes, once for `key`: before the loops in which `buffer` stays as it is.

        `make` uses nothing but `buffer`, and does not put off what it writes.
        """
        storage = buffer.storage
        copies = storage.copies if isinstance(storage, Storage) else {}
        found = self.registers.known(key)
        if found is not None:
            return copies.get(found, found)
        place = None
        for scope in reversed(self.scopes):
            if scope.section is None or buffer.pointer not in scope.pointers:
                break
            place = scope
        if place is None:
            made = make()
            if isinstance(storage, Storage):
                copies[self.registers.keep(key, object())] = made
                return made
            return self.registers.keep(key, made)
        registers = self.registers
        memos, registers.memos = registers.memos, registers.memos[: place.memos]
        assert place.section is not None
        try:
            with self.code.writing_in(place.section), self.arena.growing():
                return registers.keep(key, make())
        finally:
            registers.memos = memos

    def settle(self, value: Value) -> Value:
        """The value computed here, so that loops and branches that follow can use it."""
        if value.lanes is None and value.size:
            if value.small:
                self.lanes(value)
            elif not isinstance(value.node, Scalar):
                self.buffer(value)
        return value

    def gathered(self, kind: Kind, pointer: str, stride: int, width: int) -> Word:
        """`width` elements that stand `stride` elements apart, as a word."""
        return gather_lanes(self.code, kind, pointer, stride, width)

    def scalar_result(self, kind: Kind, sink: Reduce) -> Value:
        """What a reduction over all axes gives, when it is done."""
        return Value(kind, (), node=Total(kind, sink))

    def kind_of(self, aval: ArrayType) -> Kind:
        """The kind of a type's elements."""
        return kind_of(aval.dtype)

    def counting(self, kind: Kind, shape: Sequence[int], dimension: int) -> Value:
        """0, 1, 2, ... along one axis."""
        strides = [int(d == dimension) for d in range(len(shape))]
        return Value(kind, shape, node=Counting(kind, shape, strides))

    def index(self, value: Value) -> Index:
        """A scalar integer as an i64."""
        word, kind = self.scalar(value), value.kind
        if kind.bits == 64 or not str(word).startswith("%"):
            return word  # type: ignore[no-any-return]
        extend = "sext" if kind.family == "i" else "zext"
        return self.code.op(f"{extend} {kind.register} {word} to i64")


def empty_value(aval: ArrayType) -> Value:
    """An array without elements."""
    kind = kind_of(aval.dtype)
    return Value(kind, aval.shape, lanes=Lanes(kind, aval.shape, [[]] * kind.parts))


def _piece_widths(kind: Kind, size: int) -> list[int]:
    """How many elements each load takes of a small array: all, or for complex numbers a power of 2.

    Parts taken apart from 48 floats and shuffled again end the process: an assertion of LLVM 22 in
    combineX86ShufflesRecursively.
    """
    if kind.family != "c":
        return [size]
    widths = []
    while size:
        widths.append(min(8, 1 << (size.bit_length() - 1)))
        size -= widths[-1]
    return widths


def _empty(buffer: Buffer) -> Lanes:
    return Lanes(buffer.kind, buffer.shape, [[]] * buffer.kind.parts)


def _last_uses(program: Program) -> dict[int, list[Var]]:
    """For each equation the variables that are not needed after it."""
    last: dict[Var, int] = {}
    for i, eq in enumerate(program.eqns):
        for atom in (*eq.invars, *eq.outvars):
            if type(atom) is Var:
                last[atom] = i
    for atom in program.outvars:
        if type(atom) is Var:
            last.pop(atom, None)
    found: dict[int, list[Var]] = {}
    for var, i in last.items():
        found.setdefault(i, []).append(var)
    return found
