"""Devices: the CPU, as one or in several parts, and what plugins bring."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .control import traced
from .core import platforms, processes
from .core.device import CPU, Device, all_cpu_devices, known
from .core.errors import error
from .core.lazy import lazy
from .core.settings import checkers, override, values, watchers
from .core.trace import EVAL, DeviceTrace, begin_with, inside, running, state
from .dispatch import forget_programs

cuda = lazy("pullback.engines.xla.adapter_cuda")
tpu = lazy("pullback.engines.xla.adapter_tpu")


_WITH_PROGRAMS = ("pullback.engines.xla.spread", "pullback.engines.xla.foreign")
"""Modules of the XLA engine that keep programs of their own."""


def devices(backend: str | None = None) -> list[Device]:
    """The devices that arrays can be on.

    The CPU is one device, or as many as the setting `jax_num_cpu_devices` says before they are
    first asked for (also the environment variable JAX_NUM_CPU_DEVICES, and the flag
    --xla_force_host_platform_device_count=N in XLA_FLAGS): they share its memory and cores, and
    serve to try out programs for many devices.

    Args:
      backend: "cpu", "gpu" or "cuda", "tpu". None: the first platform that the setting
        `jax_platforms` names; where it names none, GPUs if they can be used (`pullback[cuda13]` is
        installed and the driver shows one), else the CPU.

    Raises:
      RuntimeError: there is no such platform, or something is missing for it; several CPU devices
        are wanted without jaxlib.

    Example:
      >>> import pullback
      >>> pullback.devices()
      [CpuDevice(id=0)]
    """
    platform = _platform(backend)
    if platform == "cpu":
        return list(all_cpu_devices())
    found = (cuda if platform == "cuda" else tpu).client()
    local = {d.id: i for i, d in enumerate(found.devices)}
    return [
        known(platform, d.id, d.device_kind, d.process_index, local.get(d.id, 0))
        for d in found.client.devices()
    ]


def _platform(backend: str | None) -> str:
    """The platform that is meant."""
    if backend is None:
        return platforms.first()
    return platforms.checked(backend, f"devices({backend!r})")


def local_devices(
    process_index: int | None = None, backend: str | None = None, host_id: int | None = None
) -> list[Device]:
    """The devices of this process, or of the process `process_index`.

    Args:
      process_index: the number of a process; None: this one.
      backend: as of `devices`.
      host_id: an old name of `process_index`, which is not looked at.

    Example:
      >>> import pullback
      >>> print(pullback.local_devices())
      [CpuDevice(id=0)]
    """
    index = CPU.process_index if process_index is None else process_index
    return [d for d in devices(backend) if d.process_index == index]


def device_count(backend: str | None = None) -> int:
    """The number of devices.

    Example:
      >>> import pullback
      >>> print(pullback.device_count())
      1
    """
    return len(devices(backend))


def local_device_count(backend: str | None = None) -> int:
    """The number of devices of this process."""
    return len(local_devices(None, backend))


def process_index(backend: str | None = None) -> int:
    """The number of this process: 0, unless `distributed.initialize` said another."""
    return processes.current().index


def process_count(backend: str | None = None) -> int:
    """The number of processes that work together: see `distributed.initialize`."""
    return processes.current().count


def process_indices(backend: str | None = None) -> list[int]:
    """The numbers of all processes, from 0."""
    return list(range(processes.current().count))


def host_id(backend: str | None = None) -> int:
    """The number of this process, by its old name: see `process_index`."""
    return process_index(backend)


def host_ids(backend: str | None = None) -> list[int]:
    """The numbers of all processes, by an old name: see `process_indices`."""
    return process_indices(backend)


def host_count(backend: str | None = None) -> int:
    """The number of processes, by its old name: see `process_count`."""
    return process_count(backend)


def default_device(new_val: Any) -> Any:
    """Put new arrays on this device, and compute there, while the `with` lasts.

    Arrays that were put on a device by name stay where they are.

    Args:
      new_val: a Device, the name of a platform ("cpu", "gpu", "cuda", "tpu"), which means its first
        device, or None: as where nothing is said.

    Raises:
      ValueError: it is something else.
      RuntimeError: there is no such platform, or something is missing for it.

    Example:
      >>> import pullback
      >>> import pullback.numpy as jnp
      >>> with pullback.default_device(pullback.devices()[0]):
      ...     print(jnp.ones(2).devices())
      {CpuDevice(id=0)}
    """
    _check_default(new_val)
    return _on_device(new_val)


def _check_default(new_val: Any) -> None:
    """Raise unless this can be the default device."""
    if not (new_val is None or isinstance(new_val, (Device, str))):
        raise error(
            ValueError,
            "default_device takes a device, or the name of a platform.",
            got=f"{new_val!r:.80}",
            fix='use jax.devices()[0] or "cpu".',
        )
    if isinstance(new_val, str):
        platforms.checked(new_val, f"default device {new_val!r}")


@contextmanager
def _on_device(wanted: Any) -> Iterator[None]:
    with override("jax_default_device", wanted):
        outer = state.trace
        while isinstance(outer, DeviceTrace):
            outer = outer.parent
        with inside(outer):
            if outer is EVAL and _is_memory(wanted):
                yield
            else:
                with running(DeviceTrace(outer, lambda: _found(wanted))):
                    yield


def _is_memory(wanted: Any) -> bool:
    """Whether this means the memory of the process, as far as is known at once."""
    if wanted is not None:
        return wanted is CPU or wanted == "cpu"
    said = values.jax_platforms or values.jax_platform_name
    return str(said).split(",")[0] == "cpu" if said else platforms.plugin() is None


def _found(wanted: Any) -> Device | None:
    """The device that a user's device or name means; None for the memory of the process."""
    if wanted is None:
        wanted = local_devices()[0]
    elif isinstance(wanted, str):
        wanted = local_devices(backend=wanted)[0]
    return None if wanted is CPU else wanted


def _begin() -> None:
    """Have new arrays go where the settings of the process say: where there is a GPU and nothing
    else is said, to the first. Whether there is one is found out when the first array is made.
    """
    wanted = type(values).jax_default_device
    begin_with(EVAL if _is_memory(wanted) else DeviceTrace(EVAL, lambda: _found(wanted)))


def _heed(name: str, value: Any) -> None:
    if name in ("jax_default_device", "jax_platforms", "jax_platform_name"):
        _begin()


checkers["jax_default_device"] = _check_default
watchers.append(_heed)
_begin()


def default_backend() -> str:
    """The name of the platform where new arrays are: "cpu", unless `jax_platforms` says otherwise.

    Example:
      >>> import pullback
      >>> print(pullback.default_backend())
      cpu
    """
    platform = _platform(None)
    return "gpu" if platform == "cuda" else platform


def effects_barrier() -> None:
    """Wait until all prints and callbacks are done: on this engine they always are."""


def clear_caches() -> None:
    """Forget all programs: those of jitted functions, loops, branches and single operations."""
    traced.forget()
    forget_programs()
    for module in _WITH_PROGRAMS:
        if module in sys.modules:  # else it has none
            sys.modules[module].forget()
