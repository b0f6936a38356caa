"""`jax.interpreters.mlir`: a lowering is a function of arrays, or it cannot be used."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...core.errors import error
from .primitives import Primitive, Rule
from .rules import made_by_library


class Lowering:
    """The lowering of a primitive to the operations of `lowered_function`."""

    def __init__(self, function: Callable[..., Any], multiple_results: bool) -> None:
        self.lowered_function, self.multiple_results = function, multiple_results

    def __call__(self, *args: Any, **params: Any) -> Any:
        raise no_mlir("a lowering was called with a compiler's context")


def no_mlir(what: str) -> NotImplementedError:
    """The error where a library wants to write compiler code."""
    return error(
        NotImplementedError,
        f"{what}, but this engine has no MLIR.",
        got="a call into jax.interpreters.mlir",
        fix="register mlir.lower_fun(function) as the lowering, or set the primitive's def_impl.",
    )


def lower_fun(fun: Callable[..., Any], multiple_results: bool = True) -> Lowering:
    """The lowering to the operations that `fun` does."""
    return Lowering(fun, multiple_results)


def register_lowering(
    prim: Any,
    rule: Rule,
    platform: str | None = None,
    inline: bool = True,
    cacheable: bool = True,
    multi_threadable: bool = True,
) -> Rule:
    """Set the lowering of a primitive; those for other platforms than "cpu" are not looked at.

    Of a lowering that is not made by `lower_fun` nothing can be known: the primitive's `impl` runs.
    """
    if platform not in (None, "cpu"):
        return rule
    if made_by_library(prim):
        if platform == "cpu" or "cpu" not in prim.rules:
            prim.rules["lowering"] = rule
        if platform == "cpu":
            prim.rules["cpu"] = rule
    elif isinstance(rule, Lowering):
        function = rule.lowered_function

        def lowered_program(types: Any, params: Any) -> Any:
            return Primitive.lowered_program(_As(prim, function), types, params)  # type: ignore[arg-type]

        vars(prim).update(lowered_program=lowered_program)
    return rule


class _As:
    """One of Pullback's own primitives with a lowering that a library gives it."""

    def __init__(self, primitive: Any, function: Callable[..., Any]) -> None:
        self.rules = {"lowering": Lowering(function, primitive.multiple_results)}
        self.multiple_results = primitive.multiple_results


class LoweringRuleContext:
    """What a compiler gives to a lowering; there is none here."""

    def __init__(self, *args: Any, **options: Any) -> None:
        raise no_mlir("a compiler's context was made")


def emit_python_callback(*args: Any, **options: Any) -> Any:
    """Not possible here: raises NotImplementedError."""
    raise no_mlir("emit_python_callback was called")
