"""Kinds of elements: how each dtype stands in memory and in registers.

A word is what one instruction works on: the name of an SSA value of `width` lanes (0: a scalar), or
a pair of names (real and imaginary part) for complex numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np

from ...core.dtypes import KEY_TYPES
from . import machine
from .text import Code, float_text

Word = Any
"""A name, or a pair of names for complex numbers."""


class Unsupported(Exception):
    """This engine has no code for something in a program; the message says what."""


@dataclass(frozen=True)
class Kind:
    """One dtype.

    Attributes:
      family: "f", "c", "i", "u" or "b".
      memory: the LLVM type of one element (of one part, for complex numbers) in memory.
      register: the same in registers: i1 for bools, float for 16-bit floats.
      bits: of `register`.
    """

    dtype: np.dtype
    family: str
    memory: str
    register: str
    bits: int

    @property
    def size(self) -> int:
        """Bytes of one element."""
        return self.dtype.itemsize

    @property
    def parts(self) -> int:
        """2 for complex numbers, else 1."""
        return 2 if self.family == "c" else 1

    @property
    def real(self) -> Kind:
        """The kind of one part."""
        return kind_of(np.dtype(f"f{self.size // 2}")) if self.family == "c" else self

    @property
    def narrow(self) -> bool:
        """Whether it is a 16-bit float: computed as float, rounded after each operation."""
        return self.family == "f" and self.size == 2

    def typed(self, width: int) -> str:
        """The LLVM type of a word (of one part of it)."""
        return f"<{width} x {self.register}>" if width else self.register

    def stored(self, width: int) -> str:
        """The LLVM type of `width` elements in memory (of one part of them)."""
        return f"<{width} x {self.memory}>" if width else self.memory


BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
_FLOATS = {
    np.dtype(np.float32): ("float", "float", 32),
    np.dtype(np.float64): ("double", "double", 64),
    np.dtype(np.float16): ("half", "float", 32),
    BFLOAT16: ("i16", "float", 32),
}


def kind_of(dtype: Any) -> Kind:
    """The kind of a dtype.

    Raises:
      Unsupported: this engine does not know the dtype, or the machine has no instructions for it.
    """
    dtype = np.dtype(dtype)
    found = _KINDS.get(dtype)
    if found is _HALF and not _converts_halves():
        raise Unsupported("arrays of dtype float16 on a processor without F16C")
    if found is None and dtype == KEY.dtype:
        return KEY
    if found is None:
        raise Unsupported(f"arrays of dtype {dtype.name}")
    return found


def _converts_halves() -> bool:
    """Without F16C, code for x86 calls functions of a compiler's library, which is not here."""
    return not machine.TRIPLE.startswith("x86") or "+f16c" in machine.FEATURES.split(",")


def _all_kinds() -> dict[np.dtype, Kind]:
    kinds = {d: Kind(d, "f", m, r, b) for d, (m, r, b) in _FLOATS.items()}
    for size in (1, 2, 4, 8):
        for family in "iu":
            dtype = np.dtype(f"{family}{size}")
            kinds[dtype] = Kind(dtype, family, f"i{8 * size}", f"i{8 * size}", 8 * size)
    kinds[np.dtype(bool)] = Kind(np.dtype(bool), "b", "i8", "i1", 1)
    kinds[np.dtype(np.complex64)] = Kind(np.dtype(np.complex64), "c", "float", "float", 32)
    kinds[np.dtype(np.complex128)] = Kind(np.dtype(np.complex128), "c", "double", "double", 64)
    return kinds


_KINDS = _all_kinds()
_HALF = _KINDS[np.dtype(np.float16)]
KEY = Kind(KEY_TYPES["fry"], "u", "i64", "i64", 64)
"""Keys of Threefry: two words of 32 bits, the first one in the lower half."""
INT64, INT32 = kind_of(np.int64), kind_of(np.int32)
BOOL, FLOAT32, FLOAT64 = kind_of(np.bool_), kind_of(np.float32), kind_of(np.float64)


# ---- constants


def constant(value: Any, kind: Kind, width: int) -> Word:
    """`value`, a number, in all lanes."""
    if kind.family == "c":
        number = complex(value)
        return tuple(_part(x, kind.bits, kind.register, width) for x in (number.real, number.imag))
    if kind.family == "f":
        return _part(float(value), kind.bits, kind.register, width)
    text = str(_bits(value) if kind is KEY else int(value))
    if kind.family == "b":
        text = "true" if value else "false"
    return f"splat ({kind.register} {text})" if width else text


def _bits(value: Any) -> int:
    """A key as the number that it is in memory."""
    return int.from_bytes(value.tobytes(), "little") if isinstance(value, np.void) else int(value)


def _part(value: float, bits: int, register: str, width: int) -> str:
    text = float_text(value, bits)
    return f"splat ({register} {text})" if width else text


# ---- between memory and registers


def load(code: Code, kind: Kind, pointer: str, width: int) -> Word:
    """`width` consecutive elements at `pointer`."""
    if kind.family == "c":
        return _load_complex(code, kind, pointer, width)
    align = kind.size
    raw = code.op(f"load {kind.stored(width)}, ptr {pointer}, align {align}")
    return from_memory(code, kind, raw, width)


def from_memory(code: Code, kind: Kind, raw: str, width: int) -> str:
    """A word from what a load gave."""
    if kind.family == "b":
        zero = "zeroinitializer" if width else "0"
        return code.op(f"icmp ne {kind.stored(width)} {raw}, {zero}")
    if kind.dtype == BFLOAT16:
        wide = f"<{width} x i32>" if width else "i32"
        bits = code.op(f"zext {kind.stored(width)} {raw} to {wide}")
        sixteen = "splat (i32 16)" if width else "16"
        moved = code.op(f"shl {wide} {bits}, {sixteen}")
        return code.op(f"bitcast {wide} {moved} to {kind.typed(width)}")
    if kind.narrow:
        return code.op(f"fpext {kind.stored(width)} {raw} to {kind.typed(width)}")
    return raw


def to_memory(code: Code, kind: Kind, word: str, width: int) -> str:
    """What a store takes of a word that is rounded to the kind."""
    if kind.family == "b":
        return code.op(f"zext {kind.typed(width)} {word} to {kind.stored(width)}")
    if kind.dtype == BFLOAT16:
        wide = f"<{width} x i32>" if width else "i32"
        bits = code.op(f"bitcast {kind.typed(width)} {word} to {wide}")
        sixteen = "splat (i32 16)" if width else "16"
        moved = code.op(f"lshr {wide} {bits}, {sixteen}")
        return code.op(f"trunc {wide} {moved} to {kind.stored(width)}")
    if kind.narrow:
        return code.op(f"fptrunc {kind.typed(width)} {word} to {kind.stored(width)}")
    return word


def rounded(code: Code, kind: Kind, word: str, width: int) -> str:
    """A float word as a 16-bit float has it: to nearest, ties to even."""
    if not kind.narrow:
        return word
    if kind.dtype != BFLOAT16:
        short = f"<{width} x half>" if width else "half"
        return code.op(
            f"fpext {short} {code.op(f'fptrunc {kind.typed(width)} {word} to {short}')} "
            f"to {kind.typed(width)}"
        )
    return _rounded_bfloat(code, word, width)


def _rounded_bfloat(code: Code, word: str, width: int) -> str:
    floats = f"<{width} x float>" if width else "float"
    ints = f"<{width} x i32>" if width else "i32"
    mask = f"<{width} x i1>" if width else "i1"

    def number(n: int) -> str:
        return f"splat (i32 {n})" if width else str(n)

    bits = code.op(f"bitcast {floats} {word} to {ints}")
    odd = code.op(f"and {ints} {code.op(f'lshr {ints} {bits}, {number(16)}')}, {number(1)}")
    bias = code.op(f"add {ints} {odd}, {number(0x7FFF)}")
    sums = code.op(f"add {ints} {bits}, {bias}")
    is_nan = code.op(f"fcmp uno {floats} {word}, {word}")
    # A NaN keeps its sign and becomes quiet, so that rounding cannot carry it into infinity.
    quiet = code.op(f"or {ints} {bits}, {number(0x400000)}")
    chosen = code.op(f"select {mask} {is_nan}, {ints} {quiet}, {ints} {sums}")
    cut = code.op(f"and {ints} {chosen}, {number(-65536)}")
    return code.op(f"bitcast {ints} {cut} to {floats}")


def store(code: Code, kind: Kind, word: Word, pointer: str, width: int) -> None:
    """Write `width` consecutive elements at `pointer`."""
    if kind.family == "c":
        _store_complex(code, kind, word, pointer, width)
        return
    raw = to_memory(code, kind, word, width)
    code.line(f"store {kind.stored(width)} {raw}, ptr {pointer}, align {kind.size}")


def _load_complex(code: Code, kind: Kind, pointer: str, width: int) -> Word:
    if not width:
        re = code.op(f"load {kind.memory}, ptr {pointer}, align {kind.size // 2}")
        after = code.at(pointer, 1, kind.memory)
        return re, code.op(f"load {kind.memory}, ptr {after}, align {kind.size // 2}")
    both = f"<{2 * width} x {kind.memory}>"
    raw = code.op(f"load {both}, ptr {pointer}, align {kind.size // 2}")
    return tuple(shuffle(code, both, raw, "poison", range(part, 2 * width, 2)) for part in (0, 1))


def _store_complex(code: Code, kind: Kind, word: Word, pointer: str, width: int) -> None:
    re, im = word
    if not width:
        code.line(f"store {kind.memory} {re}, ptr {pointer}, align {kind.size // 2}")
        after = code.at(pointer, 1, kind.memory)
        code.line(f"store {kind.memory} {im}, ptr {after}, align {kind.size // 2}")
        return
    order = [n for i in range(width) for n in (i, width + i)]
    mixed = shuffle(code, kind.typed(width), re, im, order)
    both = f"<{2 * width} x {kind.memory}>"
    code.line(f"store {both} {mixed}, ptr {pointer}, align {kind.size // 2}")


# ---- moving lanes


def shuffle(code: Code, typed: str, a: str, b: str, order: Any) -> str:
    """Lanes of two vectors of one type in a new order; -1 is a lane that nobody reads."""
    numbers = ", ".join("i32 poison" if n < 0 else f"i32 {n}" for n in order)
    count = len(list(order))
    return code.op(f"shufflevector {typed} {a}, {typed} {b}, <{count} x i32> <{numbers}>")


def splat(code: Code, kind: Kind, word: Word, width: int) -> Word:
    """A scalar word in all lanes."""
    if not width:
        return word
    if isinstance(word, tuple):
        return tuple(_splat(code, kind, part, width) for part in word)
    return _splat(code, kind, word, width)


def _splat(code: Code, kind: Kind, word: str, width: int) -> str:
    if not word.startswith("%"):
        return f"splat ({kind.register} {word})"
    typed = kind.typed(width)
    first = code.op(f"insertelement {typed} poison, {kind.register} {word}, i64 0")
    return code.op(
        f"shufflevector {typed} {first}, {typed} poison, <{width} x i32> zeroinitializer"
    )


def insert(code: Code, kind: Kind, word: str, scalar: str, lane: int, width: int) -> str:
    """`word` (one part) with another scalar in one lane."""
    return code.op(
        f"insertelement {kind.typed(width)} {word}, {kind.register} {scalar}, i64 {lane}"
    )


def extract(code: Code, kind: Kind, word: str, lane: int, width: int) -> str:
    """One lane of a word (of one part)."""
    return code.op(f"extractelement {kind.typed(width)} {word}, i64 {lane}")
