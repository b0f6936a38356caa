"""Functions that kernels call, by name: the addresses of BLAS, LAPACK and our own maths.

SciPy's pointers for Cython are loaded when a program first needs one: that takes 0.1 to 0.5 s.
"""

from __future__ import annotations

import ctypes
from functools import lru_cache

from ...core.lazy import lazy
from .maths import library
from .rules import blas

_MODULES = {
    "blas": lazy("scipy.linalg.cython_blas"),
    "lapack": lazy("scipy.linalg.cython_lapack"),
}

_name = ctypes.pythonapi.PyCapsule_GetName
_name.restype, _name.argtypes = ctypes.c_char_p, [ctypes.py_object]
_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.restype, _pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]


@lru_cache(maxsize=512)
def resolve(name: str) -> int:
    """The address of a function, which lives as long as the process.

    `blas_dgemm` or `lapack_zpotrf`: SciPy's, whose arguments are all pointers, integers of 32 bits.
    `blas64_dgemm`: that of the library NumPy has loaded. `pb_exp_f32x8`: ours.

    Raises:
      LookupError: there is no such function in this process.
    """
    origin, _, routine = name.partition("_")
    if origin in ("blas64", "blas32"):
        return blas.resolve(name)
    if origin == "pb":
        return _of_our_own(name)
    capsule = _MODULES[origin].__pyx_capi__[routine]
    address = _pointer(capsule, _name(capsule))
    assert address is not None
    return address


def _of_our_own(name: str) -> int:
    stem, _, kind = name.removeprefix("pb_").rpartition("_f")
    bits, _, width = kind.partition("x")
    if not (bits.isdigit() and (not width or width.isdigit())):
        raise LookupError(f"{name} is not the name of a function")
    return library.function(stem, int(bits), int(width or 0))[1]
