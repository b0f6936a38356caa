"""The gamma distribution, with the density x^(a-1) exp(-x) / Gamma(a) for x >= 0."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import numpy as jnp
from ...core.array import Array
from ..special import gammainc, gammaincc
from .support import (
    clamp,
    gamma_density,
    gamma_log_density,
    log_igamma,
    log_igammac,
    reals,
)

__all__ = ["cdf", "logcdf", "logpdf", "logsf", "pdf", "sf"]


def logpdf(x: Any, a: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The logarithm of the density at `x`, of shape `a`; exact for large `a` too.

    Example:
      >>> from pullback.scipy.stats import gamma
      >>> print(gamma.pdf(0.0, 1.0), gamma.logpdf(-1.0, 2.0))
      1.0 -inf
    """
    x, a, loc, scale = reals("gamma.logpdf", x, a, loc, scale)
    return gamma_log_density(a, (x - loc) / scale) - jnp.log(scale)


def pdf(x: Any, a: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The density at `x`."""
    x, a, loc, scale = reals("gamma.pdf", x, a, loc, scale)
    return gamma_density(a, (x - loc) / scale) / scale


def cdf(x: Any, a: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The probability of a number that is not larger than `x`."""
    x, a, loc, scale = reals("gamma.cdf", x, a, loc, scale)
    return gammainc(a, clamp(0, (x - loc) / scale, np.inf))


def logcdf(x: Any, a: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The logarithm of `cdf`, right also where that is tiny."""
    x, a, loc, scale = reals("gamma.logcdf", x, a, loc, scale)
    z = (x - loc) / scale
    outside = z <= 0
    return jnp.where(outside, -np.inf, log_igamma(a, jnp.where(outside, 1, z)))


def sf(x: Any, a: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The probability of a number larger than `x`: 1 - cdf(x), right also where that is tiny."""
    x, a, loc, scale = reals("gamma.sf", x, a, loc, scale)
    return gammaincc(a, clamp(0, (x - loc) / scale, np.inf))


def logsf(x: Any, a: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The logarithm of `sf`, right also where that is tiny."""
    x, a, loc, scale = reals("gamma.logsf", x, a, loc, scale)
    z = (x - loc) / scale
    outside = z <= 0
    return jnp.where(outside, 0, log_igammac(a, jnp.where(outside, 1, z)))
