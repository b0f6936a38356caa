"""Where arrays are: the CPUs of this process, and what else an engine finds."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from functools import cache
from importlib import util
from typing import Any

from .errors import error
from .settings import fixed, values


class Device:
    """A place for arrays, known by its platform and number."""

    __slots__ = ("__weakref__", "device_kind", "id", "local_hardware_id", "platform",
                 "process_index")  # fmt: skip

    def __init__(
        self,
        id: int = 0,
        platform: str = "cpu",
        kind: str = "cpu",
        process: int = 0,
        local: int = 0,
    ) -> None:
        self.id, self.platform, self.device_kind = id, platform, kind
        self.process_index, self.local_hardware_id = process, local

    @property
    def host_id(self) -> int:
        """The number of the process, by its old name."""
        return self.process_index

    task_id = host_id

    def __repr__(self) -> str:
        kind = {"cpu": "Cpu", "cuda": "Cuda", "tpu": "Tpu"}.get(
            self.platform, self.platform.title()
        )
        return f"{kind}Device(id={self.id})"

    def __str__(self) -> str:
        return f"TFRT_CPU_{self.id}" if self.platform == "cpu" else f"{self.platform}:{self.id}"

    def memory_stats(self) -> None:
        """Not measured."""
        return None

    def __reduce__(self) -> Any:
        return found, (self.platform, self.id)


CPU = Device()
"""The memory of the process: what NumPy sees."""

_known: dict[tuple[str, int], Device] = {("cpu", 0): CPU}


def known(platform: str, id: int, kind: str = "", process: int = 0, local: int = 0) -> Device:
    """The device with this number: there is one object for each."""
    device = _known.get((platform, id))
    if device is None:
        device = _known[platform, id] = Device(id, platform, kind or platform, process, local)
    return device


def found(platform: str, id: int) -> Device:
    """The device that a pickled one was."""
    if platform == "cpu":
        cpu_devices()
    return known(platform, id)


_FLAG = re.compile(r"--xla_force_host_platform_device_count=(\d+)")


@cache
def cpu_count() -> int:
    """How many devices the CPU is divided into; from now on it stays so.

    Raises:
      RuntimeError: there are to be several, and jaxlib is not installed.
    """
    fixed.add("jax_num_cpu_devices")
    count = int(values.jax_num_cpu_devices)
    if count < 1:
        flags = _FLAG.findall(os.environ.get("XLA_FLAGS", ""))
        count = int(flags[-1]) if flags else 1
    if count > 1 and "jaxlib" not in sys.modules and util.find_spec("jaxlib") is None:
        cpu_count.cache_clear()
        raise error(
            RuntimeError,
            f"{count} CPU devices need the package jaxlib, which is not installed.",
            got=f"jax_num_cpu_devices={count}",
            fix="install it: pip install 'pullback[xla]'; or ask for one device.",
        )
    return max(count, 1)


@cache
def cpu_devices() -> tuple[Device, ...]:
    """The CPU devices of this process."""
    base, process = CPU.id, CPU.process_index
    return tuple(known("cpu", base + i, "cpu", process, i) for i in range(cpu_count()))


_everywhere: list[Device] = []


def all_cpu_devices() -> tuple[Device, ...]:
    """The CPU devices of all processes that work together."""
    return tuple(_everywhere) or cpu_devices()


def joined(index: int, everywhere: Sequence[tuple[int, int]]) -> None:
    """From now on this process is number `index`, and there are CPU devices of these numbers and
    processes; none: it is alone again.
    """
    _known.pop(("cpu", CPU.id))
    CPU.id = min((i for i, process in everywhere if process == index), default=0)
    CPU.process_index = index
    _known["cpu", CPU.id] = CPU
    cpu_devices.cache_clear()
    first = {process: min(i for i, p in everywhere if p == process) for _, process in everywhere}
    _everywhere[:] = [known("cpu", i, "cpu", p, i - first[p]) for i, p in sorted(everywhere)]


def deleted(text: str) -> RuntimeError:
    """What is raised where an array of this type was deleted."""
    return error(
        RuntimeError,
        f"Array has been deleted with shape={text}.",
        got="an array whose delete() was called, or that was donated to a jitted function",
        fix="use the result of that function instead, or leave donate_argnums out.",
    )


class Deleted:
    """Stands where the value of a deleted array was: whatever is done with it fails."""

    def __init__(self, shape: tuple[int, ...], dtype: Any, text: str) -> None:
        self.shape, self.dtype, self.ndim, self._text = shape, dtype, len(shape), text

    @property
    def size(self) -> int:
        """The number of elements there were."""
        n = 1
        for d in self.shape:
            n *= d
        return n

    def __getattr__(self, name: str) -> Any:
        raise deleted(self._text)

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise deleted(self._text)

    def __array_ufunc__(self, *args: Any, **kwargs: Any) -> Any:
        raise deleted(self._text)

    __bool__ = __int__ = __float__ = __complex__ = __getitem__ = __iter__ = __array__
    __str__ = __format__ = __array__
