"""Linear algebra with SciPy's names and options: `jax.scipy.linalg`.

All take stacks of matrices. The options `overwrite_a`, `overwrite_b` and `check_finite` change
nothing: arrays are never overwritten, and nan passes through.
"""

from __future__ import annotations

from typing import Any

from .. import lax
from .. import numpy as jnp
from ..core.array import Array
from ..core.errors import error, warn
from ..core.trace import type_of
from ..numpy.promotion import (
    as_array,
    as_arrays,
    broadcast_shapes,
    broadcast_to,
    inexact,
    promote_dtypes,
    promote_inexact,
)
from ..ops import spectral
from ..ops.linalg import permute_rows
from .decompositions import eigh as eigh
from .decompositions import eigh_tridiagonal as eigh_tridiagonal
from .decompositions import hessenberg as hessenberg
from .decompositions import polar as polar
from .decompositions import qr as qr
from .decompositions import qr_multiply as qr_multiply
from .decompositions import rsf2csf as rsf2csf
from .decompositions import schur as schur
from .matrix_functions import expm as expm
from .matrix_functions import expm_frechet as expm_frechet
from .matrix_functions import funm as funm
from .matrix_functions import solve_sylvester as solve_sylvester
from .matrix_functions import sqrtm as sqrtm
from .matrix_functions import square_matrices
from .special_matrices import circulant as circulant
from .special_matrices import companion as companion
from .special_matrices import convolution_matrix as convolution_matrix
from .special_matrices import dft as dft
from .special_matrices import fiedler as fiedler
from .special_matrices import fiedler_companion as fiedler_companion
from .special_matrices import hadamard as hadamard
from .special_matrices import hankel as hankel
from .special_matrices import helmert as helmert
from .special_matrices import hilbert as hilbert
from .special_matrices import invhilbert as invhilbert
from .special_matrices import invpascal as invpascal
from .special_matrices import leslie as leslie
from .special_matrices import pascal as pascal

__all__ = [
    *("block_diag", "cho_factor", "cho_solve", "cholesky", "det", "inv", "lu", "lu_factor"),
    *("lu_solve", "solve", "solve_triangular", "svd", "toeplitz", "eigh", "eigh_tridiagonal"),
    *("expm", "expm_frechet", "funm", "hessenberg", "polar", "qr", "qr_multiply", "rsf2csf"),
    *("schur", "solve_sylvester", "sqrtm", "circulant", "companion", "convolution_matrix", "dft"),
    *("fiedler", "fiedler_companion", "hadamard", "hankel", "helmert", "hilbert", "invhilbert"),
    *("invpascal", "leslie", "pascal"),
]

# ---- Cholesky


def cholesky(
    a: Any, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True
) -> Array:
    """The upper triangular R with ``R.conj().T @ R = a``; of matrices that have none, NaN.

    Args:
      a: Hermitian positive definite matrices: an array of shape ``(..., n, n)``.
      lower: read the lower triangle of `a`, not the upper one, and return the lower triangular L
        with ``L @ L.conj().T = a``.
      overwrite_a, check_finite: change nothing.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.scipy.linalg import cholesky
      >>> print(cholesky(jnp.array([[4., 2.], [2., 5.]]), lower=True))
      [[2. 0.]
       [1. 2.]]
    """
    a = square_matrices("cholesky", inexact("linalg.cholesky", a))
    factor = lax.linalg.cholesky(a if lower else _adjoint(a), symmetrize_input=False)
    return factor if lower else _adjoint(factor)


def cho_factor(
    a: Any, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True
) -> tuple[Array, bool]:
    """``(cholesky(a, lower), lower)``, for `cho_solve`.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.scipy.linalg import cho_factor
      >>> factor, lower = cho_factor(jnp.array([[4.0, 2.0], [2.0, 3.0]]), lower=True)
      >>> print(jnp.tril(factor))
      [[2.        0.       ]
       [1.        1.4142135]]
    """
    return cholesky(a, lower), lower


def cho_solve(
    c_and_lower: tuple[Any, bool], b: Any, overwrite_b: bool = False, check_finite: bool = True
) -> Array:
    """The solution `x` of ``a @ x = b``, with what `cho_factor` gives for `a`.

    Args:
      c_and_lower: the factor, of shape ``(..., n, n)``, and whether it is the lower triangular one.
      b: an array of shape ``(n,)`` or ``(..., n, k)``.
      overwrite_b, check_finite: change nothing.
    """
    if not (isinstance(c_and_lower, (tuple, list)) and len(c_and_lower) == 2):
        raise error(
            ValueError,
            "linalg.cho_solve takes the factor and whether it is the lower one as a pair.",
            got="one value" if isinstance(c_and_lower, Array) else repr(c_and_lower)[:80],
            fix="give what cho_factor gives, or the pair (factor, True) of a lower one.",
        )
    c, lower = c_and_lower
    c, b, vector = _system("cho_solve", c, b)
    b = _triangular(c, b, lower, adjoint=not lower)
    return _as_given(_triangular(c, b, lower, adjoint=bool(lower)), vector)


def _triangular(a: Any, b: Any, lower: bool, *, adjoint: bool) -> Any:
    return lax.linalg.triangular_solve(
        a, b, left_side=True, lower=lower, transpose_a=adjoint, conjugate_a=adjoint
    )


# ---- systems of equations


def solve(
    a: Any,
    b: Any,
    lower: bool = False,
    overwrite_a: bool = False,
    overwrite_b: bool = False,
    debug: bool = False,
    check_finite: bool = True,
    assume_a: str = "gen",
) -> Array:
    """The solution `x` of ``a @ x = b``.

    Args:
      a: an array of shape ``(..., n, n)``.
      b: an array of shape ``(n,)`` or ``(..., n, k)``.
      lower: for ``assume_a="pos"``, read the lower triangle of `a`, not the upper one.
      overwrite_a, overwrite_b, debug, check_finite: change nothing.
      assume_a: ``"pos"`` for Hermitian positive definite matrices, which are solved by their
        Cholesky factor; ``"gen"``, ``"sym"`` and ``"her"`` are the same.

    Raises:
      ValueError: `assume_a` is none of these, or the shapes do not fit.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.scipy.linalg import solve
      >>> print(solve(jnp.array([[2.0, 0.0], [0.0, 4.0]]), jnp.array([2.0, 2.0])))
      [1.  0.5]
    """
    if assume_a not in ("gen", "sym", "her", "pos"):
        raise error(
            ValueError,
            "Expected assume_a to be one of ['gen', 'sym', 'her', 'pos'].",
            got=f"assume_a={assume_a!r}",
            fix='use "gen", or "pos" for positive definite matrices.',
        )
    if assume_a != "pos":
        return jnp.linalg.solve(a, b)
    a, b = promote_inexact("linalg.solve", a, b)
    vector = len(b.shape) == 1
    a, sides, _ = _system("solve", a, b[:, None] if vector else b)
    factor = cho_factor(lax.stop_gradient(a), lower)
    # Derivatives are those of the equation. The transposed matrix is the conjugated one.
    x = lax.custom_linear_solve(
        lambda x: a @ x,
        sides,
        lambda _, y: cho_solve(factor, y),
        lambda _, y: jnp.conj(cho_solve(factor, jnp.conj(y))),
    )
    return _as_given(x, vector)


def solve_triangular(
    a: Any,
    b: Any,
    trans: int | str = 0,
    lower: bool = False,
    unit_diagonal: bool = False,
    overwrite_b: bool = False,
    debug: Any = None,
    check_finite: bool = True,
) -> Array:
    """The solution `x` of ``a @ x = b`` for a triangular matrix, the upper one unless `lower`.

    Args:
      a: an array of shape ``(..., n, n)``, of which only the triangle is read.
      b: an array of shape ``(n,)`` or ``(..., n, k)``.
      trans: 0 or ``"N"`` for `a`, 1 or ``"T"`` for its transpose, 2 or ``"C"`` for its conjugated
        transpose.
      lower: whether `a` is lower triangular.
      unit_diagonal: take the diagonal of `a` to be 1, whatever it is.
      overwrite_b, debug, check_finite: change nothing.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.scipy.linalg import solve_triangular
      >>> print(solve_triangular(jnp.array([[2., 0.], [1., 1.]]), jnp.array([4., 5.]), lower=True))
      [2. 3.]
    """
    kinds = {0: 0, 1: 1, 2: 2, "N": 0, "T": 1, "C": 2}
    if trans not in kinds:
        raise error(
            ValueError,
            f"Invalid 'trans' value {trans}.",
            got=f"trans={trans!r}",
            fix='use 0 or "N", 1 or "T", 2 or "C".',
        )
    kind = kinds[trans]
    a, b, vector = _system("solve_triangular", a, b)
    x = lax.linalg.triangular_solve(
        a,
        b,
        left_side=True,
        lower=lower,
        transpose_a=kind > 0,
        conjugate_a=kind == 2,
        unit_diagonal=unit_diagonal,
    )
    return _as_given(x, vector)


def inv(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> Array:
    """The inverse of each square matrix: see `numpy.linalg.inv`.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.scipy.linalg import inv
      >>> print(inv(jnp.array([[2.0, 0.0], [0.0, 4.0]])))
      [[0.5  0.  ]
       [0.   0.25]]
    """
    return jnp.linalg.inv(a)


def det(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> Array:
    """The determinant of each square matrix: see `numpy.linalg.det`.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.scipy.linalg import det
      >>> print(det(jnp.array([[4.0, 2.0], [2.0, 3.0]])).round(4))
      8.0
    """
    return jnp.linalg.det(a)


# ---- LU


def lu_factor(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> tuple[Array, Array]:
    """L and U in one matrix, and the row that each row was swapped with, for `lu_solve`."""
    factors, pivots, _ = lax.linalg.lu(inexact("linalg.lu_factor", a))
    return factors, pivots


def lu_solve(
    lu_and_piv: tuple[Any, Any],
    b: Any,
    trans: int = 0,
    overwrite_b: bool = False,
    check_finite: bool = True,
) -> Array:
    """The solution `x` of ``a @ x = b``, with what `lu_factor` gives for `a`.

    Args:
      lu_and_piv: the factors, of shape ``(..., n, n)``, and the swaps of rows.
      b: an array of shape ``(n,)`` or ``(..., n, k)``.
      trans: 0 for `a`, 1 for its transpose, 2 for its conjugated transpose.
      overwrite_b, check_finite: change nothing.
    """
    if trans not in (0, 1, 2):
        raise error(
            ValueError,
            f"'trans' value must be 0, 1, or 2, got {trans}.",
            got=f"trans={trans!r}",
            fix="use 0, or 1 for the transposed system.",
        )
    factors, b, vector = _system("lu_solve", lu_and_piv[0], b)
    order = lax.linalg.lu_pivots_to_permutation(lu_and_piv[1], factors.shape[-1])
    order = broadcast_to(order, factors.shape[:-1])
    how = {"left_side": True, "transpose_a": trans > 0, "conjugate_a": trans == 2}
    low = {"lower": True, "unit_diagonal": True} | how
    up = {"lower": False} | how
    solve = lax.linalg.triangular_solve
    if trans == 0:
        x = solve(factors, solve(factors, permute_rows(b, order), **low), **up)
    else:
        x = solve(factors, solve(factors, b, **up), **low)
        x = permute_rows(x, jnp.argsort(order, axis=-1))
    return _as_given(x, vector)


def lu(
    a: Any, permute_l: bool = False, overwrite_a: bool = False, check_finite: bool = True
) -> Any:
    """``(p, l, u)`` with ``p @ l @ u = a``; ``(p @ l, u)`` if `permute_l`.

    Args:
      a: an array of shape ``(..., m, n)``.
      permute_l: multiply the permutation into L.
      overwrite_a, check_finite: change nothing.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.scipy.linalg import lu
      >>> p, l, u = lu(jnp.array([[1.0, 2.0], [2.0, 2.0]]))
      >>> print(p @ l @ u)
      [[1. 2.]
       [2. 2.]]
    """
    a = inexact("linalg.lu", a)
    factors, _, order = lax.linalg.lu(a)
    m, n = a.shape[-2:]
    k = min(m, n)
    low = jnp.tril(factors[..., :k], -1)
    low = low + jnp.broadcast_to(jnp.eye(m, k, dtype=a.dtype), low.shape)
    up = jnp.triu(factors[..., :k, :])
    if permute_l:
        return permute_rows(low, jnp.argsort(order, axis=-1)), up
    rows = jnp.arange(m, dtype=order.dtype)[:, None]
    rows = jnp.expand_dims(rows, tuple(range(order.ndim - 1)))
    return (order[..., None, :] == rows).astype(jnp.real(factors).dtype), low, up


# ---- singular values


def svd(
    a: Any,
    full_matrices: bool = True,
    compute_uv: bool = True,
    overwrite_a: bool = False,
    check_finite: bool = True,
    lapack_driver: str = "gesdd",
) -> Any:
    """``(u, s, vh)`` with ``u @ diag(s) @ vh = a``, or `s` alone without `compute_uv`.

    Args:
      a: an array of shape ``(..., m, n)``.
      full_matrices: make `u` and `vh` square. They have derivatives only if False, or if m = n.
      compute_uv: return the vectors too.
      overwrite_a, check_finite, lapack_driver: change nothing.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.scipy.linalg import svd
      >>> print(svd(jnp.diag(jnp.array([3.0, 2.0])), compute_uv=False))
      [3. 2.]
    """
    a = inexact("linalg.svd", a)
    out = spectral.svd(a, full_matrices=bool(full_matrices), compute_uv=bool(compute_uv))
    if not compute_uv:
        return out[0]
    s, u, vh = out
    return u, s, vh


# ---- matrices of a certain form


def block_diag(*arrs: Any) -> Array:
    """The matrix with these matrices along its diagonal; vectors and scalars are rows.

    Raises:
      ValueError: an array has more than two axes.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.scipy.linalg import block_diag
      >>> print(block_diag(jnp.eye(2), 5.0 * jnp.ones((1, 1))))
      [[1. 0. 0.]
       [0. 1. 0.]
       [0. 0. 5.]]
    """
    if not arrs:
        return jnp.zeros((1, 0))
    arrays = promote_dtypes("block_diag", *arrs)
    for i, x in enumerate(arrays):
        if len(x.shape) > 2:
            raise error(
                ValueError,
                "Arguments to jax.scipy.linalg.block_diag must have at most 2 dimensions.",
                got=f"{type_of(x).str_short()} at argument {i}",
                fix="use vmap for stacks of matrices.",
            )
    blocks = [jnp.atleast_2d(x) for x in arrays]
    width, before, rows = sum(x.shape[1] for x in blocks), 0, []
    for x in blocks:
        after = width - before - x.shape[1]
        rows.append(jnp.pad(x, ((0, 0), (before, after))))
        before += x.shape[1]
    return jnp.concatenate(rows)


def toeplitz(c: Any, r: Any = None) -> Array:
    """The matrix with equal elements along each diagonal.

    Args:
      c: the first column; vectors along the last axis of a stack.
      r: the first row, whose first element is not used; by default the conjugated `c`.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.scipy.linalg import toeplitz
      >>> print(toeplitz(jnp.array([1, 2, 3])))
      [[1 2 3]
       [2 1 2]
       [3 2 1]]
    """
    (c,) = as_arrays("toeplitz", c)
    c, r = promote_dtypes("toeplitz", c, jnp.conj(c) if r is None else as_array(r, "toeplitz"))
    c, r = jnp.atleast_1d(c), jnp.atleast_1d(r)
    m, n = c.shape[-1], r.shape[-1]
    stack = broadcast_shapes("toeplitz", c.shape[:-1], r.shape[:-1])
    c, r = broadcast_to(c, (*stack, m)), broadcast_to(r, (*stack, n))
    if m == 0 or n == 0:
        return jnp.zeros((*stack, m, n), c.dtype)
    diagonals = jnp.concatenate([jnp.flip(c, -1), r[..., 1:]], axis=-1)
    place = jnp.arange(n)[None] - jnp.arange(m)[:, None] + (m - 1)
    return diagonals[..., place]


# ---- arguments


def _adjoint(a: Any) -> Any:
    return jnp.conj(jnp.matrix_transpose(a))


def _system(name: str, a: Any, b: Any) -> tuple[Any, Any, bool]:
    """Matrices and right-hand sides of one stack, and whether the latter were vectors."""
    a, b = promote_inexact(f"linalg.{name}", a, b)
    square_matrices(name, a)
    n = a.shape[-1]
    vector = len(b.shape) == 1
    if not vector and len(a.shape) == len(b.shape) + 1 and n == b.shape[-1]:
        vector = True
        warn(
            f"jax.scipy.linalg.{name}: batched 1D solves with b.ndim > 1 are deprecated, and in "
            f"the future will be treated as a batched 2D solve. Use {name}(..., b[..., None])"
            ".squeeze(-1) to avoid this warning.",
            FutureWarning,
        )
    sides = b[..., None] if vector else b
    if len(sides.shape) < 2 or sides.shape[-2] != n:
        raise error(
            ValueError,
            f"linalg.{name} takes b of shape (n,) or (..., n, k) for a of shape (..., n, n).",
            got=f"a: {type_of(a).str_short()}, b: {type_of(b).str_short()}",
            fix="for a stack of vectors give b[..., None].",
        )
    stack = broadcast_shapes(f"linalg.{name}", a.shape[:-2], sides.shape[:-2])
    a, sides = broadcast_to(a, (*stack, n, n)), broadcast_to(sides, (*stack, *sides.shape[-2:]))
    return a, sides, vector


def _as_given(x: Any, vector: bool) -> Any:
    return jnp.squeeze(x, -1) if vector else x
