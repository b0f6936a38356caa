"""The Pareto distribution, with the density b / x^(b + 1) for x >= 1."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import numpy as jnp
from ...core.array import Array
from .support import log1mexp, probability_only, reals

__all__ = ["cdf", "logcdf", "logpdf", "logsf", "pdf", "ppf", "sf"]


def logpdf(x: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The logarithm of the density at `x`; -inf for x < loc + scale.

    Example:
      >>> from pullback.scipy.stats import pareto
      >>> print(pareto.pdf(1.0, 3.0), pareto.sf(2.0, 1.0))
      3.0 0.5
    """
    log, b, scale, outside = _arguments("pareto.logpdf", x, b, loc, scale)
    return jnp.where(outside, -np.inf, jnp.log(b / scale) - (b + 1) * log)


def pdf(x: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The density at `x`."""
    return jnp.exp(logpdf(x, b, loc, scale))


def cdf(x: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The probability of a number that is not larger than `x`."""
    log, b, _, outside = _arguments("pareto.cdf", x, b, loc, scale)
    return jnp.where(outside, 0, -jnp.expm1(-b * log))


def logcdf(x: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The logarithm of `cdf`."""
    log, b, _, outside = _arguments("pareto.logcdf", x, b, loc, scale)
    outside = outside | (log == 0)
    return jnp.where(outside, -np.inf, log1mexp(jnp.where(outside, 1, b * log)))


def logsf(x: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The logarithm of `sf`."""
    log, b, _, outside = _arguments("pareto.logsf", x, b, loc, scale)
    return jnp.where(outside, 0, -b * log)


def sf(x: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The probability of a number larger than `x`: 1 - cdf(x), right also where that is tiny."""
    return jnp.exp(logsf(x, b, loc, scale))


def ppf(q: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The number that is not exceeded with probability `q`: the inverse of `cdf`."""
    q, b, loc, scale = reals("pareto.ppf", q, b, loc, scale)
    inside = (q >= 0) & (q <= 1)
    found = loc + scale * jnp.exp(-jnp.log1p(-jnp.where(inside, q, 0)) / b)
    return probability_only(q, found)


def _arguments(name: str, x: Any, b: Any, loc: Any, scale: Any) -> tuple[Any, Any, Any, Any]:
    x, b, loc, scale = reals(name, x, b, loc, scale)
    y = (x - loc) / scale
    outside = y < 1
    return jnp.log(jnp.where(outside, 1, y)), b, scale, outside
