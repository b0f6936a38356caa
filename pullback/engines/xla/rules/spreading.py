"""How arrays are spread, and exchanges between devices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ....core.errors import error
from ....core.program import Equation
from ....ops.spreading import mesh_exchange, mesh_permute, mesh_scatter, sharding_constraint
from ..lowering import Lowering, Rule
from ..text import Word


def _constraint(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    (x,) = args
    if low.meshes is None:
        return [x]
    text = low.meshes.sharding(eq.params["sharding"], x.rank)
    what = f"sharding = #sdy.sharding{text}"
    return [low.code.op("sharding_constraint", [x], x.shape, x.dtype, what, dialect="sdy")]


def _on_each(
    low: Lowering, eq: Equation, x: Word, out: tuple[Any, Any], spread: Any, body: Any
) -> list[Word]:
    """What `body` does on each device to the part that lies there along one axis of the mesh.

    `spread`: the axis of `x` and that of the result which lie along it.
    """
    mesh, name = eq.params["mesh"], eq.params["name"]
    n = mesh.shape[name]
    label = low.meshes.name(mesh)
    (axis,) = low.meshes.axes(mesh, name)
    shapes, where = [], []
    for shape in (x.shape, out[0]):
        part = list(shape)
        part[spread] //= n
        dims = ", ".join(f"{{{axis}}}" if i == spread else "{?}" for i in range(len(shape)))
        shapes.append(tuple(part))
        where.append(f"#sdy.sharding_per_value<[<{label}, [{dims}]>]>")
    with low.code.region([(shapes[0], x.dtype)]) as region:
        low.code.give([body(region.parameters[0], shapes[1])], "sdy.return")
    what = (
        f"in_shardings = {where[0]}, out_shardings = {where[1]}, "
        f"manual_axes = #sdy<manual_axes{{{axis}}}>"
    )
    return [low.code.op("manual_computation", [x], *out, what, regions=region.text, dialect="sdy")]


def _groups(low: Lowering, mesh: Any, name: Any) -> list[list[int]]:
    """The devices along one axis of the mesh, for each place on the others."""
    axis = mesh.axis_names.index(name)
    rows = mesh.devices.swapaxes(axis, -1).reshape(-1, mesh.shape[name])
    return [[low.meshes.devices.index(d) for d in row] for row in rows]


def _table(rows: Sequence[Sequence[int]]) -> str:
    width = len(rows[0]) if rows else 2
    shown = f"dense<{[list(r) for r in rows]}>" if rows else "dense<>"
    return f"{shown} : tensor<{len(rows)}x{width}xi64>"


_CHANNEL = "channel_handle = #stablehlo.channel_handle<handle = {}, type = 1>"


def _channel(low: Lowering) -> str:
    return _CHANNEL.format(low.code.count + 1)


def _permute(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    (x,), p = args, eq.params
    if low.meshes is None:
        return low.by_definition(eq, args)
    groups = _groups(low, p["mesh"], p["name"])
    pairs = [(row[a], row[b]) for row in groups for a, b in p["perm"]]

    def body(part: Word, shape: Any) -> Word:
        what = f"source_target_pairs = {_table(pairs)}, {_channel(low)}"
        return low.code.op("collective_permute", [part], shape, part.dtype, what)

    return _on_each(low, eq, x, (x.shape, x.dtype), p["at"], body)


def _scatter(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    (x,), p = args, eq.params
    if low.meshes is None:
        return low.by_definition(eq, args)
    groups = _groups(low, p["mesh"], p["name"])
    at, axis = p["at"], p["axis"]

    def body(part: Word, shape: Any) -> Word:
        with low.code.region([((), part.dtype)] * 2) as region:
            low.code.give([low.code.op("add", region.parameters, (), part.dtype)])
        what = (
            f"scatter_dimension = {axis} : i64, replica_groups = {_table(groups)}, "
            f"{_channel(low)}, use_global_device_ids"
        )
        return low.code.op("reduce_scatter", [part], shape, part.dtype, what, region.text)

    return _on_each(low, eq, x, low.result(eq), at, body)


def _exchange(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    (x,), p = args, eq.params
    if low.meshes is None:
        return low.by_definition(eq, args)
    rows = _groups(low, p["mesh"], p["name"])
    groups = [[row[i] for i in group] for row in rows for group in p["groups"]]
    axis, count = p["axis"], len(p["groups"][0])

    def body(part: Word, shape: Any) -> Word:
        what = (
            f"split_dimension = {axis} : i64, concat_dimension = {axis} : i64, "
            f"split_count = {count} : i64, replica_groups = {_table(groups)}, {_channel(low)}"
        )
        return low.code.op("all_to_all", [part], shape, part.dtype, what)

    return _on_each(low, eq, x, (x.shape, x.dtype), p["at"], body)


def _whole_bytes(rule: Rule) -> Rule:
    """`rule`, but for numbers of two bits: XLA's partitioner exchanges wrong ones."""

    def checked(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
        if low.meshes is not None and args[0].dtype.name in ("int2", "uint2"):
            raise error(
                NotImplementedError,
                f"arrays of {args[0].dtype.name} cannot be moved between devices in a program.",
                got=f"{eq.primitive.name} of {eq.invars[0].aval.str_short()}",
                fix="convert it to int8 for the exchange.",
            )
        return rule(low, eq, args)

    return checked


RULES: dict[Any, Rule] = {
    sharding_constraint: _whole_bytes(_constraint),
    mesh_exchange: _whole_bytes(_exchange),
    mesh_permute: _whole_bytes(_permute),
    mesh_scatter: _whole_bytes(_scatter),
}

__all__ = ["RULES"]
