"""Events of a running program, for those who listen: counts, durations, spans and numbers.

Pullback itself tells how long each tracing and compiling of a jitted function takes, as JAX does:
`/jax/core/compile/jaxpr_trace_duration` and `/jax/core/compile/backend_compile_duration`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .core.errors import error

Listener = Callable[..., None]

_events: list[Listener] = []
_durations: list[Listener] = []
_spans: list[Listener] = []
_scalars: list[Listener] = []


def record_event(event: str, **kwargs: str | int) -> None:
    """Tell the listeners that `event` happened.

    Example:
      >>> from pullback import monitoring
      >>> def listen(event, **details):
      ...     print(event, details)
      >>> monitoring.register_event_listener(listen)
      >>> monitoring.record_event("/my/event", size=3)
      /my/event {'size': 3}
      >>> monitoring.unregister_event_listener(listen)
    """
    for listener in _events.copy():
        listener(event, **kwargs)


def record_event_duration_secs(event: str, duration: float, **kwargs: str | int) -> None:
    """Tell the listeners how long something took."""
    for listener in _durations.copy():
        listener(event, duration, **kwargs)


def record_event_time_span(
    event: str, start_time: float, end_time: float, **kwargs: str | int
) -> None:
    """Tell the listeners when something began and ended."""
    for listener in _spans.copy():
        listener(event, start_time, end_time, **kwargs)


def record_scalar(event: str, value: float | int, **kwargs: str | int) -> None:
    """Tell the listeners a number."""
    for listener in _scalars.copy():
        listener(event, value, **kwargs)


def register_event_listener(callback: Listener) -> None:
    """Call `callback(event, **kwargs)` at each `record_event`."""
    _events.append(callback)


def register_event_duration_secs_listener(callback: Listener) -> None:
    """Call `callback(event, duration, **kwargs)` at each `record_event_duration_secs`."""
    _durations.append(callback)


def register_event_time_span_listener(callback: Listener) -> None:
    """Call `callback(event, start, end, **kwargs)` at each `record_event_time_span`."""
    _spans.append(callback)


def register_scalar_listener(callback: Listener) -> None:
    """Call `callback(event, value, **kwargs)` at each `record_scalar`."""
    _scalars.append(callback)


def unregister_event_listener(callback: Listener) -> None:
    """Undo `register_event_listener`. It is an error if that was not done."""
    _remove(_events, callback)


def unregister_event_duration_listener(callback: Listener) -> None:
    """Undo `register_event_duration_secs_listener`."""
    _remove(_durations, callback)


def unregister_event_time_span_listener(callback: Listener) -> None:
    """Undo `register_event_time_span_listener`."""
    _remove(_spans, callback)


def unregister_scalar_listener(callback: Listener) -> None:
    """Undo `register_scalar_listener`."""
    _remove(_scalars, callback)


def clear_event_listeners() -> None:
    """Forget all listeners."""
    for listeners in (_events, _durations, _spans, _scalars):
        listeners.clear()


def _remove(listeners: list[Any], callback: Listener) -> None:
    if callback not in listeners:
        raise error(
            AssertionError,
            "this function does not listen to these events.",
            got=repr(callback),
            fix="register it first, and with the function of the same kind.",
        )
    listeners.remove(callback)
