"""Examples of pullback/ops/convolution.py."""

from __future__ import annotations

import numpy as np

from pullback.ops.convolution import ConvDimensionNumbers, conv_general_dilated

from .base import ALL, INEXACT, Example, F

WIDE = ("float64", "complex128")


def _conv(
    x,
    w,
    *,
    id,
    strides=None,
    padding=None,
    x_dilation=None,
    w_dilation=None,
    specs=None,
    features=1,
    batches=1,
    dtypes=WIDE,
    wanted=None,
):
    n = len(x) - 2
    in_order = tuple(range(n + 2))
    params = {
        "window_strides": strides or (1,) * n,
        "padding": padding or ((0, 0),) * n,
        "lhs_dilation": x_dilation or (1,) * n,
        "rhs_dilation": w_dilation or (1,) * n,
        "dimension_numbers": ConvDimensionNumbers(*(specs or (in_order,) * 3)),
        "feature_group_count": features,
        "batch_group_count": batches,
        "precision": None,
        "preferred_element_type": None if wanted is None else np.dtype(wanted),
    }
    return Example(
        conv_general_dilated,
        [F(*x), F(*w)],
        params,
        dtypes=dtypes,
        linear_in=((0,), (1,)),
        id=id,
    )


NHWC = ((0, 3, 1, 2), (3, 2, 0, 1), (0, 3, 1, 2))

EXAMPLES = [
    _conv((2, 2, 5), (3, 2, 2), id="1d", dtypes=ALL),
    _conv((2, 3), (2, 3), id="0d", dtypes=INEXACT),
    _conv((1, 2, 4, 3), (2, 2, 2, 2), id="2d", padding=((1, 0), (1, 1)), dtypes=INEXACT),
    _conv((2, 4, 3, 2), (2, 3, 2, 3), id="nhwc", specs=NHWC, strides=(2, 1), padding=((0, 1),) * 2),
    _conv((1, 1, 2, 3, 2), (1, 1, 2, 2, 1), id="3d", strides=(1, 2, 1), w_dilation=(1, 1, 2)),
    _conv((2, 1, 5), (1, 1, 3), id="cut", padding=((-1, -2),), x_dilation=(2,)),
    _conv((1, 2, 4), (2, 2, 2), id="dilated", padding=((2, 1),), x_dilation=(2,), w_dilation=(3,)),
    _conv(
        (1, 1, 3, 2),
        (2, 1, 2, 2),
        id="all",
        strides=(2, 1),
        x_dilation=(3, 2),
        w_dilation=(1, 2),
        padding=((1, 1), (2, 1)),
        specs=((1, 0, 3, 2), (2, 1, 0, 3), (3, 0, 1, 2)),
    ),
    _conv((1, 4, 5), (6, 2, 2), id="groups", features=2, strides=(2,), dtypes=ALL),
    _conv(
        (1, 4, 3, 2), (2, 2, 1, 4), id="depthwise", specs=NHWC, features=2, padding=((1, 1), (0, 1))
    ),
    _conv((4, 1, 3), (4, 1, 2), id="batch-groups", batches=2, padding=((1, 0),)),
    _conv((2, 1, 5), (2, 1, 4), id="few-places", batches=2),
    _conv((2, 2, 1), (2, 2, 3), id="no-place"),
    _conv((1, 2, 0), (2, 2, 1), id="empty", padding=((2, 0),)),
    _conv((1, 1, 3), (1, 1, 2), id="wanted-f64", dtypes=("float32", "int32"), wanted="float64"),
]
