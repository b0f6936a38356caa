"""odeint against known solutions, SciPy and JAX, and its derivatives."""

from __future__ import annotations

import numpy as np
import peer
import pytest
import scipy.integrate

import pullback as pb
import pullback.numpy as jnp
from pullback.core.settings import enable_x64
from pullback.experimental import ode
from pullback.experimental.ode import odeint
from pullback.test_util import check_grads

if peer.INSTALLED:
    import jax
    import jax.experimental.ode


pytestmark = pytest.mark.usefixtures("x64")


def close(found, wanted, tolerance=1e-6):
    np.testing.assert_allclose(np.asarray(found), np.asarray(wanted), tolerance, tolerance)


def pendulum(y, t, friction, gravity):
    angle, speed = y
    return [speed, -friction * speed - gravity * jnp.sin(angle)]


TIMES = np.array([0.0, 0.3, 0.8, 2.0])


def test_a_pendulum_as_scipy():
    def slope(t, y):
        return [y[1], -0.25 * y[1] - 9.8 * np.sin(y[0])]

    want = scipy.integrate.solve_ivp(
        slope, (0, 2), [3.0, 0.0], t_eval=TIMES, rtol=1e-10, atol=1e-10
    ).y
    for run in (odeint, pb.jit(odeint, static_argnums=0)):
        found = run(pendulum, [3.0, 0.0], jnp.array(TIMES), 0.25, 9.8)
        assert isinstance(found, list)
        close(np.stack(found), want)


@pytest.mark.skipif(not peer.INSTALLED, reason="jax is not installed")
def test_the_same_steps_as_jax():
    found = odeint(lambda y, t: jnp.sin(t) - y, jnp.ones(2), jnp.array(TIMES))
    with jax.enable_x64(True):
        want = jax.experimental.ode.odeint(
            lambda y, t: jax.numpy.sin(t) - y, jax.numpy.ones(2), jax.numpy.array(TIMES)
        )
    np.testing.assert_allclose(found, want, 1e-12)


def test_states():
    found = odeint(lambda y, t: 1j * y, 1.0 + 0j, jnp.array([0.0, np.pi, 2 * np.pi]))
    close(found, [1, -1, 1])
    tree = {"a": jnp.ones((2, 2)), "b": (jnp.float64(2.0),)}
    found = odeint(lambda y, t: {"a": -y["a"], "b": (2 * t,)}, tree, jnp.array([0.0, 1.0, 2.0]))
    close(found["a"], np.exp(-np.arange(3.0))[:, None, None] * np.ones((2, 2)))
    close(found["b"][0], 2 + np.arange(3.0) ** 2)
    with enable_x64(False):
        found = odeint(lambda y, t: -y, 1.0, jnp.array([0.0, 1.0]), rtol=1e-5, atol=1e-5)
        assert found.dtype == np.float32
        close(found, [1, np.exp(-1)], 1e-4)
    assert odeint(lambda y, t: y, 1.0, jnp.array([0.5])).tolist() == [1.0]


def test_limits():
    calls = []

    def slope(y, t):
        pb.debug.callback(lambda t: calls.append(float(t)), t)
        return -y

    ts = jnp.array([0.0, 1.0])
    odeint(slope, 1.0, ts, hmax=0.1)
    assert len(calls) >= 60 and max(np.diff(np.unique(calls))) <= 0.1 + 1e-12
    exact = odeint(lambda y, t: -y, 1.0, ts)
    rough = odeint(lambda y, t: -y, 1.0, ts, rtol=1e-3, atol=1e-3)
    assert 1e-8 < abs(rough[1] - np.exp(-1)) < 1e-2
    assert abs(exact[1] - np.exp(-1)) < 1e-7
    assert abs(odeint(lambda y, t: -y, 1.0, ts, mxstep=2)[1] - np.exp(-1)) > 1e-6


def test_reverse_mode_to_second_order():
    def solution(angle, ts, friction, gravity):
        return odeint(pendulum, [angle, 0.1], ts, friction, gravity)

    args = (2.0, jnp.array([0.0, 0.3, 0.7]), 0.25, 9.8)
    check_grads(solution, args, order=2, modes=("rev",), atol=1e-4, rtol=1e-4)


def test_derivatives_in_closed_form():
    ts = jnp.array([0.0, 1.0])

    def end(k):  # k is closed over
        return odeint(lambda y, t: k * y, 1.0, ts)[-1]

    for k in (0.5, 1.0):
        close(pb.grad(end)(k), np.exp(k))
        close(pb.grad(pb.grad(end))(k), np.exp(k))
    close(pb.vmap(pb.grad(end))(jnp.arange(3.0)), np.exp(np.arange(3.0)))
    close(pb.jit(pb.grad(end))(1.0), np.e)
    close(pb.vmap(end)(jnp.arange(3.0)), np.exp(np.arange(3.0)))

    def integral(a, b):
        return odeint(lambda y, t: jnp.cos(t), 0.0, jnp.stack([a, b]))[-1]

    close(pb.grad(integral, (0, 1))(0.3, 1.2), [-np.cos(0.3), np.cos(1.2)])


def test_arguments_that_are_integers():
    def end(x, n):
        return odeint(lambda y, t, x, n: n * x + 0 * y, 0.0, jnp.array([0.0, 2.0]), x, n)[-1]

    close(pb.grad(end)(3.0, 4), 8.0)
    found = pb.grad(lambda x: end(x["a"], 2))({"a": 1.0})
    close(found["a"], 4.0)


def test_forward_mode_says_so():
    with pytest.raises(TypeError, match="custom_vjp"):
        pb.jvp(lambda k: odeint(lambda y, t: k * y, 1.0, jnp.array([0.0, 1.0])), (1.0,), (1.0,))


def test_errors():
    def slope(y, t, *args):
        return -y

    with pytest.raises(TypeError, match="t must be an array of floats"):
        odeint(slope, 1.0, jnp.arange(3))
    with pytest.raises(TypeError, match="odeint"):
        odeint(slope, 1.0, jnp.array([0.0, 1.0]), "a")
    with pytest.raises(TypeError, match="needs a state of floats"):
        odeint(slope, 1, jnp.array([0.0, 1.0]))


# ---- the parts


def test_one_step_is_of_order_five_with_an_error_of_order_five():
    y0, t0 = jnp.array([1.0, 0.5]), 1.0

    def slope(y, t):
        return jnp.sin(t) * y

    def exact(t):
        return np.asarray(y0) * np.exp(np.cos(t0) - np.cos(t))

    f0 = slope(y0, t0)
    errors, estimates = [], []
    for h in (0.2, 0.1):
        y, f, off, k = ode.runge_kutta_step(slope, y0, f0, t0, jnp.asarray(h))
        assert k.shape == (7, 2)
        close(f, slope(y, t0 + h), 1e-14)
        errors.append(np.abs(y - exact(t0 + h)).max())
        estimates.append(np.abs(np.asarray(off)).max())
        polynomial = ode.interp_fit_dopri(y0, y, k, jnp.asarray(h))
        for part in (0.0, 0.25, 0.5, 1.0):
            close(jnp.polyval(polynomial, part), exact(t0 + part * h), 1e-5)
    assert errors[0] / errors[1] > 2**5.5
    assert 2**4.5 < estimates[0] / estimates[1] < 2**6.5


def test_a_polynomial_of_degree_four():
    want = np.array([1.0, -2.0, 0.5, 3.0, 1.5])
    p, d = np.poly1d(want), np.polyder(np.poly1d(want))
    h = 0.25
    found = ode.fit_4th_order_polynomial(
        *(jnp.asarray(v) for v in (p(0.0), p(1.0), p(0.5), d(0.0) / h, d(1.0) / h, h))
    )
    close(found, want, 1e-12)


def test_step_sizes():
    close(ode.optimal_step_size(0.5, jnp.asarray(0.0)), 5.0)
    close(ode.optimal_step_size(0.5, jnp.asarray(1e6)), 0.1)
    close(ode.optimal_step_size(0.5, jnp.asarray(32.0)), 0.5 * 0.9 / 2)
    close(ode.optimal_step_size(0.5, jnp.asarray(0.99)), 0.5)
    close(ode.abs2(jnp.array([3 + 4j])), [25.0])
    ratio = ode.mean_error_ratio(jnp.array([3e-3, 4e-3]), 0.0, 1e-3, jnp.ones(2), jnp.ones(2))
    close(ratio, np.sqrt(12.5))
    first = ode.initial_step_size(lambda y, t: -y, 0.0, jnp.ones(1), 4, 1e-6, 1e-6, -jnp.ones(1))
    assert 1e-3 < first < 0.5
    still = ode.initial_step_size(lambda y, t: 0 * y, 0.0, jnp.ones(1), 4, 1e-6, 1e-6, jnp.zeros(1))
    close(still, 1e-6)
