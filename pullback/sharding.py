"""Meshes of devices and how arrays are spread over them: `jax.sharding`.

Types do not follow how arrays are spread: axes of type Explicit compute as those of type Auto do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from math import prod
from typing import Any

import numpy as np

from .core.device import Device
from .core.errors import error
from .core.mesh import EMPTY as _EMPTY
from .core.mesh import AbstractDevice as AbstractDevice
from .core.mesh import AbstractMesh as AbstractMesh
from .core.mesh import AxisType as AxisType
from .core.mesh import ManualAxisType as ManualAxisType
from .core.mesh import Mesh as Mesh
from .core.mesh import PartitionSpec as PartitionSpec
from .core.mesh import mesh_in_use
from .core.settings import values
from .core.sharding import NamedSharding as NamedSharding
from .core.sharding import Sharding as Sharding
from .core.sharding import SingleDeviceSharding as SingleDeviceSharding
from .devices import devices as all_devices
from .placement import reshard as reshard

__all__ = [
    "AbstractDevice",
    "AbstractMesh",
    "AxisType",
    "ManualAxisType",
    "Mesh",
    "NamedSharding",
    "PartitionSpec",
    "Sharding",
    "SingleDeviceSharding",
    "auto_axes",
    "explicit_axes",
    "get_abstract_mesh",
    "get_mesh",
    "make_mesh",
    "make_single_device_sharding",
    "reshard",
    "set_mesh",
    "use_abstract_mesh",
]


def make_mesh(
    axis_shapes: Sequence[int],
    axis_names: Sequence[Any],
    axis_types: Any = None,
    *,
    devices: Sequence[Device] | None = None,
) -> Mesh:
    """A Mesh of the given shape, of the first devices; its axes are of type Explicit by default.

    Raises:
      ValueError: there are not enough devices.

    Example:
      >>> import pullback
      >>> print(pullback.make_mesh((1, 1), ("x", "y")))
      Mesh('x': 1, 'y': 1, axis_types=(Explicit, Explicit))
    """
    shape, names = tuple(axis_shapes), tuple(axis_names)
    if len(shape) != len(names):
        raise error(
            ValueError,
            "make_mesh takes one name for each axis.",
            got=f"axis_shapes={shape} and axis_names={names}",
            fix="give a name for each axis.",
        )
    if any(not isinstance(n, (int, np.integer)) or n < 1 for n in shape):
        raise error(
            ValueError,
            "the axes of a mesh have at least one device each.",
            got=f"axis_shapes={shape}",
            fix="give the length of each axis, for example jax.device_count().",
        )
    found = all_devices() if devices is None else list(devices)
    count = prod(shape)
    if len(found) < count:
        raise error(
            ValueError,
            f"Number of devices {len(found)} must be >= the product of mesh_shape {shape}.",
            got=f"a mesh of {count} devices",
            fix="use shorter axes; or, at the start of the program, divide the CPU into devices: "
            f"config.update('jax_num_cpu_devices', {count}).",
        )
    types = (AxisType.Explicit,) * len(names) if axis_types is None else axis_types
    return Mesh(np.array(found[:count], dtype=object).reshape(shape), names, types)


class set_mesh:
    """Use a mesh from here on; as `with set_mesh(mesh):`, while the `with` lasts.

    PartitionSpecs and `shard_map` then mean this mesh. None takes away what was set.

    Example:
      >>> import pullback
      >>> from pullback import sharding
      >>> with pullback.set_mesh(pullback.make_mesh((1,), ("x",))):
      ...     print(sharding.get_abstract_mesh().axis_names)
      ('x',)
    """

    def __init__(self, mesh: Mesh | None) -> None:
        if not (mesh is None or isinstance(mesh, Mesh)):
            raise error(
                ValueError,
                "set_mesh takes a Mesh or None.",
                got=f"{mesh!r:.80}",
                fix="make one with jax.make_mesh, or use use_abstract_mesh.",
            )
        self._before, self._mesh = values.mesh, mesh
        values.mesh = mesh

    def __enter__(self) -> Mesh | None:
        return self._mesh

    def __exit__(self, *_: object) -> None:
        values.mesh = self._before


@contextmanager
def use_abstract_mesh(mesh: AbstractMesh) -> Iterator[None]:
    """Use a mesh without devices while the `with` lasts."""
    if not isinstance(mesh, AbstractMesh):
        raise error(
            ValueError,
            "use_abstract_mesh takes an AbstractMesh.",
            got=f"{mesh!r:.80}",
            fix="write AbstractMesh((1,), ('x',)), or mesh.abstract_mesh.",
        )
    before, values.mesh = values.mesh, mesh.abstract_mesh
    try:
        yield
    finally:
        values.mesh = before


def get_mesh() -> Mesh:
    """The mesh in use, set by `set_mesh`; an empty one if there is none."""
    mesh = mesh_in_use()
    return mesh if isinstance(mesh, Mesh) else _EMPTY


def get_abstract_mesh() -> AbstractMesh:
    """The mesh in use, without its devices; an empty one if there is none."""
    mesh: AbstractMesh = mesh_in_use().abstract_mesh
    return mesh


def make_single_device_sharding(device: Device, *, memory_kind: str | None = None) -> Sharding:
    """The sharding that puts all of an array on `device`."""
    return SingleDeviceSharding(device, memory_kind=memory_kind)


def auto_axes(
    f: Callable[..., Any] | None = None,
    /,
    *,
    axes: Any = None,
    out_sharding: Any = None,
) -> Any:
    """`f`, with Explicit axes made Auto inside: nothing is spread, so it computes the same.

    The function takes `out_sharding=` too, and does nothing with it.
    """
    return _passing_on("out_sharding") if f is None else _passing_on("out_sharding")(f)


def explicit_axes(
    f: Callable[..., Any] | None = None,
    /,
    *,
    axes: Any = None,
    in_sharding: Any = None,
) -> Any:
    """`f`, with Auto axes made Explicit inside: nothing is spread, so it computes the same.

    The function takes `in_sharding=` too, and does nothing with it.
    """
    return _passing_on("in_sharding") if f is None else _passing_on("in_sharding")(f)


def _passing_on(option: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def decorate(f: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(f)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            kwargs.pop(option, None)
            return f(*args, **kwargs)

        return wrapped

    return decorate
