"""Random sparse arrays."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ... import numpy as jnp
from ... import random
from ...core import dtypes
from ...core.errors import error
from ...mapping import vmap
from .bcoo.array import BCOO
from .bcoo.duplicates import bcoo_sort_indices


def random_bcoo(
    key: Any,
    shape: Sequence[int],
    *,
    dtype: Any = float,
    indices_dtype: Any = None,
    nse: float | int = 0.2,
    n_batch: int = 0,
    n_dense: int = 0,
    unique_indices: bool = True,
    sorted_indices: bool = False,
    generator: Callable[..., Any] = random.uniform,
    **kwds: Any,
) -> BCOO:
    """A BCOO array of random elements in random places; the numbers are JAX's for the same key.

    Args:
      key: a random key.
      shape: the shape.
      dtype: the dtype of the elements.
      indices_dtype: the dtype of the coordinates, the default integer if None.
      nse: how many elements are stored, or which part of all if it lies between 0 and 1.
      n_batch, n_dense: the numbers of batch and dense axes.
      unique_indices: whether the places differ.
      sorted_indices: whether they are in order.
      generator: makes the elements from a key, a shape and a dtype; `**kwds` go to it.

    Raises:
      ValueError: the layout or `nse` does not fit the shape.
    """
    shape = tuple(map(operator.index, shape))
    n_sparse = len(shape) - n_batch - n_dense
    if min(n_batch, n_dense, n_sparse) < 0:
        raise error(
            ValueError,
            "random_bcoo: n_batch and n_dense do not fit the shape.",
            got=f"n_batch={n_batch}, n_dense={n_dense} for shape={shape}",
            fix="let n_batch + n_dense be at most the number of axes.",
        )
    batch, sparse = shape[:n_batch], shape[n_batch : n_batch + n_sparse]
    size = math.prod(sparse)
    kind = np.dtype(dtypes.default_int() if indices_dtype is None else indices_dtype)
    if not 0 <= nse < size or size > np.iinfo(kind).max:
        raise error(
            ValueError,
            f"random_bcoo: nse must be between 0 and {size}, and fit the dtype of the indices.",
            got=f"nse={nse}, shape={shape}, indices of dtype {kind}",
            fix="store fewer elements, or use another indices_dtype.",
        )
    n = math.ceil(nse * size) if isinstance(nse, float) and nse < 1 else operator.index(nse)  # type: ignore[arg-type]

    def places(key: Any) -> Any:
        if not sparse:
            return jnp.zeros((n, 0), kind)
        flat = random.choice(key, size, shape=(n,), replace=not unique_indices).astype(kind)
        return jnp.stack(jnp.unravel_index(flat, sparse), axis=-1)

    keys = random.split(key, math.prod(batch) + 1)
    data_shape = (*batch, n, *shape[n_batch + n_sparse :])
    data = generator(keys[0], shape=data_shape, dtype=dtype, **kwds)
    indices = vmap(places)(keys[1:]).reshape((*batch, n, n_sparse))
    out = BCOO((data, indices), shape=shape)
    return bcoo_sort_indices(out) if sorted_indices else out
