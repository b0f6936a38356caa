"""Sorting along one axis: elements become whole numbers of the same order, which are sorted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ....core.program import Equation
from ....ops.approximate import approx_top_k
from ....ops.sorting import sort, top_k
from ..kinds import (
    INT32,
    INT64,
    Kind,
    Unsupported,
    extract,
    load,
    shuffle,
    store,
)
from ..lowering import Lowering, Rule, Value, empty_value
from ..nest import count_up, lane_width
from ..nodes import Counting
from ..text import Code, Index
from . import ordering
from .keys import Key, everywhere, vector
from .lines import Row, each_line
from .ordering import WIDTHS, Items, sorted_lanes
from .selection import Chosen, worth_while
from .windows import covering, raw_load, raw_store

# ---- one row


class Columns:
    """Scratch memory for sorting rows of n elements.

    Attributes:
      items: what is sorted. By several keys one after the other, each of them.
    """

    def __init__(self, low: Lowering, n: int, items: Sequence[Items]) -> None:
        self.low, self.n = low, n
        if n >= 1 << 31:
            raise Unsupported("sorting more than 2**31 elements")
        length = max(ordering.padded(n, i) for i in items)
        places = any(i.places for i in items)
        self.keys = [low.new_buffer(INT64, (length,)) for _ in range(2)]
        self.places = [low.new_buffer(INT64, (length,)) for _ in range(2 if places else 0)]
        self.ranks = [low.new_buffer(INT32, (n,)) for _ in range(2 if len(items) > 1 else 0)]

    def sort(self, items: Items, keys: str, places: str) -> tuple[str, str]:
        """Sort what begins at these addresses, of `keys` and `places`; the addresses where it is
        then."""
        code = self.low.code
        name = ordering.sorter(code.module, items, self.n)
        other = self.keys[1].pointer
        other_places = self.places[1].pointer if self.places else keys
        swapped = code.call(
            "i1",
            name,
            f"ptr {keys}",
            f"ptr {other}",
            f"ptr {places}",
            f"ptr {other_places}",
            f"i64 {ordering.given(self.n, items)}",
        )
        return (
            code.op(f"select i1 {swapped}, ptr {other}, ptr {keys}"),
            code.op(f"select i1 {swapped}, ptr {other_places}, ptr {places}"),
        )

    def pad(self, items: Items) -> None:
        """Behind the items come the largest numbers."""
        code, n, bits = self.low.code, self.n, items.bits
        columns = [self.keys[0], *self.places[: int(items.places)]]
        left = ordering.padded(n, items) - n
        width = lane_width(left, bits // 8)
        typed = vector(f"i{bits}", width)
        most = everywhere(f"i{bits}", (1 << (bits - 1)) - 1, width)

        def fill(start: Index, _: list[str]) -> None:
            for column in columns:
                at = code.at(column.pointer, code.add(start, n), f"i{bits}")
                code.line(f"store {typed} {most}, ptr {at}, align {bits // 8}")

        if left:
            covering(code, left, width, fill)


def _width(n: int, kind: Kind, stride: int) -> int:
    """Lanes for a loop over a row: some loops work on 64 bits for each element."""
    return lane_width(n, 8) if stride == 1 else 0


def _sort_values(low: Lowering, columns: Columns, source: Row, target: Row) -> None:
    """A row on its own."""
    code, n = low.code, columns.n
    key = Key(source.kind)
    if n <= WIDTHS[key.bits]:
        _sort_lanes(low, key, n, source, target)
        return
    items = Items(key.bits, low=0, high=key.span)
    signed = not items.long(n)
    typed = f"i{key.bits}"
    base = columns.keys[0].pointer
    width = _width(n, source.kind, source.stride)

    def encode(start: Index, _: list[str]) -> None:
        found = key.encode(code, source.load(code, start, width), width, signed)
        at = code.at(base, start, typed)
        code.line(f"store {vector(typed, width)} {found}, ptr {at}, align {key.bits // 8}")

    covering(code, n, width, encode)
    columns.pad(items)
    keys, _ = columns.sort(items, base, base)
    wide = _width(n, target.kind, target.stride)

    def decode(start: Index, _: list[str]) -> None:
        at = code.at(keys, start, typed)
        word = code.op(f"load {vector(typed, wide)}, ptr {at}, align {key.bits // 8}")
        found = key.decode(code, word, wide, signed)
        store(code, target.kind, found, target.at(code, start), wide)

    covering(code, n, wide, decode)
    if source.kind.family == "f":
        _mend_zeros(low, n, source, target)


def _sort_lanes(low: Lowering, key: Key, n: int, source: Row, target: Row) -> None:
    """A row that fits into a vector."""
    code, kind = low.code, key.kind
    word = source.load(code, 0, n)
    numbers = key.encode(code, word, n, signed=True)
    items = Items(key.bits)
    numbers, width = _filled(code, numbers, key.bits, n)
    (numbers,) = sorted_lanes(code, items, [numbers], width)
    numbers = shuffle(code, f"<{width} x i{key.bits}>", numbers, "poison", range(n))
    found = key.decode(code, numbers, n, signed=True)
    if target.stride == 1:
        store(code, kind, found, target.at(code, 0), n)
    else:
        for i in range(n):
            store(code, kind, extract(code, kind, found, i, n), target.at(code, i), 0)
    if kind.family == "f":
        zeros = _any(code, _negative_zeros(code, kind, word, n), n)
        _mend_where(low, zeros, n, source, target)


def _filled(code: Code, numbers: str, bits: int, n: int) -> tuple[str, int]:
    """n numbers and the largest behind them, in a vector of a power of 2; its lanes."""
    width = 1 << (n - 1).bit_length()
    most = everywhere(f"i{bits}", (1 << (bits - 1)) - 1, n)
    order = [k if k < n else n for k in range(width)]
    return shuffle(code, f"<{n} x i{bits}>", numbers, most, order), width


def _mend_zeros(low: Lowering, n: int, source: Row, target: Row) -> None:
    """Keys do not tell zeros of different sign apart: put each back in the order they came in."""
    code, kind = low.code, source.kind
    width = _width(n, kind, source.stride)
    mask = vector("i1", width)

    def look(start: Index, values: list[str]) -> list[str]:
        same = _negative_zeros(code, kind, source.load(code, start, width), width)
        return [code.op(f"or {mask} {values[0]}, {same}")]

    none = "zeroinitializer" if width else "false"
    (found,) = covering(code, n, width, look, [(mask, none)])
    _mend_where(low, _any(code, found, width), n, source, target)


def _negative_zeros(code: Code, kind: Kind, word: str, width: int) -> str:
    """A mask of the lanes that hold -0."""
    typed = vector(f"i{kind.bits}", width)
    bits = code.op(f"bitcast {kind.typed(width)} {word} to {typed}")
    return code.op(
        f"icmp eq {typed} {bits}, {everywhere(f'i{kind.bits}', 1 << (kind.bits - 1), width)}"
    )


def _any(code: Code, mask: str, width: int) -> str:
    if not width:
        return mask
    return code.call("i1", f"@llvm.vector.reduce.or.v{width}i1", f"<{width} x i1> {mask}")


def _mend_where(low: Lowering, found: str, n: int, source: Row, target: Row) -> None:
    code, kind = low.code, source.kind
    stem = code.name("zeros")
    code.branch(found, f"mend{stem}", f"done{stem}")
    code.start(f"mend{stem}")
    typed = kind.typed(0)

    def count(i: str, values: list[str]) -> list[str]:
        below = code.op(f"fcmp olt {typed} {source.load(code, i, 0)}, 0.0")
        return [code.op(f"add i64 {values[0]}, {code.op(f'zext i1 {below} to i64')}")]

    (first,) = code.loop(n, count, [("i64", "0")])

    def put(i: str, values: list[str]) -> list[str]:
        word = source.load(code, i, 0)
        zero = code.op(f"fcmp oeq {typed} {word}, 0.0")
        # What is no zero is written where it will be overwritten, or back where it stands.
        place = code.least(values[0], n - 1)
        old = load(code, kind, target.at(code, place), 0)
        new = code.op(f"select i1 {zero}, {typed} {word}, {typed} {old}")
        store(code, kind, new, target.at(code, place), 0)
        return [code.op(f"add i64 {values[0]}, {code.op(f'zext i1 {zero} to i64')}")]

    code.loop(n, put, [("i64", first)])
    code.jump(f"done{stem}")
    code.start(f"done{stem}")


@dataclass
class Order:
    """The places of a row's elements in order: the low 32 bits of each number of `bits`."""

    pointer: str
    bits: int

    def place(self, code: Code, i: Index, width: int = 0) -> str:
        """One place, or `width` of them, as i32."""
        small, large = (vector(t, width) for t in ("i32", f"i{self.bits}"))
        at = code.at(self.pointer, i, f"i{self.bits}")
        found = code.op(f"load {large}, ptr {at}, align {self.bits // 8}")
        return found if self.bits == 32 else code.op(f"trunc {large} {found} to {small}")


def _items(keys: Sequence[Key], places: bool) -> list[Items]:
    """What is sorted by these keys: one after the other, and with places unless there is one key
    that leaves room for the place, or no places are needed."""
    if len(keys) == 1 and not places:
        return [Items(keys[0].bits, low=0, high=keys[0].span)]
    if len(keys) == 1 and keys[0].bits == 32:
        return [Items(64, low=4, high=4 + keys[0].span)]
    return [Items(k.bits, places=True, low=0, high=k.span) for k in keys]


def _order(low: Lowering, columns: Columns, keys: Sequence[tuple[Key, Row, int]]) -> Order:
    """The order by several keys: (key, row, part of complex numbers).

    The last key is sorted by first: a stable sort by one before it keeps what that has ordered.
    """
    each = _items([key for key, _, _ in keys], places=True)
    if not each[0].places:
        return _order_packed(low, columns, each[0], *keys[0])
    code, n, order = low.code, columns.n, None
    for k, (items, (key, row, part)) in enumerate(zip(reversed(each), reversed(keys), strict=True)):
        _encode_placed(columns, items, key, row, part, order)
        columns.pad(items)
        _, places = columns.sort(items, columns.keys[0].pointer, columns.places[0].pointer)
        found = Order(places, items.bits)
        if len(keys) == 1:
            return found
        order = _combined(code, n, order, found, columns.ranks[k % 2].pointer)
    assert order is not None
    return order


def _combined(code: Code, n: int, first: Order | None, then: Order, target: str) -> Order:
    """The places in an order of what is already in an order."""

    def one(i: Index, _: list[str]) -> None:
        place = then.place(code, i)
        if first is not None:
            place = first.place(code, code.op(f"zext i32 {place} to i64"))
        code.line(f"store i32 {place}, ptr {code.at(target, i, 'i32')}, align 4")

    covering(code, n, 0, one)
    return Order(target, 32)


def _encode_placed(
    columns: Columns, items: Items, key: Key, row: Row, part: int, order: Order | None
) -> None:
    """The keys of a row, in an order if there is one already, and 0, 1, 2, ... beside them."""
    code, n, bits = columns.low.code, columns.n, items.bits
    keys, places = columns.keys[0].pointer, columns.places[0].pointer
    width = _width(n, row.kind, row.stride) if order is None else 0
    typed, align = vector(f"i{bits}", width), bits // 8
    counting = INT64 if bits == 64 else INT32

    def encode(start: Index, _: list[str]) -> None:
        element = start
        if order is not None:
            element = code.op(f"zext i32 {order.place(code, start)} to i64")
        word = row.load(code, element, width)
        word = word[part] if isinstance(word, tuple) else word
        number = key.encode(code, word, width, not items.long(n))
        code.line(f"store {typed} {number}, ptr {code.at(keys, start, f'i{bits}')}, align {align}")
        place, at = count_up(code, counting, start, width), code.at(places, start, f"i{bits}")
        code.line(f"store {typed} {place}, ptr {at}, align {align}")

    covering(code, n, width, encode)


def _order_packed(
    low: Lowering, columns: Columns, items: Items, key: Key, row: Row, part: int
) -> Order:
    """Numbers of 64 bits, the key above and the place below, are all different."""
    code, n = low.code, columns.n
    base = columns.keys[0].pointer
    width = _width(n, row.kind, row.stride)

    def packed(start: Index, lanes: int) -> str:
        wide = vector("i64", lanes)
        word = row.load(code, start, lanes)
        word = word[part] if isinstance(word, tuple) else word
        number = key.encode(code, word, lanes, not items.long(n))
        long = code.op(f"zext {vector('i32', lanes)} {number} to {wide}")
        high = code.op(f"shl {wide} {long}, {everywhere('i64', 32, lanes)}")
        return code.op(f"or {wide} {high}, {count_up(code, INT64, start, lanes)}")

    def encode(start: Index, _: list[str]) -> None:
        word, at = packed(start, width), code.at(base, start, "i64")
        code.line(f"store {vector('i64', width)} {word}, ptr {at}, align 8")

    if n <= WIDTHS[64]:
        both, lanes = _filled(code, packed(0, n), 64, n)
        (both,) = sorted_lanes(code, items, [both], lanes)
        code.line(f"store <{lanes} x i64> {both}, ptr {base}, align 8")
        return Order(base, 64)
    covering(code, n, width, encode)
    columns.pad(items)
    keys, _ = columns.sort(items, base, base)
    return Order(keys, 64)


def _take(low: Lowering, order: Order, n: int, source: Row | None, target: Row) -> None:
    """The first n elements in order; those of no source are their places."""
    code, kind = low.code, target.kind
    if source is None:
        width = _width(n, kind, target.stride)

        def count(start: Index, _: list[str]) -> None:
            place = order.place(code, start, width)
            word = _as_kind(code, place, kind, width)
            store(code, kind, word, target.at(code, start), width)

        covering(code, n, width, count)
        return

    def move(i: Index, _: list[str]) -> None:
        place = code.op(f"zext i32 {order.place(code, i)} to i64")
        raw_store(code, kind, raw_load(code, kind, source.at(code, place)), target.at(code, i))

    covering(code, n, 0, move)


def _as_kind(code: Code, word: str, kind: Kind, width: int) -> str:
    typed = vector("i32", width)
    if kind.bits == 32:
        return word
    how = "zext" if kind.bits > 32 else "trunc"
    return code.op(f"{how} {typed} {word} to {kind.typed(width)}")


# ---- the rules


def _sort(low: Lowering, eq: Equation, args: list[Value]) -> list[Value]:
    p = eq.params
    axis, count = p["dimension"], p["num_keys"]
    n = args[0].shape[axis]
    if args[0].size == 0 or n == 1:
        return list(args)
    wanted = [k for k, v in enumerate(eq.outvars) if low.uses[v]]
    counted = [k >= count and _counts(a, axis) for k, a in enumerate(args)]
    read = [k for k in range(len(args)) if k < count or (k in wanted and not counted[k])]
    outs = {k: low.result_buffer(eq, k) for k in wanted}
    keys = _keys([a.kind for a in args[:count]])
    alone = len(args) == 1 and len(keys) == 1
    columns = Columns(low, n, _items([key for key, _, _ in keys], places=not alone))

    def body(rows: list[Row], _: int) -> None:
        given = dict(zip(read, rows, strict=False))
        written = zip(wanted, rows[len(read) :], strict=True)
        if alone:
            _sort_values(low, columns, given[0], rows[1])
            return
        order = _order(low, columns, [(key, given[k], part) for key, k, part in keys])
        for k, there in written:
            _take(low, order, n, None if counted[k] else given[k], there)

    if wanted:
        sources = [low.buffer(args[k]) for k in read]
        each_line(low.code, [*sources, *outs.values()], axis, body)
    return [low.memory_value(outs[k]) if k in outs else a for k, a in enumerate(args)]


def _counts(value: Value, axis: int) -> bool:
    """Whether the elements are 0, 1, 2, ... along an axis."""
    node = value.node
    whole = value.kind.family in "iu" and value.kind.bits >= 32
    if not whole or not isinstance(node, Counting) or node.first:
        return False
    each = enumerate(zip(node.strides, value.shape, strict=True))
    return all(s == (d == axis) for d, (s, n) in each if n > 1)


def _keys(kinds: Sequence[Kind]) -> list[tuple[Key, int, int]]:
    """The keys of operands of these kinds: (key, operand, part)."""
    return [(Key(kind.real), k, part) for k, kind in enumerate(kinds) for part in range(kind.parts)]


def _top_k(low: Lowering, eq: Equation, args: list[Value]) -> list[Value]:
    p = eq.params
    return _first(low, eq, args[0], p["axis"], p["k"], total=True, falling=True)


def _approx_top_k(low: Lowering, eq: Equation, args: list[Value]) -> list[Value]:
    p = eq.params
    axis = p["reduction_dimension"] % len(args[0].shape)
    largest = p["is_max_k"]
    return _first(low, eq, args[0], axis, p["k"], total=largest, falling=largest)


def _first(
    low: Lowering, eq: Equation, value: Value, axis: int, k: int, total: bool, falling: bool
) -> list[Value]:
    """The first k elements in order, and their places."""
    n = value.shape[axis]
    if k == 0 or value.size == 0:
        return [empty_value(v.aval) for v in eq.outvars]
    outs = [low.result_buffer(eq, i) for i in range(2)]
    key = Key(value.kind, total, falling)
    order_of = _chooser(low, key, n, k)

    def body(rows: list[Row], _: int) -> None:
        given, values, places = rows
        order = order_of(given)
        _take(low, order, k, given, values)
        _take(low, order, k, None, places)

    each_line(low.code, [low.buffer(value), *outs], axis, body)
    return [low.memory_value(o) for o in outs]


def _chooser(low: Lowering, key: Key, n: int, k: int) -> Callable[[Row], Order]:
    """What finds the order of a row, as far as the first k."""
    code = low.code
    if key.bits == 64 or not worth_while(k, n):
        columns = Columns(low, n, _items([key], places=True))
        return lambda row: _order(low, columns, [(key, row, 0)])
    chosen = Chosen(low, k, n)

    def order(row: Row) -> Order:
        def numbers(start: Index, width: int) -> str:
            return key.encode(code, row.load(code, start, width), width, signed=True)

        return Order(chosen.choose(numbers), 64)

    return order


RULES: dict[Any, Rule] = {sort: _sort, top_k: _top_k, approx_top_k: _approx_top_k}
