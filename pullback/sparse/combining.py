"""Index sets through primitives that compute: sums, products, windows, transforms, solutions.

A result has the union of the sets of what it is computed from. Only the derivative counts: what is
multiplied by a constant zero, or compared, or rounded, has none.
"""

from __future__ import annotations

from itertools import product
from math import prod
from typing import Any

import numpy as np

from ..core import dtypes
from ..ops import cumulative, pooling
from ..ops.comparison import Comparison
from ..ops.contraction import dot_general, free_axes
from ..ops.convolution import conv_general_dilated
from ..ops.elementwise import mul
from ..ops.fft import fft
from ..ops.linalg import OfMatrices, triangular_solve
from ..ops.reduction import Logical, Place, Reduction
from ..ops.rounding import ceil, floor, round_, sign
from ..ops.scattering import Scatters
from ..ops.slicing import pad
from ..ops.sorting import sort, top_k
from ..ops.structural import reduce_sum
from ..ops.tridiagonal import tridiagonal_solve
from .index_sets import (
    EMPTY,
    IndexSets,
    gathered,
    reduced,
    singletons,
    smeared,
    through,
    union,
)
from .moving import Found, along_stacks, dense, scattered
from .values import Call, Rule, Value

MOST_PAIRS = 20_000_000
"""Pairs of elements that a rule may look at; beyond, it gives whole lines the union."""


def elementwise(call: Call) -> Found:
    """Each element of the result depends on those of the operands at its place."""
    return [union([v.sets for v in call.ins], call.shape)]


def constant(call: Call) -> Found:
    """The derivative is zero everywhere."""
    return [None] * len(call.outs)


def of_sign(call: Call) -> Found:
    """Of a complex number it is z / |z|, and turns with it."""
    return elementwise(call) if dtypes.kind(call.outs[0].dtype) == "c" else constant(call)


def multiplied(call: Call) -> Found:
    """Where one factor is a constant zero, nothing is left of the other."""
    x, y = call.ins
    parts = []
    for factor, other in ((x, y), (y, x)):
        sets = factor.sets
        if sets is not None and other.sets is None and other.is_known:
            zero = other.number == 0
            if zero.any():
                shape = np.broadcast_shapes(sets.ids.shape, zero.shape)
                sets = sets.moved(np.where(zero, EMPTY, np.broadcast_to(sets.ids, shape)))
        parts.append(sets)
    return [union(parts, call.shape)]


# ---- along axes


def summed(call: Call) -> Found:
    (x,) = call.ins
    return [None if x.sets is None else reduced(x.sets, call.params["axes"])]


def accumulated(call: Call) -> Found:
    """Element k depends on elements 0 to k: a triangle of pairs."""
    (x,) = call.ins
    if x.sets is None:
        return [None]
    axis, n = call.params["axis"], x.shape[call.params["axis"]]
    if x.aval.size * (n + 1) // 2 > MOST_PAIRS:
        return [smeared(x.sets, (axis,))]
    ids = np.moveaxis(x.sets.ids, axis, -1)
    to, source = np.tril_indices(n)
    if call.params["reverse"]:
        to, source = n - 1 - to, n - 1 - source
    lines = np.moveaxis(np.arange(x.aval.size).reshape(x.shape), axis, -1)
    return [gathered(lines[..., to], ids[..., source], x.sets.rows, x.shape)]


def sorted_out(call: Call) -> Found:
    """sort and top_k: any element along the axis may come to any place."""
    axis = call.params.get("dimension", call.params.get("axis", call.params.get("operand_axis")))
    axis = len(call.ins[0].shape) - 1 if axis is None or axis < 0 else axis
    found: Found = []
    for i, t in enumerate(call.outs):
        v = call.ins[min(i, len(call.ins) - 1)]
        if v.sets is None or t.dtype != v.aval.dtype:
            found.append(None)
            continue
        line = reduced(v.sets, (axis,), keep=True)
        found.append(line.moved(np.broadcast_to(line.ids, t.shape)))
    return found


def transformed(call: Call) -> Found:
    """fft: dense along the last axes."""
    return along_stacks(call, len(call.shape) - len(call.params["fft_lengths"]))


# ---- products


def contracted(call: Call) -> Found:
    """dot_general."""
    (x_sum, y_sum), (x_batch, y_batch) = call.params["dimension_numbers"]
    x, y = call.ins
    left = _one_side(x, y, (x_sum, x_batch), (y_sum, y_batch))
    right = _one_side(y, x, (y_sum, y_batch), (x_sum, x_batch))
    free_x = len(x.shape) - len(x_sum) - len(x_batch)
    if right is not None:  # from (batch, free of y, free of x) to the order of the result
        nb, rank = len(x_batch), len(right.ids.shape)
        first = rank - free_x
        order = (*range(nb), *range(first, rank), *range(nb, first))
        right = right.moved(right.ids.transpose(order))
    return [union([left, right], call.shape)]


def _one_side(x: Value, y: Value, of_x: Any, of_y: Any) -> IndexSets | None:
    """What the product has of the sets of `x`: axes are batch, free of x, free of y."""
    if x.sets is None:
        return None
    (x_sum, x_batch), (y_sum, y_batch) = of_x, of_y
    x_free = free_axes(len(x.shape), x_sum, x_batch)
    y_free = free_axes(len(y.shape), y_sum, y_batch)
    batch, free, lines = ([x.shape[d] for d in axes] for axes in (x_batch, x_free, x_sum))
    others = [y.shape[d] for d in y_free]
    b, i, k, j = prod(batch), prod(free), prod(lines), prod(others)
    ids = x.sets.ids.transpose((*x_batch, *x_free, *x_sum)).reshape(b, i, k)
    shape = (*batch, *free, *others)
    if y.sets is None and y.is_known:
        there = y.number.transpose((*y_batch, *y_sum, *y_free)).reshape(b, k, j) != 0
        if not there.all() and i * int(there.sum()) <= MOST_PAIRS:
            at, line, to = np.nonzero(there)
            groups = ((at * i)[:, None] + np.arange(i)) * j + to[:, None]
            return gathered(groups, ids[at, :, line], x.sets.rows, shape)
    sums = reduced(x.sets.moved(ids), (2,))
    return sums.moved(np.broadcast_to(sums.ids[:, :, None], (b, i, j)).reshape(shape))


def convolved(call: Call) -> Found:
    """A kernel that is one in a single place picks the elements that this place meets."""
    lhs, rhs = call.ins
    numbers = call.params["dimension_numbers"]
    found: list[IndexSets | None] = []
    if rhs.sets is not None:  # an out feature depends on its kernel
        out_feature = numbers.rhs_spec[0]
        axes = [d for d in range(len(rhs.shape)) if d != out_feature]
        each = reduced(rhs.sets, axes)
        shape = [1] * len(call.shape)
        shape[numbers.out_spec[1]] = -1
        found.append(each.moved(np.broadcast_to(each.ids.reshape(shape), call.shape)))
    if lhs.sets is not None:
        found.append(_convolved_lhs(call, lhs.sets, rhs))
    return [union(found, call.shape)]


def _convolved_lhs(call: Call, sets: IndexSets, rhs: Value) -> IndexSets | None:
    params = {**call.params, "precision": None, "preferred_element_type": None}
    spec = params["dimension_numbers"].rhs_spec
    there = np.ones(rhs.shape, bool)
    if rhs.sets is None and rhs.is_known:
        there = rhs.number != 0
    features, taps = rhs.shape[spec[1]], [range(rhs.shape[d]) for d in spec[2:]]
    if features * prod(len(t) for t in taps) > 256 and features > 1 and _has_one_group(params):
        # Too many to try each in feature: they are united first, the kernel counts as full.
        sets = smeared(sets, (params["dimension_numbers"].lhs_spec[1],))
        features, there = 1, np.ones(rhs.shape, bool)
    groups, ids = [], []
    for feature, *at in product(range(features), *taps):
        place: list[Any] = [slice(None)] * len(spec)
        for d, i in zip(spec[1:], (feature, *at), strict=True):
            place[d] = slice(i, i + 1)
        kernel = np.zeros(rhs.shape)
        kernel[tuple(place)] = there[tuple(place)]
        if kernel.any():
            picked = conv_general_dilated.eval(sets.ids.astype(np.float64), kernel, **params)
            picked = np.rint(picked).astype(np.int64).reshape(-1)
            groups.append(np.flatnonzero(picked))
            ids.append(picked[groups[-1]])
    if not groups:
        return None
    return gathered(np.concatenate(groups), np.concatenate(ids), sets.rows, call.shape)


def _has_one_group(params: Any) -> bool:
    return params["feature_group_count"] == 1 and params["batch_group_count"] == 1  # type: ignore[no-any-return]


# ---- windows


def pooled(call: Call) -> Found:
    """Reductions over windows; of a select-and-gather the first operand is read."""
    (x, *_) = call.ins
    if x.sets is None:
        return [None]
    return [_windows(x.sets, _window_params(call.params))]


def unpooled(call: Call) -> Found:
    """select_and_scatter_add: an element depends on the windows that it lies in."""
    source, x = call.ins
    if source.sets is None:
        return [None]
    params = _window_params(call.params)
    for name in ("base_dilation", "window_dilation"):
        params[name] = call.params.get(name) or (1,) * len(x.shape)
    pattern = _windows(singletons(x.shape, 0, x.aval.size), params).matrix()
    return [through(pattern.T.tocsr(), source.sets, x.shape)]


def _window_params(params: Any) -> dict[str, Any]:
    names = ("window_dimensions", "window_strides", "padding", "base_dilation", "window_dilation")
    return {name: params[name] for name in names if name in params}


def _windows(sets: IndexSets, params: Any) -> IndexSets:
    def combine(left: Any, right: Any) -> list[Any]:
        return [_Sets(union([left[0].sets, right[0].sets], left[0].shape))]

    def cut(x: Any, axis: int, start: int, stop: int, stride: int) -> Any:
        place = [slice(None)] * axis + [slice(start, stop, stride)]
        return _Sets(x.sets.moved(x.sets.ids[tuple(place)]))

    def padded(x: Any, fill: Any, *, padding_config: Any) -> Any:
        ids = pad.eval(x.sets.ids, np.int64(EMPTY), padding_config=padding_config)
        return _Sets(x.sets.moved(ids))

    (out,) = pooling.reduce_windows(
        [_Sets(sets)], [EMPTY], combine, **params, cut=cut, padded=padded
    )
    return out.sets  # type: ignore[no-any-return]


class _Sets:
    """Sets with a shape, as the reduction over windows handles arrays."""

    def __init__(self, sets: Any) -> None:
        self.sets, self.shape = sets, sets.ids.shape


# ---- matrices


def of_matrices(call: Call) -> Found:
    """Dense in each matrix of a stack. The stacks are at least the axes before the last two of
    the operand that has most."""
    shapes = [v.shape for v in call.ins] + [t.shape for t in call.outs]
    stacks = max(0, max(map(len, shapes)) - 2)
    if len({n[:stacks] for n in shapes}) > 1:
        return dense(call)
    return along_stacks(call, stacks)


def solved(call: Call) -> Found:
    """Column by column where only the right side depends on inputs."""
    *matrix, b = call.ins
    if b.sets is None or any(v.sets is not None for v in matrix):
        return of_matrices(call)
    axis = len(b.shape) - (2 if call.params.get("left_side", True) else 1)
    return [smeared(b.sets, (axis,))]


FAMILIES: list[tuple[type, Rule]] = [
    (Comparison, constant),
    (Place, constant),
    (Logical, constant),
    (Reduction, summed),
    (cumulative.Cumulative, accumulated),
    (Scatters, scattered),
    (OfMatrices, of_matrices),
]

COMBINING: dict[Any, Rule] = {
    **dict.fromkeys((floor, ceil, round_), constant),
    sign: of_sign,
    mul: multiplied,
    reduce_sum: summed,
    sort: sorted_out,
    top_k: sorted_out,
    fft: transformed,
    dot_general: contracted,
    conv_general_dilated: convolved,
    **dict.fromkeys((triangular_solve, tridiagonal_solve), solved),
    **dict.fromkeys(
        (pooling.reduce_window_sum, pooling.reduce_window_max, pooling.reduce_window_min), pooled
    ),
    pooling.select_and_gather_add: pooled,
    pooling.select_and_scatter_add: unpooled,
}

__all__ = ["COMBINING", "FAMILIES", "elementwise"]
