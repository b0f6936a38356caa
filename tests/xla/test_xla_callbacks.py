"""Calls of Python from programs that XLA runs: their order, exceptions, threads and results."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

import pullback
import pullback.numpy as jnp
from pullback import lax
from pullback.core.settings import enable_x64
from pullback.experimental import io_callback

pytest.importorskip("jaxlib", reason="the XLA engine needs jaxlib")

TYPE = pullback.ShapeDtypeStruct((), jnp.float32)


def jit(f):
    return pullback.jit(f, engine="xla")


def test_calls_come_in_the_order_of_the_program():
    seen = []

    def note(tag, x):
        pullback.debug.callback(lambda x: seen.append((tag, float(x))), x)

    def body(i, x):
        note("loop", x)
        x = lax.cond(x > 2, lambda x: (note("large", x), x * 2)[1], lambda x: x + 1, x)
        note("end", x)
        return x

    @jit
    def f(x):
        note("first", x)
        x = lax.fori_loop(0, 3, body, x)
        io_callback(lambda x: seen.append(("io", float(x))), None, x, ordered=True)
        _, ys = lax.scan(lambda c, y: ((note("scan", y), c + y)[1], c), x, jnp.arange(3.0))
        note("last", ys[-1])
        return ys

    def wanted(x):
        found = [("first", x)]
        for _ in range(3):
            found.append(("loop", x))
            if x > 2:
                found.append(("large", x))
            x = x * 2 if x > 2 else x + 1
            found.append(("end", x))
        return [*found, ("io", x), *[("scan", float(i)) for i in range(3)], ("last", x + 1)]

    for _ in range(5):
        seen.clear()
        f(jnp.float32(1))
        assert seen == wanted(1.0)


class Own(Exception):
    pass


def test_an_exception_comes_out_as_it_is():
    def bad(x):
        raise Own("no good")

    f = jit(lambda x: pullback.pure_callback(bad, TYPE, x) + 1)
    for _ in range(3):
        with pytest.raises(pullback.errors.JaxRuntimeError, match="Own: no good") as caught:
            f(jnp.float32(1))
        assert type(caught.value.__cause__) is Own
    assert jit(lambda x: x + 1)(jnp.float32(1)) == 2


def test_an_exception_of_a_call_without_results():
    def bad(x):
        raise Own("no good")

    f = jit(lambda x: (pullback.debug.callback(bad, x), x * 2)[1])
    with pytest.raises(pullback.errors.JaxRuntimeError, match="Own: no good"):
        f(jnp.float32(1))


@pytest.mark.parametrize("wrong", [lambda x: np.zeros(3, np.float32), lambda x: "text"])
def test_results_are_checked(wrong):
    with pytest.raises(pullback.errors.JaxRuntimeError, match="TypeError"):
        jit(lambda x: pullback.pure_callback(wrong, TYPE, x))(jnp.float32(1))


@pytest.mark.parametrize("size", [3, 400])
def test_a_callback_runs_other_programs(size):
    inner = jit(lambda x: jnp.tanh(x @ x).sum())

    def host(x):
        return np.float32(inner(jnp.asarray(x)))

    f = jit(lambda x: pullback.pure_callback(host, TYPE, x @ x) + jnp.sum(x))
    x = jnp.eye(size)
    found = []
    threads = [threading.Thread(target=lambda: found.append(float(f(x)))) for _ in range(4)]
    for t in threads:
        t.daemon = True
        t.start()
    ends = time.monotonic() + 500
    for t in threads:
        t.join(max(0, ends - time.monotonic()))
    assert len(found) == 4, "a callback waits for ever"
    np.testing.assert_allclose(found, size * np.tanh(1) + size, rtol=1e-5)


def test_the_settings_of_the_caller_hold():
    with enable_x64():
        t = pullback.ShapeDtypeStruct((300, 300), jnp.float64)
        f = jit(lambda x: pullback.pure_callback(lambda x: x * 2, t, x @ x))
        found = f(jnp.eye(300))
        assert found.dtype == np.float64 and found[0, 0] == 2


def test_arguments_can_be_kept():
    kept = []
    f = jit(lambda x: pullback.debug.callback(kept.append, x * 2))
    for i in range(4):
        f(jnp.full(5, float(i)))
    assert [float(x[0]) for x in kept] == [0, 2, 4, 6]


def test_arrays_are_row_by_row():
    x = jnp.arange(6.0).reshape(2, 3)
    f = jit(lambda x: pullback.pure_callback(lambda a: np.asarray(a) + 1, x, x.T.T * 1))
    assert f(x).tolist() == (x + 1).tolist()
    g = jit(lambda x: pullback.pure_callback(lambda a: np.asarray(a), x.T, x.T))
    assert g(x).tolist() == x.T.tolist()
