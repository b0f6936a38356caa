"""Samplers that choose among elements: permutation, choice and categorical."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import numpy as jnp
from ..core import dtypes
from ..core.errors import error
from ..core.types import Shape
from ..numpy.arguments import concrete, expand
from ..numpy.promotion import as_array, axis_number, promote_inexact
from ..ops.elementwise import add
from ..ops.functions import log
from ..ops.sorting import sort, top_k
from .arguments import bits_of, parameter_shape, sample_shape, single_key, split_keys
from .samplers import gumbel, randint, uniform


def permutation(
    key: Any,
    x: Any,
    axis: int = 0,
    independent: bool = False,
    *,
    out_sharding: Any = None,
) -> Any:
    """`x` in random order.

    Args:
      key: one random key.
      x: an array; or an integer, which stands for `arange(x)`.
      axis: the axis along which elements change places.
      independent: whether each line along `axis` gets an order of its own.
      out_sharding: accepted for compatibility.

    Example:
      >>> from pullback import random
      >>> random.permutation(random.key(0), 5)
      Array([0, 1, 4, 3, 2], dtype=int32)
    """
    key = single_key("permutation", key)
    x = as_array(x, "random.permutation")
    axis = axis_number(axis, len(x.shape) or 1)
    if not x.shape:
        return _shuffled(key, jnp.arange(_count("permutation", x)), axis)
    if independent or len(x.shape) == 1:
        return _shuffled(key, x, axis)
    order = _shuffled(key, jnp.arange(x.shape[axis]), 0)
    return jnp.take(x, order, axis)


def _count(name: str, x: Any) -> int:
    if dtypes.kind(x.dtype) not in "iu":
        raise error(
            TypeError,
            f"random.{name}: x must be an integer or at least 1-dimensional.",
            got=x.aval.str_short(),
            fix="give an array of the elements, or the number of them.",
        )
    what = f"the number of elements of random.{name}"
    return int(concrete(x, what, "make it static (static_argnums), or a Python integer."))


def _shuffled(key: Any, x: Any, axis: int) -> Any:
    """`x` sorted by random words along `axis`, as often as makes ties among them unlikely."""
    # Each of the n! orders should have nearly the same probability: with n**3 < 2**(32 rounds),
    # words tie in less than one of n cases.
    rounds = math.ceil(3 * math.log(max(1, x.size)) / math.log(2**32 - 1))
    for _ in range(rounds):
        key, now = split_keys(key)
        words = bits_of(now, 32, x.shape)
        x = sort(words, x, dimension=axis, is_stable=True, num_keys=1)[1]
    return x


def choice(
    key: Any,
    a: Any,
    shape: Any = (),
    replace: bool = True,
    p: Any = None,
    axis: int = 0,
    mode: str | None = None,
) -> Any:
    """Random elements of an array.

    Args:
      key: one random key.
      a: an array; or an integer, which stands for `arange(a)`.
      shape: the shape of the sample.
      replace: whether an element can be chosen twice.
      p: the probability of each element along `axis`; by default all have the same.
      axis: the axis along which to choose.
      mode: how many bits are drawn where `p` is given and `replace` is False: see `gumbel`.

    Example:
      >>> from pullback import random
      >>> key = random.key(0)
      >>> print(random.choice(key, 5, (3,), replace=False).shape)
      (3,)
    """
    key = single_key("choice", key)
    shape = sample_shape("choice", shape)
    a = as_array(a, "random.choice")
    scalar = not a.shape
    axis = 0 if scalar else axis_number(axis, len(a.shape))
    n = _count("choice", a) if scalar else a.shape[axis]
    draws = math.prod(shape)
    if draws == 0:
        return jnp.zeros(shape, dtype=a.dtype)
    _check_population(n, draws, replace)
    if p is not None:
        order = _weighted(key, p, n, shape, draws, replace, mode)
    elif replace:
        order = randint(key, shape, 0, n)
    else:
        mixed = permutation(key, n if scalar else a, axis)
        return _in_shape(jnp.take(mixed, jnp.arange(draws), axis), a, axis, shape)
    return _in_shape(order if scalar else jnp.take(a, order, axis), a, axis, shape)


def _check_population(n: int, draws: int, replace: bool) -> None:
    if n <= 0:
        raise error(
            ValueError,
            "random.choice: there is nothing to choose from.",
            got=f"{n} elements",
            fix="a must have at least one element unless no samples are taken.",
        )
    if not replace and draws > n:
        raise error(
            ValueError,
            f"Cannot take a larger sample (size {draws}) than population (size {n}) when "
            "'replace=False'.",
            got=f"{draws} draws from {n} elements",
            fix="draw fewer, or use replace=True.",
        )


def _weighted(
    key: Any, p: Any, n: int, shape: Shape, draws: int, replace: bool, mode: str | None
) -> Any:
    """Places drawn with probabilities `p`."""
    (p,) = promote_inexact("random.choice", p)
    if p.shape != (n,):
        raise error(
            ValueError,
            "p must be None or a 1D vector with the same size as a.shape[axis].",
            got=f"p of shape {p.shape} for {n} elements",
            fix="give one probability for each element.",
        )
    if replace:
        total = jnp.cumsum(p)
        drawn = total[-1] * (1 - uniform(key, shape, dtype=total.dtype))
        return jnp.searchsorted(total, drawn).astype(dtypes.default_int())
    scores = add(gumbel(key, (n,), p.dtype, mode), log(p))
    return top_k(scores, k=draws, axis=0)[1].astype(dtypes.default_int())


def _in_shape(chosen: Any, a: Any, axis: int, shape: Shape) -> Any:
    whole = shape if not a.shape else (*a.shape[:axis], *shape, *a.shape[axis + 1 :])
    return chosen if chosen.shape == whole else jnp.reshape(chosen, whole)


def categorical(
    key: Any,
    logits: Any,
    axis: int = -1,
    shape: Any = None,
    replace: bool = True,
    mode: str | None = None,
    *,
    out_sharding: Any = None,
) -> Any:
    """Indices drawn with probabilities `softmax(logits, axis)`.

    Args:
      key: one random key.
      logits: logarithms of probabilities, up to a constant.
      axis: the axis of `logits` along which the categories lie.
      shape: the shape of the result, which ends in that of `logits` without `axis`; by default
        just that.
      replace: False draws different indices along the leading axes of `shape`.
      mode: how many bits are drawn: see `gumbel`.
      out_sharding: accepted for compatibility.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback import random
      >>> key = random.key(0)
      >>> print(random.categorical(key, jnp.zeros(4), shape=(3,)).shape)
      (3,)
    """
    key = single_key("categorical", key)
    logits = as_array(logits, "random.categorical")
    if not logits.shape or dtypes.kind(logits.dtype) != "f":
        raise error(
            TypeError if logits.shape else ValueError,
            "random.categorical needs an array of floats with an axis of categories.",
            got=logits.aval.str_short(),
            fix="give the logarithms of the probabilities, e.g. jnp.log(p).",
        )
    axis = axis_number(axis, len(logits.shape)) - len(logits.shape)
    batch = tuple(np.delete(logits.shape, axis).tolist())
    shape = parameter_shape("categorical", shape, np.broadcast_to(0, batch))
    lead = shape[: len(shape) - len(batch)]
    if not replace:
        return _distinct(key, logits, axis, shape, lead, mode)
    drawn = list(shape[len(lead) :])
    drawn.insert(axis % len(logits.shape), logits.shape[axis])
    scores = gumbel(key, (*lead, *drawn), logits.dtype, mode) + expand(logits, range(len(lead)))
    return jnp.argmax(scores, axis=axis)


def _distinct(key: Any, logits: Any, axis: int, shape: Shape, lead: Shape, mode: Any) -> Any:
    scores = logits + gumbel(key, logits.shape, logits.dtype, mode)
    k = math.prod(lead)
    if k > logits.shape[axis]:
        raise error(
            ValueError,
            f"Number of samples without replacement ({k}) cannot exceed number of categories "
            f"({logits.shape[axis]}).",
            got=f"shape={shape} and {logits.shape[axis]} categories",
            fix="draw fewer, or use replace=True.",
        )
    found = top_k(jnp.moveaxis(scores, axis, -1), k=k, axis=len(scores.shape) - 1)[1]
    return jnp.reshape(jnp.moveaxis(found, -1, 0), shape)
