"""Jacobians in cross mode and preaccumulated functions, against jacfwd, jacrev and closed forms."""

from __future__ import annotations

import numpy as np
import pytest

import pullback as pb
import pullback.numpy as jnp
from benchmarks.beyond.accumulation import FUNCTIONS, points
from pullback import lax
from pullback.accumulation import _plans
from pullback.nn import softmax

leaves = pb.tree_util.tree_leaves
X = np.array([0.3, 0.7, 1.4])


@pytest.fixture(autouse=True)
def wide():
    with pb.enable_x64(True):
        yield


def same(got, expected, rtol=1e-11):
    assert pb.tree_util.tree_structure(got) == pb.tree_util.tree_structure(expected)
    for a, b in zip(leaves(got), leaves(expected), strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-12)


@pb.custom_vjp
def backward_only(x):
    return jnp.sin(x) * x[::-1]


backward_only.defvjp(lambda x: (backward_only(x), x), lambda x, ct: (3.0 * ct * x + ct[::-1],))


@pb.custom_jvp
def with_rule(x):
    return jnp.exp(x)


with_rule.defjvp(lambda p, t: (with_rule(*p), 3.0 * t[0] * p[0]))

SMALL = {
    "scalars": lambda x: jnp.array([x[0] * x[1], jnp.sin(x[2]) / x[0], x @ x]),
    "identity": lambda x: x,
    "constant": lambda x: jnp.ones(2) * 3.0,
    "to a scalar": lambda x: jnp.sum(x**3),
    "where": lambda x: jnp.where(x > 0.5, x * x, jnp.cos(x)),
    "clip": lambda x: jnp.clip(x, 0.4, 1.0) + jnp.maximum(x, x[::-1] * 0.9),
    "softmax": softmax,
    "norm": lambda x: x / jnp.linalg.norm(x),
    "cross product": lambda x: jnp.cross(x, jnp.sin(x)),
    "outer": lambda x: jnp.outer(x, x) @ x,
    "constant matrix": lambda x: jnp.array([[1.0, 0.0, 2.0], [0.0, 0.0, 3.0]]) @ jnp.exp(x),
    "batched product": lambda x: jnp.einsum(
        "bij,bj->bi", jnp.ones((2, 3, 3)) * x, x + jnp.eye(2, 3)
    ),
    "solve": lambda x: jnp.linalg.solve(jnp.diag(x) + 0.1, x),
    "inverse": lambda x: jnp.linalg.inv(jnp.diag(x) + jnp.outer(x, x))[0],
    "sort": lambda x: jnp.sort(-x) * x,
    "gather": lambda x: x[jnp.array([2, 0, 2])] * x[1],
    "traced gather": lambda x: x[jnp.argsort(-x)] * x,
    "dynamic slice": lambda x: lax.dynamic_slice(x, (jnp.argmax(x) - 1,), (2,)) ** 2,
    "set": lambda x: x.at[1].set(x[0] * x[2]),
    "add at": lambda x: x.at[jnp.array([0, 0, 1])].add(x * x),
    "concatenate": lambda x: jnp.concatenate([x, jnp.ones(2), x * x]),
    "pad": lambda x: jnp.pad(x * x, (1, 2)),
    "cumulative": lambda x: jnp.cumsum(x * x) + jnp.cumprod(x),
    "convolve": lambda x: jnp.convolve(x, jnp.sin(x)),
    "reshape": lambda x: jnp.tile(x, 2).reshape(2, 3).T @ x[:2],
    "jit inside": lambda x: pb.jit(lambda y: jnp.sin(y) * y[::-1])(x * x),
    "checkpoint": lambda x: pb.checkpoint(lambda y: jnp.sin(y) * y[::-1])(x * x),
    "scan": lambda x: lax.scan(lambda c, y: (jnp.sin(c) * y, c * y), x[0], x),
    "fori_loop": lambda x: lax.fori_loop(0, 4, lambda i, c: jnp.sin(c) * x + c[::-1], x),
    "cond": lambda x: lax.cond(x[0] > 0.5, lambda y: y, lambda y: y * y[::-1], jnp.exp(x)),
    "custom_jvp": lambda x: with_rule(x) * x,
    "dtypes": lambda x: {"a": (x.astype(jnp.float32) * 2).astype(jnp.float64) * x, "b": [x[0]]},
    "cancels": lambda x: (x - x) + x * 0.0,
}  # fmt: skip


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("how", ["eager", "native", "numpy", "vmap", "vmap of jit"])
def test_it_is_the_jacobian(name, how):
    f = SMALL[name]
    cross, plain = pb.jacobian(f, mode="cross"), pb.jacfwd(f)
    x = jnp.asarray(X)
    if how == "eager":
        got, expected = cross(x), plain(x)
    elif how == "native" and name == "checkpoint":
        return  # the function's own program is not one for the native engine
    elif how.startswith("vmap"):
        xs = jnp.stack([x, x * 1.1, x[::-1]])
        got = pb.vmap(pb.jit(cross) if "jit" in how else cross)(xs)
        expected = pb.vmap(plain)(xs)
    else:
        before = pb.config.pullback_engine
        pb.config.update("pullback_engine", how)
        try:
            got, expected = pb.jit(cross)(x), plain(x)
        finally:
            pb.config.update("pullback_engine", before)
    rtol = 1e-6 if name == "dtypes" else 1e-11
    same(got, expected, rtol)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_of_the_literature(name):
    f, xs = FUNCTIONS[name](jnp), jnp.asarray(points(name, 7).astype(np.float64))
    got = pb.jit(pb.vmap(pb.jacobian(f, mode="cross")))(xs)
    same(got, pb.vmap(pb.jacfwd(f))(xs), 1e-9)
    same(got, pb.vmap(pb.jacrev(f))(xs), 1e-9)
    h = 1e-6 * np.maximum(np.abs(np.asarray(xs)), 1)
    for i in range(xs.shape[1]):
        step = np.zeros(xs.shape)
        step[:, i] = h[:, i]
        ahead, behind = pb.vmap(f)(xs + step), pb.vmap(f)(xs - step)
        slope = np.asarray(ahead - behind) / (2 * h[:, i : i + 1])
        np.testing.assert_allclose(got[:, :, i], slope, rtol=2e-5, atol=1e-5)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_fewer_multiplications_than_both_modes(name):
    f = FUNCTIONS[name](jnp)
    cost = pb.accumulation_cost(f)(jnp.asarray(points(name, 1)[0]))
    assert cost.cross < cost.forward <= cost.dense_forward
    assert cost.cross < cost.reverse <= cost.dense_reverse
    assert cost.blocks == 0


def test_costs_by_hand():
    # s = x y (2 partials), and three functions of s (3 partials): 2 x 3 products. The tanh is one
    # vertex more, with one partial before it.
    def f(x):
        s = x[0] * x[1]
        return jnp.stack([jnp.sin(s), jnp.cos(s), jnp.exp(s)])

    cost = pb.accumulation_cost(f)(jnp.ones(2))
    assert (cost.inputs, cost.outputs, cost.vertices, cost.edges) == (2, 3, 1, 5)
    assert (cost.forward, cost.reverse, cost.cross) == (6, 6, 6)
    assert (cost.dense_forward, cost.dense_reverse) == (10, 15)
    like = pb.ShapeDtypeStruct((2,), jnp.float32)
    assert pb.accumulation_cost(f)(like) == cost
    assert pb.accumulation_cost(lambda a, b: f(jnp.stack([a, b])), (0, 1))(1.0, 1.0) == cost
    assert pb.accumulation_cost(lambda a, b: f(jnp.stack([a, b])), -1)(1.0, 1.0).inputs == 1


def test_additions_and_constants_cost_nothing():
    matrix = jnp.asarray(np.arange(6.0).reshape(2, 3))
    cost = pb.accumulation_cost(lambda x: jnp.sum(matrix @ (x + x[::-1])) - x)(jnp.asarray(X))
    assert cost.forward == cost.reverse == cost.cross == 0


def test_the_count_is_that_of_the_program():
    # In a program of nothing but products, all multiplications beyond the function's own are
    # those that the cost counts.
    def f(x):
        a = x[0] * x[1]
        b = a * x[2]
        return jnp.stack([a * b, b * x[0], a * a * b])

    def products(g):
        program = pb.make_jaxpr(pb.jit(g))(jnp.asarray(X))
        text = str(program.eqns[0].params["jaxpr"])
        return text.count(" mul ")

    cost = pb.accumulation_cost(f)(jnp.asarray(X))
    assert products(pb.jacobian(f, mode="cross")) == products(f) + cost.cross


def test_arguments_trees_and_aux():
    def f(a, b, scale):
        return {"p": a["x"] * b * scale, "q": (jnp.sum(a["x"]), b)}, scale

    a, b = {"x": jnp.asarray(X)}, jnp.asarray(2.0)
    got, aux = pb.jacobian(f, (0, 1), has_aux=True, mode="cross")(a, b, scale=3)
    expected, _ = pb.jacfwd(f, (0, 1), has_aux=True)(a, b, scale=3)
    same(got, expected)
    assert aux == 3
    got = pb.jacobian(lambda *xs: f(*xs)[0], -2, mode="cross")(a, b, 3)
    same(got, pb.jacfwd(lambda *xs: f(*xs)[0], 1)(a, b, 3))


def test_modes():
    f, x = SMALL["outer"], jnp.asarray(X)
    for mode in ("forward", "reverse", "cross"):
        same(pb.jacobian(f, mode=mode)(x), pb.jacrev(f)(x))
    same(pb.jacobian(f)(x), pb.jacrev(f)(x))


def test_reverse_rules_are_transposed():
    f = lambda x: backward_only(x) * x  # noqa: E731
    xs = jnp.stack([jnp.asarray(X), jnp.asarray(X) * 2])
    same(pb.jacobian(f, mode="cross")(xs[0]), pb.jacrev(f)(xs[0]))
    same(pb.jit(pb.vmap(pb.jacobian(f, mode="cross")))(xs), pb.vmap(pb.jacrev(f))(xs))


def test_python_control_flow():
    def f(x):
        return x * x if x[0] > 0 else jnp.sin(x)

    for x in (jnp.asarray(X), -jnp.asarray(X)):
        same(pb.jacobian(f, mode="cross")(x), pb.jacfwd(f)(x))


@pytest.mark.parametrize("name", ["scalars", "where", "solve", "jit inside", "scan"])
def test_derivatives_of_the_jacobian(name):
    f, x = SMALL[name], jnp.asarray(X)
    inner = pb.jacobian(f, mode="cross")
    expected = pb.jacfwd(pb.jacrev(f))(x)
    for outer in (pb.jacfwd, pb.jacrev, lambda g: pb.jacobian(g, mode="cross")):
        same(outer(inner)(x), expected, 1e-9)
        same(pb.jit(outer(inner))(x), expected, 1e-9)


def test_the_branch_not_taken_stays_out():
    f = lambda x: jnp.where(x > 0, jnp.sqrt(x), 0.0)  # noqa: E731
    x = jnp.array([0.0, 4.0])
    for g in (pb.jacobian(f, mode="cross"), pb.jit(pb.jacobian(f, mode="cross"))):
        np.testing.assert_array_equal(g(x), [[0.0, 0.0], [0.0, 0.25]])


def test_plans_are_kept_by_the_graph():
    _plans.clear()
    for _ in range(3):
        pb.jacobian(SMALL["softmax"], mode="cross")(jnp.asarray(np.random.random(3)))
    assert len(_plans) == 1


def test_closed_over_tracers():
    def total(c):
        return jnp.sum(pb.jacobian(lambda x: jnp.sin(x * c), mode="cross")(jnp.asarray(X)))

    # The diagonal is c cos(c x): its derivative by c is cos(c x) - c x sin(c x).
    expected = np.sum(np.cos(2 * X) - 2 * X * np.sin(2 * X))
    np.testing.assert_allclose(pb.grad(total)(2.0), expected, rtol=1e-12)
    np.testing.assert_allclose(pb.jit(pb.grad(total))(2.0), expected, rtol=1e-12)


# ---- preaccumulation


def tangled(x, y):
    for _ in range(6):
        x = jnp.sin(x * y) + x / (1 + y * y)
    return {"a": x, "b": jnp.sum(x) * y}


def loss(f):
    return lambda x, y: jnp.sum(f(x, y)["a"] ** 2) + f(x, y)["b"] ** 3


DERIVATIVES = {
    "grad": lambda f: pb.grad(loss(f), (0, 1)),
    "hessian": lambda f: pb.hessian(loss(f), (0, 1)),
    "third": lambda f: pb.grad(lambda x, y: jnp.sum(pb.jacfwd(pb.grad(loss(f)))(x, y))),
    "jvp": lambda f: lambda x, y: pb.jvp(f, (x, y), (x * 2, y)),
    "jvp of one": lambda f: lambda x, y: pb.jvp(lambda x: f(x, y), (x,), (x * 2,)),
    "jacfwd": pb.jacfwd,
    "vmap of grad": lambda f: lambda x, y: pb.vmap(pb.grad(loss(f)), (0, None))(
        jnp.stack([x, x + 1]), y
    ),
    "grad of vmap": lambda f: pb.grad(
        lambda x, y: jnp.sum(pb.vmap(loss(f), (0, None))(jnp.stack([x, x * x]), y))
    ),
    "in a scan": lambda f: pb.grad(
        lambda x, y: jnp.sum(
            lax.scan(lambda c, _: (f(c, y)["a"], None), x, None, length=3)[0]
        )
    ),
    "checkpointed": lambda f: pb.grad(pb.checkpoint(loss(f))),
}  # fmt: skip


@pytest.mark.parametrize("name", DERIVATIVES)
@pytest.mark.parametrize("jit", [False, True])
def test_a_preaccumulated_function_has_the_same_derivatives(name, jit):
    x, y = jnp.asarray(X), jnp.asarray(0.7)
    of, wrap = DERIVATIVES[name], pb.jit if jit else lambda f: f
    same(wrap(of(pb.preaccumulate(tangled)))(x, y), of(tangled)(x, y), 1e-9)


def test_the_residual_is_the_jacobian():
    x, y = jnp.asarray(X), jnp.asarray(0.7)
    _, pull = pb.vjp(pb.preaccumulate(tangled), x, y)
    assert [r.shape for r in leaves(pull)] == [(4, 4)]
    expected = pb.jacfwd(tangled, (0, 1))(x, y)
    rows = [np.c_[np.asarray(expected[k][0]).reshape(-1, 3), np.asarray(expected[k][1]).ravel()]
            for k in ("a", "b")]  # fmt: skip
    np.testing.assert_allclose(leaves(pull)[0], np.vstack(rows), rtol=1e-12)
    _, pull = pb.vjp(pb.vmap(pb.preaccumulate(tangled), (0, None)), jnp.stack([x] * 5), y)
    assert sum(r.size for r in leaves(pull)) == 5 * 16


def test_the_value_of_a_preaccumulated_function():
    x, y = jnp.asarray(X), jnp.asarray(0.7)
    f = pb.preaccumulate(tangled)
    same(f(x, y), tangled(x, y))
    same(pb.jit(f)(x, y=y), tangled(x, y))
    assert f.__name__ == "tangled"


def test_preaccumulation_closes_over_traced_values():
    def f(x):
        return pb.preaccumulate(lambda z: jnp.sin(z * x[0]) * x[1])(x[2])

    def plain(x):
        return jnp.sin(x[2] * x[0]) * x[1]

    x = jnp.asarray(X)
    for wrap in (lambda g: g, pb.jit):
        same(wrap(pb.grad(f))(x), pb.grad(plain)(x))
        same(wrap(pb.hessian(f))(x), pb.hessian(plain)(x), 1e-10)


def test_preaccumulation_with_integers():
    f = pb.preaccumulate(lambda x, i: (x[i] * i, i + 1))
    x, i = jnp.asarray(X), jnp.array([1, 2])
    same(pb.grad(lambda x: jnp.sum(f(x, i)[0]))(x), jnp.array([0.0, 1.0, 2.0]))
    y, dy = pb.jvp(lambda x: f(x, i), (x,), (x,))
    assert dy[1].dtype == pb.float0
    np.testing.assert_array_equal(y[1], [2, 3])


# ---- bad input


def cross(f, x, **options):
    return pb.jacobian(f, mode="cross", **options)(x)


MISTAKES = [
    (lambda: pb.jacobian(jnp.sin, mode="sideways"), ValueError,
     "jacobian has the modes 'forward', 'reverse' and 'cross'."),
    (lambda: cross(jnp.sin, 1.0, holomorphic=True), ValueError,
     "jacobian with mode='cross' does not take holomorphic=True."),
    (lambda: pb.jacobian(jnp.sin, allow_int=True, mode="forward"), ValueError,
     "jacobian with mode='forward' does not take allow_int=True."),
    (lambda: cross(jnp.sin, 1j), TypeError,
     "jacobian with mode='cross' takes real-valued functions, but an input is complex128."),
    (lambda: cross(jnp.sin, 1), TypeError,
     "jacobian with mode='cross' takes real-valued functions, but an input is int64."),
    (lambda: cross(lambda x: x > 0, 1.0), TypeError,
     "jacobian with mode='cross' takes real-valued functions, but an output is bool."),
    (lambda: cross(lambda x: jnp.abs(x * (1 + 1j)), 1.0), TypeError,
     "elimination works on real numbers, and the derivative of this function passes through"),
    (lambda: cross(lambda x: jnp.sin(x) * 2, jnp.ones(60_000)), ValueError,
     "elimination takes arrays apart into scalars, and this function has too many of them."),
    (lambda: pb.accumulation_cost(jnp.sin)(1), TypeError, "an input is int64."),
    (lambda: pb.preaccumulate(3), TypeError,
     "preaccumulate takes a function as its first argument."),
    (lambda: pb.accumulation_cost(jnp.sin, 1)(1.0), TypeError,
     "accumulation_cost: argnums names an argument that was not passed."),
]  # fmt: skip


@pytest.mark.parametrize(("mistake", "kind", "text"), MISTAKES)
def test_mistakes(mistake, kind, text):
    with pytest.raises(kind) as caught:
        mistake()
    assert text in str(caught.value)
    assert "Got: " in str(caught.value)
    assert "Fix: " in str(caught.value)
