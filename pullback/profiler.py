"""Profiles: what annotated parts of a program take, as a file that trace viewers open.

A profile has the spans of `TraceAnnotation`, `annotate_function`, `named_scope` and `named_call`
of all threads. It knows nothing of single operations: for those, use Python's own profilers.
"""

from __future__ import annotations

import functools
import os
import platform
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ContextDecorator, contextmanager
from typing import TYPE_CHECKING, Any

from .core.errors import error
from .core.lazy import lazy

if TYPE_CHECKING:
    from pathlib import Path

gzip, json, pathlib = lazy("gzip"), lazy("json"), lazy("pathlib")


class _Session:
    """A running profile."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.start = folder, time.perf_counter()
        self.events: list[dict[str, Any]] = []

    def add(self, name: str, start: float, end: float, details: dict[str, Any]) -> None:
        """A span; times in seconds of `time.perf_counter`."""
        self.events.append(
            {
                "name": name,
                "ph": "X",
                "ts": (start - self.start) * 1e6,
                "dur": (end - start) * 1e6,
                "pid": os.getpid(),
                "tid": threading.get_native_id(),
                "args": {k: str(v) for k, v in details.items()},
            }
        )

    def write(self) -> Path:
        """The file, in Chrome's trace format, in the place where TensorBoard looks for it."""
        name = time.strftime("%Y_%m_%d_%H_%M_%S")
        folder = self.folder / "plugins" / "profile" / name
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{platform.node()}.trace.json.gz"
        text = json.dumps({"displayTimeUnit": "ns", "traceEvents": self.events})
        path.write_bytes(gzip.compress(text.encode()))
        return path


_running: list[_Session] = []


class ProfileOptions:
    """Options that JAX has for a profile. They are accepted, and change nothing."""

    def __init__(self) -> None:
        self.host_tracer_level, self.device_tracer_level, self.python_tracer_level = 2, 1, 0
        self.duration_ms = self.start_timestamp_ns = 0
        self.enable_hlo_proto, self.include_dataset_ops = True, False
        self.raise_error_on_start_failure = False
        self.repository_path = self.session_id = ""
        self.advanced_configuration: dict[str, Any] = {}


def start_trace(
    log_dir: os.PathLike[str] | str,
    create_perfetto_link: bool = False,
    create_perfetto_trace: bool = False,
    profiler_options: ProfileOptions | None = None,
) -> None:
    """Begin a profile, which `stop_trace` writes below `log_dir`.

    Args:
      create_perfetto_trace: accepted: the file is one that https://ui.perfetto.dev opens anyway.
      create_perfetto_link: must be False: no server is started.
      profiler_options: accepted for compatibility.

    Raises:
      RuntimeError: a profile is running already.
    """
    if create_perfetto_link:
        raise _no_server("create_perfetto_link=True")
    if _running:
        raise error(
            RuntimeError,
            "Profile has already been started. Only one profile may be run at a time.",
            got=f"a profile for {_running[0].folder}",
            fix="call stop_trace first.",
        )
    _running.append(_Session(pathlib.Path(log_dir)))


def stop_trace() -> None:
    """End the profile and write it.

    Raises:
      RuntimeError: none is running.
    """
    if not _running:
        raise error(
            RuntimeError, "No profile started.", got="stop_trace()", fix="call start_trace first."
        )
    _running.pop().write()


@contextmanager
def trace(
    log_dir: os.PathLike[str] | str,
    create_perfetto_link: bool = False,
    create_perfetto_trace: bool = False,
    profiler_options: ProfileOptions | None = None,
) -> Iterator[None]:
    """A profile of what is done while the `with` lasts.

    Example:
      >>> import pathlib, tempfile
      >>> from pullback import profiler
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     with profiler.trace(folder), profiler.TraceAnnotation("work"):
      ...         pass
      ...     print(len(list(pathlib.Path(folder).rglob("*.trace.json.gz"))), "file")
      1 file
    """
    start_trace(log_dir, create_perfetto_link, create_perfetto_trace, profiler_options)
    try:
        yield
    finally:
        stop_trace()


class TraceAnnotation(ContextDecorator):
    """What is done while the `with` lasts is a span of this name in a running profile."""

    def __init__(self, name: str, **kwargs: Any) -> None:
        self.name, self.details = name, kwargs
        self._starts: list[float] = []

    def __enter__(self) -> TraceAnnotation:
        self._starts.append(time.perf_counter() if _running else 0.0)
        return self

    def __exit__(self, *_: object) -> None:
        start = self._starts.pop()
        if _running and start:
            _running[0].add(self.name, start, time.perf_counter(), self.details)

    def set_metadata(self, **kwargs: Any) -> None:
        """Add to the details of the span."""
        self.details.update(kwargs)

    @staticmethod
    def is_enabled() -> bool:
        """Whether a profile is running."""
        return bool(_running)


class StepTraceAnnotation(TraceAnnotation):
    """As `TraceAnnotation`, for one step of training: give it `step_num`."""


def annotate_function(
    func: Callable[..., Any] | None = None, name: str | None = None, **decorator_kwargs: Any
) -> Any:
    """`func`, whose calls are spans of its name, or `name`, in a running profile.

    Example:
      >>> from pullback import profiler
      >>> @profiler.annotate_function
      ... def f(x):
      ...     return x + 1
      >>> f(1)
      2
    """
    if func is None:
        return lambda f: annotate_function(f, name, **decorator_kwargs)
    span = str(name or getattr(func, "__qualname__", "call"))
    function = func

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        with TraceAnnotation(span, **decorator_kwargs):
            return function(*args, **kwargs)

    return call


# ---- what this engine does not have


def _no_server(what: str) -> NotImplementedError:
    return error(
        NotImplementedError,
        "profiles are written to files only: there is no profiler server.",
        got=what,
        fix="use start_trace and stop_trace, and open the file.",
    )


def start_server(port: int, requires_backend: bool = True) -> Any:
    """Raises NotImplementedError: profiles are written to files only."""
    raise _no_server(f"start_server({port})")


def stop_server() -> None:
    """Raises NotImplementedError: there is no server to stop."""
    raise _no_server("stop_server()")


def register_subprocess(pid: int, port: int) -> Any:
    """Raises NotImplementedError: a profile is of one process."""
    raise _no_server(f"register_subprocess({pid}, {port})")


def device_memory_profile(backend: str | None = None) -> bytes:
    """Raises NotImplementedError: arrays are in the process's memory, as Python sees it."""
    raise _no_memory_profile()


def save_device_memory_profile(filename: Any, backend: str | None = None) -> None:
    """Raises NotImplementedError: arrays are in the process's memory, as Python sees it."""
    raise _no_memory_profile()


def _no_memory_profile() -> NotImplementedError:
    return error(
        NotImplementedError,
        "there is no device whose memory could be profiled: arrays are in the process's memory.",
        fix="use tracemalloc, which sees NumPy's arrays, or live_arrays() for those that exist.",
    )
