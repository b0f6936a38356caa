"""Examples of the primitives of sparse arrays."""

from __future__ import annotations

import numpy as np

from pullback.experimental.sparse.api import todense_p
from pullback.experimental.sparse.bcoo.matrix_product import coo_matmul

from .base import ALL, NUMBERS, Example, F

ROWS, COLS = np.array([[0, 2, 2, 3, 1, 0], [3, 0, 0, 1, 4, 2]], np.int32)
"""Of a matrix of 3 rows and 4 columns: a place twice, and one row and one column outside."""


def _matmul(rows, cols, k, m, size, **options):
    args = [F(len(rows)), np.asarray(rows, np.int32), np.asarray(cols, np.int32), F(k, m)]
    return Example(
        coo_matmul, args, {"size": size}, dtypes=NUMBERS, linear_in=((0,), (3,)), **options
    )


EXAMPLES = [
    Example(todense_p, [F(2, 3)], dtypes=ALL, linear_in=(0,)),
    _matmul(ROWS, COLS, 4, 2, 3),
    _matmul(-ROWS[:2], COLS[:2], 4, 1, 3, id="negative"),
    _matmul([], [], 2, 2, 3, id="empty"),
    _matmul([0, 0], [0, 1], 0, 2, 3, id="no-columns"),
]
