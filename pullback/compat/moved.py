"""Names of JAX that have moved: there with a DeprecationWarning, or gone for good."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pullback.core.errors import warn


def moved(
    module: str, there: dict[str, tuple[str, Any]], gone: dict[str, str]
) -> Callable[[str], Any]:
    """The `__getattr__` of a module.

    `there`: names that can still be had, with their new place. `gone`: names that cannot, with
    what to use.
    """

    def __getattr__(name: str) -> Any:
        if name in there:
            place, value = there[name]
            warn(f"{module}.{name} is deprecated. Use {place}.", DeprecationWarning)
            return value
        raise missing(module, name, gone)

    return __getattr__


def missing(module: str, name: str, gone: dict[str, str]) -> AttributeError:
    """The error for a name that a module has not."""
    what = f"module {module!r} has no attribute {name!r}"
    if name in gone:
        what = f"{module}.{name} was removed in JAX v0.10.0; use {gone[name]}."
    return AttributeError(what, name=name)
