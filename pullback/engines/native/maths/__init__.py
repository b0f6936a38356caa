"""Vector maths: elementary and special functions as instructions on lanes of floats.

Each function writes its instructions through a `FloatLanes`, at any width, in f32 and f64; the
lanes give the same bits at every width. Errors are at most 2 units in the last place in both
formats, but for lgamma, digamma and erf_inv; tests/native/test_maths.py measures them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from . import (
    erf_inverse,
    error,
    exponential,
    gamma,
    hyperbolic,
    inverse,
    logarithm,
    power,
    trigonometric,
)


@dataclass(frozen=True)
class Function:
    """An emitter: `emit(v, x, ...)` gives the name of the result. Both have so many operands."""

    emit: Callable[..., str]
    operands: int = 1


FUNCTIONS: dict[str, Function] = {
    "exp": Function(exponential.exp),
    "exp2": Function(exponential.exp2),
    "expm1": Function(exponential.expm1),
    "logistic": Function(exponential.logistic),
    "tanh": Function(exponential.tanh),
    "log": Function(logarithm.log),
    "log1p": Function(logarithm.log1p),
    "sin": Function(trigonometric.sin),
    "cos": Function(trigonometric.cos),
    "tan": Function(trigonometric.tan),
    "asin": Function(inverse.asin),
    "acos": Function(inverse.acos),
    "atan": Function(inverse.atan),
    "atan2": Function(inverse.atan2, 2),
    "sinh": Function(hyperbolic.sinh),
    "cosh": Function(hyperbolic.cosh),
    "asinh": Function(hyperbolic.asinh),
    "acosh": Function(hyperbolic.acosh),
    "atanh": Function(hyperbolic.atanh),
    "pow": Function(power.pow, 2),
    "cbrt": Function(power.cbrt),
    "rsqrt": Function(power.rsqrt),
    "hypot": Function(power.hypot, 2),
    "erf": Function(error.erf),
    "erfc": Function(error.erfc),
    "erf_inv": Function(erf_inverse.erf_inv),
    "lgamma": Function(gamma.lgamma),
    "digamma": Function(gamma.digamma),
}
