"""Whole powers."""

from __future__ import annotations

from ....ops import functions
from .. import kinds
from ..kinds import Kind, Unsupported, Word
from ..site import Operation, Operations, Site
from . import complex_numbers as complexes
from .words import binary, number

_MULTIPLY_UP_TO = 16
"""As in the meaning of the primitive: beyond, a float's power is that of `pow`."""


def _integer_pow(site: Site, x: Word, *, y: int) -> Word:
    kind = site.out
    if y == 0:
        return number(site, 1, kind)
    if abs(y) > _MULTIPLY_UP_TO and kind.family == "f":
        raise Unsupported(f"integer_pow of floats with y={y}")
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


OPERATIONS: Operations = {functions.integer_pow: Operation(_integer_pow, 4)}
