"""Functions for all sparse formats: todense, empty, eye."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from ...checks import input_array
from ...core.errors import error
from ...core.primitive import CORE
from ...core.types import ArrayType
from ...ops.structural import LinearPrimitive
from .base import JAXSparse
from .bcoo.array import BCOO
from .bcsr import BCSR
from .coo import COO
from .csr import CSC, CSR


class Todense(LinearPrimitive):
    """The same array: `sparsify` makes a sparse one dense here."""

    def typing(self, x: Any) -> ArrayType:
        return x  # type: ignore[no-any-return]

    def eval(self, x: Any) -> Any:
        return x

    def transpose(self, ct: Any, x: Any) -> list[Any]:
        return [ct]

    def vmap(self, size: int, args: Any, axes: Any) -> Any:
        return todense_p(args[0]), axes[0]

    lower = CORE


todense_p = Todense()


def todense(arr: Any) -> Any:
    """The dense array of a sparse one; a dense array is given back.

    Inside a function given to `sparsify`, its arguments are made dense from here on.

    Example:
      >>> from pullback.experimental import sparse
      >>> print(sparse.todense(sparse.eye(2)).tolist())
      [[1.0, 0.0], [0.0, 1.0]]
    """
    return arr.todense() if isinstance(arr, JAXSparse) else todense_p(input_array(arr, "todense"))


_FORMATS: dict[str, Any] = {"bcsr": BCSR, "bcoo": BCOO, "coo": COO, "csr": CSR, "csc": CSC}


def _format(name: str) -> Any:
    if name not in _FORMATS:
        raise error(
            ValueError,
            f"sparse_format={name!r} not recognized; must be one of {list(_FORMATS)}.",
            got=f"sparse_format={name!r}",
            fix="leave it out to get a BCOO array.",
        )
    return _FORMATS[name]


def empty(
    shape: Sequence[int],
    dtype: Any = None,
    index_dtype: Any = "int32",
    sparse_format: str = "bcoo",
    **kwds: Any,
) -> JAXSparse:
    """A sparse array of zeros, with nothing stored.

    Args:
      shape: the shape.
      dtype: the dtype of the elements, float by default.
      index_dtype: the dtype of the coordinates.
      sparse_format: "bcoo", "bcsr", "coo", "csr" or "csc".
      **kwds: `n_batch`, `n_dense` and `nse` for "bcoo" and "bcsr".

    Raises:
      ValueError: there is no such format, or the layout does not fit the shape.

    Example:
      >>> from pullback.experimental import sparse
      >>> print(sparse.empty((2, 2)).todense())
      [[0. 0.]
       [0. 0.]]
    """
    kind = _format(sparse_format)
    return kind._empty(tuple(shape), dtype=dtype, index_dtype=index_dtype, **kwds)  # type: ignore[no-any-return]


def eye(
    N: int,
    M: int | None = None,
    k: int = 0,
    dtype: Any = None,
    index_dtype: Any = "int32",
    sparse_format: str = "bcoo",
    **kwds: Any,
) -> JAXSparse:
    """A sparse matrix with ones on its `k`-th diagonal.

    Args:
      N: the number of rows.
      M: the number of columns, `N` by default.
      k: the diagonal: above the main one if positive.
      dtype: the dtype of the elements, float by default.
      index_dtype: the dtype of the coordinates.
      sparse_format: "bcoo", "bcsr", "coo", "csr" or "csc".
      **kwds: `n_batch` and `n_dense` for "bcoo".

    Example:
      >>> from pullback.experimental import sparse
      >>> print(sparse.eye(2).todense())
      [[1. 0.]
       [0. 1.]]
    """
    kind = _format(sparse_format)
    rows = operator.index(N)
    cols = rows if M is None else operator.index(M)
    return kind._eye(  # type: ignore[no-any-return]
        rows, cols, operator.index(k), dtype=dtype, index_dtype=index_dtype, **kwds
    )
