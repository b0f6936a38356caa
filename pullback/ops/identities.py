"""Operations that say something about an array and give it as it is: there is one device."""

from __future__ import annotations

from typing import Any

from ..core.primitive import CORE
from ..core.types import ArrayType
from .structural import LinearPrimitive


class Identity(LinearPrimitive, family=True):
    """The array itself; parameters are not looked at."""

    def typing(self, x: Any, **params: Any) -> ArrayType:
        return x  # type: ignore[no-any-return]

    def eval(self, x: Any, **params: Any) -> Any:
        return x

    def transpose(self, ct: Any, x: Any, **params: Any) -> list[Any]:
        return [self(ct, **params)]

    def vmap(self, size: int, args: Any, axes: Any, **params: Any) -> Any:
        return self(args[0], **params), axes[0]

    lower: Any = CORE


class Stage(Identity):
    """x, as a value of the program that is being written"""


stage = Stage()


class DevicePut(LinearPrimitive):
    """The operands, each on a device"""

    multiple_results = True

    def typing(self, *types: Any, **params: Any) -> list[ArrayType]:
        return list(types)

    def eval(self, *xs: Any, **params: Any) -> list[Any]:
        return list(xs)

    def jvp(self, primals: Any, tangents: Any, out: Any, **params: Any) -> list[Any]:
        return list(tangents)

    def transpose(self, cts: Any, *xs: Any, **params: Any) -> list[Any]:
        return list(cts)

    def vmap(self, size: int, args: Any, axes: Any, **params: Any) -> Any:
        return device_put(*args, **params), axes

    lower = CORE


device_put = DevicePut()
