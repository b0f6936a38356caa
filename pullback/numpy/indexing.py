"""Reading and updating elements by NumPy-style indices: `x[index]` and `x.at[index]`.

Each index takes the cheapest way: a NumPy view, a slice, a dynamic slice, or else a gather; and an
update the operation on the whole array, a dynamic update, or else a scatter.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from types import EllipsisType, NoneType
from typing import Any

import numpy as np

from ..core import dtypes
from ..core.array import Array, HostArray
from ..core.errors import error
from ..core.trace import EVAL, quiet, state
from ..core.types import Shape, array_type
from ..ops.comparison import gt, max_, min_
from ..ops.dynamic import dynamic_slice, dynamic_update_slice
from ..ops.elementwise import add, convert_element_type, like, mul, select_n, sub
from ..ops.indexing import (
    FILL_OR_DROP,
    PROMISE_IN_BOUNDS,
    combine_rows,
    gather,
    scatter,
    scatter_add,
    scatter_sub,
)
from ..ops.scattering import scatter_max, scatter_min, scatter_mul
from ..ops.slicing import slice_
from ..ops.stacking import stack
from ..ops.structural import broadcast_in_dim, reshape, rev, squeeze, zeros
from ..ops.windows import GatherScatterMode, as_scatter
from .arithmetic import divide, power
from .indices import Cut, Index, Layout, from_front, is_empty, known_value, parse, vectors
from .promotion import as_array, broadcast_to, promote_dtypes

_REFUSED = (IndexError, TypeError, ValueError, OverflowError)
_BASIC = {int, slice, EllipsisType, NoneType}


def getitem(x: Any, index: Any) -> Any:
    """`x[index]`: NumPy's indexing. What is out of bounds is moved to the nearest element."""
    if type(x) is HostArray and state.trace is EVAL:
        try:
            return HostArray(x._value[_plain(index)], x._weak)
        except _REFUSED:  # out of bounds; or not plain; or wrong, which is explained below
            pass
    return read(x, index)


def _plain(index: Any) -> Any:
    """The index as NumPy takes it; an IndexError if it means something else there, as lists do."""
    kind = type(index)
    if kind in _BASIC:
        return index
    if kind is tuple:
        return tuple(i if type(i) in _BASIC else _plain_array(i) for i in index)
    return _plain_array(index)


def _plain_array(index: Any) -> Any:
    if type(index) is HostArray:
        return index._value
    if type(index) in (np.ndarray, bool) or isinstance(index, np.integer):
        return index
    raise IndexError


# ---- reading


def read(
    x: Any,
    index: Any,
    mode: Any = None,
    fill_value: Any = None,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    wrap: bool = True,
) -> Any:
    """`x[index]` with all the options of `x.at[index].get`."""
    how = PROMISE_IN_BOUNDS if mode is None else GatherScatterMode.from_any(mode)
    layout, arrays = parse(index, x.shape)
    x, rest = _cut(_expanded(x, layout.shape), layout.cut(wrap, how is FILL_OR_DROP))
    if not rest.picked:
        return _expanded(x, rest.basic_shape)
    w, found = rest.windows(wrap), Index(rest, arrays)
    if is_empty(w.shape):
        return zeros(array_type(w.shape, x.dtype, x.weak_type))
    if rest.scalars and how is not FILL_OR_DROP:
        return _at_scalars(x, found, wrap)
    out = gather(
        x,
        vectors(found, wrap),
        dimension_numbers=w.numbers,
        slice_sizes=w.sizes,
        mode=how,
        fill_value=_fill_number(fill_value) if how is FILL_OR_DROP else None,
        unique_indices=unique_indices or rest.once,
        indices_are_sorted=indices_are_sorted,
    )
    return _expanded(out, w.shape)


def _cut(x: Any, cut: Cut) -> tuple[Any, Layout]:
    """`x` with the slices and integers of an index done, and the layout that remains."""
    if cut.sliced:
        x = slice_(x, start_indices=cut.starts, limit_indices=cut.limits, strides=cut.strides)
    if cut.reversed:
        x = rev(x, dimensions=cut.reversed)
    if cut.gone:
        later = cut.rest.basic_shape != cut.shape and not cut.rest.picked
        x = x if later else squeeze(x, dimensions=cut.gone)
    return x, cut.rest


def _at_scalars(x: Any, found: Index, wrap: bool) -> Any:
    """The element, row or other window at integers that are not known before."""
    w = found.layout.windows(wrap)
    starts: list[Any] = [None] * len(x.shape)
    for (at, _, _, n), axis in zip(w.columns, w.numbers.start_index_map):
        known = type(at) is not int
        starts[axis] = from_front(at if known else found.arrays[at], n, wrap, dtypes.int32)
    starts = [HostArray(np.int32(0)) if s is None else s for s in starts]
    return _expanded(dynamic_slice(x, *starts, slice_sizes=w.sizes), w.shape)


def _expanded(x: Any, shape: Shape) -> Any:
    """`x` in a shape that differs by axes of length 1."""
    return x if x.shape == shape else reshape(x, new_sizes=shape)


def _fill_number(value: Any) -> Any:
    if value is None:
        return None
    known = known_value(as_array(value))
    if known is None or known.ndim:
        raise error(
            ValueError if known is not None else TypeError,
            "fill_value argument to indexed get() must be a scalar that is known while tracing.",
            got=repr(value),
            fix="give a number; for an array of values use jnp.where.",
        )
    return known.item()


# ---- updating


class AtIndexer:
    """`x.at`: index it, then say what to do with the elements."""

    __slots__ = ("array",)

    def __init__(self, array: Any) -> None:
        self.array = array

    def __getitem__(self, index: Any) -> AtIndex:
        return AtIndex(self.array, index)

    def __repr__(self) -> str:
        return f"{self.array!r}.at"


class AtIndex:
    """`x.at[index]`: its methods give a copy of `x` with the elements at `index` updated.

    All methods take these options:

    | option | meaning |
    |---|---|
    | `mode` | what happens out of bounds: "drop" (the default) leaves the update out, "clip" moves
      it to the nearest element, "promise_in_bounds" says that there is none; `get`: "fill" gives
      `fill_value`, else the nearest element |
    | `indices_are_sorted`, `unique_indices` | a promise, for speed |
    | `wrap_negative_indices` | False: negative indices are out of bounds |
    """

    __slots__ = ("array", "index")

    def __init__(self, array: Any, index: Any) -> None:
        self.array, self.index = array, index

    def __repr__(self) -> str:
        return f"{self.array!r}.at[{self.index!r}]"

    def get(
        self,
        *,
        indices_are_sorted: bool = False,
        unique_indices: bool = False,
        mode: Any = None,
        fill_value: Any = None,
        out_sharding: Any = None,
        wrap_negative_indices: bool = True,
    ) -> Array:
        """`x[index]`"""
        return read(
            self.array,
            self.index,
            mode,
            fill_value,
            indices_are_sorted,
            unique_indices,
            wrap_negative_indices,
        )

    def set(self, values: Any, **options: Any) -> Array:
        """`x[index] = values`; where an element is named several times, the last value stays."""
        return _updated(_SET, self.array, self.index, values, **options)

    def add(self, values: Any, **options: Any) -> Array:
        """`x[index] += values`; where an element is named several times, all are added."""
        return _updated(_ADD, self.array, self.index, values, **options)

    def subtract(self, values: Any, **options: Any) -> Array:
        """`x[index] -= values`"""
        return _updated(_SUBTRACT, self.array, self.index, values, **options)

    def multiply(self, values: Any, **options: Any) -> Array:
        """`x[index] *= values`"""
        return _updated(_MULTIPLY, self.array, self.index, values, **options)

    mul = multiply

    def divide(self, values: Any, **options: Any) -> Array:
        """`x[index] /= values`; the result is float."""
        return divide(self.array, self._products(values, options))

    def power(self, values: Any, **options: Any) -> Array:
        """`x[index] **= values`"""
        return power(self.array, self._products(values, options))

    def _products(self, values: Any, options: dict[str, Any]) -> Any:
        x = self.array
        ones = broadcast_in_dim(like(x, 1), shape=x.shape, broadcast_dimensions=())
        return _updated(_MULTIPLY, ones, self.index, values, **options)

    def min(self, values: Any, **options: Any) -> Array:
        """`x[index] = minimum(x[index], values)`"""
        return _updated(_MIN, self.array, self.index, values, **options)

    def max(self, values: Any, **options: Any) -> Array:
        """`x[index] = maximum(x[index], values)`"""
        return _updated(_MAX, self.array, self.index, values, **options)

    def apply(self, func: Callable[[Any], Any], **options: Any) -> Array:
        """`x[index] = func(x[index])`; where an element is named n times, n times over."""
        return _applied(func, self.array, self.index, options)


class _Update:
    """An update: its scatter, its meaning for whole arrays, and its NumPy function (None: set)."""

    def __init__(self, scatter: Any, whole: Any, ufunc: Any) -> None:
        self.scatter, self.whole, self.ufunc = scatter, whole, ufunc


_SET = _Update(scatter, None, None)
_ADD = _Update(scatter_add, add, np.add)
_SUBTRACT = _Update(scatter_sub, sub, np.subtract)
_MULTIPLY = _Update(scatter_mul, mul, np.multiply)
_MIN = _Update(scatter_min, min_, np.minimum)
_MAX = _Update(scatter_max, max_, np.maximum)


def _updated(
    update: _Update,
    x: Any,
    index: Any,
    values: Any,
    *,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: Any = None,
    out_sharding: Any = None,
    wrap_negative_indices: bool = True,
) -> Any:
    how = GatherScatterMode.from_any(mode)
    if type(x) is HostArray and state.trace is EVAL and wrap_negative_indices:
        out = _at_once(update.ufunc, x, index, values)
        if out is not None:
            return out
    found = parse(index, x.shape)
    layout = found.layout
    w = layout.windows(wrap_negative_indices)
    y = _values(values, x)
    _check_cast(x, y)
    if is_empty(w.shape):
        return x
    old, y = promote_dtypes("an update by .at", x, y)
    y = _expanded(_fitting(y, w.shape, index), w.window_shape)
    if not w.columns:
        y = _expanded(y, x.shape)
        out = y if update.whole is None else update.whole(old, y)
    elif update is _SET and w.corner is not None:
        starts = [HostArray(np.int32(at)) for at in w.corner]
        out = dynamic_update_slice(_expanded(old, layout.shape), _expanded(y, w.sizes), *starts)
    else:
        out = update.scatter(
            _expanded(old, layout.shape),
            vectors(found, wrap_negative_indices),
            y,
            dimension_numbers=as_scatter(w.numbers),
            mode=how,
            unique_indices=unique_indices or layout.once,
            indices_are_sorted=indices_are_sorted,
        )
    return _of_type(_expanded(out, x.shape), x.dtype, x.weak_type)


def _at_once(ufunc: Any, x: HostArray, index: Any, values: Any) -> HostArray | None:
    """The update in NumPy, where the values have the dtype and fit; None where they do not."""
    dtype = x._value.dtype
    try:
        if type(values) is HostArray:
            new = values._value
            if new.dtype != dtype:
                return None
        elif (type(values) is float and dtype.kind in "fc") or (
            type(values) is int and dtype.kind in "iuf"
        ):
            new = dtype.type(values)
        else:
            return None
        plain = index if type(index) in _BASIC else _plain(index)
        if not (new.ndim == 0 and ufunc is None) and not _names_once(plain):
            return _rows_at_once(ufunc, x, plain, new) if type(plain) is np.ndarray else None
        out = np.array(x._value)
        place = out[plain]
        if new.ndim > place.ndim or (ufunc is not None and dtype.kind not in "iufc"):
            return None
        with quiet():
            out[plain] = new if ufunc is None else ufunc(place, new)
    except _REFUSED:  # out of bounds; or not plain; or wrong, which others explain
        return None
    return HostArray(out, x._weak)


def _rows_at_once(ufunc: Any, x: HostArray, at: np.ndarray, new: Any) -> HostArray | None:
    """The update of rows, some of them perhaps several times."""
    value = x._value
    n = len(value)
    if not value.size or not at.size or at.max() >= n or at.min() < -n:
        return None
    shape = at.shape + value.shape[1:]
    if new.ndim > len(shape) or (ufunc is not None and value.dtype.kind not in "iufc"):
        return None
    out = np.array(value, order="C")
    places = np.where(at < 0, at + at.dtype.type(n), at).reshape(-1)
    rows = np.broadcast_to(new, shape).reshape(at.size, -1)
    with quiet():
        combine_rows(ufunc, out.reshape(n, -1), places, rows, False)
    return HostArray(out, x._weak)


def _names_once(plain: Any) -> bool:
    # Whether it is sure without looking closer that no element is named twice.
    for part in plain if type(plain) is tuple else (plain,):
        if type(part) not in _BASIC and np.asarray(part).dtype.kind != "b" and np.ndim(part):
            return False
    return True


def _values(values: Any, x: Any) -> Any:
    if type(values) is int and dtypes.kind(x.dtype) in "iu":
        limits = dtypes.iinfo(x.dtype)
        if limits.min <= values <= limits.max:
            return HostArray(x.dtype.type(values))
    if isinstance(values, (list, tuple)):
        return _stacked(values)
    return as_array(values, "an update by .at")


def _stacked(values: Any) -> Any:
    items = [_stacked(v) if isinstance(v, (list, tuple)) else as_array(v) for v in values]
    if not items:
        return as_array(np.zeros(0, np.float32))
    shape = items[0].shape
    if any(i.shape != shape for i in items):
        raise error(
            ValueError,
            "nested lists must be of equal length to be an array.",
            got=f"items of shapes {', '.join(str(i.shape) for i in items)}",
            fix="make all of one length, or pad them.",
        )
    return stack(*promote_dtypes("a list of values", *items), axis=0)


def _check_cast(x: Any, y: Any) -> None:
    if x.dtype == y.dtype:
        return
    pair = ((y.dtype, y.weak_type), (x.dtype, False))
    if dtypes.promoted(pair, "an update by .at")[0] != x.dtype:
        warnings.warn(
            "scatter inputs have incompatible types: cannot safely cast value from "
            f"dtype={dtypes.long_name(y.dtype)} to dtype={dtypes.long_name(x.dtype)}. "
            "In future releases this will result in an error.",
            FutureWarning,
            stacklevel=4,
        )


def _fitting(y: Any, shape: Shape, index: Any) -> Any:
    have = y.shape
    fits = len(have) <= len(shape) and all(n in (1, m) for n, m in zip(have[::-1], shape[::-1]))
    if not fits:
        raise error(
            ValueError,
            f"values of shape {have} do not fit the elements at the index, of shape {shape}.",
            got=f"index {index!r}"[:80],
            fix="give values that broadcast to that shape, with no more axes than it has.",
        )
    return broadcast_to(y, shape)


def _of_type(x: Any, dtype: np.dtype, weak_type: bool) -> Any:
    if x.dtype == dtype and x.weak_type == weak_type:
        return x
    return convert_element_type(x, new_dtype=dtype, weak_type=weak_type)


# ---- apply


def _applied(func: Callable[[Any], Any], x: Any, index: Any, options: dict[str, Any]) -> Any:
    """Apply once to every element named; then to those named twice or more, and so on."""
    reading = {k: v for k, v in options.items() if k in ("mode",)}
    wrap = options.get("wrap_negative_indices", True)

    def values(x: Any) -> Any:
        return read(x, index, wrap=wrap, **reading)

    layout = parse(index, x.shape).layout
    old = values(x)
    new = _of_type(as_array(func(old)), x.dtype, x.weak_type)
    out = _updated(_SET, x, index, new, **options)
    if layout.once or options.get("unique_indices"):
        return out
    zero = zeros(array_type(x.shape, dtypes.int32, False))
    times = values(_updated(_ADD, zero, index, 1, **options))
    for done in range(1, _most(times)):
        old = values(out)
        new = _of_type(as_array(func(old)), x.dtype, x.weak_type)
        more = gt(times, like(times, done))
        out = _updated(_SET, out, index, select_n(more, old, new), **options)
    return out


def _most(times: Any) -> int:
    known = known_value(times)
    if known is not None:
        return int(known.max(initial=1))
    raise error(
        TypeError,
        "how often .at[].apply() applies its function depends on traced indices.",
        got=times.describe(),
        fix="pass unique_indices=True if no element is named twice, or write a loop.",
    )
