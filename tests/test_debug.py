"""print, callback and breakpoint inside functions that are transformed."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import pullback as pb
import pullback.numpy as jnp
from pullback import debug, lax


@pytest.fixture
def printed(capsys):
    """The lines printed since the last call."""
    return lambda: capsys.readouterr().out.splitlines()


def f(x):
    debug.print("x = {x}", x=x)
    return jnp.sin(x) * x


def test_eager(printed):
    f(1.0)
    assert printed() == ["x = 1.0"]


@pytest.mark.parametrize(
    ("run", "lines"),
    [
        (lambda: pb.jit(f)(2.0), ["2.0"]),
        (lambda: pb.grad(f)(2.0), ["2.0"]),
        (lambda: pb.jit(pb.grad(f))(2.0), ["2.0"]),
        (lambda: pb.grad(pb.jit(f))(2.0), ["2.0"]),
        (lambda: pb.jvp(f, (2.0,), (1.0,)), ["2.0"]),
        (lambda: pb.linearize(f, 2.0)[1](1.0), ["2.0"]),
        (lambda: pb.hessian(f)(2.0), ["2.0"]),
        (lambda: pb.grad(pb.grad(f))(2.0), ["2.0"]),
        (lambda: pb.vmap(f)(jnp.arange(3.0)), ["0.0", "1.0", "2.0"]),
        (lambda: pb.vmap(f)(jnp.zeros(0)), []),
        (lambda: pb.jit(pb.vmap(f))(jnp.arange(2.0)), ["0.0", "1.0"]),
        (lambda: pb.vmap(pb.jit(f))(jnp.arange(2.0)), ["0.0", "1.0"]),
        (lambda: pb.vmap(pb.grad(f))(jnp.arange(2.0)), ["0.0", "1.0"]),
        (
            lambda: pb.vmap(pb.vmap(f))(jnp.array([[1.0, 2.0], [3.0, 4.0]])),
            ["1.0", "2.0", "3.0", "4.0"],
        ),
        (lambda: pb.vmap(f, in_axes=1)(jnp.array([[1.0, 2.0]])), ["[1.]", "[2.]"]),
        (
            lambda: lax.scan(lambda c, x: (c + x, f(c)), 0.0, jnp.arange(1.0, 4.0)),
            ["0.0", "1.0", "3.0"],
        ),
        (
            lambda: pb.jit(lambda: lax.scan(lambda c, x: (c + x, f(c)), 0.0, jnp.ones(2)))(),
            ["0.0", "1.0"],
        ),
        (
            lambda: pb.grad(lambda a: lax.scan(lambda c, x: (f(c * x), None), a, jnp.ones(2))[0])(
                0.0
            ),
            ["0.0", "0.0"],
        ),
        (lambda: lax.fori_loop(0, 2, lambda i, c: (f(c), c + 1)[1], 0.0), ["0.0", "1.0"]),
        (lambda: lax.cond(True, f, lambda x: x, 5.0), ["5.0"]),
        (lambda: lax.cond(False, f, lambda x: x, 5.0), []),
        (lambda: pb.jit(lambda p: lax.cond(p, f, lambda x: x, 5.0))(True), ["5.0"]),
        (lambda: pb.checkpoint(f)(2.0), ["2.0"]),
        # The second computation prints again, as in JAX.
        (lambda: pb.grad(pb.checkpoint(f))(2.0), ["2.0", "2.0"]),
    ],
)
def test_prints_the_primals_in_order(run, lines, printed):
    run()
    assert printed() == ["x = " + line for line in lines]


def test_a_call_is_kept_where_nothing_else_is_used(printed):
    @pb.jit
    def g(x):
        f(x)  # the result is dropped
        lax.fori_loop(0, 2, lambda i, c: (f(c), c)[1], x)  # so is that of this loop
        lax.fori_loop(0, 2, lambda i, c: (f(c), c)[1], x)  # and of this one, which is equal
        f(x)  # and of this call
        return x

    g(1.0)
    g(2.0)
    assert printed() == ["x = 1.0"] * 6 + ["x = 2.0"] * 6


def test_jit_traces_once_and_prints_each_time(printed):
    g = pb.jit(lambda x: f(x))  # all jit(f) share their programs
    for x in (1.0, 2.0, 1.0):
        g(x)
    assert printed() == ["x = 1.0", "x = 2.0", "x = 1.0"]
    assert g._cache_size() == 1


@pytest.mark.parametrize(
    ("args", "kwargs", "line"),
    [
        (("a {} b {}", 1, jnp.ones(2)), {}, "a 1 b [1. 1.]"),
        (("{x:.3f}",), {"x": np.float32(1.23456)}, "1.235"),
        (
            ("{name}: {d}",),
            {"name": "text", "d": {"k": 1.5}},
            "text: {'k': Array(1.5, dtype=float32)}",
        ),
        (("plain",), {}, "plain"),
        (("values:", 1, "two", jnp.ones(1)), {}, "values: 1 two [1.]"),
        (("{{literal}} {}", 3), {}, "{literal} 3"),
        (("{x.shape} {x[0]}",), {"x": jnp.ones(2)}, "(2,) 1.0"),
    ],
)
def test_formats(args, kwargs, line, printed):
    debug.print(*args, **kwargs)
    pb.jit(lambda: debug.print(*args, **kwargs))()
    assert printed() == [line, line]


def test_numpy_print_options_are_those_of_the_call(printed):
    with np.printoptions(precision=2):
        g = pb.jit(lambda x: debug.print("{}", x))
        g(jnp.array([1.23456]))
    g(jnp.array([1.23456]))
    assert printed() == ["[1.23]", "[1.23]"]


@pytest.mark.parametrize(
    ("do", "kind", "text"),
    [
        (lambda: debug.print("no braces", x=1), ValueError, "does not use"),
        (lambda: debug.print("{}", 1, 2), ValueError, "Got: 1\n"),
        (lambda: debug.print("{x}", x=1, y=2), ValueError, "f-string"),
        (lambda: debug.print(1.0), TypeError, "format string first"),
        (lambda: debug.callback(1.0, 2), TypeError, "takes a function"),
        (lambda: debug.callback(x=2), TypeError, "no function to call"),
    ],
)
def test_mistakes(do, kind, text):
    with pytest.raises(kind) as caught:
        do()
    assert text in str(caught.value)


def test_format_check_can_be_skipped(printed):
    debug.print("{}", 1, 2, skip_format_check=True)
    assert printed() == ["1"]


def test_callback_gets_arrays_trees_and_python_values():
    seen = []

    @pb.jit
    def g(x):
        debug.callback(
            lambda *a, **k: seen.append((a, k)), x, "text", {"y": (x + 1, None)}, flag=True
        )
        return x

    g(1.0)
    (((x, word, nested), keywords),) = seen
    assert isinstance(x, pb.Array) and float(x) == 1.0
    assert word == "text" and float(nested["y"][0]) == 2.0 and nested["y"][1] is None
    assert bool(keywords["flag"])


def test_callback_in_two_calls():
    seen = []
    pb.jit(lambda x: debug.callback(ordered=True)(seen.append, x))(3.0)
    assert [float(x) for x in seen] == [3.0]


def test_callback_may_compute(printed):
    def g(x):
        debug.callback(lambda y: print(float(pb.grad(jnp.sin)(y))), x)
        return x * x

    pb.vmap(pb.grad(g))(jnp.zeros(2))
    assert printed() == ["1.0", "1.0"]


def test_an_exception_in_a_callback_reaches_the_user():
    def fail(x):
        raise ZeroDivisionError(float(x))

    with pytest.raises(ZeroDivisionError, match=r"2\.0"):
        debug.callback(fail, 2.0)
    raised = r"raised ZeroDivisionError: 2\.0"
    with pytest.raises(pb.errors.JaxRuntimeError, match=raised) as caught:
        pb.jit(lambda x: debug.callback(fail, x))(2.0)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert float(pb.grad(jnp.sin)(0.0)) == 1.0


def test_custom_rules(printed):
    @pb.custom_jvp
    def g(x):
        debug.print("called with {}", x)
        return x * x

    @g.defjvp
    def g_jvp(primals, tangents):
        (x,), (t,) = primals, tangents
        debug.print("rule {}", x)
        debug.print("tangent {}", t)
        return x * x, 2 * x * t

    pb.jit(g)(2.0)
    pb.jvp(g, (2.0,), (3.0,))
    assert printed() == ["called with 2.0", "rule 2.0", "tangent 3.0"]
    # In reverse mode a tangent never has a value, so there is nothing to print.
    pb.grad(g)(2.0)
    pb.jit(pb.grad(g))(2.0)
    assert printed() == ["rule 2.0", "rule 2.0"]


def test_backward_rule(printed):
    @pb.custom_vjp
    def g(x):
        return x * x

    def backward(x, ct):
        debug.print("ct {} at {}", ct, x)
        return (2 * x * ct,)

    g.defvjp(lambda x: (x * x, x), backward)
    pb.grad(g)(2.0)
    pb.jit(pb.grad(lambda x: 3 * g(x)))(2.0)
    pb.vmap(pb.grad(g))(jnp.ones(2))
    assert printed() == ["ct 1.0 at 2.0", "ct 3.0 at 2.0", "ct 1.0 at 1.0", "ct 1.0 at 1.0"]


def test_breakpoint_shows_the_users_line_and_values(monkeypatch):
    seen = []

    def look():
        frame = sys._getframe(1)
        seen.append(
            (frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name, dict(frame.f_locals))
        )

    monkeypatch.setattr(sys, "breakpointhook", look)

    def g(x, name):
        y = jnp.sin(x)
        debug.breakpoint()
        return y

    for h in (g, lambda x, name: pb.jit(lambda x: g(x, name))(x)):
        assert float(h(0.0, "n")) == 0.0
    first = g.__code__.co_firstlineno
    for file, line, function, variables in seen:
        assert (file, line, function) == (__file__, first + 2, "g")
        assert {k: variables[k] for k in ("x", "y", "name")} == {"x": 0.0, "y": 0.0, "name": "n"}
    assert len(seen) == 2
    pb.vmap(lambda x: g(x, "n"))(jnp.arange(3.0))
    assert [float(v["x"]) for *_, v in seen[2:]] == [0.0, 1.0, 2.0]
    pb.jit(pb.grad(lambda x: g(x, "n")))(1.0)
    assert len(seen) == 6


def test_effects_barrier():
    pb.jit(f)(1.0)
    pb.effects_barrier()


def test_a_loop_calls_back_into_the_list_of_each_call():
    """The program of a body is kept; two lists of one content are still two lists."""

    def run():
        seen = []

        def step(c, x):
            debug.callback(lambda v: seen.append(float(v)), x)
            return c, None

        lax.scan(step, 1.0, jnp.array([1.0, 2.0]))
        return seen

    assert run() == [1.0, 2.0]
    assert run() == [1.0, 2.0]
