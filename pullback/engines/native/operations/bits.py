"""Shifts, counts of bits, and the bits of floats."""

from __future__ import annotations

import re

import numpy as np

from ....ops import comparison, integers, rounding
from .. import kinds
from ..kinds import Kind, Word
from ..site import Operation, Operations, Site
from .words import binary, chosen, compared, either, intrinsic, number, unordered

FORMATS = {
    np.dtype(np.float16): (5, 10),
    kinds.BFLOAT16: (8, 7),
    np.dtype(np.float32): (8, 23),
    np.dtype(np.float64): (11, 52),
}
"""Bits of exponent and mantissa, by dtype."""
_CONSTANT = re.compile(r"(?:splat \(i\d+ )?(-?\d+)\)?")


def _in_range(site: Site, kind: Kind, y: str) -> str | None:
    """Where a shift by y is defined; None: everywhere, for y is a constant."""
    known = _CONSTANT.fullmatch(y)
    if known and 0 <= int(known[1]) < kind.bits:
        return None
    typed = kind.typed(site.width)
    return site.code.op(f"icmp ult {typed} {y}, {number(site, kind.bits, kind)}")


def _shift(how: str) -> Operation:
    """What is shifted too far, or by a negative number, leaves zeros."""

    def emit(site: Site, x: Word, y: Word) -> Word:
        kind = site.out
        inside = _in_range(site, kind, y)
        if inside is None:
            return binary(site, kind, how, x, y)
        # The result of a shift too far is poison, which does no harm where it is not chosen.
        return chosen(site, kind, inside, binary(site, kind, how, x, y), number(site, 0, kind))

    return Operation(emit)


def _shift_sign(site: Site, x: Word, y: Word) -> Word:
    kind = site.out
    inside = _in_range(site, kind, y)
    if inside is not None:
        y = chosen(site, kind, inside, y, number(site, kind.bits - 1, kind))
    return binary(site, kind, "ashr", x, y)


def _population_count(site: Site, x: Word) -> Word:
    return intrinsic(site, site.out, "ctpop", x)


def _clz(site: Site, x: Word) -> Word:
    return intrinsic(site, site.out, "ctlz", x, "i1 false")


def _mulhi(site: Site, x: Word, y: Word) -> Word:
    kind, width, code = site.out, site.width, site.code
    wide = f"i{2 * kind.bits}"
    half = f"splat ({wide} {kind.bits})" if width else str(kind.bits)
    if width:
        wide = f"<{width} x {wide}>"
    how = "sext" if kind.family == "i" else "zext"
    x, y = (code.op(f"{how} {kind.typed(width)} {word} to {wide}") for word in (x, y))
    high = code.op(f"lshr {wide} {code.op(f'mul {wide} {x}, {y}')}, {half}")
    return code.op(f"trunc {wide} {high} to {kind.typed(width)}")


# ---- the bits of floats, as many as there are in memory


def _stored_bits(site: Site, kind: Kind, x: str) -> tuple[Kind, str]:
    ints = kinds.kind_of(f"i{kind.size}")
    raw = kinds.to_memory(site.code, kind, x, site.width)
    if kind.memory == ints.memory:
        return ints, raw
    typed, wanted = kind.stored(site.width), ints.typed(site.width)
    return ints, site.code.op(f"bitcast {typed} {raw} to {wanted}")


def _from_stored_bits(site: Site, kind: Kind, bits: str) -> str:
    ints = kinds.kind_of(f"i{kind.size}")
    if kind.memory != ints.memory:
        typed, wanted = ints.typed(site.width), kind.stored(site.width)
        bits = site.code.op(f"bitcast {typed} {bits} to {wanted}")
    return kinds.from_memory(site.code, kind, bits, site.width)


def _nextafter(site: Site, x: Word, y: Word) -> Word:
    kind = site.out
    zero = number(site, 0.0, kind)
    ints, bits = _stored_bits(site, kind, x)
    sign = binary(site, ints, "and", _stored_bits(site, kind, y)[1], _sign_bit(site, ints))
    smallest = binary(site, ints, "or", sign, number(site, 1, ints))
    # Away from zero the bits count up, towards it they count down.
    up = compared(site, kind, "lt", x, y)
    positive = compared(site, kind, "gt", x, zero)
    away = compared(site, kinds.BOOL, "eq", up, positive)
    step = chosen(site, ints, away, number(site, 1, ints), number(site, -1, ints))
    moved = binary(site, ints, "add", bits, step)
    at_zero = compared(site, kind, "eq", x, zero)
    moved = chosen(site, ints, at_zero, smallest, moved)
    found = _from_stored_bits(site, kind, moved)
    same = compared(site, kind, "eq", x, y)
    found = chosen(site, kind, same, x if kind.dtype.char == "e" else y, found)
    nan = either(site, unordered(site, kind, x), unordered(site, kind, y))
    return chosen(site, kind, nan, binary(site, kind, "fadd", x, y), found)


def _sign_bit(site: Site, ints: Kind) -> Word:
    return number(site, -(1 << (ints.bits - 1)), ints)


def _reduce_precision(site: Site, x: Word, *, exponent_bits: int, mantissa_bits: int) -> Word:
    kind = site.out
    exponent, mantissa = FORMATS[kind.dtype]
    ints, bits = _stored_bits(site, kind, x)
    if mantissa_bits < mantissa:
        bits = _cut_mantissa(site, ints, bits, mantissa - mantissa_bits)
    if exponent_bits < exponent:
        bits = _cut_exponent(site, ints, bits, (exponent, mantissa), exponent_bits)
    return chosen(site, kind, unordered(site, kind, x), x, _from_stored_bits(site, kind, bits))


def _cut_mantissa(site: Site, ints: Kind, bits: str, drop: int) -> str:
    """To nearest: half a unit of the last kept place, less 1 if that is even, is added."""
    last = binary(site, ints, "lshr", bits, number(site, drop, ints))
    even = binary(site, ints, "and", last, number(site, 1, ints))
    half = binary(site, ints, "add", even, number(site, (1 << (drop - 1)) - 1, ints))
    total = binary(site, ints, "add", bits, half)
    return binary(site, ints, "and", total, number(site, -(1 << drop), ints))


def _cut_exponent(
    site: Site, ints: Kind, bits: str, form: tuple[int, int], exponent_bits: int
) -> str:
    """Exponents that the target has not become infinity or zero."""
    exponents, mantissa = form
    bias, reach = (1 << (exponents - 1)) - 1, (1 << (exponent_bits - 1)) - 1
    sign = binary(site, ints, "and", bits, _sign_bit(site, ints))
    size = binary(site, ints, "xor", bits, sign)
    exponent = binary(site, ints, "lshr", size, number(site, mantissa, ints))
    infinity = ((1 << exponents) - 1) << mantissa
    infinite = binary(site, ints, "or", sign, number(site, infinity, ints))
    above = compared(site, ints, "gt", exponent, number(site, bias + reach, ints))
    below = compared(site, ints, "le", exponent, number(site, bias - reach, ints))
    return str(chosen(site, ints, below, sign, chosen(site, ints, above, infinite, bits)))


OPERATIONS: Operations = {
    comparison.shift_left: _shift("shl"),
    comparison.shift_right_logical: _shift("lshr"),
    comparison.shift_right_arithmetic: Operation(_shift_sign),
    comparison.population_count: Operation(_population_count, 4),
    comparison.clz: Operation(_clz, 4),
    integers.mulhi: Operation(_mulhi, 3),
    rounding.nextafter: Operation(_nextafter, 6),
    rounding.reduce_precision: Operation(_reduce_precision, 5),
}
