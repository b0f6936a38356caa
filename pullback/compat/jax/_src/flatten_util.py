"""`jax._src.flatten_util`."""

from pullback.flatten_util import ravel_pytree as ravel_pytree
