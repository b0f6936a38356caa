"""Calls of jaxlib for NVIDIA's devices: the plugin of the packages jax-cuda13-pjrt and
jax-cuda13-plugin.

The start-up of that plugin imports jax, so it is not run: its library is found, and loaded under a
name of our own. An imported jax loads it again under the name "cuda", before or after.
"""

from __future__ import annotations

import ctypes
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, partial
from importlib import import_module
from typing import Any

from jaxlib import xla_client as xc

from ...core import processes
from ...core.errors import error
from ...core.platforms import checked, folders, plugin
from .adapter import parsed
from .adapter_plugin import PluginClient, connected, loaded

_NAME = "pullback_cuda"
_TABLES = ("gpu_solver", "gpu_linalg", "gpu_sparse", "gpu_prng")
"""Modules of jaxlib with the functions that programs call by their names."""

_LIBRARIES: dict[str, dict[str, tuple[str, ...]]] = {
    "13": {
        "cu13": (
            "cudart.so.13",
            "nvrtc.so.13",
            "cublas.so.13",
            "cublasLt.so.13",
            "cupti.so.13",
            "cusparse.so.12",
            "cusolver.so.12",
            "cufft.so.12",
        )
    },
    "12": {
        "cuda_runtime": ("cudart.so.12",),
        "cuda_nvrtc": ("nvrtc.so.12",),
        "cublas": ("cublas.so.12", "cublasLt.so.12"),
        "cuda_cupti": ("cupti.so.12",),
        "cusparse": ("cusparse.so.12",),
        "cusolver": ("cusolver.so.11",),
        "cufft": ("cufft.so.11",),
    },
}
"""For each version of CUDA: packages of NVIDIA, and the libraries in them."""
_ALSO: dict[str, tuple[str, ...]] = {
    "nccl": ("nccl.so.2",),
    "nvshmem": ("nvshmem_host.so.3",),
    "cudnn": ("cudnn.so.9",),
}


@cache
def client() -> PluginClient:
    """The devices of NVIDIA.

    Raises:
      RuntimeError: something is missing; the message says what.
    """
    checked("cuda", "a GPU is asked for")
    load()
    visible = _visible(os.environ, processes.current().local_devices)
    return connected(_NAME, {**xc.generate_pjrt_gpu_plugin_options(), **visible})


def _visible(environment: Mapping[str, str], chosen: Sequence[int] | None = None) -> dict[str, Any]:
    """Which of the machine's devices to use: `chosen`, or as the environment says, or all."""
    if chosen is not None:
        return {"visible_devices": list(chosen)}
    text = environment.get("JAX_CUDA_VISIBLE_DEVICES", "all")
    if text == "all":
        return {}
    if not re.fullmatch(r"\d+(,\d+)*", text):
        raise error(
            ValueError,
            "environment variable JAX_CUDA_VISIBLE_DEVICES must be a list of numbers.",
            got=repr(text),
            where="",
            fix="set it to 0 or 0,1 or all.",
        )
    return {"visible_devices": [int(x) for x in text.split(",")]}


@cache
def load() -> Any:
    """Load the plugin, and register the functions that programs call: the plugin's interface."""
    found = plugin()
    assert found is not None, "the caller has looked"
    _load_libraries(found.cuda)
    interface = loaded(_NAME, found.library)
    extension = import_module(f"jax_cuda{found.cuda}_plugin.cuda_plugin_extension")
    # An imported jax may have done the same with the same library; the first handler stays.
    xc.register_custom_type_handler("CUDA", partial(extension.register_custom_type, interface))
    xc.register_custom_call_handler(
        "CUDA", partial(extension.register_custom_call_target, interface)
    )
    for name, value in extension.ffi_types().items():
        xc.register_custom_type(name, value, platform="CUDA")
    for name, value, version in _functions(extension):
        xc.register_custom_call_target(name, value, platform="CUDA", api_version=version)
    return interface


def _functions(extension: Any) -> Iterator[tuple[str, Any, int]]:
    for name, value in extension.ffi_handlers().items():
        yield name, value, 1
    for table in _TABLES:
        yield from import_module(f"jaxlib.{table}").registrations()["CUDA"]


def _load_libraries(cuda: str) -> None:
    """NVIDIA's libraries from their packages; those that have none there, the linker finds."""
    for package, names in {**_LIBRARIES[cuda], **_ALSO}.items():
        for folder in folders(f"nvidia.{package}"):
            for name in names:
                file = folder / "lib" / f"lib{name}"
                if file.exists():
                    ctypes.CDLL(str(file))


# ---- programs for a device that is not there


_H100 = """
gpu_device_info {
  cuda_compute_capability { major: 9 } threads_per_warp: 32 core_count: 132 fpus_per_core: 128
  threads_per_block_limit: 1024 threads_per_core_limit: 2048
  block_dim_limit_x: 2147483647 block_dim_limit_y: 65535 block_dim_limit_z: 65535
  shared_memory_per_block: 49152 shared_memory_per_block_optin: 232448
  shared_memory_per_core: 233472 registers_per_core_limit: 65536 registers_per_block_limit: 65536
  l2_cache_size: 52428800 device_memory_size: 84978434048
  memory_bandwidth: 3352320000000 clock_rate_ghz: 1.98
}
platform_name: "CUDA"
dnn_version_info { major: 9 minor: 12 }
device_description_str: "NVIDIA H100"
"""
"""What the compiler asks of a device, with the numbers of the H100's data sheet."""


def compile_for_absent(text: str) -> Any:
    """A StableHLO module, compiled for an H100, whether there is one or not: it cannot be run.

    Raises:
      RuntimeError: the plugin is not installed.
    """
    if plugin() is None:
        raise error(
            RuntimeError,
            "compiling for CUDA needs the packages of the plugin, which are not installed.",
            fix="install them: pip install 'pullback[cuda13]'.",
        )
    device = _absent()
    return device.client.compile(parsed(text), xc.DeviceList((device,)), xc.CompileOptions())


@cache
def _absent() -> Any:
    there: Any = xc.make_c_api_device_topology(
        load(), "pullback", topology="1x1x1", target_config=_H100
    )
    return there._make_compile_only_devices()[0]


__all__ = ["client", "compile_for_absent", "load"]
