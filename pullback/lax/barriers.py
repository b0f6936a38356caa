"""Functions that compute nothing: stop_gradient, barriers, and some for compatibility."""

from __future__ import annotations

from typing import Any

from .. import checks
from ..core import dtypes
from ..core.array import Array, Tracer
from ..core.placing import as_sharding
from ..core.pytree import flatten, prefix_leaves
from ..core.trace import type_of
from ..ops import barriers, identities
from ..ops.spreading import placed


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
    """`x`, a pytree of arrays, spread over devices as `shardings` says.

    In a program it is a wish that the compiler fulfils; outside, as `device_put`.

    Args:
      x: a pytree of arrays.
      shardings: a Sharding, or with a mesh in use a PartitionSpec, for each of them; or a pytree of
        these, of the structure of the upper part of `x`.

    Raises:
      ValueError: a sharding does not fit its array; there is no mesh in use.
    """
    leaves, tree = flatten(x)
    outs = []
    places = prefix_leaves("with_sharding_constraint's shardings", shardings, x)
    for leaf, target in zip(leaves, places, strict=True):
        y = checks.input_array(leaf, "with_sharding_constraint")
        sharding = as_sharding(target)
        if sharding is not None:
            sharding.shard_shape(type_of(y).shape)
        outs.append(placed(y, sharding))
    return tree.unflatten(outs)


def stage(x: Any, /) -> Array:
    """`x` as an array: inside `jit`, as a value of the program that is being written."""
    array = checks.input_array(x, "stage")
    return array if isinstance(array, Tracer) else identities.stage(array)  # type: ignore[no-any-return]
