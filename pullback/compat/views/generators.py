"""Random generators as `jax.extend.random` names them."""

from __future__ import annotations

from typing import Any

from ...core.dtypes import KEY_WORDS, uint32
from ...core.errors import error
from ...core.trace import type_of
from ...numpy.conversion import asarray
from ...ops.random_bits import threefry2x32
from ...ops.slicing import concatenate, slice_along
from ...ops.structural import reshape
from ...random.keys import key


class PRNGImpl(str):
    """A generator: its name, which can be given as `impl`, and its short name `tag`."""

    tag: str

    def __new__(cls, name: str, tag: str) -> PRNGImpl:
        self = str.__new__(cls, name)
        self.tag = tag
        return self

    @property
    def name(self) -> str:
        """The name in `jax.random.key(seed, impl=name)`."""
        return str.__str__(self)

    @property
    def key_shape(self) -> tuple[int, ...]:
        """The words of one key."""
        return (KEY_WORDS[self.tag],)

    def __str__(self) -> str:
        return self.tag

    __repr__ = __str__


threefry_prng_impl = PRNGImpl("threefry2x32", "fry")
rbg_prng_impl = PRNGImpl("rbg", "rbg")
unsafe_rbg_prng_impl = PRNGImpl("unsafe_rbg", "urbg")


def random_seed(seeds: Any, impl: PRNGImpl) -> Any:
    """A key of the generator `impl`."""
    return key(seeds, impl=impl)


def seed_with_impl(impl: PRNGImpl, seed: Any) -> Any:
    """A key of the generator `impl`."""
    return key(seed, impl=impl)


def threefry_2x32(keypair: Any, count: Any) -> Any:
    """The hash of the numbers in `count` under a key of two words, an array of uint32.

    The numbers are hashed in pairs: one of the first half with one of the second.
    """
    words, numbers = asarray(keypair), asarray(count)
    if words.dtype != uint32 or numbers.dtype != uint32 or words.shape != (2,):
        raise error(
            TypeError,
            "threefry_2x32 needs a key of two uint32 words, and uint32 numbers.",
            got=f"{type_of(words).str_short()} and {type_of(numbers).str_short()}",
            fix="convert them with .astype(jnp.uint32).",
        )
    n = numbers.size
    half = (n + 1) // 2
    flat = reshape(numbers, new_sizes=(n,))
    if n % 2:  # the last one is paired with 0
        flat = concatenate(flat, asarray([0], uint32), dimension=0)
    x0, x1 = slice_along(flat, 0, 0, half), slice_along(flat, 0, half, 2 * half)
    hashed = concatenate(*threefry2x32(words[0], words[1], x0, x1), dimension=0)
    return reshape(slice_along(hashed, 0, 0, n), new_sizes=numbers.shape)


__all__ = [
    "PRNGImpl",
    "random_seed",
    "rbg_prng_impl",
    "seed_with_impl",
    "threefry2x32",
    "threefry_2x32",
    "threefry_prng_impl",
    "unsafe_rbg_prng_impl",
]
