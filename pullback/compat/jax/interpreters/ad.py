"""`jax.interpreters.ad`: forward and transpose rules."""

from pullback.compat.moved import moved as _moved
from pullback.compat.views.primitives import UndefinedPrimal as UndefinedPrimal
from pullback.compat.views.primitives import Zero as Zero
from pullback.compat.views.primitives import zeros_like_aval as zeros_like_aval
from pullback.compat.views.rules import add_tangents as add_tangents
from pullback.compat.views.rules import defbilinear as defbilinear
from pullback.compat.views.rules import defjvp as defjvp
from pullback.compat.views.rules import defjvp2 as defjvp2
from pullback.compat.views.rules import deflinear as deflinear
from pullback.compat.views.rules import deflinear2 as deflinear2
from pullback.compat.views.rules import get_primitive_transpose as get_primitive_transpose
from pullback.compat.views.rules import instantiate_zeros as instantiate_zeros
from pullback.compat.views.rules import is_undefined_primal as is_undefined_primal
from pullback.compat.views.rules import jvp as jvp
from pullback.compat.views.rules import primitive_jvps as primitive_jvps
from pullback.compat.views.rules import primitive_transposes as primitive_transposes
from pullback.ops.elementwise import add_any as add_jaxvals
from pullback.ops.elementwise import add_any as add_jaxvals_p
from pullback.transforms.forward import DualTrace as JVPTrace
from pullback.transforms.forward import DualTracer as JVPTracer

__getattr__ = _moved(__name__, {}, {"reducing_transposes": "nothing: it had no use"})

__all__ = [
    "JVPTrace",
    "JVPTracer",
    "UndefinedPrimal",
    "Zero",
    "add_jaxvals",
    "add_jaxvals_p",
    "add_tangents",
    "defbilinear",
    "defjvp",
    "defjvp2",
    "deflinear",
    "deflinear2",
    "get_primitive_transpose",
    "instantiate_zeros",
    "is_undefined_primal",
    "jvp",
    "primitive_jvps",
    "primitive_transposes",
    "zeros_like_aval",
]
