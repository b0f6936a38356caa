"""Examples of pullback/ops/comparison.py."""

from __future__ import annotations

import numpy as np

from pullback.core.dtypes import KEY_TYPES
from pullback.ops import comparison as c

from .base import ALL, BFLOAT16, BOOL, COMPLEX, FLOATS, INTS, REAL, Example, F, I, distinct

INF, NAN = np.inf, np.nan
EDGES = np.array([0.0, -0.0, 1.0, INF, -INF, NAN, -NAN])
LEFT, RIGHT = np.repeat(EDGES, 7), np.tile(EDGES, 7)
CORNERS = np.array([1, 1j, 2, 2j, 1])
ORDERED = REAL + BOOL
X, Y = np.array([200, 7, 127]), np.array([1, 9, 3])

KEYS = np.zeros(3, KEY_TYPES["fry"])
KEYS["key<fry>"] = [[1, 2], [1, 3], [4, 5]]

OURS = {"weak": "keys are not weak", "jax": "keys are NumPy records here only"}


def _compare(op, dtypes):
    return [
        Example(op, [I(4, below=2), I(4, below=2)], dtypes=("int32",)),
        Example(op, [F(3), F(3)], dtypes=dtypes),
        Example(op, [F(), F(3)], id="scalar"),
        Example(op, [LEFT, RIGHT], id="edges"),
    ]


def _shift(op):
    wide = np.array([-(2**31), -5, -1, 0, 1, 2**31 - 1], "int32")
    return [
        Example(op, [F(3), I(3, below=8)], dtypes=("int32",)),
        *(
            Example(op, [wide, np.full(6, n, "int32")], dtypes=("int32",), id=f"by-{n}")
            for n in (0, 31, 32, -1)
        ),
        *(Example(op, [X.astype(t), Y.astype(t)], dtypes=(t,), id=t) for t in INTS),
    ]


def _bits(op, count):
    return [
        Example(op, [F(4)] * count, dtypes=INTS + BOOL),
        Example(op, [F()] + [F(3)] * (count - 1), dtypes=INTS, id="scalar"),
    ]


def _numbers(op):
    def far(t):
        info = np.iinfo(t)
        return np.array([0, 1, 5, info.max, info.min, info.max // 3], t)

    return [Example(op, [far(t)], dtypes=(t,), id=t) for t in INTS]


def _cast(spec, new, *dtypes, id=None):
    new = BFLOAT16 if new == "bfloat16" else np.dtype(new)
    params = {"new_dtype": new}
    name = id or f"to-{new}"
    return Example(c.bitcast_convert_type, [spec], params, dtypes=dtypes, order=0, id=name)


EXAMPLES = [
    *_compare(c.eq, ALL),
    *_compare(c.ne, ALL),
    Example(c.eq, [KEYS, KEYS[::-1].copy()], dtypes=("float32",), skip=OURS, id="keys"),
    Example(c.ne, [KEYS, KEYS[::-1].copy()], dtypes=("float32",), skip=OURS, id="keys"),
    *(e for op in (c.lt, c.le, c.gt, c.ge) for e in _compare(op, ORDERED)),
    *(e for op in (c.eq_to, c.lt_to, c.le_to) for e in _compare(op, ORDERED)),
    Example(
        c.eq_to,
        [np.array([0, NAN, 1j]), np.array([-0.0, NAN, 1j])],
        dtypes=COMPLEX,
        skip={"jax": "XLA has no total order of complex numbers"},
        id="complex",
    ),
    Example(c.is_finite, [EDGES]),
    Example(c.max_, [distinct(6), distinct(6)], dtypes=ALL),
    Example(c.max_, [np.zeros(()), distinct(5)], smooth=False, order=1, id="scalar"),
    Example(c.max_, [LEFT, RIGHT], smooth=False, order=1, id="edges"),
    Example(c.max_, [CORNERS, CORNERS[::-1].copy()], dtypes=COMPLEX, smooth=False, id="ties"),
    Example(c.min_, [distinct(6), distinct(6)], dtypes=ALL),
    Example(c.min_, [distinct(5), np.zeros(())], smooth=False, order=1, id="scalar"),
    Example(c.min_, [LEFT, RIGHT], smooth=False, order=1, id="edges"),
    Example(c.clamp, [np.full(6, -0.8), distinct(6), np.full(6, 0.7)], dtypes=FLOATS, id="inside"),
    Example(c.clamp, [F(), distinct(6), np.array(1.3)], smooth=False, order=1, id="scalars"),
    Example(c.clamp, [F(4), F(4), F(4)], dtypes=ORDERED, smooth=False, order=1),
    Example(c.clamp, [F(4), F(4), F(4)], dtypes=COMPLEX, order=0, id="complex"),
    Example(c.clamp, [LEFT, RIGHT, RIGHT[::-1].copy()], smooth=False, order=1, id="edges"),
    *_bits(c.and_, 2),
    *_bits(c.or_, 2),
    *_bits(c.xor, 2),
    *_bits(c.not_, 1),
    *_shift(c.shift_left),
    *_shift(c.shift_right_arithmetic),
    *_shift(c.shift_right_logical),
    *_numbers(c.population_count),
    *_numbers(c.clz),
    _cast(F(3), "uint32", "float32"),
    _cast(F(3), "int64", "float64"),
    _cast(F(3), "bfloat16", "float16"),
    _cast(F(2, 3), "uint8", "float32", "bfloat16"),
    _cast(F(2), "float32", "float64"),
    _cast(F(3, 2), "float64", "float32"),
    _cast(F(4), "float64", "bfloat16"),
    _cast(F(), "int8", "float64", id="scalar-to-int8"),
    _cast(F(3), "bool", "bool"),
]
