"""Types for annotations."""

from __future__ import annotations

from typing import Any, Union

import numpy as np

from .core.array import Array

ArrayLike = Union[Array, np.ndarray, np.bool_, np.number, bool, int, float, complex]  # noqa: UP007
"""What functions of arrays accept: an Array, a NumPy array or scalar, a Python number."""

DTypeLike = Any
"""What names a dtype: jnp.float32, "float32", np.dtype("float32"), float."""
