"""Operations that move elements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ....core.program import Equation
from ....ops.barriers import optimization_barrier
from ....ops.dynamic import dynamic_slice, dynamic_update_slice
from ....ops.identities import device_put
from ....ops.slicing import concatenate, pad, slice_, split
from ....ops.stacking import stack, unstack
from ....ops.structural import broadcast_in_dim, iota, reshape, rev, squeeze, transpose
from ..lowering import Lowering, Rule
from ..open_lengths import OpenCode, is_open
from ..text import Code, Word
from ..types import ints
from .elementwise import convert


def broadcast(code: Code, x: Word, shape: Any, axes: Any) -> Word:
    """x along new axes; `axes` are those of the result that its own become."""
    if tuple(shape) == x.shape:
        return x
    where = f"broadcast_dimensions = {ints(axes)}"
    return code.op("broadcast_in_dim", [x], shape, x.dtype, where)


def reshaped(code: Code, x: Word, shape: Any) -> Word:
    """The same elements in another shape."""
    return x if tuple(shape) == x.shape else code.op("reshape", [x], shape, x.dtype)


def permuted(code: Code, x: Word, order: Any) -> Word:
    """The axes in another order."""
    if list(order) == list(range(x.rank)):
        return x
    shape = [x.shape[i] for i in order]
    return code.op("transpose", [x], shape, x.dtype, f"permutation = {ints(order)}")


def cut(code: Code, x: Word, starts: Any, limits: Any, steps: Any = None) -> Word:
    """A regular part."""
    steps = steps or (1,) * x.rank
    shape = [-(-(b - a) // s) for a, b, s in zip(starts, limits, steps, strict=True)]
    if isinstance(code, OpenCode) and any(map(is_open, (*starts, *limits))):
        return x if tuple(shape) == x.shape else code.cut(x, starts, limits, steps, shape)
    what = (
        f"start_indices = {ints(starts)}, limit_indices = {ints(limits)}, strides = {ints(steps)}"
    )
    return x if tuple(shape) == x.shape else code.op("slice", [x], shape, x.dtype, what)


def joined(code: Code, words: list[Word], axis: int) -> Word:
    """Arrays one after the other."""
    if len(words) == 1:
        return words[0]
    shape = list(words[0].shape)
    shape[axis] = sum(w.shape[axis] for w in words)
    return code.op("concatenate", words, shape, words[0].dtype, f"dimension = {axis} : i64")


def _broadcast(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    p = eq.params
    return [broadcast(low.code, args[0], p["shape"], p["broadcast_dimensions"])]


def _reshape(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    return [reshaped(low.code, args[0], low.result(eq)[0])]


def _transpose(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    return [permuted(low.code, args[0], eq.params["permutation"])]


def _rev(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    (x,) = args
    axes = f"dimensions = {ints(eq.params['dimensions'])}"
    return [low.code.op("reverse", args, x.shape, x.dtype, axes)]


def _slice(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    p = eq.params
    return [cut(low.code, args[0], p["start_indices"], p["limit_indices"], p["strides"])]


def _pad(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    shape, dtype = low.result(eq)
    low_, high, between = zip(*eq.params["padding_config"], strict=True) if shape else ((), (), ())
    what = (
        f"edge_padding_low = {ints(low_)}, edge_padding_high = {ints(high)}, "
        f"interior_padding = {ints(between)}"
    )
    return [low.code.op("pad", args, shape, dtype, what)]


def _concatenate(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    return [joined(low.code, args, eq.params["dimension"])]


def _split(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    (x,), axis, start, found = args, eq.params["axis"], 0, []
    for n in eq.params["sizes"]:
        starts, limits = [0] * x.rank, list(x.shape)
        starts[axis], limits[axis] = start, start + n
        found.append(cut(low.code, x, starts, limits))
        start += n
    return found


def _stack(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    axis = eq.params["axis"]
    wide = [reshaped(low.code, x, (*x.shape[:axis], 1, *x.shape[axis:])) for x in args]
    return [joined(low.code, wide, axis)]


def _unstack(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    (x,), axis, found = args, eq.params["axis"], []
    for k in range(x.shape[axis]):
        starts, limits = [0] * x.rank, list(x.shape)
        starts[axis], limits[axis] = k, k + 1
        part = cut(low.code, x, starts, limits)
        found.append(reshaped(low.code, part, x.shape[:axis] + x.shape[axis + 1 :]))
    return found


def counting(code: Code, shape: Any, dtype: Any, axis: int) -> Word:
    """Each element is its index along the axis."""
    dtype = np.dtype(dtype)
    if dtype == np.dtype(bool):
        return convert(code, counting(code, shape, np.int32, axis), dtype)
    return code.op("iota", [], shape, dtype, f"iota_dimension = {axis} : i64")


def _iota(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    shape, dtype = low.result(eq)
    return [counting(low.code, shape, dtype, eq.params["dimension"])]


def _same(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    return args


def _barrier(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    return behind_barrier(low, args)


def behind_barrier(low: Lowering, words: Sequence[Word]) -> list[Word]:
    """The same values, with which nothing before is simplified."""
    if not words:
        return []
    return low.code.ops("optimization_barrier", words, [(w.shape, w.dtype) for w in words])


def starts_of(code: Code, starts: Sequence[Word], x: Word, sizes: Any) -> list[Word]:
    """Where a window begins, as StableHLO wants it: all of one dtype.

    Those without sign above what int64 holds would be negative; windows are moved inside, so they
    are cut to the last place first.
    """
    found = []
    for s, n, size in zip(starts, x.shape, sizes, strict=True):
        last = n - size
        if s.dtype.name.startswith("uint"):
            room = np.iinfo(s.dtype).max
            s = code.op("minimum", [s, code.constant(s.dtype.type(min(last, room)))], (), s.dtype)
        found.append(convert(code, s, np.int64))
    return found


def _dynamic_slice(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    (x, *starts), sizes = args, eq.params["slice_sizes"]
    if not x.rank:
        return [x]
    code, zero = low.code, low.code.constant(np.int64(0))
    # Said here, for XLA adds up the starts of a window in a window before it moves them inside.
    at = [
        code.op("clamp", [zero, s, code.constant(np.int64(n - size))], (), np.int64)
        for s, n, size in zip(starts_of(code, starts, x, sizes), x.shape, sizes, strict=True)
    ]
    return [low.code.op("dynamic_slice", [x, *at], sizes, x.dtype, f"slice_sizes = {ints(sizes)}")]


def _dynamic_update_slice(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    x, update, *starts = args
    if not x.rank:
        return [update]
    at = starts_of(low.code, starts, x, update.shape)
    return [low.code.op("dynamic_update_slice", [x, update, *at], x.shape, x.dtype)]


RULES: dict[Any, Rule] = {
    broadcast_in_dim: _broadcast,
    reshape: _reshape,
    squeeze: _reshape,
    transpose: _transpose,
    rev: _rev,
    slice_: _slice,
    pad: _pad,
    concatenate: _concatenate,
    split: _split,
    stack: _stack,
    unstack: _unstack,
    iota: _iota,
    device_put: _same,
    optimization_barrier: _barrier,
    dynamic_slice: _dynamic_slice,
    dynamic_update_slice: _dynamic_update_slice,
}

__all__ = [
    "RULES",
    "behind_barrier",
    "broadcast",
    "counting",
    "cut",
    "joined",
    "permuted",
    "reshaped",
    "starts_of",
]
