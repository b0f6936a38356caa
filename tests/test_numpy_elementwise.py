"""Elementwise functions of pullback.numpy: dtypes and weak types as JAX's, values as NumPy's."""

from __future__ import annotations

import itertools
import warnings

import ml_dtypes
import numpy as np
import peer
import pytest

import pullback
import pullback.numpy as jnp
from pullback.core.settings import enable_x64

INF, NAN = np.inf, np.nan
WIDE = ("int64", "uint64", "float64", "complex128")


def words(text):
    return text.split()


DTYPES = [
    *words("bool int8 int16 int32 uint8 uint16 uint32 bfloat16 float16 float32 complex64"),
    *WIDE,
]
SCALARS = {"True": True, "1": 1, "-1": -1, "0.5": 0.5, "1j": 1j}

UNARY = words("""negative positive absolute abs fabs sign reciprocal square sqrt cbrt exp exp2 expm1
log log2 log10 log1p sin cos tan arcsin asin arccos acos arctan atan sinh cosh tanh arcsinh asinh
arccosh acosh arctanh atanh deg2rad rad2deg degrees radians sinc i0 floor ceil trunc rint round
logical_not bitwise_not bitwise_invert invert bitwise_count isfinite isinf isnan isneginf isposinf
signbit spacing frexp modf real imag conj conjugate angle isreal iscomplex nan_to_num""")

PROMOTING = words("add multiply divide power maximum")
"""Compared at every pair of dtypes, the others at fewer."""

BINARY = words("""subtract true_divide floor_divide remainder mod fmod divmod pow float_power
logaddexp logaddexp2 arctan2 atan2 hypot minimum fmax fmin equal not_equal less less_equal greater
greater_equal logical_and logical_or logical_xor bitwise_and bitwise_or bitwise_xor left_shift
right_shift bitwise_left_shift bitwise_right_shift copysign nextafter ldexp heaviside gcd lcm
isclose""")
FEW = ("bool", "int8", "uint8", "int32", "bfloat16", "float32", "complex64")

WEAK_ELSEWHERE = {
    "logaddexp": "JAX makes complex results strong",
    "logaddexp2": "JAX makes complex results strong",
    "heaviside": "JAX makes the result of bools and numbers strong or not, by their order",
    "hypot": "JAX makes the result of bools and numbers strong",
    "gcd": "JAX makes the result of bools and numbers strong, by a loop",
    "lcm": "JAX makes the result of bools and numbers strong, by a loop",
}
"""Functions of which only shape and dtype are compared."""


def dtype_of(name):
    return np.dtype(getattr(ml_dtypes, name, name))


def sample(name, *shape, seed=0):
    rng = np.random.default_rng(seed)
    kind = dtype_of(name)
    if name == "bool":
        return rng.random(shape) < 0.5
    if "int" in name:
        return rng.integers(0 if kind.kind == "u" else -3, 5, shape).astype(kind)
    x = rng.normal(size=shape) * 1.5
    return (x + 1j * rng.normal(size=shape)).astype(kind) if kind.kind == "c" else x.astype(kind)


def summary(outs):
    """Shape, dtype and weakness of a result, or of each of several."""
    outs = outs if isinstance(outs, (tuple, list)) else [outs]
    return [(tuple(y.shape), np.dtype(y.dtype).name, bool(y.weak_type)) for y in outs]


def result(function, *args):
    """What a call gives, in types; or that it refuses."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return summary(function(*args))
    except (TypeError, ValueError, NotImplementedError):
        return "refused"


@pytest.fixture(scope="module")
def jax():
    return pytest.importorskip("jax")


def theirs(jax, name, *args):
    """The types that JAX's function gives: found without compiling."""
    function = getattr(jax.numpy, name)
    arrays = [i for i, x in enumerate(args) if isinstance(x, np.ndarray)]

    def call(*given):
        full = list(args)
        for i, x in zip(arrays, given):
            full[i] = x
        return function(*full)

    return result(lambda: jax.eval_shape(call, *[args[i] for i in arrays]))


def check_types(jax, name, *args):
    want, got = theirs(jax, name, *args), result(getattr(jnp, name), *args)
    if name in WEAK_ELSEWHERE and "refused" not in (want, got):
        want, got = [w[:2] for w in want], [g[:2] for g in got]
    assert got == want, args


# ---- types as JAX's


@pytest.mark.skipif(not peer.INSTALLED, reason="jax is not installed")
@pytest.mark.parametrize("x64", [False, True], ids=["x32", "x64"])
@pytest.mark.parametrize("name", PROMOTING)
def test_every_pair_of_dtypes_promotes_as_in_jax(jax, name, x64):
    kinds = [d for d in DTYPES if x64 or d not in WIDE]
    with enable_x64(x64), jax.enable_x64(x64):
        for a, b in itertools.product(kinds, kinds):
            check_types(jax, name, sample(a, 2), sample(b, 2))
        for a, s in itertools.product(kinds, SCALARS.values()):
            if name != "power" or a not in ("bool", "uint8") or s != -1:
                check_types(jax, name, sample(a, 2), s)
            check_types(jax, name, s, sample(a, 2))
        for s, t in itertools.product(SCALARS.values(), repeat=2):
            check_types(jax, name, s, t)


@pytest.mark.skipif(not peer.INSTALLED, reason="jax is not installed")
@pytest.mark.parametrize("x64", [False, True], ids=["x32", "x64"])
def test_where_promotes_as_in_jax(jax, x64):
    kinds = [d for d in DTYPES if x64 or d not in WIDE]
    mask = np.array([True, False])
    with enable_x64(x64), jax.enable_x64(x64):
        for a, b in itertools.product(kinds, kinds):
            check_types(jax, "where", mask, sample(a, 2), sample(b, 2))
        for a, s in itertools.product(kinds, SCALARS.values()):
            check_types(jax, "where", mask, sample(a, 2), s)
            check_types(jax, "where", mask, s, sample(a, 2))
        for s, t in itertools.product(SCALARS.values(), repeat=2):
            check_types(jax, "where", mask, s, t)


@pytest.mark.skipif(not peer.INSTALLED, reason="jax is not installed")
@pytest.mark.parametrize("name", BINARY)
def test_types_of_two_arguments_are_those_of_jax(jax, name):
    for a, b in itertools.product(FEW, FEW):
        check_types(jax, name, sample(a, 2, 3), sample(b, 3))
    for a, s in itertools.product(FEW, SCALARS.values()):
        if name != "pow" or s != -1:
            check_types(jax, name, sample(a, 3), s)
        check_types(jax, name, s, sample(a, 3))


@pytest.mark.skipif(not peer.INSTALLED, reason="jax is not installed")
@pytest.mark.parametrize("name", UNARY)
def test_types_of_one_argument_are_those_of_jax(jax, name):
    for x64 in (False, True):
        with enable_x64(x64), jax.enable_x64(x64):
            for a in DTYPES:
                if x64 or a not in WIDE:
                    check_types(jax, name, sample(a, 3))
            for s in SCALARS.values():
                check_types(jax, name, s)


@pytest.mark.skipif(not peer.INSTALLED, reason="jax is not installed")
def test_result_type_and_promote_types_are_those_of_jax(jax):
    names = [*DTYPES, "int4", "float8_e4m3fn"]
    for x64 in (False, True):
        with enable_x64(x64), jax.enable_x64(x64), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for a, b in itertools.product([*names, int, float, complex], repeat=2):
                for function in ("result_type", "promote_types", "can_cast"):
                    want, got = (
                        self_or_refused(
                            getattr(module, function),
                            *(
                                getattr(module, x + "_" * (x == "bool"))
                                if isinstance(x, str)
                                else x
                                for x in (a, b)
                            ),
                        )
                        for module in (jax.numpy, jnp)
                    )
                    assert got == want, (function, a, b)


def self_or_refused(function, *args):
    try:
        return function(*args)
    except (TypeError, ValueError):
        return "refused"


# ---- values as NumPy's

NUMPY = {name: name for name in UNARY + PROMOTING + BINARY} | {
    "acos": "arccos", "acosh": "arccosh", "asin": "arcsin", "asinh": "arcsinh", "atan": "arctan",
    "atan2": "arctan2", "atanh": "arctanh", "bitwise_left_shift": "left_shift", "pow": "power",
    "bitwise_right_shift": "right_shift", "bitwise_invert": "invert",
}  # fmt: skip
DOMAIN = {
    "arccosh": (1, 4), "acosh": (1, 4), "arcsin": (-1, 1), "asin": (-1, 1), "arccos": (-1, 1),
    "acos": (-1, 1), "arctanh": (-0.9, 0.9), "atanh": (-0.9, 0.9), "log": (0.1, 4),
    "log2": (0.1, 4), "log10": (0.1, 4), "log1p": (-0.9, 4), "sqrt": (0, 4),
}  # fmt: skip
INTEGERS_ONLY = words("""bitwise_not bitwise_invert invert bitwise_count bitwise_and bitwise_or
bitwise_xor left_shift right_shift bitwise_left_shift bitwise_right_shift gcd lcm""")


def exact(name, *args):
    """NumPy's value, computed in 64 bits."""
    wide = [
        x.astype(complex if x.dtype.kind == "c" else float) if x.dtype.kind in "fc" else x
        for x in args
    ]
    with np.errstate(all="ignore"):
        out = getattr(np, NUMPY[name])(*wide)
    return out if isinstance(out, tuple) else (out,)


def check_values(name, got, want, dtype):
    got = got if isinstance(got, tuple) else (got,)
    eps = float(jnp.finfo(dtype).eps) if jnp.issubdtype(dtype, jnp.inexact) else 0
    for g, w in zip(got, want):
        if g.dtype.kind in "biu":
            np.testing.assert_array_equal(np.asarray(g), w)
        else:
            x = np.asarray(g).astype(complex if g.dtype.kind == "c" else float)
            np.testing.assert_allclose(x, w, rtol=40 * eps, atol=4 * eps, err_msg=name)


@pytest.mark.parametrize("name", [n for n in UNARY if n != "spacing"])
def test_values_of_one_argument_are_those_of_numpy(name):
    low, high = DOMAIN.get(name, (-4, 4))
    x = np.linspace(low + 0.05, high, 23)
    if name in INTEGERS_ONLY:
        at = np.arange(-4, 5)
        return check_values(name, getattr(jnp, name)(at), exact(name, at), int)
    for dtype in ("float16", "float32"):
        at = x.astype(dtype)
        check_values(name, getattr(jnp, name)(at), exact(name, at), dtype)
    with enable_x64():
        check_values(name, getattr(jnp, name)(x), exact(name, x), "float64")
    return None


@pytest.mark.parametrize("name", PROMOTING + BINARY)
def test_values_of_two_arguments_are_those_of_numpy(name):
    if name in INTEGERS_ONLY:
        a, b = np.meshgrid(np.arange(-4, 5), np.arange(5))
        got = getattr(jnp, name)(jnp.array(a), jnp.array(b))
        return check_values(name, got, exact(name, a, b), int)
    a = np.random.default_rng(0).uniform(0.3, 4, 30).astype("float32")
    b = np.random.default_rng(1).uniform(0.3, 4, 30).astype("float32")
    if name == "ldexp":
        b = np.arange(-15, 15)
    elif name != "power" and name != "pow" and name != "float_power":
        a[::2] *= -1
        b[::3] *= -1
    want = (np.nextafter(a, b),) if name == "nextafter" else exact(name, a, b)
    return check_values(name, getattr(jnp, name)(a, b), want, "float32")


EDGES = np.array([0.0, -0.0, 1.0, -1.0, 2.5, -0.5, INF, -INF, NAN], "float32")


@pytest.mark.parametrize(
    "name",
    words("""sqrt cbrt exp exp2 expm1 log log1p tanh sinh cosh arctan sign absolute floor ceil trunc
    rint round reciprocal square isnan isinf isfinite isposinf isneginf signbit logical_not sinc
    frexp modf"""),
)
def test_values_at_the_edges_of_one_argument(name):
    with np.errstate(all="ignore"):
        want = getattr(np, name)(EDGES.astype(float))
        if name == "sinc":
            want = np.where(np.isinf(EDGES), 0, want)
    got = getattr(jnp, name)(EDGES)
    for g, w in zip(got, want) if isinstance(got, tuple) else [(got, want)]:
        np.testing.assert_allclose(np.asarray(g), w, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    "name",
    words("""add multiply divide maximum minimum fmax fmin hypot logaddexp logaddexp2 arctan2 equal
    less copysign heaviside fmod remainder float_power logical_and"""),
)
def test_values_at_the_edges_of_two_arguments(name):
    a, b = (x.ravel() for x in np.meshgrid(EDGES, EDGES))
    with np.errstate(all="ignore"):
        want = getattr(np, name)(a.astype(float), b.astype(float))
    np.testing.assert_allclose(np.asarray(getattr(jnp, name)(a, b)), want, rtol=1e-6, atol=1e-7)


def test_frexp_and_ldexp_keep_every_bit():
    x = np.array([1e-45, 3e-39, 1.17e-38, 1e-3, 0.5, 1.0, 1.9999999, 3e38, -1e-45, -7.0], "float32")
    m, e = jnp.frexp(x)
    want_m, want_e = np.frexp(x)
    np.testing.assert_array_equal(np.asarray(m), want_m)
    np.testing.assert_array_equal(np.asarray(e), want_e)
    for n in (-200, -149, -140, -1, 0, 1, 100, 300):
        with np.errstate(all="ignore"):
            np.testing.assert_array_equal(np.asarray(jnp.ldexp(x, n)), np.ldexp(x, n))
    assert jnp.ldexp(1.0, jnp.uint32(4_000_000_000)) == INF


def test_spacing_is_that_of_numpy():
    for dtype in ("float16", "float32"):
        x = np.array([0.0, 1.0, -1.0, 1e-4, 3e4, -2.5, INF, NAN], dtype)
        with np.errstate(all="ignore"):
            np.testing.assert_array_equal(np.asarray(jnp.spacing(x)), np.spacing(x))


def test_integers_are_divided_as_in_python():
    a, b = (x.ravel() for x in np.meshgrid(np.arange(-7, 8), [-3, -2, -1, 1, 2, 3]))
    x, y = jnp.array(a), jnp.array(b)
    np.testing.assert_array_equal(np.asarray(x // y), a // b)
    np.testing.assert_array_equal(np.asarray(x % y), a % b)
    np.testing.assert_array_equal(np.asarray(jnp.fmod(x, y)), np.fmod(a, b))
    assert (7 // jnp.uint8(2)).dtype == np.uint8


def test_python_numbers_wrap_in_narrow_integers_and_not_in_floats():
    small = jnp.array([3], jnp.uint8)
    assert (small + -1).tolist() == [2]
    assert (small + 300).tolist() == [47]
    assert jnp.divide(small, -1).tolist() == [-3.0]
    assert (jnp.ones(1) * 1e300).tolist() == [INF]
    with pytest.raises(OverflowError, match="1099511627776 does not fit int32"):
        jnp.arange(3) + 2**40


def test_zeros_keep_their_signs():
    x = jnp.array([-1.0, 1.0])
    assert np.signbit(np.asarray(x * -0.0)).tolist() == [False, True]
    assert np.signbit(np.asarray(x * 0.0)).tolist() == [True, False]
    assert np.signbit(np.asarray(x * 0)).tolist() == [True, False]


def test_power_multiplies_out_known_integers_only():
    def primitives(f):
        return [eq.primitive.name for eq in pullback.make_jaxpr(f)(2.0).eqns]

    assert primitives(lambda x: x**3) == ["integer_pow"]
    assert primitives(lambda x: x**-1) == ["integer_pow"]
    assert primitives(lambda x: x ** np.int32(2)) == ["integer_pow"]
    assert primitives(lambda x: x**2.0) == ["pow"]
    assert primitives(lambda x: 2**x) == ["pow"]
    x = jnp.array([0, 1, 2, -1, -2])
    assert (x ** jnp.array([0, 5, 3, 3, 2])).tolist() == [1, 1, 8, -1, 4]
    assert (x[1:] ** jnp.array([-1, -1, -1, -2])).tolist() == [1, 0, -1, 0]
    assert (jnp.float16(2) ** jnp.array([3], jnp.int8)).dtype == np.float16


def test_rounding_to_decimals():
    x = np.array([1.25, -2.675, 1234.567], "float32")
    for n in (-2, 0, 1, 2):
        np.testing.assert_allclose(np.asarray(jnp.round(x, n)), np.round(x, n), rtol=1e-6)
    assert jnp.round(jnp.float16(1000.5), 5).dtype == np.float16
    assert jnp.round(jnp.array([1.26 + 2.51j]), 1).tolist() == pytest.approx([1.3 + 2.5j], abs=1e-6)
    assert jnp.round(jnp.array(3), 2) == 3


def test_clip_and_nan_to_num():
    x = jnp.array([-INF, -1.0, 0.5, 7.0, INF, NAN])
    assert jnp.clip(x, 0, 1).tolist()[:5] == [0, 0, 0.5, 1, 1]
    assert jnp.clip(x, max=jnp.zeros((2, 1))).shape == (2, 6)
    limit = float(np.finfo("float32").max)
    assert jnp.nan_to_num(x).tolist() == [-limit, -1, 0.5, 7, limit, 0]
    assert jnp.nan_to_num(x, nan=2, posinf=3, neginf=4).tolist() == [4, -1, 0.5, 7, 3, 2]


def test_false_times_anything_is_zero():
    mask = np.array([False, True])
    for x in (INF, NAN, jnp.array([-INF, -2.0]), jnp.ones((3, 1), "bfloat16"), np.complex64(2j)):
        wanted = np.where(mask, x, 0)
        for f in (jnp.multiply, pullback.jit(jnp.multiply)):
            for got in (f(mask, x), f(x, jnp.array(mask))):
                assert got.dtype == getattr(x, "dtype", np.float32)
                np.testing.assert_array_equal(got, wanted)
                assert not np.signbit(np.asarray(got.real, np.float32)[..., 0]).any()
    assert (jnp.array(mask) * 3.0).weak_type and not (mask * jnp.float32(3)).weak_type
    assert (mask * jnp.arange(2)).dtype == np.int32
    slope = pullback.grad(lambda x: (mask * x**2).sum())
    assert slope(NAN) != slope(NAN) and slope(3.0) == 6.0
    np.testing.assert_array_equal(pullback.vmap(jnp.multiply)(mask, jnp.array([NAN, 2.0])), [0, 2])
    with pytest.raises(TypeError, match="multiply"):
        mask * jnp.ones(3)


def test_closeness():
    a, b = jnp.array([1.0, INF, NAN, 1.0]), jnp.array([1.0 + 1e-7, INF, NAN, 1.1])
    assert jnp.isclose(a, b).tolist() == [True, True, False, False]
    assert jnp.isclose(a, b, equal_nan=True).tolist() == [True, True, True, False]
    assert not jnp.allclose(a, b)
    assert jnp.allclose(a, a, equal_nan=True)
    assert jnp.array_equal(a[:2], [1.0, INF]) and not jnp.array_equal(a, a)
    assert jnp.array_equal(a, a, equal_nan=True)
    assert not jnp.array_equal(a, a[:2])
    assert jnp.array_equiv(jnp.ones((2, 3)), jnp.ones(3))
    assert not jnp.array_equiv(jnp.ones(2), jnp.ones(3))


# ---- derivatives at the edges


def slopes(f, *args):
    return [float(t) for t in pullback.grad(f, tuple(range(len(args))))(*args)]


@pytest.mark.parametrize(
    "f, args, want",
    [
        (jnp.hypot, (0.0, 0.0), [0.5, 0.5]),
        (jnp.hypot, (3.0, -4.0), [0.6, -0.8]),
        (jnp.hypot, (0.0, 3.0), [0, 1]),
        (jnp.logaddexp, (0.0, 0.0), [0.5, 0.5]),
        (jnp.logaddexp, (INF, INF), [0.5, 0.5]),
        (jnp.logaddexp, (-INF, -INF), [0.5, 0.5]),
        (jnp.logaddexp, (INF, 0.0), [1, 0]),
        (jnp.logaddexp, (-INF, 0.0), [0, 1]),
        (jnp.logaddexp, (1000.0, 0.0), [1, 0]),
        (jnp.logaddexp2, (2.0, 2.0), [0.5, 0.5]),
        (jnp.maximum, (1.0, 1.0), [0.5, 0.5]),
        (jnp.maximum, (2.0, 1.0), [1, 0]),
        (jnp.minimum, (1.0, 1.0), [0.5, 0.5]),
        (jnp.fmax, (2.0, NAN), [1, 0]),
        (jnp.power, (0.0, 2.0), [0, 0]),
        (jnp.power, (0.0, 1.0), [1, 0]),
        (jnp.mod, (5.0, 3.0), [1, -1]),
        (jnp.mod, (-5.0, 3.0), [1, 2]),
        (jnp.fmod, (-5.0, 3.0), [1, 1]),
        (jnp.floor_divide, (5.0, 3.0), [0, 0]),
        (jnp.copysign, (1.0, -1.0), [-1, 0]),
        (jnp.heaviside, (0.0, 2.0), [0, 1]),
        (jnp.arctan2, (1.0, 0.0), [0, -1]),
        (lambda x: x**2, (0.0,), [0]),
        (lambda x: x**0, (0.0,), [0]),
        (lambda x: jnp.clip(x, 0.0, 1.0), (2.0,), [0]),
        (lambda x: jnp.where(x > 0, jnp.sqrt(jnp.where(x > 0, x, 1.0)), 0.0), (0.0,), [0]),
        (lambda x: jnp.frexp(x)[0], (3.0,), [0.25]),
        (lambda x: jnp.modf(x)[0], (-3.5,), [1]),
        (lambda x: jnp.modf(x)[0], (3.0,), [1]),
        (lambda x: jnp.ldexp(x, 3), (3.5,), [8]),
        (jnp.nan_to_num, (NAN,), [0]),
        (jnp.sign, (2.0,), [0]),
        (jnp.floor, (2.5,), [0]),
        (jnp.round, (2.5,), [0]),
        (jnp.real, (2.0,), [1]),
        (lambda x: jnp.angle(jnp.exp(1j * x)), (0.5,), [1]),
        (lambda x: jnp.logaddexp(0.0, x), (1.0,), [0.7310586]),
    ],
)
def test_derivatives_at_edges(f, args, want):
    np.testing.assert_allclose(slopes(f, *args), want, rtol=1e-6, atol=1e-7)


def test_sinc_has_all_derivatives_at_zero_and_near_it():
    # The series of sinc: 1 - u^2/3! + u^4/5! - ..., u = pi x.
    want = [1, 0, -(np.pi**2) / 3, 0, np.pi**4 / 5, 0, -(np.pi**6) / 7]
    f = jnp.sinc
    with enable_x64():
        for w in want:
            np.testing.assert_allclose(f(0.0), w, rtol=1e-14, atol=1e-14)
            f = pullback.grad(f)
        u = np.pi * 1e-4
        slope = np.pi * (-u / 3 + u**3 / 30 - u**5 / 840)
        np.testing.assert_allclose(pullback.grad(jnp.sinc)(1e-4), slope, rtol=1e-14)
    assert jnp.sinc(3.0) == 0


def test_second_derivative_of_logaddexp_at_a_tie():
    second = pullback.grad(pullback.grad(jnp.logaddexp))
    np.testing.assert_allclose(second(1.0, 1.0), 0.25, rtol=1e-6)
    np.testing.assert_allclose(second(90.0, 91.0), 0.19661193, rtol=1e-5)


# ---- programs


@pytest.mark.parametrize(
    "f, want",
    [
        (
            lambda x: jnp.log(1.0 + jnp.exp(x)),
            "{ lambda ; a:f32[]. let\n    b:f32[] = exp a\n    c:f32[] = add 1.0 b\n"
            "    d:f32[] = log c\n  in (d,) }",
        ),
        (lambda x: x * 2, "{ lambda ; a:f32[]. let b:f32[] = mul a 2.0 in (b,) }"),
        (lambda x: 1 - x, "{ lambda ; a:f32[]. let b:f32[] = sub 1.0 a in (b,) }"),
        (lambda x: jnp.maximum(x, 0), "{ lambda ; a:f32[]. let b:f32[] = max a 0.0 in (b,) }"),
        (lambda x: +x, "{ lambda ; a:f32[]. let in (a,) }"),
        (jnp.sinc, "{ lambda ; a:f32[]. let b:f32[] = sinc[order=0] a in (b,) }"),
        (lambda x: x > 0, "{ lambda ; a:f32[]. let b:bool[] = gt a 0.0 in (b,) }"),
    ],
)
def test_programs_record_nothing_else(f, want):
    assert str(pullback.make_jaxpr(f)(3.0)) == want


def test_functions_work_under_all_transformations():
    def f(x):
        return jnp.sum(jnp.logaddexp(x, 0.0) * jnp.sinc(x) + jnp.hypot(x, 2.0) ** 2)

    x = jnp.array([0.3, -1.2, 0.0])
    gradient = pullback.grad(f)(x)
    np.testing.assert_allclose(pullback.jit(pullback.grad(f))(x), gradient, rtol=1e-6)
    rows = pullback.vmap(pullback.grad(f))(jnp.stack([x, 2 * x]))
    np.testing.assert_allclose(rows[0], gradient, rtol=1e-6)
    hessian = pullback.hessian(f)(x)
    np.testing.assert_allclose(hessian, hessian.T, atol=1e-5)


# ---- mistakes


@pytest.mark.parametrize(
    "call, kind, message",
    [
        (lambda: jnp.sin([1.0]), TypeError, "sin requires ndarray or scalar arguments"),
        (lambda: jnp.add(1.0, None), TypeError, "NoneType is not a valid array"),
        (lambda: jnp.add(jnp.ones(2), jnp.ones(3)), TypeError, "add got incompatible shapes"),
        (lambda: jnp.ones(2) + jnp.ones((1, 3)), ValueError, "add got incompatible shapes"),
        (lambda: jnp.where(jnp.ones(2) > 0, jnp.ones(3), 1), ValueError, "where got incompatible"),
        (lambda: jnp.full((2,), jnp.ones(3)), ValueError, "full got incompatible shapes"),
        (lambda: -jnp.array(True), TypeError, "neg does not take bool arrays"),
        (lambda: jnp.array(True) - True, TypeError, "sub does not take bool arrays"),
        (lambda: jnp.ones(2) & 1, TypeError, "and does not take float32 arrays"),
        (lambda: ~jnp.ones(2), TypeError, "not does not take float32 arrays"),
        (lambda: jnp.ones(2) << 1, TypeError, "shift_left does not take float32 arrays"),
        (lambda: jnp.bitwise_count(1.5), TypeError, "population_count does not take float32"),
        (lambda: jnp.array(2) ** -1, TypeError, "integers cannot be raised to negative powers"),
        (lambda: jnp.ones(2) // 1j, TypeError, "floor_divide does not support complex"),
        (lambda: jnp.floor(1j), TypeError, "floor does not take complex64 arrays"),
        (lambda: jnp.fabs(1j), TypeError, "fabs does not support complex-valued"),
        (lambda: jnp.hypot(1j, 1), ValueError, "hypot is not well defined for complex"),
        (lambda: jnp.clip(1j, 0, 1), ValueError, "complex numbers have no order"),
        (lambda: jnp.clip(), ValueError, "No input was provided to the clip function"),
        (lambda: jnp.gcd(1.5, 2), ValueError, "gcd takes integers"),
        (lambda: jnp.round(jnp.array(3), -1), NotImplementedError, "cannot be rounded to tens"),
        (lambda: jnp.isneginf(1j), ValueError, "not well defined for complex"),
        (lambda: jnp.signbit(1j), ValueError, "signbit is not well defined"),
        (lambda: jnp.ldexp(1.0, 2.0), ValueError, "ldexp not supported for input types"),
        (lambda: jnp.round(1.0, out=1), NotImplementedError, "'out' argument to jnp.round"),
        (lambda: jnp.result_type(), ValueError, "at least one array or dtype"),
        (lambda: jnp.isdtype("float32", "nonsense"), ValueError, "Unrecognized kind='nonsense'"),
    ],
)
def test_mistakes_are_explained(call, kind, message):
    with pytest.raises(kind, match="(?s)" + message.replace("'", ".")) as caught:
        call()
    assert "Got: " in str(caught.value) and "Fix: " in str(caught.value)


def test_strict_promotion_refuses_to_mix():
    with pullback.numpy_dtype_promotion("strict"):
        assert (jnp.arange(3) + 1).dtype == np.int32
        assert (jnp.ones(3) * 2).dtype == np.float32
        with pytest.raises(ValueError, match="no implicit promotion in strict mode"):
            jnp.arange(3) + jnp.ones(3)


def test_rank_promotion_can_be_refused():
    x, y = jnp.ones((2, 3)), jnp.ones(3)
    assert (x + y).shape == (2, 3)
    with pullback.numpy_rank_promotion("raise"):
        assert (x + 1.0).shape == (2, 3)
        with pytest.raises(ValueError, match=r"not be broadcast together: .* promote"):
            x + y
    with pullback.numpy_rank_promotion("warn"), pytest.warns(UserWarning, match="rank"):
        x + y


# ---- traced as at once


def check_traced(f, *args):
    """Under jit and vmap the same types and numbers as at once, or refused as at once.

    Under vmap to the bit; a compiled function has maths of its own, good to 2 units in the last
    place where NumPy's are good to 4.
    """
    want = result(f, *args)
    assert result(pullback.jit(f), *args) == want
    if want == "refused":
        return
    at_once = leaves(f(*args))
    for traced, units in ((pullback.jit(f)(*args), 6), (pullback.vmap(f)(*args), 0)):
        for a, b in zip(leaves(traced), at_once):
            assert a.dtype == b.dtype and a.shape == b.shape
            inexact = jnp.issubdtype(b.dtype, jnp.inexact)
            near = units * float(jnp.finfo(b.dtype).eps) if inexact else 0
            # sinc at whole numbers and atan2 of complex numbers are differences of larger ones.
            found, right = np.asarray(a, complex), np.asarray(b, complex)
            np.testing.assert_allclose(found, right, rtol=near, atol=near)


def leaves(out):
    return out if isinstance(out, (tuple, list)) else [out]


@pytest.mark.parametrize("name", UNARY)
def test_traced_functions_of_one_argument(name):
    for dtype in FEW:
        check_traced(getattr(jnp, name), sample(dtype, 2, 3))


@pytest.mark.parametrize("name", PROMOTING + BINARY)
def test_traced_functions_of_two_arguments(name):
    for a, b in itertools.product(FEW, FEW):
        check_traced(getattr(jnp, name), sample(a, 2, 3), sample(b, 2, 3, seed=1))
