"""What reductions combine with: the rows of a table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...ops.comparison import and_, max_, min_, or_, xor
from ...ops.elementwise import add, mul
from .kinds import FLOAT32, Kind, Word, constant, rounded
from .operations import OPERATIONS
from .site import Site
from .text import Code


@dataclass(frozen=True)
class Reduction:
    """One way to combine elements.

    Attributes:
      primitive: the operation on two elements.
      first: the number that changes nothing, by kind.
    """

    primitive: Any
    first: Callable[[Kind], Any]

    def kind(self, kind: Kind) -> Kind:
        """What elements of `kind` are combined in: 16-bit floats in 32 bits."""
        return FLOAT32 if kind.narrow else kind

    def identity(self, kind: Kind, width: int) -> Word:
        """The value that changes nothing."""
        return constant(self.first(kind), self.kind(kind), width)

    def combine(self, code: Code, kind: Kind, width: int, a: Word, b: Word) -> Word:
        """Two words of the kind that `kind` gives as one."""
        site = Site(code, (kind, kind), kind, width)
        return OPERATIONS[self.primitive].emit(site, a, b)

    def finish(self, code: Code, kind: Kind, width: int, word: Word) -> Word:
        """The result as an element of `kind`."""
        return rounded(code, kind, word, width) if kind.narrow else word


def _lowest(kind: Kind) -> Any:
    if kind.family == "c":  # they are in order by real part, then by imaginary part
        return complex(-np.inf, -np.inf)
    if kind.family == "f":
        return -np.inf
    return False if kind.family == "b" else np.iinfo(kind.dtype).min


def _highest(kind: Kind) -> Any:
    if kind.family == "c":
        return complex(np.inf, np.inf)
    if kind.family == "f":
        return np.inf
    return True if kind.family == "b" else np.iinfo(kind.dtype).max


REDUCTIONS = {
    # 0 and not -0: the sum of no elements, and NumPy's of one element -0.0 begins with it too.
    "sum": Reduction(add, lambda kind: 0),
    "prod": Reduction(mul, lambda kind: 1),
    "max": Reduction(max_, _lowest),
    "min": Reduction(min_, _highest),
    "and": Reduction(and_, lambda kind: True if kind.family == "b" else -1),
    "or": Reduction(or_, lambda kind: 0),
    "xor": Reduction(xor, lambda kind: 0),
}
