"""Small arrays in registers. Moving their elements costs nothing until a vector is needed."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from .kinds import Kind, Word, extract, insert, shuffle
from .text import Code

MOST = 32
"""Elements of the largest array that is kept in registers."""


class Source:
    """An SSA vector, or scalar (width 0)."""

    __slots__ = ("name", "width")

    def __init__(self, name: str, width: int) -> None:
        self.name, self.width = name, width


Pick = tuple[Source, int]
"""One lane of a source."""


class Lanes:
    """An array whose elements are lanes of SSA values, in C order.

    Attributes:
      parts: for each part (real, imaginary) the pick of each element.
    """

    __slots__ = ("kind", "parts", "shape")

    def __init__(self, kind: Kind, shape: Sequence[int], parts: Sequence[Sequence[Pick]]) -> None:
        self.kind, self.shape = kind, tuple(shape)
        self.parts = [list(p) for p in parts]

    @property
    def size(self) -> int:
        """The number of elements."""
        return len(self.parts[0])

    @classmethod
    def of_word(cls, kind: Kind, shape: Sequence[int], word: Word) -> Lanes:
        """The array that a word holds: a vector of its size, or a scalar if it has one element."""
        size = prod(shape)
        width = size if size > 1 else 0
        parts = []
        for part in word if isinstance(word, tuple) else (word,):
            source = Source(part, width)
            parts.append([(source, i) for i in range(size)])
        return cls(kind, shape, parts)

    def taken(self, order: Any) -> Lanes:
        """The elements at flat positions `order`, an integer array of the new shape."""
        flat = np.asarray(order).reshape(-1).tolist()
        return Lanes(self.kind, np.shape(order), [[p[i] for i in flat] for p in self.parts])

    @staticmethod
    def joined(arrays: Sequence[Lanes]) -> Lanes:
        """The elements of all arrays one after the other, flat."""
        first = arrays[0]
        parts = [[pick for a in arrays for pick in a.parts[k]] for k in range(len(first.parts))]
        return Lanes(first.kind, (len(parts[0]),), parts)


class Registers:
    """Makes words of Lanes, each once for the code in scope."""

    def __init__(self, code: Code) -> None:
        self.code = code
        self.memos: list[dict[Any, Any]] = [{}]

    def enter(self) -> None:
        """Begin code that later code does not follow: what is made in it is forgotten after."""
        self.memos.append({})

    def leave(self) -> None:
        """End it."""
        self.memos.pop()

    def known(self, key: Any) -> Any:
        """What has been kept under `key` in code that comes before."""
        for memo in reversed(self.memos):
            if key in memo:
                return memo[key]
        return None

    def keep(self, key: Any, value: Any) -> Any:
        """Keep `value` while the present code is in scope."""
        self.memos[-1][key] = value
        return value

    def word(self, lanes: Lanes) -> Word:
        """All elements: a vector, or a scalar if there is one element."""
        words = tuple(self._part_word(lanes.kind, picks) for picks in lanes.parts)
        return words if lanes.kind.family == "c" else words[0]

    def scalar(self, lanes: Lanes, i: int) -> Word:
        """One element, at a flat position."""
        words = tuple(self._lane(lanes.kind, picks[i]) for picks in lanes.parts)
        return words if lanes.kind.family == "c" else words[0]

    def _lane(self, kind: Kind, pick: Pick) -> str:
        source, lane = pick
        if not source.width:
            return source.name
        key = (source, lane)
        return self.known(key) or self.keep(
            key, extract(self.code, kind, source.name, lane, source.width)
        )

    def _part_word(self, kind: Kind, picks: list[Pick]) -> str:
        count = len(picks)
        if count == 1:
            return self._lane(kind, picks[0])
        first = picks[0][0]
        if first.width == count and all(s is first and i == k for k, (s, i) in enumerate(picks)):
            return first.name
        key = tuple(picks)
        found = self.known(key)
        if found is None:
            found = self.keep(key, self._assembled(kind, picks))
        return found

    def _assembled(self, kind: Kind, picks: list[Pick]) -> str:
        """A vector of lanes from several sources: vectors by shuffles, scalars one by one."""
        count = len(picks)
        places: dict[Source, list[tuple[int, int]]] = {}
        for place, (source, lane) in enumerate(picks):
            places.setdefault(source, []).append((place, lane))
        if len(places) == 1 and not picks[0][0].width:
            return self._spread(kind, picks[0][0].name, count)
        vectors = [s for s in places if s.width and len(places[s]) > 1]
        word, filled = "poison", False
        for source in vectors:
            order = [-1] * count
            for place, lane in places[source]:
                order[place] = lane
            moved = self._shuffled(kind, source, order)
            word = self._blended(kind, word, moved, order, count) if filled else moved
            filled = True
        for source, at in places.items():
            if source in vectors:
                continue
            for place, lane in at:
                scalar = self._lane(kind, (source, lane))
                word = insert(self.code, kind, word, scalar, place, count)
        return word

    def _spread(self, kind: Kind, name: str, count: int) -> str:
        if not name.startswith("%"):
            return f"splat ({kind.register} {name})"
        typed = kind.typed(count)
        first = self.code.op(f"insertelement {typed} poison, {kind.register} {name}, i64 0")
        zeros = f"<{count} x i32> zeroinitializer"
        return self.code.op(f"shufflevector {typed} {first}, {typed} poison, {zeros}")

    def _shuffled(self, kind: Kind, source: Source, order: list[int]) -> str:
        if order == list(range(source.width)):
            return source.name
        return shuffle(self.code, kind.typed(source.width), source.name, "poison", order)

    def _blended(self, kind: Kind, word: str, moved: str, order: list[int], count: int) -> str:
        mixed = [count + i if at >= 0 else i for i, at in enumerate(order)]
        return shuffle(self.code, kind.typed(count), word, moved, mixed)
