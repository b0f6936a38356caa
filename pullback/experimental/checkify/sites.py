"""The kinds of errors, and the places in a program where one of them can be found."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...core.types import ArrayType


class JaxRuntimeError(ValueError):
    """A check failed. `__cause__` has the class of its kind."""


class JaxException(Exception):
    """What the kinds of errors have in common."""


class FailedCheckError(JaxException):
    """The condition of a `check` does not hold."""


class NaNError(JaxException):
    """An operation gave a NaN."""


class OOBError(JaxException):
    """An index is out of bounds."""


class DivisionByZeroError(JaxException):
    """A divisor is zero."""


class BatchedError(JaxException):
    """Errors of several elements of a mapped function."""


ErrorCategory = type[JaxException]

Key = tuple[ArrayType, ...]
"""The types of what the message of an error needs to know: its payload."""

_codes = itertools.count(1)


class Site:
    """A place where an error can be found. Its code is its own for the whole process."""

    __slots__ = ("code", "key", "kind", "line", "text")

    def __init__(
        self, kind: ErrorCategory, key: Key, text: Callable[..., str], line: str = ""
    ) -> None:
        self.kind, self.key, self.text, self.line = kind, key, text, line
        self.code = next(_codes)

    def exception(self, payload: Sequence[Any]) -> JaxException:
        """The error, with the user's line as a note."""
        made = self.kind(self.text(*payload))
        if self.line:
            made.add_note(f"  Where: {self.line}")
        return made

    def at(self, line: str) -> Site:
        """The same place; with `line` as the user's line, if it was not known."""
        if self.line or not line:
            return self
        new = Site(self.kind, self.key, self.text, line)
        new.code = self.code
        return new

    def __repr__(self) -> str:
        return f"{self.kind.__name__}({self.code})"


Sites = Mapping[int, Site]


__all__ = [
    "BatchedError",
    "DivisionByZeroError",
    "ErrorCategory",
    "FailedCheckError",
    "JaxException",
    "JaxRuntimeError",
    "Key",
    "NaNError",
    "OOBError",
    "Site",
    "Sites",
]
