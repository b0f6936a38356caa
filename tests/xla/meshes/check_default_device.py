"""The default device: new arrays are made there, and computed there. A CPU device plays the GPU."""

from __future__ import annotations

import sys
import threading

import numpy as np
import pytest

import pullback as pb
import pullback.numpy as jnp
from pullback import lax
from pullback.core import platforms
from pullback.core.trace import EVAL, state
from pullback.sharding import NamedSharding, PartitionSpec

D = pb.devices()
choosing = sys.modules["pullback.devices"]
X = np.arange(6, dtype=np.float32).reshape(2, 3)

MADE = {
    "zeros": lambda: jnp.zeros((2, 3)),
    "array": lambda: jnp.array(X),
    "asarray": lambda: jnp.asarray([1, 2]),
    "number": lambda: jnp.float32(3.0),
    "arange": lambda: jnp.arange(4),
    "eye": lambda: jnp.eye(2) @ jnp.ones(2),
    "key": lambda: pb.random.key(0),
    "PRNGKey": lambda: pb.random.PRNGKey(0),
    "normal": lambda: pb.random.normal(pb.random.key(0), (3,)),
    "uniform": lambda: pb.random.uniform(pb.random.key(0), (3,)),
    "device_put": lambda: pb.device_put(X),
    "NumPy": lambda: jnp.sin(X),
    "jit": lambda: pb.jit(lambda: jnp.ones(3) + 1)(),
    "jit of NumPy": lambda: pb.jit(lambda x: x * 2)(X),
    "jit of a number": lambda: pb.jit(lambda x: x * 2)(2.0),
    "grad": lambda: pb.grad(lambda x: (x * x).sum())(X),
    "vmap": lambda: pb.vmap(jnp.sum)(X),
    "solve": lambda: jnp.linalg.solve(jnp.eye(2), jnp.ones(2)),
    "softmax": lambda: pb.nn.softmax(jnp.ones(3)),
    "scan": lambda: lax.scan(lambda c, x: (c + x, c), 0.0, X[0])[1],
}


@pytest.fixture
def update():
    """`config.update("jax_default_device", ...)`, undone in the end."""
    yield lambda value: pb.config.update("jax_default_device", value)
    pb.config.update("jax_default_device", None)
    assert state.trace is EVAL


@pytest.mark.parametrize("name", MADE)
def test_new_arrays_are_there(update, name):
    want = MADE[name]()
    update(D[2])
    found = MADE[name]()
    assert found.devices() == {D[2]} and not found.committed
    update(None)
    assert want.devices() == MADE[name]().devices() == {D[0]}
    if pb.dtypes.issubdtype(want.dtype, pb.dtypes.prng_key):
        want, found = pb.random.key_data(want), pb.random.key_data(found)
    np.testing.assert_allclose(found, want, rtol=1e-5, atol=1e-6)
    with pb.default_device(D[5]):
        assert MADE[name]().devices() == {D[5]}


def test_what_was_put_somewhere_stays(update):
    here, there = pb.device_put(X, D[0]), pb.device_put(X, D[4])
    update(D[1])
    one = jnp.ones(3)
    assert (there + one).devices() == {D[4]} and (there + one).committed
    assert pb.jit(jnp.add)(one, there).devices() == {D[4]}
    assert (here * 2).devices() == {D[0]}
    mesh = pb.make_mesh((2,), ("x",), devices=D[6:])
    spread = pb.device_put(X, NamedSharding(mesh, PartitionSpec("x")))
    assert (spread * one).devices() == {D[6], D[7]}
    assert pb.jit(lambda x: x * one)(spread).devices() == {D[6], D[7]}
    update(None)
    assert (one + 1).devices() == {D[0]}  # it was not bound to its device
    update(D[3])
    assert (one + 1).devices() == {D[3]}


def test_functions_that_were_compiled_before(update):
    f, g = pb.jit(lambda: jnp.arange(3.0) + 1), pb.jit(lambda x: x + 1)
    for _ in range(5):  # afterwards calls are done without Python
        assert f().devices() == g(X).devices() == g(1.0).devices() == {D[0]}
    with pb.default_device(D[2]):
        assert f().devices() == g(X).devices() == g(1.0).devices() == {D[2]}
        assert g(pb.device_put(X, D[3])).devices() == {D[3]}
    update(D[4])
    assert f().devices() == g(X).devices() == {D[4]}
    with pb.default_device(D[0]):
        assert f().devices() == g(X).devices() == {D[0]}
    with pb.default_device("cpu"):
        assert f().devices() == {D[0]}
    with pb.default_device(None):
        assert f().devices() == {D[0]}
    update(None)
    assert f().devices() == g(X).devices() == {D[0]}


def test_inside_transformations():
    def f(x):
        with pb.default_device(D[2]):
            made = jnp.ones(3) * 2
        return (x * made).sum()

    x = pb.device_put(X, D[2])
    np.testing.assert_array_equal(pb.grad(f)(x), np.full((2, 3), 2))
    g = pb.grad(lambda x: f(x * x))
    assert g(x).devices() == {D[2]}
    np.testing.assert_array_equal(g(x), 4 * X)
    np.testing.assert_array_equal(pb.jit(pb.grad(f))(X), np.full((2, 3), 2))


def test_in_other_threads(update):
    update(D[2])
    found = []
    thread = threading.Thread(target=lambda: found.append(jnp.ones(2).devices()))
    thread.start()
    thread.join()
    assert found == [{D[2]}]


def test_an_engine_that_is_named_computes_in_the_memory_of_the_process(update):
    update(D[2])
    assert pb.jit(lambda x: x + 1, engine="numpy")(X).devices() == {D[0]}


def test_what_is_no_default_device():
    for value in (3, [D[0]]):
        with pytest.raises(ValueError, match="default_device takes a device, or the name of"):
            pb.config.update("jax_default_device", value)
        with pytest.raises(ValueError, match="default_device takes a device, or the name of"):
            pb.default_device(value)
    if platforms.lack() is not None:
        with pytest.raises(RuntimeError, match=r"CUDA needs|driver"):
            pb.default_device("gpu")
        with pytest.raises(RuntimeError, match=r"CUDA needs|driver"):
            pb.config.update("jax_default_device", "gpu")
    with pytest.raises(RuntimeError, match="Unknown backend 'abacus'"):
        pb.default_device("abacus")
    assert pb.config.jax_default_device is None


def test_where_there_is_a_gpu_it_is_the_default(monkeypatch):
    asked = []

    def gpus(*args, **kwargs):
        if kwargs.get("backend") == "cpu":
            return [D[0]]
        asked.append(1)
        return [D[7]] if pb.config.jax_platforms is None else [D[0]]

    monkeypatch.setattr(platforms, "plugin", lambda: "a plugin")
    monkeypatch.setattr(choosing, "local_devices", gpus)
    try:
        choosing._begin()
        assert not asked  # the driver is not started by an import
        assert jnp.zeros(3).devices() == {D[7]} and len(asked) == 1
        assert pb.jit(lambda: jnp.ones(2))().devices() == {D[7]} and len(asked) == 1
        with pb.default_device(D[0]):
            assert jnp.zeros(3).devices() == {D[0]}
        with pb.default_device("cpu"):
            assert (jnp.zeros(3) + 1).devices() == {D[0]}
        pb.config.update("jax_platforms", "cpu")
        assert jnp.zeros(3).devices() == {D[0]} and state.trace is EVAL
    finally:
        monkeypatch.undo()
        pb.config.update("jax_platforms", None)
    assert state.trace is EVAL


# ---- jit(device=..., backend=...)


def bound(fun, **options):
    with pytest.warns(DeprecationWarning, match="backend and device argument on jit is deprecated"):
        return pb.jit(fun, **options)


def test_functions_that_are_bound_to_a_device():
    f = bound(lambda x, n, y=1.0: {"out": x * n + y}, device=D[3], static_argnums=1)
    elsewhere = pb.device_put(X, D[5])
    for x in (X, jnp.asarray(X), elsewhere, pb.device_put(X, D[0])):
        for _ in range(3):
            out = f(x, 2, y=jnp.ones(3))["out"]
            assert out.devices() == {D[3]}
            np.testing.assert_array_equal(out, 2 * X + 1)
    assert elsewhere.devices() == {D[5]}
    assert bound(lambda: jnp.zeros(2), device=D[6])().devices() == {D[6]}
    home = bound(jnp.sin, backend="cpu")
    assert home(elsewhere).devices() == {D[0]}
    with pb.default_device(D[4]):
        assert home(X).devices() == {D[0]} and f(X, 1)["out"].devices() == {D[3]}
    np.testing.assert_allclose(pb.grad(lambda x: home(x).sum())(X), np.cos(X), rtol=1e-6)
    np.testing.assert_allclose(pb.vmap(home)(X), np.sin(X), rtol=1e-6)
    with pytest.warns(DeprecationWarning):
        decorated = pb.jit(device=D[1])(lambda x: x + 1)
    assert decorated(X).devices() == {D[1]}


def test_devices_that_jit_does_not_take():
    s = NamedSharding(pb.make_mesh((8,), ("x",)), PartitionSpec())
    for options, kind, text in (
        ({"device": D[0], "backend": "cpu"}, ValueError, "can't specify both a device and a back"),
        ({"device": D[0], "in_shardings": s}, ValueError, "then in_shardings should not be"),
        ({"backend": "cpu", "out_shardings": s}, ValueError, "then out_shardings should not be"),
        ({"device": "cpu"}, ValueError, "jit's device must be a device"),
        ({"backend": "abacus"}, RuntimeError, "Unknown backend 'abacus'"),
    ):
        with pytest.raises(kind, match=text):
            pb.jit(jnp.sin, **options)
    if platforms.lack() is not None:
        with pytest.raises(RuntimeError, match=r"CUDA needs|driver"):
            pb.jit(jnp.sin, backend="gpu")
