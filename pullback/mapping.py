"""vmap: what a user calls to run a function for every element along an axis, all at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import checks
from .core.array import Array
from .core.errors import error
from .core.pytree import flatten, flatten_call, leaf_paths, prefix_leaves
from .core.trace import type_of
from .ops.structural import broadcast_in_dim, move_axis, reduce_sum
from .transforms import batch


def vmap(
    fun: Callable[..., Any],
    in_axes: Any = 0,
    out_axes: Any = 0,
    axis_name: Any = None,
    axis_size: int | None = None,
    spmd_axis_name: Any = None,
    sum_match: bool = False,
) -> Callable[..., Any]:
    """The function that applies `fun` along an axis of its arguments, without a loop.

    Args:
      fun: a function of pytrees of arrays.
      in_axes: for each positional argument, the axis to map over, or None if it is the same for all
        elements: an integer or None for all, or a tuple; an entry may be a pytree that has the
        structure of the upper part of its argument. Arguments by keyword are mapped over axis 0.
      out_axes: where the mapped axis goes in the result; in the same form. None for a result that
        does not depend on mapped arguments.
      axis_name: a name for the mapped axis, for `lax.psum` and its like.
      axis_size: the length of the mapped axis; needed only if no argument is mapped.
      spmd_axis_name: accepted for compatibility.
      sum_match: where an entry of `out_axes` is None and the result is mapped all the same, give
        the sum over the mapped axis instead of an error.

    Returns:
      A function of the same arguments with a mapped axis more in arguments and results.

    Raises:
      ValueError: the mapped axes differ in length, or do not exist.

    Example:
      >>> import pullback
      >>> import pullback.numpy as jnp
      >>> print(pullback.vmap(jnp.dot, in_axes=(0, None))(jnp.eye(2), jnp.array([3.0, 4.0])))
      [3. 4.]
    """
    checks.callable_(fun, "vmap")
    if isinstance(in_axes, list):
        in_axes = tuple(in_axes)
    if not (in_axes is None or isinstance(in_axes, (int, tuple))):
        raise error(
            TypeError,
            "in_axes must be an int, None, or a tuple of entries corresponding to the positional "
            "arguments.",
            got=f"in_axes={in_axes!r}",
            fix="give e.g. in_axes=(0, None).",
        )

    def mapped(*args: Any, **kwargs: Any) -> Any:
        leaves, in_tree, axes, size = _inputs(in_axes, axis_size, args, kwargs)
        trees: list[Any] = []

        def flat(*leaves: Any) -> list[Any]:
            new_args, new_kwargs = in_tree.unflatten(leaves)
            outs, out_tree = flatten(fun(*new_args, **new_kwargs))
            trees.append(out_tree)
            return [y if isinstance(y, Array) else checks.output_array(y, "vmap") for y in outs]

        outs, have = batch.vmap(flat, size, leaves, axes, axis_name, fun)
        out_tree = trees[0]
        if isinstance(out_axes, int):
            want = [out_axes] * len(outs)
        else:
            want = prefix_leaves("vmap out_axes", out_axes, out_tree.unflatten(outs))
        if sum_match:
            pairs = [_summed(y, h, w) for y, h, w in zip(outs, have, want, strict=True)]
            outs, have = [y for y, _ in pairs], [h for _, h in pairs]
        return out_tree.unflatten(
            [_placed(y, h, w, size) for y, h, w in zip(outs, have, want, strict=True)]
        )

    return checks.named_like(mapped, fun, "vmap")


def _inputs(in_axes: Any, axis_size: int | None, args: Any, kwargs: Any) -> Any:
    """The leaves of the arguments, their tree, the mapped axis of each, and its length."""
    if isinstance(in_axes, tuple) and len(in_axes) != len(args):
        raise error(
            ValueError,
            "vmap in_axes must have one entry for each positional argument.",
            got=f"in_axes={in_axes} for {len(args)} positional arguments",
            fix="add an entry, or give a single integer for all arguments.",
        )
    leaves, in_tree = flatten_call(args, kwargs)
    axes = axes_of_leaves(in_axes, args, kwargs)
    leaves = [  # what is not mapped may be anything: it is only passed on
        x if isinstance(x, Array) or a is None else checks.input_array(x, "vmap")
        for x, a in zip(leaves, axes, strict=True)
    ]
    size, agree = axis_size, True
    for i, (a, x) in enumerate(zip(axes, leaves)):
        if a is not None:
            axes[i] = a = _axis_in(a, x, i, args, kwargs)
            if size is None:
                size = x.shape[a]
            elif size != x.shape[a]:
                agree = False
    if size is None or not agree:
        raise _no_common_size(leaves, axes, axis_size, args, kwargs)
    return leaves, in_tree, axes, size


def axes_of_leaves(in_axes: Any, args: Any, kwargs: Any) -> list[Any]:
    """For each array of the arguments the axis to map."""
    if in_axes is None or isinstance(in_axes, int):
        axes = [in_axes] * len(flatten(args)[0])
    elif isinstance(in_axes, tuple) and all([isinstance(x, Array) for x in args]):
        axes = list(in_axes)
    else:
        axes = prefix_leaves("vmap in_axes", in_axes, args)
    return axes + [0] * len(flatten(kwargs)[0]) if kwargs else axes


def _axis_in(axis: Any, x: Any, i: int, args: Any, kwargs: Any) -> int:
    ndim = len(x.shape)
    if type(axis) is int and 0 <= axis < ndim:
        return axis
    if isinstance(axis, bool) or not isinstance(axis, int):
        raise error(
            TypeError,
            "an entry of vmap's in_axes must be an integer or None.",
            got=f"{axis!r} for {name_of(i, args, kwargs)}",
            fix="name the axis by its number.",
        )
    if not -ndim <= axis < ndim:
        raise error(
            ValueError,
            f"vmap was requested to map its argument along axis {axis}, which implies that its "
            f"rank should be at least {axis + 1 if axis >= 0 else -axis}, but is only {ndim}.",
            got=f"{name_of(i, args, kwargs)} of type {type_of(x).str_short()}",
            fix="give None in in_axes for an argument that is not mapped, or add an axis to it.",
        )
    return axis % ndim


def _no_common_size(
    leaves: Any, axes: Any, given: int | None, args: Any, kwargs: Any
) -> ValueError:
    found = [
        f"{name_of(i, args, kwargs)} ({type_of(x).str_short()}) has {x.shape[a]} on axis {a}"
        for i, (x, a) in enumerate(zip(leaves, axes, strict=True))
        if a is not None
    ]
    if given is not None:
        found.append(f"axis_size={given}")
    if not found:
        return error(
            ValueError,
            "vmap must have at least one non-None value in in_axes.",
            got=f"{len(leaves)} arrays, none of them mapped",
            fix="map an argument, or give axis_size=.",
        )
    return error(
        ValueError,
        "vmap got inconsistent sizes for array axes to be mapped.",
        got="; ".join(found),
        fix="map axes of one length, or give None in in_axes for an argument that is not mapped.",
    )


def name_of(i: int, args: Any, kwargs: Any) -> str:
    """The name of an array among the arguments."""
    return (leaf_paths(args, "args") + leaf_paths(kwargs, "kwargs"))[i]


def _summed(y: Any, have: int | None, want: Any) -> tuple[Any, int | None]:
    if want is None and have is not None:
        return reduce_sum(y, axes=(have,)), None
    return y, have


def _placed(y: Any, have: int | None, want: Any, size: int) -> Any:
    """`y` with its mapped axis, now at `have`, at `want`."""
    if want is None:
        if have is not None:
            raise error(
                ValueError,
                "vmap has mapped output but out_axes is None.",
                got=f"an output of type {type_of(y).str_short()} mapped on axis {have}",
                fix="give an integer in out_axes; None is for results that no mapped argument "
                "enters.",
            )
        return y
    if have == want:
        return y
    shape = type_of(y).shape
    ndim = len(shape) + (have is None)
    if isinstance(want, bool) or not isinstance(want, int) or not -ndim <= want < ndim:
        raise error(
            ValueError,
            "an entry of vmap's out_axes does not name an axis of its output.",
            got=f"out_axes {want!r} for an output with {ndim} axes",
            fix=f"use {-ndim} to {ndim - 1}.",
        )
    want %= ndim
    if have is not None:
        return move_axis(y, have, want)
    dims = tuple(i for i in range(ndim) if i != want)
    return broadcast_in_dim(
        y, shape=(*shape[:want], size, *shape[want:]), broadcast_dimensions=dims
    )
