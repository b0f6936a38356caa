"""Linear algebra against NumPy and JAX: values, derivatives, edges, mistakes."""

from functools import cache

import numpy as np
import pytest

from pullback.api import grad, jvp, linearize
from pullback.core.settings import enable_x64, override
from pullback.jacobians import hessian, jacrev
from pullback.lax import linalg as lax_linalg
from pullback.mapping import vmap
from pullback.numpy import linalg
from pullback.numpy.arithmetic import multiply, real, subtract
from pullback.numpy.functions import sin
from pullback.numpy.reductions import sum as sum_
from pullback.ops import linalg as ops

jax = pytest.importorskip("jax")
jnp = pytest.importorskip("jax.numpy")


def square(*shape, dtype="float32", seed=0):
    """Well-conditioned square matrices."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape) * 0.4 + 1.5 * np.eye(shape[-1])
    if np.dtype(dtype).kind == "c":
        x = x + 0.4j * rng.normal(size=shape)
    return x.astype(dtype)


def positive(*shape, dtype="float32"):
    """Hermitian positive definite matrices."""
    x = square(*shape, dtype=dtype)
    return (x @ np.swapaxes(x.conj(), -1, -2) + np.eye(shape[-1])).astype(dtype)


def any_(*shape, dtype="float32", seed=1):
    x = np.random.default_rng(seed).normal(size=shape)
    if np.dtype(dtype).kind == "c":
        x = x + 1j * np.random.default_rng(seed + 1).normal(size=shape)
    return x.astype(dtype)


def same(got, want, tolerance=2e-5):
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape
    assert got.dtype == want.dtype
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)


CASES = [
    ("solve", (square(3, 3), any_(3))),
    ("solve", (square(3, 3), any_(3, 2))),
    ("solve", (square(2, 3, 3), any_(2, 3, 2))),
    ("solve", (square(2, 3, 3), any_(3))),
    ("solve", (square(3, 3), any_(2, 3, 2))),
    ("solve", (square(2, 1, 3, 3), any_(4, 3, 2))),
    ("inv", (square(3, 3),)),
    ("inv", (square(2, 4, 4),)),
    ("cholesky", (positive(3, 3),)),
    ("cholesky", (positive(2, 3, 3),)),
    ("cholesky", (positive(3, 3),), {"upper": True}),
    ("cholesky", (positive(3, 3) + any_(3, 3) / 9,)),
    ("cholesky", (positive(3, 3) + any_(3, 3) / 9,), {"symmetrize_input": False}),
    ("det", (square(1, 1),)),
    ("det", (square(2, 2),)),
    ("det", (square(3, 3),)),
    ("det", (square(4, 4),)),
    ("det", (square(2, 5, 5),)),
    ("slogdet", (square(3, 3),)),
    ("slogdet", (-square(2, 3, 3),)),
    ("matrix_power", (square(3, 3), 0)),
    ("matrix_power", (square(3, 3), 1)),
    ("matrix_power", (square(3, 3), 5)),
    ("matrix_power", (square(2, 3, 3), -2)),
    ("multi_dot", ([any_(2, 3), any_(3, 4), any_(4, 2)],)),
    ("multi_dot", ([any_(3), any_(3, 4), any_(4)],)),
    ("tensorinv", (square(6, 6).reshape(2, 3, 6),)),
    ("tensorsolve", (square(6, 6).reshape(2, 3, 6), any_(2, 3))),
    ("tensorsolve", (square(6, 6).reshape(2, 6, 3), any_(2, 3)), {"axes": (1,)}),
    ("matrix_transpose", (any_(2, 3, 4),)),
    ("diagonal", (any_(2, 3, 4),), {"offset": 1}),
    ("trace", (any_(2, 3, 4),), {"offset": -1}),
    ("outer", (any_(3), any_(4))),
    ("cross", (any_(2, 3), any_(3))),
    ("vecdot", (any_(2, 3), any_(3))),
    ("matmul", (any_(2, 3), any_(3, 2))),
    ("tensordot", (any_(2, 3), any_(3, 2)), {"axes": 1}),
]
NORMS = [
    *(((3,), {"ord": o}) for o in (None, 2, 1, 0, np.inf, -np.inf, 3, -1, 2.5, 0.5)),
    *(((2, 3), {"ord": o}) for o in (None, "fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf)),
    *(((2, 3), {"ord": o, "axis": 1}) for o in (None, 1, 3)),
    *(((2, 3, 4), {"ord": o, "axis": (2, 0)}) for o in (None, 1, -np.inf, 2, "nuc")),
    *(((2, 3, 4), {"ord": o, "axis": (0, 1), "keepdims": True}) for o in (None, 1, np.inf, -2)),
    ((2, 3, 4), {}),
    ((2, 3), {"axis": 0, "keepdims": True}),
    ((2, 3, 4), {"keepdims": True}),
]
COMPLEX = [
    ("solve", (square(3, 3, dtype="complex64"), any_(3, dtype="complex64"))),
    ("inv", (square(3, 3, dtype="complex64"),)),
    ("cholesky", (positive(3, 3, dtype="complex64"),)),
    ("det", (square(3, 3, dtype="complex64"),)),
    ("det", (square(4, 4, dtype="complex64"),)),
    ("slogdet", (square(3, 3, dtype="complex64"),)),
    ("norm", (any_(3, dtype="complex64"),)),
    ("norm", (any_(2, 3, dtype="complex64"), 1)),
    ("norm", (any_(2, 3, dtype="complex64"), 2)),
    ("norm", (any_(2, 3, dtype="complex64"), "nuc")),
]
ALL = [(name, args, options[0] if options else {}) for name, args, *options in CASES + COMPLEX]
ALL += [("norm", (any_(*shape),), options) for shape, options in NORMS]


def leaves(out):
    return list(out) if isinstance(out, tuple) else [out]


def differentiated(namespace, case):
    """A real number made of the last result, as a function of the first argument."""
    name, (_, *others), options = case
    ours = namespace is linalg

    def function(x):
        last = leaves(getattr(namespace, name)(x, *others, **options))[-1]
        return sum_(real(sin(last))) if ours else jnp.sum(jnp.real(jnp.sin(last)))

    return function


@cache
def theirs():
    """Values and gradients of all cases by JAX, compiled together: one by one takes minutes."""

    def together(all_args):
        found = []
        for case, args in zip(ALL, all_args, strict=True):
            values = leaves(getattr(jnp.linalg, case[0])(*args, *case[1][len(args) :], **case[2]))
            found.append((values, jax.grad(differentiated(jnp.linalg, case))(args[0])))
        return found

    arrays = [case[1][:1] for case in ALL]
    options = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
    return jax.jit(together, compiler_options=options)(arrays)


@pytest.mark.slow  # compiling all of it in JAX takes half a minute
@pytest.mark.parametrize("i", range(len(ALL)), ids=[f"{c[0]}-{i}" for i, c in enumerate(ALL)])
def test_values_and_gradients_agree_with_jax(i):
    name, args, options = ALL[i]
    values, gradient = theirs()[i]
    got = leaves(getattr(linalg, name)(*args, **options))
    for g, w in zip(got, values, strict=True):
        same(g, w, 1e-4)
    if options.get("ord") == 0:  # a count has no derivative
        return
    got = grad(differentiated(linalg, ALL[i]))(args[0])
    for g, w in zip(*(x if isinstance(x, list) else [x] for x in (got, gradient)), strict=True):
        same(g, w, 2e-4)


def test_the_gradient_that_the_seeds_print():
    a = np.array([[5.0, 2 + 3j, 5j], [2 - 3j, 7.0, 1 + 7j], [-5j, 1 - 7j, 12.0]], np.complex64)

    def f(x):
        factor = linalg.cholesky(x)
        rest = subtract(factor, sin(factor))
        return sum_(multiply(rest, rest))

    printed = [
        [-0.7534186, -3.0509028 - 10.940544j, 5.9896846 + 3.5423026j],
        [-3.0509028 + 10.940544j, -8.904491, -5.1351523 - 6.559373j],
        [5.9896846 - 3.5423026j, -5.1351523 + 6.559373j, 0.01320427],
    ]
    same(grad(f, holomorphic=True)(a), np.array(printed, np.complex64), 2e-5)


# ---- edges


def test_what_has_no_solution_gives_no_exception():
    singular = np.array([[1, 2], [2, 4]], np.float32)
    assert not np.isfinite(np.asarray(linalg.solve(singular, np.ones(2, np.float32)))).any()
    assert not np.isfinite(np.asarray(linalg.inv(singular))).any()
    assert linalg.det(singular) == 0
    assert [float(v) for v in linalg.slogdet(singular)] == [0, -np.inf]
    nan = np.full((2, 2), np.nan, np.float32)
    for name in ("inv", "det", "cholesky", "norm"):
        assert np.isnan(np.asarray(getattr(linalg, name)(nan))).any()
    assert np.isnan(linalg.norm(nan, 2))


def test_one_bad_matrix_leaves_the_others_of_its_stack_alone():
    stack = np.stack([positive(2, 2), -np.eye(2, dtype="float32"), positive(2, 2)])
    got = np.asarray(linalg.cholesky(stack))
    assert np.isnan(got[1][np.tril_indices(2)]).all()
    assert got[1, 0, 1] == 0
    same(got[[0, 2]], np.linalg.cholesky(stack[[0, 2]]))
    stack = np.stack([square(2, 2), np.full((2, 2), np.nan, np.float32)])
    same(np.asarray(linalg.norm(stack, 2, (1, 2)))[0], np.linalg.norm(stack[0], 2))


@pytest.mark.parametrize("ord", [None, 2, 3, 1.5])
def test_the_derivative_of_a_norm_that_is_zero_is_zero(ord):
    zero = np.zeros(3, np.float32)
    same(grad(lambda x: linalg.norm(x, ord))(zero), zero)
    same(grad(lambda x: linalg.norm(x))(np.zeros((2, 2), np.float32)), np.zeros((2, 2), "f"))
    rows = np.array([[0, 0], [3, 4]], np.float32)
    got = grad(lambda x: sum_(linalg.norm(x, axis=1)))(rows)
    same(got, np.array([[0, 0], [0.6, 0.8]], np.float32))


def test_norms_of_huge_and_tiny_numbers():
    assert float(linalg.norm(np.full(4, 1e30, np.float32))) == pytest.approx(2e30)
    assert float(linalg.norm(np.full(4, 1e-30, np.float32))) == pytest.approx(2e-30)
    with enable_x64():
        assert float(linalg.norm(np.full(4, 1e300))) == pytest.approx(2e300)
        assert float(linalg.norm(np.full(4, 1e-300))) == pytest.approx(2e-300)
    assert float(linalg.norm(np.array([np.inf, 1], np.float32))) == np.inf


@pytest.mark.parametrize("n", [2, 3, 4, 5])
def test_the_derivative_of_a_determinant_that_is_zero(n):
    x = square(n, n)
    x[-1] = 2 * x[0]
    with enable_x64():
        x = x.astype(np.float64)
        got = np.asarray(grad(linalg.det)(x))
        minors = np.empty((n, n))
        for i in range(n):
            for j in range(n):
                minor = np.delete(np.delete(x, i, 0), j, 1)
                minors[i, j] = (-1) ** (i + j) * np.linalg.det(minor)
        same(got, minors, 1e-12)
        same(grad(linalg.det)(np.zeros((n, n))), np.zeros((n, n)))


def test_empty_matrices():
    empty = np.zeros((0, 0), np.float32)
    assert linalg.det(empty) == 1
    assert linalg.inv(empty).shape == (0, 0)
    assert linalg.cholesky(empty).shape == (0, 0)
    assert [float(v) for v in linalg.slogdet(empty)] == [1, 0]
    assert linalg.solve(np.zeros((0, 2, 2), np.float32), np.zeros((2, 3), np.float32)).shape == (
        0,
        2,
        3,
    )
    assert linalg.norm(np.zeros(0, np.float32)) == 0


def test_integers_become_floats():
    same(linalg.inv(np.array([[2, 0], [0, 4]], np.int32)), np.diag([0.5, 0.25]).astype("f"))
    same(linalg.norm(np.array([3, 4], np.int32)), np.float32(5))
    same(linalg.det(np.eye(3, dtype=np.int32)), np.float32(1))
    same(
        linalg.matrix_power(np.array([[1, 1], [0, 1]], np.int32), 5),
        np.array([[1, 5], [0, 1]], "i4"),
    )


# ---- transformations


def test_mapped():
    a, b = square(4, 3, 3), any_(4, 3)
    same(vmap(linalg.solve)(a, b), np.linalg.solve(a, b[..., None])[..., 0])
    same(vmap(linalg.solve, (None, 0))(a[0], b), np.linalg.solve(a[0], b.T).T)
    same(vmap(linalg.solve, (0, None))(a, b[0]), np.linalg.solve(a, b[0]))
    same(vmap(linalg.det)(a), np.linalg.det(a))
    same(vmap(linalg.norm)(b), np.linalg.norm(b, axis=1))
    same(
        vmap(linalg.cholesky, 1, 1)(positive(3, 4, 4).swapaxes(0, 1)),
        np.linalg.cholesky(positive(3, 4, 4)).swapaxes(0, 1),
    )


@pytest.mark.slow
def test_second_derivatives_agree_with_jax():
    x, b = positive(3, 3), any_(3)
    pairs = [
        (lambda x: linalg.slogdet(x)[1], lambda x: jnp.linalg.slogdet(x)[1]),
        (lambda x: sum_(linalg.solve(x, b)), lambda x: jnp.sum(jnp.linalg.solve(x, b))),
        (lambda x: sum_(linalg.inv(x)), lambda x: jnp.sum(jnp.linalg.inv(x))),
        (lambda x: linalg.norm(x), lambda x: jnp.linalg.norm(x)),
        (lambda x: linalg.norm(x, 2), lambda x: jnp.linalg.norm(x, 2)),
        (
            lambda x: sum_(sin(linalg.cholesky(x))),
            lambda x: jnp.sum(jnp.sin(jnp.linalg.cholesky(x))),
        ),
        (linalg.det, jnp.linalg.det),
    ]
    options = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
    together = jax.jit(lambda x: [jax.hessian(f)(x) for _, f in pairs], compiler_options=options)
    for (ours, _), want in zip(pairs, together(x), strict=True):
        same(hessian(ours)(x), want, 1e-3)


def test_solve_factorises_once(monkeypatch):
    count = []
    eval_ = ops.Lu.eval

    def counted(self, x):
        count.append(1)
        return eval_(self, x)

    monkeypatch.setattr(ops.Lu, "eval", counted)
    a, b = square(3, 3), any_(3)
    with override("pullback_engine", "numpy"):  # the engine that calls `eval`
        grad(lambda a: sum_(linalg.solve(a, b)))(a)
        assert len(count) == 1
        jacrev(lambda a: linalg.solve(a, b))(a)
        assert len(count) == 2
        hessian(lambda a: sum_(linalg.solve(a, b)))(a)
        assert len(count) == 3


def test_forward_and_linearize():
    a, da, b = square(3, 3), any_(3, 3), any_(3)
    y, dy = jvp(lambda a: linalg.solve(a, b), (a,), (da,))
    same(dy, -np.linalg.solve(a, da @ np.asarray(y)), 1e-4)
    _, f_jvp = linearize(lambda a: linalg.solve(a, b), a)
    same(f_jvp(da), dy, 1e-5)


# ---- mistakes

MISTAKES = [
    (
        lambda: linalg.solve(any_(2, 3), any_(2)),
        ValueError,
        "linalg.solve takes square matrices: shape [..., n, n].",
        "f32[2,3]",
        "check the last two axes.",
    ),
    (
        lambda: linalg.solve(square(3, 3), any_(2)),
        ValueError,
        "linalg.solve takes b of shape (n,) or (..., n, k) for a of shape (..., n, n).",
        "a: f32[3,3], b: f32[2]",
        "for a stack of vectors use solve(a, b[..., None])[..., 0].",
    ),
    (
        lambda: linalg.inv(any_(3)),
        ValueError,
        "linalg.inv takes square matrices: shape [..., n, n].",
        "f32[3]",
        "check the last two axes.",
    ),
    (
        lambda: linalg.matrix_power(any_(2, 3), 2),
        TypeError,
        "linalg.matrix_power takes square matrices: shape [..., n, n].",
        "f32[2,3]",
        "check the last two axes.",
    ),
    (
        lambda: linalg.matrix_power(any_(2, 2), 0.5),
        TypeError,
        "exponent must be an integer, got 0.5.",
        "n=0.5",
        "give an int that is known while tracing.",
    ),
    (
        lambda: linalg.norm(any_(2, 2), "nic"),
        ValueError,
        "Invalid order 'nic' for matrix norm.",
        "ord='nic'",
        "use None, 'fro', 'nuc', 1, -1, 2, -2, inf or -inf.",
    ),
    (
        lambda: linalg.norm(any_(2), "inf"),
        ValueError,
        "Invalid order 'inf' for vector norm.",
        "ord='inf'",
        "use jnp.inf.",
    ),
    (
        lambda: linalg.norm(any_(2, 2, 2), 2),
        ValueError,
        "Improper number of axes for norm.",
        "axis=None of f32[2,2,2]",
        "pass one axis for a vector norm, two axes for a matrix norm.",
    ),
    (
        lambda: linalg.multi_dot([any_(2, 3)]),
        ValueError,
        "multi_dot requires at least two arrays, all of them matrices but the first and the last, "
        "which may be vectors.",
        "f32[2,3]",
        "use matmul for stacks of matrices.",
    ),
    (
        lambda: linalg.multi_dot([any_(2, 3), any_(2, 3)]),
        ValueError,
        "multi_dot: the last axis of each array must be as long as the first of the next.",
        "f32[2,3], f32[2,3]",
        "transpose or reshape one of the arrays.",
    ),
    (
        lambda: linalg.slogdet(square(2, 2), method="magic"),
        ValueError,
        "Unknown slogdet method 'magic'.",
        "method='magic'",
        'use "lu".',
    ),
]


@pytest.mark.parametrize(("call", "kind", "what", "got", "fix"), MISTAKES)
def test_mistakes(call, kind, what, got, fix):
    with pytest.raises(kind) as caught:
        call()
    lines = str(caught.value).split("\n")
    assert lines[0] == what
    assert lines[1] == f"  Got: {got}"
    assert lines[2].startswith(f"  Where: {__file__}")
    assert lines[3] == f"  Fix: {fix}"
    assert len(lines) == 4


# ---- lax.linalg


def test_lax_linalg_agrees_with_jax():
    theirs, a = jax.lax.linalg, positive(2, 3, 3)
    same(lax_linalg.cholesky(a), theirs.cholesky(a))
    for g, w in zip(lax_linalg.lu(a[:, :2]), theirs.lu(a[:, :2]), strict=True):
        same(g, w)
    pivots = np.array([2, 1, 2], np.int32)
    same(lax_linalg.lu_pivots_to_permutation(pivots, 4), theirs.lu_pivots_to_permutation(pivots, 4))
    for left in (True, False):
        options = {"left_side": left, "lower": True, "transpose_a": True}
        for b in (any_(2, 3, 3), any_(2, 3)):
            same(
                lax_linalg.triangular_solve(a, b, **options),
                theirs.triangular_solve(a, b, **options),
            )


@pytest.mark.parametrize(
    ("call", "kind", "what"),
    [
        (
            lambda: lax_linalg.cholesky(any_(2, 3)),
            ValueError,
            "cholesky takes a square matrix, or a stack of them: shape (..., n, n).",
        ),
        (
            lambda: lax_linalg.cholesky(np.eye(2, dtype=np.int32)),
            TypeError,
            "cholesky takes float or complex matrices, all of one dtype.",
        ),
        (
            lambda: lax_linalg.lu(any_(2)),
            ValueError,
            "lu takes a matrix, or a stack of them.",
        ),
        (
            lambda: lax_linalg.triangular_solve(square(3, 3), any_(2, 3), left_side=True),
            ValueError,
            "triangular_solve takes a of shape (..., n, n) and b of shape (..., n, k), the axes "
            "before the last two equal.",
        ),
        (
            lambda: lax_linalg.lu_pivots_to_permutation(np.arange(3, dtype=np.int32), 2),
            ValueError,
            "a permutation has at least as many places as there are pivots.",
        ),
    ],
)
def test_mistakes_in_lax_linalg(call, kind, what):
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value).split("\n")[0] == what
