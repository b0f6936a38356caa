"""Large arrays that loops would read across: copied first, tile by tile, to be read along.

A loop whose vectors lie across the memory of an array takes one element from each line of the
cache, and the line is gone when its neighbour is wanted: 26 ms for 4096 x 1024 numbers, where the
copy takes 1 to 2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import prod

from .buffers import Buffer, address
from .grids import grid_of
from .kinds import Kind
from .nodes import InMemory, Node, Sink, Store, walk
from .parts import Part
from .registers import Registers
from .rules.copies import TILE, run_of, tile_of, transposed
from .rules.matrix_kernels import Share
from .text import Code, Index

LARGE = 1 << 16
"""Elements from which on an array is copied: some that fit the cache are read as fast across."""
COST = 8.0
"""Of an element that is copied, in additions."""

NewBuffer = Callable[[Kind, Sequence[int]], Buffer]


@contextmanager
def along(
    code: Code, registers: Registers, new_buffer: NewBuffer, roots: Sequence[Node]
) -> Iterator[None]:
    """Have loops over `roots` that are written meanwhile read copies where this is faster."""
    before: list[tuple[InMemory, Buffer]] = []
    copies: dict[tuple[str, tuple[int, ...], tuple[int, ...]], Buffer] = {}
    large = max((prod(root.shape) for root in roots), default=0) >= LARGE
    for node in walk(roots) if large else ():
        if not isinstance(node, InMemory) or across(node.buffer) is None:
            continue
        b = node.buffer
        key = b.pointer, b.shape, b.strides
        if key not in copies:
            copies[key] = copied(code, registers, new_buffer, b)
        before.append((node, b))
        node.buffer = copies[key]
    try:
        yield
    finally:
        for node, buffer in before:
            node.buffer = buffer


def copy(code: Code, registers: Registers, new_buffer: NewBuffer, sinks: Sequence[Sink]) -> bool:
    """Write the copy, if all there is to do is to copy an array that lies across."""
    (sink, *others) = sinks
    if others or not isinstance(sink, Store) or not isinstance(sink.node, InMemory):
        return False
    if not sink.buffer.contiguous or across(sink.node.buffer) is None:
        return False
    copied(code, registers, new_buffer, sink.node.buffer, sink.buffer)
    return True


def across(b: Buffer) -> tuple[int, int] | None:
    """The last axis, and that along which memory is read, if this is another one, and both long."""
    if b.size < LARGE or 0 in b.strides:
        return None
    axes = [d for d, n in enumerate(b.shape) if n > 1]
    if not axes or b.strides[axes[-1]] == 1:
        return None
    near = [d for d in axes if b.strides[d] == 1]
    if not near or min(b.shape[near[0]], b.shape[axes[-1]]) < 2 * TILE:
        return None
    return axes[-1], near[0]


def copied(
    code: Code,
    registers: Registers,
    new_buffer: NewBuffer,
    b: Buffer,
    to: Buffer | None = None,
) -> Buffer:
    """A copy in C order, which may be given, of an array for which `across` gives two axes."""
    found = across(b)
    assert found is not None
    last, near = found
    to = new_buffer(b.kind, b.shape) if to is None else to
    shape = b.shape[near], b.shape[last]
    others = [d for d in range(len(b.shape)) if d not in found and b.shape[d] > 1]
    sizes = [b.shape[d] for d in others]
    tile, run = tile_of(b.kind), run_of(b.kind, shape[1])
    steps = -(-shape[0] // tile), -(-shape[1] // run)
    over = shape[0] % tile != 0, shape[1] % run != 0
    grid = grid_of(COST * b.size * b.kind.size / 4, sizes, steps, over, True)

    def one(code: Code, position: Sequence[Index], shares: tuple[Share, Share]) -> None:
        source, end = b.pointer, to.pointer
        for d, at in zip(others, position, strict=True):
            source = address(code, b.kind, source, code.times(at, b.strides[d]))
            end = address(code, b.kind, end, code.times(at, to.strides[d]))
        transposed(code, b.kind, shape, (source, b.strides[last]), (end, to.strides[near]), shares)

    if grid is None:
        _looped(code, sizes, [], lambda position: one(code, position, (None, None)))
        return to
    part = Part(code, registers, new_buffer, [], [b, to])

    def unit(steps: list[Index], position: list[Index]) -> None:
        shares = ((steps[0], steps[1]), (steps[2], steps[3])) if steps else (None, None)
        one(part.code, position, shares)

    grid.write(part, sizes, unit)
    return to


def _looped(
    code: Code,
    sizes: Sequence[int],
    position: list[Index],
    body: Callable[[list[Index]], None],
) -> None:
    if not sizes:
        body(position)
        return
    code.loop(sizes[0], lambda i, _: _looped(code, sizes[1:], [*position, i], body))


__all__ = ["across", "along", "copied", "copy"]
