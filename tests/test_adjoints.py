"""odeint with each of its adjoints, against closed forms, one another, JAX, and a formula."""

from __future__ import annotations

from math import comb

import comparing
import numpy as np
import peer
import pytest

import pullback as pb
import pullback.numpy as jnp
from pullback.implicit import ConvergenceError, odeint
from pullback.implicit.revolve import pulled_through
from pullback.test_util import check_grads

if peer.INSTALLED:
    import jax
    import jax.experimental.ode


pytestmark = pytest.mark.usefixtures("x64")


def close(found, wanted, tolerance=1e-6):
    comparing.close(found, wanted, tolerance)


def text(caught):
    return "\n".join([str(caught.value), *getattr(caught.value, "__notes__", [])])


ADJOINTS = ("checkpointed", "interpolated", "direct", "backsolve")
STORED = ADJOINTS[:3]
TIMES = np.array([0.0, 0.3, 0.8, 2.0])


def pendulum(y, t, friction, gravity):
    angle, speed = y
    return [speed, -friction * speed - gravity * jnp.sin(angle) + 0.1 * jnp.cos(3 * t)]


def swing(adjoint, tolerance=1e-9, **options):
    """A number of all outputs of a pendulum, of its start, times and parameters."""
    if adjoint != "backsolve":
        options = {"max_steps": 256, **options}
    options |= {"rtol": tolerance, "atol": tolerance}

    def f(y0, times, friction, gravity):
        a, b = odeint(pendulum, y0, times, friction, gravity, adjoint=adjoint, **options)
        return jnp.sum(a * jnp.arange(1.0, 5.0) + b**2)

    return f


ARGS = ([3.0, 0.1], TIMES, 0.25, 9.8)
ALL = (0, 1, 2, 3)


@pytest.mark.parametrize("adjoint", ADJOINTS)
def test_gradients_agree_with_finite_differences(adjoint, engine):
    f = swing(adjoint, 1e-11)
    for run in (lambda f: f, pb.jit):
        found = run(pb.grad(f, (0, 2, 3)))(*ARGS)
        flat = [3.0, 0.1, 0.25, 9.8]
        for i, slope in enumerate(pb.tree.leaves(found)):
            moved = []
            for step in (1e-4, -1e-4):
                v = [x + step * (i == j) for j, x in enumerate(flat)]
                moved.append(float(f(v[:2], TIMES, *v[2:])))
            np.testing.assert_allclose(slope, (moved[0] - moved[1]) / 2e-4, 2e-5)


@pytest.mark.parametrize("adjoint", STORED)
def test_all_arguments_and_the_times(adjoint, engine):
    want = pb.grad(swing("backsolve", 1e-11), ALL)(*ARGS)
    f = pb.grad(swing(adjoint, 1e-10), ALL)
    close(f(*ARGS), want)
    close(pb.jit(f)(*ARGS), want)


def test_checkpointed_is_exact_for_the_steps_done():
    # With large steps the adjoint equation has other errors than the solution; these two have not.
    for tolerance in (1e-2, 1e-4):
        direct = pb.grad(swing("direct", tolerance), ALL)(*ARGS)
        for slots in (1, 2, 5, 300):
            kept = pb.grad(swing("checkpointed", tolerance, checkpoints=slots), ALL)(*ARGS)
            close(kept, direct, 1e-11)
        along = pb.grad(swing("interpolated", tolerance), ALL)(*ARGS)
        gap = [abs(a - b) for a, b in zip(pb.tree.leaves(along[0]), pb.tree.leaves(direct[0]))]
        assert max(gap) > 1e-8


@pytest.mark.parametrize("adjoint", ADJOINTS)
def test_closed_forms(adjoint, engine):
    """y' = a y + b t, whose solution and derivatives are known."""

    def solved(y0, a, b):
        times = jnp.array([0.5, 1.0, 1.7])
        return odeint(lambda y, t: a * y + b * t, y0, times, adjoint=adjoint)

    def known(y0, a, b):
        t, s = jnp.array([0.5, 1.0, 1.7]), 0.5
        particular = lambda t: -b * (a * t + 1) / a**2  # noqa: E731
        return particular(t) + (y0 - particular(s)) * jnp.exp(a * (t - s))

    args = 0.7, -1.3, 0.4
    close(solved(*args), known(*args))
    for run in (lambda f: f, pb.jit):
        close(run(pb.jacrev(solved, (0, 1, 2)))(*args), pb.jacrev(known, (0, 1, 2))(*args))


def test_forward_mode_and_second_order_of_direct():
    def end(rate):
        return odeint(lambda y, t: rate * y, 1.0, jnp.array([0.0, 1.0]), adjoint="direct")[-1]

    for run in (lambda f: f, pb.jit):
        for transform in (
            pb.grad,
            lambda f: pb.grad(pb.grad(f)),
            pb.hessian,
            lambda f: lambda x: pb.jvp(f, (x,), (1.0,))[1],
        ):
            close(run(transform(end))(0.5), np.exp(0.5))
    check_grads(swing("direct"), ARGS, 1, modes=("fwd", "rev"), atol=1e-3, rtol=1e-3)


def test_forward_mode_of_the_others_is_made_from_reverse_mode():
    def end(rate):
        return odeint(lambda y, t: rate * y, 1.0, jnp.array([0.0, 1.0]))[-1]

    with pytest.raises(TypeError, match="forward-mode"):
        pb.jvp(end, (0.5,), (1.0,))
    close(pb.jvp(pb.forward_from_reverse(end), (0.5,), (1.0,))[1], np.exp(0.5))


@pytest.mark.parametrize("adjoint", STORED)
def test_vmap(adjoint):
    f = swing(adjoint, 1e-8)

    def of_friction(k):
        return pb.grad(lambda k: f(ARGS[0], TIMES, k, 9.8))(k)

    frictions = np.array([0.1, 0.8])
    want = [of_friction(k) for k in frictions]
    close(pb.vmap(of_friction)(frictions), np.array(want), 1e-8)
    close(pb.jit(pb.vmap(of_friction))(frictions), np.array(want), 1e-8)


@pytest.mark.parametrize("adjoint", ADJOINTS)
def test_many_outputs_in_one_step(adjoint):
    times = np.linspace(0.0, 1.0, 60)

    def total(rate):
        ys = odeint(lambda y, t: -rate * y, 2.0, jnp.array(times), adjoint=adjoint, rtol=1e-7)
        return jnp.sum(ys**2)

    close(total(0.7), np.sum(4 * np.exp(-1.4 * times)), 1e-5)
    close(pb.grad(total)(0.7), np.sum(-8 * times * np.exp(-1.4 * times)), 1e-5)


@pytest.mark.parametrize("adjoint", STORED)
def test_complex_states(adjoint):
    def energy(w):
        z = odeint(lambda z, t: 1j * w * z - 0.1 * z, 1 + 0.5j, jnp.array([0.0, 2.0]),
                   adjoint=adjoint)[-1]  # fmt: skip
        return jnp.real(z) ** 2

    def known(w):
        return jnp.real((1 + 0.5j) * jnp.exp((1j * w - 0.1) * 2.0)) ** 2

    close(pb.grad(energy)(1.3), pb.grad(known)(1.3))


@pytest.mark.parametrize("adjoint", STORED)
def test_integers_and_closures(adjoint):
    def end(a, c):
        table = {"n": 2, "c": c}
        y = odeint(lambda y, t, p: a * p["c"] * p["n"] * y, 1.0, jnp.array([0.0, 1.0]), table,
                   adjoint=adjoint)  # fmt: skip
        return y[-1]

    close(pb.grad(end, (0, 1))(0.5, 0.6), (1.2 * np.exp(0.6), np.exp(0.6)))


def forgetful(y, t, rate):
    """Whatever the beginning, y tends to the cosine: backwards, an error grows by exp(rate t)."""
    return -rate * (y - jnp.cos(t))


def test_where_backsolve_fails():
    """y' = 10 (c - y^3): all solutions tend to the cube root of c, and backwards they explode."""

    def end(adjoint):
        def f(c):
            def slope(y, t):
                return 10 * (c - y**3)

            return odeint(slope, 1.5, jnp.array([0.0, 1.0]), adjoint=adjoint, rtol=1e-8)[-1]

        return f

    # All but exp(-30) of the beginning is forgotten.
    for adjoint in STORED:
        close(pb.grad(end(adjoint))(1.0), 1 / 3)
    assert not abs(pb.jit(pb.grad(end("backsolve")))(1.0) - 1 / 3) < 1e-2


@pytest.mark.skipif(not peer.INSTALLED, reason="jax is not installed")
@pytest.mark.parametrize("adjoint", STORED)
def test_the_same_solution_and_gradient_as_jax(adjoint):
    f = swing(adjoint, 1e-9)
    value, found = pb.value_and_grad(f, (0, 2, 3))(*ARGS)

    def theirs(y0, friction, gravity):
        def slope(y, t, friction, gravity):
            angle, speed = y
            return [
                speed,
                -friction * speed - gravity * jax.numpy.sin(angle) + 0.1 * jax.numpy.cos(3 * t),
            ]

        a, b = jax.experimental.ode.odeint(
            slope, y0, jax.numpy.array(TIMES), friction, gravity, rtol=1e-9, atol=1e-9
        )
        return jax.numpy.sum(a * jax.numpy.arange(1.0, 5.0) + b**2)

    with jax.enable_x64(True):
        want, slopes = jax.value_and_grad(theirs, (0, 1, 2))([3.0, 0.1], 0.25, 9.8)
    close(value, want, 1e-11)
    close(found, slopes, 3e-6)


# ---- times that are given twice, or go back


@pytest.mark.parametrize("adjoint", ADJOINTS)
@pytest.mark.parametrize("times", [[0.3, 0.3, 0.3], [0.3, 0.3, 1.0, 1.0], [0.3, 0.8, 0.8]], ids=str)
def test_times_given_twice(adjoint, times, engine):
    def solved(y0, t, rate):  # dy/dt = rate t y
        return odeint(lambda y, t, rate: rate * t * y, y0, t, rate, adjoint=adjoint, rtol=1e-10)

    def formula(y0, t, rate):
        return y0 * jnp.exp(rate * (t**2 - t[0] ** 2) / 2)[:, None]

    args = (jnp.array([1.0, -2.0]), jnp.array(times), 0.7)
    close(solved(*args), formula(*args), 1e-7)
    expected = pb.jacrev(formula, (0, 1, 2))(*args)
    found = pb.jacrev(solved, (0, 1, 2))
    found = (pb.jit(found) if engine == "native" else found)(*args)
    close(found, expected, 1e-5)  # with respect to times it is that of a polynomial
    if adjoint == "direct" and engine == "numpy":
        close(pb.jacfwd(solved, (0, 1, 2))(*args), expected, 1e-5)


@pytest.mark.parametrize("adjoint", STORED)
def test_times_that_go_back(adjoint):
    def solved(t):
        return odeint(lambda y, t: -y, 1.0, t, adjoint=adjoint)

    for times, got in {
        (1.0, 0.0): "t[0]=1 and t[1]=0",
        (0.0, 1.0, 0.5): "t[1]=1 and t[2]=0.5",
    }.items():
        with pytest.raises(ValueError, match="the times must not go back") as caught:
            solved(jnp.array(times))
        assert got in text(caught)
        assert np.isnan(pb.jit(solved)(jnp.array(times))).all()


# ---- the schedule of kept states


def repeated_by_formula(length, slots):
    """Griewank and Walther (2000): r l - binomial(c + r, r - 1)."""
    r = 0
    while comb(slots + r, slots) < length:
        r += 1
    return r * length - comb(slots + r, r - 1) if r else 0


def counting(length, slots, most):
    """Steps that count themselves: whether each is pulled through once, in order; how many."""

    def pull(i, state, cotangents):
        good, expected = cotangents
        return good & (state[0] == i) & (i == expected), expected - 1

    start = (True, length - 1)
    (good, last), repeated = pulled_through(
        lambda i, x: x + 1, pull, jnp.zeros(1), length, most, slots, start
    )
    return good & (last == -1), repeated


def test_steps_done_again_are_as_few_as_the_formula_says(engine):
    for slots in (1, 2, 3, 5, 9):
        run = pb.jit(lambda n, slots=slots: counting(n, slots, 130))  # one program for all lengths
        for length in (0, 1, 2, 3, 4, 7, 10, 11, 20, 56, 57, 130):
            good, repeated = run(length)
            assert bool(good)
            assert int(repeated) == repeated_by_formula(length, slots), (length, slots)


def test_no_schedule_does_better():
    """By dynamic programming: the fewest steps done again, over all places of the next state."""
    best = {}

    def fewest(length, slots):
        if length <= 1:
            return 0
        if slots == 1:
            return length * (length - 1) // 2
        key = length, slots
        if key not in best:
            best[key] = min(
                m + fewest(length - m, slots - 1) + fewest(m, slots) for m in range(1, length)
            )
        return best[key]

    for slots in (1, 2, 3, 4):
        for length in range(1, 40):
            assert repeated_by_formula(length, slots) == fewest(length, slots)


def test_memory_is_of_the_kept_states_only():
    """What the backward program holds grows with the checkpoints, not with the steps."""

    def largest(slots, tolerance):
        f = swing("checkpointed", tolerance, checkpoints=slots, max_steps=512)
        shapes = []

        def walk(program):
            for eq in program.eqns:
                shapes.extend(v.aval.size for v in eq.outvars if v.aval.shape[1:] == (2,))
                for value in eq.params.values():
                    inner = getattr(value, "jaxpr", value)
                    if hasattr(inner, "eqns"):
                        walk(inner)

        walk(pb.make_jaxpr(pb.grad(f, 3))(*ARGS).jaxpr)
        return max(shapes)

    assert largest(16, 1e-3) == largest(16, 1e-9) == 32
    assert largest(64, 1e-3) == 128


# ---- mistakes


@pytest.mark.parametrize("adjoint", STORED)
def test_too_many_steps(adjoint):
    def end(rate):
        return odeint(forgetful, 2.0, jnp.array([0.0, 4.0]), rate, adjoint=adjoint, max_steps=8)[-1]

    for run in (end, pb.grad(end)):
        with pytest.raises(ConvergenceError) as caught:
            run(30.0)
        assert "odeint has not reached the last time." in text(caught)
        assert "max_steps=8" in text(caught)
        assert np.isnan(pb.jit(run)(30.0))


@pytest.mark.parametrize("adjoint", STORED)
def test_a_solution_that_blows_up(adjoint):
    with pytest.raises(ConvergenceError, match="has not reached the last time"):
        odeint(lambda y, t: y * y, 1.0, jnp.array([0.0, 2.0]), adjoint=adjoint, max_steps=500)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"adjoint": "magic"}, "odeint has no adjoint 'magic'."),
        ({"checkpoints": 0}, "odeint: checkpoints must be a whole number, at least 1."),
        ({"max_steps": 2.5}, "odeint: max_steps must be a whole number, at least 1."),
    ],
)
def test_mistakes(options, said):
    with pytest.raises(ValueError) as caught:
        odeint(lambda y, t: y, 1.0, jnp.array([0.0, 1.0]), **options)
    assert said in text(caught)
    assert "Fix: " in text(caught)


def test_a_slope_of_another_structure():
    with pytest.raises(TypeError, match="must give a slope like the state"):
        odeint(lambda y, t: [y, y], 1.0, jnp.array([0.0, 1.0]))
