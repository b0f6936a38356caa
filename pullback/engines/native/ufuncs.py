"""Machine code as functions of NumPy's own kind, which take arrays of any length.

A ufunc's loop gets addresses, lengths and strides at run time, so that it is compiled once for all
shapes. NumPy does what is around it: it broadcasts, copies what overlaps, and lets other threads
run meanwhile.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import objects

Ufunc = Callable[..., Any]

ARGUMENTS = "ptr %args, ptr %sizes, ptr %steps, ptr %data"
"""Of a loop: the operands' addresses; the number of rounds, then the lengths of the core
dimensions in the order of the signature; the operands' strides in bytes for a round, then those of
their core dimensions."""

_FROM_SIGNATURE = 31
"""The place of PyUFunc_FromFuncAndDataAndSignature in the table of NumPy's C API, which keeps its
order (numpy/__ufunc_api.h)."""
_NO_IDENTITY = -1

_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.restype, _pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]

_forever: list[Any] = []
"""What ufuncs point to. They live as long as the process."""


def ufunc(
    name: str, text: str, types: Sequence[Any], inputs: int, signature: str | None = None
) -> Ufunc:
    """The function `name` of a module's text, as a loop on operands of these dtypes.

    Args:
      name: of the function in the text.
      text: LLVM IR; the function's arguments are `ARGUMENTS`, and it returns nothing.
      types: the dtypes of the operands, the inputs first.
      inputs: how many of them are inputs.
      signature: the core dimensions, such as "(k)->(n)"; None: it works on elements.
    """
    loaded = objects.loaded(text, {}, [name])
    loops = (ctypes.c_void_p * 1)(loaded.addresses[name])
    data = (ctypes.c_void_p * 1)(None)
    numbers = bytes(np.dtype(t).num for t in types)
    strings = [numbers, name.encode(), b"", None if signature is None else signature.encode()]
    kinds, label, doc, core = strings
    make = ctypes.PYFUNCTYPE(
        ctypes.py_object,
        *(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p),
        *(ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int),
        *(ctypes.c_char_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p),
    )(_table()[_FROM_SIGNATURE])
    # NumPy keeps the addresses of the loop, of the types and of the texts.
    _forever.append((loaded, loops, data, strings))
    counts = 1, inputs, len(types) - inputs, _NO_IDENTITY
    found = make(
        *(ctypes.addressof(loops), ctypes.addressof(data), kinds), *counts, label, doc, 0, core
    )
    _forever.append(found)
    return found  # type: ignore[no-any-return]


def _table() -> Any:
    capsule = np._core._multiarray_umath._UFUNC_API  # type: ignore[attr-defined]
    return ctypes.cast(_pointer(capsule, None), ctypes.POINTER(ctypes.c_void_p))


__all__ = ["ARGUMENTS", "Ufunc", "ufunc"]
