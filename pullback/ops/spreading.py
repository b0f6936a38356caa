"""Operations that say how arrays are spread over a mesh, and exchanges between its devices.

Their values do not depend on it: each is an ordinary function of whole arrays. The XLA engine
writes the exchanges as what each device does, with the collective operation of that name.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.array import Array, HostArray, Tracer
from ..core.device import deleted
from ..core.errors import error
from ..core.lazy import lazy
from ..core.mesh import UNCONSTRAINED, Mesh, PartitionSpec
from ..core.placing import as_sharding, marked
from ..core.primitive import CORE, Method, Primitive
from ..core.settings import values
from ..core.sharding import NamedSharding, Sharding
from ..core.trace import type_of
from ..core.types import ArrayType, array_type
from .structural import broadcast_in_dim, move_axis, reshape

moving = lazy("pullback.engines.xla.spread")


def placed(x: Any, sharding: Sharding | None) -> Any:
    """`x`, spread so. A traced value will be, where its program runs."""
    if sharding is None:
        return x
    if isinstance(sharding, NamedSharding) and sharding.mesh.empty:
        raise error(
            ValueError,
            "a mesh without devices is no place for an array.",
            got=repr(sharding),
            fix="take a mesh of devices, for example jax.make_mesh(...).",
        )
    if isinstance(x, Tracer):
        several = isinstance(sharding, NamedSharding) and type(sharding.mesh) is Mesh
        if not several or sharding.mesh.size == 1:  # type: ignore[attr-defined]
            return x
        return sharding_constraint(x, sharding=sharding)
    if x.is_deleted():
        raise deleted(x.aval.str_short())
    if x.elsewhere or not sharding.is_host:
        return moving.put(x, sharding)
    return marked(x, sharding)


def put_where(x: Any, device: Any, out_sharding: Any = None) -> Array:
    """`x`, put where one of these says: a Device, a Sharding, a PartitionSpec, or None: nothing.

    Raises:
      ValueError: it is something else, or a sharding that does not fit the array.
    """
    if device is None and out_sharding is None:
        return x  # type: ignore[no-any-return]
    sharding = as_sharding(out_sharding if device is None else device)
    if sharding is not None:
        sharding.shard_shape(type_of(x).shape)
    return placed(x, sharding)  # type: ignore[no-any-return]


def place_of(model: Any, shape: Any) -> Any:
    """Where an array like `model`, of this shape, is put: with it, if that was put somewhere."""
    if isinstance(model, Tracer) or getattr(model, "loose", False):
        return None
    if isinstance(model, HostArray):
        found = model._sharding if model.elsewhere else None
    else:
        found = getattr(model, "sharding", None)
    if isinstance(found, NamedSharding):
        several = type(found.mesh) is Mesh and tuple(shape) == tuple(model.shape)
        return found if several else None
    return found if isinstance(found, Sharding) else None


class ShardingConstraint(Primitive):
    """x, spread as a NamedSharding says; axes that it leaves UNCONSTRAINED in any way."""

    def typing(self, x: Any, *, sharding: NamedSharding) -> ArrayType:
        return x  # type: ignore[no-any-return]

    def eval(self, x: Any, *, sharding: NamedSharding) -> Any:
        return x

    def jvp(self, primals: Any, tangents: Any, out: Any, *, sharding: NamedSharding) -> Any:
        return sharding_constraint(tangents[0], sharding=sharding)

    def transpose(self, ct: Any, x: Any, *, sharding: NamedSharding) -> list[Any]:
        return [sharding_constraint(ct, sharding=sharding)]

    def batch(self, trace: Any, values: Any, axes: Any, params: Any) -> Any:
        (x,), (at,) = values, axes
        before = params["sharding"]
        entry = trace.axis_name if lies_on(trace) is not None else UNCONSTRAINED
        rank = len(x.shape) - 1
        entries = [*before.spec, *(None,) * (rank - len(before.spec))]
        entries.insert(at, entry)
        mesh = lies_on(trace) or before.mesh
        new = NamedSharding(mesh, PartitionSpec(*entries))
        return trace.parent.process(self, [x], {"sharding": new}), at

    vmap: Any = Method("batch", "the mesh in use says how the mapped axis is spread")

    lower = CORE


sharding_constraint = ShardingConstraint()


def lies_on(trace: Any) -> Mesh | None:
    """The mesh over one axis of which shard_map has laid the axis of a vmap; None if it has not."""
    mesh = values.mesh
    if type(mesh) is Mesh and mesh.size > 1 and trace.axis_name in mesh.manual_axes:
        return mesh
    return None


def along(x: Any, mesh: Mesh, entries: dict[int, Any]) -> Any:
    """`x`, its axes spread as `entries` says, and those not in it in any way."""
    spec = [entries.get(i, UNCONSTRAINED) for i in range(len(x.shape))]
    return sharding_constraint(x, sharding=NamedSharding(mesh, PartitionSpec(*spec)))


# ---- exchanges: axis `at` has one element for each place on the axis `name` of the mesh


class MeshPermute(Primitive, name="mesh_permute"):
    """Along axis `at`, target gets source's element for each pair in `perm`; others get zeros."""

    def typing(self, x: Any, *, mesh: Mesh, name: Any, at: int, perm: Any) -> ArrayType:
        return x  # type: ignore[no-any-return]

    def eval(self, x: Any, *, mesh: Mesh, name: Any, at: int, perm: Any) -> Any:
        out = np.zeros_like(x)
        source, target = np.moveaxis(x, at, 0), np.moveaxis(out, at, 0)
        for a, b in perm:
            target[b] = source[a]
        return out

    def jvp(self, primals: Any, tangents: Any, out: Any, **params: Any) -> Any:
        return mesh_permute(*tangents, **params)

    def transpose(self, ct: Any, x: Any, *, perm: Any, **params: Any) -> list[Any]:
        return [mesh_permute(ct, perm=tuple((b, a) for a, b in perm), **params)]

    def vmap(self, size: int, args: Any, axes: Any, *, at: int, **params: Any) -> Any:
        ((x,), (axis,)) = args, axes
        return mesh_permute(x, at=at + (axis <= at), **params), axis

    lower = CORE


mesh_permute = MeshPermute()


class MeshScatter(Primitive, name="mesh_scatter"):
    """The sum over axis `at`, of which each place there gets its part of axis `axis`."""

    def typing(self, x: Any, *, mesh: Mesh, name: Any, at: int, axis: int) -> ArrayType:
        shape = list(x.shape)
        shape[axis] //= shape[at]
        return array_type(tuple(shape), x.dtype, x.weak_type)

    def eval(self, x: Any, *, mesh: Mesh, name: Any, at: int, axis: int) -> Any:
        n, m = x.shape[at], x.shape[axis] // x.shape[at]
        total, k = x.sum(at, dtype=x.dtype), axis - (at < axis)
        parts = total.reshape(*total.shape[:k], n, m, *total.shape[k + 1 :])
        return np.ascontiguousarray(np.moveaxis(parts, k, at))

    def jvp(self, primals: Any, tangents: Any, out: Any, **params: Any) -> Any:
        return mesh_scatter(*tangents, **params)

    def transpose(self, ct: Any, x: Any, *, mesh: Mesh, name: Any, at: int, axis: int) -> list[Any]:
        shape = x.shape
        parts = move_axis(ct, at, axis - (at < axis))  # the place, before its part
        whole = [n for i, n in enumerate(shape) if i != at]
        gathered = reshape(parts, new_sizes=tuple(whole))
        gathered = along(gathered, mesh, {axis - (at < axis): None})
        dims = tuple(i for i in range(len(shape)) if i != at)
        out = broadcast_in_dim(gathered, shape=tuple(shape), broadcast_dimensions=dims)
        return [along(out, mesh, {at: name})]

    def vmap(self, size: int, args: Any, axes: Any, *, at: int, axis: int, **params: Any) -> Any:
        ((x,), (b,)) = args, axes
        return mesh_scatter(x, at=at + (b <= at), axis=axis + (b <= axis), **params), b

    lower = CORE


mesh_scatter = MeshScatter()


class MeshExchange(Primitive, name="mesh_exchange"):
    """Each place sends a part to each place of its group: part i of place p becomes part p of
    place i. `at` is the axis of the places, `axis` that of the parts; groups are of one size.
    """

    def typing(
        self, x: Any, *, mesh: Mesh, name: Any, at: int, axis: int, groups: Any
    ) -> ArrayType:
        return x  # type: ignore[no-any-return]

    def eval(self, x: Any, *, mesh: Mesh, name: Any, at: int, axis: int, groups: Any) -> Any:
        out = np.empty_like(x)
        have, given = (np.moveaxis(y, (at, axis), (0, 1)) for y in (x, out))
        for group in groups:
            for i, a in enumerate(group):
                for k, b in enumerate(group):
                    given[a, k] = have[b, i]
        return out

    def jvp(self, primals: Any, tangents: Any, out: Any, **params: Any) -> Any:
        return mesh_exchange(*tangents, **params)

    def transpose(self, ct: Any, x: Any, **params: Any) -> list[Any]:
        return [mesh_exchange(ct, **params)]  # what is sent twice is back

    def vmap(self, size: int, args: Any, axes: Any, *, at: int, axis: int, **params: Any) -> Any:
        ((x,), (b,)) = args, axes
        return mesh_exchange(x, at=at + (b <= at), axis=axis + (b <= axis), **params), b

    lower = CORE


mesh_exchange = MeshExchange()


__all__ = [
    "along",
    "lies_on",
    "mesh_exchange",
    "mesh_permute",
    "mesh_scatter",
    "placed",
    "sharding_constraint",
]
