"""The right Gumbel distribution, with the distribution function exp(-exp(-x))."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import numpy as jnp
from ...core.array import Array
from . import gumbel_l
from .support import reals

__all__ = ["cdf", "logcdf", "logpdf", "logsf", "pdf", "ppf", "sf"]

# It is the left one turned round.


def logpdf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The logarithm of the density at `x`; nan if `scale` is not positive.

    Example:
      >>> from pullback.scipy.stats import gumbel_r
      >>> print(gumbel_r.logpdf(0.0))
      -1.0
    """
    x, loc, scale = reals("gumbel_r.logpdf", x, loc, scale)
    return gumbel_l.logpdf(-x, -loc, scale)


def pdf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The density at `x`."""
    return jnp.exp(logpdf(x, loc, scale))


def logcdf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The logarithm of `cdf`."""
    x, loc, scale = reals("gumbel_r.logcdf", x, loc, scale)
    return gumbel_l.logsf(-x, -loc, scale)


def cdf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The probability of a number that is not larger than `x`."""
    return jnp.exp(logcdf(x, loc, scale))


def logsf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The logarithm of `sf`."""
    x, loc, scale = reals("gumbel_r.logsf", x, loc, scale)
    return gumbel_l.logcdf(-x, -loc, scale)


def sf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The probability of a number larger than `x`: 1 - cdf(x), right also where that is tiny."""
    x, loc, scale = reals("gumbel_r.sf", x, loc, scale)
    return gumbel_l.cdf(-x, -loc, scale)


def ppf(p: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The number that is not exceeded with probability `p`, between 0 and 1; else nan."""
    p, loc, scale = reals("gumbel_r.ppf", p, loc, scale)
    inside = (p > 0) & (p < 1)
    found = loc - scale * jnp.log(-jnp.log(jnp.where(inside, p, 0.5)))
    return jnp.where(inside, found, np.nan)
