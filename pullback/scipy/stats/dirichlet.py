"""The Dirichlet distribution: of probabilities that add up to 1."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import lax
from ... import numpy as jnp
from ...core.array import Array
from ...core.errors import error
from ...numpy.promotion import promote_inexact
from ..special import xlogy

__all__ = ["logpdf", "pdf"]


def logpdf(x: Any, alpha: Any) -> Array:
    """The logarithm of the density at `x`: -inf where `x` is not positive or does not add up to 1.

    Args:
      x: an array whose first axis has the length of `alpha`, or one less: the last number is then
        1 minus the sum of the others. Further axes are a batch.
      alpha: a vector of positive numbers.

    Raises:
      ValueError: the shapes do not fit.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.scipy.stats import dirichlet
      >>> print(dirichlet.pdf(jnp.array([0.25, 0.75]), jnp.ones(2)))
      1.0
    """
    x, alpha = promote_inexact("dirichlet.logpdf", x, alpha)
    n = alpha.shape[0] if alpha.ndim == 1 else None
    if n is None or x.ndim == 0 or x.shape[0] not in (n, n - 1):
        what = (
            "`alpha` must be one-dimensional."
            if n is None
            else "`x` must have as many entries as `alpha`, or one fewer."
        )
        raise error(
            ValueError,
            what,
            got=f"x.shape={x.shape}, alpha.shape={alpha.shape}",
            fix="let the first axis of x run over the entries of alpha.",
        )
    if x.shape[0] != n:
        x = jnp.concatenate([x, 1 - jnp.sum(x, axis=0, keepdims=True)], axis=0)
    constant = lax.lgamma(jnp.sum(alpha)) - jnp.sum(lax.lgamma(alpha))
    alpha = alpha.reshape(n, *[1] * (x.ndim - 1))
    inside = jnp.all(x > 0, axis=0) & (jnp.abs(jnp.sum(x, axis=0) - 1) < 1e-6)
    terms = xlogy(alpha - 1, jnp.where(x > 0, x, 1))
    return jnp.where(inside, jnp.sum(terms, axis=0) + constant, -np.inf)


def pdf(x: Any, alpha: Any) -> Array:
    """The density at `x`: see `logpdf`."""
    return jnp.exp(logpdf(x, alpha))
