"""Numbers of less than a byte: results are arguments again, arrays may be empty."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("jaxlib", reason="the XLA engine needs jaxlib")

import pullback as pb
import pullback.numpy as jnp

NAMES = ("int2", "uint2", "int4", "uint4", "float4_e2m1fn")


def numbers(name, shape):
    return jnp.asarray(np.arange(np.prod(shape, dtype=int)).reshape(shape) % 2, name)


def same(got, want):
    assert got.dtype == want.dtype
    np.testing.assert_array_equal(np.asarray(got, np.float32), np.asarray(want, np.float32))


@pytest.mark.parametrize("name", NAMES)
def test_results_as_arguments(name):
    """XLA's array, NumPy's array and that of the entry's third call mean the same."""
    f = pb.jit(lambda x: jnp.concatenate([x[1:], x[:1]]), engine="xla")
    x = y = numbers(name, (5,))
    for k in range(1, 5):
        y = f(y)
        same(y, np.roll(np.asarray(x), -k))


@pytest.mark.parametrize("name", NAMES)
def test_donated(name):
    f = pb.jit(lambda x: x[::-1], engine="xla", donate_argnums=0)
    x = f(numbers(name, (4, 3)))
    same(f(x), numbers(name, (4, 3)))
    assert x.is_deleted()


@pytest.mark.parametrize("name", NAMES)
def test_compiled_before(name):
    x = numbers(name, (4, 3))
    made = pb.jit(lambda x: (x.T, x.astype(float)), engine="xla").lower(x).compile()
    turned, plain = made(x)
    same(turned, x.T)
    same(plain, np.asarray(x, np.float32))


@pytest.mark.parametrize("name", NAMES)
def test_empty(name):
    f = pb.jit(lambda x: jnp.where(x == x, x, jnp.zeros_like(x)), engine="xla")
    assert f(numbers(name, (2, 0, 3))).shape == (2, 0, 3)


@pytest.mark.parametrize("name", NAMES)
def test_large_constant(name):
    c = numbers(name, (3000,))
    same(pb.jit(lambda x: jnp.where(x, c, c[::-1]), engine="xla")(True), c)
