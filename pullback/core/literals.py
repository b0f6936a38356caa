"""Python numbers that know their array type.

A function with rules of its own is called on numbers as they are where nothing is transformed, and
what it computes from them stays a number, as the documents show: `f(2.)` gives 4.0. But it may ask
its argument for a shape and a dtype, which arrays and tracers have.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import dtypes
from .types import ArrayType, array_type


class _Typed:
    """What a scalar array has, besides being a number."""

    __slots__ = ()
    shape: tuple[int, ...] = ()
    ndim = 0
    size = 1
    weak_type = True

    _base: type

    @property
    def dtype(self) -> np.dtype[Any]:
        return dtypes.scalar_dtype(self._base())

    @property
    def aval(self) -> ArrayType:
        return array_type((), self.dtype, True)


class TypedInt(_Typed, int):
    """An int with a dtype."""

    _base = int


class TypedFloat(_Typed, float):
    """A float with a dtype."""

    _base = float


class TypedComplex(_Typed, complex):
    """A complex number with a dtype."""

    _base = complex


NUMBERS = frozenset({bool, int, float, complex, TypedInt, TypedFloat, TypedComplex})
_TYPED = {int: TypedInt, float: TypedFloat, complex: TypedComplex}


def typed(x: Any) -> Any:
    """`x` with a dtype, if it is a number of Python's own classes; else None."""
    kind = _TYPED.get(type(x))
    return None if kind is None else kind(x)
