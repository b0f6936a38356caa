"""Searching in what is sorted: where numbers would have to be put in to keep the order."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from ..core import dtypes
from ..core.array import HostArray
from ..core.errors import error
from ..core.primitive import NOT_LINEAR, Primitive
from ..core.types import ArrayType, array_type
from .comparison import and_, eq, lt, ne, not_, or_, shift_right_logical
from .elementwise import add, imag, real, select_n
from .indexing import take_along
from .structural import broadcast_in_dim, move_axis, reshape, to_front


class Searchsorted(Primitive):
    """For each of `queries` the first place in `x`, sorted along its last axis, to put it in.

    The axes of `x` before its last are the first axes of `queries` too. `side` is "left" for the
    place before equal elements, "right" for that after them. The order is that of `sort`.
    """

    weak_from = ()

    def typing(self, x: Any, queries: Any, *, side: str) -> ArrayType:
        batch = x.shape[:-1]
        if not x.shape or queries.shape[: len(batch)] != batch or x.dtype != queries.dtype:
            raise error(
                TypeError,
                "searchsorted needs sorted numbers along an axis, and queries of their dtype.",
                got=f"{x.str_short()} and queries {queries.str_short()}",
                fix="give a 1-d array of sorted numbers; convert the queries to its dtype.",
            )
        if dtypes.kind(x.dtype) == "V" or side not in ("left", "right"):
            raise error(
                ValueError,
                'searchsorted finds a place for numbers to the "left" or "right" of equal ones.',
                got=f"{x.str_short()}, side={side!r}",
                fix='give numbers, and side="left" or side="right".',
            )
        return array_type(queries.shape, dtypes.int32, False)

    def eval(self, x: Any, queries: Any, *, side: Any) -> Any:
        x, queries = _comparable(x), _comparable(queries)
        if x.dtype.kind == "c" and (np.isnan(x).any() or np.isnan(queries).any()):
            return _searched_complex(x, queries, side)
        if x.ndim == 1:
            return np.searchsorted(x, queries, side).astype(np.int32)
        n, batch = x.shape[-1], prod(x.shape[:-1])
        rows = zip(x.reshape(batch, n), queries.reshape(batch, -1) if batch else (), strict=True)
        out = np.empty(queries.shape, np.int32)
        table = out.reshape(batch, -1) if batch else out
        for i, (row, wanted) in enumerate(rows):
            table[i] = np.searchsorted(row, wanted, side)
        return out

    def jvp(self, primals: Any, tangents: Any, out: Any, *, side: str) -> None:
        return None

    transpose = NOT_LINEAR

    def vmap(self, size: int, args: Any, axes: Any, *, side: str) -> Any:
        (x, queries), (x_at, at) = args, axes
        if x_at is None:
            last = len(queries.shape) - 1
            return searchsorted(x, move_axis(queries, at, last), side=side), last
        x, queries = to_front(x, x_at, size), to_front(queries, at, size)
        return searchsorted(x, queries, side=side), 0

    def lower(self, x: Any, queries: Any, *, side: str) -> Any:
        # Bisection: the place is between `low` and `high`; each step halves what is between.
        n, shape = x.shape[-1], queries.shape
        flat = (*x.shape[:-1], prod(shape[len(x.shape) - 1 :]))
        wanted = reshape(queries, new_sizes=flat)
        low = broadcast_in_dim(HostArray(np.int32(0)), shape=flat, broadcast_dimensions=())
        high = broadcast_in_dim(HostArray(np.int32(n)), shape=flat, broadcast_dimensions=())
        last = HostArray(np.int32(max(0, n - 1)))
        for _ in range(n.bit_length()):
            middle = shift_right_logical(add(low, high), HostArray(np.int32(1)))
            value = take_along(x, _at_most(middle, last), len(x.shape) - 1)
            before = (
                before_in_sort(value, wanted)
                if side == "left"
                else not_(before_in_sort(wanted, value))
            )
            later = and_(before, lt(low, high))
            low = select_n(later, low, add(middle, HostArray(np.int32(1))))
            high = select_n(or_(before, not_(lt(middle, high))), middle, high)
        return reshape(low, new_sizes=shape)


searchsorted = Searchsorted()


def _comparable(x: Any) -> Any:
    # NumPy searches with its own dtypes' order only.
    if x.dtype.kind in "biufc":
        return x
    return x.astype(np.float32 if dtypes.kind(x.dtype) == "f" else np.int8)


def _searched_complex(x: Any, queries: Any, side: str) -> Any:
    # NumPy sorts 1+nanj behind 2+0j, `sort` here in front of it: count what stands before.
    rank = x.ndim - 1
    x = x.reshape(x.shape[:-1] + (1,) * (queries.ndim - rank) + x.shape[-1:])
    wanted = queries[..., None]

    def before(a: Any, b: Any) -> Any:
        return (a < b) | ((a == a) & (b != b))

    def below(a: Any, b: Any) -> Any:
        tied = (a.real == b.real) | ((a.real != a.real) & (b.real != b.real))
        return before(a.real, b.real) | (tied & before(a.imag, b.imag))

    found = below(x, wanted) if side == "left" else ~below(wanted, x)
    return found.sum(-1, dtype=np.int32)


def _at_most(x: Any, limit: Any) -> Any:
    high = broadcast_in_dim(limit, shape=x.shape, broadcast_dimensions=())
    return select_n(lt(x, limit), high, x)


def before_in_sort(x: Any, y: Any) -> Any:
    """Whether x stands before y when sorted: NaN is last, complex numbers go by real part first."""
    kind = dtypes.kind(x.dtype)
    if kind == "c":
        first, second = (real(x), real(y)), (imag(x), imag(y))
        return or_(before_in_sort(*first), and_(_tied(*first), before_in_sort(*second)))
    if kind == "f":
        return or_(lt(x, y), and_(eq(x, x), ne(y, y)))
    return lt(x, y)


def _tied(x: Any, y: Any) -> Any:
    return or_(eq(x, y), and_(ne(x, x), ne(y, y)))
