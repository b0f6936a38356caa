"""The normal distribution: density, distribution function and their inverses and logarithms."""

from __future__ import annotations

import math
from typing import Any

from ... import numpy as jnp
from ...core.array import Array
from .. import special
from ..special.arguments import arrays

__all__ = ["cdf", "isf", "logcdf", "logpdf", "logsf", "pdf", "ppf", "sf"]


def logpdf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The logarithm of the density at `x`, for mean `loc` and standard deviation `scale`.

    Example:
      >>> from pullback.scipy.stats import norm
      >>> print(norm.logpdf(0.0))
      -0.9189385
    """
    x, loc, scale = arrays("norm.logpdf", x, loc, scale)
    # Not through scale**2, which overflows float32 for a scale of 2e19.
    z = (x - loc) / scale
    return -0.5 * (z * z) - jnp.log(scale) - 0.5 * math.log(2 * math.pi)


def pdf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The density at `x`, for mean `loc` and standard deviation `scale`."""
    return jnp.exp(logpdf(x, loc, scale))


def cdf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The probability of a number that is not larger than `x`."""
    x, loc, scale = arrays("norm.cdf", x, loc, scale)
    return special.ndtr((x - loc) / scale)


def logcdf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The logarithm of `cdf`, right also where `cdf` is 0."""
    x, loc, scale = arrays("norm.logcdf", x, loc, scale)
    return special.log_ndtr((x - loc) / scale)


def sf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The probability of a number larger than `x`: 1 - cdf(x), right also where that is tiny."""
    x, loc, scale = arrays("norm.sf", x, loc, scale)
    return special.ndtr((loc - x) / scale)


def logsf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The logarithm of `sf`, right also where `sf` is 0."""
    x, loc, scale = arrays("norm.logsf", x, loc, scale)
    return special.log_ndtr((loc - x) / scale)


def ppf(q: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The number that is not exceeded with probability `q`: the inverse of `cdf`."""
    q, loc, scale = arrays("norm.ppf", q, loc, scale)
    return special.ndtri(q) * scale + loc


def isf(q: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The number that is exceeded with probability `q`: the inverse of `sf`."""
    q, loc, scale = arrays("norm.isf", q, loc, scale)
    return loc - special.ndtri(q) * scale
