"""Arithmetic on each element: sums, quotients, powers, extremes, parts of complex numbers."""

from __future__ import annotations

import operator
from contextlib import suppress
from typing import Any

import numpy as np

from ..core import dtypes
from ..core.array import Array, HostArray, Tracer
from ..core.errors import error
from ..core.trace import EVAL, state, type_of
from ..ops import compound, elementwise, functions, rounding
from ..ops.comparison import and_, eq, gt, lt, max_, min_, ne, or_
from ..ops.elementwise import select_n
from ..ops.structural import zeros, zeros_of
from .arguments import strong
from .promotion import (
    as_array,
    broadcast_shapes,
    broadcast_to,
    broadcast_together,
    inexact,
    numeric,
    promote,
    promote_dtypes,
    promote_floats,
    promote_numbers,
    weak_scalar,
)

# ---- sums, products, quotients


def add(x: Any, y: Any, /) -> Array:
    """x + y; of bools, whether one of them holds."""
    x, y = promote("add", x, y)
    return or_(x, y) if x.dtype.kind == "b" else elementwise.add(x, y)


def subtract(x: Any, y: Any, /) -> Array:
    """x - y"""
    x, y = promote("subtract", x, y)
    return elementwise.sub(x, y)


def multiply(x: Any, y: Any, /) -> Array:
    """x * y; of bools, whether both hold. False times a float is 0, also if that is an infinity or
    nan, as in JAX."""
    a, b = promote("multiply", x, y)
    if a.dtype.kind == "b":
        return and_(a, b)
    if a is not x and _is_mask(x, b):
        return _masked(x, b)
    if b is not y and _is_mask(y, a):
        return _masked(y, a)
    return elementwise.mul(a, b)


def _is_mask(mask: Any, x: Any) -> bool:
    """Whether `mask` was an array of bools, and `x` is one of floats."""
    is_array = isinstance(mask, (Array, np.ndarray))
    return is_array and mask.dtype == dtypes.bool_ and x.dtype.kind not in "iu"


def _masked(mask: Any, x: Any) -> Any:
    """`x` times bools."""
    mask = as_array(mask, "multiply")
    if state.trace is EVAL and type(mask) is type(x) is HostArray:
        with suppress(ValueError):  # of shapes: the error below says more
            return HostArray(np.where(mask._value, x._value, x.dtype.type(0)), x._weak)
    shape = broadcast_shapes("multiply", mask.shape, x.shape)
    x = broadcast_to(x, shape)
    return select_n(broadcast_to(mask, shape), zeros_of(x), x)


def true_divide(x: Any, y: Any, /) -> Array:
    """x / y; integers are divided as floats."""
    x, y = promote_floats("divide", x, y)
    return elementwise.div(x, y)


def divide(x: Any, y: Any, /) -> Array:
    """x / y; integers are divided as floats."""
    x, y = promote_floats("divide", x, y)
    return elementwise.div(x, y)


def reciprocal(x: Any, /) -> Array:
    """1 / x"""
    return functions.integer_pow(inexact("reciprocal", x), y=-1)


def negative(x: Any, /) -> Array:
    """-x"""
    return elementwise.neg(x if isinstance(x, Array) else as_array(x, "negative"))


def positive(x: Any, /) -> Array:
    """+x, which is x."""
    return as_array(x, "positive")


# ---- division with remainder


def floor_divide(x: Any, y: Any, /) -> Array:
    """The largest whole number that is not larger than x / y.

    Of integers divided by 0 the result has no meaning.
    """
    x, y = promote_numbers("floor_divide", x, y)
    kind = dtypes.kind(x.dtype)
    if kind == "u":
        return elementwise.div(x, y)
    if kind == "i":
        quotient = elementwise.div(x, y)
        other_signs = ne(rounding.sign(x), rounding.sign(y))
        below = and_(other_signs, ne(functions.rem(x, y), _number(x, 0)))
        return compound.where(below, elementwise.sub(quotient, _number(x, 1)), quotient)
    return _real_division("floor_divide", x, y)[0]


def remainder(x: Any, y: Any, /) -> Array:
    """x - floor(x / y) y: what remains has the sign of y. Of integers by 0 it is 0."""
    x, y = promote_numbers("remainder", x, y)
    if dtypes.kind(y.dtype) in "iu":
        y = compound.where(eq(y, _number(y, 0)), _number(y, 1), y)
    rest = functions.rem(x, y)
    zero = _number(x, 0)
    other_signs = ne(lt(rest, zero), lt(y, zero))
    wrong = and_(other_signs, ne(rest, zero))
    return compound.where(wrong, elementwise.add(rest, y), rest)


def mod(x: Any, y: Any, /) -> Array:
    """x - floor(x / y) y: the same as `remainder`."""
    return remainder(x, y)


def fmod(x: Any, y: Any, /) -> Array:
    """x - trunc(x / y) y: what remains has the sign of x."""
    x, y = promote_numbers("fmod", x, y)
    if dtypes.kind(y.dtype) in "iu":
        y = compound.where(eq(y, _number(y, 0)), _number(y, 1), y)
    return functions.rem(x, y)


def divmod(x: Any, y: Any, /) -> tuple[Array, Array]:
    """The pair (x // y, x % y)."""
    x, y = promote_numbers("divmod", x, y)
    if dtypes.kind(x.dtype) in "iu":
        return floor_divide(x, y), remainder(x, y)
    return _real_division("divmod", x, y)


def _real_division(name: str, x: Any, y: Any) -> tuple[Any, Any]:
    if x.dtype.kind == "c":
        raise error(
            TypeError,
            f"{name} does not support complex-valued inputs.",
            got=f"{type_of(x).str_short()} and {type_of(y).str_short()}",
            fix="divide with `/`, or take the real parts first.",
        )
    rest = functions.rem(x, y)
    whole = compound.where(eq(y, _number(y, 0)), x, elementwise.sub(x, rest))
    quotient = elementwise.div(whole, y)
    nonzero = ne(rest, _number(x, 0))
    wrong = and_(nonzero, ne(rounding.sign(y), rounding.sign(rest)))
    rest = compound.where(wrong, elementwise.add(rest, y), rest)
    quotient = compound.where(wrong, elementwise.sub(quotient, _number(x, 1)), quotient)
    return rounding.round_(quotient, rounding_method=rounding.RoundingMethod.AWAY_FROM_ZERO), rest


def _number(x: Any, value: float) -> HostArray:
    return elementwise.like(x, value)


# ---- powers


def power(x: Any, y: Any, /) -> Array:
    """x to the power y. An integer y that is known now is multiplied out, as in x ** 3.

    Integers cannot be raised to a negative power known now; others give 0 there.

    Example:
      >>> import pullback.numpy as jnp
      >>> print(jnp.power(jnp.array([1.0, 2.0, 3.0]), 2))
      [1. 4. 9.]
    """
    exponent = _known_integer(y)
    if exponent is not None:
        x = numeric("power", x)
        if exponent < 0 and dtypes.kind(x.dtype) in "iu":
            functions.integer_pow.typing(type_of(x), y=exponent)  # raises in the user's words
        return functions.integer_pow(x, y=exponent)
    if _kind(y) in "iu" and _kind(x) in "fc":
        return functions.pow_(
            *broadcast_together("power", as_array(x, "power"), as_array(y, "power"))
        )
    x, y = promote_numbers("power", x, y)
    return functions.pow_(strong(x) if dtypes.kind(x.dtype) in "iu" else x, y)


def _kind(x: Any) -> str:
    return dtypes.kind(x.dtype) if hasattr(x, "dtype") else np.dtype(type(x)).kind


def pow(x: Any, y: Any, /) -> Array:
    """x to the power y: the same as `power`."""
    return power(x, y)


def _known_integer(y: Any) -> int | None:
    if type(y) is int:
        return y
    if isinstance(y, (float, complex, Tracer)) or (hasattr(y, "ndim") and y.ndim):
        return None
    try:
        return operator.index(y)
    except TypeError:
        return None


def float_power(x: Any, y: Any, /) -> Array:
    """x to the power y, in floats."""
    return functions.pow_(*promote_floats("float_power", x, y))


def square(x: Any, /) -> Array:
    """x * x"""
    if isinstance(x, Array) and x.dtype.kind in "fc":
        return functions.square(x)
    return functions.square(numeric("square", x))


# ---- size and sign


def absolute(x: Any, /) -> Array:
    """|x|"""
    x = x if isinstance(x, Array) else as_array(x, "absolute")
    return x if x.dtype.kind in "bu" else rounding.abs_(x)


def abs(x: Any, /) -> Array:
    """|x|"""
    return absolute(x)


def fabs(x: Any, /) -> Array:
    """|x| as a float; not of complex numbers."""
    x = inexact("fabs", x)
    _real_only("fabs", x)
    return rounding.abs_(x)


def sign(x: Any, /) -> Array:
    """-1, 0 or 1; of a complex number x / |x|."""
    return rounding.sign(as_array(x, "sign"))


def heaviside(x: Any, y: Any, /) -> Array:
    """0 where x < 0, y where x is 0, 1 where x > 0."""
    x, y = promote_floats("heaviside", x, y)
    _real_only("heaviside", x)
    if x.shape or x.weak_type != y.weak_type:
        x, y = strong(x), strong(y)
    zero = _number(x, 0)
    at_zero = compound.where(ne(x, x), x, y)
    above = compound.where(gt(x, zero), _number(x, 1), at_zero)
    return compound.where(lt(x, zero), zero, above)


def _real_only(name: str, x: Any) -> None:
    if x.dtype.kind == "c":
        raise error(
            TypeError,
            f"{name} does not support complex-valued inputs.",
            got=type_of(x).str_short(),
            fix="take the real part, the imaginary part or the absolute value first.",
        )


# ---- extremes


def maximum(x: Any, y: Any, /) -> Array:
    """The larger of x and y; nan where one is nan.

    Where x and y are equal, half of the derivative goes to each.
    """
    return max_(*promote("maximum", x, y))


def minimum(x: Any, y: Any, /) -> Array:
    """The smaller of x and y; nan where one is nan."""
    return min_(*promote("minimum", x, y))


def clip(arr: Any = None, /, min: Any = None, max: Any = None) -> Array:
    """`arr`, at least `min` and at most `max`; either may be None.

    Example:
      >>> import pullback.numpy as jnp
      >>> print(jnp.clip(jnp.array([-1.0, 0.5, 2.0]), 0, 1))
      [0.  0.5 1. ]
    """
    if arr is None:
        raise error(
            ValueError,
            "No input was provided to the clip function.",
            got="clip() without an array",
            fix="write jnp.clip(x, min, max).",
        )
    arr = as_array(arr, "clip")
    for x in (arr, min, max):
        if isinstance(x, complex) or (hasattr(x, "dtype") and x.dtype.kind == "c"):
            raise error(
                ValueError,
                "clip: complex numbers have no order, so they cannot be clipped.",
                got=type_of(x).str_short(),
                fix="clip the real and the imaginary part, with jnp.real and jnp.imag.",
            )
    if min is not None:
        arr = maximum(min, arr)
    if max is not None:
        arr = minimum(max, arr)
    return arr


# ---- divisors


def gcd(x1: Any, x2: Any) -> Array:
    """The greatest common divisor of two integers; it is not negative."""
    return compound.gcd(*_two_integers("gcd", x1, x2))


def lcm(x1: Any, x2: Any) -> Array:
    """The least common multiple of two integers; it is not negative."""
    x, y = (absolute(x) for x in _two_integers("lcm", x1, x2))
    divisor = compound.gcd(x, y)
    zero = eq(divisor, _number(divisor, 0))
    safe = compound.where(zero, _number(divisor, 1), divisor)
    return elementwise.mul(x, elementwise.div(y, safe))


def _two_integers(name: str, x: Any, y: Any) -> list[Any]:
    x, y = promote_dtypes(name, x, y)
    if dtypes.kind(x.dtype) not in "iu":
        raise error(
            ValueError,
            f"{name} takes integers.",
            got=f"{type_of(x).str_short()} and {type_of(y).str_short()}",
            fix="convert with .astype(int).",
        )
    if x.shape or y.shape:
        x, y = strong(x), strong(y)
    return broadcast_together(name, x, y)


# ---- parts of complex numbers


def real(val: Any, /) -> Array:
    """The real part."""
    x = val if isinstance(val, Array) else as_array(val, "real")
    return elementwise.real(x) if x.dtype.kind == "c" else x


def imag(val: Any, /) -> Array:
    """The imaginary part: zeros, if the array is real."""
    x = val if isinstance(val, Array) else as_array(val, "imag")
    return elementwise.imag(x) if x.dtype.kind == "c" else zeros(type_of(x))


def conjugate(x: Any, /) -> Array:
    """The complex conjugate; a real array as it is."""
    x = x if isinstance(x, Array) else as_array(x, "conjugate")
    return elementwise.conj(x, input_dtype=x.dtype) if x.dtype.kind == "c" else x


def conj(x: Any, /) -> Array:
    """The complex conjugate: the same as `conjugate`."""
    return conjugate(x)


def angle(z: Any, deg: bool = False) -> Array:
    """The angle of a complex number, from -pi to pi; with `deg` in degrees."""
    z = as_array(z, "angle")
    x, y = real(z), imag(z)
    if not dtypes.is_inexact(x.dtype) or (z.dtype.kind == "f" and z.ndim == 0):
        dtype = dtypes.default_float()
        x, y = (
            elementwise.convert_element_type(a, new_dtype=dtype, weak_type=False) for a in (x, y)
        )
    result = functions.atan2(y, x)
    if not deg:
        return result
    return elementwise.mul(result, weak_scalar(result.dtype, 180 / np.pi))
