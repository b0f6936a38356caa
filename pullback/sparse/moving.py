"""Index sets through primitives that move elements: they run on the row numbers themselves.

Where it is not known which element is moved, because an index is computed from the inputs, each
may be: the sets are first united along the axes that the index chooses on.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..ops import indexing
from ..ops.dynamic import dynamic_slice, dynamic_update_slice
from ..ops.elementwise import select_n
from ..ops.slicing import concatenate, pad, slice_, split
from ..ops.stacking import stack, tile, unstack
from ..ops.structural import broadcast_in_dim, copy, reshape, rev, squeeze, transpose
from ..ops.windows import as_gather, window_sizes
from .index_sets import EMPTY, IndexSets, empty, gathered, reduced, smeared, union
from .values import Call, Rule

Found = list[IndexSets | None]


def moved(call: Call) -> Found:
    """The primitive does to the sets what it does to the elements; no operand is an index."""
    sets = call.same_table()
    out = call.primitive.eval(*[s.ids for s in sets], **call.params)
    outs = out if call.primitive.multiple_results else [out]
    return [sets[0].moved(y) for y in outs]


def unchanged(call: Call) -> Found:
    """Each result is the operand of its number."""
    return [v.sets for v in call.ins[: len(call.outs)]]


def selected(call: Call) -> Found:
    """The case that is chosen, or any of them where that is not known."""
    which, *cases = call.ins
    if which.is_known:
        sets = call.same_table(range(1, len(call.ins)))
        return [sets[0].moved(select_n.eval(which.number, *[s.ids for s in sets]))]
    return [union([v.sets for v in cases], call.shape)]


# ---- reading


def dynamically_sliced(call: Call) -> Found:
    x, *starts = call.ins
    sizes = call.params["slice_sizes"]
    if x.sets is None:
        return [None]
    if all(s.is_known for s in starts):
        return [x.sets.moved(dynamic_slice.eval(x.sets.ids, *_numbers(starts), **call.params))]
    axes = [d for d, n in enumerate(x.shape) if sizes[d] != n and not starts[d].is_known]
    at = [s.number if s.is_known else np.int32(0) for s in starts]
    sets = smeared(x.sets, axes)
    return [sets.moved(dynamic_slice.eval(sets.ids, *at, **call.params))]


def taken(call: Call) -> Found:
    """gather."""
    x, indices = call.ins
    if x.sets is None:
        return [None]
    params = {**call.params, "fill_value": EMPTY}
    if indices.is_known:
        return [x.sets.moved(indexing.gather.eval(x.sets.ids, indices.number, **params))]
    numbers, sizes = params["dimension_numbers"], params["slice_sizes"]
    chosen = [d for d in numbers.start_index_map if sizes[d] != x.shape[d]]
    sets = smeared(x.sets, chosen)
    at = np.zeros(indices.shape, np.int32)
    return [sets.moved(indexing.gather.eval(sets.ids, at, **{**params, "mode": indexing.CLIP}))]


# ---- writing


def dynamically_updated(call: Call) -> Found:
    x, update, *starts = call.ins
    if all(s.is_known for s in starts):
        old, new = call.same_table([0, 1])
        return [old.moved(dynamic_update_slice.eval(old.ids, new.ids, *_numbers(starts)))]
    if update.sets is None:
        return [x.sets]
    axes = [d for d, n in enumerate(x.shape) if update.shape[d] != n]
    new = reduced(update.sets, axes, keep=True)
    return [union([x.sets, new.moved(np.broadcast_to(new.ids, x.shape))], x.shape)]


def scattered(call: Call) -> Found:
    """All scatters: the old element and each update that may meet it."""
    x, indices, updates = call.ins
    if not updates.aval.size:
        return [x.sets]
    numbers = call.params["dimension_numbers"]
    sizes = window_sizes(x.shape, updates.shape, numbers)
    if not indices.is_known:
        return [_scattered_anywhere(call, sizes)]
    mode = indexing.CLIP if call.params["mode"] is indexing.CLIP else indexing.FILL_OR_DROP
    places = indexing.gather.eval(
        np.arange(x.aval.size).reshape(x.shape),
        indices.number,
        dimension_numbers=as_gather(numbers),
        slice_sizes=sizes,
        mode=mode,
        fill_value=-1,
    )
    hit = places >= 0
    old, new = call.same_table([0, 2])
    kept = old.flat
    if call.primitive is indexing.scatter:
        kept = kept.copy()
        kept[places[hit]] = EMPTY
    groups = np.concatenate([np.arange(kept.size), places[hit]])
    return [gathered(groups, np.concatenate([kept, new.ids[hit]]), old.rows, x.shape)]


def _scattered_anywhere(call: Call, sizes: Any) -> IndexSets | None:
    """Where an update goes is not known, but on the axes that its window fills, or that run
    together with one of the indices."""
    x, _, updates = call.ins
    if updates.sets is None:
        return x.sets
    numbers = call.params["dimension_numbers"]
    hidden = {*numbers.inserted_window_dims, *numbers.operand_batching_dims}
    visible = [d for d in range(len(x.shape)) if d not in hidden]
    of_axis = dict(zip(visible, numbers.update_window_dims, strict=True))
    outside = [d for d in range(len(updates.shape)) if d not in numbers.update_window_dims]
    batching = zip(
        numbers.operand_batching_dims, numbers.scatter_indices_batching_dims, strict=True
    )
    of_axis |= {d: outside[i] for d, i in batching}
    kept = {d: u for d, u in of_axis.items() if updates.shape[u] == x.shape[d]}
    axes = [u for u in range(len(updates.shape)) if u not in kept.values()]
    sets = reduced(updates.sets, axes)
    # The axes that are left, in the order of the operand, and the others of length 1.
    left = sorted(kept.values())
    order = [left.index(kept[d]) for d in sorted(kept)]
    shape = [n if d in kept else 1 for d, n in enumerate(x.shape)]
    ids = np.broadcast_to(sets.ids.transpose(order).reshape(shape), x.shape)
    return union([x.sets, sets.moved(ids)], x.shape)


def _numbers(starts: Any) -> list[Any]:
    return [s.number for s in starts]


def sparse_product(call: Call) -> Found:
    """coo_matmul: row i of the result is made of the rows that the matrix has in its row i."""
    _data, rows, cols, x = call.ins
    if not (rows.is_known and cols.is_known):
        return dense(call)
    n, k = call.params["size"], x.shape[0]
    i, j = rows.number.astype(np.int64), cols.number.astype(np.int64)
    i, j = np.where(i < 0, i + n, i), np.where(j < 0, j + k, j)
    inside = (i >= 0) & (i < n) & (j >= 0) & (j < k)
    i, j = i[inside], j[inside]
    of_data, of_x = call.same_table([0, 3])
    width = x.shape[1]
    groups = i[:, None] * width + np.arange(width)
    ids = np.concatenate([of_x.ids[j].reshape(-1), np.repeat(of_data.ids[inside], width)])
    return [gathered(np.concatenate([groups, groups], None), ids, of_x.rows, call.shape)]


def dense(call: Call) -> Found:
    """Every element of every result depends on all that any operand depends on."""
    return along_stacks(call, 0)


def along_stacks(call: Call, stacks: int) -> Found:
    """As `dense`, but for each place along the first axes apart, which are those of all."""
    shape = next(v.shape for v in call.ins if v.sets is not None)[:stacks]
    parts = [reduced(v.sets, range(stacks, len(v.shape))) for v in call.ins if v.sets is not None]
    total = union(parts, shape)
    if total is None:
        return [None] * len(call.outs)
    found: Found = []
    for t in call.outs:
        ids = total.ids.reshape(shape + (1,) * (len(t.shape) - stacks))
        found.append(
            total.moved(np.broadcast_to(ids, t.shape)) if t.size else empty(t.shape, total)
        )
    return found


MOVING: dict[Any, Rule] = {
    **dict.fromkeys(
        (broadcast_in_dim, concatenate, pad, reshape, rev, slice_, split, squeeze, stack), moved
    ),
    **dict.fromkeys((tile, transpose, unstack), moved),
    copy: unchanged,
    dynamic_slice: dynamically_sliced,
    dynamic_update_slice: dynamically_updated,
    indexing.gather: taken,
    select_n: selected,
}

__all__ = ["MOVING", "Found", "along_stacks", "dense", "moved", "scattered", "unchanged"]
