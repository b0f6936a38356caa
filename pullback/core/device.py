"""Where arrays are: this engine has one device, the memory of the process."""

from __future__ import annotations

from typing import Any

from .types import Shape


class Device:
    """A place for arrays. There is one: the CPU."""

    id = 0
    platform = "cpu"
    device_kind = "cpu"
    process_index = 0
    host_id = 0

    def __repr__(self) -> str:
        return "CpuDevice(id=0)"

    def __str__(self) -> str:
        return "TFRT_CPU_0"

    def memory_stats(self) -> None:
        """Not measured on the CPU."""
        return None


CPU = Device()


class SingleDeviceSharding:
    """All of an array on one device."""

    memory_kind = "unpinned_host"
    num_devices = 1
    is_fully_replicated = True
    is_fully_addressable = True

    def __init__(self, device: Device = CPU, *, memory_kind: str | None = None) -> None:
        self._device = device

    @property
    def device_set(self) -> set[Device]:
        """The devices on which a part of the array is."""
        return {self._device}

    @property
    def addressable_devices(self) -> set[Device]:
        """Those of them that belong to this process."""
        return {self._device}

    def shard_shape(self, global_shape: Shape) -> Shape:
        """The shape of the part on each device."""
        return global_shape

    def devices_indices_map(self, global_shape: Shape) -> dict[Device, Any]:
        """For each device, the index of its part."""
        return {self._device: (slice(None),) * len(global_shape)}

    def is_equivalent_to(self, other: Any, ndim: int) -> bool:
        """Whether the other puts an array on the same device."""
        return bool(self == other)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SingleDeviceSharding) and other._device is self._device

    def __hash__(self) -> int:
        return hash(self._device)

    def __repr__(self) -> str:
        return f"SingleDeviceSharding(device={self._device!r}, memory_kind={self.memory_kind})"


class Shard:
    """The part of an array that is on one device: here all of it."""

    __slots__ = ("data", "device", "index", "replica_id")

    def __init__(self, data: Any) -> None:
        self.data, self.device, self.replica_id = data, CPU, 0
        self.index = (slice(None),) * data.ndim

    def __repr__(self) -> str:
        return f"Shard(device={self.device!r}, index={self.index}, replica_id=0, data={self.data})"


class Deleted:
    """Stands where the value of a deleted array was: whatever is done with it fails."""

    def __init__(self, shape: Shape, dtype: Any, text: str) -> None:
        self.shape, self.dtype, self.ndim, self._text = shape, dtype, len(shape), text

    @property
    def size(self) -> int:
        """The number of elements there were."""
        n = 1
        for d in self.shape:
            n *= d
        return n

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"Array has been deleted with shape={self._text}.")

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(f"Array has been deleted with shape={self._text}.")

    def __array_ufunc__(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(f"Array has been deleted with shape={self._text}.")

    __bool__ = __int__ = __float__ = __complex__ = __getitem__ = __iter__ = __array__
