"""Examples of the primitive of sparse arrays."""

from __future__ import annotations

from pullback.experimental.sparse.api import todense_p

from .base import ALL, Example, F

EXAMPLES = [Example(todense_p, [F(2, 3)], dtypes=ALL, linear_in=(0,))]
