"""Derivatives of any order from Taylor mode: along a line, and all mixed ones of one order."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from . import checks
from .core import dtypes
from .core.array import HostArray
from .core.errors import error
from .core.pytree import flatten
from .core.trace import type_of
from .experimental.jet import jet
from .mapping import vmap
from .numpy.contraction import tensordot
from .ops.structural import reshape

__all__ = ["derivative_tensor", "jet", "taylor"]


def taylor(fun: Callable[..., Any], order: int) -> Callable[[Any, Any], list[Any]]:
    """The derivatives of `fun` along a line: of t -> fun(x + t v) at t = 0, up to any order.

    All come from one pass of `jet`, whose cost grows with the square of the order.

    Args:
      fun: a function of one argument, a pytree of float arrays; its result is a pytree of arrays.
      order: the highest derivative, at least 0.

    Returns:
      A function of the point x and the direction v, of the same structure and shapes. It gives a
      list of ``order + 1`` results, each of the structure of ``fun(x)``: item k is the k-th
      derivative, D^k fun(x)[v, ..., v].

    Raises:
      ValueError: `order` is negative, or v has another shape than x.
      TypeError: `order` is no integer, or v has another structure than x.

    Example:
      >>> import pullback
      >>> import pullback.numpy as jnp
      >>> print(*pullback.taylor(lambda x: jnp.prod(x), 3)(jnp.array([1.0, 2.0]), jnp.ones(2)))
      2.0 3.0 2.0 0.0
    """
    checks.callable_(fun, "taylor")
    _check_order(order, 0, "taylor")

    def along(x: Any, v: Any) -> list[Any]:
        leaves, tree = flatten(x)
        steps, steps_tree = flatten(v)
        checks.structure("the direction of taylor", steps_tree, tree, "the point")
        if order == 0:
            return [fun(x)]
        series = [[d, *[np.float32(0)] * (order - 1)] for d in steps]
        value, terms = jet(lambda *xs: fun(tree.unflatten(xs)), leaves, series)
        out_tree = flatten(value)[1]
        each = out_tree.flatten_up_to(terms)
        return [value, *(out_tree.unflatten([t[k] for t in each]) for k in range(order))]

    return along


_MOST = 10**8
"""Entries of a tensor of derivatives, or weights of the lines that these are combined of."""


def derivative_tensor(fun: Callable[..., Any], order: int) -> Callable[[Any], Any]:
    """All derivatives of one order: the symmetric tensor D^d fun(x), by Taylor series along lines.

    The entries are linear combinations of the d-th coefficients along the C(n + d - 1, d) lines
    whose directions are vectors of whole numbers with sum d: as many as there are different
    entries. Griewank, Utke and Walther, Evaluating higher derivative tensors by forward
    propagation of univariate Taylor series (2000). Nested Jacobians find n^d entries, and carry 2^d
    numbers for each.

    Args:
      fun: a function of one real float array of n elements; its result is a pytree of arrays.
      order: d, at least 1. The weights grow with it: at order 7 three digits are lost.

    Returns:
      A function of the array, of shape S. For each array of the result, of shape T, it gives one of
      shape ``T + S * d``.

    Raises:
      ValueError: `order` is less than 1, or there would be more than 10^8 derivatives or weights.
      TypeError: `order` is no integer, or the argument is not a real float array.

    Example:
      >>> import pullback
      >>> import pullback.numpy as jnp
      >>> third = pullback.derivative_tensor(lambda x: x[0] ** 2 * x[1], 3)(jnp.array([1.0, 2.0]))
      >>> print(third)
      [[[0. 2.]
        [2. 0.]]
      <BLANKLINE>
       [[2. 0.]
        [0. 0.]]]
    """
    checks.callable_(fun, "derivative_tensor")
    _check_order(order, 1, "derivative_tensor")

    def tensor(x: Any) -> Any:
        x = checks.input_array(x, "derivative_tensor")
        shape, dtype = tuple(x.shape), x.dtype
        if dtypes.kind(dtype) != "f":
            raise error(
                TypeError,
                "derivative_tensor takes a real float array.",
                got=type_of(x).str_short(),
                fix="convert it to a float.",
            )
        n = type_of(x).size
        entries = math.comb(n + order - 1, order)
        if max(n**order, entries**2) > _MOST:
            raise error(
                ValueError,
                "derivative_tensor is for few inputs and low orders: this is too much.",
                got=f"order {order} of {n} inputs: {entries:,} lines",
                fix="take the derivatives along the directions that you need with taylor.",
            )
        directions, weights, places = _interpolation(n, order)
        lines = HostArray(directions.astype(dtype).reshape(-1, *shape))
        zeros = [np.float32(0)] * (order - 1)

        trees: list[Any] = []

        def last(v: Any) -> list[Any]:
            value, terms = jet(fun, (x,), ([v, *zeros],), factorial_scaled=False)
            trees.append(flatten(value)[1])
            return [t[-1] for t in trees[-1].flatten_up_to(terms)]

        found = vmap(last)(lines)
        return trees[-1].unflatten([_combined(c, weights[places], shape * order) for c in found])

    return tensor


def _combined(c: Any, weights: Any, shape: tuple[int, ...]) -> Any:
    """For each index of the tensor the weighted sum over lines, the first axis of `c`."""
    found = tensordot(c, weights.astype(c.dtype), axes=((0,), (1,)))
    return reshape(found, new_sizes=(*c.shape[1:], *shape))


def _check_order(order: Any, least: int, name: str) -> None:
    if isinstance(order, bool) or not isinstance(order, (int, np.integer)):
        raise error(
            TypeError,
            f"the order of {name} must be an integer.",
            got=f"order={order!r:.80}",
            fix="give the number of derivatives, such as 3.",
        )
    if order < least:
        raise error(
            ValueError,
            f"the order of {name} must be at least {least}.",
            got=f"order={order}",
            fix="give the number of derivatives, such as 3.",
        )


@lru_cache(maxsize=64)
def _interpolation(n: int, d: int) -> tuple[Any, Any, Any]:
    """Directions j, the weight of the coefficient along each for each entry i, and for each index
    of the full tensor the number of its entry."""
    entries = _of_sum(n, d)
    directions = np.array(entries, np.float64).reshape(-1, n)
    weights = np.array([_weights(np.array(i), directions, d) for i in entries])
    number = {i: k for k, i in enumerate(entries)}
    indices = itertools.product(range(n), repeat=d)
    places = [number[tuple(index.count(m) for m in range(n))] for index in indices]
    return directions, weights, np.array(places, np.int64)


def _of_sum(n: int, d: int) -> list[tuple[int, ...]]:
    """All vectors of n whole numbers from 0 with the sum d."""
    chosen = itertools.combinations_with_replacement(range(n), d)
    return [tuple(c.count(m) for m in range(n)) for c in chosen]


def _weights(i: Any, directions: Any, d: int) -> Any:
    """For one entry i the weight of each direction j: eq. 13 of the paper.

    The sum over 0 < k <= i of (-1)^|i - k| binom(i, k) binom(d k / |k|, j) (|k| / d)^d.
    """
    total = np.zeros(len(directions))
    for k in itertools.product(*[range(m + 1) for m in i]):
        size = sum(k)
        if size:
            sign = (-1) ** (d - size)
            ways = math.prod(math.comb(int(a), b) for a, b in zip(i, k, strict=True))
            z = d * np.array(k) / size
            total += sign * ways * (size / d) ** d * _binomials(z, directions)
    return total


def _binomials(z: Any, j: Any) -> Any:
    """The product over m of binom(z[m], j[., m]), z real."""
    total = np.ones(len(j))
    for m in range(j.shape[1]):
        highest = int(j[:, m].max(initial=0))
        row = np.cumprod([1.0, *((z[m] - a) / (a + 1) for a in range(highest))])
        total *= row[j[:, m].astype(int)]
    return total
