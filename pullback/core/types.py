"""ArrayType: what is known of an array before it exists. Its printed form is `f32[3,4]`."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import dtypes
from .sharding import NamedSharding, unspread

Shape = tuple[int, ...]


class ArrayType:
    """Shape, dtype and weakness of an array. Equal types are one object."""

    __slots__ = ("__weakref__", "dtype", "shape", "weak_type")
    shape: Shape
    dtype: np.dtype
    weak_type: bool

    def __new__(cls, shape: Shape, dtype: np.dtype, weak_type: bool = False) -> ArrayType:
        """The one object of this shape, dtype and weakness: equal types are identical."""
        key = (shape, dtype, weak_type)
        known = known_types.get(key)
        if known is None:
            known = object.__new__(cls)
            known.shape, known.dtype, known.weak_type = shape, np.dtype(dtype), bool(weak_type)
            known = known_types.setdefault((shape, known.dtype, known.weak_type), known)
        return known

    def __reduce__(self) -> Any:
        return ArrayType, (self.shape, self.dtype, self.weak_type)

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        n = 1
        for d in self.shape:
            n *= d
        return n

    @property
    def sharding(self) -> NamedSharding:
        """How the type says that the axes are spread: not at all, over a mesh without axes."""
        return unspread(len(self.shape))

    @property
    def vma(self) -> frozenset[Any]:
        """The mesh axes along which the value varies: none are followed here."""
        return frozenset()

    def update(self, **changes: Any) -> ArrayType:
        """The same type with some of shape, dtype and weak_type changed."""
        return array_type(
            tuple(changes.get("shape", self.shape)),
            changes.get("dtype", self.dtype),
            changes.get("weak_type", self.weak_type),
        )

    def strong(self) -> ArrayType:
        """The same type, not weak."""
        return array_type(self.shape, self.dtype, False) if self.weak_type else self

    def tangent(self) -> ArrayType:
        """The type of tangents of arrays of this type."""
        if dtypes.is_inexact(self.dtype):
            return self
        return array_type(self.shape, dtypes.float0, False)

    to_tangent_aval = to_cotangent_aval = to_ct_aval = tangent
    strip_weak_type = strong

    def without_axis(self, axis: int) -> ArrayType:
        """The type of one element along `axis`."""
        return array_type(self.shape[:axis] + self.shape[axis + 1 :], self.dtype, self.weak_type)

    def with_axis(self, axis: int, size: int) -> ArrayType:
        """The type of `size` such arrays stacked along a new `axis`."""
        return array_type(
            (*self.shape[:axis], size, *self.shape[axis:]), self.dtype, self.weak_type
        )

    def str_short(self) -> str:
        """`f32[3,4]`"""
        return f"{dtypes.short_name(self.dtype)}[{','.join(map(str, self.shape))}]"

    __str__ = str_short

    def __repr__(self) -> str:
        weak = ", weak_type=True" if self.weak_type else ""
        name = dtypes.long_name(self.dtype)
        return f"ShapedArray({name}[{','.join(map(str, self.shape))}]{weak})"


known_types: dict[tuple[Shape, np.dtype, bool], ArrayType] = {}
"""All types that have been made."""

array_type = ArrayType
