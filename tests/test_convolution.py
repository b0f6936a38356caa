"""Convolutions against a loop over all products, SciPy's correlate, and JAX."""

from __future__ import annotations

import warnings

import numpy as np
import peer
import pytest
import scipy.signal

import pullback as pb
import pullback.numpy as jnp
from pullback import lax
from pullback.ops import convolving
from pullback.ops.convolution import ConvDimensionNumbers, conv_general_dilated
from pullback.test_util import check_grads

if peer.INSTALLED:
    import jax

rng = np.random.default_rng(3)


# ---- every parameter, by a loop


def loop(x, w, strides, padding, x_dilation, w_dilation, numbers, features, batches):
    """One product after the other."""
    x, w = x.transpose(numbers.lhs_spec), w.transpose(numbers.rhs_spec)
    (b, _, *n), (o, into, *k) = x.shape, w.shape
    spread = np.zeros((*x.shape[:2], *((m - 1) * d + 1 for m, d in zip(n, x_dilation))), x.dtype)
    spread[(..., *(slice(None, None, d) for d in x_dilation))] = x
    lengths = [m + lo + hi for m, (lo, hi) in zip(spread.shape[2:], padding)]
    reach = [(m - 1) * d + 1 for m, d in zip(k, w_dilation)]
    places = [max(0, (m - r) // s + 1) for m, r, s in zip(lengths, reach, strides)]
    out = np.zeros((b // batches, o, *places), x.dtype)
    for at in np.ndindex(*out.shape):
        batch = at[0] + at[1] // (o // batches) * (b // batches)
        first = at[1] // (o // features) * into
        for i, *tap in np.ndindex(into, *k):
            place = [
                y * s + t * d - low
                for y, s, t, d, (low, _) in zip(at[2:], strides, tap, w_dilation, padding)
            ]
            if all(0 <= p < m for p, m in zip(place, spread.shape[2:])):
                out[at] += spread[(batch, first + i, *place)] * w[(at[1], i, *tap)]
    return out.transpose(np.argsort(numbers.out_spec))


def random_call(seed):
    """Arrays and parameters of a small convolution in 0 to 3 dimensions."""
    draw = np.random.default_rng(seed)

    def ints(low, high, count):
        return tuple(int(v) for v in draw.integers(low, high, count))

    n = int(draw.integers(0, 4))
    kind = draw.choice(["plain", "features", "batches"])
    features, batches = (
        int(draw.integers(2, 4)) if kind == k else 1 for k in ("features", "batches")
    )
    into, wide, many = ints(1, 3, 3)
    length, k = ints(1, 6, n), ints(1, 4, n)
    strides, x_dilation, w_dilation = (
        ints(1, 3, n) if draw.random() < 0.6 else (1,) * n for _ in range(3)
    )
    padding = tuple(
        pair if (m - 1) * d + 1 + sum(pair) >= 0 else (0, 0)
        for m, d, pair in zip(length, x_dilation, zip(ints(-2, 3, n), ints(-2, 3, n)))
    )
    numbers = ConvDimensionNumbers(*(tuple(map(int, draw.permutation(n + 2))) for _ in range(3)))
    x = draw.normal(size=(many * batches, into * features, *length))
    w = draw.normal(size=(wide * features * batches, into, *k))
    x, w = (a.transpose(np.argsort(s)) for a, s in ((x, numbers[0]), (w, numbers[1])))
    if draw.random() < 0.3:
        x = np.ascontiguousarray(x)
    return x, w, (strides, padding, x_dilation, w_dilation, numbers, features, batches)


NAMES = (
    "window_strides",
    "padding",
    "lhs_dilation",
    "rhs_dilation",
    "dimension_numbers",
    "feature_group_count",
    "batch_group_count",
)


@pytest.mark.parametrize("chunk", [1 << 22, 64])
def test_values_are_those_of_a_loop(chunk, monkeypatch):
    monkeypatch.setattr(convolving, "CHUNK", chunk)
    monkeypatch.setattr(convolving, "_TAPS_CHUNK", chunk)
    for seed in range(400):
        x, w, params = random_call(seed)
        got = conv_general_dilated.eval(x, w, **dict(zip(NAMES, params)))
        want = loop(x, w, *params)
        assert got.shape == want.shape, seed
        np.testing.assert_allclose(got, want, 1e-12, 1e-12, err_msg=f"seed {seed}")


def test_all_ways_are_reached(monkeypatch):
    reached = set()
    original = convolving._way

    def way(*args):
        reached.add(original(*args).__name__)
        return original(*args)

    monkeypatch.setattr(convolving, "_way", way)
    for seed in range(400):
        x, w, params = random_call(seed)
        conv_general_dilated.eval(x, w, **dict(zip(NAMES, params)))
    assert reached == {"_by_windows", "_by_spreading", "_by_taps", "_by_places"}


@pytest.mark.parametrize(
    ("shape", "window"), [((3000,), (40,)), ((90, 70), (9, 4)), ((17, 14, 20), (4, 3, 5))], ids=len
)
def test_values_are_those_of_scipy(shape, window):
    x, w = rng.normal(size=shape), rng.normal(size=window)
    with pb.enable_x64():
        got = lax.conv(x[None, None], w[None, None], (1,) * len(shape), "VALID")
    want = scipy.signal.correlate(x, w, "valid", method="direct")
    np.testing.assert_allclose(np.asarray(got)[0, 0], want, 1e-10, 1e-10)


def test_large_windows_go_in_parts():
    x = rng.normal(size=(3, 80, 75, 8)).astype(np.float32)
    w = rng.normal(size=(5, 5, 8, 6)).astype(np.float32)
    names = ("NHWC", "HWIO", "NHWC")
    got = np.asarray(lax.conv_general_dilated(x, w, (1, 1), "VALID", dimension_numbers=names))
    want = np.zeros((3, 76, 71, 6))
    for i, j in np.ndindex(5, 5):
        want += x[:, i : i + 76, j : j + 71].astype(float) @ w[i, j]
    assert 4 * x.size * 25 > 2 * convolving.CHUNK
    np.testing.assert_allclose(got, want, 1e-4, 1e-4)


def test_a_broadcast_array_gives_what_its_copy_gives():
    w = jnp.array(rng.normal(size=(3, 3, 2, 32)), "float32")
    x = jnp.ones((2, 64, 64, 2))
    numbers = ("NHWC", "HWIO", "NHWC")
    got, want = (
        lax.conv_general_dilated(a, w, (2, 2), "VALID", dimension_numbers=numbers)
        for a in (x, jnp.array(np.ones(x.shape, "float32")))
    )
    np.testing.assert_array_equal(got, want)


def test_integers_wrap_around():
    x = np.full((1, 1, 4), 2**31 - 1, np.int32)
    w = np.full((1, 1, 3), 2**30 + 3, np.int32)
    got = np.asarray(lax.conv(x, w, (1,), "VALID"))
    want = (x[:, :, :2].astype(object) * int(w[0, 0, 0]) * 3) % 2**32
    assert np.array_equal(got.astype(np.uint32).astype(object), want)


def test_half_width_floats_add_up_in_float32():
    x = np.ones((1, 1, 4096), np.float16)
    assert lax.conv(x, x, (1,), "VALID")[0, 0, 0] == 4096


# ---- the functions of lax

X = rng.normal(size=(2, 5, 4, 3)).astype(np.float32)
K = rng.normal(size=(3, 2, 3, 4)).astype(np.float32)
VALUES = {
    "x": X,
    "k": K,
    "n": X.transpose(0, 3, 1, 2).copy(),
    "o": K.transpose(3, 2, 0, 1).copy(),
    "line": rng.normal(size=(2, 7, 3)).astype(np.float32),
    "k1": rng.normal(size=(3, 3, 4)).astype(np.float32),
    "box": rng.normal(size=(1, 3, 4, 3, 2)).astype(np.float32),
    "k3": rng.normal(size=(2, 2, 2, 2, 3)).astype(np.float32),
    "i": rng.integers(-5, 6, (1, 1, 5)).astype(np.int32),
    "h": rng.normal(size=(1, 1, 5)).astype(np.float16),
    "b": rng.random((1, 1, 5)) < 0.5,
    "m": rng.normal(size=(2, 3)).astype(np.float32),
    "local": rng.normal(size=(4, 18, 3, 3)).astype(np.float32),
    "names": ("NHWC", "HWIO", "NHWC"),
}

EXPRESSIONS = """
lax.conv(n, o, (1, 1), "SAME")
lax.conv(n, o, (2, 1), "SAME")
lax.conv(n, o, (2, 1), "SAME_LOWER")
lax.conv(n, o, (2, 1), "valid")
lax.conv(n, o, (1,), "SAME")
lax.conv(n, o, (1, 1), "FULL")
lax.conv(n, o[0], (1, 1), "SAME")
lax.conv(n, o[:, :1], (1, 1), "SAME")
lax.conv(n, o.astype(jnp.float16), (1, 1), "SAME")
lax.conv(i, i, (1,), "SAME")
lax.conv(b, b, (1,), "SAME")
lax.conv(h, h, (1,), "SAME")
lax.conv(h, h, (1,), "SAME", preferred_element_type=jnp.float32)
lax.conv(i, i, (1,), "SAME", None, jnp.float32)
lax.conv(i, i, (1,), "SAME", None, jnp.int8)
lax.conv(i, i, (1,), "SAME", precision="highest")
lax.conv_with_general_padding(n, o, (1, 2), [(1, 0), (2, 1)], (2, 1), (1, 2))
lax.conv_with_general_padding(n, o, (1, 2), [(1, 0), (-1, -1)], None, None)
lax.conv_with_general_padding(n, o, (1, 2), [(-3, -3), (-1, -1)], None, None)
lax.conv_general_dilated(x, k, (1, 1), "SAME", dimension_numbers=names)
lax.conv_general_dilated(x, k, (2, 1), "VALID", rhs_dilation=(2, 1), dimension_numbers=names)
lax.conv_general_dilated(x, k, (1, 1), "VALID", (2, 1), dimension_numbers=names)
lax.conv_general_dilated(x, k, (1, 1), 3, dimension_numbers=names)
lax.conv_general_dilated(x, k, (1, 1), [(0, 0)], dimension_numbers=names)
lax.conv_general_dilated(x, k, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO"))
lax.conv_general_dilated(x, k, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWX"))
lax.conv_general_dilated(x, k, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NWC"))
lax.conv_general_dilated(x, k, (1, 1), "VALID", dimension_numbers=("NXWC", "HWIO", "NHWC"))
lax.conv_general_dilated(x, k, (1, 1), "VALID", (1, 0), dimension_numbers=names)
lax.conv_general_dilated(x, k, (1, 1), "VALID", None, (1, 0), names)
lax.conv_general_dilated(x, k[:, :, :1, :3], (1, 1), "SAME", None, None, names, 3)
lax.conv_general_dilated(x, k[:, :, :1], (1, 1), "SAME", None, None, names, 3)
lax.conv_general_dilated(x, k, (1, 1), "SAME", None, None, names, 1, 2)
lax.conv_general_dilated(x, k, (1, 1), "SAME", None, None, names, 0)
lax.conv_general_dilated(x, k, (1, 1), "SAME", None, None, names, 1, 3)
lax.conv_general_dilated(m, m, (), "SAME")
lax.conv_general_dilated(x[:0], k, (1, 1), "SAME", dimension_numbers=names)
lax.conv_general_dilated(x[:, :0], k, (1, 1), "SAME", dimension_numbers=names)
lax.conv_transpose(x, k, (2, 2), "SAME")
lax.conv_transpose(x, k, (2, 3), "VALID", rhs_dilation=(2, 1))
lax.conv_transpose(x, k, (2, 2), [(1, 2), (0, 1)])
lax.conv_transpose(x, k, (2, 2), ((1, 1), (0, 1)), use_consistent_padding=True)
lax.conv_transpose(x, k, (3, 1), "SAME", transpose_kernel=False, use_consistent_padding=True)
lax.conv_transpose(x, k, (1, 1), "SAME_LOWER")
lax.conv_transpose(x, k, (2, 1), "SAME_LOWER")
lax.conv_transpose(x, jnp.swapaxes(k, 2, 3), (2, 1), "SAME", transpose_kernel=True)
lax.conv_transpose(n, o, (2, 1), "SAME", dimension_numbers=("NCHW", "OIHW", "NCHW"))
lax.conv_transpose(line, k1, (2,), "SAME")
lax.conv_transpose(box, k3, (2, 1, 2), "VALID")
lax.conv_transpose(m, m.T, (), "VALID")
lax.conv_general_dilated_patches(n, (2, 3), (1, 2), "SAME")
lax.conv_general_dilated_patches(n, (2, 3), (1, 1), [(1, 2), (-1, 0)], (2, 1), (1, 2))
lax.conv_general_dilated_patches(x, (3, 2), (1, 1), "VALID", None, None, ("NWHC", "HWIO", "CNHW"))
lax.conv_general_dilated_patches(i, (2,), (1,), "SAME", preferred_element_type=jnp.float32)
lax.conv_general_dilated_patches(h, (2,), (1,), "SAME_LOWER")
lax.conv_general_dilated_local(n, local, (2, 1), "SAME", (3, 2), dimension_numbers=None)
lax.conv_general_dilated_local(n, local[:, :, :, :2], (2, 2), "SAME", (3, 2))
lax.conv_general_dilated_local(x, local.T, (2, 2), "SAME", (2, 3), None, None, names)
lax.conv_dimension_numbers((1, 2, 3), (1, 2, 3), ("CNH", "HIO", "NHC"))
lax.conv_dimension_numbers((1, 2, 3), (1, 2, 3), None)
lax.conv_dimension_numbers((1, 2), (1, 2, 3), None)
lax.conv_general_permutations(("NHWC", "WHIO", "NCWH"))
lax.conv_shape_tuple((2, 3, 9, 8), (4, 3, 2, 3), (2, 1), "SAME")
lax.conv_shape_tuple((2, 3, 9, 8), (4, 3, 2, 3), (2, 1), [(0, 1), (-1, 0)], 2)
lax.conv_shape_tuple((2, 3, 9, 8), (4, 3, 2, 3), (2, 1), [(0, 1)])
lax.conv_shape_tuple((2, 3, 9, 8), (4, 3, 2, 3), (2, 1), [(0, 1), (-9, 0)])
lax.conv_general_shape_tuple((2, 9, 8, 3), (2, 3, 3, 4), (2, 1), "SAME", names)
lax.conv_transpose_shape_tuple((2, 9, 8, 3), (2, 3, 3, 4), (2, 1), "SAME", names)
lax.conv_transpose_shape_tuple((2, 9, 8, 3), (2, 3, 3, 4), (2, 1), [(1, 0), (0, 2)], names)
lax.padtype_to_pads((5, 4), (2, 3), (1, 2), "SAME_LOWER")
lax.padtype_to_pads((5, 4), (2, 3), (1, 2), 3)
""".strip().splitlines()


def outcome(text, module, lax):
    values = {k: module.numpy.asarray(v) if k != "names" else v for k, v in VALUES.items()}
    try:
        with warnings.catch_warnings(action="ignore"):
            return eval(text, {"lax": lax, "jnp": module.numpy, **values})
    except (TypeError, ValueError, RuntimeError) as problem:
        return problem


@pytest.mark.skipif(not peer.INSTALLED, reason="JAX is not installed")
@pytest.mark.parametrize("text", EXPRESSIONS)
def test_expression_gives_what_jax_gives(text):
    ours, theirs = outcome(text, pb, lax), outcome(text, jax, jax.lax)
    if isinstance(theirs, Exception):
        assert isinstance(ours, type(theirs)), ours
        assert "\n  Got: " in str(ours) and "\n  Fix: " in str(ours)
    elif isinstance(theirs, (tuple, list)):
        assert [tuple(a) if isinstance(a, tuple) else int(a) for a in ours] == [
            tuple(a) if isinstance(a, tuple) else int(a) for a in theirs
        ]
    else:
        assert not isinstance(ours, Exception), ours
        assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
        tolerance = 2e-3 if ours.dtype == np.float16 else 1e-5
        np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), tolerance, tolerance)


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize(("stride", "width"), [(1, 3), (2, 3), (3, 2), (2, 4)])
def test_conv_transpose_is_the_derivative_of_conv(padding, stride, width):
    names = ("NHC", "HIO", "NHC")
    with pb.enable_x64():
        w = jnp.asarray(rng.normal(size=(width, 2, 3)))
        ct = jnp.asarray(rng.normal(size=(1, 4, 3)))
        got = lax.conv_transpose(ct, w, (stride,), padding, transpose_kernel=True)
        x = jnp.zeros((1, got.shape[1], 2))

        def forward(x):
            return lax.conv_general_dilated(x, w, (stride,), padding, dimension_numbers=names)

        out, back = pb.vjp(forward, x)
        assert out.shape == ct.shape
        np.testing.assert_allclose(np.asarray(got), np.asarray(back(ct)[0]), 1e-12, 1e-12)


def test_derivatives_of_the_functions_of_lax():
    x, k = (
        VALUES["line"].astype(np.float64)[:1, :4, :2],
        VALUES["k1"].astype(np.float64)[:2, :2, :2],
    )
    n = x.transpose(0, 2, 1)
    local = rng.normal(size=(2, 4, 2))
    with pb.enable_x64():
        check_grads(lambda x, k: lax.conv_transpose(x, k, (2,), "SAME"), (x, k), 2)
        check_grads(lambda x: lax.conv_general_dilated_patches(x, (2,), (1,), "SAME") ** 2, (n,), 2)
        check_grads(
            lambda x, w: lax.conv_general_dilated_local(x, w, (2,), "SAME", (2,)), (n, local), 2
        )


def test_a_program_shows_the_parameters_of_jax():
    x, w = jnp.ones((1, 1, 3)), jnp.ones((1, 1, 2))
    text = str(pb.make_jaxpr(lambda x, w: lax.conv(x, w, (1,), "SAME"))(x, w))
    want = (
        "{ lambda ; a:f32[1,1,3] b:f32[1,1,2]. let c:f32[1,1,3] = conv_general_dilated["
        "batch_group_count=1 dimension_numbers=ConvDimensionNumbers(lhs_spec=(0, 1, 2), "
        "rhs_spec=(0, 1, 2), out_spec=(0, 1, 2)) feature_group_count=1 lhs_dilation=(1,) "
        "padding=((0, 1),) rhs_dilation=(1,) window_strides=(1,)] a b in (c,) }"
    )
    assert " ".join(text.split()).replace("[ ", "[").replace(" ]", "]") == want


def test_messages():
    with pytest.raises(ValueError) as raised:
        lax.conv(jnp.ones((1, 2, 5)), jnp.ones((4, 3, 2)), (1,), "SAME")
    assert str(raised.value).startswith(
        "conv_general_dilated: lhs has 2 features in 1 groups, rhs takes 3 of each group.\n"
        "  Got: shapes (1, 2, 5) and (4, 3, 2), "
    )
    with pytest.raises(ValueError) as raised:
        lax.conv_general_dilated(jnp.ones((1, 2, 5)), jnp.ones((4, 2, 2)), (0,), "SAME")
    assert str(raised.value).startswith("conv_general_dilated: strides must be positive.\n")
