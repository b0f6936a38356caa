"""Random bits and keys of the native engine: bit for bit those of the primitives' `eval`."""

import numpy as np
import pytest
import scipy.special
from fuzz import run_kernel
from kernels import compare, kernel_of, meaning, results

import pullback
import pullback.numpy as jnp
from pullback import random
from pullback.engines import numpy as numpy_engine
from pullback.engines.native.program import compile_program
from pullback.ops.random_bits import (
    KEY,
    KEY_FIELD,
    random_bits,
    random_clone,
    random_fold_in,
    random_seed,
    random_split,
    random_unwrap,
    random_wrap,
    threefry2x32,
)
from pullback.ops.random_values import random_gamma, uniform_from_bits
from pullback.ops.slicing import slice_
from pullback.ops.structural import rev

SHAPES = [(), (1,), (3,), (7,), (32,), (33,), (30, 40), (1000,), (5, 1, 3), (100, 3)]


def keys(shape, seed=0):
    words = np.random.default_rng(seed).integers(0, 1 << 32, (*shape, 2), np.uint32)
    out = np.empty(shape, KEY)
    out[KEY_FIELD] = words
    return out


def same_bits(primitive, arrays, params=None):
    """The kernel's results have the bytes of those of `eval`."""
    params = params or {}

    def function(*xs):
        found = primitive(*xs, **params)
        return list(found) if primitive.multiple_results else [found]

    mine = results(kernel_of(function, arrays), arrays)
    for x, y in zip(mine, meaning(primitive, arrays, params), strict=True):
        assert x.dtype == y.dtype
        assert x.shape == y.shape
        assert x.tobytes() == y.tobytes()


@pytest.mark.parametrize("shape", [(), (3,), (8,), (31,), (100,), (5, 70)])
def test_threefry(shape):
    rng = np.random.default_rng(1)
    words = [rng.integers(0, 1 << 32, shape, np.uint32) for _ in range(4)]
    same_bits(threefry2x32, words)
    scalars = [rng.integers(0, 1 << 32, (), np.uint32) for _ in range(2)]
    same_bits(threefry2x32, [*scalars, *words[2:]])


@pytest.mark.parametrize("partitionable", [True, False])
@pytest.mark.parametrize("bit_width", [8, 16, 32, 64])
def test_bits(bit_width, partitionable):
    for shape in SHAPES:
        params = {"bit_width": bit_width, "shape": shape, "partitionable": partitionable}
        with pullback.enable_x64(True):
            same_bits(random_bits, [keys(())], params)


@pytest.mark.parametrize("count", [(2,), (40,), (3, 20)])
def test_bits_and_keys_of_many_keys(count):
    for shape in [(), (1,), (3,), (64,), (5, 7)]:
        for partitionable in (True, False):
            params = {"shape": shape, "partitionable": partitionable}
            same_bits(random_bits, [keys(count)], {"bit_width": 32, **params})
            same_bits(random_split, [keys(count)], params)


def test_split():
    for shape in SHAPES:
        for partitionable in (True, False):
            params = {"shape": shape, "partitionable": partitionable}
            same_bits(random_split, [keys(())], params)


def test_fold_in():
    for shapes in [((), ()), ((3,), (3,)), ((40,), (40,)), ((), (50,)), ((50,), ())]:
        data = np.arange(np.prod(shapes[1], dtype=int), dtype=np.uint32).reshape(shapes[1])
        same_bits(random_fold_in, [keys(shapes[0]), data])


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32", "uint32", "int64", "uint64"])
def test_seeds(dtype):
    info = np.iinfo(dtype)
    edges = np.array([0, 1, info.min, info.max, info.max // 3, 77], dtype)
    same_bits(random_seed, [edges], {"impl": "fry"})
    same_bits(random_seed, [np.resize(edges, 99)], {"impl": "fry"})
    for one in edges:
        same_bits(random_seed, [np.array(one)], {"impl": "fry"})


@pytest.mark.parametrize("shape", [(), (3,), (50,), (4, 20), (0,)])
def test_keys_and_their_words(shape):
    made = keys(shape)
    same_bits(random_unwrap, [made])
    same_bits(random_wrap, [np.ascontiguousarray(made[KEY_FIELD])], {"impl": "fry"})
    same_bits(random_clone, [made])


def test_keys_of_words_that_are_computed_or_not_side_by_side():
    words = np.random.default_rng(3).integers(0, 1 << 32, (2, 60), np.uint32)

    def function(x):
        return [random_wrap(x.T, impl="fry"), random_wrap((x + x).T, impl="fry")]

    args = [jnp.asarray(words)]
    kernel = compile_program(pullback.make_jaxpr(lambda x: function(x))(*args))
    first, second = run_kernel(kernel, [words])
    assert first[KEY_FIELD].tolist() == words.T.tolist()
    assert second[KEY_FIELD].tolist() == (words + words).T.tolist()


def test_keys_are_moved_as_numbers_are():
    many = keys((40,))
    params = {"start_indices": (3,), "limit_indices": (39,), "strides": (4,)}
    same_bits(slice_, [many], params)
    same_bits(rev, [many], {"dimensions": (0,)})
    same_bits(rev, [many[:5]], {"dimensions": (0,)})


def test_uniform_numbers_are_rounded_once():
    for dtype, bits in [("float32", "uint32"), ("float64", "uint64")]:
        words = np.random.default_rng(2).integers(0, np.iinfo(bits).max, 5000, bits)
        for low, high in [(0, 1), (-1, 1), (0.1, 0.7), (-3.3, 1e5)]:
            bounds = [np.array(b, dtype) for b in (low, high)]
            same_bits(uniform_from_bits, [words, *bounds])


def test_uniform_numbers_of_half_width():
    for dtype, bits in [(np.float16, "uint16"), (jnp.bfloat16, "uint8")]:
        words = np.arange(np.iinfo(bits).max, dtype=bits)
        bounds = [np.array(b, dtype) for b in (-1, 1)]
        compare(uniform_from_bits, [words, *bounds], {}, signs=False)


# ---- whole programs


def run(function, *args):
    """A function's results on the native engine, and on the NumPy engine."""
    closed = pullback.make_jaxpr(function)(*args)
    arrays = [np.asarray(x._value) for x in pullback.tree_util.tree_leaves(args)]
    mine = run_kernel(compile_program(closed), arrays)
    return mine, [np.asarray(y) for y in numpy_engine.compiled(closed)(*arrays)]


def test_samplers_give_the_bits_of_the_other_engine():
    key = random.PRNGKey(5)
    for sample in (
        lambda k: random.uniform(k, (30, 40)),
        lambda k: random.uniform(random.split(k, 3)[1], (5,), minval=-2, maxval=3),
        lambda k: random.randint(k, (30, 40), -7, 1000),
        lambda k: random.permutation(k, 100),
        lambda k: random.bernoulli(k, 0.3, (77,)),
        lambda k: pullback.vmap(lambda s: random.uniform(s, (3,)))(random.split(k, 20)),
        lambda k: random.categorical(k, jnp.arange(12.0), shape=(30,)),
    ):
        mine, wanted = run(sample, key)
        for x, y in zip(mine, wanted, strict=True):
            assert x.tobytes() == y.tobytes()


def test_normal_numbers_are_those_of_uniform_ones():
    key = random.key(2)
    least = float(np.nextafter(np.float32(-1), np.float32(0)))
    for shape in [(), (3,), (30, 40)]:

        def sample(k, shape=shape):
            return random.normal(k, shape), random.uniform(k, shape, minval=least, maxval=1)

        (mine, uniform), _ = run(sample, key)
        exact = np.sqrt(2) * scipy.special.erfinv(uniform.astype(np.float64))
        # In float32, 1 - x * x is known to 1e-4 of itself where |x| is 0.9998.
        np.testing.assert_allclose(mine, exact, rtol=2e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("log_space", [False, True])
def test_gamma(dtype, log_space):
    rng = np.random.default_rng(4)
    edges = np.array([1e-30, 0.1, 1, 1.5, 1e4, np.inf, np.nan], dtype)
    for partitionable in (True, False):
        params = {"log_space": log_space, "partitionable": partitionable}
        for shape, alphas in [
            ((), rng.uniform(0.1, 3, ()).astype(dtype)),
            ((), edges),
            ((4,), rng.uniform(0.1, 3, (4, 50)).astype(dtype)),
        ]:
            given = [keys(shape), alphas]
            with pullback.enable_x64(True):
                kernel = kernel_of(lambda k, a, p=params: [random_gamma(k, a, **p)], given)
                (mine,), (wanted,) = results(kernel, given), meaning(random_gamma, given, params)
            assert mine.dtype == wanted.dtype
            np.testing.assert_allclose(mine, wanted, rtol=20 * np.finfo(dtype).eps, atol=1e-6)


def test_keys_are_carried_through_loops():
    def walk(key):
        def step(carry, _):
            key, x = carry
            key, use = random.split(key)
            return (key, x + random.uniform(use, (3,))), x

        return pullback.lax.scan(step, (key, jnp.zeros(3)), None, length=9)

    for key in (random.key(1), random.PRNGKey(1)):
        mine, wanted = run(walk, key)
        for x, y in zip(mine, wanted, strict=True):
            assert x.tobytes() == y.tobytes()


def test_bits_are_made_inside_the_loop_that_uses_them():
    closed = pullback.make_jaxpr(lambda k: random.uniform(k, (500,)).sum())(random.key(0))
    assert compile_program(closed).arena == 0
