"""Quotients and remainders of integers, and remainders of floats."""

from __future__ import annotations

from collections.abc import Callable

from ..kinds import FLOAT32, FLOAT64, INT32, Kind, Word, kind_of
from ..lanes import FloatLanes
from ..site import Site
from .outlined import outlined
from .words import binary, both, cast, chosen, compared, either, number

_UINT32 = kind_of("uint32")


def safe_divisor(site: Site, kind: Kind, x: str, y: str) -> tuple[str, str]:
    """Where y is 0, and y with 1 in its place, and in that of -1 where x / -1 does not fit.

    The processor's own division ends the process in both cases. x / 1 = x is what wraps around.
    """
    zero = compared(site, kind, "eq", y, number(site, 0, kind))
    unsafe = zero
    if kind.family == "i":
        lowest = compared(site, kind, "eq", x, number(site, -(1 << (kind.bits - 1)), kind))
        minus = compared(site, kind, "eq", y, number(site, -1, kind))
        unsafe = either(site, zero, both(site, lowest, minus))
    return zero, str(chosen(site, kind, unsafe, number(site, 1, kind), y))


def quotient(site: Site, kind: Kind, x: str, y: str) -> str:
    """x / y towards zero, for a safe divisor.

    Processors divide integers one by one, floats in vectors. With n bits more than the integers
    have, the quotient of floats never rounds up to the next integer: its distance is at least
    1 / |y|, and |x / y| 2^-n less. Constants, which LLVM multiplies by, stay integers.
    """
    signed = kind.family == "i"
    if not site.width or kind.bits == 64 or not y.startswith("%"):
        return binary(site, kind, "sdiv" if signed else "udiv", x, y)
    floats = FLOAT64 if kind.bits == 32 else FLOAT32
    wide = [cast(site, "sitofp" if signed else "uitofp", word, kind, floats) for word in (x, y)]
    ratio = binary(site, floats, "fdiv", *wide)
    if signed or kind.bits < 32:
        whole = cast(site, "fptosi", ratio, floats, INT32)
    else:
        whole = cast(site, "fptoui", ratio, floats, _UINT32)
    return whole if kind.bits == 32 else cast(site, "trunc", whole, INT32, kind)


def remainder(site: Site, kind: Kind, x: str, y: str) -> str:
    """x - y (x / y), for a safe divisor."""
    signed = kind.family == "i"
    if not site.width or kind.bits == 64 or not y.startswith("%"):
        return binary(site, kind, "srem" if signed else "urem", x, y)
    product = binary(site, kind, "mul", quotient(site, kind, x, y), y)
    return binary(site, kind, "sub", x, product)


def float_remainder(site: Site, x: str, y: str) -> Word:
    """x - y trunc(x / y), exactly, with the sign of x."""
    return outlined(site, "remainder", _float_remainder, x, y)


def _float_remainder(site: Site, x: str, y: str) -> str:
    """In one step where the quotient has few bits, else by C's fmod, which takes many.

    There x - q y is a float: it is less than y, and a multiple of the last place of y. q may be
    one too large, as x / y is rounded; then y is added again, which is exact too.
    """
    v, code = site.floats, site.code
    size, limit = v.intrinsic("fabs", y), v.const(2.0**22 if site.out.bits == 32 else 2.0**51)
    a = v.intrinsic("fabs", x)
    ratio = v.div(a, size)
    # Not of infinite y, of which 0 times it would be NaN.
    few = v.both(v.compare("olt", ratio, limit), v.compare("olt", size, v.const(float("inf"))))
    rest = v.fma(v.neg(v.intrinsic("trunc", ratio)), size, a)
    rest = v.select(v.compare("olt", rest, v.const(0.0)), v.add(rest, size), rest)
    near = v.intrinsic("copysign", rest, x)
    return _else_by_c(v, few, near, lambda: code.op(f"frem {v.kind} {x}, {y}"))


def _else_by_c(v: FloatLanes, known: str, value: str, other: Callable[[], str]) -> str:
    """`value` where it is known; `other` is computed if it is not known in some lane."""
    code = v.code
    stem = code.name("")
    slow, done = f"slow{stem}", f"settled{stem}"
    some = v.any(v.opposite(known))
    before = code.section.block
    code.branch(some, slow, done)
    code.start(slow)
    mixed = v.select(known, value, other())
    last = code.section.block
    code.jump(done)
    code.start(done)
    return code.op(f"phi {v.kind} [ {value}, %{before} ], [ {mixed}, %{last} ]")
