"""Places of the largest and smallest elements along an axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ....core.program import Equation
from ....ops.reduction import argmax, argmin
from ..kinds import INT32, Kind, Unsupported, shuffle, splat
from ..lowering import Lowering, Rule, Value
from ..nest import lane_width
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
        code, real = self.code, self.kind.family == "f"
        mask, lanes = f"<{width} x i1>", width
        begin = [row.load(code, 0, width), _places(code, 0, width)]

        def one(start: Index, values: list[str]) -> list[str]:
            word = row.load(code, start, width)
            better = self._above if real else self.better
            pair = [word, _places(code, start, width)]
            best = self.chosen(better(word, values[0], width), pair, values[:2], width)
            if not real:
                return best
            unknown = code.op(f"fcmp uno {self.kind.typed(width)} {word}, {word}")
            return [*best, code.op(f"or {mask} {values[2]}, {unknown}")]

        carry = list(zip(self.types(width), begin, strict=True))
        # That there is a NaN is looked at apart: a chain of one comparison is half as long as one
        # that also asks whether the best is a NaN.
        nans = [(mask, "zeroinitializer")] if real else []
        best = covering(code, n, width, one, [*carry, *nans])
        unknown, best = best[2:], best[:2]
        while width > 1:
            best, width = self._halved(best, width), width // 2
        found = code.op(f"extractelement <1 x i32> {best[1]}, i64 0")
        if not real:
            return found
        any_nan = code.call("i1", f"@llvm.vector.reduce.or.v{lanes}i1", f"{mask} {unknown[0]}")
        return self._first_nan(row, n, any_nan, found)

    def _above(self, a: str, b: str, width: int) -> str:
        how = "olt" if self.least else "ogt"
        return self.code.op(f"fcmp {how} {self.kind.typed(width)} {a}, {b}")

    def _first_nan(self, row: Row, n: int, there: str, otherwise: str) -> str:
        """The place of the first NaN if there is one."""
        code, typed = self.code, self.kind.typed(0)
        stem = code.name("nan")
        before = code.section.block
        code.branch(there, f"look{stem}", f"done{stem}")
        code.start(f"look{stem}")

        def one(i: str, values: list[str]) -> list[str]:
            place = code.op(f"sub i64 {n - 1}, {i}")
            word = row.load(code, place, 0)
            unknown = code.op(f"fcmp uno {typed} {word}, {word}")
            short = code.op(f"trunc i64 {place} to i32")
            return [code.op(f"select i1 {unknown}, i32 {short}, i32 {values[0]}")]

        (first,) = code.loop(n, one, [("i32", "0")])
        after = code.section.block
        code.jump(f"done{stem}")
        code.start(f"done{stem}")
        return code.op(f"phi i32 [ {otherwise}, %{before} ], [ {first}, %{after} ]")

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


def _places(code: Code, start: Index, width: int) -> str:
    """start, start + 1, ... in lanes of 32 bits."""
    lanes = ", ".join(f"i32 {k}" for k in range(width))
    if start == 0:
        return f"<{lanes}>"
    short = str(start) if isinstance(start, int) else code.op(f"trunc i64 {start} to i32")
    return code.op(f"add {INT32.typed(width)} {splat(code, INT32, short, width)}, <{lanes}>")


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
