"""`jax._src.dispatch`: operations are done when they are called; nothing has to be waited for."""

from typing import Any


def wait_for_tokens() -> None:
    """Nothing to wait for."""


def apply_primitive(prim: Any, *args: Any, **params: Any) -> Any:
    """Do the operation at once, outside every transformation."""
    return prim.impl(*args, **params)
