"""Decompositions of `scipy.linalg`: qr, eigh, schur, hessenberg, polar and their kin.

All but `rsf2csf` and `hessenberg` have derivatives; see `numpy.linalg` for what they mean
where vectors are not unique. The options `overwrite_...` and `check_finite` change nothing.
"""

from __future__ import annotations

import operator
from typing import Any

from .. import lax
from .. import numpy as jnp
from ..core.array import Array
from ..core.errors import error
from ..core.trace import type_of
from ..lax.arguments import apply
from ..numpy.promotion import (
    as_array,
    broadcast_shapes,
    broadcast_to,
    inexact,
    promote_inexact,
)
from ..ops import eigen, matrix_functions
from ..ops.hermitian import hermitian_part
from ..ops.linalg import adjoint

# ---- QR


def qr(
    a: Any,
    overwrite_a: bool = False,
    lwork: Any = None,
    mode: str = "full",
    pivoting: bool = False,
    check_finite: bool = True,
) -> tuple[Array, ...]:
    """``(q, r)`` with ``q @ r = a``, or ``(q, r, p)`` with ``q @ r = a[:, p]`` if `pivoting`.

    Args:
      a: an array of shape ``(..., m, n)``.
      overwrite_a, lwork, check_finite: change nothing.
      mode: ``"full"``: q is square; ``"economic"``: it has ``min(m, n)`` columns; ``"r"``: without
        q, that is ``(r,)`` or ``(r, p)``, where r has m rows.
      pivoting: choose the order of the columns so that the diagonal of r falls.

    Raises:
      ValueError: there is no such mode.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.scipy.linalg import qr
      >>> q, r = qr(jnp.array([[0.0, 2.0], [3.0, 4.0]]))
      >>> print(jnp.abs(q @ r).round(4))
      [[0. 2.]
       [3. 4.]]
    """
    if mode not in ("full", "r", "economic"):
        raise error(
            ValueError,
            f"Unsupported QR decomposition mode '{mode}'.",
            got=f"mode={mode!r}",
            fix='use "full", "economic" or "r".',
        )
    a = inexact("linalg.qr", a)
    q, r, *order = lax.linalg.qr(a, pivoting=pivoting, full_matrices=mode != "economic")
    return (r, *order) if mode == "r" else (q, r, *order)


def qr_multiply(
    a: Any,
    c: Any,
    mode: str = "right",
    pivoting: bool = False,
    conjugate: bool = False,
    overwrite_a: bool = False,
    overwrite_c: bool = False,
) -> tuple[Array, ...]:
    """``(c @ q, r)`` or ``(q @ c, r)``, where ``q @ r = a`` and q has ``k = min(m, n)`` columns.

    q is not made. With `pivoting`, the order of the columns of `a` is a third result.

    Args:
      a: an array of shape ``(..., m, n)``.
      c: an array of shape ``(..., p, m)``, or ``(..., k, p)`` if `mode` is ``"left"``; a vector
        gives a vector.
      mode: ``"right"``: q stands on the right; ``"left"``.
      pivoting: choose the order of the columns so that the diagonal of r falls.
      conjugate: take the conjugate of q.
      overwrite_a, overwrite_c: change nothing.

    Raises:
      ValueError: there is no such mode, or the shapes do not fit.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.scipy.linalg import qr_multiply, solve_triangular
      >>> a = jnp.array([[1., 0.], [1., 1.], [1., 2.]])
      >>> qb, r = qr_multiply(a, jnp.array([1., 3., 5.]))
      >>> print(solve_triangular(r, qb).round(4))
      [1. 2.]
    """
    if mode not in ("right", "left"):
        raise error(
            ValueError,
            f"mode must be 'right' or 'left', got {mode!r}.",
            got=f"mode={mode!r}",
            fix='use "right" for c @ q, "left" for q @ c.',
        )
    left = mode == "left"
    a, c = promote_inexact("linalg.qr_multiply", a, c)
    vector = len(c.shape) == 1
    if vector:
        c = c[:, None] if left else c[None, :]
    m, n = a.shape[-2:]
    k = min(m, n)
    if c.shape[-2 if left else -1] != (k if left else m):
        raise error(
            ValueError,
            "linalg.qr_multiply: Array shapes are not compatible for "
            + (f"Q @ c: c needs {k} rows." if left else f"c @ Q: c needs {m} columns."),
            got=f"a: {type_of(a).str_short()}, c: {type_of(c).str_short()}",
            fix="use the other mode, or transpose c.",
        )
    stack = broadcast_shapes("linalg.qr_multiply", a.shape[:-2], c.shape[:-2])
    a, c = broadcast_to(a, (*stack, m, n)), broadcast_to(c, (*stack, *c.shape[-2:]))
    order: list[Any] = []
    if pivoting:
        order = [lax.linalg.qr(a, pivoting=True, full_matrices=False)[2]]
        a = jnp.take_along_axis(a, order[0][..., None, :], axis=-1)
    packed, taus = lax.linalg.geqrf(a)
    c = jnp.conj(c) if conjugate else c
    if left and m > k:
        c = jnp.concatenate([c, jnp.zeros((*stack, m - k, c.shape[-1]), c.dtype)], axis=-2)
    out = lax.linalg.ormqr(packed, taus, c, left=left)
    out = jnp.conj(out) if conjugate else out
    out = out if left else out[..., :k]
    return out.ravel() if vector else out, jnp.triu(packed[..., :k, :]), *order


# ---- eigenvalues


def eigh(
    a: Any,
    b: Any = None,
    lower: bool = True,
    eigvals_only: bool = False,
    overwrite_a: bool = False,
    overwrite_b: bool = False,
    turbo: bool = True,
    eigvals: None = None,
    type: int = 1,
    check_finite: bool = True,
) -> Any:
    """Eigenvalues w, which do not fall, and vectors v of Hermitian matrices: ``(w, v)``.

    `a` is taken to be ``(a + a.conj().T) / 2``, and `b` likewise, whatever `lower` is.

    Args:
      a: an array of shape ``(..., n, n)``.
      b: None, or positive definite matrices of the same shape, for the generalised problem.
      lower: changes nothing.
      eigvals_only: return w alone.
      type: with `b`, 1 solves ``a @ v = b @ v * w``, 2 ``a @ b @ v = v * w``, 3
        ``b @ a @ v = v * w``. The vectors have norm 1 in ``v^H b v``; for 3 in ``v^H b^-1 v``.
      eigvals: must be None.
      overwrite_a, overwrite_b, turbo, check_finite: change nothing.

    Raises:
      NotImplementedError: `eigvals` is not None.
      ValueError: `type` is not 1, 2 or 3; or is not 1 without `b`.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.scipy.linalg import eigh
      >>> print(eigh(jnp.array([[2., 1.], [1., 2.]]), eigvals_only=True).round(4))
      [1. 3.]
    """
    if eigvals is not None:
        raise error(
            NotImplementedError,
            "Only the eigvals=None case of eigh is implemented.",
            got=f"eigvals={eigvals!r}",
            fix="slice the result.",
        )
    if type not in ((1,) if b is None else (1, 2, 3)):
        raise error(
            ValueError if b is not None else NotImplementedError,
            "eigh's type is 1, or with a second matrix 2 or 3.",
            got=f"type={type!r}, b={'None' if b is None else 'given'}",
            fix="use type=1.",
        )
    if b is None:
        w, v = jnp.linalg.eigh(a)
        return w if eigvals_only else (w, v)
    a, b = promote_inexact("linalg.eigh", a, b)
    stack = broadcast_shapes("linalg.eigh", a.shape[:-2], b.shape[:-2])
    a, b = broadcast_to(a, (*stack, *a.shape[-2:])), broadcast_to(b, (*stack, *b.shape[-2:]))
    factor = jnp.linalg.cholesky(b)

    def solved(x: Any, adjoint: bool = False) -> Any:
        return lax.linalg.triangular_solve(
            factor, x, left_side=True, lower=True, transpose_a=adjoint, conjugate_a=adjoint
        )

    a = hermitian_part(a)
    if type == 1:  # with b = L L^H: L^-1 a L^-H
        inner = solved(adjoint(solved(a)))
    else:
        inner = adjoint(factor) @ a @ factor
    w, v = jnp.linalg.eigh(inner)
    if eigvals_only:
        return w
    return w, factor @ v if type == 3 else solved(v, True)


def eigh_tridiagonal(
    d: Any,
    e: Any,
    *,
    eigvals_only: bool = False,
    select: str = "a",
    select_range: tuple[float, float] | None = None,
    tol: float | None = None,
    key: Any = None,
) -> Any:
    """Eigenvalues, which do not fall, and vectors of a tridiagonal matrix: ``(w, v)``.

    Args:
      d: the diagonal, of shape ``(..., n)``; of complex numbers the real part counts.
      e: the numbers above it, of shape ``(..., n - 1)``; below it are their conjugates.
      eigvals_only: return w alone.
      select: ``"a"`` for all values, ``"i"`` for those at places `select_range`.
      select_range: the first and the last place.
      tol, key: change nothing: LAPACK needs no tolerance and no random numbers.

    Raises:
      TypeError: `d` and `e` have different dtypes, or such as LAPACK does not know.
      ValueError: `select` is something else, or `select_range` is missing or empty.
      NotImplementedError: `select` is ``"v"``: the number of results would depend on values.
    """
    d, e = as_array(d, "linalg.eigh_tridiagonal"), as_array(e, "linalg.eigh_tridiagonal")
    if d.dtype != e.dtype or d.dtype.char not in "fdFD":
        raise error(
            TypeError,
            "diagonal and off-diagonal values must have same dtype, one of float32, float64, "
            "complex64 and complex128.",
            got=f"{type_of(d).str_short()} and {type_of(e).str_short()}",
            fix="convert with .astype(jnp.float32).",
        )
    part = _selected(select, select_range)
    phases = None
    if d.dtype.kind == "c":
        size = abs(e)
        turns = jnp.where(size == 0, 1, jnp.conj(e) / jnp.where(size == 0, 1, size))
        first = jnp.ones((*d.shape[:-1], min(1, d.shape[-1])), d.dtype)
        phases = jnp.cumprod(jnp.concatenate([first, turns], axis=-1), axis=-1)
        d, e = jnp.real(d), size
    w, v = apply(eigen.eigh_tridiagonal, d, e)
    if eigvals_only:
        return w[..., part]
    v = v if phases is None else v * phases[..., None]
    return w[..., part], v[..., part]


def _selected(select: str, limits: Any) -> slice:
    if select == "a":
        return slice(None)
    if select == "v":
        raise error(
            NotImplementedError,
            "eigh_tridiagonal(..., select='v') is not implemented.",
            got=f"select_range={limits!r}",
            fix="choose from all values: their number must not depend on values.",
        )
    if select != "i":
        raise error(
            ValueError,
            "select must have a value in {'a', 'i', 'v'}.",
            got=f"select={select!r}",
            fix='use "a" or "i".',
        )
    if limits is None or limits[0] > limits[1]:
        raise error(
            ValueError,
            "for select='i', select_range must be the first and the last place.",
            got=f"select_range={limits!r}",
            fix="give a pair of integers that do not fall.",
        )
    return slice(operator.index(limits[0]), operator.index(limits[1]) + 1)


# ---- Schur and Hessenberg


def schur(a: Any, output: str = "real") -> tuple[Array, Array]:
    """``(T, Z)`` with ``Z @ T @ Z.conj().T = a``, unitary Z and upper triangular T.

    Columns of Z have any phase (sign), which derivatives take to stay as it is. They hold where all
    eigenvalues differ and T is triangular; elsewhere they are infinite or nan.

    Args:
      a: an array of shape ``(..., n, n)``.
      output: ``"real"``: of a real matrix T and Z are real, and T has blocks of two rows for pairs
        of complex eigenvalues; ``"complex"``: they are complex.

    Raises:
      ValueError: `output` is something else.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.scipy.linalg import schur
      >>> t, z = schur(jnp.array([[2.0, 1.0], [0.0, 3.0]]))
      >>> print((z @ t @ z.T).round(4))
      [[2. 1.]
       [0. 3.]]
    """
    if output not in ("real", "complex"):
        raise error(
            ValueError,
            f"Expected output to be one of ['real', 'complex'], got {output!r}.",
            got=f"output={output!r}",
            fix='use "real" or "complex".',
        )
    a = inexact("linalg.schur", a)
    if output == "complex":
        a = a.astype(jnp.result_type(a.dtype, jnp.complex64))
    t, z = lax.linalg.schur(a)
    return t, z


def rsf2csf(T: Any, Z: Any, check_finite: bool = True) -> tuple[Array, Array]:
    """The complex Schur form, from the real one that `schur` gives. It has no derivative.

    Args:
      T, Z: arrays of shape ``(..., n, n)``, whose axes before the last two broadcast.
      check_finite: changes nothing.

    Raises:
      ValueError: they are not square, or not of one size.
    """
    t, z = promote_inexact("linalg.rsf2csf", T, Z)
    for name, x in (("T", t), ("Z", z)):
        if len(x.shape) < 2 or x.shape[-1] != x.shape[-2] or x.shape[-2:] != t.shape[-2:]:
            raise error(
                ValueError,
                f"linalg.rsf2csf: Input '{name}' must be square, and as large as the other.",
                got=f"T: {type_of(t).str_short()}, Z: {type_of(z).str_short()}",
                fix="give both as schur gives them.",
            )
    stack = broadcast_shapes("linalg.rsf2csf", t.shape[:-2], z.shape[:-2])
    t, z = (broadcast_to(x, (*stack, *x.shape[-2:])) for x in (t, z))
    t, z = apply(matrix_functions.rsf2csf, t, z)
    return t, z


def hessenberg(
    a: Any, *, calc_q: bool = False, overwrite_a: bool = False, check_finite: bool = True
) -> Any:
    """H, with zeros below its first subdiagonal, or ``(H, Q)`` with ``Q @ H @ Q.conj().T = a``.

    Args:
      a: an array of shape ``(..., n, n)``.
      calc_q: return the unitary Q too.
      overwrite_a, check_finite: change nothing.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.scipy.linalg import hessenberg
      >>> h, q = hessenberg(jnp.array([[1.0, 2.0], [3.0, 4.0]]), calc_q=True)
      >>> print((q @ h @ q.T).round(4))
      [[1. 2.]
       [3. 4.]]
    """
    a = inexact("linalg.hessenberg", a)
    packed, taus = lax.linalg.hessenberg(a)
    h = jnp.triu(packed, -1)
    if not calc_q:
        return h
    n = a.shape[-1]
    eye = jnp.broadcast_to(jnp.eye(n, dtype=a.dtype), a.shape)
    if n < 2:
        return h, eye
    inner = lax.linalg.householder_product(packed[..., 1:, :-1], taus)
    return h, eye.at[..., 1:, 1:].set(inner)


# ---- polar


def polar(
    a: Any,
    side: str = "right",
    *,
    method: str = "qdwh",
    eps: float | None = None,
    max_iterations: int | None = None,
) -> tuple[Array, Array]:
    """``(u, p)`` with ``u @ p = a``, orthonormal u and positive semidefinite p.

    Derivatives hold where no singular value is 0.

    Args:
      a: an array of shape ``(..., m, n)``.
      side: ``"right"`` for ``u @ p``, ``"left"`` for ``p @ u``.
      method: ``"qdwh"`` or ``"svd"``: both take the singular value decomposition.
      eps, max_iterations: change nothing.

    Raises:
      ValueError: `side` or `method` is something else, or `a` is not a matrix.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.scipy.linalg import polar
      >>> print(polar(jnp.array([[0., -2.], [2., 0.]]))[1].round(4) + 0.0)
      [[2. 0.]
       [0. 2.]]
    """
    a = inexact("linalg.polar", a)
    if len(a.shape) < 2:
        raise error(
            ValueError,
            "The input `a` must be at least a 2-D array.",
            got=type_of(a).str_short(),
            fix="give a matrix.",
        )
    if side not in ("right", "left"):
        raise error(
            ValueError,
            "The argument `side` must be either 'right' or 'left'.",
            got=f"side={side!r}",
            fix='use "right" or "left".',
        )
    if method not in ("qdwh", "svd"):
        raise error(
            ValueError,
            f"Unknown polar decomposition method {method}.",
            got=f"method={method!r}",
            fix='use "qdwh" or "svd": they are the same.',
        )
    tall = a.shape[-2] >= a.shape[-1]
    u = apply(matrix_functions.polar, a if tall else adjoint(a))
    u = u if tall else adjoint(u)
    p = adjoint(u) @ a if side == "right" else a @ adjoint(u)
    return u, hermitian_part(p)
