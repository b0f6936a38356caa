"""Calls of jaxlib for one device: clients, buffers, executables. Nothing imports the package jax.

The files `adapter_*` have the calls for other purposes; all of jaxlib is called in these files.
jaxlib promises nothing about these calls; `tests/xla/test_adapter.py` holds what is relied upon.
Three traps decide how this file looks. An executable does not check its arguments: bytes of another
dtype or shape are read as they are, so `Executable` knows its types and its caller must keep to
them. Some calls of jaxlib import jax from C++; none of those is made. The flags that jaxlib shares
with an imported jax (`jax_jit.set_*`) are not touched.
"""

from __future__ import annotations

import ctypes
import gc
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from typing import Any

import ml_dtypes
import numpy as np
from jaxlib import _jax, lapack
from jaxlib import xla_client as xc

from ...core import processes
from ...core.device import cpu_count
from ...core.errors import error
from ...core.settings import updated
from . import adapter_reader, kept

_UNREADABLE = frozenset(["bfloat16", *(n for n in dir(ml_dtypes) if n.startswith("float8"))])
"""Dtypes that buffers do not show to NumPy: their bytes are copied."""


OPTIONS: dict[str, Any] = {}
"""XLA's options for programs of one device. Tests have it spend no time on the machine code."""


class Type:
    """Shape and dtype, as jaxlib asks for them."""

    __slots__ = ("__weakref__", "dtype", "shape", "weak_type")

    def __init__(self, shape: Sequence[int], dtype: Any) -> None:
        self.shape, self.dtype, self.weak_type = tuple(shape), np.dtype(dtype), False

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)


_WHOLE = xc.HloSharding.replicate()


class OneDevice(xc.SingleDeviceSharding):  # type: ignore[misc]
    """On one device. The class of jaxlib is left as it is: an imported jax adds methods to it."""

    memory_kind = None

    def _to_xla_hlo_sharding(self, rank: int) -> Any:
        return _WHOLE


_UNCHECKED = {"_skip_checks": True} if "_skip_checks" in xc.array_result_handler.__doc__ else {}
"""Checks would import jax; from jaxlib 0.11.2 on there are none."""


def handler(t: Type, place: Any) -> Any:
    """What makes buffers of this type, in this place, of the results of a program."""
    return xc.array_result_handler(t, place, committed=True, **_UNCHECKED)


class Client:
    """The devices of one platform."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.platform: str = client.platform
        self.devices: list[Any] = client.local_devices()
        self._places = [OneDevice(d) for d in self.devices]

    def put(self, array: np.ndarray, device: int = 0) -> Any:
        """A buffer with the elements of an array, which must not change as long as it lives.

        Memory that is aligned to 64 bytes is shared; other memory is copied.
        """
        t = Type(array.shape, array.dtype)
        share = xc.HostBufferSemantics.ZERO_COPY
        place = self._places[device]
        return xc.batched_device_put(
            t, place, [array], [self.devices[device]], True, False, share, True
        )

    def get(self, buffer: Any) -> np.ndarray:
        """The elements of a buffer: see `get`."""
        return get(buffer)

    def compile(
        self,
        text: str,
        out_types: Sequence[tuple[tuple[int, ...], Any]],
        callbacks: Sequence[Callable[..., Any]] = (),
        device: int = 0,
        chosen: Mapping[str, Any] | None = None,
    ) -> Executable:
        """The function `main` of a StableHLO module, for one device; `chosen` are XLA's options."""
        options = xc.CompileOptions()
        options.env_option_overrides = list({**OPTIONS, **(chosen or {})}.items())
        if self.devices[device].id:
            assignment = np.asarray([[self.devices[device].id]])
            options.device_assignment = xc.DeviceAssignment.create(assignment)
        devices = xc.DeviceList((self.devices[device],))
        if callbacks:
            made = self.client.compile_and_load(parsed(text), devices, options, list(callbacks))
        else:
            made = self._kept(text, devices, options)
        return Executable(self, made, self._places[device], out_types, bool(callbacks))

    def _kept(self, text: str, devices: Any, options: Any) -> Any:
        """An executable, from disk if one was made of this text before."""
        told = os.environ.get("XLA_FLAGS", "")
        known = (self.client.platform_version, version(), told)
        name = kept.name_of(text, *map(str.encode, known), options.SerializeAsString())
        stored = kept.found(name)
        if stored is not None:
            with suppress(RuntimeError):  # a file of another machine: it is made anew
                return self.client.deserialize_executable(stored, devices, options)
        made = self.client.compile_and_load(text.encode(), devices, options)
        kept.keep(name, made.serialize)
        return made


class Executable:
    """A compiled module: a function of buffers.

    Its caller answers for the number, the shapes and the dtypes of the arguments.
    """

    def __init__(
        self,
        client: Client,
        loaded: Any,
        place: Any,
        out_types: Sequence[tuple[Any, Any]],
        waits: bool = False,
    ) -> None:
        self.client, self.loaded, self.waits = client, loaded, waits
        """`waits`: a call returns when all is done, as it must where Python is called inside."""
        self._handlers = [handler(Type(s, d), place) for s, d in out_types]
        self._execute = loaded.execute_sharded

    @property
    def parts(self) -> tuple[Any, list[Any]] | None:
        """What `__call__` is made of, for who saves the call, unless it waits."""
        return None if self.waits else (self._execute, self._handlers)

    def __call__(self, buffers: Sequence[Any]) -> Sequence[Any]:
        """The buffers of the results."""
        if not self.waits:
            return self._execute(buffers).consume_with_handlers(self._handlers)  # type: ignore[no-any-return]
        results = self._execute(buffers, with_tokens=True)
        results.consume_token().block_until_ready()
        return results.consume_with_handlers(self._handlers)  # type: ignore[no-any-return]

    def text(self) -> str:
        """The program as XLA has it after all its passes, as HLO."""
        return "\n\n".join(m.to_string() for m in self.loaded.hlo_modules())

    def costs(self) -> dict[str, float]:
        """What XLA estimates: operations, bytes."""
        return dict(self.loaded.cost_analysis())

    def memory(self) -> Any:
        """The sizes of arguments, results and what else is needed, in bytes."""
        return self.loaded.get_compiled_memory_stats()


def hlo(text: str) -> str:
    """A StableHLO module as HLO, before any pass."""
    return str(_jax.mlir.mlir_module_to_xla_computation(text).as_hlo_text())


def get(buffer: Any) -> np.ndarray:
    """The elements of a buffer on the CPU: its own memory where NumPy can read it, or a copy."""
    dtype = buffer.aval.dtype
    if dtype.name not in _UNREADABLE:
        return np.asarray(buffer)
    buffer.block_until_ready()
    size = buffer.on_device_size_in_bytes()
    raw = (ctypes.c_char * size).from_address(buffer.unsafe_buffer_pointer()) if size else b""
    return np.frombuffer(raw, np.uint8).view(dtype).reshape(buffer.aval.shape).copy()


_lock = threading.Lock()


_started: list[int] = []
"""The process whose threads the clients have, once there is one."""


def check_process() -> None:
    """Raise RuntimeError in a copy of a process that has clients: their threads are not there, and
    what waits for them waits for ever.
    """
    if _started and _started[0] != os.getpid():
        raise error(
            RuntimeError,
            "the XLA engine cannot be used in a process that a fork has made: its threads stayed "
            "in the other one.",
            got=f"process {os.getpid()}, a copy of process {_started[0]}, which had used XLA",
            fix="start it by multiprocessing.get_context('spawn'), use engine='native' in it, or "
            "fork before the first program on XLA.",
        )


@cache
def cpu() -> Client:
    """The CPU."""
    with _lock:
        _prepare()
        connect = processes.current().connect
        if connect is not None:
            return Client(connect(cpu_count()))
        return Client(xc.make_cpu_client(asynchronous=False, num_devices=cpu_count()))


@cache
def _prepare() -> None:
    _started.append(os.getpid())
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=updated)  # the entry would call XLA without asking
    # LAPACK's functions are found when scipy is imported; a call before that is a crash.
    lapack._lapack.initialize()
    for name, capsule, version in lapack.registrations()["cpu"]:
        xc.register_custom_call_target(name, capsule, platform="cpu", api_version=version)
    # Buffers that shared memory of NumPy let it go when jaxlib is asked to.
    gc.callbacks.append(lambda phase, info: _jax.collect_garbage())


@cache
def mlir() -> Any:
    """The module `ir` of MLIR, and a context of it that knows StableHLO."""
    return adapter_reader.context()


def parsed(text: str) -> Any:
    """A module of MLIR from its text."""
    ir, context = mlir()
    with context:
        return ir.Module.parse(text)


def first_line(problem: BaseException) -> str:
    """What an error of jaxlib says, without the places in its own code that follow."""
    return str(problem).strip().split("\n", 1)[0]


def version() -> str:
    """That of jaxlib."""
    return str(xc._version)


__all__ = [
    "Client",
    "Executable",
    "OneDevice",
    "Type",
    "check_process",
    "cpu",
    "first_line",
    "get",
    "handler",
    "hlo",
    "mlir",
    "parsed",
    "version",
]
