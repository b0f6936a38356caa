"""Linear algebra on stacks of matrices, without promotion: `jax.lax.linalg`."""

from __future__ import annotations

import enum
import operator
from typing import Any

from ..core.array import Array
from ..core.errors import error
from ..core.trace import type_of
from ..ops.contraction import matmul
from ..ops.eigen import eig as eig_p
from ..ops.eigen import eigh as eigh_p
from ..ops.elementwise import add
from ..ops.factorizations import geqrf as geqrf_p
from ..ops.factorizations import householder_product as householder_product_p
from ..ops.factorizations import ormqr as ormqr_p
from ..ops.factorizations import qr as qr_p
from ..ops.hermitian import hermitian_part
from ..ops.linalg import adjoint, flip, tril
from ..ops.linalg import cholesky as cholesky_p
from ..ops.linalg import lu as lu_p
from ..ops.linalg import lu_pivots_to_permutation as lu_pivots_to_permutation_p
from ..ops.linalg import triangular_solve as triangular_solve_p
from ..ops.matrix_functions import polar
from ..ops.schur import hessenberg as hessenberg_p
from ..ops.schur import schur as schur_p
from ..ops.spectral import svd as svd_p
from ..ops.structural import squeeze
from ..ops.tridiagonal import tridiagonal as tridiagonal_p
from ..ops.tridiagonal import tridiagonal_solve as tridiagonal_solve_p
from ..ops.updates import cholesky_update as cholesky_update_p
from ..ops.updates import symmetric_product as symmetric_product_p
from .arguments import apply, as_array
from .shaping import expand_dims

__all__ = [
    *("EigImplementation", "EighImplementation", "SvdAlgorithm"),
    *("cholesky", "cholesky_p", "cholesky_update", "cholesky_update_p", "eig", "eig_p", "eigh"),
    *("eigh_p", "hessenberg", "hessenberg_p", "householder_product", "householder_product_p"),
    *("lu", "lu_p", "lu_pivots_to_permutation", "lu_pivots_to_permutation_p", "ormqr", "ormqr_p"),
    *("qdwh", "qr", "qr_p", "schur", "schur_p", "svd", "svd_p", "symmetric_product"),
    *("symmetric_product_p", "triangular_solve", "triangular_solve_p", "tridiagonal"),
    *("tridiagonal_p", "tridiagonal_solve", "tridiagonal_solve_p"),
]


class EigImplementation(enum.Enum):
    """Who computes `eig`. Only LAPACK does."""

    CUSOLVER = "cusolver"
    MAGMA = "magma"
    LAPACK = "lapack"


class EighImplementation(enum.Enum):
    """How `eigh` is computed. Only QR (LAPACK's syevd) is implemented."""

    QR = "qr"
    JACOBI = "jacobi"
    QDWH = "qdwh"


class SvdAlgorithm(enum.Enum):
    """How `svd` is computed. DEFAULT, QR and DIVIDE_AND_CONQUER are all LAPACK's gesdd."""

    DEFAULT = "default"
    QR = "QR"
    JACOBI = "Jacobi"
    POLAR = "polar"
    DIVIDE_AND_CONQUER = "divide_and_conquer"


def _refused(name: str, value: Any) -> Any:
    return error(
        NotImplementedError,
        f"lax.linalg.{name} is computed by LAPACK on the CPU, which has no such algorithm.",
        got=str(value),
        fix="leave it out.",
    )


# ---- Cholesky


def cholesky(x: Any, *, symmetrize_input: bool = True) -> Array:
    """The lower triangular L with L L^H = x; nan for a matrix that is not positive definite.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.lax.linalg import cholesky
      >>> print(cholesky(jnp.array([[4.0, 2.0], [2.0, 3.0]])).round(4))
      [[2.     0.    ]
       [1.     1.4142]]
    """
    a = as_array(x, "linalg.cholesky")
    cholesky_p.typing(a.aval)
    if symmetrize_input:
        a = hermitian_part(a)
    return apply(cholesky_p, a)


def cholesky_update(r_matrix: Any, w_vector: Any) -> Array:
    """The upper triangular R1 with R1^T R1 = R^T R + w w^T, for upper triangular R, in O(n^2).

    Args:
      r_matrix: R, real, of shape ``(..., n, n)``; the triangle below the diagonal is not read.
      w_vector: w, of shape ``(..., n)``.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.lax.linalg import cholesky_update
      >>> print(cholesky_update(jnp.eye(2), jnp.array([1.0, 0.0])).round(4))
      [[1.4142 0.    ]
       [0.     1.    ]]
    """
    return apply(cholesky_update_p, r_matrix, w_vector)


def symmetric_product(
    a_matrix: Any,
    c_matrix: Any,
    *,
    alpha: float = 1.0,
    beta: float = 0.0,
    symmetrize_output: bool = False,
) -> Array:
    """``alpha a a^T + beta c``, for real a of shape ``(..., m, n)`` and c of ``(..., m, m)``.

    With `symmetrize_output`, the upper triangle is a copy of the lower one.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.lax.linalg import symmetric_product
      >>> print(symmetric_product(jnp.ones((2, 3)), jnp.eye(2)))
      [[3. 3.]
       [3. 3.]]
    """
    out = apply(symmetric_product_p, a_matrix, c_matrix, alpha=float(alpha), beta=float(beta))
    return add(tril(out), flip(tril(out, -1))) if symmetrize_output else out


# ---- triangular and tridiagonal systems


def triangular_solve(
    a: Any,
    b: Any,
    *,
    left_side: bool = False,
    lower: bool = False,
    transpose_a: bool = False,
    conjugate_a: bool = False,
    unit_diagonal: bool = False,
) -> Array:
    """The x with op(a) x = b if `left_side`, else x op(a) = b, for a triangular matrix `a`.

    Example:
      >>> from pullback import lax
      >>> import pullback.numpy as jnp
      >>> a, b = jnp.array([[2.0, 0.0], [1.0, 1.0]]), jnp.array([[4.0], [5.0]])
      >>> print(lax.linalg.triangular_solve(a, b, left_side=True, lower=True))
      [[2.]
       [3.]]
    """
    x, y = as_array(a, "linalg.triangular_solve"), as_array(b, "linalg.triangular_solve")
    vector = len(y.shape) == len(x.shape) - 1
    if vector:
        y = expand_dims(y, (-1 if left_side else -2,))
    out = apply(
        triangular_solve_p,
        x,
        y,
        left_side=bool(left_side),
        lower=bool(lower),
        transpose_a=bool(transpose_a),
        conjugate_a=bool(conjugate_a),
        unit_diagonal=bool(unit_diagonal),
    )
    return squeeze(out, dimensions=(_other_axis(out, left_side),)) if vector else out


def _other_axis(matrix: Any, left_side: bool) -> int:
    """The axis of length 1 of a vector written as a matrix: of a column the last."""
    return len(matrix.shape) - (1 if left_side else 2)


def tridiagonal_solve(dl: Any, d: Any, du: Any, b: Any, *, perturb_singular: bool = False) -> Array:
    """The x with A x = b, where row i of A has dl[i], d[i] and du[i] around its diagonal.

    Args:
      dl: the numbers below the diagonal, of shape ``(..., m)``; the first is not read.
      d: the diagonal, of the same shape.
      du: the numbers above it, of the same shape; the last is not read.
      b: the right-hand sides, of shape ``(..., m, n)``.
      perturb_singular: replace tiny pivots, so that a singular matrix gives large numbers, not nan.

    Raises:
      TypeError: the shapes do not fit.

    Example:
      >>> from pullback import lax
      >>> import pullback.numpy as jnp
      >>> one = jnp.ones(3)
      >>> print(lax.linalg.tridiagonal_solve(one, 4 * one, one, jnp.array([[5.], [6.], [5.]])))
      [[1.]
       [1.]
       [1.]]
    """
    return apply(tridiagonal_solve_p, dl, d, du, b, perturb_singular=bool(perturb_singular))


def tridiagonal(a: Any, *, lower: bool = True) -> tuple[Array, Array, Array, Array]:
    """A symmetric or Hermitian matrix as Q T Q^H, with a real tridiagonal T.

    Args:
      a: an array of shape ``(..., n, n)``, of which one triangle is read, the lower one if `lower`.
      lower: which triangle.

    Returns:
      ``(a, d, e, taus)``: T with the reflections that make Q, as LAPACK stores them; the diagonal
      of T, and the numbers beside it; and the reflections' factors.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.lax.linalg import tridiagonal
      >>> a, d, e, taus = tridiagonal(jnp.array([[2.0, 1.0], [1.0, 3.0]]))
      >>> print(d, jnp.abs(e))
      [2. 3.] [1.]
    """
    packed, d, e, taus = apply(tridiagonal_p, a, lower=bool(lower))
    return packed, d, e, taus


# ---- LU and QR


def lu(x: Any) -> tuple[Array, Array, Array]:
    """L and U in one matrix, the swaps of rows, and the permutation that they make.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.lax.linalg import lu
      >>> factors, pivots, permutation = lu(jnp.array([[1.0, 2.0], [2.0, 2.0]]))
      >>> print(factors, permutation)
      [[2.  2. ]
       [0.5 1. ]] [1 0]
    """
    lu_, pivots, permutation = apply(lu_p, x)
    return lu_, pivots, permutation


def lu_pivots_to_permutation(pivots: Any, permutation_size: int) -> Array:
    """The permutation that these swaps of rows make.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.lax.linalg import lu_pivots_to_permutation
      >>> print(lu_pivots_to_permutation(jnp.array([1, 1]), 2))
      [1 0]
    """
    size = operator.index(permutation_size)
    return apply(lu_pivots_to_permutation_p, pivots, permutation_size=size)


def qr(
    x: Any, *, pivoting: bool = False, full_matrices: bool = True, use_magma: bool | None = None
) -> Any:
    """(q, r) with q r = x, orthonormal columns in q, and upper triangular r.

    Args:
      x: an array of shape ``(..., m, n)``.
      pivoting: return (q, r, p) with q r = x[:, p], where the diagonal of r falls.
      full_matrices: make q square; else it has min(m, n) columns.
      use_magma: accepted for compatibility.

    Where the first min(m, n) columns are linearly dependent, derivatives are infinite or nan.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.lax.linalg import qr
      >>> q, r = qr(jnp.array([[3.0, 0.0], [4.0, 5.0]]))
      >>> print((q @ r).round(4))
      [[3. 0.]
       [4. 5.]]
    """
    return tuple(apply(qr_p, x, pivoting=bool(pivoting), full_matrices=bool(full_matrices)))


def geqrf(a: Any) -> tuple[Array, Array]:
    """The QR decomposition as LAPACK stores it: r and the reflections in one matrix, and taus."""
    packed, taus = apply(geqrf_p, a)
    return packed, taus


def householder_product(a: Any, taus: Any) -> Array:
    """The first columns of the product of the reflections stored in `a`, as many as `a` has.

    Args:
      a: an array of shape ``(..., m, n)``, m >= n, with the reflections below the diagonal.
      taus: their factors, of shape ``(..., k)``, k <= n.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.lax.linalg import householder_product
      >>> print(householder_product(jnp.zeros((2, 2)), jnp.zeros(2)) + 0.0)
      [[1. 0.]
       [0. 1.]]
    """
    return apply(householder_product_p, a, taus)


def ormqr(a: Any, taus: Any, c: Any, *, left: bool = True, transpose: bool = False) -> Array:
    """q c, or c q unless `left`, where q is the square product of reflections, which is not made.

    Args:
      a: an array of shape ``(..., m, n)`` with reflections below the diagonal: the transposed
        first result of ``jnp.linalg.qr(x, mode="raw")``.
      taus: their factors, of shape ``(..., k)``: the second result.
      c: matrices of shape ``(..., m, p)``, or ``(..., p, m)`` unless `left`.
      left: whether q stands on the left.
      transpose: take q^H.

    Example:
      >>> from pullback import lax
      >>> import pullback.numpy as jnp
      >>> a = jnp.array([[3., 1.], [4., 2.]])
      >>> h, taus = jnp.linalg.qr(a, mode="raw")
      >>> print(lax.linalg.ormqr(h.mT, taus, a, transpose=True).round(4) + 0.0)
      [[-5.  -2.2]
       [ 0.   0.4]]
    """
    return apply(ormqr_p, a, taus, c, left=bool(left), transpose=bool(transpose))


# ---- eigenvalues and singular values


def eigh(
    x: Any,
    *,
    lower: bool = True,
    symmetrize_input: bool = True,
    sort_eigenvalues: bool = True,
    subset_by_index: tuple[int, int] | None = None,
    implementation: EighImplementation | None = None,
) -> tuple[Array, Array]:
    """(v, w): vectors and values with x v = v diag(w), for symmetric or Hermitian x.

    For derivatives where values are equal see `numpy.linalg.eigh`.

    Args:
      x: an array of shape ``(..., n, n)``.
      lower: which triangle is read, if not `symmetrize_input`.
      symmetrize_input: take (x + x^H) / 2, so that derivatives are those of a function of all
        elements.
      sort_eigenvalues: values never fall, whatever this is.
      subset_by_index: (start, end): only the values and vectors of these places.
      implementation: None or ``EighImplementation.QR``.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.lax.linalg import eigh
      >>> vectors, values = eigh(jnp.diag(jnp.array([2.0, 1.0])))
      >>> print(values)
      [1. 2.]
    """
    if implementation not in (None, EighImplementation.QR):
        raise _refused("eigh", implementation)
    a = as_array(x, "linalg.eigh")
    params: dict[str, Any] = {
        "lower": bool(lower),
        "sort_eigenvalues": bool(sort_eigenvalues),
        "subset_by_index": _pair(subset_by_index),
    }
    eigh_p.typing(a.aval, **params)
    v, w = eigh_p(hermitian_part(a) if symmetrize_input else a, **params)
    return v, w


def _pair(subset: Any) -> tuple[int, int] | None:
    if subset is None:
        return None
    start, end = map(operator.index, subset)
    return start, end


def eig(
    x: Any,
    *,
    compute_left_eigenvectors: bool = True,
    compute_right_eigenvectors: bool = True,
    enable_eigvec_derivs: bool = False,
    implementation: EigImplementation | None = None,
    use_magma: bool | None = None,
) -> list[Array]:
    """[w, u, v]: values, left vectors (u^H x = diag(w) u^H) and right ones (x v = v diag(w)).

    All are complex; vectors have norm 1, and their largest component is real.

    Args:
      x: an array of shape ``(..., n, n)``.
      compute_left_eigenvectors: include u.
      compute_right_eigenvectors: include v.
      enable_eigvec_derivs: changes nothing: vectors always have derivatives. They hold where all
        values differ and no two components of a vector are equally large.
      implementation: None or ``EigImplementation.LAPACK``.
      use_magma: changes nothing.
    """
    if implementation not in (None, EigImplementation.LAPACK):
        raise _refused("eig", implementation)
    return list(
        apply(
            eig_p,
            x,
            compute_left_eigenvectors=bool(compute_left_eigenvectors),
            compute_right_eigenvectors=bool(compute_right_eigenvectors),
        )
    )


def svd(
    x: Any,
    *,
    full_matrices: bool = True,
    compute_uv: bool = True,
    subset_by_index: tuple[int, int] | None = None,
    algorithm: SvdAlgorithm | None = None,
) -> Any:
    """(u, s, v^H) with x = u diag(s) v^H, the singular values s in descending order; or s alone.

    For derivatives where values are equal, and of the columns that `full_matrices` adds, see
    `numpy.linalg.svd`.

    Args:
      x: an array of shape ``(..., m, n)``.
      full_matrices: make u and v^H square.
      compute_uv: return the vectors too.
      subset_by_index: (start, end): only the values and vectors of these places.
      algorithm: DEFAULT, QR and DIVIDE_AND_CONQUER are the same; others are refused.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.lax.linalg import svd
      >>> u, s, vt = svd(jnp.diag(jnp.array([3.0, 2.0])))
      >>> print(s)
      [3. 2.]
    """
    if algorithm in (SvdAlgorithm.JACOBI, SvdAlgorithm.POLAR):
        raise _refused("svd", algorithm)
    outs = apply(
        svd_p,
        x,
        full_matrices=bool(full_matrices),
        compute_uv=bool(compute_uv),
        subset_by_index=_pair(subset_by_index),
    )
    if not compute_uv:
        return outs[0]
    s, u, vh = outs
    return u, s, vh


def schur(
    x: Any,
    *,
    compute_schur_vectors: bool = True,
    sort_eig_vals: bool = False,
    select_callable: Any = None,
) -> Any:
    """(T, Z) with x = Z T Z^H and unitary Z; only T unless `compute_schur_vectors`.

    T is upper triangular; of a real matrix it is real, with a block of two rows for each pair of
    complex eigenvalues. For derivatives see `scipy.linalg.schur`.

    Raises:
      NotImplementedError: `sort_eig_vals` is true.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.lax.linalg import schur
      >>> t, z = schur(jnp.array([[2.0, 1.0], [0.0, 3.0]]))
      >>> print((z @ t @ z.T).round(4))
      [[2. 1.]
       [0. 3.]]
    """
    out = apply(
        schur_p,
        x,
        compute_schur_vectors=bool(compute_schur_vectors),
        sort_eig_vals=bool(sort_eig_vals),
        select_callable=select_callable,
    )
    return tuple(out) if compute_schur_vectors else out[0]


def hessenberg(a: Any) -> tuple[Array, Array]:
    """(h, taus): Hessenberg's form, the reflections that lead to it below, and their factors.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.lax.linalg import hessenberg
      >>> print(hessenberg(jnp.array([[1.0, 2.0], [3.0, 4.0]]))[0])
      [[1. 2.]
       [3. 4.]]
    """
    packed, taus = apply(hessenberg_p, a)
    return packed, taus


def qdwh(
    x: Any,
    *,
    is_hermitian: bool = False,
    max_iterations: int | None = None,
    eps: float | None = None,
    dynamic_shape: tuple[int, int] | None = None,
) -> tuple[Array, Array, Array, Array]:
    """(u, h, 0, True): the polar decomposition x = u h, with positive semidefinite h.

    It comes from the singular values, so there are no iterations: their number is 0, and
    `is_hermitian`, `max_iterations` and `eps` change nothing.

    Args:
      x: an array of shape ``(m, n)``, m >= n.
      is_hermitian, max_iterations, eps: change nothing.
      dynamic_shape: None or the shape of `x`: there is no need to pad.

    Raises:
      ValueError: `x` is not a matrix, or has more columns than rows.
      NotImplementedError: `dynamic_shape` is another shape.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.lax.linalg import qdwh
      >>> u, h, steps, converged = qdwh(jnp.array([[2.0, 0.0], [0.0, 3.0]]))
      >>> print(h.round(4))
      [[2. 0.]
       [0. 3.]]
    """
    a = as_array(x, "linalg.qdwh")
    if len(a.shape) != 2 or a.shape[0] < a.shape[1]:
        raise error(
            ValueError,
            "qdwh takes a matrix with at least as many rows as columns.",
            got=type_of(a).str_short(),
            fix="transpose it.",
        )
    if dynamic_shape is not None and tuple(dynamic_shape) != a.shape:
        raise error(
            NotImplementedError,
            "qdwh takes matrices without padding.",
            got=f"dynamic_shape={dynamic_shape} of {type_of(a).str_short()}",
            fix="slice the matrix.",
        )
    u = apply(polar, a)
    h = hermitian_part(matmul(adjoint(u), a))
    return u, h, as_array(0, "linalg.qdwh"), as_array(True, "linalg.qdwh")
