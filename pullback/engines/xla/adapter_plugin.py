"""Calls of jaxlib for devices that plugins bring, whichever they are: GPUs and TPUs.

A plugin is loaded under a name of our own, so that an imported jax can load it as well. What is
missing is found out before anything large is loaded: `core/platforms.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from jaxlib import xla_client as xc

from ...core import processes
from .adapter import Client
from .adapter_mesh import without_jax


class PluginClient(Client):
    """Devices with memory of their own: `put` copies to it."""

    def get(self, buffer: Any) -> np.ndarray:
        """The elements of a buffer, copied from the device; nothing reads its address."""
        with without_jax():
            found, _ = buffer._single_device_array_to_np_array_did_copy()
        return found  # type: ignore[no-any-return]


def loaded(name: str, library: Path) -> Any:
    """Load a plugin under this name: its interface."""
    interface = xc.load_pjrt_plugin_dynamically(name, str(library))
    xc.initialize_pjrt_plugin(name)
    return interface


def connected(name: str, options: dict[str, Any]) -> PluginClient:
    """The devices of a plugin that is loaded, in all processes that work together.

    They find each other by XLA's service in process 0, and exchange data themselves, those of
    NVIDIA by NCCL.
    """
    group = processes.current()
    if group.runtime is not None:
        options = {"node_id": group.index, "num_nodes": group.count, **options}
    return PluginClient(xc.make_c_api_client(name, options, group.runtime))


__all__ = ["PluginClient", "connected", "loaded"]
