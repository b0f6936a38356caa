"""Functions of compiled libraries: registered with XLA, called outside of programs, and what they
are given beside arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from ...core.program import ClosedProgram, trace_program
from ...core.types import array_type
from .adapter_foreign import register, register_partitionable, register_type
from .program import compile_program
from .types import dense, element, quoted, tensor


def run(primitive: Any, values: Sequence[Any], params: Mapping[str, Any]) -> list[Any]:
    """The results of one call, as NumPy holds them."""
    types = tuple(array_type(np.shape(x), x.dtype) for x in values)
    compiled = _compiled(primitive, types, tuple(params.items()))
    return list(compiled(*values))


@lru_cache(512)
def _compiled(primitive: Any, types: Any, params: Any) -> Any:
    closed: ClosedProgram = trace_program(lambda *xs: primitive(*xs, **dict(params)), types)
    return compile_program(closed)


def forget() -> None:
    """Forget the programs of single calls."""
    _compiled.cache_clear()


def attribute(value: Any) -> str:
    """What a function is given by name, as MLIR's text.

    Raises:
      TypeError: there is no form for it.
    """
    match value:
        case bool() | np.bool_():
            return "true" if value else "false"
        case int():
            return _number(np.int64(value))
        case float():
            return _number(np.float64(value))
        case str() | bytes():
            return quoted(value)
        case np.ndarray():
            if value.dtype.kind not in "c":
                return f"{dense(value)} : {tensor(value.shape, value.dtype)}"
        case np.generic():
            if value.dtype.kind != "c":
                return _number(value)
        case np.dtype():
            return element(value)
        case Mapping():
            return "{" + ", ".join(f"{quoted(k)} = {attribute(v)}" for k, v in value.items()) + "}"
        case list() | tuple():
            return f"[{', '.join(map(attribute, value))}]"
    raise TypeError


def _number(value: np.generic) -> str:
    if value.dtype.kind in "iu":
        return f"{value} : {element(value.dtype)}"
    bits = int.from_bytes(value.tobytes()[::-1], "big")
    return f"0x{bits:0{2 * value.dtype.itemsize}X} : {element(value.dtype)}"


__all__ = ["attribute", "register", "register_partitionable", "register_type", "run"]
