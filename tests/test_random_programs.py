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
from programs import programs
from properties import (
    arrays,
    compare_recorded,
    compare_vjp_with_jvp,
    difference,
    generator,
    map_over,
    pull,
    push,
    random_like,
    same,
    values,
)

from pullback.core.array import HostArray
from pullback.core.primitive import all_primitives
from pullback.core.settings import enable_x64
from pullback.core.types import array_type
from pullback.ops import contraction, cumulative, elementwise, functions, slicing, structural
from pullback.ops.elementwise import add, real
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


FAMILIES = (structural, elementwise, functions, slicing, cumulative, contraction)
BY_NAME = {p.name: p for p in all_primitives() if type(p).__module__.startswith("pullback.")}


def call(name, operands, params):
    primitive = BY_NAME[name]
    operands = [HostArray(x) if isinstance(x, (np.ndarray, np.generic)) else x for x in operands]
    out = primitive(*operands, **params)
    return list(out) if primitive.multiple_results else [out]


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
@given(programs())
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
    mapped = functools.partial(mapped_in_front, f)
    compare_recorded("program", "vmap", mapped, stacked)


def mapped_in_front(f, *args):
    """vmap over the first axis of all arguments, where the outputs are mapped too."""
    outs, axes = batch.vmap(f, args[0].shape[0], args, [0] * len(args))
    return [y for y, axis in zip(outs, axes, strict=True) if axis is not None]


@tried(200)
@given(programs())
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
@given(programs())
def test_vmap_against_a_loop(program):
    """Each input mapped on some axis or not at all, 3 times; results and gradients as in a loop."""
    rng = np.random.default_rng(program.seed)
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


@tried(100)
@given(programs())
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


@pytest.mark.skipif(not peer.INSTALLED, reason="jax is not installed")
@tried(60)
@given(programs(steps=6))
def test_against_jax(program):
    """Values and gradients are those of JAX's primitives of the same names."""
    args = program.arguments(generator())
    want, want_gradients = peer.value_and_pullback(program, args)
    f = function_of(program)
    same("program", "against JAX", values(f(*arrays(args))), want, ROUNDING)
    ones = arrays([np.ones_like(y) for y in want])
    got = values(pull(f, arrays(args), ones))
    same("program", "vjp against JAX", got, want_gradients, ROUNDING)
