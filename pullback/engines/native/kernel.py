"""A kernel: what the native engine makes of a program."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ...core.types import ArrayType
from . import machine


@dataclass
class Kernel:
    """Machine code `i32 (ptr in, ptr out, ptr arena)`, and what a caller must know of it.

    `in` and `out` point to arrays of pointers to the data of inputs and results: C-contiguous,
    aligned to their items, results apart from each other and from the inputs. `arena` points to
    so many bytes of scratch memory, aligned to 64. The code returns 0, or what went wrong.
    """

    address: int
    arena: int
    in_types: list[ArrayType]
    out_types: list[ArrayType]
    releases_gil: bool = False
    """Whether it runs long enough for other threads of Python to run meanwhile."""
    report: Any = ""
    """What was fused, and which memory is used: `str` of it is shown by `explain`."""
    written: Callable[[], str] = field(default=str, repr=False)
    """Gives the LLVM IR."""
    keeps: Sequence[Any] = field(default=(), repr=False)
    """What must live as long as the code: the loaded object, what its symbols stand for."""
    constants: Sequence[np.ndarray] = field(default=(), repr=False)
    """What the symbols `const_0`, `const_1`, ... are the data of."""
    errors: dict[int, str] = field(default_factory=dict)
    """What the codes other than 0 mean."""

    @cached_property
    def text(self) -> str:
        """The LLVM IR."""
        return self.written()

    @cached_property
    def assembly(self) -> str:
        """The code in the language of the machine, to read."""
        return machine.assembly(self.text)


__all__ = ["Kernel"]
