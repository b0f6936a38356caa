"""`jax.interpreters.xla`."""

from typing import Any

from pullback.core.device import Device as Backend  # what has a platform and devices


def apply_primitive(prim: Any, *args: Any, **params: Any) -> Any:
    """Do the operation at once, outside every transformation."""
    return prim.impl(*args, **params)


__all__ = ["Backend", "apply_primitive"]
