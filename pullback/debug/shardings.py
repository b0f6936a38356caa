"""On which device each part of an array is: here all of it is on the one there is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..core.errors import error
from ..core.trace import type_of
from .callbacks import callback as call_back


def inspect_array_sharding(value: Any, *, callback: Callable[[Any], None]) -> None:
    """Call `callback` with the sharding of `value`, also inside a program, when it runs.

    Example:
      >>> import pullback
      >>> import pullback.numpy as jnp
      >>> def show(sharding):
      ...     print(len(sharding.device_set), "device")
      >>> pullback.debug.inspect_array_sharding(jnp.ones(3), callback=show)
      1 device
    """
    call_back(lambda x: callback(x.sharding), value)


def visualize_array_sharding(arr: Any, **kwargs: Any) -> None:
    """Print which device has which part of an array of one or two axes; see `visualize_sharding`.

    Example:
      >>> import pullback
      >>> import pullback.numpy as jnp
      >>> pullback.debug.visualize_array_sharding(jnp.ones((2, 2)))
      +-------+
      | CPU 0 |
      +-------+
    """
    shape = type_of(arr).shape
    call_back(lambda x: visualize_sharding(shape, x.sharding, **kwargs), arr)


def visualize_sharding(
    shape: Sequence[int],
    sharding: Any,
    *,
    use_color: bool = True,
    scale: float = 1.0,
    min_width: int = 9,
    max_width: int = 80,
    color_map: Any = None,
) -> None:
    """Print which device has which part of an array of this shape, of one or two axes.

    Args:
      min_width, max_width: the width of a part, in characters.
      use_color, scale, color_map: accepted for compatibility.

    Raises:
      ValueError: the shape has no axis or more than two, or there are several devices.
    """
    if len(shape) not in (1, 2) or len(sharding.device_set) != 1:
        raise error(
            ValueError,
            "visualize_sharding shows arrays of one or two axes, on one device.",
            got=f"shape {tuple(shape)} on {len(sharding.device_set)} devices",
            fix="reshape the array.",
        )
    (device,) = sharding.device_set
    text = f"{device.platform.upper()} {device.id}"
    width = max(min(min_width, max_width) - 2, len(text) + 2)
    line = "+" + "-" * width + "+"
    print(line, "|" + text.center(width) + "|", line, sep="\n")


__all__ = ["inspect_array_sharding", "visualize_array_sharding", "visualize_sharding"]
