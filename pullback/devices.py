"""Devices: this engine has one, the memory of the process."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import checks
from .control import traced
from .core import dtypes
from .core.array import Array, HostArray
from .core.device import CPU, Device
from .core.errors import error
from .core.pytree import flatten
from .core.trace import host_array
from .jit import forget_programs


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
    """The devices of this process."""
    return devices(backend)


def device_count(backend: str | None = None) -> int:
    """The number of devices."""
    return len(devices(backend))


def local_device_count(backend: str | None = None) -> int:
    """The number of devices of this process."""
    return len(devices(backend))


def process_index(backend: str | None = None) -> int:
    """The number of this process: 0."""
    return 0


def process_count(backend: str | None = None) -> int:
    """The number of processes that work together: 1."""
    return 1


def default_backend() -> str:
    """The name of the platform: "cpu"."""
    return "cpu"


def device_put(
    x: Any, device: Any = None, *, src: Any = None, donate: bool = False, may_alias: Any = None
) -> Any:
    """`x`, a pytree of arrays and numbers, as Arrays on a device. NumPy arrays are copied.

    Example:
      >>> import numpy as np
      >>> import pullback
      >>> pullback.device_put(np.arange(3.0))
      Array([0., 1., 2.], dtype=float32)
    """
    leaves, tree = flatten(x)
    return tree.unflatten([checks.input_array(v, "device_put") for v in leaves])


def device_get(x: Any) -> Any:
    """`x`, a pytree of arrays, as NumPy arrays.

    Example:
      >>> import pullback
      >>> import pullback.numpy as jnp
      >>> pullback.device_get(jnp.ones(2))
      array([1., 1.], dtype=float32)
    """
    leaves, tree = flatten(x)
    return tree.unflatten([_on_host(v) for v in leaves])


def _on_host(v: Any) -> Any:
    if isinstance(v, HostArray) and dtypes.is_key(v.dtype):
        return v
    return np.asarray(v) if isinstance(v, Array) else np.asarray(host_array(v))


def block_until_ready(x: Any) -> Any:
    """`x`: on this engine every result is ready when it is returned.

    Example:
      >>> import pullback
      >>> import pullback.numpy as jnp
      >>> print(pullback.block_until_ready(jnp.ones(2)))
      [1. 1.]
    """
    return x


def effects_barrier() -> None:
    """Wait until all prints and callbacks are done: on this engine they always are."""


def clear_caches() -> None:
    """Forget all programs: those of jitted functions, loops and branches."""
    traced.forget()
    forget_programs()
