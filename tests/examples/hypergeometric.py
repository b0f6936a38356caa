"""Examples of pullback/ops/hypergeometric.py; values are tested in test_special_functions.py."""

from __future__ import annotations

from pullback.ops import hypergeometric as h

from .base import WIDE, Example, between, positive

ARGUMENTS = [positive(4), positive(4), between(-2, 2, 4)]
FOUR = [positive(4), positive(4), positive(4), between(-2, 0.7, 4)]

EXAMPLES = [
    Example(h.hyp1f1, ARGUMENTS, scale=1e7),
    Example(h.hyp1f1_derivative, ARGUMENTS, {"orders": (1, 0, 1)}, dtypes=WIDE, scale=1e8),
    Example(h.hyp2f1, FOUR, scale=1e7, dtypes=WIDE),
    Example(h.hyp2f1_derivative, FOUR, {"orders": (0, 1, 0, 1)}, dtypes=WIDE, order=1, scale=1e8),
]
