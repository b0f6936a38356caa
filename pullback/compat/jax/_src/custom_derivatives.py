"""`jax._src.custom_derivatives`."""

from pullback.control.custom import custom_jvp_call as custom_jvp_call_p
from pullback.control.custom import custom_vjp_call as custom_vjp_call_p
from pullback.custom import CustomVJPPrimal as CustomVJPPrimal
from pullback.custom import SymbolicZero as SymbolicZero
from pullback.custom import closure_convert as closure_convert
from pullback.custom import custom_jvp as custom_jvp
from pullback.custom import custom_vjp as custom_vjp

__all__ = [
    "CustomVJPPrimal",
    "SymbolicZero",
    "closure_convert",
    "custom_jvp",
    "custom_jvp_call_p",
    "custom_vjp",
    "custom_vjp_call_p",
]
