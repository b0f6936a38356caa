"""Padding: written around a copy of the array, or chosen as what is inside is computed.

The second is for values that are computed from positions (`Counting`) and from arrays that are
small beside the result, such as the tangents of a Jacobian: identity matrices, shifted and scaled.
They can be computed at any place, also outside, where the filler is chosen; nothing is stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from ....core.program import Equation
from ....core.types import array_type
from ....ops.comparison import and_, lt
from ....ops.elementwise import select_n
from ..buffers import Buffer
from ..kinds import kind_of
from ..lowering import Lowering, Value
from ..nodes import FEW, Applied, Counting, InMemory, Node, Scalar, cheap, stored, walk
from ..registers import MOST
from .views import sliced, through, to_be_kept

UINT32 = kind_of(np.dtype(np.uint32))

Padding = Sequence[tuple[int, int, int]]


def pad(low: Lowering, eq: Equation, args: list[Value]) -> list[Value]:
    """The rule of `pad`."""
    value, filler = args
    config: Padding = eq.params["padding_config"]
    chosen = _chosen(low, value, filler, config, eq)
    if chosen is not None:
        return [chosen]
    out = low.result_buffer(eq)
    if any(before > 0 or after > 0 or gap for before, after, gap in config):
        low.write(Value(value.kind, out.shape, node=Scalar(low.lanes(filler))), out)
    write_inside(low, value, config, out)
    return [low.memory_value(out)]


def write_inside(low: Lowering, value: Value, config: Padding, out: Buffer) -> None:
    """Write the elements that are not cut off to their places in `out`."""
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


# ---- chosen as it is computed


def _chosen(
    low: Lowering, value: Value, filler: Value, config: Padding, eq: Equation
) -> Value | None:
    """The result as a node; None if the value is not one that can be computed anywhere."""
    aval, node = eq.outvars[0].aval, value.node
    if any(gap for _, _, gap in config) or not _computed_anywhere(node, aval.shape):
        return None
    found = _spread(low, value, aval.shape, config)
    if found is None:
        return None
    mask = _inside(low, aval.shape, value.shape, config)
    if mask is None:
        return found
    uses = low.uses[eq.outvars[0]]
    return low.elementwise(low.operations[select_n], [mask, filler, found], {}, aval, uses)


def with_window(
    low: Lowering, value: Value, update: Value, at: Sequence[int], eq: Equation
) -> Value | None:
    """`value` with the window at `at` replaced, as a node; None if one of both cannot be computed
    anywhere. (A window that is read from memory is as good: there is little of it.)"""
    aval = eq.outvars[0].aval
    if not _computed_anywhere(value.node, aval.shape) or update.size * FEW > aval.size:
        return None
    sizes = zip(at, update.shape, aval.shape, strict=True)
    config = [(start, n - size - start, 0) for start, size, n in sizes]
    new = (
        _same_everywhere(low, update)
        if update.size == 1
        else _spread(low, update, aval.shape, config)
    )
    mask = _inside(low, aval.shape, update.shape, config)
    if new is None or mask is None:
        return None
    uses = low.uses[eq.outvars[0]]
    return low.elementwise(low.operations[select_n], [mask, value, new], {}, aval, uses)


def joined(low: Lowering, eq: Equation, args: Sequence[Value]) -> Value | None:
    """The result of `concatenate` as a node, if one array can be computed anywhere, and the others
    are one number each, wherever they are, or little beside it; else None."""
    aval, axis = eq.outvars[0].aval, eq.params["dimension"]
    computed = [k for k, a in enumerate(args) if _computed_anywhere(a.node, aval.shape)]
    rest = [a for k, a in enumerate(args) if k not in computed]
    if len(computed) != 1 or not all(_is_little(a.node, aval.size) for a in rest):
        return None
    start, configs = 0, []
    for a in args:
        n = a.shape[axis]
        around = (start, aval.shape[axis] - start - n, 0)
        configs.append([around if d == axis else (0, 0, 0) for d in range(len(aval.shape))])
        start += n
    found = _spread(low, args[computed[0]], aval.shape, configs[computed[0]])
    uses = low.uses[eq.outvars[0]]
    for k, (a, config) in enumerate(zip(args, configs, strict=True)):
        mask = None if k in computed else _inside(low, aval.shape, a.shape, config)
        if mask is None or found is None:
            continue
        other = _spread(low, a, aval.shape, config)
        if other is None:
            return None
        found = low.elementwise(low.operations[select_n], [mask, found, other], {}, aval, uses)
    return found


def _is_little(node: Node | None, size: int) -> bool:
    """Whether a padded copy of a node that is known is little beside so many elements."""
    if isinstance(node, InMemory):
        return node.sink is None and node.buffer.varied * FEW <= size
    return isinstance(node, Scalar)


def _same_everywhere(low: Lowering, value: Value) -> Value:
    return low.small_value(low.lanes(value).taken(np.zeros((), int)))


def _computed_anywhere(node: Node | None, shape: Sequence[int]) -> bool:
    """Whether to compute a value of this node at places of `shape` is less work than to store it,
    and all that is read is small beside the result: of that copies are padded, if need be."""
    if prod(shape) <= MOST or max(shape) >= 1 << 31:
        return False
    if not isinstance(node, (Applied, Counting)) or not cheap(node):
        return False
    if isinstance(node, Applied) and to_be_kept(node):
        return False
    return _anywhere(node, prod(shape))


def _spread(low: Lowering, value: Value, shape: Sequence[int], config: Padding) -> Value | None:
    """A value with whatever elements around it."""
    node = low.node(value)
    inside = through(low, node, shape, lambda b: _around(low, b, config))
    return None if inside is None else Value(value.kind, shape, node=inside)


def _inside(
    low: Lowering, shape: Sequence[int], sizes: Sequence[int], config: Padding
) -> Value | None:
    """Where in `shape` the elements of an array of `sizes` are; None: everywhere."""
    masks = array_type(tuple(shape), np.dtype(bool))
    mask: Value | None = None
    for d, ((before, after, _), n) in enumerate(zip(config, sizes, strict=True)):
        if before <= 0 and after <= 0:
            continue
        strides = [int(e == d) for e in range(len(shape))]
        place = Value(UINT32, shape, node=Counting(UINT32, shape, strides, -before))
        limit = low.constant_value(n, UINT32)
        fits = low.elementwise(low.operations[lt], [place, limit], {}, masks)
        if mask is not None:
            fits = low.elementwise(low.operations[and_], [mask, fits], {}, masks)
        mask = fits
    return mask


def _anywhere(root: Node, size: int) -> bool:
    """Whether all that is read is small beside `size`, and something is computed from positions, so
    that storing it is what would take the time."""
    counted = False
    for node in walk([root]):
        counted = counted or isinstance(node, Counting)
        buffer = node.buffer if isinstance(node, InMemory) else None
        if type(node) is Applied and stored(node):
            return False
        if buffer is not None and buffer.varied * FEW > size:
            return False
    return counted


def _around(low: Lowering, b: Buffer, config: Padding) -> Buffer | None:
    """`b` with whatever elements around it: the same memory along axes that are broadcast."""
    if type(b) is Buffer and 1 in b.shape:
        strides = [step if n > 1 else 0 for n, step in zip(b.shape, b.strides, strict=True)]
        b = Buffer(b.pointer, b.kind, b.shape, strides, b.storage)
    shape = [n + before + after for n, (before, after, _) in zip(b.shape, config, strict=True)]
    grown = [
        max(before, 0) + max(after, 0) if step else 0
        for step, (before, after, _) in zip(b.strides, config, strict=True)
    ]
    offset = sum(-before * step for (before, _, _), step in zip(config, b.strides, strict=True))
    if not any(grown) or type(b) is not Buffer:
        return b.view(low.code, shape, b.strides, offset)
    return _grown(low, b, config, shape)


def _grown(low: Lowering, b: Buffer, config: Padding, shape: Sequence[int]) -> Buffer:
    """A padded copy of what is in memory of `b`, spread along its other axes."""
    axes = [d for d, step in enumerate(b.strides) if step]
    own = Buffer(b.pointer, b.kind, [b.shape[d] for d in axes], [b.strides[d] for d in axes],
                 b.storage)  # fmt: skip
    room = low.new_buffer(b.kind, [shape[d] for d in axes])
    zero = low.lanes(low.constant_value(0, b.kind))
    low.write(Value(b.kind, room.shape, node=Scalar(zero)), room)
    write_inside(low, low.memory_value(own), [config[d] for d in axes], room)
    strides = [0] * len(shape)
    for d, step in zip(axes, room.strides, strict=True):
        strides[d] = step
    return Buffer(room.pointer, b.kind, shape, strides, room.storage)


__all__: list[Any] = ["joined", "pad", "with_window", "write_inside"]
