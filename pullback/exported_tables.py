"""Tables of FlatBuffers, the form of JAX's exported files: a schema, and values from and to bytes.

The package flatbuffers, of which every other program that reads such files makes use, lays out the
bytes. It checks nothing when it reads, so each length is compared here with what there is.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

from .core.lazy import lazy

flatbuffers = lazy("flatbuffers")
tables = lazy("flatbuffers.table")

_SCALARS = {"int8": "<b", "uint16": "<H", "uint32": "<I", "bool": "<?"}
_LISTS = {"bytes": ("<B", 1), "uint16s": ("<H", 2), "uint32s": ("<I", 4)}

Kind = Any
"""Of a field: the name of a number or of a list of numbers, "text", a Table; `(kind,)` for many."""


class Table:
    """A kind of table: its fields in the order of the schema, None where one is not used."""

    def __init__(self, **fields: Kind) -> None:
        self.fields = fields

    def of(self, **fields: Kind) -> Table:
        """The same, with further fields, which may be of this table's own kind."""
        self.fields |= fields
        return self


class Malformed(Exception):
    """Bytes that are not what the schema says; the message says why."""


# ---- to bytes


def to_bytes(kind: Table, values: Mapping[str, Any]) -> bytes:
    """A table as a file."""
    builder = flatbuffers.Builder(1024)
    builder.Finish(_put_table(builder, kind, values))
    return bytes(builder.Output())


def _put_table(builder: Any, kind: Table, values: Mapping[str, Any]) -> int:
    # What a table refers to has to be there before the table begins.
    held = {
        name: value if kind.fields[name] in _SCALARS else _put(builder, kind.fields[name], value)
        for name, value in values.items()
        if value is not None
    }
    slots = {name: slot for slot, name in enumerate(kind.fields)}
    builder.StartObject(len(slots))
    for name, value in held.items():
        field = kind.fields[name]
        if field in _SCALARS:
            getattr(builder, f"Prepend{field.title()}Slot")(slots[name], value, 0)
        else:
            builder.PrependUOffsetTRelativeSlot(slots[name], value, 0)
    return int(builder.EndObject())


def _put(builder: Any, kind: Kind, value: Any) -> int:
    if kind == "text":
        return int(builder.CreateString(value))
    if kind == "bytes":
        return int(builder.CreateByteVector(value))
    if isinstance(kind, Table):
        return _put_table(builder, kind, value)
    if isinstance(kind, tuple):
        offsets, width = [_put(builder, kind[0], v) for v in value], 4
        prepend = builder.PrependUOffsetTRelative
    else:
        offsets, width = list(value), _LISTS[kind][1]
        prepend = getattr(builder, f"Prepend{kind[:-1].title()}")
    builder.StartVector(width, len(offsets), width)
    for x in reversed(offsets):
        prepend(x)
    return int(builder.EndVector())


# ---- from bytes


def from_bytes(kind: Table, data: bytes) -> dict[str, Any]:
    """The values of a file that begins with a table; zeros and empty lists where it has none.

    Raises:
      Malformed: the bytes are something else.
    """
    try:
        return _Reader(data).table(kind, struct.unpack_from("<I", data)[0])
    except (struct.error, UnicodeDecodeError, RecursionError, OverflowError) as cause:
        raise Malformed(f"{type(cause).__name__}: {cause}") from None


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.left = len(data) // 4
        """How many parts there can be: each has 4 bytes or more. More are the same ones again and
        again, and could be so many that reading would not end."""

    def table(self, kind: Table, at: int) -> dict[str, Any]:
        self._count(1)
        if not 4 <= at <= len(self.data) - 4:
            raise Malformed(f"a table at byte {at} of {len(self.data)}")
        table = tables.Table(self.data, at)
        found = {}
        for slot, (name, field) in enumerate(kind.fields.items()):
            if field is not None:
                offset = table.Offset(4 + 2 * slot)
                found[name] = self.value(field, at + offset) if offset else _nothing(field)
        return found

    def value(self, kind: Kind, at: int) -> Any:
        if kind in _SCALARS:
            return struct.unpack_from(_SCALARS[kind], self.data, at)[0]
        at += struct.unpack_from("<I", self.data, at)[0]
        if isinstance(kind, Table):
            return self.table(kind, at)
        if isinstance(kind, tuple):
            start, n = self._list(at, 4)
            return [self.value(kind[0], start + 4 * i) for i in range(n)]
        code, width = ("<B", 1) if kind == "text" else _LISTS[kind]
        start, n = self._list(at, width)
        held = self.data[start : start + n * width]
        if kind == "text":
            return held.decode()
        return held if kind == "bytes" else [x for (x,) in struct.iter_unpack(code, held)]

    def _list(self, at: int, width: int) -> tuple[int, int]:
        n = struct.unpack_from("<I", self.data, at)[0]
        if at + 4 + n * width > len(self.data):
            raise Malformed(f"a list of {n} at byte {at} of {len(self.data)}")
        self._count(1 if width == 1 else n)
        return at + 4, n

    def _count(self, n: int) -> None:
        self.left -= n
        if self.left < 0:
            raise Malformed("parts that are used several times")


def _nothing(kind: Kind) -> Any:
    if kind in _SCALARS:
        return 0
    if isinstance(kind, Table) or kind == "text":
        return None
    return b"" if kind == "bytes" else []


__all__ = ["Malformed", "Table", "from_bytes", "to_bytes"]
