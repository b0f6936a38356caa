"""erf and erfc.

erf(x) is x + x P(x**2) up to 1, then 1 - e**G(x - 1) with G = log erfc. erfc(x) is 1 - x - x P up
to 0.75, then e**(-x**2) h(t) / (1 + 2 x) with h(t) = (1 + 2 x) e**(x**2) erfc(x) and
t = (x - k) / (x + k), the mapping of Shepherd and Laframboise (1981). Own minimax fits.
"""

from __future__ import annotations

from ..lanes import FloatLanes
from .double import fast_two_sum, two_product
from .exponential import exp_parts, exp_words
from .formats import absolute, at_most, power_of_two, scaled, signed_as, whole_polynomial

# erf(x) / x - 1 in x**2, for |x| <= 1
_ERF_SMALL = {
    32: (
        7.8887955e-05,
        -0.0008020753,
        0.0051895264,
        -0.02685444,
        0.112836,
        -0.37612626,
        0.12837917,
    ),
    64: (
        5.960415365014152e-11,
        -1.137480060582505e-09,
        1.4660289800414608e-08,
        -1.635039062499179e-07,
        1.6461007968459027e-06,
        -1.492559574165119e-05,
        0.00012055331131738689,
        -0.0008548326981393706,
        0.005223977624827905,
        -0.026866170645077823,
        0.11283791670954885,
        -0.3761263890318375,
        0.1283791670955126,
    ),
}
# log(erfc(1 + t)), for 0 <= t <= 3 (4.95 in f64), weighted by erfc(1 + t)
_LOG_ERFC = {
    32: (
        -2.1141552e-05,
        0.00028695262,
        -0.0020074013,
        0.010042634,
        -0.041561928,
        -0.84310734,
        -2.6389675,
        -1.8496056,
    ),
    64: (
        5.353265299941793e-15,
        -2.4129423882441254e-13,
        5.029831814892349e-12,
        -6.434195480134476e-11,
        5.642836165741737e-10,
        -3.5755700608930157e-09,
        1.6625680606255454e-08,
        -5.461243939356006e-08,
        9.917754246811694e-08,
        1.4511275359783457e-07,
        -2.0670802513754543e-06,
        9.618793144895788e-06,
        -2.716747711614321e-05,
        2.6282623918178678e-05,
        0.00023732065611472284,
        -0.001977902102734915,
        0.010033825299365737,
        -0.04156109803473517,
        -0.8431072563590152,
        -2.638967514234782,
        -1.8496055099332482,
    ),
}
_ERF_ONE = {32: 3.95, 64: 5.95}
"""erf(x) is 1 from here on."""

_ERFC_CENTRE = {32: 2.0, 64: 4.0}
"""k of the mapping."""
_ERFC_ZERO = {32: 10.5, 64: 28.0}
"""erfc(x) is 0 from here on."""
# (1 + 2 x) e**(x**2) erfc(x) in t, for x from 0.45 on
_ERFCX = {
    32: (
        0.0002176377091547793,
        -0.00030921641303435305,
        -0.0014720726028589796,
        0.0012141807992142658,
        0.008728355086360558,
        -0.008023800477773166,
        -0.05422080735056429,
        0.16405052169275183,
        -0.1660303594563979,
        -0.09276381064915591,
        1.2769783812747322,
    ),
    64: (
        -1.0273385765669818e-08,
        -1.2085914426897947e-08,
        1.0505000687169193e-07,
        6.663524022092443e-08,
        -8.217171339833841e-07,
        3.0002280222039613e-07,
        5.708008613284433e-06,
        -1.1225038521554162e-05,
        -2.439868926373123e-05,
        0.00015062261652472786,
        -0.00019925680035592195,
        -0.000757773478300704,
        0.005031969991778721,
        -0.016197734033893994,
        0.03716751553637176,
        -0.0663303658139747,
        0.09373283499840034,
        -0.10103906603623822,
        0.06809705425469156,
        0.015379652102618775,
        -0.1396211168405625,
        1.2329951186255526,
    ),
}


def _erf_part(v: FloatLanes, x: str) -> str:
    """p with erf(x) = x + x p for |x| <= 1."""
    square = v.mul(x, x)
    return v.polynomial(square, _ERF_SMALL[v.bits])


def erf(v: FloatLanes, x: str) -> str:
    """2 / sqrt(pi) times the integral of e**(-t**2) from 0 to x."""
    size = absolute(v, x)
    small = v.fma(_erf_part(v, x), size, size)
    one = v.const(1.0)
    above = v.sub(at_most(v, size, _ERF_ONE[v.bits]), one)
    n, p = exp_parts(v, whole_polynomial(v, above, _LOG_ERFC[v.bits]))
    scale = power_of_two(v, n)
    large = v.sub(one, v.fma(scale, p, scale))
    return signed_as(v, v.select(v.compare("olt", size, one), small, large), x)


def erfc(v: FloatLanes, x: str) -> str:
    """1 - erf(x), with all digits where it is small."""
    size = absolute(v, x)
    one = v.const(1.0)
    tail = _erfc_tail(v, at_most(v, size, _ERFC_ZERO[v.bits]))
    below = v.compare("olt", x, v.const(0.0))
    outer = v.select(below, v.sub(v.const(2.0), tail), tail)
    high, low = fast_two_sum(v, one, v.neg(x))
    inner = v.add(high, v.fma(v.neg(x), _erf_part(v, x), low))
    return v.select(v.compare("olt", size, v.const(0.75)), inner, outer)


def _erfc_tail(v: FloatLanes, x: str) -> str:
    """erfc(x) of x >= 0.45: every factor in two words but the polynomial."""
    centre, one = v.const(_ERFC_CENTRE[v.bits]), v.const(1.0)
    t = v.div(v.sub(x, centre), v.add(x, centre))
    top = whole_polynomial(v, t, _ERFCX[v.bits])
    base = v.fma(x, v.const(2.0), one)
    base_low = v.sub(one, v.fma(x, v.const(-2.0), base))
    inverse = v.div(one, base)
    quotient = v.mul(top, inverse)
    rest = v.fma(v.neg(quotient), base_low, v.fma(v.neg(quotient), base, top))
    rest = v.mul(rest, inverse)
    high, low = two_product(v, x, x)
    n, r, small = exp_words(v, v.neg(high), v.neg(low))
    grown, lost = fast_two_sum(v, one, r)
    lost = v.add(lost, small)
    correction = v.fma(grown, rest, v.mul(lost, quotient))
    return scaled(v, v.fma(grown, quotient, correction), n)
