"""The tools around checkpoint: names, policies, and a list of what reverse mode keeps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import checks
from .checkpointing import Offloadable as Offloadable
from .checkpointing import Recompute as Recompute
from .checkpointing import Saveable as Saveable
from .checkpointing import checkpoint as checkpoint
from .checkpointing import checkpoint_chain as checkpoint_chain
from .checkpointing import checkpoint_name as checkpoint_name
from .checkpointing import checkpoint_policies as checkpoint_policies
from .checkpointing import remat as remat
from .core import dtypes
from .core.program import ClosedProgram, Equation, Var, trace_program
from .core.pytree import flatten, flatten_call, leaf_paths
from .core.settings import override
from .core.types import ArrayType
from .static_arguments import Static
from .transforms import reverse
from .transforms.simplify import inline_calls


def saved_residuals(
    f: Callable[..., Any], *args: Any, **kwargs: Any
) -> list[tuple[ArrayType, str]]:
    """What reverse mode keeps of `f` at `args`: the type of each array, and where it comes from.

    Numbers written in the function are not listed.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.ad_checkpoint import saved_residuals
      >>> for aval, source in saved_residuals(lambda x: jnp.sin(x) * x, jnp.ones(3)):
      ...     print(aval.shape, source)
      (3,) from the argument x
      (3,) output of sin
      (3,) output of cos
    """
    return [(aval, source) for aval, source, _ in _residuals(f, args, kwargs, "saved_residuals")]


def print_saved_residuals(f: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
    """Print what reverse mode keeps of `f` at `args`, an array on each line.

    A line has the type of the array, where it comes from, the line of `f` that computes it, and its
    size in memory. What a `jit` inside `f` has traced before has no lines.

    Example:
      >>> import pullback
      >>> import pullback.numpy as jnp
      >>> from pullback.ad_checkpoint import print_saved_residuals
      >>> print_saved_residuals(pullback.checkpoint(lambda x: jnp.sin(x) * x), jnp.ones(3))
      f32[3] from the argument x, 12 bytes
    """
    with override("pullback_source_lines", True):
        found = _residuals(f, args, kwargs, "print_saved_residuals")
    for aval, source, line in found:
        size = aval.size * aval.dtype.itemsize
        print(f"{aval.str_short()} {source}{line and f' from {line}'}, {size} bytes")


def _residuals(f: Any, args: Any, kwargs: Any, name: str) -> list[tuple[ArrayType, str, str]]:
    """The type of each array that is kept, where it comes from, and the line, if that is known."""
    checks.callable_(f, name)
    closed, names = _forward_pass(f, args, kwargs)
    program = inline_calls(closed).program
    kept = {atom for atom in program.outvars if type(atom) is Var}
    found = [
        (v.aval, f"from the argument {name}", "")
        for v, name in zip(program.invars, names, strict=True)
        if v in kept
    ]
    found += [(v.aval, "from a constant", "") for v in program.constvars if v in kept]
    for eq in program.eqns:
        line = str(eq.source_info.line or "")
        found += [(v.aval, _source(eq), line) for v in eq.outvars if v in kept]
    return found


def _forward_pass(f: Any, args: Any, kwargs: Any) -> tuple[ClosedProgram, list[str]]:
    """The program from the arguments to the residuals, and the names of the arguments."""
    leaves, in_tree = flatten_call(args, kwargs)
    types = [checks.shaped(x, "saved_residuals") for x in leaves]

    def flat(*leaves: Any) -> list[Any]:
        new, named = in_tree.unflatten(leaves)
        return [checks.output_array(y, "saved_residuals") for y in flatten(f(*new, **named))[0]]

    def residuals(*leaves: Any) -> list[Any]:
        wrt = [dtypes.is_inexact(t.dtype) for t in types]
        _, tape, places = reverse.linearize(flat, leaves, wrt)
        tape.forget_dead(places)
        return tape.known()

    closed = trace_program(residuals, types, f, "saved_residuals")
    names = leaf_paths(args, "args") + leaf_paths(kwargs, "kwargs")
    return closed, Static(f, None, None).argument_names(names)


def _source(eq: Equation) -> str:
    if eq.primitive.name == "name":
        return f"named {eq.params['name']!r}"
    return f"output of {eq.primitive.name}"


__all__ = [
    "Offloadable",
    "Recompute",
    "Saveable",
    "checkpoint",
    "checkpoint_chain",
    "checkpoint_name",
    "checkpoint_policies",
    "print_saved_residuals",
    "remat",
    "saved_residuals",
]
