"""The same elements in another shape or order: reshape, transpose, squeeze, broadcast, flip."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from ..core.array import Array, HostArray, Tracer
from ..core.errors import error
from ..core.types import Shape
from ..ops import structural
from ..ops.comparison import gt
from ..ops.dynamic import dynamic_slice
from ..ops.elementwise import convert_element_type, neg, select_n, sub
from ..ops.functions import rem
from ..ops.slicing import concatenate, slice_along
from ..ops.stacking import unstack
from ..ops.structural import rev
from .arguments import expand, integer, integers, shape_argument
from .promotion import as_array, as_arrays, axis_number, axis_numbers, is_collection
from .promotion import broadcast_shapes as common_shape
from .promotion import broadcast_to as broadcast


def reshape(
    a: Any, shape: Any, order: str = "C", *, copy: bool | None = None, out_sharding: Any = None
) -> Array:
    """The elements of `a` in another shape. As JAX's, it leaves a NumPy array one of NumPy's.

    Args:
      a: an array.
      shape: an integer or a sequence of integers; one of them may be -1: it is found.
      order: "C" (the last axis changes fastest) or "F" (the first axis does).
      copy, out_sharding: accepted for compatibility.

    Raises:
      TypeError: the numbers of elements differ.

    Example:
      >>> import pullback.numpy as jnp
      >>> print(jnp.reshape(jnp.arange(6), (2, -1)))
      [[0 1 2]
       [3 4 5]]
    """
    if isinstance(a, (np.ndarray, np.generic)):
        with suppress(TypeError, ValueError):  # that says less than ours below
            return a.reshape(shape, order=order)  # type: ignore[return-value, call-overload]
    x = a if isinstance(a, Array) else as_array(a, "reshape")
    return reshaped(x, shape, order)


def reshaped(x: Any, shape: Any, order: str = "C") -> Any:
    """`reshape` of an Array."""
    sizes = shape if type(shape) is tuple else _lengths(shape)
    for n in sizes:
        if type(n) is not int or n < 0:
            sizes = _new_sizes(x, sizes)
            break
    if order != "C":
        return _reshaped_fortran(x, sizes, order)
    return x if sizes == x.shape else structural.reshape(x, new_sizes=sizes)


def _lengths(shape: Any) -> tuple[Any, ...]:
    if isinstance(shape, (list, np.ndarray)) and np.ndim(shape):
        return tuple(shape)
    return tuple(shape) if is_collection(shape) else (shape,)


def _new_sizes(x: Any, shape: Any) -> Shape:
    sizes = [integer(n, "`shape` of jnp.reshape") for n in shape]
    unknown = sizes.count(-1)
    if unknown > 1 or any(n < -1 for n in sizes):
        raise error(
            ValueError,
            "can only specify one unknown dimension."
            if unknown > 1
            else "a shape has no negative lengths but one -1.",
            got=f"shape {tuple(sizes)}",
            fix="give all lengths, or all but one.",
        )
    if not unknown:
        return tuple(sizes)
    known = 1
    for n in sizes:
        known *= n if n != -1 else 1
    size = x.size
    if (known == 0 and size) or (known and size % known):
        raise error(
            TypeError,
            f"cannot reshape array of shape {x.shape} (size {size}) into shape {tuple(sizes)}.",
            got=f"{size} elements for {known} in the lengths that are given",
            fix="the number of elements must be a multiple of the product of the given lengths.",
        )
    found = size // known if known else 0
    return tuple(found if n == -1 else n for n in sizes)


def _reshaped_fortran(x: Any, sizes: Shape, order: str) -> Any:
    if order == "F":
        turned = structural.reshape(transpose(x), new_sizes=sizes[::-1])
        return transpose(turned)
    raise error(
        NotImplementedError if order == "A" else ValueError,
        f"reshape with order={order!r} is not supported.",
        got=f"order={order!r}",
        fix='use "C" or "F": arrays here have no memory order that a user could see.',
    )


def ravel(a: Any, order: str = "C", *, out_sharding: Any = None) -> Array:
    """The elements of `a` along one axis."""
    x = a if isinstance(a, Array) else as_array(a, "ravel")
    if order == "K":
        raise error(
            NotImplementedError,
            "ravel is not implemented for order='K'.",
            got="order='K'",
            fix='use "C" or "F": arrays here have no memory order that a user could see.',
        )
    return reshaped(x, (x.size,), order)


def transpose(a: Any, axes: Sequence[int] | None = None) -> Array:
    """`a` with its axes in another order: axis i of the result is axis `axes[i]`; None reverses.

    Example:
      >>> import pullback.numpy as jnp
      >>> print(jnp.transpose(jnp.ones((2, 3, 4)), (1, 0, 2)).shape)
      (3, 2, 4)
    """
    x = a if isinstance(a, Array) else as_array(a, "transpose")
    rank = len(x.shape)
    if axes is None:
        return structural.transpose(x, permutation=tuple(range(rank - 1, -1, -1)))
    if not isinstance(axes, (tuple, list)):
        axes = integers(axes, "`axes` of jnp.transpose")
    return structural.transpose(x, permutation=tuple(axis_number(i, rank) for i in axes))


def permute_dims(a: Any, /, axes: tuple[int, ...]) -> Array:
    """`a` with its axes in another order: axis i of the result is axis `axes[i]`."""
    return transpose(a, axes)


def matrix_transpose(x: Any, /) -> Array:
    """`x` with its last two axes exchanged."""
    x = as_array(x, "matrix_transpose")
    if x.ndim < 2:
        raise error(
            ValueError,
            "matrix_transpose needs an array with at least two axes.",
            got=x.aval.str_short(),
            fix="add an axis with x[:, None], or leave the transposition away.",
        )
    return swapaxes(x, -1, -2)


def swapaxes(a: Any, axis1: int, axis2: int) -> Array:
    """`a` with two of its axes exchanged."""
    x = a if isinstance(a, Array) else as_array(a, "swapaxes")
    rank = len(x.shape)
    order = list(range(rank))
    i, j = axis_number(axis1, rank, "axis1"), axis_number(axis2, rank, "axis2")
    order[i], order[j] = j, i
    return structural.transpose(x, permutation=tuple(order))


def moveaxis(a: Any, source: Any, destination: Any) -> Array:
    """`a` with the axes `source` at the places `destination`; the others keep their order.

    Example:
      >>> import pullback.numpy as jnp
      >>> print(jnp.moveaxis(jnp.ones((2, 3, 4)), 0, -1).shape)
      (3, 4, 2)
    """
    x = a if isinstance(a, Array) else as_array(a, "moveaxis")
    rank = len(x.shape)
    sources = axis_numbers(integers(source, "`source` of jnp.moveaxis"), rank, "source")
    places = axis_numbers(
        integers(destination, "`destination` of jnp.moveaxis"), rank, "destination"
    )
    if len(sources) != len(places):
        raise error(
            ValueError,
            "moveaxis needs as many sources as destinations.",
            got=f"source={source}, destination={destination}",
            fix="give one destination for each source.",
        )
    order = [i for i in range(rank) if i not in sources]
    for place, i in sorted(zip(places, sources, strict=True)):
        order.insert(place, i)
    return structural.transpose(x, permutation=tuple(order))


def rollaxis(a: Any, axis: int, start: int = 0) -> Array:
    """`a` with `axis` moved to before the axis `start`."""
    x = as_array(a, "rollaxis")
    rank = x.ndim
    i = axis_number(axis, rank)
    start = integer(start, "`start` of jnp.rollaxis")
    if not -rank <= start <= rank:
        raise error(
            ValueError,
            f"start {start} is out of bounds for array of dimension {rank}.",
            got=f"start={start}",
            fix=f"use {-rank} to {rank}.",
        )
    start += rank if start < 0 else 0
    return moveaxis(x, i, start - 1 if start > i else start)


# ---- axes of length 1


def squeeze(a: Any, axis: Any = None) -> Array:
    """`a` without its axes of length 1: all of them, or those named by `axis`."""
    x = a if isinstance(a, Array) else as_array(a, "squeeze")
    if axis is None:
        axes = tuple(i for i, n in enumerate(x.shape) if n == 1)
    else:
        axes = axis_numbers(integers(axis, "`axis` of jnp.squeeze"), len(x.shape))
    return structural.squeeze(x, dimensions=axes) if axes else x


def expand_dims(a: Any, axis: Any) -> Array:
    """`a` with new axes of length 1, at the places `axis` of the result."""
    x = a if isinstance(a, Array) else as_array(a, "expand_dims")
    if type(axis) is int:
        return expand(x, (axis_number(axis, len(x.shape) + 1),))
    many = integers(axis, "`axis` of jnp.expand_dims")
    return expand(x, axis_numbers(many, len(x.shape) + len(many)))


def _at_least(name: str, arrays: Any, new_axes: Any) -> Any:
    found = [with_axes(x, new_axes) for x in as_arrays(name, *arrays)]
    return found[0] if len(found) == 1 else found


TO_1D, TO_2D, TO_3D = ((0,),), ((0, 1), (0,)), ((0, 1, 2), (0, 2), (2,))
"""The axes to add to an array with 0, 1, 2 axes."""


def with_axes(x: Any, new_axes: Any) -> Any:
    """`x` with the axes that `new_axes` has for its number of axes."""
    rank = len(x.shape)
    return expand(x, new_axes[rank]) if rank < len(new_axes) else x


def atleast_1d(*arys: Any) -> Any:
    """Each array, scalars with an axis added; a list if there are several."""
    return _at_least("atleast_1d", arys, TO_1D)


def atleast_2d(*arys: Any) -> Any:
    """Each array with axes added in front until it has two; a list if there are several."""
    return _at_least("atleast_2d", arys, TO_2D)


def atleast_3d(*arys: Any) -> Any:
    """Each array with axes added until it has three: (n,) to (1, n, 1), (m, n) to (m, n, 1)."""
    return _at_least("atleast_3d", arys, TO_3D)


# ---- broadcasting


def broadcast_to(array: Any, shape: Any, *, out_sharding: Any = None) -> Array:
    """`array` repeated to `shape` by NumPy's rules: axes of length 1 and new axes in front.

    Example:
      >>> import pullback.numpy as jnp
      >>> print(jnp.broadcast_to(jnp.array([1, 2]), (2, 2)))
      [[1 2]
       [1 2]]
    """
    x = array if isinstance(array, Array) else as_array(array, "broadcast_to")
    if type(shape) is not tuple or any([type(n) is not int or n < 0 for n in shape]):
        shape = shape_argument("broadcast_to", shape)
    old = x.shape
    if old == shape:
        return x
    fits = len(old) <= len(shape) and all(
        n in (1, m) for n, m in zip(reversed(old), reversed(shape))
    )
    if not fits:
        raise error(
            ValueError,
            f"Incompatible shapes for broadcasting: {old} and requested shape {shape}.",
            got=f"{x.aval.str_short()} to {shape}",
            fix="each axis, counted from the last, must have length 1 or the one requested.",
        )
    return broadcast(x, shape)


def broadcast_arrays(*args: Any) -> list[Any]:
    """All arrays repeated to their common shape."""
    arrays = as_arrays("broadcast_arrays", *args)
    shape = common_shape("broadcast_arrays", *[x.shape for x in arrays])
    return [broadcast(x, shape) for x in arrays]


def broadcast_shapes(*shapes: Any) -> Shape:
    """The shape that arrays of these shapes are broadcast to."""
    return common_shape(
        "broadcast_shapes",
        *[
            integers(s, "of jnp.broadcast_shapes") if not isinstance(s, tuple) else s
            for s in shapes
        ],
    )


# ---- order reversed or shifted


def flip(m: Any, axis: Any = None) -> Array:
    """`m` with the order of its elements reversed along `axis`, along all axes if None."""
    x = as_array(m, "flip")
    return rev(x, dimensions=axis_numbers(axis, x.ndim))


def fliplr(m: Any) -> Array:
    """`m` reversed along its second axis."""
    return flip(m, 1)


def flipud(m: Any) -> Array:
    """`m` reversed along its first axis."""
    return flip(m, 0)


def rot90(m: Any, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Array:
    """`m` turned `k` times by 90 degrees, from the first of `axes` towards the second."""
    x = as_array(m, "rot90")
    i, j = (axis_number(a, x.ndim) for a in axes)
    if i == j:
        raise error(
            ValueError,
            "rot90 needs two different axes.",
            got=f"axes={tuple(axes)} for {x.aval.str_short()}",
            fix="name the two axes of the plane to turn in.",
        )
    k = integer(k, "`k` of jnp.rot90") % 4
    if k == 0:
        return x
    if k == 2:
        return rev(x, dimensions=(i, j))
    return swapaxes(flip(x, j), i, j) if k == 1 else flip(swapaxes(x, i, j), j)


def roll(a: Any, shift: Any, axis: Any = None) -> Array:
    """`a` with its elements moved by `shift` places along `axis`; those pushed out come in again.

    Args:
      a: an array.
      shift: an integer or several; they may be traced.
      axis: an integer or several; None: roll the flattened array.

    Example:
      >>> import pullback.numpy as jnp
      >>> print(jnp.roll(jnp.arange(5), 2))
      [3 4 0 1 2]
    """
    x = as_array(a, "roll")
    if axis is None:
        return reshaped(roll(reshaped(x, (x.size,)), shift, 0), x.shape)
    axes = [axis_number(i, x.ndim) for i in integers(axis, "`axis` of jnp.roll")]
    shifts = _shifts(shift)
    if len(shifts) != len(axes):
        if 1 not in (len(shifts), len(axes)):
            raise error(
                ValueError,
                "roll needs as many shifts as axes, or one for all.",
                got=f"{len(shifts)} shifts, {len(axes)} axes",
                fix="give one shift for each axis.",
            )
        axes *= len(shifts) if len(axes) == 1 else 1
        shifts *= len(axes) if len(shifts) == 1 else 1
    for by, i in zip(shifts, axes, strict=True):
        x = _rolled(x, by, i)
    return x


def _shifts(shift: Any) -> list[Any]:
    if isinstance(shift, Array) and shift.ndim:
        return list(unstack(shift, axis=0))
    many = isinstance(shift, (tuple, list)) or np.ndim(shift)
    return list(shift) if many else [shift]


def _rolled(x: Any, shift: Any, axis: int) -> Any:
    n = x.shape[axis]
    if n == 0:
        return x
    if isinstance(shift, Tracer) and shift.known() is None:
        return _rolled_unknown(x, shift, axis)
    at = -operator.index(shift) % n
    if at == 0:
        return x
    return concatenate(slice_along(x, axis, at, n), slice_along(x, axis, 0, at), dimension=axis)


def _rolled_unknown(x: Any, shift: Any, axis: int) -> Any:
    # The window of x, x that begins n - (shift mod n) places on.
    n = x.shape[axis]
    length = HostArray(np.int32(n))
    rest = rem(convert_element_type(shift, new_dtype=length.dtype, weak_type=False), length)
    zero = HostArray(np.int32(0))
    start = select_n(gt(rest, zero), neg(rest), sub(length, rest))
    starts = [start if i == axis else zero for i in range(len(x.shape))]
    return dynamic_slice(concatenate(x, x, dimension=axis), *starts, slice_sizes=x.shape)
