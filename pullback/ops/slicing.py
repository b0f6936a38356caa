"""Primitives that cut arrays apart and put them together: slice, pad, concatenate, split."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.array import HostArray
from ..core.errors import error
from ..core.primitive import CORE, Linear, Primitive
from ..core.types import ArrayType, array_type
from .elementwise import select_n
from .structural import (
    LinearPrimitive,
    broadcast_in_dim,
    move_axis,
    reduce_sum,
    to_front,
    zero_like,
    zeros,
    zeros_of,
)


class Slice(LinearPrimitive):
    """`x[start:limit:stride]` along every axis; strides of None are 1."""

    def typing(self, x: Any, *, start_indices: Any, limit_indices: Any, strides: Any) -> ArrayType:
        strides = strides or (1,) * len(x.shape)
        fits = len(start_indices) == len(limit_indices) == len(strides) == len(x.shape) and all(
            0 <= a <= b <= n and s > 0
            for a, b, s, n in zip(start_indices, limit_indices, strides, x.shape, strict=True)
        )
        if not fits:
            raise error(
                TypeError,
                "slice indices lie outside the array.",
                got=f"{x.str_short()} from {start_indices} to {limit_indices}, strides {strides}",
                fix="give 0 <= start <= limit <= length and a positive stride for each axis.",
            )
        shape = tuple(
            -(-(b - a) // s) for a, b, s in zip(start_indices, limit_indices, strides, strict=True)
        )
        return array_type(shape, x.dtype, x.weak_type)

    def eval(self, x: Any, *, start_indices: Any, limit_indices: Any, strides: Any) -> Any:
        if strides is None:
            return x[tuple(map(slice, start_indices, limit_indices))]
        return x[tuple(map(slice, start_indices, limit_indices, strides))]

    def transpose(
        self, ct: Any, x: Any, *, start_indices: Any, limit_indices: Any, strides: Any
    ) -> list[Any]:
        strides = strides or (1,) * len(x.shape)
        padding = []
        for a, n, s, m in zip(start_indices, x.shape, strides, ct.shape, strict=True):
            reached = (m - 1) * s + 1 if m else 0
            padding.append((a, n - a - reached, s - 1))
        return [pad(ct, zero_like(ct), padding_config=tuple(padding))]

    def vmap(
        self,
        size: int,
        args: Any,
        axes: Any,
        *,
        start_indices: Any,
        limit_indices: Any,
        strides: Any,
    ) -> Any:
        (at,) = axes
        return slice_(
            args[0],
            start_indices=_insert(start_indices, at, 0),
            limit_indices=_insert(limit_indices, at, size),
            strides=None if strides is None else _insert(strides, at, 1),
        ), at

    lower = CORE


slice_ = Slice()


class Pad(Primitive):
    """`padding_config` gives (low, high, interior) of each axis; negative low and high cut off."""

    def typing(self, x: Any, value: Any, *, padding_config: Any) -> ArrayType:
        rank = len(x.shape)
        triples = len(padding_config) == rank and all(len(p) == 3 for p in padding_config)
        if x.dtype != value.dtype or value.shape or not triples:
            raise error(
                TypeError,
                "pad needs a scalar of the array's dtype and one (low, high, interior) for each "
                "axis.",
                got=f"{x.str_short()}, value {value.str_short()}, padding {padding_config}",
                fix="convert the value; give as many triples as the array has axes.",
            )
        if any(inner < 0 for _, _, inner in padding_config):
            raise error(
                ValueError,
                "interior padding cannot be negative.",
                got=f"padding {padding_config}",
                fix="use 0 or more; cut elements out with a strided slice.",
            )
        shape = tuple(
            lo + hi + n + (max(0, n - 1) * inner if inner else 0)
            for n, (lo, hi, inner) in zip(x.shape, padding_config, strict=True)
        )
        if any(n < 0 for n in shape):
            raise error(
                ValueError,
                "negative padding cuts off more than there is.",
                got=f"{x.str_short()}, padding {padding_config}, which leaves shape {shape}",
                fix="cut off at most the whole length of each axis.",
            )
        return array_type(shape, x.dtype, x.weak_type and value.weak_type)

    def eval(self, x: Any, value: Any, *, padding_config: Any) -> Any:
        shape, into, outof = [], [], []
        for n, (lo, hi, inner) in zip(x.shape, padding_config, strict=True):
            spread = n + max(0, n - 1) * inner
            total = lo + hi + spread
            step = inner + 1
            first = max(0, -(lo // step)) if lo < 0 else 0
            last = min(n, (total - 1 - lo) // step + 1) if total else 0
            shape.append(total)
            start = lo + first * step
            count = max(0, last - first)
            into.append(
                slice(start, start + max(0, count - 1) * step + 1 if count else start, step)
            )
            outof.append(slice(first, first + count))
        out = np.empty(shape, x.dtype)
        out[...] = value
        out[tuple(into)] = x[tuple(outof)]
        return out

    def jvp(self, primals: Any, tangents: Any, out: Any, *, padding_config: Any) -> Any:
        dx, dvalue = tangents
        if dx is None:
            dx = zeros_of(primals[0])
        if dvalue is None:
            dvalue = zero_like(dx)
        return pad(dx, dvalue, padding_config=padding_config)

    def transpose(self, ct: Any, x: Any, value: Any, *, padding_config: Any) -> list[Any]:
        ct_x = ct_value = None
        if type(x) is Linear:
            back = tuple((-lo, -hi, 0) for lo, hi, _ in padding_config)
            strides = tuple(inner + 1 for _, _, inner in padding_config)
            cut = pad(ct, zero_like(ct), padding_config=back)
            starts = (0,) * len(strides)
            ct_x = slice_(cut, start_indices=starts, limit_indices=cut.shape, strides=strides)
        if type(value) is Linear:
            # Not the sum of all less that of the elements: these may be larger by far.
            mask = _places_of(x.shape, padding_config)
            zero = broadcast_in_dim(zero_like(ct), shape=ct.shape, broadcast_dimensions=())
            around = select_n(mask, ct, zero)
            ct_value = reduce_sum(around, axes=tuple(range(ct.ndim)))
        return [ct_x, ct_value]

    def vmap(self, size: int, args: Any, axes: Any, *, padding_config: Any) -> Any:
        (x, value), (at, value_at) = args, axes
        if value_at is not None:
            return self._with_mapped_value(size, x, value, at, padding_config)
        return pad(x, value, padding_config=_insert(padding_config, at, (0, 0, 0))), at

    def _with_mapped_value(self, size: int, x: Any, value: Any, at: Any, config: Any) -> Any:
        # pad(x, v) = pad(x - v, 0) + v would change bits; one padding for each value would loop.
        # Instead pad with a mask of where x is, and choose.
        x = to_front(x, at, size)
        full = ((0, 0, 0), *config)
        padded = pad(x, zero_like(x), padding_config=full)
        mask = _places_of(x.shape, full)
        values = broadcast_in_dim(value, shape=padded.shape, broadcast_dimensions=(0,))
        return select_n(mask, values, padded), 0

    lower = CORE


pad = Pad()


def _places_of(shape: Any, padding_config: Any) -> Any:
    """A mask of the places in the padded array that hold elements of the array."""
    ones = broadcast_in_dim(HostArray(np.bool_(True)), shape=shape, broadcast_dimensions=())
    return pad(ones, HostArray(np.bool_(False)), padding_config=padding_config)


class Concatenate(Primitive):
    """The operands one after the other along `dimension`."""

    def typing(self, *types: Any, dimension: int) -> ArrayType:
        first = types[0]
        for t in types[1:]:
            same = len(t.shape) == len(first.shape) and all(
                a == b or i == dimension
                for i, (a, b) in enumerate(zip(t.shape, first.shape, strict=True))
            )
            if not same or t.dtype != first.dtype:
                raise error(
                    TypeError,
                    f"arrays can be concatenated along axis {dimension} only if they agree in "
                    "dtype and in all other axes.",
                    got=", ".join(t.str_short() for t in types),
                    fix="reshape, broadcast or convert the arrays first.",
                )
        if not 0 <= dimension < len(first.shape):
            raise error(
                TypeError,
                f"there is no axis {dimension} to concatenate along.",
                got=", ".join(t.str_short() for t in types),
                fix="use stack to join along a new axis.",
            )
        shape = list(first.shape)
        shape[dimension] = sum(t.shape[dimension] for t in types)
        return array_type(tuple(shape), first.dtype, all(t.weak_type for t in types))

    def eval(self, *xs: Any, dimension: int) -> Any:
        return np.concatenate(xs, dimension)

    def jvp(self, primals: Any, tangents: Any, out: Any, *, dimension: int) -> Any:
        filled = [zeros_of(x) if t is None else t for x, t in zip(primals, tangents, strict=True)]
        return concatenate(*filled, dimension=dimension)

    def transpose(self, ct: Any, *xs: Any, dimension: int) -> list[Any]:
        found, start = [], 0
        for x in xs:
            stop = start + x.shape[dimension]
            found.append(slice_along(ct, dimension, start, stop) if type(x) is Linear else None)
            start = stop
        return found

    def vmap(self, size: int, args: Any, axes: Any, *, dimension: int) -> Any:
        moved = [to_front(x, at, size) for x, at in zip(args, axes, strict=True)]
        return concatenate(*moved, dimension=dimension + 1), 0

    lower = CORE


concatenate = Concatenate()


class Split(Primitive):
    """Consecutive parts of `sizes` along `axis`."""

    multiple_results = True

    def typing(self, x: Any, *, sizes: Any, axis: int) -> list[ArrayType]:
        if sum(sizes) != x.shape[axis] or any(n < 0 for n in sizes):
            raise error(
                ValueError,
                "the sizes of the parts must add up to the length of the axis.",
                got=f"sizes {tuple(sizes)} on axis {axis} of {x.str_short()}",
                fix="give sizes whose sum is that length.",
            )
        return [x.without_axis(axis).with_axis(axis, n) for n in sizes]

    def eval(self, x: Any, *, sizes: Any, axis: int) -> Any:
        return np.split(x, np.cumsum(sizes[:-1]), axis)

    def jvp(self, primals: Any, tangents: Any, out: Any, *, sizes: Any, axis: int) -> Any:
        return split(tangents[0], sizes=sizes, axis=axis)

    def transpose(self, cts: Any, x: Any, *, sizes: Any, axis: int) -> list[Any]:
        filled = [
            zeros(x.aval.without_axis(axis).with_axis(axis, n)) if ct is None else ct
            for ct, n in zip(cts, sizes, strict=True)
        ]
        return [concatenate(*filled, dimension=axis)]

    def vmap(self, size: int, args: Any, axes: Any, *, sizes: Any, axis: int) -> Any:
        parts = split(move_axis(args[0], axes[0], 0), sizes=sizes, axis=axis + 1)
        return parts, [0] * len(parts)

    lower = CORE


split = Split()


def slice_along(x: Any, axis: int, start: int, stop: int, stride: int = 1) -> Any:
    """`x[start:stop:stride]` along one axis."""
    starts, stops = [0] * len(x.shape), list(x.shape)
    starts[axis], stops[axis] = start, stop
    strides = (
        None if stride == 1 else tuple(stride if i == axis else 1 for i in range(len(x.shape)))
    )
    return slice_(x, start_indices=tuple(starts), limit_indices=tuple(stops), strides=strides)


def _insert(values: Any, at: int, value: Any) -> tuple[Any, ...]:
    return (*values[:at], value, *values[at:])
