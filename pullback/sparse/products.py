"""The numbers of a sparse Jacobian or Hessian: one product for each colour, all in one vmap."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import numpy as jnp
from ..api import jvp, vjp
from ..core.types import ArrayType
from ..experimental.sparse.linalg import coo_solve
from ..jit import jit
from ..mapping import vmap
from .colouring import Colouring
from .structure import FlatFunction, gradient_of
from .symmetric import Recovery


@dataclass(frozen=True)
class Numbers:
    """The arrays that a compiled product takes besides those of the call: colours and places."""

    columns: Any
    rows: Any
    recovery: Recovery


def jacobian_numbers(
    call: FlatFunction, colouring: Colouring, types: Sequence[ArrayType], dtype: Any
) -> Callable[..., Any]:
    """A compiled function of (chosen, others, numbers): the stored elements, and auxiliary data."""
    fwd, rev = colouring.column_colours, colouring.row_colours
    shapes_out = [t.shape for t in types]

    def stored(chosen: Any, others: Any, columns: Any, rows: Any, places: Any) -> Any:
        shapes_in = [x.shape for x in chosen]
        aux = None
        parts = []

        def value(*xs: Any) -> Any:
            outs, extra = call.results(xs, others)
            return outs, extra

        if fwd:
            seeds = _seeds(columns, fwd, chosen, shapes_in)
            out, aux = vmap(
                lambda *ts: jvp(value, tuple(chosen), ts, has_aux=True)[1:], out_axes=(0, None)
            )(*seeds)
            parts.append(_side_by_side(out, fwd, dtype))
        if rev:
            outs, pull, aux = vjp(value, *chosen, has_aux=True)
            back = vmap(lambda *cts: pull(list(cts)))(*_seeds(rows, rev, outs, shapes_out))
            parts.append(_side_by_side(back, rev, dtype))
        flat = parts[0] if len(parts) == 1 else jnp.concatenate(parts)
        return flat.at[places].get(mode="promise_in_bounds"), aux

    return jit(stored)  # type: ignore[no-any-return]


def hessian_numbers(
    call: FlatFunction, colouring: Colouring, dtype: Any, holomorphic: bool, substitution: bool
) -> Callable[..., Any]:
    """The same for a Hessian; with `substitution` the elements solve a triangular system."""
    count = colouring.column_colours
    gradient = gradient_of(call, holomorphic)

    def stored(chosen: Any, others: Any, columns: Any, places: Any, system: Any, half: Any) -> Any:
        def of_chosen(*xs: Any) -> Any:
            found = gradient(xs, others)
            return found if call.has_aux else (found, None)

        seeds = _seeds(columns, count, chosen, [x.shape for x in chosen])
        out, aux = vmap(
            lambda *ts: jvp(of_chosen, tuple(chosen), ts, has_aux=True)[1:], out_axes=(0, None)
        )(*seeds)
        data = _side_by_side(out, count, dtype).at[places].get(mode="promise_in_bounds")
        if substitution:
            ones = jnp.ones(system[0].shape, data.dtype)
            data = coo_solve(ones, system[0], system[1], data[:, None])[:, 0]
            data = data.at[half].get(mode="promise_in_bounds")
        return data, aux

    return jit(stored)  # type: ignore[no-any-return]


def _seeds(colours: Any, count: int, like: Sequence[Any], shapes: Any) -> list[Any]:
    """For each colour the sum of its unit vectors, cut into the leaves of a tree."""
    table = colours[None, :] == jnp.arange(count, dtype=colours.dtype)[:, None]
    found, start = [], 0
    for x, shape in zip(like, shapes, strict=True):
        size = int(np.prod(shape))
        part = table[:, start : start + size].astype(x.dtype)
        found.append(part.reshape((count, *shape)))
        start += size
    return found


def _side_by_side(leaves: Sequence[Any], count: int, dtype: Any) -> Any:
    """The products with all colours, flattened: (colour, element)."""
    flat = [y.astype(dtype).reshape((count, -1 if y.size else 0)) for y in leaves]
    whole = flat[0] if len(flat) == 1 else jnp.concatenate(flat, axis=1)
    return whole.reshape(-1)


__all__ = ["hessian_numbers", "jacobian_numbers"]
