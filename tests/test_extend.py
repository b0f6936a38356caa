"""Primitives of a user's own, through every transformation and composition; and what is missing."""

from __future__ import annotations

import itertools
import re

import numpy as np
import properties
import pytest
import scipy.linalg
from examples.base import WIDE, Example, F

import pullback as pb
import pullback.numpy as jnp
from pullback import extend, lax
from pullback.extend import (
    NOT_LINEAR,
    Absent,
    Elementwise,
    Linear,
    LinearPrimitive,
    Linearwise,
    Method,
    MissingRule,
    Primitive,
    array_type,
    error,
    like,
    to_front,
    zeros,
)
from pullback.test_util import check_grads


class Gaussian(Elementwise):
    """exp(-x^2)"""

    takes = "f"

    def eval(self, x):
        return np.exp(-x * x)

    def jvp_x(self, t, out, x):
        return t * (-2 * x * out)

    def lower(self, x):
        return jnp.exp(-x * x)


class Toeplitz(Primitive):
    """T v, for the Toeplitz matrix T of first column c and row r: linear in (c, r) and in v"""

    weak_from = ()

    def typing(self, c, r, v):
        if (
            c.shape != v.shape
            or r.shape != v.shape
            or not v.shape
            or len({c.dtype, r.dtype, v.dtype}) > 1
        ):
            raise error(
                TypeError,
                "toeplitz needs three vectors of one length and dtype.",
                got=f"{c.str_short()}, {r.str_short()}, {v.str_short()}",
                fix="pad with zeros.",
            )
        return array_type(v.shape, v.dtype)

    def eval(self, c, r, v):
        out = np.empty_like(v)
        for i in np.ndindex(v.shape[:-1]):
            out[i] = scipy.linalg.toeplitz(c[i], r[i]) @ v[i]
        return out

    def jvp(self, primals, tangents, out):
        (c, r, v), (dc, dr, dv) = primals, tangents
        total = None if dv is None else toeplitz(c, r, dv)
        if dc is not None or dr is not None:
            nil = jnp.zeros_like(v)
            term = toeplitz(nil if dc is None else dc, nil if dr is None else dr, v)
            total = term if total is None else total + term
        return total

    def transpose(self, ct, c, r, v):
        if type(v) is Linear:
            if type(c) is Linear or type(r) is Linear:
                return NOT_LINEAR(ct, c, r, v)
            return [None, None, toeplitz(r.at[..., 0].set(c[..., 0]), c, ct)]
        n = v.shape[-1]
        down = jnp.stack([jnp.sum(ct[..., k:] * v[..., : n - k], -1) for k in range(n)], -1)
        up = jnp.stack([jnp.sum(ct[..., : n - k] * v[..., k:], -1) for k in range(n)], -1)
        up = up.at[..., 0].set(0)  # the corner belongs to the column
        return [down if type(c) is Linear else None, up if type(r) is Linear else None, None]

    def vmap(self, size, args, axes):
        return toeplitz(*[to_front(x, a, size) for x, a in zip(args, axes)]), 0

    lower = Absent("it is a test")


class SumAndDifference(Primitive):
    """x + y and x - y: two results"""

    multiple_results = True

    def typing(self, x, y):
        return [x, x]

    def eval(self, x, y):
        return [x + y, x - y]

    def jvp(self, primals, tangents, outs):
        dx, dy = (zeros(extend.type_of(p)) if t is None else t for p, t in zip(primals, tangents))
        return sum_and_difference(dx, dy)

    def transpose(self, cts, x, y):
        a, b = (zeros(x.aval if type(x) is Linear else y.aval) if c is None else c for c in cts)
        both = sum_and_difference(a, b)
        return [z if type(v) is Linear else None for z, v in zip(both, (x, y))]

    def vmap(self, size, args, axes):
        return sum_and_difference(*[to_front(x, a, size) for x, a in zip(args, axes)]), [0, 0]

    def lower(self, x, y):
        return [x + y, x - y]


class Backwards(LinearPrimitive):
    """x in the opposite order along its last axis, `times` times"""

    def typing(self, x, *, times):
        return x

    def eval(self, x, *, times):
        return x[..., :: (-1) ** times].copy()

    def transpose(self, ct, x, *, times):
        return [backwards(ct, times=times)]

    def vmap(self, size, args, axes, *, times):
        return backwards(to_front(args[0], axes[0], size), times=times), 0

    def lower(self, x, *, times):
        return lax.rev(x, (x.ndim - 1,)) if times % 2 else x


gaussian, toeplitz = Gaussian(), Toeplitz()
sum_and_difference, backwards = SumAndDifference(), Backwards()

OWN = [
    Example(gaussian, [F(3)], dtypes=("float32", "float64")),
    Example(toeplitz, [F(4), F(4), F(4)], dtypes=WIDE, linear_in=((0, 1), (2,))),
    Example(sum_and_difference, [F(2, 3), F(2, 3)], linear_in=(0, 1)),
    Example(backwards, [F(2, 3)], {"times": 3}, linear_in=(0,)),
]


@pytest.mark.parametrize("name", [n for n in properties.PROPERTIES if n != "peer"])
@pytest.mark.parametrize("example", OWN, ids=repr)
def test_it_has_every_property_of_pullbacks_own(example, name):
    if name == "lower" and example.primitive is toeplitz:
        pytest.skip("it has no lower rule")
    with pb.enable_x64():
        properties.PROPERTIES[name](example, "float64")


# ---- compositions

X = np.linspace(-1.0, 1.0, 4)
LOSSES = {
    "gaussian": lambda x: jnp.sum(gaussian(x)),
    "toeplitz": lambda x: jnp.sum(toeplitz(x, jnp.sin(x), x**2) ** 2),
    "two results": lambda x: jnp.sum(jnp.prod(jnp.stack(sum_and_difference(x, x**2)), 0)),
    "backwards": lambda x: jnp.sum(backwards(x, times=1) * x**2),
    "all": lambda x: jnp.sum(
        gaussian(toeplitz(x, backwards(x, times=1), sum_and_difference(x, x)[0]))
    ),
}
SAME = {
    "gaussian": lambda x: jnp.sum(jnp.exp(-x * x)),
    "two results": lambda x: jnp.sum((x + x**2) * (x - x**2)),
    "backwards": lambda x: jnp.sum(x[::-1] * x**2),
}
WAYS = {
    "grad": lambda f: pb.grad(f),
    "jit grad": lambda f: pb.jit(pb.grad(f)),
    "grad jit": lambda f: pb.grad(pb.jit(f)),
    "jacfwd": lambda f: pb.jacfwd(f),
    "jacrev": lambda f: pb.jacrev(f),
    "vmap": lambda f: lambda x: pb.vmap(pb.grad(f))(jnp.stack([x, x]))[1],
    "checkpoint": lambda f: pb.grad(pb.checkpoint(f)),
    "scan": lambda f: pb.grad(
        lambda x: lax.scan(lambda c, _: (c + f(x), None), 0.0, None, 3)[0] / 3
    ),
    "linearize": lambda f: lambda x: pb.vmap(pb.linearize(f, x)[1])(jnp.eye(4)),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", LOSSES)
def test_first_derivatives_in_every_way(name, way):
    with pb.enable_x64():
        f = LOSSES[name]
        want = np.array([(f(X + h) - f(X - h)) / 2e-6 for h in 1e-6 * np.eye(4)])
        np.testing.assert_allclose(WAYS[way](f)(jnp.array(X)), want, 1e-7, 1e-8)
        if name in SAME:
            np.testing.assert_allclose(WAYS[way](f)(jnp.array(X)), pb.grad(SAME[name])(X), 1e-12)


@pytest.mark.parametrize("name", LOSSES)
def test_second_derivatives_in_every_order(name):
    with pb.enable_x64():
        f, x = LOSSES[name], jnp.array(X)
        check_grads(f, (x,), order=3)
        hessians = [a(b(f))(x) for a, b in itertools.product((pb.jacfwd, pb.jacrev), repeat=2)]
        hessians.append(pb.jit(pb.hessian(f))(x))
        for h in hessians[1:]:
            np.testing.assert_allclose(h, hessians[0], 1e-10, 1e-10)


def test_vmap_over_every_set_of_arguments():
    rng = np.random.default_rng(0)
    args = [rng.standard_normal((3, 4)).astype(np.float32) for _ in range(3)]
    for axes in itertools.product((0, 1, None), repeat=3):
        if axes == (None,) * 3:
            continue
        given = [a[0] if d is None else np.moveaxis(a, 0, d) for a, d in zip(args, axes)]
        got = pb.vmap(toeplitz, in_axes=axes)(*given)
        want = [
            toeplitz(*[a[0] if d is None else a[i] for a, d in zip(args, axes)]) for i in range(3)
        ]
        np.testing.assert_allclose(got, np.stack(want), 1e-5, 1e-6)


def test_linear_transpose_with_respect_to_several_inputs_together():
    v = jnp.arange(1.0, 5.0)
    nothing = jnp.zeros(4)
    back = pb.linear_transpose(lambda c, r: toeplitz(c, r, v), nothing, nothing)
    push = pb.linearize(lambda c, r: toeplitz(c, r, v), nothing, nothing)[1]
    rng = np.random.default_rng(1)
    c, r, ct = (rng.standard_normal(4).astype(np.float32) for _ in range(3))
    bc, br = back(jnp.array(ct))
    np.testing.assert_allclose(jnp.vdot(ct, push(c, r)), jnp.vdot(bc, c) + jnp.vdot(br, r), 1e-5)


def test_it_prints_by_its_name():
    assert str(pb.make_jaxpr(lambda x: backwards(x, times=1))(jnp.ones(2))) == (
        "{ lambda ; a:f32[2]. let b:f32[2] = backwards[times=1] a in (b,) }"
    )
    assert repr(toeplitz) == "toeplitz"

    class Renamed(Linearwise, name="other-name"):
        eval = staticmethod(np.negative)
        transpose = Absent("a test")

    assert Renamed.name == "other-name"


def test_errors_of_typing_reach_the_user_in_four_parts():
    for call in (toeplitz, pb.jit(toeplitz)):
        with pytest.raises(TypeError) as caught:
            call(jnp.ones(2), jnp.ones(3), jnp.ones(3))
        text = str(caught.value)
        assert text.startswith(
            "toeplitz needs three vectors of one length and dtype.\n  Got: f32[2], "
        )
        assert __file__ in text and text.endswith("Fix: pad with zeros.")


# ---- what is missing


@pytest.mark.parametrize("left_out", extend.RULES)
def test_a_class_without_a_rule_cannot_be_defined(left_out):
    rules = {rule: (lambda self, *args: None) for rule in extend.RULES if rule != left_out}
    with pytest.raises(MissingRule) as caught:
        type("Incomplete", (Primitive,), rules)
    text = str(caught.value)
    assert text.startswith(
        f"primitive Incomplete settles no rule for: {left_out}.\n  Got: class Incomplete"
    )
    assert text.endswith(
        "Fix: write the rule in the class, or write `rule = Absent('the reason')`."
    )
    assert isinstance(caught.value, NotImplementedError)


def test_a_class_without_any_rule_names_all():
    with pytest.raises(MissingRule, match=re.escape("typing, eval, jvp, transpose, vmap, lower")):
        type("Nothing", (Primitive,), {})


def test_a_family_need_not_be_complete():
    class Family(Primitive, family=True):
        transpose = NOT_LINEAR

    with pytest.raises(MissingRule, match=r"typing, eval, jvp, vmap, lower\."):
        type("Member", (Family,), {})


class Alone(Primitive):
    """Only evaluates."""

    def typing(self, x):
        return x

    eval = staticmethod(np.positive)
    jvp = Absent("the reason for jvp")
    transpose = Absent("the reason for transpose")
    vmap = Absent("the reason for vmap")
    lower = Method("eval", "a test")


alone = Alone()


@pytest.mark.parametrize(
    ("rule", "do"),
    [
        ("jvp", lambda x: pb.jvp(alone, (x,), (x,))),
        ("jvp", pb.grad(lambda x: jnp.sum(alone(x)))),
        ("jvp", pb.jit(pb.grad(lambda x: jnp.sum(alone(x))))),
        ("vmap", pb.vmap(alone)),
        ("vmap", pb.jit(pb.vmap(alone))),
        ("transpose", lambda x: pb.linear_transpose(alone, x)(x)),
    ],
)
def test_an_absent_rule_says_its_reason(rule, do):
    with pytest.raises(MissingRule) as caught:
        do(jnp.ones(3))
    lines = str(caught.value).split("\n")
    assert lines[0] == f"the {rule} rule of alone does not exist: the reason for {rule}."
    assert lines[-1].startswith("  Fix: rewrite the function without this step")
    assert any(line.startswith(f"  Where: {__file__}") for line in lines)
    assert float(pb.grad(jnp.sin)(0.0)) == 1.0  # nothing was left behind


def test_what_works_without_the_absent_rules():
    x = jnp.arange(3.0)
    np.testing.assert_array_equal(alone(x), x)
    np.testing.assert_array_equal(pb.jit(alone)(x), x)
    np.testing.assert_array_equal(pb.vmap(lambda y: y + alone(x))(x)[0], x)
    np.testing.assert_array_equal(pb.grad(lambda y: jnp.sum(y * alone(x)))(x), x)


def test_like_is_a_weak_scalar_of_the_dtype():
    two = like(jnp.ones(3, jnp.float16), 2)
    assert two.dtype == np.float16 and two.weak_type and two.shape == ()


def test_exports_are_whole():
    exported = {n for n in vars(extend) if not n.startswith("_")}
    assert exported >= {
        "Primitive",
        "Absent",
        "NOT_LINEAR",
        "CORE",
        "Linear",
        "Method",
        "Elementwise",
        "Linearwise",
        "LinearPrimitive",
        "ArrayType",
        "array_type",
        "error",
        "MissingRule",
    }
