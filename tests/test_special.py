"""Special functions: derivatives in one argument, digits where formulas cancel, bits of erf_inv."""

import numpy as np
import pytest

from pullback.core.array import HostArray
from pullback.core.errors import MissingRule
from pullback.ops import incomplete as inc
from pullback.ops import special as s
from pullback.transforms import forward

pytestmark = pytest.mark.usefixtures("x64")


def array(x, dtype="float64"):
    return HostArray(np.asarray(x, dtype))


def slope(op, *args, wrt=0, dtype="float64"):
    arrays = [array(x, dtype) for x in args]
    ones = [None] * len(arrays)
    ones[wrt] = array(np.ones_like(arrays[wrt]._value), dtype)
    _, (t,) = forward.jvp(lambda *xs: [op(*xs)], arrays, ones)
    return t._value


def close(got, want, units, dtype="float64"):
    np.testing.assert_allclose(got, want, rtol=units * float(np.finfo(dtype).eps), atol=0)


# ---- derivatives in the last argument

LAST = [
    (s.polygamma, (np.array([0.0, 1, 2, 5]), np.array([0.7, 1.3, 2.5, 3.0]))),
    (inc.gamma_curvature, (np.array([0.5, 2.0, 30.0]), np.array([0.7, 1.3, 28.0]))),
]


@pytest.mark.parametrize(("op", "args"), LAST, ids=lambda v: getattr(v, "name", None))
def test_derivative_in_the_last_argument(op, args):
    *first, x = args
    h = 1e-3 * x

    def at(step):
        return op(*map(array, first), array(x + step))._value

    want = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h)
    np.testing.assert_allclose(slope(op, *args, wrt=len(args) - 1), want, rtol=1e-8)


@pytest.mark.parametrize(("op", "args"), LAST, ids=lambda v: getattr(v, "name", None))
def test_derivatives_that_do_not_exist_say_why(op, args):
    with pytest.raises(MissingRule, match="does not exist: "):
        slope(op, *args, wrt=0)


# ---- digits, against mpmath 1.4 with 50


@pytest.mark.parametrize(
    ("a", "x", "density", "moves"),
    [
        (1000.0, 1010.0, 0.01188451503603511, 1.0051509296765344),
        (0.25, 1e-5, 1551.0099432649606, 0.00045142274463259705),
        (3.0, 2.0, 0.2706705664732254, 0.8565714220978067),
        (60.0, 100.0, 2.6824288457251837e-06, 1.2805880628280535),
        (1e6, 1.001e6, 0.00024180950473148182, None),
        (0.01, 0.5, 0.012115566455227976, 46.67927940515068),
    ],
)
def test_gamma_density_and_how_samples_move(a, x, density, moves):
    close(inc.gamma_density(array(a), array(x))._value, density, 30)
    close(slope(inc.igamma, a, x, wrt=1), density, 30)
    if moves is not None:
        close(inc.random_gamma_grad(array(a), array(x))._value, moves, 10)
        close(slope(inc.igamma, a, x), -density * moves, 40)
        close(slope(inc.igammac, a, x), density * moves, 40)


def test_the_density_keeps_the_digits_of_float32_at_1000():
    got = slope(inc.igamma, 1000.0, 1010.0, wrt=1, dtype="float32")
    close(got, 0.01188451503603511, 1, "float32")


def test_beta_density_with_large_arguments():
    close(
        inc.beta_density(array(300.0), array(200.0), array(0.59))._value, 16.279350193319605, 3000
    )


def test_gamma_functions_at_edges():
    a, x = array([2.0, 1.0, 0.5, 100.0, -1.0, 1.0]), array([0.0, 0.0, 0.0, 1e-30, 1.0, -1.0])
    inf, nan = np.inf, np.nan
    np.testing.assert_array_equal(inc.gamma_density(a, x)._value, [0, 1, inf, 0, nan, nan])
    np.testing.assert_array_equal(inc.igamma_grad_a(a, x)._value, [0, 0, 0, 0, nan, nan])
    far = inc.igamma_grad_a(array([0.5, 30.0]), array([inf, inf]))
    np.testing.assert_array_equal(far._value, [0, 0])


def test_derivative_of_igamma_in_a_across_its_methods():
    # Series, integral from the left and from the right, small and large a: all are one function.
    a = np.array([0.3, 5, 19.99, 20.01, 20.01, 200, 200.0])
    x = np.array([0.2, 9.0, 19.0, 19.0, 22.0, 190, 230.0])
    h = 1e-3 * a

    def at(step):
        return inc.igamma(array(a + step), array(x))._value

    want = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h)
    np.testing.assert_allclose(slope(inc.igamma, a, x), want, rtol=1e-8)


# ---- erf_inv in float32: random numbers are made of it

# Some of the numbers that random.uniform can give, and what JAX 0.10.2 makes of them.
UNIFORM = np.float32(
    [
        -0.99999994,
        -0.7615813,
        -0.52316266,
        -0.28474402,
        -0.046325386,
        0.19209325,
        0.43051189,
        0.66893053,
        0.90734917,
        0.9965,
        0.99664,
        0.9999,
        0.9999999,
    ]
)
XLA = np.float32(
    [
        -3.8325067,
        -0.8336425,
        -0.50303465,
        -0.25795707,
        -0.041077897,
        0.171917,
        0.4022063,
        0.68728083,
        1.1890547,
        2.0647733,
        2.073752,
        2.7510269,
        3.7439213,
    ]
)


def test_erf_inv_has_the_bits_of_the_published_random_numbers():
    got = s.erf_inv(array(UNIFORM, "float32"))._value
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, XLA, rtol=2e-7)


def test_erf_inv_in_blocks_is_erf_inv():
    x = np.linspace(-1, 1, 40001, dtype=np.float32).reshape(1, -1)
    whole = s.erf_inv(array(x, "float32"))._value
    part = s.erf_inv(array(x[0, 17000:17010], "float32"))._value
    np.testing.assert_array_equal(whole[0, 17000:17010], part)
    assert whole.shape == x.shape and whole[0, 0] == -np.inf and whole[0, -1] == np.inf
    assert s.erf_inv(array(np.zeros((0, 2)), "float32"))._value.shape == (0, 2)
