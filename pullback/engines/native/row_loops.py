"""Loops over rows of floats: erf_inv of each element, softmax and its kin along each row.

Rows are contiguous, of any length. Sums are compensated (Kahan, "Further remarks on reducing
truncation errors", 1965): a sum of 10**6 exponentials is as exact as one of ten.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from .blocks import Block, Rounds, folded, outlined, over_row, splat
from .lanes import FloatLanes
from .maths import erf_inverse, exponential, logarithm
from .text import Code

VECTOR = 1024
"""Bits of a vector: two of AVX-512 or four of AVX2, which fill the waits of each other."""


def erf_inv(bits: int) -> str:
    """`(n)->(n)`: the inverse of erf of each element."""
    rows = _Rows(2, bits)
    function = rows.function("erf_inv", erf_inverse.erf_inv)
    code, v = rows.code, rows.v

    def row(pointers: list[str]) -> None:
        x, out = pointers

        def block(where: Block, _: list[str]) -> list[str]:
            found = code.call(v.kind, function, f"{v.kind} {rows.load(where, x)}")
            rows.store(where, found, out)
            return []

        rows.over(block)

    rows.rounds.write(row)
    return rows.rounds.text("erf_inv")


def softmax(bits: int) -> str:
    """`(n)->(n)`: exp(x - m) / sum(exp(x - m)), m = max(x)."""
    rows = _Rows(2, bits)
    code, v = rows.code, rows.v

    def row(pointers: list[str]) -> None:
        x, out = pointers
        largest = rows.largest(x)
        total = rows.total(x, largest, out)
        spread = splat(code, total, v.scalar, v.width)

        def block(where: Block, _: list[str]) -> list[str]:
            rows.store(where, v.div(rows.load(where, out), spread), out)
            return []

        rows.over(block)

    rows.rounds.write(row)
    return rows.rounds.text("softmax")


def log_softmax(bits: int) -> str:
    """`(n)->(n)`: (x - m) - log(sum(exp(x - m))), m = max(x)."""
    rows = _Rows(2, bits)
    code, v = rows.code, rows.v

    def row(pointers: list[str]) -> None:
        x, out = pointers
        largest = rows.largest(x)
        total = rows.log(rows.total(x, largest))
        m, spread = (splat(code, word, v.scalar, v.width) for word in (largest, total))

        def block(where: Block, _: list[str]) -> list[str]:
            rows.store(where, v.sub(v.sub(rows.load(where, x), m), spread), out)
            return []

        rows.over(block)

    rows.rounds.write(row)
    return rows.rounds.text("log_softmax")


def logsumexp(bits: int) -> str:
    """`(n)->()`: m + log(sum(exp(x - m))), m = max(x); m itself where that is not finite."""
    rows = _Rows(2, bits)
    code, one = rows.code, rows.scalar

    def row(pointers: list[str]) -> None:
        x, out = pointers
        largest = rows.largest(x)
        found = one.add(rows.log(rows.total(x, largest)), largest)
        size = one.intrinsic("fabs", largest)
        finite = one.compare("olt", size, one.const(math.inf))
        found = one.select(finite, found, largest)
        code.line(f"store {one.kind} {found}, ptr {out}, align {bits // 8}")

    rows.rounds.write(row)
    return rows.rounds.text("logsumexp")


class _Rows:
    """What such a loop is written with: lanes, and steps that several of them share."""

    def __init__(self, operands: int, bits: int) -> None:
        self.rounds = Rounds(operands, 1)
        self.code, self.bits = self.rounds.code, bits
        self.v = FloatLanes(self.code, bits, VECTOR // bits)
        self.scalar = FloatLanes(self.code, bits)

    def function(self, name: str, emit: Callable[[FloatLanes, str], str]) -> str:
        """The symbol of a function of `maths`, on vectors."""
        v = self.v

        def write(inner: Code) -> str:
            return emit(FloatLanes(inner, v.bits, v.width), "%x")

        return outlined(self.code.module, f"{name}_lanes", v.kind, [f"{v.kind} %x"], write)

    def over(
        self,
        body: Callable[[Block, list[str]], list[str]],
        carry: list[tuple[str, str]] | None = None,
    ) -> list[str]:
        """`over_row` of the present row."""
        return over_row(self.code, self.rounds.sizes[0], self.v.width, body, carry or [])

    def load(self, where: Block, pointer: str, otherwise: str = "poison") -> str:
        """A block of the row at `pointer`."""
        return where.load(pointer, self.v.scalar, self.bits // 8, otherwise)

    def store(self, where: Block, word: str, pointer: str) -> None:
        """Write a block of the row at `pointer`."""
        where.store(word, pointer, self.v.scalar, self.bits // 8)

    def largest(self, x: str) -> str:
        """The largest element of the row, NaN if one is; -inf of none."""
        v, least = self.v, self.v.const(-math.inf)

        def block(where: Block, values: list[str]) -> list[str]:
            return [v.intrinsic("maximum", values[0], self.load(where, x, least))]

        (found,) = self.over(block, [(v.kind, least)])

        def join(a: str, b: str, width: int) -> str:
            return FloatLanes(self.code, self.bits, width).intrinsic("maximum", a, b)

        return folded(self.code, found, v.scalar, v.width, join)

    def total(self, x: str, largest: str, out: str | None = None) -> str:
        """The sum of exp(x - largest), whose terms are written to `out` if there is one."""
        v, zero, least = self.v, self.v.const(0.0), self.v.const(-math.inf)
        m = splat(self.code, largest, v.scalar, v.width)
        exp = self.function("exp", exponential.exp)

        def block(where: Block, values: list[str]) -> list[str]:
            shifted = v.sub(self.load(where, x, least), m)
            term = self.code.call(v.kind, exp, f"{v.kind} {shifted}")
            if out is not None:
                self.store(where, term, out)
            so_far, excess = values
            part = v.sub(where.choose(term, zero, v.scalar), excess)
            new = v.add(so_far, part)
            return [new, v.sub(v.sub(new, so_far), part)]

        found, excess = self.over(block, [(v.kind, zero), (v.kind, zero)])

        def join(a: str, b: str, width: int) -> str:
            return FloatLanes(self.code, self.bits, width).add(a, b)

        return folded(self.code, v.sub(found, excess), v.scalar, v.width, join)

    def log(self, x: str) -> str:
        """The logarithm of a scalar."""
        return logarithm.log(self.scalar, x)


__all__ = ["erf_inv", "log_softmax", "logsumexp", "softmax"]
