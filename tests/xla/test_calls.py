"""Calls of programs that XLA runs: which of them the entry does, and what comes out of it."""

from __future__ import annotations

import gc
import sys
import threading
import weakref
from collections import namedtuple

import numpy as np
import pytest

import pullback
import pullback.numpy as jnp

pytest.importorskip("jaxlib", reason="the XLA engine needs jaxlib")
arrays = pytest.importorskip("pullback.engines.xla.arrays")

Pair = namedtuple("Pair", ["first", "second"])


def jit(f, **options):
    return pullback.jit(f, engine="xla", **options)


def quick(f):
    """How many calls of `f` the entry has done."""
    programs = f._calls.programs()
    return 0 if programs is None else sum(plan.calls for plan in programs.plans)


def device(*xs):
    """The same in buffers of XLA."""
    return jit(lambda *ys: ys)(*xs)


def warm(f, *args, **options):
    for _ in range(3):
        f(*args, **options)
    return f


def test_the_entry_calls_programs_of_xla():
    x, y = device(jnp.arange(8.0), jnp.ones(8))
    f = warm(jit(lambda x, y: x * y + x), x, y)
    before = quick(f)
    found = f(x, y)
    assert quick(f) == before + 1
    assert type(found) is arrays.XlaArray
    assert found.aval == x.aval
    assert found.tolist() == (2 * np.arange(8.0)).tolist()
    assert f(found, y).tolist() == (4 * np.arange(8.0)).tolist()


@pytest.mark.parametrize(
    "tree",
    [
        lambda x, y: {"a": x, "b": [y, (x, None)]},
        lambda x, y: (x, Pair(y, {"k": x})),
        lambda x, y: [],
    ],
)
def test_containers_come_back_as_they_are(tree):
    x, y = device(jnp.arange(3.0), jnp.int32(4))
    f = warm(jit(lambda x, y: tree(x + 1, y * 2)), x, y)
    before = quick(f)
    found = f(x, y)
    assert quick(f) == before + 1
    wanted = tree(x + 1, y * 2)
    assert pullback.tree.structure(found) == pullback.tree.structure(wanted)
    for a, b in zip(pullback.tree.leaves(found), pullback.tree.leaves(wanted), strict=True):
        assert a.aval == b.aval and a.tolist() == b.tolist()


def test_arrays_in_memory_get_a_buffer_once():
    x = jnp.arange(5.0)
    f = warm(jit(lambda x: x * 2), x)
    before = quick(f)
    assert f(x).tolist() == [0, 2, 4, 6, 8]
    assert quick(f) == before + 1
    other = jnp.arange(5.0) + 1
    assert f(other).tolist() == [2, 4, 6, 8, 10]  # it has none yet: Python puts it there
    assert f(other).tolist() == [2, 4, 6, 8, 10]
    assert quick(f) == before + 2


@pytest.mark.parametrize("x", [3.0, np.float32(3), np.arange(3.0), np.arange(3), True, 2j])
def test_what_is_no_array_is_left_to_python(x):
    f = jit(lambda x: x + 1)
    for _ in range(4):
        found = f(x)
        wanted = jnp.asarray(x) + 1
        assert found.dtype == wanted.dtype and found.weak_type == f(x).weak_type
        np.testing.assert_array_equal(np.asarray(found), np.asarray(wanted))


def test_other_types_get_their_own_programs():
    f = jit(lambda x: x + 1)
    values = [jnp.arange(3), jnp.arange(3.0), jnp.arange(4.0), jnp.float32(1), jnp.ones((2, 2))]
    for _ in range(4):
        for x in values:
            y = f(*device(x))
            assert (y.shape, y.dtype) == (x.shape, x.dtype)
            np.testing.assert_array_equal(np.asarray(y), np.asarray(x) + 1)


def test_weak_types_stay_apart():
    f = jit(lambda x: x + 1)
    weak, strong = jit(lambda: jnp.asarray(2.0) * 1)(), jnp.float32(2)
    for _ in range(4):
        assert f(weak).weak_type == (weak + 1).weak_type
        assert f(strong).weak_type is False


def test_constants_of_a_program_are_given_each_time():
    table = jnp.arange(5000.0)  # too large to stand in the text
    f = jit(lambda x: x + table)
    (x,) = device(jnp.ones(5000))
    warm(f, x)
    before = quick(f)
    assert f(x)[-1] == 5000
    assert quick(f) == before + 1


def test_a_deleted_array_is_refused():
    for x in (*device(jnp.arange(3.0)), jnp.arange(3.0)):
        f = warm(jit(lambda x: x * 2), x)
        x.delete()
        with pytest.raises(RuntimeError, match=r"Array has been deleted with shape=f32\[3\]"):
            f(x)


def test_results_and_arguments_are_freed():
    (x,) = device(jnp.ones(1000))
    f = warm(jit(lambda x: (x * 2, x + 1)), x)
    y, z = f(x)
    watched = weakref.ref(y)
    del y, z
    gc.collect()
    assert watched() is None
    size = sys.getrefcount(x)
    for _ in range(100):
        f(x)
    assert sys.getrefcount(x) == size
    templates = [o for o in gc.get_objects() if type(o) is arrays.XlaArray]
    for _ in range(100):
        f(x)
    assert len([o for o in gc.get_objects() if type(o) is arrays.XlaArray]) == len(templates)


def test_threads_call_at_the_same_time():
    (x,) = device(jnp.arange(100.0))
    f = warm(jit(lambda x, n: (x * n).sum()), x, x[0])
    numbers = device(*[jnp.float32(i) for i in range(8)])
    wrong = []

    def work(n):
        wrong.extend(n for _ in range(300) if float(f(x, numbers[n])) != 4950.0 * n)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_under_transformations_python_does_the_call():
    (x,) = device(jnp.arange(3.0))
    f = warm(jit(lambda x: (x * x).sum()), x)
    assert pullback.grad(f)(x).tolist() == [0, 2, 4]
    assert pullback.vmap(jit(lambda x: x * 2))(x).tolist() == [0, 2, 4]
    assert f(x) == 5


def test_the_setting_is_obeyed_by_a_quick_function():
    (x,) = device(jnp.arange(3.0))
    f = warm(pullback.jit(lambda x: x * 2), x)
    before = pullback.config.pullback_engine
    pullback.config.update("pullback_engine", "xla")
    try:
        warm(f, x)
        assert type(f(x)) is arrays.XlaArray
    finally:
        pullback.config.update("pullback_engine", before)


def test_nan_checks_see_the_results():
    f = jit(lambda x: jnp.log(x))
    (x,) = device(jnp.array([-1.0]))
    warm(f, x)
    with pullback.debug_nans(True), pytest.raises(FloatingPointError, match="nan"):
        f(x)
