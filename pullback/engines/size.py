"""Which programs are quicker on the XLA engine: an estimate, read off a program alone.

Each equation has its time on each engine: a number of units (elements, operations, indices) times
the nanoseconds of one. Those are measured, on two processors, by `python -m benchmarks.crossover`;
docs/xla.md has the figures. They say that the native engine is the quicker one, or level, for
nearly all that is done, at every size. The exceptions are `GAINS`: a program without a large one of
them is not looked at any further.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from ..core.program import ClosedProgram, Equation, Program, sub_programs
from ..core.types import ArrayType

_BETA = ["regularized_incomplete_beta", "regularized_incomplete_beta_complement"]
_BY_SCIPY = ["bessel_i0e", "igamma", "igammac", *_BETA]
"""Functions of SciPy on all engines, of which the NumPy engine alone has no threads for them."""

LARGE = 50_000
"""Elements of one operation from which XLA has threads for it."""

GAINS: dict[str, int] = {
    "bessel_i1e": 20_000,
    "fft": LARGE,
    **dict.fromkeys(["polygamma", "zeta"], 4_000),
}
"""What XLA does quicker than the native engine, and from how many elements of one operation on:
those that a single call could gain something by."""

CALLS = 50
"""A program is for XLA if so many calls pay for what its first call takes longer there. One that is
called once loses by it, 0.02 to 0.1 s as a rule, and in a process that has not imported jaxlib
another 0.15 s; a loop that calls it for long gains a third of its time, or more. To see which it
will be would need to count calls, and then a function would change its last digits at some call."""

RATIO = 1.5
"""And only where it is so many times quicker: estimates are not better than that."""

_FIRST, _FIRST_EACH = 25e6, 0.6e6
"""Nanoseconds that a first call takes longer on XLA, and for each equation besides."""

_COPY = 0.1
"""Nanoseconds for a byte of the arguments: memory that is not aligned to 64 bytes, as that of
NumPy's large arrays, is copied to XLA."""

_ROUND = {"native": 5.0, "numpy": 1000.0, "xla": 60.0}
"""What an equation costs however small its arrays are: in loops, whose bodies are often small."""


class Speed(NamedTuple):
    """Nanoseconds for a unit."""

    native: float
    xla: float
    numpy: float


_ORDINARY = Speed(0.01, 0.02, 0.6)
_FUNCTION = Speed(0.25, 0.8, 3.0)
_ANGLE = Speed(0.3, 8.0, 8.0)
_CUMULATIVE = Speed(0.2, 1.0, 3.0)
_EXTREMUM = Speed(0.05, 3.0, 1.0)
_WINDOW = Speed(0.3, 1.5, 10.0)
_BACK = Speed(3.6, 4.2, 20.0)
_SCATTER = Speed(1.0, 1.3, 4.0)
_ORDER = Speed(3.0, 150.0, 3.0)

SPEEDS: dict[str, Speed] = {
    **dict.fromkeys(["exp", "exp2", "expm1", "log", "log1p", "logistic", "tanh", "erf"], _FUNCTION),
    **dict.fromkeys(["cosh", "sinh", "asinh", "acosh", "atanh", "erf_inv", "erfc"], _FUNCTION),
    "rsqrt": Speed(0.17, 1.0, 1.5),
    "sin": Speed(0.25, 3.0, 5.0),
    "cos": Speed(0.25, 3.0, 5.0),
    "pow": Speed(0.9, 3.2, 10.0),
    **dict.fromkeys(["asin", "acos", "atan", "atan2", "tan", "cbrt"], _ANGLE),
    **dict.fromkeys(["lgamma", "digamma"], Speed(2.7, 8.6, 30.0)),
    "bessel_i1e": Speed(14.0, 0.7, 30.0),
    **dict.fromkeys(["polygamma", "zeta"], Speed(70.0, 18.0, 150.0)),
    **dict.fromkeys(_BY_SCIPY, Speed(19.0, 19.0, 40.0)),
    "rem": Speed(0.2, 2.0, 3.0),
    **dict.fromkeys(["cumsum", "cumprod", "cummax", "cummin", "cumlogsumexp"], _CUMULATIVE),
    **dict.fromkeys(["argmax", "argmin"], _EXTREMUM),
    **dict.fromkeys(["sort", "top_k"], _ORDER),
    **dict.fromkeys(["reduce_window", "reduce_window_sum", "reduce_window_max"], _WINDOW),
    **dict.fromkeys(["select_and_scatter_add", "select_and_gather_add"], _BACK),
    **dict.fromkeys(["scatter", "scatter-add", "scatter-max"], _SCATTER),
    **dict.fromkeys(["random_bits", "threefry2x32"], Speed(0.5, 1.5, 10.0)),
}
"""By the names of primitives, for an element of the largest array; `_ORDINARY` is any other."""

_MOVES_LAST = Speed(0.4, 3.0, 2.0)
"""Transposition that moves the last axis, an element."""
_PRODUCT = Speed(0.002, 0.0021, 0.002)
"""Products of matrices, an operation."""
_CONVOLUTION, _GROUPS = Speed(0.0022, 0.0045, 0.09), Speed(0.0022, 0.2, 0.5)
"""The same of convolutions; and of those by groups of channels."""
_FOURIER, _LINE = Speed(0.2, 0.06, 0.2), Speed(0.45, 0.45, 0.45)
"""Fourier transforms of n numbers, n log2(n) of them; and of a single line, which is one thread's
work."""
_PLACE, _SLICE = Speed(0.4, 0.4, 4.0), Speed(0.07, 0.04, 0.1)
"""A place that a gather takes from; and an element, where it takes whole slices. It is one or the
other, whichever takes longer."""


@dataclass
class Estimate:
    """Nanoseconds of one run on each engine."""

    native: float = 0.0
    xla: float = 0.0
    numpy: float = 0.0
    equations: int = 0
    most: tuple[float, str] = 0.0, ""
    """What takes the native engine longest of all that XLA gains at, and its name."""

    def add(self, name: str, speed: Speed, units: float, rounds: float) -> None:
        """Count an equation that is done so many times."""
        self.native += rounds * (_ROUND["native"] + units * speed.native)
        self.xla += rounds * (_ROUND["xla"] + units * speed.xla)
        self.numpy += rounds * (_ROUND["numpy"] + units * speed.numpy)
        self.equations += 1
        if name in GAINS:
            self.most = max(self.most, (rounds * units * speed.native, name))

    def reason(self, other: str) -> str | None:
        """Why XLA is to run it and not the engine named; None: it is not."""
        ours = self.numpy if other == "numpy" else self.native
        saved = ours - self.xla
        if saved * CALLS < _FIRST + _FIRST_EACH * self.equations or ours < RATIO * self.xla:
            return None
        there, here = _told(self.xla), _told(ours)
        if other == "numpy":
            return f"the estimate is {there} on XLA, and {here} on numpy"
        return f"XLA is quicker at {self.most[1]}: the estimate is {there}, and {here} without it"


def reason_for_xla(closed: ClosedProgram, other: str = "native") -> str | None:
    """Why a program is for XLA and not for the other engine that would run it; None: it is not.

    Loops of unknown length count as one round.
    """
    if other == "native" and not _has_gain(closed.program):
        return None
    found = Estimate()
    found.xla += _COPY * sum(_bytes(v.aval) for v in closed.invars)
    _count(closed.program, 1.0, found)
    return found.reason(other)


def _has_gain(program: Program) -> bool:
    for eq in program.eqns:
        primitive = eq.primitive
        least = GAINS.get(primitive.name)
        if least is not None:
            if eq.outvars[0].aval.size >= least:
                return True
        elif primitive.multiple_results and any(map(_has_gain, sub_programs(eq.params))):
            return True
    return False


def _count(program: Program, rounds: float, found: Estimate) -> None:
    for eq in program.eqns:
        name = eq.primitive.name
        inner = [] if name in SPEEDS else sub_programs(eq.params)
        if inner:
            times = rounds * eq.params.get("length", 1)
            if "branches" in eq.params:
                times /= len(inner)
            for p in inner:
                _count(p, times, found)
        else:
            special = _SPECIAL.get(name)
            if special is None:
                found.add(name, SPEEDS.get(name, _ORDINARY), _largest(eq), rounds)
            else:
                found.add(name, *special(eq), rounds)


def _bytes(t: ArrayType) -> float:
    return float(t.size * t.dtype.itemsize)


def _largest(eq: Equation) -> float:
    return float(max([a.aval.size for a in (*eq.invars, *eq.outvars)], default=0))


def _fourier(eq: Equation) -> tuple[Speed, float]:
    size, lengths = _largest(eq), eq.params["fft_lengths"]
    points = math.prod(lengths)
    work = size * math.log2(max(points, 2))
    if eq.invars[0].aval.dtype != eq.outvars[0].aval.dtype:  # of real numbers, or to such
        work /= 2
    lines = len(lengths) > 1 or size >= 2 * points
    return (_FOURIER if lines and size >= LARGE else _LINE), work


def _gather(eq: Equation) -> tuple[Speed, float]:
    out, index = eq.outvars[0].aval, eq.invars[1].aval
    places = index.size / max(index.shape[-1] if index.shape else 1, 1)
    per_place = out.size / max(places, 1)
    return Speed(*[max(p, s * per_place) for p, s in zip(_PLACE, _SLICE, strict=True)]), places


def _product(eq: Equation) -> tuple[Speed, float]:
    (contracted, _), _ = eq.params["dimension_numbers"]
    length = math.prod(eq.invars[0].aval.shape[d] for d in contracted)
    return _PRODUCT, 2.0 * eq.outvars[0].aval.size * length


def _convolution(eq: Equation) -> tuple[Speed, float]:
    kernel, numbers = eq.invars[1].aval, eq.params["dimension_numbers"]
    features = max(kernel.shape[numbers.rhs_spec[0]], 1)
    groups = eq.params["feature_group_count"] * eq.params["batch_group_count"]
    work = 2.0 * eq.outvars[0].aval.size * kernel.size / features
    return (_CONVOLUTION if groups == 1 else _GROUPS), work


def _transposition(eq: Equation) -> tuple[Speed, float]:
    order = eq.params["permutation"]
    kept = not order or order[-1] == len(order) - 1
    return (_ORDINARY if kept else _MOVES_LAST), _largest(eq)


def _update(eq: Equation) -> tuple[Speed, float]:
    """What is written is all that is done, in loops; else the whole is copied on both."""
    return _ORDINARY, float(eq.invars[1].aval.size)


_SPECIAL = {
    "fft": _fourier,
    "gather": _gather,
    "dot_general": _product,
    "conv_general_dilated": _convolution,
    "transpose": _transposition,
    "dynamic_update_slice": _update,
}


def _told(nanoseconds: float) -> str:
    """`0.3 ms`"""
    if nanoseconds < 1e9:
        return f"{nanoseconds / 1e6:.2g} ms"
    return f"{nanoseconds / 1e9:.2g} s"


__all__ = ["GAINS", "Estimate", "Speed", "reason_for_xla"]
