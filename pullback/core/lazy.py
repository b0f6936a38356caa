"""A module that is imported when it is first used: scipy's parts cost 130 ms at start-up."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Mapping
from importlib import util
from types import ModuleType
from typing import Any


class lazy:
    """Stands for a module; reading an attribute imports it."""

    __slots__ = ("_module", "_name")

    def __init__(self, name: str) -> None:
        self._name = name
        self._module: ModuleType | None = None

    def __getattr__(self, attribute: str) -> Any:
        if self._module is None:
            self._module = importlib.import_module(self._name)
        return getattr(self._module, attribute)


def submodules(
    package: str, names: Iterable[str], members: Mapping[str, str] | None = None
) -> tuple[Any, Any]:
    """`__getattr__` and `__dir__` of a package whose parts are imported when first used.

    A part that has no file yet is an AttributeError, as any other missing name. `members` are
    functions with the part that holds them, such as ``{"jet": "experimental.jet"}``.
    """
    parts, held = frozenset(names), dict(members or {})

    def __getattr__(name: str) -> Any:
        if name in held:
            return getattr(importlib.import_module(f"{package}.{held[name]}"), name)
        if name in parts:
            full = f"{package}.{name}"
            try:
                return importlib.import_module(full)
            except ModuleNotFoundError as missing:
                if missing.name != full:
                    raise  # the part is there, and what it needs is not
        raise AttributeError(f"module {package!r} has no attribute {name!r}", name=name)

    def __dir__() -> list[str]:
        found = [n for n in parts if util.find_spec(f"{package}.{n}") is not None]
        return sorted({*found, *held, *vars(sys.modules[package])})

    return __getattr__, __dir__
