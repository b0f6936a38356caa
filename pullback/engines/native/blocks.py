"""Loops over rows of any length: in whole vectors, then one that is cut to what is left."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .text import Code, Module
from .ufuncs import ARGUMENTS

Carry = Sequence[tuple[str, str]]
"""LLVM types and first values of what is handed from one vector to the next."""


@dataclass(frozen=True)
class Block:
    """Some consecutive elements of a row: all lanes, or those where `mask` holds.

    Attributes:
      start: the number of the first one, an i64.
    """

    code: Code
    start: str
    width: int
    mask: str | None = None

    def load(self, pointer: str, kind: str, align: int, otherwise: str = "poison") -> str:
        """The block's elements of the row at `pointer`, `otherwise` in the lanes left out."""
        typed = f"<{self.width} x {kind}>"
        at = self.code.at(pointer, self.start, kind)
        if self.mask is None:
            return self.code.op(f"load {typed}, ptr {at}, align {align}")
        arguments = f"ptr align {align} {at}, {self._mask()}, {typed} {otherwise}"
        name = f"@llvm.masked.load.v{self.width}{_short(kind)}.p0"
        self._declare(f"{typed} {name}(ptr, <{self.width} x i1>, {typed})")
        return self.code.op(f"call {typed} {name}({arguments})")

    def store(self, word: str, pointer: str, kind: str, align: int) -> None:
        """Write the block's elements into the row at `pointer`."""
        typed = f"<{self.width} x {kind}>"
        at = self.code.at(pointer, self.start, kind)
        if self.mask is None:
            return self.code.line(f"store {typed} {word}, ptr {at}, align {align}")
        name = f"@llvm.masked.store.v{self.width}{_short(kind)}.p0"
        self._declare(f"void {name}({typed}, ptr, <{self.width} x i1>)")
        self.code.line(f"call void {name}({typed} {word}, ptr align {align} {at}, {self._mask()})")

    def choose(self, word: str, otherwise: str, kind: str) -> str:
        """The word, `otherwise` in the lanes left out."""
        if self.mask is None:
            return word
        typed = f"<{self.width} x {kind}>"
        return self.code.op(f"select {self._mask()}, {typed} {word}, {typed} {otherwise}")

    def _mask(self) -> str:
        return f"<{self.width} x i1> {self.mask}"

    def _declare(self, head: str) -> None:
        self.code.module.declare(f"declare {head}")


def _short(kind: str) -> str:
    return {"float": "f32", "double": "f64"}.get(kind, kind)


def over_row(
    code: Code,
    length: str,
    width: int,
    body: Callable[[Block, list[str]], Sequence[str]],
    carry: Carry = (),
) -> list[str]:
    """`values = body(block, values)` for the elements 0 ... length - 1, `width` at a time."""
    whole = code.op(f"and i64 {length}, {-width}")

    def goes_on(values: list[str]) -> str:
        return code.op(f"icmp slt i64 {values[0]}, {whole}")

    def step(values: list[str]) -> list[str]:
        start, *rest = values
        new = body(Block(code, start, width), rest)
        return [code.op(f"add nuw nsw i64 {start}, {width}"), *new]

    _, *values = code.while_loop(goes_on, step, [("i64", "0"), *carry])
    left = code.op(f"sub i64 {length}, {whole}")
    any_left = code.op(f"icmp ne i64 {left}, 0")
    before = code.section.block
    stem = code.name("")
    code.branch(any_left, f"rest{stem}", f"end{stem}")
    code.start(f"rest{stem}")
    last = body(Block(code, whole, width, _first(code, left, width)), values)
    inner = code.section.block
    code.jump(f"end{stem}")
    code.start(f"end{stem}")
    return [
        code.op(f"phi {kind} [ {a}, %{before} ], [ {b}, %{inner} ]")
        for (kind, _), a, b in zip(carry, values, last, strict=True)
    ]


def _first(code: Code, count: str, width: int) -> str:
    """A mask of the first `count` lanes."""
    short = code.op(f"trunc i64 {count} to i8")
    lanes = ", ".join(f"i8 {i}" for i in range(width))
    limit = splat(code, short, "i8", width)
    return code.op(f"icmp ult <{width} x i8> <{lanes}>, {limit}")


def splat(code: Code, word: str, kind: str, width: int) -> str:
    """The word in all lanes."""
    typed = f"<{width} x {kind}>"
    one = code.op(f"insertelement {typed} poison, {kind} {word}, i64 0")
    zeros = f"<{width} x i32> zeroinitializer"
    return code.op(f"shufflevector {typed} {one}, {typed} poison, {zeros}")


def folded(
    code: Code, word: str, kind: str, width: int, join: Callable[[str, str, int], str]
) -> str:
    """All lanes in one: `join(a, b, width)` of the halves, again and again; a scalar."""
    while width > 1:
        typed, half = f"<{width} x {kind}>", width // 2
        whole = f"{typed} {word}, {typed} poison, <{half} x i32>"
        low, high = (", ".join(f"i32 {i}" for i in range(k, k + half)) for k in (0, half))
        first = code.op(f"shufflevector {whole} <{low}>")
        word, width = join(first, code.op(f"shufflevector {whole} <{high}>"), half), half
    return code.op(f"extractelement <1 x {kind}> {word}, i64 0")


class Rounds:
    """The rounds of a ufunc's loop: one row of each operand after the other.

    Attributes:
      sizes: the lengths of the core dimensions, as i64.
    """

    def __init__(self, operands: int, dimensions: int) -> None:
        self.code = Code(Module())
        load = self._number
        self.count = load("%sizes", 0)
        self.sizes = [load("%sizes", 1 + i) for i in range(dimensions)]
        self.steps = [load("%steps", i) for i in range(operands)]
        self.bases = [
            self.code.op(f"load ptr, ptr {self.code.at('%args', i, 'ptr')}, align 8")
            for i in range(operands)
        ]

    def _number(self, base: str, i: int) -> str:
        return self.code.op(f"load i64, ptr {self.code.at(base, i, 'i64')}, align 8")

    def write(self, body: Callable[[list[str]], None]) -> None:
        """`body(addresses)`, in each round."""
        code = self.code

        def step(values: list[str]) -> list[str]:
            i, *pointers = values
            body(pointers)
            moved = [code.at(p, s) for p, s in zip(pointers, self.steps, strict=True)]
            return [code.op(f"add nuw nsw i64 {i}, 1"), *moved]

        code.while_loop(
            lambda values: code.op(f"icmp slt i64 {values[0]}, {self.count}"),
            step,
            [("i64", "0"), *(("ptr", b) for b in self.bases)],
        )

    def text(self, name: str) -> str:
        """The module."""
        body = "\n".join(self.code.whole.flat())
        self.code.module.functions.append(
            f"define void @{name}({ARGUMENTS}) nounwind {{\nentry:\n{body}\n  ret void\n}}"
        )
        return self.code.module.text()


def outlined(
    module: Module, name: str, kind: str, arguments: Sequence[str], write: Callable[[Code], str]
) -> str:
    """A function of its own for code that stands in several places: its symbol.

    `arguments` are typed names, `write(code)` appends the code and gives the result, of `kind`.
    """
    code = Code(module)
    result = write(code)
    body = "\n".join(code.whole.flat())
    head = f"define internal {kind} @{name}({', '.join(arguments)}) nounwind noinline"
    module.functions.append(f"{head} {{\nentry:\n{body}\n  ret {kind} {result}\n}}")
    return f"@{name}"


__all__ = ["Block", "Rounds", "folded", "outlined", "over_row", "splat"]
