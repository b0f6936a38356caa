"""`jax.experimental.shard_map`: the old place of `jax.shard_map`, with arguments by position."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import shard_mapping


def shard_map(
    f: Callable[..., Any], mesh: Any, in_specs: Any, out_specs: Any, check_rep: bool = True
) -> Any:
    """`jax.shard_map(f, mesh=mesh, in_specs=in_specs, out_specs=out_specs)`."""
    return shard_mapping.shard_map(f, mesh=mesh, in_specs=in_specs, out_specs=out_specs)
