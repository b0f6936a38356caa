"""Groups of nodes that one loop nest computes: what is written to memory, what is reduced."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

from . import transposing
from .buffers import Buffer
from .kinds import Kind, Word, extract, shuffle, store
from .nest import WIDEST, Nest, buffer_of, merged, strides_in
from .nodes import (
    CHEAP,
    Applied,
    Counting,
    InMemory,
    Node,
    Reduce,
    Scalar,
    Sink,
    Store,
    cheap,
    stored,
    walk,
)
from .parts import LARGE, Part, Partial, pieces
from .reducing import REDUCTIONS, Reduction
from .registers import Lanes, Registers
from .report import Report
from .rules.matrix_kernels import REGISTERS, VECTOR_BYTES
from .text import Code, Index

BLOCK = 128
"""Steps of a loop that adds up, after which the sum is put aside and a new one begun: the error
grows with the steps of one block and with the number of blocks, not with their product."""

OWN_CACHE = 1 << 20
"""Bytes."""
BYTE = 0.5
"""The work of reading a byte from memory that is shared, in additions of single elements."""
ACROSS = VECTOR_BYTES * REGISTERS // 2
"""Bytes of the widest vector of sums over rows: half of all registers. Each row is read in long
runs (4096 x 1024 numbers take 0.25 ms so, 1.4 in vectors of 128 bytes)."""
MANY = 1 << 15
"""Elements from which on sums over rows are so wide."""


class Fusion:
    """The sinks of one piece of straight-line code that wait for their loops."""

    def __init__(
        self,
        code: Code,
        registers: Registers,
        new_buffer: Callable[[Kind, Sequence[int]], Buffer],
        report: Report,
    ) -> None:
        self.code, self.registers, self.new_buffer = code, registers, new_buffer
        self.report = report
        self.waiting: list[Sink] = []

    def add(self, sink: Sink) -> None:
        """Have `sink` wait until something needs it."""
        self.waiting.append(sink)

    def finish(self, sink: Sink) -> None:
        """Write the loops that compute `sink`, together with what else they can compute."""
        if sink.done:
            return
        group = [sink]
        nodes = set(walk([sink.node]))
        self._finish_sources(nodes)
        for other in list(self.waiting):
            if other is not sink and not other.done and self._fits(group, other, nodes):
                group.append(other)
                nodes |= set(walk([other.node]))
        group += self._worth_keeping(group)
        work = prod(group[0].shape) * (1 + _each(group)) + _traffic(group)
        self.report.spend(_described(group), work)
        if not transposing.copy(self.code, self.registers, self.new_buffer, group):
            self._write(group, work)
        for s in group:
            s.finished()
        self.waiting = [s for s in self.waiting if not s.done]

    def _write(self, group: Sequence[Sink], work: float) -> None:
        roots = [s.node for s in group]
        with transposing.along(self.code, self.registers, self.new_buffer, roots):
            if not (work >= LARGE and self._in_parts(group, work)):
                Group(self.code, self.registers, group).write()

    def _in_parts(self, sinks: Sequence[Sink], work: float) -> bool:
        """Write a large loop as a function that several threads can call; False: it is one step."""
        shape = Group(Code(self.code.module), Registers(self.code), sinks)
        count, each = pieces(shape.nest, work)
        if count < 2:
            return False
        partial = Partial(self.new_buffer, shape.carried(), count) if shape.total else None
        part = Part(
            self.code, self.registers, self.new_buffer, [s.node for s in sinks], shape.buffers
        )
        if partial is not None:
            part.use(partial.buffer.pointer)
        group = Group(part.code, part.registers, sinks)
        group.part = part.bounds(count, each, group.nest.steps(0))
        if partial is None:
            group.write()
            part.call(count)
            return True
        partial.store(part.code, group.totals())
        part.call(count)
        group.code = self.code
        group.finish(partial.combined(self.code, count, group.merge))
        return True

    def _finish_sources(self, nodes: set[Node]) -> None:
        for node in nodes:
            if isinstance(node, InMemory) and node.sink is not None:
                self.finish(node.sink)

    def _fits(self, group: Sequence[Sink], other: Sink, nodes: set[Node]) -> bool:
        """Whether loops over the group can compute another sink as well, and save work by it."""
        axes = {s.axes for s in (*group, other) if isinstance(s, Reduce)}
        if other.shape != group[0].shape or len(axes) > 1:
            return False
        theirs = set(walk([other.node]))
        for node in theirs:
            if isinstance(node, InMemory) and node.sink is not None and not node.sink.done:
                return False
        return any(not isinstance(n, Scalar) for n in theirs & nodes)

    def _worth_keeping(self, group: Sequence[Sink]) -> list[Sink]:
        """Stores of values that later loops need too, and that cost more than to read them."""
        found: list[Sink] = []
        shape = group[0].shape
        ends = {s.node for s in group if isinstance(s, Store)}
        evaluated = [n for n in walk([s.node for s in group]) if type(n) is Applied]
        evaluated = [n for n in evaluated if not stored(n)]
        for node in evaluated:
            for a in node.arguments:
                if type(a) is Applied:
                    a.seen += 1
        for s in group:
            if type(s.node) is Applied:
                s.node.seen += 1
        for node in evaluated:
            wanted = node.seen < node.uses and node.sink is None and not cheap(node)
            if wanted and node not in ends and node.shape == shape:
                node.sink = Store(node, self.new_buffer(node.kind, node.shape))
                found.append(node.sink)
        return found


def _each(group: Sequence[Sink]) -> int:
    """The work for one element of the domain: what several operations need is computed once."""
    applied = [n for n in walk([s.node for s in group]) if isinstance(n, (Applied, Counting))]
    return sum(n.cost if isinstance(n, Counting) else 1 if stored(n) else n.own for n in applied)


def _traffic(group: Sequence[Sink]) -> float:
    """The work of reading and writing arrays that are too large for a processor's own cache."""
    if prod(group[0].shape) * 16 < OWN_CACHE:  # elements have up to 16 bytes
        return 0.0
    nodes = walk([s.node for s in group])
    buffers = [b for n in nodes if n.shape and (b := buffer_of(n)) is not None]
    buffers += [s.buffer for s in group if isinstance(s, Store)]
    sizes = [b.kind.size * b.varied for b in buffers]
    return BYTE * sum(n for n in sizes if n >= OWN_CACHE)


def _described(group: Sequence[Sink]) -> str:
    shape = "x".join(map(str, group[0].shape))
    nodes = walk([s.node for s in group])
    operations = sum(type(n) is Applied and not stored(n) for n in nodes)
    reduced = [
        f"{s.how} over axis {', '.join(map(str, s.axes))}" for s in group if isinstance(s, Reduce)
    ]
    stores = len(group) - len(reduced)
    parts = [f"{operations} operation{'s' * (operations != 1)}"] if operations else []
    parts += reduced + [f"{stores} array{'s' * (stores != 1)} stored"] * (stores > 0)
    return f"loop over {shape}: {', '.join(parts)}"


class Group:
    """Sinks over one domain, and the loops that compute them."""

    def __init__(self, code: Code, registers: Registers, sinks: Sequence[Sink]) -> None:
        self.code, self.sinks = code, list(sinks)
        self.part: tuple[Index, Index] | None = None
        """The steps of the outermost loop to be done, if not all: the first one, how many."""
        self.stores = [s for s in sinks if isinstance(s, Store)]
        self.reduces = [s for s in sinks if isinstance(s, Reduce)]
        self.axes = set(self.reduces[0].axes) if self.reduces else set()
        shape = sinks[0].shape
        nodes = list(walk([s.node for s in sinks]))
        leaves = [n for n in nodes if n.shape and not (type(n) is Applied and not stored(n))]
        found = [buffer_of(n) for n in leaves] + [s.buffer for s in self.stores]
        self.buffers = [b for b in found if b is not None]
        """All memory that the loops use."""
        strides = [strides_in(n) for n in leaves] + [s.buffer.strides for s in self.stores]
        self.places = {r: self._over_domain(r) for r in self.reduces if r.buffer is not None}
        self.buffers += self.places.values()
        strides += [b.strides for b in self.places.values()]
        runs = merged(shape, strides, self.axes)
        kept = [d for d in runs if d not in self.axes]
        order = kept + [d for d in runs if d in self.axes]
        self.kept = len(kept)
        size = max(max(n.kind.bits // 8, 1) for n in nodes)
        widest = WIDEST
        if self.reduces and kept and max(runs) == kept[-1] and self._wide():
            widest = max(WIDEST, ACROSS // sum(r.node.kind.parts for r in self.reduces))
        self.nest = Nest(code, registers, shape, runs, order, size, widest)

    def _wide(self) -> bool:
        """Whether sums over rows shall be many columns wide."""
        many = prod(self.reduces[0].shape) >= MANY
        return many and not self.stores and sum(s.node.cost for s in self.reduces) <= CHEAP

    @staticmethod
    def _over_domain(sink: Reduce) -> Buffer:
        """The buffer of a reduction as if it had the reduced axes too."""
        assert sink.buffer is not None
        strides = iter(sink.buffer.strides)
        spread = [0 if d in sink.axes else next(strides) for d in range(len(sink.shape))]
        b = sink.buffer
        return Buffer(b.pointer, b.kind, sink.shape, spread, b.storage)

    def write(self) -> None:
        """Append the loops."""
        self._kept_level(0)
        self.nest.close()

    def _kept_level(self, level: int) -> None:
        if level < self.kept:
            self._over(level, lambda _: self._kept_level(level + 1))
        elif self.reduces:
            self._reduce()
        else:
            self._write_stores()

    def _over(
        self,
        level: int,
        body: Callable[[list[str]], Sequence[str] | None],
        carry: Sequence[tuple[str, str]] = (),
    ) -> list[str]:
        return self.nest.over(level, body, carry, self.part if level == 0 else None)

    def _write_stores(self) -> None:
        words = [self.nest.word(s.node) for s in self.stores]
        for s, word in zip(self.stores, words, strict=True):
            self.nest.store(word, s.buffer)

    # ---- reductions

    @property
    def total(self) -> bool:
        """Whether all axes are reduced: then pieces of the loops give parts of each result."""
        return bool(self.reduces) and not self.kept

    def _reduce(self) -> None:
        self.finish(self.totals())

    def totals(self) -> list[str]:
        """Loops over the axes that are reduced; the combined words of each reduction."""
        return self._reduce_level(self.kept, self._begin())

    def finish(self, totals: Sequence[str]) -> None:
        """From combined words to results."""
        rows = [REDUCTIONS[r.how] for r in self.reduces]
        for r, row, word in zip(self.reduces, rows, self._grouped(totals), strict=True):
            self._finish(r, row, word)

    def carried(self) -> list[tuple[str, int]]:
        """The LLVM types of the words that are combined, and how many bytes each takes."""
        found, width = [], self.nest.width
        for r in self.reduces:
            kind = REDUCTIONS[r.how].kind(r.node.kind)
            bytes_needed = max(width, 1) * max(kind.bits // 8, 1)
            found += [(kind.typed(width), bytes_needed)] * kind.parts
        return found

    def _begin(self) -> list[tuple[str, str]]:
        """Types and first words of what is combined."""
        carry = []
        for r in self.reduces:
            row = REDUCTIONS[r.how]
            kind = row.kind(r.node.kind).typed(self.nest.width)
            first = row.identity(r.node.kind, self.nest.width)
            carry += [(kind, part) for part in _parts(first)]
        return carry

    def _reduce_level(self, level: int, carry: list[tuple[str, str]]) -> list[str]:
        nest, last = self.nest, len(self.nest.order) - 1
        if level > last:
            return self._combined([value for _, value in carry])
        if level < last:
            return self._over(level, lambda values: self._inner(level, carry, values), carry)
        steps = nest.steps(level)
        if steps <= 2 * BLOCK or not any(r.how == "sum" for r in self.reduces):
            return self._over(level, self._combined, carry)
        return self._in_blocks(level, carry)

    def _inner(self, level: int, carry: list[tuple[str, str]], values: list[str]) -> list[str]:
        return self._reduce_level(
            level + 1, [(kind, v) for (kind, _), v in zip(carry, values, strict=True)]
        )

    def _in_blocks(self, level: int, carry: list[tuple[str, str]]) -> list[str]:
        """Each block begins with the identities; its result is combined with those before."""
        code, nest, begin = self.code, self.nest, self._begin()
        first, steps = (level == 0 and self.part) or (0, nest.steps(level))

        def block(i: str, values: list[str]) -> list[str]:
            start = code.times(i, BLOCK)
            left = code.op(f"sub nsw i64 {steps}, {start}")
            part = code.add(start, first), code.least(BLOCK, left)
            sums = nest.over(level, self._combined, begin, part)
            return self.merge(values, sums)

        if isinstance(steps, int):
            return code.loop(-(-steps // BLOCK), block, carry)
        more = code.op(f"add nsw i64 {steps}, {BLOCK - 1}")
        return code.loop(code.op(f"udiv i64 {more}, {BLOCK}"), block, carry)

    def merge(self, a: Sequence[str], b: Sequence[str]) -> list[str]:
        """The words of two parts of the domain combined."""
        merged_parts: list[str] = []
        pairs = zip(self._grouped(a), self._grouped(b), strict=True)
        for r, (x, y) in zip(self.reduces, pairs, strict=True):
            row = REDUCTIONS[r.how]
            out = row.combine(self.code, row.kind(r.node.kind), self.nest.width, x, y)
            merged_parts += _parts(out)
        return merged_parts

    def _combined(self, values: Sequence[str]) -> list[str]:
        """The values so far with the elements where the loops stand; stores as well."""
        self._write_stores()
        nest, code = self.nest, self.code
        along = nest.vector >= self.kept
        fresh = nest.fresh() if along else None
        elements: list[str] = []
        for r in self.reduces:
            row = REDUCTIONS[r.how]
            word = nest.word(r.node)
            if fresh is not None:
                nothing = _parts(row.identity(r.node.kind, nest.width))
                typed, mask = row.kind(r.node.kind).typed(nest.width), f"<{nest.width} x i1>"
                elements += [
                    code.op(f"select {mask} {fresh}, {typed} {p}, {typed} {q}")
                    for p, q in zip(_parts(word), nothing, strict=True)
                ]
            else:
                elements += _parts(word)
        return self.merge(values, elements)

    def _grouped(self, values: Sequence[str]) -> list[Word]:
        """The parts of complex numbers together again."""
        words, rest = [], list(values)
        for r in self.reduces:
            row = REDUCTIONS[r.how]
            n = row.kind(r.node.kind).parts
            words.append(tuple(rest[:n]) if n == 2 else rest[0])
            del rest[:n]
        return words

    def _finish(self, sink: Reduce, row: Reduction, word: Word) -> None:
        nest, code, kind = self.nest, self.code, sink.node.kind
        width = nest.width
        if width and nest.vector >= self.kept:
            word, width = across(code, row, kind, word, width), 0
        word = row.finish(code, kind, width, word)
        if sink.buffer is None:
            sink.result = Lanes.of_word(kind, (), word)
            return
        place = self.places[sink]
        pointer = nest.pointer(place)
        stride = place.strides[nest.order[nest.vector]]
        if not width or stride == 1:
            store(code, kind, word, pointer, width)
        else:
            nest.store(word, place)


def across(code: Code, row: Reduction, kind: Kind, word: Word, width: int) -> Word:
    """The lanes of a word combined to one, by halves."""
    inner = row.kind(kind)
    while width > 1:
        half = width // 2
        typed = inner.typed(width)
        low, high = (
            tuple(shuffle(code, typed, p, "poison", range(k, k + half)) for p in _parts(word))
            for k in (0, half)
        )
        if half == 1:
            low, high = (
                tuple(extract(code, inner, p, k, width) for p in _parts(word)) for k in (0, 1)
            )
        pair = (low, high) if inner.parts == 2 else (low[0], high[0])
        word = row.combine(code, inner, half if half > 1 else 0, *pair)
        width = half
    return word


def _parts(word: Word) -> list[str]:
    return list(word) if isinstance(word, tuple) else [word]


__all__ = ["Fusion", "Group", "across"]
