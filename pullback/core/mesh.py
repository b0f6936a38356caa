"""Meshes: devices in a grid whose axes have names; and PartitionSpec, which uses the names."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from enum import Enum
from math import prod
from typing import Any, ClassVar

import numpy as np

from .device import CPU, Device
from .errors import error, warn
from .settings import values


class AxisType(Enum):
    """Who decides how arrays are spread along an axis of a mesh.

    `Auto`: the library; `Explicit`: the types of the arrays; `Manual`: the user, in `shard_map`.
    Types do not say here how arrays are spread, so that `Explicit` computes as `Auto` does.
    """

    Auto = 0
    Explicit = 1
    Manual = 2

    def __repr__(self) -> str:
        return self.name


class ManualAxisType:
    """Along which manual axes of a mesh a value varies, or is still to be summed."""

    __slots__ = ("reduced", "unreduced", "varying")

    def __init__(
        self,
        *,
        varying: Any = frozenset(),
        unreduced: Any = frozenset(),
        reduced: Any = frozenset(),
    ) -> None:
        self.varying, self.unreduced = frozenset(varying), frozenset(unreduced)
        self.reduced = frozenset(reduced)

    def _key(self) -> tuple[Any, ...]:
        return (self.varying, self.unreduced, self.reduced)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ManualAxisType) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        sets = ", ".join(f"{n}={getattr(self, n)!r}" for n in ("varying", "unreduced", "reduced"))
        return f"ManualAxisType({sets})"


class AbstractDevice:
    """The kind of a device, without naming one."""

    __slots__ = ("device_kind", "num_cores", "platform")

    def __init__(self, device_kind: str, num_cores: int | None, platform: str) -> None:
        self.device_kind, self.num_cores, self.platform = device_kind, num_cores, platform

    def _key(self) -> tuple[Any, ...]:
        return (self.device_kind, self.num_cores, self.platform)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AbstractDevice) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        kind, cores, platform = self._key()
        return f"AbstractDevice(device_kind={kind!r}, num_cores={cores}, platform={platform!r})"


class _Unconstrained:
    """The entry of a PartitionSpec for an axis that may be spread in any way."""

    def __repr__(self) -> str:
        return "UNCONSTRAINED"

    def __reduce__(self) -> str:
        return "UNCONSTRAINED"


UNCONSTRAINED = _Unconstrained()


class PartitionSpec:
    """For each axis of an array, the axes of a mesh that it is spread over: `jax.P`.

    An entry is a name, a tuple of names, or None for an axis that each device has all of; axes
    beyond the last entry are of that kind.

    Example:
      >>> from pullback.sharding import PartitionSpec as P
      >>> P("x", None, ("y", "z"))
      P('x', None, ('y', 'z'))
    """

    UNCONSTRAINED: ClassVar[Any] = UNCONSTRAINED
    __slots__ = ("_partitions", "reduced", "unreduced")

    def __init__(
        self, *partitions: Any, unreduced: Any = frozenset(), reduced: Any = frozenset()
    ) -> None:
        self._partitions = tuple(_entry(p) for p in partitions)
        self.unreduced, self.reduced = frozenset(unreduced), frozenset(reduced)

    @property
    def partitions(self) -> tuple[Any, ...]:
        """The entries."""
        return self._partitions

    def names(self) -> tuple[Any, ...]:
        """All names in the entries, in their order."""
        entries = [_tuple(p) for p in self._partitions]
        return tuple(n for entry in entries for n in entry if n is not UNCONSTRAINED)

    def update(
        self, partitions: Any = None, unreduced: Any = None, reduced: Any = None
    ) -> PartitionSpec:
        """The same with what is given changed."""
        return PartitionSpec(
            *(self._partitions if partitions is None else partitions),
            unreduced=self.unreduced if unreduced is None else unreduced,
            reduced=self.reduced if reduced is None else reduced,
        )

    def index(self, value: Any) -> int:
        """The place of an entry."""
        return self._partitions.index(_entry(value))

    def count(self, value: Any) -> int:
        """How often there is an entry."""
        return self._partitions.count(_entry(value))

    def __len__(self) -> int:
        return len(self._partitions)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._partitions)

    def __getitem__(self, i: Any) -> Any:
        return self._partitions[i]

    def __add__(self, other: Any) -> PartitionSpec:
        if isinstance(other, PartitionSpec):
            return PartitionSpec(
                *self,
                *other,
                unreduced=self.unreduced | other.unreduced,
                reduced=self.reduced | other.reduced,
            )
        return self.update(partitions=(*self, *other)) if type(other) is tuple else NotImplemented

    def __radd__(self, other: Any) -> PartitionSpec:
        return self.update(partitions=(*other, *self)) if type(other) is tuple else NotImplemented

    def _key(self) -> tuple[Any, ...]:
        return (self._partitions, self.unreduced, self.reduced)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PartitionSpec) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __reduce__(self) -> Any:
        return _rebuilt_spec, self._key()

    def __repr__(self) -> str:
        parts = [repr(p) for p in self._partitions]
        sets = [(name, getattr(self, name)) for name in ("unreduced", "reduced")]
        parts += [f"{name}={set(found)!r}" for name, found in sets if found]
        comma = "," if len(parts) == 1 and self._partitions else ""
        return f"P({', '.join(parts)}{comma})"


def _rebuilt_spec(partitions: Any, unreduced: Any, reduced: Any) -> PartitionSpec:
    return PartitionSpec(*partitions, unreduced=unreduced, reduced=reduced)


def _entry(p: Any) -> Any:
    """An entry in the one form it has: ("x",) is "x", and () is None."""
    if isinstance(p, (tuple, list)):
        return tuple(p) if len(p) > 1 else p[0] if p else None
    return p


def _tuple(entry: Any) -> tuple[Any, ...]:
    return () if entry is None else entry if isinstance(entry, tuple) else (entry,)


def _names(axis_names: Any) -> tuple[Any, ...]:
    names = (axis_names,) if isinstance(axis_names, str) else tuple(axis_names)
    if None in names:
        raise error(
            ValueError,
            "mesh axis names cannot be None.",
            got=f"axis_names={names}",
            fix="give each axis a name, for example a string.",
        )
    twice = [n for n in names if names.count(n) > 1]
    if twice:
        raise error(
            ValueError,
            "the names of the axes of a mesh must differ.",
            got=f"axis_names={names}, with {twice[0]!r} more than once",
            fix="give each axis a name of its own.",
        )
    return names


def _types(axis_types: Any, names: tuple[Any, ...]) -> tuple[AxisType, ...]:
    if axis_types is None:
        return (AxisType.Auto,) * len(names)
    types = (axis_types,) if isinstance(axis_types, AxisType) else tuple(axis_types)
    if len(types) != len(names) or not all(isinstance(t, AxisType) for t in types):
        raise error(
            ValueError,
            "a mesh has one AxisType for each axis.",
            got=f"axis_types={types} for the axes {names}",
            fix="give a tuple such as (AxisType.Auto,) of the length of axis_names.",
        )
    return types


class AbstractMesh:
    """The lengths and the names of the axes of a mesh, without its devices.

    Example:
      >>> from pullback.sharding import AbstractMesh
      >>> AbstractMesh((2, 3), ("x", "y")).size
      6
    """

    def __init__(
        self,
        axis_sizes: Sequence[int],
        axis_names: Any,
        axis_types: Any = None,
        *,
        abstract_device: AbstractDevice | None = None,
    ) -> None:
        self.axis_sizes, self.axis_names = tuple(axis_sizes), _names(axis_names)
        if len(self.axis_sizes) != len(self.axis_names):
            raise error(
                ValueError,
                "a mesh has one name for each axis.",
                got=f"axis_sizes={self.axis_sizes} and axis_names={self.axis_names}",
                fix="give a name for each axis.",
            )
        self.axis_types = _types(axis_types, self.axis_names)
        self.abstract_device = abstract_device

    # ---- what both kinds of mesh have

    @property
    def shape(self) -> OrderedDict[Any, int]:
        """The length of each axis, by its name."""
        return OrderedDict(zip(self.axis_names, self.axis_sizes, strict=True))

    @property
    def shape_tuple(self) -> tuple[tuple[Any, int], ...]:
        """The pairs of name and length."""
        return tuple(zip(self.axis_names, self.axis_sizes, strict=True))

    @property
    def size(self) -> int:
        """The number of devices."""
        return prod(self.axis_sizes) if self.axis_sizes else 0

    @property
    def empty(self) -> bool:
        """Whether there are no devices."""
        return self.size == 0

    def _axes_of(self, kind: AxisType) -> tuple[Any, ...]:
        pairs = zip(self.axis_names, self.axis_types, strict=True)
        return tuple(name for name, have in pairs if have is kind)

    def _all(self, kind: AxisType) -> bool:
        return all(have is kind for have in self.axis_types)

    @property
    def auto_axes(self) -> tuple[Any, ...]:
        """The names of the axes of type Auto."""
        return self._axes_of(AxisType.Auto)

    @property
    def explicit_axes(self) -> tuple[Any, ...]:
        """The names of the axes of type Explicit."""
        return self._axes_of(AxisType.Explicit)

    @property
    def manual_axes(self) -> tuple[Any, ...]:
        """The names of the axes of type Manual."""
        return self._axes_of(AxisType.Manual)

    @property
    def are_all_axes_auto(self) -> bool:
        """Whether all axes are of type Auto."""
        return self._all(AxisType.Auto)

    @property
    def are_all_axes_explicit(self) -> bool:
        """Whether all axes are of type Explicit."""
        return self._all(AxisType.Explicit)

    @property
    def are_all_axes_manual(self) -> bool:
        """Whether all axes are of type Manual."""
        return self._all(AxisType.Manual)

    @property
    def abstract_mesh(self) -> AbstractMesh:
        """This mesh without its devices."""
        return self

    @property
    def is_multi_process(self) -> bool:
        """Whether the devices belong to several processes."""
        return False

    def update(
        self, axis_sizes: Any = None, axis_names: Any = None, axis_types: Any = None, **kwargs: Any
    ) -> AbstractMesh:
        """The same with what is given changed."""
        return AbstractMesh(
            self.axis_sizes if axis_sizes is None else axis_sizes,
            self.axis_names if axis_names is None else axis_names,
            self.axis_types if axis_types is None else axis_types,
            **{"abstract_device": self.abstract_device, **kwargs},
        )

    def update_axis_types(self, name_to_type: dict[Any, AxisType]) -> AbstractMesh:
        """The same with other types for some axes."""
        pairs = zip(self.axis_names, self.axis_types, strict=True)
        return self.update(axis_types=tuple(name_to_type.get(n, t) for n, t in pairs))

    @property
    def devices(self) -> Any:
        """Absent: only a Mesh has devices."""
        raise error(
            ValueError,
            "AbstractMesh does not implement devices.",
            got=repr(self),
            fix="use a Mesh, for example jax.make_mesh(...).",
        )

    def _key(self) -> tuple[Any, ...]:
        return (self.axis_sizes, self.axis_names, self.axis_types, self.abstract_device)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _axes(self) -> str:
        named = [f"{n!r}: {size}" for n, size in self.shape_tuple] or ["()"]
        types = ", ".join(map(repr, self.axis_types))
        return f"{', '.join(named)}, axis_types=({types}{',' if len(self.axis_types) == 1 else ''})"

    def __repr__(self) -> str:
        device = self.abstract_device
        shown = "" if device is None else (
            f", device_kind={device.device_kind}, num_cores={device.num_cores}, "
            f"platform={device.platform}"
        )  # fmt: skip
        return f"AbstractMesh({self._axes()}{shown})"


several: list[bool] = []
"""Not empty once there is a mesh of more than one device."""


class Mesh(AbstractMesh):
    """Devices in a grid; its axes have names.

    Args:
      devices: an array or nested lists of devices, of one axis for each name.
      axis_names: a name, or a tuple of them.
      axis_types: for each axis who decides how arrays are spread; by default `AxisType.Auto`.

    Raises:
      ValueError: the number of names is not that of the axes; a name is None, or given twice; a
        device is there twice.
      TypeError: `devices` has something else than devices.

    Example:
      >>> import pullback
      >>> from pullback.sharding import Mesh
      >>> print(Mesh(pullback.devices(), "x"))
      Mesh('x': 1, axis_types=(Auto,))
    """

    def __init__(self, devices: Any, axis_names: Any, axis_types: Any = None) -> None:
        grid = np.array(devices, dtype=object)
        names = _names(axis_names)
        if grid.ndim != len(names):
            raise error(
                ValueError,
                "Mesh requires the ndim of its first argument (`devices`) to equal the length of "
                "its second argument (`axis_names`).",
                got=f"devices.ndim == {grid.ndim} and len(axis_names) == {len(names)}",
                fix="reshape the array of devices, or give other names.",
            )
        wrong = [d for d in grid.flat if names and not hasattr(d, "device_kind")]
        if wrong:
            raise error(
                TypeError,
                "a Mesh is made of devices.",
                got=f"{wrong[0]!r:.80} of type {type(wrong[0]).__name__}",
                fix="give an array of devices, such as np.array(jax.devices()), or use "
                "jax.make_mesh(lengths, names).",
            )
        if len(set(grid.flat)) < grid.size:
            ids = [d.id for d in grid.flat]
            raise error(
                ValueError,
                "a device is in a mesh once.",
                got=f"the devices {ids}",
                fix="take each of jax.devices() at most once; at the start of the program "
                "config.update('jax_num_cpu_devices', n) divides the CPU into several.",
            )
        grid.flags.writeable = False
        self._devices = grid
        super().__init__(grid.shape, names, axis_types)
        self.abstract_device = None if self.empty else _kind(grid.flat[0])
        if self.size > 1:
            several[:] = [True]

    @property
    def devices(self) -> np.ndarray:
        """The devices in their grid."""
        return self._devices

    @property
    def device_ids(self) -> np.ndarray:
        """The numbers of the devices in their grid."""
        return np.array([d.id for d in self._devices.flat]).reshape(self._devices.shape)

    @property
    def local_devices(self) -> list[Device]:
        """The devices of this process."""
        here = CPU.process_index
        return [] if self.empty else [d for d in self._devices.flat if d.process_index == here]

    @property
    def local_mesh(self) -> Mesh:
        """The mesh of the devices of this process, which must be a block of this mesh."""
        if not self.is_multi_process:
            return self
        here = np.vectorize(lambda d: d.process_index == CPU.process_index, otypes=[bool])
        rows = [np.unique(places) for places in np.nonzero(here(self._devices))]
        block = self._devices[np.ix_(*rows)]
        if not block.size or not here(block).all():
            raise error(
                ValueError,
                "the devices of this process are no block of the mesh.",
                got=f"process {CPU.process_index} has {len(self.local_devices)} of {self!r}",
                fix="arrange the devices in the order of jax.devices().",
            )
        return Mesh(block, self.axis_names, self.axis_types)

    @property
    def is_multi_process(self) -> bool:
        """Whether the devices belong to several processes."""
        return len({d.process_index for d in self._devices.flat}) > 1

    @property
    def abstract_mesh(self) -> AbstractMesh:
        """This mesh without its devices."""
        return AbstractMesh(
            self.axis_sizes, self.axis_names, self.axis_types, abstract_device=self.abstract_device
        )

    def update_axis_types(self, name_to_type: dict[Any, AxisType]) -> Mesh:
        """The same with other types for some axes."""
        pairs = zip(self.axis_names, self.axis_types, strict=True)
        types = tuple(name_to_type.get(n, t) for n, t in pairs)
        return Mesh(self._devices, self.axis_names, types)

    def update(  # type: ignore[override]  # as in JAX, whose two classes differ here
        self, devices: Any = None, axis_names: Any = None, axis_types: Any = None
    ) -> Mesh:
        """The same with what is given changed."""
        return Mesh(
            self._devices if devices is None else devices,
            self.axis_names if axis_names is None else axis_names,
            self.axis_types if axis_types is None else axis_types,
        )

    def _key(self) -> tuple[Any, ...]:
        return (self.axis_sizes, tuple(self._devices.flat), self.axis_names, self.axis_types)

    def __repr__(self) -> str:
        types = "" if self.empty else f", axis_types={self.axis_types}"
        return f"Mesh(axis_sizes={self.axis_sizes}, axis_names={self.axis_names}{types})"

    def __str__(self) -> str:
        return "Mesh()" if self.empty else f"Mesh({self._axes()})"

    def __enter__(self) -> Mesh:
        warn(
            "`with mesh:` context manager has been deprecated. Please use "
            "`with jax.set_mesh(mesh):` instead.",
            DeprecationWarning,
        )
        _entered.before = (*_entered.before, values.mesh)
        values.mesh = self
        return self

    def __exit__(self, *_: object) -> None:
        *rest, values.mesh = _entered.before
        _entered.before = tuple(rest)


def _kind(device: Device) -> AbstractDevice:
    return AbstractDevice(device.device_kind, None, device.platform)


class _Entered(threading.local):
    """The meshes that were in use before each `with mesh:` of this thread."""

    before: tuple[Any, ...] = ()


_entered = _Entered()

EMPTY = Mesh(np.array(None, dtype=object), ())
"""The mesh in use where none was set."""


def mesh_in_use() -> Any:
    """The mesh, perhaps an abstract one, that `set_mesh` or `with` chose; else an empty one."""
    return EMPTY if values.mesh is None else values.mesh
