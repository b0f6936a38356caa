"""BCOO: stored elements and the coordinates of each, with axes in front for batches, axes behind
for dense blocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .... import numpy as jnp
from ....core import dtypes
from ....core.errors import error
from ....transforms.batch import BatchTracer
from ....tree_util import register_pytree_node_class
from ..base import JAXSparse, SparseInfo


class Layout(NamedTuple):
    """How many axes are batches, have coordinates, are dense; and how many elements are stored."""

    n_batch: int
    n_sparse: int
    n_dense: int
    nse: int


@register_pytree_node_class
class BCOO(JAXSparse):
    """A sparse array: its stored elements and their coordinates.

    Args:
      args: ``(data, indices)``. `data` has the shape ``[*batch, nse, *dense]``, the integers
        `indices` ``[*batch, nse, n_sparse]``; batch axes of length 1 stand for any length.
      shape: the shape ``[*batch, *sparse, *dense]``.
      indices_sorted: whether the coordinates are known to be in lexicographic order.
      unique_indices: whether no place is known to be stored twice.

    Elements that are stored for one place are added. Elements whose coordinates lie beyond the
    shape count as not stored: so are arrays padded to a number of elements.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.experimental import sparse
      >>> m = sparse.BCOO((jnp.array([1.0, 3.0]), jnp.array([[0, 0], [1, 2]])), shape=(2, 3))
      >>> print(m, m @ jnp.ones(3))
      BCOO(float32[2, 3], nse=2) [1. 3.]
    """

    indices: Any
    indices_sorted: bool
    unique_indices: bool

    def __init__(
        self,
        args: tuple[Any, Any],
        *,
        shape: Sequence[int],
        indices_sorted: bool = False,
        unique_indices: bool = False,
    ) -> None:
        if len(args) != 2:
            raise error(
                ValueError,
                "BCOO takes a pair: the stored elements, and their indices.",
                got=f"{len(args)} arrays",
                fix="write BCOO((data, indices), shape=shape), or BCOO.fromdense(x).",
            )
        super().__init__(args, shape=shape)
        self.data, self.indices = (jnp.asarray(x) for x in args)
        self.indices_sorted, self.unique_indices = indices_sorted, unique_indices
        check_bcoo(self.data, self.indices, self.shape)

    @property
    def _info(self) -> SparseInfo:
        return SparseInfo(self.shape, self.indices_sorted, self.unique_indices)

    @property
    def _bufs(self) -> tuple[Any, Any]:
        return (self.data, self.indices)

    @property
    def nse(self) -> int:
        """The number of stored elements, of each batch."""
        return self.indices.shape[-2]  # type: ignore[no-any-return]

    @property
    def n_batch(self) -> int:
        """The number of batch axes."""
        return self.indices.ndim - 2  # type: ignore[no-any-return]

    @property
    def n_sparse(self) -> int:
        """The number of axes that have coordinates."""
        return self.indices.shape[-1]  # type: ignore[no-any-return]

    @property
    def n_dense(self) -> int:
        """The number of dense axes."""
        return self.data.ndim - 1 - self.n_batch  # type: ignore[no-any-return]

    @property
    def layout(self) -> Layout:
        """The four numbers together."""
        return Layout(self.n_batch, self.n_sparse, self.n_dense, self.nse)

    @property
    def parts(self) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        """The shape in parts: batch, sparse, dense."""
        a = self.n_batch
        b = a + self.n_sparse
        return self.shape[:a], self.shape[a:b], self.shape[b:]

    def describe(self) -> str:
        """What stands in the brackets of the repr."""
        extra = f", n_batch={self.n_batch}" if self.n_batch else ""
        return super().describe() + extra + (f", n_dense={self.n_dense}" if self.n_dense else "")

    def tree_flatten(self) -> tuple[tuple[Any, Any], SparseInfo]:
        """The buffers, and what is static."""
        return (self.data, self.indices), self._info

    @classmethod
    def tree_unflatten(cls, aux_data: Any, children: Any) -> BCOO:
        """The array of these buffers. Under vmap they have a batch axis less, or one more."""
        self = object.__new__(cls)
        self.data, self.indices = children
        if isinstance(self.indices, BatchTracer) and self.indices.ndim < 2:
            raise error(
                ValueError,
                "vmap can map a BCOO array over its batch axes only, and this one has none.",
                got=f"shape {aux_data[0]} with n_batch=0",
                fix="give it a batch axis with .update_layout(n_batch=1), or pass in_axes=None.",
            )
        shape, self.indices_sorted, self.unique_indices = aux_data
        self.shape = mapped_shape(self.data, self.indices, shape)
        return self


def mapped_shape(data: Any, indices: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of an array of these buffers that had `shape` when it was taken apart.

    vmap takes a batch axis out of the buffers or puts one in: that part is theirs to say.
    """
    try:
        n_batch, n_tail = indices.ndim - 2, data.ndim - 1 - indices.ndim + 2 + indices.shape[-1]
    except (AttributeError, IndexError, TypeError):
        return shape  # no arrays: this is a tree of something else, such as axes
    if n_batch < 0 or n_tail < 0 or n_batch + n_tail == len(shape) or n_tail > len(shape):
        return shape
    try:
        batch = np.broadcast_shapes(data.shape[:n_batch], indices.shape[:n_batch])
    except ValueError:
        return shape
    return (*batch, *shape[len(shape) - n_tail :])


def check_bcoo(data: Any, indices: Any, shape: tuple[int, ...]) -> Layout:
    """The layout of an array of these buffers; raises an error if they do not fit together."""
    layout = check_indices(indices, shape)
    n_batch, n_sparse, _, nse = layout
    fits = len(data.shape) >= n_batch and all(
        a in (1, b) for a, b in zip(data.shape[:n_batch], shape[:n_batch], strict=True)
    )
    if not fits or data.shape[n_batch:] != (nse, *shape[n_batch + n_sparse :]):
        raise error(
            ValueError,
            f"the stored elements do not fit: data.shape={tuple(data.shape)} is invalid for "
            f"nse={nse}, n_batch={n_batch} and shape={shape}.",
            got=f"data {tuple(data.shape)}, indices {tuple(indices.shape)}, shape {shape}",
            fix="data has the shape [*batch, nse, *dense], indices [*batch, nse, n_sparse]; batch "
            "axes may be of length 1.",
        )
    return layout


def check_indices(indices: Any, shape: tuple[int, ...]) -> Layout:
    """The layout of an array of this shape with these coordinates."""
    if dtypes.kind(indices.dtype) not in "iu" or len(indices.shape) < 2:
        raise error(
            TypeError if len(indices.shape) >= 2 else ValueError,
            "the indices of a sparse array are integers of shape [*batch, nse, n_sparse].",
            got=f"indices of shape {tuple(indices.shape)} and dtype {indices.dtype}",
            fix="give one row of coordinates for each stored element.",
        )
    nse, n_sparse = indices.shape[-2:]
    n_batch = len(indices.shape) - 2
    n_dense = len(shape) - n_batch - n_sparse
    batch = shape[:n_batch]
    if n_dense < 0 or any(a not in (1, b) for a, b in zip(indices.shape, batch, strict=False)):
        raise error(
            ValueError,
            "the batch axes of indices are not compatible with the shape of the sparse array: "
            f"indices.shape={tuple(indices.shape)}, shape={shape}.",
            got=f"n_batch={n_batch}, n_sparse={n_sparse}, {len(shape)} axes",
            fix="indices has the shape [*batch, nse, n_sparse]; the batch axes are the first of "
            "the array's, or of length 1.",
        )
    return Layout(n_batch, n_sparse, n_dense, nse)


# ---- what every operation needs


def batch_grid(shape: Sequence[int], n_extra: int = 1) -> tuple[Any, ...]:
    """For each batch axis its numbers, shaped to broadcast over all of them and `n_extra` more."""
    n = len(shape)
    return tuple(
        np.arange(d, dtype=np.int32).reshape((1,) * i + (d,) + (1,) * (n - i - 1 + n_extra))
        for i, d in enumerate(shape)
    )


def columns(indices: Any) -> tuple[Any, ...]:
    """The coordinates of each sparse axis."""
    return tuple(indices[..., i] for i in range(indices.shape[-1]))


def coordinates(indices: Any, shape: Sequence[int]) -> tuple[Any, ...]:
    """The index that finds all stored elements in the dense array, of all axes but dense ones."""
    return (*batch_grid(shape[: indices.ndim - 2]), *columns(indices))


def beyond(sparse_shape: Sequence[int], dtype: Any) -> Any:
    """The coordinates that mean: not stored."""
    return np.array(sparse_shape, dtype).reshape(len(sparse_shape))


def added(out: Any, where: tuple[Any, ...], data: Any) -> Any:
    """`out` with `data` added at the places `where`; those outside are left out."""
    if 0 in out.shape[: len(where)] or not data.size:
        return out
    return out.at[where].add(data, mode="drop")


def found(arr: Any, where: tuple[Any, ...]) -> Any:
    """The elements of `arr` at the places `where`, zero outside."""
    if 0 in arr.shape[: len(where)]:
        shape = np.broadcast_shapes(*(np.shape(c) for c in where))
        return jnp.zeros((*shape, *arr.shape[len(where) :]), arr.dtype)
    return arr.at[where].get(mode="fill", fill_value=0)


def is_stored(indices: Any, sparse_shape: Sequence[int]) -> Any:
    """Whether each row of coordinates lies inside the shape."""
    return jnp.all(indices < beyond(sparse_shape, indices.dtype), axis=-1)


def where_stored(mask: Any, data: Any, n_dense: int) -> Any:
    """`data` where `mask` holds, zero elsewhere."""
    mask = mask.reshape((*mask.shape, *(1,) * n_dense))
    return jnp.where(mask, data, jnp.zeros((), data.dtype))


def with_batch(x: Any, batch: Sequence[int]) -> Any:
    """`x` with its batch axes spread out to full length."""
    wanted = (*batch, *x.shape[len(batch) :])
    return x if x.shape == wanted else jnp.broadcast_to(x, wanted)


__all__ = [
    "BCOO",
    "Layout",
    "added",
    "batch_grid",
    "beyond",
    "check_bcoo",
    "check_indices",
    "columns",
    "coordinates",
    "found",
    "is_stored",
    "mapped_shape",
    "where_stored",
    "with_batch",
]
