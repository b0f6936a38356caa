"""`jax._src.ad_util`."""

from pullback.compat.views.primitives import Zero as Zero
from pullback.compat.views.primitives import zeros_like_aval as zeros_like_aval
from pullback.compat.views.rules import instantiate_zeros as instantiate
from pullback.custom import SymbolicZero as SymbolicZero
from pullback.ops.barriers import stop_gradient as stop_gradient_p
from pullback.ops.elementwise import add_any as add_jaxvals
from pullback.ops.elementwise import add_any as add_jaxvals_p

__all__ = [
    "SymbolicZero",
    "Zero",
    "add_jaxvals",
    "add_jaxvals_p",
    "instantiate",
    "stop_gradient_p",
    "zeros_like_aval",
]
