"""Memory that is used again, arrays changed where they are, loops and branches around them."""

from __future__ import annotations

import ctypes
import gc
import mmap
from pathlib import Path

import fuzz_control
import numpy as np
import pytest
from fuzz import run_kernel

import pullback
import pullback.numpy as jnp
from pullback import lax
from pullback.engines import numpy as numpy_engine
from pullback.engines.native import machine
from pullback.engines.native.program import compile_program, write
from pullback.transforms.simplify import simplify

rng = np.random.default_rng(0)
SQUARE = rng.standard_normal((7, 7)).astype("f")
LINE = rng.standard_normal(50).astype("f")
MATRIX = rng.standard_normal((40, 40)).astype("f")
FEW = np.arange(3, dtype=np.int32)


def agree(f, *args, tolerance=1e-5):
    """The native engine's results are NumPy's."""
    closed = pullback.make_jaxpr(f)(*args)
    leaves = [np.asarray(x) for x in pullback.tree_util.tree_leaves(args)]
    got = run_kernel(compile_program(closed), leaves)
    for g, want in zip(got, numpy_engine.compiled(closed)(*leaves), strict=True):
        np.testing.assert_allclose(g, want, rtol=tolerance, atol=tolerance)


# ---- carried arrays that are changed in place, and what else is in their memory


def in_scan(other):
    """A scan whose carry is updated; `other(x, i)` is what else each round gives."""

    def body(x, i):
        before = other(x, i)
        return x.at[i].set(9.0), before

    return lambda x: lax.scan(body, x, FEW)


ALIASES = {
    "transpose": (lambda x, i: x.T, SQUARE),
    "barrier": (lambda x, i: lax.optimization_barrier(x), LINE),
    "stop_gradient": (lambda x, i: lax.stop_gradient(x), LINE),
    "while of no round": (
        lambda x, i: lax.while_loop(lambda c: c[0] > 1e6, lambda c: c + 1, x),
        LINE,
    ),
    "loops of no round": (
        lambda x, i: lax.fori_loop(
            0, i, lambda j, c: c + 1, lax.while_loop(lambda c: c[0] > 1e6, lambda c: c + 1, x)
        ),
        LINE,
    ),
    "cond of one branch": (lambda x, i: lax.switch(i, [lambda x: x], x), LINE),
    "branch": (lambda x, i: lax.cond(i > 1, lambda x: x, lambda x: x[::-1], x), LINE),
    "part": (lambda x, i: x[2:45], LINE),
    "small part": (lambda x, i: x[:5] + x[3:8], LINE),
    "reversed": (lambda x, i: x[::-1], LINE),
    "sum put off": (lambda x, i: (x * x).sum() + x[0], LINE),
    "rows": (lambda x, i: (x * 2).sum(0), SQUARE),
    "empty update": (lambda x, i: x.at[3:3].set(0), LINE),
}


@pytest.mark.parametrize("name", ALIASES)
def test_what_was_read_before_an_update_stays(name):
    other, x = ALIASES[name]
    agree(in_scan(other), x)


def test_copies_of_an_operand_are_made_again_after_an_update():
    """Products want their operands in another order: the copy is kept for later products."""

    def body(x, i, q):
        before = q @ x.T
        x = x.at[i].set(3.0)
        return x, (before, q @ x.T)

    agree(lambda x, q: lax.scan(lambda x, i: body(x, i, q), x, FEW), MATRIX, MATRIX[:6])


def test_two_carries_change_places():
    def body(carry, i):
        a, b, _ = carry
        return (b, a.at[i].add(1.0), a), (a, b)

    agree(lambda x, y: lax.scan(body, (x, y, x), FEW), LINE, LINE[::-1].copy())


def test_one_array_returned_twice():
    def body(carry, i):
        a, b = carry
        new = a.at[i].set(b[0])
        return (new, new), new

    agree(lambda x: lax.scan(body, (x, x), FEW), LINE)


# ---- memory


def test_a_scalar_spread_in_a_branch_is_spread_again_after():
    """What one branch writes is there only where that branch has run."""

    def f(which, y):
        x = jnp.broadcast_to(y[0], (50,))
        first = lax.cond(which > 0, lambda x: jnp.cumsum(x).sum(), lambda x: x.sum(), x)
        return first, jnp.cumsum(x)

    for which in (np.int32(0), np.int32(1)):
        agree(f, which, LINE)


def test_copies_made_before_a_loop_outlive_what_its_body_used_before():
    """The copy of W is made before the loop, in memory that nothing in the loop has had."""

    def body(h, _, w):
        t = jnp.cumsum(jnp.sort(jnp.cumsum(h, 0), 0), 1)
        return jnp.tanh(jnp.dot(jnp.tanh(t), w.T)), t.sum()

    def f(h, w):
        return lax.scan(lambda h, _: body(h, _, w), h, None, length=4)

    agree(f, MATRIX, MATRIX, tolerance=1e-3)


CHAINS = {
    "cumsum": lambda x: jnp.cumsum(x, 0),
    "sort": lambda x: jnp.sort(x, 0),
    "dot": lambda x: x @ x.T,
    "softmax": lambda x: jnp.exp(x - x.max(1, keepdims=True)),
    "scan": lambda x: lax.scan(lambda c, _: (c * 2, None), x, None, length=3)[0],
    "cond": lambda x: lax.cond(x[0, 0] > 0, lambda x: x * 2, lambda x: x.T, x),
    "gather": lambda x: x[jnp.argsort(x[0])],
    "update": lambda x: lax.dynamic_update_slice(x, x[:3, :3], (1, 1)),
    "loop": lambda x: lax.fori_loop(0, 3, lambda i, c: c.at[i].set(0.0), x),
}


@pytest.mark.parametrize("name", CHAINS)
def test_memory_is_used_again(name):
    """At once, and not when the garbage collector comes: texts must not depend on that."""

    def arena(count):
        def f(x):
            for _ in range(count):
                x = CHAINS[name](x)
            return x

        closed = simplify(pullback.make_jaxpr(f)(MATRIX))
        gc.disable()
        try:
            return write(closed).arena.size
        finally:
            gc.enable()

    assert arena(20) <= arena(10) + MATRIX.nbytes // 2


# ---- sizes


@pytest.mark.parametrize("step", [lambda x: x * 1.0001 + 0.1, lambda x: x[::-1] + 1.0])
@pytest.mark.parametrize("size", [5, 50])
def test_long_chains_of_operations(step, size):
    """2000 equations: more than functions of Python may call each other."""

    def f(x):
        for _ in range(1000):
            x = step(x)
        return x

    agree(f, LINE[:size], tolerance=1e-3)


def test_long_chains_under_reductions_and_shared_values():
    def f(x):
        y = x
        for k in range(300):
            y = jnp.sin(y) * x[0] * 0.2 + (y * 0.5 if k % 3 else x)
        return y.sum(), y.max(), y

    agree(f, LINE, tolerance=1e-3)


def test_a_hundred_results_of_one_loop():
    agree(lambda x: [x * k + jnp.exp(-x * x) for k in range(100)], LINE)


# ---- code that comes and goes


def resident():
    """Bytes of memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="how much memory is not known")
def test_code_that_is_gone_leaves_nothing():
    body = "define i32 @kernel() {{\n  ret i32 {}\n}}\n"
    held = machine.load(machine.assemble(body.format(7)), {}, ["kernel"])
    item = machine.assemble(body.format(8))

    def load_many(count):
        for _ in range(count):
            last = machine.load(item, {}, ["kernel"])
        gc.collect()
        return last

    load_many(500)
    before = resident()
    last = load_many(2000)
    assert resident() - before < 4 << 20  # 18 MB if each leaves what LLVM keeps of it
    call = ctypes.CFUNCTYPE(ctypes.c_int)
    assert (call(held.addresses["kernel"])(), call(last.addresses["kernel"])()) == (7, 8)


# ---- random loops and branches


def test_views_of_a_shared_operation_are_computed_once():
    x = np.resize(LINE, (30, 40))
    hessian = pullback.jacfwd(pullback.jacrev(lambda x: jnp.sum(jnp.tanh(x) ** 2)))
    agree(hessian, x)
    text = compile_program(pullback.make_jaxpr(hessian)(x)).text
    assert text.count("= icmp eq <") == 1  # the rows of the unit matrix, which two products need


def test_operations_on_shared_operands_count_once():
    """A tree of 24 steps, with each value needed three times, is 72 operations, not 3**24."""

    def chain(x):
        for _ in range(24):
            y = x * 1.5
            x = jnp.where(y > 0, y, -0.5 * y)
        return x

    x = np.resize(LINE, 1000)
    agree(chain, x)
    assert "@pullback_share" not in compile_program(pullback.make_jaxpr(chain)(x)).text


def test_random_loops_and_branches():
    """In processes of their own. Of these, what ran before the tests above were written got 11 in
    1000 wrong."""
    assert fuzz_control.hunt(0, 400) == {"ok": 400}


@pytest.mark.fuzz
@pytest.mark.timeout(3600)
def test_many_random_loops_and_branches():
    assert fuzz_control.hunt(100_000, 50_000) == {"ok": 50_000}
