"""Random numbers: those that JAX gives for the same keys, in both layouts, and their mistakes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from draws.cases import CASES

import pullback
from pullback import grad, jit, jvp, random, vmap
from pullback import numpy as jnp
from pullback.core.dtypes import KEY_TYPES
from pullback.core.settings import enable_x64, override, threefry_partitionable
from pullback.ops.threefry import threefry

RECORDED = json.loads(Path(__file__).with_name("draws").joinpath("numbers.json").read_text())
TOLERANCE = {"float16": 4e-3, "bfloat16": 1e-2, "float64": 1e-12, "complex128": 1e-12}
LAYOUTS = [
    pytest.param(case, *layout, recorded, id=f"{case}-{'-'.join(names)}")
    for case in CASES
    for layout, recorded in zip(case.layouts, RECORDED["cases"][f"{case}"], strict=True)
    for names in [[n for n, on in zip(("partitionable", "x64"), layout, strict=True) if on]]
]


@pytest.fixture
def key():
    return random.key(7)


def data(keys):
    return np.asarray(random.key_data(keys))


# ---- the numbers of JAX


@pytest.mark.parametrize(("case", "partitionable", "x64", "recorded"), LAYOUTS)
def test_numbers_are_those_of_jax(case, partitionable, x64, recorded):
    with enable_x64(x64), threefry_partitionable(partitionable):
        key = random.key(RECORDED["seed"])
        out = np.asarray(getattr(random, case.name)(key, *case.args, **case.params))
    assert out.dtype.name == recorded["dtype"]
    assert list(out.shape) == recorded["shape"]
    if out.dtype.kind == "c":
        out = out.astype("complex128").reshape(-1).view("float64")
    elif out.dtype.kind not in "biu":
        out = out.astype("float64")
    want = np.array(recorded["elements"], out.dtype).reshape(-1)
    if case.exact:
        np.testing.assert_array_equal(out.reshape(-1), want)
    else:
        tolerance = TOLERANCE.get(recorded["dtype"], 2e-5)
        np.testing.assert_allclose(out.reshape(-1), want, rtol=tolerance, atol=tolerance / 10)


def test_keys_are_those_of_jax():
    # jax.random.key_data(jax.random.split(jax.random.key(0), 3)), and fold_in(key, 7)
    for layout, split in (
        (True, [[1797259609, 2579123966], [928981903, 3453687069], [4146024105, 2718843009]]),
        (False, [[2467461003, 428148500], [3186719485, 3840466878], [2562233961, 1946702221]]),
    ):
        with threefry_partitionable(layout):
            assert data(random.split(random.key(0), 3)).tolist() == split
            assert data(random.fold_in(random.key(0), 7)).tolist() == [2716826189, 292468403]


def test_seeds_are_64_bits_with_x64_and_32_without():
    seeds = -5, 2**40 + 3
    assert [data(random.key(s)).tolist() for s in seeds] == [[0, 2**32 - 5], [0, 3]]
    with enable_x64():
        assert [data(random.key(s)).tolist() for s in seeds] == [[2**32 - 1, 2**32 - 5], [256, 3]]


INPUTS = [[0.52, 1.12, 0.77], [0.88, -1.08, 0.15], [0.52, 0.06, -1.30], [0.74, -2.49, 1.39]]


def predict(w, b):
    return 0.5 * (jnp.tanh((jnp.dot(jnp.array(INPUTS), w) + b) / 2) + 1)


def loss(w, b):
    targets = jnp.array([True, True, False, True])
    p = predict(w, b)
    return -jnp.sum(jnp.log(p * targets + (1 - p) * (1 - targets)))


def weights():
    _, w_key, b_key = random.split(random.key(0), 3)
    return random.normal(w_key, (3,)), random.normal(b_key, ())


def test_published_numbers():
    """Those of the documents 000 (the original layout) and 002 (the partitionable one)."""
    with threefry_partitionable(False):
        w, b = weights()
    slope = [-0.16965583, -0.8774644, -1.4901346]
    np.testing.assert_allclose(grad(loss)(w, b), slope, rtol=2e-6)
    with threefry_partitionable(True):
        w, b = weights()
    p = predict(w, b)
    slope = [0.09748875, 0.16102302, 0.24190766, 0.00776229]
    np.testing.assert_allclose(p * (1 - p), slope, rtol=1e-5)


# ---- keys


def test_a_key_is_a_scalar_array_of_its_own_dtype(key):
    assert (key.shape, key.ndim, key.dtype) == ((), 0, KEY_TYPES["fry"])
    assert jnp.issubdtype(key.dtype, pullback.dtypes.prng_key)
    assert not jnp.issubdtype(random.PRNGKey(0).dtype, pullback.dtypes.prng_key)
    assert repr(key) == "Array((), dtype=key<fry>) overlaying:\n[0 7]"
    assert random.key_impl(key) == "threefry2x32"
    assert random.key_dtype() == key.dtype
    with pytest.raises(TypeError, match=r"random keys have no NumPy form"):
        np.asarray(key)


def test_keys_can_be_indexed_stacked_iterated_and_reshaped(key):
    keys = random.split(key, (2, 3))
    assert keys.shape == (2, 3)
    rows = [data(row) for row in keys]
    np.testing.assert_array_equal(np.stack(rows), data(keys))
    np.testing.assert_array_equal(data(keys[1, 2]), data(keys)[1, 2])
    np.testing.assert_array_equal(data(jnp.stack([keys[0], keys[1]])), data(keys))
    np.testing.assert_array_equal(data(keys.reshape(6)), data(keys).reshape(6, 2))


def test_raw_keys_give_the_same_numbers(key):
    raw = random.PRNGKey(7)
    assert raw.dtype == jnp.uint32
    np.testing.assert_array_equal(raw, data(key))
    np.testing.assert_array_equal(random.split(raw, 3), data(random.split(key, 3)))
    np.testing.assert_array_equal(random.fold_in(raw, 3), data(random.fold_in(key, 3)))
    np.testing.assert_array_equal(random.normal(raw, (4,)), random.normal(key, (4,)))
    np.testing.assert_array_equal(random.normal(np.asarray(raw), (4,)), random.normal(key, (4,)))
    np.testing.assert_array_equal(data(random.wrap_key_data(raw)), data(key))
    np.testing.assert_array_equal(random.clone(raw), raw)
    np.testing.assert_array_equal(data(random.clone(key)), raw)
    with override("jax_enable_custom_prng", True):
        assert random.PRNGKey(7).dtype == key.dtype


def test_raw_keys_can_be_forbidden(key):
    raw = random.PRNGKey(7)
    with override("jax_legacy_prng_key", "error"):
        random.normal(key)
        with pytest.raises(ValueError, match="raw uint32 key array"):
            random.normal(raw)
    with override("jax_legacy_prng_key", "warn"), pytest.warns(UserWarning, match="raw uint32"):
        random.normal(raw)


# ---- under transformations


def test_vmap_over_keys_is_a_loop(key):
    keys = random.split(key, 4)
    for draw in (
        lambda k: random.normal(k, (3,)),
        lambda k: random.randint(k, (3,), 0, 10),
        lambda k: random.permutation(k, 5),
        lambda k: random.gamma(k, jnp.array([0.5, 2.0])),
        lambda k: random.poisson(k, 4.0, (3,)),
        lambda k: random.key_data(random.split(k)),
        lambda k: random.key_data(random.fold_in(k, 3)),
        lambda k: random.choice(k, 5, (2,), p=jnp.array([0.1, 0.2, 0.3, 0.2, 0.2])),
    ):
        looped = np.stack([np.asarray(draw(k)) for k in keys])
        np.testing.assert_array_equal(vmap(draw)(keys), looped)
        np.testing.assert_array_equal(vmap(draw, out_axes=-1)(keys), np.moveaxis(looped, 0, -1))


def test_vmap_over_data_and_parameters(key):
    steps = jnp.arange(4)
    folded = vmap(random.fold_in, in_axes=(None, 0))(key, steps)
    looped = [data(random.fold_in(key, i)) for i in range(4)]
    np.testing.assert_array_equal(data(folded), looped)
    lows = jnp.array([0.0, 10.0])
    drawn = vmap(lambda low: random.uniform(key, (3,), minval=low, maxval=low + 1))(lows)
    looped = [random.uniform(key, (3,), minval=low, maxval=low + 1) for low in lows]
    np.testing.assert_array_equal(drawn, np.stack(looped))
    seeded = vmap(random.key)(steps)
    np.testing.assert_array_equal(data(seeded), [data(random.key(i)) for i in range(4)])


def test_jit_gives_the_same_numbers(key):
    for draw in (
        lambda k: random.normal(k, (3, 2)),
        lambda k: random.key_data(random.split(k)),
        lambda k: random.categorical(k, jnp.log(jnp.array([0.1, 0.9])), shape=(4,)),
        lambda k: random.truncated_normal(k, -1.0, 1.0, (3,)),
    ):
        np.testing.assert_array_equal(jit(draw)(key), draw(key))
    gamma = lambda k: random.gamma(k, 2.0, (3,))  # noqa: E731  (logs and powers of two engines)
    np.testing.assert_allclose(jit(gamma)(key), gamma(key), rtol=1e-6)
    keys = jit(random.split, static_argnums=1)(key, 3)
    assert keys.dtype == key.dtype
    np.testing.assert_array_equal(data(keys), data(random.split(key, 3)))
    raw = random.PRNGKey(7)
    np.testing.assert_array_equal(jit(random.split)(raw), random.split(raw))
    np.testing.assert_array_equal(data(jit(random.key)(7)), data(key))


def test_the_layout_is_read_when_the_function_is_called(key):
    draw = jit(lambda k: random.normal(k, (4,)))
    for layout in (True, False, True):
        with threefry_partitionable(layout):
            np.testing.assert_array_equal(draw(key), random.normal(key, (4,)))
    with threefry_partitionable(True):
        first = random.normal(key, (4,))
    with threefry_partitionable(False):
        assert not np.allclose(random.normal(key, (4,)), first)


def test_samples_are_differentiable_in_their_parameters(key):
    def check(draw, x):
        h = 1e-6
        _, slope = jvp(draw, (x,), (1.0,))
        difference = (draw(x + h) - draw(x - h)) / (2 * h)
        np.testing.assert_allclose(slope, difference, rtol=1e-5, atol=1e-7)

    with enable_x64():
        check(lambda low: random.uniform(key, (4,), minval=low, maxval=3.0), 1.0)
        check(lambda low: random.truncated_normal(key, low, 2.0, (4,)), -1.0)
        check(lambda scale: random.rayleigh(key, scale, (4,)), 2.0)


def test_gamma_samples_are_differentiable_at_a_fixed_probability(key):
    from scipy import stats

    with enable_x64():
        for a in 0.3, 1.5, 20.0:
            x, slope = jvp(lambda a: random.gamma(key, a, (5,)), (a,), (1.0,))
            x, h = np.asarray(x), 1e-5 * a
            p = stats.gamma.cdf(x, a)
            want = (stats.gamma.ppf(p, a + h) - stats.gamma.ppf(p, a - h)) / (2 * h)
            np.testing.assert_allclose(slope, want, rtol=1e-4)
            logs, log_slope = jvp(lambda a: random.loggamma(key, a, (5,)), (a,), (1.0,))
            y = np.exp(np.asarray(logs))
            p = stats.gamma.cdf(y, a)
            want = (stats.gamma.ppf(p, a + h) - stats.gamma.ppf(p, a - h)) / (2 * h) / y
            np.testing.assert_allclose(log_slope, want, rtol=1e-4)


def test_integers_and_choices_have_no_derivative(key):
    def f(x):
        chosen = random.choice(key, jnp.stack([x, 2 * x, 3 * x]), (2,))
        return jnp.sum(chosen) + random.randint(key, (), 0, 10)

    chosen = random.choice(key, jnp.array([1.0, 2.0, 3.0]), (2,))
    np.testing.assert_allclose(grad(f)(1.5), jnp.sum(chosen))


# ---- what is drawn


@pytest.mark.parametrize(
    ("name", "args", "law", "parameters"),
    [
        ("uniform", (), "uniform", ()),
        ("normal", (), "norm", ()),
        ("exponential", (), "expon", ()),
        ("gumbel", (), "gumbel_r", ()),
        ("laplace", (), "laplace", ()),
        ("logistic", (), "logistic", ()),
        ("cauchy", (), "cauchy", ()),
        ("maxwell", (), "maxwell", ()),
        ("gamma", (0.3,), "gamma", (0.3,)),
        ("gamma", (4.5,), "gamma", (4.5,)),
        ("beta", (0.5, 2.0), "beta", (0.5, 2.0)),
        ("chisquare", (3.0,), "chi2", (3.0,)),
        ("t", (3.0,), "t", (3.0,)),
        ("f", (5.0, 3.0), "f", (5.0, 3.0)),
        ("pareto", (2.5,), "pareto", (2.5,)),
        ("rayleigh", (2.0,), "rayleigh", (0, 2.0)),
        ("weibull_min", (2.0, 1.5), "weibull_min", (1.5, 0, 2.0)),
        ("truncated_normal", (-1.0, 2.0), "truncnorm", (-1.0, 2.0)),
        ("lognormal", (0.5,), "lognorm", (0.5,)),
        ("triangular", (-1.0, 0.5, 2.0), "triang", (0.5, -1.0, 3.0)),
        ("wald", (1.5,), "invgauss", (1.5,)),
        ("generalized_normal", (1.5,), "gennorm", (1.5,)),
    ],
)
def test_samples_follow_their_law(name, args, law, parameters):
    from scipy import stats

    drawn = getattr(random, name)(random.key(1), *args, shape=(20000,))
    found = stats.kstest(np.asarray(drawn), law, parameters)
    assert found.pvalue > 1e-3, found


@pytest.mark.parametrize("name", ["int8", "uint8", "uint16", "uint32"])
def test_poisson_of_every_integer_dtype(name):
    drawn = random.poisson(random.key(3), 3.0, (5,), jnp.dtype(name))
    assert drawn.dtype == name
    np.testing.assert_array_equal(drawn, random.poisson(random.key(3), 3.0, (5,)))
    for sampler in (random.poisson, random.geometric):
        with pytest.raises(ValueError, match="only accepts integer dtypes"):
            sampler(random.key(3), 0.5, (5,), jnp.float32)


def test_counts_follow_their_law():
    for name, args, mean, variance in (
        ("poisson", (3.0,), 3, 3),
        ("poisson", (40.0,), 40, 40),
        ("binomial", (10.0, 0.3), 3, 2.1),
        ("binomial", (200.0, 0.7), 140, 42),
        ("geometric", (0.25,), 4, 12),
        ("bernoulli", (0.3,), 0.3, 0.21),
        ("randint", (), 4.5, 8.25),
    ):
        n = 20000
        shape = (n,)
        if name == "randint":
            drawn = random.randint(random.key(1), shape, 0, 10)
        else:
            drawn = getattr(random, name)(random.key(1), *args, shape=shape)
        drawn = np.asarray(drawn).astype(float)
        assert abs(drawn.mean() - mean) < 4 * np.sqrt(variance / n), name
        assert abs(drawn.var() / variance - 1) < 0.06, name


def test_choices_follow_their_probabilities(key):
    p = np.array([0.1, 0.2, 0.3, 0.4])
    for drawn in (
        random.choice(key, 4, (20000,), p=p),
        random.categorical(key, jnp.log(p), shape=(20000,)),
        random.categorical(key, jnp.log(p), shape=(20000,), mode="high"),
    ):
        np.testing.assert_allclose(np.bincount(drawn, minlength=4) / 20000, p, atol=0.012)
    counts = random.multinomial(key, 1000.0, jnp.array(p))
    assert float(counts.sum()) == 1000
    np.testing.assert_allclose(counts / 1000, p, atol=0.06)


def test_without_replacement_all_are_different(key):
    p = jnp.array([0.1, 0.2, 0.3, 0.4])
    for drawn in (
        random.choice(key, 4, (4,), replace=False),
        random.choice(key, 4, (4,), replace=False, p=p),
        random.categorical(key, jnp.log(p), shape=(4,), replace=False),
        random.permutation(key, 4),
    ):
        assert sorted(drawn.tolist()) == [0, 1, 2, 3]


@pytest.mark.parametrize("n", [1, 2, 5, 63, 64])
def test_few_counters_are_hashed_as_many_are(n):
    edges = np.array([0, 1, 2**31, 2**32 - 1], np.uint32)
    draw = np.random.default_rng(n).integers(0, 2**32, (4, n), np.uint32)
    for words in (draw, np.resize(edges, (4, n)), np.full((4, n), edges[3])):
        few = words[2].copy(), words[3].copy()
        many = np.resize(words, (4, 4096))  # NumPy does these, Python's integers those
        many[:, :n] = words
        threefry(words[0], words[1], *few)
        threefry(many[0], many[1], many[2], many[3])
        np.testing.assert_array_equal(few, many[2:, :n])


def test_large_and_empty_shapes(key):
    drawn = random.normal(key, (300, 1000))
    assert abs(float(drawn.mean())) < 0.01 and abs(float(drawn.std()) - 1) < 0.01
    for draw in random.normal, random.bits, random.exponential, random.gumbel:
        assert draw(key, (0, 3)).shape == (0, 3)
    assert random.split(key, 0).shape == (0,)
    assert random.permutation(key, jnp.zeros((0, 3))).shape == (0, 3)


# ---- mistakes


def message(call):
    with pytest.raises((TypeError, ValueError, OverflowError, NotImplementedError)) as caught:
        call()
    lines = str(caught.value).split("\n  ")
    assert [line.split(":")[0] for line in lines[1:]] == ["Got", "Where", "Fix"]
    assert __file__ in lines[2]
    return f"{type(caught.value).__name__}: {lines[0]} | {lines[1]} | {lines[3]}"


MISTAKES = [
    (
        lambda key: random.normal(0, (3,)),
        "TypeError: random.normal needs a random key. | Got: i32[] | Fix: make one with "
        "random.key(seed), and get more with random.split(key).",
    ),
    (
        lambda key: random.normal("key"),
        "TypeError: random.normal needs a random key. | Got: 'key' of type str | Fix: make one "
        "with random.key(seed), and get more with random.split(key).",
    ),
    (
        lambda key: random.uniform(jnp.zeros(3)),
        "TypeError: random.uniform needs a random key. | Got: f32[3] | Fix: make one with "
        "random.key(seed), and get more with random.split(key).",
    ),
    (
        lambda key: random.normal(random.split(key)),
        "ValueError: random.normal accepts a single key, but was given a key array of shape (2,). "
        "| Got: key<fry>[2] | Fix: use vmap to map over keys, or index one of them: keys[0].",
    ),
    (
        lambda key: random.split(random.split(key)),
        "ValueError: random.split accepts a single key, but was given a key array of shape (2,). "
        "| Got: key<fry>[2] | Fix: use vmap to map over keys, or index one of them: keys[0].",
    ),
    (
        lambda key: random.normal(key, (3, -1)),
        "ValueError: random.normal: a shape has no negative lengths. | Got: shape=(3, -1) "
        "| Fix: give lengths of 0 or more.",
    ),
    (
        lambda key: random.normal(key, (2.5,)),
        "TypeError: the argument `shape` of random.normal must be an integer. | Got: 2.5 of type "
        "float | Fix: give an integer; convert with int(...) if that is meant.",
    ),
    (
        lambda key: random.normal(key, (3,), jnp.int32),
        "ValueError: dtype argument to `normal` must be a float or complex dtype, got int32. "
        "| Got: dtype=int32 | Fix: use jnp.float32, or leave dtype away.",
    ),
    (
        lambda key: random.uniform(key, (3,), complex),
        "ValueError: dtype argument to `uniform` must be a float dtype, got complex64. "
        "| Got: dtype=complex64 | Fix: use jnp.float32, or leave dtype away.",
    ),
    (
        lambda key: random.randint(key, (3,), 0, 10, jnp.float32),
        "TypeError: randint only accepts integer dtypes, got float32. | Got: dtype=float32 "
        "| Fix: use jnp.int32, or leave dtype away.",
    ),
    (
        lambda key: random.bits(key, (3,), jnp.int32),
        "ValueError: dtype argument to `bits` must be an unsigned int dtype, got int32. "
        "| Got: dtype=int32 | Fix: use jnp.uint32, or leave dtype away.",
    ),
    (
        lambda key: random.bernoulli(key, 1),
        "TypeError: bernoulli probability `p` must have a floating dtype, got int32. "
        "| Got: i32[] | Fix: convert it with .astype(float).",
    ),
    (
        lambda key: random.gamma(key, jnp.ones(3), (2,)),
        "ValueError: random.gamma: the shapes of the parameters do not fit the shape of the "
        "result. | Got: parameters of shapes (3,) and shape=(2,) | Fix: the parameters must "
        "broadcast to shape; leave shape away to take theirs.",
    ),
    (
        lambda key: random.choice(key, 3, (4,), replace=False),
        "ValueError: Cannot take a larger sample (size 4) than population (size 3) when "
        "'replace=False'. | Got: 4 draws from 3 elements | Fix: draw fewer, or use replace=True.",
    ),
    (
        lambda key: random.choice(key, 3, (2,), p=jnp.ones(4)),
        "ValueError: p must be None or a 1D vector with the same size as a.shape[axis]. "
        "| Got: p of shape (4,) for 3 elements | Fix: give one probability for each element.",
    ),
    (
        lambda key: random.choice(key, 0, (2,)),
        "ValueError: random.choice: there is nothing to choose from. | Got: 0 elements "
        "| Fix: a must have at least one element unless no samples are taken.",
    ),
    (
        lambda key: random.permutation(key, 2.5),
        "TypeError: random.permutation: x must be an integer or at least 1-dimensional. "
        "| Got: f32[] | Fix: give an array of the elements, or the number of them.",
    ),
    (
        lambda key: random.gumbel(key, mode="middle"),
        "ValueError: random.gumbel has no mode 'middle'. | Got: mode='middle' "
        "| Fix: use 'low', 'high' or 'highest'.",
    ),
    (
        lambda key: random.key(1.5),
        "TypeError: the seed of a random key must be an integer. | Got: f32[] "
        "| Fix: use an int, such as random.key(0).",
    ),
    (
        lambda key: random.key(jnp.arange(3)),
        "TypeError: random.key accepts a scalar seed. | Got: i32[3] | Fix: give one integer; use "
        "vmap to make many keys, or random.split.",
    ),
    (
        lambda key: random.key(2**70),
        f"OverflowError: the seed of a random key must fit 64 bits. | Got: {2**70} | Fix: use a "
        "smaller integer, e.g. seed % 2**63.",
    ),
    (
        lambda key: random.key(0, impl="rbg"),
        "NotImplementedError: random keys of impl='rbg' cannot be made here. | Got: impl='rbg' "
        '| Fix: use impl="threefry2x32", the default.',
    ),
    (
        lambda key: random.key(0, impl="dice"),
        "ValueError: random.key: unrecognized PRNG implementation 'dice'. | Got: impl='dice' "
        '| Fix: use impl="threefry2x32", the default.',
    ),
    (
        lambda key: random.fold_in(key, jnp.arange(3)),
        "TypeError: random.fold_in accepts a scalar. | Got: i32[3] | Fix: use vmap to fold in many "
        "integers.",
    ),
    (
        lambda key: random.fold_in(key, -1),
        "OverflowError: random.fold_in takes an integer of 32 bits without a sign. | Got: data=-1 "
        "| Fix: use data % 2**32.",
    ),
    (
        lambda key: random.wrap_key_data(jnp.zeros(2, jnp.int32)),
        "TypeError: the data of random keys must be uint32 with a last axis of 2. | Got: i32[2] "
        "| Fix: use random.key(seed), or the words that random.key_data(key) gives.",
    ),
    (
        lambda key: random.wrap_key_data(jnp.zeros(3, jnp.uint32)),
        "TypeError: the data of random keys must be uint32 with a last axis of 2. | Got: u32[3] "
        "| Fix: use random.key(seed), or the words that random.key_data(key) gives.",
    ),
    (
        lambda key: random.multivariate_normal(key, jnp.ones(2), jnp.eye(2), method="lu"),
        "ValueError: method must be one of {'svd', 'eigh', 'cholesky'}. | Got: method='lu' "
        '| Fix: use "cholesky", the default; "eigh" or "svd" for singular matrices.',
    ),
    (
        lambda key: random.multivariate_normal(key, jnp.ones(2), jnp.eye(3)),
        "ValueError: random.multivariate_normal needs a mean of n elements and a covariance of "
        "n x n. | Got: mean of shape (2,) and cov of shape (3, 3) | Fix: give mean.shape == "
        "(..., n) and cov.shape == (..., n, n).",
    ),
]


@pytest.mark.parametrize(("call", "text"), MISTAKES, ids=[t.split(" |")[0] for _, t in MISTAKES])
def test_mistakes(call, text, key):
    assert message(lambda: call(key)) == text


def test_a_traced_shape_is_a_mistake(key):
    text = message(lambda: jit(lambda n: random.normal(key, (n,)))(3))
    assert text.startswith(
        "ConcretizationTypeError: the argument `shape` of random.normal decides a shape or an axis"
    )


def test_the_recorded_cases_have_names_of_their_own():
    assert len({f"{case}" for case in CASES}) == len(CASES) == len(RECORDED["cases"])
