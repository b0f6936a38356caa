"""Examples of pullback/ops/reduction.py and pullback/ops/cumulative.py."""

from __future__ import annotations

import numpy as np

from pullback.ops import cumulative as c
from pullback.ops import reduction as r

from .base import ALL, BOOL, COMPLEX, FLOATS, INTS, NUMBERS, REAL, Example, F, distinct, unit

ZEROS = np.array([[0.0, 2.0, -1.5], [0.5, 3.0, 0.0], [0.0, 0.0, 1.0]])
TIES = np.array([[2.0, -1.0, 2.0, 2.0, 1.0], [0.0, 0.0, -3.0, 0.5, 0.5]])


def _over(op, spec, *axes, dtypes, id=None, **options):
    shape = "x".join(map(str, spec.shape))
    name = id or f"{shape}over{''.join(map(str, axes))}"
    return Example(op, [spec], {"axes": axes}, dtypes=dtypes, id=name, **options)


def _place(op, spec, axis, index_dtype="int32"):
    params = {"axes": (axis,), "index_dtype": np.dtype(index_dtype)}
    name = f"{'x'.join(map(str, spec.shape))}over{axis}{index_dtype}"
    return Example(op, [spec], params, dtypes=REAL + BOOL, id=name)


def _along(op, spec, axis, reverse=False, dtypes=NUMBERS, **options):
    params = {"axis": axis, "reverse": reverse}
    shape = "x".join(map(str, spec.shape))
    name = f"{shape}along{axis}{'reversed' if reverse else ''}{options.pop('id', '')}"
    return Example(op, [spec], params, dtypes=dtypes, id=name, **options)


def _all_along(op, spec, **options):
    """A cumulative operation in both directions, on every axis, on short and empty arrays."""
    return [
        _along(op, spec(5), 0, **options),
        _along(op, spec(3, 4), 1, True, **options),
        _along(op, spec(6, 2), 0, **options),
        _along(op, spec(2, 3, 2), 1, True, **options),
        _along(op, spec(2, 1), 1, **options),
        _along(op, spec(2, 0), 1, **options),
        _along(op, spec(7), 0, True, **options),
    ]


_EXTREMA = [
    example
    for op in (r.reduce_max, r.reduce_min)
    for example in (
        _over(op, distinct(5), 0, dtypes=ALL),
        _over(op, distinct(2, 3), 0, dtypes=ALL),
        _over(op, distinct(2, 3, 2), 2, 0, dtypes=NUMBERS),
        _over(op, distinct(2, 3), dtypes=NUMBERS, id="over-nothing"),
        _over(op, distinct(2, 1), 1, dtypes=REAL),
        _over(op, distinct(0, 2), 0, dtypes=REAL, order=0),
        _over(op, distinct(0, 2), 1, dtypes=REAL),
        _over(op, TIES, 1, dtypes=FLOATS, smooth=False, order=1, id="ties"),
        _over(op, np.array([1.0, np.nan, 2.0]), 0, dtypes=FLOATS, smooth=False, order=0, id="nan"),
    )
]

EXAMPLES = [
    _over(r.reduce_prod, F(4), 0, dtypes=NUMBERS),
    _over(r.reduce_prod, F(2, 3), 0, dtypes=NUMBERS),
    _over(r.reduce_prod, F(2, 3, 2), 2, 0, dtypes=NUMBERS),
    _over(r.reduce_prod, F(2, 3), dtypes=NUMBERS, id="over-nothing"),
    _over(r.reduce_prod, F(3, 1), 1, dtypes=NUMBERS),
    _over(r.reduce_prod, F(0, 2), 0, dtypes=NUMBERS),
    _over(r.reduce_prod, ZEROS, 1, dtypes=FLOATS + COMPLEX, id="zeros"),
    *_EXTREMA,
    *(
        _over(r.euclidean_norm, spec, *axes, dtypes=FLOATS + COMPLEX)
        for spec, axes in (
            (F(4), (0,)),
            (F(2, 3), (1,)),
            (F(2, 3, 2), (2, 0)),
            (F(3, 1), (1,)),
        )
    ),
    _over(r.euclidean_norm, F(0, 2), 0, dtypes=FLOATS, order=0),
    _over(
        r.euclidean_norm,
        np.array([[0.0, 0.0], [1.0, 2.0]]),
        1,
        dtypes=FLOATS + COMPLEX,
        smooth=False,
        order=1,
        id="zero",
    ),
    *(
        _place(op, spec, axis)
        for op in (r.argmax, r.argmin)
        for spec, axis in ((distinct(5), 0), (distinct(2, 3), 1), (F(3, 2, 2), 1))
    ),
    _place(r.argmax, distinct(5), 0, "int64"),
    _place(r.argmin, distinct(5), 0, "uint8"),
    *(
        _over(op, spec, *axes, dtypes=BOOL + INTS)
        for op in (r.reduce_and, r.reduce_or, r.reduce_xor)
        for spec, axes in ((F(4), (0,)), (F(2, 3), (1,)), (F(2, 3), (0, 1)), (F(0, 2), (0,)))
    ),
    *_all_along(c.cumsum, F, linear_in=(0,)),
    *_all_along(c.cumprod, F),
    _along(c.cumprod, ZEROS, 1, dtypes=FLOATS + COMPLEX, id="zeros"),
    _along(c.cumprod, ZEROS, 0, True, dtypes=FLOATS + COMPLEX, id="zeros"),
    *_all_along(c.cummax, distinct),
    *_all_along(c.cummin, distinct),
    _along(c.cummax, TIES, 1, dtypes=FLOATS, smooth=False, order=1, id="ties"),
    _along(c.cummin, TIES, 1, True, dtypes=FLOATS, smooth=False, order=1, id="ties"),
    *_all_along(c.cumlogsumexp, unit, dtypes=FLOATS),
]
