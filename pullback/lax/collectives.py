"""Collective operations: between the elements of a `vmap` with an `axis_name`."""

from __future__ import annotations

import operator
from collections.abc import Hashable, Sequence
from math import prod
from typing import Any

from .. import checks
from ..core import dtypes
from ..core.array import Array, Tracer
from ..core.errors import error
from ..core.pytree import flatten
from ..core.trace import host_array, state
from ..ops import collective
from ..ops.collective import unbound
from ..ops.elementwise import add, convert_element_type, div, like, mul
from ..ops.reduction import reduce_max, reduce_min
from ..ops.structural import broadcast_in_dim, reduce_sum
from . import grouped
from .arguments import axis_of
from .conversion import convert_element_type as converted
from .slicing import index_in_dim

AxisName = Hashable


def psum(x: Any, axis_name: Any, *, axis_index_groups: Any = None) -> Any:
    """The sum of `x`, a pytree of arrays, over the elements along a named axis.

    Args:
      x: a pytree of arrays; bools are counted.
      axis_name: the name given to `vmap`, or a tuple of names; integers are axes of `x` itself.
      axis_index_groups: lists of places on the one axis that is named, each in one of them: the sum
        is that of the element's own group. JAX takes them on devices only, here `vmap` does, too.

    Raises:
      NameError: there is no such axis.
      ValueError: the groups do not have each place once.

    Example:
      >>> import pullback
      >>> import pullback.numpy as jnp
      >>> from pullback import lax
      >>> print(pullback.vmap(lambda x: x / lax.psum(x, "i"), axis_name="i")(jnp.arange(1.0, 5.0)))
      [0.1 0.2 0.3 0.4]
    """
    names, axes = _names(axis_name)
    groups = _groups(axis_index_groups, axis_name, "psum")

    def total(leaf: Any) -> Any:
        if groups and type(leaf) in (int, float, complex, bool):
            n = grouped.count(groups, names[0])
            if isinstance(n, int):
                return host_array(leaf * n)
            sizes = converted(n, host_array(leaf).dtype)
            return mul(sizes, like(sizes, leaf))
        if type(leaf) in (int, float, complex, bool) and not axes:
            return host_array(leaf * prod(state.axes[n] for n in names))
        leaf = checks.input_array(leaf, "psum")
        if leaf.dtype == dtypes.bool_:
            leaf = converted(leaf, int)
        if axes:
            leaf = reduce_sum(leaf, axes=tuple(axis_of(i, len(leaf.shape), "psum") for i in axes))
        if groups:
            return grouped.total(leaf, names[0], groups)
        return collective.psum(leaf, axis_names=names) if names else leaf

    return _map(total, x)


def pmean(x: Any, axis_name: Any, *, axis_index_groups: Any = None) -> Any:
    """The mean of `x`, a pytree of arrays, over the elements along a named axis."""
    total = psum(x, axis_name, axis_index_groups=axis_index_groups)
    count = psum(1, axis_name, axis_index_groups=axis_index_groups)
    n = None if isinstance(count, Tracer) else int(count)

    def mean(leaf: Any) -> Any:
        if dtypes.kind(leaf.dtype) in "iu":
            leaf = convert_element_type(leaf, new_dtype=dtypes.default_float(), weak_type=False)
        if n is None:  # groups of several sizes
            shape = tuple(leaf.shape)
            return div(leaf, broadcast_in_dim(converted(count, leaf.dtype), shape=shape,
                                              broadcast_dimensions=()))  # fmt: skip
        return div(leaf, like(leaf, n))

    return _map(mean, total)


def pmax(x: Any, axis_name: Any, *, axis_index_groups: Any = None) -> Any:
    """The largest of `x`, a pytree of arrays, over the elements along a named axis."""
    return _extremum(collective.pmax, reduce_max, x, axis_name, axis_index_groups)


def pmin(x: Any, axis_name: Any, *, axis_index_groups: Any = None) -> Any:
    """The smallest of `x`, a pytree of arrays, over the elements along a named axis."""
    return _extremum(collective.pmin, reduce_min, x, axis_name, axis_index_groups)


def _extremum(op: Any, reduction: Any, x: Any, axis_name: Any, groups: Any) -> Any:
    names, axes = _names(axis_name)
    chosen = _groups(groups, axis_name, op.name)

    def best(leaf: Any) -> Any:
        leaf = checks.input_array(leaf, op.name)
        if axes:
            at = tuple(axis_of(i, len(leaf.shape), op.name) for i in axes)
            leaf = reduction(leaf, axes=at)
        if chosen:
            return grouped.extremum(reduction, leaf, names[0], chosen)
        return op(leaf, axis_names=names) if names else leaf

    return _map(best, x)


def axis_index(axis_name: Any) -> Array:
    """The number of the element along a named axis; of several names the first counts most."""
    names, _ = _names(axis_name)
    out: Any = None
    for name in names:
        i = collective.axis_index(axis_names=(name,))
        out = i if out is None else add(mul(out, like(i, state.axes[name])), i)
    return out  # type: ignore[no-any-return]


def axis_size(axis_name: Any) -> int:
    """The length of a named axis, or of several together."""
    return prod(state.axes[n] for n in _names(axis_name)[0])


def ppermute(x: Any, axis_name: Any, perm: Sequence[tuple[int, int]]) -> Any:
    """`x` of the source at each target, for pairs (source, target); elsewhere zeros.

    Example:
      >>> import pullback
      >>> import pullback.numpy as jnp
      >>> from pullback import lax
      >>> shift = lambda x: lax.ppermute(x, "i", [(0, 1), (1, 2), (2, 0)])
      >>> print(pullback.vmap(shift, axis_name="i")(jnp.array([10, 20, 30])))
      [30 10 20]
    """
    name = _one_name(axis_name, "ppermute")
    size = state.axes[name]
    pairs = tuple((operator.index(a), operator.index(b)) for a, b in perm)
    sources, targets = [a for a, _ in pairs], [b for _, b in pairs]
    if (
        len(set(targets)) < len(pairs)
        or len(set(sources)) < len(pairs)
        or not all(0 <= i < size for i in (*sources, *targets))
    ):
        raise error(
            ValueError,
            "ppermute sources and destinations must be unique, and places on the axis.",
            got=f"perm={list(pairs)!r:.80} on an axis of length {size}",
            fix="name each place at most once as a source and once as a target.",
        )
    return _map(
        lambda leaf: collective.ppermute(
            checks.input_array(leaf, "ppermute"), axis_names=(name,), perm=pairs
        ),
        x,
    )


def pshuffle(x: Any, axis_name: Any, perm: Sequence[int]) -> Any:
    """`x` of element `perm[i]` at element i."""
    return ppermute(x, axis_name, list(zip(perm, range(len(perm)), strict=True)))


def pbroadcast(x: Any, axis_name: Any, source: int) -> Any:
    """`x` of element `source` at all elements."""
    name = _one_name(axis_name, "pbroadcast")
    size, at = state.axes[name], operator.index(source)
    if not 0 <= at < size:
        raise error(
            ValueError,
            "pbroadcast needs a source on the axis.",
            got=f"source {at} on an axis of length {size}",
            fix=f"use 0 to {size - 1}.",
        )
    return _map(lambda leaf: index_in_dim(all_gather(leaf, name), at, 0, False), x)


def pcast(x: Any, axis_name: Any, *, to: str) -> Any:
    """`x`: accepted for compatibility."""
    return x


def all_gather(
    x: Any,
    axis_name: Any,
    *,
    axis_index_groups: Any = None,
    axis: int = 0,
    tiled: bool = False,
    to: str = "varying",
) -> Any:
    """`x` of all elements along a named axis: on a new axis, or with `tiled` on an old one."""
    names, _ = _names(axis_name)
    groups = _groups(axis_index_groups, axis_name, "all_gather")

    def gathered(leaf: Any) -> Any:
        leaf = checks.input_array(leaf, "all_gather")
        rank = len(leaf.shape) + (not tiled)
        at = axis_of(axis, rank, "all_gather")
        if groups:
            return grouped.gathered(leaf, names[0], groups, at, bool(tiled))
        for i, name in enumerate(reversed(names)):
            leaf = collective.all_gather(
                leaf,
                axis_names=(name,),
                axis=at,
                axis_size=state.axes[name],
                tiled=bool(tiled) or i > 0,
            )
        return leaf

    return _map(gathered, x)


def psum_scatter(
    x: Any,
    axis_name: Any,
    *,
    scatter_dimension: int = 0,
    axis_index_groups: Any = None,
    tiled: bool = False,
) -> Any:
    """The sum over a named axis, of which each element gets its part along `scatter_dimension`."""
    name = _one_name(axis_name, "psum_scatter")
    groups = _groups(axis_index_groups, axis_name, "psum_scatter")

    def scattered(leaf: Any) -> Any:
        leaf = checks.input_array(leaf, "psum_scatter")
        at = axis_of(scatter_dimension, len(leaf.shape), "psum_scatter")
        if groups:
            return grouped.scattered(leaf, name, groups, at, bool(tiled))
        return collective.psum_scatter(
            leaf,
            axis_names=(name,),
            axis=at,
            axis_size=state.axes[name],
            tiled=bool(tiled),
        )

    return _map(scattered, x)


def all_to_all(
    x: Any,
    axis_name: Any,
    split_axis: int,
    concat_axis: int,
    *,
    axis_index_groups: Any = None,
    tiled: bool = False,
) -> Any:
    """Each element sends its parts along `split_axis` to the others, to stand on `concat_axis`."""
    name = _one_name(axis_name, "all_to_all")
    groups = _groups(axis_index_groups, axis_name, "all_to_all")

    def exchanged(leaf: Any) -> Any:
        leaf = checks.input_array(leaf, "all_to_all")
        rank = len(leaf.shape)
        split = axis_of(split_axis, rank, "all_to_all")
        concat = axis_of(concat_axis, rank, "all_to_all")
        if groups:
            return grouped.exchanged(leaf, name, groups, split, concat, bool(tiled))
        return collective.all_to_all(
            leaf,
            axis_names=(name,),
            split_axis=split,
            concat_axis=concat,
            axis_size=state.axes[name],
            tiled=bool(tiled),
        )

    return _map(exchanged, x)


def pswapaxes(x: Any, axis_name: Any, axis: int, *, axis_index_groups: Any = None) -> Any:
    """The named axis and an axis of `x` in each other's place."""
    return all_to_all(x, axis_name, axis, axis, axis_index_groups=axis_index_groups)


# ---- names


def _map(function: Any, x: Any) -> Any:
    leaves, tree = flatten(x)
    return tree.unflatten([function(leaf) for leaf in leaves])


def _groups(groups: Any, axis_name: Any, function: str) -> grouped.Groups | None:
    """The groups along one named axis; None where there are none."""
    if groups is None:
        return None
    name = _one_name(axis_name, f"{function} with axis_index_groups")
    return grouped.checked(groups, name, function, function not in ("psum", "pmax", "pmin"))


def _names(axis_name: Any) -> tuple[tuple[Any, ...], tuple[int, ...]]:
    """The names of axes in scope, and the axes given by number."""
    given = tuple(axis_name) if isinstance(axis_name, (tuple, list)) else (axis_name,)
    names = tuple(n for n in given if not isinstance(n, int))
    for name in names:
        if name not in state.axes:
            raise unbound(name)
    return names, tuple(n for n in given if isinstance(n, int))


def _one_name(axis_name: Any, function: str) -> Any:
    names, axes = _names(axis_name)
    if len(names) != 1 or axes:
        raise error(
            ValueError,
            f"lax.{function} works along one named axis.",
            got=f"axis_name={axis_name!r}",
            fix="give one name.",
        )
    return names[0]
