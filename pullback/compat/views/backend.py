"""The one backend of this engine, as `jax.extend.backend` shows backends."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from ...core.device import Device
from ...devices import (
    device_count,
    devices,
    local_device_count,
    local_devices,
    process_index,
)


class Backend:
    """What has devices and runs programs."""

    platform = "cpu"
    platform_version = "pullback"
    runtime_type = "numpy"

    def devices(self) -> list[Device]:
        """Its devices."""
        return devices()

    def local_devices(self) -> list[Device]:
        """Its devices in this process."""
        return local_devices()

    def device_count(self) -> int:
        """The number of devices."""
        return device_count()

    def local_device_count(self) -> int:
        """The number of devices in this process."""
        return local_device_count()

    def process_index(self) -> int:
        """The number of this process."""
        return process_index()


_CPU = Backend()


@lru_cache  # tests of libraries call `get_backend.cache_clear`
def get_backend(platform: Any = None) -> Backend:
    """The backend; an error for another platform than "cpu"."""
    if isinstance(platform, str):
        devices(platform)
    return _CPU


def backends() -> dict[str, Backend]:
    """All backends by their platform."""
    return {_CPU.platform: _CPU}


def get_default_device() -> Device:
    """The device that arrays are made on."""
    return devices()[0]
