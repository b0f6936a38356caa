"""`jax._src.interpreters.ad`: the same as `jax.interpreters.ad`."""

from ...interpreters.ad import *  # noqa: F403
