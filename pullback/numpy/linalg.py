"""Linear algebra, on matrices and stacks of them: `jax.numpy.linalg`."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Sequence
from typing import Any, NamedTuple

from ..core import dtypes
from ..core.array import Array
from ..core.errors import error
from ..core.trace import type_of
from ..engines import eager
from ..ops import determinants, linalg, spectral
from ..ops.comparison import eq, ne
from ..ops.elementwise import like, select_n
from ..ops.functions import pow_
from ..ops.hermitian import hermitian_part
from ..ops.linalg import conjugated, flip
from ..ops.reduction import euclidean_norm
from ..ops.rounding import abs_
from ..ops.structural import broadcast_in_dim, reshape, zeros_of
from . import contraction, diagonals, logic, reductions, selecting, shaping
from .arguments import expand
from .decompositions import EighResult as EighResult
from .decompositions import EigResult as EigResult
from .decompositions import QRResult as QRResult
from .decompositions import SVDResult as SVDResult
from .decompositions import eig as eig
from .decompositions import eigh as eigh
from .decompositions import eigvals as eigvals
from .decompositions import eigvalsh as eigvalsh
from .decompositions import lstsq as lstsq
from .decompositions import matrix_rank as matrix_rank
from .decompositions import pinv as pinv
from .decompositions import qr as qr
from .decompositions import svd as svd
from .decompositions import svdvals as svdvals
from .einsum import einsum
from .promotion import (
    as_array,
    as_arrays,
    axis_numbers,
    broadcast_shapes,
    broadcast_to,
    inexact,
    promote_inexact,
)


class SlogdetResult(NamedTuple):
    """The sign of a determinant and the logarithm of its absolute value."""

    sign: Array
    logabsdet: Array


# ---- systems of equations


def solve(a: Any, b: Any) -> Array:
    """The solution `x` of ``a @ x = b``.

    The matrix is factorised once, and its derivatives use the same factors. A singular matrix gives
    infinities or NaN.

    Args:
      a: an array of shape ``(..., n, n)``.
      b: an array of shape ``(n,)`` or ``(..., n, k)``; the axes before broadcast with those of `a`.

    Raises:
      ValueError: the shapes do not fit.

    Example:
      >>> import pullback.numpy as jnp
      >>> print(jnp.linalg.solve(jnp.array([[2., 0.], [1., 1.]]), jnp.array([4., 5.])))
      [2. 3.]
    """
    if (done := eager.solve(a, b)) is not None:
        return done
    a, b = promote_inexact("linalg.solve", a, b)
    _check_square("solve", a)
    vector = len(b.shape) == 1
    sides = expand(b, (1,)) if vector else b
    if not b.shape or sides.shape[-2] != a.shape[-1]:
        raise error(
            ValueError,
            "linalg.solve takes b of shape (n,) or (..., n, k) for a of shape (..., n, n).",
            got=f"a: {type_of(a).str_short()}, b: {type_of(b).str_short()}",
            fix="for a stack of vectors use solve(a, b[..., None])[..., 0].",
        )
    *outer, n, k = sides.shape
    factors, _, permutation = linalg.lu_factors(a)
    if len(a.shape) == 2 and len(sides.shape) > 2:
        # One matrix for all: further columns of one right-hand side.
        wide = reshape(shaping.moveaxis(sides, -2, 0), new_sizes=(n, math.prod(outer) * k))
        x = linalg.lu_solve(a, factors, permutation, wide, trans=0)
        return shaping.moveaxis(reshape(x, new_sizes=(n, *outer, k)), 0, -2)
    stack = broadcast_shapes("linalg.solve", a.shape[:-2], sides.shape[:-2])
    a, factors = (broadcast_to(m, (*stack, n, n)) for m in (a, factors))
    permutation = broadcast_to(permutation, (*stack, n))
    x = linalg.lu_solve(a, factors, permutation, broadcast_to(sides, (*stack, n, k)), trans=0)
    return reshape(x, new_sizes=x.shape[:-1]) if vector else x


def inv(a: Any) -> Array:
    """The inverse of each square matrix; a singular one gives infinities or NaN.

    To solve ``a @ x = b``, `solve` is faster and more accurate than ``inv(a) @ b``.
    """
    a = inexact("linalg.inv", a)
    _check_square("inv", a)
    if (done := eager.solve(a)) is not None:
        return done
    return solve(a, broadcast_to(diagonals.eye(a.shape[-1], dtype=a.dtype), a.shape))


def tensorsolve(a: Any, b: Any, axes: Sequence[int] | None = None) -> Array:
    """The solution `x` of ``tensordot(a, x, x.ndim) = b``; first, `axes` of `a` go to its end.

    Raises:
      ValueError: `a`, whose first axes must be those of `b`, does not make a square matrix.
    """
    a, b = promote_inexact("linalg.tensorsolve", a, b)
    if axes is not None:
        a = shaping.moveaxis(a, tuple(axes), tuple(range(-len(axes), 0)))
    first, rest = a.shape[: len(b.shape)], a.shape[len(b.shape) :]
    n = math.prod(rest)
    if first != b.shape or math.prod(b.shape) != n:
        raise error(
            ValueError,
            "linalg.tensorsolve needs an `a` whose first axes are those of b, and whose other axes "
            "hold as many elements.",
            got=f"a: {type_of(a).str_short()}, b: {type_of(b).str_short()}, axes={axes}",
            fix="check axes, or reshape.",
        )
    x = solve(reshape(a, new_sizes=(n, n)), reshape(b, new_sizes=(n,)))
    return reshape(x, new_sizes=rest)


def tensorinv(a: Any, ind: int = 2) -> Array:
    """The inverse of the map ``tensordot(a, x, ind)``, with the first `ind` axes of `a` last.

    Raises:
      ValueError: the first `ind` axes do not hold as many elements as the others.
    """
    a = inexact("linalg.tensorinv", a)
    ind = operator.index(ind)
    first, rest = a.shape[: max(ind, 0)], a.shape[max(ind, 0) :]
    n = math.prod(rest)
    if ind <= 0 or math.prod(first) != n:
        raise error(
            ValueError,
            "linalg.tensorinv needs as many elements in the first `ind` axes as in the others, and "
            "a positive ind.",
            got=f"{type_of(a).str_short()}, ind={ind}",
            fix="choose another ind, or reshape.",
        )
    return reshape(inv(reshape(a, new_sizes=(n, n))), new_sizes=(*rest, *first))


# ---- factors and determinants


def cholesky(a: Any, *, upper: bool = False, symmetrize_input: bool = True) -> Array:
    """The lower triangular L with ``L @ L.conj().T = a``; of matrices that have none, NaN.

    Args:
      a: Hermitian positive definite matrices: an array of shape ``(..., n, n)``.
      upper: return the upper triangular conjugated transpose of L.
      symmetrize_input: take ``(a + a.conj().T) / 2``, so that derivatives are those of a function
        of all elements; if False, only the lower triangle of `a` is read.

    Example:
      >>> import pullback.numpy as jnp
      >>> print(jnp.linalg.cholesky(jnp.array([[4., 2.], [2., 5.]])))
      [[2. 0.]
       [1. 2.]]
    """
    a = inexact("linalg.cholesky", a)
    _check_square("cholesky", a)
    if symmetrize_input:
        a = hermitian_part(a)
    factor = linalg.cholesky(a)
    return conjugated(flip(factor)) if upper else factor


def det(a: Any) -> Array:
    """The determinant of each square matrix. Its derivative holds for singular matrices too.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.numpy.linalg import det
      >>> print(det(jnp.diag(jnp.array([4.0, 2.0]))))
      8.0
    """
    a = inexact("linalg.det", a)
    _check_square("det", a)
    return determinants.det(a)


def slogdet(a: Any, *, method: str | None = None) -> SlogdetResult:
    """The sign of the determinant and the logarithm of its absolute value.

    Args:
      a: an array of shape ``(..., n, n)``.
      method: ``"lu"``, or None, which is the same.

    Returns:
      ``(sign, logabsdet)``, each of shape ``(...)``: for a singular matrix 0 and minus infinity.
    """
    if method not in (None, "lu"):
        raise error(
            ValueError,
            f"Unknown slogdet method {method!r}.",
            got=f"method={method!r}",
            fix='use "lu".',
        )
    a = inexact("linalg.slogdet", a)
    _check_square("slogdet", a)
    return SlogdetResult(*determinants.slogdet(a, *linalg.lu_factors(a)))


def matrix_power(a: Any, n: int) -> Array:
    """The product of `n` copies of each square matrix; of its inverse if `n` is negative.

    Raises:
      TypeError: the matrices are not square, or `n` is not an integer.
    """
    x = as_array(a, "linalg.matrix_power")
    if len(x.shape) < 2 or x.shape[-1] != x.shape[-2]:
        raise _not_square(TypeError, "matrix_power", x)
    try:
        n = operator.index(n)
    except TypeError as cause:
        raise error(
            TypeError,
            f"exponent must be an integer, got {n}.",
            got=f"n={n!r}",
            fix="give an int that is known while tracing.",
        ) from cause
    if n == 0:
        return broadcast_to(diagonals.eye(x.shape[-1], dtype=x.dtype), x.shape)
    x, n = (x, n) if n > 0 else (inv(x), -n)
    result: Any = None
    while True:
        n, odd = divmod(n, 2)
        if odd:
            result = x if result is None else contraction.matmul(result, x)
        if n == 0:
            return result
        x = contraction.matmul(x, x)


# ---- norms


def norm(
    x: Any,
    ord: int | float | str | None = None,
    axis: int | tuple[int, ...] | None = None,
    keepdims: bool = False,
) -> Array:
    """The norm of vectors (one axis) or matrices (two axes).

    | `ord` | vectors | matrices |
    |---|---|---|
    | None | 2-norm | Frobenius |
    | "fro" | | Frobenius |
    | "nuc" | | sum of the singular values |
    | inf | largest absolute value | largest sum of absolute values of a row |
    | -inf | smallest absolute value | smallest such sum |
    | 0 | number of elements that are not 0 | |
    | 1 | sum of absolute values | largest sum of absolute values of a column |
    | -1 | as below | smallest such sum |
    | 2 | 2-norm | largest singular value |
    | -2 | as below | smallest singular value |
    | others | ``sum(abs(x)**ord)**(1/ord)`` | |

    A norm has no derivative where it is 0. For the 2-norm, the Frobenius norm and ``ord > 1`` it is
    taken to be 0 there, the middle of all subgradients; for 1 and inf it follows `abs` and `max`.

    Args:
      x: an array.
      ord: which norm.
      axis: the axis of vectors, or the pair of axes of matrices; None: all of `x`, which must have
        one or two axes unless `ord` is None.
      keepdims: keep these axes with length 1.

    Raises:
      ValueError: there is no such norm, or `axis` names neither one nor two axes.

    Example:
      >>> import pullback.numpy as jnp
      >>> print(jnp.linalg.norm(jnp.array([3., 4.])))
      5.0
    """
    x = inexact("linalg.norm", x)
    rank = len(x.shape)
    if axis is None and ord is None:
        return _kept(euclidean_norm(x, axes=tuple(range(rank))), x, None, keepdims)
    axes = axis_numbers(axis, rank)
    if len(axes) == 1:
        return vector_norm(x, ord=2 if ord is None else ord, axis=axes, keepdims=keepdims)
    if len(axes) == 2:
        return _norm_of_matrices(x, ord, axes, keepdims)
    raise error(
        ValueError,
        "Improper number of axes for norm.",
        got=f"axis={axis} of {type_of(x).str_short()}",
        fix="pass one axis for a vector norm, two axes for a matrix norm.",
    )


def cond(x: Any, p: int | float | str | None = None) -> Array:
    """The condition number of each matrix: ``norm(x, p) * norm(inv(x), p)``.

    Args:
      x: an array of shape ``(..., m, n)``, square unless `p` is None, 2 or -2.
      p: which norm (see `norm`); None and 2: the ratio of the largest to the smallest singular
        value; -2: the inverse of that.

    Raises:
      ValueError: the shape does not fit, or the matrix is empty.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.numpy.linalg import cond
      >>> print(cond(jnp.diag(jnp.array([4.0, 2.0]))))
      2.0
    """
    x = inexact("linalg.cond", x)
    square = len(x.shape) >= 2 and (p in (None, 2, -2) or x.shape[-1] == x.shape[-2])
    if not square or 0 in x.shape[-2:]:
        raise error(
            ValueError,
            f"linalg.cond takes matrices that have elements, square ones for p={p}.",
            got=type_of(x).str_short(),
            fix="check the last two axes.",
        )
    if p in (None, 2, -2):
        s = svdvals(x)
        first, last = s[..., 0], s[..., -1]
        ratio = first / last if p != -2 else last / first
    else:
        ratio = norm(x, p, (-2, -1)) * norm(inv(x), p, (-2, -1))
    if p in (None, 2):
        return ratio
    broken = logic.isnan(ratio) & ~reductions.any(logic.isnan(x), axis=(-2, -1))
    return selecting.where(broken, math.inf, ratio)


def vector_norm(
    x: Any,
    /,
    *,
    axis: int | tuple[int, ...] | None = None,
    keepdims: bool = False,
    ord: int | float | str = 2,
) -> Array:
    """The norm of vectors along `axis`, several of which make one vector; of all of `x` if None.

    For `ord` see `norm`.
    """
    x = as_array(x, "linalg.vector_norm")
    if isinstance(ord, str):
        raise error(
            ValueError,
            f"Invalid order '{ord}' for vector norm.",
            got=f"ord={ord!r}",
            fix=f"use {ord.replace('inf', 'jnp.inf')}." if "inf" in ord else "give a number.",
        )
    axes = axis_numbers(axis, len(x.shape))
    if ord is None or ord == 2:
        x = inexact("linalg.vector_norm", x)
        return _kept(euclidean_norm(x, axes=axes), x, axes, keepdims)
    if ord == math.inf:
        return reductions.max(_size(x), axis=axes, keepdims=keepdims, initial=0)
    if ord == -math.inf:
        return reductions.min(_size(x), axis=axes, keepdims=keepdims)
    if ord == 0:
        count = ne(x, like(x, 0))
        kind = dtypes.real_dtype(inexact("linalg.vector_norm", x).dtype)
        return reductions.sum(count, axis=axes, dtype=kind, keepdims=keepdims)
    if ord == 1:
        return reductions.sum(_size(x), axis=axes, keepdims=keepdims)
    return _power_norm(_size(inexact("linalg.vector_norm", x)), axes, keepdims, ord)


def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: int | float | str = "fro") -> Array:
    """The norm of the matrices in the last two axes; for `ord` see `norm`."""
    x = inexact("linalg.matrix_norm", x)
    if len(x.shape) < 2:
        raise error(
            ValueError,
            "linalg.matrix_norm takes matrices: arrays with at least two axes.",
            got=type_of(x).str_short(),
            fix="use vector_norm for vectors.",
        )
    return norm(x, ord=ord, axis=(-2, -1), keepdims=keepdims)


def _size(x: Any) -> Any:
    """|x|"""
    return x if dtypes.kind(x.dtype) in "bu" else abs_(x)


def _kept(y: Any, x: Any, axes: tuple[int, ...] | None, keepdims: bool) -> Any:
    if not keepdims:
        return y
    return expand(y, tuple(range(len(x.shape))) if axes is None else axes)


def _power_norm(size: Any, axes: tuple[int, ...], keepdims: bool, p: float) -> Any:
    p = float(p)
    if p < 0:  # |x|^p of a zero is infinite, and so is its derivative: JAX's meaning
        total = reductions.sum(pow_(size, like(size, p)), axis=axes, keepdims=keepdims)
        return pow_(total, like(total, 1 / p))
    total = reductions.sum(pow_(size, like(size, p)), axis=axes, keepdims=keepdims)
    zero = eq(total, like(total, 0))
    one = broadcast_in_dim(like(total, 1), shape=total.shape, broadcast_dimensions=())
    root = pow_(select_n(zero, total, one), like(total, 1 / p))
    return select_n(zero, root, zeros_of(root))


def _norm_of_matrices(x: Any, ord: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    if ord is None or ord in ("f", "fro"):
        return _kept(euclidean_norm(x, axes=axes), x, axes, keepdims)
    row, column = axes
    if ord in (1, -1, math.inf, -math.inf):
        summed, chosen = (row, column) if abs(ord) == 1 else (column, row)
        sums = reductions.sum(abs_(x), axis=summed, keepdims=True)
        y = (
            reductions.max(sums, axis=chosen, keepdims=True, initial=0)
            if ord > 0
            else reductions.min(sums, axis=chosen, keepdims=True)
        )
        return y if keepdims else shaping.squeeze(y, axes)
    if ord in ("nuc", 2, -2):
        (s,) = spectral.svd(
            shaping.moveaxis(x, axes, (-2, -1)), full_matrices=False, compute_uv=False
        )
        if ord == 2:
            y = reductions.max(s, axis=-1, initial=0)
        else:
            y = reductions.min(s, axis=-1) if ord == -2 else reductions.sum(s, axis=-1)
        return _kept(y, x, axes, keepdims)
    raise error(
        ValueError,
        f"Invalid order '{ord}' for matrix norm.",
        got=f"ord={ord!r}",
        fix="use None, 'fro', 'nuc', 1, -1, 2, -2, inf or -inf.",
    )


# ---- products and parts, in the array API's forms


def multi_dot(arrays: Sequence[Any], *, precision: Any = None) -> Array:
    """The matrix product of two or more arrays, in the cheapest order.

    The first and the last may be vectors.

    Raises:
      ValueError: there are fewer than two arrays, or their shapes do not fit.
    """
    xs = as_arrays("linalg.multi_dot", *arrays)
    shapes = ", ".join(type_of(x).str_short() for x in xs)
    ranks = [len(x.shape) for x in xs]
    fits = len(xs) >= 2 and all(r == 2 for r in ranks[1:-1])
    if not fits or not {ranks[0], ranks[-1]} <= {1, 2}:
        raise error(
            ValueError,
            "multi_dot requires at least two arrays, all of them matrices but the first and the "
            "last, which may be vectors.",
            got=shapes or "no arrays",
            fix="use matmul for stacks of matrices.",
        )
    if any(x.shape[-1] != y.shape[0] for x, y in itertools.pairwise(xs)):
        raise error(
            ValueError,
            "multi_dot: the last axis of each array must be as long as the first of the next.",
            got=shapes,
            fix="transpose or reshape one of the arrays.",
        )
    names = [[i, i + 1] for i in range(len(xs))]
    names[0] = names[0] if ranks[0] == 2 else [1]
    names[-1] = names[-1][: ranks[-1]]
    pairs = itertools.chain(*zip(xs, names, strict=True))
    first, *others = pairs
    return einsum(first, *others, precision=precision)


def matmul(
    x1: Any, x2: Any, /, *, precision: Any = None, preferred_element_type: Any = None
) -> Array:
    """The matrix product: see `numpy.matmul`."""
    return contraction.matmul(
        x1, x2, precision=precision, preferred_element_type=preferred_element_type
    )


def tensordot(
    x1: Any,
    x2: Any,
    /,
    *,
    axes: int | tuple[Sequence[int], Sequence[int]] = 2,
    precision: Any = None,
    preferred_element_type: Any = None,
    out_sharding: None = None,
) -> Array:
    """The product that sums over pairs of axes: see `numpy.tensordot`."""
    return contraction.tensordot(
        x1, x2, axes, precision=precision, preferred_element_type=preferred_element_type
    )


def vecdot(
    x1: Any,
    x2: Any,
    /,
    *,
    axis: int = -1,
    precision: Any = None,
    preferred_element_type: Any = None,
) -> Array:
    """The sum of ``conj(x1) * x2`` along `axis`: see `numpy.vecdot`."""
    return contraction.vecdot(
        x1, x2, axis=axis, precision=precision, preferred_element_type=preferred_element_type
    )


def outer(x1: Any, x2: Any, /) -> Array:
    """The products of each element of one vector with each of another.

    Raises:
      ValueError: an operand is not a vector.
    """
    x1, x2 = as_arrays("linalg.outer", x1, x2)
    if len(x1.shape) != 1 or len(x2.shape) != 1:
        raise error(
            ValueError,
            "linalg.outer takes two vectors.",
            got=f"{type_of(x1).str_short()} and {type_of(x2).str_short()}",
            fix="use jnp.outer, which flattens.",
        )
    return contraction.outer(x1, x2)


def cross(x1: Any, x2: Any, /, *, axis: int = -1) -> Array:
    """The cross product of vectors of 3 numbers along `axis`.

    Raises:
      ValueError: the vectors have another length.
    """
    x1, x2 = as_arrays("linalg.cross", x1, x2)
    lengths = [x.shape[axis_numbers(axis, len(x.shape))[0]] for x in (x1, x2)]
    if lengths != [3, 3]:
        raise error(
            ValueError,
            "linalg.cross takes vectors of 3 numbers.",
            got=f"{type_of(x1).str_short()} and {type_of(x2).str_short()}, axis={axis}",
            fix="use jnp.cross for vectors of 2 numbers.",
        )
    return contraction.cross(x1, x2, axis=axis)


def matrix_transpose(x: Any, /) -> Array:
    """Each matrix transposed: the last two axes swapped."""
    return shaping.matrix_transpose(x)


def diagonal(x: Any, /, *, offset: int = 0) -> Array:
    """The diagonal `offset` of each matrix: of the last two axes."""
    return diagonals.diagonal(x, offset, -2, -1)


def trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Array:
    """The sum of the diagonal `offset` of each matrix."""
    return contraction.trace(x, offset, -2, -1, dtype=dtype)


# ---- what is checked


def _check_square(name: str, a: Any) -> None:
    if len(a.shape) < 2 or a.shape[-1] != a.shape[-2]:
        raise _not_square(ValueError, name, a)


def _not_square(kind: Any, name: str, a: Any) -> Any:
    return error(
        kind,
        f"linalg.{name} takes square matrices: shape [..., n, n].",
        got=type_of(a).str_short(),
        fix="check the last two axes.",
    )
