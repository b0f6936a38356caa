"""Examples of pullback/ops/searching.py."""

from __future__ import annotations

import numpy as np

from pullback.ops import searching as s

from .base import REAL, Example, F

LINES = np.array([[0.0, 1, 1, 2], [0, 3, 4, 5]])
EDGES = np.array([-np.inf, 0.0, 1.0, np.inf, np.nan])

EXAMPLES = [
    Example(s.searchsorted, [np.arange(-1.0, 3), F(3)], {"side": "left"}, order=0),
    Example(s.searchsorted, [np.arange(-1.0, 3), F()], {"side": "right"}, order=0),
    Example(s.searchsorted, [LINES, F(2, 3)], {"side": "right"}, order=0, id="lines"),
    Example(s.searchsorted, [EDGES, EDGES], {"side": "left"}, order=0, id="edges-left"),
    Example(s.searchsorted, [EDGES, EDGES], {"side": "right"}, order=0, id="edges-right"),
    Example(s.searchsorted, [F(0), F(2)], {"side": "left"}, dtypes=REAL, order=0, id="empty"),
]
