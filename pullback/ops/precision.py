"""How exactly a device may multiply: names that are accepted, and mean nothing to this engine.

The NumPy engine always uses all digits of the dtype.
"""

from __future__ import annotations

import enum
from typing import Any, NamedTuple

from ..core.errors import error


class Precision(enum.Enum):
    """How exactly a device may multiply. The NumPy engine always uses all digits of the dtype."""

    DEFAULT = 0
    HIGH = 1
    HIGHEST = 2

    def __repr__(self) -> str:
        return f"Precision.{self.name}"

    __str__ = __repr__


class DotAlgorithm(NamedTuple):
    """How a device may multiply: the dtypes that it rounds to and adds up in, and how many parts.

    Accepted as `precision`; the NumPy engine always uses all digits of the dtype.
    """

    lhs_precision_type: Any
    rhs_precision_type: Any
    accumulation_type: Any
    lhs_component_count: int = 1
    rhs_component_count: int = 1
    num_primitive_operations: int = 1
    allow_imprecise_accumulation: bool = False


class DotAlgorithmPreset(enum.Enum):
    """Names of algorithms: dtypes of the operands and of the sum, then the number of products.

    Accepted as `precision`; the NumPy engine always uses all digits of the dtype.
    """

    DEFAULT = enum.auto()
    ANY_F8_ANY_F8_F32 = enum.auto()
    ANY_F8_ANY_F8_F32_FAST_ACCUM = enum.auto()
    ANY_F8_ANY_F8_ANY = enum.auto()
    ANY_F8_ANY_F8_ANY_FAST_ACCUM = enum.auto()
    F16_F16_F16 = enum.auto()
    F16_F16_F32 = enum.auto()
    BF16_BF16_BF16 = enum.auto()
    BF16_BF16_F32 = enum.auto()
    BF16_BF16_F32_X3 = enum.auto()
    BF16_BF16_F32_X6 = enum.auto()
    BF16_BF16_F32_X9 = enum.auto()
    TF32_TF32_F32 = enum.auto()
    TF32_TF32_F32_X3 = enum.auto()
    F32_F32_F32 = enum.auto()
    F64_F64_F64 = enum.auto()

    def __repr__(self) -> str:
        return f"DotAlgorithmPreset.{self.name}"

    __str__ = __repr__


_PRECISIONS = {
    **dict.fromkeys(("default", "fastest", "bfloat16"), Precision.DEFAULT),
    **dict.fromkeys(("high", "bfloat16_3x", "tensorfloat32"), Precision.HIGH),
    **dict.fromkeys(("highest", "float32"), Precision.HIGHEST),
}


def canonical_precision(precision: Any) -> Any:
    """None, an algorithm, or the precision of each operand; given as names, members, or a pair."""
    if precision is None or isinstance(precision, (DotAlgorithm, DotAlgorithmPreset)):
        return precision
    if isinstance(precision, str) and precision in DotAlgorithmPreset.__members__:
        return DotAlgorithmPreset[precision]
    pair = precision if isinstance(precision, (tuple, list)) else (precision, precision)
    found = tuple(_PRECISIONS.get(p) if isinstance(p, str) else p for p in pair)
    if len(found) != 2 or not all(isinstance(p, Precision) for p in found):
        raise error(
            ValueError,
            f"{precision!r} is not a precision of products.",
            got=f"precision={precision!r}",
            fix=f"use None, lax.Precision.HIGHEST, one of {', '.join(_PRECISIONS)}, or a pair.",
        )
    return found
