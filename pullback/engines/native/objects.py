"""Machine code that was made before: kept in this process, and on disk for the next one.

An entry on disk is found by a hash of the text, of the machine's features, and of the versions of
all that decides what the code does; it carries a hash of its own, and is used only if that fits and
the file is this user's. So a file that is cut short, or was put there by somebody else, is ignored
and written anew.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import llvmlite
import numpy as np

from . import machine

MOST_IN_MEMORY = 1024
"""Modules kept for texts that come again, some 50 kB each; code in use lives on without it."""
MOST_ON_DISK = 256 << 20
"""Bytes of the folder; the entries that were not used for longest go first."""

_MAGIC = b"pullback object 1\n"
_SETTING = "PULLBACK_CACHE_DIR"

_lock = threading.Lock()
_loaded: OrderedDict[tuple[bytes, tuple[tuple[str, int], ...], tuple[str, ...]], machine.Loaded] = (
    OrderedDict()
)
_written = 0


def loaded(text: str, symbols: Mapping[str, int], exports: Sequence[str]) -> machine.Loaded:
    """The code of a module's text in memory, its `symbols` bound to addresses.

    Equal texts with equal symbols share their code. Texts hold no address, so that the object file
    is good for any process.
    """
    digest = hashlib.sha256(text.encode()).digest()
    key = (digest, tuple(sorted(symbols.items())), tuple(exports))
    with _lock:
        found = _loaded.get(key)
        if found is not None:
            _loaded.move_to_end(key)
            return found
    made = machine.load(_object(text), symbols, exports)
    with _lock:
        _loaded[key] = made
        while len(_loaded) > MOST_IN_MEMORY:
            _loaded.popitem(last=False)
    return made


def _object(text: str) -> bytes:
    folder = cache_folder()
    if folder is None:
        return machine.assemble(text)
    path = folder / f"{_name(text)}.o"
    found = _read(path)
    if found is None:
        found = machine.assemble(text)
        _write(path, found)
    return found


# ---- the folder


def cache_folder() -> Path | None:
    """Where objects are kept: $PULLBACK_CACHE_DIR, else `pullback` in the user's cache folder.

    None if the variable is set but empty: nothing is kept then.
    """
    chosen = os.environ.get(_SETTING)
    if chosen is not None:
        return Path(chosen) if chosen else None
    base = os.environ.get("XDG_CACHE_HOME")
    home = os.path.expanduser("~")
    return (Path(base) if base else Path(home) / ".cache") / "pullback"


_CIRCUMSTANCES = "\n".join(
    [
        machine.TRIPLE,
        machine.CPU,
        machine.FEATURES,
        llvmlite.__version__,
        # Layouts of Python's and NumPy's objects are written into the entry.
        sys.version,
        np.__version__,
    ]
).encode()


def _name(text: str) -> str:
    digest = hashlib.sha256(_CIRCUMSTANCES)
    digest.update(text.encode())
    return digest.hexdigest()


def _read(path: Path) -> bytes | None:
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


def _write(path: Path, body: bytes) -> None:
    """Keep an object; a folder that cannot be written to is no reason to fail."""
    global _written
    data = _MAGIC + hashlib.sha256(body).digest() + body
    with suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Renamed when whole: other processes see all of it or nothing.
        handle, name = tempfile.mkstemp(dir=path.parent, suffix=".new")
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
    for path in folder.glob("*.o"):
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
