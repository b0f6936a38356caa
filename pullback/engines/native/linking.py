"""An object file becomes code in memory, without LLVM: sections copied, addresses filled in.

For ELF objects of x86-64 on Linux, and of those for what this engine's code has: `link` gives None
for everything else. The names are those of the ELF specification and of the psABI of x86-64.
"""

from __future__ import annotations

import ctypes
import mmap
import platform
import struct
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

_FILE = struct.Struct("<16sHHIQQQIHHHHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_RELOCATION = struct.Struct("<QQq")

_IDENT = b"\x7fELF\x02\x01\x01"
_RELOCATABLE, _X86_64 = 1, 62
_PROGBITS, _SYMTAB, _RELA, _NOBITS, _REL, _UNWIND = 1, 2, 4, 8, 9, 0x70000001
_WRITE, _ALLOC, _TLS = 1, 2, 0x400
_UNDEFINED, _FIRST_RESERVED = 0, 0xFF00
_IN_OBJECTS = (0, 1, 2, 3)
"""Kinds of symbols: without one, data, function, section. Not: thread-local, chosen at run time."""
_WORD, _PC32, _PLT32, _PC64 = 1, 2, 4, 24
"""Relocations: a word of 64 bits; distances of 32 and 64 bits."""

_PAGE = mmap.PAGESIZE


class Linked(NamedTuple):
    """Code in memory, which is there as long as `memory` is."""

    memory: Any
    addresses: dict[str, int]


class _Unknown(Exception):
    """The object has something that is not known here."""


@dataclass(slots=True)
class _Section:
    kind: int
    flags: int
    at: int
    """Of its bytes in the file."""
    size: int
    link: int
    info: int
    align: int
    place: int = -1
    """In memory, from the start; -1: not there."""


def link(image: bytes, symbols: Mapping[str, int], exports: Sequence[str]) -> Linked | None:
    """The object in memory, its `symbols` bound to addresses; `exports` are looked up.

    What is not in `symbols` is looked up in this process. None where the object, the system or a
    symbol is unknown.
    """
    if not _here():
        return None
    try:
        return _link(image, symbols, exports)
    except (_Unknown, struct.error, IndexError, OSError):
        return None


@cache
def _here() -> bool:
    return sys.platform == "linux" and platform.machine() == "x86_64" and sys.maxsize > 1 << 32


def _link(image: bytes, symbols: Mapping[str, int], exports: Sequence[str]) -> Linked:
    sections = _sections(image)
    fixed, size = _placed(sections)
    memory = mmap.mmap(-1, max(size, 1), mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    base = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    for s in sections:
        if s.place >= 0 and s.kind == _PROGBITS:
            memory[s.place : s.place + s.size] = image[s.at : s.at + s.size]
    names, values = _symbols(image, sections, base, symbols)
    for s in sections:
        if s.kind == _RELA and sections[s.info].place >= 0:
            _relocate(image, s, sections[s.info], memory, base, values)
    addresses = {name: names[name] for name in exports if name in names}
    if len(addresses) < len(set(exports)):
        raise _Unknown
    if fixed and _mprotect(base, fixed, mmap.PROT_READ | mmap.PROT_EXEC):
        raise _Unknown
    return Linked(memory, addresses)


def _sections(image: bytes) -> list[_Section]:
    ident, kind, processor, _, _, _, at, _, _, _, _, size, count, _ = _FILE.unpack_from(image)
    if ident[: len(_IDENT)] != _IDENT or (kind, processor) != (_RELOCATABLE, _X86_64):
        raise _Unknown
    if size != _SECTION.size:
        raise _Unknown
    found = []
    for i in range(count):
        _, kind, flags, _, start, length, link, info, align, _ = _SECTION.unpack_from(
            image, at + i * size
        )
        if kind != _NOBITS and start + length > len(image):
            raise _Unknown
        found.append(_Section(kind, flags, start, length, link, info, align))
    return found


def _placed(sections: list[_Section]) -> tuple[int, int]:
    """Decide where the sections go: first what does not change, then, on pages of its own, what
    does. How many bytes the former takes, and both."""
    at, ends = 0, []
    for changing in (False, True):
        for s in sections:
            if not s.flags & _ALLOC or s.kind == _UNWIND or bool(s.flags & _WRITE) != changing:
                continue
            if s.kind not in (_PROGBITS, _NOBITS) or s.flags & _TLS or s.align > _PAGE:
                raise _Unknown
            s.place = -(-at // max(s.align, 1)) * max(s.align, 1)
            at = s.place + s.size
        at = -(-at // _PAGE) * _PAGE
        ends.append(at)
    return ends[0], ends[1]


def _symbols(
    image: bytes, sections: list[_Section], base: int, known: Mapping[str, int]
) -> tuple[dict[str, int], list[int | None]]:
    """The addresses of the object's symbols, by name and by number; None for the first, and for
    those of sections that are not in memory."""
    tables = [s for s in sections if s.kind == _SYMTAB]
    if len(tables) != 1:
        raise _Unknown
    table, names = tables[0], {}
    strings = sections[table.link]
    values: list[int | None] = []
    for fields in _SYMBOL.iter_unpack(image[table.at : table.at + table.size]):
        start, info, _, section, value, _ = fields
        at = strings.at + start
        name = image[at : image.index(b"\0", at)].decode() if start else ""
        if section == _UNDEFINED:
            values.append(_outside(name, known) if name else None)
            continue
        if section >= _FIRST_RESERVED:  # names of files, and what is not known here
            values.append(None)
            continue
        if info & 15 not in _IN_OBJECTS:
            raise _Unknown
        place = sections[section].place
        values.append(base + place + value if place >= 0 else None)
        if name and place >= 0:
            names[name] = base + place + value
    return names, values


def _outside(name: str, known: Mapping[str, int]) -> int:
    found = known.get(name)
    return _in_process(name) if found is None else found


@cache
def _in_process(name: str) -> int:
    """The address of a function of the C library, or of what else this process has loaded."""
    try:
        function = getattr(_process(), name)
    except AttributeError:
        raise _Unknown from None
    return ctypes.cast(function, ctypes.c_void_p).value or 0


@cache
def _process() -> Any:
    return ctypes.CDLL(None)


def _relocate(
    image: bytes,
    table: _Section,
    target: _Section,
    memory: mmap.mmap,
    base: int,
    values: list[int | None],
) -> None:
    for offset, info, addend in _RELOCATION.iter_unpack(image[table.at : table.at + table.size]):
        kind, value = info & 0xFFFFFFFF, values[info >> 32]
        wide = kind in (_WORD, _PC64)
        if value is None or offset + (8 if wide else 4) > target.size:
            raise _Unknown
        at = target.place + offset
        value += addend
        if kind == _WORD:
            struct.pack_into("<Q", memory, at, value & 0xFFFFFFFFFFFFFFFF)
        elif kind in (_PC32, _PLT32, _PC64):
            # struct refuses a distance that does not fit.
            struct.pack_into("<q" if wide else "<i", memory, at, value - base - at)
        else:
            raise _Unknown


def _mprotect(address: int, size: int, how: int) -> int:
    function = _process().mprotect
    function.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    return int(function(address, size, how))


__all__ = ["Linked", "link"]
