"""Kernels that an earlier process has made: found on disk by what the program is, and run at once.

Neither LLVM nor the lowering is imported then. Beside the machine code an entry has what a caller
must know of it, the constants that it reads, and how each of its symbols is bound: to functions of
other entries, to threads, or to functions of BLAS and LAPACK. A program whose code calls anything
else of this process is not kept; its machine code still is (`objects`).
"""

from __future__ import annotations

import gc
import json
import os
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ...core.lazy import lazy
from ...core.program import ClosedProgram
from ...transforms.simplify import simplify
from . import objects, threads
from .kernel import Kernel
from .report import Report
from .signature import MOST_BYTES, Unnamed, signature

program = lazy("pullback.engines.native.program")
symbols = lazy("pullback.engines.native.symbols")

_SWITCH = "PULLBACK_KEEPS_PROGRAMS"
"""An environment variable: with the value 0, machine code alone is kept, and programs are written
anew in each process. That is for tests, which change how they are written."""

_SHARES = ("pullback_share", "pullback_alone")
_LIBRARIES = ("blas", "lapack")
_LEVEL = 1
"""Of the compression of the text, which is only to be read: the quickest."""


def compile_program(closed: ClosedProgram) -> Kernel:
    """The kernel of a program: from disk, if it is there, else a new one, which is kept there.

    Raises:
      Unsupported: (of `program`) the program has something that this engine has no code for.
    """
    simple = simplify(closed)
    path, large = _place(simple)
    if path is None:
        with _no_collections():
            return program.compile_simplified(simple, closed)  # type: ignore[no-any-return]
    entry = objects.read(path)
    kernel = None if entry is None else _unpacked(entry, closed, large)
    if kernel is None:
        code: list[bytes] = []
        with _no_collections():
            kernel = program.compile_simplified(simple, closed, code)
        if code:  # else another caller has had it, without asking for it
            _keep(path, kernel, code[0], large)
    return kernel


@contextmanager
def _no_collections() -> Iterator[None]:
    """Leave cycles of objects alone for a while: to look for them, among all that a process has, is
    a twentieth of the time that a program takes, whose objects are needed to its end."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _place(simple: ClosedProgram) -> tuple[Path | None, list[np.ndarray]]:
    """Where the kernel of a program is kept (None: it is not), and its large constants."""
    folder = objects.cache_folder()
    if folder is None or os.environ.get(_SWITCH) == "0":
        return None, []
    try:
        text, large = signature(simple)
    except Unnamed:
        return None, []
    return folder / (objects.name_of(text, sources()) + objects.KERNEL), large


_FOLDERS = ("core", "ops", "transforms", "control", "engines")
"""Of this package: all that decides which code is made of a program."""


@cache
def sources() -> bytes:
    """What changes when this package does.

    For an installed one, the time of its installation; for one that is worked on, the times and
    sizes of all files that decide what code is made.
    """
    package = Path(__file__).parents[2]
    files: Iterable[str] = (str(package), str(package / "__init__.py"), __file__)
    if not {"site-packages", "dist-packages"} & set(package.parts):
        files = [path for name in _FOLDERS for path in _files(str(package / name))]
    marks = []
    for path in files:
        status = os.stat(path)
        marks.append(f"{path} {status.st_mtime_ns} {status.st_size}")
    return "\n".join(marks).encode()


def _files(folder: str) -> Iterable[str]:
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda e: e.name):
            if entry.name.endswith(".py"):
                yield entry.path
            elif "." not in entry.name and entry.name != "__pycache__" and entry.is_dir():
                yield from _files(entry.path)


# ---- an entry


class _Foreign(Exception):
    """A symbol has no meaning in another process."""


def _keep(path: Path, kernel: Kernel, code: bytes, large: list[np.ndarray]) -> None:
    """Write the entry of a new kernel, if another process could use it."""
    origin = objects.origin(kernel.address)
    if origin is None or kernel.errors:
        return
    table: dict[str, Any] = {}
    try:
        how = {name: _how(name, at, table) for name, at in origin.symbols.items()}
    except _Foreign:
        return
    given = {x.ctypes.data: k for k, x in enumerate(large)}
    places = [given.get(x.ctypes.data, -1) for x in kernel.constants]
    small = [x for x, k in zip(kernel.constants, places, strict=True) if k < 0]
    if sum(x.nbytes for x in small) > MOST_BYTES:
        return
    text = zlib.compress(kernel.text.encode(), _LEVEL)
    blobs = [code, text, *[x.tobytes() for x in small]]
    head = {
        "symbols": how,
        "objects": table,
        "constants": places,
        "arena": kernel.arena,
        "releases": kernel.releases_gil,
        "lines": kernel.report.lines,
        "work": kernel.report.work,
        "blobs": [len(b) for b in blobs],
    }
    start = json.dumps(head).encode()
    objects.write(path, b"".join([len(start).to_bytes(4, "little"), start, *blobs]))


def _how(name: str, address: int, table: dict[str, Any]) -> str:
    """How a symbol is bound again; what that needs besides is added to `table`."""
    if name.startswith("const_"):
        return "constant"
    if name in _SHARES:
        return "threads"
    if name.startswith(_LIBRARIES) and _in_library(name) == address:
        return "library"
    origin = objects.origin(address)
    if origin is None or name not in origin.exports:
        raise _Foreign(name)
    if origin.name not in table:
        inner = {n: _how(n, at, table) for n, at in origin.symbols.items()}
        table[origin.name] = [inner, list(origin.exports)]
    return origin.name


def _in_library(name: str) -> int | None:
    try:
        return int(symbols.resolve(name))
    except (LookupError, AttributeError):
        return None


def _unpacked(entry: bytes, closed: ClosedProgram, large: list[np.ndarray]) -> Kernel | None:
    """The kernel of an entry that was found intact; None if something that it needs is gone."""
    start = 4 + int.from_bytes(entry[:4], "little")
    head = json.loads(entry[4:start])
    blobs = []
    for size in head["blobs"]:
        blobs.append(entry[start : start + size])
        start += size
    small = (np.frombuffer(bytearray(b), np.uint8) for b in blobs[2:])
    constants = [next(small) if k < 0 else large[k] for k in head["constants"]]
    binding = _Binding(head["objects"], constants)
    addresses = binding.addresses(head["symbols"])
    if addresses is None:
        return None
    code = objects.load(blobs[0], "", addresses, ["kernel"])
    report = Report()
    report.lines, report.work, report.arena = head["lines"], head["work"], head["arena"]
    return Kernel(
        address=code.addresses["kernel"],
        arena=head["arena"],
        in_types=list(closed.in_avals),
        out_types=list(closed.out_avals),
        releases_gil=head["releases"],
        report=report,
        written=lambda: zlib.decompress(blobs[1]).decode(),
        keeps=(code, binding.used),
        constants=constants,
    )


class _Binding:
    """Binds the symbols of one kernel, and keeps what they stand for."""

    def __init__(self, table: dict[str, Any], constants: list[np.ndarray]) -> None:
        self.table, self.constants = table, constants
        self.used: list[Any] = [constants]

    def addresses(self, how: dict[str, str]) -> dict[str, int] | None:
        """Where symbols are; None if an object that one of them is in is gone."""
        found = {symbol: self._address(symbol, way) for symbol, way in how.items()}
        return None if None in found.values() else found  # type: ignore[return-value]

    def _address(self, symbol: str, way: str) -> int | None:
        if way == "constant":
            return int(self.constants[int(symbol.rpartition("_")[2])].ctypes.data)
        if way == "threads":
            return int(threads.address(symbol))
        if way == "library":
            return _in_library(symbol)
        inner, exports = self.table[way]
        addresses = self.addresses(inner)
        found = None if addresses is None else objects.again(way, addresses, exports)
        self.used.append(found)
        return None if found is None else found.addresses[symbol]


# Found out with the import, so that the first call need not (1 ms where the package is worked on).
objects.processor()
objects.llvm_version()
sources()

__all__ = ["compile_program", "sources"]
