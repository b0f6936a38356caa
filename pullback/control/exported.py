"""The call of an exported program: StableHLO that was a function once, here or elsewhere."""

from __future__ import annotations

from typing import Any

from ..core.primitive import CORE
from ..core.types import ArrayType
from .callbacks import Callback


class CallExported(Callback):
    """Run `callback`, an exported program, on arrays; `result_avals` are its results' types.

    Its derivative is that of the function around it, which knows the exported derivative.
    """

    calls_user = False
    no_derivative = "Exported programs have reverse derivatives only."
    no_transpose = "Exported programs do not support transpose."
    lower: Any = CORE

    def typing(self, *types: Any, callback: Any, result_avals: Any) -> list[ArrayType]:
        return list(result_avals)

    def eval(self, *xs: Any, callback: Any, result_avals: Any) -> list[Any]:
        return list(callback.run(*xs))

    def vmap(self, size: Any, args: Any, axes: Any, **params: Any) -> Any:
        return self.one_by_one(size, args, axes, params)


call_exported_p = CallExported()

__all__ = ["call_exported_p"]
