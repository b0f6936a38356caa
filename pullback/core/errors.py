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


class JAXTypeError(TypeError):
    """What the errors about traced values in a wrong place have in common: catch it for them all.

    Nothing raises this class itself.
    """


class JAXIndexError(IndexError):
    """What the errors about traced values in an index have in common.

    Nothing raises this class itself.
    """


class JaxRuntimeError(RuntimeError):
    """A program failed while it ran: above all, a Python function that it calls back raised.

    The text has the class and the message of what was raised; `__cause__` is that exception.
    """


class ProcessLostError(JaxRuntimeError):
    """Another of the processes that work together is gone: killed, cut off, or ended by an error.

    What needs that process cannot be done; what this one has by itself is as it was.
    """


class InconclusiveDimensionOperation(Exception):
    """A comparison of symbolic sizes that is true of some sizes only. Here all sizes are known, so
    nothing raises it; it is there to be caught.
    """


class ConcretizationTypeError(JAXTypeError):
    """A traced value was used where a value known now is needed.

    Under `jit`, and inside `scan`, `while_loop` and `cond`, a function is run once with stand-ins
    that have a shape and a dtype but no value.
    """


class TracerBoolConversionError(ConcretizationTypeError):
    """A traced value was used as a Python bool: in `if`, `while`, `and`, `or`, `not`, `assert`."""


class TracerArrayConversionError(JAXTypeError):
    """A traced value was handed to NumPy, which needs an array with values."""


class TracerIntegerConversionError(JAXTypeError):
    """A traced value was used as a Python index or size."""


class NonConcreteBooleanIndexError(JAXIndexError):
    """A traced boolean mask was used as an index: the result's shape would depend on its values."""


class UnexpectedTracerError(JAXTypeError):
    """A traced value was used after the transformation that made it had ended."""


class KeyReuseError(JAXTypeError):
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


hidden_paths: list[str] = []
"""The files of libraries that want the user's own line named instead of theirs."""


def user_line() -> str:
    """`file:line (function)` of the innermost frame that is the user's.

    Pullback's own frames never are; those of libraries in `hidden_paths` only if all others are.
    """
    hidden = ""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        filename = frame.f_code.co_filename
        if not filename.startswith((_PACKAGE, "<pullback")):
            line = f"{filename}:{frame.f_lineno} ({frame.f_code.co_qualname})"
            if not filename.startswith(tuple(hidden_paths)):
                return line
            hidden = hidden or line
        frame = frame.f_back
    return hidden


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the user's line: that of the innermost frame that is not Pullback's own."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
