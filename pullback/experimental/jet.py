"""Taylor mode: all derivatives of a function along a curve at once, up to any order."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from .. import checks
from ..control import taylor as of_programs  # noqa: F401 (it enters rules for programs)
from ..core.array import Array
from ..core.errors import error
from ..core.pytree import flatten
from ..core.trace import type_of
from ..numpy.promotion import as_array, astype, broadcast_to, inexact
from ..ops.structural import zeros_of
from ..transforms import taylor
from ..transforms import taylor_matrices as of_matrices  # noqa: F401 (and of matrices)
from ..transforms import taylor_rules as of_operations  # noqa: F401 (and this one for operations)
from ..transforms.taylor import divided, scaled

__all__ = ["jet"]


def jet(
    fun: Callable[..., Any],
    primals: Sequence[Any],
    series: Sequence[Sequence[Any]],
    factorial_scaled: bool = True,
    **_: Any,
) -> tuple[Any, Any]:
    """The value and the derivatives of `fun` along a curve through `primals`.

    With x(t) = x + x1 t + x2 t^2 / 2! + ... + xn t^n / n!, these are the derivatives of fun(x(t))
    at t = 0. It costs about n^2 times the function, where n nested `jvp` cost 2^n times.

    Args:
      fun: a function of arrays whose result is a pytree of arrays.
      primals: the value of each argument, an array.
      series: for each argument the list of its derivatives along the curve, [x1, ..., xn].
      factorial_scaled: whether the series hold derivatives; if False, coefficients of t^k: those
        over k!.

    Returns:
      ``(value, series)``: for each array of the value the list of its derivatives.

    Raises:
      ValueError: the lists have different lengths, or a primal or a term is not an array.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.experimental.jet import jet
      >>> y, (y1, y2) = jet(jnp.exp, (0.0,), ([1.0, 0.0],))
      >>> print(y, y1, y2)
      1.0 1.0 1.0
    """
    checks.callable_(fun, "jet")
    order = _order(primals, series)
    args = []
    for i, (x, terms) in enumerate(zip(primals, series, strict=True)):
        x = inexact("jet", _array(x, f"primal value at position {i}"))
        found = [_term(x, t, f"term {j} for argument {i}") for j, t in enumerate(terms)]
        if factorial_scaled:
            found = [divided(t, math.factorial(k)) for k, t in enumerate(found, 1)]
        args.append([x, *found])
    trees = []

    def flat(*xs: Any) -> list[Any]:
        outs, tree = flatten(fun(*xs))
        trees.append(tree)
        return [checks.output_array(y, "jet") for y in outs]

    outs = taylor.expand(flat, args, order, fun)
    terms_out = [
        [_scaled_back(y[0], c, k if factorial_scaled else 0) for k, c in enumerate(y[1:], 1)]
        for y in outs
    ]
    return trees[0].unflatten([y[0] for y in outs]), trees[0].unflatten(terms_out)


def _order(primals: Any, series: Any) -> int:
    for name, value in (("primals", primals), ("series", series)):
        if not isinstance(value, (tuple, list)):
            raise _no_list(name, value)
    for terms in series:
        if not isinstance(terms, (tuple, list)):
            raise _no_list("one of the series", terms)
    lengths = {len(terms) for terms in series}
    if len(lengths) != 1 or len(primals) != len(series):
        raise error(
            ValueError,
            "jet terms have inconsistent lengths for different arguments.",
            got=f"{len(primals)} primals, and series of lengths {[len(s) for s in series]}",
            fix="give one list for each primal, all of one length; fill up with zeros.",
        )
    return lengths.pop()


def _no_list(name: str, value: Any) -> TypeError:
    return error(
        TypeError,
        f"jet takes tuples or lists, and {name} is none.",
        got=f"{value!r:.80} of type {type(value).__name__}",
        fix="write jet(f, (x,), ([first, second],)).",
    )


def _array(x: Any, what: str) -> Any:
    if not isinstance(x, Array) and not flatten(x)[1].is_leaf():
        raise error(
            ValueError,
            f"{what} is not an array.",
            got=f"{x!r:.80} of type {type(x).__name__}",
            fix="make the function one of arrays: give each part as an argument of its own.",
        )
    return as_array(x, "jet")


def _term(x: Any, term: Any, what: str) -> Any:
    t = _array(term, what)
    if t.shape != x.shape and t.shape:
        raise error(
            ValueError,
            f"{what} must have the shape of its primal value.",
            got=f"{type_of(t).str_short()} for {type_of(x).str_short()}",
            fix="broadcast it first.",
        )
    return broadcast_to(astype(t, x.dtype, True), x.shape)


def _scaled_back(y: Any, c: Any, k: int) -> Any:
    return zeros_of(y) if c is None else scaled(c, math.factorial(k))
