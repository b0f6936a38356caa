"""Reductions over windows: sums, maxima and minima, and what their derivatives need.

A window has `window_dimensions[i]` elements along axis i, `window_dilation[i]` apart; windows are
`window_strides[i]` apart, in an array that is padded, and dilated by `base_dilation`, with elements
that change nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ..core import dtypes
from ..core.errors import error
from ..core.primitive import CORE, NOT_LINEAR, Linear, Primitive
from ..core.types import ArrayType, array_type
from .convolution import dilated
from .reduction import extreme_value
from .slicing import pad
from .structural import to_front


class WindowPrimitive(Primitive, family=True):
    """The rules that do not depend on what is done with a window."""

    takes: ClassVar[str] = "biufc"

    def typing(self, x: Any, **windows: Any) -> ArrayType:
        if dtypes.kind(x.dtype) not in self.takes:
            raise error(
                TypeError,
                f"{self.name} does not take {dtypes.long_name(x.dtype)} arrays.",
                got=x.str_short(),
                fix="convert with .astype(...).",
            )
        return array_type(window_shape(self.name, x.shape, **windows), x.dtype, x.weak_type)

    def vmap(self, size: int, args: Any, axes: Any, **params: Any) -> Any:
        moved = [to_front(x, at, size) for x, at in zip(args, axes, strict=True)]
        return self(*moved, **one_more_axis(params)), 0

    lower: Any = CORE


def one_more_axis(params: dict[str, Any]) -> dict[str, Any]:
    """Parameters of windows for arrays with one more axis in front."""
    one_each = ("window_dimensions", "window_strides", "base_dilation", "window_dilation")
    wider = {k: (1, *params[k]) for k in one_each if params.get(k) is not None}
    return {**params, **wider, "padding": ((0, 0), *params["padding"])}


class ReduceWindowSum(WindowPrimitive):
    """The sum of each window"""

    takes = "iufc"

    def eval(self, x: Any, **windows: Any) -> Any:
        dtype = x.dtype
        half = dtype.kind not in "biufc" or dtype.char == "e"
        if half and dtypes.kind(dtype) == "f":
            x = x.astype(np.float32)
        out = reduce_windows([x], [x.dtype.type(0)], _by_ufunc(np.add), **windows)[0]
        return out if out.dtype == dtype else out.astype(dtype)

    def jvp(self, primals: Any, tangents: Any, out: Any, **windows: Any) -> Any:
        return reduce_window_sum(*tangents, **windows)

    def transpose(
        self,
        ct: Any,
        x: Any,
        *,
        window_dimensions: Any,
        window_strides: Any,
        padding: Any,
        base_dilation: Any,
        window_dilation: Any,
    ) -> list[Any]:
        back = []
        for n, m, k, s, (low, _), dx, dw in zip(
            x.shape,
            ct.shape,
            window_dimensions,
            window_strides,
            padding,
            base_dilation,
            window_dilation,
            strict=True,
        ):
            before = dilated(k, dw) - 1 - low
            # That many places must come out, dx apart.
            back.append((before, (n - 1) * dx + dilated(k, dw) - dilated(m, s) - before))
        return [
            reduce_window_sum(
                ct,
                window_dimensions=window_dimensions,
                window_strides=base_dilation,
                padding=tuple(back),
                base_dilation=window_strides,
                window_dilation=window_dilation,
            )
        ]


reduce_window_sum = ReduceWindowSum()


class WindowExtremum(WindowPrimitive, family=True):
    """NaN where a window has one. The first of those that tie has the derivative."""

    ufunc: ClassVar[Any]
    limit: ClassVar[str]
    select: ClassVar[str]

    def eval(self, x: Any, **windows: Any) -> Any:
        fill = extreme_value(x.dtype, self.limit)
        out = reduce_windows([x], [fill], _by_ufunc(self.ufunc), **windows)[0]
        return out if out.dtype == x.dtype else out.astype(x.dtype)

    def jvp(self, primals: Any, tangents: Any, out: Any, **windows: Any) -> Any:
        (x,), (dx,) = primals, tangents
        return select_and_gather_add(dx, x, select_prim=self.select, **windows)

    transpose: Any = NOT_LINEAR


class ReduceWindowMax(WindowExtremum):
    """The largest of each window"""

    ufunc, limit, select = np.maximum, "min", "ge"


reduce_window_max = ReduceWindowMax()


class ReduceWindowMin(WindowExtremum):
    """The smallest of each window"""

    ufunc, limit, select = np.minimum, "max", "le"


reduce_window_min = ReduceWindowMin()


class SelectAndGatherAdd(WindowPrimitive):
    """For each window, the element of `tangents` where `x` is largest ("ge") or smallest ("le").

    0 for a window with no element of `x`.
    """

    takes = "f"

    def typing(  # type: ignore[override]
        self, tangents: Any, x: Any, *, select_prim: str, **windows: Any
    ) -> ArrayType:
        out = super().typing(x, **windows)
        if tangents.shape != x.shape or tangents.dtype != x.dtype:
            raise _unlike(self.name, tangents, x)
        return array_type(out.shape, out.dtype, tangents.weak_type and x.weak_type)

    def eval(self, tangents: Any, x: Any, *, select_prim: str, **windows: Any) -> Any:
        places = chosen(x, select_prim == "ge", **windows)
        if not tangents.size:
            return np.zeros(places.shape, tangents.dtype)
        out = np.asarray(tangents.reshape(-1)[places])  # of rank 0, too
        out[places < 0] = 0
        return out

    def jvp(self, primals: Any, tangents: Any, out: Any, **params: Any) -> Any:
        if tangents[0] is None:
            return None  # which element is chosen does not change
        return select_and_gather_add(tangents[0], primals[1], **params)

    def transpose(self, ct: Any, tangents: Any, x: Any, **params: Any) -> list[Any]:
        if type(x) is Linear:
            return NOT_LINEAR(ct, tangents, x)  # type: ignore[no-any-return]
        return [select_and_scatter_add(ct, x, **params), None]


select_and_gather_add = SelectAndGatherAdd()


class SelectAndScatterAdd(WindowPrimitive):
    """Zeros of the shape of `x`, to which each element of `source` is added where `x` is largest
    ("ge") or smallest ("le") in its window.
    """

    takes = "f"

    def typing(  # type: ignore[override]
        self, source: Any, x: Any, *, select_prim: str, **windows: Any
    ) -> ArrayType:
        out = super().typing(x, **with_dilations(windows))
        if source.shape != out.shape or source.dtype != x.dtype:
            raise _unlike(self.name, source, out)
        return array_type(x.shape, x.dtype, source.weak_type and x.weak_type)

    def eval(self, source: Any, x: Any, *, select_prim: str, **windows: Any) -> Any:
        places = chosen(x, select_prim == "ge", **with_dilations(windows)).reshape(-1)
        weights = source.reshape(-1).astype(np.float64, copy=False)
        if places.size and places.min() < 0:
            weights, places = weights[places >= 0], places[places >= 0]
        # In float64: many windows may meet in one element.
        return np.bincount(places, weights, x.size).astype(x.dtype).reshape(x.shape)

    def jvp(self, primals: Any, tangents: Any, out: Any, **params: Any) -> Any:
        if tangents[0] is None:
            return None
        return select_and_scatter_add(tangents[0], primals[1], **params)

    def transpose(self, ct: Any, source: Any, x: Any, **params: Any) -> list[Any]:
        if type(x) is Linear:
            return NOT_LINEAR(ct, source, x)  # type: ignore[no-any-return]
        return [select_and_gather_add(ct, x, **with_dilations(params)), None]

    def shown(self, params: dict[str, Any]) -> dict[str, Any]:
        """Without dilations of 1, which the program that JAX prints cannot have."""
        return {
            k: v
            for k, v in params.items()
            if not k.endswith("dilation") or any(d != 1 for d in v or ())
        }


select_and_scatter_add = SelectAndScatterAdd()


def with_dilations(windows: dict[str, Any]) -> dict[str, Any]:
    """Parameters in which none is left out."""
    ones = (1,) * len(windows["window_dimensions"])
    return {"base_dilation": ones, "window_dilation": ones, **windows}


def _unlike(name: str, given: Any, wanted: Any) -> Exception:
    return error(
        TypeError,
        f"{name} needs arrays that belong together.",
        got=f"{given.str_short()} for {wanted.str_short()}",
        fix="give them one dtype and the shapes of the windows and of the array.",
    )


# ---- shapes


@lru_cache(maxsize=1024)
def window_shape(
    name: str,
    shape: tuple[int, ...],
    *,
    window_dimensions: Any,
    window_strides: Any,
    padding: Any,
    base_dilation: Any,
    window_dilation: Any,
) -> tuple[int, ...]:
    """The number of windows along each axis; raises what is wrong with them."""
    given = {
        "window_dimensions": window_dimensions,
        "window_strides": window_strides,
        "base_dilation": base_dilation,
        "window_dilation": window_dilation,
    }
    for what, numbers in given.items():
        if len(numbers) != len(shape) or any(n < 1 for n in numbers):
            raise error(
                TypeError,
                f"{name} needs one positive integer for each axis as {what}.",
                got=f"{what}={tuple(numbers)} for shape {shape}",
                fix="use 1 for axes that windows do not extend along.",
            )
    if len(padding) != len(shape):
        raise error(
            ValueError,
            f"{name} needs one pair (low, high) for each axis as padding.",
            got=f"padding={padding} for shape {shape}",
            fix="use (0, 0) for axes that are not padded.",
        )
    return tuple(
        max(0, (dilated(n, dx) + low + high - dilated(k, dw)) // s + 1)
        for n, k, s, (low, high), dx, dw in zip(
            shape, window_dimensions, window_strides, padding, base_dilation, window_dilation
        )
    )


# ---- one axis after the other

Combine = Callable[[list[Any], list[Any]], list[Any]]


def _by_ufunc(ufunc: Any) -> Combine:
    return lambda a, b: [ufunc(a[0], b[0])]


def _cut(x: Any, axis: int, start: int, stop: int, stride: int) -> Any:
    return x[(*(slice(None),) * axis, slice(start, stop, stride))]


def reduce_windows(
    xs: list[Any],
    fills: Sequence[Any],
    combine: Combine,
    *,
    window_dimensions: Any,
    window_strides: Any,
    padding: Any,
    base_dilation: Any,
    window_dilation: Any,
    cut: Any = _cut,
    padded: Any = None,
) -> list[Any]:
    """Windows of `xs` combined by an associative function, axis by axis from the last.

    `cut(x, axis, start, stop, stride)` and `padded(x, fill, padding_config=)` are the two
    operations on arrays that this needs: NumPy's, or those of Pullback.
    """
    shape = tuple(xs[0].shape)
    out = window_shape(
        "reduce_window",
        shape,
        window_dimensions=window_dimensions,
        window_strides=window_strides,
        padding=padding,
        base_dilation=base_dilation,
        window_dilation=window_dilation,
    )
    config = []
    for n, k, s, (low, _), dx, dw, m in zip(
        shape, window_dimensions, window_strides, padding, base_dilation, window_dilation, out
    ):
        reached = (m - 1) * s + dilated(k, dw) if m else dilated(k, dw) - 1
        config.append((low, reached - low - dilated(n, dx), dx - 1))
    if any(entry != (0, 0, 0) for entry in config):
        put = pad.eval if padded is None else padded
        xs = [put(x, fill, padding_config=tuple(config)) for x, fill in zip(xs, fills)]
    for axis in reversed(range(len(shape))):
        k, s, d = window_dimensions[axis], window_strides[axis], window_dilation[axis]
        if (k, s) != (1, 1):
            xs = _along(xs, axis, k, s, d, out[axis], combine, cut)
    return xs


def _along(
    xs: list[Any], axis: int, k: int, s: int, d: int, m: int, combine: Combine, cut: Any
) -> list[Any]:
    n = xs[0].shape[axis]
    if k * m <= 2 * k.bit_length() * n:  # one combination for each place in the window
        found = None
        for i in range(k):
            last = i * d + (m - 1) * s + 1 if m else i * d
            part = [cut(x, axis, i * d, last, s) for x in xs]
            found = part if found is None else combine(found, part)
        return found or []
    # Windows of 1, 2, 4, ... elements from each place on; those that k is made of are combined.
    found, covered, width = None, 0, 1
    while True:
        if k & width:
            last = covered * d + (m - 1) * s + 1
            part = [cut(x, axis, covered * d, last, s) for x in xs]
            found = part if found is None else combine(found, part)
            covered += width
        if covered == k:
            return found or []
        n = xs[0].shape[axis] - width * d
        left = [cut(x, axis, 0, n, 1) for x in xs]
        right = [cut(x, axis, width * d, n + width * d, 1) for x in xs]
        xs, width = combine(left, right), 2 * width


# ---- the place of the largest or smallest element

_FEW = 32
"""Up to so many elements in a window, one pass over all windows for each; else np.argmax."""


def chosen(
    x: Any,
    largest: bool,
    *,
    window_dimensions: Any,
    window_strides: Any,
    padding: Any,
    base_dilation: Any,
    window_dilation: Any,
) -> Any:
    """The place in `x`, flattened, of the first largest element of each window, or of its first
    NaN; -1 for windows with no element.
    """
    windows = (window_dimensions, window_strides, padding, base_dilation, window_dilation)
    out = window_shape(
        "select_and_gather_add",
        x.shape,
        window_dimensions=window_dimensions,
        window_strides=window_strides,
        padding=padding,
        base_dilation=base_dilation,
        window_dilation=window_dilation,
    )
    if not math.prod(out) or not x.size:
        return np.full(out, -1, np.intp)
    places = np.arange(x.size, dtype=np.intp).reshape(x.shape)
    x = x if x.dtype.char in "fd" else x.astype(np.float32)
    x = x if largest else np.negative(x)
    values, places = _view(x, -np.inf, out, windows), _view(places, -1, out, windows)
    rank = len(out)
    taps = [i for i in range(rank) if window_dimensions[i] > 1]
    count = math.prod([window_dimensions[i] for i in taps])
    if count <= _FEW:
        return _pass_by_pass(values, places, window_dimensions, rank)
    order = (
        *range(rank),
        *(rank + i for i in taps),
        *(rank + i for i in range(rank) if i not in taps),
    )
    places = places.transpose(order).reshape(*out, count)
    values = values.transpose(order).reshape(*out, count)
    values = np.where(places < 0, values.dtype.type(-np.inf), values)
    best = np.expand_dims(np.argmax(values, -1), -1)
    found = np.take_along_axis(places, best, -1)[..., 0]
    if found.min() < 0:  # all is -inf: an element before padding
        known = np.where(places < 0, x.size, places).min(-1)
        found = np.where((found < 0) & (known < x.size), known, found)
    return found


def _pass_by_pass(values: Any, places: Any, window: Any, rank: int) -> Any:
    best = found = None
    for tap in np.ndindex(*window):
        value, place = values[(..., *tap)], places[(..., *tap)]
        if best is None or found is None:
            best, found = value.copy(), place.copy()
            continue
        better = value > best
        better |= found < 0
        nan = value != value
        if nan.any():
            better |= nan & (best == best)
        better &= place >= 0
        np.copyto(best, value, where=better)
        np.copyto(found, place, where=better)
    return found


def _view(x: Any, fill: Any, out: Any, windows: Any) -> Any:
    """The windows of `x`, padded with `fill`: axes of windows, then axes in a window."""
    config = []
    for n, k, s, (low, _), dx, dw, m in zip(x.shape, *windows, out):
        config.append((low, (m - 1) * s + dilated(k, dw) - low - dilated(n, dx), dx - 1))
    if any(entry != (0, 0, 0) for entry in config):
        x = pad.eval(x, fill, padding_config=tuple(config))
    strides = x.strides
    return as_strided(
        x,
        (*out, *windows[0]),
        (
            *(t * s for t, s in zip(strides, windows[1])),
            *(t * d for t, d in zip(strides, windows[4])),
        ),
        writeable=False,
    )
