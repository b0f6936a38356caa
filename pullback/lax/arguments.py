"""How functions of lax take their arguments: arrays and numbers, without promotion."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from ..core import dtypes
from ..core.array import Array
from ..core.errors import error
from ..core.primitive import Primitive
from ..core.trace import host_array
from ..numpy.promotion import requested_dtype
from ..ops.structural import broadcast_in_dim


def as_array(x: Any, name: str) -> Any:
    """`x` as an Array; `name` is the function of lax that it was given to."""
    if isinstance(x, Array):
        return x
    try:
        return host_array(x)
    except TypeError as cause:
        raise error(
            TypeError,
            f"lax.{name} takes arrays and numbers.",
            got=f"{x!r:.80} of type {type(x).__name__}",
            fix="convert lists with jnp.array(...).",
        ) from cause


def apply(op: Primitive, *args: Any, **params: Any) -> Any:
    """`op(*args)`, checked: NumPy alone would promote where lax refuses to."""
    arrays = [x if isinstance(x, Array) else as_array(x, op.name) for x in args]
    op.typing(*[x.aval for x in arrays], **params)  # type: ignore[attr-defined]
    return op(*arrays, **params)


def unary(op: Any, x: Any) -> Any:
    """An elementwise operation on one array."""
    if not isinstance(x, Array):
        x = as_array(x, op.name)
    if dtypes.kind(x.dtype) not in op.takes:
        op.typing(x.aval)
    return op(x)


def binary(op: Any, x: Any, y: Any) -> Any:
    """An elementwise operation on two arrays of one dtype and shape; scalars fit every shape."""
    if not isinstance(x, Array):
        x = as_array(x, op.name)
    if not isinstance(y, Array):
        y = as_array(y, op.name)
    if x.dtype == y.dtype and x.shape == y.shape and dtypes.kind(x.dtype) in op.takes:
        return op(x, y)
    return apply(op, *stretched(x, y))


def stretched(*xs: Any) -> tuple[Any, ...]:
    """Arrays of one rank with their axes of length 1 repeated, as lax does; others as they are."""
    shapes = {tuple(x.shape) for x in xs if x.shape}
    if len(shapes) < 2 or len({len(s) for s in shapes}) > 1:
        return xs
    target = tuple(max(lengths, key=lambda n: n != 1) for lengths in zip(*shapes, strict=True))
    if any(n not in (1, m) for s in shapes for n, m in zip(s, target, strict=True)):
        return xs  # the operation says what is wrong
    return tuple(
        x
        if not x.shape or tuple(x.shape) == target
        else broadcast_in_dim(x, shape=target, broadcast_dimensions=tuple(range(len(target))))
        for x in xs
    )


def shape_of(sizes: Any, name: str) -> tuple[int, ...]:
    """A shape given as an integer or a sequence of integers."""
    try:
        return (operator.index(sizes),)
    except TypeError:
        return integers(sizes, name)


def integers(values: Any, name: str) -> tuple[int, ...]:
    """A sequence of integers that are known."""
    try:
        return tuple(operator.index(n) for n in values)
    except TypeError as cause:
        raise error(
            TypeError,
            f"lax.{name} needs integers here.",
            got=f"{values!r:.80}",
            fix="give a tuple of Python integers; shapes cannot depend on traced values.",
        ) from cause


def axis_of(axis: Any, rank: int, name: str) -> int:
    """An axis counted from the front; negative ones count from the end."""
    try:
        i = operator.index(axis)
    except TypeError as cause:
        raise error(
            TypeError,
            f"lax.{name} needs an integer as axis.",
            got=f"axis {axis!r:.80}",
            fix="give a Python integer; axes cannot depend on traced values.",
        ) from cause
    if not -rank <= i < rank:
        raise error(
            ValueError,
            f"axis {i} is out of bounds for array of dimension {rank}.",
            got=f"lax.{name} with axis {i}",
            fix=f"use {-rank} to {rank - 1}." if rank else "a scalar has no axes.",
        )
    return i % rank


def axes_of(axes: Sequence[Any], rank: int, name: str) -> tuple[int, ...]:
    """Axes counted from the front."""
    return tuple(axis_of(i, rank, name) for i in axes)


def requested(dtype: Any, name: str) -> Any:
    """A dtype that the user names, in the form in which it is stored."""
    if dtype is None:
        raise error(
            ValueError,
            "dtype must be specified.",
            got=f"lax.{name} with dtype None",
            fix="give e.g. jnp.float32.",
        )
    return requested_dtype(dtype, name)
