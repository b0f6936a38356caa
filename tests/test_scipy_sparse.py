"""cg, bicgstab and gmres against direct solutions, and their derivatives."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

import pullback as pb
import pullback.numpy as jnp
from pullback.experimental import sparse
from pullback.scipy.sparse.linalg import bicgstab, cg, gmres
from pullback.test_util import check_grads

RNG = np.random.default_rng(0)
ANY = RNG.normal(size=(12, 12)) + 6 * np.eye(12)
SYMMETRIC = ANY @ ANY.T
B = RNG.normal(size=12)
SOLVERS = {
    "cg": (cg, SYMMETRIC),
    "bicgstab": (bicgstab, ANY),
    "gmres": (gmres, ANY),
    "incremental": (partial(gmres, solve_method="incremental"), ANY),
}
solvers = pytest.mark.parametrize("name", SOLVERS)

pytestmark = pytest.mark.usefixtures("x64")


def close(found, wanted, tolerance=1e-8):
    np.testing.assert_allclose(np.asarray(found), wanted, tolerance, tolerance)


def solve(name, a, b, **options):
    return SOLVERS[name][0](a, b, tol=1e-12, **options)[0]


@solvers
def test_solutions(name):
    a = SOLVERS[name][1]
    want = np.linalg.solve(a, B)
    for matrix in (a, jnp.asarray(a), lambda x: a @ x, sparse.BCOO.fromdense(a)):
        close(solve(name, matrix, B), want)
    close(pb.jit(partial(solve, name))(a, B), want)
    close(solve(name, a, B, x0=want + 0.1), want)
    close(solve(name, a, B, M=lambda x: x / np.diag(a)), want)
    close(solve(name, a, B, M=np.diag(1 / np.diag(a))), want)
    close(solve(name, a, 0 * B), 0 * B)
    rows = np.stack([B, 0 * B, B[::-1]])
    close(pb.vmap(partial(solve, name, a))(rows), np.linalg.solve(a, rows.T).T)


@solvers
def test_complex_systems(name):
    a = SOLVERS[name][1].astype(complex)
    turn = np.exp(1j * np.arange(12))
    a = np.diag(turn) @ a @ np.diag(turn.conj())
    b = B + 1j * B[::-1]
    close(solve(name, a, b), np.linalg.solve(a, b))
    if name != "cg":
        a = a * np.exp(0.3j) + 1j * np.eye(12)
        close(solve(name, a, b), np.linalg.solve(a, b))


@solvers
def test_trees(name):
    a = SOLVERS[name][1]

    def matvec(t):
        y = a @ jnp.concatenate([t["u"].ravel(), t["v"][0]])
        return {"u": y[:4].reshape(2, 2), "v": (y[4:],)}

    found = solve(name, matvec, {"u": B[:4].reshape(2, 2), "v": (B[4:],)})
    close(np.concatenate([found["u"].ravel(), found["v"][0]]), np.linalg.solve(a, B))


@solvers
def test_derivatives(name):
    a = SOLVERS[name][1][:4, :4] + np.eye(4)
    a = a @ a.T if name == "cg" else a

    def solution(p, b):
        return solve(name, a + (p + p.T if name == "cg" else p), b)

    p = 0.1 * RNG.normal(size=(4, 4))
    check_grads(solution, (p, B[:4]), order=2, modes=("fwd", "rev"), eps=1e-4)

    def loss(p, b):
        return jnp.sum(jnp.sin(solution(p, b)))

    def plain(p, b):
        return jnp.sum(jnp.sin(jnp.linalg.solve(a + (p + p.T if name == "cg" else p), b)))

    for found, want in zip(pb.grad(loss, (0, 1))(p, B[:4]), pb.grad(plain, (0, 1))(p, B[:4])):
        close(found, want)
    close(pb.jit(pb.grad(loss))(p, B[:4]), pb.grad(plain)(p, B[:4]))


def test_limits():
    few = cg(SYMMETRIC, B, maxiter=1)[0]
    step = (B @ B) / (B @ SYMMETRIC @ B)
    close(few, step * B)  # the first step goes along the gradient
    loose = cg(SYMMETRIC, B, atol=1e3)[0]
    close(loose, np.zeros(12))
    a, b = np.roll(np.eye(6), 1, 0), np.eye(6)[0]
    for method in ("batched", "incremental"):
        # Nothing is gained before the space is complete.
        stuck, info = gmres(a, b, restart=3, maxiter=5, solve_method=method)
        close(stuck, np.zeros(6))
        assert info == 0
        close(gmres(a, b, restart=6, solve_method=method)[0], np.linalg.solve(a, b))
    assert gmres(np.eye(2), np.ones(2), x0=np.full(2, np.nan))[1] == -1


def test_float32_and_integers():
    x = cg(SYMMETRIC.astype(np.float32), B.astype(np.float32))[0]
    assert x.dtype == np.float32
    close(x, np.linalg.solve(SYMMETRIC, B), 1e-4)
    assert bicgstab(np.array([[2, 0], [0, 4]]), np.array([2, 4]))[0].tolist() == [1, 1]
    one = np.array([[2.0, 0.0], [0.0, 4.0]], np.float32)
    assert cg(one, np.ones(2))[0].dtype == np.float64


@pytest.mark.parametrize("solver", [cg, bicgstab, gmres])
def test_errors(solver):
    for a, b, options, kind, message in (
        (np.ones((2, 3)), np.ones(3), {}, ValueError, r"square matrix, but has shape: \(2, 3\)"),
        ("a", np.ones(3), {}, TypeError, "either a function or ndarray"),
        (np.eye(3), np.ones(3), {"x0": (np.ones(3),)}, ValueError, "matching tree structure"),
        (np.eye(3), np.ones(3), {"x0": np.ones(2)}, ValueError, "matching shapes"),
    ):
        with pytest.raises(kind, match=message):
            solver(a, b, **options)
    with pytest.raises(ValueError, match="invalid solve_method x"):
        gmres(np.eye(2), np.ones(2), solve_method="x")


@solvers
def test_derivatives_with_respect_to_sparse_matrices(name):
    a = SOLVERS[name][1]
    m = sparse.BCOO.fromdense(a)

    def loss(m):
        return jnp.sum(jnp.cos(solve(name, m, B)))

    def plain(a):
        return jnp.sum(jnp.cos(jnp.linalg.solve(a, B)))

    want = np.asarray(pb.grad(plain)(a))
    found = sparse.grad(loss)(m)
    close(found.todense(), want)
    close(pb.jit(sparse.grad(loss))(m).data, found.data)
