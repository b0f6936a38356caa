"""Where an operation stands in the user's program: `jax.extend.source_info_util`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from types import FrameType
from typing import Any, TypeVar

from ...core.errors import hidden_paths, user_line
from ...core.program import NameStack as NameStack
from ...core.program import SourceInfo as SourceInfo
from ...core.trace import state

F = TypeVar("F", bound=Callable[..., Any])


def new_source_info() -> SourceInfo:
    """Nothing known."""
    return SourceInfo()


def current() -> SourceInfo:
    """What is known of the place where the program is now: the open scopes."""
    return SourceInfo(None, NameStack(state.scopes))


def current_name_stack() -> NameStack:
    """The scopes around the place where the program is now."""
    return NameStack(state.scopes)


def new_name_stack(name: str = "") -> NameStack:
    """A stack of one scope, or of none."""
    return NameStack((name,)) if name else NameStack()


@contextmanager
def set_name_stack(stack: NameStack) -> Iterator[None]:
    """These are the open scopes while the `with` lasts."""
    before, state.scopes = state.scopes, stack.stack
    try:
        yield
    finally:
        state.scopes = before


def extend_name_stack(name: str) -> Any:
    """One more scope while the `with` lasts."""
    return set_name_stack(current_name_stack().extend(name))


def transform_name_stack(name: str) -> Any:
    """A transformation as the innermost scope while the `with` lasts."""
    return set_name_stack(current_name_stack().transform(name))


def reset_name_stack() -> Any:
    """No scopes while the `with` lasts."""
    return set_name_stack(NameStack())


@contextmanager
def user_context(*_: Any, **options: Any) -> Iterator[None]:
    """Tracebacks are not kept: it changes nothing."""
    yield


def summarize(source_info: Any, num_frames: int = 1) -> str:
    """`file:line (function)` of an operation: of the user's line, as equations keep none."""
    return user_line() or "unknown"


def register_exclusion(path: str) -> None:
    """Files below this path are a library's: messages name the user's line instead."""
    if path not in hidden_paths:
        hidden_paths.append(path)


def include_filename(name: str) -> bool:
    """Whether a file is the user's."""
    return not any(name.startswith(path) for path in hidden_paths)


def include_frame(frame: FrameType) -> bool:
    """Whether a frame is of the user's code."""
    return include_filename(frame.f_code.co_filename)


def api_boundary(fun: F, **options: Any) -> F:
    """`fun`: tracebacks are not shortened here."""

    @wraps(fun)
    def same(*args: Any, **kwargs: Any) -> Any:
        return fun(*args, **kwargs)

    return same  # type: ignore[return-value]


class UnfilteredStackTrace(Exception):
    """In JAX the cause of an error whose traceback was shortened; never raised here."""


class SimplifiedTraceback(Exception):
    """In JAX the end of a shortened traceback; never raised here."""
