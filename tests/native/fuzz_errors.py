"""What a program may give: each value by NumPy, with a bound of how far a good engine may be off.

A value is `x` and `e`: an array of float64, or None where the value is exact. Operations that IEEE
754 or the meaning of integers settles are exact if their operands are. Functions have a budget of
units in the last place; sums and products one of rounding errors of their terms. Through later
operations a bound is carried by computing at both ends of it (`e` is doubled, for what curves
between). `e` is infinite where nothing can be said: a comparison of numbers that may be equal.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np
from fuzz_programs import BFLOAT16, kind

from pullback.core.program import ClosedProgram, Equation, Literal, Var
from pullback.core.trace import quiet
from pullback.ops.elementwise import Elementwise

INF = np.inf


@dataclass
class Value:
    """A value and the bound of its error; both of one shape."""

    x: np.ndarray
    e: np.ndarray | None = None

    def bound(self) -> np.ndarray:
        """The error as an array."""
        return np.zeros(self.x.shape) if self.e is None else self.e


def eps(dtype: np.dtype) -> float:
    """The distance from 1 to the next number; of the parts of complex numbers."""
    return float(ml_dtypes.finfo(_part(dtype)).eps)


def _part(dtype: np.dtype) -> np.dtype:
    return {"c8": np.dtype("f4"), "c16": np.dtype("f8")}.get(dtype.str[1:], dtype)


def _tiny(dtype: np.dtype) -> float:
    return float(ml_dtypes.finfo(_part(dtype)).smallest_subnormal)


def ulp(x: np.ndarray) -> np.ndarray:
    """The distance to the next number, at least that of subnormal ones."""
    size = np.abs(x).astype(np.float64)
    limits = ml_dtypes.finfo(_part(x.dtype))
    size = np.clip(np.nan_to_num(size, nan=0.0, posinf=0.0), float(limits.tiny), None)
    return np.asarray(np.exp2(np.floor(np.log2(size))) * float(limits.eps))


WIDER = {"f4": np.dtype("f8"), "f2": np.dtype("f8"), "f8": np.dtype("f16")}

# ---- budgets, where the operands are exact

# Functions that shall be right to 2 units. A half more for the rounding of the reference.
FUNCTIONS = """
exp exp2 expm1 log log1p logistic sin cos tan asin acos atan atan2 sinh cosh tanh asinh acosh atanh
rsqrt cbrt pow erf integer_pow square
"""
ULPS = dict.fromkeys(FUNCTIONS.split(), 2.5)
ULPS |= {"erfc": 4.5, "erf_inv": 4.5, "asinh": 4.5, "acosh": 4.5, "atanh": 4.5, "integer_pow": 4.5}
# Relative to 1 where the value is smaller, for they have zeros within.
ABSOLUTE = {"lgamma": 8.0, "digamma": 8.0}
# NumPy has these in longdouble, where 64 bits of float64 leave no doubt.
IN_LONGDOUBLE = """
exp exp2 expm1 log log1p sin cos tan asin acos atan atan2 sinh cosh tanh asinh acosh atanh cbrt pow
"""
LONG = set(IN_LONGDOUBLE.split())
SIGN_OF_NAN = {"eq_to", "lt_to", "le_to", "bitcast_convert_type"}
"""They see the sign of a NaN, which is open."""
SIGNLESS_ZERO = {"max", "min", "clamp", "reduce_max", "reduce_min", "cummax", "cummin", "sort",
                 "top_k", "scatter-min", "scatter-max"}  # fmt: skip
"""Which of 0 and -0 is larger is open."""


def evaluated(eq: Equation, xs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The results by NumPy."""
    with quiet():
        out = eq.primitive.eval(*xs, **eq.params)  # type: ignore[attr-defined]
    outs = out if eq.primitive.multiple_results else [out]
    return [np.asarray(y) for y in outs]


def fresh(eq: Equation, xs: Sequence[np.ndarray]) -> list[Value]:
    """The results for operands that are exact, with the errors of this operation alone."""
    name, dtype = eq.primitive.name, eq.outvars[0].aval.dtype if eq.outvars else None
    if dtype is not None and kind(dtype) in "fc":
        if name in ULPS or name in ABSOLUTE or (kind(dtype) == "c" and name in COMPLEX_NAMES):
            return [_function(eq, xs)]
        if rule := SUMS.get(name):
            return [rule(eq, xs)]
    outs = [Value(y) for y in evaluated(eq, xs)]
    if name in SIGN_OF_NAN:
        nan = np.zeros(outs[0].x.shape, bool)
        for x in xs:
            nan = nan | _nan(x)
        return [Value(outs[0].x, np.where(nan, INF, 0.0))]
    if name == "abs" and kind(xs[0].dtype) == "c":
        return [Value(outs[0].x, _unsafe(xs, outs[0].x, 2.5 * ulp(outs[0].x)))]
    if name in ("reduce_max", "reduce_min") and kind(xs[0].dtype) == "c":
        several = np.sum(_nan(xs[0]), eq.params["axes"]) > 1
        outs[0].e = np.where(several, INF, 0.0)  # any of them may be the result
    if name in SIGNLESS_ZERO and any(_has_minus_zero(x) for x in xs):
        for v in outs:
            if kind(v.x.dtype) in "fc":
                v.e = np.where(v.x == 0, _tiny(v.x.dtype), 0.0)
    return outs


COMPLEX_NAMES = {"mul", "div", "sign", "sqrt", "rem", "tanh_slope", *ULPS}


def _has_minus_zero(x: np.ndarray) -> bool:
    return kind(x.dtype) == "f" and bool(np.any((x == 0) & np.signbit(x)))


def _unsafe(xs: Sequence[np.ndarray], out: np.ndarray, e: Any) -> np.ndarray:
    """`e`, and infinite where complex numbers are not finite, or so large or small that squares of
    theirs are not: what comes out there differs between libraries."""
    limits = ml_dtypes.finfo(_part(out.dtype))
    low, high = float(limits.tiny) ** 0.4, float(limits.max) ** 0.4
    bad = ~np.isfinite(out)
    for x in xs:
        for part in (x.real, x.imag) if kind(x.dtype) == "c" else (x,):
            size = np.abs(part).astype(np.float64)
            bad = bad | ~((size < high) & ((size > low) | (size == 0)))
    return np.asarray(np.where(bad, INF, e))


def _function(eq: Equation, xs: Sequence[np.ndarray]) -> Value:
    name, dtype = eq.primitive.name, np.dtype(eq.outvars[0].aval.dtype)
    if kind(dtype) == "c":
        out = evaluated(eq, xs)[0]
        size = np.abs(out).astype(np.float64)
        if name == "mul":  # two products, which may cancel
            both = [np.abs(x).astype(np.float64) for x in xs]
            e = 4 * eps(dtype) * both[0] * both[1] + _tiny(dtype)
            finite = np.isfinite(out)
            return Value(out, np.where(finite & np.isfinite(e), e, INF))
        e = 32 * eps(dtype) * np.maximum(size, 1)
        if name == "pow":  # e^(y log x): what is lost in the product is lost in its result
            with quiet():
                e = e * (1 + np.abs(xs[1] * np.log(xs[0].astype(dtype))))
        if name == "exp2":  # the same for the product with log 2
            e = e * (1 + np.abs(xs[0]))
        if name == "atan2":
            e = _angle_error(*xs, out, e)
        return Value(out, _unsafe(xs, out, e))
    budget = ULPS.get(name, 0.0)
    if dtype in (np.dtype("f2"), BFLOAT16):
        budget = 1.0  # computed in float32 and rounded once
    out, sure = _reference(eq, xs, dtype)
    if not sure:
        budget += 4.0  # NumPy's own
    if name == "erfc" and not sure:  # SciPy's, measured: 11 units at 0.9, 246 at 16
        budget = budget + 8 + 2 * np.square(np.clip(xs[0].astype(np.float64), 0, 30))
        budget = np.where(xs[0] > 26.5, INF, budget)  # 0 where the truth is subnormal
    scale = ulp(out)
    if name in ABSOLUTE:
        # An error in the last place of the argument alone, near the poles of these.
        budget, scale = (
            ABSOLUTE[name] * (1 if sure else 4),
            ulp(np.where(np.abs(out) < 1, 1, out).astype(dtype)),
        )
    if name == "integer_pow":
        budget += abs(eq.params["y"])
    e = np.where(np.isfinite(out), budget * scale, 0.0)
    if name == "digamma" and not sure:  # SciPy's, near the poles: 1e5 units at -2.99
        with quiet():
            lost = 8 * eps(dtype) * np.abs(xs[0]) * np.square(out)
        e = np.where((xs[0] < 0) & np.isfinite(out), e + lost, e)
    if name == "lgamma":  # SciPy's is infinite at subnormal numbers
        e = np.where(np.abs(xs[0]) < float(ml_dtypes.finfo(dtype).tiny), INF, e)
    if name == "erf_inv" and dtype == np.float32:  # as XLA has it: of x * x, rounded
        with quiet():
            e = e + ulp(xs[0]) * np.exp(np.square(out.astype(np.float64)))
    if name == "logistic" and not sure:  # NumPy's engine gives 0 for subnormal numbers
        tiny = float(ml_dtypes.finfo(dtype).tiny)
        e = np.where(np.abs(out) < tiny, tiny, e)
    if name in ("integer_pow", "pow", "square"):  # a factor may leave the range before the result
        limits = ml_dtypes.finfo(dtype)
        edge = (np.abs(out) <= float(limits.tiny) * 4) | (np.abs(out) >= float(limits.max) / 4)
        if name == "integer_pow" and eq.params["y"] < 0:
            e = np.where(edge & ~np.isnan(out), INF, e)
    return Value(out, e)


def _angle_error(y: np.ndarray, x: np.ndarray, out: np.ndarray, e: np.ndarray) -> np.ndarray:
    """Of complex numbers: x^2 + y^2 may cancel, and -pi and pi are at one cut."""
    with quiet():
        squares = [np.square(z.astype(np.complex128)) for z in (x, y)]
        e = e * (np.abs(squares[0]) + np.abs(squares[1])) / np.abs(squares[0] + squares[1])
        sure = (e < 0.1) & (np.abs(out.real) < np.pi - e)
    return np.where(sure, e, INF)


def _reference(eq: Equation, xs: Sequence[np.ndarray], dtype: np.dtype) -> tuple[np.ndarray, bool]:
    """The result in a wider type, rounded; whether it is surely better."""
    wide = np.dtype("f8") if dtype == BFLOAT16 else WIDER.get(dtype.str[1:])
    name = eq.primitive.name
    if wide is None or (wide.itemsize > 8 and name not in LONG):
        return evaluated(eq, xs)[0], False
    try:
        out = evaluated(eq, [x.astype(wide) if kind(x.dtype) == "f" else x for x in xs])[0]
    except (TypeError, ValueError, KeyError):
        return evaluated(eq, xs)[0], False
    if out.dtype != wide:
        return evaluated(eq, xs)[0], False
    with quiet():
        return out.astype(dtype), True


# ---- sums and products of many terms


def _wide(x: np.ndarray) -> np.ndarray:
    if kind(x.dtype) == "c":
        return x.astype(np.clongdouble)
    return x.astype(np.longdouble if x.dtype == np.float64 else np.float64)


def _sizes(x: np.ndarray) -> np.ndarray:
    """Of a complex number those of the parts that are finite: the parts are summed apart."""
    wide = _wide(x)
    parts = [np.abs(p).astype(np.longdouble) for p in (wide.real, wide.imag)]
    return np.asarray(sum(np.where(np.isfinite(p), p, 0) for p in parts))


def _inner_eps(dtype: np.dtype) -> float:
    return 2.0**-23 if dtype.itemsize == 2 else eps(dtype)


def _bounded(out: np.ndarray, total: np.ndarray, terms: float) -> Value:
    """A sum of so many terms, whose sizes add up to `total`."""
    limit = float(ml_dtypes.finfo(_part(out.dtype)).max)
    size = total.astype(np.float64)
    e = (8 + terms**0.5) * _inner_eps(out.dtype) * size + ulp(out) + _tiny(out.dtype)
    if out.dtype.itemsize == 2:
        e = e + ulp(out)
    finite = np.isfinite(out.real) | np.isfinite(out.imag)
    return Value(out, np.where(size >= limit / 4, INF, np.where(finite, e, 0.0)))


def _sum(eq: Equation, xs: Sequence[np.ndarray]) -> Value:
    (x,), over = xs, eq.params["axes"]
    out = evaluated(eq, xs)[0]
    if np.all(np.isfinite(x)):
        with quiet():
            out = np.asarray(np.add.reduce(_wide(x), over)).astype(out.dtype)
    terms = x.size / max(1, out.size)
    if terms <= 1:
        zero = (out.real == 0) | (out.imag == 0)
        return Value(out, np.where(zero, _tiny(out.dtype), 0.0))
    return _bounded(out, np.asarray(np.add.reduce(_sizes(x), over)), terms)


def _dot(eq: Equation, xs: Sequence[np.ndarray]) -> Value:
    out = evaluated(eq, xs)[0]
    sizes = [np.nan_to_num(np.abs(x).astype(np.float64), nan=0, posinf=0) for x in xs]
    total = np.abs(evaluated(eq, sizes)[0])
    terms = np.prod([xs[0].shape[d] for d in eq.params["dimension_numbers"][0][0]])
    found = _bounded(out, total, 4 * float(terms))
    if kind(out.dtype) == "c" and not all(np.all(np.isfinite(x)) for x in xs):
        found.e = np.full(out.shape, INF)
    return found


def _cumulative(eq: Equation, xs: Sequence[np.ndarray]) -> Value:
    (x,), name = xs, eq.primitive.name
    out = evaluated(eq, xs)[0]
    n = x.shape[eq.params["axis"]]
    if name == "cumsum":
        total = evaluated(eq, [_sizes(x).astype(np.float64)])[0]
        found = _bounded(out, total, n * n if out.dtype.itemsize == 2 else n)
        if out.dtype.itemsize == 2:  # rounded in its own type at each step, or once
            found.e = found.bound() + n * eps(out.dtype) * total
        return found
    if name == "cumlogsumexp":
        size = np.maximum(np.abs(out).astype(np.float64), 1) + np.nan_to_num(
            np.abs(x).astype(np.float64), nan=0, posinf=0
        ).max(initial=0)
        e = (8 + n) * eps(out.dtype) * size
        return Value(out, np.where(np.isfinite(out), e, 0.0))
    return _product(out, x, n)


def _prod(eq: Equation, xs: Sequence[np.ndarray]) -> Value:
    out = evaluated(eq, xs)[0]
    return _product(out, xs[0], xs[0].size / max(1, out.size))


def _product(out: np.ndarray, x: np.ndarray, terms: float) -> Value:
    """Of so many factors. Nothing is known if a part of them could leave the range."""
    if terms <= 1:
        return Value(out)
    limits = ml_dtypes.finfo(_part(out.dtype))
    size = np.abs(_wide(x)).astype(np.float64)
    plain = size[np.isfinite(size) & (size != 0)]
    powers = float(np.sum(np.abs(np.log2(plain)))) if plain.size else 0.0
    e: Any = (terms + 4) * 2 * eps(out.dtype) * np.abs(out).astype(np.float64)
    e = np.where(np.isfinite(out), e, 0.0)
    whole = plain.size == size.size
    if powers > 0.5 * float(np.log2(float(limits.max))) or (kind(out.dtype) == "c" and not whole):
        e = np.full(out.shape, INF)
    return Value(out, e)


def _scatter(eq: Equation, xs: Sequence[np.ndarray]) -> Value:
    out = evaluated(eq, xs)[0]
    if eq.primitive.name == "scatter-mul":
        e = 2 * (4 + xs[2].size) * eps(out.dtype) * np.abs(out).astype(np.float64)
        edge = np.isfinite(out) & (np.abs(out) > 2.0**-10) & (np.abs(out) < 2.0**10)
        return Value(out, np.where(edge, e, INF))
    sizes = [_sizes(x).astype(np.float64) if i != 1 else x for i, x in enumerate(xs)]
    total = evaluated(eq, sizes)[0]
    found = _bounded(out, total, xs[2].size)
    if out.dtype.itemsize == 2:
        found.e = found.bound() + xs[2].size * eps(out.dtype) * total
    return found


SUMS: dict[str, Callable[[Equation, Sequence[np.ndarray]], Value]] = {
    "reduce_sum": _sum,
    "reduce_prod": _prod,
    "dot_general": _dot,
    "cumsum": _cumulative,
    "cumprod": _cumulative,
    "cumlogsumexp": _cumulative,
    "scatter-add": _scatter,
    "scatter-mul": _scatter,
}

# ---- operands with errors

MOVES = {"broadcast_in_dim", "reshape", "transpose", "squeeze", "rev", "slice", "pad"}
MOVES |= {"concatenate", "copy", "split", "stop_gradient"}


def carried(eq: Equation, args: Sequence[Value]) -> list[Value]:
    """The results for operands that have errors."""
    name, xs = eq.primitive.name, [a.x for a in args]
    if name in MOVES:
        errors = evaluated(eq, [a.bound() for a in args])
        return [Value(y, e) for y, e in zip(evaluated(eq, xs), errors, strict=True)]
    if name in ("select_n", "gather", "dynamic_slice", "dynamic_update_slice", "scatter"):
        return [_looked_up(eq, args)]
    if isinstance(eq.primitive, Elementwise):
        return [_at_the_ends(eq, args)]
    if name in ("reduce_sum", "dot_general", "reduce_max", "reduce_min", "cummax", "cummin"):
        return [_linear(eq, args)]
    return [Value(y, np.full(y.shape, INF)) for y in evaluated(eq, xs)]


def _looked_up(eq: Equation, args: Sequence[Value]) -> Value:
    """Errors move with the data, if the places are sure."""
    name, xs = eq.primitive.name, [a.x for a in args]
    (out,) = evaluated(eq, xs)
    data = {"select_n": range(1, len(args)), "gather": (0,), "dynamic_slice": (0,)}
    data |= {"dynamic_update_slice": (0, 1), "scatter": (0, 2)}
    moved = data[name]
    if any(a.e is not None and np.any(a.e > 0) for i, a in enumerate(args) if i not in moved):
        return Value(out, np.full(out.shape, INF))
    (e,) = evaluated(eq, [a.bound() if i in moved else a.x for i, a in enumerate(args)])
    return Value(out, np.nan_to_num(e, nan=0.0, posinf=INF))


def _at_the_ends(eq: Equation, args: Sequence[Value]) -> Value:
    """An elementwise operation at all corners of the box of its operands."""
    (base,) = fresh(eq, [a.x for a in args])
    out, e = base.x, base.bound()
    lost = np.zeros(out.shape, bool)
    corners = [_corners(a) for a in args]
    for a in args:
        if a.e is not None:
            wide = a.e > 0.05 * np.abs(a.x).astype(np.float64)
            wide |= ~np.isfinite(a.e)
            if eq.primitive.name not in (
                "add",
                "sub",
                "mul",
                "neg",
                "add_any",
                "abs",
                "max",
                "min",
            ):
                lost = lost | wide
            lost = lost | ~np.isfinite(a.e)
    if eq.primitive.name == "rem":  # between the ends the rest may have run through all values
        with quiet():
            size = np.abs(args[1].x).astype(np.float64)
            turns = np.abs(args[0].x).astype(np.float64) / size
            lost = lost | (args[0].bound() + turns * args[1].bound() > 0.05 * size)
    if eq.primitive.name in ("sin", "cos", "tan"):  # the same with a part of a period
        lost = lost | (args[0].bound() > 0.3)
    if eq.primitive.name in ("eq", "ne", "eq_to"):  # between the ends two may be equal
        with quiet():
            apart = np.abs(_far(args[0].x) - _far(args[1].x))
            reach = args[0].bound() + args[1].bound()
            lost = lost | ((reach > 0) & (apart <= reach))
    discrete = kind(out.dtype) in "biu"
    for point in itertools.product(*corners):
        (y,) = evaluated(eq, point)
        with quiet():
            equal = y == out
            if kind(out.dtype) != "c":  # beside a NaN part the other may be off
                equal = equal | (_nan(y) & _nan(out))
            if discrete:
                off = np.where(equal, 0.0, INF)
            else:
                off = np.where(equal, 0.0, np.abs(_far(y) - _far(out)))
        e = np.maximum(e, 2 * np.nan_to_num(off, nan=INF, posinf=INF) + base.bound())
    if kind(out.dtype) in "fc":  # the sign of a zero may come from that of an operand
        for a in args:
            e = np.where((out == 0) & (a.bound() > 0), np.maximum(e, _tiny(out.dtype)), e)
    return Value(out, np.asarray(np.where(lost, INF, e)))


def _far(x: np.ndarray) -> np.ndarray:
    return x.astype(np.complex128 if kind(x.dtype) == "c" else np.float64)


def _nan(x: np.ndarray) -> np.ndarray:
    return np.isnan(x) if kind(x.dtype) in "fc" else np.zeros(x.shape, bool)


def _corners(a: Value) -> list[np.ndarray]:
    if a.e is None or not np.any(a.e > 0):
        return [a.x]
    e = np.where(np.isfinite(a.e), a.e, 0.0)
    with quiet():
        if kind(a.x.dtype) == "c":
            return [(a.x + d * e).astype(a.x.dtype) for d in (1, -1, 1j, -1j)]
        if kind(a.x.dtype) in "biu":
            return [a.x]
        wide = a.x.astype(np.float64)
        low, high = (wide - e).astype(a.x.dtype), (wide + e).astype(a.x.dtype)
        moved = e > 0
        ends = (np.nextafter(low, a.x.dtype.type(-INF)), np.nextafter(high, a.x.dtype.type(INF)))
        return [np.where(moved, end, a.x) for end in ends]


def _linear(eq: Equation, args: Sequence[Value]) -> Value:
    """Sums of errors, or the largest of them."""
    (base,) = fresh(eq, [a.x for a in args])
    sizes = [np.nan_to_num(np.abs(a.x).astype(np.float64), nan=0, posinf=0) for a in args]
    bounds = [a.bound() for a in args]
    if any(np.any(~np.isfinite(b)) for b in bounds) or kind(base.x.dtype) in "biu":
        return Value(base.x, np.full(base.x.shape, INF))
    with quiet():
        if eq.primitive.name == "dot_general":
            left = evaluated(eq, [bounds[0], sizes[1] + bounds[1]])[0]
            e = left + evaluated(eq, [sizes[0], bounds[1]])[0]
        elif eq.primitive.name == "reduce_sum":
            e = evaluated(eq, bounds)[0]
        else:
            e = np.full(base.x.shape, bounds[0].max(initial=0.0))
    whole = all(np.all(np.isfinite(a.x)) for a in args)
    e = 1.01 * e + base.bound()
    return Value(base.x, e if whole else np.full(base.x.shape, INF))


# ---- programs


Known = dict[Var, Value]

FLUSHING = False
"""Whether the engine may take numbers below the normal ones for 0, and carry 16-bit floats from
one operation to the next without rounding them, as XLA does both."""


def _flushed(v: Value) -> Value:
    """With the bounds that an engine needs which has no subnormal numbers."""
    if not FLUSHING or kind(v.x.dtype) not in "fc":
        return v
    if v.x.dtype.itemsize == 2:
        unrounded = np.where(np.isfinite(v.x), 0.5 * ulp(v.x), 0.0)
        v = Value(v.x, v.bound() + unrounded)
    tiny = 4 * float(ml_dtypes.finfo(_part(v.x.dtype)).tiny)  # a step before may be below
    parts = (v.x.real, v.x.imag) if kind(v.x.dtype) == "c" else (v.x,)
    with quiet():
        near = [(np.abs(p).astype(np.float64) - v.bound() <= tiny) & (p != 0) for p in parts]
    small = np.logical_or.reduce(near)
    return Value(v.x, v.bound() + np.where(small, tiny, 0.0)) if np.any(small) else v


def run(
    closed: ClosedProgram,
    args: Sequence[Value],
    settle: Callable[[Var, Value], Value] | None = None,
) -> list[Value]:
    """The outputs. `settle` may replace a value, by what the engine gave and was found right."""
    known: Known = dict(zip(closed.program.invars, map(_flushed, args), strict=True))
    for var, const in zip(closed.program.constvars, closed.consts, strict=True):
        known[var] = _flushed(Value(np.asarray(const._value)))
    makers: dict[Var, Equation] = {}
    for eq in closed.eqns:
        args = [_read(a, known) for a in eq.invars]
        outs = [_flushed(v) for v in _step(eq, args)]
        if eq.primitive.name in ("add", "sub", "add_any", "reduce_sum"):
            outs = [_with_products(eq, args, outs[0], makers)]
        makers.update(dict.fromkeys(eq.outvars, eq))
        for var, value in zip(eq.outvars, outs, strict=True):
            known[var] = value if settle is None else settle(var, value)
    return [_read(a, known) for a in closed.program.outvars]


PRODUCTS = {"mul", "square", "integer_pow", "dot_general"}


def _with_products(
    eq: Equation, args: Sequence[Value], out: Value, makers: dict[Var, Equation]
) -> Value:
    """A sum whose terms may be products that an engine has not rounded: it multiplies and adds in
    one instruction."""
    if kind(out.x.dtype) not in "fc" or out.x.dtype.itemsize == 2:
        return out
    allowed: Any = 0.0
    for atom, value in zip(eq.invars, args, strict=True):
        maker = makers.get(atom) if isinstance(atom, Var) else None
        while maker is not None and _hands_on(maker):
            roots = [a for a in maker.invars if isinstance(a, Var)]
            maker = next((makers[a] for a in roots if a in makers), None)
        if maker is not None and maker.primitive.name in PRODUCTS:
            size = np.abs(value.x)
            over = np.where(np.isfinite(size), ulp(size), INF)  # an overflow may not happen
            allowed = allowed + (over if eq.primitive.name != "reduce_sum" else over.max(initial=0))
    if not np.any(allowed):
        return out
    if eq.primitive.name == "reduce_sum":  # its bound has the roundings of the terms
        return out if np.isfinite(allowed) else Value(out.x, np.full(out.x.shape, INF))
    over = np.isinf(allowed)
    allowed = np.where(np.isfinite(out.x), allowed + ulp(np.abs(out.x)), 0)
    return Value(out.x, out.bound() + np.where(over, INF, allowed))


def _hands_on(eq: Equation) -> bool:
    """Whether what an engine has not rounded may go through an equation."""
    if eq.primitive.name == "convert_element_type":
        return bool(eq.invars[0].aval.dtype == eq.outvars[0].aval.dtype)
    return eq.primitive.name in (*MOVES, "neg", "select_n")


def _read(atom: Any, known: Known) -> Value:
    if isinstance(atom, Literal):
        return _flushed(Value(np.asarray(atom.val)))
    return known[atom]


def _step(eq: Equation, args: list[Value]) -> list[Value]:
    name = eq.primitive.name
    if name in CONTROL:
        return CONTROL[name](eq, args)
    if all(a.e is None or not np.any(a.e > 0) for a in args):
        return fresh(eq, [a.x for a in args])
    return carried(eq, args)


def _cond(eq: Equation, args: list[Value]) -> list[Value]:
    which, branches = args[0], eq.params["branches"]
    if np.any(which.bound() > 0):
        return _unknown(eq, args)
    at = min(max(int(which.x), 0), len(branches) - 1)
    return run(branches[at], args[1:])


def _unknown(eq: Equation, args: list[Value]) -> list[Value]:
    return [Value(y, np.full(y.shape, INF)) for y in evaluated(eq, [a.x for a in args])]


def _scan(eq: Equation, args: list[Value]) -> list[Value]:
    nc, nk, length = (eq.params[k] for k in ("num_consts", "num_carry", "length"))
    consts, carry, rows = args[:nc], args[nc : nc + nk], args[nc + nk :]
    steps: list[list[Value]] = []
    order = range(length)[::-1] if eq.params["reverse"] else range(length)
    for i in order:
        row = [Value(r.x[i, ...], None if r.e is None else r.e[i, ...]) for r in rows]
        outs = run(eq.params["jaxpr"], [*consts, *carry, *row])
        carry = outs[:nk]
        steps.append(outs[nk:])
    if eq.params["reverse"]:
        steps.reverse()
    ys = []
    for j, var in enumerate(eq.outvars[nk:]):
        t = var.aval
        x = np.array([s[j].x for s in steps], t.dtype).reshape(t.shape)
        e = np.array([s[j].bound() for s in steps]).reshape(t.shape)
        ys.append(Value(x, e if np.any(e > 0) else None))
    return [*carry, *ys]


def _while(eq: Equation, args: list[Value]) -> list[Value]:
    a, b = eq.params["cond_nconsts"], eq.params["body_nconsts"]
    test, inner, carry = args[:a], args[a : a + b], args[a + b :]
    while True:
        (more,) = run(eq.params["cond_jaxpr"], [*test, *carry])
        if np.any(more.bound() > 0):
            return _unknown(eq, args)
        if not more.x:
            return list(carry)
        carry = run(eq.params["body_jaxpr"], [*inner, *carry])


CONTROL = {
    "cond": _cond,
    "scan": _scan,
    "while": _while,
    "jit": lambda eq, args: run(eq.params["jaxpr"], args),
}


# ---- comparing


def difference(got: np.ndarray, want: Value) -> str:
    """Why `got` is not what it may be; empty if it is."""
    x, dtype = want.x, want.x.dtype
    if got.shape != x.shape or got.dtype != dtype:
        return f"{got.dtype}{list(got.shape)} instead of {dtype}{list(x.shape)}"
    exact = np.ones(x.shape, bool) if want.e is None else want.e == 0
    if kind(dtype) in "biu":
        wrong = exact & (got != x)
        return _worst(got, x, wrong, want) if np.any(wrong) else ""
    if kind(dtype) == "c":
        return _complex_difference(got, want, exact)
    with quiet():
        same = (_nan(got) & _nan(x)) | ((got == x) & (np.signbit(got) == np.signbit(x)))
        off = np.abs(got.astype(np.float64) - x.astype(np.float64))
        bound = want.bound()
        near = (off <= bound) | (_nan(got) & _nan(x)) | (got == x) | np.isinf(bound)
        near |= _beyond_range(got, x, bound)
    wrong = np.where(exact, ~same, ~near)
    return _worst(got, x, wrong, want) if np.any(wrong) else ""


def _beyond_range(got: np.ndarray, x: np.ndarray, bound: np.ndarray) -> np.ndarray:
    """Whether one is infinite and the other so large that the bound reaches there."""
    limit = float(ml_dtypes.finfo(x.dtype).max)
    a, b = got.astype(np.float64), x.astype(np.float64)
    a, b = (np.nan_to_num(v, nan=0.0, posinf=limit, neginf=-limit) for v in (a, b))
    either = np.isinf(got) ^ np.isinf(x)
    step = float(limit) * 2 * float(ml_dtypes.finfo(x.dtype).eps) * 4
    return either & (bound > 0) & (np.abs(a - b) <= bound + step)


def _complex_difference(got: np.ndarray, want: Value, exact: np.ndarray) -> str:
    parts = [difference(_real(got), Value(_real(want.x), want.e))]
    parts.append(difference(_imag(got), Value(_imag(want.x), want.e)))
    return next((p for p in parts if p), "")


def _real(x: np.ndarray) -> np.ndarray:
    return np.asarray(x.real)


def _imag(x: np.ndarray) -> np.ndarray:
    return np.asarray(x.imag)


def _worst(got: np.ndarray, x: np.ndarray, wrong: np.ndarray, want: Value) -> str:
    at = tuple(int(i) for i in np.argwhere(wrong)[0])
    bound = want.bound()[at]
    return (
        f"{int(wrong.sum())} of {x.size} wrong, first at {list(at)}: {got[at]!r} instead of "
        f"{x[at]!r} (bound {bound:.3g})"
    )
