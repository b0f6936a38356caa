"""Where an elementwise operation is written: the code, the kinds of its words, their width."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .kinds import Kind, Word
from .lanes import FloatLanes
from .text import Code


@dataclass(frozen=True)
class Site:
    """One place in the code.

    Attributes:
      inputs: the kinds of the operands.
      out: the kind of the result.
      width: lanes of every word; 0: scalars.
    """

    code: Code
    inputs: tuple[Kind, ...]
    out: Kind
    width: int

    @property
    def floats(self) -> FloatLanes:
        """Arithmetic on operands of the first kind: floats, or parts of complex numbers."""
        return FloatLanes(self.code, self.inputs[0].bits, self.width)

    @property
    def mask(self) -> str:
        """The LLVM type of a word of bools."""
        return f"<{self.width} x i1>" if self.width else "i1"


@dataclass(frozen=True)
class Operation:
    """How one elementwise primitive is written.

    Attributes:
      emit: `emit(site, *words, **params)` appends the code, and gives the word of the result.
        It raises Unsupported for kinds or parameters it has no code for.
      cost: about how many times the work of an addition it is per element: decides whether a
        value is computed again for each of its users, or kept in memory.
    """

    emit: Callable[..., Word]
    cost: int = 1


Operations = dict[Any, Operation]
"""By primitive."""
