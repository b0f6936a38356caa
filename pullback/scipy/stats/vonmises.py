"""The von Mises distribution of angles, with the density exp(kappa cos(x)) / (2 pi I0(kappa))."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ... import lax
from ... import numpy as jnp
from ...core.array import Array
from .support import reals

__all__ = ["logpdf", "pdf"]


def logpdf(x: Any, kappa: Any) -> Array:
    """The logarithm of the density at the angle `x`; nan if `kappa` is not positive.

    Example:
      >>> from pullback.scipy.stats import vonmises
      >>> print(vonmises.logpdf(0.0, 1.0))
      -1.0737915
    """
    x, kappa = reals("vonmises.logpdf", x, kappa)
    right = kappa > 0
    kappa = jnp.where(right, kappa, 1)
    half = jnp.sin(0.5 * x)  # cos(x) - 1 would lose the digits of a small angle
    found = -2 * kappa * (half * half) - jnp.log(2 * math.pi * lax.bessel_i0e(kappa))
    return jnp.where(right, found, np.nan)


def pdf(x: Any, kappa: Any) -> Array:
    """The density at the angle `x`."""
    return jnp.exp(logpdf(x, kappa))
