"""What a NumPy-style index means: its parts, and the windows of a gather or scatter that they say.

`parse` gives each axis of the array a part. `windows_of` makes of them index vectors and dimension
numbers, by NumPy's rules: index arrays are broadcast together, and their axes stand where they did
in the index if they stood side by side, else in front.
"""

from __future__ import annotations

from collections.abc import Sequence
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
from ..core.trace import type_of
from ..core.types import Shape
from ..ops.comparison import lt, min_
from ..ops.elementwise import add, convert_element_type, like, select_n
from ..ops.slicing import concatenate
from ..ops.stacking import stack
from ..ops.structural import broadcast_in_dim, reshape
from ..ops.windows import GatherDimensionNumbers
from .promotion import as_array


class Part(NamedTuple):
    """One part of an index.

    | kind | value | meaning |
    |---|---|---|
    | `new` | | a new axis of length 1 |
    | `gap` | | an ellipsis that stands for no axis; it separates index arrays |
    | `gone` | | an integer that has been applied; it counts as an index array |
    | `slice` | (start, step, length) | on `axis` |
    | `int` | a Python integer | on `axis`, which goes away |
    | `array` | integers, a NumPy array where they are known | on `axis`, with the other arrays |
    """

    kind: str
    value: Any
    axis: int


class Index(NamedTuple):
    """An index, taken apart."""

    parts: list[Part]
    shape: Shape
    """The shape of the array, with an axis of length 1 for each scalar bool among the parts."""
    once: bool
    """Whether no element is named twice."""

    @property
    def is_static(self) -> bool:
        """Whether it is made of integers, slices and new axes only."""
        return all(p.kind != "array" for p in self.parts)


def parse(index: Any, shape: Shape) -> Index:
    """The parts of `index` into an array of `shape`."""
    if isinstance(index, Sequence) and not isinstance(index, (tuple, str)):
        raise _list_as_index(index)
    items = [_kind(item) for item in (index if isinstance(index, tuple) else (index,))]
    taken = sum(n for _, _, n in items)
    if taken > len(shape):
        raise error(
            IndexError,
            f"Too many indices: array is {len(shape)}-dimensional, but {taken} were indexed.",
            got=_brief(index),
            fix="leave out indices, or add axes to the array with x[..., None].",
        )
    gaps = [i for i, item in enumerate(items) if item[0] == "gap"]
    if len(gaps) > 1:
        raise error(
            IndexError,
            "an index can only have a single ellipsis ('...').",
            got=_brief(index),
            fix="write : for the other axes.",
        )
    whole = [("slice", slice(None), 1)] * (len(shape) - taken)
    if not gaps:
        items += whole
    elif whole:
        items[gaps[0] : gaps[0] + 1] = whole
    return _with_axes(items, shape)


def _with_axes(items: list[tuple[str, Any, int]], shape: Shape) -> Index:
    parts: list[Part] = []
    lengths = list(shape)
    axis = 0
    for kind, value, taken in items:
        if kind == "slice":
            parts.append(Part(kind, _slice(value, lengths[axis]), axis))
        elif kind == "mask":
            _check_mask(value, tuple(lengths[axis : axis + taken]))
            parts += [Part("array", at, axis + i) for i, at in enumerate(np.nonzero(value))]
        elif kind == "flag":
            lengths.insert(axis, 1)
            parts.append(Part("array", np.arange(int(value), dtype=np.int32), axis))
            taken = 1
        else:
            parts.append(Part(kind, value, axis if taken else -1))
        axis += taken
    return Index(parts, tuple(lengths), _once(items))


def _once(items: list[tuple[str, Any, int]]) -> bool:
    arrays = [kind for kind, value, _ in items if kind in ("mask", "flag", "array") and np_shape(value)]
    return not arrays or arrays == ["mask"]


def _kind(item: Any) -> tuple[str, Any, int]:
    """What kind of part this is, its value, and how many axes of the array it is for."""
    if item is None:
        return "new", None, 0
    if item is Ellipsis:
        return "gap", None, 0
    if isinstance(item, slice):
        return "slice", item, 1
    if isinstance(item, (bool, np.bool_)):
        return "flag", bool(item), 0
    if isinstance(item, (int, np.integer)):
        return "int", int(item), 1
    if isinstance(item, (Array, np.ndarray)):
        return _array_kind(item)
    if hasattr(item, "__jax_array__"):
        return _kind(item.__jax_array__())
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
        return _array_kind(_as_index_array(item))
    raise error(
        IndexError,
        "only integers, slices (`:`), ellipsis (`...`), newaxis (`None`) and integer or boolean "
        "arrays are valid indices.",
        got=_brief(item),
        fix="convert the index to one of these.",
    )


def _array_kind(item: Any) -> tuple[str, Any, int]:
    kind = dtypes.kind(item.dtype)
    value = known_value(item)
    if kind == "b":
        if value is None:
            raise error(
                NonConcreteBooleanIndexError,
                "Array boolean indices must be concrete: the shape of the result would depend on "
                "the values of a traced mask.",
                got=item.describe(),
                fix="use jnp.where(mask, x, y), which keeps the shape, or jnp.nonzero(mask, size=n).",
            )
        return ("mask", value, value.ndim) if value.ndim else ("flag", bool(value), 0)
    if kind not in "iu":
        raise _not_integer(item, item.dtype)
    if value is None:
        return "array", item, 1
    return ("array", value, 1) if value.ndim else ("int", int(value), 1)


def known_value(x: Any) -> Any:
    """The NumPy value of an array where it is known while tracing, else None."""
    if isinstance(x, Tracer):
        x = x.known()
    return x if x is None else np.asarray(x._value if isinstance(x, HostArray) else x)


def _as_index_array(items: Sequence[Any]) -> Any:
    if not any(isinstance(i, (Tracer, Sequence)) for i in items):
        made = np.array([i._value if isinstance(i, HostArray) else i for i in items])
        return made if items else made.astype(np.int32)
    made = [as_array(_as_index_array(i) if isinstance(i, Sequence) else i) for i in items]
    if all(known_value(m) is not None for m in made):
        return np.stack([known_value(m) for m in made])
    wide = dtypes.default_int()
    return stack(*[convert_element_type(m, new_dtype=wide, weak_type=False) for m in made], axis=0)


def _slice(s: slice, n: int) -> tuple[int, int, int]:
    """Start, step and length of the slice of an axis of length `n`."""
    try:
        places = range(n)[s]
    except TracerIntegerConversionError as cause:
        raise error(
            IndexError,
            "Slice entries must be static integers: the length of the result would depend on "
            "traced values.",
            got=_brief(s),
            fix="use lax.dynamic_slice(x, (start,), (size,)) where only the start is traced, or "
            "make the values static (static_argnums).",
        ) from cause
    except (TypeError, ValueError) as cause:
        raise error(
            type(cause),
            f"this is no valid slice: {cause}.",
            got=_brief(s),
            fix="give integers or None, and a step that is not zero.",
        ) from cause
    return places.start, places.step, len(places)


def _check_mask(mask: Any, lengths: Shape) -> None:
    if any(a not in (0, b) for a, b in zip(mask.shape, lengths)):
        raise error(
            IndexError,
            "a boolean index must have the shape of the axes that it is for.",
            got=f"a mask of shape {mask.shape} for axes of shape {lengths}",
            fix="give a mask of the same shape, or the integers of jnp.nonzero(mask).",
        )


# ---- parts to windows


class IndexWindows(NamedTuple):
    """The gather that reads what an index names, or the scatter that writes it."""

    indices: Any
    """The index vectors; None if the whole array is meant."""
    numbers: GatherDimensionNumbers
    sizes: Shape
    window_shape: Shape
    """The shape of the output of the gather."""
    shape: Shape
    """The same with the new axes: the shape that NumPy gives."""


def windows_of(index: Index, wrap: bool) -> IndexWindows:
    """Index vectors and dimension numbers for the index; `wrap`: negative ones count from the end."""
    shape = index.shape
    picked = [p for p in index.parts if p.kind in ("array", "int")]
    arrays = {p.axis: _vectors(p.value, shape[p.axis], wrap) for p in picked}
    block = _broadcast([np_shape(a) for a in arrays.values()])
    for axis in arrays:
        if shape[axis] == 0 and not is_empty(block):
            raise error(
                IndexError,
                f"index is out of bounds for axis {axis} with size 0.",
                got=f"an array of shape {shape}",
                fix="index an array that has elements.",
            )
    place = _block_place(index, bool(block))
    batch: list[int] = []
    full: list[int] = []  # the shape of the output, new axes included
    window: list[int] = []  # the same without them
    offset, columns, sizes = [], {}, [1] * len(shape)
    collapsed = [p.axis for p in picked]
    rest = [p for p in index.parts if p.kind in ("new", "slice")]
    for i in range(len(rest) + 1):
        if i == place:
            columns.update((axis, (a, len(batch), len(block))) for axis, a in arrays.items())
            batch += block
            full += block
            window += block
        if i == len(rest):
            break
        kind, value, axis = rest[i]
        if kind == "new":
            full.append(1)
            continue
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
    indices = _together(list(columns.values()), tuple(batch), shape) if columns else None
    return IndexWindows(indices, numbers, tuple(sizes), tuple(window), tuple(full))


def _block_place(index: Index, arrays: bool) -> int:
    """Before which new axis or slice the axes of the index arrays stand in the result."""
    advanced = [i for i, p in enumerate(index.parts) if p.kind in ("array", "int", "gone")]
    if not arrays or advanced[-1] - advanced[0] != len(advanced) - 1:
        return 0
    return sum(p.kind in ("new", "slice") for p in index.parts[: advanced[0]])


def _broadcast(shapes: list[Shape]) -> Shape:
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError as cause:
        raise error(
            IndexError,
            "shape mismatch: indexing arrays could not be broadcast together.",
            got=" and ".join(map(str, shapes)),
            fix="give index arrays of one shape; for all combinations use jnp.ix_.",
        ) from cause


def _vectors(at: Any, n: int, wrap: bool) -> Any:
    """The integers, counted from the front; NumPy's int64 where they are known."""
    if isinstance(at, (int, np.ndarray)):
        # Numbers outside of int64 are outside of every array: they stay so.
        value = np.clip(np.asarray(at), np.iinfo(np.int64).min, np.iinfo(np.int64).max)
        value = np.asarray(value, np.int64)
        return np.where(value < 0, value + n, value) if wrap else value
    if at.dtype.itemsize < 4:
        at = convert_element_type(at, new_dtype=dtypes.int32, weak_type=False)
    if dtypes.kind(at.dtype) == "u" or not wrap:
        return at
    return select_n(lt(at, like(at, 0)), at, add(at, like(at, n)))


def _together(columns: list[Any], batch: Shape, shape: Shape) -> Any:
    """Index vectors from (integers, their first axis in the batch, their number of axes)."""
    wide = max((*shape, 0)) > np.iinfo(np.int32).max
    dtype = dtypes.int64 if wide else dtypes.int32
    if all(isinstance(at, np.ndarray) for at, _, _ in columns):
        out = np.empty((*batch, len(columns)), dtype)
        limits = np.iinfo(dtype)
        for k, (at, first, rank) in enumerate(columns):
            at = at.reshape((1,) * (rank - at.ndim) + at.shape + (1,) * (len(batch) - first - rank))
            out[..., k] = np.minimum(np.maximum(at, limits.min), limits.max)
        return HostArray(out)
    if len(columns) > 1:
        columns = [(_fitted(at, max(shape), dtype), first, rank) for at, first, rank in columns]
    vectors = []
    for at, first, rank in columns:
        have = np_shape(at)
        dims = tuple(range(first + rank - len(have), first + rank))
        vectors.append(broadcast_in_dim(at, shape=(*batch, 1), broadcast_dimensions=dims))
    return vectors[0] if len(vectors) == 1 else concatenate(*vectors, dimension=len(batch))


def _fitted(at: Any, n: int, dtype: np.dtype) -> Any:
    """The integers in `dtype`; those that are larger than any place stay so."""
    if isinstance(at, np.ndarray):
        limits = np.iinfo(dtype)
        return HostArray(np.minimum(np.maximum(at, limits.min), limits.max).astype(dtype))
    if at.dtype == dtype:
        return at
    if dtypes.kind(at.dtype) == "u" or at.dtype.itemsize > dtype.itemsize:
        at = min_(at, like(at, n))
    return convert_element_type(at, new_dtype=dtype, weak_type=False)


def np_shape(x: Any) -> Shape:
    """The shape of an array or number."""
    return x.shape if isinstance(x, (Array, np.ndarray)) else type_of(x).shape


def is_empty(shape: Shape) -> bool:
    """Whether an array of this shape has no elements."""
    return prod(shape) == 0


def expanded(x: Any, shape: Shape) -> Any:
    """`x` in a shape that differs by axes of length 1."""
    return x if x.shape == shape else reshape(x, new_sizes=shape)


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
