"""Arithmetic of complex numbers, pairs of words; the formulas are those NumPy computes."""

from __future__ import annotations

from ....ops import elementwise
from .. import kinds
from ..kinds import Kind, Word
from ..site import Operation, Operations, Site
from .words import binary, chosen, compared, intrinsic, number

COMPLEX128 = kinds.kind_of("complex128")


def added(site: Site, kind: Kind, x: Word, y: Word) -> Word:
    """x + y"""
    return tuple(binary(site, kind, "fadd", a, b) for a, b in zip(x, y, strict=True))


def subtracted(site: Site, kind: Kind, x: Word, y: Word) -> Word:
    """x - y"""
    return tuple(binary(site, kind, "fsub", a, b) for a, b in zip(x, y, strict=True))


def negated(site: Site, kind: Kind, x: Word) -> Word:
    """-x"""
    return tuple(site.code.op(f"fneg {kind.typed(site.width)} {part}") for part in x)


def multiplied(site: Site, kind: Kind, x: Word, y: Word) -> Word:
    """x * y"""
    (a, b), (c, d) = x, y
    real = binary(site, kind, "fsub", _times(site, kind, a, c), _times(site, kind, b, d))
    imag = binary(site, kind, "fadd", _times(site, kind, a, d), _times(site, kind, b, c))
    return real, imag


def _times(site: Site, kind: Kind, x: str, y: str) -> str:
    return binary(site, kind, "fmul", x, y)


def divided(site: Site, kind: Kind, x: Word, y: Word) -> Word:
    """x / y, by the algorithm of R. L. Smith (1962): the squares of y need not fit."""
    (a, b), (c, d) = x, y
    size_c, size_d = (intrinsic(site, kind, "fabs", part) for part in y)
    wide = compared(site, kind, "ge", size_c, size_d)
    large, small = chosen(site, kind, wide, c, d), chosen(site, kind, wide, d, c)
    with_large, with_small = chosen(site, kind, wide, a, b), chosen(site, kind, wide, b, a)
    ratio = binary(site, kind, "fdiv", small, large)
    weight = binary(site, kind, "fadd", large, _times(site, kind, small, ratio))
    scale = binary(site, kind, "fdiv", number(site, 1, kind.real), weight)
    turned = _times(site, kind, with_small, ratio)
    real = _times(site, kind, binary(site, kind, "fadd", with_large, turned), scale)
    turned = _times(site, kind, with_large, ratio)
    left = chosen(site, kind, wide, with_small, turned)
    right = chosen(site, kind, wide, turned, with_small)
    imag = _times(site, kind, binary(site, kind, "fsub", left, right), scale)
    # Of division by zero NumPy makes the quotients of the parts, so that 1 / 0 is inf + nan i.
    zero = compared(site, kind, "eq", size_c, number(site, 0, kind.real))
    zero = site.code.op(
        f"and {site.mask} {zero}, {compared(site, kind, 'eq', size_d, number(site, 0, kind.real))}"
    )
    by_zero = tuple(binary(site, kind, "fdiv", part, size_c) for part in x)
    return chosen(site, kind, zero, by_zero, (real, imag))


def _real(site: Site, x: Word) -> Word:
    return x[0]


def _imag(site: Site, x: Word) -> Word:
    return x[1]


def _complex(site: Site, x: Word, y: Word) -> Word:
    return x, y


def _conj(site: Site, x: Word, *, input_dtype: object) -> Word:
    kind = site.inputs[0]
    if kind.family != "c":
        return x, number(site, 0, kind)
    return x[0], site.code.op(f"fneg {kind.typed(site.width)} {x[1]}")


OPERATIONS: Operations = {
    elementwise.real: Operation(_real),
    elementwise.imag: Operation(_imag),
    elementwise.complex_: Operation(_complex),
    elementwise.conj: Operation(_conj),
}
