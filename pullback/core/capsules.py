"""Capsules: the form in which Python hands pointers from one compiled library to another."""

from __future__ import annotations

import ctypes
from typing import Any

# A prototype of our own: `ctypes.pythonapi.PyCapsule_New` is shared with all who set its types.
_new = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)(
    ("PyCapsule_New", ctypes.pythonapi)
)


def capsule(address: int | ctypes.c_void_p | None, label: bytes | None = None) -> Any:
    """A pointer as a capsule. The label, which says what it points to, must live as long."""
    return _new(address, label, None)


__all__ = ["capsule"]
