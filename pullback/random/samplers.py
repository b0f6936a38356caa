"""Samplers without rejection: bits, uniform, normal, integers, and inverses of distributions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..core import dtypes
from ..core.errors import error
from ..core.types import Shape
from ..engines import eager
from ..numpy.promotion import as_array, astype, broadcast_to, broadcast_together, requested_dtype
from ..ops.comparison import (
    and_,
    bitcast_convert_type,
    clz,
    eq,
    ge,
    gt,
    le,
    lt,
    max_,
    min_,
    not_,
    or_,
    shift_left,
    shift_right_logical,
)
from ..ops.elementwise import add, complex_, convert_element_type, div, mul, neg, select_n, sub
from ..ops.functions import log, log1p, rem, tan
from ..ops.random_values import bit_width_for, uniform_from_bits
from ..ops.rounding import abs_, nextafter, sign
from ..ops.slicing import slice_along
from ..ops.special import erf, erf_inv
from ..ops.structural import broadcast_in_dim, reshape
from .arguments import (
    bits_of,
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


def bits(key: Any, shape: Any = (), dtype: Any = None, *, out_sharding: Any = None) -> Any:
    """Unsigned integers of which every bit is random.

    Args:
      key: one random key.
      shape: the shape of the result.
      dtype: an unsigned dtype; uint32 by default (uint64 with x64).
      out_sharding: accepted for compatibility.

    Example:
      >>> from pullback import random
      >>> key = random.key(0)
      >>> print(random.bits(key, (2,)).dtype)
      uint32
    """
    key = single_key("bits", key)
    dtype = dtypes.canonical(np.uint64) if dtype is None else requested_dtype(dtype, "random.bits")
    if dtypes.kind(dtype) != "u":
        raise error(
            ValueError,
            f"dtype argument to `bits` must be an unsigned int dtype, got {dtype}.",
            got=f"dtype={dtypes.long_name(dtype)}",
            fix="use jnp.uint32, or leave dtype away.",
        )
    return bits_of(key, 8 * dtype.itemsize, sample_shape("bits", shape))


# ---- uniform and normal


def uniform(
    key: Any,
    shape: Any = (),
    dtype: Any = None,
    minval: Any = 0.0,
    maxval: Any = 1.0,
    *,
    out_sharding: Any = None,
) -> Any:
    """Numbers evenly spread over [minval, maxval).

    Args:
      key: one random key.
      shape: the shape of the result.
      dtype: a float dtype; float32 by default (float64 with x64).
      minval: the least number, or an array of them that broadcasts to `shape`.
      maxval: the limit above.
      out_sharding: accepted for compatibility.

    Example:
      >>> from pullback import random
      >>> random.uniform(random.key(0), (2,))
      Array([0.947667 , 0.9785799], dtype=float32)
    """
    key = single_key("uniform", key)
    dtype, shape = float_dtype("uniform", dtype), sample_shape("uniform", shape)
    low, high = _bound(minval, dtype, shape), _bound(maxval, dtype, shape)
    return _between(key, shape, dtype, low, high)


def _between(key: Any, shape: Shape, dtype: np.dtype, low: Any, high: Any) -> Any:
    drawn = eager.uniform(key, shape, dtype, low, high)
    if drawn is not None:
        return drawn
    return uniform_from_bits(bits_of(key, bit_width_for(dtype), shape), low, high)


def _bound(x: Any, dtype: np.dtype, shape: Shape) -> Any:
    if type(x) is float or type(x) is int:
        return scalar(dtype, x)
    parameter_shape("uniform", shape, x)
    x = parameter("uniform", x, dtype)
    return broadcast_to(x, shape) if x.shape else x


def unit_uniform(key: Any, shape: Shape, dtype: np.dtype, low: float = 0.0) -> Any:
    """Numbers evenly spread over [low, 1), from a checked key."""
    return _between(key, shape, dtype, scalar(dtype, low), scalar(dtype, 1.0))


def normal(key: Any, shape: Any = (), dtype: Any = None, *, out_sharding: Any = None) -> Any:
    """Numbers of the standard normal distribution; complex ones have variance 1 in all.

    Args:
      key: one random key.
      shape: the shape of the result.
      dtype: a float or complex dtype; float32 by default (float64 with x64).
      out_sharding: accepted for compatibility.

    Example:
      >>> from pullback import random
      >>> random.normal(random.key(0), (2,))
      Array([1.6226422, 2.0252647], dtype=float32)
    """
    key = single_key("normal", key)
    dtype, shape = float_dtype("normal", dtype, also_complex=True), sample_shape("normal", shape)
    if dtype.kind != "c":
        return real_normal(key, shape, dtype)
    part = dtypes.real_dtype(dtype)
    root = scalar(part, math.sqrt(2))
    parts = [div(real_normal(k, shape, part), root) for k in split_keys(key)]
    return complex_(*parts)


def real_normal(key: Any, shape: Shape, dtype: np.dtype) -> Any:
    """Normal numbers of a float dtype, from a checked key."""
    drawn = eager.normal(key, shape, dtype)
    if drawn is not None:
        return drawn
    above = np.nextafter(np.array(-1, dtype), np.array(0, dtype))
    uniforms = unit_uniform(key, shape, dtype, float(above))
    return mul(scalar(dtype, math.sqrt(2)), erf_inv(uniforms))


def truncated_normal(
    key: Any,
    lower: Any,
    upper: Any,
    shape: Any = None,
    dtype: Any = None,
    *,
    out_sharding: Any = None,
) -> Any:
    """Standard normal numbers between `lower` and `upper`, exclusive.

    Args:
      key: one random key.
      lower: the limit below, a number or an array.
      upper: the limit above.
      shape: the shape of the result; by default that of the limits together.
      dtype: a float dtype; float32 by default (float64 with x64).
      out_sharding: accepted for compatibility.

    Example:
      >>> from pullback import random
      >>> key = random.key(0)
      >>> print(random.truncated_normal(key, -1.0, 1.0, (2,)).shape)
      (2,)
    """
    key = single_key("truncated_normal", key)
    dtype = float_dtype("truncated_normal", dtype)
    shape = parameter_shape("truncated_normal", shape, lower, upper)
    low, high = parameters("truncated_normal", dtype, shape, lower, upper)
    root = scalar(dtype, math.sqrt(2))
    bounds = [erf(div(x, root)) for x in (low, high)]
    uniforms = uniform_from_bits(bits_of(key, bit_width_for(dtype), shape), *bounds)
    out = mul(root, erf_inv(uniforms))
    # Rounding may put a sample on a limit or beyond it. nextafter has no derivative.
    least = nextafter(low, scalar(dtype, np.inf))
    most = nextafter(high, scalar(dtype, -np.inf))
    return min_(max_(out, least), most)


# ---- integers and bools


def randint(
    key: Any,
    shape: Any,
    minval: Any,
    maxval: Any,
    dtype: Any = None,
    *,
    out_sharding: Any = None,
) -> Any:
    """Integers from `minval` to `maxval` - 1.

    Args:
      key: one random key.
      shape: the shape of the result.
      minval: the least integer, or an array of them that broadcasts to `shape`.
      maxval: the limit above, exclusive.
      dtype: an integer dtype; int32 by default (int64 with x64).
      out_sharding: accepted for compatibility.

    Example:
      >>> from pullback import random
      >>> random.randint(random.key(0), (4,), 0, 10)
      Array([9, 0, 2, 3], dtype=int32)
    """
    key = single_key("randint", key)
    dtype = integer_dtype("randint", dtype)
    shape = parameter_shape("randint", sample_shape("randint", shape), minval, maxval)
    # Narrow integers are drawn in 32 bits, for which the remainder is less biased.
    drawn = dtype if dtype.itemsize >= 4 else dtypes.int32
    if type(minval) is int and type(maxval) is int:
        low, span, factor = _known_range(minval, maxval, dtype, drawn)
    else:
        low, span, factor = _range(minval, maxval, dtype, drawn)
        low, span, factor = (broadcast_to(x, shape) if x.shape else x for x in (low, span, factor))
    high_bits, low_bits = (bits_of(k, 8 * drawn.itemsize, shape) for k in split_keys(key))
    offset = rem(add(mul(rem(high_bits, span), factor), rem(low_bits, span)), span)
    out = add(low, convert_element_type(offset, new_dtype=drawn, weak_type=False))
    return astype(out, dtype)


def _known_range(minval: int, maxval: int, dtype: np.dtype, drawn: np.dtype) -> tuple[Any, ...]:
    """The least integer, how many there are, and 2**bits modulo that, in the dtype drawn."""
    unsigned, width = np.dtype(f"u{drawn.itemsize}"), 8 * drawn.itemsize
    least, most = int(dtypes.iinfo(dtype).min), int(dtypes.iinfo(dtype).max)
    top = most + (dtype != drawn)
    low, high = min(max(minval, least), most), min(max(maxval, least), top)
    span = 1 if high <= low else high - low + (dtype == drawn and maxval > most)
    factor = (1 << width // 2) % span
    # A span of all integers is 0 in its dtype; the remainder by 0 leaves a number as it is.
    wrapped = [span % (1 << width), factor * factor % (1 << width) % span]
    return scalar(drawn, low), *(scalar(unsigned, n) for n in wrapped)


def _range(minval: Any, maxval: Any, dtype: np.dtype, drawn: np.dtype) -> tuple[Any, ...]:
    """The same for arrays."""
    low, high = (_as_integer(x) for x in (minval, maxval))
    if dtype.itemsize < 4:
        least, most = int(dtypes.iinfo(dtype).min), int(dtypes.iinfo(dtype).max)
        low = _clip(astype(low, drawn), least, most)
        high = _clip(astype(high, drawn), least, most + 1)
    least, most = int(dtypes.iinfo(drawn).min), int(dtypes.iinfo(drawn).max)
    beyond = gt(high, scalar(high.dtype, min(most, int(dtypes.iinfo(high.dtype).max))))
    low, high = (astype(_clip(x, least, most), drawn) for x in (low, high))
    low, high, beyond = broadcast_together("randint", low, high, beyond)
    unsigned = np.dtype(f"u{drawn.itemsize}")
    span = convert_element_type(sub(high, low), new_dtype=unsigned, weak_type=False)
    one = filled(scalar(unsigned, 1), span.shape)
    span = select_n(and_(beyond, gt(high, low)), span, add(span, one))
    span = select_n(le(high, low), span, one)
    factor = rem(filled(scalar(unsigned, 1 << 4 * drawn.itemsize), span.shape), span)
    return low, span, rem(mul(factor, factor), span)


def filled(x: Any, shape: Shape) -> Any:
    """The scalar `x` in `shape`."""
    return broadcast_in_dim(x, shape=shape, broadcast_dimensions=()) if shape else x


def _as_integer(x: Any) -> Any:
    x = as_array(x, "random.randint")
    return x if dtypes.kind(x.dtype) in "iu" else astype(x, dtypes.default_int())


def _clip(x: Any, low: int, high: int) -> Any:
    info = dtypes.iinfo(x.dtype)
    least, most = max(low, int(info.min)), min(high, int(info.max))
    return min_(max_(x, scalar(x.dtype, least)), scalar(x.dtype, most))


def bernoulli(
    key: Any,
    p: Any = 0.5,
    shape: Any = None,
    mode: str = "low",
    *,
    out_sharding: Any = None,
) -> Any:
    """True with probability `p`.

    Args:
      key: one random key.
      p: probabilities, a number or an array of floats.
      shape: the shape of the result; by default that of `p`.
      mode: "high" draws twice as many bits, which is right also for p below 1e-7.
      out_sharding: accepted for compatibility.

    Example:
      >>> from pullback import random
      >>> key = random.key(0)
      >>> print(random.bernoulli(key, 0.5, (3,)).dtype)
      bool
    """
    key = single_key("bernoulli", key)
    if mode not in ("high", "low"):
        raise _wrong_mode("bernoulli", mode, "'high' or 'low'")
    p = as_array(p, "random.bernoulli")
    if dtypes.kind(p.dtype) != "f":
        raise error(
            TypeError,
            f"bernoulli probability `p` must have a floating dtype, got {p.dtype}.",
            got=p.aval.str_short(),
            fix="convert it with .astype(float).",
        )
    shape = parameter_shape("bernoulli", shape, p)
    p = astype(p, p.dtype)
    p = broadcast_to(p, shape) if p.shape else p
    if mode == "low":
        return lt(unit_uniform(key, shape, p.dtype), p)
    first, second = _two(unit_uniform(key, (2, *shape), p.dtype))
    step = scalar(p.dtype, 2.0 ** -dtypes.finfo(p.dtype).nmant)
    return lt(mul(second, step), sub(p, first))


def _wrong_mode(name: str, mode: Any, known: str) -> ValueError:
    return error(
        ValueError,
        f"random.{name} has no mode {mode!r}.",
        got=f"mode={mode!r}",
        fix=f"use {known}.",
    )


def _two(x: Any) -> list[Any]:
    """The two parts of `x` along its first axis."""
    return [reshape(slice_along(x, 0, i, i + 1), new_sizes=x.shape[1:]) for i in (0, 1)]


def rademacher(key: Any, shape: Any = (), dtype: Any = None, *, out_sharding: Any = None) -> Any:
    """-1 or 1, each with probability 1/2; integers by default.

    Example:
      >>> from pullback import random
      >>> key = random.key(0)
      >>> print(random.rademacher(key, (2,)).dtype)
      int32
    """
    key = single_key("rademacher", key)
    dtype = dtypes.default_int() if dtype is None else requested_dtype(dtype, "random.rademacher")
    drawn = bernoulli(key, 0.5, sample_shape("rademacher", shape))
    ones = convert_element_type(drawn, new_dtype=dtype, weak_type=False)
    return sub(mul(scalar(dtype, 2), ones), scalar(dtype, 1))


# ---- distributions whose inverse is a formula


def exponential(key: Any, shape: Any = (), dtype: Any = None, *, out_sharding: Any = None) -> Any:
    """Numbers of the exponential distribution of mean 1.

    Args:
      key: one random key.
      shape: the shape of the result.
      dtype: a float dtype; float32 by default (float64 with x64).
      out_sharding: accepted for compatibility.

    Example:
      >>> from pullback import random
      >>> key = random.key(0)
      >>> print(random.exponential(key, (2,)).shape)
      (2,)
    """
    key, shape, dtype = _plain("exponential", key, shape, dtype)
    return neg(log1p(neg(unit_uniform(key, shape, dtype))))


def _plain(name: str, key: Any, shape: Any, dtype: Any) -> tuple[Any, Shape, np.dtype]:
    return single_key(name, key), sample_shape(name, shape), float_dtype(name, dtype)


def gumbel(
    key: Any,
    shape: Any = (),
    dtype: Any = None,
    mode: str | None = None,
    *,
    out_sharding: Any = None,
) -> Any:
    """Numbers of the standard Gumbel distribution.

    Args:
      key: one random key.
      shape: the shape of the result.
      dtype: a float dtype; float32 by default (float64 with x64).
      mode: "low", the default; "high" and "highest" draw twice as many bits and reach further
        into the tails.
      out_sharding: accepted for compatibility.

    Example:
      >>> from pullback import random
      >>> key = random.key(0)
      >>> print(random.gumbel(key, (2,)).shape)
      (2,)
    """
    key, shape, dtype = _plain("gumbel", key, shape, dtype)
    mode = "low" if mode is None else mode
    if mode not in ("highest", "high", "low"):
        raise _wrong_mode("gumbel", mode, "'low', 'high' or 'highest'")
    info = dtypes.finfo(dtype)
    if mode == "low":
        return neg(log(neg(log(unit_uniform(key, shape, dtype, float(info.tiny))))))
    if mode == "highest" and dtype == dtypes.float32:
        return _gumbel_highest(key, shape)
    high, low = _two(unit_uniform(key, (2, *shape), dtype))
    fine = add(mul(low, scalar(dtype, 2.0**-info.nmant)), scalar(dtype, float(info.tiny)))
    x = select_n(ge(high, scalar(dtype, 0.5)), add(high, fine), high)
    return neg(log(neg(log1p(neg(x)))))


def _gumbel_highest(key: Any, shape: Shape) -> Any:
    # 64 bits for each number, as a distance from the nearer end of (0, 1).
    high, low = _two(bits_of(key, 32, (2, *shape)))
    all_ones = scalar(low.dtype, 2**32 - 1)
    carry = convert_element_type(eq(not_(low), all_ones), new_dtype=low.dtype, weak_type=False)
    minus = [add(not_(high), carry), add(not_(low), scalar(low.dtype, 1))]
    lower = lt(high, scalar(high.dtype, 1 << 31))
    x = _fixed_to_float(*(select_n(lower, m, p) for m, p in zip(minus, (high, low), strict=True)))
    return select_n(lower, neg(log(neg(log(x)))), neg(log(neg(log1p(neg(x))))))


def _fixed_to_float(high: Any, low: Any) -> Any:
    """The float32 of the number (high * 2**32 + low) / 2**64, rounded down."""

    def word(n: int) -> Any:
        return scalar(high.dtype, n)

    high_zeros, low_zeros = clz(high), clz(low)
    none = eq(high_zeros, word(32))
    rest = select_n(
        none,
        shift_right_logical(low, sub(word(32), high_zeros)),
        shift_left(low, low_zeros),
    )
    mantissa = shift_right_logical(or_(shift_left(high, high_zeros), rest), word(8))
    zeros = select_n(none, high_zeros, add(word(32), low_zeros))
    exponent = shift_left(sub(word(126), zeros), word(23))
    together = or_(exponent, and_(mantissa, word((1 << 23) - 1)))
    return bitcast_convert_type(together, new_dtype=dtypes.float32)


def laplace(key: Any, shape: Any = (), dtype: Any = None, *, out_sharding: Any = None) -> Any:
    """Numbers of the Laplace distribution of mean 0 and scale 1.

    Example:
      >>> from pullback import random
      >>> key = random.key(0)
      >>> print(random.laplace(key, (2,)).shape)
      (2,)
    """
    key, shape, dtype = _plain("laplace", key, shape, dtype)
    u = unit_uniform(key, shape, dtype, -1.0 + float(dtypes.finfo(dtype).epsneg))
    return mul(sign(u), log1p(neg(abs_(u))))


def logistic(key: Any, shape: Any = (), dtype: Any = None, *, out_sharding: Any = None) -> Any:
    """Numbers of the logistic distribution of mean 0 and scale 1."""
    key, shape, dtype = _plain("logistic", key, shape, dtype)
    u = unit_uniform(key, shape, dtype, float(dtypes.finfo(dtype).tiny))
    return sub(log(u), log1p(neg(u)))


def cauchy(key: Any, shape: Any = (), dtype: Any = None, *, out_sharding: Any = None) -> Any:
    """Numbers of the Cauchy distribution of location 0 and scale 1.

    Example:
      >>> from pullback import random
      >>> key = random.key(0)
      >>> print(random.cauchy(key, (2,)).shape)
      (2,)
    """
    key, shape, dtype = _plain("cauchy", key, shape, dtype)
    u = unit_uniform(key, shape, dtype, float(dtypes.finfo(dtype).eps))
    return tan(mul(scalar(dtype, math.pi), sub(u, scalar(dtype, 0.5))))
