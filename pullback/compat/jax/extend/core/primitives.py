"""`jax.extend.core.primitives`: every primitive under the name that JAX gives it."""

from __future__ import annotations

from typing import Any

from pullback.compat.moved import missing
from pullback.compat.views.primitives import call_p as call_p
from pullback.compat.views.primitives import closed_call_p as closed_call_p
from pullback.control.call import jit_p as jit_p
from pullback.control.checkpoint import checkpoint_p as remat_p
from pullback.control.custom import custom_jvp_call as custom_jvp_call_p
from pullback.control.custom import custom_lin as custom_lin_p
from pullback.control.custom import custom_vjp_call as custom_vjp_call_p
from pullback.core.primitive import Primitive, all_primitives
from pullback.lax import primitives as _named
from pullback.lax.primitives import *  # noqa: F403
from pullback.ops.elementwise import add_any as add_jaxvals_p

__all__ = [
    *_named.__all__,
    "add_jaxvals_p",
    "call_p",
    "closed_call_p",
    "custom_jvp_call_p",
    "custom_lin_p",
    "custom_vjp_call_p",
    "jit_p",
    "remat_p",
]


def _others() -> dict[str, Primitive]:
    """Primitives that lax does not name: `svd_p` is the one that prints as svd."""
    return {f"{p.name}_p": p for p in all_primitives()}


def __getattr__(name: str) -> Any:
    found = _others().get(name) if name.endswith("_p") else None
    if found is None:
        raise missing(__name__, name, {})
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_others()})
