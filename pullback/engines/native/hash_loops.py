"""Loops of Threefry: bits, keys, uniform and normal numbers from a key, as many as are wanted.

In the partitionable layout element i of a result is the hash of the counter i, in 64 bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from . import threefry
from .blocks import Block, Rounds, outlined, over_row, splat
from .lanes import FloatLanes
from .maths.erf_inverse import erf_inv
from .text import Code

WIDTH = 32
"""Counters hashed at once. The hash of one vector is a chain of 90 instructions, each waiting for
the one before; two vectors of AVX-512 or four of AVX2 fill the waits of each other."""

_WORDS, _WIDE = f"<{WIDTH} x i32>", f"<{WIDTH} x i64>"

Finish = Callable[[Code, str, str, list[str]], str]
"""Appends what becomes of both words of the hash, the parameters at hand; gives the result."""


def bits(bit_width: int) -> str:
    """`(k)->(n)`: a key's two words to n unsigned integers."""
    kind = f"i{bit_width}"

    def finish(code: Code, x0: str, x1: str, _: list[str]) -> str:
        if bit_width == 64:
            return _joined(code, x1, x0)
        mixed = code.op(f"xor {_WORDS} {x0}, {x1}")
        if bit_width == 32:
            return mixed
        return code.op(f"trunc {_WORDS} {mixed} to <{WIDTH} x {kind}>")

    return _loop("bits", kind, bit_width // 8, finish)


def keys() -> str:
    """`(k)->(n)`: a key's two words to n keys, each a word of 64 bits."""
    return _loop("keys", "i64", 4, lambda code, x0, x1, _: _joined(code, x0, x1))


def uniform(float_bits: int) -> str:
    """`(k),(),()->(n)`: a key and two bounds to n floats in [least, most)."""

    def finish(code: Code, x0: str, x1: str, bounds: list[str]) -> str:
        return _stretched(code, float_bits, x0, x1, *bounds)

    return _loop("uniform", _float(float_bits), float_bits // 8, finish, parameters=2)


def normal(float_bits: int) -> str:
    """`(k)->(n)`: a key to n normal floats: sqrt(2) erf_inv(u), u uniform in (-1, 1)."""
    dtype = np.dtype(f"f{float_bits // 8}")
    least = float(np.nextafter(dtype.type(-1), dtype.type(0)))

    def finish(code: Code, x0: str, x1: str, _: list[str]) -> str:
        v = FloatLanes(code, float_bits, WIDTH)
        u = _stretched(code, float_bits, x0, x1, v.const(least), v.const(1.0))
        return v.mul(erf_inv(v, u), v.const(math.sqrt(2)))

    return _loop("normal", _float(float_bits), float_bits // 8, finish)


def _float(bits: int) -> str:
    return "float" if bits == 32 else "double"


def _loop(name: str, kind: str, align: int, finish: Finish, parameters: int = 0) -> str:
    rounds = Rounds(2 + parameters, 2)
    code, length = rounds.code, rounds.sizes[1]
    typed = f"<{WIDTH} x {kind}>"
    extra = [f"%b{i}" for i in range(parameters)]

    def hashed(inner: Code) -> str:
        x0, x1 = threefry.hash_words(inner, WIDTH, "%k0", "%k1", "%x0", "%x1")
        return finish(inner, x0, x1, extra)

    words = [f"{_WORDS} %{x}" for x in ("k0", "k1", "x0", "x1")]
    words += [f"{typed} {b}" for b in extra]
    function = outlined(code.module, "hashed", typed, words, hashed)

    def row(pointers: list[str]) -> None:
        key, *bounds, out = pointers
        both = [code.op(f"load i32, ptr {code.at(key, i, 'i32')}, align 4") for i in (0, 1)]
        given = [f"{_WORDS} {splat(code, k, 'i32', WIDTH)}" for k in both]
        limits = [code.op(f"load {kind}, ptr {b}, align {align}") for b in bounds]
        fixed = [f"{typed} {splat(code, b, kind, WIDTH)}" for b in limits]

        def block(where: Block, _: list[str]) -> list[str]:
            counters = [f"{_WORDS} {x}" for x in _counters(code, where.start)]
            found = code.call(typed, function, *given, *counters, *fixed)
            where.store(found, out, kind, align)
            return []

        over_row(code, length, WIDTH, block)

    rounds.write(row)
    return rounds.text(name)


def _counters(code: Code, start: str) -> tuple[str, str]:
    """Both words of `start`, `start` + 1, ...: vectors start at multiples of their width, so that
    the upper words of their counters are equal."""
    low = code.op(f"trunc i64 {start} to i32")
    high = code.op(f"lshr i64 {start}, 32")
    high = code.op(f"trunc i64 {high} to i32")
    lanes = ", ".join(f"i32 {i}" for i in range(WIDTH))
    low = code.op(f"add {_WORDS} {splat(code, low, 'i32', WIDTH)}, <{lanes}>")
    return splat(code, high, "i32", WIDTH), low


def _joined(code: Code, low: str, high: str) -> str:
    low, high = (code.op(f"zext {_WORDS} {x} to {_WIDE}") for x in (low, high))
    high = code.op(f"shl {_WIDE} {high}, splat (i64 32)")
    return code.op(f"or {_WIDE} {high}, {low}")


def _stretched(code: Code, bits: int, x0: str, x1: str, least: str, most: str) -> str:
    """The high bits of the hash as the mantissa of a float in [1, 2), less 1, times most - least,
    plus least, rounded once; not below least."""
    v = FloatLanes(code, bits, WIDTH)
    if bits == 32:
        word, mantissa, one = code.op(f"xor {_WORDS} {x0}, {x1}"), 23, 0x3F800000
    else:
        word, mantissa, one = _joined(code, x1, x0), 52, 0x3FF0000000000000
    ints = v.int_kind
    word = code.op(f"lshr {ints} {word}, {v.int_const(bits - mantissa)}")
    word = code.op(f"or {ints} {word}, {v.int_const(one)}")
    unit = v.sub(code.op(f"bitcast {ints} {word} to {v.kind}"), v.const(1.0))
    found = v.fma(unit, v.sub(most, least), least)
    return v.intrinsic("maximum", least, found)


__all__ = ["bits", "keys", "normal", "uniform"]
