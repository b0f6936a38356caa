"""Products of numbers with a scale for each block."""

from __future__ import annotations

from typing import Any

from ..core import dtypes
from ..core.array import Array
from ..core.errors import error
from ..core.trace import type_of
from ..ops.elementwise import mul
from ..ops.structural import broadcast_in_dim, reshape
from .arguments import as_array, requested
from .contraction import DotDimensionNumbers, dot_general
from .conversion import convert_element_type


def scaled_dot(
    lhs: Any,
    rhs: Any,
    *,
    lhs_scale: Any = None,
    rhs_scale: Any = None,
    dimension_numbers: DotDimensionNumbers | None = None,
    preferred_element_type: Any = None,
) -> Array:
    """`dot_general` of arrays that have a scale for each block along contracted axes.

    Args:
      lhs, rhs: arrays, usually of a short float dtype.
      lhs_scale, rhs_scale: arrays of the shape of lhs and rhs, but for contracted axes, whose
        length divides theirs; None: no scale.
      dimension_numbers: as for `dot_general`; None: the product of matrices in the last two axes.
      preferred_element_type: the dtype to give; None: bfloat16.

    Returns:
      The product of the scaled arrays, which are rounded to bfloat16.

    Raises:
      TypeError: shapes do not fit together.

    Example:
      >>> from pullback import lax
      >>> import pullback.numpy as jnp
      >>> x = jnp.ones((1, 4))
      >>> print(lax.scaled_dot(x, x.T, lhs_scale=jnp.array([[1.0, 2.0]])))
      [[6]]
    """
    x, w = as_array(lhs, "scaled_dot"), as_array(rhs, "scaled_dot")
    if dimension_numbers is None:
        rank = len(x.shape)
        if rank < 2 or len(w.shape) != rank:
            raise error(
                TypeError,
                "scaled_dot multiplies stacks of matrices, of one rank of at least 2.",
                got=f"{type_of(x).str_short()} and {type_of(w).str_short()}",
                fix="give dimension_numbers.",
            )
        batch = tuple(range(rank - 2))
        dimension_numbers = (((rank - 1,), (rank - 2,)), (batch, batch))
    (x_sum, w_sum), _ = dimension_numbers
    dtype = dtypes.bfloat16
    if preferred_element_type is not None:
        dtype = requested(preferred_element_type, "scaled_dot")
    x = _scaled(x, lhs_scale, tuple(x_sum), "lhs")
    w = _scaled(w, rhs_scale, tuple(w_sum), "rhs")
    return dot_general(x, w, dimension_numbers, preferred_element_type=dtype)


def _scaled(x: Any, scale: Any, contracted: tuple[int, ...], side: str) -> Any:
    rounded = convert_element_type(x, dtypes.bfloat16)
    if scale is None:
        return rounded
    factors = as_array(scale, "scaled_dot")
    fits = len(factors.shape) == len(x.shape) and all(
        n == m or (i in contracted and m and n % m == 0)
        for i, (n, m) in enumerate(zip(x.shape, factors.shape))
    )
    if not fits:
        raise error(
            TypeError,
            f"scaled_dot: the scale of {side} must have its shape, but for contracted axes, whose "
            "length is divided.",
            got=f"{type_of(x).str_short()}, scale {type_of(factors).str_short()}",
            fix="give one scale for each block.",
        )
    return mul(rounded, repeated(convert_element_type(factors, dtypes.bfloat16), x.shape))


def repeated(x: Any, shape: tuple[int, ...]) -> Any:
    """Each element as often, one after the other, as makes this shape."""
    split: list[int] = []
    wide: list[int] = []
    kept: list[int] = []
    for n, m in zip(x.shape, shape, strict=True):
        kept.append(len(split))
        split.append(n)
        wide.append(n)
        if n != m:
            split.append(1)
            wide.append(m // n)
    if len(split) == len(shape):
        return x
    out = broadcast_in_dim(x, shape=tuple(wide), broadcast_dimensions=tuple(kept))
    return reshape(out, new_sizes=tuple(shape))
