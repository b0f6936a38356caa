"""What is there: arrays, versions, the machine."""

from __future__ import annotations

import gc
import platform
import sys

import numpy as np

from .core.array import Array, HostArray
from .core.errors import error
from .core.lazy import lazy

metadata = lazy("importlib.metadata")


def live_arrays(platform: str | None = None) -> list[Array]:
    """The arrays that something still holds, in no order.

    They are found by going through all objects of the process, which takes a while.

    Example:
      >>> import pullback
      >>> import pullback.numpy as jnp
      >>> x = jnp.ones(3)
      >>> any(y is x for y in pullback.live_arrays())
      True
    """
    if platform not in (None, "cpu"):
        raise error(
            RuntimeError,
            f"Unknown backend {platform}.",
            got=f"live_arrays({platform!r})",
            fix='this engine has only "cpu".',
        )
    return [x for x in gc.get_objects() if type(x) is HostArray]


def print_environment_info(return_string: bool = False) -> str | None:
    """Print the versions and the machine, for reports of errors; or return them as a string."""
    try:
        version = metadata.version("pullback")
    except metadata.PackageNotFoundError:
        version = "not installed"
    lines = [
        f"pullback: {version}",
        f"numpy:    {np.__version__}",
        f"scipy:    {metadata.version('scipy')}",
        f"python:   {sys.version}",
        "devices:  one, the CPU",
        f"platform: {platform.uname()}",
    ]
    text = "\n".join(lines)
    if return_string:
        return text
    print(text)
    return None
