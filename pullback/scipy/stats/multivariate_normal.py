"""The normal distribution of vectors."""

from __future__ import annotations

import math
from typing import Any

from ... import lax
from ... import numpy as jnp
from ...core.array import Array
from ...core.errors import error
from ...numpy.promotion import broadcast_shapes, promote_inexact

__all__ = ["logpdf", "pdf"]


def logpdf(x: Any, mean: Any, cov: Any, allow_singular: None = None) -> Array:
    """The logarithm of the density at `x`.

    Args:
      x: an array of shape ``(..., n)``; axes in front are a batch, in all arguments.
      mean: an array of shape ``(..., n)``, or a scalar.
      cov: the covariances, of shape ``(..., n, n)``; a scalar stands for that times the identity.
      allow_singular: must be None.

    Raises:
      ValueError: the shapes do not fit.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.scipy.stats import multivariate_normal
      >>> print(multivariate_normal.logpdf(jnp.zeros(2), jnp.zeros(2), jnp.eye(2)))
      -1.837877
    """
    if allow_singular is not None:
        raise error(
            NotImplementedError,
            "multivariate_normal.logpdf does not take allow_singular.",
            got=f"allow_singular={allow_singular!r}",
            fix="leave it out; add a small multiple of the identity to a singular covariance.",
        )
    x, mean, cov = promote_inexact("multivariate_normal.logpdf", x, mean, cov)
    off = x - mean
    if not mean.shape or not cov.shape:
        n = mean.shape[-1] if mean.shape else 1
        square = jnp.sum(off * off, axis=-1) if mean.shape else off * off
        return -0.5 * (square / cov + n * (math.log(2 * math.pi) + jnp.log(cov)))
    n = mean.shape[-1]
    if cov.ndim < 2 or cov.shape[-2:] != (n, n):
        raise error(
            ValueError,
            "multivariate_normal.logpdf got incompatible shapes.",
            got=f"mean.shape={mean.shape}, cov.shape={cov.shape}",
            fix="the covariance of n numbers has the shape (n, n).",
        )
    factor = lax.linalg.cholesky(cov)
    y = _solved(factor, off)
    logs = jnp.log(jnp.diagonal(factor, axis1=-2, axis2=-1))
    half = 0.5 * jnp.sum(y * y, axis=-1) + 0.5 * n * math.log(2 * math.pi)
    return -half - jnp.sum(logs, axis=-1)


def pdf(x: Any, mean: Any, cov: Any) -> Array:
    """The density at `x`: see `logpdf`."""
    return jnp.exp(logpdf(x, mean, cov))


def _solved(factor: Any, off: Any) -> Any:
    """The solutions of `factor @ y = off`, for each vector of the batch."""
    n = factor.shape[-1]
    if factor.ndim == 2:  # all at once
        flat = off.reshape(-1, n)
        y = lax.linalg.triangular_solve(factor, flat, lower=True, transpose_a=True)
        return y.reshape(off.shape)
    shape = broadcast_shapes("multivariate_normal.logpdf", factor.shape[:-2], off.shape[:-1])
    factor = jnp.broadcast_to(factor, (*shape, n, n))
    right = jnp.broadcast_to(off, (*shape, n))[..., None]
    return lax.linalg.triangular_solve(factor, right, left_side=True, lower=True)[..., 0]
