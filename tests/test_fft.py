"""Fourier and cosine transforms against NumPy, SciPy and, where it is installed, JAX."""

import functools
import itertools

import numpy as np
import peer
import pytest
import scipy.fft

import pullback.numpy as jnp
from pullback import lax
from pullback.api import grad, jvp
from pullback.jit import jit
from pullback.mapping import vmap
from pullback.scipy import fft as cosine
from pullback.test_util import check_grads


def values(*shape, kind="complex128", seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape)
    if np.dtype(kind).kind == "c":
        x = x + 1j * rng.normal(size=shape)
    return (8 * x).astype(kind)


def close(got, want, eps=1e-14):
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape
    size = np.abs(want).max(initial=1.0)
    np.testing.assert_allclose(got, want, rtol=0, atol=eps * size)


ONE = ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft")
SEVERAL = ("fftn", "ifftn", "rfftn", "irfftn")
REAL = ("rfft", "ihfft", "rfftn", "rfft2")
NORMS = (None, "backward", "ortho", "forward")


def operand(name, *shape):
    return values(*shape, kind="float64" if name in REAL else "complex128")


@pytest.mark.parametrize("name", ONE)
def test_one_axis(name, x64):
    x = operand(name, 5, 4)
    for n, axis, norm in itertools.product((None, 1, 3, 4, 7), (-1, 0), NORMS):
        want = getattr(np.fft, name)(x, n, axis, norm)
        close(getattr(jnp.fft, name)(x, n, axis, norm), want)


@pytest.mark.parametrize("name", SEVERAL)
def test_several_axes(name, x64):
    x = operand(name, 3, 4, 5)
    cases = [(None, None), (None, (0, 2)), (None, (2, 0)), ((4, 3), (1, -1)), ((2, 6), (0, 1))]
    for (s, axes), norm in itertools.product(cases, NORMS):
        want = getattr(np.fft, name)(x, s, axes, norm)
        close(getattr(jnp.fft, name)(x, s=s, axes=axes, norm=norm), want)
    want = getattr(np.fft, name)(x, (4, 6), (1, 2))  # NumPy is about to ask for the axes
    close(getattr(jnp.fft, name)(x, s=(4, 6)), want)


@pytest.mark.parametrize("name", ["fft2", "ifft2", "rfft2", "irfft2"])
def test_two_axes(name, x64):
    x = operand(name, 3, 4, 5)
    for s, axes in ((None, (-2, -1)), ((5, 2), (-2, -1)), (None, (2, 0))):
        close(getattr(jnp.fft, name)(x, s, axes), getattr(np.fft, name)(x, s, axes))


def test_more_than_three_axes(x64):
    x = values(2, 3, 2, 3, 2)
    close(jnp.fft.fftn(x), np.fft.fftn(x))
    close(jnp.fft.irfftn(x[..., :2]), np.fft.irfftn(x[..., :2], axes=range(5)))


def test_exact_to_the_precision_of_the_dtype(x64):
    x = values(4096)
    exact = np.fft.fft(x.astype(np.complex128))
    for kind in ("complex64", "complex128"):
        got = jnp.fft.fft(jnp.array(x.astype(kind)))
        assert got.dtype == kind
        want = exact if kind == "complex128" else np.fft.fft(x.astype(kind).astype("complex128"))
        error = np.linalg.norm(np.asarray(got) - want) / np.linalg.norm(want)
        assert error < 4 * np.finfo(kind).eps


def test_dtypes():
    floats = {"rfft": jnp.complex64, "fft": jnp.complex64, "irfft": jnp.float32}
    for name, dtype in floats.items():
        for x in (np.ones(4, np.int8), np.ones(4, np.float32), np.ones(4, bool), np.ones(4)):
            assert getattr(jnp.fft, name)(x).dtype == dtype
            assert not getattr(jnp.fft, name)(x).weak_type
    for kind in (jnp.float16, jnp.bfloat16):
        for name in ("fft", "rfft"):
            assert getattr(jnp.fft, name)(jnp.ones(4, kind)).dtype == jnp.complex64
    with pytest.raises(ValueError, match="RFFT input must be float32 or float64, got float16"):
        lax.fft(jnp.ones(4, jnp.float16), "rfft", (4,))
    assert jnp.fft.fft(jnp.ones(3, jnp.complex64)).dtype == jnp.complex64


def test_empty_and_scalar():
    close(jnp.fft.ihfft([1.0, 2.0]), np.fft.ihfft([1.0, 2.0]), 1e-6)  # JAX takes lists here too
    assert jnp.fft.fft(np.zeros((0, 3))).shape == (0, 3)
    assert jnp.fft.irfft(np.zeros((2, 1))).shape == (2, 0)
    assert jnp.fft.fftn(2.0) == 2 + 0j
    close(jnp.fft.fft(np.zeros((2, 0)), n=3), np.zeros((2, 3)))


@pytest.mark.parametrize("n", [1, 4, 5])
def test_frequencies(n, x64):
    close(jnp.fft.fftfreq(n), np.fft.fftfreq(n))
    close(jnp.fft.rfftfreq(n, 0.3), np.fft.rfftfreq(n, 0.3))
    close(jnp.fft.fftfreq(n, d=jnp.array(0.3)), np.fft.fftfreq(n, 0.3))
    assert jnp.fft.fftfreq(n, dtype=jnp.float32).dtype == jnp.float32
    close(grad(lambda d: jnp.sum(jnp.fft.rfftfreq(n, d)))(2.0), -np.fft.rfftfreq(n).sum() / 4)


def test_shifts():
    x = np.arange(30).reshape(5, 3, 2)
    for axes in (None, 0, (0, 2), (-1,)):
        for name in ("fftshift", "ifftshift"):
            got = getattr(jnp.fft, name)(x, axes)
            np.testing.assert_array_equal(got, getattr(np.fft, name)(x, axes))


# ---- derivatives, vmap, jit


@pytest.mark.parametrize("name", [*ONE, *SEVERAL])
def test_derivatives(name, x64):
    x = values(3, 4, kind="float64")
    options = {"norm": "ortho"} | ({"s": (2, 5)} if name in SEVERAL else {"n": 5, "axis": 0})
    function = functools.partial(getattr(jnp.fft, name), **options)

    def parts(re, im):
        out = function(re if name in REAL else lax.complex(re, im))
        out = out * out  # so that there is a second derivative
        return jnp.real(out), jnp.imag(out)

    check_grads(parts, (x, values(3, 4, kind="float64", seed=1)), 2, rtol=1e-6, atol=1e-6)


def test_dot_product_identity(x64):
    # The transposes of RFFT and IRFFT treat the first and the last element of the half alone.
    for n in (1, 2, 5, 6):
        x, y = values(n, kind="float64"), values(n // 2 + 1, seed=1)
        for f, a in ((jnp.fft.rfft, x), (functools.partial(jnp.fft.irfft, n=n), y)):
            out = f(a)
            ct = values(*out.shape, kind=out.dtype, seed=2)
            t = values(*a.shape, kind=a.dtype, seed=3)
            dot = jvp(f, (a,), (t,))[1]
            back = grad(lambda a, f=f, ct=ct: jnp.sum(jnp.real(f(a) * ct)))(a)
            left, right = np.sum(np.asarray(dot) * ct).real, np.sum(np.asarray(back) * t).real
            assert left == pytest.approx(right, rel=1e-13)


def test_vmap_and_jit(x64):
    x = values(3, 4, 5)
    for axis in (0, 1, 2):
        got = vmap(lambda v: jnp.fft.fft(v, 6, 0), axis, axis)(x)
        parts = np.moveaxis(x, axis, 0)
        want = np.stack([np.fft.fft(v, 6, 0) for v in parts], axis)
        close(got, want)
    close(jit(jnp.fft.fftn)(x), np.fft.fftn(x))
    close(jit(lambda x: jnp.fft.irfft(jnp.fft.rfft(x)))(x.real[..., :4]), x.real[..., :4])


# ---- lax.fft


def test_lax_fft():
    x = values(2, 4, kind="float32")
    close(lax.fft(x, "rfft", (4,)), np.fft.rfft(x), 1e-6)
    close(lax.fft(x, lax.FftType.IRFFT, [2, 6]), np.fft.irfftn(x, (2, 6), (0, 1)), 1e-6)
    assert lax.fft(x, "FFT", ()).dtype == jnp.complex64
    assert lax.fft_p.name == "fft"


MISTAKES = {
    "type": (lambda: lax.fft(np.ones(3), "dft", (3,)), ValueError, "Unknown FFT type 'dft'"),
    "no type": (lambda: lax.fft(np.ones(3), 7, (3,)), TypeError, "Unknown FFT type value '7'"),
    "complex": (lambda: jnp.fft.rfft(1j * np.ones(3)), ValueError, "only real valued inputs"),
    "lax complex": (lambda: lax.fft(1j * np.ones(3), "rfft", (3,)), ValueError, "only real valued"),
    "rank": (lambda: lax.fft(np.ones(3), "fft", (1, 3)), ValueError, "at least as many input"),
    "length": (lambda: lax.fft(np.ones(3), "rfft", (4,)), ValueError, "does not fit fft_lengths"),
    "half": (lambda: lax.fft(np.ones(3), "irfft", (3,)), ValueError, r"must have lengths \(2,\)"),
    "s": (lambda: jnp.fft.fftn(np.ones(3), (0,)), ValueError, "Shape should be positive"),
    "s and axes": (lambda: jnp.fft.fftn(np.ones(3), (1, 2), (0,)), ValueError, "different lengths"),
    "twice": (lambda: jnp.fft.fftn(np.ones(3), axes=(0, -1)), ValueError, "repeated axes"),
    "axis": (lambda: jnp.fft.fft(np.ones(3), axis=1), ValueError, "out of bounds"),
    "axes": (lambda: jnp.fft.fft(np.ones(3), axis=(0,)), ValueError, "multiple axes"),
    "hfft": (lambda: jnp.fft.hfft(np.ones(3), axis=[0]), ValueError, "multiple axes"),
    "two": (lambda: jnp.fft.fft2(np.ones(3), axes=(0,)), ValueError, "only supports 2 axes"),
    "norm": (lambda: jnp.fft.fft(np.ones(3), norm="max"), ValueError, "Invalid norm value max"),
    "n": (lambda: jnp.fft.fftfreq([3]), ValueError, "only takes an int"),
    "d": (lambda: jnp.fft.rfftfreq(3, [1.0]), ValueError, "only takes a single value"),
    "list": (lambda: jnp.fft.fft([1.0, 2.0]), TypeError, "requires ndarray or scalar"),
    "dct": (lambda: cosine.dct(np.ones(3), 3), NotImplementedError, "Only DCT type 2"),
    "dct norm": (lambda: cosine.idct(np.ones(3), norm="forward"), ValueError, "norm='forward'"),
    "dct s": (lambda: cosine.dctn(np.ones(3), s=(3, 3)), ValueError, "at most x.ndim"),
    "dct axes": (lambda: cosine.dctn(np.ones((3, 3)), s=(3,), axes=(0, 1)), ValueError, "same len"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes(name):
    call, cls, text = MISTAKES[name]
    with pytest.raises(cls, match=text) as caught:
        call()
    assert "Fix:" in str(caught.value)


# ---- cosine transforms


@pytest.mark.parametrize("n", [1, 2, 5, 8])
@pytest.mark.parametrize("norm", [None, "backward", "ortho"])
def test_cosine_transforms(n, norm, x64):
    x = values(3, n, kind="float64")
    for name in ("dct", "idct"):
        ours, theirs = getattr(cosine, name), getattr(scipy.fft, name)
        close(ours(x, norm=norm), theirs(x, norm=norm))
        close(ours(x, n=3, axis=0, norm=norm), theirs(x, n=3, axis=0, norm=norm))
        close(ours(x, n=6, norm=norm), theirs(x, n=6, norm=norm))
        close(ours(x + 2j * x, norm=norm), theirs(x, norm=norm) * (1 + 2j))


@pytest.mark.parametrize("name", ["dctn", "idctn"])
def test_cosine_transforms_of_several_axes(name, x64):
    ours, theirs = getattr(cosine, name), getattr(scipy.fft, name)
    x = values(3, 4, 5, kind="float64")
    for s, axes in ((None, None), ((2, 6), None), (None, (2, 0)), ((4, 3), (0, -1)), (2, None)):
        for norm in (None, "ortho"):
            close(ours(x, s=s, axes=axes, norm=norm), theirs(x, s=s, axes=axes, norm=norm))


def test_cosine_transforms_of_other_dtypes():
    for kind in (np.float16, np.float32, np.int32):
        x = values(5, kind=kind)
        for name in ("dct", "idct"):
            got = getattr(cosine, name)(x)
            assert got.dtype == jnp.float32
            close(got, getattr(scipy.fft, name)(x.astype(float)), 1e-6)
    assert cosine.dct(np.zeros((2, 0))).shape == (2, 0)


def test_derivatives_of_cosine_transforms(x64):
    for f in (cosine.dct, cosine.idct, cosine.dctn):
        check_grads(lambda x, f=f: f(x, norm="ortho") ** 2, (values(2, 5, kind="float64"),), 2)
    x = values(3, 4, kind="float64")
    close(vmap(cosine.dct, 1)(x), scipy.fft.dct(x.T))


# ---- JAX


@pytest.mark.skipif(not peer.INSTALLED, reason="jax is not installed")
def test_agrees_with_jax():
    import jax

    x, z = values(4, 5, kind="float32"), values(4, 5, kind="complex64")

    def calls(np_like, dct):
        f = np_like.fft
        return [
            f.fft(x, norm="forward"),
            f.hfft(z, 7, 0, "ortho"),
            f.ihfft(x, norm="forward"),
            f.irfftn(z, (3, 4), (1, 0), "ortho"),
            f.fftn(x.astype(np.int8), norm="ortho"),
            f.fftfreq(5, 0.1, dtype=np.float32),
            f.fftfreq(5, dtype=np.int32),
            f.rfftfreq(5, 2),
            dct.dct(x),
            dct.idctn(x.astype(np.int32), s=(3, 3), norm="ortho"),
        ]

    for got, want in zip(
        calls(jnp, cosine), jax.jit(lambda: calls(jax.numpy, jax.scipy.fft))(), strict=True
    ):
        assert got.dtype == want.dtype
        close(got, want, 2e-6)
    ours = grad(lambda z: jnp.sum(jnp.fft.irfftn(z) ** 3))(z)
    theirs = jax.jit(jax.grad(lambda z: jax.numpy.sum(jax.numpy.fft.irfftn(z) ** 3)))(z)
    close(ours, theirs, 2e-6)
