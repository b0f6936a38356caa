"""The Poisson distribution: how many events come, of which `mu` are expected."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ... import numpy as jnp
from ...core.array import Array
from ...numpy.promotion import broadcast_shapes, promote_inexact
from ..normal import horner
from ..special import gammaincc
from .support import gamma_density, gamma_log_density, reals

__all__ = ["cdf", "entropy", "logpmf", "pmf"]

# mu^k exp(-mu) / k! is the gamma density of k + 1 at mu.


def logpmf(k: Any, mu: Any, loc: Any = 0) -> Array:
    """The logarithm of the probability of `k`; -inf for numbers that are negative or not whole.

    Example:
      >>> from pullback.scipy.stats import poisson
      >>> print(poisson.logpmf(0, 2.0), poisson.pmf(1, 0.0))
      -2.0 0.0
    """
    x, mu, inside = _arguments("poisson.logpmf", k, mu, loc)
    return jnp.where(inside, gamma_log_density(x + 1, mu), -np.inf)


def pmf(k: Any, mu: Any, loc: Any = 0) -> Array:
    """The probability of `k`."""
    x, mu, inside = _arguments("poisson.pmf", k, mu, loc)
    return jnp.where(inside, gamma_density(x + 1, mu), 0)


def cdf(k: Any, mu: Any, loc: Any = 0) -> Array:
    """The probability of a number that is not larger than `k`."""
    k, mu, loc = reals("poisson.cdf", k, mu, loc)
    x = k - loc
    outside = x < 0
    inside = jnp.where(outside, 0, x)
    return jnp.where(outside, 0, gammaincc(jnp.floor(inside) + 1, mu))


def _arguments(name: str, k: Any, mu: Any, loc: Any) -> tuple[Any, Any, Any]:
    k, mu, loc = reals(name, k, mu, loc)
    x = k - loc
    inside = jnp.isnan(k) | ((x >= 0) & (x < np.inf) & (jnp.round(k) == k))
    return jnp.where(inside, x, 0), jnp.where(mu < 0, np.nan, mu), inside


def entropy(mu: Any, loc: Any = 0) -> Array:
    """The entropy, in the shape of `mu` and `loc` together; `loc` changes nothing else.

    Up to mu = 60 it is summed; beyond, by the series of R. Evans and J. Boersma, "The entropy of a
    Poisson distribution" (1988).
    """
    mu, loc = promote_inexact("poisson.entropy", mu, loc)
    shape = broadcast_shapes("poisson.entropy", mu.shape, loc.shape)
    large, zero = mu > 60, mu == 0
    inside = jnp.where(large | zero, 1, mu)
    found = jnp.where(large, _entropy_large(jnp.where(large, mu, 60)), _entropy_small(inside))
    return jnp.broadcast_to(jnp.where(zero, 0, found), shape)


def _entropy_small(mu: Any) -> Any:
    mu = jnp.where(mu < 0, np.nan, mu)[..., None]
    k = jnp.broadcast_to(jnp.arange(1, 181, dtype=mu.dtype), (*mu.shape[:-1], 180))
    logs = gamma_log_density(k, jnp.broadcast_to(mu, k.shape))
    return -jnp.sum(jnp.exp(logs) * logs, axis=-1)


# H(mu) = log(2 pi e mu) / 2 - 1 / (12 mu) - 1 / (24 mu^2) - ...
_SERIES = (1 / 12, 1 / 24, 19 / 360, 9 / 80, 863 / 2520, 1375 / 1008)


def _entropy_large(mu: Any) -> Any:
    return 0.5 * jnp.log(2 * math.pi * math.e * mu) - horner(_SERIES[::-1], 1 / mu) / mu
