"""Text of LLVM modules: instructions are appended to the section that is open."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np

Index = int | str
"""A position: a number known now, or the name of an i64."""


class Module:
    """Declarations, constants and functions, and what their symbols stand for in this process."""

    def __init__(self) -> None:
        self.heads: dict[str, None] = {}
        """Lines before the functions, each once."""
        self.functions: list[str] = []
        self.symbols: dict[str, int] = {}
        self.constants: list[np.ndarray] = []
        """What the symbols `const_0`, `const_1`, ... are the data of."""

    def constant(self, array: np.ndarray) -> str:
        """The address of the elements of a C-contiguous array, which is kept with the code."""
        name = f"const_{len(self.constants)}"
        self.constants.append(array)
        self.symbols[name] = array.ctypes.data
        self.declare(f"@{name} = external global i8")
        return f"@{name}"

    def declare(self, line: str) -> None:
        """Have `line` once among the declarations."""
        self.heads[line] = None

    def symbol(self, name: str, address: int, signature: str) -> str:
        """A function of this process by its address: `signature` is `double (double, ptr)`."""
        result, _, arguments = signature.partition(" (")
        self.declare(f"declare {result} @{name}({arguments}")
        self.symbols[name] = address
        return f"@{name}"

    def text(self) -> str:
        """The whole module."""
        return "\n".join([*self.heads, *self.functions, ""])


class Section:
    """Consecutive lines, and the basic block that their end is in."""

    __slots__ = ("block", "lines")

    def __init__(self, block: str) -> None:
        self.lines: list[str | Section] = []
        self.block = block

    def flat(self) -> Iterator[str]:
        """The lines, those of inner sections in their place."""
        for line in self.lines:
            if isinstance(line, Section):
                yield from line.flat()
            else:
                yield line


class Code:
    """The body of one function. Names are unique within it."""

    def __init__(self, module: Module, first_block: str = "entry") -> None:
        self.module = module
        self.whole = self.section = Section(first_block)
        self.before_loops: list[Section] = []
        """For each loop around the present place: a section before it."""
        self.products: dict[str, tuple[str, str]] = {}
        """Floats that are products, and their two factors."""
        self.ready: dict[str, int] = {}
        """How many operations a result of float arithmetic waits for."""
        self._count = 0

    def apart(self) -> Code:
        """The body of another function, whose new names differ from all that are here by now."""
        other = Code(self.module)
        other._count = self._count
        return other

    # ---- instructions

    def op(self, instruction: str) -> str:
        """Append an instruction; the name of its result."""
        self._count += 1
        name = f"%t{self._count}"
        self.section.lines.append(f"  {name} = {instruction}")
        return name

    def line(self, instruction: str) -> None:
        """Append an instruction without a result."""
        self.section.lines.append(f"  {instruction}")

    def name(self, stem: str) -> str:
        """A new name, without its `%`."""
        self._count += 1
        return f"{stem}{self._count}"

    def call(self, result: str, function: str, *arguments: str) -> str:
        """Call an intrinsic (declared at once) or another function; arguments as `type value`."""
        if function.startswith("@llvm."):
            types = ", ".join(a.rpartition(" ")[0] for a in map(_bare, arguments))
            self.module.declare(f"declare {result} {function}({types})")
        text = f"call {result} {function}({', '.join(arguments)})"
        if result != "void":
            return self.op(text)
        self.line(text)
        return ""

    # ---- blocks

    def start(self, block: str) -> None:
        """Begin a basic block."""
        self.section.lines.append(f"{block}:")
        self.section.block = block

    def jump(self, block: str) -> None:
        """Go to `block`."""
        self.line(f"br label %{block}")

    def go_on(self) -> None:
        """End the basic block, and go on in another one."""
        block = self.name("next")
        self.jump(block)
        self.start(block)

    def branch(self, condition: str, yes: str, no: str) -> None:
        """Go to one of two blocks."""
        self.line(f"br i1 {condition}, label %{yes}, label %{no}")

    def open_section(self) -> Section:
        """A place here, to which lines can be added later (`writing_in`)."""
        inner = Section(self.section.block)
        self.section.lines.append(inner)
        return inner

    @contextmanager
    def writing_in(self, section: Section) -> Iterator[None]:
        """Append to `section` for a while."""
        before, self.section = self.section, section
        try:
            yield
        finally:
            self.section = before

    # ---- positions

    def add(self, a: Index, b: Index) -> Index:
        """a + b, now if both are known."""
        if isinstance(a, int) and isinstance(b, int):
            return a + b
        if a == 0:
            return b
        return a if b == 0 else self.op(f"add nsw i64 {a}, {b}")

    def times(self, a: Index, k: int) -> Index:
        """a * k, now if `a` is known."""
        if isinstance(a, int):
            return a * k
        if k in (0, 1):
            return a if k else 0
        return self.op(f"mul nsw i64 {a}, {k}")

    def least(self, a: Index, b: Index) -> Index:
        """The smaller of two positions."""
        if isinstance(a, int) and isinstance(b, int):
            return min(a, b)
        return self.call("i64", "@llvm.smin.i64", f"i64 {a}", f"i64 {b}")

    def at(self, pointer: str, offset: Index, unit: str = "i8") -> str:
        """`pointer` moved by `offset` units."""
        if offset == 0:
            return pointer
        return self.op(f"getelementptr {unit}, ptr {pointer}, i64 {offset}")

    # ---- loops

    def loop(
        self,
        count: Index,
        body: Callable[[str, list[str]], Sequence[str] | None],
        carry: Sequence[tuple[str, str]] = (),
        step: int = 1,
    ) -> list[str]:
        """`body(i, values)` for i = 0, step, ... below `count`, which is at least 1.

        `carry` are types and first values; the body gives their next ones. The result is the last.
        Meanwhile `before_loops[-1]` takes code that need not be repeated.
        """
        stem = self.name("")
        head, leave, enter = f"loop{stem}", f"done{stem}", f"enter{stem}"
        i, after = f"%i{stem}", f"%n{stem}"
        values = [f"%c{stem}_{k}" for k in range(len(carry))]
        self.jump(enter)
        self.start(enter)
        before = self.open_section()
        self.jump(head)
        self.start(head)
        phis = self.open_section()
        self.before_loops.append(before)
        new = list(body(i, values) or ())
        self.before_loops.pop()
        self.line(f"{after} = add nuw nsw i64 {i}, {step}")
        more = self.op(f"icmp slt i64 {after}, {count}")
        back = self.section.block
        self.branch(more, head, leave)
        self.start(leave)
        enter = before.block
        phis.lines.append(f"  {i} = phi i64 [ 0, %{enter} ], [ {after}, %{back} ]")
        for value, (kind, first), last in zip(values, carry, new, strict=True):
            phis.lines.append(f"  {value} = phi {kind} [ {first}, %{enter} ], [ {last}, %{back} ]")
        return new

    def while_loop(
        self,
        condition: Callable[[list[str]], str],
        body: Callable[[list[str]], Sequence[str]],
        carry: Sequence[tuple[str, str]],
    ) -> list[str]:
        """`values = body(values)` as long as `condition(values)`, an i1; the last values."""
        stem = self.name("")
        head, inner, leave, enter = (f"{s}{stem}" for s in ("while", "body", "done", "enter"))
        values = [f"%c{stem}_{k}" for k in range(len(carry))]
        self.jump(enter)
        self.start(enter)
        before = self.open_section()
        self.jump(head)
        self.start(head)
        phis = self.open_section()
        self.before_loops.append(before)
        self.branch(condition(values), inner, leave)
        self.start(inner)
        new = list(body(values))
        self.before_loops.pop()
        back = self.section.block
        self.jump(head)
        self.start(leave)
        for value, (kind, first), last in zip(values, carry, new, strict=True):
            phis.lines.append(
                f"  {value} = phi {kind} [ {first}, %{before.block} ], [ {last}, %{back} ]"
            )
        return values

    def switch(
        self, number: Index, branches: Sequence[Callable[[], list[str]]], kinds: Sequence[str]
    ) -> list[str]:
        """What the branch of this number gives, values of `kinds`; numbers are clamped."""
        stem, last = self.name(""), len(branches) - 1
        blocks = [f"case{stem}_{k}" for k in range(len(branches))]
        join = f"join{stem}"
        # Below 0 is the first branch; what is left, the last.
        number = self.call("i64", "@llvm.smax.i64", f"i64 {number}", "i64 0")
        cases = " ".join(f"i64 {k}, label %{b}" for k, b in enumerate(blocks[:last]))
        self.line(f"switch i64 {number}, label %{blocks[last]} [ {cases} ]")
        ends, found = [], []
        for block, branch in zip(blocks, branches, strict=True):
            self.start(block)
            found.append(branch())
            ends.append(self.section.block)
            self.jump(join)
        self.start(join)
        names = []
        for k, kind in enumerate(kinds):
            pairs = ", ".join(f"[ {f[k]}, %{e} ]" for f, e in zip(found, ends, strict=True))
            names.append(self.op(f"phi {kind} {pairs}"))
        return names


def _bare(argument: str) -> str:
    """`<8 x float> splat (float 1.0)` has its type before the last word but two."""
    kind, found, _ = argument.partition(" splat (")
    return f"{kind} x" if found else argument


def float_text(value: float, bits: int) -> str:
    """A floating-point constant: LLVM takes the bits of the double, also for a float."""
    if bits == 32:
        value = float(np.float32(value))
    (bits_of,) = struct.unpack("<Q", struct.pack("<d", float(value)))
    return f"0x{bits_of:016X}"
