"""`jax.lib`: in JAX 0.10 only its version is left."""

from pullback.compat.versions import JAX_VERSION

__version__ = JAX_VERSION
