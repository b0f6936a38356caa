"""Loops called outside jit, each run whole as one compiled program where that pays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..core.lazy import lazy
from ..core.program import ClosedProgram, Equation, Program, Var, has_effects, sub_programs
from ..core.settings import values
from ..core.types import ArrayType, array_type
from .choice import llvm_is_installed

native = lazy("pullback.engines.native.program")
calling = lazy("pullback.engines.native.calling")

Run = Callable[..., tuple[Any, ...]]

_START, _EACH = 10_000, 400
"""What it takes to compile a loop, in operations of NumPy, which are 1 us each: 10 ms, and 0.4 ms
for each of its operations."""


def compiled(
    primitive: Any, params: dict[str, Any], rounds: int, args: Sequence[Any]
) -> Run | None:
    """A function from the values of `args` to the results of a loop; None: NumPy is to run it.

    It follows from the program alone: it is one if `rounds` of the body take NumPy longer than it
    takes to compile it. The setting pullback_engine="native" compiles whatever can be, and "numpy"
    nothing.

    Args:
      primitive: that of the loop, `scan`.
      params: its parameters; what is compiled is kept with the program `jaxpr` among them.
      rounds: how often the body runs.
      args: values of the loop's arguments, as NumPy holds them.
    """
    wish = values.pullback_engine
    if wish == "numpy":
        return None
    body: ClosedProgram = params["jaxpr"]
    if not _pays(body, rounds, wish) or not llvm_is_installed():
        return None
    key = "whole", *((k, v) for k, v in params.items() if v is not body)
    if key not in body.cache:
        body.cache[key] = _compile(primitive, params, [array_type(x.shape, x.dtype) for x in args])
    return body.cache[key]  # type: ignore[no-any-return]


def _pays(body: ClosedProgram, rounds: int, wish: str) -> bool:
    steps = body.cache.get("steps")
    if steps is None:
        steps = body.cache["steps"] = _steps(body.program)
    if steps < 0:
        return False
    return wish == "native" or rounds * steps >= _START + _EACH * steps


def _steps(program: Program) -> int:
    """The operations in a program, those of loops in it as often as they run; -1: it has effects,
    which are to happen one after the other."""
    if any(has_effects(eq) for eq in program.eqns):
        return -1
    found = 0
    for eq in program.eqns:
        inner = sum(_steps(p) for p in sub_programs(eq.params))
        found += 1 + inner * int(eq.params.get("length", 1) if inner else 1)
    return found


def _compile(primitive: Any, params: dict[str, Any], types: list[ArrayType]) -> Run | None:
    invars = [Var(t) for t in types]
    outvars = [Var(t.strong()) for t in primitive.typing(*types, **params)]
    eq = Equation(invars, outvars, primitive, params)
    closed = ClosedProgram(Program([], invars, outvars, [eq], name=primitive.name), [])
    try:
        return calling.function(native.compile_program(closed))  # type: ignore[no-any-return]
    except native.Unsupported:
        return None


__all__ = ["compiled"]
