"""`jax.interpreters.partial_eval`: writing programs, and taking out what is not used."""

from pullback.compat.views.programs import PartialVal as PartialVal
from pullback.compat.views.programs import dce_jaxpr as dce_jaxpr
from pullback.compat.views.programs import dce_jaxpr_consts as dce_jaxpr_consts
from pullback.compat.views.programs import trace_to_jaxpr_dynamic as trace_to_jaxpr_dynamic
from pullback.compat.views.programs import trace_to_jaxpr_nounits as trace_to_jaxpr_nounits
from pullback.core.program import RecordTracer as DynamicJaxprTracer

JaxprTracer = DynamicJaxprTracer
Val = object
