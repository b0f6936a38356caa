"""`jax._src.core`: what is known of it elsewhere as `jax.core` and `jax.extend.core`."""

from pullback.compat.views.functions import DebugInfo as DebugInfo
from pullback.compat.views.primitives import CallPrimitive as CallPrimitive
from pullback.compat.views.primitives import Primitive as Primitive
from pullback.compat.views.primitives import call_p as call_p
from pullback.compat.views.primitives import closed_call_p as closed_call_p
from pullback.compat.views.programs import AbstractToken as AbstractToken
from pullback.compat.views.programs import AbstractValue as AbstractValue
from pullback.compat.views.programs import DropVar as DropVar
from pullback.compat.views.programs import ShapedArray as ShapedArray
from pullback.compat.views.programs import Token as Token
from pullback.compat.views.programs import check_jaxpr as check_jaxpr
from pullback.compat.views.programs import concrete_or_error as concrete_or_error
from pullback.compat.views.programs import eval_jaxpr as eval_jaxpr
from pullback.compat.views.programs import gensym as gensym
from pullback.compat.views.programs import get_aval as get_aval
from pullback.compat.views.programs import jaxpr_as_fun as jaxpr_as_fun
from pullback.compat.views.programs import jaxprs_in_params as jaxprs_in_params
from pullback.compat.views.programs import mapped_aval as mapped_aval
from pullback.compat.views.programs import new_jaxpr_eqn as new_jaxpr_eqn
from pullback.compat.views.programs import physical_aval as physical_aval
from pullback.compat.views.programs import (
    primal_dtype_to_tangent_dtype as primal_dtype_to_tangent_dtype,
)
from pullback.compat.views.programs import shaped_abstractify as shaped_abstractify
from pullback.compat.views.programs import subjaxprs as subjaxprs
from pullback.compat.views.programs import unmapped_aval as unmapped_aval
from pullback.compat.views.programs import valid_jaxtype as valid_jaxtype
from pullback.compat.views.traces import Trace as Trace
from pullback.compat.views.traces import Tracer as Tracer
from pullback.compat.views.traces import TraceTag as TraceTag
from pullback.compat.views.traces import eval_context as eval_context
from pullback.compat.views.traces import find_top_trace as find_top_trace
from pullback.compat.views.traces import full_lower as full_lower
from pullback.compat.views.traces import get_opaque_trace_state as get_opaque_trace_state
from pullback.compat.views.traces import is_concrete as is_concrete
from pullback.compat.views.traces import set_current_trace as set_current_trace
from pullback.compat.views.traces import take_current_trace as take_current_trace
from pullback.compat.views.traces import to_concrete_value as to_concrete_value
from pullback.compat.views.traces import trace_state_clean as trace_state_clean
from pullback.core.errors import ProgramError as JaxprTypeError
from pullback.core.program import Atom as Atom
from pullback.core.program import ClosedProgram as ClosedJaxpr
from pullback.core.program import Effect as Effect
from pullback.core.program import Equation as JaxprEqn
from pullback.core.program import Literal as Literal
from pullback.core.program import Program as Jaxpr
from pullback.core.program import Var as Var
from pullback.core.trace import type_of as typeof
from pullback.jit import ShapeDtypeStruct as ShapeDtypeStruct
from pullback.jit import ensure_compile_time_eval as ensure_compile_time_eval

no_effects: frozenset[Effect] = frozenset()

__all__ = ["ClosedJaxpr", "Jaxpr", "JaxprEqn", "JaxprTypeError", "no_effects", "typeof"]
