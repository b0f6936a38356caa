"""The Cauchy distribution wrapped around a circle."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ... import numpy as jnp
from ...core.array import Array
from .support import reals

__all__ = ["logpdf", "pdf"]


def logpdf(x: Any, c: Any) -> Array:
    """The logarithm of the density at `x`, for 0 < c < 1: -inf outside of 0 to 2 pi.

    Example:
      >>> from pullback.scipy.stats import wrapcauchy
      >>> print(wrapcauchy.logpdf(1.0, 0.5), wrapcauchy.pdf(7.0, 0.5))
      -1.782643 0.0
    """
    x, c = reals("wrapcauchy.logpdf", x, c)
    right, inside = (c > 0) & (c < 1), (x >= 0) & (x <= 2 * math.pi)
    c = jnp.where(right, c, 0.5)
    half = jnp.sin(0.5 * jnp.where(inside, x, 0))
    # 1 + c^2 - 2 c cos(x), where nothing cancels
    below = (1 - c) * (1 - c) + 4 * c * (half * half)
    found = jnp.log((1 - c) * (1 + c) / (2 * math.pi)) - jnp.log(below)
    return jnp.where(right, jnp.where(inside, found, -np.inf), np.nan)


def pdf(x: Any, c: Any) -> Array:
    """The density at `x`."""
    return jnp.exp(logpdf(x, c))
