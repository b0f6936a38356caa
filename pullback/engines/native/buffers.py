"""Arrays in memory: views of inputs, outputs, constants and the arena of temporaries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import prod
from typing import Any

from .kinds import Kind
from .text import Code, Index

ALIGN = 64


def strides_of(shape: Sequence[int]) -> tuple[int, ...]:
    """Of an array in C order, in elements."""
    strides, step = [], 1
    for n in reversed(shape):
        strides.append(step)
        step *= n
    return tuple(reversed(strides))


class Arena:
    """Plans the memory of temporaries: a range is used again when nothing refers to it any more.

    Lifetimes are those of the Python objects that describe the arrays, which end (by reference
    count) exactly when no later code can read them.
    """

    def __init__(self) -> None:
        self.size = 0
        self._free: list[tuple[int, int]] = []
        """Free ranges (offset, bytes), by offset, never adjacent."""
        self._growing = False

    @contextmanager
    def growing(self) -> Iterator[None]:
        """Give only memory that nothing has had: for what code writes that runs before the code
        around the present place, which has used what is free now."""
        before, self._growing = self._growing, True
        try:
            yield
        finally:
            self._growing = before

    def take(self, count: int) -> int:
        """The offset of a new range of at least `count` bytes: the tightest that fits."""
        count = max(ALIGN, -(-count // ALIGN) * ALIGN)
        if self._growing:
            self.size += count
            return self.size - count
        fitting = [(n, at) for at, n in self._free if n >= count]
        if not fitting:
            if self._free and sum(self._free[-1]) == self.size:
                at, n = self._free.pop()
            else:
                at = self.size
            self.size = at + count
            return at
        n, at = min(fitting)
        self._free.remove((at, n))
        if n > count:
            self._give(at + count, n - count)
        return at

    def give(self, at: int, count: int) -> None:
        """Take back a range."""
        self._give(at, max(ALIGN, -(-count // ALIGN) * ALIGN))

    def _give(self, at: int, count: int) -> None:
        merged = []
        for start, n in self._free:
            if start + n == at:
                at, count = start, n + count
            elif at + count == start:
                count += n
            else:
                merged.append((start, n))
        self._free = sorted([*merged, (at, count)])


class Storage:
    """A range of the arena; it is free again when this object goes."""

    __slots__ = ("arena", "at", "copies", "count")

    def __init__(self, arena: Arena, count: int) -> None:
        self.arena, self.count = arena, count
        self.copies: dict[object, Any] = {}
        """Copies in another order, which are of use as long as this."""
        self.at = arena.take(count)

    def __del__(self) -> None:
        self.arena.give(self.at, self.count)

    @property
    def ranges(self) -> tuple[Storage, ...]:
        """Where elements may be: here."""
        return (self,)


class OneOf:
    """Ranges of the arena of which one has the elements: which, is known when code runs."""

    __slots__ = ("ranges",)

    def __init__(self, buffers: Sequence[Buffer]) -> None:
        self.ranges: tuple[Storage, ...] = tuple(
            r for b in buffers if b.storage is not None for r in b.storage.ranges
        )


class Buffer:
    """A strided view of elements in memory.

    Attributes:
      pointer: the SSA name of the address of the first element.
      strides: in elements; 0 along an axis that is broadcast.
      storage: what keeps the memory taken; None for inputs, outputs and constants.
    """

    __slots__ = ("kind", "pointer", "shape", "storage", "strides")

    def __init__(
        self,
        pointer: str,
        kind: Kind,
        shape: Sequence[int],
        strides: Sequence[int] | None = None,
        storage: Storage | OneOf | None = None,
    ) -> None:
        self.pointer, self.kind, self.shape = pointer, kind, tuple(shape)
        self.strides = strides_of(shape) if strides is None else tuple(strides)
        self.storage = storage

    @property
    def size(self) -> int:
        """The number of elements."""
        return prod(self.shape)

    @property
    def varied(self) -> int:
        """The number of elements that are in memory: those along axes that are not broadcast."""
        return prod(n for n, s in zip(self.shape, self.strides, strict=True) if s)

    @property
    def contiguous(self) -> bool:
        """Whether the elements stand in C order without gaps."""
        expected = strides_of(self.shape)
        return all(
            a == b or n == 1 for a, b, n in zip(self.strides, expected, self.shape, strict=True)
        )

    def shares(self, other: Buffer) -> bool:
        """Whether both may be in the same range of the arena."""
        if self.storage is None or other.storage is None:
            return False
        return any(r in other.storage.ranges for r in self.storage.ranges)

    def view(
        self, code: Code, shape: Sequence[int], strides: Sequence[int], offset: Index = 0
    ) -> Buffer:
        """Another view of the same memory, `offset` elements further."""
        pointer = address(code, self.kind, self.pointer, offset)
        return Buffer(pointer, self.kind, shape, strides, self.storage)

    def offset(self, code: Code, position: Sequence[Index]) -> Index:
        """The elements from the first to that at `position`."""
        total: Index = 0
        for i, stride, n in zip(position, self.strides, self.shape, strict=True):
            if n > 1:
                total = code.add(total, code.times(i, stride))
        return total


def address(code: Code, kind: Kind, pointer: str, offset: Index) -> str:
    """The address `offset` elements after `pointer`."""
    unit = f"[2 x {kind.memory}]" if kind.family == "c" else kind.memory
    return code.at(pointer, offset, unit)
