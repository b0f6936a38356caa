"""Calls of jaxlib for arrays and programs on several devices, and on devices other than the first.

What is on several devices is one buffer of jaxlib with a part on each. To take the parts out,
jaxlib asks for the package jax: once for the class ShapedArray of `jax.core`, and each time for
`jax._src.sharding_impls`, without which it does as well. Where jax is not imported already it finds
instead a function that gives `adapter.Type` (and jax's own class, if jax is imported later), and
nothing.
"""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from functools import cache, cached_property, partial
from hashlib import sha256
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
from jaxlib import xla_client as xc

from ...core import processes
from .adapter import Client, OneDevice, Type, check_process, handler, mlir, parsed


class _Spread(xc.GSPMDSharding):  # type: ignore[misc]
    """On several devices. The class of jaxlib is left as it is: an imported jax adds methods."""

    memory_kind = None

    def _to_xla_hlo_sharding(self, rank: int) -> Any:
        return self._hlo_sharding


def _weak(shape: Sequence[int], dtype: Any) -> Type:
    """The type of an array on several devices.

    jaxlib keeps the types of parts by shape, dtype and weakness, for us and an imported jax alike.
    Ours are weak, as arrays of jax on several devices are not; so each finds its own.
    """
    t = Type(shape, dtype)
    t.weak_type = True
    return t


class Team:
    """Devices of one client that run programs together, in this order."""

    def __init__(self, client: Client, numbers: Sequence[int]) -> None:
        every = {d.id: d for d in client.client.devices()}
        self.client, self.devices = client, [every[i] for i in numbers]
        mine = {d.id for d in client.devices}
        self.here = [k for k, d in enumerate(self.devices) if d.id in mine]
        """The places in the order of those that belong to this process."""
        self._list = xc.DeviceList(tuple(self.devices))
        self._singles = {k: OneDevice(self.devices[k]) for k in self.here}
        self._places: dict[str, Any] = {}

    def __len__(self) -> int:
        return len(self.devices)

    def place(self, sharding: str) -> Any:
        """Where the parts are: by the text of an HLO sharding over the devices in their order."""
        if len(self.devices) == 1 and self.here:
            return self._singles[0]
        found = self._places.get(sharding)
        if found is None:
            proto = xc.HloSharding.from_string(sharding).to_proto()
            found = self._places[sharding] = _Spread(self._list, proto)
        return found

    def put(self, array: np.ndarray, k: int) -> Any:
        """A buffer on device `k` with the elements of an array, which must not change."""
        share = xc.HostBufferSemantics.ZERO_COPY
        t = Type(array.shape, array.dtype)
        return xc.batched_device_put(
            t, self._singles[k], [array], [self.devices[k]], True, False, share, True
        )

    def get(self, buffer: Any) -> np.ndarray:
        """The elements of a buffer on one of the devices."""
        return self.client.get(buffer)

    def move(self, buffer: Any, k: int) -> Any:
        """A buffer on one device, copied to device `k`."""
        copy = xc.ArrayCopySemantics.ALWAYS_COPY
        lists = [xc.DeviceList((self.devices[k],))]
        (out,) = xc.batched_copy_array_to_devices_with_sharding(
            [buffer], lists, [self._singles[k]], [copy]
        )
        return out

    def whole(self, shape: Sequence[int], dtype: Any, sharding: str, parts: Sequence[Any]) -> Any:
        """One buffer of the parts on the devices of this process, in their order."""
        if len(self.devices) == 1:
            return parts[0]
        place = self.place(sharding)
        return xc.ArrayImpl(
            _weak(shape, dtype), place, list(parts), committed=True, _skip_checks=True
        )

    def parts(self, buffer: Any, shape: Sequence[int]) -> list[Any]:
        """The buffers of the devices of this process, each of this shape."""
        if len(self.devices) == 1:
            return [buffer]
        t = Type(shape, buffer.aval.dtype)
        with without_jax():
            found = buffer._arrays
        pairs = zip(found, self.here, strict=True)
        return [x._rewrap_with_aval_and_sharding(t, self._singles[k]) for x, k in pairs]

    def compile(
        self,
        text: str,
        callbacks: Sequence[Any] = (),
        free: Sequence[bool] = (),
        chosen: Mapping[str, Any] | None = None,
    ) -> SpreadExecutable:
        """The function `main` of a StableHLO module.

        Where results are that are `free`, XLA decides; `chosen` are its options.
        """
        check_process()
        options = xc.CompileOptions()
        options.env_option_overrides = list((chosen or {}).items())
        ids = np.asarray([[d.id for d in self.devices]])
        options.device_assignment = xc.DeviceAssignment.create(ids)
        if len(self.devices) > 1:
            options.num_replicas, options.num_partitions = 1, len(self.devices)
            build = options.executable_build_options
            build.use_spmd_partitioning = build.use_shardy_partitioner = True
            build.allow_spmd_sharding_propagation_to_output = list(free)
        make = self.client.client.compile_and_load
        if callbacks:
            _register()
            made = make(parsed(text), self._list, options, list(callbacks))
        else:
            made = make(text.encode(), self._list, options)
        return SpreadExecutable(self, made, bool(callbacks))


class SpreadExecutable:
    """A compiled module: a function of buffers on the devices of a team.

    Its caller answers for the number, the shapes, the dtypes and the places of the arguments.
    """

    def __init__(self, team: Team, loaded: Any, waits: bool = False) -> None:
        self.team, self.loaded, self.waits = team, loaded, waits
        """`waits`: a call returns when all is done, as it must where Python is called inside."""
        self._handlers: list[Any] = []
        self._members = frozenset(d.process_index for d in team.devices)

    def give(self, out_types: Sequence[tuple[Any, Any]], shardings: Sequence[str]) -> None:
        """Say what the results are."""
        self._handlers = [
            handler(_weak(shape, dtype), self.team.place(where))
            for (shape, dtype), where in zip(out_types, shardings, strict=True)
        ]

    @cached_property
    def tiles(self) -> list[tuple[tuple[int, ...], np.ndarray]]:
        """For each result the number of parts of each axis, and which part is on which device."""
        found: list[tuple[tuple[int, ...], np.ndarray]] = []
        for proto in self.loaded.get_output_shardings() or ():
            s = xc.HloSharding.from_proto(proto)
            n = len(self.team)
            if s.is_replicated() or not s.is_tiled():
                found.append(((), np.zeros((n, 0), int)))
                continue
            dims = list(s.tile_assignment_dimensions())
            order = np.asarray(s.tile_assignment_devices()).reshape(dims)
            kept = len(dims) - (s.replicate_on_last_tile_dim() + len(s.subgroup_types()))
            place = np.zeros((n, kept), int)
            for at in np.ndindex(*dims):
                place[order[at]] = at[:kept]
            found.append((tuple(dims[:kept]), place))
        return found

    @cached_property
    def _talk(self) -> str:
        """A name for which devices exchange data: the same in all processes. Empty if none do."""
        groups = sorted(set(_GROUPS.findall(self.hlo())))
        ids = [d.id for d in self.team.devices]
        return sha256(repr((ids, groups)).encode()).hexdigest() if groups else ""

    def __call__(self, buffers: Sequence[Any]) -> list[Any]:
        """The buffers of the results.

        On CPUs, when they are ready: the threads of XLA are as many as the devices, and each waits
        inside a collective operation for the others. Two programs at once would wait for ever.
        """
        if len(self._members) > 1:
            with processes.current().together(self._members, talk=self._talk):
                return self._run(buffers)
        return self._run(buffers)

    def _run(self, buffers: Sequence[Any]) -> list[Any]:
        if self.waits:
            alone: Any = _alone() if len(self.team) > 1 else nullcontext([])
            with alone as unfinished:
                results = self.loaded.execute_sharded(buffers, with_tokens=True)
                unfinished.append(results.consume_token().block_until_ready)
                unfinished[-1]()
                return list(results.consume_with_handlers(self._handlers))
        if len(self.team) == 1 or self.team.client.platform != "cpu":
            return list(self.loaded.execute_sharded(buffers).consume_with_handlers(self._handlers))
        with _alone() as unfinished:
            made = self.loaded.execute_sharded(buffers).consume_with_handlers(self._handlers)
            unfinished.append(partial(xc._xla.batched_block_until_ready, list(made)))
            unfinished[-1]()
        return list(made)

    def hlo(self) -> str:
        """The compiled program of one device, as text."""
        return str(self.loaded.hlo_modules()[0].to_string())

    def text(self) -> str:
        """The compiled program of one device, as text: as `Executable` has it."""
        return self.hlo()

    def memory(self) -> Any:
        """The sizes of arguments, results and what else is needed, in bytes on one device."""
        return self.loaded.get_compiled_memory_stats()

    def costs(self) -> dict[str, float]:
        """What XLA says that the program of one device costs."""
        return dict(xc._xla.hlo_module_cost_analysis(self.team.client.client,
                                                     self.loaded.hlo_modules()[0]))  # fmt: skip


_GROUPS = re.compile(r"(?:replica_groups|source_target_pairs)=(.*?)(?:, \w+=|$)", re.MULTILINE)
"""Of an operation of a compiled program in which devices exchange data: which do."""


@cache
def _register() -> None:
    """Have the reader of texts know how shardings are written."""
    from jaxlib.mlir.dialects import sdy  # only for programs that call Python

    sdy.register_dialect(mlir()[1])


_running = threading.Lock()
"""Held while a program runs on several CPU devices."""
_unfinished: list[Callable[[], Any]] = []
"""What waits for a program whose caller was interrupted while he waited: it still runs."""


@contextmanager
def _alone() -> Iterator[list[Callable[[], Any]]]:
    """No other program runs on several CPU devices meanwhile; gives `_unfinished`."""
    with _running:
        for wait in _unfinished:
            with suppress(RuntimeError):  # its own caller would have been told
                wait()
        _unfinished.clear()
        try:
            yield _unfinished
        except Exception:
            _unfinished.clear()
            raise
        _unfinished.clear()


# ---- jaxlib asks for jax

_lock = threading.Lock()
_SHAPES, _PLACES = "jax.core", "jax._src.sharding_impls"
_answered: list[bool] = []


def _shaped(shape: Any, dtype: Any, *rest: Any) -> Any:
    """What jaxlib takes for jax's ShapedArray, and keeps as long as the process lives."""
    if not hasattr(sys.modules.get("jax"), "__version__"):
        return Type(shape, dtype)
    return import_module(_SHAPES).ShapedArray(shape, dtype, *rest)


@contextmanager
def without_jax() -> Iterator[None]:
    """Calls that ask for jax do not import it meanwhile."""
    if "jax" in sys.modules:
        yield
        return
    with _lock:
        names = [_PLACES]
        if not _answered:
            _answered.append(True)
            names += ["jax", _SHAPES]
            core = ModuleType(_SHAPES)
            core.ShapedArray = _shaped  # type: ignore[attr-defined]
            sys.modules.update({"jax": ModuleType("jax"), _SHAPES: core})
        sys.modules[_PLACES] = None  # type: ignore[assignment]
        try:
            yield
        finally:
            for name in names:
                sys.modules.pop(name, None)


__all__ = ["SpreadExecutable", "Team", "without_jax"]
