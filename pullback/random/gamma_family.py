"""Samplers of the gamma distribution, and of those that are made of it: beta, dirichlet, t ..."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import numpy as jnp
from ..core.errors import error
from ..core.types import Shape
from ..numpy.promotion import as_array, broadcast_to
from ..ops.comparison import max_
from ..ops.elementwise import add, div, mul, sub
from ..ops.functions import exp, sqrt
from ..ops.random_values import random_gamma
from .arguments import (
    float_dtype,
    parameter,
    parameter_shape,
    parameters,
    partitionable,
    sample_shape,
    scalar,
    single_key,
    split_keys,
)
from .samplers import exponential, rademacher, real_normal


def gamma(
    key: Any, a: Any, shape: Any = None, dtype: Any = None, *, out_sharding: Any = None
) -> Any:
    """Numbers of the gamma distribution of shape parameter `a` and scale 1.

    Args:
      key: one random key.
      a: the shape parameter, a number or an array. Samples are differentiable in it.
      shape: the shape of the result; by default that of `a`.
      dtype: a float dtype; float32 by default (float64 with x64).
      out_sharding: accepted for compatibility.

    Example:
      >>> from pullback import random
      >>> key = random.key(0)
      >>> print(random.gamma(key, 2.0, (2,)).shape)
      (2,)
    """
    return _sampled("gamma", key, a, shape, dtype, log_space=False)


def loggamma(
    key: Any, a: Any, shape: Any = None, dtype: Any = None, *, out_sharding: Any = None
) -> Any:
    """Logarithms of gamma numbers, right also where these are too small for a float.

    Args are those of `gamma`.
    """
    return _sampled("loggamma", key, a, shape, dtype, log_space=True)


def _sampled(name: str, key: Any, a: Any, shape: Any, dtype: Any, log_space: bool) -> Any:
    key = single_key(name, key)
    dtype = float_dtype(name, dtype)
    shape = parameter_shape(name, shape, a)
    (a,) = parameters(name, dtype, shape, a)
    return _gammas(key, a, log_space)


def _gammas(key: Any, a: Any, log_space: bool) -> Any:
    return random_gamma(key, a, log_space=log_space, partitionable=partitionable())


def beta(
    key: Any, a: Any, b: Any, shape: Any = None, dtype: Any = None, *, out_sharding: Any = None
) -> Any:
    """Numbers of the beta distribution of parameters `a` and `b`.

    Args:
      key: one random key.
      a: the first parameter, a number or an array. Samples are differentiable in it.
      b: the second parameter.
      shape: the shape of the result; by default that of the parameters together.
      dtype: a float dtype; float32 by default (float64 with x64).
      out_sharding: accepted for compatibility.

    Example:
      >>> from pullback import random
      >>> key = random.key(0)
      >>> print(random.beta(key, 1.0, 2.0).shape)
      ()
    """
    key = single_key("beta", key)
    dtype = float_dtype("beta", dtype)
    shape = parameter_shape("beta", shape, a, b)
    both = parameters("beta", dtype, shape, a, b)
    logs = [_gammas(k, x, True) for k, x in zip(split_keys(key), both, strict=True)]
    # Both may be too small for a float; their ratio is not.
    largest = max_(*logs)
    first, second = (exp(sub(x, largest)) for x in logs)
    return div(first, add(first, second))


def dirichlet(
    key: Any, alpha: Any, shape: Any = None, dtype: Any = None, *, out_sharding: Any = None
) -> Any:
    """Vectors of the Dirichlet distribution: not negative, with sum 1.

    Args:
      key: one random key.
      alpha: the concentrations, along the last axis. Samples are differentiable in them.
      shape: the shape of the result without its last axis; by default that of `alpha`.
      dtype: a float dtype; float32 by default (float64 with x64).
      out_sharding: accepted for compatibility.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback import random
      >>> key = random.key(0)
      >>> print(random.dirichlet(key, jnp.ones(3)).sum().round(3))
      1.0
    """
    key = single_key("dirichlet", key)
    dtype = float_dtype("dirichlet", dtype)
    alpha = as_array(alpha, "random.dirichlet")
    if not alpha.shape:
        raise error(
            ValueError,
            "random.dirichlet requires alpha.ndim >= 1, got alpha.ndim == 0.",
            got=alpha.aval.str_short(),
            fix="give one concentration for each element of the vectors.",
        )
    batch = parameter_shape("dirichlet", shape, np.broadcast_to(0, alpha.shape[:-1]))
    (alpha,) = parameters("dirichlet", dtype, (*batch, alpha.shape[-1]), alpha)
    logs = _gammas(key, alpha, True)
    shares = exp(logs - jnp.max(logs, axis=-1, keepdims=True, initial=-np.inf))
    return shares / jnp.sum(shares, axis=-1, keepdims=True)


def chisquare(
    key: Any, df: Any, shape: Any = None, dtype: Any = None, *, out_sharding: Any = None
) -> Any:
    """Numbers of the chi-square distribution of `df` degrees of freedom."""
    key = single_key("chisquare", key)
    dtype = float_dtype("chisquare", dtype)
    shape = parameter_shape("chisquare", shape, df)
    (df,) = parameters("chisquare", dtype, shape, df)
    return _chisquares(key, df)


def _chisquares(key: Any, df: Any) -> Any:
    two = scalar(df.dtype, 2)
    return mul(exp(_gammas(key, div(df, two), True)), two)


def f(
    key: Any,
    dfnum: Any,
    dfden: Any,
    shape: Any = None,
    dtype: Any = None,
    *,
    out_sharding: Any = None,
) -> Any:
    """Numbers of the F distribution of `dfnum` and `dfden` degrees of freedom."""
    key = single_key("f", key)
    dtype = float_dtype("f", dtype)
    shape = parameter_shape("f", shape, dfnum, dfden)
    dfnum, dfden = parameters("f", dtype, shape, dfnum, dfden)
    lower, upper = split_keys(key)
    return div(div(_chisquares(upper, dfnum), dfnum), div(_chisquares(lower, dfden), dfden))


def t(key: Any, df: Any, shape: Any = None, dtype: Any = None, *, out_sharding: Any = None) -> Any:
    """Numbers of Student's t distribution of `df` degrees of freedom.

    Example:
      >>> from pullback import random
      >>> key = random.key(0)
      >>> print(random.t(key, 3.0, (2,)).shape)
      (2,)
    """
    key = single_key("t", key)
    dtype = float_dtype("t", dtype)
    shape = parameter_shape("t", shape, df)
    (df,) = parameters("t", dtype, shape, df)
    normal_key, gamma_key = split_keys(key)
    half = div(df, scalar(dtype, 2))
    scale = sqrt(div(half, _gammas(gamma_key, half, False)))
    return mul(real_normal(normal_key, shape, dtype), scale)


def generalized_normal(
    key: Any,
    p: Any,
    shape: Any = (),
    dtype: Any = None,
    *,
    out_sharding: Any = None,
) -> Any:
    """Numbers of density proportional to exp(-abs(x)**p)."""
    key = single_key("generalized_normal", key)
    dtype = float_dtype("generalized_normal", dtype)
    shape = sample_shape("generalized_normal", shape)
    return _generalized(key, parameter("generalized_normal", p, dtype), shape, dtype)


def _generalized(key: Any, p: Any, shape: Shape, dtype: np.dtype) -> Any:
    gamma_key, sign_key = split_keys(key)
    inverse = 1 / p
    size = _gammas(gamma_key, broadcast_to(inverse, shape), False)
    return rademacher(sign_key, shape, dtype) * size**inverse


def ball(
    key: Any,
    d: int,
    p: Any = 2,
    shape: Any = (),
    dtype: Any = None,
    *,
    out_sharding: Any = None,
) -> Any:
    """Vectors of length `d`, evenly spread over the unit ball of the `p`-norm.

    Example:
      >>> from pullback import random
      >>> key = random.key(0)
      >>> print(random.ball(key, 2, shape=(4,)).shape)
      (4, 2)
    """
    key = single_key("ball", key)
    dtype = float_dtype("ball", dtype)
    shape = sample_shape("ball", shape)
    p = parameter("ball", p, dtype)
    normal_key, exponential_key = split_keys(key)
    (d,) = sample_shape("ball", (d,))
    g = _generalized(normal_key, p, (*shape, d), dtype)
    radius = jnp.sum(jnp.abs(g) ** p, axis=-1) + exponential(exponential_key, shape, dtype)
    return g / jnp.expand_dims(radius ** (1 / p), -1)
