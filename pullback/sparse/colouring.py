"""Columns, rows, or both, in groups that one product can compute at once.

Curtis, Powell & Reid (1974): columns with no row in common can share a seed vector, for each number
of the product then belongs to one of them. To find few groups is to colour the graph of columns
that have a row in common (Coleman & Moré 1983); the first colour that is free is taken, in one of
several orders. Bits of an integer say which colours a row has already, so that colouring takes time
in proportion to the nonzeros, however many neighbours there are.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.errors import error
from ..core.lazy import lazy

scipy_sparse = lazy("scipy.sparse")

ORDERS = ("natural", "largest_first", "smallest_last", "incidence")

MOST_EDGES = 1_000_000
"""Where the graph has more edges, orders that need them are not tried by "best"."""


@dataclass(frozen=True)
class Colouring:
    """Groups of columns and rows of a matrix.

    `columns` and `rows` give the colour of each, -1 for those that are in no group; None where
    none is. `by_row` says for each nonzero, in CSR order, whether it is read from the product of
    its row's group; None if all are read from one kind. `kind` is "columns", "rows", "both",
    "star" or "acyclic".
    """

    kind: str
    columns: Any = None
    rows: Any = None
    by_row: Any = None

    @property
    def column_colours(self) -> int:
        """How many products with groups of columns (forward mode) there are."""
        return 0 if self.columns is None else int(self.columns.max(initial=-1)) + 1

    @property
    def row_colours(self) -> int:
        """How many products with groups of rows (reverse mode) there are."""
        return 0 if self.rows is None else int(self.rows.max(initial=-1)) + 1

    @property
    def products(self) -> int:
        """How many products there are."""
        return self.column_colours + self.row_colours


def colour_columns(pattern: Any, order: str = "best") -> Any:
    """A colour for each column, such that columns of one colour have no row in common.

    Args:
      pattern: a sparse matrix; what it stores counts, not the values.
      order: "natural", "largest_first" (Welsh & Powell 1967), "smallest_last" (Matula 1968) and
        "incidence" (Coleman & Moré 1983) say in which order columns take the first free colour.
        "best" tries them, until one has as few colours as the fullest row has nonzeros: fewer
        there cannot be.

    Returns:
      A NumPy array of ints, 0 to the number of colours - 1.

    Raises:
      ValueError: there is no such order.

    Example:
      >>> import numpy as np, scipy.sparse
      >>> from pullback import sparse
      >>> tridiagonal = scipy.sparse.csr_array(np.tri(6, k=1) - np.tri(6, k=-2))
      >>> print(sparse.colour_columns(tridiagonal))
      [0 1 2 0 1 2]
    """
    check_order(order)
    by_row, by_column = _both_ways(pattern)
    if order != "best":
        return first_fit(by_column, by_row.shape[0], ordered(by_row, by_column, order))
    fewest = int(np.diff(by_row.indptr).max(initial=0))
    best = None
    for name in ORDERS:
        if best is not None and (name != "largest_first" and _edges(by_row) > MOST_EDGES):
            break
        found = first_fit(by_column, by_row.shape[0], ordered(by_row, by_column, name))
        if best is None or found.max(initial=-1) < best.max(initial=-1):
            best = found
        if int(best.max(initial=-1)) + 1 <= fewest:
            break
    return best


def check_order(order: str) -> None:
    """Raise unless there is an order of this name."""
    if order not in (*ORDERS, "best"):
        raise error(
            ValueError,
            f"there is no colouring order {order!r}.",
            got=f"order={order!r}",
            fix='use "best", or one of ' + ", ".join(f'"{name}"' for name in ORDERS) + ".",
        )


def _both_ways(pattern: Any) -> tuple[Any, Any]:
    by_row = scipy_sparse.csr_array(pattern)
    return by_row, by_row.tocsc()


def _edges(by_row: Any) -> int:
    counts = np.diff(by_row.indptr).astype(np.int64)
    return int((counts * counts).sum())


def first_fit(by_column: Any, row_count: int, order: Any) -> Any:
    """Columns in this order, each with the first colour that none of its rows has."""
    indptr, indices = by_column.indptr.tolist(), by_column.indices.tolist()
    taken = [0] * row_count
    colours = np.zeros(by_column.shape[1], np.int64)
    found = [0] * by_column.shape[1]
    for j in order:
        rows = indices[indptr[j] : indptr[j + 1]]
        used = 0
        for i in rows:
            used |= taken[i]
        bit = ~used & (used + 1)
        found[j] = bit.bit_length() - 1
        for i in rows:
            taken[i] |= bit
    colours[:] = found
    return colours


# ---- orders


def ordered(by_row: Any, by_column: Any, order: str) -> Any:
    """The columns in an order of this name."""
    count = by_column.shape[1]
    if order == "natural":
        return range(count)
    if order == "largest_first":
        # The sum over rows of their other columns bounds the neighbours, and counts them where no
        # two columns have two rows in common.
        others = np.diff(by_row.indptr).astype(np.int64) - 1
        weight = np.zeros(count, np.int64)
        np.add.at(weight, by_row.indices, np.repeat(others, np.diff(by_row.indptr)))
        return np.argsort(-weight, kind="stable").tolist()
    neighbours = adjacency(by_row, by_column)
    return smallest_last(*neighbours) if order == "smallest_last" else incidence(*neighbours)


def adjacency(by_row: Any, by_column: Any) -> tuple[list[int], list[int]]:
    """The graph of columns that have a row in common: where each begins, and its neighbours."""
    ones = (np.ones(by_row.nnz, bool), by_row.indices, by_row.indptr)
    a = scipy_sparse.csr_array(ones, shape=by_row.shape)
    return graph_of(a.T @ a)


def graph_of(pattern: Any) -> tuple[list[int], list[int]]:
    """The graph of a symmetric matrix without its diagonal."""
    found = scipy_sparse.coo_array(pattern)
    i, j = found.coords
    apart = i != j
    shape = (np.ones(int(apart.sum()), bool), (i[apart], j[apart]))
    graph = scipy_sparse.csr_array(shape, shape=pattern.shape)
    return graph.indptr.tolist(), graph.indices.tolist()


def smallest_last(starts: list[int], edges: list[int]) -> list[int]:
    """The column with fewest neighbours among those left goes last, again and again."""
    n = len(starts) - 1
    degree = [starts[v + 1] - starts[v] for v in range(n)]
    buckets: list[list[int]] = [[] for _ in range(max(degree, default=0) + 1)]
    for v in range(n - 1, -1, -1):
        buckets[degree[v]].append(v)
    done, at = [False] * n, 0
    order: list[int] = []
    while len(order) < n:
        while not buckets[at]:
            at += 1
        v = buckets[at].pop()
        if done[v] or degree[v] != at:
            continue
        done[v] = True
        order.append(v)
        for w in edges[starts[v] : starts[v + 1]]:
            if not done[w]:
                degree[w] -= 1
                buckets[degree[w]].append(w)
                at = min(at, degree[w])
    return order[::-1]


def incidence(starts: list[int], edges: list[int]) -> list[int]:
    """The column with most neighbours among those before it goes next."""
    n = len(starts) - 1
    met = [0] * n
    heap = [(0, starts[v] - starts[v + 1], v) for v in range(n)]
    heapq.heapify(heap)
    done, order = [False] * n, []
    while heap:
        count, _size, v = heapq.heappop(heap)
        if done[v] or -count != met[v]:
            continue
        done[v] = True
        order.append(v)
        for w in edges[starts[v] : starts[v + 1]]:
            if not done[w]:
                met[w] += 1
                heapq.heappush(heap, (-met[w], starts[w] - starts[w + 1], w))
    return order


# ---- columns, rows or both


def by_columns(pattern: Any, order: str = "best") -> Colouring:
    """Products with groups of columns: forward mode."""
    return Colouring("columns", columns=colour_columns(pattern, order))


def by_rows(pattern: Any, order: str = "best") -> Colouring:
    """Products with groups of rows: reverse mode."""
    return Colouring("rows", rows=colour_columns(pattern.T, order))


def by_both(pattern: Any, order: str = "best") -> Colouring:
    """Full rows by reverse mode, the others by forward mode, or columns likewise.

    Coleman & Verma (1998) and Hossain & Steihaug (1998): a full row forbids that columns share a
    group, and a full column that rows do; without both of them a few groups remain. Rows with more
    than t nonzeros are taken out, for t = 1, 2, 4, ..., and columns likewise; the best is kept.
    """
    pattern = scipy_sparse.csr_array(pattern)
    best: Colouring | None = None
    for turned in (False, True):
        matrix = pattern.T.tocsr() if turned else pattern
        for full in _thresholds(matrix):
            found = _split(matrix, full, order)
            if best is None or found.products < best.products:
                best = _turned(found, pattern) if turned else found
    return by_columns(pattern, order) if best is None else best


def _thresholds(matrix: Any) -> list[Any]:
    counts = np.diff(matrix.indptr)
    most, t, found = int(counts.max(initial=0)), 1, []
    while t < most:
        full = counts > t
        if full.sum() <= max(64, len(counts) // 4):
            found.append(full)
        t *= 2
    return found


def _split(matrix: Any, full: Any, order: str) -> Colouring:
    """Rows in `full` are read from products with groups of rows, the others from columns."""
    of_full = np.repeat(full, np.diff(matrix.indptr))
    rows, columns = np.full(len(full), -1), np.full(matrix.shape[1], -1)
    which = np.flatnonzero(full)
    rows[which] = colour_columns(matrix[which].T, order)
    rest = matrix[np.flatnonzero(~full)]
    used = np.zeros(matrix.shape[1], bool)
    used[rest.indices] = True
    kept = np.flatnonzero(used)
    if kept.size:
        columns[kept] = colour_columns(rest[:, kept], order)
    return Colouring("both", columns, rows, of_full)


def _turned(found: Colouring, pattern: Any) -> Colouring:
    """The colouring of the transposed matrix as one of the matrix itself."""
    n, _m = pattern.shape
    i = np.repeat(np.arange(n), np.diff(pattern.indptr))
    # What is by row there is by column here: those columns were full.
    full = found.rows >= 0
    by_row = ~full[pattern.indices] if i.size else np.zeros(0, bool)
    return Colouring("both", found.rows, found.columns, by_row)


def coloured(pattern: Any, mode: str = "auto", order: str = "best") -> Colouring:
    """The groups for a Jacobian of this pattern.

    Args:
      pattern: a sparse matrix, a row for each result.
      mode: "fwd" groups columns, "rev" rows, "both" both; "auto" takes what needs the fewest
        products, forward mode where it is level.
      order: as for `colour_columns`.

    Returns:
      A `Colouring`.

    Raises:
      ValueError: there is no such mode or order.

    Example:
      >>> import numpy as np, scipy.sparse
      >>> from pullback import sparse
      >>> arrow = np.eye(50) + np.eye(50)[:, :1] + np.eye(50)[:1]
      >>> for mode in "fwd", "rev", "both":
      ...     print(mode, sparse.coloured(scipy.sparse.csr_array(arrow), mode).products)
      fwd 50
      rev 50
      both 3
    """
    check_order(order)
    makers = {"fwd": by_columns, "rev": by_rows, "both": by_both}
    if mode in makers:
        return makers[mode](pattern, order)
    if mode != "auto":
        raise error(
            ValueError,
            f"there is no mode {mode!r} of sparse Jacobians.",
            got=f"mode={mode!r}",
            fix='use "fwd", "rev", "both", or "auto".',
        )
    pattern = scipy_sparse.csr_array(pattern)
    fullest_row = int(np.diff(pattern.indptr).max(initial=0))
    fullest_column = int(np.bincount(pattern.indices, minlength=1).max(initial=0))
    # At least so many products are needed: what cannot win is not tried.
    best = by_columns(pattern, order) if fullest_row <= 2 * fullest_column else None
    if best is None or fullest_column < best.products:
        rows = by_rows(pattern, order)
        if best is None or rows.products < best.products:
            best = rows
    if best.products > 4 and pattern.nnz < pattern.shape[0] * pattern.shape[1]:
        both = by_both(pattern, order)
        if both.products < best.products:
            best = both
    return best


__all__ = ["ORDERS", "Colouring", "by_both", "by_columns", "by_rows", "colour_columns", "coloured"]
