"""minimize, and what it finds."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ... import numpy as jnp
from ...core import dtypes
from ...core.errors import error
from .bfgs import bfgs, limited_bfgs


class OptimizeResults(NamedTuple):
    """What `minimize` has found."""

    x: Any
    """Where the function is smallest."""
    success: Any
    """Whether the search ended there."""
    status: Any
    """0; or 1 for too many iterations, and other numbers for what else ended the search."""
    fun: Any
    """The function there."""
    jac: Any
    """Its gradient there."""
    hess_inv: Any
    """The estimated inverse of its Hessian, if the method makes one."""
    nfev: Any
    """How often the function was evaluated."""
    njev: Any
    """How often its gradient was."""
    nit: Any
    """How many iterations it took."""


_METHODS = ("bfgs", "l-bfgs-experimental-do-not-rely-on-this")


def minimize(
    fun: Callable[..., Any],
    x0: Any,
    args: tuple[Any, ...] = (),
    *,
    method: str,
    tol: float | None = None,
    options: Mapping[str, Any] | None = None,
) -> OptimizeResults:
    """The minimum of a function of an array, searched with its gradient.

    Works under `jit` and `vmap`. A derivative of the result is that of the search, step by step;
    `lax.custom_root` of the gradient has that of the minimum itself.

    Args:
      fun: ``fun(x, *args)``, a real scalar.
      x0: where to begin: a flat array.
      args: further arguments of `fun`.
      method: "BFGS", or "l-bfgs-experimental-do-not-rely-on-this", which is JAX's name for L-BFGS.
      tol: the norm of the gradient to stop at, if `options` does not say ``gtol``.
      options: options of the method: ``maxiter``, ``norm`` and ``gtol`` for both,
        ``line_search_maxiter`` for BFGS, ``maxcor``, ``ftol``, ``maxfun``, ``maxgrad`` and
        ``maxls`` for L-BFGS.

    Raises:
      TypeError: `args` is no tuple.
      ValueError: there is no such method, or `x0` is not flat.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.scipy.optimize import minimize
      >>> found = minimize(lambda x: jnp.sum((x - 2) ** 2), jnp.zeros(2), method="BFGS")
      >>> print(found.x.round(3), found.success)
      [2. 2.] True
    """
    if not isinstance(args, tuple):
        raise error(
            TypeError,
            f"args argument to scipy.optimize.minimize must be a tuple, got {args!r:.80}.",
            got=f"args of type {type(args).__name__}",
            fix="write args=(a,) for one argument.",
        )
    if method.lower() not in _METHODS:
        raise error(
            ValueError,
            f"Method {method} not recognized.",
            got=f"method={method!r}",
            fix=f"use one of {', '.join(map(repr, _METHODS))}.",
        )
    start = jnp.asarray(x0)
    if start.ndim != 1:
        raise error(
            ValueError,
            "scipy.optimize.minimize needs a one-dimensional x0.",
            got=f"x0 of shape {start.shape}",
            fix="flatten it, for instance with flatten_util.ravel_pytree.",
        )
    if not dtypes.is_inexact(start.dtype):
        start = start.astype(jnp.result_type(float))
    chosen = dict(options or {})
    if tol is not None:
        chosen.setdefault("gtol", tol)

    _check_options(method, chosen)

    def of_x(x: Any) -> Any:
        return fun(x, *args)

    inverse: Any = None
    if method.lower() == "bfgs":
        found, inverse = bfgs(of_x, start, **chosen)
    else:
        found = limited_bfgs(of_x, start, **chosen)
    return OptimizeResults(
        x=found.x,
        success=found.converged & ~found.failed,
        status=found.status,
        fun=found.value,
        jac=found.gradient,
        hess_inv=inverse,
        nfev=found.evaluations,
        njev=found.evaluations,
        nit=found.k,
    )


def _check_options(method: str, options: dict[str, Any]) -> None:
    function = bfgs if method.lower() == "bfgs" else limited_bfgs
    known = list(inspect.signature(function).parameters)[2:]
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise error(
            TypeError,
            f"method {method} of scipy.optimize.minimize has no option {unknown[0]!r}.",
            got=f"options={options!r:.80}",
            fix=f"its options are {', '.join(known)}.",
        )
