"""The left Gumbel distribution, with the distribution function 1 - exp(-exp(x))."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import numpy as jnp
from ...core.array import Array
from .support import log1mexp_exp, reals, standardised

__all__ = ["cdf", "logcdf", "logpdf", "logsf", "pdf", "ppf", "sf"]


def logpdf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The logarithm of the density at `x`; nan if `scale` is not positive.

    Example:
      >>> from pullback.scipy.stats import gumbel_l
      >>> print(gumbel_l.logpdf(0.0))
      -1.0
    """
    z, scale = standardised("gumbel_l.logpdf", x, loc, scale)
    inside = z < np.inf
    z = jnp.where(inside, z, 0)
    found = jnp.where(inside, z - jnp.exp(z), -np.inf) - jnp.log(scale)
    return _valid(scale, jnp.where(jnp.isnan(x), np.nan, found))


def pdf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The density at `x`."""
    return jnp.exp(logpdf(x, loc, scale))


def logcdf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The logarithm of `cdf`."""
    z, scale = standardised("gumbel_l.logcdf", x, loc, scale)
    return _valid(scale, log1mexp_exp(z))


def cdf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The probability of a number that is not larger than `x`."""
    z, scale = standardised("gumbel_l.cdf", x, loc, scale)
    return _valid(scale, -jnp.expm1(-jnp.exp(z)))


def logsf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The logarithm of `sf`."""
    z, scale = standardised("gumbel_l.logsf", x, loc, scale)
    return _valid(scale, -jnp.exp(z))


def sf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The probability of a number larger than `x`: 1 - cdf(x), right also where that is tiny."""
    return jnp.exp(logsf(x, loc, scale))


def ppf(p: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The number that is not exceeded with probability `p`, between 0 and 1; else nan."""
    p, loc, scale = reals("gumbel_l.ppf", p, loc, scale)
    inside = (p > 0) & (p < 1)
    found = loc + scale * jnp.log(-jnp.log1p(-jnp.where(inside, p, 0.5)))
    return jnp.where(inside, found, np.nan)


def _valid(scale: Any, found: Any) -> Any:
    return jnp.where(scale > 0, found, np.nan)
