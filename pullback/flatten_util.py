"""Trees as one flat vector, and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import checks
from .core import dtypes
from .core.array import HostArray
from .core.errors import error
from .core.pytree import flatten
from .core.trace import type_of
from .ops.elementwise import convert_element_type
from .ops.slicing import concatenate, slice_along
from .ops.structural import reshape


def ravel_pytree(pytree: Any) -> tuple[Any, Callable[[Any], Any]]:
    """All elements of a pytree of arrays in one vector, and the function that goes back.

    Args:
      pytree: arrays and numbers in containers.

    Returns:
      ``(vector, unravel)``: a vector of shape ``(n,)`` in the common dtype of the leaves, and a
      function from such a vector to a tree of the same structure, shapes and dtypes. If all leaves
      are of one dtype, `unravel` takes vectors of others too, and gives leaves of theirs.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.flatten_util import ravel_pytree
      >>> vector, unravel = ravel_pytree({"a": jnp.ones(2), "b": 3.0})
      >>> print(vector)
      [1. 1. 3.]
      >>> print(unravel(2 * vector)["a"])
      [2. 2.]
    """
    leaves, tree = flatten(pytree)
    arrays = [checks.input_array(x, "ravel_pytree") for x in leaves]
    types = [type_of(x) for x in arrays]
    if not arrays:
        return HostArray(np.zeros(0, dtypes.default_float())), lambda _: tree.unflatten([])
    common, _ = dtypes.promoted(tuple((t.dtype, t.weak_type) for t in types), "ravel_pytree")
    parts = [
        convert_element_type(reshape(x, new_sizes=(t.size,)), new_dtype=common, weak_type=False)
        for x, t in zip(arrays, types, strict=True)
    ]
    vector = concatenate(*parts, dimension=0) if len(parts) > 1 else parts[0]
    total = sum(t.size for t in types)
    uniform = all(t.dtype == common for t in types)

    def unravel(flat: Any) -> Any:
        flat = checks.input_array(flat, "unravel")
        if flat.shape != (total,) or not (uniform or flat.dtype == common):
            raise error(
                ValueError if flat.shape != (total,) else TypeError,
                "the vector does not fit the tree that was ravelled.",
                got=f"{type_of(flat).str_short()}",
                fix=f"give a vector of {total} elements of dtype {dtypes.long_name(common)}.",
            )
        found, start = [], 0
        for t in types:
            piece = slice_along(flat, 0, start, start + t.size)
            piece = reshape(piece, new_sizes=t.shape)
            if not uniform:
                piece = convert_element_type(piece, new_dtype=t.dtype, weak_type=False)
            found.append(piece)
            start += t.size
        return tree.unflatten(found)

    return vector, unravel
