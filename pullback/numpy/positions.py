"""Indices of parts of arrays: triangles, diagonals, masks; flat indices to and from many."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..core import dtypes
from ..core.array import Array, HostArray
from ..core.errors import error
from ..ops.comparison import clamp, gt, lt, not_
from ..ops.elementwise import add, convert_element_type, like, mul
from ..ops.structural import reshape
from .arguments import concrete, from_host, integer, integers, masked
from .creation import ones
from .promotion import as_array, as_arrays, broadcast_together, requested_dtype
from .selecting import nonzero


def tril_indices(n: int, k: int = 0, m: int | None = None) -> tuple[Array, Array]:
    """The rows and columns of the lower triangle of an n by m matrix, up to diagonal `k`.

    Example:
      >>> import pullback.numpy as jnp
      >>> print(*jnp.tril_indices(2))
      [0 1 1] [0 0 1]
    """
    return _triangle("tril_indices", np.tril_indices, n, k, m)


def triu_indices(n: int, k: int = 0, m: int | None = None) -> tuple[Array, Array]:
    """The rows and columns of the upper triangle of an n by m matrix, from diagonal `k` on."""
    return _triangle("triu_indices", np.triu_indices, n, k, m)


def _triangle(name: str, find: Any, n: Any, k: Any, m: Any) -> tuple[Array, Array]:
    n, k = integer(n, f"`n` of jnp.{name}"), integer(k, f"`k` of jnp.{name}")
    m = n if m is None else integer(m, f"`m` of jnp.{name}")
    rows, columns = find(n, k, m)
    return _index(rows), _index(columns)


def _index(places: Any) -> HostArray:
    return from_host(places, dtypes.default_int())


def tril_indices_from(arr: Any, k: int = 0) -> tuple[Array, Array]:
    """`tril_indices` of a matrix of the shape of `arr`."""
    n, m = _matrix_shape("tril_indices_from", arr)
    return tril_indices(n, k, m)


def triu_indices_from(arr: Any, k: int = 0) -> tuple[Array, Array]:
    """`triu_indices` of a matrix of the shape of `arr`."""
    n, m = _matrix_shape("triu_indices_from", arr)
    return triu_indices(n, k, m)


def _matrix_shape(name: str, arr: Any) -> tuple[int, int]:
    x = as_array(arr, name)
    if x.ndim != 2:
        raise error(
            ValueError,
            "input array must be 2-d.",
            got=x.aval.str_short(),
            fix=f"give a matrix to jnp.{name}.",
        )
    return x.shape[0], x.shape[1]


def diag_indices(n: int, ndim: int = 2) -> tuple[Array, ...]:
    """The indices of the diagonal of an array with `ndim` axes of length `n`."""
    n, ndim = integer(n, "`n` of jnp.diag_indices"), integer(ndim, "`ndim` of jnp.diag_indices")
    if n < 0 or ndim < 0:
        raise error(
            ValueError,
            "the arguments of diag_indices must be nonnegative.",
            got=f"n={n}, ndim={ndim}",
            fix="give 0 or more.",
        )
    return (_index(np.arange(n)),) * ndim


def diag_indices_from(arr: Any) -> tuple[Array, ...]:
    """The indices of the diagonal of `arr`, whose axes are equally long."""
    x = as_array(arr, "diag_indices_from")
    if x.ndim < 2 or len(set(x.shape)) > 1:
        raise error(
            ValueError,
            "input array must be at least 2-d, with axes of equal length.",
            got=x.aval.str_short(),
            fix="give a square matrix.",
        )
    return diag_indices(x.shape[0], x.ndim)


def mask_indices(
    n: int, mask_func: Callable[[Any, int], Any], k: int = 0, *, size: int | None = None
) -> tuple[Array, Array]:
    """The indices where `mask_func(ones((n, n)), k)`, such as `jnp.triu`, is not zero."""
    i, j = nonzero(mask_func(ones((n, n)), k), size=size)
    return i, j


def ix_(*args: Any) -> tuple[Array, ...]:
    """1-d arrays of indices as a grid: each gets an axis of its own."""
    arrays = as_arrays("ix_", *args)
    found = []
    for i, x in enumerate(arrays):
        if x.ndim != 1:
            raise error(
                ValueError,
                "Arguments to jax.numpy.ix_ must be 1-dimensional.",
                got=f"argument {i} of shape {x.shape}",
                fix="flatten it with .ravel().",
            )
        if x.dtype == dtypes.bool_:
            raise error(
                NotImplementedError,
                "Boolean arguments to jax.numpy.ix_ are not implemented.",
                got=f"argument {i}: {x.aval.str_short()}",
                fix="convert it with jnp.flatnonzero.",
            )
        shape = tuple(x.size if k == i else 1 for k in range(len(arrays)))
        found.append(reshape(x, new_sizes=shape) if x.size else _index(np.zeros(shape)))
    return tuple(found)


# ---- one index for many


def unravel_index(indices: Any, shape: Any) -> tuple[Array, ...]:
    """The index on each axis of an array of `shape`, from indices of the flattened array.

    Negative indices count from the end. What lies outside gives the last, or first, element.

    Example:
      >>> import pullback.numpy as jnp
      >>> print(*jnp.unravel_index(5, (2, 3)))
      1 2
    """
    at = as_array(indices, "unravel_index")
    shape = integers(shape, "`shape` of jnp.unravel_index")
    if dtypes.kind(at.dtype) not in "iu":
        raise error(
            TypeError,
            "unravel_index takes integers.",
            got=at.aval.str_short(),
            fix="convert them with .astype(int).",
        )
    total = math.prod(shape)
    rest, found = at, []
    for n in reversed(shape):
        rest, here = divmod(rest, like(at, n)) if n else (rest, rest)
        found.append((here, n))
    # What is left is 0 for indices from the front, -1 for those from the end that lie inside.
    above = gt(rest, like(rest, 0)) if total else not_(lt(at, like(at, 0)))
    parts = []
    for here, n in reversed(found):
        here = masked(not_(above), here, like(here, max(0, n - 1)))
        if at.dtype.kind == "i":
            here = masked(not_(lt(rest, like(rest, -1))), here, like(here, 0))
        parts.append(here)
    return tuple(parts)


def ravel_multi_index(
    multi_index: Any,
    dims: Any,
    mode: str = "raise",
    order: str = "C",
    *,
    dtype: Any = None,
) -> Array:
    """The indices of the flattened array, from an index on each axis of an array of shape `dims`.

    Args:
      multi_index: for each axis an array of integers.
      dims: the lengths of the axes.
      mode: what an index outside does: "raise" (not under jit), "wrap", "clip" or "ignore".
      order: "C" (the last axis changes fastest) or "F".
      dtype: the dtype of the result.
    """
    dims = integers(dims, "`dims` of jnp.ravel_multi_index")
    arrays = as_arrays("ravel_multi_index", *multi_index)
    if len(arrays) != len(dims):
        raise error(
            ValueError,
            "ravel_multi_index needs an array of indices for each axis.",
            got=f"{len(arrays)} arrays for {len(dims)} axes",
            fix="give as many as there are dims.",
        )
    target = _flat_dtype(arrays, dims, dtype)
    if order not in ("C", "F"):
        raise error(
            ValueError,
            f"invalid order={order!r}. Expected 'C' or 'F'.",
            got=f"order={order!r}",
            fix='use "C" or "F".',
        )
    arrays = [_inside(x, n, mode) for x, n in zip(arrays, dims, strict=True)]
    arrays = broadcast_together("ravel_multi_index", *arrays) if arrays else arrays
    strides = [math.prod(dims[i + 1 :] if order == "C" else dims[:i]) for i in range(len(dims))]
    total = HostArray(target.type(0))
    for x, stride in zip(arrays, strides, strict=True):
        x = convert_element_type(x, new_dtype=target, weak_type=False)
        total = add(total, mul(x, HostArray(target.type(stride))))
    return total


def _flat_dtype(arrays: Any, dims: Any, dtype: Any) -> np.dtype:
    for x in arrays:
        if dtypes.kind(x.dtype) not in "iu":
            raise error(
                TypeError,
                "only int indices permitted.",
                got=x.aval.str_short(),
                fix="convert them with .astype(int).",
            )
    if dtype is None:
        pairs = tuple((x.dtype, x.weak_type) for x in arrays)
        target = dtypes.promoted((*pairs, (dtypes.default_int(), True)), "ravel_multi_index")[0]
    else:
        target = requested_dtype(dtype, "ravel_multi_index")
    if dtypes.kind(target) not in "iu" or math.prod(dims) - 1 > dtypes.iinfo(target).max:
        raise error(
            ValueError,
            f"dtype {dtypes.long_name(target)} cannot hold the flattened indices.",
            got=f"dims={dims}",
            fix="give an integer dtype that is wide enough.",
        )
    return target


def _inside(x: Any, n: int, mode: str) -> Any:
    if mode == "raise":
        fix = "use mode='wrap' or mode='clip'."
        value = concrete(x, "an index of jnp.ravel_multi_index with mode='raise'", fix)
        if ((value < 0) | (value >= n)).any():
            raise error(
                ValueError,
                "invalid entry in coordinates array.",
                got=f"an index outside 0 to {n - 1}",
                fix='correct it, or use mode="wrap" or "clip".',
            )
        return x
    if mode == "clip":
        return clamp(like(x, 0), x, like(x, n - 1))
    if mode == "wrap":
        return x % like(x, n)
    if mode == "ignore":
        return x
    raise error(
        ValueError,
        f"invalid mode={mode!r}. Expected 'raise', 'wrap', 'clip', or 'ignore'.",
        got=f"mode={mode!r}",
        fix="use one of them.",
    )
