"""log and what is made of it.

x = 2**e m with m in [sqrt(1/2), sqrt(2)), and log x = e ln 2 + log(1 + f), f = m - 1. In f32
log(1 + f) is a polynomial; in f64 it is f - f**2/2 + s (f**2/2 + R(s**2)) with s = f / (2 + f), the
form of fdlibm's e_log.c. Coefficients: own minimax fits (exchange algorithm in 50 digits).
"""

from __future__ import annotations

import math

from ..lanes import FloatLanes
from .double import fast_two_sum, two_sum
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


def log1p_words(v: FloatLanes, high: str, low: str, doubled: str | None = None) -> str:
    """log(1 + high + low), or log(2 (1 + high + low)) where `doubled`; low is small beside high.

    1 + high + low is positive; what is infinite is left to the caller.
    """
    total, lost = two_sum(v, v.const(1.0), high)
    lost = v.add(lost, low)
    e, m = split(v, total)
    if doubled is not None:
        e = v.select(doubled, v.add(e, v.const(1.0)), e)
    # 2**(1-e), which is 0 for the largest totals: there `lost` has no weight.
    form = format_of(v)
    down = v.integer("sub", v.bits_of(m), v.bits_of(total))
    down = v.from_bits(v.integer("add", down, v.int_const(form.pattern(2.0))))
    f, rest = fast_two_sum(v, v.sub(m, v.const(1.0)), v.mul(v.mul(lost, down), v.const(0.5)))
    high_ln2, low_ln2 = LN2[v.bits]
    extra = v.fma(e, v.const(low_ln2), v.fma(v.neg(rest), f, rest))
    tail = log_parts(v, f, extra)
    return v.fma(e, v.const(high_ln2), v.add(f, tail))


def log1p(v: FloatLanes, x: str) -> str:
    """log(1 + x); NaN below -1, -inf at -1."""
    result = edges(v, v.add(x, v.const(1.0)), log1p_words(v, x, v.const(0.0)))
    return v.select(v.compare("oeq", x, v.const(0.0)), x, result)


def edges(v: FloatLanes, x: str, result: str) -> str:
    """`result`, but as the logarithm is at and below 0, at inf and NaN."""
    result = v.select(v.compare("olt", x, infinity(v)), result, x)
    outside = v.select(v.compare("oeq", x, v.const(0.0)), v.const(-math.inf), not_a_number(v))
    return v.select(v.compare("ole", x, v.const(0.0)), outside, result)
