"""Binomial coefficients, Bernoulli numbers, powers and the gamma function beyond the real line."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from ... import lax
from ... import numpy as jnp
from ...core import dtypes
from ...core.array import Array
from ...core.errors import error
from ...core.lazy import lazy
from ...custom import custom_jvp
from ...numpy.promotion import promote_inexact
from ...ops import harmonics, hypergeometric, special_integrals
from .arguments import arrays, reals

scipy = lazy("scipy.special")


def bernoulli(n: int) -> Array:
    """The Bernoulli numbers B(0) to B(n), of which B(1) is -1/2.

    Example:
      >>> from pullback.scipy.special import bernoulli
      >>> print(bernoulli(4))
      [ 1.         -0.5         0.16666667  0.         -0.03333334]
    """
    n = operator.index(n)
    if n < 0:
        raise error(
            ValueError,
            "n must be a non-negative integer.",
            got=f"n={n}",
            fix="n is the number of the last Bernoulli number.",
        )
    return jnp.asarray(scipy.bernoulli(max(n, 2))[: n + 1], dtypes.default_float())


def comb(N: Any, k: Any, *, repetition: bool = False) -> Array:
    """How many ways there are to choose `k` of `N` things; 0 for negative numbers and k > N.

    Args:
      N, k: arrays; of numbers that are not whole, by the gamma function.
      repetition: whether a thing can be chosen more than once.

    Example:
      >>> from pullback.scipy.special import comb
      >>> print(comb(5, 2), comb(5, 2, repetition=True))
      10.0 15.0
    """
    N, k = reals("comb", N, k)
    if repetition:
        return jnp.where((k == 0) & (N >= 0), 1, comb(N + k - 1, k))
    inside = (k <= N) & (N >= 0) & (k >= 0)
    found = special_integrals.binomial(*arrays("comb", *_where(inside, (N, 0), (k, 0))))
    return jnp.where(inside, found, 0)


def _where(mask: Any, *pairs: tuple[Any, float]) -> list[Any]:
    return [jnp.where(mask, x, other) for x, other in pairs]


def poch(z: Any, m: Any) -> Array:
    """Pochhammer's symbol gamma(z + m) / gamma(z): z (z + 1) ... (z + m - 1) for whole m.

    Example:
      >>> from pullback.scipy.special import poch
      >>> print(poch(2.0, 3.0))
      24.0
    """
    return special_integrals.poch(*reals("poch", z, m))


def loggamma(x: Any) -> Array:
    """The logarithm of gamma(x): of real numbers for x > 0, else nan; of complex ones everywhere

    but at the poles 0, -1, -2, ... Its imaginary part is continuous off the negative numbers.
    """
    (x,) = promote_inexact("loggamma", x)
    if dtypes.kind(x.dtype) == "c":
        return harmonics.complex_loggamma(x)
    inside = x > 0
    return jnp.where(inside, lax.lgamma(jnp.where(inside, x, 1)), np.nan)


# ---- powers of which the logarithm is a limit


def boxcox(x: Any, lmbda: Any) -> Array:
    """(x**lmbda - 1) / lmbda, and log(x) where `lmbda` is 0; nan for x < 0.

    Example:
      >>> from pullback import grad
      >>> from pullback.scipy.special import boxcox
      >>> print(boxcox(2.0, 0.0), grad(boxcox, 1)(2.0, 0.0))
      0.6931472 0.2402265
    """
    x, lmbda = arrays("boxcox", x, lmbda)
    return _boxcox(x, lmbda)


def boxcox1p(x: Any, lmbda: Any) -> Array:
    """((1 + x)**lmbda - 1) / lmbda, and log(1 + x) where `lmbda` is 0; nan for x < -1."""
    x, lmbda = arrays("boxcox1p", x, lmbda)
    return _boxcox1p(x, lmbda)


@custom_jvp
def _boxcox(x: Any, lmbda: Any) -> Any:
    return _power_over(jnp.log(x), lmbda)


@_boxcox.defjvp
def _boxcox_jvp(primals: Any, tangents: Any) -> Any:
    (x, lmbda), (dx, dl) = primals, tangents
    slope = x ** (lmbda - 1)
    return _boxcox(x, lmbda), dx * slope + dl * _slope_in_power(jnp.log(x), lmbda)


@custom_jvp
def _boxcox1p(x: Any, lmbda: Any) -> Any:
    return _power_over(jnp.log1p(x), lmbda)


@_boxcox1p.defjvp
def _boxcox1p_jvp(primals: Any, tangents: Any) -> Any:
    (x, lmbda), (dx, dl) = primals, tangents
    log = jnp.log1p(x)
    slope = jnp.exp((lmbda - 1) * log)
    return _boxcox1p(x, lmbda), dx * slope + dl * _slope_in_power(log, lmbda)


def _power_over(log: Any, lmbda: Any) -> Any:
    zero = lmbda == 0
    some = jnp.where(zero, 1, lmbda)
    return jnp.where(zero, log, jnp.expm1(some * log) / some)


def _slope_in_power(log: Any, lmbda: Any) -> Any:
    """The derivative of (exp(lmbda log) - 1) / lmbda in lmbda: log^2 s exp(s lmbda log), s < 1."""
    u = lmbda * log
    near = jnp.abs(u) < 1
    v = jnp.where(near, u, 0)
    total: Any = 0.0
    for n in range(20, -1, -1):
        total = total * v + 1 / (math.factorial(n) * (n + 2))
    bounded = jnp.where(near | (jnp.abs(log) == np.inf), 1, log)
    power = jnp.where(near, 1, lmbda)
    away = jnp.exp(power * bounded)
    far = (bounded * away - (away - 1) / power) / power
    squared = jnp.where(near, log, 1) ** 2 * total
    at_end = jnp.where(lmbda > 0, 1 / jnp.where(lmbda == 0, 1, lmbda) ** 2, -np.inf)
    return jnp.where(log == -np.inf, at_end, jnp.where(near, squared, far))


# ---- hypergeometric functions


def hyp1f1(a: Any, b: Any, x: Any) -> Array:
    """Kummer's hypergeometric function 1F1(a; b; x), with derivatives in all arguments.

    Example:
      >>> from pullback import grad
      >>> from pullback.scipy.special import hyp1f1
      >>> print(hyp1f1(1.0, 1.0, 2.0), grad(hyp1f1)(0.0, 1.0, 1.0))
      7.389056 1.3179022
    """
    return hypergeometric.hyp1f1(*reals("hyp1f1", a, b, x))


def hyp2f1(a: Any, b: Any, c: Any, x: Any) -> Array:
    """Gauss's hypergeometric function 2F1(a, b; c; x), with derivatives in all arguments.

    With respect to `a`, `b` and `c` they are sums of up to 20000 terms, and nan where those do not
    suffice: for x above 0.998.
    """
    return hypergeometric.hyp2f1(*reals("hyp2f1", a, b, c, x))
