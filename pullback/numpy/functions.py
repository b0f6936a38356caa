"""The functions of mathematics on each element: exponentials, logarithms, trigonometry, roots.

Integers and bools become floats first; the dtype of floats and complex numbers is kept.
"""

from __future__ import annotations

import math
from typing import Any

from ..core import dtypes
from ..core.array import Array, HostArray
from ..core.errors import error
from ..core.trace import type_of
from ..ops import compound, elementwise, functions, special
from ..ops.comparison import lt
from ..ops.rounding import sign as sign_
from .arguments import strong_array
from .promotion import inexact, promote_floats

# ---- roots


def sqrt(x: Any, /) -> Array:
    """The square root; nan of negative real numbers."""
    return functions.sqrt(inexact("sqrt", x))


def cbrt(x: Any, /) -> Array:
    """The real cube root."""
    return functions.cbrt(inexact("cbrt", x))


def hypot(x: Any, y: Any, /) -> Array:
    """sqrt(x^2 + y^2), also where the squares do not fit."""
    x, y = promote_floats("hypot", x, y)
    if x.dtype.kind == "c":
        raise error(
            ValueError,
            "jnp.hypot is not well defined for complex-valued inputs.",
            got=f"{type_of(x).str_short()} and {type_of(y).str_short()}",
            fix="convert to real values first, such as by using abs(x).",
        )
    return strong_array(compound.hypot(x, y))


# ---- exponentials and logarithms


def exp(x: Any, /) -> Array:
    """e to the power x."""
    return functions.exp(inexact("exp", x))


def exp2(x: Any, /) -> Array:
    """2 to the power x."""
    return functions.exp2(inexact("exp2", x))


def expm1(x: Any, /) -> Array:
    """exp(x) - 1, exact near 0."""
    return functions.expm1(inexact("expm1", x))


def log(x: Any, /) -> Array:
    """The natural logarithm."""
    return functions.log(inexact("log", x))


def log1p(x: Any, /) -> Array:
    """log(1 + x), exact near 0."""
    return functions.log1p(inexact("log1p", x))


def log2(x: Any, /) -> Array:
    """The logarithm to base 2."""
    x = functions.log(inexact("log2", x))
    return _over_real(x, math.log(2))


def log10(x: Any, /) -> Array:
    """The logarithm to base 10."""
    x = functions.log(inexact("log10", x))
    return _over_real(x, math.log(10))


def _over_real(x: Any, divisor: float) -> Any:
    by = HostArray(dtypes.real_dtype(x.dtype).type(divisor))
    if x.dtype.kind != "c":
        return elementwise.div(x, by)
    # As complex numbers, inf / 2 would be inf + nan i.
    re, im = elementwise.real(x), elementwise.imag(x)
    return elementwise.complex_(elementwise.div(re, by), elementwise.div(im, by))


def logaddexp(x: Any, y: Any, /) -> Array:
    """log(exp(x) + exp(y)), also where the exponentials do not fit."""
    x, y = promote_floats("logaddexp", x, y)
    out = compound.logaddexp(x, y)
    return strong_array(out) if out.dtype.kind == "c" else out


def logaddexp2(x: Any, y: Any, /) -> Array:
    """log2(2^x + 2^y), also where the powers do not fit."""
    return strong_array(compound.logaddexp2(*promote_floats("logaddexp2", x, y)))


# ---- trigonometry


def sin(x: Any, /) -> Array:
    """Sine; x in radians."""
    return functions.sin(inexact("sin", x))


def cos(x: Any, /) -> Array:
    """Cosine; x in radians."""
    return functions.cos(inexact("cos", x))


def tan(x: Any, /) -> Array:
    """Tangent; x in radians."""
    return functions.tan(inexact("tan", x))


def arcsin(x: Any, /) -> Array:
    """Inverse sine, in radians."""
    return functions.asin(inexact("arcsin", x))


def asin(x: Any, /) -> Array:
    """Inverse sine: the same as `arcsin`."""
    return functions.asin(inexact("asin", x))


def arccos(x: Any, /) -> Array:
    """Inverse cosine, in radians."""
    return functions.acos(inexact("arccos", x))


def acos(x: Any, /) -> Array:
    """Inverse cosine: the same as `arccos`."""
    return functions.acos(inexact("acos", x))


def arctan(x: Any, /) -> Array:
    """Inverse tangent, in radians."""
    return functions.atan(inexact("arctan", x))


def atan(x: Any, /) -> Array:
    """Inverse tangent: the same as `arctan`."""
    return functions.atan(inexact("atan", x))


def arctan2(x1: Any, x2: Any, /) -> Array:
    """The angle of the point (x2, x1), x1 being its height: from -pi to pi."""
    return functions.atan2(*promote_floats("arctan2", x1, x2))


def atan2(x1: Any, x2: Any, /) -> Array:
    """The angle of the point (x2, x1): the same as `arctan2`."""
    return functions.atan2(*promote_floats("atan2", x1, x2))


def sinc(x: Any, /) -> Array:
    """sin(pi x) / (pi x), and 1 at 0; with exact derivatives at 0 and near it."""
    return compound.sinc(inexact("sinc", x), order=0)


def deg2rad(x: Any, /) -> Array:
    """Degrees to radians."""
    x = inexact("deg2rad", x)
    return elementwise.mul(x, elementwise.like(x, math.pi / 180))


def radians(x: Any, /) -> Array:
    """Degrees to radians: the same as `deg2rad`."""
    return deg2rad(x)


def rad2deg(x: Any, /) -> Array:
    """Radians to degrees."""
    x = inexact("rad2deg", x)
    return elementwise.mul(x, elementwise.like(x, 180 / math.pi))


def degrees(x: Any, /) -> Array:
    """Radians to degrees: the same as `rad2deg`."""
    return rad2deg(x)


# ---- hyperbolic functions


def sinh(x: Any, /) -> Array:
    """Hyperbolic sine."""
    return functions.sinh(inexact("sinh", x))


def cosh(x: Any, /) -> Array:
    """Hyperbolic cosine."""
    return functions.cosh(inexact("cosh", x))


def tanh(x: Any, /) -> Array:
    """Hyperbolic tangent."""
    return functions.tanh(inexact("tanh", x))


def arcsinh(x: Any, /) -> Array:
    """Inverse hyperbolic sine."""
    return functions.asinh(inexact("arcsinh", x))


def asinh(x: Any, /) -> Array:
    """Inverse hyperbolic sine: the same as `arcsinh`."""
    return functions.asinh(inexact("asinh", x))


def arccosh(x: Any, /) -> Array:
    """Inverse hyperbolic cosine; of complex numbers the value with a real part of at least 0."""
    out = functions.acosh(inexact("arccosh", x))
    if out.dtype.kind != "c":
        return out
    part = elementwise.real(out)
    return compound.where(lt(part, elementwise.like(part, 0)), elementwise.neg(out), out)


def acosh(x: Any, /) -> Array:
    """Inverse hyperbolic cosine: the same as `arccosh`."""
    return arccosh(x)


def arctanh(x: Any, /) -> Array:
    """Inverse hyperbolic tangent."""
    return functions.atanh(inexact("arctanh", x))


def atanh(x: Any, /) -> Array:
    """Inverse hyperbolic tangent: the same as `arctanh`."""
    return functions.atanh(inexact("atanh", x))


# ---- special functions


def i0(x: Any) -> Array:
    """The modified Bessel function of the first kind, of order 0."""
    x = inexact("i0", x)
    if dtypes.kind(x.dtype) != "f":
        raise error(
            ValueError,
            f"i0 does not take arrays of dtype {x.dtype}.",
            got=type_of(x).str_short(),
            fix="take the real part first.",
        )
    # x sign(x) and not |x|, whose derivative at 0 is 1: that of i0 is 0.
    size = elementwise.mul(x, sign_(x))
    return elementwise.mul(functions.exp(size), special.bessel_i0e(x))
