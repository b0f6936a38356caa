"""custom_gradient, linear_call, custom_vmap, symbolic zeros."""

import numpy as np
import pytest

import pullback as pb
import pullback.numpy as jnp
from pullback import lax
from pullback.custom_batching import custom_vmap, sequential_vmap
from pullback.custom_derivatives import (
    SymbolicZero,
    custom_vjp_primal_tree_values,
    linear_call,
    zero_from_primal,
)
from pullback.test_util import check_grads

# ---- symbolic zeros


def is_zero(t):
    return isinstance(t, SymbolicZero)


@pytest.fixture
def asked():
    """A product of three whose rules write down which tangents, or arguments, are given."""
    seen = []

    @pb.custom_jvp
    def by_jvp(x, y, n):
        return x * y * n

    def rule(primals, tangents):
        (x, y, n), (dx, dy, dn) = primals, tangents
        seen.append((not is_zero(dx), not is_zero(dy), is_zero(dn)))
        terms = [a * b * n for a, b in ((dx, y), (dy, x)) if not is_zero(a)]
        return by_jvp(x, y, n), sum(terms) if terms else zero_from_primal(x, True)

    by_jvp.defjvp(rule, symbolic_zeros=True)

    @pb.custom_vjp
    def by_vjp(x, y, n):
        return x * y * n

    def fwd(x, y, n):
        seen.append((x.perturbed, y.perturbed, not n.perturbed))
        x, y, n = custom_vjp_primal_tree_values((x, y, n))
        return x * y * n, (x, y, n)

    def bwd(residuals, ct):
        x, y, n = residuals
        return ct * y * n, ct * x * n, None

    by_vjp.defvjp(fwd, bwd, symbolic_zeros=True)
    return seen, by_jvp, by_vjp


AROUND = {
    "plain": lambda f: f,
    "jit": pb.jit,
    "vmap": lambda f: lambda x, y, n: pb.vmap(f, (0, None, None))(jnp.stack([x, x]), y, n)[0],
    "jit of vmap": lambda f: pb.jit(lambda x, y, n: pb.vmap(f)(x[None], y[None], n[None])[0]),
    "scan": lambda f: lambda x, y, n: lax.scan(lambda c, z: (f(c, z, n), None), x, y[None])[0],
    "cond": lambda f: lambda x, y, n: lax.cond(n > 0, f, lambda x, y, n: x, x, y, n),
    "while": lambda f: lambda x, y, n: lax.fori_loop(0, 1, lambda i, c: f(c, y, n), x),
    "checkpoint": pb.checkpoint,
}


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("kind", [1, 2])
def test_rules_know_what_is_differentiated(asked, around, number, kind):
    seen, *functions = asked
    f = AROUND[around](functions[kind - 1])
    x, y, n = jnp.float32(2.0), jnp.float32(3.0), jnp.int32(5)
    found = pb.grad(f, argnums=number)(x, y, n)
    assert float(found) == (15, 10)[number]
    # In a loop, a carry that gets a tangent in one round has one in the next.
    loop = around in ("scan", "while") and number == 1
    assert seen[-1] == ((number == 0 or loop), number == 1, True)
    assert all(one[2] for one in seen)


def test_rules_in_rules(asked):
    seen, by_jvp, by_vjp = asked
    for f in by_jvp, by_vjp:
        inner = pb.grad(lambda x, y, f=f: f(x, y, 1))
        seen.clear()
        assert float(pb.grad(inner, argnums=1)(2.0, 3.0)) == 1.0
        assert seen[0] == (True, False, True)


def test_symbolic_zero_has_the_type_of_the_tangent():
    z = SymbolicZero.from_primal_value(jnp.ones((2, 3)))
    assert (z.shape, z.dtype, z.ndim, z.size, z.weak_type) == ((2, 3), np.float32, 2, 6, False)
    assert SymbolicZero.from_primal_value(jnp.arange(2)).dtype == pb.dtypes.float0
    assert zero_from_primal(jnp.arange(2)).dtype == pb.dtypes.float0
    assert zero_from_primal(1.0).dtype == np.float32
    with pytest.raises(AttributeError, match="no attribute 'real'"):
        _ = z.real
    with pytest.raises(TypeError, match="set symbolic_zeros=True"):
        custom_vjp_primal_tree_values((1.0,))


# ---- custom_gradient


def test_custom_gradient_keeps_what_its_rule_closes_over():
    calls = []

    @pb.custom_gradient
    def f(x, y):
        calls.append(1)
        s = jnp.sin(x)
        return {"out": s * y["a"]}, lambda ct: (ct["out"] * 100 * s, {"a": ct["out"] * x})

    def loss(x, y):
        return f(x, {"a": y})["out"].sum()

    x, y = jnp.array([0.5, 1.0]), jnp.array([2.0, 3.0])
    for g in pb.grad(loss, (0, 1)), pb.jit(pb.grad(loss, (0, 1))):
        dx, dy = g(x, y)
        np.testing.assert_allclose(dx, 100 * np.sin(x), rtol=1e-6)
        np.testing.assert_allclose(dy, x)
    batched = pb.vmap(pb.grad(lambda x, y: f(x, {"a": y})["out"]))(x, y)
    np.testing.assert_allclose(batched, 100 * np.sin(x), rtol=1e-6)
    _, pull = pb.vjp(loss, x, y)
    count = len(calls)
    pull(1.0)
    assert len(calls) == count  # the rule was traced, the function is not called again


def test_custom_gradient_of_one_argument_and_its_second_derivative():
    for wrap in (lambda c: c), (lambda c: (c,)), (lambda c: [c]):
        f = pb.custom_gradient(lambda x, wrap=wrap: (x**2, lambda ct: wrap(ct * x**3)))
        assert float(f(3.0)) == 9
        assert float(pb.grad(f)(3.0)) == 27
        assert float(pb.grad(pb.grad(f))(3.0)) == 27
    with pytest.raises(TypeError, match=r"can't apply forward-mode autodiff \(jvp\)"):
        pb.jvp(f, (3.0,), (1.0,))
    with pytest.raises(TypeError, match="returns a pair"):
        pb.grad(pb.custom_gradient(lambda x: x))(1.0)


# ---- linear_call


def division(scale, x):
    """x / scale, as two linear calls on a tree."""
    return linear_call(
        lambda s, t: {"y": t[0] / s + t[1]},
        lambda s, ct: [ct["y"] / s, ct["y"]],
        scale,
        [x, 2 * x],
    )["y"]


def test_linear_call_in_both_modes_and_twice():
    with pb.enable_x64():
        rng = np.random.default_rng(0)
        s, x = rng.uniform(1, 2, 3), rng.normal(size=3)
        check_grads(division, (s, x), order=2)
        check_grads(pb.jit(division), (s, x), order=2)
        check_grads(pb.vmap(division), (s, x), order=1)
        for axes in (0, None), (None, 0), (0, 0):
            args = [a if d == 0 else a[0] for a, d in zip((s, x), axes, strict=True)]
            found = pb.vmap(pb.grad(division, 1), axes)(*args)
            np.testing.assert_allclose(found, np.broadcast_to(1 / args[0] + 2, 3))


def test_the_transpose_of_linear_call_is_the_users():
    def f(x):
        return linear_call(lambda _, x: 2 * x, lambda _, ct: 100 * ct, (), x)

    assert float(pb.grad(f)(1.0)) == 100
    assert float(pb.jvp(f, (1.0,), (1.0,))[1]) == 2
    twice = pb.linear_transpose(lambda c: pb.linear_transpose(f, 1.0)(c)[0], 1.0)
    assert float(twice(1.0)[0]) == 2
    assert pb.vmap(pb.grad(f))(jnp.ones(2)).tolist() == [100, 100]

    def of_factor(y):
        return pb.grad(lambda x: y * f(x))(1.0)

    # The derivative is the transpose, a linear call of the factor: see what each mode makes of it.
    assert float(pb.jvp(of_factor, (3.0,), (1.0,))[1]) == 100
    assert float(pb.grad(of_factor)(3.0)) == 2


def test_linear_call_closes_over_traced_values():
    def f(y):
        return linear_call(
            lambda s, x: x * s[0] * y, lambda s, ct: ct * s[0] * s[1], (3.0, y), 2 * y
        )

    assert float(pb.jit(f)(4.0)) == 96
    assert float(pb.grad(f)(4.0)) == 48
    with pytest.raises(TypeError, match="transpose output pytree structure must match"):
        pb.grad(lambda x: linear_call(lambda _, x: x, lambda _, ct: (ct, ct), (), x))(1.0)


# ---- custom_vmap


@pytest.fixture
def mapped():
    """x * y, ten times that where it is mapped, and what its rule was asked."""
    asked = []

    @custom_vmap
    def f(x, y):
        return x * y

    @f.def_vmap
    def rule(axis_size, in_batched, x, y):
        asked.append((axis_size, tuple(in_batched)))
        if not in_batched[0]:
            x = jnp.broadcast_to(x, (axis_size, *x.shape))
        return 10 * (x.T * y.T).T, True

    return asked, f


def test_custom_vmap_uses_the_rule(mapped):
    asked, f = mapped
    x, y = jnp.arange(3.0), jnp.arange(1.0, 4.0)
    assert float(f(2.0, y=3.0)) == 6
    assert float(pb.jit(f)(2.0, 3.0)) == 6
    assert not asked
    np.testing.assert_array_equal(pb.vmap(f)(x, y), 10 * x * y)
    np.testing.assert_array_equal(pb.jit(pb.vmap(f, (None, 0)))(2.0, y), 20 * y)
    np.testing.assert_array_equal(pb.vmap(pb.jit(f), (0, None))(x, 2.0), 20 * x)
    assert asked == [(3, (True, True)), (3, (False, True)), (3, (True, False))]
    rows = jnp.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(pb.vmap(f, (1, 0))(rows, x), 10 * (rows * x).T)


def test_custom_vmap_and_derivatives(mapped):
    _, f = mapped
    x, y = jnp.array([1.0, 2.0]), jnp.array([3.0, 4.0])
    assert float(pb.grad(f)(2.0, 3.0)) == 3
    value, tangent = pb.jvp(pb.vmap(f), (x, y), (jnp.ones(2), jnp.zeros(2)))
    np.testing.assert_array_equal(value, 10 * x * y)
    np.testing.assert_array_equal(tangent, 10 * y)
    of_each = pb.vmap(lambda x, y: pb.jvp(lambda x: f(x, y), (x,), (1.0,)))(x, y)
    np.testing.assert_array_equal(of_each[0], 10 * x * y)
    np.testing.assert_array_equal(of_each[1], 10 * y)
    np.testing.assert_array_equal(pb.grad(lambda x: pb.vmap(f)(x, y).sum())(x), 10 * y)
    values, grads = pb.vmap(pb.value_and_grad(f))(x, y)
    np.testing.assert_array_equal(values, 10 * x * y)
    np.testing.assert_array_equal(grads, y)
    tangents = pb.vmap(lambda t: pb.jvp(lambda x: f(x, 3.0), (2.0,), (t,))[1])(x)
    np.testing.assert_array_equal(tangents, 30 * x)


def test_custom_vmap_of_results_that_are_not_mapped():
    @custom_vmap
    def f(x):
        return x, x

    f.def_vmap(lambda size, batched, x: ((x.sum(), x), (False, True)))
    total, same = pb.vmap(f, out_axes=(None, 0))(jnp.arange(3.0))
    assert total.shape == ()
    assert float(total) == 3
    assert same.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("rule", "kind", "message"),
    [
        (None, AttributeError, "No batching rule defined for custom_vmap function f"),
        (lambda n, b, x: (x, (True, True)), ValueError, "do not match"),
        (lambda n, b, x: x, TypeError, "must return a pair"),
        (lambda n, b, x: (x[:1], True), ValueError, "of length 2, in front"),
    ],
)
def test_mistakes_in_vmap_rules(rule, kind, message):
    def f(x):
        return x

    f = custom_vmap(f)
    if rule is not None:
        f.def_vmap(rule)
    with pytest.raises(kind) as caught:
        pb.vmap(f)(jnp.ones(2))
    assert message in str(caught.value)


def test_sequential_vmap():
    seen = []

    @sequential_vmap
    def f(x, y):
        pb.debug.callback(lambda v: seen.append(v.shape), x)
        return {"a": x * y, "b": y}

    out = pb.vmap(f, in_axes=(0, None))(jnp.arange(6.0).reshape(3, 2), 2.0)
    np.testing.assert_array_equal(out["a"], 2 * np.arange(6.0).reshape(3, 2))
    assert out["b"].tolist() == [2, 2, 2]
    assert seen == [(2,)] * 3


def test_functions_with_rules_see_shapes_and_dtypes():
    for wrap in pb.custom_jvp, pb.custom_vjp, custom_vmap:
        f = wrap(lambda x: (jnp.sum(x).astype(x.dtype), x.shape, x.ndim, x.weak_type)[0])
        for name in "jvp", "fwd", "bwd", "vmap_rule":
            setattr(f, name, lambda *args: None)
        assert float(f(2.0)) == 2
        assert f(np.float64(2.0)).dtype == np.float32


def test_numbers_stay_numbers_where_nothing_is_transformed():
    @pb.custom_jvp
    def f(x):
        return x * x

    f.defjvp(lambda primals, tangents: (f(*primals), 2 * primals[0] * tangents[0]))
    for x, kind in ((3, int), (3.0, float), (0.0, float), (1j, complex)):
        assert type(f(x)) is kind and f(x) == x * x
    assert type(f(jnp.ones(2))) is pb.core.array.HostArray
    assert pb.grad(f)(3.0) == 6 and pb.jit(f)(3.0).weak_type
