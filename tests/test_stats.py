"""jax.scipy.stats: values against SciPy over a grid, derivatives, the ends of each support."""

import importlib
import inspect
import warnings

import numpy as np
import peer
import pytest
import scipy.stats

from pullback import grad, jit, random, vmap
from pullback import numpy as jnp
from pullback.scipy import stats
from pullback.test_util import check_grads

INF, NAN = np.inf, np.nan


def grid(*axes):
    """All combinations of the values."""
    return [v.ravel() for v in np.meshgrid(*[np.asarray(a, float) for a in axes])]


X = np.r_[-1e5, -40, -8.5, np.linspace(-3, 3, 13), 8.5, 40, 1e5]
P = np.r_[1e-30, 1e-6, np.linspace(0.03, 0.97, 9), 1 - 1e-6]
UNIT = np.r_[-0.5, 0, 1e-8, np.linspace(0.05, 0.95, 7), 1 - 1e-7, 1, 1.5]
POSITIVE = np.r_[-1, 0, 1e-6, 0.1, 0.5, 1, 2, 5, 30, 300]
K = np.r_[-2, -1, 0, 1, 2, 3, 7, 20]
SHAPES = [0.3, 1, 1.7, 2, 60]

# Distribution: the functions that SciPy has too, and their arguments.
VALUES = {
    "bernoulli": [(["pmf", "logpmf"], grid([-1, 0, 1, 2], [0, 0.2, 0.7, 1]))],
    "beta": [
        (["pdf", "logpdf", "cdf", "sf", "logcdf", "logsf"], grid(UNIT, SHAPES, [0.4, 1, 3, 70])),
        (["pdf", "logpdf", "cdf", "sf"], grid(3 * UNIT + 1, [2.5], [1.5], [1], [3])),
    ],
    "betabinom": [(["pmf", "logpmf"], grid(K, [3, 20], [0.4, 2], [1, 50]))],
    "binom": [(["pmf", "logpmf"], grid(K, [0, 1, 3, 20, 4000], [0, 1e-5, 0.3, 0.9, 1]))],
    "cauchy": [
        (["pdf", "logpdf", "cdf", "sf", "logcdf", "logsf"], grid(X, [0, -1.5], [1, 2.5])),
        (["ppf", "isf"], grid(np.r_[P, 0.5], [0, -1.5], [1, 2.5])),
    ],
    "chi2": [
        (["pdf", "logpdf", "cdf", "sf", "logcdf", "logsf"], grid(POSITIVE, SHAPES, [0, 1], [2])),
    ],
    "expon": [
        (["pdf", "logpdf", "cdf", "sf", "logcdf", "logsf"], grid(POSITIVE, [0, 0.5], [1, 3])),
        (["ppf"], grid(P, [0, 0.5], [1, 3])),
    ],
    "gamma": [
        (["pdf", "logpdf", "cdf", "sf", "logcdf", "logsf"], grid(POSITIVE, SHAPES, [0, 1], [2])),
        (["pdf", "logpdf"], grid([980, 1000, 1040], [1000.0])),
    ],
    "gennorm": [(["pdf", "logpdf", "cdf"], grid(np.linspace(-3, 3, 13), [0.5, 1, 2, 3.5]))],
    "geom": [(["pmf", "logpmf"], grid(K, [0.2, 0.7, 1], [0, 1]))],
    "gumbel_l": [
        (["pdf", "logpdf", "cdf", "sf", "logcdf", "logsf"], grid(X[1:-2], [0, -1.5], [1, 2.5])),
        (["ppf"], grid(P, [0, -1.5], [1, 2.5])),
    ],
    "gumbel_r": [
        (["pdf", "logpdf", "cdf", "sf", "logcdf", "logsf"], grid(X[2:-1], [0, -1.5], [1, 2.5])),
        (["ppf"], grid(P, [0, -1.5], [1, 2.5])),
    ],
    "laplace": [(["pdf", "logpdf", "cdf"], grid(X[1:-1], [0, -1.5], [1, 2.5]))],
    "logistic": [
        (["pdf", "logpdf", "cdf", "sf"], grid(X, [0, -1.5], [1, 2.5])),
        (["ppf", "isf"], grid(P, [0, -1.5], [1, 2.5])),
    ],
    "nbinom": [(["pmf", "logpmf"], grid(K, [0.4, 1, 20, 4000], [1e-5, 0.3, 0.9, 1]))],
    "norm": [
        (["pdf", "logpdf", "cdf", "sf", "logcdf", "logsf"], grid(X, [0, -1.5], [1, 2.5])),
        (["ppf", "isf"], grid(P, [0, -1.5], [1, 2.5])),
    ],
    "pareto": [
        (["pdf", "logpdf", "cdf", "sf", "logcdf", "logsf"], grid(POSITIVE, [0.5, 3], [0, 1], [2])),
        (["ppf"], grid(P, [0.5, 3], [0, 1], [2])),
    ],
    "poisson": [(["pmf", "logpmf", "cdf"], grid(np.r_[K, 0.5, 900], [0, 0.3, 4, 1000], [0, 1]))],
    "t": [(["pdf", "logpdf"], grid(X, [0.5, 1, 30, 1e6], [0, -1.5], [1, 2.5]))],
    "truncnorm": [
        (
            ["pdf", "logpdf", "cdf", "sf", "logcdf", "logsf"],
            grid(np.linspace(-3, 14, 18), [-INF, -2, 0.5, 9], [10, INF], [0.5], [1.5]),
        ),
        (["pdf", "cdf", "logcdf", "sf"], grid([-9.9, -9.1, -8.7], [-10], [-8.5])),
    ],
    "uniform": [
        (["pdf", "logpdf", "cdf"], grid(UNIT, [0, -0.5], [1, 2.5])),
        (["ppf"], grid(np.r_[0, P, 1], [0, -1.5], [1, 2.5])),
    ],
    "vonmises": [(["pdf", "logpdf"], grid(np.linspace(-3, 3, 13), [1e-3, 1, 30, 2000]))],
    "wrapcauchy": [(["pdf", "logpdf"], grid(np.linspace(0, 6.2, 13), [0.01, 0.5, 0.9]))],
}
CASES = [
    pytest.param(name, function, args, id=f"{name}.{function}-{i}")
    for name, groups in VALUES.items()
    for i, (functions, args) in enumerate(groups)
    for function in functions
]


def scipy_value(name, function, args):
    with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
        return np.asarray(getattr(getattr(scipy.stats, name), function)(*args))


@pytest.mark.parametrize(("name", "function", "args"), CASES)
def test_values(name, function, args, x64):
    want = scipy_value(name, function, args)
    got = getattr(getattr(stats, name), function)(*args)
    assert got.dtype == np.float64
    if name in ("gamma", "chi2") and "log" in function:  # SciPy takes the logarithm of 0
        want = np.where((want == -INF) & (got < -650), got, want)
    # SciPy's own logarithms are differences of terms as large as the arguments.
    np.testing.assert_allclose(
        got, want, rtol=2e-11, atol=1e-300 if "log" not in function else 2e-9
    )


@pytest.mark.parametrize(("name", "function", "args"), CASES)
def test_values_in_single_precision(name, function, args):
    args = [a.astype(np.float32) for a in args]
    want = scipy_value(name, function, [a.astype(np.float64) for a in args])
    got = np.asarray(getattr(getattr(stats, name), function)(*args))
    assert got.dtype == np.float32
    # Allowed are a few roundings of the result, of its logarithm and of each argument that is not
    # whole. The logarithm of a number that underflows is not better than that number.
    with np.errstate(all="ignore"):
        log = 0 if "log" in function else np.where(want > 0, np.abs(np.log(want)), 0)
        slack = 5e-7 * np.abs(want) * (4 + log) + (1e-6 if "log" in function else 1e-37)
        for i, a in enumerate(args):
            moved = np.where(a == np.round(a), a, a * (1 + 4e-7)).astype(np.float64)
            there = scipy_value(name, function, [*args[:i], moved, *args[i + 1 :]])
            slack = slack + np.abs(there - want)
        close = np.abs(got - want) <= slack
    equal = (got == want) | (np.isnan(got) & np.isnan(want)) | (np.abs(want) > 3e38)
    if name == "beta" and function in ("logsf", "logcdf"):
        equal |= want < -85
    at = np.flatnonzero(~(close | equal))
    assert not at.size, [(*[float(a[i]) for a in args], got[i], want[i]) for i in at[:5]]


# ---- derivatives: arguments inside of the support, and which of them are not whole

SAFE = {
    "bernoulli": (["pmf", "logpmf"], [1.0, 0.3], [1]),
    "beta": (
        ["pdf", "logpdf", "cdf", "sf", "logcdf", "logsf"],
        [0.7, 2.5, 1.3, 0.1, 1.5],
        [0, 1, 2, 3, 4],
    ),
    "betabinom": (["pmf", "logpmf"], [2.0, 7.0, 1.5, 2.5], [2, 3]),
    "binom": (["pmf", "logpmf"], [2.0, 7.0, 0.3], [2]),
    "cauchy": (
        ["pdf", "logpdf", "cdf", "sf", "logcdf", "logsf"],
        [np.array([0.7, -3.0]), 0.2, 1.5],
        [0, 1, 2],
    ),
    "chi2": (
        ["pdf", "logpdf", "cdf", "sf", "logcdf", "logsf"],
        [1.7, 2.5, 0.1, 1.5],
        [0, 1, 2, 3],
    ),
    "dirichlet": (["pdf", "logpdf"], [np.array([0.2, 0.3]), np.array([1.5, 2.5, 0.7])], [0, 1]),
    "expon": (
        ["pdf", "logpdf", "cdf", "sf", "logcdf", "logsf"],
        [np.array([0.7, 3.0]), 0.2, 1.5],
        [0, 1, 2],
    ),
    "gamma": (
        ["pdf", "logpdf", "cdf", "sf", "logcdf", "logsf"],
        [1.7, 2.5, 0.1, 1.5],
        [0, 1, 2, 3],
    ),
    "gennorm": (["pdf", "logpdf", "cdf"], [np.array([0.7, -1.2]), 2.5], [0, 1]),
    "geom": (["pmf", "logpmf"], [2.0, 0.3], [1]),
    "gumbel_l": (
        ["pdf", "logpdf", "cdf", "sf", "logcdf", "logsf"],
        [np.array([0.7, -2.0]), 0.2, 1.5],
        [0, 1, 2],
    ),
    "gumbel_r": (
        ["pdf", "logpdf", "cdf", "sf", "logcdf", "logsf"],
        [np.array([0.7, -2.0]), 0.2, 1.5],
        [0, 1, 2],
    ),
    "laplace": (["pdf", "logpdf", "cdf"], [np.array([0.7, -2.0]), 0.2, 1.5], [0, 1, 2]),
    "logistic": (["pdf", "logpdf", "cdf", "sf"], [np.array([0.2, -2.0]), 0.2, 1.5], [0, 1, 2]),
    "multinomial": (
        ["pmf", "logpmf"],
        [np.array([1, 2, 0]), 3, np.array([0.2, 0.3, 0.5])],
        [2],
    ),
    "multivariate_normal": (
        ["pdf", "logpdf"],
        [np.array([0.3, -1.0]), np.array([0.5, 0.2]), np.array([[2.0, 0.3], [0.3, 1.5]])],
        [0, 1],
    ),
    "nbinom": (["pmf", "logpmf"], [2.0, 3.5, 0.3], [1, 2]),
    "norm": (
        ["pdf", "logpdf", "cdf", "sf", "logcdf", "logsf"],
        [np.array([0.7, -2.0]), 0.2, 1.5],
        [0, 1, 2],
    ),
    "pareto": (
        ["pdf", "logpdf", "cdf", "sf", "logcdf", "logsf"],
        [3.7, 2.5, 0.1, 1.5],
        [0, 1, 2, 3],
    ),
    "poisson": (["pmf", "logpmf", "cdf"], [2.0, 1.7], [1]),
    "t": (["pdf", "logpdf"], [np.array([0.2, -2.0]), 3.5, 0.2, 1.5], [0, 1, 2, 3]),
    "truncnorm": (
        ["pdf", "logpdf", "cdf", "sf", "logcdf", "logsf"],
        [np.array([0.7, -0.5, 0.3]), np.array([-2.0, -9.0, -1.0]), np.array([1.5, 2, 0.6]), 0.1, 1],
        [0, 1, 2, 3, 4],
    ),
    "uniform": (["pdf", "logpdf", "cdf"], [0.7, 0.2, 1.5], [0, 1, 2]),
    "vonmises": (["pdf", "logpdf"], [np.array([0.0, 1.0]), 1.5], [0, 1]),
    "wrapcauchy": (["pdf", "logpdf"], [1.7, 0.4], [0, 1]),
}
QUANTILES = {
    "cauchy": ["ppf", "isf"],
    "expon": ["ppf"],
    "gumbel_l": ["ppf"],
    "gumbel_r": ["ppf"],
    "logistic": ["ppf", "isf"],
    "norm": ["ppf", "isf"],
    "uniform": ["ppf"],
}
SMOOTH = [(name, f, args, at) for name, (fs, args, at) in SAFE.items() for f in fs]
SMOOTH += [
    (name, f, [np.array([0.1, 0.5, 0.7]), 0.2, 1.5], [0, 1, 2])
    for name, fs in QUANTILES.items()
    for f in fs
]
SMOOTH += [("pareto", "ppf", [np.array([0.1, 0.7]), 2.5, 0.2, 1.5], [0, 1, 2, 3])]


def along(function, args, at):
    """`function` of the arguments numbered in `at`."""

    def of(*moving):
        full = list(args)
        for i, v in zip(at, moving, strict=True):
            full[i] = v
        return function(*full)

    return of, [jnp.asarray(args[i], float) for i in at]


@pytest.mark.parametrize(
    ("name", "function", "args", "at"), SMOOTH, ids=lambda v: v if isinstance(v, str) else ""
)
def test_derivatives(name, function, args, at, x64):
    of, moving = along(getattr(getattr(stats, name), function), args, at)
    check_grads(of, moving, 2, atol=2e-6, rtol=2e-6)
    np.testing.assert_allclose(jit(of)(*moving), of(*moving), rtol=1e-13)


def test_derivative_of_multivariate_normal_in_the_covariance(x64):
    _, (x, mean, cov), _ = SAFE["multivariate_normal"]
    half = np.linalg.cholesky(cov)
    density = stats.multivariate_normal.logpdf
    check_grads(lambda h: density(x, mean, h @ h.T), (jnp.asarray(half),), 2)


# ---- outside of the support, and at its ends

OUTSIDE = [
    *[("beta", f, (x, 2.0, 3.0)) for f in ("pdf", "logpdf", "cdf", "sf") for x in (-1.0, 2.0)],
    *[("beta", f, (x, 2.0, 3.0)) for f in ("logcdf", "logsf") for x in (-1.0, 2.0)],
    *[("gamma", f, (-1.0, 2.5)) for f in ("pdf", "logpdf", "cdf", "sf", "logcdf", "logsf")],
    *[("chi2", f, (-1.0, 2.5)) for f in ("pdf", "logpdf", "cdf", "sf", "logcdf", "logsf")],
    *[("expon", f, (-1.0,)) for f in ("pdf", "logpdf", "cdf", "sf", "logcdf", "logsf")],
    *[("pareto", f, (-1.0, 2.5)) for f in ("pdf", "logpdf", "cdf", "sf", "logcdf", "logsf")],
    *[
        ("truncnorm", f, (x, a, b))
        for f in ("pdf", "logpdf", "cdf", "sf", "logcdf", "logsf")
        for x, a, b in ((-3.0, -1.0, 2.0), (5.0, -1.0, 2.0), (-1e9, -1.0, 2.0), (5.0, 6.0, INF))
    ],
    *[("uniform", f, (x,)) for f in ("pdf", "logpdf", "cdf") for x in (-1.0, 2.0)],
    *[("wrapcauchy", f, (x, 0.3)) for f in ("pdf", "logpdf") for x in (-1.0, 7.0)],
    *[("poisson", f, (-1.0, 1.5)) for f in ("pmf", "logpmf", "cdf")],
    *[("binom", f, (k, 3.0, 0.4)) for f in ("pmf", "logpmf") for k in (-1.0, 4.0)],
    *[("nbinom", f, (-1.0, 3.0, 0.4)) for f in ("pmf", "logpmf")],
    *[("betabinom", f, (k, 3.0, 0.4, 2.0)) for f in ("pmf", "logpmf") for k in (-1.0, 4.0)],
    *[("geom", f, (0.0, 0.4)) for f in ("pmf", "logpmf")],
    *[("bernoulli", f, (k, 0.4)) for f in ("pmf", "logpmf") for k in (-1.0, 2.0)],
]


@pytest.mark.parametrize(("name", "function", "args"), OUTSIDE)
def test_derivatives_outside_are_zero(name, function, args, x64):
    of = getattr(getattr(stats, name), function)
    every = tuple(range(len(args)))
    np.testing.assert_array_equal(grad(of, every)(*args), np.zeros(len(args)))
    np.testing.assert_array_equal(grad(lambda x: grad(of)(x, *args[1:]))(args[0]), 0)


def test_densities_at_the_ends(x64):
    assert grad(stats.expon.pdf)(0.0) == -1
    assert grad(stats.gamma.pdf)(0.0, 2.0) == 1 and grad(stats.gamma.pdf)(0.0, 1.0) == -1
    assert grad(stats.gamma.pdf)(0.0, 3.0) == 0 and grad(stats.gamma.pdf)(0.0, 1.5) == INF
    assert grad(stats.chi2.pdf)(0.0, 4.0) == 0.25
    np.testing.assert_allclose(grad(stats.beta.pdf)(0.0, 2.0, 2.0), 6)
    np.testing.assert_allclose(grad(stats.beta.pdf)(1.0, 2.0, 2.0), -6)
    # log(1 - p) and log(p), where p is 0 or 1
    assert grad(stats.bernoulli.logpmf, 1)(0.0, 0.0) == -1
    assert grad(stats.bernoulli.logpmf, 1)(1.0, 1.0) == 1
    assert grad(stats.binom.logpmf, 2)(0.0, 4.0, 0.0) == -4
    assert grad(stats.geom.logpmf, 1)(1.0, 1.0) == 1
    assert grad(stats.poisson.logpmf, 1)(0.0, 0.0) == -1
    np.testing.assert_allclose(grad(stats.poisson.pmf, 1)(1.0, 0.0), 1)


def test_kinks_and_inflections(x64):
    density = stats.gennorm.logpdf
    assert grad(density)(0.0, 2.0) == 0 and grad(grad(density))(0.0, 2.0) == -2
    np.testing.assert_allclose(grad(stats.gennorm.cdf)(0.0, 2.0), np.pi**-0.5)
    assert grad(grad(stats.logistic.logpdf))(0.0) == -0.5
    assert grad(grad(stats.vonmises.logpdf))(0.0, 3.0) == -3
    np.testing.assert_allclose(grad(stats.cauchy.logcdf)(0.0), 2 / np.pi, 1e-12)
    np.testing.assert_allclose(grad(stats.cauchy.logsf)(0.0), -2 / np.pi, 1e-12)


def test_infinite_bounds_of_truncnorm_change_nothing(x64):
    x = np.array([-3.0, 0.2, 5.0])
    np.testing.assert_allclose(stats.truncnorm.logpdf(x, -INF, INF), stats.norm.logpdf(x))
    slopes = grad(lambda a, b: stats.truncnorm.logpdf(0.2, a, b), (0, 1))(-INF, INF)
    np.testing.assert_array_equal(slopes, [0, 0])
    second = grad(grad(lambda a: stats.truncnorm.logpdf(0.2, a, INF)))(-INF)
    assert second == 0
    assert np.isnan(stats.truncnorm.pdf(0.0, 1.0, -1.0))


def test_tails_keep_their_digits():
    np.testing.assert_allclose(stats.cauchy.cdf(-1e30), 1e-30 / np.pi, rtol=1e-6)
    np.testing.assert_allclose(stats.cauchy.sf(1e30), 1e-30 / np.pi, rtol=1e-6)
    np.testing.assert_allclose(stats.gumbel_l.logcdf(-300.0), -300.0, rtol=1e-6)
    np.testing.assert_allclose(stats.gumbel_r.logsf(300.0), -300.0, rtol=1e-6)
    np.testing.assert_allclose(grad(stats.gumbel_l.logcdf)(-300.0), 1.0, rtol=1e-6)
    np.testing.assert_allclose(stats.expon.logcdf(1e-20), np.log(1e-20), rtol=1e-6)
    np.testing.assert_allclose(stats.pareto.cdf(1.0000001, 2.0), 2.384185e-07, rtol=1e-6)
    # log Gamma(500000.5) - log Gamma(500000) of float32 numbers would have no digit.
    np.testing.assert_allclose(stats.t.logpdf(1.0, 1e6), stats.norm.logpdf(1.0), rtol=1e-6)
    np.testing.assert_allclose(
        stats.gamma.logpdf(1e6, 1e6), scipy.stats.norm.logpdf(0, 0, 1e3), rtol=1e-6
    )


def test_logarithms_of_gamma_probabilities_that_underflow(x64):
    # mpmath with 50 digits: log Q(2.5, 2000), log P(900, 100), log P(2, 1e-200)
    np.testing.assert_allclose(stats.gamma.logsf(2000.0, 2.5), -1988.8825792749566, rtol=1e-15)
    np.testing.assert_allclose(stats.gamma.logcdf(100.0, 900.0), -1181.7047210686132, rtol=1e-15)
    np.testing.assert_allclose(stats.gamma.logcdf(1e-200, 2.0), -921.72718437817822, rtol=1e-15)
    for f, args in ((stats.gamma.logsf, (2000.0, 2.5)), (stats.gamma.logcdf, (100.0, 900.0))):
        check_grads(f, args, 2, eps=1e-3, rtol=1e-6, atol=1e-6)
    assert stats.gamma.logsf(0.0, 2.0) == 0 and stats.gamma.logcdf(0.0, 2.0) == -INF


def test_invalid_parameters_give_nan():
    assert np.isnan(stats.beta.logpdf(0.5, -1.0, 2.0)) and np.isnan(stats.beta.pdf(0.5, 1.0, -2.0))
    assert np.isnan(stats.gumbel_l.cdf(0.0, 0.0, -1.0))
    assert np.isnan(stats.vonmises.logpdf(0.0, -1.0))
    assert np.isnan(stats.wrapcauchy.pdf(0.0, 1.5))
    assert np.isnan(stats.betabinom.pmf(1, 3, -1.0, 1.0))
    for name in ("cauchy", "expon", "gumbel_l", "gumbel_r", "uniform", "norm", "logistic"):
        np.testing.assert_array_equal(getattr(stats, name).ppf(np.array([-0.5, 1.5, NAN])), NAN)
    np.testing.assert_array_equal(
        stats.bernoulli.ppf(np.array([0.5, 0.5, -1]), np.array([0.5, 2, 0.5])), [0, NAN, NAN]
    )
    np.testing.assert_array_equal(
        stats.bernoulli.cdf(np.array([-1, 0, 1, NAN]), 0.25), [0, 0.75, 1, NAN]
    )


def test_nan_stays_and_infinity_has_no_probability():
    cases = {
        "bernoulli": (0.5,),
        "betabinom": (3.0, 0.5, 2.0),
        "binom": (3.0, 0.5),
        "geom": (0.5,),
        "nbinom": (3.0, 0.5),
        "poisson": (0.5,),
    }
    for name, args in cases.items():
        of = getattr(stats, name)
        assert np.isnan(of.logpmf(NAN, *args)) and np.isnan(of.pmf(NAN, *args)), name
        if name not in ("geom", "nbinom"):
            assert of.pmf(INF, *args) == 0, name
    for name, args in {"gamma": (2.0,), "beta": (2.0, 3.0), "expon": (), "pareto": (2.0,)}.items():
        of = getattr(stats, name)
        for f in ("pdf", "logpdf", "cdf", "logcdf", "sf", "logsf"):
            assert np.isnan(getattr(of, f)(NAN, *args)), (name, f)
        assert of.pdf(INF, *args) == 0 and of.cdf(INF, *args) == 1 and of.sf(INF, *args) == 0


# ---- vectors


def test_dirichlet(x64):
    x, alpha = np.array([[0.2, 0.5], [0.3, 0.2], [0.5, 0.3]]), np.array([1.5, 2.5, 0.7])
    want = [scipy.stats.dirichlet.logpdf(c, alpha) for c in x.T]
    np.testing.assert_allclose(stats.dirichlet.logpdf(x, alpha), want)
    np.testing.assert_allclose(stats.dirichlet.pdf(x[:2], alpha), np.exp(want))
    assert stats.dirichlet.logpdf(np.array([0.5, 0.6, 0.1]), alpha) == -INF
    outside = grad(stats.dirichlet.logpdf)(jnp.array([-0.5, 1.2, 0.3]), alpha)
    np.testing.assert_array_equal(outside, [0, 0, 0])
    for bad in ((x, np.ones((2, 2))), (x, np.ones(5))):
        with pytest.raises(ValueError, match=r"`x` must|`alpha` must"):
            stats.dirichlet.logpdf(*bad)


def test_multinomial(x64):
    x, p = np.array([[1, 2, 0], [3, 0, 0], [1, 1, 0]]), np.array([0.2, 0.3, 0.5])
    want = scipy.stats.multinomial.logpmf(x, 3, p)
    np.testing.assert_allclose(stats.multinomial.logpmf(x, 3, p), want)
    np.testing.assert_allclose(stats.multinomial.pmf(x, 3, p), np.exp(want))
    with pytest.raises(ValueError, match="integer type"):
        stats.multinomial.logpmf(x.astype(float), 3, p)


def test_multivariate_normal(x64):
    rng = np.random.default_rng(0)
    x, mean = rng.normal(size=(4, 3)), rng.normal(size=3)
    half = rng.normal(size=(3, 3))
    cov = half @ half.T + np.eye(3)
    density = stats.multivariate_normal.logpdf
    want = scipy.stats.multivariate_normal.logpdf(x, mean, cov)
    np.testing.assert_allclose(density(x, mean, cov), want)
    np.testing.assert_allclose(stats.multivariate_normal.pdf(x, mean, cov), np.exp(want))
    stack = np.stack([cov, 2 * cov, 3 * cov, 4 * cov])
    many = [scipy.stats.multivariate_normal.logpdf(a, mean, c) for a, c in zip(x, stack)]
    np.testing.assert_allclose(density(x, mean, stack), many)
    np.testing.assert_allclose(vmap(density, (0, None, 0))(x, mean, stack), many)
    alike = scipy.stats.multivariate_normal.logpdf(x, mean, 2 * np.eye(3))
    np.testing.assert_allclose(density(x, mean, 2.0), alike)
    one = scipy.stats.norm.logpdf(x, 0.5, np.sqrt(2))
    np.testing.assert_allclose(density(x, 0.5, 2.0), one)
    with pytest.raises(ValueError, match="incompatible shapes"):
        density(x, mean, np.eye(2))
    with pytest.raises(NotImplementedError, match="allow_singular"):
        density(x, mean, cov, True)


def test_entropy_of_poisson(x64):
    mu = np.array([0.0, 1e-3, 0.5, 3, 20, 59, 61, 130, 1e4])
    want = [0.0, *[summed_entropy(m) for m in mu[1:-1]], scipy.stats.norm.entropy(0, 100)]
    got = stats.poisson.entropy(mu)
    np.testing.assert_allclose(got[:-1], want[:-1], rtol=1e-12)
    np.testing.assert_allclose(got[-1], want[-1] - 1 / 12e4, rtol=1e-9)
    assert stats.poisson.entropy(np.ones((2, 1)), np.zeros(3)).shape == (2, 3)
    assert np.isnan(stats.poisson.entropy(-1.0))
    check_grads(stats.poisson.entropy, (jnp.array([0.5, 20.0, 70.0]),), 2)


def summed_entropy(mu):
    p = scipy.stats.poisson.pmf(np.arange(600), mu)
    return -np.sum(p * scipy.stats.poisson.logpmf(np.arange(600), mu))


# ---- statistics of arrays

NUMBERS = np.array([[3.0, 1, 3, 2, 1], [2, 2, 0, 2, 1], [5, 4, 3, 2, 1]])


@pytest.mark.parametrize("axis", [0, 1, -1, None])
@pytest.mark.parametrize("keepdims", [False, True])
def test_mode(axis, keepdims):
    want = scipy.stats.mode(NUMBERS, axis, keepdims=keepdims)
    got = stats.mode(NUMBERS, axis, keepdims=keepdims)
    np.testing.assert_array_equal(got.mode, want.mode)
    np.testing.assert_array_equal(got.count, want.count)
    assert got.mode.dtype == np.float32 and got.count.dtype == np.int32
    np.testing.assert_array_equal(jit(stats.mode)(NUMBERS).mode, stats.mode(NUMBERS).mode)


def test_mode_of_nothing_and_bad_policies():
    got = stats.mode(np.zeros((0, 2)))
    np.testing.assert_array_equal(got.mode, [NAN, NAN])
    for function in (stats.mode, stats.rankdata):
        with pytest.raises(ValueError, match="Illegal nan_policy"):
            function(NUMBERS, nan_policy="ignore")
        with pytest.raises(NotImplementedError, match="nan_policy 'omit'"):
            function(NUMBERS, nan_policy="omit")


@pytest.mark.parametrize("method", ["average", "min", "max", "dense", "ordinal"])
@pytest.mark.parametrize("axis", [None, 0, 1])
def test_rankdata(method, axis):
    want = scipy.stats.rankdata(NUMBERS, method, axis=axis)
    got = stats.rankdata(NUMBERS, method, axis=axis)
    np.testing.assert_array_equal(got, want)
    assert got.dtype == np.float32


def test_rankdata_of_nan_and_unknown_methods():
    np.testing.assert_array_equal(stats.rankdata(np.array([1.0, NAN])), [NAN, NAN])
    assert stats.rankdata(np.zeros((0,))).shape == (0,)
    np.testing.assert_array_equal(vmap(stats.rankdata)(NUMBERS), stats.rankdata(NUMBERS, axis=1))
    with pytest.raises(ValueError, match="unknown method 'median'"):
        stats.rankdata(NUMBERS, "median")


def test_sem(x64):
    for kw in ({}, {"axis": 1}, {"axis": None}, {"ddof": 0}):
        np.testing.assert_allclose(stats.sem(NUMBERS, **kw), scipy.stats.sem(NUMBERS, **kw))
    holes = np.where(NUMBERS == 3, NAN, NUMBERS)
    want = scipy.stats.sem(holes, axis=None, nan_policy="omit")
    np.testing.assert_allclose(stats.sem(holes, axis=None, nan_policy="omit"), want)
    assert stats.sem(NUMBERS, axis=1, keepdims=True).shape == (3, 1)
    with pytest.raises(ValueError, match="nan_policy 'raise'"):
        stats.sem(NUMBERS, nan_policy="raise")
    check_grads(stats.sem, (jnp.asarray(NUMBERS[:, :3]),), 2)


# ---- the surface


@pytest.mark.skipif(not peer.INSTALLED, reason="JAX is not installed")
def test_names_and_signatures_are_those_of_jax():
    theirs = importlib.import_module("jax.scipy.stats")
    for name in sorted(vars(theirs)):
        if name.startswith("_"):
            continue
        if not inspect.ismodule(getattr(theirs, name)):
            compare(getattr(theirs, name), getattr(stats, name), name)
            continue
        module = importlib.import_module(f"jax.scipy.stats.{name}")
        for function in [f for f in vars(module) if not f.startswith("_")]:
            ours = getattr(getattr(stats, name), function)
            compare(getattr(module, function), ours, f"{name}.{function}")


def compare(theirs, ours, name):
    want = inspect.signature(theirs).parameters.values()
    got = inspect.signature(ours).parameters.values()
    assert [(p.name, p.default, p.kind) for p in got] == [
        (p.name, p.default, p.kind) for p in want
    ], name


def test_integers_and_complex_numbers():
    assert stats.norm.pdf(1).dtype == np.float32 and stats.poisson.pmf(2, 3).dtype == np.float32
    assert stats.gamma.logpdf(np.float16(2), np.float16(3)).dtype == np.float16
    with pytest.raises(ValueError, match=r"expon\.logpdf does not support complex"):
        stats.expon.logpdf(1j)


def test_distributions_map_and_compile():
    x = jnp.array([-1.0, 0.3, 2.0])
    for name in ("gamma", "beta", "truncnorm"):
        of = getattr(stats, name).logpdf
        args = (1.5, 2.0) if name != "gamma" else (1.5,)
        want = np.array([of(v, *args) for v in x])
        mapped = vmap(of, (0, *[None] * len(args)))(x, *args)
        # A logarithm of a density is a sum of larger terms: 3.1 - 2.9 of truncnorm at 2. Its
        # absolute error is the relative one of the density.
        np.testing.assert_allclose(mapped, want, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(jit(of)(x, *args), want, rtol=1e-6, atol=1e-6)


# ---- gaussian_kde


def both_kdes(d=2, weights=False, bw_method=None):
    rng = np.random.default_rng(d)
    sample = rng.normal(size=(d, 12)) if d > 1 else rng.normal(size=12)
    shares = rng.uniform(0.5, 2, 12) if weights else None
    ours = stats.gaussian_kde(jnp.asarray(sample), bw_method, shares)
    return ours, scipy.stats.gaussian_kde(sample, bw_method, shares)


@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("weights", [False, True])
@pytest.mark.parametrize("bw_method", [None, "silverman", 0.4, lambda kde: kde.d + 0.5])
def test_gaussian_kde(d, weights, bw_method, x64):
    ours, theirs = both_kdes(d, weights, bw_method)
    other, others = both_kdes(d)
    x = np.random.default_rng(1).normal(size=(d, 5))
    for name in ("evaluate", "pdf", "logpdf", "__call__"):
        np.testing.assert_allclose(getattr(ours, name)(x), getattr(theirs, name)(x), rtol=1e-11)
    mean, cov = np.ones(d), 2 * np.eye(d)
    want = theirs.integrate_gaussian(mean, cov)
    np.testing.assert_allclose(ours.integrate_gaussian(mean, cov), want)
    np.testing.assert_allclose(ours.integrate_kde(other), theirs.integrate_kde(others))
    if d == 1:
        want = theirs.integrate_box_1d(-0.5, 1)
        np.testing.assert_allclose(ours.integrate_box_1d(-0.5, 1), want)
    np.testing.assert_allclose(jit(lambda kde, x: kde(x))(ours, x), theirs(x))
    check_grads(ours.logpdf, (jnp.asarray(x),), 2)


def test_gaussian_kde_far_out_and_its_samples():
    ours, _ = both_kdes(1)
    assert ours.logpdf(1e3) < -1e5 and ours.pdf(1e3) == 0
    points = ours.resample(random.key(0), (2000,))
    assert points.shape == (1, 2000)
    np.testing.assert_allclose(points.mean(), ours.dataset.mean(), atol=0.1)
    assert both_kdes(2)[0].resample(random.key(0)).shape == (2,)


@pytest.mark.skipif(not peer.INSTALLED, reason="JAX is not installed")
def test_resample_draws_what_jax_draws():
    import jax

    sample = np.random.default_rng(0).normal(size=(2, 12)).astype(np.float32)
    want = jax.scipy.stats.gaussian_kde(sample).resample(jax.random.key(3), (4,))
    got = stats.gaussian_kde(sample).resample(random.key(3), (4,))
    np.testing.assert_allclose(got, want, rtol=2e-5, atol=1e-6)


def test_gaussian_kde_refuses():
    kde, _ = both_kdes(2)
    cases = [
        (lambda: stats.gaussian_kde(np.ones(1)), ValueError, "multiple elements"),
        (lambda: stats.gaussian_kde(np.ones(3) * 1j), NotImplementedError, "complex data"),
        (lambda: stats.gaussian_kde(np.ones(3), "wide"), ValueError, "bw_method"),
        (lambda: stats.gaussian_kde(np.ones(3), weights=np.ones(2)), ValueError, "of length n"),
        (lambda: stats.gaussian_kde(np.ones(3), weights=np.ones((1, 3))), ValueError, "one-dim"),
        (lambda: kde(np.ones((3, 2))), ValueError, "points have dimension 3"),
        (lambda: kde(1j), NotImplementedError, "complex coordinates"),
        (lambda: kde.integrate_gaussian(np.ones(3), np.eye(2)), ValueError, "mean does not"),
        (lambda: kde.integrate_gaussian(np.ones(2), np.eye(3)), ValueError, "covariance does not"),
        (lambda: kde.integrate_kde(both_kdes(1)[0]), ValueError, "same dimensionality"),
        (lambda: kde.integrate_box_1d(0, 1), ValueError, "only handles 1D"),
        (lambda: both_kdes(1)[0].integrate_box_1d(np.zeros(1), 1), ValueError, "scalars"),
        (lambda: kde.integrate_box(0, 1), NotImplementedError, "1D box"),
        (lambda: kde.set_bandwidth(), NotImplementedError, "bandwidth"),
        (lambda: setattr(kde, "weights", 1), AttributeError, "does not change"),
    ]
    for call, cls, text in cases:
        with pytest.raises(cls, match=text):
            call()
