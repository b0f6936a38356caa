"""Transformations of transformations: a table of functions x tables of transformations.

Every function takes and gives a vector of three numbers, and so does what a transformation makes
of it: so they compose to any depth. Each transformation has a plain meaning, written with loops,
`if` and the other mode of differentiation; a chain must give what the chain of plain meanings
gives, and what JAX gives.
"""

from __future__ import annotations

import functools
import gc
import itertools
import random
import threading
import time
import weakref

import numpy as np
import peer
import pytest

import pullback as pb
from pullback.core.trace import EVAL, state

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


def check(got, want):
    assert isinstance(got, pb.Array)
    assert got.shape == (3,) and got.dtype == np.float64 and not got.weak_type
    scale = 1 + np.abs(np.asarray(want)).max()
    np.testing.assert_allclose(np.asarray(got), np.asarray(want), rtol=1e-9, atol=1e-9 * scale)


SOME = chains(1, 100, 0) + chains(2, 15, 1) + chains(3, 6, 2)
MANY = chains(3, 100, 3) + chains(4, 30, 4)


def means_what_it_says(function, chain):
    x = pb.numpy.asarray(X)
    want = applied(pb, [TRANSFORMATIONS[t] for t in chain], function)(x)
    if np.abs(want).max() > 1e6:
        pytest.skip("loops of derivatives can explode; rounding then does too")
    f = applied(pb, chain, function)
    check(f(x), want)
    check(f(x), want)  # again: from what was kept
    check(pb.jit(f)(x), want)


@pytest.mark.parametrize(("function", "chain"), SOME, ids=named(SOME))
def test_chain_has_its_plain_meaning(function, chain):
    means_what_it_says(function, chain)


@pytest.mark.fuzz
@pytest.mark.parametrize(("function", "chain"), MANY, ids=named(MANY))
def test_deep_chain_has_its_plain_meaning(function, chain):
    means_what_it_says(function, chain)


# Rules that are not the derivative: JAX is not consistent with itself where they stand in loops.
PEER = chains(1, 100, 0) + [
    (f, c) for f, c in chains(2, 3, 5) if f not in (own_forward_rule, rule_with_function)
]


@pytest.mark.parametrize(("function", "chain"), PEER, ids=named(PEER))
def test_chain_gives_what_jax_gives(function, chain):
    jax = pytest.importorskip("jax")
    with jax.enable_x64(True):
        f = jax.jit(applied(jax, chain, function), compiler_options=peer._QUICKLY)
        want = np.asarray(f(jax.numpy.asarray(X)))
    check(applied(pb, chain, function)(pb.numpy.asarray(X)), want)


# ---- what went wrong once


def test_functions_with_rules_close_over_mapped_values():
    """The values of the vmap around, also where no argument is mapped."""

    def scaled(factor):
        @pb.custom_jvp
        def forward(x):
            return x * factor

        forward.defjvp(lambda p, t: (forward(p[0]), t[0] * factor * 10))

        @pb.custom_vjp
        def backward(x):
            return forward(x)

        backward.defvjp(lambda x: (forward(x), None), lambda _, ct: (ct * factor * 10,))
        return forward, backward

    for i in (0, 1):
        got = pb.vmap(lambda y, i=i: pb.grad(lambda x: scaled(y)[i](x))(3.0))(pb.numpy.asarray(X))
        np.testing.assert_allclose(got, X * 10)
        got = pb.vmap(lambda y, x, i=i: scaled(y)[i](x))(pb.numpy.asarray(X), pb.numpy.asarray(V))
        np.testing.assert_allclose(got, X * V)
        twice = pb.vmap(
            lambda y, i=i: pb.vmap(lambda x: scaled(x * y)[i](2.0))(pb.numpy.asarray(V))
        )
        np.testing.assert_allclose(twice(pb.numpy.asarray(X)), 2 * np.outer(X, V))


def test_no_derivative_goes_through_nondiff_argnums():
    @functools.partial(pb.custom_jvp, nondiff_argnums=(1,))
    def times(x, n):
        return x * n

    times.defjvp(lambda n, p, t: (times(p[0], n), t[0] * n))
    assert pb.grad(lambda n: times(1.0, n))(2.0) == 0
    assert pb.grad(lambda n: times(n, n))(2.0) == 2
    assert pb.jit(lambda n: times(3.0, n))(2.0) == 6


@pytest.mark.parametrize("wrong", [np.ones(2), np.ones((1, 3)), 1.0])
def test_a_bwd_rule_gives_the_shape_of_its_argument(wrong):
    f = pb.custom_vjp(lambda x: x.sum())
    f.defvjp(lambda x: (f(x), None), lambda _, ct: (wrong,))
    with pytest.raises(ValueError, match="with the shapes of the primal args"):
        pb.grad(f)(pb.numpy.ones(3))


def test_a_cotangent_of_a_bwd_rule_gets_the_dtype_of_its_argument():
    f = pb.custom_vjp(lambda x: x * 2)
    f.defvjp(lambda x: (f(x), None), lambda _, ct: (ct.astype("float32"),))
    assert pb.grad(lambda x: f(x * x))(3.0).dtype == np.float64


def test_a_function_with_rules_is_no_method():
    class Holder:
        f = pb.custom_jvp(lambda x: x)
        f.defjvp(lambda p, t: (p[0], t[0] * 3))

    assert pb.grad(Holder().f)(1.0) == 3


def test_linear_transpose_refuses_products_of_its_arguments():
    with pytest.raises(pb.errors.MissingRule, match="not linear"):
        pb.linear_transpose(lambda x: x * x, 1.0)(1.0)
    with pytest.raises(pb.errors.MissingRule, match="not linear"):
        pb.linear_transpose(lambda x: x @ x, pb.numpy.ones(2))(1.0)


def test_argnums_that_name_an_argument_twice_are_refused():
    with pytest.raises(ValueError, match="twice"):
        pb.grad(lambda x, y: x * y, argnums=(0, -2))(1.0, 2.0)


def test_a_compiled_function_takes_its_types_only():
    compiled = pb.jit(lambda x, n: x * n, static_argnums=1).lower(1.0, 3).compile()
    assert compiled(2.0) == 6
    for x in (pb.numpy.ones(3), np.float32(1)):
        with pytest.raises(TypeError, match="types for which this computation was compiled"):
            compiled(x)


def test_jitted_functions_see_dicts_in_one_order():
    """Structures are equal in any order of keys, so that one program serves all of them."""

    def listed(d):
        return tuple(d.values())

    for f in (pb.jit(listed), pb.jit(lambda d: pb.lax.cond(True, listed, listed, d))):
        for d in ({"b": 1, "a": {"d": 2, "c": 3}}, {"a": {"c": 3, "d": 2}, "b": 1}):
            first, b = f(d)
            assert b == 1 and first == {"c": 3, "d": 2}


def test_jitting_a_function_again_does_not_trace_again():
    traced = []

    def f(x, n=1):
        traced.append(n)
        return x * n

    for _ in range(3):
        assert pb.jit(f)(2.0) == 2
        assert pb.jit(f, static_argnames="n")(2.0, n=3) == 6
    assert traced == [1, 3]
    pb.clear_caches()
    pb.jit(f)(2.0)
    assert traced == [1, 3, 1]


def test_programs_of_a_function_go_with_it():
    def make():
        f = lambda x: pb.numpy.sin(x)  # noqa: E731
        pb.grad(pb.jit(f))(1.0)
        return weakref.ref(f)

    alive = make()
    gc.collect()
    assert alive() is None


def test_traced_values_in_ensure_compile_time_eval():
    def f(x):
        with pb.ensure_compile_time_eval():
            n = pb.numpy.sum(pb.numpy.ones(3))
            return x * 2 if n > 2 else x

    assert pb.jit(f)(3.0) == 6
    assert pb.grad(f)(3.0) == 2
    assert pb.vmap(f)(pb.numpy.ones(2)).tolist() == [2, 2]


def test_deep_nests_of_jit():
    """Splitting linear programs again at each level took seconds here: time cubic in the depth."""

    def nest(depth):
        f = pb.numpy.sin
        for _ in range(depth):
            f = (lambda inner: lambda x: inner(x) * 1.01)(pb.jit(f))
        return f

    start = time.thread_time()
    got = pb.jit(pb.grad(pb.grad(nest(40))))(1.0)
    assert time.thread_time() - start < 2
    np.testing.assert_allclose(got, -np.sin(1.0) * 1.01**40, rtol=1e-12)


def test_a_traced_value_in_another_thread():
    caught = []

    def f(x):
        def work():
            try:
                x * 2
            except pb.errors.UnexpectedTracerError as e:
                caught.append(str(e))

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        return x

    pb.jit(f)(1.0)
    assert len(caught) == 1 and "does not reach" in caught[0]


def test_threads_do_not_disturb_each_other():
    found = {}

    def work(n):
        f = pb.jit(lambda x: x**n)
        with pb.enable_x64(n % 2 == 0):
            for _ in range(20):
                got = pb.vmap(
                    pb.grad(lambda x: f(x) + pb.lax.fori_loop(0, n, lambda i, c: c * x, x))
                )
                found[n] = got(pb.numpy.arange(1.0, 3.0))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(1, 7)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for n, got in found.items():
        assert got.dtype == (np.float64 if n % 2 == 0 else np.float32)
        x = np.arange(1.0, 3.0)
        np.testing.assert_allclose(got, n * x ** (n - 1) + (n + 1) * x**n, rtol=1e-6)


def test_numpy_arrays_are_copied_at_the_door():
    for f in (pb.jit(lambda x: x), pb.vmap(lambda x: x), lambda x: pb.vjp(lambda y: y, x)[0]):
        given = np.ones(3)
        got = f(given)
        given[:] = 5
        assert got.tolist() == [1, 1, 1]
    given = np.arange(3.0)
    _, back = pb.vjp(lambda x: x * x, given)
    given[:] = 100
    assert back(np.ones(3))[0].tolist() == [0, 2, 4]
    closed_over = np.ones(3)
    f = pb.jit(lambda x: x * closed_over)
    f(1.0)
    closed_over[:] = 7
    assert f(1.0).tolist() == [1, 1, 1]


def test_state_after_an_error():
    def fails(*args):
        raise KeyError

    tries = [
        lambda: pb.grad(fails)(1.0),
        lambda: pb.jit(fails)(1.0),
        lambda: pb.vmap(fails, axis_name="i")(pb.numpy.ones(2)),
        lambda: pb.jvp(fails, (1.0,), (1.0,)),
        lambda: pb.checkpoint(fails)(1.0),
        lambda: pb.lax.scan(fails, 1.0, None, length=2),
        lambda: pb.lax.cond(True, fails, fails),
        lambda: pb.make_jaxpr(fails, axis_env=[("i", 2)])(1.0),
        lambda: pb.vmap(lambda x: pb.grad(pb.jit(fails))(x), axis_name="j")(pb.numpy.ones(2)),
    ]
    for attempt in tries:
        with pytest.raises(KeyError):
            attempt()
        assert state.trace is EVAL and state.axes == {}
