"""A call of an exported program: its functions become private ones of the module."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ....control.callbacks import call_exported_p
from ....core.program import Equation
from ....core.types import ArrayType
from .. import adapter, adapter_export
from ..lowering import Lowering
from ..text import Word
from ..types import stored
from .host import host_call


def _call(low: Lowering, eq: Equation, args: Sequence[Word]) -> Sequence[Word]:
    exported = eq.params["callback"]
    narrow = any(_dtype(a.aval).name in adapter.PACKED for a in eq.outvars)
    if narrow or low.platform not in exported.platforms:
        return host_call(low, eq, args)
    known = low.functions.get(id(exported))
    if known is None:
        prefix = f"exported_{len(low.functions)}_"
        text = adapter_export.functions(exported.text, prefix)
        known = low.functions[id(exported)] = (exported, f"{prefix}main", text)
    results = [low.result(eq, k) for k in range(len(eq.outvars))]
    return low.code.ops("call", list(args), results, f"callee = @{known[1]}", dialect="func")


def _dtype(t: ArrayType) -> Any:
    return stored(t)[1]


RULES: dict[Any, Any] = {call_exported_p: _call}

__all__ = ["RULES"]
