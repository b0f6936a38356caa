"""jax.scipy.special: integrals, hypergeometric functions, harmonics, against SciPy and mpmath."""

import numpy as np
import pytest
import scipy.special
from forced import ON_XLA

from pullback import grad, jit, jvp, vmap
from pullback import numpy as jnp
from pullback.core.settings import enable_x64
from pullback.scipy import special
from pullback.test_util import check_grads

INF, NAN = np.inf, np.nan


def grid(*axes):
    return [v.ravel() for v in np.meshgrid(*[np.asarray(a, float) for a in axes])]


LINE = np.r_[-40, np.linspace(-6, 6, 25), 40]
POSITIVE = np.r_[10.0 ** np.linspace(-6, 2, 20)]

# Function: where.
VALUES = {
    "erfcx": [LINE[1:]],
    "dawsn": [np.r_[LINE, INF, -INF, NAN]],
    "owens_t": grid(LINE[::2], np.r_[LINE[::2], INF, -INF]),
    "expi": [np.r_[-POSITIVE, POSITIVE]],
    "exp1": [np.r_[0, POSITIVE, -1]],
    "expn": grid(range(0, 8), np.r_[0, POSITIVE, INF]),
    "sici": [np.r_[-0.0, POSITIVE, 1e9]],
    "fresnel": [np.r_[LINE, INF]],
    "spence": [np.r_[-1, 0, POSITIVE, 1]],
    "poch": grid([0.5, 2, 7.3], [0, 0.5, 1, 4]),
    "boxcox": grid(np.r_[-1, 0, POSITIVE], [-2, -1e-9, 0, 1e-9, 0.5, 3]),
    "boxcox1p": grid(np.r_[-2, -1, -0.3, 0, POSITIVE], [-2, 0, 1e-9, 0.5, 3]),
    "hyp1f1": grid([-2, 0, 0.5, 3], [0.7, 2], [-30, -1, 0, 1, 30]),
    "hyp2f1": grid([-2, 0.5, 3], [0.7, 2], [1.5, 6], [-3, -0.5, 0, 0.5, 0.95]),
    "loggamma": [np.r_[POSITIVE, -0.5]],
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", VALUES)
def test_values(name, dtype):
    args = [x.astype(dtype) for x in VALUES[name]]
    with np.errstate(all="ignore"):
        want = getattr(scipy.special, name)(*[x.astype(np.float64) for x in args])
    with enable_x64(dtype is np.float64):
        got = getattr(special, name)(*args)
        compiled = jit(getattr(special, name))(*args)
    if name in ("sici", "fresnel"):
        want, got, compiled = (np.stack(v) for v in (want, got, compiled))
    assert got.dtype == dtype
    rtol = 3e-13 if dtype is np.float64 else 3e-6 if "box" in name else 2e-7
    with np.errstate(over="ignore"):
        np.testing.assert_allclose(got, want.astype(dtype), rtol=rtol, atol=1e-37)
    if ON_XLA and name in ("boxcox1p", "loggamma"):
        return  # XLA's own expm1, and its lgamma near 1 and 2, are less exact: see docs/xla.md
    # A compiled function rounds a * b + c once, and near the zero of log the sum is small.
    np.testing.assert_allclose(got, compiled, rtol=1e-14 if dtype is np.float64 else 5e-7)


SMOOTH = {
    "erfcx": [np.array([-1.5, 0.0, 2.0, 7.9, 8.1, 1e3])],
    "dawsn": [np.array([-30.0, -8.1, -7.9, 0.0, 2.0])],
    "owens_t": [np.array([0.5, -1.0, 0.0]), np.array([0.7, 3.0, -1.0])],
    "expi": [np.array([-3.0, 0.5, 5.0])],
    "exp1": [np.array([0.5, 5.0])],
    "sici": [np.array([-3.0, 0.9, 1.1, 5.0])],
    "fresnel": [np.array([-1.5, 0.0, 2.0])],
    "spence": [np.array([0.3, 1.0, 1.24, 1.26, 5.0])],
    "poch": [np.array([0.5, 2.2]), np.array([2.3, 1.0])],
    "comb": [np.array([5.5, 3.0]), np.array([2.3, 1.0])],
    "boxcox": [np.array([0.5, 2.0, 2.0, 2.0]), np.array([0.7, 0.0, 1e-5, -3.0])],
    "boxcox1p": [np.array([-0.5, 2.0, 2.0, 1e-9]), np.array([0.7, 0.0, 1e-5, -3.0])],
    "hyp1f1": [np.array([0.5, 2.0, -2.0, 0]), np.array([1.5, 0.7, 2.2, 4]),
               np.array([0.3, -3, 5, 1])],
    "hyp2f1": [np.array([0.5, 2.0, -2.0]), np.array([1.5, 0.7, 2.2]), np.array([0.6, 2.7, 2.3]),
               np.array([0.3, -3.0, 0.8])],
    "loggamma": [np.array([0.3, 2.0])],
    "wofz": [np.array([0.5 + 1j, -1 - 0.3j])],
}  # fmt: skip


@pytest.mark.parametrize("name", SMOOTH)
def test_derivatives(name, x64):
    args = [jnp.array(x) for x in SMOOTH[name]]
    check_grads(getattr(special, name), args, 2, atol=1e-5, rtol=1e-5)


def test_expn_of_other_orders(x64):
    # mpmath.expint with 50 digits
    x, n = np.array([1.5, 0.05, 1.5, 3.0]), np.array([2.5, 0.5, -1.0, -3.0])
    want = [0.063994972109690684, 5.9594938235261039, 0.24792240016492203, 0.047943102872757871]
    np.testing.assert_allclose(special.expn(n, x), want, rtol=1e-13)
    check_grads(lambda x: special.expn(np.array([0, 1, 3]), x), (jnp.array([0.5, 2.0, 1.0]),), 2)
    assert np.isnan(special.expn(2, -1.0)) and special.expn(1, 0.0) == INF


# (a, b, x), and the derivatives in a, b, aa, ab: mpmath with 60 digits
KUMMER = [
    (
        (0.5, 1.5, 0.3),
        (0.22610402765517156, -0.077198490358686358, 0.027346992889253295, -0.16180954692384253),
    ),
    (
        (2.0, 0.7, -3.0),
        (0.15773788705672057, 0.017862102459816228, 0.14874262132032204, -0.62483312033822678),
    ),
    (
        (-2.0, 0.5, 4.0),
        (-7.5765120937771909, -24.888888888888889, -15.477394707501841, 16.96472963602038),
    ),
    (
        (3.0, 1.0, 100.0),
        (
            5.2028746012816725e47,
            -7.2727248004800968e47,
            1.8836412094703294e48,
            -2.7078090487677506e48,
        ),
    ),
    (
        (1.0, 2.5, -200.0),
        (-0.039346118864638573, 0.0049499687518121718, 0.20001608600494569, -0.019077861236010033),
    ),
]
# (a, b, c, x), and the derivatives in a, b, c, bc
GAUSS = [
    (
        (0.5, 1.5, 0.6, 0.3),
        (1.3116101268694584, 0.48612109739150387, -1.111264492070621, -1.0081780034469762),
    ),
    (
        (2.0, 0.7, 2.7, -30.0),
        (-0.062071440044583204, -0.35545640766305055, 0.040723997349296997, -0.052728963746481378),
    ),
    (
        (-2.0, 0.5, 1.5, 0.7),
        (0.1056380420635128, -0.67199999999999997, 0.20657777777777777, 0.34346666666666666),
    ),
    (
        (1.0, 1.0, 2.0, 0.99),
        (10.710905273693729, 10.710905273693729, -7.663890386914219, -28.512774241410297),
    ),
]


@pytest.mark.parametrize(("at", "want"), KUMMER)
def test_derivatives_of_hyp1f1_in_its_parameters(at, want, x64):
    f = special.hyp1f1
    got = [*grad(f, (0, 1))(*at), grad(grad(f))(*at), grad(grad(f), 1)(*at)]
    np.testing.assert_allclose(got, want, rtol=2e-14)


@pytest.mark.parametrize(("at", "want"), GAUSS)
def test_derivatives_of_hyp2f1_in_its_parameters(at, want, x64):
    f = special.hyp2f1
    got = [*grad(f, (0, 1, 2))(*at), grad(grad(f, 1), 2)(*at)]
    np.testing.assert_allclose(got, want, rtol=2e-13)


def test_hypergeometric_functions_at_edges(x64):
    assert special.hyp1f1(0.0, 2.0, 3.0) == 1 and special.hyp2f1(0.0, 2.0, 3.0, 0.5) == 1
    assert special.hyp1f1(1.0, 0.0, 3.0) == INF
    np.testing.assert_allclose(special.hyp2f1(1.0, 2.0, 3.5, 1.0), 5.0)
    assert special.hyp2f1(1.0, 2.0, 3.0, 1.5) == INF
    np.testing.assert_allclose(grad(special.hyp2f1, 3)(1.0, 2.0, 6.0, 1.0), 5 / 3)
    assert np.isnan(grad(special.hyp2f1)(1.0, 2.0, 3.0, 1.5))


def test_slopes_far_out_keep_their_digits(x64):
    # mpmath: 2 x f(x) - 2 / sqrt(pi) and 1 - 2 x f(x) cancel there
    np.testing.assert_allclose(grad(special.erfcx)(50.0), -0.00022554056313532388, rtol=1e-15)
    np.testing.assert_allclose(grad(special.dawsn)(50.0), -0.00020012012016830307, rtol=1e-15)
    np.testing.assert_allclose(grad(special.dawsn)(-1e3), -5.0000075000187501e-7, rtol=1e-15)


def test_slopes_at_special_points(x64):
    _, (si, ci) = jvp(special.sici, (0.0,), (1.0,))
    assert si == 1 and ci == INF
    assert grad(special.spence)(1.0) == -1 and grad(grad(special.spence))(1.0) == 0.5
    assert grad(special.boxcox)(0.0, 2.0) == 0 and grad(special.boxcox, 1)(0.0, 2.0) == 0.25
    np.testing.assert_allclose(grad(special.boxcox, 1)(2.0, 0.0), np.log(2) ** 2 / 2)
    # d/dz of z (z + 1), where both gamma functions have poles
    np.testing.assert_allclose(grad(special.poch)(-3.0, 2.0), -5.0)


# ---- complex numbers

PLANE = np.array([0.5 + 1j, -2.5 + 0.3j, 3 - 2j, -0.2 - 0.01j, 8 + 40j])


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_complex_values(dtype):
    z = PLANE.astype(dtype)
    rtol = 3e-6 if dtype is np.complex64 else 1e-13
    with enable_x64(dtype is np.complex128):
        for name in ("wofz", "erfcx", "loggamma", "gamma"):
            got = getattr(special, name)(z)
            assert got.dtype == dtype
            np.testing.assert_allclose(got, getattr(scipy.special, name)(z), rtol=rtol)
        np.testing.assert_allclose(special.wofz(z.real), scipy.special.wofz(z.real), rtol=rtol)
    assert np.isnan(special.loggamma(-1 + 0j)) and np.isnan(special.loggamma(0.0))
    assert special.wofz(1).dtype == np.complex64


def test_complex_derivatives(x64):
    for name in ("loggamma", "gamma", "wofz"):
        check_grads(getattr(special, name), (jnp.array(PLANE[:4]),), 2, atol=1e-4, rtol=1e-5)
    real = np.array([0.3, 5.0, -1.5]) + 0j
    slope = jvp(
        lambda z: jvp(special.loggamma, (z,), (jnp.ones(3) + 0j,))[1], (real,), (1 + 0j * real,)
    )
    np.testing.assert_allclose(slope[1][:2], scipy.special.zeta(2, [0.3, 5.0]), rtol=1e-14)


# ---- whole numbers


def test_bernoulli():
    for n in (0, 1, 2, 5, 40):
        got = special.bernoulli(n)
        np.testing.assert_allclose(got, scipy.special.bernoulli(max(n, 2))[: n + 1], rtol=1e-6)
    assert special.bernoulli(3).dtype == np.float32
    with pytest.raises(ValueError, match="non-negative"):
        special.bernoulli(-1)
    with pytest.raises(TypeError):
        special.bernoulli(1.5)


def test_comb(x64):
    N, k = grid([-3, 0, 1, 5, 7.5, 60], [-1, 0, 1, 2.2, 5, 30])
    want = scipy.special.comb(N, k)
    np.testing.assert_allclose(special.comb(N, k), want, rtol=1e-13)
    N, k = np.round(grid([0, 1, 5, 60], [0, 1, 5, 30]))
    want = scipy.special.comb(N, k, repetition=True)
    np.testing.assert_allclose(special.comb(N, k, repetition=True), want, rtol=1e-13)
    np.testing.assert_array_equal(grad(special.comb, (0, 1))(-3.0, 2.0), [0, 0])


def test_bessel_jn(x64):
    z = np.array([[0.0, -2.0, 0.5], [1.0, 30.0, 1e-3]])
    got = special.bessel_jn(z, v=4)
    want = np.stack([scipy.special.jv(n, z) for n in range(5)])
    np.testing.assert_allclose(got, want, rtol=1e-14)
    check_grads(lambda z: special.bessel_jn(z, v=2), (jnp.array(z),), 2)
    np.testing.assert_allclose(vmap(lambda z: special.bessel_jn(z, v=4), 0, 1)(z), want)
    with pytest.raises(ValueError, match="orders from 0"):
        special.bessel_jn(z, v=-1)
    with pytest.raises(ValueError, match="complex"):
        special.bessel_jn(1j, v=1)


# ---- Legendre functions

DEGREES = np.array([0, 1, 1, 2, 2, 3, 5, 5, 7, 2])
ORDERS = np.array([0, 0, -1, 1, -2, 3, -4, 2, 0, 3])


@pytest.mark.parametrize("theta", [0.0, 0.3, 1.5, 2.9, np.pi])
def test_sph_harm_y(theta, x64):
    at = np.full(DEGREES.shape, theta)
    want = scipy.special.sph_harm_y(DEGREES, ORDERS, at, 0.7 + at)
    got = special.sph_harm_y(DEGREES, ORDERS, at, 0.7 + at)
    np.testing.assert_allclose(got, want, rtol=1e-13, atol=1e-15)

    def parts(theta, phi):
        y = special.sph_harm_y(DEGREES, ORDERS, theta, phi)
        return y.real, y.imag

    if 0 < theta < np.pi:
        check_grads(parts, (jnp.array(at), jnp.array(at)), 2, atol=1e-5, rtol=1e-5)
    slopes = jvp(parts, (at, at), (np.ones(10), np.zeros(10)))[1]
    assert np.all(np.isfinite(slopes))


def test_sph_harm_y_forms():
    y = special.sph_harm_y(np.array([1]), np.array([0]), 0.3, 0.5)
    assert y.shape == (1,) and y.dtype == np.complex64
    high = special.sph_harm_y(
        np.array([3]), np.array([1]), np.array([0.3]), np.array([0.5]), n_max=2
    )
    low = special.sph_harm_y(np.array([2]), np.array([1]), np.array([0.3]), np.array([0.5]))
    np.testing.assert_array_equal(high, low)
    traced = jit(lambda n: special.sph_harm_y(n, n, 0.3, 0.5))(np.array([1, 2]))
    assert traced.shape == (2,)
    with pytest.raises(NotImplementedError, match="diff_n"):
        special.sph_harm_y(1, 0, 0.3, 0.5, diff_n=1)


@pytest.mark.parametrize("normalized", [False, True])
def test_lpmn_values(normalized, x64):
    z = np.array([-1.0, -0.5, 0.0, 0.3, 1.0])
    got = special.lpmn_values(4, 4, z, normalized)
    assert got.shape == (5, 5, 5)
    for m in range(5):
        for n in range(5):
            if normalized:
                want = scipy.special.sph_harm_y(n, m, np.arccos(z), 0.0).real if m <= n else 0 * z
            else:
                want = scipy.special.lpmv(m, n, z) if m <= n else 0 * z
            np.testing.assert_allclose(got[m, n], want, rtol=1e-12, atol=1e-14)
    check_grads(
        lambda z: special.lpmn_values(4, 4, z, normalized), (jnp.array(z[1:4]),), 2, rtol=1e-5
    )


def test_lpmn(x64):
    z = np.array([-0.5, 0.0, 0.3])
    values, slopes = special.lpmn(3, 3, z)
    h = 1e-3
    ends = [special.lpmn_values(3, 3, z + s, False) for s in (h, -h, 2 * h, -2 * h)]
    want = (8 * (ends[0] - ends[1]) - (ends[2] - ends[3])) / (12 * h)
    np.testing.assert_allclose(slopes, want, atol=1e-9)
    np.testing.assert_array_equal(values, special.lpmn_values(3, 3, z, False))
    at_1 = special.lpmn(3, 3, np.array([1.0]))[1]
    assert at_1[0, 3, 0] == 6 and at_1[2, 2, 0] == -6 and at_1[3, 3, 0] == 0
    for bad, cls, text in (
        ((2, 3, z), NotImplementedError, "m!=n"),
        ((2, 2, z[:, None]), ValueError, "1D"),
        ((2, 2, np.arange(3)), TypeError, "int"),
    ):
        with pytest.raises(cls, match=text):
            special.lpmn(*bad)


# ---- what is refused


def test_complex_numbers_are_refused():
    for name, n in (
        ("dawsn", 1),
        ("expi", 1),
        ("sici", 1),
        ("owens_t", 2),
        ("hyp1f1", 3),
        ("poch", 2),
    ):
        with pytest.raises(ValueError, match=f"{name} does not support complex"):
            getattr(special, name)(*[1j] * n)
    with pytest.raises(NotImplementedError, match="fresnel does not support complex"):
        special.fresnel(1j)
    with pytest.raises(TypeError, match="int32 is not supported by spence"):
        special.spence(1)


def test_i0_is_flat_at_0(x64):
    for i0 in (jnp.i0, special.i0):
        assert grad(i0)(0.0) == 0 and grad(grad(i0))(0.0) == 0.5
        np.testing.assert_allclose(grad(i0)(-1.5), -scipy.special.i1(1.5), 1e-12)
