"""Where languages differ: division by 0, shifts, casts out of range, NaN, indices outside.

NumPy's engine says what is meant; XLA must give the same, sign of zero included.
"""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("jaxlib", reason="the XLA engine needs jaxlib")

import pullback as pb
import pullback.numpy as jnp
from pullback import lax
from pullback.ops.functions import pow_

INTS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
NAN, INF = np.nan, np.inf

pytestmark = pytest.mark.usefixtures("x64")


def both(function, *args):
    """The results of XLA and of NumPy's engine."""
    with np.errstate(all="ignore"):
        return [
            [np.asarray(y) for y in pb.jit(function, engine=engine)(*args)]
            for engine in ("xla", "numpy")
        ]


def same(function, *args):
    for got, want in zip(*both(function, *args), strict=True):
        assert got.dtype == want.dtype
        np.testing.assert_array_equal(got, want)
        if want.dtype.kind == "f":
            known = ~np.isnan(want)
            np.testing.assert_array_equal(np.signbit(got)[known], np.signbit(want)[known])


def corners(dtype):
    limits = np.iinfo(dtype)
    low = [limits.min, limits.min + 1, -1] if limits.min else [0]
    return np.array([*low, 0, 1, 2, 7, limits.max - 1, limits.max], dtype)


def pairs(values):
    return np.repeat(values, len(values)), np.tile(values, len(values))


@pytest.mark.parametrize("dtype", INTS)
def test_integers(dtype):
    """Division and remainder, by 0 and of the smallest number by -1; powers; shifts by any bits."""

    def function(x, y, bits):
        small = lax.rem(y, jnp.asarray(5, y.dtype))
        return [
            lax.div(x, y), lax.rem(x, y), x // y, x % y, pow_(x, y), pow_(x, small),
            lax.shift_left(x, bits), lax.shift_right_logical(x, bits),
            lax.shift_right_arithmetic(x, bits), abs(x), -x, jnp.sign(x),
        ]  # fmt: skip

    x, y = pairs(corners(dtype))
    width = np.iinfo(dtype).bits
    bits = np.resize(np.array([0, 1, width - 1, width, width + 1, 100], dtype), x.shape)
    same(function, x, y, bits)


@pytest.mark.parametrize("source", ["float16", "bfloat16", "float32", "float64"])
def test_floats_as_integers(source):
    """Cut towards 0; what does not fit becomes the nearest that does, NaN becomes 0."""
    values = [0, -0.0, 0.9, -0.9, 127.5, -128.9, 255, 256, -1, 3e4, 7e4, -7e4, 3e9, -3e9, 5e9,
              1e19, -1e19, 2e19, INF, -INF, NAN]  # fmt: skip
    with np.errstate(all="ignore"):
        x = np.array(values).astype(jnp.dtype(source))
    same(lambda x: [x.astype(d) for d in INTS], x)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_order_with_nan_and_two_zeros(dtype):
    x = np.array([[3, NAN, -0.0, 0, -INF], [0, -0.0, 2, 2, INF], [NAN, 1, NAN, -1, 0]], dtype)

    def function(x):
        return [
            jnp.argmax(x, 1), jnp.argmin(x, 1), jnp.argsort(x, 1), jnp.sort(abs(x), 1),
            jnp.max(abs(x), 1), jnp.min(abs(x), 1), lax.top_k(abs(x), 3)[1], jnp.isnan(x),
            lax.cummax(abs(x), 1), jnp.maximum(abs(x), 1), x < 1, x == x, x != 0,
        ]  # fmt: skip

    same(function, x)


@pytest.mark.parametrize("mode", ["clip", "fill", "promise_in_bounds"])
@pytest.mark.parametrize("index", ["int8", "int32", "int64", "uint8", "uint64"])
def test_indices_outside(mode, index):
    x = np.arange(12.0).reshape(4, 3)
    inside = mode == "promise_in_bounds"
    at = [0, 3, 1] if inside else [0, 3, 4, 100, np.iinfo(index).max]
    at += [] if inside or index[0] == "u" else [-1, -4, -5, np.iinfo(index).min]

    def function(x, at):
        found = [x.at[at].get(mode=mode), jnp.take(x, at, 1, mode="clip")]
        return [*found, x.at[at].add(2.0, mode=mode), x.at[at, 1].max(5.0, mode=mode)]

    same(function, x, np.array(at, index))


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (2, 0, 3)])
def test_empty_arrays(shape):
    def function(x):
        return [
            x.sum(), x.sum(0), x.prod(-1), jnp.sort(x), jnp.cumsum(x, -1), x @ jnp.ones(shape[-1]),
            jnp.concatenate([x, x]), x.T, jnp.exp(x), x[..., ::-1], x.reshape(-1), (x > 0).any(),
        ]  # fmt: skip

    same(function, np.zeros(shape))


def test_subnormal_numbers_are_zero_in_arithmetic_only():
    """The one rule for them that differs: jaxlib's threads flush to zero. Moves keep the bits."""
    x = np.array([1e-40, -1e-40, 1.0], np.float32)
    moved, doubled = pb.jit(lambda x: (x[::-1], x * 2), engine="xla")(x)
    assert np.asarray(moved).tobytes() == x[::-1].tobytes()
    np.testing.assert_array_equal(doubled, np.array([0, 0, 2], np.float32))


def test_dtypes_that_stablehlo_has_not():
    with pytest.raises(NotImplementedError) as info:
        pb.jit(lambda x: x + x, engine="xla")(jnp.asarray([1.0], "float6_e2m3fn"))
    assert "it has no code for the dtype float6_e2m3fn" in str(info.value)


def test_a_window_in_a_window_stays_inside_it():
    """XLA alone gives elements of x that the first window has not."""

    def function(x, i, j):
        return [lax.dynamic_slice(lax.dynamic_slice(x, (i,), (4,)), (j,), (3,))]

    x = np.arange(9)
    for i in (-2, 1, 7):
        for j in (-3, 0, 3):
            same(function, x, np.int32(i), np.int32(j))
