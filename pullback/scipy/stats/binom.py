"""The binomial distribution: how many of n trials succeed, each with probability p."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import numpy as jnp
from ...core.array import Array
from .support import beta_density, beta_log_density, reals

__all__ = ["logpmf", "pmf"]

# C(n, k) p^k (1 - p)^(n - k) is the beta density of k + 1 and n - k + 1 at p, over n + 1.


def logpmf(k: Any, n: Any, p: Any, loc: Any = 0) -> Array:
    """The logarithm of the probability of `k` successes in `n` trials; -inf outside of 0 to n.

    Example:
      >>> from pullback.scipy.stats import binom
      >>> print(binom.pmf(1, 2, 0.5), binom.logpmf(3, 2, 0.5))
      0.5 -inf
    """
    y, n, p, inside = _arguments("binom.logpmf", k, n, p, loc)
    found = beta_log_density(y + 1, n - y + 1, p) - jnp.log1p(n)
    return jnp.where(inside, found, -np.inf)


def pmf(k: Any, n: Any, p: Any, loc: Any = 0) -> Array:
    """The probability of `k` successes in `n` trials."""
    y, n, p, inside = _arguments("binom.pmf", k, n, p, loc)
    return jnp.where(inside, beta_density(y + 1, n - y + 1, p) / (n + 1), 0)


def _arguments(name: str, k: Any, n: Any, p: Any, loc: Any) -> tuple[Any, Any, Any, Any]:
    k, n, p, loc = reals(name, k, n, p, loc)
    y = k - loc
    inside = ~((y < 0) | (y >= n + 1))
    wrong = (p < 0) | (p > 1)
    return jnp.where(inside, y, 0), jnp.where(inside, n, 0), jnp.where(wrong, np.nan, p), inside
