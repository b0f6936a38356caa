"""The geometric distribution: the number of the first trial that succeeds, with probability p."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import numpy as jnp
from ...core.array import Array
from ..special import xlog1py
from .support import reals

__all__ = ["logpmf", "pmf"]


def logpmf(k: Any, p: Any, loc: Any = 0) -> Array:
    """The logarithm of the probability of `k`; -inf for k <= loc.

    Example:
      >>> from pullback.scipy.stats import geom
      >>> print(geom.pmf(2, 0.5), geom.pmf(0, 0.5))
      0.25 0.0
    """
    k, p, loc = reals("geom.logpmf", k, p, loc)
    x = k - loc
    outside = x <= 0
    x = jnp.where(outside, 1, x)
    return jnp.where(outside, -np.inf, xlog1py(x - 1, -p) + jnp.log(p))


def pmf(k: Any, p: Any, loc: Any = 0) -> Array:
    """The probability of `k`."""
    return jnp.exp(logpmf(k, p, loc))
