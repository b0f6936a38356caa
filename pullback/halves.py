"""The two halves of a gradient as two functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from . import checks
from .api import vjp
from .jit import jit


def fwd_and_bwd(
    fun: Callable[..., Any],
    argnums: int | Sequence[int],
    has_aux: bool = False,
    jitted: bool = True,
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The forward and the backward pass of `fun`, each as a function that is compiled once.

    Args:
      fun: a function of pytrees of arrays.
      argnums: which positional arguments to differentiate with respect to.
      has_aux: whether `fun` gives a pair (value, auxiliary data).
      jitted: whether to compile both.

    Returns:
      ``fwd, bwd`` with ``fwd(*args) -> (value, residuals)``, or ``(value, residuals, aux)``, and
      ``bwd(residuals, cotangent)``: a cotangent for the one argument of an integer `argnums`, or
      a tuple of them.

    Example:
      >>> import pullback
      >>> fwd, bwd = pullback.fwd_and_bwd(lambda x, y: x * y, (0, 1))
      >>> value, residuals = fwd(2.0, 3.0)
      >>> dx, dy = bwd(residuals, 1.0)
      >>> print(value, dx, dy)
      6.0 3.0 2.0
    """
    checks.callable_(fun, "fwd_and_bwd")
    numbers = checks.positions(argnums)

    def fwd(*args: Any, **kwargs: Any) -> Any:
        chosen = checks.chosen_arguments(args, numbers, numbers, "fwd_and_bwd")

        def of_chosen(*new: Any) -> Any:
            return fun(*checks.replaced_arguments(args, numbers, numbers, new), **kwargs)

        found: Any = vjp(of_chosen, *chosen, has_aux=has_aux)
        return found

    def bwd(residuals: Any, cotangent: Any) -> Any:
        found = residuals(cotangent)
        return found[0] if isinstance(argnums, int) else found

    return (jit(fwd), jit(bwd)) if jitted else (fwd, bwd)
