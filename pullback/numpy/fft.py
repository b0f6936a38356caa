"""Discrete Fourier transforms, and the frequencies that belong to them: `jax.numpy.fft`.

The functions of several axes take `s`, the lengths to which these are cut or padded with zeros
first, and `axes`, all by default (the last len(s), if `s` is given). `norm` says where the sum is
divided by the number of elements: "backward" (or None) in the inverse, "forward" in the transform,
"ortho" by the square root in both.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

from ..core import dtypes
from ..core.array import Array
from ..core.errors import error
from ..core.trace import type_of
from ..ops.elementwise import conj as conj_p
from ..ops.elementwise import mul
from ..ops.fft import FftType
from ..ops.fft import fft as fft_p
from ..ops.slicing import pad
from ..ops.spreading import put_where
from ..ops.structural import zero_like
from .arguments import half_to_single, integer
from .conversion import asarray
from .creation import arange
from .promotion import (
    as_array,
    astype,
    axis_number,
    axis_numbers,
    inexact,
    inexact_dtype,
    requested_dtype,
    weak_scalar,
)
from .shaping import moveaxis, roll

__all__ = [
    *("fft", "fft2", "fftfreq", "fftn", "fftshift", "hfft", "ifft", "ifft2", "ifftn"),
    *("ifftshift", "ihfft", "irfft", "irfft2", "irfftn", "rfft", "rfft2", "rfftfreq", "rfftn"),
]

Lengths = Sequence[int] | None

# ---- several axes


def fftn(a: Any, s: Lengths = None, axes: Lengths = None, norm: str | None = None) -> Array:
    """The Fourier transform along several axes: the sum of a[j] exp(-2 pi i j k / n) over all j.

    Args:
      a: an array of numbers.
      s: the lengths to which the axes are cut or padded first.
      axes: the axes, all by default.
      norm: "backward", "ortho" or "forward".

    Raises:
      ValueError: `s` and `axes` have different lengths, an axis is repeated or does not exist, or
        `norm` is none of these.

    Example:
      >>> import pullback.numpy as jnp
      >>> print(jnp.fft.fftn(jnp.array([[1., 2.], [3., 4.]])))
      [[10.+0.j -2.+0.j]
       [-4.+0.j  0.+0.j]]
    """
    return _transform("fftn", FftType.FFT, a, s, axes, norm)


def ifftn(a: Any, s: Lengths = None, axes: Lengths = None, norm: str | None = None) -> Array:
    """The inverse of `fftn`, with the same arguments.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.numpy.fft import ifftn
      >>> print(ifftn(jnp.ones((2, 2))).real)
      [[1. 0.]
       [0. 0.]]
    """
    return _transform("ifftn", FftType.IFFT, a, s, axes, norm)


def rfftn(a: Any, s: Lengths = None, axes: Lengths = None, norm: str | None = None) -> Array:
    """`fftn` of real numbers: of the last axis, which is real, the first n // 2 + 1 elements.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.numpy.fft import rfftn
      >>> print(rfftn(jnp.ones((2, 2))).real)
      [[4. 0.]
       [0. 0.]]
    """
    return _transform("rfftn", FftType.RFFT, a, s, axes, norm)


def irfftn(a: Any, s: Lengths = None, axes: Lengths = None, norm: str | None = None) -> Array:
    """The inverse of `rfftn`; `s` are the lengths of the result, the last by default even."""
    return _transform("irfftn", FftType.IRFFT, a, s, axes, norm)


def fft2(
    a: Any, s: Lengths = None, axes: Sequence[int] = (-2, -1), norm: str | None = None
) -> Array:
    """`fftn` along two axes, the last two by default.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.numpy.fft import fft2
      >>> print(fft2(jnp.ones((2, 2))).real)
      [[4. 0.]
       [0. 0.]]
    """
    return _transform("fft2", FftType.FFT, a, s, _two("fft2", axes), norm)


def ifft2(
    a: Any, s: Lengths = None, axes: Sequence[int] = (-2, -1), norm: str | None = None
) -> Array:
    """`ifftn` along two axes, the last two by default.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.numpy.fft import ifft2
      >>> print(ifft2(jnp.ones((2, 2))).real)
      [[1. 0.]
       [0. 0.]]
    """
    return _transform("ifft2", FftType.IFFT, a, s, _two("ifft2", axes), norm)


def rfft2(
    a: Any, s: Lengths = None, axes: Sequence[int] = (-2, -1), norm: str | None = None
) -> Array:
    """`rfftn` along two axes, the last two by default."""
    return _transform("rfft2", FftType.RFFT, a, s, _two("rfft2", axes), norm)


def irfft2(
    a: Any, s: Lengths = None, axes: Sequence[int] = (-2, -1), norm: str | None = None
) -> Array:
    """`irfftn` along two axes, the last two by default."""
    return _transform("irfft2", FftType.IRFFT, a, s, _two("irfft2", axes), norm)


# ---- one axis


def fft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None) -> Array:
    """The Fourier transform along one axis, cut or padded to length `n` first.

    Element k is the sum of a[j] exp(-2 pi i j k / n) over all j.

    Example:
      >>> import pullback.numpy as jnp
      >>> print(jnp.fft.fft(jnp.array([1., 2., 3., 4.])))
      [10.+0.j -2.+2.j -2.+0.j -2.-2.j]
    """
    return _along_one("fft", FftType.FFT, a, n, axis, norm)


def ifft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None) -> Array:
    """The inverse of `fft`, with the same arguments.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.numpy.fft import ifft
      >>> print(ifft(jnp.array([4.0, 0.0])))
      [2.+0.j 2.+0.j]
    """
    return _along_one("ifft", FftType.IFFT, a, n, axis, norm)


def rfft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None) -> Array:
    """`fft` of real numbers: its first n // 2 + 1 elements; the others are their conjugates.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.numpy.fft import rfft
      >>> print(rfft(jnp.array([1.0, 1.0, 1.0, 1.0])))
      [4.+0.j 0.+0.j 0.+0.j]
    """
    return _along_one("rfft", FftType.RFFT, a, n, axis, norm)


def irfft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None) -> Array:
    """The inverse of `rfft`; `n` is the length of the result, by default even: 2 (m - 1).

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.numpy.fft import irfft
      >>> print(irfft(jnp.array([4.0, 0.0, 0.0])))
      [1. 1. 1. 1.]
    """
    return _along_one("irfft", FftType.IRFFT, a, n, axis, norm)


def hfft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None) -> Array:
    """`fft` of a signal of which `a` is the first half, the rest its conjugate: it is real.

    `n` is the length of the result, by default even: 2 (m - 1).
    """
    x = as_array(a, "jax.numpy.fft.hfft")
    _one("hfft", axis)
    length = 2 * (x.shape[axis] - 1) if n is None else n
    return _scaled(_along_one("hfft", FftType.IRFFT, _conjugate(x), n, axis, norm), length)


def ihfft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None) -> Array:
    """The inverse of `hfft`: of a real spectrum, the first half of the signal."""
    x = asarray(a)
    _one("ihfft", axis)
    length = x.shape[axis] if n is None else n
    out = _along_one("ihfft", FftType.RFFT, x, n, axis, norm)
    return _scaled(_conjugate(out), 1 / length if length else 1.0)


# ---- frequencies, and their order


def fftfreq(n: int, d: Any = 1.0, *, dtype: Any = None, device: Any = None) -> Array:
    """The frequencies that belong to the elements of `fft`, for `n` samples `d` apart.

    Those from (n + 1) // 2 on are negative.

    Args:
      n: the number of samples.
      d: the time between two.
      dtype: the dtype of the result, by default float32 (with x64 float64).
      device: a Device or a Sharding: where the result is put.

    Example:
      >>> import pullback.numpy as jnp
      >>> print(jnp.fft.fftfreq(4))
      [ 0.    0.25 -0.5  -0.25]
    """
    wanted = _frequency_dtype("fftfreq", n, d, dtype)
    order = astype(roll(arange(-(n // 2), (n + 1) // 2), -(n // 2)), inexact_dtype(wanted))
    return put_where(astype(order / astype(as_array(d * n), order.dtype), wanted), device)


def rfftfreq(n: int, d: Any = 1.0, *, dtype: Any = None, device: Any = None) -> Array:
    """The frequencies that belong to the elements of `rfft`; the arguments are `fftfreq`'s.

    Example:
      >>> from pullback.numpy.fft import rfftfreq
      >>> print(rfftfreq(4))
      [0.   0.25 0.5 ]
    """
    wanted = _frequency_dtype("rfftfreq", n, d, dtype)
    return put_where(arange(n // 2 + 1, dtype=wanted) / astype(as_array(d * n), wanted), device)


def fftshift(x: Any, axes: Any = None) -> Array:
    """`x` with the zero frequency in the middle of each of `axes`, all by default.

    Example:
      >>> import pullback.numpy as jnp
      >>> print(jnp.fft.fftshift(jnp.fft.fftfreq(4)))
      [-0.5  -0.25  0.    0.25]
    """
    return _shifted("fftshift", x, axes, 1)


def ifftshift(x: Any, axes: Any = None) -> Array:
    """The inverse of `fftshift`: the zero frequency comes back to the front.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.numpy.fft import ifftshift
      >>> print(ifftshift(jnp.arange(3)))
      [1 2 0]
    """
    return _shifted("ifftshift", x, axes, -1)


def _shifted(name: str, x: Any, axes: Any, sign: int) -> Any:
    x = as_array(x, name)
    if axes is None:
        axes = tuple(range(len(x.shape)))
    else:
        axes = axis_numbers(axes if isinstance(axes, (tuple, list)) else (axes,), len(x.shape))
    return roll(x, tuple(sign * (x.shape[axis] // 2) for axis in axes), tuple(axes))


def _frequency_dtype(name: str, n: Any, d: Any, dtype: Any) -> Any:
    for what, value, takes in (("n", n, "an int"), ("d", d, "a single value")):
        if isinstance(value, (list, tuple)):
            raise error(
                ValueError,
                f"The {what} argument of jax.numpy.fft.{name} only takes {takes}. Got {what} = "
                f"{list(value)}.",
                got=repr(value),
                fix="give one number.",
            )
    integer(n, f"`n` of jax.numpy.fft.{name}")
    return dtypes.default_float() if dtype is None else requested_dtype(dtype, name)


# ---- the transform itself


def _one(name: str, axis: Any) -> None:
    if isinstance(axis, (list, tuple)):
        raise error(
            ValueError,
            f"jax.numpy.fft.{name} does not support multiple axes. Please use "
            f"jax.numpy.fft.{name}n. Got axis = {axis!r}.",
            got=f"axis={axis!r}",
            fix="give one axis, or use the function for several.",
        )


def _two(name: str, axes: Any) -> Any:
    if len(axes) != 2:
        raise error(
            ValueError,
            f"jax.numpy.fft.{name} only supports 2 axes. Got axes = {axes!r}.",
            got=f"axes={axes!r}",
            fix="give two axes, or use the function for several.",
        )
    return axes


def _along_one(name: str, kind: FftType, a: Any, n: Any, axis: Any, norm: Any) -> Any:
    if isinstance(axis, (list, tuple)):
        _one(name, axis)
    s = None if n is None else (n,)
    return _transform(name, kind, a, s, None if axis is None else (axis,), norm)


def _transform(name: str, kind: FftType, a: Any, s: Any, axes: Any, norm: Any) -> Any:
    x = _operand(name, kind, a)
    lengths, places = _lengths_and_axes(name, x, s, axes)
    rank, count = len(x.shape), len(places)
    innermost = tuple(range(rank - count, rank))
    if places != innermost:
        x = moveaxis(x, places, innermost)
    if lengths is not None:
        x = _cut_or_padded(x, kind, lengths)
    else:
        lengths = x.shape[rank - count :]
        if kind == FftType.IRFFT and count:
            lengths = (*lengths[:-1], max(0, 2 * (lengths[-1] - 1)))
    if count:
        x = fft_p(x, fft_type=kind, fft_lengths=lengths)
    if norm is not None and norm != "backward":
        x = _scaled(x, _norm(name, norm, lengths))
    return moveaxis(x, innermost, places) if places != innermost else x


def _operand(name: str, kind: FftType, a: Any) -> Any:
    x = as_array(a, f"jax.numpy.fft.{name}")
    dtype = x.dtype
    if kind != FftType.RFFT:
        return astype(x, dtypes.complex_dtype(inexact(name, x).dtype))
    if dtype.kind == "c":
        raise error(
            ValueError,
            "only real valued inputs supported for rfft.",
            got=f"{type_of(x).str_short()} in jax.numpy.fft.{name}",
            fix="use fft, or take the real part.",
        )
    return astype(x, half_to_single(inexact(name, x).dtype))


def _lengths_and_axes(name: str, x: Any, s: Any, axes: Any) -> tuple[Any, Any]:
    rank = len(x.shape)
    if s is not None:
        s = tuple(map(operator.index, s))
        if any(n <= 0 for n in s):
            raise error(
                ValueError,
                "Shape should be positive.",
                got=f"{s} in jax.numpy.fft.{name}",
                fix="give lengths of 1 or more.",
            )
        if axes is not None and len(s) != len(axes):
            raise error(
                ValueError,
                "Shape and axes have different lengths.",
                got=f"s={s} and axes={axes} in jax.numpy.fft.{name}",
                fix="give one length for each axis.",
            )
    if axes is None:
        axes = range(rank if s is None else len(s))
        axes = [a + rank - len(axes) for a in axes]
    places = tuple(axis_number(a, rank) for a in axes)
    if len(set(places)) != len(places):
        raise error(
            ValueError,
            f"jax.numpy.fft.{name} does not support repeated axes. Got axes {tuple(axes)}.",
            got=f"axes={axes}",
            fix="name each axis once.",
        )
    return s, places


def _cut_or_padded(x: Any, kind: FftType, lengths: Any) -> Any:
    """`x` with its last axes of these lengths: rests cut off, or zeros behind."""
    want = (*lengths[:-1], lengths[-1] // 2 + 1) if kind == FftType.IRFFT else lengths
    before = len(x.shape) - len(want)
    if x.shape[before:] == want:
        return x
    ends = [(0, w - n, 0) for n, w in zip(x.shape[before:], want, strict=True)]
    return pad(x, zero_like(x), padding_config=(*((0, 0, 0),) * before, *ends))


def _norm(name: str, norm: str, lengths: Any) -> float:
    """What a transform whose inverse divides by the number of elements is multiplied by."""
    total = math.prod(lengths)
    if norm not in ("ortho", "forward"):
        raise error(
            ValueError,
            f'Invalid norm value {norm}; should be "backward", "ortho" or "forward".',
            got=f"norm={norm!r} in jax.numpy.fft.{name}",
            fix="use one of them.",
        )
    factor = math.sqrt(total) if norm == "ortho" else float(total)
    if name.startswith("i"):
        return factor
    return 1 / factor if factor else math.inf


def _scaled(x: Any, factor: float) -> Any:
    return mul(x, weak_scalar(x.dtype, factor))


def _conjugate(x: Any) -> Any:
    return conj_p(x, input_dtype=x.dtype) if x.dtype.kind == "c" else x
