"""Linear systems ``matvec(x) = b``: dense for few unknowns, matrix-free for many."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import checks, lax
from .. import numpy as jnp
from ..core import dtypes
from ..core.errors import error
from ..core.pytree import flatten
from ..core.trace import type_of
from ..flatten_util import ravel_pytree
from ..jit import eval_shape
from ..linear import linear_transpose
from ..mapping import vmap
from ..scipy.sparse.linalg import bicgstab, cg, gmres
from .convergence import size, tolerance

Product = Callable[[Any], Any]

DENSE = 64
"""Up to so many unknowns "auto" builds the matrix: one product for each, and no iteration."""

RESTART = 40


def custom_linear_solve(
    matvec: Callable[[Any], Any],
    b: Any,
    solve: Any = "auto",
    *,
    tol: float | None = None,
    maxiter: int | None = None,
    symmetric: bool = False,
) -> Any:
    """The x with ``matvec(x) = b``, with derivatives of the solution in both modes, to any order.

    Args:
      matvec: a linear function of a pytree like `b`, which may close over traced values: the
        solution is differentiated with respect to them.
      b: the right side: a pytree of float or complex arrays.
      solve: "dense" builds the matrix, one product for each column; "cg" is for symmetric positive
        definite systems, "bicgstab" and "gmres" are for any, and "normal" is conjugate gradients on
        the normal equations, for systems that the others fail on. "richardson" repeats
        ``x + b - matvec(x)``, the cheapest for the derivative of a fixed point that the plain
        iteration finds. "auto" is "dense" for up to 64 unknowns, and for more "bicgstab" ("cg" with
        `symmetric`), with "gmres" where that fails. Or a function ``solve(matvec, b)``, which
        serves the transposed system too.
      tol: the residual to stop at, relative to the norm of `b`.
      maxiter: the most iterations; for "gmres", the most restarts, of 40 products each.
      symmetric: promise that the system is symmetric and positive definite.

    Returns:
      The solution, of the structure of `b`. If an iteration does not reach a residual of
      ``10 tol``, or of the root of the unit of rounding, it is NaN and not a wrong number.

    Raises:
      TypeError: `matvec` or `solve` is not what it should be.
      ValueError: the system is not square.

    ``dx = A^-1 (db - dA x)`` and the cotangent of b is ``A^-T ct``: each derivative is another
    system with the same matrix.

    Example:
      >>> import pullback
      >>> import pullback.numpy as jnp
      >>> from pullback.implicit import custom_linear_solve
      >>> def solution(a):
      ...     return custom_linear_solve(lambda x: a * x + jnp.roll(x, 1), jnp.ones(4), "gmres")
      >>> print(solution(3.0), pullback.jacfwd(solution)(3.0))
      [0.25 0.25 0.25 0.25] [-0.0625 -0.0625 -0.0625 -0.0625]
    """
    checks.callable_(matvec, "custom_linear_solve")
    leaves, tree = flatten(b)
    leaves = [checks.input_array(x, "custom_linear_solve") for x in leaves]
    leaves = [x if dtypes.is_inexact(x.dtype) else x.astype(float) for x in leaves]
    right = tree.unflatten([lax.convert_element_type(x, x.dtype) for x in leaves])
    outs, out_tree = flatten(eval_shape(matvec, right))
    have, wanted = [type_of_shape(y) for y in outs], [type_of(x) for x in leaves]
    if out_tree != tree or [t.shape for t in have] != [t.shape for t in wanted]:
        raise error(
            ValueError,
            "custom_linear_solve: the system is not square: matvec must give what b is.",
            got=f"{', '.join(t.str_short() for t in have)} in {out_tree}, for "
            f"{', '.join(t.str_short() for t in wanted)} in {tree}",
            fix="for more equations than unknowns multiply by the transposed matrix, or minimise "
            "the residual with implicit.argmin.",
        )
    flat, unravel = ravel_pytree(right)
    method = _chosen(solve)
    if callable(method):
        own = method

        def method(product: Product, y: Any) -> Any:
            return _raveled(own(lambda x: unravel(product(_raveled(x))), unravel(y)), y)

    options = Linear(method, tol, maxiter, symmetric)
    return unravel(flat_solve(lambda x: _raveled(matvec(unravel(x)), x), flat, options))


def type_of_shape(y: Any) -> Any:
    """The type of a ShapeDtypeStruct."""
    return checks.shaped(y, "custom_linear_solve")


def _raveled(tree: Any, like: Any = None) -> Any:
    flat = ravel_pytree(tree)[0]
    return flat if like is None else flat.astype(like.dtype)


class Linear:
    """How linear systems are to be solved."""

    def __init__(
        self, method: Any = "auto", tol: Any = None, maxiter: Any = None, symmetric: bool = False
    ) -> None:
        self.method, self.tol, self.maxiter = _chosen(method), tol, maxiter
        self.symmetric = symmetric or self.method == "cg"

    def for_size(self, n: int) -> Any:
        """The method for so many unknowns."""
        if self.method != "auto":
            return self.method
        return "dense" if n <= DENSE else "cg" if self.symmetric else "auto"


def _chosen(method: Any) -> Any:
    if callable(method) or (isinstance(method, str) and method in _METHODS):
        return method
    raise error(
        ValueError,
        f"there is no linear solver {method!r:.80}.",
        got=f"{method!r:.80}",
        fix=f"use one of {', '.join(map(repr, _METHODS))}, or a function solve(matvec, b).",
    )


def flat_solve(product: Product, b: Any, options: Linear) -> Any:
    """The flat x with ``product(x) = b``."""
    method = options.for_size(b.size)
    if method == "dense":
        return _dense(product, b)

    def solve(product: Product, b: Any) -> Any:
        if callable(method):
            return lax.convert_element_type(method(product, b), b.dtype)
        return _checked(_METHODS[method], product, b, options)

    # A hermitian system is its own transpose only if it is real.
    symmetric = options.symmetric and dtypes.kind(b.dtype) != "c"
    return lax.custom_linear_solve(product, b, solve, solve, symmetric=symmetric)


def _dense(product: Product, b: Any) -> Any:
    """By the matrix itself, of which each column is a product."""
    if not b.size:
        return b
    columns = vmap(product)(jnp.eye(b.size, dtype=b.dtype))
    return jnp.linalg.solve(columns.T, b)


def _checked(raw: Any, product: Product, b: Any, options: Linear) -> Any:
    """The solution, or NaN if its residual is large."""
    tol = tolerance(options.tol, b.dtype)
    x = raw(product, b, tol, options.maxiter)
    return x * jnp.where(_is_solved(product, x, b, tol), 1, jnp.nan).astype(x.dtype)


def _is_solved(product: Product, x: Any, b: Any, tol: Any) -> Any:
    allowed = jnp.maximum(10 * tol, np.sqrt(dtypes.finfo(b.dtype).eps))
    return size(b - product(x)) <= allowed * size(b)


def _auto(product: Product, b: Any, tol: Any, maxiter: Any) -> Any:
    """The quick one, and the steady one where it fails."""
    x = _bicgstab(product, b, tol, maxiter)
    good = _is_solved(product, x, b, tol)
    return lax.cond(good, lambda: x, lambda: _gmres(product, b, tol, None))


def _richardson(product: Product, b: Any, tol: Any, maxiter: Any) -> Any:
    most = 1000 if maxiter is None else maxiter
    limit = tol * size(b)

    def goes_on(state: Any) -> Any:
        _, r, k = state
        off = size(r)
        return (off > limit) & (k < most) & jnp.isfinite(off)

    def step(state: Any) -> Any:
        x, r, k = state
        x = x + r
        return x, b - product(x), k + 1

    return lax.while_loop(goes_on, step, (jnp.zeros_like(b), b, 0))[0]


def _cg(product: Product, b: Any, tol: Any, maxiter: Any) -> Any:
    return cg(product, b, tol=tol, maxiter=maxiter)[0]


def _bicgstab(product: Product, b: Any, tol: Any, maxiter: Any) -> Any:
    return bicgstab(product, b, tol=tol, maxiter=maxiter)[0]


def _gmres(product: Product, b: Any, tol: Any, maxiter: Any) -> Any:
    cycles = 50 if maxiter is None else maxiter
    return gmres(product, b, tol=tol, restart=RESTART, maxiter=cycles)[0]


def _normal(product: Product, b: Any, tol: Any, maxiter: Any) -> Any:
    """``A^H A x = A^H b`` by conjugate gradients."""
    turned = linear_transpose(product, b)

    def adjoint(y: Any) -> Any:
        return jnp.conj(turned(jnp.conj(y))[0])

    return cg(lambda x: adjoint(product(x)), adjoint(b), tol=tol, maxiter=maxiter)[0]


_METHODS: dict[str, Any] = {
    "auto": _auto,
    "dense": None,
    "cg": _cg,
    "gmres": _gmres,
    "bicgstab": _bicgstab,
    "richardson": _richardson,
    "normal": _normal,
}

__all__ = ["Linear", "custom_linear_solve", "flat_solve"]
