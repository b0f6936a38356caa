"""Arrays on devices: device_put, and arrays made of parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import checks
from .core import dtypes
from .core.array import Array, HostArray, Tracer
from .core.errors import error
from .core.lazy import lazy
from .core.mesh import mesh_in_use
from .core.placing import as_sharding
from .core.pytree import flatten, leaf_paths, prefix_leaves
from .core.sharding import NamedSharding, Sharding, is_here
from .core.trace import DeviceTrace, state, type_of
from .core.types import Shape
from .ops.spreading import placed

moving = lazy("pullback.engines.xla.devices")


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
        if type(state.trace) is DeviceTrace:
            arrays = [state.trace.stage(y) for y in arrays]
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
    """`xs`, a pytree of arrays, spread in another way.

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
    """The array whose part at each index `data_callback(index)` gives.

    Devices that have the same part share one call.

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
    indices = sharding.addressable_devices_indices_map(shape)
    if sharding.is_host:
        (index,) = indices.values()
        data = data_callback(index)
        return _whole(shape, sharding, data, "the callback's result", dtype)
    made: dict[str, Any] = {}
    parts = []
    for index in indices.values():
        if str(index) not in made:
            made[str(index)] = _part(
                data_callback(index), shape, sharding, "the callback's result", dtype
            )
        parts.append(made[str(index)])
    return _assembled(shape, sharding, parts, "the callback's result")


def make_array_from_process_local_data(
    sharding: Sharding, local_data: Any, global_shape: Sequence[int] | None = None
) -> Any:
    """The array of which this process has `local_data`; a single process has all of it.

    Args:
      sharding: how the array is spread over the devices of all processes.
      local_data: an array or a pytree of arrays: along each axis that is divided among processes
        the parts of this one's devices, one after the other; along others, all of it.
      global_shape: the shape of the whole array. Along an axis where that is the length of
        `local_data`, this process has all of it, and its devices get their parts. None: the length
        of each axis that is divided among processes is that of the parts of all of them.

    Raises:
      ValueError: the shape does not fit.
    """
    if isinstance(local_data, (np.ndarray, Array)):
        return _of_local(sharding, local_data, global_shape)
    leaves, tree = flatten(local_data)
    places = prefix_leaves("sharding", sharding, local_data)
    shapes: Any = [None] * len(leaves)
    if global_shape is not None:
        shapes = tree.flatten_up_to(global_shape)  # type: ignore[arg-type]
    return tree.unflatten(
        [make_array_from_process_local_data(*args) for args in zip(places, leaves, shapes)]
    )


def _of_local(sharding: Sharding, data: Any, global_shape: Sequence[int] | None) -> Any:
    if sharding.is_fully_addressable:
        shape = tuple(data.shape if global_shape is None else global_shape)
        if not sharding.is_host and tuple(data.shape) == shape:
            return device_put(data, sharding)
        return _whole(shape, sharding, data, "local_data", None)
    counts = sharding._parts(data.ndim) if isinstance(sharding, NamedSharding) else [1] * data.ndim
    numbers = {
        d: [s.start or 0 for s in index]
        for d, index in sharding.addressable_devices_indices_map(tuple(counts)).items()
    }
    mine = [sorted({at[i] for at in numbers.values()}) for i in range(data.ndim)]
    shape = tuple(
        n * count // len(here) for n, count, here in zip(data.shape, counts, mine, strict=True)
    )
    wanted = shape if global_shape is None else tuple(global_shape)
    fits = len(wanted) == data.ndim and not any(n % c for n, c in zip(wanted, counts))
    if not fits or any(have not in (g, g * len(here) // c) for have, g, c, here in
                       zip(data.shape, wanted, counts, mine)):  # fmt: skip
        raise error(
            ValueError,
            "local_data has not the shape of what this process has of the array.",
            got=f"shape {tuple(data.shape)} for the whole shape {wanted} and {sharding!r}",
            fix="along each axis give the parts of this process's devices, or all of it.",
        )
    value = np.asarray(data)
    parts = []
    for device, at in numbers.items():
        steps = [g // c for g, c in zip(wanted, counts)]
        first = [
            (q if have == g else here.index(q)) * step
            for q, have, g, here, step in zip(at, value.shape, wanted, mine, steps)
        ]
        index = tuple(slice(a, a + step) for a, step in zip(first, steps))
        parts.append(device_put(value[index], device))
    return make_array_from_single_device_arrays(wanted, sharding, parts)


def make_array_from_single_device_arrays(
    shape: Sequence[int], sharding: Sharding, arrays: Sequence[Any], *, dtype: Any = None
) -> Array:
    """The array whose parts on the devices of this process are `arrays`.

    Raises:
      ValueError: their number is not that of the devices, or they are on others; one has another
        shape than its part, or another dtype than the others.
    """
    parts = [arrays] if isinstance(arrays, Array) else list(arrays)
    devices = [d for d in sharding.device_list if is_here(d)]
    if len(parts) != len(devices):
        many = len(devices) > 1
        raise error(
            ValueError,
            "there must be one array for each device of this process.",
            got=f"{len(parts)} arrays for {len(devices)} device{'s' if many else ''}",
            fix=f"give a list of {len(devices)} arrays." if many else "give a list of one array.",
        )
    what = "the array of the device"
    if sharding.is_host:
        return _whole(tuple(shape), sharding, parts[0], what, dtype)
    ready = [_part(x, tuple(shape), sharding, what, dtype) for x in parts]
    where = {d: x for x in ready for d in x.devices() if len(x.devices()) == 1}
    if set(where) != set(devices):
        raise error(
            ValueError,
            "Addressable devices and per-device arrays devices do not match.",
            got=f"arrays on {sorted(d.id for d in where)} for the devices "
            f"{sorted(d.id for d in devices)}",
            fix="put each part on its device first: jax.device_put(part, device).",
        )
    # In any order: each says where it is.
    return _assembled(tuple(shape), sharding, [where[d] for d in devices], what)


def _assembled(shape: Shape, sharding: Sharding, parts: Sequence[Any], what: str) -> Array:
    other = next((x for x in parts if x.dtype != parts[0].dtype), None)
    if other is not None:
        raise error(
            ValueError,
            f"{what} has another dtype on one device than on another.",
            got=f"{type_of(parts[0]).str_short()} and {type_of(other).str_short()}",
            fix="convert the parts to one dtype with .astype(...).",
        )
    return moving.assembled(shape, sharding, parts)  # type: ignore[no-any-return]


def _whole(shape: Shape, sharding: Sharding, data: Any, what: str, dtype: Any) -> Any:
    return placed(_part(data, shape, sharding, what, dtype), as_sharding(sharding))


def _part(data: Any, shape: Shape, sharding: Sharding, what: str, dtype: Any) -> Any:
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
    return x
