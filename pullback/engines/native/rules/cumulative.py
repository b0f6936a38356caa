"""Prefix sums and their like, along one axis.

Lines beside each other are vectors. In a line on its own, a vector of consecutive elements is
combined with itself moved by 1, 2, 4, ... lanes (Hillis and Steele, "Data parallel algorithms",
1986), and then with what has come before it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ....core.program import Equation
from ....ops.comparison import max_, min_
from ....ops.cumulative import cumlogsumexp, cummax, cummin, cumprod, cumsum
from ....ops.elementwise import add, mul
from ..kinds import FLOAT64, Kind, Word, constant, extract, kind_of, load, shuffle, splat, store
from ..lowering import Lowering, Rule, Value
from ..operations import OPERATIONS
from ..operations.calls import called
from ..operations.conversion import converted
from ..site import Site
from ..text import Index
from .lines import Row, each_line

LANES = 8
"""Of a vector along a line: doubling the lanes costs one more step for each of them."""


@dataclass(frozen=True)
class Scan:
    """How elements are combined.

    Attributes:
      combine: `combine(site, a, b)`; a comes before b.
      first: what changes nothing, for kinds without parts.
      exact: whether it is computed in the kind of the elements; else in 64 bits.
    """

    combine: Callable[[Site, Word, Word], Word]
    first: Callable[[Kind], Any]
    exact: bool = False

    def inner(self, kind: Kind) -> Kind:
        """What is computed in."""
        if kind.family == "c":
            return kind if self.exact else kind_of(np.complex128)
        return FLOAT64 if kind.family == "f" and not self.exact else kind

    def parallel(self, kind: Kind) -> bool:
        """Whether there is an element that changes nothing: none does in a complex product (of
        infinities) or extremum."""
        return kind.family != "c" or self.combine is _sums


def _operation(primitive: Any) -> Callable[[Site, Word, Word], Word]:
    def combine(site: Site, a: Word, b: Word) -> Word:
        return OPERATIONS[primitive].emit(site, a, b)

    return combine


def _log_add(site: Site, a: Word, b: Word) -> Word:
    """log(exp(a) + exp(b)): the larger and a correction, as NumPy's."""
    lanes = site.floats
    equal = lanes.compare("oeq", a, b)
    difference = lanes.sub(a, b)
    above = lanes.compare("ogt", a, b)
    # Of a NaN this is a NaN; of equal infinities it is not used.
    larger = lanes.select(above, a, lanes.sub(a, difference))
    larger = lanes.select(lanes.compare("olt", a, b), b, larger)
    small = lanes.neg(lanes.intrinsic("fabs", difference))
    correction = called(site, "log1p", FLOAT64, called(site, "exp", FLOAT64, small))
    twice = lanes.add(a, lanes.const(float(np.log(2.0))))
    return lanes.select(equal, twice, lanes.add(larger, correction))


def _lowest(kind: Kind) -> Any:
    return -np.inf if kind.family in "fc" else np.iinfo(kind.dtype).min


def _highest(kind: Kind) -> Any:
    return np.inf if kind.family in "fc" else np.iinfo(kind.dtype).max


_sums = _operation(add)
SCANS: dict[Any, Scan] = {
    # x + -0 is x also where x is -0.
    cumsum: Scan(_sums, lambda kind: -0.0 if kind.family == "f" else 0),
    cumprod: Scan(_operation(mul), lambda kind: 1),
    cummax: Scan(_operation(max_), _lowest, exact=True),
    cummin: Scan(_operation(min_), _highest, exact=True),
    cumlogsumexp: Scan(_log_add, lambda kind: -np.inf),
}


class Line:
    """One line, or some beside each other, that are being written."""

    def __init__(self, low: Lowering, scan: Scan, kind: Kind, n: int, reverse: bool) -> None:
        self.code, self.scan, self.kind = low.code, scan, kind
        self.n, self.reverse = n, reverse
        self.inner = scan.inner(kind)

    def turned(self, i: Index) -> Index:
        """The place of element i: from the end, if reverse."""
        if not self.reverse:
            return i
        if isinstance(i, int):
            return self.n - 1 - i
        return self.code.op(f"sub nsw i64 {self.n - 1}, {i}")

    def widened(self, word: Word, width: int) -> Word:
        """Elements as what is computed in."""
        site = Site(self.code, (self.kind,), self.inner, width)
        return converted(site, word, self.kind, self.inner)

    def narrowed(self, word: Word, width: int) -> Word:
        """What was computed as elements."""
        site = Site(self.code, (self.inner,), self.kind, width)
        return converted(site, word, self.inner, self.kind)

    def combined(self, a: Word, b: Word, width: int) -> Word:
        """Two words of what is computed in."""
        site = Site(self.code, (self.inner, self.inner), self.inner, width)
        return self.scan.combine(site, a, b)

    def in_steps(self, source: Row, target: Row, width: int, start: int, before: Word) -> None:
        """Element by element from `start` on; `before` is None at the beginning."""
        code = self.code
        if before is None:
            word = source.beside(code, self.turned(0), width)
            target.put_beside(code, self.turned(0), word, width)
            before, start = self.widened(word, width), 1
        if start == self.n:
            return

        def one(i: Index, values: list[str]) -> list[str]:
            place = self.turned(code.add(i, start))
            word = self.widened(source.beside(code, place, width), width)
            word = self.combined(_grouped(values), word, width)
            target.put_beside(code, place, self.narrowed(word, width), width)
            return _parts(word)

        carry = [(self.inner.typed(width), p) for p in _parts(before)]
        code.loop(self.n - start, one, carry)

    def in_vectors(self, source: Row, target: Row, width: int) -> None:
        """Vectors along the line, then what is left in steps."""
        code, inner = self.code, self.inner
        whole = self.n // width * width
        nothing = splat(code, inner, constant(self.scan.first(inner), inner, 0), width)

        def one(i: Index, values: list[str]) -> list[str]:
            word = self.widened(self._read(source, i, width), width)
            word = self._prefixes(word, nothing, width)
            total = self._last(word, width)
            before = _grouped(values)
            word = self.combined(before, word, width)
            self._write(target, i, self.narrowed(word, width), width)
            return _parts(self.combined(before, total, width))

        typed = inner.typed(width)
        last = code.loop(whole, one, [(typed, p) for p in _parts(nothing)], step=width)
        if whole < self.n:
            lanes = tuple(extract(code, inner, p, 0, width) for p in last)
            self.in_steps(source, target, 0, whole, _grouped(lanes))

    def _place(self, i: Index, width: int) -> Index:
        """Where the elements i, i + 1, ... begin: with the last of them, if reverse."""
        if not self.reverse:
            return i
        if isinstance(i, int):
            return self.n - width - i
        return self.code.op(f"sub nsw i64 {self.n - width}, {i}")

    def _read(self, source: Row, i: Index, width: int) -> Word:
        word = load(self.code, self.kind, source.at(self.code, self._place(i, width)), width)
        return self._flipped(word, width)

    def _write(self, target: Row, i: Index, word: Word, width: int) -> None:
        at = target.at(self.code, self._place(i, width))
        store(self.code, self.kind, self._flipped(word, width), at, width)

    def _flipped(self, word: Word, width: int) -> Word:
        if not self.reverse:
            return word
        return self._moved(self.kind, word, word, range(width - 1, -1, -1), width)

    def _moved(self, kind: Kind, a: Word, b: Word, order: Any, width: int) -> Word:
        pairs = zip(_parts(a), _parts(b), strict=True)
        return _grouped([shuffle(self.code, kind.typed(width), x, y, order) for x, y in pairs])

    def _prefixes(self, word: Word, nothing: Word, width: int) -> Word:
        step = 1
        while step < width:
            order = [k - step if k >= step else width + k for k in range(width)]
            earlier = self._moved(self.inner, word, nothing, order, width)
            word = self.combined(earlier, word, width)
            step *= 2
        return word

    def _last(self, word: Word, width: int) -> Word:
        return self._moved(self.inner, word, word, [width - 1] * width, width)


def _parts(word: Word) -> list[str]:
    return list(word) if isinstance(word, tuple) else [word]


def _grouped(parts: Any) -> Word:
    return parts[0] if len(parts) == 1 else tuple(parts)


def _cumulative(low: Lowering, eq: Equation, args: list[Value]) -> list[Value]:
    (value,) = args
    axis, reverse = eq.params["axis"], eq.params["reverse"]
    scan, kind, n = SCANS[eq.primitive], value.kind, value.shape[axis]
    if n == 1:
        return [value]
    source, target = low.buffer(value), low.result_buffer(eq)

    def body(rows: list[Row], width: int) -> None:
        there, here = rows
        line = Line(low, scan, kind, n, reverse)
        straight = there.stride == here.stride == 1 and not width
        lanes = min(LANES, 1 << (n.bit_length() - 1))
        if straight and scan.parallel(kind) and lanes > 2:
            line.in_vectors(there, here, lanes)
        else:
            line.in_steps(there, here, width, 0, None)

    each_line(low.code, [source, target], axis, body, size=max(scan.inner(kind).bits // 8, 4))
    return [low.memory_value(target)]


RULES: dict[Any, Rule] = dict.fromkeys(SCANS, _cumulative)
