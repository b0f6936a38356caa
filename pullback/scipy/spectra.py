"""Trends, and the spectra of short segments of a signal: a part of `jax.scipy.signal`.

The segments are `nperseg` long, and start `nperseg - noverlap` apart. Each is multiplied with a
window and transformed. `stft` gives the transforms, `welch` and `csd` the mean of their products.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import lax
from .. import numpy as jnp
from ..core import dtypes
from ..core.array import Array, HostArray
from ..core.errors import error, warn
from ..core.lazy import lazy
from ..numpy.arguments import half_to_single, integer
from ..numpy.promotion import (
    as_array,
    astype,
    axis_number,
    broadcast_shapes,
    inexact,
    promote_inexact,
)
from ..numpy.taking import taken

scipy_signal = lazy("scipy.signal")

# ---- trends


def detrend(
    data: Any,
    axis: int = -1,
    type: str = "linear",
    bp: int | Sequence[int] | np.ndarray = 0,
    overwrite_data: None = None,
) -> Array:
    """`data` less the straight line, or the constant, that fits it best along an axis.

    Args:
      data: an array of numbers.
      axis: the axis.
      type: "linear" or "constant".
      bp: where a new line starts, for "linear".
      overwrite_data: must be None: arrays are never overwritten.

    Raises:
      ValueError: there is no such type, or a place in `bp` is outside of the data.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.scipy.signal import detrend
      >>> print(detrend(jnp.array([1., 2., 6.]), type="constant"))
      [-2. -1.  3.]
    """
    if overwrite_data is not None:
        raise error(
            NotImplementedError,
            "overwrite_data argument not implemented.",
            got=f"overwrite_data={overwrite_data!r}",
            fix="leave it out: arrays are never overwritten.",
        )
    if type not in ("constant", "linear"):
        raise error(
            ValueError,
            "Trend type must be 'linear' or 'constant'.",
            got=f"type={type!r}",
            fix="use one of them.",
        )
    x = inexact("scipy.signal.detrend", jnp.asarray(data))
    axis = axis_number(axis, len(x.shape))
    if type == "constant":
        return x - jnp.mean(x, axis, keepdims=True)
    n = x.shape[axis]
    ends = np.unique([0, *np.ravel(bp), n])
    if ends[0] < 0 or ends[-1] > n:
        raise error(
            ValueError,
            "Breakpoints must be non-negative and less than length of data along given axis.",
            got=f"bp={bp} for {n} elements",
            fix=f"give places from 0 to {n}.",
        )
    x = jnp.moveaxis(x, axis, -1)
    pieces = [
        _without_line(lax.slice_in_dim(x, int(start), int(end), axis=-1))
        for start, end in itertools.pairwise(ends)
    ]
    return jnp.moveaxis(jnp.concatenate(pieces, -1) if pieces else x, -1, axis)


def _without_line(x: Any) -> Any:
    """`x` less its projection on constants and straight lines, along the last axis."""
    n = x.shape[-1]
    basis = np.stack([np.ones(n), np.arange(n) - (n - 1) / 2])[: min(n, 2)]
    basis /= np.linalg.norm(basis, axis=1, keepdims=True)
    lines = HostArray(basis.astype(x.dtype))
    return x - jnp.matmul(jnp.matmul(x, lines.T, precision="highest"), lines, precision="highest")


# ---- spectra


def stft(
    x: Any,
    fs: Any = 1.0,
    window: Any = "hann",
    nperseg: int = 256,
    noverlap: int | None = None,
    nfft: int | None = None,
    detrend: Any = False,
    return_onesided: bool = True,
    boundary: str | None = "zeros",
    padded: bool = True,
    axis: int = -1,
) -> tuple[Array, Array, Array]:
    """The short-time Fourier transform: the spectra of overlapping segments.

    Args:
      x: an array of numbers.
      fs: how many elements stand for a unit of time.
      window: what segments are multiplied with: an array, or a name or tuple that
        ``scipy.signal.get_window`` knows.
      nperseg: the length of a segment.
      noverlap: how many elements two neighbours share, by default half a segment.
      nfft: the length to which segments are padded with zeros, by default theirs.
      detrend: what is taken from each segment: "constant", "linear", nothing if False, or a
        function of segments along `axis`.
      return_onesided: of real signals, leave out the negative frequencies.
      boundary: how the signal is continued by half a segment at both ends: "zeros", "constant",
        "even", "odd" or None.
      padded: add zeros at the end, so that all elements lie in segments.
      axis: the axis of time.

    Returns:
      The frequencies, the times, and the transforms: frequency at `axis`, time last.

    Raises:
      ValueError: an argument is none of these, or lengths do not fit.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.scipy.signal import stft
      >>> f, t, z = stft(jnp.ones(8), nperseg=4)
      >>> print(f, z.shape)
      [0.   0.25 0.5 ] (3, 5)
    """
    call = _Call("stft", fs, window, nperseg, noverlap, nfft, detrend, return_onesided, axis)
    return _spectra(call, x, None, "spectrum", boundary, padded)


def csd(
    x: Any,
    y: Any,
    fs: Any = 1.0,
    window: Any = "hann",
    nperseg: int | None = None,
    noverlap: int | None = None,
    nfft: int | None = None,
    detrend: Any = "constant",
    return_onesided: bool = True,
    scaling: str = "density",
    axis: int = -1,
    average: str = "mean",
) -> tuple[Array, Array]:
    """The cross spectral density by Welch's method: the mean of conj(X) Y over all segments.

    Args:
      x, y: arrays of numbers; the shorter one is padded with zeros. Without `y`, that of `x` alone.
      fs, window, nperseg, noverlap, nfft, detrend, return_onesided, axis: see `stft`.
      scaling: "density" for a density per unit of frequency, "spectrum" for powers.
      average: "mean" or "median" over the segments.

    Returns:
      The frequencies, and the density.

    Raises:
      ValueError: an argument is none of these, or lengths do not fit.
    """
    call = _Call("csd", fs, window, nperseg, noverlap, nfft, detrend, return_onesided, axis)
    frequencies, _, p = _spectra(call, x, y, scaling, None, False)
    if y is not None:
        p = astype(p, dtypes.complex_dtype(p.dtype))
    if len(p.shape) < 2 or not p.size:
        return frequencies, p
    if p.shape[-1] == 1:
        return frequencies, p.reshape(p.shape[:-1])
    if average == "mean":
        return frequencies, p.mean(axis=-1)
    if average != "median":
        raise error(
            ValueError,
            f'average must be "median" or "mean", got {average}.',
            got=f"average={average!r}",
            fix="use one of them.",
        )
    bias = _median_bias(p.shape[-1])
    if p.dtype.kind != "c":
        return frequencies, jnp.median(p, axis=-1) / bias
    parts = [jnp.median(part, axis=-1) for part in (jnp.real(p), jnp.imag(p))]
    return frequencies, lax.complex(*parts) / bias


def welch(
    x: Any,
    fs: Any = 1.0,
    window: Any = "hann",
    nperseg: int | None = None,
    noverlap: int | None = None,
    nfft: int | None = None,
    detrend: Any = "constant",
    return_onesided: bool = True,
    scaling: str = "density",
    axis: int = -1,
    average: str = "mean",
) -> tuple[Array, Array]:
    """The power spectral density by Welch's method; the arguments are those of `csd`.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.scipy.signal import welch
      >>> frequencies, p = welch(jnp.sin(jnp.pi * jnp.arange(64) / 4), nperseg=16)
      >>> print(frequencies[p.argmax()])
      0.125
    """
    options = (window, nperseg, noverlap, nfft, detrend, return_onesided, scaling, axis, average)
    frequencies, p = csd(x, None, fs, *options)
    return frequencies, jnp.real(p)


def _median_bias(n: int) -> float:
    """The median of `n` powers over their mean, on average: Allen et al. (2005), appendix B."""
    even = 2.0 * np.arange(1, (n - 1) // 2 + 1)
    return 1.0 + float(np.sum(1 / (even + 1) - 1 / even))


class _Call(NamedTuple):
    """The arguments that all functions of spectra share."""

    name: str
    fs: Any
    window: Any
    nperseg: Any
    noverlap: Any
    nfft: Any
    detrend: Any
    return_onesided: Any
    axis: Any


class _Segments(NamedTuple):
    """How a signal is taken apart: the window, its length, and the distance of two segments."""

    window: Any
    length: int
    step: int
    nfft: int
    sides: str
    detrend: Callable[[Any], Any]


def _spectra(
    call: _Call, x: Any, y: Any, scaling: str, boundary: Any, padded: bool
) -> tuple[Any, Any, Any]:
    """Frequencies, times, and the spectra of all segments, frequency at the axis and time last."""
    if boundary not in _BOUNDARIES:
        raise error(
            ValueError,
            f"Unknown boundary option '{boundary}', must be one of: {list(_BOUNDARIES)}.",
            got=f"boundary={boundary!r}",
            fix="use one of them.",
        )
    signals = _signals(call, x, y)
    dtype, (x, *others) = signals[0].dtype, signals
    real = dtypes.real_dtype(dtype)
    axis = axis_number(call.axis, len(x.shape))
    if any(not s.size for s in signals):
        shape = _empty_shape(signals, axis)
        return jnp.zeros(shape, real), jnp.zeros(shape, real), jnp.zeros(shape, _complex(real))
    window, nperseg = _window(call, x.shape[axis], dtype)
    how = _segments(call, window, nperseg, dtype)
    signals = _equally_long([jnp.moveaxis(s, axis, -1) for s in signals])
    signals = [_BOUNDARIES[boundary](s, nperseg // 2) for s in signals]
    total = signals[0].shape[-1]
    if padded:
        missing = (-(total - nperseg) % how.step) % nperseg
        signals, total = [_with_zeros(s, 0, missing) for s in signals], total + missing
    scale = _scale(call.fs, window, scaling)
    found = [_transforms(s, how) for s in signals]
    if call.name == "stft":
        p = found[0] * jnp.sqrt(scale).astype(found[0].dtype)
    elif others:
        p = jnp.conj(found[0]) * found[1]
        p = p * scale.astype(p.dtype)
    else:
        p = (jnp.real(found[0]) ** 2 + jnp.imag(found[0]) ** 2) * jnp.real(scale)
    if how.sides == "onesided" and call.name != "stft":
        sides = HostArray(_both_sides(how.nfft).astype(p.dtype))
        p = p * jnp.broadcast_to(sides, p.shape)
    frequencies = jnp.fft.rfftfreq if how.sides == "onesided" else jnp.fft.fftfreq
    first = 0.0 if boundary else nperseg / 2
    count = (total - nperseg) // how.step + 1
    times = HostArray((first + how.step * np.arange(count)).astype(real)) / call.fs
    kind = _complex(real) if others or call.name == "stft" else real
    p = jnp.moveaxis(astype(p, kind), -1, axis)
    return frequencies(how.nfft, 1 / call.fs, dtype=real), times, p


def _complex(dtype: np.dtype) -> np.dtype:
    return dtypes.complex_dtype(dtype)


def _signals(call: _Call, x: Any, y: Any) -> list[Any]:
    """One or two arrays of one dtype, of at least 32 bits, and of one number of axes."""
    given = [x] if y is None else [x, y]
    arrays = promote_inexact(f"scipy.signal.{call.name}", *given)
    arrays = [astype(a, half_to_single(a.dtype)) for a in arrays]
    if len({len(a.shape) for a in arrays}) > 1:
        raise error(
            ValueError,
            "two-arguments must have the same rank.",
            got=" and ".join(a.aval.str_short() for a in arrays),
            fix="add axes of length 1.",
        )
    return arrays


def _empty_shape(signals: list[Any], axis: int) -> tuple[int, ...]:
    shapes = [s.shape for s in signals]
    if len(shapes) == 1:
        return shapes[0]  # type: ignore[no-any-return]
    outer = broadcast_shapes("csd", *(s[:axis] + s[axis + 1 :] for s in shapes))
    return (*outer[:axis], min(s[axis] for s in shapes), *outer[axis:])


def _window(call: _Call, total: int, dtype: Any) -> tuple[Any, int]:
    """The window as an array, and its length, which is that of a segment."""
    nperseg = None if call.nperseg is None else _positive("nperseg", call.nperseg)
    if isinstance(call.window, (str, tuple)):
        n = total if nperseg is None else nperseg
        if n > total:
            warn(
                f"nperseg={n} is greater than input_length={total}, using nperseg={total}",
                UserWarning,
            )
            n = total
        return HostArray(_named_window(call.window, n).astype(dtype)), n
    window = astype(as_array(jnp.asarray(call.window)), dtype)
    n = window.size if nperseg is None else nperseg
    _check_window(window, n)
    if total < n:
        raise error(
            ValueError,
            "window is longer than input signal.",
            got=f"a window of {n} elements for a signal of {total}",
            fix="give a shorter window.",
        )
    return window, n


def _check_window(window: Any, n: int) -> None:
    if len(window.shape) != 1 or window.shape[0] != n:
        raise error(
            ValueError,
            f"window must be 1-D, and have length of {n}: the value of nperseg.",
            got=window.aval.str_short(),
            fix="give one number for each element of a segment.",
        )


def _named_window(window: Any, n: int) -> np.ndarray:
    if window == "hann":
        return np.sin(np.pi * np.arange(n) / n) ** 2 if n > 1 else np.ones(n)  # type: ignore[no-any-return]
    try:
        return np.asarray(scipy_signal.get_window(window, n))
    except (ValueError, TypeError) as cause:
        raise error(
            type(cause),
            f"there is no such window: {cause}",
            got=f"window={window!r}",
            fix='use a name such as "hann", a tuple such as ("kaiser", 8.0), or an array.',
        ) from None


def _positive(name: str, value: Any) -> int:
    n = integer(value, f"`{name}` of scipy.signal") if not isinstance(value, float) else int(value)
    if n < 1:
        raise error(
            ValueError,
            f"{name} must be a positive integer.",
            got=f"{name}={value!r}",
            fix="give 1 or more.",
        )
    return n


def _lengths(nperseg: int, noverlap: Any, nfft: Any, default: int) -> tuple[int, int]:
    """The distance of two segments, and the length of a transform."""
    shared = nperseg // 2 if noverlap is None else integer(noverlap, "`noverlap` of scipy.signal")
    length = default if nfft is None else integer(nfft, "`nfft` of scipy.signal")
    if length < nperseg:
        raise error(
            ValueError,
            "nfft must be greater than or equal to nperseg.",
            got=f"nfft={length} and nperseg={nperseg}",
            fix="give a larger nfft, or leave it out.",
        )
    if shared >= nperseg:
        raise error(
            ValueError,
            "noverlap must be less than nperseg.",
            got=f"noverlap={shared} and nperseg={nperseg}",
            fix="give a smaller noverlap, or leave it out for half a segment.",
        )
    return nperseg - shared, length


def _segments(call: _Call, window: Any, nperseg: int, dtype: np.dtype) -> _Segments:
    step, nfft = _lengths(nperseg, call.noverlap, call.nfft, nperseg)
    sides = "onesided" if call.return_onesided else "twosided"
    if call.return_onesided and dtype.kind == "c":
        sides = "twosided"
        warn("Input data is complex, switching to return_onesided=False", UserWarning)
    return _Segments(window, nperseg, step, nfft, sides, _detrend_function(call))


def _detrend_function(call: _Call) -> Callable[[Any], Any]:
    kind, axis = call.detrend, call.axis
    if isinstance(kind, str):
        return lambda d: detrend(d, type=kind)
    if callable(kind):
        if axis == -1:
            return kind  # type: ignore[no-any-return]
        return lambda d: jnp.moveaxis(kind(jnp.moveaxis(d, -1, axis)), axis, -1)
    if kind:
        raise error(
            ValueError,
            f"Unsupported detrend type: {kind}.",
            got=f"detrend={kind!r}",
            fix='use "constant", "linear", False or a function.',
        )
    return lambda d: d


def _transforms(x: Any, how: _Segments) -> Any:
    """The transforms of all segments: time, then frequency."""
    count = (x.shape[-1] - how.length) // how.step + 1
    places = np.arange(how.length) + how.step * np.arange(count)[:, None]
    parts = taken(x, HostArray(places.astype(np.int32)), len(x.shape) - 1)
    parts = how.detrend(parts)
    parts = parts * jnp.broadcast_to(how.window, parts.shape)
    if how.sides == "twosided":
        return jnp.fft.fft(parts, n=how.nfft)
    return jnp.fft.rfft(jnp.real(parts), n=how.nfft)


def _scale(fs: Any, window: Any, scaling: str) -> Any:
    if scaling == "density":
        return 1 / (fs * jnp.sum(window * window))
    if scaling == "spectrum":
        return 1 / jnp.sum(window) ** 2
    raise error(
        ValueError,
        f"Unknown scaling: {scaling}.",
        got=f"scaling={scaling!r}",
        fix='use "density" or "spectrum".',
    )


def _both_sides(nfft: int) -> np.ndarray:
    """How often the power at each frequency counts: twice, where the negative one is left out."""
    counts = np.full(nfft // 2 + 1, 2.0)
    counts[0] = 1.0
    if nfft % 2 == 0:
        counts[-1] = 1.0
    return counts


# ---- the ends of a signal


def _equally_long(signals: list[Any]) -> list[Any]:
    longest = max(s.shape[-1] for s in signals)
    return [_with_zeros(s, 0, longest - s.shape[-1]) for s in signals]


def _with_zeros(x: Any, before: int, after: int) -> Any:
    return _extended(x, before, after, "constant") if before or after else x


def _extended(x: Any, before: int, after: int, mode: str, **options: Any) -> Any:
    return jnp.pad(x, [(0, 0)] * (len(x.shape) - 1) + [(before, after)], mode, **options)


_BOUNDARIES: dict[Any, Callable[[Any, int], Any]] = {
    "even": lambda x, n: _extended(x, n, n, "reflect"),
    "odd": lambda x, n: _extended(x, n, n, "reflect", reflect_type="odd"),
    "constant": lambda x, n: _extended(x, n, n, "edge"),
    "zeros": lambda x, n: _with_zeros(x, n, n),
    None: lambda x, n: x,
}


# ---- back


def istft(
    Zxx: Any,
    fs: Any = 1.0,
    window: Any = "hann",
    nperseg: int | None = None,
    noverlap: int | None = None,
    nfft: int | None = None,
    input_onesided: bool = True,
    boundary: bool = True,
    time_axis: int = -1,
    freq_axis: int = -2,
) -> tuple[Array, Array]:
    """The signal whose short-time Fourier transform this is; if there is none, the nearest one.

    Args:
      Zxx: what `stft` gives, for the same arguments.
      fs, window, nperseg, noverlap, nfft: see `stft`.
      input_onesided: whether the negative frequencies are left out.
      boundary: whether the signal was continued at both ends; this is cut off.
      time_axis, freq_axis: the axes of `Zxx`.

    Returns:
      The times, and the signal.

    Raises:
      ValueError: lengths do not fit.
    """
    z = as_array(Zxx, "istft")
    rank = len(z.shape)
    if rank < 2:
        raise error(
            ValueError,
            "Input stft must be at least 2d!",
            got=z.aval.str_short(),
            fix="give an axis of frequencies and one of times.",
        )
    f_axis, t_axis = axis_number(freq_axis, rank), axis_number(time_axis, rank)
    if f_axis == t_axis:
        raise error(
            ValueError,
            "Must specify differing time and frequency axes!",
            got=f"freq_axis={freq_axis}, time_axis={time_axis}",
            fix="give two axes.",
        )
    z = astype(z, dtypes.complex_dtype(inexact("istft", z).dtype))
    z = jnp.moveaxis(z, (f_axis, t_axis), (-2, -1))
    bins = z.shape[-2]
    whole = 2 * (bins - 1) if input_onesided else bins
    n = whole if nperseg is None else _positive("nperseg", nperseg)
    step, length = _lengths(n, noverlap, nfft, n if input_onesided and n == whole + 1 else whole)
    back = jnp.fft.irfft if input_onesided else jnp.fft.ifft
    parts = jnp.swapaxes(back(z, n=length, axis=-2)[..., :n, :], -2, -1)
    if isinstance(window, (str, tuple)):
        win: Any = HostArray(_named_window(window, n).astype(parts.dtype))
    else:
        win = astype(as_array(jnp.asarray(window)), parts.dtype)
        _check_window(win, n)
    x = _overlapped(parts * jnp.broadcast_to(win, parts.shape) * jnp.sum(win), step)
    norm = _overlapped(jnp.broadcast_to(win * win, parts.shape[-2:]), step)
    if boundary:
        x, norm = (lax.slice_in_dim(v, n // 2, v.shape[-1] - n // 2, axis=-1) for v in (x, norm))
    norm = jnp.where(jnp.real(norm) > 1e-10, norm, 1)
    x = x / jnp.broadcast_to(norm, x.shape)
    # Without the axis of frequencies, that of times has moved if it stood behind.
    x = jnp.moveaxis(x, -1, t_axis - (f_axis < t_axis))
    return jnp.arange(x.shape[0], dtype=dtypes.real_dtype(x.dtype)) / fs, x


def _overlapped(x: Any, step: int) -> Any:
    """The sum of segments that start `step` apart: from (..., time, n) to one axis."""
    *batch, count, n = x.shape
    rows = math.ceil(n / step)
    # Each segment in `rows` blocks; row r of all segments is moved by r blocks.
    x = _extended(x, 0, rows * step - n, "constant").reshape(*batch, count, rows, step)
    x = jnp.swapaxes(x, -3, -2)
    x = jnp.pad(x, [(0, 0)] * len(batch) + [(0, 0), (0, rows), (0, 0)])
    width = count + rows - 1
    x = x.reshape(*batch, rows * (count + rows) * step)[..., : rows * width * step]
    x = x.reshape(*batch, rows, width * step).sum(-2)
    return x[..., : step * (count - 1) + n]
