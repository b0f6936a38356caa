"""Lines: the elements along one axis of arrays of one shape; some side by side, if they can."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..buffers import Buffer, address
from ..kinds import Kind, Word, load, store
from ..nest import gather_lanes, lane_width
from ..text import Code, Index
from .windows import along, covering, merged_axes, moved


@dataclass
class Row:
    """A line of one array: where it begins, and how far its elements stand apart."""

    kind: Kind
    pointer: str
    stride: int

    def at(self, code: Code, i: Index) -> str:
        """The address of an element."""
        return address(code, self.kind, self.pointer, code.times(i, self.stride))

    def load(self, code: Code, i: Index, width: int) -> Word:
        """Elements one after the other; a scalar if the width is 0."""
        if width and self.stride != 1:
            return gather_lanes(code, self.kind, self.at(code, i), self.stride, width)
        return load(code, self.kind, self.at(code, i), width)

    def beside(self, code: Code, i: Index, width: int) -> Word:
        """Element i of this line and of those beside it."""
        return load(code, self.kind, self.at(code, i), width)

    def put_beside(self, code: Code, i: Index, word: Word, width: int) -> None:
        """Write element i of this line and of those beside it."""
        store(code, self.kind, word, self.at(code, i), width)


def each_line(
    code: Code,
    arrays: Sequence[Buffer],
    axis: int,
    body: Callable[[list[Row], int], None],
    size: int = 0,
) -> None:
    """`body(rows, width)` for the lines of all arrays along an axis.

    `size`: bytes of what is computed for each element, if lines may be taken `width` at once: those
    beside each other in memory; else the width is 0. Some may come twice.
    """
    cut = [b.strides[:axis] + b.strides[axis + 1 :] for b in arrays]
    shape = arrays[0].shape[:axis] + arrays[0].shape[axis + 1 :]
    axes = merged_axes(shape, cut)
    close = [k for k, (_, steps) in enumerate(axes) if all(s == 1 for s in steps)]
    n, ones = axes.pop(close[0]) if close and size else (1, ())
    width = lane_width(n, size) if size else 0

    def line(pointers: list[str]) -> None:
        def block(start: Index, _: list[str]) -> None:
            at = moved(code, arrays, pointers, ones, start) if width else pointers
            body([Row(b.kind, p, b.strides[axis]) for b, p in zip(arrays, at, strict=True)], width)

        covering(code, n, width, block)

    along(code, axes, arrays, [b.pointer for b in arrays], line)


def over_axis(buffer: Buffer, axis: int, n: int) -> Buffer:
    """An array without an axis as if it had it: the same element everywhere along it."""
    shape = (*buffer.shape[:axis], n, *buffer.shape[axis:])
    strides = (*buffer.strides[:axis], 0, *buffer.strides[axis:])
    return Buffer(buffer.pointer, buffer.kind, shape, strides, buffer.storage)
