"""Vector quantisation: points replaced by the nearest of a few."""

from __future__ import annotations

from typing import Any

from ... import lax
from ... import numpy as jnp
from ...core import dtypes
from ...core.array import Array
from ...core.errors import error
from ...numpy.promotion import promote_inexact

__all__ = ["vq"]


def vq(obs: Any, code_book: Any, check_finite: bool = True) -> tuple[Array, Array]:
    """Which point of `code_book` is the nearest to each of `obs`, and how far it is.

    Args:
      obs: points, of shape ``(m, d)``, or ``(m,)`` of numbers.
      code_book: points, of shape ``(k, d)``, or ``(k,)``.
      check_finite: changes nothing.

    Returns:
      Integers and distances, each of shape ``(m,)``. The derivative of a distance of 0 is 0.

    Raises:
      ValueError: the shapes do not fit.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.scipy.cluster.vq import vq
      >>> code, distance = vq(jnp.array([1., 4.5]), jnp.array([0., 5.]))
      >>> print(code, distance)
      [0 1] [1.  0.5]
    """
    points, book = promote_inexact("vq", obs, code_book)
    if points.ndim != book.ndim or points.ndim not in (1, 2):
        raise error(
            ValueError,
            "Observation and code_book should have the same rank."
            if points.ndim != book.ndim
            else "ndim different than 1 or 2 are not supported.",
            got=f"obs.shape={points.shape}, code_book.shape={book.shape}",
            fix="give two matrices, or two vectors.",
        )
    if points.ndim == 1:
        points, book = points[:, None], book[:, None]
    if points.shape[1] != book.shape[1]:
        raise error(
            ValueError,
            "the points of obs and code_book have different lengths.",
            got=f"obs.shape={points.shape}, code_book.shape={book.shape}",
            fix="both must have as many columns.",
        )
    off = lax.stop_gradient(points)[:, None] - lax.stop_gradient(book)[None]
    code = jnp.argmin(jnp.sum(off * off, axis=-1), axis=-1).astype(dtypes.default_int())
    nearest = points - book[code]
    squares = jnp.sum(nearest * nearest, axis=-1)
    here = squares == 0
    return code, jnp.where(here, 0, jnp.sqrt(jnp.where(here, 1, squares)))
