"""What every function of this namespace does first: make arrays, one dtype, one shape."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..core import dtypes
from ..core.array import Array, HostArray
from ..core.errors import error, warn
from ..core.settings import values
from ..core.trace import host_array, not_an_array, quiet, type_of
from ..core.types import Shape
from ..ops.elementwise import convert_element_type
from ..ops.structural import broadcast_in_dim


def as_array(x: Any, name: str = "") -> Any:
    """`x`, a number or an array, as an Array. Lists are refused: they hide a slow conversion."""
    if isinstance(x, Array):
        return x
    if hasattr(x, "__jax_array__"):
        return as_array(x.__jax_array__(), name)
    if isinstance(x, (list, tuple)):
        raise error(
            TypeError,
            f"{name or 'this function'} requires ndarray or scalar arguments, got {type(x)}.",
            got=_brief(x),
            fix="convert it once with jnp.array(...).",
        )
    if isinstance(x, (int, float, complex, np.ndarray, np.generic)):
        return host_array(x)
    raise not_an_array(x)


def as_arrays(name: str, *xs: Any) -> list[Any]:
    """Each of `xs` as an Array."""
    return [x if isinstance(x, Array) else as_array(x, name) for x in xs]


def astype(x: Any, dtype: np.dtype, weak_type: bool = False) -> Any:
    """`x` (an Array) in a canonical dtype; nothing is done where it has it."""
    if x.dtype == dtype and (weak_type or not x.weak_type):
        return x
    return convert_element_type(x, new_dtype=dtype, weak_type=weak_type)


def requested_dtype(dtype: Any, name: str) -> np.dtype:
    """The dtype that a user asks `name` for; 64-bit ones are cut to 32 bits, with a warning.

    Python's `float`, `int` and `complex` mean the default width and do not warn.
    """
    if isinstance(dtype, Array):
        raise error(
            ValueError,
            "Passing an array as a dtype argument is no longer supported; instead of dtype=arr use "
            "dtype=arr.dtype.",
            got=f"dtype={_brief(dtype)} in {name}",
            fix="write dtype=arr.dtype.",
        )
    given = dtypes.as_dtype(dtype)
    if not dtypes.is_storable(given):
        raise error(
            TypeError,
            f"only arrays of numbers and bools exist, got dtype {given} in {name}.",
            got=f"dtype={dtype!r}",
            fix="give a dtype such as jnp.float32, jnp.int32 or bool.",
        )
    kept = dtypes.canonical(given)
    if kept != given and not (isinstance(dtype, type) and dtype in (float, int, complex)):
        warn(
            f"Explicitly requested dtype {given} requested in {name} is not available, and will be "
            f"truncated to dtype {kept.name}. To enable more dtypes, set the jax_enable_x64 "
            "configuration option or the JAX_ENABLE_X64 shell environment variable. See "
            "https://github.com/jax-ml/jax#current-gotchas for more."
        )
    return kept


# ---- one dtype


def promote_dtypes(name: str, *xs: Any) -> list[Any]:
    """Arrays of one dtype, by the promotion lattice. What is only weak is left so."""
    arrays = as_arrays(name, *xs)
    first = arrays[0].dtype
    if all(a.dtype == first for a in arrays):
        return arrays
    dtype, weak = dtypes.promoted(tuple((a.dtype, a.weak_type) for a in arrays), name)
    return [
        a if a.dtype == dtype else convert_element_type(a, new_dtype=dtype, weak_type=weak)
        for a in arrays
    ]


def promote_inexact(name: str, *xs: Any) -> list[Any]:
    """Arrays of one float or complex dtype: integers and bools become floats."""
    arrays = as_arrays(name, *xs)
    dtype, weak = dtypes.promoted(tuple((a.dtype, a.weak_type) for a in arrays), name)
    if dtypes.kind(dtype) == "V":
        raise not_numeric(name, arrays[0])
    dtype = inexact_dtype(dtype)
    return [
        a if a.dtype == dtype else convert_element_type(a, new_dtype=dtype, weak_type=weak)
        for a in arrays
    ]


def inexact_dtype(dtype: np.dtype) -> np.dtype:
    """`dtype`, if it is a float or complex one; else a float of at least 32 bits."""
    if dtypes.is_inexact(dtype):
        return dtype
    return dtypes.float64 if dtype.itemsize == 8 else dtypes.float32


def inexact(name: str, x: Any) -> Any:
    """`x` as an array of a float or complex dtype."""
    if isinstance(x, Array) and x.dtype.kind in "fc":
        return x
    return promote_inexact(name, x)[0]


def numeric(name: str, x: Any) -> Any:
    """`x` as an array of numbers: a bool becomes an integer."""
    x = as_array(x, name)
    if x.dtype == dtypes.bool_:
        return convert_element_type(x, new_dtype=dtypes.int32, weak_type=False)
    return x


def not_numeric(name: str, x: Any) -> TypeError:
    """The error for an array that holds no numbers."""
    return error(
        TypeError,
        f"{name} does not take arrays of dtype {dtypes.long_name(x.dtype)}.",
        got=type_of(x).str_short(),
        fix="random keys are used with the functions of pullback.random.",
    )


# ---- one shape


def promote(name: str, x: Any, y: Any) -> tuple[Any, Any]:
    """Two operands of one dtype and of one shape, or one of them of rank 0."""
    if type(x) is HostArray and type(y) is HostArray:
        a, b = x._value, y._value
        if a.dtype is b.dtype and a.shape == b.shape:
            return x, y
    if isinstance(x, Array):
        if isinstance(y, Array):
            if x.dtype == y.dtype:
                return _one_shape(name, x, y)
        elif _takes(x.dtype, y):
            return x, weak_scalar(x.dtype, y)
    elif isinstance(y, Array) and _takes(y.dtype, x):
        return weak_scalar(y.dtype, x), y
    return _one_shape(name, *promote_dtypes(name, x, y))


def _takes(dtype: np.dtype, number: Any) -> bool:
    """Whether `number` is a Python int or float that takes the dtype of an array of `dtype`."""
    if type(number) is not float and type(number) is not int:
        return False
    kind: str = dtype.kind
    if kind == "V":
        kind = dtypes.kind(dtype)
    return kind in "fc" or (kind in "iu" and type(number) is int)


def _one_shape(name: str, x: Any, y: Any) -> tuple[Any, Any]:
    a, b = x.shape, y.shape
    if a == b or not a or not b:
        return x, y
    x, y = broadcast_together(name, x, y)
    return x, y


def promote_floats(name: str, x: Any, y: Any) -> tuple[Any, Any]:
    """As `promote`, and integers and bools become floats."""
    a, b = promote(name, x, y)
    if a.dtype.kind in "fc":
        return a, b
    # Not a and b: beside an unsigned integer, -1 has become a large number in them.
    return _one_shape(name, *promote_inexact(name, x, y))


def promote_numbers(name: str, x: Any, y: Any) -> tuple[Any, Any]:
    """As `promote`, and bools become integers."""
    x, y = promote(name, x, y)
    return (numeric(name, x), numeric(name, y)) if x.dtype.kind == "b" else (x, y)


def weak_scalar(dtype: np.dtype, value: float) -> HostArray:
    """A Python int or float as a scalar of `dtype` that stays weak."""
    # Making one costs 0.6 us, finding it again 0.15 us; programs use few different numbers.
    known = _SCALARS.get((dtype, value, type(value)))
    return _new_scalar(dtype, value) if known is None else known


_SCALARS: dict[Any, HostArray] = {}


def _new_scalar(dtype: np.dtype, value: float) -> HostArray:
    with quiet():
        try:
            scalar = dtype.type(value)
        except OverflowError:
            # An integer wraps around, unless it is too large even for the default integer type.
            scalar = host_array(value)._value.astype(dtype)
    found = HostArray(scalar, True)
    if (value and value == value) or type(value) is int:  # 0.0 and -0.0 are equal, nan never is
        if len(_SCALARS) > 4096:
            _SCALARS.clear()
        _SCALARS[dtype, value, type(value)] = found
    return found


def broadcast_together(name: str, *xs: Any) -> list[Any]:
    """Arrays of one shape by NumPy's rules; those of rank 0 are left: they stand for any shape."""
    shapes = [x.shape for x in xs]
    shape = broadcast_shapes(name, *shapes)
    ranks = {len(s) for s in shapes if s}
    if len(ranks) > 1 and values.jax_numpy_rank_promotion != "allow":
        _rank_promotion(name, shapes)
    return [
        x if not s or s == shape else broadcast_to(x, shape)
        for x, s in zip(xs, shapes, strict=True)
    ]


_OF_MANY = ("where", "select", "broadcast_arrays", "full", "full_like")
"""Functions that bring any number of arrays, or one, to a shape: their errors are ValueErrors."""


def broadcast_shapes(name: str, *shapes: Shape) -> Shape:
    """The common shape, or an error that names the function and the shapes.

    As in JAX, it is a TypeError only where two operands have one rank.
    """
    rank = max(map(len, shapes), default=0)
    result = [1] * rank
    for shape in shapes:
        for i, n in enumerate(shape, rank - len(shape)):
            if n != 1:
                if result[i] not in (1, n):
                    one_rank = {*map(len, shapes)} == {rank} and name not in _OF_MANY
                    raise error(
                        TypeError if one_rank else ValueError,
                        f"{name} got incompatible shapes for broadcasting: "
                        + ", ".join(map(str, shapes))
                        + ".",
                        got=" and ".join(map(str, shapes)),
                        fix="make the lengths of each axis equal, or 1; reshape with [:, None].",
                    )
                result[i] = n
    return tuple(result)


def broadcast_to(x: Any, shape: Shape) -> Any:
    """`x` repeated to `shape`, which it fits by NumPy's rules."""
    if x.shape == shape:
        return x
    dims = tuple(range(len(shape) - len(x.shape), len(shape)))
    return broadcast_in_dim(x, shape=shape, broadcast_dimensions=dims)


def _rank_promotion(name: str, shapes: list[Shape]) -> None:
    what = f"{name} would promote the rank of an operand: " + ", ".join(map(str, shapes)) + "."
    if values.jax_numpy_rank_promotion == "raise":
        raise error(
            ValueError,
            f"operands could not be broadcast together: {what}",
            got='setting jax_numpy_rank_promotion="raise"',
            fix="reshape the operands to one rank, or use numpy_rank_promotion('allow').",
        )
    warn(what)


def axis_number(axis: Any, ndim: int, name: str = "axis") -> int:
    """`axis` counted from 0; negative ones count from the end."""
    try:
        i = axis.__index__()
    except AttributeError as cause:
        raise error(
            TypeError,
            f"{name} must be an integer, or where several may be named a sequence of them.",
            got=f"{_brief(axis)} of type {type(axis).__name__}",
            fix="give an integer; convert with int(...) if that is meant.",
        ) from cause
    if not -ndim <= i < ndim:
        raise error(
            ValueError,
            f"{name} {i} is out of bounds for array of dimension {ndim}.",
            got=f"{name}={i}",
            fix=f"use {-ndim} to {ndim - 1}." if ndim else "a scalar has no axes.",
        )
    return i + ndim if i < 0 else i


def axis_numbers(axis: Any, ndim: int, name: str = "axis") -> tuple[int, ...]:
    """`axis`, an integer, some of them or None for all, counted from 0."""
    if axis is None:
        return tuple(range(ndim))
    if isinstance(axis, (tuple, list)) or is_collection(axis):
        found = tuple(axis_number(a, ndim, name) for a in axis)
        if len(set(found)) != len(found):
            raise error(
                ValueError,
                f"duplicate value in {name}: {axis}.",
                got=f"{name}={axis}",
                fix="name each axis once.",
            )
        return found
    return (axis_number(axis, ndim, name),)


def is_collection(x: Any) -> bool:
    """Whether `x` is a range, a set or the like: not a number, an array or a string."""
    return not hasattr(x, "__index__") and isinstance(x, Iterable) and not isinstance(x, str)


def _brief(x: Any) -> str:
    text = repr(x)
    return text if len(text) <= 80 else text[:77] + "..."
