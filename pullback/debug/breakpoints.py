"""A debugger inside a program: it stops when values are there and shows the user's variables."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from ..core.array import Tracer
from .callbacks import Arguments, call_back


def breakpoint_(
    *,
    backend: str | None = None,
    filter_frames: bool = True,
    num_frames: int | None = None,
    ordered: bool = False,
    token: Any = None,
    **kwargs: Any,
) -> Any:
    """Stop in Python's debugger, each time that the program gets here.

    The debugger shows the calling line and its local variables with the values of this run: also
    under `jit`, where the function itself ran earlier, and under `vmap`, where it stops once for
    each element. Variables can be looked at; changes have no effect on the run. It is the debugger
    that `breakpoint()` starts: `sys.breakpointhook` and PYTHONBREAKPOINT choose it.

    Args:
      ordered: accepted for compatibility: on this engine all effects keep their order.
      token: is returned as it is.
      backend, filter_frames, num_frames, **kwargs: accepted for compatibility.
    """
    frame = sys._getframe(1)
    variables = {name: x for name, x in frame.f_locals.items() if not has_escaped(x)}
    call_back(stop_at(frame), Arguments((), variables), ordered)
    return token


def has_escaped(x: Any) -> bool:
    """Whether a variable holds a traced value of a transformation that is over."""
    return isinstance(x, Tracer) and not x.owner.alive


def stop_at(frame: FrameType) -> Callable[..., None]:
    """Start the debugger on a line that looks like that of `frame`, with given local variables."""
    # The debugger shows the frame that calls the hook. That one is made here: code of one line, in
    # the name of the user's file and with the number of the user's line.
    code = frame.f_code
    blank = "\n" * (frame.f_lineno - 1)
    here = compile(f"{blank}__pullback_stop__()", code.co_filename, "exec")
    here = here.replace(co_name=code.co_name, co_qualname=code.co_qualname)
    names = frame.f_globals

    def stop(**variables: Any) -> None:
        exec(here, {**names, "__pullback_stop__": sys.breakpointhook}, variables)

    return stop


__all__ = ["breakpoint_", "has_escaped", "stop_at"]
