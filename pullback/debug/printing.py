"""print from inside a program: it shows the values of the run, not the stand-ins of the tracing."""

from __future__ import annotations

import functools
import logging
import string
from typing import Any

import numpy as np

from ..core.errors import error
from ..core.formats import AnyFormat
from .callbacks import Arguments, call_back


def print_(
    fmt: str | None = None,
    *args: Any,
    ordered: bool = False,
    partitioned: bool = False,
    skip_format_check: bool = False,
    **kwargs: Any,
) -> Any:
    """Print `fmt.format(*args, **kwargs)` with the values, each time that the program gets here.

    Args:
      fmt: a format string, such as ``"x = {x}, {:.3f}"``. Without braces, the arguments follow it,
        as in Python's `print`. Without it, the result is a function that takes it.
      *args: pytrees of arrays, and anything else.
      ordered: accepted for compatibility: on this engine all prints keep their order.
      partitioned: accepted for compatibility.
      skip_format_check: do not check that each argument is used.
      **kwargs: as `args`.

    Raises:
      ValueError: an argument is not used in `fmt`, as happens with an f-string.

    It works under all transformations; see `debug.callback`.

    Example:
      >>> import pullback
      >>> import pullback.numpy as jnp
      >>> @pullback.jit
      ... def f(x):
      ...     pullback.debug.print("x = {x}", x=x)
      ...     return jnp.sin(x)
      >>> _ = pullback.vmap(f)(jnp.arange(2.0))
      x = 0.0
      x = 1.0
    """
    if fmt is None and not args and not kwargs:
        options = {"ordered": ordered, "skip_format_check": skip_format_check}
        return functools.partial(print_, **options)  # type: ignore[arg-type]
    _call_with_text("debug.print", fmt, args, kwargs, ordered, skip_format_check, print)
    return None


def log(
    fmt: str | None = None,
    *args: Any,
    ordered: bool = False,
    partitioned: bool = False,
    skip_format_check: bool = False,
    **kwargs: Any,
) -> Any:
    """As `debug.print`, but the text goes to Python's logging: to the logger "pullback.debug", as
    information.

    Example:
      >>> import logging
      >>> import pullback
      >>> logger = logging.getLogger("pullback.debug")
      >>> logger.setLevel(logging.INFO)
      >>> handler = logging.StreamHandler(__import__("sys").stdout)
      >>> logger.addHandler(handler)
      >>> pullback.jit(lambda x: pullback.debug.log("x = {}", x))(1.0)
      x = 1.0
      >>> logger.removeHandler(handler)
    """
    if fmt is None and not args and not kwargs:
        options = {"ordered": ordered, "skip_format_check": skip_format_check}
        return functools.partial(log, **options)  # type: ignore[arg-type]
    _call_with_text("debug.log", fmt, args, kwargs, ordered, skip_format_check, _logger.info)
    return None


_logger = logging.getLogger("pullback.debug")


def _call_with_text(
    name: str, fmt: Any, args: Any, kwargs: Any, ordered: bool, unchecked: bool, use: Any
) -> None:
    """Give the text to `use`, each time that the program gets here."""
    if not isinstance(fmt, str):
        raise error(
            TypeError,
            f"{name} takes a format string first.",
            got=f"a value of type {type(fmt).__name__}",
            fix=f'write {name}("{{}}", x).',
        )
    braces = _has_braces(fmt)
    if braces and not unchecked:
        _UseAll().check(fmt, args, kwargs, name)
    elif not braces and kwargs:
        raise _unused(sorted(kwargs))
    options = np.get_printoptions()

    def show(*args: Any, **kwargs: Any) -> None:
        with np.printoptions(**options):
            text = fmt.format(*args, **kwargs) if braces else " ".join([fmt, *map(str, args)])
        use(text)

    call_back(show, Arguments(args, kwargs), ordered)


def _has_braces(fmt: str) -> bool:
    return any(name is not None for _, name, _, _ in string.Formatter().parse(fmt))


class _UseAll(AnyFormat):
    """Checks also that each argument is used."""

    def check_unused_args(self, used_args: Any, args: Any, kwargs: Any) -> None:
        unused = [str(i) for i in range(len(args)) if i not in used_args]
        unused += [name for name in kwargs if name not in used_args]
        if unused:
            raise _unused(unused)


def _unused(names: list[str]) -> ValueError:
    return error(
        ValueError,
        "debug.print got arguments that its format string does not use.",
        got=", ".join(names),
        fix='name them in braces, "{x}", and do not use an f-string: it is formatted too early.',
    )


__all__ = ["log", "print_"]
