"""What the maths needs to know of f32 and f64, and steps that most functions share."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from ..lanes import FloatLanes


@dataclass(frozen=True)
class Format:
    """A floating-point format: the bits of its mantissa and exponent, and its limits."""

    bits: int
    mantissa: int
    """Stored bits of the mantissa; the place of the exponent."""
    bias: int
    largest: float
    smallest_normal: float

    def pattern(self, value: float) -> int:
        """The bits of `value`, as an integer."""
        form = "<f" if self.bits == 32 else "<d"
        return int.from_bytes(struct.pack(form, value), "little")

    @property
    def one(self) -> int:
        """The bits of 1.0."""
        return self.bias << self.mantissa

    @property
    def rounder(self) -> float:
        """1.5 * 2**mantissa: adding it rounds to an integer, which then stands in the low bits."""
        return 1.5 * 2.0**self.mantissa


_FORMATS = {
    32: Format(32, 23, 127, (2 - 2.0**-23) * 2.0**127, 2.0**-126),
    64: Format(64, 52, 1023, (2 - 2.0**-52) * 2.0**1023, 2.0**-1022),
}


def format_of(v: FloatLanes) -> Format:
    """The format of these lanes."""
    return _FORMATS[v.bits]


def infinity(v: FloatLanes) -> str:
    """inf in all lanes."""
    return v.const(math.inf)


def not_a_number(v: FloatLanes) -> str:
    """NaN in all lanes."""
    return v.const(math.nan)


def at_most(v: FloatLanes, x: str, bound: float) -> str:
    """min(x, bound); NaN stays. One instruction."""
    limit = v.const(bound)
    return v.select(v.compare("ogt", x, limit), limit, x)


def at_least(v: FloatLanes, x: str, bound: float) -> str:
    """max(x, bound); NaN stays. One instruction."""
    limit = v.const(bound)
    return v.select(v.compare("olt", x, limit), limit, x)


def absolute(v: FloatLanes, x: str) -> str:
    """|x|"""
    return v.intrinsic("fabs", x)


def signed_as(v: FloatLanes, x: str, sign: str) -> str:
    """|x| with the sign of `sign`."""
    return v.intrinsic("copysign", x, sign)


def multiple(v: FloatLanes, x: str, unit_inverse: float) -> tuple[str, str]:
    """The integer nearest to x * unit_inverse: as a float, and as an integer.

    Right below 2**(mantissa - 1). Of NaN and what is larger, the integer is anything.
    """
    form = format_of(v)
    shifted = v.fma(x, v.const(unit_inverse), v.const(form.rounder))
    whole = v.sub(shifted, v.const(form.rounder))
    return whole, v.integer("sub", v.bits_of(shifted), v.int_const(form.pattern(form.rounder)))


def power_of_two(v: FloatLanes, n: str) -> str:
    """2**n for integers n of a normal result."""
    form = format_of(v)
    shifted = v.integer("shl", n, v.int_const(form.mantissa))
    return v.from_bits(v.integer("add", shifted, v.int_const(form.one)))


def scaled(v: FloatLanes, x: str, n: str) -> str:
    """x * 2**n in two steps, so that overflow and subnormal results come out right.

    n is between twice the least and twice the greatest exponent of normal numbers.
    """
    half = v.integer("ashr", n, v.int_const(1)) if v.bits == 32 else _half(v, n)
    rest = v.integer("sub", n, half)
    return v.mul(v.mul(x, power_of_two(v, half)), power_of_two(v, rest))


def _half(v: FloatLanes, n: str) -> str:
    # x86 before AVX-512 has no arithmetic shift of 64-bit lanes: move n up to be positive first.
    up = v.integer("lshr", v.integer("add", n, v.int_const(4096)), v.int_const(1))
    return v.integer("sub", up, v.int_const(2048))


def whole_polynomial(v: FloatLanes, x: str, coefficients: Sequence[float]) -> str:
    """A polynomial that is itself a result: its constant term comes last.

    `FloatLanes.polynomial` rounds sums with the constant term once for every doubling of terms.
    """
    return v.fma(x, v.polynomial(x, coefficients[:-1]), v.const(coefficients[-1]))
