"""Elementwise primitives that could be spelled with others, but would lose digits or derivatives.

`logaddexp`, `logaddexp2`, `hypot` and `sinc` have derivatives that those of their formulas do not
give at infinities, at 0 or near it; `gcd` is a loop.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..core import dtypes
from ..core.errors import error
from ..core.types import ArrayType
from .comparison import and_, eq, lt, max_, min_, ne
from .elementwise import (
    FLOAT,
    INEXACT,
    INTEGER,
    Elementwise,
    add,
    complex_,
    div,
    imag,
    in_own_dtype,
    like,
    mul,
    neg,
    real,
    select_n,
    sub,
)
from .functions import cos, exp, exp2, log1p, rem, sin, sqrt, wide
from .rounding import RoundingMethod, abs_, round_
from .structural import broadcast_in_dim


def where(mask: Any, x: Any, y: Any) -> Any:
    """`x` where `mask` holds, else `y`; all have one shape, or are scalars."""
    shape = mask.shape or x.shape or y.shape
    if shape:
        x, y = _filled(x, shape), _filled(y, shape)
    return select_n(mask, y, x)


def _filled(x: Any, shape: Any) -> Any:
    return x if x.shape else broadcast_in_dim(x, shape=shape, broadcast_dimensions=())


# ---- logarithms of sums


class LogSum(Elementwise, family=True):
    """log(b^x + b^y) / log(b), also where the powers do not fit."""

    takes = INEXACT
    base: float
    function: Any
    power: Any

    @wide
    def eval(self, x: Any, y: Any) -> Any:
        if x.dtype.kind != "c":
            return self.function(x, y)
        high = np.maximum(x, y)
        out = np.array(high + np.log1p(np.exp((x + y - high - high) * self._log())) / self._log())
        turn = 2 * math.pi / self._log()
        out.imag -= turn * np.rint(out.imag / turn)
        return out.astype(x.dtype, copy=False)

    def jvp_x(self, t: Any, out: Any, x: Any, y: Any) -> Any:
        return mul(t, self._share(x, y, out))

    def jvp_y(self, t: Any, out: Any, x: Any, y: Any) -> Any:
        return mul(t, self._share(y, x, out))

    def _share(self, x: Any, y: Any, out: Any) -> Any:
        # b^x / (b^x + b^y) = b^(x - out). The difference of equal infinities is a limit: 0 if only
        # x is infinite, and 1/2 for each if both are.
        difference = sub(x, out)
        if out.dtype.kind == "c":
            return self.power(difference)
        infinite = and_(eq(x, out), eq(abs_(x), like(x, math.inf)))
        limit = where(eq(x, y), like(x, -math.log(2) / self._log()), like(x, 0))
        return self.power(where(infinite, limit, difference))

    def lower(self, x: Any, y: Any) -> Any:
        high = max_(x, y)
        rate, inverse = like(x, self._log()), like(x, 1 / self._log())
        if x.dtype.kind == "c":
            low = sub(sub(add(x, y), high), high)
            out = add(high, mul(inverse, log1p(exp(mul(rate, low)))))
            turn = like(real(out), 2 * math.pi / self._log())
            turns = round_(div(imag(out), turn), rounding_method=RoundingMethod.TO_NEAREST_EVEN)
            return complex_(real(out), sub(imag(out), mul(turn, turns)))
        difference = sub(x, y)
        out = add(high, mul(inverse, log1p(self.power(neg(abs_(difference))))))
        return where(ne(difference, difference), add(x, y), out)

    def _log(self) -> float:
        return math.log(self.base)


class Logaddexp(LogSum):
    """log(exp(x) + exp(y))"""

    base, power = math.e, exp
    function = staticmethod(np.logaddexp)


logaddexp = Logaddexp()


class Logaddexp2(LogSum):
    """log2(2^x + 2^y)"""

    base, power = 2.0, exp2
    function = staticmethod(np.logaddexp2)


logaddexp2 = Logaddexp2()


# ---- the length of a vector


class Hypot(Elementwise):
    """sqrt(x^2 + y^2), also where the squares do not fit. At 0 each derivative is 1/2, as in JAX"""

    takes = FLOAT

    @wide
    def eval(self, x: Any, y: Any) -> Any:
        return np.hypot(x, y)

    def jvp_x(self, t: Any, out: Any, x: Any, y: Any) -> Any:
        return mul(t, _direction(x, out))

    def jvp_y(self, t: Any, out: Any, x: Any, y: Any) -> Any:
        return mul(t, _direction(y, out))

    def lower(self, x: Any, y: Any) -> Any:
        x, y = abs_(x), abs_(y)
        high, low = max_(x, y), min_(x, y)
        ratio = div(low, where(eq(high, like(high, 0)), like(high, 1), high))
        out = mul(high, sqrt(add(like(x, 1), mul(ratio, ratio))))
        infinite = eq(max_(_no_nan(x), _no_nan(y)), like(x, math.inf))
        return where(infinite, like(x, math.inf), out)


hypot = Hypot()


def _direction(x: Any, out: Any) -> Any:
    zero = eq(out, like(out, 0))
    return where(zero, like(out, 0.5), div(x, where(zero, like(out, 1), out)))


def _no_nan(x: Any) -> Any:
    return where(ne(x, x), like(x, 0), x)


# ---- sinc and its derivatives


class Sinc(Elementwise):
    """the derivative of order `order` of sin(pi x) / (pi x), which is 1 at 0"""

    takes = INEXACT

    def typing(self, x: Any, *, order: int = 0) -> ArrayType:
        if order < 0:
            raise error(
                ValueError,
                "sinc has no derivative of negative order.",
                got=f"order={order}",
                fix="give 0 for sinc itself, 1 for its first derivative.",
            )
        return super().typing(x)

    def eval(self, x: Any, *, order: int = 0) -> Any:
        at = np.asarray(x, np.complex128 if x.dtype.kind == "c" else np.float64)
        u = math.pi * at
        near = np.absolute(u) < _series_reach(order)
        safe = np.where(near, 1, u)
        far = _turned(at, 0) / safe
        # u s = sin(u), derived k times: u s^(k) + k s^(k-1) = sin(u + k pi/2)
        for k in range(1, order + 1):
            far = (_turned(at, k) - k * far) / safe
        out = np.where(near, _series(np.where(near, u, 0), order), far) * math.pi**order
        return np.where(np.isinf(at), 0, out).astype(x.dtype)

    def jvp_x(self, t: Any, out: Any, x: Any, *, order: int = 0) -> Any:
        return mul(t, sinc(x, order=order + 1))

    def lower(self, x: Any, *, order: int = 0) -> Any:
        u = mul(x, like(x, math.pi))
        distance = abs_(u)
        near = lt(distance, like(distance, _series_reach(order)))
        safe = where(near, like(x, 1), u)
        far = div(sin(u), safe)
        for k in range(1, order + 1):
            turned = cos(u) if k % 2 else sin(u)
            turned = neg(turned) if k % 4 in (2, 3) else turned
            far = div(sub(turned, mul(like(x, k), far)), safe)
        inside = where(near, u, like(x, 0))
        square = mul(inside, inside)
        coefficients = _coefficients(order)
        series = like(x, coefficients[-1])
        for c in reversed(coefficients[:-1]):
            series = add(mul(series, square), like(x, c))
        if order % 2:
            series = mul(series, inside)
        return mul(where(near, series, far), like(x, math.pi**order))


sinc = Sinc()


def _turned(x: Any, k: int) -> Any:
    """sin(pi x + k pi/2)"""
    # Taking whole turns off x is exact, multiplying by pi is not.
    whole = np.rint(x.real)
    rest = math.pi * (x - whole)
    out = np.cos(rest) if k % 2 else np.sin(rest)
    return np.where((np.remainder(whole, 2) == 1) ^ (k % 4 in (2, 3)), -out, out)


def _series_reach(order: int) -> float:
    # Beyond, the recurrence is stable; within, the terms of the series stay small.
    return 1 + order / 2


def _coefficients(order: int) -> list[float]:
    """Of u^0, u^2, u^4 ... (of u^1, u^3 ... if `order` is odd) in the series of the derivative."""
    found = []
    first = (order + 1) // 2
    for n in range(first, first + 14 + 2 * order):
        sign = -1 if n % 2 else 1
        found.append(
            sign
            * math.factorial(2 * n)
            / (math.factorial(2 * n - order) * math.factorial(2 * n + 1))
        )
    return found


def _series(u: Any, order: int) -> Any:
    square, out = u * u, 0.0
    for c in reversed(_coefficients(order)):
        out = out * square + c
    return out * u if order % 2 else out


# ---- divisors


class Gcd(Elementwise):
    """the greatest common divisor, not negative"""

    takes = INTEGER
    eval = staticmethod(in_own_dtype(np.gcd))

    def lower(self, x: Any, y: Any) -> Any:
        x, y = (a if dtypes.kind(a.dtype) == "u" else abs_(a) for a in (x, y))
        # Each two steps of Euclid's algorithm halve the larger number.
        for _ in range(2 * 8 * x.dtype.itemsize):
            done = eq(y, like(y, 0))
            x, y = where(done, x, y), where(done, y, rem(x, where(done, like(y, 1), y)))
        return x


gcd = Gcd()
