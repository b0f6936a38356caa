"""`jax._src.interpreters.pxla`: the same as `jax.interpreters.pxla`."""

from ...interpreters.pxla import *  # noqa: F403
