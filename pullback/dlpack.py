"""Arrays from and for other libraries, by the DLPack protocol: `jax.dlpack`."""

from __future__ import annotations

from typing import Any

from .core import dtypes
from .core.array import Array
from .numpy import conversion


def from_dlpack(external_array: Any, device: Any = None, copy: bool | None = None) -> Array:
    """A copy of an array of another library: see `jnp.from_dlpack`.

    Example:
      >>> import numpy as np
      >>> from pullback import dlpack
      >>> dlpack.from_dlpack(np.arange(3, dtype=np.int32))
      Array([0, 1, 2], dtype=int32)
    """
    return conversion.from_dlpack(external_array, device=device, copy=copy)


def is_supported_dtype(dtype: Any) -> bool:
    """Whether arrays of this dtype can be handed to other libraries.

    Not bfloat16: the protocol has it, but NumPy, by which it is spoken here, cannot export it.

    Example:
      >>> from pullback import dlpack
      >>> dlpack.is_supported_dtype("float16"), dlpack.is_supported_dtype("int4")
      (True, False)
    """
    return dtypes.as_dtype(dtype).kind in "biufc"


__all__ = ["from_dlpack", "is_supported_dtype"]
