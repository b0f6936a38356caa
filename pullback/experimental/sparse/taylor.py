"""Taylor mode of sparse products and solutions: see transforms/taylor.py."""

from __future__ import annotations

from typing import Any

from ...transforms.taylor import RULES, Series
from ...transforms.taylor_matrices import matrix_equation
from ...transforms.taylor_rules import leibniz
from .bcoo.matrix_product import coo_matmul
from .linalg import coo_solve


def _matmul(primitive: Any, args: Any, order: int, params: Any) -> Series:
    # A product of the stored elements and the matrix; the coordinates between them are integers.
    data, (rows, *_), (cols, *_), x = args

    def op(d: Any, y: Any) -> Any:
        return primitive(d, rows, cols, y, **params)

    return [leibniz(k, data, x, op) for k in range(order + 1)]


RULES[coo_matmul] = _matmul
RULES[coo_solve] = matrix_equation
