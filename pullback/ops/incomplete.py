"""The incomplete gamma and beta functions, their densities and all their derivatives, for floats.

The densities and their logarithms are primitives because most distributions are made of them, and
composed of other functions they lose digits where arguments are large, and are nan at the ends.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.lazy import lazy
from ..core.primitive import Absent
from .beta_derivative import (
    Orders,
    beta_density_slope_values,
    beta_log_density_values,
    incomplete_beta_derivative,
)
from .elementwise import add, div, like, mul, neg, sub
from .functions import exp, log, log1p
from .gamma_derivative import (
    gamma_curvature_values,
    gamma_density_slope_values,
    gamma_density_values,
    gamma_log_density_values,
    gamma_sample_slope,
    log_igamma_values,
    log_igammac_values,
)
from .special import SCIPY_ONLY, Special, digamma, in_float64, lgamma, polygamma

scipy = lazy("scipy.special")

_NO_THIRD = Absent("its next derivative has no closed form and is not computed")
_AT_ENDS = Absent("its formula is nan at the ends, where it is defined apart")


# ---- products and quotients at the ends of a range


class ZeroTimes(Special):
    """x y, and 0 where x is 0, whatever y is"""

    def eval(self, x: Any, y: Any) -> Any:
        return np.where(x == 0, x.dtype.type(0), x * y)

    def jvp_x(self, t: Any, out: Any, x: Any, y: Any) -> Any:
        return mul(t, y)

    def jvp_y(self, t: Any, out: Any, x: Any, y: Any) -> Any:
        return mul(t, x)

    lower = _AT_ENDS


zero_times = ZeroTimes()


class ZeroOver(Special):
    """x / y, and 0 where x is 0, whatever y is"""

    def eval(self, x: Any, y: Any) -> Any:
        return np.where(x == 0, x.dtype.type(0), np.divide(x, y))

    def jvp_x(self, t: Any, out: Any, x: Any, y: Any) -> Any:
        return div(t, y)

    def jvp_y(self, t: Any, out: Any, x: Any, y: Any) -> Any:
        return mul(t, neg(zero_over(out, y)))

    lower = _AT_ENDS


zero_over = ZeroOver()


# ---- incomplete gamma functions


class Igamma(Special):
    """the regularized lower incomplete gamma function; its arguments are a, x"""

    @in_float64
    def eval(self, a: Any, x: Any) -> Any:
        return scipy.gammainc(a, x)

    def jvp_x(self, t: Any, out: Any, a: Any, x: Any) -> Any:
        return mul(t, igamma_grad_a(a, x))

    def jvp_y(self, t: Any, out: Any, a: Any, x: Any) -> Any:
        return mul(t, gamma_density(a, x))

    lower = SCIPY_ONLY


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

    lower = SCIPY_ONLY


igammac = Igammac()


class GammaDensity(Special):
    """x^(a-1) exp(-x) / Gamma(a), the derivative of igamma in x; its arguments are a, x

    Written as an exponential of logarithms it would keep four digits of float32 at a = 1000.
    """

    @in_float64
    def eval(self, a: Any, x: Any) -> Any:
        return gamma_density_values(a, x)

    def jvp_x(self, t: Any, out: Any, a: Any, x: Any) -> Any:
        return mul(t, zero_times(out, sub(log(x), digamma(a))))

    def jvp_y(self, t: Any, out: Any, a: Any, x: Any) -> Any:
        return mul(t, gamma_density_slope(a, x))

    def lower(self, a: Any, x: Any) -> Any:
        return exp(sub(sub(mul(sub(a, like(a, 1)), log(x)), x), lgamma(a)))


gamma_density = GammaDensity()


class GammaDensitySlope(Special):
    """the derivative in x of gamma_density; its arguments are a, x"""

    @in_float64
    def eval(self, a: Any, x: Any) -> Any:
        return gamma_density_slope_values(a, x)

    def jvp_x(self, t: Any, out: Any, a: Any, x: Any) -> Any:
        own = zero_times(out, sub(log(x), digamma(a)))
        return mul(t, add(own, zero_over(gamma_density(a, x), x)))

    def jvp_y(self, t: Any, out: Any, a: Any, x: Any) -> Any:
        over = zero_over(sub(a, like(a, 1)), x)
        own = zero_times(out, sub(over, like(x, 1)))
        return mul(t, sub(own, zero_over(zero_times(over, gamma_density(a, x)), x)))

    def lower(self, a: Any, x: Any) -> Any:
        return mul(gamma_density(a, x), div(sub(sub(a, like(a, 1)), x), x))


gamma_density_slope = GammaDensitySlope()


class GammaLogDensity(Special):
    """(a - 1) log x - x - lgamma(a), the logarithm of gamma_density; its arguments are a, x"""

    @in_float64
    def eval(self, a: Any, x: Any) -> Any:
        return gamma_log_density_values(a, x)

    def jvp_x(self, t: Any, out: Any, a: Any, x: Any) -> Any:
        return mul(t, sub(log(x), digamma(a)))

    def jvp_y(self, t: Any, out: Any, a: Any, x: Any) -> Any:
        return mul(t, sub(zero_over(sub(a, like(a, 1)), x), like(x, 1)))

    def lower(self, a: Any, x: Any) -> Any:
        return sub(sub(mul(sub(a, like(a, 1)), log(x)), x), lgamma(a))


gamma_log_density = GammaLogDensity()


class IgammaGradA(Special):
    """the derivative of igamma in a; its arguments are a, x"""

    @in_float64
    def eval(self, a: Any, x: Any) -> Any:
        bounds = (x == 0) | np.isinf(x)
        inside = np.where(bounds, 1.0, x)
        slope = -gamma_sample_slope(a, inside) * gamma_density_values(a, inside)
        return np.where(bounds & (a > 0), 0.0, slope)

    def jvp_x(self, t: Any, out: Any, a: Any, x: Any) -> Any:
        return mul(t, zero_times(gamma_density(a, x), gamma_curvature(a, x)))

    def jvp_y(self, t: Any, out: Any, a: Any, x: Any) -> Any:
        return mul(t, zero_times(gamma_density(a, x), sub(log(x), digamma(a))))

    lower = SCIPY_ONLY


igamma_grad_a = IgammaGradA()


class RandomGammaGrad(Special):
    """the derivative in a of a sample x of the gamma distribution, its probability held

    That is -(d igamma / da) / (d igamma / dx), which stays a number where both are 0.
    """

    @in_float64
    def eval(self, a: Any, x: Any) -> Any:
        return gamma_sample_slope(a, x)

    def jvp_x(self, t: Any, out: Any, a: Any, x: Any) -> Any:
        moved = mul(out, sub(log(x), digamma(a)))
        return mul(t, neg(add(gamma_curvature(a, x), moved)))

    def jvp_y(self, t: Any, out: Any, a: Any, x: Any) -> Any:
        drift = div(mul(out, sub(sub(a, like(a, 1)), x)), x)
        return mul(t, sub(sub(digamma(a), log(x)), drift))

    lower = SCIPY_ONLY


random_gamma_grad = RandomGammaGrad()


class GammaCurvature(Special):
    """the second derivative of igamma in a over the density; its arguments are a, x"""

    @in_float64
    def eval(self, a: Any, x: Any) -> Any:
        return gamma_curvature_values(a, x)

    jvp_x = Absent("the third derivative of igamma in a is not computed")

    def jvp_y(self, t: Any, out: Any, a: Any, x: Any) -> Any:
        from_mean = sub(log(x), digamma(a))
        own = sub(mul(from_mean, from_mean), polygamma(like(a, 1), a))
        return mul(t, sub(own, mul(out, sub(div(sub(a, like(a, 1)), x), like(x, 1)))))

    lower = SCIPY_ONLY


gamma_curvature = GammaCurvature()


class LogIgamma(Special):
    """the logarithm of igamma, also where that underflows; its arguments are a, x"""

    @in_float64
    def eval(self, a: Any, x: Any) -> Any:
        return log_igamma_values(a, x)

    def jvp_x(self, t: Any, out: Any, a: Any, x: Any) -> Any:
        share = exp(sub(gamma_log_density(a, x), out))
        return mul(t, neg(mul(share, random_gamma_grad(a, x))))

    def jvp_y(self, t: Any, out: Any, a: Any, x: Any) -> Any:
        return mul(t, exp(sub(gamma_log_density(a, x), out)))

    def lower(self, a: Any, x: Any) -> Any:
        return log(igamma(a, x))


log_igamma = LogIgamma()


class LogIgammac(Special):
    """the logarithm of igammac, also where that underflows; its arguments are a, x"""

    @in_float64
    def eval(self, a: Any, x: Any) -> Any:
        return log_igammac_values(a, x)

    def jvp_x(self, t: Any, out: Any, a: Any, x: Any) -> Any:
        share = exp(sub(gamma_log_density(a, x), out))
        return mul(t, mul(share, random_gamma_grad(a, x)))

    def jvp_y(self, t: Any, out: Any, a: Any, x: Any) -> Any:
        return mul(t, neg(exp(sub(gamma_log_density(a, x), out))))

    def lower(self, a: Any, x: Any) -> Any:
        return log(igammac(a, x))


log_igammac = LogIgammac()


# ---- incomplete beta functions


class RegularizedIncompleteBeta(Special):
    """the regularized incomplete beta function; its arguments are a, b, x"""

    @in_float64
    def eval(self, a: Any, b: Any, x: Any) -> Any:
        return scipy.betainc(a, b, x)

    def jvp_x(self, t: Any, out: Any, a: Any, b: Any, x: Any) -> Any:
        return mul(t, betainc_derivative(a, b, x, orders=(1, 0)))

    def jvp_y(self, t: Any, out: Any, a: Any, b: Any, x: Any) -> Any:
        return mul(t, betainc_derivative(a, b, x, orders=(0, 1)))

    def jvp_z(self, t: Any, out: Any, a: Any, b: Any, x: Any) -> Any:
        return mul(t, beta_density(a, b, x))

    lower = SCIPY_ONLY


regularized_incomplete_beta = RegularizedIncompleteBeta()


class RegularizedIncompleteBetaComplement(Special):
    """1 - regularized_incomplete_beta, exact where that is near 1; its arguments are a, b, x"""

    @in_float64
    def eval(self, a: Any, b: Any, x: Any) -> Any:
        return scipy.betaincc(a, b, x)

    def jvp_x(self, t: Any, out: Any, a: Any, b: Any, x: Any) -> Any:
        return mul(t, neg(betainc_derivative(a, b, x, orders=(1, 0))))

    def jvp_y(self, t: Any, out: Any, a: Any, b: Any, x: Any) -> Any:
        return mul(t, neg(betainc_derivative(a, b, x, orders=(0, 1))))

    def jvp_z(self, t: Any, out: Any, a: Any, b: Any, x: Any) -> Any:
        return mul(t, neg(beta_density(a, b, x)))

    def lower(self, a: Any, b: Any, x: Any) -> Any:
        return sub(like(x, 1), regularized_incomplete_beta(a, b, x))


regularized_incomplete_beta_complement = RegularizedIncompleteBetaComplement()


class BetaincDerivative(Special):
    """the derivative of the above, orders[0] times in a and orders[1] times in b: 1 or 2 in all"""

    @in_float64
    def eval(self, a: Any, b: Any, x: Any, *, orders: Orders) -> Any:
        return incomplete_beta_derivative(a, b, x, orders)

    def jvp_x(self, t: Any, out: Any, a: Any, b: Any, x: Any, *, orders: Orders) -> Any:
        return mul(t, _next_derivative(a, b, x, (orders[0] + 1, orders[1])))

    def jvp_y(self, t: Any, out: Any, a: Any, b: Any, x: Any, *, orders: Orders) -> Any:
        return mul(t, _next_derivative(a, b, x, (orders[0], orders[1] + 1)))

    def jvp_z(self, t: Any, out: Any, a: Any, b: Any, x: Any, *, orders: Orders) -> Any:
        whole = add(a, b)
        in_a = sub(log(x), sub(digamma(a), digamma(whole)))
        in_b = sub(log1p(neg(x)), sub(digamma(b), digamma(whole)))
        factor = in_a if orders[0] else in_b
        if sum(orders) == 2:
            factor = mul(factor, in_a if orders[0] == 2 else in_b)
            one = like(x, 1)
            factor = add(factor, polygamma(one, whole))
            if orders != (1, 1):
                factor = sub(factor, polygamma(one, a if orders[0] else b))
        return mul(t, zero_times(beta_density(a, b, x), factor))

    lower = SCIPY_ONLY


betainc_derivative = BetaincDerivative()


def _next_derivative(a: Any, b: Any, x: Any, orders: Orders) -> Any:
    if sum(orders) > 2:
        return _NO_THIRD(a, b, x)
    return betainc_derivative(a, b, x, orders=orders)


class BetaDensity(Special):
    """x^(a-1) (1-x)^(b-1) / B(a, b), the derivative of betainc in x; its arguments are a, b, x"""

    @in_float64
    def eval(self, a: Any, b: Any, x: Any) -> Any:
        return np.exp(beta_log_density_values(a, b, x))

    def jvp_x(self, t: Any, out: Any, a: Any, b: Any, x: Any) -> Any:
        return mul(t, zero_times(out, add(log(x), sub(digamma(add(a, b)), digamma(a)))))

    def jvp_y(self, t: Any, out: Any, a: Any, b: Any, x: Any) -> Any:
        return mul(t, zero_times(out, add(log1p(neg(x)), sub(digamma(add(a, b)), digamma(b)))))

    def jvp_z(self, t: Any, out: Any, a: Any, b: Any, x: Any) -> Any:
        return mul(t, beta_density_slope(a, b, x))

    def lower(self, a: Any, b: Any, x: Any) -> Any:
        one = like(x, 1)
        powers = add(mul(sub(a, one), log(x)), mul(sub(b, one), log1p(neg(x))))
        return exp(add(powers, sub(lgamma(add(a, b)), add(lgamma(a), lgamma(b)))))


beta_density = BetaDensity()


class BetaDensitySlope(Special):
    """the derivative in x of beta_density; its arguments are a, b, x"""

    @in_float64
    def eval(self, a: Any, b: Any, x: Any) -> Any:
        return beta_density_slope_values(a, b, x)

    def jvp_x(self, t: Any, out: Any, a: Any, b: Any, x: Any) -> Any:
        own = zero_times(out, add(log(x), sub(digamma(add(a, b)), digamma(a))))
        return mul(t, add(own, zero_over(beta_density(a, b, x), x)))

    def jvp_y(self, t: Any, out: Any, a: Any, b: Any, x: Any) -> Any:
        own = zero_times(out, add(log1p(neg(x)), sub(digamma(add(a, b)), digamma(b))))
        return mul(t, sub(own, zero_over(beta_density(a, b, x), sub(like(x, 1), x))))

    def jvp_z(self, t: Any, out: Any, a: Any, b: Any, x: Any) -> Any:
        one = like(x, 1)
        rest = sub(one, x)
        left, right = zero_over(sub(a, one), x), zero_over(sub(b, one), rest)
        bend = add(zero_over(left, x), zero_over(right, rest))
        bent = zero_times(beta_density(a, b, x), bend)
        return mul(t, sub(zero_times(out, sub(left, right)), bent))

    def lower(self, a: Any, b: Any, x: Any) -> Any:
        one = like(x, 1)
        left, right = div(sub(a, one), x), div(sub(b, one), sub(one, x))
        return mul(beta_density(a, b, x), sub(left, right))


beta_density_slope = BetaDensitySlope()


class BetaLogDensity(Special):
    """the logarithm of beta_density; its arguments are a, b, x"""

    @in_float64
    def eval(self, a: Any, b: Any, x: Any) -> Any:
        return beta_log_density_values(a, b, x)

    def jvp_x(self, t: Any, out: Any, a: Any, b: Any, x: Any) -> Any:
        return mul(t, add(log(x), sub(digamma(add(a, b)), digamma(a))))

    def jvp_y(self, t: Any, out: Any, a: Any, b: Any, x: Any) -> Any:
        return mul(t, add(log1p(neg(x)), sub(digamma(add(a, b)), digamma(b))))

    def jvp_z(self, t: Any, out: Any, a: Any, b: Any, x: Any) -> Any:
        one = like(x, 1)
        left, right = zero_over(sub(a, one), x), zero_over(sub(b, one), sub(one, x))
        return mul(t, sub(left, right))

    def lower(self, a: Any, b: Any, x: Any) -> Any:
        one = like(x, 1)
        powers = add(mul(sub(a, one), log(x)), mul(sub(b, one), log1p(neg(x))))
        return add(powers, sub(lgamma(add(a, b)), add(lgamma(a), lgamma(b))))


beta_log_density = BetaLogDensity()
