"""`jax._src.interpreters.mlir`: the same as `jax.interpreters.mlir`."""

from ...interpreters.mlir import *  # noqa: F403
