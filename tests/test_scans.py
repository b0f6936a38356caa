"""Prefix scans, reductions by any function, and the edges of reductions: NaN, ties, zeros."""

import itertools

import ml_dtypes
import numpy as np
import pytest

from pullback.api import grad
from pullback.core.array import HostArray
from pullback.core.program import trace_program
from pullback.core.trace import type_of
from pullback.ops import cumulative as c
from pullback.ops import reduction as r
from pullback.ops.comparison import and_, max_, or_
from pullback.ops.contraction import dot_general
from pullback.ops.elementwise import add, mul, sub
from pullback.ops.structural import reduce_sum

jax = pytest.importorskip("jax")


def array(values, dtype="float32"):
    return HostArray(np.array(values, dtype))


@pytest.mark.parametrize("n", [0, 1, 2, 3, 7, 8, 13])
@pytest.mark.parametrize("reverse", [False, True])
def test_prefix_scan_against_a_loop(n, reverse):
    x, y = np.random.default_rng(n).normal(size=(2, n, 2))

    def combine(a, b):  # of affine maps: associative, not commutative
        return [mul(a[0], b[0]), add(mul(a[1], b[0]), b[1])]

    got = c.prefix_scan(combine, [HostArray(x), HostArray(y)], 0, reverse)
    pairs = list(zip(x, y, strict=True))
    if reverse:
        pairs.reverse()
    want = list(itertools.accumulate(pairs, lambda a, b: (a[0] * b[0], a[1] * b[0] + b[1])))
    if reverse:
        want.reverse()
    for i, out in enumerate(got):
        assert out.shape == (n, 2)
        for k, w in enumerate(want):
            np.testing.assert_allclose(np.asarray(out)[k], w[i], rtol=1e-12)


@pytest.mark.parametrize("n", [0, 1, 2, 5, 8])
def test_reduction_by_a_function_against_a_loop(n):
    x, y = np.random.default_rng(n).normal(size=(2, 3, n))

    def combine(a, b):
        return [mul(a[0], b[0]), add(mul(a[1], b[0]), b[1])]

    start = [np.float64(2), np.float64(3)]
    got = r.reduce_by_tree(combine, [HostArray(x), HostArray(y)], list(map(HostArray, start)), (1,))
    for k in range(3):
        a = tuple(start)
        for p, q in zip(x[k], y[k], strict=True):
            a = (a[0] * p, a[1] * p + q)
        np.testing.assert_allclose([np.asarray(g)[k] for g in got], a, rtol=1e-12)


@pytest.mark.parametrize(
    ("function", "kind", "want"),
    [
        (add, "float32", reduce_sum),
        (mul, "float32", r.reduce_prod),
        (max_, "float32", r.reduce_max),
        (and_, "bool", r.reduce_and),
        (or_, "int32", r.reduce_or),
        (sub, "float32", None),
        (lambda x, y: add(x, x), "float32", None),
        (lambda x, y: add(x, add(x, y)), "float32", None),
        (lambda x, y: add(y, x), "float32", reduce_sum),
    ],
)
def test_known_functions_are_recognised(function, kind, want):
    scalar = type_of(HostArray(np.zeros((), kind)))
    closed = trace_program(lambda x, y: [function(x, y)], [scalar, scalar])
    assert r.monoid_of(closed.program) is want


# ---- edges


def test_nan_wins_first():
    x = array([1.0, np.nan, 3.0, np.nan])
    for op in (r.argmax, r.argmin):
        assert int(op(x, axes=(0,), index_dtype=np.dtype("int32"))) == 1
    assert np.isnan(r.reduce_max(x, axes=(0,)))
    np.testing.assert_array_equal(
        np.isnan(c.cummax(x, axis=0, reverse=False)), [False, True, True, True]
    )


@pytest.mark.parametrize(
    "values", [[1.0, 3.0, 3.0], [2.0, 2.0, 2.0], [1.0, np.nan, 0.0], [0.0, -0.0]]
)
def test_ties_and_nan_of_the_maximum_as_in_jax(values):
    x = np.array(values, np.float32)
    got = grad(lambda x: r.reduce_max(x, axes=(0,)))(x)
    want = jax.grad(lambda x: jax.lax.reduce_max(x, (0,)))(x)
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("zeros", [0, 1, 2])
def test_products_with_zeros(zeros):
    x = np.array([2.0, 3.0, 5.0, 7.0], np.float32)
    x[:zeros] = 0
    want = [np.prod(np.delete(x, i)) for i in range(4)]
    np.testing.assert_array_equal(grad(lambda x: r.reduce_prod(x, axes=(0,)))(x), want)
    last = grad(lambda x: reduce_sum(c.cumprod(x, axis=0, reverse=False), axes=(0,)))(x)
    whole = jax.grad(lambda x: jax.numpy.sum(jax.numpy.cumprod(x)))(x)
    np.testing.assert_allclose(last, whole, rtol=1e-6)


def test_cummax_shares_among_all_that_tie():
    x = np.array([1.0, 3.0, 3.0, 2.0, 3.0], np.float32)
    pick = array([0.0, 0.0, 0.0, 0.0, 1.0])

    def last(x):
        return reduce_sum(mul(c.cummax(x, axis=0, reverse=False), pick), axes=(0,))

    third = np.float32(1 / 3)
    np.testing.assert_allclose(grad(last)(x), [0, third, third, 0, third], rtol=1e-6)


def test_cumlogsumexp_at_infinities():
    x = np.array([-np.inf, -np.inf, 0.0, 1000.0, np.inf], np.float32)
    out = np.asarray(c.cumlogsumexp(array(x), axis=0, reverse=False))
    np.testing.assert_array_equal(out, [-np.inf, -np.inf, 0, 1000, np.inf])
    got = grad(lambda x: reduce_sum(c.cumlogsumexp(x, axis=0, reverse=False), axes=(0,)))(x)
    assert np.isfinite(got).all()
    np.testing.assert_allclose(got[2:], [1, 1, 1])


def test_long_sums_keep_their_digits():
    tenth = np.full(1_000_000, 0.1, np.float32)
    exact = 1_000_000 * float(np.float32(0.1))
    total = c.cumsum(HostArray(tenth), axis=0, reverse=False)
    assert float(total._value[-1]) == pytest.approx(exact, rel=1e-7)
    for kind in (np.float16, ml_dtypes.bfloat16):
        ones = HostArray(np.ones((3000, 2), kind))
        assert float(reduce_sum(ones, axes=(0,))._value[0]) == float(kind(3000))
        assert float(c.cumsum(ones, axis=0, reverse=False)._value[-1, 0]) == float(kind(3000))


def test_empty_reductions_give_the_identity():
    x = array(np.zeros((0, 2)))
    assert list(r.reduce_max(x, axes=(0,))._value) == [-np.inf, -np.inf]
    assert list(r.reduce_min(array(np.zeros((0, 2)), "int8"), axes=(0,))._value) == [127, 127]
    assert list(r.reduce_prod(x, axes=(0,))._value) == [1, 1]
    with pytest.raises(ValueError, match="attempt to get argmax of an empty sequence"):
        r.argmax(x, axes=(0,), index_dtype=np.dtype("int32"))


def test_dot_general_prints_as_in_jax():
    x = type_of(array(np.zeros((2, 3))))
    numbers = (((1,), (1,)), ((), ()))

    def product(x, y):
        return [
            dot_general(
                x,
                y,
                dimension_numbers=numbers,
                precision=None,
                preferred_element_type=np.dtype("float32"),
            )
        ]

    assert str(trace_program(product, [x, x]).program) == (
        "{ lambda ; a:f32[2,3] b:f32[2,3]. let\n"
        "    c:f32[2,2] = dot_general[dimension_numbers=(([1], [1]), ([], [])) "
        "preferred_element_type=float32] a b\n"
        "  in (c,) }"
    )
