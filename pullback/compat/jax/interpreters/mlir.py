"""`jax.interpreters.mlir`: lowerings, which here are functions of arrays."""

from pullback.compat.views.lowering import Lowering as LoweringRule
from pullback.compat.views.lowering import LoweringRuleContext as LoweringRuleContext
from pullback.compat.views.lowering import emit_python_callback as emit_python_callback
from pullback.compat.views.lowering import lower_fun as lower_fun
from pullback.compat.views.lowering import register_lowering as register_lowering

__all__ = [
    "LoweringRule",
    "LoweringRuleContext",
    "emit_python_callback",
    "lower_fun",
    "register_lowering",
]
