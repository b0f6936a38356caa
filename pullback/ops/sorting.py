"""Primitives that order: sort, of one array or of several together, and top_k."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import dtypes
from ..core.errors import error
from ..core.primitive import CORE, NOT_LINEAR, Primitive
from ..core.trace import inside, state, type_of
from ..core.types import ArrayType, array_type
from .indexing import take_along
from .structural import iota, move_axis, to_front


class Sort(Primitive):
    """`xs` in ascending order of the first `num_keys` of them along `dimension`.

    NaN comes last, the sign of zero does not count, complex numbers are ordered by their real and
    then their imaginary part. Where the keys are equal, a stable sort keeps the order.
    """

    multiple_results = True

    def typing(self, *xs: Any, dimension: int, is_stable: bool, num_keys: int) -> list[ArrayType]:
        if not xs or not 1 <= num_keys <= len(xs) or any(x.shape != xs[0].shape for x in xs):
            raise error(
                TypeError,
                "sort needs arrays of equal shape, the first num_keys of which are the keys.",
                got=f"{', '.join(x.str_short() for x in xs)}; num_keys={num_keys}",
                fix="broadcast the arrays to one shape; give num_keys from 1 to their number.",
            )
        if not 0 <= dimension < len(xs[0].shape):
            raise error(
                ValueError,
                f"axis {dimension} is out of bounds for array of dimension {len(xs[0].shape)}.",
                got=xs[0].str_short(),
                fix="a scalar has no axis to sort along." if not xs[0].shape else "count from 0.",
            )
        if any(dtypes.kind(x.dtype) == "V" for x in xs[:num_keys]):
            raise error(
                TypeError,
                "random keys have no order to sort by.",
                got=", ".join(x.str_short() for x in xs[:num_keys]),
                fix="sort by numbers, and give the random keys as a further array.",
            )
        return list(xs)

    def eval(self, *xs: Any, dimension: int, is_stable: bool, num_keys: int) -> list[Any]:
        if len(xs) == 1:
            return [_sorted(xs[0], dimension, is_stable)]
        order = _order(xs[:num_keys], dimension)
        if order.ndim == 1:
            return [x[order] for x in xs]
        return [np.take_along_axis(x, order, dimension) for x in xs]

    def forward(self, trace: Any, primals: Any, tangents: Any, params: Any) -> Any:
        # The permutation that the tangents need comes out of the same sort as the values.
        with inside(trace.parent):
            *out, order = sort(*primals, _places(primals[0], params["dimension"]), **params)
        before = state.trace
        state.trace = trace.tangents
        try:
            return out, _permuted(tangents, order, params["dimension"])
        finally:
            state.trace = before

    def jvp(self, primals: Any, tangents: Any, out: Any, *, dimension: int, **params: Any) -> Any:
        order = sort(*primals, _places(primals[0], dimension), dimension=dimension, **params)[-1]
        return _permuted(tangents, order, dimension)

    transpose = NOT_LINEAR

    def vmap(self, size: int, args: Any, axes: Any, *, dimension: int, **params: Any) -> Any:
        at = next(a for a in axes if a is not None)
        if any(a != at for a in axes):
            at = 0
            args = [to_front(x, a, size) for x, a in zip(args, axes)]
        out = sort(*args, dimension=dimension + (at <= dimension), **params)
        return out, [at] * len(out)

    lower = CORE


sort = Sort()


def _places(x: Any, axis: int) -> Any:
    return iota(dtype=dtypes.int32, shape=type_of(x).shape, dimension=axis)


def _permuted(tangents: Any, order: Any, axis: int) -> list[Any]:
    return [None if t is None else take_along(t, order, axis) for t in tangents]


def argsort(x: Any, axis: int, is_stable: bool = True) -> Any:
    """The int32 places that `x` must be read at, along `axis`, to be in ascending order."""
    places = _places(x, axis)
    return sort(x, places, dimension=axis, is_stable=is_stable, num_keys=1)[1]


class TopK(Primitive, name="top_k"):
    """The `k` largest numbers along `axis`, largest first, and their places.

    The order is IEEE's total order, in which -0 is below 0 and a NaN is above all numbers, or below
    them if its sign bit is set. Of equal numbers the one with the lower place comes first.
    """

    multiple_results = True

    def typing(self, x: Any, *, k: int, axis: int) -> list[ArrayType]:
        if dtypes.kind(x.dtype) not in "biuf":
            raise error(
                ValueError,
                "top_k takes real numbers.",
                got=x.str_short(),
                fix="take the top of jnp.abs(x), or of another real number that orders them.",
            )
        if not 0 <= axis < len(x.shape) or not 0 <= k <= x.shape[axis]:
            raise error(
                ValueError,
                "top_k needs k from 0 to the length of the axis.",
                got=f"k={k}, axis={axis} and {x.str_short()}",
                fix="give a smaller k, or a longer axis.",
            )
        shape = (*x.shape[:axis], k, *x.shape[axis + 1 :])
        return [array_type(shape, x.dtype, x.weak_type), array_type(shape, dtypes.int32, False)]

    def eval(self, x: Any, *, k: int, axis: int) -> list[Any]:
        order = _largest(np.moveaxis(x, axis, -1), k)
        order = np.moveaxis(order, -1, axis)
        return [np.take_along_axis(x, order, axis), order.astype(np.int32)]

    def jvp(self, primals: Any, tangents: Any, out: Any, *, k: int, axis: int) -> list[Any]:
        return [take_along(tangents[0], out[1], axis), None]

    transpose = NOT_LINEAR

    def vmap(self, size: int, args: Any, axes: Any, *, k: int, axis: int) -> Any:
        x = move_axis(args[0], axes[0], 0)
        return top_k(x, k=k, axis=axis + 1), [0, 0]

    lower = CORE


top_k = TopK()


# ---- ordering in NumPy


def _sorted(x: Any, axis: int, stable: bool) -> Any:
    kind = dtypes.kind(x.dtype)
    if kind == "c" and np.isnan(x).any():
        # NumPy would put 1+nanj behind 2+0j.
        return np.take_along_axis(x, _order([x], axis), axis)
    if x.dtype.kind not in "biufc":
        return np.sort(_comparable(x), axis).astype(x.dtype)
    if stable and kind == "f" and x.size > _FEW:
        # Only the signs of zeros tell a stable sort from another, which is up to 30 times as fast.
        negative = np.signbit(x[x == 0])
        stable = bool(negative.any()) and not negative.all()
    return np.sort(x, axis, kind="stable" if stable and kind in "fc" else None)


def _order(keys: Any, axis: int) -> Any:
    # The places, int64, in which to read along the axis: always a stable sort.
    columns = []
    for key in keys:
        columns += [key.real, key.imag] if key.dtype.kind == "c" else [_comparable(key)]
    if len(columns) > 1:
        return np.lexsort(columns[::-1], axis)
    (key,) = columns
    if key.dtype.itemsize > 4 or key.shape[axis] < _FEW:
        return np.argsort(key, axis, kind="stable")
    if key.dtype.kind == "f":
        key = np.where(np.isnan(key), np.float32(np.nan), key + np.float32(0))  # -0 + 0 is 0
    return _packed(_total_order(key), axis)


_FEW = 500
"""np.argsort is as fast as `_packed` here; at 100,000 numbers it takes 16 times as long."""


def _comparable(x: Any) -> Any:
    # The same numbers in a dtype that NumPy itself can sort.
    if x.dtype.kind in "biufc" and x.dtype != np.float16:
        return x
    return x.astype(np.float32 if dtypes.kind(x.dtype) == "f" else np.int8)


def _total_order(x: Any) -> Any:
    """Integers in the IEEE total order of the numbers `x`."""
    if x.dtype.kind != "f":
        return x
    bits = x.view(np.int64 if x.dtype.itemsize == 8 else np.int32)
    # Of negative numbers all bits but the sign are turned round.
    return bits ^ ((bits >> (8 * x.dtype.itemsize - 1)) & np.iinfo(bits.dtype).max)


def _packed(numbers: Any, axis: int, descending: bool = False, k: int | None = None) -> Any:
    # Sort 64-bit integers that hold the number above and the place below: they are all different,
    # so NumPy's fast sort, which is not stable, gives the stable order.
    low = 0 if numbers.dtype.kind in "bu" else np.iinfo(np.int32).min
    high = numbers.astype(np.int64) - low
    if descending:
        high = np.iinfo(np.uint32).max - high
    n = numbers.shape[axis]
    behind = numbers.ndim - 1 - axis % numbers.ndim
    place = np.arange(n, dtype=np.uint64).reshape([n] + [1] * behind)
    packed = high.astype(np.uint64) << np.uint64(32) | place
    if k is not None and 0 < k < n // 8:
        packed = np.partition(packed, k - 1, axis).take(range(k), axis)
    packed.sort(axis)
    return (packed & np.uint64(np.iinfo(np.uint32).max)).astype(np.int64)


def _largest(x: Any, k: int) -> Any:
    # The places of the k largest numbers along the last axis.
    numbers = _total_order(_comparable(x))
    if numbers.dtype.itemsize <= 4 and x.shape[-1] >= _FEW:
        return _packed(numbers, -1, descending=True, k=k)[..., :k]
    return np.argsort(~numbers, -1, kind="stable")[..., :k]  # ~ turns the order of integers round
