"""The Cauchy distribution, with the density 1 / (pi (1 + x^2))."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ... import numpy as jnp
from ...core.array import Array
from .support import probability_only, reals, standardised

__all__ = ["cdf", "isf", "logcdf", "logpdf", "logsf", "pdf", "ppf", "sf"]


def logpdf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The logarithm of the density at `x`.

    Example:
      >>> from pullback.scipy.stats import cauchy
      >>> print(cauchy.logpdf(0.0), cauchy.cdf(1.0))
      -1.14473 0.75
    """
    z, scale = standardised("cauchy.logpdf", x, loc, scale)
    # Of large z by its logarithm: the square would overflow.
    far = jnp.abs(z) > 1e6
    near = jnp.where(far, 0, z)
    away = jnp.where(far, z, 1)
    log = jnp.where(far, 2 * jnp.log(jnp.abs(away)), jnp.log1p(near * near))
    return -(jnp.log(math.pi * scale) + log)


def pdf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The density at `x`."""
    return jnp.exp(logpdf(x, loc, scale))


def cdf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The probability of a number that is not larger than `x`, to all digits in the left tail."""
    z, _ = standardised("cauchy.cdf", x, loc, scale)
    return _left(z)


def logcdf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The logarithm of `cdf`."""
    z, _ = standardised("cauchy.logcdf", x, loc, scale)
    return _log_left(z)


def sf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The probability of a number larger than `x`: 1 - cdf(x), right also where that is tiny."""
    z, _ = standardised("cauchy.sf", x, loc, scale)
    return _left(-z)


def logsf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The logarithm of `sf`."""
    z, _ = standardised("cauchy.logsf", x, loc, scale)
    return _log_left(-z)


def ppf(q: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The number that is not exceeded with probability `q`: the inverse of `cdf`."""
    q, loc, scale = reals("cauchy.ppf", q, loc, scale)
    return probability_only(q, loc + scale * _quantile(q))


def isf(q: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The number that is exceeded with probability `q`: the inverse of `sf`."""
    q, loc, scale = reals("cauchy.isf", q, loc, scale)
    return probability_only(q, loc - scale * _quantile(q))


def _left(z: Any) -> Any:
    return jnp.arctan2(1, -z) * (1 / math.pi)


def _log_left(z: Any) -> Any:
    above = z > 0
    # Not jnp.minimum and jnp.maximum: at 0 they halve the derivative.
    low, high = jnp.where(above, 0, z), jnp.where(above, z, 0)
    return jnp.where(above, jnp.log1p(-_left(-high)), jnp.log(_left(low)))


def _quantile(q: Any) -> Any:
    # -1 / tan(pi q) keeps the digits of a small q, tan(pi (q - 1/2)) those near 1/2.
    middle = (q > 0.25) & (q < 0.75)
    inner = jnp.where(middle, q - 0.5, 0)
    tail = jnp.where(q > 0.5, 1 - q, q)
    ends = (tail == 0) | middle
    outer = jnp.where(ends, 0.25, tail)
    size = jnp.where(tail == 0, np.inf, 1 / jnp.tan(math.pi * outer))
    return jnp.where(middle, jnp.tan(math.pi * inner), jnp.where(q > 0.5, size, -size))
