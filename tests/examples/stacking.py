"""Examples of pullback/ops/stacking.py."""

from __future__ import annotations

from pullback.ops import stacking as s

from .base import ALL, Example, F

EXAMPLES = [
    Example(s.stack, [F(2, 3)] * 3, {"axis": 0}, dtypes=ALL, linear_in=(0, 1, 2)),
    Example(s.stack, [F(2, 3)] * 2, {"axis": 2}, dtypes=ALL, linear_in=(0, 1), id="behind"),
    Example(s.stack, [F()] * 2, {"axis": 0}, dtypes=ALL, linear_in=(0, 1)),
    Example(s.stack, [F(0)], {"axis": 1}, dtypes=ALL, linear_in=(0,), id="one-empty"),
    Example(s.unstack, [F(2, 3)], {"axis": 0}, dtypes=ALL, linear_in=(0,)),
    Example(s.unstack, [F(2, 3)], {"axis": 1}, dtypes=ALL, linear_in=(0,), id="behind"),
    Example(s.unstack, [F(0, 3)], {"axis": 0}, dtypes=ALL, order=0, id="empty"),
    Example(s.tile, [F(2, 3)], {"reps": (2, 1)}, dtypes=ALL, linear_in=(0,)),
    Example(s.tile, [F(2, 3)], {"reps": (3, 0)}, dtypes=ALL, linear_in=(0,), id="none"),
    Example(s.tile, [F()], {"reps": ()}, dtypes=ALL, linear_in=(0,)),
]
