"""Batching rules of many primitives, and helpers to write one: `jax.interpreters.batching`."""

from __future__ import annotations

from functools import partial
from typing import Any

from ...core.trace import type_of
from ...ops.structural import broadcast_in_dim, move_axis, reshape
from .rules import fancy_primitive_batchers


def broadcast(x: Any, size: int, axis: int, mesh_axis: Any = None) -> Any:
    """`x` repeated `size` times along a new axis at `axis`."""
    shape = type_of(x).shape
    dims = tuple(i for i in range(len(shape) + 1) if i != axis)
    new = (*shape[:axis], size, *shape[axis:])
    return broadcast_in_dim(x, shape=new, broadcast_dimensions=dims)


def moveaxis(x: Any, source: int | None, target: int) -> Any:
    """`x` with its mapped axis at another place; unmapped, it stays as it is."""
    return x if source is None else move_axis(x, source, target % type_of(x).ndim)


def bdim_at_front(x: Any, axis: int | None, size: int, mesh_axis: Any = None) -> Any:
    """`x` with its mapped axis in front; an unmapped one is repeated `size` times."""
    return broadcast(x, size, 0) if axis is None else move_axis(x, axis, 0)


def defvectorized(primitive: Any) -> None:
    """The primitive works element by element, so its mapped form is itself."""
    fancy_primitive_batchers[primitive] = partial(_vectorized, primitive)


def _vectorized(primitive: Any, axis_data: Any, args: Any, dims: Any, **params: Any) -> Any:
    out = primitive.bind(*args, **params)
    if primitive.multiple_results:
        return out, [dims[0]] * len(out)
    return out, dims[0]


def defbroadcasting(primitive: Any) -> None:
    """The primitive works element by element on several arguments of one rank."""
    fancy_primitive_batchers[primitive] = partial(_broadcasting, primitive)


def _broadcasting(primitive: Any, axis_data: Any, args: Any, dims: Any, **params: Any) -> Any:
    ndim = max(type_of(x).ndim - (d is not None) for x, d in zip(args, dims, strict=True))
    placed = []
    for x, d in zip(args, dims, strict=True):
        x = bdim_at_front(x, d, axis_data.size)
        shape = type_of(x).shape
        missing = ndim + 1 - len(shape)
        if missing:  # ones between the mapped axis and the others
            x = reshape(x, new_sizes=(shape[0], *(1,) * missing, *shape[1:]))
        placed.append(x)
    out = primitive.bind(*placed, **params)
    if primitive.multiple_results:
        return out, [0] * len(out)
    return out, 0


def defreducer(primitive: Any) -> None:
    """The primitive reduces its argument over the parameter `axes`."""
    fancy_primitive_batchers[primitive] = partial(_reducer, primitive)


def _reducer(
    primitive: Any, axis_data: Any, args: Any, dims: Any, *, axes: Any, **params: Any
) -> Any:
    (x,), (dim,) = args, dims
    moved = tuple(a + (a >= dim) for a in axes)
    return primitive.bind(x, axes=moved, **params), dim - sum(a < dim for a in moved)
