"""Zeros that are not in memory: what derivative rules get that ask for them."""

from __future__ import annotations

from typing import Any

from . import checks
from .core.pytree import flatten
from .core.trace import type_of
from .core.types import ArrayType


class SymbolicZero:
    """A tangent or cotangent known to be zero, given to rules that ask for symbolic zeros."""

    __slots__ = ("aval",)

    def __init__(self, aval: ArrayType) -> None:
        self.aval = aval

    @staticmethod
    def from_primal_value(val: Any) -> SymbolicZero:
        """The zero tangent of `val`; for an integer one of dtype float0."""
        return SymbolicZero(type_of(val).tangent())

    def __getattr__(self, name: str) -> Any:
        # The shape, dtype and the like, as an array of zeros has them.
        if name in ("shape", "dtype", "ndim", "size", "weak_type"):
            return getattr(self.aval, name)
        raise AttributeError(f"SymbolicZero has no attribute {name!r}", name=name, obj=self)

    def __repr__(self) -> str:
        return f"SymbolicZero({self.aval.str_short()})"


def zero_from_primal(val: Any, symbolic_zeros: bool = False) -> Any:
    """The zero tangents of the arrays in `val`: arrays (of dtype float0 for integers), or
    `SymbolicZero`s.

    Example:
      >>> from pullback.custom_derivatives import zero_from_primal
      >>> print(zero_from_primal(3.0), zero_from_primal(3.0, symbolic_zeros=True))
      0.0 SymbolicZero(f32[])
    """
    leaves, tree = flatten(val)
    if symbolic_zeros:
        return tree.unflatten([SymbolicZero.from_primal_value(x) for x in leaves])
    return tree.unflatten([checks.zero_filled(None, type_of(x)) for x in leaves])
