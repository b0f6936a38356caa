"""Images between their pixels: `jax.scipy.ndimage`."""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Sequence
from typing import Any

from .. import lax
from .. import numpy as jnp
from ..core.array import Array
from ..core.errors import error

__all__ = ["map_coordinates"]


def map_coordinates(
    input: Any, coordinates: Sequence[Any], order: int, mode: str = "constant", cval: Any = 0.0
) -> Array:
    """The elements of `input` at places that need not be integers.

    Args:
      input: an array with n axes; integers are rounded at the end.
      coordinates: n arrays, or one with n parts along its first axis: for each element of the
        result its place along each axis of `input`. They have derivatives if `order` is 1.
      order: 0 for the nearest element, 1 to interpolate linearly along each axis.
      mode: what stands outside: "constant" for `cval`; "nearest" for the element at the edge;
        "wrap" for the elements again from the start; "mirror" and "reflect" for the elements in
        reverse, the last one not repeated or repeated.
      cval: see `mode`.

    Raises:
      ValueError: there is not one array of coordinates for each axis.
      NotImplementedError: another order or mode.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.scipy.ndimage import map_coordinates
      >>> print(map_coordinates(jnp.array([0., 10., 40.]), [jnp.array([0.5, 1.5, 9.])], order=1))
      [ 5. 25.  0.]
    """
    x = jnp.asarray(input)
    if not isinstance(coordinates, (tuple, list)) and not jnp.ndim(coordinates):
        raise error(
            TypeError,
            "coordinates must be a sequence of arrays.",
            got=f"{coordinates!r:.80} of type {type(coordinates).__name__}",
            fix="give one array of coordinates for each axis of the input.",
        )
    places = [jnp.asarray(c) for c in coordinates]
    _check(x, places, order, mode)
    outside = jnp.asarray(cval, x.dtype)
    nodes = [_nodes(c, n, order, mode) for c, n in zip(places, x.shape, strict=True)]
    terms = []
    for corner in itertools.product(*nodes):
        indices, valid, weights = zip(*corner, strict=True) if corner else ((), (), ())
        found = x[tuple(indices)]
        masks = [v for v in valid if v is not None]
        if masks:
            found = jnp.where(functools.reduce(operator.and_, masks), found, outside)
        factors = [w for w in weights if w is not None]
        terms.append(functools.reduce(operator.mul, factors) * found if factors else found)
    result = functools.reduce(operator.add, terms)
    if x.dtype.kind in "iu":
        result = _rounded(result)
    return result.astype(x.dtype)


def _check(x: Any, places: Any, order: Any, mode: Any) -> None:
    if len(places) != len(x.shape):
        raise error(
            ValueError,
            "coordinates must be a sequence of length input.ndim, but "
            f"{len(places)} != {len(x.shape)}.",
            got=f"{x.aval.str_short()} and {len(places)} arrays of coordinates",
            fix="give one array of coordinates for each axis of the input.",
        )
    if mode not in _MODES:
        raise error(
            NotImplementedError,
            f"map_coordinates does not yet support mode {mode}.",
            got=f"mode={mode!r}",
            fix=f"use one of {', '.join(_MODES)}.",
        )
    if order not in (0, 1):
        raise error(
            NotImplementedError,
            "map_coordinates currently requires order<=1.",
            got=f"order={order!r}",
            fix="use 0 or 1.",
        )


def _nodes(place: Any, n: int, order: int, mode: str) -> list[tuple[Any, Any, Any]]:
    """The elements that count at each place: index, whether there is one, and its weight.

    None stands for a mask that holds everywhere, and for the weight 1.
    """
    if order == 0:
        found = [(_rounded(place).astype(jnp.int32), None)]
    else:
        lower = jnp.floor(place)
        upper_weight = place - lower
        index = lower.astype(jnp.int32)
        found = [(index, 1 - upper_weight), (index + 1, upper_weight)]
    return [
        (_MODES[mode](i, n), (i >= 0) & (i < n) if mode == "constant" else None, weight)
        for i, weight in found
    ]


def _rounded(x: Any) -> Any:
    """The nearest integer, of two the one further from 0."""
    return x if x.dtype.kind in "iub" else lax.round(x)


def _mirrored(index: Any, n: int) -> Any:
    last = n - 1
    return jnp.abs((index + last) % (2 * last) - last) if last else jnp.zeros_like(index)


def _reflected(index: Any, n: int) -> Any:
    # Between two elements stands one more, and one before the first: these are mirrored.
    return (_mirrored(2 * index + 1, 2 * n + 1) - 1) // 2


_MODES = {
    "constant": lambda index, n: index,
    "nearest": lambda index, n: jnp.clip(index, 0, n - 1),
    "wrap": lambda index, n: index % n,
    "mirror": _mirrored,
    "reflect": _reflected,
}
