"""Looking for NaN and infinity: which operation made the first, on which line, from which values.

It costs nothing until a setting first asks for it. Then the class of the outermost trace changes,
programs keep the user's lines, and what is run again of a program knows where it stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from . import dtypes
from .array import HostArray
from .errors import error, user_line
from .settings import values, watchers
from .trace import EVAL, EvalTrace, quiet, state, type_of, values_are_checked

_SHOWN = 3
"""Offending elements that a message shows."""
_SETTINGS = ("jax_debug_nans", "jax_debug_infs", "pullback_source_lines")


class Origin(NamedTuple):
    """Where an operation stands, other than on the line that runs."""

    line: str
    """`file:line (function)`"""
    backward: bool = False
    """Whether it belongs to the backward pass; the line is that of the forward operation."""
    of: str = ""
    """The operation whose derivative it belongs to."""

    def __str__(self) -> str:
        return self.line


def here() -> Origin:
    """Where the operation that goes on stands."""
    return state.origin or Origin(user_line())


class Kept:
    """Whether anything has asked for lines yet: until then nobody looks for settings."""

    __slots__ = ("lines",)

    def __init__(self) -> None:
        self.lines = False


kept = Kept()


def lines_wanted() -> bool:
    """Whether programs and tapes keep the user's lines in this thread."""
    return bool(values.pullback_source_lines) or values_are_checked()


@contextmanager
def standing_at(origin: Origin | None) -> Iterator[None]:
    """What is done while the `with` lasts stands there; None: as it is."""
    before = state.origin
    if origin is not None:
        state.origin = origin
    try:
        yield
    finally:
        state.origin = before


class CheckingTrace(EvalTrace):
    """As EvalTrace, and raises at the first NaN or infinity where the settings ask for it."""

    __slots__ = ()

    def process(self, primitive: Any, args: Any, params: Any) -> Any:
        """Evaluate, then look at the results."""
        out = super().process(primitive, args, params)
        if values_are_checked() and not state.searching:
            for y in out if primitive.multiple_results else (out,):
                found = offence(y)
                if found is not None:
                    if primitive.multiple_results and not is_shared(y):
                        search_inside(primitive, args, params)
                    raise offending(primitive, args, y, found)
        return out


# ---- looking


def offence(y: Any) -> tuple[str, Any] | None:
    """What is wrong with a result, "nan" or "inf", and in which elements; None: nothing.

    Of an array that other processes have parts of, each process looks at its own.
    """
    if is_shared(y):
        parts = map(offence, [y.piece(k) for k in range(len(y.team.here))])
        return next((found for found in parts if found is not None), None)
    value = y._value
    if not dtypes.is_inexact(value.dtype) or _is_finite(value):
        return None
    value = np.asarray(value)
    with quiet():
        for setting, test, name in (
            (values.jax_debug_nans, np.isnan, "nan"),
            (values.jax_debug_infs, np.isinf, "inf"),
        ):
            if setting:
                bad = test(value)
                if bad.any():
                    return name, bad
    return None


def is_shared(x: Any) -> bool:
    """Whether parts of an array belong to other processes, and cannot be seen here."""
    if not getattr(x, "elsewhere", False):
        return False
    return not (x._sharding.is_fully_addressable or x._sharding.is_fully_replicated)


def _is_finite(value: Any) -> bool:
    """Whether all elements are certainly finite, by one fast pass: the sum of their squares is."""
    if value.dtype.char not in "fdFD":
        return False
    with quiet():
        flat = value.reshape(-1)
        total = np.dot(flat, flat)
        return bool(total - total == 0)


searches: dict[str, Callable[[Sequence[Any], dict[str, Any]], None]] = {}
"""For primitives over programs, by name: look inside of them, given (args, params).

A search ends with the error for the first operation that spoils a result, or finds nothing. The one
of the name "" is for all others."""


def search_inside(primitive: Any, args: Sequence[Any], params: dict[str, Any]) -> None:
    """Raise the error for the operation inside of `primitive` that spoils its results."""
    search = searches.get(primitive.name) or searches.get("")
    if search is not None:
        with standing_at(state.origin):
            search(args, {**params, "primitive": primitive})


@contextmanager
def inside_of(what: str) -> Iterator[None]:
    """Errors found while the `with` lasts say that they were found in `what`."""
    before = state.rounds
    state.rounds = (*before, what)
    try:
        yield
    finally:
        state.rounds = before


# ---- saying


def offending(primitive: Any, args: Sequence[Any], y: HostArray, found: Any) -> FloatingPointError:
    """The error for a result with NaNs or infinities."""
    name, bad = found
    origin = here()
    passing = " in the backward pass" if origin.backward else ""
    line = origin.line
    if origin.backward or origin.of not in ("", primitive.name):
        line += f", in the derivative of {origin.of or 'this line'}"
    where = [line, *reversed(state.rounds)]
    return error(
        FloatingPointError,
        f"invalid value ({name}) encountered in {primitive.name}{passing}.",
        got=_values_in_words(primitive, args, y, name, bad),
        where=", in ".join(where),
        fix=_advice(args, origin),
    )


def _advice(args: Sequence[Any], origin: Origin) -> str:
    if origin.backward or origin.of:
        return (
            "look at the values that went in; for the derivative of a branch not taken, use "
            "strong_zero(), or choose safe inputs with jnp.where before the operation."
        )
    if any(_flaws(a) for a in args):
        return (
            "a value that went in was not finite already: see where it comes from, with "
            "debug_infs() or by a look at the arguments."
        )
    return (
        "look at the values that went in; for a branch not taken, choose safe inputs with "
        "jnp.where before the operation."
    )


def _values_in_words(primitive: Any, args: Sequence[Any], y: Any, name: str, bad: Any) -> str:
    operands = ", ".join(_operand(a) for a in args)
    if not np.ndim(bad):
        return f"{primitive.name} of {operands}" if operands else primitive.name
    if is_shared(y):
        return f"{primitive.name} of {operands}; {name} in a part of {y.aval.str_short()}"
    count = int(bad.sum())
    places = np.argwhere(bad)[:_SHOWN]
    elementwise = hasattr(primitive, "jvp_rules")
    shown = [
        _place(p) + (f" {primitive.name}({_elements(args, p)})" if elementwise else "")
        for p in places
    ]
    more = ", ..." if count > len(places) else ""
    return (
        f"{primitive.name} of {operands}; {name} in {count} of the {bad.size} elements of "
        f"{y.aval.str_short()}: {', '.join(shown)}{more}"
    )


def _place(index: Any) -> str:
    return "[" + ", ".join(map(str, index)) + "]"


def _elements(args: Sequence[Any], place: Any) -> str:
    found = []
    for a in args:
        value = np.asarray(_value_of(a))
        found.append(str(value[tuple(place)] if value.ndim else value))
    return ", ".join(found)


def _value_of(a: Any) -> Any:
    return a._value if isinstance(a, HostArray) else a


def _operand(a: Any) -> str:
    """An operand's type, and its value or what its values are like."""
    aval = type_of(a)
    if is_shared(a):
        return aval.str_short()
    value = np.asarray(_value_of(a))
    if not value.ndim:
        return f"{aval.str_short()} {value}"
    flaws = _flaws(a)
    return aval.str_short() + (f" with {flaws}" if flaws else "")


def _flaws(a: Any) -> str:
    """`2 nan (first at [0, 1])` of an operand."""
    if is_shared(a):
        return ""
    value = np.asarray(_value_of(a))
    if not dtypes.is_inexact(value.dtype):
        return ""
    found = []
    for test, name in ((np.isnan, "nan"), (np.isinf, "inf")):
        bad = test(value)
        count = int(bad.sum())
        if count:
            place = f" (first at {_place(np.argwhere(bad)[0])})" if value.ndim else ""
            found.append(f"{count} {name}{place}")
    return " and ".join(found)


# ---- beginning to look


def _begin(name: str, value: Any) -> None:
    if name in _SETTINGS and value:
        kept.lines = True
        if name != "pullback_source_lines":
            EVAL.__class__ = CheckingTrace


watchers.append(_begin)
for _setting in _SETTINGS:
    _begin(_setting, getattr(values, _setting))


__all__ = [
    "CheckingTrace",
    "Origin",
    "here",
    "inside_of",
    "is_shared",
    "kept",
    "lines_wanted",
    "offence",
    "offending",
    "search_inside",
    "searches",
    "standing_at",
]
