"""The logistic distribution, with the distribution function 1 / (1 + exp(-x))."""

from __future__ import annotations

from typing import Any

from ... import nn
from ... import numpy as jnp
from ...core.array import Array
from ..special import expit, logit
from .support import reals, standardised

__all__ = ["cdf", "isf", "logpdf", "pdf", "ppf", "sf"]


def logpdf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The logarithm of the density at `x`.

    Example:
      >>> from pullback.scipy.stats import logistic
      >>> print(logistic.pdf(0.0), logistic.ppf(0.5))
      0.25 0.0
    """
    z, scale = standardised("logistic.logpdf", x, loc, scale)
    return -(nn.softplus(z) + nn.softplus(-z)) - jnp.log(scale)


def pdf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The density at `x`."""
    return jnp.exp(logpdf(x, loc, scale))


def cdf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The probability of a number that is not larger than `x`."""
    z, _ = standardised("logistic.cdf", x, loc, scale)
    return expit(z)


def sf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The probability of a number larger than `x`: 1 - cdf(x), right also where that is tiny."""
    z, _ = standardised("logistic.sf", x, loc, scale)
    return expit(-z)


def ppf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The number that is not exceeded with probability `x`: the inverse of `cdf`."""
    x, loc, scale = reals("logistic.ppf", x, loc, scale)
    return loc + scale * logit(x)


def isf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The number that is exceeded with probability `x`: the inverse of `sf`."""
    x, loc, scale = reals("logistic.isf", x, loc, scale)
    return loc - scale * logit(x)
