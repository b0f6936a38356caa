"""Devices: this engine has one, the memory of the process."""

from __future__ import annotations

from typing import Any

from .control import traced
from .core import processes
from .core.device import CPU, Device
from .core.errors import error
from .core.settings import override
from .dispatch import forget_programs


def devices(backend: str | None = None) -> list[Device]:
    """The devices that arrays can be on.

    Example:
      >>> import pullback
      >>> pullback.devices()
      [CpuDevice(id=0)]
    """
    if backend not in (None, "cpu"):
        raise error(
            RuntimeError,
            f"Unknown backend {backend!r}.",
            got=f"devices({backend!r})",
            fix='this engine has only "cpu".',
        )
    return [CPU]


def local_devices(
    process_index: int | None = None, backend: str | None = None, host_id: int | None = None
) -> list[Device]:
    """The devices of this process.

    Example:
      >>> import pullback
      >>> print(pullback.local_devices())
      [CpuDevice(id=0)]
    """
    return devices(backend)


def device_count(backend: str | None = None) -> int:
    """The number of devices.

    Example:
      >>> import pullback
      >>> print(pullback.device_count())
      1
    """
    return len(devices(backend))


def local_device_count(backend: str | None = None) -> int:
    """The number of devices of this process."""
    return len(devices(backend))


def process_index(backend: str | None = None) -> int:
    """The number of this process: 0, unless `distributed.initialize` said another."""
    return processes.current().index


def process_count(backend: str | None = None) -> int:
    """The number of processes that work together: see `distributed.initialize`."""
    return processes.current().count


def process_indices(backend: str | None = None) -> list[int]:
    """The numbers of all processes, from 0."""
    return list(range(processes.current().count))


def host_id(backend: str | None = None) -> int:
    """The number of this process, by its old name: see `process_index`."""
    return process_index(backend)


def host_ids(backend: str | None = None) -> list[int]:
    """The numbers of all processes, by an old name: see `process_indices`."""
    return process_indices(backend)


def host_count(backend: str | None = None) -> int:
    """The number of processes, by its old name: see `process_count`."""
    return process_count(backend)


def default_device(new_val: Any) -> Any:
    """Put new arrays on this device while the `with` lasts. There is one, so they are there.

    Example:
      >>> import pullback
      >>> import pullback.numpy as jnp
      >>> with pullback.default_device(pullback.devices()[0]):
      ...     print(jnp.ones(2).devices())
      {CpuDevice(id=0)}
    """
    if not (new_val is None or isinstance(new_val, Device) or new_val == "cpu"):
        raise error(
            ValueError,
            "default_device takes a device, or the name of a platform.",
            got=f"{new_val!r:.80}",
            fix='use jax.devices()[0] or "cpu".',
        )
    return override("jax_default_device", new_val)


def default_backend() -> str:
    """The name of the platform: "cpu".

    Example:
      >>> import pullback
      >>> print(pullback.default_backend())
      cpu
    """
    return "cpu"


def effects_barrier() -> None:
    """Wait until all prints and callbacks are done: on this engine they always are."""


def clear_caches() -> None:
    """Forget all programs: those of jitted functions, loops and branches."""
    traced.forget()
    forget_programs()
