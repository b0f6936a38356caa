"""argmin: where a function is smallest, differentiated through the conditions that hold there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import checks
from .. import numpy as jnp
from ..api import grad, linearize, value_and_grad
from ..core import dtypes
from ..core.errors import error
from ..lax import while_loop
from ..scipy.optimize import minimize
from .convergence import Info, finished, iterated, most, size, tolerance
from .equations import Closed, Unknowns, one_of, solution_of, with_derivatives
from .linear_systems import Linear, flat_solve
from .roots import newton as root_newton

Objective = Callable[[Any], Any]

_FIX = (
    "begin closer, give a larger tol= or maxiter=, or another solver=; a function without a "
    "minimum has none to be found."
)


def argmin(
    objective: Callable[..., Any],
    x0: Any,
    *args: Any,
    equality: Callable[..., Any] | None = None,
    solver: Any = "newton",
    tol: float | None = None,
    maxiter: int | None = None,
    linear_solve: Any = "auto",
    has_info: bool = False,
) -> Any:
    """The x where ``objective(x, *args)`` is smallest, differentiable with respect to the rest.

    Args:
      objective: a function whose result is a real scalar. It may close over traced values, with
        respect to which the minimum is differentiated too.
      x0: where the search begins: a pytree of real floats. No derivative goes through it.
      *args: pytrees of arrays that `objective` takes.
      equality: a function ``equality(x, *args)`` of constraints, any pytree of floats that must all
        be zero at the solution. They must be independent of one another there.
      solver: "newton", with a line search, and steepest descent where the Hessian is not positive;
        "bfgs"; or "gradient_descent", with a line search. With `equality`, "newton" is the only
        one, and solves the conditions of Lagrange. Or a function ``solver(objective, x0)`` of
        `objective` without its arguments; it may be Python code where values are known.
      tol: for "newton", the length of a step to stop at, relative to ``1 + norm(x)``; for the
        others, the norm of the gradient, by default the root of the unit of rounding.
      maxiter: the most iterations: by default 100; 1000 for "bfgs", 10,000 for
        "gradient_descent".
      linear_solve: the method for linear systems: one of `implicit.custom_linear_solve`.
      has_info: whether to return a pair of the last x and the `Info` of the search.

    Returns:
      The minimum, of the structure of `x0`; NaN where it was not found and values are traced.

    Raises:
      ConvergenceError: it was not found, and this is known.
      TypeError: the objective is not a real scalar.
      ValueError: there is no such solver, or more constraints than unknowns.

    At a minimum the gradient is zero for all a: ``H dx = -d(grad)/da da`` with the Hessian H. With
    constraints g the conditions of Lagrange, ``grad f + (dg/dx)^T m = 0`` and ``g = 0``, are
    differentiated, in x and the multipliers m together.

    Example:
      >>> import pullback
      >>> import pullback.numpy as jnp
      >>> from pullback.implicit import argmin
      >>> def middle(w):  # of the points 0 and 1, with weights 1 and w
      ...     return argmin(lambda x, w: x**2 + w * (x - 1) ** 2, 0.0, w)
      >>> print(middle(3.0), pullback.grad(middle)(3.0))  # w / (1 + w), and 1 / (1 + w)**2
      0.75 0.0625
    """
    name = "argmin"
    checks.callable_(objective, name)
    unknowns = Unknowns(x0, name)
    if dtypes.kind(unknowns.start.dtype) == "c":
        raise error(
            TypeError,
            "argmin searches real numbers.",
            got=dtypes.long_name(unknowns.start.dtype),
            fix="let real and imaginary parts be unknowns of their own.",
        )
    closed = Closed(objective, unknowns, args, name)
    _check_scalar(closed)
    linear = Linear(linear_solve)
    if equality is not None:
        constraint = Closed(equality, unknowns, args, name)
        search: Any = _Constrained(closed, constraint, solver)
    else:
        search = _Free(closed, solver)
    x, info = search.found(tol, maxiter, linear)
    depends = closed.depends or (equality is not None and constraint.depends)
    x = with_derivatives(search.conditions, x, depends, linear)
    if info is not None:
        x = finished(x, info, has_info, name, _FIX)
        info = info._replace(multipliers=search.multipliers(x))
    x = unknowns.unravel(search.unknown(x))
    return (x, info) if has_info else x


def _check_scalar(f: Closed) -> None:
    types = f.out_types
    if f.body.out_tree.num_leaves != 1 or types[0].shape or dtypes.kind(types[0].dtype) != "f":
        raise error(
            TypeError,
            "argmin needs an objective that gives one real number.",
            got=f"{', '.join(t.str_short() for t in types)} in {f.body.out_tree}",
            fix="return a scalar: the sum of what is to be small.",
        )


def _scalar(function: Objective) -> Objective:
    return lambda x: function(x)[0]


class _Free:
    """A search without constraints."""

    def __init__(self, objective: Closed, solver: Any) -> None:
        self.objective, self.solver = objective, solver

    def conditions(self, x: Any) -> Any:
        """Zero at the minimum."""
        return grad(_scalar(self.objective.moving))(x)

    def found(self, tol: Any, maxiter: Any, linear: Linear) -> tuple[Any, Any]:
        """The minimum, and how it was found."""
        unknowns, fixed = self.objective.unknowns, _scalar(self.objective.fixed)
        if callable(self.solver):

            def at(x: Any) -> Any:
                return fixed(unknowns.raveled(x, "argmin"))

            return solution_of(self.solver, unknowns, "argmin", at), None
        method, default = one_of(self.solver, _SOLVERS, "argmin")
        count = most(maxiter, default, "argmin")
        return method(fixed, unknowns.start, tol, count, linear)  # type: ignore[no-any-return]

    def unknown(self, x: Any) -> Any:
        """Of the solution, what was asked for."""
        return x

    def multipliers(self, x: Any) -> Any:
        """There are none."""
        return None


class _Constrained:
    """A search with constraints: unknowns, then multipliers."""

    def __init__(self, objective: Closed, constraint: Closed, solver: Any) -> None:
        self.objective, self.constraint = objective, constraint
        self.n = objective.unknowns.start.size
        self.count = sum(t.size for t in constraint.out_types)
        if solver != "newton":
            raise error(
                ValueError,
                "argmin with equality constraints has one solver only.",
                got=f"solver={solver!r:.80}",
                fix="leave solver out.",
            )
        if self.count > self.n:
            raise error(
                ValueError,
                "argmin: there are more constraints than unknowns.",
                got=f"{self.count} constraints, {self.n} unknowns",
                fix="leave out constraints that follow from others.",
            )

    def conditions(self, both: Any) -> Any:
        """Those of Lagrange, zero at the solution."""
        return self._lagrange(both, self.objective.moving, self.constraint.moving)

    def _lagrange(self, both: Any, objective: Objective, constraint: Objective) -> Any:
        def lagrangian(x: Any) -> tuple[Any, Any]:
            g = constraint(x)
            return objective(x)[0] + jnp.dot(both[self.n :], g), g

        slope, g = grad(lagrangian, has_aux=True)(both[: self.n])
        return jnp.concatenate([slope, g])

    def found(self, tol: Any, maxiter: Any, linear: Linear) -> tuple[Any, Info]:
        """The solution and its multipliers, and how they were found."""
        x = self.objective.unknowns.start
        start = jnp.concatenate([x, jnp.zeros(self.count, x.dtype)])
        count = most(maxiter, 100, "argmin")

        def conditions(both: Any) -> Any:
            return self._lagrange(both, self.objective.fixed, self.constraint.fixed)

        return root_newton(conditions, start, tolerance(tol, x.dtype), count, linear)

    def unknown(self, both: Any) -> Any:
        """Of the solution, what was asked for."""
        return both[: self.n]

    def multipliers(self, both: Any) -> Any:
        """As the constraints are."""
        return self.constraint.result(both[self.n :])


# ---- solvers


def newton(f: Objective, x: Any, tol: Any, maxiter: int, linear: Any) -> tuple[Any, Info]:
    """Newton's method, downhill."""
    slope = grad(f)

    def step(x: Any) -> Any:
        g, push = linearize(slope, x)
        way = flat_solve(push, -g, linear)
        way = jnp.where(jnp.all(g == 0), 0, way)
        down = jnp.all(jnp.isfinite(way)) & (jnp.dot(g, way) <= 0)
        off = jnp.where(down, size(way), jnp.maximum(size(g), 1))
        return _moved(f, x, f(x), g, jnp.where(down, way, -g), 1.0)[0], off, 1 + size(x)

    return iterated(step, x, tolerance(tol, x.dtype), maxiter)


def _moved(f: Objective, x: Any, y: Any, g: Any, way: Any, first: Any) -> tuple[Any, Any]:
    """Along `way`, half as far as long as f does not become small enough (Armijo 1966); how far.

    Where rounding hides what f does, its slope decides, as W. Hager and H. Zhang do (2005).
    """
    slope = jnp.dot(g, way)
    rounding = 10 * dtypes.finfo(x.dtype).eps * jnp.abs(y)

    def tried(part: Any) -> Any:
        value, g = value_and_grad(f)(x + part * way)
        lower = value <= y + 1e-4 * part * slope
        return lower | ((value <= y + rounding) & (jnp.dot(g, way) <= -0.8 * slope))

    def goes_on(state: Any) -> Any:
        _, good, k = state
        return ~good & (k < 50)

    def halved(state: Any) -> Any:
        part, _, k = state
        return part / 2, tried(part / 2), k + 1

    part = jnp.asarray(first, x.dtype)
    part, _, _ = while_loop(goes_on, halved, (part, tried(part), 0))
    return x + part * way, part


def gradient_descent(f: Objective, x: Any, tol: Any, maxiter: int, linear: Any) -> tuple[Any, Info]:
    """Down the gradient; the next step begins twice as long as the last one was."""
    tol = float(dtypes.finfo(x.dtype).eps) ** 0.5 if tol is None else tol

    def step(state: Any) -> Any:
        x, length = state
        y, g = value_and_grad(f)(x)
        return _moved(f, x, y, g, -g, 2 * length), size(g), 1

    state, info = iterated(step, (x, jnp.ones((), x.dtype)), tol, maxiter)
    return state[0], info


def bfgs(f: Objective, x: Any, tol: Any, maxiter: int, linear: Any) -> tuple[Any, Info]:
    """The method of Broyden, Fletcher, Goldfarb and Shanno, of `scipy.optimize.minimize`."""
    tol = float(dtypes.finfo(x.dtype).eps) ** 0.5 if tol is None else tol
    found = minimize(f, x, method="BFGS", tol=tol, options={"maxiter": maxiter, "norm": 2})
    off = size(found.jac)
    # A line search that rounding has stopped may be there nevertheless.
    return found.x, Info(off <= 10 * tol, found.nit, off, jnp.full(0, jnp.nan, off.dtype))


_SOLVERS = {
    "newton": (newton, 100),
    "bfgs": (bfgs, 1000),
    "gradient_descent": (gradient_descent, 10_000),
}

__all__ = ["argmin"]
