"""Derivatives of the user's own, whole: what `custom` has, custom_gradient and linear_call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from . import checks
from .control.custom import custom_jvp_call as custom_jvp_call_p
from .control.custom import custom_vjp_call as custom_vjp_call_p
from .control.custom_batch import linear_call_p, not_linear_transpose
from .core.program import ClosedProgram, run_program, trace_program
from .core.pytree import PyTreeDef, flatten, register
from .core.trace import type_of
from .custom import CustomVJPPrimal as CustomVJPPrimal
from .custom import SymbolicZero as SymbolicZero
from .custom import closure_convert as closure_convert
from .custom import custom_jvp as custom_jvp
from .custom import custom_vjp as custom_vjp
from .custom import custom_vjp_primal_tree_values as custom_vjp_primal_tree_values
from .custom import flat_cotangents
from .custom import zero_from_primal as zero_from_primal
from .transforms.stage import trace_body


def custom_gradient(fun: Callable[..., Any]) -> Callable[..., Any]:
    """A function whose value and reverse rule come from one function.

    Args:
      fun: ``fun(*args) -> (out, vjp)``, where ``vjp(ct)`` gives the cotangents of the arguments:
        for one argument a cotangent or a tuple of one, for several a tuple.

    Values that `vjp` closes over are kept as residuals. As with `custom_vjp`, forward mode on the
    function raises a TypeError.

    Example:
      >>> import pullback
      >>> @pullback.custom_gradient
      ... def f(x):
      ...     return x**2, lambda ct: ct * 100
      >>> print(f(3.0), pullback.grad(f)(3.0))
      9.0 100.0
    """
    checks.callable_(fun, "custom_gradient")

    def value(*args: Any, **kwargs: Any) -> Any:
        return checks.pair(fun(*args, **kwargs), "custom_gradient")[0]

    def fwd(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        out, rule = checks.pair(fun(*args, **kwargs), "custom_gradient")
        outs, out_tree = flatten(out)
        types = [type_of(checks.output_array(y, "custom_gradient")).strong() for y in outs]
        trees: list[PyTreeDef] = []

        def flat(*cts: Any) -> list[Any]:
            found = rule(out_tree.unflatten(cts))
            if len(args) == 1 and not (isinstance(found, (tuple, list)) and len(found) == 1):
                found = (found,)
            leaves, tree = flatten(tuple(found) if isinstance(found, list) else found)
            trees.append(tree)
            return [checks.output_array(c, "a custom_gradient rule") for c in leaves]

        closed = trace_program(flat, types, rule, "custom_gradient")
        return out, _Rule(closed, closed.consts, trees[0])

    def bwd(rule: _Rule, ct: Any) -> Any:
        return rule(ct)

    wrapped = custom_vjp(value)
    wrapped.defvjp(fwd, bwd)
    checks.named_like(wrapped, fun, "custom_gradient")
    return wrapped


class _Rule:
    """A traced rule; the values it closed over are its leaves."""

    def __init__(self, closed: ClosedProgram, consts: Sequence[Any], tree: PyTreeDef) -> None:
        self.closed, self.consts, self.tree = closed, consts, tree

    def __call__(self, ct: Any) -> Any:
        cts = flatten(ct)[0]
        return self.tree.unflatten(run_program(self.closed.program, self.consts, cts))


register(
    _Rule,
    lambda r: (tuple(r.consts), (r.closed, r.tree)),
    lambda rest, consts: _Rule(rest[0], consts, rest[1]),
)


def linear_call(
    fun: Callable[..., Any],
    fun_transpose: Callable[..., Any],
    residual_args: Any,
    linear_args: Any,
) -> Any:
    """`fun(residual_args, linear_args)`, linear in `linear_args`, with a transpose of its own.

    Args:
      fun: a function of two pytrees of arrays, linear in the second.
      fun_transpose: ``fun_transpose(residual_args, ct)``: from a cotangent of the result to those
        of `linear_args`.
      residual_args, linear_args: the arguments.

    Forward mode calls `fun` on the tangents of the linear arguments, reverse mode `fun_transpose`.
    A derivative with respect to `residual_args` is that of the operations of `fun`.

    Raises:
      TypeError: `fun_transpose` gives another structure than that of `linear_args`.

    Example:
      >>> import pullback
      >>> from pullback.custom_derivatives import linear_call
      >>> def scaled(x, scale):
      ...     return linear_call(lambda s, x: x / s, lambda s, ct: ct / s, scale, x)
      >>> print(scaled(6.0, 2.0), pullback.grad(scaled)(6.0, 2.0))
      3.0 0.5
    """
    checks.callable_(fun, "linear_call")
    checks.callable_(fun_transpose, "linear_call")
    residuals, res_tree = flatten(residual_args)
    linear, lin_tree = flatten(linear_args)
    residuals = [checks.input_array(x, "linear_call") for x in residuals]
    linear = [checks.input_array(x, "linear_call") for x in linear]
    n, trees = len(residuals), list[PyTreeDef]()

    def call(*xs: Any) -> list[Any]:
        outs, tree = flatten(fun(res_tree.unflatten(xs[:n]), lin_tree.unflatten(xs[n:])))
        trees.append(tree)
        return [checks.output_array(y, "linear_call") for y in outs]

    types = [type_of(x) for x in linear]

    def transposed(residuals: list[Any], cts: Any) -> list[Any]:
        filled = [checks.zero_filled(ct, t) for ct, t in cts]
        found = fun_transpose(res_tree.unflatten(residuals), trees[0].unflatten(filled))
        tree = flatten(found, lambda x: x is None or isinstance(x, SymbolicZero))[1]
        if tree != lin_tree:
            raise not_linear_transpose(tree, lin_tree)
        return flat_cotangents("the transpose of a linear_call", found, types)

    program, consts = trace_body(
        call, [type_of(x) for x in (*residuals, *linear)], fun, "linear_call"
    )
    outs = linear_call_p(
        *consts,
        *residuals,
        *linear,
        call=program,
        transposed=transposed,
        count=len(consts) + n,
        closed=len(consts),
        name=getattr(fun, "__name__", "linear_call"),
    )
    return trees[0].unflatten(outs)


__all__ = [
    "CustomVJPPrimal",
    "SymbolicZero",
    "closure_convert",
    "custom_gradient",
    "custom_jvp",
    "custom_jvp_call_p",
    "custom_vjp",
    "custom_vjp_call_p",
    "custom_vjp_primal_tree_values",
    "linear_call",
    "zero_from_primal",
]
