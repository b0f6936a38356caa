"""Functions of matrices, and Sylvester's equation, which their derivatives lead to."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.errors import error
from ..core.lazy import lazy
from ..core.primitive import NOT_LINEAR, Absent, Linear
from ..core.types import ArrayType, array_type
from .contraction import matmul
from .elementwise import add_any, convert_element_type, sub
from .factorizations import check_wide
from .hermitian import hermitian_part
from .lapack import each, routine, without_nan
from .linalg import OfMatrices, adjoint, check_matrices, check_square, flip, lu_factors, lu_solve
from .schur import schur_form
from .slicing import concatenate, slice_along
from .structural import zeros_of

scipy_linalg = lazy("scipy.linalg")


# ---- the exponential


_LARGEST_NORM = {"f": 3.925724783138660, "d": 5.371920351148152}
"""The 1-norm from which a matrix is halved before its exponential is taken: Higham (2005)."""


class Expm(OfMatrices):
    """The matrix exponential, by SciPy: Al-Mohy and Higham (2009).

    A matrix that Higham's method of 2005 would halve more than `max_squarings` times gives nan.
    """

    def typing(self, x: Any, *, max_squarings: int) -> ArrayType:
        check_square(self, x)
        _check_supported(self, x)
        return x

    def eval(self, x: Any, *, max_squarings: int) -> Any:
        out = _exponential(x)
        if x.size:
            letter = "f" if x.dtype.char in "fF" else "d"
            size = np.abs(x).sum(-2).max(-1)
            large = size >= _LARGEST_NORM[letter] * 2.0 ** (max_squarings + 1)
            if large.any():
                out[large] = np.nan
        return out

    def jvp(self, primals: Any, tangents: Any, out: Any, *, max_squarings: int) -> Any:
        return expm_frechet(primals[0], tangents[0])


expm = Expm()


def _exponential(x: Any) -> Any:
    if x.size == 0:
        return x.copy()
    safe, broken = without_nan(x)
    out = np.asarray(scipy_linalg.expm(safe)).astype(x.dtype, copy=False)
    if broken is not None:
        out[broken] = np.nan
    return out


def _check_supported(op: Any, *types: Any) -> None:
    if types[0].dtype.char not in "fdFD":
        raise error(
            TypeError,
            f"{op.name} does not take arrays of dtype {types[0].dtype.name}.",
            got=", ".join(t.str_short() for t in types),
            fix="convert with .astype(jnp.float32).",
        )


class ExpmFrechet(OfMatrices):
    """The derivative of the matrix exponential at `a` in the direction `e`.

    It is a block of an exponential: that of [[a, e], [0, a]] has it beside exp(a)
    (Higham, Functions of Matrices, 2008, eq. 3.16). In the same way, its own derivative is a block
    of the derivative at that matrix.
    """

    def typing(self, a: Any, e: Any) -> ArrayType:
        check_square(self, a)
        _check_supported(self, a)
        if a.shape != e.shape or a.dtype != e.dtype:
            raise error(
                ValueError,
                "expm_frechet takes two square matrices of one shape and dtype.",
                got=f"A: {a.str_short()}, E: {e.str_short()}",
                fix="broadcast one of them.",
            )
        return e.update(weak_type=a.weak_type and e.weak_type)

    def eval(self, a: Any, e: Any) -> Any:
        # The direction is scaled: a large one would cost squarings, and with them digits.
        if a.size == 0:
            return e.copy()
        size = np.abs(e).max((-2, -1), keepdims=True)
        size = np.where(np.isfinite(size) & (size > 0), size, 1)
        n = a.shape[-1]
        block = np.zeros((*a.shape[:-2], 2 * n, 2 * n), a.dtype)
        block[..., :n, :n] = block[..., n:, n:] = a
        block[..., :n, n:] = e / size
        return (_exponential(block)[..., :n, n:] * size).astype(a.dtype, copy=False)

    def jvp(self, primals: Any, tangents: Any, out: Any) -> Any:
        (a, e), (da, de) = primals, tangents
        found = None if de is None else expm_frechet(a, de)
        if da is None:
            return found
        last, nothing = len(a.shape) - 1, zeros_of(a)
        n = a.shape[-1]

        def block(x: Any, y: Any) -> Any:
            """[[x, y], [0, x]]"""
            upper = concatenate(x, y, dimension=last)
            lower = concatenate(nothing, x, dimension=last)
            return concatenate(upper, lower, dimension=last - 1)

        whole = expm_frechet(block(a, e), block(da, nothing))
        part = slice_along(slice_along(whole, last, n, 2 * n), last - 1, 0, n)
        return part if found is None else add_any(found, part)

    def transpose(self, ct: Any, a: Any, e: Any) -> list[Any]:
        if type(a) is Linear:
            return NOT_LINEAR(ct, a, e)
        return [None, expm_frechet(flip(a), ct)]


expm_frechet = ExpmFrechet()


# ---- Sylvester's equation and the square root


class Sylvester(OfMatrices):
    """X with a X + X b = c, by Bartels and Stewart (1972).

    Where the sum of an eigenvalue of a and one of b is smaller than `tol`, X is nan: there is no
    solution, or more than one.
    """

    def typing(self, a: Any, b: Any, c: Any, *, tol: float) -> ArrayType:
        check_square(self, a)
        check_square(self, b)
        check_wide(self, a, b, c)
        stack = a.shape[:-2]
        if b.shape[:-2] != stack or c.shape != (*stack, a.shape[-1], b.shape[-1]):
            raise error(
                ValueError,
                "solve_sylvester takes A of shape (..., m, m), B of shape (..., n, n) and C of "
                "shape (..., m, n).",
                got=", ".join(t.str_short() for t in (a, b, c)),
                fix="check the rows and columns of C.",
            )
        return c.update(weak_type=a.weak_type and b.weak_type and c.weak_type)

    def eval(self, a: Any, b: Any, c: Any, *, tol: float) -> Any:
        def solve(a: Any, b: Any, c: Any) -> list[Any]:
            if c.size == 0:
                return [c.copy()]
            (r, u), (s, v) = schur_form(a), schur_form(b)
            sums = np.abs(_eigenvalues(r)[:, None] + _eigenvalues(s))
            if not (sums >= tol).all():
                return [np.full_like(c, np.nan)]
            right = np.conj(u.T) @ c @ v
            y, scale, _ = routine("trsyl", c.dtype)(r, s, right)
            return [(u @ (y * c.dtype.type(1 / scale)) @ np.conj(v.T)).astype(c.dtype, copy=False)]

        return each(solve, a, b, c)[0]

    def jvp(self, primals: Any, tangents: Any, out: Any, *, tol: float) -> Any:
        (a, b, _), (da, db, right) = primals, tangents
        for change in (
            None if da is None else matmul(da, out),
            None if db is None else matmul(out, db),
        ):
            if change is not None:
                zero = zeros_of(out)
                right = sub(zero if right is None else right, change)
        return sylvester(a, b, right, tol=tol)

    def transpose(self, ct: Any, a: Any, b: Any, c: Any, *, tol: float) -> list[Any]:
        if type(a) is Linear or type(b) is Linear:
            return NOT_LINEAR(ct, a, b, c)
        return [None, None, sylvester(flip(a), flip(b), ct, tol=tol)]


sylvester = Sylvester()


def _eigenvalues(t: Any) -> Any:
    """The eigenvalues of a matrix in real or complex Schur form."""
    values = np.diagonal(t).astype(np.result_type(t.dtype, np.complex64))
    for i in np.nonzero(np.diagonal(t, -1))[0]:
        values[i : i + 2] = np.linalg.eigvals(t[i : i + 2, i : i + 2])
    return values


class Sqrtm(OfMatrices):
    """The principal square root, complex also for real matrices."""

    def typing(self, x: Any) -> ArrayType:
        check_square(self, x)
        check_wide(self, x)
        return array_type(x.shape, np.result_type(x.dtype, np.complex64), x.weak_type)

    def eval(self, x: Any) -> Any:
        dtype = np.result_type(x.dtype, np.complex64)

        def root(a: Any) -> list[Any]:
            if a.size == 0 or not np.isfinite(a).all():
                return [np.full_like(a, np.nan, dtype)]
            return [_triangular_root(a.astype(dtype))]

        return each(root, x)[0]

    def jvp(self, primals: Any, tangents: Any, out: Any) -> Any:
        # r r = x, so r dr + dr r = dx.
        (dx,) = tangents
        if dx.dtype != out.dtype:
            dx = convert_element_type(dx, new_dtype=out.dtype, weak_type=dx.weak_type)
        return sylvester(out, out, dx, tol=0.0)


sqrtm = Sqrtm()


def _triangular_root(a: Any) -> Any:
    """Bjorck and Hammarling (1983): the root R of the triangular Schur form T.

    Of each column, (R' + r I) x = t, where R' is the part of R before it and r its diagonal.
    """
    t, z = schur_form(a)
    r = np.diag(np.sqrt(np.diagonal(t)))
    solve = routine("trsm", a.dtype)
    for j in range(1, len(t)):
        left = r[:j, :j] + r[j, j] * np.eye(j, dtype=a.dtype)
        if np.diagonal(left).all():
            r[:j, j] = solve(1.0, left, t[:j, j : j + 1])[:, 0]
            continue
        for i in reversed(range(j)):
            rest = t[i, j] - r[i, i + 1 : j] @ r[i + 1 : j, j]
            r[i, j] = rest / left[i, i] if left[i, i] else (0 if rest == 0 else np.nan)
    return (z @ r @ np.conj(z.T)).astype(a.dtype, copy=False)


# ---- the polar decomposition


class Polar(OfMatrices):
    """The u with orthonormal columns of x = u p, p positive semidefinite: the one nearest to x.

    It comes from the singular vectors, but its derivative is that of the equation, so that equal
    singular values do no harm.
    """

    def typing(self, x: Any) -> ArrayType:
        check_matrices(self, x)
        check_wide(self, x)
        if x.shape[-2] < x.shape[-1]:
            raise error(
                ValueError,
                "polar takes matrices with at least as many rows as columns.",
                got=x.str_short(),
                fix="transpose them.",
            )
        return x

    def eval(self, x: Any) -> Any:
        safe, broken = without_nan(x)
        u, _, vh = np.linalg.svd(safe, full_matrices=False)
        out = np.matmul(u, vh)
        if broken is not None:
            out[broken] = np.nan
        return out

    def jvp(self, primals: Any, tangents: Any, out: Any) -> Any:
        # With X = u^H du, skew-Hermitian, and r = u^H dx: p X + X p = r - r^H; and what leaves the
        # space of the columns of u is (I - u u^H) dx p^-1.
        (x,), (dx,), u = primals, tangents, out
        p = hermitian_part(matmul(adjoint(u), x))
        r = matmul(adjoint(u), dx)
        found = matmul(u, sylvester(p, p, sub(r, adjoint(r)), tol=0.0))
        if x.shape[-2] == x.shape[-1]:
            return found
        rest = adjoint(sub(dx, matmul(u, r)))
        factors, _, order = lu_factors(p)
        return add_any(found, adjoint(lu_solve(p, factors, order, rest, trans=0)))


polar = Polar()


# ---- from the real to the complex Schur form


class Rsf2csf(OfMatrices):
    """The complex Schur form and vectors, from the real ones."""

    multiple_results = True

    def typing(self, t: Any, z: Any) -> list[ArrayType]:
        check_square(self, t)
        check_wide(self, t, z)
        if t.shape != z.shape:
            raise error(
                ValueError,
                "rsf2csf takes T and Z of one shape.",
                got=f"T: {t.str_short()}, Z: {z.str_short()}",
                fix="give both as schur gives them.",
            )
        dtype = np.result_type(t.dtype, np.complex64)
        return [array_type(t.shape, dtype, False)] * 2

    weak_from = ()

    def eval(self, t: Any, z: Any) -> Any:
        dtype = np.result_type(t.dtype, np.complex64)

        def convert(t: Any, z: Any) -> list[Any]:
            if t.size == 0:
                return [t.astype(dtype), z.astype(dtype)]
            found = scipy_linalg.rsf2csf(t, z, check_finite=False)
            return [np.ascontiguousarray(y).astype(dtype, copy=False) for y in found]

        return each(convert, t, z)

    jvp = Absent("the Schur form that it starts from has no derivative")


rsf2csf = Rsf2csf()
