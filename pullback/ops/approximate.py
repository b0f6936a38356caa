"""The largest or smallest, which other engines may find by chance only. This one finds all."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import dtypes
from ..core.errors import error
from ..core.primitive import CORE, NOT_LINEAR, Primitive
from ..core.types import ArrayType, array_type
from .indexing import take_along
from .sorting import top_k
from .structural import move_axis


class ApproxTopK(Primitive, name="approx_top_k"):
    """The `k` largest, or smallest, along an axis, in order, and their places: exact."""

    multiple_results = True

    def typing(
        self,
        x: Any,
        *,
        k: int,
        reduction_dimension: int,
        recall_target: float,
        is_max_k: bool,
        reduction_input_size_override: int,
        aggregate_to_topk: bool,
    ) -> list[ArrayType]:
        rank = len(x.shape)
        if dtypes.kind(x.dtype) != "f":
            raise error(
                ValueError,
                "approx_top_k takes real floats.",
                got=x.str_short(),
                fix="use lax.top_k, or convert with .astype(...).",
            )
        if not -rank <= reduction_dimension < rank or not 0 <= k <= x.shape[reduction_dimension]:
            raise error(
                ValueError,
                "approx_top_k needs an axis that exists, and k from 0 to its length.",
                got=f"k={k}, reduction_dimension={reduction_dimension} and {x.str_short()}",
                fix="give a smaller k, or a longer axis.",
            )
        axis = reduction_dimension % rank
        shape = (*x.shape[:axis], k, *x.shape[axis + 1 :])
        return [array_type(shape, x.dtype, x.weak_type), array_type(shape, dtypes.int32, False)]

    def eval(self, x: Any, *, k: int, reduction_dimension: int, is_max_k: bool, **_: Any) -> Any:
        axis = reduction_dimension % x.ndim
        if is_max_k:
            return top_k.eval(x, k=k, axis=axis)
        # NumPy's order of bfloat16 is wrong where there are NaNs.
        numbers = x.astype(np.float32) if x.dtype.itemsize == 2 else x
        order = np.argsort(numbers, axis, kind="stable")
        order = np.take(order, np.arange(k), axis)
        return [np.take_along_axis(x, order, axis), order.astype(np.int32)]

    def jvp(self, primals: Any, tangents: Any, out: Any, **params: Any) -> list[Any]:
        axis = params["reduction_dimension"] % len(primals[0].shape)
        return [take_along(tangents[0], out[1], axis), None]

    def vmap(self, size: int, args: Any, axes: Any, **params: Any) -> Any:
        x = move_axis(args[0], axes[0], 0)
        axis = params["reduction_dimension"] % (len(x.shape) - 1) + 1
        return approx_top_k(x, **{**params, "reduction_dimension": axis}), [0, 0]

    transpose = NOT_LINEAR
    lower = CORE


approx_top_k = ApproxTopK()
