"""Cumulative sums, products, maxima and logsumexps along one axis, from either end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from ..core import dtypes
from ..core.array import HostArray
from ..core.errors import error
from ..core.primitive import CORE, NOT_LINEAR, Primitive
from ..core.types import ArrayType
from .comparison import eq, is_finite, max_, min_
from .elementwise import add, add_any, convert_element_type, div, like, mul, select_n, sub
from .functions import exp
from .slicing import concatenate, pad, slice_along
from .structural import broadcast_in_dim, rev, zero_like, zeros_of


class Cumulative(Primitive, family=True):
    """Element k is the result for elements 0 to k along `axis`; k to the last with `reverse`."""

    ufunc: ClassVar[Any]
    takes: ClassVar[str] = "iufc"

    def typing(self, x: Any, *, axis: int, reverse: bool) -> ArrayType:
        if dtypes.kind(x.dtype) not in self.takes:
            raise error(
                TypeError,
                f"{self.name} does not take {dtypes.long_name(x.dtype)} arrays.",
                got=x.str_short(),
                fix="convert with .astype(...).",
            )
        if not 0 <= axis < len(x.shape):
            raise error(
                ValueError,
                f"there is no axis {axis} to go along.",
                got=x.str_short(),
                fix=f"give an axis from 0 to {len(x.shape) - 1}." if x.shape else "give an array.",
            )
        return x

    def eval(self, x: Any, *, axis: int, reverse: bool) -> Any:
        if reverse:
            x = np.flip(x, axis)
        out = self.ufunc.accumulate(x, axis, self.inner(x.dtype))
        if out.dtype != x.dtype:
            out = out.astype(x.dtype)
        return np.flip(out, axis) if reverse else out

    def inner(self, dtype: np.dtype) -> np.dtype:
        """The dtype to compute in: rounding errors of n steps in sequence add up."""
        if dtypes.kind(dtype) == "c":
            return dtypes.complex128
        return dtypes.float64 if dtypes.kind(dtype) == "f" else dtype

    def vmap(self, size: int, args: Any, axes: Any, *, axis: int, reverse: bool) -> Any:
        (at,) = axes
        return self(args[0], axis=axis + (axis >= at), reverse=reverse), at

    transpose: Any = NOT_LINEAR
    lower: Any = CORE


class Cumsum(Cumulative):
    """Sums"""

    ufunc = np.add

    def jvp(self, primals: Any, tangents: Any, out: Any, **params: Any) -> Any:
        return cumsum(tangents[0], **params)

    def transpose(self, ct: Any, x: Any, *, axis: int, reverse: bool) -> list[Any]:
        return [cumsum(ct, axis=axis, reverse=not reverse)]


cumsum = Cumsum()


class Cumprod(Cumulative):
    """Products"""

    ufunc = np.multiply

    def jvp(self, primals: Any, tangents: Any, out: Any, *, axis: int, reverse: bool) -> Any:
        # Dual numbers: (p, dp) (q, dq) = (p q, dp q + p dq) is associative and divides by nothing.
        def product(a: Any, b: Any) -> list[Any]:
            (p, dp), (q, dq) = a, b
            return [mul(p, q), add_any(mul(dp, q), mul(p, dq))]

        return prefix_scan(product, [primals[0], tangents[0]], axis, reverse)[1]


cumprod = Cumprod()


class CumulativeExtremum(Cumulative, family=True):
    """NaN from the first NaN on. Elements that tie share the derivative."""

    choose: ClassVar[Any]

    def inner(self, dtype: np.dtype) -> np.dtype:
        return dtype

    def jvp(self, primals: Any, tangents: Any, out: Any, *, axis: int, reverse: bool) -> Any:
        # The tangent is the mean of those of the elements that equal the extremum so far: carry
        # their sum and their number.
        (x,), (dx,) = primals, tangents
        one = broadcast_in_dim(like(x, 1), shape=x.shape, broadcast_dimensions=())

        def chosen(a: Any, b: Any) -> list[Any]:
            (p, dp, np_), (q, dq, nq) = a, b
            best = type(self).choose(p, q)
            none = zeros_of(best)
            left, right = eq(p, best), eq(q, best)
            return [
                best,
                add_any(select_n(left, none, dp), select_n(right, none, dq)),
                add(select_n(left, none, np_), select_n(right, none, nq)),
            ]

        _, total, count = prefix_scan(chosen, [x, dx, one], axis, reverse)
        return div(total, count)


class Cummax(CumulativeExtremum):
    """Maxima"""

    ufunc = np.maximum
    choose = max_


cummax = Cummax()


class Cummin(CumulativeExtremum):
    """Minima"""

    ufunc = np.minimum
    choose = min_


cummin = Cummin()


class Cumlogsumexp(Cumulative):
    """log(sum(exp(x)))"""

    ufunc = np.logaddexp
    takes = "f"

    def jvp(self, primals: Any, tangents: Any, out: Any, *, axis: int, reverse: bool) -> Any:
        # The tangent is the mean of all tangents so far, with weights exp(x). Carry the largest x
        # and the sums of exp(x - largest) and of exp(x - largest) dx.
        (x,), (dx,) = primals, tangents
        one = broadcast_in_dim(like(x, 1), shape=x.shape, broadcast_dimensions=())

        def weighted(a: Any, b: Any) -> list[Any]:
            (p, s, ds), (q, r, dr) = a, b
            best = max_(p, q)
            u, v = _scale(p, best), _scale(q, best)
            return [best, add(mul(s, u), mul(r, v)), add_any(mul(ds, u), mul(dr, v))]

        _, total, weighted_total = prefix_scan(weighted, [x, one, dx], axis, reverse)
        return div(weighted_total, total)


cumlogsumexp = Cumlogsumexp()


def _scale(x: Any, best: Any) -> Any:
    """exp(x - best); where best is infinite, whether x is it."""
    finite = is_finite(best)
    distance = select_n(finite, zeros_of(x), sub(x, best))
    equal = convert_element_type(eq(x, best), new_dtype=x.dtype, weak_type=x.weak_type)
    return select_n(finite, equal, exp(distance))


# ---- the scan by which derivatives are carried along


def prefix_scan(
    combine: Callable[[list[Any], list[Any]], Sequence[Any]],
    leaves: Sequence[Any],
    axis: int,
    reverse: bool = False,
) -> list[Any]:
    """All prefixes of `leaves` along `axis` combined by an associative function, in O(n).

    `combine` takes two lists of arrays of one shape and works element by element. The first list is
    of the elements that come first (with `reverse`: last).
    """
    if not reverse:
        return _scan(combine, list(leaves), axis)
    turned = [rev(x, dimensions=(axis,)) for x in leaves]
    return [rev(y, dimensions=(axis,)) for y in _scan(combine, turned, axis)]


def _scan(combine: Any, xs: list[Any], axis: int) -> list[Any]:
    # Neighbours are combined; the scan of these is the result at odd places; combined with the next
    # element it is the result at even places.
    n = xs[0].shape[axis]
    if n < 2:
        return xs
    first = [slice_along(x, axis, 0, n - 1, 2) for x in xs]
    second = [slice_along(x, axis, 1, n, 2) for x in xs]
    odd = _scan(combine, list(combine(first, second)), axis)
    even = [slice_along(x, axis, 0, 1) for x in xs]
    if n > 2:
        before = [slice_along(y, axis, 0, (n - 1) // 2) for y in odd]
        after = [slice_along(x, axis, 2, n, 2) for x in xs]
        later = combine(before, after)
        even = [concatenate(a, b, dimension=axis) for a, b in zip(even, later, strict=True)]
    return [
        add_any(_spread(a, axis, 0, n), _spread(b, axis, 1, n))
        for a, b in zip(even, odd, strict=True)
    ]


def _spread(x: Any, axis: int, start: int, n: int) -> Any:
    """The elements of `x` at every second of `n` places from `start`, between them zeros that
    change nothing when they are added: those of floats are negative, for 0 + -0 is 0."""
    high = n - start - (2 * x.shape[axis] - 1)
    config = tuple((start, high, 1) if i == axis else (0, 0, 0) for i in range(len(x.shape)))
    zero = zero_like(x)
    if dtypes.is_inexact(x.dtype):  # `like` knows one zero only
        zero = HostArray(np.negative(np.zeros((), x.dtype))[()], True)
    return pad(x, zero, padding_config=config)
