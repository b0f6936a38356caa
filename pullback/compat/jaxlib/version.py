"""`jaxlib.version`."""

from pullback.compat.versions import JAX_VERSION

__version__ = JAX_VERSION
