"""Where compiled programs are kept: `set_cache_dir`, `reset_cache`."""

from __future__ import annotations

import os

from ...core.settings import config


def set_cache_dir(path: str | os.PathLike[str]) -> None:
    """Keep compiled programs in the folder `path`, which is made if there is none.

    It is the same as ``config.update("jax_compilation_cache_dir", path)``. The native engine and
    XLA both use it; other users must not be able to write to the files in it, or they are not read.
    """
    config.update("jax_compilation_cache_dir", os.fspath(path))


def reset_cache() -> None:
    """Use the user's own cache folder again, or that of the variable PULLBACK_CACHE_DIR."""
    config.update("jax_compilation_cache_dir", None)


__all__ = ["reset_cache", "set_cache_dir"]
