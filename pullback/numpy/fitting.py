"""Polynomials from data, and their zeros: polyfit and roots."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..core import dtypes
from ..core.array import Array
from ..core.errors import error
from ..core.trace import type_of
from . import contraction, diagonals, linalg, ordering, reductions, selecting
from .arguments import concrete, integer
from .creation import arange, ones, zeros
from .functions import sqrt
from .promotion import as_array, inexact, promote_inexact
from .shaping import atleast_1d


def roots(p: Any, *, strip_zeros: bool = True) -> Array:
    """The zeros of a polynomial: the eigenvalues of its companion matrix, always complex.

    A zero of multiplicity one has a derivative with respect to the coefficients.

    Args:
      p: the coefficients, the highest power first.
      strip_zeros: leave out leading coefficients that are 0, whose number then must be known (not
        under jit); if False, they make zeros of nan at the end of the result.

    Raises:
      ValueError: `p` has more than one axis.
      ConcretizationTypeError: leading zeros are to be left out, and `p` is traced.

    Example:
      >>> import pullback.numpy as jnp
      >>> print(jnp.sort(jnp.roots(jnp.array([1., 0., -4.]))))
      [-2.+0.j  2.+0.j]
    """
    p = atleast_1d(inexact("roots", as_array(p, "roots")))
    if len(p.shape) != 1:
        raise error(
            ValueError,
            "jnp.roots: Input must be a rank-1 array.",
            got=type_of(p).str_short(),
            fix="use vmap with strip_zeros=False for several polynomials.",
        )
    if p.shape[0] < 2:
        return zeros(0, np.result_type(p.dtype, np.complex64))
    if strip_zeros:
        value = concrete(p, "`p` of jnp.roots", "pass strip_zeros=False: it gives nan instead.")
        used = np.flatnonzero(value)
        return _zeros_of(p[used[0] :] if used.size else p[:0])
    size = p.shape[0]
    leading = reductions.sum(_leading_zeros(p))
    p = selecting.where(leading == size, ones(size, p.dtype), p)
    found = _zeros_of(p[(arange(size) + leading) % size])
    # The zeros of leading coefficients have become trailing ones, that is zeros at 0.
    found = found[ordering.argsort(found == 0, stable=True)]
    return selecting.where(
        arange(size - 1) < size - 1 - leading, found, complex(math.nan, math.nan)
    )


def _leading_zeros(p: Any) -> Any:
    """Whether this coefficient and all before it are 0."""
    places = arange(p.shape[0])
    first = reductions.min(selecting.where(p != 0, places, p.shape[0]))
    return places < first


def _zeros_of(p: Any) -> Any:
    """The zeros, if the first coefficient is not 0."""
    if p.shape[0] < 2:
        return zeros(0, np.result_type(p.dtype, np.complex64))
    companion = diagonals.diag(ones(p.shape[0] - 2, p.dtype), -1)
    return linalg.eigvals(companion.at[0, :].set(-p[1:] / p[0]))


def polyfit(
    x: Any,
    y: Any,
    deg: int,
    rcond: float | None = None,
    full: bool = False,
    w: Any = None,
    cov: bool | str = False,
) -> Any:
    """The polynomial that comes closest to points, in the sum of squares.

    Args:
      x: where the points are: an array of shape ``(m,)``.
      y: their values, of shape ``(m,)``, or ``(m, k)`` for k polynomials.
      deg: the highest power.
      rcond: singular values of the problem below this share of the largest count as zero; by
        default m times the dtype's precision.
      full: return ``(p, residuals, rank, s, rcond)``: see `linalg.lstsq`.
      w: the weight of each point's distance (not of its square), of shape ``(m,)``.
      cov: return ``(p, covariance)``, scaled by the residuals unless it is ``"unscaled"``.

    Returns:
      The coefficients, the highest power first: of shape ``(deg + 1,)`` or ``(deg + 1, k)``.

    Raises:
      ValueError: `deg` is negative, or there are too few points for a scaled covariance.
      TypeError: the shapes do not fit.

    Example:
      >>> import pullback.numpy as jnp
      >>> x = jnp.arange(4.0)
      >>> print(jnp.polyfit(x, 2 * x**2 - 1, 2).round(3) + 0.0)
      [ 2.  0. -1.]
    """
    x, y = promote_inexact("polyfit", x, y)
    order = integer(deg, "`deg` of jnp.polyfit") + 1
    _check_points(x, y, order, w)
    if rcond is None:
        rcond = x.shape[0] * float(dtypes.finfo(x.dtype).eps)
    left, right = diagonals.vander(x, order), y
    if w is not None:
        (w,) = promote_inexact("polyfit", w)
        left = left * w[:, None]
        right = right * (w if len(y.shape) == 1 else w[:, None])
    # Columns of length 1 make the problem better conditioned.
    scale = sqrt(reductions.sum(left * left, axis=0))
    left = left / scale[None]
    p, rest, rank, s = linalg.lstsq(left, right, rcond)
    p = p / (scale if len(p.shape) == 1 else scale[:, None])
    if full:
        return p, rest, rank, s, as_array(rcond)
    if not cov:
        return p
    base = linalg.inv(left.T @ left) / contraction.outer(scale, scale)
    if cov != "unscaled":
        if x.shape[0] <= order:
            raise error(
                ValueError,
                "the number of data points must exceed order to scale the covariance matrix.",
                got=f"{x.shape[0]} points for deg={order - 1}",
                fix='give more points, or cov="unscaled".',
            )
        factor = rest / (x.shape[0] - order)
    else:
        factor = ones(1, base.dtype)
    return p, base * factor[0] if len(y.shape) == 1 else base[:, :, None] * factor


def _check_points(x: Any, y: Any, order: int, w: Any) -> None:
    if order <= 0:
        raise error(
            ValueError,
            "jnp.polyfit: expected deg >= 0.",
            got=f"deg={order - 1}",
            fix="give 0 or more.",
        )
    fits = len(x.shape) == 1 and x.shape[0] and len(y.shape) in (1, 2) and y.shape[0] == x.shape[0]
    if not fits or (w is not None and np.shape(w) != x.shape):
        raise error(
            TypeError,
            "jnp.polyfit takes x of shape (m,), m > 0, y of shape (m,) or (m, k), and w of shape "
            "(m,).",
            got=f"x: {type_of(x).str_short()}, y: {type_of(y).str_short()}"
            + ("" if w is None else f", w of shape {np.shape(w)}"),
            fix="flatten x, or check the lengths.",
        )
