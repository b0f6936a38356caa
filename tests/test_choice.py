"""Which engine `jit` takes by itself: an estimate decides, and results do not tell."""

from __future__ import annotations

import pickle
import re
import subprocess
import sys

import numpy as np
import pytest
from forced import ON_XLA

import pullback as pb
import pullback.numpy as jnp
from examples import EXAMPLES
from pullback import ShapeDtypeStruct as Shape
from pullback import lax
from pullback.core.array import HostArray
from pullback.engines import by_itself, size
from pullback.engines.choice import choose

if ON_XLA:
    pytest.skip("jit is forced to XLA: nothing is chosen", allow_module_level=True)

BIG = Shape((1024, 1024), "float32")
needs_jaxlib = pytest.mark.skipif(
    not by_itself.jaxlib_is_installed(), reason="the XLA engine needs jaxlib"
)


@pytest.fixture(autouse=True)
def both_processors(monkeypatch):
    """As where the limits of this process leave it all processors, and there are two."""
    monkeypatch.setattr(by_itself, "_processors", lambda: 2)
    before = pb.config.pullback_threads
    pb.config.update("pullback_threads", 2)
    yield
    pb.config.update("pullback_threads", before)


@pytest.fixture
def willing(monkeypatch):
    """Every program is for XLA, however small."""
    monkeypatch.setattr(by_itself, "reason_for_xla", lambda closed, other: "a test says so")


def reason(f, *args, other="native"):
    return size.reason_for_xla(pb.jit(f).trace(*args).jaxpr, other)


def engine(f, *args):
    return choose(pb.jit(f).trace(*args).jaxpr).engine


# ---- the estimate


@pytest.mark.parametrize("n", [8, 64, 256])
def test_small_transforms_are_not_for_xla(n):
    assert reason(jnp.fft.fft2, Shape((n, n), "float32")) is None


def test_large_transforms_are_for_xla():
    told = reason(jnp.fft.fft2, Shape((1024, 1024), "complex64"))
    assert told is not None
    shape = r"XLA is quicker at fft: the estimate is [\d.]+ ms, and [\d.]+ ms without it"
    assert re.fullmatch(shape, told)


def test_one_line_is_not_for_xla():
    assert reason(jnp.fft.fft, Shape((1 << 22,), "complex64")) is None


@pytest.mark.parametrize("name", ["i1e", "polygamma", "zeta"])
def test_functions_that_take_long_are_for_xla_where_they_are_many(name):
    special = pb.scipy.special
    f = {
        "polygamma": lambda x: special.polygamma(1, x),
        "zeta": lambda x: special.zeta(x, 1.0),
    }.get(name) or getattr(special, name)
    assert reason(f, Shape((100,), "float32")) is None
    assert reason(f, Shape((1_000_000,), "float32")).startswith("XLA is quicker at ")


LARGE_AND_NATIVE = {
    "elementwise": (lambda x: jnp.exp(x) * jnp.sin(x) + x, BIG),
    "product": (lambda x: x @ x, BIG),
    "softmax": (pb.nn.softmax, BIG),
    "sort": (jnp.sort, BIG),
    "cumsum": (lambda x: jnp.cumsum(x, 0), BIG),
    "gather": (lambda x: x[x.astype(int) % 7, 2], BIG),
    "scatter": (lambda x: x.at[::2].add(1.0), BIG),
    "convolution": (
        lambda x: lax.conv_general_dilated(x, x[:64, :, :3, :3], (1, 1), "SAME"),
        Shape((64, 64, 56, 56), "float32"),
    ),
    "factor": (jnp.linalg.cholesky, BIG),
    "functions of SciPy": (
        lambda x: pb.scipy.special.gammainc(2.0, pb.scipy.special.i0e(x)),
        BIG,
    ),
}


@pytest.mark.parametrize("name", LARGE_AND_NATIVE)
def test_what_native_is_quicker_at_stays_there_at_any_size(name):
    f, *types = LARGE_AND_NATIVE[name]
    assert reason(f, *types) is None


def test_what_xla_is_slow_at_outweighs_a_gain():
    assert reason(jnp.fft.rfft2, BIG) is not None
    assert reason(lambda x: (jnp.fft.rfft2(x), jnp.sort(x)), BIG) is None


def test_loops_count_as_often_as_they_run():
    x = Shape((512, 512), "complex64")

    def run(steps):
        return lambda x: lax.fori_loop(0, steps, lambda i, u: jnp.fft.fft2(u), x)

    assert reason(run(1), x) is None
    assert reason(run(10), x) is not None


def test_a_loop_of_unknown_length_counts_once():
    def run(x):
        return lax.while_loop(lambda u: u.real.sum() > 0, jnp.fft.fft2, x)

    assert reason(run, Shape((512, 512), "complex64")) is None
    assert reason(run, Shape((2048, 2048), "complex64")) is not None


def test_a_branch_counts_by_its_share():
    def run(p, x):
        return lax.cond(p, jnp.fft.fft2, lambda u: u, x)

    branch, x = Shape((), "bool"), Shape((1024, 1024), "complex64")
    assert reason(lambda p, x: jnp.fft.fft2(x), branch, x) is not None
    estimates = []
    for f in (run, lambda p, x: jnp.fft.fft2(x)):
        found = size.Estimate()
        size._count(pb.jit(f).trace(branch, x).jaxpr.program, 1.0, found)
        estimates.append(found.native)
    assert 0.4 < estimates[0] / estimates[1] < 0.6


def test_programs_inside_programs_are_seen():
    x = Shape((4, 1024, 1024), "float32")
    inner = pb.jit(lambda u: pb.checkpoint(lambda v: lax.map(jnp.fft.fft2, v))(u))
    assert reason(lambda x: pb.jit(inner)(x), x) is not None


def test_a_program_without_native_code_is_weighed_against_numpy():
    f = pb.checkpoint(lambda x: jnp.tanh(jnp.tanh(x * x) + x) * x)
    assert reason(f, Shape((8, 8), "float32"), other="numpy") is None
    told = reason(f, BIG, other="numpy")
    assert told is not None
    assert re.fullmatch(r"the estimate is [\d.]+ ms on XLA, and [\d.]+ ms on numpy", told)


def test_the_arguments_that_are_copied_count():
    assert reason(lambda x: jnp.fft.rfft2(x), BIG) is not None
    many = [Shape((4096, 4096), "float32")] * 4
    assert reason(lambda x, *rest: (jnp.fft.rfft2(x), *rest), BIG, *many) is None


def test_the_tables_name_primitives():
    names = {e.primitive.name for e in EXAMPLES}
    assert {*size.SPEEDS, *size.GAINS, *size._SPECIAL} - names == set()


# ---- when it may not be XLA


def test_without_jaxlib(monkeypatch):
    monkeypatch.setattr(by_itself, "jaxlib_is_installed", lambda: False)
    found = pb.jit(jnp.fft.fft2).explain(BIG)
    assert found.engine == "numpy"
    assert "the native engine has no code for fft" in found.reason


def test_a_jaxlib_that_cannot_be_used(monkeypatch, willing):
    monkeypatch.setattr(by_itself, "_is_imported", lambda: False)
    assert engine(lambda x: x + 1, jnp.ones(3)) == "native"


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_that_are_limited(monkeypatch, willing, threads):
    monkeypatch.setattr(by_itself, "_processors", lambda: 2 * threads)
    pb.config.update("pullback_threads", threads)
    assert engine(lambda x: x + 1, jnp.ones(3)) == "native"


@pytest.mark.parametrize("wish", ["native", "numpy"])
def test_a_named_engine_is_taken(willing, wish):
    found = pb.jit(lambda x: x + 1, engine=wish).explain(1.0)
    assert (found.engine, found.reason) == (wish, "it was asked for")


@needs_jaxlib
def test_the_setting_decides(willing):
    before = pb.config.pullback_engine
    pb.config.update("pullback_engine", "native")
    try:
        assert pb.jit(lambda x: x + 1).explain(1.0).engine == "native"
    finally:
        pb.config.update("pullback_engine", before)
    assert pb.jit(lambda x: x + 1).explain(1.0).engine == "xla"


def test_effects_are_not_for_xla(willing, capfd):
    def f(x):
        pb.debug.print("{}", x[0])
        return x + 1

    assert engine(f, jnp.ones(3)) != "xla"


@needs_jaxlib
def test_calls_of_python_are_not_for_xla(willing):
    def f(x):
        return pb.pure_callback(lambda v: np.asarray(v) * 2, x, x) + 1

    x = jnp.arange(3.0)
    assert engine(f, x) != "xla"
    assert pb.jit(f)(x).tolist() == [1.0, 3.0, 5.0]


@needs_jaxlib
@pytest.mark.parametrize("problem", ["Unsupported", "RuntimeError"])
def test_what_xla_refuses_runs_elsewhere(monkeypatch, willing, problem):
    from pullback.engines.xla import program

    def refuse(closed, *rest):
        raise RuntimeError("no") if problem == "RuntimeError" else program.Unsupported("this")

    monkeypatch.setattr(program, "compile_program", refuse)
    f = pb.jit(lambda x: x * 2 + 1)
    assert f(jnp.arange(3.0)).tolist() == [1.0, 3.0, 5.0]
    assert f.explain(jnp.arange(3.0)).engine == "native"


@needs_jaxlib
def test_what_native_has_no_code_for_is_tried_on_xla(monkeypatch):
    from pullback.engines.native import program, stored

    def without_code(closed):
        raise program.Unsupported("the operation tanh")

    monkeypatch.setattr(stored, "compile_program", without_code)
    found = pb.jit(lambda x: jnp.tanh(jnp.tanh(x * x) + x) * x).explain(BIG)
    assert found.engine == "xla"
    assert "no code for the operation tanh, and the estimate is" in found.reason
    small = pb.jit(lambda x: jnp.tanh(x)).explain(jnp.ones(3))
    assert (small.engine, small.reason) == (
        "numpy",
        "the native engine has no code for the operation tanh",
    )


# ---- what comes out


def programs():
    x = np.linspace(-2, 2, 12, dtype=np.float32).reshape(3, 4)
    key = pb.random.key(3)
    return {
        "float": (lambda x: jnp.sin(x) @ x.T, (x,)),
        "scalar": (lambda x: x.sum(), (x,)),
        "weak": (lambda x: x * 2 + 1, (1.5,)),
        "integer": (lambda x: (x * 3).astype(int) // 2, (x,)),
        "bool": (lambda x: x > 0, (x,)),
        "complex": (lambda x: jnp.fft.fft2(x), (x,)),
        "bfloat16": (lambda x: x.astype("bfloat16") * 3, (x,)),
        "float8": (lambda x: x.astype("float8_e4m3fn"), (x,)),
        "int4": (lambda x: x.astype("int4"), (x,)),
        "keys": (lambda k: pb.random.split(k, 3), (key,)),
        "random": (lambda k: pb.random.normal(k, (5,)), (key,)),
        "tree": (lambda t: {"a": t["b"] + 1, "c": (t["b"], None)}, ({"b": x},)),
        "empty": (lambda x: x[:0] + 1, (x,)),
        "transposed": (lambda x: x + 1, (x.T,)),
        "constant": (lambda x: x + np.arange(4, dtype=np.float32), (x,)),
        "gather": (lambda x, i: x[i], (x, np.array([2, -1, 0]))),
    }


def plain(x):
    return np.asarray(pb.random.key_data(x) if "key" in str(x.dtype) else x)


@needs_jaxlib
@pytest.mark.parametrize("name", programs())
def test_results_are_those_of_other_engines(willing, name):
    f, args = programs()[name]
    other = "numpy" if name in ("complex", "float8", "int4") else "native"
    auto, wanted = pb.jit(f), pb.jit(f, engine=other)
    assert auto.explain(*args).engine == "xla"
    for _ in range(3):  # through Python, and then through the entry
        got, want = auto(*args), wanted(*args)
        assert pb.tree.structure(got) == pb.tree.structure(want)
        for x, y in zip(pb.tree.leaves(got), pb.tree.leaves(want), strict=True):
            assert type(x) is type(y) is HostArray
            assert (x.aval, x.weak_type) == (y.aval, y.weak_type)
            assert x.devices() == y.devices() and x.sharding == y.sharding
            assert x.committed == y.committed
            a, b = plain(x), plain(y)
            assert a.dtype == b.dtype and a.flags.writeable == b.flags.writeable
            wide = np.complex128 if a.dtype.kind == "c" else np.float64
            np.testing.assert_allclose(a.astype(wide), b.astype(wide), rtol=2e-6, atol=2e-6)


@needs_jaxlib
def test_results_are_ordinary_arrays(willing):
    f = pb.jit(lambda x: x * 2)
    x = jnp.arange(100.0)
    y = f(f(x))
    assert pickle.loads(pickle.dumps(y)).tolist() == (4 * np.arange(100.0)).tolist()
    assert not np.asarray(y).flags.writeable
    own = np.array(y)
    own[0] = 7
    assert y[0] == 0 and y.at[0].set(7)[0] == 7 and y[0] == 0
    assert np.from_dlpack(y)[3] == 12
    y.block_until_ready().delete()
    assert y.is_deleted()
    with pytest.raises(RuntimeError, match="Array has been deleted"):
        f(y)
    assert x[3] == 3


@needs_jaxlib
def test_memory_of_results_outlives_what_made_it(willing):
    def made():
        return np.asarray(pb.jit(lambda x: x + 1)(jnp.zeros(100_000)))

    kept = [made() for _ in range(5)]
    assert all((x == 1).all() for x in kept)


@needs_jaxlib
def test_donated_arguments_stay_as_they_are(willing):
    f = pb.jit(lambda x: x + 1, donate_argnums=0)
    x = jnp.arange(64.0)
    for _ in range(3):
        assert f(x)[1] == 2
    assert not x.is_deleted() and x[1] == 1


@needs_jaxlib
def test_arguments_may_change_after_the_call(willing):
    f = pb.jit(lambda x: x + 1)
    given = np.zeros(1000, np.float32)
    first = f(given)
    given[:] = 5
    assert (np.asarray(first) == 1).all() and (np.asarray(f(given)) == 6).all()


@needs_jaxlib
def test_derivatives_and_batches(willing):
    f = pb.jit(lambda x: jnp.tanh(x) @ x)
    g = pb.jit(lambda x: jnp.tanh(x) @ x, engine="native")
    x = jnp.linspace(0, 1, 5)
    xs = jnp.stack([x, 2 * x])
    for change, at in ((pb.grad, x), (pb.hessian, x), (pb.vmap, xs)):
        np.testing.assert_allclose(change(f)(at), change(g)(at), rtol=1e-5, atol=1e-6)
    nested = pb.jit(lambda x: pb.vmap(pb.grad(f))(x) + f(x[0]))
    assert nested.explain(xs).engine == "xla"
    wanted = pb.vmap(pb.grad(g))(xs) + g(x)
    np.testing.assert_allclose(nested(xs), wanted, rtol=1e-5, atol=1e-6)


@needs_jaxlib
def test_debug_nans_and_disable_jit(willing):
    f = pb.jit(lambda x: jnp.log(x))
    assert np.isnan(f(-1.0))
    with pb.debug_nans(True), pytest.raises(FloatingPointError, match="invalid value"):
        f(-1.0)
    with pb.disable_jit():
        assert float(f(1.0)) == 0


@needs_jaxlib
def test_explain_shows_what_xla_runs(willing):
    found = pb.jit(lambda x: x * 2 + 1).explain(jnp.ones(3))
    assert str(found) == "engine: xla, because a test says so"
    assert "stablehlo.multiply" in found.ir and "HloModule" in found.hlo
    assert found.assembly == ""


@needs_jaxlib
def test_lowered_and_compiled(willing):
    compiled = pb.jit(lambda x: x * 2 + 1).lower(jnp.ones(3)).compile()
    assert compiled(jnp.ones(3)).tolist() == [3, 3, 3]
    assert "flops" in compiled.cost_analysis()


@needs_jaxlib
def test_inside_a_callback_it_is_not_xla(monkeypatch, willing):
    from pullback.engines.xla import lowering, program

    f = pb.jit(lambda x: x * 3)
    x = jnp.arange(3.0)
    f(x)
    monkeypatch.setattr(lowering, "in_callback", lambda: True)
    monkeypatch.setattr(program.Compiled, "__call__", None)
    assert f(x).tolist() == [0, 3, 6]


FORK = """
import os, signal
import numpy as np
import pullback as pb
from pullback.engines import by_itself
by_itself._processors = lambda: 2
pb.config.update("pullback_threads", 2)
f = pb.jit(lambda x: abs(pb.numpy.fft.fft2(x)))
x = pb.numpy.ones((1024, 1024))
assert f.explain(x).engine == "xla"
want = np.asarray(f(x)).sum()
child = os.fork()
if not child:
    signal.alarm(20)  # it would wait for ever
    new = pb.jit(lambda x: abs(pb.numpy.fft.fft2(x)) + 1)
    right = np.isclose(np.asarray(f(x)).sum(), want) and new.explain(x).engine != "xla"
    os._exit(0 if right else 3)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@needs_jaxlib
@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_in_the_copy_of_a_process_it_is_not_xla():
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORK], capture_output=True, text=True, timeout=550
    )
    assert done.stdout.strip() == "0", done.stderr
