"""Places of the largest and smallest elements along an axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ....core.program import Equation
from ....ops.reduction import argmax, argmin
from ..kinds import INT32, Kind, Unsupported, shuffle, splat
from ..lowering import Lowering, Rule, Value
from ..nest import count_up, lane_width
from ..operations.conversion import converted
from ..site import Site
from ..text import Code, Index
from .lines import Row, each_line, over_axis
from .windows import covering


@dataclass(frozen=True)
class Search:
    """The best element so far and its place, in each lane.

    Attributes:
      kind: of the elements.
      least: whether the smallest is the best.
    """

    code: Code
    kind: Kind
    least: bool

    def better(self, a: str, b: str, width: int) -> str:
        """A mask: a is better than b; a NaN is better than all but a NaN."""
        code, typed = self.code, self.kind.typed(width)
        mask = f"<{width} x i1>" if width else "i1"
        if self.kind.family == "f":
            how = "ult" if self.least else "ugt"
            beyond = code.op(f"fcmp {how} {typed} {a}, {b}")
            known = code.op(f"fcmp ord {typed} {b}, {b}")
            return code.op(f"and {mask} {beyond}, {known}")
        how = "s" if self.kind.family == "i" else "u"
        return code.op(f"icmp {how}{'lt' if self.least else 'gt'} {typed} {a}, {b}")

    def chosen(self, mask: str, a: Sequence[str], b: Sequence[str], width: int) -> list[str]:
        """(element, place): of a where the mask holds, else of b."""
        masks = f"<{width} x i1>" if width else "i1"
        types = self.kind.typed(width), INT32.typed(width)
        return [
            self.code.op(f"select {masks} {mask}, {t} {x}, {t} {y}")
            for t, x, y in zip(types, a, b, strict=True)
        ]

    def types(self, width: int) -> list[str]:
        """Of (element, place)."""
        return [self.kind.typed(width), INT32.typed(width)]

    def beside(self, row: Row, n: int, width: int) -> str:
        """The places in some lines beside each other."""
        code = self.code
        first = row.beside(code, 0, width)
        if n == 1:
            return splat(code, INT32, "0", width)  # type: ignore[no-any-return]

        def one(i: str, values: list[str]) -> list[str]:
            place = code.add(i, 1)
            word = row.beside(code, place, width)
            short = code.op(f"trunc i64 {place} to i32")
            mask = self.better(word, values[0], width)
            return self.chosen(mask, [word, splat(code, INT32, short, width)], values, width)

        begin = [first, splat(code, INT32, "0", width)]
        return code.loop(n - 1, one, list(zip(self.types(width), begin, strict=True)))[1]

    def along(self, row: Row, n: int, width: int) -> str:
        """The place in a line whose elements stand side by side: the best in each lane, then the
        best of the lanes."""
        code = self.code
        begin = [row.load(code, 0, width), count_up(code, INT32, 0, width)]

        def one(start: Index, values: list[str]) -> list[str]:
            word = row.load(code, start, width)
            mask = self.better(word, values[0], width)
            return self.chosen(mask, [word, count_up(code, INT32, start, width)], values, width)

        carry = list(zip(self.types(width), begin, strict=True))
        best = covering(code, n, width, one, carry)
        while width > 1:
            best, width = self._halved(best, width), width // 2
        return code.op(f"extractelement <1 x i32> {best[1]}, i64 0")

    def _halved(self, best: Sequence[str], width: int) -> list[str]:
        """The better of each lane of the first half and that of the second."""
        code, half = self.code, width // 2
        types = self.types(width)
        low, high = (
            [
                shuffle(code, t, w, "poison", range(k, k + half))
                for t, w in zip(types, best, strict=True)
            ]
            for k in (0, half)
        )
        mask = f"<{half} x i1>"
        above = self.better(high[0], low[0], half)
        below = self.better(low[0], high[0], half)
        earlier = code.op(f"icmp slt <{half} x i32> {high[1]}, {low[1]}")
        tied = code.op(f"select {mask} {below}, {mask} zeroinitializer, {mask} {earlier}")
        return self.chosen(code.op(f"or {mask} {above}, {tied}"), high, low, half)


def _place(low: Lowering, eq: Equation, args: list[Value]) -> list[Value]:
    (value,) = args
    (axis,) = eq.params["axes"]
    n, kind, code = value.shape[axis], value.kind, low.code
    if n >= 1 << 31:
        raise Unsupported(f"{eq.primitive.name} along more than 2**31 elements")
    source, target = low.buffer(value), low.result_buffer(eq)
    search = Search(code, kind, eq.primitive is argmin)

    def body(rows: list[Row], width: int) -> None:
        there, here = rows
        lanes = lane_width(n, kind.size) if there.stride == 1 and not width else 0
        found = search.along(there, n, lanes) if lanes else search.beside(there, n, width)
        site = Site(code, (INT32,), here.kind, width)
        here.put_beside(code, 0, converted(site, found, INT32, here.kind), width)

    size = max(kind.bits // 8, 4)
    each_line(code, [source, over_axis(target, axis, n)], axis, body, size)
    return [low.memory_value(target)]


RULES: dict[Any, Rule] = {argmax: _place, argmin: _place}
