"""sin, cos and tan.

x = n pi/2 + r, with pi/2 in three words of the format (Cody and Waite; the first product is exact
through fma), gives r as a sum of two words. Lanes that are too large for this go through
`reduction`.
Polynomials: own minimax fits (exchange algorithm in 50 digits).
"""

from __future__ import annotations

from dataclasses import dataclass

from ..lanes import FloatLanes
from .double import fast_two_sum, two_product, two_sum
from .formats import absolute, infinity, multiple
from .reduction import where_large


@dataclass(frozen=True)
class _Numbers:
    """Constants of one format."""

    limit: float
    """The largest size that the reduction is right for."""
    quarter: tuple[float, float, float]
    """pi/2 as the sum of three numbers of the format."""
    sin: tuple[float, ...]
    """(sin(r) / r - 1) / r**2 in r**2, for |r| <= pi/4"""
    cos: tuple[float, ...]
    """(cos(r) - 1 + r**2 / 2) / r**4 in r**2, for |r| <= pi/4"""


_NUMBERS = {
    32: _Numbers(
        limit=65536.0,
        quarter=(1.5707963705062866, -4.371138828673793e-08, -1.7151245100058819e-15),
        sin=(2.7175652e-06, -0.00019839256, 0.008333329, -0.16666667),
        cos=(2.4431192e-05, -0.0013887306, 0.041666646),
    ),
    64: _Numbers(
        limit=2.0**30,
        quarter=(1.5707963267948966, 6.123233995736766e-17, -1.4973849048591698e-33),
        sin=(
            1.5893583748571913e-10,
            -2.5050704037914173e-08,
            2.7557313356021405e-06,
            -0.00019841269828870266,
            0.008333333333321286,
            -0.16666666666666627,
        ),
        cos=(
            -1.1357447346323777e-11,
            2.0875681854228727e-09,
            -2.7557314056393133e-07,
            2.4801587288491478e-05,
            -0.0013888888888872598,
            0.04166666666666659,
        ),
    ),
}
_TWO_OVER_PI = 0.6366197723675814


def _reduced(v: FloatLanes, x: str) -> tuple[str, str, str]:
    """r, what is lost of it, and the integer n, with x = n pi/2 + r and |r| <= pi/4."""
    first, second, third = (v.const(-part) for part in _NUMBERS[v.bits].quarter)
    whole, n = multiple(v, x, _TWO_OVER_PI)
    exact = v.fma(whole, first, x)
    high, low = two_product(v, whole, second)
    r, lost = two_sum(v, exact, high)  # near multiples of pi/2 either may be the larger
    quick = r, v.fma(whole, third, v.add(lost, low)), n
    return where_large(v, _large(v, x), x, quick)


def _sin_tail(v: FloatLanes, r: str, lost: str, square: str) -> str:
    """sin(r + lost) - r"""
    return v.fma(v.mul(r, square), v.polynomial(square, _NUMBERS[v.bits].sin), lost)


def _cos_words(v: FloatLanes, r: str, lost: str, square: str) -> tuple[str, str]:
    """cos(r + lost) as a sum of two words."""
    half = v.mul(square, v.const(0.5))
    high = v.sub(v.const(1.0), half)
    low = v.sub(v.sub(v.const(1.0), high), half)
    low = v.fma(v.neg(r), lost, low)
    quartic = v.mul(square, square)
    return high, v.fma(quartic, v.polynomial(square, _NUMBERS[v.bits].cos), low)


def _negated_if(v: FloatLanes, n: str, x: str) -> str:
    """-x where bit 1 of n is set."""
    sign = v.integer("shl", v.integer("and", n, v.int_const(2)), v.int_const(v.bits - 2))
    return v.from_bits(v.integer("xor", v.bits_of(x), sign))


def _odd(v: FloatLanes, n: str) -> str:
    """The mask of odd n."""
    return v.int_compare("ne", v.integer("and", n, v.int_const(1)), v.int_const(0))


def _zero_kept(v: FloatLanes, x: str, result: str) -> str:
    """-0.0 of -0.0"""
    return v.select(v.compare("oeq", x, v.const(0.0)), x, result)


def _large(v: FloatLanes, x: str) -> str:
    size = absolute(v, x)
    above = v.compare("ogt", size, v.const(_NUMBERS[v.bits].limit))
    return v.both(above, v.compare("olt", size, infinity(v)))


def quarter_wave(v: FloatLanes, r: str) -> tuple[str, str]:
    """sin(r) and cos(r) for |r| <= pi/4."""
    zero, square = v.const(0.0), v.mul(r, r)
    return v.add(r, _sin_tail(v, r, zero, square)), v.add(*_cos_words(v, r, zero, square))


def _wave(v: FloatLanes, x: str, shift: int) -> str:
    """sin of x + shift pi/2"""
    r, lost, n = _reduced(v, x)
    if shift:
        n = v.integer("add", n, v.int_const(shift))
    square = v.mul(r, r)
    sine = v.add(r, _sin_tail(v, r, lost, square))
    cosine = v.add(*_cos_words(v, r, lost, square))
    result = _negated_if(v, n, v.select(_odd(v, n), cosine, sine))
    return result if shift else _zero_kept(v, x, result)


def sin(v: FloatLanes, x: str) -> str:
    """sin(x), x in radians"""
    return _wave(v, x, 0)


def cos(v: FloatLanes, x: str) -> str:
    """cos(x), x in radians"""
    return _wave(v, x, 1)


def tan(v: FloatLanes, x: str) -> str:
    """sin(r) / cos(r) or -cos(r) / sin(r), both in two words, the quotient mended once."""
    r, lost, n = _reduced(v, x)
    square = v.mul(r, r)
    sine, sine_low = fast_two_sum(v, r, _sin_tail(v, r, lost, square))
    high, low = fast_two_sum(v, *_cos_words(v, r, lost, square))
    swapped = _odd(v, n)
    top, top_low = v.select(swapped, v.neg(high), sine), v.select(swapped, v.neg(low), sine_low)
    base, base_low = v.select(swapped, sine, high), v.select(swapped, sine_low, low)
    inverse = v.div(v.const(1.0), base)
    quotient = v.mul(top, inverse)
    rest = v.fma(v.neg(quotient), base, top)
    rest = v.fma(v.neg(quotient), base_low, v.add(rest, top_low))
    return _zero_kept(v, x, v.fma(rest, inverse, quotient))
