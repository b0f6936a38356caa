"""Windows of an array at indices that are known when code runs: where they begin, loops over them.

What gather, scatter and the dynamic slices share. No address is made from an index that has not
been moved inside, whatever was promised.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from ....ops.windows import GatherDimensionNumbers
from .. import parts
from ..buffers import Buffer, address
from ..kinds import Kind, load
from ..lowering import Lowering, Value
from ..nest import lane_width
from ..nodes import InMemory
from ..text import Code, Index

UNROLLED = 8
"""Windows whose code is written one after the other instead of in a loop."""


WINDOW = 30
"""The work of finding one window, in additions."""


# ---- loops


def walk(
    code: Code,
    shape: Sequence[int],
    buffers: Sequence[Buffer],
    body: Callable[[list[str]], None],
) -> None:
    """`body(pointers)` at each element of `shape`, in C order; the buffers have that shape."""
    axes = merged_axes(shape, [b.strides for b in buffers])
    along(code, axes, buffers, [b.pointer for b in buffers], body)


def along(
    code: Code,
    axes: Sequence[tuple[int, Sequence[int]]],
    buffers: Sequence[Buffer],
    pointers: Sequence[str],
    body: Callable[[list[str]], None],
) -> None:
    """`body(pointers)` at each place of loops over `axes`, which are lengths and strides."""
    if not axes:
        body(list(pointers))
        return
    (n, strides), *rest = axes

    def inside(i: Index, _: list[str]) -> None:
        along(code, rest, buffers, moved(code, buffers, pointers, strides, i), body)

    code.loop(n, inside)


def moved(
    code: Code, buffers: Sequence[Buffer], pointers: Sequence[str], strides: Sequence[int], i: Index
) -> list[str]:
    """The pointers `i` steps of these strides further."""
    each = zip(buffers, pointers, strides, strict=True)
    return [address(code, b.kind, p, code.times(i, s)) for b, p, s in each]


def merged_axes(
    shape: Sequence[int], strides: Sequence[Sequence[int]]
) -> list[tuple[int, tuple[int, ...]]]:
    """(length, strides) of the loops over `shape`: an axis is joined to the next where one loop
    can do for both; those of length 1 are left out."""
    axes: list[tuple[int, tuple[int, ...]]] = []
    for d, n in enumerate(shape):
        if n == 1:
            continue
        steps = tuple(s[d] for s in strides)
        if axes and all(a == b * n for a, b in zip(axes[-1][1], steps, strict=True)):
            axes[-1] = (axes[-1][0] * n, steps)
        else:
            axes.append((n, steps))
    return axes


def in_lanes(code: Code, n: int, width: int, body: Callable[[Index, int], None]) -> None:
    """`body(start, lanes)` so that each of n elements comes once: a loop of `width` lanes at a
    time, then the rest in ever fewer; lanes of 0 stand for a single element."""
    whole = n // width * width if width else 0
    if whole == width != 0:
        body(0, width)
    elif whole:
        code.loop(whole, lambda i, _: body(i, width), step=width)
    if not width and n > 4:
        code.loop(n, lambda i, _: body(i, 0))
        return
    at = whole
    while at < n:
        part = 1 << ((n - at).bit_length() - 1)
        body(at, part if part > 1 else 0)
        at += part


def covering(
    code: Code,
    n: int,
    width: int,
    body: Callable[[Index, list[str]], Sequence[str] | None],
    carry: Sequence[tuple[str, str]] = (),
) -> list[str]:
    """`body(start, values)` for `width` of n elements at a time; the last ones overlap those before
    them if need be, so an element may come twice."""
    step = width or 1

    def one(i: str, values: list[str]) -> Sequence[str] | None:
        return body(code.least(i, n - step) if n % step else i, values)

    if n == step:
        return list(body(0, [first for _, first in carry]) or ())
    return code.loop(n, one, carry, step)


# ---- where windows are


@dataclass(frozen=True)
class Layout:
    """How the axes of an array, of indices and of the windows side by side belong together.

    Attributes:
      shape: of the array.
      sizes: of a window, on each axis of the array.
      starts: the axis of the array that each number of an index vector is for.
      visible: the axes of the array that windows have.
      inner: where these stand among the axes of the windows side by side ("out").
      outer: the other axes of out, those of the batch.
      shared: for each axis of the batch the axis of the array that runs with it, or None.
    """

    shape: tuple[int, ...]
    sizes: tuple[int, ...]
    starts: tuple[int, ...]
    visible: tuple[int, ...]
    inner: tuple[int, ...]
    outer: tuple[int, ...]
    shared: tuple[int | None, ...]

    @staticmethod
    def of(
        numbers: GatherDimensionNumbers,
        shape: Sequence[int],
        sizes: Sequence[int],
        batch_rank: int,
    ) -> Layout:
        """From XLA's dimension numbers."""
        hidden = {*numbers.collapsed_slice_dims, *numbers.operand_batching_dims}
        visible = tuple(d for d in range(len(shape)) if d not in hidden)
        inner = tuple(numbers.offset_dims)
        outer = tuple(d for d in range(batch_rank + len(inner)) if d not in inner)
        pairs = zip(numbers.start_indices_batching_dims, numbers.operand_batching_dims, strict=True)
        running = dict(pairs)
        shared = tuple(running.get(d) for d in range(batch_rank))
        starts = tuple(numbers.start_index_map)
        return Layout(tuple(shape), tuple(sizes), starts, visible, inner, outer, shared)

    @property
    def window(self) -> tuple[int, ...]:
        """The shape of a window as out has it."""
        return tuple(self.sizes[d] for d in self.visible)

    def of_operand(self, buffer: Buffer, pointer: str) -> Buffer:
        """The window of the array that begins at `pointer`."""
        strides = [buffer.strides[d] for d in self.visible]
        return Buffer(pointer, buffer.kind, self.window, strides, buffer.storage)

    def of_out(self, buffer: Buffer, pointer: str) -> Buffer:
        """The window of out that begins at `pointer`."""
        strides = [buffer.strides[d] for d in self.inner]
        return Buffer(pointer, buffer.kind, self.window, strides, buffer.storage)


Body = Callable[[str, str | None, str], None]
"""What to do with a window: `body(place in the array, whether it was inside, place in out)`; None
if it does not matter or is sure."""


class Windows:
    """The windows of one array at given indices.

    Attributes:
      checked: whether to tell those that were not inside.
    """

    def __init__(
        self, low: Lowering, operand: Buffer, indices: Value, layout: Layout, checked: bool
    ) -> None:
        self.low, self.operand, self.indices = low, operand, indices
        self.layout, self.checked = layout, checked
        self.batch = indices.shape[:-1]
        self.count = prod(self.batch)

    def place(self, k: int) -> tuple[Index, str | None]:
        """Where window `k` of the batch begins, in elements, and whether it was inside."""
        columns = len(self.layout.starts)
        return self.corner([self._number(k * columns + c) for c in range(columns)])

    def corner(self, vector: Sequence[Index]) -> tuple[Index, str | None]:
        """Where a window begins that was moved inside, and whether it was inside before."""
        code, layout = self.low.code, self.layout
        offset: Index = 0
        inside: str | None = None
        unsigned = self.indices.kind.family == "u"
        for axis, i in zip(layout.starts, vector, strict=True):
            limit = layout.shape[axis] - layout.sizes[axis]
            at = clamped(code, i, limit, unsigned)
            offset = code.add(offset, code.times(at, self.operand.strides[axis]))
            if self.checked:
                inside = _both(code, inside, within(code, i, limit))
        return offset, inside

    def __iter__(self) -> Any:
        """Each window written on its own: (place in the array, inside, place in the batch)."""
        code, operand, strides = self.low.code, self.operand, self._batch_strides()
        for k in range(self.count):
            position: list[int] = []
            rest = k
            for n in reversed(self.batch):
                rest, i = divmod(rest, n)
                position.insert(0, i)
            first = sum(i * s for i, s in zip(position, strides, strict=True))
            offset, inside = self.place(k)
            at = address(code, operand.kind, operand.pointer, code.add(first, offset))
            yield at, inside, position

    def _number(self, i: int) -> Index:
        one = Value(self.indices.kind, (), lanes=self.low.lanes(self.indices).taken(i))
        return as_index(self.low, one)

    def _batch_strides(self) -> list[int]:
        return [0 if d is None else self.operand.strides[d] for d in self.layout.shared]

    def each(self, out: Buffer, body: Body, apart: bool = False) -> None:
        """Write `body` for all windows, in the order of the batch; or, if they are `apart`, in any
        order by several threads: then `body` needs no memory but theirs and the array's."""
        low = self.low
        if self.count <= UNROLLED and self.indices.small and self.window_is_cheap():
            for pointer, inside, position in self:
                offset = sum(
                    i * out.strides[d] for i, d in zip(position, self.layout.outer, strict=True)
                )
                body(pointer, inside, address(low.code, out.kind, out.pointer, offset))
            return
        self._in_loops(out, body, apart)

    def window_is_cheap(self) -> bool:
        """Whether the code of a window is short, so that it may be written several times."""
        return self.count == 1 or prod(self.layout.sizes) == 1

    def along_batch(self, table: Buffer, out: Buffer) -> list[Buffer]:
        """The indices, the array and the windows side by side, as arrays over the batch."""
        batch, operand = self.batch, self.operand
        return [
            Buffer(table.pointer, table.kind, batch, table.strides[:-1]),
            Buffer(operand.pointer, operand.kind, batch, self._batch_strides()),
            Buffer(out.pointer, out.kind, batch, [out.strides[d] for d in self.layout.outer]),
        ]

    def along_elements(self, table: Buffer, out: Buffer) -> list[Buffer]:
        """The same over the elements of a window, and for each of them over the batch."""
        layout = self.layout
        inside = [
            [0] * len(layout.window),
            [self.operand.strides[d] for d in layout.visible],
            [out.strides[d] for d in layout.inner],
        ]
        return [
            Buffer(b.pointer, b.kind, layout.window + self.batch, (*strides, *b.strides))
            for strides, b in zip(inside, self.along_batch(table, out), strict=True)
        ]

    def _in_loops(self, out: Buffer, body: Body, apart: bool) -> None:
        low, batch = self.low, self.batch
        table = low.buffer(self.indices)
        kind = table.kind
        buffers = self.along_batch(table, out)

        def one(pointers: list[str]) -> None:
            code, vector = low.code, []
            for c in range(len(self.layout.starts)):
                at = address(code, kind, pointers[0], c * table.strides[-1])
                vector.append(extended(code, kind, load(code, kind, at, 0)))
            offset, inside = self.corner(vector)
            body(address(code, self.operand.kind, pointers[1], offset), inside, pointers[2])

        work = self.count * (WINDOW + prod(self.layout.sizes) * out.kind.size)
        low.report.count(work)
        axes = merged_axes(batch, [b.strides for b in buffers])
        count, each = 1, 0
        if apart and axes and work >= parts.LARGE:
            count, each = parts.divided(axes[0][0], min(parts.MOST, work // parts.PIECE), False)
        if count > 1:
            self._in_pieces(axes, buffers, one, count, each)
        else:
            along(low.code, axes, buffers, [b.pointer for b in buffers], one)

    def _in_pieces(
        self,
        axes: Sequence[tuple[int, Sequence[int]]],
        buffers: Sequence[Buffer],
        body: Callable[[list[str]], None],
        count: int,
        each: int,
    ) -> None:
        """`along` as a function of `count` pieces of the first axis, that threads share."""
        low = self.low
        part = parts.Part(low.code, low.registers, low.new_buffer, [], buffers)
        (n, strides), *rest = axes
        first, steps = part.bounds(count, each, n)

        def inside(i: Index, _: list[str]) -> None:
            pointers = [b.pointer for b in buffers]
            at = moved(part.code, buffers, pointers, strides, part.code.add(i, first))
            along(part.code, rest, buffers, at, body)

        with low.writing_to(part.code):
            part.code.loop(steps, inside)
        part.call(count)


def as_index(low: Lowering, value: Value) -> Index:
    """A scalar integer; as a number, if it is known now."""
    found = low.index(value)
    if isinstance(found, str) and not found.startswith("%"):
        return int(found)
    return found


def extended(code: Code, kind: Kind, word: str) -> str:
    """An integer of `kind` as an i64: of the same bits, if it was unsigned of that size."""
    if kind.bits == 64:
        return word
    how = "sext" if kind.family == "i" else "zext"
    return code.op(f"{how} {kind.register} {word} to i64")


def clamped(code: Code, i: Index, limit: int, unsigned: bool = False) -> Index:
    """`i` moved into 0 ... limit; `unsigned`: it has no sign, so that no bit of it means one."""
    if limit <= 0:
        return 0
    if isinstance(i, int):
        return min(max(i, 0), limit)
    if unsigned:
        return code.call("i64", "@llvm.umin.i64", f"i64 {i}", f"i64 {limit}")
    low = code.call("i64", "@llvm.smax.i64", f"i64 {i}", "i64 0")
    return code.call("i64", "@llvm.smin.i64", f"i64 {low}", f"i64 {limit}")


def within(code: Code, i: Index, limit: int) -> str | None:
    """Whether 0 <= i <= limit; None: surely."""
    if isinstance(i, int):
        return None if 0 <= i <= limit else "false"
    # As a number without sign, a negative one is large: one comparison does for both bounds.
    return code.op(f"icmp ule i64 {i}, {limit}")


def _both(code: Code, a: str | None, b: str | None) -> str | None:
    if a is None or b is None:
        return b if a is None else a
    return code.op(f"and i1 {a}, {b}")


# ---- what is done to a window


def guarded(
    low: Lowering,
    condition: str | None,
    yes: Callable[[], None],
    no: Callable[[], None] | None = None,
) -> None:
    """`yes` where the condition holds (None: always), else `no`."""
    if condition is None:
        yes()
        return
    code = low.code
    stem = code.name("window")
    first, second, done = f"in_{stem}", f"out_{stem}", f"done_{stem}"
    code.branch(condition, first, second if no else done)
    for block, write in ((first, yes), (second, no)):
        if write is not None:
            code.start(block)
            write()
            code.jump(done)
    code.start(done)


def copy(low: Lowering, source: Buffer, target: Buffer) -> None:
    """The elements of one view to another that does not overlap it."""
    code, size = low.code, source.kind.size
    if source.contiguous and target.contiguous:
        code.module.declare("declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)")
        code.line(
            f"call void @llvm.memcpy.p0.p0.i64(ptr align {_align(source)} {target.pointer}, "
            f"ptr align {_align(source)} {source.pointer}, i64 {source.size * size}, i1 false)"
        )
        return
    with low.scope():
        low.write(low.memory_value(source), target)


def _align(buffer: Buffer) -> int:
    return buffer.kind.size // buffer.kind.parts


def raw_type(kind: Kind) -> str:
    """An integer that holds the bytes of one element, to move it unseen."""
    return f"i{8 * kind.size}"


def raw_load(code: Code, kind: Kind, pointer: str) -> str:
    """The bytes of one element."""
    align = kind.size // kind.parts
    return code.op(f"load {raw_type(kind)}, ptr {pointer}, align {align}")


def raw_store(code: Code, kind: Kind, word: str, pointer: str) -> None:
    """Write the bytes of one element."""
    align = kind.size // kind.parts
    code.line(f"store {raw_type(kind)} {word}, ptr {pointer}, align {align}")


def may_share(value: Value, buffer: Buffer) -> bool:
    """Whether the elements of a value in memory may be in the memory of `buffer` too."""
    node = value.node
    if not isinstance(node, InMemory) or node.buffer.pointer.startswith("@"):
        return False
    return node.buffer.storage is buffer.storage is None or node.buffer.shares(buffer)


__all__ = [
    "UNROLLED",
    "Layout",
    "Windows",
    "along",
    "as_index",
    "clamped",
    "copy",
    "covering",
    "extended",
    "guarded",
    "in_lanes",
    "lane_width",
    "may_share",
    "merged_axes",
    "moved",
    "raw_load",
    "raw_store",
    "raw_type",
    "walk",
    "within",
]
