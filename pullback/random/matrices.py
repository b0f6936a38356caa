"""Random orthogonal matrices."""

from __future__ import annotations

from typing import Any

from .. import numpy as jnp
from ..numpy.arguments import integer
from .arguments import float_dtype, sample_shape, single_key
from .samplers import normal


def orthogonal(
    key: Any,
    n: int,
    shape: Any = (),
    dtype: Any = None,
    m: int | None = None,
    *,
    out_sharding: Any = None,
) -> Any:
    """Matrices with orthonormal columns (rows, if ``n < m``), evenly spread over all of these.

    The orthonormal factor of a matrix of normal numbers, with the signs that make it unique:
    Mezzadri, How to generate random matrices from the classical compact groups (2007).

    Args:
      key: one random key.
      n: the number of rows.
      shape: how many matrices: the axes before the last two.
      dtype: a float or complex dtype; of complex matrices, the columns are orthonormal too.
      m: the number of columns; by default n.
      out_sharding: accepted for compatibility.

    Returns:
      An array of shape ``(*shape, n, m)``.

    Raises:
      NotImplementedError: the dtype has half width.

    Example:
      >>> from pullback import random
      >>> q = random.orthogonal(random.key(0), 3)
      >>> print((q.T @ q).round(4) + 0.0)
      [[1. 0. 0.]
       [0. 1. 0.]
       [0. 0. 1.]]
    """
    key, dtype = single_key("orthogonal", key), float_dtype("orthogonal", dtype, also_complex=True)
    n = integer(n, "`n` of random.orthogonal")
    m = n if m is None else integer(m, "`m` of random.orthogonal")
    stack = sample_shape("orthogonal", shape)
    drawn = normal(key, (*stack, max(n, m), min(n, m)), dtype)
    q, r = jnp.linalg.qr(drawn)
    q = q * jnp.sign(jnp.linalg.diagonal(r))[..., None, :]
    return jnp.matrix_transpose(q) if n < m else q
