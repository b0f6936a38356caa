"""Whole powers."""

from __future__ import annotations

from ....ops import compound, functions
from .. import kinds
from ..kinds import FLOAT32, FLOAT64, Kind, Word
from ..site import Operation, Operations, Site
from . import complex_numbers as complexes
from .calls import called
from .division import remainder
from .outlined import outlined, until_none
from .words import binary, chosen, compared, intrinsic, number

_MULTIPLY_UP_TO = 16
"""As in the meaning of the primitive: beyond, a float's power is that of `pow`."""


def _integer_pow(site: Site, x: Word, *, y: int) -> Word:
    kind = site.out
    if y == 0:
        return number(site, 1, kind)
    if abs(y) > _MULTIPLY_UP_TO and kind.family == "f":
        floats = FLOAT64 if kind.bits == 64 else FLOAT32
        return _rounded(site, kind, called(site, "pow", floats, x, number(site, y, floats)))
    power = _multiplied_up(site, kind, x, abs(y))
    if y > 0:
        return _rounded(site, kind, power)
    one = number(site, 1, kind)
    if kind.family == "c":
        return complexes.divided(site, kind, one, power)
    return _rounded(site, kind, binary(site, kind, "fdiv", one, power))


def _rounded(site: Site, kind: Kind, word: Word) -> Word:
    return word if kind.family == "c" else kinds.rounded(site.code, kind, word, site.width)


def _multiplied_up(site: Site, kind: Kind, x: Word, y: int) -> Word:
    """x^y for y > 0 by squaring, in the order of the primitive's own meaning; not rounded."""
    out = None
    while y:
        if y & 1:
            out = x if out is None else _times(site, kind, out, x)
        y >>= 1
        if y:
            x = _times(site, kind, x, x)
    return out


def _times(site: Site, kind: Kind, x: Word, y: Word) -> Word:
    if kind.family == "c":
        return complexes.multiplied(site, kind, x, y)
    return binary(site, kind, "fmul" if kind.family == "f" else "mul", x, y)


# ---- powers and divisors of integers, by loops that end when all lanes are done


def power_of_integers(site: Site, x: Word, y: Word) -> Word:
    """x^y that wraps around. A negative power is 0, but for 1 and -1."""
    return outlined(site, "power", _power_of_integers, x, y)


def _power_of_integers(site: Site, x: Word, y: Word) -> Word:
    kind, power = site.inputs
    zero, one = number(site, 0, kind), number(site, 1, kind)
    nothing, last = number(site, 0, power), number(site, 1, power)
    left = y if power.family == "u" else intrinsic(site, power, "smax", y, nothing)

    def body(values: list[str]) -> list[str]:
        out, base, e = values
        odd = compared(site, power, "ne", binary(site, power, "and", e, last), nothing)
        product = chosen(site, kind, odd, binary(site, kind, "mul", out, base), out)
        square = binary(site, kind, "mul", base, base)
        return [product, square, binary(site, power, "lshr", e, last)]

    def going(values: list[str]) -> str:
        return compared(site, power, "ne", values[2], nothing)

    out = until_none(site, [(kind, one), (kind, x), (power, left)], body, going)[0]
    if power.family == "u":
        return out
    size = x if kind.family == "u" else intrinsic(site, kind, "abs", x, "i1 false")
    odd = compared(site, power, "ne", binary(site, power, "and", y, last), nothing)
    inverse = chosen(site, kind, odd, x, size)
    inverse = chosen(site, kind, compared(site, kind, "eq", size, one), inverse, zero)
    return chosen(site, kind, compared(site, power, "lt", y, nothing), inverse, out)


def _gcd(site: Site, x: Word, y: Word) -> Word:
    return outlined(site, "gcd", _euclid, x, y)


def _euclid(site: Site, x: Word, y: Word) -> Word:
    kind = site.out
    if kind.family == "i":  # the size of the lowest number fits if it is read without a sign
        x, y = (intrinsic(site, kind, "abs", word, "i1 false") for word in (x, y))
    unsigned = kinds.kind_of(f"u{kind.size}")
    zero, one = number(site, 0, kind), number(site, 1, kind)

    def body(values: list[str]) -> list[str]:
        a, b = values
        done = compared(site, kind, "eq", b, zero)
        rest = remainder(site, unsigned, a, chosen(site, kind, done, one, b))
        return [chosen(site, kind, done, a, b), chosen(site, kind, done, b, rest)]

    def going(values: list[str]) -> str:
        return compared(site, kind, "ne", values[1], zero)

    return until_none(site, [(kind, x), (kind, y)], body, going)[0]


OPERATIONS: Operations = {
    compound.gcd: Operation(_gcd, 100),
    functions.integer_pow: Operation(_integer_pow, 4),
}
