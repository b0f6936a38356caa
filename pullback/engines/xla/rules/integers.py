"""Powers of integers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ....core import dtypes
from ....core.program import Equation
from ....ops.functions import pow_
from ..lowering import Lowering, Rule
from ..text import Code, Word
from .elementwise import compare, convert, extremum, like, power, spread
from .reductions import op, reduced


def _pow(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    shape, dtype = low.result(eq)
    x, y = spread(low.code, args, shape)
    y = convert(low.code, y, dtype)
    if dtypes.kind(dtype) not in "iu":
        return [power(low.code, x, y)]
    return [_of_integers(low, x, y)]


def _of_integers(low: Lowering, x: Word, y: Word) -> Word:
    """By squares, a bit of the exponents in each round until all are 0; that of XLA is wrong where
    an exponent has more bits than 6. Negative powers are 0, but for 1 and -1."""
    code, types = low.code, [(x.shape, x.dtype)] * 3
    zero, one = like(code, x, 0), like(code, x, 1)
    signed = dtypes.kind(x.dtype) == "i"
    bits = extremum(code, "maximum", y, zero) if signed else y

    def goes_on(square: Word, left: Word, found: Word) -> Sequence[Word]:
        more = compare(code, "NE", left, like(code, left, 0))
        return [reduced(low, more, range(more.rank), False, op("or"))]

    def step(square: Word, left: Word, found: Word) -> Sequence[Word]:
        one = like(code, left, 1)
        odd = convert(code, code.op("and", [left, one], x.shape, x.dtype), bool)
        more = code.op("multiply", [found, square], x.shape, x.dtype)
        return [
            code.op("multiply", [square, square], x.shape, x.dtype),
            code.op("shift_right_logical", [left, one], x.shape, x.dtype),
            code.op("select", [odd, more, found], x.shape, x.dtype),
        ]

    regions = f"{low.region(types, goes_on).text}, {low.region(types, step).text}"
    found = code.ops("while", [x, bits, one], types, "", regions)[2]
    return _with_inverses(code, x, y, found) if signed else found


def _with_inverses(code: Code, x: Word, y: Word, found: Word) -> Word:
    """`found`, and the powers of 1 and -1 where the exponent is negative."""
    zero, one = like(code, x, 0), like(code, x, 1)
    size = code.op("abs", [x], x.shape, x.dtype)
    odd = convert(code, code.op("and", [y, one], x.shape, x.dtype), bool)
    sign = code.op("select", [odd, x, size], x.shape, x.dtype)
    unit = compare(code, "EQ", size, one)
    inverse = code.op("select", [unit, sign, zero], x.shape, x.dtype)
    below = compare(code, "LT", y, zero)
    return code.op("select", [below, inverse, found], x.shape, x.dtype)


RULES: dict[Any, Rule] = {pow_: _pow}

__all__ = ["RULES"]
