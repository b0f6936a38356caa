"""Convolutions: sums of products over channels and taps, in the loops of matrix products.

A window is a view of the input, padded before if need be, with axes for its place and for what is
inside: its steps follow from strides and dilations, so that nothing is copied per window.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import gcd, prod
from typing import Any, NamedTuple

from ....core import dtypes
from ....core.program import Equation
from ....core.types import array_type
from ....ops.comparison import ne
from ....ops.convolution import conv_general_dilated, make_plan
from ....ops.convolving import Plan, Spatial
from ....ops.elementwise import add, mul
from ..buffers import Buffer, strides_of
from ..kinds import kind_of
from ..lowering import Lowering, Rule, Value
from ..nodes import InMemory, Scalar
from .contraction import converted, inner_dtype
from .matrices import Axis, written

WORTH_PARTS = 1 << 22
"""Products from which on a convolution of a dilated input is made of several others."""
MOST_TAPS = 32
"""Of a depthwise kernel, up to which each tap is a term of one loop over the channels."""


def _convolution(low: Lowering, eq: Equation, args: list[Value]) -> list[Value]:
    aval, p = eq.outvars[0].aval, eq.params
    plan = make_plan(
        args[0].shape,
        args[1].shape,
        p["window_strides"],
        p["padding"],
        p["lhs_dilation"],
        p["rhs_dilation"],
        p["dimension_numbers"],
        p["feature_group_count"],
        p["batch_group_count"],
    )
    if not args[0].size or not args[1].size:
        return [low.constant_value(0, kind_of(aval.dtype), aval.shape)]
    dtype = inner_dtype(args[0].kind.dtype, args[1].kind.dtype, aval.dtype)
    x, w = (converted(low, a, dtype) for a in args)
    direct = dtype == aval.dtype
    out = low.result_buffer(eq) if direct else low.new_buffer(kind_of(dtype), aval.shape)
    operands = (
        _ordered(low.buffer(x), plan.x_order),
        _ordered(low.buffer(w), plan.w_order),
        _ordered(out, plan.out_order),
    )
    work = aval.size * prod(operands[1].shape[1:])
    if work >= WORTH_PARTS and any(a.x_dilation > 1 for a in plan.axes):
        _in_parts(low, plan, *operands)
    else:
        Convolution(low, plan, *operands).write()
    made = low.memory_value(out)
    if dtypes.kind(aval.dtype) == "b":
        zero = low.constant_value(0, made.kind)
        return [low.elementwise(low.operations[ne], [made, zero], {}, aval)]
    return [converted(low, made, aval.dtype)]


class Convolution:
    """One convolution of arrays whose axes have been brought into a common order.

    Attributes:
      x: (batch, channel, *places), padded.
      w: (out channel, channel, *taps).
      out: (batch, out channel, *places).
    """

    def __init__(self, low: Lowering, plan: Plan, x: Buffer, w: Buffer, out: Buffer) -> None:
        self.low, self.plan, self.w, self.out = low, plan, w, out
        self.x = padded(low, x, plan.axes)
        self.groups = plan.feature_groups * plan.batch_groups
        self.wide = self.w.shape[0] // self.groups

    def write(self) -> None:
        """Append the code."""
        x, w, out, plan = self.x, self.w, self.out, self.plan
        channels, places = w.shape[1], range(2, len(x.shape))
        taps = prod(w.shape[2:])
        depthwise = plan.feature_groups > 1 and channels == 1 and taps <= MOST_TAPS
        if depthwise and x.strides[1] == 1 and out.strides[1] == 1:
            self._depthwise()
            return
        batch = out.shape[0]
        x_step = channels * x.strides[1]
        if plan.batch_groups > 1:
            x_step = batch * x.strides[0]
        group = Axis(self.groups, x_step, self.wide * w.strides[0], self.wide * out.strides[1])
        rows = [
            Axis(out.shape[i], x.strides[i] * a.stride, 0, out.strides[i])
            for i, a in zip(places, plan.axes, strict=True)
        ]
        rows.insert(0, Axis(batch, x.strides[0], 0, out.strides[0]))
        sums = [
            Axis(a.k, x.strides[i] * a.w_dilation, w.strides[i], 0)
            for i, a in zip(places, plan.axes, strict=True)
        ]
        sums.append(Axis(channels, x.strides[1], w.strides[1], 0))
        rows.sort(key=lambda a: -abs(a.out))
        sums.sort(key=lambda a: -abs(a.y))
        columns = [Axis(self.wide, 0, w.strides[0], out.strides[1])]
        written(self.low, (x, w, out), rows, columns, sums, [group])

    # ---- one channel in each group: one loop over places and channels

    def _depthwise(self) -> None:
        low, x, w, out, plan = self.low, self.x, self.w, self.out, self.plan
        groups, wide = self.groups, self.wide
        shape = (out.shape[0], *out.shape[2:], groups, wide)
        x_steps = [s * a.stride for s, a in zip(x.strides[2:], plan.axes, strict=True)]
        x_steps = [x.strides[0], *x_steps, x.strides[1], 0]
        w_steps = [*[0] * (len(shape) - 2), wide * w.strides[0], w.strides[0]]
        aval = array_type(shape, x.kind.dtype)
        total = None
        for tap in product(*(range(a.k) for a in plan.axes)):
            x_at = sum(
                t * a.w_dilation * s for t, a, s in zip(tap, plan.axes, x.strides[2:], strict=True)
            )
            w_at = sum(t * s for t, s in zip(tap, w.strides[2:], strict=True))
            factors = [
                Value(x.kind, shape, node=InMemory(b.view(low.code, shape, steps, at)))
                for b, steps, at in ((x, x_steps, x_at), (w, w_steps, w_at))
            ]
            term = low.elementwise(low.operations[mul], factors, {}, aval)
            if total is None:
                total = term
            else:
                total = low.elementwise(low.operations[add], [total, term], {}, aval)
        steps = [out.strides[0], *out.strides[2:], wide * out.strides[1], out.strides[1]]
        assert total is not None
        low.write(total, Buffer(out.pointer, out.kind, shape, steps, out.storage))


# ---- a dilated input: of each result only some taps meet elements, not the zeros between


def _in_parts(low: Lowering, plan: Plan, x: Buffer, w: Buffer, out: Buffer) -> None:
    """As convolutions without dilation, one for all results that the same taps make."""
    axes = [_parts(a) for a in plan.axes]
    if any(part.axis.k == 0 for parts in axes for part in parts):
        low.write(_zeros(low, out), out)
    for parts in product(*axes):
        if any(part.axis.k == 0 for part in parts):
            continue
        taps = _part_of(low, w, [(p.tap, p.tap_step, p.axis.k) for p in parts])
        places = _part_of(low, out, [(p.place, p.place_step, p.axis.out) for p in parts])
        inner = plan._replace(axes=tuple(p.axis for p in parts))
        Convolution(low, inner, x, taps, places).write()


class Part(NamedTuple):
    """Some results along one axis, and the taps that they need.

    Attributes:
      axis: the convolution of these only.
      tap, tap_step: which taps.
      place, place_step: which results.
    """

    axis: Spatial
    tap: int = 0
    tap_step: int = 1
    place: int = 0
    place_step: int = 1


def _parts(a: Spatial) -> list[Part]:
    d = a.x_dilation
    if d == 1 or a.stride > 1 or gcd(d, a.w_dilation) > 1:
        return [Part(a)]
    found = []
    for place in range(min(d, a.out)):
        # Tap t of result y meets an element where y + t w_dilation - low is a multiple of d.
        taps = [t for t in range(a.k) if (place + t * a.w_dilation - a.low) % d == 0]
        count = len(range(place, a.out, d))
        tap = taps[0] if taps else 0
        first = (place + tap * a.w_dilation - a.low) // d
        axis = Spatial(a.n, len(taps), count, 1, -first, 0, 1, a.w_dilation)
        found.append(Part(axis, tap, d, place, d))
    return found


def _part_of(low: Lowering, b: Buffer, parts: Sequence[tuple[int, int, int]]) -> Buffer:
    """Elements from a first one on, so many steps apart, along each axis after the second."""
    inner = list(zip(b.strides[2:], parts, strict=True))
    at = sum(step * first for step, (first, _, _) in inner)
    shape = [*b.shape[:2], *(count for _, _, count in parts)]
    steps = [*b.strides[:2], *(step * apart for step, (_, apart, _) in inner)]
    return b.view(low.code, shape, steps, at)


def _zeros(low: Lowering, like: Buffer) -> Value:
    lanes = low.lanes(low.constant_value(0, like.kind))
    return Value(like.kind, like.shape, node=Scalar(lanes))


# ---- padding


def _ordered(b: Buffer, order: Sequence[int]) -> Buffer:
    shape, strides = [b.shape[i] for i in order], [b.strides[i] for i in order]
    return Buffer(b.pointer, b.kind, shape, strides, b.storage)


def padded(low: Lowering, x: Buffer, axes: Sequence[Spatial]) -> Buffer:
    """The input with its padding and dilation, cut to what windows reach: a view, if that can be.

    The axes are batch, channel, and those of `axes`; a copy has them in the order of `x`'s memory.
    """
    spaces = [Reached(a) for a in axes]
    cut = [(0, x.shape[0]), (0, x.shape[1]), *((s.first, s.count) for s in spaces)]
    offset = sum(first * step for (first, _), step in zip(cut, x.strides, strict=True))
    inside = [count for _, count in cut]
    seen = x.view(low.code, inside, x.strides, offset if all(inside) else 0)
    if all(s.whole for s in spaces):
        return seen
    shape = [*x.shape[:2], *(s.length for s in spaces)]
    order = sorted(range(len(shape)), key=lambda i: (-abs(x.strides[i]), i))
    room = low.new_buffer(x.kind, [shape[i] for i in order])
    steps = dict(zip(order, strides_of(room.shape), strict=True))
    low.write(_zeros(low, room), room)
    made = Buffer(room.pointer, x.kind, shape, [steps[i] for i in range(len(shape))], room.storage)
    if all(inside):
        at = sum(s.start * made.strides[i + 2] for i, s in enumerate(spaces))
        apart = [1, 1, *(a.x_dilation for a in axes)]
        into = [s * d for s, d in zip(made.strides, apart, strict=True)]
        target = made.view(low.code, inside, into, at)
        low.write(low.memory_value(_ordered(seen, order)), _ordered(target, order))
    return made


class Reached:
    """What windows reach of one axis.

    Attributes:
      length: of the padded axis.
      first, count: the elements of the input that are inside.
      start: where the first of them lies.
      whole: whether they are all there is.
    """

    def __init__(self, a: Spatial) -> None:
        d = a.x_dilation
        self.length = (a.out - 1) * a.stride + (a.k - 1) * a.w_dilation + 1
        self.first = -(a.low // d) if a.low < 0 else 0
        last = min(a.n, (self.length - 1 - a.low) // d + 1)
        self.count = max(0, last - self.first)
        self.start = a.low + self.first * d
        self.whole = d == 1 and self.start == 0 and self.count == self.length


RULES: dict[Any, Rule] = {conv_general_dilated: _convolution}
