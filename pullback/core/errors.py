"""Every error a user can meet, and the one form in which all of them speak.

A message has four parts: what is wrong in the user's words, what was got, where (the user's own
line) and what to do about it.
"""

from __future__ import annotations

import os
import sys
import warnings
from types import FrameType
from typing import TypeVar

E = TypeVar("E", bound=BaseException)

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


class ConcretizationTypeError(TypeError):
    """A traced value was used where a value known now is needed.

    Under `jit`, and inside `scan`, `while_loop` and `cond`, a function is run once with stand-ins
    that have a shape and a dtype but no value.
    """


class TracerBoolConversionError(ConcretizationTypeError):
    """A traced value was used as a Python bool: in `if`, `while`, `and`, `or`, `not`, `assert`."""


class TracerArrayConversionError(TypeError):
    """A traced value was handed to NumPy, which needs an array with values."""


class TracerIntegerConversionError(TypeError):
    """A traced value was used as a Python index or size."""


class NonConcreteBooleanIndexError(IndexError):
    """A traced boolean mask was used as an index: the result's shape would depend on its values."""


class UnexpectedTracerError(RuntimeError):
    """A traced value was used after the transformation that made it had ended."""


class KeyReuseError(RuntimeError):
    """A random key was used twice."""


class MissingRule(NotImplementedError):
    """A primitive was put through a transformation that it has no rule for."""


class ProgramError(TypeError):
    """A program is not well typed: a mistake of Pullback or of a user-defined primitive."""


def explain(what: str, *, got: str = "", where: str = "", fix: str = "") -> str:
    """The text of a message: what, then `Got:`, `Where:` and `Fix:`, each on its own line."""
    parts = (("Got", got), ("Where", where), ("Fix", fix))
    return "\n".join([what, *(f"  {name}: {text}" for name, text in parts if text)])


def error(kind: type[E], what: str, *, got: str = "", where: str | None = None, fix: str = "") -> E:
    """An exception of class `kind` in four parts. `where` is the user's line unless it is given."""
    return kind(explain(what, got=got, where=user_line() if where is None else where, fix=fix))


def noted_error(kind: type[E], what: str, *, got: str = "", fix: str = "") -> E:
    """An error whose `str` is exactly `what`, as documented; the other parts follow as notes."""
    exception = kind(what)
    for name, text in (("Got", got), ("Where", user_line()), ("Fix", fix)):
        if text:
            exception.add_note(f"  {name}: {text}")
    return exception


def user_line() -> str:
    """`file:line (function)` of the innermost frame that is not Pullback's own."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        filename = frame.f_code.co_filename
        if not filename.startswith(_PACKAGE) and not filename.startswith("<pullback"):
            return f"{filename}:{frame.f_lineno} ({frame.f_code.co_qualname})"
        frame = frame.f_back
    return ""


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the user's line: that of the innermost frame that is not Pullback's own."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
