"""The negative binomial distribution: how many failures come before the nth success."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import numpy as jnp
from ...core.array import Array
from .support import beta_density, beta_log_density, reals

__all__ = ["logpmf", "pmf"]

# Gamma(k + n) / (k! Gamma(n)) p^n (1 - p)^k is the beta density of n and k + 1 at p, times
# p / (n + k).


def logpmf(k: Any, n: Any, p: Any, loc: Any = 0) -> Array:
    """The logarithm of the probability of `k` failures; `n` need not be whole.

    Example:
      >>> from pullback.scipy.stats import nbinom
      >>> print(nbinom.pmf(1, 1, 0.5), nbinom.logpmf(-1, 1, 0.5))
      0.25 -inf
    """
    y, n, p, inside = _arguments("nbinom.logpmf", k, n, p, loc)
    found = beta_log_density(n, y + 1, p) + jnp.log(p / (n + y))
    return jnp.where(inside, found, -np.inf)


def pmf(k: Any, n: Any, p: Any, loc: Any = 0) -> Array:
    """The probability of `k` failures."""
    y, n, p, inside = _arguments("nbinom.pmf", k, n, p, loc)
    return jnp.where(inside, beta_density(n, y + 1, p) * (p / (n + y)), 0)


def _arguments(name: str, k: Any, n: Any, p: Any, loc: Any) -> tuple[Any, Any, Any, Any]:
    k, n, p, loc = reals(name, k, n, p, loc)
    y = k - loc
    inside = ~(y < 0)
    wrong = (p < 0) | (p > 1)
    return jnp.where(inside, y, 0), n, jnp.where(wrong, np.nan, p), inside
