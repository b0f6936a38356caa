"""What the operations of dense arrays do to sparse ones: one function for each, by its name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ... import lax
from ... import numpy as jnp
from ...core.errors import error
from .base import JAXSparse
from .bcoo.array import BCOO
from .bcoo.convolution import bcoo_conv_general_dilated
from .bcoo.duplicates import bcoo_sum_duplicates
from .bcoo.layout import (
    bcoo_broadcast_in_dim,
    bcoo_concatenate,
    bcoo_reshape,
    bcoo_rev,
    bcoo_squeeze,
    bcoo_transpose,
)
from .bcoo.products import (
    bcoo_dot_general,
    bcoo_multiply_dense,
    bcoo_multiply_sparse,
    bcoo_reduce_sum,
)
from .bcoo.slicing import bcoo_dynamic_slice, bcoo_gather, bcoo_slice

LINEAR = frozenset({"conj", "copy", "imag", "neg", "real", "name"})
"""Operations of each element that may be done before equal places are added up."""

KEEPS_ZERO = frozenset(
    (
        "abs",
        "asin",
        "asinh",
        "atan",
        "atanh",
        "bessel_i1e",
        "cbrt",
        "ceil",
        "convert_element_type",
        "erf",
        "erf_inv",
        "expm1",
        "floor",
        "log1p",
        "round",
        "sign",
        "sin",
        "sinh",
        "sqrt",
        "square",
        "tan",
        "tanh",
    )
)
"""Other operations that are zero at zero."""


def like(mat: Any, data: Any) -> Any:
    """An array of the places of `mat` with other elements."""
    out = object.__new__(type(mat))
    out.__dict__.update(mat.__dict__)
    out.data = data
    return out


def unique(mat: Any) -> Any:
    """The same array without equal places, and with as many stored elements."""
    if mat.unique_indices:
        return mat
    if isinstance(mat, BCOO):
        return bcoo_sum_duplicates(mat, nse=mat.nse)
    return mat.sum_duplicates(nse=mat.nse, remove_zeros=False)


def nonlinear(mat: Any, function: Callable[[Any], Any]) -> Any:
    """`function`, which is zero at zero, of each element of the array."""
    mat = unique(mat)
    return like(mat, function(mat.data))


def would_be_dense(name: str) -> NotImplementedError:
    """The error of an operation whose result has no zeros left out."""
    return error(
        NotImplementedError,
        f"sparse rule for {name} is not implemented: it would result in dense output, or Pullback "
        "knows no way to do it on sparse arrays.",
        got=f"{name} of a sparse array",
        fix="use sparse.todense() to convert your argument to a dense array.",
    )


def add(x: Any, y: Any) -> Any:
    """The sum: sparse for two sparse arrays, otherwise dense."""
    if isinstance(x, BCOO) and isinstance(y, BCOO):
        return _add_sparse(x, y)
    if isinstance(y, JAXSparse):
        x, y = y, x
    if np.shape(y) != x.shape and np.broadcast_shapes(np.shape(y), x.shape) != np.shape(y):
        raise error(
            NotImplementedError,
            "Addition between a sparse array X and a dense array Y is not implemented when the "
            "output shape is larger than Y.shape: it would silently make a large array dense.",
            got=f"{x} and a dense array of shape {np.shape(y)}",
            fix="use X.todense() + Y.",
        )
    return x.todense() + y


def _add_sparse(x: BCOO, y: BCOO) -> BCOO:
    if x.shape != y.shape:
        raise error(
            NotImplementedError,
            "Addition between sparse matrices of different shapes.",
            got=f"{x} and {y}",
            fix="broadcast one of them, or use .todense().",
        )
    if x.indices is y.indices:
        return like(x, x.data + y.data)
    if (x.n_batch, x.n_dense) != (y.n_batch, y.n_dense):
        raise error(
            NotImplementedError,
            "Addition between sparse matrices with different batch/dense dimensions.",
            got=f"{x} and {y}",
            fix="use .update_layout(n_batch=..., n_dense=...).",
        )
    n = x.n_batch
    buffers = []
    for a, b in ((x.data, y.data), (x.indices, y.indices)):
        batch = np.broadcast_shapes(a.shape[:n], b.shape[:n])
        spread = [jnp.broadcast_to(c, (*batch, *c.shape[n:])) for c in (a, b)]
        buffers.append(jnp.concatenate(spread, axis=n))
    return BCOO((buffers[0], buffers[1]), shape=x.shape)


def sub(x: Any, y: Any) -> Any:
    """The difference: sparse for two sparse arrays, otherwise dense."""
    if isinstance(y, BCOO):
        return add(x, like(y, -y.data))
    return add(x, -y)


def mul(x: Any, y: Any) -> BCOO:
    """The product, always sparse."""
    if isinstance(x, BCOO) and isinstance(y, BCOO):
        if x.indices is y.indices and x.unique_indices:
            return like(x, x.data * y.data)
        return bcoo_multiply_sparse(x, y)
    if isinstance(y, JAXSparse):
        x, y = y, x
    return like(x, bcoo_multiply_dense(x, y))  # type: ignore[no-any-return]


def div(x: Any, y: Any) -> BCOO:
    """A sparse array divided by a dense one."""
    if isinstance(y, JAXSparse):
        raise error(
            NotImplementedError,
            "Division by a sparse array is not implemented because it would result in dense "
            "output.",
            got=f"{x!r:.80} / {y}",
            fix="use sparse.todense() to convert your arguments to a dense array.",
        )
    if not np.ndim(y):
        return like(x, x.data / y)  # type: ignore[no-any-return]
    return like(x, bcoo_multiply_dense(x, 1 / y))  # type: ignore[no-any-return]


def integer_pow(x: Any, *, y: int) -> Any:
    """A positive power of each element."""
    if y <= 0:
        raise would_be_dense(f"integer_pow with non-positive exponent {y}")
    return nonlinear(x, lambda data: lax.integer_pow(data, y))


def reduce_sum(x: BCOO, *, axes: Any) -> Any:
    """The sum over `axes`; a dense scalar if no axis is left."""
    out = bcoo_reduce_sum(x, axes=axes)
    return out.data.sum(dtype=out.dtype) if not out.ndim else out


def _dot_general(
    x: Any, y: Any, *, dimension_numbers: Any, preferred_element_type: Any = None, **rest: Any
) -> Any:
    return bcoo_dot_general(
        x,
        y,
        dimension_numbers=dimension_numbers,
        preferred_element_type=preferred_element_type,
    )


def _stack(*xs: BCOO, axis: int) -> BCOO:
    shape = (*xs[0].shape[:axis], 1, *xs[0].shape[axis:])
    dims = [d for d in range(len(shape)) if d != axis]
    grown = [bcoo_broadcast_in_dim(x, shape=shape, broadcast_dimensions=dims) for x in xs]
    return bcoo_concatenate(grown, dimension=axis)


def _dynamic_slice(x: BCOO, *starts: Any, slice_sizes: Any) -> BCOO:
    return bcoo_dynamic_slice(x, starts, slice_sizes)


def _concatenate(*xs: Any, dimension: int) -> BCOO:
    return bcoo_concatenate(xs, dimension=dimension)


def _broadcast_in_dim(x: BCOO, *, shape: Any, broadcast_dimensions: Any) -> BCOO:
    return bcoo_broadcast_in_dim(x, shape=shape, broadcast_dimensions=broadcast_dimensions)


def _rev(x: BCOO, *, dimensions: Any) -> BCOO:
    return bcoo_rev(x, dimensions)


def _gather(x: BCOO, indices: Any, **params: Any) -> BCOO:
    if isinstance(x, JAXSparse) and not isinstance(indices, JAXSparse):
        return bcoo_gather(x, indices, **params)
    raise would_be_dense("gather with sparse indices")


RULES: dict[str, Callable[..., Any]] = {
    "add": add,
    "add_any": add,
    "broadcast_in_dim": _broadcast_in_dim,
    "concatenate": _concatenate,
    "conv_general_dilated": bcoo_conv_general_dilated,
    "div": div,
    "dot_general": _dot_general,
    "dynamic_slice": _dynamic_slice,
    "gather": _gather,
    "integer_pow": integer_pow,
    "mul": mul,
    "reduce_sum": reduce_sum,
    "reshape": bcoo_reshape,
    "rev": _rev,
    "slice": bcoo_slice,
    "squeeze": bcoo_squeeze,
    "stack": _stack,
    "sub": sub,
    "transpose": bcoo_transpose,
}
"""The rule of each operation that has one, by the name of the primitive."""
