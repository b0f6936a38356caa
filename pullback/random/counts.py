"""Samplers of counts: poisson, binomial and multinomial.

Each has two methods, for small and for large expected counts. Both run on all elements, with
harmless parameters where the other is meant, so that one key gives the numbers that JAX gives.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import lax
from .. import numpy as jnp
from ..core import dtypes
from ..core.errors import error
from ..core.types import Shape
from ..numpy.promotion import as_array, astype, broadcast_to, promote_inexact
from ..ops.random_bits import random_split
from .arguments import (
    float_dtype,
    integer_dtype,
    parameter_shape,
    parameters,
    partitionable,
    single_key,
    split_keys,
)
from .samplers import unit_uniform


def poisson(
    key: Any, lam: Any, shape: Any = None, dtype: Any = None, *, out_sharding: Any = None
) -> Any:
    """Integers of the Poisson distribution of mean `lam`.

    Args:
      key: one random key.
      lam: the mean, a number or an array. It has no derivative.
      shape: the shape of the result; by default that of `lam`.
      dtype: an integer dtype; int32 by default (int64 with x64).
      out_sharding: accepted for compatibility.

    Example:
      >>> from pullback import random
      >>> key = random.key(0)
      >>> print(random.poisson(key, 3.0, (4,)).dtype)
      int32
    """
    key = single_key("poisson", key)
    dtype = integer_dtype("poisson", dtype, ValueError)
    shape = parameter_shape("poisson", shape, lam)
    (lam,) = parameters("poisson", dtypes.float32, shape, lam)
    lam = lax.stop_gradient(lam)
    # nan goes to the first method, whose loop it ends at once.
    small = jnp.isnan(lam) | (lam < 10)
    limit = min(np.iinfo(dtype).max, np.iinfo(dtypes.default_int()).max)
    few = _poisson_by_product(key, jnp.where(small, lam, 0.0), shape, dtype, limit)
    many = _poisson_by_rejection(key, jnp.where(small, 1e5, lam), shape, dtype, limit)
    return jnp.where(lam == 0, 0, jnp.where(small, few, many)).astype(dtype)


def _poisson_by_product(key: Any, lam: Any, shape: Shape, dtype: np.dtype, limit: int) -> Any:
    """Knuth: how many uniform numbers can be multiplied until the product is below exp(-lam)."""

    def goes_on(carry: Any) -> Any:
        i, _, _, log_product = carry
        return jnp.any(log_product > -lam) & (i < limit)

    def step(carry: Any) -> Any:
        i, k, key, log_product = carry
        key, now = split_keys(key)
        k = jnp.where(log_product > -lam, k + 1, k)
        u = unit_uniform(now, shape, dtypes.float32)
        return i + 1, k, key, log_product + jnp.log(u)

    start = 0, jnp.zeros(shape, dtype), key, jnp.zeros(shape, dtypes.float32)
    return lax.while_loop(goes_on, step, start)[1] - 1


def _poisson_by_rejection(key: Any, lam: Any, shape: Shape, dtype: np.dtype, limit: int) -> Any:
    """Hörmann (1993), "The transformed rejection method for Poisson random variables", PTRS."""
    log_lam = jnp.log(lam)
    b = 0.931 + 2.53 * jnp.sqrt(lam)
    a = -0.059 + 0.02483 * b
    inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)
    enough = 0.9277 - 3.6224 / (b - 2)

    def propose(now: Any, then: Any) -> tuple[Any, Any]:
        u = unit_uniform(now, shape, lam.dtype) - 0.5
        v = unit_uniform(then, shape, lam.dtype)
        distance = 0.5 - jnp.abs(u)
        k = jnp.floor((2 * a / distance + b) * u + lam + 0.43)
        left = jnp.log(v * inverse_alpha / (a / (distance * distance) + b))
        right = k * log_lam - lam - lax.lgamma(k + 1)
        at_once = (distance >= 0.07) & (v <= enough)
        never = (k < 0) | ((distance < 0.013) & (v > distance))
        return k, at_once | (~never & (left <= right))

    found = _until_accepted(key, propose, shape, lam.dtype, limit)
    return found.astype(dtype)


def _until_accepted(key: Any, propose: Any, shape: Shape, dtype: np.dtype, limit: Any) -> Any:
    """Proposals until each element has had one accepted; its last accepted one."""

    def goes_on(carry: Any) -> Any:
        i, _, accepted, _ = carry
        return jnp.any(~accepted) & (i < limit)

    def step(carry: Any) -> Any:
        i, found, accepted, key = carry
        key, now, then = split_keys(key, 3)
        k, accept = propose(now, then)
        return i + 1, jnp.where(accept, k, found), accepted | accept, key

    start = 0, jnp.full(shape, -1, dtype), jnp.zeros(shape, bool), key
    return lax.while_loop(goes_on, step, start)[1]


def binomial(key: Any, n: Any, p: Any, shape: Any = None, dtype: Any = None) -> Any:
    """How many of `n` trials succeed, each with probability `p`.

    Args:
      key: one random key.
      n: the number of trials, a number or an array.
      p: the probability of success. It has no derivative.
      shape: the shape of the result; by default that of the parameters together.
      dtype: a float dtype; float32 by default (float64 with x64).

    Example:
      >>> from pullback import random
      >>> key = random.key(0)
      >>> print(random.binomial(key, 10, 0.5).dtype)
      float32
    """
    key = single_key("binomial", key)
    dtype = float_dtype("binomial", dtype)
    shape = parameter_shape("binomial", shape, n, p)
    (p,) = promote_inexact("random.binomial", as_array(p, "random.binomial"))
    (n,) = parameters("binomial", p.dtype, shape, n)
    return _binomial(key, n, lax.stop_gradient(broadcast_to(p, shape)), shape, dtype)


def _binomial(key: Any, n: Any, p: Any, shape: Shape, dtype: np.dtype) -> Any:
    rare = p < 0.5
    q = jnp.where(rare, p, 1 - p)
    no_count, infinite = jnp.isnan(n) | (n < 0), jnp.isinf(n)
    no_p, below = jnp.isnan(q), q < 0
    q = jnp.where(no_p | below, 0.01, q)
    small = no_count | (n * q <= 10)
    n = jnp.floor(n)
    limit = float(dtypes.finfo(dtype).max)
    few = _binomial_by_waiting(key, jnp.where(small, n, 0), q, shape, limit)
    many = _binomial_by_rejection(
        key, jnp.where(small, 10000, n), jnp.where(small, 0.5, q), shape, limit
    )
    out = jnp.where(small, few, many).astype(dtype)
    invalid = below | no_p | no_count
    out = jnp.where(invalid, jnp.nan, jnp.where(infinite & ~invalid, jnp.inf, out))
    return jnp.where(rare | no_count | no_p | infinite, out, n.astype(dtype) - out).astype(dtype)


def _binomial_by_waiting(key: Any, n: Any, p: Any, shape: Shape, limit: float) -> Any:
    """Waiting times between successes are geometric: how many of them `n` trials have room for."""
    log_failure = jnp.log1p(-p)

    def goes_on(carry: Any) -> Any:
        i, _, waited, _ = carry
        return jnp.any(waited <= n) & (i < limit)

    def step(carry: Any) -> Any:
        i, successes, waited, key = carry
        now, key = split_keys(key)
        successes = jnp.where(waited <= n, successes + 1, successes)
        u = unit_uniform(now, shape, p.dtype)
        return i + 1, successes, waited + jnp.ceil(jnp.log(u) / log_failure), key

    start = 0, jnp.zeros(shape, p.dtype), jnp.zeros(shape, p.dtype), key
    return lax.while_loop(goes_on, step, start)[1] - 1


def _binomial_by_rejection(key: Any, n: Any, p: Any, shape: Shape, limit: float) -> Any:
    """Hörmann (1993), "The generation of binomial random variates", algorithm BTRS."""
    deviation = jnp.sqrt(n * p * (1 - p))
    b = 1.15 + 2.53 * deviation
    a = -0.0873 + 0.0248 * b + 0.01 * p
    center = n * p + 0.5
    enough = 0.92 - 4.2 / b
    odds = p / (1 - p)
    alpha = (2.83 + 5.1 / b) * deviation
    mode = jnp.floor((n + 1) * p)

    def log_ratio(k: Any) -> Any:
        """log of the probability of k over that of the mode."""
        return (
            (mode + 0.5) * jnp.log((mode + 1) / (odds * (n - mode + 1)))
            + (n + 1) * jnp.log((n - mode + 1) / (n - k + 1))
            + (k + 0.5) * jnp.log(odds * (n - k + 1) / (k + 1))
            + _stirling_rest(mode)
            + _stirling_rest(n - mode)
            - _stirling_rest(k)
            - _stirling_rest(n - k)
        )

    def propose(now: Any, then: Any) -> tuple[Any, Any]:
        u = unit_uniform(now, shape, p.dtype) - 0.5
        v = unit_uniform(then, shape, p.dtype)
        distance = 0.5 - jnp.abs(u)
        k = jnp.floor((2 * a / distance + b) * u + center)
        at_once = (distance >= 0.07) & (v <= enough)
        never = (k < 0) | (k > n)
        height = jnp.log(v * alpha / (a / (distance * distance) + b))
        return k, at_once | (~never & (height <= log_ratio(k)))

    return _until_accepted(key, propose, shape, p.dtype, limit)


# log(k!) less Stirling's formula for it, for k from 0 to 9.
_STIRLING_RESTS = [
    math.lgamma(k + 1) - ((k + 0.5) * math.log(k + 1) - (k + 1) + 0.5 * math.log(2 * math.pi))
    for k in range(10)
]


def _stirling_rest(k: Any) -> Any:
    table = jnp.array(_STIRLING_RESTS, k.dtype)
    small = k <= 9
    near = jnp.clip(k, 0, 9)
    square = (near + 1) * (near + 1)
    series = (1 / 12 - (1 / 360 - 1 / 1260 / square) / square) / (near + 1)
    return jnp.where(small, table[jnp.floor(near).astype("int32")], series)


def multinomial(
    key: Any,
    n: Any,
    p: Any,
    *,
    shape: Any = None,
    dtype: Any = None,
    unroll: int | bool = 1,
) -> Any:
    """How many of `n` draws fall in each category.

    Args:
      key: one random key.
      n: the number of draws, a number or an array.
      p: the probabilities of the categories, along the last axis.
      shape: the shape of the result, with the axis of categories last; by default that of `p`.
      dtype: a float dtype; float32 by default (float64 with x64).
      unroll: accepted for compatibility.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback import random
      >>> key = random.key(0)
      >>> print(random.multinomial(key, 10.0, jnp.array([0.5, 0.5])).sum())
      10.0
    """
    key = single_key("multinomial", key)
    dtype = float_dtype("multinomial", dtype)
    n, p = promote_inexact("random.multinomial", n, p)
    if not p.shape:
        raise error(
            ValueError,
            "random.multinomial needs an axis of categories.",
            got=f"p {p.aval.str_short()}",
            fix="give one probability for each category.",
        )
    shape = parameter_shape("multinomial", shape, p)
    n = broadcast_to(astype(n, n.dtype), shape[:-1])
    p = jnp.moveaxis(broadcast_to(p, shape), -1, 0)
    ahead = jnp.flip(jnp.cumsum(jnp.flip(p, 0), 0), 0)
    shares = jnp.clip(p / jnp.where(ahead == 0, 1, ahead), 0, 1)
    keys = random_split(key, shape=shape[-1:], partitionable=partitionable())

    def draw(left: Any, each: Any) -> tuple[Any, Any]:
        share, now = each
        count = _binomial(now, left, share, left.shape, left.dtype)
        return left - count, count

    counts = lax.scan(draw, n, (lax.stop_gradient(shares), keys))[1]
    return jnp.moveaxis(counts, 0, -1).astype(dtype)
