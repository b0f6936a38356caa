"""What gather and scatter share: which elements of an array the windows at given indices touch.

Each vector along the last axis of `indices` is the corner of a window. Windows are described by
XLA's dimension numbers; `windows` turns these into NumPy terms once for all calls of a shape.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

import numpy as np

from ..core.errors import error
from ..core.types import Shape


class GatherDimensionNumbers(NamedTuple):
    """How the axes of a gather's operand, indices and output belong together.

    | name | meaning |
    |---|---|
    | `offset_dims` | the axes of the output that run inside a window, ascending |
    | `collapsed_slice_dims` | axes of the operand on which a window has length 1, left out |
    | `start_index_map` | the axis of the operand that each number of an index vector starts on |
    | `operand_batching_dims` | axes of the operand that run together with axes of the indices |
    | `start_indices_batching_dims` | those axes of the indices, in the same order |
    """

    offset_dims: tuple[int, ...]
    collapsed_slice_dims: tuple[int, ...]
    start_index_map: tuple[int, ...]
    operand_batching_dims: tuple[int, ...] = ()
    start_indices_batching_dims: tuple[int, ...] = ()


class ScatterDimensionNumbers(NamedTuple):
    """How the axes of a scatter's operand, indices and updates belong together.

    The names are those of `GatherDimensionNumbers` seen from the other side: the updates of a
    scatter have the shape of the output of a gather.
    """

    update_window_dims: tuple[int, ...]
    inserted_window_dims: tuple[int, ...]
    scatter_dims_to_operand_dims: tuple[int, ...]
    operand_batching_dims: tuple[int, ...] = ()
    scatter_indices_batching_dims: tuple[int, ...] = ()


class GatherScatterMode(enum.Enum):
    """What happens to a window that does not lie inside the array.

    | mode | gather | scatter |
    |---|---|---|
    | `CLIP` | the window is moved inside | the same |
    | `FILL_OR_DROP` | gives `fill_value` | its update is left out |
    | `PROMISE_IN_BOUNDS` | the caller promises that there is none; as CLIP | as FILL_OR_DROP |
    | `ONE_HOT` | only for `numpy.take` | |
    """

    CLIP = enum.auto()
    FILL_OR_DROP = enum.auto()
    PROMISE_IN_BOUNDS = enum.auto()
    ONE_HOT = enum.auto()

    @staticmethod
    def from_any(mode: str | GatherScatterMode | None) -> GatherScatterMode:
        """The mode of this name; None is FILL_OR_DROP."""
        if isinstance(mode, GatherScatterMode):
            return mode
        known = None if isinstance(mode, str) and mode not in _MODES else _MODES.get(mode)
        if known is None:
            raise error(
                ValueError,
                f"there is no mode {mode!r} for indices out of bounds.",
                got=repr(mode),
                fix='use "fill", "drop", "clip" or "promise_in_bounds".',
            )
        return known


_MODES: dict[str | None, GatherScatterMode] = {
    None: GatherScatterMode.FILL_OR_DROP,
    "fill": GatherScatterMode.FILL_OR_DROP,
    "drop": GatherScatterMode.FILL_OR_DROP,
    "clip": GatherScatterMode.CLIP,
    "promise_in_bounds": GatherScatterMode.PROMISE_IN_BOUNDS,
    "one_hot": GatherScatterMode.ONE_HOT,
}


def as_gather(n: ScatterDimensionNumbers) -> GatherDimensionNumbers:
    """The dimension numbers of the gather that reads what this scatter writes."""
    return GatherDimensionNumbers(*n)


def as_scatter(n: GatherDimensionNumbers) -> ScatterDimensionNumbers:
    """The dimension numbers of the scatter that writes what this gather reads."""
    return ScatterDimensionNumbers(*n)


def map_front(n: Any, operand: bool, indices: bool) -> Any:
    """The dimension numbers with a mapped axis in front of the operand, the indices or both.

    The output of the gather, or the updates of the scatter, have it in front too.
    """
    window, collapsed, starts, batching, indices_batching = n
    if operand:
        collapsed, starts, batching = _add_one(collapsed), _add_one(starts), _add_one(batching)
    window = _add_one(window) if indices else (0, *_add_one(window))
    if indices:
        indices_batching = _add_one(indices_batching)
        if operand:
            batching, indices_batching = (0, *batching), (0, *indices_batching)
    return type(n)(window, collapsed, starts, batching, indices_batching)


def _add_one(axes: Iterable[int]) -> tuple[int, ...]:
    return tuple(d + 1 for d in axes)


# ---- windows in NumPy's terms


@lru_cache(maxsize=4096)
def windows(shape: Shape, indices_shape: Shape, n: GatherDimensionNumbers, sizes: Shape) -> Windows:
    """The windows of `sizes` in an array of `shape` at indices of `indices_shape`."""
    flaw = _flaw(shape, indices_shape, n, sizes)
    if flaw is not None:
        what, fix = flaw
        raise error(
            TypeError,
            f"these windows do not fit the array: {what}.",
            got=f"array of shape {shape}, indices of shape {indices_shape}, windows of "
            f"{sizes}, {n}",
            fix=f"{fix} Indexing with [...] or .at[...] finds all of these numbers by itself.",
        )
    return Windows(shape, indices_shape, n, sizes)


@lru_cache(maxsize=4096)
def update_windows(
    shape: Shape, indices_shape: Shape, updates_shape: Shape, n: ScatterDimensionNumbers
) -> Windows:
    """The windows that updates of `updates_shape` are written to."""
    found = windows(shape, indices_shape, as_gather(n), window_sizes(shape, updates_shape, n))
    if found.out_shape != updates_shape:
        raise error(
            TypeError,
            f"the updates have shape {updates_shape}, but the indices ask for {found.out_shape}.",
            got=f"array of shape {shape}, indices of shape {indices_shape}, {n}",
            fix="the axes of the updates outside update_window_dims are those of the indices "
            "without the last one.",
        )
    return found


def window_sizes(shape: Shape, updates_shape: Shape, n: ScatterDimensionNumbers) -> Shape:
    """The size of the window of one update on each axis of the operand."""
    single = {*n.inserted_window_dims, *n.operand_batching_dims}
    inside = [updates_shape[d] for d in n.update_window_dims if d < len(updates_shape)]
    if len(inside) != len(shape) - len(single):
        raise error(
            TypeError,
            "each axis of the array must be a window axis of the updates, inserted, or batching.",
            got=f"array of shape {shape}, updates of shape {updates_shape}, {n}",
            fix="give as many update_window_dims as the array has other axes.",
        )
    each = iter(inside)
    return tuple(
        min(1, length) if d in n.operand_batching_dims else 1 if d in single else next(each)
        for d, length in enumerate(shape)
    )


class Windows:
    """The elements that windows touch, as index arrays on some axes and whole other axes.

    `picked` are the axes of the operand that need an index array: batching axes, and those on which
    a window is not as long as the axis. The others are `kept` whole. What NumPy gives for
    `operand.transpose(picked + kept)[arrays]` has axes for the batch (those of the indices), then
    for the inside of windows on picked axes, then the kept axes; `order` brings them, apart from
    axes of length 1, into the order of the output.
    """

    def __init__(
        self, shape: Shape, indices_shape: Shape, n: GatherDimensionNumbers, sizes: Shape
    ) -> None:
        self.shape, self.sizes = shape, sizes
        self.batch = indices_shape[:-1]
        self.starts = n.start_index_map
        self.limit_numbers = [shape[d] - sizes[d] for d in self.starts]
        self.limits = np.array(self.limit_numbers, np.int64)
        self.shared = dict(zip(n.operand_batching_dims, n.start_indices_batching_dims))
        axes = range(len(shape))
        self.picked = tuple(d for d in axes if d in self.shared or sizes[d] != shape[d])
        self.kept = tuple(d for d in axes if d not in self.picked)
        self.inner = tuple(d for d in self.picked if d not in self.shared and sizes[d] != 1)
        self.single = prod(self.batch) == 1 and not self.shared
        hidden = {*n.collapsed_slice_dims, *n.operand_batching_dims}
        visible = [d for d in axes if d not in hidden]
        self.out_shape = self._out_shape(n, visible)
        self.order = self._order(n, visible, (*self.batch_axes, *self.inner, *self.kept))
        self.inverse = _inverse(self.order)
        """From the output's order of axes back to batch, inner, kept."""
        self.from_table = _inverse(self.picked + self.kept)
        """From picked, kept back to the order of the operand."""
        self._layout(n, visible)

    @property
    def batch_axes(self) -> tuple[str, ...]:
        """Names for the axes of the batch, beside the numbers of operand axes."""
        return tuple(f"batch {i}" for i in range(len(self.batch)))

    def _out_shape(self, n: GatherDimensionNumbers, visible: list[int]) -> Shape:
        inside, outside = iter(visible), iter(self.batch)
        rank = len(self.batch) + len(visible)
        return tuple(
            self.sizes[next(inside)] if i in n.offset_dims else next(outside) for i in range(rank)
        )

    def _order(self, n: GatherDimensionNumbers, visible: list[int], have: Any) -> tuple[int, ...]:
        # Where the axes of the output stand among `have`. Axes that the output leaves out have
        # length 1 and go last; those it adds have length 1 too; reshape does away with both.
        inside, outside = iter(visible), iter(self.batch_axes)
        rank = len(self.batch) + len(visible)
        wanted = [next(inside) if i in n.offset_dims else next(outside) for i in range(rank)]
        order = [have.index(axis) for axis in wanted if axis in have]
        return (*order, *(i for i in range(len(have)) if i not in order))

    def _layout(self, n: GatherDimensionNumbers, visible: list[int]) -> None:
        shape, sizes = self.shape, self.sizes
        length = dict(zip(self.batch_axes, self.batch)) | {d: sizes[d] for d in self.inner}
        length |= {d: shape[d] for d in self.kept}
        have: list[Any] = [*self.batch_axes, *self.inner, *self.kept]
        self.arranged = tuple(length[have[i]] for i in self.order)
        """The shape of the output without added axes of length 1, with the left out ones."""
        self.places_shape = self.batch + tuple(sizes[d] for d in self.inner)
        self.rows = prod(self.places_shape)
        self.row = prod(shape[d] for d in self.kept)
        self.picked_shape = tuple(shape[d] for d in self.picked)
        self.kept_shape = tuple(shape[d] for d in self.kept)
        self.leading = self.picked == tuple(range(len(self.picked)))
        self.one = len(self.picked) == 1 and not self.shared and not self.inner
        """Whether one index array on one axis is all: NumPy's `take`."""
        if self.one:
            (at,) = self.picked
            in_place: list[Any] = [*self.kept[:at], *self.batch_axes, *self.kept[at:]]
            self.take_order = self._order(n, visible, tuple(in_place))
            self.take_in_order = self.take_order == tuple(range(len(in_place)))

    # ---- with the indices at hand

    def inside(self, indices: Any) -> Any:
        """Which windows lie inside the array; None for all."""
        if not self.starts:
            return None
        # Seen as unsigned numbers, negative ones are large: one comparison does for both bounds.
        bits, numbers, limits = indices, self.limit_numbers, self.limits
        if indices.dtype.kind == "i":
            bits = indices.view(f"u{indices.itemsize}")
            if indices.itemsize < 4:  # they are not large beside limits that the dtype cannot hold
                limits = np.minimum(limits, np.iinfo(indices.dtype).max)
                numbers = limits.tolist()
        fits = bits <= (limits if len(numbers) > 1 else numbers[0])
        if fits.all():
            return None
        return fits.all(-1)

    def region(self, indices: Any) -> tuple[tuple[slice, ...], bool]:
        """The one window, moved inside, as slices; and whether it was inside before."""
        region = [slice(0, n) for n in self.sizes]
        inside = True
        for d, i, limit in zip(self.starts, indices.reshape(-1).tolist(), self.limit_numbers):
            at = min(max(i, 0), limit)
            inside = inside and at == i
            region[d] = slice(at, at + self.sizes[d])
        return tuple(region), inside

    def line(self, indices: Any) -> Any:
        """The index array of the one picked axis, not yet moved inside."""
        (axis,) = self.picked
        if axis not in self.starts:
            return np.zeros(self.batch, np.intp)
        return _signed(indices[..., self.starts.index(axis)])

    def arrays(self, indices: Any) -> list[Any]:
        """Index arrays for the picked axes, moved inside, which broadcast to batch + inner."""
        rank = len(self.places_shape)
        found = []
        for axis in self.picked:
            if axis in self.shared:
                found.append(_along(self.shape[axis], self.shared[axis], rank))
                continue
            at: Any = 0
            if axis in self.starts:
                column = self.starts.index(axis)
                # Here np.clip takes 4 us, the two functions that it consists of 1 us.
                at = np.maximum(_signed(indices[..., column]), 0)
                at = np.minimum(at, self.limit_numbers[column])
                if self.inner:
                    at = at.reshape(self.batch + (1,) * len(self.inner))
            if axis in self.inner:
                place = len(self.batch) + self.inner.index(axis)
                at = at + _along(self.sizes[axis], place, rank)
            found.append(at)
        return found

    def flat(self, indices: Any) -> Any:
        """The places of the windows' rows in an array of shape (product of picked axes, row)."""
        place: Any = 0
        for n, at in zip(self.picked_shape, self.arrays(indices)):
            place = place * n + at
        if not isinstance(place, np.ndarray) or place.shape != self.places_shape:
            place = np.broadcast_to(place, self.places_shape)
        return place.reshape(self.rows)


def _inverse(order: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(order.index(i) for i in range(len(order)))


def _signed(indices: Any) -> Any:
    if indices.dtype == np.uint64:
        indices = np.minimum(indices, np.uint64(np.iinfo(np.int64).max))
    return indices.astype(np.intp, copy=False)


def _along(length: int, axis: int, rank: int) -> Any:
    return np.arange(length).reshape([length if i == axis else 1 for i in range(rank)])


# ---- what can be wrong with dimension numbers


def _flaw(
    shape: Shape, indices_shape: Shape, n: GatherDimensionNumbers, sizes: Shape
) -> tuple[str, str] | None:
    """What is wrong and what to do about it; None if nothing is."""
    rank, vectors = len(shape), len(indices_shape) - 1
    if vectors < 0:
        return "the indices are a scalar", "Index vectors lie along the last axis: reshape to (1,)."
    if len(n.start_index_map) != indices_shape[-1]:
        return (
            f"index vectors have {indices_shape[-1]} numbers for the {len(n.start_index_map)} axes "
            "they start on",
            "The last axis of the indices must be as long as start_index_map.",
        )
    for names, axes, below in (
        ("offset_dims", n.offset_dims, vectors + len(n.offset_dims)),
        ("collapsed_slice_dims", n.collapsed_slice_dims, rank),
        ("start_index_map", n.start_index_map, rank),
        ("operand_batching_dims", n.operand_batching_dims, rank),
        ("start_indices_batching_dims", n.start_indices_batching_dims, vectors),
    ):
        if len(set(axes)) != len(axes) or not all(0 <= d < below for d in axes):
            return f"{names} is {axes}", f"It must name axes from 0 to {below - 1}, each once."
        if names in _ASCENDING and list(axes) != sorted(axes):
            return f"{names} is {axes}", "It must be in ascending order."
    if set(n.operand_batching_dims) & {*n.collapsed_slice_dims, *n.start_index_map}:
        return (
            "a batching axis is also collapsed or indexed",
            "An axis can be only one of these.",
        )
    return _size_flaw(shape, indices_shape, n, sizes)


_ASCENDING = {"offset_dims", "collapsed_slice_dims", "operand_batching_dims"}


def _size_flaw(
    shape: Shape, indices_shape: Shape, n: GatherDimensionNumbers, sizes: Shape
) -> tuple[str, str] | None:
    hidden = (*n.collapsed_slice_dims, *n.operand_batching_dims)
    if len(sizes) != len(shape) or len(sizes) != len(n.offset_dims) + len(hidden):
        return (
            f"windows have {len(sizes)} sizes and {len(n.offset_dims) + len(hidden)} axes",
            "Give one size for each axis of the array; each axis is an offset axis of the output, "
            "collapsed, or batching.",
        )
    batching = tuple(shape[d] for d in n.operand_batching_dims)
    if len(n.operand_batching_dims) != len(n.start_indices_batching_dims) or batching != tuple(
        indices_shape[d] for d in n.start_indices_batching_dims
    ):
        return (
            "batching axes of array and indices differ in length",
            "Name as many of the one as of the other, of the same lengths.",
        )
    if prod(indices_shape[:-1]) and not all(0 <= s <= d for s, d in zip(sizes, shape)):
        return f"windows of {sizes} are larger than the array", "Use sizes up to the array's own."
    if any(sizes[d] != 1 for d in n.collapsed_slice_dims) or any(
        sizes[d] > 1 for d in n.operand_batching_dims
    ):
        return "a collapsed or batching axis has windows longer than 1", "Their size must be 1."
    return None
