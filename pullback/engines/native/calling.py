"""Kernels called through ctypes: NumPy arrays in and out, about 5 us a call.

This is how a program runs the first time, inside other programs, and where the entry cannot be.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...core.errors import JaxRuntimeError, error
from ...core.types import ArrayType
from .kernel import Kernel

_Holding = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
_Releasing = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
_ALIGN = 64


def function(kernel: Kernel) -> Callable[..., tuple[Any, ...]]:
    """`kernel` as a function of the values of its inputs, which NumPy holds.

    It takes arrays of the kernel's types, in any memory layout, and numbers for those of rank 0.
    It raises TypeError for others, and what `failed` says if the kernel fails.
    """
    call = (_Releasing if kernel.releases_gil else _Holding)(kernel.address)
    in_types, out_types = list(kernel.in_types), list(kernel.out_types)
    fail = failed(kernel)
    room = kernel.arena + _ALIGN

    def run(*values: Any) -> tuple[Any, ...]:
        ins = [_ready(x, t) for x, t in zip(values, in_types, strict=True)]
        outs = [np.empty(t.shape, t.dtype) for t in out_types]
        arena = np.empty(room, np.uint8)
        start = -(-_address(arena) // _ALIGN) * _ALIGN
        status = call(_pointers(ins), _pointers(outs), start)
        if status:
            fail(status)
        return tuple([y if y.ndim or y.dtype.names else y[()] for y in outs])

    run.kernel = kernel  # type: ignore[attr-defined]  # the code lives as long as the function
    return run


def failed(kernel: Kernel) -> Callable[[int], None]:
    """A function that raises what a code other than 0 means."""
    errors = kernel.errors

    def fail(status: int) -> None:
        raise error(
            JaxRuntimeError,
            f"a compiled program failed: {errors.get(status, 'for an unknown reason')}.",
            got=f"code {status}",
            fix="run it with engine='numpy' to see the operation that fails.",
        )

    return fail


def _ready(x: Any, t: ArrayType) -> np.ndarray:
    array = np.asarray(x)
    if array.dtype != t.dtype or array.shape != t.shape:
        raise TypeError(f"a compiled program for {t} was given {array.dtype}{list(array.shape)}.")
    flags = array.flags
    if not (flags.c_contiguous and flags.aligned):
        array = np.array(array, order="C")
    return array


def _address(array: np.ndarray) -> int:
    return int(array.ctypes.data)


def _pointers(arrays: Sequence[np.ndarray]) -> Any:
    return (ctypes.c_void_p * len(arrays))(*[_address(a) for a in arrays])


__all__ = ["failed", "function"]
