"""Arithmetic: + - * / and remainders, of floats and integers; complex numbers are elsewhere."""

from __future__ import annotations

from ....ops import compound, elementwise, functions, incomplete, rounding
from .. import kinds
from ..kinds import Kind, Word
from ..site import Operation, Operations, Site
from . import complex_numbers as complexes
from . import moduli
from .sums import difference, product, total
from .words import binary, both, chosen, compared, either, floats, intrinsic, number


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
    zero, safe = _safe_divisor(site, kind, x, y)
    return chosen(site, kind, zero, number(site, -1, kind), _quotient(site, kind, x, safe))


def _safe_divisor(site: Site, kind: Kind, x: str, y: str) -> tuple[str, str]:
    """Where y is 0, and y with 1 in its place, and in that of -1 where x / -1 does not fit.

    The processor's own division ends the process in both cases. x / 1 = x is what wraps around.
    """
    zero = compared(site, kind, "eq", y, number(site, 0, kind))
    unsafe = zero
    if kind.family == "i":
        lowest = compared(site, kind, "eq", x, number(site, -(1 << (kind.bits - 1)), kind))
        minus = compared(site, kind, "eq", y, number(site, -1, kind))
        unsafe = either(site, zero, both(site, lowest, minus))
    return zero, chosen(site, kind, unsafe, number(site, 1, kind), y)


def _quotient(site: Site, kind: Kind, x: str, y: str) -> str:
    return binary(site, kind, "sdiv" if kind.family == "i" else "udiv", x, y)


def _rem(site: Site, x: Word, y: Word) -> Word:
    kind = site.out
    if kind.family == "f":
        return binary(site, kind, "frem", x, y)
    zero, safe = _safe_divisor(site, kind, x, y)
    rest = binary(site, kind, "srem" if kind.family == "i" else "urem", x, safe)
    return chosen(site, kind, zero, x, rest)


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
