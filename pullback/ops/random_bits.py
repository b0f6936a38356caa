"""Primitives that make random bits and keys: Threefry-2x32 counters, bit-identical to JAX's.

A key is two 32-bit words; hashing a counter under it gives two random words. There are two layouts
of counters (setting jax_threefry_partitionable): in the partitionable one, element i of a result
comes from the counter i alone, so any part of it can be made alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import dtypes
from ..core.dtypes import KEY_TYPES, KEY_WORDS, is_key, uint32
from ..core.errors import error
from ..core.primitive import CORE, NOT_LINEAR, Primitive
from ..core.types import ArrayType, array_type
from .comparison import and_, eq, or_, shift_left, shift_right_logical, xor
from .elementwise import add, convert_element_type, select_n, vmap_together
from .slicing import concatenate, slice_along
from .structural import broadcast_in_dim, iota, move_axis, reshape
from .threefry import MASK, PARITY, ROTATIONS, hash_pairs, random_words, split_words, threefry

KEY = KEY_TYPES["fry"]
KEY_FIELD = "key<fry>"


class RandomPrimitive(Primitive, family=True):
    """Not differentiable; mapped keys give results mapped on the same axis."""

    weak_from = ()

    def jvp(self, primals: Any, tangents: Any, out: Any, **params: Any) -> Any:
        return [None, None] if self.multiple_results else None

    transpose: Any = NOT_LINEAR

    def vmap(self, size: int, args: Any, axes: Any, **params: Any) -> Any:
        return self(*args, **params), axes[0]


# ---- the hash


class Threefry2x32(RandomPrimitive, name="threefry2x32"):
    """Two words from two words `x0`, `x1` under the key `k0`, `k1`. Rank 0 stands for any shape."""

    multiple_results = True

    def typing(self, k0: Any, k1: Any, x0: Any, x1: Any) -> list[ArrayType]:
        types = (k0, k1, x0, x1)
        shapes = {t.shape for t in types if t.shape}
        if any(t.dtype != uint32 for t in types) or len(shapes) > 1:
            raise error(
                TypeError,
                "threefry2x32 needs four uint32 arrays of one shape, or scalars.",
                got=", ".join(t.str_short() for t in types),
                fix="convert and broadcast them first.",
            )
        return [array_type(shapes.pop() if shapes else (), uint32)] * 2

    def eval(self, k0: Any, k1: Any, x0: Any, x1: Any) -> Any:
        shape = np.broadcast_shapes(k0.shape, k1.shape, x0.shape, x1.shape)
        out0, out1 = np.empty(shape, uint32), np.empty(shape, uint32)
        out0[...], out1[...] = x0, x1
        threefry(k0, k1, out0, out1)
        return [out0, out1]

    def vmap(self, size: int, args: Any, axes: Any) -> Any:
        out, axis = vmap_together(self, size, args, axes, {})
        return out, [axis, axis]

    def lower(self, k0: Any, k1: Any, x0: Any, x1: Any) -> Any:
        keys = (k0, k1, xor(xor(k0, k1), np.uint32(PARITY)))
        x0, x1 = add(x0, k0), add(x1, k1)
        for i in range(5):
            for n in ROTATIONS[i % 2]:
                x0 = add(x0, x1)
                left = shift_left(x1, np.uint32(n))
                right = shift_right_logical(x1, np.uint32(32 - n))
                x1 = xor(or_(left, right), x0)
            x0 = add(x0, keys[(i + 1) % 3])
            x1 = add(x1, add(keys[(i + 2) % 3], np.uint32(i + 1)))
        return [x0, x1]


threefry2x32 = Threefry2x32()


def _word(words: Any, i: int) -> Any:
    """Word `i` of keys given by their words, which lie along the last axis."""
    axis = len(words.shape) - 1
    return reshape(slice_along(words, axis, i, i + 1), new_sizes=words.shape[:-1])


def _side_by_side(words: Any) -> Any:
    """Arrays along a new last axis."""
    wide = [reshape(w, new_sizes=(*w.shape, 1)) for w in words]
    return concatenate(*wide, dimension=len(wide[0].shape) - 1)


def _hash_counters(keys: Any, n: int, partitionable: bool) -> list[Any]:
    """The two words of each of `n` counters under each key, along a new last axis.

    In the original layout `n` is the number of all words, of which half are first words.
    """
    words = random_unwrap(keys)
    if partitionable:
        number = iota(dtype=np.dtype(np.uint64 if n > MASK else np.uint32), shape=(n,), dimension=0)
        counters = [np.uint32(0), number]
        if n > MASK:
            high = shift_right_logical(number, np.uint64(32))
            counters = [
                convert_element_type(w, new_dtype=uint32, weak_type=False) for w in (high, number)
            ]
    else:
        half = (n + 1) // 2
        first = iota(dtype=uint32, shape=(half,), dimension=0)
        second = add(first, np.uint32(half))
        if n % 2:  # an odd number of words is filled up with a zero
            last = eq(first, np.uint32(half - 1))
            second = select_n(last, second, xor(second, second))
        counters = [first, second]
    shape = (*keys.shape, *counters[1].shape)
    lead = tuple(range(len(keys.shape)))
    k0, k1 = (
        broadcast_in_dim(_word(words, i), shape=shape, broadcast_dimensions=lead) for i in (0, 1)
    )
    x0, x1 = (
        broadcast_in_dim(x, shape=shape, broadcast_dimensions=(len(lead),) if x.shape else ())
        for x in counters
    )
    return threefry2x32(k0, k1, x0, x1)  # type: ignore[no-any-return]


def _halves(keys: Any, n: int) -> Any:
    """`n` words for each key in the original layout."""
    axis = len(keys.shape)
    return slice_along(concatenate(*_hash_counters(keys, n, False), dimension=axis), axis, 0, n)


# ---- keys


class KeyPrimitive(RandomPrimitive, family=True):
    """The first argument is an array of keys."""

    def need_keys(self, t: Any) -> None:
        """Raise unless `t` is the type of keys that this file can use."""
        if t.dtype == KEY:
            return
        raise error(
            TypeError,
            f"{self.name} takes an array of random keys.",
            got=t.str_short(),
            fix="make keys with random.key(seed); wrap their bits with random.wrap_key_data."
            if not is_key(t.dtype)
            else 'only keys of impl="threefry2x32" can be used here.',
        )


class RandomBits(KeyPrimitive):
    """For each key an array of `shape` of unsigned integers of `bit_width` bits."""

    def typing(self, keys: Any, *, bit_width: int, shape: Any, partitionable: bool) -> ArrayType:
        self.need_keys(keys)
        if bit_width not in (8, 16, 32, 64):
            raise error(
                TypeError,
                "random bits come in widths of 8, 16, 32 and 64.",
                got=f"bit_width={bit_width}",
                fix="use one of these.",
            )
        out = array_type((*keys.shape, *shape), np.dtype(f"u{bit_width // 8}"))
        _check_count(array_type(shape, uint32).size * bit_width // 32, partitionable)
        return out

    def eval(self, keys: Any, *, bit_width: int, shape: Any, partitionable: bool) -> Any:
        n = 1
        for d in shape:
            n *= d
        _check_count(n * bit_width // 32, partitionable)
        words = keys[KEY_FIELD].reshape(-1, 2)
        out = random_words(words, bit_width, n, partitionable)
        return out.reshape((*keys.shape, *shape))

    def lower(self, keys: Any, *, bit_width: int, shape: Any, partitionable: bool) -> Any:
        n, axis = array_type(shape, uint32).size, len(keys.shape)
        dtype = np.dtype(f"u{bit_width // 8}")
        if partitionable:
            high, low = _hash_counters(keys, n, True)
            bits = _together(high, low) if bit_width == 64 else xor(high, low)
        else:
            bits = _halves(keys, -(-bit_width * n // 32))
            if bit_width == 64:
                high, low = (slice_along(bits, axis, a, b) for a, b in ((0, n), (n, 2 * n)))
                bits = _together(high, low)
            elif bit_width < 32:
                starts = [np.uint32(i) for i in range(0, 32, bit_width)]
                bits = _side_by_side([shift_right_logical(bits, i) for i in starts])
                bits = reshape(bits, new_sizes=(*keys.shape, bits.shape[-1] * bits.shape[-2]))
                bits = slice_along(bits, axis, 0, n)
        if bit_width < 32:
            bits = and_(bits, np.uint32((1 << bit_width) - 1))
            bits = convert_element_type(bits, new_dtype=dtype, weak_type=False)
        return reshape(bits, new_sizes=(*keys.shape, *shape))


random_bits = RandomBits()


def _together(high: Any, low: Any) -> Any:
    """64-bit integers from their halves."""
    wide = np.dtype(np.uint64)
    high, low = (convert_element_type(w, new_dtype=wide, weak_type=False) for w in (high, low))
    return or_(shift_left(high, np.uint64(32)), low)


def _check_count(words: int, partitionable: bool) -> None:
    if not partitionable and words > MASK:
        raise error(
            NotImplementedError,
            "more than 2**32 random words at once need the partitionable layout.",
            got=f"{words} words with jax_threefry_partitionable=False",
            fix="use config.update('jax_threefry_partitionable', True), or split the key.",
        )


class RandomSplit(KeyPrimitive):
    """For each key an array of `shape` of new keys."""

    def typing(self, keys: Any, *, shape: Any, partitionable: bool) -> ArrayType:
        self.need_keys(keys)
        return array_type((*keys.shape, *shape), keys.dtype)

    def eval(self, keys: Any, *, shape: Any, partitionable: bool) -> Any:
        n = 1
        for d in shape:
            n *= d
        out = split_words(keys[KEY_FIELD].reshape(-1, 2), n, partitionable)
        return _as_keys(out, (*keys.shape, *shape))

    def lower(self, keys: Any, *, shape: Any, partitionable: bool) -> Any:
        n = array_type(shape, uint32).size
        if partitionable:
            words = _side_by_side(_hash_counters(keys, n, True))
        else:
            words = _halves(keys, 2 * n)
        return random_wrap(reshape(words, new_sizes=(*keys.shape, *shape, 2)), impl="fry")


random_split = RandomSplit()


def _as_keys(words: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    out = np.empty(shape, KEY)
    out[KEY_FIELD] = words.reshape((*shape, 2))
    return out


class RandomFoldIn(KeyPrimitive):
    """The key with the word `data` hashed into it. Rank 0 stands for any shape."""

    def typing(self, keys: Any, data: Any) -> ArrayType:
        self.need_keys(keys)
        if data.dtype != uint32 or (keys.shape and data.shape and keys.shape != data.shape):
            raise error(
                TypeError,
                "random_fold_in takes keys and uint32 data of one shape, or scalars.",
                got=f"{keys.str_short()} and {data.str_short()}",
                fix="convert the data with .astype(jnp.uint32) and broadcast it.",
            )
        return array_type(keys.shape or data.shape, keys.dtype)

    def eval(self, keys: Any, data: Any) -> Any:
        words = keys[KEY_FIELD]
        if not keys.shape and not data.shape:
            return _as_keys(hash_pairs(words.reshape(1, 2), [(0, int(data))]), ())
        shape = keys.shape or data.shape
        x0, x1 = np.zeros(shape, uint32), np.empty(shape, uint32)
        x1[...] = data
        threefry(words[..., 0], words[..., 1], x0, x1)
        return _as_keys(np.stack([x0, x1], -1), shape)

    def vmap(self, size: int, args: Any, axes: Any) -> Any:
        return vmap_together(self, size, args, axes, {})

    def lower(self, keys: Any, data: Any) -> Any:
        words = random_unwrap(keys)
        out = threefry2x32(_word(words, 0), _word(words, 1), np.uint32(0), data)
        return random_wrap(_side_by_side(out), impl="fry")


random_fold_in = RandomFoldIn()


class RandomSeed(RandomPrimitive):
    """A key of each integer: its 64 bits, or its 32 bits after a word of zeros."""

    def typing(self, seeds: Any, *, impl: str) -> ArrayType:
        check_impl(impl)
        if dtypes.kind(seeds.dtype) not in "iu":
            raise error(
                TypeError,
                "the seed of a random key must be an integer.",
                got=seeds.str_short(),
                fix="use an int, such as random.key(0).",
            )
        return array_type(seeds.shape, KEY_TYPES[impl])

    def eval(self, seeds: Any, *, impl: str) -> Any:
        out = np.empty(seeds.shape, KEY_TYPES[impl])
        words = out[KEY_FIELD]
        wide = seeds.astype(np.int64 if dtypes.kind(seeds.dtype) == "i" else np.uint64)
        words[..., 0] = (wide.view(np.uint64) >> np.uint64(32)) if seeds.itemsize == 8 else 0
        words[..., 1] = wide.view(np.uint64) & np.uint64(MASK)
        return out

    def lower(self, seeds: Any, *, impl: str) -> Any:
        low = convert_element_type(seeds, new_dtype=uint32, weak_type=False)
        high = xor(low, low)
        if seeds.dtype.itemsize == 8:
            shifted = shift_right_logical(seeds, seeds.dtype.type(32))
            high = convert_element_type(shifted, new_dtype=uint32, weak_type=False)
        return random_wrap(_side_by_side([high, low]), impl=impl)


random_seed = RandomSeed()


def check_impl(impl: str) -> None:
    """Raise unless `impl` is the tag of an implementation that exists here."""
    if impl != "fry":
        known = {"rbg": "rbg", "urbg": "unsafe_rbg"}.get(impl, impl)
        raise error(
            NotImplementedError,
            f"random keys of impl={known!r} cannot be made here.",
            got=f"impl={known!r}",
            fix='use impl="threefry2x32", the default.',
        )


class RandomWrap(RandomPrimitive):
    """Keys from their words, which lie along the last axis."""

    def typing(self, words: Any, *, impl: str) -> ArrayType:
        check_impl(impl)
        if words.dtype != uint32 or words.shape[-1:] != (KEY_WORDS[impl],):
            raise error(
                TypeError,
                f"the data of random keys must be uint32 with a last axis of {KEY_WORDS[impl]}.",
                got=words.str_short(),
                fix="use random.key(seed), or the words that random.key_data(key) gives.",
            )
        return array_type(words.shape[:-1], KEY_TYPES[impl])

    def eval(self, words: Any, *, impl: str) -> Any:
        return _as_keys(words, words.shape[:-1])

    def vmap(self, size: int, args: Any, axes: Any, *, impl: str) -> Any:
        return random_wrap(move_axis(args[0], axes[0], 0), impl=impl), 0

    lower = CORE


random_wrap = RandomWrap()


class RandomUnwrap(KeyPrimitive):
    """The words of keys, along a new last axis."""

    def typing(self, keys: Any) -> ArrayType:
        self.need_keys(keys)
        return array_type((*keys.shape, KEY_WORDS["fry"]), uint32)

    def eval(self, keys: Any) -> Any:
        return np.ascontiguousarray(keys[KEY_FIELD])

    lower = CORE


random_unwrap = RandomUnwrap()


class RandomClone(KeyPrimitive):
    """The same keys, to be used again on purpose."""

    def typing(self, keys: Any) -> ArrayType:
        self.need_keys(keys)
        return keys.strong()  # type: ignore[no-any-return]

    def eval(self, keys: Any) -> Any:
        return keys

    def lower(self, keys: Any) -> Any:
        return keys


random_clone = RandomClone()
