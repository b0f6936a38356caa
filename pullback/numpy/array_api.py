"""What the Python array API standard asks of a namespace about itself."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import dtypes
from ..core.device import CPU, Device
from ..core.errors import error
from ..core.placing import as_sharding

API_VERSION = "2024.12"
"""The version of the standard that `pullback.numpy` follows."""

_KINDS = {
    "bool": ("bool",),
    "signed integer": ("int8", "int16", "int32", "int64"),
    "unsigned integer": ("uint8", "uint16", "uint32", "uint64"),
    "real floating": ("float32", "float64"),
    "complex floating": ("complex64", "complex128"),
}
_KINDS["integral"] = _KINDS["signed integer"] + _KINDS["unsigned integer"]
_KINDS["numeric"] = (
    _KINDS["integral"] + _KINDS["real floating"] + _KINDS["complex floating"]
)  # fmt: skip


class ArrayNamespaceInfo:
    """What `jnp.__array_namespace_info__()` gives.

    Example:
      >>> import pullback.numpy as jnp
      >>> jnp.__array_namespace_info__().default_dtypes()["integral"]
      dtype('int32')
    """

    def capabilities(self) -> dict[str, Any]:
        """What the library can do; not under `jit` what depends on values, so it is denied."""
        return {"boolean indexing": False, "data-dependent shapes": False, "max dimensions": 64}

    def default_device(self) -> None:
        """The device of new arrays: None, as it may be changed."""
        return None

    def devices(self) -> list[Device | None]:
        """The devices."""
        return [None, CPU]

    def default_dtypes(self, *, device: Any = None) -> dict[str, np.dtype]:
        """The dtypes of arrays for which none was asked."""
        as_sharding(device)
        real = dtypes.default_float()
        return {
            "real floating": real,
            "complex floating": dtypes.complex_dtype(real),
            "integral": dtypes.default_int(),
            "indexing": dtypes.default_int(),
        }

    def dtypes(
        self, *, device: Any = None, kind: str | tuple[str, ...] | None = None
    ) -> dict[str, np.dtype]:
        """The dtypes of the standard that there are, by their names: of one kind, or of several.

        Raises:
          KeyError: there is no such kind.
        """
        as_sharding(device)
        kinds = ("bool", "numeric") if kind is None else (kind,) if isinstance(kind, str) else kind
        for k in kinds:
            if k not in _KINDS:
                raise error(
                    KeyError,
                    f"the array API standard knows no kind {k!r} of dtypes.",
                    got=f"kind={kind!r}",
                    fix="use one of " + ", ".join(map(repr, _KINDS)) + ".",
                )
        found = {name: np.dtype(name) for k in kinds for name in _KINDS[k]}
        return {name: d for name, d in found.items() if dtypes.canonical(d) == d}


def __array_namespace_info__() -> ArrayNamespaceInfo:
    """What this namespace says of itself: see the array API standard."""
    return ArrayNamespaceInfo()
