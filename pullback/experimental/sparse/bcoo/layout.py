"""The shape and the layout of BCOO arrays: transpose, reshape, broadcast, concatenate, and which
axes are batches or dense."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from .... import lax
from .... import numpy as jnp
from ....core.errors import error, warn
from ..base import SparseEfficiencyError, SparseEfficiencyWarning
from .array import BCOO, added, batch_grid, beyond, columns, is_stored, with_batch
from .duplicates import set_nse


def bcoo_transpose(mat: BCOO, *, permutation: Sequence[int]) -> BCOO:
    """The array with its axes in another order, in which each kind of axes stays together.

    Raises:
      TypeError: `permutation` is none of the array's axes.
      NotImplementedError: it mixes batch, sparse and dense axes.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.experimental import sparse
      >>> m = sparse.BCOO.fromdense(jnp.array([[0.0, 2.0], [1.0, 0.0]]))
      >>> print(sparse.bcoo_transpose(m, permutation=(1, 0)).todense())
      [[0. 1.]
       [2. 0.]]
    """
    batch, sparse, dense = _permutation(mat, permutation)
    n = mat.n_batch
    indices = lax.transpose(mat.indices[..., sparse], [*batch, n, n + 1])
    data = lax.transpose(mat.data, [*batch, n, *(d + n + 1 for d in dense)])
    same = sparse == list(range(mat.n_sparse))
    return BCOO(
        (data, indices),
        shape=tuple(mat.shape[p] for p in permutation),
        indices_sorted=mat.indices_sorted and same,
        unique_indices=mat.unique_indices,
    )


def _permutation(mat: BCOO, permutation: Sequence[int]) -> tuple[list[int], list[int], list[int]]:
    """The order of the axes of each kind among themselves."""
    if not isinstance(permutation, (tuple, list, np.ndarray)):
        raise error(
            TypeError,
            "transpose permutation must be a tuple/list/ndarray.",
            got=f"{permutation!r}",
            fix="give the axes in their new order.",
        )
    order = [int(p) for p in permutation]
    if sorted(order) != list(range(mat.ndim)):
        raise error(
            TypeError,
            "transpose permutation isn't a permutation of operand dimensions.",
            got=f"permutation {tuple(order)} for shape {mat.shape}",
            fix="name each axis once, counting from 0.",
        )
    a, b = mat.n_batch, mat.n_batch + mat.n_sparse
    for kind, first, last in (("batch", 0, a), ("dense", b, mat.ndim)):
        if sorted(order[first:last]) != list(range(first, last)):
            raise error(
                NotImplementedError,
                f"transpose permutation cannot permute {kind} axes with non-{kind} axes.",
                got=f"permutation {tuple(order)} of {mat}",
                fix="change the layout first, with .update_layout(n_batch=..., n_dense=...).",
            )
    return order[:a], [p - a for p in order[a:b]], [p - b for p in order[b:]]


def bcoo_update_layout(
    mat: BCOO,
    *,
    n_batch: int | None = None,
    n_dense: int | None = None,
    on_inefficient: str | None = "error",
) -> BCOO:
    """The same array with other numbers of batch and dense axes.

    More batch or dense axes than before mean that zeros are stored.

    Args:
      mat: a sparse array.
      n_batch, n_dense: the new numbers; None keeps the old one.
      on_inefficient: what to do where an axis longer than 1 becomes a batch or dense axis: "error",
        "warn", or None for nothing.

    Raises:
      SparseEfficiencyError: zeros would be stored, and `on_inefficient` is "error".
      ValueError: the numbers do not fit the array.
    """
    new_batch = mat.n_batch if n_batch is None else operator.index(n_batch)
    new_dense = mat.n_dense if n_dense is None else operator.index(n_dense)
    if (new_batch, new_dense) == (mat.n_batch, mat.n_dense):
        return mat
    if on_inefficient not in ("error", "warn", None):
        raise error(
            ValueError,
            "on_inefficient must be 'error', 'warn' or None.",
            got=f"on_inefficient={on_inefficient!r}",
            fix="leave it out to get an error.",
        )
    if new_batch < 0 or new_dense < 0 or new_batch + new_dense > mat.ndim:
        raise error(
            ValueError,
            "n_batch and n_dense must be non-negative, and their sum cannot be larger than the "
            "number of axes.",
            got=f"n_batch={new_batch}, n_dense={new_dense} for {mat}",
            fix=f"let n_batch + n_dense be at most {mat.ndim}.",
        )
    _check_efficiency(mat, new_batch, new_dense, on_inefficient)
    if new_dense < mat.n_dense:
        mat = _fewer_dense(mat, new_dense)
    if new_batch < mat.n_batch:
        mat = _fewer_batches(mat, new_batch)
    if new_dense > mat.n_dense:
        mat = _more_dense(mat, new_dense)
    return _more_batches(mat, new_batch) if new_batch > mat.n_batch else mat


def _check_efficiency(mat: BCOO, n_batch: int, n_dense: int, act: str | None) -> None:
    end = mat.ndim - mat.n_dense
    for name, old, new, axes in (
        ("n_dense", mat.n_dense, n_dense, mat.shape[mat.ndim - n_dense : end]),
        ("n_batch", mat.n_batch, n_batch, mat.shape[mat.n_batch : n_batch]),
    ):
        if new <= old or act is None or all(d <= 1 for d in axes):
            continue
        text = (
            f"For matrix of shape {mat.shape}, increasing {name} from {old} to {new} results in "
            "inefficient storage."
        )
        if act == "warn":
            warn(text, SparseEfficiencyWarning)
        else:
            raise error(
                SparseEfficiencyError,
                text,
                got=repr(mat),
                fix="pass on_inefficient='warn' or None to do it all the same.",
            )


def _fewer_dense(mat: BCOO, n_dense: int) -> BCOO:
    """The first dense axes become sparse: each number of a block is stored for itself."""
    a, extra = mat.n_batch, mat.n_dense - n_dense
    block = mat.data.shape[a + 1 : a + 1 + extra]
    n = math.prod(block)
    batch = mat.indices.shape[:a]
    places = np.indices(block, np.int32).reshape((extra, n)).T if extra else np.zeros((1, 0))
    rows = jnp.broadcast_to(mat.indices[..., None, :], (*batch, mat.nse, n, mat.n_sparse))
    inner = jnp.broadcast_to(places.astype(mat.indices.dtype), (*batch, mat.nse, n, extra))
    indices = jnp.concatenate([rows, inner], axis=-1)
    indices = indices.reshape((*batch, mat.nse * n, mat.n_sparse + extra))
    data = mat.data.reshape((*mat.data.shape[:a], mat.nse * n, *mat.data.shape[a + 1 + extra :]))
    return BCOO((data, indices), shape=mat.shape)


def _fewer_batches(mat: BCOO, n_batch: int) -> BCOO:
    """The last batch axes become sparse."""
    a, extra = mat.n_batch, mat.n_batch - n_batch
    inner = mat.shape[n_batch:a]
    n = math.prod(inner) * mat.nse
    outer_d, outer_i = mat.data.shape[:n_batch], mat.indices.shape[:n_batch]
    data = with_batch(mat.data, (*outer_d, *inner))
    indices = with_batch(mat.indices, (*outer_i, *inner))
    grid = [
        jnp.broadcast_to(np.asarray(g, mat.indices.dtype), (*outer_i, *inner, mat.nse))
        for g in batch_grid(inner)
    ]
    indices = jnp.concatenate([jnp.stack(grid, axis=-1), indices], axis=-1)
    indices = indices.reshape((*outer_i, n, mat.n_sparse + extra))
    data = data.reshape((*outer_d, n, *data.shape[a + 1 :]))
    return BCOO((data, indices), shape=mat.shape)


def _more_dense(mat: BCOO, n_dense: int) -> BCOO:
    """The last sparse axes become dense: each element becomes a block that is otherwise zero."""
    a, extra = mat.n_batch, n_dense - mat.n_dense
    first = mat.n_sparse - extra
    batch = np.broadcast_shapes(mat.data.shape[:a], mat.indices.shape[:a])
    block = mat.shape[mat.ndim - n_dense :]
    data = with_batch(mat.data, batch)
    where = (*batch_grid((*batch, mat.nse), 0), *columns(mat.indices[..., first:]))
    out = jnp.zeros((*batch, mat.nse, *block), data.dtype)
    return BCOO((added(out, where, data), mat.indices[..., :first]), shape=mat.shape)


def _more_batches(mat: BCOO, n_batch: int) -> BCOO:
    """The first sparse axes become batches: each has all elements, zero where they are not its."""
    a, extra = mat.n_batch, n_batch - mat.n_batch
    inner = mat.shape[a:n_batch]
    batch = np.broadcast_shapes(mat.data.shape[:a], mat.indices.shape[:a])
    data, indices = with_batch(mat.data, batch), with_batch(mat.indices, batch)
    places = batch_grid((*batch, mat.nse), 0)
    where = (*places[:-1], *columns(indices[..., :extra]), places[-1])
    out = jnp.zeros((*batch, *inner, mat.nse, *data.shape[a + 1 :]), data.dtype)
    rest = indices[..., extra:].reshape((*batch, *(1,) * extra, mat.nse, mat.n_sparse - extra))
    rest = jnp.broadcast_to(rest, (*batch, *inner, *rest.shape[-2:]))
    return BCOO((added(out, where, data), rest), shape=mat.shape)


def bcoo_broadcast_in_dim(
    mat: BCOO, *, shape: Sequence[int], broadcast_dimensions: Sequence[int], sharding: Any = None
) -> BCOO:
    """`lax.broadcast_in_dim` of a sparse array. New axes in front are batches.

    Raises:
      ValueError: the dimensions mix batch, sparse and dense axes.
      NotImplementedError: a new sparse axis is longer than 1.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.experimental import sparse
      >>> m = sparse.BCOO.fromdense(jnp.array([[0.0, 2.0], [1.0, 0.0]]))
      >>> print(sparse.bcoo_broadcast_in_dim(m, shape=(1, 2, 2), broadcast_dimensions=(1, 2)).shape)
      (1, 2, 2)
    """
    shape, dims = tuple(shape), [operator.index(d) for d in broadcast_dimensions]
    a, n_sparse, n_dense, nse = mat.layout
    if len(dims) != mat.ndim:
        raise error(
            ValueError,
            "broadcast_dimensions must have one entry for each axis of the array.",
            got=f"broadcast_dimensions={tuple(dims)} for {mat}",
            fix="name the axis of the result for each axis of the array.",
        )
    batch, sparse, dense = dims[:a], dims[a : a + n_sparse], dims[a + n_sparse :]
    if dims != sorted(dims):
        raise error(
            ValueError,
            "Cannot mix batch, sparse and dense dimensions during broadcast_in_dim.",
            got=f"broadcast_dimensions={tuple(dims)} of {mat}",
            fix="keep the order of the axes.",
        )
    new_batch = min(dims[a:], default=len(shape))
    new_dense = len(shape) - min(dense) if n_dense else 0
    new_sparse = len(shape) - new_batch - new_dense
    if math.prod(mat.parts[1]) != math.prod(shape[new_batch : new_batch + new_sparse]):
        raise error(
            NotImplementedError,
            "Adding sparse dimensions with lengths != 1.",
            got=f"shape {shape} from {mat}",
            fix="make the axis a batch: put it in front.",
        )
    data = lax.broadcast_in_dim(
        mat.data,
        (*shape[:new_batch], nse, *shape[new_batch + new_sparse :]),
        (*batch, new_batch, *(d + 1 - new_sparse for d in dense)),
    )
    indices = lax.broadcast_in_dim(
        mat.indices, (*shape[:new_batch], nse, n_sparse), (*batch, new_batch, new_batch + 1)
    )
    if new_sparse != n_sparse:
        # An axis of length 1 has the coordinate 0; where nothing is stored others lie outside.
        zero = jnp.zeros(indices.shape[:-1], indices.dtype)
        found = dict(zip((d - new_batch for d in sparse), columns(indices), strict=True))
        cols = [found.get(i, zero) for i in range(new_sparse)]
        indices = jnp.stack(cols, axis=-1) if cols else indices[..., :0]
    return BCOO((data, indices), shape=shape)


def bcoo_concatenate(operands: Sequence[BCOO], *, dimension: int) -> BCOO:
    """`lax.concatenate` of sparse arrays, along a batch axis or a sparse one.

    Raises:
      ValueError: an operand is not a BCOO, or the layouts differ.
      NotImplementedError: the axis is dense, or batches are broadcast.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.experimental import sparse
      >>> m = sparse.BCOO.fromdense(jnp.array([[0.0, 2.0], [1.0, 0.0]]))
      >>> print(sparse.bcoo_concatenate([m, m], dimension=1).todense())
      [[0. 2. 0. 2.]
       [1. 0. 1. 0.]]
    """
    operands, dimension = list(operands), operator.index(dimension)
    if not operands or not all(isinstance(op, BCOO) for op in operands):
        raise error(
            ValueError,
            "bcoo_concatenate: expected operands to be a sequence of BCOO arrays.",
            got=f"{operands!r:.200}",
            fix="convert the dense ones with BCOO.fromdense.",
        )
    # The shapes must fit: the type of the dense result says so.
    shapes = [jnp.broadcast_to(np.zeros((), bool), op.shape) for op in operands]
    out_shape = lax.concatenate(shapes, dimension).shape
    operands = _same_batches(operands)
    layouts = {(op.n_batch, op.n_dense) for op in operands}
    if len(layouts) != 1:
        raise error(
            ValueError,
            "bcoo_concatenate requires inputs to have matching batch and dense dimensions.",
            got=", ".join(map(repr, operands)),
            fix="use .update_layout(n_batch=..., n_dense=...).",
        )
    n_batch, n_sparse = operands[0].n_batch, operands[0].n_sparse
    if dimension < n_batch:
        operands = [_spread(op, dimension) for op in operands]
    for buffers in ([op.data for op in operands], [op.indices for op in operands]):
        batches = {
            tuple(d for i, d in enumerate(x.shape[:n_batch]) if i != dimension) for x in buffers
        }
        if len(batches) != 1:
            raise error(
                NotImplementedError,
                "concatenation of arrays with broadcasted batch indices.",
                got=", ".join(map(repr, operands)),
                fix="use .update_layout(n_batch=0) on the operands.",
            )
    if dimension < n_batch:
        nse = max(op.nse for op in operands)
        operands = [set_nse(op, nse) for op in operands]
        data = lax.concatenate([op.data for op in operands], dimension)
        indices = lax.concatenate([op.indices for op in operands], dimension)
    elif dimension < n_batch + n_sparse:
        data = lax.concatenate([op.data for op in operands], n_batch)
        indices = _shifted_indices(operands, dimension, out_shape[n_batch : n_batch + n_sparse])
    else:
        raise error(
            NotImplementedError,
            "Concatenation along dense dimensions.",
            got=f"dimension={dimension} of {operands[0]}",
            fix="make the axis sparse with .update_layout(n_dense=...).",
        )
    return BCOO((data, indices), shape=out_shape)


def _same_batches(operands: list[BCOO]) -> list[BCOO]:
    # The common case of op[None, :], which has one batch of length 1.
    if {op.n_batch for op in operands} != {0, 1}:
        return operands
    for n in (1, 0):
        others = [op for op in operands if op.n_batch != n]
        if all(op.shape[0] == 1 for op in others):
            return [bcoo_update_layout(op, n_batch=n) for op in operands]
    return operands


def _spread(mat: BCOO, axis: int) -> BCOO:
    """The same array with the buffers' batch axis `axis` at full length."""
    full = [with_batch(x, (*x.shape[:axis], mat.shape[axis])) for x in (mat.data, mat.indices)]
    return BCOO((full[0], full[1]), **mat._info._asdict())


def _shifted_indices(operands: list[BCOO], dimension: int, sparse_shape: Sequence[int]) -> Any:
    n_batch = operands[0].n_batch
    found, offset = [], 0
    for op in operands:
        shift = np.zeros(op.n_sparse, op.indices.dtype)
        shift[dimension - n_batch] = offset
        # What lies outside its own array must not come to lie inside the next one.
        stored = is_stored(op.indices, op.parts[1])[..., None]
        found.append(jnp.where(stored, op.indices + shift, beyond(sparse_shape, shift.dtype)))
        offset += op.shape[dimension]
    return lax.concatenate(found, n_batch)


def bcoo_reshape(
    mat: BCOO,
    *,
    new_sizes: Sequence[int],
    dimensions: Sequence[int] | None = None,
    sharding: Any = None,
) -> BCOO:
    """`lax.reshape` of a sparse array, which must not mix batch, sparse and dense axes.

    Raises:
      ValueError: the sizes differ, or the new shape mixes axes of different kinds.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.experimental import sparse
      >>> m = sparse.BCOO.fromdense(jnp.array([[0.0, 2.0], [1.0, 0.0]]))
      >>> print(sparse.bcoo_reshape(m, new_sizes=(4,)).todense())
      [0. 2. 1. 0.]
    """
    sizes = tuple(map(operator.index, new_sizes))
    if math.prod(sizes) != mat.size:
        raise error(
            ValueError,
            "bcoo_reshape: the new shape has another number of elements.",
            got=f"new_sizes={sizes} for {mat}",
            fix="keep the number of elements.",
        )
    if dimensions is not None:
        mat = bcoo_transpose(mat, permutation=tuple(dimensions))
    batch, sparse, _ = mat.parts
    b_end = _boundary(sizes, math.prod(batch), mat)
    s_end = max(b_end, _boundary(sizes, math.prod(batch) * math.prod(sparse), mat))
    new_batch, new_sparse, new_dense = sizes[:b_end], sizes[b_end:s_end], sizes[s_end:]
    data = with_batch(mat.data, batch).reshape((*new_batch, mat.nse, *new_dense))
    indices = with_batch(mat.indices, batch).reshape((*new_batch, mat.nse, mat.n_sparse))
    stored = is_stored(indices, sparse)
    flat = jnp.zeros(indices.shape[:-1], indices.dtype)
    for c, d in zip(columns(indices), sparse, strict=True):
        flat = flat * np.asarray(d, flat.dtype) + jnp.where(stored, c, 0)
    found = []
    for d in reversed(new_sparse):
        found.append(jnp.where(stored, flat % max(d, 1), d))
        flat = flat // max(d, 1)
    indices = jnp.stack(found[::-1], axis=-1) if found else indices[..., :0]
    if mat.n_sparse and not new_sparse:
        shape = (*stored.shape, *(1,) * len(new_dense))
        data = jnp.where(stored.reshape(shape), data, jnp.zeros((), data.dtype))
    return BCOO((data, indices), shape=sizes)


def _boundary(sizes: tuple[int, ...], n: int, mat: BCOO) -> int:
    """How many of the new axes come before the place where the old ones change their kind."""
    total = 1
    last = None
    for i, d in enumerate((*sizes, None)):
        if total == n:
            last = i  # axes of length 1 stay with those before them
        if d is None:
            break
        total *= d
    if last is None:
        raise _mixed(mat, sizes)
    return last


def _mixed(mat: BCOO, sizes: tuple[int, ...]) -> ValueError:
    return error(
        ValueError,
        "bcoo_reshape: new shape cannot mix batch, sparse and dense dimensions; "
        f"got shape={mat.shape} new_shape={sizes} with n_batch={mat.n_batch}, "
        f"n_dense={mat.n_dense}.",
        got=repr(mat),
        fix="make all axes sparse with .update_layout(n_batch=0, n_dense=0).",
    )


def bcoo_squeeze(arr: BCOO, *, dimensions: Sequence[int]) -> BCOO:
    """`lax.squeeze` of a sparse array: axes of length 1 are left out.

    Raises:
      ValueError: an axis is not of length 1.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.experimental import sparse
      >>> m = sparse.BCOO.fromdense(jnp.array([[0.0, 2.0], [1.0, 0.0]]))
      >>> print(sparse.bcoo_squeeze(m[:1], dimensions=(0,)).todense())
      [0. 2.]
    """
    dims = {d + arr.ndim if d < 0 else d for d in map(operator.index, dimensions)}
    if any(not 0 <= d < arr.ndim or arr.shape[d] != 1 for d in dims):
        raise error(
            ValueError,
            "cannot select an axis to squeeze out which has size not equal to one.",
            got=f"shape={arr.shape}, dimensions={tuple(dimensions)}",
            fix="name axes of length 1.",
        )
    a, n_sparse = arr.n_batch, arr.n_sparse
    batch = [d for d in dims if d < a]
    kept = [i for i in range(n_sparse) if i + a not in dims]
    dense = [d - n_sparse + 1 for d in dims if d >= a + n_sparse]
    data = arr.data
    if len(kept) != n_sparse:
        # The coordinate that is left out may have said that nothing is stored.
        stored = is_stored(arr.indices, arr.parts[1])
        stored = stored.reshape((*stored.shape, *(1,) * arr.n_dense))
        data = jnp.where(stored, data, jnp.zeros((), data.dtype))
    return BCOO(
        (lax.squeeze(data, [*batch, *dense]), lax.squeeze(arr.indices[..., kept], batch)),
        shape=tuple(d for i, d in enumerate(arr.shape) if i not in dims),
        indices_sorted=arr.indices_sorted,
        unique_indices=arr.unique_indices,
    )


def bcoo_rev(operand: BCOO, dimensions: Sequence[int]) -> BCOO:
    """`lax.rev` of a sparse array: the axes `dimensions` reversed."""
    a, n_sparse = operand.n_batch, operand.n_sparse
    dims = [operator.index(d) for d in dimensions]
    if len(set(dims)) != len(dims) or any(not 0 <= d < operand.ndim for d in dims):
        raise error(
            ValueError,
            "rev dimensions must be unique and in bounds.",
            got=f"dimensions={tuple(dims)} of {operand}",
            fix="name each axis once, counting from 0.",
        )
    batch = [d for d in dims if d < a]
    dense = [d + 1 - n_sparse for d in dims if d >= a + n_sparse]
    data, indices = lax.rev(operand.data, [*batch, *dense]), lax.rev(operand.indices, batch)
    sparse = operand.parts[1]
    turned = np.array([i + a in dims for i in range(n_sparse)], bool)
    if turned.any():
        last = beyond(sparse, indices.dtype) - np.ones((), indices.dtype)
        stored = is_stored(indices, sparse)[..., None]
        back = jnp.where(turned, last - indices, indices)
        indices = jnp.where(stored, back, beyond(sparse, indices.dtype))
    return BCOO((data, indices), shape=operand.shape, unique_indices=operand.unique_indices)


__all__ = [
    "bcoo_broadcast_in_dim",
    "bcoo_concatenate",
    "bcoo_reshape",
    "bcoo_rev",
    "bcoo_squeeze",
    "bcoo_transpose",
    "bcoo_update_layout",
]
