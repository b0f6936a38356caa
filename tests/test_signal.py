"""Convolutions and spectra against SciPy and, where it is installed, JAX."""

import functools
import itertools
import warnings

import numpy as np
import peer
import pytest
import scipy.signal

from pullback import numpy as jnp
from pullback.jit import jit
from pullback.mapping import vmap
from pullback.scipy import signal
from pullback.test_util import check_grads

MODES = ("full", "same", "valid")


def values(*shape, kind="float64", seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape)
    if np.dtype(kind).kind == "c":
        x = x + 1j * rng.normal(size=shape)
    return x.astype(kind)


def close(got, want, eps=1e-12):
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, rtol=0, atol=eps * max(1.0, np.abs(want).max(initial=0)))


# ---- convolution


SHAPES = [((7,), (3,)), ((3,), (8,)), ((4,), (4,)), ((5, 6), (2, 3)), ((2, 3), (5, 4))]
KINDS = pytest.mark.parametrize("kind", ["float64", "complex128"])


@KINDS
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("method", ["direct", "fft", "auto"])
def test_convolve_and_correlate(kind, mode, method, x64):
    for a, b in [*SHAPES, ((3, 4, 2), (2, 2, 2))]:
        x, y = values(*a, kind=kind), values(*b, kind=kind, seed=1)
        close(signal.convolve(x, y, mode, method), scipy.signal.convolve(x, y, mode, "direct"))
        # The order of correlate's arguments matters in another way in SciPy where in1 is smaller.
        if a >= b:
            want = scipy.signal.correlate(x, y, mode, "direct")
            close(signal.correlate(x, y, mode, method), want)


@KINDS
@pytest.mark.parametrize("mode", MODES)
def test_two_axes(kind, mode, x64):
    for a, b in [((5, 6), (2, 3)), ((2, 3), (5, 4)), ((4, 4), (4, 4)), ((5, 5), (2, 2))]:
        x, y = values(*a, kind=kind), values(*b, kind=kind, seed=1)
        close(signal.convolve2d(x, y, mode), scipy.signal.convolve2d(x, y, mode))
        close(signal.correlate2d(x, y, mode), scipy.signal.correlate2d(x, y, mode))


@KINDS
@pytest.mark.parametrize("mode", MODES)
def test_fftconvolve(kind, mode, x64):
    x, y = values(4, 3, 5, kind=kind), values(2, 3, 3, kind=kind, seed=1)
    for axes in ((0, 2), (-1, 0)):
        want = scipy.signal.fftconvolve(x, y, mode, axes)
        close(signal.fftconvolve(x, y, mode, axes), want)
        close(jit(signal.fftconvolve, static_argnums=(2, 3))(x, y, mode, axes), want)
    close(signal.fftconvolve(x, y), scipy.signal.fftconvolve(x, y))
    close(signal.fftconvolve(y, x, mode), scipy.signal.fftconvolve(y, x, mode))
    one = np.array([[[2.0]]])
    close(signal.fftconvolve(x, one, mode), 2 * x)


def test_any_shapes_by_transforms(x64):
    x, y = values(2, 6), values(5, 3)
    for mode in ("full", "same"):
        close(signal.fftconvolve(x, y, mode), scipy.signal.fftconvolve(x, y, mode))


def test_dtypes_of_convolutions():
    for kind in (np.int32, np.float16, np.float32, np.complex64):
        x = np.arange(5).astype(kind)
        want = {np.int32: np.float32}.get(kind, kind)
        for method in ("direct", "fft"):
            got = signal.convolve(x, x[:2], method=method)
            assert got.dtype == want
            np.testing.assert_allclose(np.abs(got), np.convolve(np.arange(5), [0, 1]), atol=1e-2)


def test_derivatives_of_convolutions(x64):
    for mode, method in itertools.product(MODES, ("direct", "fft")):
        f = functools.partial(signal.correlate, mode=mode, method=method)
        check_grads(lambda x, y, f=f: f(x, y) ** 2, (values(3, 4), values(2, 2, seed=1)), 2)
    x, y = values(3, 6), values(3, 2, seed=1)
    for method in ("direct", "fft"):
        got = vmap(functools.partial(signal.convolve, method=method))(x, y)
        close(got, [np.convolve(a, b) for a, b in zip(x, y, strict=True)])


# ---- trends


@KINDS
@pytest.mark.parametrize("kind_of_trend", ["constant", "linear"])
def test_detrend(kind, kind_of_trend, x64):
    x = values(6, 7, kind=kind)
    for axis, bp in ((-1, 0), (0, 0), (1, [2, 5]), (0, 3), (1, [6])):
        want = scipy.signal.detrend(x, axis, kind_of_trend, bp)
        close(signal.detrend(x, axis, kind_of_trend, bp), want)
    assert signal.detrend([1, 2, 4]).dtype == jnp.float64


# ---- spectra


def _from_the_first(d):
    return d - d[..., :1]


def _shown(options):
    return " ".join(f"{k}={getattr(v, '__name__', v)}" for k, v in options.items())


SEGMENTS = [
    {},
    {"nperseg": 16},
    {"nperseg": 15, "noverlap": 3, "fs": 2.5},
    {"nperseg": 12, "nfft": 21},
    {"nperseg": 10, "window": "hamming"},
    {"nperseg": 10, "window": ("tukey", 0.25)},
    {"window": np.hanning(9), "nperseg": 9},
    {"nperseg": 16, "return_onesided": False},
    {"nperseg": 8, "detrend": "linear"},
    {"nperseg": 8, "detrend": "constant", "noverlap": 0},
    {"nperseg": 16, "detrend": False},
    {"nperseg": 16, "detrend": _from_the_first},
]
DENSITIES = [
    *({"scaling": "spectrum", **more} for more in SEGMENTS[:3]),
    {"nperseg": 12, "average": "median"},
    {"nperseg": 20, "average": "median", "return_onesided": False},
]
TRANSFORMS = [
    {"nperseg": 16, "boundary": b, "padded": p}
    for b in ("even", "odd", "constant", "zeros", None)
    for p in (True, False)
]


def agree(name, args, options, eps=1e-12):
    with warnings.catch_warnings(action="ignore"):  # of nperseg that are too long, in both
        got = getattr(signal, name)(*args, **options)
        want = getattr(scipy.signal, name)(*args, **options)
    for g, w in zip(got, want, strict=True):
        assert np.asarray(g).dtype.kind == w.dtype.kind
        close(g, w, eps)


@pytest.mark.parametrize("options", [*SEGMENTS, *DENSITIES], ids=_shown)
def test_welch_and_csd(options, x64):
    agree("welch", (values(50),), options)
    agree("csd", (values(50), values(41, seed=1)), options)


def test_spectra_of_several_signals(x64):
    x, y = values(3, 40, 2), values(3, 40, 2, seed=1)
    agree("welch", (x,), {"axis": 1, "nperseg": 16})
    agree("csd", (x, y), {"axis": -2, "nperseg": 16})
    agree("csd", (x, y[:1]), {"axis": 1, "nperseg": 16, "average": "median"})
    agree("stft", (x,), {"axis": 1, "nperseg": 16})
    # A function gets the segments where the signal was.
    got = signal.welch(x, axis=1, nperseg=16, detrend=lambda d: d - d[:, :1])[1]
    for i, j in np.ndindex(3, 2):
        want = scipy.signal.welch(x[i, :, j], nperseg=16, detrend=lambda d: d - d[..., :1])[1]
        close(got[i, :, j], want)


@pytest.mark.parametrize("options", [*SEGMENTS[1:], *TRANSFORMS], ids=_shown)
def test_stft(options, x64):
    agree("stft", (values(50),), options)


def test_spectra_of_complex_signals(x64):
    x = values(50, kind="complex128")
    for name, args in (("welch", (x,)), ("csd", (x, values(50))), ("stft", (x,))):
        agree(name, args, {"nperseg": 16, "return_onesided": False})
        with pytest.warns(UserWarning, match="switching to return_onesided=False"):
            getattr(signal, name)(*args, nperseg=16)
    with pytest.warns(UserWarning, match="nperseg=99 is greater than input_length=50"):
        signal.welch(values(50), nperseg=99)


INVERSES = [
    {"nperseg": 16},
    {"nperseg": 16, "noverlap": 12},
    {"nperseg": 15, "noverlap": 10},
    {"nperseg": 16, "noverlap": 11, "nfft": 30},
    {"nperseg": 12, "window": "hamming", "noverlap": 9, "fs": 3.0},
    {"nperseg": 8, "window": np.ones(8), "noverlap": 0},
]


@pytest.mark.parametrize("options", INVERSES, ids=_shown)
@pytest.mark.parametrize("onesided", [True, False])
def test_istft(options, onesided, x64):
    x = values(3, 64, kind="float64" if onesided else "complex128")
    _, _, z = scipy.signal.stft(x, **options, return_onesided=onesided)
    z = z + values(*z.shape, kind="complex128", seed=3)  # not the transform of any signal
    agree("istft", (z,), {**options, "input_onesided": onesided})
    no_ends = {**options, "window": np.ones(options["nperseg"])}
    agree("istft", (z,), {**no_ends, "input_onesided": onesided, "boundary": False})
    for axes in ((0, 1), (2, 0), (1, 2)):
        moved = np.moveaxis(z, (-1, -2), axes)
        more = {"time_axis": axes[0], "freq_axis": axes[1], "input_onesided": onesided}
        agree("istft", (moved,), {**options, **more})


def test_there_and_back(x64):
    x = values(2, 50)
    for options in ({"nperseg": 10}, {"nperseg": 9, "noverlap": 6}, {"nperseg": 1, "noverlap": 0}):
        _, _, z = signal.stft(x, **options)
        close(signal.istft(z, **options)[1][..., :50], x)


def test_dtypes_of_spectra():
    x = values(40, kind="float32")
    f, t, z = signal.stft(x, nperseg=8)
    assert (f.dtype, t.dtype, z.dtype) == (jnp.float32, jnp.float32, jnp.complex64)
    assert signal.welch(np.arange(40), nperseg=8)[1].dtype == jnp.float32
    assert signal.csd(x, x, nperseg=8)[1].dtype == jnp.complex64
    assert signal.istft(z)[1].dtype == jnp.float32
    for empty in (signal.welch(x[:0]), signal.csd(x[:0], x)):
        assert [e.shape for e in empty] == [(0,), (0,)]


def test_derivatives_of_spectra(x64):
    x, y = values(20), values(20, seed=1)
    check_grads(lambda x: signal.welch(x, nperseg=6)[1], (x,), 2, rtol=1e-5, atol=1e-5)
    check_grads(lambda fs: signal.welch(x, fs, nperseg=6), (2.5,), 2, rtol=1e-5, atol=1e-5)

    def parts(x, y, window):
        p = signal.csd(x, y, nperseg=6, window=window)[1]
        return jnp.real(p), jnp.imag(p)

    check_grads(parts, (x, y, np.hanning(6) + 0.1), 2, rtol=1e-5, atol=1e-5)

    def there_and_back(x):
        _, _, z = signal.stft(x, nperseg=6)
        return signal.istft(jnp.exp(z), nperseg=6)[1]

    check_grads(there_and_back, (x,), 2, rtol=1e-5, atol=1e-5)
    check_grads(lambda x: signal.detrend(x, bp=[4]) ** 2, (x,), 2, rtol=1e-5, atol=1e-5)


def test_vmap_and_jit_of_spectra(x64):
    x = values(3, 40)
    want = scipy.signal.welch(x, nperseg=16)[1]
    close(vmap(lambda x: signal.welch(x, nperseg=16)[1])(x), want)
    close(jit(lambda x: signal.welch(x, nperseg=16)[1])(x), want)
    z = scipy.signal.stft(x, nperseg=16)[2]
    back = vmap(lambda z: signal.istft(z, nperseg=16)[1])(z)
    close(back[:, :40], x)


# ---- mistakes


X = np.arange(8.0)
MISTAKES = {
    "mode": (lambda: signal.convolve(X, X, "half"), "mode must be one of"),
    "fft mode": (lambda: signal.fftconvolve(X, X, "half"), "mode must be one of"),
    "method": (lambda: signal.convolve(X, X, method="fast"), "Got method='fast'"),
    "rank": (lambda: signal.fftconvolve(X, X[None]), "same dimensionality"),
    "empty": (lambda: signal.convolve(X, X[:0]), "zero-size arrays"),
    "fft of nothing": (lambda: signal.fftconvolve(X[:0], X), "zero-size arrays"),
    "inside": (lambda: signal.convolve(np.ones((2, 3)), np.ones((3, 2))), "must be smaller"),
    "valid": (lambda: signal.fftconvolve(np.ones((2, 3)), np.ones((3, 2)), "valid"), "smaller"),
    "axes": (lambda: signal.fftconvolve(np.ones((2, 3)), np.ones((3, 3)), axes=1), "same shape"),
    "images": (lambda: signal.convolve2d(X, X), "2-dimensional inputs"),
    "trend": (lambda: signal.detrend(X, type="square"), "Trend type must be"),
    "break": (lambda: signal.detrend(X, bp=9), "Breakpoints must be"),
    "nperseg": (lambda: signal.welch(X, nperseg=0), "positive integer"),
    "nfft": (lambda: signal.welch(X, nperseg=4, nfft=3), "nfft must be greater"),
    "noverlap": (lambda: signal.welch(X, nperseg=4, noverlap=4), "noverlap must be less"),
    "scaling": (lambda: signal.welch(X, scaling="log"), "Unknown scaling: log"),
    "average": (lambda: signal.welch(X, nperseg=4, average="max"), "average must be"),
    "detrend": (lambda: signal.welch(X, detrend=7), "Unsupported detrend type"),
    "window": (lambda: signal.welch(X, window=np.ones(3), nperseg=4), "window must be 1-D"),
    "long window": (lambda: signal.welch(X, window=np.ones(9)), "longer than input"),
    "ranks": (lambda: signal.csd(X, X[None]), "same rank"),
    "boundary": (lambda: signal.stft(X, nperseg=4, boundary="sky"), "Unknown boundary"),
    "istft": (lambda: signal.istft(X), "at least 2d"),
    "istft axes": (lambda: signal.istft(X[None], time_axis=0, freq_axis=0), "differing"),
    "istft window": (lambda: signal.istft(np.ones((5, 4)), window=np.ones(3)), "window must be"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes(name):
    call, text = MISTAKES[name]
    with warnings.catch_warnings(action="ignore"), pytest.raises(ValueError, match=text) as caught:
        call()
    assert "Fix:" in str(caught.value)


def test_what_is_not_there():
    for call in (
        lambda: signal.convolve2d(X[None], X[None], boundary="wrap"),
        lambda: signal.detrend(X, overwrite_data=True),
    ):
        with pytest.raises(NotImplementedError, match="Fix:"):
            call()


@pytest.mark.skipif(not peer.INSTALLED, reason="jax is not installed")
def test_agrees_with_jax():
    import jax
    import jax.scipy.signal

    x, y = values(4, 40, kind="float32"), values(4, 40, kind="float32", seed=1)
    small = values(2, 3, kind="float32")

    def calls(of):
        found = [of.correlate2d(x, small, mode) for mode in MODES]
        found += [of.correlate2d(small, x[:, :4], mode) for mode in MODES]
        found += [of.correlate(small, x[:, :4], mode) for mode in MODES]
        found += [of.convolve(x, small, "same", precision="highest")]
        found += [of.detrend(x, bp=[7, 20]), of.detrend(x.astype(np.int32), 0)]
        found += [*of.welch(x, 3.0, nperseg=9, average="median")]
        found += [*of.csd(x, y, nperseg=9), *of.stft(x, nperseg=8, boundary="odd")]
        found += [*of.istft(of.stft(x, nperseg=8)[2], nperseg=8)]
        return found

    theirs = jax.jit(lambda: calls(jax.scipy.signal))()
    for got, want in zip(calls(signal), theirs, strict=True):
        assert got.dtype == want.dtype
        close(got, want, 1e-5)
