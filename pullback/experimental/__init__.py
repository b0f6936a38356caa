"""Names that JAX keeps under jax.experimental."""

from __future__ import annotations

from typing import Any

from ..callbacks import io_callback as io_callback
from ..core.settings import enable_x64 as enable_x64


def disable_x64() -> Any:
    """Make 64-bit types 32-bit ones while the `with` lasts."""
    return enable_x64(False)
