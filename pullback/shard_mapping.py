"""shard_map and smap: a function of the part of its arguments on each device of a mesh.

The axes of the arguments that are spread are divided in two: the place on the mesh, and the part
there. The function runs under one `vmap` for each axis of the mesh, over the places, which gives
the axis its name for `lax.psum` and its like. The places are then laid over the mesh, so that each
device does the work of its own; the compiler makes the exchanges between them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from functools import partial
from math import prod
from typing import Any

from . import checks
from .core.array import Array
from .core.errors import error
from .core.mesh import AbstractMesh, AxisType, Mesh, PartitionSpec, mesh_in_use
from .core.pytree import flatten, leaf_paths, prefix_leaves
from .core.settings import values
from .core.sharding import NamedSharding
from .core.trace import type_of
from .core.types import ArrayType
from .jit import jit
from .lax.slicing import index_in_dim
from .ops.spreading import sharding_constraint
from .ops.structural import broadcast_in_dim, move_axis, reshape, transpose
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
      check_vma: whether a result must be the same on all devices along the axes of the mesh that
        its entry of `out_specs` does not name. Without, the first device's is taken.

    Raises:
      ValueError: a PartitionSpec names an axis that the mesh does not have, or has more entries
        than the array has axes, or does not divide it evenly; a result differs along an axis that
        `out_specs` does not name; there is no mesh.

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

    programs: dict[Any, Any] = {}

    def on_devices(*args: Any) -> Any:
        used = _mesh(mesh, axis_names)
        _check_specs("in_specs", in_specs, args, used, "args")
        if isinstance(used, Mesh) and used.size > 1:
            specs = _inferred(args) if isinstance(in_specs, InferFromArgs) else in_specs
            base = mesh_in_use() if mesh is None else mesh
            key = (used, base) if specs is in_specs else (used, base, repr(specs))
            if key not in programs:
                whole = partial(_spread, f, used, base, specs, out_specs, check_vma)
                programs[key] = jit(checks.named_like(whole, f, "shard_map"))
            return programs[key](*args)
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
        if used.size > 1:
            ins = in_axes
            if not isinstance(in_axes, InferFromArgs):
                ins = _specs_of("in_axes", in_axes, args, axis_name)
            outs = _Later("out_axes", out_axes, axis_name)
            return shard_map(f, in_specs=ins, out_specs=outs, axis_names={axis_name})(*args)
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
    if mesh.size > 1 and not isinstance(mesh, Mesh):
        if mesh_in_use().empty or not isinstance(mesh_in_use(), Mesh):
            raise error(
                ValueError,
                "an AbstractMesh has no devices to run on.",
                got=repr(mesh),
                fix="choose the devices with jax.set_mesh(mesh), or give a Mesh.",
            )
        mesh = mesh_in_use()
    if unknown := sorted(map(str, set(axis_names) - set(mesh.axis_names))):
        raise error(
            ValueError,
            f"axis_names has names that are not axes of the mesh: {', '.join(unknown)}.",
            got=f"the axes of the mesh are {mesh.axis_names}",
            fix="name axes of the mesh.",
        )
    names = axis_names or mesh.axis_names
    manual = dict.fromkeys(names, AxisType.Manual)
    if mesh.size > 1:
        return mesh.update_axis_types(manual)
    return mesh.abstract_mesh.update_axis_types(manual)


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


# ---- several devices


def _spread(
    f: Callable[..., Any],
    mesh: Mesh,
    base: Any,
    in_specs: Any,
    out_specs: Any,
    check: bool,
    *args: Any,
) -> Any:
    """`f` of the parts of the arguments; what it gives, put together."""
    leaves, in_tree = flatten(args)
    found = prefix_leaves("shard_map in_specs", in_specs, args)
    specs = [PartitionSpec() if s is None else s for s in found]
    paths = leaf_paths(args, "args")
    cut = [_cut(x, s, mesh, base, path, f) for x, s, path in zip(leaves, specs, paths, strict=True)]
    trees: list[Any] = []

    def flat(*xs: Any) -> list[Any]:
        before, values.mesh = values.mesh, mesh
        try:
            outs, tree = flatten(f(*in_tree.unflatten(xs)))
        finally:
            values.mesh = before
        trees.append(tree)
        return [y if isinstance(y, Array) else checks.output_array(y, "shard_map") for y in outs]

    varying: dict[Any, list[bool]] = {}
    before, values.mesh = values.mesh, mesh
    try:
        outs = _at_all_places(flat, mesh, list(mesh.manual_axes), cut, specs, varying, f)
    finally:
        values.mesh = before
    out_tree = trees[0].unflatten(outs)
    if isinstance(out_specs, _Later):
        parts = [_shape_less(y, varying, i) for i, y in enumerate(outs)]
        out_specs = _specs_of(
            out_specs.what, out_specs.axes, trees[0].unflatten(parts), out_specs.name
        )
    else:
        kinds = [_shape_less(y, varying, i) for i, y in enumerate(outs)]
        _check_specs("out_specs", out_specs, trees[0].unflatten(kinds), mesh, "out")
    wanted = prefix_leaves("shard_map out_specs", out_specs, out_tree)
    names = leaf_paths(out_tree, "out")
    return trees[0].unflatten(
        [
            _joined(y, s, [n for n in mesh.manual_axes if varying[n][i]], mesh, base, check, path)
            for i, (y, s, path) in enumerate(zip(outs, wanted, names, strict=True))
        ]
    )


def _at_all_places(
    run: Callable[..., Sequence[Any]],
    mesh: Mesh,
    names: Sequence[Any],
    xs: Sequence[Any],
    specs: Sequence[PartitionSpec],
    varying: dict[Any, list[bool]],
    f: Any,
) -> list[Any]:
    """The results of `run` at all places, which stand along their first axes."""
    if not names:
        return list(run(*xs))
    name, *rest = names

    def inside(*ys: Any) -> list[Any]:
        return _at_all_places(run, mesh, rest, ys, specs, varying, f)

    axes = [0 if name in s.names() else None for s in specs]
    outs, found = batch.vmap(inside, mesh.shape[name], xs, axes, name, f)
    varying[name] = [a is not None for a in found]
    return [y if a is None else move_axis(y, a, 0) for y, a in zip(outs, found, strict=True)]


def _entries(spec: PartitionSpec, rank: int) -> list[tuple[Any, ...]]:
    return [PartitionSpec(p).names() for p in spec] + [()] * (rank - len(spec))


def _cut(x: Any, spec: PartitionSpec, mesh: Mesh, base: Any, path: str, f: Any) -> Any:
    """`x` with its places on the axes of the mesh in `spec` as its first axes, in their order."""
    shape = tuple(type_of(x).shape)
    entries = _entries(spec, len(shape))
    sizes: list[int] = []
    order: dict[Any, int] = {}
    parts = []
    for n, names in zip(shape, entries, strict=True):
        count = prod(mesh.shape[name] for name in names)
        if n % count:
            raise error(
                ValueError,
                f"shard_map applied to {getattr(f, '__name__', 'a function')} was given arrays "
                "whose axes are not divisible by the axes of the mesh they are spread over.",
                got=f"{path} of type {type_of(x).str_short()} for {spec!r}: {n} is no multiple of "
                f"{count}",
                fix="pad the array, or leave the axis whole.",
            )
        for name in names:
            order[name] = len(sizes)
            sizes.append(mesh.shape[name])
        parts.append(len(sizes))
        sizes.append(n // count)
    front = [name for name in mesh.manual_axes if name in order]
    if not front:
        return _constrained(x, {}, mesh, base)
    # First as it comes, so that nothing moves that is there already; then by place.
    x = _constrained(x, dict(enumerate(entries)), mesh, base)
    y = reshape(x, new_sizes=tuple(sizes))
    y = transpose(y, permutation=(*(order[name] for name in front), *parts))
    return _constrained(y, {i: (name,) for i, name in enumerate(front)}, mesh, base)


def _joined(
    y: Any, spec: Any, have: list[Any], mesh: Mesh, base: Any, check: bool, path: str
) -> Any:
    """The results at all places, the first axes of `y`, as one array."""
    spec = PartitionSpec() if spec is None else spec
    wanted = spec.names()
    for name in [n for n in have if n not in wanted]:
        if check:
            raise error(
                ValueError,
                f"shard_map out_specs requires a result to be the same along {name!r}, which "
                "cannot be inferred.",
                got=f"{spec!r} for {path}, which differs along {name!r}",
                fix=f"name {name!r} in out_specs, sum with lax.psum(..., {name!r}), or give "
                "check_vma=False to take the first device's.",
            )
        y = index_in_dim(y, 0, have.index(name), False)
        have = [n for n in have if n != name]
    for name in [n for n in wanted if n not in have]:
        shape = tuple(type_of(y).shape)
        dims = tuple(range(1, len(shape) + 1))
        y = broadcast_in_dim(y, shape=(mesh.shape[name], *shape), broadcast_dimensions=dims)
        have = [name, *have]
    part = tuple(type_of(y).shape)[len(have) :]
    entries = _entries(spec, len(part))
    places = [have.index(n) for names in entries for n in names]
    if places:
        y = _constrained(y, {i: (n,) for i, n in enumerate(have)}, mesh, base)
    permutation: list[int] = []
    for i, names in enumerate(entries):
        permutation += [*(have.index(n) for n in names), len(have) + i]
    y = transpose(y, permutation=tuple(permutation)) if permutation else y
    whole = [n * prod(mesh.shape[m] for m in names) for n, names in zip(part, entries, strict=True)]
    y = reshape(y, new_sizes=tuple(whole))
    return _constrained(y, dict(enumerate(entries)), mesh, base)


def _constrained(x: Any, entries: dict[int, Any], mesh: Mesh, base: Any) -> Any:
    """`x`, spread so; other axes whole, or as the compiler likes where an axis of the mesh is not
    manual."""
    free = None if mesh.are_all_axes_manual else PartitionSpec.UNCONSTRAINED
    spec = [entries.get(i) or free for i in range(len(type_of(x).shape))]
    sharding = NamedSharding(base if isinstance(base, Mesh) else mesh, PartitionSpec(*spec))
    return sharding_constraint(x, sharding=sharding)


class _Later:
    """The specs of results, which are known when the results are."""

    def __init__(self, what: str, axes: Any, name: Any) -> None:
        self.what, self.axes, self.name = what, axes, name


def _shape_less(y: Any, varying: dict[Any, list[bool]], i: int) -> ArrayType:
    """The type of result `i` at one place."""
    t = type_of(y)
    for found in varying.values():
        if found[i]:
            t = t.without_axis(0)
    return t


def _type(x: Any) -> ArrayType:
    return x if isinstance(x, ArrayType) else type_of(x)


def _specs_of(what: str, axes: Any, tree: Any, name: Any) -> Any:
    """The PartitionSpecs that stand for numbers of axes."""
    _check_axes(what, axes, tree)
    leaves, structure = flatten(tree)
    found = prefix_leaves(f"smap {what}", axes, tree)
    specs = []
    for axis, x in zip(found, leaves, strict=True):
        rank = len(_type(x).shape)
        entries = [None] * rank
        if axis is not None:
            entries[axis % rank] = name
        specs.append(PartitionSpec(*entries))
    return structure.unflatten(specs)


def _inferred(args: Any) -> Any:
    """How the arguments are spread already."""
    leaves, tree = flatten(args)
    found = []
    for x in leaves:
        s = getattr(x, "_sharding", None)
        found.append(s.spec if isinstance(s, NamedSharding) else PartitionSpec())
    return tree.unflatten(found)


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
        ndim = len(_type(x).shape)
        if len(spec) > ndim:
            raise error(
                ValueError,
                f"shard_map was given an entry of {what} that is too long for its array.",
                got=f"{spec!r} of length {len(spec)} for {path} of type {_type(x).str_short()}",
                fix="give at most one entry for each axis; jax.P() for a scalar.",
            )


def _check_axes(what: str, axes: Any, tree: Any) -> None:
    if isinstance(axes, InferFromArgs):
        return
    found = prefix_leaves(f"smap {what}", axes, tree)
    for axis, x in zip(found, flatten(tree)[0], strict=True):
        if axis is not None and not -len(_type(x).shape) <= axis < len(_type(x).shape):
            raise error(
                ValueError,
                f"an entry of smap's {what} does not name an axis of its array.",
                got=f"{axis} for {_type(x).str_short()}",
                fix="use an axis that is there, or None.",
            )
