"""Comparisons, the larger and the smaller, choices, and logic of bools and bits."""

from __future__ import annotations

from collections.abc import Callable

from ....ops import comparison, elementwise
from ..kinds import Kind, Word
from ..site import Operation, Operations, Site
from .words import (
    binary,
    both,
    cast,
    chosen,
    compared,
    either,
    integer_kind,
    intrinsic,
    inverted,
    number,
    unordered,
)


def _comparison(how: str) -> Operation:
    def emit(site: Site, x: Word, y: Word) -> Word:
        kind = site.inputs[0]
        if kind.family != "c":
            return compared(site, kind, how, x, y)
        parts = [compared(site, kind, how, a, b) for a, b in zip(x, y, strict=True)]
        return both(site, *parts) if how == "eq" else either(site, *parts)

    return Operation(emit)


def _total(how: str) -> Operation:
    def emit(site: Site, x: Word, y: Word) -> Word:
        kind = site.inputs[0]
        if kind.family == "c":
            parts = [_ranked(site, kind, how, a, b) for a, b in zip(x, y, strict=True)]
            return both(site, *parts)
        if kind.family == "f":
            return _ranked(site, kind, how, x, y)
        return compared(site, kind, how, x, y)

    return Operation(emit, 3)


def _ranked(site: Site, kind: Kind, how: str, x: str, y: str) -> str:
    ranks = [_rank(site, kind, word) for word in (x, y)]
    return compared(site, integer_kind(kind), how, *ranks)


def _rank(site: Site, kind: Kind, x: str) -> str:
    """An integer that is ordered as floats are in total order."""
    # Bits of positive floats are in order; those of negative ones after all but the sign are
    # flipped. A shift by all bits but one makes the mask of that.
    ints = integer_kind(kind)
    bits = cast(site, "bitcast", x, kind, ints)
    sign = binary(site, ints, "ashr", bits, number(site, ints.bits - 1, ints))
    flip = binary(site, ints, "lshr", sign, number(site, 1, ints))
    return binary(site, ints, "xor", bits, flip)


def _is_finite(site: Site, x: Word) -> Word:
    kind = site.inputs[0]
    size = intrinsic(site, kind, "fabs", x)
    return compared(site, kind, "lt", size, number(site, float("inf"), kind))


# ---- the larger and the smaller


def extremum(site: Site, kind: Kind, how: str, x: Word, y: Word) -> Word:
    """The operand that is gt or lt the other; NaN if one is NaN.

    Of zeros of both signs it is NumPy's: the second operand, for float16 the first.
    """
    if kind.family == "c":
        return _complex_extremum(site, kind, how, x, y)
    if kind.family == "b":
        return either(site, x, y) if how == "gt" else both(site, x, y)
    if kind.family in "iu":
        name = ("s" if kind.family == "i" else "u") + ("max" if how == "gt" else "min")
        return intrinsic(site, kind, name, x, y)
    if kind.dtype.char == "e":
        x, y = y, x
    inner = chosen(site, kind, compared(site, kind, how, x, y), x, y)
    return chosen(site, kind, unordered(site, kind, x), x, inner)


def _complex_extremum(site: Site, kind: Kind, how: str, x: Word, y: Word) -> Word:
    (a, b), (c, d) = x, y
    nan_b, nan_d = unordered(site, kind, b), unordered(site, kind, d)
    no_nan = inverted(site, either(site, nan_b, nan_d))
    ahead = both(site, compared(site, kind, how, a, c), no_nan)
    level = both(
        site,
        compared(site, kind, "eq", a, c),
        compared(site, kind, "ge" if how == "gt" else "le", b, d),
    )
    nan = either(site, unordered(site, kind, a), nan_b)
    first = either(site, nan, either(site, ahead, level))
    return chosen(site, kind, first, x, y)


def _extremum(how: str) -> Operation:
    def emit(site: Site, x: Word, y: Word) -> Word:
        return extremum(site, site.out, how, x, y)

    return Operation(emit, 2)


def _clamp(site: Site, low: Word, x: Word, high: Word) -> Word:
    kind = site.out
    return extremum(site, kind, "lt", extremum(site, kind, "gt", low, x), high)


# ---- choice


def _select_n(site: Site, which: Word, *cases: Word) -> Word:
    kind, out = site.inputs[0], site.out
    if len(cases) == 1:
        return cases[0]
    if len(cases) == 2:
        mask = which
        if kind.family != "b":
            mask = compared(site, kind, "ne", which, number(site, 0, kind))
        return chosen(site, out, mask, cases[1], cases[0])
    found = cases[0]
    for k, case in enumerate(cases[1:], 1):
        reached = compared(site, kind, "ge", which, number(site, k, kind))
        found = chosen(site, out, reached, case, found)
    return found


# ---- bits


def _logic(how: str) -> Callable[..., Word]:
    def emit(site: Site, x: Word, y: Word) -> Word:
        return binary(site, site.out, how, x, y)

    return emit


def _not(site: Site, x: Word) -> Word:
    ones = True if site.out.family == "b" else -1
    return binary(site, site.out, "xor", x, number(site, ones, site.out))


OPERATIONS: Operations = {
    comparison.eq: _comparison("eq"),
    comparison.ne: _comparison("ne"),
    comparison.lt: _comparison("lt"),
    comparison.le: _comparison("le"),
    comparison.gt: _comparison("gt"),
    comparison.ge: _comparison("ge"),
    comparison.eq_to: _total("eq"),
    comparison.lt_to: _total("lt"),
    comparison.le_to: _total("le"),
    comparison.is_finite: Operation(_is_finite),
    comparison.max_: _extremum("gt"),
    comparison.min_: _extremum("lt"),
    comparison.clamp: Operation(_clamp, 4),
    elementwise.select_n: Operation(_select_n),
    comparison.and_: Operation(_logic("and")),
    comparison.or_: Operation(_logic("or")),
    comparison.xor: Operation(_logic("xor")),
    comparison.not_: Operation(_not),
}
