"""Functions that compute nothing: stop_gradient, barriers, and some for compatibility."""

from __future__ import annotations

from typing import Any

from .. import checks
from ..core import dtypes
from ..core.array import Array
from ..core.pytree import flatten
from ..ops import barriers


def stop_gradient(x: Any) -> Any:
    """`x`, a pytree of arrays, as constants: no derivative goes through.

    Example:
      >>> import pullback
      >>> from pullback import lax
      >>> print(pullback.grad(lambda x: x * lax.stop_gradient(x))(3.0))
      3.0
    """
    if isinstance(x, Array):
        return _stopped(x)
    leaves, tree = flatten(x)
    return tree.unflatten([_stopped(leaf) for leaf in leaves])


def _stopped(x: Any) -> Any:
    x = x if isinstance(x, Array) else checks.input_array(x, "stop_gradient")
    return barriers.stop_gradient(x) if dtypes.is_inexact(x.dtype) else x


def optimization_barrier(operand: Any, /) -> Any:
    """`operand`, a pytree of arrays; nothing before it is simplified with anything after it."""
    leaves, tree = flatten(operand)
    arrays = [checks.input_array(x, "optimization_barrier") for x in leaves]
    return tree.unflatten(barriers.optimization_barrier(*arrays) if arrays else [])


def with_sharding_constraint(x: Any, shardings: Any) -> Any:
    """`x`: this engine has one device."""
    return x


def stage(x: Any, /) -> Array:
    """`x` as an array."""
    return checks.input_array(x, "stage")  # type: ignore[no-any-return]
