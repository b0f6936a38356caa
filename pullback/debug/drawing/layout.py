"""Where the nodes of a graph stand: layers from top to bottom, few crossings, short edges.

Sugiyama, Tagawa & Toda, "Methods for visual understanding of hierarchical system structures", IEEE
Transactions on Systems, Man, and Cybernetics 11 (1981): layers by longest paths, the order in a
layer by barycentres. Places in a layer then solve least squares with least distances, exactly, by
pooling adjacent violators.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

from .graph import Edge, Graph, Node

GAP, DROP = 16.0, 58.0
"""Pixels between neighbours, and between the middles of layers."""
_SWEEPS = 12

Routes = dict[Edge, list[Node]]
"""For each edge the nodes that it passes: the first and last are real, those between only bend."""


def laid_out(graph: Graph, reverse: bool = False) -> tuple[Routes, float, float]:
    """Set `x` and `y` (middles) of all nodes. Routes of the edges; width and height of it all.

    With `reverse` the first layer is at the bottom.
    """
    layers, routes = _layers(graph)
    _order(layers, routes)
    _place(layers, routes)
    left = min((n.x - n.width / 2 for layer in layers for n in layer), default=0.0)
    right = max((n.x + n.width / 2 for layer in layers for n in layer), default=0.0)
    height = DROP * max(len(layers), 1)
    for i, layer in enumerate(layers):
        for node in layer:
            node.x -= left
            node.y = DROP * (i + 0.5)
            if reverse:
                node.y = height - node.y
    return routes, right - left, height


class _Bend(Node):
    """A place that a long edge passes in a layer between."""

    @property
    def width(self) -> float:
        """Next to nothing."""
        return 4.0


def _layers(graph: Graph) -> tuple[list[list[Node]], Routes]:
    depth: dict[Node, int] = {}
    comes, goes = defaultdict(list), defaultdict(list)
    for e in graph.edges:
        comes[e.target].append(e.source)
        goes[e.source].append(e.target)
    for node in graph.nodes:  # sources stand before targets
        depth[node] = max((depth[s] + 1 for s in comes[node]), default=0)
    last = max(depth.values(), default=0)
    for node in reversed(graph.nodes):
        if node.kind == "output" and not goes[node]:
            depth[node] = max(depth[node], last) if comes[node] else last
        elif not comes[node] and goes[node]:  # as near as may be to what uses it
            depth[node] = min(depth[t] for t in goes[node]) - 1
    layers: list[list[Node]] = [[] for _ in range(last + 1)]
    for node in graph.nodes:
        layers[depth[node]].append(node)
    routes: Routes = {}
    for e in graph.edges:
        between: list[Node] = []
        for i in range(depth[e.source] + 1, depth[e.target]):
            bend = _Bend("bend", "")
            layers[i].append(bend)
            between.append(bend)
        routes[e] = [e.source, *between, e.target]
    return layers, routes


def _neighbours(routes: Routes) -> tuple[dict[Node, list[Node]], dict[Node, list[Node]]]:
    above, below = defaultdict(list), defaultdict(list)
    for path in routes.values():
        for a, b in pairwise(path):
            below[a].append(b)
            above[b].append(a)
    return above, below


def _order(layers: list[list[Node]], routes: Routes) -> None:
    above, below = _neighbours(routes)
    rank = {n: float(i) for layer in layers for i, n in enumerate(layer)}
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        near = above if down else below
        for layer in layers if down else layers[::-1]:
            wish = {
                n: sum(rank[m] for m in near[n]) / len(near[n]) if near[n] else rank[n]
                for n in layer
            }
            layer.sort(key=lambda n: wish[n])
            rank.update((n, float(i)) for i, n in enumerate(layer))


def _place(layers: list[list[Node]], routes: Routes) -> None:
    above, below = _neighbours(routes)
    for layer in layers:
        x = 0.0
        for node in layer:
            node.x = x + node.width / 2
            x += node.width + GAP
    for sweep in range(_SWEEPS):
        for layer in layers if sweep % 2 == 0 else layers[::-1]:
            wishes = []
            for node in layer:
                near = [*above[node], *below[node]]
                wishes.append(sum(m.x for m in near) / len(near) if near else node.x)
            least = [(a.width + b.width) / 2 + GAP for a, b in pairwise(layer)]
            for node, x in zip(layer, _apart(wishes, least), strict=True):
                node.x = x


def _apart(wishes: Sequence[float], least: Sequence[float]) -> list[float]:
    """The places nearest to `wishes` in least squares with at least these distances in between."""
    shift, total = [0.0], 0.0
    for gap in least:
        total += gap
        shift.append(total)
    blocks: list[tuple[float, int]] = []  # mean and count of what is pooled
    for wish, s in zip(wishes, shift, strict=False):
        mean, count = wish - s, 1
        while blocks and blocks[-1][0] > mean:
            m, c = blocks.pop()
            mean, count = (mean * count + m * c) / (count + c), count + c
        blocks.append((mean, count))
    flat = [mean for mean, count in blocks for _ in range(count)]
    return [x + s for x, s in zip(flat, shift, strict=False)]


__all__ = ["DROP", "GAP", "Routes", "laid_out"]
