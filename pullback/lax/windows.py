"""Reductions over windows: pooling."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np

from .. import checks
from ..control.reducing import on_all, reduce_window_p, reduce_windows_by
from ..core.array import HostArray
from ..core.errors import error
from ..core.pytree import flatten
from ..core.trace import host_array
from ..ops import pooling
from ..ops.convolution import dilated
from ..ops.reduction import extreme_value
from .arguments import apply, as_array, integers
from .arithmetic import add, max, min
from .padtypes import padtype_to_pads, pairs
from .reducing import combined, element_program, start_of


def reduce_window(
    operand: Any,
    init_value: Any,
    computation: Callable[[Any, Any], Any],
    window_dimensions: Sequence[int],
    window_strides: Sequence[int] | None = None,
    padding: str | Sequence[tuple[int, int]] = "VALID",
    base_dilation: Sequence[int] | None = None,
    window_dilation: Sequence[int] | None = None,
) -> Any:
    """The elements of each window combined: pooling.

    Args:
      operand: an array, or a pytree of arrays of one shape.
      init_value: a pytree of the same structure: where to begin, and what stands in the padding. It
        must not change an element that it is combined with.
      computation: an associative function of two such trees of scalars that gives one. `lax.add`
        with 0, `lax.max` with -inf and `lax.min` with inf are done by operations of their own.
      window_dimensions: the length of the window along each axis.
      window_strides: the steps between windows; None: 1.
      padding: (low, high) of each axis, or "SAME", "SAME_LOWER", "VALID".
      base_dilation: d puts d - 1 initial values between the elements of `operand`.
      window_dilation: elements of a window are so far apart.

    Raises:
      TypeError, ValueError: shapes, dtypes or parameters do not fit together.

    Example:
      >>> from pullback import lax
      >>> import pullback.numpy as jnp
      >>> x = jnp.array([1.0, 5.0, 2.0, 4.0])
      >>> print(lax.reduce_window(x, -jnp.inf, lax.max, (2,), (2,), "VALID"))
      [5. 4.]
    """
    xs, tree = flatten(operand)
    starts, start_tree = flatten(init_value)
    what = "the initial values of lax.reduce_window"
    checks.structure(what, start_tree, tree, "the operands", ValueError)
    if not xs:
        raise error(
            ValueError,
            "lax.reduce_window needs at least one operand.",
            got="an empty tree",
            fix="give an array.",
        )
    xs = [as_array(x, "reduce_window") for x in xs]
    windows = _windows(
        xs[0].shape, window_dimensions, window_strides, padding, base_dilation, window_dilation
    )
    known = _known(computation, starts, xs)
    if known is not None:
        return tree.unflatten([apply(known, xs[0], **windows)])
    starts = [start_of(v, x, "reduce_window") for v, x in zip(starts, xs, strict=True)]

    def scalar(*pair: Any) -> list[Any]:
        return combined(pair, computation, tree, "reduce_window")

    program = element_program(scalar, xs)
    if program is None:
        return tree.unflatten(reduce_windows_by(on_all(scalar), xs, starts, windows))
    return tree.unflatten(apply(reduce_window_p, *xs, *starts, jaxpr=program, **windows))


def _windows(
    shape: Any, sizes: Any, strides: Any, padding: Any, base_dilation: Any, window_dilation: Any
) -> dict[str, Any]:
    size = integers(sizes, "reduce_window")
    ones = (1,) * len(size)
    steps = ones if strides is None else integers(strides, "reduce_window")
    between = ones if base_dilation is None else integers(base_dilation, "reduce_window")
    apart = ones if window_dilation is None else integers(window_dilation, "reduce_window")
    fits = len(shape) == len(size) == len(steps) == len(apart) and all(s > 0 for s in steps)
    if not isinstance(padding, str):
        pads = pairs(padding, "reduce_window")
    elif fits:
        lengths = [dilated(k, d) for k, d in zip(size, apart)]
        pads = tuple(padtype_to_pads(shape, lengths, steps, padding))
    else:
        pads = ((0, 0),) * len(size)  # the operation says what is wrong
    return {
        "window_dimensions": size,
        "window_strides": steps,
        "padding": pads,
        "base_dilation": between,
        "window_dilation": apart,
    }


_OPERATIONS: dict[Any, Any] = {
    add: pooling.reduce_window_sum,
    max: pooling.reduce_window_max,
    min: pooling.reduce_window_min,
}


def _known(computation: Any, starts: list[Any], xs: list[Any]) -> Any:
    """The operation for this function and initial value, where there is one."""
    op = _OPERATIONS.get(computation) if isinstance(computation, Hashable) else None
    if op is None or len(xs) != 1:
        return None
    (start,), dtype = starts, xs[0].dtype
    if not isinstance(start, (int, float, complex, np.generic, np.ndarray, HostArray)):
        return None  # not known yet
    value = host_array(start)._value
    if value.ndim:
        return None
    identity = 0 if op is pooling.reduce_window_sum else extreme_value(dtype, op.limit)
    return op if bool(value == identity) else None


def reduce_window_shape_tuple(
    operand_shape: Sequence[int],
    window_dimensions: Sequence[int],
    window_strides: Sequence[int],
    padding: Any,
    base_dilation: Sequence[int] | None = None,
    window_dilation: Sequence[int] | None = None,
) -> tuple[int, ...]:
    """The number of windows along each axis.

    Example:
      >>> from pullback import lax
      >>> lax.reduce_window_shape_tuple((8, 9), (2, 3), (2, 1), [(0, 0), (1, 1)])
      (4, 9)
    """
    shape = integers(operand_shape, "reduce_window_shape_tuple")
    windows = _windows(
        shape, window_dimensions, window_strides, padding, base_dilation, window_dilation
    )
    return pooling.window_shape("reduce_window", shape, **windows)
