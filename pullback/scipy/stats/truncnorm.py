"""The normal distribution between `a` and `b`, which count in units of `scale` from `loc`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ... import lax
from ... import numpy as jnp
from ...core.array import Array
from ...custom import custom_jvp
from ..normal import log_ndtr, ndtr
from .support import log1mexp, reals

__all__ = ["cdf", "logcdf", "logpdf", "logsf", "pdf", "sf"]


def logpdf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The logarithm of the density at `x`: -inf outside; nan where a >= b.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.scipy.stats import truncnorm
      >>> print(truncnorm.pdf(0.0, 0.0, jnp.inf), truncnorm.logpdf(2.0, -1.0, 1.0))
      0.7978846 -inf
    """
    z, a, b, scale = _arguments("truncnorm.logpdf", x, a, b, loc, scale)
    outside = (z < a) | (z > b)
    near = jnp.where(outside, 0, z)
    found = _log_density(near) - jnp.log(scale) - _log_mass(a, b)
    return _valid(a, b, jnp.where(outside, -np.inf, found))


def pdf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The density at `x`."""
    return jnp.exp(logpdf(x, a, b, loc, scale))


def logcdf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The logarithm of `cdf`."""
    z, a, b, _ = _arguments("truncnorm.logcdf", x, a, b, loc, scale)
    return _logcdf(z, a, b)


def cdf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The probability of a number that is not larger than `x`."""
    return jnp.exp(logcdf(x, a, b, loc, scale))


def logsf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The logarithm of `sf`."""
    z, a, b, _ = _arguments("truncnorm.logsf", x, a, b, loc, scale)
    return _logcdf(-z, -b, -a)


def sf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The probability of a number larger than `x`: 1 - cdf(x), right also where that is tiny."""
    return jnp.exp(logsf(x, a, b, loc, scale))


def _arguments(name: str, x: Any, a: Any, b: Any, loc: Any, scale: Any) -> Any:
    x, a, b, loc, scale = reals(name, x, a, b, loc, scale)
    z, a, b = jnp.broadcast_arrays((x - loc) / scale, a, b)
    return z, a, b, scale


def _valid(a: Any, b: Any, found: Any) -> Any:
    return jnp.where(a >= b, np.nan, found)


def _logcdf(z: Any, a: Any, b: Any) -> Any:
    low, high = z <= a, z >= b
    inside = jnp.where(low | high, _between(a, b), z)
    whole = _log_mass(a, b)
    left, right = _log_mass(a, inside) - whole, _log_mass(inside, b) - whole
    near_1 = left > -0.1
    found = jnp.where(near_1, log1mexp(-jnp.where(near_1, right, -1)), left)
    return _valid(a, b, jnp.where(high, 0, jnp.where(low, -np.inf, found)))


def _between(a: Any, b: Any) -> Any:
    """Any number between a and b: a value to compute with where the result is not used."""
    low, high = jnp.maximum(a, -1e4), jnp.minimum(b, 1e4)
    return lax.stop_gradient(0.5 * low + 0.5 * high)


def _log_density(z: Any) -> Any:
    return -0.5 * (z * z) - 0.5 * math.log(2 * math.pi)


@custom_jvp
def _log_mass(a: Any, b: Any) -> Any:
    """log(ndtr(b) - ndtr(a)), for a < b."""
    flip = a > 0
    low, high = jnp.where(flip, -b, a), jnp.where(flip, -a, b)
    central = high > 0
    # Beside 0: the difference of two tails; of which the higher one is the larger.
    end, start = log_ndtr(jnp.where(central, -1, high)), log_ndtr(jnp.where(central, -2, low))
    tail = end + log1mexp(end - start)
    # Around 0: a sum of two halves, or 1 minus two tails.
    halves = 0.5 * (lax.erf(high * math.sqrt(0.5)) + lax.erf(low * -math.sqrt(0.5)))
    outside = ndtr(low) + ndtr(-high)
    wide = outside < 0.25
    around = jnp.where(
        wide,
        jnp.log1p(-jnp.where(wide, outside, 0.0)),
        jnp.log(jnp.where(wide | ~central, 1.0, halves)),
    )
    return jnp.where(central, around, tail)


@_log_mass.defjvp
def _log_mass_jvp(primals: Any, tangents: Any) -> Any:
    (a, b), (da, db) = primals, tangents
    mass = _log_mass(a, b)
    return mass, db * _share(b, mass) - da * _share(a, mass)


def _share(z: Any, mass: Any) -> Any:
    """The density at z over the mass: 0 at infinity."""
    inside = jnp.abs(z) < np.inf
    near = jnp.where(inside, z, 0)
    return jnp.where(inside, jnp.exp(_log_density(near) - mass), 0)
