"""Functions of trees as programs: what cond, while_loop and scan make of their arguments."""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .. import checks
from ..core.errors import error
from ..core.program import ClosedProgram, Program, sub_programs
from ..core.pytree import PyTreeDef, flatten, leaf_paths
from ..core.settings import program_settings
from ..core.trace import state
from ..core.types import ArrayType
from ..transforms.stage import trace_body
from .identity import Fingerprint, fingerprint, same


@dataclass
class Body:
    """A function as a program."""

    closed: ClosedProgram
    """Its first inputs are `consts`, then come the leaves of the arguments."""
    consts: list[Any]
    """The values of surrounding traces that the function closes over."""
    out_tree: PyTreeDef


@dataclass
class _Kept:
    """The program of a function, and what the function depends on."""

    of: Fingerprint
    closed: ClosedProgram
    out_tree: PyTreeDef
    consts: list[int]
    """Which of the traced values in the fingerprint the program takes."""


_kept: OrderedDict[Any, _Kept] = OrderedDict()
_MOST_KEPT = 1024


def trace_function(
    function: Callable[..., Any],
    in_tree: PyTreeDef,
    types: Sequence[ArrayType],
    verb: str,
    of: tuple[Callable[..., Any], PyTreeDef | None] | None = None,
) -> Body:
    """The program of `function` for arguments of this structure and these types.

    It is kept for the next call with a function that does the same, if that can be known: the same
    code, closing over the same immutable objects, none of which it changed, and traced values of
    the same types, at whose values, where they are known, it did not look. Of each code only the
    last is kept. `of` is the user's function, where `function` calls it, with the structure of its
    arguments if these are the same leaves.
    """
    depends_on = fingerprint(function)
    if depends_on is None:
        return _trace(function, in_tree, types, verb, of)
    settings = (verb, program_settings(), tuple(state.axes.items()))
    key = (depends_on.codes(), in_tree, tuple(types), settings)
    kept = _kept.get(key)
    if kept is not None and same(kept.of, depends_on):
        _kept.move_to_end(key)
        consts = [depends_on.traced[i] for i in kept.consts]
        return Body(kept.closed, consts, kept.out_tree)
    looks = state.looks
    body = _trace(function, in_tree, types, verb, of)
    places = {id(x): i for i, x in enumerate(depends_on.traced)}
    kept_apart = state.looks == looks and all(id(c) in places for c in body.consts)
    if kept_apart and depends_on.has_containers() and _calls_user(body.closed.program):
        kept_apart = False  # what is called may change a list, which must be that of each call
    if kept_apart and _is_unchanged(function, depends_on):
        consts = [places[id(c)] for c in body.consts]
        depends_on.traced.clear()  # they belong to this call only
        _kept[key] = _Kept(depends_on, body.closed, body.out_tree, consts)
        if len(_kept) > _MOST_KEPT:
            _kept.popitem(last=False)
    return body


def _calls_user(program: Program) -> bool:
    """Whether some operation calls a function of the user's when the program runs."""
    return any(
        eq.primitive.calls_user or any(map(_calls_user, sub_programs(eq.params)))
        for eq in program.eqns
    )


def _is_unchanged(function: Callable[..., Any], before: Fingerprint) -> bool:
    """Whether the call changed nothing that the function closes over: it would have to be changed
    at each call, as by `shapes.append(x.shape)`."""
    after = fingerprint(function)
    return after is not None and same(before, after)


def forget() -> None:
    """Drop all programs that are kept."""
    _kept.clear()


def _trace(
    function: Callable[..., Any],
    in_tree: PyTreeDef,
    types: Sequence[ArrayType],
    verb: str,
    of: tuple[Callable[..., Any], PyTreeDef | None] | None,
) -> Body:
    theirs, their_tree = of or (function, in_tree)
    trees: list[PyTreeDef] = []

    def flat(*leaves: Any) -> list[Any]:
        out = function(*in_tree.unflatten(leaves))
        outs, tree = flatten(out)
        trees.append(tree)
        return [_output(y, out, i, theirs, verb) for i, y in enumerate(outs)]

    names = argument_names(*((function, in_tree) if their_tree is None else (theirs, their_tree)))
    closed, consts = trace_body(flat, types, theirs, verb, names)
    return Body(closed, consts, trees[0])


def _output(y: Any, out: Any, i: int, function: Any, verb: str) -> Any:
    try:
        return checks.output_array(y, verb)
    except TypeError as cause:
        path = leaf_paths(out, "")[i]
        raise error(
            TypeError,
            f"function {describe(function)} traced for {verb} returned a value of type "
            f"{type(y).__name__}{' at output component ' + path if path else ''}, which is not a "
            "valid JAX type.",
            got=f"{y!r:.80}",
            fix="return arrays, numbers, or containers of them.",
        ) from cause


def describe(function: Any) -> str:
    """`f at file.py:12`"""
    name = getattr(function, "__name__", type(function).__name__)
    code = getattr(function, "__code__", None)
    return name if code is None else f"{name} at {code.co_filename}:{code.co_firstlineno}"


def argument_names(function: Any, in_tree: PyTreeDef) -> list[str]:
    """How a user writes each leaf of the arguments: `carry['w']`."""
    args = in_tree.unflatten(range(in_tree.num_leaves))
    parameters = parameter_names(function)
    named = zip(args, [*parameters, *(f"args[{i}]" for i in range(len(parameters), len(args)))])
    return [path for arg, name in named for path in leaf_paths(arg, name)]


def parameter_names(function: Any) -> list[str]:
    """The names of the positional parameters, where they can be known."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    return [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]


__all__ = ["Body", "argument_names", "describe", "parameter_names", "trace_function"]
