"""Functions of matrices in `scipy.linalg`: expm, sqrtm, funm, and Sylvester's equation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import numpy as jnp
from ..core import dtypes
from ..core.array import Array
from ..core.errors import error
from ..core.trace import type_of
from ..lax.arguments import apply
from ..numpy.promotion import broadcast_shapes, broadcast_to, inexact, promote_inexact
from ..ops import matrix_functions
from .decompositions import schur


def expm(A: Any, *, upper_triangular: bool = False, max_squarings: int = 16) -> Array:
    """The exponential of square matrices.

    Args:
      A: an array of shape ``(..., n, n)``.
      upper_triangular: changes nothing: that `A` is triangular is found by itself.
      max_squarings: a matrix with a 1-norm of more than about ``2**max_squarings * 5.4`` gives nan
        (3.9 for 32 bits).

    Raises:
      ValueError: the matrices are not square.
      TypeError: `A` holds floats of half width.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.scipy.linalg import expm
      >>> print(expm(jnp.array([[0., 1.], [0., 0.]])))
      [[1. 1.]
       [0. 1.]]
    """
    a = square_matrices("expm", inexact("linalg.expm", A))
    return apply(matrix_functions.expm, a, max_squarings=int(max_squarings))


def expm_frechet(A: Any, E: Any, *, method: str | None = None, compute_expm: bool = True) -> Any:
    """``(expm(A), L)``, where L is the derivative of `expm` at `A` in the direction `E`.

    Args:
      A, E: arrays of one shape, ``(..., n, n)``.
      method: changes nothing.
      compute_expm: if False, return L alone.

    Raises:
      ValueError: the matrices are not square, or not of one shape.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.scipy.linalg import expm_frechet
      >>> value, derivative = expm_frechet(jnp.zeros((2, 2)), jnp.eye(2))
      >>> print(derivative)
      [[1. 0.]
       [0. 1.]]
    """
    a, e = promote_inexact("linalg.expm_frechet", A, E)
    square_matrices("expm_frechet", a)
    if a.shape != e.shape:
        raise error(
            ValueError,
            "expm_frechet: expected A and E to be the same shape.",
            got=f"A: {type_of(a).str_short()}, E: {type_of(e).str_short()}",
            fix="broadcast one of them.",
        )
    change = apply(matrix_functions.expm_frechet, a, e)
    return (expm(a), change) if compute_expm else change


def sqrtm(A: Any, blocksize: int = 1) -> Array:
    """The principal square root of square matrices: complex, and nan where there is none.

    Args:
      A: an array of shape ``(..., n, n)``.
      blocksize: must be 1.

    Raises:
      NotImplementedError: `blocksize` is greater than 1.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.scipy.linalg import sqrtm
      >>> print(sqrtm(jnp.array([[4., 0.], [0., -1.]])).round(4))
      [[2.+0.j 0.+0.j]
       [0.+0.j 0.+1.j]]
    """
    if blocksize > 1:
        raise error(
            NotImplementedError,
            "Blocked version is not implemented yet.",
            got=f"blocksize={blocksize}",
            fix="leave it out.",
        )
    a = square_matrices("sqrtm", inexact("linalg.sqrtm", A))
    return apply(matrix_functions.sqrtm, a)  # type: ignore[no-any-return]


def funm(A: Any, func: Callable[[Array], Array], disp: bool = True) -> Any:
    """The matrix with the eigenvectors of `A` and eigenvalues ``func(w)``: complex.

    Parlett's recurrence on the Schur form, which loses digits where eigenvalues are close. It has
    derivatives where all eigenvalues differ.

    Args:
      A: an array of shape ``(n, n)``.
      func: a function of a complex vector, element by element.
      disp: if False, return an estimate of the relative error too.

    Raises:
      ValueError: `A` is not a square matrix.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.scipy.linalg import funm
      >>> print(funm(jnp.diag(jnp.array([1.0, 4.0])), jnp.sqrt).real)
      [[1. 0.]
       [0. 2.]]
    """
    a = square_matrices("funm", inexact("linalg.funm", A))
    if len(a.shape) != 2:
        raise error(
            ValueError,
            "linalg.funm takes one square matrix.",
            got=type_of(a).str_short(),
            fix="use vmap for a stack.",
        )
    t, z = schur(a, output="complex")
    n = a.shape[0]
    w = jnp.diag(t)
    f = jnp.diag(func(w)).astype(t.dtype)
    gaps = []
    for p in range(1, n):
        # Golub and Van Loan, algorithm 9.1.1, for all elements of a diagonal at once.
        rows = jnp.arange(n - p)
        upper = jnp.diagonal(t, p)
        total = upper * (jnp.diagonal(f)[p:] - jnp.diagonal(f)[: n - p])
        for q in range(1, p):
            total += jnp.diagonal(t, q)[: n - p] * jnp.diagonal(f, p - q)[q:]
            total -= jnp.diagonal(f, q)[: n - p] * jnp.diagonal(t, p - q)[q:]
        gap = w[p:] - w[: n - p]
        f = f.at[rows, rows + p].set(
            jnp.where(gap == 0, total, total / jnp.where(gap == 0, 1, gap))
        )
        gaps.append(jnp.min(abs(gap)))
    out = z @ f @ jnp.conj(z.T)
    if disp:
        return out
    eps = float(dtypes.finfo(out.dtype).eps)
    least = jnp.min(jnp.stack([abs(jnp.sum(t[:1, :1])), *gaps]))
    least = jnp.where(least == 0, eps, least)
    size = jnp.linalg.norm(jnp.triu(t, 1), 1)
    estimate = jnp.minimum(1, jnp.maximum(eps, (eps / least) * size))
    return out, jnp.where(jnp.any(jnp.isinf(out)), jnp.inf, estimate)


def solve_sylvester(A: Any, B: Any, C: Any, *, method: str = "schur", tol: float = 1e-8) -> Array:
    """The X with ``A @ X + X @ B = C``.

    Args:
      A: an array of shape ``(..., m, m)``.
      B: an array of shape ``(..., n, n)``.
      C: an array of shape ``(..., m, n)``. The axes before the last two broadcast.
      method: ``"schur"`` or ``"eigen"``: both are Bartels and Stewart's, with Schur forms.
      tol: where the sum of an eigenvalue of A and one of B is smaller, X is nan.

    Raises:
      ValueError: the shapes do not fit, or there is no such method.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.scipy.linalg import solve_sylvester
      >>> one = jnp.eye(2)
      >>> print(solve_sylvester(one, 3 * one, jnp.array([[4., 8.], [0., 4.]])))
      [[1. 2.]
       [0. 1.]]
    """
    if method not in ("schur", "eigen"):
        raise error(
            ValueError,
            f"Unrecognized method {method}.",
            got=f"method={method!r}",
            fix='use "schur".',
        )
    a, b, c = promote_inexact("linalg.solve_sylvester", A, B, C)
    fits = len(c.shape) >= 2 and a.shape[-2:] == (c.shape[-2],) * 2
    if not fits or b.shape[-2:] != (c.shape[-1],) * 2:
        raise error(
            ValueError,
            "Incompatible shapes for Sylvester equation.",
            got=", ".join(type_of(x).str_short() for x in (a, b, c)),
            fix="A is (..., m, m), B (..., n, n), C (..., m, n).",
        )
    stack = broadcast_shapes("linalg.solve_sylvester", *[x.shape[:-2] for x in (a, b, c)])
    a, b, c = (broadcast_to(x, (*stack, *x.shape[-2:])) for x in (a, b, c))
    return apply(matrix_functions.sylvester, a, b, c, tol=float(tol))  # type: ignore[no-any-return]


def square_matrices(name: str, a: Any) -> Any:
    """`a`, checked to be square matrices."""
    if len(a.shape) < 2 or a.shape[-1] != a.shape[-2]:
        raise error(
            ValueError,
            f"linalg.{name} takes square matrices: shape [..., n, n].",
            got=type_of(a).str_short(),
            fix="check the last two axes.",
        )
    return a
