"""numpy.linalg and lax.linalg: decompositions against NumPy and SciPy, their derivatives, edges."""

import importlib
import inspect

import numpy as np
import peer
import pytest
import scipy.linalg
from forced import not_on_xla

from pullback import grad, hessian, jacfwd, jit, jvp, lax, random, vmap
from pullback import numpy as jnp
from pullback.core.primitive import MissingRule
from pullback.nn import initializers
from pullback.numpy import linalg
from pullback.test_util import check_grads

KINDS = ("float32", "float64", "complex64", "complex128")
SHAPES = ((3, 3), (4, 2), (2, 4), (2, 3, 3), (0, 2), (2, 0), (0, 3, 3), (0, 0))


def drawn(*shape, dtype="float64", seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape)
    if np.dtype(dtype).kind == "c":
        x = x + 1j * rng.normal(size=shape)
    return x.astype(dtype)


def turned(x):
    return np.conj(np.swapaxes(x, -1, -2))


def hermitian(*shape, dtype="float64", seed=0):
    x = drawn(*shape, dtype=dtype, seed=seed)
    return (x + turned(x)) / 2


def close(got, want, dtype="float64"):
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape
    tolerance = 2e-5 if np.dtype(dtype).char in "fF" else 1e-12
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)


def identity_for(x):
    """Identity matrices as large as the products of the columns of `x`."""
    return np.broadcast_to(np.eye(x.shape[-1]), (*x.shape[:-2], x.shape[-1], x.shape[-1]))


# ---- values


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_qr(x64, shape, dtype):
    a = drawn(*shape, dtype=dtype)
    for mode in ("reduced", "complete"):
        q, r = linalg.qr(a, mode)
        want_q, want_r = np.linalg.qr(a, mode)
        close(q, want_q, dtype)
        close(r, want_r, dtype)
        assert q.dtype == r.dtype == a.dtype
    close(linalg.qr(a, "r"), want_r[..., : min(shape[-2:]), :], dtype)
    h, taus = linalg.qr(a, "raw")
    want_h, want_taus = np.linalg.qr(a, "raw")
    close(h, want_h, dtype)
    close(taus, want_taus, dtype)
    assert linalg.qr(a)._fields == ("Q", "R")


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_svd_and_pinv(x64, shape, dtype):
    a = drawn(*shape, dtype=dtype)
    k = min(shape[-2:])
    for full in (False, True):
        u, s, vh = map(np.asarray, linalg.svd(a, full))
        assert u.dtype == vh.dtype == a.dtype
        close(turned(u) @ u, identity_for(u), dtype)
        close(turned(turned(vh)) @ turned(vh), identity_for(turned(vh)), dtype)
        close((u[..., :k] * s[..., None, :]) @ vh[..., :k, :], a, dtype)
    close(s, np.linalg.svd(a, compute_uv=False), dtype)
    assert s.dtype == a.real.dtype
    close(linalg.svdvals(a), s, dtype)
    close(linalg.pinv(a), np.linalg.pinv(a), dtype)
    if k > 1:
        part = linalg.svd(a, False, subset_by_index=(1, k))
        for got, want in zip(part, (u[..., 1:k], s[..., 1:], vh[..., 1:k, :]), strict=True):
            close(got, want, dtype)


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("shape", [(3, 3), (2, 4, 4), (1, 1), (0, 0), (0, 3, 3)])
def test_eigenvalues(x64, shape, dtype):
    a = hermitian(*shape, dtype=dtype)
    w, v = linalg.eigh(a)
    close(w, np.linalg.eigvalsh(a), dtype)
    close(a @ np.asarray(v), np.asarray(v) * np.asarray(w)[..., None, :], dtype)
    close(turned(np.asarray(v)) @ np.asarray(v), identity_for(a), dtype)
    close(linalg.eigvalsh(a), w, dtype)
    general = drawn(*shape, dtype=dtype)
    for lower in (True, False):
        got = linalg.eigh(general, "L" if lower else "U", symmetrize_input=False)
        close(got.eigenvalues, np.linalg.eigh(general, "L" if lower else "U")[0], dtype)
    w, left, right = map(np.asarray, lax.linalg.eig(general))
    assert w.dtype == left.dtype == right.dtype == np.result_type(a.dtype, "complex64")
    close(general @ right, right * w[..., None, :], dtype)
    close(turned(left) @ general, w[..., :, None] * turned(left), dtype)
    close(np.linalg.norm(right, axis=-2), np.ones(w.shape), dtype)
    close(linalg.eigvals(general), w, dtype)
    for got, want in zip(linalg.eig(general), (w, right), strict=True):
        close(got, want, dtype)


@pytest.mark.parametrize("dtype", KINDS)
def test_svd_of_hermitian_matrices(x64, dtype):
    a = hermitian(2, 3, 3, dtype=dtype)
    u, s, vh = linalg.svd(a, hermitian=True)
    close(s, np.linalg.svd(a, compute_uv=False), dtype)
    close((u * s[..., None, :]) @ vh, a, dtype)
    close(linalg.svd(a, hermitian=True, compute_uv=False), s, dtype)
    zero = linalg.svd(np.zeros((2, 2), dtype), hermitian=True)
    close(zero.U @ zero.Vh, np.eye(2), dtype)
    close(linalg.pinv(a, hermitian=True), np.linalg.pinv(a, hermitian=True), dtype)


@pytest.mark.parametrize("dtype", KINDS)
def test_least_squares(x64, dtype):
    deficient = drawn(5, 2, dtype=dtype) @ drawn(2, 3, dtype=dtype, seed=1)
    for a in (drawn(5, 3, dtype=dtype), drawn(2, 3, dtype=dtype), deficient):
        for b in (drawn(len(a), dtype=dtype, seed=2), drawn(len(a), 2, dtype=dtype, seed=2)):
            x, rest, rank, s = linalg.lstsq(a, b, 1e-5)
            want, want_rest, want_rank, want_s = np.linalg.lstsq(a, b, 1e-5)
            close(x, want, dtype)
            close(s, want_s, dtype)
            assert int(rank) == want_rank
            expected = (abs(b - a @ want) ** 2).sum(0).reshape(-1)
            close(rest, expected, dtype)
            close(linalg.lstsq(a, b, 1e-5, numpy_resid=True)[1], want_rest, dtype)
    x, rest, rank, s = linalg.lstsq(np.zeros((0, 2), dtype), np.zeros((0, 3), dtype))
    assert (x.shape, rest.shape, int(rank), s.shape) == ((2, 3), (3,), 0, (0,))


def test_rank_and_condition(x64):
    a = drawn(4, 2) @ drawn(2, 4, seed=1)
    assert int(linalg.matrix_rank(a)) == np.linalg.matrix_rank(a) == 2
    assert int(linalg.matrix_rank(a, tol=1e6)) == 0
    assert int(linalg.matrix_rank(a @ a.T, hermitian=True)) == 2
    assert int(linalg.matrix_rank(np.zeros(3))) == 0
    close(linalg.matrix_rank(np.stack([a, np.eye(4)])), [2, 4])
    square = drawn(2, 3, 3)
    for p in (None, 1, -1, 2, -2, np.inf, -np.inf, "fro", "nuc"):
        close(linalg.cond(square, p), np.linalg.cond(square, p))
    close(linalg.cond(drawn(4, 2)), np.linalg.cond(drawn(4, 2)))
    assert np.isinf(linalg.cond(np.diag([1.0, 0.0])))
    assert np.isinf(linalg.cond(np.diag([1.0, 0.0]), 1))
    assert np.isnan(linalg.cond(np.full((2, 2), np.nan), 1))


@pytest.mark.parametrize("dtype", KINDS)
def test_reflections(x64, dtype):
    a = drawn(2, 4, 3, dtype=dtype)
    h, taus = linalg.qr(a, "raw")
    packed = jnp.matrix_transpose(h)
    whole, _ = np.linalg.qr(a, "complete")
    close(lax.linalg.householder_product(packed, taus), whole[..., :3], dtype)
    for left, c in ((True, drawn(2, 4, 5, dtype=dtype)), (False, drawn(2, 5, 4, dtype=dtype))):
        for transpose in (False, True):
            q = turned(whole) if transpose else whole
            got = lax.linalg.ormqr(packed, taus, c, left=left, transpose=transpose)
            close(got, q @ c if left else c @ q, dtype)
    q, r, p = lax.linalg.qr(a[0], pivoting=True)
    close(q @ r, a[0][:, np.asarray(p)], dtype)
    sizes = abs(np.diagonal(r))
    assert (sizes[:-1] >= sizes[1:]).all()


@pytest.mark.parametrize("dtype", KINDS)
def test_tridiagonal_systems_and_forms(x64, dtype):
    dl, d, du = (drawn(2, 4, dtype=dtype, seed=i) for i in range(3))
    d = d + 4
    b = drawn(2, 4, 3, dtype=dtype)
    whole = np.stack([np.diag(x) + np.diag(y[1:], -1) + np.diag(z[:-1], 1)
                      for y, x, z in zip(dl, d, du, strict=True)])  # fmt: skip
    for perturb in (False, True):
        got = lax.linalg.tridiagonal_solve(dl, d, du, b, perturb_singular=perturb)
        close(got, np.linalg.solve(whole, b), dtype)
    a = hermitian(4, 4, dtype=dtype)
    for lower in (True, False):
        _, d, e, taus = lax.linalg.tridiagonal(a, lower=lower)
        assert (d.dtype, e.dtype, taus.dtype) == (a.real.dtype, a.real.dtype, a.dtype)
        close(scipy.linalg.eigvalsh_tridiagonal(d, e), np.linalg.eigvalsh(a), dtype)
    a = drawn(4, 4, dtype=dtype)
    close(jnp.triu(lax.linalg.hessenberg(a)[0], -1), scipy.linalg.hessenberg(a), dtype)
    t, z = lax.linalg.schur(a)
    close(np.asarray(z) @ t @ turned(np.asarray(z)), a, dtype)
    close(lax.linalg.schur(a, compute_schur_vectors=False), t, dtype)


def test_a_singular_tridiagonal_system(x64):
    d = np.zeros(3)
    one = np.ones(3)
    got = lax.linalg.tridiagonal_solve(one, d, one, np.eye(3))
    assert not np.isfinite(np.asarray(got)).all()
    got = np.asarray(
        lax.linalg.tridiagonal_solve(one, d, one, np.eye(3)[:, :1], perturb_singular=True)
    )
    direction = got[:, 0] / np.linalg.norm(got)
    np.testing.assert_allclose(abs(direction), [0.5**0.5, 0, 0.5**0.5], atol=1e-12)


def test_updates(x64):
    a, w = drawn(4, 4), drawn(4, seed=1)
    r = np.linalg.cholesky(a @ a.T + np.eye(4)).T
    got = np.asarray(lax.linalg.cholesky_update(r, w))
    close(got.T @ got, r.T @ r + np.outer(w, w))
    assert (got == np.triu(got)).all()
    c = hermitian(3, 3)
    a = drawn(3, 2)
    got = lax.linalg.symmetric_product(a, c, alpha=2.0, beta=0.5, symmetrize_output=True)
    close(got, 2 * a @ a.T + c / 2)


@pytest.mark.parametrize("shape", [(4, 3), (3, 3)])
def test_qdwh(x64, shape):
    a = drawn(*shape)
    u, h, count, done = lax.linalg.qdwh(a)
    want_u, want_h = scipy.linalg.polar(a)
    close(u, want_u)
    close(h, want_h)
    assert int(count) == 0
    assert bool(done)


# ---- derivatives


def mixed(*xs):
    """A real number that depends on all parts of the arrays."""
    total = 0.0
    for i, x in enumerate(xs):
        weights = np.cos(np.arange(x.size) + i).reshape(x.shape)
        total = total + jnp.sum(weights * jnp.sin(jnp.real(x)))
        if jnp.iscomplexobj(x):
            total = total + jnp.sum(weights * jnp.cos(jnp.imag(x)))
    return total


def projection(columns):
    return columns @ jnp.conj(jnp.matrix_transpose(columns))


def of_svd(x):
    """What does not depend on the choice of singular vectors."""
    u, s, vh = linalg.svd(x)
    k = s.shape[-1]
    return mixed(u[..., :k] * jnp.sin(s)[..., None, :] @ vh[..., :k, :], projection(u[..., 1:]))


def of_eigh(x):
    w, v = linalg.eigh(x)
    return mixed(v * jnp.sin(w)[..., None, :] @ jnp.conj(jnp.matrix_transpose(v)))


def of_eig(w, *vectors):
    """Squares: with a real largest component, LAPACK's vectors still have either sign."""
    return mixed(w, *[v * v for v in vectors])


def of_subset(x):
    v, w = lax.linalg.eigh(x, subset_by_index=(1, 2))
    return mixed(projection(v), w)


DIFFERENTIATED = [
    ("qr", lambda x: mixed(*linalg.qr(x)), ((3, 3), (4, 2), (2, 4), (2, 3, 2))),
    ("qr complete", lambda x: mixed(*linalg.qr(x, "complete")), ((4, 2), (2, 4))),
    ("qr raw", lambda x: mixed(*linalg.qr(x, "raw")), ((4, 2), (2, 4))),
    ("qr pivoting", lambda x: mixed(*lax.linalg.qr(x, pivoting=True)[:2]), ((4, 3),)),
    ("svd", of_svd, ((3, 3), (4, 2), (2, 4), (2, 3, 2))),
    ("svdvals", lambda x: mixed(linalg.svdvals(x)), ((3, 3), (4, 2), (2, 2, 4))),
    ("eigh", of_eigh, ((3, 3), (2, 3, 3))),
    ("eigh subset", of_subset, ((3, 3),)),
    ("eigvalsh", lambda x: mixed(linalg.eigvalsh(x)), ((3, 3), (2, 3, 3))),
    ("eig", lambda x: of_eig(*linalg.eig(x)), ((3, 3), (2, 3, 3))),
    ("eig left", lambda x: of_eig(*lax.linalg.eig(x)), ((3, 3),)),
    ("eigvals", lambda x: mixed(linalg.eigvals(x)), ((3, 3),)),
    ("pinv", lambda x: mixed(linalg.pinv(x)), ((3, 3), (4, 2), (2, 4))),
    ("lstsq", lambda x: mixed(*linalg.lstsq(x, x[:, 0] ** 2)[:2]), ((4, 2), (2, 4))),
    ("cond", lambda x: mixed(linalg.cond(x)), ((3, 3), (4, 2))),
    ("nuclear norm", lambda x: linalg.norm(x, "nuc"), ((3, 3), (4, 2))),
    ("2-norm", lambda x: linalg.matrix_norm(x, ord=2), ((3, 3), (2, 4))),
    ("-2-norm", lambda x: linalg.norm(x, -2), ((3, 3),)),
    ("inv", lambda x: mixed(linalg.inv(x)), ((3, 3),)),
    ("solve", lambda x: mixed(linalg.solve(x, x[..., :1])), ((2, 3, 3),)),
    ("slogdet", lambda x: linalg.slogdet(x)[1], ((3, 3),)),
    ("matrix_power", lambda x: mixed(linalg.matrix_power(x, -3)), ((3, 3),)),
    ("lu", lambda x: mixed(lax.linalg.lu(x)[0]), ((3, 3), (2, 3), (3, 2))),
]


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize(
    ("function", "shape"),
    [
        pytest.param(f, shape, id=f"{n}-{shape}")
        for n, f, shapes in DIFFERENTIATED
        for shape in shapes
    ],
)
def test_derivatives(x64, function, shape, dtype):
    x = drawn(*shape, dtype=dtype, seed=3)
    if shape[-1] == shape[-2]:
        x = x + np.diag(np.arange(shape[-1]))
    check_grads(function, (x,), order=2, atol=2e-4, rtol=2e-4)


def test_mapped_and_compiled(x64):
    a = drawn(3, 4, 2)
    for function in (linalg.qr, linalg.svd, linalg.pinv, lambda x: linalg.lstsq(x, x[:, 0])):
        outs = [function(x) for x in a]
        got, jitted = vmap(function)(a), jit(vmap(function))(a)
        if not isinstance(got, tuple):
            outs, got, jitted = [(x,) for x in outs], (got,), (jitted,)
        for i, (g, j) in enumerate(zip(got, jitted, strict=True)):
            close(g, np.stack([np.asarray(o[i]) for o in outs]))
            close(j, g)


# ---- equal values, and zero


def test_equal_eigenvalues_have_right_derivatives(x64):
    one = np.eye(3)
    close(grad(lambda x: jnp.sum(linalg.eigvalsh(x)))(one), one)
    close(grad(lambda x: jnp.sum(linalg.eigvalsh(x) ** 3))(2 * one), 12 * one)
    values = jvp(lambda x: linalg.eigh(x)[0], (one,), (drawn(3, 3),))[1]
    assert np.isfinite(np.asarray(values)).all()


def test_vectors_of_equal_values_have_no_silent_derivative(x64):
    # At 2 I, v w^3 v^T changes by 12 dx. The derivatives of w and v do not tell: v turns by any
    # angle where the values are equal.
    def cubed(x):
        w, v = linalg.eigh(x)
        return v * w**3 @ v.T

    def cubed_by_svd(x):
        u, s, vh = linalg.svd(x)
        return u * s**3 @ vh

    def cubed_by_eig(x):
        w, v = linalg.eig(x)
        return jnp.real(v * w**3 @ linalg.inv(v))

    for function in (cubed, cubed_by_svd, cubed_by_eig):
        change = jvp(function, (2 * np.eye(2),), (np.ones((2, 2)),))[1]
        assert not np.isfinite(np.asarray(change)).all()
        change = grad(lambda x: jnp.sum(function(x)))(2 * np.eye(2))  # noqa: B023
        assert not np.isfinite(np.asarray(change)).all()
    # Other vectors are as they are.
    x = np.diag([1.0, 1.0, 3.0])
    part = jvp(lambda x: linalg.eigh(x)[1][:, 2:], (x,), (drawn(3, 3),))[1]
    assert np.isfinite(np.asarray(part)).all()
    check_grads(lambda x: projection(linalg.eigh(x)[1][:, 2:]), (x,), order=1, modes=("fwd",))


def test_equal_singular_values_have_right_derivatives(x64):
    one = np.eye(3)[:, :2]
    close(grad(lambda x: jnp.sum(linalg.svdvals(x)))(one), one)
    close(grad(lambda x: linalg.norm(x, "nuc"))(2 * one), one)
    close(grad(lambda x: jnp.sum(linalg.svdvals(x) ** 2))(3 * one), 6 * one)


def test_singular_values_of_zero(x64):
    zero = np.zeros((3, 2))
    assert np.isfinite(np.asarray(grad(lambda x: jnp.sum(linalg.svdvals(x)))(zero))).all()
    got = jvp(lambda x: linalg.svd(x)[1], (zero,), (drawn(3, 2),))[1]
    assert np.isfinite(np.asarray(got)).all()
    close(grad(lambda x: jnp.sum(linalg.svdvals(x) ** 2))(zero), zero)
    # u s vh is x, and changes as x does. Where a vector's derivative is infinite, that shows.
    product = lambda x: (lambda u, s, vh: u * s @ vh)(*linalg.svd(x, full_matrices=False))  # noqa: E731
    t = drawn(2, 2)
    close(jvp(product, (np.diag([2.0, 0.0]),), (t,))[1], t)
    tall = jvp(product, (np.eye(3)[:, :2] * [2.0, 0.0],), (drawn(3, 2),))[1]
    assert not np.isfinite(np.asarray(tall)).all()
    x = np.diag([2.0, 0.0])
    close(grad(lambda x: linalg.norm(x, 2))(x), np.diag([1.0, 0.0]))


def test_the_pseudo_inverse_of_constant_rank(x64):
    left, right = drawn(4, 2), drawn(2, 3, seed=1)
    check_grads(lambda x, y: linalg.pinv(x @ y, 1e-6), (left, right), order=2)
    check_grads(lambda x: linalg.pinv(x), (2 * np.eye(3),), order=2)
    check_grads(lambda x, y: linalg.lstsq(x @ y, left[:, 0], 1e-6)[0], (left, right), order=2)
    close(linalg.pinv(np.zeros((3, 2))), np.zeros((2, 3)))
    close(linalg.pinv(np.diag([1.0, 1e-3]), np.array(1e-2)), np.diag([1.0, 0.0]))


def test_qr_of_dependent_columns_has_no_derivative(x64):
    x = np.ones((3, 2))
    x[:, 0] = 0
    got = jvp(lambda x: linalg.qr(x)[0], (x,), (drawn(3, 2),))[1]
    assert not np.isfinite(np.asarray(got)).all()


def test_the_completed_basis_of_a_triangular_matrix(x64):
    x = np.eye(3)[:, :1]  # LAPACK reflects nothing here, and would with any number below
    dq = np.asarray(jvp(lambda x: linalg.qr(x, "complete")[0], (x,), (drawn(3, 1),))[1])
    assert np.isfinite(dq).all()
    q = np.asarray(linalg.qr(x, "complete")[0])
    close(q.T @ dq + dq.T @ q, np.zeros((3, 3)))


def test_matrices_with_nan_leave_others_alone():
    good = drawn(3, 3, dtype="float32")
    bad = good.copy()
    bad[0, 0] = np.nan
    both = np.stack([good, bad])
    for function in (linalg.svdvals, linalg.eigvalsh, linalg.eigvals, linalg.pinv):
        got = np.asarray(function(both))
        close(got[0], function(good), "float32")
        assert np.isnan(got[1]).all()


# ---- what has no derivative, and mistakes


def test_what_has_no_derivative_says_so():
    for function in (lax.linalg.hessenberg, lax.linalg.tridiagonal):
        with pytest.raises(MissingRule, match="the jvp rule of"):
            jvp(function, (np.eye(2, dtype="f4"),), (np.eye(2, dtype="f4"),))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", ["qr", "eigh", "eig", "eigvals", "eigvalsh"])
def test_half_widths_are_refused(name, dtype):
    with pytest.raises(NotImplementedError) as caught:
        getattr(linalg, name)(jnp.eye(2, dtype=dtype))
    assert "LAPACK has no such numbers" in str(caught.value)


MISTAKES = [
    (lambda: linalg.qr(np.eye(2), "whole"), ValueError, "Unsupported QR decomposition mode"),
    (lambda: linalg.qr(np.ones(2)), ValueError, "linalg.qr takes a matrix"),
    (lambda: linalg.svd(np.ones(2)), ValueError, "linalg.svd takes a matrix"),
    (lambda: linalg.svd(np.eye(2), False, subset_by_index=(0, 3)), ValueError, "subset_by_index"),
    (lambda: linalg.svd(np.eye(2), subset_by_index=(0, 1)), ValueError, "cannot both be set"),
    (lambda: linalg.eigh(np.eye(2), "X"), ValueError, "UPLO must be one of None, 'L', or 'U'"),
    (lambda: linalg.eigh(np.ones((2, 3))), ValueError, "linalg.eigh takes square matrices"),
    (lambda: linalg.eig(np.ones((2, 3))), ValueError, "linalg.eig takes square matrices"),
    (lambda: linalg.pinv(np.eye(2), 1, rcond=1), ValueError, "only one of rcond or rtol"),
    (lambda: linalg.matrix_rank(np.eye(2), 1, tol=1), ValueError, "only one of tol or rtol"),
    (lambda: linalg.lstsq(np.eye(2), np.ones(3)), ValueError, "same number of rows"),
    (lambda: linalg.lstsq(np.ones((2, 2, 2)), np.ones(2)), TypeError, "takes a matrix"),
    (lambda: linalg.cond(np.ones((2, 3)), 1), ValueError, "square ones for p=1"),
    (lambda: linalg.cond(np.ones((0, 0))), ValueError, "takes matrices that have elements"),
    (
        lambda: lax.linalg.householder_product(np.ones((2, 3)), np.ones(2)),
        ValueError,
        "at least as many rows as columns",
    ),
    (
        lambda: lax.linalg.ormqr(np.ones((3, 2)), np.ones(3), np.ones((3, 1))),
        ValueError,
        "k is at most m and n",
    ),
    (
        lambda: lax.linalg.ormqr(np.ones((3, 2)), np.ones(2), np.ones((2, 1))),
        ValueError,
        "as many rows as",
    ),
    (
        lambda: lax.linalg.tridiagonal_solve(*[np.ones(3)] * 3, np.ones(3)),
        TypeError,
        "three diagonals of shape",
    ),
    (lambda: lax.linalg.tridiagonal(np.ones((0, 0))), ValueError, "takes matrices that have rows"),
    (
        lambda: lax.linalg.schur(np.eye(2), sort_eig_vals=True),
        NotImplementedError,
        "does not sort",
    ),
    (
        lambda: lax.linalg.svd(np.eye(2), algorithm=lax.linalg.SvdAlgorithm.POLAR),
        NotImplementedError,
        "no such algorithm",
    ),
    (
        lambda: lax.linalg.eigh(np.eye(2), implementation=lax.linalg.EighImplementation.QDWH),
        NotImplementedError,
        "no such algorithm",
    ),
    (
        lambda: lax.linalg.eig(np.eye(2), implementation=lax.linalg.EigImplementation.MAGMA),
        NotImplementedError,
        "no such algorithm",
    ),
    (lambda: lax.linalg.qdwh(np.ones((2, 3))), ValueError, "at least as many rows as columns"),
    (
        lambda: lax.linalg.qdwh(np.ones((3, 2)), dynamic_shape=(2, 2)),
        NotImplementedError,
        "without padding",
    ),
    (
        lambda: lax.linalg.cholesky_update(np.eye(2), np.ones(3)),
        ValueError,
        "w of shape (..., n)",
    ),
    (
        lambda: lax.linalg.symmetric_product(np.eye(2) * 1j, np.eye(2) * 1j),
        TypeError,
        "takes real matrices",
    ),
]


@pytest.mark.parametrize(("call", "kind", "what"), MISTAKES, ids=[m[2] for m in MISTAKES])
def test_mistakes(call, kind, what):
    with pytest.raises(kind) as caught:
        call()
    text = str(caught.value)
    assert what in text.split("\n")[0]
    assert "Got: " in text
    assert "Fix: " in text


# ---- polynomials


def test_roots_and_polyfit(x64):
    for p in ([1, 0, -4.0], [0, 0, 1, 2, 3.0], [1, 2, 0, 0.0], [3, 4j]):
        close(np.sort(jnp.roots(np.array(p))), np.sort(np.roots(p)))
    got = np.asarray(jit(lambda p: jnp.roots(p, strip_zeros=False))(np.array([0, 1.0, -5, 6])))
    close(np.sort(got[:2]), [2, 3])
    assert np.isnan(got[2])
    assert jnp.roots(np.zeros(3)).shape == (0,)
    close(jacfwd(jnp.roots)(np.array([1.0, 0, -4]))[:, 1], [-0.5, -0.5])
    x, y, w = drawn(9), drawn(9, 2, seed=1), abs(drawn(9, seed=2)) + 0.1
    for values in (y, y[:, 0]):
        close(jnp.polyfit(x, values, 2), np.polyfit(x, values, 2))
        close(jnp.polyfit(x, values, 2, w=w), np.polyfit(x, values, 2, w=w))
        for cov in (True, "unscaled"):
            got, want = (f(x, values, 2, cov=cov) for f in (jnp.polyfit, np.polyfit))
            for g, v in zip(got, want, strict=True):
                close(np.squeeze(g), np.squeeze(v))
    p, rest, rank, s, _ = jnp.polyfit(x, y, 2, full=True)
    want = np.polyfit(x, y, 2, full=True)
    for g, v in zip((p, rest, rank, s), want[:4], strict=True):
        close(g, v)
    check_grads(lambda x, y: jnp.polyfit(x, y, 2), (x, y), order=1)
    matrix = drawn(3, 3)
    close(jnp.poly(matrix), np.poly(matrix) + 0j)


@pytest.mark.parametrize(
    ("call", "kind", "what"),
    [
        (lambda: jnp.roots(np.eye(2)), ValueError, "Input must be a rank-1 array"),
        (lambda: jnp.polyfit(np.ones(2), np.ones(2), -1), ValueError, "expected deg >= 0"),
        (lambda: jnp.polyfit(np.ones(2), np.ones(3), 1), TypeError, "takes x of shape (m,)"),
        (lambda: jnp.polyfit(np.ones(2), np.ones(2), 1, w=np.ones(3)), TypeError, "and w of"),
        (lambda: jnp.polyfit(np.ones(2), np.ones(2), 1, cov=True), ValueError, "must exceed order"),
    ],
)
def test_mistakes_with_polynomials(call, kind, what):
    with pytest.raises(kind) as caught:
        call()
    assert what in str(caught.value).split("\n")[0]


# ---- random and initial matrices


@pytest.mark.parametrize(("n", "m"), [(3, None), (3, 5), (5, 3), (0, None)])
def test_random_orthogonal(n, m):
    q = np.asarray(random.orthogonal(random.key(0), n, (2,), m=m))
    m = n if m is None else m
    assert q.shape == (2, n, m)
    inner = q @ np.swapaxes(q, -1, -2) if n < m else np.swapaxes(q, -1, -2) @ q
    close(inner, np.broadcast_to(np.eye(min(n, m)), inner.shape), "float32")


def test_orthogonal_initializers():
    key = random.key(1)
    w = np.asarray(initializers.orthogonal(2.0)(key, (2, 3, 4)))
    close(w.reshape(6, 4).T @ w.reshape(6, 4), 4 * np.eye(4), "float32")
    w = np.asarray(initializers.orthogonal(column_axis=0)(key, (2, 5)))
    close(w @ w.T, np.eye(2), "float32")
    w = np.asarray(initializers.delta_orthogonal()(key, (3, 4, 2, 3)))
    close(w[1, 1] @ w[1, 1].T, np.eye(2), "float32")
    assert np.count_nonzero(w) == 6
    assert initializers.orthogonal()(key, (0, 3)).shape == (0, 3)
    for call, what in (
        (lambda: initializers.orthogonal()(key, (3,)), "at least a 2D shape"),
        (lambda: initializers.delta_orthogonal()(key, (3, 3)), "3D, 4D or 5D"),
        (lambda: initializers.delta_orthogonal()(key, (3, 3, 2)), "`fan_in` must be less"),
    ):
        with pytest.raises(ValueError, match=what):
            call()


@pytest.mark.parametrize("method", ["cholesky", "eigh", "svd"])
def test_multivariate_normal(x64, method):
    a = drawn(3, 3)
    cov, mean = a @ a.T + np.eye(3), np.array([1.0, 2.0, 3.0])
    got = np.asarray(random.multivariate_normal(random.key(0), mean, cov, (4000,), method=method))
    np.testing.assert_allclose(got.mean(0), mean, atol=0.15)
    np.testing.assert_allclose(np.cov(got.T), cov, atol=0.3)
    if method != "cholesky":
        ones = np.ones((3, 3))
        flat = np.asarray(random.multivariate_normal(random.key(0), mean, ones, method=method))
        # Eigenvalues that are 0 but for rounding, 1e-16, have roots of 1e-8.
        np.testing.assert_allclose(flat - mean, np.full(3, flat[0] - 1), atol=1e-7)


# ---- JAX's names and numbers


@pytest.mark.skipif(not peer.INSTALLED, reason="jax is not installed")
@pytest.mark.parametrize("module", ["lax.linalg", "numpy.linalg"])
def test_names_and_signatures_are_those_of_jax(module):
    theirs = importlib.import_module(f"jax.{module}")
    ours = importlib.import_module(f"pullback.{module}")
    for name in [n for n in dir(theirs) if not n.startswith("_")]:
        given, want = getattr(ours, name), getattr(theirs, name)
        if inspect.isclass(want):
            assert [(m.name, m.value) for m in given] == [(m.name, m.value) for m in want]
        elif callable(want):
            parameters = [
                [(p.name, p.kind, p.default) for p in inspect.signature(f).parameters.values()]
                for f in (given, want)
            ]
            assert parameters[0] == parameters[1], name


@pytest.mark.slow  # JAX compiles for ten seconds
@pytest.mark.skipif(not peer.INSTALLED, reason="jax is not installed")
def test_gradients_are_those_of_jax(x64):
    import jax

    from pullback import grad as our_grad

    a, h = drawn(4, 3, seed=5), hermitian(3, 3, seed=5)

    def functions(namespace):
        la = namespace.linalg
        total = namespace.sum
        return [
            (lambda x: total(namespace.sin(la.qr(x)[0])) + total(la.qr(x)[1] ** 3), a),
            (lambda x: total(la.svd(x, full_matrices=False)[0] ** 3), a),
            (lambda x: total(la.eigh(x)[1] ** 3) + total(la.eigvalsh(x) ** 2), h),
            (lambda x: total(la.pinv(x) ** 2), a),
            (lambda x: total(la.lstsq(x, x[:, 0] ** 2)[0] ** 2), a),
            (lambda x: total(abs(la.eigvals(x)) ** 2), a[:3]),
        ]

    with jax.enable_x64(True):
        pairs = functions(jax.numpy)
        together = jax.jit(lambda xs: [jax.grad(f)(x) for (f, _), x in zip(pairs, xs, strict=True)])
        wanted = together([x for _, x in pairs])
    for (f, x), want in zip(functions(jnp), wanted, strict=True):
        np.testing.assert_allclose(our_grad(f)(x), want, rtol=1e-9, atol=1e-9)


def test_hessians_of_eigenvalues(x64):
    # Second-order perturbation: d2 w_i = 2 sum_j |v_i dA v_j|^2 / (w_i - w_j).
    x = np.diag([1.0, 2.0, 4.0])
    got = np.asarray(hessian(lambda x: linalg.eigvalsh(x)[0])(x))
    close(got[0, 1, 0, 1] + got[0, 1, 1, 0] + got[1, 0, 0, 1] + got[1, 0, 1, 0], -2.0)


@pytest.mark.slow
@pytest.mark.skipif(not peer.INSTALLED, reason="jax is not installed")
@not_on_xla("its erf_inv of float32 is off by up to 59 units in the last place")
def test_orthogonal_numbers_are_those_of_jax():
    import jax

    ours, theirs = random.key(3), jax.random.key(3)
    for n, shape, m in ((3, (), None), (3, (2,), 5), (5, (), 3)):
        got, want = (
            random.orthogonal(ours, n, shape, m=m),
            jax.random.orthogonal(theirs, n, shape, m=m),
        )
        np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-7)
    for axis, shape in ((-1, (3, 4)), (0, (2, 3, 4))):
        made = [
            module.orthogonal(2.0, axis)(key, shape)
            for module, key in ((initializers, ours), (jax.nn.initializers, theirs))
        ]
        np.testing.assert_allclose(*made, rtol=1e-6, atol=1e-7)
    cov = hermitian(3, 3, dtype="float32") + 3 * np.eye(3, dtype="f4")
    for method in ("cholesky", "eigh", "svd"):
        made = [
            module.multivariate_normal(key, np.ones(3, "f4"), cov, (5,), method=method)
            for module, key in ((random, ours), (jax.random, theirs))
        ]
        np.testing.assert_allclose(*made, rtol=2e-5, atol=2e-5)
