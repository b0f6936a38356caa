"""Whole Jacobians and Hessians: one vmapped product with each vector of the standard basis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import checks, edges
from .accumulation import cross_jacobian
from .api import jvp, vjp
from .core import dtypes
from .core.array import Array, HostArray
from .core.errors import error
from .core.pytree import flatten
from .core.trace import EVAL, state, type_of
from .mapping import vmap
from .ops.comparison import eq
from .ops.elementwise import add, convert_element_type
from .ops.slicing import slice_along
from .ops.structural import iota, reshape


def jacfwd(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
) -> Callable[..., Any]:
    """The Jacobian of `fun`, column by column in forward mode: best where it is tall.

    Args:
      fun: a function whose result is a pytree of arrays.
      argnums: the positional argument, or the several, to differentiate with respect to.
      has_aux: whether `fun` returns ``(value, auxiliary data)``.
      holomorphic: promise that `fun` is holomorphic; inputs must then be complex.

    Returns:
      A function of the same arguments. For each array of the output, of shape ``S``, and each of
      the input, of shape ``T``, it gives an array of shape ``S + T``.

    Example:
      >>> import pullback
      >>> import pullback.numpy as jnp
      >>> print(pullback.jacfwd(jnp.sin)(jnp.zeros(2)))
      [[1. 0.]
       [0. 1.]]
    """
    checks.callable_(fun, "jacfwd")
    positions = checks.positions(argnums)

    def jacobian_of(*args: Any, **kwargs: Any) -> Any:
        chosen = checks.chosen_arguments(args, positions, argnums, "jacfwd")
        leaves, in_tree, rebuilt = _coordinates(chosen)
        leaves = [checks.input_array(x, "jacfwd") for x in leaves]
        for x in leaves:
            _check_real(x, holomorphic, "jacfwd", "input")

        def of_chosen(*new: Any) -> Any:
            value = rebuilt(new)
            return fun(*checks.replaced_arguments(args, positions, argnums, value), **kwargs)

        def push(*tangents: Any) -> Any:
            return jvp(of_chosen, leaves, tangents, has_aux=has_aux)[1:]

        out_axes = (-1, None) if has_aux else (-1,)
        pushed = vmap(push, out_axes=out_axes)(*_basis([type_of(x) for x in leaves]))
        dys, out_tree = flatten(pushed[0])
        for y in dys:
            _check_real(y, holomorphic, "jacfwd", "output", forward=True)
        blocks = [_blocks(y, leaves, last=True) for y in dys]
        jac = out_tree.unflatten([in_tree.unflatten(row) for row in blocks])
        return (jac, pushed[1]) if has_aux else jac

    return checks.named_like(jacobian_of, fun, "jacfwd")


def jacrev(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
) -> Callable[..., Any]:
    """The Jacobian of `fun`, row by row in reverse mode: best where it is wide.

    Arguments and result are those of `jacfwd`; with `allow_int`, derivatives with respect to
    integers have dtype float0.

    Example:
      >>> import pullback
      >>> import pullback.numpy as jnp
      >>> print(pullback.jacrev(jnp.sum)(jnp.zeros(3)))
      [1. 1. 1.]
    """
    checks.callable_(fun, "jacrev")
    positions = checks.positions(argnums)

    def jacobian_of(*args: Any, **kwargs: Any) -> Any:
        chosen = checks.chosen_arguments(args, positions, argnums, "jacrev")
        leaves, in_tree, rebuilt = _coordinates(chosen)
        leaves = [checks.input_array(x, "jacrev") for x in leaves]
        for x in leaves:
            checks.grad_input(x, holomorphic, allow_int)

        def of_chosen(*new: Any) -> Any:
            value = rebuilt(new)
            return fun(*checks.replaced_arguments(args, positions, argnums, value), **kwargs)

        y, pull, *aux = vjp(of_chosen, *leaves, has_aux=has_aux)
        ys, out_tree, _ = _coordinates(y)
        if isinstance(pull, edges.Pullback):
            pull = pull.plain
        for y in ys:
            _check_real(y, holomorphic, "jacrev", "output")
        rows = vmap(lambda *cts: pull(out_tree.unflatten(cts)))(*_basis([type_of(y) for y in ys]))
        columns = [_blocks(row, ys, last=False) for row in rows]  # by input, then by output
        by_output = zip(*columns, strict=True) if columns else [() for _ in ys]
        jac = out_tree.unflatten([in_tree.unflatten(row) for row in by_output])
        return (jac, *aux) if has_aux else jac

    return checks.named_like(jacobian_of, fun, "jacrev")


def jacobian(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
    *,
    mode: str = "reverse",
) -> Callable[..., Any]:
    """The Jacobian of `fun`, in the mode of your choice; `jacrev` if none is given.

    Args:
      fun, argnums, has_aux, holomorphic, allow_int: as for `jacrev`.
      mode: ``'forward'`` is `jacfwd`, ``'reverse'`` is `jacrev`. ``'cross'`` takes the
        linearization apart into scalars and eliminates them one by one, in the cheapest of the
        orders that a few rules and a search find, that of Markowitz among them (Griewank and Reese
        1991). For small functions with several inputs and outputs it needs fewer multiplications
        than both; `accumulation_cost` tells how many. It is made for `jit`, and for many points at
        once with `vmap`. Loops and other operations of which only products are known are taken as
        a whole. A constant that is zero, and the side of a selection that is not taken, contribute
        nothing, also where they meet an infinity.

    Raises:
      ValueError: another mode; in cross mode a function of more than 50,000 scalars.
      TypeError: in cross mode, numbers that are not real.

    Example:
      >>> import pullback
      >>> import pullback.numpy as jnp
      >>> f = lambda x: jnp.stack([x[0] * x[1], x[0] / x[1]])
      >>> print(pullback.jacobian(f, mode='cross')(jnp.array([1.0, 2.0])))
      [[ 2.    1.  ]
       [ 0.5  -0.25]]
    """
    if mode == "reverse":
        return jacrev(fun, argnums, has_aux, holomorphic, allow_int)
    if mode == "forward" and not allow_int:
        return jacfwd(fun, argnums, has_aux, holomorphic)
    if mode == "cross" and not allow_int and not holomorphic:
        return cross_jacobian(fun, argnums, has_aux)
    if mode in ("forward", "cross"):
        option = "allow_int" if allow_int else "holomorphic"
        raise error(
            ValueError,
            f"jacobian with mode={mode!r} does not take {option}=True.",
            got=f"{option}=True",
            fix="leave it out, or use mode='reverse'.",
        )
    raise error(
        ValueError,
        "jacobian has the modes 'forward', 'reverse' and 'cross'.",
        got=f"mode={mode!r}",
        fix="choose one of them.",
    )


def hessian(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
) -> Callable[..., Any]:
    """The second derivatives of `fun`: forward over reverse mode.

    Example:
      >>> import pullback
      >>> import pullback.numpy as jnp
      >>> print(pullback.hessian(lambda x: jnp.dot(x, x))(jnp.array([1.0, 2.0])))
      [[2. 0.]
       [0. 2.]]
    """
    inner = jacrev(fun, argnums, has_aux=has_aux, holomorphic=holomorphic)
    return jacfwd(inner, argnums, has_aux=has_aux, holomorphic=holomorphic)


def _coordinates(point: Any) -> tuple[list[Any], Any, Any]:
    """The arrays to differentiate with respect to, their tree, and what makes a point of them."""
    leaves, tree = flatten(point)
    return edges.coordinates(point) if edges.within(tree) else (leaves, tree, tree.unflatten)


_WRITTEN_OUT = 1 << 12
"""Elements up to which a program has the basis as a constant."""


def _basis(types: Sequence[Any]) -> list[Any]:
    """The identity matrix of all elements together, cut into one block of rows for each type."""
    total = sum(t.size for t in types)
    blocks, start = [], 0
    for t in types:
        if state.trace is EVAL or total * t.size <= _WRITTEN_OUT:
            block = np.zeros((total, t.size), t.dtype)
            block[np.arange(start, start + t.size), np.arange(t.size)] = 1
            blocks.append(HostArray(block.reshape(total, *t.shape), t.weak_type))
        else:
            blocks.append(_basis_in_program(total, start, t))
        start += t.size
    return blocks


def _basis_in_program(total: int, start: int, t: Any) -> Any:
    """A block of the basis that a program computes where it needs it: it fills no memory."""
    shape = total, t.size
    rows, columns = (iota(dtype=dtypes.int32, shape=shape, dimension=d) for d in (0, 1))
    if start:
        columns = add(columns, np.int32(start))
    ones = convert_element_type(eq(rows, columns), new_dtype=t.dtype, weak_type=t.weak_type)
    return reshape(ones, new_sizes=(total, *t.shape))


def _blocks(x: Any, like: Sequence[Any], last: bool) -> list[Any]:
    """`x`, whose last (or first) axis runs over the elements of all of `like`, cut for each."""
    if isinstance(x, np.ndarray) and x.dtype == dtypes.float0:
        sizes = [type_of(y).size for y in like]
        shapes = [type_of(y).shape for y in like]
        return [
            np.zeros((*s, *x.shape[1:]), dtypes.float0) for s, _ in zip(shapes, sizes, strict=True)
        ]
    parts, start = [], 0
    for y in like:
        t = type_of(y)
        if len(like) == 1:
            part = x
        else:
            axis = len(x.shape) - 1 if last else 0
            part = slice_along(x, axis, start, start + t.size)
        shape = (*x.shape[:-1], *t.shape) if last else (*t.shape, *x.shape[1:])
        parts.append(reshape(part, new_sizes=shape) if part.shape != shape else part)
        start += t.size
    return parts


def _check_real(x: Any, holomorphic: bool, name: str, what: str, forward: bool = False) -> None:
    k = dtypes.kind(x.dtype)
    if holomorphic and k != "c":
        kinds = "complex"
    elif not holomorphic and k != "f" and not (k == "c" and forward):
        kinds = "real (float)"
    else:
        return
    raise error(
        TypeError,
        f"{name} requires {kinds} {what}s, but got {dtypes.long_name(x.dtype)}.",
        got=type_of(x).str_short() if isinstance(x, Array) else str(x.dtype),
        fix="convert to float, or set holomorphic=True for a holomorphic function of complex "
        "inputs."
        if not holomorphic
        else "give complex inputs, or leave holomorphic out.",
    )


__all__ = ["hessian", "jacfwd", "jacobian", "jacrev"]
