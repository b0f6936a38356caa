"""Matrices with a name: of a vector, as `circulant` and `companion`, or of a size, as `hilbert`.

Those of a vector take stacks of them: the last axis is the vector, and becomes two. Those of a size
are computed exactly, and rounded once.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import numpy as jnp
from ..core import dtypes
from ..core.array import Array
from ..core.errors import error
from ..numpy.arguments import integer
from ..numpy.promotion import (
    as_array,
    as_arrays,
    broadcast_shapes,
    broadcast_to,
    promote_dtypes,
    promote_inexact,
    requested_dtype,
)

# ---- of a vector


def circulant(c: Any) -> Array:
    """The square matrix with the first column `c`, whose columns are `c` turned round.

    Args:
      c: an array of shape ``(..., n)``, or a scalar.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.scipy.linalg import circulant
      >>> print(circulant(jnp.array([1, 2, 3])))
      [[1 3 2]
       [2 1 3]
       [3 2 1]]
    """
    c = jnp.atleast_1d(as_array(c, "circulant"))
    n = c.shape[-1]
    if n == 0:
        return jnp.zeros((*c.shape, 0), c.dtype)
    i = np.arange(n)
    return _picked(c, (i[:, None] - i) % n)


def hankel(c: Any, r: Any = None) -> Array:
    """The matrix whose antidiagonals are constant, with the first column `c` and last row `r`.

    Args:
      c: an array of shape ``(..., m)``.
      r: an array of shape ``(..., n)``, of which the first element is not used; zeros if None.

    Raises:
      ValueError: one of them is a scalar.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.scipy.linalg import hankel
      >>> print(hankel(jnp.array([1, 2, 3])))
      [[1 2 3]
       [2 3 0]
       [3 0 0]]
    """
    c = as_array(c, "hankel")
    c, r = promote_dtypes("hankel", c, jnp.zeros_like(c) if r is None else r)
    for name, x in (("c", c), ("r", r)):
        if x.ndim == 0:
            raise _too_small(
                f"hankel: {name} must be at least 1-dimensional, got a scalar.", x.shape
            )
    m, n = c.shape[-1], r.shape[-1]
    shape = broadcast_shapes("hankel", c.shape[:-1], r.shape[:-1])
    c, r = broadcast_to(c, (*shape, m)), broadcast_to(r, (*shape, n))
    if m == 0 or n == 0:
        return jnp.zeros((*shape, m, n), c.dtype)
    return _picked(jnp.concatenate([c, r[..., 1:]], axis=-1), np.arange(m)[:, None] + np.arange(n))


def leslie(f: Any, s: Any) -> Array:
    """The matrix of a population: births `f` in the first row, survival `s` below the diagonal.

    Args:
      f: an array of shape ``(..., n)``, n at least 2.
      s: an array of shape ``(..., n - 1)``.

    Raises:
      ValueError: the lengths are others.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.scipy.linalg import leslie
      >>> print(leslie(jnp.array([0.1, 2.0]), jnp.array([0.5])))
      [[0.1 2. ]
       [0.5 0. ]]
    """
    f, s = promote_dtypes("leslie", *(jnp.atleast_1d(x) for x in as_arrays("leslie", f, s)))
    n = f.shape[-1]
    if n < 2:
        raise _too_small(
            "The length of f along the last axis must be at least 2.", f.shape, name="f"
        )
    if s.shape[-1] != n - 1:
        raise error(
            ValueError,
            "Incorrect lengths for f and s: s must be one shorter than f along the last axis.",
            got=f"f.shape={f.shape}, s.shape={s.shape}",
            fix="leave the survival of the last class out.",
        )
    shape = broadcast_shapes("leslie", f.shape[:-1], s.shape[:-1])
    f, s = broadcast_to(f, (*shape, n)), broadcast_to(s, (*shape, n - 1))
    return _with_first_row(f, s)


def companion(a: Any) -> Array:
    """The companion matrix of the polynomial with the coefficients `a`, the highest power first.

    Its eigenvalues are the roots.

    Args:
      a: an array of shape ``(..., n)``, n at least 2.

    Raises:
      ValueError: n is less than 2.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.scipy.linalg import companion
      >>> print(companion(jnp.array([1.0, -3.0, 2.0])))
      [[ 3. -2.]
       [ 1.  0.]]
    """
    (a,) = promote_inexact("companion", a)
    a = jnp.atleast_1d(a)
    if a.shape[-1] < 2:
        raise _too_small("The length of `a` along the last axis must be at least 2.", a.shape)
    row = -a[..., 1:] / a[..., :1]
    return _with_first_row(row, jnp.ones((*row.shape[:-1], row.shape[-1] - 1), row.dtype))


def _with_first_row(row: Any, below: Any) -> Any:
    """The matrix with this first row, `below` under the diagonal, and zeros."""
    n = row.shape[-1]
    ones = jnp.asarray(np.eye(n - 1, n), row.dtype)
    diagonal = below[..., None] * jnp.broadcast_to(ones, (*below.shape, n))
    return jnp.concatenate([row[..., None, :], diagonal], axis=-2)


def fiedler(a: Any) -> Array:
    """The matrix of the distances between any two of the numbers `a`, of shape ``(..., n)``.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.scipy.linalg import fiedler
      >>> print(fiedler(jnp.array([1, 4, 6])))
      [[0 3 5]
       [3 0 2]
       [5 2 0]]
    """
    a = jnp.atleast_1d(as_array(a, "fiedler"))
    return jnp.abs(a[..., :, None] - a[..., None, :])


def fiedler_companion(a: Any) -> Array:
    """A matrix of five diagonals with the eigenvalues of ``companion(a)``.

    Args:
      a: the coefficients of a polynomial, of shape ``(..., n)``, the highest power first.

    Raises:
      ValueError: n is 0.
    """
    (a,) = promote_inexact("fiedler_companion", a)
    a = jnp.atleast_1d(a)
    if a.shape[-1] == 0:
        raise _too_small("The length of `a` along the last axis must be at least 1.", a.shape)
    n = a.shape[-1] - 1
    if n == 0:
        return jnp.zeros((*a.shape[:-1], 0, 0), a.dtype)
    # Which coefficient stands where, 0 for none, and where there are ones.
    which, ones = np.zeros((n, n), int), np.zeros((n, n), bool)
    which[0, 0] = 1
    ones[1:2, 0] = True
    for i in range(2, n + 1):
        row, column = (i - 2, i - 1) if i % 2 == 0 else (i - 1, i - 2)
        which[row, column] = i
        if i < n:
            ones[(row, column + 1) if i % 2 == 0 else (row + 1, column)] = True
    entries = _picked(-a / a[..., :1], which)
    return jnp.where(which > 0, entries, jnp.broadcast_to(ones.astype(a.dtype), entries.shape))


def convolution_matrix(a: Any, n: int, mode: str = "full") -> Array:
    """The matrix M with ``M @ v = convolve(a, v, mode)`` for vectors `v` of length `n`.

    Args:
      a: an array of shape ``(..., m)``, m at least 1.
      n: the length of the other vector, at least 1.
      mode: "full", "same" or "valid": see `pullback.numpy.convolve`.

    Raises:
      ValueError: `a`, `n` or `mode` is another.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.scipy.linalg import convolution_matrix
      >>> print(convolution_matrix(jnp.array([1, 2]), 3))
      [[1 0 0]
       [2 1 0]
       [0 2 1]
       [0 0 2]]
    """
    n = integer(n, "`n` of scipy.linalg")
    if n <= 0:
        raise error(
            ValueError, "n must be a positive integer.", got=f"n={n}", fix="give a length of 1 on."
        )
    a = as_array(a, "convolution_matrix")
    if a.ndim == 0 or a.shape[-1] == 0:
        raise _too_small(
            "convolution_matrix: a must be at least 1-dimensional, got a scalar."
            if a.ndim == 0
            else "len(a) must be at least 1.",
            a.shape,
        )
    if mode not in ("full", "valid", "same"):
        raise error(
            ValueError,
            f"mode must be one of 'full', 'valid', 'same'; got {mode!r}.",
            got=f"mode={mode!r}",
            fix="use one of these.",
        )
    m = a.shape[-1]
    trim = {"full": 0, "same": min(n, m) - 1, "valid": 2 * (min(n, m) - 1)}[mode]
    first = trim // 2
    rows = np.arange(first, m + n - 1 - (trim - first))
    at = rows[:, None] - np.arange(n)
    inside = (at >= 0) & (at < m)
    return jnp.where(inside, _picked(a, np.where(inside, at, 0)), jnp.zeros((), a.dtype))


def _picked(x: Any, at: np.ndarray) -> Any:
    """The elements of the last axis at the places `at`."""
    return jnp.take(x, at, axis=-1)


def _too_small(what: str, shape: Any, name: str = "a") -> Exception:
    return error(ValueError, what, got=f"{name}.shape={shape}", fix="give a longer vector.")


# ---- of a size


def hilbert(n: int) -> Array:
    """The Hilbert matrix of size n: 1 / (i + j + 1), for i and j from 0.

    Example:
      >>> from pullback.scipy.linalg import hilbert
      >>> print(hilbert(2))
      [[1.         0.5       ]
       [0.5        0.33333334]]
    """
    n = integer(n, "`n` of linalg.hilbert")
    if n < 0:
        raise error(
            TypeError, "the size of a matrix is not negative.", got=f"n={n}", fix="give n >= 0."
        )
    i = np.arange(n)
    return _floats(1 / (i[:, None] + i + 1))


def invhilbert(n: int) -> Array:
    """The inverse of the Hilbert matrix of size n: its elements are whole numbers.

    Example:
      >>> from pullback.scipy.linalg import invhilbert
      >>> print(invhilbert(2))
      [[ 4. -6.]
       [-6. 12.]]
    """
    size = range(integer(n, "`n` of scipy.linalg"))
    rows = [
        [
            (-1) ** (i + j)
            * (i + j + 1)
            * math.comb(n + i, n - j - 1)
            * math.comb(n + j, n - i - 1)
            * math.comb(i + j, i) ** 2
            for j in size
        ]
        for i in size
    ]
    return _floats(_whole(rows))


def pascal(n: int, kind: str | None = None) -> Array:
    """Pascal's triangle as a matrix of float32, of size n.

    Args:
      n: the size.
      kind: "lower" or "upper" triangular, or "symmetric", the product of both (also if None).

    Raises:
      ValueError: `kind` is another.

    Example:
      >>> from pullback.scipy.linalg import pascal
      >>> print(pascal(3))
      [[1. 1. 1.]
       [1. 2. 3.]
       [1. 3. 6.]]
    """
    return jnp.asarray(_pascal(n, kind, 1), jnp.float32)


def invpascal(n: int, kind: str | None = None) -> Array:
    """The inverse of ``pascal(n, kind)``: its elements are whole numbers."""
    return _floats(_pascal(n, kind, -1))


def _pascal(n: int, kind: str | None, sign: int) -> np.ndarray:
    kinds = ["symmetric", "lower", "upper"]
    if kind is not None and kind not in kinds:
        raise error(
            ValueError,
            f"Expected kind to be one of: {kinds}; got {kind}.",
            got=f"kind={kind!r}",
            fix="use one of these.",
        )
    size = range(integer(n, "`n` of scipy.linalg"))
    lower = np.array([[sign ** (i - j) * math.comb(i, j) if i >= j else 0 for j in size]
                      for i in size], object).reshape(len(size), len(size))  # fmt: skip
    if kind == "lower":
        return _whole(lower)
    if kind == "upper":
        return _whole(lower.T)
    return _whole(lower.dot(lower.T) if sign > 0 else lower.T.dot(lower))


def helmert(n: int, full: bool = False) -> Array:
    """The Helmert matrix of size n: its rows are orthonormal contrasts.

    Args:
      n: the size, at least 1.
      full: whether the first row is there, whose elements are alike.

    Raises:
      ValueError: n is less than 1.

    Example:
      >>> from pullback.scipy.linalg import helmert
      >>> print(helmert(3).shape)
      (2, 3)
    """
    n = integer(n, "`n` of scipy.linalg")
    if n < 1:
        raise error(
            ValueError, "n must be a positive integer.", got=f"n={n}", fix="give a size of 1 on."
        )
    k = np.arange(1, n)[:, None]
    j = np.arange(n)
    rows = np.where(j < k, 1.0, np.where(j == k, -k, 0.0)) / np.sqrt(k * (k + 1.0))
    return _floats(np.concatenate([np.full((1, n), n**-0.5), rows]) if full else rows)


def hadamard(n: int, dtype: Any = int) -> Array:
    """The Hadamard matrix of size n: of 1 and -1, and its rows are orthogonal.

    Args:
      n: the size, a power of 2.
      dtype: of the elements.

    Raises:
      ValueError: n is no power of 2.

    Example:
      >>> from pullback.scipy.linalg import hadamard
      >>> print(hadamard(2))
      [[ 1  1]
       [ 1 -1]]
    """
    if n < 1 or not math.log2(n).is_integer():
        raise error(
            ValueError,
            f"n must be a positive power of 2; got {n}.",
            got=f"n={n}",
            fix="use the next power of 2.",
        )
    matrix = np.ones((1, 1), int)
    for _ in range(int(math.log2(n))):
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    return jnp.asarray(matrix, dtype=dtype)


def dft(n: int, scale: str | None = None, *, dtype: Any = None) -> Array:
    """The matrix of the discrete Fourier transform of n numbers: ``dft(n) @ x`` is ``fft(x)``.

    Args:
      n: the size.
      scale: what it is divided by: "sqrtn", "n", or nothing if None.
      dtype: a complex dtype.

    Raises:
      ValueError: `scale` or `dtype` is another.
    """
    if scale not in (None, "sqrtn", "n"):
        raise error(
            ValueError,
            f"scale must be None, 'sqrtn', or 'n'; got {scale!r}.",
            got=f"scale={scale!r}",
            fix="use one of these.",
        )
    given = dtypes.complex_dtype(dtypes.default_float())
    if dtype is not None:
        given = requested_dtype(dtype, "dft")
    if dtypes.kind(given) != "c":
        raise error(
            ValueError,
            f"dtype must be a complex floating-point type; got {given}.",
            got=f"dtype={dtype!r}",
            fix="use complex64 or complex128.",
        )
    i = np.arange(integer(n, "`n` of scipy.linalg"))
    # The angle is reduced exactly; cos and sin of eighths of a turn are left to their quadrants.
    turns = np.outer(i, i) % max(n, 1)
    matrix = np.exp(-2j * np.pi * (turns / max(n, 1)))
    divisor = {None: 1.0, "sqrtn": math.sqrt(max(n, 1)), "n": float(max(n, 1))}[scale]
    return jnp.asarray(matrix / divisor, given)


def _whole(rows: Any) -> np.ndarray:
    """A matrix of Python integers, as floats."""
    return np.array([[float(x) for x in row] for row in rows]).reshape(len(rows), len(rows))


def _floats(x: Any) -> Array:
    return jnp.asarray(x, dtypes.default_float())
