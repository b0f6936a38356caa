"""Operations done outside jit by machine code: their numbers, and when it is used."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from forced import not_on_xla
from scipy import special

import pullback as pb
from pullback import lax, nn, random
from pullback import numpy as jnp
from pullback.core.settings import debug_nans, override, threefry_partitionable
from pullback.engines import eager, whole
from pullback.engines import numpy as numpy_engine
from pullback.ops import random_values
from pullback.ops.threefry import random_words, split_words
from pullback.scipy.special import logsumexp

LENGTHS = [0, 1, 2, 15, 16, 17, 31, 32, 33, 64, 65, 100, 1000]
FLOATS = ["float32", "float64"]


@pytest.fixture
def begun(monkeypatch):
    """As after much work: loops are used also where NumPy gives the same bits."""
    monkeypatch.setattr(eager, "_spent", 1e9)


pytestmark = pytest.mark.usefixtures("x64")


@pytest.fixture
def no_loops(monkeypatch):
    """No machine code is made or used."""

    def refuse(*args):
        raise AssertionError("machine code was used")

    for name in ("_bits_loop", "_keys_loop", "_uniform_loop", "_normal_loop", "_row_loop"):
        monkeypatch.setattr(eager, name, refuse)
    monkeypatch.setattr(whole, "native_choice", refuse)
    monkeypatch.setattr(whole, "choose", refuse)


def numpy_only():
    return override("pullback_engine", "numpy")


def data(keys):
    return np.asarray(random.key_data(keys))


# ---- random numbers


@pytest.mark.parametrize("bit_width", [8, 16, 32, 64])
def test_bits_are_those_of_numpy(begun, bit_width):
    keys = random.split(random.key(3), 4).reshape(2, 2)
    for n in LENGTHS:
        got = eager._random_bits(keys._value, bit_width=bit_width, shape=(n,), partitionable=True)
        want = random_words(data(keys).reshape(-1, 2), bit_width, n, True)
        assert got.dtype == want.dtype
        np.testing.assert_array_equal(got, want.reshape(2, 2, n))


@pytest.mark.parametrize("n", LENGTHS)
def test_keys_are_those_of_numpy(begun, n):
    key = random.key(11)
    np.testing.assert_array_equal(
        data(random.split(key, n)), split_words(data(key)[None], n, True)[0]
    )


def test_shapes_and_layouts(begun):
    key = random.key(5)
    for shape in ((), (3, 0), (2, 3, 4), (1,)):
        words = random.bits(key, shape, "uint32")
        assert words.shape == shape
        flat = random_words(data(key)[None], 32, int(np.prod(shape)), True)
        np.testing.assert_array_equal(words, flat.reshape(shape))
    with threefry_partitionable(False):
        got, want = (
            random.bits(key, (100,), "uint32"),
            random_words(data(key)[None], 32, 100, False),
        )
        np.testing.assert_array_equal(got, want[0])


@pytest.mark.parametrize("dtype", FLOATS)
def test_uniform_numbers_are_those_of_numpy(begun, dtype):
    key = random.key(8)
    for n in LENGTHS:
        got = random.uniform(key, (n,), dtype)
        with numpy_only():
            want = random.uniform(key, (n,), dtype)
        assert got.dtype == want.dtype
        np.testing.assert_array_equal(got, want)
    for bounds in ((-0.3, 0.7), (1.0, 3.0), (2.0, 1.0), (np.nan, 1.0)):
        got = random.uniform(key, (3, 500), dtype, *bounds)
        with numpy_only():
            want = random.uniform(key, (3, 500), dtype, *bounds)
        np.testing.assert_allclose(got, want, rtol=2 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", FLOATS)
def test_normal_numbers_are_the_quantiles_of_uniform_ones(dtype):
    key = random.key(1)
    got = np.asarray(random.normal(key, (20_000,), dtype))
    least = np.nextafter(np.array(-1, dtype), np.array(0, dtype))
    bits = random_words(data(key)[None], 8 * got.itemsize, got.size, True)[0]
    uniform = random_values.uniform_from_bits.eval(bits, least, np.ones((), dtype))
    want = np.sqrt(2) * special.erfinv(uniform.astype("float64"))
    # In float32 as XLA has it: the square of a uniform number is rounded.
    np.testing.assert_allclose(got, want, rtol=1e-5 if dtype == "float32" else 4e-15)
    assert got.dtype == dtype


@not_on_xla("JAX itself rounds otherwise where XLA does not optimise")
def test_normal_numbers_have_the_bits_of_the_published_ones():
    jax = pytest.importorskip("jax")
    got = np.asarray(random.normal(random.key(7), (100_000,), "float32"))
    want = np.asarray(jax.random.normal(jax.random.key(7), (100_000,), "float32"))
    np.testing.assert_allclose(got, want, rtol=2.5e-7)
    assert np.mean(got == want) > 0.98


@pytest.mark.parametrize("dtype", FLOATS)
def test_numbers_do_not_depend_on_how_they_are_asked_for(dtype):
    key = random.key(4)
    many = random.normal(key, (100,), dtype)
    np.testing.assert_array_equal(random.normal(key, (7,), dtype), many[:7])
    np.testing.assert_array_equal(pb.jit(lambda k: random.normal(k, (100,), dtype))(key), many)
    keys = random.split(key, 3)
    mapped = pb.vmap(lambda k: random.normal(k, (5,), dtype))(keys)
    np.testing.assert_array_equal(mapped, [random.normal(k, (5,), dtype) for k in keys])


def test_numbers_do_not_depend_on_what_was_drawn_before(monkeypatch):
    draws = {}
    for spent in (0.0, 1e9):
        monkeypatch.setattr(eager, "_spent", spent)
        key = random.key(2)
        draws[spent] = [
            *(random.bits(key, (n,), "uint16") for n in LENGTHS),
            *(data(random.split(key, n)) for n in LENGTHS),
            *(random.uniform(key, (n,), "float64") for n in LENGTHS),
            random.randint(key, (50,), 0, 7),
            random.bernoulli(key, 0.3, (50,)),
            random.permutation(key, 50),
        ]
    for first, second in zip(*draws.values(), strict=True):
        np.testing.assert_array_equal(first, second)


def test_the_first_loop_waits_until_it_pays(monkeypatch):
    made = []
    monkeypatch.setattr(eager, "_spent", 0.0)
    monkeypatch.setattr(eager, "_bits_loop", lambda width: made.append(width) or refuse_nothing)

    def refuse_nothing(keys, out):
        out[...] = 0

    key = random.key(0)
    random.bits(key, (100,))
    assert not made
    random.bits(key, (10_000_000,), "uint8")
    assert made == [8]


# ---- functions of elements and of rows


@pytest.mark.parametrize("dtype", FLOATS)
def test_erf_inv(dtype):
    x = np.r_[np.linspace(-0.999, 0.999, 1001), 0.0, -0.0].astype(dtype)
    got = lax.erf_inv(jnp.asarray(x.reshape(17, 59)))
    want = special.erfinv(x.astype("float64")).reshape(17, 59)
    np.testing.assert_allclose(got, want, rtol=8e-6 if dtype == "float32" else 2e-15)
    edges = np.array([-1, 1, 2, -2, np.nan, np.inf], dtype)
    np.testing.assert_array_equal(lax.erf_inv(edges), [-np.inf, np.inf, *[np.nan] * 4])
    assert lax.erf_inv(jnp.asarray(0.5, dtype)).shape == ()
    assert lax.erf_inv(jnp.zeros((3, 0), dtype)).shape == (3, 0)
    assert lax.erf_inv(jnp.asarray(x)[::3]).shape == (335,)
    half = lax.erf_inv(jnp.asarray([0.25], "bfloat16"))
    assert half.dtype == "bfloat16"
    assert float(half[0]) == pytest.approx(0.2253, rel=1e-2)


ROWS = [
    (nn.softmax, special.softmax),
    (nn.log_softmax, special.log_softmax),
    (logsumexp, special.logsumexp),
]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(("ours", "theirs"), ROWS, ids=lambda f: f.__name__)
def test_rows(ours, theirs, dtype):
    rng = np.random.default_rng(0)
    for shape, axis in [
        *(((3, n), -1) for n in LENGTHS if n),
        *[((40, 3), 0), ((2, 33, 5), 1), ((2, 33, 5), -3), ((7,), 0), ((100_000,), 0)],
    ]:
        x = (5 * rng.normal(size=shape)).astype(dtype)
        with no_tracing_of_numpy():
            got = np.asarray(ours(jnp.asarray(x), axis=axis))
        want = theirs(x.astype("float64"), axis=axis)
        assert got.dtype == dtype
        assert got.shape == want.shape
        eps = np.finfo(dtype).eps
        np.testing.assert_allclose(got, want, rtol=12 * eps, atol=16 * eps)


class no_tracing_of_numpy:
    """Fails if the steps of NumPy run, in place of the loop."""

    def __enter__(self):
        self.before = pb.numpy.exp
        pb.numpy.exp = None

    def __exit__(self, *_):
        pb.numpy.exp = self.before


@pytest.mark.parametrize("dtype", FLOATS)
def test_sums_of_many_exponentials(dtype):
    n = 1_000_000
    x = jnp.zeros((n,), dtype)
    assert float(logsumexp(x)) == pytest.approx(np.log(n), rel=2 * float(np.finfo(dtype).eps))
    np.testing.assert_allclose(nn.softmax(x), 1 / n, rtol=2 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", FLOATS)
def test_infinities_in_rows(dtype):
    i = np.inf
    rows = [
        [1, 2, i],
        [-i, -i, -i],
        [-i, 0, 1],
        [np.nan, 1, 2],
        [-i, i, 0],
        [i, i, i],
        [1e38, 0, -1],
    ]
    x = jnp.asarray(np.array(rows, dtype))
    for function in (nn.softmax, nn.log_softmax, lambda x: logsumexp(x, axis=-1)):
        got = np.asarray(function(x))
        with numpy_only():
            want = np.asarray(function(x))
        np.testing.assert_allclose(got, want, rtol=1e-6)


def test_logsumexp_in_all_its_forms():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(4, 5, 6)))
    for axis in (None, 0, 1, -1, (0, 1), (2,)):
        for keepdims in (False, True):
            got = logsumexp(x, axis=axis, keepdims=keepdims)
            want = special.logsumexp(np.asarray(x), axis=axis, keepdims=keepdims)
            assert got.shape == np.shape(want)
            np.testing.assert_allclose(got, want, rtol=1e-14)
    assert float(logsumexp(jnp.zeros((0,)))) == -np.inf
    assert float(logsumexp(jnp.asarray(2.5))) == 2.5


def test_results_are_as_weak_as_those_of_numpy():
    for x in (jnp.asarray([1.0, 2.0]), jnp.asarray(2.0), lax.full_like(1.0, 3.0)):
        for function in (nn.softmax, nn.log_softmax, logsumexp):
            found = []
            for engine in ("auto", "numpy"):
                with override("pullback_engine", engine):
                    try:
                        found.append(function(x).aval)
                    except ValueError as cause:
                        found.append(str(cause))
            assert found[0] == found[1]


def test_what_is_traced_keeps_its_derivatives():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(3, 4)))
    slope = pb.grad(lambda x: nn.softmax(x)[0, 1])(x)
    p = special.softmax(np.asarray(x)[0])
    np.testing.assert_allclose(slope[0], p[1] * (np.eye(4)[1] - p), rtol=1e-12)
    np.testing.assert_array_equal(slope[1:], 0)
    np.testing.assert_allclose(pb.vmap(nn.softmax)(x), nn.softmax(x), rtol=1e-14)
    np.testing.assert_allclose(pb.grad(lambda x: logsumexp(x))(x), special.softmax(x), rtol=1e-12)
    with pytest.raises(ValueError, match="axis"):
        nn.softmax(x, axis=5)


def test_nothing_is_written_outside_a_row():
    loops = [
        (eager._bits_loop(w), lambda n: [np.array([1, 2], np.uint32)], f"u{w // 8}")
        for w in (8, 16, 32, 64)
    ]
    loops += [(eager._keys_loop(), lambda n: [np.array([1, 2], np.uint32)], "u8")]
    for bits in (32, 64):
        dtype = f"f{bits // 8}"
        loops += [(eager._normal_loop(bits), lambda n: [np.array([1, 2], np.uint32)], dtype)]
        loops += [
            (eager._row_loop(name, bits), lambda n, dtype=dtype: [np.ones(n, dtype)], dtype)
            for name in ("softmax", "log_softmax", "erf_inv")
        ]
    for loop, operands, dtype in loops:
        for n in range(70):
            around = np.full(n + 256, 7, dtype)
            with np.errstate(all="ignore"):
                loop(*operands(n), around[128 : 128 + n])
            assert (around[:128] == 7).all() and (around[128 + n :] == 7).all()


def test_checks_for_nan_name_the_operation():
    with debug_nans(True), pytest.raises(FloatingPointError, match="nan"):
        nn.softmax(jnp.asarray([np.inf, 1.0]))


# ---- systems of equations


@pytest.mark.parametrize("dtype", FLOATS)
def test_solve(dtype):
    rng = np.random.default_rng(0)
    for n in (1, 2, 3, 16, 40):
        a = (rng.normal(size=(n, n)) + n * np.eye(n)).astype(dtype)
        for shape in ((n,), (n, 1), (n, 3)):
            b = rng.normal(size=shape).astype(dtype)
            got = jnp.linalg.solve(jnp.asarray(a), jnp.asarray(b))
            want = np.linalg.solve(a.astype("float64"), b.astype("float64"))
            assert (got.shape, got.dtype) == (b.shape, dtype)
            np.testing.assert_allclose(got, want, rtol=1e3 * np.finfo(dtype).eps, atol=1e-6)
        inverse = np.linalg.inv(a.astype("float64"))
        np.testing.assert_allclose(jnp.linalg.inv(jnp.asarray(a)), inverse, rtol=1e-3, atol=1e-6)


def test_singular_matrices_and_mistakes():
    for engine in ("auto", "numpy"):
        with override("pullback_engine", engine):
            x = jnp.linalg.solve(jnp.asarray([[1.0, 2.0], [2.0, 4.0]]), jnp.ones(2))
            assert not np.isfinite(x).any()
            with pytest.raises(ValueError, match="takes b of shape"):
                jnp.linalg.solve(jnp.eye(3), jnp.ones(4))
            with pytest.raises(ValueError, match="takes square matrices"):
                jnp.linalg.inv(jnp.ones((2, 3)))
    assert jnp.linalg.solve(jnp.zeros((0, 0)), jnp.zeros((0,))).shape == (0,)


# ---- loops


def step(y, x):
    for _ in range(5):
        y = y + 0.001 * jnp.sin(y * x)
    return y, y * 2


def test_a_long_scan_is_compiled():
    y0, xs = jnp.linspace(0.1, 1.0, 3), jnp.linspace(0.0, 1.0, 2000)
    compiled = []

    def run(primitive, params, body, args, before=whole.compiled):
        compiled.append(params["length"])
        return before(primitive, params, body, args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(whole, "compiled", run)
        got = lax.scan(step, y0, xs)
        slope = pb.grad(lambda y: lax.scan(step, y, xs)[0].sum())(y0)
    assert compiled == [2000] * 3  # the loop; forward and back
    with numpy_only():
        want = lax.scan(step, y0, xs)
        same = pb.grad(lambda y: lax.scan(step, y, xs)[0].sum())(y0)
    for a, b in zip(pb.tree.leaves(got), pb.tree.leaves(want), strict=True):
        assert a.aval == b.aval
        np.testing.assert_allclose(a, b, rtol=1e-12)
    np.testing.assert_allclose(slope, same, rtol=1e-12)


def test_short_loops_and_those_with_effects_are_left_to_numpy(no_loops):
    lax.scan(step, jnp.ones(3), jnp.ones(20))
    seen = []

    def tells(i, x):
        pb.debug.callback(lambda i: seen.append(int(i)), i)
        return x

    lax.fori_loop(0, 3000, tells, 1.0)
    assert seen == list(range(3000))
    with numpy_only():
        lax.scan(step, jnp.ones(3), jnp.ones(3000))


def collatz(n):
    def follow(state):
        n, count = state
        return jnp.where(n % 2 == 0, n // 2, 3 * n + 1), count + 1

    return lax.while_loop(lambda state: state[0] != 1, follow, (n, 0))[1]


def test_a_long_while_loop_is_compiled_on_its_way(monkeypatch):
    def count(limit):
        return lax.while_loop(lambda c: c[0] < limit, lambda c: (c[0] + 1, c[1] + c[0]), (0, 0))

    rounds = []
    body = numpy_engine.compiled

    def counted(program):
        run = body(program)
        return lambda *xs: rounds.append(program) or run(*xs)

    monkeypatch.setattr(numpy_engine, "compiled", counted)
    assert [int(x) for x in count(100_000)] == [100_000, 99_999 * 50_000]
    assert 100 < len(rounds) < 5_000
    assert int(collatz(jnp.asarray(27))) == 111


def test_a_while_loop_is_the_same_in_all_engines():
    def newton(x):
        return lax.while_loop(
            lambda x: jnp.any(jnp.abs(x**2 - 2) > 1e-12), lambda x: (x + 2 / x) / 2, x
        )

    for engine in ("auto", "native", "numpy"):
        with override("pullback_engine", engine):
            np.testing.assert_allclose(newton(jnp.asarray([1.0, 3.0])), np.sqrt(2), rtol=1e-12)
            assert int(collatz(jnp.asarray(27))) == 111


def deep(x):
    for k in range(30):
        x = jnp.sin(x * (1 + k / 10)) + x
    return x.sum()


def test_derivatives_of_jitted_functions_run_compiled(monkeypatch):
    x, chosen = jnp.linspace(0.0, 1.0, 5), []

    def choose(program, before=whole.choose):
        choice = before(program)
        chosen.append(choice.engine)
        return choice

    monkeypatch.setattr(whole, "choose", choose)
    got = pb.grad(pb.jit(deep))(x)
    assert set(chosen) == {"native"}
    with numpy_only():
        np.testing.assert_allclose(got, pb.grad(pb.jit(deep))(x), rtol=1e-10)


# ---- the setting, the start of a process, threads


def test_the_setting_leaves_all_to_numpy(no_loops, begun):
    key = random.key(0)
    with numpy_only():
        random.normal(key, (100,))
        random.uniform(key, (100,), minval=-1.0)
        random.split(key, 100)
        nn.softmax(jnp.ones(3))
        nn.log_softmax(jnp.ones(3))
        logsumexp(jnp.ones(3))
        lax.erf_inv(jnp.ones(3) / 2)
        pb.grad(pb.jit(deep))(jnp.ones(3))
    with pytest.raises(AssertionError, match="machine code"):
        random.normal(key, (100,))


def test_a_program_that_asks_for_numpy_gets_it(no_loops):
    draw = pb.jit(lambda k: random.normal(k, (100,)), engine="numpy")
    assert draw(random.key(0)).shape == (100,)


START = """
import sys
import pullback
from pullback import lax, random, numpy as jnp
key = random.key(0)
for _ in range(3):
    key, other = random.split(key)
    random.uniform(other, (100,)), random.bits(other, (100,))
lax.scan(lambda c, x: (c + x, c), 0.0, jnp.ones(10))
jnp.linalg.solve(jnp.eye(3), jnp.ones(3))
assert "llvmlite" not in sys.modules
random.normal(other, (3,))
assert "llvmlite" in sys.modules
"""


def test_llvm_is_imported_when_it_is_first_needed():
    # Without a folder of what was made before, which is loaded without LLVM.
    nothing_kept = {**os.environ, "PULLBACK_CACHE_DIR": ""}
    subprocess.run([sys.executable, "-c", START], check=True, env=nothing_kept)


def test_several_threads_draw_the_same():
    key = random.key(9)
    want = np.asarray(random.normal(key, (5000,), "float32"))
    for loop in (eager._normal_loop, eager._row_loop, eager._bits_loop):
        loop.cache_clear()
    found = []

    def draw():
        for _ in range(20):
            numbers = random.normal(key, (5000,), "float32")
            found.append((numbers, nn.softmax(jnp.ones((50, 50), "float32"))))

    threads = [threading.Thread(target=draw) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 80
    for numbers, rows in found:
        np.testing.assert_array_equal(numbers, want)
        np.testing.assert_allclose(rows, 1 / 50, rtol=1e-6)
