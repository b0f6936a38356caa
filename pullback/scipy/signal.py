"""Signals: convolution, and from spectra.py trends and spectra: `jax.scipy.signal`."""

from __future__ import annotations

from typing import Any

from .. import lax
from .. import numpy as jnp
from ..core.array import Array
from ..core.errors import error
from ..core.lazy import lazy
from ..numpy.promotion import as_arrays, axis_numbers, promote_inexact
from .spectra import csd as csd
from .spectra import detrend as detrend
from .spectra import istft as istft
from .spectra import stft as stft
from .spectra import welch as welch

scipy_fft = lazy("scipy.fft")

__all__ = [
    *("convolve", "convolve2d", "correlate", "correlate2d", "csd", "detrend", "fftconvolve"),
    *("istft", "stft", "welch"),
]

# ---- convolution


def fftconvolve(in1: Any, in2: Any, mode: str = "full", axes: Any = None) -> Array:
    """The convolution of two arrays, by Fourier transforms: for large arrays the fast way.

    Args:
      in1, in2: arrays with the same number of axes.
      mode: "full": all elements; "same": as many as `in1` has, from the middle; "valid": those
        where the smaller array lies inside the larger one.
      axes: the axes to convolve along, all by default; along the others both must be equally long.

    Raises:
      ValueError: the shapes do not fit, or there is no such mode.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.scipy.signal import fftconvolve
      >>> print(fftconvolve(jnp.array([1., 2., 3.]), jnp.array([1., 1.])).round(3))
      [1. 3. 5. 3.]
    """
    x, y = _operands("fftconvolve", in1, in2, mode)
    rank = len(x.shape)
    places = axis_numbers(axes, rank, "axes")
    if any(x.shape[i] != y.shape[i] for i in range(rank) if i not in places):
        raise error(
            ValueError,
            f"mapped axes must have same shape; got in1.shape={x.shape} in2.shape={y.shape} "
            f"axes={places}.",
            got=f"{x.aval.str_short()} and {y.aval.str_short()}",
            fix="make the lengths of the axes that are not convolved equal.",
        )
    lengths = [(x.shape[i], y.shape[i]) for i in places]
    if mode == "valid" and _one_inside("fftconvolve", lengths):
        x, y = y, x
        lengths = [(n, m) for m, n in lengths]
    full = [m + n - 1 for m, n in lengths]
    found = _by_transforms(x, y, places, full) if _is_sliding(lengths) else x * y
    wanted = {
        "full": full,
        "same": [m for m, _ in lengths],
        "valid": [m - n + 1 for m, n in lengths],
    }[mode]
    for axis, all_, n in zip(places, full, wanted, strict=True):
        start = (all_ - n) // 2
        found = lax.slice_in_dim(found, start, start + n, axis=axis)
    return found  # type: ignore[no-any-return]


def _is_sliding(lengths: Any) -> bool:
    return any(m != 1 and n != 1 for m, n in lengths)


def _by_transforms(x: Any, y: Any, axes: Any, full: Any) -> Any:
    """The products of the transforms, in lengths that are products of small primes."""
    dtype, real = x.dtype, x.dtype.kind != "c"
    s = tuple(scipy_fft.next_fast_len(n, real) for n in full)
    there, back = (jnp.fft.rfftn, jnp.fft.irfftn) if real else (jnp.fft.fftn, jnp.fft.ifftn)
    return back(there(x, s, axes) * there(y, s, axes), s, axes).astype(dtype)


def convolve(
    in1: Any, in2: Any, mode: str = "full", method: str = "auto", precision: Any = None
) -> Array:
    """The convolution of two arrays: element k is the sum of in1[j] in2[k - j] over all j.

    Args:
      in1, in2: arrays with the same number of axes, one of them not longer along any axis.
      mode: see `fftconvolve`.
      method: "direct" and "auto" add products; "fft" is `fftconvolve`.
      precision: how exactly a device may multiply.

    Raises:
      ValueError: the shapes do not fit, or there is no such mode or method.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.scipy.signal import convolve
      >>> print(convolve(jnp.array([1.0, 2.0]), jnp.array([1.0, 10.0])))
      [ 1. 12. 20.]
    """
    if method == "fft":
        return fftconvolve(in1, in2, mode)
    if method not in ("direct", "auto"):
        raise error(
            ValueError,
            f"Got method={method!r}; expected 'auto', 'fft', or 'direct'.",
            got=f"method={method!r}",
            fix="use one of them.",
        )
    return _directly("convolve", in1, in2, mode, precision)


def correlate(
    in1: Any, in2: Any, mode: str = "full", method: str = "auto", precision: Any = None
) -> Array:
    """The cross-correlation: `convolve` with `in2` in reverse and conjugated.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.scipy.signal import correlate
      >>> print(correlate(jnp.array([1.0, 2.0, 3.0]), jnp.array([1.0, 1.0]), mode='valid'))
      [3. 5.]
    """
    _, y = as_arrays("correlate", in1, in2)
    return convolve(in1, jnp.flip(jnp.conj(y)), mode, method, precision)


def convolve2d(
    in1: Any,
    in2: Any,
    mode: str = "full",
    boundary: str = "fill",
    fillvalue: float = 0,
    precision: Any = None,
) -> Array:
    """`convolve` of two arrays of two axes. `boundary` and `fillvalue` cannot be changed.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.scipy.signal import convolve2d
      >>> print(convolve2d(jnp.eye(2), jnp.ones((1, 2))))
      [[1. 1. 0.]
       [0. 1. 1.]]
    """
    x, y = _images("convolve2d", in1, in2, boundary, fillvalue)
    return _directly("convolve2d", x, y, mode, precision)


def correlate2d(
    in1: Any,
    in2: Any,
    mode: str = "full",
    boundary: str = "fill",
    fillvalue: float = 0,
    precision: Any = None,
) -> Array:
    """The cross-correlation of two arrays of two axes; the arguments are those of `convolve2d`.

    As in SciPy, "same" takes the other middle than `correlate` where that is between two elements,
    and "valid" of a smaller `in1` is the conjugate.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.scipy.signal import correlate2d
      >>> print(correlate2d(jnp.eye(2), jnp.ones((1, 2)), mode='valid'))
      [[1.]
       [1.]]
    """
    x, y = _images("correlate2d", in1, in2, boundary, fillvalue)
    if mode == "same":
        return jnp.flip(_directly("correlate2d", jnp.flip(x), jnp.conj(y), mode, precision))
    smaller = all(m <= n for m, n in zip(x.shape, y.shape, strict=True))
    if mode == "valid" and smaller and x.shape != y.shape:
        return _directly("correlate2d", jnp.flip(y), jnp.conj(x), mode, precision)
    return _directly("correlate2d", x, jnp.flip(jnp.conj(y)), mode, precision)


def _images(name: str, in1: Any, in2: Any, boundary: Any, fillvalue: Any) -> Any:
    if boundary != "fill" or fillvalue != 0:
        raise error(
            NotImplementedError,
            f"{name}() only supports boundary='fill', fillvalue=0.",
            got=f"boundary={boundary!r}, fillvalue={fillvalue!r}",
            fix='use jnp.pad first, and mode="valid".',
        )
    arrays = as_arrays(name, in1, in2)
    if any(len(x.shape) != 2 for x in arrays):
        raise error(
            ValueError,
            f"{name}() only supports 2-dimensional inputs.",
            got=" and ".join(x.aval.str_short() for x in arrays),
            fix="use vmap for more axes, or convolve.",
        )
    return arrays


def _operands(name: str, in1: Any, in2: Any, mode: Any) -> Any:
    if mode not in ("full", "same", "valid"):
        raise error(
            ValueError,
            "mode must be one of ['full', 'same', 'valid'].",
            got=f"mode={mode!r} of scipy.signal.{name}",
            fix="use one of them.",
        )
    x, y = promote_inexact(f"scipy.signal.{name}", in1, in2)
    if len(x.shape) != len(y.shape):
        raise error(
            ValueError,
            "in1 and in2 should have the same dimensionality.",
            got=f"{x.aval.str_short()} and {y.aval.str_short()} in scipy.signal.{name}",
            fix="add axes of length 1, or use vmap.",
        )
    if not x.size or not y.size:
        raise error(
            ValueError,
            f"zero-size arrays not supported in convolutions, got shapes {x.shape} and {y.shape}.",
            got=f"scipy.signal.{name}",
            fix="give at least one element in each.",
        )
    return x, y


def _one_inside(name: str, lengths: Any) -> bool:
    """Whether the first array must be moved over the second: it is not longer along any axis."""
    if all(m >= n for m, n in lengths):
        return False
    if all(m <= n for m, n in lengths):
        return True
    raise error(
        ValueError,
        "One input must be smaller than the other in every dimension.",
        got=f"lengths {[m for m, _ in lengths]} and {[n for _, n in lengths]} in "
        f"scipy.signal.{name}",
        fix='use method="fft" with mode="full" or "same", which take any lengths.',
    )


def _directly(name: str, in1: Any, in2: Any, mode: Any, precision: Any) -> Any:
    x, y = _operands(name, in1, in2, mode)
    asked = y.shape
    if _one_inside(name, list(zip(x.shape, y.shape, strict=True))):
        x, y = y, x
    # The kernel y has n elements; m is how many the second argument has, for the middle of "same".
    padding = {
        "full": [(n - 1, n - 1) for n in y.shape],
        "valid": [(0, 0) for _ in y.shape],
        "same": [
            (n - 1 - (m - 1) // 2, n - m + (m - 1) // 2)
            for n, m in zip(y.shape, asked, strict=True)
        ],
    }[mode]
    found = lax.conv_general_dilated(
        x[None, None], jnp.flip(y)[None, None], (1,) * len(padding), padding, precision=precision
    )
    return found[0, 0]
