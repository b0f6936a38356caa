"""Primitives that this engine has no code for, as programs of others."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from ...core.primitive import CORE, Absent, Method
from ...core.program import ClosedProgram, Equation, trace_program
from ...core.trace import EVAL, inside
from ...transforms.simplify import simplify
from .kinds import Unsupported


def decomposed(eq: Equation) -> ClosedProgram:
    """A program of the same meaning as an equation: that it calls, or that its `lower` writes.

    Raises:
      Unsupported: there is none.
    """
    types = tuple(a.aval for a in eq.invars)
    called = eq.primitive.lowered_program(types, eq.params)
    if called is not None:
        return simplify(called)
    lower = getattr(type(eq.primitive), "lower", CORE)
    if lower is CORE or isinstance(lower, (Absent, Method)):
        raise Unsupported(f"the operation {eq.primitive.name}")
    try:
        return _written(eq.primitive, types, tuple(sorted(eq.params.items())))
    except TypeError:  # parameters that cannot be hashed or sorted
        return _traced(eq.primitive, types, eq.params)


@lru_cache(maxsize=4096)
def _written(primitive: Any, types: Any, params: Any) -> ClosedProgram:
    return _traced(primitive, types, dict(params))


def _traced(primitive: Any, types: Any, params: dict[str, Any]) -> ClosedProgram:
    def function(*xs: Any) -> list[Any]:
        out = primitive.lower(*xs, **params)
        return list(out) if primitive.multiple_results else [out]

    with inside(EVAL):
        return simplify(trace_program(function, list(types)))
