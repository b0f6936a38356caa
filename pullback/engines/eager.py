"""Operations done at once, outside jit, by machine code: loops compiled once for all shapes.

Random numbers, `erf_inv`, and the likes of softmax are many NumPy calls each, 1 to 20 us apiece.
The setting pullback_engine="numpy" leaves them to NumPy. Whether a loop is used follows from the
call alone, except where its results are those of NumPy in every bit: there it also depends on how
much work there has been, for the first loop of a process costs 0.05 s (the import of LLVM).
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from ..core.array import HostArray
from ..core.dtypes import float32, float64
from ..core.lazy import lazy
from ..core.settings import values
from ..core.trace import EVAL, quiet, state, values_are_checked
from ..core.types import Shape
from ..ops.lapack import routine
from ..ops.random_bits import KEY, KEY_FIELD, random_bits, random_split
from ..ops.special import erf_inv
from .choice import llvm_is_installed

ufuncs = lazy("pullback.engines.native.ufuncs")
hash_loops = lazy("pullback.engines.native.hash_loops")
row_loops = lazy("pullback.engines.native.row_loops")

_FLOATS = {float32: 32, float64: 64}
_WIDTHS = (8, 16, 32, 64)


def wanted() -> bool:
    """Whether operations may be done by machine code: LLVM is there, and NumPy is not asked for."""
    return values.pullback_engine != "numpy" and llvm_is_installed()


# ---- when machine code gives the same bits as NumPy

_LOADING, _FIRST_USE = 50_000, 5_000
"""Microseconds: LLVM is imported and a loop made; a loop is made, where LLVM is there already. With
the folder of objects that were made before it is 40,000 and 1,000."""
_NUMPY_CALL, _NUMPY_WORD = 40, 0.025
"""Microseconds that NumPy takes to hash a few counters, and for each one more."""

_spent = 0.0
"""What NumPy has taken in this process, of what loops would have done."""


def _pays(count: int) -> bool:
    """Whether machine code is to hash so many counters.

    It is once NumPy has taken as long as it would take to begin. So nobody waits more than twice as
    long as with the better choice, known only in the end.
    """
    global _spent
    if not wanted():
        return False
    limit = _FIRST_USE if "llvmlite" in sys.modules else _LOADING
    if _spent >= limit:
        return True
    _spent += _NUMPY_CALL + count * _NUMPY_WORD
    return _spent >= limit


# ---- random numbers


def _random_bits(keys: Any, *, bit_width: int, shape: Shape, partitionable: bool) -> Any:
    n = math.prod(shape)
    if not partitionable or bit_width not in _WIDTHS or not _pays(keys.size * n):
        return random_bits.eval(keys, bit_width=bit_width, shape=shape, partitionable=partitionable)
    out = np.empty((*keys.shape, *shape), f"u{bit_width // 8}")
    _bits_loop(bit_width)(keys[KEY_FIELD], out.reshape(*keys.shape, n))
    return out


def _random_split(keys: Any, *, shape: Shape, partitionable: bool) -> Any:
    n = math.prod(shape)
    if not partitionable or not _pays(keys.size * n):
        return random_split.eval(keys, shape=shape, partitionable=partitionable)
    out = np.empty((*keys.shape, *shape), KEY)
    _keys_loop()(keys[KEY_FIELD], out.view(np.uint64).reshape(*keys.shape, n))
    return out


random_bits.at_once = _random_bits
random_split.at_once = _random_split


def uniform(key: Any, shape: Shape, dtype: np.dtype, low: Any, high: Any) -> HostArray | None:
    """Floats in [low, high) from one checked key; None where this is left to NumPy."""
    if not _draws_here(key, dtype) or type(low) is not HostArray or type(high) is not HostArray:
        return None
    least, most = low._value, high._value
    if least.ndim or most.ndim:
        return None
    # NumPy rounds other bounds than these twice in one of 10**9 cases.
    same = least == 0 and most == 1
    if not (_pays(math.prod(shape)) if same else wanted()):
        return None
    return _drawn(_uniform_loop(_FLOATS[dtype]), key, shape, dtype, least, most)


def normal(key: Any, shape: Shape, dtype: np.dtype) -> HostArray | None:
    """Standard normal numbers from one checked key; None where this is left to NumPy."""
    if not _draws_here(key, dtype) or not wanted():
        return None
    return _drawn(_normal_loop(_FLOATS[dtype]), key, shape, dtype)


def _draws_here(key: Any, dtype: np.dtype) -> bool:
    return (
        state.trace is EVAL
        and type(key) is HostArray
        and dtype in _FLOATS
        and key._value.dtype is KEY
        and bool(values.jax_threefry_partitionable)
    )


def _drawn(loop: Any, key: HostArray, shape: Shape, dtype: np.dtype, *bounds: Any) -> HostArray:
    out = np.empty(shape, dtype)
    with quiet():
        loop(key._value[KEY_FIELD], *bounds, out.reshape(-1))
    return HostArray(out)


# ---- functions of elements and of rows


def _erf_inv(x: Any) -> Any:
    bits = _FLOATS.get(x.dtype, 32)
    if not wanted():
        return erf_inv.eval(x)
    flat = np.ascontiguousarray(x, float64 if bits == 64 else float32).reshape(-1)
    out = _row_loop("erf_inv", bits)(flat, np.empty_like(flat))
    return out.astype(x.dtype, copy=False).reshape(x.shape)


erf_inv.at_once = _erf_inv


def along_rows(name: str, x: Any, axis: Any) -> HostArray | None:
    """`softmax` or `log_softmax` of an array along one axis; None where NumPy is to do it."""
    if not _has_rows(x) or type(axis) is not int:
        return None
    value: np.ndarray = x._value
    rank = value.ndim
    if not -rank <= axis < rank:
        return None
    last = axis in (-1, rank - 1)
    rows = np.ascontiguousarray(value if last else value.swapaxes(axis, -1))
    with quiet():
        out = _row_loop(name, _FLOATS[value.dtype])(rows, np.empty_like(rows))
    return HostArray(out if last else np.ascontiguousarray(out.swapaxes(axis, -1)))


def logsumexp(x: Any, axis: Any, keepdims: bool) -> HostArray | None:
    """log(sum(exp(x))) along one axis, or all if None; None where NumPy is to do it."""
    if not _has_rows(x):
        return None
    value: np.ndarray = x._value
    rank, shape = value.ndim, value.shape
    if axis is None:
        rows, kept = value.reshape(-1), (1,) * rank
    elif type(axis) is int and -rank <= axis < rank:
        axis %= rank
        rows = value if axis == rank - 1 else np.moveaxis(value, axis, -1)
        kept = (*shape[:axis], 1, *shape[axis + 1 :])
    else:
        return None
    with quiet():
        out = _row_loop("logsumexp", _FLOATS[value.dtype])(np.ascontiguousarray(rows))
    return HostArray(out.reshape(kept) if keepdims else out)


def _has_rows(x: Any) -> bool:
    return (
        state.trace is EVAL
        and type(x) is HostArray
        and x._value.dtype in _FLOATS
        and x._value.size > 0
        and wanted()
        and not values_are_checked()
    )


# ---- systems of equations


def solve(a: Any, b: Any = None) -> HostArray | None:
    """x with a @ x = b by one call of LAPACK; None for all but regular matrices and their columns.

    Without `b` the inverse.

    Not by machine code of ours, but as the other operations here it is done at once: in steps that
    have derivatives it takes 20 us, of which LAPACK takes 0.7 us for a 3x3 matrix.
    """
    if state.trace is not EVAL or type(a) is not HostArray:
        return None
    if b is None and a._value.ndim == 2 and a._value.dtype in _FLOATS:
        b = HostArray(np.eye(len(a._value), dtype=a._value.dtype))
    if type(b) is not HostArray:
        return None
    matrix, sides = a._value, b._value
    if matrix.ndim != 2 or not 0 < sides.ndim < 3 or not sides.size:
        return None
    n, m = matrix.shape
    if n != m or len(sides) != n or matrix.dtype not in _FLOATS or sides.dtype != matrix.dtype:
        return None
    if values.pullback_engine == "numpy" or values_are_checked():
        return None
    _, _, x, failed = routine("gesv", matrix.dtype)(matrix, sides)
    # Of a singular matrix the steps make the infinities and NaNs.
    return None if failed else HostArray(np.ascontiguousarray(x), a._weak and b._weak)


# ---- the loops, each made once


@cache
def _bits_loop(bit_width: int) -> Any:
    types = [np.uint32, f"u{bit_width // 8}"]
    return ufuncs.ufunc("bits", hash_loops.bits(bit_width), types, 1, "(k)->(n)")


@cache
def _keys_loop() -> Any:
    return ufuncs.ufunc("keys", hash_loops.keys(), [np.uint32, np.uint64], 1, "(k)->(n)")


@cache
def _uniform_loop(bits: int) -> Any:
    types = [np.uint32, *[f"f{bits // 8}"] * 3]
    return ufuncs.ufunc("uniform", hash_loops.uniform(bits), types, 3, "(k),(),()->(n)")


@cache
def _normal_loop(bits: int) -> Any:
    types = [np.uint32, f"f{bits // 8}"]
    return ufuncs.ufunc("normal", hash_loops.normal(bits), types, 1, "(k)->(n)")


@cache
def _row_loop(name: str, bits: int) -> Any:
    writers: dict[str, Callable[[int], str]] = {
        "erf_inv": row_loops.erf_inv,
        "softmax": row_loops.softmax,
        "log_softmax": row_loops.log_softmax,
        "logsumexp": row_loops.logsumexp,
    }
    signature = "(n)->()" if name == "logsumexp" else "(n)->(n)"
    return ufuncs.ufunc(name, writers[name](bits), [f"f{bits // 8}"] * 2, 1, signature)


__all__ = ["along_rows", "logsumexp", "normal", "solve", "uniform", "wanted"]
