"""DeviceArray: an array whose elements a device holds, not a NumPy array.

It is a HostArray whose value in the memory of the process is made when it is asked for. An engine
derives its own class from it.
"""

from __future__ import annotations

from typing import Any

from .array import HostArray
from .device import Deleted
from .types import ArrayType, Shape


class DeviceArray(HostArray):
    """See the module."""

    __slots__ = ("_host",)
    _aval: ArrayType
    _host: Any

    def __init__(self, aval: ArrayType) -> None:
        self._aval, self._weak, self._host = aval, aval.weak_type, None

    def is_gone(self) -> bool:
        """Whether the device's memory was given up: by `free`, or by a program that took it."""
        raise NotImplementedError

    def fetch(self) -> Any:
        """The whole array, as NumPy holds it."""
        raise NotImplementedError

    def free(self) -> None:
        """Give up the device's memory."""
        raise NotImplementedError

    @property
    def _value(self) -> Any:
        found = self._host
        if self.is_gone():
            t = self._aval
            found = self._host = Deleted(t.shape, t.dtype, t.str_short())
        elif found is None:
            found = self._host = self.fetch()
        return found

    @_value.setter
    def _value(self, value: Any) -> None:  # what `delete` puts there
        self.free()
        self._host = value

    def is_deleted(self) -> bool:
        """Whether `delete` was called, or the array was donated."""
        return self.is_gone()

    @property
    def aval(self) -> ArrayType:
        """Shape, dtype and weakness."""
        return self._aval

    @property
    def shape(self) -> Shape:
        """The length of each axis."""
        return self._aval.shape

    @property
    def dtype(self) -> Any:
        """The type of the elements."""
        return self._aval.dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self._aval.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return self._aval.size


__all__ = ["DeviceArray"]
