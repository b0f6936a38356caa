"""Checkpoints in files of tensorstore: the names that libraries import. Using them is an error."""

from __future__ import annotations

from typing import Any, NoReturn

from ...core.errors import error


class BarrierTimeoutError(Exception):
    """Processes have waited too long for one another. Nothing here raises it."""


class GlobalAsyncCheckpointManagerBase:
    """Base of what writes checkpoints."""


class GlobalAsyncCheckpointManager(GlobalAsyncCheckpointManagerBase):
    """Writes checkpoints while the program goes on. Making one raises NotImplementedError."""

    def __init__(self, timeout_secs: int = 300) -> None:
        raise _missing("GlobalAsyncCheckpointManager")


def get_tensorstore_spec(ckpt_path: str, ocdbt: bool = False) -> NoReturn:
    """Where and how tensorstore keeps an array. Raises NotImplementedError."""
    raise _missing("get_tensorstore_spec")


def run_serialization(arrays: Any, tensorstore_specs: Any) -> NoReturn:
    """Write arrays. Raises NotImplementedError."""
    raise _missing("run_serialization")


def run_deserialization(
    shardings: Any,
    tensorstore_specs: Any,
    global_shapes: Any = None,
    dtypes: Any = None,
    concurrent_gb: int = 32,
) -> NoReturn:
    """Read arrays. Raises NotImplementedError."""
    raise _missing("run_deserialization")


def _missing(name: str) -> NotImplementedError:
    return error(
        NotImplementedError,
        f"array_serialization.{name}: Pullback does not write files of tensorstore.",
        got=f"a call of {name}",
        fix="write arrays with numpy.savez(file, *jax.tree.leaves(tree)), read them with "
        "numpy.load; or use flax.serialization.",
    )
