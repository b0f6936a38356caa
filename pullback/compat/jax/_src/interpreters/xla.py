"""`jax._src.interpreters.xla`: the same as `jax.interpreters.xla`."""

from ...interpreters.xla import *  # noqa: F403
