"""A call of an exported program: its functions become private ones of the module."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ....control.callbacks import call_exported_p
from ....core.program import Equation
from .. import adapter_export
from ..lowering import Lowering
from ..text import Word
from .host import host_call


def _call(low: Lowering, eq: Equation, args: Sequence[Word]) -> Sequence[Word]:
    program = eq.params["callback"]
    if not program.runs_on(low.platform):
        return host_call(low, eq, args)
    known = low.functions.get(id(program))
    if known is None:
        prefix = f"exported_{len(low.functions)}_"
        text = adapter_export.functions(program.text(low.platform), prefix)
        known = low.functions[id(program)] = (program, f"{prefix}main", text)
    results = [low.result(eq, k) for k in range(len(eq.outvars))]
    return low.code.ops("call", list(args), results, f"callee = @{known[1]}", dialect="func")


RULES: dict[Any, Any] = {call_exported_p: _call}

__all__ = ["RULES"]
