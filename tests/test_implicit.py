"""Implicit differentiation, against closed forms, unrolled solvers and finite differences."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize

import pullback as pb
import pullback.numpy as jnp
from pullback import lax
from pullback.implicit import (
    ConvergenceError,
    argmin,
    custom_linear_solve,
    custom_root,
    fixed_point,
    implicit_diff,
)
from pullback.test_util import check_grads

RNG = np.random.default_rng(0)

pytestmark = pytest.mark.usefixtures("x64")


def close(a, b, tolerance=1e-9):
    b = np.array(b) if isinstance(b, list) else b
    for x, y in zip(pb.tree.leaves(a), pb.tree.leaves(b), strict=True):
        np.testing.assert_allclose(np.asarray(x), np.asarray(y), tolerance, tolerance)


def text(caught):
    return "\n".join([str(caught.value), *getattr(caught.value, "__notes__", [])])


W = 0.5 * RNG.normal(size=(3, 3)) / np.sqrt(3)
B = RNG.normal(size=3)
SOLVERS = ("iteration", "anderson", "newton")


def layer(x, w, b):
    return jnp.tanh(w @ x + b)


def equilibrium(solver="iteration", **options):
    return lambda w, b: fixed_point(layer, jnp.zeros(3), w, b, solver=solver, **options)


def unrolled(w, b):
    """The same by 120 iterations that are differentiated: the error is below 1e-15."""
    return lax.fori_loop(0, 120, lambda _, x: layer(x, w, b), jnp.zeros(3))


# ---- fixed points


@pytest.mark.parametrize("solver", SOLVERS)
def test_fixed_point_in_all_modes(solver, engine):
    f = equilibrium(solver)
    close(f(W, B), unrolled(W, B))
    for run in (lambda f: f, pb.jit):
        close(run(f)(W, B), unrolled(W, B))
        close(run(pb.jacrev(f, (0, 1)))(W, B), pb.jacrev(unrolled, (0, 1))(W, B))
        close(run(pb.jacfwd(f, (0, 1)))(W, B), pb.jacfwd(unrolled, (0, 1))(W, B))


@pytest.mark.parametrize("outer", [pb.jacfwd, pb.jacrev])
@pytest.mark.parametrize("inner", [pb.jacfwd, pb.jacrev])
def test_second_order(outer, inner):
    f = equilibrium("newton")
    want = pb.jacfwd(pb.jacfwd(unrolled, 1), 1)(W, B)
    close(outer(inner(f, 1), 1)(W, B), want)
    close(pb.jit(outer(inner(f, 1), 1))(W, B), want)


def test_third_order_of_a_square_root():
    def root(a):
        return fixed_point(lambda x: (x + a / x) / 2, 1.0)

    close(pb.grad(pb.grad(pb.grad(root)))(4.0), 3 / 8 * 4.0**-2.5)


@pytest.mark.parametrize("solver", SOLVERS)
def test_closures_and_trees(solver, engine):
    def solved(a, c):
        def step(x):
            return {"u": jnp.cos(a * x["v"]), "v": c * x["u"] / 2}

        return fixed_point(step, {"u": 0.5, "v": 0.5}, solver=solver)

    def together(a, c):  # u = cos(a c u / 2)
        u = fixed_point(lambda u: jnp.cos(a * c * u / 2), 0.5)
        return {"u": u, "v": c * u / 2}

    args = 0.9, 1.1
    close(solved(*args), together(*args))
    for transform in (pb.jacrev, pb.jacfwd):
        close(transform(solved, (0, 1))(*args), transform(together, (0, 1))(*args))
    check_grads(solved, args, 2)


def test_each_element_ends_by_itself(engine):
    rates = np.array([0.1, 0.5, 0.95])

    def solved(a):
        return fixed_point(lambda x: a * x + 1, 0.0, has_info=True)

    xs, info = pb.vmap(solved)(rates)
    close(xs, 1 / (1 - rates), 1e-8)
    alone = [int(solved(a)[1].iterations) for a in rates]
    assert list(np.asarray(info.iterations)) == alone
    assert alone[0] < alone[1] < alone[2]
    slopes = pb.vmap(pb.grad(lambda a: fixed_point(lambda x: a * x + 1, 0.0)))(rates)
    close(slopes, 1 / (1 - rates) ** 2, 1e-8)


def test_no_derivative_through_the_beginning():
    def f(x0):
        return fixed_point(lambda x: jnp.cos(x), x0)

    assert pb.grad(f)(0.3) == 0.0
    close(pb.jvp(lambda a: fixed_point(jnp.cos, a) * a, (0.5,), (1.0,))[1], 0.7390851332151607)


def test_repelling_points_by_other_solvers():
    for solver in ("anderson", "newton"):
        close(fixed_point(lambda x: 2 * x + 1, 5.0, solver=solver), -1.0)
    cubic = fixed_point(lambda x: x**3 - 3.0, 1.5, solver="newton")
    close(cubic**3 - 3.0, cubic)


def test_anderson_needs_fewer_iterations():
    n = 40
    a = np.diag(np.linspace(0, 0.98, n))
    counts = {}
    for solver in ("iteration", "anderson"):
        x, info = fixed_point(
            lambda x: a @ x + 1, jnp.zeros(n), solver=solver, has_info=True, maxiter=5000
        )
        close(x, 1 / (1 - np.diag(a)), 1e-7)
        counts[solver] = int(info.iterations)
    assert counts["anderson"] < counts["iteration"] / 5


def test_complex_fixed_point():
    c = 0.1 + 0.2j
    x = fixed_point(lambda x, c: x * x + c, 0j, c)
    close(x, (1 - np.sqrt(1 - 4 * c)) / 2)
    slope = pb.grad(lambda c: fixed_point(lambda x, c: x * x + c, 0j, c), holomorphic=True)(c)
    close(slope, 1 / np.sqrt(1 - 4 * c))


def test_a_solver_of_the_users_own():
    def by_hand(f, x):
        for _ in range(200):  # Python code, which sees values
            x = f(x)
            assert float(x["a"]) < 10
        return x

    def solved(a):
        return fixed_point(lambda x: {"a": jnp.cos(a * x["a"])}, {"a": 1.0}, solver=by_hand)["a"]

    want = pb.grad(lambda a: fixed_point(lambda x: jnp.cos(a * x), 1.0))(0.9)
    close(pb.grad(solved)(0.9), want)
    close(pb.grad(pb.grad(solved))(0.9), pb.grad(pb.grad(equivalent))(0.9))


def equivalent(a):
    return fixed_point(lambda x: jnp.cos(a * x), 1.0, solver="newton")


def test_memory_does_not_grow_with_iterations():
    def residuals(rate):
        _, pull = pb.vjp(
            lambda a: fixed_point(lambda x: rate * a * x + 1, jnp.zeros(100), maxiter=10_000),
            np.ones(100),
        )
        return sum(x.size for x in pb.tree.leaves(pull))

    assert residuals(0.5) == residuals(0.99)


# ---- fixed points that are not found


def test_diverging_is_an_error_with_the_history():
    with pytest.raises(ConvergenceError) as caught:
        fixed_point(lambda x: 2 * x + 1, 0.0, maxiter=20)
    assert "fixed_point has not converged." in text(caught)
    # The k-th step goes 2^(k-1) far.
    for step in ("1: 1,", "2: 2,", "4: 8,", "8: 1.3e+02,", "16: 3.3e+04,", "20: 5.2e+05"):
        assert step in text(caught)
    assert "after 20 iterations" in text(caught)
    assert "solver=" in text(caught)
    assert int(caught.value.info.iterations) == 20


def test_diverging_in_a_gradient_is_an_error_too():
    with pytest.raises(ConvergenceError):
        pb.grad(lambda a: fixed_point(lambda x: a * x + 1, 0.0))(-1.0)


def test_overflow_is_not_convergence(engine):
    with pytest.raises(ConvergenceError):
        fixed_point(lambda x: 2 * x + 1, jnp.ones(2), maxiter=5000)


def test_diverging_where_values_are_traced_is_nan(engine):
    def solved(a):
        return fixed_point(lambda x: a * x + 1, 0.0, maxiter=300)

    rates = np.array([0.5, 2.0])
    for run in (lambda f: f, pb.jit):
        for function, want in ((solved, 2.0), (pb.grad(solved), 4.0)):
            found = np.asarray(run(pb.vmap(function))(rates))
            close(found[0], want)
            assert np.isnan(found[1])
    assert np.isnan(pb.jit(solved)(2.0))


def test_info_instead_of_an_error():
    x, info = pb.jit(lambda a: fixed_point(lambda x: a * x, 1.0, maxiter=3, has_info=True))(2.0)
    assert (x, bool(info.converged), int(info.iterations)) == (8.0, False, 3)
    close(info.history, [1.0, 2.0])
    assert info.error == 4.0


# ---- roots

ROOTS = ("newton", "broyden")


def system(x, a):
    return {"circle": x["p"] ** 2 + x["q"] ** 2 - a, "product": x["p"] * x["q"] - jnp.ones(1)}


def by_hand(a):
    """p q = 1 and p^2 + q^2 = a: p + q and p - q are roots of a + 2 and a - 2."""
    s, d = jnp.sqrt(a + 2), jnp.sqrt(a - 2)
    return {"p": (s + d) / 2, "q": (s - d) / 2}


@pytest.mark.parametrize("solver", ROOTS)
def test_roots(solver, engine):
    def solved(a):
        return custom_root(system, {"p": 2.0, "q": 0.5}, a, solver=solver)

    close(solved(4.25), {"p": 2.0, "q": 0.5})
    for run in (lambda f: f, pb.jit):
        close(run(solved)(6.0), by_hand(6.0))
        for transform in (pb.jacfwd, pb.jacrev, pb.hessian):
            close(run(transform(solved))(6.0), transform(by_hand)(6.0))
    close(
        pb.vmap(pb.jacrev(solved))(np.array([4.0, 6.0])),
        pb.vmap(pb.jacrev(by_hand))(np.array([4.0, 6.0])),
    )


def test_newton_from_far_away_needs_its_line_search():
    # Whole steps of Newton's method on the arc tangent diverge from beyond 1.39.
    close(custom_root(lambda x, a: jnp.arctan(x - a), 20.0, 1.0), 1.0)


def test_a_root_that_does_not_exist():
    with pytest.raises(ConvergenceError, match="custom_root has not converged"):
        custom_root(lambda x: x * x + 1, 0.7)


@pytest.mark.parametrize("method", ["gmres", "bicgstab", "normal", "dense"])
def test_roots_of_many_unknowns_without_a_matrix(method):
    n = 120

    def residual(x, b):
        return 3 * x + jnp.sin(jnp.roll(x, 1)) - b

    b = RNG.normal(size=n)
    x = custom_root(residual, jnp.zeros(n), b, linear_solve=method)
    close(residual(x, b), np.zeros(n), 1e-8)
    ct = RNG.normal(size=n)
    jac = np.asarray(pb.jacfwd(residual)(x, b))
    _, pull = pb.vjp(lambda b: custom_root(residual, jnp.zeros(n), b, linear_solve=method), b)
    close(pull(ct)[0], np.linalg.solve(jac.T, ct), 1e-7)


# ---- minima

MINIMISERS = ("newton", "bfgs", "gradient_descent")
POINTS = RNG.normal(size=(12, 3))
LABELS = POINTS @ np.array([1.0, -2.0, 0.5]) + 0.1 * RNG.normal(size=12)


def ridge_loss(x, strength, labels):
    return jnp.sum((POINTS @ x - labels) ** 2) + strength * jnp.sum(x * x)


def ridge(strength, labels):
    return jnp.linalg.solve(POINTS.T @ POINTS + strength * jnp.eye(3), POINTS.T @ labels)


@pytest.mark.parametrize("solver", MINIMISERS)
def test_ridge_regression(solver, engine):
    def fitted(strength, labels):
        return argmin(ridge_loss, jnp.zeros(3), strength, labels, solver=solver)

    args = 0.7, LABELS
    for run in (lambda f: f, pb.jit):
        close(run(fitted)(*args), ridge(*args), 1e-6)
        close(run(pb.jacrev(fitted, (0, 1)))(*args), pb.jacrev(ridge, (0, 1))(*args), 1e-6)
    close(pb.jacfwd(pb.jacrev(fitted))(*args), pb.jacfwd(pb.jacfwd(ridge))(*args), 1e-6)


@pytest.mark.parametrize("solver", MINIMISERS)
def test_a_minimum_in_a_valley(solver):
    def valley(x, a):  # Rosenbrock's function: the minimum is at (a, a^2)
        return (a - x[0]) ** 2 + 10 * (x[1] - x[0] ** 2) ** 2

    def lowest(a):
        return argmin(valley, jnp.array([-1.0, 1.0]), a, solver=solver)

    close(lowest(1.5), [1.5, 2.25], 1e-6)
    close(pb.jacrev(lowest)(1.5), [1.0, 3.0], 1e-5)


def test_newton_does_not_end_on_top():
    # At the start the second derivative is negative, and a whole step leads to a maximum.
    close(argmin(lambda x: (x**2 - 1) ** 2, 0.3), 1.0)


def test_equality_constraints(engine):
    """The projection on a line, and the largest of x y on an ellipse, by hand."""

    def projected(c):
        return argmin(
            lambda x: jnp.sum((x - c) ** 2),
            jnp.zeros(2),
            equality=lambda x: {"line": x[0] + 2 * x[1] - 1},
        )

    def known(c):
        normal = jnp.array([1.0, 2.0])
        return c - normal * (jnp.dot(normal, c) - 1) / 5

    c = RNG.normal(size=2)
    for run in (lambda f: f, pb.jit):
        close(run(projected)(c), known(c))
        close(run(pb.jacrev(projected))(c), pb.jacrev(known)(c))

    def longest(a):  # x^2 / a^2 + y^2 = 1
        return argmin(
            lambda x, a: -x[0] * x[1],
            jnp.array([a, 1.0]),
            a,
            equality=lambda x, a: (x[0] / a) ** 2 + x[1] ** 2 - 1,
        )

    close(longest(3.0), [3 / np.sqrt(2), 1 / np.sqrt(2)])
    close(pb.jacfwd(longest)(3.0), [1 / np.sqrt(2), 0.0])


def test_multipliers_are_the_price_of_a_constraint():
    def solved(level):
        return argmin(
            lambda x: jnp.sum(x**4), jnp.ones(3), equality=lambda x: jnp.sum(x) - level,
            has_info=True,
        )  # fmt: skip

    _, info = solved(2.0)
    price = pb.grad(lambda level: jnp.sum(solved(level)[0] ** 4))(2.0)
    close(info.multipliers, -price)


def test_no_minimum():
    for solver, options in (("newton", {}), ("gradient_descent", {"maxiter": 200})):
        with pytest.raises(ConvergenceError, match="argmin has not converged"):
            argmin(lambda x: jnp.exp(-x) - x, 0.0, solver=solver, **options)
    assert np.isnan(pb.jit(lambda a: argmin(lambda x: -a * x * x, 1.0, maxiter=20))(1.0))


def test_a_minimum_by_scipy():
    def with_scipy(objective, x0):
        slope = pb.grad(objective)
        return scipy.optimize.minimize(objective, x0, jac=slope, tol=1e-12).x

    def fitted(strength):
        return argmin(ridge_loss, jnp.zeros(3), strength, LABELS, solver=with_scipy)

    close(pb.jacrev(fitted)(0.7), pb.jacrev(ridge)(0.7, LABELS), 1e-6)


# ---- the decorator


def test_a_decorated_solver():
    @implicit_diff(lambda x, a: x**3 + x - a)
    def solver(x0, a):
        assert x0 is None
        return scipy.optimize.brentq(lambda x: x**3 + x - float(a), -9.0, 9.0, xtol=1e-14)

    def slope(x):
        return 1 / (3 * x * x + 1)

    x = float(solver(None, 5.0))
    close(x**3 + x, 5.0)
    close(pb.grad(solver, 1)(None, 5.0), slope(x))
    close(pb.jvp(lambda a: solver(None, a), (5.0,), (2.0,))[1], 2 * slope(x))
    close(pb.grad(pb.grad(solver, 1), 1)(None, 5.0), -6 * x * slope(x) ** 3)


def test_a_decorated_solver_under_jit_and_vmap():
    @implicit_diff(pb.grad(ridge_loss), has_aux=True)
    def fitted(x0, strength, labels):
        def step(_, x):
            return x - 0.02 * pb.grad(ridge_loss)(x, strength, labels)

        x = lax.fori_loop(0, 3000, step, x0)
        return x, {"loss": ridge_loss(x, strength, labels)}

    def of_strength(s):
        return fitted(jnp.zeros(3), s, LABELS)[0]

    strengths = np.array([0.3, 0.7])
    want = pb.vmap(pb.jacfwd(ridge), (0, None))(strengths, LABELS)
    close(pb.vmap(pb.jacrev(of_strength))(strengths), want, 1e-7)
    close(pb.jit(pb.vmap(pb.jacfwd(of_strength)))(strengths), want, 1e-7)
    _, aux = fitted(jnp.zeros(3), 0.7, LABELS)
    close(aux["loss"], ridge_loss(ridge(0.7, LABELS), 0.7, LABELS))


def test_a_condition_that_closes_over_traced_values():
    def outer(a):
        @implicit_diff(lambda x: x * x - a)
        def root(x0):
            return np.sqrt(2.0)  # for a = 2, however it was found

        return root(None)

    close(pb.grad(outer)(2.0), 0.5 / np.sqrt(2))


# ---- linear systems

A = RNG.normal(size=(90, 90)) + 15 * np.eye(90)
RIGHT, CT = RNG.normal(size=90), RNG.normal(size=90)


@pytest.mark.parametrize("method", ["auto", "dense", "gmres", "bicgstab", "normal"])
def test_linear_systems(method):
    def solved(a, b):
        return custom_linear_solve(lambda x: a @ x, b, method)

    x = np.linalg.solve(A, RIGHT)
    close(solved(A, RIGHT), x)
    turned = np.linalg.solve(A.T, CT)
    close(pb.vjp(solved, A, RIGHT)[1](CT), (-np.outer(turned, x), turned), 1e-8)
    close(pb.jit(pb.grad(lambda b: solved(A, b) @ CT))(RIGHT), turned, 1e-8)


def test_richardson_is_the_iteration_of_the_derivative():
    n = 100
    a = 0.5 * RNG.normal(size=(n, n)) / np.sqrt(n)

    def solved(b):
        return fixed_point(lambda x: jnp.tanh(a @ x) + b, jnp.zeros(n), linear_solve="richardson")

    b, ct = RNG.normal(size=n), RNG.normal(size=n)
    slope = 1 - np.tanh(a @ np.asarray(solved(b))) ** 2
    close(pb.vjp(solved, b)[1](ct)[0], np.linalg.solve(np.eye(n) - (slope[:, None] * a).T, ct))
    far = custom_linear_solve(lambda x: 3 * x, jnp.ones(100), "richardson")
    assert np.isnan(far).all()


def test_auto_has_a_second_method_where_the_first_fails():
    def turned(x):  # a rotation by a right angle: r . A r = 0, which bicgstab divides by
        return jnp.concatenate([-x[50:], x[:50]])

    b = RNG.normal(size=100)
    assert np.isnan(custom_linear_solve(turned, b, "bicgstab")).all()
    close(custom_linear_solve(turned, b), np.concatenate([b[50:], -b[:50]]))


def test_symmetric_systems_of_trees():
    h = A @ A.T / 90 + np.eye(90)

    def product(x):
        flat = h @ jnp.concatenate([x["a"], x["b"].ravel()])
        return {"a": flat[:50], "b": flat[50:].reshape(8, 5)}

    b = {"a": RIGHT[:50], "b": RIGHT[50:].reshape(8, 5)}
    want = np.linalg.solve(h, RIGHT)
    for options in ({"symmetric": True}, {"solve": "cg"}):
        x = custom_linear_solve(product, b, **options)
        close(np.concatenate([x["a"], np.ravel(x["b"])]), want, 1e-8)


@pytest.mark.parametrize("method", ["gmres", "bicgstab", "normal"])
def test_complex_systems(method):
    a = A[:70, :70] + 1j * A[20:, :70]
    b = RIGHT[:70] + 1j * CT[:70]
    close(custom_linear_solve(lambda x: a @ x, b, method), np.linalg.solve(a, b), 1e-8)


def test_a_solver_for_linear_systems_of_the_users_own():
    def richardson(matvec, b):
        return lax.fori_loop(0, 60, lambda _, x: x + (b - matvec(x)) / 3, b)

    def solved(a):
        return custom_linear_solve(lambda x: a * x + jnp.roll(x, 1), jnp.ones(4), richardson)

    close(pb.jacrev(solved)(3.0), np.full(4, -1 / 16))
    close(pb.jacfwd(solved)(3.0), np.full(4, -1 / 16))


def test_a_system_that_is_not_solved_is_nan():
    singular = np.diag([1.0] * 80 + [0.0])
    x = custom_linear_solve(lambda x: singular @ x, jnp.ones(81), "gmres", maxiter=3)
    assert np.isnan(x).all()


# ---- mistakes


@pytest.mark.parametrize(
    ("call", "kind", "said"),
    [
        (lambda: fixed_point(3.0, 1.0), TypeError, "takes a function as its first argument"),
        (
            lambda: fixed_point(lambda x: x, 1.0, solver="magic"),
            ValueError,
            "fixed_point has no solver 'magic'.",
        ),
        (
            lambda: fixed_point(lambda x: x[:2], jnp.ones(3)),
            TypeError,
            "fixed_point: f must give what x0 is: the same containers and shapes.\n"
            "  Got: f64[2] in PyTreeSpec(*), for f64[3] in PyTreeSpec(*)",
        ),
        (
            lambda: fixed_point(lambda x: x, {"a": 1.0}, solver=lambda f, x: x["a"]),
            TypeError,
            "fixed_point: the solver must return what x0 is: the same containers and shapes.",
        ),
        (
            lambda: fixed_point(lambda x: x * (1 + 1j), 1.0),
            TypeError,
            "fixed_point: f gives numbers that do not fit into x0.\n"
            "  Got: complex128 for an x0 of float64",
        ),
        (
            lambda: fixed_point(lambda x: x, True),
            TypeError,
            "fixed_point searches numbers: x0 must be of floats.",
        ),
        (
            lambda: fixed_point(lambda x: x, 1.0, maxiter=0),
            ValueError,
            "fixed_point: maxiter must be a whole number, at least 1.\n  Got: maxiter=0",
        ),
        (
            lambda: custom_root(lambda x: x[:2], jnp.ones(3)),
            ValueError,
            "custom_root: the system is not square: there must be as many equations as unknowns.\n"
            "  Got: f gives 2 numbers (f64[2]) for 3 unknowns (f64[3])",
        ),
        (
            lambda: implicit_diff(lambda x: x[:1])(lambda x0: np.ones(2))(None),
            ValueError,
            "implicit_diff: the system is not square",
        ),
        (
            lambda: implicit_diff(lambda x: x, has_aux=True)(lambda x0: np.ones(2))(None),
            TypeError,
            "implicit_diff with has_aux=True needs a function that returns a pair",
        ),
        (
            lambda: argmin(lambda x: x * x, jnp.ones(2)),
            TypeError,
            "argmin needs an objective that gives one real number.\n  Got: f64[2] in PyTreeSpec(*)",
        ),
        (
            lambda: argmin(lambda x: jnp.real(x), 1j),
            TypeError,
            "argmin searches real numbers.\n  Got: complex128",
        ),
        (
            lambda: argmin(jnp.sum, jnp.ones(2), equality=lambda x: x, solver="bfgs"),
            ValueError,
            "argmin with equality constraints has one solver only.",
        ),
        (
            lambda: argmin(jnp.sum, jnp.ones(2), equality=lambda x: jnp.ones(3)),
            ValueError,
            "argmin: there are more constraints than unknowns.\n"
            "  Got: 3 constraints, 2 unknowns",
        ),
        (
            lambda: custom_linear_solve(lambda x: x[:2], jnp.ones(3)),
            ValueError,
            "custom_linear_solve: the system is not square: matvec must give what b is.\n"
            "  Got: f64[2] in PyTreeSpec(*), for f64[3] in PyTreeSpec(*)",
        ),
        (
            lambda: custom_linear_solve(lambda x: x, jnp.ones(3), "lu"),
            ValueError,
            "there is no linear solver 'lu'.",
        ),
    ],
)  # fmt: skip
def test_mistakes(call, kind, said):
    with pytest.raises(kind) as caught:
        call()
    assert said in text(caught)
    assert "Fix: " in text(caught)
