"""Rounding, and the parts of which floating point numbers are made: sign, exponent, mantissa."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..core import dtypes
from ..core.array import Array
from ..core.errors import error
from ..core.trace import type_of
from ..ops import compound, elementwise, rounding
from ..ops.comparison import (
    and_,
    bitcast_convert_type,
    clamp,
    eq,
    ge,
    is_finite,
    lt,
    min_,
    not_,
    or_,
    shift_left,
    shift_right_arithmetic,
)
from ..ops.elementwise import add, convert_element_type, like, mul, sub
from ..ops.structural import zeros
from .arguments import integer, no_out, strong
from .logic import isinf, isnan, isneginf, isposinf
from .promotion import as_array, astype, broadcast_together, inexact, promote_floats

# ---- rounding


def floor(x: Any, /) -> Array:
    """The largest whole number that is not larger than x; integers as they are."""
    x = as_array(x, "floor")
    return x if dtypes.kind(x.dtype) in "biu" else rounding.floor(x)


def ceil(x: Any, /) -> Array:
    """The smallest whole number that is not smaller than x; integers as they are."""
    x = as_array(x, "ceil")
    return x if dtypes.kind(x.dtype) in "biu" else rounding.ceil(x)


def trunc(x: Any) -> Array:
    """x without its fraction: rounded toward 0; integers as they are."""
    x = as_array(x, "trunc")
    if dtypes.kind(x.dtype) in "biu":
        return x
    return compound.where(lt(x, like(x, 0)), rounding.ceil(x), rounding.floor(x))


def fix(x: Any, out: None = None) -> Array:
    """x rounded toward 0: the same as `trunc`."""
    no_out("fix", out)
    return trunc(x)


def rint(x: Any, /) -> Array:
    """The nearest whole number, the even one of two; integers become floats."""
    x = as_array(x, "rint")
    if dtypes.kind(x.dtype) in "biu":
        return convert_element_type(x, new_dtype=dtypes.default_float(), weak_type=False)
    return _each_part(_nearest, x)


def round(a: Any, decimals: int = 0, out: None = None) -> Array:
    """`a` rounded to `decimals` places behind the point; halves go to the even neighbour.

    Example:
      >>> import pullback.numpy as jnp
      >>> print(jnp.round(jnp.array([1.256, 2.5]), 1))
      [1.3 2.5]
    """
    no_out("round", out)
    x = as_array(a, "round")
    decimals = integer(decimals, "`decimals` of jnp.round")
    kind = dtypes.kind(x.dtype)
    if kind not in "fc":
        return _rounded_integer(x, decimals)
    if decimals > math.log10(float(dtypes.finfo(x.dtype).max)):
        return x
    if decimals == 0:
        return _each_part(_nearest, x)
    return _each_part(lambda part: _rounded(part, decimals), x)


around = round


def _rounded_integer(x: Any, decimals: int) -> Any:
    if x.dtype.kind == "b" or decimals < 0:
        raise error(
            NotImplementedError if decimals < 0 else ValueError,
            "integers cannot be rounded to tens or hundreds, and bools not at all.",
            got=f"{type_of(x).str_short()}, decimals={decimals}",
            fix="convert to a float first, with .astype(float).",
        )
    return x


def _nearest(x: Any) -> Any:
    return rounding.round_(x, rounding_method=rounding.RoundingMethod.TO_NEAREST_EVEN)


def _rounded(x: Any, decimals: int) -> Any:
    if x.dtype == np.float16:  # 10**5 does not fit
        wide = convert_element_type(x, new_dtype=dtypes.float32, weak_type=False)
        out = _rounded(wide, decimals)
        return convert_element_type(out, new_dtype=x.dtype, weak_type=x.weak_type)
    factor = like(x, 10.0**decimals)
    return elementwise.div(_nearest(mul(x, factor)), factor)


def _each_part(function: Any, x: Any) -> Any:
    if x.dtype.kind != "c":
        return function(x)
    return elementwise.complex_(function(elementwise.real(x)), function(elementwise.imag(x)))


# ---- sign and neighbours


def signbit(x: Any, /) -> Array:
    """Whether the sign bit is set: of negative numbers, of -0.0 and of some nans."""
    x = as_array(x, "signbit")
    kind = dtypes.kind(x.dtype)
    if kind in "biu":
        # No bool is negative, but bools have no order.
        x = zeros(type_of(x).update(dtype=dtypes.int32)) if kind == "b" else strong(x)
        return lt(x, like(x, 0))
    if kind != "f":
        raise error(
            ValueError,
            f"jax.numpy.signbit is not well defined for {dtypes.long_name(x.dtype)}.",
            got=type_of(x).str_short(),
            fix="ask of the real or of the imaginary part.",
        )
    bits = bitcast_convert_type(x, new_dtype=_bits_dtype(x.dtype))
    return lt(bits, like(bits, 0))


def _bits_dtype(dtype: np.dtype) -> np.dtype:
    return np.dtype(f"i{dtype.itemsize}")


def copysign(x1: Any, x2: Any, /) -> Array:
    """|x1| with the sign of x2."""
    x, y = promote_floats("copysign", x1, x2)
    if x.dtype.kind == "c":
        raise error(
            TypeError,
            "copysign does not support complex-valued inputs.",
            got=f"{type_of(x).str_short()} and {type_of(y).str_short()}",
            fix="use the real and the imaginary part.",
        )
    size = rounding.abs_(x if y.weak_type else strong(x))
    return compound.where(signbit(y), elementwise.neg(size), size)


def nextafter(x: Any, y: Any, /) -> Array:
    """The floating point number next to x on the way to y."""
    return rounding.nextafter(*promote_floats("nextafter", x, y))


def spacing(x: Any, /) -> Array:
    """The distance from x to the next number that is farther from 0, with the sign of x."""
    x = strong(inexact("spacing", x))
    if x.dtype.kind == "c":
        raise error(
            ValueError,
            "jnp.spacing is not defined for complex inputs.",
            got=type_of(x).str_short(),
            fix="ask of the real and of the imaginary part.",
        )
    # NumPy's spacing of a negative float16 is positive.
    outward = like(x, math.inf) if x.dtype == np.float16 else copysign(like(x, math.inf), x)
    return sub(rounding.nextafter(x, outward), x)


# ---- mantissa and exponent


def modf(x: Any, /, out: None = None) -> tuple[Array, Array]:
    """The fraction of x and its whole part, each with the sign of x, or 0."""
    no_out("modf", out)
    x = inexact("modf", x)
    whole = compound.where(ge(x, like(x, 0)), rounding.floor(x), rounding.ceil(x))
    return compound.where(isinf(x), like(x, 0), sub(x, whole)), whole


def frexp(x: Any, /) -> tuple[Array, Array]:
    """The pair (m, e) with x = m 2^e and 1/2 <= |m| < 1; 0, infinities and nan have e = 0."""
    x = inexact("frexp", x)
    if x.dtype.kind == "c":
        raise error(
            TypeError,
            "frexp does not support complex-valued inputs.",
            got=type_of(x).str_short(),
            fix="use the real and the imaginary part.",
        )
    x = strong(x)
    exponent = _exponent(x)
    special = or_(eq(x, like(x, 0)), not_(is_finite(x)))
    exponent = compound.where(special, like(exponent, 0), exponent)
    mantissa = compound.where(special, x, _scaled(x, elementwise.neg(exponent)))
    return mantissa, astype(exponent, dtypes.int32)


def ldexp(x1: Any, x2: Any, /) -> Array:
    """x1 2^x2, rounded once."""
    x, n = as_array(x1, "ldexp"), as_array(x2, "ldexp")
    if x.dtype.kind == "c" or dtypes.kind(n.dtype) not in "biu":
        raise error(
            ValueError,
            f"ldexp not supported for input types {(x.dtype.name, n.dtype.name)}.",
            got=f"{type_of(x).str_short()} and {type_of(n).str_short()}",
            fix="give a real number and an integer exponent.",
        )
    mantissa, exponent = frexp(inexact("ldexp", x))
    # Beyond this limit all is 0 or infinite.
    n = _limited(n, 4 * int(dtypes.finfo(mantissa.dtype).maxexp))
    exponent = add(*broadcast_together("ldexp", exponent, n))
    return _scaled(*broadcast_together("ldexp", mantissa, exponent))


def _limited(n: Any, limit: int) -> Any:
    """`n`, of any integer dtype, as int32 between -limit and limit."""
    if dtypes.kind(n.dtype) == "b" or n.dtype.itemsize < 4:
        n = astype(n, dtypes.int32)
    if dtypes.kind(n.dtype) == "u":
        return astype(min_(n, like(n, limit)), dtypes.int32)
    return astype(clamp(like(n, -limit), n, like(n, limit)), dtypes.int32)


def _exponent(x: Any) -> Any:
    """e of x = m 2^e with 1/2 <= |m| < 1, of numbers that are neither 0 nor infinite nor nan."""
    info = dtypes.finfo(x.dtype)
    mantissa_bits, exponent_bits = int(info.nmant), int(info.iexp)
    # A number below the smallest normal one has fewer bits: it is scaled up first.
    small = lt(rounding.abs_(x), like(x, float(info.tiny)))
    normal = compound.where(small, mul(x, like(x, 2.0**mantissa_bits)), x)
    bits = bitcast_convert_type(normal, new_dtype=_bits_dtype(x.dtype))
    field = and_(
        shift_right_arithmetic(bits, like(bits, mantissa_bits)),
        like(bits, (1 << exponent_bits) - 1),
    )
    exponent = sub(field, like(field, int(info.maxexp) - 2))
    return sub(exponent, compound.where(small, like(field, mantissa_bits), like(field, 0)))


def _scaled(x: Any, exponent: Any) -> Any:
    """x 2^exponent, for x around 1 or its exponent around -exponent: by powers of 2 that exist."""
    # The first step goes as far as it can and is exact, so that the result is rounded only once.
    info = dtypes.finfo(x.dtype)
    high, low = int(info.maxexp) - 1, int(info.minexp) + 1
    for _ in range(3):
        step = clamp(like(exponent, low), exponent, like(exponent, high))
        x = mul(x, _power_of_two(step, x.dtype))
        exponent = sub(exponent, step)
    return x


def _power_of_two(n: Any, dtype: np.dtype) -> Any:
    info = dtypes.finfo(dtype)
    n = astype(n, _bits_dtype(dtype))
    field = add(n, like(n, int(info.maxexp) - 1))
    bits = shift_left(field, like(field, int(info.nmant)))
    return bitcast_convert_type(bits, new_dtype=dtype)


# ---- nan and infinities


def nan_to_num(
    x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None
) -> Array:
    """`x` with numbers for nan and infinities: `nan`, the largest and the smallest there are."""
    x = as_array(x, "nan_to_num")
    if not dtypes.is_inexact(x.dtype):
        return x
    if x.dtype.kind == "c":
        return _each_part(lambda part: nan_to_num(part, nan=nan, posinf=posinf, neginf=neginf), x)
    info = dtypes.finfo(x.dtype)
    x = _replaced(isnan(x), nan, x)
    x = _replaced(isposinf(x), float(info.max) if posinf is None else posinf, x)
    return _replaced(isneginf(x), float(info.min) if neginf is None else neginf, x)


def _replaced(mask: Any, value: Any, x: Any) -> Any:
    return compound.where(mask, astype(as_array(value, "nan_to_num"), x.dtype), x)
