"""The methods and properties of arrays: each is a function of this namespace."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Any

import numpy as np

from ..core import dtypes
from ..core.array import HostArray
from ..core.device import Deleted, Device
from ..core.errors import error
from ..core.placing import as_sharding
from ..core.sharding import SINGLE, Shard, Sharding
from ..core.trace import type_of
from ..ops.comparison import bitcast_convert_type
from ..ops.elementwise import complex_
from ..ops.spreading import placed
from ..ops.structural import rev
from . import (
    arithmetic,
    averages,
    contraction,
    conversion,
    cumulative,
    diagonals,
    floats,
    joining,
    ordering,
    reductions,
    selecting,
    shaping,
    taking,
)
from .array_api import API_VERSION
from .indexing import AtIndexer
from .promotion import requested_dtype


class Methods:
    """What `operators` installs on Array."""

    # ---- properties

    @property
    def T(self) -> Any:
        """The array with its axes in reverse order."""
        return shaping.transpose(self)

    @property
    def mT(self) -> Any:
        """The array with its last two axes exchanged."""
        return shaping.matrix_transpose(self)

    @property
    def real(self) -> Any:
        """The real part."""
        return arithmetic.real(self)

    @property
    def imag(self) -> Any:
        """The imaginary part."""
        return arithmetic.imag(self)

    @property
    def at(self) -> AtIndexer:
        """Updates that give a new array: `x.at[index].set(value)`, `.add(value)` and others."""
        return AtIndexer(self)

    @property
    def flat(self) -> Any:
        """Absent: arrays are immutable."""
        raise error(
            NotImplementedError,
            "Arrays do not implement the arr.flat property.",
            got="x.flat",
            fix="use x.flatten() or x.ravel().",
        )

    # ---- shape

    def reshape(
        self, *args: Any, order: str = "C", copy: Any = None, out_sharding: Any = None
    ) -> Any:
        """The elements in another shape: `x.reshape(2, -1)` or `x.reshape((2, -1))`."""
        return shaping.reshaped(self, args[0] if len(args) == 1 else args, order)

    def ravel(self, order: str = "C", *, out_sharding: Any = None) -> Any:
        """The elements in one axis."""
        return shaping.ravel(self, order)

    def flatten(self, order: str = "C", *, out_sharding: Any = None) -> Any:
        """The elements in one axis."""
        return shaping.ravel(self, order)

    def squeeze(self, axis: Any = None) -> Any:
        """The array without axes of length 1."""
        return shaping.squeeze(self, axis)

    def swapaxes(self, axis1: int, axis2: int) -> Any:
        """The array with two axes exchanged."""
        return shaping.swapaxes(self, axis1, axis2)

    def transpose(self, *args: Any) -> Any:
        """The array with its axes in another order: `x.transpose(1, 0, 2)`, or reversed."""
        if len(args) == 1 and (args[0] is None or isinstance(args[0], (tuple, list))):
            (args,) = args
        return shaping.transpose(self, args or None if args is not None else None)

    def repeat(
        self,
        repeats: Any,
        axis: Any = None,
        *,
        total_repeat_length: Any = None,
        out_sharding: Any = None,
    ) -> Any:
        """Each element several times: see `jnp.repeat`."""
        return joining.repeat(self, repeats, axis, total_repeat_length=total_repeat_length)

    def diagonal(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
        """A diagonal of the matrices in two axes."""
        return diagonals.diagonal(self, offset, axis1, axis2)

    def trace(
        self, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: Any = None
    ) -> Any:
        """The sum of a diagonal."""
        return contraction.trace(self, offset, axis1, axis2, dtype, out)

    # ---- reductions

    def sum(
        self,
        axis: Any = None,
        dtype: Any = None,
        out: Any = None,
        keepdims: bool = False,
        initial: Any = None,
        where: Any = None,
        promote_integers: bool = True,
    ) -> Any:
        """The sum over `axis`: see `jnp.sum`."""
        return reductions.sum(self, axis, dtype, out, keepdims, initial, where, promote_integers)

    def prod(
        self,
        axis: Any = None,
        dtype: Any = None,
        out: Any = None,
        keepdims: bool = False,
        initial: Any = None,
        where: Any = None,
        promote_integers: bool = True,
    ) -> Any:
        """The product over `axis`: see `jnp.prod`."""
        return reductions.prod(self, axis, dtype, out, keepdims, initial, where, promote_integers)

    def max(
        self,
        axis: Any = None,
        out: Any = None,
        keepdims: bool = False,
        initial: Any = None,
        where: Any = None,
    ) -> Any:
        """The largest element along `axis`: see `jnp.max`."""
        return reductions.max(self, axis, out, keepdims, initial, where)

    def min(
        self,
        axis: Any = None,
        out: Any = None,
        keepdims: bool = False,
        initial: Any = None,
        where: Any = None,
    ) -> Any:
        """The smallest element along `axis`: see `jnp.min`."""
        return reductions.min(self, axis, out, keepdims, initial, where)

    def ptp(self, axis: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        """The largest less the smallest element along `axis`."""
        return reductions.ptp(self, axis, out, keepdims)

    def all(
        self, axis: Any = None, out: Any = None, keepdims: bool = False, *, where: Any = None
    ) -> Any:
        """Whether all elements along `axis` are true."""
        return reductions.all(self, axis, out, keepdims, where=where)

    def any(
        self, axis: Any = None, out: Any = None, keepdims: bool = False, *, where: Any = None
    ) -> Any:
        """Whether one element along `axis` is true."""
        return reductions.any(self, axis, out, keepdims, where=where)

    def mean(
        self,
        axis: Any = None,
        dtype: Any = None,
        out: Any = None,
        keepdims: bool = False,
        *,
        where: Any = None,
    ) -> Any:
        """The mean over `axis`."""
        return averages.mean(self, axis, dtype, out, keepdims, where=where)

    def var(
        self,
        axis: Any = None,
        dtype: Any = None,
        out: Any = None,
        ddof: int = 0,
        keepdims: bool = False,
        *,
        where: Any = None,
        correction: Any = None,
    ) -> Any:
        """The variance over `axis`: see `jnp.var`."""
        return averages.var(
            self, axis, dtype, out, ddof, keepdims, where=where, correction=correction
        )

    def std(
        self,
        axis: Any = None,
        dtype: Any = None,
        out: Any = None,
        ddof: int = 0,
        keepdims: bool = False,
        *,
        where: Any = None,
        correction: Any = None,
    ) -> Any:
        """The standard deviation over `axis`: see `jnp.std`."""
        return averages.std(
            self, axis, dtype, out, ddof, keepdims, where=where, correction=correction
        )

    def argmax(self, axis: Any = None, out: Any = None, keepdims: Any = None) -> Any:
        """The index of the largest element along `axis`."""
        return reductions.argmax(self, axis, out, keepdims)

    def argmin(self, axis: Any = None, out: Any = None, keepdims: Any = None) -> Any:
        """The index of the smallest element along `axis`."""
        return reductions.argmin(self, axis, out, keepdims)

    def cumsum(self, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
        """The sums of the first elements along `axis`."""
        return cumulative.cumsum(self, axis, dtype, out)

    def cumprod(self, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
        """The products of the first elements along `axis`."""
        return cumulative.cumprod(self, axis, dtype, out)

    def dot(self, b: Any, *, precision: Any = None, preferred_element_type: Any = None) -> Any:
        """The product with `b`: see `jnp.dot`."""
        return contraction.dot(
            self, b, precision=precision, preferred_element_type=preferred_element_type
        )

    # ---- elements

    def astype(self, dtype: Any, copy: bool = False, device: Any = None) -> Any:
        """The array in another dtype."""
        return conversion.astype(self, dtype, copy=copy, device=device)

    def copy(self) -> Any:
        """The same array, again."""
        return conversion.copy(self)

    def clip(self, min: Any = None, max: Any = None) -> Any:
        """The elements, at least `min` and at most `max`."""
        return arithmetic.clip(self, min, max)

    def conj(self) -> Any:
        """The complex conjugate."""
        return arithmetic.conjugate(self)

    def conjugate(self) -> Any:
        """The complex conjugate."""
        return arithmetic.conjugate(self)

    def round(self, decimals: int = 0, out: Any = None) -> Any:
        """The elements rounded to `decimals` places."""
        return floats.round(self, decimals, out)

    def sort(
        self,
        axis: Any = -1,
        *,
        kind: Any = None,
        order: Any = None,
        stable: bool = True,
        descending: bool = False,
    ) -> Any:
        """The elements in order along `axis`: see `jnp.sort`."""
        return ordering.sort(
            self, axis, kind=kind, order=order, stable=stable, descending=descending
        )

    def argsort(
        self,
        axis: Any = -1,
        *,
        kind: Any = None,
        order: Any = None,
        stable: bool = True,
        descending: bool = False,
    ) -> Any:
        """The indices that put the elements in order: see `jnp.argsort`."""
        return ordering.argsort(
            self, axis, kind=kind, order=order, stable=stable, descending=descending
        )

    def argpartition(self, kth: int, axis: int = -1) -> Any:
        """The indices that put the elements in the order of `jnp.partition`."""
        return ordering.argpartition(self, kth, axis)

    def searchsorted(
        self, v: Any, side: str = "left", sorter: Any = None, *, method: str = "scan"
    ) -> Any:
        """Where `v` could be put into this sorted array: see `jnp.searchsorted`."""
        return ordering.searchsorted(self, v, side, sorter, method=method)

    def take(
        self,
        indices: Any,
        axis: Any = None,
        out: Any = None,
        mode: Any = None,
        unique_indices: bool = False,
        indices_are_sorted: bool = False,
        fill_value: Any = None,
    ) -> Any:
        """The elements at `indices` along `axis`: see `jnp.take`."""
        return taking.take(
            self, indices, axis, out, mode, unique_indices, indices_are_sorted, fill_value
        )

    def choose(self, choices: Any, out: Any = None, mode: str = "raise") -> Any:
        """For each element that element of the choice with this number."""
        return selecting.choose(self, choices, out, mode)

    def compress(
        self,
        condition: Any,
        axis: Any = None,
        *,
        out: Any = None,
        size: Any = None,
        fill_value: Any = 0,
    ) -> Any:
        """The slices along `axis` where `condition` holds."""
        return selecting.compress(condition, self, axis, out=out, size=size, fill_value=fill_value)

    def nonzero(self, *, fill_value: Any = None, size: Any = None) -> Any:
        """The indices of the elements that are not 0: see `jnp.nonzero`."""
        return selecting.nonzero(self, size=size, fill_value=fill_value)

    def byteswap(self) -> Any:
        """The elements with their bytes in reverse order."""
        x: Any = self
        if x.dtype.kind == "c":
            return complex_(x.real.byteswap(), x.imag.byteswap())
        if x.itemsize == 1:
            return x.copy()
        parts = bitcast_convert_type(x, new_dtype=np.dtype(np.uint8))
        return bitcast_convert_type(rev(parts, dimensions=(x.ndim,)), new_dtype=x.dtype)

    def view(self, dtype: Any = None, type: Any = None) -> Any:
        """The bits read as another dtype; the last axis grows or shrinks with the size of it."""
        if type is not None:
            raise error(
                NotImplementedError,
                "`type` argument of array.view() is not supported.",
                got=f"type={type!r}",
                fix="give a dtype.",
            )
        return self if dtype is None else _viewed(self, requested_dtype(dtype, "view"))

    # ---- where it is

    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        """The module of functions for this array: the array API standard asks for it."""
        if api_version is not None and api_version != API_VERSION:
            raise error(
                ValueError,
                f"version {api_version!r} of the array API standard is not available.",
                got=f"api_version={api_version!r}",
                fix=f"use {API_VERSION!r}.",
            )
        return sys.modules[__package__ or "pullback.numpy"]

    @property
    def sharding(self) -> Sharding:
        """How the array is spread over devices: as `device_put` was told, or on one."""
        return getattr(self, "_sharding", SINGLE)

    @property
    def device(self) -> Any:
        """The device, or the sharding if there are several."""
        devices = self.sharding.device_list
        return devices[0] if len(devices) == 1 else self.sharding

    @property
    def committed(self) -> bool:
        """Whether the array was put on its device by name."""
        return hasattr(self, "_sharding") and not getattr(self, "loose", False)

    def devices(self) -> set[Device]:
        """The devices."""
        return self.sharding.device_set

    def to_device(self, device: Any, *, stream: Any = None) -> Any:
        """The array on a device."""
        return placed(self, as_sharding(device))

    @property
    def is_fully_addressable(self) -> bool:
        """Whether all of it belongs to this process."""
        return self.sharding.is_fully_addressable

    @property
    def is_fully_replicated(self) -> bool:
        """Whether each device has all of it."""
        return self.sharding.is_fully_replicated

    @property
    def addressable_shards(self) -> list[Shard]:
        """The parts on the devices of this process."""
        return _shards(self)

    @property
    def global_shards(self) -> list[Shard]:
        """The parts on all devices."""
        return _shards(self)

    def addressable_data(self, index: int) -> Any:
        """The part on a device of this process."""
        return _shards(self)[index].data

    def on_device_size_in_bytes(self) -> Any:
        """The bytes that the elements take."""
        return type_of(self).size * type_of(self).dtype.itemsize

    def copy_to_host_async(self) -> None:
        """Nothing: the array is in the memory of the process."""

    def is_ready(self) -> bool:
        """Whether the result is there: here it always is."""
        return True

    def platform(self) -> str:
        """The name of the platform: "cpu"."""
        return self.sharding.device_list[0].platform

    def clone(self) -> Any:
        """The array."""
        return self

    def is_deleted(self) -> bool:
        """Whether `delete` was called."""
        return isinstance(self, HostArray) and isinstance(self._value, Deleted)

    def delete(self) -> None:
        """Give up the memory; whatever uses the array afterwards fails."""
        if isinstance(self, HostArray) and not self.is_deleted():
            aval = self.aval
            self._value = Deleted(aval.shape, aval.dtype, aval.str_short())
            with suppress(AttributeError):
                del self._buffer  # a device's copy


def _shards(x: Any) -> list[Shard]:
    if not x.elsewhere:
        return [Shard(x)]
    seen: dict[str, int] = {}
    found: list[Shard] = []
    mine = x.sharding.addressable_devices
    for device, index in x.sharding.devices_indices_map(x.shape).items():
        copy = seen[str(index)] = seen.get(str(index), -1) + 1
        if device in mine:
            found.append(Shard(x.piece(len(found)), device, index, copy))
    return found


def _viewed(x: Any, dtype: np.dtype) -> Any:
    if x.dtype == dtype:
        return x
    if dtypes.is_key(x.dtype) or dtypes.is_key(dtype):
        raise error(
            TypeError,
            "random keys have no view as numbers.",
            got=f"{type_of(x).str_short()} as {dtypes.long_name(dtype)}",
            fix="use random.key_data(keys) for their bits, random.wrap_key_data for the way back.",
        )
    old, new = x.dtype.itemsize, dtype.itemsize
    if not x.shape:
        if old != new:
            raise error(
                ValueError,
                "view() of a 0d array is only supported if the itemsize is unchanged.",
                got=f"{type_of(x).str_short()} as {dtypes.long_name(dtype)}",
                fix="give the array an axis with x[None].",
            )
        return _viewed(x.reshape(1), dtype).reshape(())
    if x.shape[-1] * old % new:
        raise error(
            ValueError,
            "When changing to a larger dtype, its size must be a divisor of the total size in "
            "bytes of the last axis of the array.",
            got=f"{type_of(x).str_short()} as {dtypes.long_name(dtype)}",
            fix="make the last axis longer or shorter.",
        )
    if x.dtype.kind == "b":
        return _viewed(x.astype(np.uint8), dtype)
    if dtype.kind == "b":
        return _viewed(x, np.dtype(np.uint8)).astype(dtype)
    if x.dtype.kind == "c":
        pairs = joining.stack([x.real, x.imag], axis=-1)
        return _viewed(pairs.reshape(*x.shape[:-1], -1), dtype)
    if dtype.kind == "c":
        parts = _viewed(x, dtypes.real_dtype(dtype))
        pairs = parts.reshape(*parts.shape[:-1], -1, 2)
        return complex_(pairs[..., 0], pairs[..., 1])
    if old < new:
        x = x.reshape(*x.shape[:-1], -1, new // old)
    out = bitcast_convert_type(x, new_dtype=dtype)
    return out.reshape(*out.shape[:-2], -1) if old > new else out
