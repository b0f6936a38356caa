"""The multinomial distribution: how many of n trials have each of several results."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import lax
from ... import numpy as jnp
from ...core import dtypes
from ...core.array import Array
from ...core.errors import error
from ...core.trace import type_of
from ...numpy.promotion import promote_dtypes, promote_inexact
from ..special import xlogy

__all__ = ["logpmf", "pmf"]


def logpmf(x: Any, n: Any, p: Any) -> Array:
    """The logarithm of the probability of the counts `x`; -inf where they do not add up to `n`.

    Args:
      x: integers; the last axis runs over the results, axes before it are a batch.
      n: how many trials, an integer.
      p: the probability of each result.

    Raises:
      ValueError: `x` or `n` are not integers.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.scipy.stats import multinomial
      >>> print(multinomial.pmf(jnp.array([1, 1]), 2, jnp.array([0.5, 0.5])))
      0.5
    """
    (p,) = promote_inexact("multinomial.logpmf", p)
    x, n = promote_dtypes("multinomial.logpmf", x, n)
    if dtypes.kind(x.dtype) not in "iu":
        raise error(
            ValueError,
            "x and n must be of integer type.",
            got=f"{type_of(x).str_short()}, {type_of(n).str_short()}",
            fix="convert with .astype(int).",
        )
    right = jnp.sum(x, axis=-1) == n
    x, n = x.astype(p.dtype), n.astype(p.dtype)
    terms = xlogy(x, p) - lax.lgamma(x + 1)
    return jnp.where(right, lax.lgamma(n + 1) + jnp.sum(terms, axis=-1), -np.inf)


def pmf(x: Any, n: Any, p: Any) -> Array:
    """The probability of the counts `x`: see `logpmf`."""
    return jnp.exp(logpmf(x, n, p))
