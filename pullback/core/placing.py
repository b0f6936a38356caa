"""Where a user wants an array to be."""

from __future__ import annotations

from enum import Enum
from typing import Any

from .array import HostArray
from .device import Device
from .errors import error
from .mesh import PartitionSpec, mesh_in_use
from .sharding import NamedSharding, Sharding, SingleDeviceSharding


class Space(Enum):
    """Kinds of memory: on the CPU they are one, that of the process."""

    Device = 0
    Host = 1
    Any = 2

    def __repr__(self) -> str:
        return f"MemorySpace.{self.name}"


def as_sharding(target: Any, mesh: Any = None) -> Sharding | None:
    """The Sharding that a user's Device, Sharding, PartitionSpec or memory space stands for."""
    if target is None or isinstance(target, (Sharding, Space)):
        return target if isinstance(target, Sharding) else None
    if isinstance(target, Device):
        return SingleDeviceSharding(target)
    if isinstance(target, PartitionSpec):
        mesh = mesh_in_use() if mesh is None else mesh
        if mesh.empty:
            raise error(
                ValueError,
                "a PartitionSpec needs a mesh.",
                got=repr(target),
                fix="give a NamedSharding, or choose a mesh with jax.set_mesh(mesh).",
            )
        return NamedSharding(mesh, target)
    raise error(
        ValueError,
        "this is no place for an array: a Device, a Sharding, a PartitionSpec or None is.",
        got=f"{target!r:.80}",
        fix="use jax.devices()[0], or a NamedSharding.",
    )


def marked(x: Any, sharding: Sharding) -> Any:
    """`x`, an array in the memory of the process, saying that it is there by this sharding."""
    if type(x) is not HostArray:
        return x
    out = HostArray(x._value, x._weak)
    out._sharding = sharding
    return out
