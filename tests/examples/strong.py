"""Examples of pullback/ops/strong.py."""

from __future__ import annotations

import numpy as np

from pullback.ops import strong
from pullback.ops.convolution import ConvDimensionNumbers

from .base import FLOATS, INEXACT, Example, F, positive

INF, NAN = np.inf, np.nan
ZEROS = np.array([0.0, 0.0, 0.0, 2.0, 2.0, 0.0])
BAD = np.array([INF, NAN, 3.0, INF, NAN, -INF])
THEIRS = {"jax": "JAX has no such primitive"}
FIRST, SECOND, BOTH = (True, False), (False, True), (True, True)


def _mul(which, *args, id, dtypes=INEXACT, **options):
    linear = ((0,), (1,)) if options.get("smooth", True) else None
    params = {"strong": which}
    return Example(
        strong.strong_mul,
        args,
        params,
        dtypes=dtypes,
        linear_in=linear,
        skip=THEIRS,
        id=id,
        **options,
    )


def _dot(which, x, y, sums, batches=((), ()), *, id, **options):
    params = {
        "dimension_numbers": (sums, batches),
        "precision": None,
        "preferred_element_type": None,
        "strong": which,
    }
    return Example(
        strong.strong_dot_general, [x, y], params, dtypes=INEXACT, skip=THEIRS, id=id, **options
    )


def _conv(which, x, w, *, id, **options):
    n = len(x.shape) - 2
    in_order = tuple(range(n + 2))
    params = {
        "window_strides": (1,) * n,
        "padding": ((1, 0),) * n,
        "lhs_dilation": (1,) * n,
        "rhs_dilation": (1,) * n,
        "dimension_numbers": ConvDimensionNumbers(*(in_order,) * 3),
        "feature_group_count": 1,
        "batch_group_count": 1,
        "precision": None,
        "preferred_element_type": None,
        "strong": which,
    }
    return Example(
        strong.strong_conv_general_dilated,
        [x, w],
        params,
        dtypes=("float64", "complex128"),
        skip=THEIRS,
        id=id,
        **options,
    )


LINEAR = {"linear_in": ((0,), (1,))}
EXAMPLES = [
    _mul(FIRST, F(2, 3), F(2, 3), id="first", dtypes=INEXACT),
    _mul(SECOND, F(2, 3), F(), id="second"),
    _mul(BOTH, F(), F(3), id="both"),
    *(
        _mul(w, ZEROS, BAD, id=f"edges-{w}", smooth=False, order=1, dtypes=FLOATS)
        for w in (FIRST, SECOND, BOTH)
    ),
    Example(strong.strong_div, [F(3), positive(3)], {"strong": FIRST}, linear_in=(0,), skip=THEIRS),
    Example(
        strong.strong_div,
        [ZEROS, np.array([0.0, NAN, INF, 0.0, 2.0, 0.0])],
        {"strong": FIRST},
        smooth=False,
        order=1,
        skip={**THEIRS, "partial_jvps": "the derivatives are infinite, of both signs"},
        id="edges",
    ),
    _dot(FIRST, F(4, 3), F(3, 2), ((1,), (0,)), id="matrices", **LINEAR),
    _dot(BOTH, F(2, 4, 3), F(2, 3), ((2,), (1,)), ((0,), (0,)), id="stacked", **LINEAR),
    _dot(SECOND, F(), F(), ((), ()), id="scalars", **LINEAR),
    _conv(FIRST, F(2, 2, 5), F(3, 2, 2), id="first", **LINEAR),
    _conv(BOTH, F(1, 2, 4, 3), F(2, 2, 2, 2), id="both", **LINEAR),
]
