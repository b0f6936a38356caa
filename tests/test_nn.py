"""Activations and what stands at a network's end, against NumPy and SciPy; initializers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import special

from pullback import grad, hessian, jit, nn, random, vmap
from pullback import numpy as jnp
from pullback.core.settings import enable_x64

INF, NAN = np.inf, np.nan
GRID = np.array([-1e30, -200, -20, -6.1, -3.2, -1.5, -0.7, -1e-3, 1e-3, 0.3, 0.7, 1.5, 3.2, 5.9])
GRID = np.append(GRID, [6.1, 20, 200, 1e30])


def softplus(x):
    return np.logaddexp(x, 0)


def elu(x, alpha=1.0):
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


ACTIVATIONS = {
    nn.identity: lambda x: x,
    nn.relu: lambda x: np.maximum(x, 0),
    nn.relu6: lambda x: np.clip(x, 0, 6),
    nn.leaky_relu: lambda x: np.where(x >= 0, x, 0.01 * x),
    nn.elu: elu,
    nn.selu: lambda x: 1.0507009873554805 * elu(x, 1.6732632423543772),
    nn.celu: elu,
    nn.sigmoid: special.expit,
    nn.log_sigmoid: lambda x: -softplus(-x),
    nn.softplus: softplus,
    nn.silu: lambda x: x * special.expit(x),
    nn.mish: lambda x: x * np.tanh(softplus(x)),
    nn.gelu: lambda x: x * special.expit(math.sqrt(8 / math.pi) * (x + 0.044715 * x**3)),
    nn.soft_sign: lambda x: x / (1 + np.abs(x)),
    nn.squareplus: lambda x: (
        np.where(x > 0, x + np.hypot(x, 2), 4 / (np.hypot(x, 2) + np.abs(x))) / 2
    ),
    nn.sparse_plus: lambda x: np.where(x < -1, 0, np.where(x > 1, x, (x + 1) ** 2 / 4)),
    nn.sparse_sigmoid: lambda x: np.clip(x + 1, 0, 2) / 2,
    nn.hard_tanh: lambda x: np.clip(x, -1, 1),
    nn.hard_sigmoid: lambda x: np.clip(x + 3, 0, 6) / 6,
    nn.hard_silu: lambda x: x * np.clip(x + 3, 0, 6) / 6,
    nn.tanh: np.tanh,
}
BY_NAME = pytest.mark.parametrize("function", ACTIVATIONS, ids=lambda f: f.__name__)


def exact_gelu(x):
    return nn.gelu(x, approximate=False)


# ---- activations


@BY_NAME
def test_values(function):
    with np.errstate(over="ignore"):
        want = ACTIVATIONS[function](GRID)
    with enable_x64():
        np.testing.assert_allclose(function(jnp.array(GRID)), want, rtol=1e-13, atol=1e-300)
    x = GRID.astype(np.float32)
    with np.errstate(over="ignore"):
        want = ACTIVATIONS[function](x.astype(float)).astype(np.float32)
    np.testing.assert_allclose(function(x), want, rtol=1e-5, atol=1e-37)


@BY_NAME
def test_dtypes(function):
    for dtype in "float16", "bfloat16", "float32":
        assert function(jnp.array([0.5, -1.0], dtype)).dtype == dtype
    assert function(0.5).weak_type
    assert jnp.issubdtype(function(jnp.array([1, -2])).dtype, jnp.number)


@BY_NAME
def test_derivatives(function):
    """First and second ones against differences of the formula, away from kinks."""
    with enable_x64():
        x = jnp.array(GRID[np.abs(GRID) < 100])
        slopes, h = vmap(grad(function))(x), 1e-5
        reference = ACTIVATIONS[function]
        want = (reference(np.asarray(x) + h) - reference(np.asarray(x) - h)) / (2 * h)
        np.testing.assert_allclose(slopes, want, rtol=1e-6, atol=1e-9)
        first = vmap(grad(function))
        want = (first(x + h) - first(x - h)) / (2 * h)
        np.testing.assert_allclose(vmap(grad(grad(function)))(x), want, rtol=1e-5, atol=1e-6)


@BY_NAME
def test_large_numbers_have_finite_values_and_derivatives(function):
    x = jnp.array([-1e30, -300.0, 300.0, 1e30])
    assert bool(jnp.isfinite(function(x[1:3])).all())
    assert bool(jnp.isfinite(vmap(grad(function))(x)).all())


@pytest.mark.parametrize(
    ("function", "x", "slope"),
    [
        (nn.relu, 0.0, 0.0),
        (nn.relu, -0.0, 0.0),
        (nn.relu, INF, 1.0),
        (nn.relu, -INF, 0.0),
        (nn.relu6, 0.0, 0.0),
        (nn.relu6, 6.0, 0.0),
        (nn.leaky_relu, 0.0, 1.0),
        (nn.elu, 0.0, 1.0),
        (nn.celu, 0.0, 1.0),
        (nn.selu, 0.0, 1.0507009873554805 * 1.6732632423543772),
        (nn.elu, -INF, 0.0),
        (nn.hard_tanh, 1.0, 1.0),
        (nn.hard_tanh, -1.0, 1.0),
        (nn.hard_sigmoid, -3.0, 0.0),
        (nn.hard_sigmoid, 3.0, 0.0),
        (nn.hard_silu, 0.0, 0.5),
        (nn.sparse_plus, -1.0, 0.0),
        (nn.sparse_plus, 1.0, 1.0),
        (nn.softplus, 0.0, 0.5),
        (nn.softplus, INF, 1.0),
        (nn.softplus, -INF, 0.0),
        (nn.log_sigmoid, -INF, 1.0),
        (nn.log_sigmoid, INF, 0.0),
        (nn.sigmoid, INF, 0.0),
        (nn.soft_sign, 0.0, 1.0),
        (nn.gelu, 0.0, 0.5),
        (exact_gelu, 0.0, 0.5),
        (exact_gelu, 100.0, 1.0),
        (nn.log1mexp, 1e-30, 1e30),
        (nn.log1mexp, 200.0, 0.0),
    ],
)
def test_derivatives_at_kinks_and_ends(function, x, slope):
    np.testing.assert_allclose(grad(function)(x), slope, rtol=1e-6)


def test_nan_stays():
    for function in ACTIVATIONS:
        assert bool(jnp.isnan(function(jnp.array(NAN)))), function.__name__


def test_exact_gelu():
    with enable_x64():
        x = jnp.array(GRID)
        np.testing.assert_allclose(exact_gelu(x), GRID * special.ndtr(GRID), rtol=1e-13)
    # The difference between the two is below 0.0005.
    assert 1e-4 < float(jnp.abs(exact_gelu(x) - nn.gelu(x)).max()) < 5e-4


def test_log1mexp():
    with enable_x64():
        x = np.array([1e-300, 1e-10, 0.1, 0.69, 0.7, 5, 40, 800, INF])
        with np.errstate(divide="ignore"):
            want = np.where(x < 0.5, np.log(-np.expm1(-x)), np.log1p(-np.exp(-x)))
        np.testing.assert_allclose(nn.log1mexp(x), want, rtol=1e-14)
        assert float(nn.log1mexp(0.0)) == -INF


def test_parameters():
    x = jnp.array([-2.0, 3.0])
    np.testing.assert_allclose(nn.leaky_relu(x, 0.2), [-0.4, 3])
    np.testing.assert_allclose(nn.elu(x, 2.0), [2 * np.expm1(-2), 3], rtol=1e-6)
    np.testing.assert_allclose(nn.celu(x, 2.0), [2 * np.expm1(-1), 3], rtol=1e-6)
    np.testing.assert_allclose(nn.squareplus(x, 0), [0, 3])


def test_glu():
    x = np.random.normal(size=(4, 6)).astype(np.float32)
    want = x[:, :3] * special.expit(x[:, 3:])
    np.testing.assert_allclose(nn.glu(x), want, rtol=1e-6)
    np.testing.assert_allclose(nn.glu(x.T, axis=0), want.T, rtol=1e-6)


# ---- sums of exponentials


LOGITS = np.random.default_rng(0).normal(size=(4, 6)) * 3
STEEP = LOGITS * 1000
MASK = np.random.default_rng(1).random((4, 6)) > 0.3
MASKED = np.where(MASK, LOGITS, -INF)
HOLES = np.where(np.arange(24).reshape(4, 6) % 5 == 0, -INF, LOGITS)


@pytest.mark.parametrize("x", [LOGITS, STEEP, HOLES], ids=["plain", "steep", "holes"])
@pytest.mark.parametrize("axis", [-1, 0, (0, 1)], ids=str)
def test_softmax_family(x, axis):
    with enable_x64(), np.errstate(all="ignore"):
        np.testing.assert_allclose(nn.softmax(x, axis), special.softmax(x, axis), rtol=1e-13)
        np.testing.assert_allclose(
            nn.log_softmax(x, axis), special.log_softmax(x, axis), rtol=1e-12, atol=1e-300
        )
        for keepdims in True, False:
            want = special.logsumexp(x, axis, keepdims=keepdims)
            np.testing.assert_allclose(nn.logsumexp(x, axis, keepdims=keepdims), want, rtol=1e-13)
            count = np.sum(np.ones_like(x), axis, keepdims=keepdims)
            found = nn.logmeanexp(x, axis, keepdims=keepdims)
            np.testing.assert_allclose(found, want - np.log(count), rtol=1e-13)


def test_softmax_family_with_a_mask():
    with enable_x64():
        want = special.softmax(MASKED, -1)
        np.testing.assert_allclose(nn.softmax(LOGITS, where=MASK), want, rtol=1e-13)
        want = special.log_softmax(MASKED, -1)
        np.testing.assert_allclose(nn.log_softmax(LOGITS, where=MASK), want, rtol=1e-13)
        want = special.logsumexp(MASKED, 1)
        np.testing.assert_allclose(nn.logsumexp(LOGITS, 1, where=MASK), want, rtol=1e-13)
        want -= np.log(MASK.sum(1))
        np.testing.assert_allclose(nn.logmeanexp(LOGITS, 1, where=MASK), want, rtol=1e-13)


def test_softmax_derivatives():
    with enable_x64():
        x = jnp.array(LOGITS[0])
        y = np.asarray(nn.softmax(x))
        for transform in (lambda f: f), jit:
            found = vmap(grad(transform(lambda x, i: nn.softmax(x)[i])), (None, 0))(
                x, jnp.arange(6)
            )
            np.testing.assert_allclose(found, np.diag(y) - np.outer(y, y), rtol=1e-12, atol=1e-16)
        np.testing.assert_allclose(grad(nn.logsumexp)(x), y, rtol=1e-13)
        curvature = np.diag(y) - np.outer(y, y)
        np.testing.assert_allclose(hessian(nn.logsumexp)(x), curvature, rtol=1e-11, atol=1e-15)
        slope = grad(lambda x: nn.log_softmax(x)[2])(x)
        np.testing.assert_allclose(slope, np.eye(6)[2] - y, rtol=1e-12)


def test_derivatives_where_there_are_infinities():
    x = jnp.array([-INF, 1.0, 2.0, -INF])
    y = special.softmax([1.0, 2.0])
    np.testing.assert_allclose(grad(nn.logsumexp)(x), [0, *y, 0], rtol=1e-6)
    p, q = y
    slope = grad(lambda x: nn.softmax(x)[1])(x)
    np.testing.assert_allclose(slope, [0, p * q, -p * q, 0], rtol=1e-5)
    slope = grad(lambda x: nn.log_softmax(x)[1])(x)
    np.testing.assert_allclose(slope, [0, q, -q, 0], rtol=1e-5)
    # What the mask leaves out has no part in it, whatever it is.
    masked = jnp.array([True, False, True, True])
    slope = grad(lambda x: nn.logsumexp(x, where=masked))(jnp.array([0.0, INF, 0.0, 0.0]))
    np.testing.assert_allclose(slope, [1 / 3, 0, 1 / 3, 1 / 3], rtol=1e-6)


def test_logsumexp_of_nothing_is_minus_infinity():
    assert float(nn.logsumexp(jnp.array([-INF, -INF]))) == -INF
    assert float(nn.logsumexp(jnp.zeros(0))) == -INF
    assert float(nn.logsumexp(jnp.array([INF, 1.0]))) == INF
    assert float(nn.logsumexp(jnp.array([1.0, 2.0]), where=False)) == -INF


def test_logsumexp_with_factors():
    a, b = jnp.array([1.0, 2.0, 1000.0]), jnp.array([1.0, -3.0, 0.0])
    total = math.e - 3 * math.e**2
    assert bool(jnp.isnan(nn.logsumexp(a, b=b)))
    out, sign = nn.logsumexp(a, b=b, return_sign=True)
    np.testing.assert_allclose((out, sign), (math.log(-total), -1), rtol=1e-6)
    np.testing.assert_allclose(nn.logsumexp(a, b=-b), math.log(-total), rtol=1e-6)
    z = jnp.array([1 + 2j, 0.5 - 1j])
    np.testing.assert_allclose(nn.logsumexp(z), special.logsumexp(np.asarray(z)), rtol=1e-5)


def test_standardize():
    x = np.random.normal(3, 2, (5, 7))
    with enable_x64():
        want = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
        for algorithm in "fast", "stable":
            np.testing.assert_allclose(nn.standardize(x, algorithm=algorithm), want, rtol=1e-11)
        want = (x - 1) / np.sqrt(4 + 0.5)
        found = nn.standardize(x, mean=1.0, variance=4.0, epsilon=0.5)
        np.testing.assert_allclose(found, want, rtol=1e-13)
        mask = x > 2
        only = np.where(mask, x, NAN)
        want = (x - np.nanmean(only, 0)) / np.sqrt(np.nanvar(only, 0) + 1e-5)
        np.testing.assert_allclose(nn.standardize(x, 0, where=mask), want, rtol=1e-9)
    # Rounding must not make a variance negative.
    assert bool(jnp.isfinite(nn.standardize(jnp.full(3, 1e4))).all())


def test_one_hot():
    eye = np.eye(3, dtype=np.float32)
    np.testing.assert_array_equal(nn.one_hot(jnp.array([0, 2, 1]), 3), eye[[0, 2, 1]])
    np.testing.assert_array_equal(nn.one_hot([3, -1], 3), np.zeros((2, 3)))
    np.testing.assert_array_equal(nn.one_hot(1, 3), eye[1])
    x = jnp.array([[0, 1], [2, 0]], "uint8")
    for axis in (-1, 0, 1, 2):
        want = np.moveaxis(eye[np.asarray(x)], -1, axis)
        found = nn.one_hot(x, 3, axis=axis, dtype=bool)
        assert found.dtype == bool
        np.testing.assert_array_equal(found, want)
    with pytest.warns(UserWarning, match="one_hot input should be integer-typed"):
        nn.one_hot(jnp.array([1.0]), 3)


# ---- attention


def plain_attention(query, key, value, seen, bias=0.0):
    """One head at a time, in NumPy."""
    batch, queries, heads, features = query.shape
    out = np.zeros((batch, queries, heads, features))
    group = heads // key.shape[2]
    for b in range(batch):
        for h in range(heads):
            logits = query[b, :, h] @ key[b, :, h // group].T / math.sqrt(features) + bias
            shares = special.softmax(np.where(seen[b], logits, -1e30), -1)
            out[b, :, h] = shares @ value[b, :, h // group]
    return out


def test_attention():
    rng = np.random.default_rng(0)
    query = rng.normal(size=(2, 5, 4, 3)).astype(np.float32)
    key, value = rng.normal(size=(2, 2, 6, 2, 3)).astype(np.float32)
    t, s = np.arange(5)[:, None], np.arange(6)[None]
    everything = np.ones((2, 5, 6), bool)
    lengths = jnp.array([4, 6])
    bias = rng.normal(size=(1, 1, 5, 6)).astype(np.float32)
    for params, seen in (
        ({}, everything),
        ({"is_causal": True}, everything & (s <= t)),
        ({"local_window_size": (1, 2)}, everything & (s >= t - 1) & (s <= t + 2)),
        ({"key_value_seq_lengths": lengths}, s < np.asarray(lengths)[:, None, None]),
        ({"mask": jnp.array(s[None, None] != 3)}, everything & (s != 3)),
        ({"bias": bias}, everything),
    ):
        seen = np.broadcast_to(seen, everything.shape)
        want = plain_attention(query, key, value, seen, bias[0, 0] if "bias" in params else 0.0)
        found = nn.dot_product_attention(query, key, value, **params)
        np.testing.assert_allclose(found, want, rtol=2e-5, atol=1e-5)
    alone = nn.dot_product_attention(query[0], key[0], value[0])
    np.testing.assert_allclose(alone, nn.dot_product_attention(query, key, value)[0], rtol=1e-6)
    cut = nn.dot_product_attention(query, key, value, query_seq_lengths=jnp.array([2, 5]))
    assert not cut[0, 2:].any() and bool(cut[1].any())


# ---- initializers


def test_constant_initializers():
    key = random.key(0)
    assert nn.initializers.zeros(key, (2, 3), jnp.float16).dtype == jnp.float16
    np.testing.assert_array_equal(nn.initializers.zeros(key, (2, 3)), np.zeros((2, 3)))
    np.testing.assert_array_equal(nn.initializers.ones(key, (2, 3)), np.ones((2, 3)))
    np.testing.assert_array_equal(nn.initializers.constant(7)(key, (2,)), [7, 7])
    assert isinstance(nn.initializers.zeros, nn.initializers.Initializer)


@pytest.mark.parametrize(
    ("name", "scale", "mode"),
    [
        ("glorot", 1, "fan_avg"),
        ("xavier", 1, "fan_avg"),
        ("lecun", 1, "fan_in"),
        ("he", 2, "fan_in"),
        ("kaiming", 2, "fan_in"),
    ],
)
@pytest.mark.parametrize("law", ["uniform", "normal"])
def test_variance_of_initializers(name, scale, mode, law):
    init = getattr(nn.initializers, f"{name}_{law}")()
    w = np.asarray(init(random.key(0), (3, 100, 200)))
    fans = {"fan_in": 300, "fan_avg": (300 + 600) / 2}
    assert abs(w.var() * fans[mode] / scale - 1) < 0.03
    assert abs(w.mean()) < 5 * w.std() / math.sqrt(w.size)
    bound = math.sqrt(3) if law == "uniform" else 2 / 0.87962566103423978
    assert np.abs(w).max() <= bound * math.sqrt(scale / fans[mode]) * (1 + 1e-6)


def test_initializers_are_their_formulas():
    key, shape = random.key(0), (4, 5)
    uniform = random.uniform(key, shape, minval=-1.0)
    for found, want in (
        (nn.initializers.uniform(3.0)(key, shape), 3 * random.uniform(key, shape)),
        (nn.initializers.normal(2.0)(key, shape), 2 * random.normal(key, shape)),
        (nn.initializers.glorot_uniform()(key, shape), uniform * math.sqrt(3 / 4.5)),
        (nn.initializers.he_uniform(0, 1)(key, shape), uniform * math.sqrt(6 / 4)),
        (
            nn.initializers.truncated_normal(2.0, lower=-1.0)(key, shape),
            2 * random.truncated_normal(key, -1, 2, shape),
        ),
        (
            nn.initializers.variance_scaling(1.0, "fan_geo_avg", "normal")(key, shape),
            random.normal(key, shape) / math.sqrt(math.sqrt(20)),
        ),
    ):
        np.testing.assert_allclose(found, want, rtol=1e-6)


def test_complex_initializers():
    for law in "uniform", "normal", "truncated_normal":
        init = nn.initializers.variance_scaling(1.0, "fan_in", law, dtype=jnp.complex64)
        w = np.asarray(init(random.key(0), (100, 200)))
        assert w.dtype == np.complex64
        assert abs((np.abs(w) ** 2).mean() * 100 - 1) < 0.03


# ---- mistakes


def message(call):
    with pytest.raises((TypeError, ValueError)) as caught:
        call()
    lines = str(caught.value).split("\n  ")
    assert [line.split(":")[0] for line in lines[1:]] == ["Got", "Where", "Fix"]
    assert __file__ in lines[2]
    return f"{type(caught.value).__name__}: {lines[0]} | {lines[1]} | {lines[3]}"


MISTAKES = [
    (
        lambda: nn.relu([1.0, 2.0]),
        "TypeError: relu requires ndarray or scalar arguments, got <class 'list'>. "
        "| Got: [1.0, 2.0] | Fix: convert it once with jnp.array(...).",
    ),
    (
        lambda: nn.glu(jnp.ones((2, 3))),
        "ValueError: nn.glu needs an axis of even length. | Got: axis 1 of f32[2,3] | Fix: give "
        "twice as many features as should come out.",
    ),
    (
        lambda: nn.one_hot(jnp.array([1]), 2.5),
        "TypeError: the argument `num_classes` of nn.one_hot must be an integer. | Got: 2.5 of "
        "type float | Fix: give an integer; convert with int(...) if that is meant.",
    ),
    (
        lambda: nn.standardize(jnp.ones(3), algorithm="exact"),
        "ValueError: Unknown algorithm 'exact'. Expected 'fast' or 'stable'. "
        "| Got: algorithm='exact' | Fix: use one of these.",
    ),
    (
        lambda: nn.dot_product_attention(*[jnp.ones((1, 2, 3, 4))] * 2, jnp.ones((1, 2, 3, 5))),
        "ValueError: dot_product_attention got arrays that do not fit. | Got: query f32[1,2,3,4], "
        "key f32[1,2,3,4], value f32[1,2,3,5] | Fix: give one dtype and (batch, length, heads, "
        "features); key and value of one shape, whose number of heads divides that of the query.",
    ),
    (
        lambda: nn.initializers.he_normal()(random.key(0), (3,)),
        "ValueError: Can't compute input and output sizes of a 1-dimensional weights tensor with "
        "default in_axis. Must be at least 2D or specify in_axis explicitly. | Got: shape=(3,) "
        "| Fix: give a shape of two or more axes, or in_axis and out_axis.",
    ),
    (
        lambda: nn.initializers.variance_scaling(1.0, "fan", "normal")(random.key(0), (3, 4)),
        "ValueError: invalid mode for variance scaling initializer: fan. | Got: mode='fan' "
        "| Fix: use 'fan_in', 'fan_out', 'fan_avg' or 'fan_geo_avg'.",
    ),
    (
        lambda: nn.initializers.variance_scaling(1.0, "fan_in", "cauchy")(random.key(0), (3, 4)),
        "ValueError: invalid distribution for variance scaling initializer: cauchy. "
        "| Got: distribution='cauchy' | Fix: use 'truncated_normal', 'normal' or 'uniform'.",
    ),
]


@pytest.mark.parametrize(("call", "text"), MISTAKES, ids=[t.split(" |")[0] for _, t in MISTAKES])
def test_mistakes(call, text):
    assert message(call) == text
