"""`jax._src.interpreters.partial_eval`: the same as `jax.interpreters.partial_eval`."""

from ...interpreters.partial_eval import *  # noqa: F403
