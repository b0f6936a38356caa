"""pad: an array made longer at its ends, in eleven ways or by a function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..core import dtypes
from ..core.array import Array, HostArray
from ..core.errors import error
from ..ops import slicing
from ..ops.elementwise import add, convert_element_type, mul, sub
from ..ops.rounding import floor, round_
from ..ops.slicing import concatenate, slice_along
from ..ops.structural import rev
from . import reductions
from .arguments import integer
from .averages import mean
from .functional import apply_along_axis
from .promotion import as_array, astype, broadcast_to, inexact_dtype
from .statistics import median
from .taking import taken

Pairs = tuple[tuple[Any, Any], ...]
"""What holds before and after the array, for each axis."""

_OPTIONS: dict[str, str | None] = {
    "constant": "constant_values",
    "empty": None,
    "edge": None,
    "wrap": None,
    "linear_ramp": "end_values",
    "maximum": "stat_length",
    "minimum": "stat_length",
    "mean": "stat_length",
    "median": "stat_length",
    "reflect": "reflect_type",
    "symmetric": "reflect_type",
}


def pad(
    array: Any, pad_width: Any, mode: str | Callable[..., Any] = "constant", **options: Any
) -> Array:
    """`array` with `pad_width` elements added before and after it on each axis.

    Args:
      array: an array.
      pad_width: a number for all, a pair (before, after) for all axes, or a pair for each axis.
      mode: what is added: "constant" (zeros, or `constant_values`), "edge" (the first and last
        element), "linear_ramp" (from the edge to `end_values`, by default 0), "maximum", "minimum",
        "mean", "median" (of the axis, or of `stat_length` elements at the edge), "reflect"
        (mirrored at the edge element), "symmetric" (mirrored behind it; both with `reflect_type`
        "even" or "odd"), "wrap" (as if it went on), "empty" (anything, here zeros); or a function
        ``f(row, (before, after), axis, options)`` of each padded row.
      **options: the option of that mode.

    Example:
      >>> import pullback.numpy as jnp
      >>> print(jnp.pad(jnp.array([1, 2, 3]), 2, mode="reflect"))
      [3 2 1 2 3 2 1]
    """
    x = as_array(array, "pad")
    widths = _widths(pad_width, x.ndim)
    if callable(mode):
        return _padded_by(x, widths, mode, options)
    if mode not in _OPTIONS:
        raise error(
            NotImplementedError,
            f"jnp.pad has no mode {mode!r}.",
            got=f"mode={mode!r}",
            fix="use one of " + ", ".join(map(repr, _OPTIONS)) + ", or a function.",
        )
    unknown = set(options) - {_OPTIONS[mode]}
    if unknown:
        raise error(
            ValueError,
            f"unsupported keyword arguments for mode {mode!r}: {', '.join(sorted(unknown))}.",
            got=", ".join(f"{k}={options[k]!r:.40}" for k in sorted(unknown)),
            fix=f"this mode takes {_OPTIONS[mode] or 'none'}.",
        )
    if mode in ("constant", "empty"):
        return _constant(x, widths, options.get("constant_values", 0))
    if mode == "linear_ramp":
        return _ramps(x, widths, _pairs(options.get("end_values", 0), x.ndim, "end_values"))
    if mode in ("maximum", "minimum", "mean", "median"):
        return _statistics(x, widths, mode, options.get("stat_length"))
    if mode in ("reflect", "symmetric") and options.get("reflect_type", "even") == "odd":
        return _mirrored_odd(x, widths, 1 if mode == "reflect" else 0)
    return _read_again(x, widths, mode)


def _pairs(values: Any, rank: int, name: str) -> Pairs:
    """A value for all, a pair for all axes or a pair for each, as a pair for each axis."""
    shape = np.shape(values) if not isinstance(values, Array) else values.shape
    if shape == ():
        return ((values, values),) * rank
    rows = list(values)
    if shape == (1,):
        return ((rows[0], rows[0]),) * rank
    if shape == (2,):
        return ((rows[0], rows[1]),) * rank
    if shape in ((1, 2), (rank, 2)):
        found = tuple((row[0], row[1]) for row in rows)
        return found * rank if len(found) == 1 else found
    raise error(
        ValueError,
        f"jnp.pad: {name} has a shape that does not fit an array of {rank} axes.",
        got=f"{name} of shape {shape}",
        fix=f"give a number, a pair, or {rank} pairs.",
    )


def _widths(pad_width: Any, rank: int) -> tuple[tuple[int, int], ...]:
    if isinstance(pad_width, dict):
        given = {integer(k, "axis of `pad_width`") % rank: v for k, v in pad_width.items()}
        pad_width = [given.get(i, 0) for i in range(rank)]
        pad_width = [(w, w) if np.ndim(w) == 0 else tuple(w) for w in pad_width]
    try:
        pairs = _pairs(pad_width, rank, "pad_width")
    except ValueError as cause:
        if "inhomogeneous" not in str(cause):
            raise
        raise error(
            TypeError,
            "`pad_width` entries must be the same shape.",
            got=f"pad_width={pad_width!r:.80}",
            fix="give a pair (before, after) for each axis.",
        ) from cause
    widths = tuple(
        (integer(a, "`pad_width` of jnp.pad"), integer(b, "`pad_width` of jnp.pad"))
        for a, b in pairs
    )
    if any(n < 0 for pair in widths for n in pair):
        raise error(
            ValueError,
            "index can't contain negative values.",
            got=f"pad_width={widths}",
            fix="give 0 or more; cut elements off with a slice.",
        )
    return widths


def _constant(x: Any, widths: Any, values: Any) -> Any:
    if np.ndim(values) == 0:
        value = as_array(values, "pad")
        value = convert_element_type(value, new_dtype=x.dtype, weak_type=x.weak_type)
        return slicing.pad(x, value, padding_config=tuple((a, b, 0) for a, b in widths))
    for i, (pair, ends) in enumerate(zip(widths, _pairs(values, x.ndim, "constant_values"))):
        for side, value in enumerate(ends):
            value = as_array(value, "pad")
            value = convert_element_type(value, new_dtype=x.dtype, weak_type=x.weak_type)
            config = [(0, 0, 0)] * x.ndim
            config[i] = (pair[0], 0, 0) if side == 0 else (0, pair[1], 0)
            x = slicing.pad(x, value, padding_config=tuple(config))
    return x


def _read_again(x: Any, widths: Any, mode: str) -> Any:
    """Padding that reads elements of the array."""
    for i, (before, after) in enumerate(widths):
        n = x.shape[i]
        if not before and not after:
            continue
        if n == 0:
            raise error(
                ValueError,
                f"can't extend empty axis {i} using mode {mode!r}.",
                got=f"{x.aval.str_short()}, widths {(before, after)}",
                fix='use mode "constant".',
            )
        if mode == "edge" or max(before, after) < n:
            ends = (
                _edges(x, i, before, after) if mode == "edge" else _ends(x, i, before, after, mode)
            )
            x = concatenate(ends[0], x, ends[1], dimension=i)
        else:
            x = taken(x, HostArray(_places(n, before, after, mode)), i)
    return x


def _edges(x: Any, axis: int, before: int, after: int) -> tuple[Any, Any]:
    """The first and the last element along an axis, so often."""

    def repeated(at: int, count: int) -> Any:
        shape = (*x.shape[:axis], count, *x.shape[axis + 1 :])
        return broadcast_to(slice_along(x, axis, at, at + 1), shape)

    return repeated(0, before), repeated(x.shape[axis] - 1, after)


def _ends(x: Any, axis: int, before: int, after: int, mode: str) -> tuple[Any, Any]:
    """What comes before and after an array that is longer: its other end, or a mirror image."""
    n = x.shape[axis]
    if mode == "wrap":
        return slice_along(x, axis, n - before, n), slice_along(x, axis, 0, after)
    edge = 1 if mode == "reflect" else 0  # which is not repeated
    first = slice_along(x, axis, edge, before + edge)
    last = slice_along(x, axis, n - after - edge, n - edge)
    return rev(first, dimensions=(axis,)), rev(last, dimensions=(axis,))


def _places(n: int, before: int, after: int, mode: str) -> np.ndarray:
    """Where elements come from, where the padding is as long as the array, or longer."""
    places = np.arange(-before, n + after)
    if mode == "wrap":
        places = places % n
    elif mode == "symmetric":
        places = places % (2 * n)
        places = np.minimum(places, 2 * n - 1 - places)
    else:
        period = max(1, 2 * (n - 1))
        places = places % period
        places = np.minimum(places, period - places)
    return places.astype(np.int32)


def _mirrored_odd(x: Any, widths: Any, offset: int) -> Any:
    """2 edge - mirror image; more of the same where the width is larger than the array."""
    for i, (before, after) in enumerate(widths):
        n = x.shape[i]
        if n == 0 and (before or after):
            return _read_again(x, widths, "reflect")
        step = offset if n > 1 else 0
        x = _mirror_before(x, before, i, n, step)
        x = rev(_mirror_before(rev(x, dimensions=(i,)), after, i, n, step), dimensions=(i,))
    return x


def _mirror_before(x: Any, width: int, axis: int, n: int, offset: int) -> Any:
    two = HostArray(x.dtype.type(2), True)
    while width > 0:
        now = width if width < n - offset else n - offset
        width -= now
        edge = slice_along(x, axis, 0, 1)
        image = rev(slice_along(x, axis, offset, offset + now), dimensions=(axis,))
        image = sub(mul(two, broadcast_to(edge, image.shape)), image)
        x = concatenate(image, x, dimension=axis)
    return x


def _ramps(x: Any, widths: Any, ends: Pairs) -> Any:
    for i, ((before, after), (first, last)) in enumerate(zip(widths, ends)):
        n = x.shape[i]
        if not before and not after:
            continue
        low = _ramp(slice_along(x, i, 0, 1), first, before, i)
        high = _ramp(slice_along(x, i, n - 1, n), last, after, i)
        x = concatenate(low, x, rev(high, dimensions=(i,)), dimension=i)
    return x


def _ramp(edge: Any, end: Any, width: int, axis: int) -> Any:
    """From `end` towards `edge`, which it does not reach."""
    dtype = edge.dtype
    inner = inexact_dtype(dtype)
    shape = (*edge.shape[:axis], width, *edge.shape[axis + 1 :])
    steps = np.arange(width).reshape([width if d == axis else 1 for d in range(len(shape))])
    share = np.broadcast_to(steps / max(width, 1), shape)
    start = mul(astype(as_array(end, "pad"), inner), HostArray((1 - share).astype(inner)))
    stop = mul(broadcast_to(astype(edge, inner), shape), HostArray(share.astype(inner)))
    ramp = add(start, stop)
    if inner != dtype:
        ramp = floor(ramp)
    return convert_element_type(ramp, new_dtype=dtype, weak_type=edge.weak_type)


def _statistics(x: Any, widths: Any, mode: str, stat_length: Any) -> Any:
    function: Any = {
        "maximum": reductions.max,
        "minimum": reductions.min,
        "mean": mean,
        "median": median,
    }[mode]
    lengths = None if stat_length is None else _pairs(stat_length, x.ndim, "stat_length")
    for i, (before, after) in enumerate(widths):
        n = x.shape[i]
        first = last = x
        if lengths is not None:
            a, b = (integer(m, "`stat_length` of jnp.pad") for m in lengths[i])
            if a <= 0 or b <= 0:
                raise error(
                    ValueError,
                    "stat_length of 0 yields no value for padding.",
                    got=f"stat_length={stat_length}",
                    fix="give 1 or more.",
                )
            first = slice_along(x, i, 0, a if a < n else n)
            last = slice_along(x, i, n - b if b < n else 0, n)
        low, high = (
            _in_dtype_of(x, function(part, axis=i, keepdims=True)) for part in (first, last)
        )
        shape = [*x.shape]
        shape[i] = before
        parts = [broadcast_to(low, tuple(shape)), x]
        shape[i] = after
        x = concatenate(*parts, broadcast_to(high, tuple(shape)), dimension=i)
    return x


def _in_dtype_of(x: Any, value: Any) -> Any:
    if dtypes.kind(x.dtype) in "iu" and dtypes.is_inexact(value.dtype):
        value = round_(value, rounding_method=1)
    return convert_element_type(value, new_dtype=x.dtype, weak_type=x.weak_type)


def _padded_by(x: Any, widths: Any, function: Callable[..., Any], options: Any) -> Any:
    x = _constant(x, widths, 0)
    for i, pair in enumerate(widths):
        x = apply_along_axis(function, i, x, pair, i, options)
    return x
