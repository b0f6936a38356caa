"""What several processes do together: share values, wait for each other, compare.

With one process, all of it is done at once.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np

from ..core import processes
from ..core.array import Array
from ..core.errors import error
from ..core.pytree import flatten, prefix_leaves
from ..core.sharding import NamedSharding
from ..devices import devices, local_devices, process_count, process_index
from ..jit import jit
from ..placement import device_put, make_array_from_single_device_arrays
from ..sharding import Mesh, PartitionSpec
from ..tree_util import tree_map


class ProcessFailureError(Exception):
    """Another process has failed. What raises here is `errors.ProcessLostError`."""


# ---- values that go around


def broadcast_one_to_all(in_tree: Any, is_source: bool | None = None) -> Any:
    """The values of one process for all, as NumPy arrays.

    Args:
      in_tree: a pytree of arrays, of the same structure, shapes and dtypes in all processes.
      is_source: whether this is the process; by default number 0 is.

    Example:
      >>> from pullback.experimental import multihost_utils
      >>> multihost_utils.broadcast_one_to_all({"seed": 3})
      {'seed': array(3)}
    """
    if process_count() == 1:
        return tree_map(np.asarray, in_tree)
    source = process_index() == 0 if is_source is None else is_source
    told = process_allgather({"source": np.asarray(source), "values": in_tree})
    found = np.flatnonzero(told["source"])
    if found.size != 1:
        raise error(
            ValueError,
            "broadcast_one_to_all needs one process that is the source.",
            got=f"is_source is true in {found.size} of {process_count()} processes",
            fix="give is_source=True in one of them, or leave it out: then process 0 is.",
        )
    return tree_map(lambda x: np.asarray(x[found[0]]), told["values"])


def process_allgather(in_tree: Any, tiled: bool = False) -> Any:
    """The arrays of all processes, stacked along a new first axis, as NumPy arrays.

    Args:
      in_tree: a pytree of arrays, of the same structure, shapes and dtypes in all processes. Arrays
        that are spread over several processes are made whole.
      tiled: whether to join them along the first axis that they have.

    Raises:
      ValueError: an array is spread over several processes, and `tiled` is not said.
    """
    return tree_map(lambda x: _gathered(x, tiled), in_tree)


def _gathered(x: Any, tiled: bool) -> np.ndarray:
    if isinstance(x, Array) and not x.is_fully_addressable:
        if not tiled:
            raise error(
                ValueError,
                "an array that is spread over several processes is one array: it is not stacked.",
                got=f"{x.aval.str_short()} with {x.sharding!r}",
                fix="write process_allgather(x, tiled=True).",
            )
        return _whole(x)
    value = np.asarray(x)
    if process_count() == 1:
        return value if tiled else value[None]
    joined = tiled and value.ndim > 0
    stacked = _stacked(value)
    return stacked.reshape(-1, *value.shape[1:]) if joined else stacked


def _stacked(value: np.ndarray) -> np.ndarray:
    """The arrays of all processes along a new first axis, moved as the bytes they are."""
    count = process_count()
    size = value.nbytes
    if not size:
        return np.zeros((count, *value.shape), value.dtype)
    words = np.zeros(-(-size // 4) * 4, np.uint8)
    words[:size] = np.frombuffer(value.tobytes(), np.uint8)
    first = {d.process_index: d for d in reversed(devices())}
    mesh = Mesh(np.array([first[i] for i in range(count)]), "processes")
    split = NamedSharding(mesh, PartitionSpec("processes"))
    mine = device_put(words.view(np.uint32)[None], local_devices()[0])
    whole = _whole(make_array_from_single_device_arrays((count, words.size // 4), split, [mine]))
    raw = np.ascontiguousarray(whole).view(np.uint8)[:, :size]
    return np.frombuffer(raw.tobytes(), value.dtype).reshape(count, *value.shape)


def _whole(x: Any) -> np.ndarray:
    """An array that is spread over processes, in this one."""
    everywhere = NamedSharding(x.sharding.mesh, PartitionSpec())
    return np.asarray(jit(_itself, out_shardings=everywhere)(x).addressable_data(0))


def _itself(x: Any) -> Any:
    return x


# ---- waiting and comparing


def sync_global_devices(name: str) -> None:
    """Wait until all processes call this.

    Raises:
      AssertionError: they call it with other names: they are not at the same place.
      ProcessLostError: one of them is gone.
    """
    if process_count() > 1:
        number = np.uint32(zlib.crc32(name.encode()))
        assert_equal(number, f"sync_global_devices name mismatch ('{name}')")


def assert_equal(in_tree: Any, fail_message: str = "") -> None:
    """Raise AssertionError unless all processes have these values.

    A tree of anything but numbers is a TypeError; NaN is not equal to itself.
    """

    def check(x: Any) -> bool:
        array = np.asarray(x)
        if array.dtype == object:
            raise error(
                TypeError,
                "assert_equal compares arrays and numbers.",
                got=f"a value of type {type(x).__name__}",
                fix="compare a number made of it, such as a checksum.",
            )
        return bool(np.all(array == array))

    leaves = flatten(in_tree)[0]
    if not all([check(x) for x in leaves]):
        raise AssertionError(f"{fail_message}. Expected: {in_tree}; got: {in_tree}.")
    if process_count() == 1:
        return
    together = process_allgather(in_tree)
    pairs = zip(leaves, flatten(together)[0], strict=True)
    if not all(np.all(np.asarray(x)[None] == y) for x, y in pairs):
        raise AssertionError(f"{fail_message}. Expected: {together}; got: {in_tree}.")


def reached_preemption_sync_point(step_id: int) -> bool:
    """Whether all processes should now save their work: no cluster says so here, so never."""
    return False


# ---- arrays of one process as parts of arrays of all


def host_local_array_to_global_array(local_inputs: Any, global_mesh: Any, pspecs: Any) -> Any:
    """The arrays of all processes as one, which is spread over `global_mesh`.

    Args:
      local_inputs: a pytree of arrays: of each, this process has what its devices have.
      global_mesh: a mesh in which the devices of a process are a block.
      pspecs: a PartitionSpec for each array, or a pytree of these of its upper part.
    """
    leaves, tree = flatten(local_inputs)
    specs = _specs(pspecs, local_inputs, "local_inputs")
    if processes.current().count == 1:
        return local_inputs
    pairs = zip(leaves, specs, strict=True)
    return tree.unflatten([_to_global(x, global_mesh, spec) for x, spec in pairs])


def _to_global(x: Any, mesh: Any, spec: Any) -> Any:
    if isinstance(x, Array) and not x.is_fully_addressable:
        return x
    x = np.asarray(x)
    here = NamedSharding(mesh.local_mesh, spec)
    factors = zip(NamedSharding(mesh, spec)._parts(x.ndim), here._parts(x.ndim), strict=True)
    shape = tuple(n * (all_ // mine) for n, (all_, mine) in zip(x.shape, factors, strict=True))
    parts = [device_put(x[i], d) for d, i in here.devices_indices_map(x.shape).items()]
    return make_array_from_single_device_arrays(shape, NamedSharding(mesh, spec), parts)


def global_array_to_host_local_array(global_inputs: Any, global_mesh: Any, pspecs: Any) -> Any:
    """The parts of arrays that this process has, each as one array.

    Args:
      global_inputs: a pytree of arrays that are spread over `global_mesh`.
      global_mesh: a mesh in which the devices of a process are a block.
      pspecs: how each is spread, as a PartitionSpec, or a pytree of these of its upper part.
    """
    leaves, tree = flatten(global_inputs)
    specs = _specs(pspecs, global_inputs, "global_inputs")
    if processes.current().count == 1:
        return global_inputs
    pairs = zip(leaves, specs, strict=True)
    return tree.unflatten([_to_local(x, global_mesh, spec) for x, spec in pairs])


def _to_local(x: Any, mesh: Any, spec: Any) -> Any:
    if isinstance(x, Array) and x.is_fully_addressable:
        return x
    whole, here = NamedSharding(mesh, spec), NamedSharding(mesh.local_mesh, spec)
    if not x.sharding.is_equivalent_to(whole, x.ndim):
        x = jit(_itself, out_shardings=whole)(x)
    factors = zip(whole._parts(x.ndim), here._parts(x.ndim), strict=True)
    shape = tuple(n // (all_ // mine) for n, (all_, mine) in zip(x.shape, factors, strict=True))
    return make_array_from_single_device_arrays(shape, here, [s.data for s in x.addressable_shards])


def _specs(pspecs: Any, tree: Any, name: str) -> list[Any]:
    if pspecs is None:
        raise error(
            ValueError,
            "`None` is not a valid input to the pspecs argument.",
            got="pspecs=None",
            fix="use sharding.PartitionSpec() to have the input on all devices.",
        )
    return prefix_leaves(f"the pspecs of {name}", pspecs, tree)


__all__ = [
    "ProcessFailureError",
    "assert_equal",
    "broadcast_one_to_all",
    "global_array_to_host_local_array",
    "host_local_array_to_global_array",
    "process_allgather",
    "reached_preemption_sync_point",
    "sync_global_devices",
]
