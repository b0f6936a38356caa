"""Arrays on devices: device_put, and arrays made of parts. Here there is one device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import checks
from .core import dtypes
from .core.array import Array, HostArray, Tracer
from .core.errors import error
from .core.mesh import mesh_in_use
from .core.placing import as_sharding, placed
from .core.pytree import flatten, leaf_paths, prefix_leaves
from .core.sharding import NamedSharding, Sharding
from .core.trace import type_of
from .core.types import Shape


def device_put(
    x: Any, device: Any = None, *, src: Any = None, donate: Any = False, may_alias: Any = None
) -> Any:
    """`x`, a pytree of arrays and numbers, as Arrays on a device. NumPy arrays are copied.

    Args:
      x: a pytree of arrays and numbers.
      device: a Device, a Sharding, or with a mesh in use a PartitionSpec; or a pytree of these, of
        the structure of the upper part of `x`. Arrays then say it when asked for their `sharding`.
      src, donate, may_alias: accepted for compatibility.

    Raises:
      ValueError: `device` is something else, or a sharding that does not fit the array.

    Example:
      >>> import numpy as np
      >>> import pullback
      >>> pullback.device_put(np.arange(3.0))
      Array([0., 1., 2.], dtype=float32)
    """
    leaves, tree = flatten(x)
    arrays = [checks.input_array(v, "device_put") for v in leaves]
    if device is None:
        return tree.unflatten(arrays)
    targets = prefix_leaves("device_put's device", device, x)
    pairs = zip(arrays, targets, strict=True)
    return tree.unflatten([_put(y, target, x, i) for i, (y, target) in enumerate(pairs)])


def _put(y: Any, target: Any, tree: Any, i: int) -> Any:
    try:
        sharding = as_sharding(target)
        if sharding is not None:
            sharding.shard_shape(type_of(y).shape)
    except ValueError as problem:
        problem.add_note(f"  In device_put of {leaf_paths(tree, 'x')[i]}.")
        raise
    return placed(y, sharding)


def reshard(xs: Any, out_shardings: Any) -> Any:
    """`xs`, a pytree of arrays, spread in another way. Nothing moves: there is one device.

    Args:
      xs: a pytree of arrays.
      out_shardings: a Sharding or a PartitionSpec for each of them, or a pytree of these. A
        PartitionSpec is one of the array's own mesh, or of the mesh in use.

    Example:
      >>> import pullback
      >>> import pullback.numpy as jnp
      >>> from pullback.sharding import PartitionSpec as P
      >>> mesh = pullback.make_mesh((1,), ("x",))
      >>> with pullback.set_mesh(mesh):
      ...     print(pullback.reshard(jnp.ones(2), P("x")))
      [1. 1.]
    """
    leaves, tree = flatten(xs)
    outs = []
    for x, target in zip(leaves, prefix_leaves("reshard's out_shardings", out_shardings, xs)):
        y = checks.input_array(x, "reshard")
        own = y.sharding
        mesh = own.mesh if isinstance(own, NamedSharding) and mesh_in_use().empty else None
        sharding = as_sharding(target, mesh)
        if sharding is not None:
            sharding.shard_shape(type_of(y).shape)
        outs.append(placed(y, sharding))
    return tree.unflatten(outs)


def device_get(x: Any) -> Any:
    """`x`, a pytree of arrays, as NumPy arrays.

    Traced values stay as they are, and so do leaves that are no arrays, such as Python numbers.

    Example:
      >>> import pullback
      >>> import pullback.numpy as jnp
      >>> pullback.device_get(jnp.ones(2))
      array([1., 1.], dtype=float32)
    """
    leaves, tree = flatten(x)
    return tree.unflatten([_on_host(v) for v in leaves])


def _on_host(v: Any) -> Any:
    if isinstance(v, Tracer) or (isinstance(v, HostArray) and dtypes.is_key(v.dtype)):
        return v
    return np.asarray(v) if hasattr(v, "__array__") else v


def block_until_ready(x: Any) -> Any:
    """`x`: on this engine every result is ready when it is returned.

    Example:
      >>> import pullback
      >>> import pullback.numpy as jnp
      >>> print(pullback.block_until_ready(jnp.ones(2)))
      [1. 1.]
    """
    return x


def copy_to_host_async(x: Any) -> Any:
    """`x`, a pytree of arrays: they are in the memory of the process already."""
    return x


# ---- arrays made of parts


def make_array_from_callback(
    shape: Sequence[int],
    sharding: Sharding,
    data_callback: Callable[[Any], Any],
    dtype: Any = None,
) -> Array:
    """The array whose part at each index `data_callback(index)` gives: one part, all of it.

    Example:
      >>> import numpy as np
      >>> import pullback
      >>> from pullback.sharding import SingleDeviceSharding
      >>> whole = np.arange(6.0).reshape(2, 3)
      >>> sharding = SingleDeviceSharding(pullback.devices()[0])
      >>> print(pullback.make_array_from_callback((2, 3), sharding, lambda i: whole[i]))
      [[0. 1. 2.]
       [3. 4. 5.]]
    """
    shape = tuple(shape)
    (index,) = sharding.addressable_devices_indices_map(shape).values()
    data = data_callback(index)
    return _whole(shape, sharding, data, "the callback's result", dtype)


def make_array_from_process_local_data(
    sharding: Sharding, local_data: Any, global_shape: Sequence[int] | None = None
) -> Any:
    """The array of which this process has `local_data`: there is one process, so it has all.

    `local_data` may be a pytree of arrays.
    """
    if isinstance(local_data, (np.ndarray, Array)):
        shape = tuple(local_data.shape if global_shape is None else global_shape)
        return _whole(shape, sharding, local_data, "local_data", None)
    leaves, tree = flatten(local_data)
    places = prefix_leaves("sharding", sharding, local_data)
    shapes: Any = [None] * len(leaves)
    if global_shape is not None:
        shapes = tree.flatten_up_to(global_shape)  # type: ignore[arg-type]
    return tree.unflatten(
        [make_array_from_process_local_data(*args) for args in zip(places, leaves, shapes)]
    )


def make_array_from_single_device_arrays(
    shape: Sequence[int], sharding: Sharding, arrays: Sequence[Any], *, dtype: Any = None
) -> Array:
    """The array whose parts on the devices are `arrays`: one part, all of it."""
    parts = [arrays] if isinstance(arrays, Array) else list(arrays)
    if len(parts) != 1:
        raise error(
            ValueError,
            "there must be one array for each device of this process.",
            got=f"{len(parts)} arrays for 1 device",
            fix="give a list of one array.",
        )
    return _whole(tuple(shape), sharding, parts[0], "the array of the device", dtype)


def _whole(shape: Shape, sharding: Sharding, data: Any, what: str, dtype: Any) -> Any:
    x = checks.input_array(data, "an array made of parts")
    part = sharding.shard_shape(shape)
    if type_of(x).shape != part:
        raise error(
            ValueError,
            f"{what} has not the shape of the part on its device.",
            got=f"{type_of(x).str_short()} for the shape {shape} and {sharding!r}",
            fix=f"give an array of shape {part}.",
        )
    if dtype is not None and x.dtype != dtypes.canonical(dtype):
        raise error(
            ValueError,
            f"{what} has not the dtype that was asked for.",
            got=f"{type_of(x).str_short()} for dtype {dtypes.canonical(dtype)}",
            fix="convert it with .astype(...).",
        )
    return placed(x, as_sharding(sharding))
