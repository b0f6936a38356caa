"""debug.on_cotangent and debug.breakpoint_backward."""

import sys

import numpy as np
import pytest

import pullback as pb
import pullback.numpy as jnp
from pullback import debug, lax
from pullback.core.settings import override


@pytest.fixture(params=["auto", "numpy"], autouse=True)
def engine(request):
    with override("pullback_engine", request.param):
        yield


X = jnp.array([1.0, 2.0, 3.0])


def watched(seen):
    """sum((x**2)**2), whose derivative by x**2 is 2 x**2."""

    def f(x):
        y = debug.on_cotangent(x * x, lambda ct: seen.append(np.array(ct)))
        return jnp.sum(y * y)

    return f


def same(seen, want):
    assert len(seen) == len(want), seen
    for s, w in zip(seen, want, strict=True):
        np.testing.assert_array_equal(s, w)


WHOLE = {
    "grad": pb.grad,
    "jit": lambda f: pb.jit(pb.grad(f)),
    "grad of jit": lambda f: pb.grad(pb.jit(f)),
    "vjp": lambda f: lambda x: pb.vjp(f, x)[1](1.0)[0],
    "linear pullback under jit": lambda f: lambda x: pb.jit(lambda g: g(1.0)[0])(pb.vjp(f, x)[1]),
    "checkpoint": lambda f: pb.grad(pb.checkpoint(f)),
    "jit of checkpoint": lambda f: pb.jit(pb.grad(pb.checkpoint(f))),
}


@pytest.mark.parametrize("way", WHOLE.values(), ids=WHOLE)
def test_it_sees_the_cotangent_and_changes_nothing(way):
    seen = []
    np.testing.assert_array_equal(way(watched(seen))(X), 4 * X**3)
    same(seen, [2 * X**2])


EACH = {
    "vmap of grad": lambda f: pb.vmap(pb.grad(f)),
    "jit of vmap of grad": lambda f: pb.jit(pb.vmap(pb.grad(f))),
    "vmap of jit of grad": lambda f: pb.vmap(pb.jit(pb.grad(f))),
    "grad of vmap": lambda f: pb.grad(lambda x: jnp.sum(pb.vmap(f)(x))),
    "jit of grad of vmap": lambda f: pb.jit(pb.grad(lambda x: jnp.sum(pb.vmap(f)(x)))),
}


@pytest.mark.parametrize("way", EACH.values(), ids=EACH)
def test_under_vmap_it_sees_one_element_at_a_time(way):
    seen = []
    np.testing.assert_array_equal(way(watched(seen))(X), 4 * X**3)
    same(seen, list(2 * X**2))


@pytest.mark.parametrize("jit", [lambda f: f, pb.jit], ids=["eager", "jit"])
def test_two_vmaps(jit):
    seen = []
    x = jnp.arange(6.0).reshape(2, 3)
    f = pb.vmap(pb.vmap(watched(seen)))
    jit(pb.grad(lambda x: jnp.sum(f(x))))(x)
    same(seen, list((2 * x**2).ravel()))


def test_a_value_that_is_not_mapped():
    """Each element has a cotangent of its own, and they add up."""
    seen = []

    def f(w):
        def each(x):
            return x * debug.on_cotangent(w, lambda ct: seen.append(float(ct))) * (x > 1)

        return jnp.sum(pb.vmap(each)(X))

    assert pb.grad(f)(1.0) == 5.0
    assert sum(seen) == 5.0


@pytest.mark.parametrize("jit", [lambda f: f, pb.jit], ids=["eager", "jit"])
def test_in_loops_and_branches(jit):
    seen = []

    def step(c, x):
        return debug.on_cotangent(c * x, lambda ct: seen.append(float(ct))), None

    f = jit(pb.grad(lambda x: lax.scan(step, 1.0, x)[0]))
    np.testing.assert_array_equal(f(X), [6, 3, 2])
    assert seen == [1.0, 3.0, 6.0]  # from the last round to the first: 1, x2, x1 x2
    seen.clear()

    def branch(x):
        return debug.on_cotangent(x, lambda ct: seen.append(float(ct))) * 5.0

    g = jit(pb.grad(lambda x: lax.cond(x > 0, branch, jnp.sin, x)))
    assert g(1.0) == 5.0 and seen == [5.0]
    g(-1.0)
    assert seen == [5.0]


def test_forward_mode_does_not_call_it():
    seen = []
    _, t = pb.jvp(watched(seen), (X,), (X,))
    assert t == 4 * jnp.sum(X**4)
    pb.jit(pb.jacfwd(watched(seen)))(X)
    assert pb.jit(watched(seen))(X) == jnp.sum(X**4)
    assert not seen


@pytest.mark.parametrize("hessian", [pb.hessian, lambda f: pb.jacrev(pb.jacrev(f))])
def test_second_derivatives(hessian):
    np.testing.assert_array_equal(hessian(watched([]))(X), np.diag(12 * X**2))


def test_what_does_not_come_back_is_not_seen():
    seen = []
    debug.on_cotangent(X, seen.append)
    pb.grad(lambda x: (debug.on_cotangent(x, seen.append), jnp.sum(x))[1])(X)
    assert not seen


def test_trees():
    seen = []

    def f(p):
        q = debug.on_cotangent(p, seen.append)
        return jnp.sum(q["w"] * q["n"]) + q["b"][0]

    p = {"w": X, "b": (1.0, 2.0), "n": jnp.array([1, 2, 3])}
    for way in (pb.grad, lambda f, **k: pb.jit(pb.grad(f, **k))):
        seen.clear()
        g = way(f, allow_int=True)(p)
        (ct,) = seen
        np.testing.assert_array_equal(ct["w"], [1, 2, 3])
        assert ct["b"] == (1.0, 0.0)
        assert ct["n"].dtype == pb.float0 and ct["n"].shape == (3,)
        assert g["b"] == (1.0, 0.0)


# ---- replacing


def clipped(x):
    y = debug.on_cotangent(x * x, lambda ct: jnp.clip(ct, -6.0, 6.0), replace=True)
    return jnp.sum(y * y)


WAYS = {**WHOLE, **EACH}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_it_may_be_replaced(way):
    np.testing.assert_array_equal(way(clipped)(X), np.minimum(2 * X**2, 6) * 2 * X)


@pytest.mark.parametrize("jit", [lambda f: f, pb.jit], ids=["eager", "jit"])
def test_a_replaced_gradient_is_differentiated_as_it_is(jit):
    """g = min(2 x**2, 6) 2 x: its derivative is 12 x**2 below, 12 above."""
    got = jit(pb.jacfwd(pb.grad(clipped)))(X)
    np.testing.assert_array_equal(got, np.diag([12.0, 12.0, 12.0]))
    got = jit(pb.jacrev(pb.grad(clipped)))(jnp.array([0.5, 4.0, 1.5]))
    np.testing.assert_array_equal(got, np.diag([3.0, 12.0, 27.0]))


def test_stopping_some_parts_of_a_tree():
    def f(p):
        q = debug.on_cotangent(p, lambda ct: {**ct, "a": jnp.zeros(())}, replace=True)
        return q["a"] * q["b"]

    assert pb.jit(pb.grad(f))({"a": 2.0, "b": 3.0}) == {"a": 0.0, "b": 2.0}


# ---- the debugger


@pytest.mark.parametrize("way", WHOLE.values(), ids=WHOLE)
def test_breakpoint_backward(way, monkeypatch):
    stops = []

    def stopped():
        frame = sys._getframe(1)
        stops.append((frame.f_code.co_filename, frame.f_lineno, dict(frame.f_locals)))

    monkeypatch.setattr(sys, "breakpointhook", stopped)

    def f(x):
        y, label = x * x, "squares"
        line.append(sys._getframe().f_lineno + 1)
        return jnp.sum(3.0 * debug.breakpoint_backward(y)) + len(label)

    line = []
    np.testing.assert_array_equal(way(f)(X), 6 * X)
    (stop,) = stops
    assert stop[:2] == (__file__, line[0])
    np.testing.assert_array_equal(stop[2]["y"], X**2)
    np.testing.assert_array_equal(stop[2]["x"], X)
    np.testing.assert_array_equal(stop[2]["cotangent"], [3, 3, 3])
    assert stop[2]["label"] == "squares"


@pytest.mark.parametrize("way", EACH.values(), ids=EACH)
def test_breakpoint_backward_under_vmap(way, monkeypatch):
    stops = []
    monkeypatch.setattr(sys, "breakpointhook", lambda: stops.append(sys._getframe(1).f_locals))

    def f(x):
        y = x * x
        return jnp.sin(debug.breakpoint_backward(y))

    way(f)(X)
    assert [float(s["x"]) for s in stops] == [1, 2, 3]
    np.testing.assert_allclose([s["cotangent"] for s in stops], np.cos(X**2), rtol=1e-6)


# ---- mistakes


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda x: debug.on_cotangent(x, 3),
            "debug.on_cotangent takes a function as its second argument.",
        ),
        (
            lambda x: debug.on_cotangent(x, lambda ct: ct),
            "debug.on_cotangent: the function returned something, but it only observes.",
        ),
        (
            lambda x: debug.on_cotangent(x, lambda ct: (ct, ct), replace=True),
            "the new cotangent of debug.on_cotangent must have the structure of the value.",
        ),
        (
            lambda x: debug.on_cotangent(x, lambda ct: ct.astype(int), replace=True),
            "new cotangent and value must have one dtype.",
        ),
        (lambda x: debug.on_cotangent("text", print), "debug.on_cotangent: an argument is not a"),
        (lambda x: debug.breakpoint_backward("text"), "debug.breakpoint_backward: an argument is"),
    ],
)
def test_mistakes(call, message):
    with pytest.raises(TypeError, match="Fix: ") as info:
        pb.grad(lambda x: jnp.sum(call(x)))(2.0)
    assert str(info.value).startswith(message)


def test_a_new_cotangent_of_another_shape():
    with pytest.raises(ValueError, match="new cotangent and value must have one shape"):
        pb.grad(lambda x: jnp.sum(debug.on_cotangent(x, jnp.sum, replace=True)))(X)
