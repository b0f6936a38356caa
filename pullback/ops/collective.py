"""Operations between the elements of a `vmap` whose axis has a name: sums, exchanges.

Each is done by the vmap that owns the name, where the axis is an ordinary one. Others pass it on.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ..core import dtypes
from ..core.array import HostArray
from ..core.errors import error
from ..core.primitive import CORE, NOT_LINEAR, Method, Primitive
from ..core.trace import inside, state
from ..core.types import ArrayType, array_type
from .comparison import eq
from .elementwise import convert_element_type, div, like, mul, select_n
from .indexing import FILL_OR_DROP, gather
from .reduction import reduce_max, reduce_min
from .spreading import along, lies_on, mesh_exchange, mesh_permute, mesh_scatter
from .structural import (
    iota,
    move_axis,
    reduce_sum,
    reshape,
    to_front,
    zeros_of,
)
from .windows import GatherDimensionNumbers


class Collective(Primitive, family=True):
    """`axis_names` says over which axes. One array in, one out."""

    vmap: Any = Method("batch", "the vmap that has the name does the operation")
    lower: Any = CORE

    def eval(self, *xs: Any, axis_names: Any, **params: Any) -> Any:
        raise unbound(axis_names[0])

    def jvp(self, primals: Any, tangents: Any, out: Any, **params: Any) -> Any:
        return self(*tangents, **params)

    def batch(self, trace: Any, values: Any, axes: Any, params: Any) -> Any:
        (x,), (at,) = values, axes
        with inside(trace.parent):
            if trace.axis_name in params["axis_names"]:
                return self.along(trace, to_front(x, at, trace.size), **params)
            return self.beside(x, at, **params)

    def along(self, trace: Any, x: Any, **params: Any) -> Any:
        """Result and its mapped axis; the axis of the name is the first of `x`."""
        raise NotImplementedError

    def beside(self, x: Any, at: int, **params: Any) -> Any:
        """Result and its mapped axis, where the vmap is one of another name."""
        raise NotImplementedError

    def shown(self, params: dict[str, Any]) -> dict[str, Any]:
        return {
            **{k: v for k, v in params.items() if k != "axis_names"},
            "axis_name": params["axis_names"],
        }


def unbound(name: Any) -> NameError:
    """The error for a name that no vmap around has."""
    names = ", ".join(map(repr, state.axes))
    return error(
        NameError,
        f"unbound axis name: {name}",
        got=f"the names in scope are {names}" if names else "no named axis in scope",
        fix=f"call the function under vmap(..., axis_name={name!r}).",
    )


# ---- reductions over the axis


class Psum(Collective):
    """The sum over the elements."""

    def typing(self, x: Any, *, axis_names: Any) -> ArrayType:
        return x  # type: ignore[no-any-return]

    def transpose(self, ct: Any, x: Any, *, axis_names: Any) -> list[Any]:
        return [psum(ct, axis_names=axis_names)]

    def batch(self, trace: Any, values: Any, axes: Any, params: Any) -> Any:
        (x,), (at,) = values, axes
        names = params["axis_names"]
        with inside(trace.parent):
            if trace.axis_name not in names:
                return psum(x, axis_names=names), at
            # The sum of equal values is a product: exact, and no copies are made.
            out = mul(x, like(x, trace.size)) if at is None else reduce_sum(x, axes=(at,))
            rest = tuple(n for n in names if n != trace.axis_name)
            return (psum(out, axis_names=rest) if rest else out), None

    def shown(self, params: dict[str, Any]) -> dict[str, Any]:
        return {"axes": params["axis_names"], "axis_index_groups": None}


psum = Psum()


class CollectiveExtremum(Collective, family=True):
    """Elements that tie share the derivative."""

    reduction: ClassVar[Any]

    def typing(self, x: Any, *, axis_names: Any) -> ArrayType:
        return x  # type: ignore[no-any-return]

    def jvp(self, primals: Any, tangents: Any, out: Any, *, axis_names: Any) -> Any:
        (x,), (dx,) = primals, tangents
        chosen = eq(x, out)
        count = convert_element_type(chosen, new_dtype=x.dtype, weak_type=True)
        total = psum(select_n(chosen, zeros_of(dx), dx), axis_names=axis_names)
        return div(total, psum(count, axis_names=axis_names))

    def batch(self, trace: Any, values: Any, axes: Any, params: Any) -> Any:
        (x,), (at,) = values, axes
        names = params["axis_names"]
        with inside(trace.parent):
            if trace.axis_name not in names:
                return self(x, axis_names=names), at
            out = x if at is None else type(self).reduction(x, axes=(at,))
            rest = tuple(n for n in names if n != trace.axis_name)
            return (self(out, axis_names=rest) if rest else out), None

    transpose: Any = NOT_LINEAR


class Pmax(CollectiveExtremum):
    """The largest of the elements."""

    reduction = reduce_max


pmax = Pmax()


class Pmin(CollectiveExtremum):
    """The smallest of the elements."""

    reduction = reduce_min


pmin = Pmin()


# ---- exchanges


class Ppermute(Collective):
    """`perm` has pairs (source, target): a target gets the source's value, others get zeros."""

    def typing(self, x: Any, *, axis_names: Any, perm: Any) -> ArrayType:
        return x  # type: ignore[no-any-return]

    def transpose(self, ct: Any, x: Any, *, axis_names: Any, perm: Any) -> list[Any]:
        back = tuple((target, source) for source, target in perm)
        return [ppermute(ct, axis_names=axis_names, perm=back)]

    def along(self, trace: Any, x: Any, *, axis_names: Any, perm: Any) -> Any:
        mesh = lies_on(trace)
        if mesh is not None:
            return mesh_permute(x, mesh=mesh, name=trace.axis_name, at=0, perm=perm), 0
        source_of = np.full(trace.size, trace.size, np.int32)  # outside: filled with zeros
        for source, target in perm:
            source_of[target] = source
        rank = len(x.shape)
        out = gather(
            x,
            HostArray(source_of.reshape(-1, 1)),
            dimension_numbers=GatherDimensionNumbers(tuple(range(1, rank)), (0,), (0,)),
            slice_sizes=(min(1, trace.size), *x.shape[1:]),
            mode=FILL_OR_DROP,
            fill_value=0,
            unique_indices=False,
            indices_are_sorted=False,
        )
        return out, 0

    def beside(self, x: Any, at: int, **params: Any) -> Any:
        return ppermute(x, **params), at


ppermute = Ppermute()


class AllGather(Collective):
    """All elements, along axis `axis`: a new one, or with `tiled` one after the other."""

    def typing(
        self, x: Any, *, axis_names: Any, axis: int, axis_size: int, tiled: bool
    ) -> ArrayType:
        if not tiled:
            return x.with_axis(axis, axis_size)  # type: ignore[no-any-return]
        return array_type(_resized(x.shape, axis, x.shape[axis] * axis_size), x.dtype, x.weak_type)

    def transpose(self, ct: Any, x: Any, **params: Any) -> list[Any]:
        return [psum_scatter(ct, **params)]

    def along(self, trace: Any, x: Any, *, axis: int, tiled: bool, **params: Any) -> Any:
        out = move_axis(x, 0, axis)
        if tiled:
            out = _merged(out, axis)
        mesh = lies_on(trace)
        return (out if mesh is None else along(out, mesh, {axis: None})), None

    def beside(self, x: Any, at: int, *, axis: int, tiled: bool, **params: Any) -> Any:
        x = move_axis(x, at, 0)
        return all_gather(x, axis=axis + 1, tiled=tiled, **params), 0


all_gather = AllGather()


class PsumScatter(Collective, name="reduce_scatter"):
    """The sum of the elements; each gets its part along `axis`."""

    def typing(
        self, x: Any, *, axis_names: Any, axis: int, axis_size: int, tiled: bool
    ) -> ArrayType:
        n = x.shape[axis]
        if n % axis_size or not (tiled or n == axis_size):
            raise _bad_axis("psum_scatter", x, axis, axis_size, tiled)
        if not tiled:
            return x.without_axis(axis)  # type: ignore[no-any-return]
        return array_type(_resized(x.shape, axis, n // axis_size), x.dtype, x.weak_type)

    def transpose(self, ct: Any, x: Any, **params: Any) -> list[Any]:
        return [all_gather(ct, **params)]

    def along(self, trace: Any, x: Any, *, axis: int, tiled: bool, **params: Any) -> Any:
        n = x.shape[axis + 1]
        if n % trace.size or not (tiled or n == trace.size):
            raise _bad_axis("psum_scatter", x.aval.without_axis(0), axis, trace.size, tiled)
        mesh = lies_on(trace)
        if mesh is not None:
            out = mesh_scatter(x, mesh=mesh, name=trace.axis_name, at=0, axis=axis + 1)
            return (out if tiled else _without(out, axis + 1)), 0
        total = reduce_sum(x, axes=(0,))
        if tiled:
            total = _parted(total, axis, trace.size)
        return total, axis

    def beside(self, x: Any, at: int, *, axis: int, tiled: bool, **params: Any) -> Any:
        x = move_axis(x, at, 0)
        return psum_scatter(x, axis=axis + 1, tiled=tiled, **params), 0


psum_scatter = PsumScatter()


class AllToAll(Collective):
    """Each element's parts along `split_axis`, one for each other one; what it gets stands along
    `concat_axis`.
    """

    def typing(
        self,
        x: Any,
        *,
        axis_names: Any,
        split_axis: int,
        concat_axis: int,
        axis_size: int,
        tiled: bool,
    ) -> ArrayType:
        n = x.shape[split_axis]
        if n % axis_size or not (tiled or n == axis_size):
            raise _bad_axis("all_to_all", x, split_axis, axis_size, tiled)
        if not tiled:
            return x.without_axis(split_axis).with_axis(concat_axis, axis_size)  # type: ignore[no-any-return]
        shape = _resized(x.shape, split_axis, n // axis_size)
        shape = _resized(shape, concat_axis, shape[concat_axis] * axis_size)
        return array_type(shape, x.dtype, x.weak_type)

    def transpose(
        self, ct: Any, x: Any, *, split_axis: int, concat_axis: int, **params: Any
    ) -> list[Any]:
        return [all_to_all(ct, split_axis=concat_axis, concat_axis=split_axis, **params)]

    def along(
        self, trace: Any, x: Any, *, split_axis: int, concat_axis: int, tiled: bool, **params: Any
    ) -> Any:
        n = x.shape[split_axis + 1]
        if n % trace.size or not (tiled or n == trace.size):
            aval = x.aval.without_axis(0)
            raise _bad_axis("all_to_all", aval, split_axis, trace.size, tiled)
        if tiled:
            x = _parted(x, split_axis + 1, trace.size)
        mesh = lies_on(trace)
        if mesh is not None:  # each part moves to its place
            x = along(x, mesh, {0: None, split_axis + 1: trace.axis_name})
        # The axis of the parts becomes the mapped one, the mapped one that of what is received.
        x = move_axis(move_axis(x, split_axis + 1, 0), 1, concat_axis + 1)
        return (_merged(x, concat_axis + 1) if tiled else x), 0

    def beside(self, x: Any, at: int, *, split_axis: int, concat_axis: int, **params: Any) -> Any:
        x = move_axis(x, at, 0)
        axes = {"split_axis": split_axis + 1, "concat_axis": concat_axis + 1}
        return all_to_all(x, **axes, **params), 0


all_to_all = AllToAll()


class GroupExchange(Collective):
    """The elements in groups. The first axis of `x` has a part for each member of the largest: of
    the result, part k is what the k-th of this element's group has for this one; zeros, where there
    is no k-th.
    """

    def typing(self, x: Any, *, axis_names: Any, groups: Any) -> ArrayType:
        return x  # type: ignore[no-any-return]

    def transpose(self, ct: Any, x: Any, **params: Any) -> list[Any]:
        return [group_exchange(ct, **params)]  # what is sent twice is back

    def along(self, trace: Any, x: Any, *, groups: Any, **params: Any) -> Any:
        mesh, count = lies_on(trace), max(map(len, groups))
        if mesh is not None and min(map(len, groups)) == count:
            name = trace.axis_name
            return mesh_exchange(x, mesh=mesh, name=name, at=0, axis=1, groups=groups), 0
        source = np.full((trace.size, count, 2), (trace.size, 0), np.int32)  # outside: zeros
        for group in groups:
            for i, a in enumerate(group):
                source[a, : len(group), 0], source[a, : len(group), 1] = group, i
        rank = len(x.shape)
        out = gather(
            x,
            HostArray(source),
            dimension_numbers=GatherDimensionNumbers(tuple(range(2, rank)), (0, 1), (0, 1)),
            slice_sizes=(1, 1, *x.shape[2:]),
            mode=FILL_OR_DROP,
            fill_value=0,
            unique_indices=False,
            indices_are_sorted=False,
        )
        return out, 0

    def beside(self, x: Any, at: int, **params: Any) -> Any:
        return group_exchange(move_axis(x, at, 1), **params), 1


group_exchange = GroupExchange()


def _resized(shape: Any, axis: int, n: int) -> tuple[int, ...]:
    return (*shape[:axis], n, *shape[axis + 1 :])


def _without(x: Any, axis: int) -> Any:
    """`x` without an axis of length 1."""
    return reshape(x, new_sizes=(*x.shape[:axis], *x.shape[axis + 1 :]))


def _merged(x: Any, axis: int) -> Any:
    """Axes `axis` and the next as one."""
    shape = tuple(x.shape)
    return reshape(x, new_sizes=(*shape[:axis], shape[axis] * shape[axis + 1], *shape[axis + 2 :]))


def _parted(x: Any, axis: int, count: int) -> Any:
    """Axis `axis` as two, the first of length `count`."""
    shape = tuple(x.shape)
    return reshape(x, new_sizes=(*shape[:axis], count, shape[axis] // count, *shape[axis + 1 :]))


def _bad_axis(name: str, x: Any, axis: int, size: int, tiled: bool) -> ValueError:
    return error(
        ValueError,
        f"{name} needs an axis of the length of the named axis"
        + (", or a multiple of it." if tiled else "; with tiled=True, a multiple of it."),
        got=f"{x.str_short()}, axis {axis}, for a named axis of length {size}",
        fix="choose another axis, or reshape.",
    )


# ---- the place of an element


class AxisIndex(Collective):
    """The number of the element along the axis."""

    weak_from = ()

    def typing(self, *, axis_names: Any) -> ArrayType:
        return array_type((), dtypes.int32, False)

    def jvp(self, primals: Any, tangents: Any, out: Any, **params: Any) -> None:
        return None

    def batch(self, trace: Any, values: Any, axes: Any, params: Any) -> Any:
        with inside(trace.parent):
            return iota(dtype=dtypes.int32, shape=(trace.size,), dimension=0), 0

    def shown(self, params: dict[str, Any]) -> dict[str, Any]:
        return {"axis_name": params["axis_names"][0]}

    transpose = NOT_LINEAR


axis_index = AxisIndex()
