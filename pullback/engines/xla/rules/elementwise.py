"""Operations that do the same to each element."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ....core.program import Equation
from ....ops import comparison as c
from ....ops import elementwise as e
from ....ops import functions as f
from ....ops import rounding, special
from ....ops.barriers import stop_gradient
from ....ops.identities import stage
from ....ops.integers import mulhi
from ....ops.structural import copy
from ..lowering import Lowering, Rule
from ..text import Code, Word

_STABLEHLO = {
    e.neg: "negate",
    e.add: "add",
    e.add_any: "add",
    e.sub: "subtract",
    e.mul: "multiply",
    e.real: "real",
    e.imag: "imag",
    c.is_finite: "is_finite",
    c.and_: "and",
    c.or_: "or",
    c.xor: "xor",
    c.not_: "not",
    c.clz: "count_leading_zeros",
    c.shift_left: "shift_left",
    c.shift_right_arithmetic: "shift_right_arithmetic",
    c.shift_right_logical: "shift_right_logical",
    c.population_count: "popcnt",
    f.sqrt: "sqrt",
    f.rsqrt: "rsqrt",
    f.cbrt: "cbrt",
    f.rem: "remainder",
    f.exp: "exponential",
    f.expm1: "exponential_minus_one",
    f.logistic: "logistic",
    f.sin: "sine",
    f.cos: "cosine",
    f.tanh: "tanh",
    f.atan2: "atan2",
    rounding.floor: "floor",
    rounding.ceil: "ceil",
}
"""Operations that StableHLO has."""

_CHLO = {
    f.tan: "tan",
    f.acos: "acos",
    f.acosh: "acosh",
    f.asin: "asin",
    f.asinh: "asinh",
    f.atan: "atan",
    rounding.nextafter: "next_after",
    special.bessel_i1e: "bessel_i1e",
    special.erf: "erf",
    special.erfc: "erfc",
    special.erf_inv: "erf_inv",
    special.lgamma: "lgamma",
    special.polygamma: "polygamma",
    special.zeta: "zeta",
}
"""Functions of the dialect beside it, which the compiler takes apart."""

_NOT_NEGATIVE = ("abs", "multiply", "maximum", "broadcast_in_dim", "reshape", "convert")
"""Operations whose results XLA may know not to be negative."""
_WIDENED = {"bfloat16", "float16"}
_ONE_STEP = {"negate", "add", "subtract", "multiply", "real", "imag", "floor", "ceil", "next_after"}


def spread(code: Code, words: Sequence[Word], shape: tuple[int, ...]) -> list[Word]:
    """Scalars among words as arrays of this shape."""
    return [filled(code, w, shape) if w.shape != shape else w for w in words]


def filled(code: Code, word: Word, shape: tuple[int, ...]) -> Word:
    """An array with the one number everywhere."""
    if word.shape == shape:
        return word
    return code.op(
        "broadcast_in_dim", [word], shape, word.dtype, "broadcast_dimensions = array<i64>"
    )


def like(code: Code, word: Word, value: Any) -> Word:
    """A number everywhere, as an array of the type of `word`."""
    return filled(code, code.constant(np.asarray(value).astype(word.dtype)), word.shape)


def compare(code: Code, direction: str, x: Word, y: Word, total: bool = False) -> Word:
    """Where x and y are in this relation: EQ, NE, LT, LE, GT, GE."""
    kind = x.dtype.kind
    if total:
        how = "TOTALORDER"
    elif kind == "u" or kind == "b" or x.dtype.name.startswith("uint"):
        how = "UNSIGNED"
    else:
        how = "SIGNED" if "int" in x.dtype.name else "FLOAT"
    attributes = (
        f"comparison_direction = #stablehlo<comparison_direction {direction}>, "
        f"compare_type = #stablehlo<comparison_type {how}>"
    )
    return code.op("compare", [x, y], x.shape, bool, attributes)


def convert(code: Code, x: Word, dtype: Any) -> Word:
    """Elements as another dtype."""
    dtype = np.dtype(dtype)
    if x.dtype == dtype:
        return x
    if dtype == np.dtype(bool):
        return compare(code, "NE", x, like(code, x, 0))
    if x.dtype.kind == "c" and dtype.kind != "c":
        part = np.dtype(f"f{x.dtype.itemsize // 2}")
        return convert(code, code.op("real", [x], x.shape, part), dtype)
    return code.op("convert", [x], x.shape, dtype)


def _stablehlo(name: str, dialect: str = "stablehlo") -> Rule:
    """An operation; one of several steps is done in float32 for 16-bit floats, and rounded once."""

    def rule(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
        code, (shape, dtype) = low.code, low.result(eq)
        words = spread(code, args, shape)
        if name in _ONE_STEP or dtype.name not in _WIDENED:
            return [code.op(name, words, shape, dtype, dialect=dialect)]
        wide = [_wide(code, w) for w in words]
        return [convert(code, code.op(name, wide, shape, np.float32, dialect=dialect), dtype)]

    return rule


def _same(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    return args


def _abs(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    shape, dtype = low.result(eq)
    unsigned = dtype.kind in "ub" or dtype.name.startswith("uint")
    return args if unsigned else [low.code.op("abs", args, shape, dtype)]


def _sign(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    (x,), code = args, low.code
    if x.dtype.kind == "u" or x.dtype.name.startswith("uint"):
        return [convert(code, convert(code, x, bool), x.dtype)]
    if x.dtype.kind == "c":
        return [_direction(code, x)]
    return [code.op("sign", args, x.shape, x.dtype)]


def _direction(code: Code, x: Word) -> Word:
    """x / |x|, the parts one by one: the square of |x| may leave the range. 0 of 0; towards the
    infinite part where one is."""
    part = np.dtype(f"f{x.dtype.itemsize // 2}")
    size = code.op("abs", [x], x.shape, part)
    sides = [code.op(name, [x], x.shape, part) for name in ("real", "imag")]
    infinite = like(code, size, np.inf)
    ends = [compare(code, "EQ", code.op("abs", [s], x.shape, part), infinite) for s in sides]
    one = code.op("xor", ends, x.shape, bool)
    signs = [code.op("sign", [s], x.shape, part) for s in sides]
    far = [
        code.op("select", [end, s, like(code, s, 0)], x.shape, part)
        for end, s in zip(ends, signs, strict=True)
    ]
    near = [code.op("divide", [s, size], x.shape, part) for s in sides]
    parts = [code.op("select", [one, a, b], x.shape, part) for a, b in zip(far, near, strict=True)]
    found = code.op("complex", parts, x.shape, x.dtype)
    nothing = compare(code, "EQ", size, like(code, size, 0))
    return code.op("select", [nothing, like(code, x, 0), found], x.shape, x.dtype)


def _square(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    return [_times(low.code, args[0], args[0])]


def opaque(code: Code, x: Word) -> Word:
    """Floats x, which the compiler does not look behind to simplify what is done with them."""
    limits = np.finfo(x.dtype)
    bits = f"exponent_bits = {limits.iexp} : i32, mantissa_bits = {limits.nmant} : i32"
    return code.op("reduce_precision", [x], x.shape, x.dtype, bits)


def _from(code: Code, x: Word, *names: str) -> Word:
    """x, opaque if it is a float that an operation of these names gave."""
    told = x.dtype.name in ("float32", "float64") and code.makers.get(x.name) in names
    return opaque(code, x) if told else x


def _div(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    """XLA would take (x / y) / z for x / (y z), which may leave the range where it does not."""
    return _stablehlo("divide")(low, eq, [_from(low.code, x, "divide") for x in args])


def _log(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    """XLA would take log(x^y) for y log|x|, also where x < 0 makes it NaN."""
    code, (x,) = low.code, args
    wide = _from(code, _wide(code, x), "power", "convert")
    return [convert(code, code.op("log", [wide], x.shape, wide.dtype), x.dtype)]


def _log1p(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    return [log1p(low.code, args[0])]


def log1p(code: Code, x: Word) -> Word:
    """log(1 + x). Of float64 that of XLA is off by 128 units; here log(u) x / (u - 1) with u the
    rounded 1 + x, whose errors cancel (W. Kahan; Hewlett-Packard, HP-15C Handbook, 1982)."""
    if x.dtype != np.dtype(np.float64):
        return code.op("log_plus_one", [x], x.shape, x.dtype)
    one = like(code, x, 1)
    # Opaque, for XLA would take (x + 1) - 1 for x.
    u = opaque(code, code.op("add", [x, one], x.shape, x.dtype))
    off = code.op("subtract", [u, one], x.shape, x.dtype)
    log = code.op("log", [u], x.shape, x.dtype)
    ratio = code.op("divide", [x, off], x.shape, x.dtype)
    finite = code.op("is_finite", [ratio], x.shape, bool)
    small = compare(code, "EQ", off, like(code, x, 0))
    found = code.op("select", [finite, _times(code, log, ratio), log], x.shape, x.dtype)
    return code.op("select", [small, x, found], x.shape, x.dtype)


def _atanh(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    code, (x,) = low.code, args
    if x.dtype != np.dtype(np.float64):
        return [code.op("atanh", [x], x.shape, x.dtype, dialect="chlo")]
    under = code.op("negate", [x], x.shape, x.dtype)
    parts = [log1p(code, x), log1p(code, under)]
    whole = code.op("subtract", parts, x.shape, x.dtype)
    return [_times(code, like(code, x, 0.5), whole)]


def _hyperbolic(name: str) -> Rule:
    """sinh and cosh, where XLA adds log 1/2 to x: 500 units."""
    real, imag = (_cosh, _sinh) if name == "cosh" else (_sinh, _cosh)

    def rule(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
        code, (x,) = low.code, args
        if x.dtype.kind != "c":
            wide = _wide(code, x)
            return [convert(code, real(code, wide, like(code, wide, 1)), x.dtype)]
        part = np.dtype(f"f{x.dtype.itemsize // 2}")
        a, b = (code.op(what, [x], x.shape, part) for what in ("real", "imag"))
        turns = [code.op(what, [b], x.shape, part) for what in ("cosine", "sine")]
        parts = [f(code, a, t) for f, t in zip((real, imag), turns, strict=True)]
        return [code.op("complex", parts, x.shape, x.dtype)]

    return rule


def _cosh(code: Code, x: Word, factor: Word) -> Word:
    """cosh(x) factor."""
    more, less = _halves(code, x, factor)
    found = code.op("add", [more, less], x.shape, x.dtype)
    nothing = compare(code, "EQ", factor, like(code, x, 0))
    return code.op("select", [nothing, factor, found], x.shape, x.dtype)


def _sinh(code: Code, x: Word, factor: Word) -> Word:
    """sinh(x) factor: near 0 by XLA's function."""
    more, less = _halves(code, x, factor)
    far = code.op("subtract", [more, less], x.shape, x.dtype)
    below = compare(code, "LT", x, like(code, x, 0))
    under = code.op("negate", [far], x.shape, x.dtype)
    far = code.op("select", [below, under, far], x.shape, x.dtype)
    near = _times(code, code.op("sinh", [x], x.shape, x.dtype, dialect="chlo"), factor)
    is_far = compare(code, "GT", code.op("abs", [x], x.shape, x.dtype), like(code, x, 1))
    found = code.op("select", [is_far, far, near], x.shape, x.dtype)
    signed = _times(code, code.op("sign", [x], x.shape, x.dtype), factor)
    nothing = compare(code, "EQ", factor, like(code, x, 0))
    return code.op("select", [nothing, signed, found], x.shape, x.dtype)


def _halves(code: Code, x: Word, factor: Word) -> tuple[Word, Word]:
    """e^|x| / 2 and e^-|x| / 2 times `factor`, from e^(|x|/2): e^|x| may leave the range where
    the results do not."""
    half = like(code, x, 0.5)
    size = code.op("abs", [x], x.shape, x.dtype)
    root = code.op("exponential", [_times(code, half, size)], x.shape, x.dtype)
    once = _times(code, half, root)
    more = _times(code, _times(code, once, factor), root)
    whole = _times(code, once, root)
    less = code.op("divide", [like(code, x, 0.25), whole], x.shape, x.dtype)
    return more, _times(code, less, factor)


def _digamma(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    """At 0 the side of the pole is that of its sign, where XLA gives NaN."""
    (x,), code = args, low.code
    found = code.op("digamma", [x], x.shape, x.dtype, dialect="chlo")
    pole = code.op("divide", [like(code, x, -1), x], x.shape, x.dtype)
    zero = compare(code, "EQ", x, like(code, x, 0))
    return [code.op("select", [zero, pole, found], x.shape, x.dtype)]


def _extremum(name: str) -> Rule:
    def rule(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
        shape, _ = low.result(eq)
        x, y = spread(low.code, args, shape)
        return [extremum(low.code, name, x, y)]

    return rule


def extremum(code: Code, name: str, x: Word, y: Word) -> Word:
    """`maximum` or `minimum`; of complex numbers by real, then by imaginary part."""
    if x.dtype.kind != "c":
        return code.op(name, [x, y], x.shape, x.dtype)
    part = np.dtype(f"f{x.dtype.itemsize // 2}")
    (a, b), (p, q) = (
        [code.op(what, [w], w.shape, part) for w in (x, y)] for what in ("real", "imag")
    )
    side = "GT" if name == "maximum" else "LT"
    first = compare(code, side, a, b)
    tie = code.op("and", [compare(code, "EQ", a, b), compare(code, side, p, q)], x.shape, bool)
    wins = code.op("or", [first, tie], x.shape, bool)
    unknown = code.op("or", [compare(code, "NE", a, a), compare(code, "NE", p, p)], x.shape, bool)
    wins = code.op("or", [wins, unknown], x.shape, bool)
    return code.op("select", [wins, x, y], x.shape, x.dtype)


def _comparison(direction: str, total: bool = False) -> Rule:
    def rule(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
        code, (shape, _) = low.code, low.result(eq)
        x, y = spread(code, args, shape)
        if not (total and x.dtype.kind in "fcV" and "int" not in x.dtype.name):
            return [compare(code, direction, *_unknown(code, direction, x, y))]
        if x.dtype.kind != "c":
            return [compare(code, direction, x, y, total=True)]
        part = np.dtype(f"f{x.dtype.itemsize // 2}")
        sides = []
        for name in ("real", "imag"):
            a, b = (code.op(name, [z], shape, part) for z in (x, y))
            sides.append(compare(code, direction, a, b, total=True))
        return [code.op("and", sides, shape, bool)]

    return rule


def _unknown(code: Code, direction: str, x: Word, y: Word) -> tuple[Word, Word]:
    """The operands of a comparison. XLA would take |x| >= 0 for true, also where x is NaN."""
    if direction == "GE":
        return _from(code, x, *_NOT_NEGATIVE), y
    if direction == "LE":
        return x, _from(code, y, *_NOT_NEGATIVE)
    return x, y


def _clamp(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    shape, _ = low.result(eq)
    lowest, x, highest = spread(low.code, args, shape)
    above = extremum(low.code, "maximum", lowest, x)
    return [extremum(low.code, "minimum", above, highest)]


def _conj(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    (x,), code = args, low.code
    shape, dtype = low.result(eq)
    if x.dtype.kind != "c":
        return [code.op("complex", [x, like(code, x, 0)], shape, dtype)]
    return [code.op("conj", [x], shape, dtype, dialect="chlo")]


def _complex(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    shape, dtype = low.result(eq)
    part = np.dtype(f"f{dtype.itemsize // 2}")
    parts = [convert(low.code, w, part) for w in spread(low.code, args, shape)]
    return [low.code.op("complex", parts, shape, dtype)]


def _convert(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    return [convert(low.code, args[0], low.result(eq)[1])]


def _select_n(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    code, (which, *cases) = low.code, args
    shape, dtype = low.result(eq)
    if len(cases) == 1:
        return cases
    if which.dtype == np.dtype(bool):
        return [code.op("select", [which, cases[1], cases[0]], shape, dtype)]
    found = cases[-1]
    for k in range(len(cases) - 2, -1, -1):
        here = compare(code, "LE", which, like(code, which, k))
        found = code.op("select", [here, cases[k], found], shape, dtype)
    return [found]


def _integer_pow(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    code, (x,), n = low.code, args, eq.params["y"]
    if n == 0:
        return [like(code, x, 1)]
    found = None
    square, left = _wide(code, x), abs(n)
    while left:
        if left & 1:
            found = square if found is None else _times(code, found, square)
        left >>= 1
        if left:
            square = _times(code, square, square)
    assert found is not None
    if n < 0:
        found = code.op("divide", [like(code, found, 1), found], x.shape, found.dtype)
    return [convert(code, found, x.dtype)]


def _times(code: Code, x: Word, y: Word) -> Word:
    return code.op("multiply", [x, y], x.shape, x.dtype)


def readable(code: Code, x: Word) -> Word:
    """Integers of less than a byte as bytes: XLA has not every operation of them."""
    name = x.dtype.name
    if name not in ("int2", "int4", "uint2", "uint4"):
        return x
    return convert(code, x, np.uint8 if name.startswith("u") else np.int8)


def _wide(code: Code, x: Word) -> Word:
    """16-bit floats as float32: what has several steps is rounded once."""
    return convert(code, x, np.float32) if x.dtype.name in _WIDENED else x


def power(code: Code, x: Word, y: Word) -> Word:
    """x to the power y; not of integers. Powers of a complex 0 are 0 where y has a
    positive real part. XLA would take (e^x)^y for e^(x y): NaN where x is infinite and y = 0."""
    x = _from(code, x, "exponential")
    found = code.op("power", [x, y], x.shape, x.dtype)
    if x.dtype.kind != "c":
        return found
    part = np.dtype(f"f{x.dtype.itemsize // 2}")
    real = code.op("real", [y], x.shape, part)
    positive = compare(code, "GT", real, like(code, real, 0))
    nothing = compare(code, "EQ", x, like(code, x, 0))
    vanishes = code.op("and", [positive, nothing], x.shape, bool)
    return code.op("select", [vanishes, like(code, x, 0), found], x.shape, x.dtype)


def _exp2(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    code, x = low.code, _wide(low.code, args[0])
    if x.dtype.kind == "c":
        power = code.op("multiply", [x, like(code, x, math.log(2))], x.shape, x.dtype)
        return [code.op("exponential", [power], x.shape, x.dtype)]
    found = code.op("power", [like(code, x, 2), x], x.shape, x.dtype)
    return [convert(code, found, args[0].dtype)]


def _round(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    shape, dtype = low.result(eq)
    even = int(eq.params["rounding_method"]) == 1
    name = "round_nearest_even" if even else "round_nearest_afz"
    return [low.code.op(name, args, shape, dtype)]


def _reduce_precision(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    shape, dtype = low.result(eq)
    p = eq.params
    bits = f"exponent_bits = {p['exponent_bits']} : i32, mantissa_bits = {p['mantissa_bits']} : i32"
    return [low.code.op("reduce_precision", args, shape, dtype, bits)]


def _bitcast(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    shape, dtype = low.result(eq)
    return [low.code.op("bitcast_convert", args, shape, dtype)]


def _mulhi(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    code, (shape, _) = low.code, low.result(eq)
    x, y = spread(code, args, shape)
    bits = 8 * x.dtype.itemsize
    if bits > 32:
        return low.by_definition(eq, args)
    wide = np.dtype(f"{x.dtype.kind}{x.dtype.itemsize * 2}")
    product = _times(code, convert(code, x, wide), convert(code, y, wide))
    shift = "shift_right_arithmetic" if x.dtype.kind == "i" else "shift_right_logical"
    high = code.op(shift, [product, like(code, product, bits)], x.shape, wide)
    return [convert(code, high, x.dtype)]


RULES: dict[Any, Rule] = {
    **{p: _stablehlo(name) for p, name in _STABLEHLO.items()},
    **{p: _stablehlo(name, "chlo") for p, name in _CHLO.items()},
    **{p: _same for p in (stage, copy, stop_gradient)},
    c.eq: _comparison("EQ"),
    c.ne: _comparison("NE"),
    c.lt: _comparison("LT"),
    c.le: _comparison("LE"),
    c.gt: _comparison("GT"),
    c.ge: _comparison("GE"),
    c.eq_to: _comparison("EQ", total=True),
    c.lt_to: _comparison("LT", total=True),
    c.le_to: _comparison("LE", total=True),
    c.max_: _extremum("maximum"),
    c.min_: _extremum("minimum"),
    c.clamp: _clamp,
    c.bitcast_convert_type: _bitcast,
    e.complex_: _complex,
    e.conj: _conj,
    e.convert_element_type: _convert,
    e.div: _div,
    e.select_n: _select_n,
    f.integer_pow: _integer_pow,
    f.exp2: _exp2,
    f.square: _square,
    f.log: _log,
    f.log1p: _log1p,
    f.atanh: _atanh,
    f.sinh: _hyperbolic("sinh"),
    f.cosh: _hyperbolic("cosh"),
    special.digamma: _digamma,
    rounding.abs_: _abs,
    rounding.sign: _sign,
    rounding.round_: _round,
    rounding.reduce_precision: _reduce_precision,
    mulhi: _mulhi,
}

__all__ = [
    "RULES",
    "compare",
    "convert",
    "extremum",
    "filled",
    "like",
    "opaque",
    "power",
    "readable",
    "spread",
]
