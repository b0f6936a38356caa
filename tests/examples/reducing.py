"""Examples of pullback/control/reducing.py."""

from __future__ import annotations

import numpy as np

from pullback.control.reducing import reduce_p, reduce_window_p
from pullback.ops.elementwise import add, mul

from .base import Example, F, unit
from .control import DOUBLE, OTHER_PROGRAMS, program
from .pooling import windows


def _product(a, b):
    return (mul(a, b),)


def _affine(a, b, c, d):
    return mul(a, c), add(mul(b, c), d)


def _fold(primitive, shape, function, starts, params, *, id, make=unit, **options):
    n = len(starts)
    made = program(function, *[()] * (2 * n))
    return Example(
        primitive,
        [make(*shape) for _ in range(n)] + [np.float64(v) for v in starts],
        lambda d: {"jaxpr": made(d), **params},
        dtypes=DOUBLE,
        id=id,
        skip=OTHER_PROGRAMS,
        **options,
    )


EXAMPLES = [
    _fold(reduce_p, (2, 3, 2), _product, [1.0], {"dimensions": (1,)}, id="one"),
    _fold(reduce_p, (2, 3), _affine, [1.0, 0.0], {"dimensions": (0, 1)}, id="two", make=F),
    _fold(reduce_p, (0, 2), _product, [1.0], {"dimensions": (0,)}, id="nothing"),
    _fold(reduce_window_p, (3, 4), _product, [1.0], windows((2, 3)), id="one"),
    _fold(
        reduce_window_p,
        (4, 3),
        _affine,
        [1.0, 0.0],
        windows((3, 1), (2, 1), ((1, 1), (0, 1)), (1, 2)),
        id="two",
    ),
    _fold(
        reduce_window_p, (9,), _product, [1.0], windows((7,), None, ((3, 3),)), id="long", scale=20
    ),
]
