"""gather and scatter: windows at many places at once, in XLA's dimension numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..core.array import Array
from ..core.errors import error
from ..ops import indexing, scattering
from ..ops.indexing import default_fill
from ..ops.windows import GatherDimensionNumbers as GatherDimensionNumbers
from ..ops.windows import GatherScatterMode as GatherScatterMode
from ..ops.windows import ScatterDimensionNumbers as ScatterDimensionNumbers
from .arguments import apply, as_array, axes_of, integers
from .shaping import concatenate, expand_dims

_FILL, _PROMISE = GatherScatterMode.FILL_OR_DROP, GatherScatterMode.PROMISE_IN_BOUNDS


def gather(
    operand: Any,
    start_indices: Any,
    dimension_numbers: GatherDimensionNumbers,
    slice_sizes: Sequence[int],
    *,
    unique_indices: bool = False,
    indices_are_sorted: bool = False,
    mode: str | GatherScatterMode | None = None,
    fill_value: Any = None,
) -> Array:
    """The windows of `operand` that begin at `start_indices`.

    Args:
      operand: an array.
      start_indices: integers; each vector along the last axis is the corner of a window.
      dimension_numbers: how the axes of the three arrays belong together.
      slice_sizes: the length of a window along each axis of `operand`.
      unique_indices, indices_are_sorted: promises about the indices.
      mode: what happens to windows that do not lie inside: "clip", "fill" or "promise_in_bounds".
      fill_value: what stands in windows outside, with "fill": by default nan.
    """
    x = as_array(operand, "gather")
    how = _PROMISE if mode is None else GatherScatterMode.from_any(mode)
    if how is not _FILL:
        fill_value = None
    elif fill_value is None:
        fill_value = default_fill(x.dtype)
    return apply(
        indexing.gather,
        x,
        start_indices,
        dimension_numbers=_tuples(GatherDimensionNumbers, dimension_numbers),
        slice_sizes=integers(slice_sizes, "gather"),
        unique_indices=bool(unique_indices),
        indices_are_sorted=bool(indices_are_sorted),
        mode=how,
        fill_value=fill_value,
    )


def _tuples(kind: Any, numbers: Any) -> Any:
    if not isinstance(numbers, tuple) or len(numbers) != len(kind._fields):
        raise error(
            TypeError,
            f"dimension_numbers must be lax.{kind.__name__}.",
            got=f"{numbers!r:.80} of type {type(numbers).__name__}",
            fix=f"write lax.{kind.__name__}({', '.join(kind._fields[:3])}).",
        )
    return kind(*(integers(part, kind.__name__) for part in numbers))


def index_take(src: Any, idxs: Sequence[Any], axes: Sequence[int]) -> Array:
    """The elements of `src` at places given by one array of indices for each of `axes`."""
    x = as_array(src, "index_take")
    at = axes_of(axes, len(x.shape), "index_take")
    places = concatenate([expand_dims(as_array(i, "index_take"), (1,)) for i in idxs], 1)
    rest = tuple(i for i in range(len(x.shape)) if i not in at)
    numbers = GatherDimensionNumbers(tuple(range(1, len(rest) + 1)), at, at)
    sizes = [1 if i in at else n for i, n in enumerate(x.shape)]
    return gather(x, places, numbers, sizes)


# ---- scatter


def scatter(
    operand: Any,
    scatter_indices: Any,
    updates: Any,
    dimension_numbers: ScatterDimensionNumbers,
    *,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: str | GatherScatterMode | None = None,
) -> Array:
    """`operand` with the windows that begin at `scatter_indices` replaced by `updates`.

    Windows that do not lie inside are left out, or with mode "clip" moved inside. Of several
    updates in one place the last one wins.
    """
    options = (indices_are_sorted, unique_indices, mode)
    numbers = dimension_numbers
    return _scatter(indexing.scatter, operand, scatter_indices, updates, numbers, *options)


def scatter_add(
    operand: Any,
    scatter_indices: Any,
    updates: Any,
    dimension_numbers: ScatterDimensionNumbers,
    *,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: str | GatherScatterMode | None = None,
) -> Array:
    """As `scatter`, adding the updates to what is there."""
    options = (indices_are_sorted, unique_indices, mode)
    numbers = dimension_numbers
    return _scatter(indexing.scatter_add, operand, scatter_indices, updates, numbers, *options)


def scatter_sub(
    operand: Any,
    scatter_indices: Any,
    updates: Any,
    dimension_numbers: ScatterDimensionNumbers,
    *,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: str | GatherScatterMode | None = None,
) -> Array:
    """As `scatter`, subtracting the updates from what is there."""
    options = (indices_are_sorted, unique_indices, mode)
    numbers = dimension_numbers
    return _scatter(indexing.scatter_sub, operand, scatter_indices, updates, numbers, *options)


def scatter_mul(
    operand: Any,
    scatter_indices: Any,
    updates: Any,
    dimension_numbers: ScatterDimensionNumbers,
    *,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: str | GatherScatterMode | None = None,
) -> Array:
    """As `scatter`, multiplying what is there by the updates."""
    options = (indices_are_sorted, unique_indices, mode)
    numbers = dimension_numbers
    return _scatter(scattering.scatter_mul, operand, scatter_indices, updates, numbers, *options)


def scatter_min(
    operand: Any,
    scatter_indices: Any,
    updates: Any,
    dimension_numbers: ScatterDimensionNumbers,
    *,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: str | GatherScatterMode | None = None,
) -> Array:
    """As `scatter`, taking the smaller of what is there and the updates."""
    options = (indices_are_sorted, unique_indices, mode)
    numbers = dimension_numbers
    return _scatter(scattering.scatter_min, operand, scatter_indices, updates, numbers, *options)


def scatter_max(
    operand: Any,
    scatter_indices: Any,
    updates: Any,
    dimension_numbers: ScatterDimensionNumbers,
    *,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: str | GatherScatterMode | None = None,
) -> Array:
    """As `scatter`, taking the larger of what is there and the updates."""
    options = (indices_are_sorted, unique_indices, mode)
    numbers = dimension_numbers
    return _scatter(scattering.scatter_max, operand, scatter_indices, updates, numbers, *options)


def scatter_apply(
    operand: Any,
    scatter_indices: Any,
    func: Callable[[Any], Any],
    dimension_numbers: ScatterDimensionNumbers,
    *,
    update_shape: Sequence[int] = (),
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: str | GatherScatterMode | None = None,
) -> Array:
    """As `scatter`, replacing what is there by `func` of it, an array of shape `update_shape`."""
    x = as_array(operand, "scatter_apply")
    indices = as_array(scatter_indices, "scatter_apply")
    numbers = _tuples(ScatterDimensionNumbers, dimension_numbers)
    how = GatherScatterMode.from_any(mode)
    there = indexing.gather_updates(
        x,
        indices,
        integers(update_shape, "scatter_apply"),
        dimension_numbers=numbers,
        mode=how,
        unique_indices=bool(unique_indices),
        indices_are_sorted=bool(indices_are_sorted),
    )
    options = (indices_are_sorted, unique_indices, how)
    return _scatter(indexing.scatter, x, indices, func(there), numbers, *options)


def _scatter(
    op: Any, x: Any, indices: Any, updates: Any, numbers: Any, ordered: Any, unique: Any, mode: Any
) -> Array:
    arrays = [as_array(v, "scatter") for v in (x, indices, updates)]
    return apply(
        op,
        *arrays,
        dimension_numbers=_tuples(ScatterDimensionNumbers, numbers),
        indices_are_sorted=bool(ordered),
        unique_indices=bool(unique),
        mode=GatherScatterMode.from_any(mode),
    )
