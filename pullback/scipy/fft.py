"""Cosine transforms with SciPy's names and options: `jax.scipy.fft`."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import lax
from .. import numpy as jnp
from ..core.array import Array, HostArray
from ..core.errors import error
from ..numpy.arguments import integers
from ..numpy.promotion import as_array, axis_number, axis_numbers, inexact
from ..numpy.taking import taken
from ..ops.elementwise import complex_
from ..ops.slicing import pad
from ..ops.structural import zero_like

__all__ = ["dct", "dctn", "idct", "idctn"]


def dct(
    x: Any, type: int = 2, n: int | None = None, axis: int = -1, norm: str | None = None
) -> Array:
    """The cosine transform of type 2: 2 sum_j x[j] cos(pi k (2j + 1) / 2n).

    One real Fourier transform of the same length finds it: Makhoul, A fast cosine transform in one
    and two dimensions (1980).

    Args:
      x: an array of numbers; of complex ones, both parts are transformed.
      type: 2; there are no others.
      n: the length to which the axis is cut or padded with zeros first.
      axis: the axis.
      norm: None or "backward"; or "ortho", which makes the transform orthogonal.

    Raises:
      NotImplementedError: `type` is not 2.
      ValueError: `norm` is none of these.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.scipy.fft import dct, idct
      >>> print(dct(jnp.array([1., 2.])))
      [ 6.        -1.4142135]
      >>> print(idct(dct(jnp.array([1., 2.]))))
      [1. 2.]
    """
    return _along_axes("dct", _dct, x, type, None if n is None else (n,), (axis,), norm)


def idct(
    x: Any, type: int = 2, n: int | None = None, axis: int = -1, norm: str | None = None
) -> Array:
    """The inverse of `dct`, with the same arguments.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.scipy.fft import idct
      >>> from pullback.scipy.fft import dct
      >>> print(idct(dct(jnp.array([1.0, 2.0]))))
      [1. 2.]
    """
    return _along_axes("idct", _idct, x, type, None if n is None else (n,), (axis,), norm)


def dctn(
    x: Any,
    type: int = 2,
    s: Sequence[int] | None = None,
    axes: Sequence[int] | None = None,
    norm: str | None = None,
) -> Array:
    """`dct` along several axes, all by default, cut or padded to lengths `s` first.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.scipy.fft import dctn
      >>> print(dctn(jnp.ones((2, 2))))
      [[16.  0.]
       [ 0.  0.]]
    """
    return _along_axes("dctn", _dct, x, type, s, axes, norm)


def idctn(
    x: Any,
    type: int = 2,
    s: Sequence[int] | None = None,
    axes: Sequence[int] | None = None,
    norm: str | None = None,
) -> Array:
    """The inverse of `dctn`, with the same arguments."""
    return _along_axes("idctn", _idct, x, type, s, axes, norm)


def _along_axes(name: str, one: Any, x: Any, type: Any, s: Any, axes: Any, norm: Any) -> Any:
    x = as_array(x, f"scipy.fft.{name}")
    _check(name, type, norm)
    rank = len(x.shape)
    if s is not None:
        s = tuple(map(operator.index, s if hasattr(s, "__iter__") else (s,)))
        if len(s) > rank:
            raise error(
                ValueError,
                f"s must have at most x.ndim ({rank}) elements, got {len(s)}.",
                got=f"s={s} in scipy.fft.{name}",
                fix="give one length for each axis that is transformed.",
            )
    if axes is None:
        axes = tuple(range(rank if s is None else len(s)))
        axes = tuple(a + rank - len(axes) for a in axes)
    axes = tuple(axes) if hasattr(axes, "__iter__") else (axes,)
    places = axis_numbers(axes, rank)
    if s is not None:
        x = _resized(name, x, s, places)
    if not places or not x.size:
        return x
    x = inexact(f"scipy.fft.{name}", x)
    if x.dtype.itemsize < 4:
        x = x.astype(np.float32)
    if x.dtype.kind == "c":
        return complex_(*(_each(one, part, places, norm) for part in (jnp.real(x), jnp.imag(x))))
    return _each(one, x, places, norm)


def _each(one: Any, x: Any, axes: Any, norm: Any) -> Any:
    for axis in axes:
        x = one(x, axis_number(axis, len(x.shape)), norm == "ortho")
    return x


def _check(name: str, type: Any, norm: Any) -> None:
    if type != 2:
        raise error(
            NotImplementedError,
            "Only DCT type 2 is implemented.",
            got=f"type={type!r} in scipy.fft.{name}",
            fix="use type 2; its inverse, idct, is type 3 up to a factor.",
        )
    if norm not in (None, "backward", "ortho"):
        raise error(
            ValueError,
            f"jax.scipy.fft.{name}: norm={norm!r} is not implemented.",
            got=f"norm={norm!r}",
            fix='use None, "backward" or "ortho".',
        )


def _resized(name: str, x: Any, s: Any, axes: Any) -> Any:
    if len(s) != len(axes):
        raise error(
            ValueError,
            "s and axes must have the same length.",
            got=f"s={s} and axes={axes} in scipy.fft.{name}",
            fix="give one length for each axis.",
        )
    s = integers(s, f"`s` of scipy.fft.{name}")
    if any(n < 1 for n in s):
        raise error(
            ValueError,
            "Shape should be positive.",
            got=f"{s} in scipy.fft.{name}",
            fix="give lengths of 1 or more.",
        )
    ends = [0] * len(x.shape)
    for axis, n in zip(axes, s, strict=True):
        ends[axis] = n - x.shape[axis]
    if not any(ends):
        return x
    return pad(x, zero_like(x), padding_config=tuple((0, end, 0) for end in ends))


def _dct(x: Any, axis: int, ortho: bool) -> Any:
    # With the elements at even places first and the others, in reverse, behind them, v, and
    # z[k] = exp(-pi i k / 2n) fft(v)[k], the result is 2 Re z[k], and at n - k it is -2 Im z[k].
    n = x.shape[axis]
    v = taken(x, HostArray(_order(n)), axis)
    z = jnp.fft.rfft(v, axis=axis)
    z = z * _along(_turns(n, 2.0), z, axis)
    mirrored = lax.slice_in_dim(jnp.imag(z), 1, (n + 1) // 2, axis=axis)
    out = lax.concatenate([jnp.real(z), -lax.rev(mirrored, (axis,))], axis)
    return out * _along(_ortho_weights(n), out, axis) if ortho else out


def _idct(x: Any, axis: int, ortho: bool) -> Any:
    n = x.shape[axis]
    if ortho:
        x = x * _along(1 / _ortho_weights(n), x, axis)
    half = lax.slice_in_dim(x, 0, n // 2 + 1, axis=axis)
    # x[n - k] for k = 0 ... n // 2, where x[n] is 0.
    behind = lax.rev(lax.slice_in_dim(x, n - n // 2, n, axis=axis), (axis,))
    ends = [(1, 0, 0) if i == axis else (0, 0, 0) for i in range(len(x.shape))]
    behind = pad(behind, zero_like(behind), padding_config=tuple(ends))
    z = complex_(half, -behind)
    z = z * _along(np.conj(_turns(n, 2.0)) / 4.0, z, axis)
    v = jnp.fft.irfft(z, n=n, axis=axis)
    return taken(v, HostArray(np.argsort(_order(n)).astype(np.int32)), axis)


def _order(n: int) -> np.ndarray:
    """0, 2, 4, ... and then the odd numbers below `n`, from the last to 1."""
    numbers = np.arange(n, dtype=np.int32)
    return np.concatenate([numbers[::2], numbers[1::2][::-1]])


def _turns(n: int, factor: float) -> np.ndarray:
    return factor * np.exp(-0.5j * np.pi * np.arange(n // 2 + 1) / max(n, 1))


def _ortho_weights(n: int) -> np.ndarray:
    weights = np.full(n, np.sqrt(0.5 / max(n, 1)))
    weights[:1] *= np.sqrt(0.5)
    return weights


def _along(values: np.ndarray, x: Any, axis: int) -> Any:
    """Numbers along one axis, in the dtype of `x`, that broadcast with it."""
    shape = [1] * len(x.shape)
    shape[axis] = len(values)
    return HostArray(values.reshape(shape).astype(x.dtype))
