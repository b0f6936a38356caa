"""Work on matrices in loops over more axes, cut into pieces that several threads share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

from . import parts
from .text import Code, Index

MOST = 16
"""Pieces of one work, about: with 32, products of 512 x 512 took a tenth longer."""
Cut = tuple[int, int, int]
"""Parts of a loop: how many, steps of each but the last one, steps of all."""


@dataclass(frozen=True)
class Grid:
    """Matrices as pieces.

    Attributes:
      units: of work: matrices, or parts of them.
      each: how many units there are in each piece but the last one.
      pieces: how many there are.
      rows, columns: the parts of each matrix along an axis.
    """

    units: int
    each: int
    pieces: int
    rows: Cut = (1, 0, 0)
    columns: Cut = (1, 0, 0)

    @property
    def cut(self) -> bool:
        """Whether units are parts of matrices."""
        return self.rows[0] * self.columns[0] > 1

    def place(self, code: Code, unit: Index) -> tuple[list[Index], Index]:
        """The steps of a unit (first row, rows, first column, columns), and its matrix."""
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

    def write(
        self,
        part: parts.Part,
        sizes: Sequence[int],
        body: Callable[[list[Index], list[Index]], None],
    ) -> None:
        """Append `body(steps, position)` for each unit of a piece, and the call of all pieces.

        `sizes`: of the loops over matrices; `steps`: as `place` gives them, none of whole matrices.
        """
        code = part.code
        first, count = part.bounds(self.pieces, self.each, self.units)

        def unit(i: str, _: list[str]) -> None:
            number: Index = code.add(i, first)
            steps: list[Index] = []
            if self.cut:
                steps, number = self.place(code, number)
            position: list[Index] = []
            for size in reversed(sizes):
                at, number = divided_by(code, number, size)
                position.insert(0, at)
            body(steps, position)

        code.loop(count, unit)
        part.call(self.pieces)


def divided_by(code: Code, number: Index, count: int) -> tuple[Index, Index]:
    """The place of `number` in its row of `count` numbers, and the number of the row."""
    if count == 1:
        return 0, number
    if isinstance(number, int):
        return number % count, number // count
    return code.op(f"urem i64 {number}, {count}"), code.op(f"udiv i64 {number}, {count}")


def grid_of(
    work: float,
    sizes: Sequence[int],
    steps: tuple[int, int],
    overlaps: tuple[bool, bool],
    columns_first: bool,
) -> Grid | None:
    """How matrices in loops of these sizes are cut; None: not at all.

    Args:
      work: of all, in additions of single elements.
      sizes: of the loops.
      steps: of the loops over rows, and over columns, of each matrix.
      overlaps: whether the last of these steps writes to memory of the one before it.
      columns_first: whether columns are cut rather than rows, as far as this goes.
    """
    if work < parts.LARGE:
        return None
    times, wanted = prod(sizes), min(MOST, int(work) // parts.PIECE)
    if times >= MOST // 2:
        count, each = parts.divided(times, wanted, False)
        return Grid(times, each, count) if count > 1 else None
    wanted = -(-wanted // times)
    cuts: list[Cut] = [(1, n, n) for n in steps]
    for axis in (1, 0) if columns_first else (0, 1):
        count, each = parts.divided(steps[axis], wanted, overlaps[axis])
        cuts[axis] = count, each, steps[axis]
        wanted = -(-wanted // count)
    units = times * cuts[0][0] * cuts[1][0]
    return Grid(units, 1, units, cuts[0], cuts[1]) if units > 1 else None


__all__ = ["MOST", "Grid", "divided_by", "grid_of"]
