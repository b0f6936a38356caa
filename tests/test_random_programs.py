"""Random programs mean the same however they are run and transformed.

Each test draws a few hundred programs; `--fuzz` draws thousands. A failure prints the program.
"""

from __future__ import annotations

import functools

import hypothesis
import numpy as np
import peer
import pytest
from hypothesis import given
from programs import LOOPS, STAGED, programs
from properties import (
    arrays,
    compare_jitted,
    compare_recorded,
    compare_transformed,
    compare_vjp_with_jvp,
    difference,
    generator,
    map_over,
    mapped_in_front,
    pull,
    push,
    random_like,
    same,
    values,
)

import pullback
from pullback.control.branches import cond_p
from pullback.control.call import jit_p
from pullback.control.scan import scan_p
from pullback.control.while_loop import while_p
from pullback.core.array import HostArray
from pullback.core.primitive import all_primitives
from pullback.core.program import trace_program
from pullback.core.settings import enable_x64
from pullback.core.types import array_type
from pullback.ops import (
    contraction,
    cumulative,
    elementwise,
    functions,
    slicing,
    sorting,
    structural,
)
from pullback.ops.comparison import gt, lt
from pullback.ops.elementwise import add, convert_element_type, real
from pullback.ops.structural import reduce_sum, zeros
from pullback.transforms import batch

COUNT = hypothesis.settings.default.max_examples
ROUNDING = 1e-10
"""A program's steps each round at 1e-16 of numbers up to 8, and cancel: far less than this."""


def tried(count: int):
    """Draw `count` programs, or with --fuzz as many as its profile says."""
    slow = [hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.data_too_large]
    return hypothesis.settings(max_examples=max(count, COUNT), suppress_health_check=slow)


@pytest.fixture(autouse=True, scope="module")
def x64():
    with enable_x64():
        yield


FAMILIES = (structural, elementwise, functions, slicing, cumulative, contraction, sorting)
BY_NAME = {p.name: p for p in all_primitives() if type(p).__module__.startswith("pullback.")}


# ---- Pullback runs a random program


def call(name, operands, params):
    """One step, by the primitive of its name; some have programs to be traced first."""
    operands = [HostArray(x) if isinstance(x, (np.ndarray, np.generic)) else x for x in operands]
    if name in CONTROL:
        return CONTROL[name](*operands, **params)
    primitive = BY_NAME[name]
    out = primitive(*operands, **params)
    return list(out) if primitive.multiple_results else [out]


def call_jit(*operands, body):
    return jit_p(*operands, jaxpr=traced(body), name="body")


def call_cond(p, *operands, bodies):
    positive = gt(reduce_sum(p, axes=tuple(range(len(p.shape)))), HostArray(np.float64(0)))
    index = convert_element_type(positive, new_dtype=np.dtype("int32"), weak_type=False)
    return cond_p(index, *operands, branches=tuple(traced(b) for b in bodies))


def call_scan(carry, constant, xs, *, body, reverse):
    return scan_p(
        constant,
        carry,
        xs,
        jaxpr=traced(body, (1, 0, 2)),
        length=xs.shape[0],
        num_consts=1,
        num_carry=1,
        reverse=reverse,
        unroll=1,
    )


def call_while(carry, constant, *, body, times):
    one, limit = HostArray(np.int32(1)), HostArray(np.int32(times))
    counter, value = array_type((), np.dtype("int32")), body.avals[0]
    condition = trace_program(lambda i, c: [lt(i, limit)], [counter, value])
    step = trace_program(
        lambda w, i, c: [add(i, one), *body.run(call, [c, w])], [body.avals[1], counter, value]
    )
    start = HostArray(np.int32(0))
    return while_p(
        constant,
        start,
        carry,
        cond_jaxpr=condition,
        body_jaxpr=step,
        cond_nconsts=0,
        body_nconsts=1,
    )[1:]


CONTROL = {"jit": call_jit, "cond": call_cond, "scan": call_scan, "while": call_while}


@functools.lru_cache
def traced(body, order=None):
    """The program of `body`; its inputs in the given order of those of `body`."""
    order = order or tuple(range(len(body.inputs)))

    def function(*args):
        return body.run(call, [args[order.index(i)] for i in range(len(args))])

    return trace_program(function, [body.avals[i] for i in order])


def function_of(program):
    return lambda *args: program.run(call, args)


def total_of(program):
    """The sum of the real parts of all outputs."""

    def total(*args):
        result = zeros(array_type((), np.dtype("float64")))
        for y in program.run(call, args):
            y = real(y) if y.dtype.kind == "c" else y
            result = add(result, reduce_sum(y, axes=tuple(range(len(y.shape)))))
        return [result]

    return total


@tried(200)
@given(programs(also=3 * STAGED))
def test_recorded_and_run(program):
    """Eagerly, recorded and run; so also the jvp, the vjp and the vmap. All programs are typed."""
    f, rng = function_of(program), generator()
    args = arrays(program.arguments(rng))
    compare_recorded("program", "the program", f, args)
    ts = arrays(program.arguments(rng))
    cts = arrays(random_like(values(f(*args)), rng))
    compare_recorded("program", "jvp", lambda *xs: push(f, xs, ts), args)
    compare_recorded("program", "vjp", lambda *xs: pull(f, xs, cts), args)
    stacked = arrays([np.stack([x._value, 2 * x._value]) for x in args])
    compare_recorded("program", "vmap", functools.partial(mapped_in_front, f), stacked)


@tried(150)
@given(programs(also=3 * STAGED))
def test_jit(program):
    """jit of the program and of its derivatives and vmap, and these of jit of the program."""
    f, rng = function_of(program), generator()
    args = arrays(program.arguments(rng))
    ts = arrays(program.arguments(rng))
    cts = arrays(random_like(values(f(*args)), rng))
    compare_jitted("program", "the program", f, args)
    compare_transformed("program", "jvp", lambda f: lambda *xs: push(f, xs, ts), f, args)
    compare_transformed("program", "vjp", lambda f: lambda *xs: pull(f, xs, cts), f, args)
    stacked = arrays([np.stack([x._value, 2 * x._value]) for x in args])
    compare_transformed(
        "program", "vmap", lambda f: functools.partial(mapped_in_front, f), f, stacked
    )


@tried(200)
@given(programs(also=3 * (STAGED + LOOPS)))
def test_derivatives(program):
    """jvp against differences, vjp against jvp, and both again for the derivative of the vjp."""
    f, rng = function_of(program), generator()
    args, ts, us = (program.arguments(rng) for _ in range(3))
    compare_with_difference("jvp", f, args, ts)
    compare_vjp_with_jvp("program", f, args, ts, rng)
    cts = arrays(random_like(values(f(*arrays(args))), rng))

    def once(*xs):
        return pull(f, xs, cts)

    compare_with_difference("jvp of vjp", once, args, us)
    compare_vjp_with_jvp("vjp of vjp", once, args, us, rng)


def compare_with_difference(what, f, args, ts):
    """Differences of step H and of H/2: their own disagreement says how far they can be trusted."""
    got = values(push(f, arrays(args), arrays(ts)))
    wide = difference(f, args, ts)
    half = [2 * d for d in difference(f, args, [t / 2 for t in ts])]
    for g, w, h in zip(got, wide, half, strict=True):
        assert g.shape == w.shape and g.dtype == w.dtype
        spread = np.abs(w - h).max(initial=0.0)
        size = max(1.0, np.abs(w).max(initial=0.0))
        assert np.all(np.abs(g - h) <= 2 * spread + 1e-9 * size), f"{what}: {g} instead of {h}"


@tried(200)
@given(programs(also=3 * (STAGED + LOOPS)))
def test_vmap_against_a_loop(program):
    """Each input mapped on some axis or not at all, 3 times; results and gradients as in a loop."""
    rng = np.random.default_rng(len(program.values))
    drawn = [program.arguments(rng) for _ in range(3)]
    axes = [int(rng.integers(-1, len(v.shape) + 1)) for v in program.inputs]
    axes = [None if a < 0 else a for a in axes]
    if all(a is None for a in axes):
        axes[0] = 0
    stacked = [
        drawn[0][i] if a is None else np.stack([d[i] for d in drawn], a) for i, a in enumerate(axes)
    ]
    each = [[drawn[0][i] if a is None else d[i] for i, a in enumerate(axes)] for d in drawn]
    total = total_of(program)

    def gradient(*xs):
        return pull(total, xs, arrays([np.float64(1)]))

    for what, f in ("program", function_of(program)), ("gradient", gradient):
        looped = [np.stack(ys) for ys in zip(*[values(f(*arrays(e))) for e in each], strict=True)]
        got = map_over(f, 3, arrays(stacked), axes)
        same("vmap", f"{what}, axes {axes}", got, looped, ROUNDING)


@tried(150)
@given(programs(also=3 * STAGED))
def test_gradient_of_vmap_is_vmap_of_gradient(program):
    total, rng = total_of(program), generator()
    stacked = arrays([np.stack([x, -x, 0.5 * x]) for x in program.arguments(rng)])

    def mapped(*xs):
        outs, axes = batch.vmap(total, 3, xs, [0] * len(xs))
        return [reduce_sum(y, axes=(0,)) for y, a in zip(outs, axes, strict=True) if a is not None]

    def gradient(*xs):
        return pull(total, xs, arrays([np.float64(1)]))

    if not mapped(*stacked):
        return  # nothing depends on the inputs
    of_vmap = values(pull(mapped, stacked, arrays([np.float64(1)])))
    of_each = map_over(gradient, 3, stacked, [0] * len(stacked))
    same("program", "grad of vmap against vmap of grad", of_vmap, of_each, ROUNDING)


@tried(60)
@given(programs(steps=8, also=3 * STAGED))
def test_public_functions(program):
    """grad, jit, vmap, jvp, vjp, linearize, jacfwd and jacrev, each in two ways."""
    total, rng = total_of(program), generator()
    args, ts = arrays(program.arguments(rng)), arrays(program.arguments(rng))
    one = arrays([np.float64(1)])
    which = tuple(range(len(args)))

    def loss(*xs):
        return total(*xs)[0]

    gradient = values(pull(total, args, one))
    for what, f in (
        ("grad", pullback.grad(loss, which)),
        ("jit of grad", pullback.jit(pullback.grad(loss, which))),
        ("grad of jit", pullback.grad(pullback.jit(loss), which)),
        ("vjp", lambda *xs: pullback.vjp(loss, *xs)[1](one[0])),
    ):
        same("program", what, values(f(*args)), gradient, ROUNDING)
    tangent = values(push(total, args, ts))
    for what, f in (
        ("jvp", lambda *xs: pullback.jvp(loss, xs, tuple(ts))[1]),
        ("linearize", lambda *xs: pullback.linearize(loss, *xs)[1](*ts)),
    ):
        same("program", what, values([f(*args)]), tangent, ROUNDING)
    stacked = arrays([np.stack([x._value] * 2) for x in args])
    mapped = values(pullback.vmap(pullback.grad(loss, which))(*stacked))
    same("program", "vmap of grad", mapped, [np.stack([g] * 2) for g in gradient], ROUNDING)
    if program.inputs[0].dtype == "float64":
        forward_twice = pullback.jacfwd(pullback.grad(loss))(*args)
        reverse_twice = pullback.jacrev(pullback.grad(loss))(*args)
        found, want = values([forward_twice]), values([reverse_twice])
        same("program", "jacfwd against jacrev of grad", found, want, ROUNDING)


@pytest.mark.skipif(not peer.INSTALLED, reason="jax is not installed")
@tried(60)
@given(programs(steps=6, also=3 * STAGED))
def test_against_jax(program):
    """Values and gradients are those of JAX's primitives of the same names."""
    args = program.arguments(generator())
    want, want_gradients = peer.value_and_pullback(program, args)
    f = function_of(program)
    same("program", "against JAX", values(f(*arrays(args))), want, ROUNDING)
    ones = arrays([np.ones_like(y) for y in want])
    got = values(pull(f, arrays(args), ones))
    same("program", "vjp against JAX", got, want_gradients, ROUNDING)
