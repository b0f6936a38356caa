"""What several distributions need: arguments, and functions with derivatives right at the ends.

`jnp.where` hides a nan of the side not taken, but its derivative does not: 0 times nan is nan. So
formulas get an argument from inside wherever their own would be outside.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ... import lax
from ... import numpy as jnp
from ...custom import custom_jvp
from ...numpy.promotion import broadcast_together
from ...ops import incomplete
from ..special.arguments import reals as reals


def standardised(name: str, x: Any, loc: Any, scale: Any) -> tuple[Any, Any]:
    """(x - loc) / scale, and the scale."""
    x, loc, scale = reals(name, x, loc, scale)
    return (x - loc) / scale, scale


def log1mexp(x: Any) -> Any:
    """log(1 - exp(-x)) for x >= 0, to all digits both near 0 and far out; nan for x < 0."""
    return _log1mexp(x)


@custom_jvp
def _log1mexp(x: Any) -> Any:
    near = x < math.log(2)
    inner, outer = jnp.where(near, x, 1), jnp.where(near, 1, x)
    return jnp.where(near, jnp.log(-jnp.expm1(-inner)), jnp.log1p(-jnp.exp(-outer)))


@_log1mexp.defjvp
def _log1mexp_jvp(primals: Any, tangents: Any) -> Any:
    (x,), (t,) = primals, tangents
    return _log1mexp(x), t * _over_expm1(x)


@custom_jvp
def _over_expm1(x: Any) -> Any:
    return 1 / jnp.expm1(x)


@_over_expm1.defjvp
def _over_expm1_jvp(primals: Any, tangents: Any) -> Any:
    (x,), (t,) = primals, tangents
    out = _over_expm1(x)
    return out, t * (-out * (1 + out))


def log1mexp_exp(z: Any) -> Any:
    """log(1 - exp(-exp(z))): z far to the left, where exp(z) may not be representable."""
    left = z < -18.5 if z.dtype.itemsize < 8 else z < -37
    inside = jnp.where(left, 0, z)
    return jnp.where(left, z, log1mexp(jnp.exp(inside)))


@custom_jvp
def abs_power(x: Any, p: Any) -> Any:
    """|x|^p; its derivatives are right at x = 0, where those of a composition would be nan."""
    return jnp.abs(x) ** p


@abs_power.defjvp
def _abs_power_jvp(primals: Any, tangents: Any) -> Any:
    (x, p), (dx, dp) = primals, tangents
    out = abs_power(x, p)
    log = jnp.log(jnp.where(x == 0, 1, jnp.abs(x)))
    return out, dx * incomplete.zero_times(p, _signed_power(x, p - 1)) + dp * (out * log)


@custom_jvp
def _signed_power(x: Any, p: Any) -> Any:
    inside = jnp.where(x == 0, 1, x)
    return jnp.where(x == 0, 0, jnp.sign(inside) * jnp.abs(inside) ** p)


@_signed_power.defjvp
def _signed_power_jvp(primals: Any, tangents: Any) -> Any:
    (x, p), (dx, dp) = primals, tangents
    out = _signed_power(x, p)
    log = jnp.log(jnp.where(x == 0, 1, jnp.abs(x)))
    return out, dx * incomplete.zero_times(p, abs_power(x, p - 1)) + dp * (out * log)


def gamma_log_density(a: Any, x: Any) -> Any:
    """(a - 1) log x - x - lgamma(a); -inf for x < 0, with derivatives of 0 there."""
    inside = ~(x < 0)
    found = incomplete.gamma_log_density(*_one_shape(a, jnp.where(inside, x, 1)))
    return jnp.where(inside, found, -np.inf)


def gamma_density(a: Any, x: Any) -> Any:
    """The exponential of `gamma_log_density`, with more digits."""
    inside = ~(x < 0)
    found = incomplete.gamma_density(*_one_shape(a, jnp.where(inside, x, 1)))
    return jnp.where(inside, found, 0)


def log_igamma(a: Any, x: Any) -> Any:
    """log(gammainc(a, x)), right also where that underflows."""
    return incomplete.log_igamma(*_one_shape(a, x))


def log_igammac(a: Any, x: Any) -> Any:
    """log(gammaincc(a, x)), right also where that underflows."""
    return incomplete.log_igammac(*_one_shape(a, x))


def beta_log_density(a: Any, b: Any, x: Any) -> Any:
    """The logarithm of the beta density; -inf outside [0, 1], with derivatives of 0 there."""
    outside = (x < 0) | (x > 1)
    found = incomplete.beta_log_density(*_one_shape(a, b, jnp.where(outside, 0.5, x)))
    return jnp.where(outside, -np.inf, found)


def beta_density(a: Any, b: Any, x: Any) -> Any:
    """The beta density, 0 outside [0, 1]."""
    outside = (x < 0) | (x > 1)
    found = incomplete.beta_density(*_one_shape(a, b, jnp.where(outside, 0.5, x)))
    return jnp.where(outside, 0, found)


def beta_complement(a: Any, b: Any, x: Any) -> Any:
    """1 - betainc(a, b, x), exact where betainc is near 1."""
    return incomplete.regularized_incomplete_beta_complement(*_one_shape(a, b, x))


def _one_shape(*xs: Any) -> list[Any]:
    return broadcast_together("stats", *xs)


def probability_only(q: Any, found: Any) -> Any:
    """`found` for q from 0 to 1, else nan."""
    return jnp.where((q >= 0) & (q <= 1), found, np.nan)


def clamp(low: float, x: Any, high: float) -> Any:
    """`x` between `low` and `high`; a nan stays, and the ends belong to x."""
    inside = ~((x < low) | (x > high))
    return jnp.where(inside, x, jnp.where(x < low, low, high))


def safe_log(x: Any) -> Any:
    """log(x), -inf at 0 with a derivative of 0 there."""
    zero = x == 0
    return jnp.where(zero, -np.inf, lax.log(jnp.where(zero, 1, x)))
