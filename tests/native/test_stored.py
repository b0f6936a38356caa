"""Whole kernels on disk: found by what the program is, and run without LLVM in the next process."""

import os
import subprocess
import sys

import numpy as np
import pytest

import pullback
import pullback.numpy as jnp
from pullback import lax
from pullback.core.primitive import CORE, Absent, Primitive
from pullback.engines.native import calling, objects, stored
from pullback.engines.native.program import Unsupported
from pullback.engines.native.signature import LARGE, Unnamed, signature
from pullback.transforms.simplify import simplify


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty cache on disk, and none in memory."""
    monkeypatch.setenv("PULLBACK_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("PULLBACK_KEEPS_PROGRAMS", "1")
    monkeypatch.setattr(objects, "_loaded", type(objects._loaded)())
    return tmp_path / "cache"


@pytest.fixture
def written(monkeypatch):
    """A list that grows by one for each program that is written."""
    made, compile_simplified = [], stored.program.compile_simplified

    def counting(*args):
        made.append(args)
        return compile_simplified(*args)

    class Program:
        pass

    Program.compile_simplified = staticmethod(counting)
    monkeypatch.setattr(stored, "program", Program)
    return made


def compiled(function, *args):
    """A kernel as a function of NumPy arrays, of a program traced anew."""
    return calling.function(stored.compile_program(pullback.make_jaxpr(function)(*args)))


def kernels(folder):
    return sorted(folder.glob("*.kernel"))


X = np.linspace(-2, 2, 100, dtype=np.float32)
BIG = np.arange(8 * LARGE, dtype=np.float32)  # more than is computed beforehand


def tanh_of_products(x):
    return jnp.tanh(x * 3) + jnp.exp(x)


def with_small_constant(x):
    return x + jnp.asarray(np.arange(100, dtype=np.float32))


def with_large_constants(x):
    return jnp.dot(jnp.asarray(BIG), jnp.asarray(BIG[::-1].copy())) + jnp.sum(x)


def of_a_loop(x):
    return lax.fori_loop(0, 5, lambda i, y: jnp.sin(y) + i, x)


def of_matrices(x):
    a = x.reshape(10, 10) + 10 * jnp.eye(10, dtype=jnp.float32)
    return jnp.linalg.solve(a, x[:10]), a @ a


@pytest.mark.parametrize(
    "function",
    [tanh_of_products, with_small_constant, with_large_constants, of_a_loop, of_matrices],
    ids=lambda f: f.__name__,
)
def test_the_second_time_nothing_is_written(folder, written, function):
    first = compiled(function, X)(X)
    assert len(written) == 1 and len(kernels(folder)) == 1
    second = compiled(function, X)(X)
    assert len(written) == 1
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
    want = function(jnp.asarray(X))
    want = want[0] if isinstance(want, tuple) else want
    np.testing.assert_allclose(second[0], np.asarray(want), rtol=2e-4)


def test_what_explain_shows_is_kept(folder, written):
    one, two = (stored.compile_program(pullback.make_jaxpr(tanh_of_products)(X)) for _ in range(2))
    assert len(written) == 1 and one.address != two.address
    assert one.text == two.text and "define i32 @kernel" in two.text
    assert str(one.report) == str(two.report) and one.report.work == two.report.work
    assert (one.arena, one.releases_gil) == (two.arena, two.releases_gil)
    assert two.assembly == one.assembly


def test_values_of_large_constants_are_those_of_this_program(folder, written):
    def times(factor):
        array = jnp.asarray(BIG * factor)
        return compiled(lambda x: array + x[0], X)(X)[0]

    for factor in (1, -3):
        np.testing.assert_array_equal(times(factor), np.float32(factor) * BIG - 2)
    assert len(written) == 1


def test_two_large_constants_are_not_taken_for_one(folder, written):
    def difference(a, b):
        a, b = jnp.asarray(a), jnp.asarray(b)
        return set(compiled(lambda x: a - b + x[0], X)(X)[0].tolist())

    one, other = BIG, BIG + 1
    assert difference(one, one) == {-2}
    assert difference(one, other) == {-3}
    assert difference(other, one) == {-1}
    assert difference(other, other) == {-2}


def test_small_constants_numbers_and_parameters_tell_programs_apart(folder):
    def of(function, *args):
        return signature(simplify(pullback.make_jaxpr(function)(*args)))[0]

    x, y = jnp.ones(50), jnp.ones((5, 10))
    programs = [
        (lambda x: x * 2, x),
        (lambda x: x * 3, x),
        (lambda x: x + 2, x),
        (lambda x: x * 2, jnp.ones(51)),
        (lambda x: x * 2, y),
        (lambda x: x * 2, x.astype(jnp.int32)),
        (lambda x: x * jnp.arange(50.0), x),
        (lambda x: x * jnp.arange(50.0)[::-1], x),
        (lambda y: y.sum(0), y),
        (lambda y: y.sum(1), y),
        (lambda y: y.max(1), y),
        (lambda y: (y, y + 1), y),
        (lambda y: (y + 1, y), y),
        (lambda y: (y + 1, y + 1), y),
        (lambda x: lax.scan(lambda c, _: (c * 2, c), x, None, length=3), x),
        (lambda x: lax.scan(lambda c, _: (c * 2, c), x, None, length=4), x),
        (lambda x: lax.scan(lambda c, _: (c * 3, c), x, None, length=4), x),
        (lambda x: lax.scan(lambda c, _: (c + c, c), x, None, length=4), x),
        (lambda a, b: a - b, x, x),
        (lambda a, b: b - a, x, x),
        (lambda a, b: a - a * b, x, x),
    ]
    texts = [of(*p) for p in programs]
    assert len(set(texts)) == len(texts)
    assert [of(*p) for p in programs] == texts


def test_negative_zero_is_not_zero():
    def of(number):
        return signature(simplify(pullback.make_jaxpr(lambda x: x + number)(X)))[0]

    assert of(np.float32(0.0)) != of(np.float32(-0.0)) and of(np.float32(np.nan))


def test_operations_of_others_are_not_kept(folder, written):
    class Mine(Primitive):
        lower = CORE
        jvp = transpose = vmap = Absent("nobody needs it")

        def typing(self, x):
            return x

        def eval(self, x):
            return x + 1

    mine = Mine()
    closed = pullback.make_jaxpr(mine)(X)
    with pytest.raises(Unnamed):
        signature(simplify(closed))
    with pytest.raises(Unsupported):
        stored.compile_program(closed)
    assert len(written) == 1 and not kernels(folder)


def test_calls_of_python_are_not_kept(folder, written):
    def function(x):
        return jnp.sin(jnp.cos(jnp.abs(jnp.fft.fft(jnp.tanh(x * 2 + 1))) * 3)).sum()

    for _ in range(2):
        kernel = stored.compile_program(pullback.make_jaxpr(function)(X))
        assert "host call of fft" in str(kernel.report)
    assert len(written) == 2 and not kernels(folder)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:-20],
        lambda data: data[:300] + b"\0\0\0\0" + data[304:],
        lambda data: b"something else\n" + data,
    ],
    ids=["empty", "cut short", "changed", "foreign"],
)
def test_a_damaged_kernel_is_made_anew(folder, written, damage):
    want = compiled(tanh_of_products, X)(X)[0]
    (path,) = kernels(folder)
    good = path.read_bytes()
    path.write_bytes(damage(good))
    np.testing.assert_array_equal(compiled(tanh_of_products, X)(X)[0], want)
    assert len(written) == 2
    compiled(tanh_of_products, X)
    assert len(written) == 2


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="files have owners on POSIX only")
def test_a_kernel_that_others_may_write_is_not_used(folder, written):
    compiled(tanh_of_products, X)
    (path,) = kernels(folder)
    os.chmod(path, 0o666)
    compiled(tanh_of_products, X)
    assert len(written) == 2


def test_a_kernel_whose_functions_are_gone_is_made_anew(folder, written, monkeypatch):
    want = compiled(tanh_of_products, X)(X)[0]
    for path in folder.glob("*.o"):
        path.unlink()
    monkeypatch.setattr(objects, "_by_name", {})  # as in another process
    np.testing.assert_array_equal(compiled(tanh_of_products, X)(X)[0], want)


def test_other_sources_make_other_kernels(folder, written, monkeypatch):
    compiled(tanh_of_products, X)
    monkeypatch.setattr(stored, "sources", lambda: b"changed")
    compiled(tanh_of_products, X)
    assert len(written) == 2 and len(kernels(folder)) == 2


def test_sources_are_followed(tmp_path):
    paths = stored._files(os.path.dirname(stored.__file__))
    names = {os.path.basename(p) for p in paths}
    assert {"stored.py", "lowering.py", "structural.py", "exponential.py"} <= names
    assert str(os.stat(stored.__file__).st_mtime_ns).encode() in stored.sources()


def test_an_empty_folder_setting_keeps_nothing(written, monkeypatch):
    monkeypatch.setenv("PULLBACK_KEEPS_PROGRAMS", "1")
    monkeypatch.setenv("PULLBACK_CACHE_DIR", "")
    for _ in range(2):
        compiled(tanh_of_products, X)(X)
    assert len(written) == 2


SECOND = """
import sys
import numpy as np
import pullback, pullback.numpy as jnp
from pullback import lax

x = jnp.asarray(np.linspace(-2, 2, 4000, dtype=np.float32))
table = jnp.asarray(np.arange(4000, dtype=np.float32))

def f(x):
    y = lax.fori_loop(0, 3, lambda i, y: jnp.tanh(y) + jnp.cos(1e6 * y) + i, x)
    z = jnp.sort(y)[:4] + pullback.random.normal(pullback.random.key(0), (4,))
    return (y * table).sum(), z, jnp.cumsum(y)[-1]

print(*[float(v) for leaf in pullback.jit(f, engine="native")(x) for v in np.ravel(leaf)])
print("llvmlite" in sys.modules, "pullback.engines.native.lowering" in sys.modules)
"""


def test_a_second_process_needs_no_llvm(tmp_path):
    found = []
    for _ in range(2):
        run = subprocess.run(
            [sys.executable, "-c", SECOND],
            env={
                **os.environ,
                "PULLBACK_CACHE_DIR": str(tmp_path),
                "PULLBACK_KEEPS_PROGRAMS": "1",
            },
            capture_output=True,
            text=True,
            check=True,
        )
        found.append(run.stdout.splitlines())
    assert found[0][0] == found[1][0]
    assert found[0][1] == "True True"
    if sys.platform == "linux" and os.uname().machine == "x86_64":
        assert found[1][1] == "False False"
