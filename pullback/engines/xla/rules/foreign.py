"""Calls of functions of compiled libraries, by the names under which they are registered."""

from __future__ import annotations

from collections.abc import Sequence

from ....control.foreign import ffi_call_p, ffi_call_with_effects_p
from ....core.program import Equation
from ..lowering import Lowering
from ..text import Word
from ..types import quoted

TYPED = 4
"""The version of XLA's interface from which on attributes have names and types."""


def _call(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    p = eq.params
    results = [low.result(eq, k) for k in range(len(eq.outvars))]
    if p["custom_call_api_version"] >= TYPED:
        config = "{" + ", ".join(f"{quoted(k)} = {v}" for k, v in p["attributes"]) + "}"
    else:
        config = quoted(p["attributes"])
    attributes = (
        f"call_target_name = {quoted(p['target_name'])}, "
        f"has_side_effect = {'true' if eq.primitive is ffi_call_with_effects_p else 'false'}, "
        f"api_version = {p['custom_call_api_version']} : i32, backend_config = {config}, "
        f"operand_layouts = [{', '.join(map(_order, p['input_layouts']))}], "
        f"result_layouts = [{', '.join(map(_order, p['output_layouts']))}]"
    )
    if p["input_output_aliases"]:
        shown = [_alias(i, k, len(results)) for i, k in p["input_output_aliases"]]
        attributes += f", output_operand_aliases = [{', '.join(shown)}]"
    return low.code.ops("custom_call", args, results, attributes)


def _order(axes: Sequence[int]) -> str:
    return f"dense<{list(axes) if axes else ''}> : tensor<{len(axes)}xindex>"


def _alias(operand: int, result: int, count: int) -> str:
    where = f"[{result}]" if count > 1 else "[]"
    return (
        f"#stablehlo.output_operand_alias<output_tuple_indices = {where}, "
        f"operand_index = {operand}, operand_tuple_indices = []>"
    )


RULES = {ffi_call_p: _call, ffi_call_with_effects_p: _call}

__all__ = ["RULES"]
