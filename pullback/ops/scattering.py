"""Scatters that are not linear: those that multiply, and that keep the smaller or larger number."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from ..core import dtypes
from ..core.array import HostArray
from ..core.primitive import NOT_LINEAR, Linear
from ..core.trace import type_of
from .comparison import eq
from .elementwise import add, convert_element_type, div, like, mul, select_n
from .indexing import Scatters, gather_updates, scatter_add, take_along
from .slicing import pad, slice_along
from .sorting import argsort
from .structural import broadcast_in_dim, iota, reshape, rev, zeros_of


class ScatterMul(Scatters, name="scatter-mul"):
    """`x` with its windows at `indices` multiplied by `updates`; linear in `x`"""

    combine, takes = np.multiply, "iufc"

    def jvp(self, primals: Any, tangents: Any, out: Any, **params: Any) -> Any:
        x, indices, updates = primals
        dx, _, dupdates = tangents
        total = None if dx is None else scatter_mul(dx, indices, updates, **params)
        if dupdates is not None:
            factors = _products_of_others(x, indices, updates, params)
            start = zeros_of(x) if total is None else total
            total = scatter_add(start, indices, mul(dupdates, factors), **params)
        return total

    def transpose(self, ct: Any, x: Any, indices: Any, updates: Any, **params: Any) -> list[Any]:
        if type(updates) is Linear:
            return NOT_LINEAR(ct, x, indices, updates)
        return [scatter_mul(ct, indices, updates, **params), None, None]


scatter_mul = ScatterMul()


def _products_of_others(x: Any, indices: Any, updates: Any, params: Any) -> Any:
    # For each update, what it is multiplied with in the result: the number in x, and all other
    # updates in the same place. Dividing the result by the update would fail at zero, so the
    # updates are sorted by place, and multiplied up to each one from either side.
    shape = type_of(updates).shape
    there = gather_updates(x, indices, shape, **params)
    n = prod(shape)
    if params["unique_indices"] or n < 2:
        return there
    full = type_of(x).shape
    places = add(iota(dtype=dtypes.int32, shape=(prod(full),), dimension=0), HostArray(np.int32(1)))
    places = reshape(places, new_sizes=full)  # from 1 on: 0 is that of updates which are dropped
    place = reshape(gather_updates(places, indices, shape, **params), new_sizes=(n,))
    order = argsort(place, 0)
    place = take_along(place, order, 0)
    factors = take_along(reshape(updates, new_sizes=(n,)), order, 0)
    before = _products_before(factors, place)
    after = rev(
        _products_before(rev(factors, dimensions=(0,)), rev(place, dimensions=(0,))),
        dimensions=(0,),
    )
    others = take_along(mul(before, after), argsort(order, 0), 0)
    return mul(there, reshape(others, new_sizes=shape))


def _products_before(factors: Any, place: Any) -> Any:
    # The product of all earlier factors in the same place, in log2(n) steps of doubling length.
    product = _shifted(factors, place, 1)
    step = 1
    while step < factors.shape[0]:
        product = mul(product, _shifted(product, place, step))
        step *= 2
    return product


def _shifted(factors: Any, place: Any, step: int) -> Any:
    # The factor `step` earlier if it is in the same place, else 1.
    n = factors.shape[0]
    one = like(factors, 1)
    ones = broadcast_in_dim(one, shape=factors.shape, broadcast_dimensions=())
    earlier = pad(slice_along(factors, 0, 0, n - step), one, padding_config=((step, 0, 0),))
    outside = HostArray(np.int32(-1))
    back = pad(slice_along(place, 0, 0, n - step), outside, padding_config=((step, 0, 0),))
    return select_n(eq(back, place), ones, earlier)


class Extremum(Scatters, family=True):
    """Of numbers that meet in a place, the largest or smallest; equal ones share the tangent."""

    takes = "biufc"

    def jvp(self, primals: Any, tangents: Any, out: Any, **params: Any) -> Any:
        x, indices, updates = primals
        dx, _, dupdates = tangents
        won = eq(x, out)
        updates_won = eq(updates, gather_updates(out, indices, type_of(updates).shape, **params))
        ones = (_as_numbers(won, out), _as_numbers(updates_won, out))
        winners = scatter_add(ones[0], indices, ones[1], **params)
        # No winner is found where a NaN is: nothing is shared out there.
        one = broadcast_in_dim(like(out, 1), shape=out.shape, broadcast_dimensions=())
        winners = select_n(eq(winners, like(out, 0)), winners, one)
        shared = zeros_of(x) if dx is None else select_n(won, zeros_of(dx), dx)
        if dupdates is not None:
            theirs = select_n(updates_won, zeros_of(dupdates), dupdates)
            shared = scatter_add(shared, indices, theirs, **params)
        return div(shared, winners)

    transpose = NOT_LINEAR


def _as_numbers(mask: Any, out: Any) -> Any:
    return convert_element_type(mask, new_dtype=out.dtype, weak_type=False)


class ScatterMin(Extremum, name="scatter-min"):
    """`x` with its windows at `indices` replaced by `updates` where these are smaller"""

    combine = np.minimum


scatter_min = ScatterMin()


class ScatterMax(Extremum, name="scatter-max"):
    """`x` with its windows at `indices` replaced by `updates` where these are larger"""

    combine = np.maximum


scatter_max = ScatterMax()
