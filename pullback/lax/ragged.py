"""Rows in groups of different lengths: products with a matrix for each group, and an exchange."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..core import dtypes
from ..core.array import Array
from ..core.errors import error
from ..core.trace import type_of
from ..numpy.taking import taken
from ..ops.comparison import and_, ge, lt
from ..ops.cumulative import cumsum
from ..ops.elementwise import select_n, sub
from ..ops.indexing import CLIP
from ..ops.structural import broadcast_in_dim, iota, move_axis, transpose, zero_like, zeros_of
from .arguments import as_array
from .collectives import all_gather, axis_index, axis_size
from .contraction import PrecisionLike, dot_general
from .slicing import dynamic_index_in_dim


class RaggedDotDimensionNumbers:
    """Which axes of a ragged product are what.

    Args:
      dot_dimension_numbers: as for `dot_general`.
      lhs_ragged_dimensions: the one axis of lhs that the groups are parts of.
      rhs_group_dimensions: the axis of rhs that counts the groups; empty if a contracted or batch
        axis is ragged.
    """

    def __init__(
        self,
        dot_dimension_numbers: Any,
        lhs_ragged_dimensions: Sequence[int],
        rhs_group_dimensions: Sequence[int],
    ) -> None:
        (a, b), (c, d) = dot_dimension_numbers
        self.dot_dimension_numbers = ((tuple(a), tuple(b)), (tuple(c), tuple(d)))
        self.lhs_ragged_dimensions = tuple(lhs_ragged_dimensions)
        self.rhs_group_dimensions = tuple(rhs_group_dimensions)

    def _key(self) -> Any:
        return self.dot_dimension_numbers, self.lhs_ragged_dimensions, self.rhs_group_dimensions

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RaggedDotDimensionNumbers) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        return (
            f"RaggedDotDimensionNumbers(dot_dimension_numbers={self.dot_dimension_numbers}, "
            f"lhs_ragged_dimensions={self.lhs_ragged_dimensions}, "
            f"rhs_group_dimensions={self.rhs_group_dimensions})"
        )


_ROWS = RaggedDotDimensionNumbers((((1,), (1,)), ((), ())), (0,), (0,))


def ragged_dot(
    lhs: Any,
    rhs: Any,
    group_sizes: Any,
    precision: PrecisionLike = None,
    preferred_element_type: Any = None,
    group_offset: Any = None,
    out_sharding: Any = None,
) -> Array:
    """The rows of `lhs`, in groups, each times the matrix of its group.

    Args:
      lhs: an array of shape (m, k).
      rhs: an array of shape (g, k, n): a matrix for each group.
      group_sizes: g integers: how many rows each group has. Rows after all groups give zeros.
      precision, preferred_element_type, out_sharding: as for `dot_general`.
      group_offset: must be None.

    Returns:
      An array of shape (m, n). It costs as much as g products of all rows.

    Raises:
      TypeError: shapes or dtypes do not fit together.

    Example:
      >>> from pullback import lax
      >>> import pullback.numpy as jnp
      >>> x, w = jnp.ones((3, 1)), jnp.array([[[1.0]], [[5.0]]])
      >>> print(lax.ragged_dot(x, w, jnp.array([1, 2])).ravel())
      [1. 5. 5.]
    """
    return ragged_dot_general(
        lhs,
        rhs,
        group_sizes,
        _ROWS,
        precision=precision,
        preferred_element_type=preferred_element_type,
        group_offset=group_offset,
        out_sharding=out_sharding,
    )


def ragged_dot_general(
    lhs: Any,
    rhs: Any,
    group_sizes: Any,
    ragged_dot_dimension_numbers: RaggedDotDimensionNumbers,
    precision: PrecisionLike = None,
    preferred_element_type: Any = None,
    group_offset: Any = None,
    out_sharding: Any = None,
) -> Array:
    """`dot_general` where one axis of `lhs` is made of groups of different lengths.

    Args:
      lhs, rhs: arrays.
      group_sizes: integers, one for each group; axes in front are those of the batch.
      ragged_dot_dimension_numbers: the axes of the product, the ragged one, and that of the groups.
      precision, preferred_element_type, out_sharding: as for `dot_general`.
      group_offset: must be None.

    Returns:
      If the ragged axis is a free one: as `dot_general`, each part with its group of `rhs`. If it
      is contracted: one product for each group, the groups in front. If it is a batch axis: as
      `dot_general`. It costs as much as one product for each group.

    Raises:
      TypeError: shapes, dtypes or axes do not fit together.
      NotImplementedError: with a group_offset.
    """
    name = "ragged_dot_general"
    x, w = as_array(lhs, name), as_array(rhs, name)
    sizes = as_array(group_sizes, name)
    numbers = ragged_dot_dimension_numbers
    if group_offset is not None:
        raise error(
            NotImplementedError,
            "ragged products with a group_offset do not exist here.",
            got=f"group_offset={group_offset!r:.80}",
            fix="cut out the groups of rhs before.",
        )
    (x_sum, w_sum), (x_batch, w_batch) = numbers.dot_dimension_numbers
    _check(x, w, sizes, numbers)
    (ragged,) = numbers.lhs_ragged_dimensions
    wanted = {"precision": precision, "preferred_element_type": preferred_element_type}
    if ragged in x_batch:
        return dot_general(x, w, numbers.dot_dimension_numbers, **wanted)
    parts = _in_groups(x, sizes, ragged, x_batch)
    x_sum, x_batch = tuple(i + 1 for i in x_sum), tuple(i + 1 for i in x_batch)
    if ragged + 1 in x_sum:
        product = dot_general(parts, w, ((x_sum, w_sum), (x_batch, w_batch)), **wanted)
        return move_axis(product, len(x_batch), 0)  # type: ignore[no-any-return]
    (group,) = numbers.rhs_group_dimensions
    pairs = (((0, *x_sum), (group, *w_sum)), (x_batch, w_batch))
    return dot_general(parts, w, pairs, **wanted)


def _check(x: Any, w: Any, sizes: Any, numbers: RaggedDotDimensionNumbers) -> None:
    ragged, groups = numbers.lhs_ragged_dimensions, numbers.rhs_group_dimensions
    (x_sum, w_sum), (x_batch, w_batch) = numbers.dot_dimension_numbers
    flaw = None
    if len(ragged) != 1 or not 0 <= ragged[0] < len(x.shape):
        flaw = "lhs needs exactly one ragged axis"
    elif dtypes.kind(sizes.dtype) not in "iu":
        flaw = "group sizes must be integers"
    elif len(sizes.shape) < 1:
        flaw = "group sizes must be an array"
    elif ragged[0] not in (*x_sum, *x_batch):
        if len(groups) != 1 or groups[0] in (*w_sum, *w_batch):
            flaw = "rhs needs exactly one group axis, where a free axis of lhs is ragged"
        elif w.shape[groups[0]] != sizes.shape[-1]:
            flaw = f"rhs has {w.shape[groups[0]]} groups, but there are {sizes.shape[-1]} sizes"
    elif groups:
        flaw = "rhs has no group axis where a contracted or batch axis of lhs is ragged"
    front = tuple(x.shape[i] for i in x_batch)
    if flaw is None and sizes.shape[:-1] not in ((), front) and ragged[0] not in x_batch:
        flaw = f"group sizes need the shape of the batch, {front}, in front, or nothing"
    if flaw is not None:
        raise error(
            TypeError,
            f"ragged_dot_general: {flaw}.",
            got=f"{type_of(x).str_short()}, {type_of(w).str_short()}, group sizes "
            f"{type_of(sizes).str_short()}, {numbers}",
            fix="see RaggedDotDimensionNumbers for what each of them means.",
        )


def _in_groups(x: Any, sizes: Any, ragged: int, batch: tuple[int, ...]) -> Any:
    """`x` once for each group, a new axis in front, with zeros where it is in another group."""
    last = len(sizes.shape) - 1
    stops = cumsum(sizes, axis=last, reverse=False)
    starts = sub(stops, sizes)
    count = sizes.shape[-1]
    shape = (count, *x.shape)
    order: tuple[int, ...] = (0,)
    if last:  # the axes of `sizes` are those of the batch, then the groups
        by = sorted(range(last), key=lambda i: batch[i])
        starts, stops = (transpose(a, permutation=(last, *by)) for a in (starts, stops))
        order = (0, *(batch[i] + 1 for i in by))
    low, high = (
        broadcast_in_dim(a, shape=shape, broadcast_dimensions=order) for a in (starts, stops)
    )
    place = iota(dtype=sizes.dtype, shape=shape, dimension=ragged + 1)
    inside = and_(ge(place, low), lt(place, high))
    wide = broadcast_in_dim(x, shape=shape, broadcast_dimensions=tuple(range(1, len(shape))))
    return select_n(inside, zeros_of(wide), wide)


def ragged_all_to_all(
    operand: Any,
    output: Any,
    input_offsets: Any,
    send_sizes: Any,
    output_offsets: Any,
    recv_sizes: Any,
    *,
    axis_name: Any,
    axis_index_groups: Any = None,
) -> Array:
    """Each element along a named axis sends slices, of sizes of its own, to each other one.

    Args:
      operand: an array: slices along its first axis are sent.
      output: an array into which those that arrive are written; the rest of it stays.
      input_offsets: where in `operand` the slices begin; as many for each receiver, in their order.
      send_sizes: the lengths of the slices.
      output_offsets: where in the receiver's `output` they are written.
      recv_sizes: the lengths of the slices that arrive.
      axis_name: the name given to `vmap`.
      axis_index_groups: must be None.

    Raises:
      ValueError, TypeError: the numbers of slices, shapes or dtypes do not fit together.
      NotImplementedError: with axis_index_groups.

    Example:
      >>> import pullback
      >>> import pullback.numpy as jnp
      >>> from pullback import lax
      >>> def exchange(x, sizes, offsets, recv):
      ...     start = jnp.cumsum(sizes) - sizes
      ...     return lax.ragged_all_to_all(
      ...         x, jnp.zeros(3), start, sizes, offsets, recv, axis_name="i"
      ...     )
      >>> x = jnp.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
      >>> sizes, offsets = jnp.array([[1, 2], [0, 1]]), jnp.array([[0, 0], [1, 2]])
      >>> print(pullback.vmap(exchange, axis_name="i")(x, sizes, offsets, sizes.T))
      [[1. 0. 0.]
       [2. 3. 4.]]
    """
    name = "ragged_all_to_all"
    x, out = as_array(operand, name), as_array(output, name)
    tables = [as_array(t, name) for t in (input_offsets, send_sizes, output_offsets, recv_sizes)]
    if axis_index_groups is not None:
        raise error(
            NotImplementedError,
            "ragged_all_to_all in groups does not exist here.",
            got=f"axis_index_groups={axis_index_groups!r:.80}",
            fix="leave it out: all elements along the axis are one group.",
        )
    count = axis_size(axis_name)
    _check_exchange(x, out, tables, count)
    me = axis_index(axis_name)
    everything = all_gather(x, axis_name)
    # For each sender the numbers of the slices that come here.
    starts, sizes, places = (
        dynamic_index_in_dim(
            all_gather(t, axis_name).reshape(count, count, -1), me, 1, keepdims=False
        )
        for t in tables[:3]
    )
    at = iota(dtype=starts.dtype, shape=(out.shape[0],), dimension=0)
    for sender in range(count):
        for i in range(starts.shape[1]):
            offset = sub(at, places[sender, i])
            inside = and_(ge(offset, zeros_of(offset)), lt(offset, sizes[sender, i]))
            found = _rows(everything[sender], offset + starts[sender, i])
            mask = broadcast_in_dim(inside, shape=out.shape, broadcast_dimensions=(0,))
            out = select_n(mask, out, found)
    return out  # type: ignore[no-any-return]


def _rows(x: Any, places: Any) -> Any:
    """The rows of `x` at `places`, or at the nearest ones that there are."""
    if not x.shape[0]:
        shape = (*places.shape, *x.shape[1:])
        return broadcast_in_dim(zero_like(x), shape=shape, broadcast_dimensions=())
    return taken(x, places, 0, CLIP)


def _check_exchange(x: Any, out: Any, tables: list[Any], count: int) -> None:
    shapes = {t.shape for t in tables}
    kind: type[Exception] = ValueError
    flaw = None
    if any(dtypes.kind(t.dtype) not in "iu" for t in tables):
        kind, flaw = TypeError, "offsets and sizes must be integers"
    elif len(shapes) != 1 or len(tables[0].shape) != 1 or not tables[0].shape[0]:
        flaw = "offsets and sizes must be four arrays of one length with one axis"
    elif tables[0].shape[0] % count:
        flaw = f"their length must be a multiple of the {count} elements along the axis"
    elif not x.shape or x.dtype != out.dtype or x.shape[1:] != out.shape[1:]:
        flaw = "operand and output must agree in dtype and in all axes but the first"
    if flaw is not None:
        arrays = ", ".join(type_of(a).str_short() for a in (x, out, *tables))
        raise error(
            kind,
            f"ragged_all_to_all: {flaw}.",
            got=arrays,
            fix="give operand, output, and one offset and size for each slice.",
        )
