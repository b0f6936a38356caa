"""What a NumPy-style index means: slices to take, and the windows of a gather or scatter.

`parse` splits an index into the arrays in it and all the rest, its layout. Layouts are kept, so
that what follows from one is found once: an index in a loop is mostly the same but for its arrays.

NumPy's rules: index arrays are broadcast together; the axes of the result that come from them stand
where the arrays did if these stood side by side (integers count as arrays here), else in front.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

import numpy as np

from ..core import dtypes
from ..core.array import Array, HostArray, Tracer
from ..core.errors import (
    NonConcreteBooleanIndexError,
    TracerIntegerConversionError,
    error,
)
from ..core.types import Shape
from ..ops.comparison import lt, min_
from ..ops.elementwise import add, convert_element_type, like, select_n
from ..ops.slicing import concatenate
from ..ops.stacking import stack
from ..ops.structural import broadcast_in_dim
from ..ops.windows import GatherDimensionNumbers
from .promotion import as_array, broadcast_shapes


class Index(NamedTuple):
    """An index, taken apart."""

    layout: Layout
    arrays: list[Any]
    """The integer arrays in it: NumPy arrays where they are known."""


def parse(index: Any, shape: Shape) -> Index:
    """`index` into an array of `shape`, taken apart."""
    if isinstance(index, Sequence) and not isinstance(index, (tuple, str)):
        raise _list_as_index(index)
    arrays: list[Any] = []
    key = tuple(_key(item, arrays) for item in (index if isinstance(index, tuple) else (index,)))
    return Index(layout(key, shape), arrays)


def _key(item: Any, arrays: list[Any]) -> Any:
    """What a layout must know of a part; integers of an array go to `arrays`."""
    kind = type(item)
    if kind is int or item is None or item is Ellipsis:
        return item
    if kind is slice:
        start, stop, step = item.start, item.stop, item.step
        return "slice", _bound(start, item), _bound(stop, item), _bound(step, item)
    if isinstance(item, (bool, np.bool_)):
        return "flag", bool(item)
    if isinstance(item, (int, np.integer)):
        return int(item)
    if isinstance(item, (Array, np.ndarray)):
        return _array_key(item, arrays)
    if hasattr(item, "__jax_array__"):
        return _key(item.__jax_array__(), arrays)
    if isinstance(item, (float, complex, np.generic)):
        raise _not_integer(item, np.asarray(item).dtype)
    if isinstance(item, str):
        raise error(
            TypeError,
            f"arrays have no elements named by strings; got index {item!r}.",
            got=repr(item),
            fix="use integers, slices or masks; for named arrays use a dict.",
        )
    if isinstance(item, Sequence):
        return _array_key(_as_index_array(item), arrays)
    raise error(
        IndexError,
        "only integers, slices (`:`), ellipsis (`...`), newaxis (`None`) and integer or boolean "
        "arrays are valid indices.",
        got=_brief(item),
        fix="convert the index to one of these.",
    )


def _bound(value: Any, whole: slice) -> int | None:
    if value is None or type(value) is int:
        return value
    try:
        return operator.index(value)
    except TracerIntegerConversionError as cause:
        raise error(
            IndexError,
            "Slice entries must be static integers: the length of the result would depend on "
            "traced values.",
            got=_brief(whole),
            fix="use lax.dynamic_slice(x, (start,), (size,)) where only the start is traced, or "
            "make the values static (static_argnums).",
        ) from cause
    except TypeError as cause:
        raise error(
            TypeError,
            "this is no valid slice: its entries must be integers or None.",
            got=_brief(whole),
            fix="convert them with int(...).",
        ) from cause


def _array_key(item: Any, arrays: list[Any]) -> Any:
    value = known_value(item)
    kind = dtypes.kind(item.dtype)
    if kind == "b":
        if value is None:
            raise error(
                NonConcreteBooleanIndexError,
                "Array boolean indices must be concrete: the shape of the result would depend on "
                "the values of a traced mask.",
                got=item.describe(),
                fix="use jnp.where(mask, x, y), or jnp.nonzero(mask, size=n) as the index.",
            )
        if not value.ndim:
            return "flag", bool(value)
        places = np.nonzero(value)
        arrays += places
        return "mask", value.shape, len(places[0])
    if kind not in "iu":
        raise _not_integer(item, item.dtype)
    if value is not None and not value.ndim:
        return int(value)
    arrays.append(item if value is None else value)
    return "array", item.shape


def known_value(x: Any) -> Any:
    """The NumPy value of an array where it is known while tracing, else None."""
    if isinstance(x, Tracer):
        x = x.known()
        if x is None:
            return None
    return np.asarray(x._value if isinstance(x, HostArray) else x)


def _as_index_array(items: Sequence[Any]) -> Any:
    if not any(isinstance(i, (Tracer, Sequence)) for i in items):
        made = np.array([i._value if isinstance(i, HostArray) else i for i in items])
        return made if len(items) else made.astype(np.int32)
    rows = [as_array(_as_index_array(i) if isinstance(i, Sequence) else i) for i in items]
    if all(known_value(row) is not None for row in rows):
        return np.stack([known_value(row) for row in rows])
    wide = dtypes.default_int()
    return stack(*[convert_element_type(r, new_dtype=wide, weak_type=False) for r in rows], axis=0)


# ---- layouts: all of an index but the arrays in it


class Part(NamedTuple):
    """One part of an index.

    | kind | value | meaning |
    |---|---|---|
    | `new` | | a new axis of length 1 |
    | `gap` | | an ellipsis that stands for no axis; it separates index arrays |
    | `gone` | | an integer that has been applied; it counts as an index array |
    | `slice` | (start, step, length) | on `axis` |
    | `int` | an integer | on `axis`, which goes away |
    | `array` | its number, or a known array | on `axis`, together with the other arrays |
    """

    kind: str
    value: Any
    axis: int


class Cut(NamedTuple):
    """What of an index can be done by slices, and the layout that remains."""

    starts: Shape
    limits: Shape
    strides: Shape | None
    sliced: bool
    reversed: Shape
    gone: Shape
    """The axes of integers, which have length 1 now and go away."""
    shape: Shape
    """The shape without them."""
    rest: Layout


class IndexWindows(NamedTuple):
    """The gather that reads what an index names, or the scatter that writes it."""

    numbers: GatherDimensionNumbers
    sizes: Shape
    window_shape: Shape
    """The shape of the output of the gather."""
    shape: Shape
    """The same with the new axes: the shape that NumPy gives."""
    columns: list[tuple[Any, int, int, int]]
    """Of each number of the index vectors: an array or its number, the first axis and the number of
    axes that it has in the batch, and the length of the axis that it is an index on."""
    batch: Shape
    corner: Shape | None
    """If the index is one window whose place is known and inside: where it starts."""


@lru_cache(maxsize=4096)
def layout(key: Any, shape: Shape) -> Layout:
    """The layout for what `_key` says of the parts, in an array of `shape`."""
    taken = sum(_axes(k) for k in key)
    if taken > len(shape):
        raise error(
            IndexError,
            f"Too many indices: array is {len(shape)}-dimensional, but {taken} were indexed.",
            got=f"an array of shape {shape}",
            fix="leave out indices, or add axes to the array with x[..., None].",
        )
    gaps = [i for i, k in enumerate(key) if k is Ellipsis]
    if len(gaps) > 1:
        raise error(
            IndexError,
            "an index can only have a single ellipsis ('...').",
            got=f"{len(gaps)} of them",
            fix="write : for the other axes.",
        )
    keys = list(key)
    whole = [("slice", None, None, None)] * (len(shape) - taken)
    if not gaps:
        keys += whole
    elif whole:
        keys[gaps[0] : gaps[0] + 1] = whole
    return _with_axes(keys, shape)


def _axes(key: Any) -> int:
    if type(key) is tuple:
        return {"flag": 0, "mask": len(key[1]) if key[0] == "mask" else 0}.get(key[0], 1)
    return int(type(key) is int)


def _with_axes(keys: list[Any], shape: Shape) -> Layout:
    parts: list[Part] = []
    lengths = list(shape)
    axis = arrays = 0
    for key in keys:
        kind = key[0] if type(key) is tuple else "int" if type(key) is int else ""
        taken = _axes(key)
        if kind == "slice":
            parts.append(Part(kind, _slice(slice(*key[1:]), lengths[axis]), axis))
        elif kind == "int":
            parts.append(Part(kind, key, axis))
        elif kind == "flag":
            lengths.insert(axis, 1)
            parts.append(Part("array", np.arange(int(key[1])), axis))
            taken = 1
        elif kind:
            if kind == "mask":
                _check_mask(key[1], tuple(lengths[axis : axis + taken]))
            parts += [Part("array", arrays + i, axis + i) for i in range(taken)]
            arrays += taken
        else:
            parts.append(Part("new" if key is None else "gap", None, -1))
        axis += taken
    return Layout(parts, tuple(lengths), _broadcast(keys), _once(keys))


def _slice(s: slice, n: int) -> tuple[int, int, int]:
    """Start, step and length of the slice of an axis of length `n`."""
    if s.step == 0:
        raise error(
            ValueError,
            "this is no valid slice: slice step cannot be zero.",
            got=_brief(s),
            fix="leave the step out, or give another.",
        )
    if not isinstance(n, int):
        return _open_slice(s, n)
    places = range(n)[s]
    return places.start, places.step, len(places)


def _open_slice(s: slice, n: Any) -> Any:
    """The same where the length is an expression, for `export`: only steps of 1 are known of."""
    start, stop = s.start or 0, n if s.stop is None else s.stop
    if s.step not in (None, 1):
        operator.index(n)  # or raise
    start, stop = (n + i if isinstance(i, int) and i < 0 else i for i in (start, stop))
    return start, 1, stop - start


def _check_mask(shape: Shape, lengths: Shape) -> None:
    if any(a not in (0, b) for a, b in zip(shape, lengths)):
        raise error(
            IndexError,
            "a boolean index must have the shape of the axes that it is for.",
            got=f"a mask of shape {shape} for axes of shape {lengths}",
            fix="give a mask of the same shape, or the integers of jnp.nonzero(mask).",
        )


def _block_shapes(keys: list[Any]) -> list[Shape]:
    named = [k for k in keys if type(k) is tuple and k[0] != "slice"]
    return [k[1] if k[0] == "array" else (k[2],) if k[0] == "mask" else (int(k[1]),) for k in named]


def _broadcast(keys: list[Any]) -> Shape:
    shapes = _block_shapes(keys)
    if not all(isinstance(n, int) for shape in shapes for n in shape):
        return broadcast_shapes("indexing", *shapes)
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError as cause:
        raise error(
            IndexError,
            "shape mismatch: indexing arrays could not be broadcast together.",
            got=" and ".join(map(str, shapes)),
            fix="give index arrays of one shape; for all combinations use jnp.ix_.",
        ) from cause


def _once(keys: list[Any]) -> bool:
    with_axes = [k[0] for k in keys if type(k) is tuple and k[0] != "slice" and k != ("array", ())]
    return not with_axes or with_axes == ["mask"]


class Layout:
    """All of an index but its arrays.

    `shape` is that of the indexed array, with an axis of length 1 for each scalar bool; `block` the
    common shape of the index arrays; `once` says that no element can be named twice.
    """

    def __init__(self, parts: list[Part], shape: Shape, block: Shape, once: bool) -> None:
        self.parts, self.shape, self.block, self.once = parts, shape, block, once
        self.picked = [p for p in parts if p.kind in ("array", "int")]
        self.scalars = not block
        """Whether no index array has axes: all are traced scalars."""
        self._cuts: dict[tuple[bool, bool], Cut] = {}
        self._windows: dict[bool, IndexWindows] = {}

    @property
    def basic_shape(self) -> Shape:
        """The shape of the result where only slices and new axes are left."""
        kept = [p for p in self.parts if p.kind in ("new", "slice")]
        return tuple(1 if p.kind == "new" else p.value[2] for p in kept)

    def cut(self, wrap: bool, fill: bool) -> Cut:
        """The slices and integers; with `fill`, integers that are out of bounds remain."""
        found = self._cuts.get((wrap, fill))
        if found is None:
            found = self._cuts[wrap, fill] = self._cut(wrap, fill)
        return found

    def _cut(self, wrap: bool, fill: bool) -> Cut:
        shape = self.shape
        starts, limits, strides = [0] * len(shape), list(shape), [1] * len(shape)
        back, gone, parts = [], [], []
        for part in self.parts:
            kind, value, axis = part
            if kind == "slice":
                start, step, n = value
                last = start + (n - 1) * step
                low, high = (start, last) if step > 0 else (last, start)
                starts[axis], limits[axis] = (low, high + 1) if n else (0, 0)
                strides[axis] = abs(step) if abs(step) > 1 and n > 1 else 1
                if step < 0 and n > 1:
                    back.append(axis)
                part = Part(kind, (0, 1, n), axis)
            elif kind == "int":
                at = _int_from_front(value, shape[axis], wrap)
                if not fill or 0 <= at < shape[axis]:
                    at = _inside(at, shape[axis], axis)
                    starts[axis], limits[axis] = at, at + 1
                    gone.append(axis)
                    part = Part("gone", None, axis)
            parts.append(part)
        sliced = [-(-(b - a) // s) for a, b, s in zip(starts, limits, strides)]
        left = tuple(n for d, n in enumerate(sliced) if d not in gone)
        parts = [p._replace(axis=p.axis - sum(g < p.axis for g in gone)) for p in parts]
        return Cut(
            tuple(starts),
            tuple(limits),
            None if strides == [1] * len(shape) else tuple(strides),
            tuple(sliced) != shape,
            tuple(back),
            tuple(gone),
            left,
            Layout(parts, left, self.block, self.once),
        )

    def windows(self, wrap: bool) -> IndexWindows:
        """Dimension numbers, and what the index vectors consist of."""
        found = self._windows.get(wrap)
        if found is None:
            found = self._windows[wrap] = self._find_windows(wrap)
        return found

    def _find_windows(self, wrap: bool) -> IndexWindows:
        shape, block = self.shape, self.block
        batch: list[int] = []
        full: list[int] = []  # the shape of the output, new axes included
        window: list[int] = []  # the same without them
        offset, columns, sizes = [], {}, [1] * len(shape)
        collapsed = [p.axis for p in self.picked]
        rest = [p for p in self.parts if p.kind in ("new", "slice")]
        rest.insert(self._block_place(), Part("block", None, -1))
        for kind, value, axis in rest:
            if kind == "block":
                for p in self.picked:
                    columns[p.axis] = (self._source(p), len(batch), len(block))
                batch += block
                full += block
                window += block
            elif kind == "new":
                full.append(1)
            else:
                start, step, length = value
                if step == 1:
                    offset.append(len(window))
                    sizes[axis] = length
                    if length != shape[axis]:
                        columns[axis] = (np.array(start), 0, 0)
                else:
                    columns[axis] = (start + step * np.arange(length), len(batch), 1)
                    collapsed.append(axis)
                    batch.append(length)
                full.append(length)
                window.append(length)
        numbers = GatherDimensionNumbers(tuple(offset), tuple(sorted(collapsed)), tuple(columns))
        return IndexWindows(
            numbers,
            tuple(sizes),
            tuple(window),
            tuple(full),
            [(*column, shape[axis]) for axis, column in columns.items()],
            tuple(batch),
            self._corner(wrap),
        )

    def _source(self, part: Part) -> Any:
        kind, value, axis = part
        n = self.shape[axis]
        if n == 0 and not is_empty(self.block):
            _inside(0, n, axis)
        if kind == "int":
            # A number outside is as good as the nearest one outside, which fits every dtype.
            return np.array(min(max(value, -n - 1), n))
        return value

    def _block_place(self) -> int:
        """Before which new axis or slice the axes of the index arrays stand in the result."""
        advanced = [i for i, p in enumerate(self.parts) if p.kind in ("array", "int", "gone")]
        if not self.block or advanced[-1] - advanced[0] != len(advanced) - 1:
            return 0
        return sum(p.kind in ("new", "slice") for p in self.parts[: advanced[0]])

    def _corner(self, wrap: bool) -> Shape | None:
        corner = [0] * len(self.shape)
        for kind, value, axis in self.parts:
            if kind == "array" or (kind == "slice" and value[1] != 1):
                return None
            if kind == "slice":
                corner[axis] = value[0]
            if kind == "int":
                corner[axis] = _int_from_front(value, self.shape[axis], wrap)
                if not 0 <= corner[axis] < self.shape[axis]:
                    return None
        return tuple(corner)


def _int_from_front(at: int, n: int, wrap: bool) -> int:
    return at + n if at < 0 and wrap else at


def _inside(at: int, n: int, axis: int) -> int:
    if n == 0:
        raise error(
            IndexError,
            f"index is out of bounds for axis {axis} with size 0.",
            got=f"index {at}",
            fix="index an array that has elements.",
        )
    return min(max(at, 0), n - 1)


def is_empty(shape: Shape) -> bool:
    """Whether an array of this shape has no elements."""
    return prod(shape) == 0


# ---- index vectors


def vectors(found: Index, wrap: bool) -> Any:
    """The index vectors of the windows; None if these are the whole array."""
    w = found.layout.windows(wrap)
    if not w.columns:
        return None
    wide = max(n for _, _, _, n in w.columns) > np.iinfo(np.int32).max
    dtype = dtypes.int64 if wide else dtypes.int32
    columns = [
        (found.arrays[at] if type(at) is int else at, first, rank, n)
        for at, first, rank, n in w.columns
    ]
    if all(type(at) is np.ndarray for at, _, _, _ in columns):
        return _known_vectors(columns, w.batch, wrap, dtype)
    several = len(columns) > 1
    made = []
    for at, first, rank, n in columns:
        at = from_front(at, n, wrap, dtype if several else None)
        dims = tuple(range(first + rank - len(at.shape), first + rank))
        made.append(broadcast_in_dim(at, shape=(*w.batch, 1), broadcast_dimensions=dims))
    return concatenate(*made, dimension=len(w.batch)) if several else made[0]


def _known_vectors(columns: Any, batch: Shape, wrap: bool, dtype: np.dtype) -> HostArray:
    out = np.empty((*batch, len(columns)), dtype)
    for k, (at, first, rank, n) in enumerate(columns):
        at = _known_from_front(at, n, wrap)
        if at.ndim != len(batch):
            at = at.reshape((1,) * (rank - at.ndim) + at.shape + (1,) * (len(batch) - first - rank))
        out[..., k] = at
    return HostArray(out)


def _known_from_front(at: np.ndarray, n: int, wrap: bool) -> np.ndarray:
    """Known integers, counted from the front, those outside as -1 and `n`."""
    if at.dtype.itemsize < 8:
        at = at.astype(np.int64)
    if wrap and at.dtype.kind == "i":
        at = np.where(at < 0, at + n, at)
    return np.minimum(np.maximum(at, -1 if at.dtype.kind == "i" else 0), n)


def from_front(at: Any, n: int, wrap: bool, dtype: np.dtype | None = None) -> Any:
    """Integers counted from the front, in `dtype`, with what is outside of `n` still outside."""
    if type(at) is np.ndarray:
        return HostArray(_known_from_front(at, n, wrap).astype(dtype or dtypes.int32))
    if at.dtype.itemsize < 4:
        at = convert_element_type(at, new_dtype=dtypes.int32, weak_type=False)
    if dtypes.kind(at.dtype) == "i" and wrap:
        at = select_n(lt(at, like(at, 0)), at, add(at, like(at, n)))
    if dtype is None or at.dtype == dtype:
        return at
    if dtypes.kind(at.dtype) == "u" or at.dtype.itemsize > dtype.itemsize:
        at = min_(at, like(at, n))
    return convert_element_type(at, new_dtype=dtype, weak_type=False)


# ---- errors


def _list_as_index(index: Any) -> TypeError:
    nested = any(i is None or i is Ellipsis or isinstance(i, (slice, Sequence)) for i in index)
    instead = "arr[tuple(seq)]" if nested else "arr[array(seq)]"
    return error(
        TypeError,
        "Using a non-tuple sequence for multidimensional indexing is not allowed; "
        f"use `{instead}` instead of `arr[seq]`.",
        got=_brief(index),
        fix=f"write {instead.replace('seq', '...')}: a list hides which of the two is meant.",
    )


def _not_integer(item: Any, dtype: Any) -> TypeError:
    return error(
        TypeError,
        f"Indexer must have integer or boolean type, got indexer with type {dtype}.",
        got=_brief(item),
        fix="convert it with int(...) or .astype(int).",
    )


def _brief(x: Any) -> str:
    text = repr(x)
    return text if len(text) <= 80 else text[:77] + "..."
