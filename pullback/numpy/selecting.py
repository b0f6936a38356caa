"""Elements chosen by conditions: where, select, choose, nonzero, compress, extract."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np

from ..core import dtypes
from ..core.array import Array, HostArray
from ..core.errors import error
from ..core.trace import EVAL, state
from ..ops import cumulative
from ..ops.comparison import clamp, ge
from ..ops.elementwise import convert_element_type, like, select_n
from ..ops.searching import searchsorted
from ..ops.structural import broadcast_in_dim, reshape
from .arguments import concrete, expand, from_host, integer, masked, no_out
from .joining import array_sequence, stack
from .promotion import (
    as_array,
    as_arrays,
    astype,
    axis_number,
    broadcast_shapes,
    broadcast_to,
    promote,
    promote_dtypes,
)
from .reductions import filled_like, truth
from .shaping import moveaxis, ravel, transpose
from .taking import taken

_GIVE_SIZE = "give size=, the number of elements of the result, or compute it outside of jit."


def where(
    condition: Any,
    x: Any = None,
    y: Any = None,
    /,
    *,
    size: int | None = None,
    fill_value: Any = None,
) -> Any:
    """`x` where `condition` holds, else `y`; with `condition` alone the indices where it holds.

    Args:
      condition: bools; numbers are true if they are not zero.
      x: what to take where it holds.
      y: what to take elsewhere. All three are broadcast together.
      size: of the form with one argument, the number of indices: see `nonzero`.
      fill_value: of the form with one argument, the index that fills up: see `nonzero`.

    The derivative goes to the side that is chosen; a NaN in the derivative of the other side is
    passed on by what made it (0 * nan), so keep arguments of log, sqrt and the like in their domain
    on both sides.

    Example:
      >>> import pullback.numpy as jnp
      >>> print(jnp.where(jnp.array([True, False]), 1.0, jnp.array([5.0, 6.0])))
      [1. 6.]
    """
    if x is None and y is None:
        return nonzero(condition, size=size, fill_value=fill_value)
    if x is None or y is None or size is not None or fill_value is not None:
        raise error(
            ValueError,
            "jnp.where takes one array or three; size and fill_value go with one.",
            got="x or y without the other"
            if x is None or y is None
            else f"three arrays, size={size}, fill_value={fill_value}",
            fix="write where(condition, x, y), or where(condition, size=n).",
        )
    mask = condition if isinstance(condition, Array) else as_array(condition, "where")
    x, y = promote("where", x, y)
    mask = truth(mask)
    if state.trace is EVAL and type(mask) is type(x) is type(y) is HostArray:
        # NumPy broadcasts by itself, which saves up to three operations of 1.5 us.
        with suppress(ValueError):
            out = np.where(mask._value, x._value, y._value)
            return HostArray(out, x._weak and y._weak)
    a, b, c = mask.shape, x.shape, y.shape
    if not a == b == c:
        shape = broadcast_shapes("where", a, b, c)
        x, y = broadcast_to(x, shape), broadcast_to(y, shape)
        mask = mask if not a else broadcast_to(mask, shape)
    return select_n(mask, y, x)


def select(condlist: Any, choicelist: Any, default: Any = 0) -> Array:
    """The choice of the first condition that holds for an element, else `default`.

    Example:
      >>> import pullback.numpy as jnp
      >>> x = jnp.arange(4)
      >>> print(jnp.select([x < 1, x < 3], [x + 10, x + 20], default=-1))
      [10 21 22 -1]
    """
    if len(condlist) != len(choicelist) or not len(condlist):
        raise error(
            ValueError,
            "condlist must be non-empty and have length equal to choicelist.",
            got=f"{len(condlist)} conditions and {len(choicelist)} choices",
            fix="give one choice for each condition.",
        )
    conditions = [truth(as_array(c, "select")) for c in condlist]
    *choices, out = promote_dtypes("select", *choicelist, default)
    shape = broadcast_shapes("select", *[x.shape for x in (*conditions, *choices, out)])
    out = broadcast_to(out, shape)
    for condition, choice in zip(reversed(conditions), reversed(choices)):
        out = select_n(broadcast_to(condition, shape), out, broadcast_to(choice, shape))
    return out


def choose(a: Any, choices: Any, out: None = None, mode: str = "raise") -> Array:
    """For each element of `a`, an integer, that element of the so-numbered choice.

    Args:
      a: integers.
      choices: a sequence of arrays; all are broadcast together.
      out: must be None.
      mode: what an integer without a choice does: "raise" (not under jit), "wrap" or "clip".
    """
    no_out("choose", out)
    at = as_array(a, "choose")
    if dtypes.kind(at.dtype) not in "iu":
        raise error(
            ValueError,
            "choose needs an array of integers.",
            got=at.aval.str_short(),
            fix="use jnp.where for bools.",
        )
    arrays = promote_dtypes("choose", *array_sequence("choose", choices))
    n = len(arrays)
    if mode == "raise":
        value = concrete(at, "`a` of jnp.choose with mode='raise'", 'use "wrap" or "clip".')
        if ((value < 0) | (value >= n)).any():
            raise error(
                ValueError,
                "invalid entry in choice array.",
                got=f"an integer outside 0 to {n - 1}",
                fix='correct it, or use mode="wrap" or "clip".',
            )
    elif mode == "wrap":
        at = at % n
    elif mode == "clip":
        at = clamp(like(at, 0), at, like(at, n - 1))
    else:
        raise error(
            ValueError,
            f"jnp.choose has no mode {mode!r}.",
            got=f"mode={mode!r}",
            fix='use "raise", "wrap" or "clip".',
        )
    shape = broadcast_shapes("choose", at.shape, *[x.shape for x in arrays])
    at = broadcast_to(convert_element_type(at, new_dtype=dtypes.int32, weak_type=False), shape)
    return select_n(at, *[broadcast_to(x, shape) for x in arrays])


# ---- where a condition holds


def nonzero(a: Any, *, size: int | None = None, fill_value: Any = None) -> tuple[Array, ...]:
    """The indices of the elements that are not zero: one array for each axis.

    Args:
      a: an array.
      size: how many indices to give; needed under jit, where the number is not known. Too many
        are cut off.
      fill_value: the index that fills up to `size`: a number, or one for each axis. By default 0.

    Example:
      >>> import pullback.numpy as jnp
      >>> print(*jnp.nonzero(jnp.array([0, 7, 0, 9])))
      [1 3]
    """
    x = as_array(a, "nonzero")
    if x.ndim == 0:
        raise error(
            ValueError,
            "Calling nonzero on 0d arrays is not allowed.",
            got=x.aval.str_short(),
            fix="use jnp.atleast_1d(scalar).nonzero() instead.",
        )
    mask = truth(x)
    if size is None:
        value = concrete(mask, "the condition of jnp.nonzero", _GIVE_SIZE)
        return tuple(from_host(i, dtypes.default_int()) for i in np.nonzero(value))
    size = integer(size, "`size` of jnp.nonzero")
    flat, count = first_true(mask, size)
    fills = _fills(fill_value, x.ndim)
    here = ge(count, _from_one(size)) if size else None
    found = []
    for i, n in enumerate(x.shape):
        step = int(np.prod(x.shape[i + 1 :]))
        places = (flat // step % n if n and step else flat) if size else flat
        places = convert_element_type(places, new_dtype=dtypes.default_int(), weak_type=False)
        if size:
            places = masked(here, places, astype(as_array(fills[i], "nonzero"), places.dtype))
        found.append(places)
    return tuple(found)


def first_true(mask: Any, size: int) -> tuple[Any, Any]:
    """The places of the first `size` that hold in the flattened mask, and the number of all."""
    flat = reshape(mask, new_sizes=(mask.size,))
    if not mask.size:
        zero = HostArray(np.int32(0))
        return filled_like((size,), zero), zero
    counts = convert_element_type(flat, new_dtype=dtypes.int32, weak_type=False)
    counts = cumulative.cumsum(counts, axis=0, reverse=False)
    # The k-th that holds is at the first place where k are counted.
    places = searchsorted(counts, _from_one(size), side="left")
    last = taken(counts, HostArray(np.int32(mask.size - 1)), 0)
    return places, broadcast_in_dim(last, shape=(size,), broadcast_dimensions=())


def _from_one(size: int) -> Any:
    return HostArray(np.arange(1, size + 1, dtype=np.int32))


def _fills(fill_value: Any, rank: int) -> tuple[Any, ...]:
    fills = fill_value if isinstance(fill_value, tuple) else (fill_value,) * rank
    if len(fills) != rank or any(np.ndim(f) for f in fills if f is not None):
        raise error(
            ValueError,
            f"fill_value must be a scalar or a tuple of length {rank}.",
            got=f"fill_value={fill_value!r:.80}",
            fix="give one index for all axes, or one for each.",
        )
    return tuple(0 if f is None else f for f in fills)


def flatnonzero(a: Any, *, size: int | None = None, fill_value: Any = None) -> Array:
    """The indices, in the flattened array, of the elements that are not zero; see `nonzero`."""
    return nonzero(ravel(a), size=size, fill_value=fill_value)[0]


def argwhere(a: Any, *, size: int | None = None, fill_value: Any = None) -> Array:
    """The indices of the elements that are not zero: a row for each; see `nonzero`."""
    x = as_array(a, "argwhere")
    if x.ndim == 0:
        (found,) = nonzero(ravel(x), size=size, fill_value=fill_value)
        return HostArray(np.zeros((found.shape[0], 0), dtypes.default_int()))
    return transpose(stack(nonzero(x, size=size, fill_value=fill_value)))


def compress(
    condition: Any,
    a: Any,
    axis: int | None = None,
    *,
    size: int | None = None,
    fill_value: Any = 0,
    out: None = None,
) -> Array:
    """The slices of `a` along `axis` where `condition` holds; elements if the axis is None.

    Args:
      condition: bools along the axis; missing ones count as False.
      a: an array.
      axis: the axis; None: `a` is flattened.
      size: how many to give; needed under jit.
      fill_value: what fills up to `size`.
      out: must be None.
    """
    no_out("compress", out)
    mask, x = as_arrays("compress", condition, a)
    mask = truth(mask)
    if mask.ndim != 1:
        raise error(
            ValueError,
            "condition must be a 1D array.",
            got=mask.aval.str_short(),
            fix="use jnp.extract for a condition of the array's shape.",
        )
    x, i = (ravel(x), 0) if axis is None else (x, axis_number(axis, x.ndim))
    x = moveaxis(x, i, 0)
    n = x.shape[0]
    if mask.shape[0] > n:
        if size is None and concrete(mask, "the condition of jnp.compress", _GIVE_SIZE)[n:].any():
            raise error(
                ValueError,
                "condition contains entries that are out of bounds.",
                got=f"{mask.shape[0]} bools for an axis of length {n}",
                fix="cut the condition to the length of the axis.",
            )
        mask = mask[:n]
    return moveaxis(_chosen(mask, x[: mask.shape[0]], size, fill_value), 0, i)


def _chosen(mask: Any, x: Any, size: int | None, fill_value: Any) -> Any:
    if size is None:
        value = concrete(mask, "the condition of jnp.compress", _GIVE_SIZE)
        return taken(x, from_host(np.flatnonzero(value), dtypes.int32), 0)
    size = integer(size, "`size` of jnp.compress")
    if not 0 <= size <= x.shape[0]:
        raise error(
            ValueError,
            "size must not be negative and not greater than the size of the array axis.",
            got=f"size={size} for an axis of length {x.shape[0]}",
            fix=f"give 0 to {x.shape[0]}.",
        )
    places, count = first_true(mask, size)
    found = taken(x, clamp(like(places, 0), places, like(places, max(0, x.shape[0] - 1))), 0)
    here = expand(ge(count, _from_one(size)), tuple(range(1, x.ndim)))
    fill = astype(as_array(fill_value, "compress"), x.dtype)
    return masked(broadcast_to(here, found.shape), found, fill)


def extract(condition: Any, arr: Any, *, size: int | None = None, fill_value: Any = 0) -> Array:
    """The elements of `arr` where `condition` holds, along one axis; see `compress`."""
    return compress(ravel(condition), ravel(arr), size=size, fill_value=fill_value)


def place(arr: Any, mask: Any, vals: Any, *, inplace: bool = True) -> Array:
    """The array `arr` with `vals`, one after the other and again, where `mask` holds."""
    if inplace:
        raise error(
            ValueError,
            "jnp.place cannot modify arrays in-place, because arrays are immutable.",
            got="inplace=True",
            fix="pass inplace=False and use the array that is returned.",
        )
    x, mask, vals = as_arrays("place", arr, mask, vals)
    mask = broadcast_to(truth(mask), x.shape)
    counts = convert_element_type(ravel(mask), new_dtype=dtypes.int32, weak_type=False)
    counts = cumulative.cumsum(counts, axis=0, reverse=False)
    values = taken(ravel(astype(vals, x.dtype)), (counts - 1) % vals.size, 0)
    return select_n(mask, x, reshape(values, new_sizes=x.shape))
