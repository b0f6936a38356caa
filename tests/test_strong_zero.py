"""strong_zero: a cotangent or tangent that is exactly zero stays zero."""

import contextlib
import itertools

import numpy as np
import pytest
from properties import arrays, function_of, label, pull, push, random_like, same, values

import pullback as pb
import pullback.numpy as jnp
from examples import EXAMPLES
from pullback import lax
from pullback.core.settings import override
from pullback.ops.strong import strong_conv_general_dilated, strong_dot_general

INF, NAN = np.inf, np.nan

pytestmark = pytest.mark.usefixtures("x64")


def masked(test, f):
    return lambda x: jnp.where(test(x), f(x), 0.0)


X = np.array([0.0, 4.0, -1.0, 0.25])
CASES = {
    "log": (masked(lambda x: x > 0, jnp.log), X, [0, 1 / 4, 0, 4]),
    "sqrt": (masked(lambda x: x > 0, jnp.sqrt), X, [0, 1 / 4, 0, 1]),
    "one over": (masked(lambda x: x != 0, lambda x: 1 / x), X, [0, -1 / 16, -1, -16]),
    "power": (masked(lambda x: x > 0, lambda x: x**-1.5), X, [0, -1.5 / 32, 0, -48]),
    "entropy": (masked(lambda x: x > 0, lambda x: x * jnp.log(x)), X,
                [0, 1 + np.log(4), 0, 1 - np.log(4)]),
    "sinc": (masked(lambda x: x != 0, lambda x: jnp.sin(x) / x), np.array([0.0, 2.0]),
             [0, (2 * np.cos(2) - np.sin(2)) / 4]),
    "arctanh": (masked(lambda x: abs(x) < 1, jnp.arctanh), np.array([1.0, 0.5]), [0, 1 / 0.75]),
    "arccos": (masked(lambda x: abs(x) < 1, jnp.arccos), np.array([1.0, 0.0]), [0, -1]),
    "norm": (lambda x: jnp.where(jnp.sum(x * x) > 9, jnp.sqrt(jnp.sum(x * x)), 0.0),
             np.array([0.0, 0.0]), [0, 0]),
    "cube root": (masked(lambda x: x > 0, jnp.cbrt), np.array([0.0, 8.0]), [0, 1 / 12]),
    "overflow": (masked(lambda x: x < 700, lambda x: jnp.log(jnp.exp(x))),
                 np.array([800.0, 1.0]), [0, 1]),
    "gather": (lambda x: jnp.where(jnp.array([True, False]), jnp.log(x[jnp.array([1, 0])]), 0),
               np.array([0.0, 2.0]), [0, 1 / 2]),
    "matrix product": (lambda x: jnp.where(jnp.array([False, True]),
                       jnp.diag(jnp.log(x)) @ jnp.ones(2), 0.0), np.array([0.0, 2.0]), [0, 1 / 2]),
    "matrix with infinity": (lambda x: (x @ np.array([[INF, 1.0], [NAN, 2.0]]))[1:],
                             np.array([3.0, 4.0]), [1, 2]),
    "convolution": (lambda x: jnp.convolve(x, np.array([1.0, INF]))[:1], np.array([3.0, 4.0]),
                    [1, 0]),
    "scan": (lambda x: lax.scan(lambda c, a: (c + jnp.where(a > 0, jnp.log(a), 0), None), 0.0,
             x)[0], X, [0, 1 / 4, 0, 4]),
    "while": (lambda x: lax.fori_loop(0, 4, lambda i, c: c + jnp.where(x[i] > 0, jnp.log(x[i]), 0),
              0.0), X, [0, 1 / 4, 0, 4]),
    "cond": (lambda x: lax.cond(x[0] > 0, lambda: 0.0, lambda: masked(lambda x: x > 0, jnp.log)(x)
             .sum()), X, [0, 1 / 4, 0, 4]),
    "checkpoint": (pb.checkpoint(masked(lambda x: x > 0, jnp.log)), X, [0, 1 / 4, 0, 4]),
    "nested jit": (pb.jit(masked(lambda x: x > 0, pb.jit(jnp.log))), X, [0, 1 / 4, 0, 4]),
}  # fmt: skip


def total(f):
    return lambda x: jnp.sum(f(x))


def by_columns(f):
    """Forward mode: one direction after the other, each zero almost everywhere."""
    return lambda x: jnp.stack([pb.jvp(f, (x,), (e,))[1] for e in jnp.eye(len(x))])


WAYS = {
    "grad": pb.grad,
    "jit": lambda f: pb.jit(pb.grad(f)),
    "numpy engine": lambda f: pb.jit(pb.grad(f), engine="numpy"),
    "grad of jit": lambda f: pb.grad(pb.jit(f)),
    "vmap": lambda f: lambda x: pb.vmap(pb.grad(f))(jnp.stack([jnp.ones_like(x), x]))[1],
    "jit of vmap": lambda f: lambda x: pb.jit(pb.vmap(pb.grad(f)))(jnp.stack([x, x]))[1],
    "forward": by_columns,
    "jit of forward": lambda f: pb.jit(by_columns(f)),
    "jacfwd": pb.jacfwd,
    "linearize": lambda f: lambda x: jnp.stack([pb.linearize(f, x)[1](e) for e in jnp.eye(len(x))]),
    "jitted pullback": lambda f: lambda x: pb.jit(lambda g: g(1.0)[0])(pb.vjp(f, x)[1]),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_closed_forms(case, way):
    f, x, want = case
    with pb.strong_zero():
        got = way(total(f))(jnp.asarray(x))
    np.testing.assert_allclose(got, want, rtol=1e-12)


def test_the_cases_need_it():
    """Without the mode almost all of them are NaN: the tests above could fail."""
    for name, (f, x, _) in CASES.items():
        assert np.isnan(pb.grad(total(f))(jnp.asarray(x))).any(), name


@pytest.mark.parametrize("jit", [lambda f: f, pb.jit], ids=["eager", "jit"])
@pytest.mark.parametrize(
    "hessian",
    [
        pb.hessian,
        lambda f: pb.jacfwd(pb.jacfwd(f)),
        lambda f: pb.jacrev(pb.jacrev(f)),
        lambda f: pb.jacrev(pb.jacfwd(f)),
    ],
    ids=["hessian", "fwd-fwd", "rev-rev", "rev-fwd"],
)
def test_second_derivatives(hessian, jit):
    f = total(masked(lambda x: x > 0, lambda x: x * x * jnp.log(x)))
    with pb.strong_zero():
        got = jit(hessian(f))(jnp.asarray(X))
    want = np.diag([2 * np.log(x) + 3 if x > 0 else 0.0 for x in X])
    np.testing.assert_allclose(got, want, rtol=1e-12)
    g = total(masked(lambda x: x > 0, lambda x: jnp.sqrt(x) / jnp.cbrt(x)))  # x ** (1/6)
    with pb.strong_zero():
        got = jit(hessian(g))(jnp.asarray(X))
    want = np.diag([-5 / 36 * x ** (1 / 6 - 2) if x > 0 else 0.0 for x in X])
    np.testing.assert_allclose(got, want, rtol=1e-12)


def test_third_derivatives():
    f = masked(lambda x: x > 0, lambda x: jnp.log(x) / x)
    with pb.strong_zero():
        third = pb.grad(pb.grad(pb.grad(f)))
        for x in (0.0, -1.0):
            assert third(x) == 0 and pb.jit(third)(x) == 0
        # (log x / x)''' = (11 - 6 log x) / x**4
        np.testing.assert_allclose(third(2.0), (11 - 6 * np.log(2)) / 16, rtol=1e-12)
        np.testing.assert_allclose(pb.jit(third)(2.0), (11 - 6 * np.log(2)) / 16, rtol=1e-12)


@pytest.mark.parametrize("jit", [lambda f: f, pb.jit], ids=["eager", "jit"])
def test_finite_derivatives_are_the_same(jit):
    rng = np.random.default_rng(0)
    a, w, k = rng.normal(size=(5, 4)), rng.normal(size=(4, 3)), rng.normal(size=(3,))

    def f(a, w, k):
        y = jnp.tanh(a @ w) / (1 + jnp.exp(-a @ w)) + jnp.prod(w, 0)
        z = jnp.sum(jnp.convolve(y.ravel(), k)) + jnp.linalg.det(w[:3] @ w[:3].T)
        return z * jnp.max(y) + jax_like(y)

    def jax_like(y):
        return lax.scan(lambda c, v: (jnp.sin(c) * v.sum(), c), 1.0, y)[0]

    plain = jit(pb.grad(f, (0, 1, 2)))(a, w, k)
    with pb.strong_zero():
        strong = jit(pb.grad(f, (0, 1, 2)))(a, w, k)
    for p, s in zip(plain, strong, strict=True):
        assert np.isfinite(p).all() and np.any(p)
        np.testing.assert_allclose(s, p, rtol=1e-12, atol=1e-14)


def test_it_agrees_with_the_second_where_in_jax():
    """The fix that users write by hand: a safe input for the branch that is not taken."""
    real_jax = pytest.importorskip("jax")
    jnp_ = real_jax.numpy

    def safe(x):
        good = x > 0
        x = jnp_.where(good, x, 1.0)
        return jnp_.sum(jnp_.where(good, jnp_.log(x) * jnp_.sqrt(x) / x, 0.0))

    def plain(x):
        return jnp.sum(jnp.where(x > 0, jnp.log(x) * jnp.sqrt(x) / x, 0.0))

    with pb.strong_zero():
        got = pb.grad(plain)(jnp.asarray(X))
    np.testing.assert_allclose(got, real_jax.grad(safe)(np.float32(X)), rtol=1e-5)


EVERY = [
    pytest.param(e, d, id=label(e, d))
    for e in EXAMPLES
    if e.smooth and e.order
    for d in ([np.dtype("float64")] if np.dtype("float64") in e.dtypes else [])
]


@pytest.mark.fuzz
@pytest.mark.parametrize(("example", "dtype"), EVERY)
def test_every_primitive(example, dtype):
    """Both modes give one derivative where all is finite; also with lines kept, and both."""
    function, args = function_of(example, dtype), arrays(example.args(dtype))
    rng = np.random.default_rng(0)
    ts = arrays(example.tangents(dtype, rng))
    if all(t is None for t in ts):
        pytest.skip("it has no derivative")
    jt = values(push(function, args, ts))
    ct = arrays(random_like(jt, rng))
    back = values(pull(function, args, ct))
    lines = override("pullback_source_lines", True)
    both = contextlib.ExitStack()
    for mode in (pb.strong_zero(), lines, both):
        with mode:
            if mode is both:
                both.enter_context(pb.strong_zero())
                both.enter_context(override("pullback_source_lines", True))
            same(label(example, dtype), "jvp", values(push(function, args, ts)), jt, 1e-12)
            same(label(example, dtype), "vjp", values(pull(function, args, ct)), back, 1e-12)


# ---- sums of products


VALUES = [0.0, 1.5, -2.0, INF, -INF, NAN]


def term(x, y, strong):
    """One product, by the definition."""
    if (strong[0] and x == 0) or (strong[1] and y == 0):
        return 0.0
    with np.errstate(invalid="ignore"):
        return np.float64(x) * np.float64(y)


@pytest.mark.parametrize("strong", [(True, False), (False, True), (True, True)])
def test_products_of_matrices_by_brute_force(strong):
    rng = np.random.default_rng(1)
    pairs = list(itertools.product(VALUES, VALUES))
    x = np.array([[p[0] for p in pairs]])
    assert x.shape == (1, 36)
    for n in (1, 2, 3, 5):
        x, y = rng.choice(VALUES, (6, n)), rng.choice(VALUES, (n, 7))
        with np.errstate(invalid="ignore"):
            want = [[sum(term(a, b, strong) for a, b in zip(r, c)) for c in y.T] for r in x]
        got = strong_dot_general(
            jnp.asarray(x),
            jnp.asarray(y),
            dimension_numbers=(((1,), (0,)), ((), ())),
            precision=None,
            preferred_element_type=None,
            strong=strong,
        )
        np.testing.assert_array_equal(got, want)
    for a, b in pairs:  # each pair of values alone
        got = strong_dot_general(
            jnp.asarray(a),
            jnp.asarray(b),
            dimension_numbers=(((), ()), ((), ())),
            precision=None,
            preferred_element_type=None,
            strong=strong,
        )
        np.testing.assert_array_equal(got, term(a, b, strong))


@pytest.mark.parametrize("strong", [(True, False), (False, True), (True, True)])
def test_convolutions_by_brute_force(strong):
    rng = np.random.default_rng(2)
    x, w = rng.choice(VALUES, (2, 1, 6)), rng.choice(VALUES, (3, 1, 2))
    with np.errstate(invalid="ignore"):
        want = [
            [[sum(term(b[0, i + t], o[0, t], strong) for t in (0, 1)) for i in range(5)] for o in w]
            for b in x
        ]
    params = pb.make_jaxpr(lambda x, w: lax.conv(x, w, (1,), "VALID"))(x, w).eqns[0].params
    got = strong_conv_general_dilated(jnp.asarray(x), jnp.asarray(w), strong=strong, **params)
    np.testing.assert_array_equal(got, want)


def test_complex_numbers():
    def f(x):
        y = jnp.where(x == 0, 0.0, 1 / x)
        return jnp.sum(jnp.abs(y) ** 2)

    x = jnp.array([0.0, 1 + 1j])
    with pb.strong_zero():
        got = pb.grad(f)(x)
        np.testing.assert_allclose(pb.jit(pb.grad(f))(x), got)
    # |1/x|**2 = 1 / (a**2 + b**2); the gradient is that by a, minus i times that by b
    np.testing.assert_allclose(got, [0, -2 / 4 * (1 - 1j)], rtol=1e-12)
    m = jnp.array([[INF + 0j, 1j], [1.0, 2.0]])
    with pb.strong_zero():
        g = pb.grad(lambda v: jnp.real((m @ v)[1]))(jnp.ones(2, complex))
    np.testing.assert_allclose(g, [1, 2])


# ---- rules of the user's own


def test_a_custom_jvp_is_strong():
    @pb.custom_jvp
    def f(x):
        return jnp.sqrt(x)

    @f.defjvp
    def rule(primals, tangents):
        (x,), (t,) = primals, tangents
        y = f(x)
        return y, t * 0.5 / y

    g = total(masked(lambda x: x > 0, f))
    want = [0, 1 / 4, 0, 1]
    with pb.strong_zero():
        for way in (pb.grad, lambda f: pb.jit(pb.grad(f)), by_columns, pb.jacfwd):
            np.testing.assert_allclose(way(g)(jnp.asarray(X)), want)


def test_a_custom_vjp_does_what_it_says():
    @pb.custom_vjp
    def f(x):
        return jnp.sqrt(x)

    f.defvjp(lambda x: (jnp.sqrt(x), x), lambda x, ct: (ct * 0.5 / jnp.sqrt(x),))
    with pb.strong_zero():
        assert np.isnan(pb.grad(masked(lambda x: x > 0, f))(0.0))
        assert pb.grad(f)(4.0) == 0.25


# ---- the setting


def test_zero_is_strong_on_one_side_only():
    """A derivative that is zero does not make an infinite cotangent zero: that is undefined."""
    with pb.strong_zero():
        assert np.isnan(pb.grad(lambda x: jnp.sqrt(x * x))(0.0))
        assert pb.grad(jnp.sqrt)(0.0) == INF
        assert np.isnan(pb.vjp(lambda x: x * 0.0, 1.0)[1](INF)[0])
        assert pb.vjp(lambda x: x * INF, 1.0)[1](0.0)[0] == 0


def test_a_mask_by_multiplication():
    """Going back it is a zero that meets infinity; going forward it is an infinity that meets 0."""

    def f(x):
        return jnp.sqrt(x) * jnp.where(x > 1, 1.0, 0.0)

    assert np.isnan(pb.grad(f)(0.0))
    with pb.strong_zero():
        assert pb.grad(f)(0.0) == 0
        assert np.isnan(pb.jvp(f, (0.0,), (1.0,))[1])


def test_programs_are_traced_for_each_mode():
    f = masked(lambda x: x > 0, jnp.log)
    inner = pb.jit(f)
    for g in (pb.jit(pb.grad(f)), pb.grad(inner), pb.jit(pb.grad(inner)), pb.grad(f)):
        for _ in range(2):
            assert np.isnan(g(0.0))
            with pb.strong_zero():
                assert g(0.0) == 0
                with pb.strong_zero(False):
                    assert np.isnan(g(0.0))


def test_programs_are_as_ever_when_it_is_off():
    f = masked(lambda x: x > 0, jnp.log)
    plain = str(pb.make_jaxpr(pb.grad(f))(1.0))
    with pb.strong_zero():
        strong = str(pb.make_jaxpr(pb.grad(f))(1.0))
    assert "strong" in strong and "strong" not in plain
    assert str(pb.make_jaxpr(pb.grad(f))(1.0)) == plain
    assert strong.count("\n") == plain.count("\n")  # one operation for another


def test_a_pullback_keeps_its_mode():
    f = masked(lambda x: x > 0, jnp.log)
    with pb.strong_zero():
        _, strong = pb.vjp(f, 0.0)
        _, pushed = pb.linearize(f, 0.0)
    _, plain = pb.vjp(f, 0.0)
    assert strong(1.0)[0] == 0 and pushed(1.0) == 0
    with pb.strong_zero():
        assert np.isnan(plain(1.0)[0])


def test_the_setting_of_the_process():
    f = pb.grad(masked(lambda x: x > 0, jnp.log))
    pb.config.update("pullback_strong_zero", True)
    try:
        assert f(0.0) == 0
    finally:
        pb.config.update("pullback_strong_zero", False)
    assert np.isnan(f(0.0))


def test_elementary_operations_are_strong_in_machine_code():
    f = total(masked(lambda x: x > 0, lambda x: jnp.log(x) / jnp.sqrt(x)))
    with pb.strong_zero():
        g = pb.jit(pb.grad(f), engine="native")  # raises where there is no code
        want = [(2 - np.log(x)) / (2 * x**1.5) if x > 0 else 0 for x in X]
        np.testing.assert_allclose(g(jnp.asarray(X)), want, rtol=1e-12)
        assert g.explain(jnp.asarray(X)).engine == "native"
