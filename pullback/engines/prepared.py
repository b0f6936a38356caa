"""Primitives whose `eval` has work that the types of the arguments decide: it is done beforehand.

In a loop of small arrays an operation costs about 1 us, and half of that is choosing what to do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter, methodcaller
from typing import Any

import numpy as np

from ..core.types import ArrayType
from ..ops import comparison, functions, rounding
from ..ops.elementwise import neg, select_n
from ..ops.slicing import slice_
from ..ops.structural import broadcast_in_dim, reshape, squeeze, transpose

Run = Callable[..., Any]

_SMALL = 1 << 10
"""Elements up to which a broadcast array is written out at once: see `broadcast_in_dim`."""


def prepared(primitive: Any, types: Sequence[ArrayType], params: Any) -> Run | None:
    """`eval` of the primitive for arguments of these types, without parameters; None: as it is."""
    make = _MAKERS.get(primitive)
    return None if make is None else make(types, params)


def _reshape(types: Any, params: Any) -> Run:
    return methodcaller("reshape", params["new_sizes"])


def _squeeze(types: Any, params: Any) -> Run:
    dropped = params["dimensions"]
    return methodcaller(
        "reshape", tuple(n for i, n in enumerate(types[0].shape) if i not in dropped)
    )


def _transpose(types: Any, params: Any) -> Run:
    return methodcaller("transpose", params["permutation"])


def _slice(types: Any, params: Any) -> Run:
    start, limit, strides = (params[k] for k in ("start_indices", "limit_indices", "strides"))
    bounds = (start, limit) if strides is None else (start, limit, strides)
    return itemgetter(tuple(map(slice, *bounds)))


def _select(types: Any, params: Any) -> Run | None:
    if len(types) == 3 and not types[0].shape:
        return lambda which, x, y: y if which else x
    return None


def _broadcast(types: Any, params: Any) -> Run | None:
    shape, (x,) = params["shape"], types
    if np.prod(shape) > _SMALL:
        return None
    at = dict(zip(params["broadcast_dimensions"], x.shape, strict=True))
    aligned = tuple(at.get(d, 1) for d in range(len(shape)))
    if aligned == shape:
        return methodcaller("reshape", shape)
    dtype, trailing = x.dtype, aligned[len(shape) - x.ndim :] == x.shape

    def fill(x: Any) -> Any:
        out = np.empty(shape, dtype)
        out[...] = x if trailing else x.reshape(aligned)
        return out

    return fill


def _plain(ufunc: Any) -> Callable[[Any, Any], Run | None]:
    """NumPy's own function, where it keeps the dtype: for all but narrow integers."""

    def make(types: Any, params: Any) -> Run | None:
        return ufunc if types[0].dtype.isbuiltin == 1 else None

    return make


_MAKERS: dict[Any, Callable[[Any, Any], Run | None]] = {
    reshape: _reshape,
    squeeze: _squeeze,
    transpose: _transpose,
    slice_: _slice,
    select_n: _select,
    broadcast_in_dim: _broadcast,
    neg: _plain(np.negative),
    functions.square: _plain(np.square),
    comparison.max_: _plain(np.maximum),
    comparison.min_: _plain(np.minimum),
    comparison.and_: _plain(np.bitwise_and),
    comparison.or_: _plain(np.bitwise_or),
    comparison.xor: _plain(np.bitwise_xor),
    comparison.not_: _plain(np.invert),
    rounding.sign: _plain(np.sign),
}
