"""Elementwise primitives of sign and rounding: abs, sign, floor, round, reduce_precision ..."""

from __future__ import annotations

import enum
from typing import Any

import numpy as np

from ..core import dtypes
from ..core.errors import error
from ..core.types import ArrayType
from .comparison import eq, ge
from .elementwise import (
    FLOAT,
    NUMBER,
    Elementwise,
    Linearwise,
    add,
    complex_,
    conj,
    convert_element_type,
    div,
    imag,
    in_own_dtype,
    like,
    mul,
    neg,
    real,
    select_n,
)
from .structural import zero_like


class Abs(Elementwise):
    """|x|. The derivative of a real one at 0 is 1, as in JAX; of a complex one it is 0 there"""

    takes, gives = "ifc", "real"

    def eval(self, x: Any) -> Any:
        out = np.absolute(x)
        return out if out.dtype is x.dtype or x.dtype.kind == "c" else out.astype(x.dtype)

    def jvp_x(self, t: Any, out: Any, x: Any) -> Any:
        if x.dtype.kind != "c":
            return select_n(ge(x, like(x, 0)), neg(t), t)
        return real(mul(t, conj(sign(x), input_dtype=x.dtype)))


abs_ = Abs()


class Sign(Elementwise):
    """-1, 0 or 1; of a complex number x / |x|"""

    takes = NUMBER
    eval = staticmethod(in_own_dtype(np.sign))

    def jvp_x(self, t: Any, out: Any, x: Any) -> Any:
        if x.dtype.kind != "c":
            return None
        # Only the direction of x matters: what turns it, seen along x, is the imaginary part.
        turn = imag(mul(t, conj(out, input_dtype=out.dtype)))
        size = abs_(x)
        zero = eq(size, like(size, 0))
        size = add(size, convert_element_type(zero, new_dtype=size.dtype, weak_type=size.weak_type))
        across = div(mul(out, like(out, 1j)), complex_(size, zero_like(size)))
        return mul(complex_(turn, zero_like(turn)), across)


sign = Sign()


class Floor(Elementwise):
    """the largest integer that is not larger than x"""

    takes = FLOAT
    eval = staticmethod(np.floor)


floor = Floor()


class Ceil(Elementwise):
    """the smallest integer that is not smaller than x"""

    takes = FLOAT
    eval = staticmethod(np.ceil)


ceil = Ceil()


class RoundingMethod(enum.IntEnum):
    """Where `round` takes a number that is halfway between two integers."""

    AWAY_FROM_ZERO = 0
    TO_NEAREST_EVEN = 1


class Round(Elementwise):
    """the nearest integer"""

    takes = FLOAT

    def eval(self, x: Any, *, rounding_method: Any) -> Any:
        if rounding_method == RoundingMethod.TO_NEAREST_EVEN:
            return np.rint(x)
        # Not trunc(x + 0.5): the largest number below 0.5 would round to 1.
        whole = np.trunc(x)
        away = np.absolute(x - whole) >= x.dtype.type(0.5)
        return np.where(away, whole + np.sign(x), whole)


round_ = Round()


class Nextafter(Elementwise):
    """the number next to x on the way to y; its derivative is that of x"""

    takes = FLOAT
    eval = staticmethod(np.nextafter)

    def jvp_x(self, t: Any, out: Any, x: Any, y: Any) -> Any:
        return t


nextafter = Nextafter()


class ReducePrecision(Linearwise):
    """x rounded to fewer bits of exponent and mantissa, in its own dtype"""

    takes = FLOAT

    def typing(self, x: Any, *, exponent_bits: int, mantissa_bits: int) -> ArrayType:
        if exponent_bits < 1 or mantissa_bits < 0:
            raise error(
                ValueError,
                "reduce_precision needs at least 1 bit of exponent and 0 bits of mantissa.",
                got=f"exponent_bits={exponent_bits}, mantissa_bits={mantissa_bits}",
                fix="give the bits of the target, such as 5 and 10 for float16.",
            )
        return super().typing(x)

    def eval(self, x: Any, *, exponent_bits: int, mantissa_bits: int) -> Any:
        return _reduce_precision(x, exponent_bits, mantissa_bits)

    def transpose(self, ct: Any, x: Any, **params: Any) -> list[Any]:
        return [reduce_precision(ct, **params)]


reduce_precision = ReducePrecision()


def _reduce_precision(x: Any, exponent_bits: int, mantissa_bits: int) -> Any:
    # On the bits: half a unit of the last kept place is added, less 1 if that place is even, so
    # that ties go to even. Exponents that the target has not become infinity or zero.
    info = dtypes.finfo(x.dtype)
    word = np.dtype(f"u{x.dtype.itemsize}").type
    bits = np.asarray(x).view(word)
    drop = int(info.nmant) - mantissa_bits
    if drop > 0:
        even = (bits >> word(drop)) & word(1)
        bits = (bits + word((1 << (drop - 1)) - 1) + even) & ~word((1 << drop) - 1)
    if exponent_bits < info.iexp:
        magnitude = bits & word((1 << (8 * x.dtype.itemsize - 1)) - 1)
        exponent = magnitude >> word(info.nmant)
        bias, reach = (1 << (int(info.iexp) - 1)) - 1, (1 << (exponent_bits - 1)) - 1
        infinite = np.asarray(x.dtype.type(np.inf)).view(word)
        sign_bit = bits ^ magnitude
        bits = np.where(exponent > bias + reach, sign_bit | infinite, bits)
        bits = np.where(exponent <= bias - reach, sign_bit, bits)
    return np.where(np.isnan(x), x, bits.view(x.dtype))
