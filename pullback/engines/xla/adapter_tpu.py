"""Calls of jaxlib for Google's TPUs: the plugin of the package libtpu.

They are those of `adapter_cuda.py`, with fewer options, and have not run on a TPU. What is missing
is found out before the library is loaded: `core/platforms.py`.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from jaxlib import xla_client as xc

from ...core import processes
from ...core.platforms import checked, tpu_library
from .adapter_cuda import CudaClient, in_group

_NAME = "pullback_tpu"


class TpuClient(CudaClient):
    """The TPUs: arrays are copied to their memory and back."""


@cache
def client() -> TpuClient:
    """The TPUs of the processes that work together.

    Raises:
      RuntimeError: something is missing; the message says what.
    """
    checked("tpu", "a TPU is asked for")
    load()
    return TpuClient(xc.make_c_api_client(_NAME, in_group({}), processes.current().runtime))


@cache
def load() -> Any:
    """Load the plugin: its interface."""
    interface = xc.load_pjrt_plugin_dynamically(_NAME, str(tpu_library()))
    xc.initialize_pjrt_plugin(_NAME)
    return interface


__all__ = ["TpuClient", "client", "load"]
