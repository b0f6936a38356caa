"""Vector maths: elementary and special functions as instructions on lanes of floats.

Each function writes its instructions through a `FloatLanes`, at any width, in f32 and f64; the
lanes give the same bits at every width. Errors are at most 2 units in the last place in both
formats, but for lgamma, digamma and erf_inv; tests/native/test_maths.py measures them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from . import exponential, logarithm, trigonometric


@dataclass(frozen=True)
class Function:
    """An emitter `emit(v, x, ...)`, which gives the name of the result, and its operands' number."""

    emit: Callable[..., str]
    operands: int = 1


FUNCTIONS: dict[str, Function] = {
    "exp": Function(exponential.exp),
    "exp2": Function(exponential.exp2),
    "expm1": Function(exponential.expm1),
    "logistic": Function(exponential.logistic),
    "tanh": Function(exponential.tanh),
    "log": Function(logarithm.log),
    "sin": Function(trigonometric.sin),
    "cos": Function(trigonometric.cos),
    "tan": Function(trigonometric.tan),
}
