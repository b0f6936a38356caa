"""Arithmetic: + - * / and remainders, of floats and integers; complex numbers are elsewhere."""

from __future__ import annotations

from ....ops import compound, elementwise, functions, incomplete, rounding
from .. import kinds
from ..kinds import Word
from ..site import Operation, Operations, Site
from . import complex_numbers as complexes
from . import division, moduli
from .sums import difference, product, total
from .words import binary, chosen, compared, floats, intrinsic, number


def _add(site: Site, x: Word, y: Word) -> Word:
    kind = site.out
    if kind.family == "c":
        return complexes.added(site, kind, x, y)
    return total(site, kind, x, y) if kind.family == "f" else binary(site, kind, "add", x, y)


def _sub(site: Site, x: Word, y: Word) -> Word:
    kind = site.out
    if kind.family == "c":
        return complexes.subtracted(site, kind, x, y)
    return difference(site, kind, x, y) if kind.family == "f" else binary(site, kind, "sub", x, y)


def multiplied(site: Site, x: Word, y: Word) -> Word:
    """x * y"""
    kind = site.out
    if kind.family == "c":
        return complexes.multiplied(site, kind, x, y)
    return product(site, kind, x, y) if kind.family == "f" else binary(site, kind, "mul", x, y)


def _square(site: Site, x: Word) -> Word:
    return multiplied(site, x, x)


def _neg(site: Site, x: Word) -> Word:
    kind = site.out
    typed = kind.typed(site.width)
    if kind.family == "c":
        return complexes.negated(site, kind, x)
    if kind.family == "f":
        return site.code.op(f"fneg {typed} {x}")
    return binary(site, kind, "sub", number(site, 0, kind), x)


def divided(site: Site, x: Word, y: Word) -> Word:
    """x / y; of integers towards zero, -1 for division by zero."""
    kind = site.out
    if kind.family == "c":
        return complexes.divided(site, kind, x, y)
    if kind.family == "f":
        return floats(site, kind, "fdiv", x, y)
    zero, safe = division.safe_divisor(site, kind, x, y)
    found = division.quotient(site, kind, x, safe)
    return chosen(site, kind, zero, number(site, -1, kind), found)


def _rem(site: Site, x: Word, y: Word) -> Word:
    kind = site.out
    if kind.family == "f":
        return division.float_remainder(site, x, y)
    zero, safe = division.safe_divisor(site, kind, x, y)
    return chosen(site, kind, zero, x, division.remainder(site, kind, x, safe))


def _abs(site: Site, x: Word) -> Word:
    kind = site.inputs[0]
    if kind.family == "c":
        return moduli.length(site, kind, *x)
    if kind.family == "f":
        return intrinsic(site, kind, "fabs", x)
    return x if kind.family == "u" else intrinsic(site, kind, "abs", x, "i1 false")


def _sign(site: Site, x: Word) -> Word:
    kind = site.out
    if kind.family == "c":
        return moduli.direction(site, kind, x)
    zero, one = number(site, 0, kind), number(site, 1, kind)
    positive = compared(site, kind, "gt", x, zero)
    if kind.family == "u":
        return chosen(site, kind, positive, one, zero)
    negative = compared(site, kind, "lt", x, zero)
    rest = zero
    if kind.family == "f":  # NaN, or a zero, which only ml_dtypes leaves its sign
        rest = x if kind.dtype == kinds.BFLOAT16 else binary(site, kind, "fadd", x, zero)
    below = chosen(site, kind, negative, number(site, -1, kind), rest)
    return chosen(site, kind, positive, one, below)


def _sqrt(site: Site, x: Word) -> Word:
    kind = site.out
    if kind.family == "c":
        return moduli.root(site, kind, x)
    return kinds.rounded(site.code, kind, intrinsic(site, kind, "sqrt", x), site.width)


def _tanh_slope(site: Site, y: Word) -> Word:
    one = number(site, 1, site.out)
    return multiplied(site, _sub(site, one, y), _add(site, one, y))


def _zero_times(site: Site, x: Word, y: Word) -> Word:
    return _zero_kept(site, x, multiplied(site, x, y))


def _zero_over(site: Site, x: Word, y: Word) -> Word:
    return _zero_kept(site, x, divided(site, x, y))


def _zero_kept(site: Site, x: str, otherwise: str) -> Word:
    zero = number(site, 0.0, site.out)
    return chosen(site, site.out, compared(site, site.out, "eq", x, zero), zero, otherwise)


def _hypot(site: Site, x: Word, y: Word) -> Word:
    return kinds.rounded(site.code, site.out, moduli.length(site, site.out, x, y), site.width)


OPERATIONS: Operations = {
    compound.hypot: Operation(_hypot, 8),
    incomplete.zero_over: Operation(_zero_over, 4),
    incomplete.zero_times: Operation(_zero_times),
    elementwise.add: Operation(_add),
    elementwise.add_any: Operation(_add),
    elementwise.sub: Operation(_sub),
    elementwise.mul: Operation(multiplied),
    elementwise.div: Operation(divided, 4),
    elementwise.neg: Operation(_neg),
    functions.square: Operation(_square),
    functions.rem: Operation(_rem, 8),
    functions.sqrt: Operation(_sqrt, 5),
    functions.tanh_slope: Operation(_tanh_slope, 3),
    rounding.abs_: Operation(_abs),
    rounding.sign: Operation(_sign, 2),
}
