"""The picture of "Between forward and reverse": a linearization, and what each order costs.

python docs/pictures/accumulation.py     writes docs/pictures/accumulation.svg
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve()
sys.path.insert(0, str(HERE.parents[2]))

import pullback as pb  # noqa: E402
import pullback.numpy as jnp  # noqa: E402
from benchmarks.beyond.accumulation import FUNCTIONS, points  # noqa: E402
from pullback import accumulation  # noqa: E402
from pullback.core.program import trace_program  # noqa: E402
from pullback.core.trace import type_of  # noqa: E402

COLOURS = {"forward": "#4477aa", "reverse": "#ee9944", "cross": "#228833"}


def graph_of(name: str) -> tuple[Any, Any]:
    """The graph of scalars of a function's derivative, and the order that cross mode takes."""
    x = jnp.asarray(points(name, 1)[0])
    found: list[Any] = []

    def function(x: Any) -> list[Any]:
        f = FUNCTIONS[name](jnp)
        _, graph, _ = accumulation._graph_of(lambda x: [f(x)], [x], [True], f)
        found.append(graph.abstract())
        return []

    trace_program(function, [type_of(x)])
    return found[0], accumulation._planned(found[0])


def depths(graph: Any) -> dict[int, int]:
    """The longest path from the inputs; outputs stand in one column."""
    depth: dict[int, int] = {}
    for v in sorted(graph.preds):
        depth[v] = max((depth[u] + 1 for u in graph.preds[v]), default=0)
    last = max(depth.values())
    return {v: last if v in graph.sinks else d for v, d in depth.items()}


def drawn_graph(name: str, width: float, height: float) -> list[str]:
    """The graph, its vertices numbered in the order of their elimination."""
    graph, order = graph_of(name)
    depth, place = depths(graph), {}
    for d in range(max(depth.values()) + 1):
        column = [v for v in sorted(depth) if depth[v] == d]
        for i, v in enumerate(column):
            x = 20 + d * (width - 40) / max(depth.values())
            place[v] = x, 30 + (i + 0.5) * (height - 40) / len(column)
    out = []
    for u, w, _ in graph.edges():
        (x0, y0), (x1, y1) = place[u], place[w]
        out.append(f'<path d="M{x0:.0f} {y0:.0f}L{x1:.0f} {y1:.0f}" stroke="#bbb"/>')
    number = {v: i + 1 for i, v in enumerate(order.vertices)}
    for v, (x, y) in place.items():
        inner = v in number
        fill = "#fff" if inner else ("#cde" if v in graph.sources else "#fdc")
        out.append(f'<circle cx="{x:.0f}" cy="{y:.0f}" r="9" fill="{fill}" stroke="#444"/>')
        if inner:
            text = f'<text x="{x:.0f}" y="{y + 3:.0f}" text-anchor="middle">{number[v]}</text>'
            out.append(text)
    return out


def drawn_bars(left: float, width: float, height: float) -> list[str]:
    """The multiplications of each function in each mode."""
    out, top = [], 40.0
    for name, make in FUNCTIONS.items():
        cost = pb.accumulation_cost(make(jnp))(jnp.asarray(points(name, 1)[0]))
        out.append(f'<text x="{left}" y="{top}" font-size="12">{name}</text>')
        for mode, colour in COLOURS.items():
            value = getattr(cost, mode)
            length = value * (width - 60) / 600
            top += 20
            out.append(
                f'<rect x="{left}" y="{top - 12}" width="{length:.0f}" height="15" '
                f'fill="{colour}"/>'
                f'<text x="{left + length + 5:.0f}" y="{top}">{mode} {value}</text>'
            )
        top += 40
    return out


def main() -> None:
    """The graph of the sensitivities of Black and Scholes, and the bars of all three functions."""
    width, height = 980, 360
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="9">',
        '<rect width="100%" height="100%" fill="#fff"/>',
        '<text x="20" y="18" font-size="12">Black-Scholes, 5 inputs to 10 outputs, each vertex '
        "with its place in the order of elimination</text>",
        *drawn_graph("Black-Scholes", 680, height),
        '<text x="710" y="18" font-size="12">Multiplications</text>',
        *drawn_bars(710, 250, height),
        "</svg>",
    ]
    HERE.with_suffix(".svg").write_text("\n".join(parts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
