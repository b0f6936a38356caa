"""The generalised normal distribution, with the density beta exp(-|x|^beta) / (2 Gamma(1/beta))."""

from __future__ import annotations

from typing import Any

from ... import lax
from ... import numpy as jnp
from ...core.array import Array
from ...custom import custom_jvp
from ...ops import incomplete
from .support import abs_power, reals

__all__ = ["cdf", "logpdf", "pdf"]


def logpdf(x: Any, beta: Any) -> Array:
    """The logarithm of the density at `x`: beta = 2 is the normal, 1 the Laplace distribution.

    Example:
      >>> from pullback.scipy.stats import gennorm
      >>> print(gennorm.pdf(0.0, 1.0), gennorm.cdf(0.0, 1.5))
      0.5 0.5
    """
    return _logpdf(*reals("gennorm.logpdf", x, beta))


def pdf(x: Any, beta: Any) -> Array:
    """The density at `x`."""
    return jnp.exp(logpdf(x, beta))


def cdf(x: Any, beta: Any) -> Array:
    """The probability of a number that is not larger than `x`, to all digits in the left tail."""
    return _cdf(*reals("gennorm.cdf", x, beta))


def _logpdf(x: Any, beta: Any) -> Any:
    return jnp.log(0.5 * beta) - lax.lgamma(1 / beta) - abs_power(x, beta)


@custom_jvp
def _cdf(x: Any, beta: Any) -> Any:
    tail = 0.5 * lax.igammac(1 / beta, abs_power(x, beta))
    return jnp.where(x < 0, tail, 1 - tail)


@_cdf.defjvp
def _cdf_jvp(primals: Any, tangents: Any) -> Any:
    (x, beta), (dx, db) = primals, tangents
    # At 0 the composition has 0 inf. The derivative in x of a half of igamma is the density.
    density = jnp.exp(_logpdf(x, beta))
    size = jnp.where(x == 0, 1, jnp.abs(x))
    a = 1 / beta
    in_a = 0.5 * jnp.sign(x) * lax.igamma_grad_a(a, size**beta)
    in_beta = density * incomplete.zero_times(x, jnp.log(size)) / beta - in_a * (a * a)
    return _cdf(x, beta), dx * density + db * in_beta
