"""The convolution of BCOO arrays with one batch, one feature and one spatial axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .... import lax
from .... import numpy as jnp
from ....core.errors import error
from .array import BCOO, is_stored, where_stored
from .layout import bcoo_update_layout


def bcoo_conv_general_dilated(
    lhs: Any,
    rhs: Any,
    *,
    window_strides: Sequence[int],
    padding: Any,
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    feature_group_count: int = 1,
    batch_group_count: int = 1,
    precision: Any = None,
    preferred_element_type: Any = None,
    out_sharding: Any = None,
) -> BCOO:
    """`lax.conv_general_dilated` of arrays of shape ``(1, 1, n)``, of which one or both are BCOO.

    Args:
      lhs, rhs: the arrays; each stored element of one meets each of the other.
      padding: a pair of numbers for the spatial axis, or "SAME", "SAME_LOWER", "VALID".
      preferred_element_type: the dtype of the result.
      window_strides, lhs_dilation, rhs_dilation, feature_group_count, batch_group_count: 1 only.
      dimension_numbers: batch, feature and spatial axis in this order only.
      precision, out_sharding: not used.

    Raises:
      NotImplementedError: the convolution is any other.
    """
    ones = (window_strides, lhs_dilation or (1,), rhs_dilation or (1,))
    numbers = lax.conv_dimension_numbers(lhs.shape, rhs.shape, dimension_numbers)
    order = tuple(range(len(lhs.shape)))
    plain = (
        lhs.shape[:2] == rhs.shape[:2] == (1, 1)
        and len(order) == 3
        and all(tuple(x) == (1,) for x in ones)
        and feature_group_count == batch_group_count == 1
        and all(tuple(spec) == order for spec in numbers)
    )
    if not plain:
        raise error(
            NotImplementedError,
            "bcoo_conv_general_dilated: arrays of shape (1, 1, n) only, without strides, dilation "
            "and groups.",
            got=f"{lhs.shape} and {rhs.shape}, window_strides={tuple(window_strides)}, "
            f"dimension_numbers={dimension_numbers}",
            fix="use lax.conv_general_dilated of .todense().",
        )
    n, size = lhs.shape[2], rhs.shape[2]
    pads = (
        lax.padtype_to_pads((n,), (size,), (1,), padding) if isinstance(padding, str) else padding
    )
    ((low, high),) = pads
    out = max(0, n + low + high - size + 1)
    dtype = preferred_element_type or jnp.promote_types(lhs.dtype, rhs.dtype)
    (a, ai), (b, bi) = _flat(lhs, dtype), _flat(rhs, dtype)
    at = (ai[:, None] + (low - bi)[None, :]).ravel()
    outside = np.int32(out)
    at = jnp.where(at < 0, outside, at)
    data = where_stored(at < outside, (a[:, None] * b[None, :]).ravel(), 0)
    return BCOO((data[None, None], at[None, None, :, None]), shape=(1, 1, out))


def _flat(x: Any, dtype: Any) -> tuple[Any, Any]:
    """Elements and places along the spatial axis; what is not stored is zero."""
    if not isinstance(x, BCOO):
        return jnp.asarray(x).reshape(-1).astype(dtype), jnp.arange(x.shape[2], dtype=np.int32)
    x = bcoo_update_layout(x, n_batch=2, n_dense=0)
    data = where_stored(is_stored(x.indices, x.parts[1]), x.data, 0)
    return data.reshape(-1).astype(dtype), x.indices.reshape(-1).astype(np.int32)


__all__ = ["bcoo_conv_general_dilated"]
