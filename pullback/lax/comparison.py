"""Comparing, choosing, and working on bits, element by element."""

from __future__ import annotations

from typing import Any

from ..core import dtypes
from ..core.array import Array
from ..core.errors import error
from ..ops import comparison, elementwise
from .arguments import apply, as_array, binary, unary
from .conversion import convert_element_type


def eq(x: Any, y: Any) -> Array:
    """x == y"""
    return binary(comparison.eq, x, y)


def ne(x: Any, y: Any) -> Array:
    """x != y"""
    return binary(comparison.ne, x, y)


def lt(x: Any, y: Any) -> Array:
    """x < y"""
    return binary(comparison.lt, x, y)


def le(x: Any, y: Any) -> Array:
    """x <= y"""
    return binary(comparison.le, x, y)


def gt(x: Any, y: Any) -> Array:
    """x > y"""
    return binary(comparison.gt, x, y)


def ge(x: Any, y: Any) -> Array:
    """x >= y"""
    return binary(comparison.ge, x, y)


def clamp(min: Any, x: Any, max: Any) -> Array:
    """x moved into the interval from `min` to `max`, which are scalars or of the shape of x

    Example:
      >>> from pullback import lax
      >>> print(lax.clamp(0, 7, 5))
      5
    """
    return apply(comparison.clamp, min, x, max)


def select(pred: Any, on_true: Any, on_false: Any) -> Array:
    """`on_true` where `pred` holds, else `on_false`: of one shape; `pred` of that or a scalar"""
    return select_n(pred, on_false, on_true)


def select_n(which: Any, *cases: Any) -> Array:
    """`cases[which]` of each element; `which` is bool for two cases, or int32"""
    if not cases:
        raise error(
            ValueError,
            "select_n needs at least one case.",
            got="none",
            fix="give the arrays to choose from.",
        )
    which = as_array(which, "select_n")
    if len(cases) == 2 and dtypes.kind(which.dtype) in "iu" and which.weak_type:
        which = convert_element_type(which, bool)
    return apply(elementwise.select_n, which, *cases)


def bitwise_and(x: Any, y: Any) -> Array:
    """the bits that x and y both have; of bools, whether both hold"""
    return binary(comparison.and_, x, y)


def bitwise_or(x: Any, y: Any) -> Array:
    """the bits that x or y has"""
    return binary(comparison.or_, x, y)


def bitwise_xor(x: Any, y: Any) -> Array:
    """the bits in which x and y differ"""
    return binary(comparison.xor, x, y)


def bitwise_not(x: Any) -> Array:
    """the bits that x has not"""
    return unary(comparison.not_, x)


def shift_left(x: Any, y: Any) -> Array:
    """x moved up by y bits"""
    return binary(comparison.shift_left, x, y)


def shift_right_arithmetic(x: Any, y: Any) -> Array:
    """x moved down by y bits; copies of the sign bit come in"""
    return binary(comparison.shift_right_arithmetic, x, y)


def shift_right_logical(x: Any, y: Any) -> Array:
    """x moved down by y bits; zeros come in"""
    return binary(comparison.shift_right_logical, x, y)


def population_count(x: Any) -> Array:
    """how many bits of x are set"""
    return unary(comparison.population_count, x)


def clz(x: Any) -> Array:
    """how many leading bits of x are not set"""
    return unary(comparison.clz, x)
