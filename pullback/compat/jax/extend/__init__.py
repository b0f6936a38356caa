"""`jax.extend`: parts for libraries that define primitives, random bits and interpreters."""

from pullback.core.lazy import submodules as _submodules

__getattr__, __dir__ = _submodules(
    __name__,
    ("backend", "core", "linear_util", "random", "source_info_util"),
)
