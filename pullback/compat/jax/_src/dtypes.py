"""`jax._src.dtypes`."""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback.core.dtypes import TypePromotionError as TypePromotionError
from pullback.core.dtypes import bfloat16 as bfloat16
from pullback.core.dtypes import canonical as canonicalize_dtype
from pullback.core.dtypes import extended as extended
from pullback.core.dtypes import finfo as finfo
from pullback.core.dtypes import float0 as float0
from pullback.core.dtypes import iinfo as iinfo
from pullback.core.dtypes import issubdtype as issubdtype
from pullback.core.dtypes import prng_key as prng_key

DType = np.dtype


class ExtendedDType:
    """In JAX the class of dtypes that NumPy lacks; here keys have a NumPy dtype of their own."""


def to_complex_dtype(dtype: Any) -> np.dtype:
    """The complex dtype of the precision of `dtype`."""
    return np.dtype("complex128" if np.dtype(dtype) in (np.float64, np.complex128) else "complex64")


def supports_inf(dtype: Any) -> bool:
    """Does this float dtype have an infinity?"""
    return bool(issubdtype(dtype, np.floating) and np.isinf(np.array(np.inf).astype(dtype)))


__all__ = [
    "DType",
    "ExtendedDType",
    "TypePromotionError",
    "bfloat16",
    "canonicalize_dtype",
    "extended",
    "finfo",
    "float0",
    "iinfo",
    "issubdtype",
    "prng_key",
    "supports_inf",
    "to_complex_dtype",
]
