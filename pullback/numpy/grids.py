"""Arrays written as indices: mgrid, ogrid, r_, c_, s_ and index_exp."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.array import Array, Tracer
from ..core.errors import ConcretizationTypeError, error
from ..ops.stacking import stack
from ..ops.structural import transpose
from .arguments import expand
from .conversion import asarray
from .creation import arange, linspace, meshgrid
from .joining import concatenate
from .promotion import promote_dtypes

s_ = np.s_
index_exp = np.index_exp


class _Grid:
    """`jnp.mgrid[0:3, 0:1:5j]`: see `meshgrid`; an imaginary step is a number of points."""

    def __init__(self, name: str, sparse: bool) -> None:
        self.name, self.sparse = name, sparse

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            return _line(key, self.name)
        lines = [_line(k, self.name) for k in key]
        if not lines:
            return [] if self.sparse else arange(0)
        grid = meshgrid(*promote_dtypes(self.name, *lines), indexing="ij", sparse=self.sparse)
        return grid if self.sparse else stack(*grid, axis=0)


mgrid = _Grid("mgrid", sparse=False)
ogrid = _Grid("ogrid", sparse=True)


def _line(s: slice, name: str) -> Array:
    for part in (s.start, s.stop, s.step):
        if isinstance(part, Tracer) and part.known() is None:
            raise error(
                ConcretizationTypeError,
                f"a slice of jnp.{name} decides a shape, so its parts must be known while tracing.",
                got=part.describe(),
                fix="make them static (static_argnums of jit).",
            )
    start = 0 if s.start is None else s.start
    step = 1 if s.step is None else s.step
    if isinstance(step, complex):
        return linspace(start, s.stop, int(abs(step)))
    return arange(start, s.stop, step)


class _Concatenation:
    """`jnp.r_[1:4, 0, x]` and `jnp.c_[x, y]`: arrays and slices, joined."""

    def __init__(self, name: str, axis: int, ndmin: int, trans1d: int) -> None:
        self.name, self.axis, self.ndmin, self.trans1d = name, axis, ndmin, trans1d

    def __getitem__(self, key: Any) -> Array:
        items: list[Any] = list(key) if isinstance(key, tuple) else [key]
        axis, ndmin, trans1d, matrix = self.axis, self.ndmin, self.trans1d, -1
        if isinstance(items[0], str):
            directive, *items = items
            if directive in ("r", "c"):
                matrix = 0 if directive == "r" else 1
            else:
                axis, ndmin, trans1d = self._numbers(directive)
        parts = [self._part(item, ndmin, trans1d) for item in items]
        out = concatenate(parts, axis=axis)
        return expand(out, (matrix,)) if matrix != -1 and out.ndim == 1 else out

    def _numbers(self, directive: str) -> list[int]:
        try:
            given = [int(part) for part in directive.split(",")]
        except ValueError as cause:
            raise error(
                ValueError,
                f"could not understand directive {directive!r}.",
                got=f"jnp.{self.name}[{directive!r}, ...]",
                fix='give up to three integers, such as "0,2".',
            ) from cause
        return [*given, *[self.axis, self.ndmin, self.trans1d][len(given) :]][:3]

    def _part(self, item: Any, ndmin: int, trans1d: int) -> Any:
        if isinstance(item, str):
            raise error(
                ValueError,
                "string directive must be placed at the beginning.",
                got=f"{item!r}",
                fix=f'write jnp.{self.name}["0,2", x, y].',
            )
        x = _line(item, self.name) if isinstance(item, slice) else asarray(item)
        rank = 0 if isinstance(item, slice) else x.ndim
        if x.ndim < ndmin:
            x = expand(x, range(ndmin - x.ndim))
        if trans1d != -1 and ndmin - rank > 0:
            # The axes of the item start at `trans1d`, those that were added follow them.
            shift = ndmin - abs(ndmin + trans1d + 1) % ndmin
            order = list(range(ndmin))
            x = transpose(x, permutation=tuple(order[shift:] + order[:shift]))
        return x

    def __len__(self) -> int:
        return 0


r_ = _Concatenation("r_", axis=0, ndmin=1, trans1d=-1)
c_ = _Concatenation("c_", axis=-1, ndmin=2, trans1d=0)
