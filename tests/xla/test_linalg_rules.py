"""Linear algebra on the XLA engine: no call of Python, and the values of the NumPy engine."""

from __future__ import annotations

import numpy as np
import pytest

import pullback
import pullback.numpy as jnp
from pullback import lax
from pullback.core.program import trace_program
from pullback.core.settings import enable_x64

pytest.importorskip("jaxlib", reason="the XLA engine needs jaxlib")
program = pytest.importorskip("pullback.engines.xla.program")


def matrix(*shape, dtype="float64", seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape)
    return (x + 1j * rng.normal(size=shape) if dtype[0] == "c" else x).astype(dtype)


def solves(a):
    d = jnp.diagonal(a, axis1=-2, axis2=-1)
    return lax.linalg.tridiagonal_solve(d * 0.1, d + 5, d * 0.2, a)


WORK = {
    "cholesky": lambda a: jnp.linalg.cholesky(a @ jnp.swapaxes(a, -1, -2).conj() + 6 * jnp.eye(5)),
    "solve": lambda a: jnp.linalg.solve(a, a[..., :2] + 1),
    "solve of the transposed": lambda a: jnp.linalg.solve(jnp.swapaxes(a, -1, -2), a[..., :2] + 1),
    "inv": jnp.linalg.inv,
    "det": jnp.linalg.det,
    "slogdet": lambda a: jnp.linalg.slogdet(a)[1],
    "qr": lambda a: jnp.linalg.qr(a)[1],
    "full qr": lambda a: jnp.linalg.qr(a[..., :3], mode="complete")[1],
    "pinv": lambda a: jnp.linalg.pinv(a[..., :3]),
    "lu": lambda a: lax.linalg.lu(a)[0],
    "permutation": lambda a: lax.linalg.lu(a)[2] + jnp.real(a[..., 0]) * 0,
    "tridiagonal": solves,
    "symmetric product": lambda a: lax.linalg.symmetric_product(a, a, alpha=0.5, beta=2.0),
    "window": lambda a: lax.reduce_window(a, 1.0, lambda x, y: x * y, (1,) * (a.ndim - 1) + (2,),
                                          (1,) * a.ndim, "SAME"),
    "reduce": lambda a: lax.reduce(a, jnp.zeros((), a.dtype), lambda x, y: x + 2 * y * x + y, (0,)),
}  # fmt: skip
KINDS = [("float32", ()), ("float64", (3,)), ("complex128", ()), ("complex64", (2,))]
REAL_ONLY = {"symmetric product"}


@pytest.mark.parametrize("name", WORK)
@pytest.mark.parametrize(("dtype", "stack"), KINDS, ids=str)
def test_values(name, dtype, stack):
    if dtype[0] == "c" and name in REAL_ONLY:
        pytest.skip("of real numbers")
    with enable_x64():
        x = jnp.asarray(matrix(*stack, 5, 5, dtype=dtype))
        wanted = pullback.jit(WORK[name], engine="numpy")(x)
        found = pullback.jit(lambda a: WORK[name](a), engine="xla")(x)
        tight = np.finfo(x.dtype).eps * 500
        np.testing.assert_allclose(found, wanted, rtol=tight, atol=tight * 5)
        closed = trace_program(lambda a: [WORK[name](a)], [x.aval])
        assert program.write(closed).callbacks == []


@pytest.mark.parametrize("name", ["cholesky", "solve", "inv", "slogdet", "pinv", "tridiagonal"])
def test_gradients(name):
    def loss(a):
        return jnp.sum(WORK[name](a) ** 2)

    with enable_x64():
        x = jnp.asarray(matrix(5, 5))
        wanted = pullback.jit(pullback.grad(loss), engine="numpy")(x)
        found = pullback.jit(pullback.grad(lambda a: loss(a)), engine="xla")(x)
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-9)
        closed = trace_program(lambda a: [pullback.grad(loss)(a)], [x.aval])
        assert program.write(closed).callbacks == []


def test_singular_matrices():
    with enable_x64():
        zero = jnp.zeros((3, 3))
        assert pullback.jit(jnp.linalg.det, engine="xla")(zero) == 0
        assert not np.isfinite(pullback.jit(jnp.linalg.inv, engine="xla")(zero)).any()
        bad = -jnp.eye(3)
        factor = pullback.jit(lambda a: jnp.linalg.cholesky(a), engine="xla")(bad)
        assert np.isnan(np.asarray(factor)[np.tril_indices(3)]).all()


def test_swaps_of_many_rows():
    rng = np.random.default_rng(3)
    pivots = np.stack([rng.integers(i, 40, 2) for i in range(30)], 1).astype(np.int32)

    def order(p):
        return lax.linalg.lu_pivots_to_permutation(p, 40)

    wanted = pullback.jit(order, engine="numpy")(pivots)
    assert pullback.jit(lambda p: order(p), engine="xla")(pivots).tolist() == wanted.tolist()
