"""Iterative solvers of linear systems: cg, bicgstab, gmres.

Derivatives are those of the solution: each is another solution with the same solver, as accurate as
that is.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from ... import lax
from ... import numpy as jnp
from ...checks import input_array
from ...core import dtypes
from ...core.array import Array
from ...core.errors import error
from ...flatten_util import ravel_pytree
from ...numpy import linalg as dense
from ...numpy.arguments import integer
from ...tree_util import tree_leaves, tree_map, tree_structure
from ..linalg import solve_triangular

Operator = Callable[[Any], Any]


def cg(
    A: Any,
    b: Any,
    x0: Any = None,
    *,
    tol: Any = 1e-5,
    atol: Any = 0.0,
    maxiter: int | None = None,
    M: Any = None,
) -> tuple[Any, None]:
    """The solution of ``A x = b`` by conjugate gradients, for a hermitian positive definite A.

    Args:
      A: a square matrix, dense or sparse, or a linear function of a pytree like `b`.
      b: the right side: a pytree of arrays, taken as one vector.
      x0: where to begin, zero by default.
      tol, atol: the residual's norm to stop at: ``max(tol * norm(b), atol)``.
      maxiter: the most iterations, 10 times the size of `b` by default.
      M: a matrix or function close to the inverse of A: the preconditioner.

    Returns:
      The solution, of the structure of `b`, and None in the place of SciPy's status.

    Raises:
      ValueError: the matrix is not square, or `x0` is not like `b`.

    The algorithm is that of Hestenes and Stiefel (1952).

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.scipy.sparse.linalg import cg
      >>> x, _ = cg(jnp.array([[4.0, 1.0], [1.0, 3.0]]), jnp.array([5.0, 4.0]))
      >>> print(x.round(3))
      [1. 1.]
    """
    return _solve(_cg, A, b, x0, tol, atol, maxiter, M, True), None


def bicgstab(
    A: Any,
    b: Any,
    x0: Any = None,
    *,
    tol: Any = 1e-5,
    atol: Any = 0.0,
    maxiter: int | None = None,
    M: Any = None,
) -> tuple[Any, None]:
    """The solution of ``A x = b`` by stabilised biconjugate gradients, for any square A.

    Arguments and results are those of `cg`. The algorithm is that of van der Vorst (1992).

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.scipy.sparse.linalg import bicgstab
      >>> x, _ = bicgstab(jnp.array([[4.0, 1.0], [2.0, 3.0]]), jnp.array([5.0, 5.0]))
      >>> print(x.round(3))
      [1. 1.]
    """
    return _solve(_bicgstab, A, b, x0, tol, atol, maxiter, M, False), None


def gmres(
    A: Any,
    b: Any,
    x0: Any = None,
    *,
    tol: Any = 1e-5,
    atol: Any = 0.0,
    restart: int = 20,
    maxiter: int | None = None,
    M: Any = None,
    solve_method: str = "batched",
) -> tuple[Any, Any]:
    """The solution of ``A x = b`` by generalised minimal residuals, for any square A.

    Args:
      A, b, x0, tol, atol, M: as for `cg`.
      restart: the dimension of the Krylov space that is built before the search begins anew.
      maxiter: how often that is done at most, 10 times the size of `b` by default.
      solve_method: "batched" solves the small least-squares problem once the space is complete;
        "incremental" keeps its QR decomposition up to date and stops as soon as the residual is
        small.

    Returns:
      The solution, and 0, or -1 if the solution is NaN.

    Raises:
      ValueError: there is no such method, the matrix is not square, or `x0` is not like `b`.

    The algorithm is that of Saad and Schultz (1986), with vectors made orthogonal twice.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.scipy.sparse.linalg import gmres
      >>> x, info = gmres(jnp.array([[4.0, 1.0], [2.0, 3.0]]), jnp.array([5.0, 5.0]))
      >>> print(x.round(3), info)
      [1. 1.] 0
    """
    if solve_method not in ("batched", "incremental"):
        raise error(
            ValueError,
            f"invalid solve_method {solve_method}, must be either 'incremental' or 'batched'.",
            got=f"solve_method={solve_method!r}",
            fix="leave it out to get 'batched'.",
        )
    if integer(restart, "`restart` of gmres") < 1:
        raise error(
            ValueError,
            "gmres needs a Krylov space of at least one dimension.",
            got=f"restart={restart}",
            fix="leave restart out, or give 1 or more.",
        )
    cycle = _incremental if solve_method == "incremental" else _batched

    def method(A: Any, b: Any, x0: Any, tol: Any, atol: Any, maxiter: int, M: Any) -> Any:
        return _gmres(cycle, restart, A, b, x0, tol, atol, maxiter, M)

    x = _solve(method, A, b, x0, tol, atol, maxiter, M, False)
    failed = jnp.isnan(jnp.sqrt(_real_dot(x, x)))
    return x, jnp.where(failed, -1, 0)


# ---- what the solvers share


def _solve(
    method: Any, A: Any, b: Any, x0: Any, tol: Any, atol: Any, maxiter: Any, M: Any, hermitian: bool
) -> Any:
    matrix = A if hasattr(A, "dtype") and not callable(A) else None
    b = tree_map(lambda x: _inexact(x, matrix), b)
    x0 = tree_map(jnp.zeros_like, b) if x0 is None else x0
    if tree_structure(x0) != tree_structure(b):
        raise error(
            ValueError,
            "x0 and b must have matching tree structure.",
            got=f"{tree_structure(x0)} and {tree_structure(b)}",
            fix="give x0 the containers of b, or leave it out.",
        )
    shapes = [[np.shape(x) for x in tree_leaves(t)] for t in (x0, b)]
    if shapes[0] != shapes[1]:
        raise error(
            ValueError,
            "arrays in x0 and b must have matching shapes.",
            got=f"{shapes[0]} and {shapes[1]}",
            fix="give x0 the shapes of b, or leave it out.",
        )
    x0 = tree_map(lambda x, y: jnp.asarray(x).astype(y.dtype), x0, b)
    if maxiter is None:
        maxiter = 10 * sum(x.size for x in tree_leaves(b))
    matvec, precondition = _operator(A, "A"), _identity if M is None else _operator(M, "M")

    def solver(A: Operator, b: Any) -> Any:
        return method(A, b, x0, tol, atol, maxiter, precondition)

    # A hermitian system is its own transpose only if it is real.
    real = all(dtypes.kind(x.dtype) != "c" for x in tree_leaves(b))
    return lax.custom_linear_solve(
        matvec, b, solve=solver, transpose_solve=solver, symmetric=hermitian and real
    )


def _inexact(x: Any, matrix: Any) -> Any:
    x = input_array(x, "a linear solver")
    kinds = [x] if matrix is None else [x, getattr(matrix, "data", matrix)]
    if isinstance(matrix, (np.ndarray, Array)):
        kinds = [x, matrix]
    dtype = jnp.result_type(*kinds)
    return x.astype(dtype if dtypes.is_inexact(dtype) else jnp.promote_types(dtype, jnp.float32))


def _operator(f: Any, name: str) -> Operator:
    """`f` as a function of a vector."""
    if callable(f):
        return f  # type: ignore[no-any-return]
    if not hasattr(f, "__matmul__"):
        raise error(
            TypeError,
            "linear operator must be either a function or ndarray.",
            got=f"{name}={f!r:.80}",
            fix="give a matrix, a sparse matrix, or a function.",
        )
    shape = np.shape(f) if not hasattr(f, "shape") else f.shape
    if len(shape) != 2 or shape[0] != shape[1]:
        raise error(
            ValueError,
            f"linear operator must be a square matrix, but has shape: {tuple(shape)}.",
            got=f"{name} of shape {tuple(shape)}",
            fix="give a square matrix, or a function.",
        )
    matrix = jnp.asarray(f) if isinstance(f, np.ndarray) else f

    def product(x: Any) -> Any:
        if isinstance(x, (tuple, list, dict)):
            raise error(
                TypeError,
                "a matrix can be multiplied by one array only, not by a container of several.",
                got=f"{name} of shape {tuple(shape)}, and an operand of type {type(x).__name__}",
                fix="give a function of such containers, or put all numbers into one array.",
            )
        return matrix @ x

    return product


def _identity(x: Any) -> Any:
    return x


def _dot(x: Any, y: Any) -> Any:
    return sum(jnp.vdot(a, c) for a, c in zip(tree_leaves(x), tree_leaves(y), strict=True))


def _real_dot(x: Any, y: Any) -> Any:
    return jnp.real(_dot(x, y))


def _plus(x: Any, scale: Any, y: Any) -> Any:
    """``x + scale * y``, in the dtypes of `x`."""
    return tree_map(lambda a, c: a + (scale * c).astype(a.dtype), x, y)


def _minus(x: Any, y: Any) -> Any:
    return tree_map(operator.sub, x, y)


def _limit(b: Any, tol: Any, atol: Any) -> Any:
    """The square of the residual's norm to stop at."""
    return jnp.maximum(jnp.square(tol) * _real_dot(b, b), jnp.square(atol))


def _cg(A: Operator, b: Any, x0: Any, tol: Any, atol: Any, maxiter: int, M: Operator) -> Any:
    limit = _limit(b, tol, atol)

    def go_on(state: Any) -> Any:
        _, r, gamma, _, k = state
        size = gamma if M is _identity else _real_dot(r, r)
        return (size > limit) & (k < maxiter)

    def step(state: Any) -> Any:
        x, r, gamma, p, k = state
        ap = A(p)
        alpha = gamma / _real_dot(p, ap)
        x, r = _plus(x, alpha, p), _plus(r, -alpha, ap)
        z = M(r)
        new = _real_dot(r, z)
        return x, r, new, _plus(z, new / gamma, p), k + 1

    r = _minus(b, A(x0))
    z = M(r)
    return lax.while_loop(go_on, step, (x0, r, _real_dot(r, z), z, 0))[0]


def _bicgstab(A: Operator, b: Any, x0: Any, tol: Any, atol: Any, maxiter: int, M: Operator) -> Any:
    limit = _limit(b, tol, atol)

    def go_on(state: Any) -> Any:
        r, k = state[1], state[-1]
        return (_real_dot(r, r) > limit) & (k < maxiter) & (k >= 0)

    def step(state: Any) -> Any:
        x, r, alpha, omega, rho, p, q, k = state
        new = _dot(shadow, r)
        beta = new / rho * alpha / omega
        p = _plus(r, beta, _plus(p, -omega, q))
        p_hat = M(p)
        q = A(p_hat)
        alpha = new / _dot(shadow, q)
        s = _plus(r, -alpha, q)
        done = _real_dot(s, s) < limit
        s_hat = M(s)
        t = A(s_hat)
        omega = _dot(t, s) / _dot(t, t)
        half = _plus(x, alpha, p_hat)
        x = _chosen(done, half, _plus(half, omega, s_hat))
        r = _chosen(done, s, _plus(s, -omega, t))
        # A breakdown ends the loop: nothing is left to divide by.
        broken = ~done & ((new == 0) | (omega == 0) | (alpha == 0))
        return x, r, alpha, omega, new, p, q, jnp.where(broken, -1, k + 1)

    r = shadow = _minus(b, A(x0))
    one = jnp.ones((), jnp.result_type(*tree_leaves(b)))
    start = (x0, r, one, one, one, r, r, 0)
    return lax.while_loop(go_on, step, start)[0]


def _chosen(condition: Any, x: Any, y: Any) -> Any:
    return tree_map(lambda a, c: jnp.where(condition, a, c), x, y)


# ---- gmres, on flat vectors


def _gmres(
    cycle: Any,
    restart: int,
    A: Operator,
    b: Any,
    x0: Any,
    tol: Any,
    atol: Any,
    maxiter: int,
    M: Operator,
) -> Any:
    flat_b, unravel = ravel_pytree(b)
    if not flat_b.size:
        return b
    flat_x, _ = ravel_pytree(x0)

    def apply(f: Operator) -> Operator:
        return lambda v: ravel_pytree(f(unravel(v)))[0]

    matvec, precondition = apply(A), _identity if M is _identity else apply(M)
    norm_b = dense.norm(flat_b)
    limit = jnp.maximum(tol * norm_b, atol)
    # Inside a cycle residuals are those of the preconditioned system.
    ratio = jnp.where(norm_b > 0, limit / jnp.where(norm_b > 0, norm_b, 1), 0)
    inner = dense.norm(precondition(flat_b)) * jnp.minimum(1.0, ratio)
    n = min(restart, flat_b.size)

    def residual(x: Any) -> Any:
        r = precondition(flat_b - matvec(x))
        return r, dense.norm(r)

    def step(state: Any) -> Any:
        x, k, r, size = state
        unit = r / jnp.where(size > 0, size, 1).astype(r.dtype)
        space, y = cycle(lambda v: precondition(matvec(v)), unit, size, inner, n)
        x = x + space[:, :-1] @ y
        return x, k + 1, *residual(x)

    def go_on(state: Any) -> Any:
        return (state[1] < maxiter) & (state[3] > limit)

    x = lax.while_loop(go_on, step, (flat_x, 0, *residual(flat_x)))[0]
    return unravel(x)


def _arnoldi(A: Operator, space: Any, k: Any) -> tuple[Any, Any, Any]:
    """The space with one vector more, its products with the others, and its length."""
    v = A(space[:, k])
    before = dense.norm(v)
    products = jnp.zeros(space.shape[1], space.dtype)
    for _ in range(2):  # once more, for what rounding has left over
        part = space.conj().T @ v
        v = v - space @ part
        products = products + part
    size = dense.norm(v)
    small = size <= jnp.finfo(v.dtype).eps * before
    size = jnp.where(small, 0, size)
    unit = jnp.where(small, 0, v / jnp.where(small, 1, size).astype(v.dtype))
    products = products.at[k + 1].set(size.astype(v.dtype))
    return space.at[:, k + 1].set(unit), products, size


def _first_space(unit: Any, n: int) -> Any:
    return jnp.zeros((unit.size, n + 1), unit.dtype).at[:, 0].set(unit)


def _batched(A: Operator, unit: Any, size: Any, limit: Any, n: int) -> tuple[Any, Any]:
    """One cycle: a whole space, and in it the coefficients of the smallest residual."""

    def go_on(state: Any) -> Any:
        return (state[2] < n) & ~state[3]

    def step(state: Any) -> Any:
        space, products, k, _ = state
        space, found, length = _arnoldi(A, space, k)
        return space, products.at[:, k].set(found), k + 1, length == 0

    # Columns that are not reached stay those of the identity: their coefficient is zero.
    products = jnp.eye(n + 1, n, dtype=unit.dtype)
    start = (_first_space(unit, n), products, 0, jnp.array(False))
    space, products, _, _ = lax.while_loop(go_on, step, start)
    q, r = dense.qr(products)
    y = solve_triangular(r, q[0].conj() * size.astype(unit.dtype))
    return space, y


def _incremental(A: Operator, unit: Any, size: Any, limit: Any, n: int) -> tuple[Any, Any]:
    """One cycle that ends when the residual is small: each step rotates its column to a triangle.

    The rotations also carry the right side along, whose last number is the residual's norm.
    """

    def go_on(state: Any) -> Any:
        return (state[0] < n) & (state[5] > limit)

    def step(state: Any) -> Any:
        k, space, r, turns, right, _ = state
        space, column, _ = _arnoldi(A, space, k)
        column = lax.fori_loop(0, k, lambda i, c: _turned(c, i, turns[i]), column)
        turn = _rotation(column[k], column[k + 1])
        column, right = _turned(column, k, turn), _turned(right, k, turn)
        turns = turns.at[k].set(turn)
        return k + 1, space, r.at[:, k].set(column[:-1]), turns, right, abs(right[k + 1])

    kind = unit.dtype
    right = jnp.zeros(n + 1, kind).at[0].set(size.astype(kind))
    turns = jnp.zeros((n, 2), kind)
    start = (0, _first_space(unit, n), jnp.eye(n, dtype=kind), turns, right, size)
    k, space, r, _, right, _ = lax.while_loop(go_on, step, start)
    right = jnp.where(jnp.arange(n) < k, right[:-1], 0)
    return space, solve_triangular(r, right)


def _rotation(a: Any, b: Any) -> Any:
    """c and s of the unitary matrix that takes (a, b) to (r, 0)."""
    length = jnp.sqrt(abs(a) ** 2 + abs(b) ** 2)
    safe = jnp.where(length > 0, length, 1)
    c, s = a.conj() / safe, b.conj() / safe
    return jnp.stack([jnp.where(length > 0, c, 1).astype(a.dtype), s.astype(a.dtype)])


def _turned(x: Any, i: Any, turn: Any) -> Any:
    c, s = turn[0], turn[1]
    a, b = x[i], x[i + 1]
    return x.at[i].set(c * a + s * b).at[i + 1].set(c.conj() * b - s.conj() * a)


__all__ = ["bicgstab", "cg", "gmres"]
