"""Products of matrices and convolutions cut into pieces: right, and equal bits to those uncut."""

import numpy as np
import pytest
import test_contraction
import test_native_convolution
from fuzz import run_kernel
from kernels import kernel_of
from test_contraction import PLAIN, matrices, plainly

import pullback
from pullback.core.settings import enable_x64
from pullback.engines.native import fusion, parts, threads
from pullback.engines.native.grids import MOST, Grid, divided_by, grid_of
from pullback.lax import fori_loop
from pullback.ops.contraction import dot_general

NEVER = float("inf")


@pytest.fixture(autouse=True)
def wide():
    before = pullback.config.pullback_threads
    with enable_x64(True):
        yield
    pullback.config.update("pullback_threads", before)


@pytest.fixture
def smallest(monkeypatch):
    """All loops in as many pieces as can be, for three threads."""
    cut_from(monkeypatch, 0)
    monkeypatch.setattr(parts, "PIECE", 1)
    pullback.config.update("pullback_threads", 3)


def cut_from(monkeypatch, work):
    monkeypatch.setattr(parts, "LARGE", work)
    monkeypatch.setattr(fusion, "LARGE", work)


@pytest.mark.parametrize("seed", range(160))
def test_random_products(seed, smallest):
    _, arrays, params = test_contraction.case(seed)
    test_contraction.check(plainly, arrays, params)


@pytest.mark.parametrize("seed", range(150))
def test_random_convolutions(seed, smallest):
    test_native_convolution.check(*test_native_convolution.case(seed))


@pytest.mark.fuzz
@pytest.mark.parametrize("seed", range(1000, 4000))
def test_random_products_fuzz(seed, smallest):
    _, arrays, params = test_contraction.case(seed)
    test_contraction.check(plainly, arrays, params)


SIZES = [
    (129, 517, 331),  # columns copied together; tiles moved back along both axes
    (16, 700, 1000),
    (2000, 40, 24),  # one column of tiles: cut along the rows
    (30, 2000, 40),
    (1, 999, 1501),
]


@pytest.mark.parametrize("flip_y", [False, True])
@pytest.mark.parametrize("flip_x", [False, True])
@pytest.mark.parametrize("dtype", ["f4", "f8", "c8", "i4"])
@pytest.mark.parametrize("size", SIZES)
def test_equal_bits(size, dtype, flip_x, flip_y, monkeypatch):
    x, y = matrices(np.random.default_rng(0), *size, np.dtype(dtype))
    numbers = (((0 if flip_x else 1,), (1 if flip_y else 0,)), ((), ()))
    given = [np.ascontiguousarray(a.T) if flip else a for a, flip in ((x, flip_x), (y, flip_y))]
    params = {**PLAIN, "dimension_numbers": numbers}

    def kernel():
        return kernel_of(lambda a, b: [dot_general(a, b, **params)], given)

    cut_from(monkeypatch, NEVER)
    uncut = kernel()
    assert threads.SHARE not in uncut.text
    (wanted,) = run_kernel(uncut, given)
    cut_from(monkeypatch, 0)
    for piece in (1, 150_000):
        monkeypatch.setattr(parts, "PIECE", piece)
        cut = kernel()
        assert threads.SHARE in cut.text
        for number in (1, 2, 5):
            pullback.config.update("pullback_threads", number)
            for _ in range(3):
                (got,) = run_kernel(cut, given)
                assert got.tobytes() == wanted.tobytes(), (piece, number)


def test_batches_of_products():
    rng = np.random.default_rng(1)
    numbers = (((2,), (1,)), ((0,), (0,)))
    params = {**PLAIN, "dimension_numbers": numbers}
    for batch in (2, 5, 40):
        x = rng.standard_normal((batch, 90, 130)).astype(np.float32)
        y = rng.standard_normal((batch, 130, 250)).astype(np.float32)
        kernel = kernel_of(lambda a, b: [dot_general(a, b, **params)], [x, y])
        assert threads.SHARE in kernel.text
        pullback.config.update("pullback_threads", 2)
        (got,) = run_kernel(kernel, [x, y])
        wanted = x.astype(np.float64) @ y.astype(np.float64)
        np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-4)


def test_in_a_loop_with_an_operand_copied_before_it(smallest):
    w = np.random.default_rng(2).integers(-2, 3, (70, 90)).astype(np.float32)
    x = np.random.default_rng(3).integers(-2, 3, (80, 90)).astype(np.float32)

    def function(w, x):
        return [fori_loop(0, 2, lambda _, y: (y @ w.T) @ w, x)]

    (got,) = run_kernel(kernel_of(function, [w, x]), [w, x])
    np.testing.assert_array_equal(got, x @ w.T @ w @ w.T @ w)  # whole numbers below 2**24


def test_small_products_stay_whole():
    x = np.ones((64, 64), np.float32)
    kernel = kernel_of(lambda a, b: [dot_general(a, b, **PLAIN)], [x, x])
    assert threads.SHARE not in kernel.text


class Sums:
    """Enough of Code to compute with numbers."""

    def times(self, a, k):
        return a * k

    def op(self, instruction):
        what, rest = instruction.split(" ", 1)
        if what == "icmp":
            a, b = rest.removeprefix("eq i64 ").split(", ")
            return int(int(a) == int(b))
        if what == "select":
            condition, a, b = (int(part.split()[-1]) for part in rest.split(", "))
            return a if condition else b
        raise AssertionError(instruction)


@pytest.mark.parametrize("rows", [(1, 9, 9), (3, 4, 11), (2, 1, 2)])
@pytest.mark.parametrize("columns", [(1, 5, 5), (4, 3, 10)])
def test_units_cover_each_tile_once(rows, columns):
    products = 3
    units = products * rows[0] * columns[0]
    grid = Grid(units, 1, units, rows, columns)
    seen = []
    for unit in range(units):
        (row, high, column, wide), number = grid.place(Sums(), unit)
        seen += [(number, row + i, column + j) for i in range(high) for j in range(wide)]
    every = [(n, i, j) for n in range(products) for i in range(rows[2]) for j in range(columns[2])]
    assert sorted(seen) == every


def test_divided_by():
    assert divided_by(Sums(), 17, 5) == (2, 3)
    assert divided_by(Sums(), 17, 1) == (0, 17)


def test_how_much_is_cut():
    """What is large, into a few pieces of each matrix."""
    rng = np.random.default_rng(0)
    found = 0
    for _ in range(300):
        work = 10 ** rng.uniform(5, 9)
        sizes = [int(n) for n in rng.integers(1, 5, rng.integers(0, 3))]
        steps = tuple(int(n) for n in rng.integers(1, 40, 2))
        overlaps = tuple(bool(n) for n in rng.integers(0, 2, 2))
        grid = grid_of(work, sizes, steps, overlaps, bool(rng.integers(0, 2)))
        if work < parts.LARGE:
            assert grid is None
        if grid is None:
            continue
        found += 1
        assert 1 < grid.pieces <= 3 * MOST
        assert grid.pieces * grid.each >= grid.units > (grid.pieces - 1) * grid.each
        for (count, each, whole), over in zip((grid.rows, grid.columns), overlaps, strict=True):
            if count > 1:
                assert whole - (count - 1) * each >= 1 + over
    assert found > 50
