"""BFGS and L-BFGS: Algorithms 6.1 and 7.4 of Nocedal and Wright, Numerical Optimization (1999)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ... import api, lax
from ... import numpy as jnp
from ...numpy import linalg
from .line_search import Step, line_search


class Minimum(NamedTuple):
    """Where a search stands."""

    converged: Any
    failed: Any
    k: Any
    evaluations: Any
    x: Any
    value: Any
    gradient: Any
    status: Any


class _State(NamedTuple):
    at: Minimum
    inverse: Any
    value_before: Any


def _start(fun: Any, x0: Any, norm: Any, gtol: Any) -> Minimum:
    value, gradient = api.value_and_grad(fun)(x0)
    return Minimum(
        converged=linalg.norm(gradient, ord=norm) < gtol,
        failed=jnp.array(False),
        k=jnp.array(0),
        evaluations=jnp.array(1),
        x=x0,
        value=value,
        gradient=gradient,
        status=jnp.array(0),
    )


def _moved(s: Minimum, step: Step, direction: Any) -> tuple[Any, Any, Any]:
    """The new place, the way to it, and the change of the gradient."""
    way = step.step.astype(direction.dtype) * direction
    return s.x + way, way, step.gradient - s.gradient


def bfgs(
    fun: Callable[[Any], Any],
    x0: Any,
    maxiter: int | None = None,
    norm: Any = np.inf,
    gtol: float = 1e-5,
    line_search_maxiter: int = 10,
) -> tuple[Minimum, Any]:
    """The minimum of `fun`, searched from the flat real array `x0`, and its inverse Hessian.

    Args:
      fun: a function to a real scalar.
      x0: where to begin.
      maxiter: the most iterations, 200 times the size of `x0` by default.
      norm: the order of the gradient's norm.
      gtol: the norm of the gradient to stop at.
      line_search_maxiter: the most steps of each line search.
    """
    limit = x0.size * 200 if maxiter is None else maxiter
    first = _start(fun, x0, norm, gtol)
    inverse = jnp.eye(x0.shape[0], dtype=x0.dtype)
    before = first.value + linalg.norm(first.gradient).astype(first.value.dtype) / 2

    def go_on(s: _State) -> Any:
        return ~s.at.converged & ~s.at.failed & (s.at.k < limit)

    def body(state: _State) -> _State:
        s, h = state.at, state.inverse
        direction = -(h @ s.gradient)
        step = line_search(
            fun, s.x, direction, s.value, s.gradient, state.value_before, line_search_maxiter
        )
        x, way, change = _moved(s, step, direction)
        at = Minimum(
            converged=linalg.norm(step.gradient, ord=norm) < gtol,
            failed=step.failed,
            k=s.k + 1,
            evaluations=s.evaluations + step.evaluations,
            x=x,
            value=step.value,
            gradient=step.gradient,
            status=step.status,
        )
        return _State(at, _updated(h, way, change), s.value)

    last = lax.while_loop(go_on, body, _State(first, inverse, before))
    s = last.at
    status = jnp.where(s.failed, 2 + s.status, -1)
    status = jnp.where(s.k == limit, 1, status)
    return s._replace(status=jnp.where(s.converged, 0, status)), last.inverse


def _updated(h: Any, way: Any, change: Any) -> Any:
    """The inverse Hessian that takes `change` to `way`, as close to `h` as can be."""
    rho = 1 / (change @ way)
    image = h @ change
    cross = jnp.outer(way, image)
    scale = rho * (1 + rho * (change @ image))
    new = h - rho * (cross + cross.T) + scale * jnp.outer(way, way)
    return jnp.where(jnp.isfinite(rho), new, h)


class _Memory(NamedTuple):
    """The last steps, oldest first; those that are not made yet have a `rho` of zero."""

    ways: Any
    changes: Any
    rho: Any
    gamma: Any


def limited_bfgs(
    fun: Callable[[Any], Any],
    x0: Any,
    maxiter: float | None = None,
    norm: Any = np.inf,
    maxcor: int = 10,
    ftol: float = 2.220446049250313e-09,
    gtol: float = 1e-05,
    maxfun: float | None = None,
    maxgrad: float | None = None,
    maxls: int = 20,
) -> Minimum:
    """The minimum of `fun` by BFGS that remembers the last `maxcor` steps, of real or complex `x0`.

    Args:
      fun: a function to a real scalar.
      x0: where to begin, a flat array.
      maxiter: the most iterations, 200 times the size of `x0` if no other limit is given.
      norm: the order of the gradient's norm.
      maxcor: how many steps are remembered.
      ftol: the decrease of the function to stop at.
      gtol: the norm of the gradient to stop at.
      maxfun, maxgrad: the most evaluations of the function and of its gradient.
      maxls: the most steps of each line search.

    The status is 1 for too many iterations, 2 and 3 for too many evaluations, 4 for too small a
    decrease, 5 for a failed line search.
    """
    if maxiter is None and maxfun is None and maxgrad is None:
        maxiter = x0.size * 200
    limits = [np.inf if m is None else m for m in (maxiter, maxfun, maxgrad)]
    first = _start(fun, x0, norm, gtol)
    first = first._replace(converged=jnp.array(False))
    none = jnp.zeros((maxcor, x0.size), x0.dtype)
    real = jnp.real(x0).dtype
    memory = _Memory(none, none, jnp.zeros(maxcor, real), jnp.ones((), real))

    def go_on(state: Any) -> Any:
        return ~state[0].converged & ~state[0].failed

    def body(state: Any) -> Any:
        s, memory = state
        direction = _direction(memory, s.gradient)
        step = line_search(fun, s.x, direction, s.value, s.gradient, maxiter=maxls)
        x, way, change = _moved(s, step, direction)
        inner = jnp.real(jnp.sum(change * way))
        rho = jnp.where(inner == 0, 0, 1 / inner)
        gamma = inner / jnp.real(jnp.vdot(change, change))
        status = jnp.where(s.value - step.value < ftol, 4, 0)
        for limit, number, code in (
            (limits[2], s.evaluations, 3),
            (limits[1], s.evaluations, 2),
            (limits[0], s.k, 1),
        ):
            status = jnp.where(number >= limit, code, status)
        status = jnp.where(step.failed, 5, status)
        converged = linalg.norm(step.gradient, ord=norm) < gtol
        at = Minimum(
            converged=converged,
            failed=(status > 0) & ~converged,
            k=s.k + 1,
            evaluations=s.evaluations + step.evaluations,
            x=x,
            value=step.value,
            gradient=step.gradient,
            status=jnp.where(converged, 0, status),
        )
        pairs = ((memory.ways, way), (memory.changes, change), (memory.rho, rho))
        ways, changes, kept = (
            jnp.roll(old, -1, 0).at[-1].set(new.astype(old.dtype)) for old, new in pairs
        )
        gamma = jnp.where(jnp.isfinite(gamma), gamma, memory.gamma).astype(real)
        return at, _Memory(ways, changes, kept, gamma)

    return lax.while_loop(go_on, body, (first, memory))[0]  # type: ignore[no-any-return]


def _direction(memory: _Memory, gradient: Any) -> Any:
    """Minus the inverse Hessian of the remembered steps times the gradient: two loops."""

    def newest_first(q: Any, pair: Any) -> Any:
        way, change, rho = pair
        a = (rho * jnp.real(jnp.vdot(way, q))).astype(q.dtype)
        return q - a * jnp.conj(change), a

    def oldest_first(q: Any, pair: Any) -> Any:
        (way, change, rho), a = pair
        b = (rho * jnp.real(jnp.sum(change * q))).astype(q.dtype)
        return q + (a - b) * way, None

    pairs = (memory.ways, memory.changes, memory.rho)
    q, coefficients = lax.scan(newest_first, -jnp.conj(gradient), pairs, reverse=True)
    q, _ = lax.scan(oldest_first, memory.gamma.astype(q.dtype) * q, (pairs, coefficients))
    return q
