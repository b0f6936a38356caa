"""`jax.extend.random`: the generators behind `jax.random`."""

from pullback.compat.views.generators import random_seed as random_seed
from pullback.compat.views.generators import rbg_prng_impl as rbg_prng_impl
from pullback.compat.views.generators import seed_with_impl as seed_with_impl
from pullback.compat.views.generators import threefry_2x32 as threefry_2x32
from pullback.compat.views.generators import threefry_prng_impl as threefry_prng_impl
from pullback.compat.views.generators import unsafe_rbg_prng_impl as unsafe_rbg_prng_impl
from pullback.ops.random_bits import threefry2x32 as threefry2x32_p

__all__ = [
    "random_seed",
    "rbg_prng_impl",
    "seed_with_impl",
    "threefry2x32_p",
    "threefry_2x32",
    "threefry_prng_impl",
    "unsafe_rbg_prng_impl",
]
