"""Transformations of transformations: a table of functions x tables of transformations.

Every function takes and gives a vector of three numbers, and so does what a transformation makes
of it: so they compose to any depth. Each transformation has a plain meaning, written with loops,
`if` and the other mode of differentiation; a chain must give what the chain of plain meanings
gives, and what JAX gives.
"""

from __future__ import annotations

import functools
import itertools
import random

import numpy as np
import pytest

import pullback as pb

X = np.array([0.3, -0.6, 0.9])
V = np.array([1.0, 0.5, -0.7])
W = np.array([0.2, -1.0, 0.6])


@pytest.fixture(autouse=True, scope="module")
def x64():
    with pb.enable_x64():
        yield


# ---- functions: each is made for a library, `J` is pullback or jax


def smooth(J):
    return lambda x: J.numpy.sin(x) * x[::-1]


def matrix(J):
    return lambda x: J.numpy.tanh(J.numpy.outer(x, V) @ x + 0.1)


def constant(J):
    return lambda x: J.numpy.ones(3)


def unchanged(J):
    return lambda x: x


def twice_the_same(J):
    def f(x):
        y = J.numpy.sin(x)
        a, b = J.jit(lambda u: (u, u))(y)
        return a * b

    return f


def through_integers(J):
    return lambda x: J.numpy.floor(x * 4) * 0.1 + (x * 3).astype(int) * x + (x > 0) * x


def indexed(J):
    def f(x):
        y = x.at[1].set(x[0] * x[2]).at[0].add(J.numpy.sin(x[1]))
        return y[J.numpy.array([2, 0, 0])] + J.numpy.sort(x)

    return f


def complex_inside(J):
    def f(x):
        z = J.numpy.exp(1j * x) * (x + 2j)
        return J.numpy.real(z * z) * 0.1 + J.numpy.abs(z) + J.numpy.imag(J.numpy.conj(z)) * 0.2

    return f


def tree(J):
    def f(x):
        d = {"a": x[0], "b": (x[1:], None), "c": [x[2] * 2.0]}
        d = J.jit(lambda d: J.tree_util.tree_map(J.numpy.cos, d))(d)
        return J.numpy.concatenate([d["b"][0], d["a"][None] * d["c"][0]])

    return f


def empty(J):
    return lambda x: x * (1.0 + J.numpy.sum(J.numpy.zeros((0, 3)) @ x) + x[3:].sum())


def scanned(J):
    def f(x):
        def step(carry, row):
            new = J.numpy.tanh(carry * row + x[::-1])
            return new, new[0] * row

        last, rows = J.lax.scan(step, x, J.numpy.arange(6.0).reshape(2, 3) * 0.3)
        return last + rows.sum(0)

    return f


def scanned_backward(J):
    def f(x):
        def step(carry, xs):
            i, y = xs
            return carry * J.numpy.cos(y) + 0.1 * i, (carry, i)

        last, (all_, _) = J.lax.scan(step, x[0], (J.numpy.arange(3), x), reverse=True)
        return all_ + last

    return f


def repeated(J):
    return lambda x: J.lax.fori_loop(0, 3, lambda i, c: J.numpy.sin(c) * x + 0.1 * i, x)


def branched(J):
    def f(x):
        y = J.lax.cond(x[0] > 0, lambda u: J.numpy.sin(u) * x, lambda u: u, x)
        return J.lax.switch(1, [lambda u: u, lambda u: u * x[0], lambda u: -u], y)

    return f


def mapped_inside(J):
    def f(x):
        rows = J.vmap(lambda a, b: J.numpy.sin(a * b), (None, 0), 1)(x, J.numpy.asarray(V))
        return rows.sum(1) + J.vmap(lambda a: a / J.lax.psum(1.0 + a * a, "i"), axis_name="i")(x)

    return f


def own_forward_rule(J):
    @J.custom_jvp
    def g(x, y):
        return J.numpy.sin(x) * y

    @g.defjvp
    def rule(primals, tangents):  # twice the derivative, so that it is seen whether it was used
        (x, y), (dx, dy) = primals, tangents
        return g(x, y), 2 * J.numpy.cos(x) * dx * y + J.numpy.sin(x) * dy

    return lambda x: g(x, x[::-1])


def rule_with_function(J):
    @functools.partial(J.custom_jvp, nondiff_argnums=(0, 2))
    def apply(function, x, n):
        return function(x) * n

    @apply.defjvp
    def rule(function, n, primals, tangents):
        return apply(function, primals[0], n), 3 * tangents[0] * J.numpy.cos(primals[0])

    return lambda x: apply(J.numpy.sin, x, 2)


def nested_derivative(J):
    def f(x):
        inner = J.grad(lambda y: J.numpy.sum(J.numpy.sin(y * x) * y))
        return inner(J.numpy.cos(x)) + x * J.jvp(lambda y: y * x * x, (x,), (x,))[1]

    return f


def recomputed(J):
    return J.checkpoint(lambda x: J.numpy.sin(J.jit(lambda y: J.numpy.cos(y) * x)(x) + x))


def solved(J):
    def f(x):
        a = J.numpy.eye(3) * 3.0 + J.numpy.outer(x, x)
        return J.numpy.linalg.solve(a, J.numpy.sin(x))

    return f


FUNCTIONS = [
    smooth, matrix, constant, unchanged, twice_the_same, through_integers, indexed, complex_inside,
    tree, empty, scanned, scanned_backward, repeated, branched, mapped_inside, own_forward_rule,
    rule_with_function, nested_derivative, recomputed, solved,
]  # fmt: skip


# ---- transformations, and their plain meanings


def with_jit(J, f):
    return J.jit(f)


def with_grad(J, f):
    return J.grad(lambda x: J.numpy.sum(f(x) * W))


def with_vjp(J, f):
    return lambda x: J.vjp(f, x)[1](J.numpy.asarray(W))[0]


def plain_grad(J, f):
    def columns(x):
        rows = [J.jvp(f, (x,), (J.numpy.asarray(e),))[1] for e in np.eye(3)]
        return J.numpy.stack([J.numpy.sum(row * W) for row in rows])

    return columns


def with_jvp(J, f):
    return lambda x: J.jvp(f, (x,), (J.numpy.asarray(V),))[1]


def with_linearize(J, f):
    return lambda x: J.linearize(f, x)[1](J.numpy.asarray(V))


def plain_jvp(J, f):
    def direction(x):
        rows = [J.grad(lambda y, i=i: f(y)[i])(x) for i in range(3)]
        return J.numpy.stack([J.numpy.sum(row * V) for row in rows])

    return direction


def with_transpose(J, f):
    def pulled(x):
        return J.linear_transpose(lambda t: J.jvp(f, (x,), (t,))[1], x)(J.numpy.asarray(W))[0]

    return pulled


def with_jacfwd(J, f):
    return lambda x: J.jacfwd(f)(x) @ V


def with_jacrev(J, f):
    return lambda x: W @ J.jacrev(f)(x)


def with_vmap(J, f):
    def first_and_second(x):
        rows = J.vmap(f)(J.numpy.stack([x, x * 0.5]))
        return rows[0] - rows[1]

    return first_and_second


def plain_vmap(J, f):
    return lambda x: f(x) - f(x * 0.5)


def with_odd_vmap(J, f):
    def columns(x):
        xs = J.numpy.stack([x, x * 0.5], axis=1)
        ys, zs = J.vmap(lambda a, b: (f(a), b), (-1, None), (1, None))(xs, x)
        return ys[:, 0] - ys[:, 1] + zs * 0.1

    return columns


def plain_odd_vmap(J, f):
    return lambda x: f(x) - f(x * 0.5) + x * 0.1


def with_vmap_of_closure(J, f):
    """The mapped value enters by closure; the argument is the same for all."""
    return lambda x: J.vmap(lambda s: f(x) * s)(J.numpy.asarray(V)).sum(0)


def plain_vmap_of_closure(J, f):
    return lambda x: sum(f(x) * float(s) for s in V)


def with_scan(J, f):
    return lambda x: J.lax.scan(lambda c, s: (f(c) * s, c), x, J.numpy.asarray(V[:2]))[0]


def plain_scan(J, f):
    def loop(x):
        for s in V[:2]:
            x = f(x) * float(s)
        return x

    return loop


def with_map(J, f):
    return lambda x: J.lax.map(lambda s: f(x * s), J.numpy.asarray(V[:2])).sum(0)


def plain_map(J, f):
    return lambda x: f(x * float(V[0])) + f(x * float(V[1]))


def with_loop(J, f):
    return lambda x: J.lax.fori_loop(0, 2, lambda i, c: f(c) * 0.5 + x, x)


def plain_loop(J, f):
    return lambda x: f(f(x) * 0.5 + x) * 0.5 + x


def with_cond(J, f):
    return lambda x: J.lax.cond(J.numpy.sum(x) > 100, lambda: x * 2, lambda: f(x))


def with_checkpoint(J, f):
    return J.checkpoint(f)


def with_outer_variable(J, f):
    """Two levels of grad at once: confusing their perturbations would be seen."""

    def mixed(x):
        inner = J.grad(lambda y: J.numpy.sum(f(x * y)))
        return J.grad(lambda z: J.numpy.sum(z * z * inner(x)))(x)

    return mixed


def plain_outer_variable(J, f):
    return lambda x: 2 * x * plain_grad_of_sum(J, lambda y: f(x * y))(x)


def plain_grad_of_sum(J, f):
    def columns(x):
        return J.numpy.stack(
            [J.numpy.sum(J.jvp(f, (x,), (J.numpy.asarray(e),))[1]) for e in np.eye(3)]
        )

    return columns


def same(J, f):
    return f


TRANSFORMATIONS = {
    with_jit: same,
    with_grad: plain_grad,
    with_vjp: plain_grad,
    with_jvp: plain_jvp,
    with_linearize: plain_jvp,
    with_transpose: plain_grad,
    with_jacfwd: plain_jvp,
    with_jacrev: plain_grad,
    with_vmap: plain_vmap,
    with_odd_vmap: plain_odd_vmap,
    with_vmap_of_closure: plain_vmap_of_closure,
    with_scan: plain_scan,
    with_map: plain_map,
    with_loop: plain_loop,
    with_cond: same,
    with_checkpoint: same,
    with_outer_variable: plain_outer_variable,
}


def applied(J, chain, function):
    f = function(J)
    for transformation in chain:
        f = transformation(J, f)
    return f


def chains(depth, count, seed):
    """Some chains of this depth for each function, the same in each run."""
    choose = random.Random(seed)
    all_ = list(itertools.product(TRANSFORMATIONS, repeat=depth))
    return [(f, chain) for f in FUNCTIONS for chain in choose.sample(all_, min(count, len(all_)))]


def named(values):
    return [f"{f.__name__}-{'-'.join(t.__name__[5:] for t in c)}" for f, c in values]


def check(got, want, kind=None):
    assert isinstance(got, pb.Array)
    assert got.shape == (3,) and got.dtype == np.float64 and not got.weak_type
    scale = 1 + np.abs(np.asarray(want)).max()
    np.testing.assert_allclose(np.asarray(got), np.asarray(want), rtol=1e-9, atol=1e-9 * scale)


ONE = chains(1, 100, 0)
TWO = chains(2, 30, 1)
THREE = chains(3, 12, 2)


@pytest.mark.parametrize(("function", "chain"), ONE + TWO + THREE, ids=named(ONE + TWO + THREE))
def test_chain_has_its_plain_meaning(function, chain):
    x = pb.numpy.asarray(X)
    want = applied(pb, [TRANSFORMATIONS[t] for t in chain], function)(x)
    f = applied(pb, chain, function)
    got = f(x)
    check(got, want)
    check(f(x), want)  # again: from what was kept
    check(pb.jit(f)(x), want)
