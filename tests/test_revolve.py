"""Checkpoints of chains and scans: the optimal schedule, its costs, and derivatives under it."""

import tracemalloc
from functools import cache

import numpy as np
import pytest
from forced import not_on_xla

import pullback as pb
import pullback.numpy as jnp
from pullback import lax
from pullback.control.revolve import advanced_steps, first_stretch, reach, sweeps_needed
from pullback.core.program import sub_programs

jax = pytest.importorskip("jax")
ENGINES = ("native", "numpy")
engines = pytest.mark.parametrize("engine", ENGINES)
RNG = np.random.default_rng(5)
XS, W, C = RNG.normal(size=(11, 4)), RNG.normal(size=(4, 4)) / 2, RNG.normal(size=4)


@pytest.fixture(autouse=True)
def double():
    with pb.enable_x64():
        yield


def same(a, b, tolerance=1e-10):
    a, b = pb.tree.leaves(a), pb.tree.leaves(b)
    assert len(a) == len(b)
    for x, y in zip(a, b, strict=True):
        np.testing.assert_allclose(np.asarray(x), np.asarray(y), tolerance, tolerance)


# ---- the schedule


@cache
def least(steps, slots):
    """The fewest steps, from their definition: dynamic programming over the next state to keep."""
    if steps <= 1:
        return 0
    if slots == 1:
        return steps * (steps - 1) // 2
    return min(m + least(steps - m, slots - 1) + least(m, slots) for m in range(1, steps))


@pytest.mark.parametrize("slots", range(1, 8))
def test_the_schedule_is_the_best_there_is(slots):
    for steps in range(1, 50):
        assert advanced_steps(steps, slots) == least(steps, slots)
        if steps > 1 and slots > 1:
            m = first_stretch(steps, slots)
            cost = m + least(steps - m, slots - 1) + least(m, slots)
            assert cost == least(steps, slots)
        r = sweeps_needed(steps, slots)
        assert reach(slots, r) >= steps > (reach(slots, r - 1) if r else 0)


# ---- scan


def scanned(np_, lax_, reverse=False, **options):
    def f(c, w, xs):
        def step(c, x):
            c = np_.tanh(w @ c + x)
            return c, (c * x, np_.sum(x))

        c, (ys, sums) = lax_.scan(step, c, xs, reverse=reverse, **options)
        weights = np_.arange(11.0)[:, None]
        return np_.sum(c**2) + np_.sum(np_.sin(ys * weights)) + np_.sum(sums**2)

    return f


@engines
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("k", [1, 2, 3, 11, 40])
def test_gradients_of_a_scan(engine, reverse, k):
    f = scanned(jnp, lax, reverse, checkpoints=k)
    with jax.enable_x64(True):
        args = tuple(map(jax.numpy.asarray, (C, W, XS)))
        expected = jax.grad(scanned(jax.numpy, jax.lax, reverse), (0, 1, 2))(*args)
    same(pb.jit(pb.grad(f, (0, 1, 2)), engine=engine)(C, W, XS), expected)
    same(pb.grad(f, (0, 1, 2))(C, W, XS), expected)


@pytest.mark.parametrize("k", [1, 3])
def test_a_scan_mapped_and_differentiated_again(k):
    f, g = scanned(jnp, lax, checkpoints=k), scanned(jnp, lax)
    same(pb.jit(pb.hessian(f))(C, W, XS), pb.hessian(g)(C, W, XS))

    def squares(f, c):
        return jnp.sum(pb.grad(f, 1)(c, W, XS) ** 2)

    again = pb.jit(pb.grad(lambda c: squares(f, c)))(C)
    same(again, pb.grad(lambda c: squares(g, c))(C))
    cs = np.stack([C, 2 * C])
    mapped = pb.jit(pb.vmap(pb.grad(f, (0, 1, 2)), (0, None, None)))(cs, W, XS)
    same(mapped, pb.vmap(pb.grad(g, (0, 1, 2)), (0, None, None))(cs, W, XS))

    def total(f, cs):
        return jnp.sum(pb.vmap(f, (0, None, None))(cs, W, XS))

    same(pb.jit(pb.grad(lambda cs: total(f, cs)))(cs), pb.grad(lambda cs: total(g, cs))(cs))


@pytest.mark.parametrize("length", [0, 1])
@pytest.mark.parametrize("k", [1, 3])
def test_scans_of_no_step_and_of_one(k, length):
    def f(c, w, xs, **options):
        c, ys = lax.scan(lambda c, x: (jnp.sin(w @ c) + x, c), c, xs, **options)
        return c + jnp.sum(ys, 0)

    args = (C, W, XS[:length])
    for wrap in (lambda f: f, pb.jit):
        found = wrap(pb.jacrev(lambda *xs: f(*xs, checkpoints=k), (0, 1, 2)))(*args)
        same(found, pb.jacrev(f, (0, 1, 2))(*args))


@not_on_xla("it leaves out calls of Python whose results nobody needs")
@pytest.mark.parametrize("k", [1, 2, 4, 25])
def test_steps_of_a_scan_done_again(k):
    calls = []

    def counted(i):
        calls.append(int(i))
        return np.asarray(i + 1)

    def step(carry, _):
        i, x = carry
        i = pb.pure_callback(counted, pb.ShapeDtypeStruct((), np.dtype(np.int64)), i)
        return (i, jnp.sin(x) * 1.2), None

    def f(x):
        return lax.scan(step, (jnp.int64(0), x), None, length=20, checkpoints=k)[0][1] ** 2

    pb.jit(pb.grad(f))(0.5)
    assert len(calls) == 20 + advanced_steps(20, k) + 20


# ---- chains


def sines(program):
    return sum(
        (eq.primitive.name == "sin") + sum(map(sines, sub_programs(eq.params)))
        for eq in program.eqns
    )


@pytest.mark.parametrize(("n", "k"), [(1, 1), (2, 1), (10, 3), (20, 1), (33, 4), (12, 20)])
def test_calls_of_a_chain(n, k):
    """What is reversed needs no sine, but its slope; the last value is computed once."""
    f = pb.checkpoint_chain([jnp.sin] * n, checkpoints=k)
    program = pb.make_jaxpr(pb.value_and_grad(f))(0.7).program
    assert sines(program) == advanced_steps(n, k) + 1

    def plain(x):
        for _ in range(n):
            x = jnp.sin(x)
        return x

    for run in (lambda f: f, pb.jit):
        same(run(pb.grad(f))(0.7), pb.grad(plain)(0.7))
        same(run(pb.grad(pb.grad(f)))(0.7), pb.grad(pb.grad(plain))(0.7))
        xs = np.array([0.7, 0.1])
        same(run(pb.vmap(pb.grad(f)))(xs), pb.vmap(pb.grad(plain))(xs))


def test_a_chain_of_different_functions_on_trees():
    fs = [
        lambda x: {"a": jnp.sin(x), "b": x[:2]},
        lambda d: (d["a"].sum() * d["b"], d["a"]),
        lambda p: jnp.sum(p[0] ** 2) + jnp.sum(p[1] ** 3),
    ]

    def plain(x):
        return fs[2](fs[1](fs[0](x)))

    for k in (1, 2, 3):
        same(pb.grad(pb.checkpoint_chain(fs, checkpoints=k))(C), pb.grad(plain)(C))


def peak(f, *args):
    f(*args)
    tracemalloc.start()
    f(*args)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most


def test_memory_grows_with_checkpoints_and_not_with_steps():
    x = np.ones(1 << 14)

    def gradient(n, **options):
        def step(c, _):
            return jnp.sin(c) * 1.1, None

        def f(x):
            return jnp.sum(lax.scan(step, x, None, length=n, **options)[0])

        return pb.jit(pb.grad(f), engine="numpy")

    size = x.nbytes
    few, many = (peak(gradient(n, checkpoints=4), x) for n in (20, 80))
    assert many < few + size
    assert peak(gradient(80, checkpoints=12), x) < few + 30 * size
    assert peak(gradient(80), x) > few + 50 * size


@pytest.mark.parametrize(
    ("fs", "k", "kind", "text"),
    [
        ([jnp.sin], 0, ValueError, "checkpoint_chain needs a positive integer as `checkpoints`"),
        ([jnp.sin], 1.5, ValueError, "checkpoint_chain needs a positive integer as `checkpoints`"),
        ([], 2, ValueError, "checkpoint_chain needs at least one function"),
        ([3], 2, TypeError, "checkpoint_chain takes a function"),
    ],
)
def test_mistakes(fs, k, kind, text):
    with pytest.raises(kind, match=text):
        pb.checkpoint_chain(fs, checkpoints=k)
