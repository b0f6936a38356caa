"""Taylor mode, rule by rule: each primitive has one; coefficients are those of contour integrals.

The truth is independent of all differentiation: coefficient k of an analytic f at x is the mean of
f(x + r w) w^-k / r^k over the roots of unity w, from values of NumPy and SciPy (Cauchy).
"""

import itertools
import math

import numpy as np
import pytest
import scipy.linalg
import scipy.special as ss
from properties import function_of
from test_jet import check, curve

import pullback as pb
import pullback.experimental.checkify  # its primitive is counted, too
import pullback.experimental.jet
import pullback.experimental.sparse
import pullback.ffi
import pullback.scipy.linalg as sl
from examples import EXAMPLES
from pullback import custom_batching, lax, nn
from pullback import numpy as jnp
from pullback.core import dtypes, trace
from pullback.core.array import HostArray
from pullback.core.primitive import Absent, all_primitives
from pullback.core.settings import override
from pullback.ops import incomplete
from pullback.ops.harmonics import complex_polygamma
from pullback.scipy import special
from pullback.transforms import taylor
from pullback.transforms.taylor import expand

pytestmark = pytest.mark.usefixtures("x64")


ORDER = 8


def contour(function, x, v, order=ORDER, radius=0.15, points=64):
    """The coefficients of t -> function(x + t v), from values on a circle."""
    w = np.exp(2j * np.pi * np.arange(points) / points)
    values = np.array([function(x + radius * z * v) for z in w])
    powers = w[:, None] ** -np.arange(order + 1)[None, :]
    found = np.tensordot(powers, values, axes=((0,), (0,))) / points
    scale = radius ** np.arange(order + 1)
    return found / scale.reshape(-1, *[1] * (found.ndim - 1))


def coefficients(function, x, v, order=ORDER):
    zeros = [np.zeros(np.shape(v))] * (order - 1)
    value, terms = pb.jet(function, (x,), ([v, *zeros],), factorial_scaled=False)
    return np.array([np.asarray(value), *map(np.asarray, terms)])


def agree(got, want, tolerance):
    # Rounding in values is divided by r^k: the tolerance is of the coefficients times r^k.
    for k, (g, w) in enumerate(zip(got, want, strict=True)):
        size = max(1.0, np.abs(w).max())
        np.testing.assert_allclose(
            g, w.real if not np.iscomplexobj(g) else w, rtol=0, atol=tolerance * size, err_msg=k
        )


FUNCTIONS = {
    **{
        name: (getattr(jnp, name), getattr(np, name))
        for name in (
            *("sin", "cos", "tan", "sinh", "cosh", "tanh", "arcsin", "arccos", "arctan", "arcsinh"),
            *("arctanh", "exp", "exp2", "expm1", "log", "log1p", "log2", "log10", "sqrt"),
            *("reciprocal", "square"),
        )
    },
    **{
        name: (getattr(special, name), getattr(ss, theirs))
        for name, theirs in {
            **{n: n for n in ("erf", "erfc", "digamma", "spence", "gamma")},
            "gammaln": "loggamma",
        }.items()
    },
    "cbrt": (jnp.cbrt, lambda x: x ** (1 / 3)),
    "rsqrt": (lax.rsqrt, lambda x: x**-0.5),
    "logistic": (nn.sigmoid, lambda x: 1 / (1 + np.exp(-x))),
    "softplus": (nn.softplus, lambda x: np.log1p(np.exp(x))),
    "integer_pow": (lambda x: x**7 + x**-3, lambda x: x**7 + x**-3),
    "pow": (lambda x: x**x, lambda x: np.exp(x * np.log(x))),
    "a constant to a power": (lambda x: 0.7**x, lambda x: 0.7**x),
    "div": (lambda x: (1 + x) / (x * x + 2), lambda x: (1 + x) / (x * x + 2)),
    "atan2": (lambda x: jnp.arctan2(x, 1 + x), lambda x: np.arctan(x / (1 + x))),
    "hypot": (lambda x: jnp.hypot(x, 1 + x), lambda x: np.sqrt(x * x + (1 + x) ** 2)),
    "sinc": (jnp.sinc, lambda x: np.sin(np.pi * x) / (np.pi * x)),
    "logaddexp": (lambda x: jnp.logaddexp(x, x * x), lambda x: np.log(np.exp(x) + np.exp(x * x))),
    "j1": (lambda x: special.bessel_jn(x, v=1)[1], lambda x: ss.jv(1, x)),
    "i0e": (special.i0e, lambda x: np.exp(-x) * ss.iv(0, x)),
    "i1e": (special.i1e, lambda x: np.exp(-x) * ss.iv(1, x)),
    "gamma's tail": (
        lambda x: special.gammaincc(2.0, x),
        lambda x: (1 + x) * np.exp(-x),
    ),
    "betainc": (lambda x: special.betainc(2.0, 3.0, x), lambda x: x * x * (6 - 8 * x + 3 * x * x)),
    "polygamma": (lambda x: special.polygamma(0, x), ss.digamma),
    "expi": (special.expi, lambda x: ss.expi(x)),
    "hyp1f1": (lambda x: special.hyp1f1(0.5, 1.5, x), lambda x: ss.hyp1f1(0.5, 1.5, x)),
    "a complex curve": (lambda x: jnp.exp(1j * x) / (2j + x), lambda x: np.exp(1j * x) / (2j + x)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_against_contour_integrals(name):
    ours, theirs = FUNCTIONS[name]
    x, v = np.array([0.45, 0.6]), np.array([1.0, -0.7])
    agree(coefficients(ours, x, v), contour(theirs, x, v), 1e-7)


def spread(x):
    n = x.shape[0]
    return x[:, None] * x[None, :] + 0.3 * np.arange(n * n).reshape(n, n) + 3 * np.eye(n)


def symmetric(x):
    return x[:, None] * x[None, :] + 3 * np.eye(x.shape[0])


def separated(x):
    """A symmetric matrix whose eigenvalues are apart."""
    return symmetric(x) + np.diag([0.0, 1.0, 2.5])


def ldl_root(a):
    """The Cholesky factor without conjugation, so that it is analytic in the entries."""
    n, low = len(a), np.zeros(a.shape, complex)
    for j in range(n):
        low[j, j] = np.sqrt(a[j, j] - np.sum(low[j, :j] ** 2))
        for i in range(j + 1, n):
            low[i, j] = (a[i, j] - np.sum(low[i, :j] * low[j, :j])) / low[j, j]
    return low


def gram_schmidt(a):
    """R of the QR decomposition, without conjugation."""
    return ldl_root(a.T @ a).T


MATRICES = {
    "inv": (lambda x: jnp.linalg.inv(spread(x)), lambda x: np.linalg.inv(spread(x))),
    "solve": (lambda x: jnp.linalg.solve(spread(x), x), lambda x: np.linalg.solve(spread(x), x)),
    "det": (lambda x: jnp.linalg.det(spread(x)), lambda x: np.linalg.det(spread(x))),
    "slogdet": (
        lambda x: jnp.linalg.slogdet(symmetric(x))[1],
        lambda x: np.log(np.linalg.det(symmetric(x))),
    ),
    "cholesky": (
        lambda x: jnp.linalg.cholesky(symmetric(x)),
        lambda x: ldl_root(symmetric(x)),
    ),
    "qr": (
        lambda x: (lambda r: jnp.sign(jnp.diag(r))[:, None] * r)(jnp.linalg.qr(spread(x))[1]),
        lambda x: gram_schmidt(spread(x)),
    ),
    "sum of cubed eigenvalues": (
        lambda x: jnp.sum(jnp.linalg.eigh(separated(x))[0] ** 3),
        lambda x: np.trace(np.linalg.matrix_power(separated(x), 3)),
    ),
    "expm": (lambda x: sl.expm(spread(x) / 9), lambda x: scipy.linalg.expm(spread(x) / 9)),
    "expm_frechet": (
        lambda x: sl.expm_frechet(spread(x) / 9, symmetric(x), compute_expm=False),
        lambda x: scipy.linalg.expm_frechet(spread(x) / 9, symmetric(x), compute_expm=False),
    ),
    "sqrtm": (lambda x: sl.sqrtm(symmetric(x)).real, lambda x: scipy.linalg.sqrtm(symmetric(x))),
    "sylvester": (
        lambda x: sl.solve_sylvester(spread(x), symmetric(x), jnp.outer(x, x)),
        lambda x: scipy.linalg.solve_sylvester(spread(x), symmetric(x), np.outer(x, x)),
    ),
    "tridiagonal_solve": (
        lambda x: lax.linalg.tridiagonal_solve(x, 4 + x * x, jnp.sin(x), x[:, None]),
        lambda x: np.linalg.solve(
            np.diag(x[1:], -1) + np.diag(4 + x * x) + np.diag(np.sin(x)[:-1], 1), x[:, None]
        ),
    ),
    "cumprod": (jnp.cumprod, np.cumprod),
    "prod": (jnp.prod, np.prod),
    "logsumexp": (special.logsumexp, lambda x: np.log(np.sum(np.exp(x)))),
    "cumlogsumexp": (lax.cumlogsumexp, lambda x: np.log(np.cumsum(np.exp(x)))),
    "softmax": (nn.softmax, lambda x: np.exp(x) / np.sum(np.exp(x))),
    "norm": (jnp.linalg.norm, lambda x: np.sqrt(np.sum(x * x))),
    "fft": (lambda x: jnp.fft.fft(x * x), lambda x: np.fft.fft(x * x)),
    "sort and max": (
        lambda x: jnp.sort(x * x)[::-1] * jnp.max(x) + lax.cummax(x),
        lambda x: (x * x)[[2, 1, 0]] * x[2] + x,
    ),
    "convolve": (lambda x: jnp.convolve(x, jnp.exp(x)), lambda x: np.convolve(x, np.exp(x))),
}


@pytest.mark.parametrize("name", MATRICES)
def test_arrays_against_contour_integrals(name):
    ours, theirs = MATRICES[name]
    x, v = np.array([0.3, 0.45, 0.7]), np.array([0.5, -0.7, 1.0])
    agree(coefficients(ours, x, v), contour(theirs, x, v), 1e-6)
    with override("pullback_engine", "numpy"):
        staged = pb.jit(lambda x, v: pb.taylor(ours, 3)(x, v))(x, v)
    for k in range(4):
        np.testing.assert_allclose(
            staged[k] / math.factorial(k), coefficients(ours, x, v, 3)[k], rtol=1e-9, atol=1e-9
        )


def test_roots_of_equations():
    # y(t) with y^3 + y = x: by Newton's method outside, its own derivative by a linear solve.
    def ours(x):
        def solve(f, guess):
            return lax.while_loop(
                lambda y: jnp.abs(f(y)) > 1e-13, lambda y: y - f(y) / (3 * y * y + 1), guess
            )

        return lax.custom_root(
            lambda y: y**3 + y - x, jnp.zeros(()), solve, lambda g, y: y / g(jnp.ones(()))
        )

    def theirs(x):
        y = x
        for _ in range(60):
            y = y - (y**3 + y - x) / (3 * y * y + 1)
        return y

    x, v = np.float64(1.3), np.float64(1.0)
    agree(coefficients(ours, x, v, 4), contour(theirs, x, v, 4), 1e-7)


# ---- every primitive


CONSTANT = {
    **dict.fromkeys(
        ("and", "or", "xor", "not", "shift_left", "shift_right_arithmetic", "shift_right_logical"),
        "bits",
    ),
    **dict.fromkeys(("population_count", "clz", "gcd", "mulhi", "bitcast_convert_type"), "bits"),
    **dict.fromkeys(("reduce_and", "reduce_or", "reduce_xor"), "bits"),
    **dict.fromkeys(
        ("threefry2x32", "random_bits", "random_split", "random_fold_in", "random_seed"), "keys"
    ),
    **dict.fromkeys(("random_wrap", "random_unwrap", "random_clone", "rng_bit_generator"), "keys"),
    **dict.fromkeys(("searchsorted", "lu_pivots_to_permutation", "axis_index"), "places"),
    **dict.fromkeys(("create_token", "after_all", "dce_sink"), "tokens"),
    "stop_gradient": "constant by definition",
}
"""Primitives whose results do not move with their arguments, and what these are."""

REFUSED = {
    "hessenberg": "its forward rule does not exist",
    "rsf2csf": "its forward rule does not exist",
    "tridiagonal": "its forward rule does not exist",
    "rng_uniform": "its forward rule does not exist",
    "pure_callback": "Python functions have no derivatives",
    "ffi_call": "functions of compiled libraries have no derivatives",
    "io_callback": "Python functions have no derivatives",
    "call_exported": "exported programs have reverse derivatives only",
    "check": "checkify takes it out of a program before that is differentiated",
}

ONLY_FIRST = {
    "igamma_grad_a": "derivatives in a: the second is the last",
    "random_gamma_grad": "derivatives in a: the first is the last",
    "gamma_curvature": "the second derivative in a, whose derivatives in x alone exist",
    "betainc_derivative": "the second derivative in a or b is the last",
    "hyp2f1_derivative": "derivatives in a, b and c: of some order the last",
    "random_gamma": "the derivative of a sample in a: the first is the last",
}


def mapped(function):
    return lambda x: pb.vmap(function, axis_name="i")(x)


@custom_batching.custom_vmap
def batched(x):
    return jnp.sin(x) * x


batched.def_vmap(lambda size, in_batched, x: (jnp.sin(x) * x, in_batched[0]))


def own_linear(x):
    return pb.custom_derivatives.linear_call(
        lambda r, y: y * r, lambda r, ct: ct * r, jnp.asarray([2.0, 3.0, 4.0]), x
    )


def solved(x):
    return lax.custom_linear_solve(
        lambda v: spread(x) @ v, x * x, lambda mv, b: jnp.linalg.solve(pb.jacfwd(mv)(b), b)
    )


def printed(x):
    pb.debug.callback(lambda y: None, x)
    return jnp.sin(x)


CASES = {
    "real": lambda x: jnp.real(jnp.exp(1j * x)),
    "imag": lambda x: jnp.imag(jnp.exp(1j * x)),
    "rem": lambda x: lax.rem(3 * x, 0.4 + x * x),
    "nextafter": lambda x: x * lax.nextafter(x, x + 1) ** 0,
    "polygamma": lambda x: special.polygamma(2, x),
    "lu_factors": lambda x: jnp.linalg.solve(spread(x), x),
    "lu_solve": lambda x: jnp.linalg.inv(spread(x)),
    "slogdet": lambda x: jnp.linalg.slogdet(spread(x))[1],
    "schur": lambda x: sl.schur(separated(x))[0].diagonal(),
    "psum": mapped(lambda x: x * lax.psum(jnp.sin(x), "i")),
    "pmax": mapped(lambda x: x * lax.pmax(x, "i")),
    "pmin": mapped(lambda x: x * lax.pmin(x, "i")),
    "ppermute": mapped(lambda x: x * lax.ppermute(x, "i", [(0, 1), (1, 2), (2, 0)])),
    "group_exchange": mapped(
        lambda x: x * lax.psum(jnp.sin(x), "i", axis_index_groups=[[0, 2], [1]])
    ),
    "all_gather": mapped(lambda x: x * lax.all_gather(jnp.cos(x), "i")),
    "reduce_scatter": mapped(lambda x: x * lax.psum_scatter(x * jnp.ones(3), "i")),
    "all_to_all": mapped(lambda x: x * lax.all_to_all(x * jnp.arange(3.0), "i", 0, 0)),
    "custom_linear_solve": solved,
    "custom_vmap_call": batched,
    "linear_call": own_linear,
    "custom_lin": lambda x: x * x,
    "debug_callback": printed,
    "spherical_legendre": lambda x: (
        special.sph_harm_y(jnp.array([2]), jnp.array([1]), x[:1], x[1:2], n_max=2).real
    ),
    "complex_loggamma": lambda x: jnp.real(special.loggamma(x + 1j * x * x)),
    "complex_polygamma": lambda x: jnp.imag(complex_polygamma(x + 1j, order=1)),
    "wofz": lambda x: jnp.real(special.wofz(x + 1j * x)),
    "expn": lambda x: special.expn(2, x),
    "on_cotangent": lambda x: pb.debug.on_cotangent(jnp.sin(x), lambda ct: None),
}


def by_examples():
    return {
        e.primitive.name for e in EXAMPLES if e.order > 1 and e.smooth and "float64" in e.dtypes
    }


def test_every_primitive_is_tested_or_has_a_reason():
    # With examples: test_jet.test_every_primitive, against nested forward mode.
    tests = by_examples() | {"custom_vjp_call"}  # test_jet.test_custom_rules
    own = [p for p in all_primitives() if type(p).__module__.startswith("pullback.")]
    assert len(own) > 250
    groups = (tests, CONSTANT, REFUSED, ONLY_FIRST, CASES)
    homeless = [p.name for p in own if not any(p.name in g for g in groups)]
    assert not homeless
    known = {p.name for p in own}
    assert {n for g in groups[1:] for n in g} - known == set()
    absent = {p.name for p in own if isinstance(getattr(type(p), "jvp", None), Absent)}
    linear_by_rule = absent & {p.name for p in taylor.RULES}
    assert absent - linear_by_rule - set(REFUSED) - set(CONSTANT) == set()


@pytest.mark.parametrize("name", CASES)
def test_the_others(name):
    function = CASES[name]
    check(lambda x: pb.tree.leaves(function(x)), [curve(3, order=4)], 4, 1e-9)


def constant_examples():
    return [
        e for e in EXAMPLES if e.primitive.name in CONSTANT and "float64" in e.dtypes and e.specs
    ]


@pytest.mark.parametrize("example", constant_examples(), ids=repr)
def test_constants_have_no_series(example):
    call, args = function_of(example, np.dtype("float64")), []
    for x in example.args("float64"):
        moves = dtypes.is_inexact(x.dtype)
        args.append([HostArray(x), HostArray(np.ones(x.shape)) if moves else None])
    assert all(s[1] is None for s in expand(call, args, 1))


def first_order_examples():
    return [
        e
        for e in EXAMPLES
        if e.primitive.name in ONLY_FIRST and e.order >= 1 and e.smooth and "float64" in e.dtypes
    ]


@pytest.mark.parametrize("example", first_order_examples(), ids=repr)
def test_where_only_the_first_derivative_is_there(example):
    call, args = function_of(example, np.dtype("float64")), []
    tangents = example.tangents("float64", np.random.default_rng(0))
    for x, t in zip(example.args("float64"), tangents, strict=True):
        moves = dtypes.is_inexact(x.dtype)
        args.append([HostArray(x), HostArray(np.asarray(t)) if moves else None])
    check(call, args, 1)


def test_python_functions_are_refused():
    def called(x):
        return pb.pure_callback(lambda y: np.asarray(y), pb.ShapeDtypeStruct((), jnp.float64), x)

    with pytest.raises(ValueError, match="Pure callbacks do not support"):
        pb.jet(called, (1.0,), ([1.0, 0.0],))


# ---- the cost


def operations(function, *args):
    count, process = [0], trace.EvalTrace.process

    def counting(*args):
        count[0] += 1
        return process(*args)

    with pytest.MonkeyPatch.context() as m:
        m.setattr(trace.EvalTrace, "process", counting)
        function(*args)
    return count[0]


COSTLY = {
    "bessel_i0e": special.i0e,
    "bessel_i1e": special.i1e,
    "erf": special.erf,
    "digamma": special.digamma,
    "betainc": lambda x: special.betainc(2.0, 3.0, x),
    "gammainc": lambda x: special.gammainc(2.0, x),
    "zeta": lambda x: special.zeta(3.0, x),
    "hyp1f1": lambda x: special.hyp1f1(0.5, 1.5, x),
    "atan2": lambda x: jnp.arctan2(x, 1 + x),
    "svd": lambda x: jnp.linalg.svd(spread(x * jnp.ones(3)))[1],
    "polar": lambda x: sl.polar(spread(x * jnp.ones(3)))[0],
    "eigh": lambda x: jnp.linalg.eigh(separated(x * jnp.arange(1.0, 4.0)))[1],
    "sylvester": lambda x: sl.solve_sylvester(spread(x * jnp.ones(2)), jnp.eye(2), jnp.eye(2)),
}


@pytest.mark.parametrize("name", COSTLY)
def test_the_cost_is_a_polynomial_of_the_order(name):
    # Twice the order at most 14 times the work: n^3.8. Where a rule calls itself twice, without
    # memory, it is 2^6 = 64 times.
    def to(order):
        return operations(lambda: coefficients(COSTLY[name], 0.6, 1.0, order))

    assert to(12) <= 14 * to(6)


def mlp(x):
    rng = np.random.default_rng(0)
    for shape in ((3, 16), (16, 16), (16, 1)):
        x = jnp.tanh(x @ rng.normal(size=shape))
    return x[0]


def nested(function, order, x, v):
    f = lambda t: function(x + t * v)  # noqa: E731
    for _ in range(order):
        f = (lambda g: lambda t: pb.jvp(g, (t,), (1.0,))[1])(f)
    return f(0.0)


def test_order_8_of_a_network_takes_a_tenth_of_the_operations():
    x, v = np.array([0.1, -0.3, 0.2]), np.array([1.0, 0.5, -0.7])
    found = pb.taylor(mlp, 8)(x, v)
    np.testing.assert_allclose(found[8], nested(mlp, 8, x, v), rtol=1e-9)
    one_pass = operations(lambda: pb.taylor(mlp, 8)(x, v))
    assert operations(lambda: nested(mlp, 8, x, v)) > 10 * one_pass


# ---- taylor and derivative_tensor


def test_jet_is_public():
    assert pb.jet is pullback_jet()
    assert {"jet", "taylor", "derivative_tensor"} <= set(dir(pb))


def pullback_jet():
    return pb.experimental.jet.jet


def test_taylor_along_a_line():
    point = {"a": jnp.array([0.3, 0.5]), "b": (2.0,)}
    line = {"a": jnp.array([1.0, -1.0]), "b": (0.5,)}

    def f(p):
        return {"y": jnp.exp(p["a"] @ p["a"]) * p["b"][0], "z": (p["a"], 1.0)}

    for run in (pb.taylor(f, 4), pb.jit(pb.taylor(f, 4))):
        found = run(point, line)
        assert len(found) == 5

        def along(t):
            a = np.array([0.3, 0.5]) + t * np.array([1.0, -1.0])
            return np.exp(a @ a) * (2 + 0.5 * t)

        want = contour(along, 0.0, 1.0, 4)
        for k in range(5):
            np.testing.assert_allclose(found[k]["y"], want[k].real * math.factorial(k), rtol=1e-9)
        np.testing.assert_array_equal(found[1]["z"][0], line["a"])
        np.testing.assert_array_equal(found[2]["z"][0], np.zeros(2))
        assert float(found[1]["z"][1]) == 0
    (only,) = pb.taylor(jnp.sin, 0)(1.0, 1.0)
    assert float(only) == math.sin(1)


def test_taylor_composes():
    x, v = jnp.array([0.3, 0.5]), jnp.array([1.0, 2.0])

    def third(x, v):
        return pb.taylor(lambda x: jnp.sum(jnp.sin(x)), 3)(x, v)[3]

    np.testing.assert_allclose(third(x, v), -np.sum(np.cos(x) * np.asarray(v) ** 3))
    np.testing.assert_allclose(pb.grad(third)(x, v), np.sin(x) * np.asarray(v) ** 3)
    np.testing.assert_allclose(pb.grad(third, 1)(x, v), -3 * np.cos(x) * np.asarray(v) ** 2)
    np.testing.assert_allclose(pb.jacfwd(third)(x, v), pb.jacrev(third)(x, v))
    many = pb.jit(pb.vmap(third, in_axes=(None, 0)))(x, jnp.eye(2))
    np.testing.assert_allclose(many, -np.cos(x))
    # Of a gradient, and of itself.
    slope = pb.taylor(pb.grad(lambda x: jnp.sum(x**5)), 2)(x, v)[2]
    np.testing.assert_allclose(slope, 60 * np.asarray(x) ** 2 * np.asarray(v) ** 2)
    mixed = pb.taylor(lambda s: third(x + s * v, v), 2)(0.0, 1.0)[2]
    np.testing.assert_allclose(mixed, np.sum(np.cos(x) * np.asarray(v) ** 5))


@pytest.mark.parametrize("order", [1, 2, 3, 4, 5])
def test_tensors_of_polynomials(order):
    # Of prod x_i^p_i the entries are known: products of falling factorials.
    powers = np.array([3, 1, 2])
    x = np.array([0.7, -1.2, 1.5])

    def f(x):
        return {"y": jnp.prod(x**powers), "z": x[:2]}

    for run in (pb.derivative_tensor(f, order), pb.jit(pb.derivative_tensor(f, order))):
        found = run(x)
        assert found["y"].shape == (3,) * order
        for index in itertools.product(range(3), repeat=order):
            n = np.bincount(index, minlength=3)
            want = math.prod(
                math.perm(int(p), int(k)) * (a ** (p - k) if p >= k else 0)
                for a, p, k in zip(x, powers, n, strict=True)
            )
            np.testing.assert_allclose(found["y"][index], want, atol=1e-9, err_msg=str(index))
        linear = np.eye(2, 3) if order == 1 else np.zeros((2,) + (3,) * order)
        np.testing.assert_allclose(found["z"], linear, atol=1e-10)


def test_tensors_compose():
    x = jnp.array([[0.3, 0.5], [0.1, -0.2]])

    def f(x):
        return jnp.sin(x[0] @ x[1]) + x[0, 0] ** 3

    third = pb.derivative_tensor(f, 3)(x)
    want = pb.jacfwd(pb.jacfwd(pb.jacrev(f)))(x)
    np.testing.assert_allclose(third, want, atol=1e-11)
    slope = pb.grad(lambda x: jnp.sum(pb.derivative_tensor(f, 2)(x)))(x)
    np.testing.assert_allclose(slope, jnp.sum(want, axis=(0, 1, 2, 3)), atol=1e-11)
    both = pb.vmap(pb.derivative_tensor(f, 2))(jnp.stack([x, 2 * x]))
    np.testing.assert_allclose(both[1], pb.hessian(f)(2 * x), atol=1e-11)


MISTAKES = {
    "the order of taylor must be an integer.": lambda: pb.taylor(jnp.sin, 1.5),
    "the order of taylor must be at least 0.": lambda: pb.taylor(jnp.sin, -1),
    "the order of derivative_tensor must be at least 1.": lambda: pb.derivative_tensor(jnp.sin, 0),
    "the direction of taylor must have the structure of the point.": lambda: pb.taylor(jnp.sin, 1)(
        1.0, (1.0,)
    ),
    "derivative_tensor is for few inputs and low orders: this is too much.": (
        lambda: pb.derivative_tensor(jnp.sin, 9)(jnp.ones(100))
    ),
    "derivative_tensor takes a real float array.": lambda: pb.derivative_tensor(jnp.sin, 1)(
        np.arange(3)
    ),
    "taylor takes a function as its first argument.": lambda: pb.taylor(1.0, 1),
}


@pytest.mark.parametrize("text", MISTAKES)
def test_mistakes(text):
    with pytest.raises((TypeError, ValueError)) as caught:
        MISTAKES[text]()
    assert str(caught.value).splitlines()[0] == text
    assert "Got:" in str(caught.value)
    assert "Fix:" in str(caught.value)


def test_zero_over_is_zero_where_the_product_is():
    # x / y, and 0 at x = 0 whatever y is: a curve that starts at 0 / 0.
    found = expand(
        lambda x, y: [incomplete.zero_over(x, y)],
        [[jnp.array(0.0), None, None], [jnp.array(0.0), jnp.array(1.0), None]],
        2,
    )
    np.testing.assert_array_equal([np.asarray(c) for c in found[0]], [0, 0, 0])
