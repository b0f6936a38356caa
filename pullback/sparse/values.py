"""What is known of a value while index sets go through a program: its sets, perhaps its number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..control.callbacks import Callback
from ..core.program import Program, has_effects, sub_programs
from ..core.trace import quiet
from ..core.types import ArrayType
from .index_sets import IndexSets, one_table

SMALL = 4096
"""Known values of up to so many elements are computed at once, larger ones when a rule asks."""


class Value:
    """A value of a program.

    Args:
      aval: its type.
      sets: the inputs that each element depends on; None if it depends on none.
      number: the array itself, or a function that computes it; None if it is not known.
    """

    __slots__ = ("_number", "aval", "sets")

    def __init__(self, aval: ArrayType, sets: IndexSets | None = None, number: Any = None) -> None:
        self.aval, self.sets, self._number = aval, sets, number

    @property
    def is_known(self) -> bool:
        """Whether the array can be had."""
        return self._number is not None

    @property
    def number(self) -> Any:
        """The array, computed now if it was not before."""
        if callable(self._number):
            self._number = self._number()
        return self._number

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        return self.aval.shape


class Call:
    """An equation with the values that go in: what a rule is given.

    A rule gives the index sets of each result, None for a result that depends on no input.
    """

    __slots__ = ("ins", "outs", "params", "primitive")

    def __init__(self, primitive: Any, params: Any, ins: Any, outs: Sequence[ArrayType]) -> None:
        self.primitive, self.params = primitive, params
        self.ins: list[Value] = list(ins)
        self.outs = list(outs)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the first result."""
        return self.outs[0].shape

    def same_table(self, which: Sequence[int] | None = None) -> list[IndexSets]:
        """The sets of operands as rows of one table; empty for those that have none."""
        ins = self.ins if which is None else [self.ins[i] for i in which]
        return one_table([v.sets for v in ins], [v.shape for v in ins])


Rule = Callable[[Call], list[IndexSets | None]]


def evaluated(primitive: Any, params: Any, ins: Sequence[Value], outs: Any) -> list[Value]:
    """The results of an equation whose operands depend on no input: known, if these all are."""
    if not all(v.is_known for v in ins) or not _is_pure(primitive, params):
        return [Value(t) for t in outs]
    made: list[Any] = []

    def results() -> list[Any]:
        if not made:
            with quiet():
                found = primitive.eval(*[v.number for v in ins], **params)
            made.append(list(found) if primitive.multiple_results else [found])
        return made[0]  # type: ignore[no-any-return]

    values = [Value(t, None, _one_of(results, i)) for i, t in enumerate(outs)]
    if all(t.size <= SMALL for t in outs) and all(v.aval.size <= SMALL for v in ins):
        for v in values:  # a long chain of such values would else be a deep recursion
            _ = v.number
    return values


def _one_of(results: Callable[[], list[Any]], i: int) -> Callable[[], Any]:
    return lambda: np.asarray(results()[i])


def _is_pure(primitive: Any, params: Any) -> bool:
    if not primitive.foldable or getattr(primitive, "effects", False):
        return False
    if isinstance(primitive, Callback):
        return False
    return not any(_has_callback(p) for p in sub_programs(params))


def _has_callback(program: Program) -> bool:
    return any(
        isinstance(eq.primitive, Callback)
        or has_effects(eq)
        or any(_has_callback(p) for p in sub_programs(eq.params))
        for eq in program.eqns
    )


__all__ = ["Call", "Rule", "Value", "evaluated"]
