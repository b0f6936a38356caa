"""Donation: which arguments give their memory to results, and how the text of a module says it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...core.array import HostArray
from ...core.errors import JaxRuntimeError, error, warn
from .arrays import XlaArray
from .text import Word


@dataclass(frozen=True)
class Donation:
    """What becomes of the donated arguments of one program.

    Attributes:
      marks: for each argument the attributes that say it.
      given: the numbers of those whose memory is taken: their arrays are gone after a call.
      unused: those that fit no result: they stay.
    """

    marks: tuple[str, ...]
    given: tuple[int, ...]
    unused: tuple[int, ...]

    def warn(self, types: Sequence[Any]) -> None:
        """A UserWarning if there are such arguments."""
        if self.unused:
            names = ", ".join(types[i].str_short() for i in self.unused)
            warn(
                f"Some donated buffers were not usable: {names}. No result that is left has as "
                "many bytes; these arrays stay as they are."
            )


def planned(
    donated: Sequence[bool],
    results: int,
    alike: Callable[[int, int], bool],
    fits: Callable[[int, int], bool],
) -> Donation:
    """Which argument gives its memory to which result: first those alike, then those as large.

    Args:
      donated: for each argument whether it may.
      results: how many results there are.
      alike: whether argument i and result k are of one type, and spread in the same way.
      fits: whether they may have as many bytes on a device.
    """
    asked = [i for i, d in enumerate(donated) if d]
    free = list(range(results))

    def pairs(arguments: Sequence[int], match: Callable[[int, int], bool]) -> dict[int, int]:
        """For those of the arguments that match one, the first such result that is free."""
        found = {}
        for i in arguments:
            k = next((k for k in free if match(i, k)), None)
            if k is not None:
                free.remove(k)
                found[i] = k
        return found

    same = pairs(asked, alike)
    large = pairs([i for i in asked if i not in same], fits)
    marks = [""] * len(donated)
    for i, k in same.items():
        marks[i] = f"tf.aliasing_output = {k} : i32"
    for i in large:  # which result is XLA's choice
        marks[i] = "jax.buffer_donor = true"
    given = tuple(i for i in asked if marks[i])
    return Donation(tuple(marks), given, tuple(i for i in asked if not marks[i]))


NONE = Donation((), (), ())


def planned_alone(donated: Sequence[bool], args: Sequence[Word], outs: Sequence[Word]) -> Donation:
    """The same on one device, for arguments and results of the text."""
    forms, wanted = [[(w.shape, w.dtype) for w in words] for words in (args, outs)]
    sizes, needed = [[size_of(w) for w in words] for words in (args, outs)]
    donated = donated or [False] * len(args)
    return planned(
        donated,
        len(outs),
        lambda i, k: forms[i] == wanted[k],
        lambda i, k: sizes[i] == needed[k],
    )


def size_of(word: Word) -> int:
    """The bytes of an array of the text."""
    return math.prod(word.shape) * np.dtype(word.dtype).itemsize


def check_once(
    buffers: Sequence[Any], given: Sequence[int], arrays: Sequence[Any], fixed: Sequence[Any] = ()
) -> None:
    """Raise JaxRuntimeError if a buffer that is donated is an argument twice, or one of `fixed`."""
    for i in given:
        if any(buffers[i] is c for c in fixed):
            raise error(
                JaxRuntimeError,
                "Attempt to donate an array that the function closes over.",
                got=f"array {i} among the arguments, {arrays[i].aval.str_short()}",
                fix="donate a copy, such as x.copy(), or do not donate it.",
            )
    places: dict[int, int] = {}
    for i, b in enumerate(buffers):
        first = places.setdefault(id(b), i)
        if first == i or not {first, i} & set(given):
            continue
        twice = {first, i} <= set(given)
        what = "donate the same buffer twice" if twice else "use a buffer that is donated as well"
        raise error(
            JaxRuntimeError,
            f"Attempt to {what} in one call.",
            got=f"arrays {first} and {i} among the arguments are the same array, "
            f"{arrays[i].aval.str_short()}",
            fix="donate a copy, such as x.copy(), or do not donate it.",
        )


def let_go(arrays: Sequence[Any], given: Sequence[int]) -> None:
    """Views of NumPy's that the arrays themselves keep would hold their memory: drop them."""
    for i in given:
        x = arrays[i]
        if isinstance(x, XlaArray):
            x._host = None


def delete(arrays: Sequence[Any], given: Sequence[int]) -> None:
    """The donated arrays are gone."""
    for i in given:
        if isinstance(arrays[i], HostArray):
            arrays[i].delete()


__all__ = [
    "NONE",
    "Donation",
    "check_once",
    "delete",
    "let_go",
    "planned",
    "planned_alone",
    "size_of",
]
