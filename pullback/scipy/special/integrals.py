"""Error functions of other arguments, exponential and trigonometric integrals."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import lax
from ... import numpy as jnp
from ...core import dtypes
from ...core.array import Array
from ...core.errors import error
from ...core.trace import type_of
from ...numpy.promotion import as_array, promote_inexact
from ...ops import special_integrals as ops
from .arguments import real, reals


def erfcx(x: Any) -> Array:
    """exp(x**2) erfc(x), of real or complex numbers.

    Example:
      >>> from pullback.scipy.special import erfcx
      >>> print(erfcx(0.0), erfcx(1e4))
      1.0 5.6418958e-05
    """
    (x,) = promote_inexact("erfcx", x)
    if dtypes.kind(x.dtype) == "c":
        return ops.wofz(lax.complex(-lax.imag(x), lax.real(x)))
    return ops.erfcx(x)


def wofz(z: Any) -> Array:
    """The Faddeeva function exp(-z**2) erfc(-iz); the result is complex."""
    (z,) = promote_inexact("wofz", z)
    if dtypes.kind(z.dtype) != "c":
        z = lax.complex(z, jnp.zeros_like(z)) if z.dtype.itemsize >= 4 else z.astype(jnp.complex64)
    return ops.wofz(z)


def dawsn(x: Any) -> Array:
    """Dawson's integral: exp(-x**2) times the integral of exp(t**2) from 0 to x."""
    return ops.dawsn(real("dawsn", x))


def owens_t(h: Any, a: Any) -> Array:
    """Owen's T function.

    The probability that of two independent normal numbers X and Y, X > h and 0 < Y < a X.
    """
    return ops.owens_t(*reals("owens_t", h, a))


def expi(x: Any) -> Array:
    """The exponential integral Ei: the integral of exp(t) / t from -inf to x.

    Example:
      >>> from pullback import grad
      >>> from pullback.scipy.special import expi
      >>> print(expi(1.0), grad(expi)(1.0))
      1.8951178 2.718282
    """
    return ops.expi(real("expi", x))


def exp1(x: Any) -> Array:
    """The integral of exp(-t) / t from x to infinity; nan for x < 0."""
    x = real("exp1", x)
    return ops.expn(jnp.ones_like(x), x)


def expn(n: Any, x: Any) -> Array:
    """The integral of exp(-x t) / t**n from 1 to infinity; nan for x < 0.

    It has no derivative with respect to `n`.
    """
    n, x = reals("expn", n, x)
    return ops.expn(lax.stop_gradient(n), x)


def sici(x: Any) -> tuple[Array, Array]:
    """The integrals of sin(t) / t from 0 to x and of cos(t) / t from infinity to abs(x)."""
    x = real("sici", x)
    return ops.sine_integral(x), ops.cosine_integral(x)


def fresnel(x: Any) -> tuple[Array, Array]:
    """The integrals of sin(pi t**2 / 2) and of cos(pi t**2 / 2) from 0 to x."""
    (x,) = promote_inexact("fresnel", x)
    if dtypes.kind(x.dtype) == "c":
        raise error(
            NotImplementedError,
            "fresnel does not support complex-valued inputs.",
            got=type_of(x).str_short(),
            fix="take the real part first.",
        )
    return ops.fresnel_s(x), ops.fresnel_c(x)


def spence(x: Any) -> Array:
    """Spence's function, the integral of log(t) / (1 - t) from 1 to x; nan for x < 0.

    Raises:
      TypeError: `x` is not an array of float32 or float64.
    """
    x = as_array(x, "spence")
    if x.dtype not in (np.float32, np.float64):
        raise error(
            TypeError,
            f"x.dtype={x.dtype} is not supported by spence.",
            got=type_of(x).str_short(),
            fix="convert with .astype(jnp.float32).",
        )
    return ops.spence(x)
