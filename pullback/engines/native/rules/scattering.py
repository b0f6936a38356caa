"""Windows of an array replaced by others, or combined with them, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from ....core.program import Equation
from ....core.types import ArrayType
from ....ops.comparison import max_, min_
from ....ops.elementwise import add, convert_element_type, mul, sub
from ....ops.indexing import scatter, scatter_add, scatter_sub
from ....ops.scattering import scatter_max, scatter_min, scatter_mul
from ....ops.windows import GatherScatterMode, as_gather, window_sizes
from ..buffers import Buffer, address
from ..kinds import FLOAT32, Kind, load, store
from ..lowering import Lowering, Rule, Value
from ..nodes import Scalar
from ..operations import OPERATIONS
from ..site import Site
from .indexing import apart, replaced
from .windows import (
    Layout,
    Windows,
    along,
    copy,
    guarded,
    in_lanes,
    lane_width,
    merged_axes,
    raw_load,
    raw_store,
    raw_type,
)

COMBINE: dict[Any, Any] = {
    scatter: None,
    scatter_add: add,
    scatter_sub: sub,
    scatter_mul: mul,
    scatter_min: min_,
    scatter_max: max_,
}
"""What makes one element of two, by primitive; None takes the later one."""


def _scatter(low: Lowering, eq: Equation, args: list[Value]) -> list[Value]:
    value, indices, updates = args
    buffer = low.in_place.get(id(eq))
    if buffer is not None:
        scatter_in_place(low, buffer, indices, updates, eq)
        return [low.memory_value(low.renamed(buffer))]
    if updates.size == 0:
        return [value]
    if value.small and updates.size == 1:
        return [_in_registers(low, value, indices, updates, eq)]
    out = low.result_buffer(eq)
    low.settle(indices)
    low.settle(updates)
    low.write(value, out)
    _scatter_into(low, out, indices, updates, eq)
    return [low.memory_value(out)]


def scatter_in_place(
    low: Lowering, buffer: Buffer, indices: Value, updates: Value, eq: Equation
) -> None:
    """Do to `buffer` what a scatter does to its operand.

    What reads the elements of `buffer` after this sees the new ones: a caller makes sure that no
    value put off, and no view, is still to be read as it was. Indices and updates may be either.
    """
    if updates.size == 0:
        return
    indices, updates = apart(low, indices, buffer), apart(low, updates, buffer)
    _scatter_into(low, buffer, indices, updates, eq)


def _scatter_into(
    low: Lowering, buffer: Buffer, indices: Value, updates: Value, eq: Equation
) -> None:
    """The same, where neither indices nor updates are in the memory of `buffer`."""
    operation = COMBINE[eq.primitive]
    # NumPy's meaning of this is to add several 16-bit floats in 32 bits and to round once.
    several = prod(indices.shape[:-1]) > 1 and not eq.params["unique_indices"]
    if operation is not None and buffer.kind.narrow and several:
        wide = low.new_buffer(FLOAT32, buffer.shape)
        low.write(_converted(low, low.memory_value(buffer), FLOAT32), wide)
        long = low.settle(_converted(low, updates, FLOAT32))
        _write_windows(low, wide, indices, long, eq)
        low.write(_converted(low, low.memory_value(wide), buffer.kind), buffer)
        return
    _write_windows(low, buffer, indices, updates, eq)


def _converted(low: Lowering, value: Value, kind: Kind) -> Value:
    params = {"new_dtype": kind.dtype, "weak_type": False}
    aval = ArrayType(value.shape, kind.dtype)
    return low.elementwise(OPERATIONS[convert_element_type], [value], params, aval)


def _windows(
    low: Lowering, buffer: Buffer, indices: Value, shape: Sequence[int], eq: Equation
) -> Windows:
    numbers = eq.params["dimension_numbers"]
    sizes = window_sizes(buffer.shape, tuple(shape), numbers)
    layout = Layout.of(as_gather(numbers), buffer.shape, sizes, len(indices.shape) - 1)
    dropped = eq.params["mode"] is not GatherScatterMode.CLIP
    return Windows(low, buffer, indices, layout, dropped)


def _write_windows(
    low: Lowering, buffer: Buffer, indices: Value, updates: Value, eq: Equation
) -> None:
    operation = COMBINE[eq.primitive]
    places = _windows(low, buffer, indices, updates.shape, eq)
    layout = places.layout
    source = _one(low, updates) if prod(layout.sizes) == 1 else low.buffer(updates)

    def body(place: str, fits: str | None, update: str) -> None:
        if prod(layout.sizes) == 1:
            _element(low, buffer.kind, operation, place, fits, update)
            return
        there, new = layout.of_operand(buffer, place), layout.of_out(source, update)
        if operation is None:
            guarded(low, fits, lambda: copy(low, new, there))
        else:
            guarded(low, fits, lambda: _combine(low, operation, there, new))

    places.each(source, body)


def _one(low: Lowering, updates: Value) -> Buffer:
    """Updates in memory; if all are the same, once."""
    if not isinstance(updates.node, Scalar):
        return low.buffer(updates)
    number = low.buffer(low.small_value(updates.node.lanes))
    return Buffer(number.pointer, number.kind, updates.shape, [0] * len(updates.shape),
                  number.storage)  # fmt: skip


def _element(
    low: Lowering, kind: Kind, operation: Any, place: str, fits: str | None, update: str
) -> None:
    """One element. Where it does not fit, what stood at the place it was moved to is put back; or
    nothing is done, if there is something to add: the next element may wait for what is stored."""
    code, typed = low.code, raw_type(kind)
    if operation is None:
        new = raw_load(code, kind, update)
        if fits is not None:
            old = raw_load(code, kind, place)
            new = code.op(f"select i1 {fits}, {typed} {new}, {typed} {old}")
        raw_store(code, kind, new, place)
        return

    def combined() -> None:
        words = load(code, kind, place, 0), load(code, kind, update, 0)
        word = OPERATIONS[operation].emit(Site(code, (kind, kind), kind, 0), *words)
        store(code, kind, word, place, 0)

    guarded(low, fits, combined)


def _combine(low: Lowering, operation: Any, place: Buffer, update: Buffer) -> None:
    """Each element of a window combined with that of an update, once: no lanes overlap."""
    code, kind = low.code, place.kind
    axes = merged_axes(place.shape, [place.strides, update.strides])
    straight = bool(axes) and axes[-1][1] == (1, 1)
    n = axes[-1][0] if straight else 1
    width = lane_width(n, max(kind.bits // 8, 1)) if straight else 0

    def some(pointers: Sequence[str], start: Any, lanes: int) -> None:
        at, new = (address(code, kind, p, start) for p in pointers)
        words = load(code, kind, at, lanes), load(code, kind, new, lanes)
        site = Site(code, (kind, kind), kind, lanes)
        store(code, kind, OPERATIONS[operation].emit(site, *words), at, lanes)

    def row(pointers: list[str]) -> None:
        in_lanes(code, n, width, lambda start, lanes: some(pointers, start, lanes))

    loops = axes[: len(axes) - straight]
    along(code, loops, [place, update], [place.pointer, update.pointer], row)


def _in_registers(
    low: Lowering, value: Value, indices: Value, update: Value, eq: Equation
) -> Value:
    """A small array, changed at one place: all of it is combined, and one lane chosen."""
    spread = Buffer("", value.kind, value.shape)
    places = _windows(low, spread, indices, update.shape, eq)
    flat, fits = places.place(0)
    many = low.small_value(low.lanes(update).taken(np.zeros(value.shape, int)))
    operation = COMBINE[eq.primitive]
    if operation is not None:
        aval = ArrayType(value.shape, value.kind.dtype)
        many = low.elementwise(OPERATIONS[operation], [value, many], {}, aval)
    return replaced(low, value, many, flat, fits)


RULES: dict[Any, Rule] = dict.fromkeys(COMBINE, _scatter)
