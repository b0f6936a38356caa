"""Host calls of the native engine: operations that only NumPy and SciPy have."""

import threading

import numpy as np
import pytest
from fuzz import run_kernel

import pullback
import pullback.numpy as jnp
import pullback.scipy.linalg
import pullback.scipy.special
from pullback import lax
from pullback.core.errors import JaxRuntimeError
from pullback.engines import numpy as numpy_engine
from pullback.engines.native import calling
from pullback.engines.native.kinds import Unsupported
from pullback.engines.native.program import compile_program
from pullback.ops.fft import Fft, fft

X = jnp.linspace(0.1, 3, 50)


def both(function, *args):
    closed = pullback.make_jaxpr(function)(*args)
    arrays = [np.asarray(x._value) for x in pullback.tree_util.tree_leaves(args)]
    mine = run_kernel(compile_program(closed), arrays)
    wanted = [np.asarray(y) for y in numpy_engine.compiled(closed)(*arrays)]
    for x, y in zip(mine, wanted, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-5)


def repeated(step, carry):
    return lax.scan(lambda c, _: (step(c), c), carry, None, length=5)


@pytest.mark.parametrize(
    "step",
    [
        lambda c: jnp.fft.ifft(jnp.fft.fft(c) * 0.9).real,
        lambda c: pullback.scipy.special.spence(c) * 0.9 + 0.1,
        lambda c: pullback.scipy.linalg.expm(c[:9].reshape(3, 3) * 0.1).sum() * 0.01 + c,
    ],
    ids=["fft", "spence", "expm"],
)
def test_host_calls_in_loops(step):
    both(lambda x: repeated(step, x), X)
    both(lambda x: repeated(step, x), X[:9])


def test_a_program_of_nothing_but_host_calls_is_left_to_numpy():
    with pytest.raises(Unsupported, match=r"^fft, and too little else to be worth calling them$"):
        compile_program(pullback.make_jaxpr(jnp.fft.fft)(X))


def test_a_host_call_beside_enough_other_work():
    both(lambda x: jnp.sin(jnp.cos(jnp.abs(jnp.fft.fft(jnp.tanh(x * 2 + 1))) * 3)).sum(), X)


def test_callbacks_with_effects_are_refused():
    def function(x):
        return repeated(lambda c: pullback.pure_callback(np.sin, c, c), x)

    with pytest.raises(Unsupported, match="pure_callback"):
        compile_program(pullback.make_jaxpr(function)(X))


def failing(self, *args, **params):
    raise ValueError("it is broken")


def test_exceptions_reach_the_caller(monkeypatch):
    closed = pullback.make_jaxpr(lambda x: repeated(lambda c: jnp.fft.fft(c).real, x))(X)
    kernel = compile_program(closed)
    run = calling.function(kernel)
    before = run(np.asarray(X))
    monkeypatch.setattr(Fft, "eval", failing)
    with pytest.raises(JaxRuntimeError, match=f"{fft.name} raised ValueError: it is broken"):
        run(np.asarray(X))
    monkeypatch.undo()
    for x, y in zip(run(np.asarray(X)), before, strict=True):
        np.testing.assert_array_equal(x, y)


def test_host_calls_from_several_threads():
    closed = pullback.make_jaxpr(lambda x: repeated(lambda c: jnp.fft.fft(c).real * 0.1, x))(X)
    run = calling.function(compile_program(closed))
    wanted = run(np.asarray(X))
    wrong = []

    def work():
        for _ in range(30):
            found = run(np.asarray(X))
            if any(not np.array_equal(x, y) for x, y in zip(found, wanted, strict=True)):
                wrong.append(found)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong
