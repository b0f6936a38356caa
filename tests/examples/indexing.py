"""Examples of pullback/ops/indexing.py, scattering.py and dynamic.py."""

from __future__ import annotations

import numpy as np

from pullback.ops import dynamic as d
from pullback.ops import indexing as ix
from pullback.ops import scattering as sc
from pullback.ops.windows import (
    GatherDimensionNumbers,
    GatherScatterMode,
    ScatterDimensionNumbers,
)

from .base import ALL, NUMBERS, REAL, Example, F, I, Spec, distinct

MODES = {
    "clip": GatherScatterMode.CLIP,
    "fill": GatherScatterMode.FILL_OR_DROP,
    "promise": GatherScatterMode.PROMISE_IN_BOUNDS,
}

# name: shape, indices, sizes, (offset, collapsed, start_index_map, batching, indices batching)
WINDOWS = {
    "rows": ((4, 3), I(5, 1, below=4), (1, 3), ((1,), (0,), (0,))),
    "columns": ((2, 4), I(5, 1, below=4), (2, 1), ((0,), (1,), (1,))),
    "columns-kept": ((2, 4), I(3, 1, below=4), (2, 1), ((0, 2), (), (1,))),
    "middle": ((2, 4, 3), I(2, 2, 1, below=4), (2, 1, 3), ((1, 3), (1,), (1,))),
    "numbers": ((4, 3), I(5, 2, below=3), (1, 1), ((), (0, 1), (0, 1))),
    "numbers-swapped": ((3, 4), I(2, 3, 2, below=3), (1, 1), ((), (0, 1), (1, 0))),
    "outer-axes": ((3, 2, 3), I(4, 2, below=3), (1, 2, 1), ((0,), (0, 2), (0, 2))),
    "line": ((5,), I(4, 1, below=3), (2,), ((1,), (), (0,))),
    "line-first": ((5,), I(4, 1, below=3), (2,), ((0,), (), (0,))),
    "blocks": ((5, 4), I(3, 2, below=2), (2, 3), ((0, 2), (), (1, 0))),
    "one-block": ((5, 4), I(2, below=3), (2, 3), ((0, 1), (), (0, 1))),
    "one-row": ((4, 3), I(1, below=4), (1, 3), ((0,), (0,), (0,))),
    "one-of-one": ((4,), I(1, 1, below=4), (1,), ((), (0,), (0,))),
    "no-start": ((3, 2), I(2, 0), (3, 2), ((0, 2), (), ())),
    "corner-fixed": ((3, 2), I(3, 1, below=2), (2, 1), ((0,), (1,), (1,))),
    "whole-axis": ((3, 2), I(3, 1, below=1), (3, 2), ((0, 2), (), (0,))),
    "along": ((3, 4), I(3, 2, 1, below=4), (1, 1), ((), (1,), (1,), (0,), (0,))),
    "along-first": ((4, 3), I(2, 3, 1, below=4), (1, 1), ((), (0,), (0,), (1,), (1,))),
    "batched-lines": ((2, 5, 3), I(2, 4, 1, below=4), (1, 2, 3), ((2, 3), (), (1,), (0,), (0,))),
    "batched-behind": ((5, 3), I(2, 3, 1, below=4), (2, 1), ((1,), (), (0,), (1,), (1,))),
    "no-windows": ((4, 3), I(0, 1), (1, 3), ((1,), (0,), (0,))),
    "empty-windows": ((4, 3), I(2, 1, below=4), (1, 0), ((1,), (0,), (0,))),
    "of-scalar": ((), I(3, 0), (), ((), (), ())),
    "outside": ((4, 3), np.array([[-1], [3], [4], [0], [9]], np.int32), (1, 3), ((1,), (0,), (0,))),
    "outside-numbers": ((3, 2), np.array([[0, 2], [-1, 0], [2, 1], [0, 0]], np.int8), (1, 1),
                        ((), (0, 1), (0, 1))),
    "outside-line": ((5,), np.array([[3], [4], [-1], [0]], np.int64), (2,), ((1,), (), (0,))),
    "outside-unsigned": ((3,), np.array([[0], [200], [2]], np.uint8), (1,), ((), (0,), (0,))),
    "outside-one": ((3, 2), np.array([3], np.int32), (1, 2), ((0,), (0,), (0,))),
    "outside-whole": ((3,), np.array([[0], [1], [-1]], np.int32), (3,), ((1,), (), (0,))),
    "outside-huge": ((3,), np.array([[0], [2**64 - 1], [2**63]], np.uint64), (1,),
                     ((), (0,), (0,))),
}  # fmt: skip
OUTSIDE = tuple(name for name in WINDOWS if name.startswith("outside"))
_SKIP = {"outside-huge-fill": {"jax": "JAX turns unsigned indices into int32 before it compares"}}
UNIQUE = ("one-block", "one-row", "one-of-one", "no-windows")


def _gather(name, mode, dtypes=("float64",)):
    shape, indices, sizes, axes = WINDOWS[name]
    params = {
        "dimension_numbers": GatherDimensionNumbers(*axes),
        "slice_sizes": sizes,
        "mode": MODES[mode],
        "fill_value": None,
        "unique_indices": name in UNIQUE,
        "indices_are_sorted": False,
    }
    id = f"{name}-{mode}"
    # What lies outside is NaN, of which the differences are no zeros.
    smooth = not (name in OUTSIDE and mode == "fill")
    return Example(
        ix.gather, [F(*shape), indices], params, dtypes=dtypes, linear_in=(0,) if smooth else None,
        smooth=smooth, skip=_SKIP.get(id), id=id,
    )  # fmt: skip


def updates_shape(name):
    """The shape of the output of a gather, which is that of the updates of a scatter."""
    _, indices, sizes, axes = WINDOWS[name]
    hidden = {*axes[1], *(axes[3] if len(axes) > 3 else ())}
    inside = iter([n for d, n in enumerate(sizes) if d not in hidden])
    outside = iter(indices.shape[:-1])
    rank = len(indices.shape) - 1 + len(axes[0])
    return tuple(next(inside) if i in axes[0] else next(outside) for i in range(rank))


def _scatter(primitive, name, mode, dtypes=("float64",), spec=F, **options):
    shape, indices, _, axes = WINDOWS[name]
    params = {
        "dimension_numbers": ScatterDimensionNumbers(*axes),
        "mode": MODES[mode],
        "unique_indices": name in UNIQUE,
        "indices_are_sorted": False,
    }
    updates = _between_distinct if spec is distinct else spec
    args = [spec(*shape), indices, updates(*updates_shape(name))]
    if not shape:
        options["skip"] = {"jax": "XLA cannot compile a scatter into a scalar"}
    return Example(primitive, args, params, dtypes=dtypes, id=f"{name}-{mode}", **options)


def _between_distinct(*shape):
    """Numbers that are distinct, also from those of `distinct`."""
    make = distinct(*shape).make
    return Spec(shape, lambda rng, shape, dtype: make(rng, shape, dtype) + 0.125)


def _scatters(primitive, spec=F, **options):
    found = [
        _scatter(primitive, name, "promise", spec=spec, **options)
        for name in WINDOWS
        if name not in OUTSIDE and name != "corner-fixed"
    ]
    found += [
        _scatter(primitive, name, mode, spec=spec, **options)
        for name in OUTSIDE
        for mode in ("clip", "fill")
    ]
    return found


def _meeting(primitive, **options):
    """Several updates of several rows in one place, at all dtypes."""
    dtypes = options.pop("dtypes")
    return [
        _scatter(primitive, name, "fill", dtypes, **options)
        for name in ("rows", "numbers", "along", "line")
    ]


def _start(value, dtype="int32"):
    return np.array(value, dtype)


def _dynamic_slice(shape, starts, sizes, dtypes=("float64",), id=None):
    return Example(
        d.dynamic_slice,
        [F(*shape), *starts],
        {"slice_sizes": sizes},
        dtypes=dtypes,
        linear_in=(0,),
        id=id,
    )


def _dynamic_update(shape, update, starts, dtypes=("float64",), id=None):
    return Example(
        d.dynamic_update_slice,
        [F(*shape), F(*update), *starts],
        dtypes=dtypes,
        linear_in=(0, 1),
        id=id,
    )


EXAMPLES = [
    *[_gather(name, "promise") for name in WINDOWS if name not in OUTSIDE],
    *[_gather(name, mode) for name in OUTSIDE for mode in MODES],
    *[_gather(name, "fill") for name in ("rows", "columns", "numbers", "blocks", "along")],
    *[_gather(name, "clip", ALL) for name in ("rows", "numbers", "one-row")],
    *[_gather(name, "fill", ALL) for name in ("outside", "outside-numbers", "outside-one")],
    *_scatters(ix.scatter_add, linear_in=(0, 2)),
    *_meeting(ix.scatter_add, dtypes=NUMBERS, linear_in=(0, 2)),
    *_scatters(ix.scatter_sub, linear_in=(0, 2)),
    *_meeting(ix.scatter_sub, dtypes=NUMBERS, linear_in=(0, 2)),
    *_scatters(ix.scatter, linear_in=(0, 2)),
    *_meeting(ix.scatter, dtypes=ALL, linear_in=(0, 2)),
    _scatter(ix.scatter_add, "rows", "clip", NUMBERS, linear_in=(0, 2)),
    _scatter(ix.scatter, "one-row", "clip", ALL, linear_in=(0, 2)),
    *_scatters(sc.scatter_mul, linear_in=(0,)),
    *_meeting(sc.scatter_mul, dtypes=NUMBERS, linear_in=(0,)),
    *_scatters(sc.scatter_min, spec=distinct),
    *_meeting(sc.scatter_min, spec=distinct, dtypes=(*REAL, "bool")),
    *_scatters(sc.scatter_max, spec=distinct),
    *_meeting(sc.scatter_max, spec=distinct, dtypes=(*REAL, "bool")),
    _dynamic_slice((5,), [I(below=4)], (2,), ALL),
    _dynamic_slice((5,), [_start(4)], (3,), id="moved-back"),
    _dynamic_slice((5,), [_start(-3)], (3,), id="moved-forth"),
    _dynamic_slice((4, 5), [I(below=3), I(below=4)], (2, 3), ALL),
    _dynamic_slice((4, 5), [I(below=3), _start(0)], (2, 5), id="whole-axis"),
    _dynamic_slice((4, 5), [_start(1, "uint8"), _start(250, "uint8")], (1, 1), id="unsigned"),
    _dynamic_slice((2, 3), [_start(1), _start(1)], (2, 3), id="whole"),
    _dynamic_slice((3,), [_start(1)], (0,), id="nothing"),
    _dynamic_slice((), [], (), id="scalar"),
    _dynamic_update((5,), (2,), [I(below=4)], ALL),
    _dynamic_update((5,), (3,), [_start(4)], id="moved-back"),
    _dynamic_update((5,), (3,), [_start(-3, "int64")], id="moved-forth"),
    _dynamic_update((4, 5), (2, 3), [I(below=3), I(below=4)], ALL),
    _dynamic_update((4, 5), (2, 5), [I(below=3), _start(0)], id="whole-axis"),
    _dynamic_update((2, 3), (2, 3), [_start(1), _start(1)], id="whole"),
    _dynamic_update((3,), (0,), [_start(1)], id="nothing"),
    _dynamic_update((), (), [], id="scalar"),
]
