"""Graphs that are laid out, as the text of an SVG picture."""

from __future__ import annotations

from html import escape
from itertools import pairwise

from .graph import Edge, Node
from .layout import Routes

_STYLE = """
text { font: 12px ui-monospace, Menlo, Consolas, monospace; text-anchor: middle; fill: #1b1f24 }
text.below { font-size: 10px; fill: #57606a }
text.head { font-weight: bold; text-anchor: start }
text.note { text-anchor: start; fill: #57606a }
rect { stroke-width: 1.2; fill: #eef4fb; stroke: #4a7ab0 }
rect.input, rect.output { fill: #ffffff; stroke: #57606a }
rect.const, rect.residual { fill: #fff4e0; stroke: #c07a10 }
rect.backward { fill: #f7eef8; stroke: #9a4fa8 }
rect.call { fill: #e9f6ec; stroke: #3a8a50 }
rect.hidden { fill: #f0f0f0; stroke: #999999; stroke-dasharray: 4 3 }
rect.page { fill: #ffffff; stroke: none }
rect.panel { fill: none; stroke: #d0d7de }
path { fill: none; stroke: #8c959f; stroke-width: 1.1 }
path.residual { stroke: #d08a20; stroke-dasharray: 5 3 }
""".strip()

MARGIN = 14.0


def clean(text: str) -> str:
    """`text` for XML: escaped, and without the characters that XML does not have."""
    kept = "".join(
        c if c >= " " or c in "\n\t" else " "
        for c in text
        if not 0xD800 <= ord(c) <= 0xDFFF and c not in "\ufffe\uffff"
    )
    return escape(kept)


def page(parts: list[str], width: float, height: float, title: str) -> str:
    """A whole picture of these parts."""
    w, h = width + 2 * MARGIN, height + 2 * MARGIN
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{w:.0f}" height="{h:.0f}" '
            f'viewBox="0 0 {w:.0f} {h:.0f}" role="img">',
            f"<title>{clean(title)}</title>",
            f"<style>{_STYLE}</style>",
            f'<rect class="page" width="{w:.0f}" height="{h:.0f}"/>',
            f'<g transform="translate({MARGIN:.0f} {MARGIN:.0f})">',
            *parts,
            "</g>",
            "</svg>",
        ]
    )


def moved(parts: list[str], x: float, y: float) -> list[str]:
    """The same parts at another place."""
    return [f'<g transform="translate({x:.1f} {y:.1f})">', *parts, "</g>"]


def text(words: str, x: float, y: float, kind: str) -> str:
    """A line of text."""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{clean(words)}</text>'


def panel(width: float, height: float) -> str:
    """A frame."""
    return f'<rect class="panel" width="{width:.1f}" height="{height:.1f}" rx="6"/>'


def drawn(nodes: list[Node], routes: Routes, reverse: bool = False) -> list[str]:
    """Edges, then nodes above them."""
    turn = -1.0 if reverse else 1.0
    parts = [_edge(edge, path, turn) for edge, path in routes.items()]
    return parts + [_node(n) for n in nodes]


def _node(n: Node) -> str:
    x, y, w, h = n.x - n.width / 2, n.y - n.height / 2, n.width, n.height
    round_ = h / 2 if n.kind in ("input", "output") else 4.0
    box = (
        f'<rect class="{n.kind}" x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}" '
        f'rx="{round_:.0f}"/>'
    )
    lines = text(n.label, n.x, n.y + (-2.0 if n.below else 4.0), "label")
    if n.below:
        lines += text(n.below, n.x, n.y + 11.0, "below")
    return f"<g><title>{clean(n.title)}</title>{box}{lines}</g>"


def _edge(edge: Edge, path: list[Node], turn: float) -> str:
    """A curve that leaves and enters each layer upright."""
    first, last = path[0], path[-1]
    points = [(n.x, n.y) for n in path]
    points[0] = first.x, first.y + turn * first.height / 2
    points[-1] = last.x, last.y - turn * last.height / 2
    d = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    for (x0, y0), (x1, y1) in pairwise(points):
        half = (y1 - y0) / 2
        d += f"C{x0:.1f} {y0 + half:.1f} {x1:.1f} {y1 - half:.1f} {x1:.1f} {y1:.1f}"
    return _path(edge, d)


def across(edge: Edge, dx: float) -> str:
    """A curve to a node of the graph that stands `dx` to the right."""
    a, b = edge.source, edge.target
    x0, x1 = a.x + a.width / 2, b.x + dx - b.width / 2
    bend = max(30.0, (x1 - x0) * 0.4)
    d = f"M{x0:.1f} {a.y:.1f}C{x0 + bend:.1f} {a.y:.1f} {x1 - bend:.1f} {b.y:.1f} {x1:.1f} "
    return _path(edge, d + f"{b.y:.1f}")


def _path(edge: Edge, d: str) -> str:
    return f'<path class="{edge.kind}" d="{d}"><title>{clean(edge.title)}</title></path>'


__all__ = ["MARGIN", "across", "clean", "drawn", "moved", "page", "panel", "text"]
