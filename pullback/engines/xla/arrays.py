"""Arrays whose elements are in a buffer of XLA."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...core.array import HostArray
from ...core.device_array import DeviceArray
from ...core.types import ArrayType
from . import adapter
from .lowering import plain


class XlaArray(DeviceArray):
    """An array in the memory of the first CPU device, which NumPy sees as it is."""

    __slots__ = ("buffer",)

    def __init__(self, buffer: Any, aval: ArrayType) -> None:
        self._aval, self._weak, self._host = aval, aval.weak_type, None
        self.buffer = buffer

    def fetch(self) -> Any:
        """The whole array, as NumPy holds it."""
        return value_of(adapter.get(self.buffer), self._aval)

    def free(self) -> None:
        """Give up the device's memory."""
        self.buffer.delete()

    def block_until_ready(self) -> XlaArray:
        """This array, when it has been computed."""
        self.buffer.block_until_ready()
        return self


def buffer_of(x: Any) -> Any:
    """The buffer of an array; one of NumPy's gets one, which it keeps."""
    if type(x) is XlaArray:
        return x.buffer
    try:
        return x._buffer
    except AttributeError:
        buffer = adapter.cpu().put(np.ascontiguousarray(plain(x._value)).reshape(x.shape))
    if type(x) is HostArray:
        x._buffer = buffer
    return buffer


def value_of(array: np.ndarray, t: ArrayType) -> Any:
    """What a buffer shows to NumPy, as this type says."""
    if array.dtype != t.dtype:
        if t.dtype.names is None:  # 4-bit numbers
            array = array.astype(t.dtype)
        elif t.dtype.itemsize:  # random keys
            array = array.view(t.dtype)
        else:
            array = np.zeros(t.shape, t.dtype)
    return array if array.ndim or array.dtype.names else array[()]


__all__ = ["XlaArray", "buffer_of", "value_of"]
