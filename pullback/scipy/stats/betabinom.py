"""The beta-binomial distribution: binomial, with a probability drawn from a beta distribution."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import numpy as jnp
from ...core.array import Array
from ..special import betaln
from .support import reals

__all__ = ["logpmf", "pmf"]


def logpmf(k: Any, n: Any, a: Any, b: Any, loc: Any = 0) -> Array:
    """The logarithm of the probability of `k` successes (rounded down) in `n` trials.

    Args:
      k: an array.
      n, a, b: the number of trials, and the parameters of the beta distribution: nan comes out
        where `n` is negative or the others are not positive.
      loc: what is added to the number of successes.

    Example:
      >>> from pullback.scipy.stats import betabinom
      >>> print(betabinom.pmf(1, 3, 1.0, 1.0))
      0.25
    """
    k, n, a, b, loc = reals("betabinom.logpmf", k, n, a, b, loc)
    y = jnp.floor(k) - loc
    right = (n >= 0) & (a > 0) & (b > 0)
    inside = right & ~((y < 0) | (y > n))
    y, n = jnp.where(inside, y, 0), jnp.where(inside, n, 0)
    a, b = jnp.where(inside, a, 1), jnp.where(inside, b, 1)
    ways = jnp.log1p(n) + betaln(n - y + 1, y + 1)
    found = betaln(y + a, n - y + b) - betaln(a, b) - ways
    return jnp.where(right, jnp.where(inside, found, -np.inf), np.nan)


def pmf(k: Any, n: Any, a: Any, b: Any, loc: Any = 0) -> Array:
    """The probability of `k` successes."""
    return jnp.exp(logpmf(k, n, a, b, loc))
