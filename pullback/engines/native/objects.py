"""Machine code that was made before: kept in this process, and on disk for the next one.

An entry on disk is found by a hash of the text, of the machine's features, and of the versions of
all that decides what the code does; it carries a hash of its own, and is used only if that fits and
the file is this user's. So a file that is cut short, or was put there by somebody else, is ignored
and written anew. Nothing here needs LLVM, as long as what is asked for is there.
"""

from __future__ import annotations

import hashlib
import os
import platform
import sys
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from importlib import util
from pathlib import Path
from typing import NamedTuple
from weakref import WeakValueDictionary

import numpy as np

from ...core.settings import values
from . import machine

MOST_IN_MEMORY = 1024
"""Modules kept for texts that come again, some 50 kB each; code in use lives on without it."""
MOST_ON_DISK = 256 << 20
"""Bytes of the folder; the entries that were not used for longest go first."""

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
_MAGIC = b"pullback object 2\n"
_SETTING = "PULLBACK_CACHE_DIR"

OBJECT, KERNEL, EXECUTABLE = ".o", ".kernel", ".xla"
"""What names of files end in: machine code alone; a whole kernel, for `stored`; what XLA made."""


class Origin(NamedTuple):
    """What code was loaded from."""

    name: str
    """Of the object on disk."""
    symbols: dict[str, int]
    exports: tuple[str, ...]


_lock = threading.Lock()
_loaded: OrderedDict[tuple[bytes, tuple[tuple[str, int], ...], tuple[str, ...]], machine.Loaded] = (
    OrderedDict()
)
_by_address: WeakValueDictionary[int, machine.Loaded] = WeakValueDictionary()
_by_name: WeakValueDictionary[str, machine.Loaded] = WeakValueDictionary()
_written = 0


def loaded(
    text: str,
    symbols: Mapping[str, int],
    exports: Sequence[str],
    code: list[bytes] | None = None,
) -> machine.Loaded:
    """The code of a module's text in memory, its `symbols` bound to addresses.

    Equal texts with equal symbols share their code. Texts hold no address, so that the object file
    is good for any process.

    Args:
      code: gets the object file, which is not kept on disk then.
    """
    digest = hashlib.sha256(text.encode()).digest()
    key = (digest, tuple(sorted(symbols.items())), tuple(exports))
    with _lock:
        found = _loaded.get(key)
        if found is not None:
            _loaded.move_to_end(key)
            if code is not None and found.code is not None:
                code.append(found.code)
            return found
    name = name_of(text)
    if code is None:
        made = load(_object(text, name), name, symbols, exports)
    else:
        code.append(machine.assemble(text))
        made = load(code[0], name, symbols, exports)
        made.code = code[0]
    with _lock:
        _loaded[key] = made
        while len(_loaded) > MOST_IN_MEMORY:
            _loaded.popitem(last=False)
    return made


def again(name: str, symbols: Mapping[str, int], exports: Sequence[str]) -> machine.Loaded | None:
    """The code of an object that an earlier process left on disk, by its name; None if it is gone.

    It is the same code as that of `loaded` with the text that the name was made of.
    """
    found = _by_name.get(name)
    if found is not None and found.origin == Origin(name, dict(symbols), tuple(exports)):
        return found
    folder = cache_folder()
    code = None if folder is None else read(folder / (name + OBJECT))
    return None if code is None else load(code, name, symbols, exports)


def load(
    code: bytes, name: str, symbols: Mapping[str, int], exports: Sequence[str]
) -> machine.Loaded:
    """An object in memory, which `origin` finds by the addresses of what it exports."""
    made = machine.load(code, symbols, exports)
    made.origin = Origin(name, dict(symbols), tuple(exports))
    with _lock:
        _by_name[name] = made
        for address in made.addresses.values():
            _by_address[address] = made
    return made


def origin(address: int) -> Origin | None:
    """What the function at this address was loaded from, if that was done here."""
    found = _by_address.get(address)
    return None if found is None else found.origin


def _object(text: str, name: str) -> bytes:
    folder = cache_folder()
    if folder is None:
        return machine.assemble(text)
    path = folder / (name + OBJECT)
    found = read(path)
    if found is None:
        found = machine.assemble(text)
        write(path, found)
    return found


# ---- the folder


def cache_folder() -> Path | None:
    """Where objects are kept: as the setting `jax_compilation_cache_dir` says, or the variable
    $PULLBACK_CACHE_DIR, else `pullback` in the user's cache folder.

    None if the variable is set but empty, or if `jax_enable_compilation_cache` is off: nothing is
    kept then. An address of a store elsewhere (`gs://...`) is no folder, and is not looked at.
    """
    if not values.jax_enable_compilation_cache:
        return None
    folder = values.jax_compilation_cache_dir
    if folder and "://" not in str(folder):
        return Path(folder)
    chosen = os.environ.get(_SETTING)
    if chosen is not None:
        return Path(chosen) if chosen else None
    base = os.environ.get("XDG_CACHE_HOME")
    home = os.path.expanduser("~")
    return (Path(base) if base else Path(home) / ".cache") / "pullback"


def name_of(text: str, *more: bytes) -> str:
    """The name of a file for what is made of a text here and now, and of nothing else."""
    digest = hashlib.sha256(circumstances())
    for part in more:
        digest.update(part)
    digest.update(text.encode())
    return digest.hexdigest()


@cache
def circumstances() -> bytes:
    """Whatever decides what code is made of a text, and whether it is right here."""
    # Layouts of Python's and NumPy's objects are written into the entry.
    known = processor() or "\n".join([machine.TRIPLE, machine.CPU, machine.FEATURES])
    versions = [known, llvm_version(), sys.version, np.__version__]
    return "\n".join(versions).encode()


_PROCESSOR = Path("/proc/cpuinfo")
_LASTING = (
    *("vendor_id", "cpu family", "model", "model name", "stepping", "flags"),
    *("CPU implementer", "CPU architecture", "CPU variant", "CPU part", "CPU revision", "Features"),
)
"""What the file says that is the same whenever it is read: not the present frequency."""


@cache
def processor() -> str:
    """What the processor is, and which instructions it has; empty if Linux does not say it."""
    try:
        with _PROCESSOR.open() as file:
            first = file.read(1 << 14).partition("\n\n")[0]
    except OSError:
        first = ""
    pairs = dict(line.split("\t", 1) for line in first.splitlines() if "\t" in line)
    if "flags" in pairs or "Features" in pairs:
        return "\n".join([sys.platform, platform.machine(), *[pairs.get(k, "") for k in _LASTING]])
    return ""


@cache
def llvm_version() -> str:
    """Which llvmlite is installed: by the time and size of its files, without an import."""
    spec = util.find_spec("llvmlite")
    if spec is None or spec.origin is None:
        return ""
    status = [os.stat(Path(spec.origin).with_name(n)) for n in ("__init__.py", "_version.py")]
    return str([(spec.origin, s.st_mtime_ns, s.st_size) for s in status])


def read(path: Path) -> bytes | None:
    """The object in a file; None if there is none that can be trusted."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if hasattr(os, "getuid") and (status.st_uid != os.getuid() or status.st_mode & 0o022):
                return None
            data = file.read()
        os.utime(path)
    except OSError:
        return None
    body = data[len(_MAGIC) + 32 :]
    if data[: len(_MAGIC)] != _MAGIC:
        return None
    return body if data[len(_MAGIC) : len(_MAGIC) + 32] == hashlib.sha256(body).digest() else None


def write(path: Path, body: bytes) -> None:
    """Keep an object; a folder that cannot be written to is no reason to fail."""
    global _written
    data = _MAGIC + hashlib.sha256(body).digest() + body
    with suppress(OSError):
        # Renamed when whole: other processes see all of it or nothing.
        name = f"{path}.{os.getpid()}.{threading.get_ident()}.new"
        try:
            handle = os.open(name, _NEW, 0o600)
        except FileNotFoundError:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(name, _NEW, 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            os.replace(name, path)
        except OSError:
            os.unlink(name)
            raise
        _written += len(data)
        if _written > MOST_ON_DISK >> 4:
            _written = 0
            prune(path.parent)


def prune(folder: Path, most: int = MOST_ON_DISK) -> None:
    """Delete the entries that were not used for longest, until `most` bytes are left."""
    entries = []
    for path in [p for end in (OBJECT, KERNEL, EXECUTABLE) for p in folder.glob(f"*{end}")]:
        with suppress(OSError):
            status = path.stat()
            entries.append((status.st_mtime, status.st_size, path))
    total = sum(size for _, size, _ in entries)
    for _, size, path in sorted(entries):
        if total <= most:
            break
        with suppress(OSError):
            path.unlink()
            total -= size
