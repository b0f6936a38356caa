"""Random keys: two words of 32 bits, here one of 64."""

from __future__ import annotations

from typing import Any

from ....core.program import Equation
from ....ops.random_bits import random_unwrap, random_wrap
from ..lowering import Lowering, Rule
from ..text import Word
from ..types import Unsupported


def _wrap(low: Lowering, eq: Equation, args: list[Word]) -> list[Word]:
    (words,) = args
    if words.shape[-1:] != (2,):
        raise Unsupported("random keys of other than two words")
    return [low.code.op("bitcast_convert", [words], *low.result(eq))]


def _unwrap(low: Lowering, eq: Equation, args: list[Word]) -> list[Word]:
    return [low.code.op("bitcast_convert", args, *low.result(eq))]


RULES: dict[Any, Rule] = {random_wrap: _wrap, random_unwrap: _unwrap}

__all__ = ["RULES"]
