"""`jax._src.tree_util`."""

from pullback.tree_util import *  # noqa: F403
