"""Loops over arrays that lie across: copies made first, and sums over rows in wide vectors."""

import numpy as np
import pytest
from fuzz import run_kernel
from kernels import kernel_of

import pullback
import pullback.numpy as jnp
from pullback.core.settings import enable_x64
from pullback.engines.native import fusion, parts, threads, transposing
from pullback.engines.native.buffers import Buffer
from pullback.engines.native.kinds import kind_of


@pytest.fixture(autouse=True)
def wide():
    before = pullback.config.pullback_threads
    with enable_x64(True):
        yield
    pullback.config.update("pullback_threads", before)


def numbers(shape, dtype, seed=0):
    """Whole numbers, so that all sums are exact."""
    x = np.random.default_rng(seed).integers(-50, 50, shape)
    return (x + 1j * x[::-1] if np.dtype(dtype).kind == "c" else x).astype(dtype)


DTYPES = ["f4", "f8", "i1", "i2", "c8", "c16", "?", "f2"]
SHAPES = [((300, 401), (1, 0)), ((64, 33, 97), (2, 1, 0)), ((5, 70, 300), (0, 2, 1)),
          ((2, 100, 3, 190), (0, 3, 2, 1)), ((40, 60, 70), (2, 0, 1))]  # fmt: skip


@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", range(len(SHAPES)))
def test_transposed_operands(case, dtype, cut, monkeypatch):
    shape, order = SHAPES[case]
    monkeypatch.setattr(transposing, "LARGE", 1)
    if cut:
        monkeypatch.setattr(parts, "LARGE", 0)
        monkeypatch.setattr(fusion, "LARGE", 0)
        monkeypatch.setattr(parts, "PIECE", 1)
        pullback.config.update("pullback_threads", 3)
    x = numbers(shape, dtype)
    y = np.ascontiguousarray(np.transpose(x, order))[::-1].copy()

    def function(x, y):
        z = jnp.transpose(x, order)
        return [jnp.where(y == z, z, y), z, y != z]

    z = np.transpose(x, order)
    made = []
    copied = transposing.copied
    monkeypatch.setattr(transposing, "copied", lambda *a: made.append(1) or copied(*a))
    kernel = kernel_of(function, [x, y])
    assert made
    assert (threads.SHARE in kernel.text) >= cut
    wanted = [np.where(y == z, z, y), z, y != z]
    for mine, theirs in zip(run_kernel(kernel, [x, y]), wanted, strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("size", [(1000, 70), (300, 401)])
def test_a_transposition_needs_no_scratch_memory(size):
    x = numbers(size, "f4")
    kernel = kernel_of(lambda x: [x.T], [x])
    np.testing.assert_array_equal(run_kernel(kernel, [x])[0], x.T)
    assert kernel.arena < x.nbytes


def test_the_copy_is_for_one_place():
    """What one branch copies is not there in the other, nor after both."""
    x = numbers((300, 400), "f4")

    def function(x, n):
        y = x.T
        a = pullback.lax.cond(n > 0, lambda: y * 2.0, lambda: y - 1.0)
        return [a + y]

    for n in (0, 1):
        given = [x, np.int32(n)]
        (got,) = run_kernel(kernel_of(function, given), given)
        np.testing.assert_array_equal(got, (x.T * 2 if n else x.T - 1) + x.T)


def test_in_a_loop_that_changes_what_is_copied():
    x = numbers((300, 300), "f4")

    def function(x):
        return [pullback.lax.fori_loop(0, 3, lambda _, y: y.T * 2.0 + y, x)]

    wanted = x
    for _ in range(3):
        wanted = wanted.T * 2 + wanted
    np.testing.assert_array_equal(run_kernel(kernel_of(function, [x]), [x])[0], wanted)


@pytest.mark.parametrize(
    ("shape", "strides", "found"),
    [
        ((500, 400), (1, 500), (1, 0)),
        ((500, 400), (400, 1), None),  # in order
        ((100, 100), (1, 100), None),  # small
        ((100_000, 4), (1, 100_000), None),  # narrow
        ((500, 400), (2, 1000), None),  # nothing lies side by side
        ((500, 400), (1, 0), None),  # spread
        ((30, 50, 200, 1), (10_000, 1, 50, 7), (2, 1)),
    ],
)
def test_which_arrays_lie_across(shape, strides, found):
    assert transposing.across(Buffer("%p", kind_of(np.float32), shape, strides)) == found


@pytest.mark.parametrize("dtype", ["f4", "f8", "c8", "i2", "f2"])
@pytest.mark.parametrize("columns", [40, 64, 129, 500, 1025])
@pytest.mark.parametrize("how", ["sum", "max", "prod"])
def test_reductions_over_rows(how, columns, dtype, monkeypatch):
    if how == "max" and dtype == "c8":
        pytest.skip("complex numbers have no order")
    monkeypatch.setattr(fusion, "MANY", 1)
    rows = 700 if dtype != "f2" else 30
    x = numbers((rows, columns), dtype)
    if how == "prod":
        x = np.where(x > 0, 1, -1).astype(dtype)
    (got,) = run_kernel(kernel_of(lambda x: [getattr(jnp, how)(x, 0)], [x]), [x])
    np.testing.assert_array_equal(
        got, getattr(np, how)(x, 0, **({} if how == "max" else {"dtype": got.dtype}))
    )


def test_sums_over_rows_are_as_exact_in_wide_vectors():
    x = np.full((200_000, 300), 0.1, np.float32)
    (got,) = run_kernel(kernel_of(lambda x: [jnp.sum(x, 0)], [x]), [x])
    np.testing.assert_allclose(got, 200_000 * np.float64(np.float32(0.1)), rtol=2e-5)
