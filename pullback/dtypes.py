"""Dtypes that NumPy lacks, and questions about dtypes: `jax.dtypes`."""

from __future__ import annotations

from typing import Any

import numpy as np

from .core import dtypes
from .core.dtypes import TypePromotionError as TypePromotionError
from .core.dtypes import extended as extended
from .core.dtypes import float0 as float0
from .core.dtypes import issubdtype as issubdtype
from .core.dtypes import prng_key as prng_key
from .core.errors import error
from .core.trace import type_of
from .numpy.types import finfo as finfo
from .numpy.types import iinfo as iinfo
from .numpy.types import promoted_type

__all__ = [
    "TypePromotionError",
    "bfloat16",
    "canonicalize_dtype",
    "extended",
    "finfo",
    "float0",
    "iinfo",
    "issubdtype",
    "itemsize_bits",
    "prng_key",
    "result_type",
    "scalar_type_of",
]

bfloat16: type = dtypes.bfloat16.type
"""The scalar type of bfloat16."""


def canonicalize_dtype(dtype: Any, allow_extended_dtype: bool = False) -> np.dtype:
    """`dtype` as arrays have it: 64-bit types become 32-bit ones unless x64 is enabled.

    Raises:
      ValueError: `dtype` is that of random keys, and `allow_extended_dtype` is False.

    Example:
      >>> from pullback import dtypes
      >>> print(dtypes.canonicalize_dtype("int64"))
      int32
    """
    found = dtypes.canonical(dtype)
    if dtypes.is_key(found) and not allow_extended_dtype:
        raise error(
            ValueError,
            "canonicalize_dtype was called on an extended dtype.",
            got=dtypes.long_name(found),
            fix="give allow_extended_dtype=True.",
        )
    return found


def itemsize_bits(dtype: Any) -> int:
    """The number of bits of one element: 4 of an int4, 8 of a bool.

    Raises:
      ValueError: `dtype` is that of random keys.

    Example:
      >>> from pullback import dtypes
      >>> dtypes.itemsize_bits("int4"), dtypes.itemsize_bits("bfloat16")
      (4, 16)
    """
    found = dtypes.as_dtype(dtype)
    kind = dtypes.kind(found)
    if kind == "b":
        return 8
    if kind in "iu":
        return int(iinfo(found).bits)
    if kind == "f":
        return int(finfo(found).bits)
    if kind == "c":
        return 8 * found.itemsize
    raise error(
        ValueError,
        "this dtype has no number of bits.",
        got=dtypes.long_name(found),
        fix="give a dtype of numbers or bools.",
    )


def result_type(*args: Any, return_weak_type_flag: bool = False) -> Any:
    """The dtype to which arrays, numbers and dtypes promote together; with the flag, whether the
    result is weak too.

    Example:
      >>> from pullback import dtypes
      >>> dtypes.result_type(1, return_weak_type_flag=True)
      (dtype('int32'), True)
    """
    dtype, weak = promoted_type(args)
    return (dtype, weak) if return_weak_type_flag else dtype


def scalar_type_of(x: Any) -> type:
    """The Python type that is most like the dtype, or the dtype of the array `x`.

    Example:
      >>> from pullback import dtypes
      >>> dtypes.scalar_type_of("int8"), dtypes.scalar_type_of(1.0)
      (<class 'int'>, <class 'float'>)
    """
    if isinstance(x, (bool, int, float, complex)):
        dtype = type_of(x).dtype
    else:
        dtype = dtypes.as_dtype(x)
    types: dict[str, type] = {"b": bool, "i": int, "u": int, "f": float, "c": complex}
    kind = dtypes.kind(dtype)
    if kind not in types:
        raise error(
            TypeError,
            "no Python number is like this dtype.",
            got=dtypes.long_name(dtype),
            fix="give a dtype of numbers or bools.",
        )
    return types[kind]
