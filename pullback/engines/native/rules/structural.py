"""Operations that move elements: free in registers, views in memory where possible."""

from __future__ import annotations

from typing import Any

import numpy as np

from ....core.program import Equation
from ....ops.barriers import optimization_barrier, stop_gradient
from ....ops.identities import device_put
from ....ops.slicing import concatenate, pad, slice_, split
from ....ops.spreading import sharding_constraint
from ....ops.stacking import stack, unstack
from ....ops.structural import broadcast_in_dim, iota, reshape, rev, squeeze, transpose
from ..buffers import Buffer
from ..lowering import Lowering, Rule, Value
from ..nodes import CHEAP, Applied, Scalar
from ..registers import Lanes
from . import padding
from .views import regrouped, sliced, viewed


def moving(rule: Rule) -> Rule:
    """Small arrays: the same is done to the positions of the elements, which costs nothing."""

    def either(low: Lowering, eq: Equation, args: list[Value]) -> list[Value]:
        if all(a.small for a in args) and all(v.aval.size <= 32 for v in eq.outvars):
            return _moved(low, eq, args)
        return rule(low, eq, args)

    return either


def _moved(low: Lowering, eq: Equation, args: list[Value]) -> list[Value]:
    arrays, start = [], 0
    for a in args:
        arrays.append(np.arange(start, start + a.size).reshape(a.shape))
        start += a.size
    joined = Lanes.joined([low.lanes(a) for a in args])
    found = eq.primitive.eval(*arrays, **eq.params)  # type: ignore[attr-defined]
    orders = found if eq.primitive.multiple_results else [found]
    return [low.small_value(joined.taken(order)) for order in orders]


# ---- views


def _broadcast(low: Lowering, eq: Equation, args: list[Value]) -> list[Value]:
    shape, dims = eq.params["shape"], eq.params["broadcast_dimensions"]
    value, out = args[0], eq.outvars[0].aval
    if value.size == 1 and isinstance(value.node, Scalar):
        return [Value(value.kind, shape, node=value.node)]
    if value.size == 1:
        lanes = low.lanes(value).taken(np.zeros((), int))
        return [Value(value.kind, shape, node=Scalar(lanes))]

    def view(b: Buffer) -> Buffer:
        strides = [0] * len(shape)
        for d, n, step in zip(dims, b.shape, b.strides, strict=True):
            strides[d] = step if n == shape[d] else 0
        return Buffer(b.pointer, b.kind, shape, strides, b.storage)

    free = isinstance(value.node, Applied) and value.node.cost <= CHEAP // 2
    if value.size == out.size or free:  # only axes of length 1 are new, or it costs nothing
        return [viewed(low, value, shape, view)]
    return [low.memory_value(view(low.buffer(value)))]


def _reshape(low: Lowering, eq: Equation, args: list[Value]) -> list[Value]:
    shape = eq.outvars[0].aval.shape

    def view(b: Buffer) -> Buffer | None:
        strides = regrouped(b.shape, b.strides, shape)
        return None if strides is None else Buffer(b.pointer, b.kind, shape, strides, b.storage)

    return [viewed(low, args[0], shape, view, lambda: low.result_buffer(eq))]


def _transpose(low: Lowering, eq: Equation, args: list[Value]) -> list[Value]:
    order, shape = eq.params["permutation"], eq.outvars[0].aval.shape

    def view(b: Buffer) -> Buffer:
        return Buffer(b.pointer, b.kind, shape, [b.strides[d] for d in order], b.storage)

    return [viewed(low, args[0], shape, view)]


def _rev(low: Lowering, eq: Equation, args: list[Value]) -> list[Value]:
    dims, shape = eq.params["dimensions"], args[0].shape

    def view(b: Buffer) -> Buffer:
        offset = sum((shape[d] - 1) * b.strides[d] for d in dims)
        strides = [-s if d in dims else s for d, s in enumerate(b.strides)]
        return b.view(low.code, shape, strides, offset)

    return [viewed(low, args[0], shape, view)]


def _slice(low: Lowering, eq: Equation, args: list[Value]) -> list[Value]:
    p = eq.params
    return [sliced(low, args[0], p["start_indices"], eq.outvars[0].aval.shape, p["strides"])]


def _split(low: Lowering, eq: Equation, args: list[Value]) -> list[Value]:
    axis, start, found = eq.params["axis"], 0, []
    low.settle(args[0])
    for var in eq.outvars:
        starts = [0] * len(var.aval.shape)
        starts[axis] = start
        found.append(sliced(low, args[0], starts, var.aval.shape))
        start += var.aval.shape[axis]
    return found


def _unstack(low: Lowering, eq: Equation, args: list[Value]) -> list[Value]:
    axis = eq.params["axis"]
    b = low.buffer(args[0])
    shape = b.shape[:axis] + b.shape[axis + 1 :]
    strides = b.strides[:axis] + b.strides[axis + 1 :]
    return [
        low.memory_value(b.view(low.code, shape, strides, k * b.strides[axis]))
        for k in range(b.shape[axis])
    ]


# ---- new arrays


def _concatenate(low: Lowering, eq: Equation, args: list[Value]) -> list[Value]:
    axis = eq.params["dimension"]
    chosen = padding.joined(low, eq, args)
    if chosen is not None:
        return [chosen]
    out, start = low.result_buffer(eq), 0
    for a in args:
        part = out.view(low.code, a.shape, out.strides, start * out.strides[axis])
        low.write(a, part)
        start += a.shape[axis]
    return [low.memory_value(out)]


def _stack(low: Lowering, eq: Equation, args: list[Value]) -> list[Value]:
    axis = eq.params["axis"]
    out = low.result_buffer(eq)
    strides = out.strides[:axis] + out.strides[axis + 1 :]
    for k, a in enumerate(args):
        low.write(a, out.view(low.code, a.shape, strides, k * out.strides[axis]))
    return [low.memory_value(out)]


def _iota(low: Lowering, eq: Equation, args: list[Value]) -> list[Value]:
    out, dimension = eq.outvars[0].aval, eq.params["dimension"]
    value = low.counting(low.kind_of(out), out.shape, dimension)
    if not value.small:
        return [value]
    numbers = np.arange(out.shape[dimension])
    spread = np.broadcast_to(
        numbers.reshape([-1] + [1] * (len(out.shape) - dimension - 1)), out.shape
    )
    pieces = [low.constant_value(int(k), value.kind) for k in numbers]
    joined = Lanes.joined([low.lanes(p) for p in pieces])
    return [low.small_value(joined.taken(spread))]


def _same(low: Lowering, eq: Equation, args: list[Value]) -> list[Value]:
    return list(args)


RULES: dict[Any, Rule] = {
    broadcast_in_dim: moving(_broadcast),
    reshape: moving(_reshape),
    squeeze: moving(_reshape),
    transpose: moving(_transpose),
    rev: moving(_rev),
    slice_: moving(_slice),
    split: moving(_split),
    unstack: moving(_unstack),
    concatenate: moving(_concatenate),
    stack: moving(_stack),
    pad: moving(padding.pad),
    iota: _iota,
    optimization_barrier: _same,
    stop_gradient: _same,
    device_put: _same,
    sharding_constraint: _same,
}

__all__ = ["RULES"]
