"""Reductions over axes: trees of operations in registers, loops in memory."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from ....core.program import Equation
from ....ops.reduction import (
    reduce_and,
    reduce_max,
    reduce_min,
    reduce_or,
    reduce_prod,
    reduce_xor,
)
from ....ops.structural import reduce_sum
from ..kinds import Kind
from ..lowering import Lowering, Rule, Value
from ..nodes import InMemory, Reduce
from ..reducing import REDUCTIONS
from ..registers import Lanes


def reduction(how: str) -> Rule:
    """The rule of a reduction: a row of `REDUCTIONS`."""

    def rule(low: Lowering, eq: Equation, args: list[Value]) -> list[Value]:
        return [reduced(low, args[0], eq.params["axes"], how, eq)]

    return rule


def reduced(low: Lowering, value: Value, axes: Sequence[int], how: str, eq: Equation) -> Value:
    """`value` reduced over `axes`."""
    row = REDUCTIONS[how]
    shape = eq.outvars[0].aval.shape
    if value.size == 0:
        first = row.first(value.kind)
        return low.constant_value(first, value.kind, shape)
    if not axes:
        return value
    if value.small:
        return _in_registers(low, value, axes, how, shape)
    node = low.node(value)
    buffer = low.result_buffer(eq) if shape else None
    sink = Reduce(node, value.shape, axes, how, buffer)
    low.fusion.add(sink)
    if buffer is None:
        return low.scalar_result(value.kind, sink)
    return Value(value.kind, shape, node=InMemory(buffer, sink))


def _in_registers(
    low: Lowering, value: Value, axes: Sequence[int], how: str, shape: Sequence[int]
) -> Value:
    lanes = low.lanes(value)
    order = np.arange(value.size).reshape(value.shape)
    order = np.moveaxis(order, tuple(axes), range(-len(axes), 0))
    table = order.reshape(prod(shape), -1)
    row = REDUCTIONS[how]
    inner = row.kind(value.kind)
    wide = Lanes(inner, lanes.shape, lanes.parts)
    if _changed_by_first(value.kind, how):
        wide = _with_first(low, wide, how)
    total = _tree(low, wide, table, how)
    size = prod(shape)
    word = row.finish(low.code, value.kind, size if size > 1 else 0, low.registers.word(total))
    if value.kind.narrow:
        return low.word_value(value.kind, shape, word)
    return low.small_value(Lanes(value.kind, shape, total.parts))


def _changed_by_first(kind: Kind, how: str) -> bool:
    """Whether an element differs from what a loop makes of it alone, beginning with `first`.

    -0 + 0 is 0, and the product of 1 + 0i and an infinite number has a NaN part: so it is in NumPy.
    """
    return (how == "sum" and kind.family in "fc") or (how == "prod" and kind.family == "c")


def _with_first(low: Lowering, lanes: Lanes, how: str) -> Lanes:
    row = REDUCTIONS[how]
    first = Lanes.of_word(lanes.kind, (), row.identity(lanes.kind, 0))
    return _combined(low, lanes.kind, first.taken(np.zeros(lanes.shape, int)), lanes, how)


def _tree(low: Lowering, lanes: Lanes, table: np.ndarray, how: str) -> Lanes:
    """The columns of a table of positions combined, halves with halves."""
    rows, count = table.shape
    current = lanes.taken(table)
    while count > 1:
        half = count // 2
        at = np.arange(rows * count).reshape(rows, count)
        first, second = current.taken(at[:, :half]), current.taken(at[:, half : 2 * half])
        both = _combined(low, lanes.kind, first, second, how)
        rest = current.taken(at[:, 2 * half :])
        count = half + count % 2
        merged = Lanes.joined([both, rest])
        places = np.concatenate(
            [
                np.arange(rows * half).reshape(rows, half),
                rows * half + np.arange(rest.size).reshape(rows, -1),
            ],
            axis=1,
        )
        current = merged.taken(places)
    return current


def _combined(low: Lowering, kind: Kind, a: Lanes, b: Lanes, how: str) -> Lanes:
    width = a.size if a.size > 1 else 0
    words = low.registers.word(a), low.registers.word(b)
    word = REDUCTIONS[how].combine(low.code, kind, width, *words)
    return Lanes.of_word(kind, (a.size,), word)


RULES: dict[Any, Rule] = {
    reduce_sum: reduction("sum"),
    reduce_prod: reduction("prod"),
    reduce_max: reduction("max"),
    reduce_min: reduction("min"),
    reduce_and: reduction("and"),
    reduce_or: reduction("or"),
    reduce_xor: reduction("xor"),
}
