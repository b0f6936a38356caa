"""pmap: vmap with one device for each element of the mapped axis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import checks
from .core.array import Array
from .core.errors import error
from .core.mesh import UNCONSTRAINED, AxisType, Mesh, PartitionSpec
from .core.pytree import flatten, flatten_call, prefix_leaves
from .core.settings import values
from .core.sharding import NamedSharding
from .core.trace import type_of
from .devices import devices as all_devices
from .jit import jit
from .mapping import axes_of_leaves, name_of, vmap
from .ops.spreading import sharding_constraint

_UNNAMED = "pmap"


def pmap(
    fun: Callable[..., Any],
    axis_name: Any = None,
    *,
    in_axes: Any = 0,
    out_axes: Any = 0,
    static_broadcasted_argnums: Any = (),
    devices: Any = None,
    backend: str | None = None,
    axis_size: int | None = None,
    donate_argnums: Any = (),
) -> Callable[..., Any]:
    """`vmap` with one device for each element of the mapped axis.

    Args:
      fun, axis_name, in_axes, out_axes, axis_size: as in `vmap`.
      static_broadcasted_argnums: positional arguments that are Python values; their entries in
        `in_axes` do not count.
      devices: those to use, at least as many as the mapped axis is long; by default the first.
      backend: the platform of the devices.
      donate_argnums: accepted for compatibility.

    Raises:
      ValueError: the mapped axis is longer than there are devices.

    Example:
      >>> import pullback
      >>> import pullback.numpy as jnp
      >>> print(pullback.pmap(jnp.sin)(jnp.zeros((1, 2))))
      [[0. 0.]]
    """
    checks.callable_(fun, "pmap")
    given = static_broadcasted_argnums
    static = {given} if isinstance(given, int) else set(given)

    def on_devices(*args: Any, **kwargs: Any) -> Any:
        if not static:
            return on_arrays(fun, in_axes, args, kwargs)
        fixed = {n % len(args): args[n] for n in static if -len(args) <= n < len(args)}
        axes = in_axes
        if isinstance(in_axes, (tuple, list)):
            axes = tuple(a for i, a in enumerate(in_axes) if i not in fixed)

        def rest(*arrays: Any, **named: Any) -> Any:
            left = iter(arrays)
            return fun(*[fixed[i] if i in fixed else next(left) for i in range(len(args))], **named)

        dynamic = tuple(x for i, x in enumerate(args) if i not in fixed)
        return on_arrays(rest, axes, dynamic, kwargs, tuple(sorted(fixed.items())))

    programs: dict[Any, Any] = {}

    def on_arrays(fun: Any, in_axes: Any, args: Any, kwargs: Any, fixed: Any = ()) -> Any:
        leaves, _ = flatten_call(args, kwargs)
        axes = axes_of_leaves(in_axes, args, kwargs)
        size = _size(leaves, axes, axis_size)
        found = all_devices(backend) if devices is None else list(devices)
        if size > len(found):
            i = next((i for i, axis in enumerate(axes) if axis is not None), 0)
            raise error(
                ValueError,
                f"compiling computation that requires {size} logical devices, but only "
                f"{len(found)} {'is' if len(found) == 1 else 'are'} available.",
                got=f"{name_of(i, args, kwargs)} of type {type_of(leaves[i]).str_short()}",
                fix="use vmap, which needs no devices.",
            )
        if size <= 1:
            return vmap(fun, in_axes, out_axes, axis_name, axis_size)(*args, **kwargs)
        name = _UNNAMED if axis_name is None else axis_name
        mesh = Mesh(found[:size], (name,), (AxisType.Auto,))
        key = (mesh, fixed)
        if key not in programs:
            run = _on_mesh(fun, in_axes, out_axes, name, mesh)
            programs[key] = jit(checks.named_like(run, fun, "pmap"))
        return programs[key](*args, **kwargs)

    return checks.named_like(on_devices, fun, "pmap")


def _size(leaves: Any, axes: Any, given: int | None) -> int:
    """The length of the mapped axis; 0 if vmap will say what is wrong with it."""
    for x, axis in zip(leaves, axes, strict=True):
        shape = getattr(x, "shape", ())
        if isinstance(axis, int) and -len(shape) <= axis < len(shape):
            return int(shape[axis])
    return given or 0


def _on_mesh(fun: Any, in_axes: Any, out_axes: Any, name: Any, mesh: Mesh) -> Callable[..., Any]:
    """The vmap whose mapped axis is laid over the mesh."""
    manual = mesh.update_axis_types({name: AxisType.Manual})

    def laid(x: Any, axis: Any) -> Any:
        if axis is None or not isinstance(x, Array):
            return x
        entries: list[Any] = [UNCONSTRAINED] * len(x.shape)
        entries[axis] = name
        return sharding_constraint(x, sharding=NamedSharding(mesh, PartitionSpec(*entries)))

    def run(*args: Any, **kwargs: Any) -> Any:
        leaves, tree = flatten_call(args, kwargs)
        axes = axes_of_leaves(in_axes, args, kwargs)
        given: Any = tree.unflatten([laid(x, a) for x, a in zip(leaves, axes, strict=True)])
        before, values.mesh = values.mesh, manual
        try:
            out = vmap(fun, in_axes, out_axes, name)(*given[0], **given[1])
        finally:
            values.mesh = before
        outs, out_tree = flatten(out)
        wanted = prefix_leaves("pmap out_axes", out_axes, out)
        return out_tree.unflatten([laid(y, a) for y, a in zip(outs, wanted, strict=True)])

    return run


__all__ = ["pmap"]
