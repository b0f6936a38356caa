"""The primitives, a file for each family; and beside them the functions of `jax.ops`."""

from typing import Any

from ..core.lazy import lazy

_segments = lazy("pullback.segments")
_PUBLIC = frozenset(["segment_max", "segment_min", "segment_prod", "segment_sum"])


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(_segments, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name)
