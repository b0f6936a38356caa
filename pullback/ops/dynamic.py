"""Primitives that read and write one window whose corner is not known before: dynamic_slice and
dynamic_update_slice. A window that does not lie inside the array is moved inside.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import dtypes
from ..core.array import HostArray
from ..core.errors import error
from ..core.primitive import CORE, Linear, Primitive
from ..core.trace import type_of
from ..core.types import ArrayType, array_type
from .elementwise import like
from .indexing import CLIP, gather, scatter
from .slicing import concatenate
from .structural import broadcast_in_dim, move_axis, to_front, zeros, zeros_of
from .windows import GatherDimensionNumbers, ScatterDimensionNumbers


class DynamicSlice(Primitive):
    """The window of `slice_sizes` whose corner is at `starts`, one integer for each axis."""

    weak_from = (0,)

    def typing(self, x: Any, *starts: Any, slice_sizes: Any) -> ArrayType:
        _check_starts("dynamic_slice", x, starts)
        fits = len(slice_sizes) == len(x.shape) and all(
            0 <= s <= n for s, n in zip(slice_sizes, x.shape)
        )
        if not fits:
            raise error(
                TypeError,
                "the window of dynamic_slice is larger than the array.",
                got=f"{x.str_short()} and slice_sizes {tuple(slice_sizes)}",
                fix="give one size for each axis, from 0 to the length of the axis.",
            )
        return array_type(tuple(slice_sizes), x.dtype, x.weak_type)

    def eval(self, x: Any, *starts: Any, slice_sizes: Any) -> Any:
        return x[_window(x.shape, starts, slice_sizes)]

    def jvp(self, primals: Any, tangents: Any, out: Any, *, slice_sizes: Any) -> Any:
        return dynamic_slice(tangents[0], *primals[1:], slice_sizes=slice_sizes)

    def transpose(self, ct: Any, x: Any, *starts: Any, slice_sizes: Any) -> list[Any]:
        return [dynamic_update_slice(zeros(x.aval), ct, *starts), *[None] * len(starts)]

    def vmap(self, size: int, args: Any, axes: Any, *, slice_sizes: Any) -> Any:
        x, *starts = args
        x_at, *starts_at = axes
        if all(at is None for at in starts_at):
            x, first = move_axis(x, x_at, 0), _first(starts)
            return dynamic_slice(x, first, *starts, slice_sizes=(size, *slice_sizes)), 0
        shape = _element_shape(x, x_at)
        matter = [d for d, n in enumerate(shape) if slice_sizes[d] != n]
        if not matter:
            return x, x_at
        numbers = GatherDimensionNumbers(tuple(range(len(shape))), (), tuple(matter))
        return gather.vmap(
            size,
            (x, _vectors(size, starts, starts_at, matter)),
            (x_at, 0),
            dimension_numbers=numbers,
            slice_sizes=tuple(slice_sizes),
            mode=CLIP,
            fill_value=None,
            unique_indices=True,
            indices_are_sorted=True,
        )

    lower = CORE


dynamic_slice = DynamicSlice()


class DynamicUpdateSlice(Primitive):
    """`x` with the window whose corner is at `starts` replaced by `update`."""

    weak_from = (0, 1)

    def typing(self, x: Any, update: Any, *starts: Any) -> ArrayType:
        _check_starts("dynamic_update_slice", x, starts)
        fits = len(update.shape) == len(x.shape) and all(
            s <= n for s, n in zip(update.shape, x.shape)
        )
        if not fits or x.dtype != update.dtype:
            raise error(
                TypeError,
                "the update of dynamic_update_slice must have the array's dtype and number of "
                "axes, and be no longer on any axis.",
                got=f"{x.str_short()} and update {update.str_short()}",
                fix="convert, reshape or cut the update.",
            )
        return array_type(x.shape, x.dtype, x.weak_type and update.weak_type)

    def eval(self, x: Any, update: Any, *starts: Any) -> Any:
        out = np.array(x)
        out[_window(x.shape, starts, update.shape)] = update
        return out

    def jvp(self, primals: Any, tangents: Any, out: Any) -> Any:
        x, update, *starts = primals
        dx, dupdate = tangents[:2]
        dx = zeros_of(x) if dx is None else dx
        dupdate = zeros_of(update) if dupdate is None else dupdate
        return dynamic_update_slice(dx, dupdate, *starts)

    def transpose(self, ct: Any, x: Any, update: Any, *starts: Any) -> list[Any]:
        ct_x = ct_update = None
        shape = update.shape
        if type(x) is Linear:
            nothing = zeros(array_type(shape, ct.dtype, ct.weak_type))
            ct_x = dynamic_update_slice(ct, nothing, *starts)
        if type(update) is Linear:
            ct_update = dynamic_slice(ct, *starts, slice_sizes=shape)
        return [ct_x, ct_update, *[None] * len(starts)]

    def vmap(self, size: int, args: Any, axes: Any) -> Any:
        x, update, *starts = args
        x_at, update_at, *starts_at = axes
        shape = _element_shape(x, x_at)
        inner = _element_shape(update, update_at)
        if all(at is None for at in starts_at):
            x, update = to_front(x, x_at, size), to_front(update, update_at, size)
            return dynamic_update_slice(x, update, _first(starts), *starts), 0
        matter = [d for d, n in enumerate(shape) if inner[d] != n]
        if not matter:
            return update, update_at
        numbers = ScatterDimensionNumbers(tuple(range(len(shape))), (), tuple(matter))
        return scatter.vmap(
            size,
            (x, _vectors(size, starts, starts_at, matter), update),
            (x_at, 0, update_at),
            dimension_numbers=numbers,
            mode=CLIP,
            unique_indices=True,
            indices_are_sorted=True,
        )

    lower = CORE


dynamic_update_slice = DynamicUpdateSlice()


def _window(shape: Any, starts: Any, sizes: Any) -> tuple[slice, ...]:
    window = []
    for n, start, size in zip(shape, starts, sizes):
        at = min(max(int(start), 0), n - size)
        window.append(slice(at, at + size))
    return tuple(window)


def _check_starts(name: str, x: Any, starts: Any) -> None:
    scalars = all(s.shape == () and dtypes.kind(s.dtype) in "iu" for s in starts)
    same = all(s.dtype == starts[0].dtype for s in starts)
    if len(starts) != len(x.shape) or not scalars or not same:
        raise error(
            TypeError,
            f"{name} needs one start for each axis, all of them integer scalars of one dtype.",
            got=f"{x.str_short()} and starts " + ", ".join(s.str_short() for s in starts),
            fix="give scalars such as x.argmax(), converted with .astype(int).",
        )


def _first(starts: Any) -> Any:
    # The start on a mapped axis that is taken whole.
    return like(starts[0], 0) if starts and hasattr(starts[0], "dtype") else HostArray(np.int32(0))


def _element_shape(x: Any, at: int | None) -> tuple[int, ...]:
    aval = type_of(x)
    return aval.shape if at is None else aval.without_axis(at).shape


def _vectors(size: int, starts: Any, axes: Any, matter: Any) -> Any:
    # An index vector for each element, of the starts that matter: those on other axes are 0.
    columns = []
    for d in matter:
        dims = () if axes[d] is None else (0,)
        columns.append(broadcast_in_dim(starts[d], shape=(size, 1), broadcast_dimensions=dims))
    return columns[0] if len(columns) == 1 else concatenate(*columns, dimension=1)
