"""Programs of several processes: `jax.distributed`. This engine has one process."""

from __future__ import annotations

from collections.abc import Sequence

from .core.errors import error


class _Started:
    """Whether `initialize` was called."""

    yes = False


def initialize(
    coordinator_address: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
    local_device_ids: int | Sequence[int] | None = None,
    cluster_detection_method: str | None = None,
    initialization_timeout: int = 300,
    heartbeat_timeout_seconds: int = 100,
    shutdown_timeout_seconds: int = 300,
    coordinator_bind_address: str | None = None,
    slice_index: int | None = None,
    partition_index: int | None = None,
) -> None:
    """Start a program of one process: nothing is connected.

    Raises:
      NotImplementedError: there is to be more than one process.
      RuntimeError: it was called before.

    Example:
      >>> from pullback import distributed
      >>> distributed.initialize(num_processes=1, process_id=0)
      >>> distributed.is_initialized()
      True
      >>> distributed.shutdown()
    """
    if num_processes not in (None, 1) or process_id not in (None, 0):
        raise error(
            NotImplementedError,
            "this engine runs in one process.",
            got=f"num_processes={num_processes}, process_id={process_id}",
            fix="use num_processes=1, or run the programs apart from one another.",
        )
    if _Started.yes:
        raise error(
            RuntimeError,
            "distributed.initialize should only be called once.",
            got="a second call",
            fix="ask distributed.is_initialized() first.",
        )
    _Started.yes = True


def is_initialized() -> bool:
    """Whether `initialize` was called."""
    return _Started.yes


def shutdown() -> None:
    """Undo `initialize`."""
    _Started.yes = False


__all__ = ["initialize", "is_initialized", "shutdown"]
