"""sinh, cosh, and the inverse hyperbolic functions.

Where a sum of two terms is the argument of a logarithm or the result, it is carried in two words.
"""

from __future__ import annotations

from ..lanes import FloatLanes
from .double import Pair, fast_two_sum, two_sum
from .exponential import exp_words
from .formats import (
    absolute,
    at_most,
    infinity,
    not_a_number,
    power_of_two,
    signed_as,
)
from .logarithm import log1p_words

# (sinh(x) / x - 1) / x**2 in x**2, for |x| <= 1; minimax
_SINH = {
    32: (2.8186923e-06, 0.00019835854, 0.008333351, 0.16666667),
    64: (
        7.761582347963053e-13,
        1.605716676526729e-10,
        2.505212432545406e-08,
        2.7557319149632527e-06,
        0.00019841269841455283,
        0.008333333333333115,
        0.16666666666666669,
    ),
}
_GREATEST = {32: 89.5, 64: 710.5}
"""sinh and cosh are infinite from here on, and e**x / 4 is not."""
_LARGE = 2.0**30
"""x**2 + 1 is x**2 from here on, in both formats."""


def _quarter_exp(v: FloatLanes, size: str) -> tuple[Pair, str]:
    """e**size / 4 in two words, and e**-size / 4."""
    n, r, tail = exp_words(v, at_most(v, size, _GREATEST[v.bits]))
    scale = power_of_two(v, v.integer("sub", n, v.int_const(2)))
    high = v.fma(scale, r, scale)
    low = v.fma(scale, tail, v.fma(scale, r, v.sub(scale, high)))
    grown = fast_two_sum(v, high, low)
    return grown, v.div(v.const(0.0625), grown[0])


def _double_of(v: FloatLanes, x: str) -> str:
    """2 x, twice: overflow comes last."""
    return v.add(x, x)


def sinh(v: FloatLanes, x: str) -> str:
    """(e**x - e**-x) / 2 from 1 on, below that a polynomial."""
    size = absolute(v, x)
    (high, low), shrunk = _quarter_exp(v, size)
    difference = v.sub(high, shrunk)
    rest = v.add(v.sub(v.sub(high, difference), shrunk), low)
    large = _double_of(v, v.add(difference, rest))
    square = v.mul(x, x)
    tail = v.mul(square, v.polynomial(square, _SINH[v.bits]))
    small = v.fma(tail, size, size)
    return signed_as(v, v.select(v.compare("olt", size, v.const(1.0)), small, large), x)


def cosh(v: FloatLanes, x: str) -> str:
    """(e**x + e**-x) / 2"""
    (high, low), shrunk = _quarter_exp(v, absolute(v, x))
    total, rest = fast_two_sum(v, high, shrunk)
    return _double_of(v, v.add(total, v.add(rest, low)))


def asinh(v: FloatLanes, x: str) -> str:
    """log1p(x + x**2 / (1 + sqrt(1 + x**2))); log(2 x) of large x."""
    size = absolute(v, x)
    large = v.compare("ogt", size, v.const(_LARGE))
    square = v.mul(size, at_most(v, size, _LARGE))
    root = v.intrinsic("sqrt", v.add(square, v.const(1.0)))
    more = v.div(square, v.add(root, v.const(1.0)))
    more = v.select(large, v.const(-1.0), more)
    result = log1p_words(v, *fast_two_sum(v, size, more), doubled=large)
    finite = v.compare("olt", size, infinity(v))
    return signed_as(v, v.select(finite, result, size), x)


def acosh(v: FloatLanes, x: str) -> str:
    """log1p(t + sqrt(t**2 + 2 t)) with t = x - 1; log(2 x) of large x."""
    zero, large = v.const(0.0), v.compare("ogt", x, v.const(_LARGE))
    t = v.sub(x, v.const(1.0))
    bounded = at_most(v, t, _LARGE)
    double = v.add(bounded, bounded)
    square = v.fma(bounded, bounded, double)
    square_low = v.fma(bounded, bounded, v.sub(double, square))
    root = v.intrinsic("sqrt", square)
    # What the root lacks; at x = 1 it lacks nothing.
    rest = v.add(v.fma(v.neg(root), root, square), square_low)
    rest = v.div(rest, v.add(root, root))
    rest = v.select(v.either(large, v.compare("oeq", root, zero)), zero, rest)
    high, low = two_sum(v, t, v.select(large, zero, root))
    result = log1p_words(v, high, v.add(low, rest), doubled=large)
    result = v.select(v.compare("olt", x, infinity(v)), result, x)
    return v.select(v.compare("olt", x, v.const(1.0)), not_a_number(v), result)


def atanh(v: FloatLanes, x: str) -> str:
    """log1p(2 x / (1 - x)) / 2, the quotient in two words."""
    size = absolute(v, x)
    base, base_low = fast_two_sum(v, v.const(1.0), v.neg(size))
    inverse = v.div(v.const(1.0), base)
    top = v.add(size, size)
    quotient = v.mul(top, inverse)
    rest = v.fma(v.neg(quotient), base_low, v.fma(v.neg(quotient), base, top))
    result = log1p_words(v, quotient, v.mul(rest, inverse))
    result = v.mul(result, v.const(0.5))
    result = v.select(v.compare("oeq", size, v.const(1.0)), infinity(v), result)
    result = v.select(v.compare("ogt", size, v.const(1.0)), not_a_number(v), result)
    return signed_as(v, result, x)
