"""The module `jax` in a program that runs on Pullback: Pullback's public names, JAX's version."""

from __future__ import annotations

import sys
from importlib import import_module, util
from types import ModuleType

from pullback.compat.alias import SHARED

from .version import __version__ as __version__
from .version import __version_info__ as __version_info__

# Modules that only JAX has: imported when first used, as far as they have a file in this folder.
_OWN = frozenset({"_src", "api_util", "core", "extend", "interpreters", "lib", "ops"})

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
    own = [name for name in _OWN if util.find_spec(f"{__name__}.{name}") is not None]
    return sorted({"__version__", "__version_info__", "version", *own, *_public_names()})


def __getattr__(name: str) -> object:
    if name == "__all__":
        return _public_names()
    if _is_public(name):
        value = globals()[name] = getattr(_pullback, name)
        return value
    if name in _OWN:
        try:
            return import_module(f"{__name__}.{name}")
        except ModuleNotFoundError as missing:
            if missing.name != f"{__name__}.{name}":
                raise
    raise AttributeError(
        f"module 'jax' has no attribute {name!r}: Pullback has no such name yet.",
        name=name,
        obj=sys.modules[__name__],
    )
