"""Random bits and keys: Threefry's counters are hashed inside the loops that use the bits.

A key is one element of 64 bits, so that arrays of keys are sliced, gathered and carried as numbers
are. Its two words of 32 bits are the same memory, seen as an array with one axis more.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from ....core.program import Equation
from ....core.types import ArrayType, array_type
from ....ops.random_bits import (
    random_bits,
    random_clone,
    random_fold_in,
    random_seed,
    random_split,
    random_unwrap,
    random_wrap,
    threefry2x32,
)
from ....ops.random_values import bit_width_for, uniform_from_bits
from ....ops.threefry import MASK
from .. import threefry
from ..buffers import Buffer
from ..kinds import KEY, Kind, Unsupported, Word, constant, kind_of, shuffle
from ..lowering import Lowering, Rule, Value
from ..nodes import Counting
from ..registers import MOST, Lanes
from ..site import Operation, Site
from ..text import Code
from ..unfolding import decomposed

UINT32 = kind_of(np.uint32)
UINT64 = kind_of(np.uint64)


# ---- operations on the elements of keys and counters


def _hashed(site: Site, k0: Word, k1: Word, x0: Word, x1: Word) -> tuple[str, str]:
    """The two words of each counter (x0, x1) under the key (k0, k1)."""
    code, width = site.code, site.width
    lanes = next(w for w in threefry.WIDTHS if w >= width)
    symbol, address = threefry.function(lanes)
    function = code.module.symbol(symbol, address, threefry.signature(lanes))
    typed, result = threefry.typed(lanes), threefry.result(lanes)
    words = [_cut(code, x, width, lanes) for x in (k0, k1, x0, x1)]
    pair = code.call(result, function, *(f"{typed} {x}" for x in words))
    both = [code.op(f"extractvalue {result} {pair}, {i}") for i in range(2)]
    first, second = (_cut(code, x, lanes, width) for x in both)
    return first, second


def _cut(code: Code, word: str, width: int, lanes: int) -> str:
    """The word with as many lanes; those that are new are like the first one."""
    if width == lanes:
        return word
    order = [i if i < width else 0 for i in range(lanes)]
    return shuffle(code, UINT32.typed(width), word, "poison", order)


def _mixed(site: Site, *words: Word) -> Word:
    """The bits of a counter: both words of its hash in one."""
    first, second = _hashed(site, *words)
    mixed = site.code.op(f"xor {UINT32.typed(site.width)} {first}, {second}")
    if site.out.bits == 32:
        return mixed
    return site.code.op(f"trunc {UINT32.typed(site.width)} {mixed} to {site.out.typed(site.width)}")


def _high_first(site: Site, *words: Word) -> Word:
    """The hash as a number of 64 bits, the first word in the upper half."""
    first, second = _hashed(site, *words)
    return _together(site, second, first)


def _as_key(site: Site, *words: Word) -> Word:
    """The hash as a key."""
    return _together(site, *_hashed(site, *words))


def _together(site: Site, low: str, high: str) -> str:
    code, width = site.code, site.width
    wide, short = UINT64.typed(width), UINT32.typed(width)
    low, high = (code.op(f"zext {short} {x} to {wide}") for x in (low, high))
    return code.op(f"or {wide} {_shifted(code, 'shl', high, width)}, {low}")


def _shifted(code: Code, how: str, x: str, width: int) -> str:
    return str(code.op(f"{how} {UINT64.typed(width)} {x}, {constant(32, UINT64, width)}"))


def _first_word(site: Site, key: Word) -> Word:
    wide, short = UINT64.typed(site.width), UINT32.typed(site.width)
    return site.code.op(f"trunc {wide} {key} to {short}")


def _second_word(site: Site, key: Word) -> Word:
    return _first_word(site, _shifted(site.code, "lshr", key, site.width))


def _paired(site: Site, low: Word, high: Word) -> Word:
    return _together(site, low, high)


def _seeded(site: Site, seed: Word) -> Word:
    """The upper half of a seed is the first word of its key; of 32 bits, zeros are."""
    code, width, kind = site.code, site.width, site.inputs[0]
    wide = UINT64.typed(width)
    if kind.bits == 64:
        halves = (_shifted(code, how, seed, width) for how in ("shl", "lshr"))
        return code.op(f"or {wide} {next(halves)}, {next(halves)}")
    short = UINT32.typed(width)
    if kind.bits < 32:
        extend = "sext" if kind.family == "i" else "zext"
        seed = code.op(f"{extend} {kind.typed(width)} {seed} to {short}")
    return _shifted(code, "shl", code.op(f"zext {short} {seed} to {wide}"), width)


COST = 100
MIXED, HIGH_FIRST = Operation(_mixed, COST), Operation(_high_first, COST)
AS_KEY, PAIRED = Operation(_as_key, COST), Operation(_paired, 3)
FIRST, SECOND = Operation(_first_word), Operation(_second_word, 2)
SEEDED = Operation(_seeded, 3)


# ---- keys and their words


def _wrap(low: Lowering, eq: Equation, args: list[Value]) -> list[Value]:
    words = args[0]
    shape = words.shape[:-1]
    if words.lanes is not None:
        order = np.arange(words.size).reshape(words.shape)
        pair = [low.small_value(low.lanes(words).taken(order[..., i])) for i in (0, 1)]
        return [low.elementwise(PAIRED, pair, {}, eq.outvars[0].aval)]
    buffer = low.buffer(words)
    if buffer.strides[-1] != 1 or any(s % 2 for s in buffer.strides[:-1]):
        buffer = low.contiguous(words)
    strides = [s // 2 for s in buffer.strides[:-1]]
    return [low.memory_value(Buffer(buffer.pointer, KEY, shape, strides, buffer.storage))]


def _unwrap(low: Lowering, eq: Equation, args: list[Value]) -> list[Value]:
    keys = args[0]
    if keys.small and keys.lanes is not None and 2 * keys.size <= MOST:
        pair = Lanes.joined([low.lanes(w) for w in words_of(low, keys)])
        n = keys.size
        order = np.stack([np.arange(n), np.arange(n, 2 * n)], -1)
        return [low.small_value(pair.taken(order.reshape(*keys.shape, 2)))]
    buffer = low.buffer(keys)
    return [low.memory_value(_in_words(buffer))]


def _in_words(keys: Buffer) -> Buffer:
    strides = [*(2 * s for s in keys.strides), 1]
    return Buffer(keys.pointer, UINT32, (*keys.shape, 2), strides, keys.storage)


def words_of(low: Lowering, keys: Value) -> list[Value]:
    """Both words of each key."""
    aval = array_type(keys.shape, UINT32.dtype)
    return [low.elementwise(how, [keys], {}, aval, uses=2) for how in (FIRST, SECOND)]


def _seed(low: Lowering, eq: Equation, args: list[Value]) -> list[Value]:
    if eq.params["impl"] != "fry":
        raise Unsupported(f"keys of impl={eq.params['impl']!r}")
    return [low.elementwise(SEEDED, args, {}, eq.outvars[0].aval, low.uses[eq.outvars[0]])]


def _clone(low: Lowering, eq: Equation, args: list[Value]) -> list[Value]:
    return list(args)


# ---- hashes


def _threefry(low: Lowering, eq: Equation, args: list[Value]) -> list[Value]:
    aval = eq.outvars[0].aval
    if aval.size == 0:
        return [low.constant_value(0, UINT32, aval.shape)] * 2
    whole = low.elementwise(AS_KEY, args, {}, array_type(aval.shape, KEY.dtype), uses=2)
    return [low.elementwise(how, [whole], {}, aval) for how in (FIRST, SECOND)]


def _bits(low: Lowering, eq: Equation, args: list[Value]) -> list[Value]:
    how = HIGH_FIRST if eq.params["bit_width"] == 64 else MIXED
    return _of_counters(low, eq, args[0], how)


def _split(low: Lowering, eq: Equation, args: list[Value]) -> list[Value]:
    return _of_counters(low, eq, args[0], AS_KEY)


def _of_counters(low: Lowering, eq: Equation, keys: Value, how: Operation) -> list[Value]:
    """0, 1, 2, ... hashed under each key."""
    if not eq.params["partitionable"]:
        return low.closed(decomposed(eq), [keys])
    out, shape = eq.outvars[0].aval, eq.params["shape"]
    if prod(shape) > MASK:
        raise Unsupported("more than 2**32 random numbers of one key")
    zero = low.constant_value(0, UINT32)
    counters = _counters(low, out.shape, shape)
    words = [*_key_words(low, keys, out.shape), zero, counters]
    return [low.elementwise(how, words, {}, out, low.uses[eq.outvars[0]])]


def _counters(low: Lowering, whole: Sequence[int], shape: Sequence[int]) -> Value:
    """The numbers of elements within `shape`, the last axes of `whole`."""
    strides = np.zeros(len(whole), int)
    strides[len(whole) - len(shape) :] = [prod(shape[d + 1 :]) for d in range(len(shape))]
    if prod(whole) > MOST:
        return Value(UINT32, whole, node=Counting(UINT32, whole, strides.tolist()))
    numbers = np.broadcast_to(np.arange(prod(shape)).reshape(shape), whole)
    known = [low.lanes(low.constant_value(n, UINT32)) for n in range(prod(shape))]
    return low.small_value(Lanes.joined(known).taken(numbers))


def _key_words(low: Lowering, keys: Value, whole: Sequence[int]) -> list[Value]:
    """Both words of the key of each element of `whole`, whose first axes are those of keys."""
    if keys.size == 1:
        key = low.small_value(low.lanes(keys).taken(np.zeros((), int)))
        return words_of(low, key)
    if prod(whole) <= MOST:
        order = np.arange(keys.size).reshape(keys.shape + (1,) * (len(whole) - len(keys.shape)))
        lanes = low.lanes(keys).taken(np.broadcast_to(order, whole))
        return words_of(low, low.small_value(lanes))
    buffer = low.buffer(keys)
    strides = [*buffer.strides, *[0] * (len(whole) - len(buffer.strides))]
    spread = low.memory_value(Buffer(buffer.pointer, KEY, whole, strides, buffer.storage))
    return words_of(low, spread)


def _fold_in(low: Lowering, eq: Equation, args: list[Value]) -> list[Value]:
    keys, data = args
    zero = low.constant_value(0, UINT32)
    words = [*words_of(low, keys), zero, data]
    return [low.elementwise(AS_KEY, words, {}, eq.outvars[0].aval, low.uses[eq.outvars[0]])]


# ---- uniform numbers


def _stretched(site: Site, bits: Word, least: Word, most: Word) -> Word:
    """A mantissa of random bits less 1, times most - least, plus least, rounded once."""
    code, width, kind = site.code, site.width, site.out
    unsigned = kind_of(f"u{kind.size}")
    shift = constant(bit_width_for(kind.dtype) - _mantissa(kind), unsigned, width)
    one = np.ones((), kind.dtype).view(unsigned.dtype)
    ints, floats = unsigned.typed(width), kind.typed(width)
    moved = code.op(f"lshr {ints} {bits}, {shift}")
    moved = code.op(f"or {ints} {moved}, {constant(one, unsigned, width)}")
    unit = code.op(f"bitcast {ints} {moved} to {floats}")
    unit = code.op(f"fsub {floats} {unit}, {constant(1, kind, width)}")
    span = code.op(f"fsub {floats} {most}, {least}")
    name = f"{f'v{width}' if width else ''}f{kind.bits}"
    operands = [f"{floats} {x}" for x in (unit, span, least)]
    found = code.call(floats, f"@llvm.fma.{name}", *operands)
    return code.call(floats, f"@llvm.maximum.{name}", f"{floats} {least}", f"{floats} {found}")


def _mantissa(kind: Kind) -> int:
    return int(np.finfo(kind.dtype).nmant)


STRETCHED = Operation(_stretched, 8)


def _uniform(low: Lowering, eq: Equation, args: list[Value]) -> list[Value]:
    out: ArrayType = eq.outvars[0].aval
    if kind_of(out.dtype).narrow:
        return low.closed(decomposed(eq), args)
    return [low.elementwise(STRETCHED, args, {}, out, low.uses[eq.outvars[0]])]


RULES: dict[Any, Rule] = {
    threefry2x32: _threefry,
    random_bits: _bits,
    random_split: _split,
    random_fold_in: _fold_in,
    random_seed: _seed,
    random_wrap: _wrap,
    random_unwrap: _unwrap,
    random_clone: _clone,
    uniform_from_bits: _uniform,
}

__all__ = ["RULES", "words_of"]
