"""Control flow: promotion, what is traced and kept, memory of reverse mode, unusual arguments."""

from __future__ import annotations

import types
from functools import partial
from typing import NamedTuple

import numpy as np
import pytest

import pullback as pb
import pullback.numpy as jnp
from pullback import lax
from pullback.core.program import check_program
from pullback.core.settings import disable_jit, enable_x64
from pullback.core.trace import type_of


def close(a, b, tolerance=1e-6):
    np.testing.assert_allclose(np.asarray(a), np.asarray(b), tolerance, tolerance)


def kinds(tree):
    return [(str(type_of(x)), type_of(x).weak_type) for x in pb.tree.leaves(tree)]


# ---- types of carries and results


def test_a_weak_carry_takes_the_type_that_comes_out():
    xs = jnp.arange(3, dtype=jnp.float32)
    assert kinds(lax.scan(lambda c, x: (c + x, c), 0, xs)) == [("f32[]", False), ("f32[3]", False)]
    assert kinds(lax.scan(lambda c, x: (c + 1.5, x), 0, jnp.arange(3)))[0] == ("f32[]", False)
    assert kinds(lax.while_loop(lambda x: x < 3, lambda x: x + 1.0, 0)) == [("f32[]", False)]
    assert kinds(lax.fori_loop(0, 3, lambda i, x: x + jnp.float16(1), 0)) == [("f16[]", False)]
    assert kinds(lax.scan(lambda c, _: (c * 2j, None), 1.0, length=2)) == [("c64[]", False)]


def test_what_is_weak_stays_so():
    assert kinds(lax.fori_loop(0, 3, lambda i, x: x + i, 0)) == [("i32[]", True)]
    assert kinds(lax.while_loop(lambda x: x < 3, lambda x: x + 1, 0)) == [("i32[]", True)]
    assert kinds(lax.scan(lambda c, _: (1.0, None), jnp.float32(0), length=2)) == [("f32[]", False)]
    assert kinds(lax.cond(True, lambda: 1.0, lambda: 2.0)) == [("f32[]", True)]
    assert kinds(lax.cond(True, lambda: 1.0, lambda: jnp.float32(2.0))) == [("f32[]", False)]


def test_the_index_of_fori_loop():
    assert kinds(lax.fori_loop(0, 3, lambda i, x: i, 0)) == [("i32[]", True)]
    with enable_x64():
        assert kinds(lax.fori_loop(0, 3, lambda i, x: i, 0)) == [("i64[]", True)]
    f = pb.jit(lambda n: lax.fori_loop(0, n, lambda i, x: x + i, 0))
    assert kinds(f(jnp.int8(4))) == [("i8[]", False)] and f(4) == 6
    assert lax.fori_loop(np.int64(1), jnp.int32(4), lambda i, x: x + i, 0) == 6
    assert lax.fori_loop(2, -2, lambda i, x: x + i, 7) == 7


def test_complex_numbers():
    def f(z):
        return lax.scan(lambda c, x: (c * z + x, c), 1j, jnp.arange(3.0))[0]

    close(pb.grad(lambda z: f(z), holomorphic=True)(0.5 + 1j), 3j * (0.5 + 1j) ** 2 + 1)


# ---- forms of arguments


def test_cond_takes_all_its_forms():
    f, g = (lambda x: x + 1), (lambda x: x - 1)
    assert lax.cond(True, f, g, 1) == 2
    assert lax.cond(0, f, g, 1) == 0
    assert lax.cond(2.5, f, g, operand=1) == 2
    assert lax.cond(np.bool_(False), f, g, 1, linear=(False,)) == 0
    assert lax.cond(jnp.array(True), true_fun=f, false_fun=g, operand=1) == 2
    assert lax.cond(False, 1, f, 10, g) == 9
    assert lax.cond(True, f, g, operand=1) == 2
    assert lax.cond(True, lambda x: 7, lambda x: 8, None) == 7
    assert lax.cond(True, lambda h, x: h(x), lambda h, x: x, pb.tree_util.Partial(f), 1) == 2


def test_a_branch_that_is_given_twice_is_traced_once():
    seen = []

    def f(x):
        seen.append("f")
        return x**2

    def g(x):
        seen.append("g")
        return x + 1

    assert lax.cond(False, f, f, 3) == 9
    assert seen == ["f"]
    seen.clear()
    assert lax.switch(2, [f, g, f, g], 3) == 9
    assert seen == ["f", "g"]


def test_switch_clamps_its_index():
    branches = [lambda x: x, lambda x: 10 * x, lambda x: 100 * x]
    assert [int(lax.switch(i, branches, 1)) for i in (-5, 0, 1, 2, 9)] == [1, 1, 10, 100, 100]
    assert lax.switch(jnp.uint32(2**32 - 1), branches, 1) == 100
    assert lax.switch(jnp.int8(1), branches, 1) == 10
    assert lax.switch(5, branches[:1], 3) == 3
    close(pb.vmap(lambda i: lax.switch(i, branches, 1.0))(jnp.arange(-1, 4)), [1, 1, 10, 100, 100])


class State(NamedTuple):
    x: object
    n: object


def test_any_container_is_a_carry():
    def step(state, y):
        return State(state.x + y, {"n": state.n["n"] + 1}), (y, [None])

    state, ys = lax.scan(step, State(0.0, {"n": 0}), jnp.arange(3.0))
    assert type(state) is State and state.x == 3 and state.n == {"n": 3} and ys[1] == [None]
    assert (
        type(lax.while_loop(lambda s: s.n < 3, lambda s: State(s.x, s.n + 1), State(1, 0))) is State
    )
    assert lax.scan(lambda c, _: (c, None), {}, length=2) == ({}, None)
    assert lax.fori_loop(0, 3, lambda i, c: c, None) is None
    assert lax.cond(True, lambda: None, lambda: None) is None
    assert lax.scan(lambda c, x: [c + x, x], 0, jnp.arange(3))[0] == 3


def test_random_keys_go_through_loops():
    def step(key, _):
        key, sub = pb.random.split(key)
        return key, pb.random.uniform(sub)

    key = pb.random.key(0)
    end, draws = lax.scan(step, key, length=3)
    expected = []
    for _ in range(3):
        key, sub = pb.random.split(key)
        expected.append(pb.random.uniform(sub))
    close(draws, jnp.stack(expected))
    close(pb.random.uniform(end), pb.random.uniform(key))
    keys = pb.random.split(pb.random.key(1), 4)

    def f(k, s):
        return s * lax.cond(s > 0, pb.random.uniform, lambda k: pb.random.normal(k) * s, k)

    close(pb.grad(f, 1)(keys[0], 2.0), pb.random.uniform(keys[0]))
    close(pb.vmap(f)(keys, jnp.arange(4.0) - 1), [f(k, s - 1.0) for s, k in enumerate(keys)])
    close(lax.map(pb.random.uniform, keys), pb.vmap(pb.random.uniform)(keys))


def test_map_in_batches():
    x = np.arange(24.0, dtype=np.float32).reshape(8, 3)

    def f(row):
        return {"a": jnp.sin(row).sum(), "b": row}

    for size in (1, 2, 3, 8, 20):
        out = lax.map(f, x, batch_size=size)
        close(out["a"], np.sin(x).sum(1))
        close(out["b"], x)
    close(pb.grad(lambda x: lax.map(lambda r: (r**3).sum(), x, batch_size=3).sum())(x), 3 * x**2)
    assert lax.map(f, x[:0], batch_size=3)["b"].shape == (0, 3)


def test_length_zero():
    carry, ys = lax.scan(lambda c, x: (c + x, {"y": c * x}), 2.0, jnp.zeros(0))
    assert carry == 2.0 and ys["y"].shape == (0,)

    def f(c, w):
        return lax.scan(lambda c, x: (c * w + x, c), c, jnp.zeros(0))[0]

    assert [float(g) for g in pb.grad(f, (0, 1))(2.0, 3.0)] == [1.0, 0.0]
    close(pb.vmap(f)(jnp.arange(3.0), jnp.arange(3.0)), jnp.arange(3.0))


# ---- reverse mode in general


def test_integers_and_booleans_beside_floats():
    def step(carry, x):
        i, flag, y = carry
        return (i + 1, ~flag, jnp.where(flag, y * x, y + i)), (i, flag, y)

    def f(y, xs):
        (i, _flag, y), (n, flags, ys) = lax.scan(step, (0, True, y), xs)
        return y + ys.sum() + i + n.sum() + flags.sum()

    def python(y, xs):
        i, flag, total = 0, True, 0.0
        for k in range(4):
            total = total + y + i + flag
            i, flag, y = i + 1, not flag, y * xs[k] if flag else y + i
        return y + total + i

    args = 0.5, jnp.arange(1.0, 5.0)
    for g in (pb.grad(f, (0, 1)), pb.jit(pb.grad(f, (0, 1)))):
        for a, b in zip(g(*args), pb.grad(python, (0, 1))(*args), strict=True):
            close(a, b)
    h = pb.grad(lambda n, y: lax.fori_loop(0, 3, lambda i, c: c * n, y), allow_int=True)
    assert h(3, 2.0).dtype == pb.dtypes.float0


def test_linear_transpose_of_loops():
    def f(x):
        return lax.fori_loop(0, 3, lambda i, c: 2.0 * c + i * x, x)

    (y,) = pb.linear_transpose(f, 1.0)(1.0)
    close(y, f(1.0))

    def g(x):
        return lax.scan(lambda c, w: (c + x, c * w), 0.0 * x, jnp.arange(3.0))

    (y,) = pb.linear_transpose(g, 1.0)((1.0, jnp.ones(3)))
    close(y, 3.0 + 0 + 1 + 4)


def test_while_loop_lanes_end_at_different_times():
    def collatz(n):
        return lax.while_loop(
            lambda s: s[0] != 1,
            lambda s: (jnp.where(s[0] % 2 == 0, s[0] // 2, 3 * s[0] + 1), s[1] + 1),
            (n, 0),
        )[1]

    close(pb.vmap(collatz)(jnp.arange(1, 8)), [0, 1, 7, 2, 5, 8, 16])
    close(pb.jit(pb.vmap(collatz))(jnp.arange(1, 8)), [0, 1, 7, 2, 5, 8, 16])

    def power(x, n):
        return lax.while_loop(lambda s: s[0] < n, lambda s: (s[0] + 1, s[1] * x), (0, 1.0))[1]

    x, n = jnp.array([2.0, 3.0, 5.0]), jnp.array([3, 0, 1])
    close(pb.vmap(power)(x, n), [8.0, 1.0, 5.0])
    close(pb.vmap(pb.grad(power))(x, n), [12.0, 0.0, 1.0])
    close(pb.vmap(lambda n: power(2.0, n))(n), [8.0, 1.0, 2.0])
    close(pb.vmap(lambda x: power(x, 3))(x), x**3)
    close(pb.vmap(pb.vmap(pb.grad(power), (None, 0)), (0, None))(x, n)[2], [75.0, 0.0, 1.0])
    close(pb.vmap(lambda x, n: pb.jvp(lambda x: power(x, n), (x,), (1.0,))[1])(x, n), [12, 0, 1])


def test_second_derivative_of_a_while_loop():
    def f(x):
        return lax.while_loop(lambda s: s < 100.0, lambda s: s * s, x)  # x to the power of 8

    close(pb.grad(pb.grad(f))(2.0), 56 * 2.0**6)
    close(pb.jvp(pb.grad(f), (2.0,), (1.0,))[1], 56 * 2.0**6)
    close(pb.hessian(f)(2.0), 56 * 2.0**6)


# ---- what is traced, and when


class Counted:
    """A function that counts how often it is run by Python."""

    def __init__(self):
        self.runs = 0

    def note(self):
        self.runs += 1


@pytest.fixture
def runs(monkeypatch):
    """How often bodies were traced so far: a function."""
    from pullback.control import traced

    count = Counted()
    real = traced.trace_body

    def counting(*args, **options):
        count.note()
        return real(*args, **options)

    monkeypatch.setattr(traced, "trace_body", counting)
    return lambda: count.runs


def double(c, x):
    return c * 2 + x, c


def test_the_same_function_is_traced_once(runs):
    xs = jnp.arange(3.0)
    for _ in range(3):
        lax.scan(double, 1.0, xs)
    assert runs() == 1
    lax.scan(double, 1, jnp.arange(3))
    assert runs() == 2  # other types
    with enable_x64():
        lax.scan(double, jnp.float32(1), xs)
    assert runs() == 3
    for _ in range(3):
        lax.scan(lambda c, x: (c - x, x), 1.0, xs)
        lax.fori_loop(0, 4, lambda i, c: c + i, 0)
        lax.while_loop(lambda c: c < 9, lambda c: c + 1, 0)
        lax.cond(True, lambda c: c, lambda c: -c, 1.0)
        lax.scan(partial(double), 1.0, xs)
    assert runs() == 3 + 1 + 1 + 2 + 2 + 1
    pb.clear_caches()
    lax.scan(double, 1.0, xs)
    assert runs() == 11


last_seen = None


def test_a_function_that_changes_what_it_closes_over_is_traced_at_each_call():
    def appends(x):
        shapes = []

        def body(c, _):
            shapes.append(c.shape)
            return 2 * c, None

        lax.scan(body, x, None, length=3)
        return shapes

    def counts(x):
        n = 0

        def body(c):
            nonlocal n
            n += 1
            return 2 * c

        lax.while_loop(lambda c: jnp.all(c < 9), body, x)
        return n

    def sets_a_key(x):
        found = {}

        def branch(y):
            found["shape"] = y.shape
            return y

        lax.cond(True, branch, lambda y: y, x)
        return found

    def sets_a_global(x):
        global last_seen
        last_seen = None

        def body(c, _):
            global last_seen
            last_seen = c.shape
            return c, None

        lax.scan(body, x, None, length=3)
        return last_seen

    for function in (appends, counts, sets_a_key, sets_a_global):
        first = function(jnp.ones(3))
        assert first and function(jnp.ones(3)) == first


def test_derived_programs_are_kept(monkeypatch):
    from pullback.transforms import stage

    count = Counted()
    real = stage.trace_program

    def counting(*args, **options):
        count.note()
        return real(*args, **options)

    f = pb.vmap(pb.grad(lambda x: lax.scan(double, x, jnp.arange(3.0))[1].sum()))
    g = pb.grad(lambda x: lax.while_loop(lambda c: c < 9.0, lambda c: c * 3.0, x))
    h = pb.grad(lambda x: lax.cond(True, lambda c: c * c, lambda c: -c, x))
    for k in (f, lambda x: g(x[0]), lambda x: h(x[0])):
        k(jnp.ones(3))
    monkeypatch.setattr(stage, "trace_program", counting)
    for k in (f, lambda x: g(x[0]), lambda x: h(x[0])):
        k(jnp.ones(3))
    assert count.runs == 0


def scaled(factor):
    return lambda c, x: (c + factor * x, None)


GLOBAL = 2.0


def test_what_a_function_closes_over_may_change(monkeypatch):
    xs, one = jnp.arange(3.0), jnp.ones(2)
    assert [float(lax.scan(scaled(k), 0.0, xs)[0]) for k in (1.0, 2.0, 2, -0.0)] == [3, 6, 6, 0]
    w = jnp.array(5.0)

    def step(c, x):
        return c + w * x, None

    assert lax.scan(step, 0.0, xs)[0] == 15
    w = jnp.array(7.0)
    assert lax.scan(step, 0.0, xs)[0] == 21
    items = [1.0]

    def from_list(c, x):
        return c + items[-1] * x, None

    assert lax.scan(from_list, 0.0, xs)[0] == 3
    items.append(4.0)
    assert lax.scan(from_list, 0.0, xs)[0] == 12
    array = np.ones(())

    def from_numpy(c, x):
        return c + array * x, None

    assert lax.scan(from_numpy, 0.0, xs)[0] == 3
    array[...] = 2
    assert lax.scan(from_numpy, 0.0, xs)[0] == 6

    def from_global(c, x):
        return c + GLOBAL * x, None

    assert lax.scan(from_global, 0.0, xs)[0] == 6
    monkeypatch.setitem(globals(), "GLOBAL", 3.0)
    assert lax.scan(from_global, 0.0, xs)[0] == 9

    def through_another(c, x):
        return from_global(c, x)

    assert lax.scan(through_another, 0.0, xs)[0] == 9
    monkeypatch.setitem(globals(), "GLOBAL", 1.0)
    assert lax.scan(through_another, 0.0, xs)[0] == 3

    def with_default(c, x, k=2.0):
        return c + k * x, None

    assert lax.scan(with_default, 0.0, xs)[0] == 6
    with_default.__defaults__ = (5.0,)
    assert lax.scan(with_default, 0.0, xs)[0] == 15

    class Model:
        factor = 2.0

        def step(self, c, x):
            return c + self.factor * x, None

    model = Model()
    assert lax.scan(model.step, 0.0, xs)[0] == 6
    model.factor = 3.0
    assert lax.scan(model.step, 0.0, xs)[0] == 9
    for y in (one, 2 * one):
        assert lax.fori_loop(0, 2, lambda i, c: c + y.sum(), 0.0) == 2 * y.sum()  # noqa: B023


def test_it_counts_which_function_is_called_where():
    def first(x):
        return x + 1

    def second(x):
        return 3 * x

    def combined(a, b, c):
        return lambda x: a(x) + b(x) * c(x)

    for wrap in (lambda f: f, pb.jit):
        for a, b, c in ((first, second, first), (first, second, second), (first, first, second)):
            f = combined(wrap(a), wrap(b), wrap(c))
            assert lax.fori_loop(0, 1, lambda i, x: f(x), 2.0) == a(2.0) + b(2.0) * c(2.0)  # noqa: B023


def test_attributes_of_classes_and_modules_may_change(monkeypatch):
    class Settings:
        factor = 2.0

        @staticmethod
        def scaled(x):
            return settings.deep.factor * x

    settings = types.ModuleType("settings")
    settings.deep = types.ModuleType("settings.deep")
    settings.deep.factor = 2.0
    names = {"settings": settings, "Settings": Settings}
    exec(  # functions whose module and class are globals
        "def of_class(): return lambda c, x: (c + Settings.factor * x, None)\n"
        "def of_method(): return lambda c, x: (c + Settings.scaled(x), None)\n"
        "def of_module(): return lambda c, x: (c + settings.deep.factor * x, None)\n",
        names,
    )
    monkeypatch.setitem(globals(), "settings", settings)  # for the method
    xs = jnp.arange(3.0)
    makers = [names[k] for k in ("of_class", "of_method", "of_module")]
    for factor in (2.0, 3.0):
        Settings.factor = settings.deep.factor = factor
        assert [float(lax.scan(make(), 0.0, xs)[0]) for make in makers] == [3 * factor] * 3


def test_a_body_with_a_class_of_the_users_is_kept(runs):
    class State(NamedTuple):
        x: pb.Array
        n: int = 0

    for _ in range(3):
        lax.scan(lambda s, _: (State(2 * s.x, s.n + 1), None), State(1.0), None, length=2)
    assert runs() == 1


def test_a_rule_that_changes_is_seen():
    f = pb.custom_jvp(lambda x: x)
    f.defjvp(lambda p, t: (f(*p), t[0] * 2))
    g = pb.grad(lambda x: lax.scan(lambda c, _: (f(c), None), x, length=1)[0])
    assert g(1.0) == 2
    f.defjvp(lambda p, t: (f(*p), t[0] * 3))
    assert g(1.0) == 3


def test_values_of_surrounding_transformations_are_not_kept():
    def f(w):
        return lax.scan(lambda c, x: (c * w + x, None), 1.0, jnp.arange(3.0))[0]

    for w in (1.0, 2.0, 3.0):
        close(pb.grad(f)(w), 3 * w**2 + 1)
        close(pb.jit(f)(w), w**3 + w + 2)
    close(pb.vmap(f)(jnp.array([1.0, 2.0])), [4.0, 12.0])


def test_disable_jit_runs_python_loops():
    seen = []

    def step(c, x):
        seen.append(float(x))
        return c + x, c

    xs = jnp.arange(3.0)
    with disable_jit():
        carry, ys = lax.scan(step, 0.0, xs, reverse=True)
        assert seen == [2.0, 1.0, 0.0] and carry == 3
        close(ys, [3.0, 2.0, 0.0])
        assert lax.fori_loop(0, 3, lambda i, c: c + int(i), 0) == 3
        assert lax.while_loop(lambda c: float(c) < 3, lambda c: c + 1, 0) == 3
        assert lax.cond(True, lambda x: float(x), lambda x: "no", 1) == 1.0
        assert lax.switch(1, [lambda x: "no", lambda x: int(x)], 1) == 1
        close(lax.map(lambda x: x * float(x), xs), [0.0, 1.0, 4.0])
        assert pb.grad(lambda x: lax.cond(x > 0, lambda x: x * float(x), lambda x: x, x))(3.0) == 3
        assert pb.grad(lambda x: lax.switch((x > 0) + 0, [jnp.sin, lambda x: 2 * x], x))(3.0) == 2
        with pytest.raises(ValueError, match="zero-length scan is not supported"):
            lax.scan(step, 0.0, xs[:0])


# ---- memory of reverse mode


def stacked_sizes(f, *args):
    """Sizes of what the known loop of a reversed scan stacks, beside its results."""
    _, pull = pb.vjp(f, *args)
    return sorted(x.size for x in pb.tree.leaves(pull))


def test_constants_are_not_stacked():
    w, xs = jnp.ones((5, 5)), jnp.ones((7, 5))

    def f(h):
        return lax.scan(lambda h, x: (jnp.tanh(w.T @ (2 * h)) + x, None), h, xs)[0]

    assert max(stacked_sizes(f, jnp.ones(5))) == 35  # w and w.T once; tanh of each step

    def g(w):
        return lax.scan(lambda h, x: (jnp.sin(w @ h), None), jnp.ones(5), xs)[0]

    assert max(stacked_sizes(g, w)) == 35


def test_what_is_stacked_already_is_not_stacked_again():
    xs = jnp.ones((7, 5))

    def f(h):
        return lax.scan(lambda h, x: (h * x, h), h, xs)

    # The derivative needs x of each step, which is there.
    assert stacked_sizes(f, jnp.ones(5)) == [35]

    def g(h, xs):
        return lax.scan(lambda h, x: (h * x, h), h, xs)

    # And the carry of each step, which is given back.
    assert stacked_sizes(g, jnp.ones(5), xs) == [35, 35]


def test_what_no_output_needs_is_not_kept():
    def f(h):
        def step(h, x):
            jnp.exp(h) * jnp.sin(h)  # not used
            return 2 * h + x, None

        return lax.scan(step, h, jnp.ones((7, 5)))[0]

    assert sum(stacked_sizes(f, jnp.ones(5))) <= 1


def test_branches_share_places_for_residuals():
    def f(x):
        return lax.switch(1, [jnp.sin, jnp.cos, jnp.exp, lambda x: x * x], x)

    sizes = stacked_sizes(f, jnp.ones(50))
    assert [n for n in sizes if n > 1] == [50]


# ---- programs


def test_programs_are_those_of_jax():
    program = str(pb.make_jaxpr(lambda: lax.fori_loop(0, 3, lambda i, x: x * i, 1.0))())
    assert "scan[" in program and "length=3" in program and "num_carry=2" in program
    program = pb.make_jaxpr(lambda n: lax.fori_loop(0, n, lambda i, x: x * i, 1.0))(3)
    assert [e.primitive.name for e in program.eqns] == ["while"]
    assert [p.name for p in (program.eqns[0].primitive,)] == ["while"]
    program = pb.make_jaxpr(lambda n: lax.switch(n, [lambda x: x, lambda x: 2 * x], n))(3)
    names = [e.primitive.name for e in program.eqns]
    assert names == ["convert_element_type", "clamp", "cond"]
    program = pb.make_jaxpr(lambda n: lax.cond(n > 0, lambda x: x, lambda x: 2 * x, n))(3)
    assert [e.primitive.name for e in program.eqns] == ["gt", "convert_element_type", "cond"]
    false, true = program.eqns[-1].params["branches"]
    assert len(false.eqns) == 1 and len(true.eqns) == 0
    check_program(program.program)


def test_traced_values_that_are_closed_over_are_inputs(runs):
    xs = jnp.arange(3.0)

    def loss(a, b):
        return lax.scan(lambda c, x: (jnp.sin(c * a["w"]) + b * x + a["w"], None), b, xs)[0]

    def python(a, b):
        c = b
        for x in range(3):
            c = jnp.sin(c * a["w"]) + b * x + a["w"]
        return c

    for k in (1.0, 2.0, 3.0):
        got = pb.grad(loss, (0, 1))({"w": k}, k + 1)
        want = pb.grad(python, (0, 1))({"w": k}, k + 1)
        close(got[0]["w"], want[0]["w"])
        close(got[1], want[1])
    assert runs() == 1
    shared = pb.grad(lambda v: loss({"w": v}, v))(2.0)  # one traced value in two places
    close(shared, pb.grad(lambda v: python({"w": v}, v))(2.0))
    assert runs() == 2


def test_a_body_that_looks_at_values_is_traced_again(runs):
    def loss(a):
        return lax.scan(lambda c, x: (c * a if float(a) > 0 else c - a, None), 1.0, length=3)[0]

    assert [float(pb.grad(loss)(k)) for k in (2.0, -2.0, 3.0)] == [12.0, -3.0, 27.0]
    assert runs() == 3


def test_fori_loop_with_floats_as_bounds():
    got = lax.fori_loop(0.0, 3.0, lambda i, x: x + i, 1.0)
    assert got == 4.0 and got.weak_type
    assert not lax.fori_loop(jnp.float32(0), jnp.float32(3), lambda i, x: x + i, 1.0).weak_type
    assert pb.grad(lambda x: lax.fori_loop(1.0, 4.0, lambda i, y: y * x * i, 1.0))(2.0) == 72.0
    loop = pb.jit(lambda n: lax.fori_loop(0.5, n, lambda i, x: x + i, 0.0))
    assert [loop(n).item() for n in (0.0, 2.0, 3.0, 2.5)] == [0.0, 2.0, 4.5, 2.0]
    assert lax.fori_loop(0.0, 2.5, lambda i, x: x + 1, 0) == 3
    with pb.disable_jit():
        assert lax.fori_loop(0.0, 3.0, lambda i, x: x + i, 1.0) == 4.0
