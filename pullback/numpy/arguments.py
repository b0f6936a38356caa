"""The arguments that many functions share: out, where, axes, integers and values known now."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from ..core import dtypes
from ..core.array import Array, HostArray, Tracer
from ..core.errors import (
    ConcretizationTypeError,
    InconclusiveDimensionOperation,
    TracerIntegerConversionError,
    error,
)
from ..core.trace import EvalTrace, state
from ..core.types import Shape
from ..ops.elementwise import convert_element_type, select_n
from ..ops.structural import broadcast_in_dim
from .promotion import as_array, broadcast_shapes, broadcast_to, is_collection


def no_out(name: str, out: Any) -> None:
    """Arrays are immutable, so `out` must be None. NumPy passes it on to methods, so it exists."""
    if out is not None:
        raise error(
            NotImplementedError,
            f"The 'out' argument to jnp.{name} is not supported.",
            got=f"out={_brief(out)}",
            fix="leave out= away and use the result: arrays are immutable.",
        )


def where_mask(name: str, where: Any) -> Any:
    """The argument `where`, None or an array of bools."""
    if where is None:
        return None
    where = as_array(where, name)
    if where.dtype != dtypes.bool_:
        raise error(
            ValueError,
            f"jnp.{name}: where must be None or a boolean array.",
            got=f"where of dtype {where.dtype}",
            fix="compare to get bools, e.g. where=mask != 0.",
        )
    return where


def integer(value: Any, what: str) -> int:
    """`value` as a Python integer that is known now; `what` names it: "`size` of jnp.nonzero"."""
    if type(value) is int:
        return value
    try:
        return operator.index(value)
    except InconclusiveDimensionOperation:  # the length of an axis, for `export`
        return value  # type: ignore[no-any-return]
    except TracerIntegerConversionError as cause:
        raise error(
            ConcretizationTypeError,
            f"the argument {what} decides a shape or an axis, so it must be known while tracing.",
            got=value.describe(),
            fix="make it static (static_argnums or static_argnames of jit), or a Python integer.",
        ) from cause
    except TypeError as cause:
        raise error(
            TypeError,
            f"the argument {what} must be an integer.",
            got=value.aval.str_short()
            if isinstance(value, Array)
            else f"{_brief(value)} of type {type(value).__name__}",
            fix="give an integer; convert with int(...) if that is meant.",
        ) from cause


def integers(value: Any, what: str) -> tuple[int, ...]:
    """`value`, an integer or a sequence of them, as a tuple."""
    if isinstance(value, (tuple, list)) or (isinstance(value, (np.ndarray, Array)) and value.ndim):
        return tuple(integer(v, what) for v in value)
    if type(value) is not int and is_collection(value):
        return tuple(integer(v, what) for v in value)
    return (integer(value, what),)


def shape_argument(name: str, shape: Any) -> Shape:
    """The argument `shape`: an integer or a sequence of integers that are not negative."""
    found = integers(shape, f"`shape` of jnp.{name}")
    if any(n < 0 for n in found):
        raise error(
            ValueError,
            f"jnp.{name}: a shape has no negative lengths.",
            got=f"shape={found}",
            fix="give lengths of 0 or more.",
        )
    return found


def known(x: Any) -> np.ndarray | None:
    """The value of an Array, where it is known while tracing; else None."""
    if isinstance(x, HostArray):
        return np.asarray(x._value)
    found = x.known() if isinstance(x, Tracer) else None
    return None if found is None else np.asarray(found._value)


def concrete(x: Any, what: str, fix: str) -> np.ndarray:
    """The value of `x`, which must be known now; `what` names it: "`x` of jnp.bincount"."""
    value = known(x)
    if value is None:
        raise error(
            ConcretizationTypeError,
            f"{what} decides the shape of the result, so its value must be known while tracing.",
            got=x.describe(),
            fix=fix,
        )
    return value


def from_host(value: Any, dtype: Any = None) -> HostArray:
    """A NumPy array made here, which nobody else can change, as an Array of canonical dtype."""
    value = np.asarray(value)
    target = dtypes.canonical(value.dtype if dtype is None else dtype)
    return HostArray(value if value.dtype == target else value.astype(target))


# ---- shapes and dtypes


def expand(x: Any, axes: Sequence[int]) -> Any:
    """`x` with new axes of length 1, which are numbered `axes` in the result."""
    shape, kept = _expanded(x.shape, tuple(axes))
    return broadcast_in_dim(x, shape=shape, broadcast_dimensions=kept)


@lru_cache(maxsize=4096)
def _expanded(old: Shape, axes: tuple[int, ...]) -> tuple[Shape, tuple[int, ...]]:
    rank = len(old) + len(axes)
    kept = tuple(i for i in range(rank) if i not in axes)
    shape = [1] * rank
    for i, n in zip(kept, old, strict=True):
        shape[i] = n
    return tuple(shape), kept


def masked(mask: Any, x: Any, other: Any) -> Any:
    """`x` where `mask` is True, elsewhere the scalar `other` (an Array of the dtype of `x`)."""
    shape = x.shape
    if mask.shape != shape and mask.shape:
        mask = broadcast_to(mask, broadcast_shapes("where", mask.shape, shape))
        x = broadcast_to(x, mask.shape)
    if x.shape:
        other = broadcast_in_dim(other, shape=x.shape, broadcast_dimensions=())
    return select_n(mask, other, x)


def strong(x: Any) -> Any:
    """`x` with a dtype that does not yield to others."""
    if not x.weak_type:
        return x
    return convert_element_type(x, new_dtype=x.dtype, weak_type=False)


def strong_array(x: Any) -> Any:
    """`x`, which may be weak only as a scalar: JAX's functions that meet constants of the shape of
    their result have such results."""
    return strong(x) if x.shape else x


def half_to_single(dtype: np.dtype) -> np.dtype:
    """float32 for float16 and bfloat16: the dtype in which sums are formed."""
    if dtype.itemsize == 2 and dtypes.kind(dtype) == "f":
        return dtypes.float32
    return dtype


def _brief(x: Any) -> str:
    text = repr(x)
    return text if len(text) <= 80 else text[:77] + "..."


def are_values(*arrays: Any) -> bool:
    """Whether NumPy may be called on these at once: no transformation is under way.

    Not where NaNs are looked for: NumPy's functions would not say which operation made one.
    """
    return type(state.trace) is EvalTrace and all([type(x) is HostArray for x in arrays])
