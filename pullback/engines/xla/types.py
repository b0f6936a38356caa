"""How StableHLO writes types and constants."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...core import dtypes
from ...core.types import ArrayType

_ELEMENTS = {
    "bool": "i1",
    "int2": "i2",
    "int4": "i4",
    "int8": "i8",
    "int16": "i16",
    "int32": "i32",
    "int64": "i64",
    "uint2": "ui2",
    "uint4": "ui4",
    "uint8": "ui8",
    "uint16": "ui16",
    "uint32": "ui32",
    "uint64": "ui64",
    "float16": "f16",
    "bfloat16": "bf16",
    "float32": "f32",
    "float64": "f64",
    "complex64": "complex<f32>",
    "complex128": "complex<f64>",
    "float4_e2m1fn": "f4E2M1FN",
    "float8_e3m4": "f8E3M4",
    "float8_e4m3": "f8E4M3",
    "float8_e4m3b11fnuz": "f8E4M3B11FNUZ",
    "float8_e4m3fn": "f8E4M3FN",
    "float8_e4m3fnuz": "f8E4M3FNUZ",
    "float8_e5m2": "f8E5M2",
    "float8_e5m2fnuz": "f8E5M2FNUZ",
    "float8_e8m0fnu": "f8E8M0FNU",
}
_KEY = np.dtype(np.uint64)
PACKED = frozenset(["int2", "int4", "uint2", "uint4", "float4_e2m1fn"])
"""Dtypes of less than a byte. They cannot be read out of a buffer: see `arrays.held`."""
NARROW = ("float16", "bfloat16")
"""Floats that are computed with as float32, and rounded once."""


class Unsupported(Exception):
    """This engine has no code for something; the message says for what."""


def stored(t: ArrayType) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and dtype of an array in this engine: a random key is one word of 64
    bits, so that keys move like numbers; float0 is bool.

    Raises:
      Unsupported: the dtype has no form in StableHLO.
    """
    if dtypes.is_key(t.dtype):
        return t.shape, _KEY
    if t.dtype == dtypes.float0:
        return t.shape, np.dtype(bool)
    if t.dtype.name not in _ELEMENTS:
        raise Unsupported(f"the dtype {t.dtype.name}")
    return t.shape, t.dtype


def element(dtype: Any) -> str:
    """The type of an element, e.g. `f32`."""
    return _ELEMENTS[np.dtype(dtype).name]


def tensor(shape: Any, dtype: Any) -> str:
    """The type of an array, e.g. `tensor<3x4xf32>`; `tensor<?x4xf32>` if a length is open."""
    lengths = "".join([f"{n}x" if isinstance(n, int | np.integer) else "?x" for n in shape])
    return f"tensor<{lengths}{element(dtype)}>"


def typed(t: ArrayType) -> str:
    """The type of an array of this type in this engine."""
    return tensor(*stored(t))


def ints(values: Any) -> str:
    """An attribute: a list of whole numbers."""
    values = [int(v) for v in values]
    return f"array<i64: {', '.join(map(str, values))}>" if values else "array<i64>"


def bools(values: Any) -> str:
    """An attribute: a list of truth values."""
    return f"array<i1: {', '.join('true' if v else 'false' for v in values)}>"


def table(rows: Any, columns: int) -> str:
    """An attribute: a matrix of whole numbers."""
    rows = [[int(v) for v in row] for row in rows]
    shape = f"tensor<{len(rows)}x{columns}xi64>"
    return f"dense<{rows}> : {shape}" if rows else f"dense<> : {shape}"


def quoted(value: str | bytes) -> str:
    """A string in the text."""
    raw = value.encode() if isinstance(value, str) else value
    plain = (chr(b) if 32 <= b < 127 and b not in b'"\\' else f"\\{b:02X}" for b in raw)
    return f'"{"".join(plain)}"'


def dense(value: np.ndarray) -> str:
    """The elements of a constant, as its bytes in hexadecimal; of one number if all are equal."""
    if not value.size:
        return "dense<>"
    if value.dtype.name in PACKED:
        return _listed(value)
    flat = np.ascontiguousarray(value).reshape(-1)
    raw = flat.view(np.uint8).reshape(flat.size, -1)
    if flat.size == 1 or (raw == raw[0]).all():
        flat = flat[:1]
        if flat.dtype == bool:
            return f"dense<{'true' if flat[0] else 'false'}>"
        return f'dense<"0x{flat.tobytes().hex().upper()}">'
    if flat.dtype == bool:  # packed in the text's own way; as a list it is plain
        return _listed(value)
    return f'dense<"0x{flat.tobytes().hex().upper()}">'


def _listed(value: np.ndarray) -> str:
    def shown(x: Any) -> str:
        if isinstance(x, list):
            return f"[{', '.join(map(shown, x))}]"
        return ("true" if x else "false") if value.dtype == bool else str(x)

    plain = value if value.dtype == bool else value.astype(np.float32)
    if value.dtype.kind in "iu" or "int" in value.dtype.name:
        plain = value.astype(np.int32)
    return f"dense<{shown(plain.tolist())}>"


__all__ = [
    "NARROW",
    "PACKED",
    "Unsupported",
    "bools",
    "dense",
    "element",
    "ints",
    "quoted",
    "stored",
    "table",
    "tensor",
    "typed",
]
