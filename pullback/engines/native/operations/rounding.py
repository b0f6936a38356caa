"""Rounding of floats."""

from __future__ import annotations

from typing import Any

from ....ops import rounding
from ....ops.rounding import RoundingMethod
from ..kinds import Word
from ..site import Operation, Operations, Site
from .words import binary, chosen, compared, intrinsic, number


def _floor(site: Site, x: Word) -> Word:
    return intrinsic(site, site.out, "floor", x)


def _ceil(site: Site, x: Word) -> Word:
    return intrinsic(site, site.out, "ceil", x)


def _round(site: Site, x: Word, *, rounding_method: Any) -> Word:
    kind = site.out
    if rounding_method == RoundingMethod.TO_NEAREST_EVEN:
        return intrinsic(site, kind, "rint", x)
    whole = intrinsic(site, kind, "trunc", x)
    rest = intrinsic(site, kind, "fabs", binary(site, kind, "fsub", x, whole))
    away = compared(site, kind, "ge", rest, number(site, 0.5, kind))
    one = intrinsic(site, kind, "copysign", number(site, 1.0, kind), x)
    return chosen(site, kind, away, binary(site, kind, "fadd", whole, one), whole)


OPERATIONS: Operations = {
    rounding.floor: Operation(_floor),
    rounding.ceil: Operation(_ceil),
    rounding.round_: Operation(_round, 3),
}
