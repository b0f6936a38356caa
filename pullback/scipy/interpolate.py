"""Values between the points of a grid: `jax.scipy.interpolate`."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from .. import numpy as jnp
from .. import tree_util
from ..core import dtypes
from ..core.array import Array
from ..core.errors import error
from ..numpy.promotion import as_array, as_arrays, inexact

__all__ = ["RegularGridInterpolator"]


class RegularGridInterpolator:
    """A function of n numbers, interpolated between its values at the points of a grid.

    It is a pytree: the grid, the values and `fill_value` can be traced and have derivatives.

    Args:
      points: n arrays of one axis, each in ascending order: the coordinates of the grid.
      values: an array whose first n axes are those of the grid; there may be more.
      method: "linear", in each coordinate; or "nearest", the value at the nearest point.
      bounds_error: False; no error can be raised for traced places.
      fill_value: the value outside of the grid; None to continue the outermost cells.

    Raises:
      ValueError: there is no such method, or the arrays do not fit.
      NotImplementedError: `bounds_error` is set.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.scipy.interpolate import RegularGridInterpolator
      >>> f = RegularGridInterpolator((jnp.array([0., 1., 3.]),), jnp.array([0., 10., 30.]))
      >>> print(f(jnp.array([0.5, 2., 4.])))
      [ 5. 20. nan]
    """

    def __init__(
        self,
        points: Sequence[Any],
        values: Any,
        method: str = "linear",
        bounds_error: bool = False,
        fill_value: Any = jnp.nan,
    ) -> None:
        _check_method(method)
        if bounds_error:
            raise error(
                NotImplementedError,
                "`bounds_error` takes no effect under JIT.",
                got=f"bounds_error={bounds_error!r}",
                fix="leave it False: places outside of the grid give fill_value.",
            )
        values = inexact("RegularGridInterpolator", as_array(values, "RegularGridInterpolator"))
        if not isinstance(points, (tuple, list)):
            raise error(
                TypeError,
                "points must be a sequence of arrays, one for each axis of the grid.",
                got=f"{points!r:.80} of type {type(points).__name__}",
                fix="write (x,) for a grid of one axis.",
            )
        if len(points) > len(values.shape):
            raise error(
                ValueError,
                f"there are {len(points)} point arrays, but values has {len(values.shape)} "
                "dimensions.",
                got=values.aval.str_short(),
                fix="give one array of points for each axis of the grid.",
            )
        if fill_value is not None:
            fill_value = as_array(fill_value, "RegularGridInterpolator")
            if dtypes.kind(fill_value.dtype) == "c" and values.dtype.kind != "c":
                raise error(
                    ValueError,
                    "fill_value must be either 'None' or of a type compatible with values.",
                    got=f"{fill_value.aval.str_short()} for {values.aval.str_short()}",
                    fix="give a real number.",
                )
        self.method, self.bounds_error, self.fill_value = method, bounds_error, fill_value
        self.grid = tuple(as_arrays("RegularGridInterpolator", *points))
        self.values = values

    def __call__(self, xi: Any, method: str | None = None) -> Array:
        """The values at `xi`.

        Args:
          xi: an array of shape ``(..., n)``, or n arrays that broadcast, in a tuple; for n = 1 also
            an array without the last axis.
          method: overrides that of the interpolator.

        Raises:
          ValueError: there is no such method, or `xi` has not n numbers.
        """
        method = self.method if method is None else method
        _check_method(method)
        count = len(self.grid)
        xi = _as_points(xi, count)
        if xi.shape[-1] != count:
            raise error(
                ValueError,
                f"the requested sample points xi have dimension {xi.shape[-1]}, but this "
                f"RegularGridInterpolator has dimension {count}.",
                got=xi.aval.str_short(),
                fix=f"give an array of shape (..., {count}).",
            )
        flat = xi.reshape(-1, count)
        cells = [self._cell(g, flat[:, i]) for i, g in enumerate(self.grid)]
        result = self._linear(cells) if method == "linear" else self._nearest(cells)
        if self.fill_value is not None:
            outside = jnp.zeros(flat.shape[0], bool)
            for i, g in enumerate(self.grid):
                outside = outside | (flat[:, i] < g[0]) | (flat[:, i] > g[-1])
            result = jnp.where(_column(outside, result), self.fill_value, result)
        return result.reshape(xi.shape[:-1] + self.values.shape[count:])

    def _cell(self, grid: Any, x: Any) -> tuple[Any, Any]:
        """The index of the cell that holds each number, and how far in it the number stands."""
        i = jnp.clip(jnp.searchsorted(grid, x) - 1, 0, grid.size - 2)
        low = grid[i]
        return i, (x - low) / (grid[i + 1] - low)

    def _linear(self, cells: Any) -> Any:
        total: Any = 0.0
        for corner in itertools.product((0, 1), repeat=len(cells)):
            weight: Any = 1.0
            for (_, t), upper in zip(cells, corner, strict=True):
                weight = weight * (t if upper else 1 - t)
            at = tuple(i + upper for (i, _), upper in zip(cells, corner, strict=True))
            found = self.values[at]
            total = total + found * _column(weight, found)
        return total

    def _nearest(self, cells: Any) -> Any:
        return self.values[tuple(jnp.where(t <= 0.5, i, i + 1) for i, t in cells)]

    def _leaves(self) -> Any:
        return (self.grid, self.values, self.fill_value), (self.method, self.bounds_error)

    @classmethod
    def _from_leaves(cls, aux: Any, leaves: Any) -> RegularGridInterpolator:
        made = cls.__new__(cls)
        made.grid, made.values, made.fill_value = leaves
        made.method, made.bounds_error = aux
        return made


tree_util.register_pytree_node(
    RegularGridInterpolator,
    RegularGridInterpolator._leaves,
    RegularGridInterpolator._from_leaves,
)


def _check_method(method: Any) -> None:
    if method not in ("linear", "nearest"):
        raise error(
            ValueError,
            f"method {method!r} is not defined.",
            got=f"method={method!r} of RegularGridInterpolator",
            fix='use "linear" or "nearest".',
        )


def _column(x: Any, like: Any) -> Any:
    """`x`, which has one axis, so that it broadcasts along the first axis of `like`."""
    return x.reshape(x.shape[:1] + (1,) * (len(like.shape) - 1)) if hasattr(x, "shape") else x


def _as_points(xi: Any, count: int) -> Any:
    if isinstance(xi, tuple) and len(xi) == 1:
        (xi,) = xi
    if isinstance(xi, tuple):
        return jnp.stack(jnp.broadcast_arrays(*xi), axis=-1)
    xi = as_array(xi, "RegularGridInterpolator")
    if len(xi.shape) == 1:
        return xi.reshape(-1, count)
    return xi
