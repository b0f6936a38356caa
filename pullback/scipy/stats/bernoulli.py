"""The Bernoulli distribution: 1 with probability p, else 0."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import numpy as jnp
from ...core.array import Array
from ..special import xlog1py, xlogy
from .support import reals

__all__ = ["cdf", "logpmf", "pmf", "ppf"]


def logpmf(k: Any, p: Any, loc: Any = 0) -> Array:
    """The logarithm of the probability of `k`, of a distribution moved by `loc`.

    Example:
      >>> from pullback.scipy.stats import bernoulli
      >>> print(bernoulli.pmf(1, 0.25), bernoulli.logpmf(2, 0.25))
      0.25 -inf
    """
    k, p, loc = reals("bernoulli.logpmf", k, p, loc)
    x = k - loc
    outside = (x < 0) | (x > 1)
    x = jnp.where(outside, 0, x)
    return jnp.where(outside, -np.inf, xlogy(x, p) + xlog1py(1 - x, -p))


def pmf(k: Any, p: Any, loc: Any = 0) -> Array:
    """The probability of `k`."""
    return jnp.exp(logpmf(k, p, loc))


def cdf(k: Any, p: Any) -> Array:
    """The probability of a number that is not larger than `k`."""
    k, p = reals("bernoulli.cdf", k, p)
    wrong = jnp.isnan(k) | ~((p >= 0) & (p <= 1))
    found = jnp.where(k < 0, 0, jnp.where(k < 1, 1 - p, 1))
    return jnp.where(wrong, np.nan, found)


def ppf(q: Any, p: Any) -> Array:
    """The smallest number whose `cdf` is at least `q`; nan where `q` or `p` is no probability."""
    q, p = reals("bernoulli.ppf", q, p)
    right = (p >= 0) & (p <= 1) & (q >= 0) & (q <= 1)
    return jnp.where(right, jnp.where(q <= 1 - p, 0, 1), np.nan).astype(q.dtype)
