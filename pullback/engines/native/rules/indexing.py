"""Reading and replacing windows whose place is known when code runs: gather, dynamic slices."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from ....core.program import Equation
from ....core.types import ArrayType
from ....ops.dynamic import dynamic_slice, dynamic_update_slice
from ....ops.elementwise import select_n
from ....ops.indexing import default_fill, gather
from ....ops.windows import GatherScatterMode
from ..buffers import Buffer, address
from ..kinds import BOOL, Kind, constant, store
from ..lowering import Lowering, Rule, Value
from ..nodes import InMemory, Scalar
from ..operations import OPERATIONS
from ..registers import MOST, Lanes
from ..text import Index
from .padding import with_window
from .picking import picked
from .windows import (
    UNROLLED,
    Layout,
    Windows,
    as_index,
    clamped,
    copy,
    guarded,
    in_lanes,
    lane_width,
    may_share,
    raw_load,
    raw_store,
    raw_type,
)

# ---- one window


def _dynamic_slice(low: Lowering, eq: Equation, args: list[Value]) -> list[Value]:
    shape = eq.outvars[0].aval.shape
    return [window(low, args[0], args[1:], shape)]


def window(low: Lowering, value: Value, starts: Sequence[Value], shape: Sequence[int]) -> Value:
    """The window of an array with its corner at `starts`, moved inside: a view if it is large.

    A small one is read here, so that the array may change after.
    """
    places = inside(low, starts, value.shape, shape)
    if value.lanes is not None and all(isinstance(i, int) for i in places):
        order = np.arange(value.size).reshape(value.shape)
        at = tuple(slice(i, i + n) for i, n in zip(places, shape, strict=True))  # type: ignore
        return low.small_value(value.lanes.taken(order[at]))
    buffer = low.buffer(value)
    offset = buffer.offset(low.code, places)
    found = low.memory_value(buffer.view(low.code, shape, buffer.strides, offset))
    return low.small_value(low.lanes(found)) if found.small else found


def inside(
    low: Lowering, starts: Sequence[Value], shape: Sequence[int], sizes: Sequence[int]
) -> list[Index]:
    """The corner of a window of these sizes, moved inside an array of `shape`."""
    found: list[Index] = []
    for start, n, size in zip(starts, shape, sizes, strict=True):
        if n == size:
            found.append(0)
            continue
        unsigned = start.kind.family == "u"
        found.append(clamped(low.code, as_index(low, start), n - size, unsigned))
    return found


def _dynamic_update_slice(low: Lowering, eq: Equation, args: list[Value]) -> list[Value]:
    value, update, *starts = args
    buffer = low.in_place.get(id(eq))
    if buffer is not None:
        update_slice_in_place(low, buffer, update, starts)
        return [low.memory_value(low.renamed(buffer))]
    if update.size == value.size:
        return [update]
    if update.size == 0:
        return [value]
    if value.small and update.size == 1:
        return [_with_one(low, value, update, inside(low, starts, value.shape, update.shape))]
    places = inside(low, starts, value.shape, update.shape)
    known = [i for i in places if isinstance(i, int)]
    chosen = with_window(low, value, update, known, eq) if len(known) == len(places) else None
    if chosen is not None:
        return [chosen]
    out = low.result_buffer(eq)
    low.settle(update)
    low.write(value, out)
    _write_window(low, out, update, starts)
    return [low.memory_value(out)]


def update_slice_in_place(
    low: Lowering, buffer: Buffer, update: Value, starts: Sequence[Value]
) -> None:
    """Write `update` to the window of `buffer` at `starts`, moved inside.

    What reads the elements of `buffer` after this sees the new ones: a caller makes sure that no
    value put off, and no view, is still to be read as it was. `update` itself may be either.
    """
    if update.size == 0:
        return
    _write_window(low, buffer, apart(low, update, buffer), starts)


def _write_window(low: Lowering, buffer: Buffer, update: Value, starts: Sequence[Value]) -> None:
    places = inside(low, starts, buffer.shape, update.shape)
    offset = buffer.offset(low.code, places)
    low.write(update, buffer.view(low.code, update.shape, buffer.strides, offset))


def apart(low: Lowering, value: Value, buffer: Buffer) -> Value:
    """The value computed, and not in the memory of `buffer`, which is to change."""
    low.settle(value)
    if value.small:
        return low.small_value(low.lanes(value))
    if isinstance(value.node, Scalar) or not may_share(low_memory(low, value), buffer):
        return value
    own = low.new_buffer(value.kind, value.shape)
    low.write(value, own)
    return low.memory_value(own)


def low_memory(low: Lowering, value: Value) -> Value:
    """The value, as what is in memory."""
    return value if isinstance(value.node, InMemory) else low.memory_value(low.buffer(value))


def _with_one(low: Lowering, value: Value, update: Value, places: Sequence[Index]) -> Value:
    """A small array with another element at one place, in registers."""
    flat: Index = 0
    for i, n in zip(places, value.shape, strict=True):
        flat = low.code.add(low.code.times(flat, n), i)
    many = low.small_value(low.lanes(update).taken(np.zeros(value.shape, int)))
    return replaced(low, value, many, flat)


def replaced(
    low: Lowering, value: Value, new: Value, flat: Index, fits: str | None = None
) -> Value:
    """A small array with the element at one flat place, if it fits, from a second one."""
    if isinstance(flat, int) and fits is None:
        order = np.arange(value.size)
        order[flat] += value.size
        joined = Lanes.joined([low.lanes(value), low.lanes(new)])
        return low.small_value(joined.taken(order.reshape(value.shape)))
    code, size, kind = low.code, value.size, value.kind
    width = size if size > 1 else 0
    mask = mask_of(low, flat, size)
    if fits is not None:
        mask = _and_all(low, mask, fits, width)
    old, other = low.word(value), low.word(new)
    typed, masks = kind.typed(width), f"<{width} x i1>" if width else "i1"
    parts = zip(*(w if isinstance(w, tuple) else (w,) for w in (other, old)), strict=True)
    chosen = tuple(code.op(f"select {masks} {mask}, {typed} {a}, {typed} {b}") for a, b in parts)
    return low.word_value(kind, value.shape, chosen if len(chosen) == 2 else chosen[0])


def _and_all(low: Lowering, mask: str, fits: str, width: int) -> str:
    if not width:
        return low.code.op(f"and i1 {mask}, {fits}")
    none = f"<{width} x i1>"
    return low.code.op(f"select i1 {fits}, {none} {mask}, {none} zeroinitializer")


def mask_of(low: Lowering, place: Index, size: int) -> str:
    """A mask of `size` lanes that holds in the one at `place`."""
    code = low.code
    if size == 1:
        return "true"
    lanes = ", ".join(f"i32 {i}" for i in range(size))
    short = str(place) if isinstance(place, int) else code.op(f"trunc i64 {place} to i32")
    first = code.op(f"insertelement <{size} x i32> poison, i32 {short}, i64 0")
    spread = code.op(
        f"shufflevector <{size} x i32> {first}, <{size} x i32> poison, "
        f"<{size} x i32> zeroinitializer"
    )
    return code.op(f"icmp eq <{size} x i32> {spread}, <{lanes}>")


# ---- gather


def _gather(low: Lowering, eq: Equation, args: list[Value]) -> list[Value]:
    value, indices = args
    p, out = eq.params, eq.outvars[0].aval
    layout = Layout.of(
        p["dimension_numbers"], value.shape, p["slice_sizes"], len(indices.shape) - 1
    )
    low.settle(indices)
    filled = p["mode"] is GatherScatterMode.FILL_OR_DROP
    kind = value.kind
    fill = default_fill(kind.dtype) if p["fill_value"] is None else p["fill_value"]
    places = Windows(low, low.buffer(value), indices, layout, filled)
    if out.size <= MOST and places.count <= UNROLLED and indices.small:
        return [_in_registers(low, places, out.shape, fill)]
    if places.count == 1:
        return [_one(low, places, out, fill)]
    target = low.result_buffer(eq)
    if picked(places, target, fill):
        return [low.memory_value(target)]
    filler = low.constant_value(fill, kind)

    def body(source: str, fits: str | None, to: str) -> None:
        if prod(layout.sizes) == 1:
            _element(low, kind, source, fits, to, fill)
            return
        there = layout.of_out(target, to)
        from_here = layout.of_operand(places.operand, source)
        guarded(
            low,
            fits,
            lambda: copy(low, from_here, there),
            lambda: _fill_row(low, fill, there) if straight else _fill(low, filler, there),
        )

    window = layout.of_out(target, ""), layout.of_operand(places.operand, "")
    straight = all(b.contiguous for b in window)
    places.each(target, body, apart=straight)
    return [low.memory_value(target)]


def _fill_row(low: Lowering, fill: Any, target: Buffer) -> None:
    """The filler in every element of a window without gaps."""
    code, kind = low.code, target.kind
    width = lane_width(target.size, max(kind.bits // 8, 1))

    def some(start: Index, lanes: int) -> None:
        at = address(code, kind, target.pointer, start)
        store(code, kind, constant(fill, kind, lanes), at, lanes)

    in_lanes(code, target.size, width, some)


def _element(low: Lowering, kind: Kind, source: str, fits: str | None, to: str, fill: Any) -> None:
    code, typed = low.code, raw_type(kind)
    word = raw_load(code, kind, source)
    if fits is not None:
        other = int.from_bytes(np.array(fill).astype(kind.dtype).tobytes(), "little")
        word = code.op(f"select i1 {fits}, {typed} {word}, {typed} {other}")
    raw_store(code, kind, word, to)


def _fill(low: Lowering, filler: Value, target: Buffer) -> None:
    with low.scope():
        low.write(Value(target.kind, target.shape, node=Scalar(low.lanes(filler))), target)


def _in_registers(low: Lowering, places: Windows, shape: Sequence[int], fill: Any) -> Value:
    """Few small windows: each is loaded, and they are put side by side."""
    layout, pieces = places.layout, []
    kind, size = places.operand.kind, prod(places.layout.sizes)
    for pointer, fits, _ in places:
        piece = low.memory_value(layout.of_operand(places.operand, pointer))
        if fits is not None:
            piece = _or_fill(low, piece, fits, fill, ArrayType(piece.shape, kind.dtype))
        pieces.append(low.lanes(piece))
    axes = (*layout.outer, *layout.inner)
    have = np.arange(places.count * size).reshape(places.batch + layout.window)
    order = have.transpose(np.argsort(axes)) if axes else have
    return low.small_value(Lanes.joined(pieces).taken(order.reshape(shape)))


def _one(low: Lowering, places: Windows, out: ArrayType, fill: Any) -> Value:
    """One large window: a view, or where it is not inside the filler."""
    ((pointer, fits, _),) = places
    layout = places.layout
    strides = [0] * len(out.shape)
    for d, axis in zip(layout.inner, layout.visible, strict=True):
        strides[d] = places.operand.strides[axis]
    kind = places.operand.kind
    found = low.memory_value(Buffer(pointer, kind, out.shape, strides, places.operand.storage))
    return found if fits is None else _or_fill(low, found, fits, fill, out)


def _or_fill(low: Lowering, found: Value, fits: str, fill: Any, aval: ArrayType) -> Value:
    which = low.word_value(BOOL, (), fits)
    filler = low.word_value(found.kind, (), constant(fill, found.kind, 0))
    return low.elementwise(OPERATIONS[select_n], [which, filler, found], {}, aval)


RULES: dict[Any, Rule] = {
    gather: _gather,
    dynamic_slice: _dynamic_slice,
    dynamic_update_slice: _dynamic_update_slice,
}
