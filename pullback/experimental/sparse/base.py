"""What all sparse arrays have in common, and what goes wrong with them."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ...core import dtypes
from ...core.array import Tracer
from ...core.errors import ConcretizationTypeError, error


class SparseEfficiencyError(ValueError):
    """A layout was asked for that would store much more than the array has."""


class SparseEfficiencyWarning(UserWarning):
    """A layout stores much more than the array has."""


class CuSparseEfficiencyWarning(SparseEfficiencyWarning):
    """JAX warns so where a GPU library cannot be used. Pullback never does."""


class SparseInfo(NamedTuple):
    """What is known of a sparse array besides its buffers."""

    shape: tuple[int, ...]
    indices_sorted: bool = False
    unique_indices: bool = False


class JAXSparse:
    """Base of the sparse arrays: a shape, and buffers of stored elements and of their places."""

    data: Any
    shape: tuple[int, ...]
    __hash__: Any = None
    __array_ufunc__: Any = None  # NumPy's operators then leave the work to ours
    __array_priority__ = 100

    def __init__(self, args: Any, *, shape: Sequence[int]) -> None:
        self.shape = tuple(map(operator.index, shape))

    @property
    def dtype(self) -> np.dtype:
        """The type of the elements."""
        return self.data.dtype  # type: ignore[no-any-return]

    @property
    def nse(self) -> int:
        """The number of stored elements, of each batch."""
        raise NotImplementedError

    @property
    def size(self) -> int:
        """The number of elements, stored or not."""
        return math.prod(self.shape)

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    def __len__(self) -> int:
        if not self.shape:
            raise error(
                TypeError,
                "len() of unsized object",
                got=repr(self),
                fix="an array without axes has no length.",
            )
        return self.shape[0]

    def describe(self) -> str:
        """What stands in the brackets of the repr."""
        return f"{dtypes.long_name(self.dtype)}{list(self.shape)}, nse={self.nse}"

    def __repr__(self) -> str:
        name = type(self).__name__
        try:
            shown = f"{name}({self.describe()})"
        except (AttributeError, TypeError, ValueError, IndexError):
            shown = f"{name}(<invalid>)"  # a tree's structure, with something else for leaves
        if isinstance(self.data, Tracer):
            return f"{type(self.data).__name__}[{shown}]"
        return shown

    @property
    def T(self) -> Any:
        """The transpose."""
        return self.transpose()

    def transpose(self, axes: Sequence[int] | None = None) -> Any:
        """The same array with its axes in another order: reversed, or as `axes` says."""
        raise NotImplementedError

    def todense(self) -> Any:
        """The array with all its zeros."""
        raise NotImplementedError

    def tree_flatten(self) -> tuple[tuple[Any, ...], Any]:
        """The buffers, the stored elements first, and what is static."""
        raise NotImplementedError

    def block_until_ready(self) -> Any:
        """The array itself, when it is computed."""
        for buffer in self.tree_flatten()[0]:
            buffer.block_until_ready()
        return self


def missing_method(cls: type, name: str) -> NotImplementedError:
    """The error of an operation that a sparse format does not have."""
    return error(
        NotImplementedError,
        f"{cls.__name__}.{name} does not exist.",
        got=f"an operation on {cls.__name__}",
        fix="use BCOO, which has the most operations, or .todense().",
    )


def concrete_size(n: Any, what: str) -> int:
    """The number `n` of elements to store, which decides shapes."""
    if isinstance(n, Tracer) and n.known() is None:
        raise error(
            ConcretizationTypeError,
            f"{what} needs to know how many elements to store (nse): it decides a shape, and the "
            "values that decide it are not known while tracing.",
            got=n.describe(),
            fix="pass nse=, a Python integer.",
        )
    return operator.index(n)


__all__ = [
    "CuSparseEfficiencyWarning",
    "JAXSparse",
    "SparseEfficiencyError",
    "SparseEfficiencyWarning",
    "SparseInfo",
    "concrete_size",
    "missing_method",
]
