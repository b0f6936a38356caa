"""Operations that only keep an order: the program's own order is kept in any case."""

from __future__ import annotations

from typing import Any

from ..core.primitive import CORE, NOT_LINEAR, Primitive
from ..core.types import ArrayType


class Ordering(Primitive, family=True):
    """No result: what it stands for is no array."""

    multiple_results = True
    effects = True

    def typing(self, *types: Any, **params: Any) -> list[ArrayType]:
        return []

    def eval(self, *xs: Any, **params: Any) -> list[Any]:
        return []

    def jvp(self, primals: Any, tangents: Any, out: Any, **params: Any) -> list[Any]:
        return []

    def vmap(self, size: int, args: Any, axes: Any, **params: Any) -> Any:
        return self(*args, **params), []

    transpose = NOT_LINEAR
    lower = CORE


class CreateToken(Ordering):
    """A beginning of an order"""


create_token = CreateToken()


class AfterAll(Ordering):
    """After several orders"""


after_all = AfterAll()


class DceSink(Ordering):
    """Its operands are used: what computes them stays in the program"""


dce_sink = DceSink()
