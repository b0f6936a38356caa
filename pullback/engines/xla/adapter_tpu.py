"""Calls of jaxlib for Google's TPUs: the plugin of the package libtpu.

They have not run on a TPU.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from ...core.platforms import checked, tpu_library
from .adapter_plugin import PluginClient, connected, loaded

_NAME = "pullback_tpu"


@cache
def client() -> PluginClient:
    """The TPUs of the processes that work together.

    Raises:
      RuntimeError: something is missing; the message says what.
    """
    checked("tpu", "a TPU is asked for")
    load()
    return connected(_NAME, {})


@cache
def load() -> Any:
    """Load the plugin: its interface."""
    found = tpu_library()
    assert found is not None, "the caller has looked"
    return loaded(_NAME, found)


__all__ = ["client", "load"]
