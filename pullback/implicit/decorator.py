"""implicit_diff: a solver of the user's own, differentiated through an equation that holds."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from .. import checks, lax
from ..core.pytree import flatten
from .equations import Closed, Unknowns, check_square, with_derivatives
from .linear_systems import Linear


def implicit_diff(
    optimality: Callable[..., Any], *, has_aux: bool = False, linear_solve: Any = "auto"
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A decorator of solvers: derivatives come from an equation that their solutions fulfil.

    Args:
      optimality: ``optimality(x, *args)`` is zero at a solution x: as many numbers as x has. For a
        minimum it is the gradient. It may close over traced values.
      has_aux: whether the solver returns ``(x, anything else)``; no derivative goes through that.
      linear_solve: the method for the derivative's linear system: one of `custom_linear_solve`.

    Returns:
      A decorator of a function ``solver(x0, *args)``, where `x0` is its first guess, or None if it
      needs none. The decorated function has the same arguments and results. Solvers get plain
      values, whatever is differentiated: with NumPy, SciPy or any other library they work under
      `grad`, `jvp` and their like. Under `jit` and `vmap` they get traced values as any function.

    Raises:
      TypeError: `optimality` or the solver is not callable.
      ValueError: `optimality` gives more numbers than x has, or fewer.

    With ``F(x, a) = 0``: ``dF/dx dx = -dF/da da``. No derivative goes through `x0`.

    Example:
      >>> import numpy as np, scipy.optimize
      >>> import pullback
      >>> from pullback.implicit import implicit_diff
      >>> @implicit_diff(lambda x, a: x**3 + x - a)
      ... def solver(x0, a):
      ...     return scipy.optimize.brentq(lambda x: x**3 + x - float(a), -9.0, 9.0)
      >>> print(pullback.grad(lambda a: solver(None, a))(2.0))  # 1 / (3 x**2 + 1) at x = 1
      0.25
    """
    checks.callable_(optimality, "implicit_diff")
    name = "implicit_diff"

    def decorator(solver: Callable[..., Any]) -> Callable[..., Any]:
        checks.callable_(solver, name)

        @wraps(solver)
        def solved(x0: Any, *args: Any) -> Any:
            out = solver(*_plain((x0, *args)))
            x, aux = checks.pair(out, name) if has_aux else (out, None)
            unknowns = Unknowns(x, name)
            closed = Closed(optimality, unknowns, args, name)
            check_square(closed, name, "the optimality condition")
            linear = Linear(linear_solve)
            flat = with_derivatives(closed.moving, unknowns.start, closed.depends, linear)
            x = unknowns.unravel(flat)
            return (x, lax.stop_gradient(aux)) if has_aux else x

        return solved

    return decorator


def _plain(args: tuple[Any, ...]) -> Any:
    """The arguments without their derivatives."""
    leaves, tree = flatten(args)
    return tree.unflatten([lax.stop_gradient(checks.input_array(x, "solver")) for x in leaves])


__all__ = ["implicit_diff"]
