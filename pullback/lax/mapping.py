"""map: a function of one element, for each element of a sequence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import checks
from ..core.errors import error
from ..core.pytree import PyTreeDef, flatten
from ..ops.slicing import concatenate, slice_along
from ..ops.structural import reshape, to_front
from ..transforms import batch
from .loops import as_integer, check_callable, scan, scan_length


def map(f: Callable[[Any], Any], xs: Any, *, batch_size: int | None = None) -> Any:
    """Apply `f` to each element along the first axis of `xs`, one after the other.

    As `vmap` in meaning; it takes the memory of one element (with `batch_size`: of that many).

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback import lax
      >>> print(lax.map(lambda x: x * x, jnp.arange(3)))
      [0 1 4]
    """
    check_callable("lax.map: f argument should be a callable.", f)
    if batch_size is not None:
        return _map_in_batches(f, xs, batch_size)

    def step(_: Any, x: Any) -> Any:
        return (), f(x)

    return scan(step, (), xs)[1]


def _map_in_batches(f: Any, xs: Any, size: int) -> Any:
    leaves, in_tree = flatten(xs)
    leaves = [checks.input_array(x, "lax.map") for x in leaves]
    n = scan_length(leaves, None, in_tree)
    if as_integer(size) is None or size < 1:
        raise error(
            ValueError,
            "lax.map: batch_size must be a positive integer.",
            got=f"batch_size={size!r}",
            fix="leave it out to take one element at a time.",
        )
    count, rest = divmod(n, size)
    parts = []
    if count:
        batches = [
            reshape(slice_along(x, 0, 0, count * size), new_sizes=(count, size, *x.shape[1:]))
            for x in leaves
        ]
        found, tree = flatten(map(lambda x: _mapped(f, x, size), in_tree.unflatten(batches)))
        parts.append([reshape(y, new_sizes=(count * size, *y.shape[2:])) for y in found])
    if rest or not count:
        last = in_tree.unflatten([slice_along(x, 0, count * size, n) for x in leaves])
        found, tree = flatten(_mapped(f, last, rest))
        parts.append(found)
    if len(parts) == 1:
        return tree.unflatten(parts[0])
    return tree.unflatten([concatenate(a, b, dimension=0) for a, b in zip(*parts, strict=True)])


def _mapped(f: Any, xs: Any, size: int) -> Any:
    """vmap of `f` over axis 0."""
    leaves, in_tree = flatten(xs)
    trees: list[PyTreeDef] = []

    def flat(*new: Any) -> list[Any]:
        outs, tree = flatten(f(in_tree.unflatten(new)))
        trees.append(tree)
        return [checks.output_array(y, "lax.map") for y in outs]

    outs, axes = batch.vmap(flat, size, leaves, [0] * len(leaves))
    return trees[0].unflatten([to_front(y, a, size) for y, a in zip(outs, axes, strict=True)])
