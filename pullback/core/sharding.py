"""Shardings: which part of an array is on which device."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from math import prod
from typing import Any

import numpy as np

from .device import CPU, Device
from .errors import error
from .mesh import EMPTY, UNCONSTRAINED, AbstractMesh, Mesh, PartitionSpec

Index = tuple[slice, ...]
Shape = tuple[int, ...]


class Sharding:
    """How an array is spread over devices: the base of all kinds."""

    @property
    def device_set(self) -> set[Device]:
        """The devices on which a part of the array is."""
        raise NotImplementedError

    @property
    def device_list(self) -> tuple[Device, ...]:
        """The devices in their order."""
        raise NotImplementedError

    @property
    def is_host(self) -> bool:
        """Whether it is all in the memory of the process: on its first CPU device."""
        return self.device_list == (CPU,)

    @property
    def memory_kind(self) -> str | None:
        """The kind of memory."""
        return "device"

    @property
    def num_devices(self) -> int:
        """The number of devices."""
        return len(self.device_set)

    @property
    def addressable_devices(self) -> set[Device]:
        """Those of the devices that belong to this process."""
        return {d for d in self.device_set if is_here(d)}

    @property
    def has_addressable_devices(self) -> bool:
        """Whether a device belongs to this process."""
        return any(is_here(d) for d in self.device_set)

    @property
    def is_fully_addressable(self) -> bool:
        """Whether all devices belong to this process."""
        return all(is_here(d) for d in self.device_set)

    @property
    def is_fully_replicated(self) -> bool:
        """Whether each device has all of the array."""
        return True

    def shard_shape(self, global_shape: Shape) -> Shape:
        """The shape of the part on each device."""
        return tuple(global_shape)

    def devices_indices_map(self, global_shape: Shape) -> dict[Device, Index]:
        """For each device, the index of its part."""
        self.shard_shape(global_shape)
        return {d: (slice(None),) * len(global_shape) for d in self.device_list}

    def addressable_devices_indices_map(self, global_shape: Shape) -> dict[Device, Index]:
        """For each device of this process, the index of its part."""
        whole = self.devices_indices_map(global_shape)
        return {d: index for d, index in whole.items() if is_here(d)}

    def is_equivalent_to(self, other: Any, ndim: int) -> bool:
        """Whether the other spreads arrays of `ndim` axes in the same way over the same devices."""
        return isinstance(other, Sharding) and self._spread(ndim) == other._spread(ndim)

    def with_memory_kind(self, kind: str) -> Any:
        """The same in another kind of memory: there is one, "device"."""
        _check_memory(kind)
        return self

    def check_compatible_aval(self, aval_shape: Shape) -> None:
        """Raise a ValueError if arrays of this shape cannot be spread so."""
        self.shard_shape(aval_shape)

    def _spread(self, ndim: int) -> Any:
        """For each device, which part it has of arrays of `ndim` axes."""
        return self.devices_indices_map((1,) * ndim)


class SingleDeviceSharding(Sharding):
    """All of an array on one device."""

    def __init__(self, device: Device = CPU, *, memory_kind: str | None = None) -> None:
        _check_memory(memory_kind)
        self._device = device

    @property
    def device_set(self) -> set[Device]:
        """The device."""
        return {self._device}

    @property
    def device_list(self) -> tuple[Device, ...]:
        """The device."""
        return (self._device,)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SingleDeviceSharding) and other._device is self._device

    def __hash__(self) -> int:
        return hash(self._device)

    def __repr__(self) -> str:
        return f"SingleDeviceSharding(device={self._device!r}, memory_kind={self.memory_kind})"


class NamedSharding(Sharding):
    """The axes of an array spread over the axes of a mesh, by their names.

    Args:
      mesh: a Mesh or an AbstractMesh.
      spec: a PartitionSpec: for each axis of an array the axes of the mesh.

    Raises:
      ValueError: `spec` names an axis that the mesh does not have, or one twice.

    Example:
      >>> import pullback
      >>> from pullback.sharding import NamedSharding, PartitionSpec as P
      >>> mesh = pullback.make_mesh((1,), ("x",))
      >>> NamedSharding(mesh, P("x")).shard_shape((4, 2))
      (4, 2)
    """

    def __init__(self, mesh: AbstractMesh, spec: Any, *, memory_kind: str | None = None) -> None:
        if not isinstance(mesh, AbstractMesh) or not isinstance(spec, (PartitionSpec, tuple)):
            raise error(
                TypeError,
                "NamedSharding takes a mesh and a PartitionSpec.",
                got=f"{type(mesh).__name__} and {type(spec).__name__}",
                fix="write NamedSharding(mesh, PartitionSpec(...)).",
            )
        _check_memory(memory_kind)
        self.mesh = mesh
        self.spec = spec if isinstance(spec, PartitionSpec) else PartitionSpec(*spec)
        check_spec(mesh, self.spec)

    @property
    def device_set(self) -> set[Device]:
        """The devices of the mesh; an AbstractMesh has none, and raises a ValueError."""
        return set(self.mesh.devices.flat)

    @property
    def device_list(self) -> tuple[Device, ...]:
        """The devices of the mesh in their order."""
        return tuple(self.mesh.devices.flat)

    @property
    def num_devices(self) -> int:
        """The number of devices."""
        return self.mesh.size

    @property
    def is_fully_replicated(self) -> bool:
        """Whether each device has all of the array."""
        return prod(self.mesh.shape[n] for n in self.spec.names()) == 1

    @property
    def replicated_axes(self) -> frozenset[Any]:
        """The axes of the mesh over which nothing is spread."""
        return frozenset(self.mesh.axis_names) - set(self.spec.names())

    def shard_shape(self, global_shape: Shape) -> Shape:
        """The shape of the part on each device; a ValueError if it cannot be divided so."""
        parts = self._parts(len(global_shape))
        for axis, (size, count) in enumerate(zip(global_shape, parts, strict=True)):
            if size % count:
                raise error(
                    ValueError,
                    f"the sharding divides axis {axis} into {count} parts, and its length "
                    f"{size} is no multiple of that.",
                    got=f"shape {tuple(global_shape)} for {self!r}",
                    fix="pad the axis, or leave it whole.",
                )
        return tuple(size // count for size, count in zip(global_shape, parts, strict=True))

    def devices_indices_map(self, global_shape: Shape) -> dict[Device, Index]:
        """For each device, the index of its part."""
        part = self.shard_shape(global_shape)
        names, grid = self._names(len(global_shape)), self.mesh.devices
        found = {}
        for at in np.ndindex(grid.shape):
            place = dict(zip(self.mesh.axis_names, at, strict=True))
            found[grid[at]] = tuple(
                _slice(entry, place, self.mesh.shape, n) for entry, n in zip(names, part)
            )
        return found

    def _parts(self, ndim: int) -> list[int]:
        """The number of parts of each axis of an array of `ndim` axes."""
        return [prod(self.mesh.shape[n] for n in names) for names in self._names(ndim)]

    def _names(self, ndim: int) -> list[tuple[Any, ...]]:
        if len(self.spec) > ndim:
            raise error(
                ValueError,
                f"the sharding is only valid for values of rank at least {len(self.spec)}.",
                got=f"{ndim} axes for {self!r}",
                fix="give a PartitionSpec with at most as many entries as there are axes.",
            )
        entries = [PartitionSpec(p).names() for p in self.spec]
        return entries + [()] * (ndim - len(entries))

    def _spread(self, ndim: int) -> Any:
        if isinstance(self.mesh, Mesh):
            return _places(self, ndim)
        shape = self.mesh.shape
        names = [tuple(n for n in entry if shape[n] > 1) for entry in self._names(ndim)]
        while names and not names[-1]:
            names.pop()
        return self.mesh, tuple(names)

    def update(self, **kwargs: Any) -> NamedSharding:
        """The same with `mesh` or `spec` changed."""
        return NamedSharding(**{"mesh": self.mesh, "spec": self.spec, **kwargs})

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, NamedSharding):
            return NotImplemented
        return self.mesh == other.mesh and self.spec == other.spec

    def __hash__(self) -> int:
        return hash((self.mesh, self.spec))

    def __repr__(self) -> str:
        kind = f", memory_kind={self.memory_kind}" if isinstance(self.mesh, Mesh) else ""
        return f"NamedSharding(mesh={self.mesh}, spec={self.spec!r}{kind})"


@cache
def _places(sharding: NamedSharding, ndim: int) -> dict[Device, Index]:
    return sharding.devices_indices_map(tuple(sharding._parts(ndim)))


def _slice(names: Sequence[Any], place: Any, sizes: Any, length: int) -> slice:
    """The part of an axis, spread over these axes of the mesh, at a place of the mesh."""
    if prod(sizes[n] for n in names) == 1:
        return slice(None)
    number = 0
    for n in names:
        number = number * sizes[n] + place[n]
    return slice(number * length, (number + 1) * length, None)


def is_here(device: Device) -> bool:
    """Whether a device belongs to this process."""
    return device.process_index == CPU.process_index


def check_spec(mesh: AbstractMesh, spec: PartitionSpec) -> None:
    """A ValueError if `spec` names an axis that is not there, or one twice."""
    names = spec.names()
    for name in (*names, *spec.unreduced, *spec.reduced):
        if name not in mesh.axis_names:
            raise error(
                ValueError,
                f"axis {name!r} of {spec!r} is not an axis of the mesh.",
                got=f"the axes of the mesh are {mesh.axis_names}",
                fix="name an axis of the mesh, or None.",
            )
        if names.count(name) > 1:
            raise error(
                ValueError,
                "a PartitionSpec names each axis of a mesh at most once.",
                got=f"{spec!r} has {name!r} more than once",
                fix="spread one axis of the array over it.",
            )


def _check_memory(kind: str | None) -> None:
    if kind not in (None, "device", "unpinned_host", "pinned_host"):
        raise error(
            ValueError,
            "there is no memory of this kind.",
            got=f"memory_kind={kind!r}",
            fix='the memory of this process is "device".',
        )


class Shard:
    """The part of an array that is on one device."""

    __slots__ = ("_data", "device", "index", "replica_id")

    def __init__(
        self, data: Any, device: Device = CPU, index: Index | None = None, replica_id: int = 0
    ) -> None:
        self._data, self.device, self.replica_id = data, device, replica_id
        self.index = (slice(None),) * data.ndim if index is None else index

    @property
    def data(self) -> Any:
        """The part as an array on the device; None where that belongs to another process."""
        return self._data

    def __repr__(self) -> str:
        return (
            f"Shard(device={self.device!r}, index={self.index}, replica_id={self.replica_id}, "
            f"data={self.data})"
        )


SINGLE = SingleDeviceSharding()


@cache
def unspread(ndim: int) -> NamedSharding:
    """The sharding in the type of an array: that of a mesh without axes."""
    return NamedSharding(EMPTY.abstract_mesh, PartitionSpec(*(None,) * ndim))


__all__ = [
    "SINGLE",
    "UNCONSTRAINED",
    "Index",
    "NamedSharding",
    "Shard",
    "Sharding",
    "SingleDeviceSharding",
    "check_spec",
    "unspread",
]
