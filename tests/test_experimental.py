"""Small modules of experimental: what several devices and processes would do, for one."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import peer
import pytest

import pullback as pb
from pullback.experimental import layout, mesh_utils, multihost_utils, pjit
from pullback.experimental.array_serialization import serialization
from pullback.sharding import Mesh, NamedSharding, PartitionSpec, SingleDeviceSharding


def test_pjit_is_jit():
    assert pjit.pjit is pb.jit
    assert pjit.pjit(lambda x: x + 1, in_shardings=None, out_shardings=None)(1) == 2


def test_device_meshes():
    mesh = mesh_utils.create_device_mesh((1, 1))
    assert mesh.shape == (1, 1) and mesh.dtype == object and mesh[0, 0] is pb.devices()[0]
    assert Mesh(mesh, ("x", "y")).size == 1
    device = pb.devices()[0]
    four = mesh_utils.create_device_mesh((2, 2), [device] * 4)
    assert four.shape == (2, 2)
    hybrid = mesh_utils.create_hybrid_device_mesh(
        (2, 3), (1, 1), [device] * 6, process_is_granule=True
    )
    assert hybrid.shape == (2, 3)

    class Slice:
        device_kind = "cpu"

        def __init__(self, slice_index, number):
            self.slice_index, self.number = slice_index, number

    parts = [Slice(i % 2, i) for i in range(4)]
    hybrid = mesh_utils.create_hybrid_device_mesh((2, 1), (1, 2), parts)
    assert [[d.number for d in row] for row in hybrid] == [[0, 1], [2, 3]]
    mesh_utils.device_kind_handler_dict["cpu"] = lambda shape, d, contiguous_submeshes: d[::-1]
    try:
        assert mesh_utils.create_device_mesh((4,), parts)[0] is parts[3]
    finally:
        del mesh_utils.device_kind_handler_dict["cpu"]
    with pytest.raises(ValueError, match=r"Number of devices 1 must equal the product of mesh_s"):
        mesh_utils.create_device_mesh((2,))
    with pytest.raises(ValueError, match="should be a sequence of ints"):
        mesh_utils.create_device_mesh(("a",))
    with pytest.raises(ValueError, match="does not have attribute slice_index"):
        mesh_utils.create_hybrid_device_mesh((1,), (1,))
    with pytest.raises(ValueError, match="Number of slices 1 must equal"):
        mesh_utils.create_hybrid_device_mesh((1,), (2,), process_is_granule=True)


def test_one_process():
    tree = {"a": pb.numpy.arange(3), "b": 2.0}
    for found in (
        multihost_utils.broadcast_one_to_all(tree),
        multihost_utils.process_allgather(tree, tiled=True),
    ):
        assert isinstance(found["a"], np.ndarray) and found["a"].tolist() == [0, 1, 2]
        assert found["b"].shape == ()
    stacked = multihost_utils.process_allgather(tree)
    assert stacked["a"].shape == (1, 3) and stacked["b"].shape == (1,)
    assert multihost_utils.sync_global_devices("here") is None
    multihost_utils.assert_equal(tree)
    with pytest.raises(AssertionError, match="not the same"):
        multihost_utils.assert_equal(np.nan, "not the same")
    with pytest.raises(TypeError, match="compares arrays and numbers"):
        multihost_utils.assert_equal(object())
    assert multihost_utils.reached_preemption_sync_point(3) is False
    mesh = Mesh(np.array(pb.devices()), "x")
    for move in (
        multihost_utils.host_local_array_to_global_array,
        multihost_utils.global_array_to_host_local_array,
    ):
        assert move(tree, mesh, PartitionSpec("x"))["a"] is tree["a"]
        with pytest.raises(ValueError, match="`None` is not a valid input"):
            move(tree, mesh, None)


def test_layouts():
    a = layout.Layout((1, 0))
    assert a == layout.Layout([1, 0]) and hash(a) == hash(layout.Layout((1, 0)))
    assert a != layout.Layout((0, 1)) and a.update(tiling=((8, 128),)).tiling == ((8, 128),)
    here = SingleDeviceSharding(pb.devices()[0])
    f = layout.Format(a, here)
    assert f == layout.Format(layout.Layout((1, 0)), here) and f != layout.Format()
    assert f.layout is a and f.sharding is here and hash(f) == hash(layout.Format(a, here))
    assert repr(layout.Format()) == "Format(layout=None, sharding=None)"
    assert repr(layout.Layout.AUTO) == "AUTO"
    spread = NamedSharding(Mesh(np.array(pb.devices()), "x"), PartitionSpec("x"))
    assert layout.Format(layout.Layout.AUTO, spread).sharding == spread
    with pytest.raises(ValueError, match="Sharding has to be concrete when layout"):
        layout.Format(a)
    with pytest.raises(TypeError, match="Invalid value received for the layout argument"):
        layout.Format("x")
    with pytest.raises(TypeError, match="Invalid value received for the sharding argument"):
        layout.Format(None, "x")
    if peer.INSTALLED:
        import jax.experimental.layout

        assert repr(a) == repr(jax.experimental.layout.Layout((1, 0)))


def test_with_layout_constraint():
    x = pb.numpy.ones((2, 3))
    out = layout.with_layout_constraint({"x": x}, layout.Layout((1, 0)))
    assert out["x"] is x
    pb.jit(lambda x: layout.with_layout_constraint(x, layout.Layout((0, 1))))(x)
    with pytest.raises(ValueError, match="rank of the value should match"):
        layout.with_layout_constraint(x, layout.Layout((0,)))
    with pytest.raises(TypeError, match="needs a Layout for each array"):
        layout.with_layout_constraint(x, "x")


def test_checkpoints_of_tensorstore_say_what_to_use_instead():
    for use in (
        serialization.GlobalAsyncCheckpointManager,
        lambda: serialization.get_tensorstore_spec("/tmp/x"),
        lambda: serialization.run_serialization([], []),
        lambda: serialization.run_deserialization([], []),
    ):
        with pytest.raises(NotImplementedError, match="does not write files of tensorstore"):
            use()


def test_all_are_modules_of_jax_too():
    program = """
from pullback import compat
compat.install()
import jax
import jax.experimental.sparse as sparse, jax.experimental.ode, jax.scipy.optimize
import jax.scipy.sparse.linalg, jax.experimental.array_serialization.serialization
from jax.experimental.sparse import BCOO, sparsify
from jax.experimental.sparse.bcoo import bcoo_dot_general
from jax.experimental.sparse.util import SparseInfo
from jax.example_libraries import optimizers, stax
from jax.experimental.pjit import pjit
from jax.experimental.layout import Format, Layout
from jax.experimental.multihost_utils import sync_global_devices
from jax.experimental import mesh_utils
import pullback.experimental.sparse as ours
assert sparse is ours and sparse.BCOO is BCOO
assert jax.scipy.sparse.linalg.cg.__module__.startswith("pullback.")
print(BCOO.fromdense(jax.numpy.eye(2)))
"""
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout == "BCOO(float32[2, 2], nse=2)\n"
