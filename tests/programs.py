"""Random programs: lists of steps, drawn by hypothesis, that any implementation can run.

A program is data: `v3 = mul(v0, v2)`, one primitive a line. So it prints, it shrinks, and both
Pullback and JAX can run it. Every value has a bound on its size, kept small by leaving out the
steps that would exceed it; so derivatives of all orders stay moderate and can be compared.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from pullback.core.types import ArrayType, array_type

FLOAT, COMPLEX = np.dtype("float64"), np.dtype("complex128")
LIMIT = 8.0


@dataclass(frozen=True)
class Value:
    """What is known of one value of a program: its type, and a bound on its absolute value."""

    shape: tuple[int, ...]
    dtype: np.dtype
    bound: float

    @property
    def size(self) -> int:
        return int(np.prod(self.shape))


@dataclass(frozen=True)
class Step:
    """One equation. Operands are places in the list of values: first the inputs, then results."""

    name: str
    operands: tuple[int, ...]
    params: dict[str, Any]
    constant: Any = None
    """An array without derivative that goes in front of the operands: a mask, or a number."""


class RandomProgram:
    """Inputs, steps and which values come out."""

    def __init__(self, inputs: list[Value], seed: int) -> None:
        self.inputs, self.seed = inputs, seed
        self.values = list(inputs)
        self.steps: list[Step] = []
        self.outputs: tuple[int, ...] = ()

    def run(self, call: Callable[..., list[Any]], args: Any) -> list[Any]:
        """The outputs, each step done by `call(name, operands, params)`."""
        found = list(args)
        for step in self.steps:
            operands = [found[i] for i in step.operands]
            if step.constant is not None:
                operands.insert(0, step.constant)
            found += call(step.name, operands, step.params)
        return [found[i] for i in self.outputs]

    def arguments(self, rng: np.random.Generator) -> list[np.ndarray]:
        """Inputs within their bounds."""
        return [random_array(rng, v) for v in self.inputs]

    @property
    def avals(self) -> list[ArrayType]:
        return [array_type(v.shape, v.dtype) for v in self.inputs]

    def __repr__(self) -> str:
        types = [f"{v.dtype}{list(v.shape)}" for v in self.inputs]
        lines = [f"def program({', '.join(f'v{i}: {t}' for i, t in enumerate(types))}):"]
        place = len(self.inputs)
        for step in self.steps:
            given = [f"v{i}" for i in step.operands]
            if step.constant is not None:
                given.insert(0, repr(step.constant).replace("\n", ""))
            given += [f"{k}={v!r}" for k, v in step.params.items()]
            n = len(self.made_by(step))
            results = ", ".join(f"v{place + i}" for i in range(n))
            lines.append(f"    {results} = {step.name}({', '.join(given)})")
            place += n
        lines.append(f"    return {', '.join(f'v{i}' for i in self.outputs)}")
        return "\n".join(lines) + f"\n# inputs drawn with seed {self.seed}"

    def made_by(self, step: Step) -> tuple[int, ...]:
        """The parts that a step gives: one, but for `split`."""
        return step.params["sizes"] if step.name == "split" else (0,)


def random_array(rng: np.random.Generator, v: Value) -> np.ndarray:
    """Numbers of the type of `v`, within its bound."""
    x = rng.uniform(-1, 1, v.shape)
    if v.dtype == COMPLEX:
        x = (x + 1j * rng.uniform(-1, 1, v.shape)) / 2**0.5
    return np.asarray(x * v.bound)


# ---- drawing a program

Draw = Any
Choice = tuple[Step, list[Value]] | None


SHAPES = [(3,), (2, 3), (), (2, 1, 3), (1,), (3, 2), (2, 2), (1, 3), (3, 2, 2), (0,), (2, 0)]
DTYPES = [FLOAT, FLOAT, FLOAT, COMPLEX]


@st.composite
def programs(draw: Draw, steps: int = 10) -> RandomProgram:
    """A random program of up to `steps` steps on 1 to 3 inputs. What no step uses is an output."""
    inputs = [
        Value(draw(st.sampled_from(SHAPES)), draw(st.sampled_from(DTYPES)), 1.5)
        for _ in range(dice.randint(1, 3))
    ]
    program = RandomProgram(inputs, seed=dice.randint(0, 99))
    for _ in range(dice.randint(1, steps)):
        choose = dice.choice(STEPS)
        choice = choose(draw, program.values)
        if choice is not None and all(v.bound <= LIMIT for v in choice[1]):
            program.steps.append(choice[0])
            program.values += choice[1]
    used = {i for step in program.steps for i in step.operands}
    program.outputs = tuple(i for i in range(len(program.values)) if i not in used)
    return program


def _pick(dice: Dice, values: list[Value], fits: Any = bool) -> int | None:
    """The place of a value that fits: mostly one of the last, so that programs grow deep."""
    places = [i for i, v in enumerate(values) if fits(v)]
    if not places:
        return None
    back = dice.randint(0, 2) or dice.randint(0, len(places) - 1)
    return places[-1 - min(back, len(places) - 1)]


def unary(
    name: str, bound: Callable[[float], float], dtypes: Any = (FLOAT, COMPLEX), **params: Any
):
    """A step that computes on each element."""

    def choose(dice: Dice, values: list[Value]) -> Choice:
        i = _pick(dice, values, lambda v: v.dtype in dtypes)
        if i is None:
            return None
        v = values[i]
        return Step(name, (i,), params), [Value(v.shape, v.dtype, bound(v.bound))]

    return choose


def binary(name: str, bound: Callable[[float, float], float]):
    """A step on two arrays of one shape, or one of them a scalar."""

    def choose(dice: Dice, values: list[Value]) -> Choice:
        i = _pick(dice, values)
        x = values[i]
        j = _pick(dice, values, lambda v: v.dtype == x.dtype and v.shape in ((), x.shape))
        if j is None:
            return None
        y = values[j]
        pair = (i, j) if dice.random() < 0.5 else (j, i)
        return Step(name, pair, {}), [Value(x.shape, x.dtype, bound(x.bound, y.bound))]

    return choose


def scaled(dice: Dice, values: list[Value]) -> Choice:
    """A number times a value."""
    i = _pick(dice, values)
    factor = dice.choice([0.5, -1.0, 1.25])
    v = values[i]
    result = Value(v.shape, v.dtype, v.bound * abs(factor))
    return Step("mul", (i,), {}, constant=v.dtype.type(factor)), [result]


def to_complex(dice: Dice, values: list[Value]) -> Choice:
    i = _pick(dice, values, lambda v: v.dtype == FLOAT)
    if i is None:
        return None
    x = values[i]
    j = _pick(dice, values, lambda v: v.dtype == FLOAT and v.shape == x.shape)
    bound = np.hypot(x.bound, values[j].bound)
    return Step("complex", (i, j), {}), [Value(x.shape, COMPLEX, bound)]


def part(name: str):
    """The real or the imaginary part."""

    def choose(dice: Dice, values: list[Value]) -> Choice:
        i = _pick(dice, values, lambda v: v.dtype == COMPLEX)
        if i is None:
            return None
        return Step(name, (i,), {}), [Value(values[i].shape, FLOAT, values[i].bound)]

    return choose


def conjugate(dice: Dice, values: list[Value]) -> Choice:
    i = _pick(dice, values, lambda v: v.dtype == COMPLEX)
    return None if i is None else (Step("conj", (i,), {"input_dtype": COMPLEX}), [values[i]])


def selected(dice: Dice, values: list[Value]) -> Choice:
    i = _pick(dice, values)
    x = values[i]
    j = _pick(dice, values, lambda v: (v.shape, v.dtype) == (x.shape, x.dtype))
    mask = np.resize([True, False, False], x.shape)
    bound = max(x.bound, values[j].bound)
    return Step("select_n", (i, j), {}, constant=mask), [Value(x.shape, x.dtype, bound)]


def broadcast(dice: Dice, values: list[Value]) -> Choice:
    i = _pick(dice, values, lambda v: len(v.shape) < 3)
    if i is None:
        return None
    shape, dims = list(values[i].shape), list(range(len(values[i].shape)))
    at = dice.randint(0, len(shape))
    shape.insert(at, dice.randint(1, 3))
    dims = [d + (d >= at) for d in dims]
    for d in dims:
        if shape[d] == 1 and dice.random() < 0.5:
            shape[d] = 2
    params = {"shape": tuple(shape), "broadcast_dimensions": tuple(dims)}
    return Step("broadcast_in_dim", (i,), params), [Value(tuple(shape), *_rest(values[i]))]


def reshaped(dice: Dice, values: list[Value]) -> Choice:
    i = _pick(dice, values)
    v = values[i]
    sizes = st.permutations(v.shape).map(tuple) | st.sampled_from([(v.size,), (1, v.size)])
    shape = draw(sizes)
    return Step("reshape", (i,), {"new_sizes": shape}), [Value(shape, *_rest(v))]


def transposed(dice: Dice, values: list[Value]) -> Choice:
    i = _pick(dice, values)
    order = tuple(draw(st.permutations(range(len(values[i].shape)))))
    shape = tuple(values[i].shape[d] for d in order)
    return Step("transpose", (i,), {"permutation": order}), [Value(shape, *_rest(values[i]))]


def squeezed(dice: Dice, values: list[Value]) -> Choice:
    i = _pick(dice, values, lambda v: 1 in v.shape)
    if i is None:
        return None
    shape = values[i].shape
    axis = dice.choice([d for d, n in enumerate(shape) if n == 1])
    out = shape[:axis] + shape[axis + 1 :]
    return Step("squeeze", (i,), {"dimensions": (axis,)}), [Value(out, *_rest(values[i]))]


def reversed_(dice: Dice, values: list[Value]) -> Choice:
    i = _pick(dice, values)
    return Step("rev", (i,), {"dimensions": _axes(dice, values[i])}), [values[i]]


def summed(dice: Dice, values: list[Value]) -> Choice:
    i = _pick(dice, values)
    v, axes = values[i], _axes(dice, values[i])
    shape = tuple(n for d, n in enumerate(v.shape) if d not in axes)
    count = np.prod([v.shape[d] for d in axes])
    return Step("reduce_sum", (i,), {"axes": axes}), [Value(shape, v.dtype, v.bound * count)]


def cumulated(dice: Dice, values: list[Value]) -> Choice:
    i = _pick(dice, values, lambda v: len(v.shape) > 0)
    if i is None:
        return None
    v = values[i]
    axis = dice.randint(0, len(v.shape) - 1)
    params = {"axis": axis, "reverse": dice.random() < 0.5}
    return Step("cumsum", (i,), params), [Value(v.shape, v.dtype, v.bound * v.shape[axis])]


def sliced(dice: Dice, values: list[Value]) -> Choice:
    i = _pick(dice, values)
    v = values[i]
    starts = tuple(dice.randint(0, n) for n in v.shape)
    limits = tuple(dice.randint(a, n) for a, n in zip(starts, v.shape, strict=True))
    strides = tuple(dice.randint(1, 2) for _ in v.shape) if dice.random() < 0.5 else None
    params = {"start_indices": starts, "limit_indices": limits, "strides": strides}
    each = zip(starts, limits, strides or (1,) * len(starts), strict=True)
    shape = tuple(len(range(a, b, s)) for a, b, s in each)
    return Step("slice", (i,), params), [Value(shape, *_rest(v))]


def padded(dice: Dice, values: list[Value]) -> Choice:
    i = _pick(dice, values)
    v = values[i]
    j = _pick(dice, values, lambda w: w.dtype == v.dtype and w.shape == ())
    if j is None:
        return None
    config, shape = [], []
    for n in v.shape:
        inner = dice.randint(0, 1)
        spread = n + max(0, n - 1) * inner
        low = dice.randint(-1, 2)
        high = dice.randint(max(-1, -spread - low), 2) if spread + low > -2 else 1
        if spread + low + high < 0:
            return None
        config.append((low, high, inner))
        shape.append(spread + low + high)
    bound = max(v.bound, values[j].bound)
    step = Step("pad", (i, j), {"padding_config": tuple(config)})
    return step, [Value(tuple(shape), v.dtype, bound)]


def concatenated(dice: Dice, values: list[Value]) -> Choice:
    i = _pick(dice, values, lambda v: len(v.shape) > 0)
    if i is None:
        return None
    x = values[i]
    axis = dice.randint(0, len(x.shape) - 1)

    def others(shape: tuple[int, ...]) -> tuple[int, ...]:
        return shape[:axis] + shape[axis + 1 :]

    def fits(v: Value) -> bool:
        same = v.dtype == x.dtype and len(v.shape) == len(x.shape)
        return same and others(v.shape) == others(x.shape)

    j = _pick(dice, values, fits)
    y = values[j]
    shape = (*x.shape[:axis], x.shape[axis] + y.shape[axis], *x.shape[axis + 1 :])
    step = Step("concatenate", (i, j), {"dimension": axis})
    return step, [Value(shape, x.dtype, max(x.bound, y.bound))]


def divided(dice: Dice, values: list[Value]) -> Choice:
    """split"""
    i = _pick(dice, values, lambda v: len(v.shape) > 0)
    if i is None:
        return None
    v = values[i]
    axis = dice.randint(0, len(v.shape) - 1)
    first = dice.randint(0, v.shape[axis])
    sizes = (first, v.shape[axis] - first)
    made = [Value((*v.shape[:axis], n, *v.shape[axis + 1 :]), *_rest(v)) for n in sizes]
    return Step("split", (i,), {"sizes": sizes, "axis": axis}), made


def contracted(dice: Dice, values: list[Value]) -> Choice:
    """dot_general over one axis of each, with the first axes as batch if they agree."""
    i = _pick(dice, values, lambda v: len(v.shape) > 0)
    if i is None:
        return None
    x = values[i]
    a = dice.randint(0, len(x.shape) - 1)
    j = _pick(dice, values, lambda v: v.dtype == x.dtype and x.shape[a] in v.shape)
    y = values[j]
    b = dice.choice([d for d, n in enumerate(y.shape) if n == x.shape[a]])
    batch: tuple[Any, Any] = ((), ())
    if a and b and x.shape[0] == y.shape[0] and dice.random() < 0.5:
        batch = ((0,), (0,))
    dimension_numbers = (((a,), (b,)), batch)
    left = [n for d, n in enumerate(x.shape) if d != a and d not in batch[0]]
    right = [n for d, n in enumerate(y.shape) if d != b and d not in batch[1]]
    shape = (*[x.shape[d] for d in batch[0]], *left, *right)
    if len(shape) > 4:
        return None
    params = {
        "dimension_numbers": dimension_numbers,
        "precision": None,
        "preferred_element_type": None,
    }
    bound = x.bound * y.bound * x.shape[a]
    return Step("dot_general", (i, j), params), [Value(shape, x.dtype, bound)]


def _axes(dice: Dice, v: Value) -> tuple[int, ...]:
    return tuple(d for d in range(len(v.shape)) if dice.random() < 0.5)


def _rest(v: Value) -> tuple[np.dtype, float]:
    return v.dtype, v.bound


REAL = (FLOAT,)
STEPS = [
    unary("neg", lambda b: b),
    unary("sin", lambda b: 1.0, REAL),
    unary("cos", lambda b: 1.0, REAL),
    unary("tanh", lambda b: 1.0, REAL),
    unary("logistic", lambda b: 1.0, REAL),
    unary("exp", np.exp),
    unary("sin", np.sinh),
    unary("square", lambda b: b * b),
    unary("integer_pow", lambda b: b**3, y=3),
    unary("copy", lambda b: b),
    binary("add", lambda a, b: a + b),
    binary("sub", lambda a, b: a + b),
    binary("mul", lambda a, b: a * b),
    binary("mul", lambda a, b: a * b),
    scaled,
    to_complex,
    part("real"),
    part("imag"),
    conjugate,
    selected,
    broadcast,
    reshaped,
    transposed,
    squeezed,
    reversed_,
    summed,
    cumulated,
    sliced,
    padded,
    concatenated,
    divided,
    contracted,
]
