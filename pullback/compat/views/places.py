"""Where an operation stands in the user's program: `jax.extend.source_info_util`.

Equations here keep no traceback: that would cost more than to record them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from types import FrameType
from typing import Any, NamedTuple, TypeVar

from ...core.errors import hidden_paths, user_line

F = TypeVar("F", bound=Callable[..., Any])


class NameStack(NamedTuple):
    """The names of the scopes around an operation."""

    stack: tuple[str, ...] = ()

    def extend(self, name: str) -> NameStack:
        """With one more scope."""
        return NameStack((*self.stack, name))

    def transform(self, name: str) -> NameStack:
        """Inside a transformation."""
        return NameStack((*self.stack, f"{name}()"))

    def __str__(self) -> str:
        return "/".join(self.stack)


class SourceInfo(NamedTuple):
    """A traceback, where there is one, and the scopes."""

    traceback: Any = None
    name_stack: NameStack = NameStack()

    def replace(self, **changes: Any) -> SourceInfo:
        """The same with some of its parts changed."""
        return self._replace(**changes)


def new_source_info() -> SourceInfo:
    """Nothing known."""
    return SourceInfo()


def current() -> SourceInfo:
    """What is known of the place where the program is now: no traceback."""
    return SourceInfo()


def current_name_stack() -> NameStack:
    """The scopes around the place where the program is now: not kept."""
    return NameStack()


def new_name_stack(name: str = "") -> NameStack:
    """A stack of one scope, or of none."""
    return NameStack((name,)) if name else NameStack()


@contextmanager
def _nothing(*_: Any) -> Iterator[None]:
    yield


extend_name_stack = reset_name_stack = set_name_stack = transform_name_stack = _nothing
"""Scopes are not kept: these change nothing while the `with` lasts."""
user_context = _nothing


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
