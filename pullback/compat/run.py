"""`python -m pullback run`: a program for JAX, started as `python` would start it."""

from __future__ import annotations

import builtins
import io
import os
import runpy
import sys
import zipfile
from collections.abc import Callable, Sequence
from functools import partial
from importlib import util
from importlib.machinery import SourceFileLoader
from types import FrameType, ModuleType, TracebackType

from .alias import install

_LAUNCHERS = {__file__, runpy.__file__, "<frozen runpy>"}


def run_script(path: str, arguments: Sequence[str]) -> int:
    """Run a file, or a folder or zip file with a __main__.py, as `python path` does.

    Returns the exit code; SystemExit passes through.
    """
    if problem := _cannot_open(path):
        return _complain(problem, 2)
    if os.path.isdir(path) and not os.path.exists(os.path.join(path, "__main__.py")):
        return _complain(f"can't find '__main__' module in {path!r}", 1)
    if os.path.isdir(path) or zipfile.is_zipfile(path):
        start: Callable[[], object] = partial(runpy.run_path, path, run_name="__main__")
        folder = os.path.abspath(path)
    else:
        start = partial(_start_file, os.path.join(os.getcwd(), path))
        folder = os.path.dirname(os.path.realpath(path))
    return _as_main(start, [path, *arguments], folder)


def run_module(name: str, arguments: Sequence[str]) -> int:
    """Run a module, or a package's __main__, as `python -m name` does."""
    start = partial(_start_module, name)
    return _as_main(start, ["-m", *arguments], os.getcwd())


def _start_file(path: str) -> None:
    # runpy.run_path differs from `python path` in small things: sys.argv[0] and __file__ are one
    # and the same there, and the module is no longer __main__ when threads and atexit go on.
    main = ModuleType("__main__")
    loader = SourceFileLoader("__main__", path)
    main.__dict__.update(__builtins__=builtins, __cached__=None, __file__=path, __loader__=loader)
    with io.open_code(path) as file:
        code = compile(file.read(), path, "exec", dont_inherit=True)
    sys.modules["__main__"] = main
    exec(code, main.__dict__)


def _start_module(name: str) -> None:
    if not _is_there(name):
        raise SystemExit(_complain(f"No module named {name}", 1))
    runpy.run_module(name, run_name="__main__", alter_sys=True)


def _as_main(start: Callable[[], object], argv: list[str], folder: str) -> int:
    install(jaxlib=True)
    sys.argv[:] = argv
    if not sys.flags.safe_path:
        sys.path[0] = folder
    try:
        start()
    except SystemExit:
        raise
    except BaseException as exception:
        _show(exception)
        return 130 if isinstance(exception, KeyboardInterrupt) else 1
    return 0


def _show(exception: BaseException) -> None:
    """Print a traceback that begins in the program."""
    traceback: TracebackType | None = exception.__traceback__
    while traceback is not None and _is_launcher(traceback.tb_frame):
        traceback = traceback.tb_next
    sys.last_type, sys.last_value, sys.last_traceback = type(exception), exception, traceback
    sys.excepthook(type(exception), exception.with_traceback(traceback), traceback)


def _is_launcher(frame: FrameType) -> bool:
    return frame.f_code.co_filename in _LAUNCHERS


def _cannot_open(path: str) -> str:
    """Why the file cannot be read, in the words of `python path`; empty if it can."""
    try:
        if not os.path.isdir(path):
            open(path, "rb").close()
    except OSError as reason:
        name = os.path.abspath(path)
        return f"can't open file {name!r}: [Errno {reason.errno}] {reason.strerror}"
    return ""


def _is_there(name: str) -> bool:
    """Is there a module or package of this name? Its parents are imported, and may raise."""
    try:
        return util.find_spec(name) is not None
    except ModuleNotFoundError as missing:
        if not f"{name}.".startswith(f"{missing.name}."):
            raise
        return False


def _complain(problem: str, code: int) -> int:
    print(f"pullback run: {problem}", file=sys.stderr)
    return code
