"""Positive definite matrices: tangents are symmetric matrices, and steps stay positive definite.

The tangent at P is a symmetric matrix V, kept as its n (n + 1) / 2 numbers in an orthonormal basis,
and P moves to P^(1/2) exp(V) P^(1/2), which is positive definite for every V: the exponential map
of the affine-invariant metric (Pennec, Fillard and Ayache 2006). Here P is kept as its Cholesky
factor L, and moved to L exp(V) L', the same up to a rotation of V.

The task: the mean of several covariance matrices in that metric (Karcher mean), by its gradient;
for matrices that commute it is known in closed form: the geometric mean.
Run it: python examples/positive_definite.py
"""

from __future__ import annotations

from dataclasses import dataclass

import pullback as pb
import pullback.numpy as jnp
from pullback import custom_types
from pullback.scipy.linalg import expm


def symmetric(numbers: pb.Array, n: int) -> pb.Array:
    """The symmetric matrix with these coordinates: its inner products are those of `numbers`."""
    rows, columns = jnp.triu_indices(n)
    scale = jnp.where(rows == columns, 1.0, jnp.sqrt(0.5)).astype(numbers.dtype)
    upper = jnp.zeros((n, n), numbers.dtype).at[rows, columns].set(scale * numbers)
    return upper + upper.T - jnp.diag(jnp.diag(upper))


def coordinates(matrix: pb.Array) -> pb.Array:
    """The inverse of `symmetric`."""
    rows, columns = jnp.triu_indices(matrix.shape[0])
    scale = jnp.where(rows == columns, 1.0, jnp.sqrt(2.0)).astype(matrix.dtype)
    return scale * (matrix + matrix.T)[rows, columns] / 2


def logm(matrix: pb.Array) -> pb.Array:
    """The logarithm of a positive definite matrix: 64 times that of its 64th root, near 1.

    log(A) is the integral of (A - 1) (t (A - 1) + 1)^-1 for t from 0 to 1, here by Gauss' rule.
    (Not by eigh: eigenvectors of equal eigenvalues have no derivative.)
    """
    n = matrix.shape[0]
    one, roots = jnp.eye(n, dtype=matrix.dtype), 6
    matrix = pb.lax.fori_loop(0, roots, lambda _, m: _square_root(m), matrix)
    rest = matrix - one
    weights = (*_WEIGHTS, *_WEIGHTS[1::-1])
    terms = [w * jnp.linalg.solve(t * rest + one, rest) for t, w in zip(_NODES, weights)]
    return 2.0**roots * sum(terms[1:], terms[0])


_NODES = 0.04691007703066802, 0.23076534494715845, 0.5, 0.7692346550528415, 0.9530899229693319
_WEIGHTS = 0.11846344252809454, 0.23931433524968324, 0.28444444444444444
"""Gauss-Legendre on [0, 1] with five points."""


def _square_root(a: pb.Array) -> pb.Array:
    """By the iteration of Denman and Beavers (1976), which needs products and inverses only."""

    def step(_: int, roots: tuple[pb.Array, pb.Array]) -> tuple[pb.Array, pb.Array]:
        y, z = roots
        return (y + jnp.linalg.inv(z)) / 2, (z + jnp.linalg.inv(y)) / 2

    return pb.lax.fori_loop(0, 9, step, (a, jnp.eye(a.shape[0], dtype=a.dtype)))[0]


@custom_types.differentiable
@pb.tree_util.register_dataclass
@dataclass(frozen=True)
class Covariance:
    """A positive definite matrix, by its lower Cholesky factor."""

    factor: pb.Array  # float[n, n]

    @classmethod
    def of(cls, matrix: pb.Array) -> Covariance:
        """From the matrix itself."""
        return cls(jnp.linalg.cholesky(matrix))

    @property
    def matrix(self) -> pb.Array:
        """The matrix."""
        return self.factor @ self.factor.T

    # What makes it a type with tangents of its own.

    def zero_tangent(self) -> pb.Array:
        """n (n + 1) / 2 zeros."""
        n = self.factor.shape[0]
        return jnp.zeros(n * (n + 1) // 2, self.factor.dtype)

    def retract(self, v: pb.Array) -> Covariance:
        """L exp(V) L' = (L exp(V / 2)) (L exp(V / 2))', by its Cholesky factor."""
        half = self.factor @ expm(symmetric(v, self.factor.shape[0]) / 2)
        return Covariance.of(half @ half.T)

    def local(self, other: Covariance) -> pb.Array:
        """The V with L exp(V) L' = the other matrix."""
        ratio = jnp.linalg.solve(self.factor, other.factor)
        return coordinates(logm(ratio @ ratio.T))


def distance(p: Covariance, q: Covariance) -> pb.Array:
    """The square of the affine-invariant distance: the sum of squared logarithms of eigenvalues."""
    ratio = jnp.linalg.solve(p.factor, q.factor)
    return jnp.sum(logm(ratio @ ratio.T) ** 2)


def spread(p: Covariance, all_: Covariance) -> pb.Array:
    """Half the mean of the squared distances of p from several, `factor` of float[m, n, n]."""
    return 0.5 * jnp.mean(pb.vmap(lambda q: distance(p, q))(all_))


def mean(all_: Covariance, steps: int = 10) -> Covariance:
    """The one with the smallest `spread`. In the metric's own coordinates the step size is 1."""
    start = Covariance(all_.factor[0])
    down = pb.grad(spread)

    def step(_: int, p: Covariance) -> Covariance:
        return custom_types.apply_updates(p, -down(p, all_))

    return pb.lax.fori_loop(0, steps, step, start)


def main() -> None:
    """Means of matrices that commute, where the answer is known, and of others."""
    keys = pb.random.split(pb.random.key(0), 3)
    turn, _ = jnp.linalg.qr(pb.random.normal(keys[0], (3, 3)))
    sizes = jnp.exp(0.7 * pb.random.normal(keys[1], (4, 3)))
    commuting = pb.vmap(lambda d: Covariance.of(turn @ jnp.diag(d) @ turn.T))(sizes)
    found = pb.jit(mean)(commuting)
    known = turn @ jnp.diag(jnp.exp(jnp.mean(jnp.log(sizes), axis=0))) @ turn.T
    print("off the geometric mean by", jnp.max(jnp.abs(found.matrix - known)))

    x = pb.random.normal(keys[2], (5, 3, 6))
    several = pb.vmap(lambda x: Covariance.of(x @ x.T / 6))(x)
    middle = pb.jit(mean)(several)
    print("gradient there:", jnp.max(jnp.abs(pb.grad(spread)(middle, several))))
    print("eigenvalues:", jnp.linalg.eigvalsh(middle.matrix))


if __name__ == "__main__":
    main()
