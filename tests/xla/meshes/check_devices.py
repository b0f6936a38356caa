"""Arrays on eight CPU devices: where they are, and that operations are done there."""

from __future__ import annotations

import pickle
import sys

import numpy as np
import pytest

import pullback as pb
import pullback.numpy as jnp
from pullback import lax
from pullback.engines.xla import devices as placing
from pullback.sharding import Mesh, NamedSharding, PartitionSpec, SingleDeviceSharding

P = PartitionSpec
D = pb.devices()
MESH = pb.make_mesh((2, 4), ("a", "b"))
X = np.arange(64, dtype=np.float32).reshape(8, 8)
SPECS = [P(), P("a"), P(None, "b"), P("a", "b"), P("b", "a"), P(("a", "b")), P(None, ("b", "a"))]


def test_there_are_eight():
    assert len(D) == pb.device_count() == pb.local_device_count() == 8
    assert [d.id for d in D] == list(range(8)) and repr(D[3]) == "CpuDevice(id=3)"
    assert pickle.loads(pickle.dumps(D[5])) is D[5]
    with pytest.raises(RuntimeError, match="before the devices are first asked for"):
        pb.config.update("jax_num_cpu_devices", 4)


def test_jax_is_not_imported():
    x = pb.device_put(X, NamedSharding(MESH, P("a", "b")))
    np.testing.assert_array_equal(x.addressable_shards[3].data, X[:4, 6:])
    assert "jax" not in sys.modules or hasattr(sys.modules["jax"], "numpy")


def test_one_device():
    x = pb.device_put(X, D[3])
    assert x.devices() == {D[3]} and x.device is D[3] and x.committed
    y = jnp.sin(x) @ x.T + 1
    assert y.devices() == {D[3]} and y.sharding == SingleDeviceSharding(D[3])
    np.testing.assert_allclose(y, np.sin(X) @ X.T + 1, rtol=1e-5)
    assert pb.jit(lambda v: v * 2)(x).devices() == {D[3]}
    assert pb.grad(lambda v: (v**2).sum())(x).devices() == {D[3]}
    assert pb.device_put(x, D[6]).devices() == {D[6]}
    home = pb.device_put(x, D[0])
    assert home.devices() == {D[0]}
    np.testing.assert_array_equal(home, X)
    np.testing.assert_array_equal(pb.device_get(x), X)


def test_devices_that_do_not_meet():
    x, y = pb.device_put(X, D[1]), pb.device_put(X, D[2])
    for function in (lambda a, b: a + b, pb.jit(lambda a, b: a @ b)):
        with pytest.raises(ValueError, match="Received incompatible devices for jitted comp"):
            function(x, y)
    assert (x + jnp.ones(8)).devices() == {D[1]}  # what was put nowhere goes along


def test_default_device():
    with pb.default_device(D[2]):
        x = jnp.ones(3) * 2
        assert x.devices() == {D[2]}
        with pb.default_device(D[0]):
            assert jnp.ones(3).devices() == {D[0]}
        assert pb.device_put(1.0, D[4]).devices() == {D[4]}
    assert jnp.ones(3).devices() == {D[0]}
    assert x.tolist() == [2, 2, 2]


@pytest.mark.parametrize("spec", SPECS, ids=repr)
def test_parts_are_where_the_sharding_says(spec):
    s = NamedSharding(MESH, spec)
    x = pb.device_put(X, s)
    assert x.sharding == s and x.devices() == set(D) and x.shape == (8, 8)
    assert len(x.addressable_shards) == 8
    for shard in x.addressable_shards:
        assert shard.data.shape == s.shard_shape((8, 8))
        assert shard.data.devices() == {shard.device}
        np.testing.assert_array_equal(shard.data, X[shard.index])
    copies = [shard.replica_id for shard in x.addressable_shards]
    assert copies.count(0) == 8 // (max(copies) + 1)
    np.testing.assert_array_equal(x, X)


@pytest.mark.parametrize("spec", SPECS, ids=repr)
def test_programs_keep_and_choose_shardings(spec):
    s = NamedSharding(MESH, spec)
    assert pb.jit(lambda v: v + 1)(pb.device_put(X, s)).sharding.is_equivalent_to(s, 2)
    for options in ({"in_shardings": s}, {"in_shardings": (s,), "out_shardings": s}):
        y = pb.jit(lambda v: v * 2, **options)(X)
        assert y.sharding.is_equivalent_to(s, 2)
        np.testing.assert_array_equal(y, X * 2)
    y = pb.jit(lambda v: lax.with_sharding_constraint(v * 3, s))(X)
    assert y.sharding.is_equivalent_to(s, 2)
    moved = pb.reshard(y, NamedSharding(MESH, P("b")))
    assert moved.sharding.spec == P("b")
    np.testing.assert_array_equal(moved, X * 3)


def test_as_jax_divides():
    jax = pytest.importorskip("jax")
    jax.config.update("jax_num_cpu_devices", 8)
    mesh = jax.make_mesh((2, 4), ("a", "b"), axis_types=(jax.sharding.AxisType.Auto,) * 2)
    for spec in SPECS:
        theirs = jax.sharding.NamedSharding(mesh, jax.P(*spec))
        want = jax.device_put(X, theirs)
        have = pb.device_put(X, NamedSharding(MESH, spec))
        for a, b in zip(want.addressable_shards, have.addressable_shards, strict=True):
            assert (a.device.id, a.index, a.replica_id) == (b.device.id, b.index, b.replica_id)
            np.testing.assert_array_equal(np.asarray(a.data), b.data)
        matmul = [(lambda v: v @ v.T), (lambda v: v.sum(0)), (lambda v: v[::-1].cumsum(1))]
        for f in matmul:
            a, b = jax.jit(f)(want), pb.jit(f)(have)
            np.testing.assert_allclose(np.asarray(a), b, rtol=1e-6)


def test_trees_of_shardings_and_static_arguments():
    rows, whole = NamedSharding(MESH, P("a")), NamedSharding(MESH, P())
    f = pb.jit(
        lambda p, n: {"y": p["w"] * n + p["b"], "n": [p["b"] * n]},
        static_argnums=1,
        in_shardings=({"w": rows, "b": None},),
        out_shardings={"y": whole, "n": None},
    )
    out = f({"w": X, "b": np.ones(8, np.float32)}, 3)
    assert out["y"].sharding.is_fully_replicated
    np.testing.assert_array_equal(out["y"], X * 3 + 1)
    with pytest.raises(ValueError, match="does not match the sharding on the respective arg"):
        pb.jit(lambda v: v, in_shardings=rows)(pb.device_put(X, NamedSharding(MESH, P("b"))))
    with pytest.raises(ValueError, match="no multiple of that"):
        pb.device_put(X[:3], rows)


def test_an_argument_is_copied_once_for_a_call(monkeypatch):
    s, x = NamedSharding(MESH, P("a")), jnp.asarray(X)
    f = pb.jit(lambda v: v + 1, in_shardings=s, donate_argnums=0)
    f(jnp.asarray(X))
    copied = []
    put = placing.Team.put
    monkeypatch.setattr(placing.Team, "put", lambda t, a, k: copied.append(k) or put(t, a, k))
    np.testing.assert_array_equal(f(x), X + 1)
    assert sorted(copied) == list(range(8))


def test_donation():
    s = NamedSharding(MESH, P("a"))
    x, kept = pb.device_put(X, s), pb.device_put(X, s)
    y = pb.jit(lambda v, w: v + w, donate_argnums=0)(x, kept)
    assert x.is_deleted() and not kept.is_deleted() and y.sharding == s
    np.testing.assert_array_equal(y, 2 * X)
    with pytest.raises(RuntimeError, match="has been deleted"):
        x + 1


def test_constants_that_are_spread():
    w = pb.device_put(X, NamedSharding(MESH, P(None, "b")))
    f = pb.jit(lambda v: v @ w)
    assert f(X).sharding.spec == P(None, "b")
    np.testing.assert_allclose(f(X), X @ X, rtol=1e-6)


def test_arrays_from_parts():
    s = NamedSharding(MESH, P("b", "a"))
    asked = []

    def part(index):
        asked.append(index)
        return X[index]

    x = pb.make_array_from_callback((8, 8), s, part)
    np.testing.assert_array_equal(x, X)
    assert len(asked) == 8 and x.sharding == s
    parts = [shard.data for shard in x.addressable_shards]
    again = pb.make_array_from_single_device_arrays((8, 8), s, parts[::-1])
    np.testing.assert_array_equal(again, X)
    local = pb.make_array_from_process_local_data(s, X)
    np.testing.assert_array_equal(local, X)
    with pytest.raises(ValueError, match="one array for each device"):
        pb.make_array_from_single_device_arrays((8, 8), s, parts[:3])


def test_eager_derivatives_follow_the_data():
    s = NamedSharding(MESH, P("a"))
    f = lambda v: (jnp.tanh(v @ v.T / 100) ** 2).sum()  # noqa: E731
    x = pb.device_put(X / 64, s)
    g = pb.grad(f)(x)
    assert g.devices() == set(D)
    np.testing.assert_allclose(g, pb.grad(f)(jnp.asarray(X / 64)), rtol=1e-5, atol=1e-7)
    rows = pb.vmap(lambda r: r / r.sum())(x + 1)
    np.testing.assert_allclose(rows, (X / 64 + 1) / (X / 64 + 1).sum(1, keepdims=True), rtol=1e-6)


def test_a_mesh_in_another_order():
    mesh = Mesh(np.array(D)[::-1].reshape(4, 2), ("p", "q"))
    x = pb.device_put(X, NamedSharding(mesh, P("p", "q")))
    assert x.addressable_shards[0].device is D[7]
    y = pb.jit(lambda v: v.T)(x)
    assert y.sharding.spec == P("q", "p")
    np.testing.assert_array_equal(y, X.T)


def test_random_numbers_are_those_of_one_device():
    key = pb.random.key(3)
    f = lambda k: pb.random.normal(k, (8, 8))  # noqa: E731
    there = pb.jit(f, out_shardings=NamedSharding(MESH, P("a", "b")))(key)
    np.testing.assert_allclose(there, pb.jit(f)(key), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["int2", "int4", "uint4", "float4_e2m1fn", "bool"])
def test_numbers_of_less_than_a_byte(name):
    x = jnp.asarray([0, 1, 1, 0, 1, 1, 0, 1]).astype(name)
    s = NamedSharding(MESH, P("b"))
    there = pb.device_put(x, s)
    part = there.addressable_shards[2]
    np.testing.assert_array_equal(part.data, x[part.index])
    y = there
    for _ in range(3):  # results are arguments again
        y = pb.jit(lambda v: jnp.where(v == 0, v, v[::-1]))(y)
        x = jnp.where(x == 0, x, x[::-1])
    assert y.dtype == x.dtype and y.sharding.device_set == set(D)
    np.testing.assert_array_equal(y, x)
    one = pb.device_put(y, D[5])
    np.testing.assert_array_equal(one == one[::-1], x == x[::-1])


def test_random_keys_are_spread():
    s = NamedSharding(MESH, P(("a", "b")))
    keys = pb.random.split(pb.random.key(7), 8)
    there = pb.device_put(keys, s)
    assert there.dtype == keys.dtype and len(there.addressable_shards[0].data) == 1
    draw = pb.jit(pb.vmap(lambda k: pb.random.normal(k, (2,))))
    got = draw(there)
    assert got.sharding.spec == s.spec
    np.testing.assert_allclose(got, draw(keys), rtol=1e-5, atol=1e-6)


def test_python_is_called_once_for_all_devices(capsys):
    x = pb.device_put(X, NamedSharding(MESH, P("a", "b")))
    calls = []

    def double(v):
        calls.append(v.shape)
        return 2 * v

    def f(x):
        pb.debug.print("total {}", x.sum().astype(int))
        y = pb.pure_callback(double, pb.ShapeDtypeStruct(x.shape, x.dtype), x)
        pb.debug.print("first {}", y[0, 1])
        return y + 1

    y = pb.jit(f)(x)
    np.testing.assert_array_equal(y, 2 * X + 1)
    assert calls == [(8, 8)] and y.devices() == set(D)
    assert capsys.readouterr().out == "total 2016\nfirst 2.0\n"
    nothing = pb.jit(lambda x: pb.debug.print("only {}", x[0, 2]))  # no result to wait for
    nothing(x)
    assert capsys.readouterr().out == "only 2.0\n"
    one = pb.device_put(X, D[4])
    np.testing.assert_array_equal(pb.jit(f)(one), 2 * X + 1)
    assert capsys.readouterr().out == "total 2016\nfirst 2.0\n"
    with pytest.raises(Exception, match="ZeroDivisionError"):
        pb.jit(lambda v: pb.pure_callback(lambda _: 1 // 0, pb.ShapeDtypeStruct((), int), v))(one)


def test_unspread_arguments_are_copied_once():
    x, w = pb.device_put(X, NamedSharding(MESH, P("a"))), jnp.asarray(X)
    f = pb.jit(lambda v, w: v + w)
    np.testing.assert_array_equal(f(x, w), 2 * X)
    copies = placing._copies
    (kept,) = [c for c in copies.values() if c[0]() is w]
    np.testing.assert_array_equal(f(x, w), 2 * X)
    assert [c[3] for c in copies.values() if c[0]() is w] == [kept[3]]
    number = len(copies)
    w.delete()
    with pytest.raises(RuntimeError, match="has been deleted"):
        f(x, w)
    del w, kept
    assert len(copies) == number - 1  # the copies go with their array
