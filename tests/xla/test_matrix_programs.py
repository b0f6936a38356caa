"""Linear algebra beyond factorisations on the XLA engine: values of the NumPy engine, identities,
and no call of Python.
"""

from __future__ import annotations

import numpy as np
import pytest
from mpmath import mp
from properties import function_of

import pullback
import pullback.numpy as jnp
from examples import EXAMPLES
from pullback.core.array import HostArray
from pullback.core.program import trace_program
from pullback.core.settings import enable_x64
from pullback.ops import eigen, factorizations, linalg, matrix_functions, schur, spectral, updates
from pullback.ops.determinants import cofactors, det
from pullback.ops.tridiagonal import tridiagonal, tridiagonal_solve

pytest.importorskip("jaxlib", reason="the XLA engine needs jaxlib")
program = pytest.importorskip("pullback.engines.xla.program")

ON_CPU: set[str] = set()
"""What Python does for a CPU: nothing."""
ON_GPU = {
    *("eig", "hessenberg", "qr", "rsf2csf", "schur", "sqrtm", "sylvester", "tridiagonal"),
    "tridiagonal_solve",
}
"""What it does for a GPU; for `qr` only with pivoting, and not for `tridiagonal_solve` with
`perturb_singular`."""


@pytest.fixture(autouse=True)
def x64():
    with enable_x64():
        yield


def called(function, *arrays, platform="cpu"):
    """The operations that a program has Python do."""
    types = [HostArray(np.asarray(x)).aval for x in arrays]
    return program.write(trace_program(flat(function), types), platform).called


def flat(function):
    return lambda *xs: pullback.tree.leaves(function(*xs))


def compiled(function, *arrays):
    """A program on this engine, which calls no Python."""
    closed = trace_program(flat(function), [HostArray(np.asarray(x)).aval for x in arrays])
    assert program.write(closed).called == []
    execute = program.compile_program(closed)
    return lambda *xs: [np.asarray(y) for y in execute(*xs)]


def run(function, *arrays):
    """Its results."""
    return compiled(function, *arrays)(*arrays)


def by_numpy(function, *arrays):
    return [np.asarray(y) for y in flat(function)(*map(HostArray, arrays))]


def bound(primitive, **params):
    return lambda *xs: primitive(*xs, **params)


def matrix(*shape, dtype="float64", seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape)
    return (x + 1j * rng.normal(size=shape) if dtype[0] == "c" else x).astype(dtype)


def close(found, wanted, units=300.0):
    for g, w in zip(found, wanted, strict=True):
        assert (g.shape, g.dtype) == (w.shape, w.dtype)
        if w.dtype.kind in "iub":
            assert g.tolist() == w.tolist()
            continue
        size = np.nanmax(np.abs(w), initial=0, where=np.isfinite(w))
        eps = np.finfo(w.dtype).eps if w.dtype.kind in "fc" else 2.0**-7
        np.testing.assert_allclose(g, w, rtol=units * eps, atol=units * eps * size)


# ---- who calls Python

FAMILIES = [e for e in EXAMPLES if isinstance(e.primitive, linalg.OfMatrices)]


@pytest.mark.parametrize("platform, wanted", [("cpu", ON_CPU), ("cuda", ON_GPU)])
def test_what_python_does(platform, wanted):
    found = set()
    for e in FAMILIES:
        for dtype in e.dtypes:
            found.update(called(function_of(e, dtype), *e.args(dtype), platform=platform))
    assert found == wanted


# ---- values

KINDS = [("float32", ()), ("float64", (3,)), ("complex64", (2,)), ("complex128", ())]
BOTH = {"compute_left_eigenvectors": True, "compute_right_eigenvectors": True}
SCHUR = {"compute_schur_vectors": True, "sort_eig_vals": False, "select_callable": None}


def positive(x):
    found = x @ np.conj(np.swapaxes(x, -1, -2)) + 6 * np.eye(x.shape[-1], dtype=x.dtype)
    return found.astype(x.dtype)


def columns(x):
    return np.ascontiguousarray(x[..., :3])


def real_form(x):
    t, z = by_numpy(bound(schur.schur, **SCHUR), x)
    return t, z


def reflections(x):
    return by_numpy(factorizations.geqrf, columns(x))


def eps_of(x):
    return np.full(x.shape[:-2], 1e-3, x.real.dtype)


def diagonals(x):
    return x[..., 0], x[..., 1] * 2, x[..., 2], columns(x)


EXPM = bound(matrix_functions.expm, max_squarings=16)


def part_of_svd(**params):
    return bound(spectral.svd, full_matrices=False, subset_by_index=(1, 3), **params)


WORK = {
    "eig": (bound(eigen.eig, **BOTH), lambda x: [x]),
    "values": (
        bound(eigen.eig, compute_left_eigenvectors=False, compute_right_eigenvectors=False),
        lambda x: [x],
    ),
    "schur": (bound(schur.schur, **SCHUR), lambda x: [x]),
    "schur, form": (bound(schur.schur, **{**SCHUR, "compute_schur_vectors": False}), lambda x: [x]),
    "hessenberg": (schur.hessenberg, lambda x: [x]),
    "tridiagonal": (bound(tridiagonal, lower=True), lambda x: [positive(x)]),
    "tridiagonal, upper": (bound(tridiagonal, lower=False), lambda x: [positive(x)]),
    "qr, pivots": (
        bound(factorizations.qr, pivoting=True, full_matrices=True), lambda x: [columns(x)]
    ),
    "qr, pivots, wide": (
        bound(factorizations.qr, pivoting=True, full_matrices=False),
        lambda x: [np.ascontiguousarray(x[..., :3, :])],
    ),
    "ormqr": (
        bound(factorizations.ormqr, left=True, transpose=True), lambda x: [*reflections(x), x]
    ),
    "ormqr, right": (
        bound(factorizations.ormqr, left=False, transpose=False), lambda x: [*reflections(x), x]
    ),
    "cofactors": (cofactors, lambda x: [x]),
    "lstsq": (spectral.lstsq, lambda x: [columns(x), x, eps_of(x)]),
    "lstsq, wide": (
        spectral.lstsq, lambda x: [np.swapaxes(columns(x), -1, -2).copy(), columns(x)[..., :3, :],
                                   eps_of(x)]
    ),
    "expm": (EXPM, lambda x: [x / 4]),
    "expm_frechet": (matrix_functions.expm_frechet, lambda x: [x / 4, x[..., ::-1].copy()]),
    "sylvester": (
        bound(matrix_functions.sylvester, tol=0.0),
        lambda x: [positive(x), x[..., :3, :3], columns(x)],
    ),
    "sqrtm": (matrix_functions.sqrtm, lambda x: [x]),
    "polar": (matrix_functions.polar, lambda x: [columns(x)]),
    "rsf2csf": (matrix_functions.rsf2csf, real_form),
    "commutator": (
        bound(schur.commutator_solve, transposed=False), lambda x: [np.triu(positive(x)), x]
    ),
    "commutator, transposed": (
        bound(schur.commutator_solve, transposed=True), lambda x: [np.triu(positive(x)), x]
    ),
    "tridiagonal solve": (bound(tridiagonal_solve, perturb_singular=False), diagonals),
    "tridiagonal solve, perturbed": (bound(tridiagonal_solve, perturb_singular=True), diagonals),
    "part of eigh": (
        bound(eigen.eigh, lower=True, sort_eigenvalues=True, subset_by_index=(1, 4)),
        lambda x: [positive(x)],
    ),
    "part of svd": (part_of_svd(compute_uv=False), lambda x: [x]),
    "conjugated": (
        bound(linalg.triangular_solve, left_side=True, lower=True, transpose_a=False,
              conjugate_a=True, unit_diagonal=False),
        lambda x: [positive(x), x],
    ),
}  # fmt: skip
OF_REALS = {
    "eigh_tridiagonal": (eigen.eigh_tridiagonal, lambda x: [x[..., 0], x[..., 1, :-1]]),
    "cholesky_update": (updates.cholesky_update, lambda x: [np.triu(x), x[..., 0]]),
}


@pytest.mark.parametrize("name", WORK)
def test_values(name):
    function, given = WORK[name]
    for dtype, stack in KINDS:
        args = given(matrix(*stack, 5, 5, dtype=dtype))
        close(run(function, *args), by_numpy(function, *args))


@pytest.mark.parametrize("name", OF_REALS)
def test_values_of_reals(name):
    function, given = OF_REALS[name]
    for dtype, stack in [("float32", (2, 2)), ("float64", ())]:
        args = [np.array(x, order="C") for x in given(matrix(*stack, 5, 5, dtype=dtype))]
        close(run(function, *args), by_numpy(function, *args))


# ---- identities


def herm(x):
    return np.conj(np.swapaxes(x, -1, -2))


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_identities(dtype):
    x = matrix(2, 7, 7, dtype=dtype)
    y = matrix(2, 7, 4, dtype=dtype, seed=1)
    small = np.ascontiguousarray(y[:, :4])

    def same(a, b):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-11)

    w, u, v = run(bound(eigen.eig, **BOTH), x)
    same(x @ v, v * w[:, None])
    same(herm(u) @ x, w[..., None] * herm(u))
    t, z = run(bound(schur.schur, **SCHUR), x)
    same(z @ t @ herm(z), x)
    same(herm(z) @ z, np.eye(7)[None].repeat(2, 0))
    (r,) = run(matrix_functions.sqrtm, x)
    same(r @ r, x)
    assert (np.linalg.eigvals(r).real > 0).all()
    (s,) = run(bound(matrix_functions.sylvester, tol=0.0), x, small, y)
    same(x @ s + s @ small, y)
    (p,) = run(matrix_functions.polar, y)
    same(herm(p) @ p, np.eye(4)[None].repeat(2, 0))
    same(herm(p) @ y, herm(y) @ p)
    q, r, order = run(bound(factorizations.qr, pivoting=True, full_matrices=False), x)
    same(q @ r, np.take_along_axis(x, order[:, None], 2))
    falls = np.abs(np.diagonal(r, 0, -2, -1))
    assert (np.diff(falls, axis=-1) <= 1e-12).all()
    (c,) = run(cofactors, x)
    same(c @ np.swapaxes(x, -1, -2), np.linalg.det(x)[:, None, None] * np.eye(7))
    (a,) = run(EXPM, x)
    (b,) = run(EXPM, -x)
    np.testing.assert_allclose(a @ b, np.eye(7)[None].repeat(2, 0), atol=1e-9)
    solution, rank, _ = run(spectral.lstsq, y, x, eps_of(y))
    same(herm(y) @ (y @ solution - x), 0 * herm(y) @ x)
    assert rank.tolist() == [4, 4]


def exact(x):
    """The exponential, of 60 digits."""
    with mp.workdps(60):
        found = mp.expm(mp.matrix(x.tolist()), method="taylor")
        return np.array(found.tolist(), complex if x.dtype.kind == "c" else float)


EXPONENTS = {
    "none": np.zeros((3, 3)),
    "tiny": matrix(4, 4) * 1e-3,
    "small": matrix(4, 4) * 0.05,
    "order 7": matrix(4, 4) * 0.2,
    "order 9": matrix(4, 4) * 0.5,
    "order 13": matrix(4, 4),
    "halved": matrix(4, 4) * 10,
    "far from normal": np.array([[1.0, 1e5], [0.0, -1.0]]),
    "nilpotent": np.triu(matrix(6, 6) * 100, 1),
    "upper": np.triu(matrix(6, 6) * 5),
    "lower": np.tril(matrix(6, 6) * 5),
    "diagonal": np.diag([-30.0, 1, 0, -700]),
    "skew": (matrix(5, 5) - matrix(5, 5).T) * 20,
}


def test_exponentials_of_many_sizes():
    whole = np.stack([np.pad(x, (0, 6 - len(x))) for x in EXPONENTS.values()])
    one = compiled(EXPM, whole[0])
    together = run(EXPM, whole)[0]
    for name, x, other in zip(EXPONENTS, whole, together, strict=True):
        wanted = exact(x)
        for found in (*one(x), other):
            size = np.abs(wanted).max()
            assert np.abs(found - wanted).max() <= 2e-13 * size, name
            if name in ("diagonal", "upper", "lower"):
                np.testing.assert_allclose(found.diagonal(), wanted.diagonal(), rtol=2e-15)


def test_derivatives_of_exponentials():
    # The derivative at a in the direction of a, which commutes, is a exp(a).
    derivative = compiled(matrix_functions.expm_frechet, matrix(4, 4), matrix(4, 4))
    for scale in (1e-3, 0.05, 0.2, 0.5, 1.0, 10.0):
        x = matrix(4, 4) * scale
        (found,) = derivative(x, x)
        wanted = x @ exact(x)
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-13 * np.abs(wanted).max())


def test_too_large_exponents():
    x = np.stack([matrix(3, 3) * 1e7, matrix(3, 3), np.full((3, 3), np.inf)])
    few = bound(matrix_functions.expm, max_squarings=1)
    for function in (EXPM, few):
        assert np.isnan(run(function, x)[0]).tolist() == np.isnan(by_numpy(function, x)[0]).tolist()
    assert np.isnan(run(few, matrix(3, 3) * 30)[0]).all()


# ---- what is not regular

TAKES_SQUARE = {
    "eig": bound(eigen.eig, **BOTH),
    "schur": bound(schur.schur, **SCHUR),
    "hessenberg": schur.hessenberg,
    "sqrtm": matrix_functions.sqrtm,
    "polar": matrix_functions.polar,
    "expm": EXPM,
    "cofactors": cofactors,
    "eigh": bound(eigen.eigh, lower=True, sort_eigenvalues=True, subset_by_index=None),
    "svd": bound(spectral.svd, full_matrices=True, compute_uv=True),
}


@pytest.mark.parametrize("name", TAKES_SQUARE)
def test_matrices_that_are_not_finite(name):
    """They give NaN, as on the NumPy engine, and the others of the stack are sound."""
    x = matrix(3, 4, 4)
    x[1, 2, 2], x[2, 1, 0] = np.nan, np.inf
    for y in (x, x.astype(complex)):
        found, wanted = run(TAKES_SQUARE[name], y), by_numpy(TAKES_SQUARE[name], y)
        if name == "hessenberg":  # what LAPACK makes of these two is open
            found, wanted = ([z[:1] for z in zs] for zs in (found, wanted))
        close(found, wanted)


def test_singular_systems():
    function = bound(matrix_functions.sylvester, tol=1e-8)
    a = np.diag([1.0, 2, 3])
    (found,) = run(function, np.stack([a, a]), np.stack([-a, a]), matrix(2, 3, 3))
    assert np.isnan(found[0]).all() and np.isfinite(found[1]).all()
    root = matrix_functions.sqrtm
    for x in (np.zeros((3, 3)), np.diag([0.0, 0, 4]), np.eye(3, k=1), -np.eye(3)):
        close(run(root, x), by_numpy(root, x))
    zero = np.zeros(4)
    solve = bound(tridiagonal_solve, perturb_singular=False)
    assert np.isnan(run(solve, zero, zero, zero, np.ones((4, 1)))[0]).all()
    solve = bound(tridiagonal_solve, perturb_singular=True)
    for n in (1, 2, 5):
        parts = [np.ones(n), np.full(n, 2.0), np.ones(n), matrix(n, 2)]
        parts[1][0] = 1.0
        parts[1][-1] = 1.0  # the determinant is 0 or tiny
        close(run(solve, *parts), by_numpy(solve, *parts))
    t = np.triu(matrix(4, 4)) + np.eye(4, k=-1)
    assert np.isnan(run(bound(schur.commutator_solve, transposed=False), t, t)[0]).all()


def test_ranks():
    a = np.stack([matrix(5, 3), matrix(5, 3), np.zeros((5, 3)), np.full((5, 3), np.nan)])
    a[1, :, 2] = a[1, :, 1]
    args = a, matrix(4, 5, 2), np.full(4, 1e-10)
    found, wanted = run(spectral.lstsq, *args), by_numpy(spectral.lstsq, *args)
    assert found[1].tolist() == wanted[1].tolist() == [3, 2, 0, 0]
    for y, z in zip(found, wanted, strict=True):
        np.testing.assert_allclose(y, z, atol=1e-12)


def test_blocks_of_real_forms():
    for x in (np.diag([1.0, 2, 3]), np.array([[0.0, 2], [-1, 0]]), matrix(8, 8), matrix(1, 1)):
        args = real_form(x)
        t, z = run(matrix_functions.rsf2csf, *args)
        close([t, z], by_numpy(matrix_functions.rsf2csf, *args))
        assert not np.tril(t, -1).any()
        np.testing.assert_allclose(z @ t @ herm(z), x, atol=1e-12)


# ---- other elements, and none

HALVES = {
    "cholesky": (linalg.cholesky, lambda x: [positive(x)]),
    "lu": (linalg.lu, lambda x: [x]),
    "det": (det, lambda x: [x]),
    "cofactors": (cofactors, lambda x: [x]),
    "svd": (bound(spectral.svd, full_matrices=False, compute_uv=False), lambda x: [x]),
    "pinv": (bound(spectral.pinv, hermitian=False), lambda x: [x, np.zeros((), x.dtype)]),
    "lstsq": (spectral.lstsq, lambda x: [x, x[:, :2], np.zeros((), x.dtype)]),
    "cholesky_update": (updates.cholesky_update, lambda x: [np.triu(x), x[0]]),
    "symmetric_product": (
        bound(updates.symmetric_product, alpha=0.5, beta=2.0), lambda x: [x, positive(x)]
    ),
    "triangular_solve": (WORK["conjugated"][0], lambda x: [positive(x), x]),
}  # fmt: skip


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_floats_of_16_bits(dtype):
    rng = np.random.default_rng(3)
    x = (np.eye(4) * 3 + rng.integers(-4, 5, (4, 4)) / 4).astype(np.dtype(jnp.dtype(dtype)))
    for function, given in HALVES.values():
        args = [np.array(a, order="C") for a in given(x)]
        found, wanted = run(function, *args), by_numpy(function, *args)
        for g, w in zip(found, wanted, strict=True):
            assert (g.shape, g.dtype) == (w.shape, w.dtype)
            eps = float(jnp.finfo(jnp.dtype(dtype)).eps)
            g, w = g.astype(float), w.astype(float)
            np.testing.assert_allclose(g, w, rtol=2 * eps, atol=2 * eps * np.abs(w).max())


EMPTY = {
    "no rows": {
        **{name: (function, [(0, 0)]) for name, function in TAKES_SQUARE.items()},
        "cholesky": (linalg.cholesky, [(0, 0)]),
        "det": (det, [(0, 0)]),
        "lu": (linalg.lu, [(3, 0)]),
        "qr": (bound(factorizations.qr, pivoting=False, full_matrices=True), [(3, 0)]),
        "qr, pivots": (bound(factorizations.qr, pivoting=True, full_matrices=False), [(0, 3)]),
        "svd, tall": (TAKES_SQUARE["svd"], [(3, 0)]),
        "lstsq": (spectral.lstsq, [(0, 3), (0, 2), ()]),
        "lstsq, no columns": (spectral.lstsq, [(3, 0), (3, 2), ()]),
        "pinv": (bound(spectral.pinv, hermitian=False), [(3, 0), ()]),
        "no reflections": (factorizations.householder_product, [(4, 3), (0,)]),
        "ormqr": (bound(factorizations.ormqr, left=True, transpose=False), [(4, 3), (0,), (4, 2)]),
        "no sides": (bound(tridiagonal_solve, perturb_singular=True), [(3,), (3,), (3,), (3, 0)]),
        "sylvester": (bound(matrix_functions.sylvester, tol=0.0), [(0, 0), (2, 2), (0, 2)]),
        "symmetric product": (HALVES["symmetric_product"][0], [(3, 0), (3, 3)]),
    },
    "no matrices": {name: (function, [(0, 4, 4)]) for name, function in TAKES_SQUARE.items()},
}


@pytest.mark.parametrize("kind", EMPTY)
def test_nothing(kind):
    for name, (function, shapes) in EMPTY[kind].items():
        args = [np.ones(shape) for shape in shapes]
        with np.errstate(all="ignore"):
            found, wanted = run(function, *args), by_numpy(function, *args)
        for g, w in zip(found, wanted, strict=True):
            assert (g.shape, g.dtype) == (w.shape, w.dtype), name
            np.testing.assert_array_equal(g, w, name)


def test_one_row():
    for function in TAKES_SQUARE.values():
        close(run(function, matrix(2, 1, 1)), by_numpy(function, matrix(2, 1, 1)))
    for x in (matrix(1, 1), matrix(1, 1, dtype="complex64")):
        function = bound(tridiagonal, lower=True)
        close(run(function, x), by_numpy(function, x))
    close(run(eigen.eigh_tridiagonal, np.ones(1), np.ones(0)), [np.ones(1), np.ones((1, 1))])


# ---- derivatives


GRADIENTS = {
    "eig": lambda a: jnp.abs(jnp.linalg.eig(a)[0]).sum(),
    "schur": lambda a: (
        jnp.diagonal(pullback.scipy.linalg.schur(a + a.T)[0]) * jnp.arange(4)
    ).sum(),
    "expm": lambda a: (pullback.scipy.linalg.expm(a / 2) ** 2).sum(),
    "sqrtm": lambda a: jnp.real(pullback.scipy.linalg.sqrtm(a @ a.T + jnp.eye(4))).sum(),
    "polar": lambda a: (pullback.scipy.linalg.polar(a)[0] ** 3).sum(),
    "lstsq": lambda a: (jnp.linalg.lstsq(a[:, :2], a[:, 2:])[0] ** 2).sum(),
    "det": lambda a: jnp.linalg.det(a - a[:, ::-1]) + jnp.linalg.det(a),
}


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients(name):
    function = pullback.grad(GRADIENTS[name])
    x = matrix(4, 4)
    close(run(function, x), by_numpy(function, x), units=1e4)
    several = pullback.vmap(function)
    xs = matrix(3, 4, 4, seed=2)
    close(run(several, xs), by_numpy(several, xs), units=1e4)
