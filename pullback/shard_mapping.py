"""shard_map and smap: a function of the part of its arguments on each device of a mesh.

There is one device, so the part is the whole, and the axes of a mesh have length 1. The function
runs under one `vmap` for each axis, which gives the axis its name for `lax.psum` and its like.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from functools import partial
from typing import Any

from . import checks
from .core.array import Array
from .core.errors import error
from .core.mesh import AbstractMesh, AxisType, PartitionSpec, mesh_in_use
from .core.pytree import flatten, leaf_paths, prefix_leaves
from .core.settings import values
from .core.trace import type_of
from .ops.structural import move_axis, reshape
from .transforms import batch


class InferFromArgs:
    """Says that a sharding is that of the arguments."""

    def __repr__(self) -> str:
        return "jax.sharding.Infer"


Infer = InferFromArgs()


def shard_map(
    f: Callable[..., Any] | None = None,
    /,
    *,
    out_specs: Any,
    in_specs: Any = Infer,
    mesh: AbstractMesh | None = None,
    axis_names: Set[Any] = frozenset(),
    check_vma: bool = True,
) -> Any:
    """`f`, applied on each device of a mesh to the parts of the arguments that are there.

    Args:
      f: a function of pytrees of arrays. In it, the axes of the mesh are named axes: `lax.psum` and
        its like work along them.
      out_specs: for each result a PartitionSpec, or a pytree of the upper part of the result's
        structure: along which axes of it the parts of the devices stand.
      in_specs: the same for each argument: how it is divided. None: not at all.
      mesh: a Mesh; by default the one in use.
      axis_names: the axes of the mesh that are named in `f`; by default all.
      check_vma: accepted for compatibility: on one device there is nothing to check.

    Raises:
      ValueError: a PartitionSpec names an axis that the mesh does not have, or has more entries
        than the array has axes; there is no mesh.
      NotImplementedError: the mesh has more than the one device there is.

    Example:
      >>> import pullback
      >>> import pullback.numpy as jnp
      >>> from pullback import lax
      >>> from pullback.sharding import PartitionSpec as P
      >>> mesh = pullback.make_mesh((1,), ("x",))
      >>> total = pullback.shard_map(
      ...     lambda x: lax.psum(x.sum(), "x"), mesh=mesh, in_specs=P("x"), out_specs=P()
      ... )
      >>> print(total(jnp.arange(4.0)))
      6.0
    """
    if f is None:
        return partial(
            shard_map,
            out_specs=out_specs,
            in_specs=in_specs,
            mesh=mesh,
            axis_names=axis_names,
            check_vma=check_vma,
        )
    checks.callable_(f, "shard_map")

    def on_devices(*args: Any) -> Any:
        used = _mesh(mesh, axis_names)
        _check_specs("in_specs", in_specs, args, used, "args")
        out = _with_names(f, used, args)
        _check_specs("out_specs", out_specs, out, used, "out")
        return out

    return checks.named_like(on_devices, f, "shard_map")


def smap(
    f: Callable[..., Any] | None = None,
    /,
    *,
    in_axes: Any = Infer,
    out_axes: Any,
    axis_name: Any,
) -> Any:
    """`shard_map` over one axis of the mesh in use, with axes of arrays by number, as in `vmap`.

    Unlike `vmap`, the axis stays: `f` gets the part of it that is on a device.

    Example:
      >>> import pullback
      >>> import pullback.numpy as jnp
      >>> from pullback import lax
      >>> with pullback.set_mesh(pullback.make_mesh((1,), ("x",))):
      ...     f = pullback.smap(lambda x: lax.psum(x, "x"), in_axes=0, out_axes=0, axis_name="x")
      ...     print(f(jnp.arange(3.0)))
      [0. 1. 2.]
    """
    if f is None:
        return partial(smap, in_axes=in_axes, out_axes=out_axes, axis_name=axis_name)
    checks.callable_(f, "smap")

    def on_devices(*args: Any) -> Any:
        used = _mesh(None, {axis_name})
        _check_axes("in_axes", in_axes, args)
        out = _with_names(f, used, args)
        _check_axes("out_axes", out_axes, out)
        return out

    return checks.named_like(on_devices, f, "smap")


def _mesh(given: Any, axis_names: Set[Any]) -> AbstractMesh:
    """The mesh, its axes in `axis_names` (all, if there are none) of type Manual."""
    mesh = mesh_in_use() if given is None else given
    if not isinstance(mesh, AbstractMesh):
        raise error(
            TypeError,
            "shard_map requires a mesh to be a Mesh or an AbstractMesh.",
            got=f"{mesh!r:.80}",
            fix="make one with jax.make_mesh.",
        )
    if mesh.empty:
        raise error(
            ValueError,
            "the mesh cannot be empty.",
            got=repr(mesh),
            fix="give mesh=, or choose one with jax.set_mesh(mesh).",
        )
    if mesh.size > 1:
        raise error(
            NotImplementedError,
            f"the mesh has {mesh.size} devices, and this engine has one.",
            got=repr(mesh),
            fix="use a mesh with axes of length 1; for named axes of any length, vmap.",
        )
    if unknown := sorted(map(str, set(axis_names) - set(mesh.axis_names))):
        raise error(
            ValueError,
            f"axis_names has names that are not axes of the mesh: {', '.join(unknown)}.",
            got=f"the axes of the mesh are {mesh.axis_names}",
            fix="name axes of the mesh.",
        )
    names = axis_names or mesh.axis_names
    return mesh.abstract_mesh.update_axis_types(dict.fromkeys(names, AxisType.Manual))


def _with_names(f: Callable[..., Any], mesh: AbstractMesh, args: Any) -> Any:
    """`f(*args)` with the manual axes of the mesh as named axes of length 1."""
    leaves, in_tree = flatten(args)
    trees: list[Any] = []

    def flat(*xs: Any) -> list[Any]:
        before, values.mesh = values.mesh, mesh
        try:
            out = f(*in_tree.unflatten(xs))
        finally:
            values.mesh = before
        outs, tree = flatten(out)
        trees.append(tree)
        return [y if isinstance(y, Array) else checks.output_array(y, "shard_map") for y in outs]

    run: Callable[..., Sequence[Any]] = flat
    for name in reversed(mesh.manual_axes):
        run = partial(_along, run, name, f)
    outs = run(*leaves)
    return trees[0].unflatten(outs)


def _along(run: Callable[..., Sequence[Any]], name: Any, f: Any, *xs: Any) -> list[Any]:
    """`run(*xs)` where `name` is an axis of length 1."""
    outs, axes = batch.vmap(run, 1, xs, [None] * len(xs), name, f)
    return [y if axis is None else _without(y, axis) for y, axis in zip(outs, axes, strict=True)]


def _without(y: Any, axis: int) -> Any:
    """`y` without an axis of length 1."""
    y = move_axis(y, axis, 0)
    return reshape(y, new_sizes=type_of(y).shape[1:])


# ---- what the user says of arguments and results


def _check_specs(what: str, specs: Any, tree: Any, mesh: AbstractMesh, name: str) -> None:
    if specs is None or isinstance(specs, InferFromArgs):
        return
    leaves, _ = flatten(tree)
    found = prefix_leaves(f"shard_map {what}", specs, tree)
    for i, (spec, x) in enumerate(zip(found, leaves, strict=True)):
        if spec is None:
            continue
        path = leaf_paths(tree, name)[i] if leaves else name
        if not isinstance(spec, PartitionSpec):
            raise error(
                TypeError,
                f"shard_map {what} must be a pytree of PartitionSpecs.",
                got=f"{spec!r:.80} for {path}",
                fix="write jax.P('x'), or jax.P() for what every device has all of.",
            )
        unknown = [n for n in spec.names() if n not in mesh.manual_axes]
        if unknown:
            raise error(
                ValueError,
                f"shard_map {what} refers to {unknown[0]!r}, which is no manual axis of the mesh.",
                got=f"{spec!r} for {path}; the manual axes are {mesh.manual_axes}",
                fix="name an axis of the mesh, or one in axis_names.",
            )
        ndim = len(type_of(x).shape)
        if len(spec) > ndim:
            raise error(
                ValueError,
                f"shard_map was given an entry of {what} that is too long for its array.",
                got=f"{spec!r} of length {len(spec)} for {path} of type {type_of(x).str_short()}",
                fix="give at most one entry for each axis; jax.P() for a scalar.",
            )


def _check_axes(what: str, axes: Any, tree: Any) -> None:
    if isinstance(axes, InferFromArgs):
        return
    found = prefix_leaves(f"smap {what}", axes, tree)
    for axis, x in zip(found, flatten(tree)[0], strict=True):
        if axis is not None and not -len(type_of(x).shape) <= axis < len(type_of(x).shape):
            raise error(
                ValueError,
                f"an entry of smap's {what} does not name an axis of its array.",
                got=f"{axis} for {type_of(x).str_short()}",
                fix="use an axis that is there, or None.",
            )
