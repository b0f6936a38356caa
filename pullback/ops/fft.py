"""The discrete Fourier transform over the last axes: linear, in real and complex numbers.

Computed by pocketfft, which SciPy brings, in the precision of its input.
"""

from __future__ import annotations

import enum
import math
from typing import Any

import numpy as np

from ..core import dtypes
from ..core.array import HostArray
from ..core.errors import error
from ..core.lazy import lazy
from ..core.primitive import CORE
from ..core.types import ArrayType, array_type
from .elementwise import conj, mul
from .structural import LinearPrimitive, broadcast_in_dim, move_axis

scipy_fft = lazy("scipy.fft")


class FftType(enum.IntEnum):
    """Which transform: complex or, along the last axis, between real and half of the complex."""

    FFT = 0
    IFFT = 1
    RFFT = 2
    IRFFT = 3

    def __repr__(self) -> str:
        return f"FftType.{self.name}"

    __str__ = __repr__


class Fft(LinearPrimitive):
    """The transform of the last `len(fft_lengths)` axes, of these lengths where x is not half.

    RFFT gives the first n // 2 + 1 of n elements along the last axis: the others are their
    conjugates. IRFFT takes such a half, and `fft_lengths` says whether n was even. It is the
    inverse of RFFT, as IFFT is of FFT: both divide by the number of elements.
    """

    def typing(self, x: Any, *, fft_type: Any, fft_lengths: Any) -> ArrayType:
        count = len(fft_lengths)
        if not 1 <= count <= len(x.shape):
            raise error(
                ValueError,
                f"FFT input shape {x.shape} must have at least as many input dimensions as "
                f"fft_lengths {tuple(fft_lengths)}, and at least one.",
                got=x.str_short(),
                fix="give the lengths of the last axes, one for each that is transformed.",
            )
        _check_dtype(fft_type, x)
        before, last = x.shape[: len(x.shape) - count], tuple(fft_lengths)
        half = (*last[:-1], last[-1] // 2 + 1)
        want = half if fft_type == FftType.IRFFT else last
        if x.shape[len(before) :] != want:
            raise error(
                ValueError,
                f"{fft_type.name} input shape {x.shape} does not fit fft_lengths {last}.",
                got=f"{x.str_short()}; its last axes must have lengths {want}",
                fix="crop or pad the array first, as the functions of pullback.numpy.fft do.",
            )
        if fft_type == FftType.RFFT:
            return array_type((*before, *half), dtypes.complex_dtype(x.dtype), x.weak_type)
        if fft_type == FftType.IRFFT:
            return array_type((*before, *last), dtypes.real_dtype(x.dtype), x.weak_type)
        return x  # type: ignore[no-any-return]

    def eval(self, x: Any, *, fft_type: Any, fft_lengths: Any) -> Any:
        if not x.size or 0 in fft_lengths:
            out = self.typing(array_type(x.shape, x.dtype), **_params(fft_type, fft_lengths))
            return np.zeros(out.shape, out.dtype)
        one, many = _FUNCTIONS[fft_type]
        if len(fft_lengths) == 1:
            return getattr(scipy_fft, one)(x, fft_lengths[0])
        axes = tuple(range(x.ndim - len(fft_lengths), x.ndim))
        return getattr(scipy_fft, many)(x, fft_lengths, axes)

    def transpose(self, ct: Any, x: Any, *, fft_type: Any, fft_lengths: Any) -> list[Any]:
        if fft_type == FftType.RFFT:
            # y_k is the sum of x_j e^(-2 pi i jk/n), so the cotangent of x_j is the real part of
            # the sum of ct_k e^(-2 pi i jk/n) over the half. IRFFT would add to each k its mirror:
            # those in the middle, which have one, get half their weight.
            weights = _weights(fft_lengths, ct.dtype, inverse=True)
            return [_transformed(_conjugated(_times(ct, weights)), FftType.IRFFT, fft_lengths)]
        if fft_type == FftType.IRFFT:
            weights = _weights(fft_lengths, dtypes.complex_dtype(ct.dtype), inverse=False)
            return [_conjugated(_times(_transformed(ct, FftType.RFFT, fft_lengths), weights))]
        return [_transformed(ct, fft_type, fft_lengths)]

    def vmap(self, size: int, args: Any, axes: Any, *, fft_type: Any, fft_lengths: Any) -> Any:
        return _transformed(move_axis(args[0], axes[0], 0), fft_type, fft_lengths), 0

    lower = CORE


fft = Fft()

_FUNCTIONS = {
    FftType.FFT: ("fft", "fftn"),
    FftType.IFFT: ("ifft", "ifftn"),
    FftType.RFFT: ("rfft", "rfftn"),
    FftType.IRFFT: ("irfft", "irfftn"),
}


def _params(fft_type: FftType, fft_lengths: Any) -> dict[str, Any]:
    return {"fft_type": fft_type, "fft_lengths": fft_lengths}


def _transformed(x: Any, fft_type: FftType, fft_lengths: Any) -> Any:
    return fft(x, fft_type=fft_type, fft_lengths=fft_lengths)


def _check_dtype(fft_type: FftType, x: Any) -> None:
    takes = ("float32", "float64") if fft_type == FftType.RFFT else ("complex64", "complex128")
    if x.dtype.name not in takes:
        raise error(
            ValueError,
            f"{fft_type.name} input must be {takes[0]} or {takes[1]}, got {x.dtype.name}.",
            got=x.str_short(),
            fix="convert with .astype(...).",
        )


def _weights(fft_lengths: Any, dtype: Any, *, inverse: bool) -> HostArray:
    """How often each element of the half stands in the whole, over the number of elements.

    The first one stands there once, as does the last one of an even number; the others twice.
    """
    n, total = fft_lengths[-1], math.prod(fft_lengths)
    counts = np.full(n // 2 + 1, 2.0)
    counts[0] = 1.0
    if n % 2 == 0:
        counts[-1] = 1.0
    weights = total / counts if inverse else counts / max(total, 1)
    return HostArray(weights.astype(dtype))


def _times(x: Any, weights: HostArray) -> Any:
    """`x` times weights along its last axis."""
    shape = x.shape
    wide = broadcast_in_dim(weights, shape=shape, broadcast_dimensions=(len(shape) - 1,))
    return mul(x, wide)


def _conjugated(x: Any) -> Any:
    return conj(x, input_dtype=x.dtype)
