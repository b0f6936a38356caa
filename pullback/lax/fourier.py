"""The discrete Fourier transform: `jax.lax.fft`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..core import dtypes
from ..core.array import Array
from ..core.errors import error
from ..numpy.promotion import astype, inexact_dtype
from ..ops.fft import FftType
from ..ops.fft import fft as fft_p
from .arguments import apply, as_array, integers


def fft(x: Any, fft_type: FftType | str, fft_lengths: Sequence[int]) -> Array:
    """The discrete Fourier transform of the last axes of `x`.

    Args:
      x: an array; RFFT takes real numbers, the others convert to complex ones.
      fft_type: FFT, IFFT, RFFT or IRFFT, by name or as a member of `FftType`.
      fft_lengths: the lengths of the axes that are transformed, the last ones. Of IRFFT those of
        the result: its input has n // 2 + 1 elements along the last axis.

    Raises:
      ValueError: `x` does not fit the lengths or the type.

    Example:
      >>> from pullback import lax
      >>> import pullback.numpy as jnp
      >>> print(lax.fft(jnp.array([1.0, 2.0, 3.0, 4.0]), "rfft", (4,)))
      [10.+0.j -2.+2.j -2.+0.j]
    """
    kind, array = _fft_type(fft_type), as_array(x, "fft")
    if kind == FftType.RFFT:
        if array.dtype.kind == "c":
            raise error(
                ValueError,
                "only real valued inputs supported for rfft.",
                got=array.aval.str_short(),
                fix='use "fft", or take the real part.',
            )
        array = astype(array, inexact_dtype(array.dtype))
    else:
        array = astype(array, dtypes.complex_dtype(inexact_dtype(array.dtype)))
    lengths = integers(fft_lengths, "fft")
    return apply(fft_p, array, fft_type=kind, fft_lengths=lengths) if lengths else array


def _fft_type(given: Any) -> FftType:
    if isinstance(given, FftType):
        return given
    if not isinstance(given, str):
        raise error(
            TypeError,
            f"Unknown FFT type value '{given}'.",
            got=f"{given!r} of type {type(given).__name__}",
            fix="give lax.FftType.FFT, IFFT, RFFT or IRFFT, or its name.",
        )
    if given not in _NAMES:
        raise error(
            ValueError,
            f"Unknown FFT type '{given}'.",
            got=repr(given),
            fix='use "fft", "ifft", "rfft" or "irfft".',
        )
    return _NAMES[given]


_NAMES = {name: t for t in FftType for name in (t.name, t.name.lower())}
