"""Loops and programs called outside jit, each run as one compiled program where that pays."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from ..core.program import ClosedProgram, Equation, Program, Var, has_effects, sub_programs
from ..core.settings import values
from ..core.types import ArrayType, array_type
from . import numpy as numpy_engine
from .choice import choose, llvm_is_installed, native_choice

Run = Callable[..., tuple[Any, ...]]

_START, _EACH, _ROUND = 2_500, 100, 2
"""In operations of NumPy, which are 1 us each: a quarter of what it takes to compile a loop, 10 ms,
and of what it takes besides for each of its operations, since loops are seldom called just once;
and what a round takes besides its operations."""
_CALL = 40
"""Operations of NumPy that take longer than a call of a compiled program: 10 to 20 us."""


def called(program: ClosedProgram) -> Run:
    """A program as a function: by the engine that jit would choose, if it has some operations."""
    if steps(program) < _CALL or values.pullback_engine == "numpy":
        return numpy_engine.compiled(program)
    return choose(program).run


def rounds_that_pay(*bodies: ClosedProgram) -> float:
    """From so many rounds on a loop is compiled.

    The setting pullback_engine="native" compiles whatever can be, and "numpy" nothing.
    """
    wish, each = values.pullback_engine, sum(steps(body) for body in bodies)
    if wish == "numpy" or any(steps(body) < 0 for body in bodies) or not llvm_is_installed():
        return math.inf
    return 0 if wish == "native" else (_START + _EACH * each) / (each + _ROUND)


def compiled(
    primitive: Any, params: dict[str, Any], body: ClosedProgram, args: Sequence[Any]
) -> Run | None:
    """A function from the values of `args` to the results of a loop; None: NumPy is to run it.

    Args:
      primitive: that of the loop, `scan` or `while`.
      params: its parameters, with `body` among them, with which the function is kept.
      args: values of the loop's arguments, as NumPy holds them.
    """
    key = "whole", *((k, v) for k, v in params.items() if v is not body)
    if key not in body.cache:
        body.cache[key] = _compile(primitive, params, [array_type(x.shape, x.dtype) for x in args])
    return body.cache[key]  # type: ignore[no-any-return]


def steps(closed: ClosedProgram) -> int:
    """The operations in a program, those of loops in it as often as they run; -1: it has effects,
    which are to happen one after the other."""
    found = closed.cache.get("steps")
    if found is None:
        found = closed.cache["steps"] = _steps(closed.program)
    return found  # type: ignore[no-any-return]


def _steps(program: Program) -> int:
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
    choice = native_choice(closed)
    return None if choice is None else choice.run


__all__ = ["called", "compiled", "rounds_that_pay", "steps"]
