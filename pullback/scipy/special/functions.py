"""Error, gamma, beta and Bessel functions, logarithms and entropies, the normal distribution."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ... import lax, nn
from ... import numpy as jnp
from ...core import dtypes
from ...core.array import Array
from ...core.errors import error
from ...core.trace import type_of
from ...custom import custom_jvp
from ...numpy.arguments import integer
from ...numpy.promotion import as_array, promote_inexact
from ...ops.harmonics import complex_loggamma
from ...ops.incomplete import zero_over
from ...ops.special import beta_function, gamma_function
from .. import normal
from ..normal import horner
from .arguments import arrays, real, reals

# ---- the error function


def erf(x: Any) -> Array:
    """2 / sqrt(pi) times the integral of exp(-t**2) from 0 to x.

    Example:
      >>> from pullback.scipy.special import erf
      >>> print(erf(0.0))
      0.0
    """
    return lax.erf(real("erf", x))


def erfc(x: Any) -> Array:
    """1 - erf(x), exact where erf(x) is near 1."""
    return lax.erfc(real("erfc", x))


def erfinv(x: Any) -> Array:
    """The number whose erf is x.

    Example:
      >>> from pullback.scipy.special import erfinv
      >>> print(erfinv(0.0))
      0.0
    """
    return lax.erf_inv(real("erfinv", x))


# ---- gamma and beta functions


def gammaln(x: Any) -> Array:
    """log(abs(gamma(x)))

    Example:
      >>> from pullback import grad
      >>> from pullback.scipy.special import gammaln
      >>> print(gammaln(4.0), grad(gammaln)(4.0))
      1.7917595 1.2561177
    """
    return lax.lgamma(real("gammaln", x))


def gammasgn(x: Any) -> Array:
    """The sign of gamma(x): 1 or -1; nan at the poles -1, -2, ..., and the sign of x at 0."""
    x = real("gammasgn", x)
    whole = jnp.floor(x)
    negative = jnp.where(whole % 2 == 0, 1.0, -1.0)
    negative = jnp.where(whole == x, np.nan, negative)
    at_0 = jnp.where(jnp.signbit(x), -1.0, 1.0)
    sign = jnp.where(x < 0, negative, jnp.where(x == 0, at_0, 1.0))
    return jnp.where(jnp.isnan(x), np.nan, sign).astype(x.dtype)


def gamma(x: Any) -> Array:
    """The gamma function, of real or complex numbers: (x - 1)! for whole x > 0.

    It is nan at the poles -1, -2, ...

    Example:
      >>> from pullback.scipy.special import gamma
      >>> print(gamma(5.0))
      24.0
    """
    (x,) = promote_inexact("gamma", x)
    if dtypes.kind(x.dtype) == "c":
        return jnp.exp(complex_loggamma(x))
    return gamma_function(x).astype(x.dtype)


def factorial(n: Any, exact: bool = False) -> Array:
    """n!, of floats gamma(n + 1); 0 for negative n.

    Args:
      n: an array.
      exact: must be False: integers would overflow.

    Example:
      >>> from pullback.scipy.special import factorial
      >>> print(factorial(4))
      24.0
    """
    if exact:
        raise error(
            NotImplementedError,
            "factorial computes in floats only.",
            got="exact=True",
            fix="use math.factorial for large integers.",
        )
    n = real("factorial", n)
    inside = jnp.where(n < 0, 0, n)
    return jnp.where(n < 0, 0, gamma_function(inside + 1))


def multigammaln(a: Any, d: int) -> Array:
    """The logarithm of the gamma function of dimension `d`, at `a` > (d - 1) / 2.

    Example:
      >>> from pullback.scipy.special import multigammaln
      >>> print(multigammaln(3.0, 2))
      1.550195
    """
    d = integer(d, "`d` of multigammaln")
    a = real("multigammaln", a)
    steps = jnp.arange(d, dtype=a.dtype) / 2
    total = jnp.sum(
        lax.lgamma(jnp.expand_dims(a, -1) - jnp.expand_dims(steps, tuple(range(a.ndim)))), axis=-1
    )
    return total + 0.25 * d * (d - 1) * math.log(math.pi)


def digamma(x: Any) -> Array:
    """The derivative of gammaln.

    Example:
      >>> from pullback.scipy.special import digamma
      >>> print(digamma(1.0))
      -0.5772157
    """
    return lax.digamma(real("digamma", x))


def polygamma(n: Any, x: Any) -> Array:
    """The derivative of order `n`, an integer, of digamma, at `x`."""
    order = as_array(n, "polygamma")
    if dtypes.kind(order.dtype) not in "iu":
        raise error(
            ValueError,
            "Argument `n` to polygamma must be of integer type.",
            got=f"n: {type_of(order).str_short()}",
            fix="give an integer.",
        )
    return lax.polygamma(*reals("polygamma", n, x))


def gammainc(a: Any, x: Any) -> Array:
    """The integral of t**(a-1) exp(-t) from 0 to `x`, over gamma(a).

    Example:
      >>> from pullback.scipy.special import gammainc
      >>> print(gammainc(1.0, 2.0))
      0.86466473
    """
    return lax.igamma(*reals("gammainc", a, x))


def gammaincc(a: Any, x: Any) -> Array:
    """1 - gammainc(a, x), exact where gammainc is near 1."""
    return lax.igammac(*reals("gammaincc", a, x))


def betaln(a: Any, b: Any) -> Array:
    """log(abs(beta(a, b)))

    Example:
      >>> from pullback.scipy.special import betaln
      >>> print(betaln(1.0, 2.0))
      -0.6931472
    """
    return _betaln(*reals("betaln", a, b))


def beta(a: Any, b: Any) -> Array:
    """gamma(a) gamma(b) / gamma(a + b)"""
    a, b = reals("beta", a, b)
    return beta_function(a, b).astype(a.dtype)


def betainc(a: Any, b: Any, x: Any) -> Array:
    """The integral of t**(a-1) (1-t)**(b-1) from 0 to `x`, over beta(a, b).

    It has first and second derivatives with respect to all three.

    Example:
      >>> from pullback.scipy.special import betainc
      >>> print(betainc(1.0, 1.0, 0.25))
      0.25
    """
    return lax.betainc(*reals("betainc", a, b, x))


def zeta(x: Any, q: Any = None) -> Array:
    """The Hurwitz zeta function: the sum of (q + n)**-x over n = 0, 1, 2, ...

    With respect to `x`, its derivatives are computed for x > 1 and q > 0.

    Example:
      >>> from pullback.scipy.special import zeta
      >>> print(zeta(2.0, 1.0))
      1.644934
    """
    if q is None:
        raise error(
            NotImplementedError,
            "the Riemann zeta function is not there; the Hurwitz zeta function has a second "
            "argument.",
            got="q=None",
            fix="for x > 1, zeta(x, 1) is the Riemann zeta function.",
        )
    return lax.zeta(*reals("zeta", x, q))


@custom_jvp
def _betaln(a: Any, b: Any) -> Any:
    # Where both are large, the three logarithms cancel: at (1000, 1000) in float32, 3 digits. With
    # lgamma(x) = (x - 1/2) log x - x + log(2 pi)/2 + rest(x), the large terms cancel on paper:
    # Didonato and Morris, Algorithm 708 (1992).
    small, large = jnp.minimum(a, b), jnp.maximum(a, b)
    direct = lax.lgamma(a) + lax.lgamma(b) - lax.lgamma(a + b)
    y = jnp.where(large > 10, large, 10)
    x = jnp.where(small > 10, small, 10)
    both = _stirling_rest(x) + _stirling_rest(y) - _stirling_rest(x + y)
    both = both + 0.5 * (math.log(2 * math.pi) - jnp.log(y))
    both = both - (x - 0.5) * jnp.log1p(y / x) - y * jnp.log1p(x / y)
    x = jnp.where((small > 0) & (small <= 10), small, 1)
    one = _stirling_rest(y) - _stirling_rest(x + y) + lax.lgamma(x)
    one = one - (y + x - 0.5) * jnp.log1p(x / y) - x * (jnp.log(y) - 1)
    found = jnp.where(small > 10, both, one)
    return jnp.where((small > 0) & (large > 10) & (large < np.inf), found, direct)


@_betaln.defjvp
def _betaln_jvp(primals: Any, tangents: Any) -> Any:
    (a, b), (da, db) = primals, tangents
    whole = lax.digamma(a + b)
    return _betaln(a, b), da * (lax.digamma(a) - whole) + db * (lax.digamma(b) - whole)


def _stirling_rest(x: Any) -> Any:
    """lgamma(x) - ((x - 1/2) log x - x + log(2 pi)/2), for x >= 10."""
    r = 1 / x
    # B_2k / (2k (2k - 1)) for k = 1 to 7: the next term is below 3e-17.
    terms = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)
    return r * horner(terms[::-1], r * r)


# ---- logarithms, entropies


def expit(x: Any) -> Array:
    """1 / (1 + exp(-x)): the inverse of logit.

    Example:
      >>> from pullback.scipy.special import expit
      >>> print(expit(0.0))
      0.5
    """
    (x,) = promote_inexact("expit", x)
    return lax.logistic(x)


def logit(x: Any) -> Array:
    """log(x / (1 - x))

    Example:
      >>> from pullback.scipy.special import logit
      >>> print(logit(0.5))
      0.0
    """
    (x,) = promote_inexact("logit", x)
    return _logit(x)


@custom_jvp
def _logit(x: Any) -> Any:
    if x.dtype.kind == "c":
        return jnp.log(x / (1 - x))
    # 2 x - 1 is exact from 1/4 on; the logarithm of a quotient near 1 would lose digits.
    middle = jnp.abs(x - 0.5) < 0.25
    inner, outer = jnp.where(middle, x, 0.5), jnp.where(middle, 0.25, x)
    return jnp.where(middle, 2 * jnp.arctanh(2 * inner - 1), jnp.log(outer / (1 - outer)))


@_logit.defjvp
def _logit_jvp(primals: Any, tangents: Any) -> Any:
    (x,), (t,) = primals, tangents
    return _logit(x), t / (x * (1 - x))


def xlogy(x: Any, y: Any) -> Array:
    """x log(y), and 0 where x is 0.

    Example:
      >>> from pullback import grad
      >>> from pullback.scipy.special import xlogy
      >>> print(xlogy(0.0, 0.0), grad(xlogy, 1)(0.0, 2.0))
      0.0 0.0
    """
    return _xlogy(*arrays("xlogy", x, y))


@custom_jvp
def _xlogy(x: Any, y: Any) -> Any:
    zero = (x == 0) & ~jnp.isnan(y)
    return jnp.where(zero, 0, x * jnp.log(jnp.where(zero, 1, y)))


@_xlogy.defjvp
def _xlogy_jvp(primals: Any, tangents: Any) -> Any:
    (x, y), (dx, dy) = primals, tangents
    return _xlogy(x, y), dx * jnp.log(y) + dy * zero_over(x, y)


def xlog1py(x: Any, y: Any) -> Array:
    """x log(1 + y), and 0 where x is 0.

    Example:
      >>> from pullback.scipy.special import xlog1py
      >>> print(xlog1py(0.0, -1.0))
      0.0
    """
    return _xlog1py(*arrays("xlog1py", x, y))


@custom_jvp
def _xlog1py(x: Any, y: Any) -> Any:
    zero = (x == 0) & ~jnp.isnan(y)
    return jnp.where(zero, 0, x * jnp.log1p(jnp.where(zero, 1, y)))


@_xlog1py.defjvp
def _xlog1py_jvp(primals: Any, tangents: Any) -> Any:
    (x, y), (dx, dy) = primals, tangents
    return _xlog1py(x, y), dx * jnp.log1p(y) + dy * zero_over(x, 1 + y)


def entr(x: Any) -> Array:
    """-x log(x): 0 at 0, where the derivative is inf, and -inf for negative x.

    Example:
      >>> from pullback.scipy.special import entr
      >>> print(entr(0.5))
      0.34657359
    """
    x = real("entr", x)
    return jnp.where(x < 0, -np.inf, _entropy(jnp.where(x < 0, 1, x)))


@custom_jvp
def _entropy(x: Any) -> Any:
    return -_xlogy(x, x)


@_entropy.defjvp
def _entropy_jvp(primals: Any, tangents: Any) -> Any:
    (x,), (t,) = primals, tangents
    return _entropy(x), -t * (jnp.log(x) + 1)


def rel_entr(p: Any, q: Any) -> Array:
    """p log(p / q): 0 where p is 0 and q is not negative, inf outside. There it is constant.

    Example:
      >>> from pullback.scipy.special import rel_entr
      >>> print(rel_entr(2.0, 1.0))
      1.3862944
    """
    p, q = reals("rel_entr", p, q)
    inside = (p > 0) & (q > 0)
    found = _relative_entropy(jnp.where(inside, p, 1), jnp.where(inside, q, 1))
    return jnp.where(inside, found, jnp.where((p == 0) & (q >= 0), 0.0, np.inf))


def kl_div(p: Any, q: Any) -> Array:
    """p log(p / q) - p + q, which is 0 only where p = q; q where p is 0, inf outside.

    Example:
      >>> from pullback.scipy.special import kl_div
      >>> print(kl_div(2.0, 2.0))
      0.0
    """
    p, q = reals("kl_div", p, q)
    inside = (p > 0) & (q > 0)
    found = _divergence(jnp.where(inside, p, 1), jnp.where(inside, q, 1))
    return jnp.where(inside, found, jnp.where((p == 0) & (q >= 0), q - p, np.inf))


@custom_jvp
def _relative_entropy(p: Any, q: Any) -> Any:
    return p * _log_ratio(p, q)


@_relative_entropy.defjvp
def _relative_entropy_jvp(primals: Any, tangents: Any) -> Any:
    (p, q), (dp, dq) = primals, tangents
    return _relative_entropy(p, q), dp * (_log_ratio(p, q) + 1) - dq * (p / q)


@custom_jvp
def _divergence(p: Any, q: Any) -> Any:
    return p * _log_ratio(p, q) + (q - p)


@_divergence.defjvp
def _divergence_jvp(primals: Any, tangents: Any) -> Any:
    (p, q), (dp, dq) = primals, tangents
    return _divergence(p, q), dp * _log_ratio(p, q) + dq * ((q - p) / q)


@custom_jvp
def _log_ratio(p: Any, q: Any) -> Any:
    # Near 1 by the difference, which is exact there; far out the quotient overflows or vanishes.
    ratio = p / q
    near = jnp.abs(ratio - 1) < 0.5
    fits = (ratio > float(dtypes.finfo(ratio.dtype).tiny)) & (ratio < np.inf)
    difference = jnp.where(near, (p - q) / q, 0)
    quotient = jnp.log(jnp.where(fits, ratio, 1))
    apart = jnp.where(fits, quotient, jnp.log(p) - jnp.log(q))
    return jnp.where(near, jnp.log1p(difference), apart)


@_log_ratio.defjvp
def _log_ratio_jvp(primals: Any, tangents: Any) -> Any:
    (p, q), (dp, dq) = primals, tangents
    return _log_ratio(p, q), dp / p - dq / q


# ---- the normal distribution


def ndtr(x: Any) -> Array:
    """The probability that a normal number with mean 0 and variance 1 is not larger than `x`.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.scipy.special import ndtr
      >>> print(ndtr(0.0), ndtr(-jnp.inf))
      0.5 0.0
    """
    return _in_single("ndtr", normal.ndtr, x)


def ndtri(p: Any) -> Array:
    """The number whose ndtr is `p`: -inf for 0, inf for 1 and nan outside.

    Example:
      >>> from pullback.scipy.special import ndtri
      >>> print(ndtri(0.5))
      0.0
    """
    return _in_single("ndtri", normal.ndtri, p)


def log_ndtr(x: Any, series_order: int = 3) -> Array:
    """log(ndtr(x)), right also where ndtr(x) is 0.

    Args:
      x: an array.
      series_order: how many terms of a series JAX takes far out. Here it changes nothing: a
        continued fraction gives all digits.
    """
    if not isinstance(series_order, int) or not 0 <= series_order <= 30:
        raise error(
            ValueError if isinstance(series_order, int) else TypeError,
            "series_order must be an integer from 0 to 30.",
            got=f"series_order={series_order!r}",
            fix="leave it out.",
        )
    return _in_single("log_ndtr", normal.log_ndtr, x)


# ---- Bessel functions


def i0e(x: Any) -> Array:
    """exp(-abs(x)) i0(x)"""
    return lax.bessel_i0e(real("i0e", x))


def i1e(x: Any) -> Array:
    """exp(-abs(x)) i1(x)"""
    return lax.bessel_i1e(real("i1e", x))


def i0(x: Any) -> Array:
    """The modified Bessel function of the first kind, of order 0.

    Example:
      >>> from pullback.scipy.special import i0
      >>> print(i0(0.0))
      1.0
    """
    return _i0(real("i0", x))


def i1(x: Any) -> Array:
    """The modified Bessel function of the first kind, of order 1: the derivative of i0."""
    return _i1(real("i1", x))


@custom_jvp
def _i0(x: Any) -> Any:
    return jnp.exp(jnp.abs(x)) * lax.bessel_i0e(x)


@_i0.defjvp
def _i0_jvp(primals: Any, tangents: Any) -> Any:
    (x,), (t,) = primals, tangents
    return _i0(x), t * _i1(x)


@custom_jvp
def _i1(x: Any) -> Any:
    return jnp.exp(jnp.abs(x)) * lax.bessel_i1e(x)


@_i1.defjvp
def _i1_jvp(primals: Any, tangents: Any) -> Any:
    (x,), (t,) = primals, tangents
    return _i1(x), t * _i1_slope(x)


# The derivative of i1 has the terms (2k + 1) / (2 k! (k + 1)!) (x / 2)^2k.
_SLOPE = [(k + 0.5) / (math.factorial(k) * math.factorial(k + 1)) for k in range(7, -1, -1)]


def _i1_slope(x: Any) -> Any:
    # Its derivatives are right too: those of i0 - i1 / x would lose all digits near 0.
    near = jnp.abs(x) < 0.5
    half, away = jnp.where(near, x, 0) / 2, jnp.where(near, 1, x)
    return jnp.where(near, horner(_SLOPE, half * half), _i0(away) - _i1(away) / away)


# ---- sums of exponentials


def logsumexp(
    a: Any,
    axis: Any = None,
    b: Any = None,
    keepdims: bool = False,
    return_sign: bool = False,
    where: Any = None,
) -> Any:
    """log(sum(b * exp(a))), also where the exponentials do not fit: see `nn.logsumexp`."""
    return nn.logsumexp(a, axis, b, keepdims, return_sign, where)


def softmax(x: Any, /, *, axis: Any = None) -> Array:
    """exp(x) / sum(exp(x)), the sum over `axis`, an axis or several, or over all."""
    return nn.softmax(x, axis)


def log_softmax(x: Any, /, *, axis: Any = None) -> Array:
    """log(softmax(x)), right also where softmax(x) is 0."""
    return nn.log_softmax(x, axis)


def _in_single(name: str, function: Callable[[Any], Any], x: Any) -> Any:
    """`function` of `x`, in float32 where `x` has half width: its tails need the exponents."""
    x = real(name, x)
    if x.dtype.itemsize >= 4:
        return function(x)
    return function(x.astype(jnp.float32)).astype(x.dtype)
