"""Linear algebra of sparse matrices: solutions of systems, and the largest eigenvalues."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ... import lax
from ... import numpy as jnp
from ...checks import input_array
from ...core import dtypes
from ...core.errors import error
from ...core.lazy import lazy
from ...core.primitive import NOT_LINEAR, Absent, Linear, Primitive
from ...core.types import ArrayType
from ...numpy import linalg
from ...ops.structural import to_front
from .bcoo.matrix_product import coo_matmul
from .bcsr import rows_of

scipy_sparse = lazy("scipy.sparse")
scipy_linalg = lazy("scipy.sparse.linalg")


class CooSolve(Primitive):
    """X with A X = B, for the square matrix of these elements, rows and columns."""

    weak_from = ()

    def typing(self, data: Any, rows: Any, cols: Any, b: Any) -> ArrayType:
        flat = all(len(t.shape) == 1 and t.shape == data.shape for t in (data, rows, cols))
        wide = dtypes.kind(b.dtype) in "fc" and b.dtype.itemsize >= 4
        if not flat or len(b.shape) != 2 or data.dtype != b.dtype or not wide:
            raise error(
                TypeError,
                "coo_solve needs flat elements, rows and columns, and a matrix, in one dtype of 32 "
                "bits or more.",
                got=", ".join(t.str_short() for t in (data, rows, cols, b)),
                fix="convert them to float32 or float64.",
            )
        return b.strong()  # type: ignore[no-any-return]

    def eval(self, data: Any, rows: Any, cols: Any, b: Any) -> Any:
        n = b.shape[0]
        inside = (rows < n) & (cols < n)
        where = (rows[inside], cols[inside])
        matrix = scipy_sparse.csc_array((data[inside], where), shape=(n, n))
        try:
            return np.asarray(scipy_linalg.splu(matrix).solve(b), b.dtype)
        except RuntimeError:  # it is singular: as for dense matrices
            return np.full_like(b, np.nan)

    def jvp(self, primals: Any, tangents: Any, x: Any) -> Any:
        data, rows, cols, b = primals
        right = tangents[3]
        if tangents[0] is not None:
            change = coo_matmul(tangents[0], rows, cols, x, size=b.shape[0])
            right = -change if right is None else right - change
        return coo_solve(data, rows, cols, right)

    def transpose(self, ct: Any, data: Any, rows: Any, cols: Any, b: Any) -> Any:
        if type(b) is not Linear:
            return NOT_LINEAR(ct, data, rows, cols, b)
        return [None, None, None, coo_solve(data, cols, rows, ct)]

    def vmap(self, count: int, args: Any, axes: Any) -> Any:
        data, rows, cols, b = args
        if axes[:3] == [None] * 3 or tuple(axes[:3]) == (None,) * 3:
            b = to_front(b, axes[3], count)
            n, m = b.shape[1:]
            wide = lax.reshape(lax.transpose(b, (1, 0, 2)), (n, count * m))
            return lax.reshape(coo_solve(data, rows, cols, wide), (n, count, m)), 1
        data, rows, cols, b = (to_front(x, a, count) for x, a in zip(args, axes, strict=True))
        found = [coo_solve(data[i], rows[i], cols[i], b[i]) for i in range(count)]
        return (jnp.stack(found) if found else b), 0

    lower = Absent("it is a call to SuperLU")


coo_solve = CooSolve()


def spsolve(
    data: Any, indices: Any, indptr: Any, b: Any, tol: float = 1e-6, reorder: int = 1
) -> Any:
    """The solution x of ``A x = b`` for a sparse square matrix by rows, by an LU decomposition.

    Args:
      data, indices, indptr: the elements of A, their columns, and where each row begins (CSR).
      b: the right side, a flat array of the dtype of `data`.
      tol, reorder: accepted for compatibility: SuperLU chooses both.

    Returns:
      The solution, NaN if the matrix is singular. It can be differentiated with respect to `data`
      and `b`, and mapped.

    Raises:
      ValueError: dtypes or shapes do not fit.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.experimental import sparse
      >>> a = sparse.BCSR.fromdense(jnp.array([[2.0, 0.0], [1.0, 4.0]]))
      >>> print(sparse.linalg.spsolve(a.data, a.indices, a.indptr, jnp.array([2.0, 9.0])))
      [1. 2.]
    """
    data, indices, indptr, b = (input_array(x, "spsolve") for x in (data, indices, indptr, b))
    integers = all(dtypes.kind(x.dtype) in "iu" for x in (indices, indptr))
    flat = all(x.ndim == 1 for x in (data, indices, indptr, b))
    fits = flat and indptr.size == b.size + 1 and data.shape == indices.shape
    if not (integers and fits) or data.dtype != b.dtype or reorder not in (0, 1, 2, 3):
        raise error(
            ValueError,
            "spsolve needs flat CSR buffers of a square matrix, and a right side of its dtype and "
            "number of rows.",
            got=f"{', '.join(x.aval.str_short() for x in (data, indices, indptr, b))}, "
            f"reorder={reorder}",
            fix="give data and indices of one length, integer indices, indptr of len(b) + 1.",
        )
    rows = rows_of(indptr, data.size)
    return coo_solve(data, rows, indices, b[:, None])[:, 0]


def lobpcg_standard(A: Any, X: Any, m: int = 100, tol: float | None = None) -> tuple[Any, Any, Any]:
    """The largest eigenvalues of a hermitian matrix, with their eigenvectors.

    Args:
      A: a matrix, dense or sparse, or a function of ``(n, k)`` arrays that multiplies by it.
      X: ``(n, k)``: where to begin, with ``0 < 5 k < n``; its columns must not depend on another.
      m: the most iterations.
      tol: a pair is good when the norm of ``A v - t v`` is below ``10 n tol (t + |A v|)``;
        the precision of the dtype by default.

    Returns:
      The `k` largest eigenvalues, largest first; eigenvectors ``(n, k)``; the iterations.

    Raises:
      ValueError: the shapes or dtypes do not fit.

    The method is LOBPCG (Knyazev 2001) without preconditioner; its basis is made orthonormal in
    each step. Its results have no derivatives of use.
    """
    x = input_array(X, "lobpcg_standard")
    multiply: Callable[[Any], Any] = A if callable(A) else lambda v: A @ v
    n, k = x.shape if x.ndim == 2 else (0, 0)
    matrix = None if callable(A) else A
    square = matrix is None or (tuple(matrix.shape) == (n, n) and matrix.dtype == x.dtype)
    if not 0 < 5 * k < n or not square:
        raise error(
            ValueError,
            "lobpcg_standard needs a matrix (n, n) and a start (n, k) of its dtype with "
            "0 < 5 k < n.",
            got=f"X of {x.aval.str_short()}" + ("" if matrix is None else f", A of {matrix.shape}"),
            fix="look for fewer eigenvalues, or use jnp.linalg.eigh.",
        )
    limit = jnp.finfo(x.dtype).eps if tol is None else tol

    def best(basis: Any) -> tuple[Any, Any]:
        """Eigenvalues of A in an orthonormal basis, and coefficients, largest first."""
        small = basis.conj().T @ multiply(basis)
        values, vectors = linalg.eigh((small + small.conj().T) / 2)
        return values[::-1][:k], vectors[:, ::-1][:, :k]

    def residual(x: Any, values: Any) -> tuple[Any, Any]:
        ax = multiply(x)
        r = ax - x * values
        good = 10 * n * limit * (abs(values) + linalg.norm(ax, axis=0))
        return r, jnp.all(linalg.norm(r, axis=0) < good)

    def go_on(state: Any) -> Any:
        return (state[0] < m) & ~state[5]

    def step(state: Any) -> Any:
        i, x, _, p, r, _ = state
        r = r - x @ (x.conj().T @ r)
        basis, _ = linalg.qr(jnp.concatenate([x, _scaled(r), p], axis=1))
        values, c = best(basis)
        new = basis @ c
        # The direction: what is new in the vectors, without their part in the old ones.
        p = _scaled(new - x @ (x.conj().T @ new))
        return (i + 1, new, values, p, *residual(new, values))

    first, _ = linalg.qr(x)
    values, c = best(first)
    first = first @ c
    start = (0, first, values, jnp.zeros_like(first), *residual(first, values))
    i, vectors, values, *_ = lax.while_loop(go_on, step, start)
    return values, vectors, i


def _scaled(x: Any) -> Any:
    size = linalg.norm(x, axis=0)
    return x / jnp.where(size > 0, size, 1).astype(x.dtype)


__all__ = ["lobpcg_standard", "spsolve"]
