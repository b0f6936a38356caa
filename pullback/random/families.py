"""Samplers of further distributions, each a formula of uniform, normal or exponential numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import numpy as jnp
from ..core.errors import error
from ..core.types import Shape
from ..numpy.promotion import astype, broadcast_to, promote_inexact
from ..ops.comparison import eq, le, lt
from ..ops.elementwise import add, div, mul, neg, select_n, sub
from ..ops.functions import exp, log, log1p, sqrt
from ..ops.rounding import floor
from .arguments import (
    float_dtype,
    integer_dtype,
    parameter,
    parameter_shape,
    parameters,
    sample_shape,
    scalar,
    single_key,
    split_keys,
)
from .samplers import exponential, filled, normal, rademacher, real_normal, unit_uniform


def _with(name: str, key: Any, shape: Any, dtype: Any, *given: Any) -> tuple[Any, ...]:
    """The checked key, shape and dtype, and the parameters in this shape and dtype."""
    key, dtype = single_key(name, key), float_dtype(name, dtype)
    shape = parameter_shape(name, shape, *given)
    return key, shape, dtype, *parameters(name, dtype, shape, *given)


def lognormal(
    key: Any, sigma: Any = 1.0, shape: Any = None, dtype: Any = None, *, out_sharding: Any = None
) -> Any:
    """exp(sigma * x) of standard normal numbers x."""
    key = single_key("lognormal", key)
    dtype = float_dtype("lognormal", dtype, also_complex=True)
    shape = parameter_shape("lognormal", shape, sigma)
    (sigma,) = parameters("lognormal", dtype, shape, sigma)
    return exp(mul(normal(key, shape, dtype), sigma))


def pareto(
    key: Any, b: Any, shape: Any = None, dtype: Any = None, *, out_sharding: Any = None
) -> Any:
    """Numbers from 1 of density b / x**(b + 1)."""
    key, shape, dtype, b = _with("pareto", key, shape, dtype, b)
    return exp(div(exponential(key, shape, dtype), b))


def rayleigh(
    key: Any, scale: Any, shape: Any = None, dtype: Any = None, *, out_sharding: Any = None
) -> Any:
    """Lengths of plane vectors whose two parts are normal with standard deviation `scale`."""
    key, shape, dtype, scale = _with("rayleigh", key, shape, dtype, scale)
    return mul(scale, sqrt(mul(log(unit_uniform(key, shape, dtype)), scalar(dtype, -2))))


def weibull_min(
    key: Any, scale: Any, concentration: Any, shape: Any = (), dtype: Any = None
) -> Any:
    """Numbers of the Weibull distribution: scale * e**(1 / concentration), e exponential."""
    key, dtype = single_key("weibull_min", key), float_dtype("weibull_min", dtype)
    shape = sample_shape("weibull_min", shape)
    scale, power = (parameter("weibull_min", x, dtype) for x in (scale, concentration))
    return exponential(key, shape, dtype) ** (1 / power) * scale


def maxwell(key: Any, shape: Any = (), dtype: Any = None, *, out_sharding: Any = None) -> Any:
    """Lengths of vectors of three standard normal numbers."""
    key, dtype = single_key("maxwell", key), float_dtype("maxwell", dtype)
    return _lengths(key, sample_shape("maxwell", shape), dtype)


def _lengths(key: Any, shape: Shape, dtype: np.dtype) -> Any:
    x = real_normal(key, (*shape, 3), dtype)
    return sqrt(jnp.sum(mul(x, x), axis=-1))


def double_sided_maxwell(key: Any, loc: Any, scale: Any, shape: Any = (), dtype: Any = None) -> Any:
    """loc + scale * (Maxwell number with a random sign).

    The result has the shape of `loc` and `scale` together, after the axes of `shape`.
    """
    name = "double_sided_maxwell"
    key, dtype = single_key(name, key), float_dtype(name, dtype)
    each = parameter_shape(name, None, loc, scale)
    shape = (*(sample_shape(name, shape) or each), *each)
    loc, scale = (parameter(name, x, dtype) for x in (loc, scale))
    length_key, sign_key = split_keys(key)
    signs = rademacher(sign_key, shape, dtype)
    loc, scale = (jnp.broadcast_to(x, shape) for x in (loc, scale))
    return signs * _lengths(length_key, shape, dtype) * scale + loc


def wald(
    key: Any, mean: Any, shape: Any = None, dtype: Any = None, *, out_sharding: Any = None
) -> Any:
    """Numbers of the Wald (inverse Gaussian) distribution of this mean and scale 1."""
    # Michael, Schucany and Haas (1976): a root of a quadratic in a chi-square number, or the other.
    key, shape, dtype, mean = _with("wald", key, shape, dtype, mean)
    normal_key, uniform_key = split_keys(key)
    v = real_normal(normal_key, shape, dtype)
    y = mul(v, v)
    square = mul(mean, mean)
    root = jnp.sqrt(4 * mean * y + square * (y * y))
    x = mean + square * y / 2 - mean / 2 * root
    return select_n(le(unit_uniform(uniform_key, shape, dtype), mean / (mean + x)), square / x, x)


def triangular(
    key: Any,
    left: Any,
    mode: Any,
    right: Any,
    shape: Any = None,
    dtype: Any = None,
    *,
    out_sharding: Any = None,
) -> Any:
    """Numbers of the triangular distribution from `left` over the peak `mode` to `right`."""
    key, shape, dtype, left, mode, right = _with("triangular", key, shape, dtype, left, mode, right)
    u = unit_uniform(key, shape, dtype)
    width, below, above = sub(right, left), sub(mode, left), sub(right, mode)
    rising = add(left, sqrt(mul(mul(u, width), below)))
    falling = sub(right, sqrt(mul(mul(sub(scalar(dtype, 1), u), width), above)))
    return select_n(lt(u, div(below, width)), falling, rising)


def geometric(
    key: Any, p: Any, shape: Any = None, dtype: Any = None, *, out_sharding: Any = None
) -> Any:
    """The number of the first success in trials that succeed with probability `p`: 1, 2, ..."""
    key = single_key("geometric", key)
    dtype = integer_dtype("geometric", dtype, ValueError)
    shape = parameter_shape("geometric", shape, p)
    (p,) = promote_inexact("random.geometric", p)
    u = unit_uniform(key, shape, p.dtype)
    one = filled(scalar(p.dtype, 1), shape)
    u = select_n(eq(u, scalar(p.dtype, 0)), u, one)
    trials = div(log(u), broadcast_to(log1p(neg(p)), shape))
    return astype(add(floor(trials), one), dtype)


def multivariate_normal(
    key: Any,
    mean: Any,
    cov: Any,
    shape: Any = None,
    dtype: Any = None,
    method: str = "cholesky",
    *,
    out_sharding: Any = None,
) -> Any:
    """Normal vectors of this mean and covariance.

    Args:
      key: one random key.
      mean: the mean, along the last axis.
      cov: the covariance, positive definite matrices along the last two axes.
      shape: the shape of the result without its last axis; by default that of the parameters.
      dtype: a float dtype; by default that of the parameters.
      method: how `cov` is factored: "cholesky", "eigh" or "svd"; the latter two take singular
        matrices too. Where eigenvalues of `cov` are equal, their derivatives with respect to it are
        infinite or nan: use "cholesky" there.
      out_sharding: accepted for compatibility.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback import random
      >>> key = random.key(0)
      >>> print(random.multivariate_normal(key, jnp.zeros(2), jnp.eye(2)).shape)
      (2,)
    """
    name = "multivariate_normal"
    key = single_key(name, key)
    mean, cov = promote_inexact(f"random.{name}", mean, cov)
    dtype = float_dtype(name, mean.dtype if dtype is None else dtype)
    n = mean.shape[-1] if mean.shape else 0
    if not mean.shape or cov.shape[-2:] != (n, n):
        raise error(
            ValueError,
            "random.multivariate_normal needs a mean of n elements and a covariance of n x n.",
            got=f"mean of shape {mean.shape} and cov of shape {cov.shape}",
            fix="give mean.shape == (..., n) and cov.shape == (..., n, n).",
        )
    batches = [np.broadcast_to(0, s) for s in (mean.shape[:-1], cov.shape[:-2])]
    shape = parameter_shape(name, shape, *batches)
    normals = real_normal(key, (*shape, n), dtype)
    return mean + jnp.einsum("...ij,...j->...i", _factor(cov, method), normals)


def _factor(cov: Any, method: str) -> Any:
    """A matrix whose product with its transpose is `cov`."""
    if method == "cholesky":
        return jnp.linalg.cholesky(cov)
    if method == "svd":
        u, s, _ = jnp.linalg.svd(cov)
        return u * jnp.sqrt(s[..., None, :])
    if method == "eigh":
        w, v = jnp.linalg.eigh(cov)
        # Of a singular matrix, rounding makes zeros negative, and their roots nan.
        size = jnp.max(abs(w), axis=-1, keepdims=True, initial=0)
        rounding = w.shape[-1] * float(jnp.finfo(w.dtype).eps) * size
        return v * jnp.sqrt(jnp.where((w < 0) & (w > -rounding), 0, w))[..., None, :]
    raise error(
        ValueError,
        "method must be one of {'svd', 'eigh', 'cholesky'}.",
        got=f"method={method!r}",
        fix='use "cholesky", the default; "eigh" or "svd" for singular matrices.',
    )
