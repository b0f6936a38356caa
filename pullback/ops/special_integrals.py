"""Elementwise functions that are integrals: expi, expn, Dawson's, Fresnel's and others, of floats.

SciPy computes their values. Derivatives are formulas; where those cancel far out, an asymptotic
series takes over, so that derivatives of any order keep their digits.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..core.lazy import lazy
from ..core.primitive import Absent
from .comparison import ge
from .elementwise import Elementwise, add, div, like, mul, neg, select_n, sub
from .functions import cos, exp, log1p, sin
from .rounding import abs_
from .rounds import counted
from .special import SCIPY_ONLY, Special, digamma, erf, in_float64, polygamma
from .structural import broadcast_in_dim

scipy = lazy("scipy.special")


def where(mask: Any, x: Any, y: Any) -> Any:
    """`x` where `mask` holds, else `y`; scalars stand for any shape."""
    shape = mask.shape
    x, y = (
        v if v.shape == shape else broadcast_in_dim(v, shape=shape, broadcast_dimensions=())
        for v in (x, y)
    )
    return select_n(mask, y, x)


def series(coefficients: Any, x: Any) -> Any:
    """The sum of c[k] x^k."""
    total = like(x, coefficients[-1])
    for c in coefficients[-2::-1]:
        total = add(mul(total, x), like(x, c))
    return total


# ---- error functions

_FAR = 8.0
# (2k - 1)!! / (2 x^2)^k for k = 1 to 17 at x = 8, where the next term is 1e-18 of the first.
_ODD = [math.prod(range(1, 2 * k, 2)) / 128.0**k for k in range(1, 18)]
_ALTERNATING = [(-1) ** k * c for k, c in enumerate(_ODD)]


def _far_or_near(x: Any, coefficients: Any, near: Any) -> Any:
    """The series in r = 64 / x^2 that begins with `coefficients[0] * r`, or `near(x)`."""
    far = ge(abs_(x), like(x, _FAR))
    out, inner = where(far, x, like(x, _FAR)), where(far, like(x, 0), x)
    r = div(like(x, _FAR), out)
    r = mul(r, r)
    return where(far, mul(r, series(coefficients, r)), near(inner))


class Erfcx(Special):
    """exp(x^2) erfc(x)"""

    @in_float64
    def eval(self, x: Any) -> Any:
        return scipy.erfcx(x)

    def slope(self, out: Any, x: Any) -> Any:
        # 2 x erfcx(x) - 2 / sqrt(pi), of which only 1 / x^2 is left far to the right.
        right = ge(x, like(x, _FAR))
        far, near = where(right, x, like(x, _FAR)), where(right, like(x, 0), x)
        root = 2 / math.sqrt(math.pi)
        r = div(like(x, _FAR), far)
        r = mul(r, r)
        beyond = mul(like(x, -root), mul(r, series(_ALTERNATING, r)))
        within = sub(mul(mul(like(x, 2), near), erfcx(near)), like(x, root))
        return where(right, beyond, within)

    lower = SCIPY_ONLY


erfcx = Erfcx()


class Dawsn(Special):
    """exp(-x^2) times the integral of exp(t^2) from 0 to x"""

    @in_float64
    def eval(self, x: Any) -> Any:
        return scipy.dawsn(x)

    def slope(self, out: Any, x: Any) -> Any:
        # 1 - 2 x dawsn(x), of which only -1 / (2 x^2) is left far out.
        def near(y: Any) -> Any:
            return sub(like(y, 1), mul(mul(like(y, 2), y), dawsn(y)))

        return _far_or_near(x, [-c for c in _ODD], near)

    lower = SCIPY_ONLY


dawsn = Dawsn()


class Wofz(Elementwise):
    """exp(-z^2) erfc(-iz), of complex numbers"""

    takes = "c"

    def eval(self, x: Any) -> Any:
        return scipy.wofz(x).astype(x.dtype)

    def slope(self, out: Any, x: Any) -> Any:
        constant = like(x, 2j / math.sqrt(math.pi))
        return sub(constant, mul(mul(like(x, 2), x), out))

    lower = SCIPY_ONLY


wofz = Wofz()


class OwensT(Special):
    """Owen's T function of h and a: the integral of exp(-h^2 (1 + t^2) / 2) / (2 pi (1 + t^2))

    over t from 0 to a.
    """

    @in_float64
    def eval(self, x: Any, y: Any) -> Any:
        return scipy.owens_t(x, y)

    def jvp_x(self, t: Any, out: Any, x: Any, y: Any) -> Any:
        half = like(x, 0.5)
        bell = exp(neg(mul(half, mul(x, x))))
        part = erf(mul(mul(x, y), like(x, math.sqrt(0.5))))
        return mul(t, mul(like(x, -0.5 / math.sqrt(2 * math.pi)), mul(bell, part)))

    def jvp_y(self, t: Any, out: Any, x: Any, y: Any) -> Any:
        round_ = add(like(x, 1), mul(y, y))
        bell = exp(neg(mul(mul(like(x, 0.5), mul(x, x)), round_)))
        return mul(t, div(mul(like(x, 0.5 / math.pi), bell), round_))

    lower = SCIPY_ONLY


owens_t = OwensT()


# ---- integrals of exponentials


class Expi(Special):
    """the exponential integral Ei(x), of exp(t) / t from -inf to x"""

    @in_float64
    def eval(self, x: Any) -> Any:
        return scipy.expi(x)

    def slope(self, out: Any, x: Any) -> Any:
        return div(exp(x), x)

    lower = SCIPY_ONLY


expi = Expi()


class Expn(Special):
    """the integral of exp(-y t) / t^x from 1 to infinity, for whole x and y >= 0"""

    @in_float64
    def eval(self, x: Any, y: Any) -> Any:
        x, y = np.broadcast_arrays(x, y)
        whole = (np.floor(x) == x) & (np.absolute(x) < 1e6)
        order = np.where(whole, x, 1.0)
        found = scipy.expn(np.maximum(order, 0).astype(np.int64), y)

        # Below 0, y E(n) = exp(-y) - n E(n + 1): all terms are positive.
        def step(k: Any, found: Any) -> list[Any]:
            n = -1 - k
            return [np.where(order <= n, (np.exp(-y) - n * found) / y, found)]

        (found,) = counted(step, np.negative(order).max(initial=0), found)
        return found if np.all(whole) else np.where(whole, found, _expn_between(x, y))

    jvp_x = Absent("the derivative of expn in its order is not computed")

    def jvp_y(self, t: Any, out: Any, x: Any, y: Any) -> Any:
        return mul(t, neg(expn(sub(x, like(x, 1)), y)))

    lower = SCIPY_ONLY


expn = Expn()


def _expn_between(p: Any, y: Any) -> Any:
    """Of orders that are not whole: a continued fraction, or for small y a series."""
    small = y < 0.1
    z = np.where(small, 0.1, y)

    def step(i: Any, fraction: Any) -> list[Any]:
        k = _STEPS - i
        return [z + p + 2 * (k - 1) - k * (p + k - 1) / fraction]

    (fraction,) = counted(step, _STEPS, z + p + 2 * _STEPS)
    term, total = np.ones_like(y), 1 / (1 - p)
    for k in range(1, 12):
        term = term * (-y / k)
        total = total + term / (1 - p + k)
    near = scipy.gamma(1 - p) * np.power(y, p - 1) - total
    return np.where(y < 0, np.nan, np.where(small, near, np.exp(-z) / fraction))


_STEPS = 1200


# ---- integrals of sines and cosines


class SineIntegral(Special):
    """the integral of sin(t) / t from 0 to x"""

    @in_float64
    def eval(self, x: Any) -> Any:
        return scipy.sici(x)[0]

    def slope(self, out: Any, x: Any) -> Any:
        return sinc(x)

    lower = SCIPY_ONLY


sine_integral = SineIntegral()

# (-1)^k / (2k + 1)!
_SINC = [(-1) ** k / math.factorial(2 * k + 1) for k in range(10)]


def sinc(x: Any) -> Any:
    """sin(x) / x, by its series near 0, where derivatives of the quotient would cancel."""
    near = ge(like(x, 1.0), abs_(x))
    inner, outer = where(near, x, like(x, 0)), where(near, like(x, 1), x)
    return where(near, series(_SINC, mul(inner, inner)), div(sin(outer), outer))


class CosineIntegral(Special):
    """the integral of cos(t) / t from infinity to |x|"""

    @in_float64
    def eval(self, x: Any) -> Any:
        return scipy.sici(x)[1]

    def slope(self, out: Any, x: Any) -> Any:
        return div(cos(x), x)

    lower = SCIPY_ONLY


cosine_integral = CosineIntegral()


class FresnelS(Special):
    """the integral of sin(pi t^2 / 2) from 0 to x"""

    @in_float64
    def eval(self, x: Any) -> Any:
        return scipy.fresnel(x)[0]

    def slope(self, out: Any, x: Any) -> Any:
        return sin(mul(like(x, math.pi / 2), mul(x, x)))

    lower = SCIPY_ONLY


fresnel_s = FresnelS()


class FresnelC(Special):
    """the integral of cos(pi t^2 / 2) from 0 to x"""

    @in_float64
    def eval(self, x: Any) -> Any:
        return scipy.fresnel(x)[1]

    def slope(self, out: Any, x: Any) -> Any:
        return cos(mul(like(x, math.pi / 2), mul(x, x)))

    lower = SCIPY_ONLY


fresnel_c = FresnelC()


class Spence(Special):
    """Spence's function, the integral of log(t) / (1 - t) from 1 to x"""

    @in_float64
    def eval(self, x: Any) -> Any:
        return scipy.spence(x)

    def slope(self, out: Any, x: Any) -> Any:
        return neg(log1p_over(sub(x, like(x, 1))))

    lower = SCIPY_ONLY


spence = Spence()


_LOG1P = [(-1) ** k / (k + 1) for k in range(28)]


def log1p_over(x: Any) -> Any:
    """log(1 + x) / x, by its series near 0, where derivatives of the quotient would cancel."""
    near = ge(like(x, 0.25), abs_(x))
    inner, outer = where(near, x, like(x, 0)), where(near, like(x, 1), x)
    return where(near, series(_LOG1P, inner), div(log1p(outer), outer))


# ---- quotients of powers and of gamma functions


class Binomial(Special):
    """Gamma(x + 1) / (Gamma(y + 1) Gamma(x - y + 1)), the binomial coefficient of x over y"""

    @in_float64
    def eval(self, x: Any, y: Any) -> Any:
        return scipy.binom(x, y)

    def jvp_x(self, t: Any, out: Any, x: Any, y: Any) -> Any:
        one = like(x, 1)
        rise = sub(digamma(add(x, one)), digamma(add(sub(x, y), one)))
        return mul(t, mul(out, rise))

    def jvp_y(self, t: Any, out: Any, x: Any, y: Any) -> Any:
        one = like(x, 1)
        rise = sub(digamma(add(sub(x, y), one)), digamma(add(y, one)))
        return mul(t, mul(out, rise))

    lower = SCIPY_ONLY


binomial = Binomial()


class Poch(Special):
    """Gamma(x + y) / Gamma(x)"""

    @in_float64
    def eval(self, x: Any, y: Any) -> Any:
        return scipy.poch(x, y)

    def jvp_x(self, t: Any, out: Any, x: Any, y: Any) -> Any:
        return mul(t, mul(out, digamma_difference(x, y)))

    def jvp_y(self, t: Any, out: Any, x: Any, y: Any) -> Any:
        return mul(t, mul(out, digamma(add(x, y))))

    lower = SCIPY_ONLY


poch = Poch()


class DigammaDifference(Special):
    """digamma(x + y) - digamma(x), also where both are poles"""

    @in_float64
    def eval(self, x: Any, y: Any) -> Any:
        end = x + y
        poles = (x <= 0) & (np.floor(x) == x) & (end <= 0) & (np.floor(end) == end)
        # digamma(1 - x) is digamma(x) + pi / tan(pi x), of which the last is the same for both.
        mirrored = scipy.psi(1 - end) - scipy.psi(1 - x)
        return np.where(poles, mirrored, scipy.psi(end) - scipy.psi(x))

    def jvp_x(self, t: Any, out: Any, x: Any, y: Any) -> Any:
        one = like(x, 1)
        return mul(t, sub(polygamma(one, add(x, y)), polygamma(one, x)))

    def jvp_y(self, t: Any, out: Any, x: Any, y: Any) -> Any:
        return mul(t, polygamma(like(x, 1), add(x, y)))

    def lower(self, x: Any, y: Any) -> Any:
        return sub(digamma(add(x, y)), digamma(x))


digamma_difference = DigammaDifference()
