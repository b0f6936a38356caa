"""XLA simplifies formulas; here it is kept from doing so, for the results would be others."""

from __future__ import annotations

import numpy as np
import pytest

import pullback
import pullback.numpy as jnp
from pullback import lax

pytest.importorskip("jaxlib", reason="the XLA engine needs jaxlib")

SOME = [-np.inf, -1e18, -2.0, -0.5, 0.0, 0.5, 2.0, 3.0, 1e18, np.inf, np.nan]
X, Y = (g.ravel().astype(np.float32) for g in np.meshgrid(SOME, SOME))
CASES = {
    "log(x ** y)": lambda x, y: jnp.log(lax.pow(x, y)),
    "log(x ** 0.5)": lambda x, y: jnp.log(lax.pow(x, jnp.full_like(x, 0.5))),
    "log(1 ** x)": lambda x, y: jnp.log(lax.pow(jnp.ones_like(x), x)),
    "exp(x) ** y": lambda x, y: lax.pow(jnp.exp(x), y),
    "(x / y) / z": lambda x, y: (x / y) / (y * y),
    "x / (y / z)": lambda x, y: (x * x) / ((y * y) / (x * x)),
    "|x| >= 0": lambda x, y: jnp.abs(x) >= 0,
    "0 <= x * x": lambda x, y: lax.le(jnp.zeros_like(x), x * x),
    "|x| >= 0, in other shapes": lambda x, y: jnp.abs(x).reshape(11, 11) >= 0,
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_not_simplified(name):
    want = pullback.jit(CASES[name], engine="numpy")(X, Y)
    got = pullback.jit(CASES[name], engine="xla")(X, Y)
    np.testing.assert_allclose(got, want, rtol=2e-6)


def test_16_bits():
    x, y = (jnp.asarray([-2.0, 2.0, 3.0], jnp.bfloat16) for _ in range(2))
    got = pullback.jit(CASES["log(x ** y)"], engine="xla")(x, y + 0.5)
    np.testing.assert_array_equal(np.isnan(np.asarray(got, np.float32)), [True, False, False])
