"""Functions that sort whole numbers in memory; programs that sort call them.

Items are one or two columns: keys, which are compared, and places, which go with them and decide
between equal keys. Short rows are sorted by Batcher's bitonic network (Knuth, The Art of Computer
Programming, vol. 3, 5.3.4), in which whole vectors are compared and exchanged; long ones by radix,
byte after byte from the lowest (5.2.5).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..kinds import shuffle
from ..text import Code, Index, Module

WIDTHS = {32: 16, 64: 8}
"""Lanes of a vector of keys, by their bits."""


@dataclass(frozen=True)
class Items:
    """The columns of what is sorted.

    Attributes:
      bits: of a key; a place has as many.
      places: whether there is a column of places.
      low, high: the bytes of a key that radix looks at.
    """

    bits: int
    places: bool = False
    low: int = 0
    high: int = 0

    @property
    def types(self) -> list[str]:
        """The type of an element of each column."""
        return [f"i{self.bits}"] * (2 if self.places else 1)

    @property
    def stem(self) -> str:
        """Part of the names of functions for such items."""
        return f"{self.bits}{'p' * self.places}"

    def long(self, n: int) -> bool:
        """Whether radix is faster for n items."""
        return n > (512 if self.places else LONGEST[self.bits, self.high - self.low])


LONGEST = {
    **{(bits, passes): 256 * passes for bits in (32, 64) for passes in (1, 2)},
    (32, 4): 32768,
    (64, 4): 8192,
    (64, 8): 32768,
}
"""The most items that the network sorts faster than so many passes of radix (measured)."""


def padded(n: int, items: Items) -> int:
    """The length of the columns for n items: what is behind them must be the largest key."""
    if items.long(n):
        return n
    size = WIDTHS[items.bits]
    while size < n:
        size *= 2
    return size


def given(n: int, items: Items) -> int:
    """The number of items, as the function that sorts them takes it: whole vectors."""
    return n if items.long(n) else -(-n // WIDTHS[items.bits]) * WIDTHS[items.bits]


def sorter(module: Module, items: Items, n: int) -> str:
    """The function that sorts n items: `i1 (ptr keys, ptr other, ptr places, ptr other, i64 n)`.

    The n that it takes is `given`; all columns are as long as `padded` says. The result is whether
    the sorted items are in the other columns. The network compares keys with sign, radix without.
    """
    if items.long(n):
        name = f"@sort_radix_{items.stem}_{items.low}_{items.high}"
        return _once(module, name, lambda code: _radix(code, items))
    return _once(module, f"@sort_short_{items.stem}", lambda code: _network(code, items))


def _once(module: Module, name: str, write: Callable[[Code], None]) -> str:
    head = f"define internal i1 {name}("
    if not any(f.startswith(head) for f in module.functions):
        code = Code(module)
        write(code)
        body = "\n".join(code.whole.flat())
        arguments = "ptr %keys, ptr %other, ptr %places, ptr %other_places, i64 %n"
        module.functions.append(f"{head}{arguments}) {{\nentry:\n{body}\n}}")
    return name


def _at(code: Code, items: Items, columns: Sequence[str], i: Index) -> list[str]:
    return [code.at(c, i, t) for c, t in zip(columns, items.types, strict=False)]


def _load(code: Code, items: Items, columns: Sequence[str], i: Index, width: int = 0) -> list[str]:
    align = items.bits // 8
    return [
        code.op(f"load {_typed(items, width)}, ptr {p}, align {align}")
        for p in _at(code, items, columns, i)
    ]


def _store(
    code: Code,
    items: Items,
    words: Sequence[str],
    columns: Sequence[str],
    i: Index,
    width: int = 0,
) -> None:
    for p, word in zip(_at(code, items, columns, i), words, strict=True):
        code.line(f"store {_typed(items, width)} {word}, ptr {p}, align {items.bits // 8}")


def _typed(items: Items, width: int) -> str:
    return f"<{width} x i{items.bits}>" if width else f"i{items.bits}"


# ---- the network


def sorted_lanes(code: Code, items: Items, words: Sequence[str], width: int) -> list[str]:
    """The items in the lanes of vectors, sorted; `width` is a power of 2."""
    words, size = list(words), 2
    while size <= width:
        order = [k // size * size + size - 1 - k % size for k in range(width)]
        words = _exchanged(code, items, words, order)
        words = _finished(code, items, words, size // 4, width)
        size *= 2
    return words


def _network(code: Code, items: Items) -> None:
    """Sorted blocks of twice the length in each round: one half is compared with the other from
    behind, and then the quarters of each half, and so on.

    The last block may be short: the largest keys, which stand behind it, never move, so that pairs
    which begin among them are left out.
    """
    columns, width = ["%keys", "%places"], WIDTHS[items.bits]

    def begin(i: str, _: list[str]) -> None:
        words = sorted_lanes(code, items, _load(code, items, columns, i, width), width)
        _store(code, items, words, columns, i, width)

    code.loop("%n", begin, step=width)
    before = code.section.block
    code.jump("round")
    code.start("round")
    phis = code.open_section()
    code.branch(code.op("icmp slt i64 %half, %n"), "merge", "leave")
    code.start("leave")
    code.line("ret i1 false")
    code.start("merge")
    pairs = _count(code, "%half", 1)
    code.loop(pairs, lambda t, _: _from_behind(code, items, columns, t), step=width)
    _by_distances(code, items, columns)

    def end(i: str, _: list[str]) -> None:
        words = _load(code, items, columns, i, width)
        words = _finished(code, items, words, width // 2, width)
        _store(code, items, words, columns, i, width)

    code.loop("%n", end, step=width)
    double = code.op("shl i64 %half, 1")
    back = code.section.block
    code.jump("round")
    phis.lines.append(f"  %half = phi i64 [ {width}, %{before} ], [ {double}, %{back} ]")


def _from_behind(code: Code, items: Items, columns: Sequence[str], t: str) -> None:
    """Compare item i of a block of two halves with item i from its end."""
    width = WIDTHS[items.bits]
    mask = code.op("sub i64 %half, 1")
    inner = code.op(f"and i64 {t}, {mask}")
    first = code.op(f"add i64 {t}, {code.op(f'sub i64 {t}, {inner}')}")
    base = code.op(f"sub i64 {first}, {inner}")
    end = code.op(f"add i64 {base}, {code.op('shl i64 %half, 1')}")
    last = code.op(f"sub i64 {end}, {code.op(f'add i64 {inner}, {width}')}")
    lower = _load(code, items, columns, first, width)
    upper = [_reversed(code, items, w) for w in _load(code, items, columns, last, width)]
    small, large = _ordered(code, items, lower, upper, width)
    _store(code, items, small, columns, first, width)
    _store(code, items, [_reversed(code, items, w) for w in large], columns, last, width)


def _by_distances(code: Code, items: Items, columns: Sequence[str]) -> None:
    """Compare items half / 2 apart, half / 4, and so on down to the width of a vector.

    Two distances are done together, with four vectors, as long as there are two: what takes the
    time is to load and store.
    """
    width = WIDTHS[items.bits]
    start = code.op("lshr i64 %half, 1")
    before = code.section.block
    code.jump("nearer")
    code.start("nearer")
    phis = code.open_section()
    code.branch(code.op(f"icmp sge i64 %distance, {2 * width}"), "both", "single")
    code.start("both")
    closer = code.op("lshr i64 %distance, 1")
    fours = _count(code, closer, 2)
    code.loop(fours, lambda t, _: _four(code, items, columns, t, closer), step=width)
    quartered = code.op("lshr i64 %distance, 2")
    back = code.section.block
    code.jump("nearer")
    phis.lines.append(f"  %distance = phi i64 [ {start}, %{before} ], [ {quartered}, %{back} ]")
    code.start("single")
    code.branch(code.op(f"icmp sge i64 %distance, {width}"), "last", "near")
    code.start("last")
    code.loop(_count(code, "%distance", 1), lambda t, _: _two(code, items, columns, t), step=width)
    code.jump("near")
    code.start("near")


def _count(code: Code, distance: str, doublings: int) -> str:
    """How many items among the first %n begin pairs (1), or fours (2), that are `distance` apart:
    all of them, of the first `distance` of each block of 2 (or 4) times as many."""
    size = code.op(f"shl i64 {distance}, {doublings}")
    rest = code.op(f"and i64 %n, {code.op(f'sub i64 {size}, 1')}")
    whole = code.op(f"lshr i64 {code.op(f'sub i64 %n, {rest}')}, {doublings}")
    return code.op(f"add i64 {whole}, {code.least(rest, distance)}")


def _place(code: Code, t: str, distance: str, times: int) -> str:
    """Where item t of those that begin pairs (or fours) is: blocks of `distance` items, each with
    what they are compared with behind them."""
    mask = code.op(f"sub i64 {distance}, 1")
    inner = code.op(f"and i64 {t}, {mask}")
    outer = code.op(f"mul i64 {code.op(f'sub i64 {t}, {inner}')}, {times}")
    return code.op(f"add i64 {outer}, {inner}")


def _two(code: Code, items: Items, columns: Sequence[str], t: str) -> None:
    width = WIDTHS[items.bits]
    first = _place(code, t, "%distance", 2)
    second = code.op(f"add i64 {first}, %distance")
    lower, upper = (_load(code, items, columns, i, width) for i in (first, second))
    small, large = _ordered(code, items, lower, upper, width)
    _store(code, items, small, columns, first, width)
    _store(code, items, large, columns, second, width)


def _four(code: Code, items: Items, columns: Sequence[str], t: str, closer: str) -> None:
    """Items 0, 1, 2, 3 times `closer` apart: 0 with 2 and 1 with 3, then 0 with 1 and 2 with 3."""
    width = WIDTHS[items.bits]
    at = [_place(code, t, closer, 4)]
    for _ in range(3):
        at.append(code.op(f"add i64 {at[-1]}, {closer}"))
    a, b, c, d = (_load(code, items, columns, i, width) for i in at)
    a, c = _ordered(code, items, a, c, width)
    b, d = _ordered(code, items, b, d, width)
    found = [*_ordered(code, items, a, b, width), *_ordered(code, items, c, d, width)]
    for words, i in zip(found, at, strict=True):
        _store(code, items, words, columns, i, width)


def _finished(
    code: Code, items: Items, words: Sequence[str], distance: int, width: int
) -> list[str]:
    """Compare lanes `distance` apart, half of it, and so on down to neighbours."""
    words = list(words)
    while distance >= 1:
        words = _exchanged(code, items, words, [k ^ distance for k in range(width)])
        distance //= 2
    return words


def _exchanged(code: Code, items: Items, words: Sequence[str], partner: Sequence[int]) -> list[str]:
    """Each lane compared with its partner; the lower lane gets the smaller item."""
    width = len(partner)
    typed = _typed(items, width)
    others = [shuffle(code, typed, w, "poison", partner) for w in words]
    small, large = _ordered(code, items, words, others, width)
    chosen = [k if k < p else width + k for k, p in enumerate(partner)]
    return [shuffle(code, typed, a, b, chosen) for a, b in zip(small, large, strict=True)]


def _reversed(code: Code, items: Items, word: str) -> str:
    width = WIDTHS[items.bits]
    return shuffle(code, _typed(items, width), word, "poison", range(width - 1, -1, -1))


def _ordered(
    code: Code, items: Items, a: Sequence[str], b: Sequence[str], width: int
) -> tuple[list[str], list[str]]:
    """The smaller and the larger items of two vectors, lane by lane."""
    typed = _typed(items, width)
    if not items.places:
        low, high = (
            code.call(
                typed, f"@llvm.{f}.v{width}i{items.bits}", f"{typed} {a[0]}", f"{typed} {b[0]}"
            )
            for f in ("smin", "smax")
        )
        return [low], [high]
    mask = f"<{width} x i1>"
    below = code.op(f"icmp slt {typed} {a[0]}, {b[0]}")
    equal = code.op(f"icmp eq {typed} {a[0]}, {b[0]}")
    before = code.op(f"icmp slt {typed} {a[1]}, {b[1]}")
    first = code.op(f"or {mask} {below}, {code.op(f'and {mask} {equal}, {before}')}")
    pairs = list(zip(a, b, strict=True))
    low_words = [code.op(f"select {mask} {first}, {typed} {x}, {typed} {y}") for x, y in pairs]
    high_words = [code.op(f"select {mask} {first}, {typed} {y}, {typed} {x}") for x, y in pairs]
    return low_words, high_words


# ---- radix


def _radix(code: Code, items: Items) -> None:
    count = items.high - items.low
    counts = code.op(f"alloca [{count * 256} x i32], align 64")
    code.module.declare("declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)")
    code.line(
        f"call void @llvm.memset.p0.i64(ptr align 64 {counts}, i8 0, i64 {count * 1024}, i1 false)"
    )
    tables = [code.at(counts, 256 * b, "i32") for b in range(count)]

    def tally(i: str, _: list[str]) -> None:
        (key, *_rest) = _load(code, items, ["%keys", "%places"], i)
        for b, table in enumerate(tables):
            place = code.at(table, _digit(code, items, key, items.low + b), "i32")
            old = code.op(f"load i32, ptr {place}")
            code.line(f"store i32 {code.op(f'add i32 {old}, 1')}, ptr {place}")

    code.loop("%n", tally)
    swapped = "false"
    for b, table in enumerate(tables):
        swapped = _radix_pass(code, items, items.low + b, table, swapped)
    code.line(f"ret i1 {swapped}")


def _digit(code: Code, items: Items, key: str, byte: int) -> str:
    typed = f"i{items.bits}"
    if byte:
        key = code.op(f"lshr {typed} {key}, {8 * byte}")
    found = code.op(f"and {typed} {key}, 255")
    return found if items.bits == 64 else code.op(f"zext {typed} {found} to i64")


def _two_sides(code: Code, swapped: str) -> tuple[list[str], list[str]]:
    """The columns to read and those to write."""
    names = [("%keys", "%other"), ("%places", "%other_places")]
    source = [code.op(f"select i1 {swapped}, ptr {b}, ptr {a}") for a, b in names]
    target = [code.op(f"select i1 {swapped}, ptr {a}, ptr {b}") for a, b in names]
    return source, target


def _radix_pass(code: Code, items: Items, byte: int, table: str, swapped: str) -> str:
    """Distribute by one byte, unless all keys have the same."""
    source, target = _two_sides(code, swapped)
    key = _load(code, items, source, 0)[0]
    same = code.op(f"load i32, ptr {code.at(table, _digit(code, items, key, byte), 'i32')}")
    total = code.op("trunc i64 %n to i32")
    needless = code.op(f"icmp eq i32 {same}, {total}")
    stem = code.name("byte")
    begin = code.section.block
    code.branch(needless, f"skip{stem}", f"do{stem}")
    code.start(f"do{stem}")

    def add_up(i: str, values: list[str]) -> list[str]:
        place = code.at(table, i, "i32")
        here = code.op(f"load i32, ptr {place}")
        code.line(f"store i32 {values[0]}, ptr {place}")
        return [code.op(f"add i32 {values[0]}, {here}")]

    code.loop(256, add_up, [("i32", "0")])

    def give_out(i: str, _: list[str]) -> None:
        words = _load(code, items, source, i)
        place = code.at(table, _digit(code, items, words[0], byte), "i32")
        to = code.op(f"load i32, ptr {place}")
        code.line(f"store i32 {code.op(f'add i32 {to}, 1')}, ptr {place}")
        _store(code, items, words, target, code.op(f"zext i32 {to} to i64"))

    code.loop("%n", give_out)
    turned = code.op(f"xor i1 {swapped}, true")
    end = code.section.block
    code.jump(f"skip{stem}")
    code.start(f"skip{stem}")
    return code.op(f"phi i1 [ {swapped}, %{begin} ], [ {turned}, %{end} ]")
