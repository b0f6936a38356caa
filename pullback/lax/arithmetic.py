"""Arithmetic, rounding, powers and complex numbers, element by element."""

from __future__ import annotations

import operator
from typing import Any

from ..core import dtypes
from ..core.array import Array
from ..core.errors import error
from ..core.trace import type_of
from ..ops import comparison, elementwise, functions, integers, rounding
from ..ops.rounding import RoundingMethod as RoundingMethod
from .arguments import apply, as_array, binary, stretched, unary
from .conversion import convert_element_type


def neg(x: Any) -> Array:
    """-x"""
    return unary(elementwise.neg, x)


def add(x: Any, y: Any) -> Array:
    """x + y

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback import lax
      >>> print(lax.add(jnp.arange(3.0), 1.0))
      [1. 2. 3.]
    """
    return binary(elementwise.add, x, y)


def sub(x: Any, y: Any) -> Array:
    """x - y"""
    return binary(elementwise.sub, x, y)


def mul(x: Any, y: Any, *, out_dtype: Any = None) -> Array:
    """x * y; with `out_dtype`, of the operands in that dtype"""
    if out_dtype is not None:
        x, y = (convert_element_type(v, out_dtype) for v in (x, y))
    return binary(elementwise.mul, x, y)


def div(x: Any, y: Any) -> Array:
    """x / y; integers round toward zero, as in C"""
    return binary(elementwise.div, x, y)


def rem(x: Any, y: Any) -> Array:
    """the remainder of x / y, of the sign of x"""
    return binary(functions.rem, x, y)


def mulhi(x: Any, y: Any, /) -> Array:
    """the upper half of the product of integers, which has twice their bits"""
    return binary(integers.mulhi, x, y)


def max(x: Any, y: Any) -> Array:
    """the larger of x and y; nan if one is nan"""
    return binary(comparison.max_, x, y)


def min(x: Any, y: Any) -> Array:
    """the smaller of x and y; nan if one is nan"""
    return binary(comparison.min_, x, y)


def abs(x: Any) -> Array:
    """the absolute value; of complex numbers a float"""
    return unary(rounding.abs_, x)


def sign(x: Any) -> Array:
    """-1, 0 or 1; of complex numbers x / abs(x)"""
    return unary(rounding.sign, x)


def floor(x: Any) -> Array:
    """the largest integer that is not larger than x"""
    return unary(rounding.floor, x)


def ceil(x: Any) -> Array:
    """the smallest integer that is not smaller than x"""
    return unary(rounding.ceil, x)


def round(x: Any, rounding_method: RoundingMethod = RoundingMethod.AWAY_FROM_ZERO) -> Array:
    """x rounded to an integer; halves go away from zero, or to the nearest even integer"""
    return apply(rounding.round_, x, rounding_method=RoundingMethod(rounding_method))


def is_finite(x: Any) -> Array:
    """whether x is neither infinite nor nan"""
    return unary(comparison.is_finite, x)


def nextafter(x1: Any, x2: Any) -> Array:
    """the number after x1 in the direction of x2"""
    return binary(rounding.nextafter, x1, x2)


def reduce_precision(operand: Any, exponent_bits: int, mantissa_bits: int) -> Array:
    """`operand` rounded to a float format of these numbers of bits, kept in its dtype"""
    return apply(
        rounding.reduce_precision,
        operand,
        exponent_bits=operator.index(exponent_bits),
        mantissa_bits=operator.index(mantissa_bits),
    )


def square(x: Any) -> Array:
    """x * x"""
    return unary(functions.square, x)


def reciprocal(x: Any) -> Array:
    """1 / x"""
    return integer_pow(x, -1)


def integer_pow(x: Any, y: int) -> Array:
    """x to the power of a Python integer"""
    try:
        y = operator.index(y)
    except TypeError as cause:
        raise error(
            TypeError,
            "the exponent of lax.integer_pow must be an integer that is known.",
            got=f"y={y!r:.80}",
            fix="use lax.pow for other exponents.",
        ) from cause
    return x if y == 1 and isinstance(x, Array) else apply(functions.integer_pow, x, y=y)


def pow(x: Any, y: Any) -> Array:
    """x to the power y: both of one dtype, or an integer y

    Example:
      >>> from pullback import lax
      >>> print(lax.pow(2.0, 10))
      1024.0
    """
    x, y = as_array(x, "pow"), as_array(y, "pow")
    if dtypes.kind(x.dtype) not in "fc":
        raise error(
            TypeError,
            "lax.pow takes a float or complex base.",
            got=f"{type_of(x).str_short()} to the power {type_of(y).str_short()}",
            fix="convert the base with .astype(float), or use lax.integer_pow.",
        )
    return apply(functions.pow_, *stretched(x, y))


def sqrt(x: Any, *, accuracy: Any = None) -> Array:
    """the square root"""
    return unary(functions.sqrt, x)


def rsqrt(x: Any, *, accuracy: Any = None) -> Array:
    """1 / sqrt(x)"""
    return unary(functions.rsqrt, x)


def cbrt(x: Any, *, accuracy: Any = None) -> Array:
    """the cube root"""
    return unary(functions.cbrt, x)


def real(x: Any) -> Array:
    """the real part of complex numbers"""
    return unary(elementwise.real, x)


def imag(x: Any) -> Array:
    """the imaginary part of complex numbers"""
    return unary(elementwise.imag, x)


def complex(x: Any, y: Any) -> Array:
    """x + iy"""
    return binary(elementwise.complex_, x, y)


def conj(x: Any) -> Array:
    """the complex conjugate; of floats the complex numbers of the same value"""
    x = as_array(x, "conj")
    return apply(elementwise.conj, x, input_dtype=x.dtype)
