"""Legendre and Bessel functions of whole order, and the gamma function of complex numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..core.lazy import lazy
from ..core.trace import quiet
from .comparison import lt
from .elementwise import Elementwise, add, convert_element_type, like, mul, neg, sub
from .functions import sin, sqrt
from .rounding import abs_
from .rounds import counted
from .special import SCIPY_ONLY, Special, in_float64

scipy = lazy("scipy.special")


# ---- Bessel functions


class BesselJ(Special, name="bessel_j"):
    """the Bessel function of the first kind, of a whole order >= 0"""

    @in_float64
    def eval(self, x: Any, *, order: int) -> Any:
        return scipy.jv(order, x)

    def slope(self, out: Any, x: Any, *, order: int) -> Any:
        above = bessel_j(x, order=order + 1)
        if order == 0:
            return neg(above)
        return mul(like(x, 0.5), sub(bessel_j(x, order=order - 1), above))

    lower = SCIPY_ONLY


bessel_j = BesselJ()


# ---- Legendre functions


class SphericalLegendre(Special):
    """the Legendre function of degree n and order m at cos(theta), normalised for harmonics

    Its arguments are n, m, theta, of which n and m are whole. The functions times exp(i m phi) are
    orthonormal on the sphere.
    """

    @in_float64
    def eval(self, n: Any, m: Any, theta: Any) -> Any:
        n, m, theta = np.broadcast_arrays(n, m, theta)
        with quiet():
            return spherical_legendre_values(n, m, theta)

    def jvp_z(self, t: Any, out: Any, n: Any, m: Any, theta: Any) -> Any:
        # Of degree n alone, so that nothing is divided by sin(theta), which is 0 at the poles.
        one = like(n, 1)
        up, down = add(m, one), sub(m, one)
        fewer = sqrt(abs_(mul(add(n, m), add(sub(n, m), one))))
        more = sqrt(abs_(mul(sub(n, m), add(add(n, m), one))))
        low = mul(fewer, spherical_legendre(n, down, theta))
        high = mul(more, spherical_legendre(n, up, theta))
        # Below the poles, where sin(theta) is negative, it goes the other way.
        turn = sub(one, mul(like(n, 2), _below(theta)))
        return mul(t, mul(turn, mul(like(n, 0.5), sub(high, low))))

    lower = SCIPY_ONLY


spherical_legendre = SphericalLegendre()


def _below(theta: Any) -> Any:
    """1 where sin(theta) is negative, else 0."""
    below = lt(sin(theta), like(theta, 0))
    return convert_element_type(below, new_dtype=theta.dtype, weak_type=False)


def spherical_legendre_values(n: Any, m: Any, theta: Any) -> Any:
    """By the recurrence in the degree, from that of degree |m|; 0 for |m| > n, nan for n < 0."""
    size, along, off = np.absolute(m), np.cos(theta), np.absolute(np.sin(theta))

    def diagonal(i: Any, now: Any) -> list[Any]:
        return [np.where(i < size, -np.sqrt(1 + 0.5 / (i + 1)) * off * now, now)]

    (now,) = counted(diagonal, size.max(initial=0), np.full_like(theta, 0.5 / math.sqrt(math.pi)))

    def degree(i: Any, now: Any, before: Any) -> list[Any]:
        l = i + 1.0  # noqa: E741
        going = (l > size) & (l <= n)
        above = np.where(going, l * l - size * size, 1.0)
        last = np.where(going, (l - 1.0) ** 2 - size * size, 0.0)
        factor = np.sqrt((4.0 * l * l - 1) / above)
        rest = np.sqrt((2 * l + 1) * last / (np.maximum(2 * l - 3, 1.0) * above))
        after = np.where(going, factor * along * now - rest * before, now)
        return [after, np.where(going, now, before)]

    now, _ = counted(degree, n.max(initial=0), now, np.zeros_like(theta))
    sign = np.where((m < 0) & (size % 2 == 1), -1.0, 1.0)
    return np.where(n < 0, np.nan, np.where(size > n, 0.0, sign * now))


# ---- the gamma function of complex numbers


class ComplexLoggamma(Elementwise):
    """the logarithm of the gamma function, continuous but on the negative numbers"""

    takes = "c"

    def eval(self, x: Any) -> Any:
        return _without_poles(x, scipy.loggamma(x.astype(np.complex128))).astype(x.dtype)

    def slope(self, out: Any, x: Any) -> Any:
        return complex_polygamma(x, order=0)

    lower = SCIPY_ONLY


complex_loggamma = ComplexLoggamma()


class ComplexPolygamma(Elementwise):
    """the derivative of order `order` of digamma, of complex numbers"""

    takes = "c"

    def eval(self, x: Any, *, order: int) -> Any:
        z = x.astype(np.complex128)
        found = scipy.psi(z) if order == 0 else complex_polygamma_values(z, order)
        return _without_poles(x, found).astype(x.dtype)

    def slope(self, out: Any, x: Any, *, order: int) -> Any:
        return complex_polygamma(x, order=order + 1)

    lower = SCIPY_ONLY


complex_polygamma = ComplexPolygamma()


def _without_poles(x: Any, found: Any) -> Any:
    pole = (x.imag == 0) & (x.real <= 0) & (np.floor(x.real) == x.real)
    return np.where(pole, complex(np.nan, np.nan), found)


# B_2k for k = 1 to 12.
_BERNOULLI = (
    *(1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510, 43867 / 798),
    *(-174611 / 330, 854513 / 138, -236364091 / 2730),
)


def complex_polygamma_values(z: Any, m: int) -> Any:
    """For m >= 1: its recurrence up to where its asymptotic series has all digits."""
    with quiet():
        total = np.zeros_like(z)
        reach = 14.0 + m
        steps = np.maximum(np.ceil(reach - z.real), 0)
        steps = np.where(np.isfinite(steps) & (steps < 1e5), steps, 0)

        def step(k: Any, total: Any, z: Any) -> list[Any]:
            more = k < steps
            total = np.where(more, total + 1 / np.where(more, z, 1) ** (m + 1), total)
            return [total, np.where(more, z + 1, z)]

        total, z = counted(step, steps.max(initial=0), total, z)
        total = math.factorial(m) * total
        total += math.factorial(m - 1) / z**m + math.factorial(m) / (2 * z ** (m + 1))
        for k, b in enumerate(_BERNOULLI, 1):
            total += b * math.factorial(2 * k + m - 1) / math.factorial(2 * k) / z ** (2 * k + m)
        return (-1) ** (m + 1) * total
