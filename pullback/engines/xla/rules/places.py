"""What belongs to the largest or smallest element of each window."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ....core.program import Equation
from ....ops.pooling import (
    select_and_gather_add,
    select_and_scatter_add,
    window_shape,
    with_dilations,
)
from ..lowering import Lowering, Rule
from ..text import Code, Word
from ..types import NARROW
from .elementwise import compare, convert
from .reductions import highest, lowest, op
from .structural import broadcast, counting, reshaped
from .windows import windows


def chosen(low: Lowering, p: Mapping[str, Any], x: Word, *others: Word) -> list[Word]:
    """For each window the place in x, flattened, of its first extreme element or of its first NaN,
    and the elements of other arrays there. Without an element in it: the size of x, and 0."""
    code, largest = low.code, p["select_prim"] == "ge"
    size = math.prod(x.shape)
    count = np.dtype(np.int32 if size < 1 << 31 else np.int64)
    place = reshaped(code, counting(code, (size,), count, 0), x.shape)
    worst = (lowest if largest else highest)(x.dtype)
    words = [x, place, *others]
    starts = [code.constant(np.asarray(v).astype(w.dtype)) for v, w in
              zip([worst, size, *[0] * len(others)], words, strict=True)]  # fmt: skip
    ones = [((), w.dtype) for w in words]

    def body(*two: Word) -> Sequence[Word]:
        first, second = two[: len(words)], two[len(words) :]
        wins = _wins(code, "GT" if largest else "LT", *first[:2], *second[:2])
        return [
            code.op("select", [wins, a, b], (), a.dtype) for a, b in zip(first, second, strict=True)
        ]

    region = low.region([*ones, *ones], body).text
    shape = _out_shape(p, x.shape)
    results = [(shape, w.dtype) for w in words]
    return code.ops("reduce_window", [*words, *starts], results, windows(p), region)[1:]


def _wins(code: Code, direction: str, a: Word, i: Word, b: Word, j: Word) -> Word:
    """Whether a, at the place i, comes before b: NaN before all, then the extreme, then the first.
    What is not there has the last place."""

    def both(x: Word, y: Word) -> Word:
        return code.op("and", [x, y], (), bool)

    def either(x: Word, y: Word) -> Word:
        return code.op("or", [x, y], (), bool)

    unknown, other = compare(code, "NE", a, a), compare(code, "NE", b, b)
    known = code.op("not", [other], (), bool)
    better = either(both(compare(code, direction, a, b), known), both(unknown, known))
    even = either(compare(code, "EQ", a, b), both(unknown, other))
    return either(better, both(even, compare(code, "LT", i, j)))


def _out_shape(p: Mapping[str, Any], shape: Sequence[int]) -> tuple[int, ...]:
    return window_shape("select_and_gather_add", tuple(shape), **{k: p[k] for k in _WINDOWS})


_WINDOWS = ("window_dimensions", "window_strides", "padding", "base_dilation", "window_dilation")


def _wide(code: Code, x: Word) -> Word:
    return convert(code, x, np.float32) if x.dtype.name in NARROW else x


def _gather(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    code, (tangents, x) = low.code, args
    shape, dtype = low.result(eq)
    if 0 in shape or 0 in x.shape:
        return [code.constant(np.zeros(shape, dtype))]
    if not x.rank:
        return [tangents]
    return chosen(low, eq.params, _wide(code, x), tangents)[1:]


def _scatter(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    code, (source, x) = low.code, args
    shape, dtype = low.result(eq)
    if 0 in source.shape or 0 in shape:
        return [code.constant(np.zeros(shape, dtype))]
    if not x.rank:
        return [source]
    p = with_dilations(eq.params)
    plain = all(d == 1 for k in ("base_dilation", "window_dilation") for d in p[k])
    wide, values = _wide(code, x), _wide(code, source)
    one = ((), wide.dtype)
    added = low.region([one, one], lambda a, b: [op("add")(low, a, b)]).text
    if plain and not any(n for pair in p["padding"] for n in pair):
        side = "GE" if p["select_prim"] == "ge" else "LE"
        first = low.region([one, one], lambda a, b: [compare(code, side, a, b)]).text
        words = [wide, values, code.constant(wide.dtype.type(0))]
        results, told = [(shape, wide.dtype)], windows(p, dilations=False)
        found = code.ops("select_and_scatter", words, results, told, f"{first}, {added}")
        return [convert(code, found[0], dtype)]
    # Padding, which XLA would choose as well, has a place outside of the array.
    (place,) = chosen(low, p, wide)
    size, count = math.prod(shape), math.prod(source.shape)
    zeros = code.constant(np.zeros((), wide.dtype))
    zeros = broadcast(code, zeros, (size,), [])
    words = [zeros, reshaped(code, place, (count, 1)), reshaped(code, values, (count,))]
    numbers = (
        "scatter_dimension_numbers = #stablehlo.scatter<inserted_window_dims = [0], "
        "scatter_dims_to_operand_dims = [0], index_vector_dim = 1>"
    )
    (sums,) = code.ops("scatter", words, [((size,), wide.dtype)], numbers, added)
    return [convert(code, reshaped(code, sums, shape), dtype)]


RULES: dict[Any, Rule] = {select_and_gather_add: _gather, select_and_scatter_add: _scatter}

__all__ = ["RULES"]
