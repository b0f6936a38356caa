"""Examples of pullback/ops/barriers.py."""

from __future__ import annotations

from pullback.ops import barriers as b

from .base import ALL, Example, F

EXAMPLES = [
    Example(b.stop_gradient, [F(2, 3)], dtypes=ALL, smooth=False),
    Example(b.optimization_barrier, [F(2, 3), F()], dtypes=ALL, linear_in=(0, 1)),
    Example(b.optimization_barrier, [F(0)], dtypes=ALL, linear_in=(0,), id="empty"),
]
