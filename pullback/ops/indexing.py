"""Primitives that read and write windows of an array at given indices, and are linear.

gather reads, the scatters set, add and subtract. The transpose of reading is adding.
"""

from __future__ import annotations

from math import prod
from typing import Any, ClassVar

import numpy as np

from ..core import dtypes
from ..core.array import HostArray
from ..core.errors import error
from ..core.primitive import CORE, Linear, Primitive
from ..core.trace import type_of
from ..core.types import ArrayType, array_type
from .comparison import eq
from .elementwise import neg, select_n
from .structural import (
    broadcast_in_dim,
    iota,
    move_axis,
    reshape,
    to_front,
    zeros,
    zeros_of,
)
from .windows import (
    GatherDimensionNumbers,
    GatherScatterMode,
    ScatterDimensionNumbers,
    as_gather,
    as_scatter,
    map_front,
    update_windows,
    window_sizes,
    windows,
)

CLIP = GatherScatterMode.CLIP
FILL_OR_DROP = GatherScatterMode.FILL_OR_DROP
PROMISE_IN_BOUNDS = GatherScatterMode.PROMISE_IN_BOUNDS


class Gather(Primitive):
    """The windows of `x` that begin at `indices`, as `dimension_numbers` arranges them."""

    weak_from = (0,)

    def typing(
        self, x: Any, indices: Any, *, dimension_numbers: Any, slice_sizes: Any, **_: Any
    ) -> ArrayType:
        _check_indices(self.name, indices.dtype)
        found = windows(x.shape, indices.shape, dimension_numbers, slice_sizes)
        return array_type(found.out_shape, x.dtype, x.weak_type)

    def eval(
        self,
        x: Any,
        indices: Any,
        *,
        dimension_numbers: Any,
        slice_sizes: Any,
        mode: Any,
        fill_value: Any,
        **_: Any,
    ) -> Any:
        _check_indices(self.name, indices.dtype)  # NumPy would cut fractions off
        w = windows(x.shape, indices.shape, dimension_numbers, slice_sizes)
        if w.single:
            region, fits = w.region(indices)
            if mode is FILL_OR_DROP and not fits:
                return _filled(w.out_shape, x.dtype, fill_value)
            return x[region].reshape(w.out_shape)
        inside = w.inside(indices) if mode is FILL_OR_DROP else None
        if w.one:
            return _take(x, indices, w, inside, fill_value)
        if w.leading and w.picked and x.flags.c_contiguous:
            rows = x.reshape((prod(w.picked_shape), *w.kept_shape))
            out = rows.take(w.flat(indices), 0, mode="clip")
        elif w.picked:
            places = [np.broadcast_to(at, w.places_shape) for at in w.arrays(indices)]
            out = x.transpose(w.picked + w.kept)[tuple(places)]
        else:
            out = np.broadcast_to(x, w.batch + x.shape)
        out = out.reshape(w.places_shape + w.kept_shape)
        if inside is not None:
            out = out.copy() if not w.picked else out
            _fill(out, ~inside, fill_value)
        return out.transpose(w.order).reshape(w.out_shape)

    def jvp(self, primals: Any, tangents: Any, out: Any, **params: Any) -> Any:
        params["fill_value"] = 0
        return gather(tangents[0], primals[1], **params)

    def transpose(
        self,
        ct: Any,
        x: Any,
        indices: Any,
        *,
        dimension_numbers: Any,
        mode: Any,
        unique_indices: Any,
        indices_are_sorted: Any,
        **_: Any,
    ) -> list[Any]:
        found = scatter_add(
            zeros(x.aval),
            indices,
            ct,
            dimension_numbers=as_scatter(dimension_numbers),
            indices_are_sorted=indices_are_sorted,
            unique_indices=unique_indices,
            # A window that was moved inside must be moved for the cotangent too.
            mode=CLIP if mode is PROMISE_IN_BOUNDS else mode,
        )
        return [found, None]

    def vmap(
        self,
        size: int,
        args: Any,
        axes: Any,
        *,
        dimension_numbers: Any,
        slice_sizes: Any,
        **params: Any,
    ) -> Any:
        x, indices = args
        x_at, indices_at = axes
        if x_at is not None:
            x = move_axis(x, x_at, 0)
            slice_sizes = (size if indices_at is None else min(1, size), *slice_sizes)
        if indices_at is not None:
            indices = move_axis(indices, indices_at, 0)
            if x_at is None:  # different elements may read the same place
                params.update(unique_indices=False, indices_are_sorted=False)
        numbers = map_front(dimension_numbers, x_at is not None, indices_at is not None)
        return gather(x, indices, dimension_numbers=numbers, slice_sizes=slice_sizes, **params), 0

    lower = CORE


gather = Gather()


def _take(x: Any, indices: Any, w: Any, inside: Any, fill_value: Any) -> Any:
    # One index array on one axis. np.take is twice as fast as x[..., at, ...], but first makes a
    # contiguous copy of an array that is not contiguous.
    (axis,) = w.picked
    at = w.line(indices)
    if x.flags.c_contiguous:
        out = x.take(at, axis, mode="clip")
    else:
        out = x[(slice(None),) * axis + (np.clip(at, 0, x.shape[axis] - 1),)]
    if inside is not None:
        _fill(out, (slice(None),) * axis + (~inside,), fill_value)
    if not w.take_in_order:
        out = out.transpose(w.take_order)
    return out if out.shape == w.out_shape else out.reshape(w.out_shape)


def default_fill(dtype: np.dtype) -> Any:
    """What a gather gives outside: NaN, the lowest signed or the highest unsigned number, True."""
    kind = dtypes.kind(dtype)
    if kind in "iu":
        limits = dtypes.iinfo(dtype)
        return int(limits.min if kind == "i" else limits.max)
    return {"f": np.nan, "c": np.nan, "b": True}.get(kind, np.iinfo(np.uint32).max)


def _fill(out: Any, where: Any, value: Any) -> None:
    if value is None:
        value = default_fill(out.dtype)
    if dtypes.is_key(out.dtype):
        out = out[out.dtype.names[0]]
    out[where] = value


def _filled(shape: Any, dtype: np.dtype, value: Any) -> Any:
    out = np.empty(shape, dtype)
    _fill(out, ..., value)
    return out


def _check_indices(name: str, dtype: np.dtype) -> None:
    if dtypes.kind(dtype) not in "iu":
        raise error(
            TypeError,
            f"the indices of {name} must be integers.",
            got=f"indices of dtype {dtypes.long_name(dtype)}",
            fix="convert them with .astype(int), or use a mask with jnp.where.",
        )


# ---- scatter


class Scatters(Primitive, family=True):
    """`x` with windows at `indices` combined with those of `updates`, one after the other."""

    weak_from = (0,)
    combine: ClassVar[Any] = None
    """The NumPy function that combines; None sets: of several in a place the last one wins."""
    takes: ClassVar[str] = "biufcV"

    def typing(
        self, x: Any, indices: Any, updates: Any, *, dimension_numbers: Any, **_: Any
    ) -> ArrayType:
        _check_indices(self.name, indices.dtype)
        if x.dtype != updates.dtype or dtypes.kind(x.dtype) not in self.takes:
            raise error(
                TypeError,
                f"{self.name} needs an array and updates of one dtype that it can combine.",
                got=f"{x.str_short()} and {updates.str_short()}",
                fix="convert one of them; .at[...] does so by itself.",
            )
        update_windows(x.shape, indices.shape, updates.shape, dimension_numbers)
        return x

    def eval(
        self,
        x: Any,
        indices: Any,
        updates: Any,
        *,
        dimension_numbers: Any,
        mode: Any,
        unique_indices: Any,
        **_: Any,
    ) -> Any:
        _check_indices(self.name, indices.dtype)
        w = update_windows(x.shape, indices.shape, updates.shape, dimension_numbers)
        if not updates.size:
            return x
        if w.single:
            region, fits = w.region(indices)
            if mode is not CLIP and not fits:
                return x
            out = np.array(x)
            _combine_one(self.combine, out, region, updates)
            return out
        inside = None if mode is CLIP else w.inside(indices)
        places = w.flat(indices)
        rows = updates.reshape(w.arranged).transpose(w.inverse).reshape(w.rows, w.row)
        if inside is not None:
            kept = np.repeat(inside.reshape(-1), w.rows // inside.size)
            places, rows = places[kept], rows[kept]
        # The axes that indices pick go to the front of a copy, which is then a table of rows.
        out = np.array(x if w.leading else x.transpose(w.picked + w.kept), order="C")
        table = out.reshape(prod(w.picked_shape), w.row)
        combine_rows(self.combine, table, places, rows, unique_indices)
        return out if w.leading else out.transpose(w.from_table)

    def vmap(
        self, size: int, args: Any, axes: Any, *, dimension_numbers: Any, **params: Any
    ) -> Any:
        x, indices, updates = args
        x_at, indices_at, updates_at = axes
        x, updates = to_front(x, x_at, size), to_front(updates, updates_at, size)
        if indices_at is not None:
            indices = move_axis(indices, indices_at, 0)
        numbers = map_front(dimension_numbers, True, indices_at is not None)
        return self(x, indices, updates, dimension_numbers=numbers, **params), 0

    lower: Any = CORE


def _combine_one(ufunc: Any, out: Any, region: Any, updates: Any) -> None:
    place = out[region]
    if ufunc is None:
        place[...] = updates.reshape(place.shape)
    else:
        ufunc(place, updates.reshape(place.shape), out=place)


_LONG_ROW = 512
"""From this length on, one call of NumPy for each row is faster than one for all numbers: 0.6 us
a row against 1.5 ns a number (measured with 100 rows of 1000)."""


def combine_rows(ufunc: Any, table: Any, places: Any, rows: Any, unique: bool) -> None:
    """Combine each of `rows` into the row of `table` at its place, in their order."""
    if ufunc is None:
        table[places] = rows
    elif unique:
        table[places] = ufunc(table[places], rows)
    elif rows.shape[1] >= _LONG_ROW:
        for place, row in zip(places.tolist(), rows):
            ufunc(table[place], row, out=table[place])
    elif table.dtype.kind not in "iufcb" or table.dtype.itemsize < 4:
        # ufunc.at is fast (0.8 ns a number instead of 20 to 100) only in NumPy's own wider types;
        # the sum of small floats is also more exact there.
        wide = table.astype(np.float32 if dtypes.kind(table.dtype) == "f" else np.int32)
        combine_rows(ufunc, wide, places, rows.astype(wide.dtype), unique)
        table[...] = wide.astype(table.dtype)
    else:
        # ufunc.at is fast only in one dimension.
        n = rows.shape[1]
        each = places if n == 1 else (places[:, None] * n + np.arange(n)).reshape(-1)
        ufunc.at(table.reshape(-1), each, rows.reshape(-1))


class ScatterAdd(Scatters, name="scatter-add"):
    """`x` with `updates` added to its windows at `indices`"""

    combine: ClassVar[Any] = np.add
    takes = "iufc"

    def jvp(self, primals: Any, tangents: Any, out: Any, **params: Any) -> Any:
        dx, _, dupdates = tangents
        if dupdates is None:
            return dx
        return self(zeros_of(primals[0]) if dx is None else dx, primals[1], dupdates, **params)

    def transpose(self, ct: Any, x: Any, indices: Any, updates: Any, **params: Any) -> list[Any]:
        ct_updates = None
        if type(updates) is Linear:
            ct_updates = gather_updates(ct, indices, updates.shape, **params)
        return [ct if type(x) is Linear else None, None, ct_updates]


scatter_add = ScatterAdd()


class ScatterSub(ScatterAdd, name="scatter-sub"):
    """`x` with `updates` subtracted from its windows at `indices`"""

    combine = np.subtract

    def transpose(self, ct: Any, x: Any, indices: Any, updates: Any, **params: Any) -> list[Any]:
        ct_x, _, ct_updates = super().transpose(ct, x, indices, updates, **params)
        return [ct_x, None, None if ct_updates is None else neg(ct_updates)]

    def lower(self, x: Any, indices: Any, updates: Any, **params: Any) -> Any:
        return scatter_add(x, indices, neg(updates), **params)


scatter_sub = ScatterSub()


class Scatter(Scatters):
    """`x` with its windows at `indices` replaced by `updates`; where several meet the last wins"""

    def jvp(self, primals: Any, tangents: Any, out: Any, **params: Any) -> Any:
        x, indices, updates = primals
        dx, _, dupdates = tangents
        dx = zeros_of(x) if dx is None else dx
        dupdates = zeros_of(updates) if dupdates is None else dupdates
        return scatter(dx, indices, dupdates, **params)

    def transpose(
        self, ct: Any, x: Any, indices: Any, updates: Any, *, unique_indices: Any, **params: Any
    ) -> list[Any]:
        ct_x = ct_updates = None
        if type(x) is Linear:
            nothing = zeros(array_type(updates.shape, ct.dtype, False))
            ct_x = scatter(ct, indices, nothing, unique_indices=unique_indices, **params)
        if type(updates) is Linear:
            ct_updates = gather_updates(
                ct, indices, updates.shape, unique_indices=unique_indices, **params
            )
            if not unique_indices:
                won = _last(ct.shape, indices, updates.shape, params)
                ct_updates = select_n(won, zeros_of(ct_updates), ct_updates)
        return [ct_x, None, ct_updates]


scatter = Scatter()


def gather_updates(
    x: Any,
    indices: Any,
    shape: Any,
    *,
    dimension_numbers: ScatterDimensionNumbers,
    mode: Any,
    unique_indices: bool,
    indices_are_sorted: bool,
) -> Any:
    """What stands in `x` where a scatter puts updates of `shape`; zero for those it drops."""
    return gather(
        x,
        indices,
        dimension_numbers=as_gather(dimension_numbers),
        slice_sizes=window_sizes(x.shape, shape, dimension_numbers),
        mode=CLIP if mode is CLIP else FILL_OR_DROP,
        fill_value=0,
        unique_indices=unique_indices,
        indices_are_sorted=indices_are_sorted,
    )


def _last(shape: Any, indices: Any, updates_shape: Any, params: Any) -> Any:
    # Whether each number of the updates is the last one in its place: number the windows, scatter
    # the numbers just like the updates, and see which of them are still there.
    window = params["dimension_numbers"].update_window_dims
    outside = [d for d in range(len(updates_shape)) if d not in window]
    batch = tuple(updates_shape[d] for d in outside)
    numbers = reshape(iota(dtype=dtypes.int32, shape=(prod(batch),), dimension=0), new_sizes=batch)
    numbers = broadcast_in_dim(numbers, shape=updates_shape, broadcast_dimensions=tuple(outside))
    none = broadcast_in_dim(HostArray(np.int32(-1)), shape=shape, broadcast_dimensions=())
    written = scatter(none, indices, numbers, unique_indices=False, **params)
    there = gather_updates(written, indices, updates_shape, unique_indices=False, **params)
    return eq(there, numbers)


def take_along(x: Any, indices: Any, axis: int) -> Any:
    """`x` at `indices`, integers inside the bounds, along one axis; both have x's other axes."""
    rank = len(type_of(x).shape)
    others = tuple(d for d in range(rank) if d != axis)
    shape = type_of(indices).shape
    return gather(
        x,
        reshape(indices, new_sizes=(*shape, 1)),
        dimension_numbers=GatherDimensionNumbers((), (axis,), (axis,), others, others),
        slice_sizes=tuple(1 if d == axis else min(1, n) for d, n in enumerate(shape)),
        mode=PROMISE_IN_BOUNDS,
        fill_value=None,
        unique_indices=False,
        indices_are_sorted=False,
    )
