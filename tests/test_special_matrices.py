"""jax.scipy.linalg: matrices with a name, against SciPy; stacks against loops."""

import numpy as np
import peer
import pytest
import scipy.linalg

from pullback import jit, vmap
from pullback import numpy as jnp
from pullback.scipy import linalg
from pullback.test_util import check_grads

V = np.array([3.0, -1.0, 2.0, 0.5, 4.0])
NAMES = ["circulant", "companion", "fiedler", "fiedler_companion", "hankel"]


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("name", NAMES)
def test_matrices_of_a_vector(name, n, x64):
    ours, theirs = getattr(linalg, name), getattr(scipy.linalg, name)
    v = V[:n]
    if name == "companion" and n < 2:
        with pytest.raises(ValueError, match="at least 2"):
            ours(v)
        return
    want = np.reshape(theirs(v), (n - 1, n - 1)) if name == "fiedler_companion" else theirs(v)
    np.testing.assert_allclose(ours(v), want, rtol=1e-15)
    np.testing.assert_array_equal(jit(ours)(v), ours(v))
    stack = np.stack([v, 2 * v + 1])
    want = np.stack([ours(row) for row in stack])
    np.testing.assert_array_equal(ours(stack), want)
    np.testing.assert_array_equal(vmap(ours)(stack), want)
    check_grads(ours, (jnp.array(v),), 2)


def test_hankel_of_two(x64):
    for c, r in ((V, V[:3]), (V[:2], V), (V[:1], V[:1])):
        np.testing.assert_array_equal(linalg.hankel(c, r), scipy.linalg.hankel(c, r))
        check_grads(linalg.hankel, (jnp.array(c), jnp.array(r)), 1)
    stack = linalg.hankel(V[:2], np.ones((3, 4), np.float32))
    assert stack.shape == (3, 2, 4) and stack.dtype == np.float64
    assert linalg.hankel(np.arange(3), np.ones(2, np.float32)).dtype == np.float32
    for bad in ((1.0,), (V, 1.0)):
        with pytest.raises(ValueError, match="got a scalar"):
            linalg.hankel(*bad)


def test_leslie(x64):
    f, s = V[:4], np.array([0.2, 0.3, 0.4])
    np.testing.assert_array_equal(linalg.leslie(f, s), scipy.linalg.leslie(f, s))
    check_grads(linalg.leslie, (jnp.array(f), jnp.array(s)), 1)
    assert linalg.leslie(np.ones((2, 1, 4)), np.ones((5, 3))).shape == (2, 5, 4, 4)
    with pytest.raises(ValueError, match="at least 2"):
        linalg.leslie(f[:1], s[:0])
    with pytest.raises(ValueError, match="one shorter"):
        linalg.leslie(f, s[:2])


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
@pytest.mark.parametrize("m", [1, 2, 5])
@pytest.mark.parametrize("n", [1, 3, 4, 7])
def test_convolution_matrix(m, n, mode, x64):
    want = scipy.linalg.convolution_matrix(V[:m], n, mode)
    np.testing.assert_array_equal(linalg.convolution_matrix(V[:m], n, mode), want)
    stack = linalg.convolution_matrix(np.stack([V[:m], V[:m] + 1]), n, mode)
    np.testing.assert_array_equal(stack[0], want)
    check_grads(lambda a: linalg.convolution_matrix(a, n, mode), (jnp.array(V[:m]),), 1)


def test_convolution_matrix_refuses():
    for args, text in (
        ((V, 0), "positive integer"),
        ((1.0, 2), "got a scalar"),
        ((V[:0], 2), "len"),
        ((V, 2, "all"), "mode must be one of"),
    ):
        with pytest.raises(ValueError, match=text):
            linalg.convolution_matrix(*args)
    with pytest.raises(TypeError):
        linalg.convolution_matrix(V, 2.5)


def test_scalars_and_empty_vectors():
    assert linalg.circulant(3).shape == (1, 1) and linalg.circulant(3).dtype == np.int32
    assert linalg.fiedler(2).shape == (1, 1)
    assert linalg.circulant(np.ones((2, 0), np.float32)).shape == (2, 0, 0)
    assert linalg.fiedler(np.ones((2, 3), np.int8)).dtype == np.int8
    assert linalg.companion(np.ones((2, 3), np.int32)).dtype == np.float32
    with pytest.raises(ValueError, match="at least 1"):
        linalg.fiedler_companion(V[:0])


@pytest.mark.parametrize("n", [0, 1, 2, 5, 12])
@pytest.mark.parametrize("name", ["hilbert", "invhilbert", "pascal", "invpascal", "helmert"])
def test_matrices_of_a_size(name, n, x64):
    ours, theirs = getattr(linalg, name), getattr(scipy.linalg, name)
    if n == 0 and name == "helmert":
        with pytest.raises(ValueError, match="positive integer"):
            ours(n)
        return
    want = theirs(n) if n else np.zeros((0, 0))
    np.testing.assert_allclose(ours(n), want, rtol=2e-16 if name != "pascal" else 1e-7)
    assert ours(n).dtype == (np.float32 if name == "pascal" else np.float64)


@pytest.mark.parametrize("kind", ["lower", "upper", "symmetric", None])
def test_kinds_of_pascal(kind, x64):
    want = kind or "symmetric"
    np.testing.assert_array_equal(linalg.pascal(6, kind), scipy.linalg.pascal(6, want))
    np.testing.assert_array_equal(linalg.invpascal(6, kind), scipy.linalg.invpascal(6, want))
    with pytest.raises(ValueError, match="Expected kind"):
        linalg.pascal(3, "middle")


def test_helmert_in_full_and_hadamard(x64):
    np.testing.assert_allclose(linalg.helmert(5, True), scipy.linalg.helmert(5, True), atol=1e-16)
    np.testing.assert_array_equal(linalg.hadamard(8), scipy.linalg.hadamard(8))
    assert linalg.hadamard(1).dtype == np.int64
    assert linalg.hadamard(4, np.float32).dtype == np.float32
    for n in (0, 3):
        with pytest.raises(ValueError, match="positive power of 2"):
            linalg.hadamard(n)
    with pytest.raises(TypeError, match="not negative"):
        linalg.hilbert(-1)


def test_dft(x64):
    x = V + 1j
    np.testing.assert_allclose(linalg.dft(5) @ x, np.fft.fft(x), rtol=1e-14)
    for scale in ("sqrtn", "n"):
        want = scipy.linalg.dft(5, scale)
        np.testing.assert_allclose(linalg.dft(5, scale), want, atol=1e-15)
    assert linalg.dft(3, dtype=np.complex64).dtype == np.complex64
    assert linalg.dft(0).shape == (0, 0)
    with pytest.raises(ValueError, match="scale must be"):
        linalg.dft(3, "all")
    with pytest.raises(ValueError, match="complex floating-point"):
        linalg.dft(3, dtype=np.float32)


@pytest.mark.skipif(not peer.INSTALLED, reason="JAX is not installed")
def test_the_same_as_jax():
    import jax

    cases = {
        "circulant": (V,),
        "companion": (V,),
        "fiedler_companion": (V,),
        "hankel": (V[:2], V),
        "leslie": (V, V[1:]),
        "convolution_matrix": (V, 3, "same"),
        "hilbert": (4,),
        "helmert": (4,),
        "dft": (4,),
    }
    for name, args in cases.items():
        args = [a.astype(np.float32) if isinstance(a, np.ndarray) else a for a in args]
        want, got = getattr(jax.scipy.linalg, name)(*args), getattr(linalg, name)(*args)
        assert got.dtype == want.dtype, name
        np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-6, err_msg=name)
