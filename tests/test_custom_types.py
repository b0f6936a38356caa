"""Types of one's own: against closed forms, differences of values, and the inner product."""

import importlib.util
import math
import runpy
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import pullback as pb
from pullback import custom_types, edges, lax
from pullback import numpy as jnp
from pullback.core.settings import enable_x64, override

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def example(name):
    """The names of an example, as a module that dataclasses can find."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


qs, pd, un = example("quaternions"), example("positive_definite"), example("units")
Quaternion, Turn, Covariance, Quantity = qs.Quaternion, qs.Turn, pd.Covariance, un.Quantity

pytestmark = pytest.mark.usefixtures("x64")


def draw(*shape, seed=0):
    return jnp.array(np.random.default_rng(seed).normal(size=shape))


def rotation(seed=0):
    return qs.exp(Turn(draw(3, seed=seed)))


def matrix(q):
    """The rotation matrix, by Euler and Rodrigues' formula."""
    w, x, y, z = np.asarray(q.numbers)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def covariance(n=3, seed=0):
    x = draw(n, 2 * n, seed=seed)
    return Covariance.of(x @ x.T / n)


def differences(f, x, h=1e-4):
    """The gradient of f(retract(x, v)) at v = 0 from values alone."""
    leaves, tree = pb.tree.flatten(x.zero_tangent())
    (zero,) = leaves
    found = []
    for i in range(zero.size):

        def at(t, i=i):
            return float(f(x.retract(tree.unflatten([zero.at[i].set(t)]))))

        found.append((8 * (at(h) - at(-h)) - at(2 * h) + at(-2 * h)) / (12 * h))
    return np.array(found)


# ---- gradients


def test_gradient_of_a_rotation():
    # d/dv of y . (q exp(v)) x is x cross (q' y), whatever q.
    q, x, y = rotation(), draw(3, seed=1), draw(3, seed=2)

    def f(q):
        return y @ q.rotate(x)

    want = np.cross(x, matrix(q).T @ np.asarray(y))
    for value, g in (pb.value_and_grad(f)(q), pb.jit(pb.value_and_grad(f))(q)):
        assert type(g) is Turn
        np.testing.assert_allclose(value, np.asarray(y) @ matrix(q) @ np.asarray(x), rtol=1e-13)
        np.testing.assert_allclose(g.vector, want, rtol=1e-12)
    np.testing.assert_allclose(pb.grad(f)(q).vector, differences(f, q), atol=1e-10)


def test_gradients_at_matrices():
    p, a = covariance(), draw(3, 3, seed=3)

    def logdet(p):
        return jnp.linalg.slogdet(p.matrix)[1]

    # log det of L exp(V) L' is log det P + trace V; the trace of A' L exp(V) L' has L' A L.
    np.testing.assert_allclose(pb.grad(logdet)(p), pd.coordinates(jnp.eye(3)), atol=1e-12)

    def weighed(p):
        return jnp.sum(a * p.matrix)

    want = pd.coordinates(p.factor.T @ a @ p.factor)
    np.testing.assert_allclose(pb.grad(weighed)(p), want, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(pb.grad(weighed)(p), differences(weighed, p), atol=1e-8)


def test_trees_of_arrays_and_objects():
    params = {"q": rotation(), "w": draw(3), "more": [rotation(1), 2.0]}

    def f(p, scale):
        return scale * jnp.sum(p["q"].rotate(p["w"]) * p["more"][0].rotate(p["w"])) * p["more"][1]

    g, by_scale = pb.grad(f, argnums=(0, 1))(params, 3.0)
    assert type(g["q"]) is type(g["more"][0]) is Turn
    plain = pb.grad(lambda w: f({**params, "w": w}, 3.0))(params["w"])
    np.testing.assert_allclose(g["w"], plain, rtol=1e-14)
    np.testing.assert_allclose(by_scale, f(params, 1.0), rtol=1e-13)
    for name, got, at in (("q", g["q"], params["q"]), ("more", g["more"][0], params["more"][0])):
        rest = (lambda q: [q, 2.0]) if name == "more" else (lambda q: q)
        want = differences(lambda q, n=name, r=rest: f({**params, n: r(q)}, 3.0), at)
        np.testing.assert_allclose(got.vector, want, atol=1e-9)
    _, extra = pb.grad(lambda p: (f(p, 1.0), p["q"]), has_aux=True)(params)
    assert type(extra) is Quaternion


# ---- tangents in and out


def composed(p, x):
    """A quaternion, an array and a quaternion, of a quaternion and an array."""
    return p @ qs.exp(Turn(x)), p.rotate(x), p.inverse()


def check_tangents(dy, p, x, v, t):
    # (p exp(v)) exp(x + t) = p exp(x) . exp(exp(-x) v + J t), J the right Jacobian of exp, by
    # its series: sum of (-ad x)^k / (k + 1)!.
    ad = np.cross(np.eye(3), np.asarray(x)).T * -1
    jacobian, power = np.zeros((3, 3)), np.eye(3)
    for k in range(30):
        jacobian += power / math.factorial(k + 1)
        power = power @ -ad
    turn = matrix(qs.exp(Turn(x))).T @ np.asarray(v) + jacobian @ np.asarray(t)
    np.testing.assert_allclose(dy[0].vector, turn, atol=1e-12)
    moved = matrix(p) @ (np.cross(v, x) + np.asarray(t))
    np.testing.assert_allclose(dy[1], moved, atol=1e-12)
    # (p exp(v))^-1 = p^-1 exp(-p v)
    np.testing.assert_allclose(dy[2].vector, -matrix(p) @ np.asarray(v), atol=1e-12)


@pytest.mark.parametrize("staged", [False, True])
def test_tangents_have_the_tangent_type(staged):
    p, x, v, t = rotation(), draw(3, seed=1), draw(3, seed=2), draw(3, seed=3)

    def push(p, x, v, t):
        return pb.jvp(composed, (p, x), (Turn(v), t))

    y, dy = (pb.jit(push) if staged else push)(p, x, v, t)
    np.testing.assert_allclose(y[0].numbers, composed(p, x)[0].numbers, rtol=1e-14)
    check_tangents(dy, p, x, v, t)
    _, f_jvp = (pb.jit if staged else lambda f: f)(lambda p, x: pb.linearize(composed, p, x))(p, x)
    check_tangents(f_jvp(Turn(v), t), p, x, v, t)


def test_vjp_is_the_transpose_of_jvp():
    p, x, v, t = rotation(), draw(3, seed=1), draw(3, seed=2), draw(3, seed=3)
    ct = (Turn(draw(3, seed=4)), draw(3, seed=5), Turn(draw(3, seed=6)))
    _, dy = pb.jvp(composed, (p, x), (Turn(v), t))
    _, f_vjp = pb.jit(lambda p, x: pb.vjp(composed, p, x))(p, x)
    g, gx = f_vjp(ct)
    inner = [jnp.vdot(a, b) for a, b in zip(pb.tree.leaves(dy), pb.tree.leaves(ct), strict=True)]
    np.testing.assert_allclose(g.vector @ v + gx @ t, sum(inner), rtol=1e-12)


def test_matrices_in_and_out():
    # scaling by c adds log(c) to V and a congruence A P A' turns V by the factors.
    p, v, a = covariance(), draw(6, seed=1), draw(3, 3, seed=2)

    def f(p):
        return Covariance.of(a @ p.matrix @ a.T)

    y, dv = pb.jvp(f, (p,), (v,))
    turn = np.linalg.solve(y.factor, a @ p.factor)
    want = turn @ np.asarray(pd.symmetric(v, 3)) @ turn.T
    np.testing.assert_allclose(dv, pd.coordinates(jnp.array(want)), atol=1e-9)
    _, grown = pb.jvp(lambda c: Covariance(p.factor * jnp.sqrt(c)), (2.0,), (1.0,))
    np.testing.assert_allclose(grown, pd.coordinates(jnp.eye(3)) / 2, atol=1e-9)
    np.testing.assert_allclose(p.local(p.retract(v)), v, atol=1e-9)


def test_jacobians():
    p, other, x = rotation(), rotation(1), draw(3, seed=1)
    # (p exp(v)) r = p r exp(r' v)
    want = matrix(other).T
    for jac in (pb.jacfwd, pb.jacrev):
        blocks = jac(lambda p: p @ other)(p)
        assert type(blocks) is Turn
        np.testing.assert_allclose(blocks.vector.vector, want, atol=1e-12)
        found = jac(composed, argnums=(0, 1))(p, x)
        np.testing.assert_allclose(found[2].vector[0].vector, -matrix(p), atol=1e-12)
        np.testing.assert_allclose(found[1][1], matrix(p), atol=1e-12)
        assert found[0].vector[1].shape == (3, 3)


def test_second_derivatives():
    q, x, y = rotation(), draw(3, seed=1), draw(3, seed=2)

    def f(q):
        return y @ q.rotate(x)

    # y . R exp(v) x to second order: (v cross (v cross x)) / 2, so that the Hessian is the
    # symmetric part of (R' y) x' less their inner product.
    z = matrix(q).T @ np.asarray(y)
    outer = np.outer(z, x)
    want = (outer + outer.T) / 2 - (z @ np.asarray(x)) * np.eye(3)
    hessian = pb.hessian(custom_types.chart(f, q))(q.zero_tangent())
    np.testing.assert_allclose(hessian.vector.vector, want, atol=1e-11)
    # As q moves, the gradient x cross R' y changes by x cross (-v cross R' y).
    moving = pb.jacfwd(pb.grad(f))(q).vector.vector
    rows = [np.cross(x, -np.cross(v, z)) for v in np.eye(3)]
    np.testing.assert_allclose(moving, np.array(rows).T, atol=1e-12)


# ---- other transformations


def test_vmap_and_scan():
    points = draw(5, 3, seed=1)
    turns = Turn(draw(5, 3, seed=2))
    many = pb.vmap(qs.exp)(turns)
    goal = draw(3, seed=3)

    def f(q, x):
        return jnp.sum((q.rotate(x) - goal) ** 2)

    g = pb.jit(pb.vmap(pb.grad(f)))(many, points)
    assert type(g) is Turn
    for i in range(5):
        one = pb.grad(f)(Quaternion(many.numbers[i]), points[i])
        np.testing.assert_allclose(g.vector[i], one.vector, atol=1e-13)

    def turned(q):
        return lax.scan(lambda q, x: (q @ qs.exp(Turn(x)), q.rotate(x)), q, points)

    q = rotation(4)
    last, dy = pb.jvp(turned, (q,), (Turn(goal),))
    assert type(last[0]) is Quaternion
    want = goal
    for x in points:
        want = matrix(qs.exp(Turn(x))).T @ np.asarray(want)
    np.testing.assert_allclose(dy[0].vector, want, atol=1e-12)


@pytest.mark.parametrize("engine", ["numpy", "native"])
def test_engines(engine):
    with override("pullback_engine", engine):
        q, x = rotation(), draw(3, seed=1)
        g = pb.jit(pb.grad(lambda q: jnp.sum(q.rotate(x) ** 3)))(q)
        want = differences(lambda q: jnp.sum(q.rotate(x) ** 3), q)
        np.testing.assert_allclose(g.vector, want, atol=1e-9)


# ---- optimisers


def adam(rate, b1=0.9, b2=0.99):
    """In the form of optax: of trees of arrays, which know nothing of rotations."""

    def init(params):
        zeros = custom_types.zero_tangents(params)
        return zeros, zeros, 0

    def update(g, state):
        m, v, t = state
        m = pb.tree.map(lambda m, g: b1 * m + (1 - b1) * g, m, g)
        v = pb.tree.map(lambda v, g: b2 * v + (1 - b2) * g * g, v, g)
        t = t + 1
        step = pb.tree.map(
            lambda m, v: -rate * (m / (1 - b1**t)) / (jnp.sqrt(v / (1 - b2**t)) + 1e-12), m, v
        )
        return step, (m, v, t)

    return init, update


def test_an_optimiser_of_arrays_and_rotations():
    points, truth, shift = draw(20, 3, seed=1), rotation(2), draw(3, seed=3)
    seen = truth.rotate(points) + shift
    params = {"turn": rotation(5), "shift": jnp.zeros(3)}

    def loss(p):
        return jnp.mean((p["turn"].rotate(points) + p["shift"] - seen) ** 2)

    init, update = adam(0.1)

    @pb.jit
    def step(params, state):
        updates, state = update(pb.grad(loss)(params), state)
        return custom_types.apply_updates(params, updates), state

    state = init(params)
    for i in range(400):
        if i == 300:
            _, update = adam(0.005)
        params, state = step(params, state)
    np.testing.assert_allclose(matrix(params["turn"]), matrix(truth), atol=1e-3)
    np.testing.assert_allclose(params["shift"], shift, atol=1e-3)
    np.testing.assert_allclose(jnp.linalg.norm(params["turn"].numbers), 1, rtol=1e-12)


def test_moving_trees():
    tree = {"q": rotation(), "x": jnp.ones(2, jnp.float32), "n": 1.0}
    there = {"q": rotation(1), "x": jnp.zeros(2, jnp.float32), "n": 3.0}
    way = custom_types.difference(tree, there)
    assert type(way["q"]) is Turn
    back = custom_types.apply_updates(tree, way)
    np.testing.assert_allclose(matrix(back["q"]), matrix(there["q"]), atol=1e-12)
    assert back["x"].dtype == jnp.float32
    assert float(back["n"]) == 3.0
    kept = custom_types.apply_updates(tree, {"q": None, "x": np.ones(2), "n": None})
    assert kept["q"] is tree["q"]
    np.testing.assert_array_equal(kept["x"], [2, 2])
    zeros = custom_types.zero_tangents(tree)
    assert pb.tree.structure(zeros) == pb.tree.structure(pb.grad(lambda t: t["n"])(tree))
    assert not any(np.any(np.asarray(z)) for z in pb.tree.leaves(zeros))


# ---- units


def test_cotangents_carry_units():
    x, mass, k = 0.1 * un.m, 2.0 * un.kg, 100.0 * un.N / un.m
    e, force = pb.value_and_grad(un.energy)(x, mass, k)
    assert e.unit == un.J.unit
    assert force.unit == un.N.unit
    np.testing.assert_allclose(force.value, 100 * 0.1 - 2 * 9.81)
    assert pb.grad(un.energy, argnums=2)(x, mass, k).unit == (un.m**2).unit
    stiffness = pb.jit(pb.grad(lambda x: pb.grad(un.energy)(x, mass, k)))(x)
    assert stiffness.unit == (un.N / un.m).unit
    np.testing.assert_allclose(stiffness.value, 100)
    rest = pb.jit(un.newton)(x, mass, k)
    np.testing.assert_allclose(rest.to(un.m), 2 * 9.81 / 100)
    # Of a plain number by a quantity, and the other way round.
    assert pb.grad(lambda x: (x / un.m).value)(x).unit == (1 / un.m).unit
    assert pb.grad(lambda c: c * x)(2.0).unit == un.m.unit
    g = pb.grad(lambda p: p["c"] * p["x"])({"c": 2.0, "x": x})
    assert (g["c"].unit, g["x"].unit) == (un.m.unit, ())
    (value, aux), g = pb.value_and_grad(lambda c: (c * x, {"aux": c}), has_aux=True)(2.0)
    assert (value.unit, g.unit, float(aux["aux"])) == (un.m.unit, un.m.unit, 2)


def test_vjp_of_quantities():
    x = 3.0 * un.m
    area, f_vjp = pb.vjp(lambda x: x * x, x)
    assert area.unit == (un.m**2).unit
    (g,) = f_vjp(Quantity(jnp.array(2.0), (un.J / un.m**2).unit))
    assert g.unit == (un.J / un.m).unit
    assert float(g.value) == 12
    (g,) = f_vjp(1.0)
    assert g.unit == un.m.unit
    _, f_vjp = pb.vjp(lambda x: (x, x * x), x)
    with pytest.raises(TypeError, match="not those of one number") as caught:
        f_vjp((1.0, 1.0))
    assert "Fix:" in str(caught.value)
    _, dy = pb.jvp(lambda t: x * t / un.s, (1.0 * un.s,), (2.0 * un.s,))
    assert dy.unit == un.m.unit
    assert float(dy.value) == 6
    speeds = pb.vmap(lambda t: x / t)(Quantity(jnp.array([1.0, 2.0]), un.s.unit))
    np.testing.assert_allclose(speeds.to(un.m / un.s), [3, 1.5])
    for jac in (pb.jacfwd, pb.jacrev):
        block = jac(lambda x: x * x)(x)
        assert float(block.value.value) == 6


# ---- objects that also hold integers


@custom_types.differentiable
@pb.tree_util.register_dataclass
@dataclass
class Counted:
    x: object
    moves: object

    def zero_tangent(self):
        return jnp.zeros_like(self.x)

    def retract(self, v):
        return Counted(self.x + v, self.moves)

    def local(self, other):
        return other.x - self.x


def test_integers_in_objects_stay_as_they_are():
    c = Counted(jnp.array([1.0, 2.0]), jnp.array(3))

    def f(c):
        return Counted(c.x * c.moves, c.moves + 1)

    y, dy = pb.jvp(f, (c,), (jnp.ones(2),))
    assert int(y.moves) == 4
    np.testing.assert_array_equal(dy, [3, 3])
    _, f_vjp = pb.vjp(f, c)
    np.testing.assert_array_equal(f_vjp(jnp.ones(2))[0], [3, 3])
    _, f_jvp = pb.linearize(f, c)
    np.testing.assert_array_equal(f_jvp(jnp.ones(2)), [3, 3])
    g = pb.grad(lambda c: jnp.sum(c.x**2), allow_int=True)(c)
    np.testing.assert_array_equal(g, [2, 4])


# ---- others pay nothing


def test_plain_arrays_and_classes_are_as_before():
    @pb.tree_util.register_dataclass
    @dataclass
    class Plain:
        x: object

    g = pb.grad(lambda p: p.x**2)(Plain(jnp.array(3.0)))
    assert type(g) is Plain
    assert float(g.x) == 6
    assert not edges.within(pb.tree.structure({"a": 1.0, "b": (Plain(1.0),)}))
    assert edges.within(pb.tree.structure({"a": 1.0, "b": [rotation()]}))
    f_vjp = pb.vjp(lambda p: p.x**2, Plain(jnp.array(3.0)))[1]
    assert type(f_vjp).__name__ == "VJP"


# ---- mistakes


@pb.tree_util.register_dataclass
@dataclass
class Bad:
    x: object


def bad(**changes):
    given = {
        "zero_tangent": lambda b: jnp.zeros_like(b.x),
        "retract": lambda b, v: Bad(b.x + v),
        **changes,
    }
    return custom_types.register(Bad, **given)


def at(x=1.0):
    return Bad(jnp.array(x))


def no_local():
    bad()
    pb.jvp(lambda x: Bad(x), (1.0,), (1.0,))


def wrong_shape():
    bad(retract=lambda b, v: Bad(b.x + jnp.stack([v, v])))
    pb.grad(lambda b: b.x)(at())


def wrong_dtype():
    bad(retract=lambda b, v: Bad((b.x + v).astype(jnp.float32)))
    pb.grad(lambda b: b.x)(at())


def wrong_class():
    bad(retract=lambda b, v: b.x + v)
    pb.grad(lambda b: b.x)(at())


def ambient_tangent():
    pb.jvp(lambda q: q.rotate(jnp.ones(3)), (rotation(),), (rotation(),))


def two_for_one():
    pb.jvp(lambda q: q.rotate(jnp.ones(3)), ([rotation()],), ([Turn(jnp.ones(3))] * 2,))


def wrong_unit():
    pb.jvp(lambda x: x * x, (1.0 * un.m,), (1.0 * un.s,))


def wrong_update():
    custom_types.apply_updates({"q": rotation()}, {"q": jnp.ones(3)})


def update_of_another_shape():
    custom_types.apply_updates(jnp.ones(3), jnp.ones(2))


def not_scalar():
    pb.grad(lambda q: q)(rotation())


def no_pytree():
    custom_types.register(int, zero_tangent=abs, retract=pow)


def no_method():
    custom_types.differentiable(Bad)


MISTAKES = {
    no_local: "a derivative of a result of type Bad needs its `local`, the inverse of retract.",
    wrong_shape: "retract of Bad must keep the shapes and dtypes of what it moves.",
    wrong_dtype: "retract of Bad must keep the shapes and dtypes of what it moves.",
    wrong_class: "what retract of Bad gives must have the structure of its first argument.",
    ambient_tangent: "the tangent of a Quaternion has another type than its zero tangent.",
    two_for_one: "the tangents must have the structure of the primals.",
    wrong_unit: "the tangent of a Quantity has another type than its zero tangent.",
    wrong_update: "the update of a Quaternion has another type than its zero tangent.",
    update_of_another_shape: "an update must have the shape of its parameter.",
    not_scalar: "Gradient only defined for scalar-output functions. Output had shape: (4,).",
    no_pytree: "a type of your own must be a pytree before it is given tangents.",
    no_method: "a type of your own needs the methods zero_tangent and retract.",
}


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda f: f.__name__)
def test_mistakes(mistake):
    try:
        with pytest.raises((TypeError, ValueError)) as caught:
            mistake()
    finally:
        edges.KINDS.pop(Bad, None)
        edges._within.cache_clear()
    text = "\n".join([str(caught.value), *getattr(caught.value, "__notes__", [])])
    assert text.splitlines()[0] == MISTAKES[mistake]
    assert "Got:" in text
    assert "Fix:" in text


# ---- the examples run


@pytest.mark.parametrize("name", ["quaternions", "positive_definite", "units"])
def test_examples_run(name, capsys):
    with enable_x64(False):
        runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    lines = dict(
        line.split(": ", 1) for line in capsys.readouterr().out.splitlines() if ": " in line
    )
    if name == "quaternions":
        assert float(lines["largest distance from the closed form"]) < 1e-5
    elif name == "units":
        assert lines["its derivative by length"].endswith("kg m s^-2")
    else:
        assert float(lines["gradient there"]) < 1e-4
