"""Sums of floats: a * b + c in one instruction and one rounding, if an operand is a product."""

from __future__ import annotations

from ..kinds import Kind
from ..site import Site
from .words import floats


def product(site: Site, kind: Kind, x: str, y: str) -> str:
    """x * y, noted as a product."""
    result = floats(site, kind, "fmul", x, y)
    if not kind.narrow:
        site.code.products[result] = (x, y)
        _timed(site, result, x, y)
    return result


def total(site: Site, kind: Kind, x: str, y: str) -> str:
    """x + y"""
    return _once_rounded(site, kind, x, y, minus=False) or _timed(
        site, floats(site, kind, "fadd", x, y), x, y
    )


def difference(site: Site, kind: Kind, x: str, y: str) -> str:
    """x - y"""
    return _once_rounded(site, kind, x, y, minus=True) or _timed(
        site, floats(site, kind, "fsub", x, y), x, y
    )


def _timed(site: Site, result: str, *operands: str) -> str:
    """Note how many operations the result waits for."""
    ready = site.code.ready
    ready[result] = 1 + max(ready.get(x, 0) for x in operands)
    return result


def _once_rounded(site: Site, kind: Kind, x: str, y: str, minus: bool) -> str | None:
    """The sum, or the difference, if x or y is a product; else None.

    Of two products the one that is ready later is taken, since the sum waits for it; LLVM's own
    contraction takes any. x * x - x * x is 0 all the same.
    """
    products, ready = site.code.products, site.code.ready
    if kind.narrow or x == y or (x not in products and y not in products):
        return None
    second = x not in products or (y in products and ready[y] > ready[x])
    a, b = factors = products[y if second else x]
    rest = x if second else y
    typed = kind.typed(site.width)
    if minus and second:
        a = site.code.op(f"fneg {typed} {a}")
    elif minus:
        rest = site.code.op(f"fneg {typed} {rest}")
    return _timed(site, site.floats.fma(a, b, rest), *factors, x if second else y)
