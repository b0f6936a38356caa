"""Operations that move elements: free in registers, views in memory where possible."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from ....core.program import Equation
from ....ops.barriers import optimization_barrier, stop_gradient
from ....ops.identities import device_put
from ....ops.slicing import concatenate, pad, slice_, split
from ....ops.spreading import sharding_constraint
from ....ops.stacking import stack, unstack
from ....ops.structural import broadcast_in_dim, iota, reshape, rev, squeeze, transpose
from ..buffers import Buffer, address, strides_of
from ..lowering import Lowering, Rule, Value
from ..nodes import CHEAP, DEEP, Applied, Counting, InMemory, Node, Scalar, stored
from ..registers import Lanes
from ..text import Code, Index

View = Callable[[Buffer], Buffer | None]
"""Another view of the same elements, or None where strides cannot express it."""


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


def viewed(low: Lowering, value: Value, shape: Sequence[int], view: View) -> Value:
    """`value` seen through `view`; operations not done yet are done on views of their operands."""
    node = value.node
    if node is not None:
        if isinstance(node, Scalar):
            return Value(value.kind, shape, node=node)
        if isinstance(node, Applied) and not _to_be_kept(node):
            turned = _through(low, node, shape, view)
            if turned is not None:
                return Value(value.kind, shape, node=turned)
    buffer = low.buffer(value)
    seen = view(buffer)
    if seen is None:
        seen = view(low.contiguous(value))
    assert seen is not None
    return low.memory_value(seen)


def _to_be_kept(node: Applied) -> bool:
    """Whether a value is or will be in memory: others need it and it costs too much, or it stands
    on so many operations that to go through them each time would take too long."""
    if node.depth > DEEP:
        return True
    return node.sink is not None or (node.uses > 1 and node.cost > CHEAP)


def _through(low: Lowering, node: Node, shape: Sequence[int], view: View) -> Node | None:
    if isinstance(node, Scalar):
        return node
    if isinstance(node, Counting):
        return _recounted(node, shape, view)
    if isinstance(node, InMemory):
        if node.sink is not None:
            low.fusion.finish(node.sink)
        seen = view(node.buffer)
        return None if seen is None else InMemory(seen)
    assert isinstance(node, Applied)
    if stored(node):
        assert node.sink is not None
        seen = view(node.sink.buffer)
        return None if seen is None else InMemory(seen)
    if _to_be_kept(node):
        return None
    arguments = []
    for a in node.arguments:
        turned = _through(low, a, shape, view)
        if turned is None:
            return None
        arguments.append(turned)
    return Applied(node.operation, node.params, arguments, node.kind, shape, node.uses)


class _Positions(Buffer):
    """What a `Counting` counts, as if the numbers stood in memory, the first one at 0."""

    __slots__ = ()

    def view(
        self, code: Code, shape: Sequence[int], strides: Sequence[int], offset: Index = 0
    ) -> Buffer:
        """Another view, or none (whose shape is empty) that begins with another number."""
        return _Positions("", self.kind, shape if offset == 0 else (), strides)


def _recounted(node: Counting, shape: Sequence[int], view: View) -> Node | None:
    """Positions seen through a view; None if they are not a `Counting` any more."""
    seen = view(_Positions("", node.kind, node.shape, node.strides))
    if seen is None or seen.shape != tuple(shape):
        return None
    along = [s for n, s in zip(shape, seen.strides, strict=True) if n != 1]
    return Counting(node.kind, shape, seen.strides) if along[-1:] in ([], [0], [1]) else None


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

    cheap = isinstance(value.node, Applied) and value.node.cost <= CHEAP // 2
    if value.size == out.size or cheap:  # only axes of length 1 are new, or it costs nothing
        return [viewed(low, value, shape, view)]
    return [low.memory_value(view(low.buffer(value)))]


def _reshape(low: Lowering, eq: Equation, args: list[Value]) -> list[Value]:
    shape = eq.outvars[0].aval.shape

    def view(b: Buffer) -> Buffer | None:
        strides = regrouped(b.shape, b.strides, shape)
        return None if strides is None else Buffer(b.pointer, b.kind, shape, strides, b.storage)

    return [viewed(low, args[0], shape, view)]


def regrouped(shape: Sequence[int], strides: Sequence[int], new: Sequence[int]) -> list[int] | None:
    """The strides of a view of another shape; None if the elements are not regular enough."""
    old = [(n, s) for n, s in zip(shape, strides, strict=True) if n != 1]
    found: list[int] = []
    at = 0
    have, step = 1, 0
    for n in reversed(new):
        if n == 1:
            found.append(0)
            continue
        if have == 1:  # the next run of old axes that one stride covers
            if at == len(old):
                return None
            have, step = old[-1 - at]
            at += 1
            while at < len(old) and old[-1 - at][1] == step * have:
                have *= old[-1 - at][0]
                at += 1
        if have % n:
            return None
        found.append(step)
        have, step = have // n, step * n
    return found[::-1]


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


def sliced(
    low: Lowering,
    value: Value,
    starts: Sequence[int],
    shape: Sequence[int],
    steps: Sequence[int] | None = None,
) -> Value:
    """A regular part of an array."""
    steps = steps or (1,) * len(shape)

    def view(b: Buffer) -> Buffer:
        offset = sum(a * s for a, s in zip(starts, b.strides, strict=True))
        strides = [s * k for s, k in zip(b.strides, steps, strict=True)]
        return b.view(low.code, shape, strides, offset)

    if value.node is None and prod(shape) <= 32:
        at = tuple(
            slice(a, a + (n - 1) * k + 1, k) for a, n, k in zip(starts, shape, steps, strict=True)
        )
        order = np.arange(value.size).reshape(value.shape)[at]
        return low.small_value(low.lanes(value).taken(order))
    return viewed(low, value, shape, view)


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


def _pad(low: Lowering, eq: Equation, args: list[Value]) -> list[Value]:
    value, filler = args
    out = low.result_buffer(eq)
    config = eq.params["padding_config"]
    if any(before > 0 or after > 0 or gap for before, after, gap in config):
        low.write(Value(value.kind, out.shape, node=Scalar(low.lanes(filler))), out)
    starts, shape, at, steps = [], [], [], []
    for (before, _, gap), n, m in zip(config, value.shape, out.shape, strict=True):
        step = gap + 1
        first = -(min(before, 0) // step)  # the first element that is not cut off
        place = before + first * step
        starts.append(first)
        shape.append(max(0, min(n - first, -(-(m - place) // step))))
        at.append(place)
        steps.append(step)
    if prod(shape):
        offset = sum(a * s for a, s in zip(at, out.strides, strict=True))
        strides = [s * k for s, k in zip(out.strides, steps, strict=True)]
        low.write(sliced(low, value, starts, shape), out.view(low.code, shape, strides, offset))
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
    pad: moving(_pad),
    iota: _iota,
    optimization_barrier: _same,
    stop_gradient: _same,
    device_put: _same,
    sharding_constraint: _same,
}

__all__ = ["RULES", "address", "regrouped", "sliced", "strides_of", "viewed"]
