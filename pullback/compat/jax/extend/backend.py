"""`jax.extend.backend`: this engine has one backend."""

from pullback.compat.views.backend import backends as backends
from pullback.compat.views.backend import get_backend as get_backend
from pullback.compat.views.backend import get_default_device as get_default_device
from pullback.devices import clear_caches as clear_backends
from pullback.devices import clear_caches as clear_in_memory_compilation_cache

__all__ = [
    "backends",
    "clear_backends",
    "clear_in_memory_compilation_cache",
    "get_backend",
    "get_default_device",
]
