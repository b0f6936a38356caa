"""Elements at many indices, a vector of them at a time: single ones, or columns of a matrix."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from .. import parts
from ..buffers import Buffer
from ..kinds import INT32, INT64, Kind, constant, load, shuffle
from ..nest import gather_lanes
from ..text import Code, Index
from .matrix_kernels import VECTOR_BYTES
from .windows import Windows, merged_axes, moved, raw_type

WORK = 12
"""Of one element, in additions."""


def picked(places: Windows, out: Buffer, fill: Any) -> bool:
    """Write the loops, if there are vectors to be made: many elements side by side in `out`."""
    kind = out.kind
    if kind.size not in (4, 8) or VECTOR_BYTES < 32:
        return False
    table = places.low.buffer(places.indices)
    buffers = places.along_elements(table, out)
    axes = merged_axes(buffers[0].shape, [b.strides for b in buffers])
    width = VECTOR_BYTES // kind.size
    if not axes or axes[-1][1][1:] != (0, 1) or axes[-1][0] < width:
        return False
    Picking(places, table, fill, width, axes).write(buffers)
    return True


class Picking:
    """The loops over vectors of elements of one array.

    Attributes:
      axes: lengths and strides of the loops, the last of which goes in vectors.
      steps: how often each of them runs.
    """

    def __init__(
        self,
        places: Windows,
        table: Buffer,
        fill: Any,
        width: int,
        axes: Sequence[tuple[int, Sequence[int]]],
    ) -> None:
        self.places, self.table, self.fill = places, table, fill
        self.width, self.axes = width, axes
        self.steps = [n for n, _ in axes[:-1]] + [-(-axes[-1][0] // width)]
        operand = places.operand
        reach = sum(
            abs(s) * (n - 1) for s, n in zip(operand.strides, operand.shape, strict=True) if n
        )
        self.offset = INT32 if reach * operand.kind.size < 1 << 31 else INT64
        """The kind of the places in the array."""

    def write(self, buffers: Sequence[Buffer]) -> None:
        """Append the loops over `buffers`: indices, the array, the results."""
        low = self.places.low
        work = self.places.count * prod(self.places.layout.sizes) * WORK
        low.report.count(work)
        pointers = [b.pointer for b in buffers]
        if work >= parts.LARGE:
            wanted = min(parts.MOST, work // parts.PIECE)
            overlaps = len(self.axes) == 1 and self.axes[0][0] % self.width != 0
            count, each = parts.divided(self.steps[0], wanted, overlaps)
            if count > 1:
                part = parts.Part(low.code, low.registers, low.new_buffer, [], buffers)
                share = part.bounds(count, each, self.steps[0])
                self._over(part.code, 0, buffers, pointers, share)
                part.call(count)
                return
        self._over(low.code, 0, buffers, pointers, (0, self.steps[0]))

    def _over(
        self,
        code: Code,
        d: int,
        buffers: Sequence[Buffer],
        pointers: list[str],
        share: tuple[Index, Index],
    ) -> None:
        first, count = share
        n, strides = self.axes[d]
        last = d == len(self.axes) - 1

        def inside(i: Index, _: list[str]) -> None:
            at = code.add(i, first)
            if last:
                at = code.times(at, self.width)
                at = code.least(at, n - self.width) if n % self.width else at
            there = moved(code, buffers, pointers, strides, at)
            if last:
                self._vector(code, *there)
            else:
                self._over(code, d + 1, buffers, there, (0, self.steps[d + 1]))

        code.loop(count, inside)

    def _vector(self, code: Code, indices: str, source: str, to: str) -> None:
        kind, width = self.places.operand.kind, self.width
        typed, align = f"<{width} x {raw_type(kind)}>", kind.size // kind.parts
        place, fits = self._places(code, self._columns(code, indices))
        at = code.op(
            f"getelementptr {raw_type(kind)}, ptr {source}, {self.offset.typed(width)} {place}"
        )
        pointers, masks = f"<{width} x ptr>", f"<{width} x i1>"
        name = f"@llvm.masked.gather.v{width}{raw_type(kind)}.v{width}p0"
        code.module.declare(f"declare {typed} {name}({pointers}, i32, {masks}, {typed})")
        found = code.op(
            f"call {typed} {name}({pointers} {at}, i32 {align}, {masks} splat (i1 true), "
            f"{typed} poison)"
        )
        if fits is not None:
            other = int.from_bytes(np.array(self.fill).astype(kind.dtype).tobytes(), "little")
            filler = f"{typed} splat ({raw_type(kind)} {other})"
            found = code.op(f"select {masks} {fits}, {typed} {found}, {filler}")
        code.line(f"store {typed} {found}, ptr {to}, align {align}")

    def _columns(self, code: Code, pointer: str) -> list[str]:
        """For each number of the index vectors those of `width` vectors."""
        table, width = self.table, self.width
        count, apart = table.shape[-1], self.axes[-1][1][0]
        step = table.strides[-1] if count > 1 else 1
        if step == 1 and apart == count:
            words = load(code, table.kind, pointer, width * count)
            if count == 1:
                return [words]
            typed = table.kind.typed(width * count)
            return [
                shuffle(code, typed, words, "poison", range(c, width * count, count))
                for c in range(count)
            ]
        firsts = [code.at(pointer, c * step, table.kind.memory) for c in range(count)]
        return [gather_lanes(code, table.kind, p, apart, width) for p in firsts]

    def _places(self, code: Code, columns: list[str]) -> tuple[str, str | None]:
        """Places in the array, moved inside, and which were inside."""
        places, width = self.places, self.width
        layout, wide = places.layout, self.offset.typed(width)
        total, fits = "zeroinitializer", None
        for axis, word in zip(layout.starts, columns, strict=True):
            limit = layout.shape[axis] - layout.sizes[axis]
            if places.checked:
                inside = _within(code, self.table.kind, word, limit, width)
                fits = code.op(f"and <{width} x i1> {fits}, {inside}") if fits else inside
            at = _clamped(code, self.table.kind, word, limit, width, self.offset)
            stride = constant(places.operand.strides[axis], self.offset, width)
            at = code.op(f"mul {wide} {at}, {stride}")
            total = code.op(f"add {wide} {total}, {at}")
        return total, fits


def _highest(kind: Kind) -> int:
    return (1 << kind.bits - (kind.family == "i")) - 1


def _clamped(code: Code, kind: Kind, word: str, limit: int, width: int, wide: Kind) -> str:
    """Indices moved into 0 ... limit, as numbers of the kind `wide`."""
    typed, new = kind.typed(width), wide.typed(width)
    suffix = f"v{width}i{kind.bits}"
    if kind.family == "i":
        zero = constant(0, kind, width)
        word = code.call(typed, f"@llvm.smax.{suffix}", f"{typed} {word}", f"{typed} {zero}")
    if limit < _highest(kind):  # all are positive by now
        most = constant(limit, kind, width)
        word = code.call(typed, f"@llvm.umin.{suffix}", f"{typed} {word}", f"{typed} {most}")
    if kind.bits == wide.bits:
        return word
    return code.op(f"{'trunc' if kind.bits > wide.bits else 'zext'} {typed} {word} to {new}")


def _within(code: Code, kind: Kind, word: str, limit: int, width: int) -> str:
    """Whether 0 <= i <= limit. As a number without sign, a negative one is large."""
    most = constant(min(limit, _highest(kind)), kind, width)
    return code.op(f"icmp ule {kind.typed(width)} {word}, {most}")


__all__ = ["picked"]
