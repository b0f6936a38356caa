"""checkpoint: the values are equal, less is kept, and what is not kept is computed again."""

from __future__ import annotations

import numpy as np
import pytest

import pullback as pb
import pullback.numpy as jnp
from pullback import ad_checkpoint, lax
from pullback.ad_checkpoint import checkpoint_name, checkpoint_policies, saved_residuals
from pullback.extend import Elementwise
from pullback.test_util import check_grads


class CountedSin(Elementwise):
    """sin(x), counting its evaluations"""

    takes = "f"
    count = 0

    def eval(self, x):
        CountedSin.count += 1
        return np.sin(x)

    def jvp_x(self, t, out, x):
        return t * jnp.cos(x)

    def lower(self, x):
        return jnp.sin(x)


sin = CountedSin()


def evaluations(run):
    """How often `run()` evaluates the counted primitive."""
    before = CountedSin.count
    run()
    return CountedSin.count - before


def chain(x):
    return jnp.sum(sin(sin(sin(x))))


X = jnp.linspace(0.5, 1.0, 4)


def test_values_are_those_without_checkpoint():
    f = pb.checkpoint(chain)
    np.testing.assert_array_equal(f(X), chain(X))
    np.testing.assert_allclose(pb.grad(f)(X), pb.grad(chain)(X), 1e-6)
    np.testing.assert_allclose(pb.jit(pb.grad(f))(X), pb.grad(chain)(X), 1e-6)
    np.testing.assert_allclose(pb.grad(pb.jit(f))(X), pb.grad(chain)(X), 1e-6)
    np.testing.assert_allclose(pb.jacfwd(f)(X), pb.grad(chain)(X), 1e-6)
    stacked = jnp.stack([X, 2 * X])
    for mapped in (pb.vmap(pb.grad(f)), pb.jit(pb.vmap(pb.grad(f))), pb.vmap(pb.jit(pb.grad(f)))):
        np.testing.assert_allclose(mapped(stacked), pb.vmap(pb.grad(chain))(stacked), 1e-6)
    for hessian in (
        pb.hessian,
        lambda g: pb.jacrev(pb.jacrev(g)),
        lambda g: pb.jacrev(pb.jacfwd(g)),
    ):
        np.testing.assert_allclose(hessian(f)(X), pb.hessian(chain)(X), 1e-5, 1e-6)


def test_derivatives_against_finite_differences():
    with pb.enable_x64():
        x = np.linspace(0.5, 1.0, 3)
        check_grads(pb.checkpoint(chain), (x,), order=3)
        check_grads(pb.checkpoint(lambda x: pb.checkpoint(chain)(x * x)), (x,), order=2)


def test_it_is_computed_again_in_the_backward_pass():
    # Without checkpoint: 3 sines. With it: 3 forward, and 2 again: the last value is not needed.
    assert evaluations(lambda: pb.grad(chain)(X)) == 3
    assert evaluations(lambda: pb.grad(pb.checkpoint(chain))(X)) == 5
    assert evaluations(lambda: pb.checkpoint(chain)(X)) == 3
    assert evaluations(lambda: pb.jvp(pb.checkpoint(chain), (X,), (X,))) == 3


def test_jit_does_not_merge_the_two_computations():
    step = pb.jit(pb.value_and_grad(pb.checkpoint(chain)), engine="numpy")
    step(X)
    assert evaluations(lambda: step(X)) == 5


@pytest.mark.parametrize("looped", [False, True])
def test_machine_code_keeps_less(looped):
    """The native engine computes again, too: between the passes it keeps one array for each layer
    that is checkpointed, and two or more for each that is not."""
    rng = np.random.default_rng(0)
    n, depth = 64, 10
    w = rng.normal(size=(depth, n, n)).astype(np.float32) / 8
    x = rng.normal(size=(n, n)).astype(np.float32)
    w = w if looped else list(w)

    def loss(wrapped):
        layer = wrapped(lambda x, w: jnp.sin(jnp.tanh(x @ w)))

        def whole(w):
            if looped:
                return lax.scan(lambda x, w: (layer(x, w), None), x, w)[0].sum()
            y = x
            for each in w:
                y = layer(y, each)
            return y.sum()

        return whole

    plain, again = (pb.jit(pb.grad(loss(f)), engine="native") for f in (lambda f: f, pb.checkpoint))
    reference = pb.jit(pb.grad(loss(pb.checkpoint)), engine="numpy")(w)
    for f in (plain, again):
        np.testing.assert_allclose(np.stack(f(w)), np.stack(reference), rtol=1e-4, atol=1e-5)
    arrays_kept = [f.explain(w).kernel.arena / (4 * n * n) for f in (plain, again)]
    assert arrays_kept[1] <= depth + 8, arrays_kept
    assert arrays_kept[0] >= 2 * depth, arrays_kept


def test_only_in_the_backward_pass():
    counts = []
    out, back = None, None

    def forward():
        nonlocal out, back
        out, back = pb.vjp(pb.checkpoint(chain), X)

    counts.append(evaluations(forward))
    counts.append(evaluations(lambda: back(jnp.ones(()))))
    counts.append(evaluations(lambda: back(jnp.ones(()))))
    assert counts == [3, 2, 2]


def kept(f, *args):
    return [source for _, source in saved_residuals(f, *args)]


def test_what_is_kept():
    assert kept(chain, X) == ["output of cos"] * 3
    assert kept(pb.checkpoint(chain), X) == ["from the argument x"]
    size = sum(aval.size for aval, _ in saved_residuals(chain, X))
    less = sum(aval.size for aval, _ in saved_residuals(pb.checkpoint(chain), X))
    assert (size, less) == (12, 4)


def named(x, w):
    a = checkpoint_name(sin(x @ w), "first")
    b = checkpoint_name(sin(a @ w), "second")
    return jnp.sum(sin(b) ** 2)


W = jnp.eye(4) * 0.5 + 0.1
P = checkpoint_policies
POLICIES = {
    "everything": (P.everything_saveable, 3),
    "nothing": (P.nothing_saveable, 5),
    "none": (None, 5),
    "first": (P.save_only_these_names("first"), 5),
    "first and second": (P.save_only_these_names("first", "second"), None),
    "any name": (P.save_any_names_but_these("second"), None),
    "dots": (P.dots_saveable, None),
    "not second": (P.save_anything_except_these_names("second"), None),
    "dots and names": (
        P.save_from_both_policies(P.dots_saveable, P.save_only_these_names("first")),
        None,
    ),
    "dots without batch": (P.dots_with_no_batch_dims_saveable, None),
    "own": (lambda primitive, *types, **params: primitive.name == "cos", None),
}


@pytest.mark.parametrize("name", POLICIES)
def test_policies_do_not_change_values(name):
    f = pb.checkpoint(named, policy=POLICIES[name][0])
    want = pb.grad(named, argnums=(0, 1))(X, W)
    for g in (pb.grad(f, argnums=(0, 1)), pb.jit(pb.grad(f, argnums=(0, 1)))):
        for a, b in zip(g(X, W), want, strict=True):
            np.testing.assert_allclose(a, b, 1e-5)
    mapped = pb.vmap(pb.grad(f), in_axes=(0, None))(jnp.stack([X, X]), W)
    np.testing.assert_allclose(mapped[1], want[0], 1e-5)
    np.testing.assert_allclose(pb.hessian(f)(X, W), pb.hessian(named)(X, W), 1e-4, 1e-5)


def test_policies_say_what_is_kept_and_what_is_computed_again():
    def of(policy):
        return kept(pb.checkpoint(named, policy=policy), X, W)

    arguments = ["from the argument x", "from the argument w"]
    assert of(None) == of(P.nothing_saveable) == arguments
    assert of(P.save_only_these_names("first")) == [*arguments, "named 'first'"]
    assert of(P.save_only_these_names("first", "second")) == [
        *arguments,
        "named 'first'",
        "named 'second'",
    ]
    assert of(P.save_any_names_but_these("second")) == [*arguments, "named 'first'"]
    assert of(P.dots_saveable) == [*arguments, *["output of dot_general"] * 2]
    assert "named 'first'" in of(P.save_anything_except_these_names("second"))
    assert "named 'second'" not in of(P.save_anything_except_these_names("second"))

    def count(policy):
        return evaluations(lambda: pb.grad(pb.checkpoint(named, policy=policy))(X, W))

    assert count(P.everything_saveable) == 3
    assert count(None) == 6
    assert count(P.save_only_these_names("first", "second")) == 4
    assert count(lambda primitive, *types, **params: primitive.name == "counted_sin") == 3


def test_in_scan():
    def total(w, body):
        return jnp.sum(lax.scan(lambda c, _: (body(c * w), None), X, None, 5)[0])

    def body(c):
        return sin(sin(c))

    want = pb.grad(total)(0.9, body)
    for f in (total, pb.jit(total, static_argnums=1)):
        np.testing.assert_allclose(pb.grad(f)(0.9, pb.checkpoint(body)), want, 1e-5)
    np.testing.assert_allclose(
        pb.hessian(total)(0.9, pb.checkpoint(body)), pb.hessian(total)(0.9, body), 1e-4
    )
    plain = saved_residuals(lambda w: total(w, body), 0.9)
    less = saved_residuals(lambda w: total(w, pb.checkpoint(body)), 0.9)
    assert sum(t.size for t, _ in less) < sum(t.size for t, _ in plain)


def test_arguments_of_all_kinds():
    @pb.checkpoint
    def f(params, x, *, scale=2.0):
        return {"y": scale * params["w"] * jnp.sin(x), "n": (params["n"],)}

    params = {"w": 3.0, "n": 5}
    out = f(params, 1.0, scale=4.0)
    np.testing.assert_allclose(out["y"], 12.0 * np.sin(1.0), 1e-6)
    assert int(out["n"][0]) == 5
    g = pb.grad(lambda w: f({"w": w, "n": 5}, 1.0)["y"])(3.0)
    np.testing.assert_allclose(g, 2.0 * np.sin(1.0), 1e-6)

    @pb.remat
    def closes_over(x):
        return x * params["w"]

    assert float(pb.grad(lambda w: pb.checkpoint(lambda x: x * w)(2.0))(3.0)) == 2.0
    assert float(pb.grad(closes_over)(1.0)) == 3.0


def test_static_arguments_and_decorator_with_options():
    @pb.checkpoint
    def fails(x, flag):
        return x if flag else -x

    with pytest.raises(pb.errors.TracerBoolConversionError):
        fails(1.0, True)

    def f(x, flag):
        return jnp.sin(x) if flag else -x

    g = pb.checkpoint(f, static_argnums=(1,))
    np.testing.assert_allclose(pb.grad(g)(1.0, True), np.cos(1.0), 1e-6)
    assert float(pb.grad(g)(1.0, False)) == -1.0
    h = pb.checkpoint(policy=P.everything_saveable, static_argnums=1)(f)
    np.testing.assert_allclose(pb.grad(h)(1.0, True), np.cos(1.0), 1e-6)


def test_names_pass_through_everything():
    x = {"a": 1.0, "b": (2.0,)}
    assert checkpoint_name(x, "n") == x
    assert float(pb.grad(lambda x: checkpoint_name(x * x, "n"))(3.0)) == 6.0
    np.testing.assert_array_equal(pb.vmap(lambda x: checkpoint_name(x, "n"))(X), X)
    assert "name[name=n]" in str(pb.make_jaxpr(lambda x: checkpoint_name(x, "n"))(1.0))


def test_custom_rules_inside():
    @pb.custom_vjp
    def f(x):
        return sin(x)

    f.defvjp(lambda x: (sin(x), x), lambda x, ct: (ct * 10.0,))
    assert float(pb.grad(pb.checkpoint(lambda x: f(x) * 2.0))(1.0)) == 20.0
    assert float(pb.jit(pb.grad(pb.checkpoint(lambda x: f(x) * 2.0)))(1.0)) == 20.0


def test_integers_pass_through():
    f = pb.checkpoint(lambda x, i: (x * x, i + 1))
    (y, j), back = pb.vjp(f, 3.0, 1)
    ct = back((1.0, np.zeros((), pb.dtypes.float0)))
    assert (float(y), int(j), float(ct[0])) == (9.0, 2, 6.0)
    assert ct[1].dtype == pb.dtypes.float0


def test_print_saved_residuals(capsys):
    def f(x, params):
        return jnp.sum(pb.jit(lambda v: sin(v) * params["w"])(x) * 2.0)

    ad_checkpoint.print_saved_residuals(f, X, {"w": X})
    line = f"{__file__}:{f.__code__.co_firstlineno + 1}"
    place = f" from {line} (test_print_saved_residuals.<locals>.f.<locals>.<lambda>), 16 bytes"
    assert capsys.readouterr().out.splitlines() == [
        "f32[4] from the argument params['w'], 16 bytes",
        f"f32[4] output of counted_sin{place}",
        f"f32[4] output of cos{place}",
    ]
    ad_checkpoint.print_saved_residuals(pb.checkpoint(f), x=X, params={"w": X})
    assert capsys.readouterr().out.splitlines() == [
        "f32[4] from the argument params['w'], 16 bytes",
        "f32[4] from the argument x, 16 bytes",
    ]


def test_misuse():
    with pytest.raises(TypeError, match="checkpoint takes a function"):
        pb.checkpoint(1.0)
    with pytest.raises(TypeError, match="not a valid array"):
        pb.checkpoint(lambda x: x)("text")
