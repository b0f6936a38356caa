"""The entry of jitted functions: which calls it takes, what it returns, what it leaves behind."""

import copy
import functools
import gc
import inspect
import os
import pickle
import subprocess
import sys
import sysconfig
import threading
import weakref
from collections import OrderedDict, namedtuple
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import pytest

import pullback
import pullback.numpy as jnp
from pullback import config, grad, vmap
from pullback.core.array import HostArray
from pullback.core.pytree import flatten, flatten_call
from pullback.core.settings import combination
from pullback.core.types import array_type
from pullback.engines.native import calling, entry, layout, machine
from pullback.engines.native.entry_plan import KEPT_SCRATCH, STACK_ARENA, Call, Plan
from pullback.engines.native.kernel import Kernel

native = functools.partial(pullback.jit, engine="native")


def plans(f):
    programs = f._calls.programs()
    return [] if programs is None else programs.plans


def quick(f):
    """How many calls of `f` the entry has done."""
    return sum(plan.calls for plan in plans(f))


def warm(f, *args, **kwargs):
    """`f`, called until its entry has a program for such calls."""
    for _ in range(2):
        f(*args, **kwargs)
    return f


@pytest.fixture(autouse=True)
def with_the_entry_at_hand():
    """Loaded: then programs of the NumPy engine go through it from their second call on."""
    assert entry.why_not() == ""


@pytest.fixture(params=["entry", "ctypes"])
def way(request, monkeypatch):
    """The same calls with the entry, and where there is none."""
    if request.param == "ctypes":
        monkeypatch.setattr(entry, "why_not", lambda: "the test forbids it")
    return request.param


def took(way, f, count):
    """Whether the entry did `count` calls, if there is one."""
    return quick(f) == (count if way == "entry" else 0)


# ---- hand-written kernels


def loaded(body, shapes, outs, arena=0, releases=False, errors=()):
    """A kernel from the lines of its function: f32 arrays of these shapes."""
    head = "define i32 @kernel(ptr %in, ptr %out, ptr %arena) {"
    text = "declare i32 @usleep(i32)\n" + "\n".join([head, *body, "}"])
    code = machine.load(machine.assemble(text), {}, ["kernel"])
    return Kernel(
        code.addresses["kernel"],
        arena,
        [array_type(s, np.dtype(np.float32)) for s in shapes],
        [array_type(s, np.dtype(np.float32)) for s in outs],
        releases_gil=releases,
        written=lambda: text,
        keeps=[code],
        errors=dict(errors),
    )


def copying(shapes=((),), outs=((),), **options):
    """The first number of each input, plus 1, to the first place of each result."""
    lines = []
    for i in range(len(outs)):
        lines += [
            f"%p{i} = getelementptr ptr, ptr %in, i64 {i}",
            f"%x{i} = load ptr, ptr %p{i}",
            f"%f{i} = load float, ptr %x{i}",
            f"%g{i} = fadd float %f{i}, 1.0",
            f"%q{i} = getelementptr ptr, ptr %out, i64 {i}",
            f"%y{i} = load ptr, ptr %q{i}",
            f"store float %g{i}, ptr %y{i}",
        ]
    return loaded([*lines, "ret i32 0"], shapes, outs, **options)


def function(kernel, *args, out=0.0, **kwargs):
    """The entry of one kernel, its plan, and the calls that it refused."""
    refused = []
    tree = flatten_call(args, kwargs)[1]
    call = Call(tree, flatten(out)[1], len(args), tuple(kwargs))
    plan = Plan(kernel, call, combination(), calling.failed(kernel))
    f, programs = entry.entry(lambda *a, **k: refused.append((a, k)))
    programs.add(plan)
    return f, plan, refused


def test_the_layout_is_known_here():
    found = layout.find()
    assert isinstance(found, layout.Layout), found
    assert entry.why_not() == ""


@pytest.mark.parametrize("threads", [True, False])
def test_other_layouts_are_refused(monkeypatch, threads):
    if threads:
        monkeypatch.setattr(sysconfig, "get_config_var", lambda name: 1)
    else:
        monkeypatch.setattr(layout, "slot", lambda kind, name: 16)
    layout.find.cache_clear()
    try:
        assert "lock" in entry.why_not() if threads else "layout" in entry.why_not()
        f = warm(native(lambda x: x + 1), jnp.ones(3))
        assert f(jnp.ones(3)).tolist() == [2, 2, 2]
        assert plans(f) == []
        with pytest.raises(RuntimeError, match="no entry"):
            monkeypatch.setattr(entry, "_method", None)
            entry.entry(print)
    finally:
        monkeypatch.undo()
        layout.find.cache_clear()


# ---- arguments


class Point(NamedTuple):
    x: object
    y: object


Pair = namedtuple("Pair", "first second")


class Doubled(Pair):
    def __new__(cls, first, second):
        return super().__new__(cls, second, first)


TREES = {
    "tuple": lambda a, b: (a, b),
    "list": lambda a, b: [a, [b]],
    "dict": lambda a, b: {"w": a, "b": b},
    "numbers as keys": lambda a, b: {3: a, 1: (b, None)},
    "named": lambda a, b: Point(a, Pair(b, None)),
    "nested": lambda a, b: [{"l": (a, {"m": b})}, (), [], {}, None],
    "one": lambda a, b: a + b,
}
PYTHONS = {
    "ordered": lambda a, b: OrderedDict(w=a, b=b),
    "own class": Doubled,
}


def same(found, wanted):
    a, b = flatten(found), flatten(wanted)
    return a[1] == b[1] and all(
        type(x) is HostArray and x.dtype == y.dtype and np.array_equal(x, y)
        for x, y in zip(a[0], b[0], strict=True)
    )


@pytest.mark.parametrize("name", [*TREES, *PYTHONS])
def test_containers(name, way):
    make = {**TREES, **PYTHONS}[name]
    a, b = np.arange(6, dtype=np.float32).reshape(2, 3), np.float32(2)
    given = make(jnp.array(a), jnp.array(b))
    f = native(lambda tree: (pullback.tree.map(lambda x: x * 2 + 1, tree), tree))
    doubled = pullback.tree.map(lambda x: x * 2 + 1, make(a, b))
    for _ in range(4):
        found = f(given)
        assert same(found, (doubled, make(a, b)))
    assert took(way, f, 0 if name == "ordered" else 2)


def test_a_result_in_a_container_of_another_kind_is_finished_in_python(way):
    f = native(lambda x: OrderedDict(b=x + 1, a=(x, x * 2)))
    for _ in range(3):
        found = f(jnp.ones(2))
        assert type(found) is OrderedDict and list(found) == ["b", "a"]
        assert found["a"][1].tolist() == [2, 2]
    assert took(way, f, 1)


def test_dicts_have_sorted_keys_whatever_the_order(way):
    f = warm(native(lambda d: {"z": d["b"], "a": d["a"] * 2}), {"a": 1.0, "b": jnp.ones(2)})
    for order in ("ab", "ba"):
        values = {"a": 3.0, "b": jnp.ones(2)}
        found = f({k: values[k] for k in order})
        assert list(found) == ["a", "z"]
        assert float(found["a"]) == 6
    assert took(way, f, 2)


WRONG = [
    {"a": 1.0},
    {"a": 1.0, "c": 2.0},
    {"a": 1.0, "b": 2.0, "c": 3.0},
    {"a": (1.0,), "b": 2.0},
    {"a": None, "b": 2.0},
    OrderedDict(a=1.0, b=2.0),
    [1.0, 2.0],
    1.0,
]


@pytest.mark.parametrize("tree", WRONG, ids=str)
def test_another_tree_is_another_program(tree):
    f = warm(native(lambda t: pullback.tree.map(lambda x: x + 1, t)), {"a": 1.0, "b": 2.0})
    found, wanted = f(tree), pullback.tree.map(lambda x: jnp.float32(x + 1), tree)
    assert pullback.tree.structure(found) == pullback.tree.structure(wanted)
    assert pullback.tree.leaves(found) == pullback.tree.leaves(wanted)
    assert quick(f) == 0
    f({"a": 1.0, "b": 2.0})
    assert quick(f) == 1


BASE = np.arange(24, dtype=np.float32)
ARRAYS = {
    "strided": BASE.reshape(4, 6)[:, ::2],
    "transposed": BASE[:12].reshape(3, 4).T,
    "reversed": BASE[:12].reshape(4, 3)[::-1],
    "read-only": np.broadcast_to(np.float32(3), (4, 3)),
    "unaligned": np.frombuffer(b"x" + BASE[:12].tobytes(), np.uint8)[1:]
    .view(np.float32)
    .reshape(4, 3),
}


@pytest.mark.parametrize("wrapped", [True, False])
@pytest.mark.parametrize("name", ARRAYS)
def test_memory_layouts(name, wrapped, way):
    a = ARRAYS[name]
    x = HostArray(a) if wrapped else a
    f = warm(native(lambda x, s: x * s), np.ones((4, 3), np.float32), 2.0)
    assert np.array_equal(f(x, 2.0), a * 2)
    assert took(way, f, 1)


def test_empty_arrays_and_axes_of_length_one(way):
    for shape in ((0,), (3, 0, 2), (1,), (1, 1, 4)):
        f = native(lambda x: (x + 1, x.shape[0]))
        for _ in range(3):
            assert np.array_equal(f(np.ones(shape, np.float32))[0], np.full(shape, 2))
        assert took(way, f, 1)


@pytest.mark.parametrize(
    "given", [2.5, np.float32(2.5), np.array(2.5, np.float32), jnp.float32(2.5), jnp.array(2.5)]
)
def test_numbers(given, way):
    f = native(lambda x: x + 1)
    for _ in range(3):
        found = f(given)
        assert float(found) == 3.5 and found.dtype == np.float32
        assert found.weak_type == pullback.typeof(given).weak_type
    assert took(way, f, 1)


@pytest.mark.parametrize("x64", [False, True])
@pytest.mark.parametrize("given", [True, False, 7, -1, 2.25, -1e300, float("nan")], ids=str)
def test_python_numbers(given, x64, way):
    with pullback.enable_x64(x64):
        f = native(lambda x: jnp.array([x, x]))
        wanted = np.asarray(jnp.array([given, given]))
        for _ in range(3):
            found = np.asarray(f(given))
            assert found.dtype == wanted.dtype
            assert np.array_equal(found, wanted, equal_nan=True)
        assert took(way, f, 1)


@pytest.mark.parametrize("x64", [False, True])
def test_complex_numbers(x64, way):
    with pullback.enable_x64(x64):
        f = native(lambda x: x + 1)
        for _ in range(3):
            assert complex(f(1.5 - 2j)) == 2.5 - 2j
        assert took(way, f, 1)


def test_integers_that_do_not_fit():
    f = warm(native(lambda x: x + 1), 3)
    assert int(f(2**31 - 2)) == 2**31 - 1
    assert int(f(-(2**31))) == -(2**31) + 1
    for x in (2**31, -(2**31) - 1, 2**63, 2**64, -(2**70)):
        with pytest.raises(OverflowError):
            f(x)
    assert int(f(1)) == 2


def test_bool_is_not_int_and_a_float_of_numpy_is_not_pythons():
    f = warm(native(lambda x: x * 2), 3)
    assert quick(f) == 0
    assert f(True).dtype == np.int32 and quick(f) == 0
    g = warm(native(lambda x: x * 2), 3.0)
    found = g(np.float64(3))
    assert found.dtype == np.float32 and not found.weak_type


def test_arrays_of_other_types():
    f = warm(native(lambda x: x * 2), np.ones(3, np.float32))
    before = quick(f)
    for other in (np.ones(3, np.int32), np.ones((3, 1), np.float32), np.ones(3, np.float16)):
        found = f(other)
        assert np.array_equal(found, other * 2) and found.dtype == other.dtype
    assert quick(f) == before
    assert f(jnp.ones(4)).shape == (4,)
    with pytest.raises(TypeError, match="not a valid array"):
        f("text")
    with pytest.raises(TypeError, match="not a valid array"):
        f(object())


@pytest.mark.parametrize("name", ["float64", "int64", "uint64", "complex128"])
def test_numbers_of_64_bits_become_those_of_32(name, way):
    f = native(lambda x: x + 1)
    for order in "CF":
        given = np.arange(6).reshape(2, 3).astype(name, order)
        wanted = pullback.jit(lambda x: x + 1, engine="numpy")(given)
        for _ in range(3):
            found = f(given)
            assert found.dtype == wanted.dtype and np.array_equal(found, wanted)
    assert took(way, f, 4)
    with pullback.enable_x64(True):
        assert f(given).dtype == np.dtype(name)


def test_a_subclass_of_ndarray_goes_through_python():
    f = warm(native(lambda x: x * 2), np.ones((2, 2), np.float32))
    matrix = np.ones((2, 2), np.float32).view(np.recarray)
    assert np.array_equal(f(matrix), np.full((2, 2), 2))
    assert quick(f) == 0


def test_keywords(way):
    f = native(lambda x, *, y, z=1.0: x + 2 * y + 3 * z)
    for _ in range(3):
        assert float(f(1.0, y=2.0)) == 8
        assert float(f(1.0, z=1.0, y=2.0)) == 8
        assert float(f(1.0, y=3.0, z=4.0)) == 19
    assert took(way, f, 3 * 3 - 1 - 3)
    with pytest.raises(TypeError):
        f(1.0)
    with pytest.raises(TypeError):
        f(1.0, y=1.0, q=2.0)


def test_static_arguments(way):
    traced = []

    @functools.partial(native, static_argnums=1, static_argnames="how")
    def f(x, n, how="up"):
        traced.append((n, how))
        return x * n if how == "up" else x - n

    for _ in range(3):
        assert float(f(2.0, 3)) == 6
        assert float(f(2.0, 4)) == 8
        assert float(f(2.0, 4.0)) == 8
        assert float(f(2.0, 4, how="do" + "wn"[:2])) == -2
        assert float(f(2.0, 10**9, "".join(["u", "p"]))) == 2e9
    assert len(traced) == 5
    assert took(way, f, 10 - 1 + 0)


def test_static_values_of_other_types(way):
    class Size:
        def __init__(self, n):
            self.n = n

        def __eq__(self, other):
            return self.n == other.n

        def __hash__(self):
            return hash(self.n)

    f = native(lambda x, s: x * s.n, static_argnums=1)
    for n in (2, 3, 2, 3, 2, 3):
        assert float(f(1.0, Size(n))) == n
    assert f._cache_size() == 2
    assert took(way, f, 3)
    shape = native(lambda x, s: jnp.zeros(s) + x, static_argnums=1)
    for s in ((2, 3), (3, 2), (2, 3), (3, 2)):
        assert shape(1.0, tuple(list(s))).shape == s
    with pytest.raises(ValueError, match="non-hashable"):
        shape(1.0, [2, 3])


def test_methods(way):
    class Model:
        def __init__(self, w):
            self.w = w

        @functools.partial(native, static_argnums=0)
        def step(self, x):
            return x * self.w

    one, two = Model(2.0), Model(3.0)
    for _ in range(3):
        assert float(one.step(1.0)) == 2
        assert float(two.step(1.0)) == 3
    assert took(way, Model.step, 3)


# ---- results


def test_results_are_arrays_of_their_own(way):
    x = np.ones(4, np.float32)
    f = warm(native(lambda x: (x, x, x * 2, 5.0)), x)
    a, b, c, d = f(x)
    for y in (a, b, c):
        assert y._value.flags.owndata and y._value.base is None
        assert not any(
            np.shares_memory(y._value, z) for z in (x, *[t._value for t in (a, b, c) if t is not y])
        )
    assert type(d._value) is np.float32 and d.weak_type
    for y in (a, b, c, d):
        assert type(y) is HostArray
        assert y.aval is array_type(y._value.shape, y._value.dtype, y.weak_type)
    assert (a + 1).tolist() == [2, 2, 2, 2]
    x[0] = 9
    assert a.tolist() == [1, 1, 1, 1]


def test_results_of_every_dtype(way):
    small = "bool int8 int16 int32 uint8 uint16 uint32 float16 bfloat16 float32 complex64"
    with pullback.enable_x64(True):
        for name in (small + " int64 uint64 float64 complex128").split():
            dtype = jnp.dtype(name)
            f = native(lambda x: (x, x[0]))
            x = jnp.array([1, 0], dtype)
            for _ in range(3):
                whole, first = f(x)
                assert whole.dtype == first.dtype == dtype
                assert whole.tolist() == [1, 0] and first.tolist() == 1
                assert isinstance(first._value, np.generic)
            assert took(way, f, 1)


# ---- settings, transformations, threads


def test_settings_that_change_programs():
    f = warm(native(lambda x: jnp.sum(x) * jnp.arange(2)[1]), jnp.ones(3))
    assert f(jnp.ones(3)).dtype == np.float32 and quick(f) == 1
    with pullback.enable_x64(True):
        x = jnp.ones(3)
        assert [f(x).dtype for _ in range(3)] == [np.float64] * 3
        fast = quick(f)
        assert f(np.ones(3)).dtype == np.float64 and quick(f) == fast + 1
    assert f(np.ones(3)).dtype == np.float32
    assert f(jnp.ones(3)).dtype == np.float32 and quick(f) == fast + 2


def test_debugging_and_no_jit():
    seen = []

    def f(x):
        seen.append(type(x))
        return jnp.log(x)

    g = warm(native(f), jnp.ones(2))
    assert len(seen) == 1
    with pullback.debug_nans(True), pytest.raises(FloatingPointError):
        g(-jnp.ones(2))
    assert len(seen) == 2  # a program that knows the user's lines
    assert np.isnan(g(-jnp.ones(2))).all()
    with pullback.disable_jit():
        g(jnp.ones(2))
    assert seen[2:] == [HostArray]
    g(jnp.ones(2))
    assert len(seen) == 3
    config.update("jax_debug_nans", True)
    try:
        with pytest.raises(FloatingPointError):
            g(-jnp.ones(2))
    finally:
        config.update("jax_debug_nans", False)
    before = quick(g)
    g(jnp.ones(2))
    g(jnp.ones(2))
    assert quick(g) == before + 1


def test_the_engine_is_a_setting_too():
    f = pullback.jit(lambda x: x + 1)
    config.update("pullback_engine", "native")
    try:
        warm(f, 1.0)(1.0)
        assert quick(f) == 1
        config.update("pullback_engine", "numpy")
        f(1.0)
        assert quick(f) == 1
    finally:
        config.update("pullback_engine", "auto")
    with pytest.raises(ValueError, match="pullback_engine"):
        config.update("pullback_engine", "abacus")


def test_a_thread_may_have_its_own_settings():
    f = warm(native(lambda x: x * 2), jnp.ones(2))
    steps = threading.Barrier(2, timeout=500)
    found = []

    def other():
        with pullback.enable_x64(True):
            found.extend(f(np.ones(2)).dtype for _ in range(4))
            steps.wait()
            steps.wait()
            found.append(f(np.ones(2)).dtype)
        found.append(f(np.ones(2)).dtype)

    thread = threading.Thread(target=other)
    thread.start()
    steps.wait()
    config.update("jax_debug_infs", True)
    try:
        with pytest.raises(FloatingPointError):
            f(jnp.full(2, np.inf))
        assert f(np.ones(2)).dtype == np.float32
    finally:
        config.update("jax_debug_infs", False)
    steps.wait()
    thread.join()
    assert found == [np.float64] * 5 + [np.float32]


def test_an_update_reaches_threads_that_override():
    f = warm(native(lambda x: jnp.log(x)), 1.0)
    steps = threading.Barrier(2, timeout=500)
    found = []

    def other():
        with pullback.enable_x64(True):
            for _ in range(3):
                f(1.0)
            steps.wait()
            steps.wait()
            try:
                f(-1.0)
            except FloatingPointError:
                found.append("seen")

    thread = threading.Thread(target=other)
    thread.start()
    steps.wait()
    config.update("jax_debug_nans", True)
    steps.wait()
    thread.join()
    config.update("jax_debug_nans", False)
    assert found == ["seen"]


def test_transformations_take_their_own_way():
    f = warm(native(lambda x: jnp.sum(x * x)), jnp.ones(3))
    assert grad(f)(jnp.ones(3)).tolist() == [2, 2, 2]
    assert vmap(f)(jnp.ones((2, 3))).tolist() == [3, 3]
    assert "jit[" in str(pullback.make_jaxpr(f)(jnp.ones(3)))
    outer = warm(native(lambda x: f(x) + f(jnp.ones(3))), jnp.ones(3))
    assert float(outer(jnp.ones(3))) == 6
    before = quick(f)

    def inside(x):
        # Not traced itself, but called while a program is written.
        assert isinstance(f(jnp.ones(3)), pullback.Array)
        return x

    text = str(pullback.make_jaxpr(inside)(1.0))
    assert text.count("jit[") == 1 and quick(f) == before
    kept = []
    pullback.make_jaxpr(lambda x: kept.append(x) or x)(jnp.ones(3))
    with pytest.raises(pullback.errors.UnexpectedTracerError):
        f(kept[0])


def test_named_axes_in_scope():
    def body(x):
        with pullback.ensure_compile_time_eval():
            return x * 1

    f = warm(native(lambda x: x + 1), 1.0)
    assert vmap(lambda x: f(body(x)), axis_name="i")(jnp.ones(2)).tolist() == [2, 2]


def test_a_transformation_in_another_thread_changes_nothing_here():
    f = warm(native(lambda x: x * x), 3.0)
    entered, leave = threading.Event(), threading.Event()

    def traced(x):
        entered.set()
        assert leave.wait(500)
        return f(x)

    with ThreadPoolExecutor(1) as pool:
        there = pool.submit(grad(traced), 3.0)
        assert entered.wait(500)
        before = quick(f)
        assert float(f(4.0)) == 16 and quick(f) == before + 1
        leave.set()
        assert float(there.result()) == 6


def test_many_threads(way):
    f = native(lambda t: {k: v * 2 for k, v in t.items()})
    start = threading.Barrier(8, timeout=500)

    def work(k):
        start.wait()
        for i in range(200):
            x = np.full(3 + k % 3, i, np.float32)
            found = f({"a": x, "b": float(i)})
            assert np.array_equal(found["a"], x * 2) and float(found["b"]) == 2 * i
        return True

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(8)))


def test_programs_are_forgotten_while_others_run_them():
    f = native(lambda t: {"y": t["x"] * 2, "n": (t["x"].sum(),)})
    slow = loaded(["%w = call i32 @usleep(i32 200)", "ret i32 0"], [(3,)], [(3,)], releases=True)
    g, _, _ = function(slow, jnp.ones(3))
    stop = threading.Event()

    def work(_):
        combination()
        count = 0
        while not stop.is_set():
            x = np.full(3, count, np.float32)
            found = f({"x": x})
            assert found["y"].tolist() == [2 * count] * 3 and float(found["n"][0]) == 3 * count
            g(x)
            count += 1
        return count

    with ThreadPoolExecutor(3) as pool:
        counts = pool.map(work, range(3))
        for i in range(60):
            f.clear_cache() if i % 3 else config.update("jax_log_compiles", False)
            with pullback.enable_x64(True):
                f({"x": np.ones(i % 5)})
        stop.set()
        assert all(n > 0 for n in counts)


def test_a_function_that_is_jitted_anew_for_each_call(way):
    traced = []

    def f(x):
        traced.append(x)
        return {"y": x + 1}

    for i in range(5):
        assert float(native(f)(float(i))["y"]) == i + 1
    with pullback.debug_nans(True), pytest.raises(FloatingPointError):
        native(f)(float("nan"))
    with pullback.enable_x64(True):
        assert native(f)(1.0)["y"].dtype == np.float64
    assert float(native(f)(1.0)["y"]) == 2
    assert len(traced) == 3  # that for debug_nans knows the user's lines


def test_a_program_is_compiled_once(monkeypatch):
    from pullback.engines.native import stored

    made, compile_program = [], stored.compile_program

    def slow(closed):
        made.append(closed)
        return compile_program(closed)

    monkeypatch.setattr(stored, "compile_program", slow)
    closed = pullback.make_jaxpr(lambda x: x + 3)(1.0)
    from pullback.engines.choice import choose

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: choose(closed, "native"), range(8)))
    assert len(made) == 1 and all(c is found[0] for c in found)


# ---- memory and errors


def test_reference_counts_stay(way):
    x, y = jnp.ones(3), np.ones((2, 2), np.float32)
    tree = {"a": x, "b": [y, 2.0], "c": Point(x, None)}
    f = warm(native(lambda t: (t["a"] * 2, [t["b"]], Point({"z": 1.0 * t["b"][1]}, ()))), tree)
    types = [t for p in flatten(f(tree))[0] for t in (p.aval,)]
    counted = [x, x._value, y, tree, tree["b"], tree["c"], Point, HostArray, np.ndarray, *types]
    counted += [np.dtype(np.float32), np.float32, x.aval, True, None]
    gc.collect()
    before = [sys.getrefcount(o) for o in counted]
    for _ in range(1000):
        f(tree)
    gc.collect()
    after = [sys.getrefcount(o) for o in counted]
    assert all(abs(a - b) < 20 for a, b in zip(after, before, strict=True)), (before, after)


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


def leaks(count):
    tree = {"w": jnp.ones((8, 8)), "b": jnp.ones(8), "s": 2.0}
    f = warm(native(lambda t: ({k: v * 2 for k, v in t.items()}, [t["b"].sum()])), tree)
    wrong = {"w": jnp.ones((8, 8))[:, ::-1], "b": np.ones(8, np.float32), "s": jnp.float32(2)}
    warm(f, wrong)
    big = warm(native(lambda x: (x + 1).sum(0)), jnp.ones((64, 64)))

    def work(n):
        for _ in range(n):
            f(tree)
            f(wrong)
            big(jnp.ones((64, 64)))

    work(count // 10)
    gc.collect()
    before = resident()
    work(count)
    gc.collect()
    return resident() - before


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_no_leak():
    assert leaks(30_000) < 1 << 20  # a reference lost in each call would be 1.4 MB or more


@pytest.mark.fuzz
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_no_leak_in_a_million_calls():
    assert leaks(1_000_000) < 4 << 20


def test_a_kernel_that_fails(way):
    kernel = loaded(["ret i32 3"], [(), (4,)], [(4,), ()], errors={3: "an index is out of bounds"})
    x = jnp.ones(4)
    if way == "entry":
        f, plan, _ = function(kernel, jnp.float32(1), x, out=(0, 0))
    else:
        f, plan = calling.function(kernel), None
    given = (jnp.float32(1), x) if plan else (np.float32(1), x._value)
    gc.collect()
    before = sys.getrefcount(given[1])
    for _ in range(100):
        with pytest.raises(pullback.errors.JaxRuntimeError, match="index is out of bounds"):
            f(*given)
    gc.collect()
    assert sys.getrefcount(given[1]) - before < 3  # the last traceback may hold it


def test_no_memory_for_a_result():
    huge = array_type((1 << 40, 1 << 15), np.dtype(np.float32))
    kernel = copying([(2,)], [(2,), (2,)])
    kernel.out_types[1] = huge
    f, plan, _ = function(kernel, jnp.ones(2), out=(0, 0))
    x = jnp.ones(2)
    before = sys.getrefcount(plan), sys.getrefcount(x._value)
    for _ in range(50):
        with pytest.raises(MemoryError):
            f(x)
    assert (sys.getrefcount(plan), sys.getrefcount(x._value)) == before
    assert plan.calls == 0


def test_no_memory_for_scratch():
    kernel = copying([(2,)], [(2,)], arena=1 << 60)
    f, _, _ = function(kernel, jnp.ones(2))
    for _ in range(3):
        with pytest.raises(MemoryError):
            f(jnp.ones(2))


@pytest.mark.parametrize("arena", [0, 100, STACK_ARENA, STACK_ARENA + 1, 1 << 20, KEPT_SCRATCH + 8])
@pytest.mark.parametrize("releases", [False, True])
def test_scratch_memory(arena, releases):
    fill = [
        "%a = ptrtoint ptr %arena to i64",
        "%off = and i64 %a, 63",
        "%code = trunc i64 %off to i32",
        f"call void @llvm.memset.p0.i64(ptr %arena, i8 7, i64 {min(arena, 1 << 15)}, i1 false)",
        "ret i32 %code",
    ]
    kernel = loaded(fill, [()], [()], arena=arena, releases=releases)
    f, plan, _ = function(kernel, jnp.float32(1))
    with ThreadPoolExecutor(4, initializer=combination) as pool:
        list(pool.map(lambda _: [f(jnp.float32(1)) for _ in range(50)], range(4)))
    assert plan.calls == 200


def test_other_threads_run_while_a_kernel_does():
    lines = [
        "%p = load ptr, ptr %in",
        "%w = call i32 @usleep(i32 2000000)",
        "%x = load float, ptr %p",
        "%y = load ptr, ptr %out",
        "store float %x, ptr %y",
        "ret i32 0",
    ]
    kernel = loaded(lines, [(100_000,)], [()], releases=True)
    box = [np.full(100_000, 5, np.float32)]
    f, _, _ = function(kernel, box)
    gone = weakref.ref(box[0])
    with ThreadPoolExecutor(1, initializer=combination) as pool:
        there = pool.submit(f, box)
        while kernel_is_waiting := not there.done():
            if sys.getrefcount(box) < 3:
                continue
            box.clear()
            break
        assert kernel_is_waiting, "the lock was not released"
        assert float(there.result()) == 5
    assert gone() is None


def test_objects_without_a_value_are_left_to_python():
    f, plan, refused = function(copying(), jnp.float32(1))
    empty = HostArray.__new__(HostArray)
    f(empty)
    assert len(refused) == 1 and plan.calls == 0
    assert float(f(jnp.float32(1))) == 2


def test_very_many_arrays(way):
    tree = {
        "a": [float(i) for i in range(700)],
        "b": tuple(np.ones((2, 2), np.float32) for _ in range(200)),
    }
    f = native(lambda t: {"a": t["a"][::-1], "b": [y * 2 for y in t["b"]]})
    for _ in range(3):
        found = f(tree)
        assert [float(y) for y in found["a"]] == tree["a"][::-1]
        assert all(y.tolist() == [[2, 2], [2, 2]] for y in found["b"])
    assert took(way, f, 1)


def test_threads_with_little_stack():
    f = warm(native(lambda t: [x + 1 for x in t]), [1.0] * 150)
    before = threading.stack_size(1 << 16)
    try:
        found = []

        def work():
            found.extend(f([1.0] * 150) for _ in range(3))

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        threading.stack_size(before)
    assert [float(y[149]) for y in found] == [2] * 9 and quick(f) >= 6


def test_more_types_than_an_entry_tries():
    f = native(lambda x: x + 1)
    for _ in range(3):
        for n in range(entry.MOST_PROGRAMS + 4):
            assert f(jnp.ones(n)).shape == (n,)
    assert len(plans(f)) == entry.MOST_PROGRAMS


def test_forgetting_programs():
    traced = []

    def f(x):
        traced.append(x)
        return x + 1

    for forget in (lambda g: g.clear_cache(), lambda g: pullback.clear_caches()):
        g = warm(native(f), 1.0)
        count = len(traced)
        g(1.0)
        assert len(traced) == count
        forget(g)
        assert plans(g) == []
        warm(g, 1.0)(1.0)
        assert len(traced) == count + 1 and quick(g) >= 1


def test_functions_are_freed_without_the_collector():
    def f(x):
        return x + 1

    g = warm(native(f), 1.0)
    known = weakref.ref(plans(g)[0]), weakref.ref(g), weakref.ref(f)
    gc.disable()
    try:
        del f, g
        assert [r() for r in known] == [None] * 3
    finally:
        gc.enable()


AT_THE_END = """
import builtins, sys
import pullback, pullback.numpy as jnp

class Caller:
    def __init__(self):
        self.f, self.x = pullback.jit(lambda t: [t[0] * 2 + 1], engine="native"), jnp.ones(3)
        for _ in range(3):
            self.f([self.x])
        self.plan = self.f._calls.programs().plans[0]

    def __del__(self):
        before = self.plan.calls
        print(self.f([self.x])[0]._value.tolist(), self.plan.calls - before, flush=True)

builtins.kept = Caller()
sys.kept = Caller()
kept = Caller()
kept.cycle = kept
"""


def test_calls_while_the_interpreter_ends():
    run = subprocess.run(
        [sys.executable, "-c", AT_THE_END], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    # Objects that are kept in builtins may find no print any more.
    assert set(run.stdout.splitlines()) == {"[3.0, 3.0, 3.0] 1"}, run.stderr


# ---- random trees


def a_leaf(rng):
    """An argument, and what it is as an array of NumPy's."""
    n, m = rng.integers(0, 4, 2)
    array = np.round(rng.normal(size=(n, m)), 2).astype(np.float32)
    number = float(rng.integers(-9, 9))
    kinds = (
        lambda: jnp.array(array),
        lambda: array,
        lambda: array.T,
        lambda: HostArray(np.stack([array, array], 1)[:, 0]),
        lambda: array.astype(np.float64),
        lambda: np.float32(number),
        lambda: jnp.float32(number),
        lambda: np.array(number, np.float32),
        lambda: number,
        lambda: int(number),
        lambda: bool(number > 0),
        lambda: complex(number, 1),
        lambda: jnp.arange(n),
        lambda: np.arange(m, dtype=np.int8),
    )
    return kinds[rng.integers(len(kinds))]()


def a_tree(rng, depth):
    """A random tree: a description from which equal trees with other leaves can be made."""
    kind = rng.integers(8) if depth else 0
    if kind < 2:
        return a_leaf(rng)
    parts = [a_tree(rng, depth - 1) for _ in range(rng.integers(0, 4))]
    if kind == 2:
        return None if rng.integers(2) else OrderedDict(b=a_leaf(rng), a=None)
    if kind == 3:
        return Point(a_tree(rng, depth - 1), a_tree(rng, depth - 1))
    if kind < 6:
        return tuple(parts) if kind == 4 else parts
    keys = rng.permutation(["w", "b", "long name", "x"])[: len(parts)]
    return {str(k): part for k, part in zip(keys, parts, strict=True)}


def turned(tree):
    """The same with containers turned inside out: other trees as results."""
    if type(tree) is tuple:
        return [turned(x) for x in reversed(tree)]
    if type(tree) is list:
        return tuple([turned(x) for x in tree])
    if type(tree) is dict:
        return {k + "'": (turned(v), None) for k, v in tree.items()}
    if type(tree) is Point:
        return Point(turned(tree.y), turned(tree.x))
    return tree if tree is None or type(tree) is OrderedDict else (tree, tree + tree)


def random_calls(seed, calls):
    """Functions of random trees: what the entry gives is what NumPy gives."""
    rng = np.random.default_rng(seed)
    for _ in range(calls):
        args = [a_tree(rng, 3) for _ in range(rng.integers(0, 4))]
        named = {k: a_tree(rng, 2) for k in "pq"[: rng.integers(0, 3)]}

        def f(*args, **named):
            return turned((args, named))

        wanted = pullback.jit(f, engine="numpy")(*args, **named)
        g = native(f)
        for _ in range(4):
            found = g(*args, **named)
            assert pullback.tree.structure(found) == pullback.tree.structure(wanted)
            for x, y in zip(pullback.tree.leaves(found), pullback.tree.leaves(wanted), strict=True):
                assert x.aval is y.aval and np.array_equal(x, y), (args, named)


@pytest.mark.parametrize("seed", range(3))
def test_random_trees(seed):
    random_calls(seed, 10)


@pytest.mark.fuzz
@pytest.mark.parametrize("seed", range(100, 120))
def test_many_random_trees(seed):
    random_calls(seed, 100)


# ---- what jit returns, as an object


def module_function(x, y=1.0):
    """Twice x and y."""
    return x * 2 + y


def test_it_is_still_an_ordinary_object():
    f = native(module_function)
    for _ in range(3):
        assert callable(f) and isinstance(f, pullback.stages.Wrapped)
        assert f.__name__ == "module_function" and f.__doc__ == "Twice x and y."
        assert f.__wrapped__ is module_function
        assert str(inspect.signature(f)) == "(x, y=1.0)"
        assert repr(f).startswith("<PjitFunction of <function module_function")
        assert weakref.ref(f)() is f
        assert float(f(2.0)) == float(f.__call__(2.0)) == 5
        again = functools.wraps(f)(lambda *a: f(*a))
        assert again.__name__ == "module_function" and float(again(1.0)) == 3
        for other in (copy.copy(f), copy.deepcopy(f), pickle.loads(pickle.dumps(f))):
            assert other is not f and float(other(2.0)) == 5
            assert type(other) is type(f) and other._calls.engine == "native"
    f.note = 3
    assert f.note == 3


def test_a_subclass():
    class Loud(type(native(module_function))):
        def __call__(self, x):
            return "loud", super().__call__(x)

    f = Loud(*native(module_function).__reduce__()[1])
    assert f(1.0)[0] == "loud"


def test_map_and_partial_and_recursion():
    f = warm(native(module_function), 1.0)
    assert [float(y) for y in map(f, [1.0, 2.0])] == [3, 5]
    assert float(functools.partial(f, 1.0)()) == 3
    assert float(f(f(f(1.0)))) == 15


def test_cycles_are_collected():
    class Model:
        def __init__(self):
            self.scale = 2.0
            self.step = native(lambda x: x * self.scale)

    model = Model()
    warm(model.step, 1.0)
    known = weakref.ref(model), weakref.ref(plans(model.step)[0])
    del model
    gc.collect()
    assert [r() for r in known] == [None, None]


def test_the_environment_names_the_engine():
    program = "import pullback; print(pullback.jit(lambda x: x + 1).explain(1.0).engine)"
    for name, wanted in (("native", "native"), ("numpy", "numpy"), ("abacus", "no such engine")):
        run = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PULLBACK_ENGINE": name},
            capture_output=True,
            text=True,
            check=False,
        )
        assert wanted in run.stdout + run.stderr


# ---- programs of the NumPy engine


def test_the_numpy_engine_is_called_by_the_entry_too(way):
    f = pullback.jit(lambda t: {"y": (t["a"] * 2, t["b"].T), "z": t["c"]}, engine="numpy")
    a, b = np.ones(3, np.float32), np.arange(6, dtype=np.float32).reshape(2, 3)
    for _ in range(4):
        found = f({"a": jnp.array(a), "b": b, "c": 2.5})
        assert found["y"][0].tolist() == [2, 2, 2] and np.array_equal(found["y"][1], b.T)
        assert float(found["z"]) == 2.5 and found["z"].weak_type
        assert found["y"][1].aval is array_type((3, 2), np.dtype(np.float32))
    assert took(way, f, 2)
    b[:] = 9  # results are no views of what the caller owns
    assert found["y"][1].tolist() == [[0, 3], [1, 4], [2, 5]]


def test_what_a_callback_raises_is_raised(way):
    def check(x):
        if x > 2:
            raise ValueError("too much")
        return x

    def f(x):
        return pullback.pure_callback(check, pullback.ShapeDtypeStruct((), np.float32), x) + 1

    g = pullback.jit(f, engine="numpy")
    for _ in range(4):
        assert float(g(1.0)) == 2
        with pytest.raises(pullback.errors.JaxRuntimeError, match="too much"):
            g(3.0)
    assert took(way, g, 2)


def test_arguments_may_be_dropped_while_python_runs():
    box = []

    def forget(x):
        box.clear()
        gc.collect()
        return x

    def f(t):
        one = t[0][0] / 3
        y = pullback.pure_callback(forget, pullback.ShapeDtypeStruct((), np.float32), one)
        return t[0] * y + t[0]

    g = pullback.jit(f, engine="numpy")
    for _ in range(4):
        box.append(jnp.full(1000, 3.0))
        assert np.array_equal(g(box), np.full(1000, 6))
    assert quick(g) == 2


# ---- which engine


def test_explain():
    f = native(lambda x: jnp.exp(x) * 2 + 1)
    found = f.explain(jnp.ones(4))
    assert found.engine == "native"
    assert str(found).startswith("engine: native, because it was asked for")
    assert "define i32 @kernel" in found.ir
    assert "kernel:" in found.assembly
    other = pullback.jit(lambda x: x, engine="numpy").explain(1.0)
    assert (other.engine, other.ir, other.assembly) == ("numpy", "", "")


def test_engines_that_are_not_there():
    for name in ("abacus", 3):
        with pytest.raises(ValueError, match="engine"):
            pullback.jit(lambda x: x, engine=name)


def test_without_jaxlib(monkeypatch):
    from pullback.engines import choice

    monkeypatch.setattr(choice, "jaxlib_is_installed", lambda: False)
    with pytest.raises(ValueError, match=r"needs the package jaxlib.*not installed"):
        pullback.jit(lambda x: x, engine="xla")


def test_a_program_without_native_code():
    def f(x):
        pullback.debug.print("{x}", x=x)
        return x

    with pytest.raises(NotImplementedError, match="native engine"):
        native(f)(1.0)
    assert pullback.jit(f).explain(1.0).engine == "numpy"


def test_without_llvm(monkeypatch):
    from pullback.engines import choice

    monkeypatch.setattr(choice, "llvm_is_installed", lambda: False)
    monkeypatch.setattr(choice, "NATIVE_BY_ITSELF", True)
    f = pullback.jit(lambda x: x + 4)
    assert float(f(1.0)) == 5
    assert "llvmlite" in f.explain(1.0).reason
    with pytest.raises(NotImplementedError, match="llvmlite"):
        native(lambda x: x + 5)(1.0)


def test_the_stages_name_what_the_engine_compiled():
    compiled = native(lambda x: x + 1).lower(1.0).compile()
    assert "define i32 @kernel" in compiled.as_text()
    assert float(compiled(2.0)) == 3
    assert compiled.runtime_executable()(np.float32(2))[0] == 3
