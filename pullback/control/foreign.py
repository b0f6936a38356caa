"""Calls of functions of compiled libraries, which XLA knows by name: `jax.ffi`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..core.errors import noted_error
from ..core.lazy import lazy
from ..core.primitive import CORE, Method
from ..core.types import ArrayType
from .callbacks import Callback

foreign = lazy("pullback.engines.xla.foreign")


class ForeignCall(Callback, name="ffi_call"):
    """Call the function that is registered as `target_name`; `result_avals` are the results' types.

    Args:
      vmap_method: as of `pure_callback`.
      input_layouts, output_layouts: for each array the order of its axes, the quickest first.
      input_output_aliases: pairs of an argument and the result that takes its memory.
      custom_call_api_version: which of XLA's interfaces the function has: 4 is the typed one.
      attributes: pairs of a name and a value in the form of MLIR's text; of older interfaces the
        one string that they take.
    """

    calls_user = False
    foldable = False  # it may not be pure, or not be there yet

    def typing(self, *types: Any, result_avals: Any, **params: Any) -> list[ArrayType]:
        return list(result_avals)

    def eval(self, *xs: Any, **params: Any) -> list[Any]:
        return foreign.run(self, xs, params)  # type: ignore[no-any-return]

    vmap: Any = Method("batch", "the loop that calls it for each element is made in the trace")

    def batch(self, trace: Any, values: Any, axes: Any, params: Any) -> Any:
        return self.batch_as_asked(trace, values, axes, params)

    def params_of_all(
        self, params: dict[str, Any], size: int, grown: Sequence[bool]
    ) -> dict[str, Any]:
        ins = zip(params["input_layouts"], grown, strict=True)
        return {
            **super().params_of_all(params, size, grown),
            "input_layouts": tuple(_with_slowest(o) if g else o for o, g in ins),
            "output_layouts": tuple(map(_with_slowest, params["output_layouts"])),
        }

    def forward(self, trace: Any, primals: Any, tangents: Any, params: Any) -> Any:
        raise _no_derivative(params)

    def transpose(self, cts: Any, *args: Any, **params: Any) -> list[Any]:
        raise _no_derivative(params)

    lower: Any = CORE


class ForeignCallWithEffects(ForeignCall, name="ffi_call"):
    """The same of a function with side effects: every call is done."""

    effects = True


def _with_slowest(order: tuple[int, ...]) -> tuple[int, ...]:
    """The order of the axes with a new one in front."""
    return (*(n + 1 for n in order), 0)


def _no_derivative(params: dict[str, Any]) -> ValueError:
    return noted_error(
        ValueError,
        f"The FFI call to `{params['target_name']}` cannot be differentiated.",
        got="a derivative with respect to one of its arguments",
        fix="give the function around it a derivative with jax.custom_jvp or jax.custom_vjp, or "
        "lax.stop_gradient its arguments.",
    )


ffi_call_p = ForeignCall()
ffi_call_with_effects_p = ForeignCallWithEffects()

__all__ = ["ffi_call_p", "ffi_call_with_effects_p"]
