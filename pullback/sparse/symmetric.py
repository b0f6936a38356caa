"""Colourings of symmetric matrices: half of the matrix is known from the other half.

Gebremedhin, Manne & Pothen (2005) and Gebremedhin, Tarafdar, Manne & Pothen (2007): in the graph of
the matrix, with an edge for each pair of nonzeros off the diagonal, neighbours get two colours.

- Star colouring (Coleman & Moré 1984): every path of four vertices has three colours. Then each
  element is alone in its row of one of two products, and is read from there.
- Acyclic colouring (Coleman & Cai 1986): no cycle has two colours only. Then the elements of any
  two colours make a forest, and are found from its leaves inwards, by substitution. It needs fewer
  products, and rounding errors add up along the paths of the forest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.errors import error
from .colouring import (
    ORDERS,
    Colouring,
    check_order,
    colour_columns,
    graph_of,
    incidence,
    scipy_sparse,
    smallest_last,
)


def coloured_symmetric(pattern: Any, kind: str = "star", order: str = "best") -> Colouring:
    """The groups of columns for a Hessian of this pattern.

    Args:
      pattern: a symmetric sparse matrix.
      kind: "star", "acyclic", or "columns", which makes no use of symmetry.
      order: as for `colour_columns`; "best" takes the fewest colours of the first three orders.

    Returns:
      A `Colouring` of the columns.

    Raises:
      ValueError: there is no such kind or order.

    Example:
      >>> import numpy as np, scipy.sparse
      >>> from pullback import sparse
      >>> arrow = scipy.sparse.csr_array(np.eye(50) + np.eye(50)[:, :1] + np.eye(50)[:1])
      >>> for kind in "columns", "star", "acyclic":
      ...     print(kind, sparse.coloured_symmetric(arrow, kind).products)
      columns 50
      star 2
      acyclic 2
    """
    check_order(order)
    if kind == "columns":
        return Colouring("columns", columns=colour_columns(pattern, order))
    if kind not in ("star", "acyclic"):
        raise error(
            ValueError,
            f"there is no colouring {kind!r} of Hessians.",
            got=f"colouring={kind!r}",
            fix='use "star", "acyclic", or "columns".',
        )
    pattern = scipy_sparse.csr_array(pattern)
    graph = graph_of(pattern)
    colour = _star if kind == "star" else _acyclic
    best = None
    for name in ORDERS[:3] if order == "best" else (order,):
        found = colour(*graph, _vertices(graph, name))
        if best is None or found.max(initial=-1) < best.max(initial=-1):
            best = found
        if int(best.max(initial=-1)) <= 2:
            break  # one colour less, and no vertex could have two neighbours
    return Colouring(kind, columns=best)


def _vertices(graph: tuple[list[int], list[int]], order: str) -> Any:
    starts = np.array(graph[0])
    if order == "natural":
        return range(len(starts) - 1)
    if order == "largest_first":
        return np.argsort(-np.diff(starts), kind="stable").tolist()
    return smallest_last(*graph) if order == "smallest_last" else incidence(*graph)


def _star(starts: list[int], edges: list[int], order: Any) -> Any:
    """First fit. A colour is forbidden to v if a neighbour has it, or if it would make a path of
    four vertices in two colours, with v at its end (v - w - x - y) or inside (x - w - v - y).

    What is asked of the neighbours w is kept beside them, so that none is looked at twice:
    `near[w]` are the colours around w, `many[w]` those it has twice or more, and `hubs[w]` the
    colours of those x around w that have two neighbours of w's colour. All are bits of integers.
    """
    n = len(starts) - 1
    colours, near, many, hubs = [-1] * n, [0] * n, [0] * n, [0] * n
    first: dict[tuple[int, int], int] = {}
    for v in order:
        around = edges[starts[v] : starts[v + 1]]
        forbidden, twice = near[v], many[v]
        for w in around:
            if colours[w] >= 0:
                forbidden |= hubs[w]
                if twice >> colours[w] & 1:
                    forbidden |= near[w]
        bit = ~forbidden & (forbidden + 1)
        colour = bit.bit_length() - 1
        colours[v] = colour
        for w in around:
            c = colours[w]
            if c >= 0 and twice >> c & 1:
                hubs[w] |= bit
            if not near[w] & bit:
                near[w] |= bit
                first[w, colour] = v
                continue
            if c >= 0:
                hubs[v] |= 1 << c
                hubs[first[w, colour]] |= 1 << c
            many[w] |= bit
    return np.array(colours, np.int64)


def _acyclic(starts: list[int], edges: list[int], order: Any) -> Any:
    """First fit. A colour is forbidden to v if a neighbour has it, or if two neighbours of one
    colour are already joined by a path of these two colours.
    """
    n = len(starts) - 1
    colours = [-1] * n
    parent: dict[tuple[int, int], tuple[int, int]] = {}

    def root(vertex: int, other: int) -> tuple[int, int]:
        """The tree of this vertex in the forest of its own and another colour."""
        at = (vertex, other)
        above = parent.setdefault(at, at)
        while above != at:
            parent[at] = parent[above]
            at = above
            above = parent[at]
        return at

    for v in order:
        around = [w for w in edges[starts[v] : starts[v + 1]] if colours[w] >= 0]
        used = 0
        for w in around:
            used |= 1 << colours[w]
        colour = 0
        while used >> colour & 1 or _closes_cycle(around, colours, colour, root):
            colour += 1
        colours[v] = colour
        for w in around:
            a, b = root(v, colours[w]), root(w, colour)
            parent[a] = b
    return np.array(colours, np.int64)


def _closes_cycle(around: list[int], colours: list[int], colour: int, root: Any) -> bool:
    met = set()
    for w in around:
        tree = (colours[w], root(w, colour))
        if tree in met:
            return True
        met.add(tree)
    return False


# ---- what of the products is which element


@dataclass(frozen=True)
class Recovery:
    """How the elements of a matrix are read from products with groups of its columns.

    `places` are indices into the products, flattened: shape (colours, rows). Where `system` is
    None, element k of the matrix (in CSR order) is ``flat[places[k]]``. Else the elements of one
    half, one for each edge, solve the triangular system (rows, columns of its ones) with the right
    side ``flat[places]``, and `half` says which of these each element of the matrix is.
    """

    places: Any
    system: tuple[Any, Any] | None = None
    half: Any = None


def recovered_by_columns(pattern: Any, colours: Any) -> Recovery:
    """Each element stands alone in its row of the product of its column's group."""
    rows = np.repeat(np.arange(pattern.shape[0]), np.diff(pattern.indptr))
    return Recovery(colours[pattern.indices] * pattern.shape[0] + rows)


def recovered_by_star(pattern: Any, colours: Any) -> Recovery:
    """Element (i, j) stands alone in row i of the product of j's group, or (j, i) in row j."""
    n = pattern.shape[0]
    i = np.repeat(np.arange(n), np.diff(pattern.indptr))
    j = pattern.indices.astype(np.int64)
    direct = _alone(i, colours[j], n)
    return Recovery(np.where(direct, colours[j] * n + i, colours[i] * n + j))


def _alone(i: Any, colour: Any, n: int) -> Any:
    """Whether no other nonzero of row i is in a column of this colour."""
    count = int(colour.max(initial=0)) + 1
    keys = i * np.int64(count) + colour
    _, place, times = np.unique(keys, return_inverse=True, return_counts=True)
    return times[place] == 1


def recovered_by_substitution(pattern: Any, colours: Any) -> Recovery:
    """An order in which leaf after leaf of the two-coloured forests gives an edge."""
    n, count = pattern.shape[0], int(colours.max(initial=-1)) + 1
    i = np.repeat(np.arange(n), np.diff(pattern.indptr))
    j = pattern.indices.astype(np.int64)
    low, high = np.minimum(i, j), np.maximum(i, j)
    pairs, half = np.unique(low * np.int64(n) + high, return_inverse=True)
    u, v = pairs // n, pairs % n
    # The sum that stands in row u of the product of v's group has the edge u - v and others.
    sum_u, sum_v = u * count + colours[v], v * count + colours[u]
    order, leaf = _peeled(u, v, sum_u, sum_v)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    row_of = dict(zip(leaf.tolist(), range(len(leaf)), strict=True))
    both = np.concatenate([sum_u, sum_v[u != v]])
    edge = np.concatenate([np.arange(len(u)), np.flatnonzero(u != v)])
    rows = np.array([row_of.get(s, -1) for s in both.tolist()], np.int64)
    kept = rows >= 0
    system = (rows[kept], rank[edge[kept]])
    vertex, colour = leaf // count, leaf % count
    return Recovery(colour * n + vertex, system, rank[half])


def _peeled(u: Any, v: Any, sum_u: Any, sum_v: Any) -> tuple[Any, Any]:
    """Edges in the order in which they are found, and the sum that each is found from."""
    members: dict[int, set[int]] = {}
    ends = list(zip(sum_u.tolist(), sum_v.tolist(), (u == v).tolist(), strict=True))
    for e, (a, b, _) in enumerate(ends):
        members.setdefault(a, set()).add(e)
        members.setdefault(b, set()).add(e)
    ready = [s for s, edges in members.items() if len(edges) == 1]
    order, leaf = [], []
    while ready:
        s = ready.pop()
        if len(members[s]) != 1:
            continue
        (e,) = members[s]
        order.append(e)
        leaf.append(s)
        for t in ends[e][:2]:
            members[t].discard(e)
            if len(members[t]) == 1:
                ready.append(t)
    return np.array(order, np.int64), np.array(leaf, np.int64)


__all__ = [
    "Recovery",
    "coloured_symmetric",
    "recovered_by_columns",
    "recovered_by_star",
    "recovered_by_substitution",
]
