"""A module that is imported when it is first used: scipy's parts cost 130 ms at start-up."""

from __future__ import annotations

import importlib
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
