"""Views of arrays: of what is in memory by strides, of what is not computed yet by its operands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

import numpy as np

from ..buffers import Buffer
from ..lowering import Lowering, Value
from ..nodes import DEEP, Applied, Counting, InMemory, Node, Scalar, cheap, stored
from ..text import Code, Index

View = Callable[[Buffer], Buffer | None]
"""Another view of the same elements, or None where strides cannot express it."""


def viewed(
    low: Lowering,
    value: Value,
    shape: Sequence[int],
    view: View,
    room: Callable[[], Buffer] | None = None,
) -> Value:
    """`value` seen through `view`; operations not done yet are done on views of their operands.

    `room` gives where to write the elements, in C order, if no strides express the view.
    """
    node = value.node
    if node is not None:
        if isinstance(node, Scalar):
            return Value(value.kind, shape, node=node)
        if isinstance(node, Applied) and not to_be_kept(node):
            turned = through(low, node, shape, view)
            if turned is not None:
                return Value(value.kind, shape, node=turned)
    buffer = low.buffer(value)
    seen = view(buffer)
    out = room() if seen is None and room is not None and not buffer.contiguous else None
    if out is not None and out.contiguous:
        low.write(value, Buffer(out.pointer, out.kind, value.shape, None, out.storage))
        return low.memory_value(out)
    if seen is None:
        seen = view(low.contiguous(value))
    assert seen is not None
    return low.memory_value(seen)


def to_be_kept(node: Applied) -> bool:
    """Whether a value is or will be in memory: others need it and it costs too much, or it stands
    on so many operations that to go through them each time would take too long."""
    if node.depth > DEEP:
        return True
    return node.sink is not None or (node.uses > 1 and not cheap(node))


def through(low: Lowering, node: Node, shape: Sequence[int], view: View) -> Node | None:
    """The node seen through `view`; None if some of what it is computed from cannot be."""
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
    if to_be_kept(node):
        return None
    arguments = []
    for a in node.arguments:
        turned = through(low, a, shape, view)
        if turned is None:
            return None
        arguments.append(turned)
    return Applied(node.operation, node.params, arguments, node.kind, shape, node.uses)


class _Positions(Buffer):
    """What a `Counting` counts, as if the numbers stood in memory, the first one at `first`."""

    __slots__ = ("first",)

    first: Index

    def view(
        self, code: Code, shape: Sequence[int], strides: Sequence[int], offset: Index = 0
    ) -> Buffer:
        """Another view, or none (whose shape is empty) of which the first number is not known."""
        seen = _Positions("", self.kind, shape if isinstance(offset, int) else (), strides)
        seen.first = offset
        return seen


def _recounted(node: Counting, shape: Sequence[int], view: View) -> Node | None:
    """Positions seen through a view; None if they are not a `Counting` any more."""
    seen = view(_Positions("", node.kind, node.shape, node.strides))
    if seen is None or seen.shape != tuple(shape):
        return None
    along = [s for n, s in zip(shape, seen.strides, strict=True) if n != 1]
    if along[-1:] not in ([], [0], [1]):
        return None
    first = seen.first if isinstance(seen, _Positions) and isinstance(seen.first, int) else 0
    return Counting(node.kind, shape, seen.strides, node.first + first)


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


__all__ = ["View", "regrouped", "sliced", "through", "to_be_kept", "viewed"]
