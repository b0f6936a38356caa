"""The pictures: a program alone, or a forward and a backward program with what is kept between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...core.program import ClosedProgram, Var
from . import svg
from .graph import Edge, Graph, Names, graph_of, inlined, place_of, programs_of
from .layout import DROP, Routes, laid_out

_BETWEEN = 110.0
"""Pixels between the two passes."""
_HEAD = 26.0
_DEEPEST = 4
"""Programs in programs in programs that are drawn."""


@dataclass
class Figure:
    """A picture, and what it shows in numbers."""

    svg: str
    operations: int
    hidden: int
    residuals: int = 0
    residual_bytes: int = 0


@dataclass
class Block:
    """Parts of a picture with their size."""

    parts: list[str]
    width: float
    height: float
    operations: int = 0
    hidden: int = 0


def program_figure(
    closed: ClosedProgram, names: Names, title: str, most: int, open_: bool
) -> Figure:
    """One program; with `open_` calls are inlined, and bodies drawn below."""
    block = _program_block(closed, names, most, open_)
    below = _bodies(closed, most - min(block.operations, most), open_)
    return _finished([block, *below], title, most)


def gradient_figure(
    forward: ClosedProgram,
    backward: ClosedProgram,
    names: tuple[Names, Names],
    title: str,
    most: int,
    open_: bool,
) -> Figure:
    """Forward program, backward program, and between them the residuals.

    The last outputs of `forward`, named "", are the first inputs of `backward`.
    """
    if open_:
        forward, backward = inlined(forward), inlined(backward)
    a, b = graph_of(forward, names[0], most // 2), graph_of(backward, names[1], most - most // 2)
    places = [i for i, name in enumerate(names[0].outputs) if not name]
    kept = [forward.program.outvars[i] for i in places]
    edges, residuals = _residual_edges(a, b, kept, backward.program.invars)
    routes_a, width_a, height_a = laid_out(a)
    routes_b, width_b, height_b = laid_out(b, reverse=True)
    height = max(height_a, height_b)  # both as high: what belongs together is side by side
    _stretch(a, routes_a, height_a, height)
    _stretch(b, routes_b, height_b, height)
    shift = width_a + _BETWEEN
    parts = [
        svg.text("forward, downward", 0, 12, "head"),
        svg.text("backward, upward", shift, 12, "head"),
        *svg.moved(
            [
                *[svg.across(e, shift) for e in edges],
                *svg.drawn(a.nodes, routes_a),
                *svg.moved(svg.drawn(b.nodes, routes_b, reverse=True), shift, 0),
            ],
            0,
            _HEAD,
        ),
    ]
    size = sum(v.aval.size * v.aval.dtype.itemsize for v in residuals)
    block = Block(
        parts,
        max(shift + width_b, shift + 130),
        height + _HEAD,
        a.operations + b.operations,
        a.hidden + b.hidden,
    )
    below = [
        *_bodies(forward, most - min(block.operations, most), open_),
        *_bodies(backward, most - min(block.operations, most), open_, "backward"),
    ]
    words = f"{len(residuals)} residuals, {size:,} bytes, are kept for the backward pass (dashed)"
    figure = _finished([block, *below], title, most, words)
    figure.residuals, figure.residual_bytes = len(residuals), size
    return figure


def _stretch(graph: Graph, routes: Routes, have: float, want: float) -> None:
    """Spread the layers of a graph over another height; those at top and bottom stay there."""
    factor = (want - DROP) / (have - DROP) if have > DROP else 1.0
    for node in [*graph.nodes, *(n for path in routes.values() for n in path[1:-1])]:
        node.y = DROP / 2 + (node.y - DROP / 2) * factor


def _residual_edges(
    a: Graph, b: Graph, kept: Sequence[object], inputs: Sequence[Var]
) -> tuple[list[Edge], list[Var]]:
    """Edges from where a residual is made to where it is used; the residuals that are used."""
    edges: list[Edge] = []
    residuals: dict[Var, None] = {}
    for atom, var in zip(kept, inputs, strict=False):
        if type(atom) is not Var or atom not in a.made:
            continue
        for target in b.loose.get(var, ()):
            residuals[atom] = None
            source = a.made[atom]
            words = f"residual {atom.aval.str_short()} of {source.label}\n{source.title}"
            edge = Edge(source, target, "residual", words)
            if edge not in edges:
                edges.append(edge)
    return edges, list(residuals)


def _program_block(closed: ClosedProgram, names: Names, most: int, open_: bool) -> Block:
    graph = graph_of(inlined(closed) if open_ else closed, names, most)
    routes, width, height = laid_out(graph)
    return Block(svg.drawn(graph.nodes, routes), width, height, graph.operations, graph.hidden)


def _bodies(
    closed: ClosedProgram, most: int, open_: bool, kind: str = "op", depth: int = 0
) -> list[Block]:
    """The programs inside of equations, one below the other, each in a frame."""
    blocks: list[Block] = []
    if not open_ or depth == _DEEPEST:
        return blocks
    for eq in inlined(closed).eqns:
        for name, inner in programs_of(eq):
            if most <= 0:
                return blocks
            p = inner.program
            names = Names(
                [f"in {i}" for i in range(len(p.invars))],
                [f"out {i}" for i in range(len(p.outvars))],
                kind,
            )
            own = _program_block(inner, names, most, open_)
            most -= own.operations
            title = f"{name} of {eq.primitive.name}" + place_of(eq).replace("\n", ", ")
            blocks.append(_framed(own, title))
            deeper = _bodies(inner, most, open_, kind, depth + 1)
            most -= sum(b.operations for b in deeper)
            blocks += deeper
    return blocks


def _framed(block: Block, title: str) -> Block:
    width = max(block.width + 24.0, 7.4 * len(title) + 24.0)
    height = block.height + 40.0
    parts = [
        svg.panel(width, height),
        svg.text(title, 12, 19, "head"),
        *svg.moved(block.parts, 12, 30),
    ]
    return Block(parts, width, height, block.operations, block.hidden)


def _finished(blocks: list[Block], title: str, most: int, words: str = "") -> Figure:
    operations, hidden = (sum(getattr(b, n) for b in blocks) for n in ("operations", "hidden"))
    parts: list[str] = [svg.text(title, 0, 12, "head")]
    y = _HEAD
    for block in blocks:
        parts += svg.moved(block.parts, 0, y)
        y += block.height + 16.0
    notes = [words] if words else []
    if hidden:
        notes.append(
            f"{hidden:,} of {operations:,} operations are not drawn (max_nodes={most}): "
            "the middle of the program"
        )
    for note in notes:
        parts.append(svg.text(note, 0, y + 8, "note"))
        y += 18.0
    width = max([b.width for b in blocks] + [7.4 * len(line) for line in [title, *notes]])
    return Figure(svg.page(parts, width, y, title), operations, hidden)


__all__ = ["Figure", "gradient_figure", "program_figure"]
