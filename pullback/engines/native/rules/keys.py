"""Elements as whole numbers that are in their order."""

from __future__ import annotations

from dataclasses import dataclass

from ..kinds import Kind, from_memory, to_memory
from ..text import Code


@dataclass(frozen=True)
class Key:
    """How elements of a kind become whole numbers that are in their order.

    Attributes:
      kind: of the elements; of their parts, if they are complex.
      total: whether -0 comes before 0 and NaNs are told apart; else NaN is last.
      falling: the other way round.
    """

    kind: Kind
    total: bool = False
    falling: bool = False

    @property
    def span(self) -> int:
        """The bytes that matter."""
        return self.kind.size

    @property
    def bits(self) -> int:
        """Of the whole numbers: 32 or 64. Those of 1 or 2 bytes are not negative."""
        return 64 if self.span == 8 else 32

    @property
    def _memory_bits(self) -> int:
        return 8 * self.span

    def encode(self, code: Code, word: str, width: int, signed: bool) -> str:
        """The whole numbers, in order with sign, or else without."""
        kind, small = self.kind, f"i{self._memory_bits}"
        if kind.family == "f":
            typed = vector(small, width)
            raw = to_memory(code, kind, self._plain(code, word, width), width)
            if kind.stored(width) != typed:
                raw = code.op(f"bitcast {kind.stored(width)} {raw} to {typed}")
            found = _turned(code, raw, small, width)
        elif kind.family == "b":
            found = to_memory(code, kind, word, width)
        else:
            found = word
        typed = vector(small, width)
        negative = kind.family in "if"
        offset = self.span < 4 or not signed  # whether the result is to be without sign
        mask = 0
        if kind.family != "b" and negative == offset:
            mask = 1 << (self._memory_bits - 1)
        if self.falling:
            mask ^= 1 if kind.family == "b" else (1 << self._memory_bits) - 1
        if mask:
            found = code.op(f"xor {typed} {found}, {everywhere(small, mask, width)}")
        if self.span < 4:
            found = code.op(f"zext {typed} {found} to {vector('i32', width)}")
        return found

    def _plain(self, code: Code, word: str, width: int) -> str:
        """Floats with one zero and one NaN, above all numbers."""
        if self.total:
            return word
        kind = self.kind
        typed, scalar = kind.typed(width), kind.register
        zero = f"splat ({scalar} 0.0)" if width else "0.0"
        found = code.op(f"fadd {typed} {word}, {zero}")
        unknown = code.op(f"fcmp uno {typed} {word}, {word}")
        nan = "0x7FF8000000000000"
        nan = f"splat ({scalar} {nan})" if width else nan
        mask = vector("i1", width)
        return code.op(f"select {mask} {unknown}, {typed} {nan}, {typed} {found}")

    def decode(self, code: Code, word: str, width: int, signed: bool) -> str:
        """The elements (rising); of the zeros all are positive."""
        kind, small = self.kind, f"i{self._memory_bits}"
        typed = vector(small, width)
        if self.span < 4:
            word = code.op(f"trunc {vector('i32', width)} {word} to {typed}")
        offset = self.span < 4 or not signed
        if kind.family != "b" and (kind.family in "if") == offset:
            mask = everywhere(small, 1 << (self._memory_bits - 1), width)
            word = code.op(f"xor {typed} {word}, {mask}")
        if kind.family == "f":
            word = _turned(code, word, small, width)
            if kind.stored(width) != typed:
                word = code.op(f"bitcast {typed} {word} to {kind.stored(width)}")
        return from_memory(code, kind, word, width) if kind.family in "fb" else word


def vector(scalar: str, width: int) -> str:
    """The type of so many lanes; of a scalar if the width is 0."""
    return f"<{width} x {scalar}>" if width else scalar


def everywhere(scalar: str, value: int, width: int) -> str:
    """A number in all lanes."""
    return f"splat ({scalar} {value})" if width else str(value)


def _turned(code: Code, bits: str, small: str, width: int) -> str:
    """Bits of floats as integers with sign in their order, and back: of negative ones all but the
    sign are turned round."""
    typed, size = vector(small, width), int(small[1:])
    signs = code.op(f"ashr {typed} {bits}, {everywhere(small, size - 1, width)}")
    mask = code.op(f"and {typed} {signs}, {everywhere(small, (1 << (size - 1)) - 1, width)}")
    return code.op(f"xor {typed} {bits}, {mask}")
