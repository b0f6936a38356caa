"""Taylor mode against nested forward mode, against known series, and against JAX's jet."""

import math

import numpy as np
import peer
import pytest
import scipy.special
from properties import function_of

import pullback as pb
from examples import EXAMPLES
from pullback import lax, nn
from pullback import numpy as jnp
from pullback.control import taylor as of_programs  # noqa: F401
from pullback.core import dtypes, trace
from pullback.core.array import HostArray
from pullback.core.settings import enable_x64
from pullback.experimental.jet import jet
from pullback.extend import Absent, Elementwise
from pullback.scipy import special
from pullback.transforms import forward, taylor
from pullback.transforms import taylor_rules as of_operations  # noqa: F401

pytestmark = pytest.mark.usefixtures("x64")


def nested(function, args, order):
    """The coefficients of each output along the curve, by forward mode in forward mode ..."""

    def along(t):
        xs = []
        for series in args:
            x, power = series[0], t
            for c in series[1:]:
                if c is not None:
                    x = x + c * power
                power = power * t
            xs.append(x)
        return function(*xs)

    def derivative(f):
        def pushed(t):
            outs, dots = forward.jvp(lambda t: f(t), [t], [jnp.ones(())])
            return [jnp.zeros(y.shape) if d is None else d for y, d in zip(outs, dots, strict=True)]

        return pushed

    found, f = [], along
    for k in range(order + 1):
        found.append([np.asarray(y) / math.factorial(k) for y in f(jnp.zeros(()))])
        f = derivative(f)
    return [list(column) for column in zip(*found, strict=True)]


def check(function, args, order=5, tolerance=1e-12):
    got = taylor.expand(function, args, order)
    for series, want in zip(got, nested(function, args, order), strict=True):
        for k, (c, w) in enumerate(zip(series, want, strict=True)):
            c = np.zeros(w.shape) if c is None else np.asarray(c)
            size = max(1.0, np.abs(w).max(initial=0.0))
            assert c.shape == w.shape, k
            np.testing.assert_allclose(c, w, rtol=0, atol=tolerance * size, err_msg=f"order {k}")


def curve(*shape, order=5, seed=0):
    rng = np.random.default_rng(seed)
    first = rng.uniform(0.2, 0.8, shape)
    return [jnp.array(c) for c in (first, *0.7 * rng.normal(size=(order, *shape)))]


ELEMENTWISE = {
    **{
        name: getattr(jnp, name)
        for name in (
            *("sin", "cos", "tan", "sinh", "cosh", "tanh", "arcsin", "arccos", "arctan"),
            *("arcsinh", "arctanh", "exp", "exp2", "expm1", "log", "log1p", "sqrt", "cbrt"),
            *("square", "abs", "sinc", "reciprocal"),
        )
    },
    **{
        name: getattr(special, name)
        for name in (
            *("expit", "erf", "erfc", "erfinv", "gammaln", "digamma", "i0e", "ndtri"),
            "log_ndtr",
        )
    },
    **{name: getattr(nn, name) for name in ("relu", "gelu", "softplus", "silu", "elu", "selu")},
    "rsqrt": lax.rsqrt,
    "arccosh": lambda x: jnp.arccosh(1 + x),
    "integer_pow": lambda x: x**7 - x**-3 + x**1 + x**0,
    "pow": lambda x: x**2.5,
    "pow of both": lambda x: x**x,
    "pow of a constant": lambda x: 2.0**x,
    "div": lambda x: (1 + x) / (x * x + 2) + 1 / x + x / 3,
    "atan2": lambda x: jnp.arctan2(x, 1 - x * x),
    "hypot": lambda x: jnp.hypot(x, 1 - x),
    "logaddexp": lambda x: jnp.logaddexp(x, x * x),
    "remainder": lambda x: jnp.remainder(x, 0.2 + x * x),
    "maximum": lambda x: jnp.maximum(x, 0.5) - jnp.minimum(x * x, 0.3),
    "clip": lambda x: jnp.clip(x, 0.3, 0.6) * x,
    "where": lambda x: jnp.where(x > 0.5, jnp.sin(x), x),
    "floor": lambda x: jnp.floor(3 * x) * x + jnp.sign(x),
    "complex": lambda x: jnp.abs(jnp.exp(1j * x) + x) + jnp.angle(1 + x * 1j),
    "betainc": lambda x: special.betainc(2.0, 3.0, x),
    "polygamma": lambda x: special.polygamma(1, x),
}


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise(name):
    function = ELEMENTWISE[name]
    check(lambda x: [function(x)], [curve(3)])
    order = curve(order=5, seed=1)
    straight = [order[0], jnp.array(0.7), None, None, None, None]
    check(lambda x: [function(x)], [straight])


def spread(x):
    return jnp.outer(x, x) + jnp.diag(1 + x)


ARRAYS = {
    "products": lambda x: spread(x) @ x + jnp.einsum("i,ij,j", x, spread(x), x),
    "sums": lambda x: jnp.cumsum(x) * jnp.var(x) + jnp.mean(x),
    "prod": lambda x: jnp.cumprod(x) + jnp.prod(x),
    "max": lambda x: jnp.max(x * x) + jnp.sort(x)[::-1] * jnp.argmax(x),
    "softmax": lambda x: nn.softmax(x) + nn.log_softmax(x) + special.logsumexp(x),
    "norm": lambda x: x / jnp.linalg.norm(x),
    "indexing": lambda x: x.at[1].mul(x[0]).at[jnp.array([0, 0])].add(x[:2])[jnp.array([2, 0])],
    "joined": lambda x: jnp.concatenate([x, jnp.pad(x, 1), jnp.stack([x, x * x])[1, ::-1]]),
    "solve": lambda x: jnp.linalg.solve(spread(x), x),
    "det": lambda x: jnp.linalg.det(spread(x)) + jnp.linalg.slogdet(spread(x))[1],
    "inv": lambda x: jnp.linalg.inv(spread(x)),
    "cholesky": lambda x: jnp.linalg.cholesky(spread(x)),
    "eigh": lambda x: jnp.linalg.eigh(spread(x))[0],
    "qr": lambda x: jnp.linalg.qr(spread(x))[1],
    "triangular": lambda x: lax.linalg.triangular_solve(
        spread(x), jnp.sin(x)[:, None], left_side=True, lower=True, transpose_a=True
    ),
    "fft": lambda x: jnp.abs(jnp.fft.rfft(x * x)) + jnp.fft.irfft(jnp.fft.fft(x), 3)[:2],
    "convolve": lambda x: lax.conv_general_dilated(
        x[None, None], jnp.sin(x)[None, None], (1,), [(1, 1)]
    ),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays(name):
    check(lambda x: [ARRAYS[name](x)], [curve(3)])


def solved(x):
    a = spread(x)
    fixed = lax.stop_gradient(a)
    return lax.custom_linear_solve(lambda v: a @ v, x * x, lambda _, b: jnp.linalg.solve(fixed, b))


def step(c, x):
    return jnp.sin(c) * x, (c * x, jnp.ones(()))


CONTROL = {
    "jit": pb.jit(lambda x: jnp.sin(x) * x),
    "checkpoint": pb.checkpoint(lambda x: jnp.sin(x) * x),
    "cond": lambda x: lax.cond(x[0] > 0, lambda x: (x * x, x), lambda x: (x, jnp.ones(3)), x),
    "cond of constants": lambda x: lax.cond(x[0] < 0, lambda x: x, lambda x: jnp.ones(3), x) * x,
    "switch": lambda x: lax.switch(1, [jnp.cos, lambda x: x**3, jnp.sin], x),
    "scan": lambda x: lax.scan(step, x[0], x),
    "scan that closes over": lambda x: lax.scan(lambda c, a: (c * x[1], c + a), 1.0, np.ones(3)),
    "scan in reverse": lambda x: lax.scan(step, 0.5, x, reverse=True),
    "scan of constants": lambda x: lax.scan(step, 0.5, np.ones(3))[0] * x,
    "while": lambda x: lax.while_loop(
        lambda c: c[1] < 3, lambda c: (c[0] * jnp.sin(x), c[1] + 1, c[0]), (x, 0, jnp.ones(3))
    )[0],
    "while on values": lambda x: lax.while_loop(lambda c: jnp.sum(c) < 30, lambda c: c + x, x),
    "fori_loop": lambda x: lax.fori_loop(0, 3, lambda i, c: c * c + x, x),
    "map": lambda x: lax.map(jnp.sin, x),
    "associative_scan": lambda x: lax.associative_scan(jnp.multiply, x),
    "custom_linear_solve": solved,
    "vmap": lambda x: pb.vmap(lambda a: lax.cond(a > 0.5, jnp.sin, jnp.cos, a))(x),
    "all in jit": pb.jit(
        lambda x: lax.scan(step, x[0], lax.fori_loop(0, 2, lambda i, c: c * x, x))
    ),
    "grad": lambda x: pb.grad(lambda x: jnp.sum(jnp.exp(x) * x[0]))(x),
}


@pytest.mark.parametrize("name", CONTROL)
def test_control_flow(name):
    function = CONTROL[name]
    check(lambda x: pb.tree.leaves(function(x)), [curve(3)])
    check(pb.jit(lambda x: pb.tree.leaves(function(x))), [curve(3, order=2)], 2)


def test_custom_rules():
    @pb.custom_jvp
    def doubled(x):
        return jnp.sin(x)

    # A wrong derivative, so that it shows which one is used.
    doubled.defjvp(
        lambda primals, tangents: (doubled(*primals), 2 * jnp.cos(*primals) * tangents[0])
    )
    check(lambda x: [doubled(x * x)], [curve(3)])
    series = jet(doubled, (0.5,), ([1.0, 0.0],))[1]
    np.testing.assert_allclose(series, [2 * np.cos(0.5), -2 * np.sin(0.5)])

    @pb.custom_vjp
    def sine(x):
        return jnp.sin(x)

    sine.defvjp(lambda x: (sine(x), x), lambda x, ct: (ct * jnp.cos(x),))
    np.testing.assert_allclose(jet(sine, (0.5,), ([1.0, 0.0],))[1], [np.cos(0.5), -np.sin(0.5)])


# ---- every primitive, at its examples


def one_example_each():
    found = {}
    for e in EXAMPLES:
        if e.order > 1 and e.smooth and "float64" in e.dtypes:
            found.setdefault(e.primitive, []).append(e)
    return [pytest.param(e[:2], id=p.name) for p, e in found.items()]


@pytest.mark.parametrize("examples", one_example_each())
def test_every_primitive(examples):
    for e in examples:
        call, args = function_of(e, np.dtype("float64")), []
        for x, t in zip(
            e.args("float64"), e.tangents("float64", np.random.default_rng(0)), strict=True
        ):
            terms = [None] * 3
            if dtypes.is_inexact(x.dtype):
                terms = [HostArray(np.asarray(t)), None, HostArray(np.asarray(0.5 * t))]
            args.append([HostArray(np.asarray(x)), *terms])
        if not any(dtypes.is_inexact(y.dtype) for y in call(*[s[0] for s in args])):
            continue  # nothing to compare, and infinities among the arguments
        try:
            nested(call, args, 3)
        except pb.errors.MissingRule:  # there is no third derivative
            check(call, [s[:3] for s in args], 2, 1e-8)
        else:
            check(call, args, 3, 1e-8)


# ---- the function


def test_known_series():
    n = 12
    ones = [1.0] + [0.0] * (n - 1)
    _, series = jet(lambda x: 1 / (1 - x), (0.0,), (ones,))
    np.testing.assert_allclose(series, [math.factorial(k) for k in range(1, n + 1)], rtol=1e-13)
    _, series = jet(lambda x: 1 / (1 - x), (0.0,), (ones,), factorial_scaled=False)
    np.testing.assert_allclose(series, np.ones(n), rtol=1e-13)
    _, series = jet(jnp.tan, (0.0,), (ones,))  # tangent numbers
    np.testing.assert_allclose(series, [1, 0, 2, 0, 16, 0, 272, 0, 7936, 0, 353792, 0], rtol=1e-12)
    _, series = jet(jnp.log1p, (0.0,), (ones,), factorial_scaled=False)
    np.testing.assert_allclose(series, [(-1) ** (k + 1) / k for k in range(1, n + 1)], rtol=1e-13)
    # Far out, where 1 - tanh(x)^2 has lost its digits, tanh(x) is 1 - 2 exp(-2x) + ...
    _, series = jet(jnp.tanh, (15.0,), (ones,))
    want = [-2 * (-2.0) ** k * math.exp(-30) for k in range(1, n + 1)]
    np.testing.assert_allclose(series[:4], want[:4], rtol=1e-3)
    _, series = jet(nn.sigmoid, (40.0,), (ones,))
    want = [-((-1.0) ** k) * math.exp(-40) for k in range(1, n + 1)]
    np.testing.assert_allclose(series, want, rtol=1e-12)


class LambertW(Elementwise):
    """the real w with w exp(w) = x"""

    takes = "f"

    def eval(self, x):
        return scipy.special.lambertw(x).real.astype(x.dtype)

    def jvp_x(self, t, out, x):
        return t * jnp.exp(-out) / (1 + out)

    lower = Absent("SciPy's function is not made of other primitives")


lambert_w = LambertW()


def test_a_primitive_of_the_users_own():
    # Its forward rule uses the result. The derivatives at 0 are (-n)^(n-1).
    _, series = jet(lambert_w, (0.0,), ([1.0] + [0.0] * 7,))
    np.testing.assert_allclose(series, [(-n) ** (n - 1) for n in range(1, 9)], rtol=1e-13)


def test_composition_of_curves():
    # Faa di Bruno: the series of exp(x(t)) for x(t) = t + t^2 are the Hermite-like numbers.
    _, series = jet(jnp.exp, (0.0,), ([1.0, 2.0, 0.0],))
    np.testing.assert_allclose(series, [1, 3, 7])


def test_arguments_and_results():
    value, series = jet(
        lambda x, y: {"a": x * y, "b": (jnp.ones(2), y)}, (2.0, 3), ([1.0, 0.0], [0, 1])
    )
    assert value["a"] == 6
    np.testing.assert_allclose(series["a"], [3, 2])
    np.testing.assert_array_equal(series["b"][0], np.zeros((2, 2)))
    np.testing.assert_array_equal(series["b"][1], [0, 1])
    with enable_x64(False):
        value, (first,) = jet(jnp.sin, (np.zeros(2),), ([1.0],))
        assert value.dtype == first.dtype == jnp.float32
        assert jet(jnp.sin, (0.5,), ([1.0],))[0].weak_type
    value, series = jet(jnp.sin, (1,), ([],))
    assert series == []
    assert value == jnp.sin(1.0)
    value, (whole,) = jet(lambda x: jnp.floor(x).astype(int), (1.5,), ([1.0],))
    assert (value, whole, whole.dtype) == (1, 0, jnp.int64)


def test_transformations_of_jet():
    def third(x):
        return jet(jnp.sin, (x,), ([1.0, 0.0, 0.0],))[1][2]

    x = jnp.array([0.3, 0.5])
    np.testing.assert_allclose(pb.vmap(third)(x), -np.cos(x))
    np.testing.assert_allclose(pb.jit(third)(0.3), -np.cos(0.3))
    np.testing.assert_allclose(pb.vmap(pb.grad(third))(x), np.sin(x))
    np.testing.assert_allclose(pb.jvp(pb.grad(third), (0.3,), (1.0,))[1], np.cos(0.3))
    # jet of jet: no confusion of the two.
    _, (mixed,) = jet(
        lambda x: x * jet(lambda y: x * y * y, (1.0,), ([1.0],))[1][0], (3.0,), ([1.0],)
    )
    assert mixed == 12
    with pytest.raises(pb.errors.UnexpectedTracerError):
        leaked = []
        jet(lambda x: leaked.append(x) or x, (0.5,), ([1.0],))
        jnp.sin(leaked[0])


def test_python_may_look_at_values():
    assert float(jet(lambda x: x * x if x > 0 else -x, (3.0,), ([1.0],))[1][0]) == 6


MISTAKES = {
    "lengths": (((1.0, 2.0), ([1.0], [1.0, 0.0])), "inconsistent lengths"),
    "number": (((1.0, 2.0), ([1.0],)), "inconsistent lengths"),
    "primal": ((((1.0, 2.0),), ([1.0],)), "primal value at position 0 is not an array"),
    "term": (((1.0,), ([(1.0, 2.0)],)), "term 0 for argument 0 is not an array"),
    "shape": (((np.ones(2),), ([np.ones(3)],)), "must have the shape of its primal"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes(name):
    args, text = MISTAKES[name]
    with pytest.raises(ValueError, match=text) as caught:
        jet(lambda *xs: xs[0], *args)
    assert "Fix:" in str(caught.value)


def operations(order, monkeypatch):
    """How many operations an expansion to this order does."""
    count, process = [0], trace.EvalTrace.process

    def counting(*args):
        count[0] += 1
        return process(*args)

    with monkeypatch.context() as m:
        m.setattr(trace.EvalTrace, "process", counting)
        jet(lambda x: nn.softplus(jnp.tanh(x)), (0.5,), ([1.0] + [0.0] * (order - 1),))
    return count[0]


def test_cost_grows_slowly(monkeypatch):
    # Nested forward mode does 64 times as much for 12 terms as for 6.
    assert operations(12, monkeypatch) < 8 * operations(6, monkeypatch)


@pytest.mark.skipif(not peer.INSTALLED, reason="jax is not installed")
def test_agrees_with_jax():
    import jax
    import jax.experimental.jet

    xs = [np.asarray(c) for c in curve(3, order=4)]
    functions = {
        "tanh": lambda np_, nn_, x: np_.tanh(x) * nn_.sigmoid(x),
        "log": lambda np_, nn_, x: np_.log(x) / np_.sqrt(1 + x),
        "max": lambda np_, nn_, x: np_.max(x) * np_.sin(x),
        "mlp": lambda np_, nn_, x: nn_.softmax(np_.tanh(np_.outer(x, x) @ x)),
        "erf": lambda np_, nn_, x: nn_.gelu(x, approximate=False) + np_.arctan2(x, 1 + x * x),
        "pow": lambda np_, nn_, x: x**3 + x**2.5,
        "logsumexp": lambda np_, nn_, x: nn_.log_softmax(x) + nn_.logsumexp(x),
    }

    def theirs():
        return [
            jax.experimental.jet.jet(
                lambda x, f=f: f(jax.numpy, jax.nn, x), (xs[0],), (list(xs[1:]),)
            )
            for f in functions.values()
        ]

    with jax.enable_x64(True):
        want = jax.jit(theirs)()
        for f, (value, series) in zip(functions.values(), want, strict=True):
            got, terms = jet(lambda x, f=f: f(jnp, nn, x), (xs[0],), (list(xs[1:]),))
            np.testing.assert_allclose(got, value, rtol=1e-12)
            np.testing.assert_allclose(terms, series, rtol=1e-9, atol=1e-9)
