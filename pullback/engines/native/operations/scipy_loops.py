"""Calls of SciPy's special functions from machine code: the inner loops of its ufuncs.

A ufunc is a documented C structure that holds, for each type, a function of pointers, a length,
strides and a pointer to data of its own. These loops need no lock of Python's: NumPy calls them
without it.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from ....core.lazy import lazy
from ..kinds import FLOAT64, Unsupported, Word
from ..site import Site
from .outlined import outlined

scipy = lazy("scipy.special")


class Loop(NamedTuple):
    """Addresses of a function and of the data that it wants."""

    function: int
    data: int


@cache
def loop_of(name: str, signature: str = "") -> Loop:
    """The loop of the ufunc `scipy.special.<name>` for these types, or for float64.

    Raises:
      Unsupported: ufuncs are not laid out as expected here, or there is no such loop.
    """
    # scipy.special.zeta is a function in Python around a ufunc.
    ufunc = getattr(scipy, name) if name != "zeta" else getattr(scipy._ufuncs, "_zeta", None)
    if not isinstance(ufunc, np.ufunc):
        raise Unsupported(f"scipy.special.{name}, which is no ufunc here")
    signature = signature or "d" * ufunc.nin + "->d"
    # struct PyUFuncObject: the head of each object; nin, nout, nargs, identity (int each); then
    # pointers to functions, to data, and the number of types.
    start = id(ufunc) + object.__basicsize__
    counts = (ctypes.c_int * 3).from_address(start)
    types = ctypes.c_int.from_address(start + 32).value
    known = (ufunc.nin, ufunc.nout, ufunc.nin + ufunc.nout, len(ufunc.types))
    if (*counts, types) != known or signature not in ufunc.types:
        raise Unsupported(f"scipy.special.{name}, whose loops are not found")
    index = ufunc.types.index(signature)
    functions, data = (ctypes.c_void_p * 2).from_address(start + 16)
    return Loop(_pointer(functions, index), _pointer(data, index))


def _pointer(table: int | None, index: int) -> int:
    return (
        ctypes.c_void_p.from_address((table or 0) + index * ctypes.sizeof(ctypes.c_void_p)).value
        or 0
    )


def called(site: Site, name: str, *words: str) -> Word:
    """`scipy.special.<name>` of words of float64."""
    kinds = (FLOAT64,) * len(words)
    inner = Site(site.code, kinds, FLOAT64, site.width)

    def emit(inner: Site, *words: str) -> str:
        return _through_memory(inner, name, words)

    return outlined(inner, f"scipy_{name}", emit, *words)


def _through_memory(site: Site, name: str, words: Any) -> str:
    """The loop works on arrays: words are written to the stack, and the result read from it."""
    code, typed, count = site.code, FLOAT64.typed(site.width), len(words) + 1
    loop = loop_of(name)
    function = code.module.symbol(
        f"scipy_{name}_function", loop.function, "void (ptr, ptr, ptr, ptr)"
    )
    data = f"@scipy_{name}_data"
    code.module.declare(f"{data} = external global i8")
    code.module.symbols[data[1:]] = loop.data
    places = [code.op(f"alloca {typed}, align 64") for _ in range(count)]
    pointers = code.op(f"alloca [{count} x ptr], align 8")
    strides = code.op(f"alloca [{count} x i64], align 8")
    length = code.op("alloca i64, align 8")
    for word, place in zip(words, places[:-1], strict=True):
        code.line(f"store {typed} {word}, ptr {place}, align 8")
    for i, place in enumerate(places):
        code.line(f"store ptr {place}, ptr {code.at(pointers, i, 'ptr')}, align 8")
        code.line(f"store i64 8, ptr {code.at(strides, i, 'i64')}, align 8")
    code.line(f"store i64 {site.width or 1}, ptr {length}, align 8")
    code.call("void", function, *[f"ptr {p}" for p in (pointers, length, strides, data)])
    return code.op(f"load {typed}, ptr {places[-1]}, align 8")
