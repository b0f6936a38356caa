"""Integer arithmetic beyond the operators."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import dtypes
from .elementwise import INTEGER, Elementwise


class Mulhi(Elementwise):
    """the upper half of the product, which has twice the bits"""

    takes = INTEGER

    def eval(self, x: Any, y: Any) -> Any:
        if x.dtype.itemsize == 8:
            return _high64(np.asarray(x), np.asarray(y))[()]
        bits = dtypes.iinfo(x.dtype).bits
        wide = np.uint64 if dtypes.kind(x.dtype) == "u" else np.int64
        product = np.asarray(x).astype(wide) * np.asarray(y).astype(wide)
        return (product >> wide(bits)).astype(x.dtype)


def _high64(x: Any, y: Any) -> Any:
    a, b = x.view(np.uint64), y.view(np.uint64)
    low, half = np.uint64(0xFFFFFFFF), np.uint64(32)
    a0, a1, b0, b1 = a & low, a >> half, b & low, b >> half
    middle = a1 * b0 + (a0 * b0 >> half)  # fits: (2^32 - 1)^2 + 2^32 - 1 < 2^64
    other = a0 * b1 + (middle & low)
    high = a1 * b1 + (middle >> half) + (other >> half)
    if x.dtype.kind == "u":
        return high
    # A negative operand counts as 2^64 more when it is read without its sign.
    zero = np.uint64(0)
    high = high - np.where(x < 0, b, zero) - np.where(y < 0, a, zero)
    return high.view(np.int64)


mulhi = Mulhi()
