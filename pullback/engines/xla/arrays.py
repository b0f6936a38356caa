"""Arrays whose elements are in buffers of XLA."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ...core.array import HostArray
from ...core.device_array import DeviceArray
from ...core.errors import error
from ...core.types import ArrayType
from . import adapter
from .lowering import plain
from .types import PACKED, stored


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

    def is_gone(self) -> bool:
        """Whether the device's memory was given up."""
        return self.buffer.is_deleted()  # type: ignore[no-any-return]

    @property
    def _value(self) -> Any:
        # As that of the base class, without calls of Python where nothing is to be done.
        found = self._host
        if found is None or self.buffer.is_deleted():
            return DeviceArray._value.fget(self)  # type: ignore[attr-defined]
        return found

    @_value.setter
    def _value(self, value: Any) -> None:
        DeviceArray._value.fset(self, value)  # type: ignore[attr-defined]

    def block_until_ready(self) -> XlaArray:
        """This array, when it has been computed."""
        self.buffer.block_until_ready()
        return self


class PlacedArray(XlaArray):
    """An array on another device than the first CPU, or on several: `devices.py` makes them.

    `_sharding` says where; `team` are the devices.
    """

    __slots__ = ("_parts", "loose", "team")
    elsewhere: ClassVar[bool] = True

    def __init__(self, buffer: Any, aval: ArrayType, sharding: Any, team: Any) -> None:
        super().__init__(buffer, aval)
        self._sharding, self.team = sharding, team
        self.loose: bool = False  # type: ignore[misc]
        self._parts: list[Any] | None = None

    @property
    def parts(self) -> list[Any]:
        """The buffers on the devices of this process, in the order of the team."""
        if self._parts is None:
            shape = self._sharding.shard_shape(self._aval.shape)
            self._parts = self.team.parts(self.buffer, shape)
        return self._parts

    def fetch(self) -> Any:
        """The whole array, as NumPy holds it."""
        parts, t = self.parts, self._aval
        indices = list(self._sharding.devices_indices_map(t.shape).values())
        if self._sharding.is_fully_replicated and parts:
            return value_of(self.team.get(parts[0]).copy(), t)
        if not self._sharding.is_fully_addressable:
            raise _elsewhere(self)
        out: Any = None
        for k, part in zip(self.team.here, parts, strict=True):
            value = self.team.get(part)
            if out is None:
                out = np.empty(t.shape, value.dtype)
            out[indices[k]] = value
        return value_of(out, t)

    def __repr__(self) -> str:
        if self._sharding.is_fully_addressable or self._sharding.is_fully_replicated:
            return super().__repr__()
        weak = ", weak_type=True" if self._weak else ""
        return f"Array({self.shape}, dtype={self.dtype.name}{weak})"

    def piece(self, k: int) -> Any:
        """The part on the k-th device of this process, as an array."""
        return self.team.alone(self.parts[k], self.team.here[k], self._aval)


def _elsewhere(x: PlacedArray) -> RuntimeError:
    """The value is asked for, and other processes have parts of it."""
    here = len(x._sharding.addressable_devices)
    return error(
        RuntimeError,
        "Fetching value for `jax.Array` that spans non-addressable (non process local) devices is "
        "not possible.",
        got=f"{x.aval.str_short()}, of which this process has the parts on {here} of "
        f"{x._sharding.num_devices} devices: {x._sharding!r}",
        fix="look at x.addressable_shards, or have all processes call "
        "multihost_utils.process_allgather(x, tiled=True).",
    )


def buffer_of(x: Any) -> Any:
    """The buffer of an array; one of NumPy's gets one, which it keeps."""
    if type(x) is XlaArray:
        return x.buffer
    try:
        return x._buffer
    except AttributeError:
        buffer = adapter.cpu().put(np.ascontiguousarray(as_held(x._value)).reshape(x.shape))
    if type(x) is HostArray:
        x._buffer = buffer
    return buffer


def held(t: ArrayType) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and dtype of a buffer on devices: numbers of less than a byte are held as whole ones,
    for nothing else of them can be read back.
    """
    shape, dtype = stored(t)
    if dtype.name in PACKED:
        dtype = np.dtype(np.float32 if dtype.name.startswith("float") else np.int8)
    return shape, dtype


def as_held(value: Any) -> np.ndarray:
    """The elements as a buffer on devices has them: see `held`."""
    array = plain(value)
    if array.dtype.kind == "V" and array.dtype.name in PACKED:
        return array.astype(np.float32 if array.dtype.name.startswith("float") else np.int8)
    return array


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


__all__ = ["PlacedArray", "XlaArray", "as_held", "buffer_of", "held", "value_of"]
