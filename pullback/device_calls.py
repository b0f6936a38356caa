"""Calls of functions that `jit(device=...)` or `jit(backend=...)` binds to one device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .core import platforms
from .core.array import HostArray
from .core.device import Device
from .core.errors import error, warn
from .core.pytree import flatten
from .core.sharding import SingleDeviceSharding
from .devices import default_device, local_devices
from .ops.spreading import placed


def device_of(device: Any, backend: Any, ins: Any, outs: Any) -> Device | None:
    """The device that these options of `jit` mean; None if nothing is said.

    Raises:
      ValueError: both are given, or shardings too, or `device` is none.
      RuntimeError: there is no such backend; the message says what is missing.
    """
    if device is None and backend is None:
        return None
    if device is not None and backend is not None:
        raise error(
            ValueError,
            "can't specify both a device and a backend for jit.",
            got=f"device={device} and backend={backend!r}",
            fix="leave one of them out.",
        )
    for name, value in (("in_shardings", ins), ("out_shardings", outs)):
        if value is not None:
            raise error(
                ValueError,
                f"If backend or device is specified on jit, then {name} should not be specified.",
                got=f"{name}={value!r:.80}",
                fix="say in the shardings where the arrays are to be.",
            )
    if backend is not None:
        platforms.checked(backend, f"backend={backend!r}")
    elif not isinstance(device, Device):
        raise error(
            ValueError,
            "jit's device must be a device.",
            got=f"{device!r:.80}",
            fix="use one of jax.devices().",
        )
    warn(
        "backend and device argument on jit is deprecated. You can use "
        '`jax.device_put(..., jax.local_devices(backend="cpu")[0])` on the inputs to the jitted '
        "function to get the same behavior.",
        DeprecationWarning,
    )
    return device if backend is None else local_devices(backend=backend)[0]


def on_device(calls: Any, device: Device) -> Callable[..., Any]:
    """The calls, with their arguments moved to a device, where the program is run."""
    there = SingleDeviceSharding(device)

    def move(tree: Any) -> Any:
        leaves, structure = flatten(tree)
        return structure.unflatten(
            [placed(x, there) if isinstance(x, HostArray) else x for x in leaves]
        )

    def call(*args: Any, **kwargs: Any) -> Any:
        static = calls.static
        moved = [x if static.has(i, len(args)) else move(x) for i, x in enumerate(args)]
        named = {k: x if k in static.names else move(x) for k, x in kwargs.items()}
        with default_device(device):
            return calls.call(*moved, **named)

    return call


__all__ = ["device_of", "on_device"]
