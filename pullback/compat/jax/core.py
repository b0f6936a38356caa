"""`jax.core`: types, traces and traced values. What moved to `jax.extend.core` warns, as in JAX."""

from __future__ import annotations

from typing import Any

from pullback.compat.moved import moved
from pullback.compat.views import programs as _programs
from pullback.compat.views import traces as _traces
from pullback.compat.views.functions import DebugInfo as _DebugInfo
from pullback.compat.views.primitives import CallPrimitive as _CallPrimitive
from pullback.compat.views.programs import AbstractValue as AbstractValue
from pullback.compat.views.programs import ShapedArray as ShapedArray
from pullback.compat.views.programs import eval_jaxpr as eval_jaxpr
from pullback.compat.views.traces import Trace as Trace
from pullback.compat.views.traces import Tracer as Tracer
from pullback.compat.views.traces import eval_context as eval_context
from pullback.core.errors import InconclusiveDimensionOperation as _Inconclusive
from pullback.core.errors import ProgramError as _ProgramError
from pullback.core.program import Atom as Atom
from pullback.core.program import Effect as _Effect
from pullback.jit import ensure_compile_time_eval as ensure_compile_time_eval

ParamDict = dict[str, Any]
Value = Any

max_dim, min_dim = max, min
"""Sizes of axes are numbers here."""

_IN_EXTEND = {
    "CallPrimitive": _CallPrimitive,
    "DebugInfo": _DebugInfo,
    "DropVar": _programs.DropVar,
    "Effect": _Effect,
    "Effects": frozenset,
    "InconclusiveDimensionOperation": _Inconclusive,
    "JaxprTypeError": _ProgramError,
    "check_jaxpr": _programs.check_jaxpr,
    "concrete_or_error": _programs.concrete_or_error,
    "find_top_trace": _traces.find_top_trace,
    "gensym": _programs.gensym,
    "get_opaque_trace_state": _traces.get_opaque_trace_state,
    "jaxprs_in_params": _programs.jaxprs_in_params,
    "new_jaxpr_eqn": _programs.new_jaxpr_eqn,
    "no_effects": frozenset(),
    "nonempty_axis_env_DO_NOT_USE": _traces.nonempty_axes,
    "primal_dtype_to_tangent_dtype": _programs.primal_dtype_to_tangent_dtype,
    "unsafe_am_i_under_a_jit_DO_NOT_USE": _traces.under_jit,
    "unsafe_am_i_under_a_vmap_DO_NOT_USE": _traces.under_vmap,
    "unsafe_get_axis_names_DO_NOT_USE": _traces.axis_names,
    "valid_jaxtype": _programs.valid_jaxtype,
}
_GONE = {
    "get_aval": "jax.typeof",
    **dict.fromkeys(
        (
            "AbstractToken",
            "TraceTag",
            "call_impl",
            "mapped_aval",
            "set_current_trace",
            "subjaxprs",
            "take_current_trace",
            "unmapped_aval",
        ),
        "the name of the same meaning in jax.extend.core",
    ),
}

__getattr__ = moved(
    __name__,
    {name: (f"jax.extend.core.{name}", value) for name, value in _IN_EXTEND.items()}
    | {"is_concrete": ("another way", _traces.is_concrete)},
    _GONE,
)
