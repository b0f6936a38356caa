"""jax.scipy: values against SciPy and JAX, derivatives against differences, at the edges too."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
import warnings

import numpy as np
import peer
import pytest
import scipy.linalg
import scipy.special
import scipy.stats

from pullback import grad, hessian, jit, jvp, lax, tree, vmap
from pullback import numpy as jnp
from pullback.core.settings import enable_x64
from pullback.scipy import linalg, special
from pullback.scipy.stats import norm
from pullback.test_util import check_grads

INF, NAN = np.inf, np.nan


def grid(low, high, n=60):
    return np.linspace(low, high, n)


def pairs(x, y):
    return [v.ravel() for v in np.meshgrid(x, y)]


POSITIVE = 10.0 ** grid(-6, 3, 28)
PROBABILITIES = np.r_[0, 10.0 ** grid(-30, -1), 0.5, 1 - 10.0 ** grid(-6, -1, 20), 1]

# Function: where, and how many float32 roundings its result may be off. SciPy knows each by name.
FUNCTIONS = {
    "erf": ([grid(-5, 5)], 2),
    "erfc": ([grid(-5, 9)], 2),
    "erfinv": ([np.r_[-1, grid(-0.99, 0.99), 1]], 4),
    "gammaln": ([np.r_[grid(-9.3, 9), POSITIVE]], 2),
    "gamma": ([grid(-9.3, 20)], 1),
    "gammasgn": ([np.array([-3.5, -2.5, -0.5, 0.5, 7, NAN, INF, 0.0, -0.0])], 0),
    "factorial": ([np.arange(-2.0, 25)], 1),
    "digamma": ([np.r_[grid(-9.3, 9), POSITIVE]], 2),
    "gammainc": (pairs(POSITIVE, POSITIVE), 2),
    "gammaincc": (pairs(POSITIVE, POSITIVE), 2),
    "betaln": (pairs(np.r_[POSITIVE, 1e4], POSITIVE), 400),
    "beta": (pairs(grid(0.1, 9, 9), grid(0.2, 9, 9)), 1),
    "zeta": (pairs(grid(1.5, 9, 9), grid(0.2, 9, 9)), 2),
    "expit": ([grid(-30, 30)], 4),
    "logit": ([PROBABILITIES], 2),
    "xlogy": (pairs(np.r_[0, POSITIVE], np.r_[0, POSITIVE]), 4),
    "xlog1py": (pairs(np.r_[0, POSITIVE], np.r_[-1, 0, POSITIVE]), 4),
    "entr": ([np.r_[-1, 0, POSITIVE]], 4),
    "rel_entr": (pairs(np.r_[-1, 0, POSITIVE], np.r_[-1, 0, 1.01 * POSITIVE]), 6),
    "kl_div": (pairs(np.r_[-1, 0, POSITIVE], np.r_[-1, 0, 1.5 * POSITIVE]), 60),
    "ndtr": ([grid(-5, 9)], 60),
    "ndtri": ([PROBABILITIES], 6),
    "log_ndtr": ([np.r_[grid(-40, 5, 180), -1e6]], 40),
    "i0": ([grid(-40, 40)], 4),
    "i0e": ([grid(-40, 40)], 2),
    "i1": ([grid(-40, 40)], 4),
    "i1e": ([grid(-40, 40)], 2),
}


def close(got, want, ulps):
    got, want = np.asarray(got), np.asarray(want)
    eps = float(np.finfo(got.dtype).eps)
    tiny = float(np.finfo(got.dtype).tiny)
    np.testing.assert_allclose(got, want.astype(got.dtype), rtol=ulps * eps, atol=tiny)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_special_values(name, dtype):
    args, ulps = FUNCTIONS[name]
    args = [x.astype(dtype) for x in args]
    with np.errstate(all="ignore"):
        want = getattr(scipy.special, name)(*[x.astype(np.float64) for x in args])
    with enable_x64(dtype is np.float64):
        got = getattr(special, name)(*args)
    assert got.dtype == dtype
    if name == "betaln":  # it has a line of zeros, near which the terms' own roundings remain
        np.testing.assert_allclose(got, want, rtol=3e-5, atol=4e-6)
        return
    close(got, want, ulps if dtype is np.float32 else max(60 * ulps, 8))


SAFE = {
    "erfinv": [grid(-0.9, 0.9, 7)],
    "gammaln": [np.array([-2.5, 0.3, 2.0, 30.0])],
    "gamma": [np.array([-2.5, 0.3, 2.0, 5.0])],
    "factorial": [np.array([0.3, 2.0, 5.0])],
    "digamma": [np.array([-2.5, 0.3, 2.0, 30.0])],
    "gammainc": [2.5, np.array([0.5, 2.0, 5.0])],
    "gammaincc": [2.5, np.array([0.5, 2.0, 5.0])],
    "betaln": [np.array([2.0, 2.0, 15.0, 15.0, 0.5]), np.array([2.0, 3.0, 15.0, 40.0, 30.0])],
    "beta": [np.array([2.0, 2.0, 0.5]), np.array([2.0, 3.0, 1.5])],
    "logit": [np.array([0.1, 0.5, 0.6, 0.9])],
    "xlogy": [np.array([0.0, 1.5]), np.array([2.0, 0.5])],
    "xlog1py": [np.array([0.0, 1.5]), np.array([2.0, 0.5])],
    "entr": [np.array([0.2, 1.5])],
    "rel_entr": [np.array([1.0, 1.5, 0.1]), np.array([1.0, 1.6, 2.0])],
    "kl_div": [np.array([1.0, 1.5, 0.1]), np.array([1.0, 1.6, 2.0])],
    "ndtr": [np.array([-6.0, -1.0, 0.0, 3.0])],
    "ndtri": [np.array([0.02, 0.4, 0.5, 0.95])],
    "log_ndtr": [np.array([-50.0, -6.0, -1.0, 0.5, 3.0])],
    "i0": [np.array([-2.0, 0.0, 1.0])],
    "i1": [np.array([-2.0, 0.0, 1.0])],
    "logsumexp": [np.array([0.5, -1.0, 2.0])],
    "softmax": [np.array([0.5, -1.0, 2.0])],
    "log_softmax": [np.array([0.5, -1.0, 2.0])],
    "expit": [np.array([-3.0, 0.0, 2.0])],
    "erf": [np.array([-2.0, 0.0, 1.0])],
    "erfc": [np.array([-2.0, 0.0, 1.0])],
    "i0e": [np.array([-2.0, 1.0])],
    "i1e": [np.array([-2.0, 0.0, 1.0])],
}


@pytest.mark.parametrize("name", SAFE)
def test_special_derivatives(name, x64):
    function = getattr(special, name)
    # A Taylor term of h**2 f''' with f''' ~ 1e2 is the difference's error, not ours.
    args = [jnp.array(x) for x in SAFE[name]]
    if name.startswith("gammainc"):  # in `a`, there is no second derivative
        check_grads(function, args, 1)
        check_grads(lambda x: function(args[0], x), args[1:], 2, atol=1e-6, rtol=1e-6)
    else:
        check_grads(function, args, 2, atol=1e-6, rtol=1e-6)


def test_derivatives_in_one_argument_of_several(x64):
    check_grads(lambda x: special.betainc(2.0, 3.0, x), (jnp.array([0.2, 0.7]),), 2)
    check_grads(lambda q: special.zeta(2.5, q), (jnp.array([0.6, 2.0]),), 2, rtol=1e-6, atol=1e-6)
    check_grads(lambda x: special.polygamma(1, x), (jnp.array([0.9, 4.0]),), 2, rtol=1e-6)
    check_grads(lambda a: special.multigammaln(a, 3), (jnp.array([1.5, 4.0]),), 2, rtol=1e-6)


def test_far_tails(x64):
    # The derivative of log_ndtr tends to -x + 1/x; its derivative to -1 + 1/x**2.
    slope = grad(special.log_ndtr)
    assert float(slope(-1e4)) == pytest.approx(1e4 + 1e-4, rel=1e-15)
    assert float(1 + grad(slope)(-1e3)) == pytest.approx(1e-6, rel=1e-4)
    assert float(special.log_ndtr(-INF)) == -INF
    assert float(special.log_ndtr(INF)) == 0
    assert np.isnan(special.log_ndtr(NAN))


def test_where_a_formula_would_give_nan():
    assert float(grad(special.xlogy, 1)(0.0, 3.0)) == 0
    assert float(grad(special.xlogy)(0.0, 2.0)) == pytest.approx(np.log(2))
    assert float(grad(special.entr)(0.0)) == INF
    assert float(grad(special.entr)(-1.0)) == 0
    assert [float(g) for g in grad(special.rel_entr, (0, 1))(0.0, 0.0)] == [0, 0]
    assert [float(g) for g in grad(special.kl_div, (0, 1))(0.0, 0.0)] == [-1, 1]
    assert float(hessian(special.i0)(0.0)) == 0.5
    assert float(grad(hessian(grad(special.i0)))(0.0)) == 0.375
    assert float(grad(special.factorial)(-2.5)) == 0
    # At a tie of min and max the second derivative would be wrong.
    want = float(special.polygamma(1, 20.0) - special.polygamma(1, 40.0))
    assert float(hessian(special.betaln)(20.0, 20.0)) == pytest.approx(want, rel=1e-4)


def test_promotion_of_special_functions():
    assert special.gammaln(3).dtype == jnp.float32
    assert special.gammaln(3.0).weak_type
    assert special.xlogy(jnp.ones(3, jnp.bfloat16), 2.0).dtype == jnp.bfloat16
    assert special.xlogy(jnp.ones((3, 1)), np.ones(4, np.int32)).shape == (3, 4)
    for name in ("ndtr", "ndtri", "log_ndtr"):
        out = getattr(special, name)(jnp.array([0.25, 0.5], jnp.float16))
        want = getattr(scipy.special, name)([0.25, 0.5])
        np.testing.assert_allclose(np.float32(out), want, rtol=1e-3)
        assert out.dtype == jnp.float16


@pytest.mark.parametrize(
    "call",
    [
        lambda: special.ndtr(1j),
        lambda: special.beta(1j, 2.0),
        lambda: special.polygamma(1.0, 2.0),
        lambda: special.log_ndtr(1.0, -1),
        lambda: linalg.solve(jnp.eye(2), jnp.ones(2), assume_a="x"),
        lambda: linalg.solve_triangular(jnp.eye(2), jnp.ones(2), trans=3),
        lambda: linalg.solve_triangular(jnp.eye(2), jnp.ones(3)),
        lambda: linalg.lu_solve(linalg.lu_factor(jnp.eye(2)), jnp.ones(2), trans=3),
        lambda: linalg.cholesky(jnp.ones((2, 3))),
        lambda: linalg.block_diag(jnp.ones((2, 2, 2))),
    ],
)
def test_mistakes(call):
    with pytest.raises(ValueError, match="Fix:"):
        call()


def test_what_is_not_there():
    for call in (lambda: special.zeta(2.0), lambda: special.factorial(3, exact=True)):
        with pytest.raises(NotImplementedError, match="Fix:"):
            call()
    with pytest.raises(TypeError):
        special.log_ndtr(1.0, 2.0)


# ---- the normal distribution


@pytest.mark.parametrize("name", norm.__all__)
def test_normal_distribution(name, x64):
    x = grid(0.01, 0.99, 9) if name in ("ppf", "isf") else grid(-9, 12)
    function = getattr(norm, name)
    want = getattr(scipy.stats.norm, name)(x, 1, 2)
    np.testing.assert_allclose(function(x, 1, 2), want, rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(jit(function)(x, 1, 2), want, rtol=1e-13, atol=1e-14)
    x, loc, scale = jnp.array(x[1:-1:3]), jnp.array(1.1), jnp.array(2.3)
    check_grads(function, (x, loc, scale), 2, atol=1e-5, rtol=1e-5)


# ---- linear algebra


def matrices(*shape, kind=np.float64, positive=False, seed=0):
    rng = np.random.default_rng(seed)
    a = rng.normal(size=shape)
    if np.dtype(kind).kind == "c":
        a = a + 1j * rng.normal(size=shape)
    if positive:
        a = a @ np.conj(np.swapaxes(a, -1, -2)) + shape[-1] * np.eye(shape[-1])
    return a.astype(kind)


def check_in_parts(function, *args):
    """check_grads of the real and imaginary parts: a conjugate is not linear over the complex."""

    def parts(pairs):
        out = function(*[re if im is None else lax.complex(re, im) for re, im in pairs])
        return [(jnp.real(y), jnp.imag(y)) for y in tree.leaves(out)]

    pairs = [(jnp.real(x), jnp.imag(x) if np.iscomplexobj(x) else None) for x in args]
    check_grads(parts, (pairs,), 2, rtol=1e-5, atol=1e-5)


KINDS = pytest.mark.parametrize("kind", [np.float64, np.complex128])


@KINDS
@pytest.mark.parametrize("lower", [False, True])
def test_cholesky(kind, lower, x64):
    a = matrices(4, 4, kind=kind, positive=True)
    b = matrices(4, 3, kind=kind, seed=1)
    half = np.tril(a) if lower else np.triu(a)
    want = scipy.linalg.cholesky(half, lower=lower)
    np.testing.assert_allclose(linalg.cholesky(half, lower=lower), want, atol=1e-13)
    factor, which = linalg.cho_factor(half, lower)
    assert which is lower
    for sides in (b, b[:, 0]):
        want = np.linalg.solve(a, sides)
        np.testing.assert_allclose(linalg.cho_solve((factor, lower), sides), want, atol=1e-13)
        got = linalg.solve(half, sides, lower=lower, assume_a="pos")
        np.testing.assert_allclose(got, want, atol=1e-13)

    def solved(a, b):
        a = (a + jnp.conj(a.T)) / 2
        by_factor = linalg.cho_solve(linalg.cho_factor(a, lower), b)
        return by_factor, linalg.solve(a, b, lower=lower, assume_a="pos")

    check_in_parts(solved, a, b)


def test_not_positive_definite():
    a = jnp.array([[1.0, 2.0], [2.0, 1.0]])
    assert np.isnan(linalg.cholesky(a, lower=True)[1, 1])
    assert np.isnan(linalg.solve(a, jnp.ones(2), assume_a="pos")).all()


@KINDS
@pytest.mark.parametrize("trans", [0, 1, 2, "N", "T", "C"])
@pytest.mark.parametrize("lower", [False, True])
def test_triangular(kind, trans, lower, x64):
    a = matrices(3, 3, kind=kind) + 3 * np.eye(3)
    b = matrices(3, 2, kind=kind, seed=1)
    for sides in (b, b[:, 0]):
        for unit in (False, True):
            want = scipy.linalg.solve_triangular(a, sides, trans, lower, unit)
            got = linalg.solve_triangular(a, sides, trans, lower, unit)
            np.testing.assert_allclose(got, want, atol=1e-13)
    check_in_parts(lambda a, b: linalg.solve_triangular(a, b, trans, lower), a, b)


@KINDS
@pytest.mark.parametrize("trans", [0, 1, 2])
def test_lu(kind, trans, x64):
    a, b = matrices(4, 4, kind=kind), matrices(4, 2, kind=kind, seed=1)
    factors, pivots = linalg.lu_factor(a)
    want, rows = scipy.linalg.lu_factor(a)
    np.testing.assert_allclose(factors, want, atol=1e-13)
    np.testing.assert_array_equal(pivots, rows)
    for sides in (b, b[:, 0]):
        want = scipy.linalg.lu_solve((np.asarray(factors), rows), sides, trans)
        got = linalg.lu_solve((factors, pivots), sides, trans)
        np.testing.assert_allclose(got, want, atol=1e-12)

    def solved(a, b):
        return linalg.lu_solve(linalg.lu_factor(a), b, trans)

    check_in_parts(solved, a, b)


@KINDS
@pytest.mark.parametrize("shape", [(3, 3), (4, 3), (3, 4)])
def test_lu_in_parts(kind, shape, x64):
    a = matrices(*shape, kind=kind)
    for got, want in zip(linalg.lu(a), scipy.linalg.lu(a), strict=True):
        np.testing.assert_allclose(got, want, atol=1e-13)
    for got, want in zip(linalg.lu(a, permute_l=True), scipy.linalg.lu(a, True), strict=True):
        np.testing.assert_allclose(got, want, atol=1e-13)
    stack = np.stack([a, 2 * a[::-1]])
    p, low, up = linalg.lu(stack)
    np.testing.assert_allclose(p @ low @ up, stack, atol=1e-13)


@KINDS
def test_solve_inv_det_svd(kind, x64):
    a, b = matrices(3, 3, kind=kind), matrices(3, kind=kind, seed=1)
    np.testing.assert_allclose(linalg.solve(a, b), scipy.linalg.solve(a, b), atol=1e-12)
    np.testing.assert_allclose(linalg.inv(a), scipy.linalg.inv(a), atol=1e-12)
    np.testing.assert_allclose(linalg.det(a), scipy.linalg.det(a), atol=1e-12)
    u, s, vh = linalg.svd(a)
    np.testing.assert_allclose((u * s) @ vh, a, atol=1e-12)
    np.testing.assert_allclose(linalg.svd(a, compute_uv=False), s, atol=1e-12)


def test_stacks_of_systems(x64):
    a, b = matrices(2, 3, 3, positive=True), matrices(3, 4, seed=1)
    want = np.linalg.solve(a, b)
    np.testing.assert_allclose(linalg.cho_solve(linalg.cho_factor(a), b), want, atol=1e-12)
    np.testing.assert_allclose(linalg.lu_solve(linalg.lu_factor(a), b), want, atol=1e-12)
    np.testing.assert_allclose(linalg.solve(a, b, assume_a="pos"), want, atol=1e-12)
    each = vmap(lambda a: linalg.solve(a, b[:, 0], assume_a="pos"))(jnp.array(a))
    np.testing.assert_allclose(each, want[..., 0], atol=1e-12)
    with pytest.warns(FutureWarning, match="batched 1D"):
        got = linalg.solve_triangular(a, b[:, :2].T)
    want = [scipy.linalg.solve_triangular(a[i], b[:, i]) for i in range(2)]
    np.testing.assert_allclose(got, want, atol=1e-12)


def test_matrices_of_a_certain_form(x64):
    c, r = np.array([1.0, 2.0, 3.0]), np.array([9.0, 4.0, 5.0, 6.0])
    np.testing.assert_array_equal(linalg.toeplitz(c, r), scipy.linalg.toeplitz(c, r))
    np.testing.assert_array_equal(linalg.toeplitz(1j * c), scipy.linalg.toeplitz(1j * c))
    np.testing.assert_array_equal(linalg.toeplitz(2.0), [[2.0]])
    assert linalg.toeplitz(c, r[:0]).shape == (3, 0)
    stack = linalg.toeplitz(np.stack([c, -c]), r)
    np.testing.assert_array_equal(stack[1], scipy.linalg.toeplitz(-c, r))
    check_grads(linalg.toeplitz, (jnp.array(c), jnp.array(r)), 1)
    blocks = [np.ones((2, 1)), np.arange(3.0), 5.0, np.ones((0, 2))]
    np.testing.assert_array_equal(linalg.block_diag(*blocks), scipy.linalg.block_diag(*blocks))
    assert linalg.block_diag().shape == (1, 0)
    check_grads(linalg.block_diag, (jnp.ones((2, 1)), jnp.arange(3.0)), 1)
    assert linalg.block_diag(jnp.array([1]), 2).dtype == jnp.int64


# ---- against JAX


@pytest.mark.skipif(not peer.INSTALLED, reason="the real JAX is not installed")
@pytest.mark.parametrize("module", ["special", "linalg", "stats.norm"])
def test_parameters_are_those_of_jax(module):
    ours = importlib.import_module(f"pullback.scipy.{module}")
    theirs = importlib.import_module(f"jax.scipy.{module}")
    for name in ours.__all__:
        mine, other = (inspect.signature(getattr(m, name)) for m in (ours, theirs))
        got, want = ([(p.name, p.kind, p.default) for p in s.parameters.values()]
                     for s in (mine, other))  # fmt: skip
        assert got == want, name


@pytest.mark.skipif(not peer.INSTALLED, reason="the real JAX is not installed")
@pytest.mark.parametrize("name", SAFE)
def test_values_slopes_and_types_are_those_of_jax(name):
    import jax

    args = [np.float32(x) for x in SAFE[name]]
    args = [x + np.float32(0.01) for x in args]  # off the ties, where JAX has other conventions
    with warnings.catch_warnings(action="ignore"):
        theirs = getattr(jax.scipy.special, name)
        want = jax.jvp(theirs, args, [np.ones_like(x) for x in args])
        weak = [jax.typeof(theirs(*xs)) for xs in ([0.4] * len(args), [np.int32(1)] * len(args))
                if name not in ("ndtr", "ndtri", "log_ndtr")]  # fmt: skip
    ours = getattr(special, name)
    got = jvp(ours, [jnp.array(x) for x in args], [jnp.ones_like(x) for x in args])
    for mine, other in zip(got, want, strict=True):
        assert mine.dtype == other.dtype
        np.testing.assert_allclose(mine, other, rtol=3e-4, atol=3e-5)
    for xs, aval in zip(([0.4] * len(args), [np.int32(1)] * len(args)), weak, strict=False):
        out = ours(*xs)
        assert (out.dtype, out.weak_type) == (aval.dtype, aval.weak_type), name


def test_scipy_itself_is_not_imported_at_start():
    program = "import sys, pullback.scipy; print([m for m in sys.modules if m == 'scipy'])"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.stdout.strip() == "[]", run.stderr
