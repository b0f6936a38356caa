"""The first few of many in order: what cannot be among them is left out before anything is sorted.

Numbers better than the last of the best so far are collected; when there is no more room they are
sorted together with the best. Of n numbers in random order about k log(n / k) are ever collected.
"""

from __future__ import annotations

from collections.abc import Callable

from ..buffers import Buffer
from ..kinds import INT32, INT64
from ..lowering import Lowering
from ..text import Index
from . import ordering
from .ordering import Items
from .windows import covering

ROOM = 512
"""Numbers that are sorted at a time."""
WIDTH = 16
"""Numbers that are looked at together."""
MOST = (1 << 63) - 1


def worth_while(k: int, n: int) -> bool:
    """Whether to choose rather than to sort all."""
    return k <= ROOM // 4 and n >= 4 * ROOM


class Chosen:
    """Scratch memory for choosing from rows of n numbers, and the code of one row."""

    def __init__(self, low: Lowering, k: int, n: int) -> None:
        self.low, self.code, self.k, self.n = low, low.code, k, n
        self.buffer: Buffer = low.new_buffer(INT64, (ROOM + WIDTH,))
        self.items = Items(64, low=4, high=8)

    def choose(self, numbers: Callable[[Index, int], str]) -> str:
        """The address of the first k: i64, the place in the low half of each.

        `numbers(start, width)` writes keys, i32 with sign: the smallest are wanted.
        """
        code, base = self.code, self.buffer.pointer

        def begin(start: Index, _: list[str]) -> None:
            word = self._packed(numbers(start, WIDTH), start)
            at = code.at(base, start, "i64")
            code.line(f"store <{WIDTH} x i64> {word}, ptr {at}, align 8")

        covering(code, ROOM, WIDTH, begin)
        bound = self._sorted()
        left = self.n - ROOM

        def look(i: Index, values: list[str]) -> list[str]:
            last = self.n - WIDTH
            index = code.add(i, ROOM)
            start = code.least(index, last) if left % WIDTH else index
            keys = numbers(start, WIDTH)
            mask = self._below(keys, values[0])
            if left % WIDTH:  # the last of them overlap what has been looked at
                mask = self._fresh(mask, index, start)
            return self._collected(keys, mask, start, values)

        _, count = code.loop(left, look, [("i32", bound), ("i64", str(self.k))], step=WIDTH)
        self._fill(count)
        self._sorted()
        return base

    def _packed(self, keys: str, start: Index) -> str:
        code, wide = self.code, f"<{WIDTH} x i64>"
        long = code.op(f"zext <{WIDTH} x i32> {keys} to {wide}")
        high = code.op(f"shl {wide} {long}, splat (i64 32)")
        return code.op(f"or {wide} {high}, {self._counted(start, INT64.register)}")

    def _counted(self, start: Index, scalar: str) -> str:
        code, typed = self.code, f"<{WIDTH} x {scalar}>"
        lanes = ", ".join(f"{scalar} {k}" for k in range(WIDTH))
        if start == 0:
            return f"<{lanes}>"
        return code.op(f"add {typed} {self._spread(str(start), scalar)}, <{lanes}>")

    def _spread(self, word: str, scalar: str) -> str:
        code, typed = self.code, f"<{WIDTH} x {scalar}>"
        first = code.op(f"insertelement {typed} poison, {scalar} {word}, i64 0")
        zeros = f"<{WIDTH} x i32> zeroinitializer"
        return code.op(f"shufflevector {typed} {first}, {typed} poison, {zeros}")

    def _below(self, keys: str, bound: str) -> str:
        wide = self._spread(bound, INT32.register)
        return self.code.op(f"icmp slt <{WIDTH} x i32> {keys}, {wide}")

    def _fresh(self, mask: str, index: Index, start: Index) -> str:
        code = self.code
        skipped = code.op(f"sub i64 {index}, {start}")
        lanes = ", ".join(f"i64 {k}" for k in range(WIDTH))
        new = code.op(f"icmp sge <{WIDTH} x i64> <{lanes}>, {self._spread(skipped, 'i64')}")
        return code.op(f"and <{WIDTH} x i1> {mask}, {new}")

    def _collected(self, keys: str, mask: str, start: Index, values: list[str]) -> list[str]:
        """The bound and the count, after what the mask holds for has been collected."""
        code = self.code
        stem = code.name("chosen")
        bits = code.op(f"bitcast <{WIDTH} x i1> {mask} to i{WIDTH}")
        none = code.op(f"icmp eq i{WIDTH} {bits}, 0")
        before = code.section.block
        code.branch(none, f"go{stem}", f"add{stem}")
        code.start(f"add{stem}")
        count = self._append(self._packed(keys, start), bits, values[1])
        full = code.op(f"icmp sgt i64 {count}, {ROOM - WIDTH}")
        added = code.section.block
        code.branch(full, f"sort{stem}", f"go{stem}")
        code.start(f"sort{stem}")
        self._fill(count)
        bound = self._sorted()
        sorted_at = code.section.block
        code.jump(f"go{stem}")
        code.start(f"go{stem}")
        blocks = (before, added, sorted_at)
        bounds = zip((values[0], values[0], bound), blocks, strict=True)
        counts = zip((values[1], count, str(self.k)), blocks, strict=True)
        return [
            code.op(f"phi {typed} " + ", ".join(f"[ {v}, %{b} ]" for v, b in pairs))
            for typed, pairs in (("i32", bounds), ("i64", counts))
        ]

    def _append(self, packed: str, bits: str, count: str) -> str:
        """Each number is written behind the others, and stays there if its bit is set."""
        code = self.code
        wide = code.op(f"zext i{WIDTH} {bits} to i64")
        for k in range(WIDTH):
            one = code.op(f"extractelement <{WIDTH} x i64> {packed}, i64 {k}")
            at = code.at(self.buffer.pointer, count, "i64")
            code.line(f"store i64 {one}, ptr {at}, align 8")
            moved = code.op(f"lshr i64 {wide}, {k}") if k else wide
            count = code.op(f"add i64 {count}, {code.op(f'and i64 {moved}, 1')}")
        return count

    def _fill(self, count: str) -> None:
        """Behind the numbers come the largest ones: up to a vector beyond the room for them."""
        code = self.code
        left = code.op(f"sub i64 {ROOM}, {count}")

        def one(i: str, _: list[str]) -> None:
            at = code.at(self.buffer.pointer, code.op(f"add i64 {count}, {i}"), "i64")
            code.line(f"store <{WIDTH} x i64> splat (i64 {MOST}), ptr {at}, align 8")

        # Once at least: `count` is at most ROOM, and there is room for a vector behind that.
        code.loop(left, one, step=WIDTH)

    def _sorted(self) -> str:
        """Sort all; the bound: the key of the last of the best."""
        code, base = self.code, self.buffer.pointer
        name = ordering.sorter(code.module, self.items, ROOM)
        code.call("i1", name, *[f"ptr {base}"] * 4, f"i64 {ROOM}")
        last = code.op(f"load i64, ptr {code.at(base, self.k - 1, 'i64')}, align 8")
        return code.op(f"trunc i64 {code.op(f'ashr i64 {last}, 32')} to i32")
