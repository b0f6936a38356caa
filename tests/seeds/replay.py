"""Runs a document with Pullback as `jax`, as a notebook would, and tells what each cell gave.

`python -m seeds.replay name` prints a list with one entry for each block, as JSON. A fresh process
is a fresh kernel: nothing of one document is seen by another.
"""

from __future__ import annotations

import ast
import bdb
import inspect
import io
import json
import linecache
import re
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from types import FunctionType, ModuleType

from pullback import compat

from . import document

TIMED = "<timed>"
_TIMEIT = re.compile(r"^%timeit (?:-[nr]\d+ )*(.*)$", re.MULTILINE)


def replay(name: str) -> list[dict[str, str]]:
    """What each block of the document gives: `output`, `warning`, and `error` if it raised."""
    compat.install()
    import jax

    read = document.read(name)
    if "threefry_partitionable" in read.settings:
        on = read.settings["threefry_partitionable"] == "on"
        jax.config.update("jax_threefry_partitionable", on)
    kernel = ModuleType("__main__")
    sys.modules["__main__"] = kernel
    exec(read.settings.get("setup", ""), kernel.__dict__)
    return [_run(block, kernel.__dict__) for block in read.blocks]


def _run(block: document.Block, namespace: dict[str, object]) -> dict[str, str]:
    namespace = dict(namespace) if block.in_a_copy else namespace
    code = _TIMEIT.sub(rf'\1; print("{TIMED}")', block.code)
    filename = f"<cell {block.line}>"
    linecache.cache[filename] = (len(code), None, code.splitlines(keepends=True), filename)
    given = {"output": "", "warning": "", "error": ""}
    with _captured(block.typed) as (output, caught):
        try:
            _execute(code, filename, namespace)
        except bdb.BdbQuit:  # `q` typed into the debugger
            pass
        except Exception as exception:
            given["error"] = type(exception).__name__
            if not block.raises:
                given["error"] = traceback.format_exc()
    given["output"] = output.getvalue()
    given["warning"] = "".join(_warning_text(warning) for warning in caught)
    return given


@contextmanager
def _captured(typed: list[str]) -> Iterator[tuple[io.StringIO, list[warnings.WarningMessage]]]:
    """Collects what is printed and warned; `typed` is what the keyboard gives."""
    keyboard, sys.stdin = sys.stdin, _Keyboard(typed)
    try:
        with redirect_stdout(io.StringIO()) as output, warnings.catch_warnings(record=True) as seen:
            yield output, seen
    finally:
        sys.stdin = keyboard


class _Keyboard(io.StringIO):
    """Standard input whose lines are seen in the output, as on a terminal."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("".join(f"{line}\n" for line in lines))

    def readline(self, size: int | None = -1, /) -> str:
        line = super().readline(-1 if size is None else size)
        sys.stdout.write(line)
        return line


def _execute(code: str, filename: str, namespace: dict[str, object]) -> None:
    """Run a cell; show the value of its last statement if that is an expression."""
    tree = ast.parse(code, filename)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, filename, "exec"), namespace)
    if isinstance(last, ast.Expr):
        value = eval(compile(ast.Expression(last.value), filename, "eval"), namespace)
        if value is not None:
            print(_shown(value))


def _shown(value: object) -> str:
    """The text of a displayed value: its repr, but functions and plain objects as IPython does."""
    if isinstance(value, FunctionType):
        return f"<function {value.__module__}.{value.__qualname__}{inspect.signature(value)}>"
    return re.sub(r"<([\w.]+) object at 0x", r"<\1 at 0x", repr(value))


def _warning_text(warning: warnings.WarningMessage) -> str:
    return warnings.formatwarning(
        warning.message, warning.category, warning.filename, warning.lineno
    )


if __name__ == "__main__":
    print(json.dumps(replay(sys.argv[1])))
