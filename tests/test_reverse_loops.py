"""Reverse mode through loops whose number of rounds is known only when they run."""

import os
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
from forced import not_on_xla

import pullback as pb
import pullback.numpy as jnp
from pullback import lax, random
from pullback.control import reversal, while_loop
from pullback.control.revolve import advanced_steps
from pullback.core.program import check_program

pytestmark = pytest.mark.usefixtures("double")
ENGINES = ("native", "numpy")
engines = pytest.mark.parametrize("engine", ENGINES)
SIZES = [None, (3, 32), (2, 4), (1, 1)]
"""Rounds of a unit and slots: what the types say; few rounds; few of both; the least."""
sizes = pytest.mark.parametrize("size", SIZES, ids=str)


@pytest.fixture
def double():
    with pb.enable_x64():
        yield


@pytest.fixture
def of_size(monkeypatch, size):
    """Loops whose user says nothing keep so much; a new program for each size."""
    if size is not None:
        monkeypatch.setattr(while_loop, "default_sizes", lambda parts: size[::-1])


def same(a, b, tolerance=1e-10):
    a, b = pb.tree.leaves(a), pb.tree.leaves(b)
    assert len(a) == len(b)
    for x, y in zip(a, b, strict=True):
        np.testing.assert_allclose(np.asarray(x), np.asarray(y), tolerance, tolerance)


def repeated(x, w, n, **options):
    """n rounds of a map with constants, an integer and a bool beside it."""

    def step(carry):
        i, x, even = carry
        x = jnp.where(even, jnp.sin(w @ x), jnp.tanh(x) * w[0]) + 0.1 * i
        return i + 1, x, ~even

    return lax.while_loop(lambda c: c[0] < n, step, (0, x, True), **options)[1]


def unrolled(x, w, n):
    for i in range(n):
        x = (jnp.sin(w @ x) if i % 2 == 0 else jnp.tanh(x) * w[0]) + 0.1 * i
    return x


RNG = np.random.default_rng(3)
X, W = RNG.normal(size=3), RNG.normal(size=(3, 3)) / 2
ROUNDS = (0, 1, 2, 5, 11)


def loss(f):
    return lambda x, w, n: jnp.sum(f(x, w, n) ** 2)


# ---- values


@engines
@sizes
@pytest.mark.parametrize("n", ROUNDS)
def test_gradient_in_jit(of_size, size, engine, n):
    f = partial(repeated)
    found = pb.jit(pb.grad(loss(lambda *a: f(*a)), (0, 1)), engine=engine)(X, W, n)
    same(found, pb.grad(loss(unrolled), (0, 1))(X, W, n))


@engines
@pytest.mark.parametrize("k", [1, 2, 3, 20])
def test_gradient_with_checkpoints(engine, k):
    f = partial(repeated, checkpoints=k)
    for n in ROUNDS:
        expected = pb.grad(loss(unrolled), (0, 1))(X, W, n)
        same(pb.jit(pb.grad(loss(f), (0, 1)), engine=engine)(X, W, n), expected)
        same(pb.grad(loss(f), (0, 1))(X, W, n), expected)


def test_one_program_for_all_numbers_of_rounds():
    gradient = pb.jit(pb.grad(loss(repeated), (0, 1)))
    for n in (*ROUNDS, 300):
        same(gradient(X, W, n), pb.grad(loss(unrolled), (0, 1))(X, W, n))
    assert gradient._cache_size() == 1


@engines
@sizes
def test_second_order(of_size, size, engine):
    for n in (0, 1, 4, 7):
        f, g = loss(repeated), loss(unrolled)
        same(pb.jit(pb.hessian(f), engine=engine)(X, W, n), pb.hessian(g)(X, W, n), 1e-9)

        def squares(f, x, n=n):
            return sum(jnp.sum(y**2) for y in pb.grad(f, (0, 1))(x, W, n))

        found = pb.jit(pb.grad(partial(squares, f)), engine=engine)(X)
        same(found, pb.grad(partial(squares, g))(X), 1e-9)


def test_third_order_of_newtons_square_root():
    def root(a):
        return lax.while_loop(
            lambda x: jnp.abs(x * x - a) > 1e-13, lambda x: 0.5 * (x + a / x), jnp.maximum(a, 1.0)
        )

    f = pb.grad
    for a in (0.7, 2.0, 9.0):
        found = pb.jit(lambda a: (f(root)(a), f(f(root))(a), f(f(f(root)))(a)))(a)
        same(found, (0.5 * a**-0.5, -0.25 * a**-1.5, 0.375 * a**-2.5), 1e-7)


@engines
def test_dot_product_identity_and_differences(engine):
    f = pb.jit(lambda x, w: repeated(x, w, jnp.int32(9)), engine=engine)
    dx, dw, ct = RNG.normal(size=3), RNG.normal(size=(3, 3)), RNG.normal(size=3)
    _, dy = pb.jvp(f, (X, W), (dx, dw))
    cx, cw = pb.vjp(f, X, W)[1](jnp.asarray(ct))
    same(jnp.vdot(ct, dy), jnp.vdot(cx, dx) + jnp.vdot(cw, dw), 1e-12)
    h = 1e-6
    differences = (f(X + h * dx, W + h * dw) - f(X - h * dx, W - h * dw)) / (2 * h)
    same(jnp.vdot(ct, differences), jnp.vdot(cx, dx) + jnp.vdot(cw, dw), 1e-8)


@engines
def test_against_scan(engine):
    def scanned(x, w, n):
        def step(carry, i):
            x, even = carry
            x = jnp.where(even, jnp.sin(w @ x), jnp.tanh(x) * w[0]) + 0.1 * i
            return (x, ~even), None

        return lax.scan(step, (x, True), jnp.arange(n))[0][0]

    for n in (1, 50, 200):
        found = pb.jit(pb.grad(loss(repeated), (0, 1)), engine=engine)(X, W, n)
        expected = pb.jit(pb.grad(loss(scanned), (0, 1)), static_argnums=2)(X, W, n)
        same(found, expected, 1e-9)


def test_a_pullback_can_be_called_twice_and_mapped():
    y, pull = pb.vjp(pb.jit(lambda x: repeated(x, W, 5)), X)
    expected = pb.jacobian(lambda x: unrolled(x, W, 5))(X)
    for i in range(3):
        same(pull(jnp.eye(3)[i]), expected[i])
    same(pb.vmap(pull)(jnp.eye(3)), expected)
    same(pb.jit(pb.jacrev(lambda x: repeated(x, W, 5)))(X), expected)
    assert y.shape == (3,)


# ---- what loops are made of


@engines
def test_fori_loop_with_bounds_of_the_argument(engine):
    def f(x, low, high, **options):
        return lax.fori_loop(low, high, lambda i, x: jnp.sin(x) * (i + 1.0), x, **options)

    def g(x, low, high):
        for i in range(low, high):
            x = jnp.sin(x) * (i + 1.0)
        return x

    gradient = pb.jit(pb.grad(f), engine=engine)
    few = pb.jit(pb.grad(partial(f, checkpoints=2)), engine=engine)
    for bounds in ((0, 4), (2, 9), (3, 3), (5, 1)):
        expected = pb.grad(g)(0.4, *bounds)
        same(gradient(0.4, *bounds), expected)
        same(few(0.4, *bounds), expected)
        same(pb.grad(partial(f, checkpoints=2))(0.4, *bounds), expected)  # a scan
    xs, highs = np.array([0.4, 0.4, 0.1]), np.array([0, 4, 2])
    found = pb.jit(pb.vmap(pb.grad(f), (0, None, 0)), engine=engine)(xs, 0, highs)
    expected = [pb.grad(g)(x, 0, int(n)) for x, n in zip(xs, highs, strict=True)]
    same(found, np.array(expected))


@engines
@sizes
def test_loops_in_loops(of_size, size, engine):
    def f(x):
        def outer(c):
            i, x = c

            def inner(d):
                return d[0] + 1, jnp.sin(d[1]) * 1.1

            return i + 1, lax.while_loop(lambda d: d[0] < i + 1, inner, (0, x))[1] + x

        return lax.while_loop(lambda c: c[0] < 4, outer, (0, x))[1]

    def g(x):
        for i in range(4):
            y = x
            for _ in range(i + 1):
                y = jnp.sin(y) * 1.1
            x = y + x
        return x

    same(pb.jit(pb.grad(f), engine=engine)(0.4), pb.grad(g)(0.4))
    same(pb.jit(pb.grad(pb.grad(f)), engine=engine)(0.4), pb.grad(pb.grad(g))(0.4), 1e-9)


@engines
def test_in_scan_and_cond(engine):
    def f(w, xs):
        def step(c, x):
            c = lax.cond(
                x > 0,
                lambda c: lax.while_loop(lambda d: d < 1.0, lambda d: d * (1.1 + w), c),
                lambda c: jnp.sin(c + x) ** 2 + 0.1,
                c,
            )
            return c * 0.6, c

        c, ys = lax.scan(step, 0.3, xs)
        return c + jnp.sum(ys**2)

    def g(w, xs):
        c, total = 0.3, 0.0
        for x in xs:
            if x > 0:
                while c < 1.0:
                    c = c * (1.1 + w)
            else:
                c = jnp.sin(c + x) ** 2 + 0.1
            total, c = total + c**2, c * 0.6
        return c + total

    xs = np.array([0.5, -1.0, 2.0, 0.1, -0.3, 1.0])
    expected = pb.grad(g)(0.05, xs)
    same(pb.jit(pb.grad(f), engine=engine)(0.05, xs), expected)
    same(pb.grad(f)(0.05, xs), expected)
    same(pb.jit(pb.hessian(f), engine=engine)(0.05, xs), pb.grad(pb.grad(g))(0.05, xs), 1e-9)


@engines
def test_keys_and_empty_arrays_in_the_carry(engine):
    def step(c):
        i, x, key, nothing = c
        key, own = random.split(key)
        return i + 1, x * random.uniform(own) + jnp.sin(x), key, nothing

    def f(x, n, k):
        start = 0, x, random.key(1), jnp.zeros((0, 2))
        return lax.while_loop(lambda c: c[0] < n, step, start, checkpoints=k)[1]

    def g(x, n):
        key = random.key(1)
        for _ in range(n):
            key, own = random.split(key)
            x = x * random.uniform(own) + jnp.sin(x)
        return x

    for n in (0, 6):
        for k in (None, 2):
            gradient = pb.jit(pb.grad(f), engine=engine, static_argnums=2)
            same(gradient(0.3, n, k), pb.grad(g)(0.3, n))


def test_complex_carries():
    def f(z):
        return lax.while_loop(lambda c: c[1] < 3, lambda c: (c[0] * c[0], c[1] + 1), (z, 0))[0]

    z = 1.1 + 0.2j
    same(pb.jit(pb.grad(f, holomorphic=True))(z), 8 * z**7)


def test_transposed_twice():
    def f(x):
        return lax.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, 2 * c[1] + x), (0, x))[1]

    (back,) = pb.jit(lambda y: pb.linear_transpose(f, 1.0)(y))(1.0)
    assert float(back) == 15.0

    def transposed(y):
        return pb.linear_transpose(f, 1.0)(y)[0]

    (again,) = pb.jit(lambda y: pb.linear_transpose(transposed, 1.0)(y))(2.0)
    assert float(again) == 30.0


# ---- vmap: elements that end at different times


def halved(x, w):
    """Beyond its end, the next round is the root of a negative number."""
    return lax.while_loop(lambda x: x > 0.2, lambda x: x - w * jnp.sqrt(x - 0.19), x)


def halved_in_python(x, w):
    while x > 0.2:
        x = x - w * jnp.sqrt(x - 0.19)
    return x


STARTS = np.array([0.1, 0.21, 0.5, 0.9, 3.0])
RATES = np.array([0.3, 0.3, 0.35, 0.2, 0.25])
COUNTED = {
    "jit": pb.jit,
    "jit by NumPy": partial(pb.jit, engine="numpy"),
    "at once": lambda f: f,
}


@pytest.mark.parametrize("how", COUNTED)
def test_elements_end_at_different_times(how):
    run = COUNTED[how]
    pairs = list(zip(STARTS, RATES, strict=True))
    expected = np.array([pb.grad(halved_in_python, (0, 1))(*p) for p in pairs]).T

    def total(x, w):
        return jnp.sum(pb.vmap(halved)(x, w))

    same(run(pb.grad(total, (0, 1)))(STARTS, RATES), list(expected))
    same(run(pb.vmap(pb.grad(halved, (0, 1))))(STARTS, RATES), list(expected))
    second = np.array([pb.grad(pb.grad(halved_in_python))(*p) for p in pairs])
    same(run(pb.vmap(pb.hessian(halved)))(STARTS, RATES), second, 1e-9)
    same(jnp.diag(run(pb.hessian(total))(STARTS, RATES)), second, 1e-9)

    def slopes(x):
        return jnp.sum(pb.vmap(pb.grad(halved))(x, RATES))

    same(run(pb.grad(slopes))(STARTS), second, 1e-9)


def test_a_constant_that_all_elements_share():
    def total(w):
        return jnp.sum(pb.vmap(halved, (0, None))(STARTS, w))

    expected = sum(pb.grad(halved_in_python, 1)(x, 0.3) for x in STARTS)
    same(pb.jit(pb.grad(total))(0.3), expected)
    same(pb.grad(total)(0.3), expected)


@sizes
def test_units_of_elements_that_end_apart(of_size, size):
    def f(x, n):
        return jnp.sum(repeated(x, W, n) ** 2)

    ns, xs = np.array([0, 7, 3]), RNG.normal(size=(3, 3))
    expected = [
        pb.grad(lambda x, n=n: jnp.sum(unrolled(x, W, int(n)) ** 2))(x)
        for x, n in zip(xs, ns, strict=True)
    ]
    same(list(pb.jit(pb.vmap(pb.grad(f)))(xs, ns)), expected)
    total = pb.jit(pb.grad(lambda xs: jnp.sum(pb.vmap(f)(xs, ns))))
    same(list(total(xs)), expected)


@pytest.mark.parametrize("engine", ["numpy", "native"])
def test_what_comes_after_the_end_of_elements_of_elements(engine):
    """Beyond its end the loop divides by 0: with two vmaps around each other as with one."""

    def f(x, n):
        def body(c):
            i, y = c
            return i + 1, y * jnp.log(1.5 * (n - i)) + y / (n - i)

        return lax.while_loop(lambda c: c[0] < n, body, (0, x))[1]

    xs = np.arange(1.0, 7.0).reshape(2, 3)
    ns = np.array([[1, 3, 2], [5, 2, 4]])
    expected = np.array([[pb.grad(f)(x, n) for x, n in zip(*row)] for row in zip(xs, ns)])
    slopes = np.array(
        [[np.prod([np.log(1.5 * k) + 1 / k for k in range(1, n + 1)]) for n in row] for row in ns]
    )
    same(expected, slopes)
    twice = pb.vmap(pb.vmap(f))
    same(pb.jit(pb.grad(lambda xs: twice(xs, ns).sum()), engine=engine)(xs), slopes)
    same(pb.grad(lambda xs: twice(xs, ns).sum())(xs), slopes)
    ones = np.ones_like(xs)
    same(pb.jit(lambda xs: pb.jvp(lambda x: twice(x, ns), (xs,), (ones,))[1])(xs), slopes)
    # The outer one maps nothing that decides.
    same_ends = pb.vmap(lambda x: pb.vmap(f)(x, ns[0]))
    found = pb.jit(pb.grad(lambda xs: same_ends(xs).sum()), engine=engine)(xs)
    same(found, np.broadcast_to(slopes[0], (2, 3)))


# ---- how much is done, and kept


class Counter:
    """Counts how often a program does a round, by what NumPy is called for in it."""

    def __init__(self):
        self.count = 0

    def __call__(self, i):
        self.count += 1
        return np.asarray(i + 1)

    def step(self, carry):
        i, x = carry
        i = pb.pure_callback(self, pb.ShapeDtypeStruct((), np.dtype(np.int64)), i)
        return i, jnp.sin(x) * 1.2


@not_on_xla("it leaves out calls of Python whose results nobody needs")
@pytest.mark.parametrize("k", [1, 2, 3, 5, 30])
@pytest.mark.parametrize("n", [1, 2, 9, 20])
def test_rounds_done_again(k, n):
    """The forward pass, as many as the schedule says, and each round where it is reversed."""
    counter = Counter()

    def f(x):
        start = jnp.int64(0), x
        return lax.while_loop(lambda c: c[0] < n, counter.step, start, checkpoints=k)[1]

    pb.jit(pb.grad(lambda x: f(x) ** 2))(0.5)
    assert counter.count == 2 * n + advanced_steps(n, k)


@not_on_xla("it leaves out calls of Python whose results nobody needs")
def test_rounds_done_again_by_default():
    """Up to 4096 rounds: once more. Beyond, the states before each 4096 rounds are computed too."""
    counter = Counter()

    def f(x, n):
        return lax.while_loop(lambda c: c[0] < n, counter.step, (jnp.int64(0), x))[1]

    gradient = pb.jit(pb.grad(f))
    assert reversal.TAPE_ROUNDS == 4096
    for n, expected in ((3, 6), (4096, 2 * 4096), (4097, 2 * 4097 + 4096)):
        counter.count = 0
        gradient(0.5, n)
        assert counter.count == expected


def test_the_size_of_the_program_does_not_depend_on_checkpoints():
    def lines(k):
        f = partial(repeated, checkpoints=k)
        return len(str(pb.make_jaxpr(pb.grad(loss(f)))(X, W, 9)).splitlines())

    assert lines(2) == lines(50)


def test_memory_does_not_grow_with_rounds():
    """In a process of its own: the largest memory it has ever had."""
    script = """
import resource, sys
import pullback as pb, pullback.numpy as jnp
from pullback import lax
def f(x, n):
    step = lambda c: (c[0] + 1, jnp.sin(c[1]) * 1.1)
    return jnp.sum(lax.while_loop(lambda c: c[0] < n, step, (0, x), checkpoints=4)[1])
g = pb.jit(pb.grad(f))
x = jnp.ones(1 << 18)
g(x, 3)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
g(x, 60)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=os.environ, check=True
    )
    assert int(run.stdout) < 8 * 1024  # kilobytes; all 60 states would be 60 MB


def test_programs_are_typed():
    for k in (None, 2):
        f = partial(repeated, checkpoints=k)
        check_program(pb.make_jaxpr(pb.grad(loss(f), (0, 1)))(X, W, 9).program)
        check_program(pb.make_jaxpr(pb.hessian(loss(f)))(X, W, 9).program)
        mapped = pb.vmap(pb.grad(loss(f)), (None, None, 0))
        check_program(pb.make_jaxpr(mapped)(X, W, jnp.arange(3)).program)


def test_the_condition_of_a_linear_loop_may_not_depend_on_it():
    def f(x):
        return lax.while_loop(lambda y: jnp.sum(y) < 3.0, lambda y: y * 2, x)

    with pytest.raises(NotImplementedError, match="condition depends on the linear inputs"):
        pb.linear_transpose(f, 1.0)(1.0)


@pytest.mark.fuzz
@pytest.mark.parametrize("seed", range(40))
def test_any_sizes(monkeypatch, seed):
    rng = np.random.default_rng(seed)
    unit, slots = int(rng.integers(1, 9)), int(rng.integers(1, 9))
    monkeypatch.setattr(while_loop, "default_sizes", lambda parts: (slots, unit))
    gradient = pb.jit(pb.grad(loss(lambda *a: repeated(*a)), (0, 1)), engine=ENGINES[seed % 2])
    for n in rng.integers(0, 120, 6):
        expected = pb.grad(loss(unrolled), (0, 1))(X, W, int(n))
        same(gradient(X, W, int(n)), expected, 1e-8)
