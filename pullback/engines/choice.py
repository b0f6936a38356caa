"""Which engine runs a program: decided from the program alone, unless the user says which."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import util
from typing import Any

from ..core.errors import error
from ..core.lazy import lazy
from ..core.program import ClosedProgram
from . import by_itself
from . import numpy as numpy_engine
from .by_itself import jaxlib_is_installed

native = lazy("pullback.engines.native.program")
stored = lazy("pullback.engines.native.stored")
calling = lazy("pullback.engines.native.calling")
checked = lazy("pullback.engines.native.checked")
xla = lazy("pullback.engines.xla.program")

AUTO = "auto"
CHECKED = "checked"
"""As "auto", and what the native engine runs is watched (`native/checked.py`): slow, for tests."""
HOST_ENGINES = frozenset(["native", "numpy"])
"""Those that compute in the memory of the process, wherever the arguments are."""

NATIVE_BY_ITSELF = True
"""Whether "auto" takes the native engine for the programs that it has code for."""

_lock = threading.RLock()
"""One program is compiled at a time, and once."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What `jit` says of how a program is compiled: only the XLA engine heeds it."""

    donated: tuple[bool, ...] = ()
    """For each argument whether its memory may be used for results; empty: for none."""
    options: tuple[tuple[str, str, Any], ...] = ()
    """Of the compiler: name, type and value of each."""

    @property
    def chosen(self) -> dict[str, Any]:
        """The options by their names."""
        return {name: value for name, _, value in self.options}


PLAIN = Terms()


def terms_of(donated: Sequence[bool], options: tuple[tuple[str, str, Any], ...]) -> Terms:
    """`Terms`, and PLAIN itself where nothing is said."""
    if not any(donated):
        donated = ()
    return Terms(tuple(donated), options) if donated or options else PLAIN


def options_of(given: Mapping[str, Any] | None) -> tuple[tuple[str, str, Any], ...]:
    """Name, type and value of each option of XLA's compiler, in order.

    Raises:
      TypeError: it is no dict of names and strings, truth values or numbers.
    """
    if given is None:
        return ()
    if not isinstance(given, Mapping) or not all(
        isinstance(k, str) and isinstance(v, (str, bool, int, float)) for k, v in given.items()
    ):
        raise error(
            TypeError,
            "compiler_options is a dict of the names of XLA's flags, and their values.",
            got=f"{given!r:.80}",
            fix="write compiler_options={'xla_cpu_enable_fast_math': True}: a string, a truth "
            "value or a number for each name.",
        )
    return tuple((k, type(given[k]).__name__, given[k]) for k in sorted(given))


def key_of(wish: str, terms: Terms) -> Any:
    """What a compiled program is kept by."""
    if wish == "xla":
        return wish if terms is PLAIN else (wish, terms)
    return (wish, terms.options) if wish == AUTO and terms.options else wish


@dataclass(frozen=True, slots=True)
class Choice:
    """A program, compiled by one engine."""

    engine: str
    reason: str
    run: Callable[..., tuple[Any, ...]]
    """From the values of the inputs to those of the outputs, as NumPy holds them."""
    kernel: Any = None
    """The native engine's."""
    on_arrays: Callable[..., Sequence[Any]] | None = None
    """The same from arrays to arrays, where the engine has its own."""
    compiled: Any = None
    """What the XLA engine made."""


def check_wish(engine: Any) -> None:
    """Raise unless `engine` is None, "auto" or the name of an engine that is there."""
    if engine in (None, AUTO, "native", "numpy", CHECKED):
        return
    if engine != "xla":
        raise error(
            ValueError,
            "there is no such engine.",
            got=f"engine={engine!r}",
            fix="use 'native', 'xla', 'numpy' or None.",
        )
    if not jaxlib_is_installed():
        raise error(
            ValueError,
            "the engine xla needs the package jaxlib, which is not installed.",
            got="engine='xla'",
            fix="install it: pip install 'pullback[xla]'; or leave engine out.",
        )


def choose(closed: ClosedProgram, wish: str = AUTO, terms: Terms = PLAIN) -> Choice:
    """The program compiled by the engine that `wish` names, or by the one that fits it.

    Raises:
      NotImplementedError: the engine was asked for by name, and has no code for the program.
      ValueError: there is no such engine.
    """
    key = "engine", key_of(wish, terms)
    found = closed.cache.get(key)
    if found is None:
        with _lock:
            found = closed.cache.get(key)
            if found is None:
                found = closed.cache[key] = _compiled(closed, wish, terms)
    return found  # type: ignore[no-any-return]


def native_choice(closed: ClosedProgram) -> Choice | None:
    """The program compiled by the native engine; None if that has no code for it."""
    with _lock:
        try:
            return _native(closed, AUTO)
        except _Not:
            return None


def _compiled(closed: ClosedProgram, wish: str, terms: Terms) -> Choice:
    check_wish(wish)
    if wish == "numpy":
        return Choice("numpy", "it was asked for", numpy_engine.compiled(closed))
    if wish == AUTO and not NATIVE_BY_ITSELF:
        return Choice("numpy", "it is what runs by default", numpy_engine.compiled(closed))
    if wish == "xla":
        return _xla(closed, terms)
    try:
        return _by_itself(closed, wish, "native", terms) or _native(closed, wish)
    except _Not as why:
        if wish == "native":
            raise error(
                NotImplementedError,
                "the native engine cannot run this program.",
                got=str(why),
                fix="leave engine out: the NumPy engine runs every program.",
            ) from None
        found = _by_itself(closed, wish, "numpy", terms, f"{why}, and ")
        return found or Choice("numpy", str(why), numpy_engine.compiled(closed))


def _by_itself(
    closed: ClosedProgram, wish: str, other: str, terms: Terms, why: str = ""
) -> Choice | None:
    """The program compiled by XLA, if nothing was asked for and that is quicker than `other`.

    Args:
      why: what there is to say of it before that.
    """
    if wish != AUTO:
        return None

    def otherwise() -> Callable[..., tuple[Any, ...]]:
        choice = native_choice(closed) if other == "native" else None
        return choice.run if choice is not None else numpy_engine.compiled(closed)

    found = by_itself.compiled_by_xla(closed, other, otherwise, terms.chosen)
    if found is None:
        return None
    reason, compiled, run = found
    return Choice("xla", why + reason, run, compiled=compiled)


class _Not(Exception):
    """Why the native engine does not run a program."""


def _native(closed: ClosedProgram, wish: str) -> Choice:
    if not llvm_is_installed():
        raise _Not("llvmlite is not installed, which the native engine needs")
    try:
        kernel = stored.compile_program(closed)
    except native.Unsupported as cause:
        raise _Not(f"the native engine has no code for {cause}") from None
    except RuntimeError as mistake:  # LLVM refused the text
        if wish == "native":
            raise
        warnings.warn(
            f"the native engine made a mistake, so the NumPy engine runs this program: {mistake}",
            stacklevel=2,
        )
        raise _Not("the native engine made a mistake in writing it") from None
    asked = wish == "native"
    reason = "it was asked for" if asked else "it has code for the whole program"
    if wish == CHECKED:
        return Choice("native", f"{reason}; its calls are checked", checked.checked(kernel))
    return Choice("native", reason, calling.function(kernel), kernel)


def _xla(closed: ClosedProgram, terms: Terms) -> Choice:
    try:
        compiled = xla.compile_program(closed, terms.chosen, terms.donated)
    except xla.Unsupported as why:
        raise error(
            NotImplementedError,
            "the XLA engine cannot run this program.",
            got=f"it has no code for {why}",
            fix="leave engine out: the NumPy engine runs every program.",
        ) from None
    return Choice("xla", "it was asked for", compiled, None, compiled.on_arrays, compiled)


@cache
def llvm_is_installed() -> bool:
    """Whether the package llvmlite is there, which is not imported before it is needed."""
    return util.find_spec("llvmlite") is not None


__all__ = [
    "AUTO",
    "HOST_ENGINES",
    "PLAIN",
    "Choice",
    "Terms",
    "check_wish",
    "choose",
    "jaxlib_is_installed",
    "key_of",
    "native_choice",
    "options_of",
    "terms_of",
]
