"""For each element of an array the set of inputs that it may depend on, as rows of a shared table.

Elements name rows by number, so that moving elements is moving numbers, and a row that many
elements have in common stands there once: a sum that is broadcast again costs one row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.errors import error
from ..core.lazy import lazy

scipy_sparse = lazy("scipy.sparse")

EMPTY, FULL = 0, 1
"""The first two rows of every table: no input, and all inputs. Neither is written out."""

MOST = 30_000_000
"""Entries of a table. Where a union would have more, its sets become the set of all inputs."""


FEW = 30_000
"""Up to so many entries NumPy unites rows by sorting; SciPy's products are faster beyond, and have
a cost of their own of 0.2 ms, which would be most of the time in unrolled loops."""


class Table:
    """Rows of sorted numbers of inputs, one after the other in `indices`; row i begins at
    `indptr[i]`.
    """

    __slots__ = ("indices", "indptr", "inputs")

    def __init__(self, indptr: Any, indices: Any, inputs: int) -> None:
        self.indptr, self.indices, self.inputs = indptr, indices, inputs

    def __len__(self) -> int:
        return len(self.indptr) - 1

    def counts(self) -> Any:
        """How many entries each row has as it is written."""
        return self.indptr[1:] - self.indptr[:-1]

    def take(self, ids: Any) -> Table:
        """The rows of these numbers."""
        starts = self.indptr[ids]
        counts = self.indptr[ids + 1] - starts
        indptr = np.zeros(len(ids) + 1, np.int64)
        np.cumsum(counts, out=indptr[1:])
        places = np.arange(indptr[-1]) + np.repeat(starts - indptr[:-1], counts)
        return Table(indptr, self.indices[places], self.inputs)

    def matrix(self) -> Any:
        """The rows as a CSR matrix of bools."""
        return csr(self.indices, self.indptr, (len(self), self.inputs))

    def united(self, groups: Any, ids: Any, size: int) -> Table:
        """A table of `size` rows, each the union of those `ids` whose group it is."""
        total = int(self.counts()[ids].sum())
        if total > FEW:
            ones = np.ones(len(ids), bool)
            chosen = scipy_sparse.csr_array((ones, (groups, ids)), shape=(size, len(self)))
            found = (chosen @ self.matrix()).tocsr()
            found.sort_indices()
            return Table(found.indptr.astype(np.int64), found.indices.astype(np.int64), self.inputs)
        parts = self.take(ids)
        keys = np.repeat(groups, parts.counts()) * np.int64(self.inputs) + parts.indices
        keys = _distinct(keys)
        rows, indices = np.divmod(keys, max(1, self.inputs))
        indptr = np.zeros(size + 1, np.int64)
        np.cumsum(np.bincount(rows, minlength=size), out=indptr[1:])
        return Table(indptr, indices, self.inputs)


def _distinct(keys: Any) -> Any:
    """The numbers that there are, in order. Sorting takes a tenth of the time of np.unique here."""
    keys = np.sort(keys)
    return keys[np.append(True, keys[1:] != keys[:-1])] if keys.size else keys


def stacked(tables: Sequence[Table]) -> Table:
    """The rows of all tables."""
    starts, at = [np.zeros(1, np.int64)], 0
    for t in tables:
        starts.append(t.indptr[1:] + (at - t.indptr[0]))
        at = int(starts[-1][-1]) if len(t) else at
    indices = [t.indices[t.indptr[0] : t.indptr[-1]] for t in tables]
    return Table(np.concatenate(starts), np.concatenate(indices), tables[0].inputs)


def _reserved(inputs: int) -> Table:
    return Table(np.zeros(3, np.int64), np.zeros(0, np.int64), inputs)


def _others(t: Table) -> Table:
    """All rows but the first two."""
    return Table(t.indptr[2:], t.indices, t.inputs)


class IndexSets:
    """One set of inputs for each element of an array.

    Args:
      ids: the row of each element, an integer array of the array's shape.
      rows: the sets. A row is empty only if it is one of the first two.
    """

    __slots__ = ("ids", "rows")

    def __init__(self, ids: Any, rows: Table) -> None:
        self.ids, self.rows = ids, rows

    @property
    def inputs(self) -> int:
        """How many inputs there are."""
        return self.rows.inputs

    @property
    def flat(self) -> Any:
        """The rows of all elements, in C order."""
        return self.ids.reshape(-1)

    def moved(self, ids: Any) -> IndexSets:
        """The sets of other elements: `ids` are rows of the same table."""
        return IndexSets(np.asarray(ids), self.rows)

    def counts(self) -> Any:
        """The number of inputs in each row of the table."""
        counts = self.rows.counts()
        counts[FULL] = self.inputs
        return counts

    def total(self) -> int:
        """The number of inputs in the sets of all elements together."""
        return int(self.counts()[self.flat].sum())

    def is_empty(self) -> bool:
        """Whether no element depends on any input."""
        return not self.ids.any()

    def matrix(self, name: str = "pattern") -> Any:
        """A CSR matrix of bools: a row for each element, a column for each input."""
        total = self.total()
        if total > 10 * MOST:
            share = 100 * total / max(1, self.flat.size * self.inputs)
            raise error(
                ValueError,
                f"the {name} has {total:,} nonzeros: too many to write down.",
                got=f"{self.flat.size:,} by {self.inputs:,}, {share:.1f} % nonzero",
                fix="multiply by it instead: jvp and vjp need no matrix.",
            )
        rows = self.rows
        if (self.flat == FULL).any():
            n = self.inputs
            ends = np.array([0, 0, n], np.int64)
            rows = stacked([Table(ends, np.arange(n), n), _others(rows)])
        return rows.take(self.flat).matrix()


def csr(indices: Any, indptr: Any, shape: tuple[int, int]) -> Any:
    """A CSR matrix of bools that has these entries, sorted in each row."""
    kind = np.int32 if max(*shape, len(indices)) < 2**31 else np.int64
    parts = (np.ones(len(indices), bool), indices.astype(kind), indptr.astype(kind))
    found = scipy_sparse.csr_array(parts, shape=shape)
    found.has_canonical_format = True
    return found


def singletons(shape: tuple[int, ...], start: int, inputs: int) -> IndexSets:
    """Elements that are inputs themselves, numbered from `start`."""
    size = int(np.prod(shape))
    indptr = np.concatenate([np.zeros(2, np.int64), np.arange(size + 1)])
    rows = Table(indptr, np.arange(start, start + size), inputs)
    return IndexSets(np.arange(2, size + 2).reshape(shape), rows)


def empty(shape: tuple[int, ...], like: IndexSets) -> IndexSets:
    """Elements that depend on no input."""
    return like.moved(np.zeros(shape, np.int64))


def one_table(sets: Sequence[IndexSets | None], shapes: Sequence[Any]) -> list[IndexSets]:
    """The same sets as rows of one table; those that are None are empty."""
    present = [s for s in sets if s is not None]
    tables = list({id(s.rows): s.rows for s in present}.values())
    if len(tables) == 1:
        return [empty(n, present[0]) if s is None else s for s, n in zip(sets, shapes, strict=True)]
    starts, total = {}, 2
    for t in tables:
        starts[id(t)] = total - 2
        total += len(t) - 2
    rows = stacked([_reserved(tables[0].inputs), *map(_others, tables)])
    found = []
    for s, shape in zip(sets, shapes, strict=True):
        if s is None:
            found.append(IndexSets(np.zeros(shape, np.int64), rows))
        else:
            shift = starts[id(s.rows)]
            found.append(IndexSets(np.where(s.ids > FULL, s.ids + shift, s.ids), rows))
    return found


def compact(sets: IndexSets) -> IndexSets:
    """The same sets without the rows that no element has, and full ones under their number."""
    counts, ids = sets.rows.counts(), sets.ids
    full = counts == sets.inputs
    if sets.inputs and full.any():
        ids = np.where(full[ids], FULL, ids)
    used = np.zeros(len(counts), bool)
    used[ids.reshape(-1)] = True
    used[:2] = True
    if 2 * int(used.sum()) > len(counts):
        return IndexSets(ids, sets.rows)
    return IndexSets((np.cumsum(used) - 1)[ids], sets.rows.take(np.flatnonzero(used)))


def union(sets: Sequence[IndexSets | None], shape: tuple[int, ...]) -> IndexSets | None:
    """Element by element the union. Sets of rank 0 go with every element."""
    total: IndexSets | None = None
    for s in sets:
        if s is None:
            continue
        if s.ids.shape != shape:
            s = s.moved(np.broadcast_to(s.ids, shape))
        total = s if total is None else _union(total, s)
    return total


def _union(a: IndexSets, b: IndexSets) -> IndexSets:
    a, b = one_table([a, b], [a.ids.shape, b.ids.shape])
    x, y = a.flat, b.flat
    out = np.where((x == EMPTY) | (x == y), y, x)
    out[(x == FULL) | (y == FULL)] = FULL
    open_ = np.flatnonzero((x != y) & (np.minimum(x, y) > FULL))
    if open_.size:
        x, y = x[open_], y[open_]
        k = len(a.rows)
        pairs, place = np.unique(x * k + y, return_inverse=True)
        x, y = pairs // k, pairs % k
        counts = a.rows.counts()
        if int((counts[x] + counts[y]).sum()) > MOST:
            out[open_] = FULL
        else:
            groups = np.arange(len(pairs))
            both = np.concatenate([groups, groups]), np.concatenate([x, y])
            a = IndexSets(a.ids, stacked([a.rows, a.rows.united(*both, len(pairs))]))
            out[open_] = k + place
    return compact(IndexSets(out.reshape(a.ids.shape), a.rows))


def gathered(groups: Any, ids: Any, rows: Table, shape: tuple[int, ...]) -> IndexSets:
    """For each element of an array of `shape` the union of those `ids` whose group it is."""
    size = int(np.prod(shape))
    groups, ids = np.asarray(groups).reshape(-1), np.asarray(ids).reshape(-1)
    full = np.zeros(size, bool)
    full[groups[ids == FULL]] = True
    keep = (ids > FULL) & ~full[groups]
    groups, ids = groups[keep], ids[keep]
    counts = rows.counts()
    if int(counts[ids].sum()) > FEW:
        k = len(rows)
        pairs = _distinct(groups * np.int64(k) + ids)
        groups, ids = pairs // k, pairs % k
        weight = np.bincount(groups, counts[ids], size)
        if weight.sum() > MOST:  # first those that are probably full, then all
            heavy = weight >= rows.inputs / 2
            full |= heavy if weight[~heavy].sum() <= MOST else weight > 0
            keep = ~full[groups]
            groups, ids = groups[keep], ids[keep]
    new = rows.united(groups, ids, size)
    out = np.where(full, FULL, np.arange(2, size + 2))
    out[~full & (new.counts() == 0)] = EMPTY
    return compact(IndexSets(out.reshape(shape), stacked([_reserved(rows.inputs), new])))


def reduced(sets: IndexSets, axes: Sequence[int], keep: bool = False) -> IndexSets:
    """The union along `axes`; with `keep` these have length 1 afterwards."""
    shape = sets.ids.shape
    axes = tuple(axes)
    kept = tuple(1 if d in axes else n for d, n in enumerate(shape))
    out = kept if keep else tuple(n for d, n in enumerate(shape) if d not in axes)
    first = sets.ids[tuple(slice(0, 1) if d in axes else slice(None) for d in range(len(shape)))]
    if first.size and (first == sets.ids).all():  # also where the axes have length 1
        return sets.moved(first.reshape(out))
    groups = np.broadcast_to(np.arange(int(np.prod(kept))).reshape(kept), shape)
    return gathered(groups, sets.ids, sets.rows, out)


def smeared(sets: IndexSets, axes: Sequence[int]) -> IndexSets:
    """Each element has the union of all along `axes`."""
    if not axes:
        return sets
    line = reduced(sets, axes, keep=True)
    return line.moved(np.broadcast_to(line.ids, sets.ids.shape))


def through(pattern: Any, sets: IndexSets, shape: tuple[int, ...]) -> IndexSets:
    """The sets of an array of `shape` whose element i depends on the elements j of another one
    with ``pattern[i, j]``; `sets` are those of the other, in C order."""
    groups = np.repeat(np.arange(pattern.shape[0]), np.diff(pattern.indptr))
    return gathered(groups, sets.flat[pattern.indices], sets.rows, shape)


def joined(sets: Sequence[IndexSets | None], sizes: Sequence[int]) -> IndexSets | None:
    """The sets of several arrays as those of one flat array."""
    if all(s is None for s in sets):
        return None
    parts = one_table(sets, [(n,) for n in sizes])
    return parts[0].moved(np.concatenate([s.flat for s in parts]))


__all__ = [
    "EMPTY",
    "FULL",
    "IndexSets",
    "Table",
    "csr",
    "empty",
    "gathered",
    "joined",
    "one_table",
    "reduced",
    "singletons",
    "smeared",
    "through",
    "union",
]
