"""Loop nests: where each element of a group of nodes is computed."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from math import prod

from .buffers import Buffer, address
from .kinds import (
    INT32,
    INT64,
    Kind,
    Word,
    constant,
    extract,
    insert,
    load,
    rounded,
    shuffle,
    splat,
    store,
)
from .nodes import DEEP, Applied, Counting, InMemory, Node, Scalar, steps, stored
from .registers import Registers
from .site import Site
from .text import Code, Index, Section

WIDEST = 128
"""Bytes of the widest vector: four machine registers, so that dependent operations overlap."""


def merged(shape: Sequence[int], strides: Sequence[Sequence[int]], split: set[int]) -> list[int]:
    """The last axis of each run of axes that one loop can go over, for arrays of these strides.

    `split`: axes that are not merged with others (those reduced, if some are not).
    """
    axes = [d for d, n in enumerate(shape) if n != 1]
    ends: list[int] = []
    for k, d in enumerate(axes):
        if k + 1 < len(axes):
            e = axes[k + 1]
            same = (d in split) == (e in split)
            if same and all(s[d] == s[e] * shape[e] for s in strides):
                continue
        ends.append(d)
    return ends


def lane_width(n: int, size: int, widest: int = WIDEST) -> int:
    """Lanes for a loop over n elements of `size` bytes: a power of 2, at most n; 0 for scalars.

    The last block overlaps the one before it, so a width that hardly divides n wastes work.
    """
    most = max(widest // size, 2)
    fitting = [w for w in (256, 128, 64, 32, 16, 8, 4, 2) if w <= min(n, most)]
    return min(fitting, key=lambda w: -(-n // w) * (w + 8)) if fitting else 0


class Level:
    """What is inside one loop of a nest: its position, and a section before the loops inside."""

    __slots__ = ("index", "section", "start")

    def __init__(self, index: Index, start: Index, section: Section) -> None:
        self.index, self.start, self.section = index, start, section
        # `start` is `index`, but for a last block that was moved back to overlap.


class Nest:
    """Loops over a domain; evaluates nodes at the element, or `width` elements, they stand at.

    Attributes:
      shape: of the domain.
      order: the axes that have a loop, outermost first: ends of merged runs of axes.
      vector: the place in `order` of the axis that vectors lie along.
      width: their lanes; 0 for scalars.
    """

    def __init__(
        self,
        code: Code,
        registers: Registers,
        shape: Sequence[int],
        runs: Sequence[int],
        order: Sequence[int],
        size: int,
        widest: int = WIDEST,
    ) -> None:
        self.code, self.registers, self.shape = code, registers, tuple(shape)
        self.order = list(order)
        self.counts = _run_lengths(shape, runs, order)
        self.vector = self.order.index(max(runs)) if runs else -1
        self.width = lane_width(self.counts[self.vector], size, widest) if runs else 0
        self._facts: dict[Node, tuple[int, bool]] = {}
        self._firsts: dict[Node, Node] = {}
        self._alike: dict[Hashable, Node] = {}
        self._base = len(registers.memos)
        registers.enter()
        self.levels = [Level(0, 0, code.open_section())]

    def close(self) -> None:
        """Forget what was computed in the loops."""
        self.registers.leave()

    def steps(self, level: int) -> int:
        """How often the loop of a level runs."""
        return -(-self.counts[level] // self._step(level))

    def _step(self, level: int) -> int:
        return (self.width or 1) if level == self.vector else 1

    def over(
        self,
        level: int,
        body: Callable[[list[str]], Sequence[str] | None],
        carry: Sequence[tuple[str, str]] = (),
        part: tuple[Index, Index] | None = None,
    ) -> list[str]:
        """The loop of one level; `part`: its (first step, number of steps), if not all."""
        code, step = self.code, self._step(level)
        first, count = part or (0, self.steps(level))

        def inner(i: Index, values: list[str]) -> Sequence[str] | None:
            index = code.times(code.add(i, first), step)
            start = index
            if self.counts[level] % step:
                start = code.least(index, self.counts[level] - step)
            self.levels.append(Level(index, start, code.open_section()))
            self.registers.enter()
            new = body(values)
            self.registers.leave()
            self.levels.pop()
            return new

        if count == 1:
            return list(inner(0, [value for _, value in carry]) or ())
        return code.loop(count, inner, carry)

    def fresh(self) -> str | None:
        """A mask of the lanes that no earlier block has had; None: all."""
        n, w = self.counts[self.vector], self.width
        if not w or n % w == 0:
            return None
        code, level = self.code, self.levels[self.vector + 1]
        if isinstance(level.index, int) and isinstance(level.start, int):
            first: Index = level.index - level.start
        else:
            first = code.op(f"sub nsw i64 {level.index}, {level.start}")
        short = first if isinstance(first, int) else code.op(f"trunc i64 {first} to i32")
        bound = splat(code, INT32, str(short), w)
        lanes = ", ".join(f"i32 {i}" for i in range(w))
        return code.op(f"icmp sge <{w} x i32> <{lanes}>, {bound}")

    # ---- elements

    def word(self, node: Node) -> Word:
        """The elements of `node` where the loops stand: `width` lanes, or a scalar."""
        if type(node) is Applied and node.depth > DEEP and self.registers.known(node) is None:
            first = list(steps(node))
            for inner in first:
                self._fact(inner)
            for inner in first:
                self._word(inner) if self._fact(inner)[1] else self._scalar(inner)
        return self._word(node)

    def _word(self, node: Node) -> Word:
        depth, varies = self._fact(node)
        node = self._first(node)
        if varies or not self.width:
            return self._kept(depth, node, lambda: self._computed(node, self.width))
        scalar = self._kept(depth, node, lambda: self._computed(node, 0))
        return self._kept(
            depth, (node, "splat"), lambda: splat(self.code, node.kind, scalar, self.width)
        )

    def _scalar(self, node: Node) -> Word:
        depth, _ = self._fact(node)
        node = self._first(node)
        return self._kept(depth, node, lambda: self._computed(node, 0))

    def _kept(self, depth: int, key: object, make: Callable[[], Word]) -> Word:
        """What `make` writes at a depth of the nest, once."""
        found = self.registers.known(key)
        if found is not None:
            return found
        registers, code = self.registers, self.code
        memos, section = registers.memos, code.section
        registers.memos, code.section = memos[: self._base + depth + 1], self.levels[depth].section
        try:
            return registers.keep(key, make())
        finally:
            registers.memos, code.section = memos, section

    def _fact(self, node: Node) -> tuple[int, bool]:
        """The number of loops that the node depends on, and whether it varies over lanes."""
        fact = self._facts.get(node)
        if fact is None:
            if type(node) is Applied and not stored(node):
                depth, varies = 0, False
                for a in node.arguments:
                    other, moves = self._fact(a)
                    depth, varies = max(depth, other), varies or moves
                fact = depth, varies
            elif isinstance(node, Scalar):
                fact = 0, False
            else:
                strides = strides_in(node)
                moving = [k + 1 for k, d in enumerate(self.order) if strides[d]]
                fact = max(moving, default=0), self.vector + 1 in moving
            self._facts[node] = fact
        return fact

    def _first(self, node: Node) -> Node:
        """The node whose code is that of `node`: views of a shared operation are new nodes each,
        with the same operations on the same memory. The arguments have been asked for before."""
        found = self._firsts.get(node)
        if found is None:
            found = self._firsts[node] = self._alike.setdefault(self._looks(node), node)
        return found

    def _looks(self, node: Node) -> Hashable:
        buffer = buffer_of(node)
        if buffer is not None:
            return buffer.pointer, id(node.kind), node.shape, tuple(buffer.strides)
        if isinstance(node, Counting):
            return id(node.kind), node.shape, node.strides, node.first
        if isinstance(node, Applied):
            return (
                id(node.operation), id(node.params), id(node.kind), node.shape,
                *map(self._first, node.arguments),
            )  # fmt: skip
        return node

    def _computed(self, node: Node, width: int) -> Word:
        if isinstance(node, Scalar):
            return self.registers.scalar(node.lanes, 0)
        if isinstance(node, Counting):
            return self._counted(node, width)
        buffer = buffer_of(node)
        if buffer is not None:
            return self._loaded(buffer, width)
        assert isinstance(node, Applied)
        words = [self._word(a) if width else self._scalar(a) for a in node.arguments]
        kinds = tuple(a.kind for a in node.arguments)
        site = Site(self.code, kinds, node.kind, width)
        return node.operation.emit(site, *words, **node.params)

    def _counted(self, node: Counting, width: int) -> Word:
        code, strides = self.code, node.strides
        first: Index = node.first
        for d, level in zip(self.order, self.levels[1:], strict=False):
            first = code.add(first, code.times(level.start, strides[d]))
        along = bool(width) and strides[self.order[self.vector]] == 1
        return count_up(code, node.kind, first, width if along else 0)

    # ---- memory

    def pointer(self, buffer: Buffer) -> str:
        """The address of the element that the loops stand at."""
        depth = max((k + 1 for k, d in enumerate(self.order) if buffer.strides[d]), default=0)
        return self._pointer(buffer, depth)

    def _pointer(self, buffer: Buffer, depth: int) -> str:
        if depth == 0:
            return buffer.pointer
        stride = buffer.strides[self.order[depth - 1]]
        outer = self._pointer(buffer, depth - 1)
        if stride == 0:
            return outer
        code = self.code
        return self._kept(
            depth,
            (buffer, depth),
            lambda: address(code, buffer.kind, outer, code.times(self.levels[depth].start, stride)),
        )

    def _loaded(self, buffer: Buffer, width: int) -> Word:
        pointer, code = self.pointer(buffer), self.code
        stride = buffer.strides[self.order[self.vector]] if self.order else 0
        if not width or stride == 1:
            return load(code, buffer.kind, pointer, width)
        return gather_lanes(code, buffer.kind, pointer, stride, width)

    def store(self, word: Word, buffer: Buffer) -> None:
        """Write a word where the loops stand; `buffer` has the rank of the domain."""
        pointer, code, width = self.pointer(buffer), self.code, self.width
        stride = buffer.strides[self.order[self.vector]] if self.order else 0
        if not width or stride == 1:
            store(code, buffer.kind, word, pointer, width)
            return
        for i in range(width):
            parts = word if isinstance(word, tuple) else (word,)
            lane = tuple(extract(code, buffer.kind, p, i, width) for p in parts)
            at = address(code, buffer.kind, pointer, i * stride)
            store(code, buffer.kind, lane if len(lane) == 2 else lane[0], at, 0)


def _run_lengths(shape: Sequence[int], runs: Sequence[int], order: Sequence[int]) -> list[int]:
    """The number of elements of each run, in the order of the loops."""
    lengths, start = {}, 0
    for end in sorted(runs):
        lengths[end] = prod(shape[start : end + 1])
        start = end + 1
    return [lengths[d] for d in order]


def strides_in(node: Node) -> Sequence[int]:
    """How far the elements of a leaf stand apart along each axis."""
    if isinstance(node, Counting):
        return node.strides
    buffer = buffer_of(node)
    assert buffer is not None
    return buffer.strides


def buffer_of(node: Node) -> Buffer | None:
    """Where the elements of a node are in memory, if they are."""
    if isinstance(node, InMemory):
        return node.buffer
    if isinstance(node, Applied) and stored(node):
        assert node.sink is not None
        return node.sink.buffer
    return None


def gather_lanes(code: Code, kind: Kind, pointer: str, stride: int, width: int) -> Word:
    """`width` elements that stand `stride` elements apart."""
    if stride == -1:
        last = address(code, kind, pointer, 1 - width)
        word = load(code, kind, last, width)
        parts = word if isinstance(word, tuple) else (word,)
        order = range(width - 1, -1, -1)
        turned = tuple(shuffle(code, kind.typed(width), p, "poison", order) for p in parts)
        return turned if len(turned) == 2 else turned[0]
    gathered: list[str] = ["poison"] * kind.parts
    for i in range(width):
        one = load(code, kind, address(code, kind, pointer, i * stride), 0)
        for k, part in enumerate(one if isinstance(one, tuple) else (one,)):
            gathered[k] = insert(code, kind, gathered[k], part, i, width)
    return tuple(gathered) if kind.parts == 2 else gathered[0]


def count_up(code: Code, kind: Kind, first: Index, width: int) -> Word:
    """first, first + 1, ...: as numbers of `kind`."""
    if kind.family in "iu" and kind.bits < 64:  # as few bits as the numbers have
        if isinstance(first, str):
            first = code.op(f"trunc i64 {first} to {kind.register}")
        else:
            half = 1 << kind.bits - 1
            first = (first + half) % (2 * half) - half
        return _counted_from(code, kind, str(first), width)
    number = _counted_from(code, INT64, str(first), width)
    if kind.family in "iu":
        return number
    wide = INT64.typed(width)
    if kind.family == "b":
        return code.op(f"icmp ne {wide} {number}, {'zeroinitializer' if width else 0}")
    found = code.op(f"sitofp {wide} {number} to {kind.real.typed(width)}")
    if kind.family == "c":
        return found, constant(0, kind.real, width)
    return rounded(code, kind, found, width)


def _counted_from(code: Code, kind: Kind, first: str, width: int) -> str:
    if not width:
        return first
    lanes = ", ".join(f"{kind.register} {i}" for i in range(width))
    typed = kind.typed(width)
    return code.op(f"add {typed} {splat(code, kind, first, width)}, <{lanes}>")
