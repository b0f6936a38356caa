"""Where arrays are: this engine has one device, the memory of the process."""

from __future__ import annotations

from typing import Any


class Device:
    """A place for arrays. There is one: the CPU."""

    id = 0
    platform = "cpu"
    device_kind = "cpu"
    process_index = 0
    host_id = 0
    local_hardware_id = 0
    task_id = 0

    def __repr__(self) -> str:
        return "CpuDevice(id=0)"

    def __str__(self) -> str:
        return "TFRT_CPU_0"

    def memory_stats(self) -> None:
        """Not measured on the CPU."""
        return None

    def __reduce__(self) -> str:
        return "CPU"


CPU = Device()


class Deleted:
    """Stands where the value of a deleted array was: whatever is done with it fails."""

    def __init__(self, shape: tuple[int, ...], dtype: Any, text: str) -> None:
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
