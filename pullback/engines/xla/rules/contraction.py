"""Products of matrices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ....core.program import Equation
from ....ops.contraction import dot_general
from ..lowering import Lowering, Rule
from ..text import Word
from ..types import NARROW
from .elementwise import convert


def _dot_general(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    code, (x, y) = low.code, args
    shape, dtype = low.result(eq)
    (xs, ys), (xb, yb) = eq.params["dimension_numbers"]
    lists = {
        "lhs_batching_dimensions": xb,
        "rhs_batching_dimensions": yb,
        "lhs_contracting_dimensions": xs,
        "rhs_contracting_dimensions": ys,
    }
    shown = ", ".join(f"{k} = [{', '.join(map(str, v))}]" for k, v in lists.items())
    precision = "#stablehlo<precision HIGHEST>"
    attributes = (
        f"dot_dimension_numbers = #stablehlo.dot<{shown}>, "
        f"precision_config = [{precision}, {precision}]"
    )
    given, wide = dtype, dtype
    if dtype.name in NARROW:  # added up in float32, and rounded once
        wide = np.dtype(np.float32)
    if dtype == np.dtype(bool):
        wide = np.dtype(np.int32)
    x, y = (convert(code, w, wide) for w in (x, y))
    return [convert(code, code.op("dot_general", [x, y], shape, wide, attributes), given)]


RULES: dict[Any, Rule] = {dot_general: _dot_general}

__all__ = ["RULES"]
