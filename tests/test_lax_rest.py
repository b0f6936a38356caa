"""Ragged and scaled products, bits without keys, tokens, composites, and what else lax has."""

from __future__ import annotations

import numpy as np
import peer
import pytest

import pullback as pb
import pullback.numpy as jnp
from pullback import lax, nn
from pullback.ops.bit_generator import rng_bit_generator
from pullback.ops.integers import mulhi
from pullback.test_util import check_grads

if peer.INSTALLED:
    import jax

needs_jax = pytest.mark.skipif(not peer.INSTALLED, reason="JAX is not installed")
rng = np.random.default_rng(11)


# ---- ragged products


def rows_by_groups(x, w, sizes):
    out, start = np.zeros((x.shape[0], w.shape[-1])), 0
    for g, n in enumerate(sizes):
        out[start : start + n] = x[start : start + n] @ w[g]
        start += n
    return out


@pytest.mark.parametrize("sizes", [[1, 2, 3], [0, 6, 0], [2, 0, 1], [3, 4, 5], [0, 0, 0]])
def test_ragged_dot(sizes):
    x, w = rng.normal(size=(6, 4)), rng.normal(size=(3, 4, 2))
    with pb.enable_x64():
        got = lax.ragged_dot(x, w, jnp.array(sizes))
        np.testing.assert_allclose(got, rows_by_groups(x, w, sizes), 1e-12)
        check_grads(lambda x, w: lax.ragged_dot(x, w, jnp.array(sizes)), (x, w), 2)


def test_ragged_dot_under_transformations():
    x, w = rng.normal(size=(2, 5, 3)), rng.normal(size=(2, 2, 3, 4))
    sizes = np.array([[1, 4], [2, 1]])
    with pb.enable_x64():
        got = pb.jit(pb.vmap(lax.ragged_dot))(x, w, sizes)
    want = [rows_by_groups(*each) for each in zip(x, w, sizes)]
    np.testing.assert_allclose(got, want, 1e-12)


def test_ragged_dot_general_with_batch_and_contracted_axes():
    x, w = rng.normal(size=(4, 6, 3)), rng.normal(size=(2, 3, 4, 5))
    sizes = np.array([[1, 3], [2, 4], [0, 6], [5, 0]])
    with pb.enable_x64():
        numbers = lax.RaggedDotDimensionNumbers((((2,), (1,)), ((0,), (2,))), [1], [0])
        got = lax.ragged_dot_general(x, w, sizes, numbers)
        want = [rows_by_groups(x[b], w[:, :, b], sizes[b]) for b in range(4)]
        np.testing.assert_allclose(got, want, 1e-12)
        # The contracted axis is ragged: one product for each group.
        numbers = lax.RaggedDotDimensionNumbers((((1,), (0,)), ((), ())), [1], [])
        y = rng.normal(size=(6, 5))
        got = lax.ragged_dot_general(x, y, np.array([1, 3]), numbers)
        want = [x[:, :1].transpose(0, 2, 1) @ y[:1], x[:, 1:4].transpose(0, 2, 1) @ y[1:4]]
        np.testing.assert_allclose(got, want, 1e-12)
        # A batch axis is ragged: every batch is multiplied.
        numbers = lax.RaggedDotDimensionNumbers((((2,), (1,)), ((0,), (0,))), [0], [])
        z = rng.normal(size=(4, 3, 5))
        np.testing.assert_allclose(lax.ragged_dot_general(x, z, np.array([1, 1]), numbers), x @ z)


@needs_jax
def test_ragged_products_are_those_of_jax():
    x, w = rng.normal(size=(4, 6, 3)), rng.normal(size=(4, 3, 5))
    sizes = np.array([[1, 3], [2, 4], [0, 6], [5, 0]], np.int32)
    cases = [
        (x[0], rng.normal(size=(2, 3, 5)), sizes[0], (((1,), (1,)), ((), ())), [0], [0]),
        (x, rng.normal(size=(2, 4, 3, 5)), sizes, (((2,), (2,)), ((0,), (1,))), [1], [0]),
        (x, w, sizes[0], (((2,), (1,)), ((0,), (0,))), [0], []),
        (x[0], rng.normal(size=(6, 5)), sizes[1], (((0,), (0,)), ((), ())), [0], []),
    ]
    for *arrays, dot, ragged, groups in cases:
        arrays = [a.astype(np.float32) if a.dtype == np.float64 else a for a in arrays]
        ours, theirs = (
            module.ragged_dot_general(
                *arrays, module.RaggedDotDimensionNumbers(dot, ragged, groups)
            )
            for module in (lax, jax.lax)
        )
        np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), 1e-5, 1e-5)


@pytest.mark.parametrize(
    ("message", "call"),
    [
        (
            "rhs has 3 groups, but there are 2 sizes",
            lambda x, w: lax.ragged_dot(x, w, jnp.array([1, 2])),
        ),
        (
            "group sizes must be integers",
            lambda x, w: lax.ragged_dot(x, w, jnp.array([1.0, 2.0, 3.0])),
        ),
        (
            "lhs needs exactly one ragged axis",
            lambda x, w: lax.ragged_dot_general(
                x,
                w,
                jnp.array([1, 2, 3]),
                lax.RaggedDotDimensionNumbers((((1,), (1,)), ((), ())), [0, 1], [0]),
            ),
        ),
        (
            "rhs needs exactly one group axis, where a free axis of lhs is ragged",
            lambda x, w: lax.ragged_dot_general(
                x,
                w,
                jnp.array([1, 2, 3]),
                lax.RaggedDotDimensionNumbers((((1,), (1,)), ((), ())), [0], []),
            ),
        ),
    ],
)
def test_messages_of_ragged_products(message, call):
    with pytest.raises(TypeError) as raised:
        call(jnp.ones((6, 4)), jnp.ones((3, 4, 2)))
    assert str(raised.value).startswith(f"ragged_dot_general: {message}.\n  Got: f32[6,4], ")


def test_ragged_all_to_all_against_a_loop():
    count, per, n, m = 3, 2, 8, 12
    x = rng.normal(size=(count, n, 2)).astype(np.float32)
    sizes = rng.integers(0, 3, (count, count * per))
    starts = np.minimum(rng.integers(0, n, sizes.shape), n - sizes)
    # Each receiver has its own place for each slice.
    places = np.zeros_like(sizes)
    want = np.zeros((count, m, 2), np.float32)
    for receiver in range(count):
        at = 0
        for sender in range(count):
            for i in range(receiver * per, receiver * per + per):
                places[sender, i] = at
                size, start = sizes[sender, i], starts[sender, i]
                want[receiver, at : at + size] = x[sender, start : start + size]
                at += size
    arriving = sizes.reshape(count, count, per).transpose(1, 0, 2).reshape(count, -1)

    def exchange(x, *tables):
        out = jnp.zeros((m, 2))
        return lax.ragged_all_to_all(x, out, *tables, axis_name="i")

    mapped = pb.vmap(exchange, axis_name="i")
    np.testing.assert_array_equal(mapped(x, starts, sizes, places, arriving), want)
    back = pb.grad(lambda x: (mapped(x, starts, sizes, places, arriving) ** 2).sum() / 2)(x)
    counted = np.zeros_like(x)
    for sender in range(count):
        for i in range(count * per):
            start = starts[sender, i]
            counted[sender, start : start + sizes[sender, i]] += 1
    np.testing.assert_allclose(back, counted * x)


# ---- scaled products


def test_scaled_dot():
    x, w = rng.integers(-4, 5, (3, 4)).astype(np.float32), np.ones((4, 2), np.float32)
    scale = np.float32([[1, 2], [0.5, 4], [8, 1]])
    got = lax.scaled_dot(x, w, lhs_scale=scale, preferred_element_type=jnp.float32)
    np.testing.assert_array_equal(got, (x * np.repeat(scale, 2, 1)) @ w)
    assert lax.scaled_dot(x, w).dtype == jnp.bfloat16
    with pytest.raises(TypeError, match="the scale of lhs must have its shape"):
        lax.scaled_dot(x, w, lhs_scale=np.ones((3, 3), np.float32))
    with pytest.raises(TypeError, match="of one rank of at least 2"):
        lax.scaled_dot(x[0], w[:, 0])


def test_scaled_matmul():
    x, y = rng.normal(size=(2, 3, 6)), rng.normal(size=(2, 4, 6))
    a, b = rng.normal(size=(2, 3, 2)), rng.normal(size=(2, 4, 2))
    got = nn.scaled_matmul(*(v.astype(np.float32) for v in (x, y, a, b)))
    want = np.einsum("bmk,bnk->bmn", x * np.repeat(a, 3, -1), y * np.repeat(b, 3, -1))
    np.testing.assert_allclose(got, want, 1e-4, 1e-4)
    with pytest.raises(ValueError, match="all arrays must have three axes"):
        nn.scaled_matmul(x[0], y, a, b)
    with pytest.raises(ValueError, match="must divide its length"):
        nn.scaled_matmul(x, y, np.ones((2, 3, 4)), np.ones((2, 4, 4)))


@pytest.mark.parametrize(("mode", "tolerance"), [("mxfp8", 0.1), ("nvfp4", 0.5)])
def test_scaled_dot_general_is_near_dot_general(mode, tolerance):
    configs = [nn.get_scaled_dot_general_config(mode)] * 3
    x = rng.normal(size=(2, 32, 32)).astype(np.float32)
    y = rng.normal(size=(32, 2, 64)).astype(np.float32)
    numbers = (((2,), (0,)), ((0,), (1,)))

    def short(x, y):
        return nn.scaled_dot_general(x, y, numbers, configs=configs)

    want = lax.dot_general(x, y, numbers)
    got = short(x, y)
    off = np.abs(np.asarray(got - want))
    assert 0 < off.mean() < tolerance * float(jnp.abs(want).mean())
    ours = pb.grad(lambda x, y: (short(x, y) * want).sum(), (0, 1))(x, y)
    exact = pb.grad(lambda x, y: (lax.dot_general(x, y, numbers) * want).sum(), (0, 1))(x, y)
    for a, b in zip(ours, exact):
        assert float(jnp.abs(a - b).mean()) < tolerance * float(jnp.abs(b).mean())


def test_scaled_dot_general_is_exact_for_what_its_dtypes_hold():
    numbers = (((1,), (1,)), ((), ()))
    for mode, block, held in ("mxfp8", 32, 16), ("nvfp4", 16, 4):
        x = rng.integers(-held, held + 1, (3, 2 * block)) / 2.0
        x[:, 0] = x[:, block] = 448 if mode == "mxfp8" else 6  # so that scales are 1
        x = np.round(x).astype(np.float32) if mode == "nvfp4" else x.astype(np.float32)
        x[:, 1:block][np.abs(x[:, 1:block]) == 5] = 4
        x[:, block + 1 :][np.abs(x[:, block + 1 :]) == 5] = 4
        configs = [nn.get_scaled_dot_general_config(mode)] * 3
        got = nn.scaled_dot_general(x, x, numbers, configs=configs)
        np.testing.assert_array_equal(got, x @ x.T)


def test_messages_of_scaled_dot_general():
    x, numbers = jnp.ones((2, 30)), (((1,), (1,)), ((), ()))
    with pytest.raises(ValueError, match="mxfp8 has blocks of 32 numbers"):
        nn.scaled_dot_general(x, x, numbers)
    with pytest.raises(TypeError, match="gives float32, bfloat16 or float16"):
        nn.scaled_dot_general(x, x, numbers, jnp.int32)
    with pytest.raises(ValueError, match="unsupported mode"):
        nn.get_scaled_dot_general_config("int4")


# ---- bits


@needs_jax
@pytest.mark.parametrize("algorithm", ["RNG_PHILOX", "RNG_THREE_FRY", "RNG_DEFAULT"])
def test_bits_are_those_of_xla(algorithm):
    shapes = [(), (0,), (1,), (5,), (2, 3), (3, 3), (1, 3), (3, 5, 2)]
    states = [(1, 2, 3, 4), (2**32 - 1, 2**32 - 1, 2**32 - 2, 2**32 - 1)]
    calls = [
        (np.uint32(state), shape, dtype)
        for state in states
        for shape in shapes
        for dtype in ("uint8", "uint32", "uint64")
    ]

    def theirs(states):
        which = jax.lax.RandomAlgorithm[algorithm]
        return [
            jax.lax.rng_bit_generator(s, shape, np.dtype(dtype), which)
            for s, (_, shape, dtype) in zip(states, calls)
        ]

    with jax.enable_x64(True):
        wanted = jax.jit(theirs)([c[0] for c in calls])
    with pb.enable_x64():
        for (state, shape, dtype), want in zip(calls, wanted, strict=True):
            which = lax.RandomAlgorithm[algorithm]
            got = lax.rng_bit_generator(state, shape, dtype, which)
            for a, b in zip(got, want, strict=True):
                np.testing.assert_array_equal(
                    np.asarray(a), np.asarray(b), f"{state} {shape} {dtype}"
                )


def test_bits_of_mapped_states_and_errors():
    states = jnp.arange(8, dtype=jnp.uint32).reshape(2, 4)
    new, bits = pb.vmap(lambda s: lax.rng_bit_generator(s, (3,)))(states)
    for i in range(2):
        one = lax.rng_bit_generator(states[i], (3,))
        np.testing.assert_array_equal(new[i], one[0])
        np.testing.assert_array_equal(bits[i], one[1])
    with pytest.raises(TypeError, match="needs a state of four uint32"):
        lax.rng_bit_generator(states[0, :3], (3,))
    with pytest.raises(TypeError, match="gives unsigned integers"):
        lax.rng_bit_generator(states[0], (3,), jnp.float32)
    assert rng_bit_generator.name == "rng_bit_generator"


def test_rng_uniform():
    x = np.asarray(lax.rng_uniform(2.0, 3.0, (1000,)))
    assert x.dtype == np.float32 and 2 <= x.min() < 2.1 and 2.9 < x.max() < 3
    assert not np.array_equal(x, lax.rng_uniform(2.0, 3.0, (1000,)))
    i = np.asarray(pb.jit(lambda: lax.rng_uniform(np.int8(-3), np.int8(4), (500,)))())
    assert i.dtype == np.int8 and set(i) == set(range(-3, 4))
    pair = pb.jit(lambda: (lax.rng_uniform(0.0, 1.0, ()), lax.rng_uniform(0.0, 1.0, ())))()
    assert pair[0] != pair[1]
    mapped = pb.vmap(lambda a: lax.rng_uniform(a, a + 1, (2,)))(jnp.array([0.0, 5.0]))
    assert mapped.shape == (2, 2) and bool(((mapped >= 0) & (mapped < 6)).all())
    with pytest.raises(ValueError, match="two scalars of one dtype"):
        lax.rng_uniform(0.0, np.int32(1), ())


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32", "uint32", "int64", "uint64"])
def test_mulhi(dtype):
    info = np.iinfo(dtype)
    x = rng.integers(info.min, info.max, 200, dtype, endpoint=True)
    y = rng.integers(info.min, info.max, 200, dtype, endpoint=True)
    x[:4], y[:4] = [info.min, info.min, info.max, 0], [info.min, info.max, info.max, info.min]
    with pb.enable_x64():
        got = lax.mulhi(x, y)
    want = (x.astype(object) * y.astype(object)) >> info.bits
    assert got.dtype == dtype
    np.testing.assert_array_equal(np.asarray(got).astype(object), want)
    assert mulhi.eval(x[0], y[0]) == want[0]


# ---- order


def test_tokens_go_through_transformations():
    token = lax.create_token()

    def step(token, x):
        return lax.after_all(token, lax.create_token()), x * 2

    after, y = pb.jit(step)(token, 3.0)
    assert type(after) is type(token) and y == 6.0
    assert pb.vmap(step, (None, 0))(token, jnp.arange(2.0))[1].shape == (2,)
    text = str(pb.make_jaxpr(step)(token, 3.0))
    assert "create_token" in text and "after_all" in text
    with pytest.raises(TypeError, match="arguments of after_all must be tokens"):
        lax.after_all(1.0)


def test_sunk_values_are_computed():
    seen = []

    def f(x):
        y = pb.debug.callback(lambda v: seen.append(float(v)), x)
        lax.dce_sink((x + 1, {"y": x * 2}))
        return x if y is None else y

    assert pb.jit(f)(3.0) == 3.0
    text = str(pb.make_jaxpr(pb.jit(f))(3.0))
    assert "dce_sink[prevent_mlir_dce=False]" in text
    assert pb.grad(f)(3.0) == 1.0
    assert pb.vmap(f)(jnp.arange(2.0)).shape == (2,)


def test_messages_between_elements():
    perm = [(0, 1), (1, 2), (3, 0)]

    def shift(x):
        return lax.precv(lax.psend(x * 2, "i", perm), x, "i", perm)

    x = jnp.arange(1.0, 5.0)
    np.testing.assert_array_equal(pb.vmap(shift, axis_name="i")(x), [8, 2, 4, 0])
    back = pb.grad(lambda x: (pb.vmap(shift, axis_name="i")(x) * x).sum())(x)
    np.testing.assert_array_equal(back, [8 + 4, 2 + 6, 4 + 0, 0 + 2])
    with pytest.raises(TypeError, match="precv needs the token of a psend"):
        lax.precv(lax.create_token(), x, "i", perm)
    with pytest.raises(TypeError, match="expects something else"):
        pb.vmap(
            lambda x: lax.precv(lax.psend(x, "i", perm), x.astype(int), "i", perm), axis_name="i"
        )(x)


# ---- composites, precision, accuracy


def test_composite():
    def scaled(tree, *, by=2.0, name="x"):
        return {"out": jnp.sin(tree["a"]) * by + tree["b"]}

    f = lax.composite(scaled, "my.scaled", version=3)
    tree = {"a": jnp.array([0.5, 1.0]), "b": jnp.array([1.0, 2.0])}
    np.testing.assert_allclose(f(tree, by=3.0)["out"], scaled(tree, by=3.0)["out"])
    text = " ".join(str(pb.make_jaxpr(lambda t: f(t, by=3.0))(tree)).split())
    assert "composite[" in text and "name=my.scaled" in text and "version=3" in text
    assert "attributes=(('by', 3.0),)" in text
    with pb.enable_x64():
        x = {k: np.asarray(v, np.float64) for k, v in tree.items()}
        check_grads(lambda t: f(t)["out"], (x,), 2)
        np.testing.assert_allclose(pb.vmap(f)(x)["out"], scaled(x)["out"])
        np.testing.assert_allclose(pb.jit(f)(x)["out"], scaled(x)["out"])
    with pytest.raises(TypeError, match="a composite closes over a traced value"):
        pb.grad(lambda y: lax.composite(lambda x: x * y, "my.product")(1.0))(2.0)


def test_precision_of_products_may_be_an_algorithm():
    x = jnp.ones((2, 2))
    algorithm = lax.DotAlgorithm("float32", "float32", "float32")
    for given, shown in (
        (lax.DotAlgorithmPreset.BF16_BF16_F32, "DotAlgorithmPreset.BF16_BF16_F32"),
        ("TF32_TF32_F32", "DotAlgorithmPreset.TF32_TF32_F32"),
        (algorithm, str(algorithm)),
        ("highest", "(Precision.HIGHEST, Precision.HIGHEST)"),
    ):
        text = str(pb.make_jaxpr(lambda x, p=given: lax.dot(x, x, precision=p))(x))
        assert f"precision={shown}" in " ".join(text.split()), text
    with pytest.raises(ValueError, match="is not a precision"):
        lax.dot(x, x, precision=(lax.Precision.HIGH, lax.DotAlgorithmPreset.F32_F32_F32))


def test_accuracy():
    assert lax.exp(1.0, accuracy=lax.AccuracyMode.HIGHEST) == lax.exp(1.0)
    tolerance = lax.Tolerance(atol=1e-3, rtol=1e-2, ulps=2)
    assert (tolerance.atol, tolerance.rtol, tolerance.ulps) == (1e-3, 1e-2, 2)
    assert lax.log(2.0, accuracy=tolerance) == lax.log(2.0)
    with pytest.raises(ValueError, match="must be non-negative"):
        lax.Tolerance(rtol=-1.0)


def test_the_approximate_largest_are_the_largest():
    x = rng.normal(size=(3, 7)).astype(np.float32)
    for got, want in zip(lax.approx_max_k(x, 2), lax.top_k(x, 2), strict=True):
        np.testing.assert_array_equal(got, want)
    values, places = lax.approx_min_k(x, 3, reduction_dimension=0)
    np.testing.assert_array_equal(places, np.argsort(x, 0))
    np.testing.assert_array_equal(values, np.sort(x, 0))
    with pb.enable_x64():
        check_grads(lambda x: lax.approx_min_k(x, 3)[0], (x.astype(np.float64),), 2)
    with pytest.raises(ValueError, match="k from 0 to its length"):
        lax.approx_max_k(x, 8)
    with pytest.raises(ValueError, match="takes real floats"):
        lax.approx_max_k(x.astype(np.int32), 2)


def test_staged_values_are_in_the_program():
    assert "stage" in str(pb.make_jaxpr(lambda: lax.stage(2.0))())
    assert "stage" not in str(pb.make_jaxpr(lambda x: lax.stage(x))(2.0))
    assert float(lax.stage(np.float32(3))) == 3.0
