"""Signals along one axis: convolve, correlate, and the windows bartlett ... kaiser."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import dtypes
from ..core.array import Array, HostArray
from ..core.errors import error
from ..ops.contraction import dot_general
from ..ops.elementwise import conj, div, mul
from ..ops.slicing import concatenate, pad, slice_along
from ..ops.structural import rev
from .arguments import integer
from .functions import i0
from .promotion import (
    as_array,
    as_arrays,
    broadcast_to,
    promote_dtypes,
    promote_inexact,
    requested_dtype,
)
from .taking import taken


def convolve(
    a: Any,
    v: Any,
    mode: str = "full",
    *,
    precision: Any = None,
    preferred_element_type: Any = None,
) -> Array:
    """The convolution of two 1-d arrays: element k is the sum of a[j] v[k - j].

    Args:
      a: an array.
      v: an array.
      mode: "full": all elements; "same": as many as the longer array has, from the middle; "valid":
        those where both arrays overlap completely.
      precision: accepted for compatibility.
      preferred_element_type: the dtype of the result.

    Example:
      >>> import pullback.numpy as jnp
      >>> print(jnp.convolve(jnp.array([1.0, 2.0]), jnp.array([1.0, 1.0])))
      [1. 3. 2.]
    """
    x, y = _signals("convolve", a, v, preferred_element_type)
    x, y = (y, x) if x.shape[0] < y.shape[0] else (x, y)
    return _slid("convolve", x, rev(y, dimensions=(0,)), mode, preferred_element_type)


def correlate(
    a: Any,
    v: Any,
    mode: str = "valid",
    *,
    precision: Any = None,
    preferred_element_type: Any = None,
) -> Array:
    """The cross-correlation of two 1-d arrays: element k is the sum of a[j + k] conj(v[j]).

    The arguments are those of `convolve`.
    """
    x, y = _signals("correlate", a, v, preferred_element_type)
    if y.dtype.kind == "c":
        y = conj(y, input_dtype=y.dtype)
    if x.shape[0] >= y.shape[0]:
        return _slid("correlate", x, y, mode, preferred_element_type)
    return rev(_slid("correlate", y, x, mode, preferred_element_type), dimensions=(0,))


def _signals(name: str, a: Any, v: Any, preferred: Any) -> list[Any]:
    arrays = as_arrays(name, a, v)
    for x in arrays:
        if x.ndim != 1:
            raise error(
                ValueError,
                f"{name}() only support 1-dimensional inputs.",
                got=", ".join(x.aval.str_short() for x in arrays),
                fix="use vmap for more axes.",
            )
        if not x.size:
            raise error(
                ValueError,
                f"{name}: inputs cannot be empty.",
                got=", ".join(x.aval.str_short() for x in arrays),
                fix="give at least one element in each.",
            )
    promote = promote_inexact if preferred is None else promote_dtypes
    return promote(name, *arrays)


_BLOCK = 1 << 20
"""The numbers in the table of one product: 4 MiB, which the caches hold."""


def _slid(name: str, x: Any, y: Any, mode: str, preferred: Any) -> Any:
    """The products of `y` with all windows of `x`, which is not shorter."""
    m = y.shape[0]
    if mode not in ("full", "same", "valid"):
        raise error(
            ValueError,
            "mode must be one of ['full', 'same', 'valid'].",
            got=f"mode={mode!r} of jnp.{name}",
            fix="use one of them.",
        )
    before, after = {"full": (m - 1, m - 1), "same": (m // 2, m - 1 - m // 2), "valid": (0, 0)}[
        mode
    ]
    x = pad(x, HostArray(x.dtype.type(0)), padding_config=((before, after, 0),))
    n = x.shape[0] - m + 1
    dtype = x.dtype if preferred is None else requested_dtype(preferred, name)
    rows = max(1, _BLOCK // m)
    parts = [
        _windows_times(slice_along(x, 0, i, min(i + rows, n) + m - 1), y, dtype)
        for i in range(0, n, rows)
    ]
    return parts[0] if len(parts) == 1 else concatenate(*parts, dimension=0)


def _windows_times(x: Any, y: Any, dtype: np.dtype) -> Any:
    m = y.shape[0]
    n = x.shape[0] - m + 1
    places = np.arange(n, dtype=np.int32)[:, None] + np.arange(m, dtype=np.int32)
    return dot_general(
        taken(x, HostArray(places), 0),
        y,
        dimension_numbers=(((1,), (0,)), ((), ())),
        precision=None,
        preferred_element_type=dtype,
    )


# ---- windows


def bartlett(M: int) -> Array:
    """The triangular window of length `M`, which is 0 at its ends."""
    return _window("bartlett", np.bartlett, M)


def blackman(M: int) -> Array:
    """The Blackman window of length `M`."""
    return _window("blackman", np.blackman, M)


def hamming(M: int) -> Array:
    """The Hamming window of length `M`."""
    return _window("hamming", np.hamming, M)


def hanning(M: int) -> Array:
    """The Hann window of length `M`."""
    return _window("hanning", np.hanning, M)


def _window(name: str, function: Any, length: Any) -> Any:
    n = integer(length, f"`M` of jnp.{name}")
    return HostArray(np.asarray(function(n)).astype(dtypes.default_float()))


def kaiser(M: int, beta: Any) -> Array:
    """The Kaiser window of length `M` and shape `beta`."""
    n = integer(M, "`M` of jnp.kaiser")
    dtype = dtypes.default_float()
    if n <= 1:
        return HostArray(np.ones(n, dtype))
    (beta,) = promote_inexact("kaiser", as_array(beta, "kaiser"))
    at = np.linspace(-1.0, 1.0, n)
    height = HostArray(np.sqrt(1 - at * at).astype(beta.dtype))
    top = i0(mul(broadcast_to(beta, (n,)), height))
    return div(top, broadcast_to(i0(beta), (n,)))
