"""Threefry-2x32 in NumPy: words hashed from counters under keys, in both layouts of counters.

Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3" (2011). In the
partitionable layout, element i of a result comes from the counter i alone; in the original one from
the counters i and i + n/2 together.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..core.dtypes import uint32

PARITY = 0x1BD11BDA
"""The constant of the key schedule that makes a key of zeros do work."""
ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
MASK = 0xFFFFFFFF

_BLOCK = 1 << 14
"""Counters hashed at once: three buffers of 64 KiB stay in the second-level cache."""
_FEW = 64
"""Counters hashed in Python integers: that costs 3 us for one and 12 us for 64. In NumPy any number
of them up to 1,200 costs 35 us."""


def threefry(k0: Any, k1: Any, x0: np.ndarray, x1: np.ndarray) -> None:
    """Replace the words in `x0` and `x1`, which are contiguous, by their hash."""
    if x0.size <= _FEW:
        return _hash_few(k0, k1, x0, x1)
    # Shifts by arrays of rank 0 are faster than by NumPy or Python numbers.
    keys = (np.asarray(k0), np.asarray(k1), np.asarray(k0 ^ k1 ^ _PARITY_WORD))
    turned = np.empty_like(x0)
    np.add(x0, keys[0], x0)
    np.add(x1, keys[1], x1)
    for i, group in enumerate(_GROUPS):
        for left, right in group:
            np.add(x0, x1, x0)
            np.right_shift(x1, right, turned)
            np.left_shift(x1, left, x1)
            np.bitwise_or(x1, turned, x1)
            np.bitwise_xor(x1, x0, x1)
        np.add(x0, keys[(i + 1) % 3], x0)
        np.add(x1, keys[(i + 2) % 3] + _STEPS[i], x1)


_PARITY_WORD = np.uint32(PARITY)
_STEPS = tuple(np.uint32(i + 1) for i in range(5))
_SHIFTS = [
    [(np.array(n, np.uint32), np.array(32 - n, np.uint32)) for n in group] for group in ROTATIONS
]
_GROUPS = [_SHIFTS[i % 2] for i in range(5)]


def _hash_few(k0: Any, k1: Any, x0: np.ndarray, x1: np.ndarray) -> None:
    n = x0.size
    key0, key1 = _lanes(np.broadcast_to(k0, x0.shape)), _lanes(np.broadcast_to(k1, x0.shape))
    words = _words(_hash_lanes(key0, key1, _lanes(x0), _lanes(x1), _ONES[n]), n)
    x0[...], x1[...] = words[:, 0].reshape(x0.shape), words[:, 1].reshape(x1.shape)


def hash_pairs(keys: np.ndarray, pairs: Any) -> np.ndarray:
    """The hashes of a few counters under one key, `keys` of shape (1, 2): shape (len(pairs), 2)."""
    x0, x1 = (sum(pair[j] << 64 * i for i, pair in enumerate(pairs)) for j in (0, 1))
    return _hash_under(keys, x0, x1, len(pairs))


def _hash_under(keys: np.ndarray, x0: int, x1: int, n: int) -> np.ndarray:
    """The hashes of `n` counters in lanes under one key: shape (n, 2)."""
    ((k0, k1),) = keys.tolist()
    ones = _ONES[n]
    return _words(_hash_lanes(k0 * ones, k1 * ones, x0, x1, ones), n)


# A Python integer holds a word in each of its lanes, which are 64 bits wide: the operations on all
# lanes cost little more than those on one. Only words that are rotated need cutting to 32 bits, for
# nothing else reaches the next lane: the sums stay below 2^37.

_ONES = [sum(1 << 64 * i for i in range(n)) for n in range(_FEW + 1)]
_NUMBERS = [sum(i << 64 * i for i in range(n)) for n in range(_FEW + 1)]
_TURNS = tuple(tuple(t for n in ROTATIONS[i % 2] for t in (n, 32 - n)) for i in range(5))


def _lanes(words: np.ndarray) -> int:
    return int.from_bytes(words.astype("<u8").tobytes(), "little")


def _words(lanes: int, n: int) -> np.ndarray:
    words = np.frombuffer(lanes.to_bytes(8 * n, "little"), "<u4").reshape(n, 2)
    return words.astype(uint32, copy=False)


def _hash_lanes(k0: int, k1: int, x0: int, x1: int, ones: int) -> int:
    """The hash in each lane: the first word in its lower half, the second one in the upper."""
    mask = ones * MASK
    keys = (k0, k1, k0 ^ k1 ^ ones * PARITY)
    x0, x1 = x0 + k0, x1 + k1 & mask
    for step, (a, a_, b, b_, c, c_, d, d_) in enumerate(_TURNS, 1):
        x0 += x1
        x1 = ((x1 << a | x1 >> a_) ^ x0) & mask
        x0 += x1
        x1 = ((x1 << b | x1 >> b_) ^ x0) & mask
        x0 += x1
        x1 = ((x1 << c | x1 >> c_) ^ x0) & mask
        x0 += x1
        x1 = ((x1 << d | x1 >> d_) ^ x0) & mask
        x0 += keys[step % 3]
        x1 = x1 + keys[(step + 1) % 3] + step * ones & mask
    return x0 & mask | x1 << 32


def _blocks(keys: np.ndarray, counters: Any, n: int) -> Iterator[tuple[slice, slice, Any, Any]]:
    """Hashes of `n` counters under each row of `keys`, a cache-sized block at a time.

    Gives (rows, columns, first words, second words). `counters(start, stop)` gives the two words of
    the counters in that range.
    """
    many = max(1, _BLOCK // max(n, 1))
    for top in range(0, len(keys), many):
        rows = slice(top, min(top + many, len(keys)))
        k0, k1 = keys[rows, :1], keys[rows, 1:]
        if len(k0) == 1:
            k0, k1 = k0.reshape(()), k1.reshape(())
        for start in range(0, n, _BLOCK):
            columns = slice(start, min(start + _BLOCK, n))
            shape = (rows.stop - rows.start, columns.stop - start)
            x0, x1 = np.empty(shape, uint32), np.empty(shape, uint32)
            x0[...], x1[...] = counters(columns.start, columns.stop)
            threefry(k0, k1, x0, x1)
            yield rows, columns, x0, x1


def _one_by_one(start: int, stop: int) -> tuple[Any, Any]:
    """The partitionable layout: the counter is the element's number, in 64 bits."""
    if stop <= MASK:
        return 0, np.arange(start, stop, dtype=uint32)
    numbers = np.arange(start, stop, dtype=np.uint64)
    return numbers >> np.uint64(32), numbers & np.uint64(MASK)


class _Halves:
    """The original layout: `n` words; word i is hashed together with word i + n/2."""

    def __init__(self, n: int) -> None:
        self.n, self.half = n, (n + 1) // 2

    def __call__(self, start: int, stop: int) -> tuple[Any, Any]:
        first = np.arange(start, stop, dtype=uint32)
        second = first + np.uint32(self.half)
        if self.n % 2 and stop == self.half:
            second[-1] = 0  # an odd number of words is filled up with a zero
        return first, second

    def words(self, keys: np.ndarray) -> np.ndarray:
        """Shape (len(keys), n)."""
        out = np.empty((len(keys), 2 * self.half), uint32)
        for rows, columns, x0, x1 in _blocks(keys, self, self.half):
            out[rows, columns] = x0
            out[rows, columns.start + self.half : columns.stop + self.half] = x1
        return out[:, : self.n]


def random_words(keys: np.ndarray, bit_width: int, n: int, partitionable: bool) -> np.ndarray:
    """`n` unsigned integers of `bit_width` for each row of `keys`; also what samplers here use."""
    dtype = np.dtype(f"u{bit_width // 8}")
    if len(keys) == 1 and 0 < n <= _FEW and bit_width == 32 and partitionable:
        pairs = _hash_under(keys, 0, _NUMBERS[n], n)
        return pairs[None, :, 0] ^ pairs[None, :, 1]
    if not partitionable:
        words = _Halves(-(-bit_width * n // 32)).words(keys)
        if bit_width == 32:
            return words
        if bit_width == 64:
            return words[:, :n].astype(dtype) << np.uint64(32) | words[:, n:]
        little = np.ascontiguousarray(words.astype("<u4", copy=False))
        return little.view(dtype.newbyteorder("<"))[:, :n].astype(dtype, copy=False)
    out = np.empty((len(keys), n), dtype)
    for rows, columns, x0, x1 in _blocks(keys, _one_by_one, n):
        if bit_width == 64:
            out[rows, columns] = x0.astype(dtype) << np.uint64(32) | x1
        else:
            out[rows, columns] = np.bitwise_xor(x0, x1, x0)
    return out


def split_words(keys: np.ndarray, n: int, partitionable: bool) -> np.ndarray:
    """`n` new keys for each row of `keys`: shape (len(keys), n, 2)."""
    if len(keys) == 1 and 0 < n <= _FEW:
        if partitionable:
            return _hash_under(keys, 0, _NUMBERS[n], n)[None]
        pairs = _hash_under(keys, _NUMBERS[n], _NUMBERS[n] + n * _ONES[n], n)
        return pairs.T.reshape(1, n, 2)
    if not partitionable:
        return _Halves(2 * n).words(keys).reshape(len(keys), n, 2)
    out = np.empty((len(keys), n, 2), uint32)
    for rows, columns, x0, x1 in _blocks(keys, _one_by_one, n):
        out[rows, columns, 0], out[rows, columns, 1] = x0, x1
    return out
