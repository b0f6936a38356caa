"""log and what is made of it.

x = 2**e m with m in [sqrt(1/2), sqrt(2)), and log x = e ln 2 + log(1 + f), f = m - 1. In f32
log(1 + f) is a polynomial; in f64 it is f - f**2/2 + s (f**2/2 + R(s**2)) with s = f / (2 + f), the
form of fdlibm's e_log.c. Coefficients: own minimax fits (exchange algorithm in 50 digits).
"""

from __future__ import annotations

import math

from ..lanes import FloatLanes
from .exponential import LN2
from .formats import format_of, infinity, not_a_number

# (log(1 + f) - f + f**2 / 2) / f**3 for f in [sqrt(1/2) - 1, sqrt(2) - 1]
_LOG_F32 = (
    0.06915906,
    -0.11794193,
    0.118749805,
    -0.12383776,
    0.14218338,
    -0.16669272,
    0.20002241,
    -0.24999987,
    0.3333331,
)
# (2 atanh(s) / s - 2) / s**2 in s**2, for s**2 <= 0.02945
_ATANH_F64 = (
    0.147966290713847,
    0.1531398636509292,
    0.1818356668433242,
    0.22222198530815512,
    0.2857142874277024,
    0.399999999994131,
    0.6666666666666735,
)


def split(v: FloatLanes, x: str) -> tuple[str, str]:
    """e (a float) and m with x = 2**e m and m in [sqrt(1/2), sqrt(2)), for normal x > 0."""
    form = format_of(v)
    root = form.pattern(math.sqrt(0.5))
    # Shifting only positive numbers, logically: x86 has no arithmetic shift of 64-bit lanes.
    moved = v.integer("add", v.bits_of(x), v.int_const(form.one - root))
    biased = v.integer("lshr", moved, v.int_const(form.mantissa))
    fraction = v.integer("and", moved, v.int_const((1 << form.mantissa) - 1))
    m = v.from_bits(v.integer("add", fraction, v.int_const(root)))
    unit = 2.0**form.mantissa
    shifted = v.from_bits(v.integer("or", biased, v.int_const(form.pattern(unit))))
    return v.sub(shifted, v.const(unit + form.bias)), m


def split_any(v: FloatLanes, x: str) -> tuple[str, str]:
    """`split` for subnormal x > 0 too."""
    form = format_of(v)
    tiny = v.compare("olt", x, v.const(form.smallest_normal))
    up = form.mantissa + 2
    e, m = split(v, v.select(tiny, v.mul(x, v.const(2.0**up)), x))
    return v.select(tiny, v.sub(e, v.const(up)), e), m


def log_parts(v: FloatLanes, f: str, extra: str) -> str:
    """log(1 + f) + extra, without the term f: what must be added to f."""
    square = v.mul(f, f)
    if v.bits == 32:
        inner = v.fma(f, v.polynomial(f, _LOG_F32), v.const(-0.5))
        return v.fma(square, inner, extra)
    s = v.div(f, v.add(f, v.const(2.0)))
    z = v.mul(s, s)
    rest = v.mul(z, v.polynomial(z, _ATANH_F64))
    half = v.mul(square, v.const(0.5))
    return v.sub(v.fma(s, v.add(half, rest), extra), half)


def log(v: FloatLanes, x: str) -> str:
    """The natural logarithm; NaN below 0, -inf at 0."""
    high, low = LN2[v.bits]
    e, m = split_any(v, x)
    f = v.sub(m, v.const(1.0))
    tail = log_parts(v, f, v.mul(e, v.const(low)))
    return edges(v, x, v.fma(e, v.const(high), v.add(f, tail)))


def edges(v: FloatLanes, x: str, result: str) -> str:
    """`result`, but as the logarithm is at and below 0, at inf and NaN."""
    result = v.select(v.compare("olt", x, infinity(v)), result, x)
    outside = v.select(v.compare("oeq", x, v.const(0.0)), v.const(-math.inf), not_a_number(v))
    return v.select(v.compare("ole", x, v.const(0.0)), outside, result)
