"""Loops, branches and custom rules in them: each against the same function as a Python loop."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

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


def scan_in_python(f, init, xs=None, length=None, reverse=False):
    """What `scan` means."""
    n = len(pb.tree.leaves(xs)[0]) if length is None else length
    carry, ys = init, []
    for i in reversed(range(n)) if reverse else range(n):
        carry, y = f(carry, pb.tree.map(operator.itemgetter(i), xs))
        ys.append(y)
    if reverse:
        ys.reverse()
    return carry, pb.tree.map(lambda *rows: jnp.stack(rows), *ys)


def fori_in_python(low, high, f, x):
    for i in range(int(low), int(high)):
        x = f(i, x)
    return x


class Plain:
    """Control flow in Python, where all values are known."""

    scan = staticmethod(scan_in_python)
    fori_loop = staticmethod(fori_in_python)

    @staticmethod
    def while_loop(cond, body, x):
        while bool(cond(x)):
            x = body(x)
        return x

    @staticmethod
    def cond(pred, f, g, *operands):
        return f(*operands) if bool(pred) else g(*operands)

    @staticmethod
    def switch(index, branches, *operands):
        return branches[min(max(int(index), 0), len(branches) - 1)](*operands)

    @staticmethod
    def map(f, xs):
        return scan_in_python(lambda _, x: (None, f(x)), None, xs)[1]


@dataclass
class Case:
    """`f(control, *args)`, to be run with lax and in Python; its result is an array."""

    name: str
    f: Callable[..., Any]
    args: tuple[Any, ...]
    in_jax: bool = True
    """Whether JAX has reverse mode of it."""
    known: bool = True
    """Whether Python can run it under vmap: no branch depends on what is mapped."""

    def __repr__(self) -> str:
        return self.name


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape) / 2 + 0.2


X, V, W = numbers(3), numbers(4, 3, seed=1), numbers(3, 3, seed=2)


def rnn(c, w, h, xs):
    def step(h, x):
        h = jnp.tanh(h @ w + x)
        return h, h * x

    h, ys = c.scan(step, h, xs)
    return h.sum() + (ys**2).sum()


def transposed_weights(c, w, h, xs):
    h, _ = c.scan(lambda h, x: (jnp.sin(w.T @ h) + x, None), h, xs)
    return h


def backwards(c, x, xs):
    carry, ys = c.scan(lambda h, x: (jnp.sin(h) * x, h * x), x, xs, reverse=True)
    return carry + ys.sum(0)


def integer_carry(c, x, xs):
    def step(carry, x):
        i, h, k = carry
        return (i + 1, h * jnp.cos(x) + i, k * 2), (h * i, i)

    (i, h, k), (ys, n) = c.scan(step, (0, x, jnp.int32(1)), xs)
    return h + i + ys.sum(0) + n.sum() + k


def tangent_enters_late(c, x, xs):
    def step(carry, x):
        a, b, d = carry
        return (a + 1.0, a + d * x, b * 2.0), b

    (a, b, d), ys = c.scan(step, (1.0, jnp.zeros(3), jnp.ones(3)), xs)
    return (a + b + d + ys.sum(0)) * x


def closed_over(c, x, w):
    def step(h, _):
        return jnp.tanh(w @ h) * x, None

    return c.scan(step, jnp.ones(3), length=3)[0]


def untouched_carry(c, x, xs):
    def step(carry, y):
        h, k = carry
        return (h * jnp.sin(k) + y, k), k

    (h, k), ys = c.scan(step, (x, x * 2), xs)
    return h + k + ys.sum(0)


def only_ys(c, x):
    return c.scan(lambda _, i: ((), jnp.exp(x * i)), (), jnp.arange(3.0))[1].sum(0)


def no_rounds(c, x):
    if c is Plain:
        return x * 2
    return c.scan(lambda h, y: (jnp.sin(h), h), x * 2, jnp.zeros((0, 3)))[0]


def nested_scan(c, x, xs):
    def outer(h, row):
        inner, ys = c.scan(lambda g, e: (jnp.sin(g * e) + x, g), h, row)
        return inner, ys.sum(0)

    h, ys = c.scan(outer, x, jnp.stack([xs, xs * 2]))
    return h + ys.sum(0)


def counted(c, x):
    return c.fori_loop(0, 4, lambda i, h: jnp.sin(h) * (i + 1), x)


def counted_in_reverse_sense(c, x):
    return c.fori_loop(3, 3, lambda i, h: h * 100, x) + c.fori_loop(5, 2, lambda i, h: h * 9, x)


def updates_in_place(c, x):
    x = jnp.asarray(x)

    def body(i, h):
        return h.at[i].set(jnp.sin(h[i - 1]) * x[i])

    return c.fori_loop(1, 3, body, x)


def newton(c, x):
    def body(state):
        i, y = state
        return i + 1, y - (y * y - x) / (2 * y)

    return c.while_loop(lambda s: s[0] < 5, body, (0, jnp.ones_like(x)))[1]


def until_large(c, x):
    def body(state):
        y, n = state
        return y * (1.3 + 0.1 * jnp.sin(y)), n + 1

    y, n = c.while_loop(lambda s: jnp.sum(s[0]) < 9.0, body, (jnp.abs(x) + 0.1, 0))
    return y + n


def loop_with_constants(c, x, w):
    def body(state):
        i, y = state
        return i + 1, jnp.tanh(w @ y) + x

    return c.while_loop(lambda s: s[0] < 3, body, (0, jnp.zeros(3)))[1]


def loop_in_loop(c, x):
    def body(i, h):
        return c.fori_loop(0, 2, lambda j, g: jnp.sin(g) * (1 + i + j) / 2, h)

    return c.fori_loop(0, 3, body, x)


def chosen(c, x):
    first = c.cond(2 > 1, jnp.sin, jnp.cos, x)
    return first + c.cond(jnp.array(False), lambda x, y: x * y, lambda x, y: x - y**2, x, first)


def chosen_by_value(c, x):
    return c.cond(x.sum() > 0, lambda x: jnp.sin(x) * x, lambda x: jnp.exp(x) + x[::-1], x)


def one_branch_is_constant(c, x, y):
    return c.cond(x.sum() > 0, lambda: x * y, lambda: jnp.ones(3) * y)


def different_residuals(c, x, w):
    def f(h):
        return jnp.sin(w @ h) * jnp.exp(h)

    def g(h):
        return h * x

    def k(h):
        return jnp.cumsum(jnp.tanh(h)) + (w * w).sum(0)

    return sum(c.switch(i, [f, g, k], x * 1.5) for i in (-1, 1, 7))


def switch_in_scan(c, x, xs):
    def step(h, inputs):
        i, y = inputs
        return c.switch(i, [lambda h: h * y, jnp.sin, lambda h: h + x], h), h

    h, ys = c.scan(step, x, (jnp.arange(4) % 3, xs))
    return h + ys.sum(0)


def cond_on_the_carry(c, x, xs):
    def step(h, y):
        h = c.cond(h.sum() > 0.5, lambda h: jnp.sin(h) - y, lambda h: h * 1.5 + y, h)
        return h, h

    h, ys = c.scan(step, x, xs)
    return h * ys.sum(0)


def scan_in_cond(c, x, xs):
    def f(h):
        return c.scan(lambda h, y: (jnp.sin(h) + y, h), h, xs)[0]

    return c.cond(x.sum() > -100, f, lambda h: h, x)


def while_in_cond(c, x):
    def f(h):
        return c.while_loop(lambda s: s[0] < 3, lambda s: (s[0] + 1, jnp.sin(s[1])), (0, h))[1]

    return c.cond(x.sum() > -100, f, jnp.cos, x)


def while_in_scan(c, x, xs):
    def step(h, y):
        h = c.while_loop(lambda s: s[0] < 2, lambda s: (s[0] + 1, jnp.sin(s[1]) + y), (0, h))[1]
        return h, h

    return c.scan(step, x, xs)[1].sum(0)


def mapped_over(c, x, w):
    return c.map(lambda row: jnp.sin(row * x).sum(), w)


def trees(c, x, xs):
    def step(carry, inputs):
        (a, d), y = carry, inputs["y"]
        d = {"k": d["k"] * jnp.cos(y), "n": None}
        return (a + d["k"], d), {"out": (a, y)}

    (a, d), ys = c.scan(step, (x, {"k": x * 2, "n": None}), {"y": xs})
    return a + d["k"] + ys["out"][0].sum(0) * ys["out"][1].sum(0)


def jitted_body(c, x, xs):
    @pb.jit
    def cell(h, y):
        return jnp.sin(h * y), h * jnp.exp(y)

    h, ys = c.scan(cell, x, xs)
    return h + ys.sum(0)


@pb.custom_jvp
def slow_sin(x, y):
    return jnp.sin(x) * y


@slow_sin.defjvp
def _slow_sin_jvp(primals, tangents):
    (x, y), (dx, dy) = primals, tangents
    return slow_sin(x, y), 3 * jnp.cos(x) * y * dx + jnp.sin(x) * dy  # three times too much


@pb.custom_vjp
def halved(x, y):
    return x * y


def _halved_fwd(x, y):
    return halved(x, y), (x, y)


def _halved_bwd(residuals, ct):
    x, y = residuals
    return ct * y / 2, ct * jnp.sin(x)  # not the derivative: to see that the rule is used


halved.defvjp(_halved_fwd, _halved_bwd)


def jvp_rule_in_scan(c, x, xs):
    h, ys = c.scan(lambda h, y: (slow_sin(h, y), h * y), x, xs)
    return h + ys.sum(0)


def jvp_rule_in_cond(c, x, xs):
    return c.cond(x.sum() > -100, lambda h: slow_sin(h, xs[0]), lambda h: h, x)


def jvp_rule_in_while(c, x, xs):
    def body(state):
        i, h = state
        return i + 1, slow_sin(h, xs[1])

    return c.while_loop(lambda s: s[0] < 3, body, (0, x))[1]


def vjp_rule_in_scan(c, x, xs):
    h, ys = c.scan(lambda h, y: (halved(h, y) + y, h), x, xs)
    return h + ys.sum(0)


def vjp_rule_in_cond(c, x, xs):
    return c.cond(x.sum() > -100, lambda h: halved(h, xs[0]), lambda h: h, x)


def vjp_rule_in_while(c, x, xs):
    def body(state):
        i, h = state
        return i + 1, halved(h, xs[1]) + 1

    return c.while_loop(lambda s: s[0] < 3, body, (0, x))[1]


def checkpointed(c, x, xs):
    step = pb.checkpoint(lambda h, y: (jnp.sin(h) * y, h))
    h, ys = c.scan(step, x, xs)
    return h + ys.sum(0)


CASES = [
    Case("rnn", rnn, (W, X, V)),
    Case("transposed_weights", transposed_weights, (W, X, V)),
    Case("backwards", backwards, (X, V)),
    Case("integer_carry", integer_carry, (X, V)),
    Case("tangent_enters_late", tangent_enters_late, (X, V)),
    Case("closed_over", closed_over, (X, W)),
    Case("untouched_carry", untouched_carry, (X, V)),
    Case("only_ys", only_ys, (X,)),
    Case("no_rounds", no_rounds, (X,)),
    Case("nested_scan", nested_scan, (X, V)),
    Case("counted", counted, (X,)),
    Case("no_rounds_of_fori", counted_in_reverse_sense, (X,)),
    Case("updates_in_place", updates_in_place, (X,)),
    Case("newton", newton, (np.abs(X) + 1,), in_jax=False),
    Case("until_large", until_large, (X,), in_jax=False, known=False),
    Case("loop_with_constants", loop_with_constants, (X, W), in_jax=False),
    Case("loop_in_loop", loop_in_loop, (X,)),
    Case("chosen", chosen, (X,)),
    Case("chosen_by_value", chosen_by_value, (X,), known=False),
    Case("one_branch_is_constant", one_branch_is_constant, (X, X * 2), known=False),
    Case("different_residuals", different_residuals, (X, W)),
    Case("switch_in_scan", switch_in_scan, (X, V)),
    Case("cond_on_the_carry", cond_on_the_carry, (X, V), known=False),
    Case("scan_in_cond", scan_in_cond, (X, V), known=False),
    Case("while_in_cond", while_in_cond, (X,), in_jax=False, known=False),
    Case("while_in_scan", while_in_scan, (X, V), in_jax=False),
    Case("mapped_over", mapped_over, (X, W)),
    Case("trees", trees, (X, V)),
    Case("jitted_body", jitted_body, (X, V)),
    Case("jvp_rule_in_scan", jvp_rule_in_scan, (X, V)),
    Case("jvp_rule_in_cond", jvp_rule_in_cond, (X, V), known=False),
    Case("jvp_rule_in_while", jvp_rule_in_while, (X, V), in_jax=False),
    Case("checkpointed", checkpointed, (X, V)),
]
REVERSE_ONLY = [
    Case("vjp_rule_in_scan", vjp_rule_in_scan, (X, V)),
    Case("vjp_rule_in_cond", vjp_rule_in_cond, (X, V), known=False),
    Case("vjp_rule_in_while", vjp_rule_in_while, (X, V), in_jax=False),
]


def on_lax(case):
    return lambda *args: case.f(lax, *args)


def in_python(case):
    return lambda *args: case.f(Plain, *args)


def scalar(f):
    return lambda *args: jnp.sum(jnp.sin(f(*args)))


def gradients(f, case):
    return pb.grad(scalar(f), tuple(range(len(case.args))))


def tangents_of(case):
    return tuple(numbers(*x.shape, seed=7) for x in case.args)


def same(a, b, tolerance=1e-10):
    a, b = pb.tree.leaves(a), pb.tree.leaves(b)
    assert len(a) == len(b)
    for x, y in zip(a, b, strict=True):
        np.testing.assert_allclose(np.asarray(x), np.asarray(y), tolerance, tolerance)


def checked(f, *args):
    """`jit(f)(*args)`, its program type-checked."""
    check_program(pb.make_jaxpr(f)(*args).program)
    return pb.jit(f)(*args)


ALL = CASES + REVERSE_ONLY
every = pytest.mark.parametrize("case", ALL, ids=repr)
smooth = pytest.mark.parametrize("case", CASES, ids=repr)


@every
def test_value(case):
    expected = in_python(case)(*case.args)
    same(on_lax(case)(*case.args), expected)
    same(checked(on_lax(case), *case.args), expected)


@every
def test_gradient(case):
    expected = gradients(in_python(case), case)(*case.args)
    same(gradients(on_lax(case), case)(*case.args), expected)
    same(gradients(on_lax(case), case)(*case.args), expected)  # from what was kept


@every
def test_gradient_in_jit(case):
    expected = gradients(in_python(case), case)(*case.args)
    same(checked(gradients(on_lax(case), case), *case.args), expected)
    same(gradients(pb.jit(on_lax(case)), case)(*case.args), expected)


@smooth
def test_forward_mode(case):
    f, dots = on_lax(case), tangents_of(case)
    expected = pb.jvp(in_python(case), case.args, dots)
    same(pb.jvp(f, case.args, dots), expected)
    same(pb.jvp(pb.jit(f), case.args, dots), expected)
    same(checked(lambda *xs: pb.jvp(f, xs, dots), *case.args), expected)
    value, push = pb.linearize(f, *case.args)
    same((value, push(*dots)), expected)
    same(pb.jit(lambda *xs: pb.linearize(f, *xs)[1](*dots))(*case.args), expected[1])


@smooth
def test_forward_mode_agrees_with_finite_differences(case):
    if "rule" in case.name:
        pytest.skip("the rules are wrong on purpose")
    f, dots, h = on_lax(case), tangents_of(case), 1e-6
    shifted = [
        f(*(x + sign * h * t for x, t in zip(case.args, dots, strict=True))) for sign in (1, -1)
    ]
    same(pb.jvp(f, case.args, dots)[1], (shifted[0] - shifted[1]) / (2 * h), 1e-7)


@every
def test_linearized_program_is_transposed(case):
    y, pull = pb.vjp(on_lax(case), *case.args)
    ct = numbers(*y.shape, seed=9)
    _, expected = pb.vjp(in_python(case), *case.args)
    same(pull(ct), expected(ct))
    same(pb.jit(lambda *xs: pb.vjp(on_lax(case), *xs)[1](ct))(*case.args), expected(ct))


@smooth
def test_second_order(case):
    f, g = gradients(on_lax(case), case), gradients(in_python(case), case)
    dots = tangents_of(case)
    expected = pb.jvp(g, case.args, dots)[1]
    same(pb.jvp(f, case.args, dots)[1], expected)

    def product(gradient):
        def total(*xs):
            return sum(jnp.vdot(t, d) for t, d in zip(gradient(*xs), dots, strict=True))

        return pb.grad(total, tuple(range(len(case.args))))

    same(product(f)(*case.args), product(g)(*case.args))
    same(checked(product(f), *case.args), product(g)(*case.args))
    same(checked(lambda *xs: pb.jvp(f, xs, dots)[1], *case.args), expected)


def stacked(case, k):
    return [np.stack([x * (1 + 0.3 * i) - 0.2 * i for i in range(k)]) for x in case.args]


def rows(f, args, axes):
    size = next(x.shape[0] for x, a in zip(args, axes, strict=True) if a is not None)
    found = [
        f(*(x if a is None else x[i] for x, a in zip(args, axes, strict=True))) for i in range(size)
    ]
    return pb.tree.map(lambda *ys: np.stack([np.asarray(y) for y in ys]), *found)


def mappings(case):
    """All arguments mapped, and each of them alone."""
    n = len(case.args)
    masks = [(0,) * n, *(tuple(0 if i == j else None for j in range(n)) for i in range(n))]
    for axes in dict.fromkeys(masks):
        args = [
            s if a == 0 else x for s, x, a in zip(stacked(case, 3), case.args, axes, strict=True)
        ]
        yield args, axes


@every
def test_vmap(case):
    f = on_lax(case)
    for args, axes in mappings(case):
        expected = rows(in_python(case), args, axes)
        same(pb.vmap(f, axes)(*args), expected)
        same(checked(pb.vmap(f, axes), *args), expected)


@every
def test_vmap_of_the_gradient(case):
    f, g = gradients(on_lax(case), case), gradients(in_python(case), case)
    for args, axes in mappings(case):
        expected = rows(g, args, axes)
        same(pb.vmap(f, axes)(*args), expected)
        same(checked(pb.vmap(f, axes), *args), expected)


@every
def test_gradient_of_vmap(case):
    args, axes = next(iter(mappings(case)))
    mapped = gradients(pb.vmap(on_lax(case), axes), case)
    expected = rows(gradients(in_python(case), case), args, axes)
    same(mapped(*args), expected)
    same(checked(mapped, *args), expected)


@smooth
def test_vmap_of_forward_mode(case):
    def push(control):
        f = on_lax(case) if control is lax else in_python(case)
        return lambda *xs: pb.jvp(f, xs, xs)[1]

    for args, axes in mappings(case):
        same(pb.vmap(push(lax), axes)(*args), rows(push(Plain), args, axes))


@every
def test_vmap_of_no_elements(case):
    args = [np.zeros((0, *x.shape)) for x in case.args]
    out = pb.vmap(on_lax(case))(*args)
    assert out.shape == (0, *on_lax(case)(*case.args).shape)


@pytest.mark.skipif(not peer.INSTALLED, reason="JAX is not installed")
@pytest.mark.parametrize(
    "case", [c for c in CASES if "rule" not in c.name and "jit" not in c.name], ids=repr
)
def test_jax_agrees(case):
    if case.name in ("checkpointed", "trees"):
        pytest.skip("uses names of pullback")
    space = dict(case.f.__globals__, jnp=jax.numpy, lax=jax.lax)
    theirs = type(case.f)(case.f.__code__, space)
    with jax.enable_x64(True):

        def total(*xs):
            return jax.numpy.sum(jax.numpy.sin(theirs(jax.lax, *xs)))

        dots = tangents_of(case)
        args = tuple(map(jax.numpy.asarray, case.args))
        push = jax.jit(lambda *xs: jax.jvp(total, xs, tuple(map(jax.numpy.asarray, dots))))
        same(pb.jvp(scalar(on_lax(case)), case.args, dots), push(*args))
        if case.in_jax:
            back = jax.jit(jax.grad(total, tuple(range(len(args)))))
            same(gradients(on_lax(case), case)(*case.args), back(*args))
