"""Forward mode made from reverse mode and the other way round, against derivatives known apart."""

from __future__ import annotations

import comparing
import numpy as np
import pytest

import pullback as pb
import pullback.numpy as jnp
from pullback import lax
from pullback.test_util import check_grads

RNG = np.random.default_rng(0)

pytestmark = pytest.mark.usefixtures("x64")


def close(found, wanted, tolerance=1e-11):
    comparing.close(found, wanted, tolerance)


@pb.custom_vjp
def backward_only(x, w):
    return jnp.tanh(w @ x), jnp.sum(x * x)


def backward_only_fwd(x, w):
    out = backward_only(x, w)
    return out, (x, w, out[0])


def backward_only_bwd(kept, cts):
    x, w, y = kept
    inner = (1 - y * y) * cts[0]
    return w.T @ inner + 2 * cts[1] * x, jnp.outer(inner, x)


backward_only.defvjp(backward_only_fwd, backward_only_bwd)


def plain(x, w):
    return jnp.tanh(w @ x), jnp.sum(x * x)


both_ways = pb.forward_from_reverse(backward_only)

X, W = RNG.normal(size=3), RNG.normal(size=(2, 3))
DX, DW = RNG.normal(size=3), RNG.normal(size=(2, 3))


def loss(f):
    return lambda x: jnp.sum(f(x, W)[0] ** 3) * f(x, W)[1]


# ---- forward from reverse


def test_the_function_itself_refuses_forward_mode():
    with pytest.raises(TypeError, match="forward-mode autodiff"):
        pb.jvp(backward_only, (X, W), (DX, DW))


def test_jvp(engine):
    found, want = (pb.jvp(f, (X, W), (DX, DW)) for f in (both_ways, plain))
    close(found, want)
    close(pb.jit(lambda *xs: pb.jvp(both_ways, xs, (DX, DW)))(X, W), want)


def test_jacobians(engine):
    for transform in (pb.jacfwd, pb.jacrev):
        for run in (lambda f: f, pb.jit):
            close(run(transform(both_ways, (0, 1)))(X, W), pb.jacfwd(plain, (0, 1))(X, W))


def test_linearize():
    out, push = pb.linearize(both_ways, X, W)
    want, want_push = pb.linearize(plain, X, W)
    close(out, want)
    for scale in (1.0, -2.0):
        close(push(scale * DX, DW), want_push(scale * DX, DW))


@pytest.mark.parametrize("outer", [pb.jacfwd, pb.jacrev])
@pytest.mark.parametrize("inner", [pb.jacfwd, pb.jacrev])
def test_second_derivatives(outer, inner, engine):
    want = pb.hessian(loss(plain))(X)
    close(outer(inner(loss(both_ways)))(X), want)
    close(pb.jit(outer(inner(loss(both_ways))))(X), want)


def test_third_derivatives():
    def line(f):
        return lambda s: loss(f)(X + s * DX)

    def three(f):
        for _ in range(3):
            inner = f
            f = lambda s, inner=inner: pb.jvp(inner, (s,), (1.0,))[1]  # noqa: E731
        return f(0.0)

    close(three(line(both_ways)), three(line(plain)))


def test_vmap_and_nested():
    xs = RNG.normal(size=(4, 3))

    def directional(f):
        return lambda x: pb.jvp(lambda x: f(x, W), (x,), (DX,))[1]

    want = pb.vmap(directional(plain))(xs)
    close(pb.vmap(directional(both_ways))(xs), want)
    close(pb.jit(pb.vmap(directional(both_ways)))(xs), want)
    pushed = pb.jvp(pb.vmap(lambda x: both_ways(x, W)), (xs,), (xs,))
    close(pushed, pb.jvp(pb.vmap(lambda x: plain(x, W)), (xs,), (xs,)))


def test_a_closure_over_traced_values():
    def outer(f, switch):
        def closed(s):
            g = switch(lambda x: f(x, s * W))
            return jnp.sum(g(s * X)[0])

        return closed

    want = pb.jvp(outer(plain, lambda g: g), (0.7,), (1.0,))
    for run in (lambda f: f, pb.jit):
        closed = run(outer(backward_only, pb.forward_from_reverse))
        close(pb.jvp(closed, (0.7,), (1.0,)), want)
        close(pb.grad(closed)(0.7), want[1])


def test_inside_a_scan():
    def rolled(f):
        def step(x, _):
            return f(x, W)[0] @ W, None

        return lambda x: lax.scan(step, x, None, length=4)[0]

    close(pb.jacfwd(rolled(both_ways))(X), pb.jacfwd(rolled(plain))(X))
    close(pb.jit(pb.jacrev(rolled(both_ways)))(X), pb.jacfwd(rolled(plain))(X))


def test_reverse_mode_is_the_users_own():
    # A rule that clips: not linear. Forward mode takes it at zero, reverse mode as it is.
    @pb.custom_vjp
    def clipped(x):
        return x

    clipped.defvjp(lambda x: (x, None), lambda _, ct: (jnp.clip(ct, -1.0, 1.0),))
    both = pb.forward_from_reverse(clipped)
    close(pb.grad(lambda x: 5 * both(x))(2.0), 1.0)
    close(pb.jvp(both, (2.0,), (5.0,))[1], 5.0)


def test_integers_trees_and_keywords():
    @pb.custom_vjp
    def power(tree, n):
        return {"y": tree["x"] ** n, "n": n}

    def bwd(kept, ct):
        x, n = kept
        return {"x": n * x ** (n - 1) * ct["y"]}, None

    power.defvjp(lambda tree, n: (power(tree, n), (tree["x"], n)), bwd)
    both = pb.forward_from_reverse(power)
    out, dot = pb.jvp(lambda x: both({"x": x}, n=3), (2.0,), (1.0,))
    assert (out["y"], out["n"], dot["y"]) == (8.0, 3, 12.0)
    assert dot["n"].dtype == pb.float0


def test_complex_numbers():
    @pb.custom_vjp
    def product(z, w):
        return z * w

    product.defvjp(lambda z, w: (z * w, (z, w)), lambda kept, ct: (ct * kept[1], ct * kept[0]))
    both = pb.forward_from_reverse(product)
    z, w = 1.0 + 2.0j, 3.0 - 1.0j
    close(pb.jvp(both, (z, w), (1j, 2.0 + 0j)), (z * w, 1j * w + 2 * z))


def test_values_decide_in_python():
    @pb.custom_vjp
    def absolute(x):
        return x if x > 0 else -x

    absolute.defvjp(lambda x: (absolute(x), jnp.sign(x)), lambda s, ct: (s * ct,))
    both = pb.forward_from_reverse(absolute)
    close(pb.jvp(both, (-2.0,), (1.0,)), (2.0, -1.0))
    close(pb.grad(both)(-2.0), -1.0)


def test_functions_without_rules_too():
    check_grads(pb.forward_from_reverse(lambda x: jnp.sin(x) * x), (X,), 2)


# ---- reverse from forward


def host(f):
    def called(*args):
        return np.asarray(f(*args))

    def call(*args):
        shape = pb.ShapeDtypeStruct(np.shape(args[0]), args[0].dtype)
        return pb.pure_callback(called, shape, *args, vmap_method="broadcast_all")

    return call


@pb.custom_jvp
def on_host(x):
    return host(np.sin)(x)


@on_host.defjvp
def on_host_jvp(primals, tangents):
    (x,), (dx,) = primals, tangents
    return on_host(x), host(lambda x, dx: np.cos(x) * dx)(x, dx)


def test_the_function_itself_refuses_reverse_mode():
    with pytest.raises((TypeError, ValueError, NotImplementedError)):
        pb.grad(lambda x: jnp.sum(on_host(x)))(X)


@pytest.mark.parametrize("one_by_one", [False, True])
def test_gradient_of_a_function_on_the_host(one_by_one):
    f = pb.reverse_from_forward(on_host, one_by_one=one_by_one)
    weights = RNG.normal(size=3)
    want = weights * np.cos(X)
    for run in (lambda f: f, pb.jit):
        close(run(pb.grad(lambda x: jnp.sum(weights * f(x))))(X), want)
        close(run(pb.jacfwd(f))(X), np.diag(np.cos(X)))


def test_gradient_through_a_while_loop(engine):
    def grown(x):
        return lax.while_loop(
            lambda s: s[0] < 100, lambda s: (s[0] * x["a"] + x["b"], s[1] + 1), (x["b"], 0)
        )

    both = pb.reverse_from_forward(grown)
    x = {"a": 2.0, "b": 1.0}
    # b (1 + a + ... + a^6) is 127: its derivatives in a, and in b.
    want = {"a": sum(k * 2.0 ** (k - 1) for k in range(1, 7)), "b": 127.0}
    for run in (lambda f: f, pb.jit):
        close(run(pb.grad(lambda x: both(x)[0]))(x), want)


def test_reverse_mode_twice():
    both = pb.reverse_from_forward(lambda x: lax.while_loop(lambda v: v < 100, lambda v: v * x, x))
    for transform in (lambda f: pb.grad(pb.grad(f)), pb.hessian, lambda f: pb.jacfwd(pb.jacfwd(f))):
        for run in (lambda f: f, pb.jit):
            close(run(transform(both))(2.0), 7 * 6 * 2.0**5)


def test_complex_inputs():
    def f(z):
        return jnp.sum(jnp.conj(z) * z * z * 1j), jnp.real(z)

    z = RNG.normal(size=3) + 1j * RNG.normal(size=3)
    cts = (1.0 + 3.0j, RNG.normal(size=3))
    for one_by_one in (False, True):
        both = pb.reverse_from_forward(f, one_by_one=one_by_one)
        close(pb.vjp(both, z)[1](cts), pb.vjp(f, z)[1](cts))


def test_vmap_of_a_gradient_with_a_closure():
    def closed(f):
        return lambda s: jnp.sum(f(lambda x: jnp.sin(x * s))(s * X))

    scales = np.array([0.5, 1.5])
    want = pb.vmap(pb.grad(closed(lambda f: f)))(scales)
    close(pb.vmap(pb.grad(closed(pb.reverse_from_forward)))(scales), want)


def test_dtypes_are_kept():
    def f(x, y, n):
        return x * jnp.float32(2.0) + n, jnp.sum(y)

    both = pb.reverse_from_forward(f)
    args = np.float32(1.5), np.arange(3.0), 4
    _, pull = pb.vjp(both, *args)
    found = pull((np.float32(1.0), 2.0))
    assert [x.dtype for x in found] == [np.float32, np.float64, pb.float0]
    close(found[:2], (2.0, np.full(3, 2.0)))


# ---- mistakes


@pytest.mark.parametrize("switch", [pb.forward_from_reverse, pb.reverse_from_forward])
def test_no_function(switch):
    with pytest.raises(TypeError, match="takes a function as its first argument"):
        switch(3.0)


def test_too_many_inputs():
    both = pb.reverse_from_forward(lambda x: jnp.sum(x), limit=10)
    close(both(np.ones(11)), 11.0)
    with pytest.raises(ValueError) as caught:
        pb.grad(both)(np.ones(11))
    text = "\n".join([str(caught.value), *getattr(caught.value, "__notes__", [])])
    assert "reverse_from_forward is for few inputs: it pushes each number of them forward." in text
    assert "11 numbers in the inputs, with limit=10" in text
