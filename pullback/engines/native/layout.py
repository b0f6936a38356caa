"""Where Python and NumPy keep what the entry reads, checked on examples in this very process.

The entry reads objects in memory, as code compiled against the headers of CPython and NumPy would.
Other builds of Python (free-threaded, with reference tracing, PyPy) have other layouts: there
`find` says so, and programs are called through ctypes instead.
"""

from __future__ import annotations

import ctypes
import struct
import sys
import sysconfig
from dataclasses import dataclass
from functools import cache
from typing import Any

import ml_dtypes
import numpy as np

from ...core.array import HostArray


@dataclass(frozen=True)
class Layout:
    """Offsets in bytes."""

    kind: int = 8
    """The type of any object."""
    size: int = 16
    """The number of items of a tuple or list."""
    tuple_items: int = 24
    list_items: int = 24
    """A pointer to the items of a list."""
    number: int = 16
    """The value of a Python float or complex number and of a NumPy scalar."""
    data: int = 16
    """Of a NumPy array: the pointer to its elements."""
    rank: int = 24
    dims: int = 32
    descr: int = 56
    flags: int = 64
    value: int = 0
    """Of a HostArray: the slots `_value`, `_weak` and `_aval`."""
    weak: int = 0
    aval: int = 0
    buffer: int = 0
    """Of a HostArray: the slot `_buffer`, which may be empty."""


READY = 0x101
"""The flags of a NumPy array that is C-contiguous and aligned."""


@cache
def find() -> Layout | str:
    """The layout of this process, or why the entry cannot be used in it."""
    if sys.implementation.name != "cpython":
        return f"the interpreter is {sys.implementation.name}"
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        return "this Python has no global lock"
    if struct.calcsize("P") != 8 or sys.byteorder != "little":
        return "the machine does not have little-endian words of 64 bits"
    if object.__basicsize__ != 16:
        return "objects have other heads than usual"
    slots = {name: slot(HostArray, f"_{name}") for name in ("value", "weak", "aval", "buffer")}
    found = Layout(**slots)
    for check in (_containers_fit, _numbers_fit, _arrays_fit, _host_arrays_fit):
        if not check(found):
            return f"the layout of objects is unknown ({check.__name__.strip('_')} is false)"
    return found


def word(address: int) -> int:
    """The 64 bits at `address`."""
    return ctypes.c_uint64.from_address(address).value


def slot(kind: type, name: str) -> int:
    """The offset of a slot of a class: where a new object appears when it is set; else 0."""
    x: Any = kind.__new__(kind)  # type: ignore[call-overload]
    mark = object()
    setattr(x, name, mark)
    places = range(16, kind.__basicsize__, 8)
    return next((i for i in places if word(id(x) + i) == id(mark)), 0)


def _containers_fit(layout: Layout) -> bool:
    items = [object() for _ in range(5)]
    for n in range(6):
        row, column = tuple(items[:n]), items[:n]
        start = word(id(column) + layout.list_items)
        for box, first in ((row, id(row) + layout.tuple_items), (column, start)):
            if word(id(box) + layout.kind) != id(type(box)) or word(id(box) + layout.size) != n:
                return False
            if any(word(first + 8 * i) != id(x) for i, x in enumerate(box)):
                return False
    return True


def _bytes(address: int, count: int) -> bytes:
    return ctypes.string_at(address, count)


def _numbers_fit(layout: Layout) -> bool:
    numbers: list[tuple[Any, bytes]] = [
        (1.25e300, struct.pack("<d", 1.25e300)),
        (complex(-0.3, 7e10), struct.pack("<dd", -0.3, 7e10)),
    ]
    kinds = "?bBhHiIlLqQefdFD"
    for kind in [np.dtype(k) for k in kinds] + [np.dtype(ml_dtypes.bfloat16)]:
        array = np.array([1], kind) if kind.kind == "b" else np.array([97], kind)
        if kind.kind == "c":
            array = array * kind.type(0.5 - 3j)
        numbers.append((array[0], array.tobytes()))
    return all(_bytes(id(x) + layout.number, len(data)) == data for x, data in numbers)


def _arrays_fit(layout: Layout) -> bool:
    base = np.arange(24, dtype=np.float32)
    odd = np.zeros(9, np.int8)[1:].view(np.int32)
    shapes = [base.reshape(s) for s in ((24,), (2, 12), (2, 3, 4), (1, 24, 1))]
    arrays = [np.array(3.0), np.zeros((0, 2), np.int8), np.array([True]), np.zeros(2, "F"), odd]
    for a in [*shapes, *arrays, shapes[2].T, base[::2], base[3:]]:
        at = id(a)
        ready = a.flags.c_contiguous and a.flags.aligned
        dims = word(at + layout.dims)
        found = (
            word(at + layout.kind) == id(np.ndarray)
            and word(at + layout.data) == a.ctypes.data
            and ctypes.c_int32.from_address(at + layout.rank).value == a.ndim
            and all(word(dims + 8 * i) == n for i, n in enumerate(a.shape))
            and word(at + layout.descr) == id(a.dtype)
            and (ctypes.c_int32.from_address(at + layout.flags).value & READY == READY) == ready
        )
        if not found:
            return False
    return True


def _host_arrays_fit(layout: Layout) -> bool:
    offsets = (layout.value, layout.weak, layout.aval)
    if 0 in offsets or len({*offsets, layout.buffer}) != 4:
        return False
    x = HostArray(np.ones(3), True)
    held = (x._value, x._weak, x.aval)
    right = all(word(id(x) + i) == id(y) for i, y in zip(offsets, held, strict=True))
    y = HostArray(np.float32(2))
    return (
        right and word(id(y) + layout.weak) == id(False) and word(id(y) + layout.aval) == id(None)
    )


# ---- NumPy's functions


_get_pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)


@cache
def numpy_functions() -> dict[str, int]:
    """The addresses of those functions of NumPy's C interface that the entry calls.

    Their places in the table are part of NumPy's stable binary interface.
    """
    table: int = _get_pointer(np._core._multiarray_umath._ARRAY_API, None)  # type: ignore[attr-defined]
    places = {"PyArray_CastToType": 49, "PyArray_Scalar": 60}
    places |= {"PyArray_NewCopy": 85, "PyArray_NewFromDescr": 94}
    found = {name: word(table + 8 * place) for name, place in places.items()}
    if word(table + 16) != id(np.ndarray):
        raise RuntimeError("NumPy's table of functions does not begin with its array type.")
    return found


__all__ = ["READY", "Layout", "find", "numpy_functions", "slot", "word"]
