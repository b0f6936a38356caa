"""Executables that were made before, on disk: what XLA takes 0.1 s and more to make again.

The folder, and what makes a file in it trusted, are those of the native engine's cache. A file is
found by a hash of the text, the options, jaxlib's version and the processor. A program that calls
Python is never kept: what it calls is of this process.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable

from ..native import objects

SUFFIX = objects.EXECUTABLE
"""What names of files end in."""


def name_of(text: str, *circumstances: bytes) -> str:
    """The name of the file for what is made of a text under these circumstances."""
    machine = objects.processor() or f"{platform.machine()} {platform.processor()}"
    digest = hashlib.sha256()
    for part in (machine.encode(), *circumstances, text.encode()):
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()


def found(name: str) -> bytes | None:
    """The executable of this name; None if there is none that can be trusted."""
    folder = objects.cache_folder()
    return None if folder is None else objects.read(folder / (name + SUFFIX))


def keep(name: str, made: Callable[[], bytes]) -> None:
    """Have an executable for the next process, if executables are kept at all."""
    folder = objects.cache_folder()
    if folder is not None:
        objects.write(folder / (name + SUFFIX), made())


__all__ = ["SUFFIX", "found", "keep", "name_of"]
