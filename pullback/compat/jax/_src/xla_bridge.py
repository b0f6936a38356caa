"""`jax._src.xla_bridge`: this engine has one backend."""

from typing import Any

from pullback.compat.views.backend import backends as backends
from pullback.compat.views.backend import get_backend as get_backend
from pullback.devices import default_backend as default_backend
from pullback.devices import device_count as device_count
from pullback.devices import devices as devices
from pullback.devices import local_device_count as local_device_count
from pullback.devices import local_devices as local_devices
from pullback.devices import process_count as process_count
from pullback.devices import process_index as process_index

_backends: dict[str, Any] = {}
"""In JAX the backends that were started; none has to be."""


def backends_are_initialized() -> bool:
    """Whether devices can be asked for: always."""
    return True
