"""Reductions over windows: as operations on slices; the chosen elements of windows in loops."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from ....core.program import ClosedProgram, Equation, trace_program
from ....core.trace import EVAL, inside
from ....core.types import ArrayType
from ....ops.comparison import max_, min_
from ....ops.elementwise import add, convert_element_type
from ....ops.pooling import (
    reduce_window_max,
    reduce_window_min,
    reduce_window_sum,
    reduce_windows,
    select_and_gather_add,
    select_and_scatter_add,
)
from ....ops.reduction import extreme_value
from ....ops.slicing import pad, slice_along
from ....transforms.simplify import simplify
from ..buffers import Buffer, address
from ..kinds import FLOAT32, Kind, kind_of, load, store
from ..lowering import Lowering, Rule, Value
from ..nodes import Scalar
from ..text import Index

# ---- sums and extrema: a chain of operations on slices for each axis, which fusion makes one loop


def _reduction(low: Lowering, eq: Equation, args: list[Value]) -> list[Value]:
    windows = tuple(sorted(eq.params.items()))
    return low.closed(_program(eq.primitive, eq.invars[0].aval, windows), args)


@lru_cache(maxsize=1024)
def _program(primitive: Any, x: ArrayType, windows: tuple[tuple[str, Any], ...]) -> ClosedProgram:
    narrow = kind_of(x.dtype).narrow and primitive is reduce_window_sum
    inner = FLOAT32.dtype if narrow else x.dtype

    def function(x: Any) -> list[Any]:
        if narrow:
            x = convert_element_type(x, new_dtype=inner, weak_type=False)
        operation: Any = add
        if primitive is reduce_window_sum:
            fill = inner.type(0)
        else:
            largest = primitive is reduce_window_max
            operation = max_ if largest else min_
            fill = extreme_value(inner, "min" if largest else "max")
        (out,) = reduce_windows(
            [x],
            [fill],
            lambda a, b: [operation(a[0], b[0])],
            **dict(windows),
            cut=slice_along,
            padded=pad,
        )
        if narrow:
            out = convert_element_type(out, new_dtype=kind_of(x_type.dtype).dtype, weak_type=False)
        return [out]

    x_type = x
    with inside(EVAL):
        return simplify(trace_program(function, [x]))


# ---- the element of each window that is largest or smallest


class Windows:
    """Loops over the windows of an array, and over the elements of each.

    Attributes:
      x: where the largest ("ge") or smallest ("le") elements are looked for.
      places: how many windows there are along each axis.
    """

    def __init__(self, low: Lowering, eq: Equation, x: Buffer, places: Sequence[int]) -> None:
        self.low, self.code, self.x, self.places = low, low.code, x, tuple(places)
        p, ones = eq.params, (1,) * len(x.shape)
        self.sizes, self.strides = p["window_dimensions"], p["window_strides"]
        self.padding = p["padding"]
        self.base = p.get("base_dilation") or ones
        self.apart = p.get("window_dilation") or ones
        self.how = "ogt" if p["select_prim"] == "ge" else "olt"

    def each(self, body: Callable[[list[Index], str, str], None]) -> None:
        """`body(place, chosen, found)` in each window: the element's offset in `x`, from its first
        element; whether there is any.
        """
        self._level([], body)

    def _level(self, place: list[Index], body: Callable[[list[Index], str, str], None]) -> None:
        if len(place) == len(self.places):
            body(place, *self._chosen(place))
            return
        count = self.places[len(place)]
        if count == 1:
            self._level([*place, 0], body)
            return
        self.code.loop(count, lambda i, _: self._level([*place, i], body))

    def _chosen(self, place: list[Index]) -> tuple[str, str]:
        kind = self.x.kind.typed(0)
        carry = [(kind, _zero(self.x.kind)), ("i64", "0"), ("i1", "false")]
        values = self._tap(place, [], carry)
        return values[1], values[2]

    def _tap(
        self,
        place: list[Index],
        at: list[tuple[Index, str | None]],
        carry: list[tuple[str, str]],
    ) -> list[str]:
        """`at`: for each axis that has been settled, the offset, and whether it is inside."""
        axis, code = len(at), self.code
        if axis == len(self.sizes):
            return self._better(at, [v for _, v in carry])

        def body(t: Index, values: list[str]) -> list[str]:
            here = self._coordinate(axis, place[axis], t)
            inner = [(k, v) for (k, _), v in zip(carry, values, strict=True)]
            return self._tap(place, [*at, here], inner)

        if self.sizes[axis] == 1:
            return body(0, [v for _, v in carry])
        return code.loop(self.sizes[axis], body, carry)

    def _coordinate(self, axis: int, place: Index, tap: Index) -> tuple[Index, str | None]:
        code, n = self.code, self.x.shape[axis]
        step, low, base = self.x.strides[axis], self.padding[axis][0], self.base[axis]
        far = (self.places[axis] - 1) * self.strides[axis]
        far += (self.sizes[axis] - 1) * self.apart[axis] - low
        at = code.add(code.times(place, self.strides[axis]), code.times(tap, self.apart[axis]))
        at = code.add(at, -low)
        if low <= 0 and far < n and base == 1:
            return code.times(at, step), None
        if base > 1:
            over = code.op(f"srem i64 {at}, {base}")
            fits = code.op(f"icmp eq i64 {over}, 0")
            at = code.op(f"sdiv i64 {at}, {base}")
        # As an unsigned number, a negative one is large. -1 / 2 is 0: then the rest is not 0.
        inside_ = code.op(f"icmp ult i64 {at}, {n}")
        if base > 1:
            inside_ = code.op(f"and i1 {inside_}, {fits}")
        at = code.op(f"select i1 {inside_}, i64 {at}, i64 0")
        return code.times(at, step), inside_

    def _better(self, at: list[tuple[Index, str | None]], values: list[str]) -> list[str]:
        code, kind = self.code, self.x.kind
        best, chosen, found = values
        offset: Index = 0
        inside_ = None
        for step, fits in at:
            offset = code.add(offset, step)
            if fits is not None:
                inside_ = fits if inside_ is None else code.op(f"and i1 {inside_}, {fits}")
        value = load(code, kind, address(code, kind, self.x.pointer, offset), 0)
        typed = kind.typed(0)
        better = code.op(f"fcmp {self.how} {typed} {value}, {best}")
        nan = code.op(f"fcmp uno {typed} {value}, {value}")
        number = code.op(f"fcmp ord {typed} {best}, {best}")
        better = code.op(f"or i1 {better}, {code.op(f'and i1 {nan}, {number}')}")
        better = code.op(f"or i1 {better}, {code.op(f'xor i1 {found}, true')}")
        if inside_ is not None:
            better = code.op(f"and i1 {better}, {inside_}")
        return [
            code.op(f"select i1 {better}, {typed} {value}, {typed} {best}"),
            code.op(f"select i1 {better}, i64 {offset}, i64 {chosen}"),
            code.op(f"or i1 {better}, {found}"),
        ]


def _zero(kind: Kind) -> str:
    return "0.0" if kind.family == "f" else "0"


def _gathered(low: Lowering, eq: Equation, args: list[Value]) -> list[Value]:
    tangents, x = (low.contiguous(a) for a in args)
    out, code = low.result_buffer(eq), low.code
    if not x.size:
        return [low.constant_value(0, out.kind, out.shape)]

    def one(place: list[Index], chosen: str, found: str) -> None:
        value = load(code, out.kind, address(code, out.kind, tangents.pointer, chosen), 0)
        typed = out.kind.typed(0)
        value = code.op(f"select i1 {found}, {typed} {value}, {typed} 0.0")
        to = address(code, out.kind, out.pointer, out.offset(code, place))
        store(code, out.kind, value, to, 0)

    Windows(low, eq, x, out.shape).each(one)
    low.report.spend(f"the elements chosen of {out.size} windows", 8.0 * _work(eq, out.size))
    return [low.memory_value(out)]


def _scattered(low: Lowering, eq: Equation, args: list[Value]) -> list[Value]:
    source, x = low.buffer(args[0]), low.contiguous(args[1])
    kind, code = x.kind, low.code
    # Many windows may meet in one element: 16-bit floats are added in float32.
    inner = FLOAT32 if kind.narrow else kind
    out = low.result_buffer(eq)
    sums = low.new_buffer(inner, out.shape) if inner is not kind or not out.contiguous else out
    zero = low.constant_value(0, inner)
    low.write(Value(inner, out.shape, node=Scalar(low.lanes(zero))), sums)
    if source.size:

        def one(place: list[Index], chosen: str, found: str) -> None:
            at = address(code, kind, source.pointer, source.offset(code, place))
            value, typed = load(code, kind, at, 0), inner.typed(0)
            value = code.op(f"select i1 {found}, {typed} {value}, {typed} 0.0")
            to = address(code, inner, sums.pointer, chosen)
            before = load(code, inner, to, 0)
            store(code, inner, code.op(f"fadd {typed} {before}, {value}"), to, 0)

        Windows(low, eq, x, source.shape).each(one)
        low.report.spend(
            f"sums of the chosen of {source.size} windows", 8.0 * _work(eq, source.size)
        )
    if sums is out:
        return [low.memory_value(out)]
    made = low.memory_value(sums)
    if inner is not kind:
        operation = low.operations[convert_element_type]
        params = {"new_dtype": kind.dtype, "weak_type": False}
        made = low.elementwise(operation, [made], params, eq.outvars[0].aval)
    low.write(made, out)
    return [low.memory_value(out)]


def _work(eq: Equation, windows: int) -> int:
    for n in eq.params["window_dimensions"]:
        windows *= n
    return windows


RULES: dict[Any, Rule] = {
    reduce_window_sum: _reduction,
    reduce_window_max: _reduction,
    reduce_window_min: _reduction,
    select_and_gather_add: _gathered,
    select_and_scatter_add: _scattered,
}
