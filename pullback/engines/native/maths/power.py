"""pow, cbrt, rsqrt and hypot.

pow is e**(y log x). In f32 it is computed in f64; in f64 the logarithm has about 68 bits, in two
words: log m = 2 s + 2/3 s**3 + s**5 Q(s**2) with s = (m - 1) / (m + 1).
Polynomials: own minimax fits.
"""

from __future__ import annotations

import math

from ..lanes import FloatLanes
from .double import Pair, fast_two_sum, product, two_product
from .exponential import LN2, LOG2_E, exp_words
from .formats import (
    absolute,
    at_least,
    at_most,
    format_of,
    infinity,
    multiple,
    not_a_number,
    power_of_two,
    scaled,
    signed_as,
)
from .logarithm import split, split_any

# (2 atanh(s) / s - 2) / s**2 in s**2, for s**2 <= 0.02945, to 2**-37.6
_ATANH_SHORT = (0.2358275315187448, 0.28537278984875764, 0.40000335617084143, 0.6666666564379711)
# (e**r - 1 - r) / r**2 for |r| <= 0.347, to 2**-34
_EXP_SHORT = (
    0.00019790146049410105,
    0.001394475852068016,
    0.008333497865043204,
    0.04166629363717273,
    0.16666665863728147,
    0.5000000068036761,
)
# ((2 atanh(s) / s - 2) / s**2 - 2/3) / s**2 in s**2, for s**2 <= 0.02945
_ATANH_REST = (
    0.1319685279728344,
    0.13256763024923268,
    0.1538675960210173,
    0.18181784319638436,
    0.2222222252044371,
    0.28571428570096785,
    0.4000000000000226,
)
_TWO_THIRDS = (0.6666666666666666, 3.700743415417188e-17)
# m**(-1/3) in m - 1, for m in [sqrt(1/2), sqrt(2)], to 2**-17
_CBRT_INVERSE = (
    -0.10999244204132459,
    0.16099816965863536,
    -0.17558728755873923,
    0.22155499180512753,
    -0.3332672528621257,
    1.000004345340975,
)


def pow(v: FloatLanes, x: str, y: str) -> str:
    """x**y, with the special cases of C's pow and NumPy's power."""
    size = absolute(v, x)
    result = _positive_pow_f32(v, size, y) if v.bits == 32 else _positive_pow_f64(v, size, y)
    return _pow_edges(v, x, y, size, result)


def _positive_pow_f32(v: FloatLanes, x: str, y: str) -> str:
    """x**y of x > 0 through f64, where every f32 is a normal number and nothing overflows."""
    wide = v.of(64)
    e, m = split(wide, v.widen(x))
    f = wide.sub(m, wide.const(1.0))
    s = wide.div(f, wide.add(f, wide.const(2.0)))
    z = wide.mul(s, s)
    log = wide.fma(s, wide.mul(z, wide.horner(z, _ATANH_SHORT)), wide.add(s, s))
    log = wide.fma(e, wide.const(math.log(2.0)), log)
    power = wide.mul(log, v.widen(y))
    power = at_least(wide, at_most(wide, power, 200.0), -200.0)
    whole, n = multiple(wide, power, LOG2_E)
    r = wide.fma(whole, wide.const(-math.log(2.0)), power)
    p = wide.fma(wide.mul(r, r), wide.horner(r, _EXP_SHORT), r)
    scale = power_of_two(wide, n)
    return wide.narrow(wide.fma(scale, p, scale))


def _positive_pow_f64(v: FloatLanes, x: str, y: str) -> str:
    """x**y of x > 0."""
    high, low = _log_words(v, x)
    power, rest = two_product(v, y, high)
    rest = v.fma(y, low, rest)
    inside = v.compare("olt", absolute(v, power), v.const(1000.0))
    rest = v.select(inside, rest, v.const(0.0))
    power = at_least(v, at_most(v, power, 710.0), -746.0)
    n, r, tail = exp_words(v, power, rest)
    high, low = fast_two_sum(v, v.const(1.0), r)
    return scaled(v, v.add(high, v.add(low, tail)), n)


def _log_words(v: FloatLanes, x: str) -> Pair:
    """log x of x > 0 in two words, to about 2**-66 of itself."""
    e, m = split_any(v, x)
    one = v.const(1.0)
    f, base = v.sub(m, one), v.add(m, one)
    base_low = v.sub(m, v.sub(base, one))
    inverse = v.div(one, base)
    s = v.mul(f, inverse)
    rest = v.fma(v.neg(s), base_low, v.fma(v.neg(s), base, f))
    pair = s, v.mul(rest, inverse)
    square = product(v, pair, pair)
    # 2/3 + z Q(z): the second word of 2/3, and the rounding of the sum, are kept.
    more, more_low = two_product(v, square[0], v.polynomial(square[0], _ATANH_REST))
    third = v.const(_TWO_THIRDS[0])
    outer, outer_low = fast_two_sum(v, third, more)
    outer_low = v.add(outer_low, v.add(more_low, v.const(_TWO_THIRDS[1])))
    cubic = product(v, product(v, pair, square), (outer, outer_low))
    double = v.add(s, s), v.add(pair[1], pair[1])
    high, low = fast_two_sum(v, double[0], cubic[0])
    low = v.add(low, v.add(double[1], cubic[1]))
    # e ln 2, then the sum: exact but for the last word.
    shift, shift_low = two_product(v, e, v.const(LN2[64][0]))
    shift_low = v.fma(e, v.const(LN2[64][1]), shift_low)
    total, lost = fast_two_sum(v, shift, high)  # |log m| is below ln 2, and e may be 0
    return total, v.add(lost, v.add(shift_low, low))


def _pow_edges(v: FloatLanes, x: str, y: str, size: str, result: str) -> str:
    """What x**y is at 0, infinities, NaN, 1 and below 0, given |x|**y elsewhere."""
    zero, one = v.const(0.0), v.const(1.0)
    none = v.compare("oeq", size, zero)
    end = v.either(none, v.compare("oeq", size, infinity(v)))
    falling = v.compare("olt", y, zero)
    grows = v.code.op(f"xor {v.mask_kind} {falling}, {v.opposite(none)}")
    result = v.select(end, v.select(grows, infinity(v), zero), result)
    # y is whole, and odd: half of it is not whole.
    whole = v.compare("oeq", v.intrinsic("rint", y), y)
    half = v.mul(y, v.const(0.5))
    odd = v.both(whole, v.compare("une", v.intrinsic("rint", half), half))
    negative = v.int_compare("slt", v.bits_of(x), v.int_const(0))
    result = v.select(v.both(negative, odd), v.neg(result), result)
    below = v.both(v.compare("olt", x, zero), v.opposite(whole))
    below = v.both(below, v.opposite(end))
    result = v.select(below, not_a_number(v), result)
    # 1 to any power and anything to the power 0 are 1, also with NaN; (-1)**inf is 1.
    result = v.select(v.compare("uno", x, y), v.add(x, y), result)
    endless = v.compare("oeq", absolute(v, y), infinity(v))
    unit = v.both(v.compare("oeq", size, one), endless)
    unit = v.either(unit, v.either(v.compare("oeq", x, one), v.compare("oeq", y, zero)))
    return v.select(unit, one, result)


def rsqrt(v: FloatLanes, x: str) -> str:
    """1 / sqrt(x)"""
    return v.div(v.const(1.0), v.intrinsic("sqrt", x))


def cbrt(v: FloatLanes, x: str) -> str:
    """The cube root: m**(-1/3) by a polynomial, one step towards it, and c = m (m**(-1/3))**2
    mended by its exact residual m - c**3."""
    form, size = format_of(v), absolute(v, x)
    tiny = v.compare("olt", size, v.const(form.smallest_normal))
    thirds = (form.mantissa + 4) // 3
    raised = v.mul(size, v.const(2.0 ** (3 * thirds)))
    e, m = split(v, v.select(tiny, raised, size))
    whole, q = multiple(v, e, 1.0 / 3.0)
    rest = v.fma(whole, v.const(-3.0), e)  # -1, 0 or 1
    up, down = v.compare("ogt", rest, v.const(0.0)), v.compare("olt", rest, v.const(0.0))
    three = v.select(up, v.const(2.0), v.select(down, v.const(0.5), v.const(1.0)))
    root = v.select(
        up,
        v.const(2.0 ** (-1 / 3)),
        v.select(down, v.const(2.0 ** (1 / 3)), v.const(1.0)),
    )
    y = v.mul(root, v.polynomial(v.sub(m, v.const(1.0)), _CBRT_INVERSE))
    m = v.mul(m, three)
    miss = v.fma(v.neg(m), v.mul(v.mul(y, y), y), v.const(1.0))
    step = v.fma(miss, v.const(2.0 / 9.0), v.const(1.0 / 3.0))
    y = v.fma(v.mul(y, miss), step, y)
    square = v.mul(y, y)
    c = v.mul(m, square)
    c2, c2_low = two_product(v, c, c)
    residual = v.fma(v.neg(c2_low), c, v.fma(v.neg(c2), c, m))
    c = v.fma(residual, v.mul(square, v.const(1.0 / 3.0)), c)
    c = v.mul(c, power_of_two(v, q))
    c = v.select(tiny, v.mul(c, v.const(2.0**-thirds)), c)
    usual = v.both(v.compare("ogt", size, v.const(0.0)), v.compare("olt", size, infinity(v)))
    return v.select(usual, signed_as(v, c, x), x)


def hypot(v: FloatLanes, x: str, y: str) -> str:
    """sqrt(x**2 + y**2) without overflow, both scaled by a power of two near the larger.

    Infinite if either is, also beside NaN.
    """
    form = format_of(v)
    a, b = absolute(v, x), absolute(v, y)
    swap = v.compare("ogt", b, a)
    large, small = v.select(swap, b, a), v.select(swap, a, b)
    up = v.compare("ogt", large, v.const(2.0 ** (form.bias // 2)))
    # The square's second word must not underflow either.
    low_end = 2.0 ** (form.mantissa + 2 - form.bias // 2)
    down = v.compare("olt", large, v.const(low_end))
    far = 2.0 ** (form.bias // 2 + form.mantissa + 2)
    scale = v.select(up, v.const(1 / far), v.select(down, v.const(far), v.const(1.0)))
    back = v.select(up, v.const(far), v.select(down, v.const(1 / far), v.const(1.0)))
    large, small = v.mul(large, scale), v.mul(small, scale)
    high, low = two_product(v, large, large)
    total, rest = fast_two_sum(v, high, v.mul(small, small))
    root = v.intrinsic("sqrt", v.add(total, v.add(rest, low)))
    result = v.mul(root, back)
    endless = v.either(v.compare("oeq", a, infinity(v)), v.compare("oeq", b, infinity(v)))
    result = v.select(v.compare("uno", x, y), v.add(x, y), result)
    return v.select(endless, infinity(v), result)
