"""The exact diagonal of a Hessian, from as few products as its pattern allows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import checks, lax, sparse
from .. import numpy as jnp
from ..core.array import HostArray, Tracer
from ..core.errors import error
from ..core.pytree import flatten
from ..flatten_util import ravel_pytree
from ..mapping import vmap
from ..sparse.colouring import graph_of, smallest_last
from .products import Operator, hvp


def hessian_diagonal(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    *,
    structure: str = "auto",
    batch_size: int = 64,
) -> Callable[..., Any]:
    """The diagonal of the Hessian of scalar-valued `fun`, exactly.

    Args:
      fun, argnums, has_aux: as for `hvp`.
      structure: ``'auto'``: the pattern of the Hessian is found from the program, and its rows are
        coloured so that no two of one colour have a nonzero in common places: element i of the
        product with the sum of the unit vectors of a colour is then the diagonal element i. A
        separable function takes one product, a chain two, a grid two. (It is less than sparse
        Hessians take, which need all elements apart: here only neighbours must differ in colour.)
        ``'dense'``: one product for each row, and no search for a pattern.
      batch_size: how many products are made together; memory grows with it.

    Returns:
      A function of the same arguments. Its result has the structure, shapes and dtypes of the
      arguments named by `argnums`; with `has_aux` it is ``(diagonal, aux)``.

    Raises:
      ValueError: another structure, or a batch size below 1.
      TypeError: as for `hvp`.

    For a large Hessian without structure, `curvature.diagonal(hvp(fun)(x), key, products)` is an
    estimate from fewer products.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback import curvature
      >>> f = lambda x: jnp.sum(x ** 3) + x[0] * x[1]
      >>> print(curvature.hessian_diagonal(f)(jnp.array([1.0, 2.0])))
      [ 6. 12.]
    """
    checks.callable_(fun, "hessian_diagonal")
    checks.positions(argnums)
    _check_options(structure, batch_size)

    def diagonal_at(*args: Any, **kwargs: Any) -> Any:
        found = hvp(fun, argnums, has_aux)(*args, **kwargs)
        operator, *aux = found if has_aux else (found,)
        colours = np.arange(operator.size)
        if structure == "auto" and operator.size > 1:
            colours = _colours(fun, argnums, has_aux, args, kwargs, operator.size)
        out = _from_products(operator, colours, batch_size)
        return (out, *aux) if has_aux else out

    return checks.named_like(diagonal_at, fun, "hessian_diagonal")  # type: ignore[no-any-return]


def _check_options(structure: Any, batch_size: Any) -> None:
    if structure not in ("auto", "dense"):
        raise error(
            ValueError,
            "hessian_diagonal knows the structures 'auto' and 'dense'.",
            got=f"structure={structure!r}",
            fix="choose one of them.",
        )
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise error(
            ValueError,
            "hessian_diagonal makes at least one product at a time.",
            got=f"batch_size={batch_size!r}",
            fix="give a whole number from 1 on.",
        )


def _colours(
    fun: Any, argnums: Any, has_aux: bool, args: Any, kwargs: Any, size: int
) -> np.ndarray:
    """A colour for each row; two rows with a nonzero where they meet have different ones."""

    def value(*xs: Any) -> Any:
        out = fun(*xs, **kwargs)
        return out[0] if has_aux else out

    leaves, tree = flatten(args)
    # Only types count, and a traced value has no more.
    given = [HostArray(np.zeros(x.shape, x.dtype)) if isinstance(x, Tracer) else x for x in leaves]
    try:
        found = sparse.pattern(value, argnums, of="hessian")(*tree.unflatten(given))
    except ValueError:  # too many nonzeros to write them down
        return np.arange(size)
    return coloured_apart(found)


def coloured_apart(pattern: Any) -> np.ndarray:
    """Colours of the rows of a symmetric pattern: neighbours differ. Smallest last, first fit."""
    starts, edges = graph_of(pattern)
    colours = np.full(len(starts) - 1, -1)
    for v in smallest_last(starts, edges):
        taken = {int(colours[w]) for w in edges[starts[v] : starts[v + 1]]}
        colours[v] = next(c for c in range(len(taken) + 1) if c not in taken)
    return colours


def _from_products(operator: Operator, colours: np.ndarray, batch_size: int) -> Any:
    """The diagonal from one product with each colour, `batch_size` of them together."""
    like = operator.like
    leaves, tree = flatten(like)
    zero, unravel = ravel_pytree(tree.unflatten([jnp.zeros(x.shape, x.dtype) for x in leaves]))
    of_row = jnp.asarray(colours)
    count = int(colours.max(initial=-1)) + 1
    together = min(batch_size, max(count, 1))

    def one(colour: Any) -> Any:
        mine = of_row == colour
        product = operator(unravel(mine.astype(zero.dtype)))
        return jnp.where(mine, ravel_pytree(product)[0], 0)

    def some(total: Any, numbers: Any) -> Any:
        return total + jnp.sum(vmap(one)(numbers), 0), None

    steps = -(-count // together)
    numbers = np.full(steps * together, -1, colours.dtype)  # -1 is no row's colour
    numbers[:count] = np.arange(count)
    batches = jnp.asarray(numbers.reshape(steps, together))
    if steps == 1:
        return unravel(some(zero, batches[0])[0])
    return unravel(lax.scan(some, zero, batches)[0])


__all__ = ["coloured_apart", "hessian_diagonal"]
