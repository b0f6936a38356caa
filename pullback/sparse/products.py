"""The numbers of a sparse Jacobian or Hessian: one product for each colour, all in one vmap."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import numpy as jnp
from ..api import jvp, vjp
from ..core import dtypes
from ..core.array import HostArray
from ..core.lazy import lazy
from ..core.types import ArrayType
from ..experimental.sparse.linalg import coo_solve
from ..jit import jit
from ..mapping import vmap
from .colouring import Colouring, scipy_sparse
from .structure import FlatFunction, gradient_of
from .symmetric import Recovery

scipy_linalg = lazy("scipy.sparse.linalg")


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
    call: FlatFunction, colouring: Colouring, dtype: Any, holomorphic: bool
) -> Callable[..., Any]:
    """The same for a Hessian, of (chosen, others, colours, places); see `Recovery`."""
    count = colouring.column_colours
    gradient = gradient_of(call, holomorphic)

    def stored(chosen: Any, others: Any, columns: Any, places: Any) -> Any:
        def of_chosen(*xs: Any) -> Any:
            found = gradient(xs, others)
            return found if call.has_aux else (found, None)

        seeds = _seeds(columns, count, chosen, [x.shape for x in chosen])
        out, aux = vmap(
            lambda *ts: jvp(of_chosen, tuple(chosen), ts, has_aux=True)[1:], out_axes=(0, None)
        )(*seeds)
        return _side_by_side(out, count, dtype).at[places].get(mode="promise_in_bounds"), aux

    return jit(stored)  # type: ignore[no-any-return]


class Substitution:
    """The solution of the triangular system of an acyclic colouring, factored once."""

    def __init__(self, recovery: Recovery) -> None:
        assert recovery.system is not None
        self.rows, self.columns = (HostArray(np.asarray(a, np.int32)) for a in recovery.system)
        self.half = HostArray(np.asarray(recovery.half, np.int32))
        size = len(recovery.places)
        ones = np.ones(len(recovery.system[0]))
        matrix = scipy_sparse.csc_array((ones, recovery.system), shape=(size, size))
        self.factors = scipy_linalg.splu(matrix, permc_spec="NATURAL", diag_pivot_thresh=0.0)

    def __call__(self, data: Any) -> Any:
        """The elements of the matrix from the sums that stand in the products."""
        if not isinstance(data, HostArray):
            ones = jnp.ones(self.rows.shape, data.dtype)
            found = coo_solve(ones, self.rows, self.columns, data[:, None])[:, 0]
            return found.at[self.half].get(mode="promise_in_bounds")
        sums = np.asarray(data)
        if dtypes.kind(sums.dtype) == "c":
            found = self.factors.solve(sums.real.astype(float))
            found = found + 1j * self.factors.solve(sums.imag.astype(float))
        else:
            found = self.factors.solve(sums.astype(float))
        return HostArray(found[self.half._value].astype(sums.dtype))


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


__all__ = ["Substitution", "hessian_numbers", "jacobian_numbers"]
