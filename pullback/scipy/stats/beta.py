"""The beta distribution, with the density x^(a-1) (1-x)^(b-1) / B(a, b) on [0, 1]."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import numpy as jnp
from ...core.array import Array
from ..special import betainc
from .support import beta_complement, beta_density, beta_log_density, clamp, reals, safe_log

__all__ = ["cdf", "logcdf", "logpdf", "logsf", "pdf", "sf"]


def logpdf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The logarithm of the density at `x`; nan if `a`, `b` or `scale` is not positive.

    Example:
      >>> from pullback.scipy.stats import beta
      >>> print(beta.pdf(0.5, 2.0, 2.0), beta.logpdf(2.0, 2.0, 2.0))
      1.5 -inf
    """
    x, a, b, loc, scale = reals("beta.logpdf", x, a, b, loc, scale)
    found = beta_log_density(a, b, (x - loc) / scale) - jnp.log(scale)
    return jnp.where((a > 0) & (b > 0) & (scale > 0), found, np.nan)


def pdf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The density at `x`."""
    x, a, b, loc, scale = reals("beta.pdf", x, a, b, loc, scale)
    found = beta_density(a, b, (x - loc) / scale) / scale
    return jnp.where((a > 0) & (b > 0) & (scale > 0), found, np.nan)


def cdf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The probability of a number that is not larger than `x`."""
    x, a, b, loc, scale = reals("beta.cdf", x, a, b, loc, scale)
    return betainc(a, b, clamp(0, (x - loc) / scale, 1))


def logcdf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The logarithm of `cdf`."""
    return safe_log(cdf(x, a, b, loc, scale))


def sf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The probability of a number larger than `x`: 1 - cdf(x), right also where that is tiny."""
    x, a, b, loc, scale = reals("beta.sf", x, a, b, loc, scale)
    return beta_complement(a, b, clamp(0, (x - loc) / scale, 1))


def logsf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The logarithm of `sf`."""
    return safe_log(sf(x, a, b, loc, scale))
