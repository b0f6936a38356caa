"""Decompositions of matrices, and what they solve: qr, svd, eigh, eig, pinv, lstsq."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..core import dtypes
from ..core.array import Array
from ..core.errors import error
from ..core.trace import type_of
from ..ops import eigen, factorizations, linalg, spectral
from ..ops.hermitian import hermitian_part
from ..ops.linalg import adjoint
from ..ops.rounding import abs_
from . import contraction, ordering, reductions, selecting, taking
from .creation import zeros
from .promotion import as_array, broadcast_to, inexact, promote_inexact


class EigResult(NamedTuple):
    """Eigenvalues and right eigenvectors of a matrix."""

    eigenvalues: Array
    eigenvectors: Array


class EighResult(NamedTuple):
    """Eigenvalues and eigenvectors of a Hermitian matrix."""

    eigenvalues: Array
    eigenvectors: Array


class QRResult(NamedTuple):
    """An orthonormal and an upper triangular matrix."""

    Q: Array
    R: Array


class SVDResult(NamedTuple):
    """Singular vectors on the left, singular values, and vectors on the right."""

    U: Array
    S: Array
    Vh: Array


# ---- QR


def qr(a: Any, mode: str = "reduced") -> Any:
    """Q with orthonormal columns and upper triangular R, with ``Q @ R = a``.

    Derivatives exist for every shape, where the first ``min(m, n)`` columns of `a` are linearly
    independent.

    Args:
      a: an array of shape ``(..., m, n)``.
      mode: ``"reduced"``: Q has ``min(m, n)`` columns; ``"complete"``: Q is square; ``"r"``: R
        alone; ``"raw"``: LAPACK's reflections, transposed, and their factors.

    Raises:
      ValueError: there is no such mode.
      NotImplementedError: `a` holds floats of half width.

    Example:
      >>> import pullback.numpy as jnp
      >>> q, r = jnp.linalg.qr(jnp.array([[3., 1.], [4., 2.]]))
      >>> print(r.round(4))
      [[-5.  -2.2]
       [ 0.   0.4]]
    """
    a = inexact("linalg.qr", a)
    if mode == "raw":
        packed, taus = factorizations.geqrf(_matrices("qr", a))
        return QRResult(linalg.flip(packed), taus)
    if mode not in ("reduced", "r", "full", "complete"):
        raise error(
            ValueError,
            f"Unsupported QR decomposition mode '{mode}'.",
            got=f"mode={mode!r}",
            fix='use "reduced", "complete", "r" or "raw".',
        )
    whole = mode == "complete"
    q, r = factorizations.qr(_matrices("qr", a), pivoting=False, full_matrices=whole)
    return r if mode == "r" else QRResult(q, r)


# ---- singular values


def svd(
    a: Any,
    full_matrices: bool = True,
    compute_uv: bool = True,
    hermitian: bool = False,
    subset_by_index: tuple[int, int] | None = None,
) -> Any:
    """U, S and Vh with ``U @ diag(S) @ Vh = a``; S falls. S alone without `compute_uv`.

    Singular vectors are not unique: those of equal values may turn among themselves, the columns
    that complete a basis are any, and so are phases of complex ones. Where all values differ and
    none is 0, what does not depend on the choice has the right derivative. Where some are equal,
    that holds for symmetric functions of the values; derivatives of vectors are infinite or nan
    there, as in JAX. ``scipy.linalg.polar`` and ``pinv`` have derivatives there, too.

    Args:
      a: an array of shape ``(..., m, n)``.
      full_matrices: make U and Vh square.
      compute_uv: return the vectors too.
      hermitian: `a` is Hermitian; use `eigh`, which is faster.
      subset_by_index: (start, end): only the values and vectors of these places.

    Example:
      >>> import pullback.numpy as jnp
      >>> print(jnp.linalg.svd(jnp.array([[3., 0.], [4., 0.]]), compute_uv=False))
      [5. 0.]
    """
    a = _matrices("svd", inexact("linalg.svd", a))
    if hermitian:
        return _hermitian_svd(a, compute_uv, subset_by_index)
    subset = None if subset_by_index is None else (int(subset_by_index[0]), int(subset_by_index[1]))
    out = spectral.svd(
        a,
        full_matrices=bool(full_matrices),
        compute_uv=bool(compute_uv),
        subset_by_index=subset,
    )
    return SVDResult(out[1], out[0], out[2]) if compute_uv else out[0]


def _hermitian_svd(a: Any, compute_uv: bool, subset: Any) -> Any:
    w, v = eigh(a)
    size = abs_(w)
    order = ordering.argsort(size, axis=-1, descending=True)
    if subset is not None:
        order = order[..., subset[0] : subset[1]]
    s = taking.take_along_axis(size, order, axis=-1)
    if not compute_uv:
        return s
    u = taking.take_along_axis(v, order[..., None, :], axis=-1)
    signs = selecting.where(taking.take_along_axis(w, order, axis=-1) < 0, -1, 1)
    return SVDResult(u, s, adjoint(u * signs[..., None, :].astype(u.dtype)))


def svdvals(x: Any, /) -> Array:
    """The singular values of each matrix, in descending order.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.numpy.linalg import svdvals
      >>> print(svdvals(jnp.diag(jnp.array([3.0, 2.0]))))
      [3. 2.]
    """
    out = svd(x, compute_uv=False, hermitian=False)
    return out  # type: ignore[no-any-return]


def matrix_rank(M: Any, rtol: Any = None, *, hermitian: bool = False, tol: Any = None) -> Array:
    """The number of singular values greater than `rtol`, an absolute number despite its name.

    Args:
      M: an array of shape ``(..., m, n)``; of a vector or number, whether an element is not zero.
      rtol: by default the largest value times ``max(m, n)`` times the dtype's precision.
      hermitian: M is Hermitian; use its eigenvalues.
      tol: another name for `rtol`.

    Raises:
      ValueError: both names are given.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.numpy.linalg import matrix_rank
      >>> print(matrix_rank(jnp.ones((2, 2))))
      1
    """
    x = as_array(M, "linalg.matrix_rank")
    if tol is not None:
        if rtol is not None:
            raise _one_of("matrix_rank", "tol", "rtol")
        rtol = tol
    x = inexact("linalg.matrix_rank", x)
    if len(x.shape) < 2:
        return (x != 0).any().astype(dtypes.int32)
    s = svd(x, full_matrices=False, compute_uv=False, hermitian=hermitian)
    if rtol is None:
        largest = reductions.max(s, axis=-1, initial=0)
        rtol = largest * (max(x.shape[-2:]) * float(dtypes.finfo(s.dtype).eps))
    limit = as_array(rtol, "linalg.matrix_rank")
    return reductions.sum(s > limit[..., None], axis=-1)


def _one_of(name: str, first: str, second: str) -> Any:
    return error(
        ValueError,
        f"{name}: only one of {first} or {second} may be specified.",
        got="both",
        fix=f"give {second} alone.",
    )


def pinv(a: Any, rtol: Any = None, hermitian: bool = False, *, rcond: Any = None) -> Array:
    """The pseudo-inverse of each matrix.

    Its derivative is that for matrices of the same rank, also where singular values are equal.

    Args:
      a: an array of shape ``(..., m, n)``.
      rtol: singular values of at most `rtol` times the largest count as zero; by default
        ``10 * max(m, n)`` times the dtype's precision. One number, or one for each matrix.
      hermitian: `a` is Hermitian; use its eigenvalues.
      rcond: another name for `rtol`.

    Raises:
      ValueError: both names are given.

    Example:
      >>> import pullback.numpy as jnp
      >>> print(jnp.linalg.pinv(jnp.array([[2., 0.], [0., 0.], [0., 0.]])))
      [[0.5 0.  0. ]
       [0.  0.  0. ]]
    """
    if rcond is not None:
        if rtol is not None:
            raise _one_of("pinv", "rcond", "rtol")
        rtol = rcond
    a = _matrices("pinv", inexact("linalg.pinv", a))
    real = dtypes.real_dtype(a.dtype)
    if rtol is None:
        rtol = 10.0 * max(a.shape[-2:]) * float(dtypes.finfo(a.dtype).eps)
    limit = as_array(rtol, "linalg.pinv").astype(real)
    return spectral.pinv(a, broadcast_to(limit, a.shape[:-2]), hermitian=bool(hermitian))


# ---- eigenvalues


def eigh(a: Any, UPLO: str | None = None, symmetrize_input: bool = True) -> EighResult:
    """Values w, which do not fall, and vectors v of Hermitian matrices: ``a @ v = v * w``.

    Vectors of equal values may turn among themselves, complex ones have any phase. Where all values
    differ, what does not depend on the choice has the right derivative. Where some are equal, that
    holds for symmetric functions of the values; derivatives of vectors are infinite or nan there,
    as in JAX. ``scipy.linalg.expm``, ``sqrtm`` and ``polar`` have derivatives there, too.

    Args:
      a: an array of shape ``(..., n, n)``.
      UPLO: ``"L"`` or ``"U"``: the triangle that is read, if not `symmetrize_input`.
      symmetrize_input: take ``(a + a.conj().T) / 2``, so that derivatives are those of a function
        of all elements.

    Raises:
      ValueError: `UPLO` is something else, or the matrices are not square.
      NotImplementedError: `a` holds floats of half width.

    Example:
      >>> import pullback.numpy as jnp
      >>> print(jnp.linalg.eigh(jnp.array([[2., 1.], [1., 2.]])).eigenvalues.round(4))
      [1. 3.]
    """
    a = inexact("linalg.eigh", a)
    if UPLO not in (None, "L", "U"):
        raise error(
            ValueError,
            f"UPLO must be one of None, 'L', or 'U', got {UPLO}.",
            got=f"UPLO={UPLO!r}",
            fix='use "L" or "U".',
        )
    if len(a.shape) < 2 or a.shape[-1] != a.shape[-2]:
        raise _not_square("eigh", a)
    _wide(eigen.eigh, a)
    if symmetrize_input:
        a = hermitian_part(a)
    v, w = eigen.eigh(a, lower=UPLO != "U", sort_eigenvalues=True, subset_by_index=None)
    return EighResult(w, v)


def eigvalsh(a: Any, UPLO: str | None = "L", *, symmetrize_input: bool = True) -> Array:
    """The eigenvalues of Hermitian matrices, which do not fall: see `eigh`.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.numpy.linalg import eigvalsh
      >>> print(eigvalsh(jnp.array([[2.0, 1.0], [1.0, 2.0]])).round(4))
      [1. 3.]
    """
    return eigh(a, UPLO, symmetrize_input).eigenvalues


def eig(a: Any) -> EigResult:
    """Values w and right vectors v of square matrices: ``a @ v = v * w``. Both are complex.

    Vectors have norm 1 and a real largest component, and derivatives keep that. They hold where all
    values differ and no two components of a vector are equally large.

    Args:
      a: an array of shape ``(..., n, n)``.

    Example:
      >>> import pullback.numpy as jnp
      >>> print(jnp.linalg.eig(jnp.array([[0., -2.], [2., 0.]])).eigenvalues)
      [0.+2.j 0.-2.j]
    """
    w, v = eigen.eig(
        _square("eig", a), compute_left_eigenvectors=False, compute_right_eigenvectors=True
    )
    return EigResult(w, v)


def eigvals(a: Any) -> Array:
    """The eigenvalues of square matrices, complex and in no particular order: see `eig`.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.numpy.linalg import eigvals
      >>> print(jnp.sort(eigvals(jnp.array([[0.0, 1.0], [1.0, 0.0]])).real).round(4))
      [-1.  1.]
    """
    out = eigen.eig(
        _square("eigvals", a), compute_left_eigenvectors=False, compute_right_eigenvectors=False
    )
    return out[0]  # type: ignore[no-any-return]


# ---- least squares


def lstsq(
    a: Any, b: Any, rcond: float | None = None, *, numpy_resid: bool = False
) -> tuple[Array, Array, Array, Array]:
    """The x for which ``norm(a @ x - b)`` is smallest, and of these the one of smallest norm.

    Args:
      a: an array of shape ``(m, n)``.
      b: an array of shape ``(m,)`` or ``(m, k)``.
      rcond: singular values below `rcond` times the largest count as zero; by default ``max(m, n)``
        times the dtype's precision; if negative, that precision.
      numpy_resid: return no residuals where NumPy returns none, that is if the rank is not n or m
        is not greater than n: the shape then depends on values, which `jit` refuses.

    Returns:
      ``(x, residuals, rank, s)``: the solution, the sums of squares of ``b - a @ x``, the number of
      singular values that are not taken as zero, and all of them.

    Raises:
      ValueError: `a` and `b` have different numbers of rows.
      TypeError: `a` is not a matrix, or `b` neither a vector nor a matrix.

    Example:
      >>> import pullback.numpy as jnp
      >>> a = jnp.array([[1., 0.], [1., 1.], [1., 2.]])
      >>> print(jnp.linalg.lstsq(a, jnp.array([1., 3., 5.]))[0].round(4))
      [1. 2.]
    """
    a, b = promote_inexact("linalg.lstsq", a, b)
    if len(a.shape) != 2 or len(b.shape) not in (1, 2):
        raise error(
            TypeError,
            "linalg.lstsq takes a matrix, and one or more right-hand sides.",
            got=f"a: {type_of(a).str_short()}, b: {type_of(b).str_short()}",
            fix="use vmap for stacks of systems.",
        )
    if a.shape[0] != b.shape[0]:
        raise error(
            ValueError,
            "linalg.lstsq: a and b must have the same number of rows.",
            got=f"a: {type_of(a).str_short()}, b: {type_of(b).str_short()}",
            fix="transpose b, or check the data.",
        )
    m, n = a.shape
    vector = len(b.shape) == 1
    sides = b[:, None] if vector else b
    if m == 0 or n == 0:
        x = zeros((n, sides.shape[1]), a.dtype)
        rank, s = as_array(0).astype(dtypes.default_int()), zeros(0, dtypes.real_dtype(a.dtype))
    else:
        eps = float(dtypes.finfo(a.dtype).eps)
        limit = as_array(eps * max(m, n) if rcond is None else rcond)
        if rcond is not None:
            limit = selecting.where(limit < 0, eps, limit)
        x, rank, s = spectral.lstsq(a, sides, limit.astype(dtypes.real_dtype(a.dtype)))
    if numpy_resid and (rank < n or m <= n):
        rest = zeros(0, dtypes.real_dtype(a.dtype))
    else:
        rest = reductions.sum(abs_(sides - contraction.matmul(a, x)) ** 2, axis=0)
    return x[:, 0] if vector else x, rest, rank, s


# ---- what is checked


def _matrices(name: str, a: Any) -> Any:
    if len(a.shape) < 2:
        raise error(
            ValueError,
            f"linalg.{name} takes a matrix, or a stack of them.",
            got=type_of(a).str_short(),
            fix="give an array with at least two axes.",
        )
    return a


def _square(name: str, a: Any) -> Any:
    a = inexact(f"linalg.{name}", a)
    if len(a.shape) < 2 or a.shape[-1] != a.shape[-2]:
        raise _not_square(name, a)
    _wide(eigen.eig, a)
    return a


def _wide(op: Any, a: Any) -> None:
    """Raise for floats of half width: NumPy's own error would come first."""
    if a.dtype.char not in "fdFD":
        factorizations.check_wide(op, type_of(a))


def _not_square(name: str, a: Any) -> Any:
    return error(
        ValueError,
        f"linalg.{name} takes square matrices: shape [..., n, n].",
        got=type_of(a).str_short(),
        fix="check the last two axes.",
    )
