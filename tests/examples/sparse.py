"""Examples of the primitives of sparse arrays."""

from __future__ import annotations

import numpy as np

from pullback.experimental.sparse.api import todense_p
from pullback.experimental.sparse.bcoo.matrix_product import coo_matmul
from pullback.experimental.sparse.linalg import coo_solve

from .base import ALL, NUMBERS, WIDE, Example, F, positive

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
    Example(
        coo_solve,
        [positive(5), np.array([0, 1, 2, 0, 3]), np.array([0, 1, 2, 2, 1]), F(3, 2)],
        dtypes=(*WIDE, "complex64", "complex128"),
        linear_in=(3,),
        scale=10,
    ),
    _matmul([], [], 2, 2, 3, id="empty"),
    _matmul([0, 0], [0, 1], 0, 2, 3, id="no-columns"),
]
