"""Reductions, cumulative sums, statistics and histograms of `pullback.numpy`."""

from __future__ import annotations

import itertools

import numpy as np
import peer
import pytest
from calls import Call, check, check_types_of_jax, check_values_of_jax, message

import pullback
import pullback.numpy as jnp
from pullback.core.settings import enable_x64
from pullback.ops.structural import reduce_sum

rng = np.random.default_rng(0)
F = rng.normal(size=(3, 4)).astype("f4")
V = rng.normal(size=7).astype("f4")
T3 = rng.normal(size=(2, 3, 4)).astype("f4")
I = rng.integers(-5, 6, (3, 4)).astype("i4")  # noqa: E741
I8, U8 = I.astype("i1"), np.abs(I).astype("u1")
B = rng.random((3, 4)) < 0.5
C = (F + 1j * rng.normal(size=F.shape)).astype("c8")
H = F.astype("f2")
EMPTY, NO_ROWS = np.zeros((3, 0), "f4"), np.zeros((0, 4), "f4")
NANS = F.copy()
NANS[0, 1] = NANS[2] = np.nan
MASK = np.array([[1, 0, 1, 0], [0, 1, 1, 0], [1, 1, 1, 0]], bool)
CALLS: list[Call] = []


def add(*args, **options):
    CALLS.append(Call(*args, **options))


# ---- sums, products, extrema, logic

for name in ("sum", "prod"):
    for x in (F, I, I8, U8, B, C, H, EMPTY, NO_ROWS, T3, 2.0, True):
        add(name, x)
    for x in (F, I8, B, H):
        add(name, x, axis=0)
        add(name, x, axis=(0, 1), keepdims=True)
        add(name, x, axis=-1, keepdims=True)
        add(name, x, axis=0, where=MASK)
        add(name, x, axis=1, where=MASK[:, :1])
        add(name, x, initial=3)
        add(name, x, dtype="float32", axis=1, _vjp=False)
        add(name, x, promote_integers=False, _numpy=False)
        add(name, x, dtype=bool)
    add(name, T3, axis=(2, 0))
    add(name, F, dtype="int32")
    add(name, EMPTY, axis=1)

for name in ("max", "min", "amax", "amin"):
    for x in (F, I8, U8, B, H, C):
        add(name, x)
        add(name, x, axis=0, keepdims=True)
        add(name, x, axis=(0, 1))
    add(name, NANS, axis=1, _vjp=False)
    add(name, F, axis=1, where=MASK, initial=0.0)
    add(name, NO_ROWS, axis=0, initial=1.0)
    add(name, EMPTY, axis=0)
    add(name, I8, initial=3)
    add(name, B, initial=True)

for name in ("all", "any"):
    for x in (F * 0, I, B, H, EMPTY, C):
        add(name, x)
        add(name, x, axis=0, keepdims=True)
        add(name, x, axis=(0, 1))
    add(name, B, axis=1, where=MASK)

for x in (F, I8):
    for name in ("ptp", "count_nonzero"):
        add(name, x)
        add(name, x, axis=0)
        add(name, x, axis=1, keepdims=True)
add("count_nonzero", B, axis=0)
add("count_nonzero", C)

for name in ("argmax", "argmin"):
    for x in (F, I8, B, H, NANS, T3):
        add(name, x)
        add(name, x, axis=0, keepdims=True)
        add(name, x, axis=-1)
        add(name, x, keepdims=True)

# ---- means and variances

for name in ("mean", "var", "std"):
    for x in (F, I8, B, H, C, NANS, T3):
        add(name, x)
        add(name, x, axis=0, keepdims=True)
        add(name, x, axis=(0, 1))
    for x in (F, I8, H, C):
        add(name, x, axis=1, where=MASK)
    add(name, F, axis=0, where=MASK, _vjp=False)  # a column without elements: NaN
    add(name, F, dtype="float16", axis=0, _vjp=False)
    add(name, I8, dtype="float32")
    add(name, NO_ROWS, axis=1)
    add(name, NO_ROWS, axis=0, _vjp=False)
    add(name, 2.0)
for name in ("var", "std"):
    add(name, F, ddof=1)
    add(name, F, axis=1, correction=1)
    add(name, F, axis=1, ddof=1, where=MASK, _vjp=name == "var")  # one row has a single element
    add(name, F[:1], axis=0, ddof=1)
    add(name, F, axis=0, mean=F.mean(0, keepdims=True))

for options in ({}, {"axis": 0}, {"axis": (0, 1)}, {"axis": 1, "returned": True}):
    add("average", F, **options)
    add("average", F, weights=MASK + 1.0, **options)
    add("average", I8, **options)
add("average", F, axis=0, keepdims=True)
add("average", F, axis=1, weights=np.arange(4.0))
add("average", T3, axis=(0, 2), weights=rng.random((2, 4)))
add("average", T3, axis=(2, 0), weights=rng.random((4, 2)))

# ---- without NaNs

for name in ("nansum", "nanprod", "nanmax", "nanmin", "nanmean", "nanvar", "nanstd"):
    half = NANS.astype("f2")
    for x in (F, NANS, I8, half):
        smooth = name not in ("nanmean", "nanstd") or x is F
        add(name, x)
        add(name, x, axis=0, keepdims=True)
        add(name, x, axis=1, _vjp=smooth)
    add(
        name,
        NANS,
        axis=0,
        where=MASK,
        _vjp="m" not in name and "std" not in name,
        **({"initial": 1.0} if name[-3:] in ("max", "min") else {}),
    )
add("nanvar", NANS, ddof=1, axis=0)
add("nancumsum", NANS, axis=0)
add("nancumsum", NANS, axis=1)
add("nancumprod", NANS)
for name in ("nanargmax", "nanargmin"):
    add(name, NANS)
    add(name, NANS, axis=0)
    add(name, F, axis=1)
    add(name, I8)
    add(name, NANS, axis=1, _numpy=False)  # a row of NaN: -1

# ---- cumulative sums, differences

for name in ("cumsum", "cumprod"):
    for x in (F, I8, B, H, C, NO_ROWS):
        add(name, x)
        add(name, x, axis=0)
        add(name, x, axis=-1, dtype="float32", _vjp=False)
        add(name, x, axis=0, dtype=bool, _numpy=False)
for name in ("cumulative_sum", "cumulative_prod"):
    for x in (V, I8[0], B[0]):
        add(name, x)
        add(name, x, include_initial=True)
    add(name, F, axis=1, include_initial=True)

add("diff", V)
add("diff", F, 2)
add("diff", F, axis=0)
add("diff", F, n=9)
add("diff", B)
add("diff", U8)
add("diff", F, 0)
add("diff", I, prepend=1)
add("diff", F, append=F[:, :2], prepend=0)
add("ediff1d", F)
add("ediff1d", I, to_end=9, to_begin=np.array([1, 2]))
STEPS = np.array([0.0, 1.0, 3.0, 3.5], "f4")
add("gradient", V)
add("gradient", F)
add("gradient", F, axis=0)
add("gradient", F, 2.0, axis=1)
add("gradient", F, 2.0, 0.5)
add("gradient", F, STEPS[:3], 2.0)
add("gradient", F, STEPS, axis=1)
add("gradient", I, axis=(1, 0))
add("gradient", C, axis=0)
add("trapezoid", V)
add("trapezoid", I)
add("trapezoid", F, axis=0)
add("trapezoid", F, dx=0.5)
add("trapezoid", F, dx=np.array([1.0, 2.0, 3.0], "f4"))
add("trapezoid", F, STEPS)
add("trapezoid", F, STEPS[:3], axis=0)
add("trapezoid", F, F * 2)
add("unwrap", np.cumsum(V * 3))
add("unwrap", np.array([0, 3, 6, 1, 4, 8]), period=4)
add("unwrap", F * 9, axis=0)
add("unwrap", F * 9, discont=4.0, axis=0)

# ---- order statistics and second moments

for x in (V, V[:4], V[:1], F, I, NANS, H):
    for name in ("median", "nanmedian"):
        add(name, x)
        add(name, x, axis=-1, keepdims=True)
add("median", T3, axis=(0, 2))
add("median", T3, axis=(2, 0), keepdims=True)
QS = np.array([0.0, 0.25, 0.5, 1.0], "f4")
for name in ("quantile", "nanquantile"):
    for x in (V, F, NANS):
        nan = x is NANS and name == "quantile"
        for method in ("linear", "lower", "higher", "midpoint", "nearest", "inverted_cdf"):
            add(name, x, 0.3, method=method)
            # Where two elements are as near, NumPy takes the even place, JAX the lower one.
            add(
                name,
                x,
                QS,
                axis=-1,
                method=method,
                _numpy=method != "nearest",
                _vmap=False,
                _vjp=not nan,
            )
            add(
                name,
                x,
                QS[1:3],
                axis=0,
                keepdims=True,
                method=method,
                _numpy=method != "nearest",
                _vmap=False,
                _vjp=not nan,
            )
        for method in (
            "weibull",
            "hazen",
            "median_unbiased",
            "normal_unbiased",
            "interpolated_inverted_cdf",
            "averaged_inverted_cdf",
            "closest_observation",
        ):
            for q in (0.0, 0.1, 0.25, 0.3, 0.5, 0.6, 0.75, 0.97, 1.0):
                add(name, x, q, axis=-1, method=method, _jax=False)
add("quantile", V, 0.3, method="inverted_cdf", weights=np.arange(1.0, 8.0).astype("f4"))
add(
    "quantile",
    F,
    QS,
    axis=1,
    method="inverted_cdf",
    weights=np.arange(1.0, 5.0).astype("f4"),
    _vmap=False,
)
add("quantile", T3, 0.4, axis=(0, 2))
add("quantile", H, 0.4)
add("percentile", F, 30)
add("percentile", F, np.array([10, 90]), axis=0, _vmap=False)
add("nanpercentile", NANS, 40.0, axis=1)

COUNTS, SHARES = np.array([1, 2, 1, 3]), np.array([1.0, 2.0, 0.5, 1.0], "f4")
for options in ({}, {"bias": True}, {"ddof": 2}):
    add("cov", F, **options)
add("cov", F.T.copy(), rowvar=False)
add("cov", F, fweights=COUNTS, _vmap=False)
add("cov", F, aweights=SHARES, _vmap=False)
add("cov", F, fweights=COUNTS, aweights=SHARES, _vmap=False)
add("cov", V)
add("cov", V, V * 2 + 1)
add("cov", F, F[:1])
add("cov", C)
add("cov", I)
add("cov", F[:, :0])
add("cov", F[:0])
add("corrcoef", F)
add("corrcoef", V)
add("corrcoef", F, rowvar=False)
add("corrcoef", C)
add("corrcoef", V, V[::-1].copy())

# ---- counts

D = np.array([3, 1, 2, 3, 1, 7])
add("bincount", D, _jax=False, _vmap=False)
add("bincount", D, minlength=10, _jax=False, _vmap=False)
add(
    "bincount",
    D,
    weights=np.arange(6.0).astype("f4"),
    length=8,
    _numpy=lambda x, weights, length: np.bincount(x, weights),
)
add("bincount", D, length=4, _numpy=lambda x, length: np.bincount(x)[:length])
add("bincount", D.astype("u1"), length=9, _numpy=lambda x, length: np.bincount(x, minlength=9))
add("bincount", np.zeros(0, int), _jax=False, _vmap=False)
add("bincount", np.array([-1, 2]), length=3, _numpy=lambda x, length: np.array([1, 0, 1]))
X, Y = rng.normal(size=(2, 30)).astype("f4")
EDGES = np.array([-1.0, 0.0, 2.0, 2.5])
for options in ({}, {"bins": 4}, {"bins": EDGES}, {"range": (-1.0, 1.0)}, {"density": True}):
    add("histogram", X, **options)
add("histogram", X, bins=5, weights=rng.random(30).astype("f4"))
add("histogram", np.array([1, 2, 1, 5]))
add("histogram", np.ones(3))
add("histogram_bin_edges", X, 5)
add("histogram_bin_edges", np.array([3, 4]), 2, (0, 1))
add("histogram2d", X, Y, bins=3)
add("histogram2d", X, Y, bins=(3, 4), density=True)
add("histogram2d", X, Y, bins=[EDGES, 3])
add("histogram2d", X, Y, bins=EDGES)
add("histogramdd", np.stack([X, Y], 1), bins=3)
add(
    "histogramdd",
    np.stack([X, Y], 1),
    bins=(2, 3),
    range=[(-1.0, 1.0), None],
    weights=np.arange(30.0).astype("f4"),
)


@pytest.mark.parametrize("call", CALLS, ids=repr)
def test_call(call):
    check(call)


@pytest.mark.skipif(not peer.INSTALLED, reason="jax is not installed")
def test_types_are_those_of_jax():
    check_types_of_jax([call for call in CALLS if call.jax])


@pytest.mark.skipif(not peer.INSTALLED, reason="jax is not installed")
def test_values_are_those_of_jax():
    check_values_of_jax([call for call in CALLS if call.jax and call.numpy is False])


# ---- dtypes


def test_sums_of_narrow_integers_take_the_default_width():
    assert jnp.sum(jnp.array(I8)).dtype == np.int32
    assert jnp.sum(jnp.array(U8)).dtype == np.uint32
    with enable_x64(True):
        assert jnp.sum(jnp.array(I8)).dtype == np.int64
        assert jnp.sum(jnp.array(I)).dtype == np.int64
        assert jnp.mean(jnp.array(I8)).dtype == np.float32
        assert jnp.mean(jnp.array(I, np.int64)).dtype == np.float64


@pytest.mark.parametrize("dtype", ["float16", jnp.bfloat16])
def test_half_floats_are_summed_in_float32(dtype):
    ones = jnp.ones(5000, dtype)
    assert ones.sum() == np.asarray(5000.0).astype(ones.dtype)
    assert ones.mean() == 1 and ones.mean().dtype == ones.dtype
    assert ones.var() == 0


def test_a_sum_of_many_floats_keeps_its_digits():
    x = jnp.full(1_000_000, 0.1, "float32")
    assert abs(float(x.sum()) - 100_000) < 0.1
    assert abs(float(jnp.cumsum(x)[-1]) - 100_000) < 0.1


@pytest.mark.parametrize("dtype", ["float32", "complex64", "float64", "float16"])
@pytest.mark.parametrize("shape", [(3000, 2), (1000, 33), (5, 40, 8, 9), (33, 65, 1, 17), (0, 300)])
def test_sums_over_all_axes_and_layouts_keep_their_digits(shape, dtype):
    x = (1 + np.random.default_rng(1).random(shape)).astype(dtype)
    eps = np.finfo(np.float16 if dtype == "float16" else x.real.dtype).eps
    views = [x, np.asfortranarray(x), x[::-1], x[..., ::2], np.broadcast_to(x[..., :1], shape)]
    for view in views:
        with enable_x64(dtype == "float64"):
            for n in range(1, x.ndim + 1):
                for axes in itertools.combinations(range(x.ndim), n):
                    want = view.sum(axes, np.clongdouble if dtype == "complex64" else np.longdouble)
                    got = np.asarray(reduce_sum(jnp.asarray(view), axes=axes))
                    assert got.shape == want.shape and got.dtype == dtype
                    if dtype == "float16":  # sums beyond its range are infinite
                        want = np.where(want > 65519, np.inf, want)
                    np.testing.assert_allclose(got, want.astype("c16"), rtol=5 * eps)


def test_variances_and_norms_of_many_rows_keep_their_digits():
    x = np.full((200_000, 2), 1.7, "float32")
    x[::2] = 2.3
    exact = x.astype("float64")
    np.testing.assert_allclose(jnp.var(x, 0), exact.var(0), rtol=1e-6)
    np.testing.assert_allclose(jnp.var(x, 0, keepdims=True), exact.var(0, keepdims=True), rtol=1e-6)
    np.testing.assert_allclose(jnp.mean(x, 0), exact.mean(0), rtol=1e-6)
    np.testing.assert_allclose(jnp.linalg.norm(x, axis=0), np.linalg.norm(exact, axis=0), rtol=1e-6)


def test_quantile_beside_infinity():
    # NumPy and JAX give NaN: 0 times infinity.
    x = jnp.array([1.0, jnp.inf, 3.0])
    assert jnp.quantile(x, jnp.array([0.0, 0.5, 1.0])).tolist() == [1.0, 3.0, float("inf")]


def test_quantile_of_nothing_is_nan():
    assert np.isnan(jnp.median(jnp.zeros(0)))
    assert np.isnan(jnp.quantile(jnp.zeros((2, 0)), 0.5, axis=1)).all()


# ---- derivatives where they need care


def gradient_of(f, x):
    return np.asarray(pullback.grad(lambda x: f(x).sum())(jnp.asarray(x)))


def test_gradients_stay_finite_where_nan_or_masked():
    assert np.array_equal(gradient_of(jnp.nansum, NANS), ~np.isnan(NANS))
    assert np.isfinite(gradient_of(lambda x: jnp.nanvar(x, axis=0), NANS)).all()
    none = np.zeros((3, 4), bool)
    for f in (jnp.var, jnp.nanvar):
        assert np.array_equal(gradient_of(lambda x, f=f: f(x, where=none), F), np.zeros((3, 4)))


def test_gradient_of_ties_is_shared():
    assert gradient_of(jnp.max, np.array([2.0, 5.0, 5.0])).tolist() == [0.0, 0.5, 0.5]


def test_gradient_of_median():
    assert gradient_of(jnp.median, np.array([3.0, 1.0, 2.0])).tolist() == [0.0, 0.0, 1.0]
    assert gradient_of(jnp.median, np.array([3.0, 1.0, 2.0, 9.0])).tolist() == [0.5, 0, 0.5, 0]


# ---- mistakes


def test_errors():
    x = jnp.array(F)
    mistakes = {
        "The 'out' argument to jnp.sum is not supported.": lambda: jnp.sum(x, out=F),
        "axis 2 is out of bounds for array of dimension 2.": lambda: jnp.sum(x, axis=2),
        "duplicate value in axis: (0, 0).": lambda: jnp.sum(x, axis=(0, 0)),
        "jnp.sum: where must be None or a boolean array.": lambda: jnp.sum(x, where=I),
        "jnp.sum: initial value must be a scalar.": lambda: jnp.sum(x, initial=x),
        "jnp.sum: where must broadcast to the shape of the array.": lambda: jnp.sum(
            jnp.ones(4), where=MASK
        ),
        "zero-size array to reduction operation max which has no identity.": lambda: jnp.max(
            NO_ROWS
        ),
        "reduction operation max does not have an identity, so to use a where mask one has to "
        "specify 'initial'.": lambda: jnp.max(x, where=MASK),
        "attempt to get argmax of an empty sequence.": lambda: jnp.argmax(NO_ROWS),
        "argmax does not take complex numbers, which have no order.": lambda: jnp.argmax(C),
        "jnp.var: ddof and correction can't be provided simultaneously.": lambda: jnp.var(
            x, ddof=1, correction=1
        ),
        "jnp.var of complex numbers cannot be computed in a real dtype.": lambda: jnp.var(
            C, dtype="float32"
        ),
        "dtype argument to jnp.std must be inexact.": lambda: jnp.std(x, dtype=int),
        "order must be non-negative but got -1.": lambda: jnp.diff(x, -1),
        "diff requires input that is at least one dimensional.": lambda: jnp.diff(1.0),
        "jnp.quantile has no method 'middle'.": lambda: jnp.quantile(x, 0.5, method="middle"),
        "q must have rank <= 1.": lambda: jnp.quantile(x, x),
        "median does not support complex input: complex numbers have no order.": lambda: jnp.median(
            C
        ),
        "x argument to bincount must have an integer type; got float32.": lambda: jnp.bincount(V),
        "`bins` must be positive, when an integer.": lambda: jnp.histogram(V, 0),
        "the argument `axis` of jnp.argmax must be an integer.": lambda: jnp.argmax(x, axis=0.5),
        "average: axis must be specified when the shapes of a and weights differ.": lambda: (
            jnp.average(x, weights=V)
        ),
    }
    for what, mistake in mistakes.items():
        assert message(mistake)[0] == what


def test_an_error_has_four_parts():
    what, got, where, fix = message(lambda: jnp.max(NO_ROWS, axis=0))
    assert what == "zero-size array to reduction operation max which has no identity."
    assert got == "  Got: f32[0,4] along axes (0,)"
    assert where.startswith("  Where: ") and "test_numpy_reductions.py" in where
    assert fix == "  Fix: give initial=, the result over no elements, or treat empty arrays apart."


def test_lists_are_refused():
    what = message(lambda: jnp.sum([1, 2]))[0]
    assert what.startswith("sum requires ndarray or scalar arguments, got <class 'list'>")


def test_what_decides_a_shape_must_be_known():
    f = pullback.jit(lambda x: jnp.bincount(x))
    what, got, _, fix = message(lambda: f(jnp.array(D)))
    assert what == (
        "`x` of jnp.bincount decides the shape of the result, so its value must be known while "
        "tracing."
    )
    assert got.startswith("  Got: i32[6] traced by jit")
    assert fix == "  Fix: give length=, the length of the result."
