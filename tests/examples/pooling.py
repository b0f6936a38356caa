"""Examples of pullback/ops/pooling.py."""

from __future__ import annotations

from pullback.ops.pooling import (
    reduce_window_max,
    reduce_window_min,
    reduce_window_sum,
    select_and_gather_add,
    select_and_scatter_add,
)

from .base import ALL, FLOATS, INEXACT, NUMBERS, Example, F, distinct

REAL_AND_BOOL = tuple(d for d in ALL if not d.startswith("complex"))


def windows(size, strides=None, padding=None, base=None, dilation=None):
    ones = (1,) * len(size)
    return {
        "window_dimensions": size,
        "window_strides": strides or ones,
        "padding": padding or ((0, 0),) * len(size),
        "base_dilation": base or ones,
        "window_dilation": dilation or ones,
    }


PLAIN = windows((2, 3))
FULL = windows((2, 3), (2, 1), ((1, 1), (0, 1)), (2, 1), (1, 2))
CUT = windows((2, 2), (1, 2), ((-1, 1), (1, -1)))
OUTSIDE = windows((2, 2), (1, 2), ((-1, 1), (2, -1)))
LONG = windows((1, 7), (1, 1), ((0, 0), (3, 3)))
LARGE = windows((6, 6), (1, 1), ((1, 3), (2, 2)))
NONE = windows((5, 2))


def _reduce(primitive, make, shape, params, *, id, dtypes, **options):
    return Example(primitive, [make(*shape)], params, dtypes=dtypes, id=id, **options)


def _select(primitive, shape, params, *, id, out=None, **options):
    # The chosen elements are where `x` is largest, so the elements must differ.
    first = out or shape
    without = {k: v for k, v in params.items() if not k.endswith("dilation")}
    given = params if out is None else without
    return [
        Example(
            primitive,
            [F(*first), distinct(*shape)],
            {"select_prim": which, **given},
            dtypes=FLOATS,
            id=f"{id}-{which}",
            linear_in=(0,),
            skip={"jax": "its select_prim is a primitive: compared in test_pooling.py"},
            **options,
        )
        for which in ("ge", "le")
    ]


EXAMPLES = [
    *(
        _reduce(reduce_window_sum, F, shape, params, id=id, dtypes=dtypes, linear_in=(0,))
        for id, shape, params, dtypes in (
            ("plain", (3, 4), PLAIN, NUMBERS),
            ("all", (3, 4), FULL, INEXACT),
            ("cut", (4, 4), CUT, ("float64",)),
            ("long", (2, 9), LONG, ("float64", "int32")),
            ("no-window", (3, 4), NONE, ("float64",)),
            ("scalar", (), windows(()), ("float64",)),
            ("empty", (0, 3), windows((2, 2), None, ((1, 1), (0, 0))), ("float64",)),
        )
    ),
    *(
        _reduce(primitive, distinct, shape, params, id=id, dtypes=dtypes)
        for primitive in (reduce_window_max, reduce_window_min)
        for id, shape, params, dtypes in (
            ("plain", (3, 4), PLAIN, REAL_AND_BOOL),
            ("all", (3, 4), FULL, FLOATS),
            ("cut", (4, 4), CUT, ("float64",)),
            ("large", (4, 5), LARGE, ("float64", "int32")),
            ("no-window", (3, 4), NONE, ("float64",)),
        )
    ),
    *_select(select_and_gather_add, (3, 4), PLAIN, id="plain"),
    *_select(select_and_gather_add, (3, 4), FULL, id="all"),
    *_select(select_and_gather_add, (4, 4), OUTSIDE, id="outside"),
    *_select(select_and_gather_add, (4, 5), LARGE, id="large"),
    *_select(select_and_scatter_add, (3, 4), PLAIN, id="plain", out=(2, 2)),
    *_select(
        select_and_scatter_add,
        (3, 4),
        windows((2, 2), (2, 3), ((1, 0), (0, 2))),
        id="padded",
        out=(2, 2),
    ),
]
