"""fixed_point: the x with ``f(x, a) = x``, and its derivatives without those of the iteration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import checks
from .. import numpy as jnp
from ..core import dtypes
from .convergence import Info, finished, iterated, most, size, tolerance
from .equations import (
    Closed,
    Unknowns,
    check_like_unknowns,
    one_of,
    solution_of,
    with_derivatives,
)
from .linear_systems import Linear
from .roots import newton

Map = Callable[[Any], Any]

MEMORY = 5
"""Of how many differences Anderson's method makes the next x."""

_FIX = (
    "begin closer, give a larger tol= or maxiter=, or another solver=: 'anderson' and 'newton' "
    "also find fixed points that repel."
)


def fixed_point(
    f: Callable[..., Any],
    x0: Any,
    *args: Any,
    solver: Any = "iteration",
    tol: float | None = None,
    maxiter: int | None = None,
    linear_solve: Any = "auto",
    has_info: bool = False,
) -> Any:
    """The x with ``f(x, *args) = x``, differentiable with respect to all but the beginning.

    Args:
      f: a function whose result has the structure, shapes and dtypes of `x0`. It may close over
        traced values, with respect to which the solution is differentiated too.
      x0: where the search begins: a pytree of floats. No derivative goes through it.
      *args: pytrees of arrays that `f` takes.
      solver: "iteration" repeats ``x = f(x)``, which converges where `f` contracts; "anderson"
        mixes the last 5 iterations; "newton" solves ``f(x) - x = 0`` with a line search. Or a
        function ``solver(f, x0)`` of `f` without its arguments; it may be Python code where values
        are known, and its result is taken as it is.
      tol: the iteration ends when ``norm(f(x) - x) <= tol * (1 + norm(x))``; for "newton", when its
        step is that short. The derivative's linear system is solved as exactly.
      maxiter: the most iterations: by default 1000, or 200 for "anderson" and 50 for "newton".
      linear_solve: the method for the derivative's linear system: one of `custom_linear_solve`.
      has_info: whether to return a pair of the last x, converged or not, and the `Info` of the
        iteration.

    Returns:
      The fixed point, of the structure of `x0`. Where it was not found and values are traced (under
      `jit`, single elements under `vmap`), it and its derivatives are NaN.

    Raises:
      ConvergenceError: it was not found, and this is known. The message has the errors so far.
      TypeError: `f` or the solver gives something else than `x0` is.
      ValueError: there is no such solver.

    From ``x = f(x, a)``: ``(I - df/dx) dx = df/da da``, at the solution. Memory does not depend on
    the number of iterations. Under `vmap` each element ends by itself. Anderson's method (1965) is
    that of H. Walker and P. Ni, "Anderson acceleration for fixed-point iterations" (2011).

    Example:
      >>> import pullback
      >>> import pullback.numpy as jnp
      >>> from pullback.implicit import fixed_point
      >>> def root(a):  # by Heron's method
      ...     return fixed_point(lambda x: (x + a / x) / 2, 1.0)
      >>> print(root(4.0), pullback.grad(root)(4.0), pullback.grad(pullback.grad(root))(4.0))
      2.0 0.25 -0.03125
    """
    name = "fixed_point"
    checks.callable_(f, name)
    unknowns = Unknowns(x0, name)
    closed = Closed(f, unknowns, args, name)
    check_like_unknowns(closed, name, "f")
    info: Any = None
    if callable(solver):

        def fixed(x: Any) -> Any:
            return unknowns.unravel(closed.fixed(unknowns.raveled(x, name)))

        x = solution_of(solver, unknowns, name, fixed)
    else:
        method, default = one_of(solver, _SOLVERS, name)
        count = most(maxiter, default, name)
        x, info = method(closed.fixed, unknowns.start, tolerance(tol, unknowns.start.dtype), count)

    def residual(x: Any) -> Any:
        return x - closed.moving(x)

    x = with_derivatives(residual, x, closed.depends, Linear(linear_solve, tol))
    if info is not None:
        x = finished(x, info, has_info, name, _FIX)
    return (unknowns.unravel(x), info) if has_info else unknowns.unravel(x)


def plain(f: Map, x: Any, tol: Any, maxiter: int) -> tuple[Any, Info]:
    """``x = f(x)``, again and again."""

    def step(x: Any) -> Any:
        new = f(x)
        return new, size(new - x), 1 + size(x)

    return iterated(step, x, tol, maxiter)


def anderson(f: Map, x: Any, tol: Any, maxiter: int) -> tuple[Any, Info]:
    """The combination of the last values of f whose residuals, combined alike, are smallest."""
    shape, kind = (MEMORY, x.size), x.dtype
    rounding = dtypes.finfo(kind).eps * 10

    def step(state: Any) -> Any:
        k, x, last_value, last_residual, values, residuals = state
        value = f(x)
        residual = value - x
        # Differences to the iteration before: a place is written anew when all are full.
        place = (jnp.arange(MEMORY) == (k - 1) % MEMORY)[:, None] & (k > 0)
        values = jnp.where(place, value - last_value, values)
        residuals = jnp.where(place, residual - last_residual, residuals)
        # min | residual - c @ residuals |, by normal equations of unit columns.
        lengths = jnp.sqrt(jnp.sum(jnp.abs(residuals) ** 2, axis=1))
        scale = jnp.where(lengths > 0, 1 / jnp.where(lengths > 0, lengths, 1), 0)
        unit = residuals * scale[:, None]
        products = jnp.conj(unit) @ unit.T + rounding * jnp.eye(MEMORY, dtype=kind)
        c = jnp.linalg.solve(products, jnp.conj(unit) @ residual) * scale
        new = value - c @ values
        state = k + 1, new, value, residual, values, residuals
        return state, size(residual), 1 + size(x)

    zeros = jnp.zeros(shape, kind)
    state, info = iterated(step, (0, x, x, x, zeros, zeros), tol, maxiter)
    return state[1], info


def by_newton(f: Map, x: Any, tol: Any, maxiter: int) -> tuple[Any, Info]:
    """A root of ``f(x) - x``."""
    return newton(lambda x: f(x) - x, x, tol, maxiter)


_SOLVERS = {"iteration": (plain, 1000), "anderson": (anderson, 200), "newton": (by_newton, 50)}

__all__ = ["fixed_point"]
