"""Programs on several devices, divided by XLA's partitioner, or on another than the first CPU.

How the arguments are spread comes from the arrays themselves and from what the user says; where the
results are, from what the user says, or from XLA.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from itertools import permutations
from math import prod
from typing import Any

import numpy as np

from ...core.device import Device, deleted
from ...core.errors import error
from ...core.mesh import Mesh, PartitionSpec
from ...core.program import ClosedProgram, constraints, trace_program
from ...core.sharding import NamedSharding, Sharding, SingleDeviceSharding
from ...transforms.simplify import simplify
from ..choice import PLAIN, Terms
from . import devices as placing
from . import donation
from .adapter import check_process
from .adapter_mesh import SpreadExecutable
from .lowering import Lowering
from .meshes import Meshes
from .program import as_typed, failure, held_types, readable, words, wrong_options
from .rules import RULES, host
from .text import Word

Places = tuple[Sharding | None, ...]
Setting = tuple[tuple[Device, ...], Mesh | None, tuple[Sharding, ...], Places]
"""Devices, their mesh, and where the arguments and the results are."""


def run(
    closed: ClosedProgram,
    arrays: Sequence[Any],
    ins: Places | None = None,
    outs: Places | None = None,
    name: str = "the program",
    terms: Terms = PLAIN,
    device: Device = placing.CPU,
) -> list[Any]:
    """The results of a program of arrays that are anywhere.

    Args:
      closed: the program.
      arrays: its arguments.
      ins: how each is to be spread, as the user says; None: as it is.
      outs: the same for the results; None: XLA decides.
      name: of the user's function, for messages.
      terms: which arguments give up their memory, and the compiler's options.
      device: where to compute what is nowhere in particular.

    Raises:
      ValueError: the arguments are on different devices, or XLA has no such option.
    """
    setting, loose = _settled(closed, arrays, ins, outs, name, device)
    return _prepared(closed, setting, terms)(arrays, loose)


def prepared(
    closed: ClosedProgram,
    arrays: Sequence[Any],
    ins: Places | None = None,
    outs: Places | None = None,
    name: str = "the program",
    terms: Terms = PLAIN,
) -> Spread:
    """The program of `run`, compiled. Of the arrays only types and shardings are looked at."""
    return _prepared(closed, _settled(closed, arrays, ins, outs, name)[0], terms)


def _prepared(closed: ClosedProgram, setting: Setting, terms: Terms) -> Spread:
    key = "spread", setting, terms
    program = closed.cache.get(key)
    if program is None:
        devices, mesh, places, outs = setting
        program = compile_program(closed, devices, mesh, places, outs, terms)
        closed.cache[key] = program
    return program  # type: ignore[no-any-return]


def stablehlo(
    closed: ClosedProgram,
    arrays: Sequence[Any],
    ins: Places | None = None,
    outs: Places | None = None,
    name: str = "the program",
    terms: Terms = PLAIN,
) -> str:
    """The text of the program of `run`, as the user said it: before XLA decides anything."""
    devices, _, places, outs = _settled(closed, arrays, ins, outs, name)[0]
    platform = placing.team(devices).client.platform
    return _Module(closed, platform, Meshes(devices), places, terms.donated).text(outs)


def _settled(
    closed: ClosedProgram,
    arrays: Sequence[Any],
    ins: Places | None,
    outs: Places | None,
    name: str,
    device: Device = placing.CPU,
) -> tuple[Setting, bool]:
    """The devices that do the work, their mesh, where the arguments are, and the results; and
    whether those are bound to no device.
    """
    ins = ins or (None,) * len(arrays)
    outs = outs or (None,) * len(closed.out_avals)
    mesh, devices = _meeting(closed, arrays, ins, outs, name)
    loose = not devices
    devices = devices or (device,)
    places = tuple(_place(x, want, mesh, devices) for x, want in zip(arrays, ins, strict=True))
    return (devices, mesh, places, outs), loose


def _meeting(
    closed: ClosedProgram, arrays: Sequence[Any], ins: Places, outs: Places, name: str
) -> tuple[Mesh | None, tuple[Device, ...]]:
    """The mesh whose axes the results are spread over, and the devices that do the work; none, if
    nothing was put anywhere by name.
    """
    found: list[tuple[str, Sharding]] = []
    for i, x in enumerate((*arrays, *closed.consts)):
        s = _said(x)
        if s is not None:
            found.append((f"argument {i}, {x.aval.str_short()}", s))
    found += [("in_shardings", s) for s in ins if s is not None]
    found += [("out_shardings", s) for s in outs if s is not None]
    found += [("a constraint inside", s) for s in constraints(closed)]
    if not found:
        return None, ()
    first, devices = found[0][0], found[0][1].device_list
    for what, s in found:
        if set(s.device_list) != set(devices):
            raise error(
                ValueError,
                f"Received incompatible devices for jitted computation {name}.",
                got=f"{first} is on {_ids(devices)}, {what} on {_ids(s.device_list)}",
                fix="move them together with jax.device_put.",
            )
    meshes = [s.mesh for _, s in found if isinstance(s, NamedSharding)]
    mesh = next((m for m in meshes if isinstance(m, Mesh)), None)
    return mesh, devices if mesh is None else tuple(mesh.devices.flat)


def _ids(devices: Sequence[Device]) -> str:
    shown = ", ".join(str(d.id) for d in devices)
    return f"device{'s' if len(devices) > 1 else ''} {shown} of platform {devices[0].platform}"


def _place(x: Any, want: Sharding | None, mesh: Mesh | None, devices: Any) -> Sharding:
    if want is not None:
        return want
    return _said(x) or _everywhere(mesh, devices)


def _said(x: Any) -> Sharding | None:
    """Where an array was put by name."""
    return None if getattr(x, "loose", False) else getattr(x, "_sharding", None)


def _everywhere(mesh: Mesh | None, devices: tuple[Device, ...]) -> Sharding:
    if mesh is None:
        return SingleDeviceSharding(devices[0])
    return NamedSharding(mesh, PartitionSpec())


# ---- compiling


def compile_program(
    closed: ClosedProgram,
    devices: tuple[Device, ...],
    mesh: Mesh | None,
    ins: Sequence[Sharding],
    outs: Places,
    terms: Terms = PLAIN,
) -> Spread:
    """The program for these devices.

    Raises:
      Unsupported: the program has something that this engine has no code for.
      ValueError: XLA has no such option.
    """
    group = placing.team(devices)
    module = _Module(closed, group.client.platform, Meshes(devices), ins, terms.donated)
    executable = _compiled(group, module, outs, terms)
    found = _where(executable, module.out_types, outs, mesh)
    if any(s is None for s in found):  # parts that no PartitionSpec describes
        outs = tuple(s or _everywhere(mesh, devices) for s in found)
        executable = _compiled(group, module, outs, terms)
        found = list(outs)
    module.donation.warn(closed.in_avals)
    layouts = [placing.layout(s, len(t[0])) for s, t in zip(found, module.out_types)]  # type: ignore[arg-type]
    executable.give(module.out_types, layouts)
    return Spread(closed, executable, module, list(ins), found)  # type: ignore[arg-type]


def _compiled(group: placing.Team, module: _Module, outs: Places, terms: Terms) -> SpreadExecutable:
    free, chosen = [s is None for s in outs], terms.chosen
    try:
        return group.compile(module.text(outs), module.callbacks, free, chosen)
    except RuntimeError as mistake:
        if not chosen:
            raise
        raise wrong_options(chosen, mistake) from None


class _Module:
    """The text of a program for several devices, but for where its results are."""

    def __init__(
        self,
        closed: ClosedProgram,
        platform: str,
        meshes: Meshes,
        ins: Sequence[Sharding],
        donated: Sequence[bool],
    ) -> None:
        simple = simplify(closed)
        low = Lowering(RULES, host.by_definition, platform)
        low.meshes = meshes if len(meshes.devices) > 1 else None
        self.meshes = meshes
        self.remote = [c for c in simple.consts if c.elsewhere and not c.loose]
        """Arrays elsewhere that the function closes over: they are arguments too."""
        remote_types, others = words("r", [c.aval for c in self.remote], held_types)
        in_types, args = words("a", simple.in_avals, held_types)
        taken = iter(as_typed(low.code, others, remote_types))
        consts = [
            next(taken) if c.elsewhere and not c.loose else low.constant_array(c._value)
            for c in simple.consts
        ]
        outs = [
            readable(low.code, w)
            for w in low.program(simple.program, consts, as_typed(low.code, args, in_types))
        ]
        self.outs, self.callbacks = outs, low.callbacks
        self.caller = low.caller if low.callbacks else None
        self.constants = low.constants
        self.out_types = [(w.shape, w.dtype) for w in outs]
        low.code.give(outs, "func.return")
        given = [Word(f"%c{i}", c.shape, c.dtype) for i, c in enumerate(low.constants)]
        marks = [meshes.attribute(c._sharding, w.rank) for c, w in zip(self.remote, others)]
        meshed = [s for s in (*ins, *constraints(closed)) if isinstance(s, NamedSharding)]
        # Constants say that each device has all of them, or XLA would divide them.
        whole = NamedSharding(meshed[0].mesh, PartitionSpec()) if meshed else None
        marks += [meshes.attribute(whole, w.rank) for w in given]
        pairs = zip((*others, *given), marks, strict=True)
        self._head = [f"{w.name}: {w.type}{mark}" for w, mark in pairs]
        self._args, self._ins, self._donated = args, ins, donated
        self.donation, self.written = donation.NONE, ""
        self._body = "\n".join(low.code.lines)
        self._functions = low.function_texts()

    def text(self, outs: Places) -> str:
        """With the results where `outs` says; it is kept as `written`, with its `donation`."""
        self.donation = self._planned(outs)
        triples = zip(self._args, self._ins, self.donation.marks, strict=True)
        args = [f"{w.name}: {w.type}{self.meshes.attribute(s, w.rank, m)}" for w, s, m in triples]
        head = ", ".join([*self._head, *args])
        pairs = zip(self.outs, outs, strict=True)
        results = ", ".join(f"{w.type}{self.meshes.attribute(s, w.rank)}" for w, s in pairs)
        n = len(self.meshes.devices)
        self.written = (
            f"module @program attributes {{mhlo.num_partitions = {n} : i32, "
            f"mhlo.num_replicas = 1 : i32}} {{\n{self.meshes.head()}"
            f"func.func public @main({head}) -> ({results}) {{\n{self._body}\n}}\n"
            f"{self._functions}}}\n"
        )
        return self.written

    def _planned(self, outs: Places) -> donation.Donation:
        """Which arguments give their memory to which results."""
        if len(self.meshes.devices) == 1 or not any(self._donated):
            return donation.planned_alone(self._donated, self._args, self.outs)
        args, ins, words = self._args, self._ins, self.outs

        def alike(i: int, k: int) -> bool:
            a, b, there = args[i], words[k], outs[k]
            if there is None or (a.shape, a.dtype) != (b.shape, b.dtype):
                return False
            return placing.layout(ins[i], a.rank) == placing.layout(there, b.rank)

        def fits(i: int, k: int) -> bool:
            a, b, there = args[i], words[k], outs[k]
            if there is None:  # XLA decides
                return donation.size_of(a) == donation.size_of(b)
            return _part_size(a, ins[i]) == _part_size(b, there)

        return donation.planned(self._donated, len(words), alike, fits)


def _part_size(word: Word, sharding: Sharding) -> int:
    """The bytes on one device."""
    return prod(sharding.shard_shape(word.shape)) * np.dtype(word.dtype).itemsize


def _where(
    executable: SpreadExecutable, types: Sequence[Any], outs: Places, mesh: Mesh | None
) -> list[Sharding | None]:
    """Where the results are: as the user said, or as XLA decided."""
    if mesh is None or len(executable.team) == 1:
        alone = _everywhere(mesh, executable.team.names)  # type: ignore[attr-defined]
        return [s or alone for s in outs]
    found = []
    tiles = executable.tiles if None in outs else [None] * len(outs)
    for s, tile, _ in zip(outs, tiles, types, strict=True):
        found.append(s if s is not None else _named(mesh, *tile))  # type: ignore[misc]
    return found


def _named(mesh: Mesh, counts: Sequence[int], place: np.ndarray) -> NamedSharding | None:
    """The sharding over the axes of a mesh that gives these parts to its devices."""
    names, sizes = mesh.axis_names, mesh.axis_sizes
    at = np.indices(sizes).reshape(len(sizes), -1)
    entries: list[Any] = []
    free = [i for i, n in enumerate(sizes) if n > 1]
    for axis, count in enumerate(counts):
        chosen = _axes_of(count, place[:, axis], free, sizes, at)
        if chosen is None:
            return None
        free = [i for i in free if i not in chosen]
        entries.append(tuple(names[i] for i in chosen))
    while entries and not entries[-1]:
        entries.pop()
    return NamedSharding(mesh, PartitionSpec(*entries))


def _axes_of(
    count: int, place: np.ndarray, free: Sequence[int], sizes: Sequence[int], at: np.ndarray
) -> tuple[int, ...] | None:
    """The axes of the mesh, in order, along which an array's axis is divided into `count` parts."""
    if count == 1:
        return ()
    for k in range(1, len(free) + 1):
        for axes in permutations(free, k):
            if prod(sizes[i] for i in axes) != count:
                continue
            number = np.zeros(len(place), int)
            for i in axes:
                number = number * sizes[i] + at[i]
            if np.array_equal(number, place):
                return axes
    return None


class Spread:
    """A program that runs on a team of devices."""

    def __init__(
        self,
        closed: ClosedProgram,
        executable: SpreadExecutable,
        module: _Module,
        ins: list[Sharding],
        outs: list[Sharding],
    ) -> None:
        self.executable, self.ins, self.outs = executable, ins, outs
        self.out_types = closed.out_avals
        self._caller = module.caller
        self.text = module.written
        """The StableHLO."""
        self.given = module.donation.given
        """The numbers of the arguments that are gone after a call."""
        self._gives = [i in self.given for i in range(len(ins))]
        group, whole = executable.team, "{replicated}"
        fixed = []
        for c in module.constants:
            flat = np.ascontiguousarray(c).reshape(c.shape)
            parts = [group.put(flat, k) for k in group.here]
            fixed.append(group.whole(c.shape, c.dtype, whole, parts))
        self._fixed = [*(c.buffer for c in module.remote), *fixed]
        self._remote = module.remote

    def __call__(self, arrays: Sequence[Any], loose: bool = False) -> list[Any]:
        """The results; `loose`: they are not bound to their device."""
        check_process()
        for c in self._remote:
            if c.is_deleted():
                raise deleted(c.aval.str_short())
        triples = zip(arrays, self.ins, self._gives, strict=True)
        buffers = [placing.buffer_on(x, s, gives) for x, s, gives in triples]
        # Others were copied to where they are needed: they stay.
        given = [i for i in self.given if arrays[i].elsewhere and buffers[i] is arrays[i].buffer]
        if given:
            donation.check_once(buffers, given, arrays, self._fixed)
            donation.let_go(arrays, given)
        found = self._run([*self._fixed, *buffers])
        donation.delete(arrays, given)
        made = zip(found, self.out_types, self.outs, strict=True)
        wrap = placing.made if loose else placing.given
        return [wrap(y, t, s) for y, t, s in made]

    def _run(self, buffers: list[Any]) -> list[Any]:
        if self._caller is None:
            return self.executable(buffers)
        with self._caller.running():
            raised = self._caller.raised
            raised.clear()
            try:
                found = self.executable(buffers)
            except RuntimeError as mistake:
                raised.append(failure(mistake))
            cause = raised[0] if raised else None
        if cause is not None:
            raise cause
        return found


# ---- operations outside jit


def put(x: Any, sharding: Sharding) -> Any:
    """An array that is not traced, moved to where a sharding says.

    Between shardings over the same devices XLA moves the parts.
    """
    if x.elsewhere and isinstance(sharding, NamedSharding):
        have = x._sharding.device_list
        if len(have) > 1 and have == sharding.device_list and not x.is_deleted():
            sharding.shard_shape(x.shape)
            closed = _same(x.aval)
            return run(closed, [x], outs=(sharding,), name="reshard")[0]
    return placing.put(x, sharding)


@cache
def _same(t: Any) -> ClosedProgram:
    """The program that gives its argument."""
    return trace_program(lambda x: [x], [t])


def put_on(x: Any, device: Device) -> Any:
    """An array of the memory of the process, on a device, to which it is not bound."""
    sharding = SingleDeviceSharding(device)
    return placing.made(placing.buffer_on(x, sharding), x.aval, sharding)


def forget() -> None:
    """Forget the programs of single operations, and of arrays that are moved."""
    _same.cache_clear()
    _program_of.cache_clear()


KEPT_OPERATIONS = 1024
"""Programs of single operations that are kept, some 0.2 MB each when they are compiled."""


@lru_cache(KEPT_OPERATIONS)
def _program_of(primitive: Any, types: tuple[Any, ...], params: tuple[Any, ...]) -> ClosedProgram:
    """The program of one operation."""
    function: Callable[..., Any] = primitive

    def run_it(*xs: Any) -> list[Any]:
        out = function(*xs, **dict(params))
        return list(out) if primitive.multiple_results else [out]

    return trace_program(run_it, types)


def operation(
    primitive: Any, args: Sequence[Any], params: dict[str, Any], device: Device | None = None
) -> list[Any]:
    """The results of one operation, done where its arguments are; or, if that is nowhere in
    particular, on `device`.
    """
    types = tuple(x.aval for x in args)
    given = tuple(sorted(params.items(), key=lambda item: item[0]))
    try:
        hash(given)
    except TypeError:  # it is traced each time
        closed = _program_of.__wrapped__(primitive, types, given)
    else:
        closed = _program_of(primitive, types, given)
    return run(closed, args, name=primitive.name, device=device or placing.CPU)


__all__ = [
    "Spread",
    "compile_program",
    "operation",
    "prepared",
    "put",
    "put_on",
    "run",
    "stablehlo",
]
