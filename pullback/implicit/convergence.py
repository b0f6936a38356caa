"""Iterations that end when they have converged, and what is said of those that have not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .. import lax
from .. import numpy as jnp
from ..core import dtypes
from ..core.array import Tracer
from ..core.errors import error


class ConvergenceError(ArithmeticError):
    """An iteration has not converged. `info` is the `Info` of it."""

    info: Any = None


class Info(NamedTuple):
    """How an iteration has ended."""

    converged: Any
    """Whether the error is below the tolerance."""
    iterations: Any
    """How many there were."""
    error: Any
    """The error of the last one: how far it went, or the norm of the gradient."""
    history: Any
    """The errors of the iterations 1, 2, 4, 8, ...; NaN for those that were not reached."""
    multipliers: Any = None
    """Those of the constraints, where there are some."""


def tolerance(tol: Any, dtype: Any) -> Any:
    """`tol`, or what numbers of this dtype allow: 2e-12 for float64, 6e-6 for float32."""
    return float(dtypes.finfo(dtype).eps) ** 0.75 if tol is None else tol


def most(maxiter: Any, default: int, name: str) -> int:
    """`maxiter`, checked: the most iterations there may be."""
    if maxiter is None:
        return default
    if not isinstance(maxiter, (int, np.integer)) or isinstance(maxiter, bool) or maxiter < 1:
        raise error(
            ValueError,
            f"{name}: maxiter must be a whole number, at least 1.",
            got=f"maxiter={maxiter!r:.80}",
            fix="leave maxiter out, or give how many iterations there may be.",
        )
    return int(maxiter)


def size(x: Any) -> Any:
    """The Euclidean norm of a flat vector."""
    return jnp.sqrt(jnp.sum(jnp.real(x * jnp.conj(x))))


def iterated(
    step: Callable[[Any], tuple[Any, Any, Any]], start: Any, tol: Any, maxiter: int
) -> tuple[Any, Info]:
    """Repeat ``state, error, scale = step(state)`` until the error is at most ``tol * scale``.

    It ends too when the error is not finite. Under `vmap` each element ends by itself.
    """
    kind = jnp.result_type(float)
    places = np.arange(maxiter.bit_length())
    history = jnp.full(len(places), jnp.nan, kind)

    def go_on(carry: Any) -> Any:
        _, good, off, k, _ = carry
        return ~good & (k < maxiter) & jnp.isfinite(off)

    def again(carry: Any) -> Any:
        state, _, _, k, history = carry
        state, off, scale = step(state)
        good = (off <= tol * scale) & jnp.isfinite(off) & jnp.isfinite(scale)
        off = off.astype(kind)
        history = jnp.where(2**places == k + 1, off, history)
        return state, good, off, k + 1, history

    carry = (start, False, jnp.zeros((), kind), 0, history)
    state, good, off, k, history = lax.while_loop(go_on, again, carry)
    return state, Info(good, k, off, history)


def finished(x: Any, info: Info, has_info: bool, name: str, fix: str) -> Any:
    """What is returned for the solution `x`, a flat vector.

    One that has not converged is an error where that is known, and NaN where it is not: under
    `jit`, and for single elements under `vmap`. NaN is a factor, so that derivatives are NaN too.
    """
    if has_info:
        return x
    if not isinstance(info.converged, Tracer):
        if not bool(info.converged):
            raise not_converged(info, name, fix)
        return x
    return x * jnp.where(info.converged, 1, jnp.nan).astype(x.dtype)


def not_converged(info: Info, name: str, fix: str) -> ConvergenceError:
    """The error, with how the errors went."""
    seen = [(2**i, float(e)) for i, e in enumerate(np.asarray(info.history))]
    last = int(info.iterations)
    errors = [f"{k}: {e:.2g}" for k, e in seen if k < last]
    problem = error(
        ConvergenceError,
        f"{name} has not converged.",
        got=f"after {last} iterations the error is {float(info.error):.2g}; it was, by iteration, "
        + ", ".join([*errors, f"{last}: {float(info.error):.2g}"]),
        fix=fix,
    )
    problem.info = info
    return problem


__all__ = ["ConvergenceError", "Info", "finished", "iterated", "most", "size", "tolerance"]
