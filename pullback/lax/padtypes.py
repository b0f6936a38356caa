"""Padding by name: "VALID", "SAME", "SAME_LOWER"."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from ..core.errors import error


def padtype_to_pads(
    in_shape: Sequence[int],
    window_shape: Sequence[int],
    window_strides: Sequence[int],
    padding: str,
) -> list[tuple[int, int]]:
    """The (low, high) padding of each axis that a name stands for.

    Args:
      in_shape: the lengths of the axes.
      window_shape: the lengths of the windows, with their dilation.
      window_strides: the steps between windows.
      padding: "VALID": none. "SAME": as many windows as the length divided by the stride, rounded
        up; an odd element of padding goes to the end, with "SAME_LOWER" to the start.

    Raises:
      RuntimeError: there is no padding of this name.
      TypeError: it is no string.

    Example:
      >>> from pullback import lax
      >>> lax.padtype_to_pads((5, 4), (2, 3), (1, 2), "SAME")
      [(0, 1), (0, 1)]
    """
    if not isinstance(padding, str):
        raise error(
            TypeError,
            "padding is a name, or (low, high) for each axis.",
            got=f"{padding!r:.80}",
            fix="use 'VALID', 'SAME' or 'SAME_LOWER'.",
        )
    name = padding.upper()
    if name not in ("VALID", "SAME", "SAME_LOWER"):
        raise error(
            RuntimeError,
            "there is no padding of this name.",
            got=f"padding={padding!r}",
            fix="use 'VALID', 'SAME' or 'SAME_LOWER'.",
        )
    if name == "VALID":
        return [(0, 0)] * len(in_shape)
    pads = []
    for n, window, stride in zip(in_shape, window_shape, window_strides, strict=True):
        n, window, stride = operator.index(n), operator.index(window), operator.index(stride)
        total = max(0, (-(-n // stride) - 1) * stride + window - n)
        less = total // 2
        pads.append((less, total - less) if name == "SAME" else (total - less, less))
    return pads


def pairs(padding: Any, name: str) -> tuple[tuple[int, int], ...]:
    """Padding given as (low, high) of each axis."""
    try:
        return tuple((operator.index(low), operator.index(high)) for low, high in padding)
    except (TypeError, ValueError) as cause:
        raise error(
            ValueError,
            f"the padding of {name} is a name, or (low, high) for each axis.",
            got=f"padding={padding!r:.80}",
            fix="use 'SAME', 'VALID' or e.g. [(1, 1), (0, 2)].",
        ) from cause
