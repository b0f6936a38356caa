"""scipy.linalg: decompositions and functions of matrices against SciPy, and their derivatives."""

import importlib
import inspect

import numpy as np
import peer
import pytest
import scipy.linalg

from pullback import grad, jit, jvp, vmap
from pullback import numpy as jnp
from pullback.scipy import linalg
from pullback.test_util import check_grads

KINDS = ("float32", "float64", "complex64", "complex128")
SHAPES = ((3, 3), (4, 2), (2, 4))


def drawn(*shape, dtype="float64", seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape)
    if np.dtype(dtype).kind == "c":
        x = x + 1j * rng.normal(size=shape)
    return x.astype(dtype)


def turned(x):
    return np.conj(np.swapaxes(x, -1, -2))


def hermitian(n, dtype="float64", seed=0):
    x = drawn(n, n, dtype=dtype, seed=seed)
    return (x + turned(x)) / 2


def positive(n, dtype="float64", seed=1):
    x = drawn(n, n, dtype=dtype, seed=seed)
    return (x @ turned(x) + np.eye(n)).astype(dtype)


def close(got, want, dtype="float64"):
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape
    tolerance = 1e-4 if np.dtype(dtype).char in "fF" else 1e-11
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)


# ---- values


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_qr(x64, shape, dtype):
    a = drawn(*shape, dtype=dtype)
    for mode in ("full", "r", "economic"):
        for pivoting in (False, True):
            got = linalg.qr(a, mode=mode, pivoting=pivoting)
            want = scipy.linalg.qr(a, mode=mode, pivoting=pivoting)
            assert isinstance(got, tuple)
            for g, w in zip(got, want, strict=True):
                close(g, w, dtype)


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_qr_multiply(x64, shape, dtype):
    a = drawn(*shape, dtype=dtype)
    m, k = shape[0], min(shape)
    for mode, c in (("right", drawn(3, m, dtype=dtype)), ("left", drawn(k, 3, dtype=dtype))):
        for pivoting in (False, True):
            for conjugate in (False, True):
                got = linalg.qr_multiply(a, c, mode, pivoting, conjugate)
                want = scipy.linalg.qr_multiply(a, c, mode, pivoting, conjugate)
                for g, w in zip(got, want, strict=True):
                    close(g, w, dtype)
    v = drawn(m, dtype=dtype)
    close(linalg.qr_multiply(a, v)[0], scipy.linalg.qr_multiply(a, v)[0], dtype)


def test_qr_multiply_of_stacks(x64):
    a, c = drawn(2, 4, 3), drawn(5, 4)
    got, r = linalg.qr_multiply(a, c)
    for i in range(2):
        want, want_r = scipy.linalg.qr_multiply(a[i], c)
        close(got[i], want)
        close(r[i], want_r)


@pytest.mark.parametrize("dtype", KINDS)
def test_eigh(x64, dtype):
    a, b = hermitian(4, dtype), positive(4, dtype)
    w, v = map(np.asarray, linalg.eigh(a))
    close(w, scipy.linalg.eigvalsh(a), dtype)
    close(a @ v, v * w, dtype)
    close(linalg.eigh(a, eigvals_only=True), w, dtype)
    for kind in (1, 2, 3):
        w, v = map(np.asarray, linalg.eigh(a, b, type=kind))
        close(w, scipy.linalg.eigh(a, b, type=kind, eigvals_only=True), dtype)
        left = {1: a @ v, 2: a @ b @ v, 3: b @ a @ v}[kind]
        close(left, (b @ v if kind == 1 else v) * w, dtype)
        scalar = np.linalg.inv(b) if kind == 3 else b
        close(turned(v) @ scalar @ v, np.eye(4), dtype)
        close(linalg.eigh(a, b, type=kind, eigvals_only=True), w, dtype)


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("n", [0, 1, 5])
def test_eigh_tridiagonal(x64, n, dtype):
    d, e = drawn(n, dtype=dtype), drawn(max(n - 1, 0), dtype=dtype, seed=1)
    whole = np.diag(d.real) + np.diag(e, 1) + np.diag(e.conj(), -1) if n else np.zeros((0, 0))
    w, v = map(np.asarray, linalg.eigh_tridiagonal(d, e))
    assert w.dtype == d.real.dtype
    close(w, np.linalg.eigvalsh(whole), dtype)
    close(whole @ v, v * w, dtype)
    if n > 1:
        options = {"select": "i", "select_range": (1, 2)}
        close(linalg.eigh_tridiagonal(d, e, eigvals_only=True, **options), w[1:3], dtype)
        close(linalg.eigh_tridiagonal(d, e, **options)[1], v[:, 1:3], dtype)


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("shape", [(4, 4), (1, 1), (0, 0), (2, 3, 3)])
def test_schur_and_hessenberg(x64, shape, dtype):
    a = drawn(*shape, dtype=dtype)
    for output in ("real", "complex"):
        t, z = map(np.asarray, linalg.schur(a, output))
        assert t.dtype == (a.dtype if output == "real" else np.result_type(a, "complex64"))
        close(z @ t @ turned(z), a, dtype)
        if output == "complex":
            assert (t == np.triu(t)).all()
    tc, zc = map(np.asarray, linalg.rsf2csf(*linalg.schur(a)))
    close(zc @ tc @ turned(zc), a, dtype)
    assert abs(np.tril(tc, -1)).max(initial=0) == 0
    h, q = map(np.asarray, linalg.hessenberg(a, calc_q=True))
    close(q @ h @ turned(q), a, dtype)
    close(linalg.hessenberg(a), h, dtype)
    assert (np.tril(h, -2) == 0).all()


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("shape", SHAPES)
def test_polar(x64, shape, side, dtype):
    a = drawn(*shape, dtype=dtype)
    for method in ("qdwh", "svd"):
        got = linalg.polar(a, side, method=method)
        for g, w in zip(got, scipy.linalg.polar(a, side), strict=True):
            close(g, w, dtype)


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("shape", [(3, 3), (1, 1), (0, 0), (2, 3, 3), (0, 2, 2)])
def test_functions_of_matrices(x64, shape, dtype):
    a, e = drawn(*shape, dtype=dtype), drawn(*shape, dtype=dtype, seed=1)
    want = np.stack([scipy.linalg.expm(m) for m in a]) if len(shape) == 3 and len(a) else None
    if len(shape) == 2:
        want = scipy.linalg.expm(a)
    if want is not None:
        close(linalg.expm(a), want, dtype)
    assert linalg.expm(a).dtype == a.dtype
    exponential, change = linalg.expm_frechet(a, e)
    close(exponential, linalg.expm(a), dtype)
    if shape == (3, 3):
        close(change, scipy.linalg.expm_frechet(a, e, compute_expm=False), dtype)
    root = np.asarray(linalg.sqrtm(a))
    assert root.dtype == np.result_type(a, "complex64")
    close(root @ root, a + 0j, dtype)
    assert (np.linalg.eigvals(root).real > -1e-3).all()


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_funm(x64, dtype):
    a = drawn(4, 4, dtype=dtype)
    got = linalg.funm(a, jnp.exp)
    assert got.dtype == np.complex128
    close(got, scipy.linalg.expm(a) + 0j)
    value, bound = linalg.funm(a, jnp.exp, disp=False)
    close(value, got)
    assert 0 < float(bound) < 1e-10


@pytest.mark.parametrize("dtype", KINDS)
def test_sylvester(x64, dtype):
    a, b, c = (drawn(*s, dtype=dtype, seed=i) for i, s in enumerate([(3, 3), (2, 2), (3, 2)]))
    close(linalg.solve_sylvester(a, b, c), scipy.linalg.solve_sylvester(a, b, c), dtype)
    stack = np.stack([c, 2 * c])
    close(linalg.solve_sylvester(a, b, stack)[1], 2 * scipy.linalg.solve_sylvester(a, b, c), dtype)
    assert np.isnan(np.asarray(linalg.solve_sylvester(a, -a, drawn(3, 3, dtype=dtype)))).all()


# ---- edges


def test_exponentials_of_large_and_zero_matrices():
    zero = np.zeros((2, 2), "f4")
    close(linalg.expm(zero), np.eye(2), "float32")
    close(jvp(linalg.expm, (zero,), (1e6 * np.eye(2, dtype="f4"),))[1], 1e6 * np.eye(2), "f")
    assert np.isnan(np.asarray(linalg.expm(-1e6 * np.eye(2, dtype="f4")))).all()
    close(linalg.expm(-1e6 * np.eye(2, dtype="f4"), max_squarings=30), zero, "float32")
    bad = np.array([[np.nan, 0], [0, 1]], "f4")
    both = np.asarray(linalg.expm(np.stack([zero, bad])))
    close(both[0], np.eye(2), "float32")
    assert np.isnan(both[1]).all()


def test_derivatives_of_a_rotation(x64):
    # exp(t J) turns by t; its derivative is J exp(t J).
    turn = np.array([[0.0, -1.0], [1.0, 0.0]])
    value, rate = jvp(lambda t: linalg.expm(t * turn), (0.7,), (1.0,))
    close(value, [[np.cos(0.7), -np.sin(0.7)], [np.sin(0.7), np.cos(0.7)]])
    close(rate, turn @ np.asarray(value))


def test_a_square_root_that_does_not_exist(x64):
    root = np.asarray(linalg.sqrtm(np.array([[0.0, 1.0], [0.0, 0.0]])))
    assert not np.isfinite(root).all()
    close(linalg.sqrtm(np.zeros((2, 2))), np.zeros((2, 2)) + 0j)


# ---- derivatives


def size(*xs):
    """A real number that depends on all parts of the arrays."""
    total = 0.0
    for i, x in enumerate(xs):
        weights = np.cos(np.arange(x.size) + i).reshape(x.shape)
        total = total + jnp.sum(weights * (jnp.sin(jnp.real(x)) + jnp.cos(jnp.imag(x))))
    return total


def of_schur(t, z):
    """What does not depend on the phases of the columns of z."""
    first = z[:, :2] @ jnp.conj(z[:, :2].T)
    return size(first, jnp.diag(t)) + jnp.sum(jnp.sin(abs(jnp.triu(t, 1)) ** 2))


def generalized(x):
    w, v = linalg.eigh(x, positive(3, x.dtype))
    return size(v * jnp.sin(w) @ jnp.conj(v.T))


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize(
    "function",
    [
        pytest.param(lambda x: size(*linalg.qr(x)), id="qr"),
        pytest.param(lambda x: size(*linalg.qr(x[:2])), id="qr wide"),
        pytest.param(lambda x: size(*linalg.qr(x[:, :2])), id="qr full"),
        pytest.param(lambda x: size(*linalg.qr_multiply(x, x[0])), id="qr_multiply"),
        pytest.param(
            lambda x: size(*linalg.qr_multiply(x, x, "left", True, True)[:2]), id="qr_multiply left"
        ),
        pytest.param(generalized, id="eigh"),
        pytest.param(lambda x: size(*linalg.polar(x)), id="polar"),
        pytest.param(lambda x: size(*linalg.polar(x[:2])), id="polar wide"),
        pytest.param(lambda x: of_schur(*linalg.schur(x, "complex")), id="schur"),
        pytest.param(lambda x: size(linalg.funm(x, jnp.sin)), id="funm"),
        pytest.param(lambda x: size(linalg.expm(x)), id="expm"),
        pytest.param(lambda x: size(linalg.expm_frechet(x, x @ x)[1]), id="expm_frechet"),
        pytest.param(lambda x: size(linalg.sqrtm(x + 4 * np.eye(3))), id="sqrtm"),
        pytest.param(
            lambda x: size(linalg.solve_sylvester(x + 3 * np.eye(3), x.T, x @ x)), id="sylvester"
        ),
    ],
)
def test_derivatives(x64, function, dtype):
    x = drawn(3, 3, dtype=dtype, seed=3) + np.diag(np.arange(3.0))
    check_grads(function, (x,), order=2, atol=2e-4, rtol=2e-4)


def test_derivatives_of_tridiagonal_eigenvalues(x64):
    d, e = drawn(4) + np.arange(4), drawn(3, seed=1)
    check_grads(lambda d, e: linalg.eigh_tridiagonal(d, e, eigvals_only=True), (d, e), order=2)

    def projection(d, e):
        v = linalg.eigh_tridiagonal(d, e)[1][:, :2]
        return v @ v.T

    check_grads(projection, (d, e), order=2)


def test_derivatives_of_a_real_schur_form(x64):
    symmetric = hermitian(3)
    check_grads(lambda x: of_schur(*linalg.schur(x + x.T)), (symmetric,), order=2)
    turn = np.array([[0.0, -1.0], [1.0, 0.0]])  # its T has a block of two rows
    assert np.isnan(np.asarray(jvp(lambda x: linalg.schur(x)[0], (turn,), (np.eye(2),))[1])).any()


def test_polar_of_equal_singular_values(x64):
    for x in (2 * np.eye(3), 2 * np.eye(3)[:, :2], np.eye(2) + 0j):
        check_grads(lambda x: size(*linalg.polar(x)), (x,), order=2)


def test_square_root_of_equal_eigenvalues(x64):
    close(grad(lambda x: jnp.real(jnp.trace(linalg.sqrtm(x))))(4 * np.eye(3)), np.eye(3) / 4)


def test_mapped_and_compiled(x64):
    a = drawn(3, 4, 4) + 4 * np.eye(4)
    for function in (
        linalg.qr,
        linalg.polar,
        linalg.expm,
        linalg.sqrtm,
        linalg.schur,
        lambda x: linalg.solve_sylvester(x, x, x),
        lambda x: linalg.eigh_tridiagonal(x[0], x[1, 1:]),
    ):
        got, jitted = vmap(function)(a), jit(vmap(function))(a)
        each = [function(x) for x in a]
        if not isinstance(got, tuple):
            got, jitted, each = (got,), (jitted,), [(x,) for x in each]
        for i, (g, j) in enumerate(zip(got, jitted, strict=True)):
            close(g, np.stack([np.asarray(x[i]) for x in each]))
            close(j, g)


# ---- mistakes, and JAX's signatures

ONE = np.eye(2)
MISTAKES = [
    (lambda: linalg.qr(ONE, mode="half"), ValueError, "Unsupported QR decomposition mode 'half'"),
    (lambda: linalg.qr_multiply(ONE, ONE, "top"), ValueError, "mode must be 'right' or 'left'"),
    (lambda: linalg.qr_multiply(ONE, np.ones(3)), ValueError, "c @ Q: c needs 2 columns"),
    (lambda: linalg.qr_multiply(ONE, np.ones(3), "left"), ValueError, "Q @ c: c needs 2 rows"),
    (lambda: linalg.eigh(ONE, eigvals=(0, 1)), NotImplementedError, "Only the eigvals=None case"),
    (lambda: linalg.eigh(ONE, type=2), NotImplementedError, "eigh's type is 1"),
    (lambda: linalg.eigh(ONE, ONE, type=4), ValueError, "eigh's type is 1"),
    (lambda: linalg.eigh_tridiagonal(ONE[0], ONE[0]), ValueError, "n - 1 numbers beside it"),
    (
        lambda: linalg.eigh_tridiagonal(np.ones(2), np.ones(1, "c16")),
        TypeError,
        "must have same dtype",
    ),
    (
        lambda: linalg.eigh_tridiagonal(np.ones(2), np.ones(1), select="v"),
        NotImplementedError,
        "select='v') is not implemented",
    ),
    (
        lambda: linalg.eigh_tridiagonal(np.ones(2), np.ones(1), select="x"),
        ValueError,
        "select must have a value in",
    ),
    (
        lambda: linalg.eigh_tridiagonal(np.ones(2), np.ones(1), select="i", select_range=(1, 0)),
        ValueError,
        "must be the first and the last place",
    ),
    (lambda: linalg.schur(ONE, "upper"), ValueError, "Expected output to be one of"),
    (lambda: linalg.rsf2csf(ONE, np.eye(3)), ValueError, "Input 'Z' must be square"),
    (lambda: linalg.polar(ONE, "top"), ValueError, "must be either 'right' or 'left'"),
    (lambda: linalg.polar(ONE, method="qr"), ValueError, "Unknown polar decomposition method"),
    (lambda: linalg.polar(ONE[0]), ValueError, "at least a 2-D array"),
    (lambda: linalg.expm(np.ones((2, 3))), ValueError, "linalg.expm takes square matrices"),
    (lambda: linalg.expm(np.eye(2, dtype="f2")), TypeError, "dtype float16"),
    (lambda: linalg.expm_frechet(ONE, np.eye(3)), ValueError, "to be the same shape"),
    (lambda: linalg.sqrtm(ONE, 2), NotImplementedError, "Blocked version is not implemented"),
    (lambda: linalg.sqrtm(np.eye(2, dtype="f2")), NotImplementedError, "half width"),
    (lambda: linalg.funm(np.ones((2, 3)), jnp.exp), ValueError, "linalg.funm takes square"),
    (lambda: linalg.funm(np.ones((1, 2, 2)), jnp.exp), ValueError, "takes one square matrix"),
    (lambda: linalg.solve_sylvester(ONE, ONE, np.eye(3)), ValueError, "Incompatible shapes"),
    (
        lambda: linalg.solve_sylvester(ONE, ONE, ONE, method="magic"),
        ValueError,
        "Unrecognized method magic",
    ),
]


@pytest.mark.parametrize(("call", "kind", "what"), MISTAKES, ids=[m[2] for m in MISTAKES])
def test_mistakes(x64, call, kind, what):
    with pytest.raises(kind) as caught:
        call()
    text = str(caught.value)
    assert what in text.split("\n")[0]
    assert "Got: " in text
    assert "Fix: " in text


@pytest.mark.skipif(not peer.INSTALLED, reason="jax is not installed")
def test_signatures_are_those_of_jax():
    theirs = importlib.import_module("jax.scipy.linalg")
    for name in (
        *("eigh", "eigh_tridiagonal", "expm", "expm_frechet", "funm", "hessenberg", "polar"),
        *("qr", "qr_multiply", "rsf2csf", "schur", "solve_sylvester", "sqrtm"),
    ):
        parameters = [
            [(p.name, p.kind, p.default) for p in inspect.signature(f).parameters.values()]
            for f in (getattr(linalg, name), getattr(theirs, name))
        ]
        assert parameters[0] == parameters[1], name
