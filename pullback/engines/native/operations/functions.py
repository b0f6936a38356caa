"""Real functions of mathematics: calls of the engine's own vector maths."""

from __future__ import annotations

from ....ops import functions
from .. import kinds
from ..kinds import FLOAT32, FLOAT64, Word
from ..site import Operation, Operations, Site
from . import complex_functions
from .calls import called
from .conversion import converted
from .powers import power_of_integers


def function(name: str, cost: int) -> Operation:
    """An operation that is a function of the library, on complex numbers one of our own."""

    def emit(site: Site, *words: Word) -> Word:
        kind = site.out
        if kind.family == "c":
            return complex_functions.function(site, name, *words)
        out = called(site, name, FLOAT64 if kind.bits == 64 else FLOAT32, *words)
        return kinds.rounded(site.code, kind, out, site.width)

    return Operation(emit, cost)


def _pow(site: Site, x: Word, y: Word) -> Word:
    kind = site.out
    if kind.family in "iu":
        return power_of_integers(site, x, y)
    y = converted(site, y, site.inputs[1], kind)
    return function("pow", 0).emit(Site(site.code, (kind, kind), kind, site.width), x, y)


OPERATIONS: Operations = {
    functions.acos: function("acos", 20),
    functions.acosh: function("acosh", 20),
    functions.asin: function("asin", 20),
    functions.asinh: function("asinh", 20),
    functions.atan: function("atan", 20),
    functions.atan2: function("atan2", 25),
    functions.atanh: function("atanh", 20),
    functions.cbrt: function("cbrt", 15),
    functions.cos: function("cos", 20),
    functions.cosh: function("cosh", 15),
    functions.exp: function("exp", 12),
    functions.exp2: function("exp2", 12),
    functions.expm1: function("expm1", 15),
    functions.log: function("log", 12),
    functions.log1p: function("log1p", 15),
    functions.logistic: function("logistic", 15),
    functions.pow_: Operation(_pow, 30),
    functions.rsqrt: function("rsqrt", 6),
    functions.sin: function("sin", 20),
    functions.sinh: function("sinh", 15),
    functions.tan: function("tan", 25),
    functions.tanh: function("tanh", 15),
}
