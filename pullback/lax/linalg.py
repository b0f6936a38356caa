"""Linear algebra on stacks of matrices, without promotion: `jax.lax.linalg`."""

from __future__ import annotations

import operator
from typing import Any

from ..core.array import Array
from ..core.errors import error
from ..ops import linalg, spectral
from ..ops.elementwise import add, like, mul
from ..ops.linalg import conjugated
from ..ops.structural import squeeze, transpose
from .arguments import apply, as_array
from .shaping import expand_dims


def cholesky(x: Any, *, symmetrize_input: bool = True) -> Array:
    """The lower triangular L with L L^H = x; nan for a matrix that is not positive definite."""
    a = as_array(x, "linalg.cholesky")
    linalg.cholesky.typing(a.aval)
    if symmetrize_input:
        rank = len(a.shape)
        order = (*range(rank - 2), rank - 1, rank - 2)
        a = mul(add(a, conjugated(transpose(a, permutation=order))), like(a, 0.5))
    return apply(linalg.cholesky, a)


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
        linalg.triangular_solve,
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


def lu(x: Any) -> tuple[Array, Array, Array]:
    """L and U in one matrix, the swaps of rows, and the permutation that they make."""
    lu_, pivots, permutation = apply(linalg.lu, x)
    return lu_, pivots, permutation


def lu_pivots_to_permutation(pivots: Any, permutation_size: int) -> Array:
    """The permutation that these swaps of rows make."""
    size = operator.index(permutation_size)
    return apply(linalg.lu_pivots_to_permutation, pivots, permutation_size=size)


def svd(
    x: Any,
    *,
    full_matrices: bool = True,
    compute_uv: bool = True,
    subset_by_index: Any = None,
    algorithm: Any = None,
) -> Any:
    """(u, s, v^H) with x = u diag(s) v^H, the singular values s in descending order; or s alone.

    `algorithm` is accepted for compatibility.
    """
    if subset_by_index is not None:
        raise error(
            NotImplementedError,
            "lax.linalg.svd finds all singular values.",
            got=f"subset_by_index={subset_by_index!r}",
            fix="leave it out, and slice the result.",
        )
    outs = apply(spectral.svd, x, full_matrices=bool(full_matrices), compute_uv=bool(compute_uv))
    if not compute_uv:
        return outs[0]
    s, u, vh = outs
    return u, s, vh
