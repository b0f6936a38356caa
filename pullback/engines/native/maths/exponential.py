"""exp and what is made of it.

e**x = 2**n (1 + p) with n = round(x / ln 2) and p = e**r - 1 for the rest |r| <= 0.35, where r is
found with ln 2 in two words. Polynomials: own minimax fits (exchange algorithm in 50 digits).
"""

from __future__ import annotations

from dataclasses import dataclass

from ..lanes import FloatLanes
from .double import fast_two_sum, two_sum
from .formats import (
    absolute,
    at_least,
    at_most,
    format_of,
    multiple,
    power_of_two,
    scaled,
    signed_as,
)

LOG2_E = 1.4426950408889634
LN2 = {
    32: (0.693147182464599609375, -1.904654299957767e-09),
    64: (0.6931471805599453, 2.319046813846299558e-17),
}
"""ln 2 as the sum of two numbers of the format."""


@dataclass(frozen=True)
class _Numbers:
    """Constants of one format."""

    least: float
    """e**x is 0 below this."""
    greatest: float
    """e**x is infinite from this on."""
    least_normal: float
    """e**x is a normal number above this."""
    exp: tuple[float, ...]
    """(e**r - 1 - r) / r**2 for |r| <= 0.35"""
    exp2: tuple[float, ...]
    """(2**r - 1 - r ln 2) / r**2 for |r| <= 0.5"""
    tanh: tuple[float, ...]
    """(tanh(x) / x - 1) / x**2 in x**2, for |x| <= 0.625"""
    tanh_one: float
    """tanh(x) is 1 from this on."""
    many: int
    """2**n with n above this is halved `halvings` times in the logistic function."""
    halvings: int
    minus_one: float
    """e**x - 1 is -1 below this."""


_NUMBERS = {
    32: _Numbers(
        least=-104.5,
        greatest=89.0,
        least_normal=-87.0,
        exp=(0.0013811629, 0.008370136, 0.04166853, 0.16666509, 0.49999994),
        exp2=(0.00015321097, 0.0013390164, 0.009618526, 0.05550362, 0.24022648),
        tanh=(-0.0057169977, 0.02065054, -0.05374348, 0.13331491, -0.33333284),
        tanh_one=10.0,
        many=100,
        halvings=64,
        minus_one=-18.0,
    ),
    64: _Numbers(
        least=-746.0,
        greatest=710.0,
        least_normal=-708.0,
        exp=(
            2.4997876211305405e-08,
            2.763315478684274e-07,
            2.7557608527506506e-06,
            2.4801485456748485e-05,
            0.00019841269464388405,
            0.0013888888950407009,
            0.008333333333521995,
            0.041666666666507264,
            0.16666666666666358,
            0.5000000000000013,
        ),
        exp2=(
            4.436294910385443e-10,
            7.073578438382302e-09,
            1.0178184704006457e-07,
            1.3215436614266476e-06,
            1.5252733546769646e-05,
            0.00015403530454056227,
            0.0013333558146686197,
            0.009618129107596992,
            0.05550410866482074,
            0.24022650695910122,
        ),
        tanh=(
            -1.610747293568774e-05,
            7.721903149460612e-05,
            -0.00022863311243263601,
            0.0005863524206556804,
            -0.0014549704565390948,
            0.0035919915668065736,
            -0.008863221318751847,
            0.02186948760192122,
            -0.05396825393247999,
            0.1333333333326491,
            -0.33333333333332876,
        ),
        tanh_one=22.0,
        many=1000,
        halvings=256,
        minus_one=-38.0,
    ),
}


def exp_parts(v: FloatLanes, x: str) -> tuple[str, str]:
    """The integer n and p = e**r - 1 with e**x = 2**n (1 + p); x is neither huge nor infinite."""
    high, low = LN2[v.bits]
    whole, n = multiple(v, x, LOG2_E)
    r = v.fma(whole, v.const(-high), x)
    r = v.fma(whole, v.const(-low), r)
    return n, v.fma(v.mul(r, r), v.polynomial(r, _NUMBERS[v.bits].exp), r)


def exp_words(v: FloatLanes, x: str, extra: str | None = None) -> tuple[str, str, str]:
    """As `exp_parts`, of x + extra, and p as r + tail; extra is below 2**-20."""
    high, low = LN2[v.bits]
    whole, n = multiple(v, x, LOG2_E)
    exact = v.fma(whole, v.const(-high), x)
    r = v.fma(whole, v.const(-low), exact)
    lost = v.fma(whole, v.const(-low), v.sub(exact, r))
    if extra is not None:
        r, lost = fast_two_sum(v, r, v.add(lost, extra))
    return n, r, v.fma(v.mul(r, r), v.polynomial(r, _NUMBERS[v.bits].exp), lost)


def exp(v: FloatLanes, x: str) -> str:
    """e**x"""
    numbers = _NUMBERS[v.bits]
    x = at_least(v, at_most(v, x, numbers.greatest), numbers.least)
    n, r, tail = exp_words(v, x)
    high, low = fast_two_sum(v, v.const(1.0), r)
    return scaled(v, v.add(high, v.add(low, tail)), n)


def exp2(v: FloatLanes, x: str) -> str:
    """2**x"""
    numbers, form = _NUMBERS[v.bits], format_of(v)
    x = at_least(v, at_most(v, x, form.bias + 1.0), -form.bias - form.mantissa - 1.0)
    whole, n = multiple(v, x, 1.0)
    r = v.sub(x, whole)
    tail = v.mul(v.mul(r, r), v.polynomial(r, numbers.exp2))
    p = v.fma(r, v.const(LN2[v.bits][0]), tail)
    return scaled(v, v.add(p, v.const(1.0)), n)


def expm1(v: FloatLanes, x: str) -> str:
    """e**x - 1 = 2 (2**(n-1) p + (2**(n-1) - 1/2))"""
    numbers = _NUMBERS[v.bits]
    inner = at_least(v, at_most(v, x, numbers.greatest), numbers.minus_one)
    n, r, tail = exp_words(v, inner)
    scale = power_of_two(v, v.integer("sub", n, v.int_const(1)))
    base = v.sub(scale, v.const(0.5))
    high = v.fma(scale, r, base)
    low = v.fma(scale, tail, v.fma(scale, r, v.sub(base, high)))
    half = v.add(high, low)
    result = v.add(half, half)
    small = v.int_compare("eq", n, v.int_const(0))  # half of a subnormal number is not exact
    return signed_as(v, v.select(small, v.add(r, tail), result), x)


def logistic(v: FloatLanes, x: str) -> str:
    """1 / (1 + e**-x), with the denominator (1 + 2**n) + 2**n p as a sum of two words.

    Where e**-x nears overflow, the fraction is taken with 2**-k on both sides.
    """
    numbers = _NUMBERS[v.bits]
    inner = at_least(v, at_most(v, v.neg(x), -numbers.least), numbers.least_normal)
    n, p = exp_parts(v, inner)
    large = v.int_compare("sgt", n, v.int_const(numbers.many))
    one = v.select(large, v.const(2.0**-numbers.halvings), v.const(1.0))
    less = v.int_select(large, v.int_const(numbers.halvings), v.int_const(0))
    scale = power_of_two(v, v.integer("sub", n, less))
    base, lost = two_sum(v, scale, one)
    high = v.fma(scale, p, base)
    low = v.add(v.fma(scale, p, v.sub(base, high)), lost)
    fraction = v.div(v.const(1.0), high)
    rest = v.fma(v.neg(fraction), low, v.fma(v.neg(fraction), high, v.const(1.0)))
    return v.mul(v.fma(fraction, rest, fraction), one)


def tanh(v: FloatLanes, x: str) -> str:
    """x + x**3 P(x**2) below 0.625, else 1 - 2 / (e**2x + 1)."""
    numbers = _NUMBERS[v.bits]
    size = absolute(v, x)
    bounded = at_most(v, size, numbers.tanh_one)
    n, p = exp_parts(v, v.add(bounded, bounded))
    scale = power_of_two(v, n)
    fraction = v.div(v.const(2.0), v.fma(scale, p, v.add(scale, v.const(1.0))))
    large = v.sub(v.const(1.0), fraction)
    square = v.mul(x, x)
    tail = v.mul(square, v.polynomial(square, numbers.tanh))
    small = v.fma(tail, size, size)
    return signed_as(v, v.select(v.compare("olt", size, v.const(0.625)), small, large), x)
