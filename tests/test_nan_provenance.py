"""debug_nans and debug_infs: the user's line, the operation and the values that went in."""

import re
from pathlib import Path

import numpy as np
import pytest

import pullback as pb
import pullback.numpy as jnp
from pullback import lax
from pullback.core.settings import override
from pullback.transforms import reverse

ENGINES = ("native", "numpy")
LINES = Path(__file__).read_text(encoding="utf-8").splitlines()


def place(mark):
    """`file:line` of the line in this file that ends with a comment of this mark."""
    (number,) = (i for i, line in enumerate(LINES, 1) if line.endswith(f"# {mark}"))
    return f"{__file__}:{number} "


def caught(function, *args, setting=pb.debug_nans):
    """The parts of the error: what, got, where, fix."""
    with setting(True), pytest.raises(FloatingPointError) as info:
        function(*args)
    text = str(info.value)
    what, *rest = re.split(r"\n  (?:Got|Where|Fix): ", text)
    assert len(rest) == 3, text
    return what, *rest


# ---- forward: eager, in programs, under vmap


def forward(x):
    y = x - 2.0
    z = jnp.log(y)  # forward-log
    return jnp.sum(z * 3.0)


FORWARD = {
    "eager": lambda f: f,
    **{f"jit-{e}": lambda f, e=e: pb.jit(f, engine=e) for e in ENGINES},
    "nested jit": lambda f: pb.jit(lambda x: pb.jit(f)(x) + 1.0),
    "value_and_grad": pb.value_and_grad,
    "jit of grad": lambda f: pb.jit(pb.value_and_grad(f)),
    "grad of jit": lambda f: pb.grad(pb.jit(f)),
    "jvp": lambda f: lambda x: pb.jvp(f, (x,), (x,)),
    "linearize": lambda f: lambda x: pb.linearize(f, x),
    "checkpoint": lambda f: pb.checkpoint(f),
    "jit of checkpoint": lambda f: pb.jit(pb.value_and_grad(pb.checkpoint(f))),
    "hessian": pb.hessian,
}


@pytest.mark.parametrize("transform", FORWARD.values(), ids=FORWARD)
def test_forward(transform):
    what, got, where, fix = caught(transform(forward), jnp.array([3.0, 1.5, 2.5, 0.0]))
    assert what == "invalid value (nan) encountered in log."
    assert where.startswith(place("forward-log") + "(forward)")
    assert "f32[4]" in got and "nan in 2 of the 4 elements" in got
    assert "[1] log(-0.5), [3] log(-2.0)" in got
    assert "look at the values that went in" in fix


@pytest.mark.parametrize("transform", [lambda f: f, pb.jit, pb.grad], ids=["eager", "jit", "grad"])
@pytest.mark.parametrize("order", ["inside", "outside"])
def test_under_vmap(transform, order):
    if order == "inside":
        f = transform(lambda x: jnp.sum(pb.vmap(forward)(x)))
    else:
        f = pb.vmap(transform(forward))
    what, got, where, _ = caught(f, jnp.array([[3.0, 4.0], [5.0, 1.0], [3.0, 3.0]]))
    assert what == "invalid value (nan) encountered in log."
    assert where.startswith(place("forward-log"))
    assert "nan in 1 of the 6 elements of f32[3,2]: [1, 1] log(-1.0)" in got


def test_numbers_show_their_value():
    _, got, where, _ = caught(pb.jit(forward), 1.0)
    assert got == "log of f32[] -1.0"
    assert where == place("forward-log") + "(forward)"


def test_only_some_of_many_elements_are_shown():
    _, got, _, _ = caught(jnp.log, -jnp.arange(1.0, 101.0))
    assert got.endswith("nan in 100 of the 100 elements of f32[100]: [0] log(-1.0), [1] log(-2.0),"
                        " [2] log(-3.0), ...")  # fmt: skip


def test_operations_on_whole_arrays_tell_of_their_operands():
    a = jnp.array([[1.0, jnp.inf], [2.0, 3.0]])
    what, got, _, fix = caught(lambda a: a @ jnp.array([[1.0, 1.0], [0.0, 1.0]]), a)
    assert what == "invalid value (nan) encountered in dot_general."
    assert got == (
        "dot_general of f32[2,2] with 1 inf (first at [0, 1]), f32[2,2]; "
        "nan in 1 of the 4 elements of f32[2,2]: [0, 0]"
    )
    assert "not finite already" in fix


@pytest.mark.parametrize("jit", [lambda f: f, pb.jit], ids=["eager", "jit"])
def test_infinities(jit):
    def f(x):
        y = jnp.exp(x)  # overflow
        return 1.0 / y

    x = jnp.array([1.0, 100.0])
    assert np.isfinite(jit(f)(x)).all()
    what, got, where, _ = caught(lambda x: jit(lambda x: (jnp.exp(x), f(x)))(x), x,
                                 setting=pb.debug_infs)  # fmt: skip
    assert what == "invalid value (inf) encountered in exp."
    assert "[1] exp(100.0)" in got
    with pb.debug_nans():  # infinities are not asked for
        jit(f)(x)
    if jit is pb.jit:  # a program is judged by its results, as JAX does
        with pb.debug_infs():
            jit(f)(x)
    else:
        _, _, where, _ = caught(f, x, setting=pb.debug_infs)
        assert where.startswith(place("overflow"))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "complex64"])
def test_dtypes(dtype):
    x = jnp.array([1.0, jnp.inf, 2.0], dtype)
    what, got, _, _ = caught(pb.jit(lambda x: x - x), x)
    assert "encountered in sub" in what and "nan in 1 of the 3 elements" in got
    assert "[1] sub(" in got
    with pb.debug_nans():
        assert pb.jit(lambda x: x + x)(x).shape == (3,)


def test_a_nan_that_is_passed_in():
    what, got, _, _ = caught(pb.jit(lambda x: x), float("nan"))
    assert what == "invalid value (nan) encountered in the result of <lambda>."
    assert got == "array 0 of the arguments, f32[], has it already"
    _, got, _, fix = caught(pb.jit(lambda x: x + 1.0), float("nan"))
    assert got == "add of f32[] nan, f32[] 1.0"
    assert fix.startswith("a value that went in was not finite already")


# ---- loops and branches


def body(c, x):
    return c - x, jnp.sqrt(c)  # scan-sqrt


@pytest.mark.parametrize("jit", [lambda f: f, pb.jit], ids=["eager", "jit"])
@pytest.mark.parametrize("reverse", [False, True])
def test_round_of_a_scan(jit, reverse):
    def run(x):
        return lax.scan(body, 2.5, x, reverse=reverse)[1]  # scan-call

    _, got, where, _ = caught(jit(run), jnp.ones(6))
    assert got == "sqrt of f32[] -0.5"
    turned = ", which runs from the last to the first," if reverse else ""
    round_ = 2 if reverse else 3  # the fourth: 2.5, 1.5, 0.5, -0.5
    assert where == (
        f"{place('scan-sqrt')}(body), in round {round_} of 6 of the scan{turned} at "
        f"{place('scan-call')}(test_round_of_a_scan.<locals>.run)"
    )


@pytest.mark.parametrize("jit", [lambda f: f, pb.jit], ids=["eager", "jit"])
def test_round_of_a_while_loop(jit):
    def halve(c):
        return jnp.log(c)  # while-log

    def run(x):
        return lax.while_loop(lambda c: c > -5.0, halve, x)  # while-call

    want, x = 0, np.float32(30.0)
    while x > 0:  # log(x) is nan in the round in which x is negative
        x, want = np.log(x), want + 1
    _, got, where, _ = caught(jit(run), 30.0)
    assert where.startswith(place("while-log"))
    assert f"in round {want} of the while_loop at {place('while-call')}" in where
    assert got.startswith("log of f32[] -")


@pytest.mark.parametrize("jit", [lambda f: f, pb.jit], ids=["eager", "jit"])
def test_branch(jit):
    def run(i, x):
        return lax.switch(
            i,
            [jnp.sin, lambda x: jnp.log(x), jnp.cos],  # switch-log
            x,
        )

    _, got, where, _ = caught(jit(run), 1, -2.0)
    assert got == "log of f32[] -2.0"
    assert where.startswith(place("switch-log")) and ", in branch 1 of the cond at " in where
    with pb.debug_nans():
        assert np.isfinite(jit(run)(2, -2.0))


def test_loops_in_loops():
    def inner(c, x):
        return c, jnp.log(c + x)  # inner-log

    def outer(c, x):
        return c - 1.0, lax.scan(inner, c, x)[1]

    x = jnp.array([[1.0, 3.0], [1.0, 0.5], [1.0, 0.0]])
    _, got, where, _ = caught(pb.jit(lambda x: lax.scan(outer, 0.25, x)[1]), x)
    assert got == "log of f32[] -0.25"  # round 1 of the outer, where c = -0.75; x = 0.5
    assert where.startswith(place("inner-log"))
    assert re.search(r"in round 1 of 2 of the scan .*, in round 1 of 3 of the scan ", where)


# ---- backward


def backward(x):
    y = jnp.sqrt(x)  # backward-sqrt
    return jnp.sum(y * jnp.array([1.0, 0.0, 1.0]))


BACKWARD = {
    "eager": pb.grad,
    **{f"jit-{e}": lambda f, e=e: pb.jit(pb.grad(f), engine=e) for e in ENGINES},
    "grad of jit": lambda f: pb.grad(pb.jit(f)),
    "jit of grad of jit": lambda f: pb.jit(pb.grad(pb.jit(f))),
    "checkpoint": lambda f: pb.grad(pb.checkpoint(f)),
    "vjp": lambda f: lambda x: pb.vjp(f, x)[1](1.0)[0],
    "jitted pullback": lambda f: lambda x: pb.jit(lambda g: g(1.0)[0])(pb.vjp(f, x)[1]),
}


@pytest.mark.parametrize("transform", BACKWARD.values(), ids=BACKWARD)
def test_backward(transform):
    what, got, where, fix = caught(transform(backward), jnp.array([4.0, 0.0, 1.0]))
    assert what == "invalid value (nan) encountered in mul in the backward pass."
    assert where == place("backward-sqrt") + "(backward), in the derivative of sqrt"
    assert "nan in 1 of the 3 elements of f32[3]: [1] mul(0.0, inf)" in got
    assert "strong_zero()" in fix
    with pb.debug_nans(), pb.strong_zero():  # and the advice helps
        np.testing.assert_array_equal(
            transform(backward)(jnp.array([4.0, 0.0, 1.0])), [0.25, 0, 0.5]
        )


def test_backward_under_vmap():
    x = jnp.array([[4.0, 1.0, 1.0], [1.0, 0.0, 1.0]])
    for f in (pb.vmap(pb.grad(backward)), pb.jit(pb.vmap(pb.grad(backward)))):
        _, got, where, _ = caught(f, x)
        assert where.startswith(place("backward-sqrt"))
        assert "[1, 1] mul(0.0, inf)" in got


@pytest.mark.parametrize("jit", [lambda f: f, pb.jit], ids=["eager", "jit"])
def test_backward_through_a_scan(jit):
    def step(c, x):
        return c + jnp.where(x > 0, jnp.sqrt(x), 0.0), None  # step-sqrt

    def run(x):
        return lax.scan(step, 0.0, x)[0]  # backward-scan

    x = jnp.array([1.0, 0.0, 4.0, 9.0])
    what, got, where, _ = caught(jit(pb.grad(run)), x)
    assert what.endswith("in the backward pass.")
    assert got == "mul of f32[] 0.0, f32[] inf"
    assert where.startswith(place("step-sqrt"))
    assert "in the derivative of sqrt, in round 1 of 4 of the scan, which runs from" in where
    name = "test_backward_through_a_scan.<locals>.run"
    assert where.endswith(f"at {place('backward-scan')}({name}), in its backward pass")


def test_backward_through_a_branch():
    def run(x):
        return lax.cond(x >= 0, lambda x: jnp.sqrt(x) * 0.0, jnp.sin, x)  # branch-sqrt

    _, _, where, _ = caught(pb.jit(pb.grad(run)), 0.0)
    assert where.startswith(place("branch-sqrt"))
    assert "in the derivative of sqrt, in branch 1 of the cond" in where


def test_second_derivatives():
    def f(x):
        return jnp.where(x > 0, x * jnp.log(x), 0.0)  # entropy

    _, _, where, _ = caught(pb.jit(pb.grad(pb.grad(f))), 0.0)
    assert where.startswith(place("entropy"))


def test_a_local_derivative_is_told_from_the_function():
    """The slope of sqrt is infinite at 0: it is found when the function is linearized."""
    what, got, where, _ = caught(
        pb.grad(backward), jnp.array([4.0, 0.0, 1.0]), setting=pb.debug_infs
    )
    assert what == "invalid value (inf) encountered in div."
    assert where == place("backward-sqrt") + "(backward), in the derivative of sqrt"
    assert "[1] div(0.5, 0.0)" in got


def test_rules_of_the_users_own():
    @pb.custom_vjp
    def f(x):
        return x

    f.defvjp(lambda x: (x, x), lambda x, ct: (ct * jnp.log(x),))

    def g(x):
        return f(x) * 2.0  # own-rule

    for transform in (pb.grad, lambda g: pb.jit(pb.grad(g))):
        what, got, where, _ = caught(transform(g), -1.0)
        assert what == "invalid value (nan) encountered in log in the backward pass."
        assert where.startswith(place("own-rule"))
        assert got == "log of f32[] -1.0"


def test_what_is_masked_is_not_blamed():
    """log(0) * 0 is masked in the value; what spoils the gradient is its derivative."""

    def f(x):
        y = jnp.where(x > 0, x * jnp.log(x), 0.0)  # masked-entropy
        return jnp.sum(jnp.cos(y))

    x = jnp.array([0.0, 1.0, 2.0])
    for way in (pb.grad, lambda f: pb.vmap(pb.grad(lambda x: f(x)))):
        what, got, where, _ = caught(pb.jit(way(f)), x)
        assert what == "invalid value (nan) encountered in mul in the backward pass."
        assert where.startswith(place("masked-entropy"))
        assert "[0] mul(0.0, -inf)" in got or "[0] mul(-0.0, -inf)" in got
    what, _, where, _ = caught(pb.grad(f), x)  # not compiled, each operation is looked at
    assert what == "invalid value (nan) encountered in mul."
    assert where.startswith(place("masked-entropy"))


def test_other_elements_are_not_mixed_up():
    """The masked element of one operation and the bad element of another are told apart."""

    def f(x):
        y = jnp.where(x > 0, jnp.log(x), 0.0)  # masked
        z = jnp.where(x < 0, jnp.sqrt(x), 1.0)  # not masked
        return y * z

    _, got, where, _ = caught(pb.jit(f), jnp.array([-1.0, 2.0]))
    assert where.startswith(place("not masked"))
    assert "[0] sqrt(-1.0)" in got


# ---- when it is off


def test_masked_values_do_not_matter_in_programs():
    f = pb.jit(lambda x: jnp.where(x > 0, jnp.log(x), 0.0))
    with pb.debug_nans():
        assert f(-1.0) == 0.0  # as in JAX: a program is judged by its results
        with pytest.raises(FloatingPointError):
            jnp.where(False, jnp.log(-1.0), 0.0)


def test_nothing_is_kept_when_nobody_asks():
    with pb.debug_nans():
        pb.grad(jnp.sin)(1.0)
    closed = pb.make_jaxpr(forward)(jnp.ones(3))
    assert all(eq.source_info.line is None for eq in closed.eqns)
    tapes = []
    keep = reverse.make.tape

    def watched(*args):
        tapes.append(keep(*args))
        return tapes[-1]

    reverse.make.tape = watched
    try:
        pb.grad(forward)(jnp.ones(3))
    finally:
        reverse.make.tape = keep
    assert [type(t) for t in tapes] == [reverse.Tape]
    assert np.isnan(pb.jit(jnp.log)(-1.0))


def test_lines_without_checks():
    with override("pullback_source_lines", True):
        closed = pb.make_jaxpr(forward)(jnp.array([1.0]))
        assert np.isnan(pb.jit(forward)(jnp.array([1.0])))
    lines = {eq.primitive.name: str(eq.source_info.line) for eq in closed.eqns}
    assert lines["log"] == place("forward-log") + "(forward)"


def test_programs_traced_before_are_traced_again_with_lines():
    traced = []

    @pb.jit
    def f(x):
        traced.append(x)
        return jnp.log(x)  # traced-again

    for _ in range(3):
        f(1.0)
    assert len(traced) == 1
    _, _, where, _ = caught(f, -1.0)
    assert where.startswith(place("traced-again"))
    assert len(traced) == 2
    f(1.0)
    with pb.debug_nans():
        f(1.0)
    assert len(traced) == 2
