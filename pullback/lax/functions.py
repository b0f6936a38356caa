"""Functions of mathematics, element by element: exponentials, trigonometry, special ones."""

from __future__ import annotations

from typing import Any

from ..core.array import Array
from ..ops import functions, incomplete, special
from .arguments import apply, as_array, binary, stretched, unary


def exp(x: Any, *, accuracy: Any = None) -> Array:
    """e to the power x"""
    return unary(functions.exp, x)


def exp2(x: Any, *, accuracy: Any = None) -> Array:
    """2 to the power x"""
    return unary(functions.exp2, x)


def expm1(x: Any, *, accuracy: Any = None) -> Array:
    """exp(x) - 1, exact near 0"""
    return unary(functions.expm1, x)


def log(x: Any, *, accuracy: Any = None) -> Array:
    """the natural logarithm"""
    return unary(functions.log, x)


def log1p(x: Any, *, accuracy: Any = None) -> Array:
    """log(1 + x), exact near 0"""
    return unary(functions.log1p, x)


def logistic(x: Any, *, accuracy: Any = None) -> Array:
    """1 / (1 + exp(-x))"""
    return unary(functions.logistic, x)


def sin(x: Any, *, accuracy: Any = None) -> Array:
    """the sine, x in radians"""
    return unary(functions.sin, x)


def cos(x: Any, *, accuracy: Any = None) -> Array:
    """the cosine, x in radians"""
    return unary(functions.cos, x)


def tan(x: Any, *, accuracy: Any = None) -> Array:
    """the tangent, x in radians"""
    return unary(functions.tan, x)


def asin(x: Any) -> Array:
    """the angle whose sine is x"""
    return unary(functions.asin, x)


def acos(x: Any) -> Array:
    """the angle whose cosine is x"""
    return unary(functions.acos, x)


def atan(x: Any) -> Array:
    """the angle whose tangent is x"""
    return unary(functions.atan, x)


def atan2(x: Any, y: Any) -> Array:
    """the angle of the point (y, x), in the quadrant that the signs say"""
    return binary(functions.atan2, x, y)


def sinh(x: Any) -> Array:
    """the hyperbolic sine"""
    return unary(functions.sinh, x)


def cosh(x: Any) -> Array:
    """the hyperbolic cosine"""
    return unary(functions.cosh, x)


def tanh(x: Any, *, accuracy: Any = None) -> Array:
    """the hyperbolic tangent"""
    return unary(functions.tanh, x)


def asinh(x: Any) -> Array:
    """the inverse of sinh"""
    return unary(functions.asinh, x)


def acosh(x: Any) -> Array:
    """the inverse of cosh"""
    return unary(functions.acosh, x)


def atanh(x: Any) -> Array:
    """the inverse of tanh"""
    return unary(functions.atanh, x)


def erf(x: Any) -> Array:
    """the error function"""
    return unary(special.erf, x)


def erfc(x: Any) -> Array:
    """1 - erf(x), exact for large x"""
    return unary(special.erfc, x)


def erf_inv(x: Any) -> Array:
    """the inverse of erf"""
    return unary(special.erf_inv, x)


def lgamma(x: Any) -> Array:
    """the logarithm of the absolute value of the gamma function"""
    return unary(special.lgamma, x)


def digamma(x: Any) -> Array:
    """the derivative of lgamma"""
    return unary(special.digamma, x)


def bessel_i0e(x: Any) -> Array:
    """the modified Bessel function of order 0, times exp(-abs(x))"""
    return unary(special.bessel_i0e, x)


def bessel_i1e(x: Any) -> Array:
    """the modified Bessel function of order 1, times exp(-abs(x))"""
    return unary(special.bessel_i1e, x)


def polygamma(m: Any, x: Any) -> Array:
    """the derivative of order m of digamma"""
    return binary(special.polygamma, m, x)


def igamma(a: Any, x: Any) -> Array:
    """the lower incomplete gamma function, regularized"""
    return binary(incomplete.igamma, a, x)


def igammac(a: Any, x: Any) -> Array:
    """the upper incomplete gamma function, regularized"""
    return binary(incomplete.igammac, a, x)


def igamma_grad_a(a: Any, x: Any) -> Array:
    """the derivative of igamma by a"""
    return binary(incomplete.igamma_grad_a, a, x)


def random_gamma_grad(a: Any, x: Any) -> Array:
    """the derivative of a sample x of the gamma distribution by its shape a"""
    return binary(incomplete.random_gamma_grad, a, x)


def zeta(x: Any, q: Any) -> Array:
    """Hurwitz's zeta function"""
    return binary(special.zeta, x, q)


def betainc(a: Any, b: Any, x: Any) -> Array:
    """the incomplete beta function, regularized"""
    arrays = [as_array(v, "betainc") for v in (a, b, x)]
    return apply(incomplete.regularized_incomplete_beta, *stretched(*arrays))
