"""Primitives that compute nothing: they hold a transformation off."""

from __future__ import annotations

from typing import Any

from ..core.primitive import CORE, NOT_LINEAR, Primitive
from ..core.types import ArrayType


class StopGradient(Primitive):
    """x, as a constant: no derivative goes through."""

    identity = True

    def typing(self, x: Any) -> ArrayType:
        return x  # type: ignore[no-any-return]

    def eval(self, x: Any) -> Any:
        return x

    def jvp(self, primals: Any, tangents: Any, out: Any) -> None:
        return None

    def vmap(self, size: int, args: Any, axes: Any) -> Any:
        return stop_gradient(args[0]), axes[0]

    transpose = NOT_LINEAR
    lower = CORE


stop_gradient = StopGradient()


class OptimizationBarrier(Primitive):
    """The operands; nothing on one side of it is simplified with anything on the other."""

    multiple_results = True
    effects = True
    """So that equal ones are not shared, and unused ones stay."""

    def typing(self, *types: Any) -> list[ArrayType]:
        return list(types)

    def eval(self, *xs: Any) -> list[Any]:
        return list(xs)

    def jvp(self, primals: Any, tangents: Any, out: Any) -> list[Any]:
        given = iter(optimization_barrier(*[t for t in tangents if t is not None]))
        return [None if t is None else next(given) for t in tangents]

    def transpose(self, cts: Any, *xs: Any) -> list[Any]:
        given = iter(optimization_barrier(*[ct for ct in cts if ct is not None]))
        return [None if ct is None else next(given) for ct in cts]

    def vmap(self, size: int, args: Any, axes: Any) -> Any:
        return optimization_barrier(*args), axes

    lower = CORE


optimization_barrier = OptimizationBarrier()
