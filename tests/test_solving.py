"""custom_linear_solve and custom_root: derivatives of the solution, whatever the solver does."""

from __future__ import annotations

import comparing
import numpy as np
import peer
import pytest

import pullback as pb
import pullback.numpy as jnp
from pullback import lax
from pullback.core.program import check_program

if peer.INSTALLED:
    import jax


pytestmark = pytest.mark.usefixtures("x64")


def close(found, wanted, tolerance=1e-9):
    comparing.close(found, wanted, tolerance)


RNG = np.random.default_rng(0)
A = RNG.normal(size=(3, 3)) + 3 * np.eye(3)
B = RNG.normal(size=3)
DA, DB = RNG.normal(size=(3, 3)), RNG.normal(size=3)


def matrix_of(function, like, numpy=jnp, module=pb):
    """The matrix of a linear function of a vector: what a solver may find out."""
    return module.vmap(function, out_axes=1)(numpy.eye(like.shape[0]))


def dense(a, b, lax=lax, numpy=jnp, module=pb, **options):
    def solve(function, y):
        matrix = matrix_of(function, y, numpy, module)
        return numpy.linalg.solve(module.lax.stop_gradient(matrix), y)

    def product(x):
        return a @ x

    return lax.custom_linear_solve(product, b, solve, solve, **options)


def iterated(a, b, lax=lax, numpy=jnp, module=pb):
    """Richardson's iteration: a while_loop, which reverse mode does not go through."""

    def solve(function, y):
        def step(state):
            x, n = state
            return x + 0.15 * (y - function(x)), n + 1

        return lax.while_loop(lambda s: s[1] < 400, step, (0 * y, 0))[0]

    return lax.custom_linear_solve(lambda x: a @ x, b, solve, solve)


def symmetric(a, b, lax=lax, numpy=jnp, module=pb):
    h = a @ a.T

    def solve(function, y):
        return numpy.linalg.solve(h, y)

    return lax.custom_linear_solve(lambda x: h @ x, b, solve, symmetric=True)


@pytest.mark.parametrize("solver", [dense, iterated, symmetric])
def test_linear_solve(solver):
    def plain(a, b):
        return jnp.linalg.solve(a @ a.T if solver is symmetric else a, b)

    def loss(f):
        return lambda a, b: jnp.sum(jnp.sin(f(a, b)))

    close(solver(A, B), plain(A, B))
    close(pb.jit(solver)(A, B), plain(A, B))
    close(pb.jvp(solver, (A, B), (DA, DB)), pb.jvp(plain, (A, B), (DA, DB)))
    expected = pb.grad(loss(plain), (0, 1))(A, B)
    close(pb.grad(loss(solver), (0, 1))(A, B), expected)
    close(pb.jit(pb.grad(loss(solver), (0, 1)))(A, B), expected)
    close(pb.grad(pb.jit(loss(solver)), (0, 1))(A, B), expected)
    check_program(pb.make_jaxpr(pb.grad(loss(solver), (0, 1)))(A, B).program)
    stack = np.stack([A, A.T + np.eye(3)])
    for axes, args in (
        ((0, 0), (stack, np.stack([B, DB]))),
        ((0, None), (stack, B)),
        ((None, 0), (A, stack[0])),
    ):
        close(pb.vmap(solver, axes)(*args), pb.vmap(plain, axes)(*args))
        mapped = pb.vmap(pb.grad(loss(solver), (0, 1)), axes)
        close(mapped(*args), pb.vmap(pb.grad(loss(plain), (0, 1)), axes)(*args))
    for second in (
        lambda f: pb.jvp(pb.grad(loss(f), (0, 1)), (A, B), (DA, DB))[1],
        lambda f: pb.grad(lambda a: (pb.grad(loss(f))(a, B) * DA).sum())(A),
        lambda f: pb.hessian(loss(f), 1)(A, B),
    ):
        close(second(solver), second(plain))


def test_linear_solve_on_trees_with_auxiliary_data():
    def f(k, y):
        def product(x):
            return {"a": k * x["a"], "b": (x["b"][0] + x["a"], 2 * x["b"][1])}

        def solve(function, b):
            a = b["a"] / k
            return {"a": a, "b": (b["b"][0] - a, b["b"][1] / 2)}, {"calls": 1, "k": k}

        def transpose_solve(function, b):
            first = b["b"][0]
            return {"a": (b["a"] - first) / k, "b": (first, b["b"][1] / 2)}, None

        b = {"a": y, "b": (y * 2, y * 3)}
        x, aux = lax.custom_linear_solve(product, b, solve, transpose_solve, has_aux=True)
        return x["a"] + 10 * x["b"][0] + 100 * x["b"][1], aux

    def plain(k, y):
        a = y / k
        return a + 10 * (2 * y - a) + 150 * y

    value, aux = f(2.0, 3.0)
    close(value, plain(2.0, 3.0))
    assert aux == {"calls": 1, "k": 2.0}
    g = pb.grad(lambda k, y: f(k, y)[0], (0, 1))
    close(g(2.0, 3.0), pb.grad(plain, (0, 1))(2.0, 3.0))
    close(pb.jit(g)(2.0, 3.0), pb.grad(plain, (0, 1))(2.0, 3.0))
    ks = jnp.array([1.0, 2.0])
    close(pb.vmap(g, (0, None))(ks, 3.0), pb.vmap(pb.grad(plain, (0, 1)), (0, None))(ks, 3.0))


def test_linear_solve_in_a_scan():
    def f(a, b):
        return lax.scan(lambda x, _: (dense(a, x + b), None), b, length=3)[0].sum()

    def plain(a, b):
        x = b
        for _ in range(3):
            x = jnp.linalg.solve(a, x + b)
        return x.sum()

    close(pb.grad(f, (0, 1))(A, B), pb.grad(plain, (0, 1))(A, B))
    close(pb.jit(pb.grad(f, (0, 1)))(A, B), pb.grad(plain, (0, 1))(A, B))


# ---- roots


def newton(f, x0):
    def step(state):
        x, n = state
        g = pb.jacobian(f)(x)
        return x - (jnp.linalg.solve(g, f(x)) if x.ndim else f(x) / g), n + 1

    return lax.while_loop(lambda s: s[1] < 20, step, (x0, 0))[0]


def scalar_solve(g, y):
    return y / g(1.0)


def vector_solve(g, y):
    return jnp.linalg.solve(pb.jacobian(g)(y), y)


def cube_root(a):
    return lax.custom_root(lambda x: x**3 - a, 1.5 + 0 * a, newton, scalar_solve)


def test_root_of_a_scalar_function():
    close(cube_root(8.0), 2.0)
    close(pb.grad(cube_root)(8.0), 1 / 12)
    close(pb.jvp(cube_root, (8.0,), (1.0,))[1], 1 / 12)
    close(pb.jit(pb.grad(cube_root))(8.0), 1 / 12)
    close(pb.grad(pb.jit(cube_root))(8.0), 1 / 12)
    close(pb.grad(pb.grad(cube_root))(8.0), -2 / 9 * 8 ** (-5 / 3))
    close(pb.hessian(cube_root)(8.0), -2 / 9 * 8 ** (-5 / 3))
    third = pb.grad(pb.grad(pb.grad(cube_root)))(8.0)
    close(third, 10 / 27 * 8 ** (-8 / 3))
    a = jnp.array([1.0, 8.0, 27.0])
    close(pb.vmap(cube_root)(a), jnp.array([1.0, 2.0, 3.0]))
    close(pb.vmap(pb.grad(cube_root))(a), 1 / (3 * a ** (2 / 3)))
    close(pb.jit(pb.vmap(pb.grad(cube_root)))(a), 1 / (3 * a ** (2 / 3)))
    close(pb.grad(lambda a: pb.vmap(cube_root)(a).sum())(a), 1 / (3 * a ** (2 / 3)))


def fixed_point(w, b):
    """The x with x = tanh(w x + b)."""
    return lax.custom_root(lambda x: x - jnp.tanh(w @ x + b), 0 * b, newton, vector_solve)


def test_root_of_a_vector_function():
    w, n = A / 10, 60

    def plain(w, b):
        x = 0 * b
        for _ in range(n):
            x = jnp.tanh(w @ x + b)
        return x

    def loss(f):
        return lambda w, b: jnp.sum(jnp.sin(f(w, b)))

    close(fixed_point(w, B), plain(w, B))
    expected = pb.grad(loss(plain), (0, 1))(w, B)
    close(pb.grad(loss(fixed_point), (0, 1))(w, B), expected)
    close(pb.jit(pb.grad(loss(fixed_point), (0, 1)))(w, B), expected)
    close(pb.jvp(fixed_point, (w, B), (DA, DB)), pb.jvp(plain, (w, B), (DA, DB)))
    second = pb.jvp(pb.grad(loss(fixed_point), (0, 1)), (w, B), (DA, DB))[1]
    close(second, pb.jvp(pb.grad(loss(plain), (0, 1)), (w, B), (DA, DB))[1])
    bs = np.stack([B, DB])
    mapped = pb.vmap(pb.grad(loss(fixed_point), (0, 1)), (None, 0))(w, bs)
    close(mapped, pb.vmap(pb.grad(loss(plain), (0, 1)), (None, 0))(w, bs))


def test_root_on_trees_with_auxiliary_data():
    def f(a):
        def equations(x):
            return {"p": x["p"] * 2 - a, "q": x["q"] - x["p"] * a}

        def solve(f, guess):
            p = a / 2
            return {"p": p, "q": p * a}, {"rounds": 7}

        def tangent_solve(g, y):
            # g(x) = (2 x.p, x.q - a x.p): lower triangular, found out by two calls.
            p = y["p"] / g({"p": 1.0, "q": 0.0})["p"]
            return {"p": p, "q": y["q"] - g({"p": p, "q": 0.0})["q"]}

        x, aux = lax.custom_root(
            equations, {"p": 1.0, "q": 1.0}, solve, tangent_solve, has_aux=True
        )
        return x["p"] + x["q"], aux

    value, aux = f(3.0)
    close(value, 1.5 + 4.5)
    assert aux == {"rounds": 7}
    for g in (pb.grad(lambda a: f(a)[0]), pb.jit(pb.grad(lambda a: f(a)[0]))):
        close(g(3.0), 0.5 + 3.0)
    close(pb.grad(pb.grad(lambda a: f(a)[0]))(3.0), 1.0)


def test_neither_guess_nor_solver_matter_to_the_derivative():
    def f(a, guess, k):
        def solve(f, x0):
            return newton(f, x0) + 0 * k

        return lax.custom_root(lambda x: x**3 - a, guess, solve, scalar_solve)

    close(pb.grad(f, (0, 1, 2))(8.0, 1.0, 5.0), (1 / 12, 0.0, 0.0))


@pytest.mark.skipif(not peer.INSTALLED, reason="JAX is not installed")
def test_jax_agrees():
    with jax.enable_x64(True):

        def theirs(a, b):
            return dense(a, b, jax.lax, jax.numpy, jax).sum()

        a, b = jax.numpy.asarray(A), jax.numpy.asarray(B)
        close(pb.grad(lambda a, b: dense(a, b).sum(), (0, 1))(A, B), jax.grad(theirs, (0, 1))(a, b))
