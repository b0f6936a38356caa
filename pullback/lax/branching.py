"""Branches on trees: cond, switch, and the choice by platform."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import checks
from ..control.branches import cond_p, joined_branches
from ..control.traced import Body, describe, trace_function
from ..core import dtypes
from ..core.array import Array, HostArray, Tracer
from ..core.errors import error
from ..core.pytree import flatten, leaf_paths
from ..core.settings import values
from ..core.trace import host_array, type_of
from ..core.types import ArrayType
from ..ops.comparison import clamp, ne
from ..ops.elementwise import convert_element_type

_NOTHING: Any = object()


def cond(pred: Any, *args: Any, operand: Any = _NOTHING, linear: Any = None, **named: Any) -> Any:
    """`true_fun(*operands)` if `pred` holds, else `false_fun(*operands)`.

    Both functions are traced, one of them is run. (Under `vmap` with a mapped `pred` both are run,
    and each element takes the result of its own.)

    Args:
      pred: a scalar bool, or a number, which stands for its being other than 0.
      true_fun, false_fun: functions of the operands, whose results have one structure and types.
      *operands: pytrees of arrays.
      operand: the one operand, by keyword.
      linear: accepted for compatibility.

    The old form `cond(pred, true_operand, true_fun, false_operand, false_fun)` is taken too.

    Raises:
      TypeError: `pred` is no scalar, or the two results differ in structure or types.

    Example:
      >>> from pullback import lax
      >>> print(lax.cond(True, lambda x: x + 1, lambda x: x - 1, 10))
      11
    """
    true_fun, false_fun, operands = _cond_arguments(args, named)
    if operand is not _NOTHING:
        if operands:
            raise error(
                TypeError,
                "if 'operand' keyword is passed then no positional operands can be passed.",
                got=f"{len(operands)} operands and operand=",
                fix="pass all operands by position.",
            )
        operands = (operand,)
    if not (callable(true_fun) and callable(false_fun)):
        raise error(
            TypeError,
            "lax.cond: true_fun and false_fun arguments should be callable.",
            got=f"{type(true_fun).__name__} and {type(false_fun).__name__}",
            fix="give two functions, e.g. lambda x: x, and their operands behind them.",
        )
    pred = _predicate(pred)
    if values.jax_disable_jit and not isinstance(pred, Array):
        return (true_fun if pred else false_fun)(*operands)
    index = convert_element_type(pred, new_dtype=dtypes.int32, weak_type=False)
    names = ("true_fun", "false_fun")
    return _branch("cond", index, (false_fun, true_fun), operands, names[::-1])


def _cond_arguments(args: Any, named: Any) -> tuple[Any, Any, tuple[Any, ...]]:
    """true_fun, false_fun and the operands, from the new or the old form of the call."""
    if not named and len(args) >= 2 and callable(args[0]):
        return args[0], args[1], args[2:]
    old = {"true_operand", "false_operand"} & named.keys()
    if old or (len(args) == 4 and callable(args[1])):
        bound = inspect.signature(_per_branch).bind(*args, **named).arguments
        true_fun, false_fun = bound["true_fun"], bound["false_fun"]
        operands = (bound["true_operand"], bound["false_operand"])
        return lambda x, y: true_fun(x), lambda x, y: false_fun(y), operands
    bound = inspect.signature(_modern).bind(*args, **named).arguments
    return bound["true_fun"], bound["false_fun"], bound.get("operands", ())


def _modern(true_fun: Any, false_fun: Any, *operands: Any) -> None: ...


def _per_branch(true_operand: Any, true_fun: Any, false_operand: Any, false_fun: Any) -> None: ...


def _predicate(pred: Any) -> Any:
    """`pred` as a scalar bool; as Python's where it is known and `jax_disable_jit` is set."""
    try:
        x = pred if isinstance(pred, Array) else host_array(pred)
    except TypeError as cause:
        raise _bad_predicate("Pred must be a scalar", pred) from cause
    if type_of(x).shape:
        raise _bad_predicate("Pred must be a scalar", pred)
    if x.dtype != dtypes.bool_:
        if dtypes.kind(x.dtype) not in "iuf":
            raise _bad_predicate("Pred type must be either boolean or number", pred)
        x = ne(x, HostArray(x.dtype.type(0), True))
    known = _known(x) if values.jax_disable_jit else None
    return x if known is None else bool(known)


def _known(x: Any) -> Any:
    return x.known() if isinstance(x, Tracer) else x


def _bad_predicate(what: str, pred: Any) -> TypeError:
    shown = type_of(pred).str_short() if isinstance(pred, (Array, np.ndarray)) else f"{pred!r:.80}"
    return error(
        TypeError,
        f"{what}, got {shown}.",
        got="an array" if isinstance(pred, Array) else f"a value of type {type(pred).__name__}",
        fix="reduce it with jnp.all or jnp.any, or use jnp.where for a choice per element.",
    )


def switch(
    index: Any,
    branches: Sequence[Callable[..., Any]],
    *operands: Any,
    operand: Any = _NOTHING,
) -> Any:
    """`branches[index](*operands)`; an index out of bounds is moved to the nearest branch.

    Example:
      >>> from pullback import lax
      >>> print(lax.switch(1, [lambda x: x, lambda x: 10 * x], 3))
      30
    """
    if operand is not _NOTHING:
        operands = (*operands, operand)
    branches = _checked_branches(branches)
    x = _checked_index(index)
    if len(branches) == 1:
        return branches[0](*operands)
    known = _known(x) if values.jax_disable_jit else None
    if known is not None:
        return branches[min(max(int(known), 0), len(branches) - 1)](*operands)
    t = type_of(x)
    last = len(branches) - 1
    if t.dtype.itemsize > 4 or t.dtype == dtypes.uint32:  # would wrap around in int32
        x = clamp(HostArray(t.dtype.type(0)), x, HostArray(t.dtype.type(last)))
    x = convert_element_type(x, new_dtype=dtypes.int32, weak_type=False)
    x = clamp(HostArray(np.int32(0)), x, HostArray(np.int32(last)))
    names = [f"branch {i}" for i in range(len(branches))]
    return _branch("switch", x, branches, operands, names)


def _checked_branches(branches: Any) -> tuple[Callable[..., Any], ...]:
    if not isinstance(branches, Sequence) or not all(callable(b) for b in branches):
        raise error(
            TypeError,
            "lax.switch: branches argument should be a sequence of callables.",
            got=f"{branches!r:.80}",
            fix="give a list of functions; their operands come behind it.",
        )
    if not branches:
        raise error(
            ValueError, "Empty branch sequence.", got="[]", fix="give at least one function."
        )
    return tuple(branches)


def _checked_index(index: Any) -> Any:
    x = checks.input_array(index, "switch")
    t = type_of(x)
    if t.shape:
        raise error(
            TypeError,
            f"Branch index must be scalar, got {t.str_short()}.",
            got=f"{index!r:.80}",
            fix="map the function with vmap for a choice per element.",
        )
    if dtypes.kind(t.dtype) not in "iu":
        raise error(
            TypeError,
            f"Index type must be an integer, got {dtypes.long_name(t.dtype)}.",
            got=f"{index!r:.80}",
            fix="use cond for a bool, or convert with .astype(int).",
        )
    return x


def _branch(
    name: str, index: Any, functions: Sequence[Any], operands: Any, names: Sequence[str]
) -> Any:
    leaves, in_tree = flatten(tuple(operands))
    leaves = [checks.input_array(x, name) for x in leaves]
    types = [type_of(x) for x in leaves]
    traced: dict[int, Body] = {}  # a function that is given twice is traced once
    for f in functions:
        if id(f) not in traced:
            traced[id(f)] = trace_function(f, in_tree, types, name)
    bodies = [traced[id(f)] for f in functions]
    # Messages speak of the first function that the user gave.
    order = range(len(bodies)) if name == "switch" else range(len(bodies) - 1, -1, -1)
    first, *others = order
    for i in others:
        _check_alike(name, bodies, functions, names, first, i)
    branches, consts = joined_branches([(b.closed, b.consts) for b in bodies])
    outs = cond_p(index, *consts, *leaves, branches=branches)
    return bodies[0].out_tree.unflatten(outs)


def _check_alike(name: str, bodies: list[Body], functions: Any, names: Any, a: int, b: int) -> None:
    """The results of two branches must agree."""
    left, right = bodies[a], bodies[b]
    them = f"{names[a]} ({describe(functions[a])}) and {names[b]} ({describe(functions[b])})"
    if left.out_tree != right.out_tree:
        raise error(
            TypeError,
            f"{name} branch outputs must have the same pytree structure, but they differ.",
            got=f"{left.out_tree} and {right.out_tree} from {them}",
            fix=f"revise {names[a]} and/or {names[b]} so that they return the same containers.",
        )
    pairs = list(zip(left.closed.out_avals, right.closed.out_avals, strict=True))
    if all(s.shape == t.shape and s.dtype == t.dtype for s, t in pairs):
        return
    paths = leaf_paths(left.out_tree.unflatten(range(left.out_tree.num_leaves)), "")
    wrong = [
        f"the output of {names[a]}{' at path ' + path if path else ''} has type {_long(s)} but the "
        f"corresponding output of {names[b]} has type {_long(t)}"
        for path, (s, t) in zip(paths, pairs, strict=True)
        if (s.shape, s.dtype) != (t.shape, t.dtype)
    ]
    raise error(
        TypeError,
        f"{name} branches must have equal output types but they differ.",
        got=f"{'; '.join(wrong)}, from {them}",
        fix=f"revise {names[a]} and/or {names[b]} so that all output types match, e.g. with "
        ".astype(...).",
    )


def _long(t: ArrayType) -> str:
    return f"{dtypes.long_name(t.dtype)}[{','.join(str(n) for n in t.shape)}]"


def platform_dependent(*args: Any, default: Any = None, **per_platform: Any) -> Any:
    """`per_platform["cpu"](*args)` where it is given, else `default(*args)`."""
    chosen = per_platform.get("cpu", default)
    if chosen is None:
        raise error(
            NotImplementedError,
            "platform_dependent has no branch for this platform.",
            got=f"branches for {sorted(per_platform)}; this engine runs on cpu",
            fix="give cpu= or default=.",
        )
    return chosen(*args)
