"""What the entry goes by: the arguments, results and memory of one program, as words in memory."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from types import FunctionType
from typing import Any

import numpy as np
import optree

from ...core import dtypes
from ...core.pytree import PyTreeDef
from ...core.settings import Combination
from ...core.types import ArrayType, array_type
from .entry_records import (
    NUMBER_BYTES,
    Build,
    Check,
    Convert,
    Fetch,
    Make,
    Node,
    Out,
    Spec,
)
from .kernel import Kernel
from .layout import slot

STACK_ARENA = 1 << 14
"""Scratch memory up to this size is taken from the stack."""
KEPT_SCRATCH = 1 << 27
"""Scratch memory up to this size is kept from one call to the next: new pages cost 1 ms a MB."""
_STACK_FRAME = 1 << 15
"""Larger frames are not taken from the stack: threads may have as little as 64 kB of it."""

Kind = optree.PyTreeKind

_free = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)(("PyMem_RawFree", ctypes.pythonapi))


@dataclass
class Call:
    """How a function is called: which arguments are arrays, and in what containers."""

    in_tree: PyTreeDef
    """Of `(args, kwargs)` without static ones."""
    out_tree: PyTreeDef
    positions: int
    """The number of positional arguments, static ones included."""
    keywords: tuple[str, ...] = ()
    """In the order of the call."""
    static: dict[int | str, Any] = field(default_factory=dict)
    """The values of static arguments."""


@dataclass
class Device:
    """How the arrays of a device are recognised, and made."""

    kind: type
    """Their class."""
    slot: str
    """That of its slots which has the buffer."""
    view: str
    """That which has what NumPy sees of it, or None."""
    templates: list[Any]
    """For each result an array whose slots it gets; that for the buffer is empty."""
    direct: tuple[Any, tuple[Any, ...], str, Any] | None = None
    """What is called without Python: see `Spec.EXECUTE`. It may be called again if it fails."""
    given: tuple[int, ...] = ()
    """The numbers of the arguments whose buffers are deleted after a call."""


class Unsuitable(Exception):
    """The entry has no form for this call: it is done by Python."""


class Plan:
    """One program, ready for the entry. The code reads `words` at `address`."""

    def __init__(
        self,
        kernel: Kernel,
        call: Call,
        combination: Combination,
        on_error: Callable[[int], Any],
        run: Callable[..., tuple[Any, ...]] | None = None,
        device: Device | None = None,
    ) -> None:
        """
        Args:
          run: what is called in the place of the kernel, whose types are used then.
          device: its arrays are taken and made; `run` is a function of their buffers.

        Raises:
          Unsuitable: a container is of another kind than tuple, list, dict, None, named tuple.
        """
        self.words: Any = None
        self._kept: list[Any] = [kernel, call, combination, on_error, run]
        self._list: list[int] = [0] * len(Spec)
        self._inner: list[tuple[int, int]] = []
        given = () if device is None else device.given
        nodes, boxes = _Arguments(self, call, kernel.in_types, given).rows()
        steps, finish = _results(self, call.out_tree)
        outs = [self._out(t, run is not None) for t in kernel.out_types]
        if device is not None:
            for out, template in zip(outs, device.templates, strict=True):
                out[Out.TEMPLATE] = self.keep(template)
        self._frame(kernel, len(nodes), boxes, len(steps))
        names = [self.keep(name) for name in call.keywords]
        tables = {Spec.NODES: nodes, Spec.OUTS: outs, Spec.BUILD: steps, Spec.NAMES: [names]}
        for place, rows in tables.items():
            self._point(place, self.put([word for row in rows for word in row]))
        if device is not None:
            self._set(self._device(device))
        self._set(
            {
                Spec.COMBINATION: id(combination),
                Spec.UPDATE: combination.update,
                Spec.ARGS: call.positions,
                Spec.KEYWORDS: len(call.keywords),
                Spec.OWNER: id(self),
                Spec.NODE_COUNT: len(nodes),
                Spec.OUT_COUNT: len(outs),
                Spec.BUILD_COUNT: len(steps),
                Spec.KERNEL: kernel.address,
                Spec.RELEASES: int(kernel.releases_gil or run is not None),
                Spec.RUN: 0 if run is None else id(run),
                Spec.ON_ERROR: id(on_error),
                Spec.FINISH: 0 if finish is None else self.keep(finish),
            }
        )
        self.words = np.array(self._list, np.int64)
        self.address: int = self.words.ctypes.data
        for at, target in self._inner:
            self.words[at] = self.address + 8 * target

    def __del__(self, scratch: int = Spec.SCRATCH, free: Callable[[int], None] = _free) -> None:
        # What it needs is bound here: names of modules may be gone when the interpreter ends.
        if self.words is not None and self.words[scratch]:
            free(int(self.words[scratch]))

    @property
    def calls(self) -> int:
        """How many calls the entry has done with it."""
        return int(self.words[Spec.CALLS])

    def serves(self, combination: Combination) -> None:
        """From now on it is for calls under `combination`."""
        self._kept[2] = combination
        self.words[Spec.COMBINATION] = id(combination)
        self.words[Spec.UPDATE] = combination.update

    # ---- writing

    def keep(self, x: Any) -> int:
        """The address of an object, which lives as long as this plan."""
        self._kept.append(x)
        return id(x)

    def put(self, words: Sequence[int]) -> int:
        """Append words; where they begin."""
        self._list += words
        return len(self._list) - len(words)

    def _point(self, place: int, target: int) -> None:
        self._inner.append((place, target))

    def _set(self, fields: dict[Spec, int]) -> None:
        for place, value in fields.items():
            self._list[int(place)] = value

    def dims(self, shape: Sequence[int]) -> int:
        """The address of the lengths of axes."""
        array = np.array(shape or (0,), np.int64)
        self._kept.append(array)
        return int(array.ctypes.data)

    def row(self, kind: type[IntEnum], fields: dict[Any, int]) -> list[int]:
        """A record; what is not given is 0."""
        words = [0] * len(kind)
        for place, value in fields.items():
            words[int(place)] = value
        return words

    def _out(self, t: ArrayType, by_python: bool) -> list[int]:
        # Arrays of rank 0 are scalars of NumPy's, but for random keys, which have none.
        scalar = by_python or (not t.shape and t.dtype.names is None)
        fields = {
            Out.SCALAR: int(scalar),
            Out.RANK: t.ndim,
            Out.DIMS: self.dims(t.shape),
            Out.DESCR: self.keep(_descr(t)),
            Out.AVAL: id(None) if by_python else self.keep(t),
            Out.WEAK: id(t.weak_type),
        }
        return self.row(Out, fields)

    def _device(self, device: Device) -> dict[Spec, int]:
        fields = {
            Spec.CLASS: self.keep(device.kind),
            Spec.BUFFER: slot(device.kind, device.slot),
            Spec.VIEW: slot(device.kind, device.view),
            Spec.BYTES: device.kind.__basicsize__,
            Spec.GIVEN_COUNT: len(device.given),
            Spec.DELETE: self.keep("delete"),
        }
        if device.given:
            numbers = np.array(device.given, np.int64)
            self._kept.append(numbers)
            fields[Spec.GIVEN] = int(numbers.ctypes.data)
        if device.direct is not None:
            places = (Spec.EXECUTE, Spec.FIXED, Spec.METHOD, Spec.HANDLERS)
            fields |= {p: self.keep(x) for p, x in zip(places, device.direct, strict=True)}
        return fields

    def _frame(self, kernel: Kernel, nodes: int, boxes: int, steps: int) -> None:
        ins, outs = len(kernel.in_types), len(kernel.out_types)
        parts = {
            Spec.AT_OUTS: 8 * ins,
            Spec.AT_BOXES: 8 * outs,
            Spec.AT_RESULTS: 8 * boxes,
            Spec.AT_HELD: 8 * outs,
            Spec.AT_STACK: 16 * ins,
            Spec.AT_NUMBERS: 8 * max(steps, 1),
        }
        at = 0
        for place, size in parts.items():  # each begins where the one before it ends
            at += size
            self._list[place] = at = -(-at // 16) * 16
        at += NUMBER_BYTES * (ins + outs)
        at = -(-at // 64) * 64
        inside = kernel.arena <= STACK_ARENA
        size = max(64, at + (kernel.arena if inside else 0))
        self._set(
            {
                Spec.AT_ARENA: at if inside else -1,
                Spec.FRAME: size,
                Spec.ON_HEAP: int(size > _STACK_FRAME),
                Spec.ARENA: kernel.arena,
                Spec.KEEPS_SCRATCH: int(kernel.arena <= KEPT_SCRATCH),
            }
        )


def _descr(t: ArrayType) -> np.dtype:
    """The object that NumPy's own arrays of this type have as their dtype."""
    return t.dtype if t.dtype.names is not None else np.dtype(t.dtype.type)


# ---- arguments


class _Arguments:
    """The nodes of the arguments, each after the container that holds it."""

    def __init__(
        self, plan: Plan, call: Call, types: Sequence[ArrayType], given: Sequence[int]
    ) -> None:
        self.plan, self.call = plan, call
        self.types = iter(types)
        self.given = iter([i in given for i in range(len(types))])
        self.nodes: list[list[int]] = []
        self.boxes = 0

    def rows(self) -> tuple[list[list[int]], int]:
        """The nodes, and how many containers there are."""
        call = self.call
        positional, named = call.in_tree.children()
        parts = iter(positional.children())
        places = {name: call.positions + k for k, name in enumerate(call.keywords)}
        # Static ones come first: comparing them may run Python code, which might change a list or
        # dict of arrays that has been looked into already.
        for key, value in call.static.items():
            self.static(value, _argument(places[key] if isinstance(key, str) else key))
        for i in [i for i in range(call.positions) if i not in call.static]:
            self.walk(next(parts), _argument(i))
        for name, part in zip(named.entries(), named.children(), strict=True):
            self.walk(part, _argument(places[name]))
        return self.nodes, self.boxes

    def add(self, where: dict[Any, int], what: dict[Any, int]) -> None:
        """One more node."""
        self.nodes.append(self.plan.row(Node, {**where, **what}))

    def walk(self, tree: PyTreeDef, where: dict[Any, int]) -> None:
        """A node and those below it."""
        kind = tree.kind
        if kind == Kind.LEAF:
            leaf = {**self.leaf(next(self.types)), Node.GIVEN: int(next(self.given))}
            return self.add(where, leaf)
        if kind == Kind.NONE:
            return self.add(where, {Node.CHECK: Check.SAME, Node.DESCR: id(None)})
        own, parts = self.boxes, tree.children()
        self.boxes += 1
        box = {Node.SLOT: own, Node.TYPE: self.plan.keep(tree.type), Node.COUNT: len(parts)}
        if kind in (Kind.TUPLE, Kind.NAMEDTUPLE):
            check, fetch, places = Check.TUPLE, Fetch.TUPLE, list(range(len(parts)))
        elif kind == Kind.LIST:
            check, fetch, places = Check.LIST, Fetch.LIST, list(range(len(parts)))
        elif kind == Kind.DICT and all(type(k) in (str, int) for k in tree.entries()):
            check, fetch = Check.DICT, Fetch.DICT
            places = [self.plan.keep(k) for k in tree.entries()]
        else:
            raise Unsuitable(f"an argument is, or contains, a container of type {tree.type}")
        self.add(where, {**box, Node.CHECK: check})
        for part, place in zip(parts, places, strict=True):
            self.walk(part, {Node.FETCH: fetch, Node.PARENT: own, Node.INDEX: place})
        return None

    def leaf(self, t: ArrayType) -> dict[Any, int]:
        """An array. Python numbers and NumPy arrays are taken where they mean the same type."""
        plain = t.dtype.names is None
        python, convert = _python_number(t)
        raw = plain and not t.weak_type and dtypes.canonical(t.dtype) == t.dtype
        wide = next((d for d in _WIDE if raw and dtypes.canonical(d) == t.dtype), t.dtype)
        return {
            Node.CHECK: Check.LEAF,
            Node.TYPE: self.plan.keep(t.dtype.type) if plain else 0,
            Node.COUNT: t.ndim,
            Node.DESCR: self.plan.keep(_descr(t)),
            Node.WEAK: id(t.weak_type),
            Node.DIMS: self.plan.dims(t.shape),
            Node.RAW: int(raw),
            Node.WIDE: 0 if wide == t.dtype else self.plan.keep(wide),
            Node.PYTHON: 0 if python is None else id(python),
            Node.CONVERT: convert,
            Node.AVAL: self.plan.keep(t),
        }

    def static(self, value: Any, where: dict[Any, int]) -> None:
        """A static argument: an equal object of the same type."""
        kind = type(value)
        identical = value is None or kind in (bool, type, FunctionType)
        identical |= kind.__eq__ is object.__eq__
        what = {Node.CHECK: Check.SAME if identical else Check.EQUAL, Node.TYPE: id(kind)}
        self.add(where, {**what, Node.DESCR: self.plan.keep(value)})


def _argument(i: int) -> dict[Any, int]:
    return {Node.FETCH: Fetch.ARGUMENT, Node.INDEX: i}


_WIDE = [np.dtype(name) for name in ("float64", "int64", "uint64", "complex128")]

_CONVERSIONS = {
    "float32": Convert.FLOAT32,
    "float64": Convert.FLOAT64,
    "int32": Convert.INT32,
    "int64": Convert.INT64,
    "bool": Convert.BOOL,
    "complex64": Convert.COMPLEX64,
    "complex128": Convert.COMPLEX128,
}


def _python_number(t: ArrayType) -> tuple[type | None, Convert]:
    """The Python type whose numbers are of type `t` under the settings of this thread."""
    if not t.shape:
        for kind in (bool, int, float, complex):
            if array_type((), dtypes.scalar_dtype(kind(0)), kind is not bool) is t:
                return kind, _CONVERSIONS[t.dtype.name]
    return None, Convert.NONE


# ---- results


def _results(plan: Plan, tree: PyTreeDef) -> tuple[list[list[int]], Any]:
    """The steps that build the tree of results, and what makes it of a flat tuple, if needed."""
    steps: list[list[int]] = []
    try:
        _steps(plan, tree, steps, 0)
        return steps, None
    except Unsuitable:
        count = tree.num_leaves
        leaves = [{Build.KIND: Make.LEAF, Build.COUNT: i} for i in range(count)]
        rows = [*leaves, {Build.KIND: Make.TUPLE, Build.COUNT: count}]
        return [plan.row(Build, row) for row in rows], tree.unflatten


def _steps(plan: Plan, tree: PyTreeDef, steps: list[list[int]], leaf: int) -> int:
    kind, parts = tree.kind, tree.children()
    made = {Kind.LEAF: Make.LEAF, Kind.NONE: Make.NONE, Kind.TUPLE: Make.TUPLE}
    made |= {Kind.LIST: Make.LIST, Kind.DICT: Make.DICT, Kind.NAMEDTUPLE: Make.NAMED}
    if kind not in made or (kind == Kind.NAMEDTUPLE and not _only_names(tree.type)):
        raise Unsuitable(f"the result is, or contains, a container of type {tree.type}")
    if kind == Kind.LEAF:
        steps.append(plan.row(Build, {Build.KIND: Make.LEAF, Build.COUNT: leaf}))
        return leaf + 1
    for part in parts:
        leaf = _steps(plan, part, steps, leaf)
    row = {Build.KIND: made[kind], Build.COUNT: len(parts)}
    if kind == Kind.NAMEDTUPLE:
        row[Build.TYPE] = plan.keep(tree.type)
    if kind == Kind.DICT:
        keys = np.array([plan.keep(k) for k in tree.entries()] or [0], np.int64)
        plan.keep(keys)
        row[Build.KEYS] = int(keys.ctypes.data)
    steps.append(plan.row(Build, row))
    return leaf


def _only_names(kind: Any) -> bool:
    """Whether a named tuple is as `collections.namedtuple` made it: nothing runs when it is."""
    code = getattr(kind.__new__, "__code__", None)
    made_here = kind.__bases__ == (tuple,) and "__init__" not in vars(kind)
    return made_here and getattr(code, "co_filename", "").startswith("<string")


__all__ = ["KEPT_SCRATCH", "STACK_ARENA", "Call", "Device", "Plan", "Unsuitable"]
