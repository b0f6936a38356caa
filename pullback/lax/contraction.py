"""Products of matrices and arrays."""

from __future__ import annotations

import operator
from typing import Any

from ..core.array import Array
from ..core.errors import error
from ..core.trace import type_of
from ..ops import contraction
from ..ops.precision import DotAlgorithm as DotAlgorithm
from ..ops.precision import DotAlgorithmPreset as DotAlgorithmPreset
from ..ops.precision import Precision as Precision
from ..ops.precision import canonical_precision
from .arguments import apply, as_array, requested

PrecisionLike = (
    str
    | Precision
    | tuple[str, str]
    | tuple[Precision, Precision]
    | DotAlgorithm
    | DotAlgorithmPreset
    | None
)
"""What `precision` may be."""

DotDimensionNumbers = tuple[tuple[Any, Any], tuple[Any, Any]]
"""((contracted axes of lhs, of rhs), (batch axes of lhs, of rhs))"""


def dot_general(
    lhs: Any,
    rhs: Any,
    dimension_numbers: DotDimensionNumbers,
    precision: PrecisionLike = None,
    preferred_element_type: Any = None,
    *,
    out_sharding: Any = None,
) -> Array:
    """Multiply, and sum over pairs of axes; batch axes of both run together.

    Args:
      lhs, rhs: arrays.
      dimension_numbers: ((contracted axes of lhs, of rhs), (batch axes of lhs, of rhs)).
      precision: accepted for compatibility: this engine always uses all digits.
      preferred_element_type: the dtype to add up and to give.

    Returns:
      An array whose axes are those of the batch, then the other ones of `lhs`, then of `rhs`.

    Example:
      >>> from pullback import lax
      >>> import pullback.numpy as jnp
      >>> print(lax.dot_general(jnp.ones((2, 3)), jnp.ones((3, 2)), (((1,), (0,)), ((), ()))))
      [[3. 3.]
       [3. 3.]]
    """
    (x_sum, y_sum), (x_batch, y_batch) = dimension_numbers
    numbers = (_axes(x_sum), _axes(y_sum)), (_axes(x_batch), _axes(y_batch))
    wanted = preferred_element_type
    return apply(
        contraction.dot_general,
        lhs,
        rhs,
        dimension_numbers=numbers,
        precision=canonical_precision(precision),
        preferred_element_type=None if wanted is None else requested(wanted, "dot_general"),
    )


def _axes(axes: Any) -> tuple[int, ...]:
    return tuple(operator.index(i) for i in axes)


def dot(
    lhs: Any,
    rhs: Any,
    *,
    dimension_numbers: DotDimensionNumbers | None = None,
    precision: PrecisionLike = None,
    preferred_element_type: Any = None,
    out_sharding: Any = None,
) -> Array:
    """The product of vectors and matrices; with `dimension_numbers`, `dot_general`."""
    x, y = as_array(lhs, "dot"), as_array(rhs, "dot")
    if dimension_numbers is None:
        a, b = tuple(x.shape), tuple(y.shape)
        if not (1 <= len(a) <= 2 and 1 <= len(b) <= 2 and a[-1] == b[0]):
            raise error(
                ValueError,
                "lax.dot: dimension_numbers must be specified when not performing simple "
                "un-batched matrix-matrix, matrix-vector, or vector-vector products.",
                got=f"{type_of(x).str_short()} and {type_of(y).str_short()}",
                fix="use jnp.matmul or jnp.einsum, or give dimension_numbers.",
            )
        dimension_numbers = (((len(a) - 1,), (0,)), ((), ()))
    return dot_general(x, y, dimension_numbers, precision, preferred_element_type)


def batch_matmul(lhs: Any, rhs: Any, precision: PrecisionLike = None) -> Array:
    """The products of matrices in the last two axes; the axes before, equal in both, are stacks."""
    x, y = as_array(lhs, "batch_matmul"), as_array(rhs, "batch_matmul")
    rank = len(x.shape)
    if rank < 2 or len(y.shape) != rank:
        raise error(
            ValueError,
            "batch_matmul takes stacks of matrices of one rank, at least 2.",
            got=f"{type_of(x).str_short()} and {type_of(y).str_short()}",
            fix="use jnp.matmul, which broadcasts.",
        )
    batch = tuple(range(rank - 2))
    return dot_general(x, y, (((rank - 1,), (rank - 2,)), (batch, batch)), precision)
