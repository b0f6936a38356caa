"""The exponential distribution, with the density exp(-x) for x >= 0."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import numpy as jnp
from ...core.array import Array
from .support import log1mexp, probability_only, reals, standardised

__all__ = ["cdf", "logcdf", "logpdf", "logsf", "pdf", "ppf", "sf"]


def logpdf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The logarithm of the density at `x`.

    Example:
      >>> from pullback.scipy.stats import expon
      >>> print(expon.logpdf(2.0), expon.pdf(-1.0))
      -2.0 0.0
    """
    z, scale = standardised("expon.logpdf", x, loc, scale)
    return jnp.where(z < 0, -np.inf, -(z + jnp.log(scale)))


def pdf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The density at `x`."""
    return jnp.exp(logpdf(x, loc, scale))


def cdf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The probability of a number that is not larger than `x`."""
    z, _ = standardised("expon.cdf", x, loc, scale)
    return jnp.where(z < 0, 0, -jnp.expm1(-z))


def logcdf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The logarithm of `cdf`."""
    z, _ = standardised("expon.logcdf", x, loc, scale)
    inside = ~(z < 0)
    return jnp.where(inside, log1mexp(jnp.where(inside, z, 1)), -np.inf)


def logsf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The logarithm of `sf`."""
    z, _ = standardised("expon.logsf", x, loc, scale)
    return jnp.where(z < 0, 0, -z)


def sf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The probability of a number larger than `x`: 1 - cdf(x), right also where that is tiny."""
    return jnp.exp(logsf(x, loc, scale))


def ppf(q: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The number that is not exceeded with probability `q`: the inverse of `cdf`."""
    q, loc, scale = reals("expon.ppf", q, loc, scale)
    inside = (q >= 0) & (q <= 1)
    return probability_only(q, loc - scale * jnp.log1p(-jnp.where(inside, q, 0)))
