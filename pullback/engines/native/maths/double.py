"""Numbers as unevaluated sums of two floats, high + low (Dekker; products through fma)."""

from __future__ import annotations

from ..lanes import FloatLanes

Pair = tuple[str, str]


def fast_two_sum(v: FloatLanes, a: str, b: str) -> Pair:
    """a + b exactly, if |a| >= |b| or a is 0."""
    high = v.add(a, b)
    return high, v.sub(b, v.sub(high, a))


def two_sum(v: FloatLanes, a: str, b: str) -> Pair:
    """a + b exactly (Knuth)."""
    high = v.add(a, b)
    part = v.sub(high, a)
    return high, v.add(v.sub(a, v.sub(high, part)), v.sub(b, part))


def two_product(v: FloatLanes, a: str, b: str) -> Pair:
    """a * b exactly, but for underflow."""
    high = v.mul(a, b)
    return high, v.fma(a, b, v.neg(high))


def product(v: FloatLanes, a: Pair, b: Pair) -> Pair:
    """a * b, to about twice the digits; low may be a few units in the last place of high."""
    high, low = two_product(v, a[0], b[0])
    return high, v.fma(a[0], b[1], v.fma(a[1], b[0], low))
