"""Primitives that move elements without computing on each one, and the sum that undoes a broadcast.

All are linear; none needs another file's operation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from ..core.array import HostArray
from ..core.errors import error
from ..core.primitive import CORE, NOT_LINEAR, Primitive
from ..core.trace import type_of
from ..core.types import ArrayType, array_type
from .summing import SMALL, add_up

_COPY_BELOW = 4096
"""np.broadcast_to costs 2.2 us; filling a new array costs 0.6 us and is cheaper up to this size."""


class LinearPrimitive(Primitive, family=True):
    """One linear input: the tangent is the operation itself on the tangent."""

    def jvp(self, primals: Any, tangents: Any, out: Any, **params: Any) -> Any:
        return self(*tangents, **params)


class BroadcastInDim(LinearPrimitive):
    """Axis i of `x` becomes axis `broadcast_dimensions[i]` of an array of shape `shape`."""

    def typing(self, x: Any, *, shape: Any, broadcast_dimensions: Any) -> ArrayType:
        fits = len(broadcast_dimensions) == len(x.shape) and all(
            before < d < len(shape) and n in (1, shape[d])
            for n, before, d in zip(
                x.shape, (-1, *broadcast_dimensions), broadcast_dimensions, strict=False
            )
        )
        if not fits:
            raise error(
                TypeError,
                "an array cannot be broadcast to this shape.",
                got=f"{x.str_short()} to shape {tuple(shape)}, axes to {broadcast_dimensions}",
                fix="each axis must have length 1 or that of the axis it is broadcast to, in "
                "order.",
            )
        return array_type(shape, x.dtype, x.weak_type)

    def eval(self, x: Any, *, shape: Any, broadcast_dimensions: Any) -> Any:
        if not x.ndim:
            size = math.prod(shape)
            if size > _COPY_BELOW:
                return np.broadcast_to(x, shape)
            out = np.empty(shape, x.dtype)
            out[...] = x
            return out
        aligned, size = _alignment(x.shape, shape, broadcast_dimensions)
        if x.size == size and size:
            return x.reshape(shape)
        if size > _COPY_BELOW:
            return np.broadcast_to(x.reshape(aligned), shape)
        out = np.empty(shape, x.dtype)
        out[...] = x.reshape(aligned)
        return out

    def transpose(self, ct: Any, x: Any, *, shape: Any, broadcast_dimensions: Any) -> list[Any]:
        new = tuple(i for i in range(len(shape)) if i not in broadcast_dimensions)
        stretched = tuple(
            d
            for n, d in zip(x.shape, broadcast_dimensions, strict=True)
            if n == 1 and shape[d] != 1
        )
        summed = reduce_sum(ct, axes=tuple(sorted(new + stretched))) if new + stretched else ct
        return [reshape(summed, new_sizes=x.shape) if stretched else summed]

    def vmap(
        self, size: int, args: Any, axes: Any, *, shape: Any, broadcast_dimensions: Any
    ) -> Any:
        x = move_axis(args[0], axes[0], 0)
        dims = (0, *(d + 1 for d in broadcast_dimensions))
        return broadcast_in_dim(x, shape=(size, *shape), broadcast_dimensions=dims), 0

    lower = CORE


broadcast_in_dim = BroadcastInDim()


@lru_cache(maxsize=4096)
def _alignment(old: Any, shape: Any, dimensions: Any) -> tuple[tuple[int, ...], int]:
    """The shape with as many axes as `shape` that NumPy broadcasts to it, and its size."""
    aligned = [1] * len(shape)
    for n, d in zip(old, dimensions, strict=True):
        aligned[d] = n
    return tuple(aligned), math.prod(shape)


class Reshape(LinearPrimitive):
    """The same elements, in the same order, with shape `new_sizes`."""

    identity = True

    def typing(self, x: Any, *, new_sizes: Any) -> ArrayType:
        out = array_type(new_sizes, x.dtype, x.weak_type)
        if out.size != x.size:
            raise error(
                TypeError,
                f"an array of shape {x.shape} cannot be reshaped into shape {tuple(new_sizes)}.",
                got=f"{x.str_short()}, {x.size} elements, for {out.size}",
                fix="the number of elements must stay the same; one size may be -1.",
            )
        return out

    def eval(self, x: Any, *, new_sizes: Any) -> Any:
        return x.reshape(new_sizes)

    def transpose(self, ct: Any, x: Any, *, new_sizes: Any) -> list[Any]:
        return [reshape(ct, new_sizes=x.shape)]

    def vmap(self, size: int, args: Any, axes: Any, *, new_sizes: Any) -> Any:
        return reshape(move_axis(args[0], axes[0], 0), new_sizes=(size, *new_sizes)), 0

    lower = CORE


reshape = Reshape()


class Transpose(LinearPrimitive):
    """Axis i of the result is axis `permutation[i]` of `x`."""

    def typing(self, x: Any, *, permutation: Any) -> ArrayType:
        if sorted(permutation) != list(range(len(x.shape))):
            raise error(
                TypeError,
                "transpose needs each axis exactly once.",
                got=f"permutation {tuple(permutation)} for {x.str_short()}",
                fix=f"give a permutation of {tuple(range(len(x.shape)))}.",
            )
        return array_type(tuple(x.shape[i] for i in permutation), x.dtype, x.weak_type)

    def eval(self, x: Any, *, permutation: Any) -> Any:
        return x.transpose(permutation)

    def transpose(self, ct: Any, x: Any, *, permutation: Any) -> list[Any]:
        return [transpose(ct, permutation=inverse_permutation(permutation))]

    def vmap(self, size: int, args: Any, axes: Any, *, permutation: Any) -> Any:
        (at,) = axes
        moved = tuple(i + (i >= at) for i in permutation)
        return transpose(args[0], permutation=(at, *moved)), 0

    lower = CORE


transpose = Transpose()


class Squeeze(LinearPrimitive):
    """Without `dimensions`, which have length 1."""

    def typing(self, x: Any, *, dimensions: Any) -> ArrayType:
        check_axes(self.name, x, dimensions)
        if any(x.shape[d] != 1 for d in dimensions):
            raise error(
                ValueError,
                "only axes of length 1 can be squeezed.",
                got=f"{x.str_short()} and axes {tuple(dimensions)}",
                fix="leave out axes of another length, or reshape.",
            )
        shape = tuple(n for i, n in enumerate(x.shape) if i not in dimensions)
        return array_type(shape, x.dtype, x.weak_type)

    def eval(self, x: Any, *, dimensions: Any) -> Any:
        return x.reshape(tuple(n for i, n in enumerate(x.shape) if i not in dimensions))

    def transpose(self, ct: Any, x: Any, *, dimensions: Any) -> list[Any]:
        return [reshape(ct, new_sizes=x.shape)]

    def vmap(self, size: int, args: Any, axes: Any, *, dimensions: Any) -> Any:
        x = move_axis(args[0], axes[0], 0)
        return squeeze(x, dimensions=tuple(d + 1 for d in dimensions)), 0

    lower = CORE


squeeze = Squeeze()


class Rev(LinearPrimitive):
    """With the order along `dimensions` reversed."""

    def typing(self, x: Any, *, dimensions: Any) -> ArrayType:
        check_axes(self.name, x, dimensions)
        return x  # type: ignore[no-any-return]

    def eval(self, x: Any, *, dimensions: Any) -> Any:
        return np.flip(x, dimensions)

    def transpose(self, ct: Any, x: Any, *, dimensions: Any) -> list[Any]:
        return [rev(ct, dimensions=dimensions)]

    def vmap(self, size: int, args: Any, axes: Any, *, dimensions: Any) -> Any:
        (at,) = axes
        return rev(args[0], dimensions=tuple(d + (d >= at) for d in dimensions)), at

    lower = CORE


rev = Rev()


class ReduceSum(LinearPrimitive):
    """The sum over `axes`."""

    identity = True

    def typing(self, x: Any, *, axes: Any) -> ArrayType:
        check_axes(self.name, x, axes)
        return array_type(
            tuple(n for i, n in enumerate(x.shape) if i not in axes), x.dtype, x.weak_type
        )

    def eval(self, x: Any, *, axes: Any) -> Any:
        dtype = x.dtype
        if not axes:  # NumPy's sum begins with 0 even then, and -0 + 0 is 0
            return x
        if dtype.char in "fdFD":
            return np.add.reduce(x, axes) if x.size < SMALL else add_up(x, axes)
        if dtype.kind in "iu":
            return np.add.reduce(x, axes, dtype)
        if dtype.kind == "b":
            return np.logical_or.reduce(x, axes)
        # Half-width floats are summed in float32, as XLA does: in their own, 2048 + 1 is 2048.
        return add_up(x.astype(np.float32), axes).astype(dtype)

    def transpose(self, ct: Any, x: Any, *, axes: Any) -> list[Any]:
        shape = x.shape
        kept = tuple(i for i in range(len(shape)) if i not in axes)
        return [broadcast_in_dim(ct, shape=shape, broadcast_dimensions=kept)]

    def vmap(self, size: int, args: Any, axes_: Any, *, axes: Any) -> Any:
        (at,) = axes_
        shifted = tuple(i + (i >= at) for i in axes)
        return reduce_sum(args[0], axes=shifted), at - sum(i < at for i in shifted)

    lower = CORE


reduce_sum = ReduceSum()


class Iota(Primitive):
    """0, 1, 2, ... along `dimension`."""

    weak_from = ()

    def typing(self, *, dtype: Any, shape: Any, dimension: int) -> ArrayType:
        if not 0 <= dimension < len(shape):
            raise error(
                ValueError,
                f"iota cannot count along axis {dimension} of an array of shape {tuple(shape)}.",
                got=f"dimension {dimension}",
                fix="give an axis from 0 to the number of axes - 1.",
            )
        return array_type(shape, dtype, False)

    def eval(self, *, dtype: Any, shape: Any, dimension: int) -> Any:
        line = np.arange(shape[dimension]).astype(dtype)
        if len(shape) == 1:
            return line
        return np.broadcast_to(line.reshape([-1] + [1] * (len(shape) - dimension - 1)), shape)

    def jvp(self, primals: Any, tangents: Any, out: Any, **params: Any) -> None:
        return None

    transpose = NOT_LINEAR
    vmap = NOT_LINEAR  # it has no input that could be mapped
    lower = CORE


iota = Iota()


class Copy(LinearPrimitive):
    """The same array, again."""

    identity = True

    def typing(self, x: Any) -> ArrayType:
        return x  # type: ignore[no-any-return]

    def eval(self, x: Any) -> Any:
        return x.copy()

    def transpose(self, ct: Any, x: Any) -> list[Any]:
        return [ct]

    def vmap(self, size: int, args: Any, axes: Any) -> Any:
        return copy(args[0]), axes[0]

    lower = CORE


copy = Copy()


# ---- helpers that rules share


def check_axes(name: str, x: ArrayType, axes: Sequence[int]) -> None:
    """Raise ValueError unless `axes` are different axes of `x`, counted from 0."""
    rank = len(x.shape)
    if len(set(axes)) != len(axes) or not all(0 <= d < rank for d in axes):
        raise error(
            ValueError,
            f"{name} needs different axes between 0 and {rank - 1} of this array."
            if rank
            else f"{name} of an array without axes takes no axis.",
            got=f"axes {tuple(axes)} of {x.str_short()}",
            fix="name each axis once.",
        )


def move_axis(x: Any, source: int, target: int) -> Any:
    """`x` with axis `source` at place `target`."""
    if source == target:
        return x
    order = [i for i in range(len(x.shape)) if i != source]
    order.insert(target, source)
    return transpose(x, permutation=tuple(order))


def to_front(x: Any, axis: int | None, size: int) -> Any:
    """`x` with its mapped axis in front; an unmapped one is repeated `size` times."""
    if axis is not None:
        return move_axis(x, axis, 0)
    shape = type_of(x).shape
    return broadcast_in_dim(
        x, shape=(size, *shape), broadcast_dimensions=tuple(range(1, len(shape) + 1))
    )


def zeros(aval: ArrayType) -> Any:
    """Zeros of this type: a fact, so not recorded element by element."""
    zero = HostArray(np.zeros((), aval.dtype)[()], aval.weak_type)
    if not aval.shape:
        return zero
    return broadcast_in_dim(zero, shape=aval.shape, broadcast_dimensions=())


def zeros_of(x: Any) -> Any:
    """Zeros of the type of `x`."""
    return zeros(x.aval if hasattr(x, "aval") else type_of(x))


def zero_like(x: Any) -> HostArray:
    """The scalar zero of the dtype of `x`."""
    return HostArray(np.zeros((), x.dtype)[()], x.weak_type)


def inverse_permutation(order: Sequence[int]) -> tuple[int, ...]:
    """The permutation that undoes `order`."""
    inverse = [0] * len(order)
    for i, j in enumerate(order):
        inverse[j] = i
    return tuple(inverse)
