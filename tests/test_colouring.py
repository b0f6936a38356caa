"""Colourings are valid, as brute force says; few, where it is known how few there can be; and what
they compress is recovered exactly."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.linalg
import scipy.sparse
import scipy.sparse.csgraph

from pullback import sparse
from pullback.sparse import colouring, symmetric

ORDERS = (*colouring.ORDERS, "best")


def random_matrix(rng, symmetric_one=False):
    n, m = rng.integers(1, 11, 2)
    m = n if symmetric_one else m
    a = rng.random((n, m)) < rng.random() ** 2
    return a | a.T | np.eye(n, dtype=bool) if symmetric_one else a


def matrices(count=60, symmetric_ones=False):
    rng = np.random.default_rng(3)
    return [random_matrix(rng, symmetric_ones) for _ in range(count)]


def tridiagonal(n):
    return scipy.sparse.diags_array(
        [np.ones(n - 1), np.ones(n), np.ones(n - 1)], offsets=[-1, 0, 1]
    )


def arrow(n):
    a = np.eye(n, dtype=bool)
    a[0] = a[:, 0] = True
    return a


def grid(k):
    """The five-point stencil on k by k points."""
    one, side = scipy.sparse.eye_array(k), tridiagonal(k)
    return scipy.sparse.csr_array(scipy.sparse.kron(one, side) + scipy.sparse.kron(side, one))


# ---- columns, rows, both


def columns_are_valid(a, colours):
    """No two columns of one colour have a row in common."""
    pairs = itertools.combinations(range(a.shape[1]), 2)
    return all(colours[i] != colours[j] or not (a[:, i] & a[:, j]).any() for i, j in pairs)


@pytest.mark.parametrize("order", ORDERS)
def test_columns(order):
    for a in matrices():
        colours = sparse.colour_columns(scipy.sparse.csr_array(a), order)
        assert columns_are_valid(a, colours)
        assert set(colours.tolist()) == set(range(colours.max() + 1))
        # A first-fit colour is below the number of neighbours plus one.
        around = (a.T.astype(int) @ a > 0).sum(1)
        assert colours.max() < max(1, around.max())


def fewest(a):
    """The least number of colours, by trying all."""
    m = a.shape[1]
    for count in range(1, m + 1):
        if any(columns_are_valid(a, c) for c in itertools.product(range(count), repeat=m)):
            return count
    return 0


def test_few_colours():
    rng = np.random.default_rng(5)
    total = least = 0
    for _ in range(12):
        a = rng.random((6, 5)) < 0.35
        total += sparse.colour_columns(scipy.sparse.csr_array(a)).max() + 1
        least += fewest(a)
    assert least <= total <= least + 1
    assert sparse.colour_columns(tridiagonal(50)).max() + 1 == 3
    assert sparse.colour_columns(scipy.sparse.csr_array(np.ones((4, 9)))).max() + 1 == 9


def test_incidence_and_largest_first_where_the_natural_order_is_poor():
    # A crown: column 2 i and 2 j + 1 have a row in common unless i = j. Two colours are enough;
    # the natural order, which takes the pairs without a common row together, needs one for each.
    k, rows = 6, []
    for i, j in itertools.permutations(range(k), 2):
        row = np.zeros(2 * k, bool)
        row[[2 * i, 2 * j + 1]] = True
        rows.append(row)
    crown = scipy.sparse.csr_array(np.array(rows))
    count = {order: sparse.colour_columns(crown, order).max() + 1 for order in ORDERS}
    assert count["natural"] == k and count["incidence"] == count["best"] == 2


def test_orders_do_what_their_names_say():
    a = scipy.sparse.csr_array(arrow(6)[1:])  # column 0 has all others as neighbours
    by_column = a.tocsc()
    assert colouring.ordered(a, by_column, "largest_first")[0] == 0
    starts, edges = colouring.adjacency(a, by_column)
    last = colouring.smallest_last(starts, edges)
    # Coleman & Moré: in the smallest-last order each vertex has, among those up to it, the fewest
    # neighbours of all.
    around = [set(edges[starts[v] : starts[v + 1]]) for v in range(6)]
    for k in range(6, 0, -1):
        left = set(last[:k])
        degree = {v: len(around[v] & left) for v in left}
        assert degree[last[k - 1]] == min(degree.values())
    grown = colouring.incidence(starts, edges)
    for k in range(1, 6):
        met = {v: len(around[v] & set(grown[:k])) for v in grown[k:]}
        assert met[grown[k]] == max(met.values())


def recovered(a, values, found):
    """The matrix from the products that a colouring stands for."""
    got = np.zeros(a.shape)
    for i, j in np.argwhere(a):
        by_row = found.columns is None
        if found.by_row is not None:
            k = int(np.flatnonzero((np.argwhere(a) == (i, j)).all(1))[0])
            by_row = found.by_row[k]
        if by_row:
            assert found.rows[i] >= 0
            got[i, j] = values[found.rows == found.rows[i], j].sum()
        else:
            assert found.columns[j] >= 0
            got[i, j] = values[i, found.columns == found.columns[j]].sum()
    return got


@pytest.mark.parametrize("mode", ["fwd", "rev", "both", "auto"])
def test_products_determine_every_element(mode):
    rng = np.random.default_rng(7)
    for a in [*matrices(), arrow(8), arrow(8)[:5], arrow(9)[:, :4]]:
        found = sparse.coloured(scipy.sparse.csr_array(a), mode)
        values = rng.normal(size=a.shape) * a
        np.testing.assert_allclose(recovered(a, values, found), values)


def test_what_auto_takes():
    tall = scipy.sparse.csr_array(np.ones((9, 2)))
    kinds = {
        "columns": tall,
        "rows": scipy.sparse.csr_array(np.ones((2, 9))),
        "both": scipy.sparse.csr_array(arrow(40)),
    }
    for kind, a in kinds.items():
        assert sparse.coloured(a).kind == kind
    assert sparse.coloured(kinds["both"]).products == 3
    assert str(sparse.coloured(kinds["both"], "fwd").products) == "40"
    band = sparse.coloured(tridiagonal(30))
    assert (band.kind, band.products, band.row_colours) == ("columns", 3, 0)


# ---- symmetric


def neighbours(a):
    return [set(np.flatnonzero(row).tolist()) - {i} for i, row in enumerate(a)]


def is_star(a, colours):
    """Neighbours differ, and every path of four vertices has three colours."""
    around = neighbours(a)
    for b, near in enumerate(around):
        for c in near:
            if colours[b] == colours[c]:
                return False
            for p, q in itertools.product(near - {c}, around[c] - {b}):
                if p != q and len({colours[p], colours[b], colours[c], colours[q]}) < 3:
                    return False
    return True


def is_acyclic(a, colours):
    """Neighbours differ, and any two colours together have no cycle: edges < vertices in each
    connected part."""
    around = neighbours(a)
    if any(colours[v] == colours[w] for v, near in enumerate(around) for w in near):
        return False
    for pair in itertools.combinations(range(max(colours) + 1), 2):
        which = np.isin(colours, pair)
        part = a[np.ix_(which, which)] & ~np.eye(which.sum(), dtype=bool)
        trees, _ = scipy.sparse.csgraph.connected_components(scipy.sparse.csr_array(part))
        if part.sum() // 2 != which.sum() - trees:
            return False
    return True


VALID = {"star": is_star, "acyclic": is_acyclic, "columns": columns_are_valid}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kind", ["star", "acyclic", "columns"])
def test_symmetric(kind, order):
    for a in [*matrices(40, symmetric_ones=True), arrow(7), grid(3).toarray() != 0]:
        found = sparse.coloured_symmetric(scipy.sparse.csr_array(a), kind, order)
        assert VALID[kind](a, found.columns)


def test_checks_see_what_is_wrong():
    path = np.eye(4, dtype=bool) | np.eye(4, k=1, dtype=bool) | np.eye(4, k=-1, dtype=bool)
    assert not is_star(path, [0, 1, 0, 1]) and is_star(path, [0, 1, 2, 1])
    ring = path.copy()
    ring[0, 3] = ring[3, 0] = True
    assert is_acyclic(path, [0, 1, 0, 1]) and not is_acyclic(ring, [0, 1, 0, 1])


def test_how_many_colours():
    def counts(a):
        found = (sparse.coloured_symmetric(a, k) for k in ("columns", "star", "acyclic"))
        return [c.products for c in found]

    # Coleman & Moré (1984); Coleman & Cai (1986): a band of half-width b needs 2 b + 1 columns,
    # an acyclic colouring of it b + 1; a tree can be coloured acyclically with 2.
    assert counts(scipy.sparse.csr_array(tridiagonal(40))) == [3, 3, 2]
    assert counts(scipy.sparse.csr_array(arrow(40))) == [40, 2, 2]
    of_columns, star, acyclic = counts(grid(8))
    assert of_columns >= star >= acyclic >= 3


@pytest.mark.parametrize("kind", ["star", "acyclic", "columns"])
def test_recovery(kind):
    rng = np.random.default_rng(11)
    for a in [*matrices(60, symmetric_ones=True), arrow(7), grid(3).toarray() != 0]:
        n = len(a)
        values = rng.normal(size=(n, n))
        values = (values + values.T) * a
        pattern = scipy.sparse.csr_array(a)
        found = sparse.coloured_symmetric(pattern, kind)
        seeds = np.eye(found.products)[found.columns]
        flat = (values @ seeds).T.reshape(-1)
        if kind == "star":
            data = flat[symmetric.recovered_by_star(pattern, found.columns).places]
        elif kind == "columns":
            data = flat[symmetric.recovered_by_columns(pattern, found.columns).places]
        else:
            data = substituted(symmetric.recovered_by_substitution(pattern, found.columns), flat)
        got = scipy.sparse.csr_array((data, pattern.indices, pattern.indptr), shape=(n, n))
        np.testing.assert_allclose(got.toarray(), values, rtol=1e-12, atol=1e-12)


def substituted(recovery, flat):
    system = np.zeros((len(recovery.places), len(recovery.places)))
    system[recovery.system] = 1
    assert (np.triu(system, 1) == 0).all() and (np.diag(system) == 1).all()
    return scipy.linalg.solve_triangular(system, flat[recovery.places], lower=True)[recovery.half]


# ---- large ones, and mistakes


def test_time_grows_with_the_nonzeros():
    n = 20_000
    wheel = scipy.sparse.csr_array(scipy.sparse.eye_array(n, dtype=bool))
    hub = scipy.sparse.csr_array((np.ones(n, bool), (np.zeros(n, int), np.arange(n))), shape=(n, n))
    wheel = scipy.sparse.csr_array((wheel + hub + hub.T).astype(bool))
    # Its hub makes all pairs of columns neighbours: 4e8 pairs, which are never looked at.
    assert sparse.coloured_symmetric(wheel).products == 2
    assert sparse.coloured_symmetric(wheel, "acyclic").products == 2
    assert sparse.coloured(wheel, "both").products == 3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda a: sparse.colour_columns(a, "random"), "there is no colouring order 'random'."),
        (lambda a: sparse.coloured(a, "sideways"), "there is no mode 'sideways'"),
        (lambda a: sparse.coloured_symmetric(a, "moon"), "there is no colouring 'moon' of Hess"),
        (lambda a: sparse.coloured_symmetric(a, order="x"), "there is no colouring order 'x'."),
    ],
)
def test_mistakes(call, message):
    with pytest.raises(ValueError, match=message.replace(".", r"\.")):
        call(scipy.sparse.csr_array(np.eye(3)))


def test_nothing_to_colour():
    none = scipy.sparse.csr_array((0, 3))
    assert sparse.colour_columns(none).tolist() == [0, 0, 0]
    assert sparse.coloured(scipy.sparse.csr_array((3, 0))).products == 0
