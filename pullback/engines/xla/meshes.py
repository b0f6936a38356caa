"""The meshes of a module for several devices, and shardings over them, as Shardy writes them."""

from __future__ import annotations

from typing import Any

from ...core.device import Device
from ...core.mesh import UNCONSTRAINED, Mesh
from ...core.sharding import NamedSharding, Sharding


class Meshes:
    """The names of the meshes over these devices."""

    def __init__(self, devices: tuple[Device, ...]) -> None:
        self.devices = devices
        self._names: dict[Any, str] = {}
        self._one = False

    def name(self, mesh: Mesh) -> str:
        """That of a mesh."""
        key = tuple(mesh.devices.flat), mesh.axis_sizes
        return self._names.setdefault(key, f"@mesh{len(self._names)}")

    def head(self) -> str:
        """Their definitions."""
        lines = ["sdy.mesh @first = <[], device_ids=[0]>\n"] if self._one else []
        for (devices, sizes), name in self._names.items():
            axes = ", ".join(f'"a{i}"={n}' for i, n in enumerate(sizes))
            order = [self.devices.index(d) for d in devices]
            ids = f", device_ids={order}" if order != sorted(order) else ""
            lines.append(f"sdy.mesh {name} = <[{axes}]{ids}>\n")
        return "".join(lines)

    def on_first(self, count: int) -> str:
        """The attribute of an operation with so many results that only the first device does."""
        self._one = True
        return f"sdy.sharding = #sdy.sharding_per_value<[{', '.join(['<@first, []>'] * count)}]>"

    def axes(self, mesh: Mesh, entry: Any) -> list[str]:
        """The names of the axes in an entry of a PartitionSpec."""
        if entry is None or entry is UNCONSTRAINED:
            return []
        names = entry if isinstance(entry, tuple) else (entry,)
        return [f'"a{mesh.axis_names.index(n)}"' for n in names]

    def sharding(self, sharding: NamedSharding, rank: int) -> str:
        """As the text after `#sdy.sharding`."""
        mesh: Any = sharding.mesh
        entries = [*sharding.spec, *(None,) * (rank - len(sharding.spec))]
        shown = []
        for entry in entries:
            parts = self.axes(mesh, entry) + ["?"] * (entry is UNCONSTRAINED)
            shown.append(f"{{{', '.join(parts)}}}")
        return f"<{self.name(mesh)}, [{', '.join(shown)}]>"

    def attribute(self, sharding: Sharding | None, rank: int, mark: str = "") -> str:
        """The attributes of an argument or a result: its sharding, and `mark`."""
        found = []
        if isinstance(sharding, NamedSharding) and len(self.devices) > 1:
            found.append(f"sdy.sharding = #sdy.sharding{self.sharding(sharding, rank)}")
        if mark:
            found.append(mark)
        return f" {{{', '.join(found)}}}" if found else ""


__all__ = ["Meshes"]
