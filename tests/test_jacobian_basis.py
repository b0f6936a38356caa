"""The basis of large Jacobians: computed by the program, where there is one, not a constant."""

import numpy as np
import pytest

import pullback
import pullback.numpy as jnp
from pullback.core.array import HostArray

X = jnp.asarray(np.linspace(-1, 1, 90, dtype=np.float32))
Y = jnp.asarray(np.linspace(0, 2, 36, dtype=np.float32).reshape(6, 6))


def of_two(x, y):
    return jnp.concatenate([jnp.sin(x), (y @ y).reshape(-1), x[:36] * y.reshape(-1)])


@pytest.mark.parametrize("jacobian", [pullback.jacfwd, pullback.jacrev])
@pytest.mark.parametrize("engine", ["native", "numpy"])
def test_jitted_jacobians_of_several_arguments(jacobian, engine):
    of_both = jacobian(of_two, argnums=(0, 1))
    want = of_both(X, Y)  # outside of programs the basis is an array
    got = pullback.jit(of_both, engine=engine)(X, Y)
    assert [a.shape for a in got] == [(162, 90), (162, 6, 6)]
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "complex64"])
def test_dtypes(dtype):
    x = X.astype(dtype)
    got = pullback.jit(pullback.jacfwd(lambda x: x * 2, holomorphic=dtype == "complex64"))(x)
    assert got.dtype == x.dtype
    np.testing.assert_array_equal(np.asarray(got, np.complex64), 2 * np.eye(90))


def test_a_large_basis_is_no_constant_of_the_program():
    small, large = (pullback.make_jaxpr(pullback.jacfwd(jnp.sin))(X[:n]) for n in (20, 90))
    assert [c.shape for c in small.consts] == [(20, 20)] and not large.consts
    assert isinstance(small.consts[0], HostArray)
    assert sum(eqn.primitive.name == "iota" for eqn in large.eqns) == 2
