"""Programs that `jit` gives to the XLA engine without being asked to.

What comes out are arrays in the memory of the process, as from the other engines. Where XLA cannot
run the program after all, the engine that would have had it runs it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from functools import cache
from importlib import util
from typing import Any

from ..core.lazy import lazy
from ..core.program import ClosedProgram, has_effects
from ..core.settings import values
from .size import reason_for_xla

xla = lazy("pullback.engines.xla.program")
lowering = lazy("pullback.engines.xla.lowering")

Run = Callable[..., tuple[Any, ...]]

_ADAPTER = "pullback.engines.xla.adapter"
_forked = False
"""Whether this process is a copy of one that had XLA: its threads are not here."""


def _after_fork() -> None:
    global _forked
    _forked = _forked or _ADAPTER in sys.modules


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def compiled_by_xla(
    closed: ClosedProgram,
    other: str,
    otherwise: Callable[[], Run],
    options: Mapping[str, Any] | None = None,
) -> tuple[str, Any, Run] | None:
    """Why a program is for XLA, what that made of it, and how it is run; None: it is not for XLA.

    Args:
      closed: the program.
      other: the engine that runs it else, "native" or "numpy".
      otherwise: makes it ready for that engine, for calls that XLA must not do.
      options: those of XLA's compiler.

    Raises:
      ValueError: XLA has no such option.
    """
    if not is_usable():
        return None
    reason = reason_for_xla(closed, other)
    if reason is None or any(has_effects(eq) for eq in closed.eqns) or not _is_imported():
        return None
    try:
        if xla.write(closed).callbacks:  # Python would do a part of it
            return None
        made = xla.compile_program(closed, options)
    except (xla.Unsupported, RuntimeError):  # XLA itself refused the text
        return None
    return reason, made, _running(made, otherwise)


def is_usable() -> bool:
    """Whether XLA may be taken: jaxlib is there, and it would have as many threads as
    this process may have."""
    if int(values.pullback_threads) < max(_processors(), 2):
        return False  # XLA takes all of them, and gains little by one
    return not _forked and jaxlib_is_installed()


def _processors() -> int:
    """Those that the system lets this process run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _running(made: Any, otherwise: Callable[[], Run]) -> Run:
    """The program as a function from the values of its inputs to those of its outputs."""

    @cache
    def other() -> Run:
        return otherwise()

    def run(*given: Any) -> tuple[Any, ...]:
        # In the copy of a process XLA would wait for ever for the threads that are not there; and
        # inside a call of Python, whose program has taken XLA's threads, it could.
        if _forked or lowering.in_callback():
            return other()(*given)
        return made(*given)  # type: ignore[no-any-return]

    return run


@cache
def jaxlib_is_installed() -> bool:
    """Whether the package jaxlib is there, which is not imported before it is needed."""
    return util.find_spec("jaxlib") is not None


@cache
def _is_imported() -> bool:
    """Whether jaxlib can be used: another version may lack what is called."""
    try:
        _ = xla.Unsupported, lowering.in_callback
    except (ImportError, AttributeError, RuntimeError):
        return False
    return True


__all__ = ["compiled_by_xla", "is_usable", "jaxlib_is_installed"]
