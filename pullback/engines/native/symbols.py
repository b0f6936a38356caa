"""Functions of BLAS and LAPACK by their addresses: those that SciPy offers to Cython.

They are loaded when a program first needs one: that takes 0.1 to 0.5 s.
"""

from __future__ import annotations

import ctypes
from functools import lru_cache

from ...core.lazy import lazy

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
    """The address of `blas_dgemm` or `lapack_zpotrf`, whose arguments are all pointers.

    Integers are of 32 bits. The functions live as long as the process.

    Raises:
      KeyError: SciPy has no such function.
    """
    library, _, routine = name.partition("_")
    capsule = _MODULES[library].__pyx_capi__[routine]
    address = _pointer(capsule, _name(capsule))
    assert address is not None
    return address
