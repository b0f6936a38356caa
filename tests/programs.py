"""Random programs: lists of steps, drawn by hypothesis, that any implementation can run.

A program is data: `v3 = mul(v0, v2)`, one primitive a line. So it prints, it shrinks, and both
Pullback and JAX can run it. Every value has a bound on its size, kept small by leaving out the
steps that would exceed it; so derivatives of all orders stay moderate and can be compared.
"""

from __future__ import annotations

import random
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
    """A further operand that is known: a mask, or a number. It stands at place `at`."""
    at: int = 0
    count: int = 1
    """How many results it has."""


class RandomProgram:
    """Inputs, steps and which values come out."""

    def __init__(self, inputs: list[Value]) -> None:
        self.inputs = inputs
        self.values = list(inputs)
        self.steps: list[Step] = []
        self.outputs: tuple[int, ...] = ()

    def run(self, call: Callable[..., list[Any]], args: Any) -> list[Any]:
        """The outputs, each step done by `call(name, operands, params)`."""
        found = list(args)
        for step in self.steps:
            operands = [found[i] for i in step.operands]
            if step.constant is not None:
                operands.insert(step.at, step.constant)
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
                given.insert(step.at, repr(step.constant).replace("\n", ""))
            given += [f"{k}={v!r}" for k, v in step.params.items()]
            results = ", ".join(f"v{place + i}" for i in range(step.count))
            line = f"{results} = {step.name}({', '.join(given)})"
            lines.append("    " + line.replace("\n", "\n    "))
            place += step.count
        lines.append(f"    return {', '.join(f'v{i}' for i in self.outputs)}")
        return "\n".join(lines)


def random_array(rng: np.random.Generator, v: Value) -> np.ndarray:
    """Numbers of the type of `v`, within its bound."""
    x = rng.uniform(-1, 1, v.shape)
    if v.dtype == COMPLEX:
        x = (x + 1j * rng.uniform(-1, 1, v.shape)) / 2**0.5
    return np.asarray(x * v.bound)


# ---- drawing a program

Dice = random.Random
Choice = tuple[Step, list[Value]] | None
SHAPES = [(3,), (2, 3), (), (2, 1, 3), (1,), (3, 2), (2, 2), (1, 3), (3, 2, 2), ()] * 2 + [
    (0,),
    (2, 0),
]
DTYPES = [FLOAT, FLOAT, FLOAT, COMPLEX]


@st.composite
def programs(draw: Any, steps: int = 12, also: Any = ()) -> RandomProgram:
    """Random programs of up to `steps` steps on 1 to 3 inputs. What no step uses is an output.

    hypothesis draws a seed and a length, and finds the shortest beginning that fails. (Were each
    decision drawn by hypothesis, its liking for first choices would leave little but `neg`.)
    `also` are kinds of steps besides STEPS.
    """
    dice = random.Random(draw(st.integers(0, 2**32 - 1)))
    count = dice.randint(1, 3)
    inputs = [Value(dice.choice(SHAPES), dice.choice(DTYPES), 1.5) for _ in range(count)]
    return _grown(dice, inputs, draw(st.integers(1, steps)), [*STEPS, *also])


def _grown(dice: Dice, inputs: list[Value], length: int, kinds: list[Any]) -> RandomProgram:
    """A program of `length` steps."""
    program = RandomProgram(inputs)
    while len(program.steps) < length:
        choice = dice.choice(kinds)(dice, program.values)
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


def binary(name: str, bound: Callable[[float, float], float], dtypes: Any = (FLOAT, COMPLEX)):
    """A step on two arrays of one shape, or one of them a scalar."""

    def choose(dice: Dice, values: list[Value]) -> Choice:
        i = _pick(dice, values, lambda v: v.dtype in dtypes)
        if i is None:
            return None
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
    shape = dice.choice([tuple(dice.sample(v.shape, len(v.shape))), (v.size,), (1, v.size)])
    return Step("reshape", (i,), {"new_sizes": shape}), [Value(shape, *_rest(v))]


def transposed(dice: Dice, values: list[Value]) -> Choice:
    i = _pick(dice, values)
    order = tuple(dice.sample(range(len(values[i].shape)), len(values[i].shape)))
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
    starts = tuple(dice.randint(0, max(0, n - 1)) for n in v.shape)
    fewest = 0 if dice.random() < 0.1 else 1
    limits = tuple(
        dice.randint(min(a + fewest, n), n) for a, n in zip(starts, v.shape, strict=True)
    )
    strides = tuple(dice.randint(1, 2) for _ in v.shape) if dice.random() < 0.5 else None
    params = {"start_indices": starts, "limit_indices": limits, "strides": strides}
    each = zip(starts, limits, strides or (1,) * len(starts), strict=True)
    shape = tuple(len(range(a, b, s)) for a, b, s in each)
    return Step("slice", (i,), params), [Value(shape, *_rest(v))]


def padded(dice: Dice, values: list[Value]) -> Choice:
    i = _pick(dice, values)
    v = values[i]
    j = _pick(dice, values, lambda w: w.dtype == v.dtype and w.shape == ())
    config, shape = [], []
    for n in v.shape:
        inner = dice.randint(0, 1)
        spread = n + max(0, n - 1) * inner
        low = dice.randint(max(-1, -spread), 2)
        high = dice.randint(max(-1, -spread - low), 2)
        config.append((low, high, inner))
        shape.append(spread + low + high)
    params = {"padding_config": tuple(config)}
    if j is None or dice.random() < 0.3:
        step = Step("pad", (i,), params, constant=v.dtype.type(0.5), at=1)
        return step, [Value(tuple(shape), v.dtype, max(v.bound, 0.5))]
    bound = max(v.bound, values[j].bound)
    return Step("pad", (i, j), params), [Value(tuple(shape), v.dtype, bound)]


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
    return Step("split", (i,), {"sizes": sizes, "axis": axis}, count=2), made


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


def largest(dice: Dice, values: list[Value]) -> Choice:
    """reduce_max"""
    i = _pick(dice, values, lambda v: v.dtype == FLOAT and v.size > 0)
    if i is None:
        return None
    v, axes = values[i], _axes(dice, values[i])
    shape = tuple(n for d, n in enumerate(v.shape) if d not in axes)
    return Step("reduce_max", (i,), {"axes": axes}), [Value(shape, v.dtype, v.bound)]


def sorted_(dice: Dice, values: list[Value]) -> Choice:
    i = _pick(dice, values, lambda v: v.dtype == FLOAT and len(v.shape) > 0)
    if i is None:
        return None
    axis = dice.randint(0, len(values[i].shape) - 1)
    params = {"dimension": axis, "is_stable": True, "num_keys": 1}
    return Step("sort", (i,), params), [values[i]]


# ---- steps that hold programs


def called(dice: Dice, values: list[Value]) -> Choice:
    """A call of a program: `jit`."""
    operands = tuple(_pick(dice, values) for _ in range(dice.randint(1, 2)))
    body = _grown(dice, [values[i] for i in operands], dice.randint(1, 4), STEPS)
    made = [body.values[i] for i in body.outputs]
    return Step("jit", operands, {"body": body}, count=len(made)), made


def chosen(dice: Dice, values: list[Value]) -> Choice:
    """One of two programs on (x, y), by the sign of the sum of p: `cond`."""
    p, x = (_pick(dice, values, lambda v: v.dtype == FLOAT) for _ in range(2))
    if p is None:
        return None
    y = _pick(dice, values)
    bodies = tuple(_to_type_of_first(dice, [values[x], values[y]], 3) for _ in range(2))
    result = Value(values[x].shape, FLOAT, 1.0)
    return Step("cond", (p, x, y), {"bodies": bodies}), [result]


def scanned(dice: Dice, values: list[Value]) -> Choice:
    """A program on (carry, constant, element), for each element along an array's first axis."""
    carry = _pick(dice, values, lambda v: v.dtype == FLOAT)
    xs = _pick(dice, values, lambda v: len(v.shape) > 0)
    if carry is None or xs is None:
        return None
    constant = _pick(dice, values)
    element = Value(values[xs].shape[1:], *_rest(values[xs]))
    inputs = [Value(values[carry].shape, FLOAT, max(1.0, values[carry].bound))]
    body = _to_type_of_first(dice, [*inputs, values[constant], element], 4)
    y = len(inputs) + 2 + dice.randint(0, len(body.steps) - 1)  # also give a result of each step
    body.outputs = (*body.outputs, min(y, len(body.values) - 1))
    made = body.values[body.outputs[1]]
    stacked = Value((values[xs].shape[0], *made.shape), *_rest(made))
    params = {"body": body, "reverse": dice.random() < 0.5}
    result = Value(values[carry].shape, FLOAT, max(1.0, values[carry].bound))
    return Step("scan", (carry, constant, xs), params, count=2), [result, stacked]


def repeated(dice: Dice, values: list[Value]) -> Choice:
    """A program on (carry, constant), 0 to 3 times: `while`."""
    carry = _pick(dice, values, lambda v: v.dtype == FLOAT)
    if carry is None:
        return None
    constant = _pick(dice, values)
    bound = max(1.0, values[carry].bound)
    start = Value(values[carry].shape, FLOAT, bound)
    body = _to_type_of_first(dice, [start, values[constant]], 4)
    params = {"body": body, "times": dice.randint(0, 3)}
    return Step("while", (carry, constant), params), [start]


def _to_type_of_first(dice: Dice, inputs: list[Value], length: int) -> RandomProgram:
    """A program with one output, of the type of its first input: sin(first + means of all)."""
    program = _grown(dice, inputs, length, STEPS)

    def add_step(name: str, operands: tuple[int, ...], v: Value, **rest: Any) -> int:
        constant = rest.pop("constant", None)
        program.steps.append(Step(name, operands, rest, constant))
        program.values.append(v)
        return len(program.values) - 1

    last = 0
    for i in program.outputs:
        v = program.values[i]
        if v.dtype == COMPLEX:
            i = add_step("real", (i,), Value(v.shape, FLOAT, v.bound))
        axes = tuple(range(len(v.shape)))
        i = add_step("reduce_sum", (i,), Value((), FLOAT, v.bound * v.size), axes=axes)
        # Means, not sums: or sines of large numbers would make the derivatives chaotic.
        factor = np.float64(1 / max(1, v.size) / len(program.outputs))
        i = add_step("mul", (i,), Value((), FLOAT, v.bound), constant=factor)
        last = add_step("add", (last, i), Value(inputs[0].shape, FLOAT, inputs[0].bound + v.bound))
    program.outputs = (add_step("sin", (last,), Value(inputs[0].shape, FLOAT, 1.0)),)
    return program


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
    binary("max", max, (FLOAT,)),
    largest,
    sorted_,
]
STAGED = [called, chosen, scanned]
"""Steps that hold programs and can be recorded and differentiated in every way."""
LOOPS = [repeated]
"""Reverse mode needs to know the number of rounds, so these cannot be recorded first."""
