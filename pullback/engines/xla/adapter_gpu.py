"""Devices of a PJRT plugin: GPUs by the packages jax-cuda13-pjrt and jax-cuda13-plugin.

Nobody has run this on a GPU yet. It follows what those packages offer; the package jax, which the
plugin's own start-up imports, is not needed.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from functools import cache, partial
from importlib import import_module, util
from pathlib import Path
from typing import Any

from jaxlib import xla_client as xc

from .adapter import Client

_VERSIONS = ("13", "12")
"""Of CUDA, the newest first."""
_LIBRARIES = (
    "cudart", "nvrtc", "cublas", "cublasLt", "nccl", "cupti", "cusparse", "cusolver", "cufft",
    "nvshmem_host", "cudnn",
)  # fmt: skip
_TABLES = ("gpu_solver", "gpu_linalg", "gpu_sparse", "gpu_prng", "gpu_rnn")


def plugin() -> tuple[str, Path] | None:
    """The version of CUDA and the file of the plugin that is installed; None if there is none."""
    for version in _VERSIONS:
        for name in (f"jax_plugins.xla_cuda{version}", f"jax_cuda{version}_pjrt"):
            for folder in _folders(name):
                for file in sorted(folder.glob("*pjrt*cuda*.so")) + sorted(
                    folder.glob("xla_cuda_plugin.so")
                ):
                    return version, file
    return None


def _folders(name: str) -> list[Path]:
    """Where a package is, which is not imported: its start-up would import jax."""
    try:
        spec = util.find_spec(name)
    except ModuleNotFoundError:
        return []
    return [Path(p) for p in (spec.submodule_search_locations or ())] if spec else []


def available(platform: str) -> bool:
    """Whether there is a plugin for this platform."""
    return platform == "cuda" and plugin() is not None


@cache
def client(platform: str) -> Client:
    """The devices of the platform.

    Raises:
      RuntimeError: there is no plugin, or it finds no device.
    """
    found = plugin()
    if platform != "cuda" or found is None:
        raise RuntimeError(f"there is no plugin for the platform {platform!r}")
    version, file = found
    _load_libraries(version)
    if xc.pjrt_plugin_loaded("cuda"):
        interface = None  # an imported jax has loaded it
    else:
        interface = xc.load_pjrt_plugin_dynamically("cuda", str(file))
    if not xc.pjrt_plugin_initialized("cuda"):
        xc.initialize_pjrt_plugin("cuda")
    if interface is not None:
        _register(version, interface)
    options = dict(xc.generate_pjrt_gpu_plugin_options())
    visible = os.environ.get("JAX_CUDA_VISIBLE_DEVICES", "all")
    if visible != "all":
        options["visible_devices"] = [int(x) for x in visible.split(",")]
    return Client(xc.make_c_api_client("cuda", options, None))


def _load_libraries(version: str) -> None:
    """NVIDIA's libraries from their packages; without them the system's are found by the linker."""
    for folder in _folders("nvidia"):
        for name in _LIBRARIES:
            for file in _files(folder, name):
                try:
                    ctypes.CDLL(str(file), mode=ctypes.RTLD_GLOBAL)
                    break
                except OSError:
                    continue


def _files(folder: Path, name: str) -> Iterator[Path]:
    for pattern in (f"cu*/lib/lib{name}.so*", f"*/lib/lib{name}.so*"):
        yield from sorted(folder.glob(pattern))


def _register(version: str, interface: Any) -> None:
    """The functions that programs call: of the plugin, and the solvers of jaxlib."""
    extension = import_module(f"jax_cuda{version}_plugin.cuda_plugin_extension")
    xc.register_custom_type_handler("CUDA", partial(extension.register_custom_type, interface))
    xc.register_custom_call_handler(
        "CUDA", partial(extension.register_custom_call_target, interface)
    )
    for name, value in extension.ffi_types().items():
        xc.register_custom_type(name, value, platform="CUDA")
    for name, value in extension.ffi_handlers().items():
        xc.register_custom_call_target(name, value, platform="CUDA", api_version=1)
    for table in _TABLES:
        module = import_module(f"jaxlib.{table}")
        registrations: Any = getattr(module, "registrations", dict)()
        for name, value, number in registrations.get("CUDA", ()):
            xc.register_custom_call_target(name, value, platform="CUDA", api_version=number)


__all__ = ["available", "client", "plugin"]
