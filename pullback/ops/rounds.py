"""Loops of formulas in NumPy that other engines take too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


def counted(
    step: Callable[..., list[Any]], count: Any, *carry: Any, tables: Sequence[np.ndarray] = ()
) -> list[Any]:
    """`carry = step(k, *carry, *[t[k] for t in tables])` for k = 0 ... count - 1.

    Arrays that stand for those of a program have a loop of their own.
    """
    loop = getattr(carry[0], "counted", None)
    if loop is not None:
        return loop(step, count, *carry, tables=tables)  # type: ignore[no-any-return]
    found = list(carry)
    for k in range(int(count)):
        found = step(k, *found, *[t[k] for t in tables])
    return found
