"""StableHLO as text: a module of functions, and the operations of one function after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from .types import dense, tensor


class Word(NamedTuple):
    """A value in the text: its name, its shape and the dtype of its elements."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def type(self) -> str:
        """As StableHLO writes it."""
        return tensor(self.shape, self.dtype)

    @property
    def rank(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))


Result = tuple[tuple[int, ...], Any]
"""Shape and dtype of a result."""


class Code:
    """The operations of a function, in order; regions inside them see the names around."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.count = 0
        self.makers: dict[str, str] = {}
        """By the name of a result, the operation that it is of."""
        self._constants: list[dict[Any, Word]] = [{}]

    def name(self) -> str:
        """A name that no other value of the function has."""
        self.count += 1
        return f"%{self.count}"

    def op(
        self,
        name: str,
        operands: Sequence[Word],
        shape: Sequence[int],
        dtype: Any,
        attributes: str = "",
        regions: str = "",
        dialect: str = "stablehlo",
    ) -> Word:
        """An operation with one result."""
        out = Word(self.name(), tuple(shape), np.dtype(dtype))
        self.makers[out.name] = name
        self._write(f"{out.name} = ", f"{dialect}.{name}", operands, attributes, regions, out.type)
        return out

    def ops(
        self,
        name: str,
        operands: Sequence[Word],
        results: Sequence[Result],
        attributes: str = "",
        regions: str = "",
        extra: str = "",
        dialect: str = "stablehlo",
    ) -> list[Word]:
        """An operation with any number of results."""
        stem = self.name()
        many = len(results) != 1
        outs = [
            Word(f"{stem}#{i}" if many else stem, tuple(s), np.dtype(d))
            for i, (s, d) in enumerate(results)
        ]
        head = f"{stem}:{len(results)} = " if len(results) > 1 else f"{stem} = " if results else ""
        types = ", ".join(o.type for o in outs)
        self._write(
            head, f"{dialect}.{name}", operands, attributes, regions, f"({types})", extra=extra
        )
        return outs

    def _write(
        self,
        head: str,
        name: str,
        operands: Sequence[Word],
        attributes: str,
        regions: str,
        result: str,
        extra: str = "",
    ) -> None:
        names = ", ".join(w.name for w in operands)
        types = ", ".join(w.type for w in operands)
        held = f" <{{{attributes}}}>" if attributes else ""
        inside = f" ({regions})" if regions else ""
        also = f" {{{extra}}}" if extra else ""
        self.lines.append(f'{head}"{name}"({names}){held}{inside}{also} : ({types}) -> {result}')

    def constant(self, value: Any, dtype: Any = None) -> Word:
        """A constant; equal ones are written once where they are seen."""
        array = np.asarray(value) if dtype is None else np.asarray(value).astype(dtype)
        key = (array.shape, array.dtype, array.tobytes()) if array.size <= 64 else None
        for known in self._constants:
            if key in known:
                return known[key]
        out = Word(self.name(), array.shape, array.dtype)
        self.lines.append(
            f'{out.name} = "stablehlo.constant"() <{{value = {dense(array)} : {out.type}}}> : '
            f"() -> {out.type}"
        )
        if key is not None:
            self._constants[-1][key] = out
        return out

    @contextmanager
    def region(self, parameters: Sequence[Result]) -> Iterator[Region]:
        """What is written meanwhile goes into a region with these parameters."""
        words = [Word(self.name(), tuple(s), np.dtype(d)) for s, d in parameters]
        found = Region(words)
        outer, self.lines = self.lines, found.lines
        self._constants.append({})
        try:
            yield found
        finally:
            self._constants.pop()
            self.lines = outer

    def give(self, words: Sequence[Word], kind: str = "stablehlo.return") -> None:
        """The end of a region or function: what it gives."""
        types = ", ".join(w.type for w in words)
        self.lines.append(f'"{kind}"({", ".join(w.name for w in words)}) : ({types}) -> ()')


class Region:
    """A block inside an operation: its parameters and its text."""

    def __init__(self, parameters: list[Word]) -> None:
        self.parameters = parameters
        self.lines: list[str] = []

    @property
    def text(self) -> str:
        """The block in braces."""
        shown = ", ".join(f"{w.name}: {w.type}" for w in self.parameters)
        head = f"^bb0({shown}):\n" if self.parameters else ""
        return "{\n" + head + "\n".join(self.lines) + "\n}"


__all__ = ["Code", "Region", "Result", "Word"]
