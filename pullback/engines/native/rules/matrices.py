"""Products of matrices in loops over more axes: which kernel, and what is copied for it first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod
from typing import NamedTuple

from .. import transposing
from ..buffers import Buffer, address, strides_of
from ..grids import Grid, grid_of
from ..kinds import Kind
from ..lowering import Lowering
from ..parts import Part
from ..text import Code, Index
from . import blas
from . import matrix_kernels as kernels
from .copies import copied
from .matrix_kernels import Product, Shares

Kernel = Callable[[Code, Product, str, str, str, str, Shares], None]
"""Appends the code of a product at three addresses, with scratch memory at a fourth."""

PRODUCT = 0.35
"""The work of a product of two elements, in tiles, for the choice of what threads share: they take
longer to begin with a product than with other loops."""

FAR = 4096
"""Bytes that lines of memory are apart, or multiples, that share few sets of a cache."""


class Axis(NamedTuple):
    """An axis of the loops: its length, and its steps in the operands and the result."""

    size: int
    x: int
    y: int
    out: int


def merged(axes: Sequence[Axis]) -> list[Axis]:
    """Axes of more than one element, those in one where a single step leads through them."""
    found: list[Axis] = []
    for axis in axes:
        if axis.size == 1:
            continue
        if found:
            last = found[-1]
            n = axis.size
            if (last.x, last.y, last.out) == (n * axis.x, n * axis.y, n * axis.out):
                found[-1] = axis._replace(size=last.size * n)
                continue
        found.append(axis)
    return found


def written(
    low: Lowering,
    operands: tuple[Buffer, Buffer, Buffer],
    rows: Sequence[Axis],
    columns: Sequence[Axis],
    sums: Sequence[Axis],
    loops: Sequence[Axis],
) -> None:
    """Write sums of products, over `sums`, of elements of the first and the second operand.

    The first has the axes `rows`, the second `columns`, both may have those of `loops`; the result,
    the third operand, has all of them.
    """
    rows, columns, sums = merged(rows), merged(columns), merged(sums)
    row, more_rows = _one_of(rows, lambda a: (a.out == 1 and a.x == 1 and a.size > 3, a.size))
    column, more_columns = _one_of(columns, lambda a: (a.out == 1 and a.size > 3, a.size))
    inner, more_sums = _one_of(sums, lambda a: a.size)
    product = Product(
        operands[0].kind, row.size, column.size, inner.size,
        (row.x, inner.x), (inner.y, column.y), (row.out, column.out),
        tuple((a.size, a.x, a.y) for a in more_sums),
    )  # fmt: skip
    Matrices(low, *operands, [*merged(loops), *more_rows, *more_columns]).write(product)


def _one_of(axes: list[Axis], worth: Callable[[Axis], object]) -> tuple[Axis, list[Axis]]:
    """The axis that is worth most, and the others."""
    if not axes:
        return Axis(1, 0, 0, 0), []
    one = max(axes, key=worth)  # type: ignore[arg-type]
    return one, [a for a in axes if a is not one]


class Matrices:
    """A product of matrices, once or in loops over more axes."""

    def __init__(
        self, low: Lowering, x: Buffer, y: Buffer, out: Buffer, loops: Sequence[Axis]
    ) -> None:
        self.low, self.x, self.y, self.out = low, x, y, out
        self.loops = list(loops)

    def write(self, p: Product) -> None:
        """Append the code of the product."""
        p = p.plain
        if p.m > 1 and (p.n == 1 or (p.c[1] != 1 and p.c[0] == 1 and self._better_turned(p))):
            self._turn()
            p = p.turned.plain
        elif p.c[1] == p.a[0] == 1 and p.m > p.n > 1 and not self._better_along_j(p):
            self._turn()
            p = p.turned
        if p.c[1] != 1:
            self._through_scratch(p)
            return
        self._with_steps(p)

    def _better_turned(self, p: Product) -> bool:
        """Whether vectors along i cost less than a copy of the result made with those along j."""
        if p.a[0] != 1:  # such vectors would need a copy of an operand, which is the larger one
            return p.n < kernels.lanes_of(p.kind)
        along_i, along_j = self._costs(p)
        return along_i < along_j + 2 * p.m * p.n

    def _better_along_j(self, p: Product) -> bool:
        """Whether vectors along j, the axis of few, cost less than those along i and a copy."""
        along_i, along_j = self._costs(p)
        return along_j < along_i + 2 * p.m * p.n

    @staticmethod
    def _costs(p: Product) -> tuple[float, float]:
        """About how many cycles tiles take whose vectors lie along i, and along j."""
        lanes, parts, terms = kernels.lanes_of(p.kind), p.kind.parts, (p.k, p.terms)
        return (
            kernels.tile_of(p.n, p.m, terms, lanes, parts).cost,
            kernels.tile_of(p.m, p.n, terms, lanes, parts).cost,
        )

    def _turn(self) -> None:
        self.x, self.y = self.y, self.x
        self.loops = [Axis(a.size, a.y, a.x, a.out) for a in self.loops]

    def _through_scratch(self, p: Product) -> None:
        low, kind = self.low, p.kind
        lengths = [a.size for a in self.loops]
        scratch = low.new_buffer(kind, (*lengths, p.m, p.n))
        steps = strides_of(scratch.shape)
        loops = [a._replace(out=s) for a, s in zip(self.loops, steps, strict=False)]
        Matrices(low, self.x, self.y, scratch, loops).write(replace(p, c=(p.n, 1)))
        code, back = low.code, [a._replace(x=s) for a, s in zip(self.loops, steps, strict=False)]

        def one(a: str, _: str, c: str) -> None:
            copied(code, kind, (p.m, p.n), a, (p.n, 1), c, p.c)

        in_loops(code, kind, back, (scratch.pointer, scratch.pointer, self.out.pointer), one)

    # ---- which kernel; the result has step 1 along j

    def _with_steps(self, p: Product) -> None:
        if blas.pays(p):
            self._over(lambda code, a, b, c: blas.write(code, p, a, b, c))
            self._note(p, "BLAS")
            return
        lanes = kernels.lanes_of(p.kind)
        few = p.m == 1 or (p.n <= lanes // 4 and p.k >= lanes)
        along = p.a[1] == 1 and p.b[0] == 1 and not (p.b[1] == 1 and p.n > 1)
        if few and along and not (p.m == 1 and self._stays(self.y, p)):
            self._kernel(kernels.dotted, p)
            return
        if p.m > 1 and few and p.a[1] == 1:
            self._packed_second(p, True)
        elif p.b[1] == 1:
            if self._far(p):
                p = self._packed_rows(p)
            self._kernel(kernels.tiled, p)
        elif p.m < 4 and p.b[0] == 1 and 2 * p.k >= lanes and not self._stays(self.y, p):
            self._packed_first(p)
        else:
            if self._far(p):
                p = self._packed_rows(p)
            self._packed_second(p, False)

    @staticmethod
    def _far(p: Product) -> bool:
        """Whether the rows of the first operand lie across its memory, and the lines that a row has
        elements in do not fit the cache together: then a copy is worth it (5.5 ms instead of 6.8
        for 1024 x 1024 by 1024 x 512; for 1024 x 784 it would cost 4.3 instead of 3.5)."""
        apart = p.a[0] == 1 and p.a[1] * p.kind.size % FAR == 0 and not p.sums
        return apart and p.k >= 512 and min(p.m, p.n) >= 128

    def _packed_rows(self, p: Product) -> Product:
        outer = [(a.size, a.x) for a in self.loops]
        self.x, used = self._copied(self.x, outer, (p.m, p.k), p.a)
        self.loops = [a._replace(x=s) for a, s in zip(self.loops, used, strict=True)]
        return replace(p, a=(p.k, 1))

    def _stays(self, buffer: Buffer, p: Product) -> bool:
        """Whether a copy of the second operand could be made once before loops."""
        scopes = self.low.scopes
        return (
            bool(scopes)
            and scopes[-1].section is not None
            and buffer.pointer in scopes[-1].pointers
            and p.terms * p.n <= 1 << 16
        )

    def _packed_first(self, p: Product) -> None:
        outer = [(a.size, a.x) for a in self.loops] + [(n, x) for n, x, _ in p.sums]
        self.x, used = self._copied(self.x, outer, (p.m, p.k), p.a)
        self.loops = [a._replace(x=s) for a, s in zip(self.loops, used, strict=False)]
        sums = zip(p.sums, used[len(self.loops) :], strict=True)
        p = replace(p, sums=tuple((n, s, y) for (n, _, y), s in sums))
        self._kernel(kernels.dotted, replace(p, a=(p.k, 1)))

    def _packed_second(self, p: Product, for_dots: bool) -> None:
        shape, steps = ((p.n, p.k), p.b[::-1]) if for_dots else ((p.k, p.n), p.b)
        outer = [(a.size, a.y) for a in self.loops] + [(n, y) for n, _, y in p.sums]
        self.y, used = self._copied(self.y, outer, shape, steps)
        self.loops = [a._replace(y=s) for a, s in zip(self.loops, used, strict=False)]
        sums = zip(p.sums, used[len(self.loops) :], strict=True)
        p = replace(p, sums=tuple((n, x, s) for (n, x, _), s in sums))
        if for_dots:
            self._kernel(kernels.dotted, replace(p, b=(1, p.k)))
        else:
            self._kernel(kernels.tiled, replace(p, b=(p.n, 1)))

    def _copied(
        self,
        source: Buffer,
        outer: Sequence[tuple[int, int]],
        shape: tuple[int, int],
        steps: tuple[int, int],
    ) -> tuple[Buffer, list[int]]:
        """An operand in C order: a matrix for each element of the axes that it varies over.

        `outer` are lengths and steps; the new steps come back with the copy.
        """
        low = self.low
        lengths = [n for n, s in outer if s]
        strides = [s for _, s in outer if s]
        whole = (*lengths, *shape)
        new = iter(strides_of(whole))
        used = [next(new) if s else 0 for _, s in outer]

        def make() -> Buffer:
            view = Buffer(source.pointer, source.kind, whole, (*strides, *steps), source.storage)
            if transposing.across(view):
                return transposing.copied(low.code, low.registers, low.new_buffer, view)
            to = low.new_buffer(source.kind, whole)
            loops = [
                Axis(n, s, 0, t)
                for n, s, t in zip(lengths, strides, strides_of(whole), strict=False)
            ]
            code = low.code

            def one(a: str, b: str, c: str) -> None:
                copied(code, source.kind, shape, a, steps, c, (shape[1], 1))

            in_loops(code, source.kind, loops, (source.pointer, source.pointer, to.pointer), one)
            return to

        key = ("packed", source.pointer, tuple(outer), shape, steps)
        found: Buffer = low.hoisted(source, key, make)
        return found, used

    def _kernel(self, kernel: Kernel, p: Product) -> None:
        dots = kernel is kernels.dotted
        grid = self._grid(p, dots)
        count = 0 if dots else kernels.room_for(p)
        many = grid.pieces if grid else 1
        room = self.low.new_buffer(p.kind, (count * many,)) if count else None
        scratch = room.pointer if room else "null"
        if grid is None:
            name = self._function(kernel, p, False)
            self._over(
                lambda code, a, b, c: code.line(
                    f"call void @{name}(ptr {a}, ptr {b}, ptr {c}, ptr {scratch})"
                )
            )
        else:
            self._in_pieces(self._function(kernel, p, grid.cut), grid, scratch, count)
        self._note(p, kernel.__name__)

    def _in_pieces(self, name: str, grid: Grid, room: str, count: int) -> None:
        """Have the product computed by several threads, each with scratch memory of its own."""
        low, kind = self.low, self.out.kind
        part = Part(low.code, low.registers, low.new_buffer, [], [self.x, self.y, self.out])
        part.use(room)
        code = part.code
        mine = address(code, kind, room, code.times("%piece", count)) if count else room

        def unit(steps: list[Index], position: list[Index]) -> None:
            pointers = [self.x.pointer, self.y.pointer, self.out.pointer]
            for axis, at in zip(self.loops, position, strict=True):
                apart = (axis.x, axis.y, axis.out)
                pointers = [
                    address(code, kind, p, code.times(at, s))
                    for p, s in zip(pointers, apart, strict=True)
                ]
            a, b, c = pointers
            shares = "".join(f", i64 {n}" for n in steps)
            code.line(f"call void @{name}(ptr {a}, ptr {b}, ptr {c}, ptr {mine}{shares})")

        grid.write(part, [a.size for a in self.loops], unit)

    def _grid(self, p: Product, dots: bool) -> Grid | None:
        """How the product is cut, if it is large: each element is computed as it is in one piece.

        Columns that tiles need are copied together in each piece, so that few shall share them.
        """
        tile = kernels.tile_sizes(p, dots)
        steps = -(-p.m // tile[0]), -(-p.n // tile[1])
        overlaps = p.m % tile[0] != 0, p.n % tile[1] != 0
        each = PRODUCT * p.kind.parts**2 * p.kind.bits / 32 * (2 if dots else 1)
        sizes = [a.size for a in self.loops]
        work = prod(sizes) * p.m * p.n * p.terms * each
        return grid_of(work, sizes, steps, overlaps, not dots and bool(kernels.room_for(p)))

    def _function(self, kernel: Kernel, p: Product, cut: bool) -> str:
        """The name of the function that computes this product: one for all of the program.

        `cut`: it computes the tiles it is asked for: the first one, and how many, along each axis.
        """
        known = self.low.registers.memos[0]
        key = (kernel.__name__, p, cut)
        if key not in known:
            number = sum(
                f.startswith("define internal void @dot") for f in self.low.module.functions
            )
            name = f"dot{number}"
            code = Code(self.low.module)
            shares: Shares = (("%row", "%rows"), ("%column", "%columns"))
            kernel(code, p, "%a", "%b", "%c", "%room", shares if cut else (None, None))
            body = "\n".join(code.whole.flat())
            more = ", i64 %row, i64 %rows, i64 %column, i64 %columns" if cut else ""
            self.low.module.functions.append(
                f"define internal void @{name}(ptr %a, ptr %b, ptr noalias %c, ptr noalias %room"
                f"{more}) {{\nentry:\n{body}\n  ret void\n}}"
            )
            known[key] = name
        return str(known[key])

    def _over(self, one: Callable[[Code, str, str, str], None]) -> None:
        code = self.low.code
        pointers = (self.x.pointer, self.y.pointer, self.out.pointer)
        in_loops(code, self.out.kind, self.loops, pointers, lambda *at: one(code, *at))

    def _note(self, p: Product, how: str) -> None:
        times = prod(a.size for a in self.loops)
        shown = f"{times} times " if times > 1 else ""
        what = f"{shown}{p.m}x{p.terms} by {p.terms}x{p.n}: {how}"
        self.low.report.spend(what, 0.2 * times * p.m * p.n * p.terms)  # fused, in vectors


def in_loops(
    code: Code,
    kind: Kind,
    loops: Sequence[Axis],
    pointers: tuple[str, str, str],
    one: Callable[[str, str, str], None],
) -> None:
    """`one` at the places of three arrays that loops over `loops` go to."""
    if not loops:
        one(*pointers)
        return
    axis = loops[0]

    def body(i: str, _: list[str]) -> None:
        steps = (axis.x, axis.y, axis.out)
        here = [
            address(code, kind, p, code.times(i, s)) for p, s in zip(pointers, steps, strict=True)
        ]
        in_loops(code, kind, loops[1:], (here[0], here[1], here[2]), one)

    code.loop(axis.size, body)
