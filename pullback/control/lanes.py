"""Loops of many elements that end at different times: an element that is done stands still."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.array import HostArray
from ..core.trace import type_of
from ..ops.dynamic import dynamic_slice
from ..ops.elementwise import select_n
from ..ops.reduction import argmax
from ..ops.structural import broadcast_in_dim, squeeze
from ..transforms.stage import Mask

AT_REST = "done elements do what one does that goes on"
"""In the cache of what a batched loop is made of: a body in which elements that are done compute
what one does that goes on, and drop it. Derivatives are taken of this body: beyond its end a loop
may divide by zero, and what is dropped has a zero cotangent, which would meet an infinite slope."""


def at_rest(going: Any, xs: Sequence[Any], mapped: Mask) -> list[Any]:
    """`xs`, of which those that are mapped have, for elements that are done, what another has."""
    one = argmax(going, axes=(0,), index_dtype=np.dtype(np.int32))
    return [
        chosen_rows(going, x, repeated_row(x, one)) if m else x
        for x, m in zip(xs, mapped, strict=True)
    ]


def chosen_rows(going: Any, new: Any, old: Any) -> Any:
    """Rows of `new` for elements that go on, of `old` for others."""
    shape = type_of(old).shape
    if len(shape) > 1:
        going = broadcast_in_dim(going, shape=shape, broadcast_dimensions=(0,))
    return select_n(going, old, new)


def repeated_row(x: Any, i: Any) -> Any:
    """`x` with all rows as row `i`."""
    shape = type_of(x).shape
    corner = [i, *[HostArray(np.int32(0))] * (len(shape) - 1)]
    row = squeeze(dynamic_slice(x, *corner, slice_sizes=(1, *shape[1:])), dimensions=(0,))
    return broadcast_in_dim(row, shape=shape, broadcast_dimensions=tuple(range(1, len(shape))))


__all__ = ["AT_REST", "at_rest", "chosen_rows", "repeated_row"]
