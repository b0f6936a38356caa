"""custom_root: the x with ``f(x, a) = 0``, by Newton's, Broyden's or the user's own method."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import checks
from .. import numpy as jnp
from ..api import linearize
from ..lax import while_loop
from ..mapping import vmap
from .convergence import Info, finished, iterated, most, size, tolerance
from .equations import (
    Closed,
    Unknowns,
    check_square,
    one_of,
    solution_of,
    with_derivatives,
)
from .linear_systems import Linear, flat_solve

Map = Callable[[Any], Any]

HALVINGS = 12
"""How often a step that makes the residual no smaller is halved."""

_FIX = "begin closer, or give a larger tol= or maxiter=, or another solver=."


def custom_root(
    f: Callable[..., Any],
    x0: Any,
    *args: Any,
    solver: Any = "newton",
    tol: float | None = None,
    maxiter: int | None = None,
    linear_solve: Any = "auto",
    has_info: bool = False,
) -> Any:
    """The x with ``f(x, *args) = 0``, differentiable with respect to all but the beginning.

    Args:
      f: a function that gives as many numbers as `x0` has, in any containers. It may close over
        traced values, with respect to which the solution is differentiated too.
      x0: where the search begins: a pytree of floats. No derivative goes through it.
      *args: pytrees of arrays that `f` takes.
      solver: "newton", with a line search; or "broyden", which computes the Jacobian once and
        corrects its inverse after each step. Or a function ``solver(f, x0)`` of `f` without its
        arguments; it may be Python code where values are known, and its result is taken as it is.
      tol: the iteration ends when a step is at most ``tol * (1 + norm(x))``.
      maxiter: the most iterations: by default 50, or 100 for "broyden".
      linear_solve: the method for linear systems, those of Newton's method and of the derivative:
        one of `implicit.custom_linear_solve`.
      has_info: whether to return a pair of the last x, converged or not, and the `Info` of the
        iteration.

    Returns:
      The root, of the structure of `x0`; NaN where it was not found and values are traced.

    Raises:
      ConvergenceError: it was not found, and this is known.
      TypeError: the solver gives something else than `x0` is.
      ValueError: there are more equations than unknowns, or fewer; or there is no such solver.

    ``df/dx dx = -df/da da`` at the root. A Newton step is halved until it makes the residual
    smaller (J. Dennis and R. Schnabel, Numerical Methods for Unconstrained Optimization and
    Nonlinear Equations, 1983); Broyden's method (1965) is his "good" one.

    Example:
      >>> import pullback
      >>> from pullback.implicit import custom_root
      >>> def cube_root(a):
      ...     return custom_root(lambda x, a: x**3 - a, 1.0, a)
      >>> print(cube_root(8.0), pullback.grad(cube_root)(8.0))
      2.0 0.083333336
    """
    name = "custom_root"
    checks.callable_(f, name)
    unknowns = Unknowns(x0, name)
    closed = Closed(f, unknowns, args, name)
    check_square(closed, name, "f")
    linear = Linear(linear_solve)
    info: Any = None
    if callable(solver):

        def fixed(x: Any) -> Any:
            return closed.result(closed.fixed(unknowns.raveled(x, name)))

        x = solution_of(solver, unknowns, name, fixed)
    else:
        method, default = one_of(solver, _SOLVERS, name)
        count = most(maxiter, default, name)
        tol = tolerance(tol, unknowns.start.dtype)
        x, info = method(closed.fixed, unknowns.start, tol, count, linear)
    x = with_derivatives(closed.moving, x, closed.depends, linear)
    if info is not None:
        x = finished(x, info, has_info, name, _FIX)
    return (unknowns.unravel(x), info) if has_info else unknowns.unravel(x)


def newton(f: Map, x: Any, tol: Any, maxiter: int, linear: Any = None) -> tuple[Any, Info]:
    """Newton's method with a line search on the norm of f."""

    def step(x: Any) -> Any:
        y, push = linearize(f, x)
        way = flat_solve(push, -y, linear or Linear())
        way = jnp.where(jnp.all(y == 0), 0, way)  # a singular system, at a root
        return _moved(f, x, y, way), size(way), 1 + size(x)

    return iterated(step, x, tol, maxiter)


def _moved(f: Map, x: Any, y: Any, way: Any) -> Any:
    """Along `way`, half as far as long as f does not become smaller."""
    now = size(y)

    def goes_on(state: Any) -> Any:
        part, norm, k = state
        return ~(norm <= (1 - 1e-4 * part) * now) & (k < HALVINGS)

    def halved(state: Any) -> Any:
        part, _, k = state
        part = part / 2
        return part, size(f(x + part.astype(x.dtype) * way)), k + 1

    whole = jnp.ones((), now.dtype)
    part, norm, _ = while_loop(goes_on, halved, (whole, size(f(x + way)), 0))
    # Where rounding hides what a step does to f, it is taken whole.
    part = jnp.where(norm <= now, part, 1)
    return x + part.astype(x.dtype) * way


def broyden(f: Map, x: Any, tol: Any, maxiter: int, linear: Any = None) -> tuple[Any, Info]:
    """Broyden's method with the inverse of the matrix, which is exact at the start."""
    y, push = linearize(f, x)
    columns = vmap(push)(jnp.eye(x.size, dtype=x.dtype))
    inverse = jnp.linalg.inv(columns.T)

    def step(state: Any) -> Any:
        x, y, inverse = state
        way = -(inverse @ y)
        new = x + way
        new_y = f(new)
        # Sherman and Morrison: the smallest change of the matrix that explains this step.
        moved = inverse @ (new_y - y)
        scale = jnp.vdot(way, moved)
        change = jnp.outer((way - moved) / jnp.where(scale == 0, 1, scale), jnp.conj(way) @ inverse)
        new_inverse = inverse + jnp.where(scale == 0, 0, change)
        return (new, new_y, new_inverse), size(way), 1 + size(x)

    state, info = iterated(step, (x, y, inverse), tol, maxiter)
    return state[0], info


_SOLVERS = {"newton": (newton, 50), "broyden": (broyden, 100)}

__all__ = ["custom_root", "newton"]
