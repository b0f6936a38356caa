"""Which platform new arrays are on, and what is missing for a GPU or TPU: found without jaxlib."""

from __future__ import annotations

import ctypes
import os
import re
from functools import cache
from importlib import metadata, util
from pathlib import Path
from typing import NamedTuple

from .errors import error
from .settings import values

NAMES = {"cpu": "cpu", "cuda": "cuda", "gpu": "cuda", "tpu": "tpu"}
"""What users call a platform, and what XLA calls it."""
CUDA_VERSIONS = ("13", "12")
"""For which there are plugins; the newest first."""


class Plugin(NamedTuple):
    """A plugin for NVIDIA's devices that is installed."""

    cuda: str
    """The version of CUDA."""
    version: str
    """Its own version, which is that of jaxlib if they go together."""
    library: Path


class Lack(NamedTuple):
    """What is not there, and how it comes there."""

    what: str
    got: str
    fix: str


def first() -> str:
    """The platform of new arrays: the first that the setting `jax_platforms` names (else
    `jax_platform_name`); where neither says, that of a GPU if it can be used, else the CPU.

    Raises:
      RuntimeError: it is unknown, or there is no GPU; the message says what is missing.
    """
    said = values.jax_platforms or values.jax_platform_name
    if not said:
        return "cuda" if lack() is None else "cpu"
    name = str(said).split(",")[0].strip()
    return checked(name, f"jax_platforms={said!r}")


def checked(name: str, got: str) -> str:
    """The platform that a user's name means.

    Raises:
      RuntimeError: it is unknown, or there is no GPU; the message says what is missing.
    """
    platform = NAMES.get(name)
    if platform is None:
        raise error(
            RuntimeError,
            f"Unknown backend {name!r}.",
            got=got,
            fix='use "cpu", "cuda" for GPUs of NVIDIA, or "tpu".',
        )
    missing = lack() if platform == "cuda" else tpu_lack() if platform == "tpu" else None
    if missing is not None:
        raise error(RuntimeError, missing.what, got=missing.got, fix=missing.fix)
    return platform


@cache
def lack() -> Lack | None:
    """What is missing for NVIDIA's devices; None if nothing is."""
    found = plugin()
    if found is None:
        return Lack(
            "CUDA needs the package jax-cuda13-plugin, which is not installed.",
            "no folder jax_plugins/xla_cuda13",
            "install it: pip install 'pullback[cuda13]'.",
        )
    jaxlib = _version("jaxlib")
    if _numbers(found.version) != _numbers(jaxlib):
        name = f"jax-cuda{found.cuda}-plugin"
        return Lack(
            f"the packages {name} and jaxlib must have the same version.",
            f"{name} {found.version} and jaxlib {jaxlib or 'that is not installed'}",
            f"install the same: pip install 'jaxlib=={found.version}'.",
        )
    return _no_device()


@cache
def plugin() -> Plugin | None:
    """The plugin for NVIDIA's devices, if there is one: that of the newest CUDA."""
    for cuda in CUDA_VERSIONS:
        for folder in folders(f"jax_plugins.xla_cuda{cuda}"):
            library = folder / "xla_cuda_plugin.so"
            version = _version(f"jax-cuda{cuda}-plugin")
            if version and library.exists():
                return Plugin(cuda, version, library)
    return None


def folders(name: str) -> list[Path]:
    """Where a package is, which is not imported."""
    try:
        spec = util.find_spec(name)
    except ModuleNotFoundError:
        return []
    return [Path(p) for p in (spec.submodule_search_locations or ())] if spec else []


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _numbers(version: str) -> tuple[int, ...]:
    found = re.match(r"\d+(\.\d+)*", version)
    return tuple(map(int, found[0].split("."))) if found else ()


def _no_device() -> Lack | None:
    try:
        count = _device_count()
    except OSError:
        return Lack(
            "CUDA needs NVIDIA's driver, which is not on this machine.",
            "no library libcuda.so.1",
            "run on a machine with a GPU of NVIDIA, or set JAX_PLATFORMS=cpu.",
        )
    except RuntimeError as cause:
        return Lack(
            "NVIDIA's driver does not start.",
            str(cause),
            "see what the command nvidia-smi says, or set JAX_PLATFORMS=cpu.",
        )
    if count:
        return None
    shown = os.environ.get("CUDA_VISIBLE_DEVICES")
    return Lack(
        "NVIDIA's driver shows no device.",
        "no value of CUDA_VISIBLE_DEVICES" if shown is None else f"CUDA_VISIBLE_DEVICES={shown!r}",
        "give the numbers of devices in CUDA_VISIBLE_DEVICES, or set JAX_PLATFORMS=cpu.",
    )


def tpu_library() -> Path | None:
    """Where the plugin for TPUs is: the file that TPU_LIBRARY_PATH names, or that of libtpu."""
    said = os.environ.get("TPU_LIBRARY_PATH")
    if said:
        return Path(said) if Path(said).is_file() else None
    files = [folder / "libtpu.so" for folder in folders("libtpu")]
    return next((f for f in files if f.exists()), None)


def tpu_lack() -> Lack | None:
    """What is missing for TPUs; None if nothing is."""
    if tpu_library() is None:
        said = os.environ.get("TPU_LIBRARY_PATH")
        return Lack(
            "a TPU needs the package libtpu, which is not installed.",
            f"TPU_LIBRARY_PATH={said!r}, where no file is" if said else "no file libtpu/libtpu.so",
            "on a machine with TPUs install it: pip install libtpu; or set JAX_PLATFORMS=cpu.",
        )
    if not _tpu_nodes() and "JAX_FORCE_TPU_INIT" not in os.environ:
        return Lack(
            "no TPU is on this machine.",
            "no /dev/accel0 and no /dev/vfio/0",
            "run on a machine with TPUs, or set JAX_PLATFORMS=cpu.",
        )
    return None


def _tpu_nodes() -> list[str]:
    """The files by which the system shows TPUs."""
    return [name for name in ("/dev/accel0", "/dev/vfio/0") if os.path.exists(name)]


_NO_DEVICE = 100
"""The driver's code for it."""


def _device_count() -> int:
    """The devices that the driver shows to this process.

    Raises:
      OSError: there is no driver.
      RuntimeError: it does not start.
    """
    driver = ctypes.CDLL("libcuda.so.1")
    status = driver.cuInit(0)
    if status == _NO_DEVICE:
        return 0
    if status:
        raise RuntimeError(f"cuInit gave the error {status}")
    count = ctypes.c_int()
    status = driver.cuDeviceGetCount(ctypes.byref(count))
    if status:
        raise RuntimeError(f"cuDeviceGetCount gave the error {status}")
    return count.value


__all__ = [
    "CUDA_VERSIONS",
    "NAMES",
    "Lack",
    "Plugin",
    "checked",
    "first",
    "folders",
    "lack",
    "plugin",
    "tpu_lack",
    "tpu_library",
]
