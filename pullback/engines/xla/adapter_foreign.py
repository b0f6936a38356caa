"""Every call of jaxlib that registers functions of compiled libraries with XLA."""

from __future__ import annotations

from typing import Any

from jaxlib import xla_client as xc

from . import adapter


def register(name: str, function: Any, platform: str, api_version: int, **more: Any) -> None:
    """Have programs of a platform call `function`, a capsule or a dict of them, by this name."""
    adapter.cpu()  # or names of LAPACK would be registered later, over those of the user's
    xc.register_custom_call_target(name, function, platform, api_version, **more)


def register_type(name: str, registration: Any, platform: str) -> Any:
    """Have functions keep states of a type of their own."""
    return xc.register_custom_type(name, registration, platform=platform)


def register_partitionable(name: str) -> None:
    """Have XLA split calls of a function along leading axes."""
    xc.register_custom_call_as_batch_partitionable(name)


__all__ = ["register", "register_partitionable", "register_type"]
