"""Products of two strided matrices in loops over tiles of the result that registers hold.

All lengths and steps are known when the code is written, so that no tile needs a test for edges: a
last tile that would stand over the end is moved back, and computes some elements again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import prod
from typing import NamedTuple

from .. import machine
from ..buffers import address
from ..kinds import Kind, Word, constant, extract, load, shuffle, splat, store
from ..text import Code, Index

VECTOR_BYTES = 64 if "+avx512vl" in machine.FEATURES else 32 if "+avx2" in machine.FEATURES else 16
REGISTERS = 16 if VECTOR_BYTES < 64 and machine.TRIPLE.startswith("x86") else 32
"""Vector registers."""
LONG = 512
"""Steps of a sum after which it is put aside and a new one begun, so that errors stay small."""
UNROLLED = 48
"""Products of words up to which they are written one after the other instead of a loop."""


@dataclass(frozen=True)
class Product:
    """c[i, j] = sum over p of a[i, p] b[p, j].

    Attributes:
      kind: of all three.
      m, n, k: how many i, j and p there are.
      a, b, c: how many elements lie from one to the next along each axis.
      sums: further axes that are summed over: how long they are, their steps in a and b.
    """

    kind: Kind
    m: int
    n: int
    k: int
    a: tuple[int, int]
    b: tuple[int, int]
    c: tuple[int, int]
    sums: tuple[tuple[int, int, int], ...] = ()

    @property
    def terms(self) -> int:
        """How many products each sum has."""
        return self.k * prod(n for n, _, _ in self.sums)

    @property
    def turned(self) -> Product:
        """The same of the transposed matrices: b comes first."""
        a, b, c = self.a, self.b, self.c
        sums = tuple((n, y, x) for n, x, y in self.sums)
        return Product(self.kind, self.n, self.m, self.k, b[::-1], a[::-1], c[::-1], sums)

    @property
    def plain(self) -> Product:
        """With step 1 along axes of length 1, where any step will do."""
        m, n, k = self.m, self.n, self.k

        def steps(pair: tuple[int, int], lengths: tuple[int, int]) -> tuple[int, int]:
            first, second = (1 if size == 1 else s for s, size in zip(pair, lengths, strict=True))
            return first, second

        return replace(
            self, a=steps(self.a, (m, k)), b=steps(self.b, (k, n)), c=steps(self.c, (m, n))
        )


Share = tuple[Index, Index] | None
"""Some steps of a loop: the first one, how many; None: all."""
Shares = tuple[Share, Share]
"""Of the loops over rows and over columns of tiles."""


def lanes_of(kind: Kind) -> int:
    """Lanes of a machine register."""
    return max(1, VECTOR_BYTES * 8 // kind.bits)


# ---- arithmetic on words, complex ones included


def parts(word: Word) -> tuple[str, ...]:
    """The names in a word: one, or two of a complex word."""
    return word if isinstance(word, tuple) else (word,)


def word_of(names: Sequence[str]) -> Word:
    """The word of one or two names."""
    return tuple(names) if len(names) == 2 else names[0]


def multiply_add(code: Code, kind: Kind, width: int, a: Word, b: Word, c: Word) -> Word:
    """a * b + c"""
    typed = kind.typed(width)
    if kind.family in "iu":
        return code.op(f"add {typed} {code.op(f'mul {typed} {a}, {b}')}, {c}")
    if kind.family == "f":
        return _fused(code, kind, width, a, b, c)
    (ar, ai), (br, bi), (cr, ci) = a, b, c
    less = code.op(f"fneg {typed} {ai}")
    re = _fused(code, kind, width, less, bi, _fused(code, kind, width, ar, br, cr))
    im = _fused(code, kind, width, ai, br, _fused(code, kind, width, ar, bi, ci))
    return re, im


def _fused(code: Code, kind: Kind, width: int, a: str, b: str, c: str) -> str:
    # fmuladd and not fma, which would be a call of the C library on machines without it.
    typed = kind.typed(width)
    suffix = (f"v{width}" if width else "") + f"f{kind.bits}"
    arguments = [f"{typed} {x}" for x in (a, b, c)]
    return code.call(typed, f"@llvm.fmuladd.{suffix}", *arguments)


def multiply(code: Code, kind: Kind, width: int, a: Word, b: Word) -> Word:
    """a * b"""
    typed = kind.typed(width)
    if kind.family in "iu":
        return code.op(f"mul {typed} {a}, {b}")
    if kind.family == "f":
        return code.op(f"fmul {typed} {a}, {b}")
    (ar, ai), (br, bi) = a, b
    less = code.op(f"fneg {typed} {ai}")
    re = _fused(code, kind, width, less, bi, code.op(f"fmul {typed} {ar}, {br}"))
    im = _fused(code, kind, width, ai, br, code.op(f"fmul {typed} {ar}, {bi}"))
    return re, im


def add(code: Code, kind: Kind, width: int, a: Word, b: Word) -> Word:
    """a + b"""
    how = "add" if kind.family in "iu" else "fadd"
    pairs = zip(parts(a), parts(b), strict=True)
    return word_of([code.op(f"{how} {kind.typed(width)} {x}, {y}") for x, y in pairs])


def shuffled(code: Code, kind: Kind, width: int, a: Word, b: Word, order: Sequence[int]) -> Word:
    """Lanes of two words in a new order."""
    pairs = zip(parts(a), parts(b), strict=True)
    return word_of([shuffle(code, kind.typed(width), x, y, order) for x, y in pairs])


# ---- sums over p


class Sums:
    """Words that a loop adds up, as `Code.loop` carries them."""

    def __init__(self, code: Code, kind: Kind, width: int, count: int) -> None:
        self.code, self.kind, self.width, self.count = code, kind, width, count
        self.typed = kind.typed(width)

    def zeros(self) -> list[Word]:
        """What sums begin with."""
        return [constant(0, self.kind, self.width)] * self.count

    def words(self, values: Sequence[str]) -> list[Word]:
        """The words of carried values."""
        n = self.kind.parts
        return [word_of(values[i * n : (i + 1) * n]) for i in range(self.count)]

    def values(self, words: Sequence[Word]) -> list[str]:
        """The values that carry words."""
        return [part for word in words for part in parts(word)]

    def over(
        self,
        count: int,
        step: Callable[[Index, list[Word]], list[Word]],
        words: list[Word],
        unrolled: bool,
    ) -> list[Word]:
        """`step(i, words)` for i below `count`, from `words` on; its last words."""
        if unrolled or count == 1:
            for i in range(count):
                words = step(i, words)
            return words
        if count <= 2 * LONG or self.kind.family in "iu":
            return self._loop(count, step, words, 0)
        code = self.code

        def block(i: str, values: list[str]) -> list[str]:
            start = code.times(i, LONG)
            left = code.op(f"sub nsw i64 {count}, {start}")
            found = self._loop(code.least(LONG, left), step, self.zeros(), start)
            pairs = zip(self.words(values), found, strict=True)
            return self.values([add(code, self.kind, self.width, a, b) for a, b in pairs])

        carry = [(self.typed, z) for z in self.values(words)]
        return self.words(code.loop(-(-count // LONG), block, carry))

    def _loop(
        self,
        count: Index,
        step: Callable[[Index, list[Word]], list[Word]],
        words: list[Word],
        start: Index,
    ) -> list[Word]:
        def body(i: str, values: list[str]) -> list[str]:
            return self.values(step(self.code.add(start, i), self.words(values)))

        carry = [(self.typed, z) for z in self.values(words)]
        return self.words(self.code.loop(count, body, carry))

    def through(
        self,
        axes: Sequence[tuple[int, int, int]],
        at: tuple[str, str],
        inner: Callable[[str, str, list[Word]], list[Word]],
        words: list[Word],
        unrolled: bool,
    ) -> list[Word]:
        """`inner(a, b, words)` at all places of two arrays that loops over `axes` go to."""
        if not axes:
            return inner(*at, words)
        (count, x, y), code = axes[0], self.code

        def step(i: Index, words: list[Word]) -> list[Word]:
            a, b = (
                address(code, self.kind, p, code.times(i, s))
                for p, s in zip(at, (x, y), strict=True)
            )
            return self.through(axes[1:], (a, b), inner, words, unrolled)

        return self.over(count, step, words, unrolled)


def _total(code: Code, kind: Kind, width: int, words: Sequence[Word]) -> Word:
    """All words added, halves with halves."""
    found = list(words)
    while len(found) > 1:
        pairs = zip(found[::2], found[1::2], strict=False)
        rest = found[-1:] if len(found) % 2 else []
        found = [add(code, kind, width, a, b) for a, b in pairs] + rest
    return found[0]


# ---- tiles: vectors along j


STREAMED = 1 << 20
"""Elements of a matrix that is read once, by rows, from which on half of all registers hold sums,
so that rows are read in long runs, and the processor is told what comes next: 3.5 ms without for
4096 x 4096 float32, 2.2 with them."""
AHEAD = 4
"""Rows between the one that is read then, and the one that is being read."""


class Tile(NamedTuple):
    """Rows, and columns of `width` lanes, of the part of the result that registers hold.

    `sets`: so many sums of every element, for every so many p, so that they do not wait for each
    other. `cost`: about how many cycles the whole product takes.
    """

    rows: int
    columns: int
    width: int
    sets: int
    cost: float


@lru_cache(maxsize=4096)
def tile_of(m: int, n: int, sums: tuple[int, int], lanes: int, parts_: int) -> Tile:
    """The cheapest tile for an m by n result; `sums`: terms of the innermost loop, and of all."""
    k, terms = sums
    width = lanes if n >= lanes else 1 << (n.bit_length() - 1)
    most = -(-n // width)
    if m == 1 and terms * n >= STREAMED and 2 * parts_ * most >= REGISTERS:
        return Tile(1, REGISTERS // (2 * parts_), width if width > 1 else 0, 1, terms * n / lanes)
    options = []
    for columns in range(1, min(most, 8) + 1):
        for rows in range(1, min(m, 14) + 1):
            held = parts_ * rows * columns
            if held + parts_ * (columns + 1) > REGISTERS:
                break
            sets = max(1, min(4, k, -(-8 // (rows * columns)), REGISTERS // (2 * held)))
            products = parts_ * parts_ * rows * columns
            step = max(products / 2, (rows + columns) / 2, 4 / sets)
            tiles = -(-m // rows) * -(-most // columns)
            cost = tiles * (step * terms + 6 + rows * columns * parts_ * sets)
            options.append(Tile(rows, columns, width if width > 1 else 0, sets, cost))
    return min(options, key=lambda t: t.cost)


PANEL = 1 << 17
"""Bytes over which the rows of the second matrix spread, from which on the columns that tiles need
are copied together first: rows a power of 2 apart would share few sets of the cache (1.4 times
the speed at 512 x 512 in float64, 1.7 times at 1024 x 1024 in float32)."""


def room_for(p: Product) -> int:
    """How many elements of scratch memory `tiled` needs."""
    tile = _tile(p)
    if p.sums or p.m < 8 * tile.rows or p.k * p.b[0] * p.kind.size < PANEL:
        return 0
    return p.k * min(p.n, tile.columns * (tile.width or 1))


def _tile(p: Product) -> Tile:
    return tile_of(p.m, p.n, (p.k, p.terms), lanes_of(p.kind), p.kind.parts)


def tile_sizes(p: Product, dots: bool) -> tuple[int, int]:
    """Rows and columns of the parts of the result that `tiled`, or `dotted`, goes over."""
    if dots:
        return _dots_at_once(p)
    tile = _tile(p)
    return tile.rows, tile.columns * (tile.width or 1)


def tiled(
    code: Code, p: Product, a: str, b: str, c: str, room: str, share: Shares = (None, None)
) -> None:
    """Append the loops of a product whose b and c have step 1 along j."""
    tile = _tile(p)
    width = tile.width or 1
    span = tile.columns * width
    offsets = [j * width for j in range(tile.columns)]
    if p.n <= span:
        offsets[-1] = p.n - width
        span = p.n
    packed = bool(room_for(p))
    inner = replace(p, b=(span, 1)) if packed else p

    def columns(j: Index) -> None:
        b_at, c_at = address(code, p.kind, b, j), address(code, p.kind, c, j)
        if packed:
            _panel(code, p, (span, tile.width), offsets, b_at, room)
            b_at = room

        def rows(i: Index) -> None:
            a_here = address(code, p.kind, a, code.times(i, p.a[0]))
            c_here = address(code, p.kind, c_at, code.times(i, p.c[0]))
            _one_tile(code, inner, tile, offsets, a_here, b_at, c_here)

        covered(code, p.m, tile.rows, rows, share[0])

    covered(code, p.n, span, columns, share[1])


def _panel(
    code: Code, p: Product, sizes: tuple[int, int], offsets: list[int], source: str, to: str
) -> None:
    """Copy some columns of b together."""
    span, width = sizes

    def row(i: str, _: list[str]) -> None:
        start = address(code, p.kind, source, code.times(i, p.b[0]))
        end = address(code, p.kind, to, code.times(i, span))
        for o in offsets:
            word = load(code, p.kind, address(code, p.kind, start, o), width)
            store(code, p.kind, word, address(code, p.kind, end, o), width)

    code.loop(p.k, row)


def covered(
    code: Code, count: int, part: int, body: Callable[[Index], None], share: Share = None
) -> None:
    """`body` at the first of each `part` of `count` elements, the last part moved back.

    `share`: the first of the parts to be done, and how many, if not all.
    """
    if count <= part:
        body(0)
        return
    first, steps = share or (0, -(-count // part))

    def place(i: str, _: list[str]) -> None:
        start = code.times(code.add(i, first), part)
        body(code.least(start, count - part) if count % part else start)

    code.loop(steps, place)


def _one_tile(
    code: Code, p: Product, tile: Tile, offsets: list[int], a: str, b: str, c: str
) -> None:
    kind, width, sets = p.kind, tile.width, tile.sets
    size = tile.rows * tile.columns
    sums = Sums(code, kind, width, size * sets)

    def steps(a: str, b: str, first: Index, count: int, words: list[Word]) -> list[Word]:
        a_at = address(code, kind, a, code.times(first, p.a[1]))
        b_at = address(code, kind, b, code.times(first, p.b[0]))
        found = list(words)
        for s in range(count):
            row = [
                load(code, kind, address(code, kind, b_at, s * p.b[0] + o), width) for o in offsets
            ]
            if p.m == 1 and p.terms * p.n >= STREAMED:
                for o in offsets:
                    ahead = address(code, kind, b_at, (s + AHEAD) * p.b[0] + o)
                    how = "i32 0", "i32 3", "i32 1"  # to be read, kept in all caches, data
                    code.call("void", "@llvm.prefetch.p0", f"ptr {ahead}", *how)
            for r in range(tile.rows):
                one = load(code, kind, address(code, kind, a_at, s * p.a[1] + r * p.a[0]), 0)
                spread = splat(code, kind, one, width)
                for q, word in enumerate(row):
                    at = s * size + r * tile.columns + q
                    found[at] = multiply_add(code, kind, width, spread, word, found[at])
        return found

    whole, rest = divmod(p.k, sets)

    def inner(a: str, b: str, words: list[Word]) -> list[Word]:
        def some(i: Index, words: list[Word]) -> list[Word]:
            return steps(a, b, code.times(i, sets), sets, words)

        found = sums.over(whole, some, words, p.k * size <= UNROLLED)
        return steps(a, b, whole * sets, rest, found) if rest else found

    found = sums.through(p.sums, (a, b), inner, sums.zeros(), p.terms * size <= UNROLLED)
    for r in range(tile.rows):
        for q, offset in enumerate(offsets):
            at = r * tile.columns + q
            word = _total(code, kind, width, found[at::size])
            store(code, kind, word, address(code, kind, c, r * p.c[0] + offset), width)


# ---- dot products: vectors along p


def dotted(
    code: Code, p: Product, a: str, b: str, c: str, room: str, share: Shares = (None, None)
) -> None:
    """Append the loops of a product whose a and b have step 1 along p; `room` is not used."""
    lanes = lanes_of(p.kind)
    width = min(lanes, 1 << (p.k.bit_length() - 1))
    rows, columns = _dots_at_once(p)
    sets = max(1, min(8 // (rows * columns), p.k // width))

    def place(i: Index, j: Index) -> None:
        at = [
            address(code, p.kind, q, code.times(t, s))
            for q, t, s in ((a, i, p.a[0]), (b, j, p.b[1]))
        ]
        to = address(code, p.kind, c, code.add(code.times(i, p.c[0]), code.times(j, p.c[1])))
        _some_dots(code, p, (rows, columns, width, sets), at[0], at[1], to)

    def along(j: Index) -> None:
        covered(code, p.m, rows, lambda i: place(i, j), share[0])

    covered(code, p.n, columns, along, share[1])


def _dots_at_once(p: Product) -> tuple[int, int]:
    """Rows and columns of the part of the result that registers hold."""
    columns = min(8 if p.m == 1 else 4, 1 << (p.n.bit_length() - 1))
    return min(p.m, 4 if columns < 4 else 2), columns


def _some_dots(
    code: Code, p: Product, sizes: tuple[int, int, int, int], a: str, b: str, c: str
) -> None:
    kind = p.kind
    rows, columns, lanes, sets = sizes
    width = lanes if lanes > 1 else 0
    size = rows * columns
    sums = Sums(code, kind, width, size * sets)

    def vectors(base: str, at: Index, step: int, count: int, shown: int) -> list[Word]:
        start = address(code, kind, base, at)
        found = [
            load(code, kind, address(code, kind, start, r * step), width) for r in range(count)
        ]
        return [_last_lanes(code, kind, width, word, shown) for word in found]

    def step(a: str, b: str, at: Index, words: list[Word], first: int, shown: int) -> None:
        left = vectors(a, at, p.a[0], rows, shown)
        right = vectors(b, at, p.b[1], columns, shown)
        for r in range(rows):
            for q in range(columns):
                n = first + r * columns + q
                words[n] = multiply_add(code, kind, width, left[r], right[q], words[n])

    whole = p.k // (lanes * sets)

    def inner(a: str, b: str, words: list[Word]) -> list[Word]:
        def some(i: Index, words: list[Word]) -> list[Word]:
            start, found = code.times(i, sets * lanes), list(words)
            for s in range(sets):
                step(a, b, code.add(start, s * lanes), found, s * size, lanes)
            return found

        found = sums.over(whole, some, words, whole * size * sets <= UNROLLED // 2)
        for at in range(whole * sets * lanes, p.k - lanes + 1, lanes):
            step(a, b, at, found, at // lanes % sets * size, lanes)
        if p.k % lanes:
            step(a, b, p.k - lanes, found, 0, p.k % lanes)
        return found

    few = p.terms // lanes * size <= UNROLLED // 2
    found = sums.through(p.sums, (a, b), inner, sums.zeros(), few)
    for r in range(rows):
        accumulated = [
            _total(code, kind, width, found[r * columns + q :: size]) for q in range(columns)
        ]
        word = across(code, kind, width, accumulated)
        to = address(code, kind, c, r * p.c[0])
        store_spread(code, kind, word, to, p.c[1], columns)


def _last_lanes(code: Code, kind: Kind, width: int, word: Word, shown: int) -> Word:
    """Zeros in all lanes but the last `shown`."""
    if shown >= max(width, 1):
        return word
    order = [width + i if i < width - shown else i for i in range(width)]
    return shuffled(code, kind, width, word, constant(0, kind, width), order)


def across(code: Code, kind: Kind, width: int, words: Sequence[Word]) -> Word:
    """The sums of the lanes of each word, as lanes of one word; the words are a power of 2."""
    found, each, lanes = list(words), width or 1, width or 1
    while len(found) > 1 or each > 1:
        half = each // 2
        pairs = (
            list(zip(found[::2], found[1::2], strict=True))
            if len(found) > 1
            else [(found[0], constant(0, kind, width))]
        )
        twice = len(found) > 1
        if not half:
            order = list(range(2 * lanes))
            found = [_joined(code, kind, lanes, x, y, order) for x, y in pairs]
            lanes *= 2
            width = lanes
            continue
        count = 2 * lanes if twice else lanes
        low = [i for i in range(count) if i % each < half]
        high = [i for i in range(count) if i % each >= half]
        sums = []
        for x, y in pairs:
            wide = len(low) if len(low) > 1 else 0
            halves = [_picked(code, kind, lanes, x, y, at) for at in (low, high)]
            sums.append(add(code, kind, wide, *halves))
        found, each, lanes = sums, half, len(low)
        width = lanes if lanes > 1 else 0
    return found[0]


def _picked(code: Code, kind: Kind, lanes: int, x: Word, y: Word, at: list[int]) -> Word:
    if len(at) > 1:
        return shuffled(code, kind, lanes, x, y, at)
    return word_of([extract(code, kind, part, at[0], lanes) for part in parts(x)])


def _joined(code: Code, kind: Kind, lanes: int, x: Word, y: Word, order: list[int]) -> Word:
    if lanes > 1:
        return shuffled(code, kind, lanes, x, y, order)
    made = []
    for one, other in zip(parts(x), parts(y), strict=True):
        first = code.op(f"insertelement {kind.typed(2)} poison, {kind.register} {one}, i64 0")
        made.append(
            code.op(f"insertelement {kind.typed(2)} {first}, {kind.register} {other}, i64 1")
        )
    return word_of(made)


def store_spread(code: Code, kind: Kind, word: Word, pointer: str, step: int, count: int) -> None:
    """Write `count` lanes `step` elements apart."""
    if count == 1 or step == 1:
        store(code, kind, word, pointer, count if count > 1 else 0)
        return
    for i in range(count):
        one = word_of([extract(code, kind, part, i, count) for part in parts(word)])
        store(code, kind, one, address(code, kind, pointer, i * step), 0)
