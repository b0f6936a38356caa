"""Primitives that join arrays along a new axis, take them apart again, and repeat them: linear."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.errors import error
from ..core.primitive import Linear, Primitive
from ..core.types import ArrayType, array_type
from .slicing import concatenate, slice_along
from .structural import (
    LinearPrimitive,
    broadcast_in_dim,
    move_axis,
    reduce_sum,
    reshape,
    squeeze,
    to_front,
    zeros,
    zeros_of,
)


class Stack(Primitive):
    """The operands, of one shape, along a new axis `axis`."""

    def typing(self, *types: Any, axis: int) -> ArrayType:
        if not types:
            raise error(
                ValueError,
                "stack needs at least one array.",
                got="no arrays",
                fix="use zeros for an array without elements.",
            )
        first = types[0]
        if any(t.shape != first.shape or t.dtype != first.dtype for t in types):
            raise error(
                TypeError,
                "arrays can be stacked only if they agree in shape and dtype.",
                got=", ".join(t.str_short() for t in types),
                fix="broadcast or convert the arrays first, or join them with concatenate.",
            )
        if not 0 <= axis <= len(first.shape):
            raise error(
                ValueError,
                f"there is no place {axis} for a new axis.",
                got=f"axis {axis} for arrays {first.str_short()}",
                fix=f"give 0 to {len(first.shape)}.",
            )
        return array_type(
            (*first.shape[:axis], len(types), *first.shape[axis:]),
            first.dtype,
            all(t.weak_type for t in types),
        )

    def eval(self, *xs: Any, axis: int) -> Any:
        shape = xs[0].shape
        if not shape:
            return np.stack(xs) if xs[0].dtype.names is not None else np.array(xs, xs[0].dtype)
        one = (*shape[:axis], 1, *shape[axis:])
        return np.concatenate([x.reshape(one) for x in xs], axis)

    def jvp(self, primals: Any, tangents: Any, out: Any, *, axis: int) -> Any:
        filled = [zeros_of(x) if t is None else t for x, t in zip(primals, tangents, strict=True)]
        return stack(*filled, axis=axis)

    def transpose(self, ct: Any, *xs: Any, axis: int) -> list[Any]:
        if all(type(x) is Linear for x in xs):
            return list(unstack(ct, axis=axis))
        return [_at(ct, axis, i) if type(x) is Linear else None for i, x in enumerate(xs)]

    def vmap(self, size: int, args: Any, axes: Any, *, axis: int) -> Any:
        moved = [to_front(x, at, size) for x, at in zip(args, axes, strict=True)]
        return stack(*moved, axis=axis + 1), 0

    def lower(self, *xs: Any, axis: int) -> Any:
        shape = xs[0].shape
        dims = tuple(i + (i >= axis) for i in range(len(shape)))
        one = (*shape[:axis], 1, *shape[axis:])
        wide = [broadcast_in_dim(x, shape=one, broadcast_dimensions=dims) for x in xs]
        return concatenate(*wide, dimension=axis)


stack = Stack()


class Unstack(Primitive):
    """The parts of `x` along `axis`, without that axis."""

    multiple_results = True

    def typing(self, x: Any, *, axis: int) -> list[ArrayType]:
        if not 0 <= axis < len(x.shape):
            raise error(
                ValueError,
                f"there is no axis {axis} to unstack along.",
                got=x.str_short(),
                fix=f"give 0 to {len(x.shape) - 1}." if x.shape else "give an array with axes.",
            )
        return [x.without_axis(axis)] * x.shape[axis]

    def eval(self, x: Any, *, axis: int) -> Any:
        return list(np.moveaxis(x, axis, 0) if axis else x)

    def jvp(self, primals: Any, tangents: Any, out: Any, *, axis: int) -> Any:
        return unstack(tangents[0], axis=axis)

    def transpose(self, cts: Any, x: Any, *, axis: int) -> list[Any]:
        part = x.aval.without_axis(axis)
        return [stack(*[zeros(part) if ct is None else ct for ct in cts], axis=axis)]

    def vmap(self, size: int, args: Any, axes: Any, *, axis: int) -> Any:
        parts = unstack(move_axis(args[0], axes[0], 0), axis=axis + 1)
        return parts, [0] * len(parts)

    def lower(self, x: Any, *, axis: int) -> list[Any]:
        return [_at(x, axis, i) for i in range(x.shape[axis])]


unstack = Unstack()


def _at(x: Any, axis: int, i: int) -> Any:
    return squeeze(slice_along(x, axis, i, i + 1), dimensions=(axis,))


class Tile(LinearPrimitive):
    """`x` repeated `reps[i]` times along axis i."""

    def typing(self, x: Any, *, reps: Any) -> ArrayType:
        if len(reps) != len(x.shape) or any(r < 0 for r in reps):
            raise error(
                ValueError,
                "tile needs one number of repetitions, 0 or more, for each axis.",
                got=f"reps {tuple(reps)} for {x.str_short()}",
                fix=f"give {len(x.shape)} numbers.",
            )
        shape = tuple(n * r for n, r in zip(x.shape, reps, strict=True))
        return array_type(shape, x.dtype, x.weak_type)

    def eval(self, x: Any, *, reps: Any) -> Any:
        return np.tile(x, reps)

    def transpose(self, ct: Any, x: Any, *, reps: Any) -> list[Any]:
        if 0 in reps:
            return [zeros(x.aval)]
        apart = tuple(n for pair in zip(reps, x.shape, strict=True) for n in pair)
        return [reduce_sum(reshape(ct, new_sizes=apart), axes=tuple(range(0, len(apart), 2)))]

    def vmap(self, size: int, args: Any, axes: Any, *, reps: Any) -> Any:
        (at,) = axes
        return tile(args[0], reps=(*reps[:at], 1, *reps[at:])), at

    def lower(self, x: Any, *, reps: Any) -> Any:
        shape = tuple(n for pair in zip(reps, x.shape, strict=True) for n in pair)
        dims = tuple(range(1, len(shape), 2))
        wide = broadcast_in_dim(x, shape=shape, broadcast_dimensions=dims)
        return reshape(wide, new_sizes=tuple(n * r for n, r in zip(x.shape, reps, strict=True)))


tile = Tile()
