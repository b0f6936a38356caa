"""Kernels under watch: for tests of this engine, and for whoever suspects it.

A checked call runs the kernel twice, with other bytes in all memory that it has no business to
read, and compares. So it finds code that reads what it has not written, writes outside of its
arrays or to its inputs, or gives NaNs where none went in.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...core.errors import JaxRuntimeError, error
from ...core.types import ArrayType
from .calling import failed
from .kernel import Kernel

GUARD = 4096
"""Bytes before and after each array that must stay as they are."""
FILLS = (0xA5, 0x5A)
_ALIGN = 64


class Fenced:
    """Memory for `count` bytes between two guards.

    It is aligned to 64 bytes for scratch memory, and to `align` and no more for arrays, since NumPy
    promises no more.
    """

    def __init__(self, count: int, fill: int, align: int = _ALIGN) -> None:
        self.count, self.fill = count, fill
        self._whole = np.full(count + 2 * GUARD + 2 * _ALIGN, fill, np.uint8)
        base = int(self._whole.ctypes.data)
        self._start = -(-(base + GUARD) // _ALIGN) * _ALIGN - base
        if align < _ALIGN:
            self._start += align
        self.bytes = self._whole[self._start : self._start + count]

    @property
    def address(self) -> int:
        """Of the first byte."""
        return int(self.bytes.ctypes.data)

    def intact(self) -> bool:
        """Whether nothing was written outside."""
        before, after = self._whole[: self._start], self._whole[self._start + self.count :]
        return bool((before == self.fill).all() and (after == self.fill).all())


def checked(kernel: Kernel, finite: bool = False) -> Callable[..., tuple[Any, ...]]:
    """`kernel` as a function of NumPy arrays, as `calling.function` makes it, but watched.

    Args:
      kernel: what `compile_program` gives.
      finite: also refuse results with NaNs where no input has one.

    Raises:
      JaxRuntimeError: at the call: the kernel wrote outside of its arrays, changed an input, read
        memory that it had not written, or (`finite`) made a NaN.
    """
    call = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)(
        kernel.address
    )
    fail = failed(kernel)

    def run(*values: Any) -> tuple[Any, ...]:
        found = []
        for fill in FILLS:
            ins = [_fenced_input(x, t, fill) for x, t in zip(values, kernel.in_types, strict=True)]
            given = [f.bytes.copy() for f in ins]
            outs = [_fenced(t, fill) for t in kernel.out_types]
            arena = Fenced(kernel.arena, fill)
            status = call(_addresses(ins), _addresses(outs), arena.address)
            if status:
                fail(status)
            _check_fences(ins, given, outs, arena)
            found.append([f.bytes for f in outs])
        arrays = [
            np.array(b.view(t.dtype).reshape(t.shape))
            for b, t in zip(found[0], kernel.out_types, strict=True)
        ]
        for k, (first, second) in enumerate(zip(*found, strict=True)):
            if not np.array_equal(first, second):
                raise _wrong(f"result {k} depends on memory that was never written")
        if finite:
            _check_finite(values, arrays)
        return tuple([y if y.ndim or y.dtype.names else y[()] for y in arrays])

    return run


def _fenced(t: ArrayType, fill: int) -> Fenced:
    return Fenced(t.size * t.dtype.itemsize, fill, max(t.dtype.alignment, 1))


def _fenced_input(x: Any, t: ArrayType, fill: int) -> Fenced:
    array = np.ascontiguousarray(np.asarray(x, t.dtype))
    if array.size != t.size:
        raise TypeError(f"a compiled program for {t} was given {array.dtype}{list(array.shape)}.")
    fenced = _fenced(t, fill)
    fenced.bytes[:] = array.reshape(-1).view(np.uint8)
    return fenced


def _addresses(fenced: Sequence[Fenced]) -> Any:
    return (ctypes.c_void_p * max(len(fenced), 1))(*[f.address for f in fenced])


def _check_fences(
    ins: Sequence[Fenced], given: Sequence[np.ndarray], outs: Sequence[Fenced], arena: Fenced
) -> None:
    for k, (fenced, before) in enumerate(zip(ins, given, strict=True)):
        if not np.array_equal(fenced.bytes, before):
            raise _wrong(f"input {k} was changed")
    named = [(f"input {k}", f) for k, f in enumerate(ins)]
    named += [(f"result {k}", f) for k, f in enumerate(outs)]
    for name, fenced in (*named, ("the scratch memory", arena)):
        if not fenced.intact():
            raise _wrong(f"memory beside {name} was written")


def _check_finite(values: Sequence[Any], arrays: Sequence[np.ndarray]) -> None:
    if any(_has_nan(np.asarray(x)) for x in values):
        return
    for k, y in enumerate(arrays):
        if _has_nan(y):
            raise _wrong(f"result {k} has a NaN, and no input has one")


def _has_nan(x: np.ndarray) -> bool:
    return x.dtype.kind in "fc" and bool(np.isnan(x).any())


def _wrong(what: str) -> JaxRuntimeError:
    return error(
        JaxRuntimeError,
        f"a compiled program failed its checks: {what}.",
        got="a kernel of the native engine in checked mode",
        fix="this is a mistake of the engine: please report it; engine='numpy' avoids it.",
    )


__all__ = ["checked"]
