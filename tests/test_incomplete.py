"""Incomplete gamma and beta functions: digits against mpmath 1.4 with 50, and the ends."""

import numpy as np
import pytest

from pullback import grad, jvp
from pullback import numpy as jnp
from pullback.ops import incomplete as inc
from pullback.ops import special as s
from pullback.scipy import special
from pullback.test_util import check_grads

INF, NAN = np.inf, np.nan
EPS = float(np.finfo(np.float64).eps)

pytestmark = pytest.mark.usefixtures("x64")


# (a, b, x): the derivatives of betainc in a, b, aa, ab, bb
BETA = [
    (
        (2.5, 3.5, 0.3),
        (
            -0.20268249182819468,
            0.1113494815493701,
            0.10714973301687973,
            -0.032771451239304881,
            -0.00037824413269432123,
        ),
    ),
    (
        (0.05, 0.02, 0.9),
        (
            -3.9309400794701459,
            11.236913732201298,
            111.5701280131585,
            -76.126342537568964,
            -323.95370537614259,
        ),
    ),
    (
        (300.0, 200.0, 0.59),
        (
            -0.01325335546456802,
            0.019477054685530462,
            0.00024931942361922045,
            -0.00033393379377702158,
            0.00044202255714781581,
        ),
    ),
    (
        (1000.0, 0.2, 0.9999),
        (
            -0.00012440463332538887,
            1.4076460365211481,
            1.1200459870447678e-7,
            -0.00037142927097191459,
            -2.1501102500749286,
        ),
    ),
    (
        (9.25, 1000.0, 0.0085),
        (
            -0.13333243023924994,
            0.0011665932641682073,
            0.010402410367793561,
            -2.486506733176588e-5,
            -3.7351729682368981e-7,
        ),
    ),
    (
        (2.0, 5.0, 0.999),
        (
            -8.6877521434824594e-15,
            4.0412992897498086e-14,
            -9.6441216129243094e-15,
            5.7644811910020106e-14,
            -2.7226221750345675e-13,
        ),
    ),
]

# a, x, the second derivative of gammainc in a
GAMMA = [
    (0.02, 0.5, -0.54878351495126053),
    (3.0, 2.0, 0.09884154888754006),
    (3.0, 6.0, -0.045984368846580114),
    (60.0, 100.0, -1.7570835758111778e-6),
    (10000.0, 10010.0, -3.9656355808328562e-6),
    (20.0, 1.0, 1.4429537310855961e-18),
]

# a, x, the logarithm
LOG_GAMMA = [
    (1000000.0, 1001000.0, -8.3273603123200599),
    (0.001, 0.5, -6.7147248520044683),
    (30.0, 0.001, -271.58294205764998),
    (200000000.0, 200000000.0, -10.475852495877495),
    (4.0, 100000.0, -99967.252983074317),
]

# a, b, x, the logarithm
LOG_BETA = [
    (1000000.0, 2000000.0, 0.3334, 7.2600635158251843),
    (0.01, 300.0, 0.2, -69.669036871917442),
    (1000.0, 3.0, 0.9999, 1.5125304200966227),
    (12.0, 15.0, 1e-09, -209.38775148802109),
    (2.0, 0.5, 0.25, -1.5301353973457811),
]

# x, q, the first and second derivative in x
ZETA = [
    (1.001, 1.0, -999999.92719406617, 1999999999.9909684),
    (1.5, 0.1, 68.823585815591626, 183.64734155837354),
    (20.0, 1.5, -0.00012194506988443217, 4.9449631465847035e-5),
    (3.0, 1e-05, 11512925464970225.0, 1.3254745276195992e17),
    (1.2, 10000.0, -11.261008847406643, 179.83356861624887),
]


@pytest.mark.parametrize(("at", "want"), BETA)
def test_derivatives_of_betainc(at, want):
    # At a = 1000 the difference of two digammas loses 5 digits.
    for orders, value in zip([(1, 0), (0, 1), (2, 0), (1, 1), (0, 2)], want, strict=True):
        got = inc.betainc_derivative(*map(jnp.asarray, at), orders=orders)
        np.testing.assert_allclose(got, value, rtol=2e-11, err_msg=str(orders))
    np.testing.assert_allclose(grad(special.betainc)(*at), want[0], rtol=2e-11)


@pytest.mark.parametrize(("a", "x", "want"), GAMMA)
def test_second_derivative_of_gammainc_in_a(a, x, want):
    got = grad(grad(special.gammainc))(a, x)
    np.testing.assert_allclose(got, want, rtol=2e-11)


@pytest.mark.parametrize(("a", "x", "want"), LOG_GAMMA)
def test_log_of_the_gamma_density(a, x, want):
    np.testing.assert_allclose(
        inc.gamma_log_density(jnp.asarray(a), jnp.asarray(x)), want, 20 * EPS
    )


@pytest.mark.parametrize(("a", "b", "x", "want"), LOG_BETA)
def test_log_of_the_beta_density(a, b, x, want):
    # x and 1 - x are rounded: a rounding of x moves the result by a few of (a + b) eps.
    got = inc.beta_log_density(*map(jnp.asarray, (a, b, x)))
    np.testing.assert_allclose(got, want, rtol=20 * EPS, atol=(a + b) * 4e-4 * EPS)
    np.testing.assert_allclose(
        np.log(inc.beta_density(*map(jnp.asarray, (a, b, x)))), want, rtol=1e-11
    )


@pytest.mark.parametrize(("x", "q", "first", "second"), ZETA)
def test_derivatives_of_zeta_in_its_exponent(x, q, first, second):
    np.testing.assert_allclose(grad(special.zeta)(x, q), first, rtol=10 * EPS)
    np.testing.assert_allclose(grad(grad(special.zeta))(x, q), second, rtol=10 * EPS)


def test_derivatives_of_zeta_outside_are_nan():
    got = s.zeta_derivative(jnp.array([0.5, 2.0, 2.0, 1.0]), jnp.array([1.0, -1, 0, 1]), order=1)
    np.testing.assert_array_equal(got, [NAN] * 4)


# ---- the ends

SHAPES = np.array([0.5, 1.0, 1.5, 2.0, 3.0])


def test_slope_of_the_gamma_density_at_0():
    got = [grad(inc.gamma_density, 1)(jnp.asarray(a), 0.0) for a in SHAPES]
    np.testing.assert_array_equal(got, [-INF, -1, INF, 1, 0])
    got = [grad(inc.gamma_density, 0)(a, jnp.asarray(0.0)) for a in SHAPES]
    np.testing.assert_array_equal(got, [-INF, -INF, 0, 0, 0])


def test_slope_of_the_beta_density_at_both_ends():
    # 1 / B(1, 3) (1 - x)^2 and 1 / B(2, 3) x (1 - x)^2, whose slopes at 0 are -6 and 12
    got = [grad(inc.beta_density, 2)(*map(jnp.asarray, (a, 3.0, 0.0))) for a in SHAPES]
    np.testing.assert_allclose(got, [-INF, -6, INF, 12, 0], rtol=1e-14)
    got = [grad(inc.beta_density, 2)(*map(jnp.asarray, (3.0, b, 1.0))) for b in SHAPES]
    np.testing.assert_allclose(got, [INF, 6, -INF, -12, 0], rtol=1e-14)


def test_logs_of_densities_at_the_ends():
    got = inc.gamma_log_density(jnp.array(SHAPES), jnp.zeros(5))
    np.testing.assert_array_equal(got, [INF, 0, -INF, -INF, -INF])
    got = inc.beta_log_density(jnp.array([1.0, 2, 2, 2]), jnp.ones(4), jnp.array([0.0, 1, 0, 2]))
    np.testing.assert_allclose(got, [0, np.log(2), -INF, NAN], atol=EPS)
    got = inc.gamma_log_density(jnp.array([2.0, 2, -1, 0.5]), jnp.array([INF, -1, 1, NAN]))
    np.testing.assert_array_equal(got, [-INF, NAN, NAN, NAN])
    assert grad(inc.gamma_log_density, 1)(jnp.asarray(1.0), 0.0) == -1
    assert grad(inc.beta_log_density, 2)(*map(jnp.asarray, (1.0, 3.0, 0.0))) == -2


def test_derivatives_of_incomplete_functions_at_the_ends():
    for x in (0.0, 1.0):
        assert grad(special.betainc)(2.0, 3.0, x) == 0
    assert np.isnan(inc.betainc_derivative(*map(jnp.asarray, (-1.0, 2.0, 0.5)), orders=(1, 0)))
    assert grad(grad(special.gammainc))(2.0, 0.0) == 0


def test_products_that_are_zero_where_a_factor_is():
    zero = jnp.zeros(())
    assert inc.zero_times(zero, jnp.asarray(-INF)) == 0 and inc.zero_over(zero, zero) == 0
    _, slope = jvp(inc.zero_over, (0.0, 2.0), (1.0, 1.0))
    assert slope == 0.5


def test_blocks_of_the_quadrature_join():
    a = np.linspace(0.5, 30, 5000)
    whole = inc.betainc_derivative(jnp.array(a), jnp.asarray(2.0), jnp.asarray(0.9), orders=(1, 0))
    part = inc.betainc_derivative(
        jnp.array(a[2040:2060]), jnp.asarray(2.0), jnp.asarray(0.9), orders=(1, 0)
    )
    np.testing.assert_allclose(whole[2040:2060], part, rtol=1e-13)
    empty = inc.betainc_derivative(*[jnp.zeros((0, 2))] * 3, orders=(1, 0))
    assert empty.shape == (0, 2)


def test_second_derivatives_agree_with_differences():
    x = jnp.array([0.2, 0.7])
    check_grads(special.betainc, (jnp.array([2.0, 0.6]), jnp.array([3.0, 1.5]), x), 2)
    check_grads(special.zeta, (jnp.array([1.7, 3.0]), jnp.array([0.6, 2.0])), 2, rtol=1e-6)
    a, y = jnp.array([2.5, 0.4]), jnp.array([1.0, 3.0])
    check_grads(special.gammainc, (a, y), 2)
    check_grads(special.gammaincc, (a, y), 2)
