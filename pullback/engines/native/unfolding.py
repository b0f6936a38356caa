"""Primitives that this engine has no code for, as programs of others."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from ...core.primitive import CORE, Absent, Method
from ...core.program import ClosedProgram, Equation, trace_program
from ...core.trace import EVAL, inside
from ...ops.elementwise import Elementwise, convert_element_type
from ...transforms.simplify import simplify
from .kinds import Unsupported, kind_of


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
        if isinstance(primitive, Elementwise):
            return [_in_float32(primitive, xs, params)]
        out = primitive.lower(*xs, **params)
        return list(out) if primitive.multiple_results else [out]

    with inside(EVAL):
        return simplify(trace_program(function, list(types)))


def _in_float32(primitive: Any, xs: Any, params: dict[str, Any]) -> Any:
    """16-bit floats are rounded at the end only: digits of a formula's steps may cancel.

    gamma_log_density(10, 10) in float16 would be -3.25 instead of -3.084.
    """

    def converted(x: Any, dtype: Any) -> Any:
        return convert_element_type(x, new_dtype=np.dtype(dtype), weak_type=False)

    wide = [converted(x, np.float32) if kind_of(x.dtype).narrow else x for x in xs]
    out = primitive.lower(*wide, **params)
    aval = primitive.typing(*[x.aval for x in xs], **params)
    return out if out.dtype == aval.dtype else converted(out, aval.dtype)
