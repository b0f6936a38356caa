"""Calls of BLAS and LAPACK, one for each matrix of a stack."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np

from ..core import dtypes
from ..core.lazy import lazy

blas = lazy("scipy.linalg.blas")
lapack = lazy("scipy.linalg.lapack")

_LETTERS = {"f": "s", "d": "d", "F": "c", "D": "z"}
_COMPLEX_NAMES = {"orgqr": "ungqr", "ormqr": "unmqr", "orghr": "unghr", "sytrd": "hetrd"}


def lapack_dtype(dtype: np.dtype) -> np.dtype:
    """The dtype to compute in: LAPACK knows no floats of half width."""
    return dtype if dtype.char in "fdFD" else dtypes.float32


@lru_cache(maxsize=256)
def routine(name: str, dtype: np.dtype) -> Any:
    """The BLAS or LAPACK function of this name for this dtype.

    Those of orthogonal and symmetric matrices have other names for complex ones.
    """
    if dtype.kind == "c":
        name = _COMPLEX_NAMES.get(name, name)
    library = blas if name == "trsm" else lapack
    return getattr(library, _LETTERS[dtype.char] + name)


def each(function: Any, *xs: Any, ranks: tuple[int, ...] | None = None) -> list[Any]:
    """`function`, which takes matrices and gives a list of arrays, of each matrix of the stacks.

    Of an operand of rank 1 in `ranks`, the elements of the stack are vectors.
    """
    ranks = ranks or (2,) * len(xs)
    dtype = xs[0].dtype
    if dtype.char not in "fdFD":
        wide = each(function, *[x.astype(lapack_dtype(dtype)) for x in xs], ranks=ranks)
        return [y.astype(dtype) if y.dtype.kind in "fc" else y for y in wide]
    if xs[0].ndim == ranks[0]:
        return function(*xs)
    shape = xs[0].shape[: -ranks[0]]
    count = math.prod(shape)
    # Of an empty stack the result's shape is found from a matrix that is not there.
    stacks = []
    for x, rank in zip(xs, ranks, strict=True):
        core = x.shape[x.ndim - rank :]
        stacks.append(x.reshape(count, *core) if count else np.zeros((1, *core), x.dtype))
    found = [function(*matrices) for matrices in zip(*stacks, strict=True)]
    outs = [np.stack(ys)[:count] for ys in zip(*found, strict=True)]
    return [y.reshape(*shape, *y.shape[1:]) for y in outs]


def without_nan(x: Any) -> tuple[Any, Any]:
    """The matrices, those that hold nan or infinity replaced by zeros; and which these are.

    LAPACK may not converge for them, and then NumPy raises for the whole stack. If there are none,
    the second result is None: the sum of all numbers tells, in 1.5 us.
    """
    total = np.add.reduce(x, None)
    if total - total == 0:
        return x, None
    broken = ~np.isfinite(x).all((-2, -1))
    return np.where(broken[..., None, None], x.dtype.type(0), x), broken
