"""minimize against known minima, SciPy and JAX."""

from __future__ import annotations

import numpy as np
import peer
import pytest
import scipy.optimize

import pullback as pb
import pullback.numpy as jnp
from pullback.scipy.optimize import OptimizeResults, minimize

if peer.INSTALLED:
    import jax
    import jax.scipy.optimize

LBFGS = "l-bfgs-experimental-do-not-rely-on-this"
methods = pytest.mark.parametrize("method", ["BFGS", LBFGS])

pytestmark = pytest.mark.usefixtures("x64")


def rosenbrock(x):
    return ((1 - x[:-1]) ** 2 + 100 * (x[1:] - x[:-1] ** 2) ** 2).sum()


def himmelblau(p):
    return (p[0] ** 2 + p[1] - 11) ** 2 + (p[0] + p[1] ** 2 - 7) ** 2


def matyas(p):
    return 0.26 * (p[0] ** 2 + p[1] ** 2) - 0.48 * p[0] * p[1]


CASES = [
    (rosenbrock, [-1.2, 1.0], [1, 1]),
    (rosenbrock, [0.5, 0.8, 0.9, 1.2], [1, 1, 1, 1]),
    (himmelblau, [1.0, 1.0], [3, 2]),
    (matyas, [1.0, 5.0], [0, 0]),
]


@methods
@pytest.mark.parametrize(("fun", "x0", "want"), CASES, ids=lambda v: getattr(v, "__name__", ""))
def test_minima(fun, x0, want, method):
    options = {"ftol": 0.0} if method == LBFGS else {}
    for run in (minimize, pb.jit(minimize, static_argnames=("fun", "method"))):
        found = run(fun, jnp.array(x0), method=method, options=options)
        assert isinstance(found, OptimizeResults)
        assert found.success and found.status == 0
        np.testing.assert_allclose(found.x, want, atol=1e-5)
        np.testing.assert_allclose(found.fun, fun(np.asarray(found.x)), atol=1e-12)
        np.testing.assert_allclose(found.jac, pb.grad(fun)(found.x), atol=1e-12)
        assert abs(np.asarray(found.jac)).max() < 1e-5
        assert (found.hess_inv is None) == (method == LBFGS)
        theirs = scipy.optimize.minimize(
            fun,
            x0,
            jac=lambda x: np.asarray(pb.grad(fun)(x)),
            method="L-BFGS-B" if method == LBFGS else method,
        )
        assert found.nit <= 1.3 * theirs.nit + 3 and found.nfev <= 1.5 * theirs.nfev + 5


def test_the_inverse_hessian_is_that_of_a_quadratic():
    a = np.array([[4.0, 1.0, 0.0], [1.0, 3.0, 1.0], [0.0, 1.0, 2.0]])
    b = np.array([1.0, 2.0, 3.0])
    found = minimize(lambda x: x @ a @ x / 2 - b @ x, jnp.zeros(3), method="BFGS", tol=1e-10)
    np.testing.assert_allclose(found.x, np.linalg.solve(a, b), atol=1e-9)
    np.testing.assert_allclose(found.hess_inv, np.linalg.inv(a), atol=1e-3)


@methods
def test_vmap_and_arguments(method):
    starts = np.array([[1.0, 1.0], [-3.0, 3.0], [-4.0, -3.0], [4.0, -2.0]])

    def run(x0, shift):
        return minimize(lambda x, s: himmelblau(x - s), x0, (shift,), method=method).x

    found = pb.vmap(run)(starts, np.arange(4.0))
    for row, x0, shift in zip(found, starts, np.arange(4.0), strict=True):
        np.testing.assert_allclose(row, run(x0, shift), atol=1e-7)
        assert himmelblau(np.asarray(row) - shift) < 1e-9


@methods
def test_limits_and_status(method):
    x0 = np.array([-1.2, 1.0])
    found = minimize(rosenbrock, x0, method=method, options={"maxiter": 3})
    assert not found.success and found.status == 1
    assert found.nit == 3 + (method == LBFGS)  # which looks at the limit after the step
    found = minimize(matyas, np.zeros(2), method="BFGS")
    assert found.success and found.nit == 0 and found.nfev == 1

    def slope(x):  # without a minimum
        return x.sum()

    assert not minimize(slope, x0, method=method, options={"maxiter": 50}).success


def test_limits_of_lbfgs():
    x0 = np.array([-1.2, 1.0])
    for option, status in (("maxfun", 2), ("maxgrad", 3)):
        found = minimize(rosenbrock, x0, method=LBFGS, options={option: 5, "ftol": -1.0})
        assert found.status == status and 5 <= found.nfev <= 12
    assert minimize(rosenbrock, x0, method=LBFGS, options={"ftol": 1e3}).status == 4
    short = minimize(rosenbrock, x0, method=LBFGS, options={"maxcor": 2, "ftol": 0.0})
    np.testing.assert_allclose(short.x, [1, 1], atol=1e-5)


def test_lbfgs_of_a_complex_array():
    target = np.array([1.0 + 2j, -0.5j])

    def fun(z):
        d = z - target
        return jnp.sum(jnp.abs(d * np.array([1.0, 3.0])) ** 2)

    found = minimize(fun, np.zeros(2, complex), method=LBFGS, options={"ftol": 0.0})
    np.testing.assert_allclose(found.x, target, atol=1e-6)


@pytest.mark.skipif(not peer.INSTALLED, reason="jax is not installed")
def test_the_same_way_as_jax():
    for method in ("BFGS", LBFGS):
        ours = minimize(himmelblau, np.ones(2), method=method)
        with jax.enable_x64(True):
            theirs = jax.scipy.optimize.minimize(himmelblau, jax.numpy.ones(2), method=method)
        counts = [[int(n) for n in (r.nit, r.nfev, r.njev)] for r in (ours, theirs)]
        assert counts[0] == counts[1]
        np.testing.assert_allclose(ours.x, theirs.x, atol=1e-12)


def test_errors():
    x0 = np.ones(2)
    for args, options, kind, message in (
        ((x0, 1.0), {"method": "BFGS"}, TypeError, "must be a tuple, got 1.0"),
        ((x0,), {"method": "Nelder-Mead"}, ValueError, "Method Nelder-Mead not recognized"),
        ((np.ones((2, 2)),), {"method": "BFGS"}, ValueError, "one-dimensional x0"),
    ):
        with pytest.raises(kind, match=message):
            minimize(matyas, *args, **options)
