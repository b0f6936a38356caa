"""Collective operations among groups of the elements along a named axis: `axis_index_groups`.

All are one exchange within each group, `ops.collective.group_exchange`, and what each element does
with what it got.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ..core.array import Array, HostArray
from ..core.errors import error
from ..core.trace import state, type_of
from ..ops.collective import axis_index, group_exchange
from ..ops.elementwise import select_n
from ..ops.reduction import extreme_value, reduce_max
from ..ops.structural import broadcast_in_dim, move_axis, reduce_sum, reshape
from .slicing import dynamic_index_in_dim

Groups = tuple[tuple[int, ...], ...]


def checked(groups: Any, name: Any, function: str, alike: bool) -> Groups:
    """The groups, which must have every place of the axis once; `alike`: and be of one size.

    Raises:
      ValueError: they have not, or are not.
    """
    size = state.axes[name]
    found = tuple(tuple(operator.index(i) for i in group) for group in groups)
    if sorted(i for group in found for i in group) != list(range(size)) or not all(found):
        raise error(
            ValueError,
            "axis_index_groups must cover all indices exactly once.",
            got=f"axis_index_groups={groups!r:.80} for an axis of length {size}",
            fix=f"name each of 0 to {size - 1} in one group.",
        )
    if alike and len({len(group) for group in found}) > 1:
        raise error(
            ValueError,
            f"lax.{function} needs axis_index_groups of one size.",
            got=f"axis_index_groups={groups!r:.80}",
            fix="divide the axis evenly; psum, pmax and pmin take groups of any sizes.",
        )
    return found


def count(groups: Groups, name: Any) -> int | Array:
    """The number of members of this element's group."""
    sizes = {len(group) for group in groups}
    if len(sizes) == 1:
        return sizes.pop()
    table = np.zeros(state.axes[name], np.int32)
    for group in groups:
        table[list(group)] = len(group)
    return _mine(table, name)


def members(x: Any, name: Any, groups: Groups) -> Any:
    """`x` of all in this element's group, along a new first axis, which zeros make long enough."""
    shape = tuple(x.shape)
    dims = tuple(range(1, len(shape) + 1))
    largest = max(map(len, groups))
    x = broadcast_in_dim(x, shape=(largest, *shape), broadcast_dimensions=dims)
    return group_exchange(x, axis_names=(name,), groups=groups)


def total(x: Any, name: Any, groups: Groups) -> Any:
    """The sum over this element's group."""
    return reduce_sum(members(x, name, groups), axes=(0,))


def extremum(reduction: Any, x: Any, name: Any, groups: Groups) -> Any:
    """The largest or smallest of this element's group."""
    found = members(x, name, groups)
    largest = max(map(len, groups))
    if min(map(len, groups)) < largest:
        there = np.zeros((state.axes[name], largest), bool)
        for group in groups:
            there[list(group), : len(group)] = True
        mine = broadcast_in_dim(
            _mine(there, name), shape=tuple(found.shape), broadcast_dimensions=(0,)
        )
        worst = extreme_value(x.dtype, "min" if reduction is reduce_max else "max")
        fill = HostArray(np.asarray(worst, x.dtype)[()])
        other = broadcast_in_dim(fill, shape=tuple(found.shape), broadcast_dimensions=())
        found = select_n(mine, other, found)
    return reduction(found, axes=(0,))


def gathered(x: Any, name: Any, groups: Groups, axis: int, tiled: bool) -> Any:
    """`x` of the members along `axis`: a new one, or with `tiled` one after the other."""
    out = move_axis(members(x, name, groups), 0, axis)
    return _merged(out, axis) if tiled else out


def scattered(x: Any, name: Any, groups: Groups, axis: int, tiled: bool) -> Any:
    """The sum over the group, of which each member gets its part along `axis`."""
    parts = _sent("psum_scatter", x, name, groups, axis, tiled)
    return reduce_sum(parts, axes=(0,))


def exchanged(x: Any, name: Any, groups: Groups, split: int, concat: int, tiled: bool) -> Any:
    """The parts along `split`, one for each member; what is received stands along `concat`."""
    out = move_axis(_sent("all_to_all", x, name, groups, split, tiled), 0, concat)
    return _merged(out, concat) if tiled else out


def _sent(function: str, x: Any, name: Any, groups: Groups, axis: int, tiled: bool) -> Any:
    """What the members of the group have for this element, along a new first axis."""
    size, shape = len(groups[0]), tuple(x.shape)
    n = shape[axis]
    if n % size or not (tiled or n == size):
        raise error(
            ValueError,
            f"{function} needs an axis of the length of the groups"
            + (", or a multiple of it." if tiled else "; with tiled=True, a multiple of it."),
            got=f"{type_of(x).str_short()}, axis {axis}, for groups of {size}",
            fix="choose another axis, or reshape.",
        )
    inner = (n // size,) if tiled else ()
    parts = reshape(x, new_sizes=(*shape[:axis], size, *inner, *shape[axis + 1 :]))
    return group_exchange(move_axis(parts, axis, 0), axis_names=(name,), groups=groups)


def _merged(x: Any, axis: int) -> Any:
    """Axes `axis` and the next as one."""
    shape = tuple(x.shape)
    return reshape(x, new_sizes=(*shape[:axis], shape[axis] * shape[axis + 1], *shape[axis + 2 :]))


def _mine(table: np.ndarray, name: Any) -> Any:
    """This element's row of a table."""
    return dynamic_index_in_dim(HostArray(table), axis_index(axis_names=(name,)), 0, False)


__all__ = ["checked", "count", "exchanged", "extremum", "gathered", "members", "scattered", "total"]
