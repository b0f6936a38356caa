"""Makers of equations that reduce, contract, look up, sort, and that run other programs."""

from __future__ import annotations

from math import prod

import numpy as np
from fuzz_programs import BOOL, ELEMENTWISE, MOVING, Growing, axes, kind

from pullback.core.array import HostArray
from pullback.core.program import ClosedProgram, Literal, Program, Var
from pullback.core.types import array_type
from pullback.ops.windows import (
    GatherDimensionNumbers,
    GatherScatterMode,
    ScatterDimensionNumbers,
)

INT32 = np.dtype("i4")
MODES = list(GatherScatterMode)[:4]


# ---- reductions


def reduced(g: Growing) -> object:
    """Over some axes."""
    name = g.dice.choice(
        ["reduce_sum"] * 4
        + ["reduce_max", "reduce_min"] * 2
        + ["reduce_prod", "reduce_and", "reduce_or", "reduce_xor"]
    )
    kinds = "biu" if name in ("reduce_and", "reduce_or", "reduce_xor") else "iufc"
    x = g.pick(kinds)
    return g.add(name, x, axes=axes(g, x))


def largest(g: Growing) -> object:
    """The place of the largest or smallest."""
    x = g.pick("biuf", rank=1)
    index = np.dtype(g.dice.choice(("i4", "i4", "i8", "u1")))
    name = g.dice.choice(("argmax", "argmin"))
    return g.add(name, x, axes=(g.dice.randrange(x.aval.ndim),), index_dtype=index)


def cumulated(g: Growing) -> object:
    """Along an axis, either way."""
    name = g.dice.choice(("cumsum", "cumsum", "cumprod", "cummax", "cummin", "cumlogsumexp"))
    x = g.pick("f" if name == "cumlogsumexp" else "iufc", rank=1)
    d = g.dice.randrange(x.aval.ndim)
    return g.add(name, x, axis=d, reverse=g.dice.random() < 0.4)


def sorted_(g: Growing) -> object:
    """Along an axis, also several arrays by the first ones; or the k largest."""
    x = g.pick("biuf", rank=1)
    d = g.dice.randrange(x.aval.ndim)
    if g.dice.random() < 0.2:
        return g.add("top_k", x, k=g.dice.randint(0, x.aval.shape[d]), axis=d)
    others = [g.new(x.aval.shape, g.dtype()) for _ in range(g.dice.choice((0, 0, 1, 2)))]
    others = [o for o in others if kind(o.aval.dtype) != "c"]
    keys = g.dice.randint(1, len(others) + 1)
    stable = bool(others) or g.dice.random() < 0.5  # the order of equal keys is open otherwise
    return g.add("sort", x, *others, dimension=d, is_stable=stable, num_keys=keys)


def contracted(g: Growing) -> object:
    """dot_general, with up to 2 batch axes and up to 2 that are summed over."""
    x = g.pick("iufc", rank=1)
    rank = x.aval.ndim
    order = g.dice.sample(range(rank), rank)
    batch = order[: g.dice.choice((0, 0, 1, 1, 2))]
    summed = order[len(batch) : len(batch) + g.dice.choice((0, 1, 1, 1, 2))]
    free = [g.dice.choice((1, 2, 3, 5, 8, 17)) for _ in range(g.dice.choice((0, 1, 1, 2)))]
    own: list[tuple[str, int]] = [("f", n) for n in free]
    own += [("b", d) for d in batch] + [("s", d) for d in summed]
    g.dice.shuffle(own)
    shape = tuple(n if what == "f" else x.aval.shape[n] for what, n in own)
    if prod(shape) > 3000 or prod(shape) * x.aval.size > 400_000:
        return None
    y = g.new(shape, x.aval.dtype)
    where = {(what, n): i for i, (what, n) in enumerate(own) if what != "f"}
    numbers = (
        (tuple(summed), tuple(where["s", d] for d in summed)),
        (tuple(batch), tuple(where["b", d] for d in batch)),
    )
    return g.add(
        "dot_general", x, y, dimension_numbers=numbers, precision=None, preferred_element_type=None
    )


def multiplied(g: Growing) -> object:
    """A plain product of matrices, as large as kernels have several tiles."""
    m, k, n = (g.dice.choice((1, 2, 3, 7, 8, 16, 17, 31, 33, 48, 65)) for _ in range(3))
    if m * k * n > 60_000:
        return None
    dtype = g.dtype("fc")
    x, y = g.new((m, k), dtype), g.new((k, n), dtype)
    left, right = g.dice.randrange(2), g.dice.randrange(2)
    if left == 0:
        x = g.add("transpose", x, permutation=(1, 0))[0]  # type: ignore[index]
    if right == 1:
        y = g.add("transpose", y, permutation=(1, 0))[0]  # type: ignore[index]
    numbers = (((left,), (right,)), ((), ()))
    return g.add(
        "dot_general", x, y, dimension_numbers=numbers, precision=None, preferred_element_type=None
    )


# ---- looking up


def _indices(g: Growing, shape: tuple[int, ...], most: int) -> Var:
    dtype = np.dtype(g.dice.choice(("i4", "i4", "i8", "u1")))
    low = 0 if dtype.kind == "u" else -3
    value = g.rng.integers(low, most + 3, shape).astype(dtype)
    if g.dice.random() < 0.1:
        value = np.asarray(np.where(g.rng.random(shape) < 0.3, np.iinfo(dtype).max, value), dtype)
    return g.new(shape, dtype, np.asarray(value, dtype))


def gathered(g: Growing) -> object:
    """Windows at indices; scatters write there."""
    x = g.pick(rank=1)
    rank, shape = x.aval.ndim, x.aval.shape
    picked = g.dice.sample(range(rank), g.dice.randint(1, rank))
    sizes = [
        n if d not in picked else min(n, g.dice.choice((1, 1, 2))) for d, n in enumerate(shape)
    ]
    collapsed = tuple(d for d in sorted(picked) if sizes[d] == 1 and g.dice.random() < 0.8)
    lead = tuple(g.dice.choice((0, 1, 2, 4, 7)) for _ in range(g.dice.choice((0, 1, 1, 2))))
    window = [n for d, n in enumerate(sizes) if d not in collapsed]
    out_rank = len(lead) + len(window)
    offset = tuple(sorted(g.dice.sample(range(out_rank), len(window))))
    at = _indices(g, (*lead, len(picked)), max(shape, default=1))
    mode = g.dice.choice(MODES)
    if g.dice.random() < 0.5:
        numbers = GatherDimensionNumbers(offset, collapsed, tuple(picked))
        return g.add(
            "gather",
            x,
            at,
            dimension_numbers=numbers,
            slice_sizes=tuple(sizes),
            mode=mode,
            fill_value=g.dice.choice((None, 0)),
            unique_indices=False,
            indices_are_sorted=False,
        )
    rest, batch = iter(window), iter(lead)
    update = tuple(next(rest) if d in offset else next(batch) for d in range(out_rank))
    if prod(update) > 2000:
        return None
    names = ["scatter-add", "scatter-mul", "scatter-min", "scatter-max", "scatter"]
    return g.add(
        g.dice.choice(names),
        x,
        at,
        g.new(update, x.aval.dtype),
        dimension_numbers=ScatterDimensionNumbers(offset, collapsed, tuple(picked)),
        mode=mode,
        unique_indices=False,
        indices_are_sorted=False,
    )


def dynamic(g: Growing) -> object:
    """A window at a place that the program computes."""
    x = g.pick(rank=1)
    starts: list[Var | Literal] = []
    for n in x.aval.shape:
        value = np.asarray(g.dice.randint(-2, n + 2), np.int32)
        starts.append(g.new((), INT32, value))
    sizes = tuple(g.dice.randint(0, n) for n in x.aval.shape)
    if g.dice.random() < 0.5:
        return g.add("dynamic_slice", x, *starts, slice_sizes=sizes)
    return g.add("dynamic_update_slice", x, g.new(sizes, x.aval.dtype), *starts)


# ---- programs in programs


def body(g: Growing, types: list[tuple[tuple[int, ...], np.dtype]], outs: int) -> ClosedProgram:
    """A small program on inputs of these types; its first outputs have the first `outs` types."""
    inner = Growing(g.dice.randrange(1 << 30))
    inner.constant_inputs = True
    inner.dtypes = list({t[1] for t in types})
    variables = [Var(array_type(shape, dtype)) for shape, dtype in types]
    inner.values = list(variables)
    for _ in range(g.dice.randint(1, 5)):
        g_maker = inner.dice.choice(ELEMENTWISE * 2 + MOVING + [reduced, cumulated, dynamic])
        g_maker(inner)
    results = [_fitted(inner, shape, dtype) for shape, dtype in types[:outs]]
    inputs = [v for v, _ in inner.inputs]
    program = Program([v for v, _ in inner.consts] + inputs, variables, results, inner.equations)
    consts = [c for _, c in inner.consts] + [HostArray(x) for _, x in inner.inputs]
    return ClosedProgram(program, consts)


def _fitted(inner: Growing, shape: tuple[int, ...], dtype: np.dtype) -> Var:
    """A value of this type: the last one that has it, or made of the last one."""
    fits = [v for v in inner.values if v.aval.shape == shape and v.aval.dtype == dtype]
    made = {v for eq in inner.equations for v in eq.outvars}
    if new := [v for v in fits if v in made]:
        return new[-1]
    x = inner.values[-1]
    if x.aval.dtype != dtype:
        (x,) = inner.add("convert_element_type", x, new_dtype=dtype, weak_type=False) or [x]
    if x.aval.shape == shape:
        return x
    if kind(dtype) in "iufc":
        (x,) = inner.add("reduce_sum", x, axes=tuple(range(x.aval.ndim)))  # type: ignore[misc]
    else:
        (x,) = inner.add("reduce_or", x, axes=tuple(range(x.aval.ndim)))  # type: ignore[misc]
    (x,) = inner.add("broadcast_in_dim", x, shape=shape, broadcast_dimensions=())  # type: ignore[misc]
    return x


def _carries(g: Growing, most: int = 300) -> list[Var]:
    found = []
    for _ in range(g.dice.choice((1, 1, 2, 3))):
        x = g.pick()
        if x.aval.size > most:
            x = g.new(g.shape(30), g.dtype())
        found.append(x)
    return found


def _types(values: list[Var]) -> list[tuple[tuple[int, ...], np.dtype]]:
    return [(v.aval.shape, v.aval.dtype) for v in values]


def branched(g: Growing) -> object:
    """cond: one of 1 to 3 programs."""
    values = _carries(g)
    count = g.dice.choice((1, 2, 2, 3))
    index = g.new((), INT32, np.asarray(g.dice.randint(-1, count), np.int32))
    if count == 2 and g.dice.random() < 0.4:
        flag = g.new((), BOOL)
        (index,) = g.add("convert_element_type", flag, new_dtype=INT32, weak_type=False) or [index]
    branches = tuple(body(g, _types(values), len(values)) for _ in range(count))
    return g.add("cond", index, *values, branches=branches)


def scanned(g: Growing) -> object:
    """scan with constants, carries and rows."""
    consts, carry = _carries(g)[: g.dice.randrange(2)], _carries(g)
    length = g.dice.choice((0, 1, 2, 3, 5, 9))
    rows = [g.new((length, *g.shape(20)), g.dtype()) for _ in range(g.dice.randrange(3))]
    inner = _types([*carry, *consts]) + [(r.aval.shape[1:], r.aval.dtype) for r in rows]
    program = body(g, inner, len(carry))
    # The body takes constants first.
    p = program.program
    order = p.invars[len(carry) : len(carry) + len(consts)] + p.invars[: len(carry)]
    order += p.invars[len(carry) + len(consts) :]
    made = [v for eq in p.eqns for v in eq.outvars if v.aval.size < 100]
    ys = g.dice.sample(made, min(len(made), g.dice.randrange(3)))
    closed = ClosedProgram(Program(p.constvars, order, [*p.outvars, *ys], p.eqns), program.consts)
    return g.add(
        "scan",
        *consts,
        *carry,
        *rows,
        jaxpr=closed,
        length=length,
        num_consts=len(consts),
        num_carry=len(carry),
        reverse=g.dice.random() < 0.4,
        unroll=1,
    )


def repeated(g: Growing) -> object:
    """while: 0 to 6 rounds, counted."""
    carry, consts = _carries(g), _carries(g)[: g.dice.randrange(2)]
    inner = body(g, _types([*carry, *consts]), len(carry))
    counter, limit = (g.new((), INT32, np.asarray(v, np.int32)) for v in (0, g.dice.randint(0, 6)))
    p = inner.program
    step = Growing(0)
    step.values, step.equations = list(p.invars), list(p.eqns)
    i = Var(array_type((), INT32))
    one = Literal(np.int32(1))
    (after,) = step.add("add", i, one)  # type: ignore[misc]
    order = [*p.invars[len(carry) :], i, *p.invars[: len(carry)]]
    body_program = ClosedProgram(
        Program(p.constvars, order, [after, *p.outvars], step.equations), inner.consts
    )
    test = Growing(0)
    bound, i = Var(array_type((), INT32)), Var(array_type((), INT32))
    (more,) = test.add("lt", i, bound)  # type: ignore[misc]
    held = [Var(array_type(*t)) for t in _types(carry)]
    condition = ClosedProgram(Program([], [bound, i, *held], [more], test.equations), [])
    return g.add(
        "while",
        limit,
        *consts,
        counter,
        *carry,
        cond_jaxpr=condition,
        body_jaxpr=body_program,
        cond_nconsts=1,
        body_nconsts=len(consts),
    )


REDUCING = [reduced] * 6 + [largest, cumulated, cumulated, contracted, contracted, multiplied]
LOOKING = [gathered] * 4 + [dynamic] * 3 + [sorted_] * 2
RUNNING = [branched, scanned, scanned, repeated]
MIXES = [
    ELEMENTWISE,
    ELEMENTWISE * 2 + MOVING * 2,
    ELEMENTWISE * 2 + MOVING * 2 + REDUCING * 3,
    ELEMENTWISE * 2 + MOVING * 2 + REDUCING * 3 + LOOKING * 3,
    ELEMENTWISE + MOVING + REDUCING + LOOKING + RUNNING * 5,
]


def random_program(seed: int) -> tuple[ClosedProgram, list[np.ndarray]]:
    """The program of this seed, and its arguments."""
    g = Growing(seed)
    mix = g.dice.choice(MIXES)
    wanted = g.dice.choice((1, 2, 3, 4, 6, 8, 12))
    for _ in range(4 * wanted):
        g.dice.choice(mix)(g)
        if len(g.equations) >= wanted:
            break
    return g.closed()
