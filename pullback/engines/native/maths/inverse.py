"""asin, acos, atan and atan2.

Each is base - (t + t z P(z)) with base one of 0, pi/2 and pi, where base - t is carried in two
words, so that only the last sum rounds. Polynomials: own minimax fits.
"""

from __future__ import annotations

from ..lanes import FloatLanes
from .double import fast_two_sum
from .formats import absolute, signed_as, whole_polynomial

# (asin(x) / x - 1) / x**2 in x**2, for |x| <= 1/2
_ASIN = {
    32: (0.042231254, 0.024140535, 0.045478445, 0.07495232, 0.16666754),
    64: (
        0.03198167477528987,
        -0.016326647575366497,
        0.01959429577156236,
        0.0065035432451274145,
        0.012174935570828865,
        0.01388435164280453,
        0.017359795516757492,
        0.02237175194547152,
        0.030381959395225054,
        0.044642856821979666,
        0.075000000003448,
        0.16666666666665375,
    ),
}
# (atan(x) / x - 1) / x**2 in x**2, for |x| <= 1
_ATAN = {
    32: (
        -0.0017931107,
        0.010912437,
        -0.031174023,
        0.057953972,
        -0.08403251,
        0.10952122,
        -0.1426423,
        0.19998547,
        -0.333333,
    ),
    64: (
        1.3217242000043987e-05,
        -0.0001520846178589722,
        0.0008309788823782597,
        -0.002883972726457927,
        0.0071947148604911675,
        -0.013898102509903747,
        0.02198231547432783,
        -0.029901849963019717,
        0.036640679512893334,
        -0.04219120228915861,
        0.04722300461006741,
        -0.05253512334033761,
        0.058805264598025805,
        -0.06666403836872518,
        0.07692279813144288,
        -0.0909090700082696,
        0.11111111006908221,
        -0.14285714282571255,
        0.19999999999951396,
        -0.33333333333333065,
    ),
}
_HALF_PI = {
    32: (1.5707963705062866, -4.371138828673793e-08),
    64: (1.5707963267948966, 6.123233995736766e-17),
}


class _Base:
    """0, pi/2 or pi by the lane, in two words."""

    def __init__(self, v: FloatLanes, high: str, low: str) -> None:
        self.v, self.high, self.low = v, high, low

    @classmethod
    def quarters(cls, v: FloatLanes, number: int) -> _Base:
        """number * pi/2"""
        high, low = _HALF_PI[v.bits]
        return cls(v, v.const(number * high), v.const(number * low))

    def unless(self, mask: str, other: _Base) -> _Base:
        """This one, but `other` where the mask holds."""
        v = self.v
        return _Base(v, v.select(mask, other.high, self.high), v.select(mask, other.low, self.low))

    def minus(self, t: str, part: str) -> str:
        """base - (t + t * part)"""
        v = self.v
        high, low = fast_two_sum(v, self.high, v.neg(t))
        return v.add(high, v.fma(v.neg(t), part, v.add(low, self.low)))


def _arc_parts(v: FloatLanes, x: str) -> tuple[str, str, str]:
    """The mask of |x| > 1/2; s and p with asin(s) = s + s p, s = |x| or sqrt((1 - |x|) / 2)."""
    size = absolute(v, x)
    large = v.compare("ogt", size, v.const(0.5))
    square = v.select(large, v.mul(v.sub(v.const(1.0), size), v.const(0.5)), v.mul(x, x))
    s = v.select(large, v.intrinsic("sqrt", square), size)
    return large, s, v.mul(square, v.polynomial(square, _ASIN[v.bits]))


def asin(v: FloatLanes, x: str) -> str:
    """asin(x) of |x| <= 1/2; else pi/2 - 2 asin(sqrt((1 - |x|) / 2))."""
    large, s, part = _arc_parts(v, x)
    t = v.select(large, v.add(s, s), v.neg(s))
    base = _Base.quarters(v, 0).unless(large, _Base.quarters(v, 1))
    return signed_as(v, base.minus(t, part), x)


def acos(v: FloatLanes, x: str) -> str:
    """pi/2 - asin(x) of |x| <= 1/2; else 2 asin(sqrt((1 - |x|) / 2)), or pi minus that."""
    large, s, part = _arc_parts(v, x)
    negative = v.compare("olt", x, v.const(0.0))
    twice = v.add(s, s)
    t = v.select(large, v.select(negative, twice, v.neg(twice)), x)
    ends = _Base.quarters(v, 0).unless(negative, _Base.quarters(v, 2))
    return _Base.quarters(v, 1).unless(large, ends).minus(t, part)


def _atan_part(v: FloatLanes, t: str) -> str:
    """p with atan(t) = t + t p"""
    square = v.mul(t, t)
    return v.mul(square, whole_polynomial(v, square, _ATAN[v.bits]))


def atan(v: FloatLanes, x: str) -> str:
    """atan(x) of |x| <= 1; else pi/2 - atan(1 / |x|)."""
    size = absolute(v, x)
    large = v.compare("ogt", size, v.const(1.0))
    t = v.select(large, v.div(v.const(1.0), size), v.neg(size))
    base = _Base.quarters(v, 0).unless(large, _Base.quarters(v, 1))
    return signed_as(v, base.minus(t, _atan_part(v, t)), x)


def atan2(v: FloatLanes, y: str, x: str) -> str:
    """The angle of (x, y), from atan of the smaller over the larger.

    Two zeros count as 0 / 1, two infinities as 1 / 1; the sign of a zero x counts.
    """
    height, length = absolute(v, y), absolute(v, x)
    steep = v.compare("ogt", height, length)
    low = v.select(steep, length, height)
    high = v.select(steep, height, length)
    none = v.compare("oeq", low, v.const(0.0))
    equal = v.select(none, v.const(0.0), v.const(1.0))
    t = v.select(v.compare("oeq", low, high), equal, v.div(low, high))
    left = v.int_compare("slt", v.bits_of(x), v.int_const(0))
    base = _Base.quarters(v, 0).unless(left, _Base.quarters(v, 2))
    base = base.unless(steep, _Base.quarters(v, 1))
    part = _atan_part(v, t)
    # pi/2 - t to the right of steep lines, pi - t to the left of flat ones; else base + t.
    down = v.code.op(f"xor {v.mask_kind} {steep}, {left}")
    result = signed_as(v, base.minus(v.select(down, t, v.neg(t)), part), y)
    return v.select(v.compare("uno", y, x), v.add(y, x), result)
