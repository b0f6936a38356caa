"""Random typed programs over the primitives that engines know, each from one seed.

A program grows an equation at a time: a maker picks operands among the values that are there, or
makes new inputs, and `typing` says what comes out. What `typing` refuses is not added.
"""

from __future__ import annotations

import random
from math import prod

import ml_dtypes
import numpy as np

from pullback.core.array import HostArray
from pullback.core.primitive import all_primitives
from pullback.core.program import ClosedProgram, Equation, Literal, Program, Var
from pullback.core.types import array_type
from pullback.ops.elementwise import Elementwise
from pullback.ops.rounding import RoundingMethod

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
FLOATS = [np.dtype(d) for d in ("f4", "f8", "f2")] + [BFLOAT16]
COMPLEX = [np.dtype(d) for d in ("c8", "c16")]
INTS = [np.dtype(d) for d in ("i4", "i8", "i1", "i2", "u1", "u2", "u4", "u8")]
BOOL = np.dtype("?")
DTYPES = [*FLOATS, *COMPLEX, *INTS, BOOL]
WEIGHTS = [30, 14, 4, 4, 4, 3, 14, 4, 3, 2, 4, 2, 4, 3, 8]
LENGTHS = (0, 1, 1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 24, 31, 32, 33, 40, 63, 64, 65, 70)
MOST = 2000
"""Elements of one array."""

BY_NAME = {p.name: p for p in all_primitives() if type(p).__module__.startswith("pullback.")}


def kind(dtype: np.dtype) -> str:
    """The kind of dtype as primitives name them; bfloat16 is a float."""
    return "f" if dtype == BFLOAT16 else dtype.kind


class Growing:
    """A program that grows."""

    def __init__(self, seed: int) -> None:
        self.dice, self.rng = random.Random(seed), np.random.default_rng(seed)
        self.values: list[Var] = []
        self.inputs: list[tuple[Var, np.ndarray]] = []
        self.consts: list[tuple[Var, HostArray]] = []
        self.equations: list[Equation] = []
        # Few dtypes in one program, or its values would seldom meet.
        self.dtypes = self.dice.choices(DTYPES, WEIGHTS, k=self.dice.choice((1, 2, 2, 3)))
        self.fixed: set[Var] = set()
        """Constants, and what is computed of them alone."""
        self.constant_inputs = False
        """Whether all new inputs are constants: in the body of a loop."""
        self.tame = self.dice.random() < 0.5
        """Whether numbers are plain: else infinities and NaN soon fill every array."""

    # ---- values

    def shape(self, most: int = MOST) -> tuple[int, ...]:
        """A shape of at most so many elements."""
        rank = self.dice.choices(range(5), (8, 30, 36, 18, 8))[0]
        found = [self.dice.choice(LENGTHS) for _ in range(rank)]
        while prod(found) > most:
            i = self.dice.randrange(rank)
            found[i] = self.dice.choice((1, 2, 3, max(1, found[i] // 3)))
        return tuple(found)

    def dtype(self, kinds: str = "biufc") -> np.dtype:
        """One of the program's dtypes of these kinds, or another one."""
        fits = [d for d in self.dtypes if kind(d) in kinds]
        if fits:
            return self.dice.choice(fits)
        fits = [i for i, d in enumerate(DTYPES) if kind(d) in kinds]
        at = self.dice.choices(fits, [WEIGHTS[i] for i in fits])[0]
        return DTYPES[at]

    def array(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """Random numbers, in half the programs with extremes among them."""
        flavour = self.dice.random()
        return numbers(self.rng, shape, dtype, 0.0 if self.tame else flavour)

    def new(self, shape: tuple[int, ...], dtype: np.dtype, value: np.ndarray | None = None) -> Var:
        """A new input, sometimes a constant of the program."""
        value = self.array(shape, dtype) if value is None else value
        var = Var(array_type(shape, dtype))
        constant = shape and self.dice.random() < 0.1
        if constant or self.constant_inputs:
            self.fixed.add(var)
        if constant:
            self.consts.append((var, HostArray(value)))
        else:
            self.inputs.append((var, value))
        self.values.append(var)
        return var

    def pick(self, kinds: str = "biufc", rank: int = 0) -> Var:
        """A value of these kinds and at least this rank: a recent one, or a new input."""
        fits = [v for v in self.values if kind(v.aval.dtype) in kinds and v.aval.ndim >= rank]
        if fits and self.dice.random() < 0.85:
            return self.dice.choice(fits[-4:] if self.dice.random() < 0.6 else fits)
        shape = self.shape()
        while len(shape) < rank:
            shape = (*shape, self.dice.choice((1, 2, 3, 5)))
        return self.new(shape, self.dtype(kinds))

    def partner(self, x: Var) -> Var | Literal:
        """Something of the dtype of `x`, and of its shape or of rank 0."""
        shape, dtype = x.aval.shape, x.aval.dtype
        what = self.dice.random()
        fits = [v for v in self.values if v.aval.dtype == dtype and v.aval.shape == shape]
        if what < 0.45 and fits:
            return self.dice.choice(fits)
        if what < 0.6:
            return Literal(HostArray(self.array((), dtype)))
        fits = [v for v in self.values if v.aval.dtype == dtype and not v.aval.shape]
        if what < 0.7 and fits:
            return self.dice.choice(fits)
        return self.new((), dtype) if what < 0.8 else self.new(shape, dtype)

    def add(self, name: str, *atoms: Var | Literal, **params: object) -> list[Var] | None:
        """One more equation, unless `typing` refuses it or its results are too large."""
        primitive = BY_NAME[name]
        fixed = all(isinstance(a, Literal) or a in self.fixed for a in atoms)
        if fixed and name in UNARY + BINARY + ["integer_pow"]:
            return None  # NumPy computes it before the program is compiled, and less exactly
        try:
            out = primitive.typing(*[a.aval for a in atoms], **params)
        except (TypeError, ValueError, IndexError, NotImplementedError):
            return None
        types = list(out) if primitive.multiple_results else [out]
        if sum(t.size for t in types) > 4 * MOST:
            return None
        outs = [Var(t) for t in types]
        self.fixed |= set(outs) if fixed else set()
        self.equations.append(Equation(list(atoms), outs, primitive, params))
        self.values += outs
        return outs

    # ---- the whole

    def closed(self) -> tuple[ClosedProgram, list[np.ndarray]]:
        """The program, with none, some or all of its values as outputs, and its arguments."""
        made = [v for eq in self.equations for v in eq.outvars]
        used = {a for eq in self.equations for a in eq.invars}
        ends = [v for v in made if v not in used]
        share = self.dice.choice((0.0, 0.0, 0.3, 1.0))
        outs: list[Var | Literal] = [v for v in made if v in ends or self.dice.random() < share]
        if self.inputs and self.dice.random() < 0.03:  # an input as output, also twice
            outs += [self.dice.choice(self.inputs)[0]] * 2
        self.dice.shuffle(outs)
        program = Program(
            [v for v, _ in self.consts], [v for v, _ in self.inputs], outs, self.equations
        )
        return ClosedProgram(program, [c for _, c in self.consts]), [x for _, x in self.inputs]


def numbers(
    rng: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype, flavour: float
) -> np.ndarray:
    """Numbers of a dtype: plain ones below 0.4, then small integers, extremes, any bits."""
    which = kind(dtype)
    if which == "b":
        return np.asarray(rng.random(shape) < 0.5)
    if which in "iu":
        return _integers(rng, shape, dtype, flavour)
    if which == "c":
        part = np.dtype("f4" if dtype == "c8" else "f8")
        parts = [numbers(rng, (*shape, 1), part, flavour * 0.8) for _ in range(2)]
        return np.concatenate(parts, -1).view(dtype).reshape(shape)
    x = rng.standard_normal(shape)
    if 0.4 < flavour < 0.6:
        x = rng.integers(-3, 4, shape).astype(np.float64)
    elif 0.6 <= flavour < 0.7:
        x = x * np.exp2(rng.integers(-40, 40, shape))
    with np.errstate(all="ignore"):
        x = np.asarray(x).astype(dtype)
        if 0.7 <= flavour < 0.9:
            limits = ml_dtypes.finfo(dtype)
            extremes = [0.0, -0.0, np.inf, -np.inf, np.nan, limits.max, -limits.max, limits.tiny]
            extremes += [-limits.tiny, limits.smallest_subnormal, 1.0, -1.0, 0.5, 2.5, -0.5, 1e9]
            at = rng.integers(0, len(extremes), shape)
            special = np.asarray(np.array([float(v) for v in extremes])[at]).astype(dtype)
            x = np.where(rng.random(shape) < 0.4, special, x)
        elif flavour >= 0.9:
            bits = rng.integers(0, 256, (*shape, dtype.itemsize), np.uint8)
            x = bits.view(dtype).reshape(shape)
    return np.asarray(x, dtype)


def _integers(
    rng: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype, flavour: float
) -> np.ndarray:
    if flavour >= 0.75:
        bits = rng.integers(0, 256, (*shape, dtype.itemsize), np.uint8)
        return bits.view(dtype).reshape(shape)
    low = 0 if dtype.kind == "u" else -9
    x = rng.integers(low, 10, shape).astype(dtype)
    if flavour >= 0.4:
        limits = np.iinfo(dtype)
        extremes = np.array([limits.min, limits.max, limits.max - 1, 0, 1, 8, 31, 32, 64], dtype)
        special = extremes[rng.integers(0, len(extremes), shape)]
        x = np.where(rng.random(shape) < 0.4, special, x)
    return np.asarray(x, dtype)


# ---- makers: elementwise

UNARY_NAMES = """
neg abs sign floor ceil exp exp2 expm1 log log1p logistic sin cos tan asin acos atan sinh cosh tanh
asinh acosh atanh sqrt rsqrt cbrt erf erfc erf_inv lgamma digamma not population_count clz is_finite
real imag copy square stop_gradient
"""
BINARY_NAMES = """
add add sub mul mul div rem max min pow atan2 nextafter and or xor shift_left
shift_right_arithmetic shift_right_logical eq ne lt le gt ge eq_to lt_to le_to complex mulhi add_any
"""
UNARY, BINARY = UNARY_NAMES.split(), BINARY_NAMES.split()


def takes(name: str) -> str:
    """The kinds of dtype that a primitive takes."""
    primitive = BY_NAME[name]
    return primitive.takes if isinstance(primitive, Elementwise) else "biufc"


def unary(g: Growing) -> object:
    """A function of one operand."""
    name = g.dice.choice(UNARY)
    return g.add(name, g.pick(takes(name)))


def binary(g: Growing) -> object:
    """A function of two operands."""
    name = g.dice.choice(BINARY)
    x = g.pick(takes(name))
    y = g.partner(x)
    if x.aval.shape and g.dice.random() < 0.2:
        return g.add(name, y, x)
    return g.add(name, x, y)


def parametrised(g: Growing) -> object:
    """A function of one operand with a parameter."""
    what = g.dice.randrange(5)
    if what == 0:
        return g.add("integer_pow", g.pick("iufc"), y=g.dice.choice((-3, -2, -1, 0, 1, 2, 3, 5, 7)))
    if what == 1:
        method = RoundingMethod(g.dice.randrange(2))
        return g.add("round", g.pick("f"), rounding_method=method)
    if what == 2:
        bits = g.dice.choice(((8, 7), (5, 10), (8, 23), (4, 3), (11, 52)))
        return g.add("reduce_precision", g.pick("f"), exponent_bits=bits[0], mantissa_bits=bits[1])
    if what == 3:
        x = g.pick("c")
        return g.add("conj", x, input_dtype=x.aval.dtype)
    x = g.pick("iuf")
    same = [d for d in DTYPES if d.itemsize == x.aval.dtype.itemsize and kind(d) in "iuf"]
    return g.add("bitcast_convert_type", x, new_dtype=g.dice.choice(same))


def converted(g: Growing) -> object:
    """Another dtype."""
    new = g.dtype() if g.dice.random() < 0.6 else g.dice.choice(DTYPES)
    return g.add("convert_element_type", g.pick(), new_dtype=new, weak_type=False)


def selected(g: Growing) -> object:
    """One of 2 cases by a bool, or of up to 4 by an integer."""
    x = g.pick()
    shape = x.aval.shape if g.dice.random() < 0.8 else ()
    others = [g.partner(x)]
    if g.dice.random() < 0.7:
        fits = [v for v in g.values if v.aval.dtype == BOOL and v.aval.shape == shape]
        which = g.dice.choice(fits) if fits else g.new(shape, BOOL)
    else:
        others += [g.partner(x) for _ in range(g.dice.randrange(3))]
        count = len(others) + 1
        index = g.rng.integers(0, count, shape).astype(np.int32)
        which = g.new(shape, np.dtype("i4"), np.asarray(index))
    cases = [
        c if c.aval.shape == x.aval.shape else g.new(x.aval.shape, x.aval.dtype)
        for c in (x, *others)
    ]
    return g.add("select_n", which, *cases)


def clamped(g: Growing) -> object:
    """Between two limits."""
    x = g.pick("biuf")
    return g.add("clamp", g.partner(x), x, g.partner(x))


# ---- makers: moving data


def broadcast(g: Growing) -> object:
    """More axes, longer ones."""
    x = g.pick()
    shape = list(x.aval.shape)
    rank = len(shape) + g.dice.randrange(3)
    at = sorted(g.dice.sample(range(rank), len(shape)))
    new = [g.dice.choice((1, 2, 3, 5, 8, 17)) for _ in range(rank)]
    for d, n in zip(at, shape, strict=True):
        new[d] = n if n != 1 or g.dice.random() < 0.5 else new[d]
    if prod(new) > 2 * MOST:
        return None
    return g.add("broadcast_in_dim", x, shape=tuple(new), broadcast_dimensions=tuple(at))


def reshaped(g: Growing) -> object:
    """The same elements in another shape."""
    x = g.pick()
    rest, new = x.aval.size, []
    while rest > 1 and len(new) < 4:
        divisors = [d for d in range(1, min(rest, 80) + 1) if rest % d == 0]
        new.append(g.dice.choice(divisors))
        rest //= new[-1]
    new.append(rest)
    if g.dice.random() < 0.3:
        new.insert(g.dice.randrange(len(new) + 1), 1)
    return g.add("reshape", x, new_sizes=tuple(new))


def transposed(g: Growing) -> object:
    """Axes in another order."""
    x = g.pick(rank=1)
    order = list(range(x.aval.ndim))
    g.dice.shuffle(order)
    return g.add("transpose", x, permutation=tuple(order))


def squeezed(g: Growing) -> object:
    """Axes of length 1 gone."""
    fits = [v for v in g.values if 1 in v.aval.shape]
    if not fits:
        return None
    x = g.dice.choice(fits)
    ones = [d for d, n in enumerate(x.aval.shape) if n == 1]
    return g.add("squeeze", x, dimensions=tuple(g.dice.sample(ones, g.dice.randint(1, len(ones)))))


def reversed_(g: Growing) -> object:
    """Some axes backwards."""
    x = g.pick(rank=1)
    return g.add("rev", x, dimensions=axes(g, x))


def axes(g: Growing, x: Var, least: int = 0) -> tuple[int, ...]:
    """Some axes of `x`, ascending."""
    rank = x.aval.ndim
    return tuple(sorted(g.dice.sample(range(rank), g.dice.randint(min(least, rank), rank))))


def sliced(g: Growing) -> object:
    """A part with strides."""
    x = g.pick(rank=1)
    start, stop, step = [], [], []
    for n in x.aval.shape:
        a = g.dice.randint(0, n) if g.dice.random() < 0.6 else 0
        start.append(a)
        stop.append(g.dice.randint(a, n) if g.dice.random() < 0.6 else n)
        step.append(g.dice.choice((1, 1, 2, 3, 7)))
    strides = None if g.dice.random() < 0.3 else tuple(step)
    return g.add("slice", x, start_indices=tuple(start), limit_indices=tuple(stop), strides=strides)


def padded(g: Growing) -> object:
    """More elements around and between, or fewer."""
    x = g.pick(rank=1)
    value = Literal(HostArray(g.array((), x.aval.dtype)))
    config = tuple(
        (
            g.dice.choice((0, 0, 1, 2, -1, -3)),
            g.dice.choice((0, 0, 1, 3, -1, -2)),
            g.dice.choice((0, 0, 0, 1, 2)),
        )
        for _ in x.aval.shape
    )
    return g.add("pad", x, value, padding_config=config)


def concatenated(g: Growing) -> object:
    """Up to 3 arrays one after the other."""
    x = g.pick(rank=1)
    d = g.dice.randrange(x.aval.ndim)
    parts = [x]
    for _ in range(g.dice.choice((1, 1, 2))):
        shape = list(x.aval.shape)
        shape[d] = g.dice.choice((0, 1, 2, 5, 9))
        fits = [
            v
            for v in g.values
            if v.aval.dtype == x.aval.dtype
            and v.aval.ndim == x.aval.ndim
            and all(m == n or i == d for i, (m, n) in enumerate(zip(v.aval.shape, x.aval.shape)))
        ]
        use = fits and g.dice.random() < 0.6
        parts.append(g.dice.choice(fits) if use else g.new(tuple(shape), x.aval.dtype))
    g.dice.shuffle(parts)
    return g.add("concatenate", *parts, dimension=d)


def split(g: Growing) -> object:
    """In two parts."""
    x = g.pick(rank=1)
    d = g.dice.randrange(x.aval.ndim)
    first = g.dice.randint(0, x.aval.shape[d])
    return g.add("split", x, sizes=(first, x.aval.shape[d] - first), axis=d)


def iota(g: Growing) -> object:
    """Counting along an axis."""
    shape = g.shape()
    if not shape:
        return None
    return g.add("iota", dtype=g.dtype("iufc"), shape=shape, dimension=g.dice.randrange(len(shape)))


ELEMENTWISE = [unary] * 10 + [binary] * 14 + [parametrised] * 2 + [converted] * 4
ELEMENTWISE += [selected] * 3 + [clamped] * 1
MOVING = [broadcast, broadcast, reshaped, reshaped, transposed, transposed, squeezed, reversed_]
MOVING += [sliced, sliced, padded, padded, concatenated, concatenated, split, iota]
