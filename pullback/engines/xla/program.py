"""A program becomes an executable of XLA."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...core.program import ClosedProgram
from ...core.types import ArrayType
from ...transforms.simplify import simplify
from . import adapter
from .lowering import Lowering, plain, types_of
from .rules import RULES, host
from .text import Word
from .types import Unsupported


@dataclass
class Module:
    """A program as text, and what belongs to it."""

    text: str
    constants: list[np.ndarray]
    callbacks: list[Any]
    out_types: list[tuple[tuple[int, ...], Any]] = field(default_factory=list)


def write(closed: ClosedProgram, platform: str = "cpu") -> Module:
    """The text of a program.

    Raises:
      Unsupported: the program has something that this engine has no code for.
    """
    simple = simplify(closed)
    low = Lowering(RULES, host.by_definition, platform)
    args = [
        Word(f"%a{i}", shape, np.dtype(dtype))
        for i, (shape, dtype) in enumerate(types_of(simple.in_avals))
    ]
    outs = [_readable(low, w) for w in low.closed(simple, args)]
    low.code.give(outs, "func.return")
    given = [Word(f"%c{i}", c.shape, c.dtype) for i, c in enumerate(low.constants)]
    head = ", ".join(f"{w.name}: {w.type}" for w in (*given, *args))
    results = ", ".join(w.type for w in outs)
    body = "\n".join(low.code.lines)
    text = (
        "module @program attributes {mhlo.num_partitions = 1 : i32, mhlo.num_replicas = 1 : i32}"
        f" {{\nfunc.func public @main({head}) -> ({results}) {{\n{body}\n}}\n}}\n"
    )
    return Module(text, low.constants, low.callbacks, [(w.shape, w.dtype) for w in outs])


def _readable(low: Lowering, word: Word) -> Word:
    """Results of less than a byte go out as bytes."""
    if word.dtype.name not in adapter.PACKED:
        return word
    wide = np.float32 if word.dtype.name.startswith("float") else np.int8
    return low.code.op("convert", [word], word.shape, wide)


def compile_program(closed: ClosedProgram) -> Callable[..., tuple[Any, ...]]:
    """A function from the values of the inputs to those of the outputs, as NumPy holds them.

    Raises:
      Unsupported: the program has something that this engine has no code for.
    """
    module = write(closed)
    client = adapter.cpu()
    executable = client.compile(module.text, module.out_types, module.callbacks)
    constants = [client.put(np.ascontiguousarray(c)) for c in module.constants]
    in_types, out_types = list(closed.in_avals), list(closed.out_avals)

    def run(*values: Any) -> tuple[Any, ...]:
        given = [client.put(_ready(x, t)) for x, t in zip(values, in_types, strict=True)]
        found = executable([*constants, *given])
        return tuple([_value(adapter.get(y), t) for y, t in zip(found, out_types, strict=True)])

    run.module = module  # type: ignore[attr-defined]
    return run


def _ready(x: Any, t: ArrayType) -> np.ndarray:
    array = np.asarray(x)
    if array.dtype != t.dtype or array.shape != t.shape:
        raise TypeError(f"a compiled program for {t} was given {array.dtype}{list(array.shape)}.")
    return plain(array)


def _value(array: np.ndarray, t: ArrayType) -> Any:
    """The result as this type says."""
    if array.dtype != t.dtype:
        if t.dtype.names is None:  # 4-bit numbers
            array = array.astype(t.dtype)
        elif t.dtype.itemsize:  # random keys
            array = array.view(t.dtype)
        else:
            array = np.zeros(t.shape, t.dtype)
    return array if array.ndim or array.dtype.names else array[()]


__all__ = ["Module", "Unsupported", "compile_program", "write"]
