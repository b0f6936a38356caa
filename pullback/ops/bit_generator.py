"""Random bits of counters as XLA's generators give them, and of NumPy's generator.

Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3" (2011).
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np

from ..core import dtypes
from ..core.errors import error
from ..core.primitive import CORE, NOT_LINEAR, Absent, Primitive
from ..core.types import ArrayType, array_type
from .stacking import stack, unstack
from .structural import to_front, zeros
from .threefry import threefry

_MASK = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


def philox(key: tuple[int, int], counters: np.ndarray, high: tuple[int, int]) -> np.ndarray:
    """Philox-4x32-10 of (counter, high) for 64-bit counters: words of shape (n, 4)."""
    c = [counters & _MASK, counters >> _HALF]
    c += [np.full_like(counters, h) for h in high]
    k0, k1 = key
    for _ in range(10):
        first, second = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        c = [
            (second >> _HALF) ^ c[1] ^ np.uint64(k0),
            second & _MASK,
            (first >> _HALF) ^ c[3] ^ np.uint64(k1),
            first & _MASK,
        ]
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return np.stack(c, -1).astype(np.uint32)


def _philox_words(state: Any, count: int) -> tuple[np.ndarray, int]:
    """So many words, and how many counters they took."""
    steps = -(-count // 4)
    start = np.uint64(int(state[2]) | int(state[3]) << 32)
    with np.errstate(over="ignore"):
        counters = start + np.arange(steps, dtype=np.uint64)
    key = int(state[0]), int(state[1])
    words = philox(key, counters, key)
    wrapped = counters < start  # the carry goes into the other half of the counter
    if wrapped.any():
        carried = (int(state[0]) | int(state[1]) << 32) + 1
        high = carried & 0xFFFFFFFF, carried >> 32 & 0xFFFFFFFF
        words[wrapped] = philox(key, counters[wrapped], high)
    return words.reshape(-1)[:count], steps


def _threefry_words(state: Any, shape: tuple[int, ...]) -> tuple[np.ndarray, int]:
    """Words of this shape. The two of one counter are neighbours along the first even axis."""
    wanted, shape = shape, shape or (1,)
    axis = next((i for i, n in enumerate(shape) if n % 2 == 0), None)
    if axis is None:  # none is even: one more along the longest, which is cut off again
        axis = shape.index(max(shape))
        shape = (*shape[:axis], shape[axis] + 1, *shape[axis + 1 :])
    steps = math.prod(shape) // 2
    start = np.uint64(int(state[2]) | int(state[3]) << 32)
    with np.errstate(over="ignore"):
        counters = start + np.arange(steps, dtype=np.uint64)
    x0, x1 = (counters & _MASK).astype(np.uint32), (counters >> _HALF).astype(np.uint32)
    threefry(state[0], state[1], x0, x1)
    half = (*shape[:axis], shape[axis] // 2, *shape[axis + 1 :])
    both = np.stack([x0.reshape(half), x1.reshape(half)], axis + 1).reshape(shape)
    return both[tuple(map(slice, wanted or (1,)))].reshape(wanted), steps


class RngBitGenerator(Primitive):
    """A new state, and random bits; `algorithm` is "philox" or "threefry"."""

    multiple_results = True

    def typing(self, state: Any, *, shape: Any, dtype: Any, algorithm: Any) -> list[ArrayType]:
        if state.shape != (4,) or state.dtype != dtypes.uint32:
            raise error(
                TypeError,
                "rng_bit_generator needs a state of four uint32: two of the key, two of the "
                "counter.",
                got=state.str_short(),
                fix="use e.g. jnp.array([0, 1, 2, 3], jnp.uint32).",
            )
        if dtype not in ("uint8", "uint16", "uint32", "uint64"):
            raise error(
                TypeError,
                "rng_bit_generator gives unsigned integers of 8, 16, 32 or 64 bits.",
                got=f"dtype={dtypes.long_name(dtype)}",
                fix="use jnp.uint32.",
            )
        return [array_type(state.shape, state.dtype, False), array_type(shape, dtype, False)]

    def eval(self, state: Any, *, shape: Any, dtype: Any, algorithm: Any) -> list[Any]:
        per = 2 if dtype.itemsize == 8 else 1
        n = math.prod(shape)
        if n == 0:
            return [state.copy(), np.zeros(shape, dtype)]
        if algorithm == "philox":
            words, steps = _philox_words(state, n * per)
            bits = words.view(np.uint64) if per == 2 else words.astype(dtype, copy=False)
        elif per == 2:
            words, steps = _threefry_words(state, (2 * n,))
            bits = words.view(np.uint64)
        else:
            words, steps = _threefry_words(state, tuple(shape))
            bits = words.astype(dtype, copy=False)
        counter = (int(state[2]) | int(state[3]) << 32) + steps
        new = np.array(
            [state[0], state[1], counter & 0xFFFFFFFF, counter >> 32 & 0xFFFFFFFF], np.uint32
        )
        return [new, bits.reshape(shape)]

    def jvp(self, primals: Any, tangents: Any, out: Any, **params: Any) -> list[Any]:
        return [None, None]

    def vmap(self, size: int, args: Any, axes: Any, **params: Any) -> Any:
        states = to_front(args[0], axes[0], size)
        if size == 0:
            types = self.typing(states.aval.without_axis(0), **params)
            return [zeros(t.with_axis(0, 0)) for t in types], [0, 0]
        made = [self(state, **params) for state in unstack(states, axis=0)]
        return [stack(*parts, axis=0) for parts in zip(*made, strict=True)], [0, 0]

    transpose = NOT_LINEAR
    lower = CORE


rng_bit_generator = RngBitGenerator()


@cache
def _generator() -> np.random.Generator:
    """Made when it is first used: numpy.random is slow to load."""
    return np.random.default_rng()


class RngUniform(Primitive):
    """Numbers from `low` to `high`, other ones each time: the generator has its own state."""

    effects = True
    """So that two calls are not taken for one."""

    def typing(self, low: Any, high: Any, *, shape: Any) -> ArrayType:
        if low.dtype != high.dtype or low.shape or high.shape:
            raise error(
                ValueError,
                "rng_uniform needs two scalars of one dtype.",
                got=f"{low.str_short()} and {high.str_short()}",
                fix="convert one of them.",
            )
        if dtypes.kind(low.dtype) not in "biuf":
            raise error(
                TypeError,
                "rng_uniform gives real numbers, integers or bools.",
                got=low.str_short(),
                fix="make complex numbers of two parts.",
            )
        return array_type(shape, low.dtype, low.weak_type and high.weak_type)

    def eval(self, low: Any, high: Any, *, shape: Any) -> Any:
        if dtypes.kind(low.dtype) == "f":
            wide = _generator().uniform(float(low), float(high), shape)
            return np.asarray(wide).astype(low.dtype)
        if dtypes.kind(low.dtype) == "b":
            return np.asarray(_generator().random(shape) < 0.5) & bool(high) | bool(low)
        numbers = _generator().integers(int(low), int(high), shape, np.int64)
        return np.asarray(numbers).astype(low.dtype)

    def vmap(self, size: int, args: Any, axes: Any, *, shape: Any) -> Any:
        if size == 0:
            return zeros(array_type((0, *shape), args[0].dtype)), 0
        pairs = zip(*[unstack(to_front(x, a, size), axis=0) for x, a in zip(args, axes)])
        return stack(*[rng_uniform(low, high, shape=shape) for low, high in pairs], axis=0), 0

    jvp = Absent("the numbers are other ones each time: use jax.random, which has keys")
    transpose = NOT_LINEAR
    lower = CORE


rng_uniform = RngUniform()
