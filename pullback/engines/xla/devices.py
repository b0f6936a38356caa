"""Devices as teams that run programs, and arrays put on them, moved, and made of parts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from math import prod
from typing import Any
from weakref import ReferenceType

import numpy as np

from ...core.array import HostArray
from ...core.device import CPU, Device
from ...core.errors import error
from ...core.mesh import UNCONSTRAINED
from ...core.placing import marked
from ...core.sharding import NamedSharding, Sharding, SingleDeviceSharding, is_here
from ...core.types import ArrayType
from . import adapter, adapter_cuda, adapter_mesh, adapter_tpu
from .arrays import PlacedArray, XlaArray, held
from .lowering import plain


class Team(adapter_mesh.Team):
    """Devices that run programs together, as the rest of the package knows them."""

    def __init__(self, devices: tuple[Device, ...]) -> None:
        super().__init__(client(devices[0].platform), [d.id for d in devices])
        self.names = devices

    def alone(self, buffer: Any, k: int, whole: ArrayType) -> Any:
        """A buffer on the device `k` as an array."""
        t = ArrayType(tuple(buffer.aval.shape), whole.dtype, whole.weak_type)
        device = self.names[k]
        if device is CPU:
            out = XlaArray(buffer, t)
            out._sharding = SingleDeviceSharding(CPU)
            return out
        return PlacedArray(buffer, t, SingleDeviceSharding(device), team((device,)))


@cache
def team(devices: tuple[Device, ...]) -> Team:
    """The team of these devices, in this order.

    Raises:
      ValueError: they are of several platforms.
    """
    if len({d.platform for d in devices}) > 1:
        raise error(
            ValueError,
            "the devices of a mesh must be of one platform.",
            got=", ".join(map(repr, devices)),
            fix="take the devices of jax.devices(platform).",
        )
    return Team(devices)


def client(platform: str) -> adapter.Client:
    """The client of a platform."""
    if platform == "cpu":
        return adapter.cpu()
    return adapter_tpu.client() if platform == "tpu" else adapter_cuda.client()


# ---- how XLA writes where the parts of an array are


@cache
def layout(sharding: Sharding, rank: int) -> str:
    """A sharding of arrays of this rank as text of XLA, over the devices in their order."""
    if not isinstance(sharding, NamedSharding) or sharding.is_fully_replicated:
        return "{replicated}"
    sizes = sharding.mesh.shape
    entries = [_names(sharding.spec[i]) if i < len(sharding.spec) else () for i in range(rank)]
    used = [n for entry in entries for n in entry]
    rest = [n for n in sizes if n not in used]
    tiles = [prod(sizes[n] for n in entry) for entry in entries]
    names = list(sizes)
    order = [names.index(n) for n in (*used, *rest)]
    left = prod(sizes[n] for n in rest)
    if left > 1:
        tiles.append(left)
    turned = f"T({','.join(map(str, order))})" if order != sorted(order) else ""
    grid = ",".join(map(str, sizes.values() if turned else [prod(sizes.values())]))
    last = " last_tile_dim_replicate" if left > 1 else ""
    return f"{{devices=[{','.join(map(str, tiles))}]<=[{grid}]{turned}{last}}}"


def _names(entry: Any) -> tuple[Any, ...]:
    if entry is None or entry is UNCONSTRAINED:
        return ()
    return entry if isinstance(entry, tuple) else (entry,)


# ---- arrays


def given(buffer: Any, t: ArrayType, sharding: Sharding) -> Any:
    """A buffer on the devices of a sharding, as an array."""
    devices = sharding.device_list
    if devices == (CPU,):
        out = XlaArray(buffer, t)
        out._sharding = sharding
        return out
    return PlacedArray(buffer, t, sharding, team(devices))


def made(buffer: Any, t: ArrayType, sharding: Sharding) -> Any:
    """A buffer on one device as an array that was not put there by name."""
    out = given(buffer, t, sharding)
    if out.elsewhere:
        out.loose = True
    else:
        del out._sharding
    return out


def put(x: Any, sharding: Sharding) -> Any:
    """An array that is not traced, moved to where a sharding says.

    Raises:
      ValueError: that is a device of another process.
    """
    sharding.shard_shape(x.shape)
    (device, *others) = sharding.device_list
    if not (others or is_here(device)):
        raise error(
            ValueError,
            "Cannot copy array to non-addressable device.",
            got=f"{device!r} of process {device.process_index}, in process {CPU.process_index}",
            fix="take one of jax.local_devices(), or spread the array over a mesh of all devices.",
        )
    if x.elsewhere and _same_place(x._sharding, sharding, len(x.shape)):
        return given(x.buffer, x.aval, sharding)
    if sharding.is_host:
        return marked(HostArray(x._value, x._weak), sharding)
    return given(buffer_on(x, sharding), x.aval, sharding)


def buffer_on(x: Any, sharding: Sharding, alone: bool = False) -> Any:
    """The buffer of an array, on the devices of a sharding and in its parts.

    It is the array's own, if that is there; else a copy, which is `alone` if nobody else has it.
    """
    if x.elsewhere:
        if x.is_deleted():
            x._value.any()  # says so
        if _same_place(x._sharding, sharding, len(x.shape)):
            return x.buffer
        moved = _moved(x, sharding)
        if moved is not None:
            return moved
    elif type(x) is HostArray and not alone:
        return _copied(x, sharding)
    return _divided(x, sharding)


def _divided(x: Any, sharding: Sharding) -> Any:
    """The buffer with the elements of an array of the memory of the process."""
    shape, dtype = held(x.aval)
    value = np.ascontiguousarray(plain(x._value), dtype).reshape(shape)
    group = team(sharding.device_list)
    indices = list(sharding.devices_indices_map(shape).values())
    pieces: dict[str, np.ndarray] = {}
    parts = []
    for k in group.here:
        key = str(indices[k])
        if key not in pieces:
            pieces[key] = np.ascontiguousarray(value[indices[k]])
        parts.append(group.put(pieces[key].reshape(sharding.shard_shape(shape)), k))
    return group.whole(shape, dtype, layout(sharding, len(shape)), parts)


KEPT_AT_MOST = 1 << 24
"""Bytes on each device. Larger arrays of the memory of the process are copied for each call."""
_copies: dict[int, tuple[ReferenceType[Any], Any, Sharding, Any]] = {}
"""By the `id` of an array: the array, its elements, and where they were copied to last."""


def _copied(x: HostArray, sharding: Sharding) -> Any:
    """The same, copied once for all calls that want it there, as long as the array lives."""
    found, value = _copies.get(id(x)), x._value
    if found is not None and found[0]() is x and found[1] is value and found[2] == sharding:
        return found[3]
    buffer = _divided(x, sharding)
    part = prod(sharding.shard_shape(x.shape)) * x.dtype.itemsize
    if part <= KEPT_AT_MOST and not x.is_deleted():
        number = id(x)
        gone = ReferenceType(x, lambda _: _copies.pop(number, None))
        _copies[number] = gone, value, sharding, buffer
    return buffer


def _same_place(a: Sharding, b: Sharding, rank: int) -> bool:
    return a.device_list == b.device_list and layout(a, rank) == layout(b, rank)


def _moved(x: Any, sharding: Sharding) -> Any:
    """The buffer moved from device to device; None where the memory of the process is the way."""
    devices = sharding.device_list
    have = x._sharding.device_list
    if len(devices) == 1 and len(have) == 1 and devices[0].platform == have[0].platform:
        return team(devices).move(x.buffer, 0)
    return None


def assembled(shape: Sequence[int], sharding: Sharding, arrays: Sequence[Any]) -> Any:
    """The array whose parts on the devices of this process are `arrays`, in their order."""
    group = team(sharding.device_list)
    t = ArrayType(tuple(shape), arrays[0].dtype, False)
    whole, dtype = held(t)
    parts = [
        buffer_on(x, SingleDeviceSharding(group.names[k]))
        for k, x in zip(group.here, arrays, strict=True)
    ]
    return given(group.whole(whole, dtype, layout(sharding, len(whole)), parts), t, sharding)


__all__ = [
    "Team",
    "assembled",
    "buffer_on",
    "client",
    "given",
    "layout",
    "made",
    "put",
    "team",
]
