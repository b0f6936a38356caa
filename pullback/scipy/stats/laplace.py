"""The Laplace distribution, with the density exp(-|x|) / 2."""

from __future__ import annotations

import math
from typing import Any

from ... import numpy as jnp
from ...core.array import Array
from .support import standardised

__all__ = ["cdf", "logpdf", "pdf"]


def logpdf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The logarithm of the density at `x`.

    Example:
      >>> from pullback.scipy.stats import laplace
      >>> print(laplace.pdf(0.0), laplace.cdf(0.0))
      0.5 0.5
    """
    z, scale = standardised("laplace.logpdf", x, loc, scale)
    return -(jnp.abs(z) + (jnp.log(scale) + math.log(2)))


def pdf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The density at `x`."""
    return jnp.exp(logpdf(x, loc, scale))


def cdf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The probability of a number that is not larger than `x`, to all digits in the left tail."""
    z, _ = standardised("laplace.cdf", x, loc, scale)
    left = z <= 0
    low, high = jnp.where(left, z, 0), jnp.where(left, 0, z)
    return jnp.where(left, 0.5 * jnp.exp(low), 1 - 0.5 * jnp.exp(-high))
