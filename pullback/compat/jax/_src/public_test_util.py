"""`jax._src.public_test_util`: the comparisons of tests, with JAX's tolerances."""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback import tree_util as _trees
from pullback.core import dtypes as _dtypes
from pullback.test_util import check_grads as check_grads
from pullback.test_util import check_jvp as check_jvp
from pullback.test_util import check_vjp as check_vjp

_BY_BITS = {8: 1e-1, 16: 1e-3, 32: 1e-6, 64: 1e-15}


def default_tolerance(dtype: Any) -> float:
    """How far results of this dtype may be apart: 0 for whole numbers."""
    if not _dtypes.is_inexact(dtype):
        return 0.0
    real = _dtypes.real_dtype(dtype)
    return 1e-2 if real.name == "bfloat16" else _BY_BITS[8 * real.itemsize]


def tolerance(dtype: Any, given: Any = None) -> float:
    """`given`, which may be a dict of dtypes, or else the default."""
    if given is None or isinstance(given, dict):
        by_dtype = {np.dtype(key): value for key, value in (given or {}).items()}
        return by_dtype.get(np.dtype(dtype), default_tolerance(dtype))
    return given


def check_close(xs: Any, ys: Any, atol: Any = None, rtol: Any = None, err_msg: str = "") -> None:
    """Raise AssertionError unless the leaves of two trees are near to each other.

    Tolerances grow with the number of elements, as in JAX.
    """

    def compare(x: Any, y: Any) -> None:
        x, y = np.asarray(x), np.asarray(y)
        assert x.shape == y.shape, f"shapes {x.shape} and {y.shape} {err_msg}"
        absolute, relative = (
            x.size * max(tolerance(x.dtype, given), tolerance(y.dtype, given))
            for given in (atol, rtol)
        )
        x, y = (v.astype(np.float64) if v.dtype.name == "bfloat16" else v for v in (x, y))
        np.testing.assert_allclose(x, y, atol=absolute, rtol=relative, err_msg=err_msg)

    _trees.tree_map(compare, xs, ys)
