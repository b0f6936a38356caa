"""On which device each part of an array is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .. import checks
from ..core.array import Tracer
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
    if isinstance(value, Tracer):
        call_back(lambda x: callback(x.sharding), value)
    else:
        callback(checks.input_array(value, "inspect_array_sharding").sharding)


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
    inspect_array_sharding(arr, callback=lambda s: visualize_sharding(shape, s, **kwargs))


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
      ValueError: the shape has no axis or more than two, or cannot be divided so.

    Example:
      >>> import pullback
      >>> from pullback.sharding import SingleDeviceSharding
      >>> sharding = SingleDeviceSharding(pullback.devices()[0])
      >>> pullback.debug.visualize_sharding((4, 4), sharding)
      +-------+
      | CPU 0 |
      +-------+
    """
    if len(shape) not in (1, 2):
        raise error(
            ValueError,
            "visualize_sharding shows arrays of one or two axes.",
            got=f"shape {tuple(shape)}",
            fix="reshape the array.",
        )
    parts: dict[Any, list[Any]] = {}
    for device, index in sharding.devices_indices_map(tuple(shape)).items():
        at = tuple(s.start or 0 for s in index)
        parts.setdefault(at if len(shape) == 2 else (0, *at), []).append(device)
    texts = {at: _names(devices) for at, devices in parts.items()}
    rows, columns = (sorted({at[i] for at in texts}) for i in (0, 1))
    width = max(min(min_width, max_width) - 2, *(len(t) + 2 for t in texts.values()))
    line = "+" + ("-" * width + "+") * len(columns)
    for row in rows:
        cells = [texts[row, column].center(width) for column in columns]
        print(line, "|" + "|".join(cells) + "|", sep="\n")
    print(line)


def _names(devices: Sequence[Any]) -> str:
    numbers = ",".join(str(d.id) for d in sorted(devices, key=lambda d: d.id))
    return f"{devices[0].platform.upper()} {numbers}"


__all__ = ["inspect_array_sharding", "visualize_array_sharding", "visualize_sharding"]
