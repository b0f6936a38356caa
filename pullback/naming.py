"""Names for parts of a program, which a profile shows."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import ContextDecorator
from typing import Any, TypeVar

from .core.errors import error
from .core.trace import state
from .profiler import TraceAnnotation

F = TypeVar("F", bound=Callable[..., Any])


class named_scope(ContextDecorator):
    """What is done while the `with` lasts has this name in a profile; also a decorator.

    It changes nothing of what is computed. Equations of programs keep it in their `source_info`. A
    profile (`profiler.trace`) shows the time that the operations, or under `jit` their tracing,
    took inside.

    Raises:
      TypeError: the name is no string.

    Example:
      >>> import pullback
      >>> import pullback.numpy as jnp
      >>> with pullback.named_scope("layer"):
      ...     print(jnp.sin(0.0))
      0.0
    """

    def __init__(self, name: str) -> None:
        if not isinstance(name, str):
            raise error(
                TypeError,
                "named_scope name argument must be a string.",
                got=f"{name!r:.80}",
                fix='write named_scope("a name").',
            )
        self.name = name
        self._open: list[tuple[TraceAnnotation, tuple[str, ...]]] = []

    def __enter__(self) -> str:
        annotation = TraceAnnotation(self.name)
        self._open.append((annotation, state.scopes))
        state.scopes = (*state.scopes, self.name)
        annotation.__enter__()
        return self.name

    def __exit__(self, *details: Any) -> None:
        annotation, state.scopes = self._open.pop()
        annotation.__exit__(*details)


def named_call(fun: F, *, name: str | None = None) -> F:
    """`fun`, whose calls have a name in a profile: its own, or `name`.

    Example:
      >>> import pullback
      >>> import pullback.numpy as jnp
      >>> print(pullback.named_call(jnp.sin, name="first step")(0.0))
      0.0
    """
    scope = str(name if name is not None else getattr(fun, "__name__", "call"))

    @functools.wraps(fun)
    def call(*args: Any, **kwargs: Any) -> Any:
        with named_scope(scope):
            return fun(*args, **kwargs)

    return call  # type: ignore[return-value]
