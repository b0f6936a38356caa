"""Linear algebra of the native engine: tiny matrices in registers, larger ones by LAPACK."""

import itertools

import ml_dtypes
import numpy as np
import pytest
from kernels import kernel_of, meaning, results

from pullback.ops.determinants import cofactors, det
from pullback.ops.eigen import eig, eigh, eigh_tridiagonal
from pullback.ops.elementwise import add, mul
from pullback.ops.factorizations import geqrf, householder_product, ormqr, qr
from pullback.ops.hermitian import hermitian_part
from pullback.ops.linalg import (
    cholesky,
    flip,
    lu,
    lu_factors,
    lu_pivots_to_permutation,
    lu_solve,
    triangular_solve,
)
from pullback.ops.spectral import lstsq, pinv, svd
from pullback.ops.tridiagonal import tridiagonal, tridiagonal_solve
from pullback.ops.updates import symmetric_product

FULL = ["float32", "float64", "complex64", "complex128"]
REAL_OF = {"complex64": "float32", "complex128": "float64"}
STACKS = [(), (3,), (2, 20), (0,)]
"""One matrix, a stack that fits into registers if tiny, one that does not, none."""
SIZES = [0, 1, 2, 3, 4, 5, 9]


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def matrices(rng, shape, dtype):
    x = rng.standard_normal(shape)
    if np.dtype(dtype).kind == "c":
        x = x + 1j * rng.standard_normal(shape)
    return x.astype(dtype)


def adjoint(x):
    return np.conj(np.swapaxes(x, -1, -2))


def definite(rng, shape, dtype):
    a = matrices(rng, shape, dtype)
    return (a @ adjoint(a) + shape[-1] * np.eye(shape[-1])).astype(dtype)


def tolerance(dtype, steps):
    return steps * float(np.finfo(dtype).eps)


def close(mine, wanted, steps=400):
    """Equal up to some steps of the largest number; NaN and infinity in the same places."""
    assert mine.dtype == wanted.dtype
    assert mine.shape == wanted.shape
    if mine.dtype.kind in "iub":
        np.testing.assert_array_equal(mine, wanted)
        return
    finite = np.abs(wanted[np.isfinite(wanted)])
    size = max(1.0, float(finite.max(initial=0)))
    near = tolerance(wanted.dtype, steps)
    np.testing.assert_allclose(mine, wanted, rtol=near, atol=near * size, equal_nan=True)


def run(primitive, arrays, params=None):
    """What the kernel gives, and what `eval` does."""
    params = params or {}

    def function(*xs):
        found = primitive(*xs, **params)
        return list(found) if primitive.multiple_results else [found]

    return results(kernel_of(function, arrays), arrays), meaning(primitive, arrays, params)


def check(primitive, arrays, params=None, steps=400):
    mine, wanted = run(primitive, arrays, params)
    for x, y in zip(mine, wanted, strict=True):
        close(x, y, steps)


# ---- Cholesky, LU, triangular systems


@pytest.mark.parametrize("dtype", FULL)
@pytest.mark.parametrize("n", SIZES)
def test_cholesky(rng, n, dtype):
    for stack in STACKS:
        a = definite(rng, (*stack, n, n), dtype)
        check(cholesky, [a])


@pytest.mark.parametrize("dtype", FULL)
@pytest.mark.parametrize("n", [1, 2, 4, 7])
def test_matrices_that_are_not_positive_definite_have_factors_of_nan(rng, n, dtype):
    good = definite(rng, (9, n, n), dtype)
    bad = good.copy()
    bad[1, 0, 0] = -1
    bad[3, n - 1, n - 1] = 0
    bad[5, 0, 0] = np.nan
    (mine,), (wanted,) = run(cholesky, [bad])
    close(mine, wanted)
    broken = np.isnan(mine).any((-2, -1))
    assert broken.tolist() == [i in (1, 3, 5) for i in range(9)]
    assert not np.triu(mine, 1).any()  # zeros above the diagonal, as everywhere


@pytest.mark.parametrize("dtype", FULL)
@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (3, 3), (4, 4), (7, 7), (4, 2), (2, 3), (9, 5)])
def test_lu(rng, shape, dtype):
    for stack in STACKS:
        check(lu, [matrices(rng, (*stack, *shape), dtype)])


def test_lu_without_elements():
    for shape in [(0, 0), (0, 3), (3, 0), (2, 3, 0), (2, 0, 3), (0, 3, 3)]:
        check(lu, [np.zeros(shape, np.float32)])


def test_lu_of_singular_matrices():
    for n in (2, 3, 4, 6):
        check(lu, [np.zeros((n, n))])
        check(lu, [np.ones((3, n, n))])


@pytest.mark.parametrize("n", [2, 3, 4])
def test_rows_are_swapped_in_every_order(n):
    rows = np.array([np.eye(n)[list(p)] for p in itertools.permutations(range(n))])
    a = rows * np.arange(1, n + 1) + 0.1
    check(lu, [a])
    for one in a:
        check(lu, [one])


@pytest.mark.parametrize("dtype", FULL)
@pytest.mark.parametrize("trans", [0, 1])
@pytest.mark.parametrize("n", [1, 2, 3, 4, 6])
def test_lu_solve(rng, n, trans, dtype):
    for stack, k in [((), 1), ((), 9), ((3,), 2), ((20,), 1), ((2, 20), 3)]:
        a = matrices(rng, (*stack, n, n), dtype) + n * np.eye(n, dtype=dtype)[::-1]
        b = matrices(rng, (*stack, n, k), dtype)

        def function(a, b):
            factors, _, order = lu_factors(a)
            return [lu_solve(a, factors, order, b, trans=trans)]

        (x,) = results(kernel_of(function, [a, b]), [a, b])
        op = np.swapaxes(a, -1, -2) if trans else a
        close(op @ x, b, 2000)


def test_lu_solve_of_a_singular_matrix_is_not_finite():
    a, b = np.ones((5, 3, 3), np.float32), np.arange(15, dtype=np.float32).reshape(5, 3, 1)

    def function(a, b):
        factors, _, order = lu_factors(a)
        return [lu_solve(a, factors, order, b, trans=0)]

    for many in (slice(None), 0):
        (x,) = results(kernel_of(function, [a[many], b[many]]), [a[many], b[many]])
        assert not np.isfinite(x).all(-2).any()


def test_pivots_to_permutation(rng):
    pivots = np.array([[1, 1, 4], [2, 4, 2], [0, 1, 2]], np.int32)
    check(lu_pivots_to_permutation, [pivots], {"permutation_size": 5})


@pytest.mark.parametrize("dtype", FULL)
@pytest.mark.parametrize("n", [2, 7])
def test_triangular_solve(rng, n, dtype):
    names = ("left_side", "lower", "transpose_a", "conjugate_a", "unit_diagonal")
    a = matrices(rng, (n, n), dtype) / 4 + np.eye(n, dtype=dtype)
    for chosen in itertools.product((False, True), repeat=5):
        params = dict(zip(names, chosen, strict=True))
        shape = (n, 3) if params["left_side"] else (3, n)
        check(triangular_solve, [a, matrices(rng, shape, dtype)], params)


def test_triangular_solve_of_stacks_and_of_transposed_matrices(rng):
    params = {"left_side": True, "lower": True, "transpose_a": False, "conjugate_a": False}
    params["unit_diagonal"] = False
    for n in (3, 6):
        a = matrices(rng, (20, n, n), "float32") / 4 + np.eye(n, dtype="float32")
        check(triangular_solve, [a, matrices(rng, (20, n, 2), "float32")], params)

    def function(a, b):
        return [triangular_solve(flip(a), flip(b), **params)]

    a, b = a[0].astype(complex), matrices(rng, (2, 6), complex)
    (mine,) = results(kernel_of(function, [a, b]), [a, b])
    (wanted,) = meaning(triangular_solve, [a.T, b.T], params)
    close(mine, wanted)


def test_floats_of_half_width_are_computed_in_float32(rng):
    for dtype in (np.float16, ml_dtypes.bfloat16):
        a = definite(rng, (3, 3), "float32").astype(dtype)
        for primitive in (cholesky, det):
            (mine,), (wanted,) = run(primitive, [a])
            assert mine.dtype == wanted.dtype
            np.testing.assert_allclose(mine.astype("f"), wanted.astype("f"), rtol=0.02)


# ---- determinants


@pytest.mark.parametrize("dtype", FULL)
@pytest.mark.parametrize("n", SIZES)
def test_determinants_and_cofactors(rng, n, dtype):
    for stack in STACKS:
        a = matrices(rng, (*stack, n, n), dtype)
        check(det, [a], steps=3000)
        if n < 7:
            check(cofactors, [a], steps=3000)
        check(hermitian_part, [a])


def test_determinants_of_singular_matrices_are_zero():
    for n in (1, 2, 3, 4, 6):
        (mine,), _ = run(det, [np.zeros((n, n))])
        assert mine == 0
    (mine,), _ = run(cofactors, [np.ones((3, 3))])
    assert not mine.any()


@pytest.mark.parametrize("n", [2, 3, 4])
def test_cofactors_of_a_matrix_with_nan_or_infinity_are_nan(n):
    a = np.ones((4, n, n))
    a[1, 0, 0], a[2, n - 1, 0] = np.nan, -np.inf
    (mine,), (wanted,) = run(cofactors, [a])
    assert np.isnan(mine[1:3]).all()
    assert np.isfinite(mine[[0, 3]]).all()
    close(mine, wanted)


# ---- QR


SHAPES = [(1, 1), (3, 3), (5, 2), (2, 5), (12, 7)]


@pytest.mark.parametrize("dtype", FULL)
@pytest.mark.parametrize("shape", SHAPES)
def test_qr(rng, shape, dtype):
    for stack, full, pivoting in itertools.product([(), (3,)], (False, True), (False, True)):
        a = matrices(rng, (*stack, *shape), dtype)
        check(qr, [a], {"full_matrices": full, "pivoting": pivoting}, 2000)


def test_qr_without_elements():
    for shape, full in itertools.product([(0, 3), (3, 0), (2, 3, 0)], (False, True)):
        check(qr, [np.zeros(shape)], {"full_matrices": full, "pivoting": False})


@pytest.mark.parametrize("dtype", FULL)
def test_reflections(rng, dtype):
    a = matrices(rng, (2, 6, 4), dtype)
    check(geqrf, [a])
    packed, taus = meaning(geqrf, [a], {})
    check(householder_product, [packed, taus])
    check(householder_product, [packed, taus[..., :0]])
    for left, turned in itertools.product((False, True), repeat=2):
        c = matrices(rng, (2, 6, 3) if left else (2, 3, 6), dtype)
        check(ormqr, [packed, taus, c], {"left": left, "transpose": turned})


# ---- eigenvalues and singular values


@pytest.mark.parametrize("dtype", FULL)
@pytest.mark.parametrize("n", [1, 2, 3, 8])
def test_eigh(rng, n, dtype):
    for stack, lower in itertools.product([(), (3,)], (False, True)):
        x = matrices(rng, (*stack, n, n), dtype)
        params = {"lower": lower, "sort_eigenvalues": True, "subset_by_index": None}
        (v, w), (_, wanted) = run(eigh, [x], params)
        close(w, wanted)
        half = np.tril(x, -1) if lower else adjoint(np.triu(x, 1))
        whole = half + adjoint(half) + np.eye(n) * np.real(x)
        close((v * w[..., None, :]) @ adjoint(v), whole.astype(dtype))
        close(adjoint(v) @ v, np.broadcast_to(np.eye(n, dtype=dtype), x.shape))


def test_eigh_of_a_part(rng):
    x = definite(rng, (3, 5, 5), "float64")
    params = {"lower": True, "sort_eigenvalues": True, "subset_by_index": (1, 3)}
    (v, w), (_, wanted) = run(eigh, [x], params)
    close(w, wanted)
    close(x @ v, v * w[..., None, :])


@pytest.mark.parametrize("n", [2, 6])
def test_a_matrix_with_nan_or_infinity_has_no_values(rng, n):
    x = definite(rng, (4, n, n), "float32")
    x[1, 0, 0], x[2, n - 1, 0] = np.nan, np.inf
    params = {"lower": True, "sort_eigenvalues": True, "subset_by_index": None}
    for primitive, how in [
        (eigh, params),
        (svd, {"full_matrices": False, "compute_uv": True}),
        (eig, {"compute_left_eigenvectors": True, "compute_right_eigenvectors": True}),
    ]:
        for found in run(primitive, [x], how)[0]:
            assert np.isnan(found[1:3]).all()
            assert np.isfinite(found[[0, 3]]).all()


@pytest.mark.parametrize("dtype", FULL)
@pytest.mark.parametrize("shape", SHAPES)
def test_svd(rng, shape, dtype):
    for stack, full in itertools.product([(), (3,)], (False, True)):
        x = matrices(rng, (*stack, *shape), dtype)
        (s, u, vh), (wanted, *_) = run(svd, [x], {"full_matrices": full, "compute_uv": True})
        close(s, wanted)
        k = min(shape)
        close((u[..., :k] * s[..., None, :]) @ vh[..., :k, :], x)
        for basis in (adjoint(u) @ u, vh @ adjoint(vh)):
            close(basis, np.broadcast_to(np.eye(basis.shape[-1], dtype=dtype), basis.shape))
        check(svd, [x], {"full_matrices": full, "compute_uv": False})


def test_svd_without_elements():
    for shape, full in itertools.product([(0, 3), (3, 0), (2, 3, 0)], (False, True)):
        check(svd, [np.zeros(shape)], {"full_matrices": full, "compute_uv": True})


@pytest.mark.parametrize("dtype", FULL)
@pytest.mark.parametrize("n", [1, 2, 5])
def test_eig(rng, n, dtype):
    for stack in [(), (3,)]:
        x = matrices(rng, (*stack, n, n), dtype)
        params = {"compute_left_eigenvectors": True, "compute_right_eigenvectors": True}
        (w, left, right), (wanted, *_) = run(eig, [x], params)
        assert w.dtype == wanted.dtype
        close(np.sort_complex(w), np.sort_complex(wanted), 3000)
        close(x @ right, right * w[..., None, :], 3000)
        close(adjoint(left) @ x, w[..., None] * adjoint(left), 3000)
        close(np.linalg.norm(right, axis=-2), np.ones(w.shape, REAL_OF.get(dtype, dtype)))


# ---- tridiagonal matrices, least squares


@pytest.mark.parametrize("dtype", FULL)
def test_tridiagonal_solve(rng, dtype):
    for stack, n in itertools.product([(), (3,)], (1, 2, 7)):
        dl, d, du = (matrices(rng, (*stack, n), dtype) for _ in range(3))
        b = matrices(rng, (*stack, n, 2), dtype)
        check(tridiagonal_solve, [dl, d + 3, du, b], {"perturb_singular": False})
        if n > 1:
            nothing = np.zeros_like(d)
            singular = [nothing, nothing, nothing, b]
            (mine,), _ = run(tridiagonal_solve, singular, {"perturb_singular": False})
            assert np.isnan(mine).all()


@pytest.mark.parametrize("dtype", FULL)
def test_tridiagonal_form(rng, dtype):
    x = definite(rng, (2, 6, 6), dtype)
    for lower in (False, True):
        check(tridiagonal, [x], {"lower": lower}, 2000)


def test_eigh_tridiagonal(rng):
    d, e = rng.standard_normal((3, 6)), rng.standard_normal((3, 5))
    (w, v), (wanted, _) = run(eigh_tridiagonal, [d, e])
    close(w, wanted)
    whole = [np.diag(a) + np.diag(b, 1) + np.diag(b, -1) for a, b in zip(d, e)]
    close((v * w[..., None, :]) @ adjoint(v), np.array(whole))
    d[1, 2] = np.nan
    (w, v), _ = run(eigh_tridiagonal, [d, e])
    assert np.isnan(w[1]).all() and np.isnan(v[1]).all()
    assert np.isfinite(w[[0, 2]]).all()


@pytest.mark.parametrize("dtype", FULL)
@pytest.mark.parametrize("shape", SHAPES)
def test_least_squares(rng, shape, dtype):
    real = REAL_OF.get(dtype, dtype)
    for stack in [(), (3,)]:
        a = matrices(rng, (*stack, *shape), dtype)
        limits = np.full(stack, 1e-4, real)
        b = matrices(rng, (*stack, shape[0], 2), dtype)
        for x in (a, np.zeros_like(a)):
            check(pinv, [x, limits], {"hermitian": False}, 4000)
            check(lstsq, [x, b, limits], steps=4000)
    if shape[0] == shape[1]:
        check(pinv, [definite(rng, a.shape, dtype), limits], {"hermitian": True}, 4000)


def test_symmetric_product(rng):
    for stack in STACKS:
        a, c = rng.standard_normal((*stack, 3, 4)), rng.standard_normal((*stack, 3, 3))
        check(symmetric_product, [a, c], {"alpha": 2.5, "beta": -0.5})


# ---- inside programs


def test_the_argument_of_a_factorisation_is_not_overwritten(rng):
    for n in (3, 7, 12):
        a = definite(rng, (n, n), "float64")

        def function(a):
            b = mul(a, a)  # not in memory before the factorisation needs it
            return [cholesky(b), lu(b)[0], add(b, a), qr(b, full_matrices=False, pivoting=False)[1]]

        mine = results(kernel_of(function, [a]), [a])
        wanted = [
            *meaning(cholesky, [a * a], {}),
            meaning(lu, [a * a], {})[0],
            a * a + a,
            meaning(qr, [a * a], {"full_matrices": False, "pivoting": False})[1],
        ]
        for x, y in zip(mine, wanted, strict=True):
            close(x, y)
