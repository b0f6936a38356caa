"""Jacobians by elimination of vertices from the graph of a linear function of scalars.

An edge u -> w carries the partial derivative of w by u. To eliminate a vertex v is to add, for each
predecessor u and successor w, the product of the edges u -> v and v -> w to the edge u -> w. When
only sources and sinks are left, their edges are the Jacobian, whatever the order was; what the
order decides is the number of multiplications: see `orders.py`. (Griewank and Reese, On the
calculation of Jacobian matrices by the Markowitz rule, 1991.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

VARIABLE = "variable"
"""The value of an edge that is known only when the program runs."""
GATE = "gate"
"""The value of an edge that is, when the program runs, either 1 or 0: a product is a selection."""


class Algebra(Protocol):
    """What values of edges can do. A float is a constant that is known now."""

    def times(self, outer: Any, inner: Any) -> Any:
        """The product of the edge out of a vertex with that into it."""

    def plus(self, one: Any, other: Any) -> Any:
        """The sum of two edges between the same vertices."""


class Graph:
    """Vertices in topological order, and edges with values. Sources and sinks are never dropped."""

    __slots__ = ("preds", "sinks", "sources", "succs")

    def __init__(self) -> None:
        self.preds: dict[int, dict[int, Any]] = {}
        self.succs: dict[int, dict[int, Any]] = {}
        self.sources: list[int] = []
        self.sinks: list[int] = []

    def vertex(self) -> int:
        """A new vertex, after all others."""
        v = len(self.preds)
        self.preds[v], self.succs[v] = {}, {}
        return v

    def source(self) -> int:
        """A new input."""
        self.sources.append(self.vertex())
        return self.sources[-1]

    def sink(self) -> int:
        """A new output."""
        self.sinks.append(self.vertex())
        return self.sinks[-1]

    def connect(self, u: int, w: int, value: Any, algebra: Algebra) -> None:
        """Add `value` to the edge u -> w. An edge that has become a constant zero is dropped."""
        old = self.preds[w].get(u)
        value = value if old is None else algebra.plus(old, value)
        if isinstance(value, float) and value == 0.0:
            self.preds[w].pop(u, None)
            self.succs[u].pop(w, None)
        else:
            self.preds[w][u] = self.succs[u][w] = value

    def eliminate(self, v: int, algebra: Algebra) -> None:
        """Take `v` out, and make up for it with edges past it."""
        ins, outs = self.preds.pop(v), self.succs.pop(v)
        for u in ins:
            del self.succs[u][v]
        for w in outs:
            del self.preds[w][v]
        for w, outer in outs.items():
            for u, inner in ins.items():
                self.connect(u, w, algebra.times(outer, inner), algebra)

    def inner(self) -> list[int]:
        """The vertices that can be eliminated, in the order of the program."""
        ends = {*self.sources, *self.sinks}
        return [v for v in sorted(self.preds) if v not in ends]

    def edges(self) -> Iterable[tuple[int, int, Any]]:
        """(from, to, value) of each edge."""
        return ((u, w, value) for w, ins in self.preds.items() for u, value in ins.items())

    def abstract(self) -> Graph:
        """The same graph with what is known of the values now, to be taken apart by a count."""
        new = Graph()
        new.sources, new.sinks = list(self.sources), list(self.sinks)
        new.preds = {v: {u: kind_of(x) for u, x in ins.items()} for v, ins in self.preds.items()}
        new.succs = {v: {w: kind_of(x) for w, x in outs.items()} for v, outs in self.succs.items()}
        return new


class Gate:
    """1 or -1 where `chosen(value)` is to give the value, 0 where it is to give zero."""

    __slots__ = ("chosen", "sign")

    def __init__(self, chosen: Callable[[Any], Any], sign: float = 1.0) -> None:
        self.chosen, self.sign = chosen, sign


def kind_of(value: Any) -> Any:
    """What is known of the value of an edge now: a float, GATE or VARIABLE."""
    if isinstance(value, (float, str)):
        return value
    return GATE if type(value) is Gate else VARIABLE


def is_unit(value: Any) -> bool:
    """Whether a product with this value costs no multiplication."""
    return isinstance(value, float) and abs(value) == 1.0


class Count:
    """The algebra that counts: multiplications and additions of numbers not known now."""

    def __init__(self) -> None:
        self.multiplications = self.additions = 0

    def times(self, outer: Any, inner: Any) -> Any:
        """The kind of the product."""
        if isinstance(outer, float) and isinstance(inner, float):
            return outer * inner
        if is_unit(outer):
            return inner
        if is_unit(inner):
            return outer
        if GATE not in (outer, inner):
            self.multiplications += 1
        return VARIABLE

    def plus(self, one: Any, other: Any) -> Any:
        """The kind of the sum."""
        if isinstance(one, float) and isinstance(other, float):
            return one + other
        self.additions += 1
        return VARIABLE


# ---- before the elimination


def trim(graph: Graph) -> None:
    """Drop the vertices that no source leads to, or that lead to no sink."""
    sources, sinks = set(graph.sources), set(graph.sinks)
    for v in graph.inner():
        if not graph.preds[v]:
            _drop(graph, v)
    for v in reversed(graph.inner()):
        if v not in sources and v not in sinks and not graph.succs[v]:
            _drop(graph, v)


def _drop(graph: Graph, v: int) -> None:
    for u in graph.preds.pop(v):
        del graph.succs[u][v]
    for w in graph.succs.pop(v):
        del graph.preds[w][v]


def contract(graph: Graph, algebra: Algebra) -> None:
    """Eliminate the vertices that are only another's name, or only a term of one sum.

    They come from rules that write `t * y + x * s` as three operations; the graphs of the
    literature have one vertex for each operation of the function. It costs no multiplication, and
    the number of edges does not grow.
    """
    for v in graph.inner():
        ins, outs = list(graph.preds[v].values()), list(graph.succs[v].values())
        if (len(ins) == 1 and is_unit(ins[0])) or (len(outs) == 1 and is_unit(outs[0])):
            graph.eliminate(v, algebra)


__all__ = [
    "GATE",
    "VARIABLE",
    "Algebra",
    "Count",
    "Gate",
    "Graph",
    "contract",
    "is_unit",
    "kind_of",
    "trim",
]
