"""Meshes, shardings and placed arrays on the one device there is, beside JAX on one CPU."""

from __future__ import annotations

import copy
import importlib
import pickle

import numpy as np
import peer
import pytest

import pullback as pb
import pullback.numpy as jnp
from pullback import lax, sharding
from pullback.sharding import (
    AbstractMesh,
    AxisType,
    Mesh,
    NamedSharding,
    PartitionSpec,
    SingleDeviceSharding,
)

P = PartitionSpec
CPU = pb.devices()[0]
MESH = pb.make_mesh((1, 1), ("x", "y"), axis_types=(AxisType.Auto,) * 2)

# ---- the objects, by expressions that mean the same with JAX's names

SAME = [
    "repr(P())",
    "repr(P('x'))",
    "repr(P('x', None, ('x', 'y')))",
    "repr(P(P.UNCONSTRAINED))",
    "repr(P('x', unreduced={'y'}))",
    "repr(P('a', None) + P('b'))",
    "(P('y') == P('y', None), P(('x',)) == P('x'), P('y') == ('y',), P(()) == P(None))",
    "(P('a', 'b')[0], P('a', 'b')[:1], len(P(None, 'x')), list(P('x', ('x', 'y'))))",
    "(P('a', 'b').index('b'), P('a', None, None).count(None))",
    "repr(P('x').update(partitions=('y', 'x')))",
    "isinstance(P(), tuple)",
    "repr(Mesh(devices, 'x'))",
    "repr(Mesh(grid, ('x', 'y')))",
    "repr(make_mesh((1,), ('x',)))",
    "repr(Mesh(grid, ('x', 'y')).abstract_mesh)",
    "repr(AbstractMesh((2, 3), ('a', 'b')))",
    "repr(AbstractMesh((2, 3), ('a', 'b')).update_axis_types({'b': AxisType.Manual}))",
    "AbstractMesh((2, 3), ('a', 'b')).size",
    "repr(Mesh(grid, ('x', 'y')).update(axis_types=(AxisType.Manual,) * 2))",
    "dict(Mesh(grid, ('x', 'y')).shape)",
    "Mesh(grid, ('x', 'y')).device_ids.tolist()",
    "Mesh(grid, ('x', 'y')).auto_axes",
    "make_mesh((1,), ('x',)).explicit_axes",
    "Mesh(devices, 'x') == Mesh(np.array(devices), ('x',))",
    "Mesh(devices, 'x') == Mesh(devices, 'y')",
    "repr(NamedSharding(Mesh(devices, 'x'), P('x')))",
    "repr(SingleDeviceSharding(devices[0]))",
    "NamedSharding(Mesh(grid, ('x', 'y')), P('y')).shard_shape((4, 2))",
    "NamedSharding(AbstractMesh((2, 3), ('a', 'b')), P('b', 'a')).shard_shape((6, 4, 5))",
    "NamedSharding(AbstractMesh((2, 3), ('a', 'b')), P(('b', 'a'))).shard_shape((6, 4, 5))",
    "NamedSharding(AbstractMesh((2, 3), ('a', 'b')), P('b')).is_fully_replicated",
    "NamedSharding(AbstractMesh((2, 3), ('a', 'b')), P()).is_fully_replicated",
    "NamedSharding(Mesh(devices, 'x'), P('x')).devices_indices_map((4, 2))[devices[0]]",
    "NamedSharding(Mesh(devices, 'x'), P('x')) == NamedSharding(Mesh(devices, 'x'), P('x', None))",
    "NamedSharding(Mesh(devices, 'x'), P('x')).is_equivalent_to("
    "NamedSharding(Mesh(devices, 'x'), P('x', None)), 2)",
    "NamedSharding(Mesh(devices, 'x'), P('x')).is_equivalent_to("
    "SingleDeviceSharding(devices[0]), 2)",
    "repr(get_mesh())",
    "str(get_mesh())",
    "str(make_mesh((1,), ('x',)))",
    "repr(get_abstract_mesh())",
    "get_abstract_mesh().empty",
    "list(AxisType.__members__)",
]


def names(module, root):
    found = {n: getattr(module, n) for n in dir(module) if not n.startswith("_")}
    devices = root.devices()
    grid = np.array(devices).reshape(1, 1)
    return found | {
        "P": found["PartitionSpec"],
        "make_mesh": root.make_mesh,
        "devices": devices,
        "grid": grid,
        "np": np,
    }


@pytest.mark.skipif(not peer.INSTALLED, reason="the real JAX is not installed")
@pytest.mark.parametrize("expression", SAME)
def test_as_jax(expression):
    import jax

    want = eval(expression, names(jax.sharding, jax))
    assert eval(expression, names(sharding, pb)) == want


@pytest.mark.parametrize(
    "x",
    [MESH, MESH.abstract_mesh, P("x", None), P.UNCONSTRAINED, NamedSharding(MESH, P("x")), CPU,
     SingleDeviceSharding(CPU), AxisType.Auto],
)  # fmt: skip
def test_pickles_and_copies_are_equal(x):
    assert pickle.loads(pickle.dumps(x)) == x
    assert copy.deepcopy(x) == x
    assert hash(copy.copy(x)) == hash(x)


# ---- arrays that were put somewhere


def test_device_get():
    got = pb.device_get({"a": jnp.ones(2), "b": 1.5, "c": np.float32(2), "d": "text"})
    assert type(got["a"]) is np.ndarray and got["a"].tolist() == [1, 1]
    assert type(got["b"]) is float and got["c"] == 2 and got["d"] == "text"
    assert pb.grad(lambda x: pb.device_get(x) ** 2)(3.0) == 6.0  # traced values stay as they are


def test_device_put():
    s = NamedSharding(MESH, P("x"))
    x = pb.device_put(np.arange(8.0).reshape(4, 2), s)
    assert x.sharding == s and x.committed and x.devices() == {CPU}
    (shard,) = x.addressable_shards
    assert shard.data is x and shard.index == (slice(None),) * 2 and shard.replica_id == 0
    assert pb.device_put(1.0).sharding == SingleDeviceSharding(CPU)
    assert not pb.device_put(1.0).committed and pb.device_put(1.0, CPU).committed
    both = pb.device_put({"a": x, "b": [1.0]}, {"a": None, "b": CPU})
    assert both["b"][0].committed and both["a"] is x
    assert pb.grad(lambda v: pb.device_put(v, CPU) ** 2)(3.0) == 6.0
    assert pb.jit(lambda v: pb.device_put(v, s))(x).tolist() == x.tolist()


def test_with_a_mesh_in_use():
    assert sharding.get_mesh().empty
    with pb.set_mesh(MESH):
        assert sharding.get_mesh() is MESH
        assert sharding.get_abstract_mesh() == MESH.abstract_mesh
        x = pb.device_put(jnp.ones(2), P("y"))
        assert x.sharding == NamedSharding(MESH, P("y"))
        assert lax.with_sharding_constraint(x, P("x")).sharding.spec == P("x")
        assert pb.reshard(x, P()).sharding.spec == P()
    assert sharding.get_mesh().empty
    assert pb.reshard(x, P("x")).sharding == NamedSharding(MESH, P("x"))
    with pytest.warns(DeprecationWarning, match="set_mesh"), MESH:
        assert sharding.get_mesh() is MESH
    with sharding.use_abstract_mesh(MESH.abstract_mesh):
        assert sharding.get_abstract_mesh() == MESH.abstract_mesh and sharding.get_mesh().empty
    assert sharding.get_mesh().empty


def test_set_mesh_without_with_stays():
    try:
        pb.set_mesh(MESH)
        assert sharding.get_mesh() is MESH
    finally:
        pb.set_mesh(None)
    assert sharding.get_mesh().empty


def test_a_program_is_traced_anew_for_another_mesh():
    f = pb.jit(lambda: len(sharding.get_abstract_mesh().axis_names))
    assert f() == 0
    with pb.set_mesh(MESH):
        assert f() == 2
    assert f() == 0


def test_types_say_that_nothing_is_spread():
    t = pb.typeof(jnp.ones((2, 3)))
    assert t.sharding.spec == P(None, None) and t.sharding.mesh.empty and t.vma == frozenset()


def test_arrays_made_of_parts():
    s, whole = NamedSharding(MESH, P("x", "y")), np.arange(6.0, dtype=np.float32).reshape(2, 3)
    by_index = pb.make_array_from_callback((2, 3), s, lambda index: whole[index])
    local = pb.make_array_from_process_local_data(s, whole)
    single = pb.make_array_from_single_device_arrays((2, 3), s, [jnp.asarray(whole)])
    for x in (by_index, local, single):
        assert x.sharding == s
        np.testing.assert_array_equal(x, whole)
    tree = pb.make_array_from_process_local_data(s, {"a": whole})
    np.testing.assert_array_equal(tree["a"], whole)
    assert pb.copy_to_host_async(single) is single


def test_processes_and_devices():
    assert (pb.process_indices(), pb.host_id(), pb.host_ids(), pb.host_count()) == ([0], 0, [0], 1)
    with pb.default_device(CPU):
        assert jnp.ones(1).devices() == {CPU} and pb.config.jax_default_device is CPU


def test_axes_of_other_kinds_compute_the_same():
    add = sharding.auto_axes(lambda x, y: x + y, axes="x", out_sharding=P("x"))
    assert add(1.0, jnp.ones(2), out_sharding=P("x")).tolist() == [2.0, 2.0]
    twice = sharding.explicit_axes(axes="x", in_sharding=P())(lambda x: 2 * x)
    assert twice(jnp.ones(1), in_sharding=P("x")).tolist() == [2.0]


# ---- shard_map


X_AXIS = P("x")


def on_mesh(f, in_specs=X_AXIS, out_specs=X_AXIS, **options):
    return pb.shard_map(f, mesh=MESH, in_specs=in_specs, out_specs=out_specs, **options)


X = np.arange(8.0, dtype=np.float32).reshape(4, 2)

BODIES = {
    "psum": (lambda x: lax.psum(x, "x"), X),
    "psum over both": (lambda x: lax.psum(x, ("x", "y")), X),
    "pmean of a sum": (lambda x: lax.pmean(x.sum(), ("x", "y"))[None], [X.sum()]),
    "pmax": (lambda x: lax.pmax(x, "y"), X),
    "axis_index": (lambda x: x + lax.axis_index("x"), X),
    "axis_size": (lambda x: x * lax.axis_size("y"), X),
    "all_gather": (lambda x: lax.all_gather(x, "x", tiled=True), X),
    "new axis": (lambda x: lax.all_gather(x, "x"), X[None]),
    "psum_scatter": (lambda x: lax.psum_scatter(x, "x", tiled=True), X),
    "ppermute": (lambda x: lax.ppermute(x, "x", [(0, 0)]), X),
    "all_to_all": (lambda x: lax.all_to_all(x, "x", 0, 0, tiled=True), X),
    "scan": (
        lambda x: lax.scan(lambda c, r: (c + lax.psum(r, "x"), c), jnp.zeros(2), x)[1],
        np.cumsum(X, 0) - X,
    ),
    "gradient": (lambda x: pb.grad(lambda w: lax.pmean(jnp.sum(w**2), "x"))(x), 2 * X),
}


@pytest.mark.parametrize("name", BODIES)
def test_shard_map(name):
    body, want = BODIES[name]
    f = on_mesh(body)
    for function in (f, pb.jit(f)):
        np.testing.assert_allclose(function(X), want, rtol=1e-6)
    mapped = pb.vmap(f)(np.stack([X, 2 * X]))
    np.testing.assert_allclose(mapped[0], want, rtol=1e-6)


def test_shard_map_is_differentiated():
    f = on_mesh(lambda x: lax.psum(x**3, ("x", "y")), P("x", "y"), P())
    np.testing.assert_allclose(pb.grad(lambda x: f(x).sum())(X), 3 * X**2, rtol=1e-6)
    np.testing.assert_allclose(pb.jvp(f, (X,), (X,))[1], 3 * X**3, rtol=1e-6)
    with pb.enable_x64():
        pb.test_util.check_grads(f, (np.linspace(0.5, 1.0, 4).reshape(2, 2),), order=2)


def test_a_training_step():
    def step(w, x, y):
        def loss(w):
            return jnp.mean((x @ w - y) ** 2)

        value, gradient = pb.value_and_grad(loss)(w)
        return lax.pmean(value, "x"), w - 0.1 * lax.pmean(gradient, "x")

    w, y = np.ones(2, np.float32), np.ones(4, np.float32)
    mapped = on_mesh(step, (P(), P("x"), P("x")), (P(), P()))
    for got, want in zip(mapped(w, X, y), pb.vmap(step, axis_name="x")(w[None], X[None], y[None])):
        np.testing.assert_allclose(got, want[0], rtol=1e-6)


def test_trees_and_forms_of_shard_map():
    f = on_mesh(lambda t, s: ({"a": t["a"] + s}, s), ({"a": P("x")}, P()), (P("x"), P()))
    tree, s = f({"a": jnp.ones(2)}, 1.0)
    assert tree["a"].tolist() == [2, 2] and s == 1.0
    with pb.set_mesh(MESH):
        decorated = pb.shard_map(in_specs=P("x"), out_specs=P("x"))(lambda x: lax.psum(x, "x"))
        assert decorated(jnp.ones(2)).tolist() == [1, 1]
        assert pb.shard_map(lambda x: x, out_specs=P())(jnp.ones(2)).tolist() == [1, 1]
        own = pb.smap(lambda x: lax.psum(x, "y"), in_axes=0, out_axes=None, axis_name="y")
        assert own(jnp.ones(2)).tolist() == [1, 1]
    some = on_mesh(lambda x: lax.psum(x, "x"), axis_names={"x"})
    assert some(jnp.ones(2)).tolist() == [1, 1]


def test_the_old_shard_map():
    old = importlib.import_module("pullback.experimental.shard_map").shard_map
    assert old(lambda x: lax.psum(x, "x"), MESH, P("x"), P("x"))(jnp.ones(2)).tolist() == [1, 1]


def test_inside_shard_map_the_axes_are_manual():
    seen = []
    on_mesh(lambda x: (seen.append(sharding.get_abstract_mesh()), x)[1], axis_names={"x"})(X)
    assert seen[0].axis_types == (AxisType.Manual, AxisType.Auto)
    assert sharding.get_abstract_mesh().empty


# ---- messages

WRONG = [
    (lambda: pb.make_mesh((2,), ("x",)), ValueError, "Number of devices 1 must be >= the product"),
    (lambda: pb.make_mesh((1, 1), ("x",)), ValueError, "one name for each axis"),
    (lambda: Mesh([CPU], ("x", "y")), ValueError, "Mesh requires the ndim of its first argument"),
    (lambda: Mesh([CPU], (None,)), ValueError, "mesh axis names cannot be None"),
    (lambda: Mesh([CPU], "x", (1,)), ValueError, "one AxisType for each axis"),
    (lambda: MESH.abstract_mesh.devices, ValueError, "AbstractMesh does not implement devices"),
    (lambda: NamedSharding(MESH, P("q")), ValueError, "axis 'q' of P('q',) is not an axis"),
    (
        lambda: NamedSharding(MESH, P("x", "x")),
        ValueError,
        "names each axis of a mesh at most once",
    ),
    (lambda: NamedSharding(CPU, P("x")), TypeError, "NamedSharding takes a mesh"),
    (
        lambda: NamedSharding(AbstractMesh((2,), ("a",)), P("a")).shard_shape((3,)),
        ValueError,
        "divides axis 0 into 2 parts, and its length 3",
    ),
    (
        lambda: pb.device_put(1.0, NamedSharding(MESH, P("x"))),
        ValueError,
        "only valid for values of rank at least 1",
    ),
    (lambda: pb.device_put(1.0, "cpu"), ValueError, "this is no place for an array"),
    (lambda: pb.device_put(jnp.ones(1), P("x")), ValueError, "a PartitionSpec needs a mesh"),
    (lambda: lax.with_sharding_constraint(X, P("x")), ValueError, "a PartitionSpec needs a mesh"),
    (lambda: pb.set_mesh(1), ValueError, "set_mesh takes a Mesh or None"),
    (lambda: pb.default_device(1), ValueError, "default_device takes a device"),
    (
        lambda: SingleDeviceSharding(CPU, memory_kind="tape"),
        ValueError,
        "no memory of this kind",
    ),
    (
        lambda: pb.make_array_from_callback((2,), SingleDeviceSharding(CPU), lambda i: X),
        ValueError,
        "has not the shape of the part",
    ),
    (
        lambda: pb.make_array_from_single_device_arrays((4, 2), SingleDeviceSharding(CPU), []),
        ValueError,
        "one array for each device",
    ),
    (lambda: on_mesh(lambda x: x, P("q"))(X), ValueError, "in_specs refers to 'q'"),
    (lambda: on_mesh(lambda x: x, P(), P("q"))(X), ValueError, "out_specs refers to 'q'"),
    (lambda: on_mesh(lambda x: x)(1.0), ValueError, "an entry of in_specs that is too long"),
    (lambda: on_mesh(jnp.sum)(X), ValueError, "an entry of out_specs that is too long"),
    (lambda: on_mesh(lambda x: x, "x")(X), TypeError, "must be a pytree of PartitionSpecs"),
    (lambda: on_mesh(lambda x: x, (P(), P()))(X), ValueError, "does not fit the structure"),
    (lambda: on_mesh(lambda x: x, axis_names={"q"})(X), ValueError, "not axes of the mesh: q"),
    (lambda: pb.shard_map(lambda x: x, out_specs=P())(X), ValueError, "the mesh cannot be empty"),
    (
        lambda: pb.shard_map(lambda x: x, mesh=AbstractMesh((2,), ("a",)), out_specs=P())(X),
        ValueError,
        "an AbstractMesh has no devices to run on",
    ),
]


@pytest.mark.parametrize(("call", "kind", "text"), WRONG)
def test_messages(call, kind, text):
    with pytest.raises(kind) as caught:
        call()
    message = str(caught.value)
    assert text in message
    assert all(f"  {part}: " in message for part in ("Got", "Where", "Fix"))
