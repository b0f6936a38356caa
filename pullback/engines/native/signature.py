"""What a program is, as text: equal texts mean programs of which the same code is made.

A program has such a text if it consists of nothing but this package's own operations, arrays,
numbers and names; functions, and operations that somebody else has defined, have none.

Of large constants the text has only the types. The code reads them where they are, so that it is
the same for all values.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from ...core.array import HostArray
from ...core.program import Atom, ClosedProgram, Literal, Program, Var
from ...core.types import ArrayType

LARGE = 1 << 10
"""Elements above which a constant is large."""
MOST_BYTES = 1 << 20
"""Of all other arrays in a program together."""

_OURS = ("pullback.ops.", "pullback.control.")


class Unnamed(Exception):
    """The program has something that has no text."""


def signature(closed: ClosedProgram) -> tuple[str, list[np.ndarray]]:
    """The text of a program, and its large constants, each once.

    Raises:
      Unnamed: it has none.
    """
    writer = _Writer()
    writer.closed(closed)
    return "\n".join(writer.parts), writer.large


class _Writer:
    """Texts are joined by line ends, and strings among them are quoted: no two things are alike."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.bytes = 0
        self.large: list[np.ndarray] = []

    def closed(self, closed: ClosedProgram) -> None:
        """A program with its constants."""
        for const in closed.consts:
            if type(const) is not HostArray:
                raise Unnamed(type(const))
            self.constant(np.asarray(const._value))
        self.program(closed.program)

    def constant(self, x: np.ndarray) -> None:
        """A constant: one that is copied before the code sees it is not large."""
        if x.size <= LARGE or not x.flags.c_contiguous or x.dtype.hasobject:
            self.array(x)
            return
        # Which of them are one array is part of the text: code may read it through one of them.
        same = (k for k, y in enumerate(self.large) if y.ctypes.data == x.ctypes.data)
        number = next(same, len(self.large))
        if number == len(self.large):
            self.large.append(x)
        self.parts.append(f"{x.dtype!r}{x.shape} large {number}")

    def program(self, program: Program) -> None:
        """Equations; variables are numbered in the order in which they come."""
        numbers: dict[Atom, str] = {}
        parts, types = self.parts, _types

        def atom(a: Any) -> str:
            if type(a) is Literal:
                value = a.val
                return f"{types.get(a.aval) or _type(a.aval)}={value.tobytes().hex()}"
            return numbers[a]

        def bind(v: Var) -> str:
            numbers[v] = f"%{len(numbers)}"
            return types.get(v.aval) or _type(v.aval)

        ins = [bind(v) for v in program.constvars], [bind(v) for v in program.invars]
        parts.append(f"{{{ins}")
        for eq in program.eqns:
            primitive = _primitives.get(type(eq.primitive)) or _primitive(type(eq.primitive))
            args = " ".join([atom(a) for a in eq.invars])
            outs = " ".join([bind(v) for v in eq.outvars])
            parts.append(f"{outs}={primitive} {args}")
            for key, value in eq.params.items():
                parts.append(key)
                self.value(value)
        parts.append(f"{[atom(a) for a in program.outvars]}}}")

    def value(self, x: Any) -> None:
        """Anything that a parameter of an equation may be."""
        write = _VALUES.get(type(x))
        if write is not None:
            write(self, x)
        elif isinstance(x, np.dtype):
            self.parts.append(f"dtype {x!r}")
        elif isinstance(x, enum.Enum):
            self.parts.append(f"{_class(type(x))}.{x.name}")
        elif isinstance(x, np.generic):
            self.array(np.asarray(x))
        elif isinstance(x, type) and issubclass(x, np.generic):
            self.parts.append(f"class {x.__module__}.{x.__qualname__}")
        elif isinstance(x, tuple) and hasattr(x, "_fields"):
            self.parts.append(_class(type(x)))
            self.row(x)
        elif is_dataclass(x) and not isinstance(x, type):
            self.parts.append(_class(type(x)))
            self.row([getattr(x, f.name) for f in fields(x)])
        else:
            raise Unnamed(type(x))

    def row(self, x: Any) -> None:
        """A tuple or list."""
        self.parts.append(f"({len(x)}")
        for item in x:
            self.value(item)

    def array(self, x: np.ndarray) -> None:
        """An array with its elements."""
        self.bytes += x.nbytes
        if x.dtype.hasobject or self.bytes > MOST_BYTES:
            raise Unnamed("arrays among the parameters")
        self.parts.append(f"{x.dtype!r}{x.shape}={x.tobytes().hex()}")

    def plain(self, x: Any) -> None:
        """What its `repr` says all about."""
        self.parts.append(repr(x))


def _class(kind: type) -> str:
    """The name of a class of this package."""
    if not kind.__module__.startswith("pullback."):
        raise Unnamed(kind)
    return f"class {kind.__module__}.{kind.__qualname__}"


_types: dict[ArrayType, str] = {}
_primitives: dict[type, str] = {}


def _type(aval: ArrayType) -> str:
    # A dtype's name, but of structured ones all of it.
    name = aval.dtype.name if aval.dtype.names is None else repr(aval.dtype)
    found = _types[aval] = f"{name}{list(aval.shape)}{'w' if aval.weak_type else ''}"
    return found


def _primitive(kind: type) -> str:
    name = f"{kind.__module__}.{kind.__qualname__}"
    if not kind.__module__.startswith(_OURS) or "<locals>" in name:
        raise Unnamed(kind)
    _primitives[kind] = name
    return name


_VALUES: dict[type, Callable[[_Writer, Any], None]] = {
    int: _Writer.plain,
    bool: _Writer.plain,
    float: _Writer.plain,
    complex: _Writer.plain,
    str: _Writer.plain,
    bytes: _Writer.plain,
    type(None): _Writer.plain,
    tuple: _Writer.row,
    list: _Writer.row,
    np.ndarray: _Writer.array,
    HostArray: lambda writer, x: writer.array(np.asarray(x._value)),
    ClosedProgram: _Writer.closed,
    Program: _Writer.program,
    ArrayType: lambda writer, x: writer.parts.append(_type(x)),
}

__all__ = ["LARGE", "MOST_BYTES", "Unnamed", "signature"]
