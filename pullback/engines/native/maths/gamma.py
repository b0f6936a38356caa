"""log |gamma| and its derivative digamma.

Both are computed in f64, for f32 too. From 8 on they are Stirling's series; below, the recurrence
gamma(x + 1) = x gamma(x) leads to a polynomial near 2 or 1.5; left of the origin stands the
reflection formula. Polynomials: own minimax fits; series: Abramowitz and Stegun 6.1.41, 6.3.18.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from ..lanes import FloatLanes
from .formats import absolute, infinity, not_a_number, signed_as, whole_polynomial
from .logarithm import log
from .trigonometric import quarter_wave

# log(gamma(2 + d)) / d for |d| <= 1/2
_LGAMMA = (
    2.977105346621547e-07,
    -5.806122676919726e-07,
    8.998966200290164e-07,
    -1.9748263924595634e-06,
    4.3935231272934115e-06,
    -9.456078923357037e-06,
    2.0503543451389396e-05,
    -4.492377192143335e-05,
    9.945794424982207e-05,
    -0.00022315497226214475,
    0.000509669495108569,
    -0.0011927539013294563,
    0.00289051033184181,
    -0.00738555102892519,
    0.02058080842776596,
    -0.06735230105319576,
    0.3224670334241133,
    0.42278433509846713,
)
# digamma(x) / (x - root) in x - root, for x in [1, 2]
_DIGAMMA = (
    0.00012117361169684732,
    -0.00028061552195176806,
    0.0002781882289543523,
    -0.00028191598012082466,
    0.00047274493831218797,
    -0.0007560945705943826,
    0.0010899255222912344,
    -0.0015738806863759224,
    0.0023029097742986197,
    -0.00337012232639272,
    0.004927057579701817,
    -0.007204513858186429,
    0.010538769821093554,
    -0.015424766652510151,
    0.02259764929725877,
    -0.03316112646223508,
    0.048804288133875384,
    -0.07219956125646872,
    0.10782405069170306,
    -0.16394270544240813,
    0.2584997609556485,
    -0.4427631689835921,
    0.9676722454476212,
)
_ROOT = (1.4616321449683622, 9.549995429965697e-17)
"""Where digamma is 0, in two words."""
_STIRLING = (
    -3617 / 122400,
    1 / 156,
    -691 / 360360,
    1 / 1188,
    -1 / 1680,
    1 / 1260,
    -1 / 360,
    1 / 12,
)
_DIGAMMA_SERIES = (
    43867 / 14364,
    -3617 / 8160,
    1 / 12,
    -691 / 32760,
    1 / 132,
    -1 / 240,
    1 / 252,
    -1 / 120,
    1 / 12,
)
_FAR = 8.0
"""The series are used from here on."""


def _in_f64(v: FloatLanes, function: Callable[[FloatLanes, str], str], x: str) -> str:
    if v.bits == 64:
        return function(v, x)
    wide = v.of(64)
    return wide.narrow(function(wide, v.widen(x)))


def _half_turn(v: FloatLanes, x: str) -> tuple[str, str, str]:
    """f = x - round(x), and sine and cosine of f pi/2."""
    f = v.sub(x, v.intrinsic("rint", x))
    return f, *quarter_wave(v, v.mul(f, v.const(math.pi / 2)))


def lgamma(v: FloatLanes, x: str) -> str:
    """log |gamma(x)|; inf at 0, -1, -2, ..."""
    return _in_f64(v, _lgamma, x)


def _lgamma(v: FloatLanes, x: str) -> str:
    left = v.compare("olt", x, v.const(-0.5))
    size = absolute(v, x)
    y = v.select(left, size, x)  # from -0.5 on
    product, value = _lgamma_near(v, y)
    far = v.compare("oge", y, v.const(_FAR))
    logarithm = log(v, v.select(far, y, product))
    low = v.compare("olt", y, v.const(1.5))
    near = v.add(value, v.select(low, v.neg(logarithm), logarithm))
    result = v.select(far, _lgamma_far(v, y, logarithm), near)
    # gamma(x) gamma(-x) = -pi / (x sin(pi x)), where |sin(pi x)| = 2 sin(f pi/2) cos(f pi/2).
    _, sine, cosine = _half_turn(v, size)
    area = v.mul(v.mul(size, v.const(2 / math.pi)), absolute(v, v.mul(sine, cosine)))
    reflected = v.sub(v.neg(log(v, area)), result)
    reflected = v.select(v.compare("oeq", area, v.const(0.0)), infinity(v), reflected)
    result = v.select(left, reflected, result)
    return v.select(v.compare("oeq", size, infinity(v)), infinity(v), result)


def _lgamma_near(v: FloatLanes, y: str) -> tuple[str, str]:
    """For y in [-1/2, 8): p > 0 and log gamma(z) with z in [1.5, 2.5] and y = z + whole.

    gamma(y) is gamma(z) p from 1.5 on, gamma(z) / p below.
    """
    one = v.const(1.0)
    z, product = y, one
    for _ in range(6):
        large = v.compare("ogt", z, v.const(2.5))
        less = v.sub(z, one)
        product = v.select(large, v.mul(product, less), product)
        z = v.select(large, less, z)
    d = v.sub(z, v.const(2.0))
    once, twice = v.compare("olt", y, v.const(1.5)), v.compare("olt", y, v.const(0.5))
    d = v.select(twice, y, v.select(once, v.sub(y, one), d))
    product = v.select(once, y, product)
    product = v.select(twice, absolute(v, v.fma(y, y, y)), product)
    return product, v.mul(d, whole_polynomial(v, d, _LGAMMA))


def _lgamma_far(v: FloatLanes, y: str, logarithm: str) -> str:
    """(y - 1/2) (log y - 1) + log(2 pi) / 2 - 1/2 + series"""
    inverse = v.div(v.const(1.0), y)
    series = v.polynomial(v.mul(inverse, inverse), _STIRLING)
    rest = v.fma(series, inverse, v.const(0.5 * math.log(2 * math.pi) - 0.5))
    return v.fma(v.sub(y, v.const(0.5)), v.sub(logarithm, v.const(1.0)), rest)


def digamma(v: FloatLanes, x: str) -> str:
    """The derivative of log(gamma(x)); NaN at -1, -2, ..., -inf at 0 and inf at -0.0."""
    return _in_f64(v, _digamma, x)


def _digamma(v: FloatLanes, x: str) -> str:
    zero, one = v.const(0.0), v.const(1.0)
    left = v.compare("olt", x, zero)
    y = v.select(left, v.sub(one, x), x)
    top, base, value = _digamma_near(v, y)
    far = v.compare("oge", y, v.const(_FAR))
    fraction = v.div(v.select(far, one, top), v.select(far, y, base))
    square = v.mul(fraction, fraction)
    series = v.mul(square, v.polynomial(square, _DIGAMMA_SERIES))
    distant = v.sub(log(v, y), v.fma(fraction, v.const(0.5), series))
    result = v.select(far, distant, v.add(value, fraction))
    # digamma(1 - x) - digamma(x) = pi / tan(pi x), by the half angle f pi/2.
    f, sine, cosine = _half_turn(v, x)
    difference = v.mul(v.sub(cosine, sine), v.add(cosine, sine))
    cotangent = v.div(v.mul(difference, v.const(math.pi / 2)), v.mul(sine, cosine))
    result = v.select(left, v.sub(result, cotangent), result)
    pole = v.select(left, not_a_number(v), signed_as(v, infinity(v), v.neg(x)))
    at_pole = v.both(v.compare("oeq", f, zero), v.compare("ole", x, zero))
    return v.select(at_pole, pole, result)


def _digamma_near(v: FloatLanes, y: str) -> tuple[str, str, str]:
    """a, b and digamma(z), z in [1, 2], with digamma(y) = digamma(z) + a / b, for 0 < y < 8."""
    one = v.const(1.0)
    z, top, base = y, v.const(0.0), one
    for _ in range(6):
        large = v.compare("ogt", z, v.const(2.0))
        less = v.sub(z, one)
        top = v.select(large, v.fma(top, less, base), top)
        base = v.select(large, v.mul(base, less), base)
        z = v.select(large, less, z)
    small = v.compare("olt", y, one)
    z = v.select(small, v.add(y, one), z)
    top, base = v.select(small, v.const(-1.0), top), v.select(small, y, base)
    d = v.sub(v.sub(z, v.const(_ROOT[0])), v.const(_ROOT[1]))
    return top, base, v.mul(d, whole_polynomial(v, d, _DIGAMMA))
