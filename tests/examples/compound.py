"""Examples of pullback/ops/compound.py."""

from __future__ import annotations

import numpy as np

from pullback.ops import compound as c

from .base import INEXACT, INTS, Example, F

INF, NAN = np.inf, np.nan
EDGES = np.array([0.0, -0.0, 1.0, INF, -INF, NAN])
LEFT, RIGHT = np.repeat(EDGES, 6), np.tile(EDGES, 6)

EXAMPLES = [
    Example(c.logaddexp, [F(3), F(3)], dtypes=INEXACT),
    Example(c.logaddexp, [F(), F(3)], id="scalar"),
    Example(c.logaddexp, [LEFT, RIGHT], smooth=False, order=1, id="edges"),
    Example(c.logaddexp2, [F(3), F(3)], dtypes=INEXACT),
    Example(c.hypot, [F(3), F(3)]),
    Example(c.hypot, [F(3), F()], id="scalar"),
    Example(c.hypot, [LEFT, RIGHT], smooth=False, order=1, id="edges"),
    Example(c.sinc, [F(3)], dtypes=INEXACT),
    Example(c.sinc, [np.array([0.0, 1e-9, 1e-3, 0.3, 2.0])], scale=100, id="near-0"),
    Example(c.gcd, [F(4), F(4)], dtypes=INTS),
    Example(c.gcd, [F(4), F()], dtypes=INTS, id="scalar"),
]
