"""The normal distribution function, its inverse and its logarithm, of float32 and float64."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import lax
from .. import numpy as jnp
from ..custom import custom_jvp


def ndtr(x: Any) -> Any:
    """The probability of a number that is not larger than `x`."""
    return 0.5 * lax.erfc(x * -math.sqrt(0.5))


# M. Wichura, Algorithm AS 241 (1988), PPND16: quotients of polynomials, the highest power first,
# for |p - 1/2| <= 0.425 and, in the root of -log p, to 5 and beyond.
_MIDDLE = (
    [
        *(2509.0809287301226727, 33430.575583588128105, 67265.770927008700853),
        *(45921.953931549871457, 13731.693765509461125, 1971.5909503065514427),
        *(133.14166789178437745, 3.387132872796366608),
    ],
    [
        *(5226.495278852854561, 28729.085735721942674, 39307.89580009271061),
        *(21213.794301586595867, 5394.1960214247511077, 687.1870074920579083),
        *(42.313330701600911252, 1.0),
    ],
)
_NEAR = (
    [
        *(7.7454501427834140764e-4, 2.27238449892691845833e-2, 2.4178072517745061177e-1),
        *(1.27045825245236838258, 3.64784832476320460504, 5.7694972214606914055),
        *(4.6303378461565452959, 1.42343711074968357734),
    ],
    [
        *(1.05075007164441684324e-9, 5.475938084995344946e-4, 1.51986665636164571966e-2),
        *(1.4810397642748007459e-1, 6.8976733498510000455e-1, 1.6763848301838038494),
        *(2.05319162663775882187, 1.0),
    ],
)
_FAR = (
    [
        *(2.01033439929228813265e-7, 2.71155556874348757815e-5, 1.2426609473880784386e-3),
        *(2.6532189526576123093e-2, 2.9656057182850489123e-1, 1.7848265399172913358),
        *(5.4637849111641143699, 6.6579046435011037772),
    ],
    [
        *(2.04426310338993978564e-15, 1.4215117583164458887e-7, 1.8463183175100546818e-5),
        *(7.868691311456132591e-4, 1.4875361290850615025e-2, 1.3692988092273580531e-1),
        *(5.9983220655588793769e-1, 1.0),
    ],
)


@custom_jvp
def ndtri(p: Any) -> Any:
    """The inverse of ndtr."""
    q = p - 0.5
    middle = jnp.abs(q) <= 0.425
    r = 0.180625 - q * q
    center = q * horner(_MIDDLE[0], r) / horner(_MIDDLE[1], r)
    tail = jnp.minimum(p, 1 - p)
    inside = tail > 0
    r = jnp.sqrt(-jnp.log(jnp.where(inside, tail, 0.5)))
    near = horner(_NEAR[0], r - 1.6) / horner(_NEAR[1], r - 1.6)
    far = horner(_FAR[0], r - 5) / horner(_FAR[1], r - 5)
    size = jnp.where(r <= 5, near, far)
    size = jnp.where(inside, size, jnp.where(tail == 0, np.inf, np.nan))
    return jnp.where(middle, center, jnp.copysign(size, q))


@ndtri.defjvp
def _ndtri_jvp(primals: Any, tangents: Any) -> Any:
    (p,), (t,) = primals, tangents
    out = ndtri(p)
    return out, t * (math.sqrt(2 * math.pi) * jnp.exp(0.5 * (out * out)))


@custom_jvp
def log_ndtr(x: Any) -> Any:
    """The logarithm of ndtr: below -4 by a continued fraction."""
    far, near = jnp.where(x < -4, x, -4), jnp.where(x < -4, 0, x)
    high = jnp.log1p(-ndtr(-jnp.maximum(near, 0)))
    low = jnp.log(ndtr(jnp.minimum(near, 0)))
    tail = -(0.5 * far * far) - jnp.log(_hazard_far(far)) - 0.5 * math.log(2 * math.pi)
    return jnp.where(x < -4, tail, jnp.where(x > 0, high, low))


@log_ndtr.defjvp
def _log_ndtr_jvp(primals: Any, tangents: Any) -> Any:
    (x,), (t,) = primals, tangents
    return log_ndtr(x), t * _hazard(x)


def _hazard(x: Any) -> Any:
    """The derivative of log_ndtr: the density over ndtr. Its own derivatives are right too."""
    near = jnp.where(x < -4, 0, x)
    density = jnp.exp(-0.5 * (near * near)) / math.sqrt(2 * math.pi)
    return jnp.where(x < -4, _hazard_far(jnp.where(x < -4, x, -4)), density / ndtr(near))


def _hazard_far(x: Any) -> Any:
    # Laplace's continued fraction of the Mills ratio, for x <= -4: with 32 terms, 1e-16 from it.
    z = -x
    total = z
    for k in range(32, 0, -1):
        total = z + k / total
    return total


def horner(coefficients: Any, x: Any) -> Any:
    """The polynomial in `x` with these coefficients, the highest power's first."""
    total = coefficients[0]
    for c in coefficients[1:]:
        total = total * x + c
    return total
