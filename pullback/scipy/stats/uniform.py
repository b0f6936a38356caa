"""The uniform distribution between `loc` and `loc + scale`."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import numpy as jnp
from ...core.array import Array
from .support import probability_only, reals

__all__ = ["cdf", "logpdf", "pdf", "ppf"]


def logpdf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The logarithm of the density at `x`; both ends are inside.

    Example:
      >>> from pullback.scipy.stats import uniform
      >>> print(uniform.pdf(3.0, 2.0, 4.0), uniform.logpdf(1.0, 2.0, 4.0))
      0.25 -inf
    """
    x, loc, scale = reals("uniform.logpdf", x, loc, scale)
    return jnp.where((x > loc + scale) | (x < loc), -np.inf, -jnp.log(scale))


def pdf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The density at `x`."""
    return jnp.exp(logpdf(x, loc, scale))


def cdf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The probability of a number that is not larger than `x`."""
    x, loc, scale = reals("uniform.cdf", x, loc, scale)
    low, high = x < loc, x > loc + scale
    inside = jnp.where(low | high, loc, x)
    return jnp.where(low, 0, jnp.where(high, 1, (inside - loc) / scale))


def ppf(q: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The number that is not exceeded with probability `q`: the inverse of `cdf`."""
    q, loc, scale = reals("uniform.ppf", q, loc, scale)
    return probability_only(q, loc + scale * q)
