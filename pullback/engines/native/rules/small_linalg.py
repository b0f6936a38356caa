"""Linear algebra of tiny matrices: every element is a word, every step an instruction.

One matrix is computed in scalars, a stack of them in vectors with one lane for each matrix: rows
are swapped by selecting, so that there are no jumps. Pivots are those that LAPACK takes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from math import prod
from typing import Any

import numpy as np

from ....core.program import Equation
from ....ops.elementwise import div
from ..buffers import address
from ..kinds import INT32, Kind, Word, constant, extract, kind_of, load, store
from ..lowering import Lowering, Value
from ..nest import gather_lanes
from ..operations import OPERATIONS
from ..registers import MOST as IN_REGISTERS
from ..registers import Lanes
from ..site import Site
from ..text import Code, Index

MOST = 4
"""Rows of the largest matrices: beyond, code grows faster than the call of LAPACK costs."""
SIDES = 24
"""Elements of the largest right-hand sides."""
_LANES_BYTES = 32

Matrix = Any
"""An object array of words."""
Algorithm = Callable[..., list[Any]]


class Field:
    """Arithmetic on words of one kind: floats, or pairs of them."""

    def __init__(self, code: Code, kind: Kind, width: int) -> None:
        self.code, self.kind, self.width = code, kind, width
        self.complex = kind.family == "c"
        self.typed = kind.typed(width)
        self.mask = f"<{width} x i1>" if width else "i1"
        self.ints = INT32.typed(width)
        self._spelled = (f"v{width}" if width else "") + f"f{kind.bits}"

    def number(self, value: float) -> Word:
        """One number in all lanes."""
        return constant(value, self.kind, self.width)

    def integer(self, value: int) -> str:
        """One whole number in all lanes."""
        return str(constant(value, INT32, self.width))

    def _op(self, how: str, x: str, y: str) -> str:
        return self.code.op(f"{how} {self.typed} {x}, {y}")

    def _fused(self, x: str, y: str, z: str) -> str:
        operands = [f"{self.typed} {w}" for w in (x, y, z)]
        return self.code.call(self.typed, f"@llvm.fmuladd.{self._spelled}", *operands)

    def _negated(self, x: str) -> str:
        return self.code.op(f"fneg {self.typed} {x}")

    def neg(self, x: Word) -> Word:
        """-x"""
        return tuple(map(self._negated, x)) if self.complex else self._negated(x)

    def conj(self, x: Word) -> Word:
        """The complex conjugate."""
        return (x[0], self._negated(x[1])) if self.complex else x

    def add(self, x: Word, y: Word) -> Word:
        """x + y"""
        if self.complex:
            return tuple(self._op("fadd", a, b) for a, b in zip(x, y, strict=True))
        return self._op("fadd", x, y)

    def mul(self, x: Word, y: Word) -> Word:
        """x y"""
        if not self.complex:
            return self._op("fmul", x, y)
        (a, b), (c, d) = x, y
        re = self._fused(self._negated(b), d, self._op("fmul", a, c))
        return re, self._fused(a, d, self._op("fmul", b, c))

    def less(self, z: Word, x: Word, y: Word) -> Word:
        """z - x y"""
        if not self.complex:
            return self._fused(self._negated(x), y, z)
        (a, b), (c, d), (e, f) = x, y, z
        minus_a = self._negated(a)
        re = self._fused(minus_a, c, self._fused(b, d, e))
        return re, self._fused(minus_a, d, self._fused(self._negated(b), c, f))

    def div(self, x: Word, y: Word) -> Word:
        """x / y"""
        if not self.complex:
            return self._op("fdiv", x, y)
        site = Site(self.code, (self.kind, self.kind), self.kind, self.width)
        return OPERATIONS[div].emit(site, x, y)

    def select(self, mask: str, x: Word, y: Word) -> Word:
        """x where the mask holds, else y."""
        if isinstance(x, tuple):
            return tuple(self.select(mask, a, b) for a, b in zip(x, y, strict=True))
        return self.code.op(f"select {self.mask} {mask}, {self.typed} {x}, {self.typed} {y}")

    def select_integer(self, mask: str, x: str, y: str) -> str:
        """The same for whole numbers."""
        return self.code.op(f"select {self.mask} {mask}, {self.ints} {x}, {self.ints} {y}")

    def equal_integers(self, x: str, y: str) -> str:
        """Where two whole numbers are equal."""
        return self.code.op(f"icmp eq {self.ints} {x}, {y}")

    def size(self, x: Word) -> str:
        """|x|, or the sum of both parts' sizes: what LAPACK chooses pivots by."""
        if self.complex:
            return self._op("fadd", *map(self._absolute, x))
        return self._absolute(x)

    def _absolute(self, x: str) -> str:
        return self.code.call(self.typed, f"@llvm.fabs.{self._spelled}", f"{self.typed} {x}")

    def is_zero(self, x: Word) -> str:
        """Where a number is zero."""
        return self.compared("oeq", self.size(x), str(constant(0, self.kind.real, self.width)))

    def compared(self, how: str, x: str, y: str) -> str:
        """A mask of the floats x and y."""
        return self.code.op(f"fcmp {how} {self.typed} {x}, {y}")

    def either(self, x: str, y: str) -> str:
        """Where one of two masks holds."""
        return self.code.op(f"or {self.mask} {x}, {y}")

    def real_part(self, x: Word) -> str:
        """The real part, a float."""
        return x[0] if self.complex else x  # type: ignore[no-any-return]

    def from_real(self, x: str) -> Word:
        """A float as a number of this kind."""
        return (x, constant(0, self.kind.real, self.width)) if self.complex else x

    def root(self, x: str) -> str:
        """The square root of a float."""
        return self.code.call(self.typed, f"@llvm.sqrt.{self._spelled}", f"{self.typed} {x}")

    def scaled(self, x: Word, by: str) -> Word:
        """x times a float."""
        if self.complex:
            return tuple(self._op("fmul", p, by) for p in x)
        return self._op("fmul", x, by)


# ---- algorithms


def words(shape: tuple[int, ...]) -> Matrix:
    """A matrix of words that are not known yet."""
    return np.empty(shape, object)


def cholesky(f: Field, a: Matrix) -> list[Matrix]:
    """L with L L^H = a from the lower triangle of `a`; NaN if there is none."""
    n = len(a)
    out = words((n, n))
    zero, nothing = constant(0, f.kind.real, f.width), f.number(0)
    bad = None
    for j in range(n):
        total = f.from_real(f.real_part(a[j, j]))
        for k in range(j):
            total = f.less(total, out[j, k], f.conj(out[j, k]))
        step = f.real_part(total)
        wrong = f.compared("ule", step, zero)
        bad = wrong if bad is None else f.either(bad, wrong)
        root = f.root(step)
        out[j, j] = f.from_real(root)
        over = f.code.op(f"fdiv {f.typed} {constant(1, f.kind.real, f.width)}, {root}")
        for i in range(j + 1, n):
            total = a[i, j]
            for k in range(j):
                total = f.less(total, out[i, k], f.conj(out[j, k]))
            out[i, j] = f.scaled(total, over)
    assert bad is not None
    broken = f.from_real(str(constant(float("nan"), f.kind.real, f.width)))
    for i in range(n):
        for j in range(n):
            out[i, j] = f.select(bad, broken, out[i, j]) if j <= i else nothing
    return [out]


def lu(f: Field, a: Matrix) -> list[Matrix]:
    """The factors in one matrix, the pivots, and the order of rows."""
    m, n = a.shape
    rows = a.copy()
    order, pivots = words((m,)), words((min(m, n),))
    order[:] = [f.integer(i) for i in range(m)]
    for k in range(min(m, n)):
        pivots[k] = _pivot(f, rows, k)
        _swap(f, rows, order, k, pivots[k])
        step = rows[k, k]
        # Below a pivot of zero all is zero: it stays as it is.
        safe = f.select(f.is_zero(step), f.number(1), step)
        over = f.div(f.number(1), safe) if k + 1 < m else None
        for i in range(k + 1, m):
            rows[i, k] = f.mul(rows[i, k], over)
            for j in range(k + 1, n):
                rows[i, j] = f.less(rows[i, j], rows[i, k], rows[k, j])
    return [rows, pivots, order]


def _pivot(f: Field, rows: Matrix, k: int) -> str:
    """The row with the largest element in column k, from row k on."""
    place = f.integer(k)
    if k + 1 == len(rows):
        return place
    best = f.size(rows[k, k])
    for i in range(k + 1, len(rows)):
        size = f.size(rows[i, k])
        larger = f.compared("ogt", size, best)
        place = f.select_integer(larger, f.integer(i), place)
        if i + 1 < len(rows):
            best = f.code.op(f"select {f.mask} {larger}, {f.typed} {size}, {f.typed} {best}")
    return place


def _swap(f: Field, rows: Matrix, order: Matrix, k: int, place: str) -> None:
    first, first_order = rows[k].copy(), order[k]
    for i in range(k + 1, len(rows)):
        here = f.equal_integers(place, f.integer(i))
        for j in range(rows.shape[1]):
            old = rows[i, j]
            rows[i, j] = f.select(here, first[j], old)
            rows[k, j] = f.select(here, old, rows[k, j])
        old = order[i]
        order[i] = f.select_integer(here, first_order, old)
        order[k] = f.select_integer(here, old, order[k])


def lu_solve(f: Field, factors: Matrix, order: Matrix, b: Matrix, trans: int) -> Matrix:
    """x with a x = b, or transposed a, from the factors of a and the order of its rows."""
    n = len(b)
    low = {"left_side": True, "lower": True, "unit_diagonal": True, "conjugate_a": False}
    up = {"left_side": True, "lower": False, "unit_diagonal": False, "conjugate_a": False}
    if trans:
        x = triangular_solve(f, factors, b, transpose_a=True, **up)
        x = triangular_solve(f, factors, x, transpose_a=True, **low)
    else:
        x = b
    moved = words(x.shape)
    moved[:] = x[0]
    for i in range(n):
        for j in range(n):
            if (i if trans else j) == 0:
                continue
            target, source = (j, i) if trans else (i, j)
            here = f.equal_integers(order[i], f.integer(j))
            for c in range(b.shape[1]):
                moved[target, c] = f.select(here, x[source, c], moved[target, c])
    if trans:
        return moved
    moved = triangular_solve(f, factors, moved, transpose_a=False, **low)
    return triangular_solve(f, factors, moved, transpose_a=False, **up)


def triangular_solve(
    f: Field,
    a: Matrix,
    b: Matrix,
    *,
    left_side: bool,
    lower: bool,
    transpose_a: bool,
    conjugate_a: bool,
    unit_diagonal: bool,
) -> Matrix:
    """x with op(a) x = b, or x op(a) = b."""
    # x op(a) = b is op(a)^T x^T = b^T.
    turned = transpose_a == left_side
    t = a.T if turned else a
    x = b.copy() if left_side else b.T.copy()
    n = len(t)
    down = lower != turned
    order = range(n) if down else range(n - 1, -1, -1)
    for i in order:
        others = range(i) if down else range(i + 1, n)
        row = {j: f.conj(t[i, j]) if conjugate_a else t[i, j] for j in others}
        step = None if unit_diagonal else f.conj(t[i, i]) if conjugate_a else t[i, i]
        for c in range(x.shape[1]):
            total = x[i, c]
            for j in others:
                total = f.less(total, row[j], x[j, c])
            x[i, c] = total if step is None else f.div(total, step)
    return x if left_side else x.T


def determinant(f: Field, a: Matrix) -> list[Matrix]:
    """Expanded along the first column up to 3 rows; else from LU."""
    out = words(())
    n = len(a)
    if n <= 3:
        out[()] = minor(f, a, tuple(range(n)), tuple(range(n)))
        return [out]
    rows, pivots, _ = lu(f, a)
    total = reduce(f.mul, [rows[k, k] for k in range(n)])
    for k in range(n - 1):
        same = f.equal_integers(pivots[k], f.integer(k))
        total = f.select(same, total, f.neg(total))
    out[()] = total
    return [out]


def minor(f: Field, a: Matrix, rows: tuple[int, ...], columns: tuple[int, ...]) -> Word:
    """The determinant of a part of a matrix."""
    if len(rows) == 0:
        return f.number(1)
    if len(rows) == 1:
        return a[rows[0], columns[0]]
    total = None
    for place, column in enumerate(columns):
        rest = tuple(c for c in columns if c != column)
        inner = minor(f, a, rows[1:], rest)
        first = a[rows[0], column]
        if total is None:
            total = f.mul(first, inner)
        else:
            total = f.less(total, first if place % 2 else f.neg(first), inner)
    return total


def cofactors(f: Field, a: Matrix) -> list[Matrix]:
    """The determinants of what is left without a row and a column, with alternating signs."""
    n = len(a)
    out = words((n, n))
    # NaN if any element is NaN or infinite, else zero.
    whole = reduce(f.add, [f.scaled(x, str(constant(0, f.kind.real, f.width))) for x in a.flat])
    for i in range(n):
        for j in range(n):
            rows = tuple(r for r in range(n) if r != i)
            columns = tuple(c for c in range(n) if c != j)
            found = minor(f, a, rows, columns)
            out[i, j] = f.add(f.neg(found) if (i + j) % 2 else found, whole)
    return [out]


# ---- matrices in registers and in memory


def mapped(low: Lowering, eq: Equation, args: list[Value], algorithm: Algorithm) -> list[Value]:
    """`algorithm(field, *matrices)` of each of a stack; whole numbers are of 32 bits."""
    outs = [v.aval for v in eq.outvars]
    kind = next(a.kind for a in args if a.kind is not INT32)
    ranks = [_core_rank(a.kind is INT32) for a in args]
    stack = args[0].shape[: len(args[0].shape) - ranks[0]]
    cores = [a.shape[len(stack) :] for a in args]
    count = prod(stack)
    if all(a.small for a in args) and all(t.size <= IN_REGISTERS for t in outs):
        field = Field(low.code, kind, count if count > 1 else 0)
        matrices = [_picked(low, a, count, core) for a, core in zip(args, cores, strict=True)]
        found = algorithm(field, *matrices)
        return [_gathered(low, m, t, count) for m, t in zip(found, outs, strict=True)]
    return _looped(low, eq, args, cores, count, kind, algorithm)


def _core_rank(whole: bool) -> int:
    return 1 if whole else 2


def _picked(low: Lowering, value: Value, count: int, core: tuple[int, ...]) -> Matrix:
    lanes = low.lanes(value)
    places = np.arange(value.size).reshape(count, prod(core))
    out = words((prod(core),))
    for i in range(prod(core)):
        if count > 1:
            out[i] = low.registers.word(lanes.taken(places[:, i]))
        else:
            out[i] = low.registers.scalar(lanes, i)
    return out.reshape(core)


def _gathered(low: Lowering, matrix: Matrix, aval: Any, count: int) -> Value:
    kind = kind_of(aval.dtype)
    pieces = [Lanes.of_word(kind, (count,), word) for word in matrix.flat]
    order = np.arange(matrix.size * count).reshape(matrix.size, count).T
    return low.small_value(Lanes.joined(pieces).taken(order.reshape(aval.shape)))


def _looped(
    low: Lowering,
    eq: Equation,
    args: list[Value],
    cores: list[tuple[int, ...]],
    count: int,
    kind: Kind,
    algorithm: Algorithm,
) -> list[Value]:
    code = low.code
    ins = [low.contiguous(a) for a in args]
    outs = [low.result_buffer(eq, k) for k in range(len(eq.outvars))]
    lanes = _LANES_BYTES // (kind.bits // 8)
    width = lanes if count >= lanes else 0
    field = Field(code, kind, width)

    def body(i: Index, _: Any) -> None:
        start = code.least(i, count - width) if width and count % width else i
        matrices = []
        for buffer, core in zip(ins, cores, strict=True):
            size = prod(core)
            base = address(code, buffer.kind, buffer.pointer, code.times(start, size))
            flat = words((size,))
            for j in range(size):
                at = address(code, buffer.kind, base, j)
                if width:
                    flat[j] = gather_lanes(code, buffer.kind, at, size, width)
                else:
                    flat[j] = load(code, buffer.kind, at, 0)
            matrices.append(flat.reshape(core))
        found = algorithm(field, *matrices)
        matrix: Matrix
        for matrix, buffer in zip(found, outs, strict=True):
            size = int(matrix.size)
            base = address(code, buffer.kind, buffer.pointer, code.times(start, size))
            _scatter(code, buffer.kind, matrix, base, width)

    low.report.spend(f"{count}: {eq.primitive.name}", 4.0 * count * max(map(prod, cores)))
    if count == 1:
        body(0, ())
    else:
        code.loop(count, body, step=width or 1)
    return [low.memory_value(b) for b in outs]


def _scatter(code: Code, kind: Kind, matrix: Matrix, base: str, width: int) -> None:
    """Write the matrix of each lane, one after the other."""
    for lane in range(width or 1):
        for j, word in enumerate(matrix.flat):
            parts = word if isinstance(word, tuple) else (word,)
            if width:
                parts = tuple(extract(code, kind, p, lane, width) for p in parts)
            at = address(code, kind, base, lane * matrix.size + j)
            store(code, kind, parts if len(parts) == 2 else parts[0], at, 0)
