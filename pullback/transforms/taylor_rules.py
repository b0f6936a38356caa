"""The series of operations that are worth a rule of their own: see taylor.py.

Products by Leibniz' formula, quotients and functions by recurrences: each solves a differential
equation that the function satisfies, as v' = v u' for v = exp(u), coefficient by coefficient.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

from ..ops import (
    barriers,
    collective,
    comparison,
    contraction,
    convolution,
    cumulative,
    dynamic,
    incomplete,
    indexing,
    linalg,
    reduction,
    scattering,
    slicing,
    sorting,
    stacking,
)
from ..ops import elementwise as el
from ..ops import functions as fn
from ..ops.compound import hypot
from ..ops.elementwise import add, add_any, div, like, mul, neg, sub
from ..ops.special import erf_inv
from .taylor import RULES, Series, by_coefficient, by_derivative, divided, scaled

# ---- linear, or linear near any value: abs, max, sort


for _primitive in (
    *(el.add, el.add_any, el.sub, el.complex_, el.select_n, el.convert_element_type),
    *(comparison.max_, comparison.min_, comparison.clamp),
    *(slicing.pad, slicing.concatenate, slicing.split, stacking.stack, stacking.unstack),
    *(dynamic.dynamic_slice, dynamic.dynamic_update_slice, indexing.gather, indexing.scatter),
    *(indexing.scatter_add, indexing.scatter_sub),
    *(scattering.scatter_min, scattering.scatter_max),
    *(cumulative.cumsum, cumulative.cummax, cumulative.cummin),
    *(reduction.reduce_max, reduction.reduce_min, sorting.sort, sorting.top_k),
    *(collective.psum, collective.pmax, collective.pmin, collective.ppermute),
    *(collective.all_gather, collective.psum_scatter, collective.all_to_all),
    collective.group_exchange,
    barriers.optimization_barrier,
):
    RULES[_primitive] = by_coefficient


# ---- sums of coefficients, of which some are None for zero


def total(terms: Any) -> Any:
    """The sum of what is not None."""
    found = None
    for t in terms:
        if t is not None:
            found = t if found is None else add_any(found, t)
    return found


def product(x: Any, y: Any, op: Any = mul) -> Any:
    """`op(x, y)`, None if one is None."""
    return None if x is None or y is None else op(x, y)


def less(x: Any, y: Any) -> Any:
    """x - y"""
    if y is None:
        return x
    return neg(y) if x is None else sub(x, y)


def leibniz(k: int, u: Series, w: Series, op: Any = mul) -> Any:
    """Coefficient k of a product: the sum of u[j] w[k - j]."""
    return total(product(u[j], w[k - j], op) for j in range(k + 1))


def rate(k: int, u: Series) -> Any:
    """k u[k]: coefficient k of t u'(t)."""
    return scaled(u[k], k)


def rates(u: Series) -> Series:
    """All of them."""
    return [None, *(rate(k, u) for k in range(1, len(u)))]


def integral(k: int, du: Series, s: Series) -> Any:
    """Coefficient k of v with v' = s u', from the rates of u: the sum of j u[j] s[k - j] over k."""
    return divided(total(product(du[j], s[k - j]) for j in range(1, k + 1)), k)


def rule(*primitives: Any) -> Callable[[Any], Any]:
    """Enter a rule for functions of one argument: `series(u, order)` gives the series."""

    def enter(series: Any) -> Any:
        for p in primitives:
            RULES[p] = lambda primitive, args, order, params: series(args[0], order)
        return series

    return enter


# ---- products and quotients


def _bilinear(primitive: Any, args: Any, order: int, params: Any) -> Series:
    u, w = args
    op = partial(primitive, **params)
    return [leibniz(k, u, w, op) for k in range(order + 1)]


RULES[el.mul] = RULES[contraction.dot_general] = _bilinear
RULES[convolution.conv_general_dilated] = _bilinear


def _div(primitive: Any, args: Any, order: int, params: Any) -> Series:
    u, w = args
    return quotient(u, w, order)


RULES[el.div] = _div


def quotient(u: Series, w: Series, order: int) -> Series:
    """v = u / w, from v w = u."""
    v: Series = []
    for k in range(order + 1):
        known = total(product(v[j], w[k - j]) for j in range(k))
        rest = less(u[k], known)
        v.append(None if rest is None else div(rest, w[0]))
    return v


def _solve(primitive: Any, args: Any, order: int, params: Any) -> Series:
    # A x = b, for the first and the last argument. The forward rule solves A dx = db - dA x, and
    # A x_k = b_k - the sum of A_j x_(k - j).
    a, *others, b = args
    primals = [s[0] for s in args]
    between = [None] * len(others)
    x = [primitive(*primals, **params)]

    def part(da: Any, db: Any, out: Any) -> Any:
        return primitive.jvp(primals, [da, *between, db], out, **params)

    for k in range(1, order + 1):
        terms = [None if b[k] is None else part(None, b[k], x[0])]
        terms += [product(a[j], x[k - j], lambda da, y: part(da, None, y)) for j in range(1, k + 1)]
        x.append(total(terms))
    return x


RULES[linalg.triangular_solve] = RULES[linalg.lu_solve] = _solve


@rule(fn.square)
def _square(u: Series, order: int) -> Series:
    return [fn.square(u[0]), *(leibniz(k, u, u) for k in range(1, order + 1))]


def _integer_pow(primitive: Any, args: Any, order: int, params: Any) -> Series:
    (u,), n = args, params["y"]
    power = _to_the(u, abs(n), order)
    if n < 0:
        one: Series = [like(u[0], 1), *[None] * order]
        power = quotient(one, power, order)
    return [primitive(u[0], **params), *power[1:]]


def _to_the(u: Series, n: int, order: int) -> Series:
    """u^n for n >= 0, by squaring."""
    if n == 0:
        return [like(u[0], 1), *[None] * order]
    half = _to_the(u, n // 2, order) if n > 1 else None
    if half is None:
        return u
    square = [leibniz(k, half, half) for k in range(order + 1)]
    return [leibniz(k, square, u) for k in range(order + 1)] if n % 2 else square


RULES[fn.integer_pow] = _integer_pow


def _pow(primitive: Any, args: Any, order: int, params: Any) -> Series:
    u, w = args
    if all(c is None for c in w[1:]):
        return by_derivative(primitive, args, order, params)  # type: ignore[no-any-return]
    # v = exp(w log u)
    logarithm = _log(u, order)
    exponent = rates([None, *(leibniz(k, w, logarithm) for k in range(1, order + 1))])
    v = [primitive(u[0], w[0])]
    for k in range(1, order + 1):
        v.append(integral(k, exponent, v))
    return v


RULES[fn.pow_] = _pow


# ---- roots: u v' = r v u'


@rule(fn.sqrt)
def _sqrt(u: Series, order: int) -> Series:
    # v v = u
    v = [fn.sqrt(u[0])]
    for k in range(1, order + 1):
        rest = less(u[k], total(product(v[j], v[k - j]) for j in range(1, k)))
        v.append(None if rest is None else div(rest, scaled(v[0], 2)))
    return v


def _root(function: Any, r: float, u: Series, order: int) -> Series:
    v = [function(u[0])]
    for k in range(1, order + 1):
        terms = (scaled(product(u[j], v[k - j]), r * j - (k - j)) for j in range(1, k + 1))
        rest = divided(total(terms), k)
        v.append(None if rest is None else div(rest, u[0]))
    return v


rule(fn.rsqrt)(partial(_root, fn.rsqrt, -0.5))
rule(fn.cbrt)(partial(_root, fn.cbrt, 1 / 3))


# ---- exponentials and logarithms


@rule(fn.exp)
def _exp(u: Series, order: int) -> Series:
    # v' = v u'
    v, du = [fn.exp(u[0])], rates(u)
    for k in range(1, order + 1):
        v.append(integral(k, du, v))
    return v


@rule(fn.exp2)
def _exp2(u: Series, order: int) -> Series:
    v, du = [fn.exp2(u[0])], [scaled(c, math.log(2)) for c in rates(u)]
    for k in range(1, order + 1):
        v.append(integral(k, du, v))
    return v


@rule(fn.expm1)
def _expm1(u: Series, order: int) -> Series:
    return [fn.expm1(u[0]), *_exp(u, order)[1:]]


@rule(fn.log)
def _log(u: Series, order: int) -> Series:
    return _log_of(fn.log(u[0]), u, order)


@rule(fn.log1p)
def _log1p(u: Series, order: int) -> Series:
    return _log_of(fn.log1p(u[0]), [add(u[0], like(u[0], 1)), *u[1:]], order)


def _log_of(first: Any, u: Series, order: int) -> Series:
    # u v' = u'
    v, dv = [first], [None]
    for k in range(1, order + 1):
        known = divided(total(product(dv[j], u[k - j]) for j in range(1, k)), k)
        rest = less(u[k], known)
        v.append(None if rest is None else div(rest, u[0]))
        dv.append(rate(k, v))
    return v


@rule(fn.logistic)
def _logistic(u: Series, order: int) -> Series:
    # v' = v w u', where w = 1 - v; computed as logistic(-u), it keeps its digits where v is near 1.
    v, w = [fn.logistic(u[0])], [fn.logistic(neg(u[0]))]
    s: Series = []
    du = rates(u)
    for k in range(1, order + 1):
        s.append(leibniz(k - 1, v, w))
        v.append(integral(k, du, s))
        w.append(None if v[k] is None else neg(v[k]))
    return v


# ---- circular and hyperbolic functions


def _pair(sine: Any, cosine: Any, sign: int, which: int, u: Series, order: int) -> Series:
    # s' = c u' and c' = sign s u'
    s, c, du = [sine(u[0])], [cosine(u[0])], rates(u)
    for k in range(1, order + 1):
        s_k, c_k = integral(k, du, c), integral(k, du, s)
        s.append(s_k)
        c.append(c_k if c_k is None or sign == 1 else neg(c_k))
    return (s, c)[which]


for _sine, _cosine, _sign in ((fn.sin, fn.cos, -1), (fn.sinh, fn.cosh, 1)):
    rule(_sine)(partial(_pair, _sine, _cosine, _sign, 0))
    rule(_cosine)(partial(_pair, _sine, _cosine, _sign, 1))


@rule(fn.tan)
def _tan(u: Series, order: int) -> Series:
    # v' = s u' with s = 1 + v^2
    v = [fn.tan(u[0])]
    s, du = [add(fn.square(v[0]), like(v[0], 1))], rates(u)
    for k in range(1, order + 1):
        v.append(integral(k, du, s))
        s.append(leibniz(k, v, v))
    return v


@rule(fn.tanh)
def _tanh(u: Series, order: int) -> Series:
    # v' = s u' with s = 1 - v^2 and s' = -2 v v', so that no digits are lost where s is small.
    v = [fn.tanh(u[0])]
    s, du, dv = [fn.tanh_slope(v[0])], rates(u), [None]
    for k in range(1, order + 1):
        v.append(integral(k, du, s))
        dv.append(rate(k, v))
        s.append(scaled(integral(k, dv, v), -2))
    return v


@rule(erf_inv)
def _erf_inv(u: Series, order: int) -> Series:
    # v' = s u' with s = exp(v^2) sqrt(pi) / 2, and s' = s w' for w = v^2
    v = [erf_inv(u[0])]
    w = [fn.square(v[0])]
    s, du, dw = [scaled(fn.exp(w[0]), math.sqrt(math.pi) / 2)], rates(u), [None]
    for k in range(1, order + 1):
        v.append(integral(k, du, s))
        w.append(leibniz(k, v, v))
        dw.append(rate(k, w))
        s.append(integral(k, dw, s))
    return v


# ---- products and quotients of other kinds


RULES[incomplete.zero_times] = _bilinear


def _zero_over(primitive: Any, args: Any, order: int, params: Any) -> Series:
    # As u / w; where u[0] is 0 the value is 0, and so is all that is divided by w but u.
    u, w = args
    v = [primitive(u[0], w[0])]
    for k in range(1, order + 1):
        known = total(product(v[j], w[k - j]) for j in range(k))
        rest = None if known is None else neg(primitive(known, w[0]))
        v.append(total([rest, None if u[k] is None else div(u[k], w[0])]))
    return v


RULES[incomplete.zero_over] = _zero_over


def _atan2(primitive: Any, args: Any, order: int, params: Any) -> Series:
    # (x^2 + y^2) v' = y x' - x y', of both over the radius at first, so that no square overflows.
    x, y = args
    if x[0].dtype.kind == "c":
        return by_derivative(primitive, args, order, params)  # type: ignore[no-any-return]
    radius = hypot(x[0], y[0])
    x, y = ([product(c, radius, div) for c in s] for s in (x, y))
    dx, dy = rates(x), rates(y)
    square = [total([leibniz(k, x, x), leibniz(k, y, y)]) for k in range(order)]
    v, dv = [primitive(args[0][0], args[1][0])], [None]
    for k in range(1, order + 1):
        turned = less(leibniz(k, dx, y), leibniz(k, dy, x))
        rest = less(turned, total(product(dv[j], square[k - j]) for j in range(1, k)))
        dv.append(None if rest is None else div(rest, square[0]))
        v.append(divided(dv[k], k))
    return v


RULES[fn.atan2] = _atan2
