"""Elimination of vertices: any order gives the Jacobian, and costs are counted as done by hand."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest

from pullback.transforms import orders
from pullback.transforms.elimination import (
    GATE,
    VARIABLE,
    Count,
    Graph,
    contract,
    is_unit,
    kind_of,
    trim,
)


class Numbers:
    """The algebra of numbers, each in a box so that none is taken for a constant."""

    def times(self, outer, inner):
        return Box(float(outer) * float(inner))

    def plus(self, one, other):
        return Box(float(one) + float(other))


class Box:
    def __init__(self, value):
        self.value = value

    def __float__(self):
        return float(self.value)


def random_graph(seed, sources=3, inner=8, sinks=3):
    """A graph with random values, and its Jacobian by substitution: an independent way."""
    rng = random.Random(seed)
    graph, numbers = Graph(), Numbers()
    vertices = [graph.source() for _ in range(sources)]
    rows = list(np.eye(sources))
    for i in range(inner + sinks):
        v = graph.vertex() if i < inner else graph.sink()
        row = np.zeros(sources)
        before = vertices if i < inner else vertices[: sources + inner]
        for u in rng.sample(before, min(len(before), rng.randint(1, 3))):
            value = rng.uniform(-2, 2)
            graph.connect(u, v, Box(value), numbers)
            row = row + value * rows[u]
        vertices.append(v)
        rows.append(row)
    return graph, np.array(rows[-sinks:])


def jacobian(graph):
    return np.array([[float(graph.preds[t].get(s, 0.0)) for s in graph.sources]
                     for t in graph.sinks])  # fmt: skip


def weights(edges, sources, sinks):
    """A graph from a list of (from, to, value), vertices by number."""
    graph = Graph()
    top = max(w for _, w, _ in edges)
    for v in range(top + 1):
        if v in sources:
            graph.source()
        elif v in sinks:
            graph.sink()
        else:
            graph.vertex()
    for u, w, value in edges:
        graph.connect(u, w, value, Count())
    return graph


@pytest.mark.parametrize("seed", range(20))
def test_every_order_gives_the_jacobian(seed):
    rng = random.Random(seed)
    for kind in ("forward", "reverse", "random", "best"):
        graph, expected = random_graph(seed)
        trim(graph)
        order = {
            "forward": orders.forward_order,
            "reverse": orders.reverse_order,
            "random": lambda g: rng.sample(g.inner(), len(g.inner())),
            "best": lambda g: orders.best_order(g).vertices,
        }[kind](graph)
        for v in order:
            graph.eliminate(v, Numbers())
        assert graph.inner() == []
        np.testing.assert_allclose(jacobian(graph), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("seed", range(10))
def test_no_rule_is_better_than_the_best_of_all_orders(seed):
    graph, _ = random_graph(seed, inner=6)
    trim(graph)
    every = [orders.costed(graph, "", p) for p in itertools.permutations(graph.inner())]
    least = min(o.multiplications for o in every)
    best = orders.best_order(graph)
    assert best.multiplications == least  # six vertices: the search finds the optimum
    assert best.multiplications <= orders.costed(graph, "", graph.inner()).multiplications


def test_the_search_never_makes_an_order_dearer():
    for seed in range(10):
        graph, _ = random_graph(seed, sources=4, inner=25, sinks=4)
        trim(graph)
        start = orders.costed(graph, "", orders.forward_order(graph))
        found = orders.costed(graph, "", orders.searched(graph, start.vertices))
        assert sorted(found.vertices) == sorted(start.vertices)
        assert found.multiplications <= start.multiplications


@pytest.mark.parametrize("units", [False, True])
def test_the_fast_count_is_the_count_of_the_elimination(units):
    for seed in range(20):
        graph, _ = random_graph(seed, sources=4, inner=15, sinks=4)
        trim(graph)
        rng = random.Random(seed)
        for w, ins in graph.preds.items():
            for u in ins:
                if units and rng.random() < 0.3:
                    graph.preds[w][u] = graph.succs[u][w] = rng.choice([1.0, -1.0])
        costs = orders._Costs(graph)
        for _ in range(5):
            order = rng.sample(graph.inner(), len(graph.inner()))
            quick = costs.of([costs.places[v] for v in order])
            exact = orders.costed(graph, "", order).multiplications
            # Sums of units are constants in the one and variable in the other.
            assert quick >= exact if units else quick == exact


def test_the_butterfly_by_hand():
    # Two sources meet in one vertex, which leads to two sinks: 2 x 2 products.
    graph = weights([(0, 2, VARIABLE), (1, 2, VARIABLE), (2, 3, VARIABLE), (2, 4, VARIABLE)],
                    {0, 1}, {3, 4})  # fmt: skip
    assert orders.markowitz_degree(graph, 2) == 4
    assert orders.best_order(graph).multiplications == 4
    assert orders.dense_cost(graph) == (8, 8)


def test_an_order_between_forward_and_reverse_beats_both():
    # Left 3 sources, two vertices in a row, 1 sink; right 1 source, two vertices, 3 sinks.
    left = [(0, 4), (1, 4), (2, 4), (4, 5), (5, 8)]
    right = [(3, 6), (6, 7), (7, 9), (7, 10), (7, 11)]
    graph = weights([(u, w, VARIABLE) for u, w in left + right], range(4), range(8, 12))
    # Forward takes 3 + 3 on the left and 1 + 3 on the right, reverse 1 + 3 and 3 + 3.
    assert orders.costed(graph, "", orders.forward_order(graph)).multiplications == 10
    assert orders.costed(graph, "", orders.reverse_order(graph)).multiplications == 10
    assert orders.best_order(graph).multiplications == 8
    assert orders.dense_cost(graph) == (40, 40)


def test_units_cost_nothing():
    graph = weights([(0, 1, 1.0), (1, 2, VARIABLE), (1, 3, -1.0)], {0}, {2, 3})
    count = Count()
    graph.eliminate(1, count)
    assert (count.multiplications, count.additions) == (0, 0)
    assert graph.preds[3][0] == -1.0
    assert graph.preds[2][0] == VARIABLE


def test_constants_are_multiplied_and_added_beforehand():
    edges = [(0, 1, 2.0), (1, 3, 3.0), (0, 2, 4.0), (2, 3, VARIABLE)]
    graph = weights(edges, {0}, {3})
    count = Count()
    graph.eliminate(1, count)
    assert graph.preds[3][0] == 6.0
    assert count.multiplications == 0
    graph.eliminate(2, count)
    assert graph.preds[3][0] == VARIABLE
    assert (count.multiplications, count.additions) == (1, 1)


def test_what_cancels_is_no_edge():
    graph = weights([(0, 1, 1.0), (0, 2, -1.0), (1, 3, 1.0), (2, 3, 1.0)], {0}, {3})
    for v in (1, 2):
        graph.eliminate(v, Count())
    assert graph.preds[3] == {}
    assert graph.succs[0] == {}


def test_gates_cost_no_multiplication():
    count = Count()
    assert count.times(GATE, VARIABLE) == VARIABLE
    assert count.times(-1.0, GATE) == GATE
    assert count.multiplications == 0


def test_vertices_without_sources_or_sinks_are_dropped():
    # 2 comes from nowhere, 3 leads nowhere.
    graph = weights([(0, 1, VARIABLE), (2, 1, VARIABLE), (0, 3, VARIABLE), (1, 4, VARIABLE)],
                    {0}, {4})  # fmt: skip
    trim(graph)
    assert graph.inner() == [1]
    assert list(graph.preds[1]) == [0]


def test_a_sum_written_in_three_operations_becomes_one_vertex():
    # x * y: two products and their sum, as the rules write it.
    edges = [(0, 2, VARIABLE), (1, 3, VARIABLE), (2, 4, 1.0), (3, 4, 1.0), (4, 5, VARIABLE),
             (4, 6, VARIABLE)]  # fmt: skip
    graph = weights(edges, {0, 1}, {5, 6})
    contract(graph, Count())
    assert graph.inner() == [4]
    assert set(graph.preds[4]) == {0, 1}


def test_markowitz_takes_the_least_degree_first():
    # Vertex 2 has degree 1, vertex 3 degree 4.
    edges = [(0, 2), (2, 3), (1, 3), (3, 4), (3, 5)]
    graph = weights([(u, w, VARIABLE) for u, w in edges], {0, 1}, {4, 5})
    assert orders.greedy_order(graph, orders.markowitz_degree) == [2, 3]
    # With respect to what must be paid in any case, 3 is the better of the two.
    chain = weights([(0, 1, VARIABLE), (1, 2, VARIABLE), (2, 3, VARIABLE)], {0}, {3})
    assert orders.greedy_order(chain, orders.markowitz_degree) == [1, 2]
    assert orders.greedy_order(chain, orders.markowitz_degree, last_first=True) == [2, 1]


def test_a_long_chain_of_one_to_one_is_cheap_and_quick():
    n = 3000
    graph = weights([(i, i + 1, VARIABLE) for i in range(n)], {0}, {n})
    best = orders.best_order(graph)
    assert best.multiplications == n - 1


def test_what_is_a_unit():
    assert is_unit(1.0)
    assert is_unit(-1.0)
    assert not is_unit(2.0)
    assert not is_unit(VARIABLE)
    assert kind_of(object()) == VARIABLE
