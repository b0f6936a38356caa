"""Sums, products, extrema and places of extrema along axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ....core import dtypes
from ....core.program import Equation
from ....ops import reduction as r
from ....ops.structural import reduce_sum
from ..lowering import Lowering, Rule
from ..text import Word
from ..types import NARROW, ints
from .elementwise import compare, convert, extremum, readable
from .structural import counting

Combine = Callable[[Lowering, Word, Word], Word]


def op(name: str) -> Combine:
    """A combination of two numbers that is an operation."""

    def combine(low: Lowering, x: Word, y: Word) -> Word:
        if name in ("maximum", "minimum"):
            return extremum(low.code, name, x, y)
        return low.code.op(name, [x, y], x.shape, x.dtype)

    return combine


def lowest(dtype: Any) -> Any:
    """No number is below it."""
    dtype = np.dtype(dtype)
    if dtype.kind == "c":
        return complex(-np.inf, -np.inf)
    if dtype == np.dtype(bool):
        return False
    return dtypes.iinfo(dtype).min if "int" in dtype.name else _infinity(dtype, -1)


def highest(dtype: Any) -> Any:
    """No number is above it."""
    dtype = np.dtype(dtype)
    if dtype.kind == "c":
        return complex(np.inf, np.inf)
    if dtype == np.dtype(bool):
        return True
    return dtypes.iinfo(dtype).max if "int" in dtype.name else _infinity(dtype, 1)


def _infinity(dtype: np.dtype, sign: int) -> Any:
    there = np.isinf(np.asarray(sign * np.inf, np.float32).astype(dtype).astype(np.float32))
    return sign * np.inf if there else sign * float(dtypes.finfo(dtype).max)


def reduced(low: Lowering, x: Word, axes: Sequence[int], start: Any, combine: Combine) -> Word:
    """The combination of all elements along axes, with a number that changes nothing."""
    shape = tuple(n for i, n in enumerate(x.shape) if i not in axes)
    begin = low.code.constant(np.asarray(start).astype(x.dtype))
    one = ((), x.dtype)
    body = low.region([one, one], lambda a, b: [combine(low, a, b)])
    (found,) = low.code.ops(
        "reduce", [x, begin], [(shape, x.dtype)], f"dimensions = {ints(axes)}", body.text
    )
    return found


def _sum(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    (x,), axes = args, eq.params["axes"]
    if x.dtype.name in NARROW:  # one rounding, as the NumPy engine has it
        total = reduced(low, convert(low.code, x, np.float32), axes, 0, op("add"))
        return [convert(low.code, total, x.dtype)]
    name = "or" if x.dtype == np.dtype(bool) else "add"
    return [reduced(low, x, axes, 0, op(name))]


def _reduction(name: str, start: Callable[[Any], Any]) -> Rule:
    def rule(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
        (x,), axes = args, eq.params["axes"]
        if name == "multiply" and x.dtype.name in NARROW:
            wide = convert(low.code, x, np.float32)
            found = reduced(low, wide, axes, start(np.float32), op(name))
            return [convert(low.code, found, x.dtype)]
        return [reduced(low, x, axes, start(x.dtype), op(name))]

    return rule


def _place(direction: str, start: Callable[[Any], Any]) -> Rule:
    """The first place of an extremum, or of the first NaN."""

    def rule(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
        code, (x,) = low.code, args
        x, axis = readable(code, x), eq.params["axes"][0]
        shape, dtype = low.result(eq)
        place = counting(code, x.shape, dtype, axis)
        begin = [
            code.constant(np.asarray(start(x.dtype)).astype(x.dtype)),
            code.constant(dtype.type(0)),
        ]

        def body(a: Word, i: Word, b: Word, j: Word) -> Sequence[Word]:
            unknown = compare(code, "NE", a, a)
            wins = code.op("or", [compare(code, direction, a, b), unknown], (), bool)
            even = compare(code, "EQ", a, b)
            both = code.op("and", [unknown, compare(code, "NE", b, b)], (), bool)
            even = code.op("or", [even, both], (), bool)
            before = code.op("and", [even, compare(code, "LT", i, j)], (), bool)
            # Of two NaN the first wins, so `wins` must not hold for the second.
            after = code.op("and", [both, compare(code, "GT", i, j)], (), bool)
            first = code.op("or", [wins, before], (), bool)
            first = code.op("and", [first, code.op("not", [after], (), bool)], (), bool)
            return [
                code.op("select", [wins, a, b], (), x.dtype),
                code.op("select", [first, i, j], (), dtype),
            ]

        ones = [((), x.dtype), ((), dtype)]
        region = low.region([*ones, *ones], body)
        outs = code.ops(
            "reduce",
            [x, place, *begin],
            [(shape, x.dtype), (shape, dtype)],
            f"dimensions = {ints([axis])}",
            region.text,
        )
        return [outs[1]]

    return rule


RULES: dict[Any, Rule] = {
    reduce_sum: _sum,
    r.reduce_prod: _reduction("multiply", lambda d: 1),
    r.reduce_max: _reduction("maximum", lowest),
    r.reduce_min: _reduction("minimum", highest),
    r.reduce_and: _reduction("and", lambda d: True if np.dtype(d) == bool else -1),
    r.reduce_or: _reduction("or", lambda d: 0),
    r.reduce_xor: _reduction("xor", lambda d: 0),
    r.argmax: _place("GT", lowest),
    r.argmin: _place("LT", highest),
}

__all__ = ["RULES", "highest", "lowest", "op", "reduced"]
