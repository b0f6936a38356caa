"""associative_scan: all prefixes of a sequence, combined in a tree of operations on halves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import checks
from ..core.errors import error
from ..core.pytree import flatten
from ..core.trace import type_of
from ..ops.slicing import concatenate, slice_along
from ..ops.stacking import stack
from ..ops.structural import reshape, rev


def associative_scan(
    fn: Callable[[Any, Any], Any], elems: Any, reverse: bool = False, axis: int = 0
) -> Any:
    """All prefixes of `elems` along `axis`, combined with `fn`.

    Args:
      fn: an associative function `fn(a, b)` of two pytrees like `elems`; it is called on whole
        slices along `axis` and must combine them element by element, as if under `vmap`.
      elems: a pytree of arrays of one length along `axis`.
      reverse: whether to begin at the end.
      axis: the axis to scan along.

    Returns:
      A pytree like `elems`; its element `i` is the combination of the elements up to `i`.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback import lax
      >>> print(lax.associative_scan(lambda a, b: a * b, jnp.arange(1, 6)))
      [  1   2   6  24 120]
    """
    if not callable(fn):
        raise error(
            TypeError,
            "lax.associative_scan: fn argument should be callable.",
            got=f"a value of type {type(fn).__name__}",
            fix="give a function of two arguments first, then the elements.",
        )
    leaves, tree = flatten(elems)
    leaves = [checks.input_array(x, "associative_scan") for x in leaves]
    if not leaves:
        return elems
    axis = _checked_axis(leaves, axis)
    if reverse:
        leaves = [rev(x, dimensions=(axis,)) for x in leaves]

    def combine(a: list[Any], b: list[Any]) -> list[Any]:
        out, out_tree = flatten(fn(tree.unflatten(a), tree.unflatten(b)))
        checks.structure("the result of associative_scan's fn", out_tree, tree, "the elements")
        out = [checks.output_array(y, "associative_scan") for y in out]
        return [_checked_result(x, y) for x, y in zip(a, out, strict=True)]

    found = _scan(combine, leaves, axis)
    return tree.unflatten([rev(y, dimensions=(axis,)) for y in found] if reverse else found)


def _checked_result(x: Any, y: Any) -> Any:
    have, want = type_of(y), type_of(x)
    if (have.shape, have.dtype) != (want.shape, want.dtype):
        raise error(
            TypeError,
            "the function of associative_scan must give slices like those that it takes.",
            got=f"{have.str_short()} for slices {want.str_short()}",
            fix="combine slices element by element, and convert the elements beforehand.",
        )
    return y


def _checked_axis(leaves: list[Any], axis: int) -> int:
    shapes = [tuple(x.shape) for x in leaves]
    rank = len(shapes[0])
    at = axis + rank if axis < 0 else axis
    if not all(0 <= at < len(s) for s in shapes):
        raise error(
            ValueError,
            f"associative_scan cannot scan along axis {axis}: an array has no such axis.",
            got=", ".join(type_of(x).str_short() for x in leaves),
            fix="give arrays with that axis.",
        )
    if len({s[at] for s in shapes}) > 1:
        raise error(
            ValueError,
            f"Array inputs to associative_scan must have the same first dimension. (saw: {shapes})",
            got=", ".join(type_of(x).str_short() for x in leaves),
            fix="give arrays of one length along the axis.",
        )
    return at


def _scan(combine: Any, xs: list[Any], axis: int) -> list[Any]:
    # Neighbours are combined; the scan of these is the result at odd places; combined with the next
    # element it is the result at even places.
    n = xs[0].shape[axis]
    if n < 2:
        return xs
    first = [slice_along(x, axis, 0, n - 1, 2) for x in xs]
    second = [slice_along(x, axis, 1, n, 2) for x in xs]
    odd = _scan(combine, combine(first, second), axis)
    even = [slice_along(x, axis, 0, 1) for x in xs]
    if n > 2:
        before = [slice_along(y, axis, 0, (n - 1) // 2) for y in odd]
        after = [slice_along(x, axis, 2, n, 2) for x in xs]
        later = combine(before, after)
        even = [concatenate(a, b, dimension=axis) for a, b in zip(even, later, strict=True)]
    return [_interleaved(a, b, axis) for a, b in zip(even, odd, strict=True)]


def _interleaved(even: Any, odd: Any, axis: int) -> Any:
    """a[0], b[0], a[1], b[1], ...; `even` may have one element more."""
    m, n = even.shape[axis], odd.shape[axis]
    pairs = stack(slice_along(even, axis, 0, n), odd, axis=axis + 1)
    shape = (*odd.shape[:axis], 2 * n, *odd.shape[axis + 1 :])
    merged = reshape(pairs, new_sizes=shape)
    if m == n:
        return merged
    return concatenate(merged, slice_along(even, axis, n, m), dimension=axis)
