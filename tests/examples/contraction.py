"""Examples of pullback/ops/contraction.py."""

from __future__ import annotations

import numpy as np

from pullback.ops.contraction import dot_general

from .base import ALL, NUMBERS, Example, F


def _dot(x, y, sums, batches=((), ()), *, id, dtypes=NUMBERS, wanted="same"):
    def params(dtype):
        preferred = dtype if wanted == "same" else wanted
        return {
            "dimension_numbers": (sums, batches),
            "precision": None,
            "preferred_element_type": None if preferred is None else np.dtype(preferred),
        }

    return Example(
        dot_general, [F(*x), F(*y)], params, dtypes=dtypes, linear_in=((0,), (1,)), id=id
    )


EXAMPLES = [
    _dot((4, 3), (3,), ((1,), (0,)), id="matrix-vector", dtypes=ALL, wanted=None),
    _dot((3,), (3,), ((0,), (0,)), id="vector-vector"),
    _dot((3,), (3, 2), ((0,), (0,)), id="vector-matrix"),
    _dot((4, 3), (3, 2), ((1,), (0,)), id="matrix-matrix"),
    _dot((3, 4), (2, 3), ((0,), (1,)), id="both-turned"),
    _dot((3, 4), (3, 2), ((0,), (0,)), id="first-turned"),
    _dot((4, 3), (2, 3), ((1,), (1,)), id="second-turned"),
    _dot((), (), ((), ()), id="scalars"),
    _dot((2,), (3,), ((), ()), id="outer", dtypes=ALL, wanted=None),
    _dot((2, 1), (3, 2), ((), ()), id="outer-matrices"),
    _dot((2, 3), (3, 2), ((0, 1), (1, 0)), id="all-contracted"),
    _dot((2, 3, 4), (4, 2, 2), ((0, 2), (1, 0)), id="two-pairs"),
    _dot((3, 2, 2), (2, 3, 4), ((1, 0), (0, 1)), id="two-pairs-in-front"),
    _dot((2, 4, 3), (2, 3, 2), ((2,), (1,)), ((0,), (0,)), id="stacked", dtypes=ALL, wanted=None),
    _dot((4, 2, 3), (3, 2), ((2,), (0,)), ((1,), (1,)), id="stacked-matrix-vector"),
    _dot((3, 2), (2, 3), ((0,), (1,)), ((1,), (0,)), id="stacked-vectors"),
    _dot((2, 3), (4, 3), ((), ()), ((1,), (1,)), id="stacked-outer"),
    _dot((3,), (3,), ((), ()), ((0,), (0,)), id="stacked-scalars"),
    _dot((2, 3, 2, 2, 1), (3, 2, 2, 2), ((3, 0), (1, 2)), ((1, 2), (0, 3)), id="two-of-each"),
    _dot((2, 0), (0, 3), ((1,), (0,)), id="nothing-contracted", dtypes=ALL, wanted=None),
    _dot((0, 2), (2, 3), ((1,), (0,)), id="no-rows"),
    _dot((0, 2), (0, 2), ((1,), (1,)), ((0,), (0,)), id="no-stack"),
    *(
        _dot((2, 3), (3,), ((1,), (0,)), id=f"wanted-{wanted}", dtypes=dtypes, wanted=wanted)
        for wanted, dtypes in (
            ("float32", ("float16", "bfloat16", "float32")),
            ("float64", ("float32", "int32")),
            ("int32", ("int8", "int16")),
        )
    ),
]
