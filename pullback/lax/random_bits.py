"""Random bits without keys: generators with a state that the caller keeps, and one with its own."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.array import Array
from ..core.errors import error
from ..ops import bit_generator
from .arguments import apply, as_array, requested, shape_of


class RandomAlgorithm(enum.Enum):
    """Counter-based generators. The default is Philox."""

    RNG_DEFAULT = 0
    RNG_THREE_FRY = 1
    RNG_PHILOX = 2

    def __repr__(self) -> str:
        return f"RandomAlgorithm.{self.name}"


def rng_bit_generator(
    key: Any,
    shape: Sequence[int],
    dtype: Any = np.uint32,
    algorithm: RandomAlgorithm = RandomAlgorithm.RNG_DEFAULT,
    *,
    out_sharding: Any = None,
) -> tuple[Array, Array]:
    """A new state, and random bits: the same ones as XLA gives on the CPU.

    Args:
      key: the state, four uint32: two words of a key, two of a counter.
      shape: the shape of the bits.
      dtype: uint8, uint16, uint32 or uint64.
      algorithm: Philox-4x32, or Threefry-2x32.
      out_sharding: accepted for compatibility: there is one device.

    Raises:
      TypeError: the state or the dtype is another one.

    Example:
      >>> from pullback import lax
      >>> import pullback.numpy as jnp
      >>> state, bits = lax.rng_bit_generator(jnp.array([1, 2, 3, 4], jnp.uint32), (2,))
      >>> print(state, bits)
      [1 2 4 4] [ 512747620 1298009047]
    """
    if not isinstance(algorithm, RandomAlgorithm):
        raise error(
            ValueError,
            "there is no such algorithm of random bits.",
            got=f"algorithm={algorithm!r}",
            fix="use lax.RandomAlgorithm.RNG_PHILOX or RNG_THREE_FRY.",
        )
    kind = "threefry" if algorithm is RandomAlgorithm.RNG_THREE_FRY else "philox"
    wanted = requested(dtype, "rng_bit_generator")
    state, bits = apply(
        bit_generator.rng_bit_generator,
        as_array(key, "rng_bit_generator"),
        shape=shape_of(shape, "rng_bit_generator"),
        dtype=np.dtype(wanted),
        algorithm=kind,
    )
    return state, bits


def rng_uniform(a: Any, b: Any, shape: Sequence[int]) -> Array:
    """Uniform numbers from `a` to `b`, other ones in each run and call: no key determines them.

    Use `pullback.random`, but for a quick number that nothing depends on.

    Args:
      a, b: scalars of one dtype; `b` itself is not given.
      shape: the shape of the result.

    Example:
      >>> from pullback import lax
      >>> print(lax.rng_uniform(2.0, 3.0, (4,)) >= 2.0)
      [ True  True  True  True]
    """
    low, high = as_array(a, "rng_uniform"), as_array(b, "rng_uniform")
    return apply(  # type: ignore[no-any-return]
        bit_generator.rng_uniform, low, high, shape=shape_of(shape, "rng_uniform")
    )
