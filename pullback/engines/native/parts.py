"""Large loops as functions of their own that compute one piece each: what threads share.

The pieces depend on the program alone and not on the number of threads, so that sums, which are
made of the sums of the pieces in their order, have the same bits however many threads there are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from .buffers import Buffer
from .kinds import Kind, kind_of
from .nest import Nest
from .nodes import Node, Scalar, walk
from .registers import Registers
from .text import Code
from .threads import SHARE, address

LARGE = 2_000_000
"""Work (in additions of single elements, roughly) from which a loop is cut into pieces: some 40 us,
ten times what it takes to wake a thread."""
PIECE = 125_000
"""The work of one piece, at least."""
MOST = 64
"""Pieces of one loop: some for each thread, so that a slow one does not keep the others waiting."""

_BYTE = kind_of(np.uint8)
_SLOT = 8
_ALIGN = 64


def pieces(nest: Nest, work: float) -> tuple[int, int]:
    """How many pieces the outermost loop has, and how many steps each but the last one.

    Two pieces never write to the same memory: a last vector that is moved back to overlap the one
    before it is in one piece with that.
    """
    if not nest.order:
        return 1, 1
    overlaps = nest.vector == 0 and bool(nest.width) and nest.counts[0] % nest.width != 0
    return divided(nest.steps(0), min(MOST, int(work) // PIECE), overlaps)


def divided(steps: int, wanted: int, overlaps: bool) -> tuple[int, int]:
    """About `wanted` pieces of equal steps: how many, and how many steps each but the last one.

    `overlaps`: the last step writes to memory of the one before it, and so is in one piece with it.
    """
    each = -(-steps // max(1, min(wanted, steps)))
    count = -(-steps // each)
    if overlaps and count > 1 and steps - each * (count - 1) < 2:
        count -= 1
    return count, each


class Part:
    """The function of a piece while it is written.

    Names of the code around it mean the same in it: what it uses is put into memory before, and
    loaded under the same names.

    Attributes:
      code: its instructions.
      registers: what is known in it.
    """

    def __init__(
        self,
        outer: Code,
        registers: Registers,
        new_buffer: Callable[[Kind, Sequence[int]], Buffer],
        nodes: Sequence[Node],
        buffers: Sequence[Buffer],
    ) -> None:
        self.outer, self.new_buffer = outer, new_buffer
        self.passed: dict[str, str] = {}
        """Names from outside, and their types."""
        known = [self._scalar(n, registers) for n in walk(nodes) if isinstance(n, Scalar)]
        self.code = outer.apart()
        self.registers = Registers(self.code)
        for node, word in known:
            for picks, name in zip(node.lanes.parts, word, strict=True):
                self.registers.keep(picks[0], name)
        self._head = self.code.open_section()
        for buffer in buffers:
            self.use(buffer.pointer)

    def _scalar(self, node: Scalar, registers: Registers) -> tuple[Scalar, list[str]]:
        word = registers.scalar(node.lanes, 0)
        names = list(word) if isinstance(word, tuple) else [word]
        for name in names:
            self.use(name, node.kind.register)
        return node, names

    def use(self, name: str, kind: str = "ptr") -> None:
        """Have `name` mean the same as outside."""
        if name.startswith("%"):
            self.passed[name] = kind

    def bounds(self, count: int, each: int, steps: int) -> tuple[str, str]:
        """The first step of the piece, and how many it has."""
        code = self.code
        first = code.op(f"mul nuw nsw i64 %piece, {each}")
        last = code.op(f"icmp eq i64 %piece, {count - 1}")
        rest = steps - each * (count - 1)
        return first, code.op(f"select i1 {last}, i64 {rest}, i64 {each}")

    def call(self, count: int) -> None:
        """End the function, and have all pieces computed, after what is written outside."""
        outer, code = self.outer, self.code
        memory = self.new_buffer(_BYTE, (max(len(self.passed), 1) * _SLOT,))
        for i, (name, kind) in enumerate(self.passed.items()):
            at = outer.at(memory.pointer, i * _SLOT)
            outer.line(f"store {kind} {name}, ptr {at}, align {_SLOT}")
            with code.writing_in(self._head):
                at = code.at("%context", i * _SLOT)
                code.line(f"{name} = load {kind}, ptr {at}, align {_SLOT}")
        module = outer.module
        body = "\n".join(code.whole.flat())
        symbol = f"@part_{len(module.functions)}"
        module.functions.append(
            f"define internal void {symbol}(ptr %context, i64 %piece) nounwind {{\n"
            f"entry:\n{body}\n  ret void\n}}"
        )
        # SciPy's functions may want the interpreter, to warn. Nobody who waits here holds it:
        # kernels with so much work release it (`program.LONG`).
        outer.call(
            "void",
            module.symbol(SHARE, address(SHARE), "void (ptr, ptr, i64)"),
            f"ptr {symbol}",
            f"ptr {memory.pointer}",
            f"i64 {count}",
        )


class Partial:
    """Memory for the words that each piece of a reduction gives."""

    def __init__(
        self,
        new_buffer: Callable[[Kind, Sequence[int]], Buffer],
        types: Sequence[tuple[str, int]],
        count: int,
    ) -> None:
        self.types, self.offsets = [t for t, _ in types], []
        size = 0
        for _, needed in types:
            self.offsets.append(size)
            size += -(-needed // _ALIGN) * _ALIGN
        self.size = size
        self.buffer = new_buffer(_BYTE, (size * count,))

    def store(self, code: Code, values: Sequence[str]) -> None:
        """Write the words of the present piece."""
        start = code.at(self.buffer.pointer, code.times("%piece", self.size))
        for kind, offset, value in zip(self.types, self.offsets, values, strict=True):
            code.line(f"store {kind} {value}, ptr {code.at(start, offset)}, align {_ALIGN}")

    def load(self, code: Code, piece: int | str) -> list[str]:
        """The words of a piece."""
        start = code.at(self.buffer.pointer, code.times(piece, self.size))
        return [
            code.op(f"load {kind}, ptr {code.at(start, offset)}, align {_ALIGN}")
            for kind, offset in zip(self.types, self.offsets, strict=True)
        ]

    def combined(self, code: Code, count: int, merge: Callable[..., list[str]]) -> list[str]:
        """The words of all pieces, merged in their order."""
        first = self.load(code, 0)

        def next_one(i: str, values: list[str]) -> list[str]:
            return merge(values, self.load(code, code.add(i, 1)))

        return code.loop(count - 1, next_one, list(zip(self.types, first, strict=True)))


__all__ = ["LARGE", "PIECE", "Part", "Partial", "divided", "pieces"]
