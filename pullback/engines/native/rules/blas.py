"""Products of large matrices by BLAS, in its C interface: the library that NumPy has loaded.

Other processes may find another library, with other widths of integers: the name of the symbol says
which interface the code was written for, `blas64_sgemm` or `blas32_sgemm`, and only that is bound.
"""

from __future__ import annotations

import ctypes
from functools import lru_cache
from types import ModuleType

import numpy as np
import numpy._core._multiarray_umath as numpy_code  # type: ignore[import-not-found]

from ..kinds import Kind
from ..text import Code, float_text
from .matrix_kernels import VECTOR_BYTES, Product

# With AVX-512 the tiled loops reach 240 GFLOP/s with one thread, 480 with two (float32, 512 x 512
# and 1024 x 1024, Zen 5), from 2048 x 2048 on 320 to 400, which larger caches would help; OpenBLAS
# has 120 to 230 with its two. With AVX2 they are level at about 200 x 200.
WORTH_IT = 1 << 23 if VECTOR_BYTES < 64 else 1 << 37
"""Multiplications from which on BLAS is called."""

_LETTERS = {"float32": "s", "float64": "d", "complex64": "c", "complex128": "z"}
_ROW_MAJOR, _AS_IT_IS, _TRANSPOSED = 101, 111, 112
_LIBRARIES: list[tuple[ModuleType, str, str]] = [
    (numpy_code, "scipy_cblas_{}64_", "blas64"),
    (numpy_code, "cblas_{}64_", "blas64"),
    (numpy_code, "cblas_{}", "blas32"),
]


def resolve(name: str) -> int:
    """The address of `blas64_sgemm` and its like.

    Raises:
      LookupError: there is no such function in this process.
    """
    interface, _, routine = name.partition("_")
    for module, pattern, found in _LIBRARIES:
        if found != interface:
            continue
        address = _address(module, pattern.format(routine))
        if address and _computes(address, routine, interface):
            return address
    raise LookupError(f"no BLAS with the interface {interface} is at hand for {routine}")


@lru_cache(maxsize=16)
def _symbol(routine: str) -> tuple[str, int] | None:
    """The name and address of a routine with the first interface that is there."""
    for interface in ("blas64", "blas32"):
        try:
            return f"{interface}_{routine}", resolve(f"{interface}_{routine}")
        except LookupError:
            continue
    return None


def _address(module: ModuleType, symbol: str) -> int | None:
    # A library's handle finds the symbols of those that it needs, too. NumPy's own has been
    # loaded long ago, so that this takes 0.1 ms; to import SciPy's pointers takes 200.
    try:
        library = ctypes.CDLL(module.__file__)
        return ctypes.cast(getattr(library, symbol), ctypes.c_void_p).value
    except (OSError, AttributeError, TypeError):
        return None


@lru_cache(maxsize=64)
def _computes(address: int, routine: str, interface: str) -> bool:
    """Whether the function gives [[1, 2], [3, 4]] times [[1, 1], [0, 1]], by steps of 3."""
    dtype = next(d for d, letter in _LETTERS.items() if letter == routine[0])
    a, b, c = (np.zeros((2, 3), dtype) for _ in range(3))
    a[:, :2], b[:, :2] = [[1, 2], [3, 4]], [[1, 1], [0, 1]]
    long = ctypes.c_int64 if interface == "blas64" else ctypes.c_int32
    one, zero = np.ones(1, dtype), np.zeros(1, dtype)
    factor = {"s": ctypes.c_float, "d": ctypes.c_double}.get(routine[0], ctypes.c_void_p)
    factors = [one[0], zero[0]] if routine[0] in "sd" else [one.ctypes.data, zero.ctypes.data]
    pointer = ctypes.c_void_p
    function = ctypes.CFUNCTYPE(
        None, *[ctypes.c_int] * 3, *[long] * 3, factor, pointer, long, pointer, long, factor,
        pointer, long,
    )(address)  # fmt: skip
    function(
        _ROW_MAJOR, _AS_IT_IS, _AS_IT_IS, 2, 2, 2, factors[0], a.ctypes.data, 3, b.ctypes.data, 3,
        factors[1], c.ctypes.data, 3,
    )  # fmt: skip
    return bool((c == np.array([[1, 3, 0], [3, 7, 0]], dtype)).all())


def _leading(steps: tuple[int, int], lengths: tuple[int, int]) -> tuple[int, int] | None:
    """Whether BLAS must transpose a matrix, and how far its rows (or columns) are apart."""
    for transposed in (False, True):
        (far, near), (count, inner) = (
            (steps, lengths) if not transposed else (steps[::-1], lengths[::-1])
        )
        if near == 1 and (far >= inner or count == 1):
            return (_TRANSPOSED if transposed else _AS_IT_IS), max(far, inner)
    return None


def pays(p: Product) -> bool:
    """Whether BLAS computes it, and faster than loops; the result has step 1 along j."""
    return (
        p.m * p.n * p.k >= WORTH_IT
        and not p.sums
        and min(p.m, p.n) >= 16
        and p.kind.dtype.name in _LETTERS
        and max(p.m, p.n, p.k) < 1 << 31
        and _leading(p.a, (p.m, p.k)) is not None
        and _leading(p.b, (p.k, p.n)) is not None
        and (p.c[0] >= p.n or p.m == 1)
        and _symbol(_LETTERS[p.kind.dtype.name] + "gemm") is not None
    )


def write(code: Code, p: Product, a: str, b: str, c: str) -> None:
    """Append the call for a product that `pays`."""
    kind, letter = p.kind, _LETTERS[p.kind.dtype.name]
    found = _symbol(letter + "gemm")
    left, right = _leading(p.a, (p.m, p.k)), _leading(p.b, (p.k, p.n))
    assert found is not None and left is not None and right is not None
    name, address = found
    long = "i64" if name.startswith("blas64") else "i32"
    factor = "ptr" if kind.family == "c" else kind.memory
    signature = (
        f"void (i32, i32, i32, {long}, {long}, {long}, {factor}, ptr, {long}, ptr, {long}, "
        f"{factor}, ptr, {long})"
    )
    function = code.module.symbol(name, address, signature)
    one, zero = (_factor(code, kind, value) for value in (1.0, 0.0))
    sizes = ", ".join(f"{long} {n}" for n in (p.m, p.n, p.k))
    code.line(
        f"call void {function}(i32 {_ROW_MAJOR}, i32 {left[0]}, i32 {right[0]}, {sizes}, "
        f"{factor} {one}, ptr {a}, {long} {left[1]}, ptr {b}, {long} {right[1]}, "
        f"{factor} {zero}, ptr {c}, {long} {max(p.c[0], p.n)})"
    )


def _factor(code: Code, kind: Kind, value: float) -> str:
    if kind.family != "c":
        return float_text(value, kind.bits)
    name = f"@blas_{'one' if value else 'zero'}_{kind.bits}"
    pair = f"[2 x {kind.memory}]"
    number = float_text(value, kind.bits)
    zero = float_text(0.0, kind.bits)
    code.module.declare(
        f"{name} = private constant {pair} [{kind.memory} {number}, {kind.memory} {zero}]"
    )
    return name


__all__ = ["WORTH_IT", "pays", "resolve", "write"]
