"""The inverse of erf in f32 as XLA computes it: the normal numbers of JAX come from it.

It rounds x**2 before it takes the logarithm of 1 - x**2, so that it is up to 1e-5 off where that is
small. But who draws random numbers wants the known ones, and the same in and outside jit.
"""

from __future__ import annotations

import math

from ..lanes import FloatLanes
from .formats import absolute
from .logarithm import log1p

# M. Giles, "Approximating the erfinv function" (2010), table 5: polynomials in w = -log(1 - x^2),
# highest power first: in w - 2.5 for w < 5, in sqrt(w) - 3 beyond.
CENTRAL = (
    *(2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087),
    *(-0.00125372503, -0.00417768164, 0.246640727, 1.50140941),
)
TAIL = (
    *(-0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773),
    *(-0.0076224613, 0.00943887047, 1.00167406, 2.83297682),
)
LIMIT = 5.0


def erf_inv(v: FloatLanes, x: str) -> str:
    """The y with erf(y) = x; NaN outside [-1, 1]."""
    w = v.neg(log1p(v, v.neg(v.mul(x, x))))
    # Horner's way, with one rounding in each step, as XLA has it: by pairs other bits come out.
    middle = v.horner(v.sub(w, v.const(2.5)), CENTRAL)
    tail = v.horner(v.sub(v.intrinsic("sqrt", w), v.const(3.0)), TAIL)
    factor = v.select(v.compare("olt", w, v.const(LIMIT)), middle, tail)
    ended = v.compare("oeq", absolute(v, x), v.const(1.0))
    return v.mul(v.select(ended, v.const(math.inf), factor), x)


__all__ = ["erf_inv"]
