"""Orders of elimination, what they cost, and the search for a cheap one.

In the order of the program, elimination is forward mode with all zeros known; in the reverse order
it is reverse mode. Griewank and Reese (1991) take the vertex of the least number of predecessors
times successors first, as Markowitz (1957) does with pivots of sparse matrices. To find the best
order is NP-complete (Naumann, Optimal Jacobian accumulation is NP-complete, 2008), and on graphs
that are long and narrow the rule can lose to the pure modes. So a few rules are tried, and the best
order found is improved by moving single vertices, at random, as long as it becomes no dearer (after
Naumann and Gottschling, Simulated annealing for optimal pivot selection in Jacobian accumulation,
2003; here without the annealing, which gained nothing on our examples).
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from .elimination import GATE, VARIABLE, Count, Graph, is_unit, kind_of


class Order(NamedTuple):
    """An order of elimination, the rule that found it, and what it costs."""

    rule: str
    vertices: tuple[int, ...]
    multiplications: int
    additions: int


def forward_order(graph: Graph) -> list[int]:
    """The order of the program: sparse forward mode."""
    return graph.inner()


def reverse_order(graph: Graph) -> list[int]:
    """The reverse order: sparse reverse mode."""
    return graph.inner()[::-1]


Score = Callable[[Graph, int], Any]


def markowitz_degree(graph: Graph, v: int) -> int:
    """Predecessors times successors (Griewank and Reese 1991)."""
    return len(graph.preds[v]) * len(graph.succs[v])


def work(graph: Graph, v: int) -> tuple[int, int]:
    """The multiplications that eliminating `v` takes, then its Markowitz degree."""
    ins, outs = graph.preds[v].values(), graph.succs[v].values()
    a, b = _counts(ins), _counts(outs)
    return a[0] * b[0] + a[0] * b[1] + a[1] * b[0], len(ins) * len(outs)


def _counts(values: Iterable[Any]) -> tuple[int, int]:
    """How many are variable, and how many are constants other than 1 and -1."""
    variable = constant = 0
    for x in values:
        variable += x == VARIABLE
        constant += isinstance(x, float) and abs(x) != 1.0
    return variable, constant


def relative_degree(graph: Graph) -> Score:
    """The Markowitz degree less its final value: sources before `v` times sinks after it.

    (Naumann, Efficient calculation of Jacobian matrices by optimized application of the chain rule
    to computational graphs, 1999.) What must be paid in any case is so not held against a vertex.
    """
    before, after = _reached(graph, graph.sources), _reached_back(graph, graph.sinks)

    def score(now: Graph, v: int) -> int:
        return markowitz_degree(now, v) - before[v].bit_count() * after[v].bit_count()

    return score


def _reached(graph: Graph, sources: Sequence[int]) -> dict[int, int]:
    """For each vertex the set of sources before it, as bits."""
    sets = {s: 1 << i for i, s in enumerate(sources)}
    for v in sorted(graph.preds):
        for u in graph.preds[v]:
            sets[v] = sets.get(v, 0) | sets.get(u, 0)
        sets.setdefault(v, 0)
    return sets


def _reached_back(graph: Graph, sinks: Sequence[int]) -> dict[int, int]:
    sets = {s: 1 << i for i, s in enumerate(sinks)}
    for v in sorted(graph.succs, reverse=True):
        for w in graph.succs[v]:
            sets[v] = sets.get(v, 0) | sets.get(w, 0)
        sets.setdefault(v, 0)
    return sets


def greedy_order(graph: Graph, score: Score, last_first: bool = False) -> list[int]:
    """The vertex of least score first, each time; of equal ones the first of the program.

    With `last_first`, the last of them.
    """
    left, count = graph.abstract(), Count()
    sign = -1 if last_first else 1
    current = {v: score(left, v) for v in left.inner()}
    heap = [(s, sign * v) for v, s in current.items()]
    heapq.heapify(heap)
    order = []
    while heap:
        s, place = heapq.heappop(heap)
        v = sign * place
        if current.get(v) != s:
            continue  # an older score of this vertex, or it is gone
        del current[v]
        near = [u for u in (*left.preds[v], *left.succs[v]) if u in current]
        left.eliminate(v, count)
        order.append(v)
        for u in near:
            new = score(left, u)
            if new != current[u]:
                current[u] = new
                heapq.heappush(heap, (new, sign * u))
    return order


def costed(graph: Graph, rule: str, vertices: Sequence[int]) -> Order:
    """What this order of elimination costs."""
    left, count = graph.abstract(), Count()
    for v in vertices:
        left.eliminate(v, count)
    return Order(rule, tuple(vertices), count.multiplications, count.additions)


MANY = 4000
"""Vertices above which only the orders of the pure modes and those of Markowitz are tried."""


def best_order(graph: Graph) -> Order:
    """The cheapest order that the rules and the search give; the pure modes are among them."""
    found = [
        costed(graph, "forward", forward_order(graph)),
        costed(graph, "reverse", reverse_order(graph)),
    ]
    rules: list[tuple[str, Score]] = [("markowitz", markowitz_degree)]
    if len(graph.preds) <= MANY:
        rules += [("work", work), ("relative markowitz", relative_degree(graph))]
    for name, score in rules:
        orders = [greedy_order(graph, score, last_first) for last_first in (False, True)]
        found += [costed(graph, name, order) for order in orders]
    best = min(found, key=_price)
    moved = costed(graph, f"{best.rule}, moved", searched(graph, best.vertices))
    return min(best, moved, key=_price)


def _price(order: Order) -> tuple[int, int]:
    return order.multiplications, order.additions


# ---- the search


MOVES = 100_000
"""Moves tried, times vertices: a fifth of a second, once for each graph."""
LARGEST_SEARCHED = 1000
"""Vertices above which so few moves would be tried that the search is left out."""


def searched(graph: Graph, order: Sequence[int]) -> list[int]:
    """`order`, after moves of single vertices that make it no dearer. Always the same moves."""
    size = len(order)
    if not 2 <= size <= LARGEST_SEARCHED:
        return list(order)
    rng, costs = random.Random(0), _Costs(graph)
    current = [costs.places[v] for v in order]
    cost = costs.of(current)
    for _ in range(MOVES // size):
        new = current.copy()
        new.insert(rng.randrange(size), new.pop(rng.randrange(size)))
        price = costs.of(new, cost)
        if price <= cost:
            current, cost = new, price
    return [costs.vertices[i] for i in current]


class _Costs:
    """The multiplications of whole orders, counted with sets of vertices as bits of integers.

    Constants other than 1 and -1 count as variable here, which is a product too many at most.
    """

    def __init__(self, graph: Graph) -> None:
        self.vertices = sorted(graph.preds)
        self.places = {v: i for i, v in enumerate(self.vertices)}
        n = len(self.vertices)
        self.ins, self.unit_ins, self.outs, self.unit_outs = ([0] * n for _ in range(4))
        for u, w, value in graph.edges():
            free = is_unit(value) or kind_of(value) == GATE
            i, j = self.places[u], self.places[w]
            ins, outs = (self.unit_ins, self.unit_outs) if free else (self.ins, self.outs)
            ins[j] |= 1 << i
            outs[i] |= 1 << j

    def of(self, order: Sequence[int], limit: int | None = None) -> int:
        """The number for this order; above `limit`, anything above it."""
        ins, unit_ins = self.ins.copy(), self.unit_ins.copy()
        outs, unit_outs = self.outs.copy(), self.unit_outs.copy()
        total = 0
        for v in order:
            total += ins[v].bit_count() * outs[v].bit_count()
            if limit is not None and total > limit:
                break
            _join(v, outs[v], unit_outs[v], ins[v], unit_ins[v], ins, unit_ins)
            _join(v, ins[v], unit_ins[v], outs[v], unit_outs[v], outs, unit_outs)
        return total


def _join(
    v: int, near: int, unit_near: int, far: int, unit_far: int, sets: list[int], units: list[int]
) -> None:
    """Put what is on the far side of `v` next to what is on its near side, in place of `v`."""
    rest, every = ~(1 << v), far | unit_far
    while near:
        low = near & -near
        near ^= low
        w = low.bit_length() - 1
        sets[w] = (sets[w] | every) & rest
        units[w] &= ~every
    while unit_near:
        low = unit_near & -unit_near
        unit_near ^= low
        w = low.bit_length() - 1
        # The sum of two edges is no longer 1, whatever they were.
        variable = sets[w] | far | ((sets[w] | units[w]) & unit_far)
        units[w] = (units[w] | unit_far) & ~variable & rest
        sets[w] = variable & rest


# ---- the pure modes without knowledge of zeros


def dense_cost(graph: Graph) -> tuple[int, int]:
    """What forward and reverse mode cost if they know no zeros, as `jacfwd` and `jacrev` do not.

    It is one product for each edge that is not 1 or -1, times the inputs, or the outputs.
    """
    edges = sum(not is_unit(x) and kind_of(x) != GATE for _, _, x in graph.edges())
    return edges * len(graph.sources), edges * len(graph.sinks)


__all__ = [
    "Order",
    "best_order",
    "costed",
    "dense_cost",
    "forward_order",
    "greedy_order",
    "markowitz_degree",
    "relative_degree",
    "reverse_order",
    "searched",
    "work",
]
