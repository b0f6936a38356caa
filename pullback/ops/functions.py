"""Elementwise functions of mathematics: powers, exponentials, trigonometry, hyperbolic ones.

Each derivative is written so that it loses no more digits than the dtype must lose, at the ends of
the domain too: (1 - x)(1 + x) instead of 1 - x*x, exp(x) instead of expm1(x) + 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..core import dtypes
from ..core.errors import error
from ..core.types import ArrayType
from .comparison import and_, clamp, eq, ge, max_
from .elementwise import (
    FLOAT,
    INEXACT,
    NUMBER,
    Elementwise,
    add,
    convert_element_type,
    div,
    in_own_dtype,
    like,
    mul,
    neg,
    select_n,
    sub,
)
from .rounding import RoundingMethod, abs_, round_
from .structural import broadcast_in_dim, zeros


class Function(Elementwise, family=True):
    """Takes floats and complex numbers."""

    takes = INEXACT


def wide(function: Callable[..., Any]) -> Callable[..., Any]:
    """An `eval` of several steps, which on floats of 16 bits or less is done in float32.

    NumPy's own functions do so inside; a step of ours in float16 would round once more.
    """

    def run(self: Any, x: Any, *rest: Any) -> Any:
        if x.dtype.itemsize < 4 and dtypes.kind(x.dtype) == "f":
            return function(self, x.astype(np.float32), *rest).astype(x.dtype)
        return function(self, x, *rest)

    return run


# ---- powers and roots


class Square(Elementwise):
    """x * x"""

    takes = NUMBER
    eval = staticmethod(in_own_dtype(np.square))

    def slope(self, out: Any, x: Any) -> Any:
        return mul(like(x, 2), x)

    def lower(self, x: Any) -> Any:
        return mul(x, x)


square = Square()


class IntegerPow(Elementwise):
    """x to the power `y`, a Python integer"""

    takes = NUMBER

    def typing(self, x: Any, *, y: int) -> ArrayType:
        if y < 0 and dtypes.kind(x.dtype) in "iu":
            raise error(
                TypeError,
                "integers cannot be raised to negative powers.",
                got=f"{x.str_short()} to the power {y}",
                fix="convert to a float first, with .astype(...).",
            )
        return super().typing(x)

    def eval(self, x: Any, *, y: int) -> Any:
        return x * x if y == 2 else self._power(x, y)

    @wide
    def _power(self, x: Any, y: int) -> Any:
        return _integer_pow(x, y)

    def slope(self, out: Any, x: Any, *, y: int) -> Any:
        if y == 0:
            return None
        if y == 1:
            return like(x, 1)
        power = x if y == 2 else integer_pow(x, y=y - 1)
        return mul(like(x, y), power)


integer_pow = IntegerPow()

_MULTIPLY_UP_TO = 16
"""Each multiplication adds half a unit of error; beyond, np.power is more exact."""


def _integer_pow(x: Any, y: int) -> Any:
    if y == 1:
        return +x
    if y == 0:
        return np.ones_like(x)
    if y < 0:
        return 1 / _integer_pow(x, -y)
    if y > _MULTIPLY_UP_TO and x.dtype.kind == "f":
        return np.power(x, x.dtype.type(y))
    out = None
    while y:
        if y & 1:
            out = x if out is None else out * x
        y >>= 1
        if y:
            x = x * x
    return out


class Pow(Elementwise):
    """x to the power y; y may be an integer where x is not

    A negative power of an integer is 0, but for 1 and -1.
    """

    takes = NUMBER

    def typing(self, x: Any, y: Any) -> ArrayType:
        if dtypes.is_inexact(x.dtype) and dtypes.kind(y.dtype) in "iu":
            y = y.update(dtype=x.dtype)
        return super().typing(x, y)

    def eval(self, x: Any, y: Any) -> Any:
        if dtypes.kind(x.dtype) in "iu":
            return _power_of_integers(x, y).astype(x.dtype, copy=False)
        return np.power(x, y if y.dtype == x.dtype else y.astype(x.dtype))

    def jvp_x(self, t: Any, out: Any, x: Any, y: Any) -> Any:
        # y x^(y-1); where y is 0 that is 0, also at x = 0, where x^(y-1) is infinite.
        if y.dtype != out.dtype:
            y = convert_element_type(y, new_dtype=out.dtype, weak_type=y.weak_type)
        constant = eq(y, like(y, 0))
        power = select_n(constant, sub(y, like(y, 1)), zeros(y.aval))
        return mul(t, mul(y, pow_(x, power)))

    def jvp_y(self, t: Any, out: Any, x: Any, y: Any) -> Any:
        # log(x) x^y. For y > 0 its limit at x = 0 is 0, which log(1) gives and log(0) does not.
        vanishing = eq(x, like(x, 0))
        if out.dtype.kind != "c":
            vanishing = and_(vanishing, ge(y, like(y, 0)))
        if x.shape != vanishing.shape:
            x = broadcast_in_dim(x, shape=vanishing.shape, broadcast_dimensions=())
        base = select_n(vanishing, x, add(zeros(x.aval), like(x, 1)))
        return mul(t, mul(log(base), out))


pow_ = Pow()


def _power_of_integers(x: Any, y: Any) -> Any:
    if y.dtype.kind == "u":
        return np.power(x, y)
    whole = np.power(x, np.maximum(y, y.dtype.type(0)))
    inverse = np.where(np.absolute(x) == 1, np.where(y & 1, x, np.absolute(x)), np.zeros_like(x))
    return np.where(y < 0, inverse, whole)


class Sqrt(Function):
    """the square root"""

    eval = staticmethod(np.sqrt)

    def slope(self, out: Any, x: Any) -> Any:
        return div(like(out, 0.5), out)


sqrt = Sqrt()


class Rsqrt(Function):
    """1 / sqrt(x)"""

    @wide
    def eval(self, x: Any) -> Any:
        out = 1 / np.sqrt(x)
        if x.dtype.kind == "c":  # whose quotients know no infinity
            out = np.where(np.isinf(x), out.dtype.type(0), out)
            out = np.where(x == 0, out.dtype.type(complex(np.inf, np.nan)), out)
        return out

    def slope(self, out: Any, x: Any) -> Any:
        return div(mul(like(out, -0.5), out), x)


rsqrt = Rsqrt()


class Cbrt(Elementwise):
    """the real cube root"""

    takes = FLOAT
    eval = staticmethod(np.cbrt)

    def slope(self, out: Any, x: Any) -> Any:
        return div(like(out, 1 / 3), mul(out, out))


cbrt = Cbrt()


class Rem(Elementwise):
    """the remainder of x / y rounded toward zero; of integers by 0 it is x"""

    takes = "iuf"

    def eval(self, x: Any, y: Any) -> Any:
        if dtypes.kind(x.dtype) not in "iu":
            return np.fmod(x, y)
        zero = y == 0
        rest = np.fmod(x, np.where(zero, np.ones_like(y), y)).astype(x.dtype, copy=False)
        return np.where(zero, x, rest)

    def jvp_x(self, t: Any, out: Any, x: Any, y: Any) -> Any:
        return t

    def jvp_y(self, t: Any, out: Any, x: Any, y: Any) -> Any:
        # x = n y + out. trunc(x / y) would be one off where the quotient rounds to an integer.
        n = round_(div(sub(x, out), y), rounding_method=RoundingMethod.TO_NEAREST_EVEN)
        return mul(t, neg(n))


rem = Rem()


# ---- exponentials and logarithms


class Exp(Function):
    """e to the power x"""

    eval = staticmethod(np.exp)

    def slope(self, out: Any, x: Any) -> Any:
        return out


exp = Exp()


class Exp2(Function):
    """2 to the power x"""

    eval = staticmethod(np.exp2)

    def slope(self, out: Any, x: Any) -> Any:
        return mul(out, like(out, math.log(2)))


exp2 = Exp2()


class Expm1(Function):
    """exp(x) - 1, exact near 0"""

    def eval(self, x: Any) -> Any:
        out = np.expm1(x)
        if x.dtype.kind == "c":  # where inf * 0 must not make a nan of a real number
            out = _complex_of(np.expm1(x.real), x.imag, where=x.imag == 0, otherwise=out)
        return out

    def slope(self, out: Any, x: Any) -> Any:
        return exp(x)


expm1 = Expm1()


class Log(Function):
    """the natural logarithm"""

    eval = staticmethod(np.log)

    def jvp_x(self, t: Any, out: Any, x: Any) -> Any:
        return div(t, x)


log = Log()


class Log1p(Function):
    """log(1 + x), exact near 0"""

    def eval(self, x: Any) -> Any:
        return np.log1p(x) if x.dtype.kind != "c" else _log1p_complex(x)

    def jvp_x(self, t: Any, out: Any, x: Any) -> Any:
        return div(t, add(x, like(x, 1)))


log1p = Log1p()


def _log1p_complex(x: Any) -> Any:
    # np.log1p takes the logarithm of |1 + x|, which near 0 keeps no digit of x. Exact there:
    # |1 + x|^2 - 1 = a (2 + a) + b^2.
    a, b = x.real.astype(np.float64), x.imag.astype(np.float64)
    excess = a * (2 + a) + b * b
    near = np.absolute(excess) < 0.5
    size = np.where(near, np.log1p(excess) / 2, np.log(np.hypot(1 + a, b)))
    return _complex_of(size, np.arctan2(b, 1 + a)).astype(x.dtype)


def _complex_of(real: Any, imag: Any, where: Any = True, otherwise: Any = 0) -> Any:
    """real + i imag, and elsewhere `otherwise`; 1j * imag would make nan of infinite numbers."""
    out = np.empty(np.shape(real), np.result_type(real, np.complex64))
    out.real, out.imag = real, imag
    return np.where(where, out, otherwise)


class Logistic(Function):
    """1 / (1 + exp(-x))"""

    @wide
    def eval(self, x: Any) -> Any:
        if x.dtype.kind != "c":
            return 1 / (1 + np.exp(-x))
        # exp of a number with a large real part is infinite, and inf / inf of complex numbers nan.
        left = x.real < 0
        small = np.exp(np.where(left, x, -x))
        return np.where(left, small, 1) / (1 + small)

    def slope(self, out: Any, x: Any) -> Any:
        # 1 - out would lose its digits where out is near 1.
        return mul(out, logistic(neg(x)))


logistic = Logistic()


# ---- trigonometry


class Sin(Function):
    """sine; x in radians"""

    eval = staticmethod(np.sin)

    def slope(self, out: Any, x: Any) -> Any:
        return cos(x)


sin = Sin()


class Cos(Function):
    """cosine"""

    eval = staticmethod(np.cos)

    def slope(self, out: Any, x: Any) -> Any:
        return neg(sin(x))


cos = Cos()


class Tan(Function):
    """tangent"""

    eval = staticmethod(np.tan)

    def slope(self, out: Any, x: Any) -> Any:
        return add(like(out, 1), mul(out, out))


tan = Tan()


class Asin(Function):
    """inverse sine"""

    eval = staticmethod(np.arcsin)

    def jvp_x(self, t: Any, out: Any, x: Any) -> Any:
        return div(t, _sqrt_product(sub(like(x, 1), x), add(like(x, 1), x)))


asin = Asin()


class Acos(Function):
    """inverse cosine"""

    eval = staticmethod(np.arccos)

    def jvp_x(self, t: Any, out: Any, x: Any) -> Any:
        return div(t, neg(_sqrt_product(sub(like(x, 1), x), add(like(x, 1), x))))


acos = Acos()


def _sqrt_product(a: Any, b: Any) -> Any:
    # Complex numbers may be large, and their product may not fit.
    return sqrt(mul(a, b)) if a.dtype.kind != "c" else mul(sqrt(a), sqrt(b))


class Atan(Function):
    """inverse tangent"""

    eval = staticmethod(np.arctan)

    def jvp_x(self, t: Any, out: Any, x: Any) -> Any:
        if x.dtype.kind != "c":
            return div(t, add(like(x, 1), mul(x, x)))
        return _divide_by_product(t, sub(x, like(x, 1j)), add(x, like(x, 1j)))


atan = Atan()


def _divide_by_product(t: Any, a: Any, b: Any) -> Any:
    if a.dtype.kind != "c":
        return div(t, mul(a, b))
    return mul(t, div(div(like(a, 1), a), b))


class Atan2(Function):
    """the angle of the point (y, x), x being the height: atan(x / y) in the right quadrant"""

    def eval(self, x: Any, y: Any) -> Any:
        if x.dtype.kind != "c":
            return np.arctan2(x, y)
        return -1j * np.log((y + 1j * x) / np.sqrt(x * x + y * y))

    def jvp_x(self, t: Any, out: Any, x: Any, y: Any) -> Any:
        return mul(t, _over_square(y, _radius(out, x, y)))

    def jvp_y(self, t: Any, out: Any, x: Any, y: Any) -> Any:
        return mul(t, _over_square(neg(x), _radius(out, x, y)))


atan2 = Atan2()


def _radius(out: Any, x: Any, y: Any) -> Any:
    # sqrt(x^2 + y^2), where the squares of real numbers need not fit: two terms of one sign.
    if out.dtype.kind == "c":
        return sqrt(add(mul(x, x), mul(y, y)))
    return add(mul(x, sin(out)), mul(y, cos(out)))


def _over_square(x: Any, r: Any) -> Any:
    return div(div(x, r), r)


# ---- hyperbolic functions


class Sinh(Function):
    """hyperbolic sine"""

    eval = staticmethod(np.sinh)

    def slope(self, out: Any, x: Any) -> Any:
        return cosh(x)


sinh = Sinh()


class Cosh(Function):
    """hyperbolic cosine"""

    eval = staticmethod(np.cosh)

    def slope(self, out: Any, x: Any) -> Any:
        return sinh(x)


cosh = Cosh()


class TanhSlope(Elementwise):
    """1 - y^2 for y = tanh(x), the derivative of tanh there

    As (1 - y)(1 + y): 1 - y is exact where y is near 1, and 1 - y^2 is not; in float32
    for y from 0.99 to 0.9999 the one form is off by at most 9e-8 and the other by 8e-5.
    """

    takes = INEXACT

    def eval(self, y: Any) -> Any:
        one = y.dtype.type(1)
        return (one - y) * (one + y)

    def slope(self, out: Any, y: Any) -> Any:
        return mul(like(y, -2), y)

    def lower(self, y: Any) -> Any:
        return mul(sub(like(y, 1), y), add(like(y, 1), y))


tanh_slope = TanhSlope()


class Tanh(Function):
    """hyperbolic tangent"""

    def eval(self, x: Any) -> Any:
        # The derivative is (1 - y)(1 + y): it magnifies an error of y near 1. NumPy's float32 tanh
        # is off by up to 1.4 ulp, which is 4e-5 of the derivative at x = 3.1; rounded from float64
        # it is off by half an ulp.
        if x.dtype.char == "f":
            return np.tanh(x.astype(dtypes.float64)).astype(dtypes.float32)
        return np.tanh(x)

    def slope(self, out: Any, x: Any) -> Any:
        return tanh_slope(out)


tanh = Tanh()


class Asinh(Function):
    """inverse hyperbolic sine"""

    eval = staticmethod(np.arcsinh)

    def jvp_x(self, t: Any, out: Any, x: Any) -> Any:
        return div(t, _sqrt_one_plus_square(x))


asinh = Asinh()


def _sqrt_one_plus_square(x: Any) -> Any:
    if x.dtype.kind == "c":
        turned = mul(x, like(x, 1j))
        return mul(sqrt(add(like(x, 1), turned)), sqrt(sub(like(x, 1), turned)))
    # Where the square does not fit, |x| is the root to the last bit.
    limit = 2.0 ** (int(dtypes.finfo(x.dtype).maxexp) // 2 - 1)
    inside = clamp(like(x, -limit), x, like(x, limit))
    return max_(abs_(x), sqrt(add(like(x, 1), mul(inside, inside))))


class Acosh(Function):
    """inverse hyperbolic cosine"""

    eval = staticmethod(np.arccosh)

    def jvp_x(self, t: Any, out: Any, x: Any) -> Any:
        return div(t, mul(sqrt(sub(x, like(x, 1))), sqrt(add(x, like(x, 1)))))


acosh = Acosh()


class Atanh(Function):
    """inverse hyperbolic tangent"""

    eval = staticmethod(np.arctanh)

    def jvp_x(self, t: Any, out: Any, x: Any) -> Any:
        return _divide_by_product(t, sub(like(x, 1), x), add(like(x, 1), x))


atanh = Atanh()
