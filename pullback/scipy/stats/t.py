"""Student's t distribution."""

from __future__ import annotations

from typing import Any

from ... import numpy as jnp
from ...core.array import Array
from ..special import betaln
from .support import reals

__all__ = ["logpdf", "pdf"]


def logpdf(x: Any, df: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The logarithm of the density at `x`, of `df` degrees of freedom; exact for large `df` too.

    Example:
      >>> from pullback.scipy.stats import t
      >>> print(t.logpdf(0.0, 1.0))
      -1.1447299
    """
    x, df, loc, scale = reals("t.logpdf", x, df, loc, scale)
    z = (x - loc) / scale
    # Gamma((df + 1) / 2) / (Gamma(df / 2) sqrt(pi)) is 1 / B(df / 2, 1 / 2).
    constant = betaln(0.5 * df, 0.5) + 0.5 * jnp.log(df) + jnp.log(scale)
    return -constant - 0.5 * (df + 1) * jnp.log1p(z * z / df)


def pdf(x: Any, df: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The density at `x`."""
    return jnp.exp(logpdf(x, df, loc, scale))
