"""The module `jax` in a program that runs on Pullback: Pullback's public names, JAX's version."""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType

from pullback.compat.alias import SHARED

from .version import __version__ as __version__
from .version import __version_info__ as __version_info__

# Not an import statement: files of the package come before the names that it gives to users.
_pullback = import_module("pullback")


def _is_public(name: str) -> bool:
    """Is it a name of Pullback for users, and not a folder of its own?"""
    if name.startswith("_") or not hasattr(_pullback, name):
        return False
    return name in SHARED or not isinstance(getattr(_pullback, name), ModuleType)


def _public_names() -> list[str]:
    return [name for name in dir(_pullback) if _is_public(name)]


def __dir__() -> list[str]:
    return sorted({"__version__", "__version_info__", "version", *_public_names()})


def __getattr__(name: str) -> object:
    if name == "__all__":
        return _public_names()
    if _is_public(name):
        value = globals()[name] = getattr(_pullback, name)
        return value
    raise AttributeError(
        f"module 'jax' has no attribute {name!r}: Pullback has no such name yet.",
        name=name,
        obj=sys.modules[__name__],
    )
