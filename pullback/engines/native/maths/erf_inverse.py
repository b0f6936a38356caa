"""The inverse of erf.

erf_inv(x) is x times a function of w = -log(1 - x**2) (Giles, "Approximating the erfinv function",
2010), which is a polynomial in w in the middle and one in sqrt(w) in each tail range. In f64 they
are own minimax fits; in f32 those of the paper, which are XLA's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..lanes import FloatLanes
from . import published
from .formats import absolute, whole_polynomial
from .logarithm import log


@dataclass(frozen=True)
class _Range:
    """A polynomial about `centre`, for w (or sqrt(w) in tails) below `end`."""

    end: float
    centre: float
    coefficients: tuple[float, ...]


_MIDDLE = _Range(
    6.25,
    3.125,
    (
        -4.323717050014136e-21,
        -1.6926610475442277e-19,
        1.3222286570316827e-18,
        1.1197172411845493e-17,
        -1.341577319452414e-16,
        2.0102336241065002e-17,
        6.648600906289369e-15,
        -4.053487242253272e-14,
        -8.160800319246874e-14,
        2.633427311224982e-12,
        -1.2974673382606214e-11,
        -5.41537270560006e-11,
        1.0512107445216915e-09,
        -4.1126351636946075e-09,
        -2.9070366797241703e-08,
        4.234787804184019e-07,
        -1.3654692038836069e-06,
        -1.3882523364911839e-05,
        0.00018673420803639104,
        -0.0007407025341652987,
        -0.006033670871430705,
        0.24015818242558948,
        1.653654562683103,
    ),
)
_TAILS = [
    _Range(
        4.0,
        3.25,
        (
            -1.6187384933621964e-08,
            6.343789119229793e-10,
            1.339421473319052e-07,
            -2.711868657518716e-07,
            -3.0265783014446254e-08,
            1.4985462672376312e-06,
            -3.9840773508737356e-06,
            2.925824006931149e-06,
            1.2464433157825244e-05,
            -4.73190155274971e-05,
            6.828724879210548e-05,
            2.403126312555224e-05,
            -0.000355037830826755,
            0.0009532893630758512,
            -0.001688275534251902,
            0.0024914420970183065,
            -0.0037512085082629385,
            0.00537091455357091,
            1.0052589676941657,
            3.0838856104922208,
        ),
    ),
    _Range(
        6.2,
        5.125,
        (
            2.149473020833022e-11,
            2.4766863455632447e-11,
            -3.3907415153655647e-10,
            8.304504810737298e-10,
            -1.6203136254215057e-09,
            3.5293805918031772e-09,
            -7.111831556928589e-09,
            1.4562199972905412e-08,
            -4.147892641730529e-08,
            1.6932080190725588e-07,
            -7.962635976406423e-07,
            3.747585715054981e-06,
            -1.658989098226016e-05,
            6.469075685999423e-05,
            -0.00017993907291310497,
            -0.0002125995036591726,
            1.0102562759886702,
            4.976191390016299,
        ),
    ),
]


def erf_inv(v: FloatLanes, x: str) -> str:
    """The y with erf(y) = x; NaN outside [-1, 1]."""
    if v.bits == 32:
        return published.erf_inv(v, x)
    one = v.const(1.0)
    w = v.neg(log(v, v.fma(v.neg(x), x, one)))
    factor = _value(v, _MIDDLE, w)
    root = v.intrinsic("sqrt", w)
    ends = [math.sqrt(_MIDDLE.end), *(tail.end for tail in _TAILS)]
    for start, tail in zip(ends, _TAILS, strict=False):
        factor = v.select(v.compare("ogt", root, v.const(start)), _value(v, tail, root), factor)
    ended = v.compare("oeq", absolute(v, x), one)
    return v.mul(v.select(ended, v.const(math.inf), factor), x)


def _value(v: FloatLanes, part: _Range, w: str) -> str:
    return whole_polynomial(v, v.sub(w, v.const(part.centre)), part.coefficients)
