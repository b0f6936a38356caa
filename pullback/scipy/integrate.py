"""Integrals of samples: `jax.scipy.integrate`."""

from __future__ import annotations

from typing import Any

from .. import numpy as jnp
from ..core.array import Array

__all__ = ["trapezoid"]


def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Array:
    """The integral of the samples `y` along `axis` by the trapezoidal rule.

    Args:
      y: the samples.
      x: where they are; None: `dx` apart.
      dx: the distance of neighbours.
      axis: the axis.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.scipy.integrate import trapezoid
      >>> print(trapezoid(jnp.array([1., 2., 3.]), dx=0.5))
      2.0
    """
    return jnp.trapezoid(y, x, dx, axis)
