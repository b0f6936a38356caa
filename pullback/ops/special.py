"""Elementwise special functions: erf, gamma, beta, zeta and Bessel functions, for floats.

SciPy computes them in float64; the result is rounded once, to the dtype that came in. SciPy is
imported when the first of them is used. The inverse of erf in float32 is our own: it makes every
normal random number.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..core import dtypes
from ..core.lazy import lazy
from ..core.primitive import Absent
from .comparison import le
from .elementwise import FLOAT, Elementwise, add, div, like, mul, neg, select_n, sub
from .functions import exp, log, log1p
from .gamma_derivative import gamma_density_values, gamma_sample_slope
from .rounding import abs_, sign
from .structural import zeros

scipy = lazy("scipy.special")

_SCIPY_ONLY = Absent("SciPy computes it, which only the NumPy engine calls")


def in_float64(function: Callable[..., Any]) -> Callable[..., Any]:
    """An `eval` that is done in float64, its result rounded to the dtype that came in."""

    def run(self: Any, *args: Any) -> Any:
        dtype = args[0].dtype
        if dtype == np.float64:
            return function(self, *args)
        out = function(self, *[x.astype(np.float64) for x in args])
        return out.astype(dtype)

    return run


class Special(Elementwise, family=True):
    """Takes floats."""

    takes = FLOAT


# ---- the error function


class Erf(Special):
    """2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x"""

    @in_float64
    def eval(self, x: Any) -> Any:
        return scipy.erf(x)

    def slope(self, out: Any, x: Any) -> Any:
        return mul(like(x, 2 / math.sqrt(math.pi)), exp(neg(mul(x, x))))


erf = Erf()


class Erfc(Special):
    """1 - erf(x), exact where erf(x) is near 1"""

    @in_float64
    def eval(self, x: Any) -> Any:
        return scipy.erfc(x)

    def slope(self, out: Any, x: Any) -> Any:
        return mul(like(x, -2 / math.sqrt(math.pi)), exp(neg(mul(x, x))))


erfc = Erfc()


class ErfInv(Special):
    """the number whose erf is x"""

    def eval(self, x: Any) -> Any:
        if x.dtype == np.float64:
            return scipy.erfinv(x)
        if x.dtype == np.float32:
            return _erf_inv_single(x)
        return _erf_inv_single(x.astype(np.float32)).astype(x.dtype)

    def slope(self, out: Any, x: Any) -> Any:
        return mul(like(x, math.sqrt(math.pi) / 2), exp(mul(out, out)))


erf_inv = ErfInv()


# M. Giles, "Approximating the erfinv function" (2010), table 5: polynomials in w = -log(1 - x^2),
# highest power first: in w - 2.5 for w < 5, in sqrt(w) - 3 beyond. XLA computes the same ones.
_CENTRAL = np.array(
    [
        *(2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087),
        *(-0.00125372503, -0.00417768164, 0.246640727, 1.50140941),
    ],
    np.float32,
)
_TAIL = np.array(
    [
        *(-0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773),
        *(-0.0076224613, 0.00943887047, 1.00167406, 2.83297682),
    ],
    np.float32,
)
_BLOCK = 1 << 14
"""Elements at a time, so that the 20 passes over them stay in the cache."""


def _erf_inv_single(x: Any) -> Any:
    flat = np.ascontiguousarray(x).reshape(-1)
    out = np.empty_like(flat)
    for start in range(0, flat.size, _BLOCK):
        block = slice(start, start + _BLOCK)
        _erf_inv_block(flat[block], out[block])
    return out.reshape(x.shape)


def _erf_inv_block(x: np.ndarray, out: np.ndarray) -> None:
    w = np.multiply(x, x)
    np.negative(np.log1p(np.negative(w, w), w), w)
    tail = np.flatnonzero(w >= 5)
    roots = np.sqrt(w[tail])
    np.multiply(_horner(_CENTRAL, np.subtract(w, np.float32(2.5), w)), x, out)
    if tail.size:
        ends = x[tail]
        values = _horner(_TAIL, roots - np.float32(3)) * ends
        out[tail] = np.where(np.absolute(ends) == 1, ends * np.float32(np.inf), values)


def _horner(coefficients: np.ndarray, x: np.ndarray) -> np.ndarray:
    # XLA multiplies and adds with one rounding. If the last step does so too, 98 % of the results
    # are XLA's and all are within 1.93e-7 of them; else 94 %, within 2.3e-7 (of 4 million).
    total = x * coefficients[0]
    total += coefficients[1]
    for c in coefficients[2:-1]:
        total *= x
        total += c
    last = total.astype(np.float64)
    last *= x
    last += coefficients[-1]
    return last.astype(np.float32)


# ---- gamma functions


class Lgamma(Special):
    """log |Gamma(x)|"""

    @in_float64
    def eval(self, x: Any) -> Any:
        return np.where(np.isinf(x), np.inf, scipy.gammaln(x))

    def slope(self, out: Any, x: Any) -> Any:
        return digamma(x)


lgamma = Lgamma()


class Digamma(Special):
    """the derivative of lgamma"""

    @in_float64
    def eval(self, x: Any) -> Any:
        return scipy.psi(x)

    def slope(self, out: Any, x: Any) -> Any:
        return polygamma(like(x, 1), x)


digamma = Digamma()


class Polygamma(Special):
    """the derivative of order x of digamma, at y"""

    @in_float64
    def eval(self, x: Any, y: Any) -> Any:
        higher = np.where(x % 2 == 0, -1.0, 1.0) * scipy.gamma(x + 1) * scipy.zeta(x + 1, y)
        order = (x >= 0) & (np.floor(x) == x)
        return np.where(x == 0, scipy.psi(y), np.where(order, higher, np.nan))

    jvp_x = Absent("polygamma is defined for whole orders only")

    def jvp_y(self, t: Any, out: Any, x: Any, y: Any) -> Any:
        return mul(t, polygamma(add(x, like(x, 1)), y))

    lower = _SCIPY_ONLY


polygamma = Polygamma()


class Igamma(Special):
    """the regularized lower incomplete gamma function; its arguments are a, x"""

    @in_float64
    def eval(self, a: Any, x: Any) -> Any:
        return scipy.gammainc(a, x)

    def jvp_x(self, t: Any, out: Any, a: Any, x: Any) -> Any:
        return mul(t, igamma_grad_a(a, x))

    def jvp_y(self, t: Any, out: Any, a: Any, x: Any) -> Any:
        return mul(t, gamma_density(a, x))

    lower = _SCIPY_ONLY


igamma = Igamma()


class Igammac(Special):
    """the regularized upper incomplete gamma function, 1 - igamma; its arguments are a, x"""

    @in_float64
    def eval(self, a: Any, x: Any) -> Any:
        return scipy.gammaincc(a, x)

    def jvp_x(self, t: Any, out: Any, a: Any, x: Any) -> Any:
        return mul(t, neg(igamma_grad_a(a, x)))

    def jvp_y(self, t: Any, out: Any, a: Any, x: Any) -> Any:
        return mul(t, neg(gamma_density(a, x)))

    lower = _SCIPY_ONLY


igammac = Igammac()


class GammaDensity(Special):
    """x^(a-1) exp(-x) / Gamma(a), the derivative of igamma in x; its arguments are a, x

    Written as an exponential of logarithms it would keep four digits of float32 at a = 1000.
    """

    @in_float64
    def eval(self, a: Any, x: Any) -> Any:
        return gamma_density_values(a, x)

    def jvp_x(self, t: Any, out: Any, a: Any, x: Any) -> Any:
        return mul(t, mul(out, sub(log(x), digamma(a))))

    def jvp_y(self, t: Any, out: Any, a: Any, x: Any) -> Any:
        return mul(t, mul(out, div(sub(sub(a, like(a, 1)), x), x)))

    def lower(self, a: Any, x: Any) -> Any:
        return exp(sub(sub(mul(sub(a, like(a, 1)), log(x)), x), lgamma(a)))


gamma_density = GammaDensity()


class IgammaGradA(Special):
    """the derivative of igamma in a; its arguments are a, x"""

    @in_float64
    def eval(self, a: Any, x: Any) -> Any:
        bounds = (x == 0) | np.isinf(x)
        inside = np.where(bounds, 1.0, x)
        slope = -gamma_sample_slope(a, inside) * gamma_density_values(a, inside)
        return np.where(bounds & (a > 0), 0.0, slope)

    jvp_x = Absent("the second derivative of igamma in a has no closed form")

    def jvp_y(self, t: Any, out: Any, a: Any, x: Any) -> Any:
        return mul(t, mul(gamma_density(a, x), sub(log(x), digamma(a))))

    lower = _SCIPY_ONLY


igamma_grad_a = IgammaGradA()


class RandomGammaGrad(Special):
    """the derivative in a of a sample x of the gamma distribution, its probability held

    That is -(d igamma / da) / (d igamma / dx), which stays a number where both are 0.
    """

    @in_float64
    def eval(self, a: Any, x: Any) -> Any:
        return gamma_sample_slope(a, x)

    jvp_x = Absent("the second derivative of igamma in a has no closed form")

    def jvp_y(self, t: Any, out: Any, a: Any, x: Any) -> Any:
        drift = div(mul(out, sub(sub(a, like(a, 1)), x)), x)
        return mul(t, sub(sub(digamma(a), log(x)), drift))

    lower = _SCIPY_ONLY


random_gamma_grad = RandomGammaGrad()


# ---- beta, zeta


class RegularizedIncompleteBeta(Special):
    """the regularized incomplete beta function; its arguments are a, b, x"""

    @in_float64
    def eval(self, a: Any, b: Any, x: Any) -> Any:
        return scipy.betainc(a, b, x)

    jvp_x = Absent("the incomplete beta function is differentiated in x only")
    jvp_y = Absent("the incomplete beta function is differentiated in x only")

    def jvp_z(self, t: Any, out: Any, a: Any, b: Any, x: Any) -> Any:
        return mul(t, beta_density(a, b, x))

    lower = _SCIPY_ONLY


regularized_incomplete_beta = RegularizedIncompleteBeta()


class BetaDensity(Special):
    """x^(a-1) (1-x)^(b-1) / B(a, b), the derivative of the above in x; its arguments are a, b, x"""

    @in_float64
    def eval(self, a: Any, b: Any, x: Any) -> Any:
        powers = scipy.xlogy(a - 1, x) + scipy.xlog1py(b - 1, -x)
        inside = (x >= 0) & (x <= 1) & (a > 0) & (b > 0)
        return np.where(inside, np.exp(powers - scipy.betaln(a, b)), np.nan)

    def jvp_x(self, t: Any, out: Any, a: Any, b: Any, x: Any) -> Any:
        return mul(t, mul(out, add(log(x), sub(digamma(add(a, b)), digamma(a)))))

    def jvp_y(self, t: Any, out: Any, a: Any, b: Any, x: Any) -> Any:
        return mul(t, mul(out, add(log1p(neg(x)), sub(digamma(add(a, b)), digamma(b)))))

    def jvp_z(self, t: Any, out: Any, a: Any, b: Any, x: Any) -> Any:
        left = div(sub(a, like(a, 1)), x)
        return mul(t, mul(out, sub(left, div(sub(b, like(b, 1)), sub(like(x, 1), x)))))

    def lower(self, a: Any, b: Any, x: Any) -> Any:
        one = like(x, 1)
        powers = add(mul(sub(a, one), log(x)), mul(sub(b, one), log1p(neg(x))))
        return exp(add(powers, sub(lgamma(add(a, b)), add(lgamma(a), lgamma(b)))))


beta_density = BetaDensity()


class Zeta(Special):
    """the Hurwitz zeta function, the sum of (y + n)^-x over n = 0, 1, 2 ..."""

    @in_float64
    def eval(self, x: Any, y: Any) -> Any:
        return scipy.zeta(x, y)

    jvp_x = Absent("the derivative of zeta in its first argument has no closed form")

    def jvp_y(self, t: Any, out: Any, x: Any, y: Any) -> Any:
        return mul(t, neg(mul(x, zeta(add(x, like(x, 1)), y))))

    lower = _SCIPY_ONLY


zeta = Zeta()


# ---- Bessel functions


class BesselI0e(Special, name="bessel_i0e"):
    """exp(-|x|) times the modified Bessel function of order 0"""

    @in_float64
    def eval(self, x: Any) -> Any:
        return scipy.i0e(x)

    def slope(self, out: Any, x: Any) -> Any:
        return sub(bessel_i1e(x), mul(sign(x), out))

    lower = _SCIPY_ONLY


bessel_i0e = BesselI0e()


class BesselI1e(Special, name="bessel_i1e"):
    """exp(-|x|) times the modified Bessel function of order 1"""

    @in_float64
    def eval(self, x: Any) -> Any:
        return scipy.i1e(x)

    def jvp_x(self, t: Any, out: Any, x: Any) -> Any:
        # i0e(x) - (sign(x) + 1/x) i1e(x), which tends to 1/2 at 0.
        near_0 = le(abs_(x), like(x, float(dtypes.finfo(x.dtype).eps)))
        away = select_n(near_0, x, _filled(x, 1.0))
        slope = sub(bessel_i0e(away), mul(out, add(sign(away), div(like(x, 1), away))))
        return mul(t, select_n(near_0, slope, _filled(x, 0.5)))

    lower = _SCIPY_ONLY


bessel_i1e = BesselI1e()


def _filled(x: Any, value: float) -> Any:
    return add(zeros(x.aval), like(x, value))
