"""`jax._src.interpreters.batching`: the same as `jax.interpreters.batching`."""

from ...interpreters.batching import *  # noqa: F403
