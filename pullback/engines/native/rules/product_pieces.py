"""How products of matrices are cut into pieces that several threads share.

Each element of the result is computed as it is in one piece, so that its bits are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from .. import parts
from ..text import Code, Index
from .matrix_kernels import Product, room_for, tile_sizes

MOST = 16
"""Pieces of one product."""


@dataclass(frozen=True)
class Grid:
    """Products in loops as pieces.

    Attributes:
      units: of work: products, or parts of them.
      each: how many units there are in each piece but the last one.
      pieces: how many there are.
      rows, columns: parts of each product along an axis: how many, steps of each, steps of all.
    """

    units: int
    each: int
    pieces: int
    rows: tuple[int, int, int] = (1, 0, 0)
    columns: tuple[int, int, int] = (1, 0, 0)

    @property
    def cut(self) -> bool:
        """Whether units are parts of products."""
        return self.rows[0] * self.columns[0] > 1

    def place(self, code: Code, unit: Index) -> tuple[list[Index], Index]:
        """The steps of a unit (first row, rows, first column, columns), and its product."""
        found: list[Index] = []
        for count, each, steps in (self.columns, self.rows):
            at, unit = divided_by(code, unit, count)
            first, last = code.times(at, each), steps - each * (count - 1)
            here: Index = last
            if count > 1:
                end = code.op(f"icmp eq i64 {at}, {count - 1}")
                here = code.op(f"select i1 {end}, i64 {last}, i64 {each}")
            found = [first, here, *found]
        return found, unit


def divided_by(code: Code, number: Index, count: int) -> tuple[Index, Index]:
    """The place of `number` in its row of `count` numbers, and the number of the row."""
    if count == 1:
        return 0, number
    if isinstance(number, int):
        return number % count, number // count
    return code.op(f"urem i64 {number}, {count}"), code.op(f"udiv i64 {number}, {count}")


def work_of(p: Product, dots: bool) -> float:
    """About the work of a product, in additions of single elements."""
    each = 0.35 * p.kind.parts**2 * p.kind.bits / 32
    return p.m * p.n * p.terms * each * (2 if dots else 1)


def grid_of(p: Product, dots: bool, loops: Sequence[int]) -> Grid | None:
    """How a product in loops of these lengths is cut; None: not at all."""
    times, work = prod(loops), work_of(p, dots)
    if times * work < parts.LARGE:
        return None
    wanted = min(MOST, int(times * work) // parts.PIECE)
    if times >= MOST // 2:
        count, each = parts.divided(times, wanted, False)
        return Grid(times, each, count) if count > 1 else None
    rows, columns = _cuts(p, dots, -(-wanted // times))
    units = times * rows[0] * columns[0]
    return Grid(units, 1, units, rows, columns) if units > 1 else None


def _cuts(p: Product, dots: bool, wanted: int) -> tuple[tuple[int, int, int], ...]:
    """Parts along rows and along columns: few of those that copy the same columns."""
    tile = tile_sizes(p, dots)
    steps = [-(-size // part) for size, part in zip((p.m, p.n), tile, strict=True)]
    over = [size % part != 0 for size, part in zip((p.m, p.n), tile, strict=True)]
    order = (1, 0) if not dots and room_for(p) else (0, 1)
    cuts: dict[int, tuple[int, int, int]] = {}
    for axis in order:
        count, each = parts.divided(steps[axis], wanted, over[axis])
        cuts[axis] = count, each, steps[axis]
        wanted = -(-wanted // count)
    return cuts[0], cuts[1]


__all__ = ["Grid", "divided_by", "grid_of", "work_of"]
