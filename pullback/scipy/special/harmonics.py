"""Bessel functions of whole order, Legendre functions and spherical harmonics."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ... import lax
from ... import numpy as jnp
from ...api import jvp
from ...core.array import Array
from ...core.errors import error
from ...core.trace import type_of
from ...numpy.arguments import integer
from ...numpy.promotion import as_array, promote_inexact
from ...ops import harmonics
from .arguments import real


def bessel_jn(z: Any, *, v: int, n_iter: int = 50) -> Array:
    """The Bessel functions of the first kind of the orders 0 to `v`, at `z`.

    Args:
      z: an array of floats.
      v: the highest order.
      n_iter: changes nothing: JAX's method has that many steps.

    Returns:
      An array of shape ``(v + 1, *z.shape)``.

    Example:
      >>> from pullback.scipy.special import bessel_jn
      >>> print(bessel_jn(1.0, v=1))
      [0.7651977  0.44005057]
    """
    z, v = real("bessel_jn", z), integer(v, "`v` of bessel_jn")
    integer(n_iter, "`n_iter` of bessel_jn")
    if v < 0:
        raise error(
            ValueError, "bessel_jn takes orders from 0.", got=f"v={v}", fix="J(-v) is (-1)**v J(v)."
        )
    return jnp.stack([harmonics.bessel_j(z, order=n) for n in range(v + 1)])


def sph_harm_y(
    n: Any, m: Any, theta: Any, phi: Any, diff_n: int | None = None, n_max: int | None = None
) -> Array:
    """The spherical harmonics of degree `n` and order `m`.

    Args:
      n, m: integers; of m > n the function is 0.
      theta: the polar angle, from 0 at the north pole.
      phi: the azimuth.
      diff_n: must be None.
      n_max: the highest degree: `n` above it are replaced by it.

    Returns:
      Complex numbers, in the common shape of all; at least a vector.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.scipy.special import sph_harm_y
      >>> print(sph_harm_y(jnp.array([0]), jnp.array([0]), jnp.array([0.5]), jnp.array([0.0])))
      [0.2820948+0.j]
    """
    if diff_n is not None:
        raise error(
            NotImplementedError,
            "The 'diff_n' argument of sph_harm_y is not supported.",
            got=f"diff_n={diff_n!r}",
            fix="use grad or jvp for derivatives.",
        )
    n, m = as_array(n, "sph_harm_y"), as_array(m, "sph_harm_y")
    if n_max is not None:
        n = jnp.minimum(n, integer(n_max, "`n_max` of sph_harm_y"))
    theta, phi = promote_inexact("sph_harm_y", theta, phi)
    theta = jnp.atleast_1d(theta)
    n, m, theta, phi = jnp.broadcast_arrays(n, m, theta, phi)
    n, m = n.astype(theta.dtype), m.astype(theta.dtype)
    size = harmonics.spherical_legendre(n, m, theta)
    angle = m * phi
    return lax.complex(size * jnp.cos(angle), size * jnp.sin(angle))


def lpmn_values(m: int, n: int, z: Any, is_normalized: bool) -> Array:
    """The associated Legendre functions of all orders up to `m` and degrees up to `n`, at `z`.

    Args:
      m, n: the highest order and degree, which must be alike.
      z: a vector of float32 or float64.
      is_normalized: whether they are normalised for spherical harmonics.

    Returns:
      An array of shape ``(m + 1, n + 1, len(z))``, 0 where the order is above the degree.

    Raises:
      TypeError: `z` is of another dtype.
      ValueError: `z` is not a vector.
      NotImplementedError: `m` is not `n`.
    """
    z = as_array(z, "lpmn_values")
    if z.dtype not in (np.float32, np.float64):
        raise error(
            TypeError,
            f"z.dtype={z.dtype} is not supported by lpmn_values.",
            got=type_of(z).str_short(),
            fix="convert with .astype(jnp.float32).",
        )
    if z.ndim != 1:
        raise error(
            ValueError,
            "z must be a 1D array.",
            got=type_of(z).str_short(),
            fix="use jnp.atleast_1d or .ravel().",
        )
    m, n = integer(m, "`m` of lpmn"), integer(n, "`n` of lpmn")
    if m != n:
        raise error(
            NotImplementedError,
            "Computations for m!=n are not yet supported.",
            got=f"m={m}, n={n}",
            fix="compute for the larger of both, and take a part.",
        )
    return _legendre(n, z, bool(is_normalized))


def lpmn(m: int, n: int, z: Any) -> tuple[Array, Array]:
    """The associated Legendre functions, as `lpmn_values`, and their derivatives in `z`."""
    values = lpmn_values(m, n, z, False)
    z = as_array(z, "lpmn")
    return values, jvp(lambda z: _legendre(n, z, False), (z,), (jnp.ones_like(z),))[1]


def _legendre(top: int, z: Any, normalized: bool) -> Any:
    below = 1 - z * z
    zero = jnp.zeros_like(z)
    rows, scale = [], 0.5 / math.sqrt(math.pi) if normalized else 1.0
    for m in range(top + 1):
        if m:
            scale *= -math.sqrt(1 + 0.5 / m) if normalized else 1.0 - 2 * m
        # Not the product of m roots: its derivatives would be nan at -1 and 1.
        power = below ** (m // 2) if m % 2 == 0 else below ** (0.5 * m)
        row = [zero] * m + [scale * power]
        for l in range(m + 1, top + 1):  # noqa: E741
            first, second = _steps(l, m, normalized)
            row.append(first * z * row[-1] - (second * row[-2] if l > m + 1 else 0))
        rows.append(jnp.stack(row))
    return jnp.stack(rows)


def _steps(n: int, m: int, normalized: bool) -> tuple[float, float]:
    """The coefficients of the recurrence in the degree, up to `n`."""
    if not normalized:
        return (2 * n - 1) / (n - m), (n + m - 1) / (n - m)
    first = math.sqrt((4 * n * n - 1) / (n * n - m * m))
    last = ((n - 1) ** 2 - m * m) * (2 * n + 1)
    return first, math.sqrt(last / ((2 * n - 3) * (n * n - m * m))) if n > m + 1 else 0.0
