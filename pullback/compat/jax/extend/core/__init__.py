"""`jax.extend.core`: programs (jaxprs) as data, primitives, the current trace."""

from __future__ import annotations

import numpy as _np

from pullback.compat.views.functions import DebugInfo as DebugInfo
from pullback.compat.views.primitives import CallPrimitive as CallPrimitive
from pullback.compat.views.primitives import Primitive as Primitive
from pullback.compat.views.programs import AbstractToken as AbstractToken
from pullback.compat.views.programs import DropVar as DropVar
from pullback.compat.views.programs import Token as Token
from pullback.compat.views.programs import call_impl as call_impl
from pullback.compat.views.programs import check_jaxpr as check_jaxpr
from pullback.compat.views.programs import concrete_or_error as concrete_or_error
from pullback.compat.views.programs import gensym as gensym
from pullback.compat.views.programs import jaxpr_as_fun as jaxpr_as_fun
from pullback.compat.views.programs import jaxprs_in_params as jaxprs_in_params
from pullback.compat.views.programs import mapped_aval as mapped_aval
from pullback.compat.views.programs import new_jaxpr_eqn as new_jaxpr_eqn
from pullback.compat.views.programs import (
    primal_dtype_to_tangent_dtype as primal_dtype_to_tangent_dtype,
)
from pullback.compat.views.programs import subjaxprs as subjaxprs
from pullback.compat.views.programs import unmapped_aval as unmapped_aval
from pullback.compat.views.programs import valid_jaxtype as valid_jaxtype
from pullback.compat.views.traces import TraceTag as TraceTag
from pullback.compat.views.traces import axis_names as unsafe_get_axis_names_DO_NOT_USE
from pullback.compat.views.traces import find_top_trace as find_top_trace
from pullback.compat.views.traces import get_opaque_trace_state as get_opaque_trace_state
from pullback.compat.views.traces import nonempty_axes as nonempty_axis_env_DO_NOT_USE
from pullback.compat.views.traces import set_current_trace as set_current_trace
from pullback.compat.views.traces import take_current_trace as take_current_trace
from pullback.compat.views.traces import under_jit as unsafe_am_i_under_a_jit_DO_NOT_USE
from pullback.compat.views.traces import under_vmap as unsafe_am_i_under_a_vmap_DO_NOT_USE
from pullback.core.array import HostArray as _HostArray
from pullback.core.errors import InconclusiveDimensionOperation as InconclusiveDimensionOperation
from pullback.core.errors import ProgramError as JaxprTypeError
from pullback.core.program import ClosedProgram as ClosedJaxpr
from pullback.core.program import Effect as Effect
from pullback.core.program import Equation as JaxprEqn
from pullback.core.program import Literal as Literal
from pullback.core.program import Program as Jaxpr
from pullback.core.program import Var as Var

from . import primitives as primitives

Effects = frozenset
no_effects: frozenset[Effect] = frozenset()
array_types = {_HostArray, _np.ndarray, _np.generic}
"""Types whose values are arrays at once."""

__all__ = [
    "AbstractToken",
    "CallPrimitive",
    "ClosedJaxpr",
    "DebugInfo",
    "DropVar",
    "Effect",
    "Effects",
    "InconclusiveDimensionOperation",
    "Jaxpr",
    "JaxprEqn",
    "JaxprTypeError",
    "Literal",
    "Primitive",
    "Token",
    "TraceTag",
    "Var",
    "array_types",
    "call_impl",
    "check_jaxpr",
    "concrete_or_error",
    "find_top_trace",
    "gensym",
    "get_opaque_trace_state",
    "jaxpr_as_fun",
    "jaxprs_in_params",
    "mapped_aval",
    "new_jaxpr_eqn",
    "no_effects",
    "nonempty_axis_env_DO_NOT_USE",
    "primal_dtype_to_tangent_dtype",
    "primitives",
    "set_current_trace",
    "subjaxprs",
    "take_current_trace",
    "unmapped_aval",
    "unsafe_am_i_under_a_jit_DO_NOT_USE",
    "unsafe_am_i_under_a_vmap_DO_NOT_USE",
    "unsafe_get_axis_names_DO_NOT_USE",
    "valid_jaxtype",
]
